/* sync.c - a block that ends when all the tasks started in it have ended, whether they failed or not.
 *
 * Julia: @sync begin Threads.@spawn ...; Threads.@spawn ... end.  The block is a list of tasks here, and sync_end is its end:
 * it waits for every one, and tells of all failures in the order in which the tasks were started (CompositeException). */
#include <stdio.h>

#include <weft.h>

enum { TASKS = 3 };

struct job {
    int number, done;
};

static int
work(void *arg)
{
    struct job *job = arg;
    int code = weft_sleep((TASKS - job->number) * WEFT_MS);
    if (code < 0) return code;
    job->done = 1;
    return job->number == 1 ? weft_fail(WEFT_EINVAL, "job %d", job->number) : 0;
}

static int
sync_end(weft_task **t, size_t n)
{
    int code = weft_waitall(t, n, 0);
    for (size_t i = 0; i < n; i++) {
        if (weft_task_error(t[i]) < 0) printf("failed: %s\n", weft_task_message(t[i]));
        weft_task_release(t[i]);
    }
    return code;
}

static int
root(void *arg)
{
    (void)arg;
    struct job jobs[TASKS] = {{0, 0}, {1, 0}, {2, 0}};
    weft_task *t[TASKS];
    size_t n = 0;
    int code = 0;
    while (n < TASKS && code == 0) {
        code = weft_spawn(&t[n], work, &jobs[n]);
        if (code == 0) n++;
    }
    int ended = sync_end(t, n); /* also if a spawn failed: jobs must outlive its users */
    for (size_t i = 0; i < n; i++) printf("job %d: done %d\n", jobs[i].number, jobs[i].done);
    printf("the block: %s\n", weft_error_name(ended));
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
