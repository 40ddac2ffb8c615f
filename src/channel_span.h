/* channel_span.h - what channels order, for counting the span (span.c).  [layer 5]
 *
 * All of these where weft__spanned(), under the channel's lock; c: the running context, or NULL, a plain thread. */
#ifndef WEFT_SRC_CHANNEL_SPAN_H
#define WEFT_SRC_CHANNEL_SPAN_H

#include "channel.h"
#include "watch.h"

/* The caller has put n values into the ring, or taken as many from it. */
void weft__channel_span_put(weft_channel *c, size_t n);
void weft__channel_span_take(weft_channel *c, size_t n);

/* The caller has seen the oldest value in the ring. */
void weft__channel_span_look(weft_channel *c);

/* The caller has given its value to w, a taker who was parked, and is claimed. */
void weft__channel_span_give(weft_channel *c, const struct waiter *w);

/* The caller, who has made room, has put a value of w, a parked putter, into the ring. */
void weft__channel_span_admit(weft_channel *c, const struct waiter *w);

void weft__channel_span_free(weft_channel *c);

#endif
