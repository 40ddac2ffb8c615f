/*
 * lifecycle.c - how many tasks there are, cancelling all of them, and when it is over.  [layer 4]
 *
 * Hazard.  The root task has ended.  Some worker finds nothing to do and concludes that all tasks have ended, while
 * another task is just being made; the workers leave, and the task is never run.
 *
 * Each worker counts the tasks that it made and those that it ended, for itself; plain threads share a pair of counts.
 * The sum of what was made, taken after the sum of what was ended, is at least what was made at the time in between,
 * which is at least what was ended by then, which is at least the first sum.  So if the two sums are equal, there was
 * no task at that time; and without a task only a plain thread can make one:
 *
 *      plain thread                              worker
 *      M1  made += 1         (seq_cst)           E1  state = LEAVING     (seq_cst)
 *      M2  read state        (seq_cst)           E2  sum ended, then made: leave if they are equal,
 *      M3  LEAVING: ended += 1, ESHUTDOWN;           else look around again, without sleeping
 *          else submit
 *
 * If M2 does not see E1, then E2 of every worker sees M1, and none leaves before that task has ended; it is cancelled,
 * so it does not even start.  If M2 sees E1, the sums differ only until M3.
 *
 * That the sums are in order takes the release of each end, and that they are read with acquire: who sees a task's end
 * sees what it made.  E2 begins with a fence, after the end of a worker's own tasks and after E1 of another.
 *
 * Who looks: a worker that finds nothing to do, before it sleeps; a worker that is always busy (daemons that wake each
 * other), every few dispatches; whoever stops the scheduler; and a plain thread after M3, since a worker may have summed
 * up before that and be asleep.  Nobody looks again, so of several who each did the last thing that was missing, one must
 * see all of them: each ends its task, or sets the state (G1), has a full fence (G2), and only then looks at the state
 * and the sums (G3).  The last G2 sees every G1.
 *
 * Checked.  tests/model_lifecycle.c: each fence and order is needed.  tests/test_daemons.c, tests/test_shutdown.c,
 * tests/stress_spawn.c, tests/stress_start.c.
 */
#include "clock.h"
#include "fence.h"
#include "futex.h"
#include "hook.h"
#include "scheduler.h"
#include "shutdown.h"

void
weft__sched_made(struct worker *w, bool daemon)
{
    if (w) bump(&w->made[daemon], 1);
    else add_seq_cst(&weft__sched.made[daemon], 1); /* M1: pairs with E2 */
}

void
weft__sched_ended(struct worker *w, bool daemon)
{
    /* release: whoever sums it up sees what the task did last */
    if (w) store_release(&w->ended[daemon], load_relaxed(&w->ended[daemon]) + 1);
    else add_seq_cst(&weft__sched.ended[daemon], 1);
}

void
weft__sched_retire(struct worker *w)
{
    for (int kind = 0; kind < 2; kind++) {
        add_seq_cst(&weft__sched.made[kind], load_relaxed(&w->made[kind]));   /* relaxed: the worker has left */
        add_seq_cst(&weft__sched.ended[kind], load_relaxed(&w->ended[kind])); /* as above */
    }
    for (int k = 0; k < COUNTS; k++)
        add_relaxed(&weft__sched.counts[k], load_relaxed(&w->counts[k])); /* relaxed: for people */
}

/* What was made less what had been ended before that. */
static uint64_t
live(bool also[2])
{
    uint64_t ended = 0, made = 0;
    for (int kind = 0; kind < 2; kind++) {
        if (!also[kind]) continue;
        ended +=
            load_acquire(&weft__sched.ended[kind]); /* acquire: pairs with the counting; then the sums are in order */
        for (int k = 0; k < weft__sched.count; k++)
            ended += load_acquire(&weft__sched.workers[k]->ended[kind]); /* as above */
    }
    weft__hook();
    weft__fence(); /* E2: the second sum comes after E1, and sees each M1 whose M2 came before that */
    for (int kind = 0; kind < 2; kind++) {
        if (!also[kind]) continue;
        made += load_acquire(&weft__sched.made[kind]); /* acquire: as above */
        for (int k = 0; k < weft__sched.count; k++)
            made += load_acquire(&weft__sched.workers[k]->made[kind]); /* as above */
    }
    return made - ended;
}

uint64_t
weft__sched_live(bool daemons)
{
    return live((bool[2]){!daemons, daemons});
}

static bool
all_ended(bool daemons_too)
{
    return live((bool[2]){true, daemons_too}) == 0;
}

static void
wake_everybody(void)
{
    weft__fence_heavy(); /* whoever goes to sleep now sees the state, or is seen asleep [idle] */
    for (int k = 0; k < POOLS; k++) weft__idle_wake_all(&weft__sched.pools[k]);
}

static bool
step(enum sched_state from, enum sched_state to)
{
    int expected = (int)from;
    weft__hook();
    return cas_seq_cst(&weft__sched.state, &expected, (int)to);
}

bool
weft__sched_progress(void)
{
    if (weft__shutdown_due() && weft__shutdown_deliver()) return true;
    weft__fence();                                /* G2; G1 is what the caller ended or set */
    int state = load_acquire(&weft__sched.state); /* G3: acquire: pairs with the step that was taken */
    if (state == SCHED_CLOSING && all_ended(false) && step(SCHED_CLOSING, SCHED_CANCELLED)) {
        weft__sched_cancel_root();
        return true;
    }
    if (state == SCHED_CANCELLED && all_ended(true) && step(SCHED_CANCELLED, SCHED_LEAVING)) { /* E1 */
        wake_everybody();
        return true;
    }
    return false;
}

bool
weft__sched_leaving(void)
{
    return weft__sched_stopping() && all_ended(true); /* E2 */
}

static void
cancel_one(struct stack *s, void *arg)
{
    struct context *c = load_acquire(&s->owner); /* acquire: pairs with weft__place_new */
    struct runlist *woken = arg;
    uint64_t seen = c ? weft__park_see(&c->parker) : 0;
    /* relaxed: written before the park was armed; if it is over the claim fails */
    if (!seen || load_relaxed(&c->sheltered) || !weft__park_claim_seen(&c->parker, seen)) return;
    weft__park_interrupt(&c->parker, WEFT_ECANCELED);
    weft__runlist_append(woken, &c->run);
}

void
weft__sched_cancel_root(void)
{
    (void)weft__scope_mark(&weft__sched.root, WEFT_ECANCELED, false); /* C1, C2; it may be marked already: shutdown.c */
    weft__sched_sweep();
}

void
weft__sched_sweep(void)
{
    struct runlist woken = {NULL, NULL};
    weft__fence_heavy(); /* C3: pairs with L3 [cancel] */
    weft__scope_walk(&weft__sched.root);
    /* Contexts that parked in the root scope are listed nowhere: all stacks are looked through. */
    weft__stack_each(cancel_one, &woken);
    weft__park_wake_all(&woken);
}
