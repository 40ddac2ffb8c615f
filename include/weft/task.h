/* task.h - tasks: functions that run on some worker and may park anywhere.
 *
 * Threads.   Every function may be called from tasks and from plain threads.  From a plain thread, spawning hands the task
 *            to the workers, waiting blocks the thread, weft_yield does nothing.
 * Ownership. A weft_task is reference counted.  A handle (*out of the spawning functions) is one reference: give it to
 *            weft_task_release or weft_join.  Every call needs a handle that stays valid for as long as the call lasts.
 *            Releasing never cancels and never waits.
 * Ordering.  What came before the spawn happens before the body; what the body did happens before any call that reports
 *            the task as done.  A task's own steps are in order wherever it migrates.
 * Fairness.  Everything that is ready on a worker gets its turn, also under storms of yields and on a single worker.
 *            Waiters of one task that are alike (sticky or migratable), and sticky tasks of one worker, go on in the order in
 *            which they came.
 * Errors.    A body that returns a negative code has failed.  A failure that nobody looked at (weft_wait, weft_fetch,
 *            weft_join, weft_task_error, weft_errormonitor, weft_ondone) by the time the last reference is released is
 *            reported to on_unhandled.  A C++ exception that leaves a body ends the process; within one they work as
 *            ever, also across parks.  longjmp works within a task. */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <weft/base.h>
#include <weft/error.h>
#include <weft/scope.h> /* weft_cancel, weft_check */

WEFT_BEGIN

enum weft_state {
    WEFT_INITIALIZED, /* made, perhaps scheduled; not started */
    WEFT_RUNNING,     /* started: running, ready, or parked */
    WEFT_COMPLETED,   /* returned 0 or more */
    WEFT_FAILED,      /* returned a negative code */
    WEFT_CANCELLED    /* never ran because it was cancelled, or returned WEFT_ECANCELED after it was */
};

enum {
    WEFT_STICKY = 1,      /* only ever runs on the worker that first scheduled it */
    WEFT_DAEMON = 2,      /* does not keep weft_run from returning: is cancelled and awaited then */
    WEFT_INTERACTIVE = 4, /* runs on the interactive pool, if there is one */
    WEFT_SAMEPOOL = 16, /* runs on the pool of the worker that makes it; made by a plain thread: on the ordinary one */
    WEFT_FPENV = 8      /* has its own floating-point control words (rounding, masks): saved while it is parked */
};

typedef struct weft_task_options {
    size_t size;             /* sizeof(weft_task_options), or 0: all that this library knows */
    const char *name;        /* shown in messages; not copied: must outlive the task.  NULL: none */
    weft_scope *scope;       /* one that the caller is in: its own, or one around it.  NULL: its own */
    void (*drop)(void *arg); /* called instead of the body if that never runs.  Must not park.  NULL: nothing */
    size_t stack_size; /* bytes of stack that the body may count on; 0: a quarter of the configuration's stack_size */
    unsigned flags;    /* WEFT_STICKY | ... */
} weft_task_options;

/* Spawning.  Each makes a task that is scheduled at once and may run before the call returns; no call parks.
 * But into a scope with a limit (weft_scope_limit) a spawn waits until there is room, and is a cancellation point.
 * *out, unless out is NULL, receives a handle.  When a call fails no task exists, *out is untouched and arg is the caller's.
 *   WEFT_EINVAL    fn is NULL, an option or flag is unknown; a daemon with a scope; a scope that the caller is not in (misuse)
 *   WEFT_ENOMEM    no memory
 *   WEFT_ECANCELED the caller's scope is cancelled
 *   WEFT_ESHUTDOWN the runtime is stopping; WEFT_ENOTSUP in a forked child; or what weft_start said, if it had to start */

/* A migratable task: any worker may run it. */
WEFT_API WEFT_MUSTUSE int weft_spawn(weft_task **out, weft_fn *fn, void *arg);

/* A task that stays on the caller's worker (from a plain thread: on one worker).  The caller is not made sticky by it. */
WEFT_API WEFT_MUSTUSE int weft_async(weft_task **out, weft_fn *fn, void *arg);

/* A task with options; opt NULL: none. */
WEFT_API WEFT_MUSTUSE int weft_spawn_with(weft_task **out, weft_fn *fn, void *arg, const weft_task_options *opt);

/* A migratable task whose argument is a copy of the size bytes at data, which lives as long as the task, aligned for
 * any type.  Up to 64 bytes are kept in the task itself. */
WEFT_API WEFT_MUSTUSE int weft_spawn_copy(weft_task **out, weft_fn *fn, const void *data, size_t size);

/* A task that is not scheduled: weft_schedule does that.  out must not be NULL.  Codes as above. */
WEFT_API WEFT_MUSTUSE int weft_task_new(weft_task **out, weft_fn *fn, void *arg, const weft_task_options *opt);

/* Makes t ready: t is new, or parked in weft_park or weft_switch_to, or about to be: a task that is still running finds the
 * wake-up when it parks.  Never parks.
 *   WEFT_EBUSY  t is scheduled already, has ended, or is parked in something else */
WEFT_API int weft_schedule(weft_task *t);

/* The same; weft_park returns 0 and gives value.  A task that is new gets no value. */
WEFT_API int weft_schedule_value(weft_task *t, void *value);

/* The same; weft_park returns code, which must be negative.  A task that is new fails with code without running: its drop
 * function is called.
 *   WEFT_EINVAL  code is not negative */
WEFT_API int weft_schedule_error(weft_task *t, int code);

/* One more reference; returns t. */
WEFT_API weft_task *weft_task_retain(weft_task *t);

/* One reference less; the task goes on whether or not anybody holds one.  NULL is allowed. */
WEFT_API void weft_task_release(weft_task *t);

/* Waits until t has ended.  Any number of tasks and threads may wait, any number of times.                        [C]
 * A task that waits for one that has not started runs it in place, on its own stack, where that is sound.
 *   0              t completed
 *   WEFT_ECHILD    t failed or was cancelled: weft_task_error has its code
 *   WEFT_EDEADLK   t is the caller
 *   WEFT_ECANCELED the caller's scope was cancelled; t is unaffected
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   (_until) the deadline passed; t is unaffected */
WEFT_API WEFT_MUSTUSE int weft_wait(weft_task *t);
WEFT_API WEFT_MUSTUSE int weft_wait_until(weft_task *t, weft_time deadline);

/* The same; stores what t gave to weft_return in *value (value NULL: drops it), unless the call fails.            [C] */
WEFT_API WEFT_MUSTUSE int weft_fetch(weft_task *t, void **value);
WEFT_API WEFT_MUSTUSE int weft_fetch_until(weft_task *t, void **value, weft_time deadline);

/* Waits, then releases the handle, and returns the task's own code: what its body returned, or WEFT_ECANCELED.    [C]
 * With WEFT_EDEADLK, WEFT_ETIMEDOUT, WEFT_EAGAIN, or the caller's own WEFT_ECANCELED, the handle is not released.  Whose
 * WEFT_ECANCELED it was cannot be told from the code: who must know uses weft_wait, weft_task_error and
 * weft_task_release. */
WEFT_API int weft_join(weft_task *t);
WEFT_API WEFT_MUSTUSE int weft_join_until(weft_task *t, weft_time deadline);

/* Waits until one of the n tasks at t has ended, and returns its index: the lowest of those that have ended already, or,
 * if it had to wait, that of the one whose end came first.  How it ended is for the caller to ask; the others go on.  A task
 * may be there more than once, and counts at the first place; a NULL stands for none, so whoever waits for one after the
 * other can take out those that it is done with.  Costs O(n), and one wake.                                       [C]
 *   WEFT_ENOENT    there is no task: n is 0, or all are NULL
 *   WEFT_EDEADLK   the caller is among them
 *   WEFT_EINVAL    t is NULL and n is not 0; n is above INT_MAX
 *   WEFT_ENOMEM    no memory: with more than 32 tasks
 *   WEFT_ECANCELED the caller's scope was cancelled
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   (_until) the deadline passed; no task is affected */
WEFT_API WEFT_MUSTUSE int weft_waitany(weft_task *const *t, size_t n);
WEFT_API WEFT_MUSTUSE int weft_waitany_until(weft_task *const *t, size_t n, weft_time deadline);

enum { WEFT_FAILFAST = 1 /* returns as soon as one has failed; the others go on.  Being cancelled is no failure */ };

/* Waits until all of the n tasks at t have ended.  They, and NULLs among them, are as for weft_waitany.  Costs O(n).  Without
 * WEFT_FAILFAST and without a deadline, runs those in place that have not started, as weft_wait does.             [C]
 *   0              all have completed; n may be 0
 *   WEFT_ECHILD    one at least failed or was cancelled: weft_task_error of each says which
 *   WEFT_ENOMEM    no memory: with WEFT_FAILFAST and more than 32 tasks
 *   WEFT_EINVAL    as for weft_waitany, or an unknown flag
 *   WEFT_EDEADLK, WEFT_ECANCELED, WEFT_ETIMEDOUT, WEFT_EAGAIN   as for weft_waitany */
WEFT_API WEFT_MUSTUSE int weft_waitall(weft_task *const *t, size_t n, unsigned flags);
WEFT_API WEFT_MUSTUSE int weft_waitall_until(weft_task *const *t, size_t n, unsigned flags, weft_time deadline);

/* Sets the current task's value, for weft_fetch; returns 0, so that a body can end with `return weft_return(p);`.  Who
 * frees *value is up to the program: every fetch gets the same pointer.  Outside a task: does nothing. */
WEFT_API int weft_return(void *value);

/* Lets everything run that is ready on this worker, then goes on.  Not a cancellation point. */
WEFT_API void weft_yield(void);

/* Switches to t at once, as if weft_schedule(t) had been followed by weft_yield with t in front of the queue.
 *   WEFT_EBUSY    t is not runnable (as for weft_schedule), still running, or bound to another worker
 *   WEFT_EDEADLK  t is the caller */
WEFT_API int weft_yield_to(weft_task *t);

/* Switches to t at once and parks the caller until somebody schedules it or switches to it (Julia's yieldto).  *value is
 * given to t's weft_park, and then receives what the caller was resumed with; value may be NULL.  If t has ended, returns at
 * once: its code, *value untouched.  Also returns what weft_park returns.
 *   WEFT_EBUSY, WEFT_EDEADLK  as for weft_yield_to
 *   WEFT_ENOMEM   t is new, and there is no memory for its stack: it has ended with that code
 *   WEFT_ENOTSUP  called from a plain thread */
WEFT_API int weft_switch_to(weft_task *t, void **value);

/* Parks until somebody calls weft_schedule... on the current task (Julia's wait()).  *value, unless value is NULL, receives
 * what was scheduled.  A wake-up that is there already is taken in any case; else a cancellation ends the park, or comes
 * before it.
 *   WEFT_ECANCELED  the caller is cancelled, or that code was scheduled
 *   WEFT_ENOTSUP    called from a plain thread
 *   any other code  given to weft_schedule_error */
WEFT_API int weft_park(void **value);

/* The task that calls; NULL outside a task.  A borrowed reference, valid until the task ends. */
WEFT_API weft_task *weft_current(void);

/* What is true of t at this moment; once done it stays so. */
WEFT_API enum weft_state weft_task_state(const weft_task *t);
WEFT_API bool weft_task_isstarted(const weft_task *t);
WEFT_API bool weft_task_isdone(const weft_task *t);
WEFT_API bool weft_task_isfailed(const weft_task *t); /* failed or cancelled */
WEFT_API bool weft_task_issticky(const weft_task *t);
WEFT_API bool weft_task_isinteractive(
    const weft_task *t); /* made for the interactive pool, whether or not there is one */

/* The name that t was given; "" if none. */
WEFT_API const char *weft_task_name(const weft_task *t);

/* The code with which t ended: 0 or more; negative if it failed or was cancelled; 0 while it has not ended. */
WEFT_API int weft_task_error(const weft_task *t);

/* The text that t gave to weft_fail, valid as long as t; NULL if there is none, or t has not failed. */
WEFT_API const char *weft_task_message(const weft_task *t);

/* Writes `Unhandled Task ERROR: <text>` and `Stacktrace:` with numbered frames to stderr, as one write, if t fails or
 * has failed.  Returns t.  At most once for each task, however often it is called. */
WEFT_API weft_task *weft_errormonitor(weft_task *t);

/* Calls cb(t, arg) once when t has ended, on the worker that ended it; at once, on the caller's thread, if it has ended
 * already.  Callbacks that were added before t ended run in the order in which they were added.  cb must not park.
 *   WEFT_ENOMEM  no memory; cb will not be called */
WEFT_API int weft_ondone(weft_task *t, void (*cb)(weft_task *t, void *arg), void *arg);

WEFT_END
#endif
