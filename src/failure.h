/* failure.h - why a task failed: the text and the backtrace of weft_fail, and how a failure is reported.  [layer 3] */
#ifndef WEFT_SRC_FAILURE_H
#define WEFT_SRC_FAILURE_H

#include "task.h"

/* Prints `Unhandled Task ERROR: ...`, as one write to stderr, once per task.  code: how t has failed, or is about to. */
void weft__failure_print(weft_task *t, int code);

/* A failure that nobody looked at: the configured handler, or prints it. */
void weft__failure_unhandled(weft_task *t);

/* Reports misuse: the configured handler; without one prints and aborts. */
void weft__misuse(const char *what);

/* What weft__failure_unhandled and weft__misuse call; NULL: the defaults. */
void weft__failure_handlers(void (*on_unhandled)(weft_task *, int), void (*on_misuse)(const char *));

#endif
