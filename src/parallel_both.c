/* parallel_both.c - fork and join of two.  [layer 6]
 *
 * The second function is offered to thieves while the first one runs.  If nobody has taken it by then, it is taken back,
 * and called like any function: it need not be a task.  If it fails, that is the caller's business, and not that of the
 * scope that both are in: so the task that a thief runs completes, and it is a helper (scheduler.h).  Where the fork is fast
 * it is not marked as one: the scope has no limit then, keeps nobody, and is no race, so only a lack of stack would tell.
 *
 * A cancellation of the scope reaches both.  One of the caller's task alone reaches the second only by way of the first's
 * caller, which passes it on when it waits. */
#include "fork.h"
#include "parallel.h"

#include <weft/parallel.h>

struct second {
    weft_fn *g;
    void *b;
    int code;
    bool begun;
};

/* As a task: for a thief. */
int
weft__both_second(void *arg)
{
    struct second *s = arg;
    s->begun = true;
    s->code = s->g(s->b);
    return 0;
}

/* Takes back t, a helper with whatever it may have, if it is where the caller's worker put it last.  What is watched runs as a
 * task. */
static bool
take_back_slow(weft_task *t)
{
    struct worker *w = weft__worker();
    struct context *c = w ? w->context : NULL;
    uint64_t tag = weft__task_ticket(t);
    if (!c || !weft__fork_queued(w, t, tag) || weft__cancelled(c) ||
        (load_relaxed(&t->flags) & (TASK_CANCEL | TASK_WATCHED)))
        return false; /* relaxed: as good as later */
    if (!weft__deque_pop_this(&w->deque, t->index)) return false;
    weft__task_claim_owned(t, tag);
    bool daemon = load_relaxed(&t->flags) & WEFT_DAEMON; /* relaxed: constant */
    struct scope *scope = weft__task_scope(t);
    weft__task_end(t, 0);
    weft__scope_leave(scope, c);
    weft__sched_ended(w, daemon);
    weft_task_release(t);
    return true;
}

/* Where the caller cannot fork, or what it forked has been taken. */
static weft__noinline int
run_second(weft_task *t, struct second *s)
{
    bool stackless;
    if (take_back_slow(t)) return s->g(s->b);
    /* s is in the caller's frame: it is waited for, whatever happens to the caller */
    if (weft__helper_deserted(t)) (void)weft_cancel(t);
    int code = weft__join_always(t, &stackless);
    if (s->begun) return s->code;
    return stackless ? s->g(s->b) : code;
}

static weft__noinline int
both_slow(weft_fn *f, void *a, weft_fn *g, void *b)
{
    weft_task *t;
    struct second s = {g, b, 0, false};
    if (!f || !g) return WEFT_EINVAL;
    int rc = weft__helper_spawn(&t, weft__both_second, &s);
    if (rc < 0 && rc != WEFT_ENOMEM) return rc;
    int first = f(a);
    int second = rc == 0 ? run_second(t, &s) : g(b);
    return first < 0 ? first : second;
}

/* Takes back t, if it is where c's worker put it last. */
static inline bool
take_back(struct context *c, weft_task *t)
{
    struct worker *w = c->worker;
    if (weft__unlikely(!weft__fork_queued(w, t, weft__task_ticket(t)) || !weft__task_clean(c->task))) return false;
    if (weft__unlikely(!weft__deque_pop_this(&w->deque, t->index))) return false;
    weft__fork_end(w, c, t);
    return true;
}

int
weft_both(weft_fn *f, void *a, weft_fn *g, void *b)
{
    struct worker *w = weft__worker_fast();
    struct context *c = weft__fork_context(w);
    if (weft__unlikely(!c || !f || !g || !weft__fork_ready(w))) return both_slow(f, a, g, b);
    struct second s = {g, b, 0, false};
    weft_task *t, *handle;
    t = weft__fork(w, c, weft__both_second, &s, &handle);
    if (weft__unlikely(!weft__fork_unseen(w))) weft__idle_wake_slow(w->pool);
    int first = f(a);
    int second = weft__likely(take_back(c, t)) ? g(b) : run_second(t, &s);
    return weft__unlikely(first < 0) ? first : second;
}
