/* members.h - members of scopes, beyond the counting on the fast paths (scope.h).  [layer 4] */
#ifndef WEFT_SRC_MEMBERS_H
#define WEFT_SRC_MEMBERS_H

#include "scope.h"
#include "task.h"

/* The outermost task of c, a member of s, has ended; nothing of c is a part of s any more. */
void weft__scope_depart(struct scope *s, struct context *c);

/* The caller, who opened s, waits until it has no members (and is not pinned).  Codes as for waits. */
int weft__scope_await(struct scope *s, struct context *c, const char *reason, bool cancellable, weft_time deadline);

/* The first error of s. */
void weft__scope_failed(struct scope *s, int code);

/* Waits until one more may be spawned, and counts it.  WEFT_ECANCELED: it was not. */
int weft__scope_admit(struct scope *s, struct context *c);

void weft__scope_relimit(struct scope *s, size_t n);

#endif
