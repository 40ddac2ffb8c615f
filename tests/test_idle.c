/* test_idle.c - workers that have nothing to do sleep, and whatever there is to do wakes one. */
#include "task_kit.h"

static int
sleep_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep_until(WEFT_FOREVER);
}

static int
park_on(void *arg)
{
    return weft_channel_take(arg, NULL);
}

TEST(idle, sleeps, "idle: a runtime whose tasks are all parked comes to use no CPU")
{
    weft_config cfg = {.size = sizeof cfg, .workers = test_workers()};
    weft_channel *c = NULL;
    CHECK_INT(weft_start(&cfg), 0);
    CHECK_INT(weft_channel_new(&c, 0, 0), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(weft_spawn(NULL, sleep_for_ever, NULL), 0);
        CHECK_INT(weft_spawn(NULL, park_on, c), 0);
    }
    check_comes_to_rest();
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(weft_stop(), 0);
    weft_channel_release(c);
}

static int
count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

TEST(idle, wakes, "idle: each of many thousand spawns from outside is run, though the workers sleep in between")
{
    weft_config cfg = {.size = sizeof cfg, .workers = test_workers()};
    _Atomic int ran = 0;
    unsigned seed = test_seed();
    CHECK_INT(weft_start(&cfg), 0);
    for (int i = 0; i < scaled(20000); i++) {
        weft_task *t = NULL;
        CHECK_INT(i % 3 ? weft_spawn(&t, count, &ran) : weft_async(&t, count, &ran), 0);
        CHECK_INT(weft_join(t), 0);
        if (dice(&seed, 50) == 0) CHECK_INT(weft_sleep(dice(&seed, 200) * WEFT_US), 0); /* long enough to fall asleep */
    }
    CHECK_INT(atomic_load(&ran), scaled(20000));
    CHECK_INT(weft_stop(), 0);
}

static int
sleep_a_little(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < 50; i++) CHECK_INT(weft_sleep(dice(&seed, 300) * WEFT_US), 0);
    return 0;
}

TASK_TEST(idle, timers, "idle: deadlines are met by workers that sleep, whichever of them it is")
{
    enum { N = 40 };
    weft_task *t[N];
    for (uintptr_t i = 0; i < N; i++) t[i] = spawned(sleep_a_little, (void *)(i + 1));
    for (int i = 0; i < N; i++) CHECK_INT(weft_join(t[i]), 0);
}
