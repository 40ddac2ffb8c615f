/* io.c - a byte to and fro over a pair of sockets, between two tasks and between two threads; and what ten thousand sockets cost
 * that somebody waits for, and on which nothing comes. */
#include "on_weft.h"
#include "threads.h"

#include <sys/resource.h>
#include <sys/socket.h>

struct ends {
    int fd[2];
    uint64_t n;
};

static struct ends
pair(int flags)
{
    struct ends e = {.n = (uint64_t)bench_size(20000, 1000)};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, e.fd) < 0)
        bench_fail("socketpair: %s", strerror(errno));
    return e;
}

static void
close_pair(struct ends *e)
{
    ok(weft_close(e->fd[0]), "weft_close");
    ok(weft_close(e->fd[1]), "weft_close");
}

/* ---- To and fro ------------------------------------------------------------------------------------------------------ */

static void
one(ssize_t n, const char *what)
{
    if (n != 1) bench_fail("%s: %zd", what, n);
}

static int
answer(void *arg)
{
    const struct ends *e = arg;
    char byte;
    for (uint64_t i = 0; i < e->n; i++) {
        one(weft_read(e->fd[1], &byte, 1), "weft_read");
        one(weft_write(e->fd[1], &byte, 1), "weft_write");
    }
    return 0;
}

static void
two_tasks(struct bench_sample *s)
{
    struct ends e = pair(SOCK_NONBLOCK);
    char byte = 0;
    weft_task *t = start(answer, &e);
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < e.n; i++) {
        one(weft_write(e.fd[0], &byte, 1), "weft_write");
        one(weft_read(e.fd[0], &byte, 1), "weft_read");
    }
    s->values[0] = bench_since(begun, (double)e.n);
    join(t);
    close_pair(&e);
}

static void *
answer_on_thread(void *arg)
{
    const struct ends *e = arg;
    char byte;
    for (uint64_t i = 0; i < e->n; i++) {
        one(read(e->fd[1], &byte, 1), "read");
        one(write(e->fd[1], &byte, 1), "write");
    }
    return NULL;
}

static void
two_threads(struct bench_sample *s)
{
    struct ends e = pair(0);
    char byte = 0;
    pthread_t t = thread_start(answer_on_thread, &e, NULL);
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < e.n; i++) {
        one(write(e.fd[0], &byte, 1), "write");
        one(read(e.fd[0], &byte, 1), "read");
    }
    s->values[0] = bench_since(begun, (double)e.n);
    pthread_join(t, NULL);
    close(e.fd[0]), close(e.fd[1]);
}

/* ---- Nothing comes --------------------------------------------------------------------------------------------------- */

static double
cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int
wait_for_one(void *arg)
{
    const struct ends *e = arg;
    char byte;
    return (int)weft_read(e->fd[0], &byte, 1) == 1 ? 0 : 1;
}

static void
idle_sockets(struct bench_sample *s)
{
    struct rlimit limit;
    int n = bench_size(10000, 500);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < (rlim_t)(2 * n + 100)) n = (int)(limit.rlim_cur - 100) / 2;
    struct ends *e = bench_alloc((size_t)n, sizeof *e);
    weft_task **t = bench_alloc((size_t)n, sizeof *t);
    for (int i = 0; i < n; i++) {
        e[i] = pair(SOCK_NONBLOCK);
        t[i] = start(wait_for_one, &e[i]);
    }
    ok(weft_sleep(bench_size(500, 50) * WEFT_MS), "weft_sleep"); /* all of them wait by then */
    double before = cpu_seconds();
    ok(weft_sleep(bench_size(1000, 100) * WEFT_MS), "weft_sleep");
    s->values[0] = cpu_seconds() - before;
    for (int i = 0; i < n; i++) one(weft_write(e[i].fd[1], "x", 1), "weft_write");
    for (int i = 0; i < n; i++) join(t[i]);
    for (int i = 0; i < n; i++) close_pair(&e[i]);
    free(e), free(t);
}

static const struct bench_value round_trip[] = {{"io-pingpong", "ns", "round trip"}};
static const struct bench_variant round_trips[] = {
    {"threads", BENCH_TWIN, two_threads},
    {"read+write", BENCH_ONE_AND_ALL, two_tasks},
};
static const struct bench_value idle_cost[] = {{"io-idle", "s", "second with 10 000 sockets"}};
static const struct bench_variant idle_variants[] = {{"weft_read", BENCH_ONE_AND_ALL, idle_sockets}};
static const struct bench_group groups[] = {BENCH_GROUP(round_trip, round_trips, 0),
                                            BENCH_GROUP(idle_cost, idle_variants, 0)};

BENCH_MAIN(groups)
