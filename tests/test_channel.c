/* test_channel.c - the contract of weft/channel.h: sizes, tries and deadlines, codes, references. */
#include "test.h"

#include <string.h>

#include "channel_actor.h"

/* Making. */

TEST(channel, misused_new, "a channel cannot be made without a place for its handle, or if its sizes overflow")
{
    weft_channel *c = NULL;
    CHECK_INT(weft_channel_new(NULL, 8, 1), WEFT_EINVAL);
    CHECK_INT(weft_channel_new(&c, 24, SIZE_MAX - 1), WEFT_EINVAL);
    CHECK_INT(weft_channel_new(&c, SIZE_MAX, 2), WEFT_EINVAL);
    CHECK_INT(weft_channel_new(&c, (size_t)1 << 40, (size_t)1 << 40), WEFT_EINVAL);
    CHECK(c == NULL);
}

static int
never_runs(weft_channel *c, void *arg)
{
    (void)c;
    *(bool *)arg = true;
    return 0;
}

TASK_TEST(channel, misused_spawn, "spawning with a channel that cannot be made, or without a function, starts no task")
{
    weft_channel *c = NULL;
    weft_task *t = NULL;
    bool ran = false;
    CHECK_INT(weft_channel_spawn(NULL, 8, 1, never_runs, &ran, &t), WEFT_EINVAL);
    CHECK_INT(weft_channel_spawn(&c, 24, SIZE_MAX - 1, never_runs, &ran, &t), WEFT_EINVAL);
    CHECK_INT(weft_channel_spawn(&c, 8, 1, NULL, &ran, &t), WEFT_EINVAL);
    CHECK(c == NULL && t == NULL);
    weft_yield();
    CHECK(!ran);
}

/* Elements. */

/* Byte i of the n-th element of a test. */
static unsigned char
byte_of(size_t n, size_t i)
{
    return (unsigned char)(n * 31 + i * 7 + 1);
}

static void
fill(unsigned char *element, size_t size, size_t n)
{
    for (size_t i = 0; i < size; i++) element[i] = byte_of(n, i);
}

/* Whether element is the n-th, and nothing was written beyond it. */
static bool
is_element(const unsigned char *element, size_t size, size_t n)
{
    for (size_t i = 0; i < size; i++)
        if (element[i] != byte_of(n, i)) return false;
    return element[size] == 0xee;
}

enum { LARGEST = 4096, ELEMENTS = 100 };

struct sized {
    weft_channel *c;
    size_t size;
};

static int
put_sized(void *arg)
{
    const struct sized *s = arg;
    unsigned char element[LARGEST + 1];
    for (size_t n = 0; n < ELEMENTS; n++) {
        fill(element, s->size, n);
        CHECK_INT(weft_channel_put(s->c, element), 0);
        memset(element, 0, sizeof element); /* the channel has a copy */
    }
    return 0;
}

static void
pass_elements(size_t size, size_t capacity)
{
    struct sized s = {NULL, size};
    weft_task *t;
    unsigned char element[LARGEST + 1];
    if (!CHECK_INT(weft_channel_new(&s.c, size, capacity), 0)) return;
    if (!CHECK_INT(weft_spawn(&t, put_sized, &s), 0)) return;
    for (size_t n = 0; n < ELEMENTS; n++) {
        memset(element, 0xee, sizeof element);
        if (capacity > 0 && n % 2) {
            CHECK_INT(weft_channel_fetch(s.c, element), 0);
            CHECK(is_element(element, size, n));
        }
        CHECK_INT(weft_channel_take(s.c, element), 0);
        if (!CHECK(is_element(element, size, n))) break;
    }
    joined(t, 0);
    CHECK_INT(weft_channel_len(s.c), 0);
    weft_channel_release(s.c);
}

/* [S187] */
TASK_TEST(channel, element_sizes,
          "elements of every size arrive whole, at every capacity, and nothing beside them is written")
{
    static const size_t sizes[] = {0, 1, 3, 8, 16, 24, 100, LARGEST};
    static const size_t capacities[] = {0, 1, 2, 7, WEFT_UNBOUNDED};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t k = 0; k < sizeof capacities / sizeof *capacities; k++) pass_elements(sizes[i], capacities[k]);
}

TEST(channel, ring_wraps, "a buffer that never empties keeps the order over many turns")
{
    weft_channel *c = channel_of(3);
    CHECK_INT(put(c, 0), 0);
    CHECK_INT(put(c, 1), 0);
    for (int64_t i = 0; i < 1000; i++) {
        CHECK_INT(put(c, i + 2), 0);
        CHECK_INT(take(c), i);
    }
    CHECK_INT(weft_channel_len(c), 2);
    weft_channel_release(c);
}

TEST(channel, unbounded_grows_anywhere, "an unbounded channel keeps the order when it grows in the middle of its ring")
{
    weft_channel *c = channel_of(WEFT_UNBOUNDED);
    int64_t in = 0, out = 0;
    for (int round = 1; round < 300; round++) {
        for (int i = 0; i < round + 7; i++) CHECK_INT(put(c, in++), 0);
        for (int i = 0; i < round; i++) CHECK_INT(take(c), out++);
        CHECK_INT(weft_channel_len(c), in - out);
        CHECK(!weft_channel_isfull(c));
    }
    while (out < in) CHECK_INT(take(c), out++);
    CHECK(weft_channel_isempty(c));
    weft_channel_release(c);
}

TEST(channel, null_drops, "a take without a place for the value drops the oldest element")
{
    weft_channel *c = channel_of(2);
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(put(c, 2), 0);
    CHECK_INT(weft_channel_take(c, NULL), 0);
    CHECK_INT(take(c), 2);
    weft_channel_release(c);
}

STICKY_TEST(channel, null_drops_from_putter, "a take without a place drops the value of a parked putter, who goes on")
{
    weft_channel *c = channel_of(0);
    struct actor *p = putter(c, 1);
    CHECK_INT(weft_channel_take_until(c, NULL, WEFT_NOW), 0);
    CHECK_INT(finish(p).rc, 0);
    CHECK_INT(weft_channel_len(c), 0);
    weft_channel_release(c);
}

static int
take_and_drop(void *arg)
{
    return weft_channel_take(arg, NULL);
}

TASK_TEST(channel, null_drops_when_parked, "a taker that parked without a place for the value drops it")
{
    weft_channel *c = channel_of(0);
    weft_task *t;
    if (CHECK_INT(weft_spawn(&t, take_and_drop, c), 0)) {
        CHECK_INT(put(c, 1), 0);
        joined(t, 0);
    }
    weft_channel_release(c);
}

struct pair {
    int32_t key, weight;
};

TEST(channel, each, "weft_channel_each takes into a variable of any type until the channel is closed and drained")
{
    weft_channel *c;
    struct pair p;
    int32_t keys = 0, weights = 0;
    if (!CHECK_INT(weft_channel_new(&c, sizeof p, 8), 0)) return;
    for (int32_t i = 1; i <= 5; i++) CHECK_INT(weft_channel_put(c, &(struct pair){i, i * i}), 0);
    weft_channel_close(c, 0);
    weft_channel_each(c, p) {
        keys += p.key;
        weights += p.weight;
    }
    CHECK_INT(keys, 15);
    CHECK_INT(weights, 55);
    CHECK_INT(weft_channel_len(c), 0);
    weft_channel_release(c);
}

/* Tries and deadlines. */

TEST(channel, tries, "with WEFT_NOW what would park returns WEFT_EAGAIN, and what would not is done")
{
    int64_t value = 7;
    weft_channel *c = channel_of(1);
    CHECK_INT(weft_channel_take_until(c, &value, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_channel_fetch_until(c, &value, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_channel_wait_until(c, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(value, 7);
    CHECK_INT(weft_channel_put_until(c, &value, WEFT_NOW), 0);
    CHECK_INT(weft_channel_put_until(c, &value, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_channel_len(c), 1);
    value = 0;
    CHECK_INT(weft_channel_wait_until(c, WEFT_NOW), 0);
    CHECK_INT(weft_channel_fetch_until(c, &value, WEFT_NOW), 0);
    CHECK_INT(value, 7);
    value = 0;
    CHECK_INT(weft_channel_take_until(c, &value, WEFT_NOW), 0);
    CHECK_INT(value, 7);
    weft_channel_release(c);
}

TEST(channel, rendezvous_tries, "a try to put needs a parked taker, a try to take a parked putter")
{
    int64_t value = 7;
    weft_channel *c = channel_of(0);
    CHECK_INT(weft_channel_put_until(c, &value, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_channel_take_until(c, &value, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_channel_wait_until(c, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_channel_len(c), 0);
    weft_channel_release(c);
}

STICKY_TEST(channel, rendezvous_tries_succeed, "a try succeeds at once where the other side is parked")
{
    int64_t value = 7;
    weft_channel *c = channel_of(0);
    struct actor *p = putter(c, 1);
    CHECK_INT(weft_channel_wait_until(c, WEFT_NOW), 0);
    CHECK_INT(try_take(c), 1);
    CHECK_INT(finish(p).rc, 0);
    struct actor *t = taker(c);
    CHECK_INT(weft_channel_put_until(c, &value, WEFT_NOW), 0);
    CHECK_INT(finish(t).value, 7);
    weft_channel_release(c);
}

static void
check_deadlines(weft_channel *c, weft_time past)
{
    int64_t value = 7;
    CHECK_INT(weft_channel_take_until(c, &value, past), WEFT_ETIMEDOUT);
    CHECK_INT(weft_channel_fetch_until(c, &value, past), WEFT_ETIMEDOUT);
    CHECK_INT(weft_channel_wait_until(c, past), WEFT_ETIMEDOUT);
    CHECK_INT(weft_channel_put_until(c, &value, past), 0);
    CHECK_INT(weft_channel_put_until(c, &value, past), WEFT_ETIMEDOUT);
    CHECK_INT(weft_channel_fetch_until(c, &value, past), 0);
    CHECK_INT(weft_channel_wait_until(c, past), 0);
    CHECK_INT(weft_channel_take_until(c, &value, past), 0);
    CHECK_INT(value, 7);
    CHECK_INT(weft_channel_len(c), 0);
}

TASK_TEST(channel, deadlines_of_tasks,
          "a deadline that has passed, or passes, ends only a call that has nothing to return")
{
    weft_channel *c = channel_of(1);
    check_deadlines(c, weft_in(-WEFT_S));
    check_deadlines(c, weft_now());
    weft_channel_release(c);
}

TEST(channel, deadlines_of_threads, "the same holds for a plain thread")
{
    weft_channel *c = channel_of(1);
    check_deadlines(c, weft_in(-WEFT_S));
    check_deadlines(c, weft_now());
    weft_time before = weft_now(), end = weft_in(WEFT_MS);
    CHECK_INT(weft_channel_wait_until(c, end), WEFT_ETIMEDOUT);
    CHECK(weft_now() >= end && end > before);
    weft_channel_release(c);
}

TASK_TEST(channel, deadline_not_early, "a deadline does not end a call before it has passed")
{
    weft_channel *c = channel_of(0);
    for (int i = 0; i < 20; i++) {
        int64_t value = i;
        weft_time end = weft_in(i * 100 * WEFT_US);
        int rc = i % 2 ? weft_channel_put_until(c, &value, end) : weft_channel_take_until(c, &value, end);
        CHECK_INT(rc, WEFT_ETIMEDOUT);
        CHECK(weft_now() >= end);
    }
    weft_channel_release(c);
}

STICKY_TEST(channel, timeout_keeps_order, "callers that give up leave the order of the others as it was")
{
    weft_channel *c = channel_of(1);
    CHECK_INT(put(c, 0), 0);
    struct actor *p1 = putter(c, 1);
    struct actor *late = begin_until(c, PUT, 100, weft_in(5 * WEFT_MS));
    struct actor *p2 = putter(c, 2);
    struct actor *later = begin_until(c, PUT, 101, weft_in(2 * WEFT_MS));
    CHECK_INT(finish(late).rc, WEFT_ETIMEDOUT);
    CHECK_INT(finish(later).rc, WEFT_ETIMEDOUT);
    for (int64_t i = 0; i < 3; i++) CHECK_INT(try_take(c), i);
    CHECK_INT(try_take(c), WEFT_EAGAIN);
    CHECK_INT(finish(p1).rc, 0);
    CHECK_INT(finish(p2).rc, 0);

    struct actor *t1 = taker(c);
    late = begin_until(c, TAKE, 0, weft_in(5 * WEFT_MS));
    struct actor *t2 = taker(c);
    CHECK_INT(finish(late).rc, WEFT_ETIMEDOUT);
    CHECK_INT(put(c, 10), 0);
    CHECK_INT(put(c, 11), 0);
    CHECK_INT(finish(t1).value, 10);
    CHECK_INT(finish(t2).value, 11);
    weft_channel_release(c);
}

/* Codes of closing. */

TEST(channel, close_codes, "after a close every call returns its code, at every capacity; 0 stands for WEFT_ECLOSED")
{
    static const size_t capacities[] = {0, 1, 5, WEFT_UNBOUNDED};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        weft_channel *c = channel_of(capacities[i]);
        CHECK(weft_channel_close(c, 0));
        check_closed(c, WEFT_ECLOSED);
        CHECK(!weft_channel_close(c, WEFT_ENOENT));
        check_closed(c, WEFT_ENOENT);
        CHECK(!weft_channel_close(c, -4321));
        check_closed(c, -4321);
        CHECK(!weft_channel_close(c, 0));
        check_closed(c, WEFT_ECLOSED);
        weft_channel_release(c);
    }
}

STICKY_TEST(channel, close_like_interruption,
            "a close with the code of an interruption is a close: who was parked leaves no trace")
{
    static const int codes[] = {WEFT_ETIMEDOUT, WEFT_ECANCELED, WEFT_EAGAIN};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        weft_channel *c = channel_of(1);
        struct actor *t = begin_until(c, TAKE, 0, weft_in(PATIENCE)), *w = waiter(c);
        CHECK_INT(put(c, 1), 0);
        CHECK_INT(finish(t).value, 1);
        CHECK_INT(put(c, 2), 0);
        CHECK_INT(finish(w).rc, 0);
        struct actor *p1 = begin_until(c, PUT, 3, weft_in(PATIENCE)), *p2 = putter(c, 4);
        CHECK(weft_channel_close(c, codes[i]));
        CHECK_INT(weft_channel_len(c), 1);
        CHECK_INT(finish(p1).rc, codes[i]);
        CHECK_INT(finish(p2).rc, codes[i]);
        CHECK_INT(weft_channel_len(c), 1);
        CHECK_INT(take(c), 2);
        check_closed(c, codes[i]);
        weft_channel_release(c);
    }
}

static int misuses;

static void
count_misuse(const char *what)
{
    (void)what;
    misuses++;
}

static int
close_with_positive_code(void *arg)
{
    weft_channel *c = channel_of(1);
    (void)arg;
    CHECK(weft_channel_close(c, 5));
    check_closed(c, WEFT_EINVAL);
    weft_channel_release(c);
    return 0;
}

TEST(channel, close_with_positive_code, "a positive code is misuse and counts as WEFT_EINVAL")
{
    misuses = 0;
    CHECK_INT(weft_run(&(weft_config){.on_misuse = count_misuse}, close_with_positive_code, NULL), 0);
    CHECK_INT(misuses, 1);
}

/* References. */

TEST(channel, references, "a channel lives until its last reference is released, and drops what is buffered then")
{
    weft_channel *c = channel_of(WEFT_UNBOUNDED);
    weft_channel_retain(c);
    weft_channel_retain(c);
    for (int64_t i = 0; i < 100; i++) CHECK_INT(put(c, i), 0);
    weft_channel_release(c);
    CHECK_INT(take(c), 0);
    weft_channel_release(c);
    CHECK_INT(weft_channel_len(c), 99);
    weft_channel_release(c);
    weft_channel_retain(NULL);
    weft_channel_release(NULL);
}

static int
release_under_taker(void *arg)
{
    weft_channel *c = channel_of(1);
    weft_task *t;
    (void)arg;
    if (weft_async(&t, take_and_drop, c)) return 0;
    while (!weft_task_isstarted(t)) weft_yield();
    weft_channel_release(c);
    return 0;
}

static int
release_under_taker_sticky(void *arg)
{
    weft_task *t;
    int rc = weft_async(&t, release_under_taker, arg);
    return rc ? rc : weft_join(t);
}

static void
run_release_under_taker(void)
{
    weft_run(NULL, release_under_taker_sticky, NULL);
}

/* [S191] */
TEST(channel, released_under_taker, "to release the last reference while a task is parked on the channel is misuse")
{
    CHECK(test_dies(run_release_under_taker, "close it first"));
}

static int
put_and_release(void *arg)
{
    weft_channel *c = arg;
    int rc = put(c, 1);
    weft_channel_release(c);
    return rc;
}

TASK_TEST(channel, references_of_tasks, "the side that ends last frees the channel, whichever it is")
{
    for (int i = 0; i < 200; i++) {
        weft_channel *c = channel_of((size_t)i % 3);
        weft_task *t;
        weft_channel_retain(c);
        if (!CHECK_INT(weft_spawn(&t, put_and_release, c), 0)) return;
        CHECK_INT(take(c), 1);
        weft_channel_release(c);
        joined(t, 0);
    }
}
