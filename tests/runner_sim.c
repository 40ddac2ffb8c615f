/* runner_sim.c - runs the tests in the simulator (sim.h), each seed in a process of its own.
 *
 *     sim [-l] [-v] [-x] [-r] [-j JOBS] [-n SEEDS] [-s FIRST] [-t SECONDS] [-f TEXT]
 *       -l          list the tests, and those that cannot be simulated
 *       -v          say what each seed did
 *       -x          stop at the first failure
 *       -r          run every seed twice, to see whether it does the same again (else: one in 64)
 *       -j JOBS     processes at a time
 *       -n SEEDS    how many seeds, from FIRST on; -t: and no more after so many seconds
 *       -f TEXT     only tests whose "suite/id: sentence" contains TEXT
 *
 * The seed decides everything: the test (they take turns, the scenarios more often), the number of workers and of cores, the
 * strategy, every switch.  For a failure it prints what happened, where every thread was, and the command that repeats it.
 * Ends with the number of tests that passed with all of their seeds, "N passed, N failed"; exits with 1 on failures. */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weft/task.h>

#include "scheduler.h"
#include "sim.h"
#include "sim_tests.h"
#include "test.h"

enum { MOST_TESTS = 4096, MOST_JOBS = 64, REPEAT = 64, MOST_SHOWN = 5 };

/* What a child tells. */
struct result {
    bool finished;
    struct sim_totals totals;
    struct test_record record;
};

struct job {
    pid_t pid; /* 0: idle */
    uint64_t seed;
    int test;
    bool again; /* the second time */
    struct sim_totals first;
    int output; /* stdout and stderr of the child */
    struct result *result;
};

static const struct test_case *tests[MOST_TESTS];
static unsigned runs[MOST_TESTS], failures[MOST_TESTS];
static int count, scenarios; /* those that were made for the simulator come first */

static struct {
    bool list, verbose, stop, repeat;
    int jobs;
    uint64_t first, seeds;
    long seconds;
    const char *filter, *program;
} options = {.jobs = 2, .first = 1, .seeds = 1000, .filter = ""};

static uint64_t total_points, total_turns, total_seeds, total_repeats;
static int total_failures;

void
test__register(struct test_case *test)
{
    if (count == MOST_TESTS) abort();
    tests[count++] = test;
}

static const char *
name_of(const struct test_case *test)
{
    static char name[512];
    snprintf(name, sizeof name, "%s/%s: %s", test->suite, test->id, test->sentence);
    return name;
}

/* Drops what is not asked for, or cannot be simulated. */
static void
choose_tests(void)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        const char *name = name_of(tests[i]), *reason = sim_excluded(tests[i]);
        if (!strstr(name, options.filter)) continue;
        if (options.list && reason) printf("not: %s (%s)\n", name, reason);
        else if (options.list) puts(name);
        if (!reason) tests[kept++] = tests[i];
    }
    count = kept;
    for (int i = 0; i < count; i++) {
        const struct test_case *test = tests[i];
        if (strncmp(test->suite, "sim", 3) != 0) continue;
        tests[i] = tests[scenarios];
        tests[scenarios++] = test;
    }
}

/* Every second seed is for a scenario. */
static int
test_of(uint64_t seed)
{
    int others = count - scenarios;
    if (scenarios == 0 || others == 0) return (int)(seed % (uint64_t)count);
    uint64_t half = seed / 2;
    return seed % 2 ? (int)(half % (uint64_t)scenarios) : scenarios + (int)(half % (uint64_t)others);
}

/* ---- In the child ---- */

static void
body(void *arg)
{
    struct job *j = arg;
    struct test_record *record = &j->result->record;
    test__perform(tests[j->test], record);
    if (load_acquire(&weft__sched.state) == SCHED_STOPPED) return; /* acquire: pairs with the stop */
    dprintf(STDERR_FILENO, "the test has left the runtime running\n");
    record->failed++;
}

static _Noreturn void
child(struct job *j)
{
    struct sim_plan plan = sim_plan_of(j->seed);
    char number[32];
    dup2(j->output, STDOUT_FILENO);
    dup2(j->output, STDERR_FILENO);
    snprintf(number, sizeof number, "%d", plan.workers);
    setenv("WEFT_NUM_THREADS", number, 1);
    snprintf(number, sizeof number, "%u", (unsigned)j->seed);
    setenv("WEFT_TEST_SEED", number, 1);
    mallopt(M_PERTURB, 0x5a); /* what was freed is no longer what it was */
    sim_report_crashes();
    sim_run(&plan, body, j, &j->result->totals);
    j->result->finished = true;
    _exit(0);
}

/* ---- In the parent ---- */

static void
launch(struct job *j)
{
    memset(j->result, 0, offsetof(struct result, record.text) + 1);
    if (ftruncate(j->output, 0) != 0 || lseek(j->output, 0, SEEK_SET) != 0) abort();
    j->pid = fork();
    if (j->pid == 0) child(j);
    if (j->pid < 0) {
        perror("fork");
        exit(2);
    }
}

static void
copy_output(int fd)
{
    char text[4096];
    ssize_t n;
    lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, text, sizeof text)) > 0) fwrite(text, 1, (size_t)n, stdout);
}

static void
print_record(const struct test_record *record)
{
    const char *line = record->text;
    for (int shown = 0; *line != '\0' && shown < MOST_SHOWN; shown++) {
        int length = (int)strcspn(line, "\n");
        printf("%.*s\n", length, line);
        line += length + (line[length] == '\n');
    }
    if (*line != '\0') printf("  (%d failed checks)\n", record->failed);
}

static void
failed(struct job *j, int status, const char *why)
{
    struct sim_plan plan = sim_plan_of(j->seed);
    char text[256];
    sim_plan_text(&plan, text, sizeof text);
    failures[j->test]++;
    total_failures++;
    printf("FAILED: seed %" PRIu64 ", %s\n%s\n", j->seed, name_of(tests[j->test]), text);
    print_record(&j->result->record);
    if (why) puts(why);
    else if (WIFSIGNALED(status)) printf("killed by signal %d\n", WTERMSIG(status));
    else if (!j->result->finished) printf("exit status %d\n", WEXITSTATUS(status));
    if (total_failures <= MOST_SHOWN) copy_output(j->output);
    printf("again: %s -n 1 -s %" PRIu64 " -f '%s/%s:'\n\n", options.program, j->seed, tests[j->test]->suite,
           tests[j->test]->id);
    fflush(stdout);
}

/* A child has ended.  True if the job is over, and not to be run again. */
static bool
judge(struct job *j, int status)
{
    const struct result *r = j->result;
    const struct sim_totals *t = &r->totals;
    bool ok = r->finished && WIFEXITED(status) && WEXITSTATUS(status) == 0 && r->record.failed == 0;
    if (options.verbose)
        printf("%" PRIu64 " %s %s: %" PRIu64 " points, %" PRIu64 " turns, %.6f s, trace %016" PRIx64 "\n", j->seed,
               ok ? "ok" : "FAILED", name_of(tests[j->test]), t->points, t->turns, (double)t->time / 1e9, t->trace);
    total_points += t->points;
    total_turns += t->turns;
    if (!ok) {
        failed(j, status, NULL);
    } else if (j->again) {
        total_repeats++;
        if (t->trace != j->first.trace || t->points != j->first.points)
            failed(j, status, "the same seed did something else the second time");
    } else if (options.repeat || j->seed % REPEAT == 0) {
        j->first = *t;
        j->again = true;
        launch(j);
        return false;
    }
    total_seeds++;
    runs[j->test]++;
    j->pid = 0;
    return true;
}

static struct job *
job_of(struct job *jobs, pid_t pid)
{
    for (int i = 0; i < options.jobs; i++) {
        if (jobs[i].pid == pid) return &jobs[i];
    }
    return NULL;
}

static void
make_jobs(struct job *jobs)
{
    struct result *results =
        mmap(NULL, (size_t)options.jobs * sizeof *results, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED) abort();
    for (int i = 0; i < options.jobs; i++) {
        jobs[i] = (struct job){.result = &results[i], .output = memfd_create("output", MFD_CLOEXEC)};
        if (jobs[i].output < 0) abort();
    }
}

static void
run_seeds(void)
{
    struct job jobs[MOST_JOBS];
    uint64_t seed = options.first, end = options.first + options.seeds;
    time_t limit = time(NULL) + options.seconds;
    int running = 0;
    make_jobs(jobs);
    for (;;) {
        bool more = seed < end && !(options.stop && total_failures) && (options.seconds == 0 || time(NULL) < limit);
        if (!more && running == 0) break;
        if (more && running < options.jobs) {
            struct job *j = job_of(jobs, 0);
            j->seed = seed++;
            j->test = test_of(j->seed);
            j->again = false;
            launch(j);
            running++;
            continue;
        }
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        struct job *j = pid > 0 ? job_of(jobs, pid) : NULL;
        if (j && judge(j, status)) running--;
        else if (!j && errno != EINTR) abort();
    }
}

static void
read_options(int argc, char **argv)
{
    options.program = argv[0];
    for (int option; (option = getopt(argc, argv, "lvxrj:n:s:t:f:")) != -1;) {
        if (option == 'l') options.list = true;
        else if (option == 'v') options.verbose = true;
        else if (option == 'x') options.stop = true;
        else if (option == 'r') options.repeat = true;
        else if (option == 'j') options.jobs = (int)strtol(optarg, NULL, 10);
        else if (option == 'n') options.seeds = strtoull(optarg, NULL, 10);
        else if (option == 's') options.first = strtoull(optarg, NULL, 10);
        else if (option == 't') options.seconds = strtol(optarg, NULL, 10);
        else if (option == 'f') options.filter = optarg;
        else exit(2);
    }
    if (options.jobs < 1 || options.jobs > MOST_JOBS) options.jobs = 1;
}

int
main(int argc, char **argv)
{
    read_options(argc, argv);
    choose_tests();
    if (options.list) return 0;
    if (count == 0) {
        fprintf(stderr, "%s: no such test\n", argv[0]);
        return 2;
    }
    setenv("WEFT_CGROUP_ROOT", "/nonexistent", 1); /* no quota but the plan's cores */
    sim_prepare();
    run_seeds();
    int passed = 0, bad = 0;
    for (int i = 0; i < count; i++) {
        if (failures[i] > 0) bad++;
        else if (runs[i] > 0) passed++;
    }
    printf("%" PRIu64 " seeds, %" PRIu64 " of them twice; %" PRIu64 " million points, %" PRIu64 " million turns\n",
           total_seeds, total_repeats, total_points / 1000000, total_turns / 1000000);
    printf("%d passed, %d failed\n", passed, bad);
    return bad > 0;
}
