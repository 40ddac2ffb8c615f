/* errormonitor.c - a task that nobody may be waiting for says on stderr why it failed.
 *
 * Julia: errormonitor, wait(t; throw=false).  Weft says it by itself, once the last handle is released, if nobody has looked
 * at the failure by then; a monitor says it in any case, and as soon as the task has ended. */
#include <stdio.h>

#include <weft.h>

static int
fail(void *arg)
{
    (void)arg;
    return weft_fail(WEFT_EINVAL, "task %s", "failed");
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t;
    int code = weft_spawn(&t, fail, NULL);
    if (code < 0) return code;
    code = weft_wait(weft_errormonitor(t));
    printf("waiting: %s\n", weft_error_text(code));
    printf("the task's own code: %s, and text: %s\n", weft_error_name(weft_task_error(t)), weft_task_message(t));
    weft_task_release(t);
    return 0;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
