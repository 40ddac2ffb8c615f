/* stress_io.c - tasks that wait for descriptors, against each other, deadlines, closes, stops, and work of other kinds.
 *
 * In each round: a runtime; a few socket pairs; for each of them readers and writers, tasks (ordinary, sticky, interactive) and
 * plain threads, which move bytes over it, with deadlines, in scopes that are cancelled, or just look, by poll or select; tasks
 * that yield or compute meanwhile; and a task that closes other descriptors while somebody waits for them, so that their
 * numbers are used again.  In a third of the rounds the runtime is stopped in the middle.
 *
 * Every byte that was written is read, once; unless the runtime was stopped no wait ends but by what it waited for; and in the
 * end nothing is registered. */
#include "stress_kit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reactor.h"

enum { MOST_PAIRS = 6, MOST_AGENTS = 8, MOST_THREADS = 3 };

struct link {
    int ends[2];
    int readers, writers, size; /* each writer writes size bytes */
    _Atomic long wrote, got;
    _Atomic int at_work, not_run; /* writers; readers that had no memory for a stack */
};

static struct {
    weft_config cfg;
    int links, threads, closers, busy;
    uint64_t random;
    struct link link[MOST_PAIRS];
    atomic_bool stopping, stopped;
} current;

static atomic_long written, fetched, looks, timeouts, closed, cancelled, shortages;
static long stops;

static weft_time
some_deadline(uint64_t *random)
{
    if (stress_dice(random, 2)) return WEFT_FOREVER;
    if (stress_dice(random, 8) == 0) return WEFT_NOW;
    return weft_in(stress_dice(random, 300000));
}

/* Did the call just not happen?  end: it may be the end. */
static bool
excused(long rc, weft_time deadline, const char *what)
{
    if (rc == WEFT_ECANCELED && atomic_load(&current.stopping)) {
        stress_count(&cancelled, 1);
    } else if (deadline != WEFT_FOREVER && (rc == WEFT_ETIMEDOUT || rc == WEFT_EAGAIN)) {
        if (weft_now() < deadline) stress_die("%s timed out early", what);
        stress_count(&timeouts, 1);
    } else if (stress_short((int)rc) || (stress_failing() && rc == -EMFILE)) {
        stress_count(&shortages, 1);
    } else {
        stress_die("%s gave %ld, %s", what, rc, weft_error_text((int)rc));
    }
    stress_give_turn();
    return true;
}

/* A writer has ended, or will never run: there is no memory for its stack. */
static void
end_writer(void *arg)
{
    struct link *l = arg;
    if (atomic_fetch_sub(&l->at_work, 1) == 1 && shutdown(l->ends[1], SHUT_WR) != 0) stress_die("shutdown");
}

static void
drop_reader(void *arg)
{
    struct link *l = arg;
    if (atomic_fetch_add(&l->not_run, 1) + 1 == l->readers && shutdown(l->ends[0], SHUT_RDWR) != 0)
        stress_die("shutdown");
}

static int
write_all(void *arg)
{
    struct link *l = arg;
    uint64_t random = stress_mix(current.random, (uint64_t)(uintptr_t)arg);
    char block[700];
    memset(block, 'b', sizeof block);
    for (int left = l->size; left > 0 && !atomic_load(&current.stopping);) {
        size_t n = (size_t)(1 + stress_dice(&random, (int)sizeof block));
        weft_time deadline = some_deadline(&random);
        ssize_t rc = weft_write_until(l->ends[1], block, n < (size_t)left ? n : (size_t)left, deadline);
        if (rc == WEFT_ECLOSED && atomic_load(&l->not_run) == l->readers) break;
        if (rc <= 0) {
            (void)excused(rc, deadline, "write");
            continue;
        }
        atomic_fetch_add(&l->wrote, rc);
        stress_count(&written, rc);
        left -= (int)rc;
        stress_moved();
    }
    end_writer(l);
    return 0;
}

static int
cancel_soon(void *arg)
{
    (void)weft_sleep(50 * WEFT_US);
    weft_scope_cancel(arg, 0);
    return 0;
}

/* A read in a scope of its own, which its deadline cancels, or a member. */
static ssize_t
read_in_scope(int fd, uint64_t *random, void *block, size_t size)
{
    weft_scope s;
    weft_scope_open(&s, 0, weft_in(stress_dice(random, 200000)));
    int rc = weft_current() && stress_dice(random, 2) ? weft_spawn(NULL, cancel_soon, &s) : 0;
    if (rc && rc != WEFT_ECANCELED && rc != WEFT_ESHUTDOWN && !stress_short(rc))
        stress_die("weft_spawn gave %s", weft_error_name(rc));
    ssize_t n = weft_read(fd, block, size);
    rc = weft_scope_close(&s, 0);
    if (rc && rc != WEFT_ETIMEDOUT && rc != WEFT_ECANCELED && !stress_short(rc))
        stress_die("a scope gave %s", weft_error_name(rc));
    return n == WEFT_ECANCELED && !atomic_load(&current.stopping) ? WEFT_ETIMEDOUT : n;
}

/* Waits until there may be something to read, or not that long. */
static void
look(int fd, uint64_t *random)
{
    weft_time deadline = some_deadline(random);
    int rc;
    if (stress_dice(random, 2)) {
        rc = weft_poll(fd, stress_dice(random, 2) ? WEFT_IN : WEFT_IN | WEFT_OUT, deadline);
        if (rc <= 0) (void)excused(rc, deadline, "poll");
    } else {
        weft_event never = WEFT_EVENT_INIT;
        weft_case cases[] = {WEFT_EVENT(&never), WEFT_READABLE(fd), WEFT_WRITABLE(stress_dice(random, 8) ? -1 : fd)};
        rc = weft_select_until(cases, 3, stress_dice(random, 2) ? WEFT_BIASED : 0, deadline);
        if (rc == 0) stress_die("a select executed what never happens");
        if (rc > 0) rc = cases[rc].rc;
        if (rc <= 0) (void)excused(rc, deadline, "select");
    }
    stress_count(&looks, 1);
}

static int
read_all(void *arg)
{
    struct link *l = arg;
    uint64_t random = stress_mix(current.random, (uint64_t)(uintptr_t)arg + 1);
    char block[500];
    for (;;) {
        if (stress_dice(&random, 4) == 0) look(l->ends[0], &random);
        bool scoped = stress_dice(&random, 8) == 0;
        weft_time deadline = scoped ? WEFT_NOW : some_deadline(&random);
        size_t size = (size_t)(1 + stress_dice(&random, (int)sizeof block));
        ssize_t rc = scoped ? read_in_scope(l->ends[0], &random, block, size)
                            : weft_read_until(l->ends[0], block, size, deadline);
        if (rc == 0) return 0;
        if (rc < 0) (void)excused(rc, deadline, "read");
        if (rc < 0 && atomic_load(&current.stopping)) return 0;
        if (rc > 0) {
            if (stress_lose()) rc--;
            atomic_fetch_add(&l->got, rc);
            stress_count(&fetched, rc);
            stress_moved();
        }
    }
}

static void *
on_thread(void *arg)
{
    (void)read_all(arg);
    return NULL;
}

struct waiter_on {
    int fd;
};

static int
wait_for_close(void *arg)
{
    struct waiter_on *w = arg;
    char byte;
    ssize_t rc = weft_read(w->fd, &byte, 1);
    if (rc >= 0) stress_die("a read of what was never written gave %zd", rc);
    if (rc != -EBADF) (void)excused(rc, WEFT_FOREVER, "read");
    return 0;
}

/* Makes descriptors, has tasks wait for them, and closes them: the numbers come back. */
static int
close_often(void *arg)
{
    uint64_t random = stress_mix(current.random, (uint64_t)(uintptr_t)arg + 2);
    for (int k = 0; k < 10 && !atomic_load(&current.stopping); k++) {
        int ends[2];
        weft_task *t;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) stress_die("socketpair");
        struct waiter_on w = {.fd = ends[0]};
        if (weft_spawn(&t, wait_for_close, &w) < 0) t = NULL;
        /* Not before it waits: else it would wait for whatever gets the number. */
        while (t && !load_relaxed(&t->waiting) && !weft_task_isdone(t)) stress_give_turn();
        if (stress_dice(&random, 2)) (void)weft_sleep(stress_dice(&random, 100000));
        if (weft_close(ends[0]) != 0 || weft_close(ends[1]) != 0) stress_die("close");
        while (t && !weft_task_isdone(t)) stress_give_turn();
        weft_task_release(t);
        stress_count(&closed, 1);
        stress_moved();
    }
    return 0;
}

static int
be_busy(void *arg)
{
    uint64_t random = stress_mix(current.random, (uint64_t)(uintptr_t)arg + 3);
    while (!atomic_load(&current.stopped) && !atomic_load(&current.stopping)) {
        if (stress_dice(&random, 4)) weft_yield();
        else if (weft_sleep(stress_dice(&random, 50000)) < 0) return 0;
        for (volatile int k = stress_dice(&random, 2000); k > 0; k--) continue;
    }
    return 0;
}

static weft_task *
start_agent(uint64_t *random, weft_fn *fn, void *arg, void (*drop)(void *arg))
{
    static const unsigned flags[] = {0, 0, WEFT_STICKY, WEFT_INTERACTIVE};
    weft_task_options opt = {.size = sizeof opt, .flags = flags[stress_dice(random, 4)], .drop = drop};
    weft_task *t = NULL;
    int rc;
    do rc = weft_spawn_with(&t, fn, arg, &opt);
    while (stress_short(rc));
    if (rc) stress_die("weft_spawn_with gave %s", weft_error_name(rc));
    return t;
}

static int
start_link(struct link *l, uint64_t *random, weft_task **tasks)
{
    int n = 0;
    l->readers = 1 + stress_dice(random, 3);
    l->writers = 1 + stress_dice(random, 3);
    l->size = stress_dice(random, STRESS_TSAN ? 3000 : 60000);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, l->ends) != 0) stress_die("socketpair");
    atomic_store(&l->at_work, l->writers);
    for (int k = 0; k < l->readers; k++) tasks[n++] = start_agent(random, read_all, l, drop_reader);
    for (int k = 0; k < l->writers; k++) tasks[n++] = start_agent(random, write_all, l, end_writer);
    return n;
}

static void
finish(weft_task **tasks, int n, bool stop)
{
    for (int k = 0; k < n; k++) {
        int rc = weft_join(tasks[k]);
        if (rc && !(stop && rc == WEFT_ECANCELED) && !stress_short(rc))
            stress_die("a task gave %s", weft_error_name(rc));
    }
}

static void
check_links(bool stop)
{
    for (int k = 0; k < current.links; k++) {
        struct link *l = &current.link[k];
        long wrote = atomic_load(&l->wrote), got = atomic_load(&l->got);
        if (stop ? got > wrote : !stress_failing() && (got != wrote || wrote != (long)l->size * l->writers))
            stress_die("%ld bytes were written, and %ld read", wrote, got);
        if (close(l->ends[0]) || close(l->ends[1])) stress_die("close");
    }
    if (load_relaxed(&weft__reactor_count) != 0)
        stress_die("%u registrations are left", load_relaxed(&weft__reactor_count));
}

static void
run_round(unsigned number, uint64_t random)
{
    weft_task *tasks[MOST_PAIRS * MOST_AGENTS], *others[MOST_AGENTS];
    pthread_t threads[MOST_THREADS];
    bool stop = stress_dice(&random, 3) == 0;
    int n = 0, m = 0;
    (void)number;
    memset(&current, 0, sizeof current);
    current.cfg = stress_config(&random);
    current.links = 1 + stress_dice(&random, MOST_PAIRS);
    current.threads = stress_dice(&random, MOST_THREADS + 1);
    current.closers = stress_dice(&random, 3);
    current.busy = stress_dice(&random, 3);
    current.random = stress_mix(random, 7);
    stress_start(&current.cfg);
    for (int k = 0; k < current.links; k++) n += start_link(&current.link[k], &random, tasks + n);
    for (int k = 0; k < current.threads; k++)
        threads[k] = stress_thread(on_thread, &current.link[stress_dice(&random, current.links)]);
    for (int k = 0; k < current.closers; k++)
        tasks[n++] = start_agent(&random, close_often, (void *)(uintptr_t)k, NULL);
    for (int k = 0; k < current.busy; k++) others[m++] = start_agent(&random, be_busy, (void *)(uintptr_t)k, NULL);
    if (stop) {
        stress_pause(stress_dice(&random, 1000) * WEFT_US);
        atomic_store(&current.stopping, true);
        stress_stop(true);
        stops++;
        for (int k = 0; k < current.links; k++) (void)shutdown(current.link[k].ends[1], SHUT_WR);
    }
    finish(tasks, n, stop);
    atomic_store(&current.stopped, true);
    finish(others, m, stop);
    for (int k = 0; k < current.threads; k++) stress_join_thread(threads[k]);
    if (!stop) stress_stop(true);
    check_links(stop);
}

static void
describe(FILE *out)
{
    fprintf(out, "%d workers and %d; %d links, %d threads, %d closers, %d busy; %u registrations%s\n",
            current.cfg.workers, current.cfg.interactive, current.links, current.threads, current.closers, current.busy,
            load_relaxed(&weft__reactor_count), atomic_load(&current.stopping) ? ", stopping" : "");
    for (int k = 0; k < current.links; k++) {
        const struct link *l = &current.link[k];
        fprintf(out,
                "  %d, %d: %d readers (%d not run), %d writers of %d, of which %d at work; %ld written, %ld read\n",
                l->ends[0], l->ends[1], l->readers, atomic_load(&l->not_run), l->writers, l->size,
                atomic_load(&l->at_work), atomic_load(&l->wrote), atomic_load(&l->got));
    }
}

static void
totals(FILE *out)
{
    fprintf(out,
            "%ld bytes written, %ld read, %ld looks, %ld closed, %ld timed out, %ld cancelled, %ld short of memory, "
            "%ld stops",
            stress_counted(&written), stress_counted(&fetched), stress_counted(&looks), stress_counted(&closed),
            stress_counted(&timeouts), stress_counted(&cancelled), stress_counted(&shortages), stops);
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_io", run_round, describe, totals});
}
