/*
 * model_sentinel.c - every interleaving of the sentinel with deadlines, hand-offs, and sleepers that come and go.
 *
 * sources: idle.c worker.c timerq.c park.c inject.c deque.c clock.c fence.c futex.c
 *
 * Workers have an inbox and a `next`; what the model has instead of search.c takes from another's `next` at once, without the
 * few microseconds of grace.  Time goes on when nobody else can: so who waits in vain is a deadlock, or finds that it is later
 * than it should be.
 *
 * Instances:
 *   deadline   a worker falls asleep while a computing worker sets the first timer                     [sentinel]
 *   nearer     the same, and there is a later timer already
 *   pass       two workers asleep, a timer; one of them, perhaps the sentinel, is woken by its inbox and computes
 *   handoff    a computing worker has had a hand-off, which it took back; it makes another while the sentinel looks
 *              at the first
 *   watch      a hand-off lies in the `next` of a computing worker; the sentinel that watches it is woken by its inbox
 *              and computes: somebody else has to watch
 */
#include "model_worker.h"

#include "deadlock.h"

#include "waiter.h"

enum { TICK = 1 << 13 };

static _Atomic uint32_t ran[TASKS], never;
static bool computes[TASKS]; /* the task runs until all is over */

static void
await(_Atomic uint32_t *word)
{
    while (load_acquire(word) == 0) weft__futex_wait(word, 0, INT64_MAX);
}

/* ---- Above ---------------------------------------------------------------------------------------------------------- */

static void
run_task(struct worker *w, int task)
{
    (void)w;
    assert(load_relaxed(&ran[task]) == 0);
    store_release(&ran[task], 1);
    weft__futex_wake(&ran[task], 1);
    if (computes[task]) await(&never);
}

bool
weft__work_visible(struct worker *w)
{
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

void
weft__ready(struct context *c, bool crowd)
{
    (void)c;
    (void)crowd;
    assert(!"only plain threads wait here");
}

int64_t
weft__deadlock_look(struct deadlock_watch *d)
{
    (void)d;
    return INT64_MAX;
}

bool
weft__sched_progress(void)
{
    return false;
}

bool
weft__sched_leaving(void)
{
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

/* The first hand-off has the sentinel look every millisecond; the far timer has it look at once, while the second is
 * made. */
static void
handoff(void)
{
    make_workers(2, false);
    start(0, sleep_and_work);
    settle();
    hand_off(&workers[1], 0);
    settle();
    struct entry e = weft__sched_pick(&workers[1]);
    assert(e.item == &tasks[0].run);
    set_timer(0, WEFT_S);
    hand_off(&workers[1], 1);
    await(&ran[1]);
    assert(weft_now() < WEFT_S);
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

static const struct instance {
    const char *title;
    void (*run)(void);
    bool symmetric; /* fences: as where the kernel has no membarrier */
} instances[] = {
    {"deadline", deadline, true},
    {"nearer", nearer, true},
    {"pass", pass, true},
    {"handoff", handoff, true},
    {"handoff, asymmetric fences", handoff, false},
    {"watch", watch, true},
};

const char *
explore_title(int index)
{
    return index < (int)weft__countof(instances) ? instances[index].title : NULL;
}

int
main(void)
{
    const struct instance *i = &instances[explore_case];
    weft__fence_asymmetric = !i->symmetric;
    i->run();
    return 0;
}
