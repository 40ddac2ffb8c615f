/* once.c - what is made once: per process, per worker, per task.
 *
 * Julia: OncePerProcess, OncePerThread, OncePerTask. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft.h>

enum { WORKERS = 4, CALLS = 100 };

static atomic_int tables, buffers, scratches;

static weft_once_t table_once, failing_once;
static weft_once_worker_t buffer_once;
static weft_once_task_t scratch_once = WEFT_ONCE_TASK_INIT(free);
static int table;

static int
make_table(void *arg)
{
    (void)arg;
    atomic_fetch_add(&tables, 1);
    table = 42;
    return 0;
}

static int
fail(void *arg)
{
    (void)arg;
    return WEFT_EINVAL;
}

/* Counts in *arg how many are made. */
static int
make_memory(void *arg, void **value)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    *value = malloc(64);
    return *value ? 0 : WEFT_ENOMEM;
}

static int
use_table_and_buffer(size_t begin, size_t end, void *ctx)
{
    (void)ctx;
    void *buffer;
    int code = 0;
    for (size_t i = begin; i < end && code == 0; i++) {
        code = weft_once(&table_once, make_table, NULL);
        if (code == 0) code = weft_once_worker(&buffer_once, make_memory, &buffers, &buffer);
    }
    return code;
}

static int
use_scratch(void *arg)
{
    void *first, *second;
    int code = weft_once_task(&scratch_once, make_memory, &scratches, &first);
    weft_yield(); /* the task may be on another worker now: it is still the same task */
    if (code == 0) code = weft_once_task(&scratch_once, make_memory, &scratches, &second);
    *(bool *)arg = code == 0 && first == second;
    return code;
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t[2];
    bool same[2] = {false, false};
    int code = weft_for_static(0, CALLS, use_table_and_buffer, NULL);
    for (int i = 0; i < 2 && code == 0; i++) code = weft_spawn(&t[i], use_scratch, &same[i]);
    for (int i = 0; i < 2 && code == 0; i++) code = weft_join(t[i]);
    printf("per process: made %d, value %d\n", tables, table);
    printf("per worker: made %d\n", buffers);
    printf("per task: made %d, each the same at both times: %d %d\n", scratches, same[0], same[1]);
    int first = weft_once(&failing_once, fail, NULL), second = weft_once(&failing_once, fail, NULL);
    printf("failing: %s, then %s\n", weft_error_name(first), weft_error_name(second));
    return code;
}

int
main(void)
{
    const weft_config four_workers = {.workers = WORKERS};
    int code = weft_run(&four_workers, root, NULL);
    weft_once_worker_free(&buffer_once, free);
    return code < 0;
}
