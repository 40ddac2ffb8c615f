/*
 * semaphore.c - permits, first come, first served.  [layer 5]
 *
 * All state is one word (wordlock.h): how many permits are held, how many there are (the size), WAITERS, and the lock of the
 * list.
 *
 * Hazard.  A caller finds too few permits and parks after a release that found nobody to wake.  A permit is given to a waiter
 * whose deadline passes at that moment, and is lost, or is there twice.  A waiter who asks for many waits for ever, since
 * those who ask for one take each permit that comes back.
 *
 *      acquirer                                     releaser
 *      A1  no WAITERS, not locked, enough: CAS      R1  no WAITERS, not locked: CAS held - n; return
 *          held + n; return                         R2  lock; held - n; grant
 *      A2  lock; nobody in the list, and enough:    R3  unlock
 *          held + n; unlock; return                 R4  wake those who were granted
 *      A3  append itself; unlock, with WAITERS
 *      A4  park
 *      A5  woken by no releaser: lock; withdraw;    grant: while the oldest waiter's n are there: take it out of
 *          grant; unlock; wake those                the list; claim it; if that succeeds, held + n
 *
 * Invariant.  Whenever the word is not locked: WAITERS if and only if the list is not empty; and if the oldest in it can still
 * be woken, its n are not there.
 *
 * Proof.  All changes are compare-and-swaps of one word that has neither WAITERS nor the lock, or are made under the lock,
 * so they are in one order.  Permits get there by R1, R2, A5 and resize.  R1 only where nobody waits; the others grant.  A
 * waiter is appended (A3) only behind others, or where its n are not there.  held grows by n where, and only where, the
 * claim succeeds, and whoever is claimed returns 0: so a permit is neither lost nor made.  Who has lost his claim
 * to a deadline may stand at the head of the list with his n there, and keep others waiting: A5 takes him away and grants.
 *
 * R1, R3: the releaser's last access to the semaphore.  R4: claimed waiters live until then (waiter.h).
 *
 * Rejected.  Letting newcomers have what is there while the oldest waiter's n are not: requests for many would starve.
 *
 * Checked.  tests/model_semaphore.c, tests/test_semaphore.c, tests/stress_semaphore.c.
 */
#include "hook.h"
#include "scheduler.h"
#include "waiter.h"
#include "wordlock.h"

#include <weft/semaphore.h>
#include <weft/timer.h>

/* The word: bit 0 the lock, bit 1 WAITERS, 31 bits of permits held, 31 bits of size. */
enum { WAITERS = 2, HELD_SHIFT = 2, SIZE_SHIFT = 33 };

#define MOST ((uint64_t)WEFT_SEMAPHORE_MAX)

_Static_assert(SIZE_SHIFT - HELD_SHIFT == 31 && WEFT_SEMAPHORE_MAX == INT32_MAX, "each count has 31 bits");

struct semaphore {
    _Atomic uint64_t word;
    struct list waiters; /* under the word's lock; count: how many permits each wants */
};

_Static_assert(sizeof(struct semaphore) == sizeof(weft_semaphore), "weft/semaphore.h");
_Static_assert(_Alignof(struct semaphore) <= _Alignof(weft_semaphore), "weft/semaphore.h");

static inline struct semaphore *
opened(weft_semaphore *s)
{
    return (struct semaphore *)(void *)s;
}

static inline uint64_t
held(uint64_t word)
{
    return word >> HELD_SHIFT & MOST;
}

static inline uint64_t
size_of(uint64_t word)
{
    return word >> SIZE_SHIFT;
}

static inline uint64_t
available(uint64_t word)
{
    return size_of(word) > held(word) ? size_of(word) - held(word) : 0;
}

/* Will there never be so many?  A size of 0 is that of a semaphore that is shut. */
static inline bool
impossible(uint64_t word, uint64_t n)
{
    return size_of(word) > 0 && n > size_of(word);
}

/* n more permits are held; at most MOST. */
static inline uint64_t
take(uint64_t word, uint64_t n)
{
    return word + (n << HELD_SHIFT);
}

static inline uint64_t
give_back(uint64_t word, uint64_t n)
{
    return word - (n << HELD_SHIFT);
}

static inline bool
contended(uint64_t word)
{
    return word & (WAITERS | WORD_LOCKED);
}

int
weft_semaphore_init(weft_semaphore *s, size_t permits)
{
    if (permits == 0 || permits > MOST) return WEFT_EINVAL;
    opened(s)->waiters = (struct list){NULL, NULL};
    store_relaxed(&opened(s)->word, (uint64_t)permits << SIZE_SHIFT); /* relaxed: nobody uses it yet */
    return 0;
}

/* Gives what is there to the oldest waiters; under the lock.  Returns the word to unlock with; those to be woken are in
 * ready. */
static uint64_t
grant(struct semaphore *s, uint64_t word, struct list *ready)
{
    while (!weft__list_empty(&s->waiters)) {
        struct waiter *w = weft__container(s->waiters.head, struct waiter, node);
        if (w->count > available(word)) return word | WAITERS;
        weft__list_remove(&s->waiters, &w->node);
        if (!weft__park_claim(w->parker, w->ticket)) continue; /* it is about to return without them */
        word = take(word, w->count);
        weft__list_append(ready, &w->node);
    }
    return word & ~(uint64_t)WAITERS;
}

/* Unlocks with what is left after granting, and wakes. */
static void
grant_and_unlock(struct semaphore *s, uint64_t word, struct list *ready)
{
    weft__word_unlock(&s->word, grant(s, word, ready)); /* R3: the last access */
    weft__waiter_wake_all(ready);                       /* R4; codes are 0 but where resize has set one */
}

/* A1.  0: acquired; WEFT_EAGAIN: not without the lock. */
static inline int
acquire_alone(struct semaphore *s, size_t n)
{
    uint64_t word = load_relaxed(&s->word); /* relaxed: the CAS decides */
    while (weft__likely(!contended(word) && n <= available(word))) {
        weft__hook();
        /* acquire: pairs with R1, and with R3 of whoever gave back what was there */
        if (weft__likely(cas_acquire(&s->word, &word, take(word, n)))) return 0;
    }
    return WEFT_EAGAIN;
}

static weft__noinline int
acquire_slow(struct semaphore *s, struct context *c, size_t n, weft_time deadline)
{
    struct wait wait;
    struct waiter registration;
    struct list ready = {NULL, NULL};
    uint64_t word = weft__word_lock(&s->word); /* A2 */
    bool never = impossible(word, n);
    bool there = !(word & WAITERS) && n <= available(word);
    if (never || there || deadline == WEFT_NOW) {
        weft__word_unlock(&s->word, there ? take(word, n) : word);
        return never ? WEFT_EINVAL : there ? 0 : WEFT_EAGAIN;
    }
    weft__wait_begin(&wait, c, "semaphore acquire", true);
    weft__wait_register(&wait, &registration, &s->waiters, 0, NULL); /* A3 */
    registration.count = n;
    weft__word_unlock(&s->word, word | WAITERS);
    int rc = weft__wait_park(&wait, deadline);                   /* A4 */
    if (weft__likely(!weft__wait_interrupted(&wait))) return rc; /* the semaphore may be gone */
    word = weft__word_lock(&s->word);                            /* A5 */
    weft__wait_withdraw(&registration, &s->waiters);
    grant_and_unlock(s, word, &ready);
    return rc;
}

int
weft_semaphore_acquire_until(weft_semaphore *semaphore, size_t n, weft_time deadline)
{
    struct semaphore *s = opened(semaphore);
    struct context *c = weft__context_fast();
    if (weft__cancelled(c)) /* relaxed: the size of that moment */
        return impossible(load_relaxed(&s->word), n) ? WEFT_EINVAL : WEFT_ECANCELED;
    if (weft__unlikely(n == 0)) return 0;
    if (weft__unlikely(acquire_alone(s, n) < 0)) return acquire_slow(s, c, n, deadline);
    if (deadline != WEFT_NOW) weft__sched_spend(c, COST_SIGNAL);
    return 0;
}

int
weft_semaphore_acquire(weft_semaphore *s, size_t n)
{
    return weft_semaphore_acquire_until(s, n, WEFT_FOREVER);
}

static weft__noinline int
release_slow(struct semaphore *s, size_t n)
{
    struct list ready = {NULL, NULL};
    uint64_t word = weft__word_lock(&s->word); /* R2 */
    if (n > held(word)) {
        weft__word_unlock(&s->word, word);
        return WEFT_EOVERFLOW;
    }
    grant_and_unlock(s, give_back(word, n), &ready);
    return 0;
}

int
weft_semaphore_release(weft_semaphore *semaphore, size_t n)
{
    struct semaphore *s = opened(semaphore);
    uint64_t word = load_relaxed(&s->word); /* relaxed: the CAS decides */
    while (weft__likely(!contended(word) && n <= held(word))) {
        weft__hook();
        /* R1.  release: pairs with A1 and A2, also by way of other compare-and-swaps of the word */
        if (weft__likely(cas_release(&s->word, &word, give_back(word, n)))) return 0;
    }
    return release_slow(s, n);
}

/* Takes out those who ask for more than there will ever be; under the lock. */
static void
refuse(struct list *waiters, uint64_t size, struct list *ready)
{
    for (struct list_node *n = waiters->head, *next; n; n = next) {
        struct waiter *w = weft__container(n, struct waiter, node);
        next = n->next;
        if (w->count <= size) continue;
        weft__list_remove(waiters, n);
        if (!weft__park_claim(w->parker, w->ticket)) continue;
        w->code = WEFT_EINVAL;
        weft__list_append(ready, n);
    }
}

void
weft_semaphore_resize(weft_semaphore *semaphore, size_t permits)
{
    struct semaphore *s = opened(semaphore);
    struct list ready = {NULL, NULL};
    uint64_t size = permits < MOST ? permits : MOST;
    uint64_t word = weft__word_lock(&s->word);
    word = (word & (((uint64_t)1 << SIZE_SHIFT) - 1)) | size << SIZE_SHIFT;
    if (size > 0) refuse(&s->waiters, size, &ready);
    grant_and_unlock(s, word, &ready);
}

int
weft_semaphore_with(weft_semaphore *s, size_t n, weft_fn *body, void *arg)
{
    if (!body) return WEFT_EINVAL;
    int rc = weft_semaphore_acquire(s, n);
    if (rc < 0) return rc;
    rc = body(arg);
    (void)weft_semaphore_release(s, n);
    return rc;
}

size_t
weft_semaphore_available(const weft_semaphore *semaphore)
{
    const struct semaphore *s = (const struct semaphore *)(const void *)semaphore;
    return (size_t)available(load_relaxed(&s->word)); /* relaxed: the answer of a moment */
}
