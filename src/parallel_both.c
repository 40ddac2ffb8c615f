/* parallel_both.c - fork and join of two.  [layer 6] */
#include "scheduler.h"

#include <weft/parallel.h>

int
weft_both(weft_fn *f, void *a, weft_fn *g, void *b)
{
    weft_task *t;
    bool stackless = false;
    if (!f || !g) return WEFT_EINVAL;
    int rc = weft_spawn(&t, g, b);
    if (rc < 0 && rc != WEFT_ENOMEM) return rc;
    int first = f(a);
    /* b may be in the caller's frame: g is waited for, whatever happens to the caller */
    int second = rc == 0 ? weft__join_always(t, &stackless) : g(b);
    if (stackless) second = g(b);
    return first < 0 ? first : second < 0 ? second : 0;
}
