/* monte_carlo.c - volumes of balls by throwing random points, each piece of work with a random stream of its own.
 *
 *     cc -O2 monte_carlo.c $(pkg-config --cflags --libs weft) -lm && ./a.out -t 100000000
 *
 * A stream belongs to a batch of points, not to a thread: which points are thrown does not depend on who throws them, and
 * the result has the same bits whatever the number of workers.  Two workers never share a stream, so there is no lock. */
#include <math.h>

#include "numeric.h"

enum { BATCH = 4096, LEAST = 2, MOST = 6 };

struct throwing {
    size_t points;
    size_t hits[MOST + 1]; /* for each dimension: the points within the ball, of those in the cube around it */
};

/* Throws the points of batch number b, each in MOST dimensions, and adds what hit to acc. */
static void
throw_batch(size_t b, size_t points, size_t *hits)
{
    uint64_t seed = b, stream = next_random(&seed); /* far away from those of the other batches */
    size_t count = points - b * BATCH < BATCH ? points - b * BATCH : BATCH;
    for (size_t i = 0; i < count; i++) {
        double square = 0;
        for (int d = 1; d <= MOST; d++) {
            double x = 2 * next_uniform(&stream) - 1;
            square += x * x;
            hits[d] += square <= 1;
        }
    }
}

static int
throw_batches(size_t begin, size_t end, void *acc, void *ctx)
{
    const struct throwing *t = ctx;
    for (size_t b = begin; b < end; b++) throw_batch(b, t->points, acc);
    return 0;
}

static void
add_hits(void *into, const void *from, void *ctx)
{
    (void)ctx;
    for (int d = 0; d <= MOST; d++) ((size_t *)into)[d] += ((const size_t *)from)[d];
}

static int
parallel(void *arg)
{
    static const size_t none[MOST + 1];
    static const weft_reduction adding = {sizeof none, none, throw_batches, add_hits};
    struct throwing *t = arg;
    return weft_reduce(0, (t->points + BATCH - 1) / BATCH, 1, &adding, t, t->hits);
}

static int
plain(void *arg)
{
    struct throwing *t = arg;
    return throw_batches(0, (t->points + BATCH - 1) / BATCH, t->hits, t);
}

struct work {
    struct options options;
    struct throwing parallel, twin;
};

static int
root(void *arg)
{
    struct work *w = arg;
    int code = run_version(&w->options, "in parallel", parallel, &w->parallel);
    if (code == 0) code = run_version(&w->options, "serial", plain, &w->twin);
    if (code < 0) return code;

    bool good = true;
    double volume = 2, before = 1, points = (double)w->parallel.points;
    printf("%zu points\ndimension    volume  estimate  standard error\n", w->parallel.points);
    for (int d = LEAST; d <= MOST; d++) {
        double next = before * 2 * 3.14159265358979323846 / d; /* of the ball with two dimensions more than `before` */
        double share = (double)w->parallel.hits[d] / points, cube = ldexp(1, d);
        double estimate = cube * share, error = cube * sqrt(share * (1 - share) / points);
        good = good && fabs(estimate - next) <= 5 * error;
        printf("%9d  %8.5f  %8.5f  %14.5f\n", d, next, estimate, error);
        before = volume;
        volume = next;
    }
    printf("all within five standard errors: %s\n", good ? "yes" : "NO");
    code = same_bits("in parallel", w->parallel.hits, w->twin.hits, sizeof w->twin.hits);
    return good ? code : 1;
}

int
main(int argc, char **argv)
{
    struct options o = options_of(argc, argv, 100000, 1000, (size_t)1 << 48);
    struct work w = {o, {.points = o.size}, {.points = o.size}};
    return run_program(&w.options, root, &w);
}
