/* test_waitset.c - waiting for one of many tasks, and for all of them: who ends the wait, and what is left behind. */
#include <pthread.h>

#include "task_kit.h"

#include "task.h"

/* A task that is held until it is let go, and then ends with code. */
struct held {
    weft_channel *gate;
    weft_task *task;
    int code;
};

static int
stay(void *arg)
{
    struct held *h = arg;
    int rc = weft_channel_take(h->gate, NULL);
    return rc < 0 ? rc : h->code;
}

static void
hold(struct held *h, int code)
{
    *h = (struct held){.code = code};
    CHECK_INT(weft_channel_new(&h->gate, 0, 1), 0);
    h->task = spawned(stay, h);
}

static void
let_go(struct held *h)
{
    CHECK_INT(weft_channel_put(h->gate, NULL), 0);
}

static void
finish(struct held *h)
{
    CHECK_INT(weft_join(h->task), h->code);
    weft_channel_release(h->gate);
}

static int
give(void *arg)
{
    return (int)(intptr_t)arg;
}

/* A task that has ended with code. */
static weft_task *
ended(int code)
{
    weft_task *t = spawned(give, (void *)(intptr_t)code);
    CHECK_INT(weft_wait(t), code < 0 ? WEFT_ECHILD : 0);
    return t;
}

/* [J174] [S100] */
TASK_TEST(waitset, any_of_ended, "waitany: the lowest index of those that have ended, until they are taken out")
{
    struct held h;
    hold(&h, 0);
    weft_task *t[] = {ended(0), ended(7), h.task}, *first = t[0], *second = t[1];
    CHECK_INT(weft_waitany(t, 3), 0);
    CHECK_INT(weft_waitany(t, 3), 0);
    t[0] = NULL;
    CHECK_INT(weft_waitany(t, 3), 1);
    t[1] = NULL;
    CHECK_INT(weft_waitany_until(t, 3, WEFT_NOW), WEFT_EAGAIN);
    CHECK(!weft_task_isdone(h.task));
    let_go(&h);
    CHECK_INT(weft_waitany(t, 3), 2);
    finish(&h);
    weft_task_release(first);
    weft_task_release(second);
}

/* [J175] [S99]  Julia throws what the task threw; here the caller asks the task. */
TASK_TEST(waitset, any_failed, "waitany: a task that has failed has ended")
{
    struct held h;
    hold(&h, 0);
    weft_task *t[] = {h.task, ended(WEFT_EPERM)};
    CHECK_INT(weft_waitany_until(t, 2, WEFT_NOW), 1);
    CHECK_INT(weft_waitany(t, 2), 1);
    CHECK_INT(weft_wait(t[1]), WEFT_ECHILD);
    CHECK_INT(weft_join(t[1]), WEFT_EPERM);
    let_go(&h);
    finish(&h);
}

struct waiting {
    weft_task *const *t;
    size_t n;
    unsigned flags;
    weft_time deadline;
    _Atomic int begun, rc;
};

static int
any(void *arg)
{
    struct waiting *w = arg;
    atomic_store(&w->begun, 1);
    atomic_store(&w->rc, weft_waitany_until(w->t, w->n, w->deadline));
    return 0;
}

static int
all(void *arg)
{
    struct waiting *w = arg;
    atomic_store(&w->begun, 1);
    atomic_store(&w->rc, weft_waitall_until(w->t, w->n, w->flags, w->deadline));
    return 0;
}

/* On the same worker: once it has begun, and the caller runs, it is parked. */
static weft_task *
parked(weft_fn *fn, struct waiting *w)
{
    weft_task *t = asynced(fn, w);
    until(&w->begun, 1);
    CHECK(!weft_task_isdone(t));
    return t;
}

WORKER_TEST(waitset, any_wakes, "waitany: a waiter is woken by whichever task ends first")
{
    enum { N = 5 };
    for (int k = 0; k < N; k++) {
        struct held h[N];
        weft_task *t[N];
        for (int i = 0; i < N; i++) {
            hold(&h[i], i);
            t[i] = h[i].task;
        }
        struct waiting w = {.t = t, .n = N, .deadline = WEFT_FOREVER, .rc = 99};
        weft_task *waiter = parked(any, &w);
        let_go(&h[k]);
        CHECK_INT(weft_join(waiter), 0);
        CHECK_INT(w.rc, k);
        for (int i = 0; i < N; i++) {
            if (i != k) CHECK(!weft_task_isdone(t[i]));
            if (i != k) let_go(&h[i]);
            finish(&h[i]);
        }
    }
}

/* [J176] */
WORKER_TEST(waitset, all_completed, "waitall: the waiter goes on when the last has ended")
{
    for (unsigned flags = 0; flags <= WEFT_FAILFAST; flags++) {
        struct held h[3];
        weft_task *t[3];
        for (int i = 0; i < 3; i++) {
            hold(&h[i], i);
            t[i] = h[i].task;
        }
        struct waiting w = {.t = t, .n = 3, .flags = flags, .deadline = WEFT_FOREVER, .rc = 99};
        weft_task *waiter = parked(all, &w);
        let_go(&h[2]);
        let_go(&h[0]);
        CHECK_INT(weft_wait(t[0]), 0);
        CHECK_INT(weft_wait(t[2]), 0);
        for (int i = 0; i < 10; i++) weft_yield();
        CHECK(!weft_task_isdone(waiter));
        let_go(&h[1]);
        CHECK_INT(weft_join(waiter), 0);
        CHECK_INT(w.rc, 0);
        for (int i = 0; i < 3; i++) {
            CHECK(weft_task_isdone(t[i]));
            finish(&h[i]);
        }
    }
}

/* [J177] [J179] [S104] */
WORKER_TEST(waitset, failfast,
            "waitall: with WEFT_FAILFAST the waiter goes on when one has failed, and the others go on")
{
    struct held h[4];
    weft_task *t[4];
    for (int i = 0; i < 4; i++) {
        hold(&h[i], i == 3 ? WEFT_EPERM : 0);
        t[i] = h[i].task;
    }
    struct waiting w = {.t = t, .n = 4, .flags = WEFT_FAILFAST, .deadline = WEFT_FOREVER, .rc = 99};
    weft_task *waiter = parked(all, &w);
    let_go(&h[0]);
    let_go(&h[1]);
    CHECK_INT(weft_wait(t[0]), 0);
    CHECK_INT(weft_wait(t[1]), 0);
    for (int i = 0; i < 10; i++) weft_yield();
    CHECK(!weft_task_isdone(waiter));
    let_go(&h[3]);
    CHECK_INT(weft_join(waiter), 0);
    CHECK_INT(w.rc, WEFT_ECHILD);
    CHECK(weft_task_isdone(t[3]));
    CHECK(!weft_task_isdone(t[2]));
    CHECK_INT(weft_waitall(t, 4, WEFT_FAILFAST), WEFT_ECHILD); /* at once, as it has failed */
    let_go(&h[2]);
    for (int i = 0; i < 4; i++) finish(&h[i]);
}

/* [J178] [S106] */
WORKER_TEST(waitset, all_though_failed, "waitall: without WEFT_FAILFAST all are waited for, and then the call fails")
{
    struct held h[3];
    weft_task *t[3];
    for (int i = 0; i < 3; i++) {
        hold(&h[i], i == 0 ? WEFT_EPERM : 0);
        t[i] = h[i].task;
    }
    struct waiting w = {.t = t, .n = 3, .deadline = WEFT_FOREVER, .rc = 99};
    weft_task *waiter = parked(all, &w);
    let_go(&h[0]);
    let_go(&h[1]);
    CHECK_INT(weft_wait(t[0]), WEFT_ECHILD);
    CHECK_INT(weft_wait(t[1]), 0);
    for (int i = 0; i < 10; i++) weft_yield();
    CHECK(!weft_task_isdone(waiter));
    let_go(&h[2]);
    CHECK_INT(weft_join(waiter), 0);
    CHECK_INT(w.rc, WEFT_ECHILD);
    for (int i = 0; i < 3; i++) {
        CHECK(weft_task_isdone(t[i]));
        finish(&h[i]);
    }
}

/* [S105] */
WORKER_TEST(waitset, cancelled_one,
            "waitall: with WEFT_FAILFAST a task that was cancelled has not failed: the waiter waits on")
{
    for (int fails = 0; fails < 2; fails++) {
        for (int before = 0; before < 2; before++) {
            struct held h[3];
            weft_task *t[3];
            for (int i = 0; i < 3; i++) {
                hold(&h[i], i == 0 ? WEFT_ECANCELED : i == 2 && fails ? WEFT_EPERM : 0);
                t[i] = h[i].task;
            }
            struct waiting w = {.t = t, .n = 3, .flags = WEFT_FAILFAST, .deadline = WEFT_FOREVER, .rc = 99};
            weft_task *waiter = before ? NULL : parked(all, &w);
            CHECK(weft_cancel(t[0]));
            CHECK_INT(weft_wait(t[0]), WEFT_ECHILD);
            CHECK_INT(weft_task_state(t[0]), WEFT_CANCELLED);
            if (before) {
                CHECK_INT(weft_waitall_until(t, 3, WEFT_FAILFAST, WEFT_NOW), WEFT_EAGAIN);
                waiter = parked(all, &w);
            }
            for (int i = 0; i < 10; i++) weft_yield();
            CHECK(!weft_task_isdone(waiter));
            if (!fails) let_go(&h[1]);
            let_go(&h[2]);
            CHECK_INT(weft_join(waiter), 0);
            CHECK_INT(w.rc, WEFT_ECHILD); /* it is told in the end, as by a wait for the task */
            CHECK_INT(weft_task_isdone(t[1]), !fails);
            if (fails) let_go(&h[1]);
            for (int i = 0; i < 3; i++) finish(&h[i]);
        }
    }
}

/* [J180] */
TASK_TEST(waitset, ended_already, "waitany, waitall: tasks that have ended are not waited for")
{
    weft_task *t[] = {ended(0), ended(3), ended(0)};
    CHECK_INT(weft_waitany(t, 3), 0);
    CHECK_INT(weft_waitall(t, 3, 0), 0);
    CHECK_INT(weft_waitall(t, 3, WEFT_FAILFAST), 0);
    CHECK_INT(weft_waitall_until(t, 3, 0, WEFT_NOW), 0);
    CHECK_INT(weft_waitall_until(t, 3, WEFT_FAILFAST, WEFT_NOW), 0);
    for (size_t n = 1; n <= 2; n++) CHECK_INT(weft_waitall(t, n, WEFT_FAILFAST), 0);
    CHECK_INT(weft_waitany_until(t, 1, WEFT_NOW), 0);
    for (int i = 0; i < 3; i++) weft_task_release(t[i]);
}

/* [S103]  An empty set is no argument that cannot be: whoever takes out one after the other comes to it. */
TASK_TEST(waitset, arguments, "waitany, waitall: no tasks, the caller itself, and what cannot be")
{
    weft_task *t = ended(0), *none[2] = {NULL, NULL}, *self[] = {t, weft_current()};
    CHECK_INT(weft_waitany(NULL, 0), WEFT_ENOENT);
    CHECK_INT(weft_waitany(none, 2), WEFT_ENOENT);
    CHECK_INT(weft_waitany_until(none, 2, WEFT_NOW), WEFT_ENOENT);
    CHECK_INT(weft_waitall(NULL, 0, 0), 0);
    CHECK_INT(weft_waitall(none, 2, WEFT_FAILFAST), 0);
    CHECK_INT(weft_waitany(self, 2), WEFT_EDEADLK);
    CHECK_INT(weft_waitall(self, 2, 0), WEFT_EDEADLK);
    CHECK_INT(weft_waitany(NULL, 1), WEFT_EINVAL);
    CHECK_INT(weft_waitall(NULL, 1, 0), WEFT_EINVAL);
    CHECK_INT(weft_waitall(&t, 1, 2), WEFT_EINVAL);
    CHECK_INT(weft_waitany(&t, SIZE_MAX), WEFT_EINVAL);
    weft_task_release(t);
}

/* [S101] */
TASK_TEST(waitset, deadlines, "waitany, waitall: a deadline that passes leaves nothing behind")
{
    enum { N = 40 };
    static struct held h[N];
    weft_task *t[N + 2];
    for (int i = 0; i < N; i++) {
        hold(&h[i], 0);
        t[i] = h[i].task;
    }
    t[N] = t[0]; /* one of them twice */
    t[N + 1] = NULL;
    CHECK_INT(weft_waitany_until(t, N + 2, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_waitall_until(t, N + 2, 0, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_waitall_until(t, N + 2, WEFT_FAILFAST, WEFT_NOW), WEFT_EAGAIN);
    for (int i = 0; i < 3; i++) {
        weft_time end = weft_in(300 * WEFT_US);
        CHECK_INT(weft_waitany_until(t, N + 2, end), WEFT_ETIMEDOUT);
        CHECK(weft_now() >= end);
        end = weft_in(300 * WEFT_US);
        CHECK_INT(weft_waitall_until(t, N + 2, i % 2 ? WEFT_FAILFAST : 0, end), WEFT_ETIMEDOUT);
        CHECK(weft_now() >= end);
    }
    for (int i = 0; i < N; i++) let_go(&h[i]);
    CHECK_INT(weft_waitall_until(t, N + 2, WEFT_FAILFAST, weft_in(60 * WEFT_S)), 0);
    for (int i = 0; i < N; i++) finish(&h[i]);
}

/* [S102] */
WORKER_TEST(waitset, twice, "waitany, waitall: a task may be there more than once, and is told of at its first place")
{
    for (unsigned flags = 0; flags <= WEFT_FAILFAST; flags++) {
        struct held h[2];
        hold(&h[0], 0);
        hold(&h[1], 0);
        weft_task *t[] = {NULL, h[1].task, h[0].task, h[0].task, h[1].task, h[0].task};
        struct waiting w = {.t = t, .n = 6, .deadline = WEFT_FOREVER, .rc = 99};
        weft_task *waiter = parked(any, &w);
        let_go(&h[0]);
        CHECK_INT(weft_join(waiter), 0);
        CHECK_INT(w.rc, 2);
        CHECK_INT(weft_waitany(t, 6), 2);
        let_go(&h[1]);
        CHECK_INT(weft_waitany(t, 2), 1);
        CHECK_INT(weft_waitall(t, 6, flags), 0);
        finish(&h[0]);
        finish(&h[1]);
    }
}

static int
spin_a_little(void *arg)
{
    unsigned spins = (unsigned)(uintptr_t)arg;
    if (spins % 3 == 0) weft_yield();
    for (volatile unsigned k = 0; k < spins; k++) continue;
    return (int)spins;
}

TASK_TEST(waitset, one_after_the_other, "waitany: of a thousand tasks each is told of once")
{
    enum { N = 1000 };
    static weft_task *t[N], *kept[N];
    unsigned seed = test_seed();
    int n = scaled(N), told = 0;
    for (int i = 0; i < n; i++) kept[i] = t[i] = spawned(spin_a_little, (void *)(uintptr_t)dice(&seed, 3000));
    for (int k; (k = weft_waitany(t, (size_t)n)) >= 0; told++) {
        CHECK(weft_task_isdone(kept[k]));
        CHECK(t[k] != NULL);
        weft_task_release(t[k]);
        t[k] = NULL;
    }
    CHECK_INT(told, n);
}

/* [S108]  In rounds: tasks that end at about the time at which they are waited for. */
TASK_TEST(waitset, races, "waitall: tasks that end while they are being waited for are not missed")
{
    enum { N = 50 };
    weft_task *t[N];
    unsigned seed = test_seed();
    for (int round = scaled(2000); round > 0; round--) {
        int n = 1 + (int)dice(&seed, N), failing = -1;
        unsigned flags = dice(&seed, 2) ? WEFT_FAILFAST : 0;
        if (dice(&seed, 4) == 0) failing = (int)dice(&seed, (unsigned)n);
        for (int i = 0; i < n; i++) {
            intptr_t spins = dice(&seed, 300);
            t[i] = i == failing ? spawned(give, (void *)(intptr_t)WEFT_EPERM) : spawned(spin_a_little, (void *)spins);
        }
        weft_time deadline = dice(&seed, 2) ? WEFT_FOREVER : weft_in(dice(&seed, 40) * WEFT_US);
        int rc = weft_waitall_until(t, (size_t)n, flags, deadline), running = 0;
        for (int i = 0; i < n; i++) running += !weft_task_isdone(t[i]);
        if (rc == 0) CHECK(running == 0 && failing < 0);
        else if (rc == WEFT_ECHILD) CHECK(failing >= 0 && weft_task_isdone(t[failing]) && (flags || running == 0));
        else CHECK(rc == WEFT_ETIMEDOUT && deadline != WEFT_FOREVER);
        for (int i = 0; i < n; i++) CHECK((weft_join(t[i]) < 0) == (i == failing));
    }
}

static void *
wait_in_thread(void *arg)
{
    struct waiting *w = arg;
    (w->flags == 99 ? any : all)(arg);
    return NULL;
}

TEST(waitset, threads, "waitany, waitall: plain threads wait as tasks do")
{
    enum { N = 40 };
    static struct held h[N];
    weft_task *t[N];
    pthread_t threads[3];
    CHECK_INT(weft_start(NULL), 0);
    for (int i = 0; i < N; i++) {
        hold(&h[i], 0);
        t[i] = h[i].task;
    }
    struct waiting w[3] = {{.flags = 99}, {.flags = 0}, {.flags = WEFT_FAILFAST}};
    for (int i = 0; i < 3; i++) {
        w[i].t = t;
        w[i].n = N;
        w[i].deadline = WEFT_FOREVER;
        w[i].rc = 99;
        CHECK_INT(pthread_create(&threads[i], NULL, wait_in_thread, &w[i]), 0);
        until(&w[i].begun, 1);
    }
    CHECK_INT(weft_waitany_until(t, N, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    let_go(&h[17]);
    CHECK_INT(pthread_join(threads[0], NULL), 0);
    CHECK_INT(w[0].rc, 17);
    for (int i = 0; i < N; i++) {
        if (i != 17) let_go(&h[i]);
    }
    for (int i = 1; i < 3; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
        CHECK_INT(w[i].rc, 0);
    }
    for (int i = 0; i < N; i++) finish(&h[i]);
    CHECK_INT(weft_stop(), 0);
}

/* Fills a part of the stack that a wait had before. */
static int
use_stack(void *arg)
{
    volatile char frame[8192];
    for (size_t i = 0; i < sizeof frame; i++) frame[i] = (char)0xa5;
    (void)arg;
    return frame[17] == (char)0xa5 ? 0 : WEFT_EINVAL;
}

/* [S107] */
WORKER_TEST(waitset, waiter_cancelled,
            "waitany, waitall: cancelling who waits leaves the tasks alone, and nothing with them")
{
    static const int sizes[] = {3, 40};
    for (int k = 0; k < 6; k++) {
        enum { N = 40 };
        static struct held h[N];
        weft_task *t[N];
        int n = sizes[k % 2];
        for (int i = 0; i < n; i++) {
            hold(&h[i], 0);
            t[i] = h[i].task;
        }
        struct waiting w = {.t = t, .n = (size_t)n, .flags = k / 2 == 1, .deadline = WEFT_FOREVER, .rc = 99};
        weft_task *waiter = parked(k / 2 == 2 ? any : all, &w);
        CHECK(weft_cancel(waiter));
        CHECK_INT(weft_join(waiter), 0);
        CHECK_INT(w.rc, WEFT_ECANCELED);
        for (int i = 0; i < n; i++) {
            CHECK(!weft_task_isdone(t[i]));
            CHECK(weft__list_empty(&t[i]->waiters));
        }
        weft_task *other = asynced(use_stack, NULL);
        while (!weft_task_isdone(other)) weft_yield();
        for (int i = 0; i < n; i++) let_go(&h[i]);
        CHECK_INT(weft_join(other), 0);
        for (int i = 0; i < n; i++) finish(&h[i]);
    }
}

/* [S109] */
WORKER_TEST(waitset, again_and_again, "waitany: 100 000 waits leave nothing with a task that does not end")
{
    struct held h;
    hold(&h, 0);
    while (!weft_task_isstarted(h.task)) weft_yield();
    weft_task *t[2] = {h.task, NULL};
    for (int i = scaled(100000); i > 0; i--) {
        t[1] = asynced(give, NULL);
        if (!CHECK_INT(weft_waitany(t, 2), 1)) break; /* parks: the task must run first */
        CHECK_INT(weft_join(t[1]), 0);
    }
    CHECK(weft__list_empty(&h.task->waiters));
    let_go(&h);
    finish(&h);
}

TEST(waitset, cancelled, "waitany, waitall: they end when the runtime stops")
{
    enum { N = 40 };
    static struct held h[N];
    weft_task *t[N], *waiters[3];
    CHECK_INT(weft_start(NULL), 0);
    for (int i = 0; i < N; i++) {
        hold(&h[i], WEFT_ECANCELED); /* by then it will be */
        t[i] = h[i].task;
    }
    struct waiting w[3] = {{.flags = 0}, {.flags = 0}, {.flags = WEFT_FAILFAST}};
    for (int i = 0; i < 3; i++) {
        w[i].t = t;
        w[i].n = N;
        w[i].deadline = WEFT_FOREVER;
        w[i].rc = 99;
        waiters[i] = spawned(i == 0 ? any : all, &w[i]);
        until(&w[i].begun, 1);
    }
    CHECK_INT(weft_stop(), 0);
    /* the tasks that they wait for end at the same time */
    CHECK(w[0].rc == WEFT_ECANCELED || w[0].rc >= 0);
    for (int i = 1; i < 3; i++) CHECK(w[i].rc == WEFT_ECANCELED || w[i].rc == WEFT_ECHILD);
    for (int i = 0; i < 3; i++) weft_task_release(waiters[i]);
    for (int i = 0; i < N; i++) finish(&h[i]);
}

static _Atomic int unhandled;

static void
count_unhandled(weft_task *t, int code)
{
    (void)t, (void)code;
    atomic_fetch_add(&unhandled, 1);
}

static int
look_at_failures(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        weft_task *t[2] = {spawned(give, (void *)(intptr_t)WEFT_EPERM), spawned(give, NULL)};
        while (!weft_task_isdone(t[0]) || !weft_task_isdone(t[1])) weft_yield();
        if (i == 0) CHECK_INT(weft_waitall(t, 2, 0), WEFT_ECHILD);
        if (i == 1) CHECK_INT(weft_waitall(t, 2, WEFT_FAILFAST), WEFT_ECHILD);
        if (i == 2) CHECK_INT(weft_waitany(t, 2), 0);
        CHECK_INT(unhandled, 0);
        weft_task_release(t[0]); /* perhaps not the last reference: its worker may just be about to drop its own */
        weft_task_release(t[1]);
    }
    return 0;
}

TEST(waitset, looked_at, "waitall: it has looked at the failures that it tells of; waitany has not")
{
    weft_config cfg = {.size = sizeof cfg, .on_unhandled = count_unhandled};
    atomic_store(&unhandled, 0);
    CHECK_INT(weft_run(&cfg, look_at_failures, NULL), 0);
    CHECK_INT(unhandled, 1);
}

/* Frames nearer than this are on one stack (test_inplace.c). */
enum { NEAR = 48 << 10 };

static int
where(void *arg)
{
    *(char **)arg = __builtin_frame_address(0);
    return 0;
}

static bool
on_this_stack(const char *frame)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), there = (uintptr_t)frame;
    return there < here && here - there < NEAR;
}

static int
wait_in_place(void *arg)
{
    char *frames[10];
    weft_task *t[10];
    (void)arg;
    for (int i = 0; i < 10; i++) t[i] = spawned(where, &frames[i]);
    CHECK_INT(weft_waitall(t, 10, 0), 0);
    for (int i = 0; i < 10; i++) {
        CHECK(on_this_stack(frames[i]));
        CHECK_INT(weft_join(t[i]), 0);
        t[i] = spawned(where, &frames[i]);
    }
    CHECK_INT(weft_waitall(t, 10, WEFT_FAILFAST), 0);
    for (int i = 0; i < 10; i++) {
        CHECK(!on_this_stack(frames[i]));
        CHECK_INT(weft_join(t[i]), 0);
        t[i] = spawned(where, &frames[i]);
    }
    int first = weft_waitany(t, 10);
    CHECK(first >= 0 && !on_this_stack(frames[first]));
    for (int i = 0; i < 10; i++) CHECK_INT(weft_join(t[i]), 0);
    return 0;
}

TEST(waitset, in_place, "waitall: runs unstarted children in place, unless it may have to go on before one has ended")
{
    CHECK_INT(run_on(1, wait_in_place, NULL), 0);
}
