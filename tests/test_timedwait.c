/* test_timedwait.c - weft_timedwait: a condition is asked again and again, until it holds or the time is over. */
#include <pthread.h>

#include "task_kit.h"

/* Holds from call number `holds` on; 0: never. */
struct asked {
    int holds;
    _Atomic int calls;
};

static bool
ask(void *arg)
{
    struct asked *a = arg;
    int n = atomic_fetch_add(&a->calls, 1) + 1;
    return a->holds > 0 && n >= a->holds;
}

/* [J208] */
TASK_TEST(timedwait, at_once, "timedwait: what holds at once is not waited for")
{
    struct asked a = {.holds = 1};
    CHECK_INT(weft_timedwait(ask, &a, 0, WEFT_MS), 0);
    CHECK_INT(a.calls, 1);
    CHECK_INT(weft_timedwait(ask, &a, -WEFT_S, 100 * WEFT_S), 0);
    CHECK_INT(a.calls, 2);
}

/* [J208] */
TASK_TEST(timedwait, never, "timedwait: what never holds is asked for as long as the timeout, and as the pause")
{
    struct asked a = {.holds = 0};
    weft_time begun = weft_now();
    CHECK_INT(weft_timedwait(ask, &a, 0, 20 * WEFT_MS), WEFT_ETIMEDOUT);
    CHECK(weft_now() >= begun + 20 * WEFT_MS);
    CHECK_INT(a.calls, 2);
    begun = weft_now();
    CHECK_INT(weft_timedwait(ask, &a, 20 * WEFT_MS, WEFT_MS), WEFT_ETIMEDOUT);
    CHECK(weft_now() >= begun + 20 * WEFT_MS);
    CHECK(a.calls >= 4);
}

/* [J208] */
TASK_TEST(timedwait, arguments, "timedwait: a pause below a millisecond is an error, before anything is asked")
{
    struct asked a = {.holds = 1};
    CHECK_INT(weft_timedwait(ask, &a, WEFT_S, 0), WEFT_EINVAL);
    CHECK_INT(weft_timedwait(ask, &a, WEFT_S, -WEFT_S), WEFT_EINVAL);
    CHECK_INT(weft_timedwait(ask, &a, WEFT_S, 100 * WEFT_US), WEFT_EINVAL);
    CHECK_INT(weft_timedwait(NULL, &a, WEFT_S, WEFT_MS), WEFT_EINVAL);
    CHECK_INT(a.calls, 0);
}

/* [J208]  Julia's callback may throw in the first call or the second; here it may end the wait in either. */
TASK_TEST(timedwait, second_call, "timedwait: it returns at the call that holds, and asks no more")
{
    for (int n = 1; n <= 4; n++) {
        struct asked a = {.holds = n};
        CHECK_INT(weft_timedwait(ask, &a, 60 * WEFT_S, WEFT_MS), 0);
        CHECK_INT(a.calls, n);
    }
}

TASK_TEST(timedwait, last_call, "timedwait: what holds when the time is over is no timeout")
{
    struct asked a = {.holds = 2};
    CHECK_INT(weft_timedwait(ask, &a, 0, WEFT_MS), 0);
    CHECK_INT(a.calls, 2);
}

/* Channels on which something may arrive. */
struct arrivals {
    weft_channel *c[3];
};

static bool
all_ready(void *arg)
{
    struct arrivals *a = arg;
    for (int i = 0; i < 3; i++) {
        if (!weft_channel_isready(a->c[i])) return false;
    }
    return true;
}

static int
put_later(void *arg)
{
    int rc = weft_sleep(2 * WEFT_MS);
    return rc < 0 ? rc : weft_channel_put(arg, &(int){1});
}

static int
take_one(void *arg)
{
    int x = 0, rc = weft_channel_take(arg, &x);
    return rc < 0 ? rc : x;
}

/* [J209] */
TASK_TEST(timedwait, channels, "timedwait: of three channels one stays empty until the timeout")
{
    struct arrivals a;
    weft_task *putters[2], *taker;
    for (int i = 0; i < 3; i++) CHECK_INT(weft_channel_new(&a.c[i], sizeof(int), 1), 0);
    for (int i = 0; i < 2; i++) putters[i] = spawned(put_later, a.c[i]);
    taker = spawned(take_one, a.c[2]);
    weft_time begun = weft_now();
    CHECK_INT(weft_timedwait(all_ready, &a, 60 * WEFT_MS, 10 * WEFT_MS), WEFT_ETIMEDOUT);
    CHECK(weft_now() >= begun + 60 * WEFT_MS);
    for (int i = 0; i < 2; i++) CHECK_INT(weft_join(putters[i]), 0);
    CHECK(weft_channel_isready(a.c[0]));
    CHECK(!weft_task_isdone(taker));
    CHECK_INT(weft_channel_put(a.c[2], &(int){7}), 0);
    CHECK_INT(weft_join(taker), 7);
    for (int i = 0; i < 3; i++) weft_channel_release(a.c[i]);
}

static int
sleep_50ms(void *arg)
{
    (void)arg;
    return weft_sleep(50 * WEFT_MS);
}

static bool
isdone(void *arg)
{
    return weft_task_isdone(arg);
}

/* [J210] */
TASK_TEST(timedwait, task, "timedwait: a task that sleeps is not done in time, and then it is")
{
    weft_task *t = spawned(sleep_50ms, NULL);
    weft_time ends = weft_now() + 50 * WEFT_MS;
    int rc = weft_timedwait(isdone, t, 5 * WEFT_MS, WEFT_MS);
    CHECK(rc == WEFT_ETIMEDOUT || (rc == 0 && weft_now() >= ends - WEFT_MS));
    CHECK_INT(weft_timedwait(isdone, t, 60 * WEFT_S, WEFT_MS), 0);
    CHECK_INT(weft_join(t), 0);
}

TEST(timedwait, thread, "timedwait: a plain thread may ask as well")
{
    struct asked a = {.holds = 3}, b = {.holds = 0};
    CHECK_INT(weft_timedwait(ask, &a, 60 * WEFT_S, WEFT_MS), 0);
    CHECK_INT(weft_timedwait(ask, &b, 3 * WEFT_MS, WEFT_MS), WEFT_ETIMEDOUT);
}

static int
ask_for_ever(void *arg)
{
    return weft_timedwait(ask, arg, INT64_MAX, 1000 * WEFT_S);
}

TEST(timedwait, cancelled, "timedwait: it ends when the runtime stops")
{
    struct asked a = {.holds = 0};
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(ask_for_ever, &a);
    until(&a.calls, 1);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_join(t), WEFT_ECANCELED);
    CHECK_INT(a.calls, 1);
}
