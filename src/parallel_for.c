/*
 * parallel_for.c - weft_for: splits a range into pieces, and gives half of what is left to whoever has nothing.
 * [layer 6]
 *
 * A range is cut into pieces of `grain` iterations, counted from its begin.  A span is some neighbouring pieces that
 * one task has to run.  Whoever runs a span goes through its pieces from the left, and before each it may fork: then
 * the right half of what is left is a span of its own, for a thief, or for the same worker when it is done with the
 * left half.
 *
 *   grain given   Each span of more than one piece forks.  Each piece is alone in its span when it starts, so one that parks
 *                 holds up no other.
 *   grain 0       Lazy binary splitting (Tzannes, Caragea, Barua, Vishkin 2010).  A span forks only if the worker is hungry:
 *                 if its deque holds nothing that a thief could take.  So there is always half of the rest to steal, and it
 *                 is split no further before it is stolen.  A worker forks about log(pieces) times for each span that it
 *                 gets, however many pieces there are, so these may be small.  PIECES for each worker bound what one can
 *                 still be busy with, when the others have run out, to 1/PIECES of its share, and the cost of asking to
 *                 PIECES questions.  One worker is never hungry; PIECE_MOST only bounds how late it sees a cancellation.
 *
 * Either way a span is half of its parent: at most 64 forks are nested on one stack.
 *
 * Failures.  The first failure raises a flag.  A task that sees it starts no more bodies.  The flag is relaxed: seen
 * late it costs some bodies that the contract allows.  The lowest index wins under a lock, which only bodies that fail
 * ever take; the caller reads it after the last join, and every body happens before that.  The text of weft_fail goes
 * the same way, from the task that ran the body to the one that called.
 *
 * No iteration is lost, and none runs twice.  Each side of a fork notes that it has begun.  Where there is no memory
 * for the fork, or for the stack of a side that was stolen, the side that has not begun runs after the other, in the
 * task that forked.
 *
 * Rejected.  Forking a fixed number of pieces per worker at once: few balance badly, and many cost a fork each.
 * Timing pieces to find their size: a look at the clock costs as much as several questions for hunger, and a loop that
 * is cheap first and dear later gets its largest pieces where they hurt most.
 */
#include "parallel.h"

#include "bits.h"
#include "hook.h"
#include "scheduler.h"

#include <errno.h>
#include <stdlib.h>

enum {
    PIECES = 64,          /* for each worker, where the grain is up to us */
    PIECE_MOST = 1 << 22, /* iterations, likewise */
};

struct loop {
    weft_range_fn *body;
    void *ctx;
    size_t begin, end;
    size_t grain;
    bool eager; /* fork without being hungry */
    struct verdict verdict;
};

/* The pieces first .. first + pieces - 1 of loop. */
struct span {
    struct loop *loop;
    size_t first, pieces;
};

/* Takes what the current task gave to weft_fail. */
static struct failure *
take_failure(void)
{
    weft_task *t = weft_current();
    struct failure *why = t->failure;
    t->failure = NULL;
    return why;
}

/* Gives it to the current task; a plain thread has no use for it. */
static void
put_failure(struct failure *why)
{
    weft_task *t = weft_current();
    if (!t) {
        free(why);
        return;
    }
    free(t->failure);
    t->failure = why;
    or_acq_rel(&t->flags, TASK_LADEN); /* other bits may be set at the same time */
}

void
weft__verdict_fail(struct verdict *v, size_t index, int code)
{
    struct failure *why = take_failure();
    weft__acquire(&v->lock);
    if (!load_relaxed(&v->failed) || index < v->index) { /* relaxed: the lock orders it */
        struct failure *last = v->why;
        v->index = index;
        v->code = code;
        v->why = why;
        why = last;
    }
    store_relaxed(&v->failed, true); /* relaxed: a hint for weft__verdict_reached; here the lock orders it */
    weft__unlock(&v->lock);
    free(why);
}

/* One side of a fork. */
struct side {
    weft_fn *fn;
    void *arg;
    bool begun; /* read after the join */
};

static int
run_side(void *arg)
{
    struct side *s = arg;
    s->begun = true;
    return s->fn(s->arg);
}

/* What weft_both did not run: the caller is cancelled, or there was no memory for a task or its stack. */
static void
make_up(struct verdict *v, size_t index, struct side *s, int code)
{
    if (s->begun) return;
    if (code == WEFT_ECANCELED) weft__verdict_fail(v, index, code);
    else (void)run_side(s);
}

void
weft__parallel_fork(struct verdict *v, size_t index, weft_fn *left, void *l, weft_fn *right, void *r)
{
    struct side sides[2] = {{left, l, false}, {right, r, false}};
    int code = weft_both(run_side, &sides[0], run_side, &sides[1]);
    if (weft__likely(code >= 0)) return;
    make_up(v, index, &sides[0], code);
    make_up(v, index, &sides[1], code);
}

int
weft__helper_spawn(weft_task **out, weft_fn *fn, void *arg)
{
    int rc = weft_task_new(out, fn, arg, NULL);
    if (rc < 0) return rc;
    weft__helper(*out);
    rc = weft_schedule(*out);
    if (rc < 0) weft_task_release(*out);
    return rc;
}

bool
weft__helper_deserted(weft_task *t)
{
    weft_task *pair[2] = {t, NULL};
    if (weft_task_isdone(t)) return false;
    /* who waits for one of several to fail runs none in place, where a cancellation of the caller would not reach it */
    if (weft_waitall(pair, 2, WEFT_FAILFAST) != WEFT_ECANCELED) return false;
    const weft_task *me = weft_current();
    return me && (load_relaxed(&me->flags) & TASK_CANCEL); /* relaxed: the wait has found it */
}

/* The call, in the task `caller`. */
static inline void
run_for(weft_task *caller, struct verdict *v, weft_fn *fn, void *arg)
{
    v->caller = caller;
    v->scope = weft__task_scope(caller);
    if (!weft__verdict_reached(v, 0)) (void)fn(arg);
}

struct call {
    struct verdict *verdict;
    weft_fn *fn;
    void *arg;
    bool begun; /* read after the join */
};

static int
run_call(void *arg)
{
    struct call *c = arg;
    c->begun = true;
    run_for(weft_current(), c->verdict, c->fn, c->arg);
    return 0;
}

/* From a plain thread, off the ordinary workers, or with WEFT_FPENV.  The call is in the caller's frame: it is waited for,
 * whatever happens. */
static weft__noinline int
call_elsewhere(struct verdict *v, weft_fn *fn, void *arg)
{
    weft_task *t;
    bool stackless;
    struct call c = {v, fn, arg, false};
    int code = weft__helper_spawn(&t, run_call, &c);
    if (code < 0) return code;
    if (weft__helper_deserted(t)) (void)weft_cancel(t);
    code = weft__join_always(t, &stackless);
    return c.begun ? 0 : code;
}

int
weft__parallel_call(struct verdict *v, weft_fn *fn, void *arg)
{
    const struct worker *w = weft__worker_fast();
    int code = 0;
    /* what has control words of its own would give them to some bodies and not to others */
    if (weft__likely(w && w->context && w->ordinary && !w->context->fpenv)) run_for(w->context->task, v, fn, arg);
    else code = call_elsewhere(v, fn, arg);
    if (weft__unlikely(v->why)) put_failure(v->why);
    return code < 0 ? code : v->code;
}

/* Not inlined: its callers switch contexts, and compilers look up once where errno is, as if that were the same
 * afterwards. */
weft__noinline void *
weft__parallel_block(size_t bytes)
{
    if (bytes > PTRDIFF_MAX - WEFT_CACHE_LINE || weft__hook_fail()) return NULL;
    int saved = errno;
    void *block = aligned_alloc(WEFT_CACHE_LINE, weft__round_up(bytes, WEFT_CACHE_LINE));
    errno = saved;
    return block;
}

static void
run_piece(struct loop *loop, size_t begin)
{
    size_t end = loop->end - begin > loop->grain ? begin + loop->grain : loop->end;
    int code = loop->body(begin, end, loop->ctx);
    if (weft__unlikely(code < 0)) weft__verdict_fail(&loop->verdict, begin, code);
}

static int
run_span(void *arg)
{
    struct span s = *(struct span *)arg;
    struct loop *loop = s.loop;
    for (; s.pieces > 0; s.first++, s.pieces--) {
        size_t begin = loop->begin + s.first * loop->grain;
        if (weft__verdict_reached(&loop->verdict, begin)) break;
        if (s.pieces > 1 && (loop->eager || weft__sched_hungry())) {
            size_t kept = s.pieces - s.pieces / 2;
            struct span left = {loop, s.first, kept}, right = {loop, s.first + kept, s.pieces - kept};
            weft__parallel_fork(&loop->verdict, begin, run_span, &left, run_span, &right);
            break;
        }
        run_piece(loop, begin);
    }
    return 0;
}

size_t
weft__parallel_grain(size_t length, size_t workers)
{
    enum { FORESEEN = 64 };
    if (weft__spanned()) workers = FORESEEN; /* the run is to tell how many would be of use */
    size_t grain = workers > 1 ? length / (workers * PIECES) : length;
    return grain < 1 ? 1 : grain < PIECE_MOST ? grain : PIECE_MOST;
}

int
weft_for(size_t begin, size_t end, size_t grain, weft_range_fn *body, void *ctx)
{
    if (!body || begin > end) return WEFT_EINVAL;
    struct loop loop = {.body = body, .ctx = ctx, .begin = begin, .end = end, .grain = grain, .eager = true};
    size_t length = end - begin;
    if (grain == 0) {
        int workers = weft_nworkers();
        if (workers < 0) return workers;
        loop.grain = weft__parallel_grain(length, (size_t)workers);
        loop.eager = false;
    }
    struct span all = {&loop, 0, length > loop.grain ? (length - 1) / loop.grain + 1 : length > 0};
    return weft__parallel_call(&loop.verdict, run_span, &all);
}
