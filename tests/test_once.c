/* test_once.c - what is done once: per process, per worker, per task. */
#include "signal_kit.h"

/* ---- Per process ---- */

struct counted {
    weft_once_t once;
    _Atomic int begun, calls;
    int64_t sleep;
    int code;
    int made; /* plain: the once orders it */
};

static int
count(void *arg)
{
    struct counted *c = arg;
    atomic_fetch_add(&c->calls, 1);
    atomic_store(&c->begun, 1);
    if (c->sleep) (void)weft_sleep(c->sleep);
    c->made = 42;
    return c->code;
}

/* [J231] */
TEST(once, once, "the first call runs the function, the others return its code")
{
    static struct counted c = {.code = 5};
    CHECK(!weft_once_isdone(&c.once));
    for (int i = 0; i < 3; i++) CHECK_INT(weft_once(&c.once, count, &c), 5);
    CHECK_INT(atomic_load(&c.calls), 1);
    CHECK(weft_once_isdone(&c.once));
    CHECK_INT(weft_once(&c.once, NULL, NULL), 5); /* not needed any more */
}

/* [J231] */
TEST(once, failed, "a failure is remembered: every call returns it, and nothing is tried again")
{
    struct counted c = {.code = -77};
    for (int i = 0; i < 3; i++) CHECK_INT(weft_once(&c.once, count, &c), -77);
    CHECK_INT(weft_once_until(&c.once, count, &c, WEFT_NOW), -77);
    CHECK_INT(atomic_load(&c.calls), 1);
    CHECK(!weft_once_isdone(&c.once));
}

TEST(once, nothing, "without a function there is nothing to do, and the next call may bring one")
{
    struct counted c = {.code = 0};
    CHECK_INT(weft_once(&c.once, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_once(&c.once, count, &c), 0);
    CHECK_INT(atomic_load(&c.calls), 1);
}

static int
call_once(void *arg)
{
    struct counted *c = arg;
    int rc = weft_once(&c->once, count, c);
    return c->made == 42 ? rc : -1;
}

static void *
call_once_on_thread(void *arg)
{
    return call_once(arg) < 0 ? arg : NULL;
}

static void
check_all_at_once(int64_t sleep)
{
    enum { TASKS = 20, THREADS = 3 };
    struct counted c = {.sleep = sleep, .code = 0};
    weft_task *tasks[TASKS];
    pthread_t threads[THREADS];
    void *wrong;
    for (int i = 0; i < THREADS; i++) {
        if (!CHECK_INT(pthread_create(&threads[i], NULL, call_once_on_thread, &c), 0)) abort();
    }
    for (int i = 0; i < TASKS; i++) tasks[i] = spawned(call_once, &c);
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(tasks[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &wrong);
        CHECK(wrong == NULL);
    }
    CHECK_INT(atomic_load(&c.calls), 1);
}

TASK_TEST(once, all_at_once, "tasks and threads that come while the function runs wait for it, and see what it did")
{
    for (int i = 0; i < scaled(200); i++) check_all_at_once(i % 2 ? 20 * WEFT_US : 0);
}

TASK_TEST(once, deadline, "who does not want to wait for somebody else's call does not have to")
{
    struct counted c = {.sleep = 20 * WEFT_MS, .code = 0};
    weft_task *t = spawned(call_once, &c);
    until(&c.begun, 1);
    int now = weft_once_until(&c.once, count, &c, WEFT_NOW),
        soon = weft_once_until(&c.once, count, &c, weft_in(WEFT_US));
    CHECK(now == WEFT_EAGAIN || weft_once_isdone(&c.once));
    CHECK(soon == WEFT_ETIMEDOUT || weft_once_isdone(&c.once));
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_once_until(&c.once, count, &c, WEFT_NOW), 0);
    CHECK_INT(atomic_load(&c.calls), 1);
}

static weft_once_t recursive;
static int inner;

static int
recurse(void *arg)
{
    (void)arg;
    inner = weft_once(&recursive, recurse, NULL);
    return 9;
}

TEST(once, recursion, "a call from within would wait for itself, and is refused")
{
    memset(&recursive, 0, sizeof recursive);
    CHECK_INT(weft_once(&recursive, recurse, NULL), 9);
    CHECK_INT(inner, WEFT_EDEADLK);
}

TASK_TEST(once, recursion_in_task, "the same in a task")
{
    memset(&recursive, 0, sizeof recursive);
    CHECK_INT(weft_once(&recursive, recurse, NULL), 9);
    CHECK_INT(inner, WEFT_EDEADLK);
}

static int
recurse_in_child(void *arg)
{
    (void)arg;
    inner = weft_once(&recursive, recurse_in_child, NULL);
    return 0;
}

static int
join_child(void *arg)
{
    (void)arg;
    return weft_join(spawned(recurse_in_child, NULL)) < 0 ? -1 : 9;
}

static int
root_with_child(void *arg)
{
    (void)arg;
    memset(&recursive, 0, sizeof recursive);
    CHECK_INT(weft_once(&recursive, join_child, NULL), 9);
    return 0;
}

TEST(once, recursion_in_place, "a call from a task that runs in place of the one within is refused, too")
{
    CHECK_INT(run_on(1, root_with_child, NULL), 0); /* nobody steals the child */
    CHECK_INT(inner, WEFT_EDEADLK);
}

static weft_once_t stuck_once;

static int
wait_for_caller(void *arg)
{
    (void)arg;
    return weft_once(&stuck_once, wait_for_caller, NULL);
}

static int
never_end(void *arg)
{
    weft_task *t = asynced(wait_for_caller, NULL); /* in no place of ours */
    (void)arg;
    return weft_join(t);
}

static int
begin_stuck(void *arg)
{
    (void)arg;
    return weft_once(&stuck_once, never_end, NULL);
}

TEST(once, reason, "a task that waits for somebody else's call says so in the report of a deadlock")
{
    CHECK(reported_stuck(begin_stuck, "parked in once"));
}

/* ---- Per worker ---- */

struct made {
    _Atomic int calls;
    int code;
};

static int
make(void *arg, void **value)
{
    struct made *m = arg;
    atomic_fetch_add(&m->calls, 1);
    if (m->code < 0) return m->code;
    int *v = malloc(sizeof *v);
    if (!CHECK(v)) return WEFT_ENOMEM;
    *v = weft_worker();
    *value = v;
    return m->code;
}

static weft_once_worker_t per_worker;

/* [J232] */
WORKER_TEST(once, worker, "a worker's value is made once, and is the same by its number")
{
    struct made m = {.calls = 0};
    void *a = NULL, *b = NULL, *c = NULL;
    memset(&per_worker, 0, sizeof per_worker);
    CHECK_INT(weft_once_worker(&per_worker, make, &m, &a), 0);
    CHECK_INT(weft_once_worker(&per_worker, make, &m, &b), 0);
    CHECK_INT(weft_once_worker_at(&per_worker, weft_worker(), make, &m, &c), 0);
    CHECK(a != NULL && a == b && a == c);
    CHECK_INT(*(int *)a, weft_worker());
    CHECK_INT(atomic_load(&m.calls), 1);
    weft_once_worker_free(&per_worker, free);
}

/* [J232] */
TASK_TEST(once, each_worker, "each worker has a value of its own, whoever asks; and there are no others")
{
    struct made m = {.calls = 0};
    void *v[64] = {NULL}, *again;
    int n = weft_nworkers() < 64 ? weft_nworkers() : 64;
    memset(&per_worker, 0, sizeof per_worker);
    for (int k = n - 1; k >= 0; k--) CHECK_INT(weft_once_worker_at(&per_worker, k, make, &m, &v[k]), 0);
    for (int k = 0; k < n; k++) {
        CHECK_INT(weft_once_worker_at(&per_worker, k, make, &m, &again), 0);
        CHECK(again == v[k]);
        for (int i = 0; i < k; i++) CHECK(v[i] != v[k]);
    }
    CHECK_INT(atomic_load(&m.calls), n);
    CHECK_INT(weft_once_worker_at(&per_worker, -1, make, &m, &again), WEFT_EINVAL);
    CHECK_INT(weft_once_worker_at(&per_worker, weft_nworkers(), make, &m, &again), WEFT_EINVAL);
    CHECK_INT(weft_once_worker_at(&per_worker, INT_MAX, make, &m, &again), WEFT_EINVAL);
    weft_once_worker_free(&per_worker, free);
}

/* [J232] */
WORKER_TEST(once, worker_failed, "a failure is remembered for the worker")
{
    struct made m = {.code = -77};
    void *v = &m;
    memset(&per_worker, 0, sizeof per_worker);
    for (int i = 0; i < 3; i++) CHECK_INT(weft_once_worker(&per_worker, make, &m, &v), -77);
    CHECK(v == &m); /* untouched */
    CHECK_INT(atomic_load(&m.calls), 1);
    CHECK_INT(weft_once_worker(&per_worker, NULL, &m, &v), WEFT_EINVAL);
    CHECK_INT(weft_once_worker(&per_worker, make, &m, NULL), WEFT_EINVAL);
    weft_once_worker_free(&per_worker, free);
    m.code = 3;
    CHECK_INT(weft_once_worker(&per_worker, make, &m, &v), 3); /* it is empty again */
    weft_once_worker_free(&per_worker, free);
}

TEST(once, no_worker, "a plain thread is no worker")
{
    struct made m = {.calls = 0};
    void *v;
    memset(&per_worker, 0, sizeof per_worker);
    CHECK_INT(weft_once_worker(&per_worker, make, &m, &v), WEFT_ENOTSUP);
    CHECK_INT(atomic_load(&m.calls), 0);
    weft_once_worker_free(&per_worker, free);
}

static int
make_slowly(void *arg, void **value)
{
    int rc = make(arg, value);
    (void)weft_sleep(10 * WEFT_US);
    return rc;
}

static struct made made_slowly;

static int
ask_slowly(void *arg)
{
    void *v = NULL;
    (void)arg;
    int rc = weft_once_worker(&per_worker, make_slowly, &made_slowly, &v);
    return rc < 0 || !v ? -1 : 0;
}

TASK_TEST(once, worker_parks, "a function that parks, and may migrate, is still called once for each worker")
{
    enum { TASKS = 100 };
    weft_task *t[TASKS];
    int n = TEST_SIM ? 8 : TASKS;
    memset(&per_worker, 0, sizeof per_worker);
    atomic_store(&made_slowly.calls, 0);
    for (int i = 0; i < n; i++) t[i] = spawned(ask_slowly, NULL);
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK(atomic_load(&made_slowly.calls) >= 1 && atomic_load(&made_slowly.calls) <= weft_nworkers());
    weft_once_worker_free(&per_worker, free);
}

/* ---- Per task ---- */

static _Atomic int destroyed;

static void
destroy(void *value)
{
    atomic_fetch_add(&destroyed, 1);
    free(value);
}

static weft_once_task_t per_task = WEFT_ONCE_TASK_INIT(destroy);

static int
ask(void *arg)
{
    void *a = NULL, *b = NULL;
    CHECK_INT(weft_once_task(&per_task, make, arg, &a), 0);
    weft_yield();
    CHECK_INT(weft_once_task(&per_task, make, arg, &b), 0);
    CHECK(a != NULL && a == b);
    return weft_current() ? weft_return(a) : 0;
}

/* [J233] */
TASK_TEST(once, task, "a task has one value, another task another, and it ends with its task")
{
    struct made m = {.calls = 0};
    void *mine = NULL;
    atomic_store(&destroyed, 0);
    CHECK_INT(weft_once_task(&per_task, make, &m, &mine), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(weft_join(spawned(ask, &m)), 0);
    CHECK_INT(atomic_load(&m.calls), 4);
    CHECK_INT(atomic_load(&destroyed), 3);
    CHECK(weft_once_task_forget(&per_task) == mine);
    free(mine);
}

/* [J233] */
TASK_TEST(once, task_forgets, "a value that was taken away is made anew")
{
    struct made m = {.calls = 0};
    void *a = NULL, *b = NULL;
    CHECK(weft_once_task_forget(&per_task) == NULL);
    CHECK_INT(weft_once_task(&per_task, make, &m, &a), 0);
    CHECK(weft_once_task_forget(&per_task) == a);
    CHECK_INT(weft_once_task(&per_task, make, &m, &b), 0);
    CHECK_INT(atomic_load(&m.calls), 2);
    free(a);
    CHECK(weft_once_task_forget(&per_task) == b);
    free(b);
}

/* [J233] */
TASK_TEST(once, task_failed, "a failure is not remembered: every call tries again, and fails as the function does")
{
    struct made m = {.code = -77};
    void *v = &m;
    for (int i = 1; i <= 3; i++) {
        m.code = -76 - i;
        CHECK_INT(weft_once_task(&per_task, make, &m, &v), -76 - i);
    }
    CHECK(v == &m);
    CHECK_INT(atomic_load(&m.calls), 3);
    CHECK_INT(weft_once_task(&per_task, NULL, &m, &v), WEFT_EINVAL);
    CHECK_INT(weft_once_task(&per_task, make, &m, NULL), WEFT_EINVAL);
}

static void *
ask_on_thread(void *arg)
{
    ask(arg);
    return NULL;
}

/* [J232] */
TEST(once, thread, "each of fifty plain threads has a value of its own, which ends with it")
{
    enum { THREADS = 50 };
    struct made m = {.calls = 0};
    pthread_t threads[THREADS];
    atomic_store(&destroyed, 0);
    for (int i = 0; i < THREADS; i++) {
        if (!CHECK_INT(pthread_create(&threads[i], NULL, ask_on_thread, &m), 0)) abort();
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CHECK_INT(atomic_load(&m.calls), THREADS);
    CHECK_INT(atomic_load(&destroyed), THREADS);
}
