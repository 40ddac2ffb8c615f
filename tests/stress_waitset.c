/* stress_waitset.c - waits for any and for all of many tasks, against their ends, deadlines, releases and stops.
 *
 * In each round: a runtime; tasks that end after a while, some of which fail; and waiters, tasks (ordinary, sticky,
 * interactive) and plain threads, that wait for random sets of them, in all forms, again and again, with deadlines that
 * are often about when a task ends.  Tasks may be in a set more than once, and places may be empty.  In a third of the
 * rounds the runtime is stopped in the middle.
 *
 * After each wait: what it returned is true of the tasks, a time that has passed has passed, and a wait that was to be
 * ended by an end was. */
#include "stress_kit.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TASKS = STRESS_TSAN ? 60 : 300, MOST_SET = 80, MOST_WAITERS = 12, MOST_THREADS = 4 };

static struct {
    weft_config cfg;
    int tasks, waiters, threads, steps;
    uint64_t random;
    weft_task *task[MOST_TASKS];
    bool fails[MOST_TASKS];
    atomic_bool stopping;
} current;

static atomic_long anys, alls, fasts, timeouts, cancelled, shortages, failures;
static long stops;

/* What a task does: how long it takes, and how it ends. */
struct life {
    int number, pause, spins;
};

static int
live(void *arg)
{
    struct life l;
    memcpy(&l, arg, sizeof l);
    if (l.pause >= 0) {
        int rc = weft_sleep(l.pause);
        if (rc < 0) return rc;
    }
    for (volatile int k = 0; k < l.spins; k++) continue;
    return current.fails[l.number] ? WEFT_EPERM : 0;
}

/* A set of tasks, and which of them they are. */
struct set {
    weft_task *t[MOST_SET];
    int number[MOST_SET];
    size_t n;
};

static void
choose_set(struct set *s, uint64_t *random)
{
    s->n = (size_t)stress_dice(random, stress_dice(random, 3) ? 8 : MOST_SET);
    for (size_t k = 0; k < s->n; k++) {
        s->number[k] = stress_dice(random, current.tasks);
        s->t[k] = stress_dice(random, 8) ? weft_task_retain(current.task[s->number[k]]) : NULL;
    }
}

static void
drop_set(struct set *s)
{
    for (size_t k = 0; k < s->n; k++) weft_task_release(s->t[k]);
}

static bool
failed(const struct set *s, size_t k)
{
    return s->t[k] && weft_task_isfailed(s->t[k]);
}

/* A code that says nothing of the tasks; true: it was in order. */
static bool
excused(int rc, weft_time deadline, const char *what)
{
    weft_time now = weft_now();
    if (rc == WEFT_ETIMEDOUT || (rc == WEFT_EAGAIN && deadline == WEFT_NOW)) {
        if (now < deadline) stress_die("%s timed out %lld ns early", what, (long long)(deadline - now));
        stress_count(&timeouts, 1);
        return true;
    }
    if (rc == WEFT_ECANCELED && atomic_load(&current.stopping)) {
        stress_count(&cancelled, 1);
        return true;
    }
    if (stress_short(rc)) {
        stress_count(&shortages, 1);
        return true;
    }
    return false;
}

static void
check_any(const struct set *s, int rc, weft_time deadline)
{
    bool some = false;
    for (size_t k = 0; k < s->n; k++) some = some || s->t[k];
    if (stress_lose()) rc = (int)s->n;
    if (rc >= 0) {
        if ((size_t)rc >= s->n || !s->t[rc] || !weft_task_isdone(s->t[rc]))
            stress_die("waitany gave %d of %zu, which has not ended", rc, s->n);
    } else if (rc == WEFT_ENOENT ? some : !excused(rc, deadline, "waitany")) {
        stress_die("waitany gave %s", weft_error_name(rc));
    }
    stress_count(&anys, 1);
}

static void
check_all(const struct set *s, int rc, weft_time deadline, bool fast)
{
    size_t failing = 0, running = 0;
    for (size_t k = 0; k < s->n; k++) {
        running += s->t[k] && !weft_task_isdone(s->t[k]);
        failing += failed(s, k);
    }
    stress_count(fast ? &fasts : &alls, 1);
    stress_count(&failures, rc == WEFT_ECHILD);
    if (rc == 0 && (running || failing))
        stress_die("waitall gave 0: of %zu %zu run and %zu failed", s->n, running, failing);
    if (rc == WEFT_ECHILD && (failing == 0 || (!fast && running)))
        stress_die("waitall gave WEFT_ECHILD: of %zu %zu run and %zu failed", s->n, running, failing);
    if (rc != 0 && rc != WEFT_ECHILD && !excused(rc, deadline, "waitall"))
        stress_die("waitall gave %s", weft_error_name(rc));
}

static weft_time
some_deadline(uint64_t *random)
{
    if (stress_dice(random, 2)) return WEFT_FOREVER;
    if (stress_dice(random, 8) == 0) return WEFT_NOW;
    return weft_in(stress_dice(random, stress_dice(random, 3) ? 100000 : 3000000));
}

static int
wait_often(void *arg)
{
    uint64_t random = stress_mix(current.random, (uint64_t)(uintptr_t)arg);
    for (int steps = current.steps; steps > 0; steps--) {
        struct set s;
        choose_set(&s, &random);
        weft_time deadline = some_deadline(&random);
        unsigned flags = stress_dice(&random, 2) ? WEFT_FAILFAST : 0;
        if (stress_dice(&random, 2)) check_any(&s, weft_waitany_until(s.t, s.n, deadline), deadline);
        else check_all(&s, weft_waitall_until(s.t, s.n, flags, deadline), deadline, flags);
        drop_set(&s);
        stress_moved();
    }
    return 0;
}

static void *
wait_on_thread(void *arg)
{
    wait_often(arg);
    return NULL;
}

static void
make_tasks(uint64_t *random)
{
    for (int k = 0; k < current.tasks; k++) {
        struct life l = {.number = k, .spins = stress_dice(random, 2000)};
        l.pause = stress_dice(random, 3) ? stress_dice(random, 2000000) : -1;
        current.fails[k] = stress_dice(random, 10) == 0;
        int rc;
        do rc = weft_spawn_copy(&current.task[k], live, &l, sizeof l);
        while (stress_short(rc));
        if (rc) stress_die("weft_spawn_copy gave %s", weft_error_name(rc));
    }
}

static int
start_waiters(uint64_t *random, weft_task **waiters)
{
    static const unsigned flags[] = {0, 0, WEFT_STICKY, WEFT_INTERACTIVE};
    int n = 0;
    for (int k = 0; k < current.waiters; k++) {
        weft_task_options opt = {.size = sizeof opt, .name = "waiter", .flags = flags[stress_dice(random, 4)]};
        int rc = weft_spawn_with(&waiters[n], wait_often, (void *)(uintptr_t)(k + 1), &opt);
        if (rc && !stress_short(rc)) stress_die("weft_spawn_with gave %s", weft_error_name(rc));
        n += rc == 0;
    }
    return n;
}

static void
run_round(unsigned number, uint64_t random)
{
    weft_task *waiters[MOST_WAITERS];
    pthread_t threads[MOST_THREADS];
    bool stop = stress_dice(&random, 3) == 0;
    (void)number;
    memset(&current, 0, sizeof current);
    current.cfg = stress_config(&random);
    current.tasks = 1 + stress_dice(&random, stress_dice(&random, 3) ? 20 : MOST_TASKS);
    current.waiters = 1 + stress_dice(&random, MOST_WAITERS);
    current.threads = stress_dice(&random, MOST_THREADS + 1);
    current.steps = 1 + stress_dice(&random, 12);
    current.random = stress_mix(random, 7);
    stress_start(&current.cfg);
    make_tasks(&random);
    int n = start_waiters(&random, waiters);
    for (int k = 0; k < current.threads; k++)
        threads[k] = stress_thread(wait_on_thread, (void *)(uintptr_t)(k + 1 + MOST_WAITERS));
    if (stop) {
        stress_pause(stress_dice(&random, 2000) * WEFT_US);
        atomic_store(&current.stopping, true);
        stress_stop(true);
        stops++;
    }
    for (int k = 0; k < current.threads; k++) stress_join_thread(threads[k]);
    for (int k = 0; k < n; k++) {
        int rc = weft_join(waiters[k]);
        if (rc && !(stop && rc == WEFT_ECANCELED) && !stress_short(rc))
            stress_die("a waiter gave %s", weft_error_name(rc));
    }
    for (int k = 0; k < current.tasks; k++) {
        int rc = weft_join(current.task[k]);
        if (rc != (current.fails[k] ? WEFT_EPERM : 0) && !(stop && rc == WEFT_ECANCELED) && !stress_short(rc))
            stress_die("a task gave %s", weft_error_name(rc));
    }
    stress_stop(!stop);
}

static void
describe(FILE *out)
{
    fprintf(out, "%d workers and %d; %d tasks, %d waiters, %d threads, %d waits each%s\n", current.cfg.workers,
            current.cfg.interactive, current.tasks, current.waiters, current.threads, current.steps,
            atomic_load(&current.stopping) ? ", stopping" : "");
}

static void
totals(FILE *out)
{
    fprintf(out,
            "%ld waits for any, %ld for all, %ld fail fast; %ld saw a failure, %ld timed out, %ld cancelled, "
            "%ld short of memory, %ld stops",
            stress_counted(&anys), stress_counted(&alls), stress_counted(&fasts), stress_counted(&failures),
            stress_counted(&timeouts), stress_counted(&cancelled), stress_counted(&shortages), stops);
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_waitset", run_round, describe, totals});
}
