/*
 * deque.c - the work-stealing deque of a worker.  [layer 2]
 *
 * Chase and Lev, "Dynamic Circular Work-Stealing Deque" (SPAA 2005), in the C11 form of Le, Pop, Cohen and Zappa
 * Nardelli, "Correct and Efficient Work-Stealing for Weak Memory Models" (PPoPP 2013, figure 1), with the differences
 * named below.
 *
 * Hazard.  The owner takes an entry below while a thief takes the same one above, or a thief reads a slot that the
 * owner is overwriting, or an array that has been freed.
 *
 *      owner: pop                                      thief: steal
 *      O1  bottom = lowest index wanted  (release)     T1  t = top
 *      O2  fence    <------- [deque] ------->          T2  fence
 *      O3  t = top                                     T3  b = bottom        (acquire); t >= b: empty
 *      O4  t below what is wanted: all of it is mine   T4  read array (acquire) and slot t
 *      O5  else CAS top from t to t + 1                T5  CAS top from t to t + 1 (seq_cst); failed: lost
 *      O6  bottom = t + 1
 *
 * Invariant.  An index is taken by exactly one of: the CAS of top that passes it; the owner, for every index at or
 * above the bottom of O1 and above the t of O3.
 *
 * Proof.  Of O2 and T2 one comes first in the order of the fences.  If O2: the thief's T3 sees the lowered bottom, and
 * leaves what is below alone.  If T2: the owner's O3 sees a top no older than the thief's t, so the thief's CAS can
 * succeed only at exactly that t.  So at most one index that the owner wants is contended, t itself, and O5 decides
 * it.  The entries above t are the owner's: top cannot pass t + 1 while bottom is at or below it.  This holds for any
 * number of entries wanted in O1, not only one; so stale entries (runnable.h) are dropped in bulk, for the price of
 * the one fence.
 *
 * Slots.  Two words each.  A thief may read them torn, or read garbage while the owner writes: then top has moved on,
 * since the owner only reuses a slot once top has passed it, and T5 fails.  The push publishes by a release store of
 * bottom, and O1 is a release too: a relaxed store there would cut the release sequence, and a thief that read it would
 * not see the slots below.  O6 need not be: no slot is below it, top is there already, and who read an older top fails.
 *
 * Growth.  The owner copies the live entries to an array twice as large and publishes that with release.  A thief may
 * still read the old one: its slot t holds what it held, so old arrays are kept until the deque is freed.  All of them
 * together are smaller than the newest.  Where there is no memory the push fails, and the caller queues the entry
 * elsewhere.
 *
 * Stale entries are rare, so the quick pop (weft__deque_pop_this) looks for one only while `stale` says that there may be
 * some.  It counts those that the owner left behind; thieves, who drop them as well, do not count, so it starts anew
 * whenever the owner finds the deque empty.
 *
 * Alone.  A deque that nobody steals from (one worker) needs neither O2 nor a CAS: 4.6 ns each on x86-64.
 *
 * Rejected.  A reference count in each entry for claims out of order: two locked instructions per task.  Nulling the
 * slot: a thief between T4 and T5 would start a descriptor that has been reused.  Splitting the deque in a private and
 * a shared part (Lace, ToPC 2014): saves O2, but hides tasks from thieves while the owner computes.
 *
 * Checked.  tests/model_deque.c: every execution of small cases, and each fence and order is needed.
 * tests/test_deque.c, tests/stress_deque.c.
 */
#include "deque.h"

#include "hook.h"
#include "panic.h"

#include <stdlib.h>

#if defined(WEFT_HARD) || defined(WEFT_MODEL)
enum { FIRST_CAPACITY = 2 };
#else
enum { FIRST_CAPACITY = 256 };
#endif

static struct deque_array *
new_array(int64_t capacity, struct deque_array *older)
{
    if (weft__hook_fail()) return NULL;
    struct deque_array *a = calloc(1, sizeof *a + (size_t)capacity * sizeof a->slots[0]);
    if (!a) return NULL;
    a->mask = capacity - 1;
    a->older = older;
    return a;
}

bool
weft__deque_init(struct deque *d, bool alone)
{
    struct deque_array *a = new_array(FIRST_CAPACITY, NULL);
    if (!a) return false;
    store_relaxed(&d->top, 0);
    store_relaxed(&d->bottom, 0);
    store_relaxed(&d->array, a); /* relaxed: there is one thread yet */
    d->room = FIRST_CAPACITY;
    d->stale = 0;
    d->alone = alone;
    return true;
}

void
weft__deque_fini(struct deque *d)
{
    struct deque_array *a = load_relaxed(&d->array); /* relaxed: there is one thread left */
    store_relaxed(&d->array, NULL);
    while (a) {
        struct deque_array *older = a->older;
        free(a);
        a = older;
    }
}

/* Makes room for an entry at index b; false: full, and no memory. */
weft__cold bool
weft__deque_make_room(struct deque *d, int64_t b)
{
    struct deque_array *a = load_relaxed(&d->array); /* relaxed: only the owner stores it */
    int64_t t = load_acquire(&d->top);               /* acquire: pairs with T5; the slots below t may be overwritten */
    int64_t capacity = a->mask + 1;
    if (b - t >= capacity) {
        struct deque_array *grown = new_array(2 * capacity, a);
        if (!grown) return false;
        for (int64_t i = t; i < b; i++) weft__deque_write(grown, i, weft__deque_read(a, i));
        capacity *= 2;
        store_release(&d->array, grown); /* release: pairs with the acquire of T4 */
    }
    d->room = t + capacity;
    return true;
}

/* O3 to O6, where t is not below `lowest`: takes top past t, and leaves the deque empty.  True if index `wanted` is ours. */
weft__noinline bool
weft__deque_pop_last(struct deque *d, int64_t t, int64_t end, int64_t wanted)
{
    bool mine = wanted >= t;
    if (t < end) {
        int64_t expected = t;
        bool won = cas_seq_cst(&d->top, &expected, t + 1); /* O5: against T5 */
        if (wanted == t) mine = won;
        t++;
    }
    store_relaxed(&d->bottom, t); /* O6: relaxed, see "Slots" */
    return mine;
}

bool
weft__deque_pop(struct deque *d, struct entry *out)
{
    int64_t end = load_relaxed(&d->bottom);          /* relaxed: only the owner stores it */
    int64_t floor = load_relaxed(&d->top);           /* relaxed: a lower bound will do */
    struct deque_array *a = load_relaxed(&d->array); /* relaxed: the owner's own store */
    int64_t wanted = end - 1;
    if (wanted < floor) {
        d->stale = 0;
        return false;
    }
    while (wanted >= floor && weft__deque_stale(weft__deque_read(a, wanted))) wanted--;
    int64_t lowest = wanted >= floor ? wanted : floor;
    while (lowest > floor && weft__deque_stale(weft__deque_read(a, lowest - 1))) lowest--;
    if (wanted >= floor) *out = weft__deque_read(a, wanted);
    d->stale = lowest > floor ? d->stale - (end - lowest - 1) : 0;

    store_release(&d->bottom, lowest); /* O1: release, see "Slots" */
    if (d->alone) return wanted >= floor;
    weft__fence(); /* O2: pairs with T2 [deque] */
    weft__hook();
    int64_t t = load_relaxed(&d->top);                    /* O3: relaxed, O2 orders it */
    if (weft__likely(t < lowest)) return wanted >= floor; /* O4 */
    return weft__deque_pop_last(d, t, end, wanted);
}

bool
weft__deque_take(struct deque *d, struct entry *out)
{
    int64_t b = load_relaxed(&d->bottom); /* relaxed: only the owner stores it */
    int64_t t = load_relaxed(&d->top);    /* T1: relaxed, T5 decides; no T2, since bottom is the caller's own */
    while (t < b) {
        *out = weft__deque_read(load_relaxed(&d->array), t); /* relaxed: the owner's own store */
        if (d->alone) {
            store_relaxed(&d->top, t + 1); /* relaxed: one thread */
            return true;
        }
        if (cas_seq_cst(&d->top, &t, t + 1)) return true; /* T5; a failed CAS has read t anew */
    }
    return false;
}

enum deque_result
weft__deque_steal(struct deque *d, struct entry *out)
{
    int64_t t = load_relaxed(&d->top);    /* T1: relaxed, T2 makes it an acquire that pairs with T5 of others */
    weft__fence();                        /* T2: pairs with O2 [deque] */
    int64_t b = load_acquire(&d->bottom); /* T3: acquire, pairs with the push */
    if (t >= b) return DEQUE_EMPTY;
    weft__hook();
    *out = weft__deque_read(load_acquire(&d->array), t);     /* T4: acquire, pairs with the growth */
    if (!cas_seq_cst(&d->top, &t, t + 1)) return DEQUE_LOST; /* T5 */
    return DEQUE_ITEM;
}
