/* test_channel_batch.c - many values in one call: weft_channel_put_n and weft_channel_take_n. */
#include "test.h"

#include "channel_actor.h"

enum { VALUES = 100 };

static const int64_t *
counted(void)
{
    static int64_t values[VALUES];
    for (int i = 0; i < VALUES; i++) values[i] = i;
    return values;
}

/* Checks that n elements of values are from, from + 1, ... */
static void
check_run(const int64_t *values, size_t n, int64_t from)
{
    for (size_t i = 0; i < n; i++) CHECK_INT(values[i], from + (int64_t)i);
}

TEST(channel_batch, with_room, "a batch for which there is room is put at once, and taken at once, in order")
{
    static const size_t capacities[] = {VALUES, 2 * VALUES, WEFT_UNBOUNDED};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        weft_channel *c = channel_of(capacities[i]);
        int64_t got[VALUES];
        size_t n = 0;
        CHECK_INT(weft_channel_put_n(c, counted(), VALUES, &n), 0);
        CHECK_INT(n, VALUES);
        CHECK_INT(weft_channel_len(c), VALUES);
        CHECK_INT(weft_channel_take_n(c, got, VALUES, &n), 0);
        CHECK_INT(n, VALUES);
        check_run(got, VALUES, 0);
        CHECK(weft_channel_isempty(c));
        weft_channel_release(c);
    }
}

TEST(channel_batch, what_is_there, "a batch of takes gets what is there, and no more than it asked for")
{
    weft_channel *c = channel_of(8);
    int64_t got[8];
    size_t n = 0;
    CHECK_INT(weft_channel_put_n(c, counted(), 5, NULL), 0);
    CHECK_INT(weft_channel_take_n(c, got, 2, &n), 0);
    CHECK_INT(n, 2);
    check_run(got, 2, 0);
    CHECK_INT(weft_channel_take_n(c, got, 8, &n), 0);
    CHECK_INT(n, 3);
    check_run(got, 3, 2);
    CHECK_INT(weft_channel_put_n(c, counted(), 1, NULL), 0);
    CHECK_INT(weft_channel_take_n(c, got, 8, NULL), 0);
    check_run(got, 1, 0);
    weft_channel_release(c);
}

TEST(channel_batch, around_the_ring, "batches keep their order around the end of the ring")
{
    weft_channel *c = channel_of(7);
    int64_t got[7], in = 0, out = 0;
    for (int round = 0; round < 500; round++) {
        int64_t values[7];
        size_t n, len = (size_t)round % 7 + 1;
        for (size_t i = 0; i < len; i++) values[i] = in++;
        CHECK_INT(weft_channel_put_n(c, values, len, &n), 0);
        CHECK_INT(n, len);
        CHECK_INT(weft_channel_take_n(c, got, 7, &n), 0);
        CHECK_INT(n, len);
        check_run(got, n, out);
        out = in;
    }
    weft_channel_release(c);
}

TEST(channel_batch, nothing, "a batch of nothing returns at once")
{
    weft_channel *c = channel_of(0);
    int64_t value = 7;
    size_t n = 9;
    CHECK_INT(weft_channel_put_n(c, &value, 0, &n), 0);
    CHECK_INT(n, 0);
    n = 9;
    CHECK_INT(weft_channel_take_n(c, &value, 0, &n), 0);
    CHECK_INT(n, 0);
    CHECK_INT(value, 7);
    weft_channel_release(c);
}

TEST(channel_batch, only_the_count, "batches of elements without size keep their number")
{
    weft_channel *c;
    char nothing = 0;
    size_t n = 0;
    if (!CHECK_INT(weft_channel_new(&c, 0, 10), 0)) return;
    CHECK_INT(weft_channel_put_n(c, &nothing, 6, &n), 0);
    CHECK_INT(n, 6);
    CHECK_INT(weft_channel_put_n_until(c, &nothing, 6, &n, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(n, 4);
    CHECK_INT(weft_channel_take_n(c, &nothing, 20, &n), 0);
    CHECK_INT(n, 10);
    CHECK_INT(nothing, 0);
    weft_channel_release(c);
}

TEST(channel_batch, tries, "a try puts as many as there is room for, and says how many")
{
    weft_channel *c = channel_of(3);
    int64_t got[8];
    size_t n = 9;
    CHECK_INT(weft_channel_take_n_until(c, got, 8, &n, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(n, 0);
    CHECK_INT(weft_channel_put_n_until(c, counted(), 2, &n, WEFT_NOW), 0);
    CHECK_INT(n, 2);
    CHECK_INT(weft_channel_put_n_until(c, counted() + 2, 5, &n, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(n, 1);
    CHECK_INT(weft_channel_put_n_until(c, counted() + 3, 5, &n, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(n, 0);
    CHECK_INT(weft_channel_take_n_until(c, got, 8, &n, WEFT_NOW), 0);
    CHECK_INT(n, 3);
    check_run(got, 3, 0);
    weft_channel_release(c);
}

TASK_TEST(channel_batch, deadlines, "a deadline ends a batch that waits, which says how far it came")
{
    weft_channel *c = channel_of(3);
    int64_t got[8];
    size_t n = 9;
    CHECK_INT(weft_channel_take_n_until(c, got, 8, &n, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(n, 0);
    CHECK_INT(weft_channel_put_n_until(c, counted(), 5, &n, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(n, 3);
    CHECK_INT(weft_channel_len(c), 3);
    CHECK_INT(weft_channel_take_n_until(c, got, 8, &n, weft_in(-1)), 0);
    CHECK_INT(n, 3);
    check_run(got, 3, 0);
    weft_channel_release(c);
}

/* A batch that may have to park, in a task of its own. */
struct batch {
    weft_channel *c;
    size_t n; /* how many to put, or at most to take */
    bool takes;
    weft_time deadline;
    int64_t values[VALUES];
    size_t done;
    int rc;
    atomic_bool calling;
    weft_task *task;
};

static int
run_batch(void *arg)
{
    struct batch *b = arg;
    b->done = SIZE_MAX;
    atomic_store_explicit(&b->calling, true, memory_order_relaxed); /* read on the same worker */
    if (b->takes) b->rc = weft_channel_take_n_until(b->c, b->values, b->n, &b->done, b->deadline);
    else b->rc = weft_channel_put_n_until(b->c, counted(), b->n, &b->done, b->deadline);
    return 0;
}

/* As begin() for actors: returns when b has parked or gone on. */
static void
begin_batch(struct batch *b)
{
    if (b->deadline == WEFT_NOW) b->deadline = WEFT_FOREVER;
    if (!CHECK_INT(weft_async(&b->task, run_batch, b), 0)) abort();
    AWAIT(atomic_load_explicit(&b->calling, memory_order_relaxed));
}

static void
check_batch(struct batch *b, int rc, size_t done)
{
    joined(b->task, 0);
    CHECK_INT(b->rc, rc);
    CHECK_INT(b->done, done);
}

static void
check_larger_than_capacity(size_t capacity)
{
    weft_channel *c = channel_of(capacity);
    struct batch b = {.c = c, .n = 50};
    begin_batch(&b);
    CHECK(!weft_task_isdone(b.task));
    CHECK_INT(weft_channel_len(c), capacity + 1);
    for (int64_t i = 0; i < 50; i++) CHECK_INT(take(c), i);
    check_batch(&b, 0, 50);
    CHECK_INT(weft_channel_len(c), 0);
    weft_channel_release(c);
}

STICKY_TEST(channel_batch, larger_than_capacity,
            "a batch larger than the capacity parks as one putter until all of it is put, in order")
{
    check_larger_than_capacity(0);
    check_larger_than_capacity(1);
    check_larger_than_capacity(2);
    check_larger_than_capacity(49);
}

static void
check_batch_to_batch(size_t capacity, size_t taken_at_once)
{
    weft_channel *c = channel_of(capacity);
    struct batch b = {.c = c, .n = VALUES};
    int64_t got[VALUES];
    begin_batch(&b);
    for (size_t sum = 0, n = 0; sum < VALUES; sum += n) {
        CHECK_INT(weft_channel_take_n(c, got, taken_at_once, &n), 0);
        if (!CHECK(n >= 1 && n <= taken_at_once && sum + n <= VALUES)) return;
        check_run(got, n, (int64_t)sum);
    }
    check_batch(&b, 0, VALUES);
    CHECK_INT(weft_channel_len(c), 0);
    weft_channel_release(c);
}

STICKY_TEST(channel_batch, batch_to_batch,
            "a batch of takes gets at least one value of a parked batch, and all arrive in order")
{
    for (size_t capacity = 0; capacity < 5; capacity++) {
        check_batch_to_batch(capacity, 1);
        check_batch_to_batch(capacity, 3);
        check_batch_to_batch(capacity, VALUES);
    }
}

STICKY_TEST(channel_batch, served_by_single_puts, "a parked batch of takes goes on with the first value that is put")
{
    for (size_t capacity = 0; capacity <= 4; capacity += 4) {
        weft_channel *c = channel_of(capacity);
        struct batch b = {.c = c, .n = 5, .takes = true};
        begin_batch(&b);
        CHECK_INT(put(c, 3), 0);
        check_batch(&b, 0, 1);
        CHECK_INT(b.values[0], 3);
        CHECK_INT(weft_channel_len(c), 0);
        weft_channel_release(c);
    }
}

STICKY_TEST(channel_batch, one_at_a_time, "a batch of takes is one taker in the order of takers")
{
    weft_channel *c = channel_of(4);
    struct actor *first = taker(c);
    struct batch b = {.c = c, .n = 5, .takes = true};
    begin_batch(&b);
    struct actor *last = taker(c);
    for (int64_t i = 0; i < 3; i++) CHECK_INT(put(c, i), 0);
    CHECK_INT(finish(first).value, 0);
    check_batch(&b, 0, 1);
    CHECK_INT(b.values[0], 1);
    CHECK_INT(finish(last).value, 2);
    weft_channel_release(c);
}

static void
check_serves_takers(size_t capacity)
{
    weft_channel *c = channel_of(capacity);
    struct actor *t[3];
    size_t n = 0, more = capacity < 2 ? capacity : 2;
    for (int i = 0; i < 3; i++) t[i] = taker(c);
    CHECK_INT(weft_channel_put_n_until(c, counted(), 3 + more, &n, WEFT_NOW), 0);
    CHECK_INT(n, 3 + more);
    CHECK_INT(weft_channel_len(c), more);
    for (int i = 0; i < 3; i++) CHECK_INT(finish(t[i]).value, i);
    for (size_t i = 0; i < more; i++) CHECK_INT(try_take(c), 3 + (int64_t)i);
    weft_channel_release(c);
}

STICKY_TEST(channel_batch, serves_takers,
            "a batch serves the parked takers in their order, and fills the buffer with the rest")
{
    check_serves_takers(0);
    check_serves_takers(1);
    check_serves_takers(8);
    check_serves_takers(WEFT_UNBOUNDED);
}

STICKY_TEST(channel_batch, serves_fetchers, "a batch serves the parked fetchers with its first value, which stays")
{
    weft_channel *c = channel_of(8);
    struct actor *f1 = fetcher(c), *f2 = fetcher(c);
    CHECK_INT(weft_channel_put_n(c, counted() + 5, 3, NULL), 0);
    CHECK_INT(finish(f1).value, 5);
    CHECK_INT(finish(f2).value, 5);
    CHECK_INT(weft_channel_len(c), 3);
    weft_channel_release(c);
}

STICKY_TEST(channel_batch, from_single_putters, "a batch of takes makes room for parked putters, whose order is kept")
{
    weft_channel *c = channel_of(2);
    struct actor *p[5];
    int64_t got[8];
    size_t n = 0;
    for (int i = 0; i < 5; i++) p[i] = putter(c, i);
    CHECK_INT(weft_channel_take_n(c, got, 2, &n), 0);
    CHECK_INT(n, 2);
    check_run(got, 2, 0);
    CHECK_INT(weft_channel_len(c), 3);
    for (int i = 0; i < 4; i++) CHECK_INT(finish(p[i]).rc, 0);
    CHECK(is_parked(p[4]));
    for (int64_t i = 2; i < 5; i++) CHECK_INT(take(c), i);
    CHECK_INT(finish(p[4]).rc, 0);
    weft_channel_release(c);
}

STICKY_TEST(channel_batch, behind_parked_putter, "a batch does not overtake a parked putter")
{
    weft_channel *c = channel_of(1);
    size_t n = 9;
    CHECK_INT(put(c, 50), 0);
    struct actor *p = putter(c, 51);
    CHECK_INT(weft_channel_put_n_until(c, counted(), 3, &n, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(n, 0);
    struct batch b = {.c = c, .n = 3};
    begin_batch(&b);
    CHECK_INT(take(c), 50);
    CHECK_INT(take(c), 51);
    for (int64_t i = 0; i < 3; i++) CHECK_INT(take(c), i);
    CHECK_INT(finish(p).rc, 0);
    check_batch(&b, 0, 3);
    weft_channel_release(c);
}

STICKY_TEST(channel_batch, putter_between,
            "what single putters put beside a parked batch arrives too, and the batch stays in order")
{
    weft_channel *c = channel_of(2);
    struct batch b = {.c = c, .n = 20};
    begin_batch(&b);
    struct actor *p1 = putter(c, 1001), *p2 = putter(c, 1002);
    int64_t next = 0, next_single = 1001;
    for (int i = 0; i < 22; i++) {
        int64_t value = take(c);
        if (value > 1000) CHECK_INT(value, next_single++);
        else CHECK_INT(value, next++);
    }
    CHECK_INT(next, 20);
    CHECK_INT(next_single, 1003);
    CHECK_INT(finish(p1).rc, 0);
    CHECK_INT(finish(p2).rc, 0);
    check_batch(&b, 0, 20);
    weft_channel_release(c);
}

STICKY_TEST(channel_batch, closed_while_parked,
            "a close ends a parked batch, which says how many of its values were put and stay")
{
    for (size_t capacity = 0; capacity < 4; capacity++) {
        weft_channel *c = channel_of(capacity);
        struct batch b = {.c = c, .n = 10};
        begin_batch(&b);
        CHECK_INT(take(c), 0);
        CHECK_INT(take(c), 1);
        CHECK(weft_channel_close(c, -33));
        check_batch(&b, -33, 2 + capacity);
        CHECK_INT(weft_channel_len(c), capacity);
        for (size_t i = 0; i < capacity; i++) CHECK_INT(take(c), 2 + (int64_t)i);
        check_closed(c, -33);
        weft_channel_release(c);
    }
}

STICKY_TEST(channel_batch, taker_closed_while_parked, "a close ends a parked batch of takes, which has got nothing")
{
    weft_channel *c = channel_of(3);
    struct batch b = {.c = c, .n = 10, .takes = true};
    begin_batch(&b);
    CHECK(weft_channel_close(c, -33));
    check_batch(&b, -33, 0);
    weft_channel_release(c);
}

TEST(channel_batch, closed_with_values, "a batch of takes gets what a closed channel holds, then its code")
{
    weft_channel *c = channel_of(4);
    int64_t got[8];
    size_t n = 0;
    CHECK_INT(weft_channel_put_n(c, counted(), 4, NULL), 0);
    CHECK(weft_channel_close(c, -33));
    CHECK_INT(weft_channel_put_n(c, counted(), 4, &n), -33);
    CHECK_INT(n, 0);
    CHECK_INT(weft_channel_take_n(c, got, 8, &n), 0);
    CHECK_INT(n, 4);
    check_run(got, 4, 0);
    CHECK_INT(weft_channel_take_n(c, got, 8, &n), -33);
    CHECK_INT(n, 0);
    weft_channel_release(c);
}

STICKY_TEST(channel_batch, gives_up, "a batch that gives up has put what was taken or buffered, and nothing after that")
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        weft_channel *c = channel_of(capacity);
        struct batch b = {.c = c, .n = 10, .deadline = weft_in(3 * WEFT_MS)};
        size_t taken = 0;
        begin_batch(&b);
        for (int i = 0; i < 2; i++) { /* these race with the deadline */
            int64_t value = try_take(c);
            if (value != WEFT_EAGAIN) CHECK_INT(value, taken++);
        }
        joined(b.task, 0);
        for (; weft_channel_len(c) > 0; taken++) CHECK_INT(try_take(c), taken);
        CHECK_INT(b.rc, WEFT_ETIMEDOUT);
        CHECK_INT(b.done, taken);
        weft_channel_release(c);
    }
}
