/* runner_criterion.c - runs the tests under Criterion, each in a process of its own.  Its options are Criterion's. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

/* Criterion's own assertions leave a test by a jump, which must not happen inside a task: so there is one, here, on the
 * main thread, when the test is over. */
void
test__criterion(const struct test_case *test)
{
    static struct test_record record;
    test__perform(test, &record);
    cr_assert(record.failed == 0, "%s", record.text);
}

/* The processes of the tests start from what the environment says after test__settle; they do not come through here, and
 * the way past it is by the symbol, so that must be visible. */
__attribute__((visibility("default"))) int
main(int argc, char **argv)
{
    test__settle();
    struct criterion_test_set *set = criterion_initialize();
    int code = 0;
    if (criterion_handle_args(argc, argv, true)) {
        printf("WEFT_NUM_THREADS=%s WEFT_TEST_SEED=%s\n", getenv("WEFT_NUM_THREADS"), getenv("WEFT_TEST_SEED"));
        fflush(stdout);
        code = criterion_run_all_tests(set) ? 0 : 1;
    }
    criterion_finalize(set);
    return code;
}
