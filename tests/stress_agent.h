/* stress_agent.h - agents of stress programs: bodies that run as tasks of some kind, or as plain threads. */
#ifndef WEFT_STRESS_AGENT_H
#define WEFT_STRESS_AGENT_H

#include "stress_kit.h"

enum agent_place { AGENT_TASK, AGENT_STICKY, AGENT_INTERACTIVE, AGENT_THREAD, AGENT_PLACES };

struct agent {
    void (*run)(struct agent *a);
    enum agent_place place;
    int number;
    uint64_t random;
    atomic_bool begun, ended;
    atomic_int state; /* what it is at: the program's own numbers */
    atomic_long calls;
    weft_task *task;
    pthread_t thread;
};

/* What the agent is at, for reports. */
static inline void
agent_says(struct agent *a, int state)
{
    atomic_store_explicit(&a->state, state, memory_order_relaxed);
}

static inline int
agent_body(void *arg)
{
    struct agent *a = arg;
    atomic_store_explicit(&a->ended, false, memory_order_relaxed); /* this one was not dropped */
    atomic_store_explicit(&a->begun, true, memory_order_relaxed);
    a->run(a);
    atomic_store_explicit(&a->ended, true, memory_order_release);
    stress_moved();
    return 0;
}

/* It has ended without having run: the runtime was stopped, or memory is short. */
static inline void
agent_dropped(void *arg)
{
    struct agent *a = arg;
    atomic_store_explicit(&a->ended, true, memory_order_release);
}

static inline void *
agent_on_thread(void *arg)
{
    agent_body(arg);
    return NULL;
}

/* Spawns a task until it has come to run, and says so by begun: where memory is short, one may be accepted, and end
 * without a stack. */
static inline weft_task *
agent_spawn_body(weft_fn *fn, void *arg, const weft_task_options *opt, atomic_bool *begun)
{
    for (;;) {
        weft_task *t;
        int rc = weft_spawn_with(&t, fn, arg, opt);
        if (rc && !stress_short(rc)) stress_die("a task cannot start: %s", weft_error_name(rc));
        if (rc) continue;
        while (stress_failing() && !atomic_load_explicit(begun, memory_order_relaxed) && !weft_task_isdone(t)) {
            stress_give_turn();
            stress_pause(10 * WEFT_US);
        }
        if (!stress_failing() || atomic_load_explicit(begun, memory_order_relaxed)) return t;
        weft_task_release(t);
    }
}

static inline weft_task *
agent_spawn(struct agent *a)
{
    static const unsigned flags[AGENT_PLACES] = {[AGENT_STICKY] = WEFT_STICKY, [AGENT_INTERACTIVE] = WEFT_INTERACTIVE};
    weft_task_options opt = {.size = sizeof opt, .name = "agent", .flags = flags[a->place], .drop = agent_dropped};
    return agent_spawn_body(agent_body, a, &opt, &a->begun);
}

/* Before the first of n is started: none of them has run. */
static inline void
agents_reset(struct agent *agents, int n)
{
    for (int k = 0; k < n; k++) agents[k] = (struct agent){.number = k};
}

/* places: the agent runs in one of the first so many.  Agents that were reset together may look at each other's flags before
 * all are started. */
static inline void
agent_start(struct agent *a, int number, void (*run)(struct agent *), int places, uint64_t *random)
{
    atomic_store_explicit(&a->begun, false, memory_order_relaxed);
    atomic_store_explicit(&a->ended, false, memory_order_relaxed);
    atomic_store_explicit(&a->state, 0, memory_order_relaxed);
    atomic_store_explicit(&a->calls, 0, memory_order_relaxed);
    a->run = run;
    a->number = number;
    a->random = stress_mix(*random, (uint64_t)number);
    a->task = NULL;
    a->place = (enum agent_place)stress_dice(random, places);
    if (a->place == AGENT_THREAD) a->thread = stress_thread(agent_on_thread, a);
    else a->task = agent_spawn(a);
}

/* stopped: the runtime was stopped, and has ended tasks that it had not started. */
static inline void
agent_join(struct agent *a, bool stopped)
{
    if (a->place == AGENT_THREAD) {
        stress_join_thread(a->thread);
        return;
    }
    int rc = weft_join(a->task);
    if (rc && !(rc == WEFT_ECANCELED && stopped)) stress_die("an agent ended with %s", weft_error_name(rc));
}

static inline bool
agent_ended(const struct agent *a)
{
    return atomic_load_explicit((atomic_bool *)&a->ended, memory_order_acquire);
}

/* Is there one that has not ended? */
static inline bool
agents_busy(const struct agent *agents, int n)
{
    for (int k = 0; k < n; k++)
        if (!agent_ended(&agents[k])) return true;
    return false;
}

/* states: what their states are, in words; NULL: they have none. */
static inline void
agents_describe(FILE *out, struct agent *agents, int n, const char *const *states)
{
    static const char *const places[AGENT_PLACES] = {"task", "sticky task", "interactive task", "thread"};
    for (int k = 0; k < n; k++) {
        const struct agent *a = &agents[k];
        bool begun = atomic_load_explicit((atomic_bool *)&a->begun, memory_order_relaxed);
        const char *runs =
            states ? states[atomic_load_explicit((atomic_int *)&a->state, memory_order_relaxed)] : "runs";
        fprintf(out, "  agent %d (%s): %s, %ld calls\n", a->number, places[a->place],
                agent_ended(a) ? "ended"
                : begun        ? runs
                               : "has not run",
                stress_counted(&a->calls));
    }
}

static inline weft_time
agent_deadline(struct agent *a)
{
    switch (stress_dice(&a->random, 4)) {
    case 0:
        return WEFT_NOW;
    case 1:
        return weft_in(stress_dice(&a->random, 200) * WEFT_US);
    default:
        return WEFT_FOREVER;
    }
}

/* Did a call with a deadline come to it? */
static inline bool
agent_timed_out(int rc, weft_time deadline)
{
    return deadline != WEFT_FOREVER && rc == (deadline == WEFT_NOW ? WEFT_EAGAIN : WEFT_ETIMEDOUT);
}

#endif
