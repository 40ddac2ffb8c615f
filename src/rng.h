/* rng.h - random numbers for choosing victims: xorshift64* (Vigna, 2016).  [layer 0] */
#ifndef WEFT_SRC_RNG_H
#define WEFT_SRC_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline void
weft__rng_seed(struct rng *r, uint64_t seed)
{
    r->state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    if (r->state == 0) r->state = 1;
}

/* Below n, which is not 0. */
static inline uint32_t
weft__rng_below(struct rng *r, uint32_t n)
{
    uint64_t x = r->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    r->state = x;
    uint32_t high = (uint32_t)((x * UINT64_C(0x2545F4914F6CDD1D)) >> 32);
    return (uint32_t)(((uint64_t)high * n) >> 32);
}

#endif
