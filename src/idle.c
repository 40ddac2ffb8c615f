/*
 * idle.c - how a worker goes to sleep, and how new work wakes one.  [layer 4]
 *
 * Hazard.  A worker finds every queue empty.  Before it sleeps, another thread pushes a task, sees nobody asleep and
 * returns. The worker sleeps, and the task waits for as long as nothing else happens.
 *
 *      sleeper                                           submitter
 *      S1  under the lock: into the list, sleeping += 1, P1  push the task
 *          searching -= 1 if it was searching            P2  fence
 *      S2  fence    <-------- [idle] -------->           P3  if sleeping == 0 or searching != 0, return
 *      S3  scan every queue; anything: take itself out   P4  under the lock: take a sleeper out of the list,
 *          of the list, go on searching                      sleeping -= 1, searching += 1, its futex word = WOKEN
 *      S4  sleep while its futex word is 0               P5  futex wake
 *
 * Invariant.  Once P3 or P5 has returned, a task does not stay queued while every worker of its pool sleeps.
 *
 * Proof.  If P3 reads sleeping == 0, then S1 of every sleeper comes after P3 in the order of the fences, and S3 sees
 * the push.  If P3 reads searching != 0, that searcher either takes something (and then looks for more, and wakes
 * another: weft__idle_found), or goes through S1, which takes it out of `searching`; P3 read the value before that, so
 * its S3 sees the push.  Otherwise P4 wakes one, which is searching from then on: the same again.  A scan that lost a
 * race for an entry counts as having seen it.  The list and the counts change together under the lock, so no sleeper
 * is woken twice.
 *
 * Cost.  A push pays two loads: P2 is a light fence, S2 a heavy one (fence.h), and pushes from plain threads, which
 * cost more anyway, have a full fence of their own.  Going to sleep costs about 10 us, and happens after a search of
 * SEARCH_NS.
 *
 * Accepted.  weft__idle_found looks for more work without a heavy fence: it may miss a push that a running worker
 * makes to its own deque at that moment.  That worker is awake and will run it; pushes to the inject queue are not
 * missed.
 *
 * The sentinel.  One sleeper of a pool sleeps only until the next deadline (timerq.c), gives unused stacks back to the
 * kernel when it is time, and, while contexts are handed off through `next`, for a millisecond at most (it is shallow): a
 * context in the `next` of a worker that computes on would wait for it, since a hand-off wakes nobody.  It is woken last,
 * so that there is one as long as anybody sleeps.
 *
 *      sentinel                                          thread with a nearer deadline
 *      D1  wakes_at = next deadline                      N1  publish the deadline
 *      D2  fence    <------ [sentinel] ------>           N2  fence
 *      D3  a nearer deadline: look again                 N3  if somebody sleeps, and wakes_at is later: kick the sentinel
 *
 *      sentinel                                          worker that hands off
 *      D1  take the flag; shallow if it was set,         N1  put the context into `next`
 *          or there is anything in a `next`
 *      D2  heavy fence, if no longer shallow <-------->  N2  light fence
 *      D3  the same: anything in a `next`: look again    N3  if the flag is set, return; set it; if somebody sleeps, and
 *                                                            is not shallow: kick the sentinel
 *
 * Who finds the flag set, or the sentinel shallow, relies on a look within a millisecond; many hand-offs set the flag
 * once.  Each flag that is taken makes the sentinel shallow, and it is shallow until a look that takes none, which has a
 * heavy fence: of a worker's N2 and that D2 one comes first, so D3 sees the context, or N3 sees that the flag is clear and
 * nobody shallow, and kicks.  A sentinel that is woken while it is shallow sets the flag for the next one, who is kicked
 * when the woken one finds something to do (weft__idle_found).  Who falls asleep has S2: either its own first look sees the
 * context, or N3 sees that it sleeps.
 *
 * It is also the sleeper that waits for file descriptors, if there are any to wait for: reactor.c.
 *
 * The alarm.  A signal handler must take no lock, and a thread that it interrupts may hold this one.  So it cannot know who
 * sleeps: it changes every worker's futex word from ASLEEP, or KICKED, to KICKED.  A sleeper looks again then; S1 of another
 * overwrites that, but S2 comes after it.
 *
 *      sleeper                                           alarm
 *      S1  word = ASLEEP                                 A1  what has to be seen (shutdown.c)
 *      S2  fence    <-------- [alarm] --------->         A2  fence
 *      S3  look for it; sleep while the word is ASLEEP   A3  word: ASLEEP or KICKED -> KICKED; futex wake
 *
 * A3 comes before S1: then A2 before S2, and S3 sees A1.  Or after it: then the word is not ASLEEP at S3, or the sleeper is
 * woken; it takes the KICKED back with acquire, and sees A1 when it looks then.  A word that is WOKEN is left alone: whoever
 * was woken comes through S2 before it sleeps.
 *
 * Rejected.  One futex for all: waking the worker that a sticky task is bound to would wake everybody.  A lock-free
 * set of sleepers: sleeping is a system call, a lock costs nothing beside it.
 *
 * Checked.  tests/model_idle.c and tests/model_sentinel.c: each step and fence is needed.  They do not show why D1 takes the
 * flag in one step, which needs two workers that hand off beside the sentinel, too many executions: one that sets the flag
 * between a look at it and its clearing kicks; another that found it set would rely on a flag that is gone.
 * tests/test_fairness.c, tests/stress_spawn.c, and every promise above in the simulator (tests/sim_weft.c).
 */
#include "clock.h"
#include "deadlock.h"
#include "fence.h"
#include "futex.h"
#include "hook.h"
#include "scheduler.h"
#include "shutdown.h"
#include "timerq.h"
#include "worker.h"

enum { ASLEEP = 0, WOKEN = 1, KICKED = 2 }; /* a sleeper's futex word */
enum { SHALLOW_NS = 1000000 };

/* Takes w, which sleeps, out of the list, and makes it a searcher.  Under the lock. */
static void
rouse(struct idle *i, struct worker *w)
{
    weft__list_remove(&i->sleepers, &w->sleeper);
    store_relaxed(&w->asleep, false); /* relaxed: the lock orders the truth, readers outside take a hint */
    if (i->sentinel == w) {
        i->sentinel = NULL;
        store_relaxed(&i->wakes_at, INT64_MAX); /* relaxed, as below: whoever acts on it takes the lock */
        if (load_relaxed(&i->shallow)) store_relaxed(&i->handoff, 1); /* what it watched is the next one's */
        store_relaxed(&i->shallow, false);
    }
    sub_acq_rel(&i->sleeping, 1);
    add_acq_rel(&i->searching, 1); /* before the lock is released: the count covers the time until it runs */
}

static void
wake(struct worker *w)
{
    store_release(&w->futex, WOKEN); /* P4: pairs with the sleeper's load */
    weft__futex_wake(&w->futex, 1);  /* P5 */
    weft__reactor_alarm(w);
}

/* The last to go to sleep is the warmest; the sentinel comes last. */
static struct worker *
choose(struct idle *i)
{
    struct list_node *n = i->sleepers.tail;
    if (n && i->sentinel && n == &i->sentinel->sleeper && n->prev) n = n->prev;
    return n ? weft__container(n, struct worker, sleeper) : NULL;
}

weft__noinline void
weft__idle_wake_slow(struct pool *p)
{
    struct idle *i = &p->idle;
    weft__hook();
    weft__acquire(&i->lock);
    struct worker *w = load_relaxed(&i->searching) == 0 ? choose(i) : NULL; /* relaxed: under the lock, or a hint */
    if (w) rouse(i, w);
    weft__unlock(&i->lock);
    if (w) wake(w);
}

void
weft__idle_wake_worker(struct worker *w)
{
    struct idle *i = &w->pool->idle;
    if (!load_relaxed(&w->asleep)) return; /* P3: relaxed, the push to the inbox ends with a full fence */
    weft__acquire(&i->lock);
    bool asleep = load_relaxed(&w->asleep); /* relaxed: under the lock */
    if (asleep) rouse(i, w);
    weft__unlock(&i->lock);
    if (asleep) wake(w);
}

void
weft__idle_wake_all(struct pool *p)
{
    for (int k = 0; k < p->count; k++) weft__idle_wake_worker(p->workers[k]);
}

void
weft__idle_alarm(struct worker *w)
{
    weft__fence();                           /* A2: pairs with S2 [alarm] */
    uint32_t word = load_relaxed(&w->futex); /* relaxed: the CAS decides */
    while (word != WOKEN) {
        /* A3: relaxed: A2 is before it, so who takes it back sees A1.  Also where it is KICKED already: or who takes that back
         * might not see it */
        if (!cas_relaxed(&w->futex, &word, KICKED)) continue;
        weft__futex_wake(&w->futex, 1);
        weft__reactor_alarm(w);
        return;
    }
}

/* Has the sentinel look again; makes a sentinel if there is none and somebody sleeps. */
static weft__noinline void
kick(struct idle *i)
{
    weft__acquire(&i->lock);
    struct worker *w = i->sentinel;
    if (!w && i->sleepers.tail) w = i->sentinel = weft__container(i->sleepers.tail, struct worker, sleeper);
    if (w)
        store_release(&w->futex,
                      KICKED); /* release: pairs with the sleeper's load.  Not woken yet: it is in the list */
    weft__unlock(&i->lock);
    if (w) weft__futex_wake(&w->futex, 1);
    if (w) weft__reactor_alarm(w);
}

void
weft__idle_summon(void)
{
    weft__fence(); /* G2 of reactor.c: pairs with S2 */
    for (int k = 0; k < POOLS; k++) {
        struct idle *i = &weft__sched.pools[k].idle;
        if (load_relaxed(&i->sleeping) == 0) continue; /* G3: relaxed: the fence orders it */
        kick(i);
        return;
    }
}

void
weft__idle_handoff(struct pool *p)
{
    struct idle *i = &p->idle;
    weft__fence_light();                                 /* N2: pairs with S2 and the heavy D2; N1 is in scheduler.c */
    if (weft__likely(load_relaxed(&i->handoff))) return; /* N3: relaxed, as the next: N2 orders them */
    store_relaxed(&i->handoff, 1);                       /* relaxed: who reads it too late kicks once more */
    if (load_relaxed(&i->sleeping) != 0 && !load_relaxed(&i->shallow)) kick(i);
}

void
weft__timers_nearer(int64_t when)
{
    weft__fence(); /* N2: pairs with D2; N1 is in timerq.c */
    for (int k = 0; k < POOLS; k++) {
        struct idle *i = &weft__sched.pools[k].idle;
        /* N3: relaxed, the fence orders them */
        if (load_relaxed(&i->sleeping) != 0 && when < load_relaxed(&i->wakes_at)) kick(i);
    }
}

bool
weft__idle_search(struct worker *w)
{
    struct idle *i = &w->pool->idle;
    if (w->searching) return true;
    if (load_relaxed(&i->searching) >= i->most_searching) return false; /* relaxed: a limit, not a promise */
    add_acq_rel(&i->searching, 1);
    w->searching = true;
    return true;
}

void
weft__idle_found(struct worker *w)
{
    struct idle *i = &w->pool->idle;
    if (!w->searching) return;
    w->searching = false;
    bool last = sub_acq_rel(&i->searching, 1) == 1;
    weft__fence(); /* pairs with the fence of an inject push: it saw this searcher and woke nobody */
    if (last && weft__reactor_unwatched()) weft__idle_summon(); /* another searcher polls, too */
    if (load_relaxed(&i->sleeping) == 0) return;                /* relaxed: the fence orders it */
    if (last && weft__work_visible(w)) weft__idle_wake_slow(w->pool);
    if ((weft__timers_next() != INT64_MAX && load_relaxed(&i->wakes_at) == INT64_MAX) ||
        (load_relaxed(&i->handoff) && !load_relaxed(&i->shallow)))
        kick(i); /* somebody must watch them */
}

/* A context that the sentinel saw in the `next` of a worker which has dispatched nothing since. */
static bool
starving(struct pool *p)
{
    bool found = false;
    for (int k = 0; k < p->count; k++) {
        struct worker *v = p->workers[k];
        const struct context *next = load_relaxed(&v->next); /* relaxed: compared, not read */
        uint32_t dispatches = load_relaxed(&v->dispatches);  /* relaxed: a hint */
        /* relaxed: the role may pass on meanwhile; then somebody looks once too often */
        if (next && next == load_relaxed(&v->seen_next) && dispatches == load_relaxed(&v->seen_dispatches))
            found = true;
        store_relaxed(&v->seen_next, next);
        store_relaxed(&v->seen_dispatches, dispatches);
    }
    return found;
}

/* A context in a `next`: it may wait for its worker in vain, whether or not the flag tells. */
static bool
any_handoff(const struct pool *p)
{
    for (int k = 0; k < p->count; k++) {
        if (load_relaxed(&p->workers[k]->next))
            return true; /* relaxed: a hint; one that is missed is seen a millisecond later */
    }
    return false;
}

/* What the sentinel goes by, between D1 and D3. */
struct watch {
    int64_t deadline;
    bool shallow;
    bool calmed; /* it was shallow until now */
};

/* D1, if w is the sentinel, or there is none and w sleeps.  Under the lock, as rouse is: who has been roused leaves
 * the words alone that tell others what the sentinel does. */
static bool
watch_begin(struct idle *i, struct worker *w, struct watch *watch)
{
    weft__acquire(&i->lock);
    if (!i->sentinel && load_relaxed(&w->asleep)) i->sentinel = w; /* relaxed: under the lock */
    bool is = i->sentinel == w;
    if (is) {
        /* In one step: who finds it set relies on this look being shallow; who sets it from here on kicks us, unless
         * its N3 finds us still shallow, and then D3 is for it.  acquire: the workers are looked at after it. */
        bool handoff = swap_acquire(&i->handoff, 0);
        watch->shallow = handoff || any_handoff(w->pool);
        watch->calmed = !watch->shallow && load_relaxed(&i->shallow); /* relaxed: under the lock */
        watch->deadline = weft__timers_next();
        store_relaxed(&i->shallow, watch->shallow); /* relaxed, as the next: D2 orders them */
        store_relaxed(&i->wakes_at, watch->deadline);
    }
    weft__unlock(&i->lock);
    return is;
}

/* D2 and D3: until when the sentinel may sleep. */
static int64_t
sentinel_deadline(const struct pool *p, const struct watch *watch)
{
    int64_t deadline = watch->deadline;
    if (watch->calmed) weft__fence_heavy();        /* D2: pairs with the light N2 [sentinel] */
    else weft__fence();                            /* D2: pairs with the full N2 [sentinel] */
    if (watch->calmed && any_handoff(p)) return 0; /* D3 */
    if (weft__timers_next() < deadline) return 0;  /* D3 */
    int64_t trim = weft__stack_trim_next(), soon = watch->shallow ? weft__clock_now() + SHALLOW_NS : INT64_MAX;
    if (trim < deadline) deadline = trim;
    return soon < deadline ? soon : deadline;
}

/* S3 and S4; returns when w should go on, perhaps woken. */
static void
doze(struct worker *w)
{
    struct idle *i = &w->pool->idle;
    struct deadlock_watch dead = {0};
    while (!weft__work_visible(w) && !weft__sched_stopping() && !weft__shutdown_due()) {
        int64_t deadline = INT64_MAX;
        struct watch watch;
        bool sentinel = watch_begin(i, w, &watch);
        if (sentinel) {
            deadline = sentinel_deadline(w->pool, &watch);
            int64_t now = weft__clock_now();
            if (weft__timers_next() <= now || starving(w->pool)) return;
            if (weft__stack_trim_next() <= now) weft__stack_trim();
        } else if (weft__reactor_unwatched()) {
            kick(i);
        }
        int64_t look = weft__deadlock_look(&dead);
        enum reactor_sleep polled = sentinel ? weft__reactor_sleep(w, look < deadline ? look : deadline) : REACTOR_NOT;
        if (polled == REACTOR_EVENT) return;
        if (polled == REACTOR_NOT) weft__futex_wait(&w->futex, ASLEEP, look < deadline ? look : deadline); /* S4 */
        uint32_t word = load_acquire(&w->futex); /* acquire: pairs with P4 */
        if (word == WOKEN) return;
        if (word == KICKED) cas_acquire(&w->futex, &word, ASLEEP); /* unless WOKEN has come */
    }
}

void
weft__idle_sleep(struct worker *w)
{
    struct idle *i = &w->pool->idle;
    weft__acquire(&i->lock); /* S1 */
    weft__list_append(&i->sleepers, &w->sleeper);
    store_relaxed(&w->futex, ASLEEP); /* relaxed: the lock publishes it */
    store_relaxed(&w->asleep, true);  /* as above */
    add_acq_rel(&i->sleeping, 1);
    if (w->searching) sub_acq_rel(&i->searching, 1);
    w->searching = false;
    weft__unlock(&i->lock);
    if (w->alone) weft__fence(); /* S2: who pushes is a plain thread, with a full fence */
    else weft__fence_heavy();    /* S2: pairs with P2 [idle] */
    weft__hook();
    weft__stack_cache_flush(&w->stacks); /* others may need them, or nobody, and then they are given back */
    doze(w);
    weft__acquire(&i->lock);
    if (load_relaxed(&w->asleep)) rouse(i, w); /* relaxed: under the lock */
    weft__unlock(&i->lock);
    w->searching = true;
}
