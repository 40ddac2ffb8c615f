/* task.c - descriptors: where they come from, how a task ends, and questions about it.  [layer 3] */
#include "task.h"

#include "failure.h"
#include "hook.h"
#include "panic.h"
#include "waiter.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Descriptors are carved from slabs that are never unmapped: a stale entry of a queue may be looked at for ever.  They
 * move between the workers' caches and the shared list in batches.  A slab ends with a link to the one before it, so
 * that all descriptors can be found.
 */
enum { SLAB = 256 * 1024, BATCH = 64 };

struct slab {
    weft_task tasks[(SLAB - sizeof(void *)) / sizeof(weft_task)];
    struct slab *older;
};

_Static_assert(sizeof(struct slab) <= SLAB, "a slab holds its link");

static _Atomic(struct slab *) slabs; /* the newest; stored under shared.lock, read without */

static struct {
    weft__lock lock;
    struct runnable *head; /* under the lock */
    char *slab, *slab_end; /* what has not been carved yet, under the lock */
} shared;

static weft_task *
carve(void)
{
    if (shared.slab == shared.slab_end) {
        if (weft__hook_fail()) return NULL;
        struct slab *slab = mmap(NULL, SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (slab == MAP_FAILED) return NULL;
        slab->older = load_relaxed(&slabs); /* relaxed: under the lock */
        store_release(&slabs, slab);        /* pairs with those who walk the slabs */
        shared.slab = (char *)slab->tasks;
        shared.slab_end = (char *)(slab->tasks + weft__countof(slab->tasks));
    }
    weft_task *t = (weft_task *)(void *)shared.slab;
    shared.slab += sizeof *t;
    store_relaxed(&t->run.ticket, PHASE_FREE); /* relaxed: nobody knows it yet */
    return t;
}

void
weft__task_each(void (*visit)(weft_task *t, void *arg), void *arg)
{
    for (struct slab *s = load_acquire(&slabs); s; s = s->older) { /* acquire: pairs with carve */
        for (size_t i = 0; i < weft__countof(s->tasks); i++) {
            if (weft__task_phase(weft__task_ticket(&s->tasks[i])) > PHASE_FREE) visit(&s->tasks[i], arg);
        }
    }
}

weft_task *
weft__task_at(const void *address)
{
    for (struct slab *s = load_acquire(&slabs); s; s = s->older) { /* acquire: pairs with carve */
        size_t offset = (uintptr_t)address - (uintptr_t)s->tasks;
        if (offset < sizeof s->tasks) return &s->tasks[offset / sizeof s->tasks[0]];
    }
    return NULL;
}

static weft_task *
take_shared(void)
{
    struct runnable *r = shared.head;
    if (!r) return carve();
    shared.head = r->link;
    return weft__container(r, weft_task, run);
}

weft_task *
weft__task_refill(struct task_cache *cache)
{
    if (weft__hook_fail()) return NULL;
    weft__acquire(&shared.lock);
    weft_task *first = take_shared();
    for (unsigned i = 1; first && cache && i < BATCH; i++) {
        weft_task *t = take_shared();
        if (!t) break;
        weft__task_warm(t, cache);
        t->run.link = cache->head;
        cache->head = &t->run;
        cache->count++;
    }
    weft__unlock(&shared.lock);
    if (first && cache) weft__task_warm(first, cache);
    return first;
}

static void
give_back(struct task_cache *cache, uint32_t count)
{
    weft__acquire(&shared.lock);
    while (count-- > 0 && cache->head) {
        struct runnable *r = cache->head;
        cache->head = r->link;
        cache->count--;
        r->link = shared.head;
        shared.head = r;
    }
    weft__unlock(&shared.lock);
}

void
weft__task_cache_flush(struct task_cache *cache)
{
    give_back(cache, UINT32_MAX);
}

void
weft__task_recycle_slow(weft_task *t, struct task_cache *cache)
{
    if (load_relaxed(&t->flags) & TASK_COPIED) free(t->arg); /* relaxed: the last reference is the caller's */
    free(t->failure);
    t->failure = NULL;
    t->drop = NULL;
    t->name = NULL;
    store_relaxed(&t->flags, 0); /* relaxed: as above */
    struct task_cache single = {.head = NULL};
    if (!cache) cache = &single;
    if (cache->count >= TASK_CACHE_MOST) give_back(cache, TASK_CACHE_MOST / 2);
    weft__task_recycle(t, cache);
    if (cache == &single) give_back(cache, 1);
}

void
weft__task_left_locked(weft_task *t)
{
    weft__warn("task %s has ended, and owns mutexes that nobody will unlock: %u", t->name ? t->name : "without a name",
               t->owns);
    t->owns = 0;
}

int weft__calls_body
weft__task_call(weft_task *t)
{
    return weft__task_body(t);
}

unsigned
weft__task_outcome(const weft_task *t, int code)
{
    if (code >= 0) return PHASE_COMPLETED;
    /* not by the hint that all is well: the task has been told otherwise (cancel.c) */
    bool cancelled = code == WEFT_ECANCELED && weft__task_cancelled_slow(t, weft__task_scope(t));
    return cancelled ? PHASE_CANCELLED : PHASE_FAILED;
}

struct callback {
    struct waiter waiter;
    void (*call)(weft_task *t, void *arg);
    void *arg;
};

/* Does a wait for t, which has ended, end with that?  F3 of waitset.c: a registration that counts down is not touched
 * again unless this is true.  Under t's lock. */
static inline bool
ends_wait(const struct waiter *w, unsigned phase)
{
    _Atomic size_t *left = w->slot;
    if (!left || (w->count && phase == PHASE_FAILED)) return true;
    return sub_acq_rel(left, 1) == 1; /* acq_rel: pairs with the others that count down, and with R2 */
}

void
weft__task_finish(weft_task *t, unsigned phase, int code)
{
    struct list waiting, ready = {NULL, NULL}, callbacks = {NULL, NULL};
    struct list_node *n;
    if (weft__unlikely(load_relaxed(&t->flags) & TASK_LOCALS)) weft__locals_end(t); /* relaxed: set by t itself */
    if (phase == PHASE_FAILED && (load_relaxed(&t->flags) & TASK_MONITORED))
        weft__failure_print(t, code); /* under no lock yet: see below */

    weft__acquire(&t->lock);
    t->code = code; /* under the lock: until the phase says that it has ended, it may be a permit's */
    waiting = t->waiters;
    t->waiters = (struct list){NULL, NULL};
    bool monitored = load_relaxed(&t->flags) & TASK_MONITORED; /* relaxed: set under the lock, or seen before it */
    weft__task_set_phase(t, phase);
    while ((n = weft__list_pop(&waiting))) {
        struct waiter *w = weft__container(n, struct waiter, node);
        if (!w->parker) weft__list_append(&callbacks, n);
        else if (ends_wait(w, phase) && weft__park_claim(w->parker, w->ticket)) weft__list_append(&ready, n);
    }
    weft__unlock(&t->lock);

    if (monitored && phase == PHASE_FAILED)
        weft__failure_print(t, code);          /* attached between the first look and the lock */
    while ((n = weft__list_pop(&callbacks))) { /* before the wakes: who waits for t finds them done */
        struct callback *c = weft__container(n, struct callback, waiter.node);
        c->call(t, c->arg);
        free(c);
    }
    weft__waiter_wake_all(&ready);
}

void
weft__task_end(weft_task *t, int code)
{
    unsigned phase = weft__task_outcome(t, code);
    struct scope *scope = weft__task_scope(t);
    bool member = load_relaxed(&t->flags) & TASK_MEMBER; /* relaxed: constant */
    if (weft__unlikely(scope->outer != NULL)) weft__scope_outcome(t, phase, code);
    weft__task_finish(t, phase, code);
    if (weft__unlikely(member)) weft__scope_ended(scope, t);
    weft__task_unref(t);
}

/* Instead of the body. */
static void
drop_argument(weft_task *t)
{
    or_acq_rel(&t->flags, TASK_UNRUN); /* published with the end of the task */
    if (t->drop) t->drop(t->arg);
}

void
weft__task_end_unrun(weft_task *t, int code)
{
    drop_argument(t);
    weft__task_end(t, code);
}

/* The last reference is gone, or rather held by the caller. */
static void
last_look(weft_task *t)
{
    unsigned phase = weft__task_phase(weft__task_ticket(t));
    if (phase == PHASE_NEW) { /* given up unscheduled */
        drop_argument(t);
        weft__task_finish(t, PHASE_CANCELLED, WEFT_ECANCELED);
    }
    if (phase == PHASE_FAILED && !(or_acq_rel(&t->flags, TASK_OBSERVED) & TASK_OBSERVED))
        weft__failure_unhandled(t); /* pairs with observe */
}

void
weft__task_unref(weft_task *t)
{
    /* acquire of 1: pairs with the releases of the other references; then nobody else has one, and no step is needed */
    if (load_acquire(&t->refs) != 1 && sub_acq_rel(&t->refs, 1) != 1) return;
    store_relaxed(&t->refs, 1); /* relaxed: alone.  A handler may retain and release */
    last_look(t);
    /* the cache is asked for only now: what was called may have gone on on another worker */
    if (sub_acq_rel(&t->refs, 1) == 1) weft__task_recycle(t, weft__task_cache());
}

weft_task *
weft_task_retain(weft_task *t)
{
    if (t) add_relaxed(&t->refs, 1); /* relaxed: the caller's own reference orders it */
    return t;
}

void
weft_task_release(weft_task *t)
{
    if (t) weft__task_unref(t);
}

enum weft_state
weft_task_state(const weft_task *t)
{
    switch (weft__task_phase(load_acquire(&t->run.ticket))) { /* acquire: pairs with the end of the task */
    case PHASE_RUNNING:
        return WEFT_RUNNING;
    case PHASE_COMPLETED:
        return WEFT_COMPLETED;
    case PHASE_FAILED:
        return WEFT_FAILED;
    case PHASE_CANCELLED:
        return WEFT_CANCELLED;
    default:
        return WEFT_INITIALIZED;
    }
}

bool
weft_task_isstarted(const weft_task *t)
{
    return weft_task_state(t) != WEFT_INITIALIZED && !(load_relaxed(&t->flags) & TASK_UNRUN); /* set before it ended */
}

bool
weft_task_isdone(const weft_task *t)
{
    return weft__task_done(t);
}

bool
weft_task_isfailed(const weft_task *t)
{
    enum weft_state s = weft_task_state(t);
    return s == WEFT_FAILED || s == WEFT_CANCELLED;
}

bool
weft_task_issticky(const weft_task *t)
{
    return load_relaxed(&t->flags) & WEFT_STICKY; /* relaxed: constant */
}

bool
weft_task_isinteractive(const weft_task *t)
{
    return load_relaxed(&t->flags) & WEFT_INTERACTIVE; /* relaxed: constant */
}

const char *
weft_task_name(const weft_task *t)
{
    return t->name ? t->name : "";
}

int
weft_task_error(const weft_task *t)
{
    if (!weft__task_done(t)) return 0;
    weft__task_observe((weft_task *)(uintptr_t)t);
    return t->code;
}

int
weft_ondone(weft_task *t, void (*cb)(weft_task *t, void *arg), void *arg)
{
    if (!cb) return WEFT_EINVAL;
    struct callback *c = weft__hook_fail() ? NULL : calloc(1, sizeof *c);
    if (!c) return WEFT_ENOMEM;
    c->call = cb;
    c->arg = arg;
    weft__task_observe(t);
    weft__acquire(&t->lock);
    bool done = weft__task_done(t);
    if (!done) weft__list_append(&t->waiters, &c->waiter.node);
    weft__unlock(&t->lock);
    if (done) {
        free(c);
        cb(t, arg);
    }
    return 0;
}

weft_task *
weft_errormonitor(weft_task *t)
{
    weft__acquire(&t->lock);
    or_acq_rel(&t->flags, TASK_MONITORED | TASK_OBSERVED); /* read under the lock by weft__task_finish */
    bool failed = weft_task_state(t) == WEFT_FAILED;
    weft__unlock(&t->lock);
    if (failed) weft__failure_print(t, t->code);
    return t;
}
