/*
 * join.c - waiting for tasks, and running them in place.  [layer 4]
 *
 * A task that waits for one that has not started cannot go on before that has ended.  So it calls the other's body
 * itself, as a function on its own stack: no switch, no stack, no atomic beyond the claim.  The conditions:
 *
 *   - the child is in the deque of this very worker: at the bottom, then it is popped; or further up, then it is claimed by
 *     CAS, against the thieves, and its entry left behind, stale.  A task that somebody else owns is waited for.
 *   - the waiter has no reason to come back earlier: no deadline, and whatever cancels the waiter cancels the child as well.
 *   - it forked the child since it was last switched to: so it is its own child, or one of a task that it runs in place, and
 *     not somebody else's that it only looks after.  (A cancellation of the waiter alone, weft_cancel, has to wait for what
 *     the waiter runs in place.)
 *   - what is left of the stack is what the child may count on.  Else it gets a stack of its own when it is its turn.
 *   - the child shares the waiter's floating-point control words.
 *
 * Only what is waited for is ever run in place: a stranger's frames on top of the waiter's would keep it from going on
 * when what it waits for is done, and deadlock if the stranger waits for the waiter.  If the child parks, the stack
 * below it parks too, and comes back with it.
 *
 * A joined child to which nobody else has a reference is neither locked nor counted down: its descriptor goes straight
 * back to the cache.
 *
 * Cost.  weft_spawn and weft_join of such a child: 170 instructions in all on x86-64, of which one is locked (the fence of
 * the pop), none where there is a single worker.
 *
 * Checked.  tests/model_claim.c: spawn, join and steal of a few tasks in every execution.  tests/test_inplace.c.
 */
#include "fork.h"

#include "failure.h"
#include "members.h"
#include "place.h"
#include "waiter.h"

#include <weft/runtime.h>

/* Can the claimed child run on top of c?  Nothing here depends on whether it is still unclaimed. */
static inline bool
may_run_in_place(const struct context *c, const weft_task *t)
{
    char *here = __builtin_frame_address(0);
    return (size_t)(here - (char *)c->machine.low) >= t->stack_need &&
           weft__task_scope(t) == weft__task_scope(c->task) && !c->fpenv &&
           !(load_relaxed(&t->flags) & (WEFT_FPENV | TASK_CANCEL)); /* relaxed: constant, or as good as later */
}

/* The same for a child without flags: with the default need of stack, and nothing that hangs on it.  s: c's task is in. */
static inline bool
may_run_plain(const struct context *c, const struct scope *s, const weft_task *t)
{
    char here;
    return weft__likely(&here >= c->floor && weft__task_scope(t) == s && !c->fpenv);
}

/* Claims t, which is somewhere in w's own deque: its entry is left behind, stale. */
static weft__noinline bool
claim_out_of_order(struct worker *w, weft_task *t, uint64_t tag)
{
    struct entry e;
    if (weft__deque_at_bottom(&w->deque, t->index) && weft__deque_pop(&w->deque, &e)) {
        weft__task_claim_owned(t, tag);
        return true;
    }
    if (w->alone) weft__task_claim_owned(t, tag); /* nobody else ever claims */
    else if (!weft__task_claim(t, tag)) return false;
    w->deque.stale++;
    return true;
}

/* Pops or claims t, an unstarted child that this worker queued; false: it is somebody else's, or has started. */
static inline __attribute__((always_inline)) bool
claim_child(struct worker *w, weft_task *t, uint64_t tag)
{
    if (weft__unlikely(!weft__deque_pop_this(&w->deque, t->index))) return claim_out_of_order(w, t, tag);
    weft__task_claim_owned(t, tag);
    return true;
}

/* Runs the claimed t on top of c's tasks. */
static inline __attribute__((always_inline)) int
call_in_place(struct context *c, weft_task *t, int (*call)(weft_task *t))
{
    t->run.outer = c->task;
    store_release(&c->task->waiting, true); /* weft_schedule refuses what it can see waiting; as in weft__wait_park */
    c->task = t;
    int code = call(t);
    weft_task *outer = t->run.outer; /* read again: a register is dearer */
    if (weft__unlikely(weft__task_scope(t) != weft__task_scope(outer))) (void)weft__task_left_open(t);
    c->task = outer;
    store_relaxed(&outer->waiting, false); /* as above */
    return code;
}

/* Runs the claimed t, and ends it; the caller keeps its reference. */
static void
run_in_place(struct context *c, weft_task *t)
{
    bool daemon = load_relaxed(&t->flags) & WEFT_DAEMON; /* relaxed: constant */
    struct scope *scope = weft__task_scope(t);
    if (weft__task_cancelled(t)) {
        weft__task_end_unrun(t, WEFT_ECANCELED);
    } else {
        if (weft__watched()) weft__watch_begin(c, t);
        int code = call_in_place(c, t, weft__task_call);
        if (weft__watched()) weft__watch_end(c, t, code);
        weft__task_end(t, code);
        if (weft__watched()) weft__watch_back(c, c->task);
    }
    weft__scope_leave(scope, c);
    weft__sched_ended(c->worker, daemon);
}

/* Waits until t has ended.  0, or why not. */
static int
wait_for(struct context *c, weft_task *t, weft_time deadline, bool cancellable)
{
    struct wait wait;
    struct waiter registration;
    if (weft__task_done(t)) return 0;
    weft__acquire(&t->lock);
    if (weft__task_done(t) || deadline == WEFT_NOW) {
        weft__unlock(&t->lock);
        return weft__task_done(t) ? 0 : WEFT_EAGAIN;
    }
    weft__wait_begin(&wait, c, "task", cancellable);
    weft__wait_register(&wait, &registration, &t->waiters, 0, NULL);
    weft__unlock(&t->lock);
    int rc = weft__wait_park(&wait, deadline);
    if (rc == 0) return 0;
    weft__acquire(&t->lock);
    weft__wait_withdraw(&registration, &t->waiters);
    weft__unlock(&t->lock);
    return rc;
}

/* Runs t in place, if it is a child of w's that has not started and nothing stands against it. */
static inline bool
try_in_place(struct worker *w, struct context *c, weft_task *t)
{
    uint64_t tag = weft__task_ticket(t);
    if (!weft__fork_queued(w, t, tag) || !weft__fork_recent(w, t) || !may_run_in_place(c, t) || !claim_child(w, t, tag))
        return false;
    run_in_place(c, t);
    weft__sched_spend(c, COST_JOIN);
    return true;
}

bool
weft__run_child(weft_task *t)
{
    struct worker *w = weft__worker();
    struct context *c = w ? w->context : NULL;
    return c && try_in_place(w, c, t);
}

/* Everything that waiting for t has in common. */
static int
await(weft_task *t, weft_time deadline, bool cancellable)
{
    struct worker *w = weft__worker();
    struct context *c = w ? w->context : NULL;
    if (c && c->task == t) return WEFT_EDEADLK;
    if (cancellable && weft__cancelled(c)) return WEFT_ECANCELED;
    if (c && deadline == WEFT_FOREVER && try_in_place(w, c, t)) return 0;
    int rc = wait_for(c, t, deadline, cancellable);
    if (rc == 0 && weft__spanned()) weft__span_joined(t);
    return rc;
}

static int
outcome(weft_task *t)
{
    if (weft_task_state(t) == WEFT_COMPLETED) return 0;
    weft__task_observe(t);
    return WEFT_ECHILD;
}

int
weft_wait_until(weft_task *t, weft_time deadline)
{
    if (!t) return WEFT_EINVAL;
    int rc = await(t, deadline, true);
    return rc < 0 ? rc : outcome(t);
}

int
weft_wait(weft_task *t)
{
    return weft_wait_until(t, WEFT_FOREVER);
}

int
weft_fetch_until(weft_task *t, void **value, weft_time deadline)
{
    int rc = weft_wait_until(t, deadline);
    if (rc == 0 && value) *value = t->value;
    return rc;
}

int
weft_fetch(weft_task *t, void **value)
{
    return weft_fetch_until(t, value, WEFT_FOREVER);
}

/* Takes the code of a task that has ended, and drops the handle. */
static int
take_code(weft_task *t)
{
    int code = t->code;
    if (code < 0) weft__task_observe(t);
    weft_task_release(t);
    return code;
}

int
weft_join_until(weft_task *t, weft_time deadline)
{
    if (!t) return WEFT_EINVAL;
    int rc = await(t, deadline, true);
    return rc < 0 ? rc : take_code(t);
}

/* Ends t, which c ran in place, if nobody else can see it, and c's worker forked it. */
static inline __attribute__((always_inline)) bool
end_in_place(struct context *c, weft_task *t, int code)
{
    struct worker *w = c->worker;
    if (weft__unlikely(load_relaxed(&t->home) != w->tasks.home)) return false; /* relaxed: constant */
    /* acquire: as in weft__place_end_alone */
    if (weft__unlikely(load_acquire(&t->refs) != 2 || code < 0 || load_relaxed(&t->flags))) return false;
    weft__fork_end(w, c, t);
    return true;
}

/* Ends t, which c ran in place, where others may see it. */
static weft__noinline void
end_member(struct context *c, weft_task *t, int code)
{
    struct scope *scope = weft__task_scope(t);
    weft__task_end(t, code);
    weft__scope_leave(scope, c);
    weft__sched_ended(c->worker, false);
    weft__sched_spend(c, COST_JOIN);
}

/* The same for the joiner, who has a handle. */
static weft__noinline int
end_in_public(struct context *c, weft_task *t, int code)
{
    end_member(c, t, code);
    return take_code(t);
}

/* Joins t in place, if it is a child that has not started and nothing stands against it; false: it is to be waited for. */
static inline __attribute__((always_inline)) bool
join_in_place(weft_task *t, int *code)
{
    struct worker *w = weft__worker_fast();
    struct context *c = w ? w->context : NULL;
    const struct scope *s = c ? weft__task_scope(c->task) : NULL;
    if (weft__unlikely(!c || !t || !weft__task_clean_in(c->task, s))) return false; /* slow, or nothing is run */
    uint64_t tag = weft__task_ticket(t);
    if (!weft__fork_queued(w, t, tag) || !weft__fork_recent(w, t) || load_relaxed(&t->flags) ||
        !may_run_plain(c, s, t)) /* relaxed: as there */
        return false;
    if (weft__unlikely(!claim_child(w, t, tag))) return false;
    *code = call_in_place(c, t, weft__task_body);
    if (weft__unlikely(!end_in_place(c, t, *code))) *code = end_in_public(c, t, *code);
    return true;
}

int weft__calls_body
weft_join(weft_task *t)
{
    int code = 0;
    return weft__likely(join_in_place(t, &code)) ? code : weft_join_until(t, WEFT_FOREVER);
}

int weft__calls_body
weft__join_always(weft_task *t, bool *stackless)
{
    int code = 0;
    *stackless = false;
    if (weft__likely(join_in_place(t, &code))) return code;
    code = await(t, WEFT_FOREVER, false);
    if (code < 0) return code;
    *stackless = t->code == WEFT_ENOMEM && !weft_task_isstarted(t);
    return take_code(t);
}

/* Can t, a member that c ran in place, or is about to, end without anybody seeing it? */
static inline bool
is_alone(const struct context *c, const weft_task *t)
{
    /* acquire, relaxed: as in end_in_place */
    return weft__likely(load_acquire(&t->refs) == 1 && !load_relaxed(&t->flags) &&
                        load_relaxed(&t->home) == c->worker->tasks.home);
}

/* Runs t, which was popped from the deque with the tag, if it is a member of s that c may run in place; else puts it
 * back: false. */
static weft__noinline bool
run_member(struct context *c, const struct scope *s, weft_task *t, uint64_t tag)
{
    if (weft__task_scope(t) != s || !may_run_in_place(c, t)) {
        weft__sched_push(c->worker, t, tag);
        return false;
    }
    weft__task_claim_owned(t, tag);
    run_in_place(c, t);
    weft__sched_spend(c, COST_JOIN);
    return true;
}

void weft__calls_body
weft__join_members(struct context *c, struct scope *s)
{
    struct entry e;
    while (s->own != 0 && weft__deque_pop_lowest(&c->worker->deque, &e)) {
        weft_task *t = weft__container(e.item, weft_task, run);
        if (weft__unlikely(!may_run_plain(c, s, t) || !is_alone(c, t) || !weft__scope_clean(s))) {
            if (!run_member(c, s, t, e.tag)) return;
            continue;
        }
        weft__task_claim_owned(t, e.tag);
        int code = call_in_place(c, t, weft__task_body);
        if (weft__unlikely(code < 0 || !is_alone(c, t))) {
            end_member(c, t, code);
            continue;
        }
        store_relaxed(&t->refs, 2); /* relaxed: nobody else has one; warm again, as weft__fork_end needs it */
        weft__fork_end(c->worker, c, t);
    }
}

struct scope *
weft__task_left_open(weft_task *t)
{
    weft__misuse("a task has returned, and left a scope open: every weft_scope_open needs its weft_scope_close");
    struct scope *s = weft__task_scope(t);
    while (s->owner == t) s = s->outer;
    weft__task_scope_set(t, s);
    return s;
}

int
weft_return(void *value)
{
    struct context *c = weft__context_current();
    if (c) c->task->value = value;
    return 0;
}

weft_task *
weft_current(void)
{
    struct context *c = weft__context_current();
    return c ? c->task : NULL;
}

int
weft_worker(void)
{
    struct worker *w = weft__worker();
    return w ? w->id : -1;
}
