/* scope.c - opening and closing scopes.  [layer 5]
 *
 * A scope that is opened and closed around forks and joins costs a few stores and loads: it is linked nowhere, has no
 * timer, takes no lock, and its members are counted as fork and join count them (members.c).  All else is found by a
 * look at `eventful` when it is closed. */
#include "scope.h"

#include "clock.h"
#include "failure.h"
#include "members.h"
#include "scheduler.h"
#include "tls.h"
#include "waiter.h"

#include <stddef.h>
#include <string.h>

/* The caller: a context and its task, or a plain thread and the scope it is in. */
struct caller {
    struct context *c;
    weft_task *task;
    struct scope *current;
};

static struct caller
find_caller(void)
{
    struct context *c = weft__context_fast();
    return (struct caller){c, c ? c->task : NULL, weft__scope_here(c)};
}

static void
set_current(const struct caller *me, struct scope *s)
{
    if (weft__likely(me->task != NULL)) weft__task_scope_set(me->task, s);
    else weft__thread_scope_set(s->outer ? s : NULL);
}

/* A worker that sleeps longer than until `when` looks at the timers again.  While a plain thread says so, the workers stay; if
 * there are none, they will look when they start. */
static void
hurry(int64_t when)
{
    bool visits = !weft__context_fast();
    if (!visits || weft__sched_enter()) weft__timers_nearer(when);
    if (visits) weft__sched_leave();
}

/* Sets the timer of s, unless its deadline has passed: false. */
static bool
set_timer(struct scope *s, weft_time deadline)
{
    bool passed = deadline <= weft__clock_now();
    int64_t nearer = INT64_MAX;
    weft__scope_lock(s);
    if (s->timed) weft__timer_del(&s->timer);
    s->timed = deadline != WEFT_FOREVER && !passed;
    store_relaxed(&s->deadline, deadline); /* relaxed: the epoch publishes it */
    if (s->timed) nearer = weft__timer_add_scope(&s->timer, deadline, s);
    weft__unlock(&s->lock);
    if (nearer != INT64_MAX) hurry(nearer);
    return !passed;
}

static weft__noinline void
set_deadline(struct scope *s, weft_time deadline)
{
    store_relaxed(&s->eventful, true); /* relaxed: ordered as the members' ends */
    if (!set_timer(s, deadline)) weft__scope_cancel(s, WEFT_ETIMEDOUT, true);
    else add_seq_cst(&weft__cancel_epoch, 1); /* all who are under it look again */
}

/* Makes s a scope of the caller, in outer; clean: as struct scope has it. */
static inline void
begin(struct scope *s, struct scope *outer, struct context *home, weft_task *owner, uint64_t clean)
{
    memset(&s->own, 0, offsetof(struct scope, flags) - offsetof(struct scope, own));
    store_relaxed(&s->clean, clean); /* relaxed, as all here: not known to others yet */
    s->outer = outer;
    s->home = home;
    s->owner = owner;
    s->flags = 0;
    s->sheltered = outer->sheltered;
    store_relaxed(&s->deadline, WEFT_FOREVER);
}

static weft__noinline void
open_slow(struct scope *s, unsigned flags, weft_time deadline)
{
    struct caller me = find_caller();
    if (flags & ~(unsigned)SCOPE_PUBLIC) {
        weft__misuse("weft_scope_open: a flag is unknown");
        flags &= SCOPE_PUBLIC;
    }
    if (flags & (WEFT_RACE | WEFT_KEEP)) flags |= SCOPE_COUNTED;
    /* relaxed, as in begin */
    unsigned task_flags = me.task ? load_relaxed(&me.task->flags) : 0;
    if (task_flags & WEFT_DAEMON) flags |= SCOPE_DAEMON;
    bool plain = !flags && !(task_flags & TASK_CANCEL), eventful = flags & ~(unsigned)SCOPE_DAEMON;
    begin(s, me.current, me.c, me.task, plain ? load_relaxed(&me.current->clean) : 0);
    s->flags = flags;
    s->shield = flags & WEFT_SHIELD;
    s->sheltered |= s->shield;
    if (weft__spanned()) {
        store_relaxed(&s->depth, 0);
        store_relaxed(&s->burdened, 0);
        eventful = true;
    }
    store_relaxed(&s->eventful, eventful);
    set_current(&me, s);
    if (weft__unlikely(deadline != WEFT_FOREVER)) set_deadline(s, deadline);
}

void
weft_scope_open(weft_scope *public, unsigned flags, weft_time deadline)
{
    struct scope *s = weft__scope(public);
    struct context *c = weft__context_fast();
    weft_task *t = c ? c->task : NULL;
    /* relaxed: TASK_CANCEL is found at the next cancellation point at the latest */
    if (weft__unlikely(!t || flags || deadline != WEFT_FOREVER || load_relaxed(&t->flags))) {
        open_slow(s, flags, deadline);
        return;
    }
    struct scope *outer = weft__task_scope(t);
    begin(s, outer, c, t, load_relaxed(&outer->clean)); /* relaxed: as in begin */
    weft__task_scope_set(t, s);
}

/* Was s opened by the caller, and is it the innermost that it has open? */
static inline bool
is_innermost(const struct caller *me, const struct scope *s)
{
    return weft__likely(me->current == s && s->owner == me->task && s->home == me->c);
}

/* Has what is around s been cancelled, so that it reaches s? */
static bool
cancelled_outside(const struct caller *me, struct scope *s)
{
    if (weft__scope_shields(s)) return false;
    if (me->task && s->outer->owner != me->task && (load_relaxed(&me->task->flags) & TASK_CANCEL)) return true;
    return weft__scope_cancelled(s->outer);
}

/* The result of closing s, by the rules of weft_scope_close. */
static int
result(const struct caller *me, struct scope *s, int rc, bool stray)
{
    int reason, error = load_relaxed(&s->error); /* relaxed, as all here: the members have ended */
    bool late, interrupted = rc == WEFT_ECANCELED || load_relaxed(&s->interrupted);
    bool cancelled = weft__scope_reason(s, &reason, &late);
    if (load_relaxed(&s->won)) return 0;
    if (error < 0) return error;
    if (cancelled && !late && reason < 0) return reason;
    if (interrupted && cancelled_outside(me, s)) return WEFT_ECANCELED;
    if (interrupted && cancelled && late) return WEFT_ETIMEDOUT;
    if (stray) return WEFT_ECANCELED;
    if (interrupted && cancelled) return 0;
    return rc;
}

/* Takes s apart, of which nothing is left but what hangs on it. */
static void
dismantle(const struct caller *me, struct scope *s)
{
    if (s->timed) weft__timer_del(&s->timer);
    if (s->callbacks.head) weft__misuse("a scope is closed in which a weft_oncancel was added, and not deleted");
    if (me->c && me->c->listed == s) weft__scope_unlist(me->c);
    weft__scope_unlink(s);
    (void)weft__scope_await(s, me->c, "scope close", false, WEFT_FOREVER); /* who found it before that has pinned it */
    for (struct list_node *n; (n = weft__list_pop(&s->kept));) weft_task_release(weft__container(n, weft_task, kept));
}

static weft__noinline int
close_slow(const struct caller *me, struct scope *s, int rc)
{
    bool stray = rc == WEFT_ECANCELED && !weft__scope_cancelled(s);
    if (rc < 0) {
        if (rc != WEFT_ECANCELED) weft__scope_failed(s, rc);
        (void)weft__scope_cancel(s, rc == WEFT_ECANCELED ? 0 : rc, false);
    }
    if (me->c) weft__join_members(me->c, s);
    (void)weft__scope_await(s, me->c, "scope close", false, WEFT_FOREVER);
    if (weft__spanned()) weft__span_closed(s);
    weft__scope_lock(s); /* what is under it can be used from here on */
    weft__unlock(&s->lock);
    dismantle(me, s);
    rc = result(me, s, rc, stray);
    set_current(me, s->outer);
    s->owner = NULL;
    s->home = NULL;
    return rc;
}

/* What is left of closing s where the quick way did not end. */
static weft__noinline int
close_closely(struct scope *s, int rc)
{
    struct caller me = find_caller();
    if (is_innermost(&me, s)) return close_slow(&me, s, rc);
    weft__misuse("weft_scope_close: the scope is not the innermost one that the caller has open");
    return WEFT_EINVAL;
}

int
weft_scope_close(weft_scope *public, int rc)
{
    struct scope *s = weft__scope(public);
    struct context *c = weft__context_fast();
    weft_task *t = c ? c->task : NULL;
    if (weft__unlikely(!t || weft__task_scope(t) != s || s->owner != t || s->home != c || rc < 0))
        return close_closely(s, rc);
    if (s->own != 0) weft__join_members(c, s);
    /* acquire: pairs with D1 of members.c.  relaxed: before the end of whoever wrote it, or by the caller */
    if (weft__unlikely((load_acquire(&s->others) | s->own) != 0 || load_relaxed(&s->eventful)))
        return close_closely(s, rc);
    weft__task_scope_set(t, s->outer);
    s->owner = NULL;
    return rc;
}

void
weft_scope_cancel(weft_scope *s, int reason)
{
    if (reason > 0) {
        weft__misuse("weft_scope_cancel: the reason is above 0");
        reason = 0;
    }
    (void)weft__scope_cancel(weft__scope(s), reason, false);
}

bool
weft_scope_iscancelled(const weft_scope *s)
{
    return weft__scope_cancelled(weft__scope(s));
}

int
weft_scope_why(const weft_scope *public)
{
    struct scope *s = weft__scope(public);
    int reason;
    bool late;
    if (!weft__scope_cancelled(s)) return 0;
    for (; s; s = s->outer) {
        if (weft__scope_reason(s, &reason, &late)) return reason;
    }
    return WEFT_ECANCELED; /* a task's own */
}

void
weft_scope_deadline(weft_scope *s, weft_time deadline)
{
    set_deadline(weft__scope(s), deadline);
}

weft_scope *
weft_scope_current(void)
{
    return (weft_scope *)(void *)find_caller().current;
}

weft_time
weft_deadline(void)
{
    struct caller me = find_caller();
    bool cancelled = me.c ? weft__task_cancelled(me.task) : weft__scope_cancelled(me.current);
    return cancelled ? WEFT_NOW : weft__scope_earliest(me.current);
}

int
weft_check(void)
{
    return weft__cancelled(weft__context_fast()) ? WEFT_ECANCELED : 0;
}

void
weft_scope_limit(weft_scope *public, size_t n)
{
    struct scope *s = weft__scope(public);
    store_relaxed(&s->eventful, true); /* relaxed: ordered as the members' ends */
    if (!(s->flags & SCOPE_COUNTED)) {
        if (load_relaxed(&s->others) != 0 ||
            s->own != 0) { /* relaxed: the caller spawned them, or would have to know */
            weft__misuse("weft_scope_limit: the scope has members already, and had no limit");
            return;
        }
        s->flags |= SCOPE_COUNTED;
        store_relaxed(&s->clean, 0); /* relaxed: only the caller is in it */
    }
    weft__scope_relimit(s, n);
}

int
weft_scope_wait_until(weft_scope *public, weft_time deadline)
{
    struct scope *s = weft__scope(public);
    struct caller me = find_caller();
    if (!is_innermost(&me, s)) return WEFT_EINVAL;
    if (weft__cancelled(me.c)) return WEFT_ECANCELED;
    if (me.c && deadline == WEFT_FOREVER) weft__join_members(me.c, s);
    int rc = weft__scope_await(s, me.c, "scope wait", true, deadline);
    if (rc == 0 && weft__spanned()) weft__span_closed(s);
    return rc;
}

int
weft_scope_wait(weft_scope *s)
{
    return weft_scope_wait_until(s, WEFT_FOREVER);
}

/* Takes the member that ended first, of those that are left.  0, WEFT_ENOENT, or WEFT_EAGAIN.  Under the lock. */
static int
take_kept(struct scope *s, weft_task **t)
{
    struct list_node *n = weft__list_pop(&s->kept);
    if (n) *t = weft__container(n, weft_task, kept);
    return n ? 0 : s->live == 0 ? WEFT_ENOENT : WEFT_EAGAIN;
}

int
weft_scope_next_until(weft_scope *public, weft_task **t, weft_time deadline)
{
    struct scope *s = weft__scope(public);
    struct context *c = weft__context_current();
    struct wait wait;
    struct waiter registration;
    if (!t || !(s->flags & WEFT_KEEP)) return WEFT_EINVAL;
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    if (c) weft__scope_park(c);
    weft__scope_lock(s);
    int rc = take_kept(s, t);
    if (rc != WEFT_EAGAIN || deadline == WEFT_NOW) {
        weft__unlock(&s->lock);
        if (rc == 0 && weft__spanned()) weft__span_joined(*t);
        return rc;
    }
    weft__wait_begin(&wait, c, "scope next", true);
    weft__wait_register(&wait, &registration, &s->nexters, 0, t);
    weft__unlock(&s->lock);
    rc = weft__wait_park(&wait, deadline);
    if (!weft__wait_interrupted(&wait)) return rc;
    weft__acquire(&s->lock);
    weft__wait_withdraw(&registration, &s->nexters);
    weft__unlock(&s->lock);
    return rc;
}

int
weft_scope_next(weft_scope *s, weft_task **t)
{
    return weft_scope_next_until(s, t, WEFT_FOREVER);
}
