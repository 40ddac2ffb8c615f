/* ticks.h - a clock that is read in a few nanoseconds, where the machine has one.  [layer 1]
 *
 * It counts at a constant rate, whatever the core does, and close enough to the same on all cores.  It orders nothing: the
 * processor may read it a few instructions early. */
#ifndef WEFT_SRC_TICKS_H
#define WEFT_SRC_TICKS_H

#include "clock.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>

static inline uint64_t
weft__ticks_fast(void)
{
    return __rdtsc();
}

/* The time-stamp counter, if it is invariant: Intel SDM, volume 3, section 18.17. */
static inline bool
weft__ticks_usable(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1U << 8));
}

#elif defined(__aarch64__)
static inline uint64_t
weft__ticks_fast(void)
{
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}

static inline bool
weft__ticks_usable(void)
{
    return true;
}

#else
static inline uint64_t
weft__ticks_fast(void)
{
    return (uint64_t)weft__clock_now();
}

static inline bool
weft__ticks_usable(void)
{
    return false;
}
#endif

#endif
