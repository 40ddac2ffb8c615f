/*
 * model_cancel.c - every interleaving of a task that begins to wait with a cancellation, and with what it waits for.
 *
 * sources: waiter.c park.c lifecycle.c fence.c futex.c
 *
 * The object is a semaphore, as small as one can be.  A context is a thread: where it would be switched away from, it
 * does what its successor does, and waits to be made ready.
 *
 * Instances:
 *   cancel   a task waits for what never comes, and is cancelled: the walk finds it parked, or it finds the flag  [cancel]
 *   grant    two wait for one permit; the first is cancelled as the permit comes: one of them gets it, and only one
 */
#include "model_context.h"

#include <weft/error.h>

#include <pthread.h>

#include "model_scope.h"
#include "model_instance.h"

static struct {
    weft__lock lock;
    int permits;
    struct list waiters;
} semaphore;

static struct stack stacks[MODEL_CONTEXTS];

/* ---- What is around ------------------------------------------------------------------------------------------------- */

void
weft__stack_each(void (*visit)(struct stack *s, void *arg), void *arg)
{
    for (int k = 0; k < MODEL_CONTEXTS; k++) visit(&stacks[k], arg);
}

bool
weft__forked(void)
{
    return false;
}

weft_time
weft_now(void)
{
    return 1;
}

void
weft__timer_add(struct timer *t, int64_t when, struct parker *p, uint64_t ticket)
{
    (void)t, (void)when, (void)p, (void)ticket;
    assert(!"no deadlines here");
}

void
weft__timer_del(struct timer *t)
{
    (void)t;
}

void
weft__idle_wake_all(struct pool *p)
{
    (void)p;
}

/* ---- A semaphore ---------------------------------------------------------------------------------------------------- */

static int
acquire(int task, bool cancellable)
{
    struct context *c = &contexts[task];
    struct wait wait;
    struct waiter waiter;
    if (cancellable && weft__cancelled(c)) return WEFT_ECANCELED;
    weft__acquire(&semaphore.lock);
    if (semaphore.permits > 0) {
        semaphore.permits--;
        weft__unlock(&semaphore.lock);
        return 0;
    }
    weft__wait_begin(&wait, c, "model", cancellable);
    weft__wait_register(&wait, &waiter, &semaphore.waiters, 0, NULL);
    weft__unlock(&semaphore.lock);
    int rc = weft__wait_park(&wait, WEFT_FOREVER);
    if (!weft__wait_interrupted(&wait)) {
        assert(rc == 0);
        return 0;
    }
    explore_reached("a wait is interrupted");
    assert(rc == WEFT_ECANCELED);
    weft__acquire(&semaphore.lock);
    weft__wait_withdraw(&waiter, &semaphore.waiters);
    weft__unlock(&semaphore.lock);
    return rc;
}

static void
release(void)
{
    weft__acquire(&semaphore.lock);
    struct waiter *w = weft__waiter_claim_first(&semaphore.waiters);
    if (!w) semaphore.permits++;
    weft__unlock(&semaphore.lock);
    if (w) weft__waiter_wake(w, 0, false);
}

static struct waiter registered[2];
static int first_code;

/* ---- The threads ---------------------------------------------------------------------------------------------------- */

static void *
wait_in_vain(void *arg)
{
    (void)arg;
    assert(acquire(0, true) == WEFT_ECANCELED);
    return NULL;
}

/* As acquire, from the park on. */
static void *
park(void *arg)
{
    struct wait *wait = arg;
    first_code = weft__wait_park(wait, WEFT_FOREVER);
    if (weft__wait_interrupted(wait)) {
        weft__acquire(&semaphore.lock);
        weft__wait_withdraw(&registered[0], &semaphore.waiters);
        weft__unlock(&semaphore.lock);
    }
    return NULL;
}

static void *
permit(void *arg)
{
    (void)arg;
    release();
    return NULL;
}

static void
prepare(void)
{
    model_contexts(&weft__sched.root);
    for (int k = 0; k < MODEL_CONTEXTS; k++)
        store_relaxed(&stacks[k].owner, &contexts[k]); /* relaxed: before the threads */
}

static struct wait waits[2];

/* Begins the wait of a task, or of a plain thread. */
static void
begin(int k, struct context *c)
{
    weft__wait_begin(&waits[k], c, "model", c != NULL);
    weft__wait_register(&waits[k], &registered[k], &semaphore.waiters, 0, NULL);
}

static void
cancel(void)
{
    pthread_t task;
    prepare();
    pthread_create(&task, NULL, wait_in_vain, NULL);
    weft__sched_cancel_root();
    pthread_join(task, NULL);
}

static void
grant(void)
{
    pthread_t task, permitter;
    prepare();
    begin(0, &contexts[0]);
    begin(1, NULL);
    pthread_create(&task, NULL, park, &waits[0]);
    pthread_create(&permitter, NULL, permit, NULL);
    weft__sched_cancel_root();
    pthread_join(task, NULL);
    pthread_join(permitter, NULL);
    bool first = first_code == 0, second = load_acquire(&waits[1].thread.futex) == 1;
    if (first) explore_reached("the first gets the permit");
    if (second) explore_reached("the second gets the permit");
    assert(first != second && semaphore.permits == 0);
}

static const struct instance instances[] = {
    {"cancel", cancel, false},
    {"cancel, symmetric fences", cancel, true},
    {"grant", grant, true},
    {NULL, NULL, false},
};
