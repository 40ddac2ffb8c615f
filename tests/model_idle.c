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
#define MODEL_THIEVES
#define MODEL_END

#include "model_worker.h"

#include "model_instance.h"

static int partner[TASKS] = {0, 1, 2}; /* the task waits, running, until this one runs: does not, if that is itself */

/* ---- What is above: queues as in scheduler.c, tasks that only mark that they run ------------------------------------ */

static void
run_task(struct worker *w, int task)
{
    (void)w;
    mark(task);
    await(&ran[partner[task]]);
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
    await(&ran[0]);
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
    await(&ran[0]);
}

static void
push_inbox(void)
{
    make_workers(1, false);
    start(0, work);
    push(0, 0);
    await(&ran[0]);
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
    await(&ran[0]);
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
    await(&ran[0]);
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
    await(&ran[0]);
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
