/* skynet.c - a tree of a million leaves: each node spawns ten children and joins them in order. */
#include "on_weft.h"
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

static void
spawn_and_join(struct bench_sample *s)
{
    sky_sample(s, grow);
}

static const struct bench_variant variants[] = {
    {"serial", BENCH_TWIN, sky_twin},
    {"spawn+join", BENCH_ONE_AND_ALL, spawn_and_join},
};
static const struct bench_group groups[] = {BENCH_GROUP(sky_values, variants, 0)};

BENCH_MAIN(groups)
