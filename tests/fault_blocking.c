/* fault_blocking.c - blocking calls, with faults: there may be no memory for a thread, or no thread. */
#include "fault_kit.h"

enum { CALLERS = 12, TOKENS = 4 };

static weft_limiter *limiter;
static bool sure; /* no call may fail */

struct count {
    _Atomic int run, dropped;
};

static int
add(void *arg)
{
    atomic_fetch_add(&((struct count *)arg)->run, 1);
    return 17;
}

static void
drop(void *arg)
{
    atomic_fetch_add(&((struct count *)arg)->dropped, 1);
}

/* Runs once, or says why not. */
static int
call(void *arg)
{
    int index = (int)(intptr_t)arg, rc;
    for (int k = 0; k < 4; k++) {
        struct count c = {0};
        rc = (index + k) % 2 ? weft_blocking(limiter, add, &c) : weft_blocking_abandon(limiter, add, &c, drop);
        FAULT_CHECK(atomic_load(&c.dropped) == 0);
        FAULT_CHECK(atomic_load(&c.run) == (rc == 17));
        if (rc != 17) FAULT_CHECK(!sure && rc < 0 && !fault_may(rc));
    }
    return 0;
}

static int
many_calls(void *arg)
{
    weft_task *t[CALLERS];
    (void)arg;
    sure = false;
    fault_arm();
    if (!fault_may(weft_limiter_new(&limiter, TOKENS))) return 0;
    for (intptr_t i = 0; i < CALLERS; i++) {
        t[i] = NULL;
        fault_may(weft_spawn(&t[i], call, (void *)i));
    }
    for (int i = 0; i < CALLERS; i++)
        if (t[i]) fault_may(weft_join(t[i]));
    FAULT_CHECK(weft_limiter_available(limiter) == TOKENS);
    weft_limiter_free(limiter);
    return 0;
}

/* [S246] */
FAULT_SCENARIO(blocking_calls, F_ALL, "blocking: every call is made once, or says why not, and no token is lost")
{
    fault_on_task(2, 0, many_calls);
}

/* One thread is there already: calls wait for it where no other can be had. */
static int
few_threads(void *arg)
{
    struct count c = {0};
    weft_task *t[CALLERS];
    (void)arg;
    FAULT_CHECK(weft_blocking(NULL, add, &c) == 17);
    FAULT_CHECK(weft_limiter_new(&limiter, CALLERS) == 0);
    for (intptr_t i = 0; i < CALLERS; i++) FAULT_CHECK(weft_task_new(&t[i], call, (void *)i, NULL) == 0);
    sure = !(fault_current()->calls & F_MALLOC); /* calls that can be abandoned need some of that */
    fault_arm();
    for (int i = 0; i < CALLERS; i++) FAULT_CHECK(weft_schedule(t[i]) == 0);
    for (int i = 0; i < CALLERS; i++) {
        int rc = weft_join(t[i]);
        FAULT_CHECK(rc == 0 || (!sure && rc == WEFT_ENOMEM)); /* no stack */
    }
    FAULT_CHECK(weft_limiter_available(limiter) == CALLERS);
    weft_limiter_free(limiter);
    return 0;
}

FAULT_SCENARIO(blocking_queue, F_THREAD | F_CALLOC | F_FUTEX,
               "blocking: where no second thread can be had, calls wait for the first")
{
    fault_on_task(2, 0, few_threads);
}
