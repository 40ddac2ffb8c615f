/* rwlock.h - many readers, or one writer; whoever cannot go in parks.
 *
 * Valid when zeroed.  A writer is a task, or a plain thread; readers are counted, not known.  Neither may lock again what
 * it has locked: a writer is told (WEFT_EDEADLK), a reader waits for itself if a writer stands between, and for ever if
 * it wants to write.
 *
 * Threads.   Every function may be called from tasks and from plain threads.
 * Ownership. The memory is the caller's, and may be given back as that of a mutex (weft/mutex.h).
 * Ordering.  A wrunlock happens before the locks that come next, a rdunlock before the wrlock that comes next.
 * Fairness.  First come, first served: a writer that waits keeps later readers out, and after it all readers go in together
 *            that stand behind it up to the next writer.  The lock is handed over: nobody is woken in vain, and nobody
 *            who comes later is faster.
 * Errors.    With any negative code, and with false, the call had no effect. */
#ifndef WEFT_RWLOCK_H
#define WEFT_RWLOCK_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN

typedef struct weft_rwlock {
    uint64_t opaque[3];
} weft_rwlock;

/* Locks l for reading, for writing; parks while that cannot be.  Not cancellation points.
 *   WEFT_EDEADLK  the caller has locked l for writing */
WEFT_API int weft_rwlock_rdlock(weft_rwlock *l);
WEFT_API int weft_rwlock_wrlock(weft_rwlock *l);

/* The same until deadline.                                                                                       [C]
 *   WEFT_EDEADLK   as above
 *   WEFT_ECANCELED the caller's scope was cancelled
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   it could not be had in time, or at once */
WEFT_API WEFT_MUSTUSE int weft_rwlock_rdlock_until(weft_rwlock *l, weft_time deadline);
WEFT_API WEFT_MUSTUSE int weft_rwlock_wrlock_until(weft_rwlock *l, weft_time deadline);

/* The same if that needs no waiting: returns whether l was locked.  Never park. */
WEFT_API WEFT_MUSTUSE bool weft_rwlock_tryrdlock(weft_rwlock *l);
WEFT_API WEFT_MUSTUSE bool weft_rwlock_trywrlock(weft_rwlock *l);

/* Give back what was locked for reading, for writing.  Never park.
 *   WEFT_EPERM  nobody reads; the caller does not write */
WEFT_API int weft_rwlock_rdunlock(weft_rwlock *l);
WEFT_API int weft_rwlock_wrunlock(weft_rwlock *l);

WEFT_END
#endif
