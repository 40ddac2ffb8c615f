/* stress_mutex.c - random agents that want random mutexes and rwlocks, with deadlines, in all their forms, until they are through
 * or the runtime is stopped.
 *
 * In each round a runtime, a few locks of one kind, and agents, each a task (ordinary, sticky or interactive) or a plain
 * thread.  What a lock guards is plain memory, and whoever is inside looks that it is alone there, or among readers.
 *
 *      mutexes     lock, lock_until, trylock, again and again by the owner; tasks yield and sleep inside
 *      rwlocks     the same, reading and writing
 *      last one    each agent locks, counts itself off and unlocks; who was the last frees the mutex
 *      a hog       one agent locks again right after each unlock, until all the others are through: nobody starves
 *
 * stress_kit.h says how it is called. */
#include "stress_agent.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_AGENTS = 64, MAX_LOCKS = 4, STEPS_MOST = STRESS_TSAN ? 100 : 600 };

#define KINDS(X) X(MUTEXES, "mutexes") X(RWLOCKS, "rwlocks") X(LAST_ONE, "last one") X(HOG, "a hog")
enum kind { KINDS(STRESS_NAME) N_KINDS };
enum state { BETWEEN, WANTS, INSIDE };
static const char *const kind_texts[] = {KINDS(STRESS_TEXT)};
static const char *const state_texts[] = {"between calls", "wants it", "inside"};

struct guarded {
    weft_mutex mutex;
    weft_rwlock rwlock;
    const struct agent *writer; /* plain, under the lock, as the next */
    long count, copy;
    int left; /* of the last-one rounds */
    atomic_int readers;
};

static struct round {
    weft_config cfg;
    enum kind kind;
    bool stops;
    int n_agents, n_locks, steps;
    struct guarded *locks[MAX_LOCKS];
    struct agent agents[MAX_AGENTS];   /* the first may be the hog */
    long taken[MAX_AGENTS][MAX_LOCKS]; /* how often each changed what each lock guards */
} current;

static atomic_long locks_done, timeouts, cancelled, freed;
static long rounds[N_KINDS], stops;

static void
describe(FILE *out)
{
    struct round *r = &current;
    fprintf(out, "%d workers and %d; %s, %d of them, %d steps%s\n", r->cfg.workers, r->cfg.interactive,
            kind_texts[r->kind], r->n_locks, r->steps, r->stops ? ", stopped" : "");
    agents_describe(out, r->agents, r->n_agents, state_texts);
}

/* Stays where it is for a moment. */
static void
linger(struct agent *a)
{
    switch (stress_dice(&a->random, 8)) {
    case 0:
        stress_give_turn();
        break;
    case 1:
        if (a->place == AGENT_THREAD) stress_pause(stress_dice(&a->random, 20) * WEFT_US);
        else if (weft_sleep(stress_dice(&a->random, 20) * WEFT_US)) stress_count(&cancelled, 1);
        break;
    default:
        break;
    }
}

static weft_time
random_deadline(struct agent *a)
{
    switch (stress_dice(&a->random, 5)) {
    case 0:
        return WEFT_NOW;
    case 1:
    case 2:
        return weft_in(stress_dice(&a->random, 100) * WEFT_US);
    default:
        return WEFT_FOREVER;
    }
}

/* Whether the lock is the caller's; rc: of a call with this deadline. */
static bool
got(struct agent *a, int rc, weft_time deadline)
{
    agent_says(a, rc ? BETWEEN : INSIDE);
    if (rc == 0) return true;
    if (rc == (deadline == WEFT_NOW ? WEFT_EAGAIN : WEFT_ETIMEDOUT) && deadline != WEFT_FOREVER)
        stress_count(&timeouts, 1);
    else if (rc == WEFT_ECANCELED && current.stops) stress_count(&cancelled, 1);
    else stress_die("agent %d: unexpected code %s", a->number, weft_error_name(rc));
    return false;
}

static void
gives_back(struct agent *a, int rc)
{
    if (rc) stress_die("agent %d: an unlock returned %s", a->number, weft_error_name(rc));
    stress_count(&locks_done, 1);
    stress_moved();
}

/* Inside, alone. */
static void
change(struct agent *a, struct guarded *g, int lock)
{
    if (g->writer || atomic_load_explicit(&g->readers, memory_order_relaxed))
        stress_die("agent %d is not alone inside", a->number);
    g->writer = a;
    if (!stress_lose()) g->count++;
    linger(a);
    g->copy++;
    if (g->writer != a) stress_die("agent %d: somebody else has been inside", a->number);
    g->writer = NULL;
    current.taken[a->number][lock]++;
}

static void
look(struct agent *a, struct guarded *g)
{
    atomic_fetch_add_explicit(&g->readers, 1, memory_order_relaxed);
    if (g->writer || g->count != g->copy) stress_die("agent %d reads what is being written", a->number);
    linger(a);
    if (g->writer || g->count != g->copy) stress_die("agent %d reads what is being written", a->number);
    atomic_fetch_sub_explicit(&g->readers, 1, memory_order_relaxed);
}

static bool
lock_mutex(struct agent *a, weft_mutex *m)
{
    weft_time deadline = random_deadline(a);
    agent_says(a, WANTS);
    switch (stress_dice(&a->random, 3)) {
    case 0:
        weft_mutex_lock(m);
        return got(a, 0, WEFT_FOREVER);
    case 1:
        return got(a, weft_mutex_trylock(m) ? 0 : WEFT_EAGAIN, WEFT_NOW);
    default:
        return got(a, weft_mutex_lock_until(m, deadline), deadline);
    }
}

static void
use_mutex(struct agent *a)
{
    int lock = stress_dice(&a->random, current.n_locks), depth = 0;
    struct guarded *g = current.locks[lock];
    if (stress_dice(&a->random, 16) == 0 && weft_mutex_unlock(&g->mutex) != WEFT_EPERM)
        stress_die("agent %d unlocked what it had not", a->number);
    if (!lock_mutex(a, &g->mutex)) return;
    while (depth < 3 && stress_dice(&a->random, 4) == 0) {
        if (!weft_mutex_trylock(&g->mutex)) stress_die("agent %d cannot lock again what it owns", a->number);
        depth++;
    }
    change(a, g, lock);
    while (depth-- > 0) gives_back(a, weft_mutex_unlock(&g->mutex));
    gives_back(a, weft_mutex_unlock(&g->mutex));
    agent_says(a, BETWEEN);
}

static bool
lock_rwlock(struct agent *a, weft_rwlock *l, bool writes)
{
    weft_time deadline = random_deadline(a);
    agent_says(a, WANTS);
    switch (stress_dice(&a->random, 3)) {
    case 0:
        return got(a, writes ? weft_rwlock_wrlock(l) : weft_rwlock_rdlock(l), WEFT_FOREVER);
    case 1:
        return got(a, (writes ? weft_rwlock_trywrlock(l) : weft_rwlock_tryrdlock(l)) ? 0 : WEFT_EAGAIN, WEFT_NOW);
    default:
        return got(a, writes ? weft_rwlock_wrlock_until(l, deadline) : weft_rwlock_rdlock_until(l, deadline), deadline);
    }
}

static void
use_rwlock(struct agent *a)
{
    int lock = stress_dice(&a->random, current.n_locks);
    struct guarded *g = current.locks[lock];
    bool writes = stress_dice(&a->random, 3) == 0;
    if (!lock_rwlock(a, &g->rwlock, writes)) return;
    if (writes) {
        change(a, g, lock);
        if (weft_rwlock_wrlock_until(&g->rwlock, WEFT_NOW) == 0) stress_die("agent %d writes twice", a->number);
    } else look(a, g);
    gives_back(a, writes ? weft_rwlock_wrunlock(&g->rwlock) : weft_rwlock_rdunlock(&g->rwlock));
    agent_says(a, BETWEEN);
}

/* Counts itself off every lock; the last one frees it. */
static void
count_off(struct agent *a)
{
    for (int lock = 0; lock < current.n_locks; lock++) {
        struct guarded *g = current.locks[(lock + a->number) % current.n_locks];
        for (bool done = false; !done;) {
            if (stress_dice(&a->random, 2)) weft_mutex_lock(&g->mutex);
            else if (weft_mutex_lock_until(&g->mutex, weft_in(stress_dice(&a->random, 30) * WEFT_US))) continue;
            linger(a);
            bool last = --g->left == 0;
            gives_back(a, weft_mutex_unlock(&g->mutex));
            done = true;
            if (!last) continue;
            memset(g, 0xa5, sizeof *g);
            free(g);
            stress_count(&freed, 1);
        }
    }
}

/* The hog never pauses outside. */
static void
be_the_hog(struct agent *a)
{
    struct guarded *g = current.locks[0];
    while (agents_busy(current.agents + 1, current.n_agents - 1)) {
        weft_mutex_lock(&g->mutex);
        change(a, g, 0);
        if (stress_dice(&a->random, 4) == 0) stress_give_turn();
        if (weft_mutex_unlock(&g->mutex)) stress_die("the hog cannot unlock"); /* not stress_moved: it is no progress */
    }
}

static void
wait_for_the_hog(struct agent *a)
{
    struct guarded *g = current.locks[0];
    agent_says(a, WANTS);
    weft_mutex_lock(&g->mutex);
    agent_says(a, INSIDE);
    change(a, g, 0);
    gives_back(a, weft_mutex_unlock(&g->mutex));
}

static void
take_steps(struct agent *a)
{
    static void (*const use[])(struct agent *) = {use_mutex, use_rwlock, NULL, wait_for_the_hog};
    if (current.kind == HOG && a->number == 0) be_the_hog(a);
    else if (current.kind == LAST_ONE) count_off(a);
    else
        for (int i = 0; i < current.steps; i++) use[current.kind](a);
}

static void
choose_round(uint64_t *random)
{
    struct round *r = &current;
    r->cfg = stress_config(random);
    r->kind = (enum kind)stress_dice(random, N_KINDS);
    if (r->kind == LAST_ONE && stress_failing()) r->kind = MUTEXES; /* who cannot start cannot count itself off */
    r->stops = r->kind < LAST_ONE && stress_dice(random, 6) == 0;
    r->n_agents = 2 + stress_dice(random, stress_dice(random, 4) ? 10 : MAX_AGENTS - 2);
    r->n_locks = r->kind == HOG ? 1 : 1 + stress_dice(random, MAX_LOCKS);
    r->steps = 1 + stress_dice(random, r->kind == HOG ? 20 : STEPS_MOST * 4 / r->n_agents);
    for (int i = 0; i < r->n_locks; i++) {
        r->locks[i] = stress_alloc(1, sizeof *r->locks[i]);
        r->locks[i]->left = r->n_agents;
    }
    memset(r->taken, 0, sizeof r->taken);
    agents_reset(r->agents, r->n_agents); /* the hog looks at them */
}

static void
check_round(void)
{
    for (int lock = 0; lock < current.n_locks; lock++) {
        struct guarded *g = current.locks[lock];
        long taken = 0;
        for (int i = 0; i < current.n_agents; i++) taken += current.taken[i][lock];
        if (g->count != taken || g->copy != taken)
            stress_die("lock %d: %ld and %ld counted, %ld times inside", lock, g->count, g->copy, taken);
        if (!weft_mutex_trylock(&g->mutex) || weft_mutex_unlock(&g->mutex))
            stress_die("a mutex is not free at the end");
        if (!weft_rwlock_trywrlock(&g->rwlock) || weft_rwlock_wrunlock(&g->rwlock))
            stress_die("an rwlock is not free at the end");
        free(g);
    }
}

static void
run_round(unsigned number, uint64_t random)
{
    (void)number;
    choose_round(&random);
    stress_start(&current.cfg);
    int places = current.stops ? AGENT_THREAD : AGENT_PLACES; /* a stop cancels tasks only */
    for (int i = 0; i < current.n_agents; i++) agent_start(&current.agents[i], i, take_steps, places, &random);
    if (current.stops) {
        stress_pause(stress_dice(&random, 2000) * WEFT_US);
        stress_stop(true);
        stops++;
    }
    for (int i = 0; i < current.n_agents; i++) agent_join(&current.agents[i], current.stops);
    if (current.kind != LAST_ONE) check_round();
    stress_stop(!current.stops);
    rounds[current.kind]++;
}

static void
totals(FILE *out)
{
    for (int i = 0; i < N_KINDS; i++) fprintf(out, "%ld of %s, ", rounds[i], kind_texts[i]);
    fprintf(out, "%ld stops; %ld locks, %ld timed out, %ld cancelled, %ld freed", stops, stress_counted(&locks_done),
            stress_counted(&timeouts), stress_counted(&cancelled), stress_counted(&freed));
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_mutex", run_round, describe, totals});
}
