/* worker.h - a worker, and the pools that workers form.  [layer 4] */
#ifndef WEFT_SRC_WORKER_H
#define WEFT_SRC_WORKER_H

#include "deque.h"
#include "fence.h"
#include "inject.h"
#include "list.h"
#include "park.h"
#include "rng.h"
#include "stack.h"
#include "task.h"
#include "tls.h"

#include <pthread.h>

/* What the context that was just left needs from its successor (scheduler.c). */
enum leaving { LEFT_NOTHING, LEFT_PARKED, LEFT_YIELDED, LEFT_ENDED };

/* What a worker counts besides tasks: on paths that cost more than a few nanoseconds anyway (stats.c). */
enum count {
    COUNT_STARTED, /* tasks on a stack of their own */
    COUNT_PARKED,  /* switches away from a context that waits */
    COUNT_STOLEN,
    COUNT_SEARCHES,
    COUNT_SLEEPS,
    COUNT_IDLE_NS, /* asleep */
    COUNT_WORK,    /* in ticks of span.c, while that counts */
    COUNTS
};

/* What a searcher, or a worker whose only task polls, remembers of the hand-offs that it has seen. */
struct handoff_watch {
    const struct context *next;
    uint32_t dispatches;
    int victim;
    int64_t since;
};

struct worker {
    /* The worker's own. */
    struct context *context; /* the one that runs; NULL: the worker's own stack does */
    struct context *left;    /* the one that was just switched away from, */
    enum leaving leaving;    /* and why */
    bool searching;          /* counted in its pool's idle.searching */
    bool alone;              /* there is no other worker that could steal */
    bool ordinary;           /* of the default pool, */
    bool quick;              /* and nothing watches */
    uint32_t handoffs;       /* contexts taken from `next` in a row */
    uint32_t floor;          /* entries of the deque from here on were pushed since context was switched to */
    struct task_cache tasks;
    struct stack_cache stacks;
    struct runlist sticky;       /* ready here, and nowhere else: FIFO */
    struct machine_context base; /* the worker's own stack: search and sleep */
    struct pool *pool;
    struct rng rng;
    struct handoff_watch polled; /* hand-offs that a task saw which polls here */
    int id;                      /* weft_worker */
    int place;                   /* index in the pool */
    int *victims;                /* the other workers of the pool, nearest first, */
    int *rings;                  /* and where each ring of equal distance ends; 0-terminated */
    int64_t away;                /* while counting: nanoseconds for which its thread was on no core (span.c) */
    struct track *track;         /* trace.c */
    pthread_t thread;

    /* The worker writes, others read. */
    weft__aligned(WEFT_CACHE_LINE) _Atomic uint32_t dispatches;
    _Atomic uint64_t made[2];  /* tasks scheduled and tasks ended by this worker: */
    _Atomic uint64_t ended[2]; /* [0] ordinary, [1] daemons */
    _Atomic uint64_t counts[COUNTS];
    _Atomic int64_t asleep_since; /* 0: it is awake */

    /* Others write. */
    weft__aligned(WEFT_CACHE_LINE) _Atomic(struct context *) next; /* woken by the running task: the hand-off */
    struct inject inbox;                                           /* for this worker only */
    struct deque deque;                                            /* tasks that have not started: LIFO */
    struct deque fifo;                                             /* contexts, and tasks from outside: FIFO */

    /* idle.c; under the pool's idle.lock. */
    weft__aligned(WEFT_CACHE_LINE) struct list_node sleeper;
    _Atomic uint32_t futex;
    _Atomic bool asleep;
    _Atomic(const struct context *) seen_next; /* what the sentinel saw in `next`, */
    _Atomic uint32_t seen_dispatches;          /* and when */
};

/* How workers go to sleep, and how new work wakes one: idle.c. */
struct idle {
    weft__aligned(WEFT_CACHE_LINE) _Atomic uint32_t sleeping;
    _Atomic uint32_t searching;
    _Atomic uint32_t handoff; /* something was put in a `next` since the sentinel looked; no byte: it is exchanged */
    _Atomic bool shallow;     /* the sentinel sleeps for a millisecond at most */
    _Atomic int64_t wakes_at; /* when the sentinel will look at the timers again */
    uint32_t most_searching;
    weft__lock lock;
    struct list sleepers;    /* under lock, as the next */
    struct worker *sentinel; /* the sleeper that looks after timers and hand-offs */
};

/* Workers that share their work. */
struct pool {
    struct idle idle;
    weft__aligned(WEFT_CACHE_LINE) struct inject inject; /* from plain threads and from other pools */
    struct worker **workers;
    int count;
};

static inline void
weft__count(struct worker *w, enum count which)
{
    bump(&w->counts[which], 1);
}

/* idle.c */

void weft__idle_wake_slow(struct pool *p);

/* After a push that any worker of the pool may take: need nobody be woken? */
static inline bool
weft__idle_quiet(const struct pool *p)
{
    weft__fence_light(); /* P2: pairs with S2 [idle] */
    /* P3: relaxed, the fence orders them */
    return weft__likely(load_relaxed(&p->idle.sleeping) == 0 || load_relaxed(&p->idle.searching) != 0);
}

/* The same, and wakes one if need be. */
static inline void
weft__idle_wake_one(struct pool *p)
{
    if (weft__unlikely(!weft__idle_quiet(p))) weft__idle_wake_slow(p);
}

/* After a push to w's inbox. */
void weft__idle_wake_worker(struct worker *w);

/* After a context was put in `next`. */
void weft__idle_handoff(struct pool *p);

void weft__idle_wake_all(struct pool *p);

/* w looks again before it sleeps on: from a signal handler, too. */
void weft__idle_alarm(struct worker *w);

/* w begins to search, if not too many do. */
bool weft__idle_search(struct worker *w);

/* w has found something; it wakes another if there is more. */
void weft__idle_found(struct worker *w);

/* Sleeps until there may be something to do.  Returns with w searching. */
void weft__idle_sleep(struct worker *w);

/* Who waits for a descriptor needs somebody who polls: has one of those who sleep, in any pool, look again. */
void weft__idle_summon(void);

/* reactor.c */

/* Does anybody wait for a descriptor, while no sleeper polls? */
bool weft__reactor_unwatched(void);

enum reactor_sleep {
    REACTOR_NOT,   /* nobody waits for a descriptor, or another sleeper polls: it has not slept */
    REACTOR_SLEPT, /* it was woken, or kicked, or it is deadline */
    REACTOR_EVENT  /* there is something to be polled */
};

/* Instead of the wait on its futex: w, which sleeps, polls, if anybody waits for a descriptor. */
enum reactor_sleep weft__reactor_sleep(struct worker *w, int64_t deadline);

/* After w's futex word was written: wakes it if it polls. */
void weft__reactor_alarm(const struct worker *w);

/* search.c */

/* Steals from the other workers of the pool: a claimed task or a context.  *again: somebody else was faster, so that
 * nothing found does not mean that there is nothing. */
bool weft__steal(struct worker *w, struct entry *out, bool *again);

/* Is there anything in the pool that w could run? */
bool weft__work_visible(struct worker *w);

/* Takes a context from another worker's `next` where its owner has not dispatched anything for a while. */
bool weft__steal_handoff(struct worker *w, struct handoff_watch *watch, int64_t now, struct entry *out);

#endif
