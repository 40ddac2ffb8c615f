/* task_states.c - what can be asked of a task before, during and after its run.
 *
 * Julia: current_task, istaskstarted, istaskdone, istaskfailed, t.state. */
#include <stdio.h>

#include <weft.h>

static const char *
state_of(const weft_task *t)
{
    static const char *const names[] = {"initialized", "running", "completed", "failed", "cancelled"};
    return names[weft_task_state(t)];
}

static void
tell(const char *who, const weft_task *t)
{
    printf("%s: %s, started %d, done %d, failed %d\n", who, state_of(t), weft_task_isstarted(t), weft_task_isdone(t),
           weft_task_isfailed(t));
}

static int
sum(void *arg)
{
    int *s = arg;
    for (int i = 1; i <= 1000; i++) *s += i;
    tell("inside", weft_current());
    return 0;
}

static int
fail(void *arg)
{
    (void)arg;
    return weft_fail(WEFT_EINVAL, "task failed");
}

static int
root(void *arg)
{
    weft_task *good, *bad;
    int code = weft_task_new(&good, sum, arg, NULL);
    if (code == 0) code = weft_task_new(&bad, fail, NULL, NULL);
    if (code < 0) return code;
    tell("before", good);
    code = weft_schedule(good);
    if (code == 0) code = weft_wait(good);
    tell("after", good);
    if (code == 0) code = weft_schedule(bad);
    if (code == 0 && weft_wait(bad) == WEFT_ECHILD) tell("the other", bad);
    weft_task_release(good);
    weft_task_release(bad);
    return code;
}

int
main(void)
{
    int s = 0;
    return weft_run(NULL, root, &s) < 0;
}
