/* place.c - the contexts that tasks run on.  [layer 4]
 *
 * The context sits at the top of its own stack, below the colour: one page holds it and the first frames of the task.
 *
 * A context whose task has ended runs the next new task itself; only when a context that is ready is next, or nothing,
 * does it end.  So a run of short tasks switches nothing. */
#include "place.h"

#include "members.h"

#include "panic.h"

static void body(void *arg);

struct context *
weft__place_new(struct stack_cache *cache, const weft_task *t)
{
    struct stack *s = weft__stack_get(
        cache, t->stack_need <= load_relaxed(&weft__sched.stack_need) ? 0 : t->stack_need + sizeof(struct context));
    if (!s) return NULL;
    size_t size = weft__stack_size(s);
    size_t top_used = weft__round_up(s->colour + sizeof(struct context), WEFT_CACHE_LINE);
    struct context *c = (struct context *)(void *)(s->low + size - top_used);
    store_relaxed(&c->run.ticket, 0); /* relaxed: nobody knows it */
    c->stack = s;
    c->parker.context = c;           /* the parker's word stays: its generations go on */
    store_release(&s->owner, c);     /* pairs with weft__stack_each */
    store_relaxed(&c->lock.held, 0); /* relaxed: as above */
    c->opened = (struct list){NULL, NULL};
    weft__context_make(&c->machine, s->low, size, top_used, body, c);
    return c;
}

void
weft__place_free(struct stack_cache *cache, struct context *c)
{
    weft__context_forget(&c->machine);
    weft__stack_put(cache, c->stack);
}

void
weft__place_put(struct worker *w, struct context *c, weft_task *t)
{
    unsigned flags = load_relaxed(&t->flags); /* relaxed: constant bits */
    weft__count(w, COUNT_STARTED);
    c->task = t;
    c->leaving = false;
    weft__task_found(t, c);
    struct scope *s = weft__task_scope(t);
    c->base = s;
    c->credit = 0;
    /* As weft__scope_list does it; relaxed: the arming of a park publishes them. */
    bool root = !s->outer;
    c->listed = root ? s : NULL;
    store_relaxed(&c->listed_for, root ? t : NULL);
    store_relaxed(&c->listed_own, false);
    store_relaxed(&c->sheltered, false);
    c->pool = w->pool;
    c->home = flags & WEFT_STICKY ? w : NULL;
    c->fpenv = flags & WEFT_FPENV;
    c->floor = (char *)c->machine.low + w->tasks.stack_need;
    w->floor = weft__deque_index(&w->deque); /* as when it is switched to */
}

static void
run_task(struct context *c)
{
    weft_task *t = c->task;
    bool cancelled = weft__task_cancelled(t);
    if (weft__watched()) weft__watch_begin(c, t);
    int code = cancelled ? WEFT_ECANCELED : weft__task_call(t);
    struct scope *scope = weft__task_scope(t);
    if (weft__unlikely(scope->owner == t)) scope = weft__task_left_open(t);
    if (weft__watched()) weft__watch_end(c, t, code);
    struct worker *w = c->worker;
    weft__assert(c->task == t);
    if (!cancelled && weft__place_end_alone(w, t, code, 1)) {
        weft__scope_depart(scope, c);
        if (weft__watched()) weft__watch_back(c, NULL);
        return;
    }
    bool daemon = load_relaxed(&t->flags) & WEFT_DAEMON; /* relaxed: constant */
    if (cancelled) weft__task_end_unrun(t, code);
    else weft__task_end(t, code);
    weft__scope_depart(scope, c);
    if (weft__watched()) weft__watch_back(c, NULL);
    weft__sched_ended(c->worker, daemon); /* last: the scheduler may stop when everything has ended */
}

/* Can the task go on where c's last one ended? */
static bool
fits(const struct context *c, const weft_task *t)
{
    return t->stack_need <= load_relaxed(&weft__sched.stack_need) ||
           t->stack_need + sizeof *c <= weft__stack_size(c->stack);
}

static void
body(void *arg)
{
    struct context *c = arg;
    struct entry e;
    weft__context_entered(&c->machine);
    weft__place_arrived(c);
    for (;;) {
        run_task(c);
        struct worker *w = c->worker;
        e = weft__sched_pick(w);
        weft_task *t = e.tag ? weft__container(e.item, weft_task, run) : NULL;
        if (!t || c->fpenv || !fits(c, t)) break;
        weft__place_put(w, c, t);
    }
    weft__sched_switch(c, LEFT_ENDED, e);
    weft__panic("internal error: a context that has ended was resumed");
}
