/* base.h - attributes and the names that the other headers share.  Not included by itself. */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEFT_BEGIN extern "C" {
#define WEFT_END }
#else
#define WEFT_BEGIN
#define WEFT_END
#endif

#if defined(__GNUC__)
#define WEFT_API __attribute__((visibility("default")))
#define WEFT_MUSTUSE __attribute__((warn_unused_result))
#define WEFT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define WEFT_API
#define WEFT_MUSTUSE
#define WEFT_PRINTF(fmt, args)
#endif

/* A task: what weft_spawn makes (weft/task.h).  Reference counted. */
typedef struct weft_task weft_task;

/* A scope: the group that a task belongs to.  Every task belongs to the runtime's root scope or to one opened below it. */
typedef struct weft_scope weft_scope;

/* The body of a task: returns 0 or more for success, or a negative code: the task failed. */
typedef int weft_fn(void *arg);

/* A point in time, or WEFT_NOW, or WEFT_FOREVER: monotonic nanoseconds (weft/timer.h). */
typedef int64_t weft_time;

#endif
