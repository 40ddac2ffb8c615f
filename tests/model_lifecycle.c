/*
 * model_lifecycle.c - every interleaving of tasks that end, threads that spawn, and a scheduler that stops.
 *
 * sources: lifecycle.c spawn.c worker.c inject.c park.c fence.c futex.c
 *
 * Tasks are descriptors in the inject queue; running one ends it.  Instead of idle.c there is what it promises: who wakes is
 * seen by who sleeps, or goes to sleep.  Nobody is woken but by that, so a worker that sleeps when all is over is a deadlock.
 *
 * Instances:
 *   last     two workers end the last two tasks when the scheduler has been told to stop: of two that look, one sees both
 *   root     the same, where one of the two is the root task: its end is what stops the scheduler, by way of CLOSING
 *   stop     a worker ends the last task while another thread stops the scheduler: one of them sees what the other did
 *   spawn    a plain thread spawns while a worker leaves: the task is run, or refused; and the worker, which is freed when
 *            it has left and nobody visits, is not touched after that                       M1-M3 against E1, E2
 *   leave    the same, where another worker has taken the step to LEAVING
 *   tasks    a task makes another and ends, on a worker, while another worker sums up: that may not find that all have ended
 */
#include "explore.h"

#include "scheduler.h"

#include "futex.h"
#include "waiter.h"

#include <weft/error.h>

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_END

#include "model_absent.h"
#include "model_scope.h"
#include "model_instance.h"

enum { WORKERS = 2, TASKS = 1 };

struct sched weft__sched;

static weft_task tasks[TASKS];
static _Atomic uint32_t ran[TASKS];
static pthread_t threads[WORKERS];

/* ---- What is around: a clock that stands still, no stacks ------------------------------------------------------------ */

int64_t
weft__clock_now(void)
{
    return 1;
}

weft_time
weft_now(void)
{
    return 1;
}

void
weft__stack_each(void (*visit)(struct stack *s, void *arg), void *arg)
{
    (void)visit;
    (void)arg;
}

/* What of spawn.c is not called. */

_Thread_local struct worker *weft__tls_worker;

struct worker *
weft__worker(void)
{
    return NULL;
}

weft_task *
weft__task_refill(struct task_cache *cache)
{
    (void)cache;
    return NULL;
}

void
weft_task_release(weft_task *t)
{
    (void)t;
}

int
weft__runtime_need(void)
{
    return 0;
}

void
weft__sched_push_elsewhere(struct worker *w, weft_task *t, uint64_t tag)
{
    (void)w, (void)t, (void)tag;
}

bool
weft__deque_make_room(struct deque *d, int64_t b)
{
    (void)d, (void)b;
    return false;
}

/* ---- Sleeping, as idle.c promises it: who looks after the wake sees what came before it ----------------------------- */

static _Atomic uint32_t wakes, sleeping;

/* After a fence. */
static void
wake(void)
{
    if (load_relaxed(&sleeping) == 0) return;
    add_acq_rel(&wakes, 1);
    weft__futex_wake(&wakes, WORKERS);
}

void
weft__idle_sleep(struct worker *w)
{
    uint32_t seen = add_acq_rel(&wakes, 0);
    add_acq_rel(&sleeping, 1);
    weft__fence_heavy();
    if (!weft__work_visible(w) && !weft__sched_stopping()) {
        explore_reached("a worker sleeps");
        weft__futex_wait(&wakes, seen, INT64_MAX);
        (void)add_acq_rel(&wakes, 0);
    }
    sub_acq_rel(&sleeping, 1);
}

void
weft__idle_wake_all(struct pool *p)
{
    if (p->count > 0) wake();
}

bool
weft__idle_search(struct worker *w)
{
    (void)w;
    return false;
}

void
weft__idle_found(struct worker *w)
{
    (void)w;
}

void
weft__idle_wake_slow(struct pool *p)
{
    (void)p;
    wake();
}

/* ---- One queue for all, as in scheduler.c and search.c -------------------------------------------------------------- */

static _Atomic(struct runnable *) own; /* a deque for one task: pushed to with release, and no more than that */

/* After the push, a plain thread looks at the workers, as the real one does. */
void
weft__sched_submit(struct worker *w, weft_task *t)
{
    struct pool *p = &weft__sched.pools[POOL_DEFAULT];
    if (w) {
        store_release(&own, &t->run);
        weft__fence_light();
    } else {
        weft__inject_push(&p->inject, &t->run);
        (void)load_relaxed(&p->workers[0]->asleep);
    }
    wake();
}

struct entry
weft__sched_pick(struct worker *w)
{
    struct runlist l;
    struct runnable *r;
    if (!w->sticky.head) {
        l = weft__inject_take(&w->pool->inject);
        while ((r = weft__runlist_pop(&l))) weft__runlist_append(&w->sticky, r);
    }
    r = weft__runlist_pop(&w->sticky);
    if (!r && load_relaxed(&own)) r = swap_acquire(&own, NULL);
    /* Nobody sleeps any more; but who has seen it, and looked whether it may leave, learns nothing until that changes. */
    if (!r && weft__sched_stopping() && w->handoffs++ > 0) weft__pause();
    return (struct entry){r, 0};
}

bool
weft__work_visible(struct worker *w)
{
    return !weft__inject_empty(&w->pool->inject) || load_relaxed(&own);
}

void
weft__sched_run(struct worker *w, struct entry e)
{
    weft_task *t = weft__container(e.item, weft_task, run);
    store_relaxed(&ran[t - tasks], load_relaxed(&ran[t - tasks]) + 1);
    weft__sched_ended(w, false);
}

/* ---- The threads ---------------------------------------------------------------------------------------------------- */

static void
prepare(int count, int running, enum sched_state state)
{
    struct pool *p = &weft__sched.pools[POOL_DEFAULT];
    weft__sched.oversubscribed = true; /* a search looks around once */
    weft__sched.workers = p->workers = calloc((size_t)count, sizeof *p->workers);
    weft__sched.count = p->count = count;
    p->idle.most_searching = (uint32_t)(count + 1) / 2;
    for (int k = 0; k < POOLS; k++) store_relaxed(&weft__sched.pools[k].idle.wakes_at, INT64_MAX);
    for (int k = 0; k < count; k++) {
        struct worker *w = p->workers[k] = aligned_alloc(WEFT_CACHE_LINE, weft__round_up(sizeof *w, WEFT_CACHE_LINE));
        memset(w, 0, sizeof *w);
        w->pool = p;
        w->id = w->place = k;
        w->alone = count == 1;
    }
    store_relaxed(&weft__sched.made[0], (uint64_t)running);
    store_relaxed(&weft__sched.state, (int)state);
    for (int k = 0; k < TASKS; k++) {
        weft__task_scope_set(&tasks[k], &weft__sched.root);
        weft__task_set_phase(&tasks[k], PHASE_NEW);
    }
}

static void
join_workers(void)
{
    for (int k = 0; k < weft__sched.count; k++) pthread_join(threads[k], NULL);
    assert(load_relaxed(&weft__sched.state) == SCHED_LEAVING);
}

static void *
work(void *arg)
{
    weft__worker_loop(arg);
    return NULL;
}

/* A worker whose task has just ended. */
static void *
end_and_work(void *arg)
{
    weft__sched_ended(arg, false);
    return work(arg);
}

/* The same; the task was the root: root_main of runtime.c. */
static void *
end_root_and_work(void *arg)
{
    store_seq_cst(&weft__sched.state, SCHED_CLOSING);
    return end_and_work(arg);
}

static void
start(int k, void *(*body)(void *))
{
    pthread_create(&threads[k], NULL, body, weft__sched.workers[k]);
}

/* weft_stop of runtime.c, up to the joining. */
static void
stop(void)
{
    store_seq_cst(&weft__sched.state, SCHED_CANCELLED);
    weft__sched_cancel_root();
    while (weft__sched_progress()) continue;
}

static void
run_last(bool root)
{
    prepare(2, 2, root ? SCHED_RUNNING : SCHED_CANCELLED);
    start(0, root ? end_root_and_work : end_and_work);
    start(1, end_and_work);
    join_workers();
}

static void
stop_at_the_end(void)
{
    prepare(1, 1, SCHED_RUNNING);
    start(0, end_and_work);
    stop();
    join_workers();
}

static int accepted; /* what the spawn returned */

static void *
spawn(void *arg)
{
    (void)arg;
    accepted = weft__spawn_submit(NULL, &tasks[0]);
    return NULL;
}

/* finish_locked of runtime.c. */
static void
free_workers(void)
{
    while (load_seq_cst(&weft__sched.visitors) != 0) sched_yield();
    for (int k = 0; k < weft__sched.count; k++) free(weft__sched.workers[k]);
    free(weft__sched.workers);
    weft__sched.workers = NULL;
    weft__sched.count = 0;
    memset(weft__sched.pools, 0, sizeof weft__sched.pools);
}

static void
spawn_late(void)
{
    pthread_t spawner;
    prepare(1, 0, SCHED_CANCELLED);
    pthread_create(&spawner, NULL, spawn, NULL);
    start(0, work);
    join_workers();
    free_workers();
    pthread_join(spawner, NULL);
    assert(accepted == 0 || accepted == WEFT_ESHUTDOWN);
    assert(load_relaxed(&ran[0]) == (accepted == 0));
    if (accepted == 0) explore_reached("a spawn is accepted");
    else explore_reached("a spawn is refused");
}

/* A worker that has seen that it may leave. */
static void *
leave(void *arg)
{
    while (!weft__sched_stopping()) weft__pause();
    return work(arg);
}

/* Another worker has taken the step. */
static void
leave_late(void)
{
    pthread_t spawner;
    prepare(1, 0, SCHED_CANCELLED);
    pthread_create(&spawner, NULL, spawn, NULL);
    start(0, leave);
    bool stepped = weft__sched_progress();
    if (!stepped) store_seq_cst(&weft__sched.state, SCHED_LEAVING); /* too early, which the worker has to bear */
    join_workers();
    pthread_join(spawner, NULL);
    assert(load_relaxed(&ran[0]) == (accepted == 0));
}

static void
last_two(void)
{
    run_last(false);
}

static void
last_with_root(void)
{
    run_last(true);
}

/* A worker whose task makes another, and ends. */
static void *
make_and_end(void *arg)
{
    int rc = weft__spawn_submit(arg, &tasks[0]);
    assert(rc == 0);
    weft__sched_ended(arg, false);
    return NULL;
}

/* Nobody runs the other task: nobody may find that all have ended. */
static void
tasks_make_tasks(void)
{
    prepare(2, 1, SCHED_CLOSING);
    start(0, make_and_end);
    bool stepped = weft__sched_progress();
    assert(!stepped);
    pthread_join(threads[0], NULL);
}

static const struct instance instances[] = {
    {"last", last_two, true},           {"root", last_with_root, true},
    {"stop", stop_at_the_end, true},    {"stop, asymmetric fences", stop_at_the_end, false},
    {"spawn", spawn_late, true},        {"leave", leave_late, true},
    {"tasks", tasks_make_tasks, false}, {NULL, NULL, false},
};
