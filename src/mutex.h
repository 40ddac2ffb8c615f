/* mutex.h - what mutex.c offers to the files beside it.  [layer 5]
 *
 * The essay is in mutex.c. */
#ifndef WEFT_SRC_MUTEX_H
#define WEFT_SRC_MUTEX_H

#include "scheduler.h"
#include "waiter.h"
#include "wordlock.h"

#include <weft/mutex.h>

enum { MUTEX_QUEUED = 2, MUTEX_WOKEN = 4, MUTEX_FLAGS = WORD_LOCKED | MUTEX_QUEUED | MUTEX_WOKEN };

/* The owner: a task, or a plain thread's number. */
static inline uint64_t
weft__owner(const struct context *c)
{
    return c ? (uintptr_t)c->task : weft__thread_id();
}

struct mutex {
    _Atomic uint64_t word; /* the owner, 0: none; and flags */
    struct list waiters;   /* under the lock of the word */
    uint32_t depth;        /* the owner's: how often it has locked it, but once */
};

_Static_assert(sizeof(struct mutex) == sizeof(weft_mutex), "weft_mutex has room for it");

static inline struct mutex *
weft__mutex(const weft_mutex *m)
{
    return weft__opaque(m);
}

static inline uint64_t
weft__mutex_owner(const struct mutex *m)
{
    return load_relaxed(&m->word) & ~(uint64_t)MUTEX_FLAGS; /* relaxed: only the owner can find itself there */
}

/* The name of what its waiters wait for, in the parkers whose object is `waiters`. */
extern const char weft__mutex_reason[];

/* Somebody who wants a mutex that it cannot have at once: on its stack. */
struct mutex_attempt {
    struct wait wait;
    struct waiter registration;
    struct context *context;
    uint64_t owner; /* who it is */
    weft_time since;
    uint32_t lost; /* how often it was woken in vain */
    bool woken;    /* MUTEX_WOKEN stands for it */
    bool starving; /* the mutex is to be handed over to it */
};

enum { MUTEX_YOURS = 1 }; /* how the wait of one ends to whom the mutex was handed over */

static inline void
weft__mutex_attempt(struct mutex_attempt *a, struct context *c, uint64_t owner)
{
    a->context = c;
    a->owner = owner;
    a->since = 0;
    a->lost = 0;
    a->woken = a->starving = false;
}

/* Locks m, however long that takes. */
void weft__mutex_take(struct mutex *m, struct mutex_attempt *a);

/* The owner gives m up, whatever its depth. */
void weft__mutex_release(struct mutex *m);

/* The owner puts those in list, registrations of attempts that are parked for something else and were claimed, at the end of the
 * queue. */
void weft__mutex_adopt(struct mutex *m, struct list *list);

#endif
