/* lock_kit.h - for the tests of mutexes, conditions and rwlocks: tasks and threads that come to a call and say so.
 *
 * The body of a WORKER_TEST stays on its worker, and so do the actors that it begins with actor(): once it sees that one has
 * come to its call, the call has parked or returned. */
#ifndef WEFT_TESTS_LOCK_KIT_H
#define WEFT_TESTS_LOCK_KIT_H

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "task_kit.h"

struct actor {
    int (*call)(struct actor *a); /* what it does, */
    void *object, *other;         /* and with what */
    weft_time deadline;
    void *value;
    int rc;
    struct journal *journal; /* where it notes its name when it is back; or NULL */
    char name;
    _Atomic int step; /* 1: it comes to its call; 2: it is back */
    weft_task *task;
    pthread_t thread;
};

static inline int
act(void *arg)
{
    struct actor *a = arg;
    atomic_store(&a->step, 1);
    a->rc = a->call(a);
    atomic_store(&a->step, 2);
    return 0;
}

static inline void *
act_on_thread(void *arg)
{
    act(arg);
    return NULL;
}

static inline void
noted(struct actor *a)
{
    if (a->journal) note(a->journal, a->name);
}

/* Begins *a on this worker; returns when it has parked in its call, or is back. */
static inline void
begin(struct actor *a)
{
    a->rc = INT_MIN;
    a->task = asynced(act, a);
    until(&a->step, 1);
}

static inline void
begin_thread(struct actor *a)
{
    a->rc = INT_MIN;
    CHECK_INT(pthread_create(&a->thread, NULL, act_on_thread, a), 0);
    until(&a->step, 1);
}

static inline bool
is_back(struct actor *a)
{
    return atomic_load(&a->step) == 2;
}

/* Waits until it is back, and returns what its call did. */
static inline int
finish(struct actor *a)
{
    CHECK_INT(weft_join(a->task), 0);
    return a->rc;
}

/* The same, from a task, whose worker must not be blocked by the join of a thread that needs it. */
static inline int
finish_thread(struct actor *a)
{
    until(&a->step, 2);
    CHECK_INT(pthread_join(a->thread, NULL), 0);
    return a->rc;
}

static inline void
give_turns(int n)
{
    while (n-- > 0) weft_yield();
}

/* Runs body as a daemon of a runtime that ends, and so cancels it, once it has come to its call. */
struct doomed {
    weft_fn *body;
    void *arg;
    _Atomic int *come;
};

static inline int
leave_doomed(void *arg)
{
    struct doomed *d = arg;
    weft_task_options opt = {.size = sizeof opt, .flags = WEFT_DAEMON};
    CHECK_INT(weft_spawn_with(NULL, d->body, d->arg, &opt), 0);
    until(d->come, 1);
    return 0;
}

static inline void
run_doomed(weft_fn *body, void *arg, _Atomic int *come)
{
    struct doomed d = {body, arg, come};
    CHECK_INT(run_on(0, leave_doomed, &d), 0);
}

#endif
