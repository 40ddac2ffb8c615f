/* happy_eyeballs.c - connects to the first address of a list that answers, without waiting long for those that do not.
 *
 * A host has several addresses, and some may be dead.  As in RFC 8305 attempts are staggered: the next begins when the last one
 * has failed, or has had its time and goes on beside it.  A scope with WEFT_RACE: the first attempt that completes cancels the
 * others, and closing it waits until they are gone, with their sockets.  Here the first address refuses, the second and
 * the last never answer, the third does. */
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

enum { ADDRESSES = 4, ANSWERING = 2 };

static const int64_t stagger = 50 * WEFT_MS; /* 250 ms in the world outside */

/* ---- Happy eyeballs. */

struct attempt {
    struct sockaddr_in address;
    atomic_int *winner; /* a descriptor, or -1 */
    weft_event over;
    int code;
};

static int
try_address(void *arg)
{
    struct attempt *a = arg;
    int none = -1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) a->code = -errno;
    else a->code = weft_connect(fd, (struct sockaddr *)&a->address, sizeof a->address);
    bool won = a->code == 0 && atomic_compare_exchange_strong(a->winner, &none, fd);
    if (fd >= 0 && !won) weft_close(fd);
    weft_event_notify(&a->over);
    return a->code;
}

/* A descriptor that is connected to one of the addresses, or a code. */
static int
connect_any(struct attempt *a, int n)
{
    atomic_int winner = -1;
    weft_scope race;
    int code = 0;
    weft_scope_open(&race, WEFT_RACE, weft_in(10 * WEFT_S));
    for (int i = 0; i < n && code == 0; i++) {
        a[i].winner = &winner;
        a[i].over = (weft_event)WEFT_EVENT_INIT;
        code = weft_spawn(NULL, try_address, &a[i]); /* refused when the race is over, as the wait is */
        if (code == 0) code = weft_event_wait_until(&a[i].over, weft_in(stagger));
        if (code == WEFT_ETIMEDOUT) code = 0; /* it goes on, and so do we */
    }
    code = weft_scope_close(&race, code);
    return code < 0 ? code : atomic_load(&winner);
}

/* ---- Addresses of all kinds, on this machine. */

static int
listen_on(struct sockaddr_in *address, int backlog)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)address, size) < 0 || listen(fd, backlog) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &size) < 0)
        perror("listen");
    return fd;
}

/* A host that never answers: connections that nobody accepts fill its queue, and the kernel drops whatever else comes. */
static void
fall_silent(int fds[4], struct sockaddr_in *address)
{
    fds[0] = listen_on(address, 0);
    for (int i = 1; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(fds[i], (struct sockaddr *)address, sizeof *address) < 0 && errno != EINPROGRESS) perror("connect");
    }
}

static int
greet(void *arg)
{
    const int *listener = arg;
    int fd;
    while ((fd = weft_accept(*listener, NULL, NULL)) >= 0) {
        (void)weft_write(fd, "welcome", 7);
        weft_close(fd);
    }
    return fd;
}

/* How many descriptors there are below 1000. */
static int
count_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 1000; fd++) n += lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF;
    return n;
}

static int
visit(struct attempt *attempts)
{
    char text[16] = "";
    for (int i = 0; i < ADDRESSES; i++) attempts[i].code = WEFT_ECANCELED;
    int fd = connect_any(attempts, ADDRESSES);
    if (fd < 0) return fd;
    ssize_t n, got = 0;
    while ((n = weft_read(fd, text + got, sizeof text - 1 - (size_t)got)) > 0) got += n;
    weft_close(fd);
    printf("the winner says: %s\n", text);
    return (int)n;
}

static int
root(void *arg)
{
    struct attempt attempts[ADDRESSES] = {0};
    int silent[2][4];
    (void)arg;
    weft_close(listen_on(&attempts[0].address, 1)); /* the port is nobody's now */
    fall_silent(silent[0], &attempts[1].address);
    int listener = listen_on(&attempts[ANSWERING].address, 8);
    fall_silent(silent[1], &attempts[3].address);

    weft_scope hosts;
    weft_scope_open(&hosts, 0, WEFT_FOREVER);
    int code = weft_spawn(NULL, greet, &listener);
    weft_time begin = weft_now();
    if (code == 0) code = visit(attempts);
    printf("connected after %.3f seconds\n", (double)(weft_now() - begin) / WEFT_S);
    for (int i = 0; i < ADDRESSES; i++) {
        const char *how = attempts[i].code == 0                ? "connected"
                          : attempts[i].code == -ECONNREFUSED  ? "refused"
                          : attempts[i].code == WEFT_ECANCELED ? "stopped"
                                                               : "failed";
        printf("address %d: %s\n", i + 1, how);
    }
    int before = count_descriptors();
    if (code == 0) code = visit(attempts);
    printf("descriptors left over: %d\n", count_descriptors() - before);
    weft_scope_cancel(&hosts, 0);
    code = weft_scope_close(&hosts, code);
    weft_close(listener);
    for (int i = 0; i < 8; i++) weft_close(silent[i / 4][i % 4]);
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
