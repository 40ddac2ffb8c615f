/* test_for_each.c - weft_for_each: every value of a channel once, by several tasks, until it is closed or one fails. */
#include <pthread.h>
#include <stdlib.h>

#include "task_kit.h"

struct tally {
    _Atomic int calls, inside, most_inside;
    _Atomic long sum;
    int wanted; /* calls that there must have been before one ends */
    struct journal *journal;
};

static int
add(void *value, void *ctx)
{
    struct tally *t = ctx;
    int x = *(int *)value, now = atomic_fetch_add(&t->inside, 1) + 1;
    for (int most = t->most_inside; now > most && !atomic_compare_exchange_weak(&t->most_inside, &most, now);) continue;
    atomic_fetch_add(&t->calls, 1);
    until(&t->calls, t->wanted);
    if (t->journal) note(t->journal, (char)x);
    weft_yield();
    atomic_fetch_add(&t->sum, x);
    atomic_fetch_sub(&t->inside, 1);
    return 0;
}

static weft_channel *
ints(size_t capacity)
{
    weft_channel *c = NULL;
    CHECK_INT(weft_channel_new(&c, sizeof(int), capacity), 0);
    return c;
}

struct source {
    weft_channel *c;
    int n, put, code;
};

static int
produce(void *arg)
{
    struct source *s = arg;
    for (int i = 1; i <= s->n; i++) {
        int rc = weft_channel_put(s->c, &i);
        if (rc < 0) return rc;
        s->put = i;
    }
    weft_channel_close(s->c, s->code);
    return 0;
}

/* [J221] */
TASK_TEST(for_each, all, "for_each: each value is taken once, whatever the capacity and the number of tasks")
{
    static const size_t capacities[] = {0, 1, 16, WEFT_UNBOUNDED};
    int n = scaled(1000);
    for (int i = 0; i < 4; i++) {
        for (size_t ntasks = 0; ntasks <= 40; ntasks = ntasks * 3 + 1) {
            struct source s = {.c = ints(capacities[i]), .n = n};
            struct tally t = {.wanted = 0};
            weft_task *producer = spawned(produce, &s);
            CHECK_INT(weft_for_each(s.c, ntasks, add, &t), 0);
            CHECK_INT(weft_join(producer), 0);
            CHECK_INT(t.calls, n);
            CHECK_INT(t.sum, (long)n * (n + 1) / 2);
            if (ntasks) CHECK(t.most_inside <= (int)ntasks);
            weft_channel_release(s.c);
        }
    }
}

/* [J56] [J221] */
TASK_TEST(for_each, one_task, "for_each: one task keeps the order")
{
    struct journal j = {.length = 0};
    struct tally t = {.journal = &j};
    weft_channel *c = ints(WEFT_UNBOUNDED);
    for (int i = 'a'; i <= 'z'; i++) CHECK_INT(weft_channel_put(c, &i), 0);
    weft_channel_close(c, 0);
    CHECK_INT(weft_for_each(c, 1, add, &t), 0);
    CHECK_STR(j.text, "abcdefghijklmnopqrstuvwxyz");
    CHECK_INT(t.most_inside, 1);
    weft_channel_release(c);
}

/* [J221] */
TASK_TEST(for_each, at_once,
          "for_each: as many tasks as were asked for are at work, and by default one for each worker")
{
    for (size_t ntasks = 0; ntasks <= 30; ntasks += 10) {
        int most = ntasks ? (int)ntasks : weft_nworkers();
        struct tally t = {.wanted = most};
        weft_channel *c = ints(WEFT_UNBOUNDED);
        for (int i = 0; i < 3 * most; i++) CHECK_INT(weft_channel_put(c, &i), 0);
        weft_channel_close(c, 0);
        CHECK_INT(weft_for_each(c, ntasks, add, &t), 0);
        CHECK_INT(t.calls, 3 * most);
        CHECK_INT(t.most_inside, most);
        weft_channel_release(c);
    }
}

static int
nest(void *value, void *ctx)
{
    weft_channel *c = ints(0);
    struct source s = {.c = c, .n = 5};
    weft_task *producer = spawned(produce, &s);
    (void)value;
    CHECK_INT(weft_for_each(c, 0, add, ctx), 0);
    CHECK_INT(weft_join(producer), 0);
    weft_channel_release(c);
    return 0;
}

static int
each_in_loop(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++) nest(NULL, ctx);
    return 0;
}

static int
count_range(size_t begin, size_t end, void *ctx)
{
    atomic_fetch_add(&((struct tally *)ctx)->calls, (int)(end - begin));
    return 0;
}

static int
loop_in_each(void *value, void *ctx)
{
    (void)value;
    CHECK_INT(weft_for(0, 5, 1, count_range, ctx), 0);
    return 0;
}

/* [J221] */
TASK_TEST(for_each, nested, "for_each: in itself, in the other loops, and they in it")
{
    for (int i = 0; i < 4; i++) {
        struct tally t = {.wanted = 0};
        struct source s = {.c = ints(2), .n = 6};
        weft_task *producer = spawned(produce, &s);
        if (i == 0) CHECK_INT(weft_for_each(s.c, 0, nest, &t), 0);
        if (i == 1) CHECK_INT(weft_for_each(s.c, 0, loop_in_each, &t), 0);
        if (i == 2) CHECK_INT(weft_for(0, 6, 1, each_in_loop, &t), 0);
        if (i == 3) CHECK_INT(weft_for_static(0, 6, each_in_loop, &t), 0);
        CHECK_INT(t.calls, 30);
        if (i >= 2) weft_channel_close(s.c, 0);
        CHECK_INT(weft_join(producer), i < 2 ? 0 : WEFT_ECLOSED);
        weft_channel_release(s.c);
    }
}

static int
fail_at_five(void *value, void *ctx)
{
    atomic_fetch_add((_Atomic int *)ctx, 1);
    return *(int *)value == 5 ? weft_fail(WEFT_EPERM, "five") : 0;
}

static int
run_failing(void *arg)
{
    struct source *s = arg;
    _Atomic int calls = 0;
    int rc = weft_for_each(s->c, 3, fail_at_five, &calls);
    CHECK(calls >= 5);
    return rc;
}

/* [J222] */
TASK_TEST(for_each, fails, "for_each: the first failure closes the channel, and is returned")
{
    for (int i = 0; i < scaled(200); i++) {
        struct source s = {.c = ints((size_t)i % 3), .n = 100};
        weft_task *producer = spawned(produce, &s), *t = spawned(run_failing, &s);
        CHECK_INT(weft_wait(t), WEFT_ECHILD);
        CHECK_INT(weft_task_error(t), WEFT_EPERM);
        CHECK_STR(weft_task_message(t), "five");
        weft_task_release(t);
        CHECK(!weft_channel_isopen(s.c));
        int rc = weft_join(producer), left;
        CHECK(rc == WEFT_EPERM || (rc == 0 && s.put == 100));
        while ((rc = weft_channel_take(s.c, &left)) == 0) CHECK(left > 5);
        CHECK(rc == WEFT_EPERM || s.put == 100);
        weft_channel_release(s.c);
    }
}

TASK_TEST(for_each, closed_with_code, "for_each: what the channel was closed with is returned, when it is drained")
{
    struct tally t = {.wanted = 0};
    struct source s = {.c = ints(4), .n = 10, .code = WEFT_EPERM};
    weft_task *producer = spawned(produce, &s);
    CHECK_INT(weft_for_each(s.c, 3, add, &t), WEFT_EPERM);
    CHECK_INT(weft_join(producer), 0);
    CHECK_INT(t.calls, 10);
    weft_channel_release(s.c);
}

TASK_TEST(for_each, arguments, "for_each: what cannot be is an error")
{
    weft_channel *c = ints(1);
    CHECK_INT(weft_for_each(NULL, 0, add, NULL), WEFT_EINVAL);
    CHECK_INT(weft_for_each(c, 0, NULL, NULL), WEFT_EINVAL);
    CHECK(weft_channel_isopen(c));
    weft_channel_release(c);
}

struct large {
    int64_t numbers[100];
};

static int
add_large(void *value, void *ctx)
{
    const struct large *l = value;
    for (int i = 1; i < 100; i++) CHECK_INT(l->numbers[i], l->numbers[0] + i);
    atomic_fetch_add(&((struct tally *)ctx)->calls, 1);
    return 0;
}

TASK_TEST(for_each, large, "for_each: values may be large")
{
    weft_channel *c = NULL;
    struct large l;
    struct tally t = {.wanted = 0};
    CHECK_INT(weft_channel_new(&c, sizeof l, 20), 0);
    for (int k = 0; k < 20; k++) {
        for (int i = 0; i < 100; i++) l.numbers[i] = 1000 * k + i;
        CHECK_INT(weft_channel_put(c, &l), 0);
    }
    weft_channel_close(c, 0);
    CHECK_INT(weft_for_each(c, 0, add_large, &t), 0);
    CHECK_INT(t.calls, 20);
    weft_channel_release(c);
}

static int
wait_for_values(void *arg)
{
    struct tally t = {.wanted = 0};
    return weft_for_each(arg, 4, add, &t);
}

TEST(for_each, cancelled, "for_each: it ends when the runtime stops, and leaves the channel open")
{
    weft_channel *c = ints(0);
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(wait_for_values, c);
    CHECK_INT(weft_channel_put(c, &(int){1}), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_join(t), WEFT_ECANCELED);
    CHECK(weft_channel_isopen(c));
    weft_channel_release(c);
}

static void *
put_from_thread(void *arg)
{
    CHECK_INT(produce(arg), 0);
    return NULL;
}

TEST(for_each, threads, "for_each: plain threads may put, and call it")
{
    pthread_t thread;
    struct source s = {.c = ints(1), .n = 200};
    struct tally t = {.wanted = 0};
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(pthread_create(&thread, NULL, put_from_thread, &s), 0);
    CHECK_INT(weft_for_each(s.c, 0, add, &t), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(t.sum, 200 * 201 / 2);
    CHECK_INT(weft_stop(), 0);
    weft_channel_release(s.c);
}
