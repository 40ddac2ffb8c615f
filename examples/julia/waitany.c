/* waitany.c - waiting for the first of several tasks, then for the next.
 *
 * Julia: waitany(tasks). */
#include <stdio.h>

#include <weft.h>

enum { TASKS = 3 };

static weft_event gates[TASKS];

static int
wait_at_gate(void *arg)
{
    return weft_event_wait(arg);
}

static int
root(void *arg)
{
    static const int order[TASKS] = {1, 0, 2};
    weft_task *t[TASKS];
    int code = 0;
    (void)arg;
    for (int i = 0; i < TASKS && code == 0; i++) code = weft_spawn(&t[i], wait_at_gate, &gates[i]);
    for (int n = 0; n < TASKS && code >= 0; n++) {
        weft_event_notify(&gates[order[n]]);
        code = weft_waitany(t, TASKS);
        if (code < 0) break;
        printf("task %d has ended\n", code);
        weft_task_release(t[code]);
        t[code] = NULL; /* remains: the others */
    }
    if (code < 0) return code;
    printf("and then: %s\n", weft_error_text(weft_waitany(t, TASKS)));
    return 0;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
