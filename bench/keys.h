/* keys.h - arrays of random keys to be sorted and scanned, the same for Weft and its peers. */
#ifndef KEYS_H
#define KEYS_H

#include "bench.h"

struct keys {
    size_t n;
    uint64_t *x;
};

static inline struct keys
keys_new(void)
{
    struct keys k = {(size_t)bench_size(10000000, 300000), NULL};
    uint64_t state = 88172645463325252u;
    k.x = (uint64_t *)bench_alloc(k.n, sizeof *k.x);
    for (size_t i = 0; i < k.n; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        k.x[i] = state;
    }
    return k;
}

/* The keys must be sorted, and their sum as before. */
static inline void
keys_check(const struct keys *k, uint64_t sum)
{
    uint64_t sorted_sum = 0, wrong = 0;
    for (size_t i = 0; i < k->n; i++) {
        sorted_sum += k->x[i];
        wrong += i > 0 && k->x[i - 1] > k->x[i];
    }
    bench_expect(wrong, 0, "keys out of order");
    bench_expect(sorted_sum, sum, "sum of the keys");
}

static inline void
sort_sample(struct bench_sample *s, void (*sort)(struct keys *))
{
    struct keys k = keys_new();
    uint64_t sum = 0;
    for (size_t i = 0; i < k.n; i++) sum += k.x[i];
    int64_t begun = bench_now();
    sort(&k);
    s->values[0] = bench_since(begun, (double)k.n);
    keys_check(&k, sum);
    free(k.x);
}

/* The first pass touches the pages and is not counted. */
static inline void
scan_sample(struct bench_sample *s, void (*scan)(uint64_t *out, const struct keys *k))
{
    struct keys k = keys_new();
    uint64_t *out = (uint64_t *)bench_alloc(k.n, sizeof *out), sum = 0, wrong = 0;
    scan(out, &k);
    int64_t begun = bench_now();
    scan(out, &k);
    s->values[0] = bench_since(begun, (double)k.n);
    for (size_t i = 0; i < k.n; i++) {
        sum += k.x[i];
        wrong += out[i] != sum;
    }
    bench_expect(wrong, 0, "wrong sums");
    free(out);
    free(k.x);
}

static const struct bench_value sort_values[] = {{"sort", "ns", "key"}};
static const struct bench_value scan_values[] = {{"scan", "ns", "key"}};

#endif
