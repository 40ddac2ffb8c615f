/*
 * model_sentinel.c - every interleaving of the sentinel with deadlines, hand-offs, and sleepers that come and go.
 *
 * sources: idle.c worker.c timerq.c park.c inject.c deque.c clock.c fence.c futex.c
 *
 * Workers have an inbox and a `next`; what the model has instead of search.c takes from another's `next` at once, without the
 * few microseconds of grace.  Time goes on when nobody else can: so who waits in vain is a deadlock, or finds that it is later
 * than it should be.
 *
 * Instances ("computes": awake, and looks at nothing until all is over):
 *   deadline   a worker falls asleep while a computing worker sets the first timer                     [sentinel]
 *   nearer     the same, and there is a later timer already
 *   raised     the sentinel, which was to wake early, is just going to sleep until later: a timer in between is set
 *   pass       two workers asleep, a timer; one of them, perhaps the sentinel, is woken by its inbox and computes
 *   handoff    a worker falls asleep while a computing worker makes a hand-off                         [sentinel]
 *   again      the sentinel knows of a hand-off, which its worker took back; another is made while it looks again
 *   calm       the same, where the flag was set for the one before as well, and its worker may still see it set
 *   watch      a hand-off lies in the `next` of a computing worker; the sentinel that watches it is woken by its inbox
 *              and computes: somebody else has to watch
 *
 * Not here: two workers that make hand-offs at the same time, one of which relies on the flag of the other (why it is cleared
 * by an exchange): more than 10^7 executions.  tests/sim_weft.c plays that.
 */
#define MODEL_TIMERS
#define MODEL_THIEVES

#include "model_worker.h"

#include "waiter.h"

#include "model_instance.h"

enum { TICK = 1 << 13, LOOKS = 30 };

static _Atomic uint32_t never;
static bool computes[TASKS]; /* the task runs until all is over */

/* ---- Above ---------------------------------------------------------------------------------------------------------- */

static void
run_task(struct worker *w, int task)
{
    (void)w;
    mark(task);
    if (computes[task]) await(&never);
}

bool
weft__work_visible(struct worker *w)
{
    assert(w->handoffs++ < LOOKS); /* each look of a sleeper has a reason */
    return !weft__inject_empty(&w->pool->inject) || !weft__inject_empty(&w->inbox);
}

bool
weft__steal(struct worker *w, struct entry *out, bool *again)
{
    (void)w, (void)out, (void)again;
    return false;
}

bool
weft__steal_handoff(struct worker *w, struct handoff_watch *watch, int64_t now, struct entry *out)
{
    (void)watch, (void)now;
    for (int k = 0; k < w->pool->count; k++) {
        struct context *c = k == w->place ? NULL : load_relaxed(&by_id[k]->next);
        if (!c || !cas_acquire(&by_id[k]->next, &c, NULL)) continue;
        *out = (struct entry){&c->run, 0};
        return true;
    }
    return false;
}

/* ---- The threads ---------------------------------------------------------------------------------------------------- */

static struct wait deadlines[2];

static void
set_timer(int which, int64_t when)
{
    struct wait *wait = &deadlines[which];
    wait->ticket = weft__park_arm(&wait->thread, "model", false);
    weft__timer_add(&wait->timer, when, &wait->thread, wait->ticket);
}

/* The first timer, and not before somebody has slept too long. */
static void
await_timer(void)
{
    await(&deadlines[0].thread.futex);
    assert(weft_now() == 10 * TICK);
}

/* As weft__ready, on worker w. */
static void
hand_off(struct worker *w, int task)
{
    store_release(&w->next, &tasks[task]);
    weft__idle_handoff(w->pool);
}

static void
deadline(void)
{
    make_workers(2, false);
    start(0, sleep_and_work);
    set_timer(0, 10 * TICK);
    await_timer();
}

static void
nearer(void)
{
    make_workers(2, false);
    set_timer(1, 20 * TICK);
    start(0, sleep_and_work);
    set_timer(0, 10 * TICK);
    await_timer();
}

static void
raised(void)
{
    make_workers(2, false);
    start(0, sleep_and_work);
    settle();
    set_timer(1, 5 * TICK);
    settle();
    weft__timer_del(&deadlines[1].timer);
    set_timer(1, 30 * TICK);
    weft__timers_nearer(4 * TICK); /* for a timer that is gone already */
    set_timer(0, 10 * TICK);
    await_timer();
}

static void
pass(void)
{
    make_workers(2, false);
    computes[0] = true;
    for (int k = 0; k < 2; k++) {
        start(k, sleep_and_work);
        settle();
    }
    set_timer(0, 10 * TICK);
    push(0, 0);
    await_timer();
}

static void
handoff(void)
{
    make_workers(2, false);
    start(0, sleep_and_work);
    hand_off(&workers[1], 0);
    await(&ran[0]);
}

/* A hand-off of worker 1, which it takes back when the sentinel knows of it. */
static void
take_back(int task)
{
    hand_off(&workers[1], task);
    settle();
    struct entry e = weft__sched_pick(&workers[1]);
    assert(e.item == &tasks[task].run);
}

static void *
have_it_look(void *arg)
{
    (void)arg;
    weft__timers_nearer(1); /* for a timer that is gone already */
    return NULL;
}

static void
again(void)
{
    pthread_t other;
    make_workers(2, false);
    start(0, sleep_and_work);
    settle();
    take_back(0);
    pthread_create(&other, NULL, have_it_look, NULL);
    hand_off(&workers[1], 1);
    await(&ran[1]);
}

static void
calm(void)
{
    pthread_t other;
    make_workers(2, false);
    start(0, sleep_and_work);
    settle();
    take_back(0);
    take_back(1);
    have_it_look(NULL);
    settle();
    pthread_create(&other, NULL, have_it_look, NULL);
    hand_off(&workers[1], 2);
    await(&ran[2]);
}

static void
watch(void)
{
    make_workers(3, false);
    computes[0] = true;
    for (int k = 0; k < 2; k++) {
        start(k, sleep_and_work);
        settle();
    }
    hand_off(&workers[2], 1);
    settle();
    push(0, 0);
    await(&ran[1]);
}

static const struct instance instances[] = {
    {"deadline", deadline, true}, {"nearer", nearer, true},
    {"raised", raised, true},     {"pass", pass, true},
    {"handoff", handoff, true},   {"again", again, true},
    {"calm", calm, false},        {"calm, symmetric fences", calm, true},
    {"watch", watch, true},       {NULL, NULL, false},
};
