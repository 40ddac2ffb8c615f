/* test.h - how Weft's tests are written.
 *
 *     TEST(deque, pops_last, "a pop takes what was pushed last") { CHECK_INT(pop(&d), 3); }
 *
 * The same source runs under Criterion, each test in a process of its own, and, with -DWEFT_TEST_PLAIN, under the plain
 * runner: one process, for sanitizers and emulators (tests/runner_plain.c says how it is called).
 *
 * A check records its failure and goes on: it never leaves the test, so it may stand in any task and on any thread.
 * The test has failed if a check was recorded by the time its body has returned. */
#ifndef WEFT_TEST_H
#define WEFT_TEST_H

#include <stdbool.h>
#include <stddef.h>

#if !defined(WEFT_TEST_PLAIN)
#include <criterion/criterion.h>
#endif

#if defined(__SANITIZE_THREAD__)
#define TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_ASAN 1
#endif
#endif

/* 1 where the tests run under the sanitizer, else 0: for the sizes of what they build. */
#if !defined(TEST_TSAN)
#define TEST_TSAN 0
#endif
#if !defined(TEST_ASAN)
#define TEST_ASAN 0
#endif

/* 1 in the simulator (sim.h), where every test runs again and again. */
#if defined(WEFT_SIM)
#define TEST_SIM 1
#else
#define TEST_SIM 0
#endif

/* 1 where the tests should be small. */
#define TEST_SMALL (TEST_TSAN || TEST_SIM)

/* A test that may not take longer than this many seconds has hung. */
#define TEST_TIMEOUT 120

/* TEST: the body runs on the main thread, and the runtime is not running.
 * TASK_TEST: the body runs as the root task of weft_run(NULL, ...), which must return 0. */
#define TEST(suite, id, sentence) TEST_DEFINE(suite, id, sentence, false)
#define TASK_TEST(suite, id, sentence) TEST_DEFINE(suite, id, sentence, true)

/* Each returns whether the check held. */
#define CHECK(...) test__check((__VA_ARGS__) ? true : false, __FILE__, __LINE__, #__VA_ARGS__)
#define CHECK_INT(actual, expected)                                                                                    \
    test__check_int((long long)(actual), (long long)(expected), __FILE__, __LINE__, #actual, #expected)
#define CHECK_STR(actual, expected) test__check_str((actual), (expected), __FILE__, __LINE__, #actual)

/* Runs fn in a forked child and returns whether a signal killed it after it had written text to stderr.  What happened
 * instead is recorded beside the failed check.  Under ThreadSanitizer, which does not follow forks, and in the simulator: true,
 * unseen. */
bool test_dies(void (*fn)(void), const char *text);

/* The number of ordinary workers of a runtime that the test starts with no configuration of its own. */
int test_workers(void);

/* Whether guards below stacks need no mappings of their own (Linux 6.13, and not emulators): else some 30 000 stacks are all
 * that vm.max_map_count allows. */
bool test_kernel_marks_guards(void);

/* What random choices start from: the same throughout a run, which prints it; the environment's WEFT_TEST_SEED, if set. */
unsigned test_seed(void);

/* The harness itself. */
struct test_case {
    const char *suite, *id, *sentence;
    void (*body)(void);
    bool in_task;
    struct test_case *next;
};

struct test_record {
    int failed;       /* checks */
    size_t used;      /* of text */
    char text[16384]; /* "file:line: what\n" for each, and notes */
};

/* Runs a test and fills record; the checks of an enclosing test go to its own record again afterwards. */
void test__perform(const struct test_case *test, struct test_record *record);

/* Settles the number of workers and the seed for this process and its children, in the environment. */
void test__settle(void);

bool test__check(bool ok, const char *file, int line, const char *what);
bool test__check_int(long long actual, long long expected, const char *file, int line, const char *what,
                     const char *expected_text);
bool test__check_str(const char *actual, const char *expected, const char *file, int line, const char *what);
__attribute__((format(printf, 1, 2))) void test__note(const char *format, ...);

#if defined(WEFT_TEST_PLAIN)

void test__register(struct test_case *test);

#define TEST_DEFINE(suite_, id_, sentence_, in_task_)                                                                  \
    static void suite_##__##id_##__body(void);                                                                         \
    static struct test_case suite_##__##id_##__case = {#suite_,  #id_, sentence_, suite_##__##id_##__body,             \
                                                       in_task_, NULL};                                                \
    __attribute__((constructor)) static void suite_##__##id_##__enlist(void)                                           \
    {                                                                                                                  \
        test__register(&suite_##__##id_##__case);                                                                      \
    }                                                                                                                  \
    static void suite_##__##id_##__body(void)

#else

void test__criterion(const struct test_case *test);

#define TEST_DEFINE(suite_, id_, sentence_, in_task_)                                                                  \
    static void suite_##__##id_##__body(void);                                                                         \
    static const struct test_case suite_##__##id_##__case = {#suite_,  #id_, sentence_, suite_##__##id_##__body,       \
                                                             in_task_, NULL};                                          \
    Test(suite_, id_, .description = sentence_, .timeout = TEST_TIMEOUT)                                               \
    {                                                                                                                  \
        test__criterion(&suite_##__##id_##__case);                                                                     \
    }                                                                                                                  \
    static void suite_##__##id_##__body(void)

#endif

#endif
