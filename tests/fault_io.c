/* fault_io.c - waiting for descriptors, with faults: there is no epoll, or it takes no more. */
#include "fault_kit.h"

#include <sys/socket.h>

enum { PAIRS = 6, F_IO = F_MEMORY | F_FUTEX | F_EPOLL | F_EPOLL_CTL | F_EVENTFD | F_PPOLL | F_SOCKET };

static int ends[PAIRS][2];

static void
pairs(void)
{
    for (int i = 0; i < PAIRS; i++)
        FAULT_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends[i]) == 0);
}

/* A byte comes, or it is said why it cannot be waited for; then it can be looked for. */
static int
read_one(void *arg)
{
    int fd = *(int *)arg;
    char byte = 0;
    ssize_t n;
    while ((n = weft_read(fd, &byte, 1)) < 0) {
        if (fault_may((int)n)) break;
        if (weft_sleep(100 * WEFT_US) < 0) return 1;
    }
    return FAULT_CHECK(n == 1 && byte == 'x') ? 0 : 1;
}

static int
wait_one(void *arg)
{
    int rc = weft_poll(*(int *)arg, WEFT_IN, weft_in(500 * WEFT_US));
    return FAULT_CHECK(rc == WEFT_ETIMEDOUT || !fault_may(rc)) ? 0 : 1;
}

static int
traffic(void *arg)
{
    weft_task *t[2 * PAIRS];
    (void)arg;
    fault_arm();
    for (int i = 0; i < 2 * PAIRS; i++) {
        t[i] = NULL;
        fault_may(weft_spawn(&t[i], i % 2 ? read_one : wait_one, &ends[i / 2][0]));
    }
    for (int i = 0; i < 2 * PAIRS; i += 2)
        if (t[i]) fault_may(weft_join(t[i]));
    for (int i = 0; i < PAIRS; i++) FAULT_CHECK(weft_write(ends[i][1], "x", 1) == 1);
    for (int i = 1; i < 2 * PAIRS; i += 2)
        if (t[i]) fault_may(weft_join(t[i]));
    return 0;
}

FAULT_SCENARIO(io, F_IO, "io: every wait ends with what it waited for, or says why it cannot wait")
{
    pairs();
    fault_on_task(2, 0, traffic);
    for (int i = 0; i < PAIRS; i++) {
        FAULT_CHECK(weft_close(ends[i][0]) == 0);
        FAULT_CHECK(weft_close(ends[i][1]) == 0);
    }
}
