/* parked.c - very many tasks that wait: what each costs to make and to wake, and how much memory it holds meanwhile. */
#include "on_weft.h"
#include "proc.h"
#include "threads.h"

#include <stdatomic.h>

enum { TASKS = 1000000, QUICK_TASKS = 100000, THREADS = 2000, QUICK_THREADS = 500 };
enum { THREAD_STACK = 64 << 10 };

/* Counts the parked as they arrive, and again as they leave. */
static _Atomic int64_t arrived, left;

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

static void
report(struct bench_sample *s, size_t n, int64_t created, int64_t parked, int64_t released, double bytes)
{
    bench_expect((uint64_t)passed(&arrived), n, "parked");
    bench_expect((uint64_t)passed(&left), n, "released");
    s->values[0] = (double)(parked - created) / (double)n;
    s->values[1] = bench_since(released, (double)n);
    s->values[2] = bytes / (double)n;
}

static int
wait_once(void *arg)
{
    (void)arg;
    pass(&arrived);
    ok(weft_park(NULL), "weft_park");
    pass(&left);
    return 0;
}

static void
park_tasks(struct bench_sample *s)
{
    size_t n = affordable((size_t)bench_size(TASKS, QUICK_TASKS));
    weft_task **tasks = bench_alloc(n, sizeof *tasks);
    memset(tasks, 1, n * sizeof *tasks); /* present before memory is looked at */
    double before = resident();
    int64_t created = bench_now();
    for (size_t i = 0; i < n; i++) tasks[i] = start(wait_once, NULL);
    while ((size_t)passed(&arrived) < n) weft_yield();
    int64_t parked = bench_now();
    double bytes = resident() - before;
    int64_t released = bench_now();
    for (size_t i = 0; i < n; i++) ok(weft_schedule(tasks[i]), "weft_schedule");
    for (size_t i = 0; i < n; i++) join(tasks[i]);
    report(s, n, created, parked, released, bytes);
}

/* Each has a turnstile of its own, as each task has itself. */
static void *
wait_once_thread(void *arg)
{
    pass(&arrived);
    turnstile_pass(arg);
    pass(&left);
    return NULL;
}

static void
park_threads(struct bench_sample *s)
{
    size_t n = affordable((size_t)bench_size(THREADS, QUICK_THREADS));
    struct turnstile *turnstiles = bench_alloc(n, sizeof *turnstiles);
    pthread_t *threads = bench_alloc(n, sizeof *threads);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    for (size_t i = 0; i < n; i++) turnstiles[i] = (struct turnstile)TURNSTILE;
    memset(threads, 1, n * sizeof *threads);
    double before = resident();
    int64_t created = bench_now();
    for (size_t i = 0; i < n; i++) threads[i] = thread_start(wait_once_thread, &turnstiles[i], &attr);
    while ((size_t)passed(&arrived) < n) nanosleep(&(struct timespec){0, 10000}, NULL);
    int64_t parked = bench_now();
    double bytes = resident() - before;
    int64_t released = bench_now();
    for (size_t i = 0; i < n; i++) turnstile_open(&turnstiles[i]);
    for (size_t i = 0; i < n; i++) pthread_join(threads[i], NULL);
    report(s, n, created, parked, released, bytes);
}

static const struct bench_value values[] = {
    {"parked-create", "ns", "task"}, {"parked-release", "ns", "task"}, {"parked-memory", "bytes", "task"}};
static const struct bench_variant variants[] = {
    {"pthread", BENCH_TWIN, park_threads},
    {"park+schedule", BENCH_ONE_AND_ALL, park_tasks},
};
static const struct bench_group groups[] = {BENCH_GROUP(values, variants, 1)};

BENCH_MAIN(groups)
