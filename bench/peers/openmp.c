/* openmp.c - the benchmarks of trees and loops on OpenMP.  RUNTIME, a string: which runtime library it is. */
#include "../matmul.h"
#include "../mergesort.h"
#include "../rest.h"
#include "../uts.h"
#include "../vector.h"
#include "../work.h"

#include <omp.h>

/* ---- Trees ------------------------------------------------------------------------------------------------------ */

static int
fib_task(void *arg)
{
    struct fib *f = arg;
    if (f->n < 2) {
        f->result = (uint64_t)f->n;
        return 0;
    }
    struct fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
#pragma omp task shared(a)
    fib_task(&a);
    fib_task(&b);
#pragma omp taskwait
    f->result = a.result + b.result;
    return 0;
}

static int
sky_task(void *arg)
{
    struct sky *s = arg;
    if (s->leaves == 1) {
        s->sum = s->number;
        return 0;
    }
    struct sky children[SKY_CHILDREN];
    for (int i = 0; i < SKY_CHILDREN; i++) {
        children[i] = sky_child(s, i);
#pragma omp task shared(children) firstprivate(i)
        sky_task(&children[i]);
    }
#pragma omp taskwait
    s->sum = 0;
    for (int i = 0; i < SKY_CHILDREN; i++) s->sum += children[i].sum;
    return 0;
}

static int
queens_task(void *arg)
{
    struct queens *q = arg, next[QUEENS_MAX];
    int n = 0;
    q->solutions = q->row == q->n;
    if (q->row == q->n) return 0;
    for (int column = 0; column < q->n; column++) {
        if (!queens_next(q, column, &next[n])) continue;
#pragma omp task shared(next) firstprivate(n)
        queens_task(&next[n]);
        n++;
    }
#pragma omp taskwait
    for (int i = 0; i < n; i++) q->solutions += next[i].solutions;
    return 0;
}

static int
uts_task(void *arg)
{
    struct uts_node *n = arg;
    int count = uts_count(n);
    if (count == 0) return uts_leaf(n);
    struct uts_node *children = UTS_ROOM(count, struct uts_node);
    for (int i = 0; i < count; i++) {
        uts_child(n, i, &children[i]);
#pragma omp task firstprivate(children, i)
        uts_task(&children[i]);
    }
#pragma omp taskwait
    uts_found(n, children, count);
    uts_leave(count, children);
    return 0;
}

static int
matmul_task(void *arg)
{
    const struct matmul *m = arg;
    if (m->n <= MATMUL_LEAF) return matmul_leaf(m);
    for (int half = 0; half < 2; half++) {
        struct matmul parts[4];
        for (int i = 0; i < 4; i++) {
            parts[i] = matmul_part(m, half, i);
#pragma omp task shared(parts) firstprivate(i)
            matmul_task(&parts[i]);
        }
#pragma omp taskwait
    }
    return 0;
}

static int
merge_task(void *arg)
{
    const struct merge *m = arg;
    struct merge low, high;
    if (m->na + m->nb <= MERGE_RUN) return merge_leaf(m);
    merge_split(m, &low, &high);
#pragma omp task shared(low)
    merge_task(&low);
    merge_task(&high);
#pragma omp taskwait
    return 0;
}

static int
merge_sort_task(void *arg)
{
    const struct merge_sort *s = arg;
    if (s->n <= MERGE_RUN) return merge_sort_leaf(s);
    struct merge_sort low = merge_half(s, 0), high = merge_half(s, 1);
    struct merge m = merge_halves(s);
#pragma omp task shared(low)
    merge_sort_task(&low);
    merge_sort_task(&high);
#pragma omp taskwait
    return merge_task(&m);
}

/* Runs the root of a tree on the whole team. */
static int
on_team(int (*fn)(void *), void *arg)
{
    int code = 0;
#pragma omp parallel
#pragma omp single
    code = fn(arg);
    return code;
}

static int
fib_root(void *arg)
{
    return on_team(fib_task, arg);
}

static int
sky_root(void *arg)
{
    return on_team(sky_task, arg);
}

static int
queens_root(void *arg)
{
    return on_team(queens_task, arg);
}

static int
uts_search(void *arg)
{
    return on_team(uts_task, arg);
}

static int
matmul_root(void *arg)
{
    return on_team(matmul_task, arg);
}

static int
merge_sort_root(void *arg)
{
    return on_team(merge_sort_task, arg);
}

static void
fib_tree(struct bench_sample *s)
{
    fib_sample_of(s, bench_size(27, 22), fib_root);
}

static void
sky_tree(struct bench_sample *s)
{
    sky_sample(s, sky_root);
}

static void
queens_tree(struct bench_sample *s)
{
    queens_sample(s, queens_root);
}

static void
uts_t1_tree(struct bench_sample *s)
{
    uts_t1_sample(s, uts_search);
}

static void
uts_t3_tree(struct bench_sample *s)
{
    uts_t3_sample(s, uts_search);
}

static void
matmul_tree(struct bench_sample *s)
{
    matmul_sample(s, matmul_root);
}

static void
merge_sort_tree(struct bench_sample *s)
{
    merge_sample(s, merge_sort_root);
}

/* ---- Loops ------------------------------------------------------------------------------------------------------ */

static void
empty_loop(struct bench_sample *s)
{
    int calls = loop_calls() / 10, n = bench.workers;
    for (int warm = 1; warm >= 0; warm--) {
        int64_t begun = bench_now();
        for (int i = 0; i < (warm ? 100 : calls); i++) {
#pragma omp parallel for schedule(static)
            for (int k = 0; k < n; k++) empty_serial((size_t)k, (size_t)k + 1, NULL);
        }
        s->values[0] = bench_since(begun, calls);
    }
}

static void
fill_all(struct vector *v)
{
    double *x = v->x;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < v->n; i++) x[i] = (double)(int32_t)(i & 1023);
}

static double
sum_all(struct vector *v)
{
    const double *x = v->x;
    double sum = 0;
#pragma omp parallel for schedule(static) reduction(+ : sum)
    for (size_t i = 0; i < v->n; i++) sum += x[i];
    return sum;
}

static void
fill(struct bench_sample *s)
{
    fill_sample(s, fill_all);
}

static void
sum(struct bench_sample *s)
{
    sum_sample(s, sum_all);
}

/* ---- Starting and being idle ------------------------------------------------------------------------------------- */

static void
make_task(struct newcomer *n)
{
#pragma omp task firstprivate(n)
    newcomer_starts(n, omp_get_thread_num());
}

static void
finish_task(struct newcomer *n)
{
    (void)n;
#pragma omp taskwait
}

static void
start_elsewhere(struct bench_sample *s)
{
#pragma omp parallel
#pragma omp single
    start_sample(s, omp_get_thread_num, make_task, finish_task);
}

/* Between two parallel regions. */
static void
idle(struct bench_sample *s)
{
    volatile char *bytes = bench_alloc(IDLE_BYTES, 1);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < IDLE_BYTES; i++) bytes[i] = 1;
    idle_sample(s, idle_sleep_thread);
}

/* ---- What is measured ------------------------------------------------------------------------------------------- */

static void
run(int workers, void (*body)(void *), void *arg)
{
    omp_set_num_threads(workers);
    body(arg);
}

static const struct bench_host host = {"peer", omp_get_max_threads, run};

static const struct bench_variant fib_variants[] = {
    {RUNTIME "-task", BENCH_ONE_AND_ALL, fib_tree},
};
static const struct bench_variant sky_variants[] = {
    {RUNTIME "-task", BENCH_ONE_AND_ALL, sky_tree},
};
static const struct bench_variant queens_variants[] = {
    {RUNTIME "-task", BENCH_ONE_AND_ALL, queens_tree},
};
static const struct bench_variant uts_t1_variants[] = {
    {RUNTIME "-task", BENCH_ONE_AND_ALL, uts_t1_tree},
};
static const struct bench_variant uts_t3_variants[] = {
    {RUNTIME "-task", BENCH_ONE_AND_ALL, uts_t3_tree},
};
static const struct bench_variant matmul_variants[] = {
    {RUNTIME "-task", BENCH_ONE_AND_ALL, matmul_tree},
};
static const struct bench_variant merge_variants[] = {
    {RUNTIME "-task", BENCH_ONE_AND_ALL, merge_sort_tree},
};
static const struct bench_variant empty_variants[] = {
    {RUNTIME "-for", BENCH_ONE_AND_ALL, empty_loop},
};
static const struct bench_variant fill_variants[] = {
    {RUNTIME "-for", BENCH_ONE_AND_ALL, fill},
};
static const struct bench_variant sum_variants[] = {
    {RUNTIME "-reduction", BENCH_ONE_AND_ALL, sum},
};
static const struct bench_variant start_variants[] = {{RUNTIME "-task", BENCH_SEVERAL, start_elsewhere}};
static const struct bench_variant idle_variants[] = {{RUNTIME, BENCH_ONE_AND_ALL, idle}};
static const struct bench_group groups[] = {
    BENCH_GROUP(fib_values, fib_variants, 0),       BENCH_GROUP(sky_values, sky_variants, 0),
    BENCH_GROUP(queens_values, queens_variants, 0), BENCH_GROUP(uts_t1_values, uts_t1_variants, 1),
    BENCH_GROUP(uts_t3_values, uts_t3_variants, 1), BENCH_GROUP(matmul_values, matmul_variants, 2),
    BENCH_GROUP(merge_values, merge_variants, 1),   BENCH_GROUP(empty_values, empty_variants, 0),
    BENCH_GROUP(fill_values, fill_variants, 2),     BENCH_GROUP(sum_values, sum_variants, 2),
    BENCH_GROUP(start_values, start_variants, 0),   BENCH_GROUP(idle_values, idle_variants, 1),
};

int
main(int argc, char **argv)
{
    return bench_main(argc, argv, &host, groups, BENCH_COUNT(groups));
}
