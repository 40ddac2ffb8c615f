/* futex.c - sleeping in the kernel until a word changes.  [layer 1] */
#include "futex.h"

#include "bits.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Neither is inlined, by link-time optimisation either: their callers switch contexts, and compilers look up once where
 * errno is, as if that were the same afterwards. */
weft__noinline void
weft__futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
    int saved = errno;
    struct timespec limit = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    /* WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC.  EINTR and EAGAIN are early returns like any other. */
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, deadline == INT64_MAX ? NULL : &limit, NULL,
            FUTEX_BITSET_MATCH_ANY);
    errno = saved;
}

weft__noinline void
weft__futex_wake(_Atomic uint32_t *word, int count)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
    errno = saved;
}
