/* mutex.h - one owner at a time; whoever cannot have it parks.
 *
 *     static weft_mutex m;                     valid when zeroed
 *     weft_mutex_lock(&m); ...; weft_mutex_unlock(&m);
 *
 * A mutex is owned by a task, or by a plain thread, and its owner may lock it again: it is free after as many unlocks
 * as locks.  A task may be parked while it owns one, and go on on another worker.  A task that runs in the place of who
 * waits for it is another owner than that one.  A task that ends while it owns one leaves it locked, for ever; builds of
 * Weft with DEBUG=1 say so on stderr.
 *
 * Threads.   Every function may be called from tasks and from plain threads.
 * Ownership. The memory is the caller's.  A mutex that is free and that nobody waits for holds no resources: it needs no
 *            end.  Its memory may be given back by an owner as soon as its own last unlock has returned, if nobody else is
 *            in a call on it or will make one; the unlock that let that owner in does not touch it any more.
 * Ordering.  An unlock happens before the lock that comes next.  weft_mutex_islocked orders nothing.
 * Fairness.  Who waits is served in the order of arrival.  An unlock wakes the first, but does not reserve the mutex: who runs
 *            already may be faster (barging: no switch for each lock).  The one that was woken in vain keeps its place at
 *            the front; after 16 such losses, or at the first one after a millisecond, the mutex is handed over to it.
 * Errors.    With any negative code, and with false, the call had no effect. */
#ifndef WEFT_MUTEX_H
#define WEFT_MUTEX_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN

typedef struct weft_mutex {
    uint64_t opaque[4];
} weft_mutex;

/* Locks m; parks while somebody else owns it.  Not a cancellation point; cannot fail. */
WEFT_API void weft_mutex_lock(weft_mutex *m);

/* Locks m, unless somebody else owns it until deadline.                                                            [C]
 *   WEFT_ECANCELED the caller's scope was cancelled
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   it could not be had in time, or at once */
WEFT_API WEFT_MUSTUSE int weft_mutex_lock_until(weft_mutex *m, weft_time deadline);

/* Locks m if that needs no waiting; returns whether it did.  Never parks. */
WEFT_API WEFT_MUSTUSE bool weft_mutex_trylock(weft_mutex *m);

/* Undoes one lock.  Never parks.
 *   WEFT_EPERM  the caller does not own m, or nobody does */
WEFT_API int weft_mutex_unlock(weft_mutex *m);

/* Is m owned by anybody, the caller included?  The answer of a moment. */
WEFT_API bool weft_mutex_islocked(const weft_mutex *m);

WEFT_END
#endif
