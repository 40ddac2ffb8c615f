/* asyncmap.c - calling a function that waits, on many elements at the same time, with the results in order.
 *
 * Julia: asyncmap(f, c; ntasks, batch_size). */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

enum { N = 22 };

struct counts {
    atomic_int running, most, calls;
};

/* Squares count numbers; waits a while for each call, as for an answer from far away. */
static int
slow_square(const void *in, void *out, size_t count, void *ctx)
{
    struct counts *c = ctx;
    int running = atomic_fetch_add(&c->running, 1) + 1, most = atomic_load(&c->most);
    while (running > most && !atomic_compare_exchange_weak(&c->most, &most, running)) {
    }
    atomic_fetch_add(&c->calls, 1);
    int code = weft_sleep(WEFT_MS);
    for (size_t i = 0; i < count; i++) ((int *)out)[i] = ((const int *)in)[i] * ((const int *)in)[i];
    atomic_fetch_sub(&c->running, 1);
    return code;
}

static int
map(const char *how, size_t most, const weft_map_options *opt)
{
    struct counts c = {0, 0, 0};
    int in[N], out[N];
    for (int i = 0; i < N; i++) in[i] = i + 1;
    int code = weft_map(in, sizeof *in, out, sizeof *out, N, slow_square, &c, opt);
    if (code < 0) return code;
    printf("%s: %d calls, never more than %zu at a time: %s\n", how, c.calls, most,
           (size_t)c.most <= most ? "yes" : "no");
    for (int i = 0; i < N; i++) printf(" %d", out[i]);
    puts("");
    return 0;
}

static int
root(void *arg)
{
    (void)arg;
    const weft_map_options five = {.ntasks = 5}, batches = {.ntasks = 5, .batch = 5};
    int code = map("by default", 100, NULL);
    if (code == 0) code = map("5 tasks", 5, &five);
    if (code == 0) code = map("batches of 5", 5, &batches);
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
