/* test_io_programs.c - two programs that everybody writes: the first address that answers, and a server that shuts down. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "task_kit.h"

/* ---- Happy eyeballs ------------------------------------------------------------------------------------------------ */

struct host {
    int64_t takes;
    int code; /* how an attempt ends that is not stopped */
    int rc;   /* how it has ended */
    weft_event over;
    _Atomic int *begun, *ended, *winners;
};

static int
attempt(void *arg)
{
    struct host *h = arg;
    atomic_fetch_add(h->begun, 1);
    h->rc = weft_sleep(h->takes);
    if (h->rc == 0) h->rc = h->code;
    if (h->rc == 0) atomic_fetch_add(h->winners, 1);
    weft_event_notify(&h->over);
    atomic_fetch_add(h->ended, 1);
    return h->rc;
}

/* An attempt begins when the one before has failed, or has had its time. */
static int
connect_any(struct host *h, int n, int64_t stagger)
{
    weft_scope race;
    int rc = 0;
    weft_scope_open(&race, WEFT_RACE, WEFT_FOREVER);
    for (int i = 0; i < n && rc == 0; i++) {
        rc = weft_spawn(NULL, attempt, &h[i]);
        if (rc == 0) rc = weft_event_wait_until(&h[i].over, weft_in(stagger));
        if (rc == WEFT_ETIMEDOUT) rc = 0;
    }
    return weft_scope_close(&race, rc);
}

/* [S258] */
TASK_TEST(io_programs, happy_eyeballs,
          "the first attempt that succeeds stops the others, none is left, and it takes the time that it must")
{
    enum { HOSTS = 4, STAGGER = 4 };
    _Atomic int begun = 0, ended = 0, winners = 0;
    struct host h[HOSTS] = {{.takes = 3600 * WEFT_S},                   /* from 0 ms on */
                            {.takes = 2 * WEFT_MS, .code = WEFT_EPERM}, /* from 4 ms on */
                            {.takes = 3 * WEFT_MS},                     /* from 6 ms on: so it is there at 9 */
                            {.takes = 3600 * WEFT_S}};
    for (int i = 0; i < HOSTS; i++) {
        h[i].begun = &begun;
        h[i].ended = &ended;
        h[i].winners = &winners;
        h[i].rc = WEFT_ECANCELED;
    }
    weft_time begin = weft_now();
    CHECK_INT(connect_any(h, HOSTS, STAGGER * WEFT_MS), 0);
    CHECK(weft_now() - begin >= 9 * WEFT_MS);
    CHECK_INT(atomic_load(&winners), 1);
    CHECK_INT(atomic_load(&begun), atomic_load(&ended));
    CHECK_INT(h[0].rc, WEFT_ECANCELED);
    CHECK(h[1].rc == WEFT_EPERM || h[1].rc == WEFT_ECANCELED); /* on a machine that is very late */
    CHECK_INT(h[2].rc, 0);
    CHECK_INT(h[3].rc, WEFT_ECANCELED);
    for (int i = 0; i < HOSTS; i++) {
        h[i].over = (weft_event)WEFT_EVENT_INIT;
        h[i].code = WEFT_EPERM;
        h[i].takes = 0;
    }
    CHECK_INT(connect_any(h, HOSTS, STAGGER * WEFT_MS), WEFT_EPERM); /* nobody answers */
}

/* ---- A server -------------------------------------------------------------------------------------------------------- */

struct server {
    weft_event closing;
    _Atomic int ended, forced;
};

struct connection {
    struct server *server;
    int fd;
};

static int
echo(const struct connection *c)
{
    bool unfinished = false;
    for (;;) {
        char byte;
        weft_case cases[] = {WEFT_READABLE(c->fd), WEFT_EVENT(unfinished ? NULL : &c->server->closing)};
        int k = weft_select(cases, 2, WEFT_BIASED);
        if (k != 0) return k < 0 ? k : 0;
        ssize_t n = weft_read(c->fd, &byte, 1);
        if (n == 1) n = weft_write(c->fd, &byte, 1);
        if (n != 1) return (int)n;
        unfinished = byte != '.';
    }
}

static int
serve(void *arg)
{
    struct connection *c = arg;
    int rc = echo(c);
    if (rc == WEFT_ECANCELED) atomic_fetch_add(&c->server->forced, 1);
    atomic_fetch_add(&c->server->ended, 1);
    (void)weft_close(c->fd);
    return rc;
}

/* n connections, of which some are in the middle of a request when the server shuts down. */
static void
check_shutdown(int n, int unfinished, int64_t grace)
{
    struct server s = {.closing = WEFT_EVENT_INIT};
    int *clients = calloc((size_t)n, sizeof *clients);
    weft_scope scope;
    char byte;
    weft_scope_open(&scope, 0, WEFT_FOREVER);
    for (int i = 0; i < n; i++) {
        int ends[2];
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        struct connection c = {&s, ends[0]};
        clients[i] = ends[1];
        CHECK_INT(weft_spawn_copy(NULL, serve, &c, sizeof c), 0);
        CHECK_INT(weft_write(clients[i], i < unfinished ? "?" : ".", 1), 1);
    }
    for (int i = 0; i < n; i++) CHECK_INT(weft_read(clients[i], &byte, 1), 1);
    CHECK_INT(atomic_load(&s.ended), 0);
    weft_event_notify(&s.closing);
    weft_scope_deadline(&scope, weft_in(grace));
    int rc = weft_scope_close(&scope, 0);
    CHECK_INT(rc, unfinished ? WEFT_ETIMEDOUT : 0);
    CHECK_INT(atomic_load(&s.ended), n);
    if (unfinished) CHECK(atomic_load(&s.forced) >= unfinished);
    else CHECK_INT(atomic_load(&s.forced), 0);
    for (int i = 0; i < n; i++) {
        CHECK_INT(weft_read(clients[i], &byte, 1), 0);
        CHECK_INT(weft_close(clients[i]), 0);
    }
    free(clients);
}

/* [S259] */
TASK_TEST(
    io_programs, shutdown,
    "a server that shuts down: all connections end, those that can within the grace, and then the others are forced")
{
    struct rlimit before, limit;
    int n = TEST_TSAN ? 200 : 1000;
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    limit.rlim_cur = limit.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < (rlim_t)(2 * n + 100)) n = (int)(limit.rlim_cur - 100) / 2;
    check_shutdown(n, 0, 3600 * WEFT_S);
    check_shutdown(20, 5, 5 * WEFT_MS);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
}
