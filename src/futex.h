/* futex.h - sleeping in the kernel until a word changes.  [layer 1] */
#ifndef WEFT_SRC_FUTEX_H
#define WEFT_SRC_FUTEX_H

#include "atomic.h"

/* Sleeps while *word is value, at most until the monotonic time deadline (INT64_MAX: no limit).  May return early for
 * no reason: the caller looks at its own condition again.  errno is kept. */
void weft__futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline);

/* Wakes up to count sleepers of word.  The word's memory may be gone by then: that wakes nobody.  errno is kept. */
void weft__futex_wake(_Atomic uint32_t *word, int count);

#endif
