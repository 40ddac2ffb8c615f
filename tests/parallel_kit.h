/* parallel_kit.h - what the tests of the parallel loops share: bodies that gather or fail, and a reduction. */
#ifndef WEFT_TESTS_PARALLEL_KIT_H
#define WEFT_TESTS_PARALLEL_KIT_H

#include "task_kit.h"

/* Where a body runs: the number of workers that have, and how many there must be before the first goes on. */
struct gathering {
    _Atomic int seen[64];
    _Atomic int workers;
    int wanted;
};

static inline int
gather(size_t begin, size_t end, void *ctx)
{
    struct gathering *g = ctx;
    (void)begin, (void)end;
    int w = weft_worker();
    if (CHECK(w >= 0 && w < 64) && atomic_exchange(&g->seen[w], 1) == 0) atomic_fetch_add(&g->workers, 1);
    spin_until(&g->workers, g->wanted);
    return 0;
}

/* Failing: the iterations in fails wait for each other, then fail with their own codes. */
struct failing {
    size_t fails[3];
    int count;
    _Atomic int arrived, failed, slow;
    bool alone; /* one worker */
};

static inline int
fail_some(size_t begin, size_t end, void *ctx)
{
    struct failing *f = ctx;
    CHECK_INT(end - begin, 1);
    if (f->alone) CHECK_INT(f->failed, 0);
    for (int i = 0; i < f->count; i++) {
        if (begin != f->fails[i]) continue;
        atomic_fetch_add(&f->arrived, 1);
        until(&f->arrived, f->count);
        atomic_store(&f->failed, 1);
        return weft_fail(-1000 - (int)begin, "iteration %zu", begin);
    }
    return 0;
}

static inline void
combine_nothing(void *into, const void *from, void *ctx)
{
    (void)into, (void)from, (void)ctx;
}

/* Matrices of two by two, modulo 2^64: neither commutative nor with a zero identity. */
struct matrix {
    uint64_t m[2][2];
};

static inline void
multiply(void *into, const void *from, void *ctx)
{
    struct matrix *a = into, old = *a;
    const struct matrix *b = from;
    (void)ctx;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) a->m[i][k] = old.m[i][0] * b->m[0][k] + old.m[i][1] * b->m[1][k];
}

static inline int
multiply_range(size_t begin, size_t end, void *acc, void *ctx)
{
    for (size_t i = begin; i < end; i++) {
        struct matrix factor = {{{i, 1}, {i * i + 3, i + 7}}};
        multiply(acc, &factor, ctx);
    }
    return 0;
}

static const struct matrix unit = {{{1, 0}, {0, 1}}};
static const weft_reduction product = {sizeof(struct matrix), &unit, multiply_range, multiply};

static const double zero = 0;

#endif
