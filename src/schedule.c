/*
 * schedule.c - parking without an object, and waking by name: weft_park, weft_schedule, and the direct switches.
 * [layer 4]
 *
 * Hazard.  A task has told another that it is going to park, and that one schedules it before it has: the wake is
 * lost, or the task is queued while it runs.
 *
 * So a schedule of a running task leaves a permit, which its next weft_park takes without parking.  Permit, and the
 * fact of being parked, are flags under the task's lock:
 *
 *      flags     weft_park                       weft_schedule
 *      -         arms its parker, PARKED         PERMIT, with value and code
 *      PERMIT    takes it, returns               WEFT_EBUSY
 *      PARKED    (it is parked)                  claims the park; RESUMED instead; wakes
 *      RESUMED   clears it when it is back       WEFT_EBUSY
 *
 * While PARKED is set the generation of the parker is that of this very park, since whoever comes out of it clears the
 * flag before it parks again.  So the claim cannot hit a later park; it can lose only against a cancellation.
 */
#include "fence.h"
#include "place.h"
#include "waiter.h"

/* What was scheduled: for weft_park to return. */
struct parcel {
    void *value;
    int code;
};

static void
set_flags(weft_task *t, uint32_t on, uint32_t off)
{
    if (on) or_acq_rel(&t->flags, on);     /* other bits are set without the lock */
    if (off) and_acq_rel(&t->flags, ~off); /* as above */
}

/* Leaves p for t's next weft_park.  Under t's lock; there must be no permit yet. */
static void
leave_permit(weft_task *t, struct parcel p)
{
    t->permit = p.value;
    t->code = p.code;
    set_flags(t, TASK_PERMIT, 0);
}

/* Takes t's permit, which is there. */
static struct parcel
take_permit(weft_task *t)
{
    weft__acquire(&t->lock);
    struct parcel p = {t->permit, t->code};
    t->code = 0;
    set_flags(t, 0, TASK_PERMIT);
    weft__unlock(&t->lock);
    return p;
}

/* Prepares to park c's task; false: it has a permit, which stays until it is taken. */
static bool
begin_park(struct context *c, uint64_t *ticket)
{
    weft_task *t = c->task;
    weft__acquire(&t->lock);
    bool permit = load_relaxed(&t->flags) & TASK_PERMIT; /* relaxed: under the lock */
    if (!permit) {
        t->place = c;
        weft__scope_park(c);
        *ticket = weft__park_arm(&c->parker, "park", true);
        set_flags(t, TASK_PARKED, 0);
    }
    weft__unlock(&t->lock);
    return !permit;
}

/* Comes back from a park.  Whoever scheduled the task has cleared PARKED; a cancellation has not. */
static int
end_park(struct context *c, void **value)
{
    weft_task *t = c->task;
    if (weft__watched()) weft__watch_resume(c);
    set_flags(t, 0, TASK_RESUMED);
    if (load_acquire(&t->flags) & TASK_PARKED) { /* acquire: pairs with the clearing */
        weft__acquire(&t->lock);
        set_flags(t, 0, TASK_PARKED);
        weft__unlock(&t->lock);
        return WEFT_ECANCELED;
    }
    if (value) *value = c->parker.value;
    return c->parker.code;
}

int
weft_park(void **value)
{
    struct context *c = weft__context_current();
    uint64_t ticket;
    if (!c) return WEFT_ENOTSUP;
    if (!begin_park(c, &ticket)) {
        struct parcel p = take_permit(c->task);
        if (value) *value = p.value;
        return p.code;
    }
    weft__fence_light(); /* pairs with the heavy fence of a cancellation [cancel]: its walk finds the park, or this its flag */
    if (!weft__cancelled(c) || !weft__park_claim(&c->parker, ticket)) weft__suspend(c);
    return end_park(c, value);
}

/* What the caller is after: t ready; t running here next; the same, by way of the queues; likewise, but a new task is for
 * the caller to queue. */
enum wanted { READY, DIRECT, QUEUED, CLAIMED };

/* A new task: fails it with the parcel's code, or schedules it, or (DIRECT, CLAIMED) claims it for the caller: *e.
 * Under t's lock, which it releases. */
static int
resume_new(struct worker *w, weft_task *t, const struct parcel *p, enum wanted wanted, struct entry *e)
{
    weft__task_set_phase(t, PHASE_QUEUED); /* takes it: nobody else may */
    weft__unlock(&t->lock);
    if (p->code < 0) {
        if (t->drop) t->drop(t->arg);
        weft__task_finish(t, PHASE_FAILED, p->code);
        return 0;
    }
    unsigned flags = load_relaxed(&t->flags); /* relaxed: constant bits */
    bool here = wanted == DIRECT || wanted == CLAIMED;
    if (here && !(flags & WEFT_INTERACTIVE) && w->pool == &weft__sched.pools[POOL_DEFAULT]) {
        if (weft__watched()) weft__watch_spawn(t);
        weft__sched_made(w, flags & WEFT_DAEMON);
        add_relaxed(&t->refs, 1); /* relaxed: the caller's reference orders it.  The run's reference */
        *e = (struct entry){&t->run, weft__task_ticket(t)};
        weft__task_claim_owned(t, e->tag);
        return 0;
    }
    int rc = weft__spawn_submit(w, t);
    if (rc < 0) weft__task_set_phase(t, PHASE_NEW);
    return rc;
}

/* A task in weft_park: wakes it, or (DIRECT) hands its context to the caller if that may run it now.  Under t's lock,
 * which it releases. */
static int
resume_parked(struct worker *w, weft_task *t, const struct parcel *p, enum wanted wanted, struct entry *e)
{
    struct context *c = t->place;
    if (wanted != READY && c->home && c->home != w) {
        weft__unlock(&t->lock);
        return WEFT_EBUSY;
    }
    bool won = weft__park_claim_any(&c->parker);
    /* Lost: it is coming back already, cancelled, or refused a switch itself; a permit waits for its next park. */
    bool permit = !won && wanted == READY && !(load_relaxed(&t->flags) & TASK_PERMIT); /* relaxed: under the lock */
    if (won) set_flags(t, TASK_RESUMED, TASK_PARKED);
    else if (permit) leave_permit(t, *p);
    weft__unlock(&t->lock);
    if (!won) return permit ? 0 : WEFT_EBUSY;
    c->parker.value = p->value;
    c->parker.code = p->code;
    if (wanted != DIRECT || c->pool != w->pool || !weft__park_is_saved(&c->parker)) {
        weft__park_wake(&c->parker, false);
        return 0;
    }
    if (weft__watched()) weft__watch_wake(&c->parker);
    *e = (struct entry){&c->run, 0};
    return 0;
}

static int
resume(struct worker *w, weft_task *t, struct parcel p, enum wanted wanted, struct entry *e)
{
    weft__acquire(&t->lock);
    unsigned phase = weft__task_phase(weft__task_ticket(t));
    uint32_t flags = load_relaxed(&t->flags); /* relaxed: under the lock */
    if (phase == PHASE_NEW) return resume_new(w, t, &p, wanted, e);
    if (phase == PHASE_RUNNING && (flags & (TASK_PARKED | TASK_PERMIT)) == TASK_PARKED)
        return resume_parked(w, t, &p, wanted, e);
    /* A permit is for a task that will look for it; one that runs cannot be switched to.
     * relaxed: what is seen parked on an object is refused; a task that just begins to wait keeps the permit */
    bool running = wanted == READY && phase == PHASE_RUNNING && !(flags & (TASK_PERMIT | TASK_RESUMED)) &&
                   !load_relaxed(&t->waiting);
    if (running) leave_permit(t, p);
    weft__unlock(&t->lock);
    return running ? 0 : WEFT_EBUSY;
}

static int
schedule(weft_task *t, struct parcel p)
{
    return t ? resume(weft__worker(), t, p, READY, NULL) : WEFT_EINVAL;
}

int
weft_schedule(weft_task *t)
{
    return schedule(t, (struct parcel){NULL, 0});
}

int
weft_schedule_value(weft_task *t, void *value)
{
    return schedule(t, (struct parcel){value, 0});
}

int
weft_schedule_error(weft_task *t, int code)
{
    return code < 0 ? schedule(t, (struct parcel){NULL, code}) : WEFT_EINVAL;
}

int
weft_yield_to(weft_task *t)
{
    struct worker *w = weft__worker();
    struct context *c = w ? w->context : NULL;
    struct entry e = {NULL, 0};
    if (!t) return WEFT_EINVAL;
    if (!c || c->leaving) return weft_schedule(t);
    if (c->task == t) return WEFT_EDEADLK;
    /* a direct switch goes past the queues, as a hand-off does: only so often in a row */
    enum wanted wanted = weft__sched_handoff(w) ? DIRECT : QUEUED;
    int rc = resume(w, t, (struct parcel){NULL, 0}, wanted, &e);
    if (rc < 0) return rc;
    if (!e.item) {
        weft_yield();
        return 0;
    }
    if (weft__watched()) weft__watch_leave(c);
    weft__sched_switch(c, LEFT_YIELDED, e);
    if (weft__watched()) weft__watch_resume(c);
    return 0;
}

/* Takes back a park that was begun in vain.  A wake that has come meanwhile is kept, for the next. */
static void
abandon_park(struct context *c, uint64_t ticket)
{
    weft_task *t = c->task;
    bool woken = !weft__park_claim(&c->parker, ticket);
    if (woken) weft__suspend(c);
    if (weft__watched()) weft__watch_resume(c);
    weft__acquire(&t->lock);
    uint32_t flags = load_relaxed(&t->flags); /* relaxed: under the lock */
    if (flags & TASK_RESUMED) leave_permit(t, (struct parcel){c->parker.value, c->parker.code});
    set_flags(t, 0, TASK_PARKED | TASK_RESUMED);
    weft__unlock(&t->lock);
}

/* The caller, c, has been scheduled already: t becomes ready, and c goes on with what it was sent.  If t cannot, c keeps
 * its permit. */
static int
switch_permitted(struct worker *w, struct context *c, weft_task *t, void **value)
{
    int rc = resume(w, t, (struct parcel){value ? *value : NULL, 0}, READY, NULL);
    if (rc < 0) return rc;
    struct parcel p = take_permit(c->task);
    if (value) *value = p.value;
    return p.code;
}

/* Makes t the next to run, for a caller that parks: *e, or in the queues.  A new task has its stack before the caller parks:
 * nobody would ever wake the caller if t could not start. */
static int
hand_over(struct worker *w, weft_task *t, struct parcel p, struct entry *e)
{
    enum wanted wanted = weft__sched_handoff(w) ? DIRECT : CLAIMED; /* as in weft_yield_to */
    int rc = resume(w, t, p, wanted, e);
    if (rc < 0 || !e->item || e->tag == 0) return rc;
    if (!weft__sched_place(w, e)) return WEFT_ENOMEM;
    if (wanted == DIRECT) return 0;
    weft__ready(weft__container(e->item, struct context, run), true);
    e->item = NULL;
    return 0;
}

int
weft_switch_to(weft_task *t, void **value)
{
    struct worker *w = weft__worker();
    struct context *c = w ? w->context : NULL;
    struct entry e = {NULL, 0};
    struct parcel p = {value ? *value : NULL, 0};
    uint64_t ticket;
    if (!t) return WEFT_EINVAL;
    if (!c) return WEFT_ENOTSUP;
    if (c->task == t) return WEFT_EDEADLK;
    if (weft_task_isdone(t)) return weft_task_error(t);
    if (!begin_park(c, &ticket)) return switch_permitted(w, c, t, value);
    int rc = hand_over(w, t, p, &e);
    if (rc < 0) {
        abandon_park(c, ticket);
        return rc;
    }
    weft__fence_light(); /* pairs with the heavy fence of a cancellation [cancel], as in weft_park */
    bool parked = !weft__cancelled(c) || !weft__park_claim(&c->parker, ticket);
    if (e.item) weft__sched_switch(c, parked ? LEFT_PARKED : LEFT_YIELDED, e);
    else if (parked) weft__suspend(c);
    return end_park(c, value);
}
