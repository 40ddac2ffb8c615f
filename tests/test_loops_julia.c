/* test_loops_julia.c - what Julia's @threads promises, said of weft_for: facts of docs/julia-facts-loops.md. */
#include <pthread.h>
#include <stdlib.h>

#include "parallel_kit.h"

static int
nothing(size_t begin, size_t end, void *ctx)
{
    (void)begin, (void)end, (void)ctx;
    return 0;
}

/* [J142] */
TASK_TEST(loops_julia, wake_and_sleep, "for: a hundred thousand loops of nothing end: no wake is lost")
{
    for (int i = scaled(100000); i > 0; i--) {
        if (weft_for(0, 1024, i % 2 ? 0 : 512, nothing, NULL) != 0) CHECK(false);
    }
}

struct counts {
    _Atomic unsigned char times[10001];
    size_t offset;
    _Atomic int calls;
};

static int
count_each(size_t begin, size_t end, void *ctx)
{
    struct counts *c = ctx;
    for (size_t i = begin; i < end; i++) atomic_fetch_add(&c->times[i - c->offset], 1);
    atomic_fetch_add(&c->calls, 1);
    return 0;
}

/* Each of begin .. begin + n - 1 once, by one of the loops. */
static void
once(size_t begin, size_t n, int kind)
{
    struct counts *c = calloc(1, sizeof *c);
    if (!CHECK(c != NULL)) return;
    c->offset = begin;
    if (kind == 0) CHECK_INT(weft_for(begin, begin + n, 0, count_each, c), 0);
    if (kind == 1) CHECK_INT(weft_for(begin, begin + n, 1, count_each, c), 0);
    if (kind == 2) CHECK_INT(weft_for_static(begin, begin + n, count_each, c), 0);
    bool right = true;
    for (size_t i = 0; i < n; i++) right = right && c->times[i] == 1;
    CHECK(right && c->times[n] == 0);
    free(c);
}

/* [J216] */
TASK_TEST(loops_julia, every_iteration, "for: every iteration of a range happens once, wherever the range begins")
{
    for (int kind = 0; kind < 3; kind++) {
        once(1, (size_t)scaled(10000), kind);
        once(SIZE_MAX - 500, 400, kind);
        once(0, 1000, kind);
    }
}

/* [J217] [J220] */
TASK_TEST(loops_julia, few, "for: fewer iterations than workers, as many, and more happen once each")
{
    size_t n = (size_t)weft_nworkers(), lengths[] = {0, 1, n > 1 ? n - 1 : 1, n, n + 1, 10, 2 * n};
    for (int kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) once(0, lengths[i], kind);
    }
}

static int
row(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++) {
        struct counts c = {.offset = 0};
        CHECK_INT(weft_for(0, 100, 7, count_each, &c), 0);
        for (int k = 0; k < 100; k++) atomic_fetch_add((_Atomic int *)ctx, c.times[k]);
    }
    return 0;
}

/* [J218] [J220] */
TASK_TEST(loops_julia, nested, "for: a hundred loops of a hundred iterations, one in the other")
{
    _Atomic int sum = 0;
    CHECK_INT(weft_for(0, 100, 1, row, &sum), 0);
    CHECK_INT(sum, 100 * 100);
    CHECK_INT(weft_for_static(0, 100, row, &sum), 0);
    CHECK_INT(sum, 2 * 100 * 100);
}

/* [J222] [J223]  The code is that of the body; what cannot be is WEFT_EINVAL. */
TASK_TEST(loops_julia, fails, "for: an error in a body is returned, and what cannot be is one")
{
    for (int i = 0; i < 20; i++) {
        struct failing f = {.fails = {(size_t)i}, .count = 1};
        CHECK_INT(weft_for(0, 20, 1, fail_some, &f), -1000 - i);
    }
    CHECK_INT(weft_for(1, 0, 0, nothing, NULL), WEFT_EINVAL);
    CHECK_INT(weft_for(0, 1, 0, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_for_static(1, 0, nothing, NULL), WEFT_EINVAL);
    CHECK_INT(weft_for_each(NULL, 0, NULL, NULL), WEFT_EINVAL);
}

static int
block(size_t begin, size_t end, void *ctx)
{
    (void)begin, (void)end;
    usleep(2000); /* keeps the worker: a call that Weft does not know */
    atomic_fetch_add((_Atomic int *)ctx, 1);
    return 0;
}

/* [J229] */
TASK_TEST(loops_julia, blocking_calls, "for: iterations may make calls that block their workers")
{
    _Atomic int calls = 0;
    CHECK_INT(weft_for(0, 8, 1, block, &calls), 0);
    CHECK_INT(calls, 8);
}

/* Notified again and again, each time when it is about to park. */
struct notified {
    weft_task *task;
    int rounds;
    _Atomic int seen;
};

static int
be_notified(void *arg)
{
    struct notified *n = arg;
    for (int i = 0; i < n->rounds; i++) {
        CHECK_INT(weft_park(NULL), 0);
        atomic_fetch_add(&n->seen, 1);
    }
    return 0;
}

static void *
notify(void *arg)
{
    struct notified *n = arg;
    for (int i = 0; i < n->rounds; i++) {
        CHECK_INT(weft_schedule(n->task), 0);
        until(&n->seen, i + 1);
    }
    return NULL;
}

static int
notify_in_loop(size_t begin, size_t end, void *ctx)
{
    (void)ctx;
    for (size_t i = begin; i < end; i++) {
        struct notified n = {.rounds = scaled(400)};
        pthread_t thread;
        n.task = unscheduled(be_notified, &n, 0);
        CHECK_INT(weft_schedule(n.task), 0);
        while (!weft_task_isstarted(n.task)) weft_yield();
        CHECK_INT(pthread_create(&thread, NULL, notify, &n), 0);
        CHECK_INT(weft_wait(n.task), 0);
        CHECK_INT(pthread_join(thread, NULL), 0);
        weft_task_release(n.task);
    }
    return 0;
}

/* [J212] */
TASK_TEST(loops_julia, no_notification_is_lost, "for: a wake that comes while its worker goes to sleep is not lost")
{
    CHECK_INT(notify_in_loop(0, 1, NULL), 0);
    CHECK_INT(weft_for(0, 4, 1, notify_in_loop, NULL), 0);
}

static void *
foreign(void *arg)
{
    _Atomic int *sum = arg;
    weft_channel *c = NULL;
    int x = 0;
    struct counts *counts = calloc(1, sizeof *counts);
    CHECK_INT(weft_channel_new(&c, sizeof(int), 1), 0);
    CHECK_INT(weft_channel_put(c, &(int){5}), 0);
    CHECK_INT(weft_channel_take(c, &x), 0);
    if (counts) CHECK_INT(weft_for(0, 100, 3, count_each, counts), 0);
    if (counts) x += counts->times[99];
    free(counts);
    weft_channel_release(c);
    atomic_fetch_add(sum, x);
    return NULL;
}

/* [J230] */
TEST(loops_julia, foreign_thread, "for: a thread that Weft did not make runs loops, and uses channels")
{
    pthread_t threads[3];
    _Atomic int sum = 0;
    for (int i = 0; i < 3; i++) CHECK_INT(pthread_create(&threads[i], NULL, foreign, &sum), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(sum, 18);
    CHECK_INT(weft_stop(), 0);
}
