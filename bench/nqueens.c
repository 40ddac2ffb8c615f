/* nqueens.c - a search with some work in each task, and trees of very different sizes below them. */
#include "on_weft.h"
#include "threads.h"
#include "work.h"

static int
search(void *arg)
{
    struct queens *q = arg, next[QUEENS_MAX];
    weft_task *tasks[QUEENS_MAX];
    int n = 0;
    q->solutions = q->row == q->n;
    if (q->row == q->n) return 0;
    for (int column = 0; column < q->n; column++) {
        if (!queens_next(q, column, &next[n])) continue;
        tasks[n] = start(search, &next[n]);
        n++;
    }
    for (int i = 0; i < n; i++) {
        join(tasks[i]);
        q->solutions += next[i].solutions;
    }
    return 0;
}

/* A thread for each place in the first row, and plain calls from there: as one would do it by hand. */
static void *
search_thread(void *arg)
{
    queens_serial(arg);
    return NULL;
}

static int
search_threads(void *arg)
{
    struct queens *q = arg, next[QUEENS_MAX];
    pthread_t threads[QUEENS_MAX];
    for (int i = 0; i < q->n; i++) {
        queens_next(q, i, &next[i]);
        threads[i] = thread_start(search_thread, &next[i], NULL);
    }
    q->solutions = 0;
    for (int i = 0; i < q->n; i++) {
        pthread_join(threads[i], NULL);
        q->solutions += next[i].solutions;
    }
    return 0;
}

static void
threads(struct bench_sample *s)
{
    queens_sample(s, search_threads);
}

static void
spawn_and_join(struct bench_sample *s)
{
    queens_sample(s, search);
}

static const struct bench_variant variants[] = {
    {"serial", BENCH_TWIN, queens_twin},
    {"pthread", BENCH_TWIN, threads},
    {"spawn+join", BENCH_ONE_AND_ALL, spawn_and_join},
};
static const struct bench_group groups[] = {BENCH_GROUP(queens_values, variants, 0)};

BENCH_MAIN(groups)
