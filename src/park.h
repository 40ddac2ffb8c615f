/* park.h - contexts, and how whoever waits is suspended and woken.  [layer 3]
 *
 * The essay is in park.c. */
#ifndef WEFT_SRC_PARK_H
#define WEFT_SRC_PARK_H

#include "context.h"
#include "list.h"
#include "runnable.h"
#include "watch.h"

#include <weft/task.h>
#include <weft/timer.h>

struct worker;
struct pool;
struct scope;
struct stack;

enum { PARK_INTERRUPTED = 0x7fffffff }; /* as an index: no registration, but a deadline or a cancellation */

/* Who can wait: a context has one, a plain thread makes one for the time that it blocks. */
struct parker {
    _Atomic uint64_t word;        /* generation, flags and state: park.c */
    _Atomic uint32_t futex;       /* a plain thread sleeps until this is 1 */
    uint32_t index;               /* written by the claimer: which registration it was, */
    int code;                     /* and what the wait returns, */
    void *value;                  /* and a value to go with it */
    struct context *context;      /* NULL: a plain thread */
    _Atomic(const char *) reason; /* what it waits for, for people: "channel put", */
    _Atomic(const void *) object; /* and of what: NULL, or an address in the object */
};

/* A place to run: a stack, and the chain of tasks on it.  It lives at the top of its own stack. */
struct context {
    struct runnable run; /* ticket 0 */
    struct machine_context machine;
    weft_task *task;       /* the innermost task of the chain; the others follow run.outer */
    char *floor;           /* above it there is as much stack left as a task may count on by default */
    struct worker *worker; /* that runs it now, or ran it last */
    struct worker *home;   /* sticky: the only worker that may run it; else NULL */
    struct pool *pool;     /* whose workers may run it */
    struct stack *stack;
    struct parker parker;
    struct strand strand; /* while something watches, */
    uint64_t woken;       /* as this: where the arrow begins that leads to it (trace_events.c) */

    /* Scopes: cancel.c and members.c. */
    struct scope *base;                    /* of which the outermost task of the chain is a member, */
    int64_t credit;                        /* and how many members of it c may make that are counted already */
    struct scope *listed;                  /* where cancellations look for c; the root: nowhere in particular, */
    struct list_node listing;              /* under its lock; */
    _Atomic(const weft_task *) listed_for; /* whose last cancellable park that was, */
    _Atomic bool listed_own;               /* and whether in a scope that this task had opened itself */
    _Atomic bool sheltered;                /* listed is */
    weft__lock lock;
    struct list opened; /* under lock: the scopes opened here that are linked, the innermost last */

    int budget;   /* what it may still do before others get a turn: scheduler.h */
    bool leaving; /* it has begun to switch away: what it calls until then must not switch */
    bool fpenv;   /* its floating-point control words are its own */
};

/* Starts a park: from now on it can be claimed by whoever gets the ticket.  cancellable: also by a cancellation. */
uint64_t weft__park_arm(struct parker *p, const char *reason, bool cancellable);

/* Exactly one caller per ticket gets true: it must write index, code and value, and then call weft__park_wake. */
bool weft__park_claim(struct parker *p, uint64_t ticket);

/* Claims whatever cancellable park p is in at this moment; false: none. */
bool weft__park_claim_any(struct parker *p);

/* After a claim, instead of the wake: the parker stays parked, for another reason, with another object, and under the ticket
 * that is returned; what the claimer wrote it may write again.  Nothing else claims it any more but by that ticket. */
uint64_t weft__park_move(struct parker *p, const char *reason, const void *object);

/* The same in two steps, with a look at the context in between: what was true of the park that was seen still is if the
 * claim succeeds.  0: none. */
uint64_t weft__park_see(const struct parker *p);
bool weft__park_claim_seen(struct parker *p, uint64_t seen);

/* Lets the claimed parker go on.  The claimer's last access to p.  crowd: others are woken with it; they keep their
 * order. */
void weft__park_wake(struct parker *p, bool crowd);

/* Has the wake already come?  Then there is no need to switch away. */
bool weft__park_woken(const struct parker *p);

/* After a claim: no registration wakes p, but a deadline or a cancellation. */
static inline void
weft__park_interrupt(struct parker *p, int code)
{
    p->index = PARK_INTERRUPTED;
    p->code = code;
}

/* Lets the claimed contexts of l go on, in order: a claimed context is in no queue, so its link is free. */
void weft__park_wake_all(struct runlist *l);

/* After a claim, instead of the wake: is the context saved, so that the claimer may run it itself? */
bool weft__park_is_saved(const struct parker *p);

/* For those who only look: how far the park has come at this moment.  *word changes whenever that does. */
enum park_look { PARK_NONE, PARK_BEGUN, PARK_SAVED, PARK_CLAIMED };
enum park_look weft__park_look(const struct parker *p, uint64_t *word);

/* On the successor of c, when c's registers are saved: makes the park visible to wakers, or passes on a wake that came
 * before. */
void weft__park_saved(struct context *c);

/* Blocks a plain thread until it is woken, or deadline; then it claims itself: false, unless somebody was faster. */
bool weft__park_thread(struct parker *p, uint64_t ticket, int64_t deadline);

/* Provided by the scheduler. */
void weft__ready(struct context *c, bool crowd); /* puts a context that is saved into a queue */
void weft__suspend(struct context *c); /* switches away from c, the running context; returns when it has been woken */

#endif
