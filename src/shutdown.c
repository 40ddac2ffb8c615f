/*
 * shutdown.c - weft_shutdown: the ways to end everything, each harder than the one before.  [layer 4]
 *
 *      first call    the root scope is cancelled
 *      second        every WEFT_SHIELD is broken: what is cancelled around it reaches into it
 *      third         a dump, and abort
 *
 * Hazard.  It is made for signal handlers, which may interrupt any thread anywhere: a worker that holds the lock of a scope,
 * or of the sleepers.  So it may take no lock.  But to wake whoever is parked takes the locks of scopes (cancel.c), of stacks,
 * of queues.  And the thread may be in the middle of stopping the runtime, whose workers go away.
 *
 * So a cancellation is cut in two.  What marks it, C1 and C2 of cancel.c, is a few atomic instructions: the caller does that,
 * and every check fails from then on, wherever tasks run.  What wakes the parked, C3 and C4, is left to a worker.
 *
 *      weft_shutdown                                     worker
 *      H1  visit; the runtime is running, or return      D1  before it sleeps, while it sleeps, and every few
 *      H2  number the call; mark the root (C1, C2),          dispatches: due above delivered?
 *          or break the shields (C1) and count           D2  delivered = due, by CAS: one worker does it
 *          the epoch (C2)                                D3  C3, and C4 from the root
 *      H3  due += 1
 *      H4  fence, alarm each worker    <-- [alarm] -->
 *      H5  leave
 *
 * Invariant.  When H5 is over, some worker will come to D3 after having seen H2, unless all workers compute without end, and
 * then there is none to run what would be woken.
 *
 * Proof.  A worker that sleeps is woken at H4, or sees H3 before it falls asleep: [alarm] in idle.c.  One that is awake comes to
 * D1.  D1 reads delivered first, with acquire, so it never finds due below it.  Who reads `due` at D2 sees H2 of every call that
 * it counts; a call that it does not count is above what D2 stores, and seen by the next D1.  Two that have different parts to
 * deliver may walk at the same time, as any two cancellations may.  If the workers leave before anybody came to D1, whoever
 * frees them does the rest: no task is left, but plain threads may be blocked in scopes of their own.
 *
 * Lifetime.  Between H1 and H5 the workers stay where they are: scheduler.h, visitors.  A handler that interrupts the very
 * thread which frees them finds LEAVING at H1, or is through before that thread goes on.
 *
 * Shields.  A broken shield is one more mark that a check finds when it climbs, so the second call is a cancellation like any
 * other: C1 is the flag, C2 the epoch that makes everybody climb again, and C4 passes by no WEFT_SHIELD any more.  It marks
 * the root too: the first call may not have come that far yet, on another thread.
 *
 * Blocking calls.  A function that weft_blocking runs has its arguments in the frame of its caller.  So not even the second
 * call makes that return early, with the function running on: its frame would go.  What may be left behind is for the
 * program to say: weft_blocking_abandon, whose wait ends with the cancellation, the second call if it is shielded.
 *
 * Rejected.  An eventfd, or a thread that waits for it: one thread more in every program, or a worker that polls.  To cancel in the
 * handler, if no lock is held at that moment: nobody can know.
 *
 * Checked.  tests/model_shutdown.c: a sleeper, and two calls; each fence is needed.  tests/test_ladder.c,
 * tests/test_ladder_signals.c, tests/stress_shutdown.c.
 */
#include "shutdown.h"

#include "deadlock.h"
#include "fence.h"
#include "panic.h"
#include "waiter.h"

#include <weft/debug.h>
#include <weft/runtime.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { BREAKS_SHIELDS = 2, ABORTS = 3 };

void
weft__shutdown_begin(void)
{
    store_relaxed(&weft__sched.shutdowns, 0); /* relaxed, as all here: published by the state */
    store_relaxed(&weft__sched.due, 0);
    store_relaxed(&weft__sched.delivered, 0);
    store_relaxed(&weft__shields_broken, false);
}

/* H2 to H4; returns the number of the call.  Without AddressSanitizer's instrumentation: what that does before an abort takes
 * a lock of the thread, which a signal handler may have interrupted. */
static __attribute__((no_sanitize("address"))) int
escalate(void)
{
    uint32_t n = add_seq_cst(&weft__sched.shutdowns, 1) + 1; /* any order would do: it only numbers the calls */
    if (n >= ABORTS) {
        (void)weft_dump(STDERR_FILENO); /* there is nowhere else to say that it failed */
        weft__panic("weft_shutdown was called for the third time: see above what has not ended");
    }
    (void)weft__scope_mark(&weft__sched.root, WEFT_ECANCELED, false);
    if (n == BREAKS_SHIELDS) {
        store_relaxed(&weft__shields_broken, true); /* relaxed: the epoch publishes it */
        add_seq_cst(&weft__cancel_epoch, 1);
    }
    add_acq_rel(&weft__sched.due, 1); /* H3: pairs with D1; H4 has the fence */
    for (int k = 0; k < weft__sched.count; k++) weft__idle_alarm(weft__sched.workers[k]);
    return (int)n;
}

int
weft_shutdown(void)
{
    int rc = WEFT_ENOENT;
    if (weft__forked()) return WEFT_ENOTSUP;
    if (weft__sched_enter()) rc = escalate(); /* H1 */
    weft__sched_leave();                      /* H5 */
    return rc;
}

bool
weft__shutdown_deliver(void)
{
    uint32_t delivered = load_acquire(&weft__sched.delivered); /* D2: as in weft__shutdown_due */
    uint32_t due = load_acquire(&weft__sched.due);
    if (due == delivered) return false;
    /* release: who reads it reads a `due` that is no older; acquire: for the CAS that it may follow */
    if (!cas_acq_rel(&weft__sched.delivered, &delivered, due)) return false;
    weft__sched_sweep(); /* D3 */
    return true;
}

/* ---- Signals -------------------------------------------------------------------------------------------------------- */

/* What the program had for each signal before. */
static struct {
    pthread_mutex_t mutex;
    struct sigaction before[NSIG];
    _Atomic bool ours[NSIG]; /* it was installed; the program may have changed that since */
} handlers = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Weft is not running: what would have happened without it. */
static void
pass_on(int number, siginfo_t *info, void *context)
{
    const struct sigaction *before = &handlers.before[number];
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(number, info, context);
    } else if (before->sa_handler == SIG_DFL) {
        sigaction(number, before, NULL);
        raise(number); /* blocked until the handler returns */
    } else if (before->sa_handler != SIG_IGN) {
        before->sa_handler(number);
    }
}

static void
handle(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    if (weft_shutdown() < 0) pass_on(number, info, context);
    errno = saved;
}

/* On the signal stack that each worker has: a task's may be small. */
static int
install(int number)
{
    struct sigaction ours = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK}, before;
    sigemptyset(&ours.sa_mask);
    if (sigaction(number, NULL, &before) != 0) return WEFT_EINVAL;
    if ((before.sa_flags & SA_SIGINFO) && before.sa_sigaction == handle) return 0;
    handlers.before[number] = before; /* before the handler can run */
    return sigaction(number, &ours, NULL) == 0 ? 0 : WEFT_EINVAL;
}

/* Does any signal call weft_shutdown now? */
static bool
is_awaited(void)
{
    struct sigaction now;
    bool awaited = false;
    for (int n = 1; n < NSIG && !awaited; n++) {
        awaited = load_relaxed(&handlers.ours[n]) && sigaction(n, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
                  now.sa_sigaction == handle; /* relaxed: as in weft__deadlock_signals */
    }
    return awaited;
}

int
weft_shutdown_on(int number)
{
    int saved = errno;
    if (number <= 0 || number >= NSIG) return WEFT_EINVAL;
    pthread_mutex_lock(&handlers.mutex);
    int rc = install(number);
    pthread_mutex_unlock(&handlers.mutex);
    if (rc == 0) {
        store_relaxed(&handlers.ours[number], true); /* relaxed: likewise */
        weft__deadlock_signals(is_awaited);
    }
    errno = saved;
    return rc;
}
