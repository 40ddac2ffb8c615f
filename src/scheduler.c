/*
 * scheduler.c - what is ready, and what runs next.  [layer 4]
 *
 * Queues of a worker, in the order in which they are asked:
 *
 *      next      one context that the running task has just woken: the hand-off.  At most HANDOFFS times in a row.
 *      deque     tasks that have not started.  The newest first: a recursion is run depth first, and whoever waits for the
 *                newest finds it at the bottom.  Thieves take the oldest.
 *      fifo      contexts that were woken or have yielded, and tasks from outside.  Thieves take from it too.
 *      sticky    what may run only here; filled from the inbox, to which any thread may push.
 *      inject    of the pool: from plain threads and from workers of other pools.  Emptied whole, into the fifo.
 *
 * Fairness.  Every TURN-th dispatch asks in another order, and the deque from above.  So whatever is queued at
 * the front of its queue is dispatched within TURN * 4 dispatches, and an entry at position n of a FIFO within n times
 * that, under any storm of yields, spawns and hand-offs, on a single worker.  fifo and sticky take turns.
 *
 * yield asks for the next thing first, and queues the caller (in fifo or sticky) only after the switch: so the caller
 * comes behind all that is ready on its worker.
 *
 * Leaving.  A context that is switched away from may not be found by another worker until its registers are saved.  So
 * its successor does what remains (settle): makes the park visible (park.c), queues a yielder, or takes back the stack
 * of a context that has ended.
 */
#include "scheduler.h"

#include "clock.h"
#include "fence.h"
#include "hook.h"
#include "panic.h"
#include "place.h"
#include "reactor.h"
#include "shutdown.h"
#include "timerq.h"

enum { CHORE_TURN = 4, TURN = 15 * CHORE_TURN };

struct sched weft__sched;

bool
weft__sched_hungry(void)
{
    struct worker *w = weft__worker();
    bool hungry = w && !w->alone && weft__deque_size(&w->deque) == 0;
    return hungry || (weft__spanned() && weft__span_hungry());
}

struct task_cache *
weft__task_cache(void)
{
    struct worker *w = weft__worker();
    return w ? &w->tasks : NULL;
}

/* Where only this worker looks, and nothing is allocated. */
static void
keep(struct worker *w, struct runnable *r)
{
    weft__runlist_append(&w->sticky, r);
}

/* To the tail of w's fifo; where that cannot grow, to a queue that need not. */
static void
enqueue(struct worker *w, struct runnable *r, uint64_t tag)
{
    if (!weft__deque_push(&w->fifo, r, tag)) keep(w, r);
}

/* From a worker of another pool, from another worker to a sticky context, or from a plain thread. */
static void
ready_elsewhere(struct worker *w, struct context *c)
{
    struct worker *home = c->home; /* read now: once c is queued it may run, and end */
    struct pool *pool = c->pool;
    if (!w) weft__sched_visit();
    if (home) {
        weft__inject_push(&home->inbox, &c->run);
        weft__idle_wake_worker(home);
    } else {
        weft__inject_push(&pool->inject, &c->run);
        weft__idle_wake_one(pool);
    }
    if (!w) weft__sched_leave();
}

void
weft__ready(struct context *c, bool crowd)
{
    struct worker *w = weft__worker();
    if (!w || (c->home ? c->home != w : c->pool != w->pool)) {
        ready_elsewhere(w, c);
    } else if (c->home) {
        keep(w, &c->run);
    } else if (!crowd && !load_relaxed(&w->next)) { /* relaxed: only this worker fills it */
        store_release(&w->next, c);                 /* release: pairs with the thief's acquire */
        if (!w->alone) weft__idle_handoff(w->pool);
    } else {
        enqueue(w, &c->run, 0);
        weft__idle_wake_one(w->pool);
    }
}

static inline bool
take_next(struct worker *w, struct entry *out)
{
    struct context *c = load_relaxed(&w->next); /* relaxed: the exchange decides */
    if (!c) return false;
    if (w->alone) store_relaxed(&w->next, NULL); /* relaxed: there is no thief */
    else c = swap_acquire(&w->next, NULL);       /* acquire: a thief may have been faster */
    if (!c) return false;
    *out = (struct entry){&c->run, 0};
    return true;
}

/* A task from a queue in which nobody but the taker can claim it. */
static inline bool
claimed(struct entry *e)
{
    if (e->tag) weft__task_claim_owned(weft__container(e->item, weft_task, run), e->tag);
    return true;
}

/* Where many contexts are ready, they are not in the cache any more: what one needs that comes soon is fetched while
 * others run.  Its frames lie right below it on its stack. */
static inline void
fetch_ahead(const struct deque *d)
{
    enum { AHEAD = 3, LINES_BELOW = 5, LINES = 8 };
    if (weft__likely(weft__deque_size(d) <= AHEAD)) return;
    int64_t i = load_relaxed(&d->top) + AHEAD; /* relaxed: any entry will do, nothing is read through it */
    /* A number: thieves may have left an empty slot there.  relaxed: the owner's own store */
    uintptr_t from = (uintptr_t)weft__deque_read(load_relaxed(&d->array), i).item - LINES_BELOW * WEFT_CACHE_LINE;
    for (unsigned k = 0; k < LINES; k++) __builtin_prefetch((const void *)(from + k * WEFT_CACHE_LINE));
}

static inline bool
take_fifo(struct worker *w, struct entry *out)
{
    fetch_ahead(&w->fifo);
    return weft__deque_take(&w->fifo, out) && claimed(out);
}

static bool
take_sticky(struct worker *w, struct entry *out)
{
    if (!weft__inject_empty(&w->inbox)) {
        struct runlist l = weft__inject_take(&w->inbox);
        for (struct runnable *r; (r = weft__runlist_pop(&l));) keep(w, r);
    }
    struct runnable *r = weft__runlist_pop(&w->sticky);
    if (!r) return false;
    *out = (struct entry){r, load_relaxed(&r->ticket)}; /* relaxed: the list, or the inbox, published it */
    return claimed(out);
}

static bool
take_inject(struct worker *w, struct entry *out)
{
    if (weft__inject_empty(&w->pool->inject)) return false;
    struct runlist l = weft__inject_take(&w->pool->inject);
    struct runnable *first = weft__runlist_pop(&l);
    if (!first) return false;
    *out = (struct entry){first, load_relaxed(&first->ticket)}; /* relaxed: the inject queue published it, as below */
    bool more = l.head;
    for (struct runnable *r; (r = weft__runlist_pop(&l));) enqueue(w, r, load_relaxed(&r->ticket));
    if (more) weft__idle_wake_one(w->pool);
    return claimed(out);
}

static bool
take_oldest(struct worker *w, struct entry *out)
{
    enum deque_result r;
    while ((r = weft__deque_steal(&w->deque, out)) != DEQUE_EMPTY) {
        if (r == DEQUE_ITEM && weft__task_claim(weft__container(out->item, weft_task, run), out->tag)) return true;
    }
    return false;
}

/* The other end first: what has waited longest where the usual order may never come. */
static bool
pick_turned(struct worker *w, struct entry *out, uint32_t turn)
{
    for (uint32_t k = 0; k < 4; k++) {
        switch ((turn + k) % 4) { /* each of them is the first in its turn */
        case 0:
            if (take_inject(w, out)) return true;
            break;
        case 1:
            if (take_sticky(w, out)) return true;
            break;
        case 2:
            if (take_fifo(w, out)) return true;
            break;
        default:
            if (take_oldest(w, out)) return true;
        }
    }
    return false;
}

/* What every few dispatches have to look at besides. */
static weft__noinline bool
pick_chores(struct worker *w, struct entry *out, uint32_t n)
{
    weft__watch_look(w);
    int64_t due = weft__timers_next();
    if (due != INT64_MAX && due <= weft__clock_now()) weft__timers_poll();
    /* relaxed: looked at again */
    if (load_relaxed(&weft__sched.state) == SCHED_CLOSING || weft__shutdown_due()) (void)weft__sched_progress();
    if (n % TURN != 0) return false;
    weft__reactor_poll();
    return pick_turned(w, out, n / TURN);
}

/* Where there is nothing in `next`, or it has had its turns. */
static inline __attribute__((always_inline)) bool
pick_queued(struct worker *w, struct entry *out, uint32_t n)
{
    w->handoffs = 0;
    if (weft__deque_size(&w->deque) && weft__deque_pop(&w->deque, out)) return claimed(out);
    bool sticky = w->sticky.head || !weft__inject_empty(&w->inbox), fifo = weft__deque_size(&w->fifo);
    if (sticky && (!fifo || n & 1) && take_sticky(w, out)) return true;
    if (fifo && take_fifo(w, out)) return true;
    return (sticky && take_sticky(w, out)) || take_inject(w, out) || take_next(w, out);
}

static inline __attribute__((always_inline)) bool
pick(struct worker *w, struct entry *out)
{
    uint32_t n = load_relaxed(&w->dispatches) + 1; /* relaxed: this worker's own; thieves take a hint from it */
    store_relaxed(&w->dispatches, n);
    if (n % CHORE_TURN == 0 && weft__unlikely(pick_chores(w, out, n))) return true;
    /* relaxed: the exchange decides */
    if (load_relaxed(&w->next) && weft__sched_handoff(w) && take_next(w, out)) return true;
    return pick_queued(w, out, n);
}

struct entry
weft__sched_pick(struct worker *w)
{
    struct entry e;
    return pick(w, &e) ? e : (struct entry){NULL, 0};
}

/* What remains to be done for the context that this worker has just left. */
static inline void
settle(struct worker *w)
{
    struct context *c = w->left;
    enum leaving leaving = w->leaving;
    w->leaving = LEFT_NOTHING;
    if (weft__likely(leaving == LEFT_PARKED)) {
        weft__count(w, COUNT_PARKED);
        weft__park_saved(c);
        return;
    }
    switch (leaving) {
    case LEFT_NOTHING:
    case LEFT_PARKED:
        break;
    case LEFT_YIELDED:
        if (c->home) keep(w, &c->run);
        else {
            enqueue(w, &c->run, 0);
            weft__idle_wake_one(w->pool);
        }
        break;
    case LEFT_ENDED:
        weft__place_free(&w->stacks, c);
        break;
    }
}

void
weft__place_arrived(struct context *c)
{
    settle(c->worker);
}

/* A new context for the task of e; NULL: there is no stack for it, and it has failed for that reason. */
static weft__noinline struct context *
new_target(struct worker *w, struct entry e)
{
    weft_task *t = weft__container(e.item, weft_task, run);
    struct context *c = weft__place_new(&w->stacks, t);
    if (weft__likely(c != NULL)) {
        weft__place_put(w, c, t);
        return c;
    }
    bool daemon = load_relaxed(&t->flags) & WEFT_DAEMON; /* relaxed: constant */
    if (w->context) w->context->leaving = true;
    struct scope *scope = weft__task_scope(t);
    if (t->fn == weft__both_second) or_acq_rel(&t->flags, TASK_HELPER); /* the fork of it had no time for that */
    weft__task_end_unrun(t, WEFT_ENOMEM);
    weft__scope_leave(scope, NULL);
    if (w->context) w->context->leaving = false;
    weft__sched_ended(w, daemon);
    return NULL;
}

/* The context to go on in for e; NULL: there is none. */
static inline struct context *
target(struct worker *w, struct entry e)
{
    return weft__likely(e.tag == 0) ? weft__container(e.item, struct context, run) : new_target(w, e);
}

bool
weft__sched_place(struct worker *w, struct entry *e)
{
    struct context *c = target(w, *e);
    if (c) *e = (struct entry){&c->run, 0};
    return c != NULL;
}

static inline struct machine_context *
enter(struct worker *w, struct context *to)
{
    if (!to) {
        w->context = NULL;
        return &w->base;
    }
    to->worker = w;
    to->budget = BUDGET;
    w->context = to;
    w->floor = weft__deque_index(&w->deque);
    return &to->machine;
}

static inline __attribute__((always_inline)) void
switch_from(struct context *c, enum leaving leaving, struct entry e)
{
    struct worker *w = c->worker;
    struct context *to = e.item ? target(w, e) : NULL;
    w->left = c;
    w->leaving = leaving;
    struct machine_context *machine = enter(w, to);
    if (weft__unlikely(c->fpenv)) weft__context_switch_fpenv(&c->machine, machine, leaving == LEFT_ENDED);
    else weft__context_switch(&c->machine, machine, leaving == LEFT_ENDED);
    settle(c->worker);
}

void
weft__sched_switch(struct context *c, enum leaving leaving, struct entry e)
{
    switch_from(c, leaving, e);
}

void
weft__suspend(struct context *c)
{
    struct entry e;
    if (weft__park_woken(&c->parker)) return;
    if (weft__watched()) weft__watch_leave(c);
    if (!pick(c->worker, &e)) e.item = NULL;
    switch_from(c, LEFT_PARKED, e);
}

void
weft__sched_run(struct worker *w, struct entry e)
{
    struct context *to = target(w, e);
    if (!to) return;
    weft__context_switch(&w->base, enter(w, to), false);
    settle(w);
}

weft__noinline void
weft__sched_exhausted(struct context *c)
{
    struct worker *w = c->worker;
    struct entry e;
    c->budget = BUDGET;
    if (c->leaving) return;
    weft__watch_look(w);
    if (weft__watched()) weft__watch_leave(c);
    if (weft__unlikely(weft__timers_next() <= weft__clock_now())) weft__timers_poll();
    weft__reactor_poll();
    uint32_t n = load_relaxed(&w->dispatches) + 1; /* relaxed: this worker's own */
    store_relaxed(&w->dispatches, n);
    if (pick_turned(w, &e, n) || take_next(w, &e)) weft__sched_switch(c, LEFT_YIELDED, e);
    if (weft__watched()) weft__watch_resume(c);
}

/* For a task that yields where nothing else is ready, again and again: it polls.  Its worker never comes to search, and what
 * is ready at the others may wait for one that computes, or has lost its core; so every TURN-th time it looks there. */
static weft__cold bool
steal_for_poller(struct worker *w, struct entry *out)
{
    bool again = false;
    if (w->alone || load_relaxed(&w->dispatches) % TURN != 0) return false; /* relaxed: this worker's own */
    return weft__steal(w, out, &again) || weft__steal_handoff(w, &w->polled, weft__clock_now(), out);
}

void
weft_yield(void)
{
    struct worker *w = weft__worker_fast();
    struct context *c = w ? w->context : NULL;
    struct entry e;
    if (weft__unlikely(!c || c->leaving)) return;
    if (weft__watched()) weft__watch_leave(c);
    if (weft__likely(pick(w, &e) || steal_for_poller(w, &e))) switch_from(c, LEFT_YIELDED, e);
    else if (weft__sched.oversubscribed) sched_yield(); /* another worker needs this core to get on */
    if (weft__watched()) weft__watch_resume(c);
}

weft__cold void
weft__sched_push_elsewhere(struct worker *w, weft_task *t, uint64_t tag)
{
    store_relaxed(&t->home, TASK_NOWHERE); /* relaxed: the queue publishes it */
    enqueue(w, &t->run, tag);
}

void
weft__sched_submit_to(struct worker *w, weft_task *t, struct worker *home)
{
    if (w == home) {
        keep(w, &t->run);
        return;
    }
    weft__inject_push(&home->inbox, &t->run);
    weft__idle_wake_worker(home);
}

void
weft__sched_submit(struct worker *w, weft_task *t)
{
    unsigned flags = load_relaxed(&t->flags); /* relaxed: constant bits */
    struct pool *p = &weft__sched.pools[POOL_DEFAULT];
    if ((flags & WEFT_INTERACTIVE) && weft__sched.pools[POOL_INTERACTIVE].count > 0)
        p = &weft__sched.pools[POOL_INTERACTIVE];
    if (flags & WEFT_STICKY) {
        bool here = w && (w->pool == p || !(flags & WEFT_INTERACTIVE)); /* on the worker of whoever made it, */
        uint32_t any = (uint32_t)load_relaxed(&weft__sched.made[0]) % (uint32_t)p->count; /* or on any */
        weft__sched_submit_to(w, t, here ? w : p->workers[any]);
    } else if (w && w->pool == p) {
        store_relaxed(&t->home, (int16_t)w->id); /* relaxed: the deque publishes it */
        weft__sched_push(w, t, weft__task_ticket(t));
    } else {
        weft__inject_push(&p->inject, &t->run);
        weft__idle_wake_one(p);
    }
}
