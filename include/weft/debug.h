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

/* Writes what each worker does from now on to the file, as a trace for ui.perfetto.dev or chrome://tracing: what there is of it is
 * in docs/debugging.md.  The runtime may run already, be started later, or be started several times meanwhile; workers that run
 * are traced as soon as they next park, switch or search, or have joined some thousand tasks.  A file that exists is written anew.
 * Meanwhile each event takes some tenths of a microsecond, also each spawn and join; and a worker waits for the disk where the
 * kernel lets it wait.  Each worker has a buffer of 64 KiB; nothing is thrown away but for the errors of weft_trace_stop.
 *   WEFT_EINVAL  path is NULL
 *   WEFT_EBUSY   a trace is being written: there is one at a time
 *   WEFT_ENOMEM
 *   -EACCES, -ENOENT, -EMFILE and the like   as open(2) */
WEFT_API int weft_trace_start(const char *path);

/* Ends the trace: slices that are open end here, and the file is whole when it returns.  It waits for other workers' writes, never
 * for tasks.  The file is whole, too, when weft_run or weft_stop have returned, though what comes later still belongs to it; and
 * exit() stops the trace.  What a process leaves that dies otherwise lacks what was in the buffers, and the last bracket, without
 * which it can be loaded.  In a child after fork there is no trace; the parent's goes on.
 * Not for signal handlers, as weft_trace_start.
 *   WEFT_ENOENT  no trace is being written
 *   WEFT_ENOMEM  events are missing: there was no memory for a worker's buffer
 *   -ENOSPC, -EIO and the like   as write(2), of the first write that failed: what comes after it is missing
 * With these two the trace has ended all the same; a line on stderr, and the last event of the file, say how many events are
 * missing. */
WEFT_API int weft_trace_stop(void);

WEFT_END
#endif
