/* model_scope.h - scopes, for models of what is below them: there is one, and nothing is ever walked, counted or timed. */
#ifndef WEFT_TESTS_MODEL_SCOPE_H
#define WEFT_TESTS_MODEL_SCOPE_H

#include "task.h"
#include "waiter.h"

_Atomic bool weft__shields_broken;
_Atomic uint64_t weft__cancel_epoch = 1; /* no scope has seen it: every check takes the closer look */

bool
weft__scope_cancelled(struct scope *s)
{
    return load_relaxed(&s->cancelled) != 0;
}

bool
weft__task_cancelled_slow(const weft_task *t, struct scope *s)
{
    return weft__scope_cancelled(s) || (load_relaxed(&t->flags) & TASK_CANCEL);
}

bool
weft__thread_cancelled(void)
{
    return false;
}

struct scope *
weft__thread_scope(void)
{
    return NULL;
}

bool
weft__scope_mark(struct scope *s, int reason, bool late)
{
    (void)reason;
    (void)late;
    store_release(&s->cancelled, 1);
    return true;
}

bool
weft__scope_cancel(struct scope *s, int reason, bool late)
{
    return weft__scope_mark(s, reason, late);
}

void
weft__scope_walk(struct scope *root)
{
    (void)root;
}

void
weft__scope_list(struct context *c)
{
    c->listed = weft__task_scope(c->task);
    store_relaxed(&c->listed_for, c->task);
}

void
weft__scope_expire(struct scope *s)
{
    (void)s;
}

void
weft__scope_enter(struct scope *s, struct context *c)
{
    (void)s;
    (void)c;
}

void
weft__scope_leave(struct scope *s, struct context *c)
{
    (void)s;
    (void)c;
}

#endif
