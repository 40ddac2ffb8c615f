/* inject.h - a queue that any thread may push to: from outside to a pool, and to a given worker.  [layer 2]
 *
 * A Treiber stack that is only ever emptied whole, so there is no ABA: push is a compare-and-swap, take an exchange.
 * Taking turns the list around, so what comes out is in the order in which it was pushed.  Intrusive: a push cannot
 * fail. */
#ifndef WEFT_SRC_INJECT_H
#define WEFT_SRC_INJECT_H

#include "runnable.h"

/* Valid when zeroed: empty. */
struct inject {
    _Atomic(struct runnable *) top;
};

/* A full fence follows the push: the caller looks for sleepers next (idle.c). */
void weft__inject_push(struct inject *q, struct runnable *r);

/* Everything that was pushed before, oldest first; an empty list if there is nothing. */
struct runlist weft__inject_take(struct inject *q);

static inline bool
weft__inject_empty(const struct inject *q)
{
    return load_relaxed(&q->top) == NULL; /* a hint; weft__inject_take decides */
}

#endif
