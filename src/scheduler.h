/* scheduler.h - the scheduler: what is ready, what runs next, and when it is all over.  [layer 4] */
#ifndef WEFT_SRC_SCHEDULER_H
#define WEFT_SRC_SCHEDULER_H

#include "worker.h"

enum { STACK_NEED_MOST = 1 << 30 }; /* what a task may ask for */

enum { POOL_DEFAULT, POOL_INTERACTIVE, POOLS };

/* STOPPED -> RUNNING -> CLOSING (the root task has ended) -> CANCELLED (so is the root scope) -> LEAVING (workers go). */
enum sched_state { SCHED_STOPPED, SCHED_RUNNING, SCHED_CLOSING, SCHED_CANCELLED, SCHED_LEAVING };

struct sched {
    _Atomic int state;
    _Atomic uint32_t shutdowns; /* calls of weft_shutdown since the start: shutdown.c, */
    _Atomic uint32_t due;       /* how many of them have marked what they cancel, */
    _Atomic uint32_t delivered; /* and how many of these were walked for */
    struct pool pools[POOLS];   /* the interactive one may be empty */
    struct worker **workers;    /* of all pools, by id */
    int count;
    _Atomic uint32_t stack_need; /* what a task may count on by default; set while stopped */
    bool oversubscribed;         /* more workers than usable cores */
    struct scope root;
    weft__aligned(WEFT_CACHE_LINE) _Atomic uint64_t made[2]; /* by plain threads, and by workers of earlier runs */
    _Atomic uint64_t ended[2];
    _Atomic uint64_t counts[COUNTS]; /* by workers of earlier runs */
    _Atomic uint32_t visitors;       /* plain threads that may look at workers */
};

extern struct sched weft__sched;

/*
 * A plain thread that pushes something still looks at workers when that may have run and ended already; another tells all of
 * them something, or looks around.  So it visits: until it leaves, workers may stop, but not go away.
 *
 *      visitor                               whoever ends it
 *      V1  visitors += 1     (seq_cst)       W1  state = LEAVING       (seq_cst, lifecycle.c)
 *      V2  read state        (seq_cst)       W2  wait until visitors is 0, free the workers  (seq_cst, runtime.c)
 *      V3  look at workers, if V2 says       W3  state = STOPPED
 *          that there are any
 *      V4  visitors -= 1     (release)
 *
 * If V2 does not see W1, then W2 sees V1, and waits for V4.  Who pushes what has been counted needs no V2: W1 does not come
 * before that has ended.  Nothing here takes a lock or waits, so signal handlers may visit.
 */
static inline void
weft__sched_visit(void)
{
    add_seq_cst(&weft__sched.visitors, 1); /* V1: pairs with W2; before the push, if there is one */
}

/* Are there workers, and will they stay while somebody visits?  state: as V2 has read it. */
static inline bool
weft__sched_has_workers(int state)
{
    return state != SCHED_STOPPED && state != SCHED_LEAVING;
}

/* Visits; returns whether there are workers.  The caller leaves in any case. */
static inline bool
weft__sched_enter(void)
{
    weft__sched_visit();
    return weft__sched_has_workers(load_seq_cst(&weft__sched.state)); /* V2: pairs with W1 */
}

static inline void
weft__sched_leave(void)
{
    sub_release(&weft__sched.visitors, 1); /* V4: release: pairs with W2 */
}

/* Has somebody begun to watch, or ceased to?  Then w, the caller's, takes the slow ways from now on, or no longer. */
static inline void
weft__watch_look(struct worker *w)
{
    w->quick = w->ordinary && !weft__watched();
}

/* The running context; NULL on a plain thread. */
static inline struct context *
weft__context_current(void)
{
    struct worker *w = weft__worker();
    return w ? w->context : NULL;
}

/* The same for paths that are taken often. */
static inline struct context *
weft__context_fast(void)
{
    struct worker *w = weft__worker_fast();
    return w ? w->context : NULL;
}

/* The scope that the caller is in: c, the running context, or NULL, a plain thread. */
static inline struct scope *
weft__scope_here(const struct context *c)
{
    struct scope *s = c ? weft__task_scope(c->task) : weft__thread_scope();
    return s ? s : &weft__sched.root;
}

/* Does the calling worker have nothing that others could steal, where there are others?  false on a plain thread. */
bool weft__sched_hungry(void);

/* The next thing for w to run, from its own queues and those that others push to.  A task is claimed.  Its item is
 * NULL if there is nothing. */
struct entry weft__sched_pick(struct worker *w);

/*
 * An operation that does not have to wait lets its caller go on; a task for which everything is always ready would
 * keep its worker to itself.  So operations that may park cost something, also when they do not, and a task that has
 * spent its budget since it was last dispatched lets others have a turn.  What is asked never to wait (WEFT_NOW) costs
 * nothing.
 */
enum { BUDGET = 1024, COST_CHANNEL = 8, COST_LOCK = 1, COST_SIGNAL = 4, COST_JOIN = 1 };

void weft__sched_exhausted(struct context *c);

static inline void
weft__sched_spend(struct context *c, int cost)
{
    if (c && weft__unlikely((c->budget -= cost) <= 0)) weft__sched_exhausted(c);
}

/* Runs e on w's own stack's behalf, until a context comes back with nothing left to do. */
void weft__sched_run(struct worker *w, struct entry e);

/* Gives e, a new task that was claimed, its context, which e is then.  False: there is no stack for it, and it has failed for
 * that reason. */
bool weft__sched_place(struct worker *w, struct entry *e);

/* Switches from the running context c to e; c comes back as `leaving` says. */
void weft__sched_switch(struct context *c, enum leaving leaving, struct entry e);

enum { HANDOFFS = 16 }; /* contexts that may go past the queues in a row */

/* May w pass over its queues once more?  Counts it. */
static inline bool
weft__sched_handoff(struct worker *w)
{
    return w->handoffs++ < HANDOFFS;
}

/* Puts a task that is not in any queue where the pool of its flags can find it.  w: the calling worker, or NULL. */
void weft__sched_submit(struct worker *w, weft_task *t);

/* The same for a sticky task, and the worker that it is bound to. */
void weft__sched_submit_to(struct worker *w, weft_task *t, struct worker *home);

/* Schedules a new task: the phase NEW is the caller's to leave.  0, or WEFT_ESHUTDOWN and t is new as before. */
int weft__spawn_submit(struct worker *w, weft_task *t);

/* A helper, sticky, scheduled on the ordinary worker number `place`.  Codes as for weft_spawn. */
int weft__spawn_on(weft_task **out, weft_fn *fn, void *arg, int place);

/* Makes of t, which is new, a helper: a task that works for one that waits for it.  It has a place in its scope, and is
 * cancelled with it, but is none of its members as far as the program can see: their limit, their outcome, weft_scope_next. */
static inline void
weft__helper(weft_task *t)
{
    /* relaxed: nobody else knows it */
    store_relaxed(&t->flags, (load_relaxed(&t->flags) & ~(uint32_t)TASK_MEMBER) | TASK_HELPER);
}

/* Provided by parallel_both.c: what a forked second function runs as, a helper too. */
int weft__both_second(void *arg);

/* t has returned with a scope of its own open: reports that; returns the scope that t is a member of. */
struct scope *weft__task_left_open(weft_task *t);

/* Runs members of s in place that c has forked last, as long as there are any, and they can be. */
void weft__join_members(struct context *c, struct scope *s);

/* weft_join, which no cancellation of the caller interrupts.  *stackless: t did not run, for want of a stack. */
int weft__join_always(weft_task *t, bool *stackless);

/* Runs t in place, if it is a child that the caller's worker has not started and nothing stands against it.  For those
 * who cannot go on before it has ended. */
bool weft__run_child(weft_task *t);

/* Provided by runtime.c: starts the runtime if it is not running.  0, or why it cannot. */
int weft__runtime_need(void);

/* Where the deque cannot grow: to another queue of w. */
void weft__sched_push_elsewhere(struct worker *w, weft_task *t, uint64_t tag);

/* Puts an unstarted, migratable task into the deque of w, the calling worker. */
static inline void
weft__sched_push(struct worker *w, weft_task *t, uint64_t tag)
{
    t->index = weft__deque_index(&w->deque);
    if (weft__unlikely(!weft__deque_push(&w->deque, &t->run, tag))) weft__sched_push_elsewhere(w, t, tag);
    if (!w->alone) weft__idle_wake_one(w->pool);
}

/* Counts.  A task is made when it is scheduled.  w NULL: a plain thread. */
void weft__sched_made(struct worker *w, bool daemon);
void weft__sched_ended(struct worker *w, bool daemon);

/* Tasks that were made and have not ended: daemons, or the others. */
uint64_t weft__sched_live(bool daemons);

/* Keeps the counts of a worker that is about to be freed. */
void weft__sched_retire(struct worker *w);

/* CLOSING and later: goes on to the next state if nothing is left to wait for.  Returns whether it did: there may be
 * something to run then. */
bool weft__sched_progress(void);

/* Is everything over, or nearly: then nobody sleeps. */
static inline bool
weft__sched_stopping(void)
{
    return load_acquire(&weft__sched.state) == SCHED_LEAVING; /* acquire: pairs with the step */
}

/* May workers leave their loops? */
bool weft__sched_leaving(void);

/* Cancels the root scope: whoever is parked in a cancellable way is woken with WEFT_ECANCELED. */
void weft__sched_cancel_root(void);

/* The second half of that, for who has marked the root, or broken the shields: C3 and C4 of cancel.c. */
void weft__sched_sweep(void);

/* The loop of a worker, on its own stack; returns when the scheduler stops. */
void weft__worker_loop(struct worker *w);

#endif
