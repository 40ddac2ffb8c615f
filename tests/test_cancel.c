/* test_cancel.c - cancelling single tasks, in every state that they can be in. */
#include "scope_kit.h"

/* [S26] */
TASK_TEST(cancel, not_started, "a task that is cancelled before it starts never runs: its drop function does")
{
    struct member m = MEMBER(.nap = 0);
    weft_task *t;
    weft_task_options opt = {.size = sizeof opt, .drop = drop_member};
    CHECK_INT(weft_task_new(&t, nap, &m, &opt), 0);
    CHECK(weft_cancel(t));
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
    CHECK_INT(weft_task_error(t), WEFT_ECANCELED);
    CHECK_INT(m.ended, 0);
    CHECK_INT(m.dropped, 1);
    weft_task_release(t);
}

/* [S27] [S49] */
TASK_TEST(cancel, not_started_released,
          "without a drop function nothing is called; with one also if nobody holds a handle")
{
    struct member m = MEMBER(.nap = 0);
    weft_task *t;
    CHECK_INT(weft_task_new(&t, nap, &m, NULL), 0);
    CHECK(weft_cancel(t));
    CHECK_INT(weft_schedule(t), 0);
    weft_task_release(t);
    weft_task_options opt = {.size = sizeof opt, .drop = drop_member};
    CHECK_INT(weft_task_new(&t, nap, &m, &opt), 0);
    CHECK(weft_cancel(t));
    CHECK_INT(weft_schedule(t), 0);
    weft_task_release(t);
    while (m.dropped == 0) weft_yield();
    CHECK_INT(m.dropped, 1);
    CHECK_INT(m.ended, 0);
}

/* [S28] */
TASK_TEST(cancel, asleep, "a sleep that is cancelled returns WEFT_ECANCELED, and so may the task")
{
    struct member m = MEMBER(.nap = LONG);
    weft_task *t = spawned(nap, &m);
    begun(&m);
    CHECK(weft_cancel(t));
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
    CHECK_INT(m.woken, WEFT_ECANCELED);
    weft_task_release(t);
}

/* [S29] [S30] */
TASK_TEST(cancel, goes_on, "what a cancelled task returns is how it ends")
{
    struct member value = MEMBER(.nap = LONG, .code = 7), failure = MEMBER(.nap = LONG, .code = WEFT_EBUSY);
    weft_task *t = spawned(nap, &value), *u = spawned(nap, &failure);
    begun(&value);
    begun(&failure);
    CHECK(weft_cancel(t));
    CHECK(weft_cancel(u));
    CHECK_INT(weft_wait(t), 0);
    CHECK_INT(weft_task_state(t), WEFT_COMPLETED);
    CHECK_INT(weft_wait(u), WEFT_ECHILD);
    CHECK_INT(weft_task_state(u), WEFT_FAILED);
    CHECK_INT(weft_task_error(u), WEFT_EBUSY);
    weft_task_release(t);
    weft_task_release(u);
}

/* [S31] [S32] [S33] */
TASK_TEST(cancel, ended, "cancelling a task that has ended changes nothing")
{
    struct member m[3] = {MEMBER(.code = 1), MEMBER(.code = WEFT_EBUSY), MEMBER(.nap = LONG)};
    for (int k = 0; k < 3; k++) {
        weft_task *t = spawned(nap, &m[k]);
        begun(&m[k]);
        if (k == 2) CHECK(weft_cancel(t));
        ended(t);
        enum weft_state before = weft_task_state(t);
        CHECK(!weft_cancel(t));
        CHECK_INT(weft_task_state(t), before);
        CHECK_INT(weft_task_error(t), k == 2 ? WEFT_ECANCELED : m[k].code);
        weft_task_release(t);
    }
}

/* [S34] */
TASK_TEST(cancel, twice, "only the first cancellation of a task counts")
{
    struct member m = MEMBER(.nap = LONG, .cleanup = 5 * WEFT_MS);
    weft_task *t = spawned(nap, &m);
    begun(&m);
    CHECK(weft_cancel(t));
    CHECK(!weft_cancel(t));
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    weft_task_release(t);
}

static int
cancels_itself(void *arg)
{
    int *after = arg;
    CHECK(weft_cancel(weft_current()));
    *after = weft_check();
    return 0;
}

/* [S35] [S36] */
TASK_TEST(cancel, itself, "a task that cancels itself goes on, and meets it at its next cancellation point")
{
    int after = 1;
    weft_task *t = spawned(cancels_itself, &after);
    CHECK_INT(weft_wait(t), 0);
    CHECK_INT(weft_task_state(t), WEFT_COMPLETED);
    CHECK_INT(after, WEFT_ECANCELED);
    weft_task_release(t);
}

struct calls {
    weft_channel *full, *room;
    weft_semaphore held;
    weft_task *ended;
    struct member child;
    _Atomic int begun;
    _Atomic bool go;
    bool done;
};

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* What is no cancellation point works as ever. */
static void
calls_the_others(struct calls *c)
{
    weft_mutex m = {{0}};
    weft_condition condition = {{0}};
    weft_event e = WEFT_EVENT_INIT;
    weft_semaphore s;
    weft_mutex_lock(&m);
    CHECK(weft_mutex_trylock(&m));
    CHECK_INT(weft_condition_notify(&condition, NULL, WEFT_ALL), 0);
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK(!weft_mutex_islocked(&m));
    weft_event_notify(&e);
    CHECK(weft_event_isset(&e));
    CHECK_INT(weft_semaphore_init(&s, 1), 0);
    CHECK_INT(weft_semaphore_acquire(&s, 1), WEFT_ECANCELED);
    CHECK_INT(weft_semaphore_release(&s, 1), WEFT_EOVERFLOW);
    CHECK_INT(weft_semaphore_release(&c->held, 1), 0);
    weft_task_release(weft_task_retain(c->ended));
    weft_channel_retain(c->room);
    weft_channel_release(c->room);
}

static int
calls_everything(void *arg)
{
    struct calls *c = arg;
    int x = 1;
    weft_task *t = NULL;
    c->begun = 1;
    while (!c->go) weft_yield(); /* [S47]: does not tell */
    for (int k = 0; k < 3; k++) CHECK_INT(weft_sleep(LONG), WEFT_ECANCELED);
    CHECK_INT(weft_channel_put(c->room, &x), WEFT_ECANCELED);
    CHECK_INT(weft_channel_take(c->full, &x), WEFT_ECANCELED);
    CHECK_INT(weft_channel_take_until(c->full, &x, WEFT_NOW), WEFT_ECANCELED);
    CHECK_INT(weft_wait(c->ended), WEFT_ECANCELED);
    CHECK_INT(weft_spawn(&t, nothing, NULL), WEFT_ECANCELED);
    CHECK_INT(launch(&t, nap, &c->child), WEFT_ECANCELED);
    CHECK(t == NULL);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    weft_yield();
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    calls_the_others(c);
    weft_channel_close(c->room, 0);
    c->done = true;
    return WEFT_ECANCELED;
}

/* [S37] [S38] [S39] [S40] [S41] [S42] [S47] */
TASK_TEST(cancel, level,
          "a cancelled task meets it at every cancellation point, before anything happens, and nowhere else")
{
    struct calls c = {.go = false, .child = MEMBER(.nap = 0)};
    int x = 5;
    CHECK_INT(weft_semaphore_init(&c.held, 1), 0);
    CHECK_INT(weft_semaphore_acquire(&c.held, 1), 0);
    CHECK_INT(weft_channel_new(&c.full, sizeof x, 1), 0);
    CHECK_INT(weft_channel_new(&c.room, sizeof x, 1), 0);
    CHECK_INT(weft_channel_put(c.full, &x), 0);
    c.ended = spawned(nothing, NULL);
    CHECK_INT(weft_wait(c.ended), 0);
    weft_task *t = spawned(calls_everything, &c);
    until(&c.begun, 1);
    CHECK(weft_cancel(t));
    c.go = true;
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK(c.done);
    CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
    CHECK_INT((int)weft_channel_len(c.full), 1);
    CHECK_INT((int)weft_channel_len(c.room), 0);
    CHECK_INT((int)weft_semaphore_available(&c.held), 1);
    CHECK_INT(c.child.begun + c.child.dropped, 0);
    weft_task_release(t);
    weft_task_release(c.ended);
    weft_channel_release(c.full);
    weft_channel_release(c.room);
}

struct family {
    weft_task *parent;
    struct member child;
    int closed;
    _Atomic bool opened;
};

static int
cancel_parent(void *arg)
{
    struct family *f = arg;
    CHECK(weft_cancel(f->parent));
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    return 0;
}

static int
has_scope(void *arg)
{
    struct family *f = arg;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int rc = weft_spawn(NULL, nap, &f->child);
    CHECK_INT(rc, 0);
    f->opened = true;
    if (f->parent == NULL) { /* cancelled from outside, while it closes */
        f->closed = weft_scope_close(&s, rc);
        return f->closed;
    }
    CHECK_INT(weft_spawn(NULL, cancel_parent, f), 0);
    f->closed = weft_scope_close(&s, weft_sleep(LONG));
    return f->closed;
}

/* [S43] */
TASK_TEST(cancel, by_member, "a member may cancel the task that opened its scope: both see it")
{
    struct family f = {.child = MEMBER(.nap = LONG)};
    CHECK_INT(weft_task_new(&f.parent, has_scope, &f, NULL), 0);
    CHECK_INT(weft_schedule(f.parent), 0);
    CHECK_INT(weft_wait(f.parent), WEFT_ECHILD);
    CHECK_INT(f.closed, WEFT_ECANCELED);
    CHECK(f.child.woken == WEFT_ECANCELED || f.child.ended == 0); /* it may not have started */
    weft_task_release(f.parent);
}

TASK_TEST(cancel, closing, "cancelling a task that closes a scope reaches the members it waits for")
{
    struct family f = {.child = MEMBER(.nap = LONG)};
    weft_task *t = spawned(has_scope, &f);
    while (!f.opened) weft_yield();
    begun(&f.child);
    CHECK(weft_cancel(t));
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(f.closed, WEFT_ECANCELED);
    CHECK_INT(f.child.woken, WEFT_ECANCELED);
    CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
    weft_task_release(t);
}

struct sheltered {
    struct member child;
    weft_task *task; /* of the child */
    weft_event go;
    _Atomic int opened, waited, closed;
};

static int
shelters(void *arg)
{
    struct sheltered *a = arg;
    weft_scope outer, shield;
    weft_scope_open(&outer, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(&a->task, nap, &a->child), 0);
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    a->opened = 1;
    a->waited = weft_event_wait(&a->go);
    CHECK_INT(weft_scope_close(&shield, 0), 0);
    a->closed = weft_scope_close(&outer, 0);
    return a->closed;
}

TASK_TEST(cancel, around_shield,
          "cancelling a task that waits in a shield reaches the members of its scopes around that")
{
    struct sheltered a = {.child = MEMBER(.nap = LONG)};
    weft_task *t = spawned(shelters, &a);
    until(&a.opened, 1);
    begun(&a.child);
    CHECK_INT(weft_sleep(2 * WEFT_MS), 0); /* both have parked by now, most likely */
    CHECK(weft_cancel(t));
    ended(a.task);
    CHECK_INT(a.child.woken, WEFT_ECANCELED);
    weft_event_notify(&a.go);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(a.waited, 0);
    CHECK_INT(a.closed, WEFT_ECANCELED);
    weft_task_release(a.task);
    weft_task_release(t);
}

struct storm {
    weft_task *target;
    _Atomic int first;
};

static int
cancels(void *arg)
{
    struct storm *s = arg;
    if (weft_cancel(s->target)) atomic_fetch_add(&s->first, 1);
    return 0;
}

/* [S44] */
TASK_TEST(cancel, storm, "of many that cancel one task exactly one is told that it was the first")
{
    enum { MANY = 16 };
    struct member m = MEMBER(.nap = LONG);
    struct storm s = {.target = spawned(nap, &m)};
    weft_task *t[MANY];
    for (int k = 0; k < MANY; k++) t[k] = spawned(cancels, &s);
    for (int k = 0; k < MANY; k++) CHECK_INT(weft_join(t[k]), 0);
    CHECK_INT(weft_wait(s.target), WEFT_ECHILD);
    CHECK_INT(s.first, 1);
    weft_task_release(s.target);
}

static int
computes(void *arg)
{
    _Atomic bool *started = arg;
    *started = true;
    int rc;
    while ((rc = weft_check()) == 0) weft_yield();
    return rc;
}

/* [S46] */
TASK_TEST(cancel, check, "a loop that calls weft_check is cancelled")
{
    _Atomic bool started = false;
    weft_task *t = spawned(computes, (void *)&started);
    while (!started) weft_yield();
    CHECK(weft_cancel(t));
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
    weft_task_release(t);
}

/* [S45] [S50] */
TASK_TEST(cancel, starting, "a task that is cancelled as it starts runs, or is dropped, and never both")
{
    int n = scaled(20000);
    int ran = 0, dropped = 0;
    for (int k = 0; k < n; k++) {
        struct member m = MEMBER(.nap = 0);
        weft_task *t;
        CHECK_INT(launch(&t, nap, &m), 0);
        CHECK(weft_cancel(t) || m.ended);
        ended(t);
        CHECK_INT(m.ended + m.dropped, 1);
        ran += m.ended;
        dropped += m.dropped;
        weft_task_release(t);
    }
    CHECK_INT(ran + dropped, n);
}

struct watch {
    weft_task *target;
    _Atomic int rc, begun;
};

static int
waits(void *arg)
{
    struct watch *w = arg;
    w->begun = 1;
    int rc = weft_wait(w->target);
    atomic_store(&w->rc, rc);
    return rc;
}

static int
takes(void *arg)
{
    int x;
    return weft_channel_take(arg, &x);
}

/* [S12] */
TASK_TEST(cancel, waiter, "cancelling who waits for a task leaves that task alone, whether it had started or not")
{
    weft_channel *c;
    CHECK_INT(weft_channel_new(&c, sizeof(int), 0), 0);
    struct watch w = {.target = spawned(takes, c), .rc = 1};
    weft_task *t = spawned(waits, &w);
    int x = 3;
    until(&w.begun, 1);
    CHECK(weft_cancel(t));
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(w.rc, WEFT_ECANCELED);
    CHECK(!weft_task_isdone(w.target));
    CHECK_INT(weft_channel_put(c, &x), 0);
    CHECK_INT(weft_wait(w.target), 0);
    weft_channel_release(c);
    weft_task_release(t);
    weft_task_release(w.target);
}

/* [S13] */
TASK_TEST(cancel, waiter_race, "a wait that is cancelled as its task ends returns one or the other")
{
    int n = scaled(20000);
    for (int k = 0; k < n; k++) {
        struct member m = MEMBER(.nap = 0);
        struct watch w = {.target = spawned(nap, &m), .rc = 1};
        weft_task *t = spawned(waits, &w);
        weft_cancel(t);
        ended(t);
        CHECK_INT(weft_wait(w.target), 0);
        CHECK(w.rc == 0 || w.rc == WEFT_ECANCELED || w.rc == 1);
        weft_task_release(t);
        weft_task_release(w.target);
    }
}

/* [S16] */
TASK_TEST(cancel, out_of_the_blue, "WEFT_ECANCELED from a task that nobody cancelled is a failure")
{
    struct member m = MEMBER(.code = WEFT_ECANCELED);
    weft_task *t = spawned(nap, &m);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_task_state(t), WEFT_FAILED);
    weft_task_release(t);
}

static int
parks(void *arg)
{
    return weft_park(arg);
}

TASK_TEST(cancel, park, "a task in weft_park is woken by a cancellation")
{
    weft_task *t = spawned(parks, NULL);
    while (!weft_task_isstarted(t)) weft_yield();
    CHECK(weft_cancel(t));
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
    weft_task_release(t);
}
