/* timer.c - something that happens after a while, and then again and again.
 *
 * Julia: Timer(cb, delay; interval), isopen(timer), close(timer).  A timer with a callback is a task around a ticker. */
#include <stdio.h>

#include <weft.h>

struct job {
    weft_ticker ticker;
    int i;
};

static void
callback(struct job *job)
{
    printf("%d\n", ++job->i);
    if (job->i == 3) weft_ticker_close(&job->ticker);
}

static int
run(void *arg)
{
    struct job *job = arg;
    int code;
    while ((code = weft_tick(&job->ticker)) == 0) callback(job);
    return code == WEFT_ECLOSED ? 0 : code;
}

static int
root(void *arg)
{
    struct job *job = arg;
    weft_task *t;
    weft_time begun = weft_now();
    int code = weft_ticker_init(&job->ticker, weft_in(20 * WEFT_MS), 2 * WEFT_MS, WEFT_SKIP);
    if (code == 0) code = weft_async(&t, run, job);
    if (code < 0) return code;
    printf("open: %d\n", weft_ticker_isopen(&job->ticker));
    code = weft_join(t);
    printf("open: %d\n", weft_ticker_isopen(&job->ticker));
    printf("too early: %s\n", weft_now() - begun < 24 * WEFT_MS ? "yes" : "no");
    return code;
}

int
main(void)
{
    struct job job = {.i = 0};
    return weft_run(NULL, root, &job) < 0;
}
