/* switch.c - what it costs to go from one task to another: by a yield, and by parking when the other has been woken. */
#include "on_weft.h"
#include "threads.h"

/* Two that give way to each other, each `yields` times. */
static int yields;

static int
yielder(void *arg)
{
    int *done = arg;
    for (*done = 0; *done < yields; ++*done) weft_yield();
    return 0;
}

static void
yield_in_pair(struct bench_sample *s, int (*spawn)(weft_task **, weft_fn *, void *))
{
    int done[2];
    weft_task *pair[2];
    for (int warm = 1; warm >= 0; warm--) {
        yields = warm ? 1000 : bench_size(1000000, 100000);
        int64_t begun = bench_now();
        for (int i = 0; i < 2; i++) ok(spawn(&pair[i], yielder, &done[i]), "spawn");
        for (int i = 0; i < 2; i++) join(pair[i]);
        s->values[0] = bench_since(begun, 2.0 * yields);
    }
    for (int i = 0; i < 2; i++) bench_expect((uint64_t)done[i], (uint64_t)yields, "yields");
}

static void
yield(struct bench_sample *s)
{
    yield_in_pair(s, weft_spawn);
}

static void
yield_sticky(struct bench_sample *s)
{
    yield_in_pair(s, weft_async);
}

static void *
yielder_thread(void *arg)
{
    int *done = arg;
    for (*done = 0; *done < yields; ++*done) sched_yield();
    return NULL;
}

/* Two threads on one core. */
static void
yield_threads(struct bench_sample *s)
{
    thread_bind(0);
    int done[2];
    pthread_t pair[2];
    yields = bench_size(50000, 5000);
    int64_t begun = bench_now();
    for (int i = 0; i < 2; i++) pair[i] = thread_start(yielder_thread, &done[i], NULL);
    for (int i = 0; i < 2; i++) pthread_join(pair[i], NULL);
    s->values[0] = bench_since(begun, 2.0 * yields);
    for (int i = 0; i < 2; i++) bench_expect((uint64_t)done[i], (uint64_t)yields, "yields");
}

/* Two that take turns: each wakes the other and parks. */
struct player {
    weft_task *task, *other;
    bool serves;
    int rounds, done;
};

static int
play(void *arg)
{
    struct player *p = arg;
    for (p->done = 0; p->done < p->rounds; p->done++) {
        if (p->serves) ok(weft_schedule(p->other), "weft_schedule");
        ok(weft_park(NULL), "weft_park");
        if (!p->serves) ok(weft_schedule(p->other), "weft_schedule");
    }
    return 0;
}

static void
park(struct bench_sample *s)
{
    for (int warm = 1; warm >= 0; warm--) {
        struct player pair[2] = {{.serves = true}, {.serves = false}};
        for (int i = 0; i < 2; i++) {
            pair[i].rounds = warm ? 1000 : bench_size(500000, 50000);
            ok(weft_task_new(&pair[i].task, play, &pair[i], NULL), "weft_task_new");
        }
        for (int i = 0; i < 2; i++) pair[i].other = weft_task_retain(pair[1 - i].task);
        int64_t begun = bench_now();
        ok(weft_schedule(pair[1].task), "weft_schedule"); /* the one that is served parks first */
        while (!weft_task_isstarted(pair[1].task)) weft_yield();
        ok(weft_schedule(pair[0].task), "weft_schedule");
        for (int i = 0; i < 2; i++) join(pair[i].task);
        s->values[0] = bench_since(begun, pair[0].rounds);
        for (int i = 0; i < 2; i++) {
            bench_expect((uint64_t)pair[i].done, (uint64_t)pair[i].rounds, "rounds");
            weft_task_release(pair[i].other);
        }
    }
}

struct thread_player {
    struct turnstile *mine, *other;
    bool serves;
    int rounds, done;
};

static void *
play_thread(void *arg)
{
    struct thread_player *p = arg;
    for (p->done = 0; p->done < p->rounds; p->done++) {
        if (p->serves) turnstile_open(p->other);
        turnstile_pass(p->mine);
        if (!p->serves) turnstile_open(p->other);
    }
    return NULL;
}

static void
park_threads(struct bench_sample *s)
{
    struct turnstile turnstiles[2] = {TURNSTILE, TURNSTILE};
    struct thread_player pair[2];
    pthread_t threads[2];
    int rounds = bench_size(5000, 1000);
    int64_t begun = bench_now();
    for (int i = 0; i < 2; i++) {
        pair[i] = (struct thread_player){&turnstiles[i], &turnstiles[1 - i], i == 0, rounds, 0};
        threads[i] = thread_start(play_thread, &pair[i], NULL);
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    s->values[0] = bench_since(begun, rounds);
    for (int i = 0; i < 2; i++) bench_expect((uint64_t)pair[i].done, (uint64_t)rounds, "rounds");
}

static const struct bench_value yield_values[] = {{"yield", "ns", "yield"}};
static const struct bench_variant yield_variants[] = {
    {"pthread", BENCH_TWIN, yield_threads},
    {"yield", BENCH_ONE, yield},
    {"yield-sticky", BENCH_ONE_AND_ALL, yield_sticky},
};
static const struct bench_value park_values[] = {{"park", "ns", "round trip"}};
static const struct bench_variant park_variants[] = {
    {"pthread", BENCH_TWIN, park_threads},
    {"park+schedule", BENCH_ONE_AND_ALL, park},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(yield_values, yield_variants, 0),
    BENCH_GROUP(park_values, park_variants, 0),
};

BENCH_MAIN(groups)
