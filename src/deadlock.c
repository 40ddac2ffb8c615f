/*
 * deadlock.c - tells when nothing can ever happen again.  [layer 4]
 *
 * Hazard.  Two tasks wait for each other.  Every worker sleeps, the process uses no CPU, and says nothing.  And the other:
 * a report that is wrong, about a server that waits for its next client.
 *
 * A task that waits can be woken by another task, by a deadline, or by a thread that is not a worker.  So nothing can happen
 * any more if, at one moment,
 *
 *      A  every worker of every pool sleeps, and none has been woken
 *      B  no deadline is pending, and nobody waits for a file descriptor
 *      C  every other thread of the process is blocked in Weft, without a deadline, and nobody has claimed its wait; or it
 *         waits in weft_stop for the workers to leave, or for the next blocking call
 *
 * and it matters if somebody waits: a task that is not a daemon (when the root scope has been cancelled: any task), or
 * a thread.
 *
 * Steps of a worker that is going to sleep, after S2 of idle.c, and whenever it wakes without having been woken:
 *
 *      L1  all asleep, B?  Else whoever wakes comes here again
 *      L2  the first time: sleep for FIRST_NS at most.  Most sleeps end before that, and have paid three loads and a clock
 *      L3  v = version of the list of blocked threads, n = how many of them count for C
 *      L4  threads of the process = workers + n + bystanders, and somebody waits?
 *      L5  version still v, and n as before?  L1 again.  Stamp = the sum of all workers' dispatches
 *      L6  all true, now and FIRST_NS ago, and the same stamp: report
 *      L7  else look again: after FIRST_NS if all was true, else after twice the pause before
 *
 * Somebody looks.  Of the workers that go to sleep, the last in the order of their fences S2 sees all asleep, L1.  The rest
 * can come true later, without a worker: a thread blocks, or ends.  Hence L7: an idle runtime wakes up a number of times that
 * is logarithmic in the time that it is idle (20 times in a day), and a deadlock that comes about in such a way is seen
 * after at most twice the time.
 *
 * No false alarm.  Every worker that is woken adds to its dispatches before it sleeps again, so the same stamp at two looks,
 * with all asleep at both, says that no worker woke in between, and no task ran: A held all the time.  The list
 * did not change from L3 to L5, so its n threads were blocked at L4, and none of them claimed; with the workers they were all
 * the threads there were at that moment.  So at L4 nobody ran but this worker.  Deadlines are added only by
 * tasks and threads that run, and a poll fires them: B.  What is queued wakes a worker: idle.c.
 *
 * What is not seen, and never reported: a deadlock beside a thread that Weft does not know, whatever that does (so none
 * under ThreadSanitizer, which has a thread of its own); or where /proc cannot be read.
 *
 * Signal handlers.  Of what wakes tasks a handler may only call weft_shutdown: a program that has it called by a signal
 * (weft_shutdown_on) is not dead, and not looked at while it does.  One all of whose tasks wait, and which a handler of its
 * own is to end, is reported unless it says WEFT_DEADLOCK=off.  The report changes nothing.
 *
 * Blocking calls (offload.c).  A thread that runs one is a thread like any other; one that is idle is a bystander: nothing but a
 * task can give it work.
 *
 * Checked.  tests/test_deadlock.c.
 */
#include "deadlock.h"

#include "clock.h"
#include "panic.h"
#include "reactor.h"
#include "scheduler.h"
#include "timerq.h"
#include "waiter.h"

#include <weft/debug.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#if defined(WEFT_HARD)
enum { FIRST_NS = 10000000 };
#else
enum { FIRST_NS = 100000000 };
#endif

static const int64_t pause_most = INT64_MAX / 4;

static struct {
    _Atomic int policy;
    _Atomic int bystanders;
    _Atomic(bool (*)(void)) awaits_signal; /* may one end it all?  NULL: no */
    _Atomic uint64_t reported;             /* the stamp of the deadlock that was reported last, + 1 */
    _Atomic uint64_t looks, reports;
} deadlock;

void
weft__deadlock_begin(int policy)
{
    store_relaxed(&deadlock.policy, policy); /* relaxed, as the next: before there are workers */
    store_relaxed(&deadlock.reported, 0);
}

void
weft__deadlock_signals(bool (*awaited)(void))
{
    store_relaxed(&deadlock.awaits_signal, awaited); /* relaxed: a report a moment later is as wrong as one before */
}

/* May a signal end it all? */
static bool
signals_are_awaited(void)
{
    bool (*awaited)(void) = load_relaxed(&deadlock.awaits_signal); /* relaxed: as above */
    return awaited && awaited();
}

void
weft__deadlock_bystander(int n)
{
    add_acq_rel(&deadlock.bystanders, n); /* before and after the wait that it stands for */
}

void
weft__deadlock_counts(uint64_t *looks, uint64_t *reports)
{
    *looks = load_acquire(&deadlock.looks); /* acquire: what was looked at before is seen */
    *reports = load_acquire(&deadlock.reports);
}

/* L1 */
static bool
possible(void)
{
    uint32_t asleep = 0;
    for (int k = 0; k < POOLS; k++)
        asleep += load_acquire(&weft__sched.pools[k].idle.sleeping); /* acquire: pairs with rouse (idle.c) */
    return asleep == (uint32_t)weft__sched.count && weft__timers_next() == INT64_MAX &&
           load_acquire(&weft__reactor_count) == 0; /* acquire: pairs with weft__reactor_withdraw */
}

/* Has anybody cause for complaint?  n: blocked threads. */
static bool
somebody_waits(int n)
{
    int state = load_acquire(&weft__sched.state); /* acquire: pairs with the step to it */
    return n > 0 || weft__sched_live(false) != 0 || (state == SCHED_CANCELLED && weft__sched_live(true) != 0);
}

static uint64_t
dispatches(void)
{
    uint64_t sum = 0;
    for (int k = 0; k < weft__sched.count; k++)
        sum += load_relaxed(&weft__sched.workers[k]->dispatches); /* relaxed: ordered by the count of sleepers */
    return sum;
}

/* The number of threads of this process, from the kernel; 0: it does not say. */
static int
threads(void)
{
    enum { NUM_THREADS = 20, NAME = 2 }; /* fields of /proc/self/stat, from 1; the name is in parentheses */
    char text[512];
    int saved = errno, fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC), count = 0, field = NAME;
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (fd >= 0) close(fd);
    errno = saved;
    ssize_t i = n - 1;
    while (i >= 0 && text[i] != ')') i--; /* a name may have parentheses too: the last one ends it */
    for (; i >= 0 && i < n && field <= NUM_THREADS; i++) {
        if (text[i] == ' ') field++;
        else if (field == NUM_THREADS && text[i] >= '0' && text[i] <= '9') count = count * 10 + (text[i] - '0');
    }
    return count;
}

/* L3 to L5 */
static bool
everybody_waits(void)
{
    uint64_t before, after;
    int n = weft__blocked_for_ever(&before);             /* L3 */
    int others = n + load_acquire(&deadlock.bystanders); /* acquire: see weft__deadlock_bystander */
    if (!somebody_waits(n) || threads() != weft__sched.count + others) return false; /* L4 */
    return weft__blocked_for_ever(&after) == n && after == before && possible();     /* L5 */
}

static void
report(uint64_t stamp)
{
    if (swap_acq_rel(&deadlock.reported, stamp + 1) == stamp + 1) return; /* whoever changes it reports */
    weft__warn(
        "deadlock: %llu tasks and %llu daemons have not ended, and nothing is left that could wake one: all of %d "
        "workers sleep, nothing is queued, no deadline is pending, and no other thread runs.  (WEFT_DEADLOCK=abort "
        "makes this the end of the process, off keeps it silent.)",
        (unsigned long long)weft__sched_live(false), (unsigned long long)weft__sched_live(true), weft__sched.count);
    (void)weft_dump(STDERR_FILENO);                       /* there is nowhere else to say that it failed */
    add_acq_rel(&deadlock.reports, 1);                    /* after what was written */
    if (load_relaxed(&deadlock.policy) == DEADLOCK_ABORT) /* relaxed: constant */
        weft__panic("deadlock, and WEFT_DEADLOCK=abort");
}

int64_t
weft__deadlock_look(struct deadlock_watch *d)
{
    /* relaxed: constant, as far as it matters */
    bool off = load_relaxed(&deadlock.policy) == DEADLOCK_OFF || signals_are_awaited();
    if (off || !possible()) {
        *d = (struct deadlock_watch){0};
        return INT64_MAX;
    }
    int64_t now = weft__clock_now();
    if (d->next == 0) *d = (struct deadlock_watch){.next = now + FIRST_NS, .pause = FIRST_NS}; /* L2 */
    if (now < d->next) return d->next;
    bool sees = everybody_waits();
    uint64_t stamp = dispatches();                              /* L5 */
    if (sees && d->saw && stamp == d->stamp) report(stamp);     /* L6 */
    d->pause = d->pause < pause_most ? 2 * d->pause : d->pause; /* L7 */
    d->next = now + (sees && !d->saw ? FIRST_NS : d->pause);
    d->saw = sees;
    d->stamp = stamp;
    add_acq_rel(&deadlock.looks, 1); /* after what was looked at */
    return d->next;
}
