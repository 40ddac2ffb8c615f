/*
 * model_shutdown.c - every interleaving of weft_shutdown, which takes no lock, with workers that fall asleep, and with a stop.
 *
 * sources: shutdown.c idle.c deque.c inject.c clock.c fence.c futex.c
 *
 * What is marked is what cancel.c marks; the walk only notes what it sees of that.  A worker that sleeps while something is
 * due is a deadlock.
 *
 * Instances:
 *   alone    a worker falls asleep, a plain thread calls                                       [alarm]
 *   one      the same where the pool could have others: S2 is a heavy fence
 *   two      two workers that sleep: one of them walks
 *   twice    two calls, of which the second breaks shields, and a worker that sleeps: the last walk sees both
 *   at once  two calls at the same time, and a worker that is awake: likewise
 *   walkers  one call, then another, beside two workers that are awake: nothing is walked for twice
 *   stop     a call while the workers go away: it touches none after that
 */
#include "model_worker.h"

#include "shutdown.h"
#include "waiter.h"

#include <weft/debug.h>
#include <weft/error.h>
#include <weft/runtime.h>

#include "model_instance.h"

_Atomic uint64_t weft__cancel_epoch = 1;
_Atomic bool weft__shields_broken;

static _Atomic uint32_t walks; /* a futex word: how often it was walked */
static _Atomic bool saw_break; /* so did a walk */

/* ---- What is around -------------------------------------------------------------------------------------------------- */

bool
weft__work_visible(struct worker *w)
{
    (void)w;
    return false;
}

bool
weft__forked(void)
{
    return false;
}

static void
run_task(struct worker *w, int task)
{
    (void)w, (void)task;
}

/* As in cancel.c. */
bool
weft__scope_mark(struct scope *s, int reason, bool late)
{
    int64_t none = 0;
    (void)reason, (void)late;
    if (!cas_acq_rel(&s->cancelled, &none, 1)) return false;
    add_seq_cst(&weft__cancel_epoch, 1);
    return true;
}

void
weft__sched_sweep(void)
{
    bool marked = load_relaxed(&weft__sched.root.cancelled);
    assert(marked);
    if (load_relaxed(&weft__shields_broken)) store_relaxed(&saw_break, true);
    add_acq_rel(&walks, 1);
    weft__futex_wake(&walks, WORKERS);
}

/* ---- The threads ----------------------------------------------------------------------------------------------------- */

/* D1, and sleep: until everything of so many calls has been walked for. */
static void *
sleep_and_walk(void *arg)
{
    struct worker *w = arg;
    while (load_acquire(&weft__sched.delivered) == 0) {
        if (!weft__shutdown_deliver()) weft__idle_sleep(w);
    }
    return NULL;
}

static void *
walk_twice(void *arg)
{
    struct worker *w = arg;
    while (load_acquire(&weft__sched.delivered) < 2) {
        if (weft__shutdown_deliver()) continue;
        explore_reached("a worker sleeps");
        weft__idle_sleep(w);
    }
    assert(load_relaxed(&saw_break));
    return NULL;
}

static void
await_walk(void)
{
    while (load_acquire(&walks) == 0) weft__futex_wait(&walks, 0, INT64_MAX);
}

static void
call_one(int count, bool alone)
{
    make_workers(count, false);
    for (int k = 0; k < count; k++) {
        workers[k].alone = alone;
        start(k, sleep_and_walk);
        if (count > 1) settle(); /* or they are too many executions */
    }
    int n = weft_shutdown();
    assert(n == 1);
    await_walk();
}

static void
shutdown_alone(void)
{
    call_one(1, true);
}

static void
shutdown_one(void)
{
    call_one(1, false);
}

static void
shutdown_two(void)
{
    call_one(2, false);
}

static void *
call(void *arg)
{
    int n = weft_shutdown();
    assert(n == 1 || n == 2);
    return arg;
}

/* One after the other: the second may come as the worker takes back what the first has left in its word. */
static void
call_twice(void)
{
    make_workers(1, false);
    workers[0].alone = true;
    start(0, walk_twice);
    call(NULL);
    call(NULL);
    pthread_join(threads[0], NULL);
}

/* As a worker that is awake. */
static void *
walk_awake(void *arg)
{
    if (weft__shutdown_deliver()) explore_reached("a call is walked for, with or without the other");
    return arg;
}

/* The second call, while others are on their way; no worker sleeps: that is another instance. */
static void
call_beside(void *(*a)(void *), void *(*b)(void *))
{
    pthread_t others[2];
    make_workers(1, false);
    weft__sched.count = 0;
    if (a != call) call(NULL);
    pthread_create(&others[0], NULL, a, NULL);
    pthread_create(&others[1], NULL, b, NULL);
    call(NULL);
    for (int k = 0; k < 2; k++) pthread_join(others[k], NULL);
    assert(load_relaxed(&weft__sched.delivered) <= 2);
    while (weft__shutdown_deliver()) continue;
    assert(load_relaxed(&saw_break));
    assert(load_relaxed(&weft__sched.delivered) == 2);
    assert(load_relaxed(&walks) <= 2); /* no walk twice */
}

static void
call_at_once(void)
{
    call_beside(call, walk_awake);
}

static void
walk_at_once(void)
{
    call_beside(walk_awake, walk_awake);
}

static void *
call_late(void *arg)
{
    int n = weft_shutdown();
    assert(n == 1 || n == WEFT_ENOENT);
    if (n == 1) explore_reached("the call comes in time");
    else explore_reached("the call comes too late");
    return arg;
}

/* finish_locked of runtime.c, with workers that have left. */
static void
call_while_stopping(void)
{
    pthread_t caller;
    make_workers(1, false);
    struct worker *w = weft__sched.workers[0] = malloc(sizeof *w);
    memset(w, 0, sizeof *w);
    store_seq_cst(&weft__sched.state, SCHED_CANCELLED);
    pthread_create(&caller, NULL, call_late, NULL);
    store_seq_cst(&weft__sched.state, SCHED_LEAVING);
    while (load_seq_cst(&weft__sched.visitors) != 0) sched_yield();
    while (weft__shutdown_deliver()) continue;
    free(w);
    weft__sched.workers = NULL;
    weft__sched.count = 0;
    store_release(&weft__sched.state, SCHED_STOPPED);
    bool due = weft__shutdown_due();
    assert(!due);
    pthread_join(caller, NULL);
}

static const struct instance instances[] = {
    {"alone", shutdown_alone, true}, {"one", shutdown_one, false},        {"one, symmetric fences", shutdown_one, true},
    {"two", shutdown_two, false},    {"twice", call_twice, true},         {"at once", call_at_once, true},
    {"walkers", walk_at_once, true}, {"stop", call_while_stopping, true}, {NULL, NULL, false},
};
