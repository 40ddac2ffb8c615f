/* timers.c - deadlines: what one costs where a million others are pending, and how late a task that sleeps is woken.
 *
 * The queue of deadlines is inside of the library, so this program links the static one. */
#include "on_weft.h"
#include "threads.h"

#include "timerq.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>

enum { PENDING = 1000000, QUICK_PENDING = 100000, BATCH = 64 };
enum { SLEEPERS = 100000, QUICK_SLEEPERS = 10000, SLEEPING_THREADS = 2000, QUICK_SLEEPING_THREADS = 300 };
enum { SLEEPS_MOST = 400, PIECE_NS = 20000, BUSY_EACH = 4 };

static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- A deadline that is set and taken back, beside many that are pending -------------------------------------------- */

static int
pending(void)
{
    return bench_size(PENDING, QUICK_PENDING);
}

/* Far enough away that none passes: from a minute to a day. */
static int64_t
far_away(uint64_t *random)
{
    return bench_now() + (60 + (int64_t)(next_random(random) % 86400)) * 1000000000;
}

static struct parker parker;
static uint64_t ticket;

struct canceller {
    int rounds;
    uint64_t random;
    weft_task *task;
};

/* Sets a batch, and takes it back: as many calls that wait for a moment. */
static int
set_and_cancel(void *arg)
{
    struct canceller *c = arg;
    struct timer timers[BATCH];
    int64_t when[BATCH];
    for (int i = 0; i < BATCH; i++) when[i] = far_away(&c->random);
    for (int round = 0; round < c->rounds; round++) {
        for (int i = 0; i < BATCH; i++) weft__timer_add(&timers[i], when[i], &parker, ticket);
        for (int i = 0; i < BATCH; i++) weft__timer_del(&timers[i]);
    }
    return 0;
}

static void
wheel(struct bench_sample *s)
{
    int n = pending(), rounds = bench_size(8000, 800);
    struct timer *others = bench_alloc((size_t)n, sizeof *others);
    struct canceller *c = bench_alloc((size_t)bench.workers, sizeof *c);
    uint64_t random = 88172645463325252u;
    ticket = weft__park_arm(&parker, "bench", false);
    for (int i = 0; i < n; i++) weft__timer_add(&others[i], far_away(&random), &parker, ticket);
    for (int i = 0; i < bench.workers; i++) c[i] = (struct canceller){rounds, random + (uint64_t)i, NULL};
    int64_t begun = bench_now();
    for (int i = 0; i < bench.workers; i++) c[i].task = start(set_and_cancel, &c[i]);
    for (int i = 0; i < bench.workers; i++) join(c[i].task);
    s->values[0] = bench_since(begun, (double)rounds * BATCH * bench.workers);
    for (int i = 0; i < n; i++) weft__timer_del(&others[i]);
    if (weft__timers_next() < bench_now()) bench_fail("timer-cancel: something was due");
    free(others);
    free(c);
}

/* The usual way: a binary heap under a mutex, and each deadline knows its place in it. */
struct heap_timer {
    int64_t when;
    size_t place;
};

static struct {
    pthread_mutex_t lock;
    struct heap_timer **at;
    size_t n;
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void
heap_place(struct heap_timer *t, size_t i)
{
    heap.at[i] = t;
    t->place = i;
}

static void
heap_settle(struct heap_timer *t, size_t i)
{
    for (; i > 0 && heap.at[(i - 1) / 2]->when > t->when; i = (i - 1) / 2) heap_place(heap.at[(i - 1) / 2], i);
    for (size_t child; (child = 2 * i + 1) < heap.n; i = child) {
        if (child + 1 < heap.n && heap.at[child + 1]->when < heap.at[child]->when) child++;
        if (heap.at[child]->when >= t->when) break;
        heap_place(heap.at[child], i);
    }
    heap_place(t, i);
}

static void
heap_add(struct heap_timer *t)
{
    pthread_mutex_lock(&heap.lock);
    heap_settle(t, heap.n++);
    pthread_mutex_unlock(&heap.lock);
}

static void
heap_del(struct heap_timer *t)
{
    pthread_mutex_lock(&heap.lock);
    struct heap_timer *last = heap.at[--heap.n];
    if (last != t) heap_settle(last, t->place);
    pthread_mutex_unlock(&heap.lock);
}

static void
heaped(struct bench_sample *s)
{
    int n = pending(), rounds = bench_size(8000, 800);
    struct heap_timer *others = bench_alloc((size_t)n, sizeof *others), batch[BATCH];
    uint64_t random = 88172645463325252u;
    heap.at = bench_alloc((size_t)n + BATCH, sizeof *heap.at);
    for (int i = 0; i < n; i++) {
        others[i].when = far_away(&random);
        heap_add(&others[i]);
    }
    for (int i = 0; i < BATCH; i++) batch[i].when = far_away(&random);
    int64_t begun = bench_now();
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < BATCH; i++) heap_add(&batch[i]);
        for (int i = 0; i < BATCH; i++) heap_del(&batch[i]);
    }
    s->values[0] = bench_since(begun, (double)rounds * BATCH);
    bench_expect(heap.n, (uint64_t)n, "pending");
    for (size_t i = 1; i < heap.n; i++) {
        if (heap.at[i]->when < heap.at[(i - 1) / 2]->when) bench_fail("the heap is none");
    }
    free(others);
    free(heap.at);
}

/* ---- Very many that sleep until the same time ------------------------------------------------------------------------ */

static _Atomic int64_t asleep, awake;
static int64_t morning;

static int64_t
passed(_Atomic int64_t *count)
{
    return atomic_load_explicit(count, memory_order_acquire);
}

static void
pass(_Atomic int64_t *count)
{
    atomic_fetch_add_explicit(count, 1, memory_order_acq_rel);
}

/* Until when they sleep: they all have to be asleep by then. */
static int64_t
next_morning(void)
{
    return bench_now() + bench_size(2000, 500) * (int64_t)1000000;
}

static void
report_sleepers(struct bench_sample *s, int n, int64_t begun, int64_t all_asleep)
{
    bench_expect((uint64_t)passed(&awake), (uint64_t)n, "awake");
    if (all_asleep >= morning) bench_fail("sleepers: not all were asleep in time");
    s->values[0] = (double)(all_asleep - begun) / n;
    s->values[1] = bench_since(morning, n);
}

static int
sleep_task(void *arg)
{
    (void)arg;
    pass(&asleep);
    ok(weft_sleep_until(morning), "weft_sleep_until");
    if (bench_now() < morning) bench_fail("sleepers: one woke early");
    pass(&awake);
    return 0;
}

static void
sleep_tasks(struct bench_sample *s)
{
    int n = bench_size(SLEEPERS, QUICK_SLEEPERS);
    weft_task **tasks = bench_alloc((size_t)n, sizeof *tasks);
    morning = next_morning();
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) tasks[i] = start(sleep_task, NULL);
    while (passed(&asleep) < n) weft_yield();
    int64_t all_asleep = bench_now();
    ok(weft_sleep_until(morning), "weft_sleep_until");
    for (int i = 0; i < n; i++) join(tasks[i]);
    report_sleepers(s, n, begun, all_asleep);
    free(tasks);
}

static void
sleep_until(int64_t when)
{
    struct timespec t = {when / 1000000000, when % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) continue;
}

static void *
sleep_thread(void *arg)
{
    (void)arg;
    pass(&asleep);
    sleep_until(morning);
    pass(&awake);
    return NULL;
}

static void
sleep_threads(struct bench_sample *s)
{
    int n = bench_size(SLEEPING_THREADS, QUICK_SLEEPING_THREADS);
    pthread_t *threads = bench_alloc((size_t)n, sizeof *threads);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 << 10);
    morning = next_morning();
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) threads[i] = thread_start(sleep_thread, NULL, &attr);
    while (passed(&asleep) < n) sleep_until(bench_now() + 10000);
    int64_t all_asleep = bench_now();
    sleep_until(morning);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    report_sleepers(s, n, begun, all_asleep);
    free(threads);
}

/* ---- How late a sleeper is ------------------------------------------------------------------------------------------- */

/* Sleeps many times, for a tenth of a millisecond to three. */
static void
lateness(struct bench_sample *s, void (*sleep)(int64_t when))
{
    double late[SLEEPS_MOST];
    uint64_t random = 88172645463325252u;
    int n = bench_size(SLEEPS_MOST, SLEEPS_MOST / 5);
    for (int i = 0; i < n; i++) {
        int64_t when = bench_now() + 100000 + (int64_t)(next_random(&random) % 2900000);
        sleep(when);
        late[i] = (double)(bench_now() - when);
        if (late[i] < 0) bench_fail("a sleep ended early");
    }
    s->values[0] = bench_median(late, n); /* sorts them */
    s->values[1] = late[n * 99 / 100];
}

static void
sleep_weft(int64_t when)
{
    ok(weft_sleep_until(when), "weft_sleep_until");
}

static void
late_task(struct bench_sample *s)
{
    ok(weft_sleep(20 * WEFT_MS), "weft_sleep"); /* everybody has gone to sleep */
    lateness(s, sleep_weft);
}

static void
late_thread(struct bench_sample *s)
{
    prctl(PR_SET_TIMERSLACK, 1); /* as Weft's workers do */
    lateness(s, sleep_until);
}

static atomic_bool stopping;

static void
compute_piece(void)
{
    for (int64_t end = bench_now() + PIECE_NS; bench_now() < end;) continue;
}

static int
compute_task(void *arg)
{
    (void)arg;
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        compute_piece();
        weft_yield();
    }
    return 0;
}

/* Each worker has some tasks that compute, a piece at a time. */
static void
late_busy_task(struct bench_sample *s)
{
    int n = BUSY_EACH * bench.workers;
    weft_task **tasks = bench_alloc((size_t)n, sizeof *tasks);
    for (int i = 0; i < n; i++) tasks[i] = start(compute_task, NULL);
    ok(weft_sleep(5 * WEFT_MS), "weft_sleep");
    lateness(s, sleep_weft);
    atomic_store(&stopping, true);
    for (int i = 0; i < n; i++) join(tasks[i]);
    free(tasks);
}

static void *
compute_thread(void *arg)
{
    (void)arg;
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        compute_piece();
        sched_yield();
    }
    return NULL;
}

static void
late_busy_thread(struct bench_sample *s)
{
    int n = BUSY_EACH * bench.workers;
    pthread_t *threads = bench_alloc((size_t)n, sizeof *threads);
    for (int i = 0; i < n; i++) threads[i] = thread_start(compute_thread, NULL, NULL);
    prctl(PR_SET_TIMERSLACK, 1);
    lateness(s, sleep_until);
    atomic_store(&stopping, true);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    free(threads);
}

static const struct bench_value cancel_values[] = {{"timer-cancel", "ns", "timer"}};
static const struct bench_variant cancel_variants[] = {
    {"heap", BENCH_TWIN, heaped},
    {"wheel", BENCH_ONE_AND_ALL, wheel},
};
static const struct bench_value sleepers_values[] = {{"sleepers-create", "ns", "task"},
                                                     {"sleepers-wake", "ns", "task"}};
static const struct bench_variant sleepers_variants[] = {
    {"pthread", BENCH_TWIN, sleep_threads},
    {"sleep", BENCH_ONE_AND_ALL, sleep_tasks},
};
static const struct bench_value late_values[] = {{"sleep-late", "ns", "sleep"}, {"sleep-late-p99", "ns", "sleep"}};
static const struct bench_variant late_variants[] = {
    {"pthread", BENCH_TWIN, late_thread},
    {"sleep", BENCH_ONE_AND_ALL, late_task},
};
static const struct bench_value busy_values[] = {{"busy-late", "ns", "sleep"}, {"busy-late-p99", "ns", "sleep"}};
static const struct bench_variant busy_variants[] = {
    {"pthread", BENCH_TWIN, late_busy_thread},
    {"sleep", BENCH_ONE_AND_ALL, late_busy_task},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(cancel_values, cancel_variants, 0),
    BENCH_GROUP(sleepers_values, sleepers_variants, 1),
    BENCH_GROUP(late_values, late_variants, 0),
    BENCH_GROUP(busy_values, busy_variants, 0),
};

BENCH_MAIN(groups)
