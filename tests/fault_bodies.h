/* fault_bodies.h - what the loops, reductions and channels of several scenarios do. */
#ifndef WEFT_TESTS_FAULT_BODIES_H
#define WEFT_TESTS_FAULT_BODIES_H

#include "fault_kit.h"

static _Atomic int runs; /* tasks and iterations that have run */

static inline int
piece(size_t begin, size_t end, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&runs, (int)(end - begin));
    return 0;
}

static inline int
map(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)ctx;
    *(long *)acc += (long)(end - begin);
    return 0;
}

static inline void
combine(void *into, const void *from, void *ctx)
{
    (void)ctx;
    *(long *)into += *(const long *)from;
}

static inline int
feed(weft_channel *c, void *arg)
{
    (void)arg;
    return weft_channel_put(c, &(int){5});
}

#endif
