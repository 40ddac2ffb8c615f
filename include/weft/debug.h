/* debug.h - seeing inside: what every task and every worker is doing, and how much of it they have done.
 *
 * Threads.   weft_dump may be called from everywhere: tasks, plain threads, signal handlers, also while the runtime hangs,
 *            starts or stops.  It stops nobody, so what it says of tasks that are running may be past when it is written.
 * Ownership. Nothing is kept.
 * Errors.    Codes; errno is kept. */
#ifndef WEFT_DEBUG_H
#define WEFT_DEBUG_H

#include <weft/base.h>

WEFT_BEGIN

/* Writes text to the file descriptor fd: each worker with its queues; each task that has started, with its name, what it
 * waits for and, while it is parked, its backtrace; each plain thread that is blocked in Weft; the tasks that have not
 * started, counted, and some of them named.  Lines are written whole, several at a time; a full pipe is waited for, for
 * a second.  Async-signal-safe: it allocates nothing and takes no lock; it needs 8 KiB of stack.  While it runs,
 * weft_stop does not return.
 * Addresses are given as module+offset, for `addr2line -fe module offset`.
 *   WEFT_EINVAL  fd cannot be written to
 *   WEFT_EAGAIN  fd is full, and was not emptied */
WEFT_API int weft_dump(int fd);

WEFT_END
#endif
