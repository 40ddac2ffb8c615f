/* test_sort.c - sorting: against a plain stable sort, of every size of element; what comparisons and cancellations may do. */
#include <stdlib.h>
#include <string.h>
#include <weft/scope.h>
#include <weft/sort.h>

#include "parallel_kit.h"

/* An element of any size: its key, and where it was, as far as they fit. */
struct sizes {
    size_t size, key;
};

static const struct sizes all_sizes[] = {{1, 1},  {2, 1},  {4, 2},  {5, 1},  {8, 4},
                                         {12, 4}, {16, 8}, {24, 8}, {32, 8}, {100, 2}};
enum { SIZES = sizeof all_sizes / sizeof *all_sizes };

static uint64_t
part(const unsigned char *e, size_t from, size_t n)
{
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++) x = x << 8 | e[from + i];
    return x;
}

static void
set_part(unsigned char *e, size_t from, size_t n, uint64_t x)
{
    for (size_t i = n; i > 0; i--, x >>= 8) e[from + i - 1] = (unsigned char)x;
}

static int
compare_keys(const void *a, const void *b, void *ctx)
{
    const struct sizes *s = ctx;
    uint64_t x = part(a, 0, s->key), y = part(b, 0, s->key);
    return (x > y) - (x < y);
}

/* How keys are spread over an array. */
enum pattern { RANDOM, FEW, RISING, FALLING, EQUAL, SAW, NEARLY, PATTERNS };

static uint64_t
key_of(enum pattern p, size_t i, size_t n, unsigned *state)
{
    switch (p) {
    case FEW:
        return dice(state, 3);
    case RISING:
        return i;
    case FALLING:
        return n - i;
    case EQUAL:
        return 5;
    case SAW:
        return i % 100;
    case NEARLY:
        return dice(state, 50) ? i : dice(state, (unsigned)n + 1);
    default:
        return dice(state, 1u << 24);
    }
}

/* The number of the element, in what is left of it beside the key; large enough to tell neighbours apart at least. */
static unsigned char *
make(const struct sizes *s, size_t n, enum pattern p, unsigned *state)
{
    unsigned char *v = calloc(n + 1, s->size);
    if (!CHECK(v != NULL)) return NULL;
    size_t rest = s->size - s->key < 4 ? s->size - s->key : 4;
    for (size_t i = 0; i < n; i++) {
        set_part(v + i * s->size, 0, s->key, key_of(p, i, n, state));
        set_part(v + i * s->size, s->size - rest, rest, i);
    }
    memset(v + n * s->size, 77, s->size);
    return v;
}

/* Whether the keys rise, and of equal ones those at `sorted` are those that were there, in that order. */
static bool
is_sorted_of(const unsigned char *sorted, const unsigned char *was, size_t n, const struct sizes *s)
{
    bool good = true;
    struct sizes copy = *s;
    for (size_t i = 1; i < n && good; i++)
        good = compare_keys(sorted + (i - 1) * s->size, sorted + i * s->size, &copy) <= 0;
    size_t from = 0;
    for (size_t i = 0; i < n && good; i++) {
        if (i == 0 || compare_keys(sorted + (i - 1) * s->size, sorted + i * s->size, &copy) != 0) from = 0;
        while (from < n && compare_keys(was + from * s->size, sorted + i * s->size, &copy) != 0) from++;
        good = from < n && memcmp(was + from * s->size, sorted + i * s->size, s->size) == 0;
        from++;
    }
    return good;
}

static void
sort_one(const struct sizes *s, size_t n, enum pattern p, unsigned *state)
{
    struct sizes copy = *s;
    unsigned char *v = make(s, n, p, state), *was = calloc(n + 1, s->size);
    if (v && CHECK(was != NULL)) {
        memcpy(was, v, n * s->size);
        CHECK_INT(weft_sort(v, n, s->size, compare_keys, &copy), 0);
        if (!CHECK(is_sorted_of(v, was, n, s))) test__note("%zu of %zu bytes, pattern %d", n, s->size, (int)p);
        bool untouched = true;
        for (size_t i = 0; i < s->size; i++) untouched = untouched && v[n * s->size + i] == 77;
        CHECK(untouched);
    }
    free(was);
    free(v);
}

TASK_TEST(sort, lengths, "sort: every short length, every pattern, every size of element; stable")
{
    unsigned state = test_seed();
    for (size_t n = 0; n < 40; n++)
        for (int p = 0; p < PATTERNS; p++) sort_one(&all_sizes[(n + (size_t)p) % SIZES], n, (enum pattern)p, &state);
    for (size_t i = 0; i < SIZES; i++) sort_one(&all_sizes[i], 300, RANDOM, &state);
}

TASK_TEST(sort, random, "sort: random lengths, patterns and sizes; stable")
{
    unsigned state = test_seed();
    for (int i = scaled(40); i > 0; i--)
        sort_one(&all_sizes[dice(&state, SIZES)], dice(&state, 1500), (enum pattern)dice(&state, PATTERNS), &state);
}

/* Many elements, whose numbers tell whether equal ones have kept their order. */
struct record {
    uint32_t key, number;
};

static int
compare_records(const void *a, const void *b, void *ctx)
{
    const struct record *x = a, *y = b;
    (void)ctx;
    return (x->key > y->key) - (x->key < y->key);
}

#define WEFT_SORT_NAME sort_records
#define WEFT_SORT_TYPE struct record
#define WEFT_SORT_LESS(a, b, ctx) ((a)->key < (b)->key)
#include <weft/sort.h>

static struct record *
records(size_t n, uint32_t keys)
{
    unsigned state = test_seed();
    struct record *v = calloc(n + 1, sizeof *v);
    if (CHECK(v != NULL))
        for (size_t i = 0; i < n; i++) v[i] = (struct record){dice(&state, keys), (uint32_t)i};
    return v;
}

static bool
in_order(const struct record *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (v[i - 1].key > v[i].key || (v[i - 1].key == v[i].key && v[i - 1].number >= v[i].number)) return false;
    }
    return true;
}

static void
sort_many(size_t n, uint32_t keys, bool inlined)
{
    struct record *v = records(n, keys);
    if (!v) return;
    if (inlined) CHECK_INT(sort_records(v, n, NULL), 0);
    else CHECK_INT(weft_sort(v, n, sizeof *v, compare_records, NULL), 0);
    if (!CHECK(in_order(v, n))) test__note("%zu records, %u keys", n, keys);
    free(v);
}

TASK_TEST(sort, many, "sort: many elements, with few keys and with many, by a pointer and compiled in; stable")
{
    static const size_t lengths[] = {2047, 2048, 2049, 4097, 30000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (uint32_t keys = 2; keys < 1u << 24; keys *= 128)
            for (int inlined = 0; inlined < 2; inlined++) sort_many(lengths[i], keys, inlined);
}

/* With every worker taking part, in the sorts or in the merges. */
static int
compare_together(const void *a, const void *b, void *ctx)
{
    (void)gather(0, 1, ctx);
    return compare_records(a, b, NULL);
}

static int
sort_together(void *arg)
{
    (void)arg;
    enum { N = 40000 };
    struct gathering g = {.wanted = weft_nworkers()};
    struct record *v = records(N, 5000);
    if (!v) return 0;
    CHECK_INT(weft_sort(v, N, sizeof *v, compare_together, &g), 0);
    CHECK(in_order(v, N));
    CHECK_INT(g.workers, g.wanted);
    free(v);
    return 0;
}

TEST(sort, all_workers, "sort: every worker takes part, and the result is the same")
{
    for (int workers = 1; workers <= 4; workers++) CHECK_INT(run_on(workers, sort_together, NULL), 0);
}

static int
compare_and_yield(const void *a, const void *b, void *ctx)
{
    if (dice(ctx, 8) == 0) weft_yield();
    return compare_records(a, b, NULL);
}

TASK_TEST(sort, yields, "sort: a comparison may yield")
{
    enum { N = 500 }; /* one leaf: the dice are not shared */
    unsigned state = test_seed();
    struct record *v = records(N, 50);
    if (!v) return;
    CHECK_INT(weft_sort(v, N, sizeof *v, compare_and_yield, &state), 0);
    CHECK(in_order(v, N));
    free(v);
}

/* Nothing is lost: */

static bool
all_there(const struct record *v, size_t n)
{
    bool *seen = calloc(n + 1, sizeof *seen), all = seen != NULL;
    for (size_t i = 0; all && i < n; i++) {
        all = v[i].number < n && !seen[v[i].number];
        if (all) seen[v[i].number] = true;
    }
    free(seen);
    return all;
}

/* Different each time it is asked. */
static int
compare_madly(const void *a, const void *b, void *ctx)
{
    _Atomic unsigned *calls = ctx;
    const struct record *x = a, *y = b;
    unsigned n = (atomic_fetch_add(calls, 1) + x->key * 31 + y->key) * 1664525u + 1013904223u;
    return (int)(n >> 20 & 2) - 1;
}

TASK_TEST(sort, contradictory, "sort: a comparison that contradicts itself costs the order, and no elements")
{
    _Atomic unsigned calls = test_seed();
    for (size_t n = 1; n < 30000; n = n * 2 + 1) {
        struct record *v = records(n, 1u << 20);
        if (!v) return;
        CHECK_INT(weft_sort(v, n, sizeof *v, compare_madly, &calls), 0);
        if (!CHECK(all_there(v, n))) test__note("%zu elements", n);
        free(v);
    }
}

struct cut {
    weft_scope scope;
    _Atomic int left;
};

static int
compare_until(const void *a, const void *b, void *ctx)
{
    struct cut *c = ctx;
    if (atomic_fetch_sub(&c->left, 1) == 0) weft_scope_cancel(&c->scope, 0);
    return compare_records(a, b, NULL);
}

TASK_TEST(sort, cancelled, "sort: a cancellation ends it, wherever it is, and no element is lost")
{
    enum { N = 20000 };
    unsigned state = test_seed();
    for (int i = scaled(30); i > 0; i--) {
        struct cut c = {.left = (int)dice(&state, i % 2 ? 500 : 250000)};
        struct record *v = records(N, 1u << 20);
        if (!v) return;
        weft_scope_open(&c.scope, 0, WEFT_FOREVER);
        int code = weft_sort(v, N, sizeof *v, compare_until, &c);
        CHECK(code == 0 || code == WEFT_ECANCELED);
        if (code == 0) CHECK(in_order(v, N));
        CHECK(all_there(v, N));
        if (i % 2) CHECK_INT(code, WEFT_ECANCELED);
        CHECK_INT(weft_scope_close(&c.scope, 0), 0);
        free(v);
    }
}

static void
run_nothing(void *base, void *scratch, size_t n, bool in_scratch, void *ctx)
{
    (void)base, (void)scratch, (void)n, (void)in_scratch, (void)ctx;
    CHECK(false);
}

static void
merge_nothing(void *to, const void *a, size_t na, const void *b, size_t nb, void *ctx)
{
    (void)to, (void)a, (void)na, (void)b, (void)nb, (void)ctx;
    CHECK(false);
}

static size_t
rank_nothing(const void *a, size_t na, const void *b, size_t nb, size_t k, void *ctx)
{
    (void)a, (void)na, (void)b, (void)nb, (void)ctx;
    CHECK(false);
    return k;
}

TASK_TEST(sort, arguments, "sort: what cannot be is an error; nothing to sort is not")
{
    struct record v[2] = {{2, 0}, {1, 1}};
    CHECK_INT(weft_sort(NULL, 0, 8, compare_records, NULL), 0);
    CHECK_INT(weft_sort(v, 1, 8, compare_records, NULL), 0);
    CHECK_INT(weft_sort(v, 2, 0, compare_records, NULL), WEFT_EINVAL);
    CHECK_INT(weft_sort(v, 2, 8, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_sort(NULL, 2, 8, compare_records, NULL), WEFT_EINVAL);
    CHECK_INT(weft_sort(v, SIZE_MAX / 4, 8, compare_records, NULL), WEFT_EINVAL);
    CHECK_INT(weft_sort(v, SIZE_MAX / 4, 12, compare_records, NULL), WEFT_EINVAL);
    CHECK_INT(weft_sort(v, (size_t)PTRDIFF_MAX / 8 + 1, 8, compare_records, NULL), WEFT_EINVAL);
    CHECK_INT(weft_sort(v, (size_t)PTRDIFF_MAX / 12 + 1, 12, compare_records, NULL), WEFT_EINVAL);
    CHECK_INT(weft_sort(v, (size_t)PTRDIFF_MAX, 1, compare_records, NULL), WEFT_ENOMEM);
    CHECK_INT(weft_sort(v, (size_t)PTRDIFF_MAX / 5, 5, compare_records, NULL), WEFT_ENOMEM);
    for (size_t size = 1; size < 50; size++) CHECK_INT(weft_sort(NULL, 0, size, compare_records, NULL), 0);
    CHECK_INT(weft_sort_by(v, 2, NULL, NULL), WEFT_EINVAL);
    for (int missing = 0; missing < 5; missing++) {
        weft_sort_parts parts = {8, run_nothing, merge_nothing, rank_nothing};
        if (missing == 0) parts.size = 0;
        if (missing == 1) parts.run = NULL;
        if (missing == 2) parts.merge = NULL;
        if (missing == 3) parts.rank = NULL;
        CHECK_INT(weft_sort_by(missing == 4 ? NULL : v, 2, &parts, NULL), WEFT_EINVAL);
    }
    CHECK(v[0].key == 2 && v[1].key == 1);
    CHECK_INT(weft_sort(v, 2, 8, compare_records, NULL), 0);
    CHECK(v[0].key == 1 && v[1].key == 2);
}
