/* fault_sets.c - sets of tasks, maps, static loops, loops over a channel, and tickers, with faults. */
#include "fault_kit.h"

#include <string.h>

enum { LENGTH = 120, TASKS = 50 };

static _Atomic unsigned char met[LENGTH];

static void
forget(void)
{
    for (int i = 0; i < LENGTH; i++) atomic_store(&met[i], 0);
}

/* Every one once if all is well, at most once if not. */
static void
check_met(bool all, int n)
{
    for (int i = 0; i < n; i++) FAULT_CHECK(atomic_load(&met[i]) <= 1 && (!all || atomic_load(&met[i]) == 1));
}

static int
meet(size_t begin, size_t end, void *ctx)
{
    if (ctx) weft_yield();
    for (size_t i = begin; i < end; i++) atomic_fetch_add(&met[i], 1);
    return 0;
}

/* ---- Sets ---- */

static int
end_later(void *arg)
{
    for (intptr_t k = (intptr_t)arg % 3; k > 0; k--) weft_yield();
    return 0;
}

static int
sets(void *arg)
{
    weft_task *t[TASKS], *left[TASKS];
    (void)arg;
    fault_arm();
    for (int i = 0; i < TASKS; i++) {
        t[i] = NULL;
        fault_may(weft_spawn(&t[i], end_later, (void *)(intptr_t)i));
        left[i] = t[i];
    }
    int rc;
    while ((rc = weft_waitany(left, TASKS)) >= 0) { /* more than have their registrations on the stack */
        FAULT_CHECK(weft_task_isdone(left[rc]));
        left[rc] = NULL;
    }
    if (rc != WEFT_ENOENT) fault_may(rc);
    rc = weft_waitall(t, TASKS, WEFT_FAILFAST);
    if (rc != WEFT_ECHILD) fault_may(rc); /* one had no stack, and failed */
    rc = weft_waitall(t, TASKS, 0);
    if (rc != WEFT_ECHILD) fault_may(rc);
    for (int i = 0; i < TASKS; i++) {
        FAULT_CHECK(!t[i] || weft_task_isdone(t[i]));
        if (t[i]) fault_may(weft_join(t[i]));
    }
    return 0;
}

FAULT_SCENARIO(task_sets, F_ALL, "waitany, waitall: an end is told of, or there was no memory to wait for it")
{
    fault_on_task(3, 0, sets);
}

FAULT_SCENARIO(task_sets_outside, F_ALL, "waitany, waitall: by a plain thread")
{
    fault_on_thread(2, sets, NULL);
}

/* ---- Maps ---- */

static int
negate(const void *in, void *out, size_t count, void *ctx)
{
    const int *x = in;
    int *y = out;
    (void)ctx;
    for (size_t i = 0; i < count; i++) {
        if (i % 2) weft_yield();
        atomic_fetch_add(&met[x[i]], 1);
        y[i] = -x[i];
    }
    return 0;
}

static size_t
one_more(void *ctx)
{
    return ++*(size_t *)ctx / 8;
}

static void
map_with(const weft_map_options *opt)
{
    int x[LENGTH], y[LENGTH];
    size_t asked = 0;
    forget();
    for (int i = 0; i < LENGTH; i++) x[i] = i;
    memset(y, 0x55, sizeof y);
    bool all = fault_may(weft_map(x, sizeof *x, y, sizeof *y, LENGTH, negate, &asked, opt));
    check_met(all, LENGTH);
    for (int i = 0; all && i < LENGTH; i++) FAULT_CHECK(y[i] == -i);
}

static int
maps(void *arg)
{
    (void)arg;
    fault_arm();
    map_with(NULL);
    map_with(&(weft_map_options){.ntasks = 7, .batch = 5});
    map_with(&(weft_map_options){.ntasks_fn = one_more, .batch = 3});
    return 0;
}

FAULT_SCENARIO(maps_in_task, F_ALL,
               "map: each element once, by as many tasks as there is memory for, or the call fails")
{
    fault_on_task(3, 0, maps);
}

FAULT_SCENARIO(maps_outside, F_ALL, "map: called by a plain thread")
{
    fault_on_thread(2, maps, NULL);
}

/* ---- Static loops ---- */

static int
static_loops(void *arg)
{
    fault_arm();
    for (int i = 0; i < 3; i++) {
        forget();
        check_met(fault_may(weft_for_static(0, LENGTH, meet, i == 1 ? (void *)met : arg)), LENGTH);
    }
    return 0;
}

FAULT_SCENARIO(static_loops_in_task, F_ALL, "for_static: each iteration once, or the call fails and none runs twice")
{
    fault_on_task(3, 0, static_loops);
}

FAULT_SCENARIO(static_loops_many, F_MEMORY, "for_static: with more workers than have their chunks on the stack")
{
    fault_on_task(20, 0, static_loops);
}

/* ---- Loops over a channel ---- */

struct value {
    int number;
    char more[300]; /* too large for the stack */
};

static int
meet_value(void *value, void *ctx)
{
    const struct value *v = value;
    (void)ctx;
    weft_yield();
    atomic_fetch_add(&met[v->number], 1);
    return 0;
}

static int
channel_loops(void *arg)
{
    weft_channel *c;
    struct value v = {.number = 0};
    (void)arg;
    fault_arm();
    if (!fault_may(weft_channel_new(&c, sizeof v, WEFT_UNBOUNDED))) return 0;
    forget();
    int n = 0;
    while (n < 40 && fault_may(weft_channel_put(c, &v))) v.number = ++n;
    weft_channel_close(c, 0);
    check_met(fault_may(weft_for_each(c, 20, meet_value, NULL)), n);
    weft_channel_release(c);
    return 0;
}

FAULT_SCENARIO(channel_loops_in_task, F_ALL, "for_each: each value once, by as many tasks as there is memory for")
{
    fault_on_task(3, 0, channel_loops);
}

FAULT_SCENARIO(channel_loops_outside, F_ALL, "for_each: called by a plain thread")
{
    fault_on_thread(2, channel_loops, NULL);
}

/* ---- Tickers ---- */

static int
tick_often(void *arg)
{
    weft_ticker t;
    (void)arg;
    fault_arm();
    FAULT_CHECK(weft_ticker_init(&t, WEFT_NOW, 200 * WEFT_US, WEFT_BURST) == 0);
    for (int i = 0; i < 8; i++) fault_may(weft_tick(&t));
    fault_may(weft_for(0, 100, 1, meet, NULL));
    FAULT_CHECK(weft_ticker_close(&t));
    FAULT_CHECK(weft_tick(&t) == WEFT_ECLOSED);
    return 0;
}

FAULT_SCENARIO(ticks, F_ALL, "tickers: they tick, and allocate nothing")
{
    fault_on_task(2, 0, tick_often);
}
