/* sort.c - sorting ten million random keys, and their running sums. */
#include "keys.h"
#include "on_weft.h"

#include <weft/sort.h>

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int
compare_with(const void *a, const void *b, void *ctx)
{
    (void)ctx;
    return compare(a, b);
}

#define WEFT_SORT_NAME sort_keys
#define WEFT_SORT_TYPE uint64_t
#define WEFT_SORT_LESS(a, b, ctx) (*(a) < *(b))
#include <weft/sort.h>

static void
sort_by_pointer(struct keys *k)
{
    ok(weft_sort(k->x, k->n, sizeof *k->x, compare_with, NULL), "weft_sort");
}

static void
sort_inlined(struct keys *k)
{
    ok(sort_keys(k->x, k->n, NULL), "sort_keys");
}

static void
sort_plainly(struct keys *k)
{
    qsort(k->x, k->n, sizeof *k->x, compare);
}

static void
by_pointer(struct bench_sample *s)
{
    sort_sample(s, sort_by_pointer);
}

static void
inlined(struct bench_sample *s)
{
    sort_sample(s, sort_inlined);
}

static void
plainly(struct bench_sample *s)
{
    sort_sample(s, sort_plainly);
}

/* ---- Running sums: the operation is behind a pointer, also for the twin ------------------------------------------------ */

static void
add(void *into, const void *from, void *ctx)
{
    (void)ctx;
    *(uint64_t *)into += *(const uint64_t *)from;
}

static void (*volatile serial_add)(void *into, const void *from, void *ctx) = add;

static void
scan_all(uint64_t *out, const struct keys *k)
{
    ok(weft_scan(out, k->x, k->n, sizeof *out, add, NULL), "weft_scan");
}

static void
scan_plainly(uint64_t *out, const struct keys *k)
{
    void (*op)(void *, const void *, void *) = serial_add;
    uint64_t sum = k->x[0];
    out[0] = sum;
    for (size_t i = 1; i < k->n; i++) {
        op(&sum, &k->x[i], NULL);
        out[i] = sum;
    }
}

static void
scan(struct bench_sample *s)
{
    scan_sample(s, scan_all);
}

static void
scan_twin(struct bench_sample *s)
{
    scan_sample(s, scan_plainly);
}

static const struct bench_variant sort_variants[] = {
    {"qsort", BENCH_TWIN, plainly},
    {"weft_sort", BENCH_ONE_AND_ALL, by_pointer},
    {"sort.h", BENCH_ONE_AND_ALL, inlined},
};
static const struct bench_variant scan_variants[] = {
    {"serial", BENCH_TWIN, scan_twin},
    {"weft_scan", BENCH_ONE_AND_ALL, scan},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(sort_values, sort_variants, 5),
    BENCH_GROUP(scan_values, scan_variants, 0),
};

BENCH_MAIN(groups)
