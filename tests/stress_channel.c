/* stress_channel.c - random putters, takers, fetchers and waiters on random channels, with deadlines, closes and stops.
 *
 * In each round: a runtime; a channel of a random capacity and element size; agents, each a task (ordinary, sticky or
 * interactive) or a plain thread, that call what they are for in all its forms; and an end, which comes when the putters are
 * through, or before: by a close, by the end of a task that the channel is bound to, or by the stop of the runtime, which
 * cancels the agents.
 *
 * In every round each value is taken exactly once, by an agent or from what the channel still holds at the end, if its
 * putter was told that it was put; and never, if not.  What is fetched was put.  Every agent sees the values of one
 * putter in order.  stress_kit.h says how it is called. */
#include "stress_kit.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_AGENTS = 512, MAX_SIZE = 40, MAX_BATCH = 8 };

#define KINDS(X) X(PUTTER, "putter") X(TAKER, "taker") X(FETCHER, "fetcher") X(WAITER, "waiter")
#define PLACES(X) X(TASK, "task") X(STICKY, "sticky task") X(INTERACTIVE, "interactive task") X(THREAD, "thread")
#define ENDS(X)                                                                                                        \
    X(AFTER_PUTTERS, "close after the putters") X(CLOSE, "close") X(BOUND, "end of a bound task") X(STOP, "stop")
#define STEPS(X) X(NOT_RUN, "has not run") X(BETWEEN, "between calls") X(CALLING, "calling") X(GONE, "ended")

enum kind { KINDS(STRESS_NAME) N_KINDS };
enum place { PLACES(STRESS_NAME) N_PLACES };
enum end { ENDS(STRESS_NAME) N_ENDS };
enum step { STEPS(STRESS_NAME) N_STEPS };
static const char *const kind_texts[] = {KINDS(STRESS_TEXT)}, *const place_texts[] = {PLACES(STRESS_TEXT)},
                         *const end_texts[] = {ENDS(STRESS_TEXT)}, *const step_texts[] = {STEPS(STRESS_TEXT)};

struct agent {
    enum kind kind;
    enum place place;
    int number; /* among those of its kind */
    uint64_t random;
    int *next; /* for each putter the least number of a value that this agent may still see */
    atomic_int step;
    atomic_long calls;
    weft_task *task;
    pthread_t thread;
};

/* The fate of a value. */
struct fate {
    bool put; /* its putter's, until that has ended */
    atomic_bool fetched;
    atomic_int taken;
};

static struct round {
    weft_config cfg;
    weft_channel *c;
    size_t capacity, size;
    enum end end;
    int code; /* of the close */
    int counts[N_KINDS], each;
    int n_agents;
    struct agent agents[MAX_AGENTS];
    struct fate *fates; /* [putter][number of the value] */
} current;

static atomic_long puts_done, takes_done, fetches_done, waits_done, timeouts, cancelled;
static long closes, stops;

static void
describe(FILE *out)
{
    const struct round *r = &current;
    fprintf(out, "%d workers and %d; capacity %zu, elements of %zu bytes, ends by %s with code %d\n", r->cfg.workers,
            r->cfg.interactive, r->capacity, r->size, end_texts[r->end], r->code);
    if (!r->c) return;
    fprintf(out, "  the channel is %s and has a length of %zu\n", weft_channel_isopen(r->c) ? "open" : "closed",
            weft_channel_len(r->c));
    for (int i = 0; i < r->n_agents; i++) {
        struct agent *a = &current.agents[i];
        fprintf(out, "  %s %d (%s): %s, %ld calls\n", kind_texts[a->kind], a->number, place_texts[a->place],
                step_texts[atomic_load_explicit(&a->step, memory_order_relaxed)], stress_counted(&a->calls));
    }
}

/* An element: putter and number in 4 bytes each, then bytes that follow from them. */
static void
make_element(unsigned char *element, int putter, int number)
{
    int32_t id[2] = {putter, number};
    memcpy(element, id, sizeof id);
    for (size_t i = sizeof id; i < current.size; i++)
        element[i] = (unsigned char)((size_t)putter * 17 + (size_t)number * 5 + i);
}

/* Checks a value that a saw and returns its fate. */
static struct fate *
saw(struct agent *a, const unsigned char *element, bool again_allowed)
{
    int32_t id[2];
    unsigned char expected[MAX_SIZE];
    memcpy(id, element, sizeof id);
    if (id[0] < 0 || id[0] >= current.counts[PUTTER] || id[1] < 0 || id[1] >= current.each)
        stress_die("%s %d got no value: %d %d", kind_texts[a->kind], a->number, (int)id[0], (int)id[1]);
    make_element(expected, id[0], id[1]);
    if (memcmp(element, expected, current.size) != 0)
        stress_die("%s %d got value %d of putter %d damaged", kind_texts[a->kind], a->number, (int)id[1], (int)id[0]);
    if (id[1] < a->next[id[0]])
        stress_die("%s %d got value %d of putter %d after value %d", kind_texts[a->kind], a->number, (int)id[1],
                   (int)id[0], a->next[id[0]] - !again_allowed);
    a->next[id[0]] = id[1] + !again_allowed;
    return &current.fates[id[0] * current.each + id[1]];
}

static void
took(struct agent *a, const unsigned char *elements, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (stress_lose()) continue;
        struct fate *f = saw(a, elements + i * current.size, false);
        if (atomic_fetch_add_explicit(&f->taken, 1, memory_order_relaxed) != 0) stress_die("a value was taken twice");
    }
    stress_count(&takes_done, (long)n);
    stress_moved();
}

static weft_time
random_deadline(struct agent *a)
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

/* Whether the agent goes on after a call that returned rc. */
static bool
goes_on(struct agent *a, int rc, weft_time deadline)
{
    atomic_store_explicit(&a->step, BETWEEN, memory_order_relaxed);
    stress_count(&a->calls, 1);
    if (rc == 0) return true;
    if (rc == (deadline == WEFT_NOW ? WEFT_EAGAIN : WEFT_ETIMEDOUT) && deadline != WEFT_FOREVER) {
        stress_count(&timeouts, 1);
        return true;
    }
    if (rc == WEFT_ECANCELED && current.end == STOP) {
        stress_count(&cancelled, 1);
        return false;
    }
    if (rc == current.code && current.end != STOP) return false;
    if (stress_short(rc) && a->kind == PUTTER && current.capacity == WEFT_UNBOUNDED) return true;
    stress_die("%s %d: unexpected code %s", kind_texts[a->kind], a->number, weft_error_name(rc));
}

static void
calls(struct agent *a)
{
    atomic_store_explicit(&a->step, CALLING, memory_order_relaxed);
}

static void
rest(struct agent *a)
{
    if (stress_dice(&a->random, 3)) return;
    stress_give_turn();
}

static void
run_putter(struct agent *a)
{
    unsigned char elements[MAX_BATCH * MAX_SIZE];
    struct fate *fates = &current.fates[a->number * current.each];
    bool going = true;
    for (int number = 0; going && number < current.each;) {
        int n = 1 + stress_dice(&a->random, stress_dice(&a->random, 3) ? 1 : MAX_BATCH), first = number;
        size_t done = SIZE_MAX;
        weft_time deadline = random_deadline(a);
        for (int i = 0; i < n && number < current.each; i++, number++)
            make_element(elements + (size_t)i * current.size, a->number, number);
        n = number - first;
        bool single = n == 1 && stress_dice(&a->random, 2);
        calls(a);
        int rc = single ? weft_channel_put_until(current.c, elements, deadline)
                        : weft_channel_put_n_until(current.c, elements, (size_t)n, &done, deadline);
        going = goes_on(a, rc, deadline);
        if (single) done = rc == 0;
        if (done > (size_t)n || (rc == 0) != (done == (size_t)n))
            stress_die("putter %d: %zu of %d put, code %d", a->number, done, n, rc);
        for (size_t i = 0; i < done; i++) fates[first + (int)i].put = true;
        stress_count(&puts_done, (long)done);
        stress_moved();
        rest(a);
    }
}

static void
run_taker(struct agent *a)
{
    unsigned char elements[MAX_BATCH * MAX_SIZE];
    for (bool going = true; going;) {
        size_t max = 1 + (size_t)stress_dice(&a->random, MAX_BATCH), got = SIZE_MAX;
        weft_time deadline = random_deadline(a);
        bool single = stress_dice(&a->random, 3);
        calls(a);
        int rc = single ? weft_channel_take_until(current.c, elements, deadline)
                        : weft_channel_take_n_until(current.c, elements, max, &got, deadline);
        going = goes_on(a, rc, deadline);
        if (single) got = rc == 0;
        if (got > max || (rc == 0) != (got > 0))
            stress_die("taker %d: got %zu of %zu, code %d", a->number, got, max, rc);
        took(a, elements, got);
        rest(a);
    }
}

/* Fetchers and waiters leave everything as it is: they sleep after each call, so that others change it. */
static void
doze(struct agent *a)
{
    if (a->place == THREAD) stress_pause(20 * WEFT_US);
    else if (weft_sleep(20 * WEFT_US)) stress_count(&cancelled, 1); /* the next call says so too */
}

static void
run_fetcher(struct agent *a)
{
    unsigned char element[MAX_SIZE];
    for (bool going = true; going; doze(a)) {
        weft_time deadline = random_deadline(a);
        calls(a);
        int rc = weft_channel_fetch_until(current.c, element, deadline);
        if (current.capacity == 0 && rc == WEFT_ENOTSUP) return;
        going = goes_on(a, rc, deadline);
        if (rc) continue;
        atomic_store_explicit(&saw(a, element, true)->fetched, true, memory_order_relaxed); /* read after the join */
        stress_count(&fetches_done, 1);
    }
}

static void
run_waiter(struct agent *a)
{
    for (bool going = true; going; doze(a)) {
        weft_time deadline = random_deadline(a);
        calls(a);
        int rc = weft_channel_wait_until(current.c, deadline);
        going = goes_on(a, rc, deadline);
        if (rc == 0) stress_count(&waits_done, 1);
    }
}

static int
run_agent(void *arg)
{
    static void (*const run[])(struct agent *) = {run_putter, run_taker, run_fetcher, run_waiter};
    struct agent *a = arg;
    atomic_store_explicit(&a->step, BETWEEN, memory_order_relaxed);
    run[a->kind](a);
    atomic_store_explicit(&a->step, GONE, memory_order_relaxed);
    stress_moved();
    return 0;
}

static void *
run_agent_on_thread(void *arg)
{
    run_agent(arg);
    return NULL;
}

static bool
has_run(const atomic_int *step)
{
    return atomic_load_explicit(step, memory_order_relaxed) != NOT_RUN;
}

/* Spawns fn(arg) until it has come to run, which it says in *step: where memory is short, a task may be accepted, and
 * end without a stack. */
static weft_task *
spawn(weft_fn *fn, void *arg, const atomic_int *step, unsigned flags)
{
    weft_task_options opt = {.size = sizeof opt, .name = "agent", .flags = flags};
    for (;;) {
        weft_task *t;
        int rc = weft_spawn_with(&t, fn, arg, &opt);
        if (rc && !stress_short(rc)) stress_die("a task cannot start: %s", weft_error_name(rc));
        if (rc) continue;
        while (stress_failing() && !has_run(step) && !weft_task_isdone(t)) stress_pause(10 * WEFT_US);
        if (!stress_failing() || has_run(step)) return t;
        weft_task_release(t);
    }
}

static void
start_agent(struct agent *a)
{
    static const unsigned flags[] = {[STICKY] = WEFT_STICKY, [INTERACTIVE] = WEFT_INTERACTIVE};
    if (a->place == THREAD) a->thread = stress_thread(run_agent_on_thread, a);
    else a->task = spawn(run_agent, a, &a->step, flags[a->place]);
}

/* A stopped runtime ends tasks that it had not started. */
static void
join_agent(struct agent *a)
{
    if (a->place == THREAD) {
        stress_join_thread(a->thread);
        return;
    }
    int rc = weft_join(a->task);
    if (rc && !(rc == WEFT_ECANCELED && current.end == STOP)) stress_die("an agent ended with %s", weft_error_name(rc));
}

static void
join_agents(bool putters)
{
    for (int i = 0; i < current.n_agents; i++)
        if ((current.agents[i].kind == PUTTER) == putters) join_agent(&current.agents[i]);
}

static void
add_agents(enum kind kind, int n, uint64_t *random)
{
    current.counts[kind] = n;
    for (int number = 0; number < n; number++) {
        struct agent *a = &current.agents[current.n_agents++];
        memset(a, 0, sizeof *a);
        a->kind = kind;
        a->number = number;
        a->random = stress_mix(*random, 1);
        a->place = (enum place)stress_dice(random, n > 32 || current.end == STOP ? THREAD : N_PLACES);
        a->next = stress_alloc((size_t)current.counts[PUTTER], sizeof *a->next);
    }
}

/* What a round is made of, from its random numbers alone. */
static void
choose_round(uint64_t *random)
{
    static const size_t capacities[] = {0, 0, 1, 2, 3, 7, 32, WEFT_UNBOUNDED}, sizes[] = {8, 13, MAX_SIZE};
    static const int codes[] = {WEFT_ECLOSED, WEFT_ENOENT, -1234};
    bool crowded = stress_dice(random, 16) == 0;
    current.cfg = stress_config(random);
    current.capacity = capacities[stress_dice(random, sizeof capacities / sizeof *capacities)];
    current.size = sizes[stress_dice(random, sizeof sizes / sizeof *sizes)];
    current.end = (enum end)stress_dice(random, stress_dice(random, 4) ? STOP : N_ENDS);
    current.code = codes[stress_dice(random, sizeof codes / sizeof *codes)];
    current.each = crowded ? 20 : stress_dice(random, 400);
    current.n_agents = 0;
    add_agents(PUTTER, crowded ? 200 : stress_dice(random, 12), random);
    add_agents(TAKER, crowded ? 200 : stress_dice(random, 12) + (current.end == AFTER_PUTTERS), random);
    add_agents(FETCHER, stress_dice(random, 4), random);
    add_agents(WAITER, stress_dice(random, 4), random);
    current.fates = stress_alloc((size_t)current.counts[PUTTER] * (size_t)current.each, sizeof *current.fates);
    int rc;
    do rc = weft_channel_new(&current.c, current.size, current.capacity);
    while (stress_short(rc));
    if (rc) stress_die("no channel: %s", weft_error_name(rc));
}

struct bound {
    int64_t ns;
    atomic_int step;
};

static int
sleep_and_end(void *arg)
{
    struct bound *b = arg;
    atomic_store_explicit(&b->step, CALLING, memory_order_relaxed);
    if (weft_sleep(b->ns)) return WEFT_ECANCELED;
    return current.code == WEFT_ECLOSED ? 0 : current.code;
}

static void
end_by_bound_task(uint64_t *random)
{
    struct bound b = {.ns = stress_dice(random, 2000) * WEFT_US};
    weft_task *t = spawn(sleep_and_end, &b, &b.step, 0);
    int rc;
    do rc = weft_channel_bind(current.c, t);
    while (stress_short(rc));
    if (rc) stress_die("no bound task: %s", weft_error_name(rc));
    while (weft_channel_isopen(current.c)) stress_pause(10 * WEFT_US);
    rc = weft_join(t);
    if (rc != (current.code == WEFT_ECLOSED ? 0 : current.code))
        stress_die("the bound task ended with %s", weft_error_name(rc));
}

static void
close_round(void)
{
    if (!weft_channel_close(current.c, current.code)) stress_die("the channel was closed already");
    closes++;
}

/* Takes what is left, as one more taker: fetchers and waiters do not end before. */
static void
drain_round(void)
{
    struct agent a = {.kind = TAKER, .number = current.counts[TAKER], .place = THREAD};
    unsigned char element[MAX_SIZE];
    int rc;
    a.next = stress_alloc((size_t)current.counts[PUTTER], sizeof *a.next);
    while ((rc = weft_channel_take_until(current.c, element, WEFT_NOW)) == 0) took(&a, element, 1);
    if (rc != (current.end == STOP ? WEFT_EAGAIN : current.code))
        stress_die("the drained channel returns %s", weft_error_name(rc));
    if (weft_channel_len(current.c) != 0) stress_die("the drained channel has a length");
    free(a.next);
}

static void
end_round(uint64_t *random)
{
    switch (current.end) {
    case AFTER_PUTTERS:
        join_agents(true);
        close_round();
        break;
    case CLOSE:
        stress_pause(stress_dice(random, 2000) * WEFT_US);
        close_round();
        break;
    case BOUND:
        end_by_bound_task(random);
        break;
    default:
        stress_pause(stress_dice(random, 2000) * WEFT_US);
        stress_stop(true);
        stops++;
    }
    if (current.end != AFTER_PUTTERS) join_agents(true);
    if (current.end != STOP) drain_round();
    join_agents(false);
    if (current.end == STOP) drain_round();
}

static void
check_round(void)
{
    for (int i = 0; i < current.counts[PUTTER] * current.each; i++) {
        struct fate *f = &current.fates[i];
        int putter = i / current.each, number = i % current.each;
        int taken = atomic_load_explicit(&f->taken, memory_order_relaxed);
        if (taken != f->put)
            stress_die("value %d of putter %d: %s, but %d taken", number, putter, f->put ? "put" : "not put", taken);
        if (atomic_load_explicit(&f->fetched, memory_order_relaxed) && !f->put)
            stress_die("value %d of putter %d was fetched, but not put", number, putter);
    }
}

static void
run_round(unsigned number, uint64_t random)
{
    (void)number;
    choose_round(&random);
    stress_start(&current.cfg);
    for (int i = 0; i < current.n_agents; i++) start_agent(&current.agents[i]);
    end_round(&random);
    check_round();
    stress_stop(current.end != STOP);
    for (int i = 0; i < current.n_agents; i++) free(current.agents[i].next);
    free(current.fates);
    weft_channel_release(current.c);
    current.c = NULL;
}

static void
totals(FILE *out)
{
    fprintf(out, "%ld put, %ld taken, %ld fetched, %ld waited, %ld timed out, %ld cancelled, %ld closes, %ld stops",
            stress_counted(&puts_done), stress_counted(&takes_done), stress_counted(&fetches_done),
            stress_counted(&waits_done), stress_counted(&timeouts), stress_counted(&cancelled), closes, stops);
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_channel", run_round, describe, totals});
}
