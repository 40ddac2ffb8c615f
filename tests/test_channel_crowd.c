/* test_channel_crowd.c - many tasks and threads on one channel: each value arrives once, and each putter's in order. */
#include "test.h"

#include <pthread.h>

#include "channel_actor.h"

static const size_t capacities[] = {0, 1, 2, 32, WEFT_UNBOUNDED};

enum { N_CAPACITIES = sizeof capacities / sizeof *capacities };

/* SplitMix64: the next number of a sequence that depends on *state alone. */
static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* One side of a pair. */
struct side {
    weft_channel *c;
    uint64_t random;
    atomic_int *balance;
};

static int
put_after_a_while(void *arg)
{
    struct side *s = arg;
    for (uint64_t n = next_random(&s->random) % 4; n > 0; n--) weft_yield();
    CHECK_INT(put(s->c, 1), 0);
    atomic_fetch_add_explicit(s->balance, 1, memory_order_relaxed); /* read after the join */
    return 0;
}

static int
take_after_a_while(void *arg)
{
    struct side *s = arg;
    for (uint64_t n = next_random(&s->random) % 4; n > 0; n--) weft_yield();
    CHECK_INT(take(s->c), 1);
    atomic_fetch_sub_explicit(s->balance, 1, memory_order_relaxed); /* read after the join */
    return 0;
}

static void
check_pairs(size_t capacity, int pairs)
{
    weft_channel *c = channel_of(capacity);
    weft_task **t = calloc(2 * (size_t)pairs, sizeof *t);
    atomic_int balance = 0;
    uint64_t random = test_seed();
    if (!CHECK(t)) return;
    for (int i = 0; i < 2 * pairs; i++) {
        struct side s = {c, next_random(&random), &balance};
        if (!CHECK_INT(weft_spawn_copy(&t[i], i % 2 ? take_after_a_while : put_after_a_while, &s, sizeof s), 0)) return;
    }
    for (int i = 0; i < 2 * pairs; i++) joined(t[i], 0);
    CHECK_INT(atomic_load_explicit(&balance, memory_order_relaxed), 0);
    CHECK(weft_channel_isempty(c));
    weft_channel_release(c);
    free(t);
}

/* [J17] */
TASK_TEST(channel_crowd, pairs, "ten thousand pairs of one put and one take all find each other")
{
    size_t some[] = {0, 1, 32, WEFT_UNBOUNDED};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) check_pairs(some[i], TEST_SMALL ? 500 : 10000);
}

struct shares {
    weft_channel *c;
    atomic_int sum, ended;
};

static int
add_up(void *arg)
{
    struct shares *s = arg;
    int64_t value;
    weft_channel_each(s->c, value) atomic_fetch_add_explicit(&s->sum, (int)value, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->ended, 1, memory_order_relaxed); /* both are read after the joins */
    return 0;
}

/* [J20] */
TASK_TEST(channel_crowd, loops_end, "twenty loops over one channel share its values, and all end when it is closed")
{
    struct shares s = {.c = channel_of(32)};
    weft_task *t[20];
    for (int i = 0; i < 20; i++)
        if (!CHECK_INT(weft_spawn(&t[i], add_up, &s), 0)) return;
    for (int64_t i = 1; i <= 5; i++) CHECK_INT(put(s.c, i), 0);
    CHECK(weft_channel_close(s.c, 0));
    for (int i = 0; i < 20; i++) joined(t[i], 0);
    CHECK_INT(atomic_load_explicit(&s.sum, memory_order_relaxed), 15);
    CHECK_INT(atomic_load_explicit(&s.ended, memory_order_relaxed), 20);
    weft_channel_release(s.c);
}

enum { SEEN = 200 };

struct seen {
    weft_channel *c;
    bool slow; /* yields now and then, so that consumers overtake each other */
    atomic_int times[SEEN];
};

static int
see_each(void *arg)
{
    struct seen *s = arg;
    int64_t value, last = -1;
    bool ordered = true;
    weft_channel_each(s->c, value) {
        if (s->slow && value % 2) weft_yield();
        if (!CHECK(value >= 0 && value < SEEN)) break;
        atomic_fetch_add_explicit(&s->times[value], 1, memory_order_relaxed); /* read after the join */
        ordered &= value > last;
        last = value;
    }
    CHECK(ordered);
    return 0;
}

/* [J56] */
TASK_TEST(channel_crowd, for_each,
          "one consumer sees all values in order; ten see each once, and what one sees is in order")
{
    static const int consumers[] = {1, 10};
    for (int k = 0; k < 4; k++) {
        struct seen s = {.c = channel_of(k % 2 ? 0 : 8), .slow = k > 1};
        weft_task *t[10];
        int n = consumers[k % 2];
        for (int i = 0; i < n; i++)
            if (!CHECK_INT(weft_spawn(&t[i], see_each, &s), 0)) return;
        for (int64_t i = 0; i < SEEN; i++) CHECK_INT(put(s.c, i), 0);
        CHECK(weft_channel_close(s.c, 0));
        for (int i = 0; i < n; i++) joined(t[i], 0);
        for (int i = 0; i < SEEN; i++) CHECK_INT(atomic_load_explicit(&s.times[i], memory_order_relaxed), 1);
        weft_channel_release(s.c);
    }
}

static int
put_twice(void *arg)
{
    CHECK_INT(put(arg, 1), 0);
    return put(arg, 2);
}

/* [J61] */
TEST(channel_crowd, at_the_end,
     "a task that is still putting when the process winds down ends once both values are taken")
{
    weft_channel *c = channel_of(0);
    weft_task *t;
    if (!CHECK_INT(weft_spawn(&t, put_twice, c), 0)) return;
    CHECK_INT(take(c), 1);
    CHECK_INT(take(c), 2);
    joined(t, 0);
    CHECK_INT(weft_stop(), 0);
    weft_channel_release(c);
}

/* A crowd.  A value is the number of its putter and its own, which counts from 0. */
struct crowd {
    weft_channel *c;
    int putters, takers, each; /* each putter puts so many */
    size_t batch;              /* in calls of up to so many values */
    int16_t *next;             /* [taker][putter]: the least number that may still come */
    atomic_int *times;         /* [putter][number]: how often it was taken */
};

struct member {
    struct crowd *crowd;
    int number;
};

enum { MOST = 16 };

static int64_t
value_of(int putter, int number)
{
    return (int64_t)putter << 32 | number;
}

static int
crowd_put(void *arg)
{
    const struct member *m = arg;
    const struct crowd *k = m->crowd;
    uint64_t random = test_seed() + (unsigned)m->number;
    for (int number = 0; number < k->each;) {
        int64_t values[MOST];
        size_t n = 0, most = 1 + next_random(&random) % k->batch, done = 0;
        for (; n < most && number < k->each; n++) values[n] = value_of(m->number, number++);
        if (n == 1) CHECK_INT(weft_channel_put(k->c, values), 0);
        else CHECK(weft_channel_put_n(k->c, values, n, &done) == 0 && done == n);
    }
    return 0;
}

static void
crowd_saw(const struct member *m, int64_t value)
{
    const struct crowd *k = m->crowd;
    int from = (int)(value >> 32), number = (int)(value & INT32_MAX);
    if (!CHECK(from >= 0 && from < k->putters && number < k->each)) return;
    int16_t *next = &k->next[m->number * k->putters + from];
    CHECK(number >= *next);
    *next = (int16_t)(number + 1);
    atomic_fetch_add_explicit(&k->times[from * k->each + number], 1, memory_order_relaxed); /* read after the joins */
}

static int
crowd_take(void *arg)
{
    const struct member *m = arg;
    const struct crowd *k = m->crowd;
    uint64_t random = test_seed() - (unsigned)m->number;
    for (;;) {
        int64_t values[MOST];
        size_t n = 1, most = 1 + next_random(&random) % k->batch;
        int rc = most == 1 ? weft_channel_take(k->c, values) : weft_channel_take_n(k->c, values, most, &n);
        if (rc) return CHECK_INT(rc, WEFT_ECLOSED), 0;
        for (size_t i = 0; i < n; i++) crowd_saw(m, values[i]);
    }
}

static void *
crowd_put_on_thread(void *arg)
{
    crowd_put(arg);
    return NULL;
}

static void *
crowd_take_on_thread(void *arg)
{
    crowd_take(arg);
    return NULL;
}

static bool
crowd_make(struct crowd *k, size_t capacity)
{
    k->c = channel_of(capacity);
    k->next = calloc((size_t)k->takers * (size_t)k->putters, sizeof *k->next);
    k->times = calloc((size_t)k->putters * (size_t)k->each, sizeof *k->times);
    return CHECK(k->c && k->next && k->times);
}

static void
crowd_check(struct crowd *k)
{
    int wrong = 0;
    for (int i = 0; i < k->putters * k->each; i++)
        wrong += atomic_load_explicit(&k->times[i], memory_order_relaxed) != 1;
    CHECK_INT(wrong, 0);
    CHECK_INT(weft_channel_len(k->c), 0);
    weft_channel_release(k->c);
    free(k->next);
    free(k->times);
}

static void
check_crowd(struct crowd k, size_t capacity)
{
    if (!crowd_make(&k, capacity)) return;
    int n = k.putters + k.takers;
    weft_task **t = calloc((size_t)n, sizeof *t);
    if (!CHECK(t)) return;
    for (int i = 0; i < n; i++) {
        struct member m = {&k, i < k.putters ? i : i - k.putters};
        weft_fn *fn = i < k.putters ? crowd_put : crowd_take;
        if (!CHECK_INT(weft_spawn_copy(&t[i], fn, &m, sizeof m), 0)) return;
    }
    for (int i = 0; i < k.putters; i++) joined(t[i], 0);
    CHECK(weft_channel_close(k.c, 0));
    for (int i = k.putters; i < n; i++) joined(t[i], 0);
    crowd_check(&k);
    free(t);
}

enum { CROWD = TEST_SMALL ? 100 : 500 };

TASK_TEST(channel_crowd, thousand_tasks,
          "a thousand tasks on one channel: each value arrives once, and those of one putter in order")
{
    for (int i = 0; i < N_CAPACITIES; i++)
        check_crowd((struct crowd){.putters = CROWD, .takers = CROWD, .each = 40, .batch = 1}, capacities[i]);
}

TASK_TEST(channel_crowd, thousand_tasks_in_batches, "the same in batches of random sizes, mixed with single calls")
{
    for (int i = 0; i < N_CAPACITIES; i++)
        check_crowd((struct crowd){.putters = CROWD, .takers = CROWD, .each = 40, .batch = MOST}, capacities[i]);
}

TASK_TEST(channel_crowd, one_taker, "a single taker sees what each of many putters puts in its order, none missing")
{
    for (int i = 0; i < N_CAPACITIES; i++)
        check_crowd((struct crowd){.putters = CROWD, .takers = 1, .each = 40, .batch = 4}, capacities[i]);
}

TASK_TEST(channel_crowd, one_putter, "many takers share what a single putter puts, each in order")
{
    for (int i = 0; i < N_CAPACITIES; i++)
        check_crowd((struct crowd){.putters = 1, .takers = CROWD, .each = 5000, .batch = 4}, capacities[i]);
}

TEST(channel_crowd, threads_and_tasks, "plain threads and tasks put and take side by side on one channel")
{
    enum { THREADS = 4, TASKS = 40 };
    if (!CHECK_INT(weft_start(NULL), 0)) return;
    for (int i = 0; i < N_CAPACITIES; i++) {
        struct crowd k = {.putters = THREADS + TASKS, .takers = THREADS + TASKS, .each = 200, .batch = 3};
        struct member putters[THREADS + TASKS], takers[THREADS + TASKS];
        pthread_t put_threads[THREADS], take_threads[THREADS];
        weft_task *put_tasks[TASKS], *take_tasks[TASKS];
        if (!crowd_make(&k, capacities[i])) return;
        for (int n = 0; n < THREADS + TASKS; n++) putters[n] = takers[n] = (struct member){&k, n};
        for (int n = 0; n < THREADS; n++) {
            if (!CHECK_INT(pthread_create(&put_threads[n], NULL, crowd_put_on_thread, &putters[n]), 0)) return;
            if (!CHECK_INT(pthread_create(&take_threads[n], NULL, crowd_take_on_thread, &takers[n]), 0)) return;
        }
        for (int n = 0; n < TASKS; n++) {
            if (!CHECK_INT(weft_spawn(&put_tasks[n], crowd_put, &putters[THREADS + n]), 0)) return;
            if (!CHECK_INT(weft_spawn(&take_tasks[n], crowd_take, &takers[THREADS + n]), 0)) return;
        }
        for (int n = 0; n < THREADS; n++) CHECK_INT(pthread_join(put_threads[n], NULL), 0);
        for (int n = 0; n < TASKS; n++) joined(put_tasks[n], 0);
        CHECK(weft_channel_close(k.c, 0));
        for (int n = 0; n < THREADS; n++) CHECK_INT(pthread_join(take_threads[n], NULL), 0);
        for (int n = 0; n < TASKS; n++) joined(take_tasks[n], 0);
        crowd_check(&k);
    }
    CHECK_INT(weft_stop(), 0);
}

/* Putters that give up: what they say was put arrives, and nothing else. */
struct impatient {
    weft_channel *c;
    int putters, each;
    atomic_int *balance; /* [putter][number]: 1 after it was put, less 1 for each time it was taken */
    atomic_int next_putter, gave_up;
};

static int
put_or_give_up(void *arg)
{
    struct impatient *k = arg;
    int me = atomic_fetch_add_explicit(&k->next_putter, 1, memory_order_relaxed);
    uint64_t random = test_seed() ^ (unsigned)me;
    for (int number = 0; number < k->each; number++) {
        int64_t value = value_of(me, number);
        weft_time deadline = WEFT_NOW;
        if (next_random(&random) % 2) deadline = weft_in((int64_t)(next_random(&random) % 100) * WEFT_US);
        int rc = weft_channel_put_until(k->c, &value, deadline);
        if (rc == 0) atomic_fetch_add_explicit(&k->balance[me * k->each + number], 1, memory_order_relaxed);
        else if (CHECK_INT(rc, deadline == WEFT_NOW ? WEFT_EAGAIN : WEFT_ETIMEDOUT))
            atomic_fetch_add_explicit(&k->gave_up, 1, memory_order_relaxed); /* all is read after the joins */
        if (next_random(&random) % 4 == 0) weft_yield();
    }
    return 0;
}

static int
take_or_try_again(void *arg)
{
    struct impatient *k = arg;
    int64_t value;
    for (int rc;;) {
        rc = weft_channel_take_until(k->c, &value, weft_in(50 * WEFT_US));
        if (rc == WEFT_ETIMEDOUT) continue;
        if (rc) return CHECK_INT(rc, WEFT_ECLOSED), 0;
        int from = (int)(value >> 32), number = (int)(value & INT32_MAX);
        if (!CHECK(from >= 0 && from < k->putters && number < k->each)) return 0;
        atomic_fetch_sub_explicit(&k->balance[from * k->each + number], 1, memory_order_relaxed);
    }
}

static void
check_impatient(size_t capacity)
{
    enum { PUTTERS = 20, TAKERS = 20, EACH = 200 };
    struct impatient k = {.c = channel_of(capacity), .putters = PUTTERS, .each = EACH};
    weft_task *t[PUTTERS + TAKERS];
    int wrong = 0;
    k.balance = calloc((size_t)PUTTERS * EACH, sizeof *k.balance);
    if (!CHECK(k.balance)) return;
    for (int i = 0; i < PUTTERS + TAKERS; i++)
        if (!CHECK_INT(weft_spawn(&t[i], i < PUTTERS ? put_or_give_up : take_or_try_again, &k), 0)) return;
    for (int i = 0; i < PUTTERS; i++) joined(t[i], 0);
    CHECK(weft_channel_close(k.c, 0));
    for (int i = PUTTERS; i < PUTTERS + TAKERS; i++) joined(t[i], 0);
    for (int i = 0; i < PUTTERS * EACH; i++) wrong += atomic_load_explicit(&k.balance[i], memory_order_relaxed) != 0;
    CHECK_INT(wrong, 0);
    if (capacity == WEFT_UNBOUNDED) CHECK_INT(atomic_load_explicit(&k.gave_up, memory_order_relaxed), 0);
    weft_channel_release(k.c);
    free(k.balance);
}

/* [S186] */
TASK_TEST(channel_crowd, timeouts_lose_nothing,
          "deadlines on both sides: what a putter says it has put arrives once, and nothing else")
{
    for (int i = 0; i < N_CAPACITIES; i++) check_impatient(capacities[i]);
}

/* What a putter wrote before the put, and what came before a close: plain memory, which the channel publishes. */
struct note {
    int content, copy;
};

static int
put_notes(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        struct note *n = malloc(sizeof *n);
        if (!CHECK(n)) abort();
        n->content = i;
        n->copy = i;
        CHECK_INT(weft_channel_put(arg, &n), 0);
    }
    CHECK(weft_channel_close(arg, 0));
    return 0;
}

TASK_TEST(channel_crowd, publishes, "a put publishes what was written before it to the one who takes the value")
{
    for (int i = 0; i < N_CAPACITIES; i++) {
        weft_channel *c;
        weft_task *t;
        struct note *n;
        int next = 0;
        if (!CHECK_INT(weft_channel_new(&c, sizeof n, capacities[i]), 0)) return;
        if (!CHECK_INT(weft_spawn(&t, put_notes, c), 0)) return;
        weft_channel_each(c, n) {
            CHECK(n->content == next && n->copy == next);
            next++;
            free(n);
        }
        CHECK_INT(next, 1000);
        joined(t, 0);
        weft_channel_release(c);
    }
}

static int
put_some_and_close(void *arg)
{
    for (int64_t i = 0; i < 10; i++) CHECK_INT(put(arg, i), 0);
    CHECK(weft_channel_close(arg, 0));
    return 0;
}

TASK_TEST(channel_crowd, closed_means_all, "who sees a channel closed sees everything that was put to it")
{
    for (int i = 0; i < 200; i++) {
        weft_channel *c = channel_of(WEFT_UNBOUNDED);
        weft_task *t;
        if (!CHECK_INT(weft_spawn(&t, put_some_and_close, c), 0)) return;
        AWAIT(!weft_channel_isopen(c));
        CHECK_INT(weft_channel_len(c), 10);
        CHECK(weft_channel_isready(c));
        joined(t, 0);
        weft_channel_release(c);
    }
}
