/* clock.h - the monotonic clock.  [layer 1] */
#ifndef WEFT_SRC_CLOCK_H
#define WEFT_SRC_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in nanoseconds; always above 0, so that no reading is WEFT_NOW. */
int64_t weft__clock_now(void);

/* The time ns nanoseconds after now, a reading of the clock: at least 1, which has passed, and WEFT_FOREVER only if the
 * sum is beyond it. */
int64_t weft__clock_add(int64_t now, int64_t ns);

#endif
