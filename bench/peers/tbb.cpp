/* tbb.cpp - the benchmarks of trees and loops on oneTBB. */
#include "../keys.h"
#include "../matmul.h"
#include "../mergesort.h"
#include "../rest.h"
#include "../uts.h"
#include "../vector.h"
#include "../work.h"

#include <cstdlib>
#include <functional>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_invoke.h>
#include <tbb/parallel_reduce.h>
#include <tbb/parallel_scan.h>
#include <tbb/parallel_sort.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

namespace
{

/* ---- Trees ------------------------------------------------------------------------------------------------------ */

int
fib_invoke(void *arg)
{
    fib *f = static_cast<fib *>(arg);
    if (f->n < 2) {
        f->result = static_cast<uint64_t>(f->n);
        return 0;
    }
    fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
    tbb::parallel_invoke([&] { fib_invoke(&a); }, [&] { fib_invoke(&b); });
    f->result = a.result + b.result;
    return 0;
}

int
fib_group(void *arg)
{
    fib *f = static_cast<fib *>(arg);
    if (f->n < 2) {
        f->result = static_cast<uint64_t>(f->n);
        return 0;
    }
    fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
    tbb::task_group tasks;
    tasks.run([&] { fib_group(&a); });
    fib_group(&b);
    tasks.wait();
    f->result = a.result + b.result;
    return 0;
}

int
sky_group(void *arg)
{
    sky *s = static_cast<sky *>(arg);
    if (s->leaves == 1) {
        s->sum = s->number;
        return 0;
    }
    sky children[SKY_CHILDREN];
    tbb::task_group tasks;
    for (int i = 0; i < SKY_CHILDREN; i++) {
        children[i] = sky_child(s, i);
        tasks.run([child = &children[i]] { sky_group(child); });
    }
    tasks.wait();
    s->sum = 0;
    for (const sky &child : children) s->sum += child.sum;
    return 0;
}

int
queens_group(void *arg)
{
    queens *q = static_cast<queens *>(arg), next[QUEENS_MAX];
    int n = 0;
    q->solutions = q->row == q->n;
    if (q->row == q->n) return 0;
    tbb::task_group tasks;
    for (int column = 0; column < q->n; column++) {
        if (!queens_next(q, column, &next[n])) continue;
        tasks.run([child = &next[n]] { queens_group(child); });
        n++;
    }
    tasks.wait();
    for (int i = 0; i < n; i++) q->solutions += next[i].solutions;
    return 0;
}

int
uts_group(void *arg)
{
    uts_node *n = static_cast<uts_node *>(arg);
    int count = uts_count(n);
    if (count == 0) return uts_leaf(n);
    uts_node *children = UTS_ROOM(count, uts_node);
    tbb::task_group tasks;
    for (int i = 0; i < count; i++) {
        uts_child(n, i, &children[i]);
        tasks.run([child = &children[i]] { uts_group(child); });
    }
    tasks.wait();
    uts_found(n, children, count);
    uts_leave(count, children);
    return 0;
}

int
matmul_group(void *arg)
{
    const matmul *m = static_cast<const matmul *>(arg);
    if (m->n <= MATMUL_LEAF) return matmul_leaf(m);
    for (int half = 0; half < 2; half++) {
        matmul parts[4];
        tbb::task_group tasks;
        for (int i = 0; i < 4; i++) {
            parts[i] = matmul_part(m, half, i);
            tasks.run([part = &parts[i]] { matmul_group(part); });
        }
        tasks.wait();
    }
    return 0;
}

void
merge_invoke(const merge *m)
{
    merge low, high;
    if (m->na + m->nb <= MERGE_RUN) {
        merge_leaf(m);
        return;
    }
    merge_split(m, &low, &high);
    tbb::parallel_invoke([&] { merge_invoke(&low); }, [&] { merge_invoke(&high); });
}

int
merge_sort_invoke(void *arg)
{
    const merge_sort *s = static_cast<const merge_sort *>(arg);
    if (s->n <= MERGE_RUN) return merge_sort_leaf(s);
    merge_sort low = merge_half(s, 0), high = merge_half(s, 1);
    merge m = merge_halves(s);
    tbb::parallel_invoke([&] { merge_sort_invoke(&low); }, [&] { merge_sort_invoke(&high); });
    merge_invoke(&m);
    return 0;
}

/* ---- Loops ------------------------------------------------------------------------------------------------------ */

void
empty_loop(bench_sample *s)
{
    int calls = loop_calls() / 10, n = bench.workers;
    auto body = [](int k) { empty_serial(static_cast<size_t>(k), static_cast<size_t>(k) + 1, nullptr); };
    for (int i = 0; i < 100; i++) tbb::parallel_for(0, n, body);
    int64_t begun = bench_now();
    for (int i = 0; i < calls; i++) tbb::parallel_for(0, n, body);
    s->values[0] = bench_since(begun, calls);
}

using range = tbb::blocked_range<size_t>;

void
fill_all(vector *v)
{
    tbb::parallel_for(range(0, v->n), [v](const range &r) { fill_range(r.begin(), r.end(), v); });
}

double
sum_all(vector *v)
{
    auto add_range = [v](const range &r, double sum) {
        sum_range(r.begin(), r.end(), &sum, v);
        return sum;
    };
    return tbb::parallel_reduce(range(0, v->n), 0.0, add_range, std::plus<double>());
}

/* Not stable. */
void
sort_all(keys *k)
{
    tbb::parallel_sort(k->x, k->x + k->n);
}

void
scan_all(uint64_t *out, const keys *k)
{
    auto scan_range = [out, k](const range &r, uint64_t sum, bool final) {
        for (size_t i = r.begin(); i < r.end(); i++) {
            sum += k->x[i];
            if (final) out[i] = sum;
        }
        return sum;
    };
    tbb::parallel_scan(range(0, k->n), uint64_t{0}, scan_range, std::plus<uint64_t>());
}

/* ---- Starting and being idle ------------------------------------------------------------------------------------- */

tbb::task_group *newcomers;

void
make_task(newcomer *n)
{
    newcomers->run([n] { newcomer_starts(n, tbb::this_task_arena::current_thread_index()); });
}

void
finish_task(newcomer *)
{
    newcomers->wait();
}

void
start_elsewhere(bench_sample *s)
{
    tbb::task_group tasks;
    newcomers = &tasks;
    start_sample(s, tbb::this_task_arena::current_thread_index, make_task, finish_task);
}

void
idle(bench_sample *s)
{
    volatile char *bytes = static_cast<volatile char *>(bench_alloc(IDLE_BYTES, 1));
    tbb::parallel_for(0, static_cast<int>(IDLE_BYTES), [bytes](int i) { bytes[i] = 1; });
    idle_sample(s, idle_sleep_thread);
}

/* ---- What is measured ------------------------------------------------------------------------------------------- */

/* oneTBB has no variable of its own for it. */
int
workers()
{
    const char *asked = std::getenv("BENCH_WORKERS");
    return asked ? std::atoi(asked) : tbb::info::default_concurrency();
}

void
run(int workers, void (*body)(void *), void *arg)
{
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(workers));
    tbb::task_arena arena(workers);
    arena.execute([&] { body(arg); });
}

const bench_host host = {"peer", workers, run};

const bench_variant fib_variants[] = {
    {"tbb-parallel_invoke", BENCH_ONE_AND_ALL, [](bench_sample *s) { fib_sample(s, fib_invoke); }},
    {"tbb-task_group", BENCH_ONE_AND_ALL, [](bench_sample *s) { fib_sample(s, fib_group); }},
};
const bench_variant sky_variants[] = {
    {"tbb-task_group", BENCH_ONE_AND_ALL, [](bench_sample *s) { sky_sample(s, sky_group); }},
};
const bench_variant queens_variants[] = {
    {"tbb-task_group", BENCH_ONE_AND_ALL, [](bench_sample *s) { queens_sample(s, queens_group); }},
};
const bench_variant uts_t1_variants[] = {
    {"tbb-task_group", BENCH_ONE_AND_ALL, [](bench_sample *s) { uts_t1_sample(s, uts_group); }},
};
const bench_variant uts_t3_variants[] = {
    {"tbb-task_group", BENCH_ONE_AND_ALL, [](bench_sample *s) { uts_t3_sample(s, uts_group); }},
};
const bench_variant matmul_variants[] = {
    {"tbb-task_group", BENCH_ONE_AND_ALL, [](bench_sample *s) { matmul_sample(s, matmul_group); }},
};
const bench_variant merge_variants[] = {
    {"tbb-parallel_invoke", BENCH_ONE_AND_ALL, [](bench_sample *s) { merge_sample(s, merge_sort_invoke); }},
};
const bench_variant empty_variants[] = {
    {"tbb-parallel_for", BENCH_ONE_AND_ALL, empty_loop},
};
const bench_variant fill_variants[] = {
    {"tbb-parallel_for", BENCH_ONE_AND_ALL, [](bench_sample *s) { fill_sample(s, fill_all); }},
};
const bench_variant sum_variants[] = {
    {"tbb-parallel_reduce", BENCH_ONE_AND_ALL, [](bench_sample *s) { sum_sample(s, sum_all); }},
};
const bench_variant sort_variants[] = {
    {"tbb-parallel_sort", BENCH_ONE_AND_ALL, [](bench_sample *s) { sort_sample(s, sort_all); }},
};
const bench_variant scan_variants[] = {
    {"tbb-parallel_scan", BENCH_ONE_AND_ALL, [](bench_sample *s) { scan_sample(s, scan_all); }},
};
const bench_variant start_variants[] = {{"tbb-task_group", BENCH_SEVERAL, start_elsewhere}};
const bench_variant idle_variants[] = {{"tbb", BENCH_ONE_AND_ALL, idle}};
const bench_group groups[] = {
    BENCH_GROUP(fib_values, fib_variants, 0),       BENCH_GROUP(sky_values, sky_variants, 0),
    BENCH_GROUP(queens_values, queens_variants, 0), BENCH_GROUP(uts_t1_values, uts_t1_variants, 1),
    BENCH_GROUP(uts_t3_values, uts_t3_variants, 1), BENCH_GROUP(matmul_values, matmul_variants, 2),
    BENCH_GROUP(merge_values, merge_variants, 1),   BENCH_GROUP(empty_values, empty_variants, 0),
    BENCH_GROUP(fill_values, fill_variants, 2),     BENCH_GROUP(sum_values, sum_variants, 2),
    BENCH_GROUP(sort_values, sort_variants, 5),     BENCH_GROUP(scan_values, scan_variants, 0),
    BENCH_GROUP(start_values, start_variants, 0),   BENCH_GROUP(idle_values, idle_variants, 1),
};

} // namespace

int
main(int argc, char **argv)
{
    return bench_main(argc, argv, &host, groups, BENCH_COUNT(groups));
}
