/* fftw.c - a bridge for FFTW: its parallel loops run as weft_for, on the workers that there are, and no thread is made.
 *
 *     cc -O2 fftw.c $(pkg-config --cflags --libs weft fftw3) -lfftw3_threads -lm && ./a.out -t 2048
 *
 * So a transform may be called wherever a task may be: alone, from many tasks at the same time, from within a parallel loop.
 * What else has to be known is in docs/numeric.md: stacks, and who makes plans. */
#include <fftw3.h>
#include <math.h>
#include <stdatomic.h>

#include "numeric.h"

/* ---- The bridge. */

struct jobs {
    void *(*work)(char *);
    char *data;
    size_t size;
};

static int
run_jobs(size_t begin, size_t end, void *ctx)
{
    const struct jobs *j = ctx;
    for (size_t i = begin; i < end; i++) j->work(j->data + i * j->size);
    return 0;
}

/* FFTW cannot be told that a loop has failed.  So a cancellation is not seen inside: it is whole loops or nothing, and
 * where weft_for cannot even start, nothing has run. */
static void
parallel_loop(void *(*work)(char *), char *data, size_t size, int count, void *ctx)
{
    struct jobs j = {work, data, size};
    weft_scope shield;
    atomic_fetch_add_explicit((_Atomic long *)ctx, 1, memory_order_relaxed);
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    int code = weft_scope_close(&shield, weft_for(0, (size_t)count, 1, run_jobs, &j));
    if (code < 0) run_jobs(0, (size_t)count, &j);
}

static bool
set_up_bridge(_Atomic long *loops)
{
    if (!fftw_init_threads()) return false;
    fftw_threads_set_callback(parallel_loop, (void *)loops);
    return true;
}

/* ---- What is transformed: pictures of n x n, all with one plan. */

enum { PICTURES = 6 };

struct work {
    struct options options;
    fftw_plan parallel, serial;
    weft_mutex planner;
    fftw_complex *in, *twin, *out[PICTURES];
};

static int
transform_one(void *arg)
{
    const struct work *w = arg;
    fftw_execute_dft(w->parallel, w->in, w->out[0]);
    return 0;
}

static int
plain(void *arg)
{
    const struct work *w = arg;
    fftw_execute_dft(w->serial, w->in, w->twin);
    return 0;
}

static int
transform_some(size_t begin, size_t end, void *ctx)
{
    const struct work *w = ctx;
    for (size_t i = begin; i < end; i++) fftw_execute_dft(w->parallel, w->in, w->out[i]);
    return 0;
}

/* Loops within a loop: each body calls FFTW, which calls the bridge. */
static int
transform_all(void *arg)
{
    return weft_for(0, PICTURES, 1, transform_some, arg);
}

/* FFTW makes one plan at a time.  A planner that measures runs loops, which may park: so what it is locked by has to belong to
 * the task, not to a thread. */
static int
plan_some(size_t begin, size_t end, void *ctx)
{
    struct work *w = ctx;
    int n = (int)w->options.size;
    for (size_t i = begin; i < end; i++) {
        weft_mutex_lock(&w->planner);
        fftw_plan plan = fftw_plan_dft_2d(n, n, w->out[i], w->out[i], FFTW_FORWARD, FFTW_MEASURE);
        weft_mutex_unlock(&w->planner);
        if (!plan) return WEFT_ENOMEM;
        memcpy(w->out[i], w->in, w->options.size * w->options.size * sizeof *w->in);
        fftw_execute(plan);
        weft_mutex_lock(&w->planner);
        fftw_destroy_plan(plan);
        weft_mutex_unlock(&w->planner);
    }
    return 0;
}

static int
plan_all(void *arg)
{
    return weft_for(0, PICTURES, 1, plan_some, arg);
}

/* A transform that has begun is not torn by a cancellation. */
static int
transform_cancelled(void *arg)
{
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_cancel(&s, WEFT_ECANCELED);
    transform_one(arg);
    int code = weft_scope_close(&s, 0);
    return code == WEFT_ECANCELED ? 0 : code;
}

/* ---- The program. */

/* Whether the first `count` results are the serial one's, within 1e-15 log2(n^2) of the largest; what is left there is no result. */
static int
examine(const struct work *w, const char *what, size_t count)
{
    size_t size = w->options.size * w->options.size;
    double largest = 0, worst = 0;
    for (size_t i = 0; i < size; i++) largest = fmax(largest, hypot(w->twin[i][0], w->twin[i][1]));
    for (size_t p = 0; p < count; p++) {
        for (size_t i = 0; i < size; i++) {
            worst = fmax(worst, hypot(w->out[p][i][0] - w->twin[i][0], w->out[p][i][1] - w->twin[i][1]));
        }
        memset(w->out[p], 0, size * sizeof *w->out[p]);
    }
    bool good = worst <= 1e-15 * 2 * log2((double)w->options.size) * largest;
    printf("%s: %s\n", what, good ? "as the serial transform, within 1e-15 log2(n^2)" : "NOT as the serial transform");
    return good ? 0 : 1;
}

static int
root(void *arg)
{
    struct work *w = arg;
    printf("%zu x %zu points\n", w->options.size, w->options.size);
    int code = run_version(&w->options, "serial", plain, w);
    if (code == 0) code = run_version(&w->options, "one transform", transform_one, w);
    if (code == 0) code = examine(w, "one transform", 1);
    if (code == 0) code = run_version(&w->options, "six in a parallel loop", transform_all, w);
    if (code == 0) code = examine(w, "six in a parallel loop", PICTURES);
    if (code == 0) code = run_version(&w->options, "six that plan by measuring", plan_all, w);
    if (code == 0) code = examine(w, "six that plan by measuring", PICTURES);
    if (code == 0) code = transform_cancelled(w);
    if (code == 0) code = examine(w, "one in a scope that is cancelled", 1);
    return code;
}

int
main(int argc, char **argv)
{
    static _Atomic long loops;
    struct work w = {.options = options_of(argc, argv, 128, 2, 20000)};
    int n = (int)w.options.size;
    size_t size = w.options.size * w.options.size;
    uint64_t stream = 13;
    if (!set_up_bridge(&loops)) return 1;
    fftw_complex **all[PICTURES + 2] = {&w.in, &w.twin};
    for (int i = 0; i < PICTURES; i++) all[i + 2] = &w.out[i];
    for (int i = 0; i < PICTURES + 2; i++) {
        if (!(*all[i] = fftw_alloc_complex(size))) return 1;
        memset(*all[i], 0, size * sizeof **all[i]);
    }
    w.serial = fftw_plan_dft_2d(n, n, w.in, w.twin, FFTW_FORWARD, FFTW_ESTIMATE);
    fftw_plan_with_nthreads(
        8); /* from here on, plans cut their work in so many pieces, whatever the number of workers */
    w.parallel = fftw_plan_dft_2d(n, n, w.in, w.out[0], FFTW_FORWARD, FFTW_ESTIMATE);
    if (!w.parallel || !w.serial) return 1;
    for (size_t i = 0; i < size; i++) w.in[i][0] = next_uniform(&stream) - 0.5;

    /* FFTW has buffers of up to 64 KiB on the stack: a task may count on a quarter of what is given here. */
    int code = weft_run(&(weft_config){.stack_size = (size_t)1 << 20}, root, &w);
    if (code < 0) fprintf(stderr, "%s: %s\n", argv[0], weft_error_text(code));
    printf("loops went over the bridge: %s\n", loops > 0 ? "yes" : "NO");

    fftw_destroy_plan(w.parallel);
    fftw_destroy_plan(w.serial);
    for (int i = 0; i < PICTURES + 2; i++) fftw_free(*all[i]);
    fftw_cleanup_threads();
    return code != 0 || loops == 0;
}
