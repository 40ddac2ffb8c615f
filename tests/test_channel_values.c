/* test_channel_values.c - what goes through channels: at every capacity, large values, channels, and all of it after a close. */
#include "test.h"

#include <string.h>

#include "channel_actor.h"

/* [S169] [S170] */
STICKY_TEST(channel_values, capacities,
            "at every capacity a take from an empty channel parks, a put to a full one parks, and the order is kept")
{
    for (size_t capacity = 0; capacity <= 200; capacity += TEST_SIM ? 50 : 1) {
        weft_channel *c = channel_of(capacity);
        int64_t next = 0;
        struct actor *t = taker(c);
        CHECK(is_parked(t));
        CHECK_INT(put(c, next++), 0);
        CHECK_INT(finish(t).value, 0);
        int64_t value;
        for (value = next; weft_channel_put_until(c, &value, WEFT_NOW) == 0;) value++;
        CHECK_INT(value - next, capacity);
        struct actor *p = putter(c, value), *q = putter(c, value + 1);
        weft_yield();
        CHECK(is_parked(p) && is_parked(q));
        CHECK_INT(weft_channel_len(c), capacity + 2);
        while (next <= value + 1) CHECK_INT(take(c), next++);
        CHECK_INT(try_take(c), WEFT_EAGAIN);
        CHECK_INT(finish(p).rc, 0);
        CHECK_INT(finish(q).rc, 0);
        weft_channel_release(c);
    }
}

/* [S174] [S175] */
TEST(channel_values, closed, "a closed channel gives what it holds, then its code; putters get that at once")
{
    static const int codes[] = {0, WEFT_EPERM};
    for (int k = 0; k < 2; k++) {
        int code = k ? codes[k] : WEFT_ECLOSED;
        weft_channel *c = channel_of(5);
        for (int64_t i = 1; i <= 3; i++) CHECK_INT(put(c, i), 0);
        CHECK(weft_channel_close(c, codes[k]));
        for (int64_t i = 1; i <= 3; i++) {
            CHECK_INT(put(c, 9), code);
            CHECK_INT(take(c), i);
        }
        check_closed(c, code);
        weft_channel_release(c);
    }
}

/* Large elements: the number of each is in its first bytes, and goes on into its last. */
enum { LARGE = 64 * 1024, PIECES = 12 };

struct large {
    weft_channel *c;
    unsigned char element[LARGE];
};

static void
fill(unsigned char *element, int number)
{
    for (size_t i = 0; i < LARGE; i++) element[i] = (unsigned char)((size_t)number * 13 + i % 251);
}

static bool
is_large(const unsigned char *element, int number)
{
    for (size_t i = 0; i < LARGE; i++) {
        if (element[i] != (unsigned char)((size_t)number * 13 + i % 251)) return false;
    }
    return true;
}

static int
put_large(void *arg)
{
    struct large *l = arg;
    for (int i = 0; i < PIECES; i++) {
        fill(l->element, i);
        CHECK_INT(weft_channel_put(l->c, l->element), 0);
    }
    return 0;
}

static int
take_large(void *arg)
{
    struct large *l = arg;
    for (int i = 0; i < PIECES; i++) {
        memset(l->element, 0, LARGE);
        CHECK_INT(weft_channel_take(l->c, l->element), 0);
        CHECK(is_large(l->element, i));
    }
    return 0;
}

/* [S188] */
STICKY_TEST(channel_values, large, "elements of 64 KiB arrive whole, from hand to hand and through the buffer")
{
    static struct large putter, taker;
    for (size_t capacity = 0; capacity <= 3; capacity++) {
        for (int takes_first = 0; takes_first < 2;
             takes_first++) { /* who is parked has given, or is given, its memory */
            weft_task *t[2];
            if (!CHECK_INT(weft_channel_new(&putter.c, LARGE, capacity), 0)) return;
            taker.c = putter.c;
            for (int i = 0; i < 2; i++) {
                bool takes = takes_first == (i == 0);
                CHECK_INT(weft_async(&t[i], takes ? take_large : put_large, takes ? &taker : &putter), 0);
                weft_yield();
            }
            joined(t[0], 0);
            joined(t[1], 0);
            weft_channel_release(putter.c);
        }
    }
}

static int
put_and_close(void *arg)
{
    CHECK_INT(put(arg, 7), 0);
    CHECK(weft_channel_close(arg, 0));
    return 0;
}

/* [S189] */
TASK_TEST(channel_values, put_then_close,
          "who only tries to take never sees a channel closed before what was put first")
{
    int rounds = TEST_SMALL ? 300 : 10000, wrong = 0;
    for (int i = 0; i < rounds; i++) {
        weft_channel *c = channel_of(i % 2 ? 1 : WEFT_UNBOUNDED);
        weft_task *t;
        int64_t got;
        if (!CHECK_INT(weft_spawn(&t, put_and_close, c), 0)) return;
        while ((got = try_take(c)) == WEFT_EAGAIN) weft_yield();
        wrong += got != 7;
        wrong += take(c) != WEFT_ECLOSED;
        joined(t, 0);
        weft_channel_release(c);
    }
    CHECK_INT(wrong, 0);
}

struct sums {
    weft_channel *c;
    atomic_llong sum;
    atomic_int ended;
};

static int
add_up(void *arg)
{
    struct sums *s = arg;
    int64_t value;
    weft_channel_each(s->c, value) atomic_fetch_add_explicit(&s->sum, value, memory_order_relaxed);
    /* counted for who has joined them all */
    atomic_fetch_add_explicit(&s->ended, 1, memory_order_relaxed);
    return 0;
}

/* [S190] */
TASK_TEST(channel_values, consumers, "ten thousand consumers take all that is put, and each value once")
{
    enum { MOST = TEST_SIM ? 20 : TEST_TSAN ? 200 : TEST_ASAN ? 1000 : 10000, EACH = 3 };
    static weft_task *t[MOST];
    for (size_t capacity = 0; capacity <= 10; capacity += 10) {
        struct sums s = {.c = channel_of(capacity)};
        for (int i = 0; i < MOST; i++) {
            if (!CHECK_INT(weft_spawn(&t[i], add_up, &s), 0)) return;
        }
        for (int64_t i = 1; i <= (int64_t)MOST * EACH; i++) CHECK_INT(put(s.c, i), 0);
        CHECK(weft_channel_close(s.c, 0));
        for (int i = 0; i < MOST; i++) joined(t[i], 0);
        CHECK_INT(atomic_load_explicit(&s.sum, memory_order_relaxed), (long long)MOST * EACH * (MOST * EACH + 1) / 2);
        CHECK_INT(atomic_load_explicit(&s.ended, memory_order_relaxed), MOST);
        weft_channel_release(s.c);
    }
}

/* A request: where the answer goes, and a reference to it. */
struct request {
    int64_t number;
    weft_channel *answer;
};

static int
answer_all(void *arg)
{
    struct request r;
    weft_channel_each(arg, r) {
        CHECK_INT(put(r.answer, r.number * r.number), 0);
        weft_channel_release(r.answer);
    }
    return 0;
}

/* [S192] */
TASK_TEST(channel_values, channels,
          "channels go through channels; who is given one has the reference that came with it")
{
    for (size_t capacity = 0; capacity <= 2; capacity += 2) {
        weft_channel *requests;
        weft_task *server[3];
        if (!CHECK_INT(weft_channel_new(&requests, sizeof(struct request), capacity), 0)) return;
        for (int i = 0; i < 3; i++) CHECK_INT(weft_spawn(&server[i], answer_all, requests), 0);
        for (int64_t i = 0; i < 50; i++) {
            struct request r = {i, channel_of((size_t)i % 2)};
            weft_channel_retain(r.answer); /* the server's */
            CHECK_INT(weft_channel_put(requests, &r), 0);
            CHECK_INT(take(r.answer), i * i);
            weft_channel_release(r.answer);
        }
        CHECK(weft_channel_close(requests, 0));
        for (int i = 0; i < 3; i++) joined(server[i], 0);
        weft_channel_release(requests);
    }
}
