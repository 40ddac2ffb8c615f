/* weft.h - all of Weft: tasks that may block anywhere, on a work-stealing scheduler, with channels.
 *
 * Read in this order: weft/runtime.h (start, workers), weft/task.h (spawn, wait, park), weft/scope.h (groups of tasks,
 * cancellation, deadlines), weft/channel.h, weft/select.h (whichever comes first), weft/mutex.h, weft/condition.h,
 * weft/rwlock.h, weft/event.h, weft/semaphore.h, weft/barrier.h, weft/once.h, weft/local.h (a task's own values),
 * weft/parallel.h (loops), weft/timer.h (time, sleep, tickers), weft/io.h (descriptors, blocking calls),
 * weft/error.h (codes), weft/debug.h (seeing inside).
 *
 * Conventions that hold in every header:
 *   - What can fail returns an int: 0 (or a count, an index >= 0), or a negative WEFT_E... code.  errno is never used.
 *   - A verb that parks has a twin ..._until(..., weft_time deadline): absolute monotonic nanoseconds.
 *     WEFT_NOW makes it a try (WEFT_EAGAIN instead of parking), WEFT_FOREVER is no limit.
 *   - Every function may be called from a task and from any plain thread.  What parks a task blocks a plain thread.
 *   - The runtime starts itself, with the default configuration, at the first call that needs it.
 *   - [C] marks a cancellation point: it checks before it does anything, and again while parked.
 *     WEFT_ECANCELED and WEFT_ETIMEDOUT mean that the operation did not happen.
 *   - A migratable task may continue on another thread after any call that parks: errno, _Thread_local variables,
 *     pthread_self() and locked pthread mutexes must not be carried across one.  Sticky tasks are exempt. */
#ifndef WEFT_H
#define WEFT_H

#include <weft/error.h>
#include <weft/timer.h>
#include <weft/task.h>
#include <weft/scope.h>
#include <weft/runtime.h>
#include <weft/channel.h>
#include <weft/select.h>
#include <weft/mutex.h>
#include <weft/condition.h>
#include <weft/rwlock.h>
#include <weft/event.h>
#include <weft/semaphore.h>
#include <weft/barrier.h>
#include <weft/once.h>
#include <weft/local.h>
#include <weft/parallel.h>
#include <weft/io.h>
#include <weft/debug.h>

#endif
