/* scope_kit.h - members for the tests of scopes: what they do, and what they leave behind. */
#ifndef WEFT_TESTS_SCOPE_KIT_H
#define WEFT_TESTS_SCOPE_KIT_H

#include "task_kit.h"

/* What a member does, and what became of it. */
struct member {
    int64_t nap;       /* sleeps so long, in a way that can be cancelled, */
    int64_t cleanup;   /* then so long in a shield, */
    int code;          /* and returns this; 0: what the nap returned */
    _Atomic int woken; /* what the nap returned; 1: not yet */
    _Atomic int begun, ended, dropped;
};

#define MEMBER(...) ((struct member){.woken = 1, __VA_ARGS__})

/* So long that a test would be killed before: only a cancellation ends it. */
#define LONG (1000 * WEFT_S)

static inline int
nap(void *arg)
{
    struct member *m = arg;
    atomic_fetch_add(&m->begun, 1);
    int rc = weft_sleep(m->nap);
    atomic_store(&m->woken, rc);
    if (m->cleanup) {
        weft_scope shield;
        weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
        CHECK_INT(weft_scope_close(&shield, weft_sleep(m->cleanup)), 0);
    }
    atomic_fetch_add(&m->ended, 1);
    return m->code ? m->code : rc;
}

static inline void
drop_member(void *arg)
{
    atomic_fetch_add(&((struct member *)arg)->dropped, 1);
}

/* A member of the caller's scope that calls drop_member if it does not run. */
static inline int
launch(weft_task **out, weft_fn *fn, struct member *m)
{
    return weft_spawn_with(out, fn, m, &(weft_task_options){.size = sizeof(weft_task_options), .drop = drop_member});
}

/* Waits for t, however it ends. */
static inline void
ended(weft_task *t)
{
    int rc = weft_wait(t);
    CHECK(rc == 0 || rc == WEFT_ECHILD);
}

/* Until m naps, or is about to: whoever is cancelled then meets it there. */
static inline void
begun(struct member *m)
{
    until(&m->begun, 1);
}

#endif
