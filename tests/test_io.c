/* test_io.c - reading, writing, connecting: what parks, what wakes it, and with which code. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "reactor.h"
#include "task_kit.h"

/* Two ends that do not block. */
static void
pair_of(int ends[2])
{
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

static void
pipe_of(int ends[2], int flags)
{
    CHECK_INT(pipe2(ends, flags | O_CLOEXEC), 0);
}

static void
close_both(int ends[2])
{
    CHECK_INT(weft_close(ends[0]), 0);
    CHECK_INT(weft_close(ends[1]), 0);
}

/* Gives others turns until as many registrations are there. */
static void
until_parked(uint32_t n)
{
    while (load_acquire(&weft__reactor_count) < n) { /* what came before the wait: the scope that it is in */
        weft_yield();
        if (!weft_current()) sched_yield();
    }
}

struct transfer {
    int fd, events;
    size_t size;
    weft_time deadline;
    long long rc;
    _Atomic int *done;
    char byte;
};

static void
transferred(struct transfer *t, long long rc)
{
    t->rc = rc;
    if (t->done) atomic_fetch_add(t->done, 1);
}

static int
read_byte(void *arg)
{
    struct transfer *t = arg;
    transferred(t, weft_read_until(t->fd, &t->byte, 1, t->deadline));
    return 0;
}

static int
poll_it(void *arg)
{
    struct transfer *t = arg;
    transferred(t, weft_poll(t->fd, (unsigned)t->events, t->deadline));
    return 0;
}

static struct transfer
transfer(int fd, int events)
{
    return (struct transfer){.fd = fd, .events = events, .deadline = WEFT_FOREVER};
}

/* A task that reads from an end parks, and is woken by what is written to the other. */
static void
check_read_parks(int reads, int writes)
{
    struct transfer r = transfer(reads, 0);
    weft_task *t = spawned(read_byte, &r);
    until_parked(1);
    CHECK_INT(weft_write(writes, "x", 1), 1);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(r.rc, 1);
    CHECK_INT(r.byte, 'x');
}

TASK_TEST(io, pipe, "a read parks until something is written")
{
    int ends[2];
    pipe_of(ends, O_NONBLOCK);
    check_read_parks(ends[0], ends[1]);
    close_both(ends);
}

TASK_TEST(io, at_once, "what is ready needs no wait, and WEFT_NOW waits for nothing")
{
    int ends[2];
    char byte;
    pair_of(ends);
    CHECK_INT(weft_poll(ends[0], WEFT_IN, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_poll(ends[0], WEFT_IN | WEFT_OUT, WEFT_NOW), WEFT_OUT);
    CHECK_INT(weft_read_until(ends[0], &byte, 1, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_write(ends[1], "abc", 3), 3);
    CHECK_INT(weft_poll(ends[0], WEFT_IN, WEFT_FOREVER), WEFT_IN);
    CHECK_INT(weft_poll(ends[0], WEFT_IN | WEFT_OUT, WEFT_FOREVER), WEFT_IN | WEFT_OUT);
    CHECK_INT(weft_read(ends[0], &byte, 1), 1);
    CHECK_INT(byte, 'a');
    CHECK_INT(load_relaxed(&weft__reactor_count), 0);
    close_both(ends);
}

TASK_TEST(io, arguments, "what is no descriptor, or no event, is an error")
{
    char byte;
    struct sockaddr_in nowhere = {.sin_family = AF_INET};
    CHECK_INT(weft_poll(-1, WEFT_IN, WEFT_FOREVER), -EBADF);
    CHECK_INT(weft_poll(12345, WEFT_IN, WEFT_FOREVER), -EBADF);
    CHECK_INT(weft_poll(0, 0, WEFT_NOW), WEFT_EINVAL);
    CHECK_INT(weft_poll(0, WEFT_HUP, WEFT_NOW), WEFT_EINVAL);
    CHECK_INT(weft_read(-1, &byte, 1), -EBADF);
    CHECK_INT(weft_write(-1, &byte, 1), -EBADF);
    CHECK_INT(weft_accept(-1, NULL, NULL), -EBADF);
    CHECK_INT(weft_connect(-1, (struct sockaddr *)&nowhere, sizeof nowhere), -EBADF);
    CHECK_INT(weft_close(-1), -EBADF);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK_INT(weft_poll(file, WEFT_IN | WEFT_OUT, WEFT_FOREVER), WEFT_IN | WEFT_OUT);
    CHECK_INT(weft_read(file, &byte, 1), 1);
    CHECK_INT(weft_accept(file, NULL, NULL), -ENOTSOCK);
    CHECK_INT(weft_close(file), 0);
}

TASK_TEST(io, deadline, "a wait ends at its deadline, and the descriptor can be waited for again")
{
    int ends[2];
    pair_of(ends);
    for (int i = 0; i < 3; i++) {
        weft_time end = weft_in(2 * WEFT_MS);
        CHECK_INT(weft_poll(ends[0], WEFT_IN, end), WEFT_ETIMEDOUT);
        CHECK(weft_now() >= end);
        char byte;
        CHECK_INT(weft_read_until(ends[0], &byte, 1, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
        CHECK_INT(weft_accept_until(ends[0], NULL, NULL, WEFT_NOW), -EINVAL);
    }
    struct transfer r = transfer(ends[0], WEFT_IN);
    weft_task *t = spawned(poll_it, &r);
    until_parked(1);
    CHECK_INT(weft_write(ends[1], "y", 1), 1);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(r.rc, WEFT_IN);
    close_both(ends);
}

/* Writes, and reads on the other side, all of it. */
struct stream {
    int in, out;
    size_t size;
    _Atomic int failed;
};

static int
write_stream(void *arg)
{
    struct stream *s = arg;
    unsigned char block[3000];
    for (size_t at = 0; at < s->size;) {
        size_t n = s->size - at < sizeof block ? s->size - at : sizeof block;
        for (size_t k = 0; k < n; k++) block[k] = (unsigned char)((at + k) % 251);
        ssize_t rc = weft_write(s->out, block, n);
        if (rc <= 0) return (int)(rc ? rc : WEFT_EAGAIN);
        at += (size_t)rc;
    }
    return weft_close(s->out);
}

static int
read_stream(void *arg)
{
    struct stream *s = arg;
    unsigned char block[5000];
    size_t at = 0;
    ssize_t n;
    while ((n = weft_read(s->in, block, sizeof block)) > 0) {
        for (ssize_t k = 0; k < n; k++) {
            if (block[k] != (at + (size_t)k) % 251) atomic_store(&s->failed, 1);
        }
        at += (size_t)n;
    }
    if (at != s->size) atomic_store(&s->failed, 2);
    return (int)n;
}

static void
check_stream(int in, int out)
{
    struct stream s = {.in = in, .out = out, .size = (size_t)scaled(3000000)};
    weft_task *r = spawned(read_stream, &s), *w = spawned(write_stream, &s);
    CHECK_INT(weft_join(w), 0);
    CHECK_INT(weft_join(r), 0);
    CHECK_INT(atomic_load(&s.failed), 0);
    CHECK_INT(weft_close(in), 0);
}

TASK_TEST(io, streams,
          "what is written is read, in order, through pipes and sockets, whether they are non-blocking or not")
{
    int ends[2];
    pipe_of(ends, O_NONBLOCK);
    check_stream(ends[0], ends[1]);
    pipe_of(ends, 0);
    check_stream(ends[0], ends[1]);
    pair_of(ends);
    check_stream(ends[0], ends[1]);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    check_stream(ends[0], ends[1]);
}

static int
fill(int fd)
{
    char block[4096] = {0};
    int total = 0;
    ssize_t n;
    while ((n = weft_write_until(fd, block, sizeof block, WEFT_NOW)) > 0) total += (int)n;
    CHECK_INT(n, WEFT_EAGAIN);
    return total;
}

TASK_TEST(io, both_ways,
          "two tasks wait for one descriptor, one to read and one to write; each is woken by what it waits for")
{
    int ends[2];
    char block[4096];
    _Atomic int done = 0;
    pair_of(ends);
    int total = fill(ends[0]);
    struct transfer in = transfer(ends[0], WEFT_IN), out = transfer(ends[0], WEFT_OUT),
                    both = transfer(ends[0], WEFT_IN | WEFT_OUT);
    in.done = out.done = both.done = &done;
    weft_task *t[3] = {spawned(poll_it, &in), spawned(poll_it, &out), spawned(poll_it, &both)};
    until_parked(4);
    CHECK_INT(weft_write(ends[1], "x", 1), 1);
    until(&done, 2);
    CHECK_INT(in.rc, WEFT_IN);
    CHECK_INT(both.rc, WEFT_IN);
    CHECK_INT(atomic_load(&done), 2);
    while (total > 0) {
        ssize_t n = weft_read(ends[1], block, sizeof block);
        if (!CHECK(n > 0)) break;
        total -= (int)n;
    }
    until(&done, 3);
    CHECK_INT(out.rc & WEFT_OUT, WEFT_OUT);
    for (int i = 0; i < 3; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(load_relaxed(&weft__reactor_count), 0);
    close_both(ends);
}

TASK_TEST(io, crowd,
          "of many readers of one descriptor each gets one of the bytes, and those who only look are all woken")
{
    enum { READERS = 8 };
    int ends[2];
    struct transfer r[READERS], p[READERS];
    weft_task *t[2 * READERS];
    pair_of(ends);
    for (int i = 0; i < READERS; i++) {
        r[i] = transfer(ends[0], 0);
        t[i] = spawned(read_byte, &r[i]);
    }
    until_parked(READERS);
    for (int i = 0; i < READERS; i++) CHECK_INT(weft_write(ends[1], "x", 1), 1);
    for (int i = 0; i < READERS; i++) {
        CHECK_INT(weft_join(t[i]), 0);
        CHECK_INT(r[i].rc, 1);
    }
    for (int i = 0; i < READERS; i++) {
        p[i] = transfer(ends[0], WEFT_IN);
        t[i] = spawned(poll_it, &p[i]);
    }
    until_parked(READERS);
    CHECK_INT(weft_write(ends[1], "x", 1), 1);
    for (int i = 0; i < READERS; i++) {
        CHECK_INT(weft_join(t[i]), 0);
        CHECK_INT(p[i].rc, WEFT_IN);
    }
    close_both(ends);
}

TASK_TEST(io, peer_closed, "a closed peer is the end for readers, and an error for writers")
{
    int ends[2];
    char byte;
    pair_of(ends);
    (void)fill(ends[0]);
    struct transfer r = transfer(ends[0], 0), w = transfer(ends[0], WEFT_OUT);
    weft_task *t = spawned(read_byte, &r), *u = spawned(poll_it, &w);
    until_parked(2);
    CHECK_INT(weft_close(ends[1]), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_join(u), 0);
    CHECK(r.rc == 0 || r.rc == -ECONNRESET); /* what it had not read is lost */
    CHECK((w.rc & (WEFT_OUT | WEFT_HUP | WEFT_ERR)) != 0);
    CHECK_INT(weft_write(ends[0], "x", 1), WEFT_ECLOSED);
    CHECK_INT(weft_read(ends[0], &byte, 1), 0);
    CHECK_INT(weft_close(ends[0]), 0);
    pipe_of(ends, O_NONBLOCK);
    CHECK_INT(weft_close(ends[1]), 0);
    CHECK_INT(weft_poll(ends[0], WEFT_IN, WEFT_FOREVER), WEFT_HUP);
    CHECK_INT(weft_read(ends[0], &byte, 1), 0);
    CHECK_INT(weft_close(ends[0]), 0);
}

/* To the lowest free number of those that nobody else uses. */
static void
move_up(int *fd)
{
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, 500);
    CHECK(high >= 500);
    CHECK_INT(close(*fd), 0);
    *fd = high;
}

TASK_TEST(io, closed_here, "weft_close wakes whoever waits, and the number can be used again at once")
{
    for (int round = 0; round < 20; round++) {
        int ends[2], again[2];
        pair_of(ends);
        move_up(&ends[0]);
        struct transfer r = transfer(ends[0], 0), p = transfer(ends[0], WEFT_IN | WEFT_OUT);
        (void)fill(ends[0]);
        weft_task *t = spawned(read_byte, &r), *u = spawned(poll_it, &p);
        if (round % 2) until_parked(3);
        CHECK_INT(weft_close(ends[0]), 0);
        if (round % 2 == 0) { /* they may begin later than this: with the number of nothing */
            CHECK_INT(weft_join(t), 0);
            CHECK_INT(weft_join(u), 0);
            t = u = NULL;
        }
        pair_of(again);
        move_up(&again[0]);
        CHECK_INT(again[0], ends[0]);
        check_read_parks(again[0], again[1]);
        if (t) CHECK_INT(weft_join(t), 0);
        if (u) CHECK_INT(weft_join(u), 0);
        CHECK_INT(r.rc, -EBADF);
        CHECK_INT(p.rc, -EBADF);
        close_both(again);
        CHECK_INT(weft_close(ends[1]), 0);
    }
}

TASK_TEST(io, reused, "a number that was closed and opened again behind Weft's back is waited for as what it is now")
{
    int ends[2], other[2];
    pair_of(ends);
    CHECK_INT(weft_poll(ends[0], WEFT_IN, weft_in(WEFT_MS)), WEFT_ETIMEDOUT); /* it is armed in the kernel */
    pair_of(other);
    CHECK_INT(dup2(other[0], ends[0]), ends[0]);
    check_read_parks(ends[0], other[1]);
    CHECK_INT(weft_close(ends[0]), 0);
    CHECK_INT(weft_close(ends[1]), 0);
    close_both(other);
}

/* ---- Connections ----------------------------------------------------------------------------------------------------- */

static int
listener(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_INT(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    CHECK_INT(listen(fd, 64), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

static int
echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char block[512];
    ssize_t n;
    while ((n = weft_read(fd, block, sizeof block)) > 0) {
        for (ssize_t at = 0, rc; at < n; at += rc)
            if ((rc = weft_write(fd, block + at, (size_t)(n - at))) < 0) return (int)rc;
    }
    int rc = weft_close(fd);
    return n < 0 ? (int)n : rc;
}

struct server {
    struct sockaddr_in address;
    int fd, clients;
    _Atomic int right;
};

static int
serve(void *arg)
{
    struct server *s = arg;
    for (int i = 0; i < s->clients; i++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        int fd = weft_accept(s->fd, (struct sockaddr *)&peer, &size);
        if (fd < 0) return fd;
        CHECK_INT(peer.sin_family, AF_INET);
        CHECK_INT(weft_spawn(NULL, echo, (void *)(intptr_t)fd), 0);
    }
    return 0;
}

static int
be_client(void *arg)
{
    struct server *s = arg;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), right = 0; /* weft_connect makes it non-blocking */
    int rc = weft_connect(fd, (const struct sockaddr *)&s->address, sizeof s->address);
    for (int i = 0; i < 20 && rc == 0; i++) {
        char text[32], answer[32] = "";
        snprintf(text, sizeof text, "message %d", i);
        size_t n = strlen(text) + 1, got = 0;
        if (weft_write(fd, text, n) != (ssize_t)n) rc = -EIO;
        while (rc == 0 && got < n) {
            ssize_t k = weft_read(fd, answer + got, n - got);
            if (k <= 0) rc = -EIO;
            else got += (size_t)k;
        }
        right += strcmp(text, answer) == 0;
    }
    if (right == 20) atomic_fetch_add(&s->right, 1);
    (void)weft_close(fd);
    return rc;
}

TASK_TEST(io, echo, "clients and a server that answers them, over TCP")
{
    enum { CLIENTS = 20 };
    struct server s = {.clients = CLIENTS};
    weft_task *clients[CLIENTS];
    s.fd = listener(&s.address);
    weft_task *server = spawned(serve, &s);
    for (int i = 0; i < CLIENTS; i++) clients[i] = spawned(be_client, &s);
    for (int i = 0; i < CLIENTS; i++) CHECK_INT(weft_join(clients[i]), 0);
    CHECK_INT(weft_join(server), 0);
    CHECK_INT(atomic_load(&s.right), CLIENTS);
    CHECK_INT(weft_close(s.fd), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(weft_connect(fd, (const struct sockaddr *)&s.address, sizeof s.address), -ECONNREFUSED);
    CHECK_INT(weft_close(fd), 0);
}

/* ---- Cancellation, by weft_stop -------------------------------------------------------------------------------------- */

static int
wait_for_client(void *arg)
{
    struct transfer *t = arg;
    transferred(t, weft_accept(t->fd, NULL, NULL));
    return 0;
}

static int
wait_for_process(void *arg)
{
    struct transfer *t = arg;
    transferred(t, weft_process_wait(t->fd, NULL));
    return 0;
}

static pid_t
idle_process(void)
{
    pid_t child = fork();
    if (child != 0) return child;
    pause();
    _exit(0);
}

TEST(io, cancelled, "a cancellation ends every wait, and nothing was read, accepted, or reaped")
{
    int ends[2];
    struct sockaddr_in address;
    pair_of(ends);
    int on = listener(&address);
    pid_t child = idle_process();
    CHECK_INT(weft_start(NULL), 0);
    struct transfer x[] = {transfer(ends[0], 0), transfer(ends[0], WEFT_IN), transfer(on, 0), transfer(child, 0)};
    weft_fn *fn[] = {read_byte, poll_it, wait_for_client, wait_for_process};
    weft_task *t[4];
    for (int i = 0; i < 4; i++) t[i] = spawned(fn[i], &x[i]);
    until_parked(4);
    CHECK_INT(weft_stop(), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(x[i].rc, WEFT_ECANCELED);
        weft_task_release(t[i]);
    }
    CHECK_INT(load_relaxed(&weft__reactor_count), 0);
    kill(child, SIGKILL);
    CHECK_INT(waitpid(child, NULL, 0), child);
    close_both(ends);
    CHECK_INT(close(on), 0);
}

static int
cancel_when_parked(void *arg)
{
    until_parked(1);
    weft_scope_cancel(arg, 0);
    return 0;
}

TASK_TEST(io, in_scope, "a wait ends when its scope is cancelled, or at the deadline of that")
{
    int ends[2];
    char byte;
    weft_scope s;
    pair_of(ends);
    weft_scope_open(&s, 0, weft_in(2 * WEFT_MS));
    CHECK_INT(weft_read(ends[0], &byte, 1), WEFT_ECANCELED);
    CHECK_INT(weft_write(ends[1], "x", 1), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, WEFT_ECANCELED), WEFT_ETIMEDOUT);
    for (int i = 0; i < 20; i++) {
        weft_scope_open(&s, 0, WEFT_FOREVER);
        weft_task *t = spawned(cancel_when_parked, &s); /* a member: s is open until it has ended */
        CHECK_INT(i % 2 ? weft_poll(ends[0], WEFT_IN, WEFT_FOREVER) : weft_read(ends[0], &byte, 1), WEFT_ECANCELED);
        CHECK_INT(weft_scope_close(&s, WEFT_ECANCELED), 0);
        CHECK_INT(weft_join(t), 0);
    }
    CHECK_INT(weft_write(ends[1], "x", 1), 1);
    CHECK_INT(weft_read(ends[0], &byte, 1), 1);
    CHECK_INT(load_relaxed(&weft__reactor_count), 0);
    close_both(ends);
}

struct flow {
    int fd;
    long long moved, rc;
};

static int
write_until_stopped(void *arg)
{
    static const char block[100000];
    struct flow *f = arg;
    while ((f->rc = weft_write(f->fd, block, sizeof block)) > 0) f->moved += f->rc;
    return (int)f->rc;
}

TASK_TEST(io, partial,
          "a write that moved something says how much; the next one reports the cancellation, and moved nothing")
{
    int ends[2];
    char block[4096];
    pair_of(ends);
    for (int i = 0; i < 5; i++) {
        struct flow f = {.fd = ends[0]};
        weft_task *t = spawned(write_until_stopped, &f);
        until_parked(1);
        CHECK(weft_cancel(t));
        CHECK_INT(weft_join(t), WEFT_ECANCELED);
        CHECK_INT(f.rc, WEFT_ECANCELED);
        CHECK(f.moved > 0);
        ssize_t n;
        long long got = 0;
        while ((n = weft_read_until(ends[1], block, sizeof block, WEFT_NOW)) > 0) got += n;
        CHECK_INT(got, f.moved);
    }
    close_both(ends);
}

/* ---- Processes, threads, forks --------------------------------------------------------------------------------------- */

TASK_TEST(io, process, "a wait for a process parks until it has ended, and says how")
{
    int ends[2], status = -1;
    pipe_of(ends, 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        _exit(read(ends[0], &byte, 1) == 1 ? 7 : 1);
    }
    CHECK_INT(weft_process_wait_until(child, &status, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_process_wait_until(child, &status, weft_in(3 * WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(status, -1);
    CHECK_INT(write(ends[1], "x", 1), 1);
    CHECK_INT(weft_process_wait(child, &status), 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK_INT(weft_process_wait(child, NULL), WEFT_ECHILD);
    CHECK_INT(weft_process_wait(0, NULL), WEFT_EINVAL);
    close_both(ends);
}

static void
interrupted(int number)
{
    (void)number;
}

struct outside {
    int ends[2];
    _Atomic int ready;
    long long got, late, now, polled;
};

static void *
use_outside(void *arg)
{
    struct outside *o = arg;
    char byte = 0;
    o->now = weft_read_until(o->ends[0], &byte, 1, WEFT_NOW);
    o->late = weft_read_until(o->ends[0], &byte, 1, weft_in(2 * WEFT_MS));
    atomic_store(&o->ready, 1);
    o->polled = weft_poll(o->ends[0], WEFT_IN, WEFT_FOREVER);
    o->got = weft_read(o->ends[0], &byte, 1) == 1 ? byte : -1;
    return NULL;
}

TEST(io, plain_thread, "a plain thread waits in the kernel; signals do not end that")
{
    struct outside o = {.ready = 0};
    struct sigaction action = {.sa_handler = interrupted}, before;
    pthread_t thread;
    pipe_of(o.ends, O_NONBLOCK);
    sigaction(SIGUSR1, &action, &before);
    CHECK_INT(pthread_create(&thread, NULL, use_outside, &o), 0);
    until(&o.ready, 1);
    for (int i = 0; i < 20; i++) {
        pthread_kill(thread, SIGUSR1);
        usleep(100);
    }
    CHECK_INT(weft_write(o.ends[1], "q", 1), 1);
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &before, NULL);
    CHECK_INT(o.now, WEFT_EAGAIN);
    CHECK_INT(o.late, WEFT_ETIMEDOUT);
    CHECK_INT(o.polled, WEFT_IN);
    CHECK_INT(o.got, 'q');
    close_both(o.ends);
}

TASK_TEST(io, fork, "a child process may read and write as a plain thread; what its parent waits for is not disturbed")
{
    int ends[2], status = 0;
    pair_of(ends);
    struct transfer r = transfer(ends[0], 0);
    weft_task *t = spawned(read_byte, &r);
    until_parked(1);
    pid_t child = fork();
    if (child == 0) {
        int own[2];
        char byte;
        if (pipe(own) != 0 || weft_write(own[1], "c", 1) != 1 || weft_read(own[0], &byte, 1) != 1) _exit(1);
        if (weft_poll(own[0], WEFT_IN, weft_in(WEFT_MS)) != WEFT_ETIMEDOUT) _exit(2);
        if (weft_close(own[0]) != 0 || weft_close(ends[0]) != 0) _exit(3);
        _exit(7);
    }
    CHECK_INT(weft_process_wait(child, &status), 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK_INT(weft_write(ends[1], "p", 1), 1);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(r.byte, 'p');
    close_both(ends);
}

/* ---- Beside other work ----------------------------------------------------------------------------------------------- */

static int
yield_on(void *arg)
{
    _Atomic int *stop = arg;
    while (!atomic_load(stop)) weft_yield();
    return 0;
}

TASK_TEST(io, busy_workers, "descriptors are looked after while every worker is busy with tasks that yield")
{
    int ends[2], busy = test_workers() + 1;
    _Atomic int stop = 0;
    pair_of(ends);
    weft_task **t = calloc((size_t)busy, sizeof *t);
    for (int i = 0; i < busy; i++) t[i] = spawned(yield_on, &stop);
    for (int i = 0; i < 20; i++) check_read_parks(ends[0], ends[1]);
    atomic_store(&stop, 1);
    for (int i = 0; i < busy; i++) CHECK_INT(weft_join(t[i]), 0);
    free(t);
    close_both(ends);
}

static int
compute_until(void *arg)
{
    while (!atomic_load((_Atomic int *)arg)) sched_yield();
    return 0;
}

static void *
write_from_outside(void *arg)
{
    usleep(2000);
    CHECK_INT(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

static int
read_beside_computers(void *arg)
{
    int ends[2];
    _Atomic int done = 0;
    pthread_t thread;
    (void)arg;
    pair_of(ends);
    for (int i = 0; i < 10; i++) {
        struct transfer r = transfer(ends[0], 0);
        atomic_store(&done, 0);
        r.done = &done;
        weft_task *reader = spawned(read_byte, &r);
        until_parked(1);
        CHECK_INT(pthread_create(&thread, NULL, write_from_outside, &ends[1]), 0);
        weft_task *t = spawned(compute_until, &done);
        CHECK_INT(weft_join(t), 0); /* in place, or not: one worker is busy until the other has had the event */
        CHECK_INT(weft_join(reader), 0);
        pthread_join(thread, NULL);
    }
    close_both(ends);
    return 0;
}

TEST(io, beside_computer, "while one worker computes, another that slept is woken by the descriptor")
{
    CHECK_INT(run_on(2, read_beside_computers, NULL), 0);
}

static int
wait_long(void *arg)
{
    struct transfer *t = arg;
    return weft_poll(t->fd, WEFT_IN, WEFT_FOREVER) > 0 ? 0 : 1;
}

TASK_TEST(io, many, "hundreds of idle sockets are waited for, and each is woken by its own event")
{
    enum { MOST = 400 };
    int n = TEST_TSAN ? 100 : MOST;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * MOST + 100) n = 100;
    int(*ends)[2] = calloc((size_t)n, sizeof *ends);
    struct transfer *r = calloc((size_t)n, sizeof *r);
    weft_task **t = calloc((size_t)n, sizeof *t);
    for (int i = 0; i < n; i++) {
        pair_of(ends[i]);
        r[i] = transfer(ends[i][0], 0);
        t[i] = spawned(wait_long, &r[i]);
    }
    until_parked((uint32_t)n);
    for (int i = n; i-- > 0;) CHECK_INT(write(ends[i][1], "x", 1), 1);
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(t[i]), 0);
    for (int i = 0; i < n; i++) close_both(ends[i]);
    free(ends), free(r), free(t);
}

static int
read_nothing(void *arg)
{
    char byte;
    return (int)weft_read((int)(intptr_t)arg, &byte, 1);
}

TEST(io, idle, "ten thousand sockets that somebody reads from, and on which nothing comes, cost no CPU")
{
    struct rlimit before, limit;
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    limit.rlim_cur = limit.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int n = TEST_TSAN || scaled(100) < 100 ? 500 : 5000;
    if (limit.rlim_cur < (rlim_t)(2 * n + 100)) n = (int)(limit.rlim_cur - 100) / 2;
    int(*ends)[2] = calloc((size_t)n, sizeof *ends);
    weft_config cfg = {.size = sizeof cfg, .workers = test_workers()};
    CHECK_INT(weft_start(&cfg), 0);
    for (int i = 0; i < n; i++) {
        pair_of(ends[i]);
        for (int k = 0; k < 2; k++) CHECK_INT(weft_spawn(NULL, read_nothing, (void *)(intptr_t)ends[i][k]), 0);
    }
    until_parked((uint32_t)(2 * n));
    check_comes_to_rest();
    CHECK_INT(weft_stop(), 0); /* it cancels them */
    CHECK_INT(load_relaxed(&weft__reactor_count), 0);
    for (int i = 0; i < n; i++) {
        CHECK_INT(close(ends[i][0]), 0);
        CHECK_INT(close(ends[i][1]), 0);
    }
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    free(ends);
}

/* ---- No descriptors left --------------------------------------------------------------------------------------------- */

/* A limit of two: there are none but stdin and stdout, which there are, whatever else is opened and closed at the same time (by
 * other workers that start, or look into /proc).  Not less: poll(2) goes by the limit, too. */
static int
wait_without_descriptors(void *arg)
{
    const int *ends = arg;
    struct sockaddr_in address;
    struct rlimit before, few;
    int server = listener(&address), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t child = idle_process();
    CHECK_INT(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    int in = dup(STDIN_FILENO);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = 2;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    CHECK_INT(weft_poll(ends[0], WEFT_IN, WEFT_FOREVER), -EMFILE);
    CHECK_INT(weft_poll(ends[0], WEFT_OUT, WEFT_FOREVER), WEFT_OUT); /* it is ready */
    CHECK_INT(weft_accept(server, NULL, NULL), -EMFILE);
    CHECK_INT(weft_process_wait_until(child, NULL, weft_in(2 * WEFT_MS)), WEFT_ETIMEDOUT); /* it looks now and then */
    kill(child, SIGKILL);
    CHECK_INT(weft_process_wait(child, NULL), 0);
    CHECK_INT(close(STDIN_FILENO), 0);
    CHECK_INT(weft_poll(ends[0], WEFT_IN, WEFT_FOREVER), -EMFILE);       /* epoll, and then the alarm */
    while (fcntl(in, F_DUPFD_CLOEXEC, 0) != STDIN_FILENO) sched_yield(); /* somebody else has it for a moment */
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(fcntl(STDIN_FILENO, F_SETFD, 0), 0);
    CHECK_INT(close(in), 0);
    CHECK_INT(weft_poll(ends[0], WEFT_IN, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    int accepted = weft_accept(server, NULL, NULL);
    CHECK(accepted >= 0);
    CHECK_INT(close(accepted), 0);
    CHECK_INT(close(client), 0);
    CHECK_INT(close(server), 0);
    return 0;
}

TEST(io, no_descriptors, "where there are no descriptors left, a wait says so, and later waits work")
{
    int ends[2];
    pair_of(ends);
    CHECK_INT(run_on(test_workers(), wait_without_descriptors, ends), 0);
    close_both(ends);
}
