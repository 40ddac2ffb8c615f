/* out.c - text to a file descriptor where stdio, malloc and locks are out of the question.  [layer 0] */
#include "out.h"

#include <weft/error.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 1000 };

void
weft__out_begin(struct out *o, int fd)
{
    o->fd = fd;
    o->code = 0;
    o->used = o->line = 0;
}

/* Waits until fd takes more; false: it does not. */
static bool
wait_for_room(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n;
    do n = poll(&p, 1, PATIENCE_MS);
    while (n < 0 && errno == EINTR);
    return n > 0 && (p.revents & POLLOUT);
}

static void
write_out(struct out *o, uint32_t length)
{
    int saved = errno;
    for (uint32_t done = 0; done < length && o->code == 0;) {
        ssize_t n = write(o->fd, o->text + done, length - done);
        if (n > 0) done += (uint32_t)n;
        else if (n == 0 || errno == EINTR) continue;
        else if (errno != EAGAIN) o->code = WEFT_EINVAL;
        else if (!wait_for_room(o->fd)) o->code = WEFT_EAGAIN;
    }
    errno = saved;
}

/* Makes room for another byte by writing the lines before this one; false: this one fills the buffer. */
static bool
make_room(struct out *o)
{
    if (o->line == 0) return false;
    write_out(o, o->line);
    for (uint32_t i = o->line; i < o->used; i++) o->text[i - o->line] = o->text[i];
    o->used -= o->line;
    o->line = 0;
    return true;
}

static void
add(struct out *o, char c)
{
    /* the last byte is for the end of the line */
    if (o->used < OUT_TEXT - 1 || make_room(o)) o->text[o->used++] = c;
}

void
weft__out_text(struct out *o, const char *text)
{
    while (*text) add(o, *text++);
}

static void
add_digits(struct out *o, uint64_t n, unsigned base)
{
    char digits[24], *p = digits + sizeof digits;
    *--p = '\0';
    do *--p = "0123456789abcdef"[n % base];
    while (n /= base);
    weft__out_text(o, p);
}

void
weft__out_number(struct out *o, uint64_t n)
{
    add_digits(o, n, 10);
}

void
weft__out_hex(struct out *o, uint64_t n)
{
    weft__out_text(o, "0x");
    add_digits(o, n, 16);
}

void
weft__out_ms(struct out *o, int64_t ns)
{
    uint64_t us = (uint64_t)(ns < 0 ? -ns : ns) / 1000;
    if (ns < 0) add(o, '-');
    add_digits(o, us / 1000, 10);
    add(o, '.');
    for (unsigned unit = 100; unit > 0; unit /= 10) add(o, (char)('0' + us / unit % 10));
    weft__out_text(o, " ms");
}

/* The kernel looks at the set of signals before it refuses what is to be done with it: a probe without side effects, for
 * emulators and sandboxes that lack the call below. */
static bool
readable(const char *p)
{
    const char *set = p - (uintptr_t)p % 8;
    return syscall(SYS_rt_sigprocmask, -1L, set, NULL, 8L) == 0 || errno != EFAULT;
}

/* Reads by the kernel, which says so where there is nothing to read; where that is not allowed, by itself.  The n bytes are
 * of one page. */
static bool
peek(char *to, const char *from, size_t n)
{
    struct iovec here = {to, n}, there = {(void *)(uintptr_t)from, n};
    int saved = errno;
    long got = syscall(SYS_process_vm_readv, (long)getpid(), &here, 1L, &there, 1L, 0L);
    bool done = got == (long)n, gone = !done && (errno == EFAULT || !readable(from));
    errno = saved;
    for (size_t i = 0; !done && !gone && i < n; i++) to[i] = ((const volatile char *)from)[i];
    return !gone;
}

bool
weft__out_peek(uint64_t *to, const void *from)
{
    char bytes[sizeof *to];
    if (!peek(bytes, from, sizeof bytes)) return false;
    memcpy(to, bytes, sizeof bytes);
    return true;
}

void
weft__out_foreign(struct out *o, const char *text, size_t most)
{
    enum { PIECE = 16 }; /* aligned pieces: none crosses into a page that may not be there */
    char piece[PIECE];
    while (most > 0) {
        size_t n = PIECE - (uintptr_t)text % PIECE;
        if (n > most) n = most;
        if (!peek(piece, text, n)) return;
        for (size_t i = 0; i < n; i++) {
            if (piece[i] == '\0') return;
            add(o, piece[i] >= ' ' && piece[i] <= '~' ? piece[i] : '?');
        }
        text += n;
        most -= n;
    }
}

void
weft__out_end(struct out *o)
{
    o->text[o->used++] = '\n'; /* there is room: see add */
    o->line = o->used;
    if (o->used > OUT_TEXT / 2) (void)make_room(o);
}

int
weft__out_flush(struct out *o)
{
    write_out(o, o->used);
    o->used = o->line = 0;
    return o->code;
}
