/* semaphore.h - a number of permits, and callers who hold some of them for a while.
 *
 * At most as many permits as the size of the semaphore are held at a time.  A permit has no owner: any task or thread may
 * release what another has acquired.
 *
 * Threads.   Every function may be called from tasks and from plain threads, on one semaphore at the same time.
 * Ownership. In the caller's memory; needs no destruction.  It must not be moved while somebody waits, and may be freed when
 *            the last acquire has returned: the releases that let it through do not touch the semaphore any more.
 * Ordering.  A release happens before the return of each acquire that gets what it gave back.
 * Fairness.  Permits go to the oldest waiter.  Nobody overtakes one: as long as somebody waits, newcomers queue up behind
 *            him, even if there are permits enough for them.  So a request for many is not starved by those for few.
 * Errors.    With any negative code nothing was acquired, or released. */
#ifndef WEFT_SEMAPHORE_H
#define WEFT_SEMAPHORE_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN

/* Zeroed: a semaphore of size 0, which is shut: whoever acquires waits until it gets a size by weft_semaphore_resize. */
typedef struct weft_semaphore {
    uint64_t opaque[3];
} weft_semaphore;

#define WEFT_SEMAPHORE_MAX 2147483647

/* Makes *s a semaphore of that size, with all permits there.  Nobody may be waiting on it.
 *   WEFT_EINVAL  permits is 0, or above WEFT_SEMAPHORE_MAX */
WEFT_API WEFT_MUSTUSE int weft_semaphore_init(weft_semaphore *s, size_t permits);

/* Acquires n permits, all at once; parks until they are there, and everybody who came before has his.  n 0 returns 0 at
 * once.                                                                                                           [C]
 *   WEFT_EINVAL    n is above the size, unless that is 0; also while parked, when the size is made smaller than n
 *   WEFT_ECANCELED the caller's scope was cancelled
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   (_until) */
WEFT_API WEFT_MUSTUSE int weft_semaphore_acquire(weft_semaphore *s, size_t n);
WEFT_API WEFT_MUSTUSE int weft_semaphore_acquire_until(weft_semaphore *s, size_t n, weft_time deadline);

/* Gives back n permits; never parks.
 *   WEFT_EOVERFLOW  fewer than n are held: a release without an acquire */
WEFT_API int weft_semaphore_release(weft_semaphore *s, size_t n);

/* Changes the size; never parks.  Growing lets waiters through.  Shrinking takes nothing from those who hold permits: nothing
 * is given out until enough have come back.  Waiters that ask for more than the new size return WEFT_EINVAL, unless it is 0,
 * which shuts the semaphore: then everybody waits.  More than WEFT_SEMAPHORE_MAX permits counts as that many. */
WEFT_API void weft_semaphore_resize(weft_semaphore *s, size_t permits);

/* Acquires n permits, calls body(arg), and releases them, however the body ends.                                  [C]
 * Returns the body's code; or that of weft_semaphore_acquire, and body was not called. */
WEFT_API WEFT_MUSTUSE int weft_semaphore_with(weft_semaphore *s, size_t n, weft_fn *body, void *arg);

/* How many permits there are at this moment that nobody holds. */
WEFT_API size_t weft_semaphore_available(const weft_semaphore *s);

WEFT_END
#endif
