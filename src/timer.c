/* timer.c - sleeping.  [layer 5] */
#include "clock.h"
#include "scheduler.h"
#include "tls.h"
#include "waiter.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

/* Not inlined: its caller switches contexts, and compilers look up once where errno is. */
static weft__noinline int
sleep_thread(weft_time t)
{
    int saved = errno;
    struct timespec until = {.tv_sec = t / WEFT_S, .tv_nsec = t % WEFT_S};
    if (t == WEFT_FOREVER) {
        for (;;) pause();
    }
    while (weft__clock_now() < t) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL); /* EINTR: again */
    errno = saved;
    return 0;
}

int
weft_sleep_until(weft_time t)
{
    struct context *c = weft__context_current();
    struct wait wait;
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    if (t <= weft__clock_now()) {
        weft_yield();
        return 0;
    }
    if (!c && !weft__thread_scope()) return sleep_thread(t);
    weft__wait_begin(&wait, c, "sleep", true);
    int rc = weft__wait_park(&wait, t);
    return rc == WEFT_ETIMEDOUT ? 0 : rc;
}

int
weft_sleep(int64_t ns)
{
    return weft_sleep_until(weft_in(ns));
}

/* The test comes before the look at the clock: what is true when the time is over is no failure. */
int
weft_timedwait(bool (*test)(void *arg), void *arg, int64_t timeout, int64_t poll)
{
    if (poll < WEFT_MS || !test) return WEFT_EINVAL;
    if (weft__cancelled(weft__context_current())) return WEFT_ECANCELED;
    weft_time end = weft_in(timeout);
    bool slept = false;
    while (!test(arg)) {
        if (slept && weft__clock_now() >= end) return WEFT_ETIMEDOUT;
        int rc = weft_sleep(poll);
        if (rc < 0) return rc;
        slept = true;
    }
    return 0;
}
