/* offload.h - calls that would block a worker, on threads of their own.  [layer 4]
 *
 * The essay is in offload.c. */
#ifndef WEFT_SRC_OFFLOAD_H
#define WEFT_SRC_OFFLOAD_H

#include "waiter.h"

/* One call.  It is the caller's memory until weft__offload returns; one that can be abandoned is from malloc, and freed by
 * weft__offload and the thread, by whoever is last. */
struct offload {
    weft_fn *fn;
    void *arg;
    void (*over)(struct offload *job); /* on the thread: fn has returned, and drop; the caller has not gone on yet */
    bool abandonable;                  /* a cancellation ends the wait, also while fn runs: */
    void (*drop)(void *arg);           /* then this is called after fn, if it is not NULL */

    /* offload.c */
    const weft_task *task;
    struct waiter waiter; /* linked under the pool's lock */
    bool queued;          /* it had to wait for a thread */
    weft__lock lock;      /* guards these, if it can be abandoned: */
    bool begun;           /* a thread has taken it: fn has run, runs, or will at once */
    bool left;            /* the caller has */
    _Atomic int users;    /* the caller and the thread */
    _Atomic bool looking; /* fn asks whether the caller was cancelled, who stays until that is answered */
};

/* How a call ended for its caller. */
enum offload_end {
    OFFLOAD_RETURNED,  /* *code is fn's */
    OFFLOAD_ABANDONED, /* only an abandonable one: fn runs, or has run; drop and over will be called, or are */
    OFFLOAD_REFUSED    /* fn has not run, and will not */
};

/* Runs job->fn(job->arg) on a thread of the pool while the task of c, the running context, is parked.  *code, where it is not fn's:
 *   WEFT_EAGAIN    there is no thread, and none could be created
 *   WEFT_ENOMEM    the same for want of memory
 *   WEFT_ECANCELED the task was cancelled: while it waited for a thread, or (an abandonable one) also later */
enum offload_end weft__offload(struct offload *job, struct context *c, int *code);

/* From job->fn: should it give up? */
bool weft__offload_cancelled(struct offload *job);

/* No task is left.  Waits for the threads to end, but for those that run what was abandoned: they end afterwards. */
void weft__offload_stop(void);

/* How many threads there are: for tests. */
int weft__offload_threads(void);

#endif
