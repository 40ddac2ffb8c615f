/* condition.h - waiting, with a mutex given back, until somebody says that something has changed.
 *
 *     weft_mutex_lock(&m);
 *     while (!ready) rc = weft_condition_wait(&c, &m, NULL);        lock, look, wait: again and again
 *     weft_mutex_unlock(&m);
 *
 * A notification reaches those who wait at that moment, and is not remembered.  It carries a value, or an error code.  Nobody
 * is woken without one; but between the notification and the return from the wait others may own the mutex, so what
 * was true then must be looked at again.
 *
 * Threads.   Every function may be called from tasks and from plain threads.
 * Ownership. The memory is the caller's; valid when zeroed.  It may be given back once everybody who waited has been
 *            notified or has returned.  Those who wait at the same time wait with the same mutex.
 * Ordering.  A notification happens before the return of the waits that it ends; everything under the mutex as usual.
 * Fairness.  First in, first out, but for weft_condition_wait_first.  Who is notified goes on to wait for the mutex, at
 *            the end of its queue, in the same order: nobody wakes only to wait again.
 * Errors.    The mutex is locked again, as often as before, when a wait returns, whatever it returns. */
#ifndef WEFT_CONDITION_H
#define WEFT_CONDITION_H

#include <weft/mutex.h>

WEFT_BEGIN

typedef struct weft_condition {
    uint64_t opaque[3];
} weft_condition;

enum {
    WEFT_ONE = 1, /* whoever has waited longest */
    WEFT_ALL = 2  /* everybody who waits */
};

/* Unlocks m altogether and parks until notified, as one step; locks it again.  *value, unless value is NULL, receives what the
 * notifier sent.  The first forms go before all who wait already.                                               [C]
 *   negative       the code of weft_condition_notify_error
 *   WEFT_EPERM     the caller does not own m
 *   WEFT_EINVAL    others wait on c with another mutex
 *   WEFT_ECANCELED the caller's scope was cancelled, and no notification was used up
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   (_until) nobody notified it in time; likewise */
WEFT_API WEFT_MUSTUSE int weft_condition_wait(weft_condition *c, weft_mutex *m, void **value);
WEFT_API WEFT_MUSTUSE int weft_condition_wait_until(weft_condition *c, weft_mutex *m, void **value, weft_time deadline);
WEFT_API WEFT_MUSTUSE int weft_condition_wait_first(weft_condition *c, weft_mutex *m, void **value);
WEFT_API WEFT_MUSTUSE int weft_condition_wait_first_until(weft_condition *c, weft_mutex *m, void **value,
                                                          weft_time deadline);

/* Ends the wait of one, or of all, with value.  Returns how many: those whose deadline or cancellation came first do
 * not count.  Never parks.
 *   WEFT_EPERM   the caller does not own the mutex that they wait with
 *   WEFT_EINVAL  flags is neither WEFT_ONE nor WEFT_ALL */
WEFT_API int weft_condition_notify(weft_condition *c, void *value, unsigned flags);

/* The same, but their waits return code, which must be negative (else WEFT_EINVAL). */
WEFT_API int weft_condition_notify_error(weft_condition *c, int code, unsigned flags);

WEFT_END
#endif
