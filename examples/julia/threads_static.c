/* threads_static.c - a loop in equal parts, the k-th of which runs on the k-th worker.
 *
 * Julia: Threads.@threads :static for i in 1:10; a[i] = Threads.threadid(); end, with four threads. */
#include <stdio.h>

#include <weft.h>

enum { N = 10 };

static int
note_worker(size_t begin, size_t end, void *ctx)
{
    int *a = ctx;
    for (size_t i = begin; i < end; i++) a[i] = weft_worker();
    return 0;
}

static int
root(void *arg)
{
    int *a = arg, code = weft_for_static(0, N, note_worker, a);
    for (int i = 0; i < N; i++) printf("%d ", a[i]);
    puts("");
    return code;
}

int
main(void)
{
    int a[N];
    const weft_config four_workers = {.workers = 4};
    return weft_run(&four_workers, root, a) < 0;
}
