/* hook.c - the interference of hard builds.  [layer 0] */
#include "hook.h"

#if defined(WEFT_HARD)
#include "atomic.h"

#include <sched.h>
#include <stdlib.h>

enum { YIELD_EVERY = 16 };

static uint32_t
step(void)
{
    static _Atomic uint32_t count;
    uint32_t n = add_relaxed(&count, 1); /* relaxed: any number will do */
    n ^= n << 13;
    n *= 0x9E3779B1u;
    return n ^ (n >> 15);
}

void
weft__hook(void)
{
    if (step() % YIELD_EVERY == 0) sched_yield();
}

bool
weft__hook_fail(void)
{
    static _Atomic int every = -1; /* not read yet */
    static _Atomic int calls;
    int n = load_relaxed(&every); /* relaxed: every thread finds the same */
    if (n < 0) {
        const char *text = getenv("WEFT_FAIL_EVERY");
        n = text ? atoi(text) : 0;
        store_relaxed(&every, n < 0 ? 0 : n); /* relaxed: as above */
    }
    return n > 0 && add_relaxed(&calls, 1) % n == n - 1; /* relaxed: a counter */
}
#else
typedef int weft__hook_is_empty;
#endif
