/* test_fpenv.c - WEFT_FPENV: a task's own floating-point control words, and nobody else's. */
#include <fenv.h>

#include "task_kit.h"

#if defined(FE_UPWARD) && defined(FE_TONEAREST)

/* The rounding mode, which must be that of all units: x86-64 has two with control words of their own, and fegetround
 * asks only one of them. */
static int
rounding(void)
{
    static volatile double one = 1, three = 3;
    volatile double third = one / three;
    int mode = fegetround();
    CHECK_INT(third > 0x1.5555555555555p-2, mode == FE_UPWARD);
    return mode;
}

static void
round_upward(void)
{
    CHECK_INT(fesetround(FE_UPWARD), 0);
    CHECK_INT(rounding(), FE_UPWARD);
}

/* A task with WEFT_FPENV. */
static weft_task *
apart(weft_fn *fn, void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .flags = WEFT_FPENV};
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, fn, arg, &opt), 0);
    return t;
}

static int
yield_rounding_upward(void *arg)
{
    (void)arg;
    round_upward();
    for (int i = 0; i < 100; i++) {
        weft_yield();
        CHECK_INT(rounding(), FE_UPWARD);
    }
    return 0;
}

static int
yield_rounding_as_usual(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        CHECK_INT(rounding(), FE_TONEAREST);
        weft_yield();
    }
    return 0;
}

static int
look_at_rounding(size_t begin, size_t end, void *ctx)
{
    if (rounding() != FE_TONEAREST) atomic_fetch_add((_Atomic int *)ctx, (int)(end - begin));
    return 0;
}

static int
sum_thirds(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)ctx;
    for (size_t i = begin; i < end; i++) *(double *)acc += (double)i / 3;
    return 0;
}

static void
add_sums(void *into, const void *from, void *ctx)
{
    (void)ctx;
    *(double *)into += *(const double *)from;
}

static int
loop_rounding_upward(void *arg)
{
    static const double nothing;
    const weft_reduction how = {sizeof nothing, &nothing, sum_thirds, add_sums};
    _Atomic int others = 0;
    double sum = 0;
    round_upward();
    CHECK_INT(weft_for(0, 200, 1, look_at_rounding, (void *)&others), 0);
    CHECK_INT(weft_for_static(0, 200, look_at_rounding, (void *)&others), 0);
    CHECK_INT(others, 0);
    CHECK_INT(weft_reduce(0, 2000, 1, &how, NULL, &sum), 0);
    CHECK(memcmp(&sum, arg, sizeof sum) == 0);
    CHECK_INT(rounding(), FE_UPWARD);
    return 0;
}

TASK_TEST(fpenv, loops, "fpenv: loops that a task with WEFT_FPENV calls round as usual, wherever their bodies run")
{
    static const double nothing;
    const weft_reduction how = {sizeof nothing, &nothing, sum_thirds, add_sums};
    double sum = 0;
    CHECK_INT(weft_reduce(0, 2000, 1, &how, NULL, &sum), 0);
    CHECK_INT(weft_join(apart(loop_rounding_upward, &sum)), 0);
    CHECK_INT(rounding(), FE_TONEAREST);
}

TASK_TEST(fpenv, kept, "fpenv: a task with WEFT_FPENV keeps its rounding mode across yields, and nobody else gets it")
{
    weft_task *t[20] = {NULL};
    for (int i = 0; i < 20; i++)
        t[i] = i % 2 ? spawned(yield_rounding_as_usual, NULL) : apart(yield_rounding_upward, NULL);
    for (int i = 19; i >= 0; i--) {
        CHECK_INT(weft_join(t[i]), 0);
        CHECK_INT(rounding(), FE_TONEAREST);
    }
    CHECK_INT(weft_join(spawned(yield_rounding_as_usual, NULL)), 0);
}

/* Two tasks that hand each other values through channels, one of which rounds upward. */
struct pair {
    weft_channel *there, *back;
    int values;
};

static int
send_rounding_upward(void *arg)
{
    struct pair *p = arg;
    round_upward();
    for (int i = 0, x = 0; i < p->values; i++) {
        CHECK_INT(weft_channel_put(p->there, &i), 0);
        CHECK_INT(rounding(), FE_UPWARD);
        CHECK_INT(weft_channel_take(p->back, &x), 0);
        CHECK_INT(rounding(), FE_UPWARD);
    }
    return 0;
}

static int
echo_as_usual(void *arg)
{
    struct pair *p = arg;
    for (int i = 0, x = 0; i < p->values; i++) {
        CHECK_INT(weft_channel_take(p->there, &x), 0);
        CHECK_INT(rounding(), FE_TONEAREST);
        CHECK_INT(weft_channel_put(p->back, &x), 0);
        CHECK_INT(rounding(), FE_TONEAREST);
    }
    return 0;
}

TASK_TEST(fpenv, parks, "fpenv: a rounding mode is kept across parks, and does not come with what wakes others")
{
    struct pair p = {.values = 1000};
    if (!CHECK_INT(weft_channel_new(&p.there, sizeof(int), 0), 0)) return;
    if (!CHECK_INT(weft_channel_new(&p.back, sizeof(int), 0), 0)) return;
    weft_task *echo = spawned(echo_as_usual, &p);
    CHECK_INT(weft_join(apart(send_rounding_upward, &p)), 0);
    CHECK_INT(weft_join(echo), 0);
    CHECK_INT(rounding(), FE_TONEAREST);
    weft_channel_release(p.there);
    weft_channel_release(p.back);
}

/* A task that parks on one worker, which is kept busy until it has gone on: on another. */
struct migration {
    _Atomic int arrived, parked, moved;
    int worker;
    weft_task *traveller;
};

static int
travel_rounding_upward(void *arg)
{
    struct migration *m = arg;
    round_upward();
    m->worker = weft_worker();
    CHECK_INT(weft_park(NULL), 0);
    CHECK(weft_worker() != m->worker);
    CHECK_INT(rounding(), FE_UPWARD);
    atomic_store(&m->moved, 1);
    return 0;
}

static int
send_off(void *arg)
{
    struct migration *m = arg;
    m->traveller = unscheduled(travel_rounding_upward, m, WEFT_FPENV);
    CHECK_INT(weft_yield_to(m->traveller), 0);
    CHECK_INT(rounding(), FE_TONEAREST);
    atomic_store(&m->parked, 1);
    spin_until(&m->moved, 1);
    return weft_join(m->traveller);
}

static int
fetch_over(void *arg)
{
    struct migration *m = arg;
    until(&m->parked, 1);
    CHECK_INT(weft_schedule(m->traveller), 0);
    until(&m->moved, 1);
    CHECK_INT(rounding(), FE_TONEAREST);
    return 0;
}

/* Meets the other host, so that they have a worker each, and goes on as a sticky task there. */
static int
host(struct migration *m, weft_fn *fn)
{
    atomic_fetch_add(&m->arrived, 1);
    spin_until(&m->arrived, 2);
    return weft_join(asynced(fn, m));
}

static int
host_send_off(void *arg)
{
    return host(arg, send_off);
}

static int
host_fetch_over(void *arg)
{
    return host(arg, fetch_over);
}

TASK_TEST(fpenv, migrates, "fpenv: a rounding mode goes with its task to another worker, and leaves nothing behind")
{
    if (test_workers() < 2) return;
    for (int i = 0; i < 20; i++) {
        struct migration m = {.arrived = 0};
        weft_task *from = spawned(host_send_off, &m), *to = spawned(host_fetch_over, &m);
        CHECK_INT(weft_join(from), 0);
        CHECK_INT(weft_join(to), 0);
    }
}

static _Atomic int ended;

static int
change_and_end(void *arg)
{
    (void)arg;
    CHECK_INT(rounding(), FE_TONEAREST);
    round_upward();
    atomic_fetch_add(&ended, 1);
    return 0;
}

static int
look_and_end(void *arg)
{
    (void)arg;
    CHECK_INT(rounding(), FE_TONEAREST);
    atomic_fetch_add(&ended, 1);
    return 0;
}

/* Tasks that nobody joins in place follow each other on one stack. */
static int
follow_each_other(void *arg)
{
    (void)arg;
    for (int round = 0; round < 50; round++) {
        atomic_store(&ended, 0);
        for (int i = 0; i < 8; i++) {
            weft_task_release(i % 4 < 2 ? apart(change_and_end, NULL) : spawned(look_and_end, NULL));
        }
        until(&ended, 8);
        CHECK_INT(rounding(), FE_TONEAREST);
    }
    return 0;
}

TEST(fpenv, ends, "fpenv: the next task on the same stack begins with the common control words, whatever its kind")
{
    CHECK_INT(run_on(1, follow_each_other, NULL), 0);
    CHECK_INT(run_on(test_workers(), follow_each_other, NULL), 0);
}

/* How a task that rounds upward waits for a child. */
enum way { JOIN, WAIT, FETCH, JOIN_UNTIL, JOIN_STARTED, WAYS };

static int
wait_rounding_upward(void *arg)
{
    enum way way = *(enum way *)arg;
    round_upward();
    weft_task *t = spawned(yield_rounding_as_usual, NULL);
    if (way == JOIN_STARTED) {
        while (!weft_task_isstarted(t)) weft_yield();
    }
    if (way == WAIT) CHECK_INT(weft_wait(t), 0);
    if (way == FETCH) CHECK_INT(weft_fetch(t, NULL), 0);
    if (way == JOIN_UNTIL) CHECK_INT(weft_join_until(t, weft_in(100 * WEFT_S)), 0);
    else CHECK_INT(weft_join(t), 0);
    CHECK_INT(rounding(), FE_UPWARD);
    return 0;
}

static int
wait_in_every_way(void *arg)
{
    (void)arg;
    for (enum way way = JOIN; way < WAYS; way++) {
        CHECK_INT(weft_join(apart(wait_rounding_upward, &way)), 0);
        CHECK_INT(rounding(), FE_TONEAREST);
    }
    return 0;
}

TEST(fpenv, children, "fpenv: a child of a task with WEFT_FPENV has the common control words, however it is waited for")
{
    CHECK_INT(run_on(1, wait_in_every_way, NULL), 0);
    CHECK_INT(run_on(test_workers(), wait_in_every_way, NULL), 0);
}

#endif
