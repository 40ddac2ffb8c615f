/* fault_waits.c - waiting, parking, timers, the reports of failures, and stopping in the middle of it, with faults. */
#include "fault_kit.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

static _Atomic int runs;

static int
count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&runs, 1);
    return 0;
}

/* ---- Timers ---- */

static int
sleep_a_little(void *arg)
{
    weft_time until = weft_in((intptr_t)arg * WEFT_US);
    int rc = weft_sleep_until(until);
    FAULT_CHECK(rc < 0 || weft_now() >= until);
    return rc;
}

static int
time_out(void *arg)
{
    int x, rc = weft_channel_take_until(arg, &x, weft_in(200 * WEFT_US));
    return FAULT_CHECK(rc == WEFT_ETIMEDOUT) ? 0 : 1;
}

static int
timers(void *arg)
{
    weft_task *t[60];
    weft_channel *c;
    (void)arg;
    fault_arm();
    if (!fault_may(weft_channel_new(&c, sizeof(int), 0))) return 0;
    for (int i = 0; i < 60; i++) {
        t[i] = NULL;
        fault_may(i % 3 ? weft_spawn(&t[i], sleep_a_little, (void *)(intptr_t)(i * 10))
                        : weft_spawn(&t[i], time_out, c));
    }
    for (int i = 0; i < 60; i++) {
        int rc = WEFT_ETIMEDOUT;
        while (t[i] && rc == WEFT_ETIMEDOUT) rc = weft_wait_until(t[i], weft_in(100 * WEFT_US));
        if (t[i]) fault_may(weft_join(t[i]));
    }
    weft_channel_release(c);
    return 0;
}

FAULT_SCENARIO(deadlines, F_ALL, "timers: sleeps, timed takes and timed waits end as they should, and none early")
{
    fault_on_task(2, 0, timers);
}

/* ---- Reports ---- */

static int
fail_with_text(void *arg)
{
    return weft_fail(WEFT_EPERM, "number %d, %s", 7, (const char *)arg);
}

static void
note_end(weft_task *t, void *arg)
{
    (void)t;
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static int
reports(void *arg)
{
    weft_task *t;
    _Atomic int called = 0;
    int added = 0;
    (void)arg;
    fault_arm();
    for (int i = 0; i < 6; i++) {
        if (!fault_may(weft_task_new(&t, fail_with_text, "of some", NULL))) continue;
        for (int k = 0; k < 3; k++) added += fault_may(weft_ondone(t, note_end, (void *)&called));
        if (i % 2) weft_errormonitor(t);
        FAULT_CHECK(weft_schedule(t) == 0);
        int rc = weft_wait(t);
        FAULT_CHECK(rc == WEFT_ECHILD);
        const char *text = weft_task_message(t);
        if (weft_task_isstarted(t)) FAULT_CHECK(weft_task_error(t) == WEFT_EPERM);
        FAULT_CHECK(text ? strcmp(text, "number 7, of some") == 0 : fault_count() > 0);
        weft_task_release(t);
    }
    FAULT_CHECK(atomic_load(&called) == added);
    for (int i = 0; i < 3; i++) {
        if (!fault_may(weft_spawn(&t, fail_with_text, "nobody's"))) continue;
        while (!weft_task_isdone(t)) weft_yield();
        weft_task_release(t);
    }
    return 0;
}

FAULT_SCENARIO(failure_reports, F_ALL,
               "fail, errormonitor, ondone: a failure keeps its code; each callback that was taken runs")
{
    fault_on_task(1, 0, reports);
    if (fault_count() == 0)
        FAULT_CHECK(fault_said("Unhandled Task ERROR: number 7, of some") && fault_said("number 7, nobody's"));
}

/* ---- Switches ---- */

static int
answer(void *arg)
{
    void *value = NULL;
    int rc = weft_schedule_value(arg, &runs);
    atomic_fetch_add(&runs, 1);
    (void)value;
    return rc;
}

/* Each needs a stack of a size that nobody has used yet. */
static int
switches(void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .stack_size = 300 * 1024};
    weft_task *t;
    (void)arg;
    fault_arm();
    for (int i = 0; i < 40; i++) {
        void *value = NULL;
        if (!fault_may(weft_task_new(&t, answer, weft_current(), &opt))) continue;
        if (fault_may(weft_switch_to(t, &value))) FAULT_CHECK(value == &runs);
        (void)!weft_wait(t);
        weft_task_release(t);
        if (!fault_may(weft_task_new(&t, count, NULL, &opt))) continue;
        FAULT_CHECK(weft_yield_to(t) == 0);
        fault_may(weft_join(t));
    }
    return 0;
}

FAULT_SCENARIO(direct_switches, F_ALL,
               "switch_to, yield_to: a task that cannot start gives the caller back, with its code")
{
    fault_on_task(1, 0, switches);
}

/* ---- Plain threads ---- */

static void *
wait_in_thread(void *arg)
{
    weft_task *const *t = arg;
    weft_time until = weft_in(50 * WEFT_US);
    FAULT_CHECK(weft_sleep_until(until) == 0 && weft_now() >= until);
    for (int i = 0; i < 20; i++) {
        int rc = t[i] ? weft_wait(t[i]) : 0;
        FAULT_CHECK(rc == 0 || (rc == WEFT_ECHILD && fault_count() > 0));
        FAULT_CHECK(!t[i] || weft_task_isdone(t[i]));
    }
    return NULL;
}

FAULT_SCENARIO(plain_threads, F_ALL, "wait: plain threads wait for tasks that sleep, and see each of them end")
{
    weft_task *t[20];
    pthread_t threads[2];
    if (!fault_start(2, 0)) return;
    fault_arm();
    for (int i = 0; i < 20; i++) {
        t[i] = NULL;
        fault_may(weft_spawn(&t[i], sleep_a_little, (void *)(intptr_t)(i * 20)));
    }
    fault_disarm();
    for (int i = 0; i < 2; i++) FAULT_CHECK(pthread_create(&threads[i], NULL, wait_in_thread, t) == 0);
    fault_arm();
    for (int i = 0; i < 2; i++) FAULT_CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < 20; i++) weft_task_release(t[i]);
    FAULT_CHECK(weft_stop() == 0);
}

/* Nothing but the wake says that there is a value: who takes an early return for it has none. */
enum { VALUES = 15 };

static void *
put_late(void *arg)
{
    for (int i = 0; i < VALUES; i++) {
        if (i % 3 == 0) FAULT_CHECK(weft_sleep(20 * WEFT_US) == 0); /* then the taker waits, else this thread */
        FAULT_CHECK(weft_channel_put(arg, &i) == 0);
    }
    return NULL;
}

FAULT_SCENARIO(threads_alone, F_ALL,
               "channel: of two plain threads that wait for each other, the one gets what the other puts")
{
    weft_channel *c;
    pthread_t putter;
    int x = -1;
    if (!FAULT_CHECK(weft_channel_new(&c, sizeof x, 0) == 0)) return;
    FAULT_CHECK(pthread_create(&putter, NULL, put_late, c) == 0);
    fault_arm();
    for (int i = 0; i < VALUES; i++) {
        if (i % 3 == 2) FAULT_CHECK(weft_sleep(20 * WEFT_US) == 0);
        FAULT_CHECK(weft_channel_take(c, &x) == 0 && x == i);
    }
    FAULT_CHECK(pthread_join(putter, NULL) == 0);
    weft_channel_release(c);
}

/* ---- Stopping ---- */

struct scene {
    weft_channel *empty, *full;
    weft_task *other;
    _Atomic int begun, cancelled;
};

static int
park_somewhere(void *arg)
{
    struct scene *s = arg;
    int x = 0, rc, way = atomic_fetch_add(&s->begun, 1) % 6;
    switch (way) {
    case 0:
        rc = weft_channel_take(s->empty, &x);
        break;
    case 1:
        rc = weft_channel_put(s->full, &x);
        break;
    case 2:
        rc = weft_sleep(WEFT_S * 3600);
        break;
    case 3:
        rc = weft_park(NULL);
        break;
    case 4:
        rc = weft_wait(s->other);
        break;
    default:
        rc = weft_wait_until(s->other, weft_in(WEFT_S * 3600));
    }
    FAULT_CHECK(rc == WEFT_ECANCELED || rc == WEFT_ECHILD); /* the other one may have been cancelled first */
    atomic_fetch_add(&s->cancelled, 1);
    return WEFT_ECANCELED;
}

static int
park_for_ever(void *arg)
{
    (void)arg;
    return weft_park(NULL);
}

FAULT_SCENARIO(stop_parked, F_ALL, "stop: whatever is parked is cancelled and awaited")
{
    struct scene s = {.begun = 0};
    weft_task *t[48];
    int x = 0;
    if (!fault_start(2, 0)) return;
    FAULT_CHECK(weft_channel_new(&s.empty, sizeof x, 0) == 0 && weft_channel_new(&s.full, sizeof x, 1) == 0);
    FAULT_CHECK(weft_channel_put(s.full, &x) == 0 && weft_task_new(&s.other, park_for_ever, NULL, NULL) == 0);
    fault_arm();
    for (int i = 0; i < 48; i++) {
        t[i] = NULL;
        fault_may(weft_spawn(&t[i], park_somewhere, &s));
    }
    for (int i = 0; i < 48; i++) {
        while (t[i] && weft_task_state(t[i]) == WEFT_INITIALIZED) sched_yield();
    }
    FAULT_CHECK(weft_stop() == 0);
    FAULT_CHECK(atomic_load(&s.begun) == atomic_load(&s.cancelled));
    for (int i = 0; i < 48; i++) {
        int rc = t[i] ? weft_task_error(t[i]) : WEFT_ECANCELED;
        if (rc != WEFT_ECANCELED) fault_may(rc);
        weft_task_release(t[i]);
    }
    weft_task_release(s.other);
    weft_channel_release(s.empty);
    weft_channel_release(s.full);
}

FAULT_SCENARIO(stop_at_once, F_ALL, "stop: in the middle of starting many tasks")
{
    weft_task *t[100];
    if (!fault_start(3, 0)) return;
    fault_arm();
    for (int i = 0; i < 100; i++) {
        t[i] = NULL;
        fault_may(weft_spawn(&t[i], i % 2 ? count : park_for_ever, NULL));
    }
    FAULT_CHECK(weft_stop() == 0);
    for (int i = 0; i < 100; i++) {
        FAULT_CHECK(!t[i] || weft_task_isdone(t[i]));
        if (t[i]) (void)weft_task_error(t[i]);
        weft_task_release(t[i]);
    }
}

static int
serve(void *arg)
{
    int rc;
    (void)arg;
    while ((rc = weft_sleep(50 * WEFT_US)) == 0) continue;
    return rc;
}

static int
with_daemons(void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .flags = WEFT_DAEMON};
    (void)arg;
    fault_arm();
    for (int i = 0; i < 10; i++) fault_may(weft_spawn_with(NULL, serve, NULL, &opt));
    for (int i = 0; i < 10; i++) fault_may(weft_spawn(NULL, count, NULL));
    return weft_sleep(100 * WEFT_US);
}

FAULT_SCENARIO(daemons, F_ALL, "run: it returns when all but the daemons have ended, and awaits those")
{
    weft_config cfg = {.size = sizeof cfg, .workers = 2, .bind = WEFT_BIND_NONE};
    FAULT_CHECK(weft_run(&cfg, with_daemons, NULL) == 0);
}
