/* nqueens.c - a search with some work in each task, and trees of very different sizes below them. */
#include "on_weft.h"
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

static void
spawn_and_join(struct bench_sample *s)
{
    queens_sample(s, search);
}

static const struct bench_variant variants[] = {
    {"serial", BENCH_TWIN, queens_twin},
    {"spawn+join", BENCH_ONE_AND_ALL, spawn_and_join},
};
static const struct bench_group groups[] = {BENCH_GROUP(queens_values, variants, 0)};

BENCH_MAIN(groups)
