/* watch.c - the places of watch.h: whoever watches is told.  [layer 4] */
#include "scheduler.h"
#include "trace.h"

_Atomic unsigned weft__watch;

void
weft__watch_set(unsigned who, bool on)
{
    if (on) or_acq_rel(&weft__watch, who); /* who else changes it keeps his bit */
    else and_acq_rel(&weft__watch, ~who);  /* as above */
    struct worker *w = weft__worker();
    if (w) weft__watch_look(w);
}

void
weft__watch_spawn(weft_task *t)
{
    if (weft__spanned()) weft__span_spawn(t);
    if (weft__traced()) weft__trace_spawn(t);
}

void
weft__watch_begin(struct context *c, weft_task *t)
{
    if (weft__spanned()) weft__span_begin(c, t);
    if (weft__traced()) weft__trace_begin(c, t);
}

void
weft__watch_end(struct context *c, weft_task *t, int code)
{
    if (weft__spanned()) weft__span_end(c);
    if (weft__traced()) weft__trace_end(c, t, code);
}

void
weft__watch_back(struct context *c, weft_task *outer)
{
    if (weft__traced()) weft__trace_back(c, outer);
    if (weft__spanned()) weft__span_back(c, outer);
}

void
weft__watch_arm(struct context *c)
{
    if (weft__spanned()) weft__span_arm(c);
    if (weft__traced()) weft__trace_arm(c);
}

void
weft__watch_leave(struct context *c)
{
    if (weft__spanned()) weft__span_leave(c);
    if (weft__traced()) weft__trace_leave(c);
}

void
weft__watch_resume(struct context *c)
{
    if (weft__traced()) weft__trace_resume(c);
    if (weft__spanned()) weft__span_resume(c);
}

void
weft__watch_wake(struct parker *p)
{
    if (weft__spanned()) weft__span_wake(p);
    if (weft__traced()) weft__trace_wake(p);
}
