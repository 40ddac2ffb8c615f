/*
 * event.c - level-triggered notification, of everybody or of one.  [layer 5]
 *
 * All state is one word (wordlock.h): SET; WAITERS, the list is not empty; AUTORESET, a constant; and the lock of the list.
 *
 * Hazard.  Three.  A wait sees that the event is not set, and parks after a notify that found nobody to wake.  A notify that
 * finds the event set returns without a trace, and whoever consumes that setting does not see what the notifier had done.
 * And: the waiter frees the event as soon as it may go on, and the notifier still uses it.
 *
 *      waiter                                       notifier
 *      V1  SET (autoreset: CAS it away): return     U1  no WAITERS, not locked: CAS the word to itself with SET; return
 *      V2  lock; SET: as V1                         U2  lock; claim the waiters (autoreset: the oldest that can be)
 *      V3  append itself                            U3  unlock, with SET; autoreset: only if there was none to claim
 *      V4  unlock, with WAITERS; park               U4  wake those claimed
 *      V5  woken by no notifier: lock; withdraw;
 *          unlock
 *
 * Invariant.  Whenever the word is not locked: WAITERS if and only if the list is not empty, and then not SET.
 *
 * Proof.  All changes are read-modify-writes of one word, or stores under its lock, when nobody else changes it: they are in
 * one order.  V4 before U1: that CAS fails, for it expects no WAITERS, and U2 finds the waiter.  U1 or U3 before V2: V2
 * sees SET.  So nothing is missed.  U1 writes the word even if it is SET already: its release then belongs to
 * whatever the consumer reads, so the consumer sees what each of the notifiers had done; and if a reset has come between,
 * that write is what sets the event again.  U1 and U3 are the notifier's last accesses to the event, and nobody can
 * return because of it before them; claimed waiters live until U4 (waiter.h).
 *
 * Autoreset hands over: at U3 the word is not SET, so no newcomer can be faster than the waiter that was claimed.
 *
 * A waiter that a deadline or a cancellation has taken withdraws under the lock, V5: it uses the event until it
 * returns, so who frees the event must know that no such waiter, and no notifier, is still to come.
 *
 * Rejected.  Setting by an atomic or, and a look at WAITERS after it: one step cheaper when contended, but the notifier
 * would use an event that may have been freed.  Not writing the word where it is SET already: see the proof.
 *
 * As a case of a select (select.h): the select holds the lock from V2 to V4, or executes V1 under it, and V5 is its withdrawal.
 *
 * Checked.  tests/model_event.c, tests/test_event.c, tests/stress_event.c, tests/test_select.c.
 */
#include "hook.h"
#include "scheduler.h"
#include "select.h"
#include "wordlock.h"

#include <weft/event.h>
#include <weft/timer.h>

enum { SET = 2, WAITERS = 4, AUTORESET = 8 };

struct event {
    _Atomic uint64_t word;
    struct list waiters; /* under the word's lock */
};

_Static_assert(sizeof(struct event) == sizeof(weft_event), "weft/event.h");
_Static_assert(_Alignof(struct event) <= _Alignof(weft_event), "weft/event.h");
_Static_assert(AUTORESET == 8, "WEFT_EVENT_AUTORESET_INIT of weft/event.h");

static inline struct event *
opened(weft_event *e)
{
    return (struct event *)(void *)e;
}

/* The state to unlock with: that of word, with WAITERS as the list is. */
static inline uint64_t
listed(const struct event *e, uint64_t word)
{
    return weft__list_empty(&e->waiters) ? word & ~(uint64_t)WAITERS : word | WAITERS;
}

/* U1: what can be done without the lock. */
static inline bool
set_alone(struct event *e)
{
    uint64_t word = load_relaxed(&e->word); /* relaxed: the CAS decides */
    while (!(word & (WAITERS | WORD_LOCKED))) {
        weft__hook();
        if (weft__likely(cas_release(&e->word, &word, word | SET))) return true; /* release: pairs with V1 and V2 */
    }
    return false;
}

static weft__noinline void
notify_waiters(struct event *e)
{
    struct list ready = {NULL, NULL};
    struct waiter *w;
    uint64_t word = weft__word_lock(&e->word); /* U2 */
    bool autoreset = word & AUTORESET;
    while ((w = weft__waiter_claim_first(&e->waiters))) {
        weft__list_append(&ready, &w->node);
        if (autoreset) break;
    }
    if (!autoreset || weft__list_empty(&ready)) word |= SET;
    weft__word_unlock(&e->word, listed(e, word)); /* U3: the last access */
    weft__waiter_wake_all(&ready);                /* U4; their codes are 0 */
}

void
weft_event_notify(weft_event *event)
{
    struct event *e = opened(event);
    if (weft__spanned() && !weft_event_isset(event)) weft__span_note(e);
    if (weft__unlikely(!set_alone(e))) notify_waiters(e);
}

void
weft_event_reset(weft_event *event)
{
    struct event *e = opened(event);
    uint64_t word =
        load_relaxed(&e->word); /* relaxed: the CAS decides; if it is not set, a notify may as well come later */
    while (word & SET) {
        if (word & WORD_LOCKED) {
            word = weft__word_lock(&e->word);
            weft__word_unlock(&e->word, word & ~(uint64_t)SET);
            return;
        }
        /* acquire: what is looked at after the reset is not older than what came before the notify that it undoes */
        if (weft__likely(cas_acquire(&e->word, &word, word & ~(uint64_t)SET))) return;
    }
}

/* V1. */
static inline bool
pass(struct event *e)
{
    uint64_t word = load_acquire(&e->word); /* acquire: pairs with U1 and U3 */
    if (!(word & AUTORESET)) return word & SET;
    while ((word & (SET | WORD_LOCKED)) == SET) {
        weft__hook();
        if (weft__likely(cas_acquire(&e->word, &word, word & ~(uint64_t)SET))) return true; /* acquire: as above */
    }
    return false;
}

static weft__noinline int
wait_slow(struct event *e, struct context *c, weft_time deadline)
{
    struct wait wait;
    struct waiter registration;
    uint64_t word = weft__word_lock(&e->word); /* V2 */
    if ((word & SET) || deadline == WEFT_NOW) {
        weft__word_unlock(&e->word, word & AUTORESET ? word & ~(uint64_t)SET : word);
        return word & SET ? 0 : WEFT_EAGAIN;
    }
    weft__wait_begin(&wait, c, "event wait", true);
    weft__wait_register(&wait, &registration, &e->waiters, 0, NULL); /* V3 */
    weft__word_unlock(&e->word, word | WAITERS);                     /* V4 */
    int rc = weft__wait_park(&wait, deadline);
    if (weft__likely(!weft__wait_interrupted(&wait))) return rc; /* the event may be gone */
    word = weft__word_lock(&e->word);                            /* V5 */
    weft__wait_withdraw(&registration, &e->waiters);
    weft__word_unlock(&e->word, listed(e, word));
    return rc;
}

int
weft_event_wait_until(weft_event *event, weft_time deadline)
{
    struct event *e = opened(event);
    struct context *c = weft__context_fast();
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    if (weft__unlikely(!pass(e))) return wait_slow(e, c, deadline);
    if (weft__spanned()) weft__span_seen(e);
    if (deadline != WEFT_NOW) weft__sched_spend(c, COST_SIGNAL);
    return 0;
}

int
weft_event_wait(weft_event *event)
{
    return weft_event_wait_until(event, WEFT_FOREVER);
}

bool
weft_event_isset(const weft_event *event)
{
    const struct event *e = (const struct event *)(const void *)event;
    return load_acquire(&e->word) & SET; /* acquire: pairs with U1 and U3 */
}

/* ---- As a case of a select ---- */

/* Nobody else changes the word while it is locked. */
static inline uint64_t
locked_word(const struct event *e)
{
    return load_relaxed(&e->word) & ~(uint64_t)WORD_LOCKED; /* relaxed: the lock was an acquire */
}

static void
case_lock(void *object)
{
    (void)weft__word_lock(&opened(object)->word);
}

static void
case_unlock(void *object)
{
    struct event *e = opened(object);
    weft__word_unlock(&e->word, listed(e, locked_word(e)));
}

static enum select_look
case_look(const weft_case *k)
{
    return weft_event_isset(k->object) ? LOOK_YES : LOOK_NO;
}

static bool
case_ready(const weft_case *k)
{
    return locked_word(opened(k->object)) & SET;
}

static bool
case_execute(weft_case *k, struct list *ready)
{
    struct event *e = opened(k->object);
    uint64_t word = load_relaxed(&e->word); /* relaxed: as in locked_word */
    (void)ready;
    if (!(word & SET)) return false;
    if (word & AUTORESET) store_relaxed(&e->word, word & ~(uint64_t)SET); /* relaxed: the unlocking publishes it */
    if (weft__spanned()) weft__span_seen(e);
    k->rc = 0;
    return true;
}

static void
case_enroll(weft_case *k, struct wait *w, uint32_t index, struct list *ready)
{
    (void)ready;
    weft__wait_register(w, weft__case_waiter(k), &opened(k->object)->waiters, index, NULL);
}

static void
case_withdraw(weft_case *k)
{
    weft__wait_withdraw(weft__case_waiter(k), &opened(k->object)->waiters);
}

static int
case_outcome(weft_case *k, int code)
{
    (void)k;
    return code;
}

const struct select_kind weft__select_event = {
    .look = case_look,
    .lock = case_lock,
    .unlock = case_unlock,
    .ready = case_ready,
    .execute = case_execute,
    .enroll = case_enroll,
    .withdraw = case_withdraw,
    .outcome = case_outcome,
};
