/* cholesky.c - the Cholesky factor of a symmetric positive definite matrix, by tiles: a task for each tile, which waits for the
 * tasks that it depends on.
 *
 *     cc -O2 cholesky.c $(pkg-config --cflags --libs weft) -lm && ./a.out -t 1500
 *
 * The matrix a becomes l * transpose(l), l with zeros above its diagonal.  The tile i, j of l needs those to the left of it
 * in row i, those in row j, and the one at the end of row j.  There is no barrier between the columns: a tile starts when
 * its own needs are met, and who waits for a task that nobody has begun runs it himself. */
#include <math.h>

#include "numeric.h"

enum { TILE = 32 };

struct matrix {
    size_t n, tiles;
    double *a;         /* row by row; the lower triangle becomes l */
    weft_task **tasks; /* one for each tile of the lower triangle */
};

/* Row i, column j of the tiles. */
struct tile {
    struct matrix *m;
    size_t i, j;
};

static size_t
first_of(const struct matrix *m, size_t tile)
{
    return tile * TILE < m->n ? tile * TILE : m->n;
}

/* ---- Arithmetic: each element has its products taken away from the left to the right, in both versions. */

/* Takes from the tile i, j what the columns k0 .. k1 - 1 contribute. */
static void
subtract(const struct matrix *m, size_t i, size_t j, size_t k0, size_t k1)
{
    for (size_t r = first_of(m, i); r < first_of(m, i + 1); r++) {
        for (size_t c = first_of(m, j); c < first_of(m, j + 1) && c <= r; c++) {
            double sum = m->a[r * m->n + c];
            for (size_t k = k0; k < k1; k++) sum -= m->a[r * m->n + k] * m->a[c * m->n + k];
            m->a[r * m->n + c] = sum;
        }
    }
}

/* Makes l of rows r0 .. r1 - 1 in columns c0 .. c1 - 1, where all before c0 has been taken away. */
static int
finish(const struct matrix *m, size_t r0, size_t r1, size_t c0, size_t c1)
{
    for (size_t r = r0; r < r1; r++) {
        double *row = m->a + r * m->n;
        for (size_t c = c0; c < c1 && c <= r; c++) {
            double sum = row[c];
            for (size_t k = c0; k < c; k++) sum -= row[k] * m->a[c * m->n + k];
            if (c == r && !(sum > 0)) return weft_fail(WEFT_EINVAL, "not positive definite at row %zu", r);
            row[c] = c == r ? sqrt(sum) : sum / m->a[c * m->n + c];
        }
    }
    return 0;
}

/* ---- The serial twin: as if all were one tile. */

static int
plain(void *arg)
{
    const struct matrix *m = arg;
    return finish(m, 0, m->n, 0, m->n);
}

/* ---- A task for each tile. */

static weft_task **
task_of(const struct matrix *m, size_t i, size_t j)
{
    return &m->tasks[i * m->tiles + j];
}

/* WEFT_ECHILD if the tile could not be computed. */
static int
need(const struct matrix *m, size_t i, size_t j)
{
    return weft_wait(*task_of(m, i, j));
}

static int
compute_tile(void *arg)
{
    const struct tile *t = arg;
    const struct matrix *m = t->m;
    for (size_t k = 0; k < t->j; k++) {
        int code = need(m, t->i, k);
        if (code == 0 && t->i != t->j) code = need(m, t->j, k);
        if (code < 0) return code;
        subtract(m, t->i, t->j, first_of(m, k), first_of(m, k + 1));
    }
    int code = t->i == t->j ? 0 : need(m, t->j, t->j);
    if (code < 0) return code;
    return finish(m, first_of(m, t->i), first_of(m, t->i + 1), first_of(m, t->j), first_of(m, t->j + 1));
}

/* Column by column, from the diagonal down: whoever needs a task is spawned after it. */
static int
spawn_tiles(struct matrix *m)
{
    for (size_t j = 0; j < m->tiles; j++) {
        for (size_t i = j; i < m->tiles; i++) {
            struct tile t = {m, i, j};
            int code = weft_spawn_copy(task_of(m, i, j), compute_tile, &t, sizeof t);
            if (code < 0) return code;
        }
    }
    return 0;
}

static int
by_tiles(void *arg)
{
    struct matrix *m = arg;
    weft_scope s;
    m->tiles = (m->n + TILE - 1) / TILE;
    m->tasks = allocate(m->tiles * m->tiles, sizeof *m->tasks);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int code = spawn_tiles(m);
    if (code < 0) weft_scope_cancel(&s, code);
    code = weft_scope_close(&s, code); /* the code of the first tile that failed */
    for (size_t i = 0; i < m->tiles * m->tiles; i++) weft_task_release(m->tasks[i]);
    free(m->tasks);
    return code;
}

/* ---- The program. */

/* Symmetric, and larger on the diagonal than the rest of the row together. */
static void
fill(double *a, size_t n)
{
    uint64_t stream = 3;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) a[i * n + j] = a[j * n + i] = next_uniform(&stream) - 0.5;
        a[i * n + i] = (double)n / 2 + 1;
    }
}

/* Looks at some elements of l * transpose(l) - a; above the diagonal, a is still what it was. */
static double
residual(const double *l, size_t n)
{
    double worst = 0;
    for (size_t i = 1; i < n; i++) {
        size_t j = i * 7 % i + i / 3 % i, c = j < i ? j : 0;
        double sum = l[c * n + i];
        for (size_t k = 0; k <= c; k++) sum -= l[i * n + k] * l[c * n + k];
        worst = fmax(worst, fabs(sum));
    }
    return worst;
}

struct work {
    struct options options;
    struct matrix tiled, twin;
};

static int
root(void *arg)
{
    struct work *w = arg;
    size_t n = w->options.size;
    int code = run_version(&w->options, "a task for each tile", by_tiles, &w->tiled);
    if (code == 0) code = run_version(&w->options, "serial", plain, &w->twin);
    if (code < 0) return code;

    double log_determinant = 0, bound = 1e-15 * (double)n * (double)n;
    for (size_t i = 0; i < n; i++) log_determinant += 2 * log(w->tiled.a[i * n + i]);
    bool good = residual(w->tiled.a, n) <= bound;
    printf("%zu rows and columns, %zu tiles in a column\nlogarithm of the determinant %.6f\n", n, w->tiled.tiles,
           log_determinant);
    printf("the factor times its transpose is the matrix, within 1e-15 n^2: %s\n", good ? "yes" : "NO");
    code = same_bits("a task for each tile", w->tiled.a, w->twin.a, n * n * sizeof(double));
    if (code < 0 || !good) return WEFT_EINVAL;

    /* What is not positive definite is found by one task, and the others do not run on without it. */
    fill(w->tiled.a, n);
    w->tiled.a[n / 2 * n + n / 2] = -1;
    code = by_tiles(&w->tiled);
    printf("with a negative element on the diagonal: %s\n", weft_error_name(code));
    return code == WEFT_EINVAL ? 0 : WEFT_EINVAL;
}

int
main(int argc, char **argv)
{
    struct options o = options_of(argc, argv, 230, 2, 30000);
    size_t n = o.size;
    struct work w = {o, {.n = n, .a = allocate(n * n, sizeof(double))}, {.n = n, .a = allocate(n * n, sizeof(double))}};
    fill(w.tiled.a, n);
    fill(w.twin.a, n);
    int code = weft_run(NULL, root, &w);
    free(w.tiled.a);
    free(w.twin.a);
    return code < 0;
}
