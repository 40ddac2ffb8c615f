/* parallel_both.c - fork and join of two.  [layer 6]
 *
 * The second function is offered to thieves while the first one runs.  If nobody has taken it by then, it is taken back,
 * and called like any function: it need not be a task. */
#include "fork.h"

#include <weft/parallel.h>

/* Where the caller cannot fork, or what it forked has been taken. */
static weft__noinline int
run_second(weft_task *t, weft_fn *g, void *b)
{
    bool stackless;
    /* b may be in the caller's frame: g is waited for, whatever happens to the caller */
    int code = weft__join_always(t, &stackless);
    return stackless ? g(b) : code;
}

static weft__noinline int
both_slow(weft_fn *f, void *a, weft_fn *g, void *b)
{
    weft_task *t;
    if (!f || !g) return WEFT_EINVAL;
    int rc = weft_spawn(&t, g, b);
    if (rc < 0 && rc != WEFT_ENOMEM) return rc;
    int first = f(a);
    int second = rc == 0 ? run_second(t, g, b) : g(b);
    return first < 0 ? first : second < 0 ? second : 0;
}

/* Takes back t, if it is where c's worker put it last. */
static inline bool
take_back(struct context *c, weft_task *t)
{
    struct worker *w = c->worker;
    if (weft__unlikely(!weft__fork_queued(w, t, weft__task_ticket(t)) || weft__task_cancelled(c->task))) return false;
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
    weft_task *t, *handle;
    t = weft__fork(w, c, g, b, &handle);
    if (weft__unlikely(!weft__fork_unseen(w))) weft__idle_wake_slow(w->pool);
    int first = f(a);
    int second = weft__likely(take_back(c, t)) ? g(b) : run_second(t, g, b);
    return weft__unlikely(first < 0) ? first : second < 0 ? second : 0;
}
