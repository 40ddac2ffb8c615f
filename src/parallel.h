/* parallel.h - what the parallel loops share: where a call runs, and the verdict on it.  [layer 6] */
#ifndef WEFT_SRC_PARALLEL_H
#define WEFT_SRC_PARALLEL_H

#include <stdbool.h>
#include <stddef.h>

#include <weft.h>

#include "atomic.h"
#include "task.h"

/* How a call will end; valid when zeroed. failed only says that bodies need not start any more, as soon as a worker
 * happens to see it: it orders nothing.  The rest is read when every body has ended, and the joins order it before
 * that. */
struct verdict {
    const weft_task *caller; /* whose cancellation counts, */
    struct scope *scope;     /* in the scope that it called from: its bodies open others meanwhile */
    _Atomic bool failed;
    weft__lock lock;
    /* lock is held for these: */
    size_t index;        /* the lowest at which a piece that failed began, */
    int code;            /* what it returned, */
    struct failure *why; /* and what it gave to weft_fail, or NULL */
};

/* Runs fn(arg) in a task on an ordinary worker: the caller's own, or, for a plain thread or a task that is of the
 * interactive pool or has WEFT_FPENV, a helper, for which it waits.  fn returns 0: what fails goes into v, which was
 * zeroed.  0, the code of the verdict, or what weft_spawn said. */
int weft__parallel_call(struct verdict *v, weft_fn *fn, void *arg);

/* Runs left(l) and right(r), perhaps at the same time; where that is impossible, one after the other.  index is where l
 * begins.  Neither runs if the caller is cancelled: then that is in v. */
void weft__parallel_fork(struct verdict *v, size_t index, weft_fn *left, void *l, weft_fn *right, void *r);

/* A helper (scheduler.h) that is scheduled: as weft_spawn. */
int weft__helper_spawn(weft_task **out, weft_fn *fn, void *arg);

/* Waits for the helper t.  true: it has not ended, and the caller is cancelled by itself, and not with its scope, which would
 * have reached t: cancel t, and others like it.  Then join it by weft__join_always. */
bool weft__helper_deserted(weft_task *t);

/* The most iterations of a piece, where the grain of a range of that length is up to us. */
size_t weft__parallel_grain(size_t length, size_t workers);

/* A block of so many bytes, which begins at a cache line; NULL: no memory. */
void *weft__parallel_block(size_t bytes);

/* Records that the piece that begins at index failed with code. */
void weft__verdict_fail(struct verdict *v, size_t index, int code);

/* True if the piece that begins at index must not start: another one failed, or the caller is cancelled, which counts
 * as a failure at index. */
static inline bool
weft__verdict_reached(struct verdict *v, size_t index)
{
    if (weft__unlikely(load_relaxed(&v->failed))) return true; /* relaxed: a hint, see above */
    if (weft__likely(!weft__task_cancelled_in(v->caller, v->scope))) return false;
    weft__verdict_fail(v, index, WEFT_ECANCELED);
    return true;
}

#endif
