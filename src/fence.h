/* fence.h - a pair of fences of which the frequent one costs nothing.  [layer 1]
 *
 * Two threads that each store, fence, and load what the other stored cannot both miss the other's store.  Where one
 * side runs a million times as often as the other, weft__fence_light on that side is only an order to the compiler,
 * and weft__fence_heavy on the rare side has the kernel run a full fence on every core that runs this process
 * (membarrier(2), about 10 us).  Where the kernel has no membarrier, both are full fences.
 *
 * Measured (x86-64, EPYC): a full fence 4.6 ns, as much as everything else in a spawn. */
#ifndef WEFT_SRC_FENCE_H
#define WEFT_SRC_FENCE_H

#include "atomic.h"
#include "bits.h"

/* For the light side: tasks, and who wakes them.  They have heard of the runtime, before whose start weft__fence_init sets it. */
extern bool weft__fence_asymmetric;

/* The same for the heavy side, which is also a plain thread that cancels, and may know of no start: it reads the old value, and
 * fences by itself.  Then that fence came before the one at the end of weft__fence_init, and so before all that the light
 * side does after the start: that sees what was stored before the heavy fence. */
extern _Atomic bool weft__fence_registered;

void weft__fence_init(void);

static inline void
weft__fence_light(void)
{
    if (weft__likely(weft__fence_asymmetric)) weft__compiler_fence();
    else weft__fence();
}

void weft__fence_heavy(void);

#endif
