/*
 * parallel_2d.c - weft_for_2d: cuts a rectangle into tiles.  [layer 6]
 *
 * What is larger than the grain is halved across its longer side, and so are its halves: so tiles are about as high as wide,
 * and what one worker does next touches what it touched last, on every level of the caches: Frigo, Leiserson, Prokop,
 * Ramachandran, "Cache-Oblivious Algorithms" (FOCS 1999).  Where the grain is given, every halving forks.  Where it is not, one
 * forks if the worker is hungry (parallel_for.c), and the halves are done one after the other if not; so the tiles are the
 * same whoever does them.
 *
 * A recursion is at most 64 levels deep, since a tile has at least half of the grain, and all of them are not more than
 * can be counted.  Failures are as in parallel_for.c, by the index of a tile's first element in rows.
 */
#include "parallel.h"

#include "scheduler.h"

struct grid {
    int (*body)(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx);
    void *ctx;
    size_t cols;
    size_t grain;
    bool eager; /* fork without being hungry */
    struct verdict verdict;
};

struct tile {
    struct grid *grid;
    size_t r0, r1, c0, c1;
};

static int
run_tile(void *arg)
{
    struct tile t = *(struct tile *)arg;
    struct grid *g = t.grid;
    size_t rows = t.r1 - t.r0, cols = t.c1 - t.c0, index = t.r0 * g->cols + t.c0;
    if (weft__verdict_reached(&g->verdict, index)) return 0;
    if (rows * cols <= g->grain) {
        int code = g->body(t.r0, t.r1, t.c0, t.c1, g->ctx);
        if (weft__unlikely(code < 0)) weft__verdict_fail(&g->verdict, index, code);
        return 0;
    }
    struct tile first = t, second = t;
    if (rows >= cols) first.r1 = second.r0 = t.r0 + (rows - rows / 2);
    else first.c1 = second.c0 = t.c0 + (cols - cols / 2);
    if (g->eager || weft__sched_hungry()) {
        weft__parallel_fork(&g->verdict, index, run_tile, &first, run_tile, &second);
    } else {
        (void)run_tile(&first);
        (void)run_tile(&second);
    }
    return 0;
}

static int
run_nothing(void *arg)
{
    (void)arg;
    return 0;
}

int
weft_for_2d(size_t rows, size_t cols, size_t grain, int (*body)(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx),
            void *ctx)
{
    size_t elements;
    if (!body || __builtin_mul_overflow(rows, cols, &elements)) return WEFT_EINVAL;
    struct grid g = {.body = body, .ctx = ctx, .cols = cols, .grain = grain, .eager = true};
    if (grain == 0) {
        int workers = weft_nworkers();
        if (workers < 0) return workers;
        g.grain = weft__parallel_grain(elements, (size_t)workers);
        g.eager = false;
    }
    struct tile all = {&g, 0, rows, 0, cols};
    return weft__parallel_call(&g.verdict, elements > 0 ? run_tile : run_nothing, &all);
}
