/* select_kit.h - for the tests of selects: tasks that make one select each, and cases of channels of int64_t. */
#ifndef WEFT_TEST_SELECT_KIT_H
#define WEFT_TEST_SELECT_KIT_H

#include <string.h>

#include "channel_actor.h"
#include "task_kit.h"

enum { MOST_CASES = 8 };

/* A task that makes one select, as an actor of channel_actor.h makes one call. */
struct selector {
    weft_case cases[MOST_CASES];
    size_t n;
    unsigned flags;
    weft_time deadline;
    int result;
    atomic_int step;
    weft_task *task;
};

static inline int
select_once(void *arg)
{
    struct selector *s = arg;
    atomic_store(&s->step, CALLING);
    s->result = s->deadline == WEFT_FOREVER ? weft_select(s->cases, s->n, s->flags)
                                            : weft_select_until(s->cases, s->n, s->flags, s->deadline);
    atomic_store(&s->step, GONE_ON);
    return 0;
}

/* Begins s with copies of the cases, and returns when it has parked or gone on.  For the body of a STICKY_TEST. */
static inline void
begin_select(struct selector *s, const weft_case *cases, size_t n, weft_time deadline)
{
    memset(s, 0, sizeof *s);
    if (n) memcpy(s->cases, cases, n * sizeof *cases);
    s->n = n;
    s->deadline = deadline;
    s->result = INT_MIN;
    s->task = asynced(select_once, s);
    AWAIT(atomic_load(&s->step) != NOT_RUN);
}

static inline bool
select_parked(struct selector *s)
{
    return atomic_load(&s->step) == CALLING;
}

/* Waits until s has gone on: the index, or the code. */
static inline int
finish_select(struct selector *s)
{
    CHECK(joined(s->task, 0));
    return s->result;
}

static inline int
select_now(weft_case *cases, size_t n)
{
    return weft_select_until(cases, n, 0, WEFT_NOW);
}

static inline weft_channel *
closed_channel(size_t capacity, int code)
{
    weft_channel *c = channel_of(capacity);
    CHECK(weft_channel_close(c, code));
    return c;
}

/* A channel of capacity 1 that holds value. */
static inline weft_channel *
full_channel(int64_t value)
{
    weft_channel *c = channel_of(1);
    CHECK_INT(put(c, value), 0);
    return c;
}

#endif
