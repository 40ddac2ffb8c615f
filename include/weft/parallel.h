/* parallel.h - loops for numeric work.
 *
 * Threads.   Callable from everywhere; a plain thread blocks while the workers do the work.
 * Ownership. ctx is passed on as it is.
 * Ordering.  What came before the call happens before every body; every body happens before the return.
 * Errors.    A body fails by returning a negative code.  Bodies that have not started by then are skipped; the call waits for
 *            those that have, and returns the code of the lowest index among the failures that happened.  Bodies may park;
 *            they must not throw past their end. */
#ifndef WEFT_PARALLEL_H
#define WEFT_PARALLEL_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN

/* The iterations begin .. end - 1. */
typedef int weft_range_fn(size_t begin, size_t end, void *ctx);

/* Calls body on pieces that together cover begin .. end - 1 exactly once, in parallel.  grain is the most iterations that one
 * call gets; 0: chosen by the runtime, split further only where a worker has nothing to do.                       [C]
 *   WEFT_EINVAL    body is NULL, or begin > end
 *   WEFT_ECANCELED the caller's scope was cancelled
 *   WEFT_ENOMEM    no memory to start tasks with; or what a body returned, or weft_start said, if it had to start */
WEFT_API WEFT_MUSTUSE int weft_for(size_t begin, size_t end, size_t grain, weft_range_fn *body, void *ctx);

/* What to reduce with.  An accumulator has size bytes; map adds begin .. end - 1 to *acc, which starts as a copy of
 * *identity; combine adds *from, which comes from higher indices, to *into. */
typedef struct weft_reduction {
    size_t size;
    const void *identity;
    int (*map)(size_t begin, size_t end, void *acc, void *ctx);
    void (*combine)(void *into, const void *from, void *ctx);
} weft_reduction;

/* Reduces begin .. end - 1 to *result; an empty range gives the identity.  The tree of combinations depends on the range and
 * the grain alone: the same bits for any number of workers.  grain 0: chosen from the length of the range.        [C]
 * Codes as for weft_for; *result is untouched if the call fails. */
WEFT_API WEFT_MUSTUSE int weft_reduce(size_t begin, size_t end, size_t grain, const weft_reduction *r, void *ctx,
                                      void *result);

/* Runs f(a) and g(b), perhaps at the same time, and returns when both have ended: f's code if that is negative, else g's.
 * Both run even if one fails.  f runs as a part of the caller's task; so does g, unless another worker takes it: then as a
 * task of its own.                                                                                               [C]
 *   WEFT_EINVAL    f or g is NULL
 *   WEFT_ECANCELED the caller's scope was cancelled: g, or both, did not run
 *   or what weft_start said, if it had to start: neither ran.  Where memory is short both run, one after the other */
WEFT_API WEFT_MUSTUSE int weft_both(weft_fn *f, void *a, weft_fn *g, void *b);

WEFT_END
#endif
