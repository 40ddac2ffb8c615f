/* test_deadlock.c - the report that nothing can ever happen again, and that it is not made where something can. */
#include "task_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "deadlock.h"

/* ---- Deadlocks: in a child of its own, so that there is no other thread ---- */

/* Does the kernel say how many threads there are?  An emulator may not, and then nothing is reported. */
static bool
can_be_seen(void)
{
    char text[512] = "", *at;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    if (read(fd, text, sizeof text - 1) < 0) text[0] = '\0';
    close(fd);
    at = strrchr(text, ')');
    for (int field = 2; at && field < 20; field++) at = strchr(at + 1, ' ');
    return at && atoi(at) > 0;
}

static weft_fn *fatal;
static int fatal_workers;

static void
run_fatal(void)
{
    setenv("WEFT_DEADLOCK", "abort", 1);
    (void)run_on(fatal_workers, fatal, NULL);
}

/* Does fn, as a root task, end in a report with this text? */
static bool
deadlocks_on(int workers, weft_fn *fn, const char *text)
{
    fatal = fn;
    fatal_workers = workers;
    return !can_be_seen() || test_dies(run_fatal, text);
}

static bool
deadlocks(weft_fn *fn, const char *text)
{
    return deadlocks_on(test_workers(), fn, text);
}

static int
take(void *arg)
{
    return weft_channel_take(arg, NULL);
}

static int
put(void *arg)
{
    return weft_channel_put(arg, NULL);
}

/* Each of two tasks waits for what the other would do after that. */
static weft_channel *channels[2];

static int
take_then_put(void *arg)
{
    int i = (int)(uintptr_t)arg;
    int rc = take(channels[i]);
    return rc < 0 ? rc : put(channels[!i]);
}

static int
crossed_channels(void *arg)
{
    weft_task *t[2];
    (void)arg;
    for (int i = 0; i < 2; i++) CHECK_INT(weft_channel_new(&channels[i], 0, 0), 0);
    for (uintptr_t i = 0; i < 2; i++) {
        weft_task_options opt = {.name = i ? "right" : "left"};
        CHECK_INT(weft_spawn_with(&t[i], take_then_put, (void *)i, &opt), 0);
    }
    return weft_join(t[0]) + weft_join(t[1]);
}

TEST(deadlock, channels,
     "deadlock: two tasks that wait for each other by channels are reported with what they wait for")
{
    CHECK(deadlocks(crossed_channels, "deadlock: 3 tasks and 0 daemons have not ended"));
    CHECK(deadlocks(crossed_channels, "\"left\": parked in channel take at 0x"));
    CHECK(deadlocks(crossed_channels, "\"right\": parked in channel take at 0x"));
    CHECK(deadlocks(crossed_channels, "\nweft: deadlock, and WEFT_DEADLOCK=abort\n"));
}

static weft_task *pair[2];

static int
wait_for_other(void *arg)
{
    return weft_wait(pair[!(uintptr_t)arg]);
}

static int
crossed_waits(void *arg)
{
    (void)arg;
    for (uintptr_t i = 0; i < 2; i++) {
        weft_task_options opt = {.name = i ? "hen" : "egg"};
        CHECK_INT(weft_task_new(&pair[i], wait_for_other, (void *)i, &opt), 0);
    }
    for (int i = 0; i < 2; i++) CHECK_INT(weft_schedule(pair[i]), 0);
    weft_task_retain(pair[0]);
    return weft_join(pair[0]);
}

TEST(deadlock, cycle, "deadlock: two tasks that wait for each other are reported as a cycle")
{
    CHECK(deadlocks(crossed_waits, "deadlock: 3 tasks"));
    CHECK(deadlocks(crossed_waits, "wait cycle:\n    task 0x"));
}

static weft_mutex locks[2];

/* Each of two tasks owns what the other wants: both come as far as the barrier of their counts. */
static int
lock_crosswise(void *arg)
{
    static _Atomic int owners;
    uintptr_t i = (uintptr_t)arg;
    weft_mutex_lock(&locks[i]);
    atomic_fetch_add(&owners, 1);
    until(&owners, 2);
    weft_mutex_lock(&locks[!i]);
    return 0;
}

static int
crossed_locks(void *arg)
{
    weft_task *t[2];
    (void)arg;
    for (uintptr_t i = 0; i < 2; i++) {
        weft_task_options opt = {.name = i ? "fork" : "knife"};
        CHECK_INT(weft_spawn_with(&t[i], lock_crosswise, (void *)i, &opt), 0);
    }
    return weft_join(t[0]) + weft_join(t[1]);
}

TEST(deadlock, locks, "deadlock: two tasks that own what the other wants are reported as a cycle")
{
    CHECK(deadlocks(crossed_locks, "deadlock: 3 tasks"));
    CHECK(deadlocks(crossed_locks, "\"knife\": parked in mutex lock at 0x"));
    CHECK(deadlocks(crossed_locks, "wait cycle:\n    task 0x"));
}

static int
wait_for_parent(void *arg)
{
    return weft_wait(arg);
}

/* The child runs in the place of its parent, and waits for it. */
static int
wait_for_child(void *arg)
{
    (void)arg;
    return weft_join(spawned(wait_for_parent, weft_current()));
}

static int
cycle_in_place(void *arg)
{
    (void)arg;
    return weft_join(spawned(wait_for_child, NULL));
}

TEST(deadlock, in_place, "deadlock: a task that waits for the one in whose place it runs is a cycle")
{
    CHECK(deadlocks(cycle_in_place, "wait cycle:\n    task 0x"));
    CHECK(deadlocks_on(1, cycle_in_place, ", which waits in place for task 0x")); /* nobody steals the child */
}

static int
park(void *arg)
{
    (void)arg;
    return weft_park(NULL);
}

TEST(deadlock, park, "deadlock: a root task that parks, and that nobody can schedule")
{
    CHECK(deadlocks(park, "deadlock: 1 tasks and 0 daemons"));
    CHECK(deadlocks(park, "\"root\": parked in park"));
}

static int
wait_for_daemon(void *arg)
{
    weft_task_options opt = {.flags = WEFT_DAEMON};
    weft_task *t;
    (void)arg;
    CHECK_INT(weft_spawn_with(&t, park, NULL, &opt), 0);
    return weft_join(t);
}

TEST(deadlock, daemon, "deadlock: a task that waits for a daemon which waits for nothing")
{
    CHECK(deadlocks(wait_for_daemon, "deadlock: 1 tasks and 1 daemons"));
}

static void
join_from_main(void)
{
    weft_task *t = NULL;
    setenv("WEFT_DEADLOCK", "abort", 1);
    if (weft_start(NULL) < 0 || weft_spawn(&t, park, NULL) < 0) _exit(0);
    struct timespec a_while = {.tv_nsec = 300000000}; /* the workers have begun to look before that */
    nanosleep(&a_while, NULL);
    weft_join(t);
}

static void *
join_from_thread(void *arg)
{
    weft_join(arg);
    return NULL;
}

/* The last that could do something ends, and is not there any more. */
static void
leave_blocked_threads(void)
{
    weft_task *t = NULL;
    pthread_t thread;
    setenv("WEFT_DEADLOCK", "abort", 1);
    if (weft_start(NULL) < 0 || weft_spawn(&t, park, NULL) < 0) _exit(0);
    for (int i = 0; i < 20; i++) {
        if (pthread_create(&thread, NULL, join_from_thread, t) != 0) _exit(0);
    }
    weft_join(t);
}

TEST(deadlock, threads, "deadlock: plain threads that are blocked in Weft cannot help, also if they block late")
{
    if (!can_be_seen()) return;
    CHECK(test_dies(join_from_main, "deadlock: 1 tasks and 0 daemons"));
    CHECK(test_dies(join_from_main, ": blocked in task: task 0x"));
    CHECK(test_dies(leave_blocked_threads, "deadlock: 1 tasks and 0 daemons"));
}

static void *
do_nothing_for_a_while(void *arg)
{
    struct timespec a_while = {.tv_nsec = 300000000};
    nanosleep(&a_while, NULL);
    return arg;
}

static int
outlive_thread(void *arg)
{
    pthread_t thread;
    (void)arg;
    if (pthread_create(&thread, NULL, do_nothing_for_a_while, NULL) != 0 || pthread_detach(thread) != 0) return 0;
    return weft_park(NULL);
}

TEST(deadlock, thread_ends, "deadlock: a plain thread that might have helped ends without a word")
{
    CHECK(deadlocks(outlive_thread, "deadlock: 1 tasks and 0 daemons"));
}

static void
wait_for_nothing(void)
{
    weft_channel *c = NULL;
    setenv("WEFT_DEADLOCK", "abort", 1);
    if (weft_start(NULL) == 0 && weft_channel_new(&c, 0, 0) == 0) _exit(weft_channel_take(c, NULL) != 0);
    _exit(0);
}

TEST(deadlock, no_tasks, "deadlock: a plain thread waits where there is not even a task")
{
    if (can_be_seen()) CHECK(test_dies(wait_for_nothing, ": blocked in channel take"));
}

TEST(deadlock, once, "deadlock: by default it is reported, once, and nothing else happens")
{
    int ends[2], status;
    if (TEST_TSAN || !can_be_seen() || !CHECK_INT(pipe(ends), 0)) return;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        unsetenv("WEFT_DEADLOCK");
        (void)weft_run(NULL, crossed_waits, NULL);
        _exit(0);
    }
    close(ends[1]);
    char text[1 << 16] = "";
    size_t used = 0;
    ssize_t n;
    while (!strstr(text, "still referred to") && (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)n;
    struct timespec a_while = {.tv_nsec = 600000000}; /* two more looks, if they came as fast as the first */
    nanosleep(&a_while, NULL);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    while ((n = read(ends[0], text + used, sizeof text - 1 - used)) > 0) used += (size_t)n;
    CHECK_INT(n, -1); /* it lives, and has nothing to say */
    kill(child, SIGKILL);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    const char *first = strstr(text, "weft: deadlock: 3 tasks");
    CHECK(first == text && strstr(text + 1, "weft: deadlock") == NULL);
    CHECK(strstr(text, "\"hen\"") != NULL && strstr(text, "\"egg\"") != NULL);
    close(ends[0]);
}

/* ---- No deadlocks ---- */

static uint64_t
looks(void)
{
    uint64_t n, reports;
    weft__deadlock_counts(&n, &reports);
    return n;
}

static uint64_t
reports(void)
{
    uint64_t n, count;
    weft__deadlock_counts(&n, &count);
    return count;
}

/* Lets a worker look at least this often for deadlocks that there are not. */
static void
let_look(uint64_t times)
{
    uint64_t before = looks();
    struct timespec ms = {.tv_nsec = 1000000};
    while (looks() - before < times) nanosleep(&ms, NULL);
}

TEST(deadlock, thread_runs, "no deadlock: all tasks wait, but a plain thread is there that may wake one")
{
    weft_channel *c = NULL;
    uint64_t before = reports();
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_channel_new(&c, 0, 0), 0);
    weft_task *t = spawned(take, c), *u = spawned(park, NULL);
    let_look(2);
    CHECK_INT(reports(), before);
    CHECK_INT(weft_channel_put(c, NULL), 0);
    CHECK_INT(weft_schedule(u), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_join(u), 0);
    CHECK_INT(weft_stop(), 0);
    weft_channel_release(c);
}

/* These run in a child without other threads.  None of them may be reported: then the child would abort. */

static int
sleep_then_schedule(void *arg)
{
    int rc = weft_sleep(700 * WEFT_MS);
    return rc < 0 ? rc : weft_schedule(arg);
}

static int
wait_for_timer(void *arg)
{
    (void)arg;
    weft_task *t = spawned(park, NULL), *u = spawned(sleep_then_schedule, t);
    int rc = weft_join(t);
    return rc < 0 ? rc : weft_join(u);
}

static void *
put_late(void *arg)
{
    struct timespec a_while = {.tv_nsec = 700000000};
    nanosleep(&a_while, NULL);
    CHECK_INT(put(arg), 0);
    return NULL;
}

static int
wait_for_thread(void *arg)
{
    weft_channel *c = NULL;
    pthread_t thread;
    (void)arg;
    int rc = weft_channel_new(&c, 0, 0);
    if (rc == 0) rc = pthread_create(&thread, NULL, put_late, c);
    if (rc == 0) rc = take(c);
    if (rc == 0) rc = pthread_join(thread, NULL);
    weft_channel_release(c);
    return rc;
}

/* A thread that waits with a deadline will act. */
static void *
put_after_deadline(void *arg)
{
    weft_channel *never = NULL;
    if (weft_channel_new(&never, 0, 0) == 0) {
        CHECK_INT(weft_channel_take_until(never, NULL, weft_in(700 * WEFT_MS)), WEFT_ETIMEDOUT);
        weft_channel_release(never);
    }
    CHECK_INT(put(arg), 0);
    return NULL;
}

static int
wait_for_thread_with_deadline(void *arg)
{
    weft_channel *c = NULL;
    pthread_t thread;
    (void)arg;
    int rc = weft_channel_new(&c, 0, 0);
    if (rc == 0) rc = pthread_create(&thread, NULL, put_after_deadline, c);
    if (rc == 0) rc = take(c);
    if (rc == 0) rc = pthread_join(thread, NULL);
    weft_channel_release(c);
    return rc;
}

/* The daemons of a library that waits for the program. */
static int
daemons_only(void)
{
    weft_task_options opt = {.flags = WEFT_DAEMON};
    weft_task *t = NULL;
    int rc = weft_start(NULL);
    if (rc == 0) rc = weft_spawn_with(&t, park, NULL, &opt);
    struct timespec a_while = {.tv_nsec = 700000000};
    nanosleep(&a_while, NULL);
    if (rc == 0) rc = weft_stop();
    weft_task_release(t);
    return rc;
}

/* The exit status of a child in which a deadlock would be fatal, which runs fn as its root task; -1: it was killed. */
static int
status_of(weft_fn *fn)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv("WEFT_DEADLOCK", "abort", 1);
        _exit((fn ? weft_run(NULL, fn, NULL) : daemons_only()) == 0 ? 7 : 1);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
sleep_in_kernel(void *arg)
{
    struct timespec a_while = {.tv_nsec = 700000000};
    nanosleep(&a_while, NULL);
    return arg ? put(arg) : 0;
}

static int
wait_for_call(void *arg)
{
    weft_channel *c = NULL;
    (void)arg;
    int rc = weft_blocking(NULL, sleep_in_kernel, NULL);
    if (rc == 0) rc = weft_channel_new(&c, 0, 0);
    weft_task *t = spawned(take, c);
    if (rc == 0) rc = weft_blocking(NULL, sleep_in_kernel, c);
    if (rc == 0) rc = weft_join(t);
    weft_channel_release(c);
    return rc;
}

TEST(deadlock, blocking, "no deadlock: a blocking call runs")
{
    if (!TEST_TSAN) CHECK_INT(status_of(wait_for_call), 7);
}

/* Another process writes, late. */
static int
wait_for_descriptor(void *arg)
{
    int ends[2];
    char byte;
    (void)arg;
    if (pipe(ends) != 0) return 1;
    pid_t child = fork();
    if (child == 0) _exit(sleep_in_kernel(NULL) == 0 && write(ends[1], "x", 1) == 1 ? 0 : 1);
    if (weft_read(ends[0], &byte, 1) != 1) return 1;
    int rc = weft_process_wait(child, NULL);
    return rc < 0 ? rc : weft_close(ends[0]) + weft_close(ends[1]);
}

TEST(deadlock, descriptor, "no deadlock: a task waits for a descriptor, or a process")
{
    if (!TEST_TSAN) CHECK_INT(status_of(wait_for_descriptor), 7);
}

static int
no_call(void *arg)
{
    (void)arg;
    return 0;
}

static int
call_and_take(void *arg)
{
    weft_channel *c = NULL;
    int rc = weft_channel_new(&c, 0, 0);
    if (rc == 0) rc = weft_blocking(NULL, no_call, NULL);
    if (rc == 0) rc = arg ? weft_blocking(NULL, take, c) : take(c);
    return rc;
}

static int
call_that_takes(void *arg)
{
    (void)arg;
    return call_and_take("inside");
}

TEST(deadlock, after_blocking,
     "deadlock: a thread that waits for the next blocking call cannot help, nor can a call that waits "
     "for a task")
{
    CHECK(deadlocks(call_and_take, "deadlock: 1 tasks and 0 daemons have not ended"));
    CHECK(deadlocks(call_that_takes, "deadlock: 1 tasks and 0 daemons have not ended"));
}

TEST(deadlock, timer, "no deadlock: a deadline is pending")
{
    if (!TEST_TSAN) CHECK_INT(status_of(wait_for_timer), 7);
}

TEST(deadlock, late_thread, "no deadlock: a plain thread sleeps, or waits with a deadline")
{
    if (TEST_TSAN) return;
    CHECK_INT(status_of(wait_for_thread), 7);
    CHECK_INT(status_of(wait_for_thread_with_deadline), 7);
}

TEST(deadlock, daemons, "no deadlock: only daemons wait")
{
    if (!TEST_TSAN) CHECK_INT(status_of(NULL), 7);
}

TEST(deadlock, off, "no deadlock: nothing is looked for where the environment says so")
{
    char before[32] = "";
    const char *old = getenv("WEFT_DEADLOCK");
    if (old) snprintf(before, sizeof before, "%s", old);
    setenv("WEFT_DEADLOCK", "off", 1);
    uint64_t looked = looks();
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(park, NULL);
    struct timespec a_while = {.tv_nsec = 300000000};
    nanosleep(&a_while, NULL);
    CHECK_INT(looks(), looked);
    CHECK_INT(weft_stop(), 0);
    weft_task_release(t);
    if (old) setenv("WEFT_DEADLOCK", before, 1);
    else unsetenv("WEFT_DEADLOCK");
}
