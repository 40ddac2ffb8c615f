/* runnable.h - what queues hold: tasks that have not started, and contexts that are ready to go on.  [layer 2] */
#ifndef WEFT_SRC_RUNNABLE_H
#define WEFT_SRC_RUNNABLE_H

#include "atomic.h"
#include "bits.h"

#include <stddef.h>

/*
 * The first member of a task and of a context.
 *
 * A queue's entry is a pointer and a tag: the ticket that the runnable had when it was queued.  A context's ticket is
 * 0.  A task's ticket counts up each time its descriptor is used again and holds its phase, so an entry whose tag is
 * not the ticket any more is stale: its task was claimed out of order, and perhaps the descriptor belongs to another
 * task by now.  Whoever meets a stale entry drops it.  Descriptors are never unmapped, so looking is always allowed.
 */
struct runnable {
    _Atomic uint64_t ticket;
    union {
        struct runnable *link;   /* in a runlist or an inject queue, or in a cache of free descriptors */
        struct weft_task *outer; /* a task that runs: the task below it on its context, which waits for it in place */
    };
};

struct entry {
    struct runnable *item;
    uint64_t tag;
};

/* A FIFO of one thread.  Valid when zeroed. */
struct runlist {
    struct runnable *head, *tail;
};

static inline void
weft__runlist_append(struct runlist *l, struct runnable *r)
{
    r->link = NULL;
    if (l->head) l->tail->link = r;
    else l->head = r;
    l->tail = r;
}

static inline struct runnable *
weft__runlist_pop(struct runlist *l)
{
    struct runnable *r = l->head;
    if (r) l->head = r->link;
    return r;
}

#endif
