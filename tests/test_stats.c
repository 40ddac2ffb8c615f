/* test_stats.c - weft_stats_get: that the counters count what they say. */
#include "task_kit.h"

#include <pthread.h>
#include <time.h>

static weft_stats
stats(void)
{
    weft_stats s = {.size = sizeof s};
    CHECK_INT(weft_stats_get(&s), 0);
    return s;
}

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

enum { CHILDREN = 100 };

static int
spawn_and_join(void *arg)
{
    weft_task *t[CHILDREN];
    (void)arg;
    for (int i = 0; i < CHILDREN; i++) t[i] = spawned(nothing, NULL);
    CHECK_INT(stats().live, CHILDREN + 1);
    for (int i = 0; i < CHILDREN; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(stats().live, 1);
    return 0;
}

TEST(stats, in_place, "stats: tasks that are joined before they started ran in place, others on stacks")
{
    weft_stats a = stats();
    CHECK_INT(run_on(1, spawn_and_join, NULL), 0);
    weft_stats b = stats();
    CHECK_INT(b.total.spawned - a.total.spawned, CHILDREN + 1);
    CHECK_INT(b.total.ended - a.total.ended, CHILDREN + 1);
    CHECK_INT(b.total.started - a.total.started, 1); /* the root task */
    CHECK_INT(b.in_place - a.in_place, CHILDREN);
    CHECK_INT(b.total.stolen - a.total.stolen, 0);
    CHECK_INT(b.workers, 0);
    CHECK_INT(b.live, 0);
}

static int
put_all(void *arg)
{
    (void)arg;
    meet_often(CHILDREN);
    return 0;
}

TEST(stats, parked, "stats: every wait that switches away is counted")
{
    weft_stats a = stats();
    CHECK_INT(run_on(1, put_all, NULL), 0);
    weft_stats b = stats();
    /* of the two that meet, one waits; and not more often than once for each value and at the end */
    CHECK(b.total.parked - a.total.parked >= CHILDREN);
    CHECK(b.total.parked - a.total.parked <= 2 * CHILDREN + 2);
    CHECK_INT(b.total.started - a.total.started, 2);
}

static int
set(void *arg)
{
    atomic_store((_Atomic int *)arg, 1);
    return 0;
}

/* The child is in this worker's deque, and the worker is kept busy: only a thief can run it. */
static int
be_robbed(void *arg)
{
    _Atomic int ran = 0;
    (void)arg;
    weft_task *t = spawned(set, &ran);
    spin_until(&ran, 1);
    return weft_join(t);
}

TEST(stats, stolen, "stats: what one worker takes from another is counted as stolen, by the thief")
{
    weft_stats a = stats();
    CHECK_INT(run_on(2, be_robbed, NULL), 0);
    weft_stats b = stats();
    CHECK(b.total.stolen > a.total.stolen);
    CHECK(b.total.searches > a.total.searches);
    CHECK_INT(b.total.started - a.total.started, 2);
}

TEST(stats, idle, "stats: sleeps are counted, and the time asleep grows while a worker sleeps")
{
    enum { MOST = 64 };
    weft_worker_stats worker[MOST];
    weft_stats s = {.size = sizeof s, .worker = worker, .room = MOST};
    int64_t idle = 0;
    CHECK_INT(weft_start(NULL), 0);
    int n = weft_nworkers();
    if (!CHECK(n <= MOST)) n = MOST;
    for (int k = 0; k < n; k++) worker[k].sleeps = 0;
    for (int k = 0; k<n; k = worker[k].sleeps> 0 ? k + 1 : k) { /* all of them come to sleep */
        CHECK_INT(weft_stats_get(&s), 0);
        sched_yield();
    }
    CHECK_INT(s.workers, n);
    for (int k = 0; k < n; k++) idle += worker[k].idle_ns;
    CHECK_INT(weft_sleep(20 * WEFT_MS), 0);
    CHECK_INT(weft_stats_get(&s), 0);
    for (int k = 0; k < n; k++) idle -= worker[k].idle_ns;
    CHECK(idle < 0);
    CHECK_INT(weft_stop(), 0);
}

TEST(stats, workers, "stats: the workers' counts and those of plain threads add up to the total")
{
    enum { MOST = 64 };
    weft_worker_stats worker[MOST];
    weft_stats a = stats(), b = {.size = sizeof b, .worker = worker, .room = MOST};
    CHECK_INT(weft_start(NULL), 0);
    for (int i = 0; i < CHILDREN; i++) CHECK_INT(weft_join(spawned(nothing, NULL)), 0);
    do CHECK_INT(weft_stats_get(&b), 0);
    while (b.live > 0); /* an ended task is counted after its waiter has been woken */
    uint64_t ended = 0;
    for (int k = 0; k < b.workers; k++) ended += worker[k].ended;
    CHECK_INT(ended, CHILDREN);
    CHECK_INT(b.total.ended - a.total.ended, CHILDREN);
    CHECK_INT(b.total.spawned - a.total.spawned, CHILDREN);
    CHECK_INT(weft_stop(), 0);
    weft_stats c = stats();
    CHECK_INT(c.total.ended, b.total.ended);
    CHECK_INT(c.total.spawned, b.total.spawned);
    CHECK_INT(c.workers, 0);
}

TEST(stats, arguments, "stats: what cannot be filled is refused, and left alone")
{
    weft_worker_stats one = {.spawned = 77};
    weft_stats s = {.size = sizeof s + 1, .live = 77};
    CHECK_INT(weft_stats_get(NULL), WEFT_EINVAL);
    CHECK_INT(weft_stats_get(&s), WEFT_EINVAL);
    s = (weft_stats){.size = 1, .live = 77};
    CHECK_INT(weft_stats_get(&s), WEFT_EINVAL);
    s = (weft_stats){.room = 1, .live = 77};
    CHECK_INT(weft_stats_get(&s), WEFT_EINVAL);
    s = (weft_stats){.room = -1, .worker = &one, .live = 77};
    CHECK_INT(weft_stats_get(&s), WEFT_EINVAL);
    CHECK_INT(s.live, 77);
    s = (weft_stats){.room = 0, .worker = &one};
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_stats_get(&s), 0);
    CHECK_INT(s.workers, weft_nworkers());
    CHECK_INT(one.spawned, 77);
    CHECK_INT(weft_stop(), 0);
}
