/* select.c - what a select costs: where cases are ready, where none is, and where it has to wait.
 *
 * The shapes are those of Go's own benchmarks of its select. */
#include "on_weft.h"

enum { EIGHT = 8, SENDERS = 3 };

static weft_channel *
open_channel(size_t capacity)
{
    weft_channel *c;
    ok(weft_channel_new(&c, sizeof(uint64_t), capacity), "weft_channel_new");
    return c;
}

static void
put(weft_channel *c, uint64_t value)
{
    ok(weft_channel_put(c, &value), "weft_channel_put");
}

/* The index of the case that was executed; ends the run if it did not do what it should. */
static int
chosen(weft_case *cases, size_t n)
{
    int k = weft_select(cases, n, 0);
    ok(k, "weft_select");
    ok(cases[k].rc, "the case of a select");
    return k;
}

/* ---- Ready ----------------------------------------------------------------------------------------------------------- */

/* A value goes from one channel to the other and back: one of two is ready. */
static uint64_t
swap_between(weft_channel *a, weft_channel *b, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0, value; i < n; i++) {
        weft_case cases[] = {WEFT_TAKE(a, &value), WEFT_TAKE(b, &value)};
        int k = chosen(cases, 2);
        put(k ? a : b, value + 1);
        sum += value;
    }
    return sum;
}

static void
uncontended(struct bench_sample *s)
{
    uint64_t n = (uint64_t)bench_size(3000000, 300000);
    weft_channel *a = open_channel(1), *b = open_channel(1);
    put(a, 0);
    int64_t begun = bench_now();
    uint64_t sum = swap_between(a, b, n);
    s->values[0] = bench_since(begun, (double)n);
    bench_expect(sum, n * (n - 1) / 2, "the sum");
    weft_channel_release(a);
    weft_channel_release(b);
}

/* Both of two are ready: what was taken goes back. */
static void
two_ready(struct bench_sample *s)
{
    uint64_t n = (uint64_t)bench_size(3000000, 300000), sum = 0, count[2] = {0, 0};
    weft_channel *c[2] = {open_channel(1), open_channel(1)};
    put(c[0], 1);
    put(c[1], 2);
    int64_t begun = bench_now();
    for (uint64_t i = 0, value; i < n; i++) {
        weft_case cases[] = {WEFT_TAKE(c[0], &value), WEFT_TAKE(c[1], &value)};
        int k = chosen(cases, 2);
        put(c[k], value);
        sum += value;
        count[k]++;
    }
    s->values[0] = bench_since(begun, (double)n);
    bench_expect(sum, count[0] + 2 * count[1], "the sum");
    bench_expect(count[0] > n / 3 && count[1] > n / 3, 1, "both are taken from");
    for (int k = 0; k < 2; k++) weft_channel_release(c[k]);
}

/* One of eight is ready, another one each time. */
static void
one_of_eight(struct bench_sample *s)
{
    uint64_t n = (uint64_t)bench_size(1000000, 100000), sum = 0;
    weft_channel *c[EIGHT];
    for (int k = 0; k < EIGHT; k++) c[k] = open_channel(1);
    put(c[0], 0);
    int64_t begun = bench_now();
    for (uint64_t i = 0, value; i < n; i++) {
        weft_case cases[EIGHT];
        for (int k = 0; k < EIGHT; k++) cases[k] = WEFT_TAKE(c[k], &value);
        int k = chosen(cases, EIGHT);
        put(c[(k + 5) % EIGHT], value + 1);
        sum += value;
    }
    s->values[0] = bench_since(begun, (double)n);
    bench_expect(sum, n * (n - 1) / 2, "the sum");
    for (int k = 0; k < EIGHT; k++) weft_channel_release(c[k]);
}

/* Four selects that only try, of which the last two, which put and take, go well. */
static void
nonblocking(struct bench_sample *s)
{
    uint64_t n = (uint64_t)bench_size(1000000, 100000), value = 0, done = 0;
    weft_channel *rendezvous = open_channel(0), *buffered = open_channel(1);
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        weft_case cases[] = {WEFT_TAKE(rendezvous, &value), WEFT_PUT(rendezvous, &i), WEFT_PUT(buffered, &i),
                             WEFT_TAKE(buffered, &value)};
        for (int k = 0; k < 4; k++) done += weft_select_until(&cases[k], 1, 0, WEFT_NOW) == 0;
    }
    s->values[0] = bench_since(begun, 4 * (double)n);
    bench_expect(done, 2 * n, "selects that went well");
    weft_channel_release(rendezvous);
    weft_channel_release(buffered);
}

/* ---- With others ----------------------------------------------------------------------------------------------------- */

struct swapper {
    weft_channel *a, *b;
    uint64_t n;
};

static int
swap_task(void *arg)
{
    struct swapper *x = arg;
    swap_between(x->a, x->b, x->n);
    return 0;
}

/* One task for each worker, all on the same two channels, one value for each. */
static void
async_contended(struct bench_sample *s)
{
    int tasks = bench.workers;
    struct swapper x = {open_channel((size_t)tasks), open_channel((size_t)tasks),
                        (uint64_t)bench_size(2000000, 200000) / (uint64_t)tasks};
    weft_task **t = bench_alloc((size_t)tasks, sizeof(weft_task *));
    for (int i = 0; i < tasks; i++) put(x.a, 0);
    int64_t begun = bench_now();
    for (int i = 0; i < tasks; i++) t[i] = start(swap_task, &x);
    for (int i = 0; i < tasks; i++) join(t[i]);
    s->values[0] = bench_since(begun, (double)x.n * tasks);
    bench_expect(weft_channel_len(x.a) + weft_channel_len(x.b), (uint64_t)tasks, "values that are left");
    weft_channel_release(x.a);
    weft_channel_release(x.b);
    free(t);
}

struct sync_side {
    weft_channel *c[SENDERS], *done;
    uint64_t n;
};

static int
send_to_any(void *arg)
{
    struct sync_side *x = arg;
    for (uint64_t value = 1;;) {
        weft_case cases[] = {WEFT_PUT(x->c[0], &value), WEFT_PUT(x->c[1], &value), WEFT_PUT(x->c[2], &value),
                             WEFT_TAKE(x->done, NULL)};
        int k = weft_select(cases, SENDERS + 1, 0);
        ok(k, "weft_select");
        if (k == SENDERS) return 0;
    }
}

static int
receive_from_any(void *arg)
{
    struct sync_side *x = arg;
    uint64_t sum = 0;
    for (uint64_t i = 0, value; i < x->n; i++) {
        weft_case cases[] = {WEFT_TAKE(x->c[0], &value), WEFT_TAKE(x->c[1], &value), WEFT_TAKE(x->c[2], &value)};
        chosen(cases, SENDERS);
        sum += value;
    }
    bench_expect(sum, x->n, "the sum");
    return 0;
}

/* For each worker a task that puts to any of three rendezvous, and one that takes from any. */
static void
sync_contended(struct bench_sample *s)
{
    int pairs = bench.workers;
    struct sync_side x = {.n = (uint64_t)bench_size(600000, 60000) / (uint64_t)pairs};
    weft_task **t = bench_alloc(2 * (size_t)pairs, sizeof(weft_task *));
    for (int k = 0; k < SENDERS; k++) x.c[k] = open_channel(0);
    x.done = open_channel(0);
    int64_t begun = bench_now();
    for (int i = 0; i < pairs; i++) {
        t[2 * i] = start(send_to_any, &x);
        t[2 * i + 1] = start(receive_from_any, &x);
    }
    for (int i = 0; i < pairs; i++) join(t[2 * i + 1]);
    s->values[0] = bench_since(begun, (double)x.n * pairs);
    weft_channel_close(x.done, 0);
    for (int i = 0; i < pairs; i++) join(t[2 * i]);
    for (int k = 0; k < SENDERS; k++) weft_channel_release(x.c[k]);
    weft_channel_release(x.done);
    free(t);
}

/* ---- There and back -------------------------------------------------------------------------------------------------- */

struct court {
    weft_channel *there, *back, *stop;
};

static int
pong(void *arg)
{
    struct court *x = arg;
    for (;;) {
        uint64_t value;
        weft_case in[] = {WEFT_TAKE(x->there, &value), WEFT_TAKE(x->stop, NULL)};
        int k = weft_select(in, 2, 0);
        ok(k, "weft_select");
        if (k == 1) return 0;
        weft_case out[] = {WEFT_PUT(x->back, &value), WEFT_TAKE(x->stop, NULL)};
        chosen(out, 2);
    }
}

/* Every put and every take is a select that could be stopped as well, and half of them have to wait. */
static void
pingpong(struct bench_sample *s)
{
    struct court x = {open_channel(0), open_channel(0), open_channel(0)};
    uint64_t n = (uint64_t)bench_size(500000, 50000);
    weft_task *t = start(pong, &x);
    int64_t begun = bench_now();
    for (uint64_t i = 0, answer = 0; i < n; i++) {
        weft_case out[] = {WEFT_PUT(x.there, &i), WEFT_TAKE(x.stop, NULL)};
        chosen(out, 2);
        weft_case in[] = {WEFT_TAKE(x.back, &answer), WEFT_TAKE(x.stop, NULL)};
        chosen(in, 2);
        bench_expect(answer, i, "answer");
    }
    s->values[0] = bench_since(begun, (double)n);
    weft_channel_close(x.stop, 0);
    join(t);
    weft_channel_release(x.there);
    weft_channel_release(x.back);
    weft_channel_release(x.stop);
}

#define SHAPE(id, name, per, variant, run)                                                                             \
    static const struct bench_value id##_values[] = {{name, "ns", per}};                                               \
    static const struct bench_variant id##_variants[] = {{variant, BENCH_ONE_AND_ALL, run}};

SHAPE(uncontended, "select", "select and put", "one-of-two", uncontended)
SHAPE(two, "select-two", "select and put", "both-ready", two_ready)
SHAPE(eight, "select-eight", "select and put", "one-of-eight", one_of_eight)
SHAPE(try, "select-try", "select", "one-case", nonblocking)
SHAPE(async, "select-async", "select and put", "buffered", async_contended)
SHAPE(sync, "select-sync", "value", "unbuffered", sync_contended)
SHAPE(pingpong, "select-pingpong", "round trip", "unbuffered", pingpong)

static const struct bench_group groups[] = {
    BENCH_GROUP(uncontended_values, uncontended_variants, 0),
    BENCH_GROUP(two_values, two_variants, 0),
    BENCH_GROUP(eight_values, eight_variants, 0),
    BENCH_GROUP(try_values, try_variants, 0),
    BENCH_GROUP(async_values, async_variants, 0),
    BENCH_GROUP(sync_values, sync_variants, 0),
    BENCH_GROUP(pingpong_values, pingpong_variants, 0),
};

BENCH_MAIN(groups)
