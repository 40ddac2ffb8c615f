/* runtime.h - starting and stopping Weft, and its workers.
 *
 * A worker is a pthread, bound to a core of its own where there is one for each.  Tasks run on workers.
 *
 * Threads.   One runtime per process at a time.  It starts itself with the defaults at the first call that needs it.
 * Ownership. Configurations are copied.
 * Errors.    A value that cannot be used, from the configuration or the environment, is an error at start, never ignored.
 *
 * Environment, read at start.  A field of weft_config that is not zero beats the environment, which beats the default.
 *   WEFT_NUM_THREADS=N[,M]  N workers ("auto": one per usable core) and M workers for tasks with WEFT_INTERACTIVE
 *   WEFT_STACK_SIZE=SIZE    what each stack reserves, in bytes, or with a suffix K, M or G
 *   WEFT_BIND=auto|none|cores
 *   WEFT_VERBOSE=0|1        1: print the resolved configuration to stderr
 *   WEFT_BLOCKING_THREADS=N how many calls of weft_blocking run at a time, where no limiter says (weft/io.h): 64
 *   WEFT_DEADLOCK=report|abort|off
 *                           what to do when tasks wait and nothing in the process can ever wake one: print that and a
 *                           weft_dump to stderr, once; the same, and abort; nothing.  A process with any thread that Weft does
 *                           not know to be waiting for it, or with a timer pending, is never taken for dead
 *   WEFT_SPAN=off|on|N      on: count work and span, and say at the end on stderr what they were: how many workers would be
 *                           of use.  A step to another worker counts as N nanoseconds (2000).  Spawning and joining a task
 *                           costs 0.1 us more; measures best with one worker (docs/scaling.md) */
#ifndef WEFT_RUNTIME_H
#define WEFT_RUNTIME_H

#include <weft/base.h>

WEFT_BEGIN

enum {
    WEFT_BIND_AUTO = 0, /* to cores, unless there are more workers than usable cores */
    WEFT_BIND_NONE = 1,
    WEFT_BIND_CORES = 2 /* WEFT_EINVAL where there are more workers than usable cores */
};

typedef struct weft_config {
    size_t size;       /* sizeof(weft_config), or 0: all that this library knows */
    int workers;       /* 0: one per usable core = min(affinity, ceil(cgroup quota), cores) */
    int interactive;   /* workers of the interactive pool; 0: none, its tasks run on the ordinary workers */
    size_t stack_size; /* bytes reserved for each stack, touched lazily; 0: 256 KiB.  A task that names no stack_size of
                          its own may count on a quarter of it */
    int bind;          /* WEFT_BIND_... */
    void (*on_unhandled)(weft_task *t, int code); /* a task failed and nobody looked; NULL: print like an errormonitor.
                                                     Must not park; t is valid during the call */
    void (*on_misuse)(
        const char *what); /* NULL: print and abort; if it returns, the call that was wrong returns its code */
} weft_config;

/* clang-format off */
/* The defaults.  A zeroed configuration is the same. */
#define WEFT_CONFIG_INIT {sizeof(weft_config), 0, 0, 0, 0, NULL, NULL}
/* clang-format on */

/* Runs fn(arg) as the root task, with the calling thread as worker 0.  Returns fn's code when fn has returned and every
 * task that is not a daemon has ended; daemons are cancelled and awaited, and all workers have stopped.
 * cfg NULL: the defaults.  The failures of other tasks go to on_unhandled.
 *   WEFT_EBUSY    the runtime is running already, or the caller is a task
 *   WEFT_EINVAL   cfg, or an environment variable, has a value that cannot be used; stderr says which
 *   WEFT_ENOMEM, WEFT_EAGAIN   no memory, or not one thread; nothing was started
 *   WEFT_ENOTSUP  this process was forked from one in which Weft was running
 *   WEFT_ECANCELED  weft_shutdown was called before fn could begin; or what fn returned */
WEFT_API int weft_run(const weft_config *cfg, weft_fn *fn, void *arg);

/* Starts the runtime without taking over the calling thread.  Codes as for weft_run. */
WEFT_API WEFT_MUSTUSE int weft_start(const weft_config *cfg);

/* Cancels the root scope, waits until every task has ended, and stops the workers.  The runtime may be started again.
 * Handles stay valid.  Tasks that were never started do not run: their drop function does.
 *   WEFT_EBUSY     called from a task, or the runtime belongs to weft_run
 *   WEFT_ENOENT    the runtime is not running */
WEFT_API int weft_stop(void);

/* Asks all that runs to end, each time it is called a bit harder; returns at once, which time it was since the start:
 *   1  the root scope is cancelled: every call [C] of every task returns WEFT_ECANCELED, but for those in a WEFT_SHIELD;
 *      nothing new is spawned
 *   2  shields are broken: the same for those in a WEFT_SHIELD; closing one then returns WEFT_ECANCELED, if somebody met it
 *   3  a weft_dump to stderr, and abort
 * Tasks end by returning, as ever, and are awaited: weft_run returns fn's code when all have; who called weft_start calls
 * weft_stop.  Not even the second call makes weft_blocking return before its function: what it works on belongs to its
 * caller.  weft_blocking_abandon does, and weft_blocking_cancelled is true.  A plain thread is cancelled in the scopes
 * that it has open.  May be called from tasks, threads and signal handlers: async-signal-safe.
 *   WEFT_ENOENT    the runtime is not running, or everything has ended
 *   WEFT_ENOTSUP   this process was forked from one in which Weft was running */
WEFT_API int weft_shutdown(void);

/* Has a signal (SIGINT, SIGTERM) call weft_shutdown: the usual ladder, for programs that want it.
 *
 *     int main(void) { return weft_shutdown_on(SIGINT) || weft_shutdown_on(SIGTERM) || weft_run(NULL, serve, NULL); }
 *
 * While Weft is not running the signal does what it did before this call.  The process never counts as deadlocked from then
 * on.  Calls of the system are restarted (SA_RESTART).  To undo it, save what sigaction had, and set that again.
 *   WEFT_EINVAL    there is no such signal, or it cannot be caught */
WEFT_API int weft_shutdown_on(int number);

/* The number of ordinary workers; starts the runtime if need be.  A negative code if it cannot start. */
WEFT_API int weft_nworkers(void);

/* The number of workers of the interactive pool, as above; 0: there is none. */
WEFT_API int weft_ninteractive(void);

/* The number of the worker that runs the caller: 0 .. weft_nworkers() - 1, interactive workers after those; -1 outside. */
WEFT_API int weft_worker(void);

WEFT_END
#endif
