/* channel.c - what it costs to send a value through a channel: there and back, in a stream, in batches, and in a crowd.
 *
 * Putters send the numbers from 0 on; takers look that each comes after the one before it, and add them up. */
#include "on_weft.h"
#include "threads.h"

enum { CAPACITY = 128, BATCH = 64, CROWD = 4 };

/* What each side of a stream does.  Weft's and the twin's have different channels; the rest is common. */
struct side {
    void *channel, *back; /* back: for the answers of a ping-pong */
    uint64_t n;           /* how many values it puts; takers: up to which it takes, 0: until the channel is closed */
    uint64_t seen, sum;
};

static void
see(struct side *s, uint64_t value)
{
    s->seen++;
    s->sum += value;
}

/* For a single putter and taker: in order as well. */
static void
see_next(struct side *s, uint64_t value)
{
    if (value != s->seen) bench_fail("channel: %" PRIu64 " came in place of %" PRIu64, value, s->seen);
    see(s, value);
}

static uint64_t
sum_below(uint64_t n)
{
    return n * (n - 1) / 2;
}

/* Batches are a multiple of BATCH. */
static uint64_t
count_of(int normal, int quick)
{
    return (uint64_t)bench_size(normal, quick) / BATCH * BATCH;
}

/* ---- Weft ------------------------------------------------------------------------------------------------------- */

static weft_channel *
open_channel(size_t capacity)
{
    weft_channel *c;
    ok(weft_channel_new(&c, sizeof(uint64_t), capacity), "weft_channel_new");
    return c;
}

static int
put(void *arg)
{
    struct side *s = arg;
    for (uint64_t i = 0; i < s->n; i++) ok(weft_channel_put(s->channel, &i), "weft_channel_put");
    return 0;
}

static int
take(void *arg)
{
    struct side *s = arg;
    for (uint64_t value; s->seen < s->n; see_next(s, value))
        ok(weft_channel_take(s->channel, &value), "weft_channel_take");
    return 0;
}

static int
put_batches(void *arg)
{
    struct side *s = arg;
    uint64_t values[BATCH];
    for (uint64_t i = 0; i < s->n; i += BATCH) {
        for (uint64_t k = 0; k < BATCH; k++) values[k] = i + k;
        ok(weft_channel_put_n(s->channel, values, BATCH, NULL), "weft_channel_put_n");
    }
    return 0;
}

static int
take_batches(void *arg)
{
    struct side *s = arg;
    uint64_t values[BATCH];
    while (s->seen < s->n) {
        size_t got;
        ok(weft_channel_take_n(s->channel, values, BATCH, &got), "weft_channel_take_n");
        for (size_t k = 0; k < got; k++) see_next(s, values[k]);
    }
    return 0;
}

static int
take_all(void *arg)
{
    struct side *s = arg;
    uint64_t value;
    weft_channel_each(s->channel, value) see(s, value);
    return 0;
}

static int
ping(void *arg)
{
    struct side *s = arg;
    for (uint64_t i = 0, value; i < s->n; i++) {
        ok(weft_channel_put(s->channel, &i), "weft_channel_put");
        ok(weft_channel_take(s->back, &value), "weft_channel_take");
        see_next(s, value);
    }
    return 0;
}

static int
pong(void *arg)
{
    struct side *s = arg;
    for (uint64_t value; s->seen < s->n; see_next(s, value)) {
        ok(weft_channel_take(s->channel, &value), "weft_channel_take");
        ok(weft_channel_put(s->back, &value), "weft_channel_put");
    }
    return 0;
}

/* Runs one against the other, n values; returns ns for each. */
static double
duel(size_t capacity, uint64_t n, weft_fn *putter, weft_fn *taker)
{
    weft_channel *there = open_channel(capacity), *back = open_channel(capacity);
    struct side from = {there, back, n, 0, 0}, to = {there, back, n, 0, 0};
    int64_t begun = bench_now();
    weft_task *one = start(putter, &from), *two = start(taker, &to);
    join(one);
    join(two);
    double ns = bench_since(begun, (double)n);
    bench_expect(to.seen, n, "values taken");
    bench_expect(to.sum, sum_below(n), "their sum");
    weft_channel_release(there);
    weft_channel_release(back);
    return ns;
}

static void
stream(struct bench_sample *s, size_t capacity, uint64_t n, weft_fn *putter, weft_fn *taker)
{
    duel(capacity, BATCH * 10, putter, taker);
    s->values[0] = duel(capacity, n, putter, taker);
}

static void
pingpong(struct bench_sample *s)
{
    stream(s, 0, count_of(300000, 30000), ping, pong);
}

static void
unbuffered(struct bench_sample *s)
{
    stream(s, 0, count_of(500000, 50000), put, take);
}

static void
buffered(struct bench_sample *s)
{
    stream(s, CAPACITY, count_of(2000000, 200000), put, take);
}

static void
batched(struct bench_sample *s)
{
    stream(s, CAPACITY, count_of(10000000, 1000000), put_batches, take_batches);
}

/* Several of each; the takers take until the channel is closed. */
static double
melee(uint64_t each)
{
    weft_channel *c = open_channel(CAPACITY);
    struct side from[CROWD], to[CROWD];
    weft_task *putters[CROWD], *takers[CROWD];
    uint64_t seen = 0, sum = 0;
    int64_t begun = bench_now();
    for (int i = 0; i < CROWD; i++) {
        from[i] = (struct side){c, NULL, each, 0, 0};
        to[i] = (struct side){c, NULL, 0, 0, 0};
        putters[i] = start(put, &from[i]);
        takers[i] = start(take_all, &to[i]);
    }
    for (int i = 0; i < CROWD; i++) join(putters[i]);
    weft_channel_close(c, 0);
    for (int i = 0; i < CROWD; i++) {
        join(takers[i]);
        seen += to[i].seen;
        sum += to[i].sum;
    }
    double ns = bench_since(begun, (double)each * CROWD);
    bench_expect(seen, each * CROWD, "values taken");
    bench_expect(sum, sum_below(each) * CROWD, "their sum");
    weft_channel_release(c);
    return ns;
}

static void
crowd(struct bench_sample *s)
{
    melee(BATCH * 10);
    s->values[0] = melee(count_of(500000, 50000));
}

/* ---- The twins: threads and a queue under a mutex ---------------------------------------------------------------- */

static void *
put_thread(void *arg)
{
    struct side *s = arg;
    for (uint64_t i = 0; i < s->n; i++) queue_put_n(s->channel, &i, 1);
    return NULL;
}

static void *
take_thread(void *arg)
{
    struct side *s = arg;
    while (s->seen < s->n) see_next(s, queue_take(s->channel));
    return NULL;
}

static void *
put_batches_thread(void *arg)
{
    struct side *s = arg;
    uint64_t values[BATCH];
    for (uint64_t i = 0; i < s->n; i += BATCH) {
        for (uint64_t k = 0; k < BATCH; k++) values[k] = i + k;
        queue_put_n(s->channel, values, BATCH);
    }
    return NULL;
}

static void *
take_batches_thread(void *arg)
{
    struct side *s = arg;
    uint64_t values[BATCH];
    while (s->seen < s->n) {
        size_t got = queue_take_n(s->channel, values, BATCH);
        for (size_t k = 0; k < got; k++) see_next(s, values[k]);
    }
    return NULL;
}

static void *
take_all_thread(void *arg)
{
    struct side *s = arg;
    uint64_t value;
    while (queue_take_n(s->channel, &value, 1) == 1) see(s, value);
    return NULL;
}

static void *
ping_thread(void *arg)
{
    struct side *s = arg;
    for (uint64_t i = 0; i < s->n; i++) {
        queue_put_n(s->channel, &i, 1);
        see_next(s, queue_take(s->back));
    }
    return NULL;
}

static void *
pong_thread(void *arg)
{
    struct side *s = arg;
    for (uint64_t value; s->seen < s->n; see_next(s, value)) {
        value = queue_take(s->channel);
        queue_put_n(s->back, &value, 1);
    }
    return NULL;
}

static void
stream_threads(struct bench_sample *s, size_t capacity, uint64_t n, void *(*putter)(void *), void *(*taker)(void *))
{
    struct queue there, back;
    queue_init(&there, capacity);
    queue_init(&back, capacity);
    struct side from = {&there, &back, n, 0, 0}, to = {&there, &back, n, 0, 0};
    int64_t begun = bench_now();
    pthread_t one = thread_start(putter, &from, NULL), two = thread_start(taker, &to, NULL);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    s->values[0] = bench_since(begun, (double)n);
    bench_expect(to.seen, n, "values taken");
    bench_expect(to.sum, sum_below(n), "their sum");
}

static void
pingpong_threads(struct bench_sample *s)
{
    stream_threads(s, 1, count_of(5000, 1000), ping_thread, pong_thread);
}

static void
unbuffered_threads(struct bench_sample *s)
{
    stream_threads(s, 1, count_of(10000, 2000), put_thread, take_thread);
}

static void
buffered_threads(struct bench_sample *s)
{
    stream_threads(s, CAPACITY, count_of(300000, 50000), put_thread, take_thread);
}

static void
batched_threads(struct bench_sample *s)
{
    stream_threads(s, CAPACITY, count_of(3000000, 300000), put_batches_thread, take_batches_thread);
}

static void
crowd_threads(struct bench_sample *s)
{
    uint64_t each = count_of(50000, 10000), seen = 0, sum = 0;
    struct queue q;
    struct side from[CROWD], to[CROWD];
    pthread_t putters[CROWD], takers[CROWD];
    queue_init(&q, CAPACITY);
    int64_t begun = bench_now();
    for (int i = 0; i < CROWD; i++) {
        from[i] = (struct side){&q, NULL, each, 0, 0};
        to[i] = (struct side){&q, NULL, 0, 0, 0};
        putters[i] = thread_start(put_thread, &from[i], NULL);
        takers[i] = thread_start(take_all_thread, &to[i], NULL);
    }
    for (int i = 0; i < CROWD; i++) pthread_join(putters[i], NULL);
    queue_close(&q);
    for (int i = 0; i < CROWD; i++) {
        pthread_join(takers[i], NULL);
        seen += to[i].seen;
        sum += to[i].sum;
    }
    s->values[0] = bench_since(begun, (double)each * CROWD);
    bench_expect(seen, each * CROWD, "values taken");
    bench_expect(sum, sum_below(each) * CROWD, "their sum");
}

/* ---- The twins without anybody else: a ring that one thread fills and empties --------------------------------------- */

struct plain_ring {
    uint64_t values[CAPACITY];
    size_t first, count;
};

__attribute__((noinline)) static bool
ring_put(struct plain_ring *r, uint64_t value)
{
    if (r->count == CAPACITY) return false;
    r->values[(r->first + r->count++) % CAPACITY] = value;
    return true;
}

__attribute__((noinline)) static bool
ring_take(struct plain_ring *r, uint64_t *value)
{
    if (r->count == 0) return false;
    *value = r->values[r->first];
    r->first = (r->first + 1) % CAPACITY;
    r->count--;
    return true;
}

static void
buffered_serial(struct bench_sample *s)
{
    struct plain_ring r = {.count = 0};
    struct side to = {NULL, NULL, count_of(2000000, 200000), 0, 0};
    int64_t begun = bench_now();
    for (uint64_t i = 0, value; to.seen < to.n;) {
        while (i < to.n && ring_put(&r, i)) i++;
        while (ring_take(&r, &value)) see_next(&to, value);
    }
    s->values[0] = bench_since(begun, (double)to.n);
    bench_expect(to.sum, sum_below(to.n), "their sum");
}

/* ---- What is measured ------------------------------------------------------------------------------------------- */

static const struct bench_value pingpong_values[] = {{"channel-pingpong", "ns", "round trip"}};
static const struct bench_variant pingpong_variants[] = {
    {"pthread", BENCH_TWIN, pingpong_threads},
    {"unbuffered", BENCH_ONE_AND_ALL, pingpong},
};
static const struct bench_value unbuffered_values[] = {{"channel-stream", "ns", "value"}};
static const struct bench_variant unbuffered_variants[] = {
    {"pthread", BENCH_TWIN, unbuffered_threads},
    {"unbuffered", BENCH_ONE_AND_ALL, unbuffered},
};
static const struct bench_value buffered_values[] = {{"channel-buffered", "ns", "value"}};
static const struct bench_variant buffered_variants[] = {
    {"pthread", BENCH_TWIN, buffered_threads},
    {"serial", BENCH_TWIN, buffered_serial},
    {"buffered", BENCH_ONE_AND_ALL, buffered},
};
static const struct bench_value batched_values[] = {{"channel-batch", "ns", "value"}};
static const struct bench_variant batched_variants[] = {
    {"pthread", BENCH_TWIN, batched_threads},
    {"put_n+take_n", BENCH_ONE_AND_ALL, batched},
};
static const struct bench_value crowd_values[] = {{"channel-crowd", "ns", "value"}};
static const struct bench_variant crowd_variants[] = {
    {"pthread", BENCH_TWIN, crowd_threads},
    {"buffered", BENCH_ONE_AND_ALL, crowd},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(pingpong_values, pingpong_variants, 0), BENCH_GROUP(unbuffered_values, unbuffered_variants, 0),
    BENCH_GROUP(buffered_values, buffered_variants, 0), BENCH_GROUP(batched_values, batched_variants, 0),
    BENCH_GROUP(crowd_values, crowd_variants, 0),
};

BENCH_MAIN(groups)
