/* threadpool.c - which worker runs a task, and the pool for tasks that must not wait behind long ones.
 *
 * Julia: Threads.nthreads(pool), threadid, threadpool, Threads.@spawn :interactive; started as with -t 2,1. */
#include <stdio.h>

#include <weft.h>

static const char *
pool_of(int worker)
{
    return worker < 0 ? "none" : worker < weft_nworkers() ? "default" : "interactive";
}

static int
which(void *arg)
{
    *(const char **)arg = pool_of(weft_worker());
    return 0;
}

static int
root(void *arg)
{
    (void)arg;
    const weft_task_options interactive = {.flags = WEFT_INTERACTIVE};
    const char *ordinary_pool, *interactive_pool;
    weft_task *t[2];
    int code = weft_spawn(&t[0], which, &ordinary_pool);
    if (code == 0) code = weft_spawn_with(&t[1], which, &interactive_pool, &interactive);
    if (code == 0) code = weft_join(t[0]);
    if (code == 0) code = weft_join(t[1]);
    if (code < 0) return code;
    printf("%d workers in the default pool, %d in the interactive one\n", weft_nworkers(), weft_ninteractive());
    printf("a task: %s\nan interactive task: %s\n", ordinary_pool, interactive_pool);
    return 0;
}

int
main(void)
{
    const weft_config cfg = {.workers = 2, .interactive = 1};
    printf("a plain thread: %s\n", pool_of(weft_worker()));
    return weft_run(&cfg, root, NULL) < 0;
}
