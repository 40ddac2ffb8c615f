/* test_select_kinds.c - selects over tasks and events, over very many cases, with deadlines and cancellations, on plain
 * threads, and beside the plain operations that they stand for. */
#include <pthread.h>
#include <stdlib.h>

#include "select_kit.h"

/* ---- Tasks ---- */

static int
give(void *arg)
{
    return (int)(intptr_t)arg;
}

/* A task that ends with what comes through the gate. */
static int
stay(void *gate)
{
    int64_t code = take(gate);
    return (int)code;
}

/* [S214] */
STICKY_TEST(select_kinds, task_ends, "a parked select goes on when a task ends, and says how it ended")
{
    for (int code = -1; code <= 0; code++) {
        weft_channel *gate = channel_of(0), *quiet = channel_of(0);
        weft_task *t = asynced(stay, gate);
        weft_case cases[] = {WEFT_TAKE(quiet, NULL), WEFT_DONE(t)};
        struct selector s;
        begin_select(&s, cases, 2, WEFT_FOREVER);
        CHECK(select_parked(&s));
        if (code) CHECK(weft_channel_close(gate, WEFT_EPERM));
        else CHECK_INT(put(gate, 0), 0);
        CHECK_INT(finish_select(&s), 1);
        CHECK(weft_task_isdone(t));
        CHECK_INT(s.cases[1].rc, code ? WEFT_ECHILD : 0);
        CHECK_INT(weft_join(t), code ? WEFT_EPERM : 0);
        weft_channel_release(gate);
        weft_channel_release(quiet);
    }
}

TASK_TEST(select_kinds, task_ended, "a task that has ended is ready, again and again")
{
    weft_channel *quiet = channel_of(0);
    weft_task *good = spawned(give, (void *)0), *bad = spawned(give, (void *)(intptr_t)WEFT_EPERM);
    CHECK_INT(weft_wait(good), 0);
    CHECK_INT(weft_wait(bad), WEFT_ECHILD);
    for (int i = 0; i < 3; i++) {
        weft_case cases[] = {WEFT_TAKE(quiet, NULL), WEFT_DONE(i % 2 ? bad : good)};
        CHECK_INT(weft_select(cases, 2, 0), 1);
        CHECK_INT(cases[1].rc, i % 2 ? WEFT_ECHILD : 0);
        CHECK_INT(select_now(cases, 2), 1);
    }
    CHECK_INT(weft_join(good), 0);
    CHECK_INT(weft_join(bad), WEFT_EPERM);
    weft_channel_release(quiet);
}

static int
run_nobody_else(void *arg)
{
    (void)arg;
    return 0;
}

TASK_TEST(select_kinds, task_unstarted,
          "a select with a single task runs it in place, as a wait does; with two it does not")
{
    weft_task *t = asynced(run_nobody_else, NULL), *other = asynced(run_nobody_else, NULL);
    weft_case one = WEFT_DONE(t), two[] = {WEFT_DONE(t), WEFT_DONE(other)};
    CHECK_INT(weft_select(&one, 1, 0), 0);
    CHECK_INT(one.rc, 0);
    CHECK(weft_select(two, 2, WEFT_BIASED) == 0);
    two[0] = WEFT_DONE(NULL);
    CHECK_INT(weft_select(two, 2, 0), 1);
    weft_task_release(t);
    weft_task_release(other);
}

TASK_TEST(select_kinds, itself, "a select that is to wait for its own task is an error, whatever else is ready")
{
    weft_channel *closed = closed_channel(0, 0);
    weft_case cases[] = {WEFT_TAKE(closed, NULL), WEFT_DONE(weft_current())};
    CHECK_INT(weft_select(cases, 2, 0), WEFT_EDEADLK);
    CHECK_INT(weft_select(&cases[1], 1, 0), WEFT_EDEADLK);
    weft_channel_release(closed);
}

struct handshake {
    weft_event started;
    int code;
};

static int
fail_before_start(void *arg)
{
    struct handshake *h = arg;
    return h->code;
}

/* [S257] */
TASK_TEST(select_kinds, handshake, "a parent that waits for its child's event learns that the child has failed instead")
{
    struct handshake h = {WEFT_EVENT_INIT, WEFT_EPERM};
    weft_task *t = spawned(fail_before_start, &h);
    weft_case cases[] = {WEFT_EVENT(&h.started), WEFT_DONE(t)};
    CHECK_INT(weft_select(cases, 2, 0), 1);
    CHECK_INT(cases[1].rc, WEFT_ECHILD);
    CHECK_INT(weft_join(t), WEFT_EPERM);
}

/* ---- Events ---- */

STICKY_TEST(select_kinds, events,
            "a select goes on by an event; one that resets itself is reset only if that is executed")
{
    weft_event stays = WEFT_EVENT_INIT, resets = WEFT_EVENT_AUTORESET_INIT;
    weft_channel *c = channel_of(1);
    weft_case cases[] = {WEFT_TAKE(c, NULL), WEFT_EVENT(&stays), WEFT_EVENT(&resets)};
    struct selector s;
    CHECK_INT(select_now(cases, 3), WEFT_EAGAIN);
    for (int i = 1; i <= 2; i++) {
        begin_select(&s, cases, 3, WEFT_FOREVER);
        CHECK(select_parked(&s));
        weft_event_notify(i == 1 ? &stays : &resets);
        CHECK_INT(finish_select(&s), i);
        CHECK_INT(s.cases[i].rc, 0);
        CHECK_INT(weft_event_isset(&stays), i == 1);
        CHECK(!weft_event_isset(&resets));
        weft_event_reset(&stays);
    }
    weft_event_notify(&resets);
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(weft_select(cases, 3, WEFT_BIASED), 0);
    CHECK(weft_event_isset(&resets));
    CHECK_INT(weft_select(cases, 3, WEFT_BIASED), 2);
    CHECK(!weft_event_isset(&resets));
    CHECK_INT(select_now(cases, 3), WEFT_EAGAIN);
    weft_channel_release(c);
}

STICKY_TEST(select_kinds, event_withdrawn, "an event passes by a select that has gone on: the next waiter gets it")
{
    weft_event e = WEFT_EVENT_AUTORESET_INIT;
    weft_channel *c = channel_of(0);
    weft_case cases[] = {WEFT_TAKE(c, NULL), WEFT_EVENT(&e), WEFT_EVENT(&e)};
    struct selector first, second;
    begin_select(&first, cases, 3, WEFT_FOREVER);
    begin_select(&second, cases + 1, 1, WEFT_FOREVER);
    CHECK_INT(put(c, 0), 0);
    CHECK_INT(finish_select(&first), 0);
    CHECK(select_parked(&second));
    weft_event_notify(&e);
    CHECK_INT(finish_select(&second), 0);
    CHECK(!weft_event_isset(&e));
    weft_event_notify(&e);
    CHECK(weft_event_isset(&e)); /* nobody is left there */
    weft_channel_release(c);
}

/* An event that is freed by who waited for it, at once; ASan sees whether anybody touches it then. */
static int
notify_and_go(void *arg)
{
    weft_event_notify(arg);
    return 0;
}

TASK_TEST(select_kinds, event_freed, "the event that ended a select may be freed at once")
{
    weft_channel *quiet = channel_of(0);
    for (int i = 0; i < scaled(2000); i++) {
        weft_event *e = calloc(1, sizeof *e);
        if (!CHECK(e)) return;
        weft_task *t = spawned(notify_and_go, e);
        weft_case cases[] = {WEFT_EVENT(e), WEFT_TAKE(quiet, NULL)};
        CHECK_INT(weft_select(cases, 2, 0), 0);
        free(e);
        CHECK_INT(weft_join(t), 0);
    }
    weft_channel_release(quiet);
}

/* ---- Errors, deadlines, cancellation ---- */

TASK_TEST(select_kinds, invalid, "what cannot be is an error, and nothing is executed")
{
    weft_channel *c = full_channel(1);
    weft_case cases[] = {WEFT_TAKE(c, NULL), WEFT_TAKE(c, NULL)};
    CHECK_INT(weft_select(NULL, 1, 0), WEFT_EINVAL);
    CHECK_INT(weft_select(cases, 2, 2), WEFT_EINVAL);
    CHECK_INT(weft_select(cases, (size_t)INT_MAX + 1, 0), WEFT_EINVAL);
    cases[1].kind = 77;
    CHECK_INT(weft_select(cases, 2, 0), WEFT_EINVAL);
    cases[1].kind = 0;
    CHECK_INT(weft_select(cases, 2, 0), WEFT_EINVAL);
    CHECK_INT(weft_channel_len(c), 1);
    weft_channel_release(c);
}

TASK_TEST(select_kinds, late, "a deadline that has passed does not keep a ready case from being executed")
{
    weft_channel *c = full_channel(4), *quiet = channel_of(0);
    int64_t value = 0;
    weft_case cases[] = {WEFT_TAKE(quiet, NULL), WEFT_TAKE(c, &value)};
    CHECK_INT(weft_select_until(cases, 2, 0, weft_now() - WEFT_S), 1);
    CHECK_INT(value, 4);
    CHECK_INT(weft_select_until(cases, 2, 0, weft_now() - WEFT_S), WEFT_ETIMEDOUT);
    weft_time deadline = weft_in(2 * WEFT_MS);
    CHECK_INT(weft_select_until(cases, 2, 0, deadline), WEFT_ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    weft_channel_release(c);
    weft_channel_release(quiet);
}

struct stopped {
    weft_case cases[3];
    size_t n;
    weft_channel *closed;
    _Atomic int waiting;
    int result, again;
};

static int
select_until_stopped(void *arg)
{
    struct stopped *s = arg;
    weft_case ready = WEFT_TAKE(s->closed, NULL);
    atomic_store(&s->waiting, 1);
    s->result = weft_select(s->cases, s->n, 0);
    s->again = select_now(&ready, 1);
    return 0;
}

/* [S200] */
TEST(select_kinds, cancelled, "a cancelled select leaves no trace; the next is cancelled before it looks at anything")
{
    weft_channel *c = channel_of(0), *closed = closed_channel(0, 0);
    weft_event e = WEFT_EVENT_AUTORESET_INIT;
    int64_t out = 1;
    for (size_t n = 0; n <= 3; n++) {
        struct stopped s = {{WEFT_TAKE(c, NULL), WEFT_PUT(c, &out), WEFT_EVENT(&e)}, n, closed, 0, 0, 0};
        stop_while_waiting(select_until_stopped, &s, &s.waiting);
        CHECK_INT(s.result, WEFT_ECANCELED);
        CHECK_INT(s.again, WEFT_ECANCELED);
        CHECK_INT(weft_channel_len(c), 0);
        CHECK_INT(weft_channel_put_until(c, &out, WEFT_NOW), WEFT_EAGAIN);
    }
    weft_event_notify(&e);
    CHECK(weft_event_isset(&e));
    weft_channel_release(c);
    weft_channel_release(closed);
}

/* Selects that are cancelled while a value comes: it is taken, or it is left. */
struct cancel_race {
    weft_channel *c, *quiet;
    int64_t got;
    _Atomic int waiting;
    int result;
};

static int
select_in_race(void *arg)
{
    struct cancel_race *r = arg;
    weft_case cases[] = {WEFT_TAKE(r->quiet, NULL), WEFT_TAKE(r->c, &r->got)};
    atomic_store(&r->waiting, 1);
    r->result = weft_select(cases, 2, 0);
    return 0;
}

static void *
put_in_race(void *arg)
{
    struct cancel_race *r = arg;
    CHECK_INT(put(r->c, 5), 0);
    return NULL;
}

/* [S213] */
TEST(select_kinds, cancel_race,
     "a select that is cancelled while a put arrives has the value, or has left it for others")
{
    for (int i = 0; i < scaled(300); i++) {
        struct cancel_race r = {channel_of(1), channel_of(0), -1, 0, 0};
        pthread_t thread;
        CHECK_INT(weft_start(NULL), 0);
        weft_task *t = spawned(select_in_race, &r);
        until(&r.waiting, 1);
        if (!CHECK_INT(pthread_create(&thread, NULL, put_in_race, &r), 0)) return;
        CHECK_INT(weft_stop(), 0);
        CHECK_INT(weft_join(t), 0);
        CHECK_INT(pthread_join(thread, NULL), 0);
        CHECK(r.result == 1 || r.result == WEFT_ECANCELED);
        CHECK_INT(r.got, r.result == 1 ? 5 : -1);
        CHECK_INT(weft_channel_len(r.c), r.result == 1 ? 0 : 1);
        weft_channel_release(r.c);
        weft_channel_release(r.quiet);
    }
}

static void *
cancel_in_race(void *arg)
{
    (void)weft_cancel(arg);
    return NULL;
}

/* The same of one task, in a runtime that goes on.
 * [S213] */
TASK_TEST(select_kinds, cancel_task, "a select of a task that is cancelled while a put arrives: likewise")
{
    for (int i = 0; i < scaled(4000); i++) {
        struct cancel_race r = {channel_of(1), channel_of(0), -1, 0, 0};
        pthread_t thread;
        weft_task *t = spawned(select_in_race, &r);
        if (i % 2) until(&r.waiting, 1);
        if (!CHECK_INT(pthread_create(&thread, NULL, cancel_in_race, t), 0)) return;
        if (i % 4 < 2) weft_yield();
        CHECK_INT(put(r.c, 5), 0);
        (void)!weft_wait(t);
        CHECK_INT(pthread_join(thread, NULL), 0);
        bool ran = atomic_load(&r.waiting);
        CHECK(!ran || r.result == 1 || r.result == WEFT_ECANCELED);
        CHECK_INT(r.got, r.result == 1 ? 5 : -1);
        CHECK_INT(weft_channel_len(r.c), r.result == 1 ? 0 : 1);
        weft_task_release(t);
        weft_channel_release(r.c);
        weft_channel_release(r.quiet);
    }
}

/* ---- Beside the plain operation ---- */

/* What one side of the script sees. */
static int
plain(bool puts, weft_channel *c, int64_t *value)
{
    return puts ? weft_channel_put_until(c, value, WEFT_NOW) : weft_channel_take_until(c, value, WEFT_NOW);
}

static int
by_select(bool puts, weft_channel *c, int64_t *value)
{
    weft_case k = puts ? WEFT_PUT(c, value) : WEFT_TAKE(c, value);
    int result = select_now(&k, 1);
    return result == 0 ? k.rc : result;
}

/* [S215] */
STICKY_TEST(select_kinds, as_plain,
            "a select of one case is the plain operation: the same results over a random script")
{
    unsigned random = test_seed();
    for (int capacity = 0; capacity <= 3; capacity++) {
        weft_channel *c[2] = {channel_of((size_t)capacity), channel_of((size_t)capacity)};
        int steps = TEST_SIM ? 100 : 2000;
        for (int i = 0; i < steps; i++) {
            bool puts = dice(&random, 2), parked = dice(&random, 8) == 0;
            int64_t value[2] = {i, i}, back[2] = {-1, -1};
            struct actor *a[2] = {NULL, NULL};
            if (i == steps - 10) {
                for (int k = 0; k < 2; k++) CHECK(weft_channel_close(c[k], WEFT_EPERM));
            }
            for (int k = 0; k < 2 && parked; k++) a[k] = puts ? taker(c[k]) : putter(c[k], i + 1);
            int rc[2] = {plain(puts, c[0], &value[0]), by_select(puts, c[1], &value[1])};
            CHECK_INT(rc[1], rc[0]);
            CHECK_INT(value[1], value[0]);
            CHECK_INT(weft_channel_len(c[1]), weft_channel_len(c[0]));
            for (int k = 0; k < 10 && parked; k++) weft_yield(); /* who was woken runs */
            for (int k = 0; k < 2 && parked; k++) {              /* the actor may need a partner */
                int64_t other = 7;
                if (is_parked(a[k])) (void)!plain(puts, c[k], &other);
                struct outcome o = finish(a[k]);
                back[k] = o.rc < 0 ? o.rc : o.value;
            }
            if (!CHECK_INT(back[1], back[0])) break;
        }
        for (int k = 0; k < 2; k++) weft_channel_release(c[k]);
    }
}

/* ---- Very many cases ---- */

enum { MANY = TEST_SMALL ? 50 : 1000 };

STICKY_TEST(select_kinds, many,
            "any number of cases: each channel of very many wakes the select, and the others are left")
{
    weft_channel *c[MANY];
    weft_case *cases = calloc(2 * MANY, sizeof *cases);
    int64_t got = 0;
    if (!CHECK(cases)) return;
    for (int i = 0; i < MANY; i++) c[i] = channel_of(0);
    unsigned random = 5;
    for (int round = 0; round < (TEST_SMALL ? 5 : 20); round++) {
        int chosen = (int)dice(&random, MANY);
        for (int i = 0; i < 2 * MANY; i++) cases[i] = WEFT_TAKE(c[(i * 7 + round) % MANY], &got);
        struct actor *p = putter(c[chosen], round);
        int k = weft_select(cases, 2 * MANY, 0);
        CHECK_INT((k * 7 + round) % MANY, chosen);
        CHECK_INT(got, round);
        CHECK_INT(finish(p).rc, 0);
        CHECK_INT(weft_select_until(cases, 2 * MANY, 0, weft_in(WEFT_US)), WEFT_ETIMEDOUT);
        int64_t value = 1;
        for (int i = 0; i < MANY; i++) CHECK_INT(weft_channel_put_until(c[i], &value, WEFT_NOW), WEFT_EAGAIN);
    }
    for (int i = 0; i < MANY; i++) weft_channel_release(c[i]);
    free(cases);
}

struct crossing {
    weft_channel *a, *b;
    int rounds;
};

static int
cross(void *arg)
{
    struct crossing *x = arg;
    int64_t in, out = 1;
    for (int i = 0; i < x->rounds; i++) {
        weft_case cases[] = {WEFT_TAKE(x->a, &in), WEFT_PUT(x->b, &out)};
        if (weft_select(cases, 2, 0) < 0 || cases[0].rc || cases[1].rc) return WEFT_EINVAL;
    }
    return 0;
}

/* Each task takes from one and puts into the other; with a value in each there is always something to do, and the number of
 * values stays between 0 and 4.
 * [S208] */
TASK_TEST(select_kinds, opposite_orders,
          "selects that name the same channels in opposite orders do not block each other")
{
    weft_channel *a = channel_of(2), *b = channel_of(2);
    struct crossing there = {a, b, scaled(20000)}, back = {b, a, scaled(20000)};
    weft_task *t[4];
    CHECK_INT(put(a, 0), 0);
    CHECK_INT(put(b, 0), 0);
    for (int i = 0; i < 4; i++) t[i] = spawned(cross, i % 2 ? &there : &back);
    for (int i = 0; i < 4; i++) {
        /* those who are left over may find nobody to answer them */
        weft_time limit = weft_in(PATIENCE);
        while (weft_wait_until(t[i], weft_in(WEFT_MS)) == WEFT_ETIMEDOUT && weft_now() < limit) {
            int64_t v = 1;
            for (int k = 0; k < 2; k++) {
                weft_channel *c = k ? a : b;
                if (weft_channel_len(c) == 0) (void)!weft_channel_put_until(c, &v, WEFT_NOW);
                else (void)!weft_channel_take_until(c, &v, WEFT_NOW);
            }
        }
        CHECK(joined(t[i], 0));
    }
    weft_channel_release(a);
    weft_channel_release(b);
}

/* ---- Plain threads ---- */

struct pump {
    weft_channel *in, *out, *stop;
    int passed;
};

static void *
pump(void *arg)
{
    struct pump *p = arg;
    int64_t value = 0;
    for (;;) {
        weft_case cases[] = {WEFT_TAKE(p->stop, NULL), WEFT_TAKE(p->in, &value)};
        if (weft_select(cases, 2, 0) != 1) return NULL;
        p->passed++;
        weft_case next[] = {WEFT_PUT(p->out, &value), WEFT_TAKE(p->stop, NULL)};
        if (weft_select(next, 2, 0) != 0) return NULL;
    }
}

TEST(select_kinds, plain_threads, "plain threads select among each other, without any task")
{
    struct pump p = {channel_of(0), channel_of(0), channel_of(0), 0};
    pthread_t thread;
    int n = scaled(2000);
    int64_t never = 0;
    if (!CHECK_INT(pthread_create(&thread, NULL, pump, &p), 0)) return;
    for (int i = 0; i < n; i++) {
        CHECK_INT(put(p.in, i), 0);
        if (!CHECK_INT(take(p.out), i)) break;
    }
    CHECK(weft_channel_close(p.stop, 0));
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(p.passed, n);
    weft_case cases[] = {WEFT_TAKE(p.in, NULL), WEFT_PUT(p.out, &never)};
    CHECK_INT(weft_select_until(cases, 2, 0, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_worker(), -1);
    weft_channel_release(p.in);
    weft_channel_release(p.out);
    weft_channel_release(p.stop);
}
