/* hook.h - where hard builds (make HARD=1) interfere: yields at protocol steps, and allocations that fail.  [layer 0]
 *
 * In ordinary builds a hook is nothing. */
#ifndef WEFT_SRC_HOOK_H
#define WEFT_SRC_HOOK_H

#include <stdbool.h>

#if defined(WEFT_HARD)
/* Gives the core away at random, so that other threads get between two steps of a protocol. */
void weft__hook(void);
/* True where the step should fail as if memory were short: WEFT_FAIL_EVERY=n fails every n-th. */
bool weft__hook_fail(void);
#else
#define weft__hook() ((void)0)
#define weft__hook_fail() false
#endif

#endif
