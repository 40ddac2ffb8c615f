/* out.h - text to a file descriptor where stdio, malloc and locks are out of the question.  [layer 0]
 *
 * Async-signal-safe.  Lines are written whole, several at a time; one that is longer than the buffer is cut. */
#ifndef WEFT_SRC_OUT_H
#define WEFT_SRC_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUT_TEXT = 1024 };

struct out {
    int fd;
    int code;      /* 0, or why nothing is written any more: WEFT_EINVAL, WEFT_EAGAIN */
    uint32_t used; /* of text */
    uint32_t line; /* where its last line begins */
    char text[OUT_TEXT];
};

void weft__out_begin(struct out *o, int fd);
void weft__out_text(struct out *o, const char *text);
void weft__out_number(struct out *o, uint64_t n);
void weft__out_hex(struct out *o, uint64_t n); /* with 0x */

/* n nanoseconds, as milliseconds with three places. */
void weft__out_ms(struct out *o, int64_t ns);

/* Text that may be anything, or not be there any more: at most `most` bytes, those that cannot be printed as '?'. */
void weft__out_foreign(struct out *o, const char *text, size_t most);

/* Copies the word at `from`, a multiple of 8, to *to, or returns false if there is nothing any more. */
bool weft__out_peek(uint64_t *to, const void *from);

/* Ends the line. */
void weft__out_end(struct out *o);

/* Writes what is left: 0, or the code of the first write that failed. */
int weft__out_flush(struct out *o);

#endif
