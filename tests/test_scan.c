/* test_scan.c - running combinations against a plain loop: sizes, orders, places, failures and cancellations. */
#include <stdlib.h>
#include <string.h>
#include <weft/scope.h>

#include "parallel_kit.h"

static void
add(void *into, const void *from, void *ctx)
{
    uint64_t a, b;
    memcpy(&a, into, sizeof a);
    memcpy(&b, from, sizeof b);
    a += b;
    memcpy(into, &a, sizeof a);
    if (ctx) weft_yield();
}

static uint64_t *
numbers(size_t n)
{
    uint64_t *v = calloc(n + 1, sizeof *v);
    if (CHECK(v != NULL))
        for (size_t i = 0; i < n; i++) v[i] = i * i + 7;
    return v;
}

static bool
are_sums(const uint64_t *v, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += i * i + 7;
        if (v[i] != sum) return false;
    }
    return true;
}

static void
scan_numbers(size_t n, bool in_place, void *ctx)
{
    uint64_t *in = numbers(n), *out = in_place ? in : numbers(n);
    if (!in || !out) return;
    in[n] = out[n] = 99;
    CHECK_INT(weft_scan(out, in, n, sizeof *in, add, ctx), 0);
    if (!CHECK(are_sums(out, n) && out[n] == 99)) test__note("%zu elements", n);
    if (!in_place) {
        bool untouched = true;
        for (size_t i = 0; i < n; i++) untouched = untouched && in[i] == i * i + 7;
        CHECK(untouched);
        free(out);
    }
    free(in);
}

TASK_TEST(scan, lengths, "scan: as a loop would do it, for any length, in place or not")
{
    static const size_t lengths[] = {0, 1, 2, 3, 63, 64, 65, 127, 128, 129, 1000, 4096, 20001};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int k = 0; k < 2; k++) scan_numbers(lengths[i], k, NULL);
}

TASK_TEST(scan, random, "scan: as a loop would do it, for random lengths; operations may yield")
{
    unsigned state = test_seed(), yields = 0;
    for (int i = scaled(100); i > 0; i--) {
        bool slow = dice(&state, 4) == 0;
        scan_numbers(dice(&state, slow ? 300 : 20000), dice(&state, 2), slow ? &yields : NULL);
    }
}

/* Neither commutative nor of a usual size. */
TASK_TEST(scan, order, "scan: combines in order, from the left")
{
    enum { N = 3000 };
    static struct matrix in[N], out[N];
    struct matrix serial = {{{0, 0}, {0, 0}}};
    for (size_t i = 0; i < N; i++) in[i] = (struct matrix){{{i, 1}, {i * i + 3, i + 7}}};
    CHECK_INT(weft_scan(out, in, N, sizeof *in, multiply, NULL), 0);
    bool same = true;
    for (size_t i = 0; i < N; i++) {
        if (i == 0) serial = in[0];
        else multiply(&serial, &in[i], NULL);
        same = same && memcmp(&serial, &out[i], sizeof serial) == 0;
    }
    CHECK(same);
}

/* Elements too large for a frame, of an odd size. */
struct wide {
    unsigned char b[301];
};

static void
add_wide(void *into, const void *from, void *ctx)
{
    struct wide *a = into;
    const struct wide *b = from;
    (void)ctx;
    for (size_t i = 0; i < sizeof a->b; i++) a->b[i] = (unsigned char)(a->b[i] + b->b[i]);
}

TASK_TEST(scan, sizes, "scan: elements of any size")
{
    enum { N = 700 };
    struct wide *v = calloc(N, sizeof *v);
    if (!CHECK(v != NULL)) return;
    for (size_t i = 0; i < N; i++) memset(v[i].b, (int)(i % 251), sizeof v[i].b);
    CHECK_INT(weft_scan(v, v, N, sizeof *v, add_wide, NULL), 0);
    unsigned sum = 0;
    bool same = true;
    for (size_t i = 0; i < N; i++) {
        sum += (unsigned)(i % 251);
        for (size_t k = 0; k < sizeof v[i].b; k++) same = same && v[i].b[k] == (unsigned char)sum;
    }
    CHECK(same);
    free(v);
}

static void
add_bytes(void *into, const void *from, void *ctx)
{
    unsigned char *a = into;
    const unsigned char *b = from;
    for (size_t k = 0; k < *(size_t *)ctx; k++) a[k] = (unsigned char)(a[k] + b[k]);
}

TASK_TEST(scan, random_sizes, "scan: random lengths of elements of random sizes")
{
    unsigned state = test_seed();
    for (int i = scaled(60); i > 0; i--) {
        size_t size = 1 + dice(&state, 200), n = dice(&state, 1500);
        unsigned char *in = malloc(n * size + 1), *out = malloc(n * size + 1);
        if (CHECK(in && out)) {
            for (size_t k = 0; k < n * size; k++) in[k] = (unsigned char)dice(&state, 256);
            CHECK_INT(weft_scan(out, in, n, size, add_bytes, &size), 0);
            for (size_t k = size; k < n * size; k++) in[k] = (unsigned char)(in[k] + in[k - size]);
            if (!CHECK(memcmp(in, out, n * size) == 0)) test__note("%zu elements of %zu bytes", n, size);
        }
        free(in);
        free(out);
    }
}

/* With a step in which every worker must take part: what they take is repaired. */
struct party {
    struct gathering gathering;
};

static void
add_together(void *into, const void *from, void *ctx)
{
    struct party *p = ctx;
    (void)gather(0, 1, &p->gathering);
    add(into, from, NULL);
}

static int
scan_together(void *arg)
{
    (void)arg;
    struct party p = {.gathering = {.wanted = weft_nworkers()}};
    enum { N = 5000 };
    uint64_t *v = numbers(N);
    if (!v) return 0;
    CHECK_INT(weft_scan(v, v, N, sizeof *v, add_together, &p), 0);
    CHECK(are_sums(v, N));
    CHECK_INT(p.gathering.workers, p.gathering.wanted);
    free(v);
    return 0;
}

TEST(scan, all_workers, "scan: every worker gets a part, and the result is the same")
{
    for (int workers = 1; workers <= 4; workers++) CHECK_INT(run_on(workers, scan_together, NULL), 0);
}

TASK_TEST(scan, arguments, "scan: what cannot be is an error; nothing to do is not")
{
    uint64_t v[2] = {1, 2};
    CHECK_INT(weft_scan(NULL, NULL, 0, 8, add, NULL), 0);
    CHECK_INT(weft_scan(v, v, 2, 8, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_scan(v, v, 2, 0, add, NULL), WEFT_EINVAL);
    CHECK_INT(weft_scan(NULL, v, 2, 8, add, NULL), WEFT_EINVAL);
    CHECK_INT(weft_scan(v, NULL, 2, 8, add, NULL), WEFT_EINVAL);
    CHECK_INT(weft_scan(v, v, SIZE_MAX / 4, 8, add, NULL), WEFT_EINVAL);
    CHECK_INT(weft_scan(v, v, SIZE_MAX, SIZE_MAX, add, NULL), WEFT_EINVAL);
    CHECK_INT(weft_scan(v, v, (size_t)PTRDIFF_MAX / 8 + 1, 8, add, NULL), WEFT_EINVAL);
    CHECK_INT(weft_scan(v, v, 2, (size_t)PTRDIFF_MAX, add, NULL), WEFT_EINVAL);
    CHECK(v[0] == 1 && v[1] == 2);
}

static void
cancel_and_add(void *into, const void *from, void *ctx)
{
    weft_scope_cancel(ctx, 0);
    add(into, from, NULL);
}

TASK_TEST(scan, cancelled, "scan: a cancellation ends it, and the caller is told")
{
    enum { N = 100000 };
    uint64_t *v = numbers(N);
    weft_scope s;
    if (!v) return;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int code = weft_scan(v, v, N, sizeof *v, cancel_and_add, &s);
    if (weft_nworkers() > 1) CHECK_INT(code, WEFT_ECANCELED); /* one worker has done it all before it looks */
    CHECK_INT(weft_scan(v, v, 1, sizeof *v, add, NULL), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    free(v);
}
