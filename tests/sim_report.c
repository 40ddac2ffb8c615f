/* sim_report.c - where a simulated thread is, for people. */
#include "sim.h"

#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { FRAMES = 32, CPU_SECONDS = 30, SECONDS = 180, SIGNAL_STACK = 256 * 1024 };

/* Function, file and line of each frame of the caller, by addr2line if there is one. */
void
sim_report_here(void)
{
    void *frames[FRAMES];
    char command[FRAMES * 24 + 128];
    int n = backtrace(frames, FRAMES);
    size_t used = (size_t)snprintf(command, sizeof command, "addr2line -sfpe /proc/%d/exe", (int)getpid());
    for (int i = 1; i < n; i++)
        used += (size_t)snprintf(command + used, sizeof command - used, " %#zx", (size_t)frames[i] - 1);
    snprintf(command + used, sizeof command - used, " 2>/dev/null | sed -e 's/^/    /' 1>&2");
    if (system(command) == 0) return;
    for (int i = 1; i < n; i++) dprintf(STDERR_FILENO, "    %p\n", frames[i]);
}

void
sim_report_thread(const struct sim_thread *t, bool running)
{
    static const char *const whys[] = {"a futex", "a mutex", "a condition", "the end of a thread", "a time"};
    dprintf(STDERR_FILENO, "thread %d%s: ", t->id, t->worker ? ", a worker" : "");
    if (running) dprintf(STDERR_FILENO, "runs\n");
    else if (t->state == SIM_READY) dprintf(STDERR_FILENO, "is ready\n");
    else if (t->deadline == INT64_MAX) dprintf(STDERR_FILENO, "waits for %s\n", whys[t->why]);
    else dprintf(STDERR_FILENO, "waits for %s until %lld ns\n", whys[t->why], (long long)t->deadline);
}

static void
on_signal(int number)
{
    if (!sim_self()) _exit(SIM_STUCK);
    if (number == SIGVTALRM) sim_stuck("livelock: %d s of processor time are over", CPU_SECONDS);
    if (number == SIGALRM)
        sim_stuck("blocked for %d s in the system, for real: can it be simulated? tests/sim_tests.c", SECONDS);
    sim_stuck("killed by signal %d (%s)", number, strsignal(number));
}

/* A crash is reported like a deadlock; so is a loop without any points. */
void
sim_report_crashes(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGVTALRM, SIGALRM};
    static char memory[SIGNAL_STACK];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)(SA_ONSTACK | SA_RESETHAND)};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaction(numbers[i], &action, NULL);
    struct itimerval limit = {.it_value = {.tv_sec = CPU_SECONDS}};
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
    alarm(SECONDS);
}
