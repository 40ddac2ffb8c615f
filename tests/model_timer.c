/*
 * model_timer.c - every interleaving of a deadline with what is waited for: exactly one ends the wait.
 *
 * sources: timerq.c waiter.c park.c fence.c futex.c
 *
 * A task waits on a list with a deadline; it is over when a poller (or two) has made the time come, and somebody wakes
 * it at the same time.  What it waited with is overwritten as soon as it is back: whoever touches it then is a race.
 *
 * Instances:
 *   wake      a waker and a poller
 *   polls     two pollers, and nothing else
 */
#include "model_context.h"

#include "clock.h"

#include <weft/error.h>

#include <pthread.h>
#include <string.h>

#include "model_scope.h"
#include "model_instance.h"

enum { DEADLINE = 10 << 13 }; /* ten ticks */

static _Atomic int64_t now = 1;
static int pollers;
static weft__lock lock;
static struct list waiters;
static int grants; /* under lock: wakes that found nobody */

int64_t
weft__clock_now(void)
{
    return load_relaxed(&now);
}

weft_time
weft_now(void)
{
    return weft__clock_now();
}

/* Instead of the sentinel: who adds a timer that every poller may have missed polls itself. */
void
weft__timers_nearer(int64_t when)
{
    (void)when;
    if (add_acq_rel(&now, 0) < pollers * DEADLINE) return; /* one is still to come, and will see it */
    add_acq_rel(&now, DEADLINE);
    weft__timers_poll();
}

bool
weft__forked(void)
{
    return false;
}

static struct wait wait;
static struct waiter waiter;
static int code;

/* From the park on; then its frame is gone. */
static void *
park(void *arg)
{
    (void)arg;
    code = weft__wait_park(&wait, DEADLINE);
    if (weft__wait_interrupted(&wait)) {
        explore_reached("timed out");
        assert(code == WEFT_ETIMEDOUT);
        weft__acquire(&lock);
        weft__wait_withdraw(&waiter, &waiters);
        weft__unlock(&lock);
    } else {
        explore_reached("woken before the deadline");
        assert(code == 0);
    }
    memset(&wait, 0xee, sizeof wait);
    memset(&waiter, 0xee, sizeof waiter);
    return NULL;
}

static void *
wake(void *arg)
{
    (void)arg;
    weft__acquire(&lock);
    struct waiter *w = weft__waiter_claim_first(&waiters);
    if (!w) grants++;
    weft__unlock(&lock);
    if (w) weft__waiter_wake(w, 0, false);
    return NULL;
}

static void *
poll(void *arg)
{
    (void)arg;
    add_acq_rel(&now, DEADLINE); /* later than for the last poller */
    weft__timers_poll();
    return NULL;
}

static void
run(bool waker, int polls)
{
    static struct timer first;
    pthread_t thread[3];
    int n = 0;
    pollers = polls;
    model_contexts(&weft__sched.root);
    weft__timer_add(&first, INT64_MAX - 1, &contexts[0].parker, 0); /* the wheel begins to turn */
    weft__timer_del(&first);
    weft__wait_begin(&wait, &contexts[0], "model", false);
    weft__wait_register(&wait, &waiter, &waiters, 0, NULL);
    pthread_create(&thread[n++], NULL, park, NULL);
    if (waker) pthread_create(&thread[n++], NULL, wake, NULL);
    if (polls == 2) pthread_create(&thread[n++], NULL, poll, NULL);
    poll(NULL);
    while (n > 0) pthread_join(thread[--n], NULL);
    assert(weft__list_empty(&waiters));
    assert(grants == (waker && code != 0)); /* none is lost */
}

static void
wake_and_poll(void)
{
    run(true, 1);
}

static void
two_polls(void)
{
    run(false, 2);
}

static const struct instance instances[] = {
    {"wake", wake_and_poll, true},
    {"polls", two_polls, true},
    {NULL, NULL, false},
};
