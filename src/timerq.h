/* timerq.h - deadlines: a hierarchical timing wheel.  [layer 3]
 *
 * Adding and removing are O(1), whatever is pending; nothing is allocated.  The essay is in timerq.c. */
#ifndef WEFT_SRC_TIMERQ_H
#define WEFT_SRC_TIMERQ_H

#include "list.h"
#include "park.h"

/* A deadline of one park, on the parker's stack. */
struct timer {
    struct list_node node;
    int64_t when;
    struct parker *parker;
    union {
        uint64_t ticket;
        struct scope *scope; /* parker NULL: not a park, but a scope that is to be cancelled */
    };
    uint16_t slot; /* where in the wheel it is */
    bool pending;  /* in the wheel: under the wheel's lock */
};

/* At `when` the park gets WEFT_ETIMEDOUT, if nobody was faster. */
void weft__timer_add(struct timer *t, int64_t when, struct parker *p, uint64_t ticket);

/* At `when` weft__scope_expire(s) is called, with s pinned.  Returns for weft__timers_nearer, which is left to the caller:
 * when the next timer is due; INT64_MAX: nothing has changed. */
int64_t weft__timer_add_scope(struct timer *t, int64_t when, struct scope *s);

/* When this returns, t is not in the wheel, and nobody will touch it. */
void weft__timer_del(struct timer *t);

/* Wakes whatever is due. */
void weft__timers_poll(void);

/* When weft__timers_poll has to be called next; INT64_MAX: nothing is pending.  May be too early, never too late. */
int64_t weft__timers_next(void);

/* Provided by the idle protocol: the next deadline is nearer than it was. */
void weft__timers_nearer(int64_t when);

#endif
