/* scope.h - scopes from inside: what is cancelled as a whole, and the count of its members.  [layer 3]
 *
 * The essays are in cancel.c (how a cancellation finds everybody) and members.c (how members are counted). */
#ifndef WEFT_SRC_SCOPE_H
#define WEFT_SRC_SCOPE_H

#include "list.h"
#include "park.h"
#include "timerq.h"

#include <weft/scope.h>

enum {                         /* flags, above the public ones */
       SCOPE_COUNTED = 1 << 8, /* has a limit, or keeps members: `live` is exact, and members end the slow way */
       SCOPE_DAEMON = 1 << 9,  /* opened by a daemon: so are its members, as far as the end of weft_run goes */
       SCOPE_SLOW = SCOPE_COUNTED | SCOPE_DAEMON, /* forking a member takes the slow way too: it is never `clean` */
       SCOPE_PUBLIC = WEFT_SUPERVISE | WEFT_RACE | WEFT_SHIELD | WEFT_KEEP
};

enum { SCOPE_MEMBER = 2, SCOPE_AWAITED = 1 }; /* in others */

struct scope {
    /* What checks and forks look at; written when it is opened. */
    _Atomic uint64_t
        clean; /* in this epoch neither it nor what is around it was cancelled, and there was no deadline; 0: look */
    struct scope *outer;  /* NULL: the root */
    struct context *home; /* of the opener; NULL: a plain thread, or the root */
    weft_task *owner;     /* the opener; NULL: a plain thread, or not open */

    /* All 0 when it is opened, up to flags. */
    int64_t own;               /* home's: members that it made, less those that ended on it */
    _Atomic int64_t others;    /* SCOPE_MEMBER times the rest of the count, and SCOPE_AWAITED */
    _Atomic int64_t cancelled; /* by itself: 0, or CANCELLED, the reason and why: cancel.c */
    _Atomic uint64_t seen;     /* the epoch in which earliest was the earliest deadline, and nothing was cancelled */
    weft__lock lock;
    _Atomic int error;        /* the first of a member or of the body */
    _Atomic bool interrupted; /* a member was cancelled */
    _Atomic bool won;         /* a member completed, of a WEFT_RACE */
    _Atomic bool eventful;    /* closing it takes a closer look */
    _Atomic bool anchored;    /* it and all around it are linked */
    _Atomic bool doomed;      /* it was found cancelled, by itself or from outside: so it stays */
    bool shield;              /* a WEFT_SHIELD.  Not flags: any walk reads it */
    bool sheltered;           /* there is a WEFT_SHIELD between it and the root, or it is one */
    bool warm;                /* the rest is initialised.  Under lock */

    unsigned flags;
    _Atomic weft_time deadline;
    _Atomic weft_time earliest;       /* see seen */
    _Atomic uint64_t depth, burdened; /* while counting: the mark of what has ended in it (span.c) */

    /* Under lock. */
    struct list listed;    /* contexts that have parked in it: cancel.c */
    struct list children;  /* scopes that are linked below it */
    struct list callbacks; /* weft_oncancel */
    bool linked;           /* it is in outer's children, and in home's opened */
    bool timed;            /* the timer has been set */
    struct timer timer;
    struct waiter *closer; /* waits for the last member */
    struct list kept;      /* members that have ended, for weft_scope_next, */
    struct list nexters;   /* who waits for one, */
    struct list spawners;  /* and who waits to spawn: members.c */
    size_t live, limit;

    struct list_node sibling; /* under outer's lock */
    struct list_node opened;  /* under home's lock */
    struct scope *walk_next;  /* under the lock of the walks: cancel.c */
    bool walking;
};

_Static_assert(sizeof(struct scope) <= sizeof(struct weft_scope), "weft/scope.h has room for it");

static inline struct scope *
weft__scope(const weft_scope *s)
{
    return (struct scope *)(uintptr_t)s;
}

/* Counts every cancellation, and every change of a deadline. */
extern _Atomic uint64_t weft__cancel_epoch;

/* No WEFT_SHIELD keeps anything out any more: shutdown.c. */
extern _Atomic bool weft__shields_broken;

/* Does s keep out what is cancelled around it?  After the epoch has been read, or in the course of a walk. */
static inline bool
weft__scope_shields(const struct scope *s)
{
    return s->shield &&
           !load_relaxed(&weft__shields_broken); /* relaxed: the epoch orders it, or what the walk is for */
}

/* ---- cancel.c ------------------------------------------------------------------------------------------------------ */

/* Takes s's lock, and sees to it that what is under it can be used. */
void weft__scope_lock(struct scope *s);

/* Is s cancelled, or anything around it that reaches it? */
bool weft__scope_cancelled(struct scope *s);

/* Cancels s; false: it was cancelled already.  late: because of its deadline. */
bool weft__scope_cancel(struct scope *s, int reason, bool late);

/* Parts of it: C1 and C2, async-signal-safe (false: it was marked already); and C4, for the root, after the caller's C3. */
bool weft__scope_mark(struct scope *s, int reason, bool late);
void weft__scope_walk(struct scope *root);

/* The earliest deadline that s is under. */
weft_time weft__scope_earliest(const struct scope *s);

/* The reason of a scope that is cancelled by itself, and whether it was its deadline; false: it is not. */
bool weft__scope_reason(const struct scope *s, int *reason, bool *late);

/* Before the running task of c begins a park that a cancellation may end: lists c where the cancellation finds it. */
void weft__scope_list(struct context *c);

/* c leaves the scope in which it is listed. */
void weft__scope_unlist(struct context *c);

/* Takes s, which is being closed, out of the tree. */
void weft__scope_unlink(struct scope *s);

/* Everything around s is linked: a cancellation finds what is listed in it. */
void weft__scope_anchor(struct scope *s);

/* The deadline of s, from the wheel's timer: s is pinned. */
void weft__scope_expire(struct scope *s);

/* ---- members.c ------------------------------------------------------------------------------------------------------ */

/* One member of s more, or less, as far as c has to do with it; NULL: a plain thread, or no context. */
void weft__scope_enter(struct scope *s, struct context *c);
void weft__scope_leave(struct scope *s, struct context *c);

/* n members less, which were counted in others. */
void weft__scope_drop(struct scope *s, int64_t n);

/* t, a member, is about to end in phase with code: what that means by the policy of its scope. */
void weft__scope_outcome(weft_task *t, unsigned phase, int code);

/* SCOPE_COUNTED only.  t has ended: it is kept, and others may be spawned.  NULL: one was not spawned after all. */
void weft__scope_ended(struct scope *s, weft_task *t);

/* Keeps s from being closed until it is dropped. */
static inline void
weft__scope_pin(struct scope *s)
{
    add_relaxed(&s->others, SCOPE_MEMBER); /* relaxed: s is known to be open */
}

/* What runs on a context is in a scope that was opened there, or in the one that its outermost task is a member of: so
 * forking there, and ending what was forked, touch only what is the context's own. */

/* Can c, which runs in s, fork a member without a closer look? */
static inline bool
weft__scope_ready(const struct scope *s, const struct context *c)
{
    return weft__likely(!s->outer || s->home == c || c->credit > 0);
}

static inline void
weft__scope_forked(struct scope *s, struct context *c)
{
    if (weft__likely(!s->outer)) return;
    if (s->home == c) s->own++;
    else c->credit--;
}

static inline void
weft__scope_joined(struct scope *s, struct context *c)
{
    if (weft__likely(!s->outer)) return;
    if (s->home == c) s->own--;
    else c->credit++;
}

#endif
