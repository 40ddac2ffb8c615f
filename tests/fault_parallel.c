/* fault_parallel.c - loops, reductions, and the fork of two, with faults. */
#include "fault_kit.h"

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
    if (!fault_start(3, 0)) return;
    loops(&runs);
    FAULT_CHECK(weft_stop() == 0);
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
    if (!fault_start(2, 0)) return;
    reductions(NULL);
    FAULT_CHECK(weft_stop() == 0);
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
    if (!fault_start(2, 0)) return;
    forks(NULL);
    FAULT_CHECK(weft_stop() == 0);
}
