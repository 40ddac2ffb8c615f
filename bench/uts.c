/* uts.c - the search of unbalanced trees: how large the part below a node is shows only when it has been searched. */
#include "uts.h"
#include "on_weft.h"
#include "threads.h"

#include <stdatomic.h>
#include <weft/scope.h>

/* The last child is joined first: it is what this worker has queued last. */
static int
by_spawn(void *arg)
{
    struct uts_node *n = arg;
    int count = uts_count(n);
    if (count == 0) return uts_leaf(n);
    struct uts_node *children = UTS_ROOM(count, struct uts_node);
    weft_task **tasks = UTS_ROOM(count, weft_task *);
    for (int i = 0; i < count; i++) {
        uts_child(n, i, &children[i]);
        ok(weft_spawn(&tasks[i], by_spawn, &children[i]), "weft_spawn");
    }
    for (int i = count; i-- > 0;) join(tasks[i]);
    uts_found(n, children, count);
    uts_leave(count, tasks);
    uts_leave(count, children);
    return 0;
}

static int
by_scope(void *arg)
{
    struct uts_node *n = arg;
    int count = uts_count(n);
    if (count == 0) return uts_leaf(n);
    struct uts_node *children = UTS_ROOM(count, struct uts_node);
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int i = 0; i < count; i++) {
        uts_child(n, i, &children[i]);
        ok(weft_spawn(NULL, by_scope, &children[i]), "weft_spawn");
    }
    ok(weft_scope_close(&s, 0), "weft_scope_close");
    uts_found(n, children, count);
    uts_leave(count, children);
    return 0;
}

/* A thread for each worker, as one would do it by hand: each takes the next child of the root, and searches that by plain
 * calls. */
struct by_hand {
    struct uts_node *children;
    int count;
    _Atomic int next;
};

static void *
by_hand_thread(void *arg)
{
    struct by_hand *h = arg;
    for (int i; (i = atomic_fetch_add_explicit(&h->next, 1, memory_order_relaxed)) < h->count;)
        uts_serial(&h->children[i]);
    return NULL;
}

static int
by_hand(void *arg)
{
    struct uts_node *n = arg;
    int count = uts_count(n);
    struct by_hand h = {UTS_ROOM(count, struct uts_node), count, 0};
    pthread_t threads[CPU_SETSIZE];
    for (int i = 0; i < count; i++) uts_child(n, i, &h.children[i]);
    for (int i = 1; i < bench.workers; i++) threads[i] = thread_start(by_hand_thread, &h, NULL);
    by_hand_thread(&h);
    for (int i = 1; i < bench.workers; i++) pthread_join(threads[i], NULL);
    uts_found(n, h.children, count);
    uts_leave(count, h.children);
    return 0;
}

/* Both trees, in the same ways. */
#define WAY(way)                                                                                                       \
    static void t1_##way(struct bench_sample *s)                                                                       \
    {                                                                                                                  \
        uts_t1_sample(s, way);                                                                                         \
    }                                                                                                                  \
    static void t3_##way(struct bench_sample *s)                                                                       \
    {                                                                                                                  \
        uts_t3_sample(s, way);                                                                                         \
    }

WAY(uts_serial)
WAY(by_hand)
WAY(by_spawn)
WAY(by_scope)

static const struct bench_variant t1_variants[] = {
    {"serial", BENCH_TWIN, t1_uts_serial},
    {"pthread", BENCH_TWIN, t1_by_hand},
    {"spawn+join", BENCH_ONE_AND_ALL, t1_by_spawn},
    {"scope", BENCH_ONE_AND_ALL, t1_by_scope},
};
static const struct bench_variant t3_variants[] = {
    {"serial", BENCH_TWIN, t3_uts_serial},
    {"pthread", BENCH_TWIN, t3_by_hand},
    {"spawn+join", BENCH_ONE_AND_ALL, t3_by_spawn},
    {"scope", BENCH_ONE_AND_ALL, t3_by_scope},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(uts_t1_values, t1_variants, 1),
    BENCH_GROUP(uts_t3_values, t3_variants, 1),
};

BENCH_MAIN(groups)
