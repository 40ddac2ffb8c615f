/* blocking.h - how many blocking calls there may be.  [layer 5] */
#ifndef WEFT_SRC_BLOCKING_H
#define WEFT_SRC_BLOCKING_H

/* Before the workers start: the size of the default limiter. */
void weft__blocking_begin(int most);

#endif
