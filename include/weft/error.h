/* error.h - the codes that Weft's functions return, their texts, and how a task says why it failed.
 *
 * Threads.   Callable from everywhere.
 * Ownership. Texts and names are constants.
 * Errors.    Every code is negative; where errno has a value that means the same, the code is its negation. */
#ifndef WEFT_ERROR_H
#define WEFT_ERROR_H

#include <errno.h>
#include <weft/base.h>

WEFT_BEGIN

/* X(name, value, text): the one list of codes. */
#define WEFT_ERRORS(X)                                                                                                 \
    X(WEFT_EINVAL, -EINVAL, "invalid argument")                                                                        \
    X(WEFT_ENOMEM, -ENOMEM, "out of memory")                                                                           \
    X(WEFT_EAGAIN, -EAGAIN, "not ready")                                                                               \
    X(WEFT_EBUSY, -EBUSY, "busy: not runnable, or already running")                                                    \
    X(WEFT_EPERM, -EPERM, "not the owner")                                                                             \
    X(WEFT_EDEADLK, -EDEADLK, "deadlock: waits for itself")                                                            \
    X(WEFT_ECANCELED, -ECANCELED, "cancelled")                                                                         \
    X(WEFT_ETIMEDOUT, -ETIMEDOUT, "deadline passed")                                                                   \
    X(WEFT_ECHILD, -ECHILD, "the task failed or was cancelled")                                                        \
    X(WEFT_ECLOSED, -EPIPE, "channel is closed")                                                                       \
    X(WEFT_ENOENT, -ENOENT, "none left")                                                                               \
    X(WEFT_EOVERFLOW, -EOVERFLOW, "count out of range")                                                                \
    X(WEFT_ENOTSUP, -ENOTSUP, "not supported here")                                                                    \
    X(WEFT_ESHUTDOWN, -ESHUTDOWN, "the runtime is stopping")

enum weft_error {
#define WEFT_ERROR_ENUM(name, value, text) name = (value),
    WEFT_ERRORS(WEFT_ERROR_ENUM)
#undef WEFT_ERROR_ENUM
};

/* "WEFT_EINVAL" for WEFT_EINVAL; "0" for 0 and above; the system's name or "unknown" for a code that is not Weft's. */
WEFT_API const char *weft_error_name(int code);

/* A short English text for code, without a final stop; for a code that is not Weft's, what the system says of -code. */
WEFT_API const char *weft_error_text(int code);

/* Records why the current task is about to fail, with its backtrace, and returns code:
 *     return weft_fail(WEFT_EINVAL, "row %d: too short", row);
 * The last record counts.  Outside a task nothing is recorded.  A code >= 0 is returned as it is, unrecorded.
 * If there is no memory for the record, the failure keeps its code and loses its text. */
WEFT_API int weft_fail(int code, const char *fmt, ...) WEFT_PRINTF(2, 3);

WEFT_END
#endif
