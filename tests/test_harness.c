/* test_harness.c - that a check which does not hold fails its test, wherever it stands. */
#include "test.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>

static struct test_record inner;

static void
perform(void (*body)(void), bool in_task)
{
    struct test_case test = {"inner", "inner", "a test inside a test", body, in_task, NULL};
    test__perform(&test, &inner);
}

static bool
inner_says(const char *text)
{
    return strstr(inner.text, text) != NULL;
}

static void
holds(void)
{
    CHECK(true);
    CHECK(inner.text);
    CHECK_INT(-1, -1);
    CHECK_STR("a", "a");
    CHECK_STR(NULL, NULL);
}

TEST(harness, holding, "a test whose checks all hold has not failed")
{
    perform(holds, false);
    CHECK_INT(inner.failed, 0);
    CHECK_STR(inner.text, "");
}

static bool verdicts[6];

static void
does_not_hold(void)
{
    verdicts[0] = CHECK(1 + 1 == 3);
    verdicts[1] = CHECK_INT(2 + 2, 5);
    verdicts[2] = CHECK_INT(2 + 2, 2 + 3);
    verdicts[3] = CHECK_STR("left", "right");
    verdicts[4] = CHECK_STR(NULL, "right");
    verdicts[5] = CHECK_STR("left", NULL);
}

TEST(harness, failing, "each failed check is recorded with its place and its text, and the test goes on")
{
    perform(does_not_hold, false);
    CHECK_INT(inner.failed, 6);
    CHECK(inner_says("test_harness.c:"));
    CHECK(inner_says(": 1 + 1 == 3 does not hold\n"));
    CHECK(inner_says(": 2 + 2 is 4, expected 5\n"));
    CHECK(inner_says(": 2 + 2 is 4, expected 2 + 3, 5\n"));
    CHECK(inner_says(": \"left\" is \"left\", expected \"right\"\n"));
    CHECK(inner_says(": NULL is \"(null)\", expected \"right\"\n"));
    CHECK(inner_says(": \"left\" is \"left\", expected \"(null)\"\n"));
    for (int i = 0; i < 6; i++) CHECK(!verdicts[i]);
}

TEST(harness, failing_in_a_task, "a check that fails in a task fails the task's test")
{
    perform(does_not_hold, true);
    CHECK_INT(inner.failed, 6);
}

static void
cannot_run(void)
{
    perform(holds, true);
}

TASK_TEST(harness, no_runtime, "a task test whose runtime does not start has failed")
{
    static struct test_record outer;
    struct test_case test = {"outer", "outer", "weft_run in a task", cannot_run, false, NULL};
    test__perform(&test, &outer);
    CHECK_INT(inner.failed, 1);
    CHECK(inner_says("weft_run"));
    CHECK_INT(outer.failed, 0);
}

static void
fails_often(void)
{
    for (int i = 0; i < 10000; i++) CHECK_INT(i, -1);
}

TEST(harness, full_record, "a record that is full still counts, and ends with a whole line")
{
    perform(fails_often, false);
    CHECK_INT(inner.failed, 10000);
    CHECK(inner.used > 8000 && inner.used < sizeof inner.text);
    CHECK_INT(strlen(inner.text), inner.used);
    CHECK(inner.text[inner.used - 1] == '\n');
}

static void *
fail_on_a_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) CHECK(i < 0);
    return NULL;
}

static void
fails_on_threads(void)
{
    pthread_t threads[4];
    int started = 0;
    while (started < 4 && pthread_create(&threads[started], NULL, fail_on_a_thread, NULL) == 0) started++;
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
}

TEST(harness, threads, "no failure is lost when threads fail at the same time")
{
    perform(fails_on_threads, false);
    CHECK_INT(inner.failed, 4000);
}

static void
aborts(void)
{
    fputs("a sentence\n", stderr);
    abort();
}

static void
faults(void)
{
    raise(SIGSEGV);
}

TEST(harness, death, "test_dies tells a death with the text from one without, and from none")
{
    CHECK(test_dies(aborts, "sentence"));
    CHECK(test_dies(aborts, "a sentence\n"));
    CHECK(test_dies(faults, ""));
}

#if !TEST_TSAN
static void
lives(void)
{
    fputs("a sentence\n", stderr);
}

static void
expects_death_of_the_living(void)
{
    CHECK(test_dies(lives, "sentence"));
}

static void
expects_another_text(void)
{
    CHECK(test_dies(aborts, "verse"));
}

TEST(harness, no_death, "a child that lives, or dies with another text, fails the test")
{
    perform(expects_death_of_the_living, false);
    CHECK_INT(inner.failed, 1);
    CHECK(inner_says("exited with 0"));
    perform(expects_another_text, false);
    CHECK_INT(inner.failed, 1);
    CHECK(inner_says("lacked \"verse\": a sentence"));
}
#endif

TEST(harness, workers, "the number of workers is what the environment says, and what the runtime starts")
{
    CHECK(test_workers() >= 1);
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_nworkers(), test_workers());
    CHECK_INT(weft_stop(), 0);
}

TEST(harness, seed, "the seed stays the same")
{
    const char *given = getenv("WEFT_TEST_SEED");
    if (!CHECK(given != NULL)) return;
    CHECK_INT(test_seed(), strtoul(given, NULL, 10));
    CHECK_INT(test_seed(), test_seed());
}

/* WEFT_TEST_FAIL=check, task, hang or crash makes one of these fail: `make check` looks that the runners then say so. */
static bool
told_to(const char *what)
{
    const char *given = getenv("WEFT_TEST_FAIL");
    return given != NULL && strcmp(given, what) == 0;
}

TEST(harness, told_to_fail, "a runner reports a test that fails")
{
    CHECK(!told_to("check"));
}

TASK_TEST(harness, told_to_fail_in_a_task, "a runner reports a task test that fails")
{
    CHECK(!told_to("task"));
}

TEST(harness, told_to_hang, "a runner ends a test that hangs")
{
    while (told_to("hang")) pause();
    CHECK(!told_to("hang"));
}

TEST(harness, told_to_crash, "a runner reports a test that crashes")
{
    if (told_to("crash")) abort();
    CHECK(!told_to("crash"));
}

/* The sanitizers must see what tasks do: WEFT_TEST_FAIL=race, free, leak or overflow makes one of them speak. */
static int raced;
static atomic_int racers;

/* Told to, both tasks are inside at the same time, so they run on two workers; the counter orders nothing between them. */
static int
race(void *arg)
{
    (void)arg;
    atomic_fetch_add_explicit(&racers, 1, memory_order_relaxed);
    if (!told_to("race")) return 0;
    while (atomic_load_explicit(&racers, memory_order_relaxed) < 2) sched_yield();
    raced++;
    return 0;
}

TASK_TEST(harness, told_to_race, "the sanitizer sees a race between tasks on two workers")
{
    weft_task *other = NULL;
    if (!CHECK_INT(weft_spawn(&other, race, NULL), 0)) return;
    race(NULL);
    CHECK_INT(weft_join(other), 0);
    CHECK_INT(racers, 2);
    CHECK_INT(raced, told_to("race") ? 2 : 0);
}

TASK_TEST(harness, told_to_misuse_memory, "the sanitizer sees a use after free, and leaks, in a task")
{
    char *volatile memory = NULL;
    for (int i = 0; i < 100; i++) { /* a pointer or two may still lie about on some stack */
        memory = malloc(16);
        if (!CHECK(memory != NULL)) return;
        memory[0] = 1;
        if (!told_to("leak")) free(memory);
    }
    if (told_to("free")) CHECK_INT(memory[0], 1);
}

TASK_TEST(harness, told_to_overflow, "the sanitizer sees undefined arithmetic in a task")
{
    volatile int most = INT_MAX;
    if (told_to("overflow")) most++;
    CHECK_INT(most, INT_MAX);
}
