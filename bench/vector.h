/* vector.h - the loops that Weft and its peers do alike, as plain serial code: the twins. */
#ifndef VECTOR_H
#define VECTOR_H

#include "bench.h"
#include "proc.h"

#include <sys/mman.h>

enum { VECTOR_PASSES = 3 };

struct vector {
    size_t n;
    double *x;
};

static inline int
loop_calls(void)
{
    return bench_size(200000, 20000);
}

/* A vector of 10^8 elements, which no cache holds; of a tenth where there is too little memory for that.  In huge pages if
 * there are any, as Go has it: else half of what is measured is how pages are found. */
static inline struct vector
vector_new(void)
{
    const size_t huge = 1 << 21;
    size_t n = (size_t)bench_size(100000000, 1000000);
    if (!bench.quick && available() < 1.25 * (double)(n * sizeof(double))) {
        n /= 10;
        fprintf(stderr, "bench: too little memory for 10^8 elements: %zu instead\n", n);
    }
    size_t bytes = (n * sizeof(double) + huge - 1) / huge * huge;
    struct vector v = {n, (double *)aligned_alloc(huge, bytes)};
    if (!v.x) bench_fail("no memory for %zu bytes", bytes);
    madvise(v.x, bytes, MADV_HUGEPAGE);
    return v;
}

/* Bodies of loops.  The elements are whole numbers, and so are all sums: exact in whatever order they are added. */
static int
empty_body(size_t begin, size_t end, void *ctx)
{
    (void)begin, (void)end, (void)ctx;
    return 0;
}

static int
fill_range(size_t begin, size_t end, void *ctx)
{
    double *x = ((struct vector *)ctx)->x;
    for (size_t i = begin; i < end; i++) x[i] = (double)(int32_t)(i & 1023);
    return 0;
}

static int
sum_range(size_t begin, size_t end, void *acc, void *ctx)
{
    const double *x = ((const struct vector *)ctx)->x;
    double sum = *(double *)acc;
    for (size_t i = begin; i < end; i++) sum += x[i];
    *(double *)acc = sum;
    return 0;
}

/* What the elements of n add up to. */
static inline uint64_t
vector_sum(size_t n)
{
    uint64_t whole = n / 1024, rest = n % 1024;
    return whole * (1024 * 1023 / 2) + (rest ? rest * (rest - 1) / 2 : 0);
}

/* The first pass touches the pages and is not counted. */
static inline void
fill_sample(struct bench_sample *s, void (*fill)(struct vector *))
{
    struct vector v = vector_new();
    double sum = 0;
    fill(&v);
    int64_t begun = bench_now();
    for (int i = 0; i < VECTOR_PASSES; i++) fill(&v);
    s->values[0] = bench_since(begun, (double)(v.n * VECTOR_PASSES));
    sum_range(0, v.n, &sum, &v);
    bench_expect((uint64_t)sum, vector_sum(v.n), "sum of what was filled in");
    free(v.x);
}

static inline void
sum_sample(struct bench_sample *s, double (*sum_all)(struct vector *))
{
    struct vector v = vector_new();
    double sum = 0;
    fill_range(0, v.n, &v);
    sum_all(&v);
    int64_t begun = bench_now();
    for (int i = 0; i < VECTOR_PASSES; i++) sum += sum_all(&v);
    s->values[0] = bench_since(begun, (double)(v.n * VECTOR_PASSES));
    bench_expect((uint64_t)sum, vector_sum(v.n) * VECTOR_PASSES, "sum");
    free(v.x);
}

/* The compiler must not see what is called: it would do the passes once, or nothing at all. */
static int (*volatile empty_serial)(size_t, size_t, void *) = empty_body;
static int (*volatile fill_serial)(size_t, size_t, void *) = fill_range;
static int (*volatile sum_serial)(size_t, size_t, void *, void *) = sum_range;

static inline void
fill_all_serial(struct vector *v)
{
    fill_serial(0, v->n, v);
}

static inline double
sum_all_serial(struct vector *v)
{
    double sum = 0;
    sum_serial(0, v->n, &sum, v);
    return sum;
}

/* As many empty bodies as there are workers. */
static inline void
empty_twin(struct bench_sample *s)
{
    int calls = loop_calls();
    int64_t begun = bench_now();
    for (int i = 0; i < calls; i++)
        for (int k = 0; k < bench.workers; k++) empty_serial((size_t)k, (size_t)k + 1, NULL);
    s->values[0] = bench_since(begun, calls);
}

static inline void
fill_twin(struct bench_sample *s)
{
    fill_sample(s, fill_all_serial);
}

static inline void
sum_twin(struct bench_sample *s)
{
    sum_sample(s, sum_all_serial);
}

static const struct bench_value empty_values[] = {{"loop-empty", "ns", "loop"}};
static const struct bench_value fill_values[] = {{"loop-fill", "ns", "element"}};
static const struct bench_value sum_values[] = {{"loop-sum", "ns", "element"}};

#endif
