/* deadlock.h - tells when nothing can ever happen again.  [layer 4]
 *
 * The essay is in deadlock.c. */
#ifndef WEFT_SRC_DEADLOCK_H
#define WEFT_SRC_DEADLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum deadlock_policy { DEADLOCK_REPORT, DEADLOCK_ABORT, DEADLOCK_OFF };

/* What a worker remembers while it sleeps.  Zeroed: it has just begun to. */
struct deadlock_watch {
    int64_t next;   /* when to look again; 0: not begun */
    int64_t pause;  /* what was waited before that */
    uint64_t stamp; /* as it was at the last look, */
    bool saw;       /* and whether everything spoke for a deadlock then */
};

/* For a worker that is among the sleepers and is just going to sleep, each time: looks if it is time to, reports if it is
 * certain, and returns when it wants to be called again; INT64_MAX: not at all. */
int64_t weft__deadlock_look(struct deadlock_watch *d);

/* Before the workers start.  policy: enum deadlock_policy. */
void weft__deadlock_begin(int policy);

/* From now on a signal may wake tasks: nothing is reported while awaited() says that one does. */
void weft__deadlock_signals(bool (*awaited)(void));

/* n more (or less) threads do nothing but wait until the workers have left, or for a blocking call. */
void weft__deadlock_bystander(int n);

/* How often it was looked since the process began, and how many deadlocks were reported: for tests. */
void weft__deadlock_counts(uint64_t *looks, uint64_t *reports);

#endif
