/* test_channel_julia.c - what Julia's channels hold and answer, how they close, and who is served when: the facts of
 * docs/julia-facts.md that are about channels alone.  The facts about channels with tasks bound to them are in
 * test_channel_bind.c. */
#include "test.h"

#include "channel_actor.h"

/* Questions. */

/* [J1] [J6] */
TEST(channel_julia, rendezvous, "a channel of capacity 0 is open, empty and full")
{
    weft_channel *c = channel_of(0);
    CHECK_INT(weft_channel_capacity(c), 0);
    CHECK(weft_channel_isempty(c));
    CHECK(weft_channel_isfull(c));
    CHECK(!weft_channel_isready(c));
    weft_channel_release(c);
}

/* [J2] */
TEST(channel_julia, one_value, "a channel of capacity 1 is ready between a put and the take")
{
    weft_channel *c = channel_of(1);
    CHECK_INT(put(c, 1), 0);
    CHECK(weft_channel_isready(c));
    CHECK_INT(take(c), 1);
    CHECK(!weft_channel_isready(c));
    weft_channel_release(c);
}

/* [J4] [J51] */
TEST(channel_julia, isfull, "a channel is full when it holds its capacity, and always if that is 0")
{
    weft_channel *c = channel_of(1), *rendezvous = channel_of(0);
    CHECK(!weft_channel_isfull(c));
    CHECK_INT(put(c, 1), 0);
    CHECK(weft_channel_isfull(c));
    CHECK(weft_channel_isfull(rendezvous));
    weft_channel_release(c);
    weft_channel_release(rendezvous);
}

/* [J7] */
TASK_TEST(channel_julia, a_million, "an unbounded channel takes a million values without parking and keeps their order")
{
    enum { VALUES = 1000000 };
    weft_channel *c = channel_of(WEFT_UNBOUNDED);
    int wrong = 0;
    for (int64_t i = 0; i < VALUES; i++) wrong += weft_channel_put_until(c, &i, WEFT_NOW) != 0;
    CHECK_INT(wrong, 0);
    CHECK_INT(weft_channel_len(c), VALUES);
    for (int64_t i = 0; i < VALUES; i++) wrong += try_take(c) != i;
    CHECK_INT(wrong, 0);
    CHECK(weft_channel_isempty(c));
    weft_channel_release(c);
}

/* [J8]  Capacities are unsigned in C: what cannot be is one that overflows. */
TEST(channel_julia, impossible_capacity, "a capacity that cannot be is an invalid argument")
{
    weft_channel *c = NULL;
    CHECK_INT(weft_channel_new(&c, sizeof(int64_t), SIZE_MAX - 1), WEFT_EINVAL);
    CHECK(c == NULL);
}

/* [J38] */
STICKY_TEST(channel_julia, isempty_rendezvous, "isempty of a rendezvous never parks: it is whether no putter is parked")
{
    weft_channel *c = channel_of(0);
    CHECK(weft_channel_isempty(c));
    struct actor *p = putter(c, 1);
    CHECK(!weft_channel_isempty(c));
    CHECK(!weft_channel_isempty(c));
    CHECK_INT(take(c), 1);
    CHECK(weft_channel_isempty(c));
    CHECK_INT(finish(p).rc, 0);
    weft_channel_release(c);
}

/* [J39] */
TEST(channel_julia, isempty_buffered, "isempty of a buffered channel never parks and takes nothing")
{
    weft_channel *c = channel_of(2);
    CHECK(weft_channel_isempty(c));
    CHECK_INT(put(c, 1), 0);
    CHECK(!weft_channel_isempty(c));
    CHECK(!weft_channel_isempty(c));
    CHECK_INT(take(c), 1);
    CHECK(weft_channel_isempty(c));
    weft_channel_release(c);
}

/* A putter with a deadline adds one to the length while it is parked.  It grows until the test has seen that. */
static void
check_putter_that_gives_up(weft_channel *c)
{
    size_t before = weft_channel_len(c), seen = before;
    for (int64_t ms = 5; ms < 60000 && seen == before; ms *= 3) {
        struct actor *p = begin_until(c, PUT, 99, weft_in(ms * WEFT_MS));
        seen = weft_channel_len(c);
        CHECK_INT(finish(p).rc, WEFT_ETIMEDOUT);
        CHECK_INT(weft_channel_len(c), before);
    }
    CHECK_INT(seen, before + 1);
}

/* [J42] [J82] [S178] */
STICKY_TEST(channel_julia, len_buffered,
            "the length is what is buffered and who is parked to put, less those who give up")
{
    weft_channel *c = channel_of(2);
    CHECK_INT(weft_channel_len(c), 0);
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(weft_channel_len(c), 1);
    CHECK_INT(put(c, 2), 0);
    CHECK_INT(weft_channel_len(c), 2);
    struct actor *p3 = putter(c, 3);
    CHECK_INT(weft_channel_len(c), 3);
    struct actor *p4 = putter(c, 4);
    CHECK_INT(weft_channel_len(c), 4);
    check_putter_that_gives_up(c);
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(weft_channel_len(c), 2);
    CHECK_INT(finish(p3).rc, WEFT_ECLOSED);
    CHECK_INT(finish(p4).rc, WEFT_ECLOSED);
    weft_channel_release(c);
}

/* [J43] [J82] */
STICKY_TEST(channel_julia, len_rendezvous, "the length of a rendezvous is the number of parked putters")
{
    weft_channel *c = channel_of(0);
    struct actor *p[3];
    CHECK_INT(weft_channel_len(c), 0);
    for (int i = 0; i < 3; i++) {
        p[i] = putter(c, i);
        CHECK_INT(weft_channel_len(c), i + 1);
    }
    check_putter_that_gives_up(c);
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(weft_channel_len(c), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(finish(p[i]).rc, WEFT_ECLOSED);
    weft_channel_release(c);
}

/* [J50] */
STICKY_TEST(channel_julia, isready_rendezvous, "a rendezvous is ready once a putter has parked")
{
    weft_channel *c = channel_of(0);
    CHECK(!weft_channel_isready(c));
    struct actor *p = putter(c, 1);
    CHECK(weft_channel_isready(c));
    CHECK_INT(take(c), 1);
    CHECK_INT(finish(p).rc, 0);
    weft_channel_release(c);
}

/* [J85] */
STICKY_TEST(channel_julia, isfull_with_putter, "a take leaves a full channel full if a putter is parked, and only then")
{
    weft_channel *c = channel_of(2);
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(put(c, 2), 0);
    CHECK(weft_channel_isfull(c));
    struct actor *p = putter(c, 3);
    CHECK_INT(take(c), 1);
    CHECK(weft_channel_isfull(c));
    CHECK_INT(weft_channel_len(c), 2);
    CHECK_INT(take(c), 2);
    CHECK(!weft_channel_isfull(c));
    CHECK_INT(take(c), 3);
    CHECK_INT(finish(p).rc, 0);
    weft_channel_release(c);
}

/* Fetching and waiting. */

/* [J48] [S183] */
TEST(channel_julia, fetch_keeps, "a fetch leaves the oldest value where it is")
{
    weft_channel *c = channel_of(3);
    for (int64_t i = 1; i <= 3; i++) CHECK_INT(put(c, i), 0);
    CHECK_INT(fetch(c), 1);
    CHECK_INT(fetch(c), 1);
    for (int64_t i = 1; i <= 3; i++) CHECK_INT(take(c), i);
    weft_channel_release(c);
}

/* [J71] [S183] */
TEST(channel_julia, fetch_rendezvous, "a fetch from a rendezvous is not supported, open or closed")
{
    weft_channel *c = channel_of(0);
    int64_t value;
    CHECK_INT(fetch(c), WEFT_ENOTSUP);
    CHECK_INT(weft_channel_fetch_until(c, &value, WEFT_NOW), WEFT_ENOTSUP);
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(fetch(c), WEFT_ENOTSUP);
    weft_channel_release(c);
}

/* [J18] */
STICKY_TEST(channel_julia, wait_rendezvous, "a wait returns when a putter is parked, whose value is there to take")
{
    weft_channel *c = channel_of(0);
    struct actor *w = waiter(c);
    CHECK(is_parked(w));
    struct actor *p = putter(c, 5);
    CHECK_INT(weft_channel_wait(c), 0);
    CHECK_INT(finish(w).rc, 0);
    CHECK_INT(take(c), 5);
    CHECK_INT(finish(p).rc, 0);
    weft_channel_release(c);
}

/* [J52] */
STICKY_TEST(channel_julia, wait_buffered, "a waiter is parked while a channel is not ready, and goes on after a put")
{
    weft_channel *c = channel_of(1);
    struct actor *w = waiter(c);
    weft_yield();
    CHECK(is_parked(w));
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(finish(w).rc, 0);
    CHECK_INT(weft_channel_len(c), 1);
    weft_channel_release(c);
}

/* [J70] */
TEST(channel_julia, wait_closed, "a wait returns while a closed channel holds a value, and fails after that")
{
    weft_channel *c = channel_of(2);
    CHECK_INT(put(c, 1), 0);
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(weft_channel_wait(c), 0);
    CHECK_INT(take(c), 1);
    CHECK_INT(weft_channel_wait(c), WEFT_ECLOSED);
    weft_channel_release(c);
}

/* [J80] */
STICKY_TEST(channel_julia, one_putter_wakes_waiters, "all waiters are woken by one putter, who stays parked")
{
    weft_channel *c = channel_of(0);
    struct actor *w1 = waiter(c), *w2 = waiter(c);
    struct actor *p = putter(c, 1);
    CHECK_INT(finish(w1).rc, 0);
    CHECK_INT(finish(w2).rc, 0);
    CHECK(is_parked(p));
    CHECK_INT(take(c), 1);
    CHECK_INT(finish(p).rc, 0);
    weft_channel_release(c);
}

struct gives_up {
    weft_channel *c, *other;
};

static int
give_up_and_go_on(void *arg)
{
    const struct gives_up *g = arg;
    CHECK_INT(weft_channel_wait_until(g->c, weft_in(5 * WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(take(g->other), 1);
    CHECK_INT(weft_sleep(WEFT_US), 0);
    CHECK_INT(take(g->c), 11);
    return 0;
}

/* [J60]  Nobody but a channel resumes a task that is parked on it: what interrupts the wait is its deadline. */
STICKY_TEST(channel_julia, interrupted_wait,
            "a task whose wait is interrupted goes on, parks elsewhere, and leaves no trace")
{
    struct gives_up g = {channel_of(1), channel_of(0)};
    weft_task *t;
    if (!CHECK_INT(weft_async(&t, give_up_and_go_on, &g), 0)) return;
    weft_yield();
    CHECK_INT(weft_schedule_error(t, WEFT_ECANCELED), WEFT_EBUSY);
    CHECK_INT(put(g.other, 1), 0); /* parks until the deadline has passed */
    CHECK_INT(put(g.c, 11), 0);
    joined(t, 0);
    CHECK_INT(weft_channel_len(g.c), 0);
    weft_channel_release(g.c);
    weft_channel_release(g.other);
}

/* Closing. */

/* [J34] [J45] [S179] */
TEST(channel_julia, isopen, "a channel is open until it is closed, and refuses puts after that")
{
    weft_channel *c = channel_of(1);
    CHECK(weft_channel_isopen(c));
    CHECK(weft_channel_close(c, 0));
    CHECK(!weft_channel_isopen(c));
    CHECK_INT(put(c, 1), WEFT_ECLOSED);
    CHECK_INT(weft_channel_len(c), 0);
    weft_channel_release(c);
}

/* [J35] */
TEST(channel_julia, close_with_code,
     "what is buffered outlives a close with a code, which the loop leaves to be seen after it")
{
    weft_channel *c = channel_of(2);
    int64_t value, sum = 0;
    CHECK_INT(put(c, 5), 0);
    CHECK(weft_channel_close(c, -77));
    weft_channel_each(c, value) sum += value;
    CHECK_INT(sum, 5);
    CHECK_INT(take(c), -77);
    weft_channel_release(c);
}

/* [J36] */
TEST(channel_julia, close_unbounded,
     "a closed unbounded channel gives what it holds, then fails, and takes nothing more")
{
    weft_channel *c = channel_of(WEFT_UNBOUNDED);
    CHECK_INT(put(c, 1), 0);
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(put(c, 2), WEFT_ECLOSED);
    CHECK_INT(take(c), 1);
    CHECK_INT(take(c), WEFT_ECLOSED);
    CHECK_INT(put(c, 2), WEFT_ECLOSED);
    weft_channel_release(c);
}

/* [J37] */
TEST(channel_julia, each_ends, "a loop over a closed channel sees what is buffered and ends")
{
    weft_channel *c = channel_of(3);
    int64_t value = 0;
    int turns = 0;
    CHECK_INT(put(c, 1), 0);
    CHECK(weft_channel_close(c, 0));
    weft_channel_each(c, value) turns++;
    CHECK_INT(turns, 1);
    CHECK_INT(value, 1);
    weft_channel_release(c);
}

/* [J49] */
TEST(channel_julia, fetch_closed,
     "a closed channel refuses puts, and is fetched from as often as one likes until it is drained")
{
    weft_channel *c = channel_of(1);
    CHECK_INT(put(c, 1), 0);
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(put(c, 2), WEFT_ECLOSED);
    CHECK_INT(fetch(c), 1);
    CHECK_INT(fetch(c), 1);
    CHECK_INT(take(c), 1);
    CHECK_INT(take(c), WEFT_ECLOSED);
    CHECK_INT(fetch(c), WEFT_ECLOSED);
    weft_channel_release(c);
}

/* [J59] */
TEST(channel_julia, close_with_any_code, "a channel can be closed with any negative code, also one that is not Weft's")
{
    static const int codes[] = {WEFT_EOVERFLOW, WEFT_ECANCELED, WEFT_EAGAIN, -1, -100000, INT_MIN};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        weft_channel *c = channel_of(0);
        CHECK(weft_channel_close(c, codes[i]));
        CHECK_INT(take(c), codes[i]);
        weft_channel_release(c);
    }
}

/* [J67] [S177] */
STICKY_TEST(channel_julia, close_wakes_takers, "a close fails all parked takers")
{
    weft_channel *c = channel_of(0);
    struct actor *a = taker(c), *b = taker(c);
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(finish(a).rc, WEFT_ECLOSED);
    CHECK_INT(finish(b).rc, WEFT_ECLOSED);
    weft_channel_release(c);
}

/* [J68] [S178] */
STICKY_TEST(channel_julia, close_fails_putters,
            "a close drops the values of parked putters, and keeps what is buffered")
{
    weft_channel *c = channel_of(1);
    CHECK_INT(put(c, 7), 0);
    struct actor *p1 = putter(c, 1), *p2 = putter(c, 2);
    CHECK(weft_channel_close(c, -55));
    CHECK_INT(finish(p1).rc, -55);
    CHECK_INT(finish(p2).rc, -55);
    CHECK_INT(take(c), 7);
    CHECK_INT(take(c), -55);
    CHECK_INT(put(c, 1), -55);
    CHECK(!weft_channel_isopen(c));
    CHECK(!weft_channel_isready(c));
    weft_channel_release(c);
}

/* [J69] [S176] */
TEST(channel_julia, close_twice, "a second close finds the channel closed and replaces the code")
{
    weft_channel *c = channel_of(1);
    CHECK(weft_channel_close(c, -1));
    CHECK_INT(take(c), -1);
    CHECK(!weft_channel_close(c, -2));
    CHECK_INT(take(c), -2);
    weft_channel_release(c);
}
