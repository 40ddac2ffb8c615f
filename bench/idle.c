/* idle.c - what a runtime that has nothing to do costs: the CPU time that the process uses meanwhile. */
#include "on_weft.h"
#include "threads.h"

#include <sys/resource.h>

enum { SETTLE_MS = 50 };

static int64_t
idle_ms(void)
{
    return bench_size(2000, 500);
}

static double
cpu_seconds(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) < 0) bench_fail("getrusage: %s", strerror(errno));
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int
touch(size_t begin, size_t end, void *ctx)
{
    volatile char *bytes = ctx;
    for (size_t i = begin; i < end; i++) bytes[i] = 1;
    return 0;
}

/* All workers have had something to do; then the only task sleeps. */
static void
idle(struct bench_sample *s)
{
    size_t n = 4 << 20;
    char *bytes = bench_alloc(n, 1);
    ok(weft_for(0, n, 4096, touch, bytes), "weft_for");
    ok(weft_sleep(SETTLE_MS * WEFT_MS), "weft_sleep");
    double before = cpu_seconds();
    ok(weft_sleep(idle_ms() * WEFT_MS), "weft_sleep");
    s->values[0] = cpu_seconds() - before;
    free(bytes);
}

static void *
wait_thread(void *arg)
{
    turnstile_pass(arg);
    return NULL;
}

/* Threads that wait on a condition, and one that sleeps. */
static void
idle_threads(struct bench_sample *s)
{
    struct turnstile *turnstiles = bench_alloc((size_t)bench.workers, sizeof *turnstiles);
    pthread_t *threads = bench_alloc((size_t)bench.workers, sizeof *threads);
    for (int i = 0; i < bench.workers; i++) {
        turnstiles[i] = (struct turnstile)TURNSTILE;
        threads[i] = thread_start(wait_thread, &turnstiles[i], NULL);
    }
    nanosleep(&(struct timespec){0, SETTLE_MS * WEFT_MS}, NULL);
    double before = cpu_seconds();
    nanosleep(&(struct timespec){idle_ms() / 1000, idle_ms() % 1000 * WEFT_MS}, NULL);
    s->values[0] = cpu_seconds() - before;
    for (int i = 0; i < bench.workers; i++) turnstile_open(&turnstiles[i]);
    for (int i = 0; i < bench.workers; i++) pthread_join(threads[i], NULL);
    free(turnstiles);
    free(threads);
}

static const struct bench_value values[] = {{"idle", "s", "CPU time while idle"}};
static const struct bench_variant variants[] = {
    {"pthread", BENCH_TWIN, idle_threads},
    {"sleeping", BENCH_ONE_AND_ALL, idle},
};
static const struct bench_group groups[] = {BENCH_GROUP(values, variants, 1)};

BENCH_MAIN(groups)
