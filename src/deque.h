/* deque.h - the work-stealing deque of a worker: the owner pushes and pops below, thieves steal above.  [layer 2]
 *
 * The essay is in deque.c. */
#ifndef WEFT_SRC_DEQUE_H
#define WEFT_SRC_DEQUE_H

#include "runnable.h"

struct deque_array;

struct deque {
    weft__aligned(WEFT_CACHE_LINE) _Atomic int64_t top; /* next to steal; only grows */
    weft__aligned(WEFT_CACHE_LINE) _Atomic int64_t bottom; /* next to push; the owner's */
    _Atomic(struct deque_array *) array;
    int64_t room;       /* the owner's: bottom may grow to here without another look at top */
    bool alone;         /* the owner's: there are no thieves, so no fences */
};

enum deque_result { DEQUE_EMPTY, DEQUE_LOST, DEQUE_ITEM };

/* Makes an empty deque; false: no memory.  alone: nobody will ever steal from it. */
bool weft__deque_init(struct deque *d, bool alone);
void weft__deque_fini(struct deque *d);

/* Owner: appends below.  false: the deque is full and cannot grow; nothing was pushed. */
bool weft__deque_push(struct deque *d, struct runnable *item, uint64_t tag);

/* Owner: removes the lowest entry that is not stale, and drops stale ones on the way and right above it.  false: none. */
bool weft__deque_pop(struct deque *d, struct entry *out);

/* Owner: is r, with this tag, the lowest entry? */
bool weft__deque_at_bottom(const struct deque *d, const struct runnable *r, uint64_t tag);

/* Owner of a deque from which nobody pops below: removes the oldest entry (stale or not).  false: none. */
bool weft__deque_take(struct deque *d, struct entry *out);

/* Anybody: removes the oldest entry (stale or not).  LOST: somebody else was faster, there may be more. */
enum deque_result weft__deque_steal(struct deque *d, struct entry *out);

/* Anybody: a guess at the number of entries. */
static inline int64_t
weft__deque_size(const struct deque *d)
{
    int64_t n = load_relaxed(&d->bottom) - load_relaxed(&d->top); /* hints; steal and pop decide */
    return n > 0 ? n : 0;
}

#endif
