/* span.c - counting work and span (WEFT_SPAN): whether what is counted is the closed form, and what counting costs. */
#include "shapes.h"

#include <fcntl.h>

static struct bench_sample *wanted; /* by a run whose value is known at its end */

/* What a run says when it stops is not for those who watch benchmarks: only what it counted is. */
struct quiet {
    void (*body)(void *arg);
    void *arg;
    int stderr_was;
};

static void
run_then_be_quiet(void *arg)
{
    struct quiet *q = arg;
    q->body(q->arg);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    q->stderr_was = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (nowhere < 0 || q->stderr_was < 0 || dup2(nowhere, STDERR_FILENO) < 0) bench_fail("stderr: %s", strerror(errno));
    close(nowhere);
}

/* Span in nanoseconds for each microsecond of work: 1000 / parallelism. */
static void
counted_run(int workers, void (*body)(void *), void *arg)
{
    struct quiet q = {body, arg, -1};
    weft_stats stats = {0};
    setenv("WEFT_SPAN", "on", 1);
    on_weft_run(workers, run_then_be_quiet, &q);
    dup2(q.stderr_was, STDERR_FILENO);
    if (!wanted) return;
    ok(weft_stats_get(&stats), "weft_stats_get");
    if (stats.work_ns <= 0) bench_fail("nothing was counted");
    wanted->values[0] = 1000 * (double)stats.span_ns / (double)stats.work_ns;
}

static const struct bench_host counted = {"weft", bench_one_worker, counted_run};

/* ---- Shapes, against their closed forms ---- */

/* 10 us for each strand of the longer paths, else 100 or 1000: so much that what lies between them, and the first use of code and
 * stacks, some 40 us, is little. */
static struct shape
fib_shape(void)
{
    return shape_of("fib", (unsigned)bench_size(14, 8), 100 * SHAPE_US);
}

static struct shape
chain_shape(void)
{
    return shape_of("chain", (unsigned)bench_size(4000, 400), 10 * SHAPE_US);
}

static struct shape
flat_shape(void)
{
    return shape_of("flat", (unsigned)bench_size(64, 16), 1000 * SHAPE_US);
}

static struct shape
pipeline_shape(void)
{
    return shape_of("pipeline", (unsigned)bench_size(1000, 100), 10 * SHAPE_US);
}

static void
closed_form(struct bench_sample *s, struct shape shape)
{
    s->values[0] = 1000 * shape.span / shape.work;
}

static void
run_shape(struct bench_sample *s, struct shape shape)
{
    wanted = s;
    ok(shape.run(&shape), shape.name);
}

#define SHAPE(name)                                                                                                    \
    static void name##_closed(struct bench_sample *s)                                                                  \
    {                                                                                                                  \
        closed_form(s, name##_shape());                                                                                \
    }                                                                                                                  \
    static void name##_counted(struct bench_sample *s)                                                                 \
    {                                                                                                                  \
        run_shape(s, name##_shape());                                                                                  \
    }                                                                                                                  \
    static const struct bench_value name##_values[] = {{"span-" #name, "ns", "us of work"}};                           \
    static const struct bench_variant name##_variants[] = {{"closed-form", BENCH_TWIN, name##_closed},                 \
                                                           {"counted", BENCH_ONE, name##_counted}}

SHAPE(fib);
SHAPE(chain);
SHAPE(flat);
SHAPE(pipeline);

/* ---- What counting costs ---- */

enum { BATCH = 100 };

/* Tasks of a microsecond, a hundred at a time. */
static void
small_tasks(struct bench_sample *s)
{
    struct shape one = shape_of("chain", 1, SHAPE_US);
    weft_task *t[BATCH];
    int batches = bench_size(1000, 100);
    int64_t begun = 0;
    for (int k = -batches / 10; k < batches; k++) {
        if (k == 0) begun = bench_now();
        for (int i = 0; i < BATCH; i++) t[i] = start(shape_one, &one);
        for (int i = BATCH; i-- > 0;) join(t[i]);
    }
    s->values[0] = bench_since(begun, (double)batches * BATCH);
}

static void
small_tasks_body(void *arg)
{
    small_tasks(arg);
}

static void
uncounted(struct bench_sample *s)
{
    setenv("WEFT_SPAN", "off", 1);
    on_weft_run(1, small_tasks_body, s);
}

static const struct bench_value task_values[] = {{"span-cost", "ns", "task"}};
static const struct bench_variant task_variants[] = {{"not-counted", BENCH_TWIN, uncounted},
                                                     {"counted", BENCH_ONE, small_tasks}};

static const struct bench_group groups[] = {
    BENCH_GROUP(fib_values, fib_variants, 0),   BENCH_GROUP(chain_values, chain_variants, 0),
    BENCH_GROUP(flat_values, flat_variants, 0), BENCH_GROUP(pipeline_values, pipeline_variants, 0),
    BENCH_GROUP(task_values, task_variants, 0),
};

int
main(int argc, char **argv)
{
    return bench_main(argc, argv, &counted, groups, BENCH_COUNT(groups));
}
