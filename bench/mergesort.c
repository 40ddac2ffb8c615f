/* mergesort.c - sorting by halves and merging by halves, as one would write it with forks: not Weft's own sort. */
#include "mergesort.h"
#include "on_weft.h"
#include "threads.h"

static int
merge_in_parallel(void *arg)
{
    const struct merge *m = arg;
    struct merge low, high;
    if (m->na + m->nb <= MERGE_RUN) return merge_leaf(m);
    merge_split(m, &low, &high);
    return weft_both(merge_in_parallel, &low, merge_in_parallel, &high);
}

static int
by_both(void *arg)
{
    const struct merge_sort *s = arg;
    if (s->n <= MERGE_RUN) return merge_sort_leaf(s);
    struct merge_sort low = merge_half(s, 0), high = merge_half(s, 1);
    struct merge m = merge_halves(s);
    int code = weft_both(by_both, &low, by_both, &high);
    return code < 0 ? code : merge_in_parallel(&m);
}

/* A thread for one of two halves, as long as there are workers without one; halves that one thread has sorted are merged
 * by one. */
struct by_hand {
    struct merge_sort sort;
    int workers;
};

static void *
by_hand_thread(void *arg)
{
    struct by_hand *h = arg;
    if (h->workers == 1) {
        merge_sort_leaf(&h->sort);
        return NULL;
    }
    struct by_hand low = {merge_half(&h->sort, 0), h->workers / 2};
    struct by_hand high = {merge_half(&h->sort, 1), h->workers - h->workers / 2};
    struct merge m = merge_halves(&h->sort);
    pthread_t other = thread_start(by_hand_thread, &low, NULL);
    by_hand_thread(&high);
    pthread_join(other, NULL);
    merge_leaf(&m);
    return NULL;
}

static int
by_hand(void *arg)
{
    struct by_hand h = {*(struct merge_sort *)arg, bench.workers};
    by_hand_thread(&h);
    return 0;
}

static void
serial(struct bench_sample *s)
{
    merge_sample(s, merge_sort_serial);
}

static void
threads(struct bench_sample *s)
{
    merge_sample(s, by_hand);
}

static void
both(struct bench_sample *s)
{
    merge_sample(s, by_both);
}

static const struct bench_variant variants[] = {
    {"serial", BENCH_TWIN, serial},
    {"pthread", BENCH_TWIN, threads},
    {"both", BENCH_ONE_AND_ALL, both},
};
static const struct bench_group groups[] = {BENCH_GROUP(merge_values, variants, 1)};

BENCH_MAIN(groups)
