/*
 * model_idle.c - every interleaving of workers that fall asleep with threads that have something for them.
 *
 * sources: idle.c worker.c search.c inject.c deque.c clock.c fence.c futex.c
 *
 * The model stands in for what is above and below them: it puts contexts into queues as scheduler.c does, takes them out
 * in the order of its pick, and running one marks it.  Nothing here wakes anybody but the protocol, so a task that stays
 * queued while its workers sleep is a deadlock.
 *
 * Instances ("computes": awake, and looks at no queue until all is over):
 *
 *   push      a worker; a plain thread pushes one task                                [idle], through inject.c's fence
 *   alone     the same where the pool has no other worker: S2 is an ordinary fence
 *   own       a worker pushes to its own deque and computes, another falls asleep     [idle], light against heavy
 *   inbox     a worker; a plain thread pushes to its inbox
 *   found     a searching worker finds something and computes; a plain thread pushes, and relies on it; another worker
 *             sleeps
 *   mixed     two workers that sleep; a plain thread pushes to the inbox of one, which then computes, and to the
 *             pool: a worker that is woken counts as searching, and whoever relies on that must not be let down
 *   leave     a worker, and the scheduler stops: it leaves, and the counts come out even
 */
#include "model_worker.h"

#include "deadlock.h"

#include "model_instance.h"

static _Atomic uint32_t ran[TASKS];    /* a futex word for each task */
static int partner[TASKS] = {0, 1, 2}; /* the task waits, running, until this one runs: does not, if that is itself */

/* ---- What is below: no timers --------------------------------------------------------------------------------------- */

int64_t
weft__timers_next(void)
{
    return INT64_MAX;
}

void
weft__timers_poll(void)
{
}

/* ---- What is above: queues as in scheduler.c, tasks that only mark that they run ------------------------------------ */

static void
await(int task)
{
    while (load_acquire(&ran[task]) == 0) weft__futex_wait(&ran[task], 0, INT64_MAX);
}

static void
run_task(struct worker *w, int task)
{
    (void)w;
    assert(load_relaxed(&ran[task]) == 0); /* nothing runs twice */
    store_release(&ran[task], 1);
    weft__futex_wake(&ran[task], WORKERS);
    await(partner[task]);
}

int64_t
weft__deadlock_look(struct deadlock_watch *d)
{
    (void)d;
    return INT64_MAX;
}

bool
weft__sched_progress(void)
{
    return false;
}

bool
weft__sched_leaving(void)
{
    return weft__sched_stopping();
}

/* ---- The threads ---------------------------------------------------------------------------------------------------- */

/* One worker, one task. */
static void
push_to(bool alone)
{
    make_workers(1, false);
    workers[0].alone = alone;
    start(0, work);
    push(0, ANYWHERE);
    await(0);
}

static void
push_one(void)
{
    push_to(false);
}

static void
push_alone(void)
{
    push_to(true);
}

/* This thread is worker 0, in a task that spawns and computes. */
static void
push_own(void)
{
    make_workers(2, true);
    start(1, work);
    weft__deque_push(&workers[0].deque, &tasks[0].run, 0);
    weft__idle_wake_one(workers[0].pool);
    await(0);
}

static void
push_inbox(void)
{
    make_workers(1, false);
    start(0, work);
    push(0, 0);
    await(0);
}

/* A worker that has looked everywhere, and that nothing interests any more once it has run something. */
static void *
sleep_and_run(void *arg)
{
    struct worker *w = arg;
    struct entry e;
    do {
        weft__idle_sleep(w);
        e = weft__sched_pick(w);
    } while (!e.item);
    weft__idle_found(w);
    weft__sched_run(w, e);
    return NULL;
}

/* A worker that searches, finds something, and computes. */
static void *
find(void *arg)
{
    struct worker *w = arg;
    if (!weft__idle_search(w)) return NULL; /* somebody else searches: it was woken */
    explore_reached("a searcher finds something");
    weft__idle_found(w);
    await(0);
    return NULL;
}

static void
push_while_finding(void)
{
    make_workers(2, false);
    start(1, sleep_and_run);
    settle();
    start(0, find);
    push(0, ANYWHERE);
    await(0);
}

/* The second task computes until the first runs. */
static void
push_mixed(void)
{
    make_workers(2, false);
    partner[1] = 0;
    start(0, sleep_and_run);
    settle();
    start(1, sleep_and_run);
    settle();
    push(1, 1);
    push(0, ANYWHERE);
    await(0);
}

static void
leave(void)
{
    struct idle *i = &weft__sched.pools[POOL_DEFAULT].idle;
    make_workers(1, false);
    start(0, work);
    store_seq_cst(&weft__sched.state, SCHED_LEAVING);
    weft__fence_heavy();
    weft__idle_wake_all(&weft__sched.pools[POOL_DEFAULT]);
    pthread_join(threads[0], NULL);
    assert(load_relaxed(&i->sleeping) == 0);
    assert(load_relaxed(&i->searching) == 0);
    assert(weft__list_empty(&i->sleepers));
    assert(!i->sentinel);
}

static const struct instance instances[] = {
    {"push", push_one, false},
    {"push, symmetric fences", push_one, true},
    {"alone", push_alone, true},
    {"own", push_own, false},
    {"own, symmetric fences", push_own, true},
    {"inbox", push_inbox, true},
    {"found", push_while_finding, true},
    {"mixed", push_mixed, true},
    {"leave", leave, true},
    {NULL, NULL, false},
};
