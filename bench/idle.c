/* idle.c - what a runtime that has nothing to do costs: the CPU time that the process uses meanwhile. */
#include "on_weft.h"
#include "rest.h"
#include "threads.h"

static void
sleep_task(int ms)
{
    ok(weft_sleep(ms * WEFT_MS), "weft_sleep");
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
    char *bytes = bench_alloc(IDLE_BYTES, 1);
    ok(weft_for(0, IDLE_BYTES, 4096, touch, bytes), "weft_for");
    idle_sample(s, sleep_task);
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
    idle_sample(s, idle_sleep_thread);
    for (int i = 0; i < bench.workers; i++) turnstile_open(&turnstiles[i]);
    for (int i = 0; i < bench.workers; i++) pthread_join(threads[i], NULL);
    free(turnstiles);
    free(threads);
}

static const struct bench_variant variants[] = {
    {"pthread", BENCH_TWIN, idle_threads},
    {"sleeping", BENCH_ONE_AND_ALL, idle},
};
static const struct bench_group groups[] = {BENCH_GROUP(idle_values, variants, 1)};

BENCH_MAIN(groups)
