/* reactor.h - tasks that wait for file descriptors.  [layer 4]
 *
 * The essay is in reactor.c. */
#ifndef WEFT_SRC_REACTOR_H
#define WEFT_SRC_REACTOR_H

#include "waiter.h"
#include "worker.h"

enum { REACTOR_READ = 0, REACTOR_WRITE = 1 }; /* what for */

/* What is more than 0 of weft__reactor_register: nothing was registered, and there is no need to park. */
enum {
    REACTOR_READY = 1, /* epoll does not know such files (regular ones): they are always ready */
    REACTOR_CLOSING    /* weft_close is at it: look at the descriptor again after a turn */
};

/* Registers r, of the park that w has begun, with fd: it is woken with code 0 when fd may be ready, or may never be, and with
 * -EBADF by weft_close.  0; REACTOR_...; or a negative errno: it cannot be registered.  Unless it returned 0, the park must be
 * given up (weft__wait_abandon). */
int weft__reactor_register(int fd, int what, struct wait *w, struct waiter *r, uint32_t index);

/* After the park, in any case, if it was registered. */
void weft__reactor_withdraw(int fd, int what, struct waiter *r);

/* Parks c, the running context, until fd may be ready.  Codes as above, and those of a wait. */
int weft__reactor_wait(struct context *c, int fd, int what, const char *reason, weft_time deadline);

/* Nothing waits for fd any more when this returns, and nothing will until weft__reactor_closed. */
void weft__reactor_closing(int fd);
void weft__reactor_closed(int fd);

/* No task is left, and no visitor. */
void weft__reactor_stop(void);

/* How many registrations there are. */
extern _Atomic uint32_t weft__reactor_count;

/* Wakes whoever waits for a descriptor that has become ready. */
void weft__reactor_poll_now(void);

#if defined(WEFT_MODEL)
extern bool model_polls; /* there are descriptors in that model */
#else
enum { model_polls = true };
#endif

static inline void
weft__reactor_poll(void)
{
    if (!model_polls) return;
    if (weft__unlikely(load_relaxed(&weft__reactor_count))) weft__reactor_poll_now(); /* relaxed: it is called often */
}

#endif
