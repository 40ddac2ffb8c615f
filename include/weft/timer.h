/* timer.h - time and sleeping.
 *
 * Threads.   Callable from everywhere.  A sleeping task costs its worker nothing; a plain thread sleeps in the kernel.
 * Ordering.  A sleep never ends early.  Sleeps that end within about ten microseconds of each other may end in any order. */
#ifndef WEFT_TIMER_H
#define WEFT_TIMER_H

#include <weft/base.h>

WEFT_BEGIN

#define WEFT_NS ((int64_t)1)
#define WEFT_US ((int64_t)1000)
#define WEFT_MS ((int64_t)1000000)
#define WEFT_S ((int64_t)1000000000)

#define WEFT_NOW ((weft_time)0) /* as a deadline: do not wait at all; WEFT_EAGAIN where waiting were needed */
#define WEFT_FOREVER ((weft_time)INT64_MAX) /* as a deadline: no limit */

/* The monotonic clock, in nanoseconds since some fixed point in the past.  Always above WEFT_NOW. */
WEFT_API weft_time weft_now(void);

/* The time ns nanoseconds from now; saturates at WEFT_FOREVER; a negative ns gives a time that has passed. */
WEFT_API weft_time weft_in(int64_t ns);

/* Parks the task for at least ns nanoseconds.  0 and less give the other tasks a turn and return.               [C]
 *   WEFT_ECANCELED  the caller's scope was cancelled before the time was over */
WEFT_API int weft_sleep(int64_t ns);

/* Parks the task until time t.  A time that has passed gives the other tasks a turn; WEFT_FOREVER parks until cancelled. [C]
 *   WEFT_ECANCELED  the caller's scope was cancelled first */
WEFT_API int weft_sleep_until(weft_time t);

WEFT_END
#endif
