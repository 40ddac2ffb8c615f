/* waiter.h - the one way to wait: registrations with objects, deadlines, cancellation.  [layer 3]
 *
 * Every operation that blocks is the same steps:
 *
 *     1  check for cancellation, before anything happens
 *     2  under the object's lock: try; if that is not possible, weft__wait_begin, and append a waiter for each registration
 *     3  unlock
 *     4  weft__wait_park: looks for a cancellation once more, sets the timer, parks
 *     5  if it was not an object that woke it: under each object's lock, weft__wait_withdraw
 *
 * and every wake, under the object's lock: take the oldest waiter that can be claimed, weft__waiter_claim_first (where a
 * deadline or a cancellation was faster, it goes on to the next, so that no grant is lost); move the value; and after
 * unlocking weft__waiter_wake.
 *
 * A waiter lives on the parker's stack.  It is in a list only while the park that it belongs to lasts: who finds it
 * there, under the lock, finds it alive; and once claimed it stays alive until it is woken. */
#ifndef WEFT_SRC_WAITER_H
#define WEFT_SRC_WAITER_H

#include "list.h"
#include "park.h"
#include "task.h"
#include "timerq.h"

struct waiter {
    struct list_node node; /* the object's lock */
    struct parker *parker; /* NULL: not a parker but a callback of weft_ondone */
    uint64_t ticket;
    uint32_t index; /* which of the parker's registrations this is */
    int code;       /* what the wait returns, between claim and wake */
    void *slot;     /* the object's: where a value is, or goes to; a task's: NULL, or what to count down (waitset.c) */
    size_t count;   /* the object's: how many values; a task's: a failure need not be counted */
};

struct wait {
    struct parker *parker;
    uint64_t ticket;
    bool cancellable;
    struct timer timer;
    /* Of a plain thread. */
    struct parker thread;
    struct scope *scope;      /* that the thread has opened, if a cancellation may wake it; else NULL */
    struct list_node blocked; /* while it is blocked: in the list of those that are, */
    weft_time deadline;       /* until when, */
    int id;                   /* and who it is, for the kernel */
};

/* Step 2.  c: the running context, NULL on a plain thread.  reason: for people, a constant. */
void weft__wait_begin(struct wait *w, struct context *c, const char *reason, bool cancellable);

static inline void
weft__wait_register(struct wait *w, struct waiter *r, struct list *list, uint32_t index, void *slot)
{
    *r = (struct waiter){.parker = w->parker, .ticket = w->ticket, .index = index, .slot = slot};
    store_relaxed(&w->parker->object, list); /* relaxed: for people */
    weft__list_append(list, &r->node);
}

/* The same, ahead of all who are in list already. */
static inline void
weft__wait_register_first(struct wait *w, struct waiter *r, struct list *list, uint32_t index, void *slot)
{
    weft__wait_register(w, r, list, index, slot);
    weft__list_remove(list, &r->node);
    weft__list_prepend(list, &r->node);
}

/* Step 4.  The code that the waker gave, or WEFT_ECANCELED or WEFT_ETIMEDOUT. */
int weft__wait_park(struct wait *w, weft_time deadline);

/* Instead of step 4: takes the wake for the caller itself, who goes on without a park; false: somebody was faster, the wake is
 * on its way, and step 4 must follow. */
bool weft__wait_abandon(struct wait *w);

/* After step 4: was it no object that woke the caller, but a deadline or a cancellation? */
static inline bool
weft__wait_interrupted(const struct wait *w)
{
    return w->parker->index == PARK_INTERRUPTED;
}

/* Step 5, under the lock of the object. */
static inline void
weft__wait_withdraw(struct waiter *r, struct list *list)
{
    if (weft__list_linked(list, &r->node)) weft__list_remove(list, &r->node);
}

/* The oldest waiter of list that can still be woken, claimed and taken out of the list; NULL: none. */
static inline struct waiter *
weft__waiter_claim_first(struct list *list)
{
    struct list_node *n;
    while ((n = weft__list_pop(list))) {
        struct waiter *r = weft__container(n, struct waiter, node);
        if (weft__park_claim(r->parker, r->ticket)) return r;
    }
    return NULL;
}

/* Lets a claimed waiter go on, with code; crowd: as for weft__park_wake.  It may be gone when this returns. */
static inline void
weft__waiter_wake(struct waiter *r, int code, bool crowd)
{
    struct parker *p = r->parker;
    p->index = r->index;
    p->code = code;
    weft__park_wake(p, crowd);
}

/* Provided by runtime.c: is this the child of a process that was forked while the runtime was running? */
bool weft__forked(void);

/* A plain thread that is blocked in Weft. */
struct blocked_thread {
    int id;
    const char *reason;
    const void *object; /* as in struct parker */
    weft_time deadline;
    bool woken; /* somebody has claimed its wait already */
};

/* Copies what there is to say about the blocked threads from number `first` on, at most `most`: how many.  Negative: the
 * list is being changed.  Async-signal-safe. */
int weft__blocked_threads(int first, struct blocked_thread *out, int most);

/* How many plain threads are blocked without a deadline, and nobody has claimed their waits.  While *version stays the
 * same, no thread has begun or ended to be blocked. */
int weft__blocked_for_ever(uint64_t *version);

/* s, opened by a plain thread, has been cancelled: wakes that thread if it is blocked there. */
void weft__blocked_cancel(const struct scope *s);

/* Wakes every (claimed) waiter of list, in order, with the code in each. */
void weft__waiter_wake_all(struct list *list);

#endif
