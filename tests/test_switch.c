/* test_switch.c - the direct switches: weft_yield_to and weft_switch_to. */
#include "task_kit.h"

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
fail(void *arg)
{
    return *(int *)arg;
}

/* What a task found when it went on. */
struct parked {
    _Atomic int woken;
    int code;
    void *value;
};

static int
park(void *arg)
{
    struct parked *p = arg;
    p->value = p;
    p->code = weft_park(&p->value);
    atomic_store(&p->woken, 1);
    return 0;
}

/* A sticky task that is parked in weft_park. */
static weft_task *
parked_task(struct parked *p)
{
    *p = (struct parked){.code = 1};
    weft_task *t = asynced(park, p);
    weft_yield();
    CHECK(weft_task_isstarted(t));
    CHECK_INT(atomic_load(&p->woken), 0);
    return t;
}

static int
note_and_yield(void *arg)
{
    note(arg, 't');
    weft_yield();
    note(arg, 'T');
    return 0;
}

static int
note_other(void *arg)
{
    note(arg, 'o');
    return 0;
}

/* [J130] [J156] */
WORKER_TEST(yield_to, order, "yield_to: the task comes first, then who was ready, then the caller, then the task again")
{
    struct journal j = {.length = 0};
    weft_task *t = unscheduled(note_and_yield, &j, WEFT_STICKY);
    weft_task *other = asynced(note_other, &j);
    CHECK_INT(weft_yield_to(t), 0);
    note(&j, 'c');
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_join(other), 0);
    CHECK_STR(j.text, "tocT");
}

/* [J130] */
WORKER_TEST(yield_to, parked, "yield_to: a parked task is resumed, and gets no value")
{
    struct parked p;
    weft_task *t = parked_task(&p);
    CHECK_INT(weft_yield_to(t), 0);
    CHECK_INT(atomic_load(&p.woken), 1);
    CHECK_INT(p.code, 0);
    CHECK(p.value == NULL);
    CHECK_INT(weft_join(t), 0);
}

/* [J132] [J133] */
TASK_TEST(yield_to, refused, "yield_to: oneself is a deadlock, an ended task is busy")
{
    weft_task *t = spawned(nothing, NULL);
    CHECK_INT(weft_wait(t), 0);
    CHECK_INT(weft_yield_to(t), WEFT_EBUSY);
    CHECK_INT(weft_yield_to(weft_current()), WEFT_EDEADLK);
    CHECK_INT(weft_switch_to(weft_current(), NULL), WEFT_EDEADLK);
    weft_task_release(t);
}

/* Two sticky tasks that live on different workers: one parks, the other tries to switch to it. */
struct apart {
    _Atomic int arrived, parked;
    int worker;
    weft_task *first;
};

static int
park_apart(void *arg)
{
    struct apart *a = arg;
    atomic_store(&a->parked, 1);
    return weft_park(NULL);
}

static int
host_first(void *arg)
{
    struct apart *a = arg;
    a->worker = weft_worker();
    a->first = asynced(park_apart, a);
    atomic_fetch_add(&a->arrived, 1);
    spin_until(&a->arrived, 2);
    return 0;
}

static int
try_from_afar(void *arg)
{
    struct apart *a = arg;
    until(&a->parked, 1);
    CHECK(weft_worker() != a->worker);
    CHECK_INT(weft_yield_to(a->first), WEFT_EBUSY);
    CHECK_INT(weft_switch_to(a->first, NULL), WEFT_EBUSY);
    CHECK(!weft_task_isdone(a->first));
    CHECK_INT(weft_schedule(a->first), 0);
    return weft_join(a->first);
}

static int
host_second(void *arg)
{
    struct apart *a = arg;
    atomic_fetch_add(&a->arrived, 1);
    spin_until(&a->arrived, 2);
    return weft_join(asynced(try_from_afar, a));
}

TASK_TEST(yield_to, apart, "yield_to: a task that is bound to another worker is busy")
{
    if (test_workers() < 2) return;
    struct apart a = {.arrived = 0};
    weft_task *first = spawned(host_first, &a), *second = spawned(host_second, &a);
    CHECK_INT(weft_join(first), 0);
    CHECK_INT(weft_join(second), 0);
}

TEST(yield_to, outside, "yield_to: a plain thread schedules the task with it, and cannot switch")
{
    struct parked p = {.code = 1};
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = unscheduled(park, &p, 0);
    CHECK_INT(weft_switch_to(t, NULL), WEFT_ENOTSUP);
    CHECK_INT(weft_task_state(t), WEFT_INITIALIZED);
    CHECK_INT(weft_yield_to(t), 0);
    while (!weft_task_isstarted(t)) sched_yield();
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_stop(), 0);
}

/* Two tasks that hand values to each other. */
struct generator {
    weft_task *consumer;
    int last;
};

static int
generate(void *arg)
{
    struct generator *g = arg;
    for (int i = 1; i <= g->last; i++) {
        void *value = &i;
        CHECK_INT(weft_switch_to(g->consumer, &value), 0);
        CHECK(value == g);
    }
    CHECK_INT(weft_schedule_value(g->consumer, NULL), 0);
    return 77;
}

static void
consume(unsigned flags)
{
    struct generator g = {.consumer = weft_current(), .last = 1000};
    weft_task *t = unscheduled(generate, &g, flags);
    void *value = &value;
    CHECK_INT(weft_switch_to(t, &value), 0);
    for (int i = 1; i <= g.last; i++) {
        if (!CHECK(value != NULL)) return;
        CHECK_INT(*(int *)value, i);
        value = &g;
        CHECK_INT(weft_switch_to(t, &value), 0);
    }
    CHECK(value == NULL);
    CHECK_INT(weft_join(t), 77);
}

TASK_TEST(switch_to, values, "switch_to: two tasks hand each other a thousand values")
{
    consume(0);
}

WORKER_TEST(switch_to, sticky, "switch_to: two sticky tasks hand each other a thousand values")
{
    consume(WEFT_STICKY);
}

/* [J134] */
TASK_TEST(switch_to, ended, "switch_to: from a task that has ended, its code comes back at once")
{
    static int codes[] = {0, 42, -42};
    for (int i = 0; i < 3; i++) {
        void *value = &codes[i];
        weft_task *t = spawned(fail, &codes[i]);
        while (!weft_task_isdone(t)) weft_yield();
        CHECK_INT(weft_switch_to(t, &value), codes[i]);
        CHECK(value == &codes[i]);
        CHECK_INT(weft_switch_to(t, NULL), codes[i]);
        CHECK_INT(weft_join(t), codes[i]);
    }
}

static int
resume_with_error(void *arg)
{
    CHECK_INT(weft_schedule_error(arg, -88), 0);
    return 0;
}

TASK_TEST(switch_to, error, "switch_to: the error that the caller is resumed with is returned")
{
    weft_task *t = unscheduled(resume_with_error, weft_current(), 0);
    CHECK_INT(weft_switch_to(t, NULL), -88);
    CHECK_INT(weft_join(t), 0);
}

static int
take_one(void *arg)
{
    int x = 0;
    return weft_channel_take(arg, &x);
}

/* A sticky task that is parked in a channel, and cannot be switched to. */
static weft_task *
busy_task(weft_channel **c)
{
    CHECK_INT(weft_channel_new(c, sizeof(int), 0), 0);
    weft_task *t = asynced(take_one, *c);
    weft_yield();
    return t;
}

static void
end_busy_task(weft_task *t, weft_channel *c)
{
    CHECK_INT(weft_channel_put(c, &(int){1}), 0);
    CHECK_INT(weft_join(t), 0);
    weft_channel_release(c);
}

WORKER_TEST(switch_to, permit_kept, "switch_to: when it is refused, a wake-up that came before is not used up")
{
    weft_channel *c = NULL;
    weft_task *busy = busy_task(&c);
    int x = 0;
    void *value = &value;
    CHECK_INT(weft_schedule_value(weft_current(), &x), 0);
    CHECK_INT(weft_switch_to(busy, &value), WEFT_EBUSY);
    CHECK(value == &value);
    CHECK_INT(weft_schedule(weft_current()), WEFT_EBUSY);
    CHECK_INT(weft_park(&value), 0);
    CHECK(value == &x);
    end_busy_task(busy, c);
}

struct refused {
    weft_task *waiter, *busy;
    weft_channel *c;
    _Atomic int ready;
    int rounds;
};

static int
be_refused_and_park(void *arg)
{
    struct refused *r = arg;
    r->busy = busy_task(&r->c);
    r->waiter = weft_current();
    atomic_store(&r->ready, 1);
    for (int i = 0; i < r->rounds; i++) {
        for (int k = 0; k < 3; k++) CHECK_INT(weft_switch_to(r->busy, NULL), WEFT_EBUSY);
        CHECK_INT(weft_park(NULL), 0);
    }
    end_busy_task(r->busy, r->c);
    return 0;
}

TEST(switch_to, refused_against_wake, "switch_to: a wake-up that comes while it is being refused is not lost")
{
    struct refused r = {.rounds = scaled(100000)};
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = asynced(be_refused_and_park, &r);
    while (!atomic_load(&r.ready)) sched_yield();
    for (int i = 0; i < r.rounds; i++) {
        int rc;
        while ((rc = weft_schedule(r.waiter)) == WEFT_EBUSY) sched_yield();
        CHECK_INT(rc, 0);
    }
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_stop(), 0);
}

/* A task that switches to others when, or while, the runtime stops. */
struct stopped {
    _Atomic int switching; /* how often it has; at most 1000 */
    weft_task *target;
};

/* Who has been cancelled may have gone on, and have ended. */
static int
schedule_back(void *arg)
{
    int rc = weft_schedule(arg);
    CHECK(rc == 0 || rc == WEFT_EBUSY);
    return 0;
}

/* Returns what the first switch that failed said. */
static int
switch_to_new_tasks(struct stopped *s)
{
    int rc = 0;
    for (int i = 1; rc == 0; i++) {
        weft_task *t = NULL;
        weft_task_options opt = {.size = sizeof opt, .flags = i % 2 ? WEFT_STICKY : 0};
        rc = weft_task_new(&t, schedule_back, weft_current(), &opt);
        if (rc == 0) rc = weft_switch_to(t, NULL);
        weft_task_release(t);
        atomic_store(&s->switching, i < 1000 ? i : 1000);
    }
    return rc;
}

static int
switch_while_stopped(void *arg)
{
    CHECK_INT(switch_to_new_tasks(arg), WEFT_ECANCELED);
    return 0;
}

static int
switch_when_stopped(void *arg)
{
    struct stopped *s = arg;
    void *value = s;
    atomic_store(&s->switching, 1);
    CHECK_INT(weft_sleep_until(WEFT_FOREVER), WEFT_ECANCELED);
    CHECK_INT(weft_switch_to(s->target, &value), WEFT_ECANCELED);
    CHECK(value == s);
    return 0;
}

static void
stop_a_switcher(weft_fn *fn, int switches)
{
    struct stopped s = {.switching = 0};
    CHECK_INT(weft_start(NULL), 0);
    s.target = unscheduled(nothing, NULL, 0);
    weft_task *t = spawned(fn, &s);
    while (atomic_load(&s.switching) < switches) sched_yield();
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_join(t), 0);
    weft_task_release(s.target);
}

TEST(switch_to, cancelled, "switch_to: a caller that has been cancelled is told so, and does not keep the stop waiting")
{
    for (int i = 0; i < 10; i++) stop_a_switcher(switch_when_stopped, 1);
}

TEST(switch_to, against_stop, "switch_to: a stop that comes in the middle of switches ends them")
{
    for (int i = 0; i < 50; i++) stop_a_switcher(switch_while_stopped, 1 + i * 10);
}
