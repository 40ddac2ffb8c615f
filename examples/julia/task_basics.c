/* task_basics.c - making a task, starting it later, asking how it is doing, waiting for it.
 *
 * Julia: @task, schedule, istaskstarted, istaskdone, wait. */
#include <stdio.h>

#include <weft.h>

static int
nap(void *arg)
{
    (void)arg;
    int code = weft_sleep(20 * WEFT_MS);
    if (code == 0) puts("done");
    return code;
}

static void
tell(const weft_task *t)
{
    printf("started: %d, done: %d\n", weft_task_isstarted(t), weft_task_isdone(t));
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t;
    int code = weft_task_new(&t, nap, NULL, NULL);
    if (code < 0) return code;
    tell(t);
    code = weft_schedule(t);
    if (code == 0) code = weft_wait(t);
    tell(t);
    weft_task_release(t);
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
