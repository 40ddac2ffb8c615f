/* job_queue.c - four tasks work off a queue of jobs and report to a queue of results.
 *
 * Julia: the example of two channels, make_jobs and do_work; errormonitor; @elapsed. */
#include <stdio.h>

#include <weft.h>

enum { JOBS = 12, WORKERS = 4 };

struct queues {
    weft_channel *jobs, *results;
};

struct result {
    int job;
    int64_t took; /* ns */
};

static int
make_jobs(void *arg)
{
    const struct queues *q = arg;
    int code = 0;
    for (int job = 1; job <= JOBS && code == 0; job++) code = weft_channel_put(q->jobs, &job);
    weft_channel_close(q->jobs, 0); /* or do_work would wait for more for ever, and weft_run for do_work */
    return code;
}

static int
do_work(void *arg)
{
    const struct queues *q = arg;
    int job;
    weft_channel_each(q->jobs, job) {
        struct result r = {job, (7 * job % 12 + 1) * WEFT_MS};
        int code = weft_sleep(r.took); /* stands for the work */
        if (code == 0) code = weft_channel_put(q->results, &r);
        if (code < 0) return weft_fail(code, "job %d", job);
    }
    return 0;
}

/* A task that nobody waits for, and whose failure is not lost. */
static int
start(weft_fn *fn, struct queues *q)
{
    weft_task *t;
    int code = weft_async(&t, fn, q);
    if (code == 0) weft_task_release(weft_errormonitor(t));
    return code;
}

static int
root(void *arg)
{
    struct queues *q = arg;
    struct result r, in_order[JOBS + 1];
    int code = start(make_jobs, q);
    for (int i = 0; i < WORKERS && code == 0; i++) code = start(do_work, q);

    weft_time begun = weft_now();
    for (int n = JOBS; n > 0 && code == 0; n--) { /* they come as they end */
        code = weft_channel_take(q->results, &r);
        if (code == 0) in_order[r.job] = r;
    }
    if (code < 0) return code;
    for (int job = 1; job <= JOBS; job++) printf("%d finished in %d ms\n", job, (int)(in_order[job].took / WEFT_MS));
    printf("all in %.3f seconds\n", (double)(weft_now() - begun) / WEFT_S);
    return 0;
}

int
main(void)
{
    struct queues q = {NULL, NULL};
    int code = weft_channel_new(&q.jobs, sizeof(int), 32);
    if (code == 0) code = weft_channel_new(&q.results, sizeof(struct result), 32);
    if (code == 0) code = weft_run(NULL, root, &q);
    weft_channel_release(q.jobs);
    weft_channel_release(q.results);
    return code < 0;
}
