/*
 * rwlock.c - many readers or one writer, first come, first served.  [layer 5]
 *
 * The word holds the writer and WRITER, or the number of readers; QUEUED, somebody is in the list of waiters; and LOCKED
 * (wordlock.h).
 *
 *      lock                                              unlock
 *      L1  nothing set that is in the way:               U1  nobody queued:
 *          CAS to one reader more, or to me; done            CAS to one reader less, or to 0; done
 *      L2  lock the word                                 U2  lock the word; one reader less, or no writer
 *      L3  not QUEUED, and nothing is in the way:        U3  let in: while the first in the list can go in, claim it,
 *          unlock the word with it; done                     and count it in the word
 *      L4  into the list                                 U4  unlock the word
 *      L5  unlock it, QUEUED; park                         U5  wake those who were let in
 *      L6  a deadline or a cancellation: lock it, out
 *          of the list, U3 to U5
 *
 * Invariant.  Whenever the word is not locked, the first in the list that can still be claimed cannot go in: a reader, because
 * there is a writer; a writer, because there is anybody.
 *
 * Proof.  What lets somebody in is an unlock (U1 finds nobody queued in the word that it exchanges), or that the first in the list
 * leaves it: in U3, which goes on with the next, or in L6, which does as an unlock does.  (A writer that gives up lets in
 * the readers behind it, which waited only for their turn.)  L1 and L3 let nobody in where somebody waits, so nobody is
 * overtaken, and whoever is woken is in.  One that was interrupted and has not left yet cannot be claimed, and is
 * passed over.
 *
 * Memory.  U1 and U4 are the last access, as in mutex.c.
 *
 * Cost.  One locked instruction for each lock and each unlock that nobody contends for.
 *
 * Rejected.  Barging as in mutex.c: with readers that overlap a writer would starve, or readers behind writers.
 *
 * Checked.  tests/test_rwlock.c, tests/stress_mutex.c.
 */
#include "rwlock.h"

#include "hook.h"
#include "mutex.h"

enum kind { READ, WRITE };

const char weft__rwlock_read_reason[] = "rwlock read", weft__rwlock_write_reason[] = "rwlock write";

/* A call that waits, on its stack.  The index of the registration is the kind. */
struct attempt {
    struct wait wait;
    struct waiter registration;
    uint64_t owner;
};

static bool
can_go_in(uint64_t word, enum kind kind)
{
    return kind == READ ? !(word & RWLOCK_WRITER) : !(word & ~(uint64_t)(WORD_LOCKED | RWLOCK_QUEUED));
}

static uint64_t
gone_in(uint64_t word, enum kind kind, uint64_t owner)
{
    return kind == READ ? word + RWLOCK_READER : word | owner | RWLOCK_WRITER;
}

/* U3: what the word is then; those who were let in are in *ready. */
static uint64_t
let_in(struct rwlock *l, uint64_t word, struct list *ready)
{
    while (!weft__list_empty(&l->waiters)) {
        struct waiter *r = weft__container(l->waiters.head, struct waiter, node);
        enum kind kind = (enum kind)r->index;
        if (!can_go_in(word, kind)) return word;
        weft__list_remove(&l->waiters, &r->node);
        if (!weft__park_claim(r->parker, r->ticket)) continue;
        r->code = 0;
        weft__list_append(ready, &r->node);
        word = gone_in(word, kind, weft__container(r, struct attempt, registration)->owner);
    }
    return word & ~(uint64_t)RWLOCK_QUEUED;
}

/* U3 to U5 */
static void
let_go(struct rwlock *l, uint64_t word)
{
    struct list ready = {NULL, NULL};
    word = let_in(l, word, &ready);
    weft__word_unlock(&l->word, word); /* U4 */
    weft__hook();
    weft__waiter_wake_all(&ready); /* U5 */
}

/* Where L1 has failed: 0, or why not. */
static weft__noinline int
lock_slow(struct rwlock *l, struct context *c, uint64_t owner, enum kind kind, weft_time deadline, bool cancellable)
{
    struct attempt a;
    weft__hook();
    uint64_t word = weft__word_lock(&l->word); /* L2 */
    bool mine = (word & RWLOCK_WRITER) && (word & ~(uint64_t)RWLOCK_FLAGS) == owner;
    bool free = !(word & RWLOCK_QUEUED) && can_go_in(word, kind);
    if (mine || free || deadline == WEFT_NOW) {
        weft__word_unlock(&l->word, free ? gone_in(word, kind, owner) : word); /* L3 */
        return mine ? WEFT_EDEADLK : free ? 0 : WEFT_EAGAIN;
    }
    a.owner = owner;
    weft__wait_begin(&a.wait, c, kind == READ ? weft__rwlock_read_reason : weft__rwlock_write_reason, cancellable);
    weft__wait_register(&a.wait, &a.registration, &l->waiters, kind, NULL); /* L4 */
    weft__word_unlock(&l->word, word | RWLOCK_QUEUED);                      /* L5 */
    int rc = weft__wait_park(&a.wait, deadline);
    if (weft__wait_interrupted(&a.wait)) { /* L6 */
        word = weft__word_lock(&l->word);
        weft__wait_withdraw(&a.registration, &l->waiters);
        let_go(l, word);
    }
    return rc;
}

/* L1 */
static inline bool
go_in(struct rwlock *l, enum kind kind, uint64_t owner)
{
    uint64_t word = kind == READ ? load_relaxed(&l->word) : 0; /* relaxed: the CAS decides */
    while (!(word & RWLOCK_FLAGS)) {
        /* acquire: pairs with U1 and U4 */
        if (cas_acquire(&l->word, &word, gone_in(word, kind, owner))) return true;
        if (kind == WRITE) return false;
    }
    return false;
}

static int
lock(weft_rwlock *rwlock, enum kind kind)
{
    struct rwlock *l = weft__opaque(rwlock);
    struct context *c = weft__context_fast();
    uint64_t owner = weft__owner(c);
    weft__sched_spend(c, COST_LOCK);
    return weft__likely(go_in(l, kind, owner)) ? 0 : lock_slow(l, c, owner, kind, WEFT_FOREVER, false);
}

static int
lock_until(weft_rwlock *rwlock, enum kind kind, weft_time deadline)
{
    struct rwlock *l = weft__opaque(rwlock);
    struct context *c = weft__context_fast();
    uint64_t owner = weft__owner(c);
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    if (deadline != WEFT_NOW) weft__sched_spend(c, COST_LOCK);
    return weft__likely(go_in(l, kind, owner)) ? 0 : lock_slow(l, c, owner, kind, deadline, true);
}

static bool
try_lock(weft_rwlock *rwlock, enum kind kind)
{
    struct rwlock *l = weft__opaque(rwlock);
    struct context *c = weft__context_fast();
    uint64_t owner = weft__owner(c);
    return weft__likely(go_in(l, kind, owner)) || lock_slow(l, c, owner, kind, WEFT_NOW, false) == 0;
}

int
weft_rwlock_rdlock(weft_rwlock *l)
{
    return lock(l, READ);
}

int
weft_rwlock_wrlock(weft_rwlock *l)
{
    return lock(l, WRITE);
}

int
weft_rwlock_rdlock_until(weft_rwlock *l, weft_time deadline)
{
    return lock_until(l, READ, deadline);
}

int
weft_rwlock_wrlock_until(weft_rwlock *l, weft_time deadline)
{
    return lock_until(l, WRITE, deadline);
}

bool
weft_rwlock_tryrdlock(weft_rwlock *l)
{
    return try_lock(l, READ);
}

bool
weft_rwlock_trywrlock(weft_rwlock *l)
{
    return try_lock(l, WRITE);
}

/* Where somebody is queued, or the word is locked, or this is misuse. */
static weft__noinline int
rdunlock_slow(struct rwlock *l)
{
    uint64_t word = weft__word_lock(&l->word); /* U2 */
    if ((word & RWLOCK_WRITER) || word < RWLOCK_READER) {
        weft__word_unlock(&l->word, word);
        return WEFT_EPERM;
    }
    let_go(l, word - RWLOCK_READER);
    return 0;
}

int
weft_rwlock_rdunlock(weft_rwlock *rwlock)
{
    struct rwlock *l = weft__opaque(rwlock);
    uint64_t word = load_relaxed(&l->word); /* relaxed: the CAS decides */
    while (!(word & RWLOCK_FLAGS) && word >= RWLOCK_READER) {
        if (cas_release(&l->word, &word, word - RWLOCK_READER))
            return 0; /* U1: release: pairs with L1 and L2 of a writer */
    }
    return rdunlock_slow(l);
}

/* Where somebody is queued, or the word is locked. */
static weft__noinline void
wrunlock_slow(struct rwlock *l)
{
    uint64_t word = weft__word_lock(&l->word); /* U2 */
    let_go(l, word & RWLOCK_QUEUED);
}

int
weft_rwlock_wrunlock(weft_rwlock *rwlock)
{
    struct rwlock *l = weft__opaque(rwlock);
    uint64_t owner = weft__owner(weft__context_fast());
    uint64_t word = load_relaxed(&l->word); /* relaxed: only the writer can find itself there */
    if (weft__unlikely(!(word & RWLOCK_WRITER) || (word & ~(uint64_t)RWLOCK_FLAGS) != owner)) return WEFT_EPERM;
    word = owner | RWLOCK_WRITER;
    if (weft__unlikely(!cas_release(&l->word, &word, 0))) wrunlock_slow(l); /* U1: release: pairs with L1 and L2 */
    return 0;
}
