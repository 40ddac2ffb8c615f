/*
 * debug.c - seeing inside: weft_dump.  [layer 7]
 *
 * A dump is wanted when something has gone wrong: from a handler of a crash, from a watchdog while everything hangs, from
 * a debugger.  So it stops nobody and waits for no lock; it reads what others write meanwhile, and must survive whatever it finds:
 *
 *   - Workers, contexts and stacks stay where they are: the dump is a visitor (scheduler.h), so weft_stop waits for it; and
 *     it looks at them only if the state says, after the visit has begun, that the runtime is running.
 *   - Descriptors are never unmapped (task.c).  A pointer to one is followed only if it leads to a descriptor.
 *   - The head of a context is always in the same place of its stack, so its fields hold what they held for this context
 *     or an earlier one, or zero.
 *   - Queues are counted along links that may lead elsewhere in the middle of it, but only ever to other runnables, and the
 *     walk is bounded.
 *   - Mutexes and names are the program's, and may be gone if their task has just ended: the kernel reads them (out.c).
 *   - The list of blocked threads is the one thing under a lock: it is left out where that cannot be had at once.
 *
 * Rejected.  Stopping the workers by a signal: a worker that hangs in the kernel would not answer, and rule one of a dump
 * is that it comes.
 */
#include "clock.h"
#include "mutex.h"
#include "out.h"
#include "rwlock.h"
#include "scheduler.h"
#include "timerq.h"
#include "waiter.h"

#include <weft/debug.h>

#include <errno.h>
#include <unistd.h>

/* How much is shown, or looked at. */
enum {
    NAME = 64,              /* bytes shown of a name */
    QUEUE_MOST = 1000,      /* links followed in a queue */
    CHAIN_MOST = 16,        /* tasks shown of one context */
    CYCLE_MOST = 64,        /* contexts of a cycle that is found, */
    CYCLE_BUDGET = 4000000, /* and looked at to find it */
    UNSTARTED_MOST = 64,    /* tasks shown that have not started */
    THREADS_AT_A_TIME = 8   /* blocked threads */
};

/* Reads a pointer that its owner may be writing. */
typedef void *any_pointer __attribute__((may_alias));

static weft__uninstrumented void *
racy(const void *field)
{
    return *(any_pointer const volatile *)field;
}

/* ---- Words ---- */

static void
title(struct out *o, const weft_task *t)
{
    const char *name = racy(&t->name);
    weft__out_text(o, "task ");
    weft__out_hex(o, (uintptr_t)t);
    if (!name) return;
    weft__out_text(o, " \"");
    weft__out_foreign(o, name, NAME);
    weft__out_text(o, "\"");
}

static void
function(struct out *o, const weft_task *t)
{
    weft__out_text(o, ", body ");
    weft__out_hex(o, (uintptr_t)racy(&t->fn));
}

static void
flags(struct out *o, const weft_task *t)
{
    unsigned f = load_relaxed(&t->flags); /* relaxed: for people */
    if (f & WEFT_STICKY) weft__out_text(o, ", sticky");
    if (f & WEFT_DAEMON) weft__out_text(o, ", daemon");
    if (f & WEFT_INTERACTIVE) weft__out_text(o, ", interactive");
    if (f & TASK_CANCEL) weft__out_text(o, ", cancelled");
}

/* What is at object, the waiters of a lock, by what these say that they wait for. */
struct lock {
    const void *at;   /* NULL: it is no lock */
    uint64_t owner;   /* a task or a thread; 0: none, or there is no lock any more */
    uint64_t readers; /* of a rwlock that has no owner */
};

static struct lock
lock_of(const char *reason, const void *object)
{
    uint64_t word;
    if (!object) return (struct lock){0};
    if (reason == weft__mutex_reason) {
        const struct mutex *m = weft__container(object, struct mutex, waiters);
        bool there = weft__out_peek(&word, &m->word);
        return (struct lock){m, there ? word & ~(uint64_t)MUTEX_FLAGS : 0, 0};
    }
    if (reason == weft__rwlock_read_reason || reason == weft__rwlock_write_reason) {
        const struct rwlock *l = weft__container(object, struct rwlock, waiters);
        bool there = weft__out_peek(&word, &l->word), written = there && (word & RWLOCK_WRITER);
        return (struct lock){l, written ? word & ~(uint64_t)RWLOCK_FLAGS : 0,
                             there && !written ? word / RWLOCK_READER : 0};
    }
    return (struct lock){0};
}

static void
held_by(struct out *o, const struct lock *l)
{
    const weft_task *t = weft__task_at((const void *)(uintptr_t)l->owner);
    if (l->owner || l->readers) weft__out_text(o, ", held by ");
    if (t && l->owner == (uintptr_t)t) title(o, t);
    else if (l->owner) weft__out_text(o, "a plain thread");
    if (!l->readers) return;
    weft__out_number(o, l->readers);
    weft__out_text(o, l->readers == 1 ? " reader" : " readers");
}

/* "channel put at 0x55...", "task: task 0x7f... "name"", "mutex lock at 0x55..., held by task 0x7f...". */
static void
reason(struct out *o, const char *reason, const void *object)
{
    struct lock lock = lock_of(reason, object);
    const weft_task *t = object && !lock.at ? weft__task_at(object) : NULL;
    weft__out_text(o, reason ? reason : "something");
    if (t) {
        weft__out_text(o, ": ");
        title(o, t);
    } else if (object) {
        weft__out_text(o, " at ");
        weft__out_hex(o, (uintptr_t)(lock.at ? lock.at : object));
        held_by(o, &lock);
    }
}

static const char *
state_name(int state)
{
    switch (state) {
    case SCHED_STOPPED:
        return "not running";
    case SCHED_RUNNING:
        return "running";
    case SCHED_CLOSING:
        return "running; the root task has ended";
    case SCHED_CANCELLED:
        return "stopping: all tasks are cancelled";
    default:
        return "stopping: all tasks have ended";
    }
}

/* ---- Workers and queues ---- */

static void
queue_length(struct out *o, const char *name, const struct runnable *first)
{
    uint64_t n = 0;
    for (const struct runnable *r = first; r && n < QUEUE_MOST; r = racy(&r->link)) n++;
    weft__out_text(o, name);
    weft__out_number(o, n);
    if (n == QUEUE_MOST) weft__out_text(o, " or more");
}

static void
worker(struct out *o, struct worker *w)
{
    const struct context *c = racy(&w->context);
    const weft_task *t = c ? racy(&c->task) : NULL;
    weft__out_text(o, "worker ");
    weft__out_number(o, (uint64_t)w->id);
    if (w == weft__worker()) weft__out_text(o, " (which dumps)");
    /* relaxed, as all here: for people */
    if (load_relaxed(&w->asleep)) {
        weft__out_text(o, ": asleep");
        if (racy(&w->pool->idle.sentinel) == w) weft__out_text(o, " as the sentinel");
    } else if (t) {
        weft__out_text(o, ": runs ");
        title(o, t);
    } else {
        weft__out_text(o, ": looks for work");
    }
    weft__out_text(o, "; next ");
    weft__out_text(o, load_relaxed(&w->next) ? "1" : "0");
    weft__out_text(o, ", deque ");
    weft__out_number(o, (uint64_t)weft__deque_size(&w->deque));
    weft__out_text(o, ", fifo ");
    weft__out_number(o, (uint64_t)weft__deque_size(&w->fifo));
    queue_length(o, ", sticky ", racy(&w->sticky.head));
    queue_length(o, ", inbox ", load_relaxed(&w->inbox.top));
    weft__out_text(o, "; ");
    weft__out_number(o, load_relaxed(&w->dispatches));
    weft__out_text(o, " dispatches");
    weft__out_end(o);
}

static void
pools(struct out *o)
{
    for (int k = 0; k < weft__sched.count; k++) worker(o, weft__sched.workers[k]);
    for (int k = 0; k < POOLS; k++) {
        const struct pool *p = &weft__sched.pools[k];
        if (p->count == 0) continue;
        weft__out_text(o, k == POOL_DEFAULT ? "pool of workers: " : "pool of interactive workers: ");
        weft__out_number(o, load_relaxed(&p->idle.sleeping)); /* relaxed, as the next: for people */
        weft__out_text(o, " asleep, ");
        weft__out_number(o, load_relaxed(&p->idle.searching));
        queue_length(o, " searching; inject ", load_relaxed(&p->inject.top));
        weft__out_end(o);
    }
    int64_t next = weft__timers_next();
    weft__out_text(o, "timers: ");
    if (next == INT64_MAX) weft__out_text(o, "none");
    else {
        weft__out_text(o, "the next in ");
        weft__out_ms(o, next - weft__clock_now());
    }
    weft__out_end(o);
}

/* ---- Tasks that have started ---- */

static bool
runs(const weft_task *t)
{
    return weft__task_phase(weft__task_ticket(t)) == PHASE_RUNNING;
}

/* What c's innermost task does at this moment. */
static void
activity(struct out *o, const struct context *c)
{
    uint64_t word;
    const struct worker *w = racy(&c->worker);
    enum park_look park = weft__park_look(&c->parker, &word);
    bool here = w && racy(&w->context) == c;
    if (here) weft__out_text(o, ": running");
    else if (park == PARK_SAVED || park == PARK_BEGUN) {
        weft__out_text(o, ": parked in ");
        reason(o, load_relaxed(&c->parker.reason), load_relaxed(&c->parker.object)); /* relaxed: for people */
    } else weft__out_text(o, ": ready");
    if (!here) {
        weft__out_text(o, "; saved at ");
        weft__out_hex(o, (uintptr_t)racy(&c->machine.sp));
    }
    if (!w) return;
    weft__out_text(o, here ? " on worker " : "; last on worker ");
    weft__out_number(o, (uint64_t)w->id);
}

/* The tasks below t, each waiting in place for the one above it. */
static void
chain(struct out *o, const weft_task *t)
{
    int shown = 0;
    while ((t = racy(&t->run.outer)) && t == weft__task_at(t) && runs(t)) {
        if (++shown > CHAIN_MOST) {
            weft__out_text(o, "    and more");
            weft__out_end(o);
            return;
        }
        weft__out_text(o, "    waits for it in place: ");
        title(o, t);
        function(o, t);
        flags(o, t);
        weft__out_end(o);
    }
}

static void
context(struct stack *s, void *arg)
{
    struct out *o = arg;
    const struct context *c = load_acquire(&s->owner); /* acquire: pairs with weft__place_new */
    const weft_task *t = c ? racy(&c->task) : NULL;
    if (!t || !runs(t)) return;
    title(o, t);
    activity(o, c);
    function(o, t);
    flags(o, t);
    weft__out_end(o);
    chain(o, t);
}

/* ---- A cycle of tasks that wait for each other ---- */

/* What c's innermost task, which is parked, waits for, if that is a task, or what a task owns. */
static const weft_task *
awaited(const struct context *c)
{
    uint64_t word;
    enum park_look park = weft__park_look(&c->parker, &word);
    const void *object = load_relaxed(&c->parker.object); /* relaxed: a guess, as all here */
    if (!object || (park != PARK_SAVED && park != PARK_BEGUN)) return NULL;
    struct lock lock = lock_of(load_relaxed(&c->parker.reason), object);
    const weft_task *t = weft__task_at(lock.at ? (const void *)(uintptr_t)lock.owner : object);
    return t && runs(t) ? t : NULL;
}

struct search {
    const weft_task *task;    /* what is looked for, */
    const struct context *on; /* and the context that it is on */
    const struct context *in; /* a context in a cycle */
    int64_t *budget;          /* contexts that may still be looked at */
};

static void
find_task(struct stack *s, void *arg)
{
    struct search *search = arg;
    const struct context *c = load_acquire(&s->owner); /* acquire: pairs with weft__place_new */
    if (search->on || --*search->budget < 0 || !c) return;
    int below = 0;
    for (const weft_task *t = racy(&c->task); t && t == weft__task_at(t) && runs(t); t = racy(&t->run.outer)) {
        if (t == search->task) search->on = c;
        if (t == search->task || ++below > CHAIN_MOST) return;
    }
}

/* The context that the task which c waits for is on. */
static const struct context *
next_in_cycle(const struct context *c, int64_t *budget)
{
    struct search search = {.task = awaited(c), .budget = budget};
    if (search.task) weft__stack_each(find_task, &search);
    return search.on;
}

static void
find_cycle(struct stack *s, void *arg)
{
    struct search *search = arg;
    const struct context *first = load_acquire(&s->owner); /* acquire: pairs with weft__place_new */
    const struct context *c = first;
    if (search->in || !first) return;
    for (int steps = 0; c && steps < CYCLE_MOST; steps++) {
        c = next_in_cycle(c, search->budget);
        if (c == first) search->in = first;
        if (c == first) return;
    }
}

static void
cycle(struct out *o)
{
    int64_t budget = CYCLE_BUDGET;
    struct search search = {.budget = &budget};
    weft__stack_each(find_cycle, &search);
    const struct context *c = search.in;
    if (!c) return;
    weft__out_text(o, "wait cycle:");
    weft__out_end(o);
    do {
        const weft_task *inner = racy(&c->task), *t = awaited(c);
        c = next_in_cycle(c, &budget);
        if (!inner || !t || !c) return; /* it goes on after all */
        weft__out_text(o, "    ");
        title(o, inner);
        weft__out_text(o, " waits for ");
        title(o, t);
        if (t != racy(&c->task)) {
            weft__out_text(o, ", which waits in place for ");
            title(o, racy(&c->task));
        }
        weft__out_end(o);
    } while (c != search.in);
}

/* ---- Tasks that have not started, or have ended ---- */

struct tally {
    struct out *out;
    uint64_t waiting, queued, ended;
};

static void
count(weft_task *t, void *arg)
{
    struct tally *tally = arg;
    switch (weft__task_phase(weft__task_ticket(t))) {
    case PHASE_NEW:
        tally->waiting++;
        break;
    case PHASE_QUEUED:
        tally->queued++;
        break;
    case PHASE_COMPLETED:
    case PHASE_FAILED:
    case PHASE_CANCELLED:
        tally->ended++;
        break;
    default:
        return;
    }
    unsigned phase = weft__task_phase(weft__task_ticket(t));
    if ((phase != PHASE_NEW && phase != PHASE_QUEUED) || tally->waiting + tally->queued > UNSTARTED_MOST) return;
    struct out *o = tally->out;
    int home = load_relaxed(&t->home); /* relaxed: for people */
    title(o, t);
    weft__out_text(o, phase == PHASE_NEW ? ": not scheduled" : ": queued");
    if (phase == PHASE_QUEUED && home >= 0) {
        weft__out_text(o, " by worker ");
        weft__out_number(o, (uint64_t)home);
    }
    function(o, t);
    flags(o, t);
    weft__out_end(o);
}

static void
others(struct out *o)
{
    struct tally t = {.out = o};
    weft__task_each(count, &t);
    weft__out_number(o, t.queued);
    weft__out_text(o, " tasks are queued and have not started, ");
    weft__out_number(o, t.waiting);
    weft__out_text(o, " are not scheduled, ");
    weft__out_number(o, t.ended);
    weft__out_text(o, " have ended and are still referred to");
    if (t.queued + t.waiting > UNSTARTED_MOST) {
        weft__out_text(o, "; named are the first ");
        weft__out_number(o, UNSTARTED_MOST);
        weft__out_text(o, " of those that have not started");
    }
    weft__out_end(o);
}

/* ---- Plain threads ---- */

static void
threads(struct out *o)
{
    struct blocked_thread some[THREADS_AT_A_TIME];
    int n, first = 0;
    while ((n = weft__blocked_threads(first, some, THREADS_AT_A_TIME)) > 0) {
        for (int i = 0; i < n; i++) {
            weft__out_text(o, "thread ");
            weft__out_number(o, (uint64_t)some[i].id);
            weft__out_text(o, some[i].woken ? ": woken from " : ": blocked in ");
            reason(o, some[i].reason, some[i].object);
            if (some[i].deadline != WEFT_FOREVER) {
                weft__out_text(o, ", for ");
                weft__out_ms(o, some[i].deadline - weft__clock_now());
            }
            weft__out_end(o);
        }
        first += n;
    }
    if (n == 0) return;
    weft__out_text(o, "threads: not shown, their list is in use");
    weft__out_end(o);
}

static void
header(struct out *o, int state)
{
    weft__out_text(o, "weft: dump of process ");
    weft__out_number(o, (uint64_t)getpid());
    weft__out_text(o, ": the runtime is ");
    weft__out_text(o, state_name(state));
    if (weft__forked()) weft__out_text(o, " in the parent of this process");
    weft__out_end(o);
}

int
weft_dump(int fd)
{
    struct out o;
    int saved = errno;
    weft__out_begin(&o, fd);
    weft__sched_visit();
    int state = load_seq_cst(&weft__sched.state); /* V2 of scheduler.h */
    header(&o, state);
    if (weft__sched_has_workers(state)) {
        pools(&o);
        weft__out_number(&o, weft__sched_live(false));
        weft__out_text(&o, " tasks and ");
        weft__out_number(&o, weft__sched_live(true));
        weft__out_text(&o, " daemons have not ended");
        weft__out_end(&o);
        weft__stack_each(context, &o);
        cycle(&o);
    }
    others(&o);
    threads(&o);
    int rc = weft__out_flush(&o);
    weft__sched_leave();
    errno = saved;
    return rc;
}
