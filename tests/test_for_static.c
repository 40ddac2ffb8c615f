/* test_for_static.c - weft_for_static: chunk k on worker k, whatever the body does and whoever calls. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "task_kit.h"

enum { WORKERS = 64 };

struct chunk {
    size_t begin, end;
    _Atomic int calls;
};

struct seen {
    struct chunk of[WORKERS];
    _Atomic int wrong; /* chunks that were moved */
    bool parks;
};

static int
see(size_t begin, size_t end, void *ctx)
{
    struct seen *s = ctx;
    int w = weft_worker();
    if (!CHECK(w >= 0 && w < WORKERS)) return 0;
    s->of[w].begin = begin;
    s->of[w].end = end;
    atomic_fetch_add(&s->of[w].calls, 1);
    for (int i = 0; s->parks && i < 3; i++) {
        weft_yield();
        if (weft_worker() != w) atomic_fetch_add(&s->wrong, 1);
        CHECK_INT(weft_sleep(20 * WEFT_US), 0);
        if (weft_worker() != w) atomic_fetch_add(&s->wrong, 1);
    }
    if (!weft_task_issticky(weft_current())) atomic_fetch_add(&s->wrong, 1);
    return 0;
}

/* Each worker has had its chunk, in order, and of the length that is its share. */
static void
check_chunks(struct seen *s, size_t begin, size_t length)
{
    size_t n = (size_t)weft_nworkers(), at = begin;
    for (size_t k = 0; k < n; k++) {
        size_t share = length / n + (k < length % n);
        CHECK_INT(s->of[k].calls, share > 0);
        if (share == 0) continue;
        CHECK_INT(s->of[k].begin, at);
        CHECK_INT(s->of[k].end, at + share);
        at += share;
    }
    CHECK_INT(at, begin + length);
    CHECK_INT(s->wrong, 0);
}

static void
loop(size_t begin, size_t length, bool parks)
{
    struct seen s = {.parks = parks};
    CHECK_INT(weft_for_static(begin, begin + length, see, &s), 0);
    check_chunks(&s, begin, length);
}

/* [J219] */
TASK_TEST(for_static, chunks,
          "for_static: chunk k is on worker k, and the first chunks have what does not come out even")
{
    size_t n = (size_t)weft_nworkers();
    for (size_t length = 0; length <= 3 * n + 1; length++) loop(1000, length, false);
    loop(0, 100000, false);
    loop(SIZE_MAX - n, n, false);
}

TASK_TEST(for_static, parks, "for_static: a chunk stays on its worker while it parks")
{
    for (int i = 0; i < 5; i++) loop(7, 100, true);
}

TASK_TEST(for_static, arguments, "for_static: an empty range calls nothing, and what cannot be is an error")
{
    struct seen s = {.parks = false};
    CHECK_INT(weft_for_static(5, 5, see, &s), 0);
    CHECK_INT(weft_for_static(1, 0, see, &s), WEFT_EINVAL);
    CHECK_INT(weft_for_static(0, 1, NULL, &s), WEFT_EINVAL);
    for (int i = 0; i < WORKERS; i++) CHECK_INT(s.of[i].calls, 0);
}

/* Of a range that nobody could go through: what is there is counted in lengths. */
static int
add_length(size_t begin, size_t end, void *ctx)
{
    CHECK(begin < end);
    atomic_fetch_add((_Atomic size_t *)ctx, end - begin);
    return 0;
}

TASK_TEST(for_static, everything,
          "for_static: a range may be as long as there are numbers; random ones are covered too")
{
    _Atomic size_t sum = 0;
    unsigned state = test_seed();
    CHECK_INT(weft_for_static(0, SIZE_MAX, add_length, &sum), 0);
    CHECK(sum == SIZE_MAX);
    for (int i = scaled(50); i > 0; i--) {
        size_t begin = (size_t)dice(&state, 1u << 23) << 40, length = (size_t)dice(&state, 1u << 24)
                                                                      << dice(&state, 38);
        sum = 0;
        CHECK_INT(weft_for_static(begin, begin + length, add_length, &sum), 0);
        if (!CHECK(sum == length)) test__note("begin %zu, length %zu", begin, length);
    }
}

static int
see_inside(size_t begin, size_t end, void *ctx)
{
    int w = weft_worker();
    for (size_t i = begin; i < end; i++) loop(i, 50, false);
    CHECK_INT(weft_worker(), w);
    atomic_fetch_add((_Atomic int *)ctx, 1);
    return 0;
}

static int
count_range(size_t begin, size_t end, void *ctx)
{
    atomic_fetch_add((_Atomic int *)ctx, (int)(end - begin));
    return 0;
}

static int
dynamic_inside(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++) CHECK_INT(weft_for(0, 20, 1, count_range, ctx), 0);
    return 0;
}

static int
static_inside(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++) CHECK_INT(weft_for_static(0, 20, count_range, ctx), 0);
    return 0;
}

/* [J219]  Julia refuses a static loop in another; here chunks take turns. */
TASK_TEST(for_static, nested, "for_static: loops may be nested, in each other and in other loops")
{
    int n = weft_nworkers();
    _Atomic int chunks = 0, iterations = 0;
    CHECK_INT(weft_for_static(0, (size_t)n, see_inside, &chunks), 0);
    CHECK_INT(chunks, n);
    CHECK_INT(weft_for_static(0, 10, dynamic_inside, &iterations), 0);
    CHECK_INT(iterations, 200);
    CHECK_INT(weft_for(0, 10, 1, static_inside, &iterations), 0);
    CHECK_INT(iterations, 400);
    CHECK_INT(weft_for_static(0, 10, static_inside, &iterations), 0);
    CHECK_INT(iterations, 600);
}

static int
loop_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) loop(0, 100, i % 4 == 0);
    return 0;
}

static void *
loop_on_thread(void *arg)
{
    loop_often(arg);
    return NULL;
}

TEST(for_static, at_once, "for_static: tasks and plain threads may call it at the same time")
{
    pthread_t threads[2];
    weft_task *t[4];
    CHECK_INT(weft_start(NULL), 0);
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_create(&threads[i], NULL, loop_on_thread, NULL), 0);
    for (int i = 0; i < 4; i++) t[i] = i % 2 ? spawned(loop_often, NULL) : asynced(loop_often, NULL);
    for (int i = 0; i < 4; i++) CHECK_INT(weft_join(t[i]), 0);
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(weft_stop(), 0);
}

static int
loop_interactive(void *arg)
{
    CHECK(weft_worker() >= weft_nworkers());
    return loop_often(arg);
}

static int
start_interactive(void *arg)
{
    weft_task *t = NULL;
    weft_task_options opt = {.flags = WEFT_INTERACTIVE};
    CHECK_INT(weft_spawn_with(&t, loop_interactive, arg, &opt), 0);
    CHECK_INT(weft_join(t), 0);
    return 0;
}

/* [J214] */
TEST(for_static, interactive, "for_static: called on the interactive pool, its chunks are on the ordinary workers")
{
    for (int n = 1; n <= 3; n += 2) {
        weft_config cfg = {.size = sizeof cfg, .workers = n, .interactive = 1};
        CHECK_INT(weft_run(&cfg, start_interactive, NULL), 0);
    }
}

/* Every chunk fails, when all have begun. */
struct failing {
    _Atomic int begun;
    int chunks;
};

static int
fail_chunk(size_t begin, size_t end, void *ctx)
{
    struct failing *f = ctx;
    (void)end;
    atomic_fetch_add(&f->begun, 1);
    until(&f->begun, f->chunks);
    return weft_fail(-1000 - (int)begin, "chunk at %zu", begin);
}

static int
run_failing(void *arg)
{
    struct failing *f = arg;
    return weft_for_static(3, 3 + 2 * (size_t)f->chunks, fail_chunk, f);
}

/* [J222] */
TASK_TEST(for_static, fails, "for_static: of several failures the one of the lowest index is returned")
{
    for (int i = 0; i < 20; i++) {
        struct failing f = {.chunks = weft_nworkers()};
        weft_task *t = spawned(run_failing, &f);
        CHECK_INT(weft_wait(t), WEFT_ECHILD);
        CHECK_INT(weft_task_error(t), -1003);
        CHECK_STR(weft_task_message(t), "chunk at 3");
        weft_task_release(t);
    }
}

static int
sleep_chunk(size_t begin, size_t end, void *ctx)
{
    (void)begin, (void)end;
    atomic_fetch_add((_Atomic int *)ctx, 1);
    return weft_sleep_until(WEFT_FOREVER);
}

static int
sleep_in_loop(void *arg)
{
    return weft_for_static(0, 100, sleep_chunk, arg);
}

TEST(for_static, cancelled, "for_static: it ends when the runtime stops")
{
    _Atomic int begun = 0;
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(sleep_in_loop, &begun);
    until(&begun, weft_nworkers());
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_join(t), WEFT_ECANCELED);
}
