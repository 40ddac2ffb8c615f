/* sim_stress.c - the rounds of the stress programs, as tests for the simulator.
 *
 * The programs are compiled with another name for main, and what they give to stress_main comes here. */
#include <stdlib.h>

#include "stress_kit.h"
#include "test.h"

int stress_spawn_main(int argc, char **argv);
int stress_channel_main(int argc, char **argv);
int __wrap_stress_main(int argc, char **argv, const struct stress_program *program);

int
__wrap_stress_main(int argc, char **argv, const struct stress_program *program)
{
    (void)argc, (void)argv;
    program->round(0, stress_mix(test_seed(), 7));
    return 0;
}

TEST(sim_stress, spawn, "stress: a round of random trees of tasks")
{
    CHECK_INT(stress_spawn_main(0, NULL), 0);
}

TEST(sim_stress, channel, "stress: a round of random agents on a channel")
{
    CHECK_INT(stress_channel_main(0, NULL), 0);
}
