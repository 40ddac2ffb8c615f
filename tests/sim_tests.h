/* sim_tests.h - which tests the simulator leaves out. */
#ifndef WEFT_TESTS_SIM_TESTS_H
#define WEFT_TESTS_SIM_TESTS_H

#include "test.h"

/* Why the test cannot be simulated, in a few words; NULL: it can. */
const char *sim_excluded(const struct test_case *test);

#endif
