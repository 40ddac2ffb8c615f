/* event.h - something has happened: whoever waits for it goes on, now or when it comes to wait.
 *
 * An event is set or not.  One of the ordinary kind, once notified, stays set until weft_event_reset, and lets everybody
 * through; one that resets itself lets one caller through for each time that it is set.
 *
 *     static weft_event ready = WEFT_EVENT_INIT;
 *
 * Threads.   Every function may be called from tasks and from plain threads, on one event at the same time.
 * Ownership. In the caller's memory; valid when zeroed, which is WEFT_EVENT_INIT; needs no destruction.  It must not be moved
 *            while somebody waits.  It may be freed as soon as a wait has returned 0, also by the waiter, also if the call of
 *            weft_event_notify that let it through has not returned yet: that does not touch the event any more.  After a
 *            wait that returned another code a notifier may still be on its way: that is for the program to know.
 * Ordering.  A notify happens before the return of each wait that it lets through; so does every notify that was made while
 *            the event was set already.  Who resets a set event and then looks around sees what came before its notify.
 * Fairness.  Waiters go on in the order in which they came.  Nobody overtakes them: an event that resets itself is not set
 *            while somebody waits, it is handed to the oldest.
 * Errors.    With any negative code the wait did not happen: it consumed nothing. */
#ifndef WEFT_EVENT_H
#define WEFT_EVENT_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN

typedef struct weft_event {
    uint64_t opaque[3];
} weft_event;

/* clang-format off */
/* Not set, and stays set once it has been notified. */
#define WEFT_EVENT_INIT {{0, 0, 0}}

/* Not set, and resets itself with each wait that it lets through. */
#define WEFT_EVENT_AUTORESET_INIT {{8, 0, 0}}
/* clang-format on */

/* Sets the event; never parks.  Ordinary: wakes everybody who waits at that moment; they return 0 even if the event is reset
 * before they have come to run.  Resetting itself: wakes exactly the oldest waiter, and is not set then; without a waiter
 * it is set.  An event that is set already stays so: two notifies without a wait between them are one. */
WEFT_API void weft_event_notify(weft_event *e);

/* Makes the event not set; never parks. */
WEFT_API void weft_event_reset(weft_event *e);

/* Returns 0 at once if the event is set, and resets one that resets itself; else parks until it is notified.      [C]
 *   WEFT_ECANCELED the caller's scope was cancelled
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   (_until) */
WEFT_API WEFT_MUSTUSE int weft_event_wait(weft_event *e);
WEFT_API WEFT_MUSTUSE int weft_event_wait_until(weft_event *e, weft_time deadline);

/* Whether the event is set: the answer of a moment.  If true, what came before the notify happens before the return. */
WEFT_API bool weft_event_isset(const weft_event *e);

WEFT_END
#endif
