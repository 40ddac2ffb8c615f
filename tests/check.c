/* check.c - what the tests' checks record, and the test that runs inside another: see test.h. */
#include "test.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weft.h>

/* A child of test_dies that lives longer than this hangs. */
enum { DEATH_SECONDS = 30 };

static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;
static struct test_record *current; /* record_lock */

/* Appends to the current record; a record that is full keeps its beginning. */
static void
append(int failed, const char *where, const char *format, va_list args)
{
    pthread_mutex_lock(&record_lock);
    if (current == NULL) {
        fprintf(stderr, "%scheck outside a test: ", where);
        vfprintf(stderr, format, args);
        abort();
    }
    current->failed += failed;
    size_t used = current->used, room = sizeof current->text;
    used += (size_t)snprintf(current->text + used, room - used, "%s", where);
    if (used < room) used += (size_t)vsnprintf(current->text + used, room - used, format, args);
    if (used < room) used += (size_t)snprintf(current->text + used, room - used, "\n");
    if (used < room) current->used = used;
    else current->text[current->used] = '\0';
    pthread_mutex_unlock(&record_lock);
}

__attribute__((format(printf, 3, 4))) static void
fail(const char *file, int line, const char *format, ...)
{
    char where[256];
    snprintf(where, sizeof where, "%s:%d: ", file, line);
    va_list args;
    va_start(args, format);
    append(1, where, format, args);
    va_end(args);
}

void
test__note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    append(0, "  ", format, args);
    va_end(args);
}

bool
test__check(bool ok, const char *file, int line, const char *what)
{
    if (!ok) fail(file, line, "%s does not hold", what);
    return ok;
}

bool
test__check_int(long long actual, long long expected, const char *file, int line, const char *what,
                const char *expected_text)
{
    if (actual == expected) return true;
    char number[32];
    snprintf(number, sizeof number, "%lld", expected);
    if (strcmp(number, expected_text) == 0) fail(file, line, "%s is %lld, expected %lld", what, actual, expected);
    else fail(file, line, "%s is %lld, expected %s, %lld", what, actual, expected_text, expected);
    return false;
}

bool
test__check_str(const char *actual, const char *expected, const char *file, int line, const char *what)
{
    if (actual == expected) return true;
    if (actual != NULL && expected != NULL && strcmp(actual, expected) == 0) return true;
    fail(file, line, "%s is \"%s\", expected \"%s\"", what, actual ? actual : "(null)", expected ? expected : "(null)");
    return false;
}

static struct test_record *
swap_record(struct test_record *record)
{
    pthread_mutex_lock(&record_lock);
    struct test_record *outer = current;
    current = record;
    pthread_mutex_unlock(&record_lock);
    return outer;
}

static int
root_task(void *arg)
{
    const struct test_case *test = arg;
    test->body();
    return 0;
}

void
test__perform(const struct test_case *test, struct test_record *record)
{
    record->failed = 0;
    record->used = 0;
    record->text[0] = '\0';
    struct test_record *outer = swap_record(record);
    if (test->in_task) CHECK_INT(weft_run(NULL, root_task, (void *)test), 0);
    else test->body();
    swap_record(outer);
}

/* One worker per core of this process's, as far as the environment does not say otherwise: a definite number, so that
 * test_workers and the runtime cannot differ. */
static void
settle_workers(void)
{
    const char *given = getenv("WEFT_NUM_THREADS");
    if (given != NULL && given[0] >= '1' && given[0] <= '9') return;
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    char number[16];
    snprintf(number, sizeof number, "%d", count);
    setenv("WEFT_NUM_THREADS", number, 1);
}

static void
settle_seed(void)
{
    if (getenv("WEFT_TEST_SEED") != NULL) return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char number[16];
    snprintf(number, sizeof number, "%u", (unsigned)now.tv_nsec ^ (unsigned)now.tv_sec ^ (unsigned)getpid() << 16);
    setenv("WEFT_TEST_SEED", number, 1);
}

void
test__settle(void)
{
    settle_workers();
    settle_seed();
}

int
test_workers(void)
{
    return (int)strtol(getenv("WEFT_NUM_THREADS"), NULL, 10);
}

/* A system call that is to write there tells, without a signal. */
bool
test_kernel_marks_guards(void)
{
    const size_t size = 64 * 1024;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return false;
    bool marks = madvise(p, size, 102 /* MADV_GUARD_INSTALL */) == 0 &&
                 syscall(SYS_clock_gettime, (long)CLOCK_MONOTONIC, p) != 0 && errno == EFAULT;
    munmap(p, size);
    return marks;
}

unsigned
test_seed(void)
{
    return (unsigned)strtoul(getenv("WEFT_TEST_SEED"), NULL, 10);
}

/* In the child: dies as a program does that nobody watches, whatever the runner has set up for itself. */
static _Noreturn void
die_in_child(void (*fn)(void), int err)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* fails for SIGKILL, SIGSTOP and libc's own: they need nothing */
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(err, STDERR_FILENO);
    fn();
    _exit(0);
}

/* Reads what comes from fd, up to its end or the time limit; returns whether the end was reached. */
static bool
collect(int fd, char *text, size_t size)
{
    size_t used = 0;
    time_t end = time(NULL) + DEATH_SECONDS;
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        time_t left = end - time(NULL);
        if (left <= 0) return false;
        int n = poll(&ready, 1, (int)left * 1000);
        if (n == 0) return false;
        if (n < 0 && errno == EINTR) continue;
        char rest[512]; /* keeps the pipe empty when text is full */
        bool full = used + 1 >= size;
        ssize_t got = read(fd, full ? rest : text + used, full ? sizeof rest : size - used - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return true;
        if (!full) used += (size_t)got;
        text[used] = '\0';
    }
}

static bool
judge_death(int status, bool in_time, const char *text, const char *wanted)
{
    bool said = strstr(text, wanted) != NULL;
    if (in_time && said && WIFSIGNALED(status)) return true;
    if (!in_time) test__note("the child still ran after %d s", DEATH_SECONDS);
    else if (WIFSIGNALED(status)) test__note("the child was killed by signal %d", WTERMSIG(status));
    else test__note("the child was not killed: it exited with %d", WEXITSTATUS(status));
    test__note("its stderr %s \"%s\": %.2000s", said ? "had" : "lacked", wanted, text);
    return false;
}

bool
test_dies(void (*fn)(void), const char *text)
{
    if (TEST_TSAN || TEST_SIM) return true;
    int ends[2];
    if (pipe(ends) != 0) {
        test__note("no pipe for a child: %s", strerror(errno));
        return false;
    }
    fflush(NULL); /* or the child might write it again */
    pid_t child = fork();
    if (child == 0) die_in_child(fn, ends[1]);
    close(ends[1]);
    if (child < 0) {
        test__note("no child: %s", strerror(errno));
        close(ends[0]);
        return false;
    }
    char said[8192] = "";
    bool in_time = collect(ends[0], said, sizeof said);
    close(ends[0]);
    if (!in_time) kill(child, SIGKILL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return judge_death(status, in_time, said, text);
}
