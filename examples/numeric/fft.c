/* fft.c - a fast Fourier transform of radix 4 (and a last pass of radix 2), and the peaks in a noisy signal.
 *
 *     cc -O2 fft.c $(pkg-config --cflags --libs weft) -lm && ./a.out -t 4194304
 *
 * Stockham's form: each pass reads one array and writes the other, and its butterflies have nothing to do with each other:
 * a pass is one loop, and the return from the loop is what the next pass needs.  That takes log4(n) loops over n / 4
 * cheap bodies: a hard case for scaling, as all of it goes through the memory. */
#include <math.h>

#include "numeric.h"

#define PI 3.14159265358979323846

struct complex {
    double re, im;
};

/* The transform of the n elements at x: n is a power of two.  other has room for as many; roots[k] is exp(-2 pi i k / n). */
struct transform {
    size_t n;
    struct complex *x, *other, *roots;
    bool serial;
};

struct pass {
    const struct complex *from, *roots;
    struct complex *to;
    size_t n, stride; /* n / stride points are left of each of stride transforms */
};

static struct complex
plus(struct complex a, struct complex b)
{
    return (struct complex){a.re + b.re, a.im + b.im};
}

static struct complex
minus(struct complex a, struct complex b)
{
    return (struct complex){a.re - b.re, a.im - b.im};
}

static struct complex
times(struct complex a, struct complex b)
{
    return (struct complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* ---- A pass, and all passes. */

/* Butterfly i is number q = i % stride of those with the roots of p = i / stride. */
static int
radix_4(size_t begin, size_t end, void *ctx)
{
    const struct pass *f = ctx;
    size_t s = f->stride, quarter = f->n / 4;
    for (size_t i = begin; i < end;) {
        size_t p = i / s, stop = (p + 1) * s < end ? (p + 1) * s : end;
        struct complex w1 = f->roots[p * s], w2 = f->roots[2 * p * s], w3 = f->roots[3 * p * s];
        for (; i < stop; i++) {
            struct complex a = f->from[i], b = f->from[i + quarter], c = f->from[i + 2 * quarter],
                           d = f->from[i + 3 * quarter];
            struct complex ac = plus(a, c), a_c = minus(a, c), bd = plus(b, d), b_d = minus(b, d);
            struct complex turned = {-b_d.im, b_d.re};
            struct complex *to = f->to + 3 * p * s + i; /* (4 * p) * s + q */
            to[0] = plus(ac, bd);
            to[s] = times(w1, minus(a_c, turned));
            to[2 * s] = times(w2, minus(ac, bd));
            to[3 * s] = times(w3, plus(a_c, turned));
        }
    }
    return 0;
}

static int
radix_2(size_t begin, size_t end, void *ctx)
{
    const struct pass *f = ctx;
    for (size_t i = begin; i < end; i++) {
        f->to[i] = plus(f->from[i], f->from[i + f->n / 2]);
        f->to[i + f->n / 2] = minus(f->from[i], f->from[i + f->n / 2]);
    }
    return 0;
}

/* A loop of Weft's with the grain chosen for us, or a plain one. */
static int
loop(bool serial, size_t n, weft_range_fn *body, void *ctx)
{
    return serial ? body(0, n, ctx) : weft_for(0, n, 0, body, ctx);
}

static int
transform(void *arg)
{
    struct transform *t = arg;
    int code = 0;
    for (size_t left = t->n; left > 1 && code == 0; left = left > 2 ? left / 4 : 1) {
        struct pass f = {t->x, t->roots, t->other, t->n, t->n / left};
        code = left > 2 ? loop(t->serial, t->n / 4, radix_4, &f) : loop(t->serial, t->n / 2, radix_2, &f);
        t->other = t->x;
        t->x = f.to;
    }
    return code;
}

/* ---- What is transformed, and whether the result is right. */

/* Two tones in noise. */
static void
fill(struct complex *x, size_t n)
{
    uint64_t stream = 7;
    for (size_t i = 0; i < n; i++) {
        double at = 2 * PI * (double)i / (double)n, noise = next_uniform(&stream) - 0.5;
        x[i] = (struct complex){noise + cos(at * (double)(n / 8)) + 0.5 * cos(at * (double)(n / 5)), 0};
    }
}

/* The element k by its definition. */
static struct complex
defined(const struct complex *x, size_t n, const struct complex *roots, size_t k)
{
    struct complex sum = {0, 0};
    for (size_t i = 0; i < n; i++) sum = plus(sum, times(x[i], roots[k * i % n]));
    return sum;
}

static double
size_of(struct complex z)
{
    return sqrt(z.re * z.re + z.im * z.im);
}

/* Prints the two largest peaks, and compares these, and some more, to the definition: of the half that the other mirrors. */
static int
examine(const struct transform *t, const struct complex *signal)
{
    size_t n = t->n, top[2] = {0, 0};
    for (size_t k = 1; k < n / 2; k++) {
        if (size_of(t->x[k]) > size_of(t->x[top[0]]) || top[0] == 0) {
            top[1] = top[0];
            top[0] = k;
        } else if (size_of(t->x[k]) > size_of(t->x[top[1]]) || top[1] == 0) top[1] = k;
    }
    double worst = 0, bound = 1e-15 * (double)n * log2((double)n); /* the definition's own errors are the larger ones */
    size_t looked_at[] = {0, 1, n / 3, n - 1, top[0], top[1]};
    for (size_t i = 0; i < sizeof looked_at / sizeof *looked_at; i++) {
        size_t k = looked_at[i];
        worst = fmax(worst, size_of(minus(t->x[k], defined(signal, n, t->roots, k))));
    }
    printf("%zu points\n frequency  amplitude\n", n);
    for (int i = 0; i < 2; i++) printf("%10zu  %9.3f\n", top[i], 2 * size_of(t->x[top[i]]) / (double)n);
    printf("as by the definition, within 1e-15 n log2(n): %s\n", worst <= bound ? "yes" : "NO");
    return worst <= bound ? 0 : 1;
}

/* ---- The program. */

struct work {
    struct options options;
    struct transform parallel, twin;
    const struct complex *signal;
};

static int
root(void *arg)
{
    struct work *w = arg;
    int code = run_version(&w->options, "a loop for each pass", transform, &w->parallel);
    if (code == 0) code = run_version(&w->options, "serial", transform, &w->twin);
    if (code == 0) code = examine(&w->parallel, w->signal);
    if (code == 0) code = same_bits("in parallel", w->parallel.x, w->twin.x, w->twin.n * sizeof *w->twin.x);
    return code;
}

int
main(int argc, char **argv)
{
    struct options o = options_of(argc, argv, 32768, 8, (size_t)1 << 28);
    size_t n = o.size;
    if (n & (n - 1)) {
        fprintf(stderr, "%s: the size must be a power of two\n", argv[0]);
        return 2;
    }
    struct complex *v[6];
    for (int i = 0; i < 6; i++) v[i] = allocate(n, sizeof *v[i]);
    for (size_t k = 0; k < n; k++) {
        double at = 2 * PI * (double)k / (double)n;
        v[5][k] = (struct complex){cos(at), -sin(at)};
    }
    for (int i = 0; i < 3; i++) fill(v[i], n);
    struct work w = {o, {n, v[0], v[3], v[5], false}, {n, v[1], v[4], v[5], true}, v[2]};
    int code = run_program(&w.options, root, &w);
    for (int i = 0; i < 6; i++) free(v[i]);
    return code;
}
