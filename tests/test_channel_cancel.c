/* test_channel_cancel.c - cancelling tasks that put and take: a value is taken once, or left, and nobody loses its turn. */
#include "test.h"

#include "channel_actor.h"

/* [S48] */
STICKY_TEST(
    channel_cancel, granted,
    "who is cancelled after it was given a value, or a place, has it, and meets the cancellation at its next call")
{
    for (int puts = 0; puts < 2; puts++) {
        for (size_t capacity = 0; capacity <= 1; capacity++) {
            weft_channel *c = channel_of(capacity);
            if (puts && capacity) CHECK_INT(put(c, 4), 0);
            struct actor *a = puts ? putter(c, 5) : taker(c);
            if (puts) CHECK_INT(take(c), capacity ? 4 : 5);
            else CHECK_INT(put(c, 5), 0);
            CHECK(is_parked(a)); /* it has not had its turn yet */
            CHECK(weft_cancel(a->task));
            weft_task *t = weft_task_retain(a->task);
            struct outcome o = finish(a);
            CHECK_INT(o.rc, 0);
            CHECK_INT(o.value, 5);
            CHECK_INT(weft_task_state(t), WEFT_COMPLETED);
            CHECK_INT(try_take(c), puts && capacity ? 5 : WEFT_EAGAIN);
            weft_task_release(t);
            weft_channel_release(c);
        }
    }
}

struct next_call {
    weft_channel *c;
    int64_t first;
    int second;
    atomic_int calling;
};

static int
take_and_check(void *arg)
{
    struct next_call *n = arg;
    atomic_store_explicit(&n->calling, 1, memory_order_release); /* pairs with the test's load */
    n->first = take(n->c);
    n->second = (int)take(n->c);
    return 0;
}

/* [S48] */
STICKY_TEST(channel_cancel, next_call, "the call after that has no effect, though it could be served at once")
{
    struct next_call n = {.c = channel_of(2)};
    weft_task *t;
    if (!CHECK_INT(weft_async(&t, take_and_check, &n), 0)) return;
    AWAIT(atomic_load_explicit(&n.calling, memory_order_acquire));
    CHECK_INT(put(n.c, 1), 0);
    CHECK(weft_cancel(t));
    CHECK_INT(put(n.c, 2), 0);
    joined(t, 0);
    CHECK_INT(n.first, 1);
    CHECK_INT(n.second, WEFT_ECANCELED);
    CHECK_INT(try_take(n.c), 2);
    weft_channel_release(n.c);
}

/* [S184] */
STICKY_TEST(channel_cancel, takers,
            "what is put after a taker was cancelled goes to the next one, or stays in the channel")
{
    for (size_t capacity = 0; capacity <= 2; capacity++) {
        weft_channel *c = channel_of(capacity);
        struct actor *a = taker(c), *gone = taker(c), *last = taker(c), *alone;
        CHECK(weft_cancel(gone->task));
        CHECK_INT(put(c, 1), 0); /* the cancelled one may not have left the queue yet */
        CHECK_INT(put(c, 2), 0);
        CHECK_INT(finish(gone).rc, WEFT_ECANCELED);
        CHECK_INT(finish(a).value, 1);
        CHECK_INT(finish(last).value, 2);
        alone = taker(c);
        CHECK(weft_cancel(alone->task));
        int64_t value = 3;
        CHECK_INT(weft_channel_put_until(c, &value, WEFT_NOW), capacity ? 0 : WEFT_EAGAIN);
        CHECK_INT(finish(alone).rc, WEFT_ECANCELED);
        CHECK_INT(try_take(c), capacity ? 3 : WEFT_EAGAIN);
        CHECK_INT(try_take(c), WEFT_EAGAIN);
        weft_channel_release(c);
    }
}

/* [S185] */
STICKY_TEST(channel_cancel, putters, "the value of a putter that was cancelled never appears, and its place is free")
{
    for (size_t capacity = 0; capacity <= 2; capacity++) {
        weft_channel *c = channel_of(capacity);
        for (size_t i = 0; i < capacity; i++) CHECK_INT(put(c, 0), 0);
        struct actor *a = putter(c, 1), *gone = putter(c, 99), *last = putter(c, 2);
        CHECK_INT(weft_channel_len(c), capacity + 3);
        CHECK(weft_cancel(gone->task));
        for (size_t i = 0; i < capacity; i++) CHECK_INT(take(c), 0);
        CHECK_INT(take(c), 1);
        CHECK_INT(take(c), 2);
        CHECK_INT(try_take(c), WEFT_EAGAIN);
        CHECK_INT(finish(gone).rc, WEFT_ECANCELED);
        CHECK_INT(finish(a).rc, 0);
        CHECK_INT(finish(last).rc, 0);
        CHECK_INT(weft_channel_len(c), 0);
        int64_t value = 7;
        for (size_t i = 0; i <= capacity; i++) /* as many places as ever */
            CHECK_INT(weft_channel_put_until(c, &value, WEFT_NOW), i < capacity ? 0 : WEFT_EAGAIN);
        weft_channel_release(c);
    }
}

/* Tasks that put or take one value each, some of which are cancelled in the middle.  A close ends what is left over. */
struct duel {
    weft_channel *c;
    atomic_long put, taken, cancelled; /* read after the joins */
};

static void
count(struct duel *d, int64_t got, atomic_long *done)
{
    if (got == 1) atomic_fetch_add_explicit(done, 1, memory_order_relaxed);
    else if (got == WEFT_ECANCELED) atomic_fetch_add_explicit(&d->cancelled, 1, memory_order_relaxed);
    else CHECK_INT(got, WEFT_ECLOSED);
}

static int
put_one(void *arg)
{
    struct duel *d = arg;
    int rc = put(d->c, 1);
    count(d, rc == 0 ? 1 : rc, &d->put);
    return 0;
}

static int
take_one(void *arg)
{
    struct duel *d = arg;
    count(d, take(d->c), &d->taken);
    return 0;
}

static void
run_duel(size_t capacity)
{
    enum { TASKS = 40 };
    struct duel d = {.c = channel_of(capacity)};
    weft_task *t[TASKS];
    for (int i = 0; i < TASKS; i++) {
        bool puts = i / 10 % 2; /* ten takers, ten putters, and so on */
        if (!CHECK_INT(weft_spawn(&t[i], puts ? put_one : take_one, &d), 0)) return;
        if (i % 10 == 9) weft_yield(); /* they park */
        if (i >= 10 && i % 2) weft_cancel(t[i - 10]);
        if (i % 3 == 0) weft_yield();
    }
    for (int i = 0; i < 20; i++) weft_yield();
    weft_channel_close(d.c, 0);
    for (int i = 0; i < TASKS; i++) {
        int rc = weft_wait(t[i]);
        CHECK(rc == 0 || weft_task_state(t[i]) == WEFT_CANCELLED);
        weft_task_release(t[i]);
    }
    long put = atomic_load_explicit(&d.put, memory_order_relaxed);
    CHECK_INT(atomic_load_explicit(&d.taken, memory_order_relaxed) + (long)weft_channel_len(d.c), put);
    weft_channel_release(d.c);
}

/* [S184] [S185] */
TASK_TEST(channel_cancel, duel, "cancellations against puts and takes: what was put was taken, or is left")
{
    for (int i = TEST_SIM ? 2 : TEST_TSAN ? 30 : 300; i > 0; i--) run_duel((size_t)(i % 3) * 5);
}

struct pipeline {
    weft_channel *c;
    atomic_int consuming;
    int64_t got; /* the consumer's last: a value, or a code */
};

static int
produce_and_fail(void *arg)
{
    struct pipeline *p = arg;
    for (int64_t i = 0; i < 3; i++) CHECK_INT(put(p->c, i), 0);
    AWAIT(atomic_load_explicit(&p->consuming, memory_order_acquire) == 3); /* pairs with consume */
    return WEFT_EPERM;
}

static int
consume(void *arg)
{
    struct pipeline *p = arg;
    while ((p->got = take(p->c)) >= 0) atomic_fetch_add_explicit(&p->consuming, 1, memory_order_release);
    return (int)p->got;
}

/* [S256]  Nobody closes the channel. */
TASK_TEST(channel_cancel, pipeline,
          "when a producer fails its consumer is cancelled where it waits, and the scope has the error")
{
    for (size_t capacity = 0; capacity <= 2; capacity++) {
        struct pipeline p = {.c = channel_of(capacity)};
        weft_task *consumer = NULL;
        weft_scope s;
        weft_scope_open(&s, 0, WEFT_FOREVER);
        int rc = weft_spawn(&consumer, consume, &p);
        if (rc == 0) rc = weft_spawn(NULL, produce_and_fail, &p);
        CHECK_INT(weft_scope_close(&s, rc), WEFT_EPERM);
        CHECK_INT(p.got, WEFT_ECANCELED);
        CHECK_INT(weft_task_state(consumer), WEFT_CANCELLED);
        weft_task_release(consumer);
        weft_channel_release(p.c);
    }
}
