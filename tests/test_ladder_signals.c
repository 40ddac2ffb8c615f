/* test_ladder_signals.c - weft_shutdown from signal handlers, what the process is afterwards, and the third call. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#include "child_kit.h"
#include "scope_kit.h"

/* Number of workers: one, and as usual. */
enum { COUNTS = 2 };
static const int worker_counts[COUNTS] = {1, 0};

struct scene {
    weft_channel *empty;
    _Atomic int begun, cancelled, shielded, broken;
};

/* Waits for what never comes; then in a shield. */
static int
clean_up(void *arg)
{
    struct scene *s = arg;
    weft_scope shield;
    int x = 0;
    atomic_fetch_add(&s->begun, 1);
    CHECK_INT(weft_channel_take(s->empty, &x), WEFT_ECANCELED);
    atomic_fetch_add(&s->cancelled, 1);
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    atomic_fetch_add(&s->shielded, 1);
    int rc = weft_channel_take(s->empty, &x);
    CHECK_INT(rc, WEFT_ECANCELED);
    atomic_fetch_add(&s->broken, 1);
    return weft_scope_close(&shield, rc);
}

/* Sends the process what the program has its handler for, when the tasks are there. */
struct sender {
    struct scene *scene;
    int number, tasks;
};

static void *
send_signals(void *arg)
{
    struct sender *s = arg;
    until(&s->scene->begun, s->tasks);
    kill(getpid(), s->number);
    until(&s->scene->shielded, s->tasks);
    CHECK_INT(s->scene->broken, 0);
    kill(getpid(), s->number);
    return NULL;
}

/* A thread that no signal reaches. */
static pthread_t
start_sender(struct sender *s)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!CHECK_INT(pthread_create(&thread, NULL, send_signals, s), 0)) abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return thread;
}

static int
clean_up_with_others(void *arg)
{
    CHECK_INT(weft_spawn(NULL, clean_up, arg), 0);
    CHECK_INT(weft_async(NULL, clean_up, arg), 0);
    return clean_up(arg);
}

static void
run_until_signalled(int number, int workers)
{
    struct scene s = {.begun = 0};
    struct sender sender = {&s, number, 3};
    CHECK_INT(weft_channel_new(&s.empty, sizeof(int), 0), 0);
    pthread_t thread = start_sender(&sender);
    CHECK_INT(run_on(workers, clean_up_with_others, &s), WEFT_ECANCELED);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(s.cancelled, 3);
    CHECK_INT(s.broken, 3);
    weft_channel_release(s.empty);
}

static void
shut_down(int number)
{
    (void)number;
    (void)weft_shutdown();
}

/* ThreadSanitizer keeps a signal back until its thread calls something that it knows; a worker that sleeps does not. */

/* [S164] [S165] [S168] */
TEST(ladder_signals, own_handler,
     "shutdown: from a handler of the program, the first cancels, the second breaks shields")
{
    if (TEST_TSAN) return;
    struct sigaction ours = {.sa_handler = shut_down, .sa_flags = SA_RESTART | SA_ONSTACK}, before;
    sigemptyset(&ours.sa_mask);
    CHECK_INT(sigaction(SIGUSR1, &ours, &before), 0);
    for (int i = 0; i < 2 * COUNTS; i++) run_until_signalled(SIGUSR1, worker_counts[i % COUNTS]);
    CHECK_INT(sigaction(SIGUSR1, &before, NULL), 0);
}

/* [S164] [S165] [S168] */
TEST(ladder_signals, installed, "shutdown: weft_shutdown_on has a signal call it, again in the next run")
{
    if (TEST_TSAN) return;
    struct sigaction before;
    CHECK_INT(sigaction(SIGUSR2, NULL, &before), 0);
    CHECK_INT(weft_shutdown_on(SIGUSR2), 0);
    CHECK_INT(weft_shutdown_on(SIGUSR2), 0); /* which does not make it its own predecessor */
    for (int i = 0; i < 2 * COUNTS; i++) run_until_signalled(SIGUSR2, worker_counts[i % COUNTS]);
    CHECK_INT(sigaction(SIGUSR2, &before, NULL), 0);
}

TEST(ladder_signals, refused, "shutdown: what is no signal, or cannot be caught, is refused")
{
    static const int numbers[] = {0, -1, NSIG, 100000, SIGKILL, SIGSTOP};
    for (int i = 0; i < 6; i++) CHECK_INT(weft_shutdown_on(numbers[i]), WEFT_EINVAL);
}

/* ---- While it is not running ----------------------------------------------------------------------------------------- */

static volatile sig_atomic_t passed_on;

static void
note_signal(int number)
{
    passed_on = number;
}

static void
note_info(int number, siginfo_t *info, void *context)
{
    passed_on = context && info->si_signo == number ? number : -1;
}

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* What the program had is called before and after a run; ends as what it had by default says. */
static int
signalled_outside(void *arg)
{
    struct sigaction with_info = {.sa_sigaction = note_info, .sa_flags = SA_SIGINFO};
    (void)arg;
    signal(SIGUSR1, note_signal);
    sigemptyset(&with_info.sa_mask);
    sigaction(SIGUSR2, &with_info, NULL);
    signal(SIGHUP, SIG_IGN);
    static const int numbers[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGTERM};
    for (int i = 0; i < 4; i++) {
        if (weft_shutdown_on(numbers[i]) < 0) return 1;
    }
    raise(SIGUSR1);
    if (passed_on != SIGUSR1 || weft_run(NULL, nothing, NULL) < 0) return 2;
    raise(SIGUSR2);
    if (passed_on != SIGUSR2) return 3;
    raise(SIGHUP);
    if (passed_on != SIGUSR2) return 4;
    raise(SIGTERM);
    return 5;
}

TEST(ladder_signals, outside, "shutdown: while Weft is not running the signal does what it did before")
{
    if (TEST_TSAN) return;
    int status = child_status(signalled_outside, NULL);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGTERM);
}

static int
in_a_fork(void *arg)
{
    (void)arg;
    if (weft_shutdown_on(SIGTERM) < 0 || weft_start(NULL) < 0) return 1;
    pid_t child = fork();
    if (child == 0) {
        if (weft_shutdown() != WEFT_ENOTSUP) _exit(2);
        raise(SIGTERM);
        _exit(3);
    }
    int status = -1;
    while (waitpid(child, &status, 0) < 0) continue;
    if (weft_stop() < 0) return 4;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 0 : 5;
}

TEST(ladder_signals, forked,
     "shutdown: in a process that was forked it is refused, and the signal does what it did before")
{
    if (TEST_TSAN) return;
    CHECK_INT(child_status(in_a_fork, NULL), 0);
}

/* ---- The third call, and deadlocks ----------------------------------------------------------------------------------- */

static int
call_three_times(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) (void)weft_shutdown();
    return 0;
}

static void
die_by_hand(void)
{
    (void)weft_run(NULL, call_three_times, NULL);
}

/* The signals go to the thread that does not block them; two that come at once are one. */
static int
ignore_all(void *arg)
{
    (void)arg;
    while (kill(getpid(), SIGINT) == 0) sched_yield();
    return 1;
}

static void
die_by_signal(void)
{
    if (weft_shutdown_on(SIGINT) == 0) (void)weft_run(NULL, ignore_all, NULL);
}

TEST(ladder_signals, third, "shutdown: the third call dumps what there is, and aborts")
{
    CHECK(test_dies(die_by_hand, "called for the third time"));
    CHECK(test_dies(die_by_hand, "tasks and 0 daemons have not ended"));
    CHECK(test_dies(die_by_signal, "called for the third time"));
}

/* Waits for nothing but a signal, for longer than a deadlock would be left alone. */
static int
wait_for_signal(void *arg)
{
    int x = 0;
    return weft_channel_take(arg, &x) == WEFT_ECANCELED ? 0 : WEFT_EINVAL;
}

static int
only_a_signal(void *arg)
{
    struct itimerval soon = {.it_value = {.tv_usec = 250000}};
    weft_channel *c = NULL;
    (void)arg;
    setenv("WEFT_DEADLOCK", "abort", 1);
    if (weft_channel_new(&c, sizeof(int), 0) < 0 || weft_shutdown_on(SIGALRM) < 0) return 1;
    setitimer(ITIMER_REAL, &soon, NULL);
    int rc = weft_run(NULL, wait_for_signal, c);
    weft_channel_release(c);
    return rc;
}

TEST(ladder_signals, no_deadlock, "shutdown: a program that waits for its signal is not taken for dead")
{
    if (TEST_TSAN) return;
    CHECK_INT(child_status(only_a_signal, NULL), 0);
}

/* ---- Anywhere at all -------------------------------------------------------------------------------------------------- */

static _Atomic int storm; /* signals that have come */

/* Instead of the third call: goes on to count. */
static void
shut_down_gently(int number)
{
    (void)number;
    if (atomic_fetch_add(&storm, 1) < 2) (void)weft_shutdown();
}

static int
fork_and_join(void *arg)
{
    weft_scope s;
    int rc = 0;
    weft_scope_open(&s, WEFT_SHIELD, WEFT_FOREVER);
    while (rc == 0) {
        weft_task *t = NULL;
        weft_scope inner;
        weft_scope_open(&inner, 0, WEFT_FOREVER);
        rc = weft_spawn(&t, nothing, arg);
        if (rc == 0 && (rc = weft_join(t)) < 0) weft_task_release(t);
        if (rc == 0) rc = weft_sleep(WEFT_US);
        rc = weft_scope_close(&inner, rc);
    }
    return weft_scope_close(&s, rc);
}

/* On the thread that the signals go to. */
static int
shut_down_in_the_middle(void *arg)
{
    unsigned state = test_seed() + (unsigned)atomic_load((_Atomic int *)arg);
    for (int k = 0; k < 3; k++) CHECK_INT(weft_spawn(NULL, fork_and_join, arg), 0);
    for (int k = 0; k < 2; k++) {
        struct itimerval soon = {.it_value = {.tv_usec = 1 + (int)dice(&state, 500)}};
        setitimer(ITIMER_REAL, &soon, NULL);
        while (atomic_load(&storm) <= k) {
            for (int n = 0; n < 10; n++) weft_yield();
        }
    }
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    return 0;
}

TEST(ladder_signals, anywhere, "shutdown: a handler may interrupt a worker anywhere")
{
    if (TEST_TSAN) return;
    struct sigaction ours = {.sa_handler = shut_down_gently, .sa_flags = SA_RESTART | SA_ONSTACK}, before;
    sigemptyset(&ours.sa_mask);
    CHECK_INT(sigaction(SIGALRM, &ours, &before), 0);
    for (int i = 0; i < 40; i++) {
        _Atomic int round = i;
        atomic_store(&storm, 0);
        CHECK_INT(run_on(worker_counts[i % COUNTS], shut_down_in_the_middle, (void *)&round), 0);
    }
    CHECK_INT(sigaction(SIGALRM, &before, NULL), 0);
}
