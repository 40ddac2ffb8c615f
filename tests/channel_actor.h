/* channel_actor.h - for the tests of channels: short calls on channels of int64_t, and tasks that make one call each.
 *
 * Who parked before whom must be known where a test is about order.  The body of a STICKY_TEST is a task that stays on
 * its worker, and so are the actors that it begins: they never run in parallel with it.  An actor says that it has come
 * to its call just before it makes it.  Once the body sees that, the call has parked or returned. */
#ifndef WEFT_TEST_CHANNEL_ACTOR_H
#define WEFT_TEST_CHANNEL_ACTOR_H

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <weft.h>

#include "test.h"

/* What is waited for without being what the test is about: only a hang takes that long. */
#define PATIENCE (60 * WEFT_S)

/* Waits until cond holds, from a task or a plain thread. */
#define AWAIT(cond)                                                                                                    \
    do {                                                                                                               \
        for (weft_time limit_ = weft_in(PATIENCE); !(cond) && weft_now() < limit_;) give_way();                        \
        CHECK(cond);                                                                                                   \
    } while (0)

static inline void
give_way(void)
{
    weft_yield();
    if (!weft_current()) sched_yield();
}

static inline weft_channel *
channel_of(size_t capacity)
{
    weft_channel *c = NULL;
    CHECK_INT(weft_channel_new(&c, sizeof(int64_t), capacity), 0);
    return c;
}

static inline int
put(weft_channel *c, int64_t value)
{
    return weft_channel_put(c, &value);
}

/* The value, or the code: so the values of these tests are not negative. */
static inline int64_t
take(weft_channel *c)
{
    int64_t value = INT64_MIN;
    int rc = weft_channel_take(c, &value);
    return rc < 0 ? rc : value;
}

static inline int64_t
fetch(weft_channel *c)
{
    int64_t value = INT64_MIN;
    int rc = weft_channel_fetch(c, &value);
    return rc < 0 ? rc : value;
}

/* As take, but where that would park: WEFT_EAGAIN. */
static inline int64_t
try_take(weft_channel *c)
{
    int64_t value = INT64_MIN;
    int rc = weft_channel_take_until(c, &value, WEFT_NOW);
    return rc < 0 ? rc : value;
}

/* Checks what every call on a closed and drained channel returns. */
static inline void
check_closed(weft_channel *c, int code)
{
    int64_t value = 7;
    size_t n = 9;
    CHECK(!weft_channel_isopen(c));
    CHECK_INT(weft_channel_put(c, &value), code);
    CHECK_INT(weft_channel_put_until(c, &value, WEFT_NOW), code);
    CHECK_INT(weft_channel_put_until(c, &value, weft_in(WEFT_S)), code);
    CHECK_INT(weft_channel_put_n(c, &value, 1, &n), code);
    CHECK_INT(n, 0);
    CHECK_INT(weft_channel_take(c, &value), code);
    CHECK_INT(weft_channel_take_until(c, &value, WEFT_NOW), code);
    CHECK_INT(weft_channel_take_until(c, &value, weft_in(WEFT_S)), code);
    n = 9;
    CHECK_INT(weft_channel_take_n(c, &value, 1, &n), code);
    CHECK_INT(n, 0);
    CHECK_INT(weft_channel_wait(c), code);
    CHECK_INT(weft_channel_wait_until(c, WEFT_NOW), code);
    CHECK_INT(weft_channel_fetch(c, &value), weft_channel_capacity(c) ? code : WEFT_ENOTSUP);
    CHECK_INT(value, 7);
    CHECK_INT(weft_channel_len(c), 0);
}

/* Checks that t ends with code, and releases the handle. */
static inline bool
joined(weft_task *t, int code)
{
    return CHECK_INT(weft_join_until(t, weft_in(PATIENCE)), code);
}

enum verb { PUT, TAKE, FETCH, WAIT };

struct actor {
    weft_channel *c;
    enum verb verb;
    weft_time deadline;
    int64_t value; /* to put, or got */
    int rc;
    int rank;        /* the number of actors of this test that went on from their calls before */
    atomic_int step; /* CALLING is stored before the call, GONE_ON after it */
    weft_task *task;
};

enum { NOT_RUN, CALLING, GONE_ON };

static atomic_int actors_gone_on;

static inline int
gone_on(void)
{
    return atomic_load_explicit(&actors_gone_on,
                                memory_order_relaxed); /* for who has joined or runs on the same worker */
}

static inline int
act_timed(struct actor *a)
{
    switch (a->verb) {
    case PUT:
        return weft_channel_put_until(a->c, &a->value, a->deadline);
    case TAKE:
        return weft_channel_take_until(a->c, &a->value, a->deadline);
    case FETCH:
        return weft_channel_fetch_until(a->c, &a->value, a->deadline);
    case WAIT:
        return weft_channel_wait_until(a->c, a->deadline);
    }
    return INT_MIN;
}

static inline int
act_untimed(struct actor *a)
{
    switch (a->verb) {
    case PUT:
        return weft_channel_put(a->c, &a->value);
    case TAKE:
        return weft_channel_take(a->c, &a->value);
    case FETCH:
        return weft_channel_fetch(a->c, &a->value);
    case WAIT:
        return weft_channel_wait(a->c);
    }
    return INT_MIN;
}

static inline int
act(void *arg)
{
    struct actor *a = arg;
    /* release: whoever reads the step sees what the actor did before. */
    atomic_store_explicit(&a->step, CALLING, memory_order_release);
    a->rc = a->deadline == WEFT_FOREVER ? act_untimed(a) : act_timed(a);
    a->rank = atomic_fetch_add_explicit(&actors_gone_on, 1, memory_order_acq_rel);
    atomic_store_explicit(&a->step, GONE_ON, memory_order_release);
    return 0;
}

/* pairs with the stores of act. */
static inline int
step_of(struct actor *a)
{
    return atomic_load_explicit(&a->step, memory_order_acquire);
}

/* Begins an actor and returns when it has parked or gone on.  The caller is the body of a STICKY_TEST. */
static inline struct actor *
begin_until(weft_channel *c, enum verb verb, int64_t value, weft_time deadline)
{
    struct actor *a = calloc(1, sizeof *a);
    if (!CHECK(a)) abort();
    *a = (struct actor){.c = c, .verb = verb, .value = value, .deadline = deadline, .rc = INT_MIN};
    if (!CHECK_INT(weft_async(&a->task, act, a), 0)) abort();
    AWAIT(step_of(a) != NOT_RUN);
    return a;
}

static inline struct actor *
begin(weft_channel *c, enum verb verb, int64_t value)
{
    return begin_until(c, verb, value, WEFT_FOREVER);
}

/* A putter's value is its value; what the others have before they get one is 0. */
static inline struct actor *
putter(weft_channel *c, int64_t value)
{
    return begin(c, PUT, value);
}

static inline struct actor *
taker(weft_channel *c)
{
    return begin(c, TAKE, 0);
}

static inline struct actor *
fetcher(weft_channel *c)
{
    return begin(c, FETCH, 0);
}

static inline struct actor *
waiter(weft_channel *c)
{
    return begin(c, WAIT, 0);
}

static inline bool
is_parked(struct actor *a)
{
    return step_of(a) == CALLING;
}

struct outcome {
    int rc;
    int rank;
    int64_t value; /* the code, if the call failed */
};

/* Waits until a has gone on, and frees it.  One that hangs is left alone: it may still use its memory. */
static inline struct outcome
finish(struct actor *a)
{
    if (!joined(a->task, 0)) return (struct outcome){INT_MIN, INT_MIN, INT64_MIN};
    struct outcome o = {a->rc, a->rank, a->rc < 0 ? a->rc : a->value};
    free(a);
    return o;
}

struct sticky_body {
    void (*body)(void);
};

static inline int
run_sticky_body(void *arg)
{
    const struct sticky_body *b = arg;
    atomic_store_explicit(&actors_gone_on, 0, memory_order_relaxed); /* nobody else runs yet */
    b->body();
    return 0;
}

static inline void
run_sticky(void (*body)(void))
{
    struct sticky_body b = {body};
    weft_task *t;
    if (CHECK_INT(weft_async(&t, run_sticky_body, &b), 0)) CHECK_INT(weft_join(t), 0);
}

/* A TASK_TEST whose body is a sticky task. */
#define STICKY_TEST(suite, id, sentence)                                                                               \
    static void suite##__##id##__sticky(void);                                                                         \
    TASK_TEST(suite, id, sentence)                                                                                     \
    {                                                                                                                  \
        run_sticky(suite##__##id##__sticky);                                                                           \
    }                                                                                                                  \
    static void suite##__##id##__sticky(void)

#endif
