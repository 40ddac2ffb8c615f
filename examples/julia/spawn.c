/* spawn.c - tasks that any worker may run.
 *
 * Julia: fetch.([Threads.@spawn f() for i in 1:4]) with f() telling its Threads.threadid(). */
#include <stdio.h>

#include <weft.h>

enum { TASKS = 4 };

static int
tell_worker(void *arg)
{
    (void)arg;
    return weft_worker(); /* what is not negative is success, and weft_join returns it */
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t[TASKS];
    int known = 0, code = 0;
    for (int i = 0; i < TASKS && code == 0; i++) code = weft_spawn(&t[i], tell_worker, NULL);
    for (int i = 0; i < TASKS && code >= 0; i++) {
        code = weft_join(t[i]);
        known += code >= 0 && code < weft_nworkers();
    }
    printf("%d of %d tasks ran on some worker\n", known, TASKS);
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
