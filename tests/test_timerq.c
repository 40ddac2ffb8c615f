/* test_timerq.c - the timing wheel: nothing fires early, everything fires, and a deleted timer is left alone. */
#include "test.h"

#include "clock.h"
#include "timerq.h"

#include <weft/error.h>
#include <weft/timer.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A timer with the parker that it wakes, as a plain thread would have it. */
struct alarm {
    struct timer timer;
    struct parker parker;
    uint64_t ticket;
    int64_t when;
    bool pending;
};

static void
set(struct alarm *a, int64_t when)
{
    memset(a, 0, sizeof *a);
    a->ticket = weft__park_arm(&a->parker, "test", false);
    a->when = when;
    a->pending = true;
    weft__timer_add(&a->timer, when, &a->parker, a->ticket);
}

static bool
rang(struct alarm *a)
{
    return load_acquire(&a->parker.futex) != 0; /* pairs with the wake */
}

static uint32_t
dice(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)*seed * n >> 32);
}

enum { MANY = 2000 };

static struct alarm alarms[MANY];

/* Polls until all that is pending has rung; checks that none rings early, and that `next` is never too late. */
static void
wait_for_all(void)
{
    for (int left = MANY; left > 0;) {
        left = 0;
        int64_t next = weft__timers_next(), before = weft__clock_now();
        weft__timers_poll();
        int64_t after = weft__clock_now();
        for (int i = 0; i < MANY; i++) {
            struct alarm *a = &alarms[i];
            if (!a->pending) continue;
            if (rang(a)) {
                CHECK(a->when <= after);
                CHECK_INT(a->parker.code, WEFT_ETIMEDOUT);
                CHECK_INT(a->parker.index, PARK_INTERRUPTED);
                a->pending = false;
            } else {
                CHECK(a->when > before - 2 * 8192); /* a tick, rounded up */
                if (next == INT64_MAX) CHECK(next != INT64_MAX);
                left++;
            }
        }
    }
}

TEST(timerq, all_fire, "timers: thousands of random deadlines all fire, and none early")
{
    uint32_t seed = test_seed();
    static const uint32_t spans[] = {1, 10000, 1000000, 50000000, 600000000};
    int64_t now = weft__clock_now();
    for (int i = 0; i < MANY; i++) set(&alarms[i], now + dice(&seed, spans[dice(&seed, 5)]));
    wait_for_all();
    CHECK(weft__timers_next() == INT64_MAX);
}

TEST(timerq, past, "timers: a deadline that has passed fires at the next poll")
{
    struct alarm a[3];
    int64_t now = weft__clock_now();
    set(&a[0], 1);
    set(&a[1], now);
    set(&a[2], now - 1000000000);
    int64_t limit = now + 10 * WEFT_S;
    while (!(rang(&a[0]) && rang(&a[1]) && rang(&a[2])) && weft__clock_now() < limit) weft__timers_poll();
    for (int i = 0; i < 3; i++) CHECK(rang(&a[i]));
}

TEST(timerq, far, "timers: deadlines in years do not fire now, and can be deleted in any order")
{
    uint32_t seed = test_seed();
    int64_t now = weft__clock_now(), year = 365 * 86400 * WEFT_S;
    for (int i = 0; i < MANY; i++) {
        int64_t when = i % 7 == 0 ? INT64_MAX - 1 - i : now + 1000 * WEFT_S + (int64_t)dice(&seed, 250) * year;
        set(&alarms[i], when);
    }
    weft__timers_poll();
    for (int i = MANY - 1; i > 0; i--) { /* in a random order */
        int j = (int)dice(&seed, (uint32_t)i + 1);
        if (alarms[i].pending) weft__timer_del(&alarms[i].timer);
        if (alarms[j].pending) weft__timer_del(&alarms[j].timer);
        alarms[i].pending = alarms[j].pending = false;
    }
    if (alarms[0].pending) weft__timer_del(&alarms[0].timer);
    for (int i = 0; i < MANY; i++) CHECK(!rang(&alarms[i]));
    weft__timers_poll();
    CHECK(weft__timers_next() == INT64_MAX);
}

/* Otherwise a deadline that nobody has any more looks as if something could still happen. */
TEST(timerq, taken_back, "timers: what is taken back is not the next deadline any more")
{
    struct alarm near, far, farther;
    int64_t now = weft__clock_now();
    while (weft__timers_next() != INT64_MAX) weft__timers_poll();
    set(&far, now + 1000 * WEFT_S);
    int64_t next = weft__timers_next();
    CHECK(next <= far.when + 2 * 8192);
    set(&near, now + 100 * WEFT_S);
    CHECK(weft__timers_next() <= near.when + 2 * 8192);
    set(&farther, now + 2000 * WEFT_S);
    CHECK(weft__timers_next() <= near.when + 2 * 8192);
    weft__timer_del(&near.timer);
    CHECK_INT(weft__timers_next(), next);
    weft__timer_del(&farther.timer);
    CHECK_INT(weft__timers_next(), next);
    weft__timer_del(&far.timer);
    CHECK(weft__timers_next() == INT64_MAX);
}

TEST(timerq, stale, "timers: a timer whose park was claimed by somebody else wakes nobody")
{
    struct alarm a;
    set(&a, weft__clock_now() + WEFT_MS);
    CHECK(weft__park_claim(&a.parker, a.ticket));
    while (weft__timers_next() != INT64_MAX) weft__timers_poll();
    CHECK(!rang(&a));
    weft__timer_del(&a.timer);
}

static _Atomic bool over;

static void *
poll_until_over(void *arg)
{
    while (!load_acquire(&over)) weft__timers_poll(); /* pairs with the end of the test */
    return arg;
}

TEST(timerq, deletion, "timers: when a deletion has returned, the timer has fired or never will")
{
    uint32_t seed = test_seed();
    pthread_t thread;
    store_release(&over, false);
    CHECK_INT(pthread_create(&thread, NULL, poll_until_over, NULL), 0);
    int fired = 0, deleted = 0;
    for (int i = 0; i < (TEST_SIM ? 20 : TEST_TSAN ? 2000 : 20000); i++) {
        struct alarm a;
        set(&a, weft__clock_now() + dice(&seed, 40000));
        for (uint32_t k = dice(&seed, 400); k > 0; k--) weft__pause();
        weft__timer_del(&a.timer);
        if (weft__park_claim(&a.parker, a.ticket)) {
            deleted++;
        } else {
            fired++;
            CHECK(weft__park_thread(&a.parker, a.ticket, INT64_MAX)); /* its wake is on its way */
        }
    }
    store_release(&over, true);
    pthread_join(thread, NULL);
    CHECK(TEST_SIM || deleted > 0);
    CHECK(fired + deleted > 0);
}
