/*
 * park.c - how whoever waits is suspended and woken: exactly once, and never before it is saved.  [layer 3]
 *
 * Hazard.  Three at once.  Two wakers (a sender and a timer) both wake one park.  A late waker of one park wakes the
 * next.  A waker on another worker resumes a context whose registers are still being saved.
 *
 *      parker (context)                     waker
 *      K1  word = next generation, ARMED    W1  CAS word: ARMED -> CLAIMED, or SAVED -> CLAIMED_SAVED;
 *      K2  register with the objects            any other word: somebody else's, leave it
 *      K3  switch away                      W2  write index, code, value
 *      K4  (successor) CAS word:            W3  CAS word: CLAIMED -> READY; done, unless it is
 *          ARMED -> SAVED, or                   CLAIMED_SAVED: put the context into a queue
 *          CLAIMED -> CLAIMED_SAVED, or
 *          READY: put the context into a queue
 *
 * Invariant.  In each generation W1 succeeds once.  The context is queued exactly once, by whichever of K4 and W3
 * comes second, so after K3 has saved it and after W2.
 *
 * Proof.  Of the wakers only one leaves ARMED or SAVED, since no step goes back to them in one generation.  K4 and W3
 * are compare-and-swaps of one word, so one comes first.  K4 first: the word is CLAIMED_SAVED at W3 (or SAVED at W1,
 * which makes it that), the waker queues, K4 did not.  W3 first: the word is READY at K4, the successor queues, W3 did
 * not. A ticket names a generation; generations of one parker do not repeat (2^59 of them).
 *
 * Cost.  One locked instruction to park, one to wake (W3 finds CLAIMED_SAVED by a load).  A wake that comes before K3
 * is seen there, and nothing is switched.
 *
 * Moving.  The claimer may keep the parker parked, for another to wake: M1, instead of W3, a CAS from CLAIMED or CLAIMED_SAVED to
 * ARMED or SAVED of the next generation, not cancellable.  W1 of the old ticket fails from then on, as it did after the
 * claim; K4 takes the word as it finds it.  So it is the same park but for its ticket, and it is still claimed once.
 *
 * A plain thread has nothing to save: W3 is a store to its futex word, which is the last access to its parker.
 *
 * Rejected.  Queueing the context at once and letting its next runner spin until it is saved (Julia): the runner spins
 * for as long as the parker's thread has lost its core.  Holding the object's lock over the switch (Go's unlockf): a
 * select would hold many.
 *
 * Checked.  tests/model_park.c: every execution of two parks and three wakers, of a move, and each step and order is needed
 * but those of M1 (W1 of a move's ticket comes after it by the lock under which that was registered).  tests/test_park.c,
 * tests/stress_channel.c; of moving: tests/test_condition.c, tests/stress_condition.c.
 */
#include "park.h"

#include "futex.h"
#include "hook.h"
#include "panic.h"

enum { ARMED = 1, SAVED = 2, CLAIMED = 3, CLAIMED_SAVED = 4, READY = 5, STATE = 7, CANCELLABLE = 8, GENERATION = 16 };

static inline uint64_t
with_state(uint64_t word, unsigned state)
{
    return (word & ~(uint64_t)STATE) | state;
}

uint64_t
weft__park_arm(struct parker *p, const char *reason, bool cancellable)
{
    uint64_t last = load_relaxed(&p->word); /* relaxed: nobody changes the word of a parker that is not parked */
    uint64_t ticket = (last & ~(uint64_t)(GENERATION - 1)) + GENERATION + (cancellable ? CANCELLABLE : 0) + ARMED;
    store_relaxed(&p->reason, reason); /* relaxed: for people, as the next */
    store_relaxed(&p->object, NULL);
    if (p->context && weft__watched()) weft__watch_arm(p->context);
    store_release(&p->word, ticket); /* K1: release: the claimer may overwrite what the last park left in p */
    return ticket;
}

static bool
claim(struct parker *p, uint64_t word)
{
    for (;;) {
        unsigned state = word & STATE;
        if (state != ARMED && state != SAVED) return false;
        uint64_t claimed = with_state(word, state == ARMED ? CLAIMED : CLAIMED_SAVED);
        uint64_t seen = word;
        /* W1: release: who sees it claimed; K1 was acquired by weft__park_see, or by the object's lock, K4 is by W3 */
        if (cas_release(&p->word, &seen, claimed)) return true; /* W1 */
        if (with_state(seen, 0) != with_state(word, 0)) return false;
        word = seen;
    }
}

bool
weft__park_claim(struct parker *p, uint64_t ticket)
{
    weft__hook();
    uint64_t word = with_state(ticket, SAVED); /* mostly */
    /* W1: relaxed: who has the ticket comes after K1, and what K4 published is acquired when it is used */
    if (weft__likely(cas_relaxed(&p->word, &word, with_state(ticket, CLAIMED_SAVED)))) return true;
    return with_state(word, 0) == with_state(ticket, 0) && claim(p, word);
}

uint64_t
weft__park_see(const struct parker *p)
{
    uint64_t word = load_acquire(&p->word); /* acquire: pairs with K1, what the parker wrote before it */
    unsigned state = word & STATE;
    return (word & CANCELLABLE) && (state == ARMED || state == SAVED) ? word : 0;
}

bool
weft__park_claim_seen(struct parker *p, uint64_t seen)
{
    return seen && claim(p, seen);
}

bool
weft__park_claim_any(struct parker *p)
{
    return weft__park_claim_seen(p, weft__park_see(p)); /* W1 decides */
}

uint64_t
weft__park_move(struct parker *p, const char *reason, const void *object)
{
    weft__hook();
    store_relaxed(&p->reason, reason); /* relaxed: for people, as the next */
    store_relaxed(&p->object, object);
    uint64_t word = load_relaxed(&p->word); /* relaxed: the CAS decides */
    uint64_t ticket = (word & ~(uint64_t)(GENERATION - 1)) + GENERATION + ARMED;
    /* M1: acquire, pairs with K4, and release, with the next W1: it acts on what is saved, and on what was written */
    while (!cas_acq_rel(&p->word, &word, (word & STATE) == CLAIMED ? ticket : with_state(ticket, SAVED))) continue;
    return ticket;
}

void
weft__park_wake(struct parker *p, bool crowd)
{
    weft__hook();
    if (!p->context) {
        store_release(&p->futex, 1); /* W3: release, pairs with the thread's load; the last access */
        weft__futex_wake(&p->futex, 1);
        return;
    }
    if (weft__watched()) weft__watch_wake(p);
    uint64_t word = load_acquire(&p->word); /* acquire: pairs with K4, the context is saved */
    if ((word & STATE) == CLAIMED && cas_acq_rel(&p->word, &word, with_state(word, READY))) return; /* W3, with K4 */
    word = load_acquire(&p->word); /* acquire: K4 may have come between the two */
    weft__assert((word & STATE) == CLAIMED_SAVED);
    (void)word;
    weft__ready(p->context, crowd);
}

void
weft__park_wake_all(struct runlist *l)
{
    for (struct runnable *r; (r = weft__runlist_pop(l));)
        weft__park_wake(&weft__container(r, struct context, run)->parker, true);
}

bool
weft__park_is_saved(const struct parker *p)
{
    return (load_acquire(&p->word) & STATE) == CLAIMED_SAVED; /* acquire: pairs with K4 */
}

bool
weft__park_woken(const struct parker *p)
{
    return (load_acquire(&p->word) & STATE) == READY; /* acquire: pairs with W3 */
}

enum park_look
weft__park_look(const struct parker *p, uint64_t *word)
{
    *word = load_acquire(&p->word); /* acquire: pairs with K1 and K4 */
    switch (*word & STATE) {
    case ARMED:
        return PARK_BEGUN;
    case SAVED:
        return PARK_SAVED;
    case CLAIMED:
    case CLAIMED_SAVED:
        return PARK_CLAIMED;
    default:
        return PARK_NONE;
    }
}

void
weft__park_saved(struct context *c)
{
    struct parker *p = &c->parker;
    weft__hook();
    uint64_t word = load_relaxed(&p->word); /* relaxed: the CAS decides */
    for (;;) {
        unsigned state = word & STATE;
        if (state == READY) break;
        weft__assert(state == ARMED || state == CLAIMED);
        /* K4: release: publishes the saved registers; acquire: what the waker wrote, if READY is seen next */
        if (cas_acq_rel(&p->word, &word, with_state(word, state == ARMED ? SAVED : CLAIMED_SAVED))) return;
    }
    (void)load_acquire(&p->word); /* acquire: pairs with W3 */
    weft__ready(c, false);
}

bool
weft__park_thread(struct parker *p, uint64_t ticket, int64_t deadline)
{
    while (load_acquire(&p->futex) == 0) { /* acquire: pairs with W3 */
        if (deadline != WEFT_FOREVER && weft_now() >= deadline) {
            if (weft__park_claim(p, ticket)) return false;
            deadline = WEFT_FOREVER; /* it has been claimed, and is woken when its claimer gets to it */
        }
        weft__futex_wait(&p->futex, 0, deadline);
    }
    return true;
}
