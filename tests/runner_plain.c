/* runner_plain.c - runs all tests in one process, for sanitizers, emulators and debuggers.
 *
 *     test-plain [-l] [-s] [-f TEXT]
 *       -l       list the tests
 *       -s       show each test as it starts
 *       -f TEXT  only tests whose "suite/id: sentence" contains TEXT
 *
 * WEFT_TEST_TIMEOUT=SECONDS says how long one test may take; then its name, a weft_dump and all backtraces are printed, and the
 * process aborts.  Prints a line for each failed check, the first few of each test, and at the end "N passed, N failed";
 * exits with 1 on failures. */
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <weft/debug.h>

enum { MOST_SHOWN = 5 };

static struct test_case *tests, **tests_end = &tests;

/* The watchdog is a thread: a signal could be blocked by whatever the test made of this process. */
static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t watch_change;
static const struct test_case *watched; /* watch_lock; NULL between tests */
static unsigned watch_round;            /* watch_lock; counts the tests */
static int watch_seconds = TEST_TIMEOUT;

void
test__register(struct test_case *test)
{
    *tests_end = test;
    tests_end = &test->next;
}

static void
print_backtraces(void)
{
    char command[160];
    weft_dump(STDERR_FILENO);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    snprintf(command, sizeof command,
             "command -v gdb >/dev/null && gdb -p %d -batch -nx -ex 'thread apply all backtrace 20' 1>&2 2>/dev/null",
             (int)getpid());
    if (system(command) != 0) fprintf(stderr, "(no gdb, no backtraces)\n");
}

static void *
watch(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&watch_lock);
    for (;;) {
        while (watched == NULL) pthread_cond_wait(&watch_change, &watch_lock);
        unsigned round = watch_round;
        struct timespec end;
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_sec += watch_seconds;
        int code = 0;
        while (watched != NULL && watch_round == round && code == 0)
            code = pthread_cond_timedwait(&watch_change, &watch_lock, &end);
        if (watched == NULL || watch_round != round) continue;
        fprintf(stderr, "%s/%s: %s: still running after %d s\n", watched->suite, watched->id, watched->sentence,
                watch_seconds);
        print_backtraces();
        abort();
    }
    return NULL;
}

static void
watch_next(const struct test_case *test)
{
    pthread_mutex_lock(&watch_lock);
    watched = test;
    watch_round++;
    pthread_cond_signal(&watch_change);
    pthread_mutex_unlock(&watch_lock);
}

/* The watchdog takes no signals: they are for the threads of the tests. */
static bool
watch_start(void)
{
    const char *seconds = getenv("WEFT_TEST_TIMEOUT");
    if (seconds != NULL) watch_seconds = (int)strtol(seconds, NULL, 10);
    if (watch_seconds <= 0) return false;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watch_change, &monotonic);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    bool ok = pthread_create(&thread, NULL, watch, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok && pthread_detach(thread) == 0;
}

static void
name_of(const struct test_case *test, char *name, size_t size)
{
    snprintf(name, size, "%s/%s: %s", test->suite, test->id, test->sentence);
}

/* One line per failed check: file:line, the test, the text; notes follow as they are.  A loop's failures are alike: the first
 * few will do. */
static void
print_failures(const char *name, const struct test_record *record)
{
    int shown = 0;
    for (const char *line = record->text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        const char *text = strstr(line, ": ");
        bool note = line[0] == ' ' || text == NULL || text > line + length;
        if (!note && ++shown > MOST_SHOWN) break;
        if (note) printf("%.*s\n", (int)length, line);
        else printf("%.*s: %s: %.*s\n", (int)(text - line), line, name, (int)(line + length - text - 2), text + 2);
        line += length + (line[length] == '\n');
    }
    if (record->failed > MOST_SHOWN) printf("  and %d more failed checks of this test\n", record->failed - MOST_SHOWN);
    fflush(stdout);
}

static bool
run(const struct test_case *test, const char *name)
{
    static struct test_record record;
    watch_next(test);
    test__perform(test, &record);
    watch_next(NULL);
    if (record.failed > 0) print_failures(name, &record);
    return record.failed == 0;
}

static void
usage(const char *program)
{
    fprintf(stderr, "usage: %s [-l] [-s] [-f TEXT]\n", program);
    exit(2);
}

int
main(int argc, char **argv)
{
    bool list = false, show = false;
    const char *filter = "";
    for (int option; (option = getopt(argc, argv, "lsf:")) != -1;) {
        if (option == 'l') list = true;
        else if (option == 's') show = true;
        else if (option == 'f') filter = optarg;
        else usage(argv[0]);
    }
    if (optind < argc) usage(argv[0]);
    test__settle();
    if (!list) printf("WEFT_NUM_THREADS=%s WEFT_TEST_SEED=%s\n", getenv("WEFT_NUM_THREADS"), getenv("WEFT_TEST_SEED"));
    fflush(stdout);
    if (!list && !watch_start()) {
        fprintf(stderr, "%s: no watchdog: is WEFT_TEST_TIMEOUT a number of seconds?\n", argv[0]);
        return 2;
    }
    int passed = 0, failed = 0;
    for (const struct test_case *test = tests; test != NULL; test = test->next) {
        char name[512];
        name_of(test, name, sizeof name);
        if (strstr(name, filter) == NULL) continue;
        if (list || show) puts(name);
        fflush(stdout);
        if (list) continue;
        if (run(test, name)) passed++;
        else failed++;
    }
    if (list) return 0;
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
