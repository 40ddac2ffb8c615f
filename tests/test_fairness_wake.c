/* test_fairness_wake.c - who was made ready runs: beside a busy waker, from outside, from timers; in equal shares. */
#include "task_kit.h"

enum { LIMIT = 1000000 };

struct scene {
    _Atomic int go, ran, turns;
    bool sticky, woken;
    weft_task *sleeper;
    weft_channel *channel;
};

static int
run_at_once(void *arg)
{
    struct scene *s = arg;
    atomic_store(&s->ran, 1);
    return 0;
}

static int
park_and_run(void *arg)
{
    CHECK_INT(weft_park(NULL), 0);
    return run_at_once(arg);
}

static int
take_and_run(void *arg)
{
    struct scene *s = arg;
    CHECK_INT(weft_channel_take(s->channel, NULL), 0);
    return run_at_once(s);
}

/* A task that parks soon; returns when it has begun to. */
static weft_task *
begun(weft_fn *fn, struct scene *s)
{
    weft_task *t = spawned(fn, s);
    while (!weft_task_isstarted(t)) weft_yield();
    for (int i = 0; i < 10; i++) weft_yield();
    return t;
}

/* With the others: computes until the woken task has run beside it.  Alone: yields, after which it has run. */
static void
compute_until_run(struct scene *s)
{
    if (weft_nworkers() > 1) {
        spin_until(&s->ran, 1);
    } else {
        weft_yield();
        CHECK(atomic_load(&s->ran));
    }
}

static int
spawn_and_compute(void *arg)
{
    for (int i = 0; i < 50; i++) {
        struct scene s = {.ran = 0};
        weft_task *t = spawned(run_at_once, &s);
        compute_until_run(&s);
        CHECK_INT(weft_join(t), 0);
    }
    return arg ? WEFT_EINVAL : 0;
}

static int
wake_and_compute(void *arg)
{
    for (int i = 0; i < 50; i++) {
        struct scene s = {.ran = 0};
        weft_task *t = begun(park_and_run, &s);
        CHECK_INT(weft_schedule(t), 0);
        compute_until_run(&s);
        CHECK_INT(weft_join(t), 0);
    }
    return arg ? WEFT_EINVAL : 0;
}

static int
put_and_compute(void *arg)
{
    for (int i = 0; i < 50; i++) {
        struct scene s = {.ran = 0};
        CHECK_INT(weft_channel_new(&s.channel, 0, (size_t)i % 2), 0);
        weft_task *t = begun(take_and_run, &s);
        CHECK_INT(weft_channel_put(s.channel, ""), 0);
        compute_until_run(&s);
        CHECK_INT(weft_join(t), 0);
        weft_channel_release(s.channel);
    }
    return arg ? WEFT_EINVAL : 0;
}

TEST(fairness, waker_computes, "fairness: a task that was made ready runs though its waker computes on")
{
    int workers[] = {1, 2, test_workers()};
    for (int i = 0; i < 3; i++) {
        CHECK_INT(run_on(workers[i], spawn_and_compute, NULL), 0);
        CHECK_INT(run_on(workers[i], wake_and_compute, NULL), 0);
        CHECK_INT(run_on(workers[i], put_and_compute, NULL), 0);
    }
}

/* Keeps its worker busy with yields; counts them once it is told to. */
static int
storm(void *arg)
{
    struct scene *s = arg;
    while (!atomic_load(&s->ran)) {
        if (atomic_load(&s->go) && atomic_fetch_add(&s->turns, 1) >= LIMIT) break;
        weft_yield();
    }
    return 0;
}

/* Starts workers that are all busy, lets hand_over make a task ready from this plain thread, and sees it run. */
static void
from_outside(int workers, bool sticky, weft_task *(*hand_over)(struct scene *s))
{
    weft_config cfg = {.size = sizeof cfg, .workers = workers};
    struct scene s = {.sticky = sticky};
    weft_task *t[32];
    int storms = workers * 2 < 32 ? workers * 2 : 32;
    CHECK_INT(weft_start(&cfg), 0);
    for (int i = 0; i < storms; i++) t[i] = i % 2 ? asynced(storm, &s) : spawned(storm, &s);
    weft_task *v = hand_over(&s);
    if (workers == 1) atomic_store(&s.go, 1);
    CHECK_INT(weft_wait(v), 0);
    CHECK(atomic_load(&s.turns) < LIMIT);
    for (int i = 0; i < storms; i++) CHECK_INT(weft_join(t[i]), 0);
    weft_task_release(v);
    CHECK_INT(weft_stop(), 0);
}

static weft_task *
spawn_from_outside(struct scene *s)
{
    return s->sticky ? asynced(run_at_once, s) : spawned(run_at_once, s);
}

static weft_task *
wake_from_outside(struct scene *s)
{
    weft_task *t = s->sticky ? asynced(park_and_run, s) : spawned(park_and_run, s);
    while (!weft_task_isstarted(t)) sched_yield();
    CHECK_INT(weft_schedule(t), 0);
    return t;
}

static int
sleep_and_run(void *arg)
{
    CHECK_INT(weft_sleep(WEFT_MS), 0);
    return run_at_once(arg);
}

static weft_task *
sleep_from_outside(struct scene *s)
{
    weft_task *t = s->sticky ? asynced(sleep_and_run, s) : spawned(sleep_and_run, s);
    while (!weft_task_isdone(t)) sched_yield();
    return t;
}

TEST(fairness, outside, "fairness: what plain threads spawn and wake runs though every worker is busy")
{
    int workers[] = {1, 2, test_workers()};
    for (int i = 0; i < 6; i++) {
        from_outside(workers[i / 2], i % 2, spawn_from_outside);
        from_outside(workers[i / 2], i % 2, wake_from_outside);
    }
}

TEST(fairness, timers, "fairness: a sleeper wakes though every worker is busy")
{
    int workers[] = {1, 2, test_workers()};
    for (int i = 0; i < 6; i++) from_outside(workers[i / 2], i % 2, sleep_from_outside);
}

struct share {
    _Atomic int *finished;
    _Atomic int turns;
    int turns_at_first_finish;
};

enum { SHARES = 8, SHARE = 10000 };

static struct share shares[SHARES];

static int
take_share(void *arg)
{
    struct share *s = arg;
    while (atomic_load(&s->turns) < SHARE) {
        atomic_fetch_add(&s->turns, 1);
        weft_yield();
    }
    if (atomic_fetch_add(s->finished, 1) == 0) {
        for (int i = 0; i < SHARES; i++) shares[i].turns_at_first_finish = atomic_load(&shares[i].turns);
    }
    return 0;
}

static int
share_worker(void *arg)
{
    _Atomic int finished = 0;
    weft_task *t[SHARES];
    for (int i = 0; i < SHARES; i++) {
        shares[i] = (struct share){.finished = &finished};
        t[i] = arg && i % 2 ? asynced(take_share, &shares[i]) : spawned(take_share, &shares[i]);
    }
    for (int i = 0; i < SHARES; i++) CHECK_INT(weft_join(t[i]), 0);
    for (int i = 0; i < SHARES; i++) CHECK(shares[i].turns_at_first_finish > SHARE / 2);
    return 0;
}

TEST(fairness, shares, "fairness: tasks that yield on one worker get about equal shares, sticky or not")
{
    static int mixed = 1;
    CHECK_INT(run_on(1, share_worker, NULL), 0);
    CHECK_INT(run_on(1, share_worker, &mixed), 0);
}

static int
poll_until_run(void *arg)
{
    struct scene *s = arg;
    atomic_store(&s->go, 1);
    while (!atomic_load(&s->ran)) weft_yield();
    return 0;
}

/* Two workers: one computes, the other has nothing but a task that polls.  What is ready is new, or has just been woken. */
static int
compute_beside_a_poller(void *arg)
{
    struct scene *s = arg;
    weft_task *parked = s->woken ? begun(park_and_run, s) : NULL, *poller = spawned(poll_until_run, s);
    spin_until(&s->go, 1);
    weft_task *t = parked ? parked : spawned(run_at_once, s);
    if (parked) CHECK_INT(weft_schedule(parked), 0);
    weft_time end = weft_in(20 * WEFT_S);
    while (!atomic_load(&s->ran) && weft_now() < end) sched_yield();
    CHECK(atomic_load(&s->ran)); /* while this worker computed */
    atomic_store(&s->ran, 1);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_join(poller), 0);
    return 0;
}

TEST(fairness, beside_a_poller, "fairness: what is ready at a busy worker is run by one whose only task polls")
{
    for (int i = 0; i < 6; i++) {
        struct scene s = {.woken = i % 2};
        CHECK_INT(run_on(2, compute_beside_a_poller, &s), 0);
    }
}
