/* test_timer.c - time and sleeping: never early, always in the end. */
#include <pthread.h>

#include "task_kit.h"

static int
count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

TEST(timer, clock, "timer: the clock never goes back, and is above WEFT_NOW")
{
    weft_time last = weft_now();
    CHECK(last > WEFT_NOW);
    for (int i = 0; i < 1000; i++) {
        weft_time now = weft_now();
        CHECK(now >= last && now < WEFT_FOREVER);
        last = now;
    }
}

TEST(timer, in, "timer: weft_in counts from now, saturates, and may lie in the past")
{
    weft_time before = weft_now(), in = weft_in(WEFT_S), after = weft_now();
    CHECK(in >= before + WEFT_S && in <= after + WEFT_S);
    CHECK(weft_in(INT64_MAX) == WEFT_FOREVER);
    CHECK(weft_in(INT64_MAX - 1) == WEFT_FOREVER);
    CHECK(weft_in(-WEFT_S) < weft_now());
    CHECK(weft_in(INT64_MIN) < weft_now());
    CHECK(weft_in(0) >= after);
    CHECK_INT(WEFT_S, 1000 * WEFT_MS);
    CHECK_INT(WEFT_MS, 1000 * WEFT_US);
    CHECK_INT(WEFT_US, 1000 * WEFT_NS);
}

/* Checks both ways of sleeping for ns nanoseconds. */
static void
sleep_both_ways(int64_t ns)
{
    weft_time start = weft_now();
    CHECK_INT(weft_sleep(ns), 0);
    CHECK(weft_now() - start >= ns);
    weft_time end = weft_in(ns);
    CHECK_INT(weft_sleep_until(end), 0);
    CHECK(weft_now() >= end);
}

static const int64_t lengths[] = {0, 1, 999, 1000, 10 * WEFT_US, 333333, WEFT_MS, 7 * WEFT_MS, 30 * WEFT_MS};

TASK_TEST(timer, never_early, "timer: a task never wakes early")
{
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) sleep_both_ways(lengths[i]);
}

TEST(timer, thread_never_early, "timer: a plain thread never wakes early")
{
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) sleep_both_ways(lengths[i]);
}

static void
sleep_in_the_past(void)
{
    CHECK_INT(weft_sleep(-1), 0);
    CHECK_INT(weft_sleep(INT64_MIN), 0);
    CHECK_INT(weft_sleep_until(WEFT_NOW), 0);
    CHECK_INT(weft_sleep_until(-5), 0);
    CHECK_INT(weft_sleep_until(INT64_MIN), 0);
    CHECK_INT(weft_sleep_until(weft_now() - 1), 0);
}

/* [J207] [S137] */
TASK_TEST(timer, past, "timer: a time that has passed is no time")
{
    sleep_in_the_past();
}

TEST(timer, thread_past, "timer: nor is it for a plain thread")
{
    sleep_in_the_past();
}

WORKER_TEST(timer, gives_turn, "timer: a sleep of no length gives the others a turn")
{
    _Atomic int runs = 0;
    weft_task *t = asynced(count, &runs);
    CHECK_INT(weft_sleep(0), 0);
    CHECK_INT(atomic_load(&runs), 1);
    CHECK_INT(weft_join(t), 0);
    t = asynced(count, &runs);
    CHECK_INT(weft_sleep(-7), 0);
    CHECK_INT(atomic_load(&runs), 2);
    CHECK_INT(weft_join(t), 0);
    t = asynced(count, &runs);
    CHECK_INT(weft_sleep_until(weft_now() - WEFT_S), 0);
    CHECK_INT(atomic_load(&runs), 3);
    CHECK_INT(weft_join(t), 0);
}

struct sleeper {
    _Atomic int *woken;
    int64_t ns;
    int rounds;
};

static int
sleep_often(void *arg)
{
    struct sleeper *s = arg;
    for (int i = 0; i < s->rounds; i++) {
        weft_time end = weft_in(s->ns);
        CHECK_INT(i % 2 ? weft_sleep(s->ns) : weft_sleep_until(end), 0);
        CHECK(weft_now() >= end);
    }
    return count(s->woken);
}

TASK_TEST(timer, many, "timer: ten thousand tasks that sleep for random times all wake, none early")
{
    enum { N = 10000 };
    static struct sleeper s[N];
    _Atomic int woken = 0;
    unsigned seed = test_seed();
    int n = scaled(N);
    for (int i = 0; i < n; i++) {
        s[i] = (struct sleeper){&woken, dice(&seed, 20000) * 1000, 1 + (int)dice(&seed, 4)};
        if (i % 16 == 0) CHECK_INT(weft_async(NULL, sleep_often, &s[i]), 0);
        else CHECK_INT(weft_spawn(NULL, sleep_often, &s[i]), 0);
    }
    while (atomic_load(&woken) < n) CHECK_INT(weft_sleep(WEFT_MS), 0);
}

struct turn {
    struct journal *journal;
    weft_time end;
    char what;
};

static int
sleep_and_note(void *arg)
{
    struct turn *t = arg;
    CHECK_INT(weft_sleep_until(t->end), 0);
    note(t->journal, t->what);
    return 0;
}

static int
sleep_in_order(void *arg)
{
    enum { N = 20 };
    struct journal *j = arg;
    struct turn turns[N];
    weft_task *t[N];
    weft_time start = weft_in(20 * WEFT_MS);
    for (int i = 0; i < N; i++) {
        int k = (i * 7) % N;
        turns[i] = (struct turn){j, start + k * WEFT_MS, (char)('a' + k)};
        t[i] = asynced(sleep_and_note, &turns[i]);
    }
    weft_yield();
    bool in_time = weft_now() < start;
    for (int i = 0; i < N; i++) CHECK_INT(weft_join(t[i]), 0);
    return in_time;
}

TEST(timer, order, "timer: sleeps that end a millisecond apart end in order, however they began")
{
    for (int i = 0; i < 3; i++) {
        struct journal j = {.length = 0};
        int in_time = run_on(1, sleep_in_order, &j);
        CHECK_INT(atomic_load(&j.length), 20);
        if (in_time) CHECK_STR(j.text, "abcdefghijklmnopqrst"); /* else some ended before others began */
    }
}

/* Sleepers whose deadlines lie 50 us apart, and a task that computes until all of them have passed. */
struct row {
    weft_time start, last;
    int asleep, disordered;
    bool in_time;
};

struct in_row {
    struct row *row;
    weft_time end;
};

static int
sleep_in_row(void *arg)
{
    struct in_row *s = arg;
    s->row->asleep++;
    CHECK_INT(weft_sleep_until(s->end), 0);
    s->row->disordered += s->end < s->row->last;
    s->row->last = s->end;
    return 0;
}

static int
sleep_in_a_row(void *arg)
{
    enum { N = 2 * 64 + 1 }; /* a poll fires 64 together */
    struct row *row = arg;
    struct in_row s[N];
    weft_task *t[N];
    row->start = weft_in(20 * WEFT_MS);
    for (int i = 0; i < N; i++) {
        s[i] = (struct in_row){row, row->start + i * 50 * WEFT_US};
        t[i] = spawned(sleep_in_row, &s[i]);
    }
    while (row->asleep < N) weft_yield();
    row->in_time = weft_now() < row->start;
    while (weft_now() < s[N - 1].end + WEFT_MS) continue;
    for (int i = 0; i < N; i++) CHECK_INT(weft_join(t[i]), 0);
    return 0;
}

TEST(timer, order_of_many, "timer: of many sleeps that are over at once none overtakes those that were to end before")
{
    struct row row = {0};
    for (int i = 0; i < 5 && !row.in_time; i++) {
        row = (struct row){0};
        CHECK_INT(run_on(1, sleep_in_a_row, &row), 0);
    }
    if (row.in_time) CHECK_INT(row.disordered, 0); /* else some ended before others began */
}

/* Ten thousand in fewer places: those of one place may end in any order. */
static int
sleep_to_sort(void *arg)
{
    enum { MOST = 10000, PLACES = 1000 };
    static struct in_row s[MOST];
    static weft_task *t[MOST];
    struct row *row = arg;
    unsigned seed = test_seed();
    int n = scaled(MOST);
    row->start = weft_in(60 * WEFT_MS);
    for (int i = 0; i < n; i++) {
        s[i] = (struct in_row){row, row->start + dice(&seed, PLACES) * 50 * WEFT_US};
        t[i] = spawned(sleep_in_row, &s[i]);
    }
    while (row->asleep < n) weft_yield();
    row->in_time = weft_now() < row->start;
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(t[i]), 0);
    return 0;
}

/* [S136] */
TEST(timer, sleep_sort, "timer: ten thousand sleeps that began at random end in the order of their deadlines")
{
    struct row row = {0};
    for (int i = 0; i < 3 && !row.in_time; i++) {
        row = (struct row){0};
        CHECK_INT(run_on(1, sleep_to_sort, &row), 0);
    }
    if (row.in_time) CHECK_INT(row.disordered, 0); /* else some ended before others began */
}

/* [S137] */
TASK_TEST(timer, past_cancelled, "timer: but a caller that is cancelled does not sleep at all")
{
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_cancel(&s, 0);
    CHECK_INT(weft_sleep_until(weft_now() - WEFT_S), WEFT_ECANCELED);
    CHECK_INT(weft_sleep(0), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, WEFT_ECANCELED), 0);
}

static int
sleep_for_ever(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return weft_sleep_until(WEFT_FOREVER);
}

static int
sleep_for_long(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return weft_sleep(INT64_MAX);
}

TEST(timer, forever, "timer: a sleep without end ends when the runtime stops")
{
    _Atomic int begun = 0;
    weft_task *t = spawned(sleep_for_ever, &begun), *u = spawned(sleep_for_long, &begun);
    until(&begun, 2);
    weft_sleep(2 * WEFT_MS);
    CHECK(!weft_task_isdone(t) && !weft_task_isdone(u));
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_join(t), WEFT_ECANCELED);
    CHECK_INT(weft_join(u), WEFT_ECANCELED);
}

static void *
sleep_in_thread(void *arg)
{
    struct sleeper *s = arg;
    sleep_often(s);
    return NULL;
}

TEST(timer, threads, "timer: plain threads sleep beside tasks")
{
    pthread_t threads[4];
    struct sleeper s = {.ns = 700 * WEFT_US, .rounds = 20};
    _Atomic int woken = 0;
    s.woken = &woken;
    CHECK_INT(weft_start(NULL), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, sleep_in_thread, &s), 0);
        CHECK_INT(weft_spawn(NULL, sleep_often, &s), 0);
    }
    until(&woken, 8);
    for (int i = 0; i < 4; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(weft_stop(), 0);
}

static int
end_soon(void *arg)
{
    unsigned spins = *(unsigned *)arg;
    weft_yield();
    for (volatile unsigned k = 0; k < spins; k++) continue;
    return 6;
}

/* The deadline and the end of the task come at about the same time: exactly one of them is what the waiter hears of. */
TASK_TEST(timer, deadline_against_end, "timer: a wait whose deadline passes as the task ends hears of one of them")
{
    unsigned seed = test_seed();
    for (int i = 0; i < scaled(20000); i++) {
        unsigned spins = dice(&seed, 2000);
        weft_task *t = NULL;
        CHECK_INT(weft_spawn_copy(&t, end_soon, &spins, sizeof spins), 0);
        weft_time end = weft_in(dice(&seed, 4000));
        int rc = weft_wait_until(t, end);
        if (rc == 0) CHECK(weft_task_isdone(t));
        else if (CHECK_INT(rc, WEFT_ETIMEDOUT)) CHECK(weft_now() >= end);
        CHECK_INT(weft_join(t), 6);
    }
}

TASK_TEST(timer, many_deadlines, "timer: one task has ten thousand deadlines pass, one after the other")
{
    _Atomic int runs = 0;
    weft_task *t = unscheduled(count, &runs, 0);
    for (int i = 0; i < scaled(10000); i++) {
        weft_time end = weft_in(i % 50 * WEFT_US / 5);
        CHECK_INT(weft_wait_until(t, end), WEFT_ETIMEDOUT);
        CHECK(weft_now() >= end);
    }
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_join(t), 0);
}

static int
tick(void *arg)
{
    struct sleeper *s = arg;
    while (!atomic_load(s->woken)) CHECK_INT(weft_sleep(WEFT_MS), 0);
    return 0;
}

/* [J143], with tasks in place of a parallel loop */
TASK_TEST(timer, ticking, "timer: ten thousand rounds of spawning and joining end beside a task that ticks")
{
    _Atomic int stop = 0, runs = 0;
    struct sleeper s = {.woken = &stop};
    weft_task *ticker = spawned(tick, &s);
    int n = scaled(10000);
    for (int i = 0; i < n; i++) {
        weft_task *t[4];
        for (int k = 0; k < 4; k++) t[k] = spawned(count, &runs);
        for (int k = 0; k < 4; k++) CHECK_INT(weft_join(t[k]), 0);
        if (i % 100 == 0) CHECK_INT(weft_sleep(10 * WEFT_US), 0);
    }
    CHECK_INT(atomic_load(&runs), 4 * n);
    atomic_store(&stop, 1);
    CHECK_INT(weft_join(ticker), 0);
}
