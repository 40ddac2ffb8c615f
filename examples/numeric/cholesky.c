/* cholesky.c - the Cholesky factor of a symmetric positive definite matrix, by tiles: a graph of tasks.
 *
 *     cc -O2 cholesky.c $(pkg-config --cflags --libs weft) -lm && ./a.out -t 1500
 *
 * The matrix a becomes l * transpose(l), l with zeros above its diagonal.  The tile i, j of l needs those to the left of it in
 * row i, those to the left in row j, and the one on the diagonal in column j.  Each tile counts what it still needs, and who
 * brings the count to zero spawns its task: no task ever waits, and there is no barrier between the columns.
 *
 * A task for each tile at once, which waits for the tasks that it needs, would be right too, and much slower: a worker takes
 * the newest of its tasks first, which here has to wait for all the others. */
#include <math.h>
#include <stdatomic.h>

#include "numeric.h"

enum { TILE = 32 };

struct matrix {
    size_t n, tiles;
    double *a;             /* row by row; the lower triangle becomes l */
    _Atomic size_t *needs; /* for each tile: how many others are not there yet */
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

/* ---- A task for each tile, spawned when all is there that it needs. */

static int compute_tile(void *arg);

/* The tile i, j needs one less. */
static int
bring(struct matrix *m, size_t i, size_t j)
{
    /* Release what this task has computed, acquire what the others have that count down the same number. */
    if (atomic_fetch_sub_explicit(&m->needs[i * m->tiles + j], 1, memory_order_acq_rel) > 1) return 0;
    struct tile t = {m, i, j};
    return weft_spawn_copy(NULL, compute_tile, &t, sizeof t);
}

static int
compute_tile(void *arg)
{
    const struct tile *t = arg;
    struct matrix *m = t->m;
    for (size_t k = 0; k < t->j; k++) subtract(m, t->i, t->j, first_of(m, k), first_of(m, k + 1));
    int code = finish(m, first_of(m, t->i), first_of(m, t->i + 1), first_of(m, t->j), first_of(m, t->j + 1));
    for (size_t c = t->j + 1; c <= t->i && code == 0; c++) code = bring(m, t->i, c);
    for (size_t r = t->i + 1; r < m->tiles && code == 0; r++) code = bring(m, r, t->i);
    return code;
}

static int
by_tiles(void *arg)
{
    struct matrix *m = arg;
    struct tile first = {m, 0, 0};
    weft_scope s;
    m->tiles = (m->n + TILE - 1) / TILE;
    m->needs = allocate(m->tiles * m->tiles, sizeof *m->needs);
    for (size_t i = 0; i < m->tiles; i++) {
        for (size_t j = 0; j <= i; j++) atomic_init(&m->needs[i * m->tiles + j], i == j ? j : 2 * j + 1);
    }
    weft_scope_open(&s, 0, WEFT_FOREVER); /* what its members spawn are members as well */
    int code = weft_scope_close(&s, weft_spawn_copy(NULL, compute_tile, &first, sizeof first));
    free(m->needs);
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
    if (code != 0 || !good) return 1;

    /* What is not positive definite is found by one task; what needs its tile is never spawned. */
    fill(w->tiled.a, n);
    w->tiled.a[n / 2 * n + n / 2] = -1;
    code = by_tiles(&w->tiled);
    printf("with a negative element on the diagonal: %s\n", weft_error_name(code));
    return code == WEFT_EINVAL ? 0 : 1;
}

int
main(int argc, char **argv)
{
    struct options o = options_of(argc, argv, 230, 2, 30000);
    size_t n = o.size;
    struct work w = {o, {.n = n, .a = allocate(n * n, sizeof(double))}, {.n = n, .a = allocate(n * n, sizeof(double))}};
    fill(w.tiled.a, n);
    fill(w.twin.a, n);
    int code = run_program(&w.options, root, &w);
    free(w.tiled.a);
    free(w.twin.a);
    return code;
}
