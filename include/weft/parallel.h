/* parallel.h - loops for numeric work.
 *
 * Threads.   Callable from everywhere.  The ordinary workers do the work: a plain thread, or a task of the interactive pool,
 *            waits meanwhile for a task that makes the call for it (but weft_both: the first function runs where it is).
 * Ownership. ctx is passed on as it is.
 * Ordering.  What came before the call happens before every body; every body happens before the return.
 * Scopes.    Bodies run in the caller's scope, and what they spawn becomes a member of it.  The tasks that help with a loop are
 *            none, as far as one can see: a scope's limit, weft_scope_next, or a WEFT_RACE do not count them, and a body that
 *            fails is the caller's business.  They are cancelled with the caller, be it by its scope or by weft_cancel.
 * Bodies.    A body may run in any task, so it has no locals of the caller's, nor its WEFT_FPENV (but weft_both), and may count on
 *            the stack that the configuration gives to each (a quarter of stack_size), less some 350 bytes for each halving.
 * Errors.    A body fails by returning a negative code.  Bodies that have not started by then are skipped; the call waits for
 *            those that have, and returns the code of the lowest index among the failures that happened.  Bodies may park;
 *            they must not throw past their end.  A plain thread that calls while the runtime stops gets WEFT_ESHUTDOWN. */
#ifndef WEFT_PARALLEL_H
#define WEFT_PARALLEL_H

#include <weft/base.h>
#include <weft/channel.h>
#include <weft/error.h>

WEFT_BEGIN

/* The iterations begin .. end - 1. */
typedef int weft_range_fn(size_t begin, size_t end, void *ctx);

/* Calls body on pieces that together cover begin .. end - 1 exactly once, in parallel.  grain is the most iterations that one
 * call gets; 0: chosen by the runtime, split further only where a worker has nothing to do.                       [C]
 *   WEFT_EINVAL    body is NULL, or begin > end
 *   WEFT_ECANCELED the caller was cancelled, by its scope or itself, here as below: also if the range is empty
 *   WEFT_ENOMEM    no memory to start tasks with; or what a body returned, or weft_start said, if it had to start */
WEFT_API WEFT_MUSTUSE int weft_for(size_t begin, size_t end, size_t grain, weft_range_fn *body, void *ctx);

/* Calls body on tiles r0 .. r1 - 1 by c0 .. c1 - 1 that together cover rows 0 .. rows - 1 by columns 0 .. cols - 1 exactly
 * once, in parallel.  Tiles are about as high as wide; grain is the most elements of one; 0: chosen by the runtime.  The tiles
 * depend on rows, cols and grain alone, if that is given.  Of two failures the lower index is that of the tile whose first
 * element comes first, row by row.                                                                               [C]
 * Codes as for weft_for; WEFT_EINVAL also if rows * cols is more than a size_t can hold. */
WEFT_API WEFT_MUSTUSE int weft_for_2d(size_t rows, size_t cols, size_t grain,
                                      int (*body)(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx), void *ctx);

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

/* Running combinations: the element i at out becomes that of elements 0 to i at in, in order; both have n elements of size
 * bytes.  op combines *from, which comes from higher indices, into *into; it must be associative, and need not be
 * commutative.  Where it is so but nearly, as for floating-point numbers, the last bits may differ from call to call.  op must
 * not leave by longjmp or an exception; it may park.  out is in, or does not overlap it.                         [C]
 *   WEFT_EINVAL    op is NULL, size is 0, n * size is more than there can be; or out or in is NULL, and n is not 0
 *   WEFT_ECANCELED the caller's scope was cancelled
 *   WEFT_ENOMEM    no memory for an element (of more than 128 bytes), or what weft_start said, if it had to start
 * What is at out after a failure is unspecified. */
WEFT_API WEFT_MUSTUSE int weft_scan(void *out, const void *in, size_t n, size_t size,
                                    void (*op)(void *into, const void *from, void *ctx), void *ctx);

/* Sorts the n elements of size bytes at base: of two for which compare returns 0 the first stays the first.  compare returns
 * less than 0 if *a must come before *b, more if it must come after; it may park.  weft/sort.h makes a faster sort for one
 * type, with a comparison that is compiled in.  Needs memory for n more elements.  A comparison that contradicts itself costs
 * the order, but no elements.                                                                                    [C]
 *   WEFT_EINVAL    compare is NULL, size is 0, n * size is more than there can be; or base is NULL, and n is not 0
 *   WEFT_ENOMEM    no memory: nothing was moved; or what weft_start said, if it had to start
 *   WEFT_ECANCELED the caller's scope was cancelled: the same elements are at base, in any order
 * Merge sort; the sources name the papers. */
WEFT_API WEFT_MUSTUSE int weft_sort(void *base, size_t n, size_t size,
                                    int (*compare)(const void *a, const void *b, void *ctx), void *ctx);

/* Runs f(a) and g(b), perhaps at the same time, and returns when both have ended: f's code if that is negative, else g's.
 * Both run even if one fails.  f runs as a part of the caller's task; so does g, unless another worker takes it: then as a
 * task of its own.                                                                                               [C]
 *   WEFT_EINVAL    f or g is NULL
 *   WEFT_ECANCELED the caller's scope was cancelled: g, or both, did not run
 *   or what weft_start said, if it had to start: neither ran.  Where memory is short both run, one after the other */
WEFT_API WEFT_MUSTUSE int weft_both(weft_fn *f, void *a, weft_fn *g, void *b);

/* Cuts begin .. end - 1 into weft_nworkers() chunks of equal length, the first of them one longer if that does not come
 * out even, and calls body on chunk k on worker k, which does not change while the body lasts, whatever it calls: weft_worker()
 * is k.  Where there are fewer iterations than workers, the last workers get no chunk.  A worker that is busy holds up its
 * chunk: use weft_for unless the place matters.  Such loops may be nested, and run at the same time: then chunks for
 * one worker take turns, so they share what belongs to it only between the places where they park.                [C]
 * Codes as for weft_for, with WEFT_ENOMEM also where there is no stack for a chunk. */
WEFT_API WEFT_MUSTUSE int weft_for_static(size_t begin, size_t end, weft_range_fn *body, void *ctx);

/* Takes values from c until it is closed and drained, and calls body on a copy of each; ntasks tasks do so at the same time,
 * the caller's and others; 0: one for each worker.  With one, values are taken in order.  The first body that fails closes
 * c with its code, so that whoever puts does not wait in vain; what is buffered then is left there.               [C]
 *   0              c was closed and drained, with WEFT_ECLOSED
 *   WEFT_EINVAL    c or body is NULL
 *   WEFT_ECANCELED the caller's scope was cancelled; c is as it was
 *   WEFT_ENOMEM    no memory even for a single value; c is closed
 *   or what the first body that failed returned, or c was closed with, or weft_start said, if it had to start */
WEFT_API WEFT_MUSTUSE int weft_for_each(weft_channel *c, size_t ntasks, int (*body)(void *value, void *ctx), void *ctx);

typedef struct weft_map_options {
    size_t size;   /* sizeof(weft_map_options), or 0: all that this library knows */
    size_t ntasks; /* tasks that call f at the same time; 0: 100.  Never more than there are calls to make */
    /* Or, instead: returns how many tasks there should be.  It is called once at first, and again before each call of f, one
     * call at a time; there is one more task whenever it returns more than there are, and never one less. */
    size_t (*ntasks_fn)(void *ctx);
    size_t batch; /* elements for each call of f; the last may get fewer.  0: 1 */
} weft_map_options;

/* Calls f on the n elements of in_size bytes at in, by tasks of its own, to fill the n elements of out_size bytes at out, in
 * the same order.  A call of f gets `count` neighbouring elements: one, unless opt says otherwise.  The calls may park; tasks
 * are for waiting: for computing, weft_for costs less.  in and out may be the same.  opt NULL: the defaults.     [C]
 * After a failure nothing more is begun; the call waits for what has begun, and returns the code of the lowest index among
 * the failures that happened.  What is at out is then unspecified where f did not run.
 *   WEFT_EINVAL    f is NULL; in or out is, and its elements have a size; they are more than there can be; ntasks and ntasks_fn
 *                  are both given, or opt is of a later library
 *   WEFT_ECANCELED the caller's scope was cancelled
 *   WEFT_ENOMEM    no memory for a single task, or not for the stack of one that had begun its part
 *   or what f returned, or weft_start said, if it had to start */
WEFT_API WEFT_MUSTUSE int weft_map(const void *in, size_t in_size, void *out, size_t out_size, size_t n,
                                   int (*f)(const void *in, void *out, size_t count, void *ctx), void *ctx,
                                   const weft_map_options *opt);

WEFT_END
#endif
