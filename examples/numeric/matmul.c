/* matmul.c - the product of two dense matrices: by blocks, in a loop over tiles; and by recursion, with weft_both.
 *
 *     cc -O2 matmul.c $(pkg-config --cflags --libs weft) && ./a.out -t 1000
 *
 * -1 before the other arguments: by blocks only, and with nothing to compare; for measuring (tools/weft-scale).
 *
 * All add up an element's products in the same order, so they give the same bits as three plain loops. */
#include "numeric.h"

enum { TILE = 64, LEAF = 64 };

/* c += a * b: a has m rows and k columns, b has k and n.  All are parts of matrices with rows `stride` apart. */
struct product {
    const double *a, *b;
    double *c;
    size_t m, n, k, stride;
};

/* ---- The serial twin. */

static int
plain(void *arg)
{
    const struct product *p = arg;
    for (size_t i = 0; i < p->m; i++) {
        for (size_t l = 0; l < p->k; l++) {
            for (size_t j = 0; j < p->n; j++)
                p->c[i * p->stride + j] += p->a[i * p->stride + l] * p->b[l * p->stride + j];
        }
    }
    return 0;
}

/* ---- By blocks: a tile of c for each body, which goes through the blocks of a row of a and a column of b. */

static int
fill_tile(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    const struct product *p = ctx;
    for (size_t l = 0; l < p->k; l += TILE) {
        size_t depth = p->k - l < TILE ? p->k - l : TILE;
        struct product block = {p->a + r0 * p->stride + l,
                                p->b + l * p->stride + c0,
                                p->c + r0 * p->stride + c0,
                                r1 - r0,
                                c1 - c0,
                                depth,
                                p->stride};
        plain(&block);
    }
    return 0;
}

static int
by_blocks(void *arg)
{
    const struct product *p = arg;
    return weft_for_2d(p->m, p->n, (size_t)TILE * TILE, fill_tile, arg);
}

/* ---- By recursion: the longest side is halved.  It needs to know no cache. */

static int
by_recursion(void *arg)
{
    const struct product *p = arg;
    struct product first = *p, second = *p;
    if (p->m <= LEAF && p->n <= LEAF && p->k <= LEAF) return plain(arg);
    if (p->k > p->m && p->k > p->n) { /* both halves add to the same c: one after the other */
        first.k = p->k / 2;
        second.k -= first.k;
        second.a += first.k;
        second.b += first.k * p->stride;
        int code = by_recursion(&first);
        return code < 0 ? code : by_recursion(&second);
    }
    if (p->m >= p->n) {
        first.m = p->m / 2;
        second.m -= first.m;
        second.a += first.m * p->stride;
        second.c += first.m * p->stride;
    } else {
        first.n = p->n / 2;
        second.n -= first.n;
        second.b += first.n;
        second.c += first.n;
    }
    return weft_both(by_recursion, &first, by_recursion, &second);
}

/* ---- The program. */

struct work {
    struct options options;
    bool alone; /* by blocks only */
    struct product by_blocks, by_recursion, twin;
};

static int
root(void *arg)
{
    struct work *w = arg;
    size_t n = w->options.size, bytes = n * n * sizeof(double);
    int code = run_version(&w->options, "by blocks", by_blocks, &w->by_blocks);
    if (w->alone) return code;
    if (code == 0) code = run_version(&w->options, "by recursion", by_recursion, &w->by_recursion);
    if (code == 0) code = run_version(&w->options, "serial", plain, &w->twin);
    if (code < 0) return code;

    double trace = 0;
    for (size_t i = 0; i < n; i++) trace += w->twin.c[i * n + i];
    printf("%zu rows and columns, trace %.6f\n", n, trace);
    int blocks = same_bits("by blocks", w->by_blocks.c, w->twin.c, bytes);
    int recursion = same_bits("by recursion", w->by_recursion.c, w->twin.c, bytes);
    return blocks ? blocks : recursion;
}

int
main(int argc, char **argv)
{
    bool alone = argc > 1 && strcmp(argv[1], "-1") == 0;
    if (alone) {
        argv[1] = argv[0];
        argv++;
        argc--;
    }
    struct options o = options_of(argc, argv, 180, 1, 30000);
    size_t n = o.size;
    uint64_t stream = 1;
    double *a = allocate(n * n, sizeof *a), *b = allocate(n * n, sizeof *b), *c[3];
    for (size_t i = 0; i < n * n; i++) {
        a[i] = next_uniform(&stream) - 0.5;
        b[i] = next_uniform(&stream) - 0.5;
    }
    for (int i = 0; i < 3; i++) c[i] = allocate(n * n, sizeof **c);
    struct work w = {o, alone, {a, b, c[0], n, n, n, n}, {a, b, c[1], n, n, n, n}, {a, b, c[2], n, n, n, n}};
    int code = run_program(&w.options, root, &w);
    for (int i = 0; i < 3; i++) free(c[i]);
    free(a);
    free(b);
    return code;
}
