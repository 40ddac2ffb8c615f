/* numeric.h - what the numeric examples share: their arguments, a random stream, and how a parallel version meets its serial twin. */
#ifndef NUMERIC_H
#define NUMERIC_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>

struct options {
    const char *program;
    size_t size;      /* of the problem; without an argument it is small */
    bool timed;       /* -t: how long it took */
    const char *path; /* -o FILE: where a picture goes; NULL: nowhere */
};

/* PROGRAM [-t] [-o FILE] [SIZE], with a SIZE from least to most. */
static inline struct options
options_of(int argc, char **argv, size_t size, size_t least, size_t most)
{
    struct options o = {argv[0], size, false, NULL};
    char *end = NULL;
    int c;
    while ((c = getopt(argc, argv, "to:")) != -1) {
        if (c == 't') o.timed = true;
        else if (c == 'o') o.path = optarg;
        else exit(2);
    }
    if (optind < argc) o.size = strtoull(argv[optind], &end, 10);
    if (o.size < least || o.size > most || (end && *end) || optind + 1 < argc) {
        fprintf(stderr, "usage: %s [-t] [-o FILE] [SIZE]   (SIZE: %zu to %zu)\n", argv[0], least, most);
        exit(2);
    }
    return o;
}

/* Memory for n elements, zeroed; there is no use in going on without. */
static inline void *
allocate(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (p) return p;
    fprintf(stderr, "no memory for %zu times %zu bytes\n", n, size);
    exit(1);
}

/* A random stream (splitmix64): whoever has a state of his own has a stream of his own. */
static inline uint64_t
next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* From 0 to 1, without 1. */
static inline double
next_uniform(uint64_t *state)
{
    return (double)(next_random(state) >> 11) * 0x1p-53;
}

/* ---- A version and its twin. */

/* Runs f(arg), with its time if that was asked for. */
static inline int
run_version(const struct options *o, const char *name, weft_fn *f, void *arg)
{
    weft_time begun = weft_now();
    int code = f(arg);
    if (code == 0 && o->timed) printf("%-24s %9.3f seconds\n", name, (double)(weft_now() - begun) / WEFT_S);
    return code;
}

/* Says whether the version called name gave the same bits as its twin; returns 1 if not, else 0. */
static inline int
same_bits(const char *name, const void *a, const void *b, size_t size)
{
    bool same = memcmp(a, b, size) == 0;
    printf("%s: %s\n", name, same ? "the same bits as the serial twin" : "NOT the same bits as the serial twin");
    return same ? 0 : 1;
}

/* Runs root(arg), and returns what main has to: root gives a negative code if Weft failed, 1 if a result is not right. */
static inline int
run_program(const struct options *o, weft_fn *root, void *arg)
{
    int code = weft_run(NULL, root, arg);
    if (code < 0) fprintf(stderr, "%s: %s\n", o->program, weft_error_text(code));
    return code != 0;
}

#endif
