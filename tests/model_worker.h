/* model_worker.h - workers and queues for models of the scheduler: built by hand, over the real worker.c and below.
 *
 * A task is a context of tasks[]; running it calls run_task of the model, on the worker's own stack. */
#ifndef WEFT_TESTS_MODEL_WORKER_H
#define WEFT_TESTS_MODEL_WORKER_H

#include "explore.h"

#include "scheduler.h"

#include "clock.h"
#include "futex.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "model_absent.h"

enum { WORKERS = 3, TASKS = 3, ANYWHERE = -1 };

struct sched weft__sched;

static struct worker workers[WORKERS], *by_id[WORKERS];
static int victims[WORKERS][WORKERS], rings[WORKERS][2];
static pthread_t threads[WORKERS];
static struct context tasks[TASKS];
static _Atomic uint32_t ran[TASKS]; /* a futex word for each task: it has begun */

/* The model's. */
static void run_task(struct worker *w, int task);

static inline void
await(_Atomic uint32_t *word)
{
    while (load_acquire(word) == 0) weft__futex_wait(word, 0, INT64_MAX);
}

/* For run_task. */
static inline void
mark(int task)
{
    assert(load_relaxed(&ran[task]) == 0); /* nothing runs twice */
    store_release(&ran[task], 1);
    weft__futex_wake(&ran[task], WORKERS);
}

int64_t
weft__stack_trim_next(void)
{
    return INT64_MAX;
}

bool
weft__stack_trim(void)
{
    return false;
}

void
weft__stack_cache_flush(struct stack_cache *cache)
{
    (void)cache;
}

/* In an order of scheduler.c, without what it does for fairness. */
struct entry
weft__sched_pick(struct worker *w)
{
    struct entry e = {NULL, 0};
    struct runlist l;
    struct runnable *r;
    store_relaxed(&w->dispatches, load_relaxed(&w->dispatches) + 1);
    if (load_relaxed(&w->next)) {
        struct context *c = swap_acquire(&w->next, NULL);
        if (c) return (struct entry){&c->run, 0};
    }
    if (weft__deque_pop(&w->deque, &e)) return e;
    l = weft__inject_take(&w->inbox);
    while ((r = weft__runlist_pop(&l))) weft__runlist_append(&w->sticky, r);
    if ((e.item = weft__runlist_pop(&w->sticky))) return e;
    if (weft__deque_take(&w->fifo, &e)) return e;
    l = weft__inject_take(&w->pool->inject);
    e.item = weft__runlist_pop(&l);
    bool more = l.head;
    while ((r = weft__runlist_pop(&l))) weft__deque_push(&w->fifo, r, 0);
    if (more) weft__idle_wake_one(w->pool);
    return e;
}

void
weft__sched_run(struct worker *w, struct entry e)
{
    struct context *c = weft__container(e.item, struct context, run);
    assert(!w->searching);
    assert(!c->home || c->home == w);
    run_task(w, (int)(c - tasks));
}

/* As ready_elsewhere of scheduler.c. */
static inline void
push(int task, int home)
{
    struct context *c = &tasks[task];
    struct pool *p = &weft__sched.pools[POOL_DEFAULT];
    if (home == ANYWHERE) {
        weft__inject_push(&p->inject, &c->run);
        weft__idle_wake_one(p);
    } else {
        c->home = &workers[home];
        weft__inject_push(&c->home->inbox, &c->run);
        weft__idle_wake_worker(c->home);
    }
}

/* count workers in one pool.  stealing: there is something in their deques. */
static inline void
make_workers(int count, bool stealing)
{
    struct pool *p = &weft__sched.pools[POOL_DEFAULT];
    weft__sched.oversubscribed = true; /* a search looks around once */
    weft__sched.workers = p->workers = by_id;
    weft__sched.count = p->count = count;
    p->idle.most_searching = (uint32_t)(count + 1) / 2;
    for (int k = 0; k < POOLS; k++) store_relaxed(&weft__sched.pools[k].idle.wakes_at, INT64_MAX);
    for (int k = 0; k < count; k++) {
        struct worker *w = by_id[k] = &workers[k];
        w->pool = p;
        w->id = w->place = k;
        w->alone = count == 1;
        w->victims = victims[k];
        w->rings = rings[k];
        rings[k][0] = stealing ? count - 1 : 0;
        for (int v = 0, n = 0; v < count; v++) {
            if (v != k) victims[k][n++] = v;
        }
        weft__deque_init(&w->deque, w->alone);
        weft__deque_init(&w->fifo, w->alone);
    }
    store_seq_cst(&weft__sched.state, SCHED_RUNNING);
}

static inline void *
work(void *arg)
{
    weft__worker_loop(arg);
    return NULL;
}

/* A worker that has looked everywhere. */
static inline void *
sleep_and_work(void *arg)
{
    weft__idle_sleep(arg);
    return work(arg);
}

static inline void
start(int worker, void *(*body)(void *))
{
    pthread_create(&threads[worker], NULL, body, &workers[worker]);
}

/* Waits until everybody else sleeps: no time passes before.  So what came before is not explored. */
static inline void
settle(void)
{
    static _Atomic uint32_t never;
    weft__futex_wait(&never, 0, weft__clock_now() + 1);
}

#endif
