/* test_ticker.c - tickers: ticks on their grid, what becomes of those that nobody waited for, and how a ticker ends. */
#include <pthread.h>
#include <string.h>

#include "task_kit.h"

#define HOUR (3600 * WEFT_S)

/* [J207] */
TASK_TEST(ticker, arguments, "ticker: what cannot be is an error, and a zeroed one is not initialised")
{
    weft_ticker t;
    memset(&t, 0, sizeof t);
    CHECK(!weft_ticker_isopen(&t));
    CHECK_INT(weft_tick(&t), WEFT_EINVAL);
    CHECK_INT(weft_ticker_init(NULL, WEFT_NOW, WEFT_S, WEFT_SKIP), WEFT_EINVAL);
    CHECK_INT(weft_ticker_init(&t, WEFT_NOW, 0, WEFT_SKIP), WEFT_EINVAL);
    CHECK_INT(weft_ticker_init(&t, WEFT_NOW, -1, WEFT_SKIP), WEFT_EINVAL);
    CHECK_INT(weft_ticker_init(&t, WEFT_NOW, WEFT_S, WEFT_BURST | WEFT_DELAY), WEFT_EINVAL);
    CHECK_INT(weft_ticker_init(&t, WEFT_NOW, WEFT_S, 4), WEFT_EINVAL);
    CHECK_INT(weft_ticker_init(&t, WEFT_NOW, WEFT_S, WEFT_SKIP), 0);
    CHECK(weft_ticker_isopen(&t));
}

/* [J203] */
TASK_TEST(ticker, grid, "ticker: ticks come on their grid, the first at once, and none early")
{
    static const unsigned flags[] = {WEFT_SKIP, WEFT_BURST, WEFT_DELAY};
    for (int i = 0; i < 3; i++) {
        weft_ticker t;
        weft_time first = weft_now();
        CHECK_INT(weft_ticker_init(&t, first, 4 * WEFT_MS, flags[i]), 0);
        for (int k = 0; k < 6; k++) {
            CHECK_INT(weft_tick(&t), 0);
            CHECK(weft_now() >= first + k * 4 * WEFT_MS);
        }
    }
}

TASK_TEST(ticker, later, "ticker: the first tick may lie in the future")
{
    weft_ticker t;
    weft_time first = weft_in(3 * WEFT_MS);
    CHECK_INT(weft_ticker_init(&t, first, WEFT_MS, WEFT_SKIP), 0);
    CHECK_INT(weft_tick_until(&t, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_tick(&t), 0);
    CHECK(weft_now() >= first);
}

/* Ten and a half periods have passed. */
static weft_time
long_ago(void)
{
    return weft_now() - 10 * HOUR - HOUR / 2;
}

/* [S251] [S255] */
TASK_TEST(ticker, skip, "ticker: with WEFT_SKIP what was missed is one tick, and the next is on the grid")
{
    weft_ticker t;
    CHECK_INT(weft_ticker_init(&t, long_ago(), HOUR, WEFT_SKIP), 0);
    CHECK_INT(weft_tick_until(&t, WEFT_NOW), 0);
    CHECK_INT(weft_ticker_missed(&t), 10);
    CHECK_INT(weft_tick_until(&t, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_tick_until(&t, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_ticker_missed(&t), 10);
    /* the grid goes on where it was: its next tick is 10 ms from now, not a period from the one that was late */
    weft_time next = weft_in(10 * WEFT_MS);
    CHECK_INT(weft_ticker_init(&t, next - 11 * (10 * WEFT_S), 10 * WEFT_S, WEFT_SKIP), 0);
    CHECK_INT(weft_tick(&t), 0);
    CHECK_INT(weft_tick_until(&t, next + 5 * WEFT_S), 0);
    CHECK(weft_now() >= next);
    weft_time first = weft_now() - 1000 * WEFT_MS - 5 * WEFT_MS;
    CHECK_INT(weft_ticker_init(&t, first, 20 * WEFT_MS, WEFT_SKIP), 0);
    CHECK_INT(weft_tick(&t), 0);
    CHECK(weft_ticker_missed(&t) >= 50);
    CHECK_INT(weft_tick(&t), 0);
    CHECK(weft_now() >= first + (weft_time)(weft_ticker_missed(&t) + 1) * 20 * WEFT_MS);
}

/* [S252] [S255] */
TASK_TEST(ticker, burst, "ticker: with WEFT_BURST every tick that was missed is delivered at once")
{
    weft_ticker t;
    CHECK_INT(weft_ticker_init(&t, long_ago(), HOUR, WEFT_BURST), 0);
    for (int i = 0; i <= 10; i++) CHECK_INT(weft_tick_until(&t, WEFT_NOW), 0);
    CHECK_INT(weft_tick_until(&t, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_ticker_missed(&t), 0);
}

/* [S253] [S255] */
TASK_TEST(ticker, delay,
          "ticker: with WEFT_DELAY there is a period between a tick and the end of what is done after it")
{
    weft_ticker t;
    CHECK_INT(weft_ticker_init(&t, long_ago(), HOUR, WEFT_DELAY), 0);
    CHECK_INT(weft_tick_until(&t, WEFT_NOW), 0);
    CHECK_INT(weft_tick_until(&t, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_ticker_init(&t, WEFT_NOW, 4 * WEFT_MS, WEFT_DELAY), 0);
    CHECK_INT(weft_tick(&t), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(weft_sleep(6 * WEFT_MS), 0);
        weft_time asked = weft_now();
        CHECK_INT(weft_tick(&t), 0);
        CHECK(weft_now() >= asked + 4 * WEFT_MS);
    }
    /* asking again and again does not put it off */
    weft_time asked = weft_now();
    int rc;
    while ((rc = weft_tick_until(&t, WEFT_NOW)) == WEFT_EAGAIN) weft_yield();
    CHECK_INT(rc, 0);
    CHECK(weft_now() >= asked + 4 * WEFT_MS);
    CHECK_INT(weft_ticker_missed(&t), 0);
}

/* [J202] */
TASK_TEST(ticker, short_period, "ticker: a short period is a period")
{
    weft_ticker t;
    weft_time first = weft_now();
    CHECK_INT(weft_ticker_init(&t, first, 10 * WEFT_US, WEFT_BURST), 0);
    for (int i = 0; i < 100; i++) CHECK_INT(weft_tick(&t), 0);
    CHECK(weft_now() >= first + 99 * 10 * WEFT_US);
}

static int
be_late(void *arg)
{
    weft_ticker t;
    (void)arg;
    CHECK_INT(weft_ticker_init(&t, weft_in(10 * WEFT_MS), 10 * WEFT_MS, WEFT_SKIP), 0);
    weft_time until = weft_in(100 * WEFT_MS);
    while (weft_now() < until) continue;
    int at_once = 0;
    for (weft_time now = weft_now(); weft_tick_until(&t, WEFT_NOW) == 0 && weft_now() < now + 5 * WEFT_MS;) at_once++;
    CHECK(at_once <= 2); /* one, and one more if the grid was just about to be reached */
    CHECK(weft_ticker_missed(&t) >= 8);
    return 0;
}

/* [J211] */
TEST(ticker, busy, "ticker: ticks that come while the only worker computes are one")
{
    CHECK_INT(run_on(1, be_late, NULL), 0);
}

struct waiting {
    weft_ticker *t;
    _Atomic int begun, rc;
};

static int
tick_once(void *arg)
{
    struct waiting *w = arg;
    atomic_store(&w->begun, 1);
    atomic_store(&w->rc, weft_tick(w->t));
    return 0;
}

/* [J206]  The code is WEFT_ECLOSED. */
WORKER_TEST(ticker, close, "ticker: closing one that is pending wakes those who wait for it")
{
    for (int i = 0; i < 2; i++) {
        weft_ticker t;
        CHECK_INT(weft_ticker_init(&t, i ? WEFT_FOREVER : weft_in(HOUR), HOUR, WEFT_SKIP), 0);
        struct waiting w[3] = {{.t = &t}, {.t = &t}, {.t = &t}};
        weft_task *task[3];
        for (int k = 0; k < 3; k++) task[k] = asynced(tick_once, &w[k]);
        until(&w[2].begun, 1);
        CHECK(!weft_task_isdone(task[0]) && !weft_task_isdone(task[2]));
        CHECK(weft_ticker_isopen(&t));
        CHECK(weft_ticker_close(&t));
        CHECK(!weft_ticker_isopen(&t));
        CHECK(!weft_ticker_close(&t));
        for (int k = 0; k < 3; k++) {
            CHECK_INT(weft_join(task[k]), 0);
            CHECK_INT(w[k].rc, WEFT_ECLOSED);
        }
        CHECK_INT(weft_tick(&t), WEFT_ECLOSED);
        CHECK_INT(weft_tick_until(&t, WEFT_NOW), WEFT_ECLOSED);
    }
}

TASK_TEST(ticker, close_due, "ticker: a tick that is due when it is closed is gone")
{
    weft_ticker t;
    CHECK_INT(weft_ticker_init(&t, WEFT_NOW, HOUR, WEFT_BURST), 0);
    CHECK(weft_ticker_close(&t));
    CHECK_INT(weft_tick(&t), WEFT_ECLOSED);
}

WORKER_TEST(ticker, shared, "ticker: all who wait for a tick have it")
{
    for (unsigned flags = 0; flags <= WEFT_DELAY; flags++) {
        weft_ticker t;
        CHECK_INT(weft_ticker_init(&t, weft_in(5 * WEFT_MS), HOUR, flags), 0);
        struct waiting w[4] = {{.t = &t}, {.t = &t}, {.t = &t}, {.t = &t}};
        weft_task *task[4];
        for (int k = 0; k < 4; k++) task[k] = asynced(tick_once, &w[k]);
        until(&w[3].begun, 1);
        for (int k = 0; k < 4; k++) CHECK_INT(w[k].rc, 0);
        int came = 0;
        for (int k = 0; k < 4; k++) came += !weft_task_isdone(task[k]);
        if (came < 4) weft_ticker_close(&t); /* the test was slow: some came to the next tick */
        for (int k = 0; k < 4; k++) {
            CHECK_INT(weft_join(task[k]), 0);
            CHECK(w[k].rc == 0 || came < 4);
        }
        CHECK_INT(weft_tick_until(&t, WEFT_NOW), came < 4 ? WEFT_ECLOSED : WEFT_EAGAIN);
    }
}

TASK_TEST(ticker, deadline, "ticker: a deadline that passes takes no tick")
{
    weft_ticker t;
    weft_time first = weft_in(8 * WEFT_MS);
    CHECK_INT(weft_ticker_init(&t, first, HOUR, WEFT_SKIP), 0);
    int rc = weft_tick_until(&t, weft_in(WEFT_MS));
    CHECK(rc == WEFT_ETIMEDOUT || (rc == 0 && weft_now() >= first)); /* late enough, it is due */
    if (rc < 0) CHECK_INT(weft_tick_until(&t, weft_in(60 * WEFT_S)), 0);
    CHECK(weft_now() >= first);
    CHECK_INT(weft_tick_until(&t, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
}

/* [J205]  Julia's one-shot timer is closed by its tick; a ticker of one tick stays open, and has no other. */
TASK_TEST(ticker, one_tick, "ticker: the longest period makes a ticker of one tick")
{
    for (unsigned flags = 0; flags <= WEFT_DELAY; flags++) {
        weft_ticker t;
        CHECK_INT(weft_ticker_init(&t, WEFT_NOW, INT64_MAX, flags), 0);
        CHECK_INT(weft_tick(&t), 0);
        CHECK_INT(weft_tick_until(&t, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
        CHECK(weft_ticker_isopen(&t));
    }
}

/* Julia's Timer(callback, delay; interval), as the header of timers shows it. */
struct job {
    weft_ticker ticker;
    _Atomic int calls;
};

static int
run_job(void *arg)
{
    struct job *j = arg;
    int rc;
    while ((rc = weft_tick(&j->ticker)) == 0) atomic_fetch_add(&j->calls, 1);
    return rc == WEFT_ECLOSED ? 0 : rc;
}

/* [J196] [J201] [J204] */
TASK_TEST(ticker, callback, "ticker: a task around one calls back at each tick, until it is closed")
{
    for (int sticky = 0; sticky < 2; sticky++) {
        struct job j = {.calls = 0};
        CHECK_INT(weft_ticker_init(&j.ticker, weft_in(10 * WEFT_MS), 2 * WEFT_MS, WEFT_SKIP), 0);
        weft_time begun = weft_now();
        weft_task *t = sticky ? asynced(run_job, &j) : spawned(run_job, &j);
        CHECK_INT(j.calls, 0);
        until(&j.calls, 3);
        CHECK(weft_now() >= begun + 12 * WEFT_MS);
        CHECK(weft_ticker_close(&j.ticker));
        CHECK_INT(weft_join(t), 0);
        int calls = j.calls;
        CHECK(!weft_ticker_isopen(&j.ticker));
        CHECK_INT(weft_sleep(6 * WEFT_MS), 0);
        CHECK_INT(j.calls, calls);
    }
}

/* [J197] */
TASK_TEST(ticker, closed_before, "ticker: one that is closed before its first tick never calls back")
{
    struct job j = {.calls = 0};
    CHECK_INT(weft_ticker_init(&j.ticker, WEFT_NOW, WEFT_MS, WEFT_SKIP), 0);
    CHECK(weft_ticker_close(&j.ticker));
    weft_task *t = spawned(run_job, &j);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(j.calls, 0);
}

/* [J200] */
TASK_TEST(ticker, twice, "ticker: each wait for a tick lasts a period, and after the close none does")
{
    weft_ticker t;
    weft_time begun = weft_now();
    CHECK_INT(weft_ticker_init(&t, begun + 12 * WEFT_MS, 12 * WEFT_MS, WEFT_BURST), 0);
    for (int i = 1; i <= 2; i++) {
        CHECK_INT(weft_tick(&t), 0);
        CHECK(weft_now() >= begun + i * 12 * WEFT_MS);
        CHECK(weft_ticker_isopen(&t));
    }
    CHECK(weft_ticker_close(&t));
    CHECK_INT(weft_tick(&t), WEFT_ECLOSED);
}

static void *
close_from_thread(void *arg)
{
    struct job *j = arg;
    until(&j->calls, 3);
    weft_ticker_close(&j->ticker);
    return NULL;
}

TEST(ticker, threads, "ticker: plain threads tick, and close")
{
    struct job j = {.calls = 0};
    pthread_t thread;
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_ticker_init(&j.ticker, WEFT_NOW, WEFT_MS, WEFT_DELAY), 0);
    CHECK_INT(pthread_create(&thread, NULL, close_from_thread, &j), 0);
    CHECK_INT(run_job(&j), 0);
    CHECK(j.calls >= 3);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(weft_stop(), 0);
}

/* [S254] */
TEST(ticker, cancelled, "ticker: a wait for a tick ends when the runtime stops")
{
    static struct job j;
    memset(&j, 0, sizeof j);
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_ticker_init(&j.ticker, WEFT_NOW, HOUR, WEFT_SKIP), 0);
    weft_task *t = spawned(run_job, &j);
    until(&j.calls, 1);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_join(t), WEFT_ECANCELED);
    CHECK_INT(j.calls, 1);
}
