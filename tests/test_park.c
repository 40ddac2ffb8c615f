/* test_park.c - the low-level way to suspend and resume: park and schedule. */
#include <pthread.h>

#include "task_kit.h"

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
fail(void *arg)
{
    return *(int *)arg;
}

/* What a task found when it went on. */
struct parked {
    _Atomic int woken;
    int code;
    void *value;
};

static int
park(void *arg)
{
    struct parked *p = arg;
    p->value = p;
    p->code = weft_park(&p->value);
    atomic_store(&p->woken, 1);
    return 0;
}

/* A sticky task that is parked in weft_park. */
static weft_task *
parked_task(struct parked *p)
{
    *p = (struct parked){.code = 1};
    weft_task *t = asynced(park, p);
    weft_yield();
    CHECK(weft_task_isstarted(t));
    CHECK_INT(atomic_load(&p->woken), 0);
    return t;
}

/* [J159] */
WORKER_TEST(park, value, "park: it gives what was scheduled, NULL if nothing was")
{
    struct parked p;
    int x = 0;
    weft_task *t = parked_task(&p);
    CHECK_INT(weft_schedule_value(t, &x), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(p.code, 0);
    CHECK(p.value == &x);
    t = parked_task(&p);
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(p.code, 0);
    CHECK(p.value == NULL);
}

/* [J159] */
WORKER_TEST(park, error, "park: it returns the error that was scheduled; what is not an error is refused")
{
    struct parked p;
    weft_task *t = parked_task(&p);
    CHECK_INT(weft_schedule_error(t, 0), WEFT_EINVAL);
    CHECK_INT(weft_schedule_error(t, 5), WEFT_EINVAL);
    weft_yield();
    CHECK_INT(atomic_load(&p.woken), 0);
    CHECK_INT(weft_schedule_error(t, -4711), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(p.code, -4711);
    CHECK_INT(atomic_load(&p.woken), 1);
}

TASK_TEST(park, wake_first, "park: a wake-up that comes first is found, and there is only one of them")
{
    int x = 0;
    void *v = NULL;
    CHECK_INT(weft_schedule_value(weft_current(), &x), 0);
    CHECK_INT(weft_schedule(weft_current()), WEFT_EBUSY);
    CHECK_INT(weft_park(&v), 0);
    CHECK(v == &x);
    CHECK_INT(weft_schedule_error(weft_current(), WEFT_ECHILD), 0);
    CHECK_INT(weft_park(NULL), WEFT_ECHILD);
}

/* Checks that t cannot be resumed in any way. */
static void
check_busy(weft_task *t)
{
    void *v = &v;
    CHECK_INT(weft_schedule(t), WEFT_EBUSY);
    CHECK_INT(weft_schedule_value(t, NULL), WEFT_EBUSY);
    CHECK_INT(weft_schedule_error(t, WEFT_EPERM), WEFT_EBUSY);
    CHECK_INT(weft_yield_to(t), WEFT_EBUSY);
    if (!weft_task_isdone(t)) CHECK_INT(weft_switch_to(t, &v), WEFT_EBUSY);
    CHECK(v == &v);
}

/* [J124] [J125] [J133] */
WORKER_TEST(park, busy, "schedule: a task that is scheduled already, or has ended, is busy")
{
    struct parked p;
    static int code = -17;
    weft_task *t = unscheduled(nothing, NULL, WEFT_STICKY);
    CHECK_INT(weft_schedule(t), 0);
    check_busy(t);
    CHECK_INT(weft_join(weft_task_retain(t)), 0);
    check_busy(t);
    weft_task_release(t);
    t = asynced(fail, &code);
    check_busy(t);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    check_busy(t);
    weft_task_release(t);
    t = parked_task(&p);
    CHECK_INT(weft_schedule(t), 0);
    check_busy(t);
    CHECK_INT(weft_join(t), 0);
}

static int
put_one(void *arg)
{
    return weft_channel_put(arg, &(int){1});
}

static int
take_one(void *arg)
{
    int x = 0;
    return weft_channel_take(arg, &x);
}

static int
sleep_a_while(void *arg)
{
    (void)arg;
    return weft_sleep(5 * WEFT_MS);
}

static int
wait_for(void *arg)
{
    return weft_wait(arg);
}

static int
wait_long_for(void *arg)
{
    return weft_wait_until(arg, weft_in(3600 * WEFT_S));
}

/* [J124] */
WORKER_TEST(park, busy_elsewhere, "schedule: a task that is parked in something else is busy")
{
    weft_channel *full = NULL, *empty = NULL;
    CHECK_INT(weft_channel_new(&full, sizeof(int), 0), 0);
    CHECK_INT(weft_channel_new(&empty, sizeof(int), 1), 0);
    weft_task *late = unscheduled(nothing, NULL, WEFT_STICKY);
    weft_task *t[] = {asynced(put_one, full), asynced(take_one, empty), asynced(sleep_a_while, NULL),
                      asynced(wait_for, late), asynced(wait_long_for, late)};
    weft_yield();
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        CHECK(weft_task_isstarted(t[i]));
        check_busy(t[i]);
    }
    CHECK_INT(weft_channel_take(full, NULL), 0);
    CHECK_INT(weft_channel_put(empty, &(int){2}), 0);
    CHECK_INT(weft_schedule(late), 0);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(weft_join(late), 0);
    weft_channel_release(full);
    weft_channel_release(empty);
}

/* [J158] */
TASK_TEST(park, new_value, "schedule: a new task runs without the value, which its first park does not get either")
{
    struct parked p = {.code = 1};
    weft_task *t = unscheduled(park, &p, 0);
    CHECK_INT(weft_schedule_value(t, &(char){0}), 0);
    while (!weft_task_isstarted(t)) weft_yield();
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(p.code, 0);
    CHECK(p.value == NULL);
}

static void
count_drop(void *arg)
{
    ++*(int *)arg;
}

/* [J126] [J157] */
WORKER_TEST(park, new_error, "schedule: a new task that gets an error fails with it, and is dropped without running")
{
    int drops = 0;
    weft_task_options opt = {.size = sizeof opt, .drop = count_drop};
    weft_task *t = NULL;
    CHECK_INT(weft_task_new(&t, park, &drops, &opt), 0);
    CHECK_INT(weft_schedule_error(t, 0), WEFT_EINVAL);
    CHECK_INT(weft_task_state(t), WEFT_INITIALIZED);
    CHECK_INT(weft_schedule_error(t, -31), 0);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_task_state(t), WEFT_FAILED);
    CHECK(weft_task_isstarted(t) && weft_task_isdone(t) && weft_task_isfailed(t));
    CHECK_INT(weft_join(t), -31);
    CHECK_INT(drops, 1);
}

enum { EMPTY, WAITING, NOTIFYING };

/* An event with one waiter and one notifier, made of nothing but an atomic word, weft_park and weft_schedule. */
struct one_way {
    _Atomic int state;
    weft_task *waiter;
    int message;
};

static void
one_way_wait(struct one_way *e)
{
    int expected = EMPTY;
    e->waiter = weft_current();
    if (atomic_compare_exchange_strong(&e->state, &expected, WAITING)) CHECK_INT(weft_park(NULL), 0);
}

static void
one_way_notify(struct one_way *e)
{
    if (atomic_exchange(&e->state, NOTIFYING) == WAITING) CHECK_INT(weft_schedule(e->waiter), 0);
}

struct stream {
    struct one_way *events;
    int n;
    unsigned seed;
};

static int
wait_all(void *arg)
{
    struct stream *s = arg;
    for (int i = 0; i < s->n; i++) {
        one_way_wait(&s->events[i]);
        if (!CHECK_INT(s->events[i].message, i + 1)) return WEFT_EINVAL;
        if (dice(&s->seed, 50) == 0) weft_yield();
    }
    return 0;
}

static int
notify_all(void *arg)
{
    struct stream *s = arg;
    unsigned seed = s->seed + 1;
    for (int i = 0; i < s->n; i++) {
        s->events[i].message = i + 1;
        one_way_notify(&s->events[i]);
        unsigned pause = dice(&seed, 40);
        for (volatile unsigned k = 0; k < pause * 8; k++) continue;
        if (pause == 0) weft_yield();
    }
    return 0;
}

static void *
notify_all_thread(void *arg)
{
    notify_all(arg);
    return NULL;
}

enum { EVENTS = 100000 };
static struct one_way events[4][EVENTS];

TASK_TEST(park, one_way_event, "schedule: a one-way event loses no wake-up between tasks")
{
    struct stream streams[4];
    weft_task *t[8];
    memset(events, 0, sizeof events);
    for (int i = 0; i < 4; i++) {
        streams[i] = (struct stream){events[i], scaled(EVENTS), test_seed() + (unsigned)i};
        t[i] = spawned(wait_all, &streams[i]);
        t[4 + i] = i % 2 ? asynced(notify_all, &streams[i]) : spawned(notify_all, &streams[i]);
    }
    for (int i = 0; i < 8; i++) CHECK_INT(weft_join(t[i]), 0);
}

TEST(park, one_way_event_thread, "schedule: a one-way event loses no wake-up from plain threads to tasks")
{
    struct stream streams[4];
    weft_task *t[4];
    pthread_t threads[4];
    memset(events, 0, sizeof events);
    CHECK_INT(weft_start(NULL), 0);
    for (int i = 0; i < 4; i++) {
        streams[i] = (struct stream){events[i], scaled(EVENTS) / 4, test_seed() + (unsigned)i};
        t[i] = i % 2 ? asynced(wait_all, &streams[i]) : spawned(wait_all, &streams[i]);
        CHECK_INT(pthread_create(&threads[i], NULL, notify_all_thread, &streams[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_INT(weft_join(t[i]), 0);
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK_INT(weft_stop(), 0);
}

static int
park_for_itself(void *arg)
{
    CHECK_INT(weft_park(&arg), 0);
    return arg == weft_current() ? 0 : WEFT_EINVAL;
}

TASK_TEST(park, many, "schedule: ten thousand parked tasks each get their own value, in any order")
{
    enum { N = 10000 };
    static weft_task *t[N];
    int n = scaled(N);
    unsigned seed = test_seed();
    for (int i = 0; i < n; i++) t[i] = spawned(park_for_itself, NULL);
    for (int i = 0; i < n; i++) {
        int j = (int)dice(&seed, (unsigned)(n - i)) + i;
        weft_task *chosen = t[j];
        t[j] = t[i];
        t[i] = chosen;
        while (!weft_task_isstarted(chosen)) weft_yield();
        CHECK_INT(weft_schedule_value(chosen, chosen), 0);
    }
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(t[i]), 0);
}

TASK_TEST(park, wake_at_end, "schedule: a wake-up that meets the end of a task does not change how it ended")
{
    static int code = -4321;
    unsigned seed = test_seed();
    for (int i = 0; i < scaled(20000); i++) {
        weft_task *t = spawned(fail, &code);
        for (volatile unsigned k = 0, pause = dice(&seed, 2000); k < pause && !weft_task_isstarted(t); k++) continue;
        do {
            int rc = weft_schedule_value(t, &seed);
            CHECK(rc == 0 || rc == WEFT_EBUSY);
            if (test_workers() == 1) weft_yield();
        } while (!weft_task_isdone(t));
        CHECK_INT(weft_task_state(t), WEFT_FAILED);
        CHECK_INT(weft_join(t), code);
    }
}

struct pair {
    weft_task *other;
    int rounds;
};

static int
wake_and_park(void *arg)
{
    struct pair *p = arg;
    for (int i = 0; i < p->rounds; i++) {
        CHECK_INT(weft_schedule(p->other), 0);
        if (weft_park(NULL) != 0) return WEFT_EINVAL;
    }
    return 0;
}

static int
park_and_wake(void *arg)
{
    struct pair *p = arg;
    for (int i = 0; i < p->rounds; i++) {
        if (weft_park(NULL) != 0) return WEFT_EINVAL;
        CHECK_INT(weft_schedule(p->other), 0);
    }
    return 0;
}

TASK_TEST(park, ping_pong, "schedule: two tasks wake each other a hundred thousand times")
{
    struct pair first = {.rounds = scaled(100000)}, second = first;
    weft_task *a = unscheduled(wake_and_park, &first, 0), *b = unscheduled(park_and_wake, &second, 0);
    first.other = b;
    second.other = a;
    CHECK_INT(weft_schedule(b), 0);
    while (!weft_task_isstarted(b)) weft_yield();
    CHECK_INT(weft_schedule(a), 0);
    CHECK_INT(weft_join(a), 0);
    CHECK_INT(weft_join(b), 0);
}
