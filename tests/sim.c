/* sim.c - the simulator: threads, their turns, and time.  See sim.h. */
#include "sim.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "context.h"

enum { MOST_THREADS = 192, STACK = 256 * 1024, GUARD = 16 * 1024 };
enum { SPIN_NS = 100, SPIN_YIELDS = 4, SPIN_POINTS = 256, JUMP_NS = 10000000, FASTER_NS = 50000 };
enum { FIRST_PRIORITIES = 1 << 30 };

/* More than any test needs: beyond, it is in a loop. */
#define MOST_POINTS UINT64_C(400000000)
#define FAR INT64_C(43200000000000) /* who sleeps for half a day only looks for deadlocks */
#define NOT_COUNTED (LONG_MAX / 2)
#define MOST_SPINS 100000 /* of each thread, in a row */

long sim_left; /* points until the turn is over */
void sim_turn(void);

static struct {
    bool active, ended;
    struct sim_plan plan;
    struct sim_thread threads[MOST_THREADS];
    int used; /* of threads: those below have been used */
    struct sim_thread *current;
    struct sim_thread *reporter; /* everybody who is switched to says where he is, and switches back */
    void *driver;                /* the stack of sim_run's caller */
    uint64_t random;
    uint64_t trace, turns;
    uint64_t done;   /* points of the turns before */
    long granted;    /* what sim_left began with */
    int64_t passed;  /* nanoseconds beside those of the points */
    uint64_t change; /* pct: the point at which the next priority changes */
    uint32_t changes_left;
    int64_t lowest, highest;
} sim;

static char *stacks;

/* The library's, of tls.c.  Each simulated thread has its own. */
extern _Thread_local struct worker *weft__tls_worker;
extern _Thread_local struct offload *weft__tls_offload;
extern _Thread_local struct scope *weft__tls_scope;

static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t
below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((next_random(state) >> 32) * n >> 32);
}

/* Between 2^from and 2^to; each power of two is as likely. */
static uint32_t
magnitude(uint64_t *state, unsigned from, unsigned to)
{
    uint32_t power = UINT32_C(1) << (from + below(state, to - from));
    return power + below(state, power);
}

struct sim_plan
sim_plan_of(uint64_t seed)
{
    static const uint32_t ticks[] = {2, 10, 30, 100}, chances[] = {0, 0, 16, 64, 256};
    uint64_t r = seed * 0xd1342543de82ef95u + 1;
    struct sim_plan p = {.seed = seed};
    p.strategy = (enum sim_strategy)below(&r, 3);
    p.mean = magnitude(&r, 1, 9);
    p.stalls = magnitude(&r, 2, 8);
    p.longest = magnitude(&r, 5, 13);
    p.changes = below(&r, 6);
    p.length = magnitude(&r, 7, 17);
    p.patience = magnitude(&r, 8, 13);
    p.tick = ticks[below(&r, 4)];
    p.jumps = chances[below(&r, 5)];
    p.spurious = chances[below(&r, 5)];
    p.cores = 1 + (int)below(&r, 8);
    p.workers = 1 + (int)below(&r, 5);
    return p;
}

void
sim_plan_text(const struct sim_plan *p, char *text, size_t size)
{
    char how[96];
    if (p->strategy == SIM_WALK) snprintf(how, sizeof how, "walk, %u points a turn", p->mean);
    else if (p->strategy == SIM_STALL)
        snprintf(how, sizeof how, "stall, %u points a turn, after one of %u for up to %u points", p->mean, p->stalls,
                 p->longest);
    else snprintf(how, sizeof how, "pct, %u changes in %u points, patience %u", p->changes, p->length, p->patience);
    snprintf(text, size, "%s, %u ns a point, jumps %u, spurious %u, %d cores, %d workers", how, p->tick, p->jumps,
             p->spurious, p->cores, p->workers);
}

struct sim_thread *
sim_self(void)
{
    return sim.active ? sim.current : NULL;
}

const struct sim_plan *
sim_plan(void)
{
    return &sim.plan;
}

static uint64_t
points(void)
{
    return sim.done + (uint64_t)(sim.granted - sim_left);
}

int64_t
sim_now(void)
{
    return sim.passed + (int64_t)(points() * sim.plan.tick);
}

void
sim_pass(int64_t ns)
{
    sim.passed += ns;
}

bool
sim_chance(uint32_t n)
{
    return n > 0 && below(&sim.random, n) == 0;
}

void
sim_each(void (*visit)(const struct sim_thread *t, void *arg), void *arg)
{
    for (int i = 0; i < sim.used; i++) {
        const struct sim_thread *t = &sim.threads[i];
        if (t->state == SIM_READY || t->state == SIM_BLOCKED) visit(t, arg);
    }
}

/* ---- Switching ---- */

static void
grant(uint64_t n)
{
    sim.done = points();
    sim_left = sim.granted = (long)n;
}

/* What belongs to the thread of the system, and so to whoever runs on it. */
static void
switch_to(struct sim_thread *to)
{
    struct sim_thread *me = sim.current;
    if (to == me) return;
    me->error_number = errno;
    me->worker = weft__tls_worker;
    me->offload = weft__tls_offload;
    me->scope = weft__tls_scope;
    me->fpenv = weft__fpenv_read();
    sim.current = to;
    weft__context_swap(&me->sp, to->sp);
    while (sim.reporter) {
        sim_report_here();
        sim.current = sim.reporter;
        weft__context_swap(&me->sp, sim.reporter->sp);
    }
    if (weft__fpenv_read() != me->fpenv) weft__fpenv_write(me->fpenv);
    weft__tls_worker = me->worker;
    weft__tls_offload = me->offload;
    weft__tls_scope = me->scope;
    errno = me->error_number;
}

_Noreturn void
sim_stuck(const char *format, ...)
{
    static bool again;
    char plan[256];
    va_list args;
    if (again) _exit(SIM_STUCK); /* what is printed goes through the same code */
    again = true;
    grant(NOT_COUNTED);
    sim_plan_text(&sim.plan, plan, sizeof plan);
    va_start(args, format);
    vdprintf(STDERR_FILENO, format, args);
    va_end(args);
    dprintf(STDERR_FILENO, "\nafter %llu points, %llu turns, at %lld ns; %s\n", (unsigned long long)points(),
            (unsigned long long)sim.turns, (long long)sim_now(), plan);
    struct sim_thread *me = sim.current;
    for (int i = 0; i < sim.used; i++) {
        struct sim_thread *t = &sim.threads[i];
        if (t->state != SIM_READY && t->state != SIM_BLOCKED) continue;
        sim_report_thread(t, t == me);
        if (t == me) {
            sim_report_here();
        } else if (t->fpenv) { /* it has run already */
            sim.reporter = me;
            sim.current = t;
            weft__context_swap(&me->sp, t->sp);
            sim.reporter = NULL;
        }
    }
    sim_weft_print();
    _exit(SIM_STUCK);
}

/* ---- Whose turn it is ---- */

static void
make_ready(struct sim_thread *t, bool expired)
{
    t->state = SIM_READY;
    t->expired = expired;
    t->spins = 0;
    t->ran = 0;
    t->since = points();
}

static int64_t
next_deadline(void)
{
    int64_t first = INT64_MAX;
    for (int i = 0; i < sim.used; i++) {
        const struct sim_thread *t = &sim.threads[i];
        if (t->state == SIM_BLOCKED && t->deadline < first) first = t->deadline;
    }
    return first;
}

/* Lets go on whose deadline has come; returns how many are ready. */
static int
expire(void)
{
    int64_t now = sim_now();
    int ready = 0;
    for (int i = 0; i < sim.used; i++) {
        struct sim_thread *t = &sim.threads[i];
        if (t->state == SIM_BLOCKED && t->deadline <= now) make_ready(t, true);
        ready += t->state == SIM_READY;
    }
    return ready;
}

/* Everybody is blocked: time goes on to the next deadline. */
static int
wait_for_time(void)
{
    grant(NOT_COUNTED);
    const char *wrong = sim_weft_check();
    sim_left = sim.granted;
    if (wrong) sim_stuck("%s", wrong);
    int64_t deadline = next_deadline();
    if (deadline == INT64_MAX || deadline - sim_now() > FAR)
        sim_stuck("deadlock: every thread waits, and none for a time that is near");
    sim.passed += deadline - sim_now();
    return expire();
}

/* Any of those that are ready; one that spins or has lost its core only if there is nobody else. */
static struct sim_thread *
pick_any(const struct sim_thread *spinning)
{
    struct sim_thread *good[MOST_THREADS], *bad[MOST_THREADS];
    uint32_t n_good = 0, n_bad = 0;
    uint64_t now = points();
    for (int i = 0; i < sim.used; i++) {
        struct sim_thread *t = &sim.threads[i];
        if (t->state != SIM_READY) continue;
        if (t == spinning || t->stalled > now) bad[n_bad++] = t;
        else good[n_good++] = t;
    }
    return n_good > 0 ? good[below(&sim.random, n_good)] : bad[below(&sim.random, n_bad)];
}

/* The highest priority; but first of all who has waited for too long. */
static struct sim_thread *
pick_highest(void)
{
    struct sim_thread *best = NULL, *longest = NULL;
    for (int i = 0; i < sim.used; i++) {
        struct sim_thread *t = &sim.threads[i];
        if (t->state != SIM_READY) continue;
        if (!best || t->priority > best->priority) best = t;
        if (!longest || t->since < longest->since) longest = t;
    }
    if (points() - longest->since <= sim.plan.patience) return best;
    longest->priority = ++sim.highest;
    return longest;
}

static uint64_t
walk_turn(void)
{
    uint64_t n = 1;
    while (below(&sim.random, sim.plan.mean) != 0) n++;
    return n;
}

/* Short ones and long ones are as likely. */
static uint64_t
stall(void)
{
    return sim.plan.longest >> below(&sim.random, 6);
}

static void
fall(struct sim_thread *t)
{
    t->priority = --sim.lowest;
}

static uint64_t
pct_turn(void)
{
    uint64_t now = points(), n = sim.plan.patience / 2 + below(&sim.random, sim.plan.patience); /* no rhythm */
    if (sim.changes_left > 0 && sim.change > now && sim.change - now < n) n = sim.change - now;
    return n;
}

/* Priorities that change at this point. */
static void
pct_change(bool spinning)
{
    uint64_t now = points();
    bool due = sim.changes_left > 0 && now >= sim.change;
    if (due) {
        sim.changes_left--;
        sim.change = now + 1 + below(&sim.random, sim.plan.length);
    }
    if (due || spinning) fall(sim.current);
}

/* How often in a row every thread that is ready has spun. */
static unsigned
all_spin(void)
{
    unsigned least = UINT_MAX;
    for (int i = 0; i < sim.used; i++) {
        const struct sim_thread *t = &sim.threads[i];
        if (t->state == SIM_READY && t->spins < least) least = t->spins;
    }
    return least;
}

/* The running thread's turn is over. */
static void
turn(bool spinning)
{
    struct sim_thread *me = sim.current;
    me->ran += (uint64_t)(sim.granted - sim_left);
    me->since = points();
    me->worker = weft__tls_worker; /* for whoever looks at all threads */
    if (points() > MOST_POINTS) sim_stuck("livelock: it does not come to an end");
    int64_t deadline = sim_chance(sim.plan.jumps) ? next_deadline() : INT64_MAX, now = sim_now();
    if (deadline != INT64_MAX && deadline > now && deadline - now < JUMP_NS) sim.passed += deadline - now;
    int ready = expire();
    while (ready == 0) ready = wait_for_time();

    if (sim.plan.strategy == SIM_PCT && me->state == SIM_READY) pct_change(spinning);
    if (sim.plan.strategy == SIM_STALL && sim_chance(sim.plan.stalls)) me->stalled = points() + stall();
    struct sim_thread *next = sim.plan.strategy == SIM_PCT ? pick_highest() : pick_any(spinning ? me : NULL);
    sim.turns++;
    sim.trace = (sim.trace ^ (uint64_t)next->id ^ points() << 8) * 0x100000001b3u;
    grant(sim.plan.strategy == SIM_PCT ? pct_turn() : walk_turn());
    switch_to(next);
}

void
sim_turn(void)
{
    if (sim.active) turn(false);
    else sim_left = LONG_MAX;
}

void
sim_yield(int64_t ns)
{
    struct sim_thread *t = sim.current;
    bool busy = t->ran + (uint64_t)(sim.granted - sim_left) > SPIN_POINTS;
    t->spins = busy ? 0 : t->spins + 1;
    /* Where everybody spins they wait for a time: the longer they do, the faster it passes. */
    unsigned spins = all_spin();
    if (spins > MOST_SPINS) sim_stuck("livelock: every thread waits or spins");
    int64_t faster = (int64_t)spins * ns / 16;
    sim.passed += ns + (faster < FASTER_NS ? faster : FASTER_NS);
    turn(true);
    t->ran = 0;
}

void
sim_progress(void)
{
    sim.current->spins = 0;
}

void sim_pause(void);

void
sim_pause(void)
{
    if (!sim.active) return;
    if (below(&sim.random, SPIN_YIELDS) == 0) sim_yield(SPIN_YIELDS * SPIN_NS);
}

bool
sim_block(enum sim_wait why, const void *on, uint32_t expected, int64_t deadline)
{
    struct sim_thread *t = sim.current;
    t->why = why;
    t->on = on;
    t->expected = expected;
    t->deadline = deadline;
    t->state = SIM_BLOCKED;
    turn(false);
    return !t->expired;
}

int
sim_wake(enum sim_wait why, const void *on, int count)
{
    struct sim_thread *waiting[MOST_THREADS];
    uint32_t n = 0;
    int woken = 0;
    for (int i = 0; i < sim.used; i++) {
        struct sim_thread *t = &sim.threads[i];
        if (t->state == SIM_BLOCKED && t->why == why && t->on == on) waiting[n++] = t;
    }
    while (n > 0 && woken < count) {
        uint32_t k = below(&sim.random, n);
        make_ready(waiting[k], false);
        waiting[k] = waiting[--n];
        woken++;
    }
    /* Perhaps its priority is higher. */
    if (woken > 0 && sim.plan.strategy == SIM_PCT) grant(0);
    return woken;
}

/* ---- Threads ---- */

static void
end_thread(struct sim_thread *t)
{
    t->state = SIM_ENDED;
    sim_wake(SIM_JOIN, t, INT_MAX);
    if (t->id == 0) {
        sim.ended = true;
        sim.active = false;
        weft__context_swap(&t->sp, sim.driver);
    }
    if (t->detached) sim_release(t);
    turn(false);
    abort();
}

static void
thread_main(void *arg)
{
    struct sim_thread *t = arg;
    weft__fpenv_write(WEFT__FPENV_ABI);
    weft__tls_worker = NULL;
    weft__tls_offload = NULL;
    weft__tls_scope = NULL;
    if (sim.reporter) abort(); /* who has not run yet is not asked */
    t->value = t->start(t->arg);
    end_thread(t);
}

struct sim_thread *
sim_create(void *(*start)(void *arg), void *arg)
{
    int i = 0;
    while (i < sim.used && sim.threads[i].state != SIM_FREE) i++;
    if (i == MOST_THREADS) return NULL;
    if (i == sim.used) sim.used++;
    struct sim_thread *t = &sim.threads[i];
    *t = (struct sim_thread){.id = i, .state = SIM_READY, .start = start, .arg = arg, .deadline = INT64_MAX};
    t->low = stacks + (size_t)i * (STACK + GUARD) + GUARD;
    t->priority = (int64_t)below(&sim.random, FIRST_PRIORITIES);
    t->since = points();
    struct machine_context machine;
    weft__context_make(&machine, t->low, STACK, 0, thread_main, t);
    t->sp = machine.sp;
    return t;
}

struct sim_thread *
sim_find(int id)
{
    return id >= 0 && id < sim.used && sim.threads[id].state != SIM_FREE ? &sim.threads[id] : NULL;
}

void
sim_release(struct sim_thread *t)
{
    t->state = SIM_FREE;
}

void
sim_prepare(void)
{
    size_t size = (size_t)MOST_THREADS * (STACK + GUARD);
    stacks = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) abort();
    for (int i = 0; i < MOST_THREADS; i++) {
        if (mprotect(stacks + (size_t)i * (STACK + GUARD), GUARD, PROT_NONE) != 0) abort();
    }
}

struct body {
    void (*call)(void *arg);
    void *arg;
};

static void *
call_body(void *arg)
{
    struct body *b = arg;
    b->call(b->arg);
    return NULL;
}

static void
count_left(const struct sim_thread *t, void *arg)
{
    (void)t;
    ++*(int *)arg;
}

void
sim_run(const struct sim_plan *plan, void (*body)(void *arg), void *arg, struct sim_totals *totals)
{
    struct body b = {body, arg};
    if (sim.ended) abort();
    sim.plan = *plan;
    sim.random = plan->seed * 0x9e3779b97f4a7c15u + 12345;
    sim.passed = (int64_t)(1000000000000 + next_random(&sim.random) % 1000000000000);
    sim.changes_left = plan->changes;
    sim.highest = FIRST_PRIORITIES;
    sim.change = 1 + below(&sim.random, plan->length);
    int64_t begin = sim.passed;
    struct sim_thread *t = sim_create(call_body, &b);
    sim.current = t;
    sim_left = sim.granted = 1;
    sim.active = true;
    weft__context_swap(&sim.driver, t->sp);
    *totals =
        (struct sim_totals){.trace = sim.trace, .points = points(), .turns = sim.turns, .time = sim_now() - begin};
    sim_each(count_left, &totals->threads);
}
