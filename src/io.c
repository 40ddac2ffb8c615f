/* io.c - reading, writing, connecting, and waiting for processes: the task parks, not the worker.  [layer 5]
 *
 * Each verb tries what it is to do in a way that does not block, and where that is not possible parks until the descriptor may be
 * ready (reactor.c), and tries again.  A plain thread waits in poll(2).
 *
 * A descriptor need not be non-blocking.  Sockets are asked not to block in each call.  For other files that would block, the
 * look comes first: after poll(2) has said so, a read, or a write of PIPE_BUF bytes, does not block, unless somebody else
 * was faster.
 *
 * errno.  Every function that looks at it is noinline, and does not switch. */
#include "reactor.h"
#include "scheduler.h"
#include "select.h"

#include <weft/io.h>
#include <weft/timer.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

_Static_assert(WEFT_IN == POLLIN && WEFT_OUT == POLLOUT && WEFT_ERR == POLLERR && WEFT_HUP == POLLHUP, "weft/io.h");
_Static_assert(_Generic((socklen_t){0}, unsigned int : true, default : false), "weft/io.h");

#if !defined(SYS_pidfd_open)
#define SYS_pidfd_open 434
#endif

enum { AGAIN = -EAGAIN };

/* ---- Waiting --------------------------------------------------------------------------------------------------------- */

/* poll(2), until deadline: what fd is ready for; 0: nothing; or a negative errno. */
static weft__noinline int
look(int fd, unsigned events, weft_time deadline)
{
    struct pollfd on = {.fd = fd, .events = (short)events};
    int saved = errno, n, error;
    do {
        int64_t left = deadline == WEFT_NOW || deadline == WEFT_FOREVER ? 0 : deadline - weft_now();
        if (left < 0) left = 0;
        struct timespec limit = {.tv_sec = left / WEFT_S, .tv_nsec = left % WEFT_S};
        n = ppoll(&on, 1, deadline == WEFT_FOREVER ? NULL : &limit, NULL);
        error = n < 0 ? errno : 0;
    } while (error == EINTR);
    errno = saved;
    if (error) return -error;
    return on.revents & POLLNVAL ? -EBADF : on.revents;
}

int
weft__select_poll(const weft_case *k)
{
    return look(weft__select_fd(k), k->kind == WEFT_CASE_READABLE ? POLLIN : POLLOUT, WEFT_NOW);
}

/* Waits until fd may be ready for what; 0, or a code. */
static int
await(struct context *c, int fd, int what, const char *reason, weft_time deadline)
{
    if (deadline == WEFT_NOW) return WEFT_EAGAIN;
    if (!c) {
        int n = look(fd, what == REACTOR_READ ? POLLIN : POLLOUT, deadline);
        return n > 0 ? 0 : n < 0 ? n : WEFT_ETIMEDOUT;
    }
    int rc = weft__reactor_wait(c, fd, what, reason, deadline);
    if (rc == REACTOR_CLOSING) weft_yield();
    return rc == REACTOR_READY ? WEFT_EAGAIN
           : rc < 0            ? rc
                               : 0; /* READY: it is not, and there is no way to wait for it */
}

/* A task waits for fd to be ready for either.  The code of the wait, or what weft__reactor_register says. */
static int
await_both(struct context *c, int fd, const char *reason, weft_time deadline)
{
    struct wait wait;
    struct waiter r[2];
    int n = 0, rc = 0;
    weft__wait_begin(&wait, c, reason, true);
    for (; n < 2 && rc == 0; n += rc == 0) rc = weft__reactor_register(fd, n, &wait, &r[n], (uint32_t)n);
    int woken = rc != 0 && weft__wait_abandon(&wait) ? rc : weft__wait_park(&wait, rc != 0 ? WEFT_FOREVER : deadline);
    for (int k = 0; k < n; k++) weft__reactor_withdraw(fd, k, &r[k]);
    return woken;
}

int
weft_poll(int fd, unsigned events, weft_time deadline)
{
    struct context *c = weft__context_current();
    if (events == 0 || events & ~(unsigned)(WEFT_IN | WEFT_OUT)) return WEFT_EINVAL;
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    for (;;) {
        int n = look(fd, events, c ? WEFT_NOW : deadline), rc;
        if (n != 0) {
            if (deadline != WEFT_NOW) weft__sched_spend(c, COST_LOCK);
            return n;
        }
        if (deadline == WEFT_NOW) return WEFT_EAGAIN;
        if (!c) return WEFT_ETIMEDOUT;
        if (events == (WEFT_IN | WEFT_OUT)) rc = await_both(c, fd, "poll", deadline);
        else rc = weft__reactor_wait(c, fd, events == WEFT_OUT ? REACTOR_WRITE : REACTOR_READ, "poll", deadline);
        if (rc < 0) return rc;
        if (rc == REACTOR_READY) return (int)events;
        if (rc == REACTOR_CLOSING) weft_yield();
    }
}

/* ---- One try of each, which does not block ---------------------------------------------------------------------------- */

struct call {
    int fd;
    void *buffer;
    const void *data;
    size_t size;
    const struct sockaddr *address;
    struct sockaddr *peer;
    socklen_t *peer_size;
    socklen_t address_size;
};

/* Would a call on fd that is no socket block, now? */
static bool
would_block(int fd, short events)
{
    int flags = fcntl(fd, F_GETFL);
    struct pollfd on = {.fd = fd, .events = events};
    return flags >= 0 && !(flags & O_NONBLOCK) && poll(&on, 1, 0) == 0;
}

static weft__noinline ssize_t
try_read(const struct call *call)
{
    ssize_t n = call->size ? recv(call->fd, call->buffer, call->size, MSG_DONTWAIT) : read(call->fd, call->buffer, 0);
    if (n < 0 && errno == ENOTSOCK) {
        if (would_block(call->fd, POLLIN)) return AGAIN;
        n = read(call->fd, call->buffer, call->size);
    }
    return n < 0 ? -errno : n;
}

static weft__noinline ssize_t
try_write(const struct call *call)
{
    ssize_t n = send(call->fd, call->data, call->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK) {
        struct pollfd on = {.fd = call->fd, .events = POLLOUT};
        int flags = fcntl(call->fd, F_GETFL);
        bool blocks = flags >= 0 && !(flags & O_NONBLOCK);
        if (blocks && poll(&on, 1, 0) == 0) return AGAIN;
        n = write(call->fd, call->data, blocks && call->size > PIPE_BUF ? PIPE_BUF : call->size);
    }
    return n < 0 ? -errno : n;
}

static weft__noinline ssize_t
try_accept(const struct call *call)
{
    if (would_block(call->fd, POLLIN)) return AGAIN;
    int fd = accept4(call->fd, call->peer, call->peer_size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static weft__noinline ssize_t
try_connect(const struct call *call)
{
    int flags = fcntl(call->fd, F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK)) (void)fcntl(call->fd, F_SETFL, flags | O_NONBLOCK);
    return connect(call->fd, call->address, call->address_size) < 0 ? -errno : 0;
}

/* How a connection that was begun has ended; AGAIN: it has not. */
static weft__noinline ssize_t
try_connected(const struct call *call)
{
    struct pollfd on = {.fd = call->fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    int n = poll(&on, 1, 0);
    if (n == 0) return AGAIN;
    if (n < 0 || getsockopt(call->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) return -errno;
    return -error;
}

/* errno is the program's. */
static weft__noinline ssize_t
try_once(ssize_t (*attempt)(const struct call *call), const struct call *call)
{
    int saved = errno;
    ssize_t n = attempt(call);
    errno = saved;
    return n;
}

static ssize_t
repeat(ssize_t (*attempt)(const struct call *call), const struct call *call, int what, const char *reason,
       weft_time deadline)
{
    struct context *c = weft__context_current();
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    for (;;) {
        ssize_t n = try_once(attempt, call);
        if (n == -EINTR) continue;
        if (n != AGAIN) {
            if (deadline != WEFT_NOW) weft__sched_spend(c, COST_LOCK);
            return n;
        }
        int rc = await(c, call->fd, what, reason, deadline);
        if (rc < 0) return rc;
    }
}

/* ---- Verbs ----------------------------------------------------------------------------------------------------------- */

ssize_t
weft_read_until(int fd, void *buffer, size_t size, weft_time deadline)
{
    return repeat(try_read, &(struct call){.fd = fd, .buffer = buffer, .size = size}, REACTOR_READ, "read", deadline);
}

ssize_t
weft_read(int fd, void *buffer, size_t size)
{
    return weft_read_until(fd, buffer, size, WEFT_FOREVER);
}

ssize_t
weft_write_until(int fd, const void *data, size_t size, weft_time deadline)
{
    return repeat(try_write, &(struct call){.fd = fd, .data = data, .size = size}, REACTOR_WRITE, "write", deadline);
}

ssize_t
weft_write(int fd, const void *data, size_t size)
{
    return weft_write_until(fd, data, size, WEFT_FOREVER);
}

int
weft_accept_until(int fd, struct sockaddr *address, socklen_t *size, weft_time deadline)
{
    return (int)repeat(try_accept, &(struct call){.fd = fd, .peer = address, .peer_size = size}, REACTOR_READ, "accept",
                       deadline);
}

int
weft_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    return weft_accept_until(fd, address, size, WEFT_FOREVER);
}

int
weft_connect_until(int fd, const struct sockaddr *address, socklen_t size, weft_time deadline)
{
    struct call call = {.fd = fd, .address = address, .address_size = size};
    struct context *c = weft__context_current();
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    ssize_t rc = try_once(try_connect, &call);
    if (rc != -EINPROGRESS && rc != -EINTR) return (int)rc; /* AGAIN too: there is nothing to wait for */
    return (int)repeat(try_connected, &call, REACTOR_WRITE, "connect", deadline);
}

int
weft_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    return weft_connect_until(fd, address, size, WEFT_FOREVER);
}

static weft__noinline int
close_quietly(int fd)
{
    int saved = errno, error = close(fd) < 0 ? errno : 0;
    errno = saved;
    return error == EINTR ? 0 : -error; /* it is closed all the same */
}

/* Plain threads may come at any time: while they visit, the workers stay, and so does what the reactor knows. */
static void
tell_reactor(void (*what)(int fd), int fd)
{
    if (weft__sched_enter()) what(fd);
    weft__sched_leave();
}

int
weft_close(int fd)
{
    if (weft__forked()) return close_quietly(fd);
    tell_reactor(weft__reactor_closing, fd);
    int rc = close_quietly(fd);
    tell_reactor(weft__reactor_closed, fd);
    return rc;
}

/* ---- Processes ------------------------------------------------------------------------------------------------------- */

/* 1: it has ended, and is no more; 0: it runs. */
static weft__noinline int
reap(pid_t pid, int *status)
{
    int saved = errno, error;
    pid_t ended;
    do {
        ended = waitpid(pid, status, WNOHANG);
        error = ended < 0 ? errno : 0;
    } while (error == EINTR);
    errno = saved;
    return error ? -error : ended == pid;
}

static weft__noinline int
open_process(pid_t pid)
{
    int saved = errno, fd = (int)syscall(SYS_pidfd_open, pid, 0), error = fd < 0 ? errno : 0;
    errno = saved;
    return error ? -error : fd;
}

int
weft_process_wait_until(pid_t pid, int *status, weft_time deadline)
{
    enum { PAUSE_FIRST = 1000000, PAUSE_MOST = 50000000 };
    int ignored, rc, fd = -1;
    if (!status) status = &ignored;
    if (pid <= 0) return WEFT_EINVAL;
    if (weft__cancelled(weft__context_current())) return WEFT_ECANCELED;
    for (int64_t pause = PAUSE_FIRST; (rc = reap(pid, status)) == 0; pause = pause < PAUSE_MOST ? 2 * pause : pause) {
        if (deadline == WEFT_NOW) rc = WEFT_EAGAIN;
        if (rc == 0 && fd == -1) fd = open_process(pid);
        if (rc == 0 && fd >= 0) rc = weft_poll(fd, WEFT_IN, deadline);
        else if (rc == 0) { /* the kernel has no descriptors for processes, or no more of them: look now and then */
            weft_time until = weft_in(pause);
            if (weft_now() >= deadline) rc = WEFT_ETIMEDOUT;
            else rc = weft_sleep_until(until < deadline ? until : deadline);
        }
        if (rc < 0) break;
    }
    if (fd >= 0) (void)weft_close(fd);
    return rc > 0 ? 0 : rc;
}

int
weft_process_wait(pid_t pid, int *status)
{
    return weft_process_wait_until(pid, status, WEFT_FOREVER);
}
