/* task_kit.h - what the tests of tasks and of the runtime share. */
#ifndef WEFT_TESTS_TASK_KIT_H
#define WEFT_TESTS_TASK_KIT_H

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <weft.h>

#include "test.h"

/* n, or less of it where every step is dear, and every live stack dearer. */
static inline int
scaled(int n)
{
    int divisor = TEST_SIM ? 400 : TEST_TSAN ? 100 : TEST_ASAN ? 10 : 1;
    return n > divisor ? n / divisor : 1;
}

/* Runs fn(arg) as the root task of a runtime with that many workers. */
static inline int
run_on(int workers, weft_fn *fn, void *arg)
{
    weft_config cfg = {.size = sizeof cfg, .workers = workers};
    return weft_run(&cfg, fn, arg);
}

static inline weft_task *
spawned(weft_fn *fn, void *arg)
{
    weft_task *t = NULL;
    CHECK_INT(weft_spawn(&t, fn, arg), 0);
    return t;
}

static inline int
task_kit__take_all(void *arg)
{
    int x, n = 0;
    while (weft_channel_take(arg, &x) == 0) n++;
    return n;
}

/* The caller hands n values to a task called "taker", one at a time. */
static inline void
meet_often(int n)
{
    weft_task_options o = {.size = sizeof o, .name = "taker"};
    weft_channel *c = NULL;
    weft_task *t = NULL;
    CHECK_INT(weft_channel_new(&c, sizeof(int), 0), 0);
    CHECK_INT(weft_spawn_with(&t, task_kit__take_all, c, &o), 0);
    for (int i = 0; i < n; i++) CHECK_INT(weft_channel_put(c, &i), 0);
    weft_channel_close(c, 0);
    CHECK_INT(weft_join(t), n);
    weft_channel_release(c);
}

static inline weft_task *
asynced(weft_fn *fn, void *arg)
{
    weft_task *t = NULL;
    CHECK_INT(weft_async(&t, fn, arg), 0);
    return t;
}

/* A task that is not scheduled yet, with these flags. */
static inline weft_task *
unscheduled(weft_fn *fn, void *arg, unsigned flags)
{
    weft_task_options opt = {.size = sizeof opt, .flags = flags};
    weft_task *t = NULL;
    CHECK_INT(weft_task_new(&t, fn, arg, &opt), 0);
    return t;
}

/* A test whose body is a sticky task.  What it starts with weft_async shares its worker: only one of them runs at a
 * time, and in the same order whatever the number of workers. */
#define WORKER_TEST(suite, id, sentence)                                                                               \
    static void suite##_##id##_on_worker(void);                                                                        \
    static int suite##_##id##_sticky(void *unused)                                                                     \
    {                                                                                                                  \
        (void)unused;                                                                                                  \
        suite##_##id##_on_worker();                                                                                    \
        return 0;                                                                                                      \
    }                                                                                                                  \
    TASK_TEST(suite, id, sentence)                                                                                     \
    {                                                                                                                  \
        CHECK_INT(weft_join(asynced(suite##_##id##_sticky, NULL)), 0);                                                 \
    }                                                                                                                  \
    static void suite##_##id##_on_worker(void)

/* Gives everybody else a turn, tasks and threads, until *word has reached value. */
static inline void
until(_Atomic int *word, int value)
{
    for (unsigned i = 1; atomic_load(word) < value; i++) {
        weft_yield();
        if (!weft_current() || i % 64 == 0) sched_yield();
    }
}

/* Keeps the core, and the worker, until *word has reached value: only another worker can get it there. */
static inline void
spin_until(_Atomic int *word, int value)
{
    while (atomic_load(word) < value) sched_yield();
}

static inline double
cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* Waits until a tenth of a second costs next to nothing. */
static inline void
check_comes_to_rest(void)
{
    double used = 1;
    for (int tries = 0; tries < 100 && used > 0.02; tries++) {
        double before = cpu_seconds();
        CHECK_INT(weft_sleep(100 * WEFT_MS), 0);
        used = cpu_seconds() - before;
    }
    CHECK(used <= 0.02);
}

/* Starts, and stops while a task of fn(arg) waits, as soon as that has set *waiting; it returns 0. */
static inline void
stop_while_waiting(weft_fn *fn, void *arg, _Atomic int *waiting)
{
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(fn, arg);
    until(waiting, 1);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_join(t), 0);
}

/* The order in which things happened; what is below length can be read when all have been noted. */
struct journal {
    _Atomic int length, begun;
    char text[256];
};

static inline void
note(struct journal *j, char what)
{
    int i = atomic_fetch_add(&j->begun, 1);
    if (CHECK(i < (int)sizeof j->text - 1)) j->text[i] = what;
    atomic_fetch_add(&j->length, 1);
}

/* Small numbers that are the same for the same seed. */
static inline unsigned
dice(unsigned *state, unsigned sides)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % sides;
}

/* Catches what is written to stderr. */
struct capture {
    int saved, in;
};

static inline bool
capture_begin(struct capture *c)
{
    int ends[2];
    /* O_DIRECT: every write stays a message of its own */
    if (!CHECK_INT(pipe2(ends, O_DIRECT | O_CLOEXEC), 0)) return false;
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    c->in = ends[0];
    c->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    return true;
}

/* Stores all that was written in text, and returns the number of writes that began with prefix. */
static inline int
capture_end(struct capture *c, char *text, size_t size, const char *prefix)
{
    int begun = 0;
    size_t used = 0;
    dup2(c->saved, STDERR_FILENO);
    close(c->saved);
    for (;;) {
        char message[4096];
        ssize_t n = read(c->in, message, sizeof message);
        if (n <= 0) break;
        if ((size_t)n >= strlen(prefix) && memcmp(message, prefix, strlen(prefix)) == 0) begun++;
        size_t room = size - 1 - used, taken = (size_t)n < room ? (size_t)n : room;
        memcpy(text + used, message, taken);
        used += taken;
    }
    text[used] = '\0';
    close(c->in);
    return begun;
}

#endif
