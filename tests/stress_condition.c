/* stress_condition.c - random waits against random notifications on a condition, with deadlines, from tasks
 * and plain threads, until they are through or the runtime is stopped.
 *
 * In each round a runtime, and agents, each a task (ordinary, sticky or interactive) or a plain thread, each of which waits, or
 * notifies, or both.  Every notification counts how many waits it ended, and every wait says what ended it: as many were ended
 * by a value as by a value were counted, and the same with errors.  A value was sent while the wait lasted.  After each
 * wait the mutex is the caller's, as often as before.  When nothing is notified any more, the condition is shut
 * under the mutex, and everybody who still waits is notified until nobody does.
 *
 * In some rounds a condition is memory of its own, and freed as soon as everybody who waits has been notified.
 *
 * stress_kit.h says how it is called. */
#include "stress_agent.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_AGENTS = 48, STEPS_MOST = STRESS_TSAN ? 60 : 300, ERROR = -4321 };

enum state { BETWEEN, LOCKS, WAITS };
static const char *const state_texts[] = {"between calls", "wants the mutex", "waits"};

static struct round {
    weft_config cfg;
    bool stops, frees;
    int n_agents, steps;
    weft_mutex m;
    /* Under the mutex. */
    weft_condition *c; /* a new one whenever the last has been freed */
    int waiting;       /* who is registered with it */
    bool shut;
    long serial;                   /* of notifications, which is what they send */
    long sent_values, sent_errors; /* waits that they ended */
    long got_values, got_errors, interrupted;
    struct agent agents[MAX_AGENTS];
    int waits[MAX_AGENTS]; /* of 8 steps of each, so many */
} current;

static atomic_long waits_done, timeouts, cancelled, notifications, freed;
static long stops;

static void
describe(FILE *out)
{
    struct round *r = &current;
    fprintf(out, "%d workers and %d; %d steps%s%s\n", r->cfg.workers, r->cfg.interactive, r->steps,
            r->stops ? ", stopped" : "", r->frees ? ", conditions are freed" : "");
    agents_describe(out, r->agents, r->n_agents, state_texts);
}

static void
enter(struct agent *a, int depth)
{
    agent_says(a, LOCKS);
    while (depth-- > 0) weft_mutex_lock(&current.m);
    agent_says(a, BETWEEN);
}

static void
leave(struct agent *a, int depth)
{
    while (depth-- > 0)
        if (weft_mutex_unlock(&current.m)) stress_die("agent %d does not own the mutex", a->number);
}

static int
call_wait(struct agent *a, weft_condition *c, void **value, weft_time deadline)
{
    switch (stress_dice(&a->random, deadline == WEFT_FOREVER ? 4 : 2)) {
    case 0:
        return weft_condition_wait_until(c, &current.m, value, deadline);
    case 1:
        return weft_condition_wait_first_until(c, &current.m, value, deadline);
    case 2:
        return weft_condition_wait(c, &current.m, value);
    default:
        return weft_condition_wait_first(c, &current.m, value);
    }
}

/* What a wait that began when serial was `begun` came to.  Under the mutex. */
static void
account(struct agent *a, int rc, void *value, long begun, weft_time deadline)
{
    long number = (long)(intptr_t)value;
    if (rc == 0) {
        if (number <= begun || number > current.serial)
            stress_die("agent %d got notification %ld, not one of %ld to %ld", a->number, number, begun + 1,
                       current.serial);
        if (!stress_lose()) current.got_values++;
    } else if (rc == ERROR) current.got_errors++;
    else {
        bool late = rc == (deadline == WEFT_NOW ? WEFT_EAGAIN : WEFT_ETIMEDOUT) && deadline != WEFT_FOREVER;
        if (!late && !(rc == WEFT_ECANCELED && current.stops))
            stress_die("agent %d: a wait returned %s", a->number, weft_error_name(rc));
        stress_count(late ? &timeouts : &cancelled, 1);
        current.interrupted++;
    }
}

static void
wait_once(struct agent *a)
{
    weft_time deadline = stress_dice(&a->random, 3) == 0 ? WEFT_FOREVER
                         : stress_dice(&a->random, 8)    ? weft_in(stress_dice(&a->random, 100) * WEFT_US)
                                                         : WEFT_NOW;
    int depth = 1 + (stress_dice(&a->random, 4) == 0);
    void *value = NULL;
    enter(a, depth);
    if (!current.shut) {
        long begun = current.serial;
        weft_condition *c = current.c;
        current.waiting++;
        agent_says(a, WAITS);
        int rc = call_wait(a, c, &value, deadline);
        agent_says(a, BETWEEN);
        if (rc != 0 && rc != ERROR) current.waiting--; /* the notifiers have counted down those that they ended */
        account(a, rc, value, begun, deadline);
        stress_count(&waits_done, 1);
        stress_moved();
    }
    leave(a, depth);
}

/* Under the mutex: notifies, and frees the condition if nobody can be in a call on it. */
static void
notify_some(uint64_t *random)
{
    unsigned flags = stress_dice(random, 2) ? WEFT_ONE : WEFT_ALL;
    bool error = stress_dice(random, 4) == 0;
    long number = ++current.serial;
    int n = error ? weft_condition_notify_error(current.c, ERROR, flags)
                  : weft_condition_notify(current.c, (void *)(intptr_t)number, flags);
    if (n < 0 || (flags == WEFT_ONE && n > 1)) stress_die("a notification returned %d", n);
    *(error ? &current.sent_errors : &current.sent_values) += n;
    current.waiting -= n;
    if (current.waiting < 0) stress_die("more were notified than waited");
    stress_count(&notifications, 1);
    if (!current.frees || current.waiting > 0 || stress_dice(random, 2)) return;
    memset(current.c, 0xa5, sizeof *current.c);
    free(current.c);
    current.c = stress_alloc(1, sizeof *current.c);
    stress_count(&freed, 1);
}

static void
notify_once(struct agent *a)
{
    enter(a, 1);
    notify_some(&a->random);
    if (a->place != AGENT_THREAD && stress_dice(&a->random, 4) == 0)
        weft_yield(); /* with the mutex, which they wait for */
    leave(a, 1);
    if (stress_dice(&a->random, 3) == 0) stress_give_turn();
}

static void
take_steps(struct agent *a)
{
    for (int i = 0; i < current.steps; i++) {
        if (stress_dice(&a->random, 8) < current.waits[a->number]) wait_once(a);
        else notify_once(a);
    }
}

/* Lets nobody wait any more, and everybody go who does.  A plain thread calls this: the runtime may have been stopped. */
static void
shut(uint64_t *random)
{
    while (agents_busy(current.agents, current.n_agents)) {
        weft_mutex_lock(&current.m);
        current.shut = current.shut || stress_dice(random, 20) == 0;
        notify_some(random);
        if (weft_mutex_unlock(&current.m)) stress_die("the mutex is somebody else's");
        stress_pause(20 * WEFT_US);
    }
}

static void
choose_round(uint64_t *random)
{
    struct round *r = &current;
    memset(r, 0, sizeof *r);
    r->cfg = stress_config(random);
    r->stops = stress_dice(random, 6) == 0;
    r->frees = stress_dice(random, 3) == 0;
    r->n_agents = 2 + stress_dice(random, stress_dice(random, 4) ? 8 : MAX_AGENTS - 2);
    r->steps = 1 + stress_dice(random, STEPS_MOST);
    r->c = stress_alloc(1, sizeof *r->c);
    for (int i = 0; i < r->n_agents; i++) r->waits[i] = stress_dice(random, 9);
}

static void
check_round(void)
{
    struct round *r = &current;
    if (r->got_values != r->sent_values || r->got_errors != r->sent_errors)
        stress_die("%ld waits were ended by values and %ld by errors, but %ld and %ld were counted", r->got_values,
                   r->got_errors, r->sent_values, r->sent_errors);
    if (r->waiting != 0) stress_die("%d still wait at the end", r->waiting);
    if (!weft_mutex_trylock(&r->m) || weft_mutex_unlock(&r->m)) stress_die("the mutex is not free at the end");
    if (weft_condition_notify(r->c, NULL, WEFT_ALL) != 0) stress_die("somebody waits at the end");
}

static void
run_round(unsigned number, uint64_t random)
{
    (void)number;
    choose_round(&random);
    stress_start(&current.cfg);
    int places = current.stops ? AGENT_THREAD : AGENT_PLACES;
    for (int i = 0; i < current.n_agents; i++) agent_start(&current.agents[i], i, take_steps, places, &random);
    if (current.stops) {
        stress_pause(stress_dice(&random, 2000) * WEFT_US);
        stress_stop(true);
        stops++;
    }
    shut(&random);
    for (int i = 0; i < current.n_agents; i++) agent_join(&current.agents[i], current.stops);
    check_round();
    stress_stop(!current.stops);
    free(current.c);
}

static void
totals(FILE *out)
{
    fprintf(out, "%ld waits, %ld timed out, %ld cancelled; %ld notifications, %ld conditions freed, %ld stops",
            stress_counted(&waits_done), stress_counted(&timeouts), stress_counted(&cancelled),
            stress_counted(&notifications), stress_counted(&freed), stops);
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_condition", run_round, describe, totals});
}
