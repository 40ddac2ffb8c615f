/* shutdown.h - the ladder of weft_shutdown.  [layer 4]
 *
 * The essay is in shutdown.c. */
#ifndef WEFT_SRC_SHUTDOWN_H
#define WEFT_SRC_SHUTDOWN_H

#include "scheduler.h"

/* Has weft_shutdown marked what nobody has walked for yet? */
static inline bool
weft__shutdown_due(void)
{
    uint32_t delivered = load_acquire(&weft__sched.delivered); /* acquire: not above what is read next */
    return load_acquire(&weft__sched.due) != delivered;        /* acquire: pairs with H3, what was marked before it */
}

/* Walks for it: D2 and D3.  False: somebody else does. */
bool weft__shutdown_deliver(void);

/* Before the workers start. */
void weft__shutdown_begin(void);

#endif
