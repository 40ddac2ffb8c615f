/* test_deque.c - the deque of a worker: order, stale entries, growth, and every entry exactly once under thieves. */
#include "test.h"

#include "deque.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

enum { ITEMS = 5000 };

/* Something that can be queued, and counts how often it was taken. */
struct item {
    struct runnable run;
    _Atomic int taken;
};

static struct item items[ITEMS];

static void
reset(void)
{
    for (int i = 0; i < ITEMS; i++) {
        store_relaxed(&items[i].run.ticket, 1000u + (unsigned)i); /* relaxed: one thread */
        store_relaxed(&items[i].taken, 0);                        /* as above */
    }
}

static bool
push(struct deque *d, int i)
{
    return weft__deque_push(d, &items[i].run, 1000u + (unsigned)i);
}

static int
number(struct entry e)
{
    return (int)(weft__container(e.item, struct item, run) - items);
}

/* What a pop gives; -1: nothing. */
static int
pop(struct deque *d)
{
    struct entry e;
    return weft__deque_pop(d, &e) ? number(e) : -1;
}

static int
pop_lowest(struct deque *d)
{
    struct entry e;
    return weft__deque_pop_lowest(d, &e) ? number(e) : -1;
}

static int
steal(struct deque *d)
{
    struct entry e;
    return weft__deque_steal(d, &e) == DEQUE_ITEM ? number(e) : -1;
}

static int
take(struct deque *d)
{
    struct entry e;
    return weft__deque_take(d, &e) ? number(e) : -1;
}

static void
make_stale(int i)
{
    store_relaxed(&items[i].run.ticket, 7); /* relaxed: one thread */
}

static void
open_deque(struct deque *d, bool alone)
{
    memset(d, 0, sizeof *d);
    reset();
    CHECK(weft__deque_init(d, alone));
}

TEST(deque, ends, "deque: the owner takes the newest, a thief the oldest, take the oldest too")
{
    for (int alone = 0; alone < 2; alone++) {
        struct deque d;
        open_deque(&d, alone);
        for (int i = 0; i < 6; i++) CHECK(push(&d, i));
        CHECK_INT(pop(&d), 5);
        CHECK_INT(steal(&d), 0);
        CHECK_INT(take(&d), 1);
        CHECK_INT(weft__deque_size(&d), 3);
        CHECK_INT(pop(&d), 4);
        CHECK_INT(pop(&d), 3);
        CHECK_INT(pop(&d), 2);
        CHECK_INT(pop(&d), -1);
        CHECK_INT(steal(&d), -1);
        CHECK_INT(take(&d), -1);
        CHECK(push(&d, 9));
        CHECK_INT(pop(&d), 9);
        weft__deque_fini(&d);
    }
}

TEST(deque, grows, "deque: it grows at every position of its ring, and keeps what it holds in order")
{
    struct deque d;
    for (int shift = 0; shift < 600; shift += 37) {
        open_deque(&d, false);
        for (int i = 0; i < shift; i++) {
            CHECK(push(&d, i));
            CHECK_INT(steal(&d), i);
        }
        for (int i = 0; i < 2000; i++) CHECK(push(&d, i));
        for (int i = 0; i < 1000; i++) CHECK_INT(steal(&d), i);
        for (int i = 1999; i >= 1000; i--) CHECK_INT(pop(&d), i);
        CHECK_INT(pop(&d), -1);
        weft__deque_fini(&d);
    }
}

/* Every pattern of stale entries among eight, popped with the alone and the shared deque, in both ways. */
TEST(deque, stale, "deque: a pop passes over every pattern of stale entries, and drops them")
{
    enum { N = 8 };
    for (int pattern = 0; pattern < 4 << N; pattern++) {
        struct deque d;
        int (*next)(struct deque * d) = pattern >> N & 2 ? pop_lowest : pop;
        open_deque(&d, pattern >> N & 1);
        for (int i = 0; i < N; i++) CHECK(push(&d, i));
        for (int i = 0; i < N; i++) {
            if (!(pattern >> i & 1)) continue;
            make_stale(i);
            d.stale++; /* as its owner counts */
        }
        for (int i = N - 1; i >= 0; i--) {
            if (!(pattern >> i & 1)) CHECK_INT(next(&d), i);
        }
        CHECK_INT(pop(&d), -1);
        CHECK_INT(next(&d), -1);
        CHECK_INT(weft__deque_size(&d), 0);
        CHECK(push(&d, N));
        CHECK_INT(steal(&d), N);
        CHECK_INT(next(&d), -1);
        weft__deque_fini(&d);
    }
}

TEST(deque, pops_this, "deque: a given entry is popped only from the bottom, and only while it is there")
{
    struct deque d;
    open_deque(&d, false);
    CHECK(!weft__deque_pop_this(&d, 0));
    CHECK(push(&d, 0));
    CHECK(push(&d, 1));
    CHECK(!weft__deque_pop_this(&d, 0));
    CHECK(weft__deque_at_bottom(&d, 1));
    CHECK(weft__deque_pop_this(&d, 1));
    CHECK(!weft__deque_pop_this(&d, 1));
    CHECK_INT(steal(&d), 0);
    CHECK(!weft__deque_pop_this(&d, 0));
    CHECK_INT(weft__deque_index(&d), 1);
    CHECK_INT(weft__deque_size(&d), 0);
    CHECK(push(&d, 1));
    make_stale(1);
    d.stale = 1; /* as its owner counts */
    CHECK(push(&d, 2));
    CHECK(!weft__deque_pop_this(&d, 2)); /* the stale one goes with it */
    CHECK_INT(pop(&d), 2);
    CHECK_INT(weft__deque_size(&d), 0);
    CHECK_INT(d.stale, 0);
    weft__deque_fini(&d);
}

/* An owner against thieves: some entries are claimed out of order, by a CAS of their tickets as for tasks. */
struct contest {
    struct deque d;
    _Atomic bool over;
};

static bool
claim(int i)
{
    uint64_t tag = 1000u + (unsigned)i;
    return cas_acq_rel(&items[i].run.ticket, &tag, 7); /* owner against thief, as weft__task_claim */
}

static void *
be_thief(void *arg)
{
    struct contest *c = arg;
    for (int in_vain = 0; !load_acquire(&c->over); in_vain++) { /* pairs with the end of the contest */
        int i = steal(&c->d);
        if (i >= 0) in_vain = 0;
        if (i >= 0 && claim(i)) add_relaxed(&items[i].taken, 1);
        else if (in_vain < 64) weft__pause();
        else sched_yield(); /* the owner may be waiting for this core */
    }
    return NULL;
}

static uint32_t
dice(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)*seed * n >> 32);
}

TEST(deque, contest, "deque: with thieves at work every entry is taken exactly once, popped, stolen or out of order")
{
    uint32_t seed = test_seed();
    for (int round = 0; round < (TEST_SIM ? 2 : TEST_TSAN ? 20 : 200); round++) {
        static struct contest c;
        pthread_t thief[3];
        open_deque(&c.d, false);
        store_release(&c.over, false);
        for (int k = 0; k < 3; k++) CHECK_INT(pthread_create(&thief[k], NULL, be_thief, &c), 0);
        for (int next = 0; next < ITEMS;) {
            int many = (int)dice(&seed, 6);
            for (int k = 0; k < many && next < ITEMS; k++) CHECK(push(&c.d, next++));
            if (next > 2 && dice(&seed, 2)) {
                int i = next - 1 - (int)dice(&seed, 3);
                if (i >= 0 && claim(i)) add_relaxed(&items[i].taken, 1);
            }
            for (int k = (int)dice(&seed, 6); k > 0; k--) {
                int i = pop(&c.d);
                if (i >= 0 && claim(i)) add_relaxed(&items[i].taken, 1);
            }
        }
        for (int i; (i = pop(&c.d)) >= 0;) {
            if (claim(i)) add_relaxed(&items[i].taken, 1);
        }
        while (weft__deque_size(&c.d) > 0) weft__pause();
        store_release(&c.over, true);
        for (int k = 0; k < 3; k++) pthread_join(thief[k], NULL);
        for (int i = 0; i < ITEMS; i++) CHECK_INT(load_relaxed(&items[i].taken), 1); /* relaxed: after the joins */
        weft__deque_fini(&c.d);
    }
}
