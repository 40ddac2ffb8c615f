/*
 * model_semaphore.c - semaphores: no permit is lost or made, and no waiter is forgotten.
 *
 * sources: semaphore.c park.c futex.c clock.c
 * options: -t any
 *
 * What a holder does is a plain store; whoever has the permit after him reads it. */
#include "model_wait.h"

#include <weft/semaphore.h>

static weft_semaphore *semaphore;
static int inside; /* plain: under the only permit */
static int code;

static void
make(size_t permits, size_t held)
{
    semaphore = calloc(1, sizeof *semaphore);
    if (weft_semaphore_init(semaphore, permits) < 0 || weft_semaphore_acquire(semaphore, held) < 0) abort();
    code = WEFT_EAGAIN;
}

static void
one_free(void)
{
    make(1, 0);
}

static void
one_held(void)
{
    make(1, 1);
}

static void
two_one_held(void)
{
    make(2, 1);
}

static void *
go_through(void *arg)
{
    if (weft_semaphore_acquire(semaphore, 1) < 0) abort();
    inside++;
    assert(weft_semaphore_release(semaphore, 1) == 0);
    return arg;
}

static void
two_were_inside(void)
{
    assert(inside == 2 && weft_semaphore_available(semaphore) == 1 && semaphore->opaque[1] == 0);
}

static void *
release(void *arg)
{
    inside = 1;
    assert(weft_semaphore_release(semaphore, 1) == 0);
    return arg;
}

static void *
acquire_and_free(void *arg)
{
    assert(weft_semaphore_acquire(semaphore, 1) == 0);
    assert(inside == 1);
    free(semaphore);
    return arg;
}

static void *
acquire_limited(void *arg)
{
    code = weft_semaphore_acquire_until(semaphore, 1, 1);
    if (code == 0) assert(inside == 1);
    else explore_reached("a deadline passes");
    return arg;
}

static void
once_in_all(void)
{
    if (code == 0) explore_reached("the waiter gets it");
    assert(weft_semaphore_available(semaphore) == (code != 0));
    assert(semaphore->opaque[1] == 0);
}

/* More than there will be. */
static void *
acquire_two_limited(void *arg)
{
    assert(weft_semaphore_acquire_until(semaphore, 2, 1) == WEFT_ETIMEDOUT);
    return arg;
}

/* There is one: it has to wait only until the other has given up. */
static void *
acquire_one(void *arg)
{
    assert(weft_semaphore_acquire(semaphore, 1) == 0);
    return arg;
}

static void
none_left(void)
{
    assert(weft_semaphore_available(semaphore) == 0 && semaphore->opaque[1] == 0);
}

static void *
grow(void *arg)
{
    weft_semaphore_resize(semaphore, 2);
    return arg;
}

static const struct scenario scenarios[] = {
    {"two in turn", one_free, {go_through, go_through}, two_were_inside},
    {"an acquirer frees it", one_held, {acquire_and_free, release}, NULL},
    {"a deadline", one_held, {acquire_limited, release}, once_in_all},
    {"one behind many", two_one_held, {acquire_two_limited, acquire_one}, none_left},
    {"growing", one_held, {acquire_one, grow}, none_left},
    {NULL, NULL, {NULL}, NULL},
};
