/* test_channel_order.c - who is served when by a channel: arrival order on both sides, and nobody overtakes. */
#include "test.h"

#include "channel_actor.h"

/* [J62] [S173]  In Julia a running putter gets the place that a take has made: 0, 99, 2, 1.  Here it is taken already. */
STICKY_TEST(channel_order, nobody_overtakes_putters,
            "a free place goes to the oldest parked putter, not to whoever runs: 0 1 2 99")
{
    weft_channel *c = channel_of(1);
    int64_t value = 99;
    CHECK_INT(put(c, 0), 0);
    struct actor *p1 = putter(c, 1), *p2 = putter(c, 2);
    CHECK_INT(take(c), 0);
    CHECK_INT(weft_channel_put_until(c, &value, WEFT_NOW), WEFT_EAGAIN);
    struct actor *p3 = putter(c, 99);
    CHECK_INT(take(c), 1);
    CHECK_INT(take(c), 2);
    CHECK_INT(take(c), 99);
    CHECK_INT(finish(p1).rc, 0);
    CHECK_INT(finish(p2).rc, 0);
    CHECK_INT(finish(p3).rc, 0);
    weft_channel_release(c);
}

/* [S172] */
STICKY_TEST(channel_order, nobody_overtakes_takers, "a value goes to the oldest parked taker, not to whoever runs")
{
    weft_channel *c = channel_of(1);
    struct actor *a = taker(c), *b = taker(c);
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(weft_channel_len(c), 0);
    CHECK_INT(try_take(c), WEFT_EAGAIN);
    CHECK_INT(put(c, 2), 0);
    CHECK_INT(finish(a).value, 1);
    CHECK_INT(finish(b).value, 2);
    CHECK_INT(try_take(c), WEFT_EAGAIN);
    weft_channel_release(c);
}

/* Takes 0, 1, 2, 3 from parked putters, with or without letting them run in between. */
static void
check_putters_in_order(size_t capacity, bool yields)
{
    weft_channel *c = channel_of(capacity);
    struct actor *p[4];
    for (int i = 0; i < 4; i++) p[i] = putter(c, i);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(take(c), i);
        if (yields) weft_yield();
    }
    for (int i = 0; i < 4; i++) CHECK_INT(finish(p[i]).rc, 0);
    weft_channel_release(c);
}

/* [J63] */
STICKY_TEST(channel_order, putters_buffered,
            "parked putters of a full channel are served in the order in which they came")
{
    check_putters_in_order(1, true);
    check_putters_in_order(1, false);
    check_putters_in_order(2, true);
}

/* [J64] */
STICKY_TEST(channel_order, putters_rendezvous,
            "parked putters of a rendezvous are served in the order in which they came")
{
    check_putters_in_order(0, true);
    check_putters_in_order(0, false);
}

static void
check_takers_in_order(size_t capacity, bool yields)
{
    weft_channel *c = channel_of(capacity);
    struct actor *t[3];
    int before = gone_on();
    for (int i = 0; i < 3; i++) t[i] = taker(c);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(put(c, i * 10), 0);
        if (yields) weft_yield();
    }
    for (int i = 0; i < 3; i++) {
        struct outcome o = finish(t[i]);
        CHECK_INT(o.value, i * 10);
        CHECK_INT(o.rank, before + i);
    }
    weft_channel_release(c);
}

/* [J65] [S171] */
STICKY_TEST(channel_order, takers_rendezvous,
            "parked takers of a rendezvous are served, and go on, in the order in which they came")
{
    check_takers_in_order(0, true);
}

STICKY_TEST(channel_order, takers_rendezvous_at_once, "the same without a turn between the puts")
{
    check_takers_in_order(0, false);
}

/* [J66] [S171] */
STICKY_TEST(channel_order, takers_buffered,
            "parked takers of a buffered channel are served, and go on, in the order in which they came")
{
    check_takers_in_order(3, true);
}

STICKY_TEST(channel_order, takers_buffered_at_once, "the same without a turn between the puts")
{
    check_takers_in_order(3, false);
    check_takers_in_order(WEFT_UNBOUNDED, false);
}

/* [J74] */
STICKY_TEST(channel_order, fetchers, "one put serves all parked fetchers and stays in the channel")
{
    weft_channel *c = channel_of(1);
    struct actor *f[3];
    for (int i = 0; i < 3; i++) f[i] = fetcher(c);
    CHECK_INT(put(c, 9), 0);
    for (int i = 0; i < 3; i++) {
        struct outcome o = finish(f[i]);
        CHECK_INT(o.value, 9);
        CHECK_INT(o.rank, i);
    }
    CHECK(weft_channel_isready(c));
    CHECK_INT(take(c), 9);
    weft_channel_release(c);
}

/* [J75] */
STICKY_TEST(channel_order, taker_before_fetcher,
            "of a parked taker and a later fetcher the first put serves the taker alone")
{
    weft_channel *c = channel_of(1);
    struct actor *t = taker(c), *f = fetcher(c);
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(finish(t).value, 1);
    weft_yield();
    CHECK(is_parked(f));
    CHECK_INT(put(c, 2), 0);
    CHECK_INT(finish(f).value, 2);
    CHECK_INT(try_take(c), 2);
    weft_channel_release(c);
}

STICKY_TEST(channel_order, fetcher_before_taker,
            "a put serves the fetchers in front of the oldest taker with a copy, then the taker")
{
    weft_channel *c = channel_of(1);
    struct actor *f1 = fetcher(c), *f2 = fetcher(c), *t = taker(c), *f3 = fetcher(c);
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(weft_channel_len(c), 0);
    CHECK_INT(finish(f1).value, 1);
    CHECK_INT(finish(f2).value, 1);
    CHECK_INT(finish(t).value, 1);
    weft_yield();
    CHECK(is_parked(f3));
    CHECK_INT(put(c, 2), 0);
    CHECK_INT(finish(f3).value, 2);
    CHECK_INT(try_take(c), 2);
    weft_channel_release(c);
}

/* [J76] */
STICKY_TEST(channel_order, taker_gives_up,
            "after a parked taker has given up, the next put goes to the taker behind it")
{
    for (size_t capacity = 0; capacity <= 1; capacity++) {
        weft_channel *c = channel_of(capacity);
        struct actor *gone = begin_until(c, TAKE, 0, weft_in(3 * WEFT_MS));
        struct actor *next = taker(c);
        CHECK_INT(finish(gone).rc, WEFT_ETIMEDOUT);
        CHECK_INT(put(c, 1), 0);
        CHECK_INT(finish(next).value, 1);
        CHECK_INT(try_take(c), WEFT_EAGAIN);
        weft_channel_release(c);
    }
}

/* [J77] */
STICKY_TEST(channel_order, putter_gives_up,
            "the value of a putter who has given up is never delivered; the next one's is")
{
    for (size_t capacity = 0; capacity <= 1; capacity++) {
        weft_channel *c = channel_of(capacity);
        if (capacity == 1) CHECK_INT(put(c, 0), 0);
        struct actor *gone = begin_until(c, PUT, 1, weft_in(3 * WEFT_MS));
        struct actor *next = putter(c, 2);
        CHECK_INT(finish(gone).rc, WEFT_ETIMEDOUT);
        if (capacity == 1) CHECK_INT(take(c), 0);
        CHECK_INT(take(c), 2);
        CHECK_INT(finish(next).rc, 0);
        CHECK_INT(try_take(c), WEFT_EAGAIN);
        weft_channel_release(c);
    }
}

/* [J81] */
STICKY_TEST(channel_order, putter_goes_on_later, "a putter whose value was taken is not done until it gets its turn")
{
    weft_channel *c = channel_of(0);
    struct actor *p = putter(c, 1);
    CHECK_INT(take(c), 1);
    CHECK(!weft_task_isdone(p->task));
    CHECK_INT(finish(p).rc, 0);
    weft_channel_release(c);
}

/* [J83] */
STICKY_TEST(channel_order, close_order_rendezvous,
            "a close wakes takers before waiters, each in the order in which they came")
{
    weft_channel *c = channel_of(0);
    struct actor *w1 = waiter(c), *t1 = taker(c), *w2 = waiter(c), *t2 = taker(c);
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(finish(t1).rank, 0);
    CHECK_INT(finish(t2).rank, 1);
    CHECK_INT(finish(w1).rank, 2);
    CHECK_INT(finish(w2).rank, 3);
    weft_channel_release(c);
}

/* [J83] */
STICKY_TEST(channel_order, close_order_buffered,
            "a close wakes takers and fetchers before waiters, each in the order in which they came")
{
    weft_channel *c = channel_of(4);
    struct actor *w1 = waiter(c), *f1 = fetcher(c), *t1 = taker(c), *w2 = waiter(c), *f2 = fetcher(c), *t2 = taker(c);
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(finish(f1).rank, 0);
    CHECK_INT(finish(t1).rank, 1);
    CHECK_INT(finish(f2).rank, 2);
    CHECK_INT(finish(t2).rank, 3);
    CHECK_INT(finish(w1).rank, 4);
    CHECK_INT(finish(w2).rank, 5);
    weft_channel_release(c);
}

/* [J83] */
STICKY_TEST(channel_order, close_order_putters, "a close wakes putters in the order in which they came")
{
    weft_channel *c = channel_of(1);
    struct actor *p[5];
    for (int i = 0; i < 5; i++) p[i] = putter(c, i);
    CHECK(weft_channel_close(c, 0));
    for (int i = 0; i < 5; i++) {
        struct outcome o = finish(p[i]);
        CHECK_INT(o.rc, i == 0 ? 0 : WEFT_ECLOSED);
        CHECK_INT(o.rank, i);
    }
    weft_channel_release(c);
}

/* [J84]  A channel is emptied by taking what it holds. */
STICKY_TEST(channel_order, emptied, "when what is buffered is removed, the value of a parked putter moves in")
{
    weft_channel *c = channel_of(2);
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(put(c, 2), 0);
    struct actor *p = putter(c, 3);
    CHECK_INT(weft_channel_take(c, NULL), 0);
    CHECK_INT(weft_channel_take(c, NULL), 0);
    CHECK_INT(weft_channel_len(c), 1);
    CHECK_INT(finish(p).rc, 0);
    CHECK_INT(weft_channel_len(c), 1);
    CHECK_INT(take(c), 3);
    weft_channel_release(c);
}

STICKY_TEST(channel_order, putter_moves_in,
            "a parked putter is done with once its value is in the buffer, before anybody takes it")
{
    weft_channel *c = channel_of(1);
    CHECK_INT(put(c, 0), 0);
    struct actor *p1 = putter(c, 1), *p2 = putter(c, 2);
    CHECK_INT(take(c), 0);
    CHECK_INT(finish(p1).rc, 0);
    weft_yield();
    CHECK(is_parked(p2));
    CHECK_INT(weft_channel_len(c), 2);
    CHECK_INT(take(c), 1);
    CHECK_INT(finish(p2).rc, 0);
    CHECK_INT(take(c), 2);
    weft_channel_release(c);
}

STICKY_TEST(channel_order, waiters_leave_order, "waiters neither take a value nor a turn from the takers")
{
    weft_channel *c = channel_of(0);
    struct actor *w = waiter(c), *t1 = taker(c), *t2 = taker(c);
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(put(c, 2), 0);
    CHECK_INT(finish(t1).value, 1);
    CHECK_INT(finish(t2).value, 2);
    struct actor *p = putter(c, 3);
    CHECK_INT(finish(w).rc, 0);
    CHECK_INT(take(c), 3);
    CHECK_INT(finish(p).rc, 0);
    weft_channel_release(c);
}
