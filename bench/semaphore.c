/* semaphore.c - what an acquire and a release cost where there are permits, and where eight compete for two. */
#include "on_weft.h"
#include "threads.h"

#include <semaphore.h>
#include <weft/semaphore.h>

enum { CROWD = 8, PERMITS = 2 };

static int
calls(void)
{
    return bench_size(5000000, 500000);
}

static int
turns(void)
{
    return bench_size(100000, 10000);
}

static void
alone(struct bench_sample *s)
{
    weft_semaphore w;
    int n = calls(), wrong = 0;
    ok(weft_semaphore_init(&w, PERMITS), "weft_semaphore_init");
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) {
        wrong += weft_semaphore_acquire(&w, 1);
        wrong += weft_semaphore_release(&w, 1);
    }
    s->values[0] = bench_since(begun, n);
    bench_expect((uint64_t)wrong, 0, "failures");
    bench_expect(weft_semaphore_available(&w), PERMITS, "permits at the end");
}

/* Who holds a permit gives the others a turn: so they find none. */
static int
compete(void *arg)
{
    int n = turns();
    for (int i = 0; i < n; i++) {
        ok(weft_semaphore_acquire(arg, 1), "weft_semaphore_acquire");
        if (i % 2) weft_yield();
        ok(weft_semaphore_release(arg, 1), "weft_semaphore_release");
    }
    return 0;
}

static void
crowd(struct bench_sample *s)
{
    weft_semaphore w;
    weft_task *t[CROWD];
    ok(weft_semaphore_init(&w, PERMITS), "weft_semaphore_init");
    int64_t begun = bench_now();
    for (int k = 0; k < CROWD; k++) t[k] = start(compete, &w);
    for (int k = 0; k < CROWD; k++) join(t[k]);
    s->values[0] = bench_since(begun, CROWD * (double)turns());
    bench_expect(weft_semaphore_available(&w), PERMITS, "permits at the end");
}

static void
alone_posix(struct bench_sample *s)
{
    sem_t w;
    int n = calls(), value = 0;
    if (sem_init(&w, 0, PERMITS) < 0) bench_fail("sem_init: %s", strerror(errno));
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) {
        sem_wait(&w);
        sem_post(&w);
    }
    s->values[0] = bench_since(begun, n);
    sem_getvalue(&w, &value);
    bench_expect((uint64_t)value, PERMITS, "permits at the end");
}

static void *
compete_thread(void *arg)
{
    int n = turns() / 10;
    for (int i = 0; i < n; i++) {
        sem_wait(arg);
        if (i % 2) sched_yield();
        sem_post(arg);
    }
    return NULL;
}

static void
crowd_posix(struct bench_sample *s)
{
    sem_t w;
    pthread_t t[CROWD];
    int value = 0;
    if (sem_init(&w, 0, PERMITS) < 0) bench_fail("sem_init: %s", strerror(errno));
    int64_t begun = bench_now();
    for (int k = 0; k < CROWD; k++) t[k] = thread_start(compete_thread, &w, NULL);
    for (int k = 0; k < CROWD; k++) pthread_join(t[k], NULL);
    s->values[0] = bench_since(begun, CROWD * (double)(turns() / 10));
    sem_getvalue(&w, &value);
    bench_expect((uint64_t)value, PERMITS, "permits at the end");
}

static const struct bench_value alone_values[] = {{"semaphore", "ns", "acquire and release"}};
static const struct bench_variant alone_variants[] = {
    {"sem_t", BENCH_TWIN, alone_posix},
    {"acquire+release", BENCH_ONE_AND_ALL, alone},
};
static const struct bench_value crowd_values[] = {{"semaphore-crowd", "ns", "acquire and release"}};
static const struct bench_variant crowd_variants[] = {
    {"sem_t", BENCH_TWIN, crowd_posix},
    {"acquire+release", BENCH_ONE_AND_ALL, crowd},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(alone_values, alone_variants, 0),
    BENCH_GROUP(crowd_values, crowd_variants, 0),
};

BENCH_MAIN(groups)
