/*
 * model_reactor.c - every interleaving of those who wait for a descriptor with workers that fall asleep, poll, and are woken.
 *
 * sources: reactor.c idle.c worker.c inject.c deque.c park.c clock.c fence.c futex.c
 *
 * The kernel is one word, which says whether the descriptor is armed, whether it is ready, and whether the alarm rings: each call
 * reads and writes it in one step, and ppoll sleeps on it.  Who waits for the descriptor is a plain thread.  Workers take
 * from their inbox only.  Nothing here wakes anybody but the protocol, so who is not woken is a deadlock.
 *
 * Instances:
 *   first     a worker falls asleep while the first waiter registers, for what is ready by now     [E1, G1 to G3]
 *   crowd     two waiters; the descriptor becomes ready once, and stays so                         [B2]
 *   alarm     a worker that sleeps as the poller, or is about to, is given a task                  [E3, H2]
 *
 * Not here: two workers, of which one takes the place of the other (E6, and the looks of weft__idle_found): too many
 * executions.  tests/stress_io.c plays that.
 */
#define MODEL_REACTOR

#include "model_worker.h"

#include "reactor.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "model_instance.h"

enum { FD = 0 };

/* ---- The kernel ------------------------------------------------------------------------------------------------------ */

enum { ARMED = 1, READY = 2, RINGS = 4 };

static _Atomic uint32_t kernel;

static void
happens(uint32_t what)
{
    or_acq_rel(&kernel, what);
    weft__futex_wake(&kernel, WORKERS);
}

int model_epoll_create1(int flags);
int model_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int model_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout);
int model_eventfd(unsigned count, int flags);
int model_ppoll(struct pollfd *on, nfds_t n, const struct timespec *limit, const sigset_t *mask);
ssize_t model_read(int fd, void *buffer, size_t size);
ssize_t model_write(int fd, const void *data, size_t size);

int
model_epoll_create1(int flags)
{
    return (void)flags, 100;
}

int
model_eventfd(unsigned count, int flags)
{
    return (void)count, (void)flags, 101;
}

int
model_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    (void)op;
    assert(epoll == 100 && fd == FD && event->events & EPOLLONESHOT);
    if (event->events & EPOLLIN) happens(ARMED);
    return 0;
}

static bool
pending(uint32_t word)
{
    return (word & (ARMED | READY)) == (ARMED | READY);
}

int
model_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    uint32_t word = load_acquire(&kernel);
    assert(epoll == 100 && most > 0 && timeout == 0);
    do {
        if (!pending(word)) return 0;
    } while (!cas_acq_rel(&kernel, &word, word & ~(uint32_t)ARMED));
    events[0] = (struct epoll_event){.events = EPOLLIN, .data = {.fd = FD}};
    return 1;
}

int
model_ppoll(struct pollfd *on, nfds_t n, const struct timespec *limit, const sigset_t *mask)
{
    (void)limit, (void)mask;
    assert(n == 2);
    for (;;) {
        uint32_t word = load_acquire(&kernel);
        on[0].revents = pending(word) ? POLLIN : 0;
        on[1].revents = word & RINGS ? POLLIN : 0;
        if (on[0].revents || on[1].revents) return 1;
        weft__futex_wait(&kernel, word, INT64_MAX);
    }
}

ssize_t
model_read(int fd, void *buffer, size_t size)
{
    (void)buffer;
    assert(fd == 101);
    and_acq_rel(&kernel, ~(uint32_t)RINGS);
    return (ssize_t)size;
}

ssize_t
model_write(int fd, const void *data, size_t size)
{
    (void)data;
    assert(fd == 101);
    happens(RINGS);
    return (ssize_t)size;
}

/* ---- Above and below ------------------------------------------------------------------------------------------------- */

static void
run_task(struct worker *w, int task)
{
    (void)w;
    mark(task);
}

bool
weft__work_visible(struct worker *w)
{
    return !weft__inject_empty(&w->pool->inject) || !weft__inject_empty(&w->inbox);
}

/* ---- The threads ---------------------------------------------------------------------------------------------------- */

static struct {
    struct wait wait;
    struct waiter waiter;
} waits[3];

enum { NOBODY = 2 }; /* waits for what never comes */

static void
wait_for(int which, int what)
{
    struct wait *w = &waits[which].wait;
    w->parker = &w->thread;
    w->ticket = weft__park_arm(w->parker, "model", false);
    int rc = weft__reactor_register(FD, what, w, &waits[which].waiter, 0);
    assert(rc == 0);
}

static void
await_woken(int which)
{
    struct wait *w = &waits[which].wait;
    bool woken = weft__park_thread(w->parker, w->ticket, INT64_MAX);
    assert(woken);
}

/* The reactor is open, and knows the descriptor: somebody has waited for it. */
static void
prepare(int count)
{
    make_workers(count, false);
    wait_for(NOBODY, REACTOR_WRITE);
    weft__reactor_withdraw(FD, REACTOR_WRITE, &waits[NOBODY].waiter);
}

static void
first(void)
{
    prepare(1);
    happens(READY);
    start(0, sleep_and_work);
    wait_for(0, REACTOR_READ);
    await_woken(0);
}

static void
crowd(void)
{
    prepare(1);
    wait_for(0, REACTOR_READ);
    wait_for(1, REACTOR_READ);
    start(0, sleep_and_work);
    happens(READY);
    await_woken(0);
    await_woken(1);
}

static void
alarm_it(void)
{
    prepare(1);
    wait_for(0, REACTOR_READ);
    start(0, sleep_and_work);
    push(0, 0);
    await(&ran[0]);
}

static const struct instance instances[] = {
    {"first", first, true},
    {"crowd", crowd, true},
    {"alarm", alarm_it, true},
    {NULL, NULL, false},
};
