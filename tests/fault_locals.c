/* fault_locals.c - task-local values, and what is done once per worker and per task, without memory. */
#include "fault_kit.h"

#include <stdlib.h>

enum { KEYS = 20 };

static _Atomic int alive;

static void
destroy(void *value)
{
    atomic_fetch_sub(&alive, 1);
    free(value);
}

static int
make(void *arg, void **value)
{
    *value = malloc(8);
    if (!*value) return WEFT_ENOMEM;
    atomic_fetch_add(&alive, 1);
    (void)arg;
    return 0;
}

/* What was set is there, what failed is as it was. */
static int
locals(void *arg)
{
    static int value;
    weft_local keys[KEYS];
    (void)arg;
    fault_arm();
    for (int k = 0; k < KEYS; k++) {
        if (weft_local_new(&keys[k], NULL) < 0) return 0;
        bool set = fault_may(weft_local_set(keys[k], &value));
        FAULT_CHECK(weft_local_get(keys[k]) == (set ? &value : NULL));
        FAULT_CHECK(weft_local_set(keys[k], NULL) == 0);
        if (set) FAULT_CHECK(weft_local_set(keys[k], &value) == 0); /* it has a place */
    }
    return 0;
}

FAULT_SCENARIO(locals_of_task, F_MEMORY, "locals: a value is set, or there is no memory for it and nothing has changed")
{
    fault_on_task(2, 0, locals);
}

static weft_once_task_t per_task = WEFT_ONCE_TASK_INIT(destroy);

static int
once_per_task(void *arg)
{
    void *a = NULL, *b = NULL;
    (void)arg;
    fault_arm();
    if (fault_may(weft_once_task(&per_task, make, NULL, &a))) {
        FAULT_CHECK(a != NULL);
        FAULT_CHECK(weft_once_task(&per_task, make, NULL, &b) == 0 && a == b);
    }
    return 0;
}

FAULT_SCENARIO(once_of_task, F_MEMORY, "once per task: a value is made, and ends with its task, or there is none")
{
    fault_on_task(2, 0, once_per_task);
    FAULT_CHECK(atomic_load(&alive) == 0);
}

static weft_once_worker_t per_worker;

static int
once_per_worker(void *arg)
{
    void *a = NULL, *b = NULL;
    (void)arg;
    fault_arm();
    if (fault_may(weft_once_worker(&per_worker, make, NULL, &a))) {
        FAULT_CHECK(a != NULL);
        FAULT_CHECK(weft_once_worker_at(&per_worker, weft_worker(), make, NULL, &b) == 0);
    }
    weft_once_worker_free(&per_worker, destroy);
    return 0;
}

FAULT_SCENARIO(once_of_worker, F_MEMORY, "once per worker: a value is made, or there is no memory, and all is freed")
{
    fault_on_task(2, 0, once_per_worker);
    FAULT_CHECK(atomic_load(&alive) == 0);
}
