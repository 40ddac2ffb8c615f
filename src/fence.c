/* fence.c - a pair of fences of which the frequent one costs nothing.  [layer 1] */
#include "fence.h"

#include "panic.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/membarrier.h is missing on older systems; the values are part of the kernel's ABI. */
enum { REGISTER_PRIVATE_EXPEDITED = 1 << 4, PRIVATE_EXPEDITED = 1 << 3 };

bool weft__fence_asymmetric;

static bool
membarrier(int command)
{
    int saved = errno;
    long result = syscall(SYS_membarrier, command, 0, 0);
    errno = saved;
    return result == 0;
}

void
weft__fence_init(void)
{
    weft__fence_asymmetric = membarrier(REGISTER_PRIVATE_EXPEDITED);
}

void
weft__fence_heavy(void)
{
    weft__fence();
    if (weft__fence_asymmetric && !membarrier(PRIVATE_EXPEDITED)) {
        /* Registered, so it cannot fail for any reason but a seccomp filter that came later: then the light side of
         * every pair in this process would be unprotected. */
        weft__panic("membarrier(2) worked at start and is refused now: install seccomp filters before Weft starts");
    }
}
