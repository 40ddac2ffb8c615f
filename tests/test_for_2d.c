/* test_for_2d.c - tiles: each element once, tiles no larger than the grain and about square; failures and cancellations. */
#include <stdlib.h>
#include <weft/scope.h>

#include "parallel_kit.h"

struct field {
    size_t rows, cols, grain;
    _Atomic unsigned char *times;
    _Atomic size_t total;
    _Atomic int tiles;
};

static int
cover(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    struct field *f = ctx;
    size_t rows = r1 - r0, cols = c1 - c0;
    CHECK(r0 < r1 && r1 <= f->rows && c0 < c1 && c1 <= f->cols);
    if (f->grain) CHECK(rows * cols <= f->grain);
    for (size_t r = r0; f->times && r < r1; r++)
        for (size_t c = c0; c < c1; c++) atomic_fetch_add(&f->times[r * f->cols + c], 1);
    atomic_fetch_add(&f->total, rows * cols);
    atomic_fetch_add(&f->tiles, 1);
    return 0;
}

static void
cover_field(size_t rows, size_t cols, size_t grain)
{
    struct field f = {.rows = rows, .cols = cols, .grain = grain};
    f.times = calloc(rows * cols + 1, 1);
    if (!CHECK(f.times != NULL)) return;
    CHECK_INT(weft_for_2d(rows, cols, grain, cover, &f), 0);
    CHECK_INT(f.total, rows * cols);
    bool once = true;
    for (size_t i = 0; i < rows * cols; i++) once = once && f.times[i] == 1;
    if (!CHECK(once)) test__note("%zu by %zu, grain %zu", rows, cols, grain);
    free(f.times);
}

TASK_TEST(for_2d, once, "for 2-d: each element is in exactly one tile, none larger than the grain")
{
    static const size_t sides[] = {0, 1, 2, 3, 7, 16, 33, 100};
    static const size_t grains[] = {0, 1, 2, 5, 64, 99, 10000, SIZE_MAX};
    enum { SIDES = sizeof sides / sizeof *sides, GRAINS = sizeof grains / sizeof *grains };
    for (size_t i = 0; i < SIDES; i++)
        for (size_t k = 0; k < SIDES; k++)
            for (size_t g = 0; g < GRAINS; g++)
                if (grains[g] != 1 || sides[i] * sides[k] < 500) cover_field(sides[i], sides[k], grains[g]);
}

TASK_TEST(for_2d, random, "for 2-d: each element is in exactly one tile, with random sides and grains")
{
    unsigned state = test_seed();
    for (int i = scaled(300); i > 0; i--) {
        size_t rows = dice(&state, 90), cols = dice(&state, dice(&state, 2) ? 90 : 900);
        size_t grain = dice(&state, 4) ? 1 + dice(&state, (unsigned)(rows * cols) + 2) : 0;
        cover_field(rows, cols, grain < rows * cols / 1000 ? 0 : grain);
    }
}

TASK_TEST(for_2d, arguments,
          "for 2-d: an empty side calls nothing; a body that is missing, or too many elements, are errors")
{
    struct field f = {.rows = 5, .cols = 5};
    CHECK_INT(weft_for_2d(0, SIZE_MAX, 0, cover, &f), 0);
    CHECK_INT(weft_for_2d(SIZE_MAX, 0, 3, cover, &f), 0);
    CHECK_INT(weft_for_2d(3, 3, 0, NULL, &f), WEFT_EINVAL);
    CHECK_INT(weft_for_2d(SIZE_MAX, 2, SIZE_MAX, cover, &f), WEFT_EINVAL);
    CHECK_INT(f.tiles, 0);
    struct field all = {.rows = SIZE_MAX, .cols = 1, .grain = SIZE_MAX / 100};
    CHECK_INT(weft_for_2d(SIZE_MAX, 1, all.grain, cover, &all), 0);
    CHECK(all.total == SIZE_MAX);
}

struct shape {
    _Atomic size_t longest;
    _Atomic int tiles;
};

static int
look_at_shape(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    struct shape *s = ctx;
    size_t rows = r1 - r0, cols = c1 - c0, side = rows > cols ? rows : cols;
    size_t seen = atomic_load(&s->longest);
    while (seen < side && !atomic_compare_exchange_weak(&s->longest, &seen, side)) {
    }
    atomic_fetch_add(&s->tiles, 1);
    return 0;
}

TASK_TEST(for_2d, square, "for 2-d: tiles are as high as wide, where the numbers allow it")
{
    struct shape s = {0}, flat = {0};
    CHECK_INT(weft_for_2d(256, 256, 64, look_at_shape, &s), 0);
    CHECK_INT(s.tiles, 1024);
    CHECK_INT(s.longest, 8);
    CHECK_INT(weft_for_2d(4, 1024, 16, look_at_shape, &flat), 0);
    CHECK_INT(flat.tiles, 256);
    CHECK_INT(flat.longest, 4);
}

struct trouble {
    size_t rows[2], cols[2];
    _Atomic int arrived;
};

static int
fail_twice(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    struct trouble *t = ctx;
    CHECK(r1 - r0 == 1 && c1 - c0 == 1);
    for (int i = 0; i < 2; i++) {
        if (r0 != t->rows[i] || c0 != t->cols[i]) continue;
        atomic_fetch_add(&t->arrived, 1);
        until(&t->arrived, 2);
        return weft_fail(-1000 - (int)(r0 * 20 + c0), "row %zu", r0);
    }
    return 0;
}

TASK_TEST(for_2d, lowest_failure, "for 2-d: of several failures that of the first element, row by row, counts")
{
    unsigned state = test_seed();
    for (int i = scaled(100); i > 0; i--) {
        struct trouble t = {.arrived = 0};
        for (int k = 0; k < 2; k++) {
            t.rows[k] = dice(&state, 10) + (k ? 10 : 0);
            t.cols[k] = dice(&state, 20);
        }
        CHECK_INT(weft_for_2d(20, 20, 1, fail_twice, &t), -1000 - (int)(t.rows[0] * 20 + t.cols[0]));
    }
}

static int
cancel_all(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    (void)r0, (void)r1, (void)c0, (void)c1;
    weft_scope_cancel(ctx, 0);
    return 0;
}

TASK_TEST(for_2d, cancelled, "for 2-d: a cancellation ends it, and the caller is told")
{
    for (size_t grain = 0; grain < 2; grain++) {
        weft_scope s;
        weft_scope_open(&s, 0, WEFT_FOREVER);
        CHECK_INT(weft_for_2d(SIZE_MAX / 8, 8, grain, cancel_all, &s), WEFT_ECANCELED);
        CHECK_INT(weft_for_2d(3, 3, grain, cancel_all, &s), WEFT_ECANCELED);
        CHECK_INT(weft_scope_close(&s, 0), 0);
    }
}
