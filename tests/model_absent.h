/* model_absent.h - what models of the scheduler do without, unless they say before that they have it: MODEL_REACTOR,
 * MODEL_TIMERS, MODEL_THIEVES, MODEL_PARKED (contexts), MODEL_END (of the scheduler). */
#ifndef WEFT_TESTS_MODEL_ABSENT_H
#define WEFT_TESTS_MODEL_ABSENT_H

#include "scheduler.h"

#include "deadlock.h"
#include "timerq.h"

#include <assert.h>

int64_t
weft__deadlock_look(struct deadlock_watch *d)
{
    (void)d;
    return INT64_MAX;
}

#if defined(MODEL_REACTOR)
bool model_polls = true;
#else /* nobody waits for a descriptor */
bool model_polls;
_Atomic uint32_t weft__reactor_count;

bool
weft__reactor_unwatched(void)
{
    return false;
}

enum reactor_sleep
weft__reactor_sleep(struct worker *w, int64_t deadline)
{
    (void)w, (void)deadline;
    return REACTOR_NOT;
}

void
weft__reactor_alarm(const struct worker *w)
{
    (void)w;
}
#endif

#if !defined(MODEL_TIMERS)
int64_t
weft__timers_next(void)
{
    return INT64_MAX;
}

void
weft__timers_poll(void)
{
}
#endif

#if !defined(MODEL_THIEVES)
bool
weft__steal(struct worker *w, struct entry *out, bool *again)
{
    (void)w, (void)out, (void)again;
    return false;
}

bool
weft__steal_handoff(struct worker *w, struct handoff_watch *watch, int64_t now, struct entry *out)
{
    (void)w, (void)watch, (void)now, (void)out;
    return false;
}
#endif

#if !defined(MODEL_PARKED)
void
weft__ready(struct context *c, bool crowd)
{
    (void)c, (void)crowd;
    assert(!"no context is parked");
}
#endif

#if !defined(MODEL_END)
bool
weft__sched_progress(void)
{
    return false;
}

bool
weft__sched_leaving(void)
{
    return false;
}
#endif

#endif
