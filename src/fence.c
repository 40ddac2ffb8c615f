/* fence.c - a pair of fences of which the frequent one costs nothing.  [layer 1] */
#include "fence.h"

#include "panic.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/membarrier.h is missing on older systems; the values are part of the kernel's ABI. */
enum { REGISTER_PRIVATE_EXPEDITED = 1 << 4, PRIVATE_EXPEDITED = 1 << 3 };

enum { TRIES = 1000 };

bool weft__fence_asymmetric;
_Atomic bool weft__fence_registered;

/* A negative errno, or what the kernel says. */
static long
membarrier(int command)
{
    int saved = errno;
    long result = syscall(SYS_membarrier, command, 0, 0);
    if (result < 0) result = -errno;
    errno = saved;
    return result;
}

void
weft__fence_init(void)
{
    weft__fence_asymmetric = membarrier(REGISTER_PRIVATE_EXPEDITED) == 0;
    store_relaxed(&weft__fence_registered,
                  weft__fence_asymmetric); /* relaxed, as where it is read: the fences order it */
    weft__fence();
}

/* ENOMEM: the kernel had no room for a set of processors (since Linux 5.4 it says so), which passes.  There is no other way
 * meanwhile: without this side the light side of every pair in this process would be unprotected. */
void
weft__fence_heavy(void)
{
    long result = 0;
    weft__fence();
    if (!load_relaxed(&weft__fence_registered)) return; /* relaxed: see fence.h */
    for (int tries = 0; (result = membarrier(PRIVATE_EXPEDITED)) == -ENOMEM && tries < TRIES; tries++) sched_yield();
    if (result == -ENOMEM) weft__panic("membarrier(2): the kernel is out of memory, and stays so");
    /* Registered, so any other error comes from a seccomp filter that came later. */
    if (result < 0)
        weft__panic("membarrier(2) worked at start and is refused now: install seccomp filters before Weft starts");
}
