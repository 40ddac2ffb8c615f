/* test_channel_spawn.c - channels that are made together with the task that is bound to them. */
#include "test.h"

#include "channel_actor.h"

static weft_channel *
spawned_with(size_t capacity, int (*fn)(weft_channel *, void *), void *arg, weft_task **t)
{
    weft_channel *c = NULL;
    if (!CHECK_INT(weft_channel_spawn(&c, sizeof(int64_t), capacity, fn, arg, t), 0)) abort();
    return c;
}

static int
put_1_to_100(weft_channel *c, void *arg)
{
    for (int64_t i = 1; i <= 100; i++) {
        CHECK_INT(put(c, i), 0);
        if (arg) CHECK(weft_channel_isopen(c));
    }
    return 0;
}

static void
check_1_to_100(weft_channel *c)
{
    int64_t value, next = 1;
    weft_channel_each(c, value) CHECK_INT(value, next++);
    CHECK_INT(next, 101);
    CHECK_INT(take(c), WEFT_ECLOSED);
    weft_channel_release(c);
}

/* [J10] */
TASK_TEST(channel_spawn, rendezvous,
          "a channel spawned with a function that puts 1 to 100 gives them in order and ends")
{
    weft_channel *c = spawned_with(0, put_1_to_100, NULL, NULL);
    CHECK_INT(weft_channel_capacity(c), 0);
    check_1_to_100(c);
}

/* [J12] */
TASK_TEST(channel_spawn, unbounded, "an unbounded channel says so, and is closed with all its values in it")
{
    weft_task *t;
    weft_channel *c = spawned_with(WEFT_UNBOUNDED, put_1_to_100, NULL, &t);
    CHECK(weft_channel_capacity(c) == WEFT_UNBOUNDED);
    joined(t, 0);
    CHECK_INT(weft_channel_len(c), 100);
    check_1_to_100(c);
}

/* [J15] */
TASK_TEST(channel_spawn, buffered, "a channel with room for 2 is open while its task puts a hundred values")
{
    bool check_open = true;
    weft_channel *c = spawned_with(2, put_1_to_100, &check_open, NULL);
    CHECK_INT(weft_channel_capacity(c), 2);
    check_1_to_100(c);
}

static int
put_one(weft_channel *c, void *arg)
{
    (void)arg;
    return put(c, 7);
}

/* [J13] [J14] [J78]  The constructor does not run the function: some worker does, without being asked. */
TASK_TEST(channel_spawn, starts, "the task runs as far as its first put, is not done then, and done after the take")
{
    weft_task *t;
    weft_channel *c = spawned_with(0, put_one, NULL, &t);
    AWAIT(weft_channel_len(c) == 1);
    CHECK(weft_task_isstarted(t));
    CHECK(!weft_task_isdone(t));
    CHECK_INT(take(c), 7);
    joined(t, 0);
    AWAIT(!weft_channel_isopen(c));
    weft_channel_release(c);
}

/* [J16] */
TASK_TEST(channel_spawn, migratable, "the task is migratable")
{
    weft_task *t;
    weft_channel *c = spawned_with(0, put_one, NULL, &t);
    CHECK(!weft_task_issticky(t));
    CHECK_INT(take(c), 7);
    CHECK_INT(take(c), WEFT_ECLOSED);
    joined(t, 0);
    weft_channel_release(c);
}

static int
take_two_and_fail(weft_channel *c, void *arg)
{
    (void)arg;
    CHECK_INT(take(c), 2);
    return -42;
}

/* [J33] */
TASK_TEST(channel_spawn, takes, "a task that takes what others put and fails closes its channel with its code")
{
    for (size_t capacity = 0; capacity <= 10; capacity += 10) {
        weft_task *t;
        weft_channel *c = spawned_with(capacity, take_two_and_fail, NULL, &t);
        CHECK_INT(put(c, 2), 0);
        CHECK_INT(weft_wait(t), WEFT_ECHILD);
        CHECK_INT(weft_task_error(t), -42);
        AWAIT(!weft_channel_isopen(c));
        check_closed(c, -42);
        weft_task_release(t);
        weft_channel_release(c);
    }
}

/* [J44] */
TASK_TEST(channel_spawn, ended, "after the task has ended its channel is not open, and ready until its value is taken")
{
    weft_task *t;
    weft_channel *c = spawned_with(1, put_one, NULL, &t);
    joined(t, 0);
    AWAIT(!weft_channel_isopen(c));
    CHECK(weft_channel_isready(c));
    CHECK_INT(take(c), 7);
    CHECK(!weft_channel_isready(c));
    weft_channel_release(c);
}

struct consumer {
    int64_t got;
};

static int
consume_one(weft_channel *c, void *arg)
{
    struct consumer *k = arg;
    k->got = take(c);
    return 0;
}

/* [J53] */
TASK_TEST(channel_spawn, consumer, "a task that consumes is not done before the put, and done after it")
{
    struct consumer k = {0};
    weft_task *t;
    weft_channel *c = spawned_with(0, consume_one, &k, &t);
    weft_yield();
    CHECK(!weft_task_isdone(t));
    CHECK_INT(put(c, 5), 0);
    joined(t, 0);
    CHECK_INT(k.got, 5);
    weft_channel_release(c);
}

static int
put_text(weft_channel *c, void *arg)
{
    for (const char *text = arg; *text; text++) CHECK_INT(weft_channel_put(c, text), 0);
    return 0;
}

/* [J54] */
TASK_TEST(channel_spawn, characters, "a channel of single bytes carries a text")
{
    static char text[] = "hello world";
    char got[sizeof text] = "";
    weft_channel *c;
    if (!CHECK_INT(weft_channel_spawn(&c, 1, 1, put_text, text, NULL), 0)) return;
    for (size_t n = 0; n < sizeof got - 1; n++) CHECK_INT(weft_channel_take(c, &got[n]), 0);
    CHECK_INT(weft_channel_take(c, NULL), WEFT_ECLOSED);
    CHECK_STR(got, text);
    weft_channel_release(c);
}

static int
forward(weft_channel *c, void *arg)
{
    int64_t value;
    weft_channel_each(arg, value) CHECK_INT(put(c, value), 0);
    return 0;
}

/* [J57] */
TASK_TEST(channel_spawn, forwards, "a spawned channel can forward what another one gives")
{
    weft_channel *source = channel_of(3);
    for (int64_t i = 1; i <= 3; i++) CHECK_INT(put(source, i), 0);
    weft_channel_close(source, 0);
    weft_channel *c = spawned_with(0, forward, source, NULL);
    for (int64_t i = 1; i <= 3; i++) CHECK_INT(take(c), i);
    CHECK_INT(take(c), WEFT_ECLOSED);
    weft_channel_release(c);
    weft_channel_release(source);
}

static int
put_one_then_fail(weft_channel *c, void *arg)
{
    (void)arg;
    CHECK_INT(put(c, 1), 0);
    return -42;
}

/* [J79] */
TASK_TEST(channel_spawn, fails_late,
          "a loop over the channel of a task that fails after one value sees it, then the code")
{
    weft_task *t;
    weft_channel *c = spawned_with(0, put_one_then_fail, NULL, &t);
    int64_t value, sum = 0;
    weft_channel_each(c, value) sum += value;
    CHECK_INT(sum, 1);
    CHECK_INT(take(c), -42);
    joined(t, -42);
    weft_channel_release(c);
}

static int
fail_at_once(weft_channel *c, void *arg)
{
    (void)c, (void)arg;
    return -42;
}

/* [J88] */
TASK_TEST(channel_spawn, fails_early, "the first take from the channel of a task that fails at once returns its code")
{
    weft_task *t;
    weft_channel *c = spawned_with(1, fail_at_once, NULL, &t);
    CHECK_INT(take(c), -42);
    joined(t, -42);
    weft_channel_release(c);
}

TASK_TEST(channel_spawn, released, "the task of a spawned channel may use it after everybody else has released it")
{
    for (int i = 0; i < 50; i++) {
        weft_task *t;
        weft_channel_release(spawned_with(WEFT_UNBOUNDED, put_1_to_100, NULL, &t));
        joined(t, 0);
    }
}
