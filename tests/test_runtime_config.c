/* test_runtime_config.c - what a running runtime makes of its configuration; processes that fork, exit, or die. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "task_kit.h"

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
park(void *arg)
{
    (void)arg;
    return weft_park(NULL);
}

static char said[1 << 16];

/* What weft_start returns with the variable set to value; said has what it wrote. */
static int
start_with(const weft_config *cfg, const char *variable, const char *value)
{
    struct capture c;
    char before[256] = "";
    const char *old = getenv(variable);
    if (old) snprintf(before, sizeof before, "%s", old);
    if (!capture_begin(&c)) return 1;
    setenv(variable, value, 1);
    int rc = weft_start(cfg);
    if (old) setenv(variable, before, 1);
    else unsetenv(variable);
    capture_end(&c, said, sizeof said, "");
    return rc;
}

TEST(runtime, bad_environment, "start: a variable that cannot be used is an error, which names it")
{
    static const char *const bad[][2] = {
        {"WEFT_NUM_THREADS", "many"},
        {"WEFT_NUM_THREADS", "-1"},
        {"WEFT_NUM_THREADS", "2,"},
        {"WEFT_NUM_THREADS", "2,x"},
        {"WEFT_NUM_THREADS", "1,2,3"},
        {"WEFT_NUM_THREADS", "99999999999999999999"},
        {"WEFT_STACK_SIZE", "big"},
        {"WEFT_STACK_SIZE", "64Q"},
        {"WEFT_STACK_SIZE", "-65536"},
        {"WEFT_STACK_SIZE", "1"},
        {"WEFT_STACK_SIZE", "999999G"},
        {"WEFT_BIND", "perhaps"},
        {"WEFT_VERBOSE", "very"},
        {"WEFT_DEADLOCK", "never"},
        {"WEFT_SPAN", "2us"},
        {"WEFT_SPAN", "1000000001"},
        {"WEFT_SPAN", ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(start_with(NULL, bad[i][0], bad[i][1]), WEFT_EINVAL);
        CHECK(strstr(said, bad[i][0]) != NULL);
        CHECK_INT(weft_stop(), WEFT_ENOENT);
    }
    CHECK_INT(weft_run(NULL, nothing, NULL), 0);
}

TEST(runtime, bad_environment_everywhere, "start: what starts the runtime by itself returns what weft_start would")
{
    struct capture c;
    char before[256];
    weft_task *t = NULL;
    snprintf(before, sizeof before, "%s", getenv("WEFT_NUM_THREADS"));
    if (!capture_begin(&c)) return;
    setenv("WEFT_NUM_THREADS", "many", 1);
    int codes[] = {weft_run(NULL, nothing, NULL), weft_spawn(&t, nothing, NULL), weft_async(&t, nothing, NULL),
                   weft_task_new(&t, nothing, NULL, NULL), weft_nworkers()};
    setenv("WEFT_NUM_THREADS", before, 1);
    capture_end(&c, said, sizeof said, "");
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) CHECK_INT(codes[i], WEFT_EINVAL);
    CHECK(t == NULL);
    CHECK_INT(weft_stop(), WEFT_ENOENT);
}

TEST(runtime, bad_config, "start: a field that cannot be used is an error, and nothing is started")
{
    weft_config bad[] = {{.workers = -1}, {.interactive = -1}, {.stack_size = 1}, {.bind = 77}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bad[i].size = sizeof bad[i];
        CHECK_INT(start_with(&bad[i], "WEFT_VERBOSE", "0"), WEFT_EINVAL);
        CHECK(said[0] != '\0');
        struct capture c;
        if (!capture_begin(&c)) return;
        int rc = weft_run(&bad[i], nothing, NULL);
        CHECK_INT(capture_end(&c, said, sizeof said, "weft: "), 1);
        CHECK_INT(rc, WEFT_EINVAL);
        CHECK_INT(weft_stop(), WEFT_ENOENT);
    }
}

TEST(runtime, precedence, "start: a field beats the environment, which beats the default")
{
    weft_config cfg = {.size = 0, .workers = 2};
    CHECK_INT(start_with(NULL, "WEFT_NUM_THREADS", "3"), 0);
    CHECK_INT(weft_nworkers(), 3);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(start_with(&cfg, "WEFT_NUM_THREADS", "3"), 0);
    CHECK_INT(weft_nworkers(), 2);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(start_with(NULL, "WEFT_NUM_THREADS", "auto"), 0);
    CHECK(weft_nworkers() >= 1);
    CHECK_INT(weft_stop(), 0);
}

TEST(runtime, verbose, "start: WEFT_VERBOSE=1 prints the configuration, nothing else prints anything")
{
    CHECK_INT(start_with(NULL, "WEFT_VERBOSE", "1"), 0);
    CHECK(said[0] != '\0');
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(start_with(NULL, "WEFT_VERBOSE", "0"), 0);
    CHECK_STR(said, "");
    CHECK_INT(weft_stop(), 0);
}

static int
my_worker(void *arg)
{
    for (int i = 0; i < 10; i++) {
        weft_yield();
        *(int *)arg = weft_worker();
    }
    return 0;
}

static int
worker_of(unsigned flags)
{
    weft_task_options opt = {.size = sizeof opt, .flags = flags};
    weft_task *t = NULL;
    int worker = -1;
    CHECK_INT(weft_spawn_with(&t, my_worker, &worker, &opt), 0);
    CHECK_INT(weft_join(t), 0);
    return worker;
}

static int
mix_pools(void *arg)
{
    int workers = weft_nworkers(), interactive = *(int *)arg;
    for (int i = 0; i < 50; i++) {
        int w = worker_of(i % 2 ? WEFT_INTERACTIVE : WEFT_INTERACTIVE | WEFT_STICKY);
        CHECK(w >= (interactive ? workers : 0) && w < workers + interactive);
    }
    return 0;
}

TEST(runtime, interactive, "runtime: interactive tasks run on the interactive workers, which come after the others")
{
    int interactive = 2;
    weft_config cfg = {.size = sizeof cfg, .workers = 2, .interactive = interactive};
    CHECK_INT(weft_start(&cfg), 0);
    CHECK_INT(weft_nworkers(), 2);
    for (int i = 0; i < 50; i++) {
        int w = worker_of(i % 2 ? WEFT_INTERACTIVE : WEFT_INTERACTIVE | WEFT_STICKY), v = worker_of(0);
        CHECK(w == 2 || w == 3);
        CHECK(v == 0 || v == 1);
    }
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_run(&cfg, mix_pools, &interactive), 0);
}

TEST(runtime, interactive_environment, "runtime: WEFT_NUM_THREADS=N,M makes M interactive workers")
{
    CHECK_INT(start_with(NULL, "WEFT_NUM_THREADS", "1,1"), 0);
    CHECK_INT(weft_nworkers(), 1);
    CHECK_INT(worker_of(0), 0);
    CHECK_INT(worker_of(WEFT_INTERACTIVE), 1);
    CHECK_INT(weft_stop(), 0);
}

TEST(runtime, no_interactive, "runtime: without interactive workers the others run interactive tasks")
{
    weft_config cfg = {.size = sizeof cfg, .workers = 2};
    int none = 0;
    CHECK_INT(weft_run(&cfg, mix_pools, &none), 0);
}

/* Runs fn in a forked child: its exit code, or minus the signal that killed it.  A child that hangs is killed. */
static int
in_child(int (*fn)(void *), void *arg)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        _exit(fn(arg));
    }
    int status = 0;
    if (!CHECK(child > 0) || !CHECK(waitpid(child, &status, 0) == child)) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int
spawn_is_refused(void *arg)
{
    weft_task *t = NULL;
    (void)arg;
    return weft_spawn(&t, nothing, NULL) == WEFT_ENOTSUP && t == NULL ? 0 : 1;
}

/* The number of the first call that did not do what it should; 0: all did. */
static int
everything_is_refused(void *arg)
{
    weft_task *parked = arg, *t = NULL;
    if (spawn_is_refused(NULL) != 0) return 1;
    if (weft_async(&t, nothing, NULL) != WEFT_ENOTSUP) return 2;
    if (weft_task_new(&t, nothing, NULL, NULL) != WEFT_ENOTSUP) return 3;
    if (weft_spawn_copy(&t, nothing, "x", 1) != WEFT_ENOTSUP) return 4;
    if (weft_run(NULL, nothing, NULL) != WEFT_ENOTSUP) return 5;
    if (weft_start(NULL) != WEFT_ENOTSUP) return 6;
    if (weft_nworkers() != WEFT_ENOTSUP) return 7;
    if (weft_stop() >= 0) return 8;
    if (weft_wait(parked) != WEFT_ENOTSUP) return 9;
    if (weft_wait_until(parked, weft_in(WEFT_MS)) >= 0) return 10;
    if (weft_current() != NULL || weft_worker() != -1) return 11;
    return 0;
}

TEST(runtime, fork, "fork: in the child of a process where Weft runs every call is refused, and none hangs")
{
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(park, NULL);
    while (!weft_task_isstarted(t)) sched_yield();
    CHECK_INT(in_child(everything_is_refused, t), 0);
    CHECK_INT(weft_join(spawned(nothing, NULL)), 0);
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_stop(), 0);
}

TASK_TEST(runtime, fork_in_task, "fork: a task may fork, and spawns nothing in the child")
{
    CHECK_INT(in_child(spawn_is_refused, NULL), 0);
    CHECK_INT(weft_join(spawned(nothing, NULL)), 0);
}

static int
run_in_child(void *arg)
{
    return weft_run(NULL, nothing, arg) == 0 ? 0 : 1;
}

TEST(runtime, fork_after_stop, "fork: the child of a process where Weft has stopped starts its own")
{
    if (TEST_TSAN) return;
    CHECK_INT(weft_run(NULL, nothing, NULL), 0);
    CHECK_INT(in_child(run_in_child, NULL), 0);
    CHECK_INT(weft_run(NULL, nothing, NULL), 0);
}

static int
leave(void *arg)
{
    weft_yield();
    if (*(int *)arg == 3) exit(3);
    quick_exit(*(int *)arg);
}

static int
spawn_and_leave(void *arg)
{
    weft_task *t = spawned(park, NULL), *u = spawned(leave, arg);
    return weft_join(u) + weft_join(t);
}

static int
run_and_leave(void *arg)
{
    return weft_run(NULL, spawn_and_leave, arg);
}

TEST(runtime, exit_in_task, "exit: a task may end the process, with others parked")
{
    if (TEST_TSAN || TEST_ASAN) return;
    CHECK_INT(in_child(run_and_leave, &(int){3}), 3);
    CHECK_INT(in_child(run_and_leave, &(int){5}), 5);
}

static volatile int endless = 1;

static __attribute__((noinline)) int
fall(int depth)
{
    volatile char frame[512];
    frame[depth % 512] = (char)depth;
    return endless ? fall(depth + 1) + frame[depth % 512] : frame[0];
}

static int
fall_down(void *arg)
{
    if (arg) weft_yield();
    return fall(0);
}

static int
overflow_in_place(void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .name = "icarus"};
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, fall_down, arg, &opt), 0);
    return weft_join(t);
}

static int
overflow_alone(void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .name = "icarus"};
    CHECK_INT(weft_spawn_with(NULL, fall_down, arg, &opt), 0);
    return weft_park(NULL);
}

static void
die_in_place(void)
{
    (void)weft_run(NULL, overflow_in_place, NULL);
}

static void
die_alone(void)
{
    (void)weft_run(NULL, overflow_alone, NULL);
}

static void
die_parked(void)
{
    (void)weft_run(NULL, overflow_alone, said);
}

TEST(runtime, overflow, "overflow: a task that runs out of stack dies with its name")
{
    CHECK(test_dies(die_alone, "icarus"));
    CHECK(test_dies(die_parked, "icarus"));
    CHECK(test_dies(die_in_place, "icarus"));
}

static int
exit_thread(void *arg)
{
    pthread_exit(arg);
}

static int
spawn_exit(void *arg)
{
    return weft_join(spawned(exit_thread, arg));
}

static void
exit_in_child(void)
{
    (void)weft_run(NULL, spawn_exit, NULL);
}

static void
exit_in_root(void)
{
    (void)weft_run(NULL, exit_thread, NULL);
}

TEST(runtime, pthread_exit, "pthread_exit: in a task it ends the process with a message")
{
    if (TEST_ASAN) return; /* it follows pthread_exit through the thread's own stack, and trips over the task's */
    CHECK(test_dies(exit_in_child, "pthread_exit"));
    CHECK(test_dies(exit_in_root, "pthread_exit"));
}
