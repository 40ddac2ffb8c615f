/* test_ladder.c - weft_shutdown, called by tasks and threads: the first time, and the second. */
#include <pthread.h>

#include "scope_kit.h"

/* Number of workers: one, and as usual. */
enum { COUNTS = 2 };
static const int worker_counts[COUNTS] = {1, 0};

/* What the tasks of one run share. */
struct scene {
    weft_channel *empty;
    _Atomic int begun, cancelled, shielded, broken; /* in shields: that they are there, and that they were woken */
    _Atomic int called, go;
};

static void
scene_begin(struct scene *s)
{
    *s = (struct scene){.begun = 0};
    CHECK_INT(weft_channel_new(&s->empty, sizeof(int), 0), 0);
}

/* Waits for what never comes, until it is cancelled. */
static int
take_nothing(void *arg)
{
    struct scene *s = arg;
    int x = 0;
    atomic_fetch_add(&s->begun, 1);
    int rc = weft_channel_take(s->empty, &x);
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    atomic_fetch_add(&s->cancelled, 1);
    return rc;
}

/* In a shield. */
static int
park_in_shield(struct scene *s, int (*park)(struct scene *s))
{
    weft_scope shield;
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    atomic_fetch_add(&s->shielded, 1);
    int rc = park(s);
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK(weft_scope_iscancelled(&shield));
    CHECK_INT(weft_scope_why(&shield), WEFT_ECANCELED);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    CHECK(weft_deadline() == WEFT_NOW);
    atomic_fetch_add(&s->broken, 1);
    return weft_scope_close(&shield, rc);
}

static int
park_in_take(struct scene *s)
{
    int x = 0;
    return weft_channel_take(s->empty, &x);
}

static int
park_in_sleep(struct scene *s)
{
    (void)s;
    return weft_sleep(LONG);
}

static int
park_in_park(struct scene *s)
{
    (void)s;
    return weft_park(NULL);
}

static int
park_in_inner_scope(struct scene *s)
{
    weft_scope inner;
    weft_scope_open(&inner, WEFT_SUPERVISE, WEFT_FOREVER);
    return weft_scope_close(&inner, park_in_take(s));
}

static int
park_in_inner_shield(struct scene *s)
{
    return park_in_shield(s, park_in_sleep);
}

static int
shielded_member(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->shielded, 1);
    int rc = park_in_take(s);
    CHECK_INT(rc, WEFT_ECANCELED);
    atomic_fetch_add(&s->broken, 1);
    return rc;
}

/* Its member is parked in the shield, the opener in the closing of it. */
static int
park_in_close(struct scene *s)
{
    weft_scope inner;
    weft_scope_open(&inner, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, shielded_member, s), 0);
    return weft_scope_close(&inner, 0);
}

static int (*const parks[])(struct scene *s) = {park_in_take,        park_in_sleep,        park_in_park,
                                                park_in_inner_scope, park_in_inner_shield, park_in_close};
enum { PARKS = sizeof parks / sizeof *parks, SHIELDED = PARKS + 2 };

/* Meets the first call, then cleans up in a shield in one of those ways. */
struct cleaner {
    struct scene *s;
    int (*park)(struct scene *s);
};

static int
clean_up(void *arg)
{
    struct cleaner *c = arg;
    CHECK_INT(take_nothing(c->s), WEFT_ECANCELED);
    return park_in_shield(c->s, c->park);
}

static int
shutdown_twice(void *arg)
{
    struct scene *s = arg;
    struct cleaner cleaners[PARKS];
    weft_task *t[PARKS];
    for (int k = 0; k < PARKS; k++) {
        cleaners[k] = (struct cleaner){s, parks[k]};
        t[k] = k % 2 ? asynced(clean_up, &cleaners[k]) : spawned(clean_up, &cleaners[k]);
    }
    until(&s->begun, PARKS);
    CHECK_INT(weft_shutdown(), 1);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    CHECK_INT(weft_spawn(NULL, take_nothing, s), WEFT_ECANCELED);
    until(&s->shielded, SHIELDED);
    for (int k = 0; k < 10; k++) weft_yield();
    CHECK_INT(s->broken, 0);
    CHECK_INT(weft_shutdown(), 2);
    for (int k = 0; k < PARKS; k++) {
        while (!weft_task_isdone(t[k])) weft_yield();
        CHECK_INT(weft_task_state(t[k]), WEFT_CANCELLED);
        CHECK_INT(weft_task_error(t[k]), WEFT_ECANCELED);
        weft_task_release(t[k]);
    }
    return 7;
}

/* [S165] [S168] */
TEST(ladder, shields, "shutdown: the second call wakes those that clean up in shields, wherever they wait")
{
    for (int i = 0; i < COUNTS; i++) {
        struct scene s;
        scene_begin(&s);
        CHECK_INT(run_on(worker_counts[i], shutdown_twice, &s), 7);
        CHECK_INT(s.cancelled, PARKS);
        CHECK_INT(s.broken, SHIELDED);
        weft_channel_release(s.empty);
    }
}

static void
call_back(void *arg)
{
    atomic_fetch_add(&((struct scene *)arg)->called, 1);
}

/* Computes in a shield, and is told; and its member, which does not start, is not run. */
static int
told_in_shield(void *arg)
{
    struct scene *s = arg;
    weft_oncancel told = {{0}};
    weft_scope shield, inner;
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    weft_scope_open(&inner, 0, WEFT_FOREVER);
    CHECK(weft_oncancel_add(&told, call_back, s));
    atomic_fetch_add(&s->shielded, 1);
    until(&s->called, 1);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    CHECK_INT(weft_spawn(NULL, take_nothing, s), WEFT_ECANCELED);
    weft_oncancel_del(&told);
    CHECK_INT(weft_scope_close(&inner, 0), 0); /* nobody was interrupted */
    CHECK_INT(weft_scope_close(&shield, 0), 0);
    return 0;
}

static int
tell(void *arg)
{
    struct scene *s = arg;
    CHECK_INT(weft_spawn(NULL, told_in_shield, s), 0);
    until(&s->shielded, 1);
    CHECK_INT(weft_shutdown(), 1);
    for (int k = 0; k < 10; k++) weft_yield();
    CHECK_INT(s->called, 0);
    CHECK_INT(weft_shutdown(), 2);
    return 0;
}

TEST(ladder, callbacks, "shutdown: the second call reaches the callbacks inside of shields, and what computes there")
{
    for (int i = 0; i < COUNTS; i++) {
        struct scene s = {.begun = 0};
        CHECK_INT(run_on(worker_counts[i], tell, &s), 0);
        CHECK_INT(s.called, 1);
    }
}

/* ---- The first call, from everywhere --------------------------------------------------------------------------------- */

static int
shutdown_once(void *arg)
{
    (void)arg;
    return weft_shutdown() == 1 ? 0 : WEFT_EINVAL;
}

static int
shut_down_by_task(void *arg)
{
    struct member m = MEMBER(.nap = LONG, .cleanup = WEFT_MS);
    CHECK_INT(weft_spawn(NULL, nap, &m), 0);
    begun(&m);
    CHECK_INT(weft_spawn(NULL, shutdown_once, arg), 0);
    int rc = take_nothing(arg);
    until(&m.ended, 1);
    CHECK_INT(m.woken, WEFT_ECANCELED);
    return rc;
}

TEST(ladder, task, "shutdown: called by a task, it ends everything, and weft_run returns")
{
    for (int i = 0; i < COUNTS; i++) {
        struct scene s;
        scene_begin(&s);
        CHECK_INT(run_on(worker_counts[i], shut_down_by_task, &s), WEFT_ECANCELED);
        CHECK_INT(s.cancelled, 1);
        CHECK_INT(weft_shutdown(), WEFT_ENOENT); /* and for the next run it counts from 1 again */
        weft_channel_release(s.empty);
    }
}

static void *
shut_down_when_begun(void *arg)
{
    struct scene *s = arg;
    until(&s->begun, 1);
    CHECK_INT(weft_shutdown(), 1);
    return NULL;
}

TEST(ladder, thread, "shutdown: called by a plain thread, it wakes workers that sleep")
{
    for (int i = 0; i < COUNTS; i++) {
        struct scene s;
        pthread_t thread;
        scene_begin(&s);
        CHECK_INT(pthread_create(&thread, NULL, shut_down_when_begun, &s), 0);
        CHECK_INT(run_on(worker_counts[i], take_nothing, &s), WEFT_ECANCELED);
        CHECK_INT(pthread_join(thread, NULL), 0);
        weft_channel_release(s.empty);
    }
}

TEST(ladder, started, "shutdown: of a runtime that was started, weft_stop stops what it has ended")
{
    for (int i = 0; i < COUNTS; i++) {
        weft_config cfg = {.size = sizeof cfg, .workers = worker_counts[i]};
        struct scene s;
        scene_begin(&s);
        CHECK_INT(weft_shutdown(), WEFT_ENOENT);
        CHECK_INT(weft_start(&cfg), 0);
        weft_task *t = spawned(take_nothing, &s);
        until(&s.begun, 1);
        CHECK_INT(weft_shutdown(), 1);
        CHECK_INT(weft_join(t), WEFT_ECANCELED);
        CHECK_INT(weft_spawn(NULL, take_nothing, &s), WEFT_ESHUTDOWN);
        CHECK_INT(weft_start(NULL), WEFT_EBUSY);
        CHECK_INT(weft_shutdown(), 2);
        CHECK_INT(weft_stop(), 0);
        CHECK_INT(weft_shutdown(), WEFT_ENOENT);
        weft_channel_release(s.empty);
    }
}

/* The worker sleeps in the kernel's poll then. */
static int
read_nothing(void *arg)
{
    struct scene *s = arg;
    int ends[2];
    char c = 0;
    if (!CHECK_INT(pipe2(ends, O_CLOEXEC), 0)) return WEFT_EINVAL;
    atomic_fetch_add(&s->begun, 1);
    int rc = (int)weft_read(ends[0], &c, 1);
    close(ends[0]);
    close(ends[1]);
    return rc;
}

TEST(ladder, descriptors, "shutdown: it wakes a worker that waits for descriptors")
{
    for (int i = 0; i < COUNTS; i++) {
        struct scene s = {.begun = 0};
        pthread_t thread;
        CHECK_INT(pthread_create(&thread, NULL, shut_down_when_begun, &s), 0);
        CHECK_INT(run_on(worker_counts[i], read_nothing, &s), WEFT_ECANCELED);
        CHECK_INT(pthread_join(thread, NULL), 0);
    }
}

/* Blocked in a scope inside of another, shielded or not. */
static void *
block_in_scopes(void *arg)
{
    struct scene *s = arg;
    weft_scope outer, inner;
    weft_scope_open(&outer, 0, WEFT_FOREVER);
    weft_scope_open(&inner, s->go ? WEFT_SHIELD : 0, WEFT_FOREVER);
    CHECK_INT(weft_scope_close(&inner, take_nothing(s)), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&outer, WEFT_ECANCELED), WEFT_ECANCELED);
    return NULL;
}

TEST(ladder, blocked_thread,
     "shutdown: a plain thread is woken in the scopes that it has open, in a shield by the second call")
{
    for (int shielded = 0; shielded < 2; shielded++) {
        struct scene s;
        pthread_t thread;
        scene_begin(&s);
        CHECK_INT(weft_start(NULL), 0);
        atomic_store(&s.go, shielded);
        CHECK_INT(pthread_create(&thread, NULL, block_in_scopes, &s), 0);
        until(&s.begun, 1);
        CHECK_INT(weft_shutdown(), 1);
        if (shielded) {
            for (int k = 0; k < 100; k++) sched_yield();
            CHECK_INT(s.cancelled, 0);
            CHECK_INT(weft_shutdown(), 2);
        }
        CHECK_INT(pthread_join(thread, NULL), 0);
        CHECK_INT(weft_stop(), 0);
        weft_channel_release(s.empty);
    }
}

/* ---- Blocking calls -------------------------------------------------------------------------------------------------- */

/* On a thread: until its caller is cancelled. */
static int
call_until_cancelled(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->called, 1);
    while (!weft_blocking_cancelled()) sched_yield();
    return 5;
}

static int
call_until_told(void *arg)
{
    struct scene *s = arg;
    atomic_fetch_add(&s->called, 1);
    until(&s->go, 1);
    return 0;
}

static void
drop_call(void *arg)
{
    atomic_fetch_add(&((struct scene *)arg)->go, 1);
}

static int
call_in_shield(void *arg)
{
    weft_scope shield;
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    CHECK_INT(weft_blocking(NULL, call_until_cancelled, arg), 5); /* its result is not lost */
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    return weft_scope_close(&shield, 0);
}

static int
abandon_in_shield(void *arg)
{
    struct scene *s = arg;
    weft_scope shield;
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    int rc = weft_blocking_abandon(NULL, call_until_told, s, drop_call);
    CHECK_INT(rc, WEFT_ECANCELED);
    atomic_store(&s->go, 1); /* it has returned before the function */
    return weft_scope_close(&shield, rc);
}

static int
shut_down_calls(void *arg)
{
    struct scene *s = arg;
    weft_task *kept = spawned(call_in_shield, s), *left = spawned(abandon_in_shield, s);
    until(&s->called, 2);
    CHECK_INT(weft_shutdown(), 1);
    for (int k = 0; k < 10; k++) weft_yield();
    CHECK(!weft_task_isdone(kept) && !weft_task_isdone(left));
    CHECK_INT(weft_shutdown(), 2);
    while (!weft_task_isdone(kept) || !weft_task_isdone(left)) weft_yield();
    CHECK_INT(weft_task_state(kept), WEFT_COMPLETED);
    CHECK_INT(weft_task_state(left), WEFT_CANCELLED);
    weft_task_release(kept);
    weft_task_release(left);
    until(&s->go, 2);
    return 0;
}

TEST(ladder, blocking, "shutdown: a blocking call in a shield goes on, and can know; one that can be abandoned is")
{
    for (int i = 0; i < COUNTS; i++) {
        struct scene s = {.begun = 0};
        CHECK_INT(run_on(worker_counts[i], shut_down_calls, &s), 0);
    }
}
