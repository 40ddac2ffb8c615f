/* once.h - what is done once: per process, per worker, per task.
 *
 *     static weft_once_t opened;
 *     if ((rc = weft_once(&opened, open_it, NULL)) < 0) return rc;
 *
 * Threads.   Every function may be called from tasks and from plain threads, on one object at the same time, but for
 *            weft_once_worker_free.
 * Ownership. Objects are in the caller's memory and valid when zeroed.  A weft_once_t needs no destruction.  The values of a
 *            weft_once_worker_t are the program's until weft_once_worker_free; those of a weft_once_task_t go with their tasks.
 * Ordering.  What fn did happens before the return of every call that did not have to run it.
 * Errors.    The code of fn is passed on as it is; it may be one of those below. */
#ifndef WEFT_ONCE_H
#define WEFT_ONCE_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN

typedef struct weft_once_t {
    uint64_t opaque[5];
} weft_once_t;

/* clang-format off */
#define WEFT_ONCE_INIT {{0, 0, 0, 0, 0}}
/* clang-format on */

/* Calls fn(arg), in the first call on *o; every other call parks until fn has returned.  All of them return what it returned: a
 * failure is remembered, fn is not tried again.  fn may park.  The wait is not a cancellation point: the others need what fn
 * makes to clean up, too.
 *   WEFT_EDEADLK  called by fn itself, or by a task that runs in place of the one that runs fn: it would wait for itself
 *   WEFT_EINVAL   fn is NULL
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   (_until) somebody else's fn has not returned by then; the caller's own is not limited */
WEFT_API int weft_once(weft_once_t *o, weft_fn *fn, void *arg);
WEFT_API int weft_once_until(weft_once_t *o, weft_fn *fn, void *arg, weft_time deadline);

/* Whether fn has returned, and with 0 or more.  If so, what it did happens before the return. */
WEFT_API bool weft_once_isdone(const weft_once_t *o);

/* Makes a value: 0 or more, and *value is stored; or a negative code. */
typedef int weft_once_fn(void *arg, void **value);

/* A value for each worker: a cache, a generator of random numbers, a buffer. */
typedef struct weft_once_worker_t {
    uint64_t opaque[2];
} weft_once_worker_t;

/* Stores the value of the calling worker in *value; fn(arg, &v) makes it when it is asked for first, and a failure is
 * remembered.  fn may park: others who ask for the same worker's value park until it has returned.  A task that migrates, in
 * fn or between two calls, has then the value of a worker on which it is not any more, and which others may use at the same
 * time: a task that must not should be sticky, and not park while it uses the value.  On success returns 0 or more, fn's code.
 *   WEFT_ENOTSUP  called from a plain thread: that is no worker.  (weft_once_task gives each thread a value of its own.)
 *   WEFT_ENOMEM   no memory; fn was not called
 *   WEFT_EINVAL, WEFT_EDEADLK  as for weft_once */
WEFT_API WEFT_MUSTUSE int weft_once_worker(weft_once_worker_t *o, weft_once_fn *fn, void *arg, void **value);

/* The same for any ordinary worker, by its number (weft_worker), from anywhere: fn, if it has to be called, is called by the
 * caller.  An interactive worker's value is only for itself.
 *   WEFT_EINVAL  there is no such worker */
WEFT_API WEFT_MUSTUSE int weft_once_worker_at(weft_once_worker_t *o, int worker, weft_once_fn *fn, void *arg,
                                              void **value);

/* Calls destroy on every value that was made (destroy NULL: on none), and makes *o empty again.  Nobody may be using *o. */
WEFT_API void weft_once_worker_free(weft_once_worker_t *o, void (*destroy)(void *value));

/* A value for each task; for each plain thread, outside of tasks.  destroy is called on it when the task or thread ends, as for
 * weft_local_new; NULL: nothing is. */
typedef struct weft_once_task_t {
    uint64_t opaque[1];
    void (*destroy)(void *value);
} weft_once_task_t;

/* clang-format off */
#define WEFT_ONCE_TASK_INIT(destroy) {{0}, (destroy)}
/* clang-format on */

/* Stores the value of the calling task in *value; fn(arg, &v) makes it when there is none.  A failure is not remembered: fn is
 * called again the next time.  Nor is a value of NULL.  fn may park, but not call this for the same object.
 *   WEFT_ENOMEM  no memory; fn was not called
 *   WEFT_EINVAL  fn is NULL */
WEFT_API WEFT_MUSTUSE int weft_once_task(weft_once_task_t *o, weft_once_fn *fn, void *arg, void **value);

/* Takes the calling task's value away, and returns it (NULL: there was none); the next call makes another. */
WEFT_API void *weft_once_task_forget(weft_once_task_t *o);

WEFT_END
#endif
