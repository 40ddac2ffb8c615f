/* fault_main.c - runs every scenario with the first, second, ... call of every kind failing, once and for ever.
 *
 *     faults [-l] [-v] [-x] [-1] [-t SECONDS] [-f TEXT]
 *       -l       list the scenarios
 *       -v       show each kind of fault, and how often it was tried
 *       -x       the scenarios that have a defect: each must be reported
 *       -1       stops at the first failure
 *       -t N     seconds that a run may take
 *       -f TEXT  only scenarios whose name or sentence contains TEXT
 *
 * Each scenario has a process of its own.  A run that hangs, or crashes, is a failure of its kind of fault, and the others go
 * on.  Prints the failures, and at the end "N passed, M failed": N kinds of fault, in N scenarios, that met at least one call
 * and did no harm. */
#include "fault_kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EACH = 32, MOST_SHOWN = 6, MOST_RUNS = 600 };

static const struct fault faults[] = {
    {"malloc: ENOMEM", F_MALLOC, ENOMEM, WEFT_ENOMEM, BOTH},
    {"calloc: ENOMEM", F_CALLOC, ENOMEM, WEFT_ENOMEM, BOTH},
    {"aligned_alloc: ENOMEM", F_ALIGNED, ENOMEM, WEFT_ENOMEM, BOTH},
    {"mmap: ENOMEM", F_MMAP, ENOMEM, WEFT_ENOMEM, BOTH},
    {"mmap, descriptors: ENOMEM", F_DESCRIPTORS, ENOMEM, WEFT_ENOMEM, BOTH},
    {"munmap: ENOMEM", F_MUNMAP, ENOMEM, 0, BOTH},
    {"mprotect: ENOMEM", F_MPROTECT, ENOMEM, WEFT_ENOMEM, BOTH},
    {"guard: EINVAL", F_GUARD, EINVAL, 0, BOTH},
    {"guard: ENOMEM", F_GUARD, ENOMEM, 0, BOTH},
    {"guard and mprotect: ENOMEM", F_GUARD | F_MPROTECT, ENOMEM, WEFT_ENOMEM, BOTH},
    {"guard: a lie", F_LIE, 0, 0, FROM_THE_FIRST},
    {"no huge pages: EINVAL", F_NOHUGE, EINVAL, 0, BOTH},
    {"no huge pages: ENOMEM", F_NOHUGE, ENOMEM, WEFT_ENOMEM, BOTH},
    {"giving back: EINVAL", F_CLEAN, EINVAL, 0, BOTH},
    {"all memory: ENOMEM", F_MEMORY, ENOMEM, WEFT_ENOMEM, BOTH},
    {"membarrier, registration: EPERM", F_REGISTER, EPERM, 0, BOTH},
    {"membarrier: ENOMEM", F_BARRIER, ENOMEM, 0, ONCE},
    {"futex: EINTR", F_FUTEX, EINTR, 0, BOTH},
    {"pthread_create: EAGAIN", F_THREAD, EAGAIN, WEFT_EAGAIN, BOTH},
    {"pthread_atfork: ENOMEM", F_ATFORK, ENOMEM, WEFT_ENOMEM, BOTH},
    {"sigaltstack: ENOMEM", F_SIGALTSTACK, ENOMEM, 0, BOTH},
    {"sched_getaffinity: EPERM", F_GETAFFINITY, EPERM, 0, BOTH},
    {"sched_setaffinity: EINVAL", F_SETAFFINITY, EINVAL, 0, BOTH},
    {"open: EMFILE", F_OPEN, EMFILE, 0, BOTH},
    {"read: EIO", F_READ, EIO, 0, BOTH},
    {"write: EPIPE", F_WRITE, EPIPE, 0, BOTH},
    {"prctl: EINVAL", F_PRCTL, EINVAL, 0, BOTH},
    {"hwloc_topology_init: ENOMEM", F_HWLOC_INIT, ENOMEM, 0, BOTH},
    {"hwloc_topology_load: ENOSYS", F_HWLOC_LOAD, ENOSYS, 0, BOTH},
    {"epoll_create1: EMFILE", F_EPOLL, EMFILE, -EMFILE, BOTH},
    {"epoll_ctl: ENOSPC", F_EPOLL_CTL, ENOSPC, -ENOSPC, BOTH},
    {"epoll_ctl: ENOMEM", F_EPOLL_CTL, ENOMEM, WEFT_ENOMEM, BOTH},
    {"eventfd: ENFILE", F_EVENTFD, ENFILE, -ENFILE, BOTH},
    {"ppoll: EINTR", F_PPOLL, EINTR, 0, ONCE},
    {"recv, send: EINTR", F_SOCKET, EINTR, 0, ONCE},
};
enum { FAULTS = sizeof faults / sizeof *faults, ATFORK = 19 };
_Static_assert(FAULTS == 35, "ATFORK is the row of pthread_atfork");

/* What the parent and the process of a scenario share. */
static struct shared {
    int fault, nth, for_ever; /* where it is */
    int shown, failed_here;
    int runs, passed, failed;
} * at;

static int out; /* the real stdout: what Weft writes goes to a file */
static bool verbose, stop_at_first;
static unsigned patience = 20;

/* ---- A run ---- */

__attribute__((format(printf, 1, 2))) static void
say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vdprintf(out, format, args);
    va_end(args);
}

bool
fault_check(bool ok, const char *file, int line, const char *what)
{
    if (ok) return true;
    at->failed_here++;
    if (at->shown++ < MOST_SHOWN)
        say("%s:%d: with call %d failing %s (%s): %s does not hold\n", file, line, at->nth,
            at->for_ever ? "for ever" : "once", at->fault < 0 ? "none" : faults[at->fault].name, what);
    return false;
}

bool
fault_may_at(int rc, const char *file, int line, const char *what)
{
    int allowed = fault_current()->code;
    if (rc < 0 && !(fault_count() > 0 && rc == allowed)) {
        char text[256];
        snprintf(text, sizeof text, "%s is %s; that it succeeds%s%s", what, weft_error_name(rc),
                 allowed && fault_count() ? ", or is " : "", allowed && fault_count() ? weft_error_name(allowed) : "");
        fault_check(false, file, line, text);
    }
    return rc >= 0;
}

bool
fault_start(int workers, int interactive)
{
    weft_config cfg = {.size = sizeof cfg,
                       .workers = workers,
                       .interactive = interactive,
                       .bind = WEFT_BIND_NONE,
                       .stack_size = 1 << 16};
    return FAULT_CHECK(weft_start(&cfg) == 0);
}

void
fault_on_task(int workers, int interactive, weft_fn *fn)
{
    weft_task *t;
    if (!fault_start(workers, interactive)) return;
    if (FAULT_CHECK(weft_spawn(&t, fn, NULL) == 0)) FAULT_CHECK(weft_join(t) == 0);
    FAULT_CHECK(weft_stop() == 0);
}

void
fault_on_thread(int workers, weft_fn *fn, void *arg)
{
    if (!fault_start(workers, 0)) return;
    FAULT_CHECK(fn(arg) == 0);
    FAULT_CHECK(weft_stop() == 0);
}

static int
add(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)ctx;
    for (size_t i = begin; i < end; i++) *(long *)acc += (long)i;
    return 0;
}

static void
combine(void *into, const void *from, void *ctx)
{
    (void)ctx;
    *(long *)into += *(const long *)from;
}

static int
produce(weft_channel *c, void *arg)
{
    (void)arg;
    for (int i = 1; i <= 10; i++) {
        if (weft_channel_put(c, &i) < 0) return -1;
    }
    return 0;
}

static int
ordinary(void *arg)
{
    long zero = 0, sum = 0;
    int x, got = 0;
    weft_channel *c;
    weft_reduction r = {.size = sizeof sum, .identity = &zero, .map = add, .combine = combine};
    (void)arg;
    if (weft_reduce(0, 1000, 10, &r, NULL, &sum) < 0 || sum != 499500) return 1;
    if (weft_channel_spawn(&c, sizeof x, 0, produce, NULL, NULL) < 0) return 2;
    weft_channel_each(c, x) got += x;
    weft_channel_release(c);
    return got == 55 ? 0 : 3;
}

static void
run(const struct fault_scenario *s, const struct fault *fault, int nth, bool for_ever)
{
    weft_config cfg = {.size = sizeof cfg, .workers = 2, .bind = WEFT_BIND_NONE, .stack_size = 1 << 16};
    at->nth = nth;
    at->for_ever = for_ever;
    at->runs++;
    alarm(patience);
    if (ftruncate(STDERR_FILENO, 0) != 0 || lseek(STDERR_FILENO, 0, SEEK_SET) != 0) abort();
    fault_prepare(fault, nth, for_ever);
    s->body();
    fault_settled();
    FAULT_CHECK(weft_run(&cfg, ordinary, NULL) == 0); /* the runtime is usable afterwards */
    alarm(0);
}

/* ---- A scenario ---- */

/* Every one of the first EACH calls; of a long row of calls after that, ever fewer. */
static int
next_after(int n)
{
    return n < EACH ? n + 1 : n + n / 8;
}

static void
try_fault(const struct fault_scenario *s, int k, bool for_ever)
{
    int n = 1, runs = 0;
    at->fault = k;
    at->failed_here = 0;
    at->shown = 0;
    for (;; n = next_after(n), runs++) {
        run(s, &faults[k], n, for_ever);
        if (fault_count() == 0 || at->failed_here > 0 || faults[k].modes == FROM_THE_FIRST) break;
        if (!fault_check(runs < MOST_RUNS, __FILE__, __LINE__, "a run without a failing call")) break;
    }
    if (faults[k].modes == FROM_THE_FIRST) runs += fault_count() > 0;
    if (at->failed_here) at->failed++;
    else if (runs > 0) at->passed++;
    if (verbose && runs > 0) say("    %-34s %-8s %3d runs\n", faults[k].name, for_ever ? "for ever" : "once", runs);
}

static void
show_where(int number)
{
    (void)number;
    char command[128];
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    snprintf(command, sizeof command, "gdb -p %d -batch -nx -ex 'thread apply all backtrace 20' 2>/dev/null >&%d",
             (int)getpid(), out);
    if (patience >= 10) {
        if (system(command) != 0) say("(no gdb, no backtraces)\n");
    }
    _exit(99);
}

static _Noreturn void
scenario_process(const struct fault_scenario *s, int from)
{
    static const struct fault none = {"", 0, 0, 0, BOTH};
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    int file = memfd_create("stderr", 0);
    dup2(file, STDERR_FILENO);
    fault_capture(file);
    signal(SIGALRM, show_where);
    setenv("HWLOC_SYNTHETIC", "core:2 pu:1", 1); /* quicker than looking at the machine */
    setenv("HWLOC_THISSYSTEM", "1", 1);
    fault_baseline();
    if (from == 0) try_fault(s, ATFORK, false); /* it is called once in a process: before anything has started */
    at->fault = -1;
    run(s, &none, 1, false);
    if (at->failed_here) {
        at->failed++;
        _exit(0);
    }
    for (int k = from; k < 2 * FAULTS && !((s->seeded || stop_at_first) && at->failed_here); k++) {
        const struct fault *f = &faults[k / 2];
        bool for_ever = k % 2 == 1, wanted = f->modes == BOTH || (f->modes == FROM_THE_FIRST) == for_ever;
        if (wanted && (f->calls & s->calls)) try_fault(s, k / 2, for_ever);
    }
    _exit(0);
}

/* Runs s in processes of its own: another one after a crash, for the kinds of fault that come after that. */
static void
run_scenario(const struct fault_scenario *s)
{
    for (int from = 0; from < 2 * FAULTS;) {
        int status;
        at->shown = at->failed_here = 0;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) scenario_process(s, from);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
        const char *kind = at->fault < 0 ? "none" : faults[at->fault].name;
        const char *mode = at->for_ever ? "for ever" : "once";
        if (WIFSIGNALED(status))
            say("%s: with call %d failing %s (%s): killed by signal %d\n", s->name, at->nth, mode, kind,
                WTERMSIG(status));
        else
            say("%s: with call %d failing %s (%s): still running after %u s\n", s->name, at->nth, mode, kind, patience);
        at->failed++;
        if (at->fault < 0 || s->seeded || stop_at_first) return;
        from = 2 * at->fault + at->for_ever + 1;
    }
}

/* ---- All of them ---- */

static struct fault_scenario *scenarios, **scenarios_end = &scenarios;

void
fault_register(struct fault_scenario *scenario)
{
    *scenarios_end = scenario;
    scenarios_end = &scenario->next;
}

static bool
perform(const struct fault_scenario *s)
{
    int passed = at->passed, failed = at->failed, runs = at->runs;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    run_scenario(s);
    bool found = at->failed > failed;
    if (s->seeded) {
        at->failed = failed + !found;
        at->passed = passed + found;
        say("%s: %s: %s\n", s->name, s->sentence, found ? "reported, as it must be" : "its defect was NOT reported");
        return found;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    say("%-24s %5d runs, %3d kinds of fault, %d failed, %.1f s\n", s->name, at->runs - runs, at->passed - passed,
        at->failed - failed, (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    return !found;
}

int
main(int argc, char **argv)
{
    bool list = false, seeded = false;
    const char *filter = "";
    for (int option; (option = getopt(argc, argv, "lvx1t:f:")) != -1;) {
        if (option == 'l') list = true;
        else if (option == 'v') verbose = true;
        else if (option == 'x') seeded = true;
        else if (option == '1') stop_at_first = true;
        else if (option == 't') patience = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'f') filter = optarg;
        else return 2;
    }
    out = dup(STDOUT_FILENO);
    at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (out < 0 || at == MAP_FAILED) return 2;
    unsetenv("WEFT_NUM_THREADS"); /* scenarios say how many */
    for (const struct fault_scenario *s = scenarios; s; s = s->next) {
        if (s->seeded != seeded || !(strstr(s->name, filter) || strstr(s->sentence, filter))) continue;
        if (list) say("%s: %s\n", s->name, s->sentence);
        else if (!perform(s) && stop_at_first) break;
    }
    if (list) return 0;
    say("%d passed, %d failed\n", at->passed, at->failed);
    return at->failed > 0;
}
