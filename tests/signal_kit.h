/* signal_kit.h - what the tests of events, semaphores, barriers and onces share: calls that are made by a task or a thread of
 * their own, in an order that is known.
 *
 * In a WORKER_TEST the callers share the body's worker: once the body sees that one has come to its call, the call has
 * parked or returned. */
#ifndef WEFT_TESTS_SIGNAL_KIT_H
#define WEFT_TESTS_SIGNAL_KIT_H

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "task_kit.h"

/* A call that may park. */
struct caller {
    int (*call)(struct caller *me);
    void *object;
    size_t n; /* permits */
    weft_time deadline;
    struct journal *journal; /* NULL: not noted */
    char name;               /* noted when the call has succeeded */
    int rc;
    _Atomic int step; /* 1: about to call; 2: back */
    weft_task *task;
    pthread_t thread;
};

static inline int
call_body(void *arg)
{
    struct caller *c = arg;
    atomic_store(&c->step, 1);
    c->rc = c->call(c);
    if (c->rc >= 0 && c->journal) note(c->journal, c->name);
    atomic_store(&c->step, 2);
    return 0;
}

static inline void *
call_on_thread(void *arg)
{
    call_body(arg);
    return NULL;
}

/* Starts a caller on the worker of the body of a WORKER_TEST, and returns when its call has parked or returned. */
static inline void
begin_call(struct caller *c)
{
    c->rc = INT_MIN;
    atomic_store(&c->step, 0);
    c->task = asynced(call_body, c);
    until(&c->step, 1);
}

static inline bool
parked(struct caller *c)
{
    return atomic_load(&c->step) == 1;
}

/* Waits until the call has returned: its code. */
static inline int
end_call(struct caller *c)
{
    CHECK_INT(weft_join(c->task), 0);
    return c->rc;
}

/* The same on a plain thread; begin_thread returns when the thread is about to make its call. */
static inline void
begin_thread(struct caller *c)
{
    c->rc = INT_MIN;
    atomic_store(&c->step, 0);
    if (!CHECK_INT(pthread_create(&c->thread, NULL, call_on_thread, c), 0)) abort();
    until(&c->step, 1);
}

static inline int
end_thread(struct caller *c)
{
    until(&c->step, 2); /* a join would keep the worker */
    CHECK_INT(pthread_join(c->thread, NULL), 0);
    return c->rc;
}

/* Gives the callers of a WORKER_TEST turns enough to go on, if they can. */
static inline void
give_turns(void)
{
    for (int i = 0; i < 3; i++) weft_yield();
}

/* A task that parks in a call from which nothing can wake it, in a child of its own: does the report name the reason? */
static weft_fn *stuck_fn;

static inline void
run_stuck(void)
{
    setenv("WEFT_DEADLOCK", "abort", 1);
    (void)weft_run(NULL, stuck_fn, NULL);
}

/* Where /proc does not say how many threads there are, nothing is reported. */
static inline bool
threads_are_counted(void)
{
    char text[512] = "", *at;
    FILE *f = fopen("/proc/self/stat", "re");
    if (!f) return false;
    if (!fgets(text, sizeof text, f)) text[0] = '\0';
    fclose(f);
    at = strrchr(text, ')');
    for (int field = 2; at && field < 20; field++) at = strchr(at + 1, ' ');
    return at && atoi(at) > 0;
}

static inline bool
reported_stuck(weft_fn *fn, const char *text)
{
    stuck_fn = fn;
    return !threads_are_counted() || test_dies(run_stuck, text);
}

#endif
