/* model_opener.h - for models of scopes: who opens and closes them, on the first context, and what is around it. */
#ifndef WEFT_TESTS_MODEL_OPENER_H
#define WEFT_TESTS_MODEL_OPENER_H

#include "model_context.h"

#include "members.h"

#include <weft/error.h>

#include <pthread.h>
#include <stdlib.h>

static struct worker opener;

struct worker *
weft__worker(void)
{
    return *explore_local();
}

struct scope *
weft__thread_scope(void)
{
    return NULL;
}

void
weft__join_members(struct context *c, struct scope *s)
{
    (void)c, (void)s; /* all have started */
}

bool
weft__forked(void)
{
    return false;
}

/* The calling thread is the opener's from here on. */
static inline void
be_opener(void)
{
    *explore_local() = &opener;
}

static inline void
prepare_opener(void)
{
    be_opener();
    opener.context = &contexts[0];
    contexts[0].worker = &opener;
    store_relaxed(&weft__sched.root.deadline, WEFT_FOREVER); /* relaxed: before the threads */
    model_contexts(&weft__sched.root);
}

/* In memory of its own. */
static inline weft_scope *
open_scope(unsigned flags)
{
    weft_scope *s = malloc(sizeof *s);
    weft_scope_open(s, flags, WEFT_FOREVER);
    return s;
}

/* Closes s, and frees it at once. */
static inline int
close_scope(weft_scope *s, int rc)
{
    rc = weft_scope_close(s, rc);
    free(s);
    return rc;
}

#endif
