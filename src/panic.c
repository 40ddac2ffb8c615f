/* panic.c - the last words of a process, and the slow path of the lock.  [layer 0] */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "atomic.h"
#include "panic.h"

enum { TEXT = 1024, PAUSES_FIRST = 4, PAUSES_MOST = 128 };

static void
say(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(STDERR_FILENO, text, length);
        if (n <= 0) return;
        text += n;
        length -= (size_t)n;
    }
}

/* Without AddressSanitizer's instrumentation: it may run where that no longer knows which stack is in use. */
_Noreturn __attribute__((no_sanitize("address"))) void
weft__panic(const char *what)
{
    char text[TEXT];
    size_t n = 0;
    for (const char *p = "weft: "; *p; p++) text[n++] = *p;
    for (const char *p = what; *p && n < sizeof text - 1; p++) text[n++] = *p;
    text[n++] = '\n';
    say(text, n);
    abort();
}

void
weft__warn(const char *fmt, ...)
{
    char text[TEXT] = "weft: ";
    va_list args;
    va_start(args, fmt);
    vsnprintf(text + 6, sizeof text - 7, fmt, args);
    va_end(args);
    strcat(text, "\n");
    say(text, strlen(text));
}

/* Backs off ever longer before it looks again: meanwhile the holder can take and release the lock many times with everything
 * in its cache, which serves both better than taking turns. */
void
weft__lock_slow(weft__lock *l)
{
    for (int pauses = PAUSES_FIRST;; pauses *= 2) {
        if (pauses > PAUSES_MOST) {
            sched_yield(); /* the holder may have lost its core */
            pauses = PAUSES_FIRST;
        }
        for (int i = 0; i < pauses; i++) weft__pause();
        /* relaxed: only the trylock takes the lock */
        if (load_relaxed(&l->held) == 0 && weft__trylock(l)) return;
    }
}
