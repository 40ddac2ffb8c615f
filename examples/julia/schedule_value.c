/* schedule_value.c - resuming a parked task with a value, or with an error.
 *
 * Julia: wait() with schedule(t, value) and schedule(t, exception; error=true). */
#include <stdio.h>

#include <weft.h>

static int
listen(void *arg)
{
    (void)arg;
    void *value;
    int code;
    while ((code = weft_park(&value)) == 0) printf("resumed with \"%s\"\n", (const char *)value);
    printf("resumed with an error: %s\n", weft_error_text(code));
    return 0;
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t;
    int code = weft_async(&t, listen, NULL);
    if (code < 0) return code;
    weft_yield(); /* on one worker: now it is parked */
    code = weft_schedule_value(t, "this");
    weft_yield();
    if (code == 0) code = weft_schedule_value(t, "that");
    weft_yield();
    if (code == 0) code = weft_schedule_error(t, WEFT_EINVAL);
    if (code == 0) code = weft_wait(t);
    printf("to schedule what has ended: %s\n", weft_error_text(weft_schedule(t)));
    weft_task_release(t);
    return code;
}

int
main(void)
{
    const weft_config one_worker = {.workers = 1};
    return weft_run(&one_worker, root, NULL) < 0;
}
