/* panic.h - the two grades of check, and the only abort.  [layer 0]
 *
 * weft__check is always on: misuse and corruption, with a constant text that says what to do.  weft__assert is for
 * debug and hard builds (WEFT_DEBUG): what must hold if the code is right. */
#ifndef WEFT_SRC_PANIC_H
#define WEFT_SRC_PANIC_H

#include "bits.h"

/* Writes "weft: " and what to stderr, in one write without allocating, and aborts. */
_Noreturn weft__cold void weft__panic(const char *what);

/* Writes "weft: " and the text to stderr, in one write: a warning that loses nothing. */
weft__cold void weft__warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define weft__check(condition, what)                                                                                   \
    do {                                                                                                               \
        if (weft__unlikely(!(condition))) weft__panic(what);                                                           \
    } while (0)

#if defined(WEFT_DEBUG)
#define weft__assert(condition) weft__check(condition, "internal error: " #condition)
#else
#define weft__assert(condition) ((void)sizeof(condition))
#endif

#endif
