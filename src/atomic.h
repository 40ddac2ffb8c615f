/* atomic.h - C11 atomics under short names, the fences, and a lock that is held for nanoseconds.  [layer 0]
 *
 * One source serves production, the sanitizers and the models (tests/explore.h): nothing else in src/ includes <stdatomic.h>.
 * Every use names its order, and says nearby what it pairs with. */
#ifndef WEFT_SRC_ATOMIC_H
#define WEFT_SRC_ATOMIC_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/cpu.h"

/* Under the explorer (tests/explore.h) the code is instrumented as for TSan, but nothing else of that is there. */
#if defined(__has_feature) && !defined(WEFT_MODEL)
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) && !defined(WEFT_TSAN) && !defined(WEFT_MODEL)
#define WEFT_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(WEFT_ASAN)
#define WEFT_ASAN 1
#endif

/* The order is part of the verb.  cas is strong and orders nothing when it fails. */
#define load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define load_seq_cst(p) atomic_load_explicit((p), memory_order_seq_cst)
#define store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define store_seq_cst(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define swap_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)
#define swap_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define add_seq_cst(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define sub_release(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_release)
#define sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define or_acq_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define and_acq_rel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)
#define cas_relaxed(p, old, v)                                                                                         \
    atomic_compare_exchange_strong_explicit((p), (old), (v), memory_order_relaxed, memory_order_relaxed)
#define cas_acquire(p, old, v)                                                                                         \
    atomic_compare_exchange_strong_explicit((p), (old), (v), memory_order_acquire, memory_order_relaxed)
#define cas_release(p, old, v)                                                                                         \
    atomic_compare_exchange_strong_explicit((p), (old), (v), memory_order_release, memory_order_relaxed)
#define cas_acq_rel(p, old, v)                                                                                         \
    atomic_compare_exchange_strong_explicit((p), (old), (v), memory_order_acq_rel, memory_order_relaxed)
#define cas_seq_cst(p, old, v)                                                                                         \
    atomic_compare_exchange_strong_explicit((p), (old), (v), memory_order_seq_cst, memory_order_relaxed)

/* Adds to a counter that only the caller's thread writes, and others may read: no read-modify-write. */
#define bump(p, v) store_relaxed((p), load_relaxed(p) + (v))

/* The sequentially consistent fence.  TSan does not model fences: there it becomes a read-modify-write of one shared
 * word, which orders the same accesses and is seen.  On x86-64 a locked instruction is cheaper than the mfence that
 * clang emits. */
static inline void
weft__fence(void)
{
#if defined(WEFT_TSAN)
    static _Atomic int word;
    atomic_fetch_add_explicit(&word, 0, memory_order_seq_cst);
#elif defined(__x86_64__) && !defined(WEFT_MODEL)
    __asm__ volatile("lock orq $0, (%%rsp)" ::: "memory", "cc");
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Orders nothing in the processor; keeps the compiler from moving accesses across. */
#define weft__compiler_fence() atomic_signal_fence(memory_order_seq_cst)

/*
 * A lock for a few loads and stores, never held across a park or a system call. Taking it is one read-modify-write,
 * releasing it a store.  A holder may lose its core: after a bounded spin the taker gives its own core away, so that
 * oversubscribed workers make progress.  Valid when zeroed.
 */
typedef struct weft__lock {
    _Atomic uint32_t held;
} weft__lock;

void weft__lock_slow(weft__lock *l);
#if defined(WEFT_MODEL)
void weft__model_await(_Atomic uint32_t *word, uint32_t value); /* the explorer's: blocks until that is its value */
#endif

static inline bool
weft__trylock(weft__lock *l)
{
    uint32_t free = 0;
    return cas_acquire(&l->held, &free, 1); /* acquire: pairs with the release in weft__unlock */
}

static inline void
weft__acquire(weft__lock *l)
{
#if defined(WEFT_MODEL)
    weft__model_await(&l->held, 0); /* a model does not spin */
#endif
    if (!weft__trylock(l)) weft__lock_slow(l);
}

static inline void
weft__unlock(weft__lock *l)
{
    store_release(&l->held, 0); /* pairs with the acquire in weft__trylock */
}

#endif
