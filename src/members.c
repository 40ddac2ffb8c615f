/*
 * members.c - how a scope knows that its last member has ended.  [layer 4]
 *
 * Hazard.  Every task is counted in and out of its scope, and closing waits for the count to come to 0.  A shared counter
 * would make fork and join as dear as two contended atomic additions.
 *
 * The count is the sum of three:
 *
 *   own      plain: members made by the opener's context, less those that ended on it.  Only that context touches it.
 *   others   atomic: the rest, and how often the scope is pinned.
 *   credit   plain, in a context whose outermost task is a member: so many of what others counts are not there yet.
 *
 * A context that forks members of the scope that it is itself a member of first counts CREDIT of them in others, at
 * once, and then makes and ends members at the expense of its credit; it gives the rest back when its outermost task
 * ends, together with that task.  While it has credit it has a member, so a credit never keeps a scope open by itself.
 * So whoever forks, in the opener's context or in a stolen one, touches no shared line as long as it joins what it forks.
 *
 *      member that ends elsewhere                     closer, on the opener's context
 *      D1  others: CAS to n less,                     A1  under the lock: own joins others, AWAITED is set;
 *          unless AWAITED is set; then                    closed at once if that is all
 *      D2  under the lock, if AWAITED is still set    A2  waiter in closer; unlock; park
 *          (else D1 again): n less; if none is left,  A3  under the lock: AWAITED is cleared
 *          claim the closer
 *      D3  unlock; wake it
 *
 * Invariant.  The last access of a member to the scope is D1, or the unlock of D3 while another member is left, or while
 * the closer is parked: so the closer may free the scope when A3 is over.
 *
 * Proof.  AWAITED is set and cleared under the lock.  A member that does not see it is done with D1, and the sum at A1
 * counts it.  One that sees it takes the lock: if it is not the last, the count keeps the closer from going on until
 * another has had the lock after it; if it is, the closer goes on only by D3, after the unlock.  A closer that comes back
 * for another reason (a wait that can be cancelled) takes the lock at A3: whoever came before has unlocked, who comes
 * after does not find AWAITED under the lock, though it may have seen it before, and is still counted when it lets go of
 * the lock again.
 *
 * Scopes with a limit, or that keep their members, also count them exactly, under the lock (live); their members carry a
 * flag that makes them end the slow way.
 *
 * Checked.  tests/model_members.c; tests/test_scope.c, tests/test_scope_next.c, tests/stress_scope.c.
 */
#include "members.h"

#include "hook.h"
#include "scheduler.h"
#include "waiter.h"

enum { CREDIT = 4096 };

void
weft__scope_enter(struct scope *s, struct context *c)
{
    int64_t n = 1;
    if (!s->outer) return;
    if (c && (s->home == c || (c->base == s && c->credit > 0))) {
        weft__scope_forked(s, c);
        return;
    }
    if (c && c->base == s) {
        n = CREDIT;
        c->credit += CREDIT - 1;
    }
    add_relaxed(&s->others, n * SCOPE_MEMBER); /* relaxed: the caller is a member, or the opener, and orders it */
}

void
weft__scope_drop(struct scope *s, int64_t n)
{
    weft__hook();
    int64_t v = load_relaxed(&s->others); /* relaxed: the CAS decides */
    for (;;) {
        while (!(v & SCOPE_AWAITED)) {
            if (cas_acq_rel(&s->others, &v, v - n * SCOPE_MEMBER)) return; /* D1: release: what the member did */
        }
        weft__acquire(&s->lock);      /* D2 */
        v = load_relaxed(&s->others); /* relaxed, as it is changed under the lock */
        if (v & SCOPE_AWAITED) break;
        weft__unlock(&s->lock); /* the closer has come back meanwhile */
    }
    v = sub_acq_rel(&s->others, n * SCOPE_MEMBER) - n * SCOPE_MEMBER;
    struct waiter *closer = v == SCOPE_AWAITED ? s->closer : NULL;
    if (closer && !weft__park_claim(closer->parker, closer->ticket)) closer = NULL;
    weft__unlock(&s->lock); /* D3 */
    if (closer) weft__waiter_wake(closer, 0, false);
}

void
weft__scope_leave(struct scope *s, struct context *c)
{
    if (!s->outer) return;
    if (c && (s->home == c || c->base == s)) weft__scope_joined(s, c);
    else weft__scope_drop(s, 1);
}

void
weft__scope_depart(struct scope *s, struct context *c)
{
    if (!s->outer) return;
    int64_t n = c->credit + 1;
    weft__scope_unlist(c);
    c->credit = 0;
    c->base = NULL;
    weft__scope_drop(s, n);
}

int
weft__scope_await(struct scope *s, struct context *c, const char *reason, bool cancellable, weft_time deadline)
{
    struct wait wait;
    struct waiter closer;
    while (load_acquire(&s->others) + s->own * SCOPE_MEMBER != 0) { /* acquire: pairs with D1 */
        if (deadline == WEFT_NOW) return WEFT_EAGAIN;
        if (cancellable && c) weft__scope_park(c); /* not under s's lock */
        weft__scope_lock(s);
        int64_t own = s->own * SCOPE_MEMBER + SCOPE_AWAITED;
        int64_t left = add_acq_rel(&s->others, own) + own; /* A1 */
        s->own = 0;
        if (left != SCOPE_AWAITED) {
            weft__wait_begin(&wait, c, reason, cancellable);
            closer = (struct waiter){.parker = wait.parker, .ticket = wait.ticket};
            store_relaxed(&wait.parker->object, (const void *)s); /* relaxed: for people */
            s->closer = &closer;                                  /* A2 */
        }
        weft__unlock(&s->lock);
        int rc = left != SCOPE_AWAITED ? weft__wait_park(&wait, deadline) : 0;
        weft__acquire(&s->lock); /* A3 */
        and_acq_rel(&s->others, ~(int64_t)SCOPE_AWAITED);
        s->closer = NULL;
        weft__unlock(&s->lock);
        if (rc < 0) return rc;
    }
    return 0;
}

/* ---- What a member's end means for its scope ---------------------------------------------------------------------- */

void
weft__scope_failed(struct scope *s, int code)
{
    int none = 0;
    store_relaxed(&s->eventful, true); /* relaxed: the member's end orders it */
    (void)cas_acq_rel(&s->error, &none, code);
}

void
weft__scope_outcome(weft_task *t, unsigned phase, int code)
{
    struct scope *s = weft__task_scope(t);
    if (!s->outer || (load_relaxed(&t->flags) & TASK_HELPER)) return; /* relaxed: set before it was queued, or by us */
    if (phase == PHASE_CANCELLED) {
        store_relaxed(&s->interrupted, true); /* relaxed, as all here: the member's end orders it */
        store_relaxed(&s->eventful, true);
    } else if (phase == PHASE_FAILED && code != WEFT_ECANCELED && !(s->flags & WEFT_SUPERVISE)) {
        weft__task_observe(t);
        weft__scope_failed(s, code);
        if (!(s->flags & WEFT_RACE)) (void)weft__scope_cancel(s, code, false);
    } else if (phase == PHASE_COMPLETED && (s->flags & WEFT_RACE)) {
        store_relaxed(&s->won, true);
        store_relaxed(&s->eventful, true);
        (void)weft__scope_cancel(s, 0, false);
    }
}

/* ---- Members that are counted exactly ----------------------------------------------------------------------------- */

/* Lets those spawn for whom there is room.  Under the lock. */
static void
admit(struct scope *s, struct list *ready)
{
    struct waiter *w;
    while (s->live < s->limit && (w = weft__waiter_claim_first(&s->spawners))) {
        s->live++; /* on its behalf */
        w->code = 0;
        weft__list_append(ready, &w->node);
    }
}

/* Nobody will come any more.  Under the lock. */
static void
give_up(struct scope *s, struct list *ready)
{
    struct waiter *w;
    while (s->live == 0 && !s->kept.head && (w = weft__waiter_claim_first(&s->nexters))) {
        w->code = WEFT_ENOENT;
        weft__list_append(ready, &w->node);
    }
}

void
weft__scope_ended(struct scope *s, weft_task *t)
{
    struct list ready = {NULL, NULL};
    struct waiter *w;
    weft__scope_lock(s);
    s->live--;
    if (t && (s->flags & WEFT_KEEP)) {
        weft_task_retain(t);
        if ((w = weft__waiter_claim_first(&s->nexters))) {
            *(weft_task **)w->slot = t;
            w->code = 0;
            weft__list_append(&ready, &w->node);
        } else {
            weft__list_append(&s->kept, &t->kept);
        }
    }
    give_up(s, &ready);
    admit(s, &ready);
    weft__unlock(&s->lock);
    weft__waiter_wake_all(&ready);
}

int
weft__scope_admit(struct scope *s, struct context *c)
{
    struct wait wait;
    struct waiter registration;
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    if (c) weft__scope_park(c);
    weft__scope_lock(s);
    if (s->live < s->limit && weft__list_empty(&s->spawners)) {
        s->live++;
        weft__unlock(&s->lock);
        return 0;
    }
    weft__wait_begin(&wait, c, "scope limit", true);
    weft__wait_register(&wait, &registration, &s->spawners, 0, NULL);
    weft__unlock(&s->lock);
    int rc = weft__wait_park(&wait, WEFT_FOREVER);
    if (rc == 0) return 0;
    weft__acquire(&s->lock);
    weft__wait_withdraw(&registration, &s->spawners);
    weft__unlock(&s->lock);
    return rc;
}

void
weft__scope_relimit(struct scope *s, size_t n)
{
    struct list ready = {NULL, NULL};
    weft__scope_lock(s);
    s->limit = n;
    admit(s, &ready);
    weft__unlock(&s->lock);
    weft__waiter_wake_all(&ready);
}
