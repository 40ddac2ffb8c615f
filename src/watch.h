/* watch.h - the places where something may watch what tasks do, and whether anything does.  [layer 3]
 *
 * While something watches, tasks take the slow ways: no worker forks quickly (worker.h), and tasks that are made have
 * TASK_WATCHED, so that joining them is not quick either.  Then everything that happens to a task passes one of these places.
 * The quick ways themselves ask nothing.
 *
 * Who watches: span.c, for a whole run of the scheduler; trace.c, from any moment to any other.  Each worker notices at one of its
 * next dispatches, or joins; so to trace.c a task may begin and not end, or end and not have begun. */
#ifndef WEFT_SRC_WATCH_H
#define WEFT_SRC_WATCH_H

#include "atomic.h"
#include "bits.h"

#include <weft/task.h>

struct context;
struct parker;
struct scope;
struct worker;

enum { WATCH_SPAN = 1, WATCH_TRACE = 2 }; /* who */

/* The time on the longest path from the start of the program to somewhere, in ticks of the clock of span.c; and the same where
 * each step that may lead to another worker costs something. */
struct mark {
    uint64_t depth, burdened;
};

/* What a context knows of the strand that runs on it. */
struct strand {
    weft_task *task;   /* whose it is */
    uint64_t since;    /* up to when it is in the task's mark; or one of enum strand_state */
    uint64_t armed;    /* when its last park began */
    struct mark woken; /* where whoever ended that was; 0: nowhere, */
    uint64_t alarm;    /* or when that was, of what is no task */
};

enum strand_state {
    STRAND_LEFT,  /* the scheduler runs */
    STRAND_FROZEN /* the task is about to park, or has just ended: its mark stands still */
};

#if defined(WEFT_MODEL)
#define weft__watched() 0
#define weft__spanned() 0
#define weft__traced() 0
#else
extern _Atomic unsigned weft__watch; /* who does */

static inline bool
weft__watched(void)
{
    /* relaxed: a run that counts has it from its start; else it may come late */
    return weft__unlikely(load_relaxed(&weft__watch) != 0);
}

static inline bool
weft__spanned(void)
{
    return weft__unlikely(load_relaxed(&weft__watch) & WATCH_SPAN); /* relaxed: as above */
}

static inline bool
weft__traced(void)
{
    return weft__unlikely(load_relaxed(&weft__watch) & WATCH_TRACE); /* relaxed: trace.c asks again */
}
#endif

/* ---- Called where weft__watched() ------------------------------------------------------------------------------------- */

/* t, which has TASK_WATCHED, is about to be scheduled by the caller. */
void weft__watch_spawn(weft_task *t);

/* t begins on c: as its outermost task, or in place. */
void weft__watch_begin(struct context *c, weft_task *t);

/* The body of t, the task of c's strand, has returned code, and who waits for it is about to be told. */
void weft__watch_end(struct context *c, weft_task *t, int code);

/* All that is over: outer, below which it was, goes on.  NULL: it was the outermost. */
void weft__watch_back(struct context *c, weft_task *outer);

/* c, the caller's, begins a park. */
void weft__watch_arm(struct context *c);

/* c is about to look for something else to run. */
void weft__watch_leave(struct context *c);

/* c goes on, or has not parked after all. */
void weft__watch_resume(struct context *c);

/* The caller, who has claimed p, a context's, lets it go on. */
void weft__watch_wake(struct parker *p);

/* ---- The same for span.c, called where weft__spanned() --------------------------------------------------------------------- */

void weft__span_spawn(weft_task *t);
void weft__span_begin(struct context *c, weft_task *t);
void weft__span_end(struct context *c);
void weft__span_back(struct context *c, weft_task *outer);
void weft__span_arm(struct context *c);
void weft__span_leave(struct context *c);
void weft__span_resume(struct context *c);
void weft__span_wake(struct parker *p);

/* ---- Called where weft__spanned(), in the name of the running task; nothing on a plain thread ------------------------- */

/* It goes on after t has ended. */
void weft__span_joined(const weft_task *t);

/* It goes on after all members of s have ended. */
void weft__span_closed(const struct scope *s);

/* It goes on after p has parked, which it has claimed. */
void weft__span_met(const struct parker *p);

/* It makes something known that stays known; it goes on because of that. */
void weft__span_note(const void *object);
void weft__span_seen(const void *object);

/* For those who keep marks of their own (channel_span.c).  Where it is, and where p was when it parked; it goes on after m; the
 * later of two, one of them by a step to another worker. */
struct mark weft__span_here(void);
struct mark weft__span_parked(const struct parker *p);
void weft__span_after(struct mark m);
struct mark weft__span_later(struct mark m, struct mark other);

/* Which run of the scheduler it is, of those that were counted. */
uint64_t weft__span_run(void);

/* Has the caller's strand been running for so long that another worker would have stolen something by now? */
bool weft__span_hungry(void);

/* w's thread begins, or has slept: that is no strand's time. */
void weft__span_awake(struct worker *w);

/* ---- For those who start and stop --------------------------------------------------------------------------------------- */

/* Somebody begins to watch, or no longer does. */
void weft__watch_set(unsigned who, bool on);

/* Begins to count; burden: of a step to another worker, in nanoseconds.  Before there are workers. */
void weft__span_start(int64_t burden);

/* Ends, and says on stderr what came out.  When there are no workers any more. */
void weft__span_stop(void);

/* Nanoseconds: the work, the span and the burdened span of this run, or of the last that was counted; 0: none was.
 * Async-signal-safe.  workers: there are any, and they stay meanwhile. */
struct span_result {
    int64_t work, span, burdened;
};
struct span_result weft__span_result(bool workers);

/* For tests, which count time themselves: the clock, above 1, and the burden in its ticks.  By the root task, first. */
void weft__span_pretend(uint64_t (*clock)(void), uint64_t burden);

/* The same as the result, in ticks. */
struct span_ticks {
    uint64_t work;
    struct mark longest;
};
struct span_ticks weft__span_ticks(void);

#endif
