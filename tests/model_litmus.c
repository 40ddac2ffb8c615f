/* model_litmus.c - the explorer itself: small programs of which it is known what may come out.
 *
 * sources:
 *
 * Each case runs up to four threads, and the results of their loads make up an outcome.  The set of outcomes that the
 * explorer finds must be the expected one: one too few, and it would miss bugs; one too many, and it would find what
 * is none.  The last cases must fail, each in its way. */
#include "explore.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SET(a, b, c, d) ((a) | (b) << 1 | (c) << 2 | (d) << 3)

static _Atomic unsigned x, y, z;
static int plain, *block;
static unsigned r[4];

enum {
    RELAXED = memory_order_relaxed,
    ACQ = memory_order_acquire,
    REL = memory_order_release,
    SC = memory_order_seq_cst
};
#define get(p, order) atomic_load_explicit((p), (order))
#define put(p, v, order) atomic_store_explicit((p), (v), (order))
#define fence(order) atomic_thread_fence(order)

/* Runs each in a thread of its own, and that of FIRST in the first one, which took a lock before there were others. */
enum { FIRST = 4 };

static void
run(void *(*const *each)(void *))
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        if (each[i]) pthread_create(&threads[i], NULL, each[i], NULL);
    if (each[FIRST]) each[FIRST](NULL);
    for (int i = 0; i < 4; i++)
        if (each[i]) pthread_join(threads[i], NULL);
}

#define THREAD(name, code)                                                                                             \
    static void *name(void *arg)                                                                                       \
    {                                                                                                                  \
        (void)arg;                                                                                                     \
        code;                                                                                                          \
        return NULL;                                                                                                   \
    }

/* Store buffering: both may miss the other's store, unless all is sequentially consistent. */
THREAD(sb1, put(&x, 1, REL); r[0] = get(&y, ACQ))
THREAD(sb2, put(&y, 1, REL); r[1] = get(&x, ACQ))
THREAD(sb1_fence, put(&x, 1, RELAXED); fence(SC); r[0] = get(&y, RELAXED))
THREAD(sb2_fence, put(&y, 1, RELAXED); fence(SC); r[1] = get(&x, RELAXED))
THREAD(sb2_weak, put(&y, 1, RELAXED); fence(memory_order_acq_rel); r[1] = get(&x, RELAXED))
THREAD(sb1_sc, put(&x, 1, SC); r[0] = get(&y, SC))
THREAD(sb2_sc, put(&y, 1, SC); r[1] = get(&x, SC))
THREAD(sb2_loose, put(&y, 1, SC); r[1] = get(&x, ACQ))
THREAD(sb1_rmw, atomic_fetch_add(&x, 1); r[0] = get(&y, RELAXED))
THREAD(sb2_rmw, atomic_fetch_add(&y, 1); r[1] = get(&x, RELAXED))

/* Message passing. */
THREAD(mp1, put(&x, 1, RELAXED); put(&y, 1, RELAXED))
THREAD(mp1_rel, put(&x, 1, RELAXED); put(&y, 1, REL))
THREAD(mp1_fence, put(&x, 1, RELAXED); fence(REL); put(&y, 1, RELAXED))
THREAD(mp2, r[0] = get(&y, RELAXED); r[1] = get(&x, RELAXED))
THREAD(mp2_acq, r[0] = get(&y, ACQ); r[1] = get(&x, RELAXED))
THREAD(mp2_fence, r[0] = get(&y, RELAXED); fence(ACQ); r[1] = get(&x, RELAXED))

/* Load buffering: nobody may see what he has caused. */
THREAD(lb1, r[0] = get(&y, RELAXED); put(&x, 1, RELAXED))
THREAD(lb2, r[1] = get(&x, RELAXED); put(&y, 1, RELAXED))

/* Two readers of two independent writers: may they see them in different orders? */
THREAD(write_x, put(&x, 1, REL))
THREAD(write_y, put(&y, 1, REL))
THREAD(write_x_sc, put(&x, 1, SC))
THREAD(write_y_sc, put(&y, 1, SC))
THREAD(read_xy, r[0] = get(&x, ACQ); r[1] = get(&y, ACQ))
THREAD(read_yx, r[2] = get(&y, ACQ); r[3] = get(&x, ACQ))
THREAD(read_xy_fence, r[0] = get(&x, RELAXED); fence(SC); r[1] = get(&y, RELAXED))
THREAD(read_yx_fence, r[2] = get(&y, RELAXED); fence(SC); r[3] = get(&x, RELAXED))
THREAD(read_xy_sc, r[0] = get(&x, SC); r[1] = get(&y, SC))
THREAD(read_yx_sc, r[2] = get(&y, SC); r[3] = get(&x, SC))

/* Coherence: loads of one object do not go back. */
THREAD(count_x, put(&x, 1, RELAXED); put(&x, 2, RELAXED))
THREAD(read_xx, r[0] = get(&x, RELAXED); r[1] = get(&x, RELAXED))
THREAD(set_x1, put(&x, 1, RELAXED); r[0] = get(&x, RELAXED))
THREAD(set_x2, put(&x, 2, RELAXED); r[1] = get(&x, RELAXED))

/* Release sequences: y is published by x = 1; then x is written again before it is read. */
THREAD(publish, put(&y, 1, RELAXED); put(&x, 1, REL))
THREAD(publish_and_cut, put(&y, 1, RELAXED); put(&x, 1, REL); put(&x, 2, RELAXED))
THREAD(continue_it, unsigned one = 1; atomic_compare_exchange_strong_explicit(&x, &one, 2, RELAXED, RELAXED))
THREAD(overwrite, if (get(&x, RELAXED) == 1) put(&x, 2, RELAXED))
THREAD(read_2, r[0] = get(&x, ACQ); r[1] = get(&y, RELAXED))

/* Read-modify-writes lose nothing. */
THREAD(add, r[0] = atomic_fetch_add_explicit(&x, 1, RELAXED))
THREAD(add_too, r[1] = atomic_fetch_add_explicit(&x, 1, RELAXED))

/* A failed compare-and-swap may have read an old value, and orders nothing. */
THREAD(try_0, unsigned old = 9; atomic_compare_exchange_strong_explicit(&x, &old, 5, SC, RELAXED); r[0] = old)

/* Written to reads to causality: what is seen of x through y. */
THREAD(forward, if (get(&x, ACQ)) put(&y, 1, REL))
THREAD(forward_relaxed, if (get(&x, ACQ)) put(&y, 1, RELAXED))

/* Peterson's lock: the turn is handed over by an exchange, or by a store, which is not enough. */
static void
critical(_Atomic unsigned *mine, _Atomic unsigned *other, unsigned turn, bool exchanged)
{
    put(mine, 1, RELAXED);
    if (exchanged) atomic_exchange_explicit(&z, turn, memory_order_acq_rel);
    else put(&z, turn, REL), fence(SC);
    if (get(other, ACQ) == 0 || get(&z, RELAXED) != turn) plain++;
    put(mine, 0, REL);
}
THREAD(peterson_1, critical(&x, &y, 1, true))
THREAD(peterson_2, critical(&y, &x, 2, true))
THREAD(peterson_1_weak, critical(&x, &y, 1, false))
THREAD(peterson_2_weak, critical(&y, &x, 2, false))

THREAD(race_1, plain = 1)
THREAD(race_2, r[0] = (unsigned)plain)
THREAD(send_plain, plain = 1; put(&x, 1, REL))
THREAD(receive_plain, if (get(&x, ACQ)) r[0] = (unsigned)plain)
THREAD(receive_plain_badly, if (get(&x, RELAXED)) r[0] = (unsigned)plain)
THREAD(send_block, put(&x, 1, REL))
THREAD(free_block, if (get(&x, RELAXED)) free(block))
THREAD(use_block, block[1] = 1; put(&x, 1, REL))
THREAD(free_used_block, if (get(&x, ACQ)) free(block))
THREAD(use_after, if (get(&x, ACQ) == 0) block[0] = 1)

static pthread_mutex_t m1 = PTHREAD_MUTEX_INITIALIZER, m2 = PTHREAD_MUTEX_INITIALIZER;
static void
both(pthread_mutex_t *a, pthread_mutex_t *b)
{
    pthread_mutex_lock(a);
    pthread_mutex_lock(b);
    plain++;
    pthread_mutex_unlock(b);
    pthread_mutex_unlock(a);
}
THREAD(lock_12, both(&m1, &m2))
THREAD(lock_21, both(&m2, &m1))

static const struct litmus {
    const char *name;
    void *(*threads[FIRST + 1])(void *);
    unsigned base;               /* the outcome is r[0] * base + r[1]; 0: r[0] to r[3] as bits */
    unsigned long long outcomes; /* a set, */
    const char *failure;         /* or this */
} all[] = {
    {"store buffering", {sb1, sb2}, 2, SET(1, 1, 1, 1), NULL},
    {"store buffering, two fences", {sb1_fence, sb2_fence}, 2, SET(0, 1, 1, 1), NULL},
    {"store buffering, one fence", {sb1_fence, sb2}, 2, SET(1, 1, 1, 1), NULL},
    {"store buffering, a weak fence", {sb1_fence, sb2_weak}, 2, SET(1, 1, 1, 1), NULL},
    {"store buffering, sequentially consistent", {sb1_sc, sb2_sc}, 2, SET(0, 1, 1, 1), NULL},
    {"store buffering, one load weaker", {sb1_sc, sb2_loose}, 2, SET(1, 1, 1, 1), NULL},
    {"store buffering, a fence and accesses", {sb1_sc, sb2_fence}, 2, SET(0, 1, 1, 1), NULL},
    {"store buffering, read-modify-writes", {sb1_rmw, sb2_rmw}, 2, SET(1, 1, 1, 1), NULL},
    {"message passing, relaxed", {mp1, mp2}, 2, SET(1, 1, 1, 1), NULL},
    {"message passing", {mp1_rel, mp2_acq}, 2, SET(1, 1, 0, 1), NULL},
    {"message passing, no acquire", {mp1_rel, mp2}, 2, SET(1, 1, 1, 1), NULL},
    {"message passing, no release", {mp1, mp2_acq}, 2, SET(1, 1, 1, 1), NULL},
    {"message passing, fences", {mp1_fence, mp2_fence}, 2, SET(1, 1, 0, 1), NULL},
    {"message passing, release fence only", {mp1_fence, mp2}, 2, SET(1, 1, 1, 1), NULL},
    {"message passing, release and fence", {mp1_rel, mp2_fence}, 2, SET(1, 1, 0, 1), NULL},
    {"load buffering", {lb1, lb2}, 2, SET(1, 1, 1, 0), NULL},
    {"two readers", {write_x, write_y, read_xy, read_yx}, 0, 0xffff, NULL},
    {"two readers, fences", {write_x, write_y, read_xy_fence, read_yx_fence}, 0, 0xffff & ~(1u << 5), NULL},
    {"two readers, sequentially consistent",
     {write_x_sc, write_y_sc, read_xy_sc, read_yx_sc},
     0,
     0xffff & ~(1u << 5),
     NULL},
    {"two readers, only the reads so", {write_x, write_y, read_xy_sc, read_yx_sc}, 0, 0xffff, NULL},
    {"coherence of reads", {count_x, read_xx}, 3, 1 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8, NULL},
    {"coherence of writes", {set_x1, set_x2}, 3, 1 << 5 | 1 << 4 | 1 << 8, NULL},
    {"a release sequence", {publish, continue_it, read_2}, 2, 1 | 1 << 1 | 1 << 3 | 1 << 5, NULL},
    {"cut by another thread", {publish, overwrite, read_2}, 2, 1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5, NULL},
    {"cut by the same thread", {publish_and_cut, read_2}, 2, 1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5, NULL},
    {"additions", {add, add_too}, 2, SET(0, 1, 1, 0), NULL},
    {"additions, one by the first thread", {add_too, [FIRST] = add}, 2, SET(0, 1, 1, 0), NULL},
    {"a failed compare-and-swap", {count_x, try_0}, 1, SET(1, 1, 1, 0), NULL},
    {"causality", {write_x, forward, mp2_acq}, 2, SET(1, 1, 0, 1), NULL},
    {"causality, cut", {write_x, forward_relaxed, mp2_acq}, 2, SET(1, 1, 1, 1), NULL},
    {"Peterson's lock", {peterson_1, peterson_2}, 1, SET(1, 0, 0, 0), NULL},
    {"a plain message", {send_plain, receive_plain}, 1, SET(1, 1, 0, 0), NULL},
    {"a block passed on", {use_block, free_used_block}, 1, SET(1, 0, 0, 0), NULL},
    {"Peterson's lock with stores", {peterson_1_weak, peterson_2_weak}, 1, 0, "a data race"},
    {"a race", {race_1, race_2}, 1, 0, "a data race"},
    {"a plain message without acquire", {send_plain, receive_plain_badly}, 1, 0, "a data race"},
    {"a block freed too early", {use_block, free_block}, 1, 0, "a data race"},
    {"a block used too late", {send_block, free_used_block, use_after}, 1, 0, "a"},
    {"two locks in two orders", {lock_12, lock_21}, 1, 0, "every thread is blocked"},
};

const char *
explore_title(int index)
{
    return index < (int)(sizeof all / sizeof all[0]) ? all[index].name : NULL;
}

int
main(void)
{
    const struct litmus *l = &all[explore_case];
    explore_expect(l->outcomes);
    if (l->failure) explore_expect_failure(l->failure);
    block = malloc(2 * sizeof *block);
    pthread_mutex_lock(&m1);
    pthread_mutex_unlock(&m1);
    run(l->threads);
    explore_outcome(l->base ? r[0] * l->base + (l->base > 1 ? r[1] : 0) : SET(r[0], r[1], r[2], r[3]));
    return 0;
}
