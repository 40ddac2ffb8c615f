/* merge_sort.c - a parallel merge sort by hand, in forty lines; beside Weft's own, and one that is compiled for its type.
 *
 *     cc -O2 merge_sort.c $(pkg-config --cflags --libs weft) && ./a.out -t 10000000
 *
 * All are stable, so all have to give the same bits: records with equal keys keep their order. */
#include "numeric.h"

enum { RUN = 2048 }; /* what is shorter is not worth a fork */

struct record {
    uint32_t key, number;
};

#define WEFT_SORT_NAME sort_records
#define WEFT_SORT_TYPE struct record
#define WEFT_SORT_LESS(a, b, ctx) ((a)->key < (b)->key)
#include <weft/sort.h>

/* ---- The serial twin. */

static void
merge(struct record *to, const struct record *a, size_t na, const struct record *b, size_t nb)
{
    const struct record *a_end = a + na, *b_end = b + nb;
    while (a < a_end && b < b_end) *to++ = b->key < a->key ? *b++ : *a++;
    while (a < a_end) *to++ = *a++;
    while (b < b_end) *to++ = *b++;
}

/* Sorts the n records at v, and leaves them at `to`, which starts as a copy of v; v is scratch. */
static void
sort_serially(struct record *v, struct record *to, size_t n)
{
    size_t half = n / 2;
    if (n < 2) return;
    sort_serially(to, v, half);
    sort_serially(to + half, v + half, n - half);
    merge(to, v, half, v + half, n - half);
}

/* ---- By hand: both halves at the same time, and so with a merge. */

struct merging {
    struct record *to;
    const struct record *a, *b;
    size_t na, nb;
};

/* How many of the n records at v come before key; those with the key itself count if `equal` says so. */
static size_t
rank(const struct record *v, size_t n, uint32_t key, bool equal)
{
    size_t low = 0;
    while (n > 0) {
        size_t half = n / 2;
        if (v[low + half].key < key || (equal && v[low + half].key == key)) {
            low += half + 1;
            n -= half + 1;
        } else n = half;
    }
    return low;
}

/* Halves the longer run, and cuts the other where the middle of that belongs: of equals, those of a come first. */
static int
merge_by_hand(void *arg)
{
    const struct merging *m = arg;
    size_t ia, ib;
    if (m->na + m->nb <= RUN) {
        merge(m->to, m->a, m->na, m->b, m->nb);
        return 0;
    }
    if (m->na >= m->nb) {
        ia = m->na / 2;
        ib = rank(m->b, m->nb, m->a[ia].key, false);
    } else {
        ib = m->nb / 2;
        ia = rank(m->a, m->na, m->b[ib].key, true);
    }
    struct merging low = {m->to, m->a, m->b, ia, ib};
    struct merging high = {m->to + ia + ib, m->a + ia, m->b + ib, m->na - ia, m->nb - ib};
    return weft_both(merge_by_hand, &low, merge_by_hand, &high);
}

struct sorting {
    struct record *v, *to;
    size_t n;
};

static int
sort_by_hand(void *arg)
{
    const struct sorting *s = arg;
    if (s->n <= RUN) {
        sort_serially(s->v, s->to, s->n);
        return 0;
    }
    size_t half = s->n / 2;
    struct sorting low = {s->to, s->v, half}, high = {s->to + half, s->v + half, s->n - half};
    struct merging both = {s->to, s->v, s->v + half, half, s->n - half};
    int code = weft_both(sort_by_hand, &low, sort_by_hand, &high);
    return code < 0 ? code : merge_by_hand(&both);
}

/* ---- The others. */

static int
by_weft_sort_compare(const void *a, const void *b, void *ctx)
{
    (void)ctx;
    uint32_t x = ((const struct record *)a)->key, y = ((const struct record *)b)->key;
    return (x > y) - (x < y);
}

static int
by_weft_sort(void *arg)
{
    const struct sorting *s = arg;
    return weft_sort(s->to, s->n, sizeof *s->to, by_weft_sort_compare, NULL);
}

static int
by_own_sort(void *arg)
{
    const struct sorting *s = arg;
    return sort_records(s->to, s->n, NULL);
}

static int
plain(void *arg)
{
    const struct sorting *s = arg;
    sort_serially(s->v, s->to, s->n);
    return 0;
}

/* ---- The program. */

enum { BY_HAND, WEFT_SORT, COMPILED, TWIN, VERSIONS };

static const struct {
    const char *name;
    weft_fn *sort;
} version[VERSIONS] = {
    {"by hand", sort_by_hand}, {"weft_sort", by_weft_sort}, {"weft/sort.h", by_own_sort}, {"serial", plain}};

struct work {
    struct options options;
    struct sorting sorting[VERSIONS];
};

static int
root(void *arg)
{
    struct work *w = arg;
    const struct sorting *twin = &w->sorting[TWIN];
    int code = 0;
    for (int i = 0; i < VERSIONS && code == 0; i++)
        code = run_version(&w->options, version[i].name, version[i].sort, &w->sorting[i]);
    if (code < 0) return code;

    size_t n = twin->n, wrong = 0;
    for (size_t i = 1; i < n; i++) {
        const struct record *a = &twin->to[i - 1], *b = &twin->to[i];
        wrong += a->key > b->key || (a->key == b->key && a->number >= b->number);
    }
    printf("%zu records, keys %u to %u, out of order: %zu\n", n, (unsigned)twin->to[0].key,
           (unsigned)twin->to[n - 1].key, wrong);
    for (int i = 0; i < TWIN; i++) {
        int same = same_bits(version[i].name, w->sorting[i].to, twin->to, n * sizeof *twin->to);
        if (code == 0) code = same;
    }
    return wrong ? 1 : code;
}

int
main(int argc, char **argv)
{
    struct work w = {.options = options_of(argc, argv, 50000, 1, UINT32_MAX)};
    size_t n = w.options.size;
    for (int i = 0; i < VERSIONS; i++) {
        uint64_t stream = 11;
        struct sorting *s = &w.sorting[i];
        *s = (struct sorting){allocate(n, sizeof *s->v), allocate(n, sizeof *s->to), n};
        for (size_t k = 0; k < n; k++)
            s->v[k] = s->to[k] = (struct record){(uint32_t)(next_random(&stream) % (n / 4 + 1)), (uint32_t)k};
    }
    int code = run_program(&w.options, root, &w);
    for (int i = 0; i < VERSIONS; i++) {
        free(w.sorting[i].v);
        free(w.sorting[i].to);
    }
    return code;
}
