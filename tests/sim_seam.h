/* sim_seam.h - included ahead of every source of the simulator's build: makes each atomic operation a place where the
 * simulator may switch threads.
 *
 * The sources are those of every other build.  <stdatomic.h> is included first, then its operations are defined anew: a
 * point before each, and one more after those that write, since what follows a store without an atomic of its own is
 * open to others as well.  Memory is sequentially consistent here. */
#ifndef WEFT_TESTS_SIM_SEAM_H
#define WEFT_TESTS_SIM_SEAM_H

/* Macros inside macros: the same names again and again, which is right here. */
#pragma GCC system_header

#include <stdatomic.h>

#include "arch/cpu.h"

#if !defined(__GNUC__) || defined(__clang__)
#error "the simulator is built with gcc: it redefines the macros of gcc's <stdatomic.h>"
#endif

extern long sim_left; /* points until the running thread's turn is over */
void sim_turn(void);
void sim_pause(void);

static inline void
sim_point(void)
{
    if (__builtin_expect(--sim_left < 0, 0)) sim_turn();
}

#define weft__pause() sim_pause()

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_xor_explicit
#undef atomic_fetch_and_explicit

#define atomic_load_explicit(object, order)                                                                            \
    __extension__({                                                                                                    \
        sim_point();                                                                                                   \
        __auto_type sim_object = (object);                                                                             \
        __typeof__((void)0, *sim_object) sim_value;                                                                    \
        __atomic_load(sim_object, &sim_value, order);                                                                  \
        sim_value;                                                                                                     \
    })
#define atomic_store_explicit(object, desired, order)                                                                  \
    __extension__({                                                                                                    \
        __auto_type sim_object = (object);                                                                             \
        __typeof__((void)0, *sim_object) sim_desired = (desired);                                                      \
        sim_point();                                                                                                   \
        __atomic_store(sim_object, &sim_desired, order);                                                               \
        sim_point();                                                                                                   \
    })
#define atomic_exchange_explicit(object, desired, order)                                                               \
    __extension__({                                                                                                    \
        __auto_type sim_object = (object);                                                                             \
        __typeof__((void)0, *sim_object) sim_desired = (desired);                                                      \
        __typeof__((void)0, *sim_object) sim_value;                                                                    \
        sim_point();                                                                                                   \
        __atomic_exchange(sim_object, &sim_desired, &sim_value, order);                                                \
        sim_point();                                                                                                   \
        sim_value;                                                                                                     \
    })
#define atomic_compare_exchange_strong_explicit(object, expected, desired, success, failure)                           \
    __extension__({                                                                                                    \
        __auto_type sim_object = (object);                                                                             \
        __typeof__((void)0, *sim_object) sim_desired = (desired);                                                      \
        sim_point();                                                                                                   \
        _Bool sim_done = __atomic_compare_exchange(sim_object, (expected), &sim_desired, 0, success, failure);         \
        sim_point();                                                                                                   \
        sim_done;                                                                                                      \
    })
#define atomic_compare_exchange_weak_explicit(object, expected, desired, success, failure)                             \
    atomic_compare_exchange_strong_explicit(object, expected, desired, success, failure)

#define SIM_FETCH(builtin, object, operand, order)                                                                     \
    __extension__({                                                                                                    \
        __auto_type sim_object = (object);                                                                             \
        __auto_type sim_operand = (operand);                                                                           \
        sim_point();                                                                                                   \
        __auto_type sim_before = builtin(sim_object, sim_operand, order);                                              \
        sim_point();                                                                                                   \
        sim_before;                                                                                                    \
    })
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_fetch_or
#undef atomic_fetch_xor
#undef atomic_fetch_and
#define atomic_fetch_add(object, operand) atomic_fetch_add_explicit(object, operand, memory_order_seq_cst)
#define atomic_fetch_sub(object, operand) atomic_fetch_sub_explicit(object, operand, memory_order_seq_cst)
#define atomic_fetch_or(object, operand) atomic_fetch_or_explicit(object, operand, memory_order_seq_cst)
#define atomic_fetch_xor(object, operand) atomic_fetch_xor_explicit(object, operand, memory_order_seq_cst)
#define atomic_fetch_and(object, operand) atomic_fetch_and_explicit(object, operand, memory_order_seq_cst)
#define atomic_fetch_add_explicit(object, operand, order) SIM_FETCH(__atomic_fetch_add, object, operand, order)
#define atomic_fetch_sub_explicit(object, operand, order) SIM_FETCH(__atomic_fetch_sub, object, operand, order)
#define atomic_fetch_or_explicit(object, operand, order) SIM_FETCH(__atomic_fetch_or, object, operand, order)
#define atomic_fetch_xor_explicit(object, operand, order) SIM_FETCH(__atomic_fetch_xor, object, operand, order)
#define atomic_fetch_and_explicit(object, operand, order) SIM_FETCH(__atomic_fetch_and, object, operand, order)

#endif
