/* channel.h - what channel.c offers to the files beside it.  [layer 5] */
#ifndef WEFT_SRC_CHANNEL_H
#define WEFT_SRC_CHANNEL_H

#include <stddef.h>

#include <weft/channel.h>

/* weft_channel_close with a negative code; replace: also the code of a channel that is closed already. */
bool weft__channel_close(weft_channel *c, int code, bool replace);

size_t weft__channel_elem_size(const weft_channel *c);

#endif
