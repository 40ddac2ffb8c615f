/* timer.h - time and sleeping.
 *
 * Threads.   Callable from everywhere.  A sleeping task costs its worker nothing; a plain thread sleeps in the kernel.
 * Ownership. A weft_ticker is the caller's memory.  It needs no destructor: it may be gone when nobody is in a call on it.
 * Ordering.  A sleep never ends early, nor does a tick come early.  Sleeps that end within about ten microseconds of each
 *            other may end in any order. */
#ifndef WEFT_TIMER_H
#define WEFT_TIMER_H

#include <weft/base.h>
#include <weft/error.h>

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

/* Calls test(arg) at once, and then after every poll nanoseconds, until it returns true, or timeout nanoseconds are over.
 * test runs in the caller, and may park.  A call that fails has lasted as long as timeout and as poll.            [C]
 *   WEFT_EINVAL     poll is below a millisecond, or test is NULL; test was not called
 *   WEFT_ETIMEDOUT  test has returned false, after the timeout for the last time
 *   WEFT_ECANCELED  the caller's scope was cancelled */
WEFT_API WEFT_MUSTUSE int weft_timedwait(bool (*test)(void *arg), void *arg, int64_t timeout, int64_t poll);

/* What a ticker does about ticks that have come while nobody waited: */
enum {
    WEFT_SKIP = 0,  /* they are one: the next call returns at once, and the one after it waits for the grid */
    WEFT_BURST = 1, /* each is delivered: calls return at once until they have caught up */
    WEFT_DELAY = 2  /* there are none: after the first, a tick comes a period after it was waited for */
};

/* Points in time that come again and again: first, first + period, and so on.  Julia's Timer(callback, delay; interval) is a
 * task around one:
 *
 *     struct job { weft_ticker ticker; ... };
 *
 *     int run(void *arg)
 *     {
 *         struct job *job = arg;
 *         int rc;
 *         while ((rc = weft_tick(&job->ticker)) == 0) callback(job);
 *         return rc == WEFT_ECLOSED ? 0 : rc;
 *     }
 *
 *     weft_ticker_init(&job.ticker, weft_in(delay), interval, WEFT_SKIP);
 *     weft_spawn(&task, run, &job);
 *     ...
 *     weft_ticker_close(&job.ticker);
 *     weft_join(task);
 *
 * Several callers that wait for the same tick all have it. */
typedef struct weft_ticker {
    uint64_t opaque[8];
} weft_ticker;

/* Makes t a ticker that is open; nobody may be in a call on it.  first: when its first tick is due, WEFT_NOW: now; it may have
 * passed.  period: nanoseconds; INT64_MAX makes a ticker of one tick.  flags: WEFT_SKIP, WEFT_BURST or WEFT_DELAY.
 *   WEFT_EINVAL  t is NULL, period is not above 0, or flags is none of these */
WEFT_API int weft_ticker_init(weft_ticker *t, weft_time first, int64_t period, unsigned flags);

/* Parks until the next tick is due, and takes it; if it is due already, gives the others a turn instead.          [C]
 *   0               a tick; weft_ticker_missed says whether it stands for more than one
 *   WEFT_ECLOSED    the ticker is closed, or was closed meanwhile
 *   WEFT_EINVAL     the ticker was never initialised (it is zeroed)
 *   WEFT_ECANCELED  the caller's scope was cancelled; no tick was taken
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   (_until) the deadline passed first; no tick was taken */
WEFT_API int weft_tick(weft_ticker *t);
WEFT_API int weft_tick_until(weft_ticker *t, weft_time deadline);

/* How many ticks WEFT_SKIP has left out so far: those that came before the one that was delivered for them. */
WEFT_API uint64_t weft_ticker_missed(const weft_ticker *t);

/* Ends the ticker: whoever waits for a tick, and every later call, gets WEFT_ECLOSED.  Never parks.  Returns whether the
 * ticker was open. */
WEFT_API bool weft_ticker_close(weft_ticker *t);
WEFT_API bool weft_ticker_isopen(const weft_ticker *t);

WEFT_END
#endif
