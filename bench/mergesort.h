/* mergesort.h - sorting by halves and merging, the same for Weft and its peers; and by plain calls: the twin.
 *
 * Both halves are sorted at the same time.  Then they are merged, and that by halves too: the longer one is cut in the
 * middle, and the other where the middle of that belongs.  What is not longer than MERGE_RUN is done in one
 * go: sorted from below, or merged from the left. */
#ifndef MERGESORT_H
#define MERGESORT_H

#include "keys.h"

enum {
    MERGE_RUN = 2048,    /* keys */
    MERGE_INSERTION = 12 /* so few are sorted by insertion */
};

/* The keys at v are to be sorted, and left at `to`, which begins as a copy of them. */
struct merge_sort {
    uint64_t *v, *to;
    size_t n;
};

struct merge {
    uint64_t *to;
    const uint64_t *a, *b;
    size_t na, nb;
};

/* Which key is taken is computed, not jumped upon: nobody could foretell it. */
__attribute__((noinline)) static int
merge_leaf(const struct merge *m)
{
    const uint64_t *a = m->a, *b = m->b, *a_end = a + m->na, *b_end = b + m->nb;
    uint64_t *to = m->to;
    while (a < a_end && b < b_end) {
        uint64_t x = *a, y = *b;
        size_t second = y < x;
        *to++ = second ? y : x;
        a += 1 - second;
        b += second;
    }
    if (a < a_end) memcpy(to, a, (size_t)(a_end - a) * sizeof *a);
    else memcpy(to, b, (size_t)(b_end - b) * sizeof *b);
    return 0;
}

static inline void
merge_insertion(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t key = v[i];
        size_t k = i;
        for (; k > 0 && key < v[k - 1]; k--) v[k] = v[k - 1];
        v[k] = key;
    }
}

/* One half of s. */
static inline struct merge_sort
merge_half(const struct merge_sort *s, int i)
{
    size_t half = s->n / 2;
    struct merge_sort low = {s->to, s->v, half}, high = {s->to + half, s->v + half, s->n - half};
    return i == 0 ? low : high;
}

/* What is left when both halves are sorted. */
static inline struct merge
merge_halves(const struct merge_sort *s)
{
    size_t half = s->n / 2;
    struct merge m = {s->to, s->v, s->v + half, half, s->n - half};
    return m;
}

__attribute__((noinline)) static int
merge_sort_leaf(const struct merge_sort *s)
{
    if (s->n <= MERGE_INSERTION) {
        merge_insertion(s->to, s->n);
        return 0;
    }
    struct merge_sort low = merge_half(s, 0), high = merge_half(s, 1);
    struct merge m = merge_halves(s);
    merge_sort_leaf(&low);
    merge_sort_leaf(&high);
    return merge_leaf(&m);
}

/* How many of the n keys at v come before key; those that equal it count if `equal`. */
static inline size_t
merge_rank(const uint64_t *v, size_t n, uint64_t key, bool equal)
{
    size_t low = 0;
    while (n > 0) {
        size_t half = n / 2;
        if (v[low + half] < key || (equal && v[low + half] == key)) {
            low += half + 1;
            n -= half + 1;
        } else n = half;
    }
    return low;
}

/* The two parts of a merge of more than MERGE_RUN keys.  Of equal keys those of a come first. */
static inline void
merge_split(const struct merge *m, struct merge *low, struct merge *high)
{
    size_t ia = m->na / 2, ib = m->nb / 2;
    if (m->na >= m->nb) ib = merge_rank(m->b, m->nb, m->a[ia], false);
    else ia = merge_rank(m->a, m->na, m->b[ib], true);
    struct merge l = {m->to, m->a, m->b, ia, ib};
    struct merge h = {m->to + ia + ib, m->a + ia, m->b + ib, m->na - ia, m->nb - ib};
    *low = l;
    *high = h;
}

/* The twin: the same parts, by plain calls. */
__attribute__((noinline, unused)) static int
merge_serial(const struct merge *m)
{
    struct merge low, high;
    if (m->na + m->nb <= MERGE_RUN) return merge_leaf(m);
    merge_split(m, &low, &high);
    return merge_serial(&low) + merge_serial(&high);
}

__attribute__((noinline, unused)) static int
merge_sort_serial(void *arg)
{
    const struct merge_sort *s = (const struct merge_sort *)arg;
    if (s->n <= MERGE_RUN) return merge_sort_leaf(s);
    struct merge_sort low = merge_half(s, 0), high = merge_half(s, 1);
    struct merge m = merge_halves(s);
    if (merge_sort_serial(&low) < 0 || merge_sort_serial(&high) < 0) return -1;
    return merge_serial(&m);
}

/* fn sorts by merging what is at its argument. */
static inline void
merge_sample(struct bench_sample *s, int (*fn)(void *))
{
    struct keys k = keys_new();
    struct merge_sort warm = {NULL, NULL, k.n / 16}, all = {NULL, k.x, k.n};
    uint64_t sum = 0;
    all.v = (uint64_t *)bench_alloc(k.n, sizeof *all.v);
    warm.v = (uint64_t *)bench_alloc(warm.n, sizeof *warm.v);
    warm.to = (uint64_t *)bench_alloc(warm.n, sizeof *warm.to);
    memcpy(warm.v, k.x, warm.n * sizeof *warm.v);
    memcpy(warm.to, k.x, warm.n * sizeof *warm.to);
    fn(&warm);
    free(warm.v);
    free(warm.to);
    memcpy(all.v, k.x, k.n * sizeof *all.v);
    for (size_t i = 0; i < k.n; i++) sum += k.x[i];
    int64_t begun = bench_now();
    if (fn(&all) < 0) bench_fail("the sort failed");
    s->values[0] = bench_since(begun, (double)k.n);
    keys_check(&k, sum);
    free(all.v);
    free(k.x);
}

static const struct bench_value merge_values[] = {{"mergesort", "ns", "key"}};

#endif
