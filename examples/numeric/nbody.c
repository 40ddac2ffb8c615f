/* nbody.c - stars that attract each other, in a plane: all pairs in each step.
 *
 *     cc -O2 nbody.c $(pkg-config --cflags --libs weft libpng) -lm && ./a.out -t -o nbody.png 4000
 *
 * A step is two loops: the accelerations, from where all stars are; then the stars move.  A star adds up the others in
 * the order of their numbers, so the positions have the same bits as the serial twin's.  The energy is a reduction: a tree of
 * sums that depends on the grain alone, the same for any number of workers, but not what a plain loop adds up. */
#include <math.h>

#include "numeric.h"
#include "picture.h"

#define STEP 0.002     /* of time */
#define SOFTENING 1e-3 /* added to the square of each distance: nothing is infinite */

enum { STEPS = 20, GRAIN = 16, PIXELS = 400 };

struct star {
    double x, y, vx, vy, ax, ay, mass;
};

struct galaxy {
    struct star *stars;
    size_t n;
    double energy[2]; /* at first, and at last */
};

/* ---- What a body does for some of the stars. */

static int
accelerate(size_t begin, size_t end, void *ctx)
{
    const struct galaxy *g = ctx;
    for (size_t i = begin; i < end; i++) {
        struct star *s = &g->stars[i];
        double ax = 0, ay = 0;
        for (size_t j = 0; j < g->n; j++) {
            double dx = g->stars[j].x - s->x, dy = g->stars[j].y - s->y;
            double square = dx * dx + dy * dy + SOFTENING, pull = g->stars[j].mass / (square * sqrt(square));
            ax += pull * dx;
            ay += pull * dy;
        }
        s->ax = ax;
        s->ay = ay;
    }
    return 0;
}

/* Kick and drift: the velocities are half a step ahead of the positions. */
static int
move(size_t begin, size_t end, void *ctx)
{
    const struct galaxy *g = ctx;
    for (size_t i = begin; i < end; i++) {
        struct star *s = &g->stars[i];
        s->vx += STEP * s->ax;
        s->vy += STEP * s->ay;
        s->x += STEP * s->vx;
        s->y += STEP * s->vy;
    }
    return 0;
}

/* Half of each pair's energy for each of the two; velocities are taken half a step back, to where the positions are. */
static int
add_energy(size_t begin, size_t end, void *acc, void *ctx)
{
    const struct galaxy *g = ctx;
    double sum = *(double *)acc;
    for (size_t i = begin; i < end; i++) {
        const struct star *s = &g->stars[i];
        double vx = s->vx + STEP / 2 * s->ax, vy = s->vy + STEP / 2 * s->ay;
        double own = s->mass * (vx * vx + vy * vy) / 2;
        for (size_t j = 0; j < g->n; j++) {
            double dx = g->stars[j].x - s->x, dy = g->stars[j].y - s->y;
            if (j != i) own -= s->mass * g->stars[j].mass / sqrt(dx * dx + dy * dy + SOFTENING) / 2;
        }
        sum += own;
    }
    *(double *)acc = sum;
    return 0;
}

static void
add(void *into, const void *from, void *ctx)
{
    (void)ctx;
    *(double *)into += *(const double *)from;
}

/* ---- The two versions. */

static int
parallel(void *arg)
{
    static const double zero = 0;
    static const weft_reduction energy = {sizeof(double), &zero, add_energy, add};
    struct galaxy *g = arg;
    int code = weft_for(0, g->n, GRAIN, accelerate, g);
    if (code == 0) code = weft_reduce(0, g->n, GRAIN, &energy, g, &g->energy[0]);
    for (int t = 0; t < STEPS && code == 0; t++) {
        code = weft_for(0, g->n, 0, move, g);
        if (code == 0) code = weft_for(0, g->n, GRAIN, accelerate, g);
    }
    return code < 0 ? code : weft_reduce(0, g->n, GRAIN, &energy, g, &g->energy[1]);
}

static int
plain(void *arg)
{
    struct galaxy *g = arg;
    accelerate(0, g->n, g);
    add_energy(0, g->n, &g->energy[0], g);
    for (int t = 0; t < STEPS; t++) {
        move(0, g->n, g);
        accelerate(0, g->n, g);
    }
    return add_energy(0, g->n, &g->energy[1], g);
}

/* ---- The program. */

/* A disc that turns. */
static void
fill(struct star *stars, size_t n)
{
    uint64_t stream = 5;
    for (size_t i = 0; i < n; i++) {
        double radius = sqrt(next_uniform(&stream)), angle = 2 * 3.14159265358979323846 * next_uniform(&stream);
        struct star s = {.x = radius * cos(angle), .y = radius * sin(angle), .mass = 1 / (double)n};
        s.vx = -0.8 * s.y;
        s.vy = 0.8 * s.x;
        stars[i] = s;
    }
}

struct work {
    struct options options;
    struct galaxy galaxy, twin;
};

static int
root(void *arg)
{
    struct work *w = arg;
    const struct galaxy *g = &w->galaxy, *twin = &w->twin;
    int code = run_version(&w->options, "in parallel", parallel, &w->galaxy);
    if (code == 0) code = run_version(&w->options, "serial", plain, &w->twin);
    if (code < 0) return code;

    bool alike = true;
    for (int i = 0; i < 2; i++) alike = alike && fabs(g->energy[i] - twin->energy[i]) <= 1e-15 * (double)g->n;
    printf("%zu stars, %d steps\nenergy %.6f at first, %.6f at last\n", g->n, STEPS, g->energy[0], g->energy[1]);
    printf("energies: the serial twin's, within 1e-15 n: %s\n", alike ? "yes" : "NO");
    code = same_bits("stars", g->stars, twin->stars, g->n * sizeof *g->stars);
    return alike ? code : 1;
}

static int
draw(const struct galaxy *g, const char *path)
{
    unsigned char *rgb = allocate((size_t)PIXELS * PIXELS, 3);
    for (size_t i = 0; i < g->n; i++) {
        double x = (g->stars[i].x + 1.25) / 2.5 * PIXELS, y = (g->stars[i].y + 1.25) / 2.5 * PIXELS;
        if (!(x >= 0 && x < PIXELS && y >= 0 && y < PIXELS)) continue;
        unsigned char *pixel = rgb + 3 * ((size_t)y * PIXELS + (size_t)x);
        picture_colour(pixel, pixel[0] == 0 ? 0.6 : 1);
    }
    int code = picture_write(path, rgb, PIXELS, PIXELS);
    free(rgb);
    return code;
}

int
main(int argc, char **argv)
{
    struct options o = options_of(argc, argv, 300, 2, 1000000);
    struct work w = {o,
                     {.n = o.size, .stars = allocate(o.size, sizeof(struct star))},
                     {.n = o.size, .stars = allocate(o.size, sizeof(struct star))}};
    fill(w.galaxy.stars, o.size);
    fill(w.twin.stars, o.size);
    int code = run_program(&w.options, root, &w);
    if (code == 0) code = draw(&w.galaxy, o.path);
    free(w.galaxy.stars);
    free(w.twin.stars);
    return code;
}
