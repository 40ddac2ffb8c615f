/* select.h - waiting for several things at once, and doing exactly one of them.
 *
 * Each case names an operation: take from a channel, put into one, wait for a task, for an event or
 * for a descriptor.  A select executes
 * exactly one case that can be executed without waiting; if there is none, it parks until there is one.
 *
 *     struct request r;
 *     weft_case cases[] = {WEFT_TAKE(requests, &r), WEFT_EVENT(&stop)};
 *     switch (weft_select(cases, 2, 0)) {
 *     case 0: serve(cases[0].rc, &r); break;
 *     case 1: return 0;
 *     default: return WEFT_ECANCELED;
 *     }
 *
 * Threads.   Every function may be called from tasks and from plain threads, by many on the same objects.
 * Ownership. The array is the caller's; during the call nobody else may use it, afterwards it may be used again, as it is or
 *            changed.  Nothing is allocated, whatever the number of cases.  The caller's references keep channels and tasks
 *            alive, until the select has returned; so must every event be, unless it is the one that ended the select.
 * Ordering.  Of the executed case: as of the operation itself.  Of the others: none.
 * Fairness.  The choice among cases that can be executed is random, each being as likely; with WEFT_BIASED it is the first.
 *            A parked select has a place in the queue of each of its objects, and nobody overtakes it there.
 * Errors.    With any negative result no case was executed, none has had an effect, and no memory behind one was written. */
#ifndef WEFT_SELECT_H
#define WEFT_SELECT_H

#include <weft/base.h>
#include <weft/channel.h>
#include <weft/error.h>
#include <weft/event.h>

WEFT_BEGIN

/* One case.  Made by one of the functions below; all zero, or with a NULL object, it is never executed. */
typedef struct weft_case {
    int rc;   /* of the executed case: what the operation itself would have returned */
    int kind; /* which operation */
    void *object, *value;
    uint64_t opaque[8]; /* during the call: its place in the object's queue */
} weft_case;

/* The kinds. */
enum { WEFT_CASE_TAKE = 1, WEFT_CASE_PUT, WEFT_CASE_DONE, WEFT_CASE_EVENT, WEFT_CASE_READABLE, WEFT_CASE_WRITABLE };

/* For the flags of a select: the first of the cases that can be executed. */
enum { WEFT_BIASED = 1 };

static inline weft_case
weft_case_take(weft_channel *c, void *value)
{
    weft_case k = {0, WEFT_CASE_TAKE, c, value, {0, 0, 0, 0, 0, 0, 0, 0}};
    return k;
}

static inline weft_case
weft_case_put(weft_channel *c, const void *value)
{
    weft_case k = {0, WEFT_CASE_PUT, c, (void *)(uintptr_t)value, {0, 0, 0, 0, 0, 0, 0, 0}};
    return k;
}

static inline weft_case
weft_case_done(weft_task *t)
{
    weft_case k = {0, WEFT_CASE_DONE, t, NULL, {0, 0, 0, 0, 0, 0, 0, 0}};
    return k;
}

static inline weft_case
weft_case_event(weft_event *e)
{
    weft_case k = {0, WEFT_CASE_EVENT, e, NULL, {0, 0, 0, 0, 0, 0, 0, 0}};
    return k;
}

/* fd + 1 in the place of the object: NULL if fd is -1. */
static inline weft_case
weft_case_descriptor(int kind, int fd)
{
    weft_case k = {0, kind, (void *)(intptr_t)(fd < 0 ? 0 : (intptr_t)fd + 1), NULL, {0, 0, 0, 0, 0, 0, 0, 0}};
    return k;
}

/* weft_channel_take(channel, ptr); ptr NULL: drops the value.  *ptr is written only if the case is executed with rc 0.
 *   rc: 0, or the code of a closed channel, once that is drained */
#define WEFT_TAKE(channel, ptr) weft_case_take((channel), (ptr))

/* weft_channel_put(channel, ptr).  *ptr is read during the select, perhaps more than once.
 *   rc: 0, or the code of a closed channel, or WEFT_ENOMEM */
#define WEFT_PUT(channel, ptr) weft_case_put((channel), (ptr))

/* weft_wait(task).
 *   rc: 0, or WEFT_ECHILD if the task failed or was cancelled */
#define WEFT_DONE(task) weft_case_done((task))

/* weft_event_wait(event): an event that resets itself is reset only if the case is executed.
 *   rc: 0 */
#define WEFT_EVENT(event) weft_case_event((event))

/* weft_poll(fd, WEFT_IN, ..) and weft_poll(fd, WEFT_OUT, ..): nothing is read or written.  A negative fd: disabled.  Descriptors
 * are looked at before the other objects, not in the same instant.  A select that was woken by one on which somebody else was
 * faster begins anew, also in the queues of the others; on a plain thread it does so every few milliseconds.
 *   rc: above 0, what fd is ready for; or a negative code of weft_poll */
#define WEFT_READABLE(fd) weft_case_descriptor(WEFT_CASE_READABLE, (fd))
#define WEFT_WRITABLE(fd) weft_case_descriptor(WEFT_CASE_WRITABLE, (fd))

/* Executes exactly one of the n cases, parking until that is possible, and returns its index; cases[index].rc is how it went. [C]
 * With a single case: as the operation itself.  Without any, or with disabled ones only, it waits for the deadline or a
 * cancellation.  WEFT_NOW looks at all the objects in one instant: WEFT_EAGAIN means that there was a moment in which no case
 * could be executed.  The same object may be in several cases; a take and a put in one select never meet each other.
 *   WEFT_EINVAL    cases is NULL and n is not 0, n is above INT_MAX, or a kind or a flag is unknown
 *   WEFT_EDEADLK   the caller is to wait for itself
 *   WEFT_ECANCELED the caller's scope was cancelled
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   (_until) */
WEFT_API WEFT_MUSTUSE int weft_select(weft_case *cases, size_t n, unsigned flags);
WEFT_API WEFT_MUSTUSE int weft_select_until(weft_case *cases, size_t n, unsigned flags, weft_time deadline);

WEFT_END
#endif
