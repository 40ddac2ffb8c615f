/* waitall.c - waiting for all of several tasks, or until one has failed.
 *
 * Julia: waitall(tasks; failfast, throw). */
#include <stdio.h>

#include <weft.h>

static weft_event gate;

static int
succeed(void *arg)
{
    (void)arg;
    return 0;
}

static int
fail(void *arg)
{
    (void)arg;
    return weft_fail(WEFT_EINVAL, "failed");
}

static int
wait_at_gate(void *arg)
{
    (void)arg;
    return weft_event_wait(&gate);
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t[3];
    int code = weft_spawn(&t[0], succeed, NULL);
    if (code == 0) code = weft_spawn(&t[1], fail, NULL);
    if (code == 0) code = weft_spawn(&t[2], wait_at_gate, NULL);
    if (code < 0) return code;

    code = weft_waitall(t, 3, WEFT_FAILFAST);
    printf("fail fast: %s; the third is done: %d\n", weft_error_name(code), weft_task_isdone(t[2]));
    weft_event_notify(&gate);
    code = weft_waitall(t, 3, 0);
    printf("all: %s; the third is done: %d\n", weft_error_name(code), weft_task_isdone(t[2]));
    for (int i = 0; i < 3; i++) {
        printf("task %d: %s\n", i, weft_error_name(weft_task_error(t[i])));
        weft_task_release(t[i]);
    }
    return 0;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
