/* bench.h - what the benchmarks share: runs in processes of their own, interleaved rounds, a line of JSON per result.
 *
 *     PROGRAM [-r ROUNDS] [-q] [NAME ...]     -q: quick, with less work in each sample; NAME: only benchmarks so called
 *     PROGRAM -l                              lists its groups: the first name of each, and its most rounds (0: any)
 *
 * A program has groups.  A group is one piece of work in several variants: its plain twins, the one that others are
 * compared with first, and the ways to do the same on the scheduler that the program measures (its host), each with one
 * worker and with all.  In every round each of them is run once, so that what disturbs the machine for a while disturbs
 * all of them alike.  Peers have no twins of their own: they are compared with those of Weft's program.
 *
 * Each run is a process of its own: no bound thread, cached stack or warm heap of one is there for the next.  It may
 * measure several values, and looks itself whether what it computed is right.  The exit status is 1 if anything was
 * wrong, died, or took longer than BENCH_PATIENCE seconds; the rest is run all the same.
 *
 * This header is C and C++, and knows no scheduler: peers are measured with it as well. */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BENCH_VALUES = 3, BENCH_PATIENCE = 120, BENCH_MAX_CELLS = 16, BENCH_MAX_ROUNDS = 1000 };

/* What one run found: the values of its group. */
struct bench_sample {
    double values[BENCH_VALUES];
};

/* With how many workers a variant is run. */
enum bench_at {
    BENCH_TWIN,        /* outside of the scheduler, once; reported as 0 workers */
    BENCH_ONE_AND_ALL, /* with one, and with all */
    BENCH_ONE,
    BENCH_SEVERAL /* with all, if these are at least two */
};

struct bench_variant {
    const char *name;
    enum bench_at at;
    void (*run)(struct bench_sample *s);
};

/* A value that the runs of a group measure.  unit is also its key in the JSON; per is the operation that it is for. */
struct bench_value {
    const char *name, *unit, *per;
};

struct bench_group {
    const struct bench_value *values;
    int n_values;
    const struct bench_variant *variants;
    int n_variants;
    int max_rounds; /* 0: as many as are asked for */
};

/* The scheduler that a program measures. */
struct bench_host {
    const char *kind; /* "weft" or "peer" */
    /* How many are all. */
    int (*workers)(void);
    /* Calls body(arg) on that many workers. */
    void (*run)(int workers, void (*body)(void *), void *arg);
};

/* The host of what needs no scheduler. */
static inline int
bench_one_worker(void)
{
    return 1;
}

static inline void
bench_run_here(int workers, void (*body)(void *), void *arg)
{
    (void)workers;
    body(arg);
}

/* What a run may ask: is it to be quick, and on how many workers is it (twins: on how many are the others at most). */
static struct {
    bool quick;
    int workers;
} bench = {false, 1};

/* Ends a run: what it was to measure could not be done, or came out wrong. */
#if defined(__cplusplus)
[[noreturn]]
#else
_Noreturn
#endif
__attribute__((format(printf, 1, 2))) static inline void
bench_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(1);
}

static inline int64_t
bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds since begun, for each of n operations. */
static inline double
bench_since(int64_t begun, double n)
{
    return (double)(bench_now() - begun) / n;
}

static inline int
bench_size(int normal, int quick)
{
    return bench.quick ? quick : normal;
}

static inline void
bench_expect(uint64_t actual, uint64_t expected, const char *what)
{
    if (actual != expected) bench_fail("%s: %" PRIu64 " instead of %" PRIu64, what, actual, expected);
}

static inline void *
bench_alloc(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p) bench_fail("no memory for %zu times %zu bytes", n, size);
    return p;
}

static inline int
bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the n values and returns the one in the middle. */
static inline double
bench_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, bench_compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* A variant with a number of workers, and what its runs have found. */
struct bench_cell {
    const struct bench_variant *variant;
    int workers;
    bool failed;
    double values[BENCH_VALUES][BENCH_MAX_ROUNDS];
};

struct bench_call {
    void (*run)(struct bench_sample *s);
    struct bench_sample *sample;
};

static inline void
bench_call_run(void *arg)
{
    struct bench_call *c = (struct bench_call *)arg;
    c->run(c->sample);
}

/* Calls run in a process of its own, inside of host unless that is NULL.  Returns NULL, or what went wrong. */
static inline const char *
bench_isolated(const struct bench_host *host, int workers, void (*run)(struct bench_sample *), struct bench_sample *s)
{
    static char text[64];
    int ends[2], status;
    if (pipe(ends) < 0) return strerror(errno);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) return strerror(errno);
    if (child == 0) {
        struct bench_sample mine = {{0, 0, 0}};
        struct bench_call call = {run, &mine};
        alarm(BENCH_PATIENCE);
        bench.workers = workers;
        if (host) host->run(workers, bench_call_run, &call);
        else run(&mine);
        _exit(write(ends[1], &mine, sizeof mine) == (ssize_t)sizeof mine ? 0 : 1);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], s, sizeof *s);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFSIGNALED(status)) snprintf(text, sizeof text, "died: %.40s", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0) snprintf(text, sizeof text, "ended with exit status %d", WEXITSTATUS(status));
    else if (got != (ssize_t)sizeof *s) snprintf(text, sizeof text, "said nothing");
    else return NULL;
    return text;
}

static inline void
bench_print(const struct bench_host *host, const struct bench_value *value, struct bench_cell *c, double *samples,
            int rounds)
{
    bool twin = c->variant->at == BENCH_TWIN;
    double median = bench_median(samples, rounds);
    printf("{\"bench\":\"%s\", \"variant\":\"%s\", \"kind\":\"%s\", \"workers\":%d, \"unit\":\"%s\", \"per\":\"%s\", "
           "\"%s\":%.6g, \"min\":%.6g, \"max\":%.6g, \"rounds\":%d}\n",
           value->name, c->variant->name, twin ? "twin" : host->kind, twin ? 0 : c->workers, value->unit, value->per,
           value->unit, median, samples[0], samples[rounds - 1], rounds);
}

/* The cells of a group, at most BENCH_MAX_CELLS; returns how many. */
static inline int
bench_cells(const struct bench_group *g, int all, struct bench_cell *cells)
{
    int n = 0;
    for (int i = 0; i < g->n_variants; i++) {
        const struct bench_variant *v = &g->variants[i];
        bool one = v->at == BENCH_ONE || v->at == BENCH_ONE_AND_ALL;
        bool several = (v->at == BENCH_SEVERAL || v->at == BENCH_ONE_AND_ALL) && all > 1;
        for (int k = 0; k < 3; k++) {
            if (!(k == 0 ? v->at == BENCH_TWIN : k == 1 ? one : several)) continue;
            if (n == BENCH_MAX_CELLS) bench_fail("%s has too many variants", g->values[0].name);
            cells[n].variant = v;
            cells[n].workers = k == 1 ? 1 : all;
            cells[n++].failed = false;
        }
        if (v->at == BENCH_SEVERAL && !several)
            fprintf(stderr, "bench: %s, %s: skipped, it takes two workers\n", g->values[0].name, v->name);
    }
    return n;
}

static inline void
bench_run_cell(const struct bench_host *host, const struct bench_group *g, struct bench_cell *c, int round)
{
    struct bench_sample s;
    bool twin = c->variant->at == BENCH_TWIN;
    const char *error = bench_isolated(twin ? NULL : host, c->workers, c->variant->run, &s);
    if (error) {
        fprintf(stderr, "bench: %s, %s, workers: %d: %s\n", g->values[0].name, c->variant->name, twin ? 0 : c->workers,
                error);
        c->failed = true;
        return;
    }
    for (int v = 0; v < g->n_values; v++) c->values[v][round] = s.values[v];
}

/* All rounds of a group; returns how many of its cells failed. */
static inline int
bench_run_group(const struct bench_host *host, const struct bench_group *g, int all, int rounds)
{
    static struct bench_cell cells[BENCH_MAX_CELLS];
    int n = bench_cells(g, all, cells), failures = 0;
    if (g->max_rounds && rounds > g->max_rounds) rounds = g->max_rounds;
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < n; i++)
            if (!cells[i].failed) bench_run_cell(host, g, &cells[i], round);
    for (int v = 0; v < g->n_values; v++)
        for (int i = 0; i < n; i++)
            if (!cells[i].failed) bench_print(host, &g->values[v], &cells[i], cells[i].values[v], rounds);
    for (int i = 0; i < n; i++) failures += cells[i].failed;
    return failures;
}

static inline bool
bench_named(const struct bench_group *g, char **names)
{
    if (!*names) return true;
    for (; *names; names++)
        for (int v = 0; v < g->n_values; v++)
            if (strcmp(*names, g->values[v].name) == 0) return true;
    return false;
}

static inline int
bench_list(const struct bench_group *groups, int n_groups)
{
    for (int i = 0; i < n_groups; i++) printf("%s %d\n", groups[i].values[0].name, groups[i].max_rounds);
    return 0;
}

static const struct bench_host *bench_asked;

static inline void
bench_ask_workers(struct bench_sample *s)
{
    s->values[0] = bench_asked->workers();
}

/* The body of a program's main. */
static inline int
bench_main(int argc, char **argv, const struct bench_host *host, const struct bench_group *groups, int n_groups)
{
    struct bench_sample s;
    int rounds = 9, option, failures = 0, found = 0;
    while ((option = getopt(argc, argv, "r:ql")) != -1) {
        if (option == 'q') bench.quick = true;
        if (option == 'r') rounds = atoi(optarg);
        if (option == 'l') return bench_list(groups, n_groups);
        if (option == '?') return 2;
    }
    if (rounds < 1 || rounds > BENCH_MAX_ROUNDS) {
        fprintf(stderr, "bench: -r takes 1 to %d rounds\n", BENCH_MAX_ROUNDS);
        return 2;
    }
    bench_asked = host;
    const char *error = bench_isolated(NULL, 0, bench_ask_workers, &s);
    int all = error ? 0 : (int)s.values[0];
    if (all < 1) {
        fprintf(stderr, "bench: asked how many workers there are, the scheduler %s\n", error ? error : "failed");
        return 1;
    }
    for (int i = 0; i < n_groups; i++) {
        if (!bench_named(&groups[i], argv + optind)) continue;
        failures += bench_run_group(host, &groups[i], all, rounds);
        found++;
    }
    if (!found) fprintf(stderr, "bench: there is no benchmark of that name here\n");
    return failures || !found;
}

#define BENCH_COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define BENCH_GROUP(values, variants, max_rounds)                                                                      \
    {                                                                                                                  \
        values, BENCH_COUNT(values), variants, BENCH_COUNT(variants), max_rounds                                       \
    }

#endif
