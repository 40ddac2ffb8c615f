/* event_autoreset.c - a notification lets one task through.
 *
 * Julia: Event(true); two tasks that take turns. */
#include <stdio.h>

#include <weft.h>

enum { ROUNDS = 1000 };

static weft_event ping = WEFT_EVENT_AUTORESET_INIT, pong = WEFT_EVENT_AUTORESET_INIT;

static int
answer(void *arg)
{
    int *count = arg, code = 0;
    for (int i = 0; i < ROUNDS && code == 0; i++) {
        code = weft_event_wait(&ping);
        ++*count;
        weft_event_notify(&pong);
    }
    return code;
}

static int
root(void *arg)
{
    int *count = arg;
    weft_task *t;
    int code = weft_spawn(&t, answer, count);
    for (int i = 0; i < ROUNDS && code == 0; i++) {
        ++*count;
        weft_event_notify(&ping);
        code = weft_event_wait(&pong);
    }
    if (code == 0) code = weft_join(t);
    printf("%d turns\n", *count);

    weft_event_notify(&ping);
    weft_event_notify(&ping); /* nobody waits: the two are one */
    printf("first: %s\n", weft_error_name(weft_event_wait_until(&ping, WEFT_NOW)));
    printf("second: %s\n", weft_error_name(weft_event_wait_until(&ping, WEFT_NOW)));
    return code;
}

int
main(void)
{
    int count = 0;
    return weft_run(NULL, root, &count) < 0;
}
