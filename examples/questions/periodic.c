/* periodic.c - work that is done again and again: a pause between the runs, or a run at each mark of the clock.
 *
 * End to start: WEFT_DELAY waits a period after each run, so runs drift, and never come thick and fast.  Start to start:
 * runs belong to first + k periods, however long each takes; where one has taken longer than a period, WEFT_SKIP leaves
 * out the marks that it ran over, and weft_ticker_missed counts them.  (WEFT_BURST would make up for them.)  The work here
 * is to sample what a server has done since the last run; the second sample takes three periods. */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

enum { RUNS = 5, LONG_RUN = 1 };

static const int64_t period = 4 * WEFT_MS;

struct run {
    weft_time begin, end;
    long served;
};

static atomic_long served;

/* Serves until it is cancelled. */
static int
serve(void *arg)
{
    long *total = arg;
    int code;
    for (*total = 0; (code = weft_sleep(0)) == 0; ++*total) atomic_fetch_add(&served, 1);
    return code;
}

static int
sample(struct run *r, int i)
{
    int code = 0;
    r->begin = weft_now();
    r->served = atomic_exchange(&served, 0);
    if (i == LONG_RUN) code = weft_sleep(3 * period); /* a slow disk */
    r->end = weft_now();
    return code;
}

static int
sample_all(struct run *runs, weft_ticker *ticker)
{
    int code = 0;
    for (int i = 0; i < RUNS && code == 0; i++) {
        code = weft_tick(ticker);
        if (code == 0) code = sample(&runs[i], i);
    }
    return code;
}

static int
end_to_start(struct run *runs)
{
    weft_ticker ticker;
    int pauses = 0, code = weft_ticker_init(&ticker, weft_in(period), period, WEFT_DELAY);
    if (code == 0) code = sample_all(runs, &ticker);
    for (int i = 1; i < RUNS; i++) pauses += runs[i].begin - runs[i - 1].end >= period;
    printf("end to start: %d runs, a full pause before %d\n", RUNS, pauses);
    return code;
}

static int
start_to_start(struct run *runs)
{
    weft_ticker ticker;
    weft_time first = weft_in(period);
    int in_time = 0, code = weft_ticker_init(&ticker, first, period, WEFT_SKIP);
    if (code == 0) code = sample_all(runs, &ticker);
    for (int i = 0; i < RUNS; i++) in_time += runs[i].begin >= first + i * period;
    printf("start to start: %d runs, %d not before their mark\n", RUNS, in_time);
    printf("marks left out in the long run: %s\n", weft_ticker_missed(&ticker) >= 2 ? "two at least" : "too few");
    return code;
}

static int
root(void *arg)
{
    (void)arg;
    struct run runs[2][RUNS];
    long total, sampled = 0;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int code = weft_spawn(NULL, serve, &total);
    if (code == 0) code = end_to_start(runs[0]);
    if (code == 0) code = start_to_start(runs[1]);
    weft_scope_cancel(&s, 0);
    code = weft_scope_close(&s, code);
    if (code < 0) return code;
    for (int i = 0; i < 2 * RUNS; i++) sampled += runs[i / RUNS][i % RUNS].served;
    printf("samples and rest: %s\n", sampled + served == total ? "all that was served" : "wrong");
    return 0;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
