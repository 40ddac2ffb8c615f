/* shapes.h - programs whose work and span are known in closed form: of strands that all take the same number of steps.
 *
 * tools/check-scale uses it too, with a main of its own. */
#ifndef SHAPES_H
#define SHAPES_H

#include "on_weft.h"

enum { SHAPE_US = 750 /* steps: about a microsecond */, SHAPE_STAGES = 4 };

/* A shape of size n, whose strands take so many steps each; work and span in strands. */
struct shape {
    const char *name;
    weft_fn *run; /* its argument is the shape */
    unsigned n, steps;
    double work, span;
};

static inline void
shape_strand(const struct shape *s)
{
    uint64_t x = s->n;
    for (unsigned i = 0; i < s->steps; i++) {
        x = x * UINT64_C(6364136223846793005) + 1;
        __asm__ volatile("" : "+r"(x)); /* what is not needed would not be computed */
    }
}

/* The Fibonacci numbers, a strand for each call. */
static inline int
shape_fib(void *arg)
{
    const struct shape *s = arg;
    shape_strand(s);
    if (s->n < 2) return 0;
    struct shape a = *s, b = *s;
    a.n -= 1;
    b.n -= 2;
    weft_task *t = start(shape_fib, &a);
    shape_fib(&b);
    join(t);
    return 0;
}

static inline int
shape_one(void *arg)
{
    shape_strand(arg);
    return 0;
}

/* Tasks one after the other. */
static inline int
shape_chain(void *arg)
{
    const struct shape *s = arg;
    for (unsigned i = 0; i < s->n; i++) join(start(shape_one, arg));
    return 0;
}

static inline int
shape_range(size_t begin, size_t end, void *arg)
{
    for (; begin < end; begin++) shape_strand(arg);
    return 0;
}

/* A loop whose pieces are single strands. */
static inline int
shape_flat(void *arg)
{
    const struct shape *s = arg;
    ok(weft_for(0, s->n, 1, shape_range, arg), "weft_for");
    return 0;
}

struct shape_stage {
    const struct shape *shape;
    weft_channel *in, *out;
};

static inline int
shape_stage(void *arg)
{
    const struct shape_stage *g = arg;
    for (unsigned i = 0, x = 0; i < g->shape->n; i++) {
        if (g->in) ok(weft_channel_take(g->in, &x), "weft_channel_take");
        shape_strand(g->shape);
        if (g->out) ok(weft_channel_put(g->out, &x), "weft_channel_put");
    }
    return 0;
}

/* n values through SHAPE_STAGES tasks, a strand of each for each value. */
static inline int
shape_pipeline(void *arg)
{
    struct shape_stage g[SHAPE_STAGES];
    weft_channel *c[SHAPE_STAGES + 1] = {NULL};
    weft_task *t[SHAPE_STAGES];
    for (int i = 1; i < SHAPE_STAGES; i++) ok(weft_channel_new(&c[i], sizeof(unsigned), 8), "weft_channel_new");
    for (int i = 0; i < SHAPE_STAGES; i++) {
        g[i] = (struct shape_stage){arg, c[i], c[i + 1]};
        t[i] = start(shape_stage, &g[i]);
    }
    for (int i = 0; i < SHAPE_STAGES; i++) join(t[i]);
    for (int i = 1; i < SHAPE_STAGES; i++) weft_channel_release(c[i]);
    return 0;
}

/* How many calls of fib there are. */
static inline double
shape_calls(unsigned n)
{
    double calls = 1, before = 1;
    for (unsigned i = 2; i <= n; i++) {
        double next = 1 + calls + before;
        before = calls;
        calls = next;
    }
    return calls;
}

/* The shape of that name and size; its name is NULL if there is none. */
static inline struct shape
shape_of(const char *name, unsigned n, unsigned steps)
{
    double stages = SHAPE_STAGES;
    const struct shape shapes[] = {
        {"fib", shape_fib, n, steps, shape_calls(n), n < 2 ? 1 : n},
        {"chain", shape_chain, n, steps, n, n},
        {"flat", shape_flat, n, steps, n, 1},
        {"pipeline", shape_pipeline, n, steps, stages * n, n + stages - 1},
    };
    for (int i = 0; i < BENCH_COUNT(shapes); i++) {
        if (strcmp(shapes[i].name, name) == 0) return shapes[i];
    }
    return (struct shape){0};
}

#endif
