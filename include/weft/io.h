/* io.h - calls that would block a thread, without blocking a worker.
 *
 * A worker that sits in the kernel runs no other task.  weft_blocking hands a function that blocks (a read of a file, getaddrinfo, a
 * library that waits by itself) to a thread of a pool, and parks the task until it has returned.
 *
 * Threads.   Every function may be called from tasks and from plain threads.  On a plain thread weft_blocking and
 *            weft_blocking_abandon just call the function, whatever the limiter says: it blocks nobody else.  The function sees
 *            a thread that is not a worker: weft_current() is NULL there, what parks blocks it, and weft_fail records
 *            nothing.  Asynchronous signals are blocked on it.
 *            Threads are created when there is none idle, at most as many as tokens are held; one that has had nothing to do
 *            for five seconds ends.  weft_stop, and the end of weft_run, wait for the calls that were not abandoned, and
 *            leave no thread but those which run what was abandoned; these end when it does.
 * Ownership. A limiter belongs to its maker; the argument of an abandoned call to drop.
 * Ordering.  What the caller did before the call happens before the function, and the function before the call's return.
 * Fairness.  Tokens go to the oldest waiter.
 * Errors.    The function's code is the call's.  errno is not carried over: return -errno. */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN

/* How many blocking calls run at a time: each holds a token.  NULL, where a limiter is asked for, is the default one; its size
 * is WEFT_BLOCKING_THREADS of the environment, or 64, from each start of the runtime on. */
typedef struct weft_limiter weft_limiter;

/* A limiter for that many calls at a time.
 *   WEFT_EINVAL  out is NULL, calls is 0 or above 2147483647; *out is untouched
 *   WEFT_ENOMEM  *out is untouched */
WEFT_API WEFT_MUSTUSE int weft_limiter_new(weft_limiter **out, size_t calls);

/* Frees l.  No call may be waiting for it, or be about to; calls that were abandoned may still hold its tokens.  NULL: does
 * nothing. */
WEFT_API void weft_limiter_free(weft_limiter *l);

/* Changes the size; never parks.  Nothing is taken from calls that hold tokens.  0: no call begins until it is made larger. */
WEFT_API void weft_limiter_resize(weft_limiter *l, size_t calls);

/* How many more calls could begin at this moment. */
WEFT_API size_t weft_limiter_available(const weft_limiter *l);

/* Waits for a token of l, calls fn(arg) on a thread of the pool, and parks the task until it has returned, whatever is cancelled
 * meanwhile: the next cancellation point reports that.  Returns fn's code; the token is free again by then.       [C]
 *   WEFT_EINVAL    fn is NULL
 *   WEFT_ECANCELED the caller's scope was cancelled before fn had begun
 *   WEFT_EAGAIN    there is no thread, and none could be created; or (WEFT_NOW) no token
 *   WEFT_ENOMEM    no memory for a first thread
 *   WEFT_ETIMEDOUT (_until) there was no token by the deadline
 * With each of them fn was not called, and will not be; unless it is what fn has returned. */
WEFT_API int weft_blocking(weft_limiter *l, weft_fn *fn, void *arg);
WEFT_API int weft_blocking_until(weft_limiter *l, weft_fn *fn, void *arg, weft_time deadline);

/* The same, but a cancellation ends it at once, also while fn runs: fn runs on, and its code is lost.  fn must not use what
 * belongs to the caller; its argument belongs to the call until that returns anything but WEFT_ECANCELED.         [C]
 *   WEFT_ECANCELED the caller's scope was cancelled, or fn returned this.  drop(arg), unless drop is NULL, is called exactly
 *                  once: after fn has returned, on its thread; or, if fn never began or its code has arrived, by the
 *                  caller.  The token is free again only after that
 *   others         as for weft_blocking; drop is not called */
WEFT_API int weft_blocking_abandon(weft_limiter *l, weft_fn *fn, void *arg, void (*drop)(void *arg));
WEFT_API int weft_blocking_abandon_until(weft_limiter *l, weft_fn *fn, void *arg, void (*drop)(void *arg),
                                         weft_time deadline);

/* From a function that weft_blocking or weft_blocking_abandon runs: has its caller been cancelled?  Then the sooner it returns
 * the better.  Elsewhere: is the calling task cancelled?  Never parks. */
WEFT_API bool weft_blocking_cancelled(void);

WEFT_END
#endif
