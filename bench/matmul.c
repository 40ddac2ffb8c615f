/* matmul.c - the product of two matrices by recursion: tasks of a few microseconds, and data that caches may keep. */
#include "matmul.h"
#include "on_weft.h"
#include "threads.h"

#include <stdatomic.h>

/* Joined in the order in which they were spawned: so the parts follow each other in memory, as in the twin. */
static int
by_spawn(void *arg)
{
    const struct matmul *m = arg;
    if (m->n <= MATMUL_LEAF) return matmul_leaf(m);
    for (int half = 0; half < 2; half++) {
        struct matmul parts[4];
        weft_task *tasks[4];
        for (int i = 0; i < 4; i++) {
            parts[i] = matmul_part(m, half, i);
            tasks[i] = start(by_spawn, &parts[i]);
        }
        for (int i = 0; i < 4; i++) join(tasks[i]);
    }
    return 0;
}

/* A thread for each worker, as one would do it by hand: each takes the next square of c, and does all for that. */
enum { SIDE = 8 }; /* squares in a row */

struct by_hand {
    const struct matmul *m;
    _Atomic size_t next;
};

static void *
by_hand_thread(void *arg)
{
    struct by_hand *h = arg;
    const struct matmul *m = h->m;
    size_t n = m->n / SIDE, stride = m->stride;
    for (size_t i; (i = atomic_fetch_add_explicit(&h->next, 1, memory_order_relaxed)) < SIDE * SIDE;) {
        size_t row = i / SIDE * n, column = i % SIDE * n;
        for (size_t k = 0; k < m->n; k += n) {
            struct matmul part = {m->a + row * stride + k, m->b + k * stride + column, m->c + row * stride + column, n,
                                  stride};
            matmul_serial(&part);
        }
    }
    return NULL;
}

static int
by_hand(void *arg)
{
    struct by_hand h = {arg, 0};
    pthread_t threads[CPU_SETSIZE];
    for (int i = 1; i < bench.workers; i++) threads[i] = thread_start(by_hand_thread, &h, NULL);
    by_hand_thread(&h);
    for (int i = 1; i < bench.workers; i++) pthread_join(threads[i], NULL);
    return 0;
}

static void
serial(struct bench_sample *s)
{
    matmul_sample(s, matmul_serial);
}

static void
threads(struct bench_sample *s)
{
    matmul_sample(s, by_hand);
}

static void
spawn_and_join(struct bench_sample *s)
{
    matmul_sample(s, by_spawn);
}

static const struct bench_variant variants[] = {
    {"serial", BENCH_TWIN, serial},
    {"pthread", BENCH_TWIN, threads},
    {"spawn+join", BENCH_ONE_AND_ALL, spawn_and_join},
};
static const struct bench_group groups[] = {BENCH_GROUP(matmul_values, variants, 2)};

BENCH_MAIN(groups)
