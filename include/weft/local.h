/* local.h - task-local storage: under one key, each task has a value of its own.
 *
 * Tasks migrate between threads, so _Thread_local variables do not belong to a task; these do.  A child does not inherit its
 * parent's values: what it needs, give it as its argument.  Outside of tasks each plain thread has values of its own.
 *
 * The functions given to weft_both and to loops may run as part of the task that calls those, or as tasks of their own:
 * whose values they see is not to be relied on.
 *
 * Threads.   Keys may be copied, and used from everywhere.
 * Ownership. A key holds nothing, and needs no destruction; a task that has had a value under it has a place for it until the
 *            task ends.  Values are the program's; those that are there when their task or thread ends are given to the
 *            key's destroy function.
 * Errors.    With a negative code nothing was changed. */
#ifndef WEFT_LOCAL_H
#define WEFT_LOCAL_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN

/* The members are not for use.  A zeroed key is none: it has no values. */
typedef struct weft_local {
    uint64_t id;
    void (*destroy)(void *value);
} weft_local;

/* Makes a key that no task has a value under.  destroy, unless it is NULL, is called on each value that is not NULL and that is
 * there when its task ends: after the body, before anybody sees the task as done; or when its thread ends.  It must not
 * park.  It is called in the task, and may use values, and set them: they are destroyed as well, in up to four rounds.
 *   WEFT_EINVAL  key is NULL */
WEFT_API WEFT_MUSTUSE int weft_local_new(weft_local *key, void (*destroy)(void *value));

/* The calling task's value under key; NULL if it has none. */
WEFT_API void *weft_local_get(weft_local key);

/* Sets the calling task's value under key; NULL takes it away.  The value that was there before is not destroyed.
 *   WEFT_EINVAL  key is zeroed
 *   WEFT_ENOMEM  no memory; never when key has had a value in this task, or value is NULL */
WEFT_API int weft_local_set(weft_local key, void *value);

/* Calls body(arg) with that value under key, and puts back what was there before; returns the body's code.
 *   WEFT_EINVAL, WEFT_ENOMEM  as for weft_local_set, or body is NULL; body was not called */
WEFT_API WEFT_MUSTUSE int weft_local_with(weft_local key, void *value, weft_fn *body, void *arg);

WEFT_END
#endif
