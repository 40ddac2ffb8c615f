/* sim_tests.c - which tests the simulator leaves out, and why. */
#include "sim_tests.h"

#include <string.h>

static const struct {
    const char *test; /* "suite/" or "suite/id" */
    const char *reason;
} excluded[] = {
    {"harness/", "the runner's own tests"},
    {"topology/", "about the real machine"},
    {"cgroup/", "one thread"},
    {"clock/", "one thread, real time"},
    {"config/", "one thread"},
    {"deadlock/", "about the threads of the process, in children of it"},
    {"context/", "one thread, below the scheduler"},
    {"error/", "one thread"},
    {"tls/", "about the compiled code, and real threads"},
    {"deque/stale", "one thread, and long"},
    {"deque/grows", "one thread, and long"},
    {"timerq/all_fire", "one thread, and long"},
    {"parallel_reduce/bits", "long"},
    {"channel_julia/a_million", "one task, and long"},
    {"local/thread", "values of a real thread"},
    {"local/thread_ends", "values of real threads"},
    {"ladder/descriptors", "about descriptors of the real kernel"},
    {"ladder_signals/", "signals of the process, and children of it"},
    {"blocking/fork", "a process of its own"},
    {"blocking/configured", "one thread"},
    {"io/", "about descriptors of the real kernel"},
    {"select_io/", "likewise"},
    {"io_programs/shutdown", "likewise"},
    {"once/thread", "values of real threads"},
    {"span/", "about a clock of its own"},
    {"trace/fork", "a process of its own"},
    {"trace/leaves", "likewise"},
    {"trace/outgrows", "likewise"},
};

const char *
sim_excluded(const struct test_case *test)
{
    for (size_t i = 0; i < sizeof excluded / sizeof *excluded; i++) {
        const char *slash = strchr(excluded[i].test, '/');
        size_t suite = (size_t)(slash - excluded[i].test);
        if (strlen(test->suite) != suite || strncmp(test->suite, excluded[i].test, suite) != 0) continue;
        if (slash[1] == '\0' || strcmp(test->id, slash + 1) == 0) return excluded[i].reason;
    }
    return NULL;
}
