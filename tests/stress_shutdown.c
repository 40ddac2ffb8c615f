/* stress_shutdown.c - runs that weft_shutdown ends, at any moment, by a call or by a signal.
 *
 * In each round a runtime has tasks that do not end by themselves: some wait, or fork and join without end; some clean up in a
 * shield, where they wait as well, or were there before; some are daemons that keep members; some have a call on a thread.
 * Another thread calls weft_shutdown, waits a little, and calls it again; or sends a signal, whose handler does.  The runtime
 * is weft_run's, or was started, and is stopped then.
 *
 * Every task that was accepted ends, or is dropped, once; what is in a shield is not woken before the second call is made,
 * and everything is after it; and the calls are numbered. */
#include "stress_kit.h"

#include <signal.h>
#include <string.h>

enum { MOST_JOBS = 24, CODE = 7 };

#define KINDS(X)                                                                                                       \
    X(TAKES, "takes")                                                                                                  \
    X(SLEEPS, "sleeps")                                                                                                \
    X(FORKS, "forks")                                                                                                  \
    X(CLEANS, "cleans up")                                                                                             \
    X(SHIELDS, "is in a shield")                                                                                       \
    X(KEEPS, "keeps members")                                                                                          \
    X(CALLS, "has a call")                                                                                             \
    X(ABANDONS, "abandons a call")
enum kind { KINDS(STRESS_NAME) N_KINDS };
static const char *const kind_texts[] = {KINDS(STRESS_TEXT)};

struct job {
    enum kind kind;
    uint64_t random;
    atomic_int ends; /* how often it ended, or was dropped */
};

static struct round {
    struct job jobs[MOST_JOBS];
    int n;
    bool signals;
    pthread_t main;
    weft_channel *silent;        /* nobody ever puts anything */
    atomic_bool breaks;          /* the second call is being made */
    atomic_bool over;            /* the runtime has stopped */
    atomic_int handled, number;  /* signals, and what the last call in a handler returned */
    atomic_long accepted, ended; /* tasks */
} current;

static atomic_long runs, stops, by_signal, first_calls, second_calls, jobs_of[N_KINDS], refused, broken, shortages;

/* ---- Tasks ----------------------------------------------------------------------------------------------------------- */

static int
idle(void *arg)
{
    (void)arg;
    return 0;
}

static void
ended(struct job *j)
{
    if (atomic_fetch_add(&j->ends, 1) != 0) stress_die("a task that %s ended twice", kind_texts[j->kind]);
    if (!stress_lose()) stress_count(&current.ended, 1);
    stress_moved();
}

static void
drop(void *arg)
{
    ended(arg);
}

/* Waits for what never comes. */
static int
wait_somehow(uint64_t *random)
{
    int x = 0;
    switch (stress_dice(random, 4)) {
    case 0:
        return weft_channel_take(current.silent, &x);
    case 1:
        return weft_sleep(1000 * WEFT_S);
    case 2:
        return weft_park(NULL);
    default:
        for (int rc;;) {
            if ((rc = weft_check()) < 0) return rc;
            weft_yield();
        }
    }
}

static void
must_be_cancelled(int rc, const char *what)
{
    if (rc != WEFT_ECANCELED && !stress_short(rc)) stress_die("%s gave %s", what, weft_error_name(rc));
    if (rc != WEFT_ECANCELED) stress_count(&shortages, 1);
}

static int
member(void *arg)
{
    uint64_t random = (uint64_t)(uintptr_t)arg;
    int rc = wait_somehow(&random);
    must_be_cancelled(rc, "a member's wait");
    return rc;
}

/* In a shield, perhaps by way of members: until the second call. */
static int
wait_in_shield(uint64_t *random)
{
    weft_scope shield, inner;
    int rc = 0;
    bool nested = stress_dice(random, 2), members = stress_dice(random, 2);
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    if (nested) weft_scope_open(&inner, stress_dice(random, 2) ? WEFT_SHIELD : WEFT_SUPERVISE, WEFT_FOREVER);
    if (members) rc = weft_spawn(NULL, member, (void *)(uintptr_t)stress_mix(*random, 1));
    if (rc == 0 && (!members || stress_dice(random, 2))) rc = wait_somehow(random);
    if (nested) rc = weft_scope_close(&inner, rc);
    rc = weft_scope_close(&shield, rc);
    must_be_cancelled(rc, "a shield");
    if (rc == WEFT_ECANCELED && !atomic_load(&current.breaks)) stress_die("a shield was broken by the first call");
    stress_count(&broken, 1);
    return rc;
}

static int
fork_and_join(uint64_t *random)
{
    int rc = 0;
    while (rc == 0 || stress_short(rc)) {
        weft_task *t;
        weft_scope s;
        weft_scope_open(&s, 0, WEFT_FOREVER);
        rc = weft_spawn(&t, idle, NULL);
        if (rc == 0 && stress_dice(random, 2)) rc = weft_wait(t) == WEFT_ECANCELED ? WEFT_ECANCELED : 0;
        if (rc == 0) rc = weft_check();
        rc = weft_scope_close(&s, rc);
        if (stress_dice(random, 4) == 0) weft_yield();
    }
    return rc;
}

static int
keep_members(uint64_t *random)
{
    weft_scope s;
    int rc = 0;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int k = stress_dice(random, 3); k >= 0 && rc == 0; k--)
        rc = weft_spawn(NULL, member, (void *)(uintptr_t)stress_mix(*random, (uint64_t)k));
    return weft_scope_close(&s, rc);
}

/* On a thread, until its caller is cancelled. */
static int
call(void *arg)
{
    (void)arg;
    while (!weft_blocking_cancelled()) stress_pause(20 * WEFT_US);
    return CODE;
}

static int
call_out(bool abandon, bool shielded)
{
    weft_scope s;
    weft_scope_open(&s, shielded ? WEFT_SHIELD : 0, WEFT_FOREVER);
    int rc = abandon ? weft_blocking_abandon(NULL, call, NULL, NULL) : weft_blocking(NULL, call, NULL);
    if (rc == CODE) rc = WEFT_ECANCELED;
    if (shielded && rc == WEFT_ECANCELED && !atomic_load(&current.breaks))
        stress_die("a call in a shield was told of the first call");
    return weft_scope_close(&s, rc);
}

static int
run_job(void *arg)
{
    struct job *j = arg;
    uint64_t random = j->random;
    int rc;
    switch (j->kind) {
    case FORKS:
        rc = fork_and_join(&random);
        break;
    case CLEANS:
        must_be_cancelled(wait_somehow(&random), "a wait before the cleanup");
        rc = wait_in_shield(&random);
        break;
    case SHIELDS:
        rc = wait_in_shield(&random);
        break;
    case KEEPS:
        rc = keep_members(&random);
        break;
    case CALLS:
    case ABANDONS:
        rc = call_out(j->kind == ABANDONS, stress_dice(&random, 2));
        break;
    default:
        rc = wait_somehow(&random);
    }
    must_be_cancelled(rc, kind_texts[j->kind]);
    ended(j);
    return rc;
}

static void
spawn_all(void)
{
    static const unsigned flags[] = {0, 0, WEFT_STICKY, WEFT_INTERACTIVE, WEFT_DAEMON};
    for (int k = 0; k < current.n; k++) {
        struct job *j = &current.jobs[k];
        uint64_t random = stress_mix(j->random, 9);
        weft_task_options opt = {.size = sizeof opt, .name = kind_texts[j->kind], .drop = drop};
        opt.flags = flags[stress_dice(&random, 5)];
        int rc = weft_spawn_with(NULL, run_job, j, &opt);
        if (rc == 0) stress_count(&current.accepted, 1);
        else if (rc == WEFT_ECANCELED || rc == WEFT_ESHUTDOWN) stress_count(&refused, 1);
        else if (stress_short(rc)) stress_count(&shortages, 1);
        else stress_die("a spawn gave %s", weft_error_name(rc));
    }
}

/* ---- Who ends it ------------------------------------------------------------------------------------------------------ */

static void
handle(int number)
{
    (void)number;
    atomic_store(&current.number, weft_shutdown());
    atomic_fetch_add(&current.handled, 1);
}

static int
call_shutdown(void)
{
    int before = atomic_load(&current.handled);
    if (!current.signals) return weft_shutdown();
    pthread_kill(current.main, SIGUSR1);
    while (atomic_load(&current.handled) == before) stress_pause(20 * WEFT_US);
    return atomic_load(&current.number);
}

static void *
end_it(void *arg)
{
    uint64_t random = stress_mix(*(uint64_t *)arg, 5);
    for (int n = 1; n <= 2; n++) {
        stress_pause(stress_dice(&random, 600000));
        if (n == 2) atomic_store(&current.breaks, true);
        int rc;
        while ((rc = call_shutdown()) == WEFT_ENOENT && !atomic_load(&current.over)) stress_pause(50 * WEFT_US);
        if (rc != n && rc != WEFT_ENOENT) stress_die("call %d of weft_shutdown gave %d", n, rc);
        if (rc == n) stress_count(n == 1 ? &first_calls : &second_calls, 1);
        stress_moved();
    }
    return NULL;
}

static int
be_root(void *arg)
{
    spawn_all();
    uint64_t random = stress_mix(*(uint64_t *)arg, 6);
    must_be_cancelled(wait_somehow(&random), "the root's wait");
    return CODE;
}

/* A plain thread that waits in a scope of its own. */
static void
start_and_stop(const weft_config *cfg, uint64_t random)
{
    weft_scope s;
    int x = 0, rc;
    stress_start(cfg);
    spawn_all();
    weft_scope_open(&s, stress_dice(&random, 2) ? WEFT_SHIELD : 0, WEFT_FOREVER);
    rc = weft_scope_close(&s, weft_channel_take(current.silent, &x));
    must_be_cancelled(rc, "a thread's wait");
    stress_stop(true);
    stress_count(&stops, 1);
}

static void
run(const weft_config *cfg, uint64_t *random)
{
    int rc = weft_run(cfg, be_root, random);
    if (rc != CODE && rc != WEFT_ECANCELED) stress_die("weft_run gave %d", rc);
    stress_count(&runs, 1);
}

static void
run_round(unsigned number, uint64_t random)
{
    struct round *r = &current;
    int rc;
    (void)number;
    memset(r, 0, sizeof *r);
    r->main = pthread_self();
    r->n = 1 + stress_dice(&random, MOST_JOBS);
    for (int k = 0; k < r->n; k++) {
        r->jobs[k].kind = (enum kind)stress_dice(&random, N_KINDS);
        r->jobs[k].random = stress_mix(random, (uint64_t)k);
        stress_count(&jobs_of[r->jobs[k].kind], 1);
    }
#if !defined(WEFT_SIM)
    r->signals = !STRESS_TSAN && stress_dice(&random, 2); /* TSan keeps them back */
#endif
    do rc = weft_channel_new(&r->silent, sizeof(int), 0);
    while (stress_short(rc));
    if (rc) stress_die("no channel: %s", weft_error_name(rc));
    weft_config cfg = stress_config(&random);
    pthread_t thread = stress_thread(end_it, &random);
    uint64_t mine = random;
    /* weft_run may find no memory for its root, or for workers: start_and_stop tries again. */
    if (stress_dice(&mine, 3) && !stress_failing()) run(&cfg, &random);
    else start_and_stop(&cfg, mine);
    atomic_store(&r->over, true);
    stress_join_thread(thread);
    if (r->signals) stress_count(&by_signal, 1);
    if (stress_counted(&r->ended) != stress_counted(&r->accepted)) stress_die("not every task that was accepted ended");
    weft_channel_release(r->silent);
}

static void
describe(FILE *out)
{
    const struct round *r = &current;
    fprintf(out, "%d jobs, by %s; accepted %ld, ended %ld; %s\n", r->n, r->signals ? "signals" : "calls",
            stress_counted(&r->accepted), stress_counted(&r->ended),
            atomic_load((atomic_bool *)&r->breaks) ? "the second call is due" : "before the second call");
    for (int k = 0; k < r->n; k++) {
        if (atomic_load((atomic_int *)&r->jobs[k].ends) == 0)
            fprintf(out, "one that %s\n", kind_texts[r->jobs[k].kind]);
    }
}

static void
totals(FILE *out)
{
    fprintf(out, "%ld runs, %ld stops, %ld by signals; %ld first calls, %ld second; ", stress_counted(&runs),
            stress_counted(&stops), stress_counted(&by_signal), stress_counted(&first_calls),
            stress_counted(&second_calls));
    for (int i = 0; i < N_KINDS; i++)
        fprintf(out, "%s%s %ld", i ? ", " : "", kind_texts[i], stress_counted(&jobs_of[i]));
    fprintf(out, "; %ld refused, %ld shields broken, %ld short of memory", stress_counted(&refused),
            stress_counted(&broken), stress_counted(&shortages));
}

int
main(int argc, char **argv)
{
    struct sigaction ours = {.sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    sigaction(SIGUSR1, &ours, NULL);
    return stress_main(argc, argv, &(struct stress_program){"stress_shutdown", run_round, describe, totals});
}
