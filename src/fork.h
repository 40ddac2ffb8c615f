/* fork.h - forking a task, and taking it back before it has started: what spawn, join and both have in common.  [layer 4]
 *
 * All of it is the owner's work on its own worker: a descriptor from the cache, which is warm (task.h), so few of its
 * fields have to be written, all in one cache line; an entry of the deque; and on the way back the pop. */
#ifndef WEFT_SRC_FORK_H
#define WEFT_SRC_FORK_H

#include "scheduler.h"

/* The running context, if tasks forked there are ordinary: migratable, in its worker's own pool, not cancelled, and not watched;
 * else NULL. */
static inline struct context *
weft__fork_context(const struct worker *w)
{
    struct context *c = w ? w->context : NULL;
    const struct scope *s = c ? weft__task_scope(c->task) : NULL;
    return weft__likely(c && w->quick && weft__task_clean_in(c->task, s) && weft__scope_ready(s, c)) ? c : NULL;
}

/* Has w a descriptor at hand, and room for an entry? */
static inline bool
weft__fork_ready(const struct worker *w)
{
    return weft__likely(w->tasks.head && weft__deque_has_room(&w->deque));
}

/* Makes and pushes a task; *out (if out is not NULL) is its handle, before it can run.  Who calls it wakes others. */
static inline weft_task *
weft__fork(struct worker *w, struct context *c, weft_fn *fn, void *arg, weft_task **out)
{
    weft_task *t = weft__container(w->tasks.head, weft_task, run);
    w->tasks.head = t->run.link;
    w->tasks.count--;
    t->fn = fn;
    t->arg = arg;
    struct scope *s = weft__task_scope(c->task);
    weft__task_scope_set(t, s);
    weft__scope_forked(s, c);
    t->value = NULL;
    if (out) *out = t;
    else store_relaxed(&t->refs, 1); /* relaxed: the deque publishes it */
    bump(&w->made[0], 1);
    uint64_t tag = weft__task_ticket(t) - PHASE_FREE + PHASE_QUEUED;
    store_relaxed(&t->run.ticket, tag);                     /* relaxed: the deque publishes it */
    weft__deque_append(&w->deque, &t->run, tag, &t->index); /* from here on t may be anything, if there is no handle */
    return t;
}

/* After weft__fork: need nobody be woken? */
static inline bool
weft__fork_unseen(const struct worker *w)
{
    return weft__likely(w->alone || weft__idle_quiet(w->pool));
}

/* Did w fork t, and has it not started, as far as can be seen? */
static inline bool
weft__fork_queued(const struct worker *w, const weft_task *t, uint64_t tag)
{
    /* relaxed: written before the task was queued, by this thread or before the handle came here */
    return weft__likely(weft__task_phase(tag) == PHASE_QUEUED && load_relaxed(&t->home) == w->tasks.home);
}

/* Was t, which w forked, forked since the running context was last switched to?  Then by that one. */
static inline bool
weft__fork_recent(const struct worker *w, const weft_task *t)
{
    return weft__likely((int32_t)(t->index - w->floor) >= 0);
}

/* Counts t as ended, and frees its descriptor, which is as warm as when weft__fork took it: it has no flags, both of its
 * references are the caller's, and w forked it.  Now and then lets others have a turn (scheduler.h, the budget; this
 * count is at hand already). */
static inline void
weft__fork_end(struct worker *w, struct context *c, weft_task *t)
{
    weft__scope_joined(weft__task_scope(t), c);
    uint64_t ended = load_relaxed(&w->ended[0]) + 1;
    store_release(&w->ended[0], ended); /* release: as weft__sched_ended */
    weft__task_recycle_warm(t, &w->tasks);
    if (weft__unlikely(ended % BUDGET == 0)) weft__sched_exhausted(c);
}

#endif
