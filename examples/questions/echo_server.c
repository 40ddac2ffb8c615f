/* echo_server.c - an echo server that shuts down gracefully: what has begun is finished, within a deadline.
 *
 *     echo_server PORT        serves until it is sent SIGTERM or SIGINT
 *     echo_server             serves 1000 connections of its own, and is shut down
 *
 * A task per connection, members of a scope.  The signal is read from a descriptor, like everything else: the server closes the
 * port and notifies an event.  Connections that are between two lines say goodbye then; one in the middle of a line may finish it.
 * The scope is given a deadline at that moment: who has not ended by then is cancelled.  Closing the scope waits for all. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

struct server {
    int listener, signals;
    int64_t grace;
    weft_event closing; /* no new lines, please */
    atomic_int connections, graceful, forced;
};

/* ---- The server. */

static int
write_all(int fd, const char *data, ssize_t size)
{
    ssize_t n = 0;
    for (ssize_t at = 0; at < size && n >= 0; at += n) n = weft_write(fd, data + at, (size_t)(size - at));
    return n < 0 ? (int)n : 0;
}

/* 0 when the client has gone, or the server is closing and no line is unfinished. */
static int
echo(struct server *s, int fd)
{
    bool in_line = false;
    for (;;) {
        char data[1024];
        weft_case cases[] = {WEFT_READABLE(fd), WEFT_EVENT(in_line ? NULL : &s->closing)};
        int k = weft_select(cases, 2, WEFT_BIASED); /* what has come is answered first */
        if (k != 0) return k == 1 ? 0 : k;
        ssize_t n = weft_read(fd, data, sizeof data);
        if (n <= 0) return (int)n;
        int code = write_all(fd, data, n);
        if (code < 0) return code;
        in_line = data[n - 1] != '\n';
    }
}

struct connection {
    struct server *server;
    int fd;
};

static int
serve_one(void *arg)
{
    const struct connection *c = arg;
    int code = echo(c->server, c->fd);
    atomic_fetch_add(code == WEFT_ECANCELED ? &c->server->forced : &c->server->graceful, 1);
    weft_close(c->fd);
    return code == WEFT_ECANCELED ? code : 0; /* a client that breaks off is no failure of ours */
}

/* Until a signal comes. */
static int
accept_all(struct server *s)
{
    for (;;) {
        weft_case cases[] = {WEFT_READABLE(s->signals), WEFT_READABLE(s->listener)};
        int k = weft_select(cases, 2, WEFT_BIASED);
        if (k != 1) return k;
        struct connection c = {s, weft_accept_until(s->listener, NULL, NULL, WEFT_NOW)};
        if (c.fd < 0) { /* gone already; or there are too many: some will end */
            if (c.fd == -EMFILE || c.fd == -ENFILE) (void)weft_sleep(10 * WEFT_MS);
            continue;
        }
        atomic_fetch_add(&s->connections, 1);
        int code = weft_spawn_copy(NULL, serve_one, &c, sizeof c);
        if (code < 0) return weft_close(c.fd), code;
    }
}

static int
serve(void *arg)
{
    struct server *s = arg;
    weft_scope connections;
    weft_scope_open(&connections, 0, WEFT_FOREVER);
    int code = accept_all(s);
    weft_close(s->listener);
    weft_event_notify(&s->closing);
    weft_scope_deadline(&connections, weft_in(s->grace));
    code = weft_scope_close(&connections, code);
    return code == WEFT_ETIMEDOUT ? 0 : code; /* that some had to be forced is in s->forced */
}

static int
listen_on(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)address, size) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &size) < 0) {
        perror("echo_server");
        exit(1);
    }
    return fd;
}

/* ---- Its clients. */

enum { LINES = 3 };

struct crowd {
    struct sockaddr_in address;
    atomic_int talking, answers, goodbyes;
    weft_event at_rest; /* nobody talks any more */
};

static bool
ask(int fd, const char *text, ssize_t size)
{
    char answer[32];
    ssize_t got = 0, n = 1;
    if (write_all(fd, text, size) < 0) return false;
    for (; got < size && n > 0; got += n) n = weft_read(fd, answer + got, (size_t)(size - got));
    return n > 0 && memcmp(text, answer, (size_t)size) == 0;
}

/* Has its lines echoed, and stays connected until the server ends it. */
static int
be_client(struct crowd *c, bool stubborn)
{
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), code;
    code = fd < 0 ? -errno : weft_connect(fd, (struct sockaddr *)&c->address, sizeof c->address);
    for (int i = 0; i < LINES && code == 0; i++) {
        char line[32];
        if (ask(fd, line, snprintf(line, sizeof line, "line %d\n", i))) atomic_fetch_add(&c->answers, 1);
    }
    if (code == 0 && stubborn) (void)ask(fd, "a line without an en", 20);
    if (atomic_fetch_sub(&c->talking, 1) == 1) weft_event_notify(&c->at_rest);
    if (code == 0 && weft_read(fd, &byte, 1) == 0) atomic_fetch_add(&c->goodbyes, 1);
    weft_close(fd);
    return code;
}

static int
be_polite(void *crowd)
{
    return be_client(crowd, false);
}

static int
be_stubborn(void *crowd)
{
    return be_client(crowd, true);
}

/* Serves so many clients, and shuts down while all of them are connected. */
static int
test(int signals, int polite, int stubborn, int64_t grace)
{
    struct crowd c = {.address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                      .talking = polite + stubborn};
    struct server s = {.signals = signals, .grace = grace, .listener = listen_on(&c.address)};
    struct signalfd_siginfo signal;
    int n = polite + stubborn;
    weft_scope all;
    weft_scope_open(&all, 0, WEFT_FOREVER);
    int code = weft_spawn(NULL, serve, &s);
    for (int i = 0; i < n && code == 0; i++) code = weft_spawn(NULL, i < polite ? be_polite : be_stubborn, &c);
    if (code == 0) code = weft_event_wait(&c.at_rest);
    if (code == 0) kill(getpid(), SIGTERM);
    code = weft_scope_close(&all, code);
    if (read(signals, &signal, sizeof signal) != sizeof signal) puts("no signal");
    printf("%d connections, %d lines came back\n", atomic_load(&s.connections), atomic_load(&c.answers));
    printf("clients that were told goodbye: %d\n", atomic_load(&c.goodbyes));
    printf("connections without an end: %d\n", n - atomic_load(&s.graceful) - atomic_load(&s.forced));
    if (stubborn) printf("all that would not end were forced: %s\n", atomic_load(&s.forced) >= stubborn ? "yes" : "no");
    else printf("forced: %d\n", atomic_load(&s.forced));
    return code;
}

/* ---- Both. */

static int
run_server(int signals, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct server s = {.signals = signals, .grace = 5 * WEFT_S, .listener = listen_on(&address)};
    int code = serve(&s);
    printf("%d connections; at the end %d were forced\n", atomic_load(&s.connections), atomic_load(&s.forced));
    return code;
}

static int
root(void *arg)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    int signals = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC), code;
    if (signals < 0) return -errno;
    if (arg) {
        code = run_server(signals, atoi(arg));
    } else {
        code = test(signals, 1000, 0, 30 * WEFT_S); /* all will end by themselves, long before */
        if (code == 0) code = test(signals, 20, 5, 50 * WEFT_MS);
    }
    weft_close(signals);
    return code;
}

int
main(int argc, char **argv)
{
    struct rlimit files;
    sigset_t ends;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max; /* two for each connection of our own */
    setrlimit(RLIMIT_NOFILE, &files);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* they are for the descriptor; the workers inherit it */
    return weft_run(NULL, root, argc > 1 ? argv[1] : NULL) < 0;
}
