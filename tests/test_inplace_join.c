/* test_inplace_join.c - joining: in every order, from many waiters, against thieves, deeply. */
#include <pthread.h>

#include "task_kit.h"

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

static int
give_code(void *arg)
{
    return *(int *)arg;
}

enum order { IN_ORDER, IN_REVERSE, AT_RANDOM, NOT_AT_ALL, ORDERS };

static void
join_batch(enum order order, unsigned *seed, _Atomic int *runs, int *expected)
{
    enum { N = 10 };
    weft_task *t[N];
    for (int i = 0; i < N; i++) t[i] = spawned(count, runs);
    *expected += N;
    for (int left = N; left > 0; left--) {
        int pick = order == IN_REVERSE ? left - 1 : order == AT_RANDOM ? (int)dice(seed, (unsigned)left) : 0;
        weft_task *chosen = t[pick];
        memmove(&t[pick], &t[pick + 1], (size_t)(left - 1 - pick) * sizeof *t);
        if (order == NOT_AT_ALL) weft_task_release(chosen);
        else CHECK_INT(weft_join(chosen), 0);
    }
}

static int
join_batches(void *arg)
{
    static _Atomic int runs;
    unsigned seed = test_seed();
    int expected = 0;
    atomic_store(&runs, 0);
    for (int i = 0; i < scaled(4000); i++) {
        join_batch((enum order)(i % ORDERS), &seed, &runs, &expected);
        if (dice(&seed, 16) == 0) weft_yield();
    }
    until(&runs, expected);
    CHECK_INT(atomic_load(&runs), expected);
    return nothing(arg);
}

TEST(join, orders, "join: ten at a time, in order, in reverse, at random, and not at all")
{
    CHECK_INT(run_on(1, join_batches, NULL), 0);
    CHECK_INT(run_on(test_workers(), join_batches, NULL), 0);
}

TASK_TEST(join, mixed_looks, "join: some are joined, some only released, some waited for with a second handle")
{
    _Atomic int runs = 0;
    unsigned seed = test_seed();
    int n = scaled(20000);
    for (int i = 0; i < n; i++) {
        weft_task *t[3];
        for (int k = 0; k < 3; k++) t[k] = spawned(count, &runs);
        unsigned first = dice(&seed, 3), second = (first + 1 + dice(&seed, 2)) % 3, third = 3 - first - second;
        weft_task *again = weft_task_retain(t[second]);
        CHECK_INT(weft_join(t[first]), 0);
        weft_task_release(t[second]);
        weft_task_release(t[third]);
        CHECK_INT(weft_wait(again), 0);
        CHECK_INT(weft_task_state(again), WEFT_COMPLETED);
        weft_task_release(again);
    }
    until(&runs, 3 * n);
}

/* Gives thieves some time, then joins: sometimes they have taken it, sometimes not. */
TASK_TEST(join, against_thieves, "join: a task that a thief may be taking runs once, and its code comes back")
{
    _Atomic int runs = 0;
    unsigned seed = test_seed();
    int n = scaled(50000);
    for (int i = 0; i < n; i++) {
        weft_task *t = NULL, *u = spawned(count, &runs);
        CHECK_INT(weft_spawn_copy(&t, give_code, &i, sizeof i), 0);
        unsigned pause = dice(&seed, 64);
        for (volatile unsigned k = 0; k < pause * 8; k++) continue;
        if (pause % 2) {
            CHECK_INT(weft_join(u), 0);
            CHECK_INT(weft_join(t), i);
        } else {
            CHECK_INT(weft_join(t), i);
            CHECK_INT(weft_join(u), 0);
        }
        CHECK_INT(atomic_load(&runs), i + 1);
    }
}

struct shared {
    weft_task *target;
    _Atomic int seen;
};

static int
wait_shared(void *arg)
{
    struct shared *s = arg;
    void *v = NULL;
    CHECK_INT(weft_fetch(s->target, &v), 0);
    CHECK(v == s);
    atomic_fetch_add(&s->seen, 1);
    return 0;
}

static void *
wait_shared_thread(void *arg)
{
    wait_shared(arg);
    return NULL;
}

static int
return_arg(void *arg)
{
    return weft_return(arg);
}

static int
yield_and_return(void *arg)
{
    weft_yield();
    return weft_return(arg);
}

static int
wait_together(void *arg)
{
    for (int i = 0; i < scaled(2000); i++) {
        struct shared s = {.seen = 0};
        s.target = spawned(i % 2 ? return_arg : yield_and_return, &s);
        weft_task *a = spawned(wait_shared, &s), *b = spawned(wait_shared, &s), *c = asynced(wait_shared, &s);
        CHECK_INT(weft_join(a), 0);
        CHECK_INT(weft_join(b), 0);
        if (i % 4 < 2) wait_shared(&s);
        CHECK_INT(weft_join(c), 0);
        CHECK_INT(atomic_load(&s.seen), i % 4 < 2 ? 4 : 3);
        weft_task_release(s.target);
    }
    return nothing(arg);
}

TEST(join, two_waiters, "join: several waiters of one unstarted task all see its end, and it runs once")
{
    CHECK_INT(run_on(1, wait_together, NULL), 0);
    CHECK_INT(run_on(test_workers(), wait_together, NULL), 0);
}

TEST(join, thread_and_task, "join: a plain thread and tasks wait for one task")
{
    CHECK_INT(weft_start(NULL), 0);
    for (int i = 0; i < 50; i++) {
        struct shared s = {.seen = 0};
        pthread_t thread;
        s.target = unscheduled(i % 2 ? return_arg : yield_and_return, &s, 0);
        weft_task *a = spawned(wait_shared, &s);
        CHECK_INT(pthread_create(&thread, NULL, wait_shared_thread, &s), 0);
        CHECK_INT(weft_schedule(s.target), 0);
        wait_shared(&s);
        CHECK_INT(weft_join(a), 0);
        CHECK_INT(pthread_join(thread, NULL), 0);
        CHECK_INT(atomic_load(&s.seen), 3);
        weft_task_release(s.target);
    }
    CHECK_INT(weft_stop(), 0);
}

static int
wait_for(void *arg)
{
    return weft_wait(arg);
}

WORKER_TEST(join, unscheduled, "join: a task that was not scheduled is not run by those who wait for it")
{
    _Atomic int runs = 0;
    for (int i = 0; i < 20; i++) {
        weft_task *t = unscheduled(count, &runs, i % 2 ? WEFT_STICKY : 0);
        weft_task *waiter = asynced(wait_for, t);
        for (int k = 0; k < 10; k++) weft_yield();
        CHECK(!weft_task_isstarted(t));
        CHECK(weft_task_isstarted(waiter) && !weft_task_isdone(waiter));
        CHECK_INT(atomic_load(&runs), i);
        CHECK_INT(weft_schedule(t), 0);
        CHECK_INT(weft_join(waiter), 0);
        CHECK_INT(atomic_load(&runs), i + 1);
        CHECK_INT(weft_join(t), 0);
    }
}

static int
wait_on_oneself(void *arg)
{
    CHECK_INT(weft_wait(weft_current()), WEFT_EDEADLK);
    CHECK_INT(weft_join(weft_current()), WEFT_EDEADLK);
    CHECK_INT(weft_fetch(weft_current(), NULL), WEFT_EDEADLK);
    return give_code(arg);
}

TASK_TEST(join, oneself, "join: a child that runs in place finds that it cannot wait for itself")
{
    static int code = 3;
    CHECK_INT(weft_join(spawned(wait_on_oneself, &code)), 3);
}

static int
fib(void *arg)
{
    int n = *(int *)arg;
    if (n < 2) return n;
    int m = n - 1, k = n - 2;
    weft_task *t = NULL;
    CHECK_INT(weft_spawn(&t, fib, &m), 0);
    int b = fib(&k);
    return weft_join(t) + b;
}

TASK_TEST(join, fib, "join: recursive fib")
{
    int n = TEST_SMALL ? 15 : 25;
    CHECK_INT(fib(&n), n == 15 ? 610 : 75025);
}

struct node {
    int64_t first, size, sum;
};

static int
skynet(void *arg)
{
    struct node *n = arg;
    if (n->size == 1) {
        n->sum = n->first;
        return 0;
    }
    struct node children[10];
    weft_task *t[10];
    for (int i = 0; i < 10; i++) {
        children[i] = (struct node){n->first + i * n->size / 10, n->size / 10, 0};
        t[i] = spawned(skynet, &children[i]);
    }
    for (int i = 0; i < 10; i++) {
        CHECK_INT(weft_join(t[i]), 0);
        n->sum += children[i].sum;
    }
    return 0;
}

TASK_TEST(join, skynet, "join: skynet, ten children at each level, joined in order")
{
    struct node n = {0, TEST_SMALL ? 10000 : 1000000, 0};
    CHECK_INT(skynet(&n), 0);
    CHECK_INT(n.sum, n.size * (n.size - 1) / 2);
}

/* A chain of tasks on one stack, whose last one parks: the whole stack parks, and goes on where it is woken. */
struct link {
    int depth;
    _Atomic int *deepest;
    weft_task **leaf;
};

static int
hang_down(void *arg)
{
    const struct link *l = arg;
    if (l->depth == 0) {
        *l->leaf = weft_task_retain(weft_current());
        atomic_fetch_add(l->deepest, 1);
        CHECK_INT(weft_park(NULL), 0);
        return 0;
    }
    struct link next = {l->depth - 1, l->deepest, l->leaf};
    weft_task *t = spawned(hang_down, &next), *me = weft_current();
    int below = weft_join(t);
    CHECK(weft_current() == me);
    return below < 0 ? below : below + 1;
}

TASK_TEST(join, chain_parks, "join: chains of fifty tasks park with their leaves, and unwind wherever they are woken")
{
    enum { CHAINS = 20, DEPTH = 50 };
    static weft_task *t[CHAINS], *leaves[CHAINS];
    static struct link links[CHAINS];
    static _Atomic int deepest;
    atomic_store(&deepest, 0);
    for (int i = 0; i < CHAINS; i++) {
        links[i] = (struct link){DEPTH, &deepest, &leaves[i]};
        t[i] = spawned(hang_down, &links[i]);
    }
    until(&deepest, CHAINS);
    for (int i = CHAINS - 1; i >= 0; i--) {
        CHECK(!weft_task_isdone(t[i]));
        /* with several workers a leaf may be reached before its chain has begun to wait for it */
        if (test_workers() == 1) CHECK_INT(weft_schedule(t[i]), WEFT_EBUSY);
        CHECK_INT(weft_schedule(leaves[i]), 0);
    }
    for (int i = 0; i < CHAINS; i++) {
        CHECK_INT(weft_join(leaves[i]), 0);
        CHECK_INT(weft_join(t[i]), DEPTH);
    }
}
