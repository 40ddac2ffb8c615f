/* channel_select.h - channels as cases of a select: what select.c wants to know of them.  [layer 5]
 *
 * A select that is parked with a take and a put on one rendezvous is in takers and in putters at once: the one exception to the
 * first invariant of channel.c.  It meets nobody there but who comes later: whoever comes looks only at the other side's
 * list, and was not registered itself when it looked.
 *
 * A put that is registered counts in avail until it has put or withdraws, as any parked putter does.  So avail may be too high
 * for a moment, but never too low: 0 means that there is nothing to take.
 *
 * Inline, for most cases are channels; the functions are those of struct select_kind. */
#ifndef WEFT_SRC_CHANNEL_SELECT_H
#define WEFT_SRC_CHANNEL_SELECT_H

#include "channel.h"
#include "channel_span.h"
#include "select.h"

static inline void
weft__claimed(struct waiter *w, struct list *ready)
{
    w->code = 0;
    weft__list_append(ready, &w->node);
}

/* First whether it is empty, then whether it is open: a channel that is found open was so when it was found empty. */
static inline enum select_look
weft__take_look(const weft_case *k)
{
    const weft_channel *c = k->object;
    if (load_acquire(&c->avail) > 0) return LOOK_YES; /* acquire: pairs with weft__avail_sub */
    return load_relaxed(&c->code) ? LOOK_YES : LOOK_NO;
}

static inline bool
weft__take_ready(const weft_case *k)
{
    const weft_channel *c = k->object;
    /* relaxed: under the lock */
    return c->ring.count > 0 || (c->capacity == 0 && !weft__list_empty(&c->putters)) || load_relaxed(&c->code);
}

static inline bool
weft__take_execute(weft_case *k, struct list *ready)
{
    weft_channel *c = k->object;
    struct waiter *w;
    k->rc = 0;
    if (weft__list_empty(&c->putters) && c->ring.count > 0) {
        weft__ring_take(&c->ring, k->value);
        weft__avail_sub(c, 1);
        if (weft__spanned()) weft__channel_span_take(c, 1);
    } else if (c->capacity == 0 && !weft__list_empty(&c->putters) && (w = weft__claim_putter(c))) {
        if (k->value) weft__ring_copy(k->value, w->slot, c->ring.elem_size);
        if (weft__spanned()) weft__span_met(w->parker);
        w->count = 0;
        weft__avail_sub(c, 1);
        weft__claimed(w, ready);
    } else if (!weft__channel_take_some(c, k->value, 1, ready)) {
        k->rc = load_relaxed(&c->code); /* relaxed: under the lock */
        return k->rc;
    }
    return true;
}

static inline void
weft__take_enroll(weft_case *k, struct wait *w, uint32_t index)
{
    weft_channel *c = k->object;
    weft__wait_register(w, weft__case_waiter(k), &c->takers, index, k->value);
    weft__case_waiter(k)->count = TAKER;
}

static inline void
weft__take_withdraw(weft_case *k)
{
    weft_channel *c = k->object;
    weft__wait_withdraw(weft__case_waiter(k), &c->takers);
}

/* Whether somebody is parked to take is not to be seen from outside.  Where there is a buffer, nobody is while it is full, and
 * avail is too high only for a moment. */
static inline enum select_look
weft__put_look(const weft_case *k)
{
    const weft_channel *c = k->object;
    /* relaxed: the lock decides */
    return c->capacity == 0 || load_relaxed(&c->avail) < c->capacity || load_relaxed(&c->code) ? LOOK_YES : LOOK_HARDLY;
}

static inline bool
weft__put_ready(const weft_case *k)
{
    const weft_channel *c = k->object;
    return !weft__list_empty(&c->takers) || weft__ring_has_room(&c->ring) || c->capacity == WEFT_UNBOUNDED ||
           load_relaxed(&c->code); /* relaxed: under the lock */
}

static inline bool
weft__put_execute(weft_case *k, struct list *ready)
{
    weft_channel *c = k->object;
    struct waiter *w;
    size_t put = 0;
    k->rc = load_relaxed(&c->code); /* relaxed: under the lock */
    if (weft__unlikely(k->rc)) return true;
    if (weft__list_empty(&c->takers)) {
        if (c->capacity == 0) return false;
    } else if ((w = weft__claim_taker(c))) {
        if (w->slot) weft__ring_copy(w->slot, k->value, c->ring.elem_size);
        if (weft__spanned()) weft__channel_span_give(c, w);
        weft__claimed(w, ready);
        return true;
    }
    k->rc = weft__channel_put_some(c, k->value, 1, &put, ready);
    return put > 0 || k->rc;
}

static inline void
weft__put_enroll(weft_case *k, struct wait *w, uint32_t index, struct list *ready)
{
    weft_channel *c = k->object;
    weft__wait_register(w, weft__case_waiter(k), &c->putters, index, k->value);
    weft__case_waiter(k)->count = 1;
    weft__avail_add(c, 1);
    if (weft__unlikely(!weft__list_empty(&c->watchers))) weft__claim_watchers(c, ready);
}

static inline void
weft__put_withdraw(weft_case *k)
{
    weft_channel *c = k->object;
    weft__wait_withdraw(weft__case_waiter(k), &c->putters);
    weft__avail_sub(c, 1);
}

#endif
