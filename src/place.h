/* place.h - the contexts that tasks run on: a stack, and the loop that runs one task after the other on it.  [layer 4] */
#ifndef WEFT_SRC_PLACE_H
#define WEFT_SRC_PLACE_H

#include "scheduler.h"

/* A context with a stack for t; NULL: no memory. */
struct context *weft__place_new(struct stack_cache *cache, const weft_task *t);

/* Takes back the stack of a context that has ended. */
void weft__place_free(struct stack_cache *cache, struct context *c);

/* Puts the claimed task t, which has not started, on c. */
void weft__place_put(struct worker *w, struct context *c, weft_task *t);

/* Provided by scheduler.c: the first thing that runs on a new context. */
void weft__place_arrived(struct context *c);

/* Ends t, which ran on w and returned code, if nobody but the caller can see it: `mine` references, no flags, so nothing
 * hangs on it (a callback sets one).  Then the descriptor is free again. */
static inline bool
weft__place_end_alone(struct worker *w, weft_task *t, int code, uint32_t mine)
{
    /* acquire: pairs with the drop of other references; if they are all the caller's, nobody else can come by one */
    if (weft__unlikely(load_acquire(&t->refs) != mine || code < 0 || load_relaxed(&t->flags))) return false;
    /* release: as weft__sched_ended */
    store_release(&w->ended[0], load_relaxed(&w->ended[0]) + 1);
    weft__task_recycle(t, &w->tasks);
    return true;
}

#endif
