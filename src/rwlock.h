/* rwlock.h - what rwlock.c offers to the files beside it.  [layer 5]
 *
 * The essay is in rwlock.c. */
#ifndef WEFT_SRC_RWLOCK_H
#define WEFT_SRC_RWLOCK_H

#include "list.h"
#include "wordlock.h"

#include <weft/rwlock.h>

enum {
    RWLOCK_QUEUED = 2,
    RWLOCK_WRITER = 4,
    RWLOCK_READER = 8,
    RWLOCK_FLAGS = WORD_LOCKED | RWLOCK_QUEUED | RWLOCK_WRITER
};

struct rwlock {
    _Atomic uint64_t word; /* the writer and WRITER, or the number of readers times READER; and flags */
    struct list waiters;   /* under the lock of the word */
};

_Static_assert(sizeof(struct rwlock) == sizeof(weft_rwlock), "weft_rwlock has room for it");

/* The names of what its waiters wait for, in the parkers whose object is `waiters`. */
extern const char weft__rwlock_read_reason[], weft__rwlock_write_reason[];

#endif
