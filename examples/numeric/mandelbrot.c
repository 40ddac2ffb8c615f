/* mandelbrot.c - the Mandelbrot set, as a picture.
 *
 *     cc -O2 mandelbrot.c $(pkg-config --cflags --libs weft libpng) && ./a.out -t -o mandelbrot.png 1200
 *
 * Some tiles take a thousand times as long as others, and nobody knows which: the loop gives what is left to whoever has
 * nothing to do. */
#include "numeric.h"
#include "picture.h"

enum { LIMIT = 500, GRAIN = 256 };

struct set {
    size_t width, height;
    uint16_t *count; /* for each pixel: the iterations until it is known to be outside; LIMIT: it may be inside */
};

static uint16_t
iterations(double cr, double ci)
{
    double r = 0, i = 0;
    uint16_t n = 0;
    for (; n < LIMIT && r * r + i * i <= 4; n++) {
        double next = r * r - i * i + cr;
        i = 2 * r * i + ci;
        r = next;
    }
    return n;
}

static int
fill_tile(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    const struct set *s = ctx;
    double step = 3.0 / (double)s->width;
    for (size_t y = r0; y < r1; y++) {
        for (size_t x = c0; x < c1; x++) {
            double ci = ((double)y - (double)(s->height - 1) / 2) * step;
            s->count[y * s->width + x] = iterations(-2.2 + (double)x * step, ci);
        }
    }
    return 0;
}

static int
by_tiles(void *arg)
{
    const struct set *s = arg;
    return weft_for_2d(s->height, s->width, GRAIN, fill_tile, arg);
}

static int
plain(void *arg)
{
    const struct set *s = arg;
    return fill_tile(0, s->height, 0, s->width, arg);
}

/* ---- The program. */

struct work {
    struct options options;
    struct set set, twin;
};

static int
root(void *arg)
{
    struct work *w = arg;
    const struct set *s = &w->set;
    int code = run_version(&w->options, "by tiles", by_tiles, &w->set);
    if (code == 0) code = run_version(&w->options, "serial", plain, &w->twin);
    if (code < 0) return code;

    uint64_t sum = 0;
    size_t inside = 0, n = s->width * s->height;
    for (size_t i = 0; i < n; i++) {
        sum += s->count[i];
        inside += s->count[i] == LIMIT;
    }
    printf("%zu x %zu pixels, %zu inside, %llu iterations\n", s->width, s->height, inside, (unsigned long long)sum);
    return same_bits("by tiles", s->count, w->twin.count, n * sizeof *s->count);
}

static int
draw(const struct set *s, const char *path)
{
    size_t n = s->width * s->height;
    unsigned char *rgb = allocate(n, 3);
    for (size_t i = 0; i < n; i++) {
        double x = (double)s->count[i] / 64; /* most of what is outside leaves soon */
        if (s->count[i] < LIMIT) picture_colour(rgb + 3 * i, x / (1 + x));
    }
    int code = picture_write(path, rgb, s->width, s->height);
    free(rgb);
    return code;
}

int
main(int argc, char **argv)
{
    struct options o = options_of(argc, argv, 180, 2, 30000);
    size_t width = o.size, height = width * 4 / 5;
    struct work w = {o, {width, height, allocate(width * height, 2)}, {width, height, allocate(width * height, 2)}};
    int code = run_program(&w.options, root, &w);
    if (code == 0) code = draw(&w.set, o.path);
    free(w.set.count);
    free(w.twin.count);
    return code;
}
