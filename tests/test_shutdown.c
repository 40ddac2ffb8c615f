/* test_shutdown.c - what weft_stop, and the end of weft_run, do to tasks that have not ended, or not begun. */
#include <pthread.h>

#include "task_kit.h"

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

static void
count_drop(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1000000);
}

static _Atomic int unhandled;

static void
count_unhandled(weft_task *t, int code)
{
    (void)t;
    (void)code;
    atomic_fetch_add(&unhandled, 1);
}

/* What the parked tasks share. */
struct scene {
    weft_channel *empty, *full;
    weft_task *stubborn, *late;
    _Atomic int begun, woken, waited;
};

static int
woken(struct scene *s, int rc)
{
    CHECK_INT(rc, WEFT_ECANCELED);
    atomic_fetch_add(&s->woken, 1);
    return rc;
}

static int
park_in_take(void *arg)
{
    struct scene *s = arg;
    int x = 0;
    atomic_fetch_add(&s->begun, 1);
    return woken(s, weft_channel_take(s->empty, &x));
}

static int
park_in_put(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->begun, 1);
    return woken(s, weft_channel_put(s->full, &(int){1}));
}

static int
park_in_sleep(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->begun, 1);
    return woken(s, weft_sleep_until(WEFT_FOREVER));
}

static int
park_in_long_sleep(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->begun, 1);
    return woken(s, weft_sleep(3600 * WEFT_S));
}

static int
park_in_park(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->begun, 1);
    return woken(s, weft_park(NULL));
}

static int
park_in_wait(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->begun, 1);
    int rc = woken(s, weft_wait(s->stubborn));
    atomic_fetch_add(&s->waited, 1);
    return rc;
}

static int
park_in_timed_wait(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->begun, 1);
    int rc = woken(s, weft_wait_until(s->stubborn, weft_in(3600 * WEFT_S)));
    atomic_fetch_add(&s->waited, 1);
    return rc;
}

/* Ends when those who waited for it have given up. */
static int
be_stubborn(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->begun, 1);
    until(&s->waited, 4);
    return 0;
}

TEST(shutdown, parked, "stop: parked tasks are woken with WEFT_ECANCELED, awaited, and end cancelled")
{
    static weft_fn *const ways[] = {park_in_take, park_in_put,  park_in_sleep,     park_in_long_sleep,
                                    park_in_park, park_in_wait, park_in_timed_wait};
    enum { WAYS = sizeof ways / sizeof *ways };
    weft_config cfg = {.size = sizeof cfg, .on_unhandled = count_unhandled};
    struct scene s = {.begun = 0};
    weft_task *t[2 * WAYS];
    atomic_store(&unhandled, 0);
    CHECK_INT(weft_channel_new(&s.empty, sizeof(int), 0), 0);
    CHECK_INT(weft_channel_new(&s.full, sizeof(int), 1), 0);
    CHECK_INT(weft_start(&cfg), 0);
    CHECK_INT(weft_channel_put(s.full, &(int){1}), 0);
    s.stubborn = spawned(be_stubborn, &s);
    for (int i = 0; i < 2 * WAYS; i++) t[i] = i < WAYS ? spawned(ways[i], &s) : asynced(ways[i - WAYS], &s);
    until(&s.begun, 2 * WAYS + 1); /* the stubborn one too: what has not begun would not run */
    CHECK_INT(atomic_load(&s.woken), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(atomic_load(&s.woken), 2 * WAYS);
    for (int i = 0; i < 2 * WAYS; i++) {
        CHECK_INT(weft_task_state(t[i]), WEFT_CANCELLED);
        CHECK(weft_task_isdone(t[i]) && weft_task_isfailed(t[i]) && weft_task_isstarted(t[i]));
        CHECK_INT(weft_wait(t[i]), WEFT_ECHILD);
        CHECK_INT(weft_join(t[i]), WEFT_ECANCELED);
    }
    CHECK_INT(weft_task_state(s.stubborn), WEFT_COMPLETED);
    CHECK_INT(weft_join(s.stubborn), 0);
    weft_channel_release(s.empty);
    weft_channel_release(s.full);
    CHECK_INT(atomic_load(&unhandled), 0);
    CHECK_INT(weft_stop(), WEFT_ENOENT);
}

/* Everything that it tries after it was cancelled. */
static int
try_again(void *arg)
{
    struct scene *s = arg;
    weft_task *t = NULL;
    int x = 0;
    atomic_fetch_add(&s->begun, 1);
    CHECK_INT(weft_park(NULL), WEFT_ECANCELED);
    CHECK_INT(weft_park(NULL), WEFT_ECANCELED);
    CHECK_INT(weft_sleep(0), WEFT_ECANCELED);
    CHECK_INT(weft_sleep(3600 * WEFT_S), WEFT_ECANCELED);
    CHECK_INT(weft_sleep_until(WEFT_FOREVER), WEFT_ECANCELED);
    CHECK_INT(weft_channel_take(s->empty, &x), WEFT_ECANCELED);
    CHECK_INT(weft_channel_take_until(s->full, &x, WEFT_NOW), WEFT_ECANCELED);
    CHECK_INT(weft_wait(s->late), WEFT_ECANCELED);
    CHECK_INT(weft_wait_until(s->late, WEFT_NOW), WEFT_ECANCELED);
    CHECK_INT(weft_join(s->late), WEFT_ECANCELED);
    CHECK_INT(weft_wait(weft_current()), WEFT_EDEADLK);
    int rc = weft_spawn(&t, nothing, NULL);
    CHECK(rc == WEFT_ECANCELED || rc == WEFT_ESHUTDOWN);
    rc = weft_async(&t, nothing, NULL);
    CHECK(rc == WEFT_ECANCELED || rc == WEFT_ESHUTDOWN);
    CHECK(t == NULL);
    for (int i = 0; i < 10; i++) weft_yield();
    return 5;
}

TEST(shutdown, again, "stop: a cancelled task meets that at every point, spawns nothing, and may complete")
{
    struct scene s = {.begun = 0};
    CHECK_INT(weft_channel_new(&s.empty, sizeof(int), 0), 0);
    CHECK_INT(weft_channel_new(&s.full, sizeof(int), 1), 0);
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_channel_put(s.full, &(int){1}), 0);
    s.late = unscheduled(nothing, NULL, 0);
    weft_task *t = spawned(try_again, &s), *u = asynced(try_again, &s);
    until(&s.begun, 2);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_task_state(t), WEFT_COMPLETED);
    CHECK_INT(weft_join(t), 5);
    CHECK_INT(weft_join(u), 5);
    weft_task_release(s.late);
    weft_channel_release(s.empty);
    weft_channel_release(s.full);
}

/* Keeps its worker, without giving anybody a turn, until it is cancelled. */
static int
block_worker(void *arg)
{
    struct scene *s = arg;
    int x = 0, rc;
    atomic_fetch_add(&s->begun, 1);
    while ((rc = weft_channel_take_until(s->empty, &x, WEFT_NOW)) == WEFT_EAGAIN) sched_yield();
    return rc;
}

TEST(shutdown, unstarted, "stop: a task that never started is dropped once, does not run, and is cancelled")
{
    enum { N = 100 };
    static _Atomic int met[N];
    weft_config cfg = {.size = sizeof cfg, .workers = 1};
    weft_task_options opt = {.size = sizeof opt, .drop = count_drop};
    struct scene s = {.begun = 0};
    weft_task *t[N];
    CHECK_INT(weft_channel_new(&s.empty, sizeof(int), 0), 0);
    CHECK_INT(weft_start(&cfg), 0);
    weft_task *blocker = spawned(block_worker, &s);
    until(&s.begun, 1);
    for (int i = 0; i < N; i++) {
        atomic_store(&met[i], 0);
        opt.flags = i % 3 == 1 ? WEFT_STICKY : i % 3 == 2 ? WEFT_DAEMON : 0;
        CHECK_INT(weft_spawn_with(&t[i], count, (void *)&met[i], &opt), 0);
    }
    CHECK_INT(weft_stop(), 0);
    for (int i = 0; i < N; i++) {
        CHECK_INT(atomic_load(&met[i]), 1000000);
        CHECK_INT(weft_task_state(t[i]), WEFT_CANCELLED);
        CHECK_INT(weft_wait(t[i]), WEFT_ECHILD);
        CHECK_INT(weft_task_error(t[i]), WEFT_ECANCELED);
        CHECK_INT(weft_join(t[i]), WEFT_ECANCELED);
        CHECK_INT(atomic_load(&met[i]), 1000000);
    }
    CHECK_INT(weft_join(blocker), WEFT_ECANCELED);
    weft_channel_release(s.empty);
}

TEST(shutdown, body_or_drop, "stop: of every task either the body or the drop function has run, once")
{
    enum { N = TEST_SIM ? 100 : 2000 };
    static _Atomic int met[N];
    weft_task_options opt = {.size = sizeof opt, .drop = count_drop};
    for (int round = 0; round < (TEST_SMALL ? 5 : 20); round++) {
        weft_task *handles[N / 2];
        CHECK_INT(weft_start(NULL), 0);
        for (int i = 0; i < N; i++) {
            atomic_store(&met[i], 0);
            opt.flags = i % 3 == 1 ? WEFT_STICKY : i % 3 == 2 ? WEFT_DAEMON : 0;
            CHECK_INT(weft_spawn_with(i % 2 ? &handles[i / 2] : NULL, count, (void *)&met[i], &opt), 0);
        }
        CHECK_INT(weft_stop(), 0);
        for (int i = 0; i < N; i++) CHECK(atomic_load(&met[i]) == 1 || atomic_load(&met[i]) == 1000000);
        for (int i = 0; i < N / 2; i++) {
            bool ran = atomic_load(&met[2 * i + 1]) == 1;
            CHECK_INT(weft_task_state(handles[i]), ran ? WEFT_COMPLETED : WEFT_CANCELLED);
            CHECK_INT(weft_join(handles[i]), ran ? 0 : WEFT_ECANCELED);
        }
    }
}

TEST(shutdown, unscheduled, "stop: a task that was not scheduled is dropped once, at the latest with its last handle")
{
    _Atomic int met = 0;
    weft_task_options opt = {.size = sizeof opt, .drop = count_drop};
    weft_task *t = NULL;
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_task_new(&t, count, (void *)&met, &opt), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK(!weft_task_isstarted(t) || weft_task_state(t) == WEFT_CANCELLED);
    weft_task_release(t);
    CHECK_INT(atomic_load(&met), 1000000);
}

static int
leave_daemons(void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .drop = count_drop, .flags = WEFT_DAEMON};
    for (int i = 0; i < 100; i++) CHECK_INT(weft_spawn_with(NULL, count, arg, &opt), 0);
    return 0;
}

TEST(shutdown, unstarted_daemons, "run: a daemon that has not started when the others end runs or is dropped")
{
    _Atomic int met = 0;
    CHECK_INT(weft_run(NULL, leave_daemons, (void *)&met), 0);
    CHECK_INT(atomic_load(&met) % 1000000 + atomic_load(&met) / 1000000, 100);
}

static int
spawn_for_ever(void *arg)
{
    int rc;
    while ((rc = weft_spawn(NULL, count, arg)) == 0) weft_yield();
    CHECK(rc == WEFT_ECANCELED || rc == WEFT_ESHUTDOWN);
    return rc;
}

TEST(shutdown, spawning, "stop: tasks that spawn without end are refused in the end")
{
    static _Atomic int runs;
    for (int i = 0; i < 10; i++) {
        int before = atomic_load(&runs);
        CHECK_INT(weft_start(NULL), 0);
        for (int k = 0; k < 4; k++) CHECK_INT(weft_spawn(NULL, spawn_for_ever, (void *)&runs), 0);
        until(&runs, before + 100);
        CHECK_INT(weft_stop(), 0);
    }
}

struct outsider {
    _Atomic int stopped, accepted, met;
};

static void
count_dropped(void *arg)
{
    (void)count(arg);
}

/* Spawns from outside all through a stop; a task that was taken on has its body run, or is dropped. */
static void *
spawn_through_stop(void *arg)
{
    struct outsider *o = arg;
    weft_task *const mark = (weft_task *)(void *)o;
    weft_task_options opt = {.size = sizeof opt, .drop = count_dropped};
    while (!atomic_load(&o->stopped)) {
        weft_task *t = mark;
        opt.flags ^= WEFT_STICKY;
        int rc = weft_spawn_with(&t, count, (void *)&o->met, &opt);
        if (rc == 0) {
            atomic_fetch_add(&o->accepted, 1);
            weft_task_release(t);
        } else {
            CHECK(rc == WEFT_ESHUTDOWN || rc == WEFT_ECANCELED);
            CHECK(t == mark);
        }
        sched_yield();
    }
    return NULL;
}

TEST(shutdown, outsiders, "stop: what plain threads spawn meanwhile is taken on, or refused with a code")
{
    static struct outsider o;
    for (int i = 0; i < 20; i++) {
        pthread_t threads[3];
        o = (struct outsider){.stopped = 0};
        CHECK_INT(weft_start(NULL), 0);
        for (int k = 0; k < 3; k++) CHECK_INT(pthread_create(&threads[k], NULL, spawn_through_stop, &o), 0);
        until(&o.accepted, 100);
        CHECK_INT(weft_stop(), 0);
        atomic_store(&o.stopped, 1);
        for (int k = 0; k < 3; k++) CHECK_INT(pthread_join(threads[k], NULL), 0);
        int rc = weft_stop(); /* a spawn after the stop has started the runtime again */
        CHECK(rc == 0 || rc == WEFT_ENOENT);
        CHECK_INT(atomic_load(&o.met), atomic_load(&o.accepted));
    }
}

static int
park_until_stop(void *arg)
{
    int rc;
    (void)arg;
    while ((rc = weft_park(NULL)) == 0) continue;
    return rc;
}

struct wakers {
    weft_task *t[8];
    _Atomic int stopped;
};

static void *
wake_through_stop(void *arg)
{
    struct wakers *w = arg;
    for (unsigned i = 0; !atomic_load(&w->stopped); i++) {
        int rc = weft_schedule(w->t[i % 8]);
        CHECK(rc == 0 || rc == WEFT_EBUSY || rc == WEFT_ESHUTDOWN);
        if (i % 64 == 0) sched_yield();
    }
    return NULL;
}

TEST(shutdown, wakers, "stop: plain threads may wake tasks all through it")
{
    for (int i = 0; i < 20; i++) {
        struct wakers w = {.stopped = 0};
        pthread_t threads[3];
        CHECK_INT(weft_start(NULL), 0);
        for (int k = 0; k < 8; k++) w.t[k] = k % 2 ? spawned(park_until_stop, NULL) : asynced(park_until_stop, NULL);
        for (int k = 0; k < 3; k++) CHECK_INT(pthread_create(&threads[k], NULL, wake_through_stop, &w), 0);
        for (int k = 0; k < 8; k++) {
            while (!weft_task_isstarted(w.t[k])) sched_yield();
        }
        CHECK_INT(weft_stop(), 0);
        atomic_store(&w.stopped, 1);
        for (int k = 0; k < 3; k++) CHECK_INT(pthread_join(threads[k], NULL), 0);
        for (int k = 0; k < 8; k++) CHECK_INT(weft_join(w.t[k]), WEFT_ECANCELED);
    }
}

static void *
wait_outside(void *arg)
{
    CHECK_INT(weft_wait(arg), WEFT_ECHILD);
    return NULL;
}

TEST(shutdown, waiting_thread, "stop: a plain thread that waits for a parked task sees it cancelled")
{
    struct scene s = {.begun = 0};
    pthread_t thread;
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(park_in_park, &s);
    CHECK_INT(pthread_create(&thread, NULL, wait_outside, t), 0);
    until(&s.begun, 1);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(weft_join(t), WEFT_ECANCELED);
}

static int
give_value(void *arg)
{
    return weft_return(arg);
}

TEST(shutdown, handles, "stop: handles stay valid, and what they hold can still be asked for")
{
    int x = 0;
    void *v = NULL;
    weft_task_options opt = {.size = sizeof opt, .name = "old"};
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, give_value, &x, &opt), 0);
    CHECK_INT(weft_wait(t), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_fetch(t, &v), 0);
    CHECK(v == &x);
    CHECK_STR(weft_task_name(t), "old");
    CHECK_INT(weft_schedule(t), WEFT_EBUSY);
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_wait(t), 0);
    CHECK_INT(weft_join(spawned(nothing, NULL)), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_stop(), WEFT_ENOENT);
}
