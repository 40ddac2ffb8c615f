/* test_parallel_reduce.c - reductions: the same bits for any number of workers, the order kept, accumulators of all sizes. */
#include <stdio.h>
#include <stdlib.h>

#include "parallel_kit.h"

/* Sums of doubles, of which no two trees give the same bits. */
static double
number_at(size_t i)
{
    uint64_t x = (uint64_t)i * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    return (double)(int64_t)(x * 0xbf58476d1ce4e5b9u) * (i % 3 ? 1e-9 : 1e9);
}

static int
add_numbers(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)ctx;
    double sum = *(double *)acc;
    for (size_t i = begin; i < end; i++) sum += number_at(i);
    *(double *)acc = sum;
    return 0;
}

static void
add_sums(void *into, const void *from, void *ctx)
{
    (void)ctx;
    *(double *)into += *(const double *)from;
}

static const weft_reduction sum = {sizeof(double), &zero, add_numbers, add_sums};

/* The tree, as it is promised: leaves of grain iterations, halved with the odd one on the right. */
static double
sum_tree(size_t begin, size_t end, size_t grain, size_t first, size_t leaves)
{
    double total = 0;
    if (leaves == 1) {
        size_t from = begin + first * grain, to = end - from > grain ? from + grain : end;
        add_numbers(from, to, &total, NULL);
        return total;
    }
    total = sum_tree(begin, end, grain, first, leaves / 2);
    return total + sum_tree(begin, end, grain, first + leaves / 2, leaves - leaves / 2);
}

struct sums {
    size_t begin, length, grain;
    double expected;
};

static int
check_sums(void *arg)
{
    struct sums *s = arg;
    for (int i = 0; i < 100; i++) {
        double total = -1;
        CHECK_INT(weft_reduce(s[i].begin, s[i].begin + s[i].length, s[i].grain, &sum, NULL, &total), 0);
        if (!CHECK(memcmp(&total, &s[i].expected, sizeof total) == 0))
            test__note("begin %zu, length %zu, grain %zu", s[i].begin, s[i].length, s[i].grain);
    }
    return 0;
}

TEST(parallel_reduce, bits, "reduce: any number of workers gives the bits of the one tree")
{
    static const int workers[] = {1, 2, 3, 16};
    unsigned state = test_seed();
    struct sums s[100];
    for (int i = 0; i < 100; i++) {
        s[i].length = 1 + (i % 4 ? dice(&state, 300) : dice(&state, 30000));
        s[i].grain = i % 5 ? 1 + dice(&state, 1 + (unsigned)s[i].length / (1 + dice(&state, 300))) : 0;
        s[i].begin = i % 2 ? dice(&state, 1000) : SIZE_MAX - s[i].length;
        size_t end = s[i].begin + s[i].length, grain = s[i].grain ? s[i].grain : (s[i].length + 255) / 256;
        s[i].expected = sum_tree(s[i].begin, end, grain, 0, (s[i].length + grain - 1) / grain);
    }
    for (int i = 0; i < 4; i++) CHECK_INT(run_on(workers[i], check_sums, s), 0);
}

/* Words over a small alphabet, with the length in front: what is concatenated out of order shows. */
enum { WORD = 600 };

struct word {
    size_t length;
    char text[WORD];
};

static int
spell(size_t begin, size_t end, void *acc, void *ctx)
{
    struct word *w = acc;
    if (ctx) weft_yield();
    for (size_t i = begin; i < end; i++)
        if (CHECK(w->length < WORD)) w->text[w->length++] = (char)('a' + i * i % 26);
    return 0;
}

static void
concatenate(void *into, const void *from, void *ctx)
{
    struct word *w = into;
    const struct word *tail = from;
    if (ctx) weft_yield();
    if (!CHECK(w->length + tail->length <= WORD)) return;
    memcpy(w->text + w->length, tail->text, tail->length);
    w->length += tail->length;
}

static void
check_words(void *ctx)
{
    static const struct word empty;
    const weft_reduction words = {sizeof(struct word), &empty, spell, concatenate};
    for (size_t grain = 0; grain < 9; grain++) {
        for (size_t length = 1; length < WORD; length += length / 3 + 1) {
            struct word whole = empty, result;
            memset(&result, 'x', sizeof result);
            spell(3, 3 + length, &whole, NULL);
            CHECK_INT(weft_reduce(3, 3 + length, grain, &words, ctx, &result), 0);
            CHECK_INT(result.length, length);
            CHECK(memcmp(result.text, whole.text, length) == 0);
        }
    }
}

TASK_TEST(parallel_reduce, order, "reduce: the order is kept where combining does not commute")
{
    check_words(NULL);
}

TASK_TEST(parallel_reduce, parks, "reduce: map and combine may park")
{
    int yield;
    check_words(&yield);
}

TASK_TEST(parallel_reduce, identity, "reduce: accumulators start as the identity, and an empty range gives it")
{
    for (size_t grain = 0; grain < 5; grain++) {
        struct matrix serial = unit, result = {{{5, 5}, {5, 5}}};
        multiply_range(10, 10010, &serial, NULL);
        CHECK_INT(weft_reduce(10, 10010, grain, &product, NULL, &result), 0);
        CHECK(memcmp(&serial, &result, sizeof result) == 0);
        CHECK_INT(weft_reduce(10, 10, grain, &product, NULL, &result), 0);
        CHECK(memcmp(&unit, &result, sizeof result) == 0);
    }
}

static int
multiply_nested(size_t begin, size_t end, void *acc, void *ctx)
{
    struct matrix part;
    int code = weft_reduce(begin, end, 3, &product, ctx, &part);
    multiply(acc, &part, ctx);
    return code;
}

TASK_TEST(parallel_reduce, nested, "reduce: reductions may be nested")
{
    const weft_reduction nested = {sizeof(struct matrix), &unit, multiply_nested, multiply};
    struct matrix serial = unit, result;
    multiply_range(0, 2000, &serial, NULL);
    CHECK_INT(weft_reduce(0, 2000, 100, &nested, NULL, &result), 0);
    CHECK(memcmp(&serial, &result, sizeof result) == 0);
}

/* Accumulators of any size: byte k gets the sum of all i * (k + 1). */
static int
add_bytes(size_t begin, size_t end, void *acc, void *ctx)
{
    size_t size = *(size_t *)ctx, align = size & (~size + 1); /* its largest power of two */
    CHECK_INT((uintptr_t)acc % (align < 64 ? align : 64), 0);
    unsigned char *bytes = acc;
    size_t first = 0;
    for (size_t i = begin; i < end; i++) first += i;
    for (size_t k = 0; k < size; k++) bytes[k] = (unsigned char)(bytes[k] + first * (k + 1));
    return 0;
}

static void
combine_bytes(void *into, const void *from, void *ctx)
{
    unsigned char *a = into;
    const unsigned char *b = from;
    for (size_t k = 0; k < *(size_t *)ctx; k++) a[k] = (unsigned char)(a[k] + b[k]);
}

static void
check_bytes(size_t size, size_t length, size_t grain)
{
    unsigned char *bytes = malloc(size + 1), *none = calloc(size, 1);
    const weft_reduction r = {size, none, add_bytes, combine_bytes};
    if (CHECK(bytes != NULL && none != NULL)) {
        memset(bytes, 0xee, size + 1);
        CHECK_INT(weft_reduce(0, length, grain, &r, &size, bytes), 0);
        bool right = bytes[size] == 0xee;
        for (size_t k = 0; k < size; k++)
            right = right && bytes[k] == (unsigned char)(length * (length - 1) / 2 * (k + 1));
        if (!CHECK(right)) test__note("size %zu, length %zu, grain %zu", size, length, grain);
    }
    free(bytes);
    free(none);
}

TASK_TEST(parallel_reduce, sizes,
          "reduce: an accumulator may be a byte, or a hundred thousand, and is aligned by its size")
{
    static const size_t sizes[] = {1, 2, 3, 7, 8, 24, 32, 64, 100, 127, 128, 129, 130, 192, 1000, 1024, 4096, 10001};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_bytes(sizes[i], 1, 0);
        check_bytes(sizes[i], 37, 1);
        check_bytes(sizes[i], 300, 0);
        check_bytes(sizes[i], 1000, 90);
    }
    check_bytes(100000, 300, TEST_SMALL ? 30 : 0);
}

static int
map_nothing(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)begin, (void)end, (void)acc;
    atomic_fetch_add((_Atomic int *)ctx, 1);
    return 0;
}

TASK_TEST(parallel_reduce, arguments, "reduce: what cannot be is an error, and the result is untouched")
{
    _Atomic int calls = 0;
    double total = 7;
    const weft_reduction good = {sizeof(double), &zero, map_nothing, add_sums};
    weft_reduction bad[] = {good, good, good, good};
    bad[0].size = 0;
    bad[1].identity = NULL;
    bad[2].map = NULL;
    bad[3].combine = NULL;
    for (int i = 0; i < 4; i++) CHECK_INT(weft_reduce(0, 9, 1, &bad[i], &calls, &total), WEFT_EINVAL);
    CHECK_INT(weft_reduce(1, 0, 1, &good, &calls, &total), WEFT_EINVAL);
    CHECK_INT(weft_reduce(0, 9, 1, NULL, &calls, &total), WEFT_EINVAL);
    CHECK_INT(weft_reduce(0, 9, 1, &good, &calls, NULL), WEFT_EINVAL);
    weft_reduction huge = good;
    huge.size = SIZE_MAX;
    CHECK_INT(weft_reduce(0, 9, 1, &huge, &calls, &total), WEFT_ENOMEM);
    huge.size = PTRDIFF_MAX;
    CHECK_INT(weft_reduce(0, 9, 1, &huge, &calls, &total), WEFT_ENOMEM);
    CHECK_INT(calls, 0);
    CHECK(total == 7);
    CHECK_INT(weft_reduce(0, 1000000, 0, &good, &calls, &total), 0);
    CHECK(calls >= 1 && calls <= 256);
    calls = 0;
    CHECK_INT(weft_reduce(0, SIZE_MAX, SIZE_MAX / 8, &good, &calls, &total), 0);
    CHECK_INT(calls, 9);
    CHECK(total == 0);
}

static int
fail_map(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)acc;
    return fail_some(begin, end, ctx);
}

static int
reduce_failing(void *arg)
{
    static const unsigned char none[1000];
    unsigned char result[1000];
    memset(result, 'x', sizeof result);
    for (size_t size = 8; size <= sizeof result; size += 992) {
        weft_reduction r = {size, none, fail_map, combine_nothing};
        for (size_t i = 0; i < 500; i += 83) {
            struct failing f = {.fails = {i}, .count = 1, .alone = *(int *)arg == 1};
            CHECK_INT(weft_reduce(0, 500, 1, &r, &f, result), -1000 - (int)i);
        }
    }
    for (size_t k = 0; k < sizeof result; k++) CHECK_INT(result[k], 'x');
    return 0;
}

TEST(parallel_reduce, fails,
     "reduce: a failure is returned, what has not started is skipped, and the result is untouched")
{
    for (int workers = 1; workers <= 4; workers++) CHECK_INT(run_on(workers, reduce_failing, &workers), 0);
}

static int
reduce_failing_thrice(void *arg)
{
    static const double nothing;
    double result;
    return weft_reduce(0, 500, 1, &(weft_reduction){sizeof nothing, &nothing, fail_map, combine_nothing}, arg, &result);
}

/* Those that fail wait for each other, so each must be in a part of its own: one in sixteen is forked, unless there is a single
 * worker. */
TASK_TEST(parallel_reduce, lowest_failure,
          "reduce: of several failures the lowest index counts, with its code and its text")
{
    unsigned state = test_seed();
    for (int i = scaled(100); i > 0; i--) {
        struct failing f = {.count = weft_nworkers() > 1 ? 3 : 1};
        for (int k = 0; k < 3; k++) f.fails[k] = (size_t)k * 167 + dice(&state, 100);
        weft_task *t = spawned(reduce_failing_thrice, &f);
        CHECK_INT(weft_wait(t), WEFT_ECHILD);
        CHECK_INT(weft_task_error(t), -1000 - (int)f.fails[0]);
        char text[32];
        snprintf(text, sizeof text, "iteration %zu", f.fails[0]);
        CHECK_STR(weft_task_message(t), text);
        weft_task_release(t);
    }
}

static int
gather_map(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)acc;
    return gather(begin, end, ctx);
}

static int
gather_reduce(void *arg)
{
    (void)arg;
    struct gathering g = {.wanted = weft_nworkers()};
    const weft_reduction r = {sizeof(double), &zero, gather_map, combine_nothing};
    double result;
    CHECK_INT(weft_reduce(0, 1000, 0, &r, &g, &result), 0);
    CHECK_INT(g.workers, g.wanted);
    return 0;
}

TEST(parallel_reduce, all_workers, "reduce: every worker gets a part")
{
    for (int workers = 1; workers <= 4; workers++) CHECK_INT(run_on(workers, gather_reduce, NULL), 0);
}
