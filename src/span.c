/*
 * span.c - the work and the span of a program, from one run.  [layer 4]
 *
 * Whoever has run a program on two cores wants to know what 64 would do.  Two numbers say the most of it (Brent 1974; He,
 * Leiserson, Leiserson: The Cilkview Scalability Analyzer, SPAA 2010):
 *
 *   work W     the time of everything that tasks did
 *   span D     the time along the longest path of things that had to come one after the other
 *
 * No scheduler is faster than max(W / P, D) on P cores, and a greedy one is no slower than W / P + D.  W / D, the
 * parallelism, is the number of cores from which on more are of no use.  The burdened span B is the span where each edge
 * that may lead to another worker costs what that costs; W / P + B is about what this scheduler takes.
 *
 * Strands.  A strand is a stretch of what one context does between two of the events below.  Each task has a mark: the time on
 * the longest path from the start of the program to where it is (depth), and the same with burdens.  To cut a strand:
 *
 *      now = clock();  t = now - since;  depth += t;  burdened += t;  the worker's work += t;  since = now
 *
 * What the scheduler does between two contexts (search, switch, sleep) is in no strand: that is the burden's part.
 *
 * Edges.  "After y": the mark becomes (max(depth, y.depth), max(burdened, y.burdened + burden)).
 *
 *      event                   rule
 *      E1  spawn               cut; the child's mark is the parent's, burdened
 *      E2  begin               in place: cut the parent's; the strand is the child's from here on
 *      E3  end                 cut; the mark stands still.  The scope, if there is one, is after it; in place: so is who waits
 *      E4  join, wait, fetch   cut; after the task that has ended
 *      E5  scope closed        cut; after the scope, that is, after all its members
 *      E6  wake                waker: cut; woken: after the waker
 *      E7  alarm               (timer, descriptor, blocking call, plain thread) woken: depth and burdened grow by the time for
 *                              which it was parked.  That is in the span, and not in the work
 *      E8  channel             channel_span.c: the marks of values, and of places for them, also where nobody parks
 *      E9  barrier, rendezvous who comes last is after those who have come: their marks stand still since they parked
 *      E10 event               who finds it set is after who set it
 *      E11 yield               cut; no edge: others run meanwhile, and the mark stands still
 *
 * A task that runs in place has the mark with which it was spawned, not the one to which its parent has come.  So the order in
 * which this run did things is not in the result, only the order in which they had to be done.  One worker is enough, and
 * measures best: nobody else uses its caches.
 *
 * A mark belongs to whoever runs the task.  From the arming of a park to its end it stands still, so that whoever has claimed
 * the park can read it; the claimer writes what the woken one is after (woken, alarm), as it writes the code (W2 of park.c).
 *
 * Burden.  Each edge has it, whether or not this run took it to another worker, as in Cilkview.  Rejected: to take the cheaper
 * of (stolen) and (in place, after the parent's own part).  The scheduler does not choose; a thief that is hungry takes the
 * small task as well.
 *
 * Loops that split lazily (parallel_for.c) do so when somebody could steal.  While counting, that is when the strand has been
 * running for the burden's time: about when a thief would have come.
 *
 * Where it costs nothing.  When it is off, the quick ways of spawn, join and both have not one instruction more, since
 * watched tasks do not take them (watch.h).  Parks, wakes and channels have a branch that is always predicted.
 *
 * Not covered.
 *
 *   - Mutexes, semaphores, onces and conditions where nobody parks.  Who comes first is an accident of this run; an edge from
 *     the last owner to the next would make two tasks serial, as a whole, that only share a line.
 *   - What the program does with atomics of its own, spinning, and memory that is shared.
 *   - Bandwidth, caches, frequency: strands are as long as they were in this run.  A thread that lost its core to another
 *     process makes a strand longer; so several runs, and the least.
 *   - Speculation: what a select did not choose, and a task that was cancelled, are work.
 *   - Plain threads: what they do is no work, what they spawn begins at 0, and what they wake has E7.
 *   - A deadline that is met late because all workers compute: the delay counts as a wait.
 *
 * Rejected.  Recording every event, and finding the longest path afterwards: as much memory as there are tasks.
 *
 * Checked.  tests/test_span.c: with a clock that the program itself moves on, against closed forms: fib, a chain, flat loops,
 * pipelines of 1 to 5 stages against their recurrence.
 */
#include "scheduler.h"

#include "clock.h"
#include "panic.h"
#include "ticks.h"

#include <time.h>

#include <stdlib.h>

enum {
    SEEN_BITS = 12, /* of the table of objects: 128 KiB */
    CHECK = 20000   /* nanoseconds */
};

/* What an object made known. */
struct note {
    weft__lock lock;
    const void *object; /* under the lock, as the next */
    struct mark mark;
};

static struct {
    uint64_t (*clock)(void);
    double rate;     /* ticks in a nanosecond */
    uint64_t burden; /* in ticks, as the next */
    uint64_t check;  /* was its thread on a core all the time?  Asked of a strand that is longer than this */
    uint64_t run;
    uint64_t ticks;                   /* at the start */
    int64_t time;                     /* likewise, by the clock */
    uint64_t work;                    /* likewise, of earlier runs */
    _Atomic uint64_t depth, burdened; /* of all tasks that have ended, the most */
    struct note notes[1 << SEEN_BITS];
    struct span_result last;
} span;

/* ---- Marks ---------------------------------------------------------------------------------------------------------- */

static inline uint64_t
most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

struct mark
weft__span_later(struct mark m, struct mark other)
{
    return (struct mark){most(m.depth, other.depth), most(m.burdened, other.burdened + span.burden)};
}

static void
raise(_Atomic uint64_t *to, uint64_t value)
{
    uint64_t seen = load_relaxed(to); /* relaxed: the end of the task orders it */
    while (seen < value && !cas_relaxed(to, &seen, value)) continue;
}

/* The time for which the calling thread was on no core, since it began; and a constant. */
static int64_t
time_away(void)
{
    struct timespec t = {0, 0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return weft__clock_now() - ((int64_t)t.tv_sec * 1000000000 + t.tv_nsec);
}

void
weft__span_awake(struct worker *w)
{
    w->away = time_away();
}

/* What is left of a strand without the time for which the thread of w, the caller's, lost its core; and the end of that strand.
 * Both clocks are read at once, or again: a loss that came between them would be taken from this strand, and be in the next. */
static weft__noinline uint64_t
without_gaps(struct worker *w, uint64_t since, uint64_t *now)
{
    int64_t before = w->away;
    for (int tries = 0; tries < 4; tries++) {
        *now = span.clock();
        weft__span_awake(w);
        if (span.clock() - *now < span.check) break;
    }
    uint64_t t = *now - since;
    uint64_t gap = w->away > before ? (uint64_t)((double)(w->away - before) * span.rate) : 0;
    return gap < t ? t - gap : 0;
}

/* Cuts c's strand, if it runs.  Returns the time, or 0. */
static uint64_t
cut(struct context *c)
{
    struct strand *s = &c->strand;
    if (s->since <= STRAND_FROZEN) return 0;
    uint64_t now = span.clock(), t = now > s->since ? now - s->since : 0;
    if (weft__unlikely(t > span.check)) t = without_gaps(c->worker, s->since, &now);
    s->task->mark.depth += t;
    s->task->mark.burdened += t;
    bump(&c->worker->counts[COUNT_WORK], t);
    s->since = now;
    return now;
}

struct mark
weft__span_here(void)
{
    struct context *c = weft__context_current();
    if (!c || c->strand.since == STRAND_LEFT) return (struct mark){0, 0};
    (void)cut(c);
    return c->strand.task->mark;
}

void
weft__span_after(struct mark m)
{
    struct context *c = weft__context_current();
    if (!c || c->strand.since <= STRAND_FROZEN) return;
    (void)cut(c);
    c->strand.task->mark = weft__span_later(c->strand.task->mark, m);
}

struct mark
weft__span_parked(const struct parker *p)
{
    return p->context ? p->context->strand.task->mark : (struct mark){0, 0};
}

/* ---- What happens to tasks ------------------------------------------------------------------------------------------- */

void
weft__span_spawn(weft_task *t)
{
    struct mark m = weft__span_here();
    t->mark = (struct mark){m.depth, m.burdened + (weft__worker() ? span.burden : 0)};
}

void
weft__span_begin(struct context *c, weft_task *t)
{
    uint64_t now = weft__task_outermost(t) ? 0 : cut(c);
    c->strand.task = t;
    c->strand.since = now ? now : span.clock();
}

void
weft__span_end(struct context *c)
{
    weft_task *t = c->strand.task, *below = weft__task_below(t);
    struct scope *s = weft__task_scope(t);
    (void)cut(c);
    c->strand.since = STRAND_FROZEN;
    if (below) below->mark = weft__span_later(below->mark, t->mark);
    if (s->outer) {
        raise(&s->depth, t->mark.depth);
        raise(&s->burdened, t->mark.burdened);
    }
    if (load_relaxed(&t->flags) & WEFT_DAEMON) return; /* relaxed: constant */
    raise(&span.depth, t->mark.depth);
    raise(&span.burdened, t->mark.burdened);
}

void
weft__span_back(struct context *c, weft_task *outer)
{
    c->strand.task = outer;
    c->strand.since = outer ? span.clock() : STRAND_LEFT;
}

void
weft__span_joined(const weft_task *t)
{
    if (load_relaxed(&t->flags) & TASK_WATCHED) weft__span_after(t->mark); /* relaxed: constant */
}

void
weft__span_closed(const struct scope *s)
{
    weft__span_after((struct mark){load_relaxed(&s->depth), load_relaxed(&s->burdened)}); /* relaxed: as in raise */
}

/* ---- Parks ------------------------------------------------------------------------------------------------------------ */

void
weft__span_arm(struct context *c)
{
    c->strand.armed = cut(c);
    c->strand.since = STRAND_FROZEN;
    c->strand.woken = (struct mark){0, 0};
    c->strand.alarm = 0;
}

void
weft__span_leave(struct context *c)
{
    (void)cut(c);
    c->strand.since = STRAND_LEFT;
}

void
weft__span_resume(struct context *c)
{
    struct strand *s = &c->strand;
    struct mark *m = &s->task->mark;
    if (s->since > STRAND_FROZEN) return;
    uint64_t waited = s->alarm > s->armed ? s->alarm - s->armed : 0;
    *m = (struct mark){most(m->depth + waited, s->woken.depth), most(m->burdened + waited, s->woken.burdened)};
    s->woken = (struct mark){0, 0};
    s->alarm = 0;
    s->since = span.clock();
}

void
weft__span_wake(struct parker *p)
{
    struct context *c = weft__context_current();
    struct strand *woken = p->context ? &p->context->strand : NULL;
    if (!woken) return;
    if (!c || c->strand.since == STRAND_LEFT) woken->alarm = span.clock();
    else woken->woken = weft__span_later(woken->woken, weft__span_here());
}

void
weft__span_met(const struct parker *p)
{
    weft__span_after(weft__span_parked(p));
}

uint64_t
weft__span_run(void)
{
    return span.run;
}

bool
weft__span_hungry(void)
{
    struct context *c = weft__context_current();
    return c && c->strand.since > STRAND_FROZEN && span.clock() - c->strand.since > span.burden;
}

/* ---- Objects ----------------------------------------------------------------------------------------------------------- */

/* Two objects that share a place: who came first is forgotten. */
static struct note *
find_note(const void *object)
{
    uint64_t hash = (uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15); /* Fibonacci hashing: Knuth, volume 3, 6.4 */
    struct note *n = &span.notes[hash >> (64 - SEEN_BITS)];
    weft__acquire(&n->lock);
    return n;
}

void
weft__span_note(const void *object)
{
    struct mark here = weft__span_here();
    struct note *n = find_note(object);
    n->object = object;
    n->mark = here;
    weft__unlock(&n->lock);
}

void
weft__span_seen(const void *object)
{
    struct note *n = find_note(object);
    struct mark m = n->object == object ? n->mark : (struct mark){0, 0};
    weft__unlock(&n->lock);
    weft__span_after(m);
}

/* ---- The run ------------------------------------------------------------------------------------------------------------ */

static uint64_t
all_work(void)
{
    uint64_t sum = load_relaxed(&weft__sched.counts[COUNT_WORK]); /* relaxed: for people, as the next */
    for (int k = 0; k < weft__sched.count; k++) sum += load_relaxed(&weft__sched.workers[k]->counts[COUNT_WORK]);
    return sum;
}

static uint64_t
slow_ticks(void)
{
    return (uint64_t)weft__clock_now();
}

/* How many ticks there are in a nanosecond. */
static double
measure_rate(void)
{
    enum { SAMPLE = 500000 };
    uint64_t ticks = span.clock();
    int64_t begun = weft__clock_now(), now;
    while ((now = weft__clock_now()) - begun < SAMPLE) continue;
    return (double)(span.clock() - ticks) / (double)(now - begun);
}

void
weft__span_start(int64_t burden)
{
    span.clock = weft__ticks_usable() ? weft__ticks_fast : slow_ticks;
    span.rate = measure_rate();
    span.burden = (uint64_t)((double)burden * span.rate);
    span.check = (uint64_t)(CHECK * span.rate);
    for (size_t k = 0; k < weft__countof(span.notes); k++) span.notes[k].object = NULL;
    store_relaxed(&span.depth, 0); /* relaxed, as all here: there are no workers */
    store_relaxed(&span.burdened, 0);
    span.run++;
    span.work = all_work();
    span.time = weft__clock_now();
    span.ticks = span.clock();
    weft__watch_set(WATCH_SPAN, true);
}

void
weft__span_pretend(uint64_t (*clock)(void), uint64_t burden)
{
    span.clock = clock;
    span.burden = burden;
    span.check = UINT64_MAX;
    weft__context_current()->strand.since = clock();
}

struct span_ticks
weft__span_ticks(void)
{
    /* relaxed: for people; who has waited for everything sees it all */
    return (struct span_ticks){all_work() - span.work, {load_relaxed(&span.depth), load_relaxed(&span.burdened)}};
}

struct span_result
weft__span_result(bool workers)
{
    if (!(load_acquire(&weft__watch) & WATCH_SPAN)) return span.last; /* acquire: pairs with the end of a run */
    if (!workers) return (struct span_result){0, 0, 0};
    struct span_ticks t = weft__span_ticks();
    uint64_t passed = span.clock() - span.ticks;
    double ns =
        passed ? (double)(weft__clock_now() - span.time) / (double)passed : 0; /* better than the first sample */
    return (struct span_result){(int64_t)(ns * (double)t.work), (int64_t)(ns * (double)t.longest.depth),
                                (int64_t)(ns * (double)t.longest.burdened)};
}

void
weft__span_stop(void)
{
    if (!weft__spanned()) return;
    struct span_result r = weft__span_result(true);
    span.last = r;
    weft__watch_set(WATCH_SPAN, false); /* a release: pairs with weft__span_result */
    weft__warn("work %.9f s, span %.9f s, burdened span %.9f s: parallelism %.1f, %.1f with its costs",
               (double)r.work / 1e9, (double)r.span / 1e9, (double)r.burdened / 1e9,
               r.span ? (double)r.work / (double)r.span : 1, r.burdened ? (double)r.work / (double)r.burdened : 1);
}
