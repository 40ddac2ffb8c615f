/* skynet.c - a tree of a million leaves: each node spawns ten children and joins them in order. */
#include "on_weft.h"
#include "threads.h"
#include "work.h"

static int
grow(void *arg)
{
    struct sky *s = arg;
    if (s->leaves == 1) {
        s->sum = s->number;
        return 0;
    }
    struct sky children[SKY_CHILDREN];
    weft_task *tasks[SKY_CHILDREN];
    for (int i = 0; i < SKY_CHILDREN; i++) {
        children[i] = sky_child(s, i);
        tasks[i] = start(grow, &children[i]);
    }
    s->sum = 0;
    for (int i = 0; i < SKY_CHILDREN; i++) {
        join(tasks[i]);
        s->sum += children[i].sum;
    }
    return 0;
}

/* A thread for each child: fewer leaves. */
static int grow_threads(void *arg);

static void *
grow_thread(void *arg)
{
    grow_threads(arg);
    return NULL;
}

static int
grow_threads(void *arg)
{
    struct sky *s = arg;
    if (s->leaves == 1) {
        s->sum = s->number;
        return 0;
    }
    struct sky children[SKY_CHILDREN];
    pthread_t threads[SKY_CHILDREN];
    for (int i = 0; i < SKY_CHILDREN; i++) {
        children[i] = sky_child(s, i);
        threads[i] = thread_start(grow_thread, &children[i], NULL);
    }
    s->sum = 0;
    for (int i = 0; i < SKY_CHILDREN; i++) {
        pthread_join(threads[i], NULL);
        s->sum += children[i].sum;
    }
    return 0;
}

static void
threads(struct bench_sample *s)
{
    sky_sample_of(s, (uint64_t)bench_size(1000, 100), grow_threads);
}

static void
spawn_and_join(struct bench_sample *s)
{
    sky_sample(s, grow);
}

static const struct bench_variant variants[] = {
    {"serial", BENCH_TWIN, sky_twin},
    {"pthread", BENCH_TWIN, threads},
    {"spawn+join", BENCH_ONE_AND_ALL, spawn_and_join},
};
static const struct bench_group groups[] = {BENCH_GROUP(sky_values, variants, 0)};

BENCH_MAIN(groups)
