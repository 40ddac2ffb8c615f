/* test_span.c - work and span: the programs' own, where time passes only when they say so.
 *
 * On one worker, so that nobody else's work moves the clock.  The expected values are closed forms, or recurrences without any
 * scheduling. */
#include "task_kit.h"

#include "watch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { BURDEN = 7 };

static _Atomic uint64_t clock_word;

static uint64_t
clock_read(void)
{
    return atomic_load(&clock_word);
}

static void
work(uint64_t ticks)
{
    atomic_fetch_add(&clock_word, ticks);
}

struct program {
    weft_fn *fn;
    void *arg;
};

static int
pretended(void *arg)
{
    struct program *p = arg;
    atomic_store(&clock_word, 1000);
    weft__span_pretend(clock_read, BURDEN);
    return p->fn(p->arg);
}

/* Runs fn(arg) as the root task on one worker, counted. */
static struct span_ticks
counted(weft_fn *fn, void *arg)
{
    struct program p = {fn, arg};
    struct capture c = {0};
    char said[512] = "";
    if (!CHECK(capture_begin(&c))) return (struct span_ticks){0, {0, 0}};
    setenv("WEFT_SPAN", "on", 1);
    int rc = run_on(1, pretended, &p);
    unsetenv("WEFT_SPAN");
    capture_end(&c, said, sizeof said, "");
    CHECK_INT(rc, 0);
    CHECK(strstr(said, "burdened span") != NULL);
    return weft__span_ticks();
}

static void
expect(struct span_ticks t, uint64_t all, uint64_t depth, uint64_t burdened)
{
    CHECK_INT(t.work, all);
    CHECK_INT(t.longest.depth, depth);
    CHECK_INT(t.longest.burdened, burdened);
}

static uint64_t
most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- Fork and join ---- */

static int
leaf(void *arg)
{
    work((uintptr_t)arg);
    return 0;
}

/* Each call takes 1. */
static int
fib(void *arg)
{
    uintptr_t n = (uintptr_t)arg;
    work(1);
    if (n < 2) return 0;
    weft_task *t = spawned(fib, (void *)(n - 1));
    fib((void *)(n - 2));
    return weft_join(t);
}

static uint64_t
fib_calls(uint64_t n)
{
    return n < 2 ? 1 : 1 + fib_calls(n - 1) + fib_calls(n - 2);
}

static uint64_t
fib_burdened(uint64_t n)
{
    return n < 2 ? 1 : 1 + most(fib_burdened(n - 1) + 2 * BURDEN, fib_burdened(n - 2));
}

TEST(span, fib, "span: of a recursion it is its depth, however it was run")
{
    for (uint64_t n = 0; n <= 12; n++)
        expect(counted(fib, (void *)(uintptr_t)n), fib_calls(n), n < 2 ? 1 : n, fib_burdened(n));
}

enum { LINKS = 40, LEAVES = 64, COST = 5 };

static int
chain(void *arg)
{
    (void)arg;
    for (int i = 0; i < LINKS; i++) CHECK_INT(weft_join(spawned(leaf, (void *)COST)), 0);
    return 0;
}

TEST(span, chain, "span: of tasks that come one after the other it is the work")
{
    expect(counted(chain, NULL), LINKS * COST, LINKS * COST, LINKS * (COST + 2 * BURDEN));
}

enum how { JOINED_LAST_FIRST, JOINED_IN_ORDER, WAITED_FOR, CLOSED, SCOPE_WAITED, HOWS };

static int
flat(void *arg)
{
    weft_task *t[LEAVES];
    weft_scope s;
    enum how how = (enum how)(uintptr_t)arg;
    if (how >= CLOSED) weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int i = 0; i < LEAVES; i++) t[i] = spawned(leaf, (void *)COST);
    for (int i = 0; i < LEAVES && how == JOINED_IN_ORDER; i++) CHECK_INT(weft_join(t[i]), 0);
    for (int i = LEAVES; how == JOINED_LAST_FIRST && i-- > 0;) CHECK_INT(weft_join(t[i]), 0);
    if (how == WAITED_FOR) CHECK_INT(weft_waitall(t, LEAVES, 0), 0);
    if (how == SCOPE_WAITED) CHECK_INT(weft_scope_wait(&s), 0);
    work(1);
    if (how >= CLOSED) CHECK_INT(weft_scope_close(&s, 0), 0);
    for (int i = 0; i < LEAVES && how >= WAITED_FOR; i++) weft_task_release(t[i]);
    work(1);
    return 0;
}

TEST(span, flat, "span: of tasks beside each other it is the longest, joined, waited for, or members of a scope")
{
    for (enum how how = 0; how < HOWS; how++) {
        uint64_t after = how == CLOSED ? 1 : 2; /* what comes after them */
        expect(counted(flat, (void *)(uintptr_t)how), LEAVES * COST + 2, COST + after, COST + after + 2 * BURDEN);
    }
}

/* All have ended on stacks of their own before anybody waits for them. */
static int
ended_before(void *arg)
{
    weft_task *t[LEAVES];
    weft_scope s;
    enum how how = (enum how)(uintptr_t)arg;
    if (how >= CLOSED) weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int i = 0; i < LEAVES; i++) t[i] = spawned(leaf, (void *)COST);
    for (int i = 0; i < LEAVES; i++) {
        while (!weft_task_isdone(t[i])) weft_yield();
    }
    for (int i = 0; i < LEAVES && how == JOINED_IN_ORDER; i++) CHECK_INT(weft_join(t[i]), 0);
    if (how == WAITED_FOR) CHECK_INT(weft_waitall(t, LEAVES, 0), 0);
    if (how == SCOPE_WAITED) CHECK_INT(weft_scope_wait(&s), 0);
    if (how >= CLOSED) CHECK_INT(weft_scope_close(&s, 0), 0);
    for (int i = 0; i < LEAVES && how >= WAITED_FOR; i++) weft_task_release(t[i]);
    work(1);
    return 0;
}

TEST(span, ended_before, "span: who joins, waits or closes is after tasks that had ended long before")
{
    for (enum how how = JOINED_IN_ORDER; how < HOWS; how++)
        expect(counted(ended_before, (void *)(uintptr_t)how), LEAVES * COST + 1, COST + 1, COST + 1 + 2 * BURDEN);
}

static int
range(size_t begin, size_t end, void *arg)
{
    (void)arg;
    work(COST * (end - begin));
    return 0;
}

static int
loop(void *arg)
{
    (void)arg;
    return weft_for(0, LEAVES, 1, range, NULL);
}

TEST(span, loop, "span: a loop is halved until pieces are left, and so are its costs")
{
    expect(counted(loop, NULL), LEAVES * COST, COST, COST + 6 * 2 * BURDEN);
}

enum { MANY = 100000 };

static int
lazy_loop(void *arg)
{
    (void)arg;
    return weft_for(0, MANY, 0, range, NULL);
}

TEST(span, lazy_loop,
     "span: a loop whose grain is up to Weft has a span of a few pieces and burdens on one worker as well")
{
    struct span_ticks t = counted(lazy_loop, NULL);
    CHECK_INT(t.work, MANY * COST);
    CHECK(t.longest.depth >= COST);
    CHECK(t.longest.depth <= 20 * (BURDEN + 2 * COST * (MANY / 4096 + 1)));
}

/* ---- Pipelines ---- */

enum { STAGES_MOST = 5, ITEMS_MOST = 64 };

struct line {
    int stages, items;
    size_t capacity;
    const unsigned *cost; /* NULL: another for each item and stage */
};

struct stage {
    const struct line *line;
    weft_channel *in, *out;
    int i;
};

static uint64_t
cost_of(const struct line *l, int i, int j)
{
    return l->cost ? l->cost[i] : (unsigned)(7 * i + 3 * j * j + j) % 11 + 1;
}

static int
stage(void *arg)
{
    struct stage *s = arg;
    for (int j = 0, x = 0; j < s->line->items; j++) {
        if (s->in) CHECK_INT(weft_channel_take(s->in, &x), 0);
        work(cost_of(s->line, s->i, j));
        if (s->out) CHECK_INT(weft_channel_put(s->out, &x), 0);
    }
    return 0;
}

static int
pipeline(void *arg)
{
    const struct line *l = arg;
    weft_channel *c[STAGES_MOST] = {NULL};
    struct stage s[STAGES_MOST];
    weft_task *t[STAGES_MOST];
    for (int i = 0; i + 1 < l->stages; i++) CHECK_INT(weft_channel_new(&c[i], sizeof(int), l->capacity), 0);
    for (int i = 0; i < l->stages; i++) {
        s[i] = (struct stage){l, i ? c[i - 1] : NULL, c[i], i};
        t[i] = spawned(stage, &s[i]);
    }
    for (int i = 0; i < l->stages; i++) CHECK_INT(weft_join(t[i]), 0);
    for (int i = 0; i + 1 < l->stages; i++) weft_channel_release(c[i]);
    return 0;
}

/* When the last item leaves the last stage, with a core for each stage. */
static uint64_t
line_depth(const struct line *l)
{
    uint64_t left[STAGES_MOST][ITEMS_MOST], took[STAGES_MOST][ITEMS_MOST];
    for (int j = 0; j < l->items; j++) {
        for (int i = 0; i < l->stages; i++) {
            uint64_t from = j ? left[i][j - 1] : 0; /* the stage is done with the item before, */
            if (i) from = most(from, left[i - 1][j]);
            took[i][j] = from;
            uint64_t end = from + cost_of(l, i, j);
            bool last = i + 1 == l->stages;
            if (!last && l->capacity == 0) end = most(end, j ? left[i + 1][j - 1] : 0); /* and so is the next stage, */
            else if (!last && (size_t)j >= l->capacity) end = most(end, took[i + 1][(size_t)j - l->capacity]);
            left[i][j] = end; /* or there is room */
        }
    }
    return left[l->stages - 1][l->items - 1];
}

static uint64_t
line_work(const struct line *l)
{
    uint64_t sum = 0;
    for (int i = 0; i < l->stages; i++) {
        for (int j = 0; j < l->items; j++) sum += cost_of(l, i, j);
    }
    return sum;
}

TEST(span, pipeline, "span: of a pipeline it is what it would take with a core for each stage")
{
    static const unsigned same[] = {3, 3, 3, 3, 3}, uneven[] = {2, 7, 1, 5, 3}, rising[] = {1, 2, 3, 4, 9};
    static const unsigned *const costs[] = {same, uneven, rising, NULL};
    static const size_t capacities[] = {0, 1, 2, 3, 8, WEFT_UNBOUNDED};
    for (int stages = 1; stages <= STAGES_MOST; stages += 2) {
        for (size_t k = 0; k < 4 * 6; k++) {
            struct line l = {stages, k % 2 ? 50 : 13, capacities[k % 6], costs[k / 6]};
            struct span_ticks t = counted(pipeline, &l);
            CHECK_INT(t.work, line_work(&l));
            if (!CHECK_INT(t.longest.depth, line_depth(&l)))
                test__note("%d stages, %d items, %zu places, costs %zu", stages, l.items, l.capacity, k / 6);
        }
    }
}

static int
put_batches(void *arg)
{
    int values[8] = {0};
    for (int i = 0; i < 4; i++) {
        work(8);
        CHECK_INT(weft_channel_put_n(arg, values, 8, NULL), 0);
    }
    weft_channel_close(arg, 0);
    return 0;
}

static int
batches(void *arg)
{
    weft_channel *c = NULL;
    int values[8];
    size_t n;
    (void)arg;
    CHECK_INT(weft_channel_new(&c, sizeof(int), 64), 0);
    weft_task *t = spawned(put_batches, c);
    while (weft_channel_take_n(c, values, 8, &n) == 0) work(n);
    CHECK_INT(weft_join(t), 0);
    weft_channel_release(c);
    return 0;
}

TEST(span, batches, "span: each value of a batch is after its put")
{
    struct span_ticks t = counted(batches, NULL);
    CHECK_INT(t.work, 64);
    CHECK_INT(t.longest.depth, 32 + 8); /* the last batch is eaten when all have been made */
}

/* ---- Other edges ---- */

static weft_barrier barrier;
enum { PARTIES = 3, PHASES = 4 };

static int
party(void *arg)
{
    for (unsigned phase = 0; phase < PHASES; phase++) {
        work((uintptr_t)arg + (phase + (uintptr_t)arg) % PARTIES * 10);
        CHECK(weft_barrier_wait(&barrier) >= 0);
    }
    return 0;
}

static int
phases(void *arg)
{
    weft_task *t[PARTIES];
    (void)arg;
    CHECK_INT(weft_barrier_init(&barrier, PARTIES), 0);
    for (uintptr_t i = 0; i < PARTIES; i++) t[i] = spawned(party, (void *)i);
    for (int i = 0; i < PARTIES; i++) CHECK_INT(weft_join(t[i]), 0);
    return 0;
}

TEST(span, barrier, "span: a phase lasts as long as its longest party, whoever comes last here")
{
    uint64_t depth = 0;
    for (unsigned phase = 0; phase < PHASES; phase++) {
        uint64_t longest = 0;
        for (unsigned i = 0; i < PARTIES; i++) longest = most(longest, i + (phase + i) % PARTIES * 10);
        depth += longest;
    }
    CHECK_INT(counted(phases, NULL).longest.depth, depth);
}

static weft_event event;

static int
set_event(void *arg)
{
    work((uintptr_t)arg);
    weft_event_notify(&event);
    return 0;
}

static int
wait_event(void *arg)
{
    CHECK_INT(weft_event_wait(&event), 0);
    work((uintptr_t)arg);
    return 0;
}

/* The first of the two that runs is the one that was spawned last. */
static int
events(void *arg)
{
    weft_task *t[2];
    bool set_first = arg != NULL;
    event = (weft_event)WEFT_EVENT_INIT;
    t[0] = spawned(set_first ? wait_event : set_event, (void *)20);
    t[1] = spawned(set_first ? set_event : wait_event, (void *)20);
    CHECK_INT(weft_join(t[1]), 0);
    CHECK_INT(weft_join(t[0]), 0);
    return 0;
}

TEST(span, event, "span: who waits for an event is after who set it, also where it was set already")
{
    CHECK_INT(counted(events, NULL).longest.depth, 40);
    CHECK_INT(counted(events, &event).longest.depth, 40);
}

static int
parks_and_works(void *arg)
{
    CHECK_INT(weft_park(NULL), 0);
    work((uintptr_t)arg);
    return 0;
}

static int
scheduler_of(void *arg)
{
    work(30);
    return weft_schedule(arg);
}

static int
wakes(void *arg)
{
    (void)arg;
    weft_task *t = spawned(parks_and_works, (void *)5);
    weft_yield(); /* it parks */
    weft_task *u = spawned(scheduler_of, t);
    CHECK_INT(weft_join(u), 0);
    CHECK_INT(weft_join(t), 0);
    return 0;
}

TEST(span, wake, "span: who was woken is after who woke it")
{
    struct span_ticks t = counted(wakes, NULL);
    CHECK_INT(t.work, 35);
    CHECK_INT(t.longest.depth, 35);
}

/* A thread that lets time pass, which nobody works in, and then wakes the task. */
static void *
alarm_thread(void *arg)
{
    while (weft_schedule(arg) != 0) continue;
    return NULL;
}

static int
alarmed(void *arg)
{
    (void)arg;
    CHECK_INT(weft_park(NULL), 0);
    work(5);
    return 0;
}

static void
let_pass(void *arg)
{
    pthread_t thread;
    work(100);
    CHECK_INT(pthread_create(&thread, NULL, alarm_thread, arg), 0);
    pthread_join(thread, NULL);
}

static int
wait_for_alarm(void *arg)
{
    weft_task *t = arg;
    let_pass(t);
    return 0;
}

static int
alarms(void *arg)
{
    (void)arg;
    weft_task *t = spawned(alarmed, NULL);
    weft_yield(); /* it parks */
    work(2);
    weft_task *u = spawned(wait_for_alarm, t);
    CHECK_INT(weft_join(u), 0);
    CHECK_INT(weft_join(t), 0);
    return 0;
}

TEST(span, alarm, "span: what a plain thread or a deadline ends has lasted as long as it was waited for")
{
    struct span_ticks t = counted(alarms, NULL);
    CHECK_INT(t.longest.depth, 2 + 100 + 5);
}

static int
daemon_body(void *arg)
{
    (void)arg;
    work(1000);
    return 0;
}

static int
with_daemon(void *arg)
{
    weft_task_options o = {.size = sizeof o, .flags = WEFT_DAEMON};
    weft_task *t = NULL;
    (void)arg;
    CHECK_INT(weft_spawn_with(&t, daemon_body, NULL, &o), 0);
    weft_task_release(t);
    weft_yield();
    work(3);
    return 0;
}

TEST(span, daemons, "span: a program does not last as long as its daemons; what they do is work")
{
    expect(counted(with_daemon, NULL), 1003, 3, 3);
}

static int
copied(void *arg)
{
    unsigned char *bytes = arg;
    work(bytes[0]);
    return bytes[0] == bytes[63] ? 0 : WEFT_EINVAL;
}

static int
copies(void *arg)
{
    unsigned char bytes[64];
    weft_task *t[8];
    (void)arg;
    for (unsigned i = 0; i < 8; i++) {
        memset(bytes, (int)i, sizeof bytes);
        CHECK_INT(weft_spawn_copy(&t[i], copied, bytes, sizeof bytes), 0);
    }
    for (int i = 0; i < 8; i++) CHECK_INT(weft_join(t[i]), 0);
    return 0;
}

TEST(span, copies, "span: what is copied for a task stays whole while it is counted")
{
    struct span_ticks t = counted(copies, NULL);
    CHECK_INT(t.work, 28);
    CHECK_INT(t.longest.depth, 7);
}

/* ---- The whole thing ---- */

static int
fib_all(void *arg)
{
    weft_stats s = {.size = sizeof s};
    CHECK_INT(weft_join(spawned(fib, arg)), 0);
    CHECK_INT(weft_stats_get(&s), 0);
    CHECK(s.work_ns > 0);
    CHECK(s.span_ns > 0);
    return 0;
}

TEST(span, stats,
     "span: weft_stats_get has it, during the run and after it, on any number of workers; not where it is off")
{
    struct capture c = {0};
    weft_stats s = {.size = sizeof s};
    CHECK_INT(weft_run(NULL, fib, (void *)5), 0);
    char said[512] = "";
    if (!CHECK(capture_begin(&c))) return;
    setenv("WEFT_SPAN", "500", 1);
    int rc = weft_run(NULL, fib_all, (void *)15);
    unsetenv("WEFT_SPAN");
    capture_end(&c, said, sizeof said, "");
    CHECK_INT(rc, 0);
    CHECK_INT(weft_stats_get(&s), 0);
    CHECK(s.work_ns >= s.span_ns && s.span_ns > 0 && s.burdened_ns > s.span_ns);
    double work_s = 0, span_s = 0;
    const char *at = strstr(said, "work ");
    if (CHECK(at != NULL) && CHECK_INT(sscanf(at, "work %lf s, span %lf s", &work_s, &span_s), 2))
        CHECK(work_s * 1e9 < (double)s.work_ns + 2 && work_s * 1e9 > (double)s.work_ns - 2);
}
