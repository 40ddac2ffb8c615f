/* clock.c - the monotonic clock, and points in time that are never mistaken for WEFT_NOW or WEFT_FOREVER.  [layer 1] */
#include <time.h>

#include <weft/timer.h>

#include "clock.h"
#include "panic.h"

int64_t
weft__clock_now(void)
{
    struct timespec now;
    weft__check(clock_gettime(CLOCK_MONOTONIC, &now) == 0, "the system has no monotonic clock");
    int64_t ns = (int64_t)now.tv_sec * WEFT_S + now.tv_nsec;
    return ns > 0 ? ns : 1;
}

int64_t
weft__clock_add(int64_t now, int64_t ns)
{
    int64_t time;
    if (__builtin_add_overflow(now, ns, &time)) return ns > 0 ? WEFT_FOREVER : 1;
    if (time == WEFT_FOREVER) return WEFT_FOREVER - 1;
    return time > WEFT_NOW ? time : 1;
}

weft_time
weft_now(void)
{
    return weft__clock_now();
}

weft_time
weft_in(int64_t ns)
{
    return weft__clock_add(weft__clock_now(), ns);
}
