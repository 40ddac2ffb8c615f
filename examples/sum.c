/* sum.c - the sum and the dot product of two large vectors, on all cores, checked against a plain loop.
 *
 *     cc -O2 sum.c $(pkg-config --cflags --libs weft) && ./a.out */
#include <stdio.h>
#include <stdlib.h>

#include <weft.h>

#define COUNT ((size_t)10000000)

struct vectors {
    double *x, *y;
};

struct sums {
    double sum, dot;
};

/* Small multiples of a quarter: all sums of them are exact, so that every order of adding gives the same. */
static int
fill(size_t begin, size_t end, void *ctx)
{
    const struct vectors *v = ctx;
    for (size_t i = begin; i < end; i++) {
        v->x[i] = (double)(i % 1001) * 0.25;
        v->y[i] = (double)(i % 17) * 0.5;
    }
    return 0;
}

static int
add_range(size_t begin, size_t end, void *acc, void *ctx)
{
    const struct vectors *v = ctx;
    struct sums s = *(struct sums *)acc;
    for (size_t i = begin; i < end; i++) {
        s.sum += v->x[i];
        s.dot += v->x[i] * v->y[i];
    }
    *(struct sums *)acc = s;
    return 0;
}

static void
add_sums(void *into, const void *from, void *ctx)
{
    (void)ctx;
    struct sums *s = into;
    const struct sums *t = from;
    s->sum += t->sum;
    s->dot += t->dot;
}

static int
compute(void *arg)
{
    static const struct sums zero = {0, 0};
    const weft_reduction adding = {sizeof(struct sums), &zero, add_range, add_sums};
    struct sums parallel, serial = zero;

    int code = weft_for(0, COUNT, 0, fill, arg);
    if (code < 0) return code;
    weft_time begun = weft_now();
    code = weft_reduce(0, COUNT, 0, &adding, arg, &parallel);
    if (code < 0) return code;
    weft_time middle = weft_now();
    code = add_range(0, COUNT, &serial, arg);
    if (code < 0) return code;
    weft_time ended = weft_now();

    printf("sum %.2f, dot product %.3f\n", parallel.sum, parallel.dot);
    printf("%.1f ms on %d workers, %.1f ms in a plain loop\n", (double)(middle - begun) / WEFT_MS, weft_nworkers(),
           (double)(ended - middle) / WEFT_MS);
    if (parallel.sum == serial.sum && parallel.dot == serial.dot) return 0;
    fprintf(stderr, "sum: the plain loop says %.2f and %.3f\n", serial.sum, serial.dot);
    return 1;
}

int
main(void)
{
    struct vectors v = {malloc(COUNT * sizeof(double)), malloc(COUNT * sizeof(double))};
    int code = v.x && v.y ? weft_run(NULL, compute, &v) : WEFT_ENOMEM;
    if (code < 0) fprintf(stderr, "sum: %s\n", weft_error_text(code));
    free(v.x);
    free(v.y);
    return code != 0;
}
