/* debug.h - seeing inside: what every task and every worker is doing, and how much of it they have done.
 *
 * Threads.   weft_dump may be called from everywhere: tasks, plain threads, signal handlers, also while the runtime hangs,
 *            starts or stops.  It stops nobody, so what it says of tasks that are running may be past when it is written.
 * Ownership. Nothing is kept.
 * Errors.    Codes; errno is kept. */
#ifndef WEFT_DEBUG_H
#define WEFT_DEBUG_H

#include <weft/base.h>

WEFT_BEGIN

/* Writes text to the file descriptor fd: each worker with its queues; each task that has started, with its name, its
 * body and what it waits for; a cycle of tasks that wait for each other, if one is found; each plain thread that is
 * blocked in Weft; the tasks that have not started, counted, and some of them named.  Lines are written whole, several
 * at a time; a full pipe is waited for, for a second.  Async-signal-safe: it allocates nothing and waits for no lock;
 * it needs 8 KiB of stack.  While it runs, weft_stop does not return.
 *   WEFT_EINVAL  fd cannot be written to
 *   WEFT_EAGAIN  fd is full, and was not emptied */
WEFT_API int weft_dump(int fd);

/* What a worker has done since it was started. */
typedef struct weft_worker_stats {
    uint64_t spawned; /* tasks that were scheduled by what ran on it */
    uint64_t ended;   /* tasks that ended on it */
    uint64_t
        started; /* tasks that it started on a stack of their own; all others ran in the place of who waited for them */
    uint64_t parked;   /* how often what ran on it had to wait, so that it went on with something else */
    uint64_t stolen;   /* what it took from other workers */
    uint64_t searches; /* how often it looked around for that */
    uint64_t sleeps;   /* how often it went to sleep, */
    int64_t idle_ns;   /* and how long it slept, in nanoseconds */
} weft_worker_stats;

typedef struct weft_stats {
    size_t size;               /* in: sizeof(weft_stats), or 0: all that this library knows */
    weft_worker_stats *worker; /* in: room for the workers, interactive ones last; or NULL */
    int room;                  /* in: for how many */
    int workers;               /* how many there are; 0: the runtime is not running */
    uint64_t live;             /* tasks that have been scheduled and have not ended */
    uint64_t in_place;         /* tasks that ended without a stack of their own: they ran in place, or not at all */
    weft_worker_stats total;   /* all workers since the process began, and the spawns of plain threads */
    /* Where WEFT_SPAN is on (weft/runtime.h), of this run or the last one, in nanoseconds; else 0: */
    int64_t work_ns;     /* what all tasks took together, */
    int64_t span_ns;     /* the longest chain of what had to be done one after the other, */
    int64_t burdened_ns; /* and the same, where each step that may lead to another worker costs something */
} weft_stats;

/* Fills in *s and the s->room first of s->worker.  The counts are read one after the other while others go on counting; they
 * agree with each other when all is quiet.  Async-signal-safe; while it runs, weft_stop does not return.
 *   WEFT_EINVAL  s is NULL, of a later library, or has room but no place */
WEFT_API int weft_stats_get(weft_stats *s);

WEFT_END
#endif
