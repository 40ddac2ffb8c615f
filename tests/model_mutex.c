/*
 * model_mutex.c - mutexes: one owner at a time, and no waiter is forgotten.
 *
 * sources: mutex.c park.c futex.c clock.c
 * options: -t any
 *
 * What an owner does is plain: who has the mutex after him reads it. */
#include "model_wait.h"

#include "mutex.h"

static weft_mutex *mutex;
static int entered; /* plain, under the mutex */
static int code;

enum { HOLDER = 8, ID = 8 }; /* the number of the first thread, and what is between two */

static _Atomic int started;

uintptr_t
weft__thread_id(void)
{
    void **mine = explore_local();
    if (!*mine) *mine = (void *)(uintptr_t)(HOLDER + ID * (1 + add_relaxed(&started, 1)));
    return (uintptr_t)*mine;
}

void
weft__sched_exhausted(struct context *c)
{
    (void)c;
}

static void
make(void)
{
    mutex = calloc(1, sizeof *mutex);
    code = WEFT_EAGAIN;
}

/* The first thread has it. */
static void
held(void)
{
    make();
    mutex->opaque[0] = HOLDER;
}

static void
enter(void)
{
    weft_mutex_lock(mutex);
    entered++;
    assert(weft_mutex_unlock(mutex) == 0);
}

static void *
once(void *arg)
{
    enter();
    return arg;
}

static void *
holder(void *arg)
{
    *explore_local() = (void *)(uintptr_t)HOLDER;
    entered++;
    assert(weft_mutex_unlock(mutex) == 0);
    return arg;
}

/* Barges, if somebody has been woken between the two. */
static void *
holder_again(void *arg)
{
    holder(NULL);
    enter();
    return arg;
}

static void *
again_inside(void *arg)
{
    *explore_local() = (void *)(uintptr_t)HOLDER;
    if (!weft_mutex_trylock(mutex)) assert(!"the owner may lock it again");
    entered++;
    assert(weft_mutex_unlock(mutex) == 0);
    assert(weft_mutex_islocked(mutex));
    assert(weft_mutex_unlock(mutex) == 0);
    assert(weft_mutex_unlock(mutex) == WEFT_EPERM);
    return arg;
}

static void *
tries(void *arg)
{
    if (!weft_mutex_trylock(mutex)) {
        explore_reached("a try fails");
        return arg;
    }
    explore_reached("a try succeeds");
    entered++;
    assert(weft_mutex_unlock(mutex) == 0);
    return arg;
}

static void *
limited(void *arg)
{
    code = weft_mutex_lock_until(mutex, 1);
    if (code) {
        explore_reached("a deadline passes");
        assert(code == WEFT_ETIMEDOUT);
        return arg;
    }
    explore_reached("a mutex is had in time");
    entered++;
    assert(weft_mutex_unlock(mutex) == 0);
    return arg;
}

static void *
frees(void *arg)
{
    weft_mutex_lock(mutex);
    assert(weft_mutex_unlock(mutex) == 0);
    free(mutex);
    return arg;
}

static void
check(int expected)
{
    assert(entered == expected);
    for (int i = 0; i < 4; i++) assert(mutex->opaque[i] == 0);
}

static void
two_entered(void)
{
    check(2);
}

static void
three_entered(void)
{
    check(3);
}

static void
as_many_as_had_it(void)
{
    check(1 + (code == 0));
}

static void
one_or_two(void)
{
    check(entered == 2 ? 2 : 1);
}

/* As held, and one stands in the queue whose deadline has passed, and who has not left yet. */
static void
held_and_expired(void)
{
    static struct mutex_attempt expired;
    held();
    struct mutex *m = weft__mutex(mutex);
    weft__mutex_attempt(&expired, NULL, 1 << 10);
    weft__wait_begin(&expired.wait, NULL, "model", false);
    weft__wait_register(&expired.wait, &expired.registration, &m->waiters, 0, NULL);
    if (!weft__park_claim(&expired.wait.thread, expired.wait.ticket)) abort();
    store_relaxed(&m->word, HOLDER | MUTEX_QUEUED);
}

static const struct scenario scenarios[] = {
    {"two in turn", make, {once, once}, two_entered},
    {"locked again", held, {again_inside, once}, two_entered},
    {"a try", held, {holder, tries}, one_or_two},
    {"barging", held, {holder_again, once}, three_entered},
    {"a deadline", held, {holder, limited}, as_many_as_had_it},
    {"behind one who has given up", held_and_expired, {holder, once}, two_entered},
    {"the next one frees it", held, {holder, frees}, NULL},
    {NULL, NULL, {NULL}, NULL},
};
