/*
 * reactor.c - tasks that wait for file descriptors, in one epoll.  [layer 4]
 *
 * A descriptor has two lists of waiters, readers and writers.  Who waits appends itself, and arms the descriptor in epoll for what
 * somebody wants, once (EPOLLONESHOT): the event disarms it.  Who gets the event takes the oldest of those whom it
 * concerns, and arms the descriptor again if any are left.
 *
 *      waiter                                         who polls
 *      A1  look (read, or poll(2)): not ready         B1  an event: it has disarmed the descriptor
 *      A2  lock; append itself; arm for all who       B2  lock; the oldest reader, the oldest writer whom it concerns;
 *          are in the lists; unlock                       anybody left: arm; unlock
 *      A3  park                                       B3  wake them
 *      A4  lock; withdraw; unlock; look again
 *
 * Nothing is missed.  epoll reports a state, not a change: if the descriptor is ready when it is armed, or becomes so later,
 * there is an event.  Arming and the lists change together under the lock, so what is armed covers the lists.  (The lock is held
 * over epoll_ctl, a system call that does not wait: else two of them could be made in the wrong order.)  A woken waiter that
 * does not read, because its deadline has passed or it wanted to know only, takes nothing from the others: they are armed, and
 * as the descriptor is still ready, the next has its event at once.
 *
 * Nobody is believed.  Descriptors are numbers that the program closes and uses again, and epoll keeps what it knows of a file
 * that was closed here while a child process has it still.  An event, or an error in arming, therefore only makes
 * waiters look again (A4); nothing else follows from it.  weft_close wakes those who wait first; a number that is used again
 * finds empty lists.  MOD where ADD was right, and the other way round, are told by the kernel.
 *
 * Who polls.  Workers do, each TURN-th dispatch and while they search; and one that sleeps, the poller, sleeps in ppoll on
 * the epoll instead of on its futex.  What it finds it leaves there: it stops sleeping, and then polls as any other.
 *
 *      sleeper (the sentinel of a pool: idle.c)        waiter
 *      E1  count == 0: sleep on the futex             G1  count += 1                   (seq_cst)
 *      E2  poller = itself, if there is none          G2  fence
 *      E3  fence                                      G3  no poller, and somebody sleeps: kick it
 *      E4  its futex word is set: go to E6
 *      E5  ppoll(epoll, alarm)                        waker of the sleeper
 *      E6  no poller                   (seq_cst)      H1  set its futex word; futex wake
 *                                                     H2  fence
 *                                                     H3  it is the poller: write to the alarm
 *
 * Invariant.  While anybody waits for a descriptor and somebody sleeps, there is a poller, or a worker that is awake and looks for
 * a poller before it sleeps or goes on: in its own E1 and E2; where it is no sentinel, by kicking that; where it finds something
 * to run (weft__idle_found), by kicking a sleeper of any pool.
 *
 * Proof.  G3 finds nobody asleep: then S1 of any sleeper comes after G2 in the order of the fences, and its E1 sees the count.  It
 * finds one asleep, and no poller: the kick makes a sentinel look again, E1.  It finds a poller: that is before E6 then, and
 * E6 and what the same worker does after it come later than G1 in the order of the sequentially consistent accesses, so its next
 * look sees the count.  A poller that is woken is awake (E3 with H2: either E4 sees the word, or H3 sees the poller).
 *
 * Cost.  A wait is one epoll_ctl, and the look before and after it.  While nobody waits: one load where timers are looked at.
 * Idle descriptors cost nothing: neither they nor their number are looked at.
 *
 * Accepted.  A poller that finds work wakes another sleeper, which polls in its place: a wake per event where workers are idle, or
 * events would wait for as long as the work takes.
 *
 * Rejected.  Edge-triggered registrations, made once: half the system calls, but readiness has to be remembered for each number,
 * and is wrong when the number is used again.  Waiting in epoll_wait itself: the sleeper would have to deliver events while
 * it still counts as asleep.
 *
 * Checked.  tests/model_reactor.c: the steps E, G and H.  tests/test_io.c, tests/fault_io.c, tests/stress_io.c.
 */
#include "reactor.h"

#include "futex.h"
#include "hook.h"
#include "scheduler.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#if defined(WEFT_MODEL)
enum { CHUNK = 2, CHUNKS = 1, EVENTS = 2 };
#else
enum { CHUNK = 1024, CHUNKS = 4096, EVENTS = 32 };
#endif

struct descriptor {
    weft__lock lock;
    bool known;             /* epoll was told of it */
    uint16_t closing;       /* calls of weft_close */
    struct list waiting[2]; /* REACTOR_READ and REACTOR_WRITE */
};

/* By number.  Chunks are freed when the runtime has stopped. */
static _Atomic(struct descriptor *) chunks[CHUNKS];

static struct {
    weft__lock lock;
    _Atomic bool open;
    int epoll, alarm; /* written under lock, before open */
    _Atomic(struct worker *) poller;
} reactor;

_Atomic uint32_t weft__reactor_count;

/* ---- Descriptors ----------------------------------------------------------------------------------------------------- */

/* NULL: there is none, and none is wanted or there is no memory. */
static struct descriptor *
find(int fd, bool make)
{
    unsigned n = (unsigned)fd / CHUNK;
    struct descriptor *c = fd < 0 || n >= CHUNKS ? NULL : load_acquire(&chunks[n]); /* acquire: pairs with the CAS */
    if (!c && make && fd >= 0 && n < CHUNKS && !weft__hook_fail()) {
        struct descriptor *made = calloc(CHUNK, sizeof *made);
        if (!made) return NULL;
        if (cas_acq_rel(&chunks[n], &c, made)) return made + fd % CHUNK;
        free(made); /* c is somebody else's */
        c = load_acquire(&chunks[n]);
    }
    return c ? c + fd % CHUNK : NULL;
}

static int
control(int fd, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data = {.fd = fd}};
    return epoll_ctl(reactor.epoll, op, fd, &e) == 0 ? 0 : errno;
}

/* Arms d for whoever is in its lists.  Under its lock.  0, or an errno. */
static int
arm(struct descriptor *d, int fd)
{
    uint32_t events = EPOLLONESHOT;
    if (!weft__list_empty(&d->waiting[REACTOR_READ])) events |= EPOLLIN;
    if (!weft__list_empty(&d->waiting[REACTOR_WRITE])) events |= EPOLLOUT;
    int error = control(fd, d->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, events);
    if (error == ENOENT) error = control(fd, EPOLL_CTL_ADD, events); /* it was closed since, and opened again */
    else if (error == EEXIST) error = control(fd, EPOLL_CTL_MOD, events);
    d->known = error == 0;
    return error;
}

/* Moves all who can still be woken to woken, to return code.  Under the lock. */
static void
take_all(struct descriptor *d, int code, struct list *woken)
{
    for (int what = REACTOR_READ; what <= REACTOR_WRITE; what++) {
        struct waiter *r;
        while ((r = weft__waiter_claim_first(&d->waiting[what]))) {
            r->code = code;
            weft__list_append(woken, &r->node);
        }
    }
}

/* Without errno's address in a caller that may switch contexts. */
static weft__noinline int
open_reactor(void)
{
    int saved = errno, error = 0;
    weft__acquire(&reactor.lock);
    if (!load_relaxed(&reactor.open)) { /* relaxed: under the lock */
        reactor.epoll = weft__hook_fail() ? (errno = EMFILE, -1) : epoll_create1(EPOLL_CLOEXEC);
        if (reactor.epoll < 0) error = errno;
        reactor.alarm = error ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (!error && reactor.alarm < 0) {
            error = errno;
            close(reactor.epoll);
        }
        store_release(&reactor.open, error == 0); /* release: pairs with the loads of it */
    }
    weft__unlock(&reactor.lock);
    errno = saved;
    return -error;
}

/* A2 */
static weft__noinline int
enlist(struct descriptor *d, int fd, int what, struct wait *w, struct waiter *r, uint32_t index)
{
    int saved = errno, error = 0;
    weft__acquire(&d->lock);
    bool closing = d->closing;
    if (!closing) {
        weft__wait_register(w, r, &d->waiting[what], index, NULL);
        weft__hook();
        error = arm(d, fd);
        if (error) weft__wait_withdraw(r, &d->waiting[what]); /* what was armed for others still is */
    }
    weft__unlock(&d->lock);
    errno = saved;
    return closing ? REACTOR_CLOSING : error == EPERM ? REACTOR_READY : -error;
}

int
weft__reactor_register(int fd, int what, struct wait *w, struct waiter *r, uint32_t index)
{
    if (fd < 0) return -EBADF;
    int rc = load_acquire(&reactor.open) ? 0 : open_reactor(); /* acquire: pairs with open_reactor */
    if (rc < 0) return rc;
    struct descriptor *d = find(fd, true);
    if (!d) return WEFT_ENOMEM;
    rc = enlist(d, fd, what, w, r, index);
    if (rc != 0) return rc;
    add_seq_cst(&weft__reactor_count, 1);                    /* G1: pairs with E1 */
    if (!load_seq_cst(&reactor.poller)) weft__idle_summon(); /* G2 and G3 */
    return 0;
}

void
weft__reactor_withdraw(int fd, int what, struct waiter *r)
{
    struct descriptor *d = find(fd, false);
    weft__acquire(&d->lock);
    weft__wait_withdraw(r, &d->waiting[what]);
    weft__unlock(&d->lock);
    sub_release(&weft__reactor_count, 1); /* release: who sees that nobody waits sees nothing older */
}

int
weft__reactor_wait(struct context *c, int fd, int what, const char *reason, weft_time deadline)
{
    struct wait wait;
    struct waiter r;
    weft__wait_begin(&wait, c, reason, true);
    int rc = weft__reactor_register(fd, what, &wait, &r, 0);
    if (rc != 0) return weft__wait_abandon(&wait) ? rc : weft__wait_park(&wait, WEFT_FOREVER);
    rc = weft__wait_park(&wait, deadline);
    weft__reactor_withdraw(fd, what, &r);
    return rc;
}

void
weft__reactor_closing(int fd)
{
    struct list woken = {NULL, NULL};
    struct descriptor *d = find(fd, false);
    if (!d) return;
    weft__acquire(&d->lock);
    d->closing++;
    take_all(d, -EBADF, &woken);
    if (d->known) (void)control(fd, EPOLL_CTL_DEL, 0); /* it may be gone already */
    d->known = false;
    weft__unlock(&d->lock);
    weft__waiter_wake_all(&woken);
}

void
weft__reactor_closed(int fd)
{
    struct descriptor *d = find(fd, false);
    if (!d) return;
    weft__acquire(&d->lock);
    if (d->closing) d->closing--; /* else the descriptor's place was made after weft__reactor_closing */
    weft__unlock(&d->lock);
}

/* ---- Polling --------------------------------------------------------------------------------------------------------- */

/* B2 and B3 */
static void
deliver(int fd, uint32_t events, bool crowd)
{
    struct list woken = {NULL, NULL};
    const uint32_t concerns[] = {EPOLLIN | EPOLLHUP | EPOLLERR, EPOLLOUT | EPOLLHUP | EPOLLERR};
    struct descriptor *d = find(fd, false);
    weft__acquire(&d->lock);
    for (int what = REACTOR_READ; what <= REACTOR_WRITE; what++) {
        struct waiter *r = events & concerns[what] ? weft__waiter_claim_first(&d->waiting[what]) : NULL;
        if (!r) continue;
        r->code = 0;
        weft__list_append(&woken, &r->node);
    }
    bool left = !weft__list_empty(&d->waiting[REACTOR_READ]) || !weft__list_empty(&d->waiting[REACTOR_WRITE]);
    if (left && arm(d, fd) != 0) take_all(d, 0, &woken); /* they find out why */
    weft__unlock(&d->lock);
    for (struct list_node *n; (n = weft__list_pop(&woken));) {
        struct waiter *r = weft__container(n, struct waiter, node);
        weft__waiter_wake(r, r->code, crowd || woken.head);
    }
}

weft__noinline void
weft__reactor_poll_now(void)
{
    struct epoll_event events[EVENTS];
    int saved = errno;
    if (!load_acquire(&reactor.open)) return; /* acquire: pairs with open_reactor */
    int n = epoll_wait(reactor.epoll, events, EVENTS, 0);
    for (int k = 0; k < n; k++) deliver(events[k].data.fd, events[k].events, n > 1); /* B1 */
    errno = saved;
}

/* ---- The poller ------------------------------------------------------------------------------------------------------ */

bool
weft__reactor_unwatched(void)
{
    return load_seq_cst(&weft__reactor_count) != 0 &&
           !load_seq_cst(&reactor.poller); /* E1: pairs with G1, as E6 does */
}

/* E5.  Is there an event? */
static weft__noinline bool
sleep_in_poll(int64_t deadline)
{
    struct pollfd on[] = {{.fd = reactor.epoll, .events = POLLIN}, {.fd = reactor.alarm, .events = POLLIN}};
    int saved = errno;
    int64_t left = deadline == INT64_MAX ? 0 : deadline - weft_now();
    if (left < 0) left = 0;
    struct timespec limit = {.tv_sec = left / WEFT_S, .tv_nsec = left % WEFT_S};
    int n = ppoll(on, 2, deadline == INT64_MAX ? NULL : &limit, NULL);
    uint64_t count;
    if (n > 0 && on[1].revents) (void)!read(reactor.alarm, &count, sizeof count);
    errno = saved;
    return n > 0 && on[0].revents;
}

enum reactor_sleep
weft__reactor_sleep(struct worker *w, int64_t deadline)
{
    struct worker *none = NULL;
    if (load_seq_cst(&weft__reactor_count) == 0) return REACTOR_NOT;      /* E1: pairs with G1 */
    if (!cas_seq_cst(&reactor.poller, &none, w)) return REACTOR_NOT;      /* E2 */
    weft__fence();                                                        /* E3: pairs with H2 */
    bool ready = load_acquire(&w->futex) == 0 && sleep_in_poll(deadline); /* E4: acquire: as for the futex */
    store_seq_cst(&reactor.poller, NULL);                                 /* E6: pairs with G3 */
    return ready ? REACTOR_EVENT : REACTOR_SLEPT;
}

static weft__noinline void
ring(void)
{
    int saved = errno;
    uint64_t one = 1;
    (void)!write(reactor.alarm, &one, sizeof one); /* full: it has been rung often enough */
    errno = saved;
}

void
weft__reactor_alarm(const struct worker *w)
{
    weft__fence();                                  /* H2: pairs with E3 */
    if (load_relaxed(&reactor.poller) == w) ring(); /* H3: relaxed: H2 orders it */
}

weft__noinline void
weft__reactor_stop(void)
{
    int saved = errno;
    if (load_acquire(&reactor.open)) { /* acquire: pairs with open_reactor */
        close(reactor.epoll);
        close(reactor.alarm);
        store_relaxed(&reactor.open, false); /* relaxed: nobody is there to see it */
    }
    for (int k = 0; k < CHUNKS; k++) {
        struct descriptor *c = load_relaxed(&chunks[k]); /* relaxed, as the next: as above */
        store_relaxed(&chunks[k], NULL);
        free(c);
    }
    errno = saved;
}
