/*
 * mutex.c - one owner at a time.  [layer 5]
 *
 * The word says who is the owner, and has three flags: LOCKED (wordlock.h), QUEUED, somebody is in the list of waiters, and WOKEN,
 * one of them has been woken to try again and has not yet.
 *
 *      lock                                              unlock
 *      L1  no owner, word not locked:                    U1  nobody QUEUED, or one WOKEN, word not locked:
 *          CAS to me, with the flags; done                   CAS to the flags; done
 *      L2  lock the word                                 U2  lock the word
 *      L3  no owner: unlock it with me; done             U3  QUEUED and not WOKEN: claim the first waiter
 *      L4  into the list                                 U4  unlock it: no owner, and WOKEN if one was claimed;
 *      L5  unlock it, QUEUED; not WOKEN if that was me       or the claimed one as the owner, if it starves
 *      L6  park; woken: L2, or it is mine already        U5  wake it
 *      L7  a deadline or a cancellation: lock the
 *          word, out of the list, unlock it
 *
 * Invariant.  Whenever the word is not locked: if there is no owner, then nobody is in the list who can still be claimed, or
 * WOKEN is set; and WOKEN is set only if somebody has been claimed and will come to L2.
 *
 * Proof.  The first half can be broken by L4, which happens only under an owner, or by leaving the mutex without an owner:
 * U1 sees no QUEUED, or WOKEN, in the word that it exchanges, and U4 has claimed one, or found none (who cannot be claimed has been
 * claimed by its deadline or a cancellation, and leaves by L7), or WOKEN was set.  WOKEN is set with a claim, in one store,
 * and whoever was claimed cannot time out any more: it comes to L2, and clears the flag in L3 or L5.  So as long as
 * waiters are left, an unlock wakes one, or one is on its way; and of a waiter whose deadline passes at that moment, the
 * claim decides: it has the wake, or the next one in the list does.
 *
 * Barging.  Between U4 and L2 of who was woken, anybody may take the mutex by L1 or L3.  Handing it over each time would
 * cost a switch for each lock, and the owner that locks again a moment later would park.  But who was woken in vain goes
 * to the front of the list; and when it has waited for STARVING_NS or lost LOSSES_MOST times it says that it starves, and
 * the next unlock makes it the owner.  At most one is on its way, so nobody else has been at the front meanwhile, and
 * the order is kept.  The wait of the first in the list is bounded by that: a millisecond, or some turns, and what the
 * owner of that moment takes.
 *
 * Memory.  U1 and U4 are the last access to the mutex: who locks it next may free it.  U5 touches the waiter, which lives
 * until it is woken.
 *
 * Cost.  Two locked instructions for a lock and an unlock that nobody contends for, and as many where others wait but one is
 * on its way.
 *
 * Owners.  A task is known by its descriptor, a plain thread by the address of its thread-local word.  A task that runs in
 * place of its waiter has a descriptor of its own.
 *
 * Rejected.  An inner lock beside the word: its release would come after the mutex is free, when the memory may be gone.
 * Spinning before parking (Go, pthreads): where tasks outnumber workers, the worker has something better to do; where they do
 * not, it may be worth measuring.
 *
 * Checked.  tests/model_mutex.c, tests/test_mutex.c, tests/stress_mutex.c.
 */
#include "mutex.h"

#include "clock.h"
#include "hook.h"
#include "panic.h"

#if defined(WEFT_MODEL)
enum { STARVING_NS = 1000000, LOSSES_MOST = 1 }; /* a model is short */
#else
enum { STARVING_NS = 1000000, LOSSES_MOST = 16 };
#endif

const char weft__mutex_reason[] = "mutex lock";

/* In builds with WEFT_DEBUG: how many mutexes the task of c owns.  Waits for conditions do not count, on neither side. */
static inline void
count_owned(const struct context *c, int n)
{
#if defined(WEFT_DEBUG)
    if (c) c->task->owns += (uint32_t)n;
#else
    (void)c, (void)n;
#endif
}

/* The owner locks it again. */
static void
lock_again(struct mutex *m)
{
    weft__check(m->depth != UINT32_MAX, "weft_mutex_lock: locked 2^32 times without an unlock");
    m->depth++;
}

/* L2 to L5: true if m is the caller's, false if it is queued and has to park. */
static bool
take_or_queue(struct mutex *m, struct mutex_attempt *a, bool cancellable)
{
    weft__hook();
    uint64_t word = weft__word_lock(&m->word); /* L2 */
    if (a->woken) word &= ~(uint64_t)MUTEX_WOKEN;
    a->woken = false;
    if (!(word & ~(uint64_t)MUTEX_FLAGS)) {
        weft__word_unlock(&m->word, word | a->owner); /* L3 */
        return true;
    }
    weft__wait_begin(&a->wait, a->context, weft__mutex_reason, cancellable);
    if (a->lost) weft__wait_register_first(&a->wait, &a->registration, &m->waiters, 0, NULL); /* L4 */
    else weft__wait_register(&a->wait, &a->registration, &m->waiters, 0, NULL);
    weft__word_unlock(&m->word, word | MUTEX_QUEUED); /* L5 */
    return false;
}

/* L7 */
static void
withdraw(struct mutex *m, struct mutex_attempt *a)
{
    uint64_t word = weft__word_lock(&m->word);
    weft__wait_withdraw(&a->registration, &m->waiters);
    if (weft__list_empty(&m->waiters)) word &= ~(uint64_t)MUTEX_QUEUED;
    weft__word_unlock(&m->word, word);
}

/* 0: m is the caller's; else why not. */
static int
take_until(struct mutex *m, struct mutex_attempt *a, weft_time deadline, bool cancellable)
{
    while (!take_or_queue(m, a, cancellable)) {
        if (!a->since) a->since = weft__clock_now();
        int rc = weft__wait_park(&a->wait, deadline); /* L6 */
        if (weft__wait_interrupted(&a->wait)) {
            withdraw(m, a);
            return rc;
        }
        if (rc == MUTEX_YOURS) return 0;
        a->woken = true;
        a->starving = ++a->lost >= LOSSES_MOST || weft__clock_now() - a->since >= STARVING_NS;
    }
    return 0;
}

void
weft__mutex_take(struct mutex *m, struct mutex_attempt *a)
{
    if (take_until(m, a, WEFT_FOREVER, false) == 0) return;
    weft__panic(
        "weft_mutex_lock: the owner is a thread of the process that this one was forked from, and there is nobody "
        "who will ever unlock it");
}

/* Where L1 has failed.  0, or why not. */
static weft__noinline int
lock_slow(struct mutex *m, struct context *c, uint64_t owner, weft_time deadline, bool cancellable)
{
    struct mutex_attempt a;
    if (weft__mutex_owner(m) == owner) {
        lock_again(m);
        return 0;
    }
    weft__mutex_attempt(&a, c, owner);
    int rc = cancellable ? take_until(m, &a, deadline, true) : 0;
    if (!cancellable) weft__mutex_take(m, &a);
    if (rc == 0) count_owned(c, 1);
    return rc;
}

/* Where the word is not as an owner alone leaves it. */
static weft__noinline bool
try_slow(struct mutex *m, const struct context *c, uint64_t owner)
{
    uint64_t present = weft__mutex_owner(m);
    if (present == owner) lock_again(m);
    if (present) return present == owner;
    uint64_t word = weft__word_lock(&m->word);
    bool free = !(word & ~(uint64_t)MUTEX_FLAGS);
    weft__word_unlock(&m->word, free ? word | owner : word);
    if (free) count_owned(c, 1);
    return free;
}

/* L1 */
static inline bool
take_free(struct mutex *m, const struct context *c, uint64_t owner)
{
    uint64_t word = load_relaxed(&m->word); /* relaxed: the CAS decides */
    /* acquire: pairs with U1 and U4 */
    bool taken = weft__likely(!(word & ~(uint64_t)(MUTEX_QUEUED | MUTEX_WOKEN))) &&
                 weft__likely(cas_acquire(&m->word, &word, word | owner));
    if (taken) count_owned(c, 1);
    return taken;
}

void
weft_mutex_lock(weft_mutex *mutex)
{
    struct mutex *m = weft__mutex(mutex);
    struct context *c = weft__context_fast();
    uint64_t owner = weft__owner(c);
    weft__sched_spend(c, COST_LOCK); /* first: others would wait for an owner that gives them a turn */
    if (!take_free(m, c, owner)) (void)lock_slow(m, c, owner, WEFT_FOREVER, false);
}

int
weft_mutex_lock_until(weft_mutex *mutex, weft_time deadline)
{
    struct mutex *m = weft__mutex(mutex);
    struct context *c = weft__context_fast();
    uint64_t owner = weft__owner(c);
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    if (deadline != WEFT_NOW) weft__sched_spend(c, COST_LOCK);
    if (take_free(m, c, owner)) return 0;
    if (deadline == WEFT_NOW) return try_slow(m, c, owner) ? 0 : WEFT_EAGAIN;
    return lock_slow(m, c, owner, deadline, true);
}

bool
weft_mutex_trylock(weft_mutex *mutex)
{
    struct mutex *m = weft__mutex(mutex);
    const struct context *c = weft__context_fast();
    uint64_t owner = weft__owner(c);
    return take_free(m, c, owner) || try_slow(m, c, owner);
}

/* U2 to U5 */
static weft__noinline void
release_slow(struct mutex *m)
{
    struct waiter *r = NULL;
    bool starving = false;
    uint64_t word = weft__word_lock(&m->word) & (MUTEX_QUEUED | MUTEX_WOKEN); /* U2 */
    if (word == MUTEX_QUEUED) {
        r = weft__waiter_claim_first(&m->waiters); /* U3 */
        if (weft__list_empty(&m->waiters)) word = 0;
    }
    if (r) {
        struct mutex_attempt *a = weft__container(r, struct mutex_attempt, registration);
        starving = a->starving;
        word |= starving ? a->owner : MUTEX_WOKEN;
    }
    weft__word_unlock(&m->word, word); /* U4 */
    weft__hook();
    if (r) weft__waiter_wake(r, starving ? MUTEX_YOURS : 0, false); /* U5 */
}

/* The owner, who sees word, gives m up. */
static inline void
release(struct mutex *m, uint64_t word)
{
    uint64_t flags = word & MUTEX_FLAGS;
    if (weft__likely(flags == 0 || flags == (MUTEX_QUEUED | MUTEX_WOKEN) || flags == MUTEX_WOKEN) &&
        weft__likely(cas_release(&m->word, &word, flags))) /* U1: release: pairs with L1 and L2 */
        return;
    release_slow(m);
}

void
weft__mutex_release(struct mutex *m)
{
    m->depth = 0;
    release(m, load_relaxed(&m->word)); /* relaxed: the CAS decides */
}

int
weft_mutex_unlock(weft_mutex *mutex)
{
    struct mutex *m = weft__mutex(mutex);
    uint64_t word = load_relaxed(&m->word); /* relaxed: only the owner can find itself there; the CAS decides */
    const struct context *c = weft__context_fast();
    if (weft__unlikely((word & ~(uint64_t)MUTEX_FLAGS) != weft__owner(c))) return WEFT_EPERM;
    if (weft__unlikely(m->depth)) {
        m->depth--;
        return 0;
    }
    count_owned(c, -1);
    release(m, word);
    return 0;
}

bool
weft_mutex_islocked(const weft_mutex *m)
{
    return weft__mutex_owner(weft__mutex(m)) != 0;
}

void
weft__mutex_adopt(struct mutex *m, struct list *list)
{
    uint64_t word = weft__word_lock(&m->word);
    for (struct list_node *n; (n = weft__list_pop(list));) {
        struct waiter *r = weft__container(n, struct waiter, node);
        r->ticket = weft__park_move(r->parker, weft__mutex_reason, &m->waiters);
        weft__list_append(&m->waiters, n);
    }
    weft__word_unlock(&m->word, word | MUTEX_QUEUED);
}
