/* trace.h - what each worker did, for the file of weft_trace_start.  [layer 4]
 *
 * The essay is in trace.c; what is written of it, in trace_events.c. */
#ifndef WEFT_SRC_TRACE_H
#define WEFT_SRC_TRACE_H

#include "scheduler.h"

enum {
    TRACK_TEXT = 64 * 1024,       /* bytes */
    TRACK_BATCH_MOST = 16 * 1024, /* of the events that belong together */
    TRACK_BODIES = 64,            /* what the bodies of tasks are called: some that came last */
    TRACK_BODY_NAME = 64
};

struct track_body {
    weft_fn *fn;
    char name[TRACK_BODY_NAME];
};

/* What a worker has seen, and nobody has written yet. */
struct track {
    pthread_mutex_t lock;  /* guards the rest: the worker takes it for each event, weft_trace_stop at the end */
    struct list_node node; /* but this: in trace.c's list, under its lock */
    uint32_t trace;        /* which one this belongs to; 0: none */
    int worker;
    int open;           /* slices that have begun and not ended */
    const char *parks;  /* the running context begins a park, and for this reason; NULL: it does not */
    int64_t queued;     /* the counter's last value */
    uint64_t events;    /* in text */
    uint32_t used;      /* of text, */
    uint32_t head_used; /* and of head */
    char head[64];      /* what each event has: process and thread */
    struct track_body bodies[TRACK_BODIES];
    char text[TRACK_TEXT];
};

/* w's track, locked and with room for what happens at one time; NULL: nothing is traced, or it must be left out, and has been
 * counted. */
struct track *weft__trace_lock(struct worker *w);
void weft__trace_unlock(struct track *k);

/* The same for more; true: that took time. */
bool weft__trace_room(struct track *k);

/* trace_events.c, for trace.c: k is empty, and begins. */
void weft__trace_open(struct track *k, int pid);

/* Ends what is open. */
void weft__trace_close(struct track *k);

/* From one reading of the clock to now k's text was written. */
void weft__trace_wrote(struct track *k, int64_t since);

/* The first and the last events of a file: their length. */
size_t weft__trace_first(char *text, size_t size, int pid);
size_t weft__trace_last(char *text, size_t size, int pid, uint64_t dropped);

/* w, which has left its thread, is about to be freed. */
void weft__trace_retire(struct worker *w);

/* All workers have been: the file is whole. */
void weft__trace_pause(void);

/* ---- What happened: called where weft__traced() ------------------------------------------------------------------------ */

/* t is about to be scheduled by the caller. */
void weft__trace_spawn(weft_task *t);

/* t begins on c: as its outermost task, or on top of others. */
void weft__trace_begin(struct context *c, const weft_task *t);

/* The body of t, c's innermost task, has returned code. */
void weft__trace_end(struct context *c, const weft_task *t, int code);

/* outer, below which it was, goes on. */
void weft__trace_back(struct context *c, const weft_task *outer);

/* c begins a park. */
void weft__trace_arm(struct context *c);

/* c is about to look for something else to run: parked, or because it yields. */
void weft__trace_leave(struct context *c);

/* c goes on, or has not parked after all. */
void weft__trace_resume(struct context *c);

/* The caller, who has claimed p, a context's, lets it go on. */
void weft__trace_wake(struct parker *p);

/* w, which runs no context, searches or sleeps from now on; NULL: no longer. */
void weft__trace_idle(struct worker *w, const char *what);

/* w has stolen something. */
void weft__trace_steal(struct worker *w, const struct worker *from);

#endif
