/* test_faults.c - what programs, users and kernels do wrong while Weft runs.  docs/faults.md has the list.
 *
 * Calls that fail are the business of tests/fault_*.c, limits that of test_limits.c, exceptions of C++ that of
 * cxx_exceptions.cc. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "child_kit.h"

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- Signals ---- */

static _Atomic int handled, storming;
static char spill[512];

/* Uses some of whatever stack it is on. */
static void
on_prof(int number)
{
    char frame[512];
    memset(frame, number, sizeof frame);
    memcpy(spill, frame, sizeof spill);
    atomic_fetch_add(&handled, 1);
}

static void *
send_prof(void *arg)
{
    (void)arg;
    while (atomic_load(&storming)) {
        kill(getpid(), SIGPROF);
        for (int i = 0; i < 4; i++) sched_yield();
    }
    return NULL;
}

struct race {
    weft_channel *c;
    _Atomic long sum;
};

/* Has about half of its 16 KiB in use wherever a signal meets it. */
static int
race_in_small_stack(void *arg)
{
    volatile char frame[8 * 1024];
    struct race *r = arg;
    for (int i = 1; i <= 100; i++) {
        int x = 0;
        frame[i * 80] = (char)i;
        if (weft_channel_put(r->c, &i) < 0 || weft_channel_take(r->c, &x) < 0) return -1;
        atomic_fetch_add(&r->sum, i - x);
        weft_time until = weft_in(50 * WEFT_US);
        if (i % 10 == 0 && (weft_sleep_until(until) < 0 || weft_now() < until)) return -2;
        if (frame[i * 80] != (char)i) return -3;
    }
    return 0;
}

static void *
sleep_in_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        weft_time until = weft_in(100 * WEFT_US);
        CHECK_INT(weft_sleep_until(until), 0);
        CHECK(weft_now() >= until);
    }
    return NULL;
}

TEST(faults, signals, "signals: a storm of SIGPROF on tasks with stacks of 16 KiB loses no wake-up, and doubles none")
{
    enum { N = 8 };
    struct race r = {.sum = 0};
    struct sigaction action = {.sa_handler = on_prof}, before;
    weft_task_options opt = {.size = sizeof opt, .stack_size = 16 * 1024};
    pthread_t sender, sleeper;
    weft_task *t[N];
    sigset_t prof, mask;
    sigemptyset(&prof);
    sigaddset(&prof, SIGPROF);
    atomic_store(&handled, 0);
    atomic_store(&storming, 1);
    CHECK_INT(sigaction(SIGPROF, &action, &before), 0);
    CHECK_INT(weft_start(&(weft_config){.stack_size = 64 * 1024}), 0);
    CHECK_INT(weft_channel_new(&r.c, sizeof(int), N), 0);
    CHECK_INT(pthread_create(&sleeper, NULL, sleep_in_thread, NULL), 0); /* takes signals too */
    pthread_sigmask(SIG_BLOCK, &prof, &mask);
    CHECK_INT(pthread_create(&sender, NULL, send_prof, NULL), 0);
    for (int i = 0; i < N; i++) CHECK_INT(weft_spawn_with(&t[i], race_in_small_stack, &r, &opt), 0);
    for (int i = 0; i < N; i++) CHECK_INT(weft_join(t[i]), 0);
    while (atomic_load(&handled) < 20) sched_yield();
    CHECK_INT(pthread_join(sleeper, NULL), 0);
    atomic_store(&storming, 0);
    CHECK_INT(pthread_join(sender, NULL), 0);
    CHECK_INT(atomic_load(&r.sum), 0);
    CHECK(weft_channel_isempty(r.c));
    weft_channel_release(r.c);
    CHECK_INT(weft_stop(), 0);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    sigaction(SIGPROF, &before, NULL);
}

static _Atomic int in_workers;

static void
on_usr1(int number)
{
    (void)number;
    if (weft_worker() != -1) atomic_fetch_add(&in_workers, 1);
    atomic_fetch_add(&handled, 1);
}

static int
spin(void *arg)
{
    while (!atomic_load((_Atomic int *)arg)) weft_yield();
    return 0;
}

TEST(faults, asynchronous,
     "signals: what is sent to the process is handled by the program's own threads, not by workers")
{
    struct sigaction action = {.sa_handler = on_usr1}, before;
    _Atomic int done = 0;
    atomic_store(&handled, 0);
    atomic_store(&in_workers, 0);
    CHECK_INT(sigaction(SIGUSR1, &action, &before), 0);
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(spin, (void *)&done);
    for (int i = 1; i <= 100; i++) {
        CHECK_INT(kill(getpid(), SIGUSR1), 0);
        while (atomic_load(&handled) < i) sched_yield();
    }
    atomic_store(&done, 1);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(atomic_load(&in_workers), 0);
    sigaction(SIGUSR1, &before, NULL);
}

/* ---- Ends of the process, and of threads ---- */

static int
park_for_ever(void *arg)
{
    (void)arg;
    return weft_park(NULL);
}

static void
call_weft(void)
{
    weft_task *t;
    if (weft_stop() != WEFT_EBUSY) _exit(1);
    if (weft_spawn(&t, nothing, NULL) < 0 || weft_join(t) != 0) _exit(2);
}

static int
exit_in_task(void *arg)
{
    (void)arg;
    weft_yield();
    atexit(call_weft);
    exit(5);
}

static int
abort_in_task(void *arg)
{
    (void)arg;
    weft_yield();
    abort();
}

static int
run_with_parked(void *arg)
{
    weft_task *t = spawned(park_for_ever, NULL), *u = spawned(*(weft_fn **)arg, NULL);
    return weft_join(u) + weft_join(t);
}

static int
run_in_child(void *arg)
{
    return run_on(2, run_with_parked, arg) == 0 ? 0 : 1;
}

TEST(faults, abort_in_task, "abort: in a task, with others parked, it ends the process")
{
    if (TEST_TSAN || TEST_ASAN) return;
    weft_fn *fn = abort_in_task;
    int status = child_status(run_in_child, &fn);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

TEST(faults, atexit, "exit: in a task, whose atexit functions still call Weft, it ends the process")
{
    if (TEST_TSAN || TEST_ASAN) return;
    weft_fn *fn = exit_in_task;
    int status = child_status(run_in_child, &fn);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 5);
}

static int
be_cancelled(void *arg)
{
    if (arg) weft_yield();
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return 0;
}

static int
exit_thread(void *arg)
{
    if (arg) weft_yield();
    pthread_exit(NULL);
}

/* On a stack of its own if arg, else in place. */
static int
join_it(void *arg)
{
    weft_fn *const fn[] = {be_cancelled, exit_thread};
    int way = *(int *)arg;
    weft_task *t = spawned(fn[way % 2], way / 2 ? arg : NULL);
    if (way / 2) weft_yield();
    return weft_join(t);
}

static void
cancelled_in_place(void)
{
    run_on(1, join_it, &(int){0});
}

static void
exits_in_place(void)
{
    run_on(1, join_it, &(int){1});
}

static void
cancelled_apart(void)
{
    run_on(1, join_it, &(int){2});
}

TEST(faults, thread_cancelled,
     "pthread_cancel: a worker's thread that is cancelled in a task ends the process with a message")
{
    if (TEST_ASAN) return; /* it follows the unwinding through the thread's own stack, and trips over the task's */
    CHECK(test_dies(cancelled_in_place, "its worker's thread was cancelled"));
    CHECK(test_dies(exits_in_place, "a task called pthread_exit"));
    CHECK(test_dies(cancelled_apart, "its worker's thread was cancelled"));
}

static int
jump_within(void *arg)
{
    jmp_buf here;
    volatile int rounds = 0;
    int mark = 17;
    int *volatile kept = &mark;
    (void)arg;
    if (setjmp(here) < 0) return -1;
    weft_yield();
    if (weft_sleep(10 * WEFT_US) < 0 || *kept != 17) return -2;
    rounds++;
    if (rounds < 20) longjmp(here, 1);
    return rounds == 20 ? 0 : -3;
}

TASK_TEST(faults, longjmp, "longjmp: within a task it works, also on another worker than where setjmp was called")
{
    weft_task *t[20];
    if (TEST_ASAN || TEST_TSAN) return; /* they intercept it, and know only the thread's stack */
    for (int i = 0; i < 20; i++) t[i] = spawned(jump_within, NULL);
    for (int i = 0; i < 20; i++) CHECK_INT(weft_join(t[i]), 0);
}

/* ---- Time ---- */

static int
put_later(void *arg)
{
    for (int i = 0; i < 3; i++) weft_yield();
    return weft_channel_put(arg, &(int){3});
}

static void
extreme_deadlines(void)
{
    static const weft_time past[] = {INT64_MIN, INT64_MIN + 1, -WEFT_S, -1, 1};
    weft_channel *c;
    int x = 0;
    CHECK_INT(weft_channel_new(&c, sizeof x, 0), 0);
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        CHECK_INT(weft_channel_take_until(c, &x, past[i]), WEFT_ETIMEDOUT);
        CHECK_INT(weft_channel_put_until(c, &x, past[i]), WEFT_ETIMEDOUT);
        CHECK_INT(weft_sleep_until(past[i]), 0);
        CHECK_INT(weft_sleep(past[i] < 0 ? past[i] : 0), 0);
    }
    static const weft_time far[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX - 4096, INT64_MAX / 2};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        weft_task *t = spawned(put_later, c);
        CHECK_INT(weft_channel_take_until(c, &x, far[i]), 0);
        CHECK_INT(weft_join_until(t, far[i]), 0);
        CHECK_INT(x, 3);
    }
    CHECK(weft_in(INT64_MAX) == WEFT_FOREVER && weft_in(INT64_MAX - 1) == WEFT_FOREVER);
    CHECK(weft_in(INT64_MIN) <= weft_now() && weft_in(INT64_MIN) != WEFT_NOW);
    weft_channel_release(c);
}

TASK_TEST(faults, deadlines, "deadlines: one that has passed fires at once, one beyond all time does not, for a task")
{
    extreme_deadlines();
}

TEST(faults, deadlines_of_threads, "deadlines: the same for a plain thread")
{
    CHECK_INT(weft_start(NULL), 0);
    extreme_deadlines();
    CHECK_INT(weft_stop(), 0);
}

static int
sleep_until_about_then(void *arg)
{
    int rc = weft_sleep_until(*(weft_time *)arg);
    return rc == WEFT_ECANCELED || rc == 0 ? rc : 1;
}

TEST(faults, timer_against_stop, "stop: of a timer that fires and a cancellation that comes then, one wins")
{
    enum { N = 16 };
    for (int round = 0; round < (TEST_TSAN ? 10 : 50); round++) {
        weft_task *t[N];
        weft_time when[N];
        CHECK_INT(weft_start(NULL), 0);
        for (int i = 0; i < N; i++) {
            when[i] = weft_in((200 + 10 * i) * WEFT_US);
            t[i] = spawned(sleep_until_about_then, &when[i]);
        }
        CHECK_INT(weft_sleep_until(when[round % N]), 0);
        CHECK_INT(weft_stop(), 0);
        for (int i = 0; i < N; i++) {
            int rc = weft_join(t[i]);
            CHECK(rc == 0 || rc == WEFT_ECANCELED);
        }
    }
}

/* ---- After the end ---- */

TEST(faults, after_stop, "stop: after it every call returns a code, and objects that need no runtime work on")
{
    weft_channel *c;
    weft_task *late, *done;
    int x = 4;
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_channel_new(&c, sizeof x, 1), 0);
    late = unscheduled(nothing, NULL, 0);
    done = spawned(nothing, NULL);
    CHECK_INT(weft_wait(done), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_schedule(late), WEFT_ESHUTDOWN);
    CHECK_INT(weft_schedule(done), WEFT_EBUSY);
    CHECK_INT(weft_wait_until(late, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_wait(done), 0);
    CHECK_INT(weft_wait(done), 0);
    CHECK_INT(weft_channel_put(c, &x), 0);
    CHECK_INT(weft_channel_put_until(c, &x, weft_in(WEFT_US)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_channel_take(c, &x), 0);
    CHECK_INT(weft_channel_take_until(c, &x, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_channel_bind(c, done), 0);
    CHECK_INT(weft_channel_put(c, &x), WEFT_ECLOSED);
    weft_yield();
    CHECK_INT(weft_sleep(WEFT_US), 0);
    CHECK_INT(weft_yield_to(done), WEFT_EBUSY);
    CHECK(weft_current() == NULL);
    CHECK_INT(weft_worker(), -1);
    CHECK_INT(weft_stop(), WEFT_ENOENT);
    weft_task_release(late);
    weft_task_release(done);
    weft_channel_release(c);
}

/* ---- Workers that stand still, and too many of them ---- */

struct stuck {
    int ends[2];
    _Atomic int runs;
    weft_task *parked;
};

static int
count_and_free(void *arg)
{
    struct stuck *s = arg;
    if (atomic_fetch_add(&s->runs, 1) + 1 == 101) CHECK_INT(write(s->ends[1], "x", 1), 1);
    return 0;
}

static int
park_and_count(void *arg)
{
    struct stuck *s = arg;
    int rc = weft_park(NULL);
    return rc < 0 ? rc : count_and_free(s);
}

/* Leaves work in each of its worker's queues, and blocks the worker in the kernel until that has been done. */
static int
block(void *arg)
{
    struct stuck *s = arg;
    weft_task *t[100];
    char x;
    for (int i = 0; i < 100; i++) t[i] = spawned(count_and_free, s);
    CHECK_INT(weft_schedule(s->parked), 0); /* it is handed on: the worker's next */
    CHECK_INT(read(s->ends[0], &x, 1), 1);
    for (int i = 0; i < 100; i++) CHECK_INT(weft_join(t[i]), 0);
    return 0;
}

TEST(faults, blocked_worker,
     "a worker that is stuck in a system call keeps nobody else's work, nor what others can do of its own")
{
    struct stuck s = {.runs = 0};
    weft_config cfg = {.size = sizeof cfg, .workers = 2};
    CHECK_INT(pipe(s.ends), 0);
    CHECK_INT(weft_start(&cfg), 0);
    s.parked = spawned(park_and_count, &s);
    while (!weft_task_isstarted(s.parked)) sched_yield();
    weft_task *t = spawned(block, &s);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_join(s.parked), 0);
    CHECK_INT(weft_stop(), 0);
    close(s.ends[0]);
    close(s.ends[1]);
}

static int
tree(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    weft_task *t[3];
    if (depth == 0) return weft_sleep(depth % 2 ? 0 : 10 * WEFT_US) < 0 ? -1 : 1;
    int sum = 0;
    for (int i = 0; i < 3; i++) t[i] = i == 2 ? asynced(tree, (void *)(depth - 1)) : spawned(tree, (void *)(depth - 1));
    for (int i = 0; i < 3; i++) sum += weft_join(t[i]);
    return sum;
}

TEST(faults, oversubscribed, "run: with eight times as many workers as cores everything gets done")
{
    int cores = (int)sysconf(_SC_NPROCESSORS_ONLN), workers = 8 * (cores < 16 ? cores : 16);
    CHECK_INT(run_on(workers, tree, (void *)(intptr_t)(TEST_TSAN ? 4 : 6)), TEST_TSAN ? 81 : 729);
}
