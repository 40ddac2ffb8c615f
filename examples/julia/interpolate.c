/* interpolate.c - each task gets the value that a variable has when the task is made.
 *
 * Julia: Threads.@spawn f($x).  With weft_spawn all tasks would be given the address of the one variable. */
#include <stdio.h>

#include <weft.h>

enum { TASKS = 5 };

static int
ten_times(void *arg)
{
    return 10 * *(int *)arg; /* what is not negative is success, and weft_join returns it */
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t[TASKS];
    int code = 0;
    for (int i = 0; i < TASKS && code == 0; i++) code = weft_spawn_copy(&t[i], ten_times, &i, sizeof i);
    for (int i = 0; i < TASKS && code >= 0; i++) {
        code = weft_join(t[i]);
        printf("task %d: %d\n", i, code);
    }
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
