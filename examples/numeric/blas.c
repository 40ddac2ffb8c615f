/* blas.c - OpenBLAS in tasks: each call computes with one thread, on the worker of its task, and Weft cuts the work.
 *
 *     cc -O2 blas.c $(pkg-config --cflags --libs weft openblas) && OPENBLAS_NUM_THREADS=1 ./a.out -t 2000
 *
 * Which build of OpenBLAS may be called so is in docs/numeric.md: not every one has a lock around its work space.  The second
 * half of the program would find out. */
#include <cblas.h>
#include <math.h>

#include "numeric.h"

enum { TILE = 128, EQUATIONS = 40, SOLVES = 2000 };

/* c = a * b, of n rows and columns. */
struct product {
    const double *a, *b;
    double *c;
    size_t n;
};

static int
fill_tile(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    const struct product *p = ctx;
    blasint n = (blasint)p->n;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)(r1 - r0), (blasint)(c1 - c0), n, 1,
                p->a + r0 * p->n, n, p->b + c0, n, 0, p->c + r0 * p->n + c0, n);
    return 0;
}

static int
by_tiles(void *arg)
{
    const struct product *p = arg;
    return weft_for_2d(p->n, p->n, (size_t)TILE * TILE, fill_tile, arg);
}

static int
in_one_call(void *arg)
{
    const struct product *p = arg;
    return fill_tile(0, p->n, 0, p->n, arg);
}

/* ---- Many small systems of equations, with the same triangle and the same right sides, so with the same solutions. */

struct systems {
    double triangle[EQUATIONS * EQUATIONS], right[EQUATIONS * EQUATIONS];
    double solution[SOLVES][EQUATIONS * EQUATIONS];
};

static int
solve(size_t begin, size_t end, void *ctx)
{
    struct systems *s = ctx;
    for (size_t i = begin; i < end; i++) {
        memcpy(s->solution[i], s->right, sizeof s->right);
        cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, EQUATIONS, EQUATIONS, 1,
                    s->triangle, EQUATIONS, s->solution[i], EQUATIONS);
    }
    return 0;
}

static int
solve_all(void *arg)
{
    return weft_for(0, SOLVES, 10, solve, arg);
}

static int
examine_solutions(const struct systems *s)
{
    int wrong = 0;
    double worst = 0;
    for (size_t i = 1; i < SOLVES; i++) wrong += memcmp(s->solution[i], s->solution[0], sizeof *s->solution) != 0;
    for (size_t i = 0; i < EQUATIONS * EQUATIONS; i++) {
        size_t row = i / EQUATIONS, column = i % EQUATIONS;
        double sum = -s->right[i];
        for (size_t k = 0; k <= row; k++)
            sum += s->triangle[row * EQUATIONS + k] * s->solution[0][k * EQUATIONS + column];
        worst = fmax(worst, fabs(sum));
    }
    printf("%d triangular solves: %d unlike the first, which is %s\n", SOLVES, wrong,
           worst <= 1e-13 ? "right, within 1e-13" : "WRONG");
    return wrong > 0 || worst > 1e-13;
}

/* ---- The program. */

struct work {
    struct options options;
    struct product tiles, twin;
    struct systems *systems;
};

static int
root(void *arg)
{
    struct work *w = arg;
    size_t n = w->options.size;
    double worst = 0, bound = 1e-15 * (double)n;
    int code = run_version(&w->options, "in tiles", by_tiles, &w->tiles);
    if (code == 0) code = run_version(&w->options, "in one call", in_one_call, &w->twin);
    if (code == 0) code = run_version(&w->options, "triangular solves", solve_all, w->systems);
    if (code < 0) return code;

    for (size_t i = 0; i < n * n; i++) worst = fmax(worst, fabs(w->tiles.c[i] - w->twin.c[i]));
    printf("%zu rows and columns: %s\n", n,
           worst <= bound ? "tiles as in one call, within 1e-15 n" : "tiles NOT as in one call");
    code = examine_solutions(w->systems);
    return worst <= bound ? code : 1;
}

static void
fill(double *v, size_t n, uint64_t *stream)
{
    for (size_t i = 0; i < n; i++) v[i] = next_uniform(stream) - 0.5;
}

int
main(int argc, char **argv)
{
    struct options o = options_of(argc, argv, 300, 1, 30000);
    size_t n = o.size;
    uint64_t stream = 17;
    openblas_set_num_threads(1); /* if OPENBLAS_NUM_THREADS has not said so before it started threads */
    double *v[4];
    for (int i = 0; i < 4; i++) v[i] = allocate(n * n, sizeof(double));
    fill(v[0], n * n, &stream);
    fill(v[1], n * n, &stream);
    struct work w = {o, {v[0], v[1], v[2], n}, {v[0], v[1], v[3], n}, allocate(1, sizeof(struct systems))};
    fill(w.systems->triangle, EQUATIONS * EQUATIONS, &stream);
    fill(w.systems->right, EQUATIONS * EQUATIONS, &stream);
    for (size_t i = 0; i < EQUATIONS; i++) w.systems->triangle[i * EQUATIONS + i] = EQUATIONS;
    int code = run_program(&w.options, root, &w);
    for (int i = 0; i < 4; i++) free(v[i]);
    free(w.systems);
    return code;
}
