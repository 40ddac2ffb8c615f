/* barrier.h - a number of parties, none of which goes on before all of them have arrived; again and again.
 *
 * Threads.   Parties may be tasks and plain threads, the same in each generation or others.
 * Ownership. In the caller's memory; needs no destruction.  It must not be moved while somebody waits, and may be freed when
 *            every wait has returned.
 * Ordering.  What each party did before it waited happens before the return of every party's wait.
 * Fairness.  Parties go on in the order in which they arrived.
 * Errors.    With any negative code the caller has not arrived: the others go on waiting for another in its place. */
#ifndef WEFT_BARRIER_H
#define WEFT_BARRIER_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN

/* Zeroed: a barrier without parties, for which nobody can wait. */
typedef struct weft_barrier {
    uint64_t opaque[4];
} weft_barrier;

/* Makes *b a barrier of that many parties.  Nobody may be waiting on it.
 *   WEFT_EINVAL  parties is 0, or above 4294967295 */
WEFT_API WEFT_MUSTUSE int weft_barrier_init(weft_barrier *b, size_t parties);

/* Arrives, and parks until all parties have.  Exactly one of them, the last to arrive, is told so by 1: it can do what is to be
 * done once; the others return 0.  The barrier is ready for the next generation then.                            [C]
 *   WEFT_EINVAL    the barrier has no parties: it was not initialized
 *   WEFT_ECANCELED the caller's scope was cancelled before all had arrived
 *   WEFT_ETIMEDOUT (_until) the deadline passed before all had arrived
 *   WEFT_EAGAIN    (_until, WEFT_NOW) the caller would not have been the last */
WEFT_API WEFT_MUSTUSE int weft_barrier_wait(weft_barrier *b);
WEFT_API WEFT_MUSTUSE int weft_barrier_wait_until(weft_barrier *b, weft_time deadline);

WEFT_END
#endif
