/* test_select_io.c - selects over descriptors, and over descriptors and other things at once. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "select_kit.h"

static void
make_pipe(int ends[2])
{
    CHECK_INT(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

static void
close_pipe(const int ends[2])
{
    CHECK_INT(weft_close(ends[0]), 0);
    CHECK_INT(weft_close(ends[1]), 0);
}

/* Fills it, and returns with how many bytes. */
static int
fill(int fd)
{
    static const char block[4096];
    int n = 0;
    for (ssize_t k; (k = write(fd, block, sizeof block)) > 0;) n += (int)k;
    return n;
}

static int
drain(int fd)
{
    char block[4096];
    int n = 0;
    for (ssize_t k; (k = read(fd, block, sizeof block)) > 0;) n += (int)k;
    return n;
}

STICKY_TEST(select_io, readable, "a select goes on when a descriptor becomes readable, and reads nothing itself")
{
    int p[2];
    make_pipe(p);
    weft_channel *quiet = channel_of(0);
    weft_case cases[] = {WEFT_TAKE(quiet, NULL), WEFT_READABLE(p[0])};
    CHECK_INT(select_now(cases, 2), WEFT_EAGAIN);
    CHECK_INT(select_now(&cases[1], 1), WEFT_EAGAIN);
    for (int i = 0; i < 3; i++) {
        struct selector s;
        begin_select(&s, cases, 2, WEFT_FOREVER);
        CHECK(select_parked(&s));
        CHECK_INT(write(p[1], "x", 1), 1);
        CHECK_INT(finish_select(&s), 1);
        CHECK_INT(s.cases[1].rc, WEFT_IN);
        CHECK_INT(select_now(cases, 2), 1);
        CHECK_INT(drain(p[0]), 1);
        CHECK_INT(select_now(cases, 2), WEFT_EAGAIN);
    }
    close_pipe(p);
    weft_channel_release(quiet);
}

STICKY_TEST(select_io, writable, "a select goes on when a descriptor becomes writable")
{
    int p[2];
    make_pipe(p);
    weft_case cases[] = {WEFT_WRITABLE(p[1]), WEFT_TAKE(NULL, NULL)};
    CHECK_INT(weft_select(cases, 2, 0), 0);
    CHECK_INT(cases[0].rc, WEFT_OUT);
    CHECK(fill(p[1]) > 0);
    struct selector s;
    begin_select(&s, cases, 2, WEFT_FOREVER);
    CHECK(select_parked(&s));
    CHECK(drain(p[0]) > 0);
    CHECK_INT(finish_select(&s), 0);
    CHECK_INT(s.cases[0].rc, WEFT_OUT);
    close_pipe(p);
}

STICKY_TEST(select_io, others,
            "a channel, an event or a task ends a select that waits for descriptors too, and leaves none behind")
{
    int p[2];
    make_pipe(p);
    weft_channel *c = channel_of(0);
    weft_event e = WEFT_EVENT_AUTORESET_INIT;
    for (int i = 0; i < 20; i++) {
        struct actor *sleeper = taker(c);
        int64_t got = -1;
        weft_case cases[] = {WEFT_READABLE(p[0]), WEFT_TAKE(c, &got), WEFT_EVENT(&e), WEFT_READABLE(p[0]),
                             WEFT_DONE(sleeper->task)};
        struct selector s;
        begin_select(&s, cases, 5, WEFT_FOREVER);
        CHECK_INT(put(c, i), 0); /* to the one that came first, which ends by it */
        CHECK_INT(finish_select(&s), 4);
        CHECK_INT(finish(sleeper).value, i);
        cases[4] = WEFT_DONE(NULL);
        begin_select(&s, cases, 5, WEFT_FOREVER);
        if (i % 2) weft_event_notify(&e);
        else CHECK_INT(put(c, i), 0);
        CHECK_INT(finish_select(&s), i % 2 ? 2 : 1);
        CHECK_INT(got, i % 2 ? -1 : i);
        begin_select(&s, cases, 5, WEFT_FOREVER);
        CHECK_INT(write(p[1], "x", 1), 1);
        int k = finish_select(&s);
        CHECK(k == 0 || k == 3);
        CHECK_INT(drain(p[0]), 1);
    }
    close_pipe(p);
    weft_channel_release(c);
}

STICKY_TEST(select_io, closed,
            "a descriptor that is none, or is closed by weft_close, is executed with its code; -1 is disabled")
{
    int p[2];
    make_pipe(p);
    weft_channel *quiet = channel_of(0);
    weft_case cases[] = {WEFT_TAKE(quiet, NULL), WEFT_READABLE(p[0])}, disabled = WEFT_READABLE(-1);
    struct selector s;
    CHECK_INT(weft_select_until(&disabled, 1, 0, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    begin_select(&s, cases, 2, WEFT_FOREVER);
    CHECK_INT(weft_close(p[0]), 0);
    CHECK_INT(finish_select(&s), 1);
    CHECK_INT(s.cases[1].rc, -EBADF);
    CHECK_INT(weft_select(cases, 2, 0), 1);
    CHECK_INT(cases[1].rc, -EBADF);
    CHECK_INT(weft_close(p[1]), 0);
    weft_channel_release(quiet);
}

STICKY_TEST(select_io, both_ways, "one descriptor may be in a select for reading and for writing")
{
    int p[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p), 0);
    CHECK(fill(p[0]) > 0);
    weft_case cases[] = {WEFT_READABLE(p[0]), WEFT_WRITABLE(p[0])};
    struct selector s;
    CHECK_INT(select_now(cases, 2), WEFT_EAGAIN);
    begin_select(&s, cases, 2, WEFT_FOREVER);
    CHECK_INT(write(p[1], "x", 1), 1);
    CHECK_INT(finish_select(&s), 0);
    CHECK_INT(drain(p[0]), 1);
    begin_select(&s, cases, 2, WEFT_FOREVER);
    CHECK(drain(p[1]) > 0);
    CHECK_INT(finish_select(&s), 1);
    CHECK_INT(s.cases[1].rc, WEFT_OUT);
    close_pipe(p);
}

TASK_TEST(select_io, late, "the deadline of a select with descriptors")
{
    int p[2];
    make_pipe(p);
    weft_channel *quiet = channel_of(0);
    weft_case cases[] = {WEFT_READABLE(p[0]), WEFT_TAKE(quiet, NULL)};
    for (size_t n = 1; n <= 2; n++) {
        weft_time deadline = weft_in(2 * WEFT_MS);
        CHECK_INT(weft_select_until(cases, n, 0, deadline), WEFT_ETIMEDOUT);
        CHECK(weft_now() >= deadline);
    }
    CHECK_INT(write(p[1], "x", 1), 1);
    CHECK_INT(weft_select_until(cases, 2, 0, weft_now() - 1), 0);
    close_pipe(p);
    weft_channel_release(quiet);
}

struct consumer {
    int fd, eaten, wakes;
    weft_channel *stop;
};

/* Takes a byte each time that there seems to be one; others may be faster. */
static int
consume(void *arg)
{
    struct consumer *x = arg;
    for (;;) {
        char byte;
        weft_case cases[] = {WEFT_READABLE(x->fd), WEFT_TAKE(x->stop, NULL)};
        int k = weft_select(cases, 2, 0);
        if (k != 0) return k == 1 ? 0 : k;
        x->wakes++;
        x->eaten += read(x->fd, &byte, 1) == 1;
    }
}

TASK_TEST(select_io, many_readers, "every byte that comes is seen by one of many selects on the same descriptor")
{
    enum { READERS = 6 };
    int p[2], n = scaled(2000), eaten = 0;
    make_pipe(p);
    struct consumer x[READERS];
    weft_task *t[READERS];
    weft_channel *stop = channel_of(0);
    for (int i = 0; i < READERS; i++) {
        x[i] = (struct consumer){p[0], 0, 0, stop};
        t[i] = spawned(consume, &x[i]);
    }
    for (int i = 0; i < n; i++) CHECK_INT(weft_write(p[1], "x", 1), 1);
    weft_case empty = WEFT_WRITABLE(p[1]);
    CHECK_INT(weft_select(&empty, 1, 0), 0);
    AWAIT(weft_poll(p[0], WEFT_IN, WEFT_NOW) == WEFT_EAGAIN);
    CHECK(weft_channel_close(stop, 0));
    for (int i = 0; i < READERS; i++) {
        CHECK(joined(t[i], 0));
        eaten += x[i].eaten;
    }
    CHECK_INT(eaten, n);
    close_pipe(p);
    weft_channel_release(stop);
}

struct stopped {
    int fd;
    weft_channel *quiet;
    _Atomic int waiting;
    int result;
};

static int
select_until_stopped(void *arg)
{
    struct stopped *s = arg;
    weft_case cases[] = {WEFT_TAKE(s->quiet, NULL), WEFT_READABLE(s->fd)};
    atomic_store(&s->waiting, 1);
    s->result = weft_select(cases, 2, 0);
    return 0;
}

TEST(select_io, cancelled, "a cancellation ends a select with descriptors")
{
    int p[2];
    make_pipe(p);
    struct stopped s = {p[0], channel_of(0), 0, 0};
    stop_while_waiting(select_until_stopped, &s, &s.waiting);
    CHECK_INT(s.result, WEFT_ECANCELED);
    int64_t v = 0;
    CHECK_INT(weft_channel_put_until(s.quiet, &v, WEFT_NOW), WEFT_EAGAIN);
    close_pipe(p);
    weft_channel_release(s.quiet);
}

static void *
write_later(void *arg)
{
    const int *fd = arg;
    sched_yield();
    CHECK_INT(write(*fd, "x", 1), 1);
    return NULL;
}

TEST(select_io, plain_thread, "a plain thread selects over descriptors and channels, without a runtime")
{
    int p[2];
    pthread_t thread;
    make_pipe(p);
    weft_channel *c = channel_of(1);
    weft_case cases[] = {WEFT_READABLE(p[0]), WEFT_TAKE(c, NULL)};
    CHECK_INT(weft_select_until(cases, 2, 0, weft_in(3 * WEFT_MS)), WEFT_ETIMEDOUT);
    if (!CHECK_INT(pthread_create(&thread, NULL, write_later, &p[1]), 0)) return;
    CHECK_INT(weft_select(cases, 2, 0), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(drain(p[0]), 1);
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(weft_select(cases, 2, 0), 1);
    CHECK_INT(weft_worker(), -1);
    close_pipe(p);
    weft_channel_release(c);
}
