/* fault_parallel.c - loops, reductions, scans, sorts, and the fork of two, with faults. */
#include "fault_kit.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH = 400, LARGE = 4096 };

static _Atomic unsigned char met[LENGTH];
static _Atomic int runs;

static int
meet(size_t begin, size_t end, void *ctx)
{
    if (ctx) weft_yield();
    for (size_t i = begin; i < end; i++) atomic_fetch_add(&met[i], 1);
    return 0;
}

/* Every iteration once if it succeeds, at most once if not. */
static void
loop(size_t grain, void *ctx)
{
    for (int i = 0; i < LENGTH; i++) atomic_store(&met[i], 0);
    bool all = fault_may(weft_for(0, LENGTH, grain, meet, ctx));
    for (int i = 0; i < LENGTH; i++) FAULT_CHECK(atomic_load(&met[i]) <= 1 && (!all || atomic_load(&met[i]) == 1));
}

static int
loops(void *arg)
{
    fault_arm();
    loop(0, NULL);
    loop(1, NULL);
    loop(7, arg ? NULL : &runs);
    return 0;
}

FAULT_SCENARIO(loops_in_task, F_ALL, "for: each iteration runs once, or the call fails and none runs twice")
{
    fault_on_task(3, 0, loops);
}

FAULT_SCENARIO(loops_outside, F_ALL, "for: called by a plain thread")
{
    fault_on_thread(3, loops, &runs);
}

/* ---- Reductions ---- */

static int
map(size_t begin, size_t end, void *acc, void *ctx)
{
    if (ctx) weft_yield();
    for (size_t i = begin; i < end; i++) *(long *)acc += (long)i;
    return 0;
}

static void
combine(void *into, const void *from, void *ctx)
{
    (void)ctx;
    *(long *)into += *(const long *)from;
}

static void
reduce(size_t size, void *ctx)
{
    static const long zero[LARGE / sizeof(long)];
    long result[LARGE / sizeof(long)];
    weft_reduction r = {.size = size, .identity = zero, .map = map, .combine = combine};
    memset(result, 0x55, sizeof result);
    long untouched = result[0];
    if (fault_may(weft_reduce(0, LENGTH, 3, &r, ctx, result))) FAULT_CHECK(result[0] == LENGTH * (LENGTH - 1) / 2);
    else FAULT_CHECK(result[0] == untouched);
}

static int
reductions(void *arg)
{
    fault_arm();
    reduce(sizeof(long), arg);
    reduce(LARGE, arg);
    reduce(LARGE, NULL);
    return 0;
}

static int
reductions_that_park(void *arg)
{
    (void)arg;
    return reductions(&runs);
}

FAULT_SCENARIO(reductions_in_task, F_ALL, "reduce: the result is right, or untouched and the code says why")
{
    fault_on_task(3, 0, reductions_that_park);
}

FAULT_SCENARIO(reductions_outside, F_MEMORY, "reduce: called by a plain thread")
{
    fault_on_thread(2, reductions, NULL);
}

/* ---- Scans and sorts ---- */

static void
add_first(void *into, const void *from, void *ctx)
{
    if (ctx) weft_yield();
    *(long *)into += *(const long *)from;
}

static void
scan(size_t size, void *ctx)
{
    enum { N = 300 };
    char *v = malloc(N * size);
    if (!v) return;
    memset(v, 0, N * size);
    for (size_t i = 0; i < N; i++) *(long *)(void *)(v + i * size) = (long)i;
    bool right = true;
    if (fault_may(weft_scan(v, v, N, size, add_first, ctx)))
        for (size_t i = 0; i < N; i++) right = right && *(long *)(void *)(v + i * size) == (long)(i * (i + 1) / 2);
    FAULT_CHECK(right);
    free(v);
}

struct entry {
    unsigned key, number, rest;
};

static int
compare(const void *a, const void *b, void *ctx)
{
    unsigned x = ((const struct entry *)a)->key, y = ((const struct entry *)b)->key;
    if (ctx && (x ^ y) % 64 == 0) weft_yield();
    return (x > y) - (x < y);
}

/* Sorted and stable, or all are there. size: 8, or 12, which is sorted by addresses. */
static void
sort(size_t size, void *ctx)
{
    enum { N = 5000 };
    char *v = malloc(N * size);
    if (!v) return;
    for (unsigned i = 0; i < N; i++) memcpy(v + i * size, &(struct entry){i * 7919 % 1000, i, 1}, size);
    bool sorted = fault_may(weft_sort(v, N, size, compare, ctx)), good = true;
    unsigned long sum = 0;
    for (size_t i = 0; i < N; i++) {
        struct entry a, b;
        memcpy(&b, v + i * size, size);
        sum += b.number;
        if (!sorted || i == 0) continue;
        memcpy(&a, v + (i - 1) * size, size);
        good = good && (a.key < b.key || (a.key == b.key && a.number < b.number));
    }
    FAULT_CHECK(good && sum == N * (N - 1ul) / 2);
    free(v);
}

static int
scans_and_sorts(void *arg)
{
    fault_arm();
    scan(sizeof(long), arg);
    scan(200, arg);
    sort(8, arg);
    sort(12, arg);
    return 0;
}

static int
scans_and_sorts_that_park(void *arg)
{
    (void)arg;
    return scans_and_sorts(&runs);
}

FAULT_SCENARIO(scans_and_sorts_in_task, F_ALL,
               "scan, sort: the result is right, or nothing is lost and the code says why")
{
    fault_on_task(3, 0, scans_and_sorts_that_park);
}

FAULT_SCENARIO(scans_and_sorts_outside, F_MEMORY, "scan, sort: called by a plain thread")
{
    fault_on_thread(2, scans_and_sorts, NULL);
}

/* ---- Both ---- */

static int
fork_two(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0) {
        atomic_fetch_add(&runs, 1);
        weft_yield();
        return 0;
    }
    return weft_both(fork_two, (void *)(depth - 1), fork_two, (void *)(depth - 1));
}

static int
forks(void *arg)
{
    (void)arg;
    atomic_store(&runs, 0);
    fault_arm();
    FAULT_CHECK(weft_both(fork_two, (void *)7, fork_two, (void *)7) == 0); /* without memory both run here */
    FAULT_CHECK(atomic_load(&runs) == 256);
    return 0;
}

FAULT_SCENARIO(forks_in_task, F_ALL, "both: each side runs once, whether or not there is memory to fork")
{
    fault_on_task(3, 0, forks);
}

FAULT_SCENARIO(forks_outside, F_ALL, "both: called by a plain thread")
{
    fault_on_thread(2, forks, NULL);
}

/* ---- In a scope: whatever is short, it is not cancelled for that ---- */

static int
meet_tile(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    (void)ctx;
    weft_yield();
    for (size_t r = r0; r < r1; r++)
        for (size_t c = c0; c < c1; c++) atomic_fetch_add(&met[r * 20 + c], 1);
    return 0;
}

static void
tiles(void)
{
    for (int i = 0; i < LENGTH; i++) atomic_store(&met[i], 0);
    bool all = fault_may(weft_for_2d(20, 20, 30, meet_tile, NULL));
    for (int i = 0; i < LENGTH; i++) FAULT_CHECK(atomic_load(&met[i]) <= 1 && (!all || atomic_load(&met[i]) == 1));
}

struct large {
    int numbers[50];
};

static int
meet_large(void *value, void *ctx)
{
    (void)ctx;
    weft_yield();
    atomic_fetch_add(&met[((const struct large *)value)->numbers[7]], 1);
    return 0;
}

/* More consumers than there are places for on the stack, and values that have none there either. */
static void
large_values(weft_channel *c)
{
    for (int i = 0; i < LENGTH; i++) atomic_store(&met[i], 0);
    bool all = fault_may(weft_for_each(c, 20, meet_large, NULL));
    for (int i = 0; i < 40; i++) FAULT_CHECK(atomic_load(&met[i]) <= 1 && (!all || atomic_load(&met[i]) == 1));
}

static int
in_scope(void *arg)
{
    weft_scope s;
    weft_channel *c;
    (void)arg;
    if (!FAULT_CHECK(weft_channel_new(&c, sizeof(struct large), 40) == 0)) return 0;
    for (int i = 0; i < 40; i++) FAULT_CHECK(weft_channel_put(c, &(struct large){.numbers[7] = i}) == 0);
    weft_channel_close(c, 0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    fault_arm();
    loop(1, &runs);
    tiles();
    reduce(LARGE, &runs);
    large_values(c);
    atomic_store(&runs, 0);
    FAULT_CHECK(weft_both(fork_two, (void *)5, fork_two, (void *)5) == 0);
    FAULT_CHECK(atomic_load(&runs) == 64);
    FAULT_CHECK(weft_check() == 0);
    FAULT_CHECK(weft_scope_close(&s, 0) == 0);
    weft_channel_release(c);
    return 0;
}

FAULT_SCENARIO(loops_in_scope, F_ALL, "loops in a scope: a helper that cannot run is no failure of the scope")
{
    fault_on_task(3, 0, in_scope);
}
