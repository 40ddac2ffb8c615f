/* fault_start.c - starting and stopping, with faults. */
#include "fault_bodies.h"

#include <stdlib.h>

enum { F_STARTING = F_MEMORY | F_THREAD | F_ATFORK | F_FUTEX };

static int
count(void *arg)
{
    (void)arg;
    FAULT_CHECK(fault_guarded());
    return (int)atomic_fetch_add(&runs, 1);
}

/* How many workers there are if this run's fault keeps some from being created, of `wanted`, `first` of them the caller. */
static int
workers_left(int wanted, int first)
{
    if (!(fault_current()->calls & F_THREAD) || fault_count() == 0) return wanted;
    int created = fault_nth() - 1 + first;
    return created < wanted ? created : wanted;
}

FAULT_SCENARIO(start_stop, F_ALL | F_LIE,
               "start: it runs with the workers that there are, or says why not, and leaves nothing behind")
{
    weft_config cfg = {.size = sizeof cfg, .workers = 3, .interactive = 1, .bind = WEFT_BIND_NONE};
    weft_task *t = NULL;
    fault_arm();
    int rc = weft_start(&cfg);
    if (!fault_may(rc)) return;
    int n = workers_left(4, 0);
    FAULT_CHECK(weft_nworkers() == (n < 3 ? n : 3));
    if (n < 4) FAULT_CHECK(fault_said("of 4 workers: the thread of the next could not be created"));
    FAULT_CHECK(weft_start(&cfg) == WEFT_EBUSY);
    if (fault_may(weft_spawn(&t, count, NULL))) fault_may(weft_join(t));
    FAULT_CHECK(weft_stop() == 0);
}

/* hwloc looks at this machine, and not at the one that is made up to save time. */
static void
real_machine(void)
{
    unsetenv("HWLOC_SYNTHETIC");
    unsetenv("HWLOC_THISSYSTEM");
}

FAULT_SCENARIO(start_bound, F_ALL,
               "start: with workers that are bound to cores, and everything that is known of the machine")
{
    weft_config cfg = {.size = sizeof cfg, .workers = 1, .bind = WEFT_BIND_AUTO};
    real_machine();
    fault_arm();
    if (fault_may(weft_start(&cfg))) FAULT_CHECK(weft_stop() == 0);
}

static int
root(void *arg)
{
    weft_task *t;
    int n = *(int *)arg;
    fault_disarm();
    atomic_fetch_add(&runs, 1);
    FAULT_CHECK(weft_nworkers() == n);
    FAULT_CHECK(weft_spawn(&t, count, NULL) == 0 && weft_join(t) >= 0);
    fault_arm();
    return 7;
}

/* weft_run with that configuration: the root task runs once, or not at all and the code says why. */
static void
run_root(const weft_config *cfg, int workers)
{
    int n = workers_left(workers, 1);
    atomic_store(&runs, 0);
    fault_arm();
    /* how many threads can be created is known beforehand: one fault is a plan */
    if (fault_current()->calls & F_THREAD) n = fault_nth() < workers ? fault_nth() : workers;
    int rc = weft_run(cfg, root, &n);
    if (fault_may(rc)) FAULT_CHECK(rc == 7 && atomic_load(&runs) == 2);
    else FAULT_CHECK(atomic_load(&runs) == 0);
}

FAULT_SCENARIO(run_three, F_ALL | F_LIE,
               "run: the root task runs once, on the workers that there are, or the code says why not")
{
    weft_config cfg = {.size = sizeof cfg, .workers = 3, .bind = WEFT_BIND_NONE};
    run_root(&cfg, 3);
}

FAULT_SCENARIO(run_bound, F_ALL, "run: the caller's affinity is what it was, whatever fails")
{
    weft_config cfg = {.size = sizeof cfg, .workers = 1};
    real_machine();
    run_root(&cfg, 1);
}

/* ---- The calls that start the runtime if it does not run ---- */

/* What a call that was armed and has started the runtime leaves running is stopped. */
static void
stop_if_started(void)
{
    int rc = weft_stop();
    FAULT_CHECK(rc == 0 || rc == WEFT_ENOENT);
}

FAULT_SCENARIO(implicit_spawn, F_STARTING | F_LIE, "spawn: it starts the runtime, or says why not; no task exists then")
{
    weft_task *const mark = (weft_task *)(void *)&runs, *t = mark;
    atomic_store(&runs, 0);
    fault_arm();
    if (fault_may(weft_spawn(&t, count, NULL))) {
        int rc = weft_join(t);
        if (fault_may(rc)) FAULT_CHECK(atomic_load(&runs) == 1);
        else FAULT_CHECK(atomic_load(&runs) == 0);
    } else {
        FAULT_CHECK(t == mark && atomic_load(&runs) == 0);
    }
    stop_if_started();
}

FAULT_SCENARIO(implicit_workers, F_STARTING, "nworkers: it starts the runtime, or says why not")
{
    fault_arm();
    fault_may(weft_nworkers());
    stop_if_started();
}

FAULT_SCENARIO(implicit_for, F_STARTING, "for: it starts the runtime; each iteration runs once, or none does")
{
    atomic_store(&runs, 0);
    fault_arm();
    if (fault_may(weft_for(0, 100, 7, piece, NULL))) FAULT_CHECK(atomic_load(&runs) == 100);
    else FAULT_CHECK(atomic_load(&runs) == 0);
    stop_if_started();
}

FAULT_SCENARIO(implicit_reduce, F_STARTING, "reduce: it starts the runtime; the result is right, or untouched")
{
    long zero = 0, result = -5;
    weft_reduction r = {.size = sizeof zero, .identity = &zero, .map = map, .combine = combine};
    fault_arm();
    if (fault_may(weft_reduce(0, 1000, 10, &r, NULL, &result))) FAULT_CHECK(result == 1000);
    else FAULT_CHECK(result == -5);
    stop_if_started();
}

FAULT_SCENARIO(implicit_both, F_STARTING, "both: it starts the runtime; both sides run once, or neither does")
{
    atomic_store(&runs, 0);
    fault_arm();
    if (fault_may(weft_both(count, NULL, count, NULL))) FAULT_CHECK(atomic_load(&runs) == 2);
    else FAULT_CHECK(atomic_load(&runs) == 0);
    stop_if_started();
}

FAULT_SCENARIO(implicit_channel, F_STARTING, "channel_spawn: it starts the runtime; the channel ends as its task does")
{
    weft_channel *const mark = (weft_channel *)(void *)&runs, *c = mark;
    int x = 0;
    fault_arm();
    if (fault_may(weft_channel_spawn(&c, sizeof x, 0, feed, NULL, NULL))) {
        if (fault_may(weft_channel_take(c, &x))) FAULT_CHECK(x == 5);
        weft_channel_release(c);
    } else {
        FAULT_CHECK(c == mark);
    }
    stop_if_started();
}
