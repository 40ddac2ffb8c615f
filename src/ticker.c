/*
 * ticker.c - points in time that come again and again.  [layer 5]
 *
 * A ticker is the time of the next tick and what comes after it.  Nothing runs between two ticks, and nothing is in the
 * wheel: whoever waits for a tick has a deadline of his own.  So a ticker that nobody waits for costs nothing, and needs
 * no destructor.
 *
 *      SKIP    the tick that is taken is the last that is due; those before it are counted as missed.  The next one is
 *              on the grid first, first + period, ...
 *      BURST   the tick that is taken is the first that is due, and the next one a period after it, due or not
 *      DELAY   a tick is a period after the first call since the last tick: what is done between two ticks does not count
 *
 * Several callers that wait for the same tick all have it: each remembers how many ticks had been taken when it came;
 * the first that is back takes the tick, and the others see that it has been taken.
 *
 * Closing claims everybody who waits.  A tick that is due, and that nobody has taken, is gone then.
 *
 * Checked.  tests/test_ticker.c.
 */
#include "clock.h"
#include "scheduler.h"
#include "waiter.h"

#include <string.h>

struct ticker {
    weft__lock lock;
    _Atomic int closed; /* written under the lock */

    /* Under the lock. */
    unsigned flags;
    bool armed; /* next is set; DELAY: not between a tick and the next call */
    weft_time next;
    int64_t period;
    uint64_t taken;
    _Atomic uint64_t missed; /* also read without */
    struct list waiters;
};

_Static_assert(sizeof(struct ticker) <= sizeof(weft_ticker), "a weft_ticker holds its ticker");
_Static_assert(_Alignof(struct ticker) <= _Alignof(weft_ticker), "and is aligned for it");

static struct ticker *
of(const weft_ticker *t)
{
    return (struct ticker *)(uintptr_t)t->opaque;
}

int
weft_ticker_init(weft_ticker *ticker, weft_time first, int64_t period, unsigned flags)
{
    if (!ticker || period <= 0 || flags > WEFT_DELAY) return WEFT_EINVAL;
    memset(ticker, 0, sizeof *ticker);
    struct ticker *t = of(ticker);
    t->next = first == WEFT_NOW ? weft__clock_now() : first;
    t->period = period;
    t->flags = flags;
    t->armed = true;
    return 0;
}

/* A sum of times that may be far away. */
static weft_time
later(weft_time when, int64_t ns)
{
    weft_time sum;
    return __builtin_add_overflow(when, ns, &sum) ? WEFT_FOREVER : sum;
}

/* Takes the tick that is due at time now.  Under the lock. */
static void
take(struct ticker *t, weft_time now)
{
    t->taken++;
    if (t->flags == WEFT_DELAY) {
        t->armed = false;
        return;
    }
    if (t->flags == WEFT_SKIP && now > t->next) {
        /* unsigned: the first tick may lie as far back as numbers go */
        uint64_t missed = ((uint64_t)now - (uint64_t)t->next) / (uint64_t)t->period;
        bump(&t->missed, missed);
        t->next = (weft_time)((uint64_t)t->next + missed * (uint64_t)t->period);
    }
    t->next = later(t->next, t->period);
}

/* Waits for the tick that is due at `due`, when `taken` ticks have been taken.  Under the lock, which it releases. */
static int
wait_for_tick(struct ticker *t, struct context *c, weft_time due, weft_time deadline)
{
    struct wait wait;
    struct waiter registration;
    uint64_t taken = t->taken;
    weft__wait_begin(&wait, c, "tick", true);
    weft__wait_register(&wait, &registration, &t->waiters, 0, NULL);
    weft__unlock(&t->lock);
    int rc = weft__wait_park(&wait, due < deadline ? due : deadline);
    if (!weft__wait_interrupted(&wait)) return rc; /* closed */
    weft__acquire(&t->lock);
    weft__wait_withdraw(&registration, &t->waiters);
    if (rc == WEFT_ETIMEDOUT && due <= deadline) {
        rc = 0;
        if (load_relaxed(&t->closed)) rc = WEFT_ECLOSED; /* relaxed: under the lock */
        else if (t->taken == taken) take(t, weft__clock_now());
    }
    weft__unlock(&t->lock);
    return rc;
}

int
weft_tick_until(weft_ticker *ticker, weft_time deadline)
{
    struct ticker *t = of(ticker);
    struct context *c = weft__context_current();
    if (t->period <= 0) return WEFT_EINVAL;
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    weft__acquire(&t->lock);
    weft_time now = weft__clock_now();
    int rc = load_relaxed(&t->closed) ? WEFT_ECLOSED : 0; /* relaxed: under the lock */
    if (!t->armed) t->next = later(now, t->period);
    t->armed = true;
    if (rc == 0 && t->next > now) {
        if (deadline != WEFT_NOW) return wait_for_tick(t, c, t->next, deadline);
        rc = WEFT_EAGAIN;
    } else if (rc == 0) {
        take(t, now);
    }
    weft__unlock(&t->lock);
    if (rc == 0 && deadline != WEFT_NOW) weft_yield(); /* one that is always late leaves others a turn */
    return rc;
}

int
weft_tick(weft_ticker *ticker)
{
    return weft_tick_until(ticker, WEFT_FOREVER);
}

uint64_t
weft_ticker_missed(const weft_ticker *ticker)
{
    return load_relaxed(&of(ticker)->missed); /* relaxed: the answer of a moment */
}

bool
weft_ticker_isopen(const weft_ticker *ticker)
{
    const struct ticker *t = of(ticker);
    return t->period > 0 && !load_acquire(&t->closed); /* acquire: pairs with weft_ticker_close */
}

bool
weft_ticker_close(weft_ticker *ticker)
{
    struct ticker *t = of(ticker);
    struct list ready = {NULL, NULL};
    struct waiter *w;
    weft__acquire(&t->lock);
    bool was_open = t->period > 0 && !load_relaxed(&t->closed); /* relaxed: under the lock */
    store_release(&t->closed, 1);                               /* release: pairs with weft_ticker_isopen */
    while ((w = weft__waiter_claim_first(&t->waiters))) {
        w->code = WEFT_ECLOSED;
        weft__list_append(&ready, &w->node);
    }
    weft__unlock(&t->lock);
    weft__waiter_wake_all(&ready);
    return was_open;
}
