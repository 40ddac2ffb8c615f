/*
 * barrier.c - parties that wait for each other.  [layer 5]
 *
 * The list of waiters, under a lock, holds those of the present generation that have arrived; `arrived` counts them.  The last
 * to arrive does not wait: it takes the whole list, and the next generation begins with an empty one.
 *
 * Hazard.  The last party arrives while the deadline of another passes.  That one has lost its park to the timer, but has not
 * left the barrier yet.  To claim the others, and to find only then that one is missing, would be too late: a claim
 * cannot be taken back.
 *
 * So it is the lock that decides, not the claim.  A party has arrived from the moment when it is in the list until it has
 * taken itself out, under the lock, or the last one has.  The last one marks each waiter that it takes, claimed or not; one
 * that comes back from its wait because of a deadline or a cancellation and finds the mark has arrived after all, with everybody
 * else, and returns 0.  A cancellation is not lost by that: the next cancellation point reports it.
 *
 * Rejected.  A counter of generations that waiters compare with the one in which they came: as long, and a barrier that is used
 * by 2^32 generations while one party sleeps would be wrong.
 *
 * Checked.  tests/test_barrier.c, tests/stress_semaphore.c.
 */
#include "scheduler.h"
#include "waiter.h"

#include <weft/barrier.h>
#include <weft/timer.h>

struct barrier {
    weft__lock lock;
    uint32_t parties;    /* constant */
    struct list waiters; /* under the lock, as the next; count: 1 in one whose generation is complete */
    uint32_t arrived;
};

_Static_assert(sizeof(struct barrier) == sizeof(weft_barrier), "weft/barrier.h");
_Static_assert(_Alignof(struct barrier) <= _Alignof(weft_barrier), "weft/barrier.h");

static inline struct barrier *
opened(weft_barrier *b)
{
    return (struct barrier *)(void *)b;
}

int
weft_barrier_init(weft_barrier *b, size_t parties)
{
    if (parties == 0 || parties > UINT32_MAX) return WEFT_EINVAL;
    struct barrier *o = opened(b);
    store_relaxed(&o->lock.held, 0); /* relaxed: nobody uses it yet */
    o->parties = (uint32_t)parties;
    o->waiters = (struct list){NULL, NULL};
    o->arrived = 0;
    return 0;
}

/* The caller is the last: lets the others go.  Under the lock, which it releases. */
static int
complete(struct barrier *b)
{
    struct list ready = {NULL, NULL};
    struct list_node *n;
    b->arrived = 0;
    while ((n = weft__list_pop(&b->waiters))) {
        struct waiter *w = weft__container(n, struct waiter, node);
        w->count = 1;
        if (!weft__park_claim(w->parker, w->ticket)) continue;
        if (weft__spanned()) weft__span_met(w->parker);
        weft__list_append(&ready, n);
    }
    weft__unlock(&b->lock);
    weft__waiter_wake_all(&ready);
    return 1;
}

/* The caller is not the last.  Under the lock, which it releases. */
static weft__noinline int
wait_for_others(struct barrier *b, struct context *c, weft_time deadline)
{
    struct wait wait;
    struct waiter registration;
    weft__wait_begin(&wait, c, "barrier wait", true);
    weft__wait_register(&wait, &registration, &b->waiters, 0, NULL);
    b->arrived++;
    weft__unlock(&b->lock);
    int rc = weft__wait_park(&wait, deadline);
    if (weft__likely(!weft__wait_interrupted(&wait))) return rc;
    weft__acquire(&b->lock);
    bool arrived = registration.count == 1;
    if (!arrived) {
        weft__wait_withdraw(&registration, &b->waiters);
        b->arrived--;
    }
    weft__unlock(&b->lock);
    return arrived ? 0 : rc;
}

int
weft_barrier_wait_until(weft_barrier *barrier, weft_time deadline)
{
    struct barrier *b = opened(barrier);
    struct context *c = weft__context_fast();
    if (b->parties == 0) return WEFT_EINVAL;
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    weft__acquire(&b->lock);
    bool last = b->arrived + 1 == b->parties;
    if (!last && deadline != WEFT_NOW) return wait_for_others(b, c, deadline);
    if (!last) {
        weft__unlock(&b->lock);
        return WEFT_EAGAIN;
    }
    int rc = complete(b);
    if (deadline != WEFT_NOW) weft__sched_spend(c, COST_SIGNAL);
    return rc;
}

int
weft_barrier_wait(weft_barrier *b)
{
    return weft_barrier_wait_until(b, WEFT_FOREVER);
}
