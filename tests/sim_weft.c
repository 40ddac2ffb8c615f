/* sim_weft.c - what must hold of the scheduler whenever every thread is blocked.
 *
 * A lost wake-up may do no harm: the sentinel wakes up sooner or later, and finds the work.  So it is not enough that
 * tests end.  When nobody can go on before some time has passed, the promises of idle.c must hold at that moment. */
#include "sim.h"

#include <stdio.h>
#include <unistd.h>

#include "scheduler.h"
#include "timerq.h"

struct sleepers {
    const struct sim_thread *of[64]; /* by the worker's id: blocked on its futex */
    int64_t deadline;                /* the first */
};

static void
find_sleeper(const struct sim_thread *t, void *arg)
{
    struct sleepers *s = arg;
    if (t->why != SIM_FUTEX || !t->worker || t->on != &t->worker->futex || t->worker->id >= 64) return;
    s->of[t->worker->id] = t;
    if (t->deadline < s->deadline) s->deadline = t->deadline;
}

static bool
all_asleep(const struct pool *p, const struct sleepers *s)
{
    for (int k = 0; k < p->count; k++) {
        const struct worker *w = p->workers[k];
        if (w->id >= 64 || !s->of[w->id]) return false;
    }
    return p->count > 0;
}

/* What there is to do in p, all of whose workers sleep. */
static const char *
left_over(const struct pool *p)
{
    for (int k = 0; k < p->count; k++) {
        struct worker *w = p->workers[k];
        if (weft__work_visible(w)) return "lost wake-up: there is work in a queue, and every worker of the pool sleeps";
        if (load_relaxed(&w->next)) return "lost hand-off: a worker sleeps, and something is in its next";
    }
    return NULL;
}

static void
check_futex(const struct sim_thread *t, void *arg)
{
    const char **wrong = arg;
    if (t->why == SIM_FUTEX && *(const volatile uint32_t *)t->on != t->expected)
        *wrong = "lost wake-up: a thread sleeps on a futex word that has changed";
}

const char *
sim_weft_check(void)
{
    const char *wrong = NULL;
    struct sleepers s = {.deadline = INT64_MAX};
    bool all = true;
    sim_each(check_futex, &wrong);
    sim_each(find_sleeper, &s);
    for (int k = 0; k < POOLS && !wrong; k++) {
        const struct pool *p = &weft__sched.pools[k];
        if (all_asleep(p, &s)) wrong = left_over(p);
        else if (p->count > 0) all = false;
    }
    if (wrong || !all || weft__sched.count == 0) return wrong;
    int64_t next = weft__timers_next();
    return next < s.deadline ? "lost deadline: every worker sleeps, and none until the next timer" : NULL;
}

static void
print_context(struct stack *s, void *unused)
{
    (void)unused;
    struct context *c = load_acquire(&s->owner); /* acquire: pairs with weft__place_new */
    if (!c || !c->task) return;
    unsigned state = load_relaxed(&c->parker.word) & 7; /* relaxed: for people, as all here */
    static const char *const states[] = {"running", "armed", "parked", "claimed", "claimed, saved", "ready or running"};
    const char *reason = load_relaxed(&c->parker.reason);
    dprintf(STDERR_FILENO, "context of worker %d: task \"%s\", %s, last park: %s%s\n", c->worker ? c->worker->id : -1,
            weft_task_name(c->task), state < 6 ? states[state] : "?", reason ? reason : "none",
            c->home ? ", sticky" : "");
}

void
sim_weft_print(void)
{
    static const char *const states[] = {"stopped", "running", "closing", "cancelled", "leaving"};
    const struct sched *s = &weft__sched;
    dprintf(STDERR_FILENO, "scheduler: %s, %d workers\n", states[load_relaxed(&s->state)], s->count);
    for (int k = 0; k < s->count; k++) {
        struct worker *w = s->workers[k];
        dprintf(STDERR_FILENO, "worker %d: %s, futex %u, deque %d, fifo %d, inbox %s, next %s\n", w->id,
                load_relaxed(&w->asleep) ? "asleep"
                : w->searching           ? "searching"
                                         : "awake",
                (unsigned)load_relaxed(&w->futex), (int)weft__deque_size(&w->deque), (int)weft__deque_size(&w->fifo),
                weft__inject_empty(&w->inbox) ? "empty" : "filled", load_relaxed(&w->next) ? "filled" : "empty");
    }
    if (s->count > 0) weft__stack_each(print_context, NULL);
}
