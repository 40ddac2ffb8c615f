/* stress_crew.h - stress programs each of whose rounds is of one kind, and run by agents.
 *
 * Included after KINDS, a list of X(name, "text"), and MOST_AGENTS.  A round begins with crew_begin, goes on with crew_start
 * and crew_join, and ends with crew_end. */
#ifndef WEFT_STRESS_CREW_H
#define WEFT_STRESS_CREW_H

#include "stress_agent.h"

enum kind { KINDS(STRESS_NAME) N_KINDS };
static const char *const kind_texts[] = {KINDS(STRESS_TEXT)};

static enum kind kind;
static weft_config cfg;
static struct agent agents[MOST_AGENTS];
static int n_agents;
static long rounds[N_KINDS]; /* that are over */

/* Draws the kind and the workers, and starts them. */
static inline void
crew_begin(uint64_t *random)
{
    kind = (enum kind)stress_dice(random, N_KINDS);
    cfg = stress_config(random);
    n_agents = 0;
    stress_start(&cfg);
}

/* Starts n more agents. */
static inline void
crew_start(int n, void (*run)(struct agent *), int places, uint64_t *random)
{
    for (int k = 0; k < n; k++, n_agents++) agent_start(&agents[n_agents], n_agents, run, places, random);
}

/* Waits for all of them.  stopped: as for agent_join. */
static inline void
crew_join(bool stopped)
{
    for (int k = 0; k < n_agents; k++) agent_join(&agents[k], stopped);
}

/* must_run: as for stress_stop. */
static inline void
crew_end(bool must_run)
{
    stress_stop(must_run);
    rounds[kind]++;
}

static inline void
crew_describe(FILE *out)
{
    fprintf(out, "%s; %d workers and %d\n", kind_texts[kind], cfg.workers, cfg.interactive);
    agents_describe(out, agents, n_agents, NULL);
}

#endif
