/* task.h - descriptors: what a task is, apart from the place where it runs.  [layer 3]
 *
 * Ticket.  descriptor's generation << 8 | phase; see runnable.h for what queues make of it.
 *
 *   phase              who may touch the fields          left by
 *   PHASE_FREE         the cache that holds it           who makes a task of it (spawn.c, fork.h)
 *   PHASE_NEW          the caller; the lock's holder     scheduling it (under the lock)
 *   PHASE_QUEUED       nobody                            the claim: a worker that popped it, or by CAS
 *   PHASE_RUNNING      its context; lock: waiters, park  weft__task_finish
 *   PHASE_COMPLETED..  read only                         the last reference
 *
 * References.  One for the run, from scheduling to the end of weft__task_finish, and one for each handle.  Entries of
 * queues hold none: they are checked by their tags. */
#ifndef WEFT_SRC_TASK_H
#define WEFT_SRC_TASK_H

#include "list.h"
#include "park.h"
#include "scope.h"

#include <weft/task.h>

enum {
    PHASE_FREE = 1,
    PHASE_NEW,
    PHASE_QUEUED,
    PHASE_RUNNING,
    PHASE_COMPLETED,
    PHASE_FAILED,
    PHASE_CANCELLED,
    PHASE_MASK = 255,
    PHASE_GENERATION = 256
};

enum { /* flags, above those of weft_task_options */
       TASK_OPTIONS = WEFT_STICKY | WEFT_DAEMON | WEFT_INTERACTIVE | WEFT_FPENV,
       TASK_OBSERVED = 1 << 8,  /* somebody looked at how it ended */
       TASK_MONITORED = 1 << 9, /* an errormonitor is attached */
       TASK_REPORTED = 1 << 10, /* and has printed */
       TASK_COPIED = 1 << 11,   /* arg is a heap copy, freed with the descriptor */
       TASK_LADEN = 1 << 17,    /* not like most: it has a name, a drop function, a stack size, a failure, or locals */
       TASK_LOCALS = 1 << 18,   /* it has run, and has locals.  Set by itself */
       TASK_CANCEL = 1 << 12,   /* cancelled by itself, not through its scope */
       TASK_UNRUN = 1 << 13,    /* it was cancelled before it started */
       TASK_PERMIT = 1 << 14,   /* scheduled before it parked: the next weft_park takes it.  Under the lock */
       TASK_PARKED = 1 << 15,   /* in weft_park, and not scheduled yet.  Under the lock */
       TASK_RESUMED = 1 << 16,  /* scheduled, and not back from weft_park yet.  Set under the lock */
       TASK_BRANCHED = 1 << 19, /* it has had a scope open that was linked (cancel.c) */
       TASK_MEMBER = 1 << 20,   /* of a scope that counts its members exactly (members.c) */
       TASK_HELPER = 1 << 21,   /* it works for a task that waits for it: how it ends is that one's business alone */
       TASK_WATCHED = 1 << 22,  /* it passes the places of watch.h, and has a mark */
       TASK_TRACED = 1 << 23    /* an arrow leads to where it begins (trace_events.c) */
};

enum { TASK_INLINE_DATA = 64, TASK_WATCHED_DATA = 48, TASK_NOWHERE = -1 };

struct weft_task {
    /* One cache line: all that a task touches which is spawned, and joined before it has started. */
    struct runnable run; /* ticket; link, or outer once it has started */
    weft_fn *fn;
    void *arg;
    _Atomic(struct scope *) scope; /* the innermost that it has open, or the one that it is a member of */
    void *value;                   /* of weft_return */
    _Atomic uint32_t refs;
    uint32_t index;       /* where in home's deque it was put: the lower bits */
    _Atomic int16_t home; /* the worker in whose deque it was put, or TASK_NOWHERE */
    _Atomic bool waiting; /* parked on an object: weft_schedule refuses it */
    _Atomic uint32_t flags;

    weft__lock lock;     /* guards waiters, permits, and the step into the ended phases */
    uint32_t stack_need; /* bytes of stack it may count on */
    union {
        struct list waiters;   /* struct waiter: parked, or callbacks */
        struct list_node kept; /* once it has ended: by a scope, for weft_scope_next */
    };
    int code;      /* how it ended; while it runs, the code of a permit */
    uint32_t owns; /* mutexes: counted in builds with WEFT_DEBUG, else 0.  Its own */
    const char *name;
    union {
        void (*drop)(void *arg); /* of a task that has not started */
        struct locals *locals;   /* TASK_LOCALS: of one that has (local.c) */
    };
    struct failure *failure; /* of weft_fail */
    union {
        void *permit;          /* TASK_PERMIT: its value */
        struct context *place; /* else, TASK_PARKED: where it is parked */
    };

    union {
        _Alignas(16) unsigned char data[TASK_INLINE_DATA]; /* of weft_spawn_copy */
        struct {
            unsigned char less[TASK_WATCHED_DATA]; /* the same, */
            struct mark mark;                      /* of a task that has TASK_WATCHED: span.c */
        };
    };
};

_Static_assert(sizeof(struct weft_task) <= 192, "an unstarted task costs at most 192 bytes");

/* A worker's own free descriptors.  They are warm: filled in already, as most tasks will be that this worker spawns,
 * with refs 2 (the run's and the handle's), no flags, and these: */
struct task_cache {
    struct runnable *head;
    uint32_t count;
    uint32_t stack_need;
    int16_t home;
};

/* The scope that t is in.  Only t's own steps change it, when it has started.  relaxed: who waits for a task may look before
 * he knows whether it has been stolen and runs; then his claim fails, and he has seen nothing. */
static inline struct scope *
weft__task_scope(const weft_task *t)
{
    return load_relaxed(&t->scope);
}

static inline void
weft__task_scope_set(weft_task *t, struct scope *s)
{
    store_relaxed(&t->scope, s); /* relaxed: as above */
}

static inline unsigned
weft__task_phase(uint64_t ticket)
{
    return ticket & PHASE_MASK;
}

static inline uint64_t
weft__task_ticket(const weft_task *t)
{
    return load_relaxed(&t->run.ticket); /* relaxed: whoever acts on a phase takes it by an acquire or a CAS */
}

static inline void
weft__task_set_phase(weft_task *t, unsigned phase)
{
    /* release: pairs with weft__task_done; only the owner of the phase moves it */
    store_release(&t->run.ticket, (weft__task_ticket(t) & ~(uint64_t)PHASE_MASK) | phase);
}

static inline bool
weft__task_done(const weft_task *t)
{
    return weft__task_phase(load_acquire(&t->run.ticket)) >=
           PHASE_COMPLETED; /* acquire: pairs with the end of the task */
}

/* Claims t, which the caller found in a queue or as its own child, for running: CAS from QUEUED to RUNNING. */
static inline bool
weft__task_claim(weft_task *t, uint64_t tag)
{
    uint64_t expected = tag;
    return cas_acq_rel(&t->run.ticket, &expected,
                       tag - PHASE_QUEUED + PHASE_RUNNING); /* against owner and thief alike */
}

/* The same where nobody else can claim it. */
static inline void
weft__task_claim_owned(weft_task *t, uint64_t tag)
{
    store_relaxed(&t->run.ticket, tag - PHASE_QUEUED + PHASE_RUNNING); /* relaxed: the popper is alone with it */
}

/* A descriptor; refills an empty cache (NULL: from the shared list).  NULL: no memory. */
weft_task *weft__task_refill(struct task_cache *cache);

static inline weft_task *
weft__task_get(struct task_cache *cache)
{
    struct runnable *r = cache ? cache->head : NULL;
    if (weft__unlikely(!r)) return weft__task_refill(cache);
    cache->head = r->link;
    cache->count--;
    return weft__container(r, weft_task, run);
}

/* Gives back a descriptor that nobody refers to; frees what hangs on it. */
void weft__task_recycle_slow(weft_task *t, struct task_cache *cache);

enum { TASK_CACHE_MOST = 512 };

static inline void
weft__task_warm(weft_task *t, const struct task_cache *cache)
{
    store_relaxed(&t->refs, 2); /* relaxed, as the next: nobody else refers to it */
    store_relaxed(&t->flags, 0);
    store_relaxed(&t->home, cache->home);
    t->stack_need = cache->stack_need;
}

/* Gives back a descriptor that is warm for this cache. */
static inline void
weft__task_recycle_warm(weft_task *t, struct task_cache *cache)
{
    if (weft__unlikely(cache->count >= TASK_CACHE_MOST)) {
        weft__task_recycle_slow(t, cache);
        return;
    }
    /* relaxed: stale entries compare it, nothing is read through it.  The next generation, free. */
    store_relaxed(&t->run.ticket, (weft__task_ticket(t) | PHASE_MASK) + 1 + PHASE_FREE);
    t->run.link = cache->head;
    cache->head = &t->run;
    cache->count++;
}

/* A descriptor on which nothing hangs needs no cleaning. */
static inline void
weft__task_recycle(weft_task *t, struct task_cache *cache)
{
    unsigned flags = load_relaxed(&t->flags); /* relaxed: the last reference is the caller's */
    if (weft__unlikely((flags & (TASK_LADEN | TASK_COPIED)) || !cache)) {
        weft__task_recycle_slow(t, cache);
        return;
    }
    weft__task_warm(t, cache);
    weft__task_recycle_warm(t, cache);
}

void weft__task_cache_flush(struct task_cache *cache);

/* Calls visit on every descriptor that is not free at that moment, without stopping anybody.  Async-signal-safe, as the
 * next. */
void weft__task_each(void (*visit)(weft_task *t, void *arg), void *arg);

/* The descriptor, free or not, that the address lies in, or NULL. */
weft_task *weft__task_at(const void *address);

/* Fills in a descriptor; the rest of it is zero while it is free, or written before it is read.  Its phase is left FREE. */
static inline void
weft__task_init(weft_task *t, weft_fn *fn, void *arg, struct scope *scope, uint32_t stack_need, unsigned flags,
                uint32_t refs, int home)
{
    t->fn = fn;
    t->arg = arg;
    t->value = NULL;
    t->stack_need = stack_need;
    weft__task_scope_set(t, scope);
    store_relaxed(&t->refs, refs); /* relaxed, as all here: the handle and the queue publish the task */
    store_relaxed(&t->home, (int16_t)home);
    store_relaxed(&t->flags, flags);
}

/* t, whose body has returned, owns mutexes still: tells people. */
weft__cold void weft__task_left_locked(weft_task *t);

/* Calls the body.  Unwinders find no return address there: an exception that nobody in the task catches is not caught by a
 * task that waits for it in place, but ends the process. */
static inline __attribute__((always_inline)) int
weft__task_body(weft_task *t)
{
    __asm__ volatile(".cfi_remember_state\n\t.cfi_undefined " WEFT_RETURN_ADDRESS);
    int code = t->fn(t->arg);
    __asm__ volatile(".cfi_restore_state" ::: "memory"); /* no tail call: this frame is where the task begins */
#if defined(WEFT_DEBUG)
    if (weft__unlikely(t->owns)) weft__task_left_locked(t);
#endif
    return code;
}

/* Functions that call bodies are in a section of their own, so that backtraces can be cut there. */
#define weft__calls_body __attribute__((section("weft_call"), noinline))

/* The same as a call. */
int weft__task_call(weft_task *t);

/* cancel.c: the same as the next, looking closer; and for a plain thread. */
bool weft__task_cancelled_slow(const weft_task *t, struct scope *s);
bool weft__thread_cancelled(void);

/* Is it known that neither s nor anything around it is cancelled? */
static inline bool
weft__scope_clean(const struct scope *s)
{
    /* relaxed: a cancellation that is missed here is found after arming (waiter.c), or at the next call */
    return load_relaxed(&s->clean) == load_relaxed(&weft__cancel_epoch);
}

/* The same of a task, and of s, in which it is. */
static inline bool
weft__task_clean_in(const weft_task *t, const struct scope *s)
{
    return weft__likely(weft__scope_clean(s) && !(load_relaxed(&t->flags) & TASK_CANCEL)); /* relaxed: as above */
}

/* The same of the scope in which it is at this moment: for the task itself. */
static inline bool
weft__task_clean(const weft_task *t)
{
    return weft__task_clean_in(t, weft__task_scope(t));
}

/* Is the task, or s, in which it is, or anything around s cancelled?  For others too, as long as s stays open. */
static inline bool
weft__task_cancelled_in(const weft_task *t, struct scope *s)
{
    return !weft__task_clean_in(t, s) && weft__task_cancelled_slow(t, s);
}

/* The same of the scope in which it is at this moment: for the task itself. */
static inline bool
weft__task_cancelled(const weft_task *t)
{
    return weft__task_cancelled_in(t, weft__task_scope(t));
}

static inline bool
weft__cancelled(const struct context *c)
{
    return c ? weft__task_cancelled(c->task) : weft__thread_cancelled();
}

/* Before c, the running context, begins a park that a cancellation may end.  Takes the locks of scopes. */
static inline void
weft__scope_park(struct context *c)
{
    /* relaxed: written by c alone */
    if (weft__unlikely(load_relaxed(&c->listed_for) != c->task || c->listed != weft__task_scope(c->task)))
        weft__scope_list(c);
}

/* The outermost task of a context has nothing below it but that. */
static inline void
weft__task_found(weft_task *t, struct context *c)
{
    t->run.outer = (weft_task *)((uintptr_t)c | 1);
}

static inline bool
weft__task_outermost(const weft_task *t)
{
    return (uintptr_t)t->run.outer & 1;
}

/* The task that waits for t in place; NULL: none. */
static inline weft_task *
weft__task_below(const weft_task *t)
{
    return weft__task_outermost(t) ? NULL : t->run.outer;
}

static inline struct context *
weft__task_context(const weft_task *t)
{
    return (struct context *)((uintptr_t)t->run.outer & ~(uintptr_t)1);
}

/* Ends t with code: records how, wakes whoever waits, runs callbacks, reports, and drops the run's reference. */
void weft__task_end(weft_task *t, int code);

/* Ends t, which never ran: calls drop. */
void weft__task_end_unrun(weft_task *t, int code);

/* The same up to the dropping of the reference, which is left to the caller. */
void weft__task_finish(weft_task *t, unsigned phase, int code);

/* The phase in which a body that returned code ends. */
unsigned weft__task_outcome(const weft_task *t, int code);

/* Drops one reference. */
void weft__task_unref(weft_task *t);

/* Marks that somebody looked at how t ended. */
static inline void
weft__task_observe(weft_task *t)
{
    if (!(load_relaxed(&t->flags) & TASK_OBSERVED)) or_acq_rel(&t->flags, TASK_OBSERVED); /* read by the last unref */
}

/* Provided by local.c: destroys the locals of t, whose body has returned. */
void weft__locals_end(weft_task *t);

/* Provided by the scheduler: the calling worker's cache, NULL on a plain thread. */
struct task_cache *weft__task_cache(void);

#endif
