/*
 * condition.c - waiting for a notification, with a mutex given back meanwhile.  [layer 5]
 *
 * The list of those who wait belongs to the owner of the mutex that they wait with: it is the only lock there is.
 *
 *      wait, as the owner of m                           notify, as the owner of m
 *      C1  arm, into the list                            N1  take the first out of the list; claim it; if that fails, its
 *      C2  give m up                                         deadline or a cancellation was faster: the next
 *      C3  park                                          N2  its value and code
 *      C4  notified: m is mine, or is tried for          N3  move it to the queue of m (park.c): parked, with a new
 *          interrupted: lock m; if it is still in            ticket
 *          the list, out of it                           N4  (later) unlock m, which wakes the first in its queue
 *
 * So a notification wakes nobody: it makes waiters of the condition waiters of the mutex, which is not free yet.  They are woken
 * one by one, each when it can have it.
 *
 * Invariant.  Who is in the list has not been claimed, but by its deadline or a cancellation; each wait is ended by one
 * claim, so by one notification, or none.
 *
 * Memory.  Who was notified does not look at the condition again, nor does one that N1 found interrupted: `listed` is its
 * own.  So when the list is empty, nobody comes back to it.
 *
 * `mutex` names the mutex while the list is not empty: there is somebody who waits with it, so it is there.  It is atomic for
 * the sake of those who ask without owning it: who notifies when nobody waits, or by mistake.
 *
 * Rejected.  A lock of its own: a notification of nobody would cost two more accesses, and all who get it right have the mutex.
 * Waking them to contend for the mutex: those who are notified together would all but one park again.
 *
 * Checked.  tests/test_condition.c, tests/stress_condition.c.
 */
#include <weft/condition.h>

#include "mutex.h"

struct condition {
    struct list waiters;           /* under the mutex */
    _Atomic(struct mutex *) mutex; /* written under it */
};

_Static_assert(sizeof(struct condition) == sizeof(weft_condition), "weft_condition has room for it");

/* One who waits, on its stack. */
struct sleeper {
    struct mutex_attempt attempt; /* its registration is in the condition's list, and then in the mutex's */
    void *value;                  /* the notifier's, as the next */
    int code;
    bool listed; /* under the mutex */
};

static struct sleeper *
sleeper_of(struct list_node *n)
{
    return weft__container(n, struct sleeper, attempt.registration.node);
}

static void
forget_mutex(struct condition *c)
{
    if (weft__list_empty(&c->waiters)) store_relaxed(&c->mutex, NULL); /* relaxed: under the mutex, or a guess */
}

/* C4, for one that was not notified: its registration may still be in the list, so it needs another one. */
static void
come_back(struct condition *c, struct mutex *m, struct sleeper *s)
{
    struct mutex_attempt again;
    weft__mutex_attempt(&again, s->attempt.context, s->attempt.owner);
    weft__mutex_take(m, &again);
    if (!s->listed) return;
    weft__list_remove(&c->waiters, &s->attempt.registration.node);
    forget_mutex(c);
}

static int
wait_in(struct condition *c, struct mutex *m, struct sleeper *s, weft_time deadline, bool first)
{
    struct mutex_attempt *a = &s->attempt;
    uint32_t depth = m->depth;
    weft__wait_begin(&a->wait, a->context, "condition wait", true);
    if (first) weft__wait_register_first(&a->wait, &a->registration, &c->waiters, 0, NULL);
    else weft__wait_register(&a->wait, &a->registration, &c->waiters, 0, NULL); /* C1 */
    s->listed = true;
    store_relaxed(&c->mutex, m);                  /* relaxed: as in forget_mutex */
    weft__mutex_release(m);                       /* C2 */
    int rc = weft__wait_park(&a->wait, deadline); /* C3 */
    if (weft__wait_interrupted(&a->wait)) {
        come_back(c, m, s); /* C4 */
    } else {
        if (rc != MUTEX_YOURS) {
            a->woken = true;
            a->lost = 1; /* if it is: then it was at the front */
            weft__mutex_take(m, a);
        }
        rc = s->code;
    }
    m->depth = depth;
    return rc;
}

static int
wait(weft_condition *condition, weft_mutex *mutex, void **value, weft_time deadline, bool first)
{
    struct condition *c = weft__opaque(condition);
    struct mutex *m = weft__mutex(mutex);
    struct context *context = weft__context_current();
    struct sleeper s;
    uint64_t owner = weft__owner(context);
    if (weft__mutex_owner(m) != owner) return WEFT_EPERM;
    if (weft__cancelled(context)) return WEFT_ECANCELED;
    struct mutex *others = load_relaxed(&c->mutex); /* relaxed: written under the mutex; another one is misuse */
    if (others && others != m) return WEFT_EINVAL;
    if (deadline == WEFT_NOW) return WEFT_EAGAIN;
    weft__mutex_attempt(&s.attempt, context, owner);
    int rc = wait_in(c, m, &s, deadline, first);
    if (rc == 0 && value) *value = s.value;
    return rc;
}

int
weft_condition_wait(weft_condition *c, weft_mutex *m, void **value)
{
    return wait(c, m, value, WEFT_FOREVER, false);
}

int
weft_condition_wait_until(weft_condition *c, weft_mutex *m, void **value, weft_time deadline)
{
    return wait(c, m, value, deadline, false);
}

int
weft_condition_wait_first(weft_condition *c, weft_mutex *m, void **value)
{
    return wait(c, m, value, WEFT_FOREVER, true);
}

int
weft_condition_wait_first_until(weft_condition *c, weft_mutex *m, void **value, weft_time deadline)
{
    return wait(c, m, value, deadline, true);
}

/* N1 to N3; returns how many. */
static weft__noinline int
notify_waiters(struct condition *c, struct mutex *m, void *value, int code, bool all)
{
    struct list notified = {NULL, NULL};
    int count = 0;
    for (struct list_node *n; (all || count == 0) && (n = weft__list_pop(&c->waiters));) {
        struct sleeper *s = sleeper_of(n);
        struct waiter *r = &s->attempt.registration;
        s->listed = false;
        if (!weft__park_claim(r->parker, r->ticket)) continue;
        s->value = value;
        s->code = code;
        weft__list_append(&notified, n);
        count++;
    }
    forget_mutex(c);
    if (count) weft__mutex_adopt(m, &notified);
    return count;
}

static inline int
notify(weft_condition *condition, void *value, int code, unsigned flags)
{
    struct condition *c = weft__opaque(condition);
    if (weft__unlikely(flags != WEFT_ONE && flags != WEFT_ALL)) return WEFT_EINVAL;
    struct mutex *m = load_relaxed(&c->mutex); /* relaxed: the caller owns it, or it is NULL, or this is misuse */
    if (!m) return 0;
    if (weft__mutex_owner(m) != weft__owner(weft__context_fast())) return WEFT_EPERM;
    return notify_waiters(c, m, value, code, flags == WEFT_ALL);
}

int
weft_condition_notify(weft_condition *c, void *value, unsigned flags)
{
    return notify(c, value, 0, flags);
}

int
weft_condition_notify_error(weft_condition *c, int code, unsigned flags)
{
    return code < 0 ? notify(c, NULL, code, flags) : WEFT_EINVAL;
}
