/* timedwait.c - looking again and again whether something is true, but not for ever.
 *
 * Julia: timedwait(() -> istaskdone(t), seconds; pollint). */
#include <stdio.h>

#include <weft.h>

static weft_event gate;

static int
wait_at_gate(void *arg)
{
    (void)arg;
    return weft_event_wait(&gate);
}

static bool
is_done(void *arg)
{
    return weft_task_isdone(arg);
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t;
    int code = weft_spawn(&t, wait_at_gate, NULL);
    if (code < 0) return code;
    printf("at first: %s\n", weft_error_name(weft_timedwait(is_done, t, 10 * WEFT_MS, WEFT_MS)));
    weft_event_notify(&gate);
    printf("then: %s\n", weft_error_name(weft_timedwait(is_done, t, 60 * WEFT_S, WEFT_MS)));
    return weft_join(t);
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
