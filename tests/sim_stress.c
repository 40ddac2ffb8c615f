/* sim_stress.c - the rounds of the stress programs, as tests for the simulator.
 *
 * The programs are compiled with another name for main, and what they give to stress_main comes here. */

#include "stress_kit.h"
#include "test.h"

int __wrap_stress_main(int argc, char **argv, const struct stress_program *program);

int
__wrap_stress_main(int argc, char **argv, const struct stress_program *program)
{
    (void)argc, (void)argv;
    program->round(0, stress_mix(test_seed(), 7));
    return 0;
}

#define STRESS_TEST(id, sentence)                                                                                      \
    int stress_##id##_main(int argc, char **argv);                                                                     \
    TEST(sim_stress, id, sentence)                                                                                     \
    {                                                                                                                  \
        CHECK_INT(stress_##id##_main(0, NULL), 0);                                                                     \
    }

STRESS_TEST(blocking, "stress: a round of blocking calls, abandoned or not")
STRESS_TEST(cancel, "stress: a round of cancellations against parks, ends, and each other")
STRESS_TEST(channel, "stress: a round of random agents on a channel")
STRESS_TEST(condition, "stress: a round of random waits and notifications on a condition")
STRESS_TEST(mutex, "stress: a round of random agents on mutexes or rwlocks")
STRESS_TEST(parallel, "stress: a round of random nests of loops, compared with a model")
STRESS_TEST(deque, "stress: a round of an owner against thieves")
STRESS_TEST(event, "stress: a round of events and onces")
STRESS_TEST(semaphore, "stress: a round of semaphores and barriers")
STRESS_TEST(select, "stress: a round of selects against each other")
STRESS_TEST(scope, "stress: a round of scopes that are cancelled and closed while members come and go")
STRESS_TEST(shutdown, "stress: a round of runs that weft_shutdown ends")
STRESS_TEST(spawn, "stress: a round of random trees of tasks")
STRESS_TEST(start, "stress: a round of starting and stopping")
STRESS_TEST(tree, "stress: a round of random trees of scopes, compared with a model")
STRESS_TEST(threads, "stress: a round of plain threads against workers")
STRESS_TEST(timer, "stress: a round of deadlines")
STRESS_TEST(waitset, "stress: a round of waits for any and for all of many tasks")
