/*
 * waitset.c - waiting for one of many tasks, or for all of them, with one park.  [layer 4]
 *
 * The waiter registers with every task that has not ended, and parks once.  Which end of a task ends the wait is up to
 * the task that ends, under its lock (weft__task_finish):
 *
 *      any        every end claims the park; the first wins, and its index is the answer
 *      all        `left` counts the tasks that have not ended; the end that takes it to 0 claims
 *      fail fast  the same, but a failure does not count down: it claims at once.  A task that was cancelled has not failed
 *
 * So a wait for n tasks costs n registrations and one wake, in whatever order the tasks end; no end wakes a waiter that
 * would have to wait on.
 *
 * Hazard.  The registrations lie on the waiter's stack.  A task that ends touches its own registration while another
 * one wakes the waiter.
 *
 *      waiter                                       task that ends
 *      R1  left = n; arm                            F1  lock
 *      R2  for each task, under its lock:           F2  take the registration out of the list
 *          it has ended: count it down;             F3  left -= 1; not 0: done with the registration
 *          else register                            F4  claim; lost: done with the registration
 *      R3  park, or take the park back              F5  unlock
 *      R4  woken, and left is 0: return             F6  (claimed) wake
 *      R5  else, for each task, under its lock:
 *          withdraw
 *
 * Proof.  In R5 the waiter gets the lock of each task, so it comes before F1, and there is no registration any more for
 * F2 to find; or after F5: nobody but the one who claimed touches the registration after that, and who claimed has woken
 * the waiter, or is awaited in R3.  In R4 nobody lost at F4: left is 0, so every other task came by F3 before the one
 * that claimed, and F3 is the last that it did (acq_rel: what it did before is over when the last one counts).
 *
 * A task may be in the set more than once: each registration counts.  A count starts at n, not at the number of those
 * that are registered by then, so no end takes it to 0 before R2 is through.
 *
 * Memory.  FEW registrations are on the stack.  A wait for all goes on in parts of FEW, one park for each, so it never
 * allocates; the others must watch all of their tasks at once: more than FEW are on the heap.
 *
 * In place.  Who waits for all of them, without a deadline, runs its own unstarted children first, the newest first, as
 * a join would (join.c).  The others may have to go on before a given child has ended: they run nothing.
 *
 * Rejected.  Waking at every end, to look whether that was all (n parks, and n * n registrations).  A task that waits for
 * each (Julia's): n tasks for a wait that mostly ends with the first.
 *
 * Checked.  tests/model_waitset.c: every execution of two tasks that end, and each step and order is needed.
 * tests/test_waitset.c, tests/stress_waitset.c.
 */
#include "hook.h"
#include "scheduler.h"
#include "waiter.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

enum { FEW = 32 };
enum kind { ANY, ALL, FAILFAST };

struct set {
    weft_task *const *tasks; /* NULL in it: none */
    size_t n;
    enum kind kind;
    struct wait wait;
    struct waiter *waiters; /* one for each; where there is no registration, zeroed */
    _Atomic size_t left;    /* see above; ANY: stays n */
};

/* Has a set of this kind nothing more to wait for when t has ended?  As weft__task_finish. */
static bool
counts(struct set *s, const weft_task *t)
{
    if (s->kind == ANY) return t != NULL;
    if (t && s->kind == FAILFAST && weft_task_state(t) == WEFT_FAILED) return true;
    return sub_acq_rel(&s->left, 1) == 1; /* acq_rel: pairs with F3 */
}

/* R2.  Registers with the k-th task; true: that has ended, or there is none, and nothing is left to wait for. */
static bool
enter(struct set *s, size_t k)
{
    weft_task *t = s->tasks[k];
    struct waiter *r = &s->waiters[k];
    r->node = (struct list_node){NULL, NULL};
    if (!t) return counts(s, t);
    weft__acquire(&t->lock);
    bool done = weft__task_done(t);
    if (!done) {
        weft__wait_register(&s->wait, r, &t->waiters, (uint32_t)k, s->kind == ANY ? NULL : &s->left);
        r->count = s->kind == FAILFAST;
    }
    weft__unlock(&t->lock);
    return done && counts(s, t);
}

/* R5, for the first n. */
static void
withdraw(struct set *s, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        weft_task *t = s->tasks[k];
        if (!t) continue;
        weft__acquire(&t->lock);
        weft__wait_withdraw(&s->waiters[k], &t->waiters);
        weft__unlock(&t->lock);
    }
}

/* R1 to R5.  0: there is nothing more to wait for; ANY: because of the task *index. */
static int
park(struct set *s, struct context *c, weft_time deadline, size_t *index)
{
    size_t entered = 0;
    bool over = false;
    int rc = 0;
    store_relaxed(&s->left, s->n); /* relaxed: the registrations publish it */
    weft__wait_begin(&s->wait, c, s->kind == ANY ? "waitany" : "waitall", true);
    while (entered < s->n && !over) over = enter(s, entered++);
    if (over && weft__wait_abandon(&s->wait)) {
        *index = entered - 1;
    } else {
        rc = weft__wait_park(&s->wait, deadline); /* R3; if it is over, the wake is on its way */
        *index = s->wait.parker->index;
    }
    if (rc == 0 && load_relaxed(&s->left) == 0)
        return 0; /* R4: relaxed: who took it to 0 has woken the caller, or is it */
    withdraw(s, entered);
    return rc;
}

/* Not inlined: its caller switches contexts, and compilers look up once where errno is. */
static weft__noinline struct waiter *
new_waiters(size_t n)
{
    int saved = errno;
    struct waiter *w = weft__hook_fail() ? NULL : calloc(n, sizeof *w);
    errno = saved;
    return w;
}

static weft__noinline int
park_on(weft_task *const *tasks, size_t n, enum kind kind, struct context *c, weft_time deadline, size_t *index)
{
    struct waiter few[FEW];
    struct set s = {.tasks = tasks, .n = n, .kind = kind, .waiters = few};
    if (n > FEW && !(s.waiters = new_waiters(n))) return WEFT_ENOMEM;
    int rc = park(&s, c, deadline, index);
    if (s.waiters != few) free(s.waiters);
    return rc;
}

/* What speaks against waiting for these tasks. */
static int
check(const struct context *c, weft_task *const *tasks, size_t n)
{
    if (!tasks && n > 0) return WEFT_EINVAL;
    for (size_t k = 0; c && k < n; k++) {
        if (tasks[k] == c->task) return WEFT_EDEADLK;
    }
    return weft__cancelled(c) ? WEFT_ECANCELED : 0;
}

static bool
pending(weft_task *const *tasks, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (tasks[k] && !weft__task_done(tasks[k])) return true;
    }
    return false;
}

/* Waits for every task, however it ends. */
static int
wait_for_each(struct context *c, weft_task *const *tasks, size_t n, weft_time deadline)
{
    for (size_t k = n; c && deadline == WEFT_FOREVER && k-- > 0;) {
        if (!tasks[k] || !weft__run_child(tasks[k])) continue;
        if (weft__cancelled(c)) return WEFT_ECANCELED;
    }
    for (size_t part; n > 0; tasks += part, n -= part) {
        size_t index;
        part = n < FEW ? n : FEW;
        if (!pending(tasks, part)) continue;
        int rc = deadline == WEFT_NOW ? WEFT_EAGAIN : park_on(tasks, part, ALL, c, deadline, &index);
        if (rc < 0) return rc;
    }
    if (deadline != WEFT_NOW) weft__sched_spend(c, COST_JOIN);
    return 0;
}

int
weft_waitany_until(weft_task *const *tasks, size_t n, weft_time deadline)
{
    struct context *c = weft__context_current();
    size_t first = 0, some = 0;
    int rc = n > INT_MAX ? WEFT_EINVAL : check(c, tasks, n);
    if (rc < 0) return rc;
    for (; first < n; first++) {
        if (!tasks[first]) continue;
        if (weft__task_done(tasks[first])) break;
        some++;
    }
    if (first < n) {
        if (weft__spanned()) weft__span_joined(tasks[first]);
        if (deadline != WEFT_NOW) weft__sched_spend(c, COST_JOIN);
        return (int)first;
    }
    if (some == 0) return WEFT_ENOENT;
    if (deadline == WEFT_NOW) return WEFT_EAGAIN;
    if (n == 1) return wait_for_each(c, tasks, n, deadline);
    rc = park_on(tasks, n, ANY, c, deadline, &first);
    return rc < 0 ? rc : (int)first; /* of a task that is there more than once the first: its list is in their order */
}

int
weft_waitany(weft_task *const *tasks, size_t n)
{
    return weft_waitany_until(tasks, n, WEFT_FOREVER);
}

/* Whether none of those that have ended failed; somebody has looked now. */
static int
outcome(weft_task *const *tasks, size_t n)
{
    int rc = 0;
    for (size_t k = 0; k < n; k++) {
        if (weft__spanned() && tasks[k] && weft__task_done(tasks[k])) weft__span_joined(tasks[k]);
        if (!tasks[k] || !weft_task_isfailed(tasks[k])) continue;
        weft__task_observe(tasks[k]);
        rc = WEFT_ECHILD;
    }
    return rc;
}

static bool
has_failed(weft_task *const *tasks, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        if (tasks[k] && weft_task_state(tasks[k]) == WEFT_FAILED) return true;
    }
    return false;
}

int
weft_waitall_until(weft_task *const *tasks, size_t n, unsigned flags, weft_time deadline)
{
    struct context *c = weft__context_current();
    size_t index;
    int rc = flags & ~(unsigned)WEFT_FAILFAST ? WEFT_EINVAL : check(c, tasks, n);
    if (rc < 0) return rc;
    if (!(flags & WEFT_FAILFAST) || n < 2) {
        rc = wait_for_each(c, tasks, n, deadline);
        return rc < 0 ? rc : outcome(tasks, n);
    }
    if (has_failed(tasks, n) || !pending(tasks, n)) {
        if (deadline != WEFT_NOW) weft__sched_spend(c, COST_JOIN);
        return outcome(tasks, n);
    }
    if (deadline == WEFT_NOW) return WEFT_EAGAIN;
    rc = n > INT_MAX ? WEFT_EINVAL : park_on(tasks, n, FAILFAST, c, deadline, &index);
    return rc < 0 ? rc : outcome(tasks, n);
}

int
weft_waitall(weft_task *const *tasks, size_t n, unsigned flags)
{
    return weft_waitall_until(tasks, n, flags, WEFT_FOREVER);
}
