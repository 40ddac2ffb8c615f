/* model_wait.h - waiting, for models of objects: every thread of the model is a plain thread, over the real park.c.
 *
 * As in waiter.c, without the list of blocked threads, which no object has to do with. */
#ifndef WEFT_TESTS_MODEL_WAIT_H
#define WEFT_TESTS_MODEL_WAIT_H

#include "explore.h"

#include "waiter.h"

#include <weft/error.h>
#include <weft/timer.h>

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct worker *
weft__worker(void)
{
    return NULL;
}

bool
weft__thread_cancelled(void)
{
    return false;
}

void
weft__wait_begin(struct wait *w, struct context *c, const char *reason, bool cancellable)
{
    assert(!c);
    w->parker = &w->thread;
    w->thread.context = NULL;
    store_relaxed(&w->thread.word, 0);
    store_relaxed(&w->thread.futex, 0);
    w->ticket = weft__park_arm(w->parker, reason, cancellable);
}

int
weft__wait_park(struct wait *w, weft_time deadline)
{
    if (weft__park_thread(w->parker, w->ticket, deadline)) return w->parker->code;
    w->parker->index = PARK_INTERRUPTED;
    return WEFT_ETIMEDOUT;
}

void
weft__waiter_wake_all(struct list *list)
{
    struct list_node *n;
    while ((n = weft__list_pop(list))) {
        struct waiter *r = weft__container(n, struct waiter, node);
        weft__waiter_wake(r, r->code, false);
    }
}

enum { THREADS_MOST = 4 };

/* A model's scenario: what is set up, the threads, and what must hold when they have ended. */
struct scenario {
    const char *title;
    void (*begin)(void);
    void *(*threads[THREADS_MOST])(void *);
    void (*end)(void);
};

static const struct scenario scenarios[];

const char *
explore_title(int index)
{
    return scenarios[index].title;
}

int
main(void)
{
    const struct scenario *s = &scenarios[explore_case];
    pthread_t threads[THREADS_MOST];
    s->begin();
    for (int k = 0; k < THREADS_MOST && s->threads[k]; k++) pthread_create(&threads[k], NULL, s->threads[k], NULL);
    for (int k = 0; k < THREADS_MOST && s->threads[k]; k++) pthread_join(threads[k], NULL);
    if (s->end) s->end();
    return 0;
}

#endif
