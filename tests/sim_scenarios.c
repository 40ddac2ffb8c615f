/* sim_scenarios.c - short programs that come near the narrow places of the protocols, again and again; for the simulator.
 *
 * The ordinary tests are about what calls do; these are about steps that must not fall between each other.  Each is a
 * number of rounds of a few hundred operations, drawn from the seed. */
#include <pthread.h>

#include "task_kit.h"

enum { ROUNDS = 12, MANY_ROUNDS = 40, MOST = 8 };

static unsigned random_state;

static int
some(int least, int most)
{
    return least + (int)dice(&random_state, (unsigned)(most - least + 1));
}

static void
begin_rounds(void)
{
    random_state = test_seed();
}

static int
some_workers(void)
{
    return some(1, 4);
}

static void
start_with(int workers)
{
    weft_config cfg = {.size = sizeof cfg, .workers = workers};
    CHECK_INT(weft_start(&cfg), 0);
}

/* ---- Stop against threads that come late (lifecycle.c) ---- */

struct late {
    unsigned flags;
    int tasks;
    bool joins;
    _Atomic int ran, accepted;
};

static int
count_run(void *arg)
{
    atomic_fetch_add(&((struct late *)arg)->ran, 1);
    return 0;
}

static void
count_drop(void *arg)
{
    count_run(arg);
}

/* Spawns until it is refused. */
static void *
spawn_late(void *arg)
{
    struct late *l = arg;
    weft_task_options opt = {.size = sizeof opt, .drop = count_drop, .flags = l->flags};
    for (int i = 0; i < l->tasks; i++) {
        weft_task *t = NULL;
        int rc = weft_spawn_with(l->joins ? &t : NULL, count_run, l, &opt);
        if (rc < 0) CHECK_INT(rc, WEFT_ESHUTDOWN);
        else atomic_fetch_add(&l->accepted, 1);
        if (rc == 0 && l->joins) {
            rc = weft_join(t);
            CHECK(rc == 0 || rc == WEFT_ECANCELED);
        }
    }
    return NULL;
}

TEST(sim, late_spawns, "stop: what threads spawn while it comes is run, dropped, or refused")
{
    begin_rounds();
    for (int round = 0; round < ROUNDS; round++) {
        static const unsigned kinds[] = {0, WEFT_STICKY, WEFT_DAEMON, WEFT_STICKY | WEFT_DAEMON};
        struct late l = {.flags = kinds[some(0, 3)], .tasks = some(1, 3), .joins = some(0, 1)};
        pthread_t threads[2];
        int n = some(1, 2);
        start_with(some_workers());
        for (int i = 0; i < n; i++) CHECK_INT(pthread_create(&threads[i], NULL, spawn_late, &l), 0);
        for (int k = some(0, 3); k > 0; k--) sched_yield();
        CHECK_INT(weft_stop(), 0);
        for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
        weft_stop(); /* a thread that came quite late has started it again */
        CHECK_INT(atomic_load(&l.ran), atomic_load(&l.accepted));
    }
}

/* The runtime stops and starts beneath a thread that spawns. */
static void *
spawn_throughout(void *arg)
{
    struct late *l = arg;
    for (int i = 0; i < l->tasks; i++) {
        int rc = weft_spawn(NULL, count_run, l);
        if (rc < 0) CHECK_INT(rc, WEFT_ESHUTDOWN);
        else atomic_fetch_add(&l->accepted, 1);
    }
    return NULL;
}

static int
do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

TEST(sim, runs_after_runs, "run: one after the other ends, whatever threads spawn meanwhile")
{
    begin_rounds();
    struct late l = {.tasks = some(5, 20)};
    pthread_t threads[3];
    int workers = some_workers(), n = some(1, 3);
    CHECK_INT(run_on(workers, do_nothing, NULL), 0);
    for (int i = 0; i < n; i++) CHECK_INT(pthread_create(&threads[i], NULL, spawn_throughout, &l), 0);
    for (int round = 0; round < ROUNDS; round++) {
        weft_config cfg = {.size = sizeof cfg, .workers = workers};
        int rc = weft_run(&cfg, do_nothing, NULL);
        CHECK(rc == 0 || rc == WEFT_EBUSY); /* a thread was faster */
        if (rc == WEFT_EBUSY) weft_stop();
        for (int k = some(0, 2); k > 0; k--) sched_yield();
    }
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    weft_stop();
}

/* ---- Sleep and wake (idle.c) ---- */

struct meeting {
    _Atomic int arrived;
    int wanted;
};

/* Keeps its worker until all the others are there. */
static int
meet(void *arg)
{
    struct meeting *m = arg;
    atomic_fetch_add(&m->arrived, 1);
    spin_until(&m->arrived, m->wanted);
    return 0;
}

static void
meet_once(int workers)
{
    struct meeting m = {.wanted = workers};
    weft_task *t[MOST];
    for (int i = 0; i < workers; i++) t[i] = spawned(meet, &m);
    for (int i = 0; i < workers; i++) CHECK_INT(weft_wait_until(t[i], weft_in(3600 * WEFT_S)), 0);
    for (int i = 0; i < workers; i++) weft_task_release(t[i]);
}

TEST(sim, meetings, "idle: as many tasks as workers, from outside, run at the same time")
{
    begin_rounds();
    int workers = some(2, 4);
    start_with(workers);
    for (int round = 0; round < ROUNDS; round++) {
        meet_once(workers);
        if (some(0, 1)) weft_sleep(some(0, 200) * WEFT_US);
    }
    CHECK_INT(weft_stop(), 0);
}

/* The root task spawns for all the other workers, and keeps its own. */
static int
meet_others(void *arg)
{
    int workers = *(int *)arg;
    for (int round = 0; round < ROUNDS; round++) {
        struct meeting m = {.wanted = workers};
        weft_task *t[MOST];
        for (int i = 1; i < workers; i++) t[i] = spawned(meet, &m);
        meet(&m);
        for (int i = 1; i < workers; i++) CHECK_INT(weft_join(t[i]), 0);
        if (some(0, 1)) CHECK_INT(weft_sleep(some(0, 200) * WEFT_US), 0);
    }
    return 0;
}

TEST(sim, spawner_computes, "idle: a task that goes on computing needs not come back for others to run what it spawned")
{
    begin_rounds();
    int workers = some(2, 4);
    CHECK_INT(run_on(workers, meet_others, &workers), 0);
}

/* A hand-off: whoever wakes goes on computing. */
struct handed {
    weft_channel *c;
    _Atomic int woken;
};

static int
wait_for_value(void *arg)
{
    struct handed *h = arg;
    for (int i = 0; i < ROUNDS; i++) {
        int value;
        CHECK_INT(weft_channel_take(h->c, &value), 0);
        atomic_fetch_add(&h->woken, 1);
    }
    return 0;
}

static int
wake_and_compute(void *arg)
{
    struct handed h = {.woken = 0};
    (void)arg;
    CHECK_INT(weft_channel_new(&h.c, sizeof(int), 0), 0);
    weft_task *t = spawned(wait_for_value, &h);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_INT(weft_channel_put(h.c, &i), 0);
        spin_until(&h.woken, i + 1); /* only another worker can run it */
        if (some(0, 3) == 0) CHECK_INT(weft_sleep(some(0, 100) * WEFT_US), 0);
    }
    CHECK_INT(weft_join(t), 0);
    weft_channel_release(h.c);
    return 0;
}

TEST(sim, waker_computes, "idle: what a task woke runs elsewhere while that task computes")
{
    begin_rounds();
    CHECK_INT(run_on(some(2, 4), wake_and_compute, NULL), 0);
}

/* The same, while another worker is kept busy by a sticky task that a thread gave it. */
static int
spin_until_woken(void *arg)
{
    struct {
        struct handed *h;
        int round;
    } *s = arg;
    spin_until(&s->h->woken, s->round);
    return 0;
}

static int
wake_beside(void *arg)
{
    struct handed *h = arg;
    weft_task *t = spawned(wait_for_value, h);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_INT(weft_channel_put(h->c, &i), 0);
        spin_until(&h->woken, i + 1);
        CHECK_INT(weft_sleep(some(0, 2000) * WEFT_US), 0);
    }
    return weft_join(t);
}

TEST(sim, waker_computes_beside, "idle: what a task woke runs though its watcher was given something else to do")
{
    begin_rounds();
    struct handed h = {.woken = 0};
    weft_task_options opt = {.size = sizeof opt, .flags = WEFT_STICKY};
    CHECK_INT(weft_channel_new(&h.c, sizeof(int), 0), 0);
    start_with(some(3, 4));
    weft_task *waker = spawned(wake_beside, &h), *t;
    for (int i = 0; i < ROUNDS; i++) {
        struct {
            struct handed *h;
            int round;
        } s = {&h, i + 1};
        if (some(0, 1)) weft_sleep(some(0, 2000) * WEFT_US);
        CHECK_INT(weft_spawn_with(&t, spin_until_woken, &s, &opt), 0);
        CHECK_INT(weft_join(t), 0);
    }
    CHECK_INT(weft_join(waker), 0);
    CHECK_INT(weft_stop(), 0);
    weft_channel_release(h.c);
}

/* ---- Deadlines (timerq.c, idle.c) ---- */

/* Waits for a short time again and again; sometimes it is served before. */
static int
wait_shortly(void *arg)
{
    weft_channel *c = arg;
    for (int i = 0; i < MANY_ROUNDS; i++) {
        int value;
        int64_t length = some(0, 300) * WEFT_US;
        weft_time begin = weft_now(), limit = begin + length;
        int rc = weft_channel_take_until(c, &value, limit);
        CHECK(rc == 0 || rc == WEFT_ETIMEDOUT);
        if (rc == WEFT_ETIMEDOUT) CHECK(weft_now() >= limit);
    }
    return 0;
}

static int
wait_in_groups(void *arg)
{
    int n = some(1, 3);
    weft_task *t[MOST];
    weft_channel *c;
    (void)arg;
    CHECK_INT(weft_channel_new(&c, sizeof(int), 0), 0);
    for (int i = 0; i < n; i++) t[i] = spawned(wait_shortly, c);
    for (int i = 0; i < MANY_ROUNDS; i++) {
        int rc = weft_channel_put_until(c, &i, weft_in(some(0, 100) * WEFT_US));
        CHECK(rc == 0 || rc == WEFT_ETIMEDOUT);
        if (some(0, 1)) CHECK_INT(weft_sleep(some(0, 100) * WEFT_US), 0);
    }
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(t[i]), 0);
    weft_channel_release(c);
    return 0;
}

TEST(sim, deadlines, "timers: deadlines are met by whoever sleeps, while others are set and withdrawn")
{
    begin_rounds();
    CHECK_INT(run_on(some_workers(), wait_in_groups, NULL), 0);
}

/* ---- Park and wake (park.c, schedule.c) ---- */

struct parked {
    weft_task *task;
    _Atomic int round;
};

static int
park_often(void *arg)
{
    struct parked *p = arg;
    for (int i = 0; i < ROUNDS; i++) {
        void *value = NULL;
        CHECK_INT(weft_park(&value), 0);
        CHECK(value == (void *)(uintptr_t)(i + 1));
        atomic_store(&p->round, i + 1);
    }
    return 0;
}

static void *
wake_often(void *arg)
{
    struct parked *p = arg;
    for (int i = 0; i < ROUNDS; i++) {
        int rc;
        while ((rc = weft_schedule_value(p->task, (void *)(uintptr_t)(i + 1))) == WEFT_EBUSY) sched_yield();
        CHECK_INT(rc, 0);
        until(&p->round, i + 1);
    }
    return NULL;
}

TEST(sim, parks, "park: it takes the wake of a thread, whichever of them is first, once")
{
    begin_rounds();
    struct parked p[2] = {{.round = 0}, {.round = 0}};
    pthread_t threads[2];
    int n = some(1, 2);
    start_with(some_workers());
    for (int i = 0; i < n; i++) p[i].task = some(0, 1) ? spawned(park_often, &p[i]) : asynced(park_often, &p[i]);
    for (int i = 0; i < n; i++) CHECK_INT(pthread_create(&threads[i], NULL, wake_often, &p[i]), 0);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(p[i].task), 0);
    CHECK_INT(weft_stop(), 0);
}

/* Tasks that have just begun to wait, in every way, are cancelled by a stop. */
static int
wait_somehow(void *arg)
{
    struct {
        weft_channel *c;
        int way;
    } *w = arg;
    int value = 0;
    switch (w->way) {
    case 0:
        return weft_channel_take(w->c, &value);
    case 1:
        return weft_channel_put(w->c, &value);
    case 2:
        return weft_sleep(WEFT_S);
    case 3:
        return weft_park(NULL);
    default:
        return weft_channel_take_until(w->c, &value, weft_in(WEFT_S));
    }
}

TEST(sim, cancelled_waits, "stop: whoever waits, or is about to, is cancelled")
{
    begin_rounds();
    for (int round = 0; round < ROUNDS; round++) {
        struct {
            weft_channel *c;
            int way;
        } w[MOST];
        weft_task *t[MOST];
        int n = some(1, 4);
        start_with(some_workers());
        for (int i = 0; i < n; i++) {
            w[i].way = some(0, 4);
            CHECK_INT(weft_channel_new(&w[i].c, sizeof(int), 0), 0);
            t[i] = spawned(wait_somehow, &w[i]);
        }
        for (int k = some(0, 5); k > 0; k--) sched_yield();
        CHECK_INT(weft_stop(), 0);
        for (int i = 0; i < n; i++) {
            CHECK_INT(weft_join(t[i]), WEFT_ECANCELED);
            weft_channel_release(w[i].c);
        }
    }
}

/* ---- Claims (deque.c, join.c) ---- */

static int
add_one(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

static int
join_in_some_order(void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        _Atomic int met[MOST] = {0};
        weft_task *t[MOST];
        int n = some(1, MOST);
        for (int i = 0; i < n; i++) t[i] = spawned(add_one, (void *)&met[i]);
        for (int left = n; left > 0; left--) {
            int k = some(0, left - 1);
            if (some(0, 3) == 0) weft_yield();
            CHECK_INT(weft_join(t[k]), 0);
            t[k] = t[left - 1];
        }
        for (int i = 0; i < n; i++) CHECK_INT(atomic_load(&met[i]), 1);
    }
    return 0;
}

TEST(sim, joins, "join: in whatever order, against thieves, every task runs once")
{
    begin_rounds();
    CHECK_INT(run_on(some(2, 4), join_in_some_order, NULL), 0);
}
