/* model_context.h - contexts, for models of what is below the scheduler: each is a thread, that does what its successor
 * would do where it is switched away from, and waits to be made ready. */
#ifndef WEFT_TESTS_MODEL_CONTEXT_H
#define WEFT_TESTS_MODEL_CONTEXT_H

#include "explore.h"

#include "futex.h"
#include "scheduler.h"
#include "waiter.h"

#include <assert.h>

enum { MODEL_CONTEXTS = 2 };

struct sched weft__sched;

static struct context contexts[MODEL_CONTEXTS];
static weft_task model_tasks[MODEL_CONTEXTS]; /* on top of each */
static _Atomic uint32_t model_ready[MODEL_CONTEXTS];

void
weft__ready(struct context *c, bool crowd)
{
    _Atomic uint32_t *ready = &model_ready[c - contexts];
    (void)crowd;
    assert(load_relaxed(ready) == 0); /* once for each time it was switched away from */
    store_release(ready, 1);
    weft__futex_wake(ready, 1);
}

void
weft__suspend(struct context *c)
{
    _Atomic uint32_t *ready = &model_ready[c - contexts];
    if (weft__park_woken(&c->parker)) return;
    explore_reached("a context is switched away from");
    weft__park_saved(c);
    while (load_acquire(ready) == 0) weft__futex_wait(ready, 0, INT64_MAX);
    store_relaxed(ready, 0);
}

/* Each with a task that runs, a member of scope. */
static inline void
model_contexts(struct scope *scope)
{
    for (int k = 0; k < MODEL_CONTEXTS; k++) {
        contexts[k].task = &model_tasks[k];
        contexts[k].parker.context = &contexts[k];
        store_relaxed(&model_tasks[k].run.ticket, PHASE_GENERATION | PHASE_RUNNING); /* relaxed: before the threads */
        weft__task_scope_set(&model_tasks[k], scope);
        weft__task_found(&model_tasks[k], &contexts[k]);
    }
}

#endif
