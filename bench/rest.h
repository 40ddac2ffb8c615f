/* rest.h - what Weft and its peers do alike when little is to be done: being idle, and a start on another worker. */
#ifndef REST_H
#define REST_H

#include "bench.h"

#include <sys/resource.h>

/* ---- The CPU time of a process that has nothing to do --------------------------------------------------------------- */

enum { IDLE_SETTLE_MS = 50, IDLE_BYTES = 4 << 20 /* to touch before, so that all workers have had something to do */ };

static inline int
idle_ms(void)
{
    return bench_size(1000, 200);
}

static inline double
idle_cpu_seconds(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) < 0) bench_fail("getrusage: %s", strerror(errno));
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* CPU seconds for each second in which nobody has anything to do but to sleep. */
static inline void
idle_sample(struct bench_sample *s, void (*sleep_ms)(int ms))
{
    sleep_ms(IDLE_SETTLE_MS);
    double before = idle_cpu_seconds();
    sleep_ms(idle_ms());
    s->values[0] = (idle_cpu_seconds() - before) * 1000 / idle_ms();
}

static inline void
idle_sleep_thread(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- From a spawn until the task runs elsewhere ---------------------------------------------------------------------- */

enum { START_MAX = 1000 };

struct newcomer {
    int64_t started; /* when; 0: not yet */
    int worker;      /* where, in the numbers of the scheduler */
    void *task;      /* the spawner's */
};

/* What a newcomer does. */
static inline void
newcomer_starts(struct newcomer *n, int worker)
{
    n->worker = worker;
    __atomic_store_n(&n->started, bench_now(), __ATOMIC_RELEASE);
}

/* Computes until the newcomer has started: whoever calls it keeps its worker busy.  Returns when that was. */
static inline int64_t
newcomer_awaited(struct newcomer *n)
{
    int64_t t;
    while ((t = __atomic_load_n(&n->started, __ATOMIC_ACQUIRE)) == 0) continue;
    return t;
}

/* Who spawns does not wait by any means of the scheduler: only another worker can start the task.  here: the worker that
 * calls, which may be another one after each newcomer. */
static inline void
start_sample(struct bench_sample *s, int (*here)(void), void (*make)(struct newcomer *),
             void (*finish)(struct newcomer *))
{
    double ns[START_MAX];
    int n = bench_size(START_MAX, START_MAX / 5);
    for (int i = 0; i < n; i++) {
        struct newcomer one = {0, -1, NULL};
        int spawner = here();
        int64_t begun = bench_now();
        make(&one);
        ns[i] = (double)(newcomer_awaited(&one) - begun);
        if (one.worker == spawner) bench_fail("spawn-start: the task started on the worker that was busy");
        finish(&one);
    }
    s->values[0] = bench_median(ns, n);
}

__attribute__((unused)) static const struct bench_value idle_values[] = {{"idle", "s", "idle second"}};
__attribute__((unused)) static const struct bench_value start_values[] = {{"spawn-start", "ns", "start"}};

#endif
