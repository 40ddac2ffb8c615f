/* test_lock_cancel.c - cancelling who waits for a mutex, a condition, a semaphore or an event: what was granted is not lost. */
#include "lock_kit.h"

static int
lock_then_unlock(struct actor *a)
{
    int rc = weft_mutex_lock_until(a->object, a->deadline);
    if (rc < 0) return rc;
    noted(a);
    return weft_mutex_unlock(a->object);
}

static int
wait_locked(struct actor *a)
{
    weft_mutex_lock(a->other);
    int rc = weft_condition_wait(a->object, a->other, NULL);
    noted(a);
    CHECK(weft_mutex_islocked(a->other));
    CHECK_INT(weft_mutex_unlock(a->other), 0); /* it is the caller's, once */
    CHECK_INT(weft_mutex_unlock(a->other), WEFT_EPERM);
    return rc;
}

static int
acquire_then_release(struct actor *a)
{
    int rc = weft_semaphore_acquire_until(a->object, 1, a->deadline);
    if (rc < 0) return rc;
    noted(a);
    return weft_semaphore_release(a->object, 1);
}

static struct actor
actor(int (*call)(struct actor *), void *object, void *other, struct journal *j, char name)
{
    return (struct actor){
        .call = call, .object = object, .other = other, .deadline = WEFT_FOREVER, .journal = j, .name = name};
}

/* ---- Mutexes ------------------------------------------------------------------------------------------------------- */

/* [S222] */
WORKER_TEST(lock_cancel, mutex_parked, "who is cancelled as it waits for a mutex leaves it to the next")
{
    weft_mutex m = {{0}};
    struct journal j = {.length = 0};
    struct actor a[3];
    weft_mutex_lock(&m);
    for (int i = 0; i < 3; i++) {
        a[i] = actor(lock_then_unlock, &m, NULL, &j, (char)('1' + i));
        begin(&a[i]);
    }
    CHECK(weft_cancel(a[1].task));
    CHECK_INT(finish(&a[1]), WEFT_ECANCELED); /* while the owner keeps it */
    CHECK(weft_cancel(a[0].task));
    CHECK_INT(weft_mutex_unlock(&m), 0); /* the first may not have left the queue yet */
    CHECK_INT(finish(&a[2]), 0);
    CHECK_INT(finish(&a[0]), WEFT_ECANCELED);
    CHECK_STR(j.text, "3");
    CHECK(!weft_mutex_islocked(&m));
}

/* [S223] */
TASK_TEST(lock_cancel, mutex_free, "a free mutex cannot be had in a cancelled scope, and stays free")
{
    weft_mutex m = {{0}};
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_cancel(&s, 0);
    CHECK_INT(weft_mutex_lock_until(&m, WEFT_FOREVER), WEFT_ECANCELED);
    CHECK_INT(weft_mutex_lock_until(&m, WEFT_NOW), WEFT_ECANCELED);
    CHECK(!weft_mutex_islocked(&m));
    CHECK_INT(weft_mutex_unlock(&m), WEFT_EPERM);
    CHECK_INT(weft_scope_close(&s, WEFT_ECANCELED), 0);
    CHECK_INT(weft_mutex_lock_until(&m, WEFT_NOW), 0);
    CHECK_INT(weft_mutex_unlock(&m), 0);
}

/* [S224]  Without a hand-over the first is woken; after it was woken in vain, and has waited for long, it is given the mutex. */
WORKER_TEST(lock_cancel, mutex_granted, "who is cancelled as it is given a mutex has it, or the next has")
{
    for (int given = 0; given < 2; given++) {
        weft_mutex m = {{0}};
        struct actor first = actor(lock_then_unlock, &m, NULL, NULL, 0), second = first;
        weft_mutex_lock(&m);
        begin(&first);
        begin(&second);
        if (given) {
            CHECK_INT(weft_sleep(2 * WEFT_MS), 0);
            CHECK_INT(weft_mutex_unlock(&m), 0);
            if (!CHECK(weft_mutex_trylock(&m))) return;
            give_turns(3);
        }
        CHECK_INT(weft_mutex_unlock(&m), 0);
        if (given) CHECK(weft_mutex_islocked(&m)); /* the first's */
        CHECK(weft_cancel(first.task));
        CHECK_INT(finish(&second), 0);
        int rc = finish(&first);
        CHECK(rc == 0 || (rc == WEFT_ECANCELED && !given));
        CHECK(!weft_mutex_islocked(&m));
    }
}

struct holder {
    weft_mutex m;
    _Atomic int holds, go;
    int unlocked;
};

static int
hold_cancelled(void *arg)
{
    struct holder *h = arg;
    weft_mutex_lock(&h->m);
    atomic_store(&h->holds, 1);
    int rc = weft_sleep(1000 * WEFT_S);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    h->unlocked = weft_mutex_unlock(&h->m);
    return rc;
}

/* [S149] */
WORKER_TEST(lock_cancel, holder, "who is cancelled and holds a mutex unlocks it as ever, and the others go on")
{
    struct holder h = {.unlocked = 1};
    struct actor a = actor(lock_then_unlock, &h.m, NULL, NULL, 0), b = a;
    weft_task *t = asynced(hold_cancelled, &h);
    until(&h.holds, 1);
    begin(&a);
    begin(&b);
    CHECK(weft_cancel(t));
    CHECK_INT(finish(&a), 0);
    CHECK_INT(finish(&b), 0);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
    CHECK_INT(h.unlocked, 0);
    weft_task_release(t);
}

/* ---- Conditions ---------------------------------------------------------------------------------------------------- */

/* [S226] [S227] */
WORKER_TEST(lock_cancel, condition,
            "a cancelled wait for a condition has the mutex again, also if it must wait for that")
{
    weft_mutex m = {{0}};
    weft_condition c = {{0}};
    struct actor a = actor(wait_locked, &c, &m, NULL, 0), b = a;
    begin(&a);
    begin(&b);
    CHECK(weft_cancel(a.task));
    CHECK_INT(finish(&a), WEFT_ECANCELED);
    weft_mutex_lock(&m);
    CHECK(weft_cancel(b.task));
    give_turns(5);
    CHECK(!is_back(&b)); /* it cannot have it yet */
    CHECK_INT(weft_condition_notify(&c, NULL, WEFT_ALL), 0);
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK_INT(finish(&b), WEFT_ECANCELED);
    CHECK(!weft_mutex_islocked(&m));
}

/* [S229] */
WORKER_TEST(lock_cancel, notified, "a notification of one meets one that is not cancelled, or one that it came before")
{
    for (int notified_first = 0; notified_first < 2; notified_first++) {
        weft_mutex m = {{0}};
        weft_condition c = {{0}};
        struct actor a = actor(wait_locked, &c, &m, NULL, 0), b = a;
        begin(&a);
        begin(&b);
        weft_mutex_lock(&m);
        if (!notified_first) CHECK(weft_cancel(a.task));
        CHECK_INT(weft_condition_notify(&c, NULL, WEFT_ONE), 1);
        if (notified_first) CHECK(weft_cancel(a.task));
        CHECK_INT(weft_mutex_unlock(&m), 0);
        CHECK_INT(finish(&a), notified_first ? 0 : WEFT_ECANCELED);
        if (notified_first) {
            CHECK(!is_back(&b));
            weft_mutex_lock(&m);
            CHECK_INT(weft_condition_notify(&c, NULL, WEFT_ONE), 1);
            CHECK_INT(weft_mutex_unlock(&m), 0);
        }
        CHECK_INT(finish(&b), 0);
    }
}

/* ---- Semaphores ---------------------------------------------------------------------------------------------------- */

/* [S235] */
WORKER_TEST(lock_cancel, semaphore, "who is cancelled as it is given permits has them, or the next has")
{
    for (int released_first = 0; released_first < 2; released_first++) {
        weft_semaphore s;
        CHECK_INT(weft_semaphore_init(&s, 1), 0);
        struct actor a = actor(acquire_then_release, &s, NULL, NULL, 0), b = a;
        CHECK_INT(weft_semaphore_acquire(&s, 1), 0);
        begin(&a);
        begin(&b);
        if (!released_first) CHECK(weft_cancel(a.task));
        CHECK_INT(weft_semaphore_release(&s, 1), 0);
        if (released_first) CHECK(weft_cancel(a.task));
        CHECK_INT(finish(&a), released_first ? 0 : WEFT_ECANCELED);
        CHECK_INT(finish(&b), 0);
        CHECK_INT(weft_semaphore_available(&s), 1);
    }
}

/* ---- At the same time ---------------------------------------------------------------------------------------------- */

/* Two wait for what the body of the test grants, while another task cancels the first. */
struct duel {
    weft_mutex m;
    weft_condition c;
    weft_semaphore s;
    weft_event e;
    int waiting; /* under m: for c */
    struct actor a, b;
};

static int
cancel_first(void *arg)
{
    struct duel *d = arg;
    return weft_cancel(d->a.task) ? 1 : 0; /* 0: it had ended */
}

static void
begin_duel(struct duel *d, int (*call)(struct actor *), void *object)
{
    d->a = actor(call, object, d, NULL, 0);
    d->b = d->a;
    d->a.task = spawned(act, &d->a);
    until(&d->a.step, 1);
    d->b.task = spawned(act, &d->b);
    until(&d->b.step, 1);
}

/* Starts who cancels the first, and lets it get more or less far. */
static weft_task *
attack(struct duel *d, unsigned *seed)
{
    weft_task *t = spawned(cancel_first, d);
    for (unsigned n = dice(seed, 3); n > 0; n--) weft_yield();
    for (volatile unsigned spins = dice(seed, 300); spins > 0; spins--) continue;
    return t;
}

/* Was the first granted it? */
static bool
first_got_it(struct duel *d, weft_task *attacker)
{
    CHECK(weft_join(attacker) >= 0);
    int rc = finish(&d->a);
    CHECK(rc == 0 || rc == WEFT_ECANCELED);
    return rc == 0;
}

static void
duel_for_mutex(unsigned *seed)
{
    struct duel d = {.m = {{0}}};
    weft_mutex_lock(&d.m);
    begin_duel(&d, lock_then_unlock, &d.m);
    weft_task *t = attack(&d, seed);
    CHECK_INT(weft_mutex_unlock(&d.m), 0);
    (void)first_got_it(&d, t);
    CHECK_INT(finish(&d.b), 0);
    CHECK(!weft_mutex_islocked(&d.m));
}

static int
wait_in_duel(struct actor *a)
{
    struct duel *d = a->other;
    weft_mutex_lock(&d->m);
    d->waiting++;
    int rc = weft_condition_wait(&d->c, &d->m, NULL);
    CHECK_INT(weft_mutex_unlock(&d->m), 0);
    return rc;
}

static void
duel_for_notification(unsigned *seed)
{
    struct duel d = {.m = {{0}}};
    begin_duel(&d, wait_in_duel, NULL);
    while (weft_mutex_lock(&d.m), d.waiting < 2) {
        CHECK_INT(weft_mutex_unlock(&d.m), 0);
        weft_yield();
    }
    weft_task *t = attack(&d, seed);
    CHECK_INT(weft_condition_notify(&d.c, NULL, WEFT_ONE), 1);
    CHECK_INT(weft_mutex_unlock(&d.m), 0);
    bool got = first_got_it(&d, t);
    weft_mutex_lock(&d.m);
    CHECK_INT(weft_condition_notify(&d.c, NULL, WEFT_ONE), got);
    CHECK_INT(weft_mutex_unlock(&d.m), 0);
    CHECK_INT(finish(&d.b), 0);
}

static void
duel_for_permit(unsigned *seed)
{
    struct duel d = {.m = {{0}}};
    CHECK_INT(weft_semaphore_init(&d.s, 1), 0);
    CHECK_INT(weft_semaphore_acquire(&d.s, 1), 0);
    begin_duel(&d, acquire_then_release, &d.s);
    weft_task *t = attack(&d, seed);
    CHECK_INT(weft_semaphore_release(&d.s, 1), 0);
    (void)first_got_it(&d, t);
    CHECK_INT(finish(&d.b), 0);
    CHECK_INT(weft_semaphore_available(&d.s), 1);
}

static int
wait_for_event(struct actor *a)
{
    return weft_event_wait(a->object);
}

static void
duel_for_event(unsigned *seed)
{
    struct duel d = {.e = WEFT_EVENT_AUTORESET_INIT};
    begin_duel(&d, wait_for_event, &d.e);
    weft_task *t = attack(&d, seed);
    weft_event_notify(&d.e);
    bool got = first_got_it(&d, t);
    if (got) weft_event_notify(&d.e);
    CHECK_INT(finish(&d.b), 0);
    CHECK(!weft_event_isset(&d.e));
}

static void
run_duels(void (*duel)(unsigned *seed), int times)
{
    unsigned seed = test_seed();
    while (times-- > 0) duel(&seed);
}

enum { DUELS = TEST_SIM ? 5 : TEST_TSAN ? 100 : 2000 };

/* [S224] */
TASK_TEST(lock_cancel, mutex_duel, "cancelling against an unlock: the mutex goes to the first or to the next")
{
    run_duels(duel_for_mutex, DUELS);
}

/* [S229] */
TASK_TEST(lock_cancel, condition_duel, "cancelling against a notification of one: it goes to the first or to the next")
{
    run_duels(duel_for_notification, DUELS);
}

/* [S235] */
TASK_TEST(lock_cancel, semaphore_duel, "cancelling against a release: the permit goes to the first or to the next")
{
    run_duels(duel_for_permit, DUELS);
}

TASK_TEST(lock_cancel, event_duel, "cancelling against a notify: it goes to the first, or to the next, or is kept")
{
    run_duels(duel_for_event, DUELS);
}
