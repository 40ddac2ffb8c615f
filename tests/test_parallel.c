/* test_parallel.c - loops: each iteration once, on all workers, from threads too; how they fail and are cancelled. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "parallel_kit.h"

/* What is true of one loop: counts how often each of its iterations ran. */
struct cover {
    size_t begin, end, most;
    _Atomic unsigned char *times;
    _Atomic size_t total;
    _Atomic int calls;
};

static int
cover_piece(size_t begin, size_t end, void *ctx)
{
    struct cover *c = ctx;
    CHECK(begin < end && begin >= c->begin && end <= c->end && end - begin <= c->most);
    for (size_t i = begin; c->times && i < end; i++) atomic_fetch_add(&c->times[i - c->begin], 1);
    atomic_fetch_add(&c->total, end - begin);
    atomic_fetch_add(&c->calls, 1);
    return 0;
}

static void
cover_range(size_t begin, size_t length, size_t grain)
{
    struct cover c = {.begin = begin, .end = begin + length, .most = grain ? grain : length};
    c.times = calloc(length + 1, 1);
    if (!CHECK(c.times != NULL)) return;
    CHECK_INT(weft_for(c.begin, c.end, grain, cover_piece, &c), 0);
    CHECK_INT(c.total, length);
    bool once = true;
    for (size_t i = 0; i < length; i++) once = once && c.times[i] == 1;
    if (!CHECK(once)) test__note("begin %zu, length %zu, grain %zu", begin, length, grain);
    free(c.times);
}

TASK_TEST(parallel, once, "for: each iteration runs exactly once, in pieces of at most the grain")
{
    static const size_t lengths[] = {0, 1, 2, 3, 7, 64, 100, 129, 1000};
    static const size_t grains[] = {0, 1, 2, 3, 7, 64, 99, 100, 101, 5000, SIZE_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t k = 0; k < sizeof grains / sizeof *grains; k++) {
            cover_range(0, lengths[i], grains[k]);
            cover_range(12345, lengths[i], grains[k]);
            cover_range(SIZE_MAX - lengths[i], lengths[i], grains[k]);
        }
    }
}

TASK_TEST(parallel, random, "for: each iteration runs exactly once, in random ranges with random grains")
{
    unsigned state = test_seed();
    for (int i = scaled(1000); i > 0; i--) {
        size_t length = dice(&state, 3) ? dice(&state, 200) : dice(&state, 20000);
        size_t grain = dice(&state, 4) ? dice(&state, (unsigned)length + 2) : 0;
        size_t begin = dice(&state, 2) ? dice(&state, 1000) : SIZE_MAX - length - dice(&state, 10);
        cover_range(begin, length, grain < length / 1000 ? 0 : grain);
    }
}

TASK_TEST(parallel, everything, "for: a range may be as long as there are numbers")
{
    struct cover c = {.begin = 0, .end = SIZE_MAX, .most = SIZE_MAX / 1000};
    CHECK_INT(weft_for(0, SIZE_MAX, c.most, cover_piece, &c), 0);
    CHECK(c.total == SIZE_MAX);
    CHECK_INT(c.calls, 1001);
    struct cover one = {.begin = 1, .end = SIZE_MAX, .most = SIZE_MAX};
    CHECK_INT(weft_for(1, SIZE_MAX, SIZE_MAX, cover_piece, &one), 0);
    CHECK(one.total == SIZE_MAX - 1);
    CHECK_INT(one.calls, 1);
}

TASK_TEST(parallel, arguments, "for: an empty range calls nothing, and what cannot be is an error")
{
    struct cover c = {.begin = 0, .end = 0};
    CHECK_INT(weft_for(5, 5, 0, cover_piece, &c), 0);
    CHECK_INT(weft_for(SIZE_MAX, SIZE_MAX, 1, cover_piece, &c), 0);
    CHECK_INT(weft_for(1, 0, 1, cover_piece, &c), WEFT_EINVAL);
    CHECK_INT(weft_for(0, 1, 1, NULL, &c), WEFT_EINVAL);
    CHECK_INT(weft_for(0, 0, 0, NULL, &c), WEFT_EINVAL);
    CHECK_INT(c.calls, 0);
}

static int
gather_all(void *arg)
{
    struct gathering g = {.wanted = weft_nworkers()};
    CHECK_INT(weft_for(0, 1000, *(size_t *)arg, gather, &g), 0);
    CHECK_INT(g.workers, g.wanted);
    return 0;
}

TEST(parallel, all_workers, "for: every worker gets a part, whether the grain is given or not")
{
    for (size_t grain = 0; grain < 4; grain += 3) {
        for (int workers = 1; workers <= 4; workers++) CHECK_INT(run_on(workers, gather_all, &grain), 0);
    }
}

struct nest {
    int depth;
    size_t grain;
    _Atomic int *leaves;
};

static int
nest(size_t begin, size_t end, void *ctx)
{
    const struct nest *outer = ctx;
    for (size_t i = begin; i < end; i++) {
        struct nest inner = {outer->depth - 1, outer->grain, outer->leaves};
        if (inner.depth == 0) atomic_fetch_add(outer->leaves, 1);
        else CHECK_INT(weft_for(0, 12, inner.grain, nest, &inner), 0);
    }
    return 0;
}

TASK_TEST(parallel, nested, "for: loops may be nested")
{
    for (size_t grain = 0; grain < 3; grain++) {
        _Atomic int leaves = 0;
        struct nest top = {3, grain, &leaves};
        CHECK_INT(weft_for(0, 12, grain, nest, &top), 0);
        CHECK_INT(leaves, 12 * 12 * 12);
    }
}

static int
yield_twice(size_t begin, size_t end, void *ctx)
{
    weft_yield();
    int code = cover_piece(begin, end, ctx);
    weft_yield();
    return code;
}

TASK_TEST(parallel, yields, "for: bodies may yield")
{
    for (size_t grain = 0; grain < 3; grain++) {
        struct cover c = {.begin = 0, .end = 300, .most = grain ? grain : 300};
        CHECK_INT(weft_for(0, 300, grain, yield_twice, &c), 0);
        CHECK_INT(c.total, 300);
    }
}

/* Each piece parks until all have started: the last lets the others go. */
struct meeting {
    weft_channel *gate;
    int pieces;
    _Atomic int arrived;
};

static int
meet(size_t begin, size_t end, void *ctx)
{
    struct meeting *m = ctx;
    (void)begin, (void)end;
    if (atomic_fetch_add(&m->arrived, 1) + 1 < m->pieces) return weft_channel_take(m->gate, NULL);
    for (int i = 1; i < m->pieces; i++) CHECK_INT(weft_channel_put(m->gate, NULL), 0);
    return 0;
}

TASK_TEST(parallel, parks, "for: with a grain given, a piece that parks holds up no other")
{
    struct meeting m = {.pieces = 100};
    if (!CHECK_INT(weft_channel_new(&m.gate, 0, 0), 0)) return;
    CHECK_INT(weft_for(7, 207, 2, meet, &m), 0);
    CHECK_INT(m.arrived, 100);
    weft_channel_release(m.gate);
}

static int
run_failing(void *arg)
{
    return weft_for(0, 500, 1, fail_some, arg);
}

TASK_TEST(parallel, lowest_failure, "for: of several failures the lowest index counts, with its code and its text")
{
    unsigned state = test_seed();
    for (int i = scaled(200); i > 0; i--) {
        struct failing f = {.count = 3};
        for (int k = 0; k < 3; k++) f.fails[k] = dice(&state, 166) + 166u * dice(&state, 3);
        if (f.fails[0] == f.fails[1] || f.fails[1] == f.fails[2] || f.fails[2] == f.fails[0]) continue;
        size_t lowest = f.fails[0];
        for (int k = 1; k < 3; k++) lowest = f.fails[k] < lowest ? f.fails[k] : lowest;
        weft_task *t = spawned(run_failing, &f);
        CHECK_INT(weft_wait(t), WEFT_ECHILD);
        CHECK_INT(weft_task_error(t), -1000 - (int)lowest);
        char text[32];
        snprintf(text, sizeof text, "iteration %zu", lowest);
        CHECK_STR(weft_task_message(t), text);
        weft_task_release(t);
    }
}

/* A loop's failure reaches the task that called it, which completes; those that come after it fail without a text. */
static int
fail_in_a_loop(void *arg)
{
    CHECK_INT(weft_for(0, 4, 1, fail_some, arg), -1000 - (int)((struct failing *)arg)->fails[0]);
    return 0;
}

static int
fail_silently(void *arg)
{
    (void)arg;
    return WEFT_EPERM;
}

static int
fail_loud_then_silently(void *arg)
{
    (void)arg;
    for (int i = 0; i < 40; i++) {
        struct failing f = {.fails = {(size_t)i % 4}, .count = 1};
        weft_task *t[8] = {spawned(fail_in_a_loop, &f)};
        CHECK_INT(weft_join(t[0]), 0);
        for (int k = 0; k < 8; k++) t[k] = spawned(fail_silently, NULL);
        for (int k = 0; k < 8; k++) {
            CHECK_INT(weft_wait(t[k]), WEFT_ECHILD);
            CHECK(weft_task_message(t[k]) == NULL);
            weft_task_release(t[k]);
        }
    }
    return 0;
}

TEST(parallel, text_forgotten, "for: the text of its failure goes with the task that called it, not to a later one")
{
    CHECK_INT(run_on(1, fail_loud_then_silently, NULL), 0);
    CHECK_INT(run_on(test_workers(), fail_loud_then_silently, NULL), 0);
}

static int
fail_alone(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < 500; i += 83) {
        struct failing f = {.fails = {i}, .count = 1, .alone = true};
        CHECK_INT(run_failing(&f), -1000 - (int)i);
    }
    return 0;
}

TEST(parallel, skips, "for: bodies that have not started when a failure is seen are skipped")
{
    CHECK_INT(run_on(1, fail_alone, NULL), 0);
}

static int
fail_or_dawdle(size_t begin, size_t end, void *ctx)
{
    struct failing *f = ctx;
    (void)end;
    if (begin == 3) {
        until(&f->arrived, 1);
        atomic_store(&f->failed, 1);
        return WEFT_EBUSY;
    }
    if (begin == 0) {
        atomic_store(&f->arrived, 1);
        until(&f->failed, 1);
        for (int i = 0; i < 100; i++) weft_yield();
        atomic_store(&f->slow, 1);
    }
    return 1;
}

TASK_TEST(parallel, awaits, "for: a failed call waits for the bodies that have started")
{
    struct failing f = {.count = 0};
    CHECK_INT(weft_for(0, 4, 1, fail_or_dawdle, &f), WEFT_EBUSY);
    CHECK_INT(f.slow, 1);
}

/* From plain threads. */

static void *
loop_on_a_thread(void *arg)
{
    (void)arg;
    for (int i = scaled(100); i > 0; i--) {
        struct cover c = {.begin = 0, .end = 1000, .most = 10};
        CHECK_INT(weft_for(0, 1000, 10, cover_piece, &c), 0);
        CHECK_INT(c.total, 1000);
        struct failing f = {.fails = {77}, .count = 1};
        CHECK_INT(weft_for(0, 100, 1, fail_some, &f), -1077);
        CHECK_INT(weft_for(0, 0, 1, cover_piece, &c), 0);
        struct matrix serial = unit, result;
        multiply_range(0, 500, &serial, NULL);
        CHECK_INT(weft_reduce(0, 500, 0, &product, NULL, &result), 0);
        CHECK(memcmp(&serial, &result, sizeof result) == 0);
    }
    return NULL;
}

TEST(parallel, threads, "for, reduce: plain threads may call them, at the same time; the workers run the bodies")
{
    pthread_t threads[4];
    int started = 0;
    while (started < 4 && CHECK_INT(pthread_create(&threads[started], NULL, loop_on_a_thread, NULL), 0)) started++;
    struct gathering g = {.wanted = 1};
    CHECK_INT(weft_for(0, 10, 1, gather, &g), 0);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    CHECK_INT(weft_stop(), 0);
}

/* Cancellation. */

struct endless {
    size_t grain;
    _Atomic int waiting, started, code;
    bool reduce;
};

static int
touch(size_t begin, size_t end, void *ctx)
{
    struct endless *e = ctx;
    (void)begin, (void)end;
    atomic_store(&e->started, 1);
    return 0;
}

static int
touch_map(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)acc;
    return touch(begin, end, ctx);
}

static int
loop_endlessly(void *arg)
{
    struct endless *e = arg;
    const weft_reduction r = {sizeof(double), &zero, touch_map, combine_nothing};
    double result;
    if (e->reduce) e->code = weft_reduce(0, SIZE_MAX, e->grain, &r, e, &result);
    else e->code = weft_for(0, SIZE_MAX, e->grain, touch, e);
    return e->code;
}

static void *
loop_endlessly_on_a_thread(void *arg)
{
    loop_endlessly(arg);
    return NULL;
}

TEST(parallel, cancelled, "for, reduce: a cancelled caller ends the loop, and is told so")
{
    for (int i = 0; i < 6; i++) {
        struct endless e = {.grain = i % 3 ? 1 : 0, .reduce = i % 3 == 2};
        CHECK_INT(weft_start(NULL), 0);
        pthread_t thread;
        weft_task *task = NULL;
        if (i < 3) task = spawned(loop_endlessly, &e);
        else CHECK_INT(pthread_create(&thread, NULL, loop_endlessly_on_a_thread, &e), 0);
        spin_until(&e.started, 1);
        CHECK_INT(weft_stop(), 0);
        if (task) CHECK_INT(weft_join(task), WEFT_ECANCELED);
        else pthread_join(thread, NULL);
        CHECK_INT(e.code, WEFT_ECANCELED);
    }
}

enum { OTHERS = 7 };

struct own_scope {
    _Atomic int others; /* bodies that have run, but for the first */
    int code;           /* of the first one's scope */
};

/* The first body belongs to the caller's task: it has a scope open, cancelled, while the others begin. */
static int
cancel_an_own_scope(size_t begin, size_t end, void *ctx)
{
    struct own_scope *o = ctx;
    weft_scope s;
    if (begin > 0) {
        atomic_fetch_add(&o->others, (int)(end - begin));
        return 0;
    }
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_cancel(&s, WEFT_ETIMEDOUT);
    for (int i = 0; i < 20000 && atomic_load(&o->others) < OTHERS; i++) weft_yield();
    o->code = weft_scope_close(&s, 0);
    return 0;
}

static int
cancel_an_own_scope_map(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)acc;
    return cancel_an_own_scope(begin, end, ctx);
}

TASK_TEST(parallel, own_scope,
          "for, reduce: a scope that a body opens is its own affair: others run, though it is cancelled")
{
    const weft_reduction r = {sizeof(double), &zero, cancel_an_own_scope_map, combine_nothing};
    double result;
    for (int i = 0; i < 2; i++) {
        struct own_scope o = {0};
        CHECK_INT(i ? weft_reduce(0, OTHERS + 1, 1, &r, &o, &result)
                    : weft_for(0, OTHERS + 1, 1, cancel_an_own_scope, &o),
                  0);
        CHECK_INT(o.others, OTHERS);
        CHECK_INT(o.code, WEFT_ETIMEDOUT);
    }
}

static int
begin_cancelled(void *arg)
{
    struct endless *e = arg;
    const weft_reduction r = {sizeof(double), &zero, touch_map, combine_nothing};
    double result = 7;
    atomic_store(&e->waiting, 1);
    CHECK_INT(weft_sleep_until(WEFT_FOREVER), WEFT_ECANCELED);
    for (size_t end = 0; end < 100; end += 33) {
        CHECK_INT(weft_for(0, end, 0, touch, e), WEFT_ECANCELED);
        CHECK_INT(weft_for(0, end, 3, touch, e), WEFT_ECANCELED);
        CHECK_INT(weft_reduce(0, end, 0, &r, e, &result), WEFT_ECANCELED);
    }
    CHECK(result == 7);
    atomic_store(&e->code, 1);
    return 0;
}

static int
leave_a_daemon(void *arg)
{
    weft_task_options daemon = {.flags = WEFT_DAEMON};
    CHECK_INT(weft_spawn_with(NULL, begin_cancelled, arg, &daemon), 0);
    until(&((struct endless *)arg)->waiting, 1);
    return 0;
}

TEST(parallel, begins_cancelled, "for, reduce: a caller that is cancelled already runs nothing")
{
    struct endless e = {.grain = 0};
    CHECK_INT(weft_run(NULL, leave_a_daemon, &e), 0);
    CHECK_INT(e.code, 1);
    CHECK_INT(e.started, 0);
}
