/*
 * channel.c - values from putters to takers, first in, first out.  [layer 5]
 *
 * One lock, held for a few loads and a copy.  Three lists of waiters: takers (and fetchers, in one queue, in the order
 * in which they came), putters, and watchers (weft_channel_wait).  A buffered channel keeps its elements in a ring.
 *
 * Invariants, whenever the lock is free:
 *
 *   1  nobody is parked whose turn it is: takers wait only while there is no element and no putter, putters only while the ring
 *      is full, watchers only while there is neither element nor putter
 *   2  in a closed channel nobody is parked
 *   3  avail = elements in the ring + parked putters
 *
 * Hand-off.  A put gives its value to the oldest taker directly; fetchers in front of that taker get a copy first.  A
 * take that makes room moves the oldest putter's value into the ring.  So a value or a place belongs to whoever waited
 * for it, and nobody who comes later can be faster: there is no barging, and whoever is woken never has to wait again.
 *
 * A waiter that lost its park to a deadline or a cancellation is still in its list until it withdraws, under the lock;
 * whoever meets it there fails to claim it, and goes on to the next.  Such a putter counts in avail until then.
 *
 * Wakes happen after the lock is released: claimed waiters stay alive until they are woken (waiter.h).
 *
 * Rejected.  A ring with a sequence number per slot: two locked instructions for a put and a take, as with the lock,
 * and hand-off, batches, fetch and close need the lock all the same.
 *
 * Checked.  tests/test_channel*.c, tests/stress_channel.c; as a case of a select (channel_select.h) tests/test_select*.c.
 */
#include "channel.h"
#include "channel_span.h"
#include "failure.h"
#include "hook.h"
#include "scheduler.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_PLACES = 16 };

int
weft_channel_new(weft_channel **out, size_t elem_size, size_t capacity)
{
    size_t size;
    if (!out) return WEFT_EINVAL;
    if (capacity != WEFT_UNBOUNDED && __builtin_mul_overflow(elem_size, capacity, &size)) return WEFT_EINVAL;
    weft_channel *c = weft__hook_fail() ? NULL : calloc(1, sizeof *c);
    if (!c) return WEFT_ENOMEM;
    c->ring.elem_size = elem_size;
    c->capacity = capacity;
    store_relaxed(&c->refs, 1); /* relaxed: nobody knows it yet */
    if (!weft__ring_reserve(&c->ring, capacity == WEFT_UNBOUNDED ? FIRST_PLACES : capacity)) {
        free(c);
        return WEFT_ENOMEM;
    }
    *out = c;
    return 0;
}

void
weft_channel_retain(weft_channel *c)
{
    if (c) add_relaxed(&c->refs, 1); /* relaxed: the caller's own reference orders it */
}

void
weft_channel_release(weft_channel *c)
{
    if (!c || sub_acq_rel(&c->refs, 1) != 1) return; /* acq_rel: the last one sees what the others did */
    if (!weft__list_empty(&c->takers) || !weft__list_empty(&c->putters) || !weft__list_empty(&c->watchers)) {
        weft__misuse("the last reference to a channel was released while a task is parked on it: close it first");
        return;
    }
    weft__channel_span_free(c);
    free(c->ring.slots);
    free(c);
}

/* Offers value to those who are parked: fetchers get copies until a taker takes it.  Returns the claimed taker, or
 * NULL if nobody took it. */
static struct waiter *
offer(weft_channel *c, const void *value, struct list *ready)
{
    struct waiter *w;
    while ((w = weft__waiter_claim_first(&c->takers))) {
        if (w->slot) weft__ring_copy(w->slot, value, c->ring.elem_size);
        w->code = 0;
        if (w->count == TAKER && weft__spanned()) weft__channel_span_give(c, w);
        if (w->count == TAKER) return w;
        weft__list_append(ready, &w->node);
    }
    return NULL;
}

/* Moves values of parked putters into the ring while there is room.  Those that are done with are claimed, and go to
 * ready. All but the last value of a batch need no claim: the batch is in the list, so its putter waits for this lock
 * to leave. */
static inline void
admit(weft_channel *c, struct list *ready)
{
    while (weft__ring_has_room(&c->ring) && !weft__list_empty(&c->putters)) {
        struct waiter *w = weft__container(c->putters.head, struct waiter, node);
        for (; w->count > 1 && weft__ring_has_room(&c->ring); w->count--) {
            weft__ring_put(&c->ring, w->slot);
            w->slot = weft__ring_element(&c->ring, w->slot, 1);
            weft__avail_add(c, 1); /* the putter goes on waiting */
            if (weft__spanned()) weft__channel_span_admit(c, w);
        }
        if (!weft__ring_has_room(&c->ring)) return;
        weft__list_remove(&c->putters, &w->node);
        if (!weft__park_claim(w->parker, w->ticket)) continue;
        weft__ring_put(&c->ring, w->slot); /* avail stays: a parked putter less, an element more */
        if (weft__spanned()) weft__channel_span_admit(c, w);
        w->count = 0;
        w->code = 0;
        weft__list_append(ready, &w->node);
    }
}

/* Takes the oldest putter's value directly: a rendezvous.  false: there is none. */
static inline bool
take_from_putter(weft_channel *c, void *value, struct list *ready)
{
    while (!weft__list_empty(&c->putters)) {
        struct waiter *w = weft__container(c->putters.head, struct waiter, node);
        if (w->count > 1) {
            weft__ring_copy(value, w->slot, value ? c->ring.elem_size : 0);
            w->slot = weft__ring_element(&c->ring, w->slot, 1);
            w->count--;
            if (weft__spanned()) weft__span_met(w->parker);
            return true;
        }
        weft__list_remove(&c->putters, &w->node);
        if (!weft__park_claim(w->parker, w->ticket)) continue;
        weft__ring_copy(value, w->slot, value ? c->ring.elem_size : 0);
        weft__avail_sub(c, 1);
        if (weft__spanned()) weft__span_met(w->parker);
        w->count = 0;
        w->code = 0;
        weft__list_append(ready, &w->node);
        return true;
    }
    return false;
}

/* The caller did not have to wait. */
static inline void
spend(struct context *c, weft_time deadline)
{
    if (deadline != WEFT_NOW) weft__sched_spend(c, COST_CHANNEL);
}

/* A blocking operation of the calling task or thread. */
struct operation {
    struct wait wait;
    struct waiter registration;
    struct context *context;
};

/* Registers the caller, who holds the lock, in list. */
static inline void
register_in(struct operation *op, struct list *list, const char *reason, size_t count, const void *slot)
{
    weft__wait_begin(&op->wait, op->context, reason, true);
    weft__wait_register(&op->wait, &op->registration, list, 0, (void *)(uintptr_t)slot);
    op->registration.count = count;
}

/* Parks the registered caller; withdraws it if a deadline or a cancellation woke it.  counted: what it adds to avail. */
static int
park_in(weft_channel *c, struct operation *op, struct list *list, weft_time deadline, size_t counted)
{
    int rc = weft__wait_park(&op->wait, deadline);
    if (weft__wait_interrupted(&op->wait)) {
        weft__acquire(&c->lock);
        weft__wait_withdraw(&op->registration, list);
        weft__avail_sub(c, counted);
        weft__unlock(&c->lock);
    }
    return rc;
}

int
weft__channel_put_some(weft_channel *c, const char *values, size_t n, size_t *done, struct list *ready)
{
    size_t k = 0;
    for (struct waiter *w; k < n && (w = offer(c, weft__ring_element(&c->ring, values, k), ready)); k++)
        weft__list_append(ready, &w->node);
    while (k < n && c->capacity > 0) {
        if (!weft__ring_has_room(&c->ring) && c->capacity == WEFT_UNBOUNDED &&
            !weft__ring_reserve(&c->ring, 2 * c->ring.places)) {
            *done += k;
            return WEFT_ENOMEM;
        }
        size_t room = c->ring.places - c->ring.count, part = room < n - k ? room : n - k;
        if (part == 0) break;
        weft__ring_write(&c->ring, weft__ring_element(&c->ring, values, k), part);
        weft__avail_add(c, part);
        if (weft__spanned()) weft__channel_span_put(c, part);
        k += part;
        weft__claim_watchers(c, ready);
    }
    *done += k;
    return 0;
}

/* Puts n values, parking as needed.  Under the lock, which it releases. */
static weft__noinline int
put_locked(weft_channel *c, struct context *context, const void *values, size_t n, size_t *put, weft_time deadline)
{
    struct operation op;
    struct list ready = {NULL, NULL};
    op.context = context;
    int rc = load_relaxed(&c->code); /* relaxed: under the lock */
    if (rc == 0) rc = weft__channel_put_some(c, values, n, put, &ready);
    bool park = rc == 0 && *put < n && deadline != WEFT_NOW;
    if (park) {
        register_in(&op, &c->putters, "channel put", n - *put, weft__ring_element(&c->ring, values, *put));
        weft__avail_add(c, 1);
        weft__claim_watchers(c, &ready);
    }
    weft__unlock(&c->lock);
    weft__waiter_wake_all(&ready);
    if (!park) {
        spend(context, deadline);
        return rc < 0 || *put == n ? rc : WEFT_EAGAIN;
    }
    rc = park_in(c, &op, &c->putters, deadline, 1);
    *put = n - op.registration.count;
    return rc;
}

int
weft_channel_put_n_until(weft_channel *c, const void *values, size_t n, size_t *done, weft_time deadline)
{
    struct context *context = weft__context_fast();
    size_t mine, *put = done ? done : &mine;
    *put = 0;
    if (weft__cancelled(context)) return WEFT_ECANCELED;
    weft__acquire(&c->lock);
    return put_locked(c, context, values, n, put, deadline);
}

int
weft_channel_put_n(weft_channel *c, const void *values, size_t n, size_t *done)
{
    return weft_channel_put_n_until(c, values, n, done, WEFT_FOREVER);
}

/* Parks the putter of one value, for whom there is no room.  Under the lock, which it releases. */
static weft__noinline int
put_parked(weft_channel *c, struct context *context, const void *value, weft_time deadline)
{
    struct operation op;
    struct list ready = {NULL, NULL};
    op.context = context;
    register_in(&op, &c->putters, "channel put", 1, value);
    weft__avail_add(c, 1);
    if (weft__unlikely(!weft__list_empty(&c->watchers))) weft__claim_watchers(c, &ready);
    weft__unlock(&c->lock);
    if (weft__unlikely(!weft__list_empty(&ready))) weft__waiter_wake_all(&ready);
    return park_in(c, &op, &c->putters, deadline, 1);
}

int
weft_channel_put_until(weft_channel *c, const void *value, weft_time deadline)
{
    struct context *context = weft__context_fast();
    size_t put = 0;
    if (weft__cancelled(context)) return WEFT_ECANCELED;
    weft__acquire(&c->lock);
    if (weft__unlikely(load_relaxed(&c->code))) { /* relaxed: under the lock */
        return put_locked(c, context, value, 1, &put, deadline);
    }
    if (!weft__list_empty(&c->takers)) { /* to the oldest of them directly */
        struct waiter *w = weft__claim_taker(c);
        if (weft__unlikely(!w)) return put_locked(c, context, value, 1, &put, deadline);
        if (w->slot) weft__ring_copy(w->slot, value, c->ring.elem_size);
        if (weft__spanned()) weft__channel_span_give(c, w);
        weft__unlock(&c->lock);
        weft__waiter_wake(w, 0, false);
    } else if (weft__ring_has_room(&c->ring) && weft__list_empty(&c->watchers)) {
        weft__ring_put(&c->ring, value);
        weft__avail_add(c, 1);
        if (weft__spanned()) weft__channel_span_put(c, 1);
        weft__unlock(&c->lock);
    } else if (!weft__ring_has_room(&c->ring) && c->capacity != WEFT_UNBOUNDED && deadline != WEFT_NOW) {
        return put_parked(c, context, value, deadline);
    } else {
        return put_locked(c, context, value, 1, &put, deadline);
    }
    spend(context, deadline);
    return 0;
}

int
weft_channel_put(weft_channel *c, const void *value)
{
    return weft_channel_put_until(c, value, WEFT_FOREVER);
}

size_t
weft__channel_take_some(weft_channel *c, char *values, size_t max, struct list *ready)
{
    size_t k = 0;
    while (k < max && c->ring.count > 0) {
        size_t part = c->ring.count < max - k ? c->ring.count : max - k;
        weft__ring_read(&c->ring, weft__ring_element(&c->ring, values, k), part);
        weft__avail_sub(c, part);
        if (weft__spanned()) weft__channel_span_take(c, part);
        k += part;
        admit(c, ready);
    }
    while (k < max && c->capacity == 0 && take_from_putter(c, weft__ring_element(&c->ring, values, k), ready)) k++;
    return k;
}

/* Takes up to max values, parking if there is none.  Under the lock, which it releases. */
static weft__noinline int
take_locked(weft_channel *c, struct context *context, void *values, size_t max, size_t *taken, weft_time deadline)
{
    struct operation op;
    struct list ready = {NULL, NULL};
    op.context = context;
    *taken = weft__channel_take_some(c, values, max, &ready);
    int rc = *taken ? 0 : load_relaxed(&c->code); /* relaxed: under the lock */
    bool park = rc == 0 && *taken == 0 && deadline != WEFT_NOW;
    if (park) register_in(&op, &c->takers, "channel take", TAKER, values);
    weft__unlock(&c->lock);
    weft__waiter_wake_all(&ready);
    if (!park) {
        spend(context, deadline);
        return rc < 0 || *taken ? rc : WEFT_EAGAIN;
    }
    rc = park_in(c, &op, &c->takers, deadline, 0);
    if (rc < 0) return rc;
    *taken = 1;
    if (max > 1) { /* what has come since, without waiting */
        weft__acquire(&c->lock);
        *taken += weft__channel_take_some(c, weft__ring_element(&c->ring, values, 1), max - 1, &ready);
        weft__unlock(&c->lock);
        weft__waiter_wake_all(&ready);
    }
    return 0;
}

int
weft_channel_take_n_until(weft_channel *c, void *values, size_t max, size_t *got, weft_time deadline)
{
    struct context *context = weft__context_fast();
    size_t mine, *taken = got ? got : &mine;
    *taken = 0;
    if (weft__cancelled(context)) return WEFT_ECANCELED;
    if (max == 0) return 0;
    weft__acquire(&c->lock);
    return take_locked(c, context, values, max, taken, deadline);
}

int
weft_channel_take_n(weft_channel *c, void *values, size_t max, size_t *got)
{
    return weft_channel_take_n_until(c, values, max, got, WEFT_FOREVER);
}

/* Parks the taker of one value, where there is none.  Under the lock, which it releases. */
static weft__noinline int
take_parked(weft_channel *c, struct context *context, void *value, weft_time deadline)
{
    struct operation op;
    op.context = context;
    register_in(&op, &c->takers, "channel take", TAKER, value);
    weft__unlock(&c->lock);
    return park_in(c, &op, &c->takers, deadline, 0);
}

int
weft_channel_take_until(weft_channel *c, void *value, weft_time deadline)
{
    struct context *context = weft__context_fast();
    size_t taken = 0;
    if (weft__cancelled(context)) return WEFT_ECANCELED;
    weft__acquire(&c->lock);
    if (weft__list_empty(&c->putters)) {
        if (c->ring.count == 0) {
            bool park = deadline != WEFT_NOW && load_relaxed(&c->code) == 0; /* relaxed: under the lock */
            if (weft__likely(park)) return take_parked(c, context, value, deadline);
            return take_locked(c, context, value, 1, &taken, deadline);
        }
        weft__ring_take(&c->ring, value);
        weft__avail_sub(c, 1);
        if (weft__spanned()) weft__channel_span_take(c, 1);
        weft__unlock(&c->lock);
    } else {
        struct waiter *w = c->capacity == 0 ? weft__claim_putter(c) : NULL; /* else its value goes into the ring */
        if (weft__unlikely(!w)) return take_locked(c, context, value, 1, &taken, deadline);
        if (value) weft__ring_copy(value, w->slot, c->ring.elem_size);
        if (weft__spanned()) weft__span_met(w->parker);
        w->count = 0;
        weft__avail_sub(c, 1);
        weft__unlock(&c->lock);
        weft__waiter_wake(w, 0, false);
    }
    spend(context, deadline);
    return 0;
}

int
weft_channel_take(weft_channel *c, void *value)
{
    return weft_channel_take_until(c, value, WEFT_FOREVER);
}

/* Waits in list until there is something; there: the caller does not need to wait.  Under the lock, which it releases. */
static int
wait_unless(weft_channel *c, struct operation *op, bool there, struct list *list, const char *reason, void *slot,
            weft_time deadline)
{
    int rc = there ? 0 : load_relaxed(&c->code); /* relaxed: under the lock */
    bool park = !there && rc == 0 && deadline != WEFT_NOW;
    if (park) register_in(op, list, reason, FETCHER, slot);
    weft__unlock(&c->lock);
    if (park) return park_in(c, op, list, deadline, 0);
    spend(op->context, deadline);
    return there || rc < 0 ? rc : WEFT_EAGAIN;
}

int
weft_channel_fetch_until(weft_channel *c, void *value, weft_time deadline)
{
    struct operation op = {.context = weft__context_current()};
    if (c->capacity == 0) return WEFT_ENOTSUP;
    if (weft__cancelled(op.context)) return WEFT_ECANCELED;
    weft__acquire(&c->lock);
    bool there = c->ring.count > 0;
    if (there && value) weft__ring_copy(value, weft__ring_oldest(&c->ring), c->ring.elem_size);
    if (there && weft__spanned()) weft__channel_span_look(c);
    return wait_unless(c, &op, there, &c->takers, "channel fetch", value, deadline);
}

int
weft_channel_fetch(weft_channel *c, void *value)
{
    return weft_channel_fetch_until(c, value, WEFT_FOREVER);
}

int
weft_channel_wait_until(weft_channel *c, weft_time deadline)
{
    struct operation op = {.context = weft__context_current()};
    if (weft__cancelled(op.context)) return WEFT_ECANCELED;
    weft__acquire(&c->lock);
    bool there = c->ring.count > 0 || !weft__list_empty(&c->putters);
    if (there && weft__spanned()) weft__channel_span_look(c);
    return wait_unless(c, &op, there, &c->watchers, "channel wait", NULL, deadline);
}

int
weft_channel_wait(weft_channel *c)
{
    return weft_channel_wait_until(c, WEFT_FOREVER);
}

/* Claims everybody in list for code.  Returns how many. */
static size_t
dismiss(struct list *list, int code, struct list *ready)
{
    size_t n = 0;
    for (struct waiter *w; (w = weft__waiter_claim_first(list)); n++) {
        w->code = code;
        weft__list_append(ready, &w->node);
    }
    return n;
}

bool
weft__channel_close(weft_channel *c, int code, bool replace)
{
    struct list ready = {NULL, NULL};
    weft__acquire(&c->lock);
    bool was_open = load_relaxed(&c->code) == 0;            /* relaxed: under the lock */
    if (was_open || replace) store_release(&c->code, code); /* release: pairs with weft_channel_isopen */
    if (was_open) {
        dismiss(&c->takers, code, &ready);
        dismiss(&c->watchers, code, &ready);
        weft__avail_sub(c, dismiss(&c->putters, code, &ready));
    }
    weft__unlock(&c->lock);
    weft__waiter_wake_all(&ready);
    return was_open;
}

bool
weft_channel_close(weft_channel *c, int code)
{
    if (code > 0) {
        weft__misuse("weft_channel_close: the code must be 0 or negative");
        code = WEFT_EINVAL;
    }
    return weft__channel_close(c, code ? code : WEFT_ECLOSED, true);
}

bool
weft_channel_isopen(const weft_channel *c)
{
    return load_acquire(&c->code) == 0; /* acquire: pairs with weft__channel_close */
}

size_t
weft_channel_len(const weft_channel *c)
{
    return load_relaxed(&c->avail); /* relaxed: the answer of a moment; isopen orders what must be */
}

bool
weft_channel_isready(const weft_channel *c)
{
    return weft_channel_len(c) > 0;
}

bool
weft_channel_isempty(const weft_channel *c)
{
    return weft_channel_len(c) == 0;
}

bool
weft_channel_isfull(const weft_channel *c)
{
    return weft_channel_len(c) >= c->capacity;
}

size_t
weft_channel_capacity(const weft_channel *c)
{
    return c->capacity;
}
