/* matmul.h - the product of two matrices by recursion, the same for Weft and its peers; and by plain calls: the twin.
 *
 * c += a * b, where all are squares: with each halved both ways, the quarters of c get four products, and then, when
 * those are done, four more.  No size of a cache is known to it.  The smallest squares are multiplied by loops, whose
 * code is the same for every compiler: it says itself which numbers share a register. */
#ifndef MATMUL_H
#define MATMUL_H

#include "bench.h"

enum {
    MATMUL_LEAF = 32, /* rows of the smallest square */
    MATMUL_MOST = 1024,
    MATMUL_PADDING = 8 /* rows whose distance is a power of two would compete for a few lines of the cache */
};

struct matmul {
    const double *a, *b;
    double *c;
    size_t n, stride; /* rows; from one to the next */
};

/* Part i of the first half of the work, or of the second: products that may be computed at the same time. */
static inline struct matmul
matmul_part(const struct matmul *m, int half, int i)
{
    size_t n = m->n / 2, row = (size_t)i / 2 * n, column = (size_t)i % 2 * n, inner = (size_t)half * n;
    struct matmul part = {m->a + row * m->stride + inner, m->b + inner * m->stride + column,
                          m->c + row * m->stride + column, n, m->stride};
    return part;
}

typedef double matmul_pair __attribute__((vector_size(16), aligned(8), may_alias));

static inline matmul_pair
matmul_load(const double *x)
{
    return *(const matmul_pair *)x;
}

static inline void
matmul_add(double *x, matmul_pair sum)
{
    *(matmul_pair *)x += sum;
}

/* Four rows and four columns of the product. */
static inline void
matmul_tile(const double *a, const double *b, double *c, size_t n, size_t stride)
{
    matmul_pair c0l = {0, 0}, c0r = c0l, c1l = c0l, c1r = c0l, c2l = c0l, c2r = c0l, c3l = c0l, c3r = c0l;
    for (size_t k = 0; k < n; k++) {
        const double *x = a + k, *y = b + k * stride;
        matmul_pair l = matmul_load(y), r = matmul_load(y + 2);
        c0l += x[0] * l, c0r += x[0] * r;
        c1l += x[stride] * l, c1r += x[stride] * r;
        c2l += x[2 * stride] * l, c2r += x[2 * stride] * r;
        c3l += x[3 * stride] * l, c3r += x[3 * stride] * r;
    }
    matmul_add(c, c0l), matmul_add(c + 2, c0r);
    matmul_add(c + stride, c1l), matmul_add(c + stride + 2, c1r);
    matmul_add(c + 2 * stride, c2l), matmul_add(c + 2 * stride + 2, c2r);
    matmul_add(c + 3 * stride, c3l), matmul_add(c + 3 * stride + 2, c3r);
}

__attribute__((noinline)) static int
matmul_leaf(const struct matmul *m)
{
    for (size_t i = 0; i < m->n; i += 4)
        for (size_t j = 0; j < m->n; j += 4)
            matmul_tile(m->a + i * m->stride, m->b + j, m->c + i * m->stride + j, m->n, m->stride);
    return 0;
}

__attribute__((noinline, unused)) static int
matmul_serial(void *arg)
{
    const struct matmul *m = (const struct matmul *)arg;
    if (m->n <= MATMUL_LEAF) return matmul_leaf(m);
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < 4; i++) {
            struct matmul part = matmul_part(m, half, i);
            if (matmul_serial(&part) < 0) return -1;
        }
    return 0;
}

/* All numbers are whole, and so small that the product is exact: (c x) must be a (b x). */
static inline void
matmul_check(const struct matmul *m)
{
    double x[MATMUL_MOST], bx[MATMUL_MOST];
    uint64_t wrong = 0;
    for (size_t i = 0; i < m->n; i++) x[i] = (double)(1 + i % 7);
    for (size_t i = 0; i < m->n; i++) {
        bx[i] = 0;
        for (size_t j = 0; j < m->n; j++) bx[i] += m->b[i * m->stride + j] * x[j];
    }
    for (size_t i = 0; i < m->n; i++) {
        double abx = 0, cx = 0;
        for (size_t j = 0; j < m->n; j++) {
            abx += m->a[i * m->stride + j] * bx[j];
            cx += m->c[i * m->stride + j] * x[j];
        }
        wrong += abx < cx || abx > cx;
    }
    bench_expect(wrong, 0, "wrong rows of the product");
}

static inline void
matmul_sample(struct bench_sample *s, int (*fn)(void *))
{
    size_t n = (size_t)bench_size(MATMUL_MOST, 256), stride = n + MATMUL_PADDING, size = n * stride;
    double *a = (double *)bench_alloc(size, sizeof *a), *b = (double *)bench_alloc(size, sizeof *b),
           *c = (double *)bench_alloc(size, sizeof *c);
    for (size_t i = 0; i < size; i++) {
        a[i] = (double)(i * 7 % 17) - 8;
        b[i] = (double)(i * 5 % 19) - 9;
    }
    struct matmul warm = {a, b, c, n / 4, stride}, all = {a, b, c, n, stride};
    fn(&warm);
    memset(c, 0, size * sizeof *c);
    int64_t begun = bench_now();
    if (fn(&all) < 0) bench_fail("the product failed");
    s->values[0] = (double)(bench_now() - begun) / 1e6;
    matmul_check(&all);
    free(a);
    free(b);
    free(c);
}

static const struct bench_value matmul_values[] = {{"matmul", "ms", "product"}};

#endif
