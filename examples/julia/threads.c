/* threads.c - a loop whose iterations run on all workers.
 *
 * Julia: Threads.@threads for (:dynamic), and :greedy, where whoever is free takes the next iteration: a grain of 1. */
#include <stdio.h>

#include <weft.h>

enum { N = 10 };

static int
square(size_t begin, size_t end, void *ctx)
{
    int *a = ctx;
    for (size_t i = begin; i < end; i++) a[i] = (int)(i * i);
    return 0;
}

/* Iterations that take very different times. */
static int
double_slowly(size_t begin, size_t end, void *ctx)
{
    int *a = ctx, code = 0;
    for (size_t i = begin; i < end && code == 0; i++) {
        code = weft_sleep((int64_t)i % 3 * WEFT_MS);
        a[i] *= 2;
    }
    return code;
}

static int
root(void *arg)
{
    int *a = arg;
    int code = weft_for(0, N, 0, square, a);
    if (code == 0) code = weft_for(0, N, 1, double_slowly, a);
    for (int i = 0; i < N; i++) printf("%d ", a[i]);
    puts("");
    return code;
}

int
main(void)
{
    int a[N];
    return weft_run(NULL, root, a) < 0;
}
