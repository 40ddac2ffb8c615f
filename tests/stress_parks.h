/* stress_parks.h - waits that only a cancellation ends, for stress programs. */
#ifndef WEFT_STRESS_PARKS_H
#define WEFT_STRESS_PARKS_H

#include "stress_kit.h"

/* What never comes. */
static struct {
    weft_event event;
    weft_semaphore permit; /* its size is 0 */
    weft_channel *channel; /* nobody puts anything into it */
} never;

static inline void
parks_prepare(void)
{
    while (!never.channel) {
        int rc = weft_channel_new(&never.channel, sizeof(int), 0);
        if (rc && !stress_short(rc)) stress_die("weft_channel_new gave %s", weft_error_name(rc));
    }
}

/* Waits for what never comes, and returns with what it was woken: WEFT_ECANCELED, unless something is wrong. */
static inline int
park_somehow(uint64_t *random)
{
    int value, rc;
    weft_case cases[2];
    switch (stress_dice(random, 6)) {
    case 0:
        return weft_sleep(1000 * WEFT_S);
    case 1:
        return weft_event_wait(&never.event);
    case 2:
        return weft_channel_take(never.channel, &value);
    case 3:
        return weft_semaphore_acquire(&never.permit, 1);
    case 4:
        cases[0] = WEFT_TAKE(never.channel, &value);
        cases[1] = WEFT_EVENT(&never.event);
        return weft_select(cases, 2, 0);
    default:
        while ((rc = weft_check()) == 0) stress_give_turn();
        return rc;
    }
}

/* Lets a random, mostly short time pass. */
static inline void
dawdle(uint64_t *random)
{
    int n = stress_dice(random, 6);
    if (n == 0) stress_give_turn();
    else if (n < 4)
        for (volatile int k = stress_dice(random, 30 << (2 * n)); k > 0; k--) continue;
}

#endif
