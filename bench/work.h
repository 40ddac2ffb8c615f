/* work.h - the computations that Weft and its peers do alike, as plain serial code: the twins.
 *
 * Each has the shape of the parallel one, argument for argument: only the spawning is missing.  A sample that does not
 * come to the right number fails. */
#ifndef WORK_H
#define WORK_H

#include "bench.h"

/* Fibonacci numbers, the slow way, without a cut-off: nothing but calls. */
struct fib {
    int n;
    uint64_t result;
};

static inline int
fib_n(void)
{
    return bench_size(32, 27);
}

static inline uint64_t
fib_number(int n)
{
    uint64_t a = 0, b = 1;
    for (; n > 0; n--) {
        uint64_t c = a + b;
        a = b;
        b = c;
    }
    return a;
}

/* How many of the calls fork, for n: all but those below 2. */
static inline double
fib_forks(int n)
{
    return (double)fib_number(n + 1) - 1;
}

__attribute__((noinline)) static int
fib_serial(void *arg)
{
    struct fib *f = (struct fib *)arg;
    if (f->n < 2) {
        f->result = (uint64_t)f->n;
        return 0;
    }
    struct fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
    if (fib_serial(&a) < 0 || fib_serial(&b) < 0) return -1;
    f->result = a.result + b.result;
    return 0;
}

/* A tree of ten children each; its leaves are numbered, and their sum is wanted. */
struct sky {
    uint64_t number, leaves, sum; /* the first leaf, how many there are below */
};

enum { SKY_CHILDREN = 10 };

static inline uint64_t
sky_leaves(void)
{
    return (uint64_t)bench_size(1000000, 100000);
}

/* The nodes below the root, one task each. */
static inline double
sky_tasks(uint64_t leaves)
{
    double n = 0;
    for (; leaves > 1; leaves /= SKY_CHILDREN) n += (double)leaves;
    return n;
}

static inline struct sky
sky_child(const struct sky *s, int i)
{
    uint64_t leaves = s->leaves / SKY_CHILDREN;
    struct sky child = {s->number + (uint64_t)i * leaves, leaves, 0};
    return child;
}

__attribute__((noinline)) static int
sky_serial(void *arg)
{
    struct sky *s = (struct sky *)arg;
    if (s->leaves == 1) {
        s->sum = s->number;
        return 0;
    }
    struct sky children[SKY_CHILDREN];
    for (int i = 0; i < SKY_CHILDREN; i++) {
        children[i] = sky_child(s, i);
        if (sky_serial(&children[i]) < 0) return -1;
    }
    s->sum = 0;
    for (int i = 0; i < SKY_CHILDREN; i++) s->sum += children[i].sum;
    return 0;
}

/* In how many ways queens stand on a board without threatening each other.  A node tries each column of the next row,
 * and looks at the whole board every time: some work for each task. */
enum { QUEENS_MAX = 12 };

struct queens {
    int n, row; /* rows below row are set */
    signed char column[QUEENS_MAX];
    uint64_t solutions;
};

static inline int
queens_n(void)
{
    return bench_size(12, 10);
}

/* The nodes below the root, one task each; and the ways that there are. */
static inline double
queens_tasks(int n)
{
    return n == 12 ? 856188 : 35538;
}

static inline uint64_t
queens_ways(int n)
{
    return n == 12 ? 14200 : 724;
}

/* One copy in each program: the twin and the others run the same instructions. */
__attribute__((noinline, unused)) static bool
queens_safe(const struct queens *q)
{
    for (int i = 0; i < q->row; i++)
        for (int j = i + 1; j < q->row; j++) {
            int distance = q->column[j] - q->column[i];
            if (distance == 0 || distance == j - i || distance == i - j) return false;
        }
    return true;
}

/* Sets *next to q with a queen more, in that column; false if it cannot stand there. */
static inline bool
queens_next(const struct queens *q, int column, struct queens *next)
{
    *next = *q;
    next->column[next->row++] = (signed char)column;
    return queens_safe(next);
}

__attribute__((noinline)) static int
queens_serial(void *arg)
{
    struct queens *q = (struct queens *)arg, next[QUEENS_MAX];
    int n = 0;
    q->solutions = q->row == q->n;
    if (q->row == q->n) return 0;
    for (int column = 0; column < q->n; column++) {
        if (!queens_next(q, column, &next[n])) continue;
        if (queens_serial(&next[n++]) < 0) return -1;
    }
    for (int i = 0; i < n; i++) q->solutions += next[i].solutions;
    return 0;
}

/* Samples of a function of the shapes above, serial or parallel: on as much work as is usual, or as is said. */
static inline void
fib_sample_of(struct bench_sample *s, int n, int (*fn)(void *))
{
    struct fib warm = {n * 5 / 8, 0}, f = {n, 0};
    fn(&warm);
    int64_t begun = bench_now();
    if (fn(&f) < 0) bench_fail("fib failed");
    s->values[0] = bench_since(begun, fib_forks(n));
    bench_expect(f.result, fib_number(n), "fib");
}

static inline void
fib_sample(struct bench_sample *s, int (*fn)(void *))
{
    fib_sample_of(s, fib_n(), fn);
}

static inline void
sky_sample_of(struct bench_sample *s, uint64_t leaves, int (*fn)(void *))
{
    struct sky warm = {0, leaves > 1000 ? leaves / 1000 : 1, 0}, root = {0, leaves, 0};
    fn(&warm);
    int64_t begun = bench_now();
    if (fn(&root) < 0) bench_fail("skynet failed");
    s->values[0] = bench_since(begun, sky_tasks(leaves));
    bench_expect(root.sum, leaves * (leaves - 1) / 2, "skynet");
}

static inline void
sky_sample(struct bench_sample *s, int (*fn)(void *))
{
    sky_sample_of(s, sky_leaves(), fn);
}

static inline void
queens_sample(struct bench_sample *s, int (*fn)(void *))
{
    struct queens warm = {6, 0, {0}, 0}, root = {queens_n(), 0, {0}, 0};
    fn(&warm);
    int64_t begun = bench_now();
    if (fn(&root) < 0) bench_fail("nqueens failed");
    s->values[0] = bench_since(begun, queens_tasks(root.n));
    bench_expect(root.solutions, queens_ways(root.n), "nqueens");
}

/* Not every program has every one of these. */
__attribute__((unused)) static void
fib_twin(struct bench_sample *s)
{
    fib_sample(s, fib_serial);
}

__attribute__((unused)) static void
sky_twin(struct bench_sample *s)
{
    sky_sample(s, sky_serial);
}

__attribute__((unused)) static void
queens_twin(struct bench_sample *s)
{
    queens_sample(s, queens_serial);
}

__attribute__((unused)) static const struct bench_value fib_values[] = {{"forkjoin", "ns", "fork"}};
__attribute__((unused)) static const struct bench_value sky_values[] = {{"skynet", "ns", "task"}};
__attribute__((unused)) static const struct bench_value queens_values[] = {{"nqueens", "ns", "task"}};

#endif
