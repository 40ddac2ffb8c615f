/* mutex.c - what it costs to lock a mutex that nobody else wants, and one that eight want; to notify nobody; and to read
 * and write under an rwlock.
 *
 * Where many want it, each looks that nobody lost anything, and how long it had to wait for one lock at most. */
#include "on_weft.h"
#include "threads.h"

enum { CROWD = 8 };

/* ---- Nobody else --------------------------------------------------------------------------------------------------- */

static uint64_t
few(void)
{
    return (uint64_t)bench_size(5000000, 500000);
}

static void
mutex_alone(struct bench_sample *s)
{
    static weft_mutex m;
    uint64_t n = few();
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        weft_mutex_lock(&m);
        ok(weft_mutex_unlock(&m), "weft_mutex_unlock");
    }
    s->values[0] = bench_since(begun, (double)n);
}

static void *
idle_thread(void *arg)
{
    turnstile_pass(arg);
    return NULL;
}

/* The C library takes no atomics for a mutex where there is a single thread: there are two here, as beside workers. */
static void
beside_a_thread(struct bench_sample *s, double (*measure)(uint64_t n))
{
    struct turnstile end = TURNSTILE;
    pthread_t t = thread_start(idle_thread, &end, NULL);
    s->values[0] = measure(few());
    turnstile_open(&end);
    pthread_join(t, NULL);
}

static double
measure_pthread_mutex(uint64_t n)
{
    static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        if (pthread_mutex_lock(&m) || pthread_mutex_unlock(&m)) bench_fail("pthread_mutex_lock");
    }
    return bench_since(begun, (double)n);
}

static void
pthread_mutex_alone(struct bench_sample *s)
{
    beside_a_thread(s, measure_pthread_mutex);
}

static void
notify_nobody(struct bench_sample *s)
{
    static weft_condition c;
    uint64_t n = few();
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < n; i++) bench_expect((uint64_t)weft_condition_notify(&c, NULL, WEFT_ALL), 0, "notified");
    s->values[0] = bench_since(begun, (double)n);
}

static double
measure_signal(uint64_t n)
{
    static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < n; i++) pthread_cond_signal(&c);
    return bench_since(begun, (double)n);
}

static void
signal_nobody(struct bench_sample *s)
{
    beside_a_thread(s, measure_signal);
}

static void
read_alone(struct bench_sample *s)
{
    static weft_rwlock l;
    uint64_t n = few();
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        ok(weft_rwlock_rdlock(&l), "weft_rwlock_rdlock");
        ok(weft_rwlock_rdunlock(&l), "weft_rwlock_rdunlock");
    }
    s->values[0] = bench_since(begun, (double)n);
}

static double
measure_pthread_read(uint64_t n)
{
    static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        if (pthread_rwlock_rdlock(&l) || pthread_rwlock_unlock(&l)) bench_fail("pthread_rwlock_rdlock");
    }
    return bench_since(begun, (double)n);
}

static void
pthread_read_alone(struct bench_sample *s)
{
    beside_a_thread(s, measure_pthread_read);
}

static void
write_alone(struct bench_sample *s)
{
    static weft_rwlock l;
    uint64_t n = few();
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        ok(weft_rwlock_wrlock(&l), "weft_rwlock_wrlock");
        ok(weft_rwlock_wrunlock(&l), "weft_rwlock_wrunlock");
    }
    s->values[0] = bench_since(begun, (double)n);
}

static double
measure_pthread_write(uint64_t n)
{
    static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        if (pthread_rwlock_wrlock(&l) || pthread_rwlock_unlock(&l)) bench_fail("pthread_rwlock_wrlock");
    }
    return bench_since(begun, (double)n);
}

static void
pthread_write_alone(struct bench_sample *s)
{
    beside_a_thread(s, measure_pthread_write);
}

/* ---- Eight want it ------------------------------------------------------------------------------------------------- */

/* What they share: under the mutex. */
static struct {
    weft_mutex m;
    pthread_mutex_t plain;
    uint64_t count, each;
} crowd = {.plain = PTHREAD_MUTEX_INITIALIZER};

static int
count_to(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < crowd.each; i++) {
        weft_mutex_lock(&crowd.m);
        crowd.count++;
        ok(weft_mutex_unlock(&crowd.m), "weft_mutex_unlock");
    }
    return 0;
}

static void
mutex_crowd(struct bench_sample *s)
{
    weft_task *t[CROWD];
    crowd.each = (uint64_t)bench_size(500000, 50000);
    int64_t begun = bench_now();
    for (int i = 0; i < CROWD; i++) t[i] = start(count_to, NULL);
    for (int i = 0; i < CROWD; i++) join(t[i]);
    s->values[0] = bench_since(begun, (double)crowd.each * CROWD);
    bench_expect(crowd.count, crowd.each * CROWD, "the count");
}

static void *
count_to_thread(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < crowd.each; i++) {
        pthread_mutex_lock(&crowd.plain);
        crowd.count++;
        pthread_mutex_unlock(&crowd.plain);
    }
    return NULL;
}

static void
pthread_crowd(struct bench_sample *s)
{
    pthread_t t[CROWD];
    crowd.each = (uint64_t)bench_size(500000, 50000);
    int64_t begun = bench_now();
    for (int i = 0; i < CROWD; i++) t[i] = thread_start(count_to_thread, NULL, NULL);
    for (int i = 0; i < CROWD; i++) pthread_join(t[i], NULL);
    s->values[0] = bench_since(begun, (double)crowd.each * CROWD);
    bench_expect(crowd.count, crowd.each * CROWD, "the count");
}

/* ---- Eight want it, with work of their own between, and give way inside --------------------------------------------- */

/* Each until the time is over: the smallest share of the locks, in parts of a fair one, is what is measured. */
static struct {
    weft_mutex m;
    uint64_t counts[CROWD];
    int64_t until;
} contest;

static int
compete(void *arg)
{
    uint64_t *count = arg;
    for (bool on = true; on; ++*count) {
        weft_mutex_lock(&contest.m);
        weft_yield();
        on = bench_now() < contest.until;
        ok(weft_mutex_unlock(&contest.m), "weft_mutex_unlock");
    }
    return 0;
}

static void
mutex_shares(struct bench_sample *s)
{
    weft_task *t[CROWD];
    double shares[CROWD], sum = 0;
    contest.until = bench_now() + bench_size(200, 50) * INT64_C(1000000);
    for (int i = 0; i < CROWD; i++) t[i] = start(compete, &contest.counts[i]);
    for (int i = 0; i < CROWD; i++) join(t[i]);
    for (int i = 0; i < CROWD; i++) sum += shares[i] = (double)contest.counts[i];
    (void)bench_median(shares, CROWD);
    s->values[0] = sum / CROWD / shares[0];
}

static const struct bench_value alone_values[] = {{"mutex", "ns", "lock and unlock"}};
static const struct bench_variant alone_variants[] = {
    {"pthread", BENCH_TWIN, pthread_mutex_alone},
    {"uncontended", BENCH_ONE_AND_ALL, mutex_alone},
};
static const struct bench_value crowd_values[] = {{"mutex-crowd", "ns", "lock and unlock"}};
static const struct bench_variant crowd_variants[] = {
    {"pthread", BENCH_TWIN, pthread_crowd},
    {"eight-tasks", BENCH_ONE_AND_ALL, mutex_crowd},
};
static const struct bench_value shares_values[] = {{"mutex-shares", "x", "fair share, by the smallest"}};
static const struct bench_variant shares_variants[] = {
    {"eight-tasks", BENCH_ONE_AND_ALL, mutex_shares},
};
static const struct bench_value notify_values[] = {{"condition-notify", "ns", "notification"}};
static const struct bench_variant notify_variants[] = {
    {"pthread", BENCH_TWIN, signal_nobody},
    {"nobody-waits", BENCH_ONE_AND_ALL, notify_nobody},
};
static const struct bench_value read_values[] = {{"rwlock-read", "ns", "lock and unlock"}};
static const struct bench_variant read_variants[] = {
    {"pthread", BENCH_TWIN, pthread_read_alone},
    {"uncontended", BENCH_ONE_AND_ALL, read_alone},
};
static const struct bench_value write_values[] = {{"rwlock-write", "ns", "lock and unlock"}};
static const struct bench_variant write_variants[] = {
    {"pthread", BENCH_TWIN, pthread_write_alone},
    {"uncontended", BENCH_ONE_AND_ALL, write_alone},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(alone_values, alone_variants, 0),   BENCH_GROUP(crowd_values, crowd_variants, 0),
    BENCH_GROUP(shares_values, shares_variants, 0), BENCH_GROUP(notify_values, notify_variants, 0),
    BENCH_GROUP(read_values, read_variants, 0),     BENCH_GROUP(write_values, write_variants, 0),
};

BENCH_MAIN(groups)
