/* runner_plain.c - runs all tests in one process, for sanitizers, emulators and debuggers.
 *
 *     test-plain [-l] [-s] [-f TEXT ...]
 *       -l       list the tests
 *       -s       show each test as it starts
 *       -f TEXT  only tests whose "suite/id: sentence" contains TEXT, or one of the TEXTs
 *
 * WEFT_TEST_SKIP=FILE names tests that are not run, one to a line, each with the reason: "suite/id reason".  They are
 * listed as skipped, and count neither as passed nor as failed.  A line that names no test is an error.
 *
 * WEFT_TEST_TIMEOUT=SECONDS says how long one test may take; then its name, a weft_dump and all backtraces are printed, and the
 * process aborts.  0: nobody watches, and there is no thread but those of the tests.
 *
 * WEFT_TEST_TRACE=FILE writes a trace of each test there, but of those which are about traces.
 *
 * Prints a line for each failed check, the first few of each test, and at the end "N passed, N failed";
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
    if (seconds != NULL && strcmp(seconds, "0") == 0) return true;
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
    const char *file = strcmp(test->suite, "trace") == 0 ? NULL : getenv("WEFT_TEST_TRACE");
    watch_next(test);
    bool traced = file == NULL || weft_trace_start(file) == 0;
    test__perform(test, &record);
    if (file != NULL && weft_trace_stop() != 0) traced = false;
    watch_next(NULL);
    if (record.failed > 0) print_failures(name, &record);
    if (!traced) printf("%s: its trace could not be written\n", name);
    return record.failed == 0 && traced;
}

/* ---- Tests that are not run ---- */

struct skip {
    char test[64], reason[200];
};

enum { MOST_SKIPS = 64 };

static struct skip skips[MOST_SKIPS];
static int skip_count;

static bool
is_known(const char *id)
{
    for (const struct test_case *test = tests; test != NULL; test = test->next) {
        size_t length = strlen(test->suite);
        if (strncmp(id, test->suite, length) == 0 && id[length] == '/' && strcmp(id + length + 1, test->id) == 0)
            return true;
    }
    return false;
}

/* Empty lines and lines that begin with # say nothing.  False: a line was not understood, and why has been printed. */
static bool
read_skips(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return false;
    }
    bool ok = true;
    char line[512];
    for (int number = 1; ok && fgets(line, sizeof line, file) != NULL; number++) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#') continue;
        struct skip *skip = &skips[skip_count];
        ok = skip_count < MOST_SKIPS && sscanf(line, "%63s %199[^\n]", skip->test, skip->reason) == 2 &&
             is_known(skip->test);
        if (ok) skip_count++;
        else fprintf(stderr, "%s:%d: not \"suite/id reason\" for a test that there is: %s\n", path, number, line);
    }
    fclose(file);
    return ok;
}

/* Why the test is not run; NULL: it is. */
static const char *
reason_to_skip(const struct test_case *test)
{
    char id[128];
    snprintf(id, sizeof id, "%s/%s", test->suite, test->id);
    for (int i = 0; i < skip_count; i++) {
        if (strcmp(skips[i].test, id) == 0) return skips[i].reason;
    }
    return NULL;
}

/* ---- Tests that are asked for: none is named, all are ---- */

enum { MOST_FILTERS = 32 };

static const char *filters[MOST_FILTERS];
static int filter_count;

static bool
is_wanted(const char *name)
{
    for (int i = 0; i < filter_count; i++) {
        if (strstr(name, filters[i]) != NULL) return true;
    }
    return filter_count == 0;
}

static void
usage(const char *program)
{
    fprintf(stderr, "usage: %s [-l] [-s] [-f TEXT ...]\n", program);
    exit(2);
}

int
main(int argc, char **argv)
{
    bool list = false, show = false;
    for (int option; (option = getopt(argc, argv, "lsf:")) != -1;) {
        if (option == 'l') list = true;
        else if (option == 's') show = true;
        else if (option == 'f' && filter_count < MOST_FILTERS) filters[filter_count++] = optarg;
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
    const char *skip_list = getenv("WEFT_TEST_SKIP");
    if (skip_list != NULL && !read_skips(skip_list)) return 2;
    int passed = 0, failed = 0, skipped = 0;
    for (const struct test_case *test = tests; test != NULL; test = test->next) {
        char name[512];
        name_of(test, name, sizeof name);
        if (!is_wanted(name)) continue;
        if (list || show) puts(name);
        fflush(stdout);
        if (list) continue;
        const char *reason = reason_to_skip(test);
        if (reason != NULL) printf("skipped: %s/%s: %s\n", test->suite, test->id, reason);
        if (reason != NULL) skipped++;
        else if (run(test, name)) passed++;
        else failed++;
    }
    if (list) return 0;
    if (skipped > 0) printf("%d skipped\n", skipped);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
