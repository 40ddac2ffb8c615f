/* heat.c - heat that spreads over a plate: a stencil with two buffers, by tasks that each own a strip of rows.
 *
 *     cc -O2 heat.c $(pkg-config --cflags --libs weft libpng) && ./a.out -t -o heat.png 1000
 *
 * A step of a strip reads the rows at its edges that its neighbours wrote in the step before.  Two ways to wait for that:
 *   a barrier   nobody begins a step before all have ended the one before;
 *   channels    a strip waits for its two neighbours alone: they send a word when they have ended a step.
 * There may be more tasks than workers: who waits parks, and makes room. */
#include "numeric.h"
#include "picture.h"

enum { STEPS = 200 };

struct plate {
    size_t n;       /* rows and columns; those at the edges keep their temperature */
    double *now[2]; /* step t reads now[t % 2], and writes the other */
};

static void
set_up(struct plate *p)
{
    size_t n = p->n;
    for (int b = 0; b < 2; b++) {
        p->now[b] = allocate(n * n, sizeof(double));
        for (size_t i = 0; i < n; i++) p->now[b][i] = 1;                     /* the upper edge is hot */
        for (size_t i = n / 2; i < n; i++) p->now[b][i * n] = 0.5;           /* half of the left one is warm */
        for (size_t i = n / 3; i < n / 2; i++) p->now[b][i * n + n / 2] = 2; /* and there is something hot, at first */
    }
}

static void
step_rows(const struct plate *p, int t, size_t r0, size_t r1)
{
    size_t n = p->n;
    const double *from = p->now[t % 2];
    double *to = p->now[(t + 1) % 2];
    for (size_t i = r0; i < r1; i++) {
        for (size_t j = 1; j + 1 < n; j++) {
            size_t at = i * n + j;
            to[at] = from[at] + 0.2 * (from[at - n] + from[at + n] + from[at - 1] + from[at + 1] - 4 * from[at]);
        }
    }
}

/* ---- The serial twin. */

static int
plain(void *arg)
{
    const struct plate *p = arg;
    for (int t = 0; t < STEPS; t++) step_rows(p, t, 1, p->n - 1);
    return 0;
}

/* ---- Strips. */

struct strip {
    const struct plate *plate;
    size_t begin, end; /* rows */
    weft_barrier *barrier;
    weft_channel *to_above, *from_above, *to_below, *from_below; /* of step numbers; NULL: there is no neighbour */
};

static int
strip_with_barrier(void *arg)
{
    const struct strip *s = arg;
    int code = 0;
    for (int t = 0; t < STEPS && code >= 0; t++) { /* 1: the last to arrive */
        step_rows(s->plate, t, s->begin, s->end);
        code = weft_barrier_wait(s->barrier);
    }
    return code < 0 ? code : 0;
}

/* Says that step t is done, and waits until the neighbour says so.  A neighbour that is ahead by one step has to wait: its
 * word of the step after fits in the channel, but it cannot end that step before it has heard of this one. */
static int
meet(weft_channel *to, weft_channel *from, int t)
{
    int there, code = weft_channel_put(to, &t);
    if (code == 0) code = weft_channel_take(from, &there);
    return code < 0 ? code : there == t ? 0 : weft_fail(WEFT_EINVAL, "step %d met step %d", t, there);
}

static int
strip_with_channels(void *arg)
{
    const struct strip *s = arg;
    int code = 0;
    for (int t = 0; t < STEPS && code == 0; t++) {
        step_rows(s->plate, t, s->begin, s->end);
        if (s->to_above) code = meet(s->to_above, s->from_above, t);
        if (s->to_below && code == 0) code = meet(s->to_below, s->from_below, t);
    }
    return code;
}

/* Four strips for each worker, so that it has something to do while a strip waits; none without a row. */
static size_t
cut(const struct plate *p, struct strip **strips)
{
    size_t rows = p->n - 2, count = 4 * (size_t)weft_nworkers();
    if (count > rows) count = rows;
    *strips = allocate(count, sizeof **strips);
    for (size_t i = 0; i < count; i++) {
        (*strips)[i].plate = p;
        (*strips)[i].begin = 1 + rows * i / count;
        (*strips)[i].end = 1 + rows * (i + 1) / count;
    }
    return count;
}

/* All strips are members of one scope: if one fails, the others do not wait for it in vain. */
static int
run_strips(struct strip *strips, size_t count, weft_fn *body)
{
    weft_scope s;
    int code = 0;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    for (size_t i = 0; i < count && code == 0; i++) code = weft_spawn(NULL, body, &strips[i]);
    if (code < 0) weft_scope_cancel(&s, code);
    return weft_scope_close(&s, code);
}

static int
with_barrier(void *arg)
{
    struct strip *strips;
    weft_barrier barrier;
    size_t count = cut(arg, &strips);
    int code = weft_barrier_init(&barrier, count);
    for (size_t i = 0; i < count; i++) strips[i].barrier = &barrier;
    if (code == 0) code = run_strips(strips, count, strip_with_barrier);
    free(strips);
    return code;
}

static int
with_channels(void *arg)
{
    struct strip *strips;
    size_t count = cut(arg, &strips);
    int code = 0;
    for (size_t i = 0; i + 1 < count && code == 0; i++) {
        code = weft_channel_new(&strips[i].to_below, sizeof(int), 1);
        if (code == 0) code = weft_channel_new(&strips[i].from_below, sizeof(int), 1);
        strips[i + 1].from_above = strips[i].to_below;
        strips[i + 1].to_above = strips[i].from_below;
    }
    if (code == 0) code = run_strips(strips, count, strip_with_channels);
    for (size_t i = 0; i + 1 < count; i++) {
        weft_channel_release(strips[i].to_below);
        weft_channel_release(strips[i].from_below);
    }
    free(strips);
    return code;
}

/* ---- The program. */

enum { BARRIER, CHANNELS, TWIN, VERSIONS };

struct work {
    struct options options;
    struct plate plate[VERSIONS];
};

static int
root(void *arg)
{
    struct work *w = arg;
    size_t n = w->options.size, bytes = n * n * sizeof(double);
    const double *last[VERSIONS];
    for (int i = 0; i < VERSIONS; i++) last[i] = w->plate[i].now[STEPS % 2];
    int code = run_version(&w->options, "with a barrier", with_barrier, &w->plate[BARRIER]);
    if (code == 0) code = run_version(&w->options, "with channels", with_channels, &w->plate[CHANNELS]);
    if (code == 0) code = run_version(&w->options, "serial", plain, &w->plate[TWIN]);
    if (code < 0) return code;

    double sum = 0;
    for (size_t i = 0; i < n * n; i++) sum += last[TWIN][i];
    printf("%zu rows and columns, %d steps\n", n, STEPS);
    printf("mean temperature %.6f, in the middle %.6f\n", sum / (double)(n * n), last[TWIN][n / 2 * n + n / 2]);
    int barrier = same_bits("with a barrier", last[BARRIER], last[TWIN], bytes);
    int channels = same_bits("with channels", last[CHANNELS], last[TWIN], bytes);
    return barrier ? barrier : channels;
}

static int
draw(const double *plate, size_t n, const char *path)
{
    unsigned char *rgb = allocate(n * n, 3);
    for (size_t i = 0; i < n * n; i++) picture_colour(rgb + 3 * i, plate[i] / 1.2);
    int code = picture_write(path, rgb, n, n);
    free(rgb);
    return code;
}

int
main(int argc, char **argv)
{
    struct work w = {.options = options_of(argc, argv, 100, 3, 20000)};
    for (int i = 0; i < VERSIONS; i++) {
        w.plate[i].n = w.options.size;
        set_up(&w.plate[i]);
    }
    int code = run_program(&w.options, root, &w);
    if (code == 0) code = draw(w.plate[BARRIER].now[STEPS % 2], w.options.size, w.options.path);
    for (int i = 0; i < VERSIONS; i++) {
        for (int b = 0; b < 2; b++) free(w.plate[i].now[b]);
    }
    return code;
}
