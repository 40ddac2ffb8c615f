/*
 * cancel.c - how a cancellation reaches everything inside of what is cancelled.  [layer 3]
 *
 * Scopes form a tree: each knows the one around it.  A task is a node of that tree too, between the scope that it is a
 * member of and the scopes that it opens.  A cancellation marks one node.  Two things have to follow: whoever runs below
 * it has to notice at the next check, and whoever is parked below it has to be woken.  Both must cost nothing where
 * nothing is cancelled: opening a scope, spawning, and parking again write nothing that is shared.
 *
 * Checking.  The flag is not pushed down; a check looks up.  A global epoch counts all cancellations (and changes of
 * deadlines).  A scope remembers the epoch in which it last found nothing, and while the epoch stays the same a check
 * is two loads and a comparison.  After any cancellation, anywhere, each scope climbs once, to the first one around it
 * that has done so already; a cancellation that is found is remembered for ever.  Under a deadline a check compares the
 * clock with the earliest one, which is remembered likewise: a task that computes and checks is cancelled in time even if
 * nobody polls the timers.
 *
 * Waking.  A context is listed in the scope in which it has parked, and stays listed when it goes on: only when it first
 * parks in another scope, and when its task ends, it moves.  A scope in which something is listed is linked to the one
 * around it, and that one to the next, up to the root.  So a walk from the node that is cancelled, over children and what is
 * listed in them, finds every context that may be parked there, and claims those that are.  It passes by a WEFT_SHIELD,
 * unless shields are broken (shutdown.c).
 *
 * Hazard.  A task finds no flag, and parks; a cancellation finds no parked task, and goes.
 *
 *      parker                                         canceller
 *      L1  list c, anchor the scope   (locks)         C1  mark the node
 *      L2  arm the park                               C2  epoch += 1
 *      L3  light fence  <---------- [cancel] -------> C3  heavy fence
 *      L4  check: epoch, flags; if cancelled,         C4  walk: under each scope's lock, claim what is listed,
 *          claim the own park                             and go on to its children
 *      L5  switch away
 *
 * Either L4 sees C1 and C2, or C4 sees L1 and L2.  L1 is not before each park: it may be long past.  C3 may be left out where
 * C4 finds nothing listed: then L1 comes after C4 under the same lock, and so does L4.
 *
 * A stale claim.  A context can be claimed under s's lock while it is listed in s.  It unlists under that lock before it arms a
 * park in any other scope.  So no walk of s claims a park of another scope, shielded or later.
 *
 * Lifetime.  A scope is pinned, by one more in its count of members, before the lock under which it was found is released:
 * its closer waits for the walk to drop it.  One thread walks at a time; scopes to be walked are queued through a link in
 * each, so nothing is allocated, and nothing recurses however deep the tree is.  Who cancels while somebody walks leaves the
 * scope to that one.
 *
 * A single task (weft_cancel).  If it has a scope open that is linked, the outermost one is walked: whatever it waits in is
 * below that.  If not, its context is claimed, provided that the park is the task's own (listed_for) and not inside of a scope
 * that it opened (listed_own).  Both are written before the park is armed, and the claim fails if it is over: so they
 * are true of the park that is claimed.  The task's lock keeps it from ending meanwhile, and its context with it.
 *
 * Rejected.  Pushing the flag down to every scope: each open would write into a list.  Walking all stacks: each timeout of one
 * connection would visit all others.
 *
 * Checked.  tests/model_cancel.c (the park), tests/model_walk.c; tests/test_cancel.c, test_scope.c, test_deadline.c,
 * tests/stress_cancel.c.
 */
#include "scope.h"

#include "bits.h"
#include "clock.h"
#include "fence.h"
#include "hook.h"
#include "task.h"
#include "tls.h"
#include "waiter.h"

#include <sched.h>

#define CANCELLED (INT64_C(1) << 32)
#define LATE (INT64_C(1) << 33)

_Atomic uint64_t weft__cancel_epoch = 1;
_Atomic bool weft__shields_broken;

void
weft__scope_lock(struct scope *s)
{
    weft__acquire(&s->lock);
    if (weft__likely(s->warm)) return;
    s->listed = s->children = s->callbacks = s->kept = s->nexters = s->spawners = (struct list){NULL, NULL};
    s->linked = s->timed = s->walking = false;
    s->closer = NULL;
    s->live = 0;
    s->limit = SIZE_MAX;
    s->sibling = s->opened = (struct list_node){NULL, NULL};
    s->warm = true;
}

/* ---- Checking ------------------------------------------------------------------------------------------------------ */

bool
weft__scope_reason(const struct scope *s, int *reason, bool *late)
{
    int64_t c = load_acquire(&s->cancelled); /* acquire: what came before the cancellation */
    *reason = (int)(uint32_t)c;
    *late = c & LATE;
    return c != 0;
}

/* Does a cancellation of what is around s reach it, from its opener's own node? */
static inline bool
owner_cancelled(const struct scope *s)
{
    return s->owner && s->outer->owner != s->owner &&
           (load_relaxed(&s->owner->flags) & TASK_CANCEL); /* relaxed: the epoch was read first */
}

/* What s remembers of epoch: the earliest deadline. */
static bool
remembers(const struct scope *s, uint64_t epoch, weft_time *earliest)
{
    if (load_acquire(&s->seen) != epoch) return false; /* acquire: earliest was written before */
    *earliest = load_acquire(&s->earliest);            /* acquire: before the second look */
    return load_relaxed(&s->seen) == epoch;            /* relaxed: if it has changed, earliest may have too */
}

static void
remember(struct scope *s, uint64_t epoch, weft_time earliest)
{
    weft__acquire(&s->lock);
    if (load_relaxed(&s->seen) < epoch) { /* relaxed: under the lock */
        store_relaxed(&s->seen, 0);       /* relaxed: the next store releases it */
        store_release(&s->earliest, earliest);
        store_release(&s->seen, epoch); /* pairs with remembers */
    }
    weft__unlock(&s->lock);
}

/* Climbs from s, to the first scope that is cancelled, or inside of a task that is; NULL: there is none.  *earliest: the
 * earliest deadline up to there, or that s is under. */
static struct scope *
survey(struct scope *s, uint64_t epoch, weft_time *earliest)
{
    for (struct scope *x = s;; x = x->outer) {
        weft_time t = load_relaxed(&x->deadline); /* relaxed: the epoch was read first, as for the next */
        if (load_acquire(&x->cancelled) || load_relaxed(&x->doomed)) return x; /* acquire: what came before it */
        if (x != s && remembers(x, epoch, &t)) {
            if (t < *earliest) *earliest = t;
            return NULL;
        }
        if (t < *earliest) *earliest = t;
        if (!x->outer || weft__scope_shields(x)) return NULL;
        if (owner_cancelled(x)) return x;
    }
}

/* What is between s and found need not be climbed again: however deep the nest, each scope is passed once. */
static void
doom(struct scope *s, struct scope *found)
{
    for (struct scope *x = s;; x = x->outer) {
        store_relaxed(&x->doomed, true); /* relaxed: true already, whoever sees it */
        if (x == found) return;
    }
}

/* Some deadline that s is under has passed, unless it has just been moved: false. */
static bool
expire(struct scope *s, weft_time now)
{
    bool passed = false;
    for (struct scope *x = s; x->outer; x = x->outer) {
        if (load_relaxed(&x->deadline) <= now) { /* relaxed: as in survey */
            (void)weft__scope_cancel(x, WEFT_ETIMEDOUT, true);
            passed = true;
        }
        if (x->shield) break;
    }
    return passed;
}

bool
weft__scope_cancelled(struct scope *s)
{
    /* Between C1 and C2 whoever had looked before C1 may still note for the old epoch that all is well.  relaxed: who has
     * found it cancelled once finds it so again: what stands there does not change back */
    if (load_relaxed(&s->doomed)) return true;
    uint64_t epoch = load_acquire(&weft__cancel_epoch); /* acquire: pairs with C2 */
    weft_time earliest = WEFT_FOREVER;
    if (!remembers(s, epoch, &earliest)) {
        earliest = WEFT_FOREVER;
        struct scope *found = survey(s, epoch, &earliest);
        if (found) {
            doom(s, found);
            return true;
        }
        remember(s, epoch, earliest);
    }
    if (earliest == WEFT_FOREVER) {
        if (!(s->flags & SCOPE_SLOW)) store_relaxed(&s->clean, epoch); /* relaxed: a hint, compared with the epoch */
        return false;
    }
    weft_time now = weft__clock_now();
    return now >= earliest && expire(s, now);
}

bool
weft__task_cancelled_slow(const weft_task *t, struct scope *s)
{
    /* Where it has a scope open, its own node is seen from that; relaxed: as in weft__task_cancelled */
    if (s->owner != t && (load_relaxed(&t->flags) & TASK_CANCEL)) return true;
    return weft__scope_cancelled(s);
}

weft__noinline bool
weft__thread_cancelled(void)
{
    struct scope *s = weft__thread_scope();
    return s && weft__scope_cancelled(s);
}

weft_time
weft__scope_earliest(const struct scope *s)
{
    weft_time earliest = WEFT_FOREVER;
    for (const struct scope *x = s; x->outer; x = x->outer) {
        weft_time t = load_relaxed(&x->deadline); /* relaxed: an answer of a moment */
        if (t < earliest) earliest = t;
        if (x->shield) break;
    }
    return earliest;
}

/* ---- Listing and linking ------------------------------------------------------------------------------------------- */

/* Links s to what is around it.  Child's lock before parent's: nobody holds a parent's lock and takes a child's. */
static void
link_one(struct scope *s)
{
    weft__scope_lock(s);
    if (!s->linked) {
        weft__scope_lock(s->outer);
        weft__list_append(&s->outer->children, &s->sibling);
        weft__unlock(&s->outer->lock);
        if (s->home) {
            weft__acquire(&s->home->lock);
            weft__list_append(&s->home->opened, &s->opened);
            weft__unlock(&s->home->lock);
            or_acq_rel(&s->owner->flags, TASK_BRANCHED); /* published with the lock of whoever cancels it */
        }
        s->linked = true;
        store_relaxed(&s->eventful, true); /* relaxed: the members' ends order it before the closing */
    }
    weft__unlock(&s->lock);
}

void
weft__scope_anchor(struct scope *s)
{
    struct scope *x, *end;
    /* acquire: pairs with the release below: all around x is linked */
    for (x = s; x->outer && !load_acquire(&x->anchored); x = x->outer) link_one(x);
    for (end = x, x = s; x != end; x = x->outer) store_release(&x->anchored, true);
}

void
weft__scope_unlink(struct scope *s)
{
    if (!s->linked) return;
    weft__acquire(&s->outer->lock);
    weft__list_remove(&s->outer->children, &s->sibling);
    weft__unlock(&s->outer->lock);
    if (s->home) {
        weft__acquire(&s->home->lock);
        weft__list_remove(&s->home->opened, &s->opened);
        weft__unlock(&s->home->lock);
    }
    s->linked = false;
}

void
weft__scope_unlist(struct context *c)
{
    struct scope *s = c->listed;
    if (!s || !s->outer) return;
    weft__acquire(&s->lock);
    weft__list_remove(&s->listed, &c->listing);
    weft__unlock(&s->lock);
    c->listed = NULL;
    store_relaxed(&c->listed_for, NULL); /* relaxed: the next park lists it again */
}

void
weft__scope_list(struct context *c)
{
    const weft_task *t = c->task;
    struct scope *s = weft__task_scope(t);
    if (c->listed != s) {
        weft__scope_unlist(c);
        if (s->outer) {
            weft__scope_anchor(s);
            weft__scope_lock(s);
            weft__list_append(&s->listed, &c->listing);
            weft__unlock(&s->lock);
        }
        c->listed = s;
    }
    store_relaxed(&c->sheltered, s->sheltered); /* relaxed, as the next: the arming of the park publishes them */
    store_relaxed(&c->listed_own, s->owner == t);
    store_relaxed(&c->listed_for, t);
}

/* ---- Cancelling ---------------------------------------------------------------------------------------------------- */

/* The scopes that are to be walked.  Each is pinned. */
static struct {
    weft__lock lock;
    struct scope *head, *tail;
    bool walking; /* some thread will come to them */
} walks;

struct oncancel {
    struct list_node node; /* in the scope's callbacks, as long as it has not been called */
    void (*cb)(void *arg);
    void *arg;
    struct scope *scope;
    _Atomic uintptr_t running; /* the thread that calls it; 0: none */
};

_Static_assert(sizeof(struct oncancel) <= sizeof(weft_oncancel), "weft/scope.h has room for it");

/* Queues s, which the caller has pinned.  true: nobody is walking, the caller has to. */
static bool
walk_later(struct scope *s)
{
    weft__acquire(&walks.lock);
    bool again = s->walking, mine = !walks.walking;
    if (!again) {
        s->walking = true;
        s->walk_next = NULL;
        if (walks.head) walks.tail->walk_next = s;
        else walks.head = s;
        walks.tail = s;
    }
    walks.walking = true;
    weft__unlock(&walks.lock);
    if (again) weft__scope_drop(s, 1); /* it will be walked after this */
    return mine;
}

static struct scope *
next_walk(void)
{
    weft__acquire(&walks.lock);
    struct scope *s = walks.head;
    if (s) {
        walks.head = s->walk_next;
        s->walking = false;
    } else {
        walks.walking = false;
    }
    weft__unlock(&walks.lock);
    return s;
}

/* C4, for one scope: claims what is parked there, and queues the children.  Under its lock. */
static void
claim_all(struct scope *s, struct runlist *woken)
{
    for (struct list_node *n = s->listed.head; n; n = n->next) {
        struct context *c = weft__container(n, struct context, listing);
        if (!weft__park_claim_any(&c->parker)) continue;
        weft__park_interrupt(&c->parker, WEFT_ECANCELED);
        weft__runlist_append(woken, &c->run);
    }
    for (struct list_node *n = s->children.head; n; n = n->next) {
        struct scope *child = weft__container(n, struct scope, sibling);
        if (weft__scope_shields(child)) continue;
        weft__scope_pin(child);
        (void)walk_later(child); /* it is this thread that walks */
    }
}

/* Calls the callbacks of s, one at a time: each may be deleted while it runs, or before. */
static void
call_back(struct scope *s)
{
    for (;;) {
        weft__scope_lock(s);
        struct list_node *n = weft__list_pop(&s->callbacks);
        struct oncancel *o = n ? weft__container(n, struct oncancel, node) : NULL;
        if (o) store_relaxed(&o->running, weft__thread_id()); /* relaxed: the lock orders it */
        weft__unlock(&s->lock);
        if (!o) return;
        o->cb(o->arg);
        store_release(&o->running, 0); /* pairs with weft_oncancel_del; the last access */
    }
}

static void
walk(struct scope *s)
{
    struct runlist woken = {NULL, NULL};
    weft__hook();
    weft__scope_lock(s);
    claim_all(s, &woken);
    weft__unlock(&s->lock);
    weft__park_wake_all(&woken);
    call_back(s);
    if (!s->home) weft__blocked_cancel(s);
    weft__scope_drop(s, 1);
}

/* Is there anybody to be found below s? */
static bool
inhabited(struct scope *s)
{
    weft__scope_lock(s);
    bool any = s->listed.head || s->children.head || s->callbacks.head || !s->home;
    weft__unlock(&s->lock);
    return any;
}

/* Walks s, which the caller has pinned, and everything that others want walked meanwhile. */
static void
walk_from(struct scope *s)
{
    if (!walk_later(s)) return;
    while ((s = next_walk())) walk(s);
}

bool
weft__scope_mark(struct scope *s, int reason, bool late)
{
    int64_t none = 0;
    if (!cas_acq_rel(&s->cancelled, &none, CANCELLED | (late ? LATE : 0) | (int64_t)(uint32_t)reason))
        return false;                    /* C1 */
    store_relaxed(&s->eventful, true);   /* relaxed: who cancels is inside, and ends before it is closed */
    add_seq_cst(&weft__cancel_epoch, 1); /* C2 */
    return true;
}

void
weft__scope_walk(struct scope *root)
{
    weft__scope_lock(root); /* the fields of a walk are there before anybody queues it */
    weft__unlock(&root->lock);
    weft__scope_pin(root);
    walk_from(root);
}

bool
weft__scope_cancel(struct scope *s, int reason, bool late)
{
    if (!weft__scope_mark(s, reason, late)) return false;
    if (!inhabited(s)) return true;
    weft__fence_heavy(); /* C3: pairs with L3 [cancel] */
    weft__scope_pin(s);
    walk_from(s);
    return true;
}

void
weft__scope_expire(struct scope *s)
{
    /* relaxed: a deadline that is being moved at this moment may count or not */
    if (load_relaxed(&s->deadline) <= weft__clock_now()) weft__scope_cancel(s, WEFT_ETIMEDOUT, true);
    weft__scope_drop(s, 1);
}

/* The context that t, which has started and not ended, is on. */
static struct context *
place_of(const weft_task *t)
{
    while (!weft__task_outermost(t)) t = weft__task_below(t);
    return weft__task_context(t);
}

/* The outermost scope that t has opened on c, pinned, if it is linked (else nothing inside is that would be reached) and no
 * WEFT_SHIELD; NULL: there is none.  *any: t has linked scopes, reached or not. */
static struct scope *
branch(const weft_task *t, struct context *c, bool *any)
{
    struct scope *found = NULL;
    *any = false;
    weft__acquire(&c->lock);
    for (struct list_node *n = c->opened.head; n && !found; n = n->next) {
        struct scope *s = weft__container(n, struct scope, opened);
        if (s->owner != t) continue;
        *any = true;
        if (s->outer->owner != t) found = s;
    }
    if (found && weft__scope_shields(found)) found = NULL;
    if (found) weft__scope_pin(found);
    weft__unlock(&c->lock);
    return found;
}

/* Wakes what t, marked as cancelled, waits in: its own park, which is returned claimed, or *s, pinned, is to be walked.
 * Under t's lock. */
static struct parker *
deliver(weft_task *t, struct scope **s)
{
    bool any;
    /* acquire: it has started, and what is below it on its stack is known */
    bool still = load_acquire(&t->waiting) || (load_acquire(&t->flags) & (TASK_PARKED | TASK_BRANCHED));
    if (!still) return NULL;
    struct context *c = place_of(t);
    *s = branch(t, c, &any);
    uint64_t seen = any ? 0 : weft__park_see(&c->parker);
    /* relaxed: written before the park was armed; if it is over the claim fails */
    if (!seen || load_relaxed(&c->listed_for) != t || load_relaxed(&c->listed_own)) return NULL;
    return weft__park_claim_seen(&c->parker, seen) ? &c->parker : NULL;
}

bool
weft_cancel(weft_task *t)
{
    struct scope *s = NULL;
    struct parker *p = NULL;
    if (!t) return false;
    weft__acquire(&t->lock);
    bool first = !weft__task_done(t) && !(or_acq_rel(&t->flags, TASK_CANCEL) & TASK_CANCEL); /* C1; read by any check */
    weft__unlock(&t->lock);
    if (!first) return false;
    add_seq_cst(&weft__cancel_epoch, 1); /* C2 of a task */
    weft__fence_heavy();                 /* C3 */
    weft__acquire(&t->lock);
    if (weft__task_phase(weft__task_ticket(t)) == PHASE_RUNNING) p = deliver(t, &s); /* C4 */
    weft__unlock(&t->lock);
    if (p) {
        weft__park_interrupt(p, WEFT_ECANCELED);
        weft__park_wake(p, false);
    }
    if (s) walk_from(s);
    return true;
}

/* ---- Callbacks ----------------------------------------------------------------------------------------------------- */

bool
weft_oncancel_add(weft_oncancel *public, void (*cb)(void *arg), void *arg)
{
    struct oncancel *o = (struct oncancel *)(void *)public;
    struct scope *s = weft__scope(weft_scope_current());
    *o = (struct oncancel){.cb = cb, .arg = arg, .scope = s};
    weft__scope_anchor(s);
    weft__scope_lock(s);
    weft__list_append(&s->callbacks, &o->node);
    weft__unlock(&s->lock);
    /* Either a walk finds it from now on, or its flag is seen here: both take the lock. */
    if (!weft__scope_cancelled(s)) return true;
    weft__scope_lock(s);
    bool mine = weft__list_linked(&s->callbacks, &o->node);
    if (mine) weft__list_remove(&s->callbacks, &o->node);
    weft__unlock(&s->lock);
    return !mine; /* a walk was faster: it is called */
}

void
weft_oncancel_del(weft_oncancel *public)
{
    struct oncancel *o = (struct oncancel *)(void *)public;
    struct scope *s = o->scope;
    if (!s) return;
    weft__scope_lock(s);
    if (weft__list_linked(&s->callbacks, &o->node)) weft__list_remove(&s->callbacks, &o->node);
    weft__unlock(&s->lock);
    uintptr_t running;
    while ((running = load_acquire(&o->running)) && running != weft__thread_id())
        sched_yield(); /* acquire: pairs with its end */
    o->scope = NULL;
}
