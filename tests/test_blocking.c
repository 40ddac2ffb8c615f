/* test_blocking.c - blocking calls: where they run, how many at a time, and what a cancellation does to them. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "offload.h"
#include "task_kit.h"

/* A thread that is not a worker: waits until *word has reached value.  It ends in any case, or the test hangs. */
static void
hold(_Atomic int *word, int value)
{
    while (atomic_load(word) < value) usleep(100);
}

static weft_limiter *
limiter_of(size_t calls)
{
    weft_limiter *l = NULL;
    CHECK_INT(weft_limiter_new(&l, calls), 0);
    return l;
}

/* ---- What a call is -------------------------------------------------------------------------------------------------- */

struct seen {
    weft_task *task;
    int worker, code, nested, stopped, started;
    pthread_t thread;
    sigset_t blocked;
};

static int
nested(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return 5;
}

static int
look_around(void *arg)
{
    struct seen *s = arg;
    pthread_t inner;
    s->task = weft_current();
    s->worker = weft_worker();
    s->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &s->blocked);
    s->nested = weft_blocking(NULL, nested, &inner);
    if (!pthread_equal(inner, s->thread)) s->nested = 0;
    s->stopped = weft_stop();
    s->started = weft_start(NULL);
    return s->code;
}

TASK_TEST(blocking, elsewhere, "the function runs on a thread that is no worker, and its code is returned")
{
    struct seen s = {.code = -77};
    CHECK_INT(weft_blocking(NULL, look_around, &s), -77);
    CHECK(s.task == NULL);
    CHECK_INT(s.worker, -1);
    CHECK_INT(s.nested, 5);
    CHECK_INT(s.stopped, WEFT_EBUSY);
    CHECK_INT(s.started, WEFT_EBUSY);
    CHECK(TEST_SIM || sigismember(&s.blocked, SIGTERM) == 1);
    CHECK(TEST_SIM || sigismember(&s.blocked, SIGSEGV) == 0);
    s.code = 3;
    CHECK_INT(weft_blocking_abandon(NULL, look_around, &s, NULL), 3);
    CHECK(s.task == NULL);
}

static int
add_one(void *arg)
{
    return ++*(int *)arg;
}

static void
drop_one(void *arg)
{
    ++*(int *)arg;
}

static int
call_add_one(void *arg)
{
    return weft_blocking(NULL, add_one, arg);
}

static int
say_cancelled(void *arg)
{
    (void)arg;
    return WEFT_ECANCELED;
}

TEST(blocking, plain_thread, "on a plain thread the function is just called, whatever the limiter says")
{
    pthread_t where = pthread_self();
    weft_limiter *l = limiter_of(1);
    int n = 0;
    weft_limiter_resize(l, 0);
    CHECK_INT(weft_blocking(l, nested, &where), 5);
    CHECK(pthread_equal(where, pthread_self()));
    CHECK_INT(weft_blocking_until(l, add_one, &n, WEFT_NOW), 1);
    CHECK_INT(weft_blocking_abandon(l, add_one, &n, drop_one), 2);
    CHECK_INT(n, 2);
    CHECK_INT(weft_blocking_abandon(l, say_cancelled, &n, drop_one), WEFT_ECANCELED);
    CHECK_INT(n, 3);
    CHECK(!weft_blocking_cancelled());
    weft_limiter_free(l);
}

TASK_TEST(blocking, arguments, "what cannot be called, or limited, is an invalid argument")
{
    weft_limiter *l = NULL;
    CHECK_INT(weft_blocking(NULL, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_blocking_abandon(NULL, NULL, NULL, drop_one), WEFT_EINVAL);
    CHECK_INT(weft_limiter_new(&l, 0), WEFT_EINVAL);
    CHECK_INT(weft_limiter_new(&l, SIZE_MAX), WEFT_EINVAL);
    CHECK_INT(weft_limiter_new(NULL, 1), WEFT_EINVAL);
    CHECK(l == NULL);
    weft_limiter_free(NULL);
}

TASK_TEST(blocking, returns_cancelled,
          "a function that returns WEFT_ECANCELED by itself has its argument dropped, once")
{
    int n = 0;
    CHECK_INT(weft_blocking_abandon(NULL, say_cancelled, &n, drop_one), WEFT_ECANCELED);
    CHECK_INT(n, 1);
    CHECK_INT(weft_blocking(NULL, say_cancelled, &n), WEFT_ECANCELED);
    CHECK_INT(weft_blocking_abandon(NULL, add_one, &n, drop_one), 2);
    CHECK_INT(n, 2);
}

WORKER_TEST(blocking, sticky, "a sticky task comes back to its worker")
{
    int worker = weft_worker(), n = 0;
    for (int i = 1; i <= 20; i++) {
        CHECK_INT(weft_blocking(NULL, add_one, &n), i);
        CHECK_INT(weft_worker(), worker);
    }
}

static int
give_value(void *arg)
{
    int value = 42, rc = weft_channel_put(arg, &value);
    return rc < 0 ? rc : weft_channel_take(arg, &value) < 0 ? 0 : value;
}

static int
answer(void *arg)
{
    int value, rc = weft_channel_take(arg, &value);
    value++;
    return rc < 0 ? rc : weft_channel_put(arg, &value);
}

TASK_TEST(blocking, objects, "the function may wait for tasks, as a plain thread does")
{
    weft_channel *c;
    CHECK_INT(weft_channel_new(&c, sizeof(int), 0), 0);
    weft_task *t = spawned(answer, c);
    CHECK_INT(weft_blocking(NULL, give_value, c), 43);
    CHECK_INT(weft_join(t), 0);
    weft_channel_release(c);
}

/* ---- How many ------------------------------------------------------------------------------------------------------- */

struct crowd {
    weft_limiter *limiter;
    bool abandonable;
    _Atomic int inside, most, calls, threads;
};

static void
raise_to(_Atomic int *most, int n)
{
    int seen = atomic_load(most);
    while (seen < n && !atomic_compare_exchange_weak(most, &seen, n)) continue;
}

static int
be_inside(void *arg)
{
    struct crowd *c = arg;
    raise_to(&c->most, atomic_fetch_add(&c->inside, 1) + 1);
    raise_to(&c->threads, weft__offload_threads());
    usleep(200);
    atomic_fetch_sub(&c->inside, 1);
    atomic_fetch_add(&c->calls, 1);
    return 0;
}

static int
call_inside(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 3; i++) {
        int rc = c->abandonable ? weft_blocking_abandon(c->limiter, be_inside, c, NULL)
                                : weft_blocking(c->limiter, be_inside, c);
        if (rc < 0) return rc;
    }
    return 0;
}

static void
check_crowd(bool abandonable)
{
    enum { TASKS = 10 };
    struct crowd c = {.limiter = limiter_of(2), .abandonable = abandonable};
    weft_task *t[TASKS];
    for (int i = 0; i < TASKS; i++) t[i] = spawned(call_inside, &c);
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(atomic_load(&c.calls), 3 * TASKS);
    CHECK(atomic_load(&c.most) <= 2);
    CHECK(atomic_load(&c.threads) <= 2);
    CHECK_INT(weft_limiter_available(c.limiter), 2);
    weft_limiter_free(c.limiter);
}

/* [S243] */
TASK_TEST(blocking, limiter, "a limiter of two never lets three functions run at a time, nor needs three threads")
{
    check_crowd(false);
    check_crowd(true);
}

struct gate {
    _Atomic int begun, open, cancelled, dropped, done;
};

static int
wait_at_gate(void *arg)
{
    struct gate *g = arg;
    atomic_fetch_add(&g->begun, 1);
    hold(&g->open, 1);
    atomic_fetch_add(&g->done, 1);
    return 9;
}

static int
call_gate(void *arg)
{
    return weft_blocking(NULL, wait_at_gate, arg);
}

/* [S245] */
TASK_TEST(blocking, workers_free, "as many calls as the default limiter allows may block: the workers run other tasks")
{
    int n = (int)weft_limiter_available(NULL);
    struct gate g = {.begun = 0};
    weft_task **t = calloc((size_t)n, sizeof *t);
    CHECK_INT(n, 64);
    n = TEST_SIM ? 5 : n;
    for (int i = 0; i < n; i++) t[i] = spawned(call_gate, &g);
    until(&g.begun, n);
    int x = 0;
    for (int i = 0; i < 100; i++) CHECK_INT(weft_join(spawned(add_one, &x)), i + 1);
    CHECK_INT(atomic_load(&g.done), 0);
    if (!TEST_SIM) {
        CHECK_INT(weft_limiter_available(NULL), 0);
        CHECK_INT(weft_blocking_until(NULL, add_one, &x, WEFT_NOW), WEFT_EAGAIN);
        CHECK_INT(weft_blocking_until(NULL, add_one, &x, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
        CHECK_INT(x, 100);
    }
    atomic_store(&g.open, 1);
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(t[i]), 9);
    CHECK_INT(weft_limiter_available(NULL), 64);
    free(t);
}

static int
call_limited(void *arg)
{
    struct crowd *c = arg;
    return weft_blocking(c->limiter, be_inside, c);
}

TASK_TEST(blocking, resize, "a limiter of none lets nobody begin, until it grows")
{
    struct crowd c = {.limiter = limiter_of(1)};
    weft_limiter_resize(c.limiter, 0);
    CHECK_INT(weft_blocking_until(c.limiter, be_inside, &c, WEFT_NOW), WEFT_EAGAIN);
    weft_task *t = spawned(call_limited, &c);
    for (int i = 0; i < 10; i++) weft_yield();
    CHECK_INT(atomic_load(&c.calls), 0);
    weft_limiter_resize(c.limiter, 3);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(atomic_load(&c.calls), 1);
    CHECK_INT(weft_limiter_available(c.limiter), 3);
    weft_limiter_free(c.limiter);
}

TASK_TEST(blocking, one_thread, "calls one after the other need one thread, which ends when it has long been idle")
{
    int n = 0;
    for (int i = 1; i <= 50; i++) {
        CHECK_INT(weft_blocking(NULL, add_one, &n), i);
        CHECK(weft__offload_threads() <= 1);
    }
#if defined(WEFT_HARD) /* there it is soon */
    while (weft__offload_threads() > 0) CHECK_INT(weft_sleep(WEFT_MS), 0);
    CHECK_INT(weft_blocking(NULL, add_one, &n), 51);
#endif
}

TEST(blocking, configured, "WEFT_BLOCKING_THREADS is how many calls there may be by default")
{
    const char *bad[] = {"0", "", "x", "4097", "-1", "3,4", "3 "};
    setenv("WEFT_BLOCKING_THREADS", "3", 1);
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_limiter_available(NULL), 3);
    CHECK_INT(weft_stop(), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char said[512];
        struct capture c;
        setenv("WEFT_BLOCKING_THREADS", bad[i], 1);
        if (!capture_begin(&c)) break;
        int rc = weft_start(NULL);
        CHECK_INT(capture_end(&c, said, sizeof said, "weft: WEFT_BLOCKING_THREADS is \""), 1);
        CHECK(strstr(said, "1 to 4096"));
        CHECK_INT(rc, WEFT_EINVAL);
        if (rc == 0) CHECK_INT(weft_stop(), 0);
    }
    unsetenv("WEFT_BLOCKING_THREADS");
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_limiter_available(NULL), 64);
    CHECK_INT(weft_stop(), 0);
}

/* ---- Cancellation, by weft_stop ---------------------------------------------------------------------------------------- */

static int
wait_for_cancel(void *arg)
{
    struct gate *g = arg;
    atomic_fetch_add(&g->begun, 1);
    while (!weft_blocking_cancelled()) usleep(100);
    atomic_fetch_add(&g->cancelled, 1);
    return 9;
}

struct stopped {
    struct gate gate, other;
    weft_limiter *limiter;
    int rc, next, not_run, queued, abandoned;
    _Atomic int waiting, refused;
};

/* Sees that it is cancelled, and keeps its token until those who wait for it have seen it too. */
static int
keep_token(void *arg)
{
    struct stopped *s = arg;
    int rc = wait_for_cancel(&s->gate);
    hold(&s->refused, 2);
    return rc;
}

static int
call_and_check(void *arg)
{
    struct stopped *s = arg;
    s->rc = weft_blocking(s->limiter, keep_token, s);
    s->next = weft_sleep(0);
    int n = 0;
    s->not_run = weft_blocking(s->limiter, add_one, &n) == WEFT_ECANCELED && n == 0;
    s->not_run += weft_blocking_abandon(s->limiter, add_one, &n, drop_one) == WEFT_ECANCELED && n == 1;
    s->not_run += weft_blocking_cancelled();
    return 0;
}

static int
call_in_vain(void *arg)
{
    struct stopped *s = arg;
    atomic_fetch_add(&s->waiting, 1);
    s->queued = weft_blocking(s->limiter, wait_at_gate, &s->other);
    atomic_fetch_add(&s->refused, 1);
    return 0;
}

static void
gate_drop(void *arg)
{
    atomic_fetch_add(&((struct gate *)arg)->dropped, 1);
}

static int
abandon_in_vain(void *arg)
{
    struct stopped *s = arg;
    atomic_fetch_add(&s->waiting, 1);
    s->abandoned = weft_blocking_abandon(s->limiter, wait_at_gate, &s->other, gate_drop);
    atomic_fetch_add(&s->refused, 1);
    return 0;
}

/* [S239] [S240] [S241] [S244] [S247] */
TEST(blocking, cancelled,
     "a cancellation is seen by the function, and by the caller only when that has returned; who has no "
     "token never begins")
{
    struct stopped s = {.limiter = limiter_of(1)};
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t[3] = {spawned(call_and_check, &s), NULL, NULL};
    until(&s.gate.begun, 1);
    t[1] = spawned(call_in_vain, &s);
    t[2] = spawned(abandon_in_vain, &s);
    until(&s.waiting, 2);
    CHECK_INT(weft_limiter_available(s.limiter), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(atomic_load(&s.gate.cancelled), 1);
    CHECK_INT(s.rc, 9);
    CHECK_INT(s.next, WEFT_ECANCELED);
    CHECK_INT(s.not_run, 3);
    CHECK_INT(s.queued, WEFT_ECANCELED);
    CHECK_INT(s.abandoned, WEFT_ECANCELED);
    CHECK_INT(atomic_load(&s.other.begun), 0);
    CHECK_INT(atomic_load(&s.other.dropped), 1);
    CHECK_INT(weft_limiter_available(s.limiter), 1);
    CHECK_INT(weft__offload_threads(), 0);
    for (int i = 0; i < 3; i++) weft_task_release(t[i]);
    weft_limiter_free(s.limiter);
}

static int
abandon_at_gate(void *arg)
{
    struct stopped *s = arg;
    s->abandoned = weft_blocking_abandon(s->limiter, wait_at_gate, &s->gate, gate_drop);
    return 0;
}

/* [S242] [S247] */
TEST(blocking, abandoned,
     "an abandoned call returns at once; its function ends later, is dropped once, and then the token is free")
{
    struct stopped s = {.limiter = limiter_of(1)};
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(abandon_at_gate, &s);
    until(&s.gate.begun, 1);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(s.abandoned, WEFT_ECANCELED);
    CHECK_INT(atomic_load(&s.gate.done), 0);
    CHECK_INT(atomic_load(&s.gate.dropped), 0);
    CHECK_INT(weft_limiter_available(s.limiter), 0);

    /* a new runtime meanwhile, with calls of its own */
    int n = 0;
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_join(spawned(call_add_one, &n)), 1);
    atomic_store(&s.gate.open, 1);
    while (weft_limiter_available(s.limiter) == 0) usleep(100);
    CHECK_INT(atomic_load(&s.gate.done), 1);
    CHECK_INT(atomic_load(&s.gate.dropped), 1);
    CHECK_INT(weft_stop(), 0);
    weft_task_release(t);
    weft_limiter_free(s.limiter);
}

/* The limiter goes before the call that was abandoned. */
TEST(blocking, limiter_freed, "a limiter may be freed while what was abandoned still runs")
{
    struct stopped s = {.limiter = limiter_of(1)};
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(abandon_at_gate, &s);
    until(&s.gate.begun, 1);
    CHECK_INT(weft_stop(), 0);
    weft_limiter_free(s.limiter);
    atomic_store(&s.gate.open, 1);
    while (atomic_load(&s.gate.dropped) == 0) usleep(100);
    CHECK_INT(s.abandoned, WEFT_ECANCELED);
    weft_task_release(t);
}

static int
root_abandons(void *arg)
{
    struct stopped *s = arg;
    weft_task_options opt = {.size = sizeof opt, .flags = WEFT_DAEMON};
    CHECK_INT(weft_spawn_with(NULL, abandon_at_gate, s, &opt), 0);
    until(&s->gate.begun, 1);
    return 0;
}

static int
wait_a_little(void *arg)
{
    usleep(2000);
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

static int
call_little(void *arg)
{
    return weft_blocking(NULL, wait_a_little, arg);
}

static int
root_leaves(void *arg)
{
    return weft_spawn(NULL, call_little, arg);
}

/* [S247] */
TEST(blocking, end_of_run, "weft_run waits for a call that was not abandoned, and not for one that was")
{
    struct stopped s = {.limiter = limiter_of(1)};
    _Atomic int done = 0;
    CHECK_INT(weft_run(NULL, root_leaves, &done), 0);
    CHECK_INT(atomic_load(&done), 1);
    CHECK_INT(weft_run(NULL, root_abandons, &s), 0);
    CHECK_INT(s.abandoned, WEFT_ECANCELED);
    CHECK_INT(atomic_load(&s.gate.done), 0);
    atomic_store(&s.gate.open, 1);
    while (weft_limiter_available(s.limiter) == 0) usleep(100);
    weft_limiter_free(s.limiter);
}

/* ---- Cancellation, by scopes ------------------------------------------------------------------------------------------ */

struct scoped {
    struct gate gate;
    weft_scope scope;
};

static int
cancel_when_begun(void *arg)
{
    struct scoped *s = arg;
    until(&s->gate.begun, 1);
    weft_scope_cancel(&s->scope, 0);
    return 0;
}

/* [S239] [S240] [S244] */
TASK_TEST(blocking, in_scope, "a cancelled scope is seen by the function, and by its caller after that")
{
    struct scoped s = {.gate = {.begun = 0}};
    int n = 0;
    weft_task *t = spawned(cancel_when_begun, &s);
    weft_scope_open(&s.scope, 0, WEFT_FOREVER);
    CHECK_INT(weft_blocking(NULL, wait_for_cancel, &s.gate), 9);
    CHECK_INT(atomic_load(&s.gate.cancelled), 1);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    CHECK_INT(weft_blocking(NULL, add_one, &n), WEFT_ECANCELED);
    CHECK_INT(n, 0);
    CHECK_INT(weft_scope_close(&s.scope, 0), 0);
    CHECK_INT(weft_blocking(NULL, add_one, &n), 1);
    CHECK_INT(weft_join(t), 0);
}

/* [S242] [S244] */
TASK_TEST(blocking, abandoned_in_scope,
          "a call is abandoned at the deadline of its scope; its function may see that, and the token "
          "comes back when it has ended")
{
    weft_limiter *l = limiter_of(2);
    for (int i = 0; i < (TEST_SMALL ? 3 : 20); i++) {
        struct gate seen = {.begun = 0}, held = {.begun = 0};
        weft_scope scope;
        weft_scope_open(&scope, 0, weft_in(WEFT_MS));
        int rc = weft_blocking_abandon(l, i % 2 ? wait_at_gate : wait_for_cancel, i % 2 ? &held : &seen, gate_drop);
        CHECK(rc == WEFT_ECANCELED || (i % 2 == 0 && rc == 9)); /* 9: it saw the deadline first */
        CHECK_INT(weft_scope_close(&scope, rc < 0 ? rc : 0), rc < 0 ? WEFT_ETIMEDOUT : 0);
        if (i % 2 && atomic_load(&held.begun)) CHECK_INT(weft_limiter_available(l), 1);
        atomic_store(&held.open, 1);
        while (weft_limiter_available(l) < 2) weft_yield();
        CHECK_INT(atomic_load(&seen.dropped) + atomic_load(&held.dropped), rc == WEFT_ECANCELED);
    }
    weft_limiter_free(l);
}

static int
call_until_cancelled(void *arg)
{
    struct stopped *s = arg;
    s->rc = weft_blocking(s->limiter, wait_for_cancel, &s->gate);
    s->next = weft_check();
    return 0;
}

static int
fail_soon(void *arg)
{
    until(arg, 1);
    return WEFT_EPERM;
}

/* [S241] */
TASK_TEST(blocking, queued_in_scope,
          "who waits for a token in a scope that is cancelled never begins, and the token is back")
{
    weft_limiter *l = limiter_of(1);
    for (int i = 0; i < (TEST_SMALL ? 5 : 100); i++) {
        struct stopped s = {.limiter = l};
        weft_scope scope;
        weft_scope_open(&scope, 0, WEFT_FOREVER);
        CHECK_INT(weft_spawn(NULL, call_until_cancelled, &s), 0);
        until(&s.gate.begun, 1);
        CHECK_INT(weft_spawn(NULL, call_in_vain, &s), 0);
        CHECK_INT(weft_spawn(NULL, abandon_in_vain, &s), 0);
        CHECK_INT(weft_spawn(NULL, fail_soon, &s.waiting), 0);
        CHECK_INT(weft_scope_close(&scope, 0), WEFT_EPERM);
        CHECK_INT(s.rc, 9);
        CHECK_INT(s.next, WEFT_ECANCELED);
        CHECK_INT(atomic_load(&s.other.begun), 0);
        CHECK_INT(weft_limiter_available(l), 1);
    }
    weft_limiter_free(l);
}

/* ---- Fork ------------------------------------------------------------------------------------------------------------- */

static int
child_calls(void)
{
    int n = 0;
    if (weft_blocking_cancelled()) return 1;
    if (weft_blocking(NULL, add_one, &n) != 1) return 2;
    if (weft_spawn(NULL, add_one, &n) != WEFT_ENOTSUP) return 3;
    return weft_stop() == WEFT_ENOTSUP ? 0 : 4;
}

static int
fork_here(void *arg)
{
    (void)arg;
    pid_t pid = fork();
    if (pid == 0) _exit(child_calls());
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

TASK_TEST(blocking, fork, "a function may fork: in the child there are plain threads only")
{
    CHECK_INT(weft_blocking(NULL, fork_here, NULL), 0);
    CHECK_INT(weft_blocking_abandon(NULL, fork_here, NULL, NULL), 0);
}

/* ---- Plain threads that the program brings ------------------------------------------------------------------------------ */

static int
compute_late(void *arg)
{
    struct gate *g = arg;
    atomic_store(&g->begun, 1);
    CHECK_INT(weft_sleep(WEFT_MS), 0);
    atomic_store(&g->done, 1);
    return weft_return(g);
}

/* [S248] [S249] */
TEST(blocking, thread_waits,
     "a plain thread that waits for a task it has spawned blocks until that ends; when the runtime has "
     "stopped, a spawn starts it again")
{
    for (int round = 0; round < 2; round++) {
        struct gate g = {.begun = 0};
        void *value = NULL;
        weft_task *t = spawned(compute_late, &g);
        CHECK_INT(weft_fetch(t, &value), 0);
        CHECK(value == &g);
        CHECK_INT(atomic_load(&g.done), 1);
        weft_task_release(t);
        CHECK_INT(weft_stop(), 0);
    }
}

static int
count_up(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

static int
be_busy(void *arg)
{
    struct gate *g = arg;
    while (atomic_load(&g->open) == 0) weft_yield();
    return 0;
}

/* [S250] */
TEST(blocking, thread_spawns,
     "of a hundred thousand tasks that a plain thread spawns while the workers are busy none is lost")
{
    int n = scaled(100000), busy = test_workers();
    struct gate g = {.begun = 0};
    weft_task **t = calloc((size_t)busy, sizeof *t);
    for (int i = 0; i < busy; i++) t[i] = spawned(be_busy, &g);
    for (int i = 0; i < n; i++) CHECK_INT(weft_spawn(NULL, count_up, &g.done), 0);
    until(&g.done, n);
    atomic_store(&g.open, 1);
    for (int i = 0; i < busy; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(atomic_load(&g.done), n);
    free(t);
}
