/*
 * once.c - what is done once: per process, per worker, per task.  [layer 5]
 *
 * A once is NEW, RUNNING, or DONE with a code.  Whoever finds it NEW runs fn, under no lock: the others are parked in a list.
 * The state leaves RUNNING under the lock, when the code has been stored, and the whole list is woken; so a caller either sees
 * DONE, by the acquire load that is all that later calls do, or is in the list.
 *
 * Who runs fn is remembered, so that a call that would wait for itself is told so: fn's own, and that of a task which runs in
 * place above the one that runs fn, since that cannot go on before it.  Cycles that go through other tasks are for the
 * deadlock report (deadlock.c).
 *
 * The values of workers are in slots, one for each worker, found through a table that grows as workers come to ask: old tables
 * are kept until the end, for those who still look at them; slots never move.
 *
 * Checked.  tests/test_once.c, tests/stress_event.c.
 */
#include "local.h"
#include "hook.h"
#include "scheduler.h"
#include "waiter.h"

#include <weft/once.h>
#include <weft/runtime.h>
#include <weft/timer.h>

#include <stdlib.h>

enum once_state { NEW, RUNNING, DONE };

struct once {
    _Atomic int state; /* written under the lock */
    int code;          /* of fn: before DONE */
    weft__lock lock;
    const void *runner; /* RUNNING: the task, or the thread, that runs fn; under the lock, as the next */
    struct list waiters;
};

_Static_assert(sizeof(struct once) == sizeof(weft_once_t), "weft/once.h");
_Static_assert(_Alignof(struct once) <= _Alignof(weft_once_t), "weft/once.h");

static inline struct once *
opened(weft_once_t *o)
{
    return (struct once *)(void *)o;
}

static const void *
caller(const struct context *c)
{
    return c ? (const void *)c->task : (const void *)weft__thread_id();
}

/* Can the runner not go on before the caller has? */
static bool
waits_for_caller(const void *runner, const struct context *c)
{
    if (!c) return runner == caller(c);
    for (const weft_task *t = c->task; t; t = weft__task_below(t)) {
        if (runner == t) return true;
    }
    return false;
}

/* fn has returned. */
static void
finish(struct once *o, int code)
{
    struct list ready = {NULL, NULL};
    struct waiter *w;
    weft__acquire(&o->lock);
    o->code = code;
    o->runner = NULL;
    store_release(&o->state, DONE); /* pairs with weft_once_until and weft_once_isdone */
    while ((w = weft__waiter_claim_first(&o->waiters))) {
        w->code = code;
        weft__list_append(&ready, &w->node);
    }
    weft__unlock(&o->lock);
    weft__waiter_wake_all(&ready);
}

/* Somebody else runs fn.  Under the lock, which it releases. */
static int
await_runner(struct once *o, struct context *c, weft_time deadline)
{
    struct wait wait;
    struct waiter registration;
    weft__wait_begin(&wait, c, "once", false);
    weft__wait_register(&wait, &registration, &o->waiters, 0, NULL);
    weft__unlock(&o->lock);
    int rc = weft__wait_park(&wait, deadline);
    if (!weft__wait_interrupted(&wait)) return rc;
    weft__acquire(&o->lock);
    weft__wait_withdraw(&registration, &o->waiters);
    weft__unlock(&o->lock);
    return rc;
}

/* Is fn the caller's to run?  Else *code is what the call returns. */
static weft__noinline bool
begin(struct once *o, weft_time deadline, int *code)
{
    struct context *c = weft__context_current();
    weft__acquire(&o->lock);
    enum once_state state = (enum once_state)load_relaxed(&o->state); /* relaxed: under the lock, as the next */
    if (state == NEW) {
        store_relaxed(&o->state, RUNNING);
        o->runner = caller(c);
    } else if (state == DONE) {
        *code = o->code;
    } else if (waits_for_caller(o->runner, c)) {
        *code = WEFT_EDEADLK;
    } else if (deadline == WEFT_NOW) {
        *code = WEFT_EAGAIN;
    } else {
        *code = await_runner(o, c, deadline);
        return false;
    }
    weft__unlock(&o->lock);
    return state == NEW;
}

int
weft_once_until(weft_once_t *once, weft_fn *fn, void *arg, weft_time deadline)
{
    struct once *o = opened(once);
    int code;
    if (weft__likely(load_acquire(&o->state) == DONE)) return o->code; /* acquire: pairs with finish */
    if (!fn) return WEFT_EINVAL;
    if (!begin(o, deadline, &code)) return code;
    code = fn(arg);
    finish(o, code);
    return code;
}

int
weft_once(weft_once_t *o, weft_fn *fn, void *arg)
{
    return weft_once_until(o, fn, arg, WEFT_FOREVER);
}

bool
weft_once_isdone(const weft_once_t *once)
{
    const struct once *o = (const struct once *)(const void *)once;
    return load_acquire(&o->state) == DONE && o->code >= 0; /* acquire: pairs with finish */
}

/* ---- Per worker ---------------------------------------------------------------------------------------------------- */

struct slot {
    weft_once_t once;
    void *value; /* once it is done */
};

struct table {
    struct table *older;
    int count;
    _Atomic(struct slot *) slots[]; /* stored under the lock */
};

struct once_worker {
    _Atomic(struct table *) table; /* stored under the lock */
    weft__lock lock;
};

_Static_assert(sizeof(struct once_worker) == sizeof(weft_once_worker_t), "weft/once.h");
_Static_assert(_Alignof(struct once_worker) <= _Alignof(weft_once_worker_t), "weft/once.h");

static struct slot *
find_slot(struct once_worker *o, int worker)
{
    struct table *t = load_acquire(&o->table);                              /* acquire: pairs with grow */
    return t && worker < t->count ? load_acquire(&t->slots[worker]) : NULL; /* acquire: pairs with make_slot */
}

/* A table with room for the worker, and for those that there are; under the lock.  NULL: no memory. */
static struct table *
grow(struct once_worker *o, int worker)
{
    struct table *old = load_relaxed(&o->table); /* relaxed: under the lock, as below */
    if (old && worker < old->count) return old;
    int count = old && 2 * old->count > worker ? 2 * old->count : worker + 1;
    struct table *t = weft__hook_fail() ? NULL : calloc(1, sizeof *t + (size_t)count * sizeof t->slots[0]);
    if (!t) return NULL;
    t->older = old;
    t->count = count;
    for (int k = 0; old && k < old->count; k++) store_relaxed(&t->slots[k], load_relaxed(&old->slots[k]));
    store_release(&o->table, t); /* pairs with find_slot */
    return t;
}

/* NULL: no memory. */
static struct slot *
make_slot(struct once_worker *o, int worker)
{
    struct slot *mine = weft__hook_fail() ? NULL : calloc(1, sizeof *mine), *s = NULL;
    weft__acquire(&o->lock);
    struct table *t = mine ? grow(o, worker) : NULL;
    if (t) s = load_relaxed(&t->slots[worker]); /* relaxed: under the lock */
    if (t && !s) {
        s = mine;
        store_release(&t->slots[worker], s); /* pairs with find_slot */
    }
    weft__unlock(&o->lock);
    if (s != mine) free(mine);
    return s;
}

struct making {
    struct slot *slot;
    weft_once_fn *fn;
    void *arg;
};

static int
make_value(void *arg)
{
    struct making *m = arg;
    return m->fn(m->arg, &m->slot->value);
}

static int
value_of(struct once_worker *o, int worker, weft_once_fn *fn, void *arg, void **value)
{
    if (!fn || !value) return WEFT_EINVAL;
    struct slot *s = find_slot(o, worker);
    if (weft__unlikely(!s)) s = make_slot(o, worker);
    if (!s) return WEFT_ENOMEM;
    int rc = weft_once(&s->once, make_value, &(struct making){s, fn, arg});
    if (rc >= 0) *value = s->value;
    return rc;
}

int
weft_once_worker(weft_once_worker_t *o, weft_once_fn *fn, void *arg, void **value)
{
    int worker = weft_worker();
    return worker < 0 ? WEFT_ENOTSUP : value_of((struct once_worker *)(void *)o, worker, fn, arg, value);
}

int
weft_once_worker_at(weft_once_worker_t *o, int worker, weft_once_fn *fn, void *arg, void **value)
{
    int count = weft_nworkers();
    if (count < 0) return count;
    if (worker < 0 || (worker >= count && worker != weft_worker())) return WEFT_EINVAL;
    return value_of((struct once_worker *)(void *)o, worker, fn, arg, value);
}

void
weft_once_worker_free(weft_once_worker_t *once, void (*destroy)(void *value))
{
    struct once_worker *o = (struct once_worker *)(void *)once;
    struct table *t = load_acquire(&o->table), *older; /* acquire: pairs with grow */
    for (int k = 0; t && k < t->count; k++) {
        struct slot *s = load_acquire(&t->slots[k]); /* acquire: pairs with make_slot */
        if (s && destroy && weft_once_isdone(&s->once)) destroy(s->value);
        free(s);
    }
    for (; t; t = older) {
        older = t->older;
        free(t);
    }
    store_relaxed(&o->table, NULL); /* relaxed: nobody uses it */
}

/* ---- Per task ------------------------------------------------------------------------------------------------------ */

struct once_task {
    _Atomic uint64_t id; /* of the key; 0: there is none yet */
    void (*destroy)(void *value);
};

_Static_assert(sizeof(struct once_task) == sizeof(weft_once_task_t), "weft/once.h");
_Static_assert(offsetof(struct once_task, destroy) == offsetof(weft_once_task_t, destroy), "weft/once.h");

static weft_local
key_of(struct once_task *o)
{
    weft_local key = {load_relaxed(&o->id), o->destroy}; /* relaxed: a number, and nothing is found through it */
    if (weft__unlikely(key.id == 0) && weft_local_new(&key, o->destroy) == 0) {
        uint64_t none = 0;
        if (!cas_relaxed(&o->id, &none, key.id)) key.id = none; /* somebody else's: numbers are many */
    }
    return key;
}

int
weft_once_task(weft_once_task_t *o, weft_once_fn *fn, void *arg, void **value)
{
    if (!fn || !value) return WEFT_EINVAL;
    weft_local key = key_of((struct once_task *)(void *)o);
    void *found = weft_local_get(key), *made = NULL;
    if (found) {
        *value = found;
        return 0;
    }
    int rc = weft__local_reserve(key);
    if (rc < 0) return rc;
    rc = fn(arg, &made);
    if (rc < 0) return rc;
    (void)weft_local_set(key, made); /* there is room */
    *value = made;
    return rc;
}

void *
weft_once_task_forget(weft_once_task_t *o)
{
    weft_local key = key_of((struct once_task *)(void *)o);
    void *value = weft_local_get(key);
    (void)weft_local_set(key, NULL); /* taking away does not fail */
    return value;
}
