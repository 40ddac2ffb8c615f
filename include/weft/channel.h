/* channel.h - first in, first out, between any number of putters and takers.
 *
 * A channel holds elements of one size, up to its capacity.  Capacity 0 is a rendezvous: a value goes from the
 * putter's memory straight to the taker's.  Closing it lets what is buffered be taken, then every call returns the
 * code of the close.
 *
 * Threads.   Every function may be called from tasks and from plain threads, on one channel at the same time.
 * Ownership. Reference counted; elements are copied in and out, and never freed by the channel.
 * Ordering.  A put happens before the take or fetch that returns its value; a take before the put that reuses its place; all
 *            puts before an isopen that returned false.
 * Fairness.  Putters are served in the order in which they came, and so are takers and fetchers.  Nobody overtakes a parked
 *            caller: a value is handed to the oldest taker, a free place to the oldest putter.
 * Errors.    With any negative code the call had no effect, except where put_n and take_n say how far they came. */
#ifndef WEFT_CHANNEL_H
#define WEFT_CHANNEL_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN

typedef struct weft_channel weft_channel;

#define WEFT_UNBOUNDED SIZE_MAX

/* Makes an open channel of elements of elem_size bytes (0 is allowed: then only the count matters), with room for capacity
 * elements.  0: rendezvous.  WEFT_UNBOUNDED: grows as needed.
 *   WEFT_EINVAL  out is NULL, or the sizes overflow
 *   WEFT_ENOMEM  no memory */
WEFT_API WEFT_MUSTUSE int weft_channel_new(weft_channel **out, size_t elem_size, size_t capacity);

/* Makes a channel and a migratable task that runs fn(channel, arg) and is bound to it (weft_channel_bind).
 * *task, unless task is NULL, receives a handle.  Codes as for weft_channel_new and weft_spawn. */
WEFT_API WEFT_MUSTUSE int weft_channel_spawn(weft_channel **out, size_t elem_size, size_t capacity,
                                             int (*fn)(weft_channel *c, void *arg), void *arg, weft_task **task);

/* One reference more, one less.  The last release must find nobody parked on the channel; what is buffered is dropped.
 * NULL is allowed. */
WEFT_API void weft_channel_retain(weft_channel *c);
WEFT_API void weft_channel_release(weft_channel *c);

/* Appends a copy of *value; parks while the channel is full, or without a taker if the capacity is 0.             [C]
 *   WEFT_ECLOSED   closed (or the code it was closed with); nothing was put
 *   WEFT_ECANCELED the caller's scope was cancelled; nothing was put
 *   WEFT_ENOMEM    unbounded, and no memory to grow
 *   WEFT_ETIMEDOUT, WEFT_EAGAIN   (_until) nothing was put */
WEFT_API WEFT_MUSTUSE int weft_channel_put(weft_channel *c, const void *value);
WEFT_API WEFT_MUSTUSE int weft_channel_put_until(weft_channel *c, const void *value, weft_time deadline);

/* Removes the oldest element and stores it in *value (NULL: drops it); parks while there is none.                 [C]
 *   WEFT_ECLOSED   closed and empty (or the code it was closed with)
 *   WEFT_ECANCELED, WEFT_ETIMEDOUT, WEFT_EAGAIN   as above; nothing was taken */
WEFT_API WEFT_MUSTUSE int weft_channel_take(weft_channel *c, void *value);
WEFT_API WEFT_MUSTUSE int weft_channel_take_until(weft_channel *c, void *value, weft_time deadline);

/* Copies the oldest element to *value without removing it; parks while there is none.                             [C]
 *   WEFT_ENOTSUP   the channel is unbuffered; otherwise as for take */
WEFT_API WEFT_MUSTUSE int weft_channel_fetch(weft_channel *c, void *value);
WEFT_API WEFT_MUSTUSE int weft_channel_fetch_until(weft_channel *c, void *value, weft_time deadline);

/* Parks until there is an element, or a putter waits; removes nothing.  Codes as for take.                        [C] */
WEFT_API WEFT_MUSTUSE int weft_channel_wait(weft_channel *c);
WEFT_API WEFT_MUSTUSE int weft_channel_wait_until(weft_channel *c, weft_time deadline);

/* Puts the n elements at values, in order, with one synchronisation for as many as there is room for; parks until all are
 * put.  *done, unless done is NULL, receives the number that was put, also when the call fails.                   [C]
 * Other putters may come between parts of a batch that had to park.  Codes as for put. */
WEFT_API WEFT_MUSTUSE int weft_channel_put_n(weft_channel *c, const void *values, size_t n, size_t *done);
WEFT_API WEFT_MUSTUSE int weft_channel_put_n_until(weft_channel *c, const void *values, size_t n, size_t *done,
                                                   weft_time deadline);

/* Takes what is there, at least one element and at most max, into values; parks only while there is none.
 * *got, unless got is NULL, receives the number; 0 if the call fails.  max 0 returns 0 at once.                   [C]
 * Codes as for take. */
WEFT_API WEFT_MUSTUSE int weft_channel_take_n(weft_channel *c, void *values, size_t max, size_t *got);
WEFT_API WEFT_MUSTUSE int weft_channel_take_n_until(weft_channel *c, void *values, size_t max, size_t *got,
                                                    weft_time deadline);

/* Closes the channel and wakes everybody who is parked on it: takers and fetchers, then waiters, then putters, whose
 * values are not put.  Later calls, once the buffer is drained, return code; 0 stands for WEFT_ECLOSED.  Closing again
 * replaces the code.  Never parks.  Returns whether the channel was open.  A code above 0 is misuse and counts as
 * WEFT_EINVAL. */
WEFT_API bool weft_channel_close(weft_channel *c, int code);

/* Closes c when t ends, if it is still open then: with WEFT_ECLOSED if t completed, with t's code if not.  Several channels
 * may be bound to one task, several tasks to one channel.  If t has ended, c is closed at once.
 * Who polls weft_task_isdone may see that t has ended a moment before c is closed.
 *   WEFT_ENOMEM  no memory; nothing was bound */
WEFT_API WEFT_MUSTUSE int weft_channel_bind(weft_channel *c, weft_task *t);

/* Questions: none parks, none changes anything.  The answers are those of one moment. weft_channel_len is the number
 * of buffered elements and parked putters together; ready means that it is not 0, empty that it is, full that it has
 * reached the capacity (always, if that is 0). */
WEFT_API bool weft_channel_isopen(const weft_channel *c);
WEFT_API bool weft_channel_isready(const weft_channel *c);
WEFT_API bool weft_channel_isempty(const weft_channel *c);
WEFT_API bool weft_channel_isfull(const weft_channel *c);
WEFT_API size_t weft_channel_len(const weft_channel *c);
WEFT_API size_t weft_channel_capacity(const weft_channel *c);

/* Takes from c into the variable var until the channel is closed and drained, or the caller is cancelled:
 *     struct item it;
 *     weft_channel_each(c, it) use(&it); */
#define weft_channel_each(c, var) while (weft_channel_take((c), &(var)) == 0)

WEFT_END
#endif
