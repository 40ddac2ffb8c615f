/* loops.c - loops: what one costs that has nothing to do, and filling and adding up a large vector. */
#include "on_weft.h"
#include "threads.h"
#include "vector.h"

#include <stdatomic.h>

static int
count_body(size_t begin, size_t end, void *ctx)
{
    atomic_fetch_add_explicit((_Atomic uint64_t *)ctx, end - begin, memory_order_relaxed);
    return 0;
}

/* One iteration for each worker: as little as a loop can be that gives all of them something to do. */
static void
empty_loop(struct bench_sample *s)
{
    size_t n = (size_t)bench.workers;
    int calls = loop_calls();
    _Atomic uint64_t count = 0;
    for (int i = 0; i < 1000; i++) ok(weft_for(0, n, 1, count_body, &count), "weft_for");
    bench_expect(count, 1000 * n, "iterations");
    int64_t begun = bench_now();
    for (int i = 0; i < calls; i++) ok(weft_for(0, n, 1, empty_body, NULL), "weft_for");
    s->values[0] = bench_since(begun, calls);
}

static void
fill_all(struct vector *v)
{
    ok(weft_for(0, v->n, 0, fill_range, v), "weft_for");
}

static void
add_sums(void *into, const void *from, void *ctx)
{
    (void)ctx;
    *(double *)into += *(const double *)from;
}

static double
sum_all(struct vector *v)
{
    static const double zero = 0;
    double sum;
    ok(weft_reduce(0, v->n, 0, &(weft_reduction){sizeof zero, &zero, sum_range, add_sums}, v, &sum), "weft_reduce");
    return sum;
}

static void
fill(struct bench_sample *s)
{
    fill_sample(s, fill_all);
}

static void
sum(struct bench_sample *s)
{
    sum_sample(s, sum_all);
}

/* ---- The twins with threads: each loop starts one for each share but the first, and waits for it ------------------ */

struct share {
    size_t begin, end;
    void (*body)(struct share *);
    struct vector *v;
    double sum;
    pthread_t thread;
};

static void *
share_thread(void *arg)
{
    struct share *s = arg;
    s->body(s);
    return NULL;
}

/* Runs body on n in equal shares; returns the sum of their sums. */
static double
split(size_t n, void (*body)(struct share *), struct vector *v)
{
    struct share shares[CPU_SETSIZE];
    size_t count = (size_t)bench.workers;
    double sum = 0;
    for (size_t i = 0; i < count; i++) shares[i] = (struct share){n * i / count, n * (i + 1) / count, body, v, 0, 0};
    for (size_t i = 1; i < count; i++) shares[i].thread = thread_start(share_thread, &shares[i], NULL);
    body(&shares[0]);
    for (size_t i = 1; i < count; i++) pthread_join(shares[i].thread, NULL);
    for (size_t i = 0; i < count; i++) sum += shares[i].sum;
    return sum;
}

static void
empty_share(struct share *s)
{
    empty_serial(s->begin, s->end, NULL);
}

static void
fill_share(struct share *s)
{
    fill_serial(s->begin, s->end, s->v);
}

static void
sum_share(struct share *s)
{
    sum_serial(s->begin, s->end, &s->sum, s->v);
}

static void
empty_threads(struct bench_sample *s)
{
    int calls = loop_calls() / 100;
    int64_t begun = bench_now();
    for (int i = 0; i < calls; i++) split((size_t)bench.workers, empty_share, NULL);
    s->values[0] = bench_since(begun, calls);
}

static void
fill_all_threads(struct vector *v)
{
    split(v->n, fill_share, v);
}

static double
sum_all_threads(struct vector *v)
{
    return split(v->n, sum_share, v);
}

static void
fill_threads(struct bench_sample *s)
{
    fill_sample(s, fill_all_threads);
}

static void
sum_threads(struct bench_sample *s)
{
    sum_sample(s, sum_all_threads);
}

/* ---- What is measured ------------------------------------------------------------------------------------------- */

static const struct bench_variant empty_variants[] = {
    {"serial", BENCH_TWIN, empty_twin},
    {"pthread", BENCH_TWIN, empty_threads},
    {"weft_for", BENCH_ONE_AND_ALL, empty_loop},
};
static const struct bench_variant fill_variants[] = {
    {"serial", BENCH_TWIN, fill_twin},
    {"pthread", BENCH_TWIN, fill_threads},
    {"weft_for", BENCH_ONE_AND_ALL, fill},
};
static const struct bench_variant sum_variants[] = {
    {"serial", BENCH_TWIN, sum_twin},
    {"pthread", BENCH_TWIN, sum_threads},
    {"weft_reduce", BENCH_ONE_AND_ALL, sum},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(empty_values, empty_variants, 0),
    BENCH_GROUP(fill_values, fill_variants, 2),
    BENCH_GROUP(sum_values, sum_variants, 2),
};

BENCH_MAIN(groups)
