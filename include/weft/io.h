/* io.h - descriptors and calls that would block a thread, without blocking a worker.
 *
 * A worker that sits in the kernel runs no other task.  weft_read and its like park the task until the descriptor is ready.  For
 * what has no descriptor to wait for (a file on a disk, getaddrinfo, a library that waits by itself) weft_blocking hands a function
 * to a thread of a pool, and parks the task until it has returned.
 *
 * Threads.   Every function may be called from tasks and from plain threads; several may read and write one descriptor at the
 *            same time.  On a plain thread weft_blocking and weft_blocking_abandon just call the function, whatever the
 *            limiter says: it blocks nobody else.  From a task, the function sees a thread that is not a worker:
 *            weft_current() is NULL there, what parks blocks it, and weft_fail records nothing.  Asynchronous signals are
 *            blocked on it.
 *            Threads are created when there is none idle, at most as many as tokens are held; one that has had nothing to do
 *            for five seconds ends.  weft_stop, and the end of weft_run, wait for the calls that were not abandoned, and
 *            leave no thread but those which run what was abandoned; these end when it does.
 * Ownership. Descriptors are the program's.  One that a task may be waiting for is closed by weft_close: after close(2) the task
 *            would wait for a number.  A limiter belongs to its maker; the argument of an abandoned call to drop.
 * Ordering.  What the caller did before the call happens before the function, and the function before the call's return.
 * Fairness.  Tokens go to the oldest waiter.  When a descriptor becomes ready, its oldest reader and its oldest writer try first.
 * Errors.    Verbs on descriptors return -errno, and never EINTR; also for a file on a disk they may block in the kernel, as its
 *            reads do.  With WEFT_ECANCELED, WEFT_ETIMEDOUT and WEFT_EAGAIN nothing was read, written, or accepted.  The function's
 *            code is the call's.  errno is not carried over: return -errno. */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <weft/base.h>
#include <sys/types.h>
#include <weft/error.h>

WEFT_BEGIN

struct sockaddr; /* <sys/socket.h>; a socklen_t is an unsigned int */

enum { /* for weft_poll; as in poll(2) */
       WEFT_IN = 1,
       WEFT_OUT = 4,
       WEFT_ERR = 8, /* only returned, */
       WEFT_HUP = 16 /* as this */
};

/* Parks until fd is ready for any of events, of WEFT_IN and WEFT_OUT; or until deadline, which is absolute: WEFT_NOW asks only.
 * Returns what it is ready for, above 0; with WEFT_ERR or WEFT_HUP also what was not asked for.                   [C]
 *   WEFT_EINVAL    events is 0, or has other bits
 *   WEFT_EAGAIN    it is not ready (WEFT_NOW)
 *   WEFT_ETIMEDOUT, WEFT_ECANCELED
 *   -EBADF         it is not open, or was closed by weft_close meanwhile
 *   -EMFILE, -ENFILE, WEFT_ENOMEM, -ENOSPC   the kernel does not let us wait for it */
WEFT_API int weft_poll(int fd, unsigned events, weft_time deadline);

/* Reads what is there, up to size bytes; parks until there is something.  Returns how many, 0 at the end.  fd should not block
 * (O_NONBLOCK), or be a socket; with others that two tasks read at the same time, a worker may block.          [C]
 *   codes as for weft_poll, and -errno of read(2); -ECONNRESET and the like */
WEFT_API ssize_t weft_read(int fd, void *buffer, size_t size);
WEFT_API ssize_t weft_read_until(int fd, void *buffer, size_t size, weft_time deadline);

/* Writes at least one byte, and up to size; parks until there is room.  Returns how many.  A socket that its peer has closed
 * raises no SIGPIPE; a pipe does, in a plain thread.                                                             [C]
 *   WEFT_ECLOSED   (-EPIPE) nobody will ever read it
 *   codes as for weft_poll, and -errno of write(2) */
WEFT_API ssize_t weft_write(int fd, const void *data, size_t size);
WEFT_API ssize_t weft_write_until(int fd, const void *data, size_t size, weft_time deadline);

/* Accepts a connection; parks until there is one.  Returns its descriptor, which does not block and is closed on exec.  address and
 * size as for accept(2), or NULL.                                                                                 [C]
 *   codes as for weft_poll, and -errno of accept(2) */
WEFT_API int weft_accept(int fd, struct sockaddr *address, unsigned int *size);
WEFT_API int weft_accept_until(int fd, struct sockaddr *address, unsigned int *size, weft_time deadline);

/* Connects fd, which does not block from then on (O_NONBLOCK); parks until it is connected.                        [C]
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN, WEFT_ECANCELED   (also -ETIMEDOUT of the network) the connection may still come about, or
 *                  fail: close fd
 *   codes as for weft_poll, and -errno of connect(2) */
WEFT_API int weft_connect(int fd, const struct sockaddr *address, unsigned int size);
WEFT_API int weft_connect_until(int fd, const struct sockaddr *address, unsigned int size, weft_time deadline);

/* Closes fd, after waking all tasks that wait for it: their calls return -EBADF.  Never parks.  0, or -errno of close(2): it is
 * closed nevertheless. */
WEFT_API int weft_close(int fd);

/* Parks until the child process pid has ended, and reaps it.  status: as of waitpid(2), or NULL.  Where the kernel has no
 * descriptor for it (before Linux 5.3, or for want of descriptors) the process is looked at every few milliseconds. [C]
 *   WEFT_ECHILD    there is no such child, or somebody else has reaped it
 *   WEFT_EINVAL    pid is not above 0
 *   WEFT_ECANCELED, WEFT_ETIMEDOUT, WEFT_EAGAIN   it runs; *status is untouched */
WEFT_API int weft_process_wait(pid_t pid, int *status);
WEFT_API int weft_process_wait_until(pid_t pid, int *status, weft_time deadline);

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
