/* forkjoin.c - what it costs to fork and join a task: the Fibonacci numbers, without a cut-off. */
#include "forkjoin.h"
#include "threads.h"

static int
by_both(void *arg)
{
    struct fib *f = arg;
    if (f->n < 2) {
        f->result = (uint64_t)f->n;
        return 0;
    }
    struct fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
    if (weft_both(by_both, &a, by_both, &b) < 0) return -1;
    f->result = a.result + b.result;
    return 0;
}

/* A thread for each fork: some ten thousand times the price, so there are fewer. */
static int by_thread(void *arg);

static void *
fork_thread(void *arg)
{
    by_thread(arg);
    return NULL;
}

static int
by_thread(void *arg)
{
    struct fib *f = arg;
    if (f->n < 2) {
        f->result = (uint64_t)f->n;
        return 0;
    }
    struct fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
    pthread_t t = thread_start(fork_thread, &a, NULL);
    by_thread(&b);
    pthread_join(t, NULL);
    f->result = a.result + b.result;
    return 0;
}

static void
threads(struct bench_sample *s)
{
    fib_sample_of(s, bench_size(15, 11), by_thread);
}

static void
both(struct bench_sample *s)
{
    fib_sample(s, by_both);
}

static const struct bench_variant variants[] = {
    {"serial", BENCH_TWIN, fib_twin},
    {"pthread", BENCH_TWIN, threads},
    {"spawn+join", BENCH_ONE_AND_ALL, spawn_and_join},
    {"both", BENCH_ONE_AND_ALL, both},
};
static const struct bench_group groups[] = {BENCH_GROUP(fib_values, variants, 0)};

BENCH_MAIN(groups)
