/* event.c - something that happens once, whether anybody waits for it yet or not; and can be made not to have happened.
 *
 * Julia: Event(), wait, notify, reset. */
#include <stdio.h>

#include <weft.h>

static weft_event ready = WEFT_EVENT_INIT;

static int
start_when_ready(void *arg)
{
    (void)arg;
    return weft_event_wait(&ready);
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t[3];
    int code = 0;
    for (int i = 0; i < 3 && code == 0; i++) code = weft_spawn(&t[i], start_when_ready, NULL);
    if (code < 0) return code;
    printf("set: %d, first task done: %d\n", weft_event_isset(&ready), weft_task_isdone(t[0]));
    weft_event_notify(&ready);
    for (int i = 0; i < 3 && code == 0; i++) code = weft_join(t[i]);
    printf("set: %d, three tasks went on\n", weft_event_isset(&ready));
    if (code == 0) code = weft_event_wait(&ready);
    puts("it stays set: another wait returns at once");
    weft_event_reset(&ready);
    printf("after a reset: %s\n", weft_error_text(weft_event_wait_until(&ready, WEFT_NOW)));
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
