/* async.c - a task that starts at once, while its creator goes on.
 *
 * Julia: @async, sleep, wait.  The task is sticky: it runs on this worker, when its creator first gives way. */
#include <stdio.h>

#include <weft.h>

static int
slow(void *arg)
{
    (void)arg;
    puts("the task: sleeping");
    int code = weft_sleep(20 * WEFT_MS);
    puts("the task: done");
    return code;
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t;
    int code = weft_async(&t, slow, NULL);
    if (code < 0) return code;
    puts("its creator: going on");
    code = weft_join(t);
    puts("its creator: has waited");
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
