/* test_deadline.c - scopes with deadlines, and scopes that shield. */
#include "scope_kit.h"

#include <pthread.h>
#include <stdlib.h>

/* [S115] [S116] [S120] */
TASK_TEST(deadline, expires, "a deadline that passes interrupts the body, and closing returns WEFT_ETIMEDOUT")
{
    weft_scope s;
    weft_scope_open(&s, 0, weft_in(5 * WEFT_MS));
    int rc = weft_sleep(LONG);
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK_INT(weft_scope_why(&s), WEFT_ETIMEDOUT);
    CHECK_INT(weft_scope_close(&s, rc), WEFT_ETIMEDOUT);
    weft_scope_open(&s, 0, weft_in(LONG));
    CHECK_INT(weft_scope_close(&s, weft_sleep(WEFT_MS)), 0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_scope_close(&s, weft_sleep(WEFT_MS)), 0);
}

/* [S117] [S118] [S119] */
TASK_TEST(deadline, passed, "a deadline in the past is met at the first cancellation point, or not at all")
{
    weft_scope s;
    weft_scope_open(&s, 0, weft_in(-WEFT_MS));
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, WEFT_ECANCELED), WEFT_ETIMEDOUT);
    weft_scope_open(&s, 0, WEFT_NOW);
    CHECK_INT(weft_scope_close(&s, 4), 4);
    weft_scope_open(&s, 0, weft_in(WEFT_MS));
    while (weft_now() < weft_deadline()) weft_yield();
    CHECK_INT(weft_scope_close(&s, 4), 4);
}

/* Closes a scope inside of another, with these deadlines: what the inner one returned; *outer: the outer one. */
static int
nested(weft_time inner_in, weft_time outer_in, int64_t sleep, int *outer)
{
    weft_scope o, s;
    weft_time now = weft_now();
    weft_scope_open(&o, 0, now + outer_in);
    weft_scope_open(&s, 0, now + inner_in);
    int inner = weft_scope_close(&s, weft_sleep(sleep));
    *outer = weft_scope_close(&o, inner == WEFT_ETIMEDOUT ? 1 : inner);
    return inner;
}

/* [S121] [S122] [S123] */
TASK_TEST(deadline, nested, "of two deadlines the earlier one counts; of equal ones the outer")
{
    int outer;
    CHECK_INT(nested(40 * WEFT_MS, 5 * WEFT_MS, LONG, &outer), WEFT_ECANCELED);
    CHECK_INT(outer, WEFT_ETIMEDOUT);
    CHECK_INT(nested(5 * WEFT_MS, 1000 * WEFT_MS, LONG, &outer), WEFT_ETIMEDOUT);
    CHECK_INT(outer, 1);
    CHECK_INT(nested(5 * WEFT_MS, 5 * WEFT_MS, LONG, &outer), WEFT_ECANCELED);
    CHECK_INT(outer, WEFT_ETIMEDOUT);
}

/* [S124] [S125] [S126] */
TASK_TEST(deadline, moved, "a deadline may be moved while it has not passed")
{
    weft_scope s;
    weft_scope_open(&s, 0, weft_in(100 * WEFT_MS));
    weft_scope_deadline(&s, weft_in(LONG));
    CHECK_INT(weft_sleep(110 * WEFT_MS), 0);
    weft_scope_deadline(&s, weft_in(5 * WEFT_MS));
    int rc = weft_sleep(LONG);
    CHECK_INT(rc, WEFT_ECANCELED);
    weft_scope_deadline(&s, WEFT_FOREVER);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, rc), WEFT_ETIMEDOUT);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_deadline(&s, weft_in(-1));
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, WEFT_ECANCELED), WEFT_ETIMEDOUT);
}

static int
times_out_late(void *arg)
{
    weft_scope s;
    weft_scope_open(&s, 0, weft_in(500 * WEFT_S));
    *(_Atomic bool *)arg = true;
    return weft_scope_close(&s, weft_sleep(LONG));
}

/* [S127] */
TASK_TEST(deadline, foreign, "a cancellation from outside is not taken for the deadline")
{
    _Atomic bool opened = false;
    weft_task *t = spawned(times_out_late, (void *)&opened);
    while (!opened) weft_yield();
    CHECK(weft_cancel(t));
    ended(t);
    CHECK_INT(weft_task_error(t), WEFT_ECANCELED);
    CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
    weft_task_release(t);
}

/* Closes a scope with m, whose deadline comes when m naps. */
static int
close_late(struct member *m)
{
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, m), 0);
    begun(m);
    weft_scope_deadline(&s, weft_in(2 * WEFT_MS));
    return weft_scope_close(&s, 0);
}

/* [S128] [S129] [S130] [S131] */
TASK_TEST(deadline, members, "closing waits for members that are late; a real error, or a success, is what it returns")
{
    struct member slow = MEMBER(.nap = LONG, .cleanup = 8 * WEFT_MS), done = MEMBER(.nap = LONG, .code = 5),
                  fails = MEMBER(.nap = LONG, .code = WEFT_EBUSY);
    weft_scope s;
    CHECK_INT(close_late(&slow), WEFT_ETIMEDOUT);
    CHECK_INT(slow.ended, 1);
    CHECK_INT(close_late(&done), 0);
    CHECK_INT(done.woken, WEFT_ECANCELED);
    CHECK_INT(close_late(&fails), WEFT_EBUSY);
    weft_scope_open(&s, 0, weft_in(2 * WEFT_MS));
    CHECK_INT(weft_sleep(LONG), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, WEFT_EPERM), WEFT_EPERM);
}

/* [S132] */
TASK_TEST(deadline, refused, "under a deadline that has passed nothing is spawned")
{
    struct member m = MEMBER(.nap = 0);
    weft_scope s;
    weft_scope_open(&s, 0, weft_in(-WEFT_S));
    int rc = launch(NULL, nap, &m);
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, rc), WEFT_ETIMEDOUT);
    CHECK_INT(m.ended + m.dropped, 0);
}

/* [S133] [S134] [S135] */
TASK_TEST(deadline, of_call, "the deadline of a call and that of its scope: the earlier one counts")
{
    weft_channel *c;
    int x;
    weft_scope s;
    CHECK_INT(weft_channel_new(&c, sizeof x, 0), 0);
    weft_scope_open(&s, 0, weft_in(LONG));
    CHECK_INT(weft_channel_take_until(c, &x, weft_in(2 * WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK(!weft_scope_iscancelled(&s));
    CHECK_INT(weft_scope_close(&s, 0), 0);
    weft_scope_open(&s, 0, weft_in(2 * WEFT_MS));
    int rc = weft_channel_take_until(c, &x, weft_in(LONG));
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, rc), WEFT_ETIMEDOUT);
    weft_time both = weft_in(2 * WEFT_MS);
    weft_scope_open(&s, 0, both);
    rc = weft_channel_take_until(c, &x, both);
    CHECK(rc == WEFT_ECANCELED || rc == WEFT_ETIMEDOUT);
    CHECK_INT(weft_scope_close(&s, rc), WEFT_ETIMEDOUT);
    weft_channel_release(c);
}

/* [S138] */
TASK_TEST(deadline, effective, "weft_deadline is the earliest, out to the first shield")
{
    weft_time near = weft_in(LONG), far = weft_in(2 * LONG);
    weft_scope a, b, c;
    CHECK(weft_deadline() == WEFT_FOREVER);
    weft_scope_open(&a, 0, near);
    weft_scope_open(&b, 0, far);
    CHECK(weft_deadline() == near);
    weft_scope_open(&c, WEFT_SHIELD, far);
    CHECK(weft_deadline() == far);
    CHECK_INT(weft_scope_close(&c, 0), 0);
    weft_scope_cancel(&b, 0);
    CHECK(weft_deadline() == WEFT_NOW);
    CHECK_INT(weft_scope_close(&b, 0), 0);
    CHECK(weft_deadline() == near);
    CHECK_INT(weft_scope_close(&a, 0), 0);
}

/* [S139] */
TASK_TEST(deadline, inherited, "a deadline governs what is spawned under it")
{
    struct member m = MEMBER(.nap = LONG);
    weft_scope s, inner;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_open(&inner, 0, WEFT_FOREVER);
    int rc = weft_spawn(NULL, nap, &m);
    begun(&m);
    weft_scope_deadline(&s, weft_in(2 * WEFT_MS));
    CHECK_INT(weft_scope_close(&inner, rc), WEFT_ECANCELED);
    CHECK_INT(m.woken, WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, WEFT_ECANCELED), WEFT_ETIMEDOUT);
}

/* [S140] */
TASK_TEST(deadline, fires_while_closing, "a timer that fires as its scope is closed does no harm")
{
    int n = scaled(3000);
    for (int k = 0; k < n; k++) {
        struct member m = MEMBER(.nap = 0);
        weft_scope s;
        weft_scope_open(&s, 0, weft_in((k % 40) * WEFT_US));
        int rc = weft_spawn(NULL, nap, &m);
        rc = weft_scope_close(&s, rc);
        CHECK(rc == 0 || rc == WEFT_ETIMEDOUT);
    }
}

/* ---- Shields ------------------------------------------------------------------------------------------------------- */

/* [S141] [S145] [S147] */
TASK_TEST(shield, inside, "inside of a shield nothing is seen of what is cancelled outside; after it all is")
{
    weft_scope o, s, t;
    weft_scope_open(&o, 0, WEFT_FOREVER);
    weft_scope_cancel(&o, 0);
    weft_scope_open(&s, WEFT_SHIELD, WEFT_FOREVER);
    CHECK_INT(weft_sleep(WEFT_MS), 0);
    weft_scope_open(&t, WEFT_SHIELD, WEFT_FOREVER);
    CHECK_INT(weft_scope_close(&t, weft_sleep(WEFT_MS)), 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(weft_sleep(WEFT_MS), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&o, WEFT_ECANCELED), 0);
}

/* [S142] [S143] [S148] */
TASK_TEST(shield, own, "a shield's own deadline and its own cancellation count")
{
    weft_channel *full;
    int x = 1;
    weft_scope o, s;
    CHECK_INT(weft_channel_new(&full, sizeof x, 0), 0);
    weft_scope_open(&o, 0, WEFT_FOREVER);
    weft_scope_cancel(&o, 0);
    weft_scope_open(&s, WEFT_SHIELD, weft_in(4 * WEFT_MS));
    int rc = weft_channel_put(full, &x);
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, rc), WEFT_ETIMEDOUT);
    weft_scope_open(&s, WEFT_SHIELD, WEFT_FOREVER);
    weft_scope_cancel(&s, WEFT_EPERM);
    CHECK_INT(weft_scope_close(&s, weft_sleep(LONG)), WEFT_EPERM);
    CHECK_INT(weft_scope_close(&o, WEFT_ECANCELED), 0);
    weft_channel_release(full);
}

struct shielded {
    struct member m;
    _Atomic bool opened;
    int closed, after;
};

static int
shields(void *arg)
{
    struct shielded *s = arg;
    weft_scope shield;
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    int rc = weft_spawn(NULL, nap, &s->m);
    s->opened = true;
    s->closed = weft_scope_close(&shield, rc < 0 ? rc : weft_sleep(s->m.nap / 2));
    s->after = weft_check();
    return s->after;
}

/* [S144] [S146] */
TASK_TEST(shield, parked,
          "what is parked in a shield is not woken by a cancellation outside, of a scope or of the task")
{
    for (int k = 0; k < 2; k++) {
        struct shielded s = {.m = MEMBER(.nap = 12 * WEFT_MS)};
        weft_task *t;
        weft_scope o;
        weft_scope_open(&o, 0, WEFT_FOREVER);
        CHECK_INT(weft_spawn(&t, shields, &s), 0);
        while (!s.opened) weft_yield();
        begun(&s.m);
        if (k == 0) weft_scope_cancel(&o, 0);
        else CHECK(weft_cancel(t));
        CHECK_INT(weft_scope_close(&o, 0), 0);
        CHECK_INT(s.m.woken, 0);
        CHECK_INT(s.closed, 0);
        CHECK_INT(s.after, WEFT_ECANCELED);
        CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
        weft_task_release(t);
    }
}

/* ---- Callbacks ----------------------------------------------------------------------------------------------------- */

static void
count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

/* [S150] [S151] [S153] */
TASK_TEST(oncancel, called_once, "a callback is called once when its scope is cancelled, if it has not been deleted")
{
    _Atomic int calls = 0, others = 0;
    weft_oncancel a, b, c;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK(weft_oncancel_add(&a, count, (void *)&calls));
    CHECK(weft_oncancel_add(&b, count, (void *)&others));
    weft_oncancel_del(&b);
    weft_scope_cancel(&s, 0);
    weft_scope_cancel(&s, 0);
    CHECK_INT(calls, 1);
    CHECK_INT(others, 0);
    CHECK(!weft_oncancel_add(&c, count, (void *)&others));
    CHECK_INT(others, 0);
    weft_oncancel_del(&a);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(calls, 1);
}

struct deletes {
    weft_oncancel o;
    int calls;
};

static void
deletes_itself(void *arg)
{
    struct deletes *d = arg;
    weft_oncancel_del(&d->o);
    d->calls++;
}

/* [S154] */
TASK_TEST(oncancel, deletes_itself, "a callback may delete itself")
{
    struct deletes d = {.calls = 0};
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK(weft_oncancel_add(&d.o, deletes_itself, &d));
    weft_scope_cancel(&s, 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(d.calls, 1);
}

static int
cancels_scope(void *arg)
{
    weft_scope_cancel(arg, 0);
    return 0;
}

/* [S152] */
TASK_TEST(oncancel, race, "when a callback has been deleted it is not running")
{
    int n = scaled(5000);
    for (int k = 0; k < n; k++) {
        struct {
            weft_oncancel o;
            _Atomic int calls;
        } *d = malloc(sizeof *d);
        weft_scope s;
        if (!d) return;
        d->calls = 0;
        weft_scope_open(&s, 0, WEFT_FOREVER);
        CHECK_INT(weft_spawn(NULL, cancels_scope, &s), 0);
        (void)weft_oncancel_add(&d->o, count, (void *)&d->calls);
        if (k % 2) weft_yield();
        weft_oncancel_del(&d->o);
        CHECK(d->calls <= 1);
        free(d);
        CHECK_INT(weft_scope_close(&s, 0), 0);
    }
}

static _Atomic int thread_ends, deadlines_set;

/* Some that come, and some that have passed: then it cancels.  Nothing here orders what the two threads do. */
static void *
set_deadlines(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 0; !atomic_load_explicit(&thread_ends, memory_order_relaxed); i++) {
        weft_scope s;
        weft_scope_open(&s, 0, weft_in(WEFT_S));
        weft_scope_deadline(&s, weft_in(i % 4 ? WEFT_MS : -WEFT_MS));
        rc |= weft_scope_close(&s, 0);
        atomic_fetch_add_explicit(&deadlines_set, 1, memory_order_relaxed);
    }
    CHECK_INT(rc, 0);
    return NULL;
}

static void
until_more_are_set(void)
{
    spin_until(&deadlines_set, atomic_load(&deadlines_set) + 8);
}

/* ThreadSanitizer may tell if it looks at workers that are being freed, or at what a start writes. */
TEST(deadline, beside_stops, "a plain thread may set deadlines while the runtime starts and stops")
{
    pthread_t thread;
    atomic_store(&thread_ends, 0);
    if (!CHECK_INT(pthread_create(&thread, NULL, set_deadlines, NULL), 0)) return;
    for (int i = TEST_TSAN ? 20 : scaled(50); i > 0; i--) {
        until_more_are_set();
        CHECK_INT(weft_start(NULL), 0);
        until_more_are_set();
        CHECK_INT(weft_stop(), 0);
    }
    atomic_store(&thread_ends, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
}
