/* test_event.c - events: who goes on when, and that no notification is lost or seen twice. */
#include "signal_kit.h"

static int
wait_for_event(struct caller *c)
{
    return weft_event_wait_until(c->object, c->deadline);
}

static struct caller
event_caller(weft_event *e, struct journal *j, char name)
{
    return (struct caller){.call = wait_for_event, .object = e, .deadline = WEFT_FOREVER, .journal = j, .name = name};
}

static int
try_wait(weft_event *e)
{
    return weft_event_wait_until(e, WEFT_NOW);
}

TEST(event, zeroed, "a zeroed event is an event that is not set")
{
    static weft_event zeroed;
    weft_event e = WEFT_EVENT_INIT, autoreset = WEFT_EVENT_AUTORESET_INIT;
    CHECK(memcmp(&zeroed, &e, sizeof e) == 0);
    CHECK(!weft_event_isset(&zeroed));
    CHECK(!weft_event_isset(&autoreset));
    CHECK_INT(try_wait(&zeroed), WEFT_EAGAIN);
    CHECK_INT(try_wait(&autoreset), WEFT_EAGAIN);
}

/* [S232] */
TEST(event, set_and_reset, "an event is set from the notify to the reset, and every wait meanwhile returns")
{
    weft_event e = WEFT_EVENT_INIT;
    weft_event_reset(&e); /* nothing to do */
    weft_event_notify(&e);
    CHECK(weft_event_isset(&e));
    for (int i = 0; i < 3; i++) CHECK_INT(weft_event_wait(&e), 0);
    CHECK_INT(weft_event_wait_until(&e, weft_now() - 1), 0); /* it does not have to wait */
    weft_event_reset(&e);
    CHECK(!weft_event_isset(&e));
    CHECK_INT(try_wait(&e), WEFT_EAGAIN);
    CHECK_INT(weft_event_wait_until(&e, weft_now() - 1), WEFT_ETIMEDOUT);
    CHECK_INT(weft_event_wait_until(&e, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
}

/* [J97] [S232] */
WORKER_TEST(event, both_proceed, "two waiters are parked until the notify, then both go on, and others do not park")
{
    weft_event e = WEFT_EVENT_INIT;
    struct journal j = {.length = 0};
    for (int round = 0; round < 3; round++) {
        struct caller a = event_caller(&e, &j, 'a'), b = event_caller(&e, &j, 'b');
        begin_call(&a);
        begin_call(&b);
        give_turns();
        CHECK(parked(&a) && parked(&b));
        weft_event_notify(&e);
        CHECK_INT(end_call(&a), 0);
        CHECK_INT(end_call(&b), 0);
        CHECK_INT(weft_event_wait(&e), 0);
        weft_event_notify(&e); /* no effect */
        CHECK_INT(weft_event_wait(&e), 0);
        weft_event_reset(&e);
        CHECK_INT(try_wait(&e), WEFT_EAGAIN);
    }
    CHECK_STR(j.text, "ababab");
}

/* [J98] */
WORKER_TEST(event, one_of_two, "a notify of an event that resets itself lets exactly one of two waiters go on")
{
    weft_event e = WEFT_EVENT_AUTORESET_INIT;
    for (int round = 0; round < 3; round++) {
        struct caller a = event_caller(&e, NULL, 'a'), b = event_caller(&e, NULL, 'b');
        begin_call(&a);
        begin_call(&b);
        weft_event_notify(&e);
        give_turns();
        CHECK(!parked(&a) && parked(&b)); /* the oldest */
        CHECK(!weft_event_isset(&e));
        weft_event_notify(&e);
        CHECK_INT(end_call(&a), 0);
        CHECK_INT(end_call(&b), 0);
        CHECK(!weft_event_isset(&e));
    }
}

/* [J99] */
WORKER_TEST(event, in_order, "waiters go on in the order in which they came")
{
    weft_event e = WEFT_EVENT_INIT, autoreset = WEFT_EVENT_AUTORESET_INIT;
    struct journal j = {.length = 0};
    struct caller c[6];
    for (int i = 0; i < 6; i++) {
        c[i] = event_caller(i < 3 ? &e : &autoreset, &j, (char)('1' + i));
        begin_call(&c[i]);
    }
    weft_event_notify(&e);
    for (int i = 3; i < 6; i++) weft_event_notify(&autoreset);
    for (int i = 0; i < 6; i++) CHECK_INT(end_call(&c[i]), 0);
    CHECK_STR(j.text, "123456");
}

/* [J100] [S233] */
WORKER_TEST(event, reset_at_once, "waiters that were notified go on also if the event is reset before they run")
{
    weft_event e = WEFT_EVENT_INIT;
    struct caller a = event_caller(&e, NULL, 'a'), b = event_caller(&e, NULL, 'b'), late = event_caller(&e, NULL, 'c');
    begin_call(&a);
    begin_call(&b);
    weft_event_notify(&e);
    weft_event_reset(&e);
    CHECK(parked(&a) && parked(&b)); /* they have not run yet */
    CHECK_INT(end_call(&a), 0);
    CHECK_INT(end_call(&b), 0);
    begin_call(&late);
    give_turns();
    CHECK(parked(&late));
    weft_event_notify(&e);
    CHECK_INT(end_call(&late), 0);
}

/* [J101] */
WORKER_TEST(event, coalesced, "two notifies without a waiter are one")
{
    weft_event e = WEFT_EVENT_AUTORESET_INIT;
    struct caller second = event_caller(&e, NULL, 'b');
    weft_event_notify(&e);
    weft_event_notify(&e);
    CHECK(weft_event_isset(&e));
    CHECK_INT(weft_event_wait(&e), 0);
    CHECK(!weft_event_isset(&e));
    begin_call(&second);
    give_turns();
    CHECK(parked(&second));
    weft_event_notify(&e);
    CHECK_INT(end_call(&second), 0);
}

WORKER_TEST(event, reset_forgets, "a reset takes back a notify that nobody has waited for yet")
{
    weft_event e = WEFT_EVENT_AUTORESET_INIT;
    weft_event_notify(&e);
    weft_event_reset(&e);
    CHECK_INT(try_wait(&e), WEFT_EAGAIN);
}

WORKER_TEST(event, handed_over, "who is notified has been given the event: nobody who comes later can take it")
{
    weft_event e = WEFT_EVENT_AUTORESET_INIT;
    struct caller a = event_caller(&e, NULL, 'a');
    begin_call(&a);
    weft_event_notify(&e);
    CHECK(parked(&a));
    CHECK_INT(try_wait(&e), WEFT_EAGAIN);
    CHECK_INT(end_call(&a), 0);
}

struct ping_pong {
    weft_event there, back;
    int rounds, seen;
};

static int
ping(void *arg)
{
    struct ping_pong *p = arg;
    int wrong = 0;
    for (int i = 0; i < p->rounds; i++) {
        weft_event_notify(&p->there);
        wrong += weft_event_wait(&p->back) != 0 || p->seen != i + 1;
    }
    return wrong ? WEFT_EINVAL : 0;
}

static int
pong(void *arg)
{
    struct ping_pong *p = arg;
    int wrong = 0;
    for (int i = 0; i < p->rounds; i++) {
        wrong += weft_event_wait(&p->there) != 0 || p->seen != i;
        p->seen++; /* plain: the events order it */
        weft_event_notify(&p->back);
    }
    return wrong ? WEFT_EINVAL : 0;
}

/* [J102] */
TASK_TEST(event, ping_pong, "two tasks call each other 200 000 times by two events, and nothing is lost")
{
    struct ping_pong p = {WEFT_EVENT_AUTORESET_INIT, WEFT_EVENT_AUTORESET_INIT, scaled(200000), 0};
    weft_task *a = spawned(ping, &p), *b = spawned(pong, &p);
    CHECK_INT(weft_join(a), 0);
    CHECK_INT(weft_join(b), 0);
    CHECK_INT(p.seen, p.rounds);
}

WORKER_TEST(event, passed_over, "a notify goes past those whose deadlines have passed, and is not lost")
{
    weft_event e = WEFT_EVENT_AUTORESET_INIT;
    struct caller a = event_caller(&e, NULL, 'a'), b = event_caller(&e, NULL, 'b');
    a.deadline = weft_in(WEFT_MS);
    begin_call(&a);
    begin_call(&b);
    CHECK_INT(end_call(&a), WEFT_ETIMEDOUT);
    CHECK(parked(&b));
    weft_event_notify(&e);
    CHECK_INT(end_call(&b), 0);
    a.deadline = weft_in(WEFT_MS);
    begin_call(&a);
    CHECK_INT(end_call(&a), WEFT_ETIMEDOUT);
    weft_event_notify(&e); /* nobody is there: it is set */
    CHECK_INT(try_wait(&e), 0);
}

static int
wait_task(void *arg)
{
    struct caller *c = arg;
    c->rc = c->call(c);
    return 0;
}

TASK_TEST(event, deadline_or_notify, "of a deadline and a notify at the same time exactly one has happened")
{
    int wrong = 0;
    for (int i = 0; i < scaled(4000); i++) {
        weft_event e = WEFT_EVENT_AUTORESET_INIT;
        struct caller c = event_caller(&e, NULL, 'a');
        c.deadline = weft_in(i % 40 * WEFT_US);
        weft_task *t = spawned(wait_task, &c);
        for (weft_time t0 = weft_now(), end = t0 + i % 37 * WEFT_US; weft_now() < end;) weft_yield();
        weft_event_notify(&e);
        wrong += weft_join(t) != 0 || (c.rc != 0 && c.rc != WEFT_ETIMEDOUT);
        wrong += weft_event_isset(&e) != (c.rc != 0);
    }
    CHECK_INT(wrong, 0);
}

static int
notify_task(void *arg)
{
    weft_event_notify(arg);
    return 0;
}

static void *
notify_thread(void *arg)
{
    weft_event_notify(arg);
    return NULL;
}

TASK_TEST(event, freed_by_the_waiter, "who was let through may free the event at once")
{
    for (int i = 0; i < scaled(20000); i++) {
        weft_event *e = calloc(1, sizeof *e);
        if (!CHECK(e)) return;
        weft_task *t = spawned(notify_task, e);
        if (i % 2) weft_yield();
        CHECK_INT(weft_event_wait(e), 0);
        memset(e, 0xff, sizeof *e); /* as whoever has the memory next */
        free(e);
        CHECK_INT(weft_join(t), 0);
    }
}

TEST(event, freed_by_a_thread, "the same between threads")
{
    for (int i = 0; i < scaled(2000); i++) {
        weft_event *e = calloc(1, sizeof *e);
        pthread_t thread;
        if (!CHECK(e) || !CHECK_INT(pthread_create(&thread, NULL, notify_thread, e), 0)) return;
        CHECK_INT(weft_event_wait(e), 0);
        memset(e, 0xff, sizeof *e);
        free(e);
        pthread_join(thread, NULL);
    }
}

TASK_TEST(event, threads, "threads wait for tasks, and tasks for threads")
{
    for (int i = 0; i < scaled(200); i++) {
        weft_event e = WEFT_EVENT_INIT, done = WEFT_EVENT_INIT;
        struct caller c = event_caller(&e, NULL, 't');
        pthread_t thread;
        begin_thread(&c);
        if (i % 2) sched_yield();
        weft_event_notify(&e);
        CHECK_INT(end_thread(&c), 0);
        if (!CHECK_INT(pthread_create(&thread, NULL, notify_thread, &done), 0)) return;
        CHECK_INT(weft_event_wait(&done), 0);
        pthread_join(thread, NULL);
    }
}

TEST(event, thread_times_out, "a thread's wait ends at its deadline, and not before")
{
    weft_event e = WEFT_EVENT_AUTORESET_INIT;
    weft_time deadline = weft_in(2 * WEFT_MS);
    CHECK_INT(weft_event_wait_until(&e, deadline), WEFT_ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    weft_event_notify(&e);
    CHECK_INT(weft_event_wait_until(&e, weft_in(WEFT_S)), 0);
}

struct parcel {
    weft_event e;
    int value[2]; /* plain: the event orders them */
    _Atomic int notified;
};

static int
fill(struct parcel *p, int i)
{
    p->value[i] = 7;
    weft_event_notify(&p->e);
    atomic_fetch_add_explicit(&p->notified, 1, memory_order_relaxed); /* orders nothing */
    return 0;
}

static int
fill_first(void *arg)
{
    return fill(arg, 0);
}

static int
fill_second(void *arg)
{
    return fill(arg, 1);
}

TASK_TEST(event, all_notifiers,
          "who is let through sees what every notifier had done, also if the event was set before")
{
    for (int i = 0; i < scaled(4000); i++) {
        struct parcel p = {.e = WEFT_EVENT_AUTORESET_INIT};
        weft_task *a = spawned(fill_first, &p), *b = spawned(fill_second, &p);
        while (atomic_load_explicit(&p.notified, memory_order_relaxed) < 2) weft_yield();
        CHECK_INT(weft_event_wait(&p.e), 0);
        CHECK_INT(p.value[0] + p.value[1], 14);
        CHECK_INT(weft_join(a), 0);
        CHECK_INT(weft_join(b), 0);
    }
}

struct stopped {
    weft_event never, set;
    _Atomic int waiting;
    int rc, again;
};

static int
wait_until_stopped(void *arg)
{
    struct stopped *s = arg;
    atomic_store(&s->waiting, 1);
    s->rc = weft_event_wait(&s->never);
    s->again = weft_event_wait(&s->set);
    return 0;
}

TEST(event, cancelled, "a cancelled task stops waiting, and does not pass an event that is set")
{
    struct stopped s = {WEFT_EVENT_INIT, WEFT_EVENT_INIT, 0, 0, 0};
    weft_event_notify(&s.set);
    stop_while_waiting(wait_until_stopped, &s, &s.waiting);
    CHECK_INT(s.rc, WEFT_ECANCELED);
    CHECK_INT(s.again, WEFT_ECANCELED);
    weft_event_notify(&s.never); /* the waiter has left no trace */
    CHECK_INT(try_wait(&s.never), 0);
}

/* ---- From below: one waiter, one notifier, an atomic and weft_park ---- */

enum { EMPTY, WAITING, NOTIFYING };

struct one_way {
    _Atomic int state;
    weft_task *waiter;
    int value; /* plain: the event orders it */
};

static void
one_way_wait(struct one_way *e)
{
    int empty = EMPTY;
    e->waiter = weft_current();
    if (atomic_compare_exchange_strong(&e->state, &empty, WAITING)) CHECK_INT(weft_park(NULL), 0);
}

static int
one_way_notify(void *arg)
{
    struct one_way *e = arg;
    e->value = 42;
    if (atomic_exchange(&e->state, NOTIFYING) == WAITING) CHECK_INT(weft_schedule(e->waiter), 0);
    return 0;
}

TASK_TEST(event, one_way,
          "an event of one waiter and one notifier can be made of an atomic, weft_park and weft_schedule")
{
    for (int i = 0; i < scaled(20000); i++) {
        struct one_way e = {EMPTY, NULL, 0};
        weft_task *t = spawned(one_way_notify, &e);
        if (i % 3 == 0) weft_yield();
        one_way_wait(&e);
        CHECK_INT(e.value, 42);
        CHECK_INT(weft_join(t), 0);
    }
}

static int
wait_for_ever(void *arg)
{
    weft_event e = WEFT_EVENT_INIT;
    (void)arg;
    return weft_event_wait(&e);
}

TEST(event, reason, "a task that waits for an event says so in the report of a deadlock")
{
    CHECK(reported_stuck(wait_for_ever, "parked in event wait"));
}
