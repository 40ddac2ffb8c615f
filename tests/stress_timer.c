/* stress_timer.c - deadlines against wakes, cancellations and each other: nothing fires early, nothing twice, all in order.
 *
 * In each round one of
 *
 *      the wheel alone       one thread adds, deletes and polls up to 100 000 timers: a poll fires what is due, all of
 *                            it, and nothing else
 *      the wheel, contested  threads add, delete and poll at once: whoever deletes a timer knows afterwards whether it
 *                            has fired, and may reuse its memory; what fires, fires once
 *      a runtime             thousands of tasks and some threads sleep, put and take with deadlines, and wait for tasks
 *                            that end at about their deadlines, until they are through, or the runtime is stopped
 *      sleepers in a row     on one worker those whose deadlines are apart wake in the order of their deadlines
 *
 * Deadlines lie in the past, now, within microseconds, and far away. */
#include "stress_kit.h"

#include "clock.h"
#include "timerq.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK = 8192, /* ns, of the wheel */
    PENDING = STRESS_TSAN ? 5000 : 100000,
    MOST_THREADS = 6,
    MOST_SLEEPERS = STRESS_TSAN ? 300 : 2500,
    CHANNELS = 4,
    CROWD = 64, /* timers of one thread of a contest */
    ROW = 200
};

#define KINDS(X)                                                                                                       \
    X(ALONE, "the wheel alone") X(CONTEST, "the wheel, contested") X(TASKS, "a runtime") X(IN_A_ROW, "in a row")
enum kind { KINDS(STRESS_NAME) N_KINDS };
static const char *const kind_texts[] = {KINDS(STRESS_TEXT)};

static enum kind kind;
static uint64_t round_random;
static long rounds[N_KINDS], rows_checked;
static atomic_long added, deleted, fired, sleeps, timeouts, cancelled, shortages;

static int64_t
random_time(uint64_t *random, int64_t now)
{
    static const int64_t spans[] = {1, 20000, 300000, 2000000, 20000000};
    if (stress_dice(random, 40) == 0) return now + stress_dice(random, 1000) * WEFT_S; /* far away */
    if (stress_dice(random, 20) == 0) return now - stress_dice(random, 1000000);
    return now + stress_dice(random, (int)spans[stress_dice(random, 4)]);
}

/* ---- The wheel alone ------------------------------------------------------------------------------------------------- */

/* A timer with the parker that it wakes, as a plain thread would have it. */
struct alarm {
    struct timer timer;
    struct parker parker;
    uint64_t ticket;
    int64_t when, due; /* due: no sooner than it was added */
    bool pending;
};

static struct alarm alarms[PENDING];

static void
set(struct alarm *a, int64_t when)
{
    memset(&a->timer, 0xa5, sizeof a->timer);
    store_relaxed(&a->parker.futex, 0); /* relaxed: the wheel's lock publishes it */
    a->ticket = weft__park_arm(&a->parker, "test", false);
    a->when = when;
    a->pending = true;
    a->due = weft__clock_now() > when ? weft__clock_now() : when;
    weft__timer_add(&a->timer, when, &a->parker, a->ticket);
    stress_count(&added, 1);
}

static bool
rang(const struct alarm *a)
{
    return load_acquire(&a->parker.futex) != 0; /* pairs with the wake */
}

/* Takes a back, fired or not; afterwards nobody may touch it. */
static void
unset(struct alarm *a)
{
    weft__timer_del(&a->timer);
    if (weft__park_claim(&a->parker, a->ticket)) {
        stress_count(&deleted, 1);
        if (rang(a)) stress_die("a timer woke somebody who had claimed himself");
    } else {
        while (!rang(a)) sched_yield(); /* claimed: the wake is on its way */
        int64_t now = weft__clock_now();
        if (now < a->when) stress_die("a timer fired %lld ns early", (long long)(a->when - now));
        if (a->parker.code != WEFT_ETIMEDOUT || a->parker.index != PARK_INTERRUPTED)
            stress_die("a timer gave code %d and index %u", a->parker.code, a->parker.index);
        stress_count(&fired, 1);
    }
    memset(&a->timer, 0x5a, sizeof a->timer);
    a->pending = false;
}

static void
poll_and_check(int n)
{
    int64_t before = weft__clock_now();
    weft__timers_poll();
    int64_t after = weft__clock_now(), next = weft__timers_next();
    for (int k = 0; k < n; k++) {
        struct alarm *a = &alarms[k];
        if (!a->pending) continue;
        if (rang(a)) {
            if (a->when > after) stress_die("a timer fired %lld ns early", (long long)(a->when - after));
            unset(a);
        } else {
            if (a->due <= before - 2 * TICK) stress_die("a timer is %lld ns late", (long long)(before - a->due));
            if (next > a->due + 2 * TICK) stress_die("the next poll is %lld ns late", (long long)(next - a->due));
        }
    }
}

static void
wheel_alone(uint64_t *random)
{
    bool many = stress_dice(random, 4) == 0;
    int n = 1 + stress_dice(random, many ? PENDING : 300);
    int steps = many ? 6 : 60;
    for (int step = 0; step < steps; step++) {
        int64_t now = weft__clock_now();
        for (int k = 0; k < n; k++) {
            struct alarm *a = &alarms[k];
            if (!a->pending && stress_dice(random, 2)) set(a, random_time(random, now));
            else if (a->pending && stress_dice(random, 16) == 0) unset(a);
        }
        if (stress_dice(random, 2)) stress_pause(stress_dice(random, 400) * WEFT_US);
        if (stress_lose()) unset(&alarms[0]), alarms[0].pending = true, alarms[0].due = 0;
        poll_and_check(n);
        stress_moved();
    }
    for (int k = 0; k < n; k++) {
        if (alarms[k].pending) unset(&alarms[k]);
    }
}

/* ---- The wheel, contested -------------------------------------------------------------------------------------------- */

static void *
contend(void *arg)
{
    uint64_t random = stress_mix(round_random, (uint64_t)(uintptr_t)arg);
    struct alarm *mine = stress_alloc(CROWD, sizeof *mine);
    for (int steps = 4000; steps > 0; steps--) {
        struct alarm *a = &mine[stress_dice(&random, CROWD)];
        if (a->pending) unset(a);
        else set(a, random_time(&random, weft__clock_now()));
        if (stress_dice(&random, 4) == 0) weft__timers_poll();
        if (steps % 512 == 0) stress_moved();
    }
    for (int k = 0; k < CROWD; k++) {
        if (mine[k].pending) unset(&mine[k]);
    }
    free(mine);
    return NULL;
}

static void
wheel_contested(uint64_t *random)
{
    pthread_t threads[MOST_THREADS];
    int n = 2 + stress_dice(random, MOST_THREADS - 1);
    for (int k = 0; k < n; k++) threads[k] = stress_thread(contend, (void *)(uintptr_t)k);
    for (int k = 0; k < n; k++) stress_join_thread(threads[k]);
    weft__timers_poll();
    if (weft__timers_next() != INT64_MAX) stress_die("all timers are deleted, and the wheel is not empty");
}

/* ---- A runtime ------------------------------------------------------------------------------------------------------- */

static struct {
    weft_config cfg;
    weft_channel *channels[CHANNELS];
    atomic_long put, taken, asleep, started, dropped;
    int tasks, threads;
    atomic_bool stopping;
} crowd;

/* Checks a code of a call with a deadline: nothing times out early. */
static int
checked(int rc, weft_time deadline, const char *what)
{
    if (rc == WEFT_ETIMEDOUT || (rc == WEFT_EAGAIN && deadline == WEFT_NOW)) {
        weft_time now = weft_now();
        if (now < deadline) stress_die("%s timed out %lld ns early", what, (long long)(deadline - now));
        stress_count(&timeouts, 1);
        return 1;
    }
    if (rc == WEFT_ECANCELED && atomic_load(&crowd.stopping)) {
        stress_count(&cancelled, 1);
        return WEFT_ECANCELED;
    }
    if (stress_short(rc)) {
        stress_count(&shortages, 1);
        return 1;
    }
    if (rc) stress_die("%s gave %s", what, weft_error_name(rc));
    return 0;
}

static weft_time
soon(uint64_t *random)
{
    if (stress_dice(random, 16) == 0) return WEFT_NOW;
    return weft_in(stress_dice(random, stress_dice(random, 3) ? 300000 : 5000000) - 10000);
}

static int
sleep_until(weft_time when)
{
    int rc = weft_sleep_until(when);
    weft_time now = weft_now();
    if (rc == 0 && now < when) stress_die("a sleep ended %lld ns early", (long long)(when - now));
    stress_count(&sleeps, 1);
    return rc == 0 ? 0 : checked(rc, when, "a sleep");
}

static int
sleep_and_return(void *arg)
{
    weft_time when;
    memcpy(&when, arg, sizeof when);
    return sleep_until(when);
}

/* A child that ends at about the deadline of whoever waits for it. */
static int
wait_for_child(uint64_t *random)
{
    weft_time deadline = soon(random), ends = deadline + stress_dice(random, 40000) - 20000;
    weft_task *t;
    int rc = weft_spawn_copy(&t, sleep_and_return, &ends, sizeof ends);
    if (rc == WEFT_ESHUTDOWN && atomic_load(&crowd.stopping)) return WEFT_ECANCELED;
    if (rc) return checked(rc, 0, "weft_spawn_copy");
    rc = weft_wait_until(t, deadline);
    if (rc == WEFT_ECHILD) rc = weft_task_error(t);
    else if (rc == 0 && !weft_task_isdone(t)) stress_die("a wait ended before its task");
    rc = checked(rc, deadline, "a wait");
    if (rc > 0) { /* it may have fired as the child ended */
        int again = weft_wait(t);
        if (again == WEFT_ECHILD) again = weft_task_error(t);
        rc = checked(again, WEFT_FOREVER, "the second wait");
    }
    weft_task_release(t);
    return rc;
}

static int
do_something(uint64_t *random)
{
    weft_channel *c = crowd.channels[stress_dice(random, CHANNELS)];
    weft_time deadline = soon(random);
    int rc, value = 1;
    switch (stress_dice(random, 6)) {
    case 0:
        return wait_for_child(random);
    case 1:
    case 2:
        rc = checked(weft_channel_put_until(c, &value, deadline), deadline, "a put");
        if (rc == 0) stress_count(&crowd.put, 1);
        return rc;
    case 3:
    case 4:
        rc = checked(weft_channel_take_until(c, &value, deadline), deadline, "a take");
        if (rc == 0 && !stress_lose()) stress_count(&crowd.taken, 1);
        return rc;
    default:
        return sleep_until(deadline);
    }
}

static int
live(void *arg)
{
    uint64_t random = stress_mix(round_random, (uint64_t)(uintptr_t)arg);
    int rc = 0;
    stress_count(&crowd.started, 1);
    for (int steps = 1 + stress_dice(&random, 12); steps > 0 && rc >= 0; steps--) {
        rc = do_something(&random);
        stress_moved();
    }
    return rc < 0 ? rc : 0;
}

static void *
live_on_thread(void *arg)
{
    live(arg);
    return NULL;
}

static void
drop(void *arg)
{
    (void)arg;
    stress_count(&crowd.dropped, 1);
}

static void
make_channels(uint64_t *random)
{
    for (int k = 0; k < CHANNELS; k++) {
        int rc;
        do rc = weft_channel_new(&crowd.channels[k], sizeof(int), (size_t)stress_dice(random, 4));
        while (stress_short(rc));
        if (rc) stress_die("no channel: %s", weft_error_name(rc));
    }
}

/* All tokens that were put were taken, or are still there. */
static void
check_channels(void)
{
    long left = 0;
    int value;
    for (int k = 0; k < CHANNELS; k++) {
        while (weft_channel_take_until(crowd.channels[k], &value, WEFT_NOW) == 0) left++;
        weft_channel_release(crowd.channels[k]);
    }
    if (stress_counted(&crowd.put) != stress_counted(&crowd.taken) + left)
        stress_die("%ld were put, %ld taken, and %ld are left", stress_counted(&crowd.put),
                   stress_counted(&crowd.taken), left);
}

static void
runtime(uint64_t *random)
{
    static const unsigned flags[] = {0, 0, WEFT_STICKY, WEFT_INTERACTIVE};
    pthread_t threads[MOST_THREADS];
    weft_task **tasks = stress_alloc(MOST_SLEEPERS, sizeof(weft_task *));
    bool stop = stress_dice(random, 3) == 0;
    memset(&crowd, 0, sizeof crowd);
    crowd.cfg = stress_config(random);
    crowd.tasks = 1 + stress_dice(random, stress_dice(random, 3) ? 200 : MOST_SLEEPERS);
    crowd.threads = stress_dice(random, MOST_THREADS);
    make_channels(random);
    stress_start(&crowd.cfg);
    long accepted = 0;
    for (int k = 0; k < crowd.tasks; k++) {
        weft_task_options opt = {.size = sizeof opt, .name = "timed", .drop = drop, .flags = flags[k % 4]};
        int rc = weft_spawn_with(&tasks[k], live, (void *)(uintptr_t)(k + MOST_THREADS), &opt);
        if (rc && !stress_short(rc)) stress_die("weft_spawn_with gave %s", weft_error_name(rc));
        accepted += rc == 0;
    }
    for (int k = 0; k < crowd.threads; k++) threads[k] = stress_thread(live_on_thread, (void *)(uintptr_t)k);
    if (stop) {
        stress_pause(stress_dice(random, 4000) * WEFT_US);
        atomic_store(&crowd.stopping, true);
        stress_stop(true);
    }
    for (int k = 0; k < crowd.threads; k++) stress_join_thread(threads[k]);
    for (int k = 0; k < crowd.tasks; k++) {
        int rc = tasks[k] ? weft_join(tasks[k]) : 0;
        if (rc && !stress_short(rc) && !(stop && rc == WEFT_ECANCELED))
            stress_die("a task gave %s", weft_error_name(rc));
    }
    check_channels();
    stress_stop(!stop); /* the channels' calls may have started it again */
    long ran = stress_counted(&crowd.started) - crowd.threads;
    if (accepted != ran + stress_counted(&crowd.dropped))
        stress_die("%ld tasks, of which %ld ran and %ld were dropped", accepted, ran, stress_counted(&crowd.dropped));
    free(tasks);
}

/* ---- Sleepers in a row ----------------------------------------------------------------------------------------------- */

static struct {
    weft_time when[ROW], last;
    int asleep;
    bool checked;
} row;

static int
sleep_in_row(void *arg)
{
    weft_time when = row.when[(uintptr_t)arg];
    row.asleep++;
    sleep_until(when);
    if (row.checked && when < row.last)
        stress_die("a sleep ended after one whose deadline was %lld ns later", (long long)(row.last - when));
    row.last = when;
    return 0;
}

/* One worker: what happens when sleepers wake happens in one order.  Who was late to bed may be woken late. */
static int
sleep_all(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    weft_task *t[ROW];
    weft_time first = weft_in(500000 + stress_dice(&random, 3000000));
    int n = 1 + stress_dice(&random, ROW), gap = 3 * TICK * (1 + stress_dice(&random, 2));
    memset(&row, 0, sizeof row);
    for (int k = 0; k < n; k++) row.when[k] = first + k * (weft_time)gap;
    for (int k = n - 1; k > 0; k--) {
        int other = stress_dice(&random, k + 1);
        weft_time when = row.when[k];
        row.when[k] = row.when[other];
        row.when[other] = when;
    }
    for (int k = 0; k < n; k++) {
        if (weft_spawn(&t[k], sleep_in_row, (void *)(uintptr_t)k)) stress_die("no task");
    }
    while (row.asleep < n) weft_yield();
    row.checked = weft_now() < first;
    rows_checked += row.checked;
    int64_t busy = stress_dice(&random, 2) ? stress_dice(&random, 8000000) : 0;
    for (weft_time end = weft_in(busy); weft_now() < end;) continue; /* many are due at once */
    for (int k = 0; k < n; k++) weft_join(t[k]);
    return 0;
}

static void
in_a_row(uint64_t *random)
{
    weft_config cfg = {.size = sizeof cfg, .workers = 1};
    int rc = weft_run(&cfg, sleep_all, random);
    if (rc) stress_die("weft_run gave %s", weft_error_name(rc));
}

/* ---- Rounds ---------------------------------------------------------------------------------------------------------- */

static void
run_round(unsigned number, uint64_t random)
{
    static void (*const run[])(uint64_t *) = {wheel_alone, wheel_contested, runtime, in_a_row};
    (void)number;
    kind = (enum kind)stress_dice(&random, N_KINDS);
    if (kind == IN_A_ROW && stress_failing()) kind = TASKS;
    round_random = stress_mix(random, 7);
    run[kind](&random);
    rounds[kind]++;
}

static void
describe(FILE *out)
{
    fprintf(out, "%s", kind_texts[kind]);
    if (kind == TASKS)
        fprintf(out, ": %d workers and %d, %d tasks, %d threads; %ld put, %ld taken, %ld begun, %ld dropped%s",
                crowd.cfg.workers, crowd.cfg.interactive, crowd.tasks, crowd.threads, stress_counted(&crowd.put),
                stress_counted(&crowd.taken), stress_counted(&crowd.started), stress_counted(&crowd.dropped),
                atomic_load(&crowd.stopping) ? ", stopping" : "");
    fputc('\n', out);
}

static void
totals(FILE *out)
{
    stress_print_rounds(out, kind_texts, rounds, N_KINDS);
    fprintf(out, " (%ld checked)", rows_checked);
    fprintf(out, "; %ld added, %ld deleted, %ld fired, %ld sleeps, %ld timeouts, %ld cancelled, %ld short of memory",
            stress_counted(&added), stress_counted(&deleted), stress_counted(&fired), stress_counted(&sleeps),
            stress_counted(&timeouts), stress_counted(&cancelled), stress_counted(&shortages));
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_timer", run_round, describe, totals});
}
