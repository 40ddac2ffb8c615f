/* stress_cancel.c - cancellations against parks, against normal ends, and against each other.
 *
 * In each round one of
 *
 *      duels      pairs.  One opens a nest of scopes, or starts a task that does, and waits in it for what never comes; the
 *                 other cancels one of the scopes, or the task, or its deadline does, at about the time at which the wait
 *                 begins.  The wait is interrupted, however they meet.  Waits in a shield, and after the scopes have been
 *                 closed, are not, though the walk may still be on its way; and closing gives what the rules say.
 *                 A lock that is cancelled at once leaves the mutex to others; and as the stacks of tasks that have ended
 *                 are used again, selects that were not withdrawn would be seen
 *      storms     many members cancel one task, and then their scope, each for its own reason: one call returns true, and
 *                 all see one reason, which is what closing gives.  A weft_oncancel is called once, or was deleted first
 *      outcomes   tasks that return at once, or wait for what comes at about the time at which they are cancelled: each
 *                 runs or is dropped, once; it is cancelled only if a call returned true; and everybody who looks sees
 *                 the same outcome
 *
 * stress_kit.h says how it is called. */
#include "stress_parks.h"

#include <string.h>

enum { MOST_AGENTS = 12, DEEPEST = 4, MOST_GUSTS = 8, MOST_RACERS = 3, CODE = 7, REASON = -2000 };
enum { TURNS = STRESS_TSAN ? 10 : 200 };

#define KINDS(X) X(DUELS, "duels") X(STORMS, "storms") X(OUTCOMES, "outcomes")
#include "stress_crew.h"

static atomic_long fought, stormed, completed, failed, cancelled, dropped, reports;

static void
must_be(int rc, int code, const char *what)
{
    if (stress_lose()) rc = REASON - 1;
    if (rc != code)
        stress_die("%s gave %s (%d), not %s (%d)", what, weft_error_name(rc), rc, weft_error_name(code), code);
}

/* ---- Duels ----------------------------------------------------------------------------------------------------------- */

enum aim { NOTHING, SCOPE, TASK, ALARM };

static struct duel {
    _Atomic(enum aim) aim; /* written last: for the other to see what it is to do */
    weft_scope *scope;
    weft_task *task;
    int reason;
    weft_event gone;  /* it has done it, */
    weft_event later; /* and something else */
    uint64_t random;
    atomic_bool begun; /* the task */
} duels[MOST_AGENTS / 2];

static void
cancel_again(struct agent *a)
{
    struct duel *d = &duels[a->number / 2];
    for (int turn = 0; turn < TURNS; turn++) {
        enum aim aim;
        while ((aim = atomic_load_explicit(&d->aim, memory_order_acquire)) == NOTHING) stress_give_turn();
        atomic_store_explicit(&d->aim, NOTHING, memory_order_relaxed);
        dawdle(&a->random);
        if (aim == SCOPE) weft_scope_cancel(d->scope, d->reason);
        if (aim == TASK && !weft_cancel(d->task)) stress_die("weft_cancel of a task that runs was not the first");
        weft_event_notify(&d->gone);
        dawdle(&a->random);
        weft_event_notify(&d->later);
        stress_count(&a->calls, 1);
    }
}

static void
aim(struct duel *d, enum aim at, weft_scope *s, int reason)
{
    d->scope = s;
    d->task = weft_current();
    d->reason = reason;
    atomic_store_explicit(&d->aim, at, memory_order_release);
}

/* Waits in a shield until the other has done it: the cancellation, on its way or not, must not be met here. */
static void
wait_sheltered(struct duel *d)
{
    weft_scope shield;
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    must_be(weft_event_wait(&d->gone), 0, "a wait in a shield");
    must_be(weft_scope_close(&shield, 0), 0, "closing a shield");
}

/* A mutex for all, and how often it has been locked: plain, it guards that. */
static weft_mutex mutex;
static long locked;
static atomic_long locks;

/* In a scope that is cancelled: a lock that can be cancelled leaves the mutex alone, one that cannot gets it. */
static void
lock_in_vain(void)
{
    must_be(weft_mutex_lock_until(&mutex, WEFT_FOREVER), WEFT_ECANCELED, "weft_mutex_lock_until");
    weft_mutex_lock(&mutex);
    locked++;
    weft_mutex_unlock(&mutex);
    stress_count(&locks, 1);
}

/* Waits for what never comes, and until the other has done it; in one order or the other. */
static void
meet(struct duel *d, uint64_t *random)
{
    bool first = stress_dice(random, 3) == 0;
    dawdle(random);
    if (first) wait_sheltered(d);
    must_be(park_somehow(random), WEFT_ECANCELED, "a wait for what never comes");
    lock_in_vain();
    if (!first) wait_sheltered(d);
}

static void
duel_of_scopes(struct duel *d, uint64_t *random)
{
    weft_scope scopes[DEEPEST];
    int depth = 1 + stress_dice(random, DEEPEST), target = stress_dice(random, depth), rc = WEFT_ECANCELED;
    int reason = stress_dice(random, 2) ? REASON : 0;
    bool alarm = stress_dice(random, 3) == 0;
    for (int k = 0; k < depth; k++) {
        bool its = alarm && k == target;
        weft_scope_open(&scopes[k], 0, its ? weft_in(stress_dice(random, 100) * WEFT_US) : WEFT_FOREVER);
    }
    aim(d, alarm ? ALARM : SCOPE, &scopes[target], reason);
    meet(d, random);
    for (int k = depth; k-- > 0;) {
        rc = weft_scope_close(&scopes[k], rc);
        must_be(rc, k > target ? WEFT_ECANCELED : k < target ? 0 : alarm ? WEFT_ETIMEDOUT : reason, "closing a scope");
        if (k == target) rc = 0;
    }
}

static int
be_cancelled(void *arg)
{
    struct duel *d = arg;
    weft_scope scopes[DEEPEST];
    int depth = stress_dice(&d->random, DEEPEST);
    atomic_store_explicit(&d->begun, true, memory_order_relaxed);
    for (int k = 0; k < depth; k++) weft_scope_open(&scopes[k], 0, WEFT_FOREVER);
    aim(d, TASK, NULL, 0);
    meet(d, &d->random);
    for (int k = depth; k-- > 0;)
        must_be(weft_scope_close(&scopes[k], WEFT_ECANCELED), WEFT_ECANCELED, "closing a scope of a task");
    return WEFT_ECANCELED;
}

static void
duel_of_task(struct agent *a, struct duel *d)
{
    static const weft_task_options opt = {.size = sizeof opt, .name = "cancelled"};
    weft_scope around;
    bool inside = stress_dice(&a->random, 2);
    d->random = stress_mix(a->random, 1);
    atomic_store_explicit(&d->begun, false, memory_order_relaxed);
    if (inside) weft_scope_open(&around, WEFT_SUPERVISE, WEFT_FOREVER);
    weft_task *t = agent_spawn_body(be_cancelled, d, &opt, &d->begun);
    dawdle(&a->random);
    must_be(weft_wait(t), WEFT_ECHILD, "weft_wait");
    if (weft_task_state(t) != WEFT_CANCELLED) stress_die("a cancelled task is in state %d", weft_task_state(t));
    weft_task_release(t);
    if (inside) must_be(weft_scope_close(&around, 0), 0, "closing a scope around a cancelled task");
}

static void
park_again(struct agent *a)
{
    struct duel *d = &duels[a->number / 2];
    for (int turn = 0; turn < TURNS; turn++) {
        if (stress_dice(&a->random, 3) == 0) duel_of_task(a, d);
        else duel_of_scopes(d, &a->random);
        must_be(weft_event_wait(&d->later), 0, "a wait after the scopes");
        stress_count(&a->calls, 1);
        if (turn % 16 == 0) stress_moved();
    }
    stress_count(&fought, TURNS);
}

static void
duel(struct agent *a)
{
    if (a->number % 2) cancel_again(a);
    else park_again(a);
}

/* ---- Storms ---------------------------------------------------------------------------------------------------------- */

struct storm {
    weft_scope scope;
    weft_task *victim;
    uint64_t random;
    atomic_int arrived, firsts, calls, lulls;
    int n, whys[MOST_GUSTS];
    struct gust {
        struct storm *storm;
        int number;
    } gusts[MOST_GUSTS];
};

/* Counts, and waits until n are there. */
static void
gather(struct storm *s, int n)
{
    atomic_fetch_add(&s->arrived, 1);
    while (atomic_load(&s->arrived) < n) stress_give_turn();
}

static int
blow(void *arg)
{
    const struct gust *g = arg;
    struct storm *s = g->storm;
    gather(s, s->n);
    if (weft_cancel(s->victim)) atomic_fetch_add(&s->firsts, 1);
    gather(s, 2 * s->n);
    weft_scope_cancel(&s->scope, REASON - g->number);
    s->whys[g->number] = weft_scope_why(&s->scope);
    return 0;
}

/* A gust that does not run, for lack of memory: nobody is to wait for it. */
static void
lull(void *arg)
{
    const struct gust *g = arg;
    struct storm *s = g->storm;
    if (!stress_failing()) stress_die("a member was dropped before its scope was cancelled");
    s->whys[g->number] = 0;
    atomic_fetch_add(&s->lulls, 1);
    weft_scope_cancel(&s->scope, REASON - g->number);
    atomic_fetch_add(&s->arrived, 2);
}

static int
be_blown(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    return park_somehow(&random);
}

static void
called(void *arg)
{
    for (volatile int k = 0; k < 300; k++) continue; /* long enough to be met */
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void
storm(struct agent *a)
{
    struct storm s = {.n = 2 + stress_dice(&a->random, MOST_GUSTS - 1), .random = a->random};
    static const weft_task_options options = {.size = sizeof options, .name = "gust", .drop = lull};
    weft_oncancel callback;
    weft_scope_open(&s.scope, WEFT_SUPERVISE, WEFT_FOREVER);
    if (!weft_oncancel_add(&callback, called, &s.calls)) stress_die("a new scope is cancelled");
    int rc = weft_spawn(&s.victim, be_blown, &s.random);
    for (int k = 0; k < s.n && rc == 0; k++) {
        s.gusts[k] = (struct gust){&s, k};
        while (stress_short(rc = weft_spawn_with(NULL, blow, &s.gusts[k], &options))) continue;
        if (rc == WEFT_ECANCELED && stress_failing()) { /* by a lull */
            lull(&s.gusts[k]);
            rc = 0;
        }
    }
    if (rc && !stress_short(rc)) stress_die("a task cannot start: %s", weft_error_name(rc));
    if (rc) s.victim = NULL;
    else must_be(park_somehow(&a->random), WEFT_ECANCELED, "a wait in a storm");
    bool patient = rc == 0 && stress_dice(&a->random, 2);
    while (patient && atomic_load(&s.calls) == 0) stress_give_turn();
    weft_oncancel_del(&callback);
    int calls = atomic_load(&s.calls);
    int result = weft_scope_close(&s.scope, 0);
    if (!s.victim) return;
    bool calm = atomic_load(&s.lulls) || (stress_failing() && weft_task_error(s.victim) == WEFT_ENOMEM);
    int firsts = atomic_load(&s.firsts);
    if (calm ? firsts > 1 : firsts != 1) stress_die("%d of %d calls were the first to cancel a task", firsts, s.n);
    if (!calm && weft_task_state(s.victim) != WEFT_CANCELLED) stress_die("a task was cancelled, and completed");
    weft_task_release(s.victim);
    for (int k = 0; k < s.n; k++)
        if (s.whys[k]) must_be(s.whys[k], result, "weft_scope_why");
    if (result > REASON || result <= REASON - s.n) stress_die("closing gave %d, which was no reason", result);
    if (calls < patient || calls > 1) stress_die("a callback was called %d times", calls);
    if (atomic_load(&s.calls) != calls) stress_die("a callback was called after it had been deleted");
    stress_count(&stormed, 1);
}

/* ---- Outcomes -------------------------------------------------------------------------------------------------------- */

struct trial {
    weft_task *task;
    weft_event go;
    uint64_t random;
    int code; /* what the body returned */
    atomic_int ran, dropped, firsts, racing;
};

static int
be_tried(void *arg)
{
    struct trial *t = arg;
    uint64_t random = t->random;
    int rc = 0, what = stress_dice(&random, 5);
    atomic_fetch_add(&t->ran, 1);
    if (what == 0) rc = weft_event_wait(&t->go);
    else if (what == 1) rc = weft_sleep(stress_dice(&random, 50) * WEFT_US);
    else if (what == 2) rc = weft_check();
    else if (what == 3) rc = WEFT_EPERM;
    return t->code = rc ? rc : CODE;
}

static void
not_tried(void *arg)
{
    atomic_fetch_add(&((struct trial *)arg)->dropped, 1);
}

static int
race(void *arg)
{
    struct trial *t = arg;
    uint64_t random = stress_mix(t->random, (uint64_t)atomic_fetch_add(&t->racing, 1));
    dawdle(&random);
    weft_event_notify(&t->go);
    if (weft_cancel(t->task)) atomic_fetch_add(&t->firsts, 1);
    return 0;
}

static void
report(weft_task *t, void *arg)
{
    (void)t;
    stress_count(arg, 1);
}

static atomic_long reported;

/* By what was seen: how it must have ended. */
static void
judge(const struct trial *t, int rc)
{
    int ran = atomic_load(&t->ran), thrown = atomic_load(&t->dropped), firsts = atomic_load(&t->firsts);
    enum weft_state state = weft_task_state(t->task);
    int error = weft_task_error(t->task), code = thrown ? WEFT_ECANCELED : t->code;
    bool short_of = thrown && error == WEFT_ENOMEM && stress_failing();
    if (stress_lose()) ran++;
    if (ran + thrown != 1) stress_die("a task ran %d times, and was dropped %d times", ran, thrown);
    if (firsts > 1) stress_die("%d calls were the first to cancel a task", firsts);
    if (short_of) return;
    enum weft_state due = code == WEFT_ECANCELED ? WEFT_CANCELLED : code < 0 ? WEFT_FAILED : WEFT_COMPLETED;
    if (state != due || error != code || rc != (code < 0 ? WEFT_ECHILD : 0))
        stress_die("a task that returned %d (dropped %d) is in state %d with %d; waiting gave %s", t->code, thrown,
                   state, error, weft_error_name(rc));
    if (state == WEFT_CANCELLED && firsts != 1) stress_die("a task is cancelled, and nobody did it");
    stress_count(state == WEFT_COMPLETED ? &completed : state == WEFT_FAILED ? &failed : &cancelled, 1);
    stress_count(&dropped, thrown);
}

static void
try_one(struct agent *a)
{
    struct trial t = {.random = stress_mix(a->random, 2)};
    static const weft_task_options options = {.size = sizeof options, .name = "trial", .drop = not_tried};
    weft_task *racers[MOST_RACERS];
    int n = 1 + stress_dice(&a->random, MOST_RACERS), rc, seen;
    while ((rc = weft_task_new(&t.task, be_tried, &t, &options)))
        if (!stress_short(rc)) stress_die("a task cannot start: %s", weft_error_name(rc));
    if (weft_ondone(t.task, report, &reported) == 0) stress_count(&reports, 1);
    bool before = stress_dice(&a->random, 2);
    if (before) (void)weft_schedule(t.task);
    for (int k = 0; k < n; k++)
        if ((rc = weft_spawn(&racers[k], race, &t)) != 0) {
            if (!stress_short(rc)) stress_die("a task cannot start: %s", weft_error_name(rc));
            racers[k] = NULL;
        }
    if (!before) (void)weft_schedule(t.task);
    dawdle(&a->random);
    weft_event_notify(&t.go);
    seen = weft_wait(t.task);
    for (int k = 0; k < n; k++)
        if (racers[k] && (rc = weft_join(racers[k])) && !stress_short(rc))
            stress_die("a racer: %s", weft_error_name(rc));
    judge(&t, seen);
    must_be(weft_wait(t.task), seen, "waiting again");
    weft_task_release(t.task);
}

static void
take_turns(struct agent *a)
{
    for (int turn = 0; turn < TURNS; turn++) {
        if (kind == STORMS) storm(a);
        else try_one(a);
        stress_count(&a->calls, 1);
        if (turn % 16 == 0) stress_moved();
    }
}

/* ---- A round --------------------------------------------------------------------------------------------------------- */

static void
run_round(unsigned number, uint64_t random)
{
    (void)number;
    crew_begin(&random);
    parks_prepare();
    memset(duels, 0, sizeof duels);
    for (int k = 0; k < MOST_AGENTS / 2; k++) duels[k].gone = duels[k].later = (weft_event)WEFT_EVENT_AUTORESET_INIT;
    crew_start(2 * (1 + stress_dice(&random, MOST_AGENTS / 2)), kind == DUELS ? duel : take_turns, AGENT_PLACES,
               &random);
    crew_join(false);
    crew_end(true);
    if (stress_counted(&reported) != stress_counted(&reports))
        stress_die("%ld ends were reported, not %ld", stress_counted(&reported), stress_counted(&reports));
    if (weft_mutex_islocked(&mutex)) stress_die("the mutex is locked, and nobody has it");
    if (locked != stress_counted(&locks))
        stress_die("the mutex was locked %ld times, not %ld", locked, stress_counted(&locks));
}

static void
totals(FILE *out)
{
    stress_print_rounds(out, kind_texts, rounds, N_KINDS);
    fprintf(out,
            "; %ld fought, %ld stormed; of those tried %ld completed, %ld failed, %ld cancelled, %ld of them dropped",
            stress_counted(&fought), stress_counted(&stormed), stress_counted(&completed), stress_counted(&failed),
            stress_counted(&cancelled), stress_counted(&dropped));
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_cancel", run_round, crew_describe, totals});
}
