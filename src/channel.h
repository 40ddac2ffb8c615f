/* channel.h - what a channel is, for the files that are about channels.  [layer 5]
 *
 * The invariants are in channel.c. */
#ifndef WEFT_SRC_CHANNEL_H
#define WEFT_SRC_CHANNEL_H

#include "ring.h"
#include "waiter.h"

#include <weft/channel.h>

struct channel_marks;

struct weft_channel {
    weft__lock lock;
    _Atomic int code; /* 0: open; else what it was closed with.  Written under the lock */
    size_t capacity;
    _Atomic size_t avail; /* written under the lock */
    _Atomic uint32_t refs;

    /* Under the lock. */
    struct channel_marks *marks; /* while the span is counted, else NULL: channel_span.c */
    struct ring ring;            /* its places are below capacity only if that is WEFT_UNBOUNDED */
    struct list takers, putters, watchers;
};

/* The count of a registration in takers; in putters it is how many values are left. */
enum { TAKER, FETCHER };

/* avail changes by a few: only under the lock, so a load and a store do. */
static inline void
weft__avail_add(weft_channel *c, size_t n)
{
    store_relaxed(&c->avail, load_relaxed(&c->avail) + n); /* relaxed: answers of a moment */
}

static inline void
weft__avail_sub(weft_channel *c, size_t n)
{
    /* release: who sees that nothing is left sees a close before that; pairs with weft__take_look */
    store_release(&c->avail, load_relaxed(&c->avail) - n);
}

/* All of these under the lock; whoever is claimed goes to ready, to be woken after it. */

/* Claims everybody who waits for there to be something. */
static inline void
weft__claim_watchers(weft_channel *c, struct list *ready)
{
    struct waiter *w;
    while ((w = weft__waiter_claim_first(&c->watchers))) {
        w->code = 0;
        weft__list_append(ready, &w->node);
    }
}

/* The oldest in takers, claimed, if that is a taker and can still be woken; else nothing has changed, but that one who
 * cannot be woken is not in the list any more. */
static inline struct waiter *
weft__claim_taker(weft_channel *c)
{
    struct waiter *w = weft__container(c->takers.head, struct waiter, node);
    if (weft__unlikely(w->count != TAKER)) return NULL;
    weft__list_remove(&c->takers, &w->node);
    return weft__likely(weft__park_claim(w->parker, w->ticket)) ? w : NULL;
}

/* The oldest in putters, claimed, if it has a single value and can still be woken; else as above. */
static inline struct waiter *
weft__claim_putter(weft_channel *c)
{
    struct waiter *w = weft__container(c->putters.head, struct waiter, node);
    if (weft__unlikely(w->count > 1)) return NULL;
    weft__list_remove(&c->putters, &w->node);
    return weft__likely(weft__park_claim(w->parker, w->ticket)) ? w : NULL;
}

/* Puts what can be put of n values without waiting, and adds to *done how many.  WEFT_ENOMEM if it was short of that. */
int weft__channel_put_some(weft_channel *c, const char *values, size_t n, size_t *done, struct list *ready);

/* Takes what is there, up to max. */
size_t weft__channel_take_some(weft_channel *c, char *values, size_t max, struct list *ready);

/* weft_channel_close with a negative code; replace: also the code of a channel that is closed already. */
bool weft__channel_close(weft_channel *c, int code, bool replace);

static inline size_t
weft__channel_elem_size(const weft_channel *c)
{
    return c->ring.elem_size;
}

#endif
