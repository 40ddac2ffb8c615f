/* barrier.c - how long a generation of a barrier takes, of two parties and of eight. */
#include "on_weft.h"
#include "threads.h"

#include <weft/barrier.h>

enum { MOST_PARTIES = 8 };

struct round {
    weft_barrier barrier;
    pthread_barrier_t twin;
    int parties, generations;
    uint64_t serials[MOST_PARTIES]; /* of each party: how often it was the one */
};

struct party {
    struct round *round;
    int number;
};

static int
arrive(void *arg)
{
    struct party *p = arg;
    for (int i = 0; i < p->round->generations; i++) {
        int rc = weft_barrier_wait(&p->round->barrier);
        ok(rc, "weft_barrier_wait");
        p->round->serials[p->number] += rc == 1;
    }
    return 0;
}

static void *
arrive_thread(void *arg)
{
    struct party *p = arg;
    for (int i = 0; i < p->round->generations; i++)
        p->round->serials[p->number] += pthread_barrier_wait(&p->round->twin) == PTHREAD_BARRIER_SERIAL_THREAD;
    return NULL;
}

static void
finish(struct bench_sample *s, struct round *r, int64_t begun)
{
    uint64_t serials = 0;
    s->values[0] = bench_since(begun, r->generations);
    for (int k = 0; k < r->parties; k++) serials += r->serials[k];
    bench_expect(serials, (uint64_t)r->generations, "generations with one who was told");
}

static void
meet(struct bench_sample *s, int parties)
{
    struct round r = {.parties = parties, .generations = bench_size(200000, 20000)};
    struct party p[MOST_PARTIES];
    weft_task *t[MOST_PARTIES];
    ok(weft_barrier_init(&r.barrier, (size_t)parties), "weft_barrier_init");
    int64_t begun = bench_now();
    for (int k = 0; k < parties; k++) {
        p[k] = (struct party){&r, k};
        t[k] = start(arrive, &p[k]);
    }
    for (int k = 0; k < parties; k++) join(t[k]);
    finish(s, &r, begun);
}

static void
meet_threads(struct bench_sample *s, int parties)
{
    struct round r = {.parties = parties, .generations = bench_size(5000, 1000)};
    struct party p[MOST_PARTIES];
    pthread_t t[MOST_PARTIES];
    pthread_barrier_init(&r.twin, NULL, (unsigned)parties);
    int64_t begun = bench_now();
    for (int k = 0; k < parties; k++) {
        p[k] = (struct party){&r, k};
        t[k] = thread_start(arrive_thread, &p[k], NULL);
    }
    for (int k = 0; k < parties; k++) pthread_join(t[k], NULL);
    finish(s, &r, begun);
}

static void
two(struct bench_sample *s)
{
    meet(s, 2);
}

static void
eight(struct bench_sample *s)
{
    meet(s, MOST_PARTIES);
}

static void
two_threads(struct bench_sample *s)
{
    meet_threads(s, 2);
}

static void
eight_threads(struct bench_sample *s)
{
    meet_threads(s, MOST_PARTIES);
}

static const struct bench_value two_values[] = {{"barrier-2", "ns", "generation"}};
static const struct bench_variant two_variants[] = {
    {"pthread", BENCH_TWIN, two_threads},
    {"wait", BENCH_ONE_AND_ALL, two},
};
static const struct bench_value eight_values[] = {{"barrier-8", "ns", "generation"}};
static const struct bench_variant eight_variants[] = {
    {"pthread", BENCH_TWIN, eight_threads},
    {"wait", BENCH_ONE_AND_ALL, eight},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(two_values, two_variants, 0),
    BENCH_GROUP(eight_values, eight_variants, 0),
};

BENCH_MAIN(groups)
