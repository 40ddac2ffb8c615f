/* stress_start.c - runtimes that start and stop while others use them: from threads, by themselves, with work pending.
 *
 * In each round some plain threads begin at once, with the runtime stopped, and do one of
 *
 *      first calls   each thread's first call starts the runtime by itself, and all of them get the same one
 *      churn         each starts, stops, runs (weft_run), spawns, asks, dumps, waits, in random order
 *      work          one of them stops the runtime, again and again, while the others spawn what ends only when it is
 *                    cancelled: parked, asleep, blocked on a channel, yielding
 *
 * Every call must return, with a code that the others explain.  Each task that was accepted runs, or is dropped, once;
 * the root of each weft_run runs once; and when all is over there are as many threads as there were before. */
#include "stress_kit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 6, ROOT_CODE = 5, CHILDREN = 6 };

#define KINDS(X) X(FIRST, "first calls") X(CHURN, "churn") X(WORK, "work")
enum kind { KINDS(STRESS_NAME) N_KINDS };
static const char *const kind_texts[] = {KINDS(STRESS_TEXT)};

static struct round {
    enum kind kind;
    uint64_t random;
    int threads, steps;
    weft_channel *silent; /* nobody ever puts anything */
    pthread_barrier_t begin;
    atomic_bool over;
    atomic_int workers; /* that the first call found */
    atomic_long accepted, ran, ended, dropped;
    atomic_int at[MOST_THREADS]; /* what each thread is doing: an index of call_texts */
} current;

static long rounds[N_KINDS];
static atomic_long starts, stops, runs, busy, refused, spawned, dropped, cancelled, dumps, shortages;
static int nowhere; /* /dev/null */

enum call { C_NONE, C_START, C_STOP, C_RUN, C_SPAWN, C_JOIN, C_ASK, C_DUMP, C_CHANNEL };
static const char *const call_texts[] = {"nothing",   "weft_start",    "weft_stop", "weft_run", "weft_spawn_with",
                                         "weft_join", "weft_nworkers", "weft_dump", "a channel"};

/* What a thread knows of itself. */
struct actor {
    int number;
    uint64_t random;
    int roots; /* that have run */
};

static void
now_in(const struct actor *a, enum call call)
{
    atomic_store_explicit(&current.at[a->number], (int)call, memory_order_relaxed);
}

/* ---- Tasks ----------------------------------------------------------------------------------------------------------- */

/* What a task does; the first ones end by themselves. */
enum body { NOTHING, YIELDS, SLEEPS, PARENT, PARKS, BLOCKS, SPINS, N_BODIES, N_FINITE = PARKS };
static const char *const body_texts[] = {"nothing", "yields", "sleeps", "parent", "parks", "blocks", "spins"};

struct job {
    enum body body;
    uint64_t random;
};

static void
drop(void *arg)
{
    free(arg);
    stress_count(&current.dropped, 1);
    stress_count(&dropped, 1);
    stress_moved();
}

/* Codes of a task whose runtime stops, or of whom memory is short. */
static int
explained(int rc, const char *what)
{
    if (stress_short(rc)) stress_count(&shortages, 1);
    else if (rc == WEFT_ECANCELED || rc == WEFT_ESHUTDOWN) stress_count(&cancelled, 1);
    else stress_die("%s gave %s", what, weft_error_name(rc));
    return rc;
}

static int spawn(weft_task **out, enum body body, uint64_t random, unsigned flags);

static int
be_parent(uint64_t *random)
{
    weft_task *t[CHILDREN];
    int n = 0, rc = 0;
    for (int k = stress_dice(random, CHILDREN + 1); k > 0 && rc == 0; k--) {
        rc = spawn(&t[n], (enum body)stress_dice(random, PARENT), stress_mix(*random, 3),
                   stress_dice(random, 3) ? 0 : WEFT_STICKY);
        if (rc == 0) n++;
    }
    while (n > 0) {
        int waited = weft_wait(t[--n]);
        if (waited == WEFT_ECHILD) waited = weft_task_error(t[n]);
        weft_task_release(t[n]);
        if (waited) rc = explained(waited, "waiting for a child");
    }
    return rc;
}

static int
do_job(enum body body, uint64_t *random)
{
    int value, rc = 0;
    switch (body) {
    case NOTHING:
        return 0;
    case YIELDS:
        for (int k = stress_dice(random, 20); k > 0; k--) weft_yield();
        return 0;
    case SLEEPS:
        rc = weft_sleep(stress_dice(random, 300000));
        break;
    case PARENT:
        return be_parent(random);
    case PARKS:
        rc = weft_park(NULL);
        break;
    case BLOCKS:
        rc = weft_channel_take(current.silent, &value);
        break;
    default:
        while (rc == 0) rc = weft_sleep(0);
    }
    return rc ? explained(rc, body_texts[body]) : 0;
}

static int
run_job(void *arg)
{
    struct job j = *(struct job *)arg;
    free(arg);
    if (!stress_lose()) stress_count(&current.ran, 1);
    int rc = do_job(j.body, &j.random);
    if (rc == 0 && j.body >= N_FINITE) stress_die("a task that %s has ended well", body_texts[j.body]);
    stress_count(&current.ended, 1);
    stress_moved();
    return rc;
}

/* Whatever does not end by itself is a daemon: weft_run does not wait for it. */
static int
spawn(weft_task **out, enum body body, uint64_t random, unsigned flags)
{
    struct job *j = stress_alloc(1, sizeof *j);
    *j = (struct job){body, random};
    weft_task_options opt = {.size = sizeof opt, .name = body_texts[body], .drop = drop, .flags = flags};
    if (body >= N_FINITE) opt.flags |= WEFT_DAEMON;
    stress_count(&current.accepted, 1);
    int rc = weft_spawn_with(out, run_job, j, &opt);
    if (rc == 0) {
        stress_count(&spawned, 1);
        return 0;
    }
    stress_count(&current.accepted, -1);
    stress_count(&refused, 1);
    free(j);
    return explained(rc, "weft_spawn_with");
}

/* ---- What threads do --------------------------------------------------------------------------------------------------- */

/* Codes of calls that start, stop or run: at most one runtime is there at a time. */
static void
controlled(int rc, atomic_long *counter, const char *what)
{
    if (rc == 0) stress_count(counter, 1);
    else if (rc == WEFT_EBUSY || rc == WEFT_ENOENT) stress_count(&busy, 1);
    else if (stress_short(rc)) stress_count(&shortages, 1);
    else stress_die("%s gave %s", what, weft_error_name(rc));
}

static void
start(struct actor *a)
{
    weft_config cfg = stress_config(&a->random);
    now_in(a, C_START);
    int rc = weft_start(&cfg);
    if (rc == WEFT_ENOENT) stress_die("weft_start gave WEFT_ENOENT");
    controlled(rc, &starts, "weft_start");
}

static void
stop(struct actor *a)
{
    now_in(a, C_STOP);
    controlled(weft_stop(), &stops, "weft_stop");
}

static unsigned
random_flags(uint64_t *random)
{
    static const unsigned flags[] = {0, 0, WEFT_STICKY, WEFT_INTERACTIVE, WEFT_DAEMON};
    return flags[stress_dice(random, sizeof flags / sizeof *flags)];
}

/* Spawns, and perhaps waits; only for what ends by itself: nobody else may be there to stop the rest. */
static void
work(struct actor *a)
{
    weft_task *t;
    enum body body = (enum body)stress_dice(&a->random, N_BODIES);
    bool waits = body < N_FINITE && stress_dice(&a->random, 3) == 0;
    now_in(a, C_SPAWN);
    int rc = spawn(waits ? &t : NULL, body, stress_mix(a->random, 4), random_flags(&a->random));
    if (rc || !waits) return;
    now_in(a, C_JOIN);
    rc = weft_join(t);
    if (rc) explained(rc, "weft_join");
}

static int
be_root(void *arg)
{
    struct actor *a = arg;
    a->roots++;
    for (int k = stress_dice(&a->random, 4); k > 0; k--) work(a);
    if (stress_dice(&a->random, 2)) weft_sleep(stress_dice(&a->random, 500000));
    if (weft_stop() != WEFT_EBUSY || weft_start(NULL) != WEFT_EBUSY)
        stress_die("the root stopped or started a runtime");
    return ROOT_CODE;
}

static void
run(struct actor *a)
{
    weft_config cfg = stress_config(&a->random);
    int before = a->roots;
    now_in(a, C_RUN);
    int rc = weft_run(&cfg, be_root, a);
    if (rc >= 0 ? rc != ROOT_CODE : rc == WEFT_ENOENT) stress_die("weft_run gave %d", rc);
    if (a->roots - before != (rc >= 0))
        stress_die("weft_run gave %d, and the root ran %d times", rc, a->roots - before);
    controlled(rc < 0 ? rc : 0, &runs, "weft_run");
}

static void
ask(struct actor *a)
{
    int value = 0;
    switch (stress_dice(&a->random, 3)) {
    case 0:
        now_in(a, C_ASK);
        int n = weft_nworkers(); /* perhaps it has stopped again */
        if (n == 0) stress_die("a runtime had no workers");
        if (n < 0) controlled(n, &starts, "weft_nworkers");
        break;
    case 1:
        now_in(a, C_CHANNEL);
        int rc = weft_channel_take_until(current.silent, &value, weft_in(stress_dice(&a->random, 100000)));
        if (rc != WEFT_ETIMEDOUT) stress_die("a channel without putters gave %s", weft_error_name(rc));
        break;
    default:
        now_in(a, C_DUMP);
        if (weft_dump(nowhere)) stress_die("weft_dump failed");
        stress_count(&dumps, 1);
    }
}

static void
churn(struct actor *a)
{
    static void (*const calls[])(struct actor *) = {start, stop, run, ask, work, work, work, work, work};
    calls[stress_dice(&a->random, sizeof calls / sizeof *calls)](a);
}

static void
call_first(struct actor *a)
{
    weft_task *t = NULL;
    int rc = 0;
    now_in(a, C_SPAWN);
    if (a->number % 3 == 0) {
        do rc = spawn(&t, NOTHING, 0, random_flags(&a->random));
        while (stress_short(rc));
    }
    if (rc) stress_die("the first call gave %s", weft_error_name(rc));
    now_in(a, C_ASK);
    int n, none = 0;
    do n = weft_nworkers();
    while (stress_short(n));
    if (n <= 0) stress_die("weft_nworkers gave %d", n);
    if (!atomic_compare_exchange_strong(&current.workers, &none, n) && none != n)
        stress_die("one thread saw %d workers, another %d", none, n);
    now_in(a, C_JOIN);
    rc = t ? weft_join(t) : 0;
    if (rc && !stress_short(rc)) stress_die("the first task gave %s", weft_error_name(rc));
}

static void *
act(void *arg)
{
    struct actor *a = arg;
    pthread_barrier_wait(&current.begin);
    if (current.kind == FIRST) {
        call_first(a);
    } else if (current.kind == WORK && a->number == 0) {
        while (!atomic_load(&current.over)) {
            stop(a);
            stress_pause(stress_dice(&a->random, 1000000));
        }
    } else {
        for (int k = current.steps; k > 0; k--) {
            if (current.kind == WORK) work(a);
            else churn(a);
            stress_moved();
        }
    }
    now_in(a, C_NONE);
    return NULL;
}

/* ---- Rounds ---------------------------------------------------------------------------------------------------------- */

static int
count_threads(void)
{
    char line[128];
    int n = -1;
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) return -1;
    while (fgets(line, sizeof line, f) && sscanf(line, "Threads: %d", &n) != 1) continue;
    fclose(f);
    return n;
}

static void
check_round(int threads_before)
{
    struct round *r = &current;
    long accepted = stress_counted(&r->accepted), ran = stress_counted(&r->ran), ended = stress_counted(&r->ended);
    if (ran != ended) stress_die("%ld tasks ran, and %ld ended", ran, ended);
    if (accepted != ran + stress_counted(&r->dropped))
        stress_die("the accepted tasks are not those that ran or were dropped");
    /* A thread that was joined is still counted for a moment. */
    while (count_threads() != threads_before) stress_pause(100 * WEFT_US);
}

static void
run_round(unsigned number, uint64_t random)
{
    struct round *r = &current;
    struct actor actors[MOST_THREADS];
    pthread_t threads[MOST_THREADS];
    int threads_before = count_threads();
    (void)number;
    memset(r, 0, sizeof *r);
    r->kind = (enum kind)stress_dice(&random, N_KINDS);
    r->random = random;
    r->threads = 2 + stress_dice(&random, MOST_THREADS - 1);
    r->steps = 1 + stress_dice(&random, STRESS_TSAN ? 60 : 200);
    int rc;
    do rc = weft_channel_new(&r->silent, sizeof(int), 1);
    while (stress_short(rc));
    if (rc) stress_die("no channel: %s", weft_error_name(rc));
    pthread_barrier_init(&r->begin, NULL, (unsigned)r->threads);
    for (int k = 0; k < r->threads; k++) {
        actors[k] = (struct actor){k, stress_mix(random, (uint64_t)k), 0};
        threads[k] = stress_thread(act, &actors[k]);
    }
    for (int k = r->threads - 1; k >= 0; k--) {
        if (k == 0) atomic_store(&r->over, true);
        stress_join_thread(threads[k]);
    }
    stress_stop(false);
    check_round(threads_before);
    pthread_barrier_destroy(&r->begin);
    weft_channel_release(r->silent);
    rounds[r->kind]++;
}

static void
describe(FILE *out)
{
    const struct round *r = &current;
    fprintf(out, "%s, %d threads, %d steps; accepted %ld, ran %ld, ended %ld, dropped %ld; the threads are in",
            kind_texts[r->kind], r->threads, r->steps, stress_counted(&r->accepted), stress_counted(&r->ran),
            stress_counted(&r->ended), stress_counted(&r->dropped));
    for (int k = 0; k < r->threads; k++)
        fprintf(out, "%s %s", k ? "," : "",
                call_texts[atomic_load_explicit((atomic_int *)&r->at[k], memory_order_relaxed)]);
    fputc('\n', out);
}

static void
totals(FILE *out)
{
    stress_print_rounds(out, kind_texts, rounds, N_KINDS);
    fprintf(out,
            "; %ld starts, %ld stops, %ld runs, %ld too late; %ld spawned, %ld refused, %ld dropped, %ld cancelled, "
            "%ld dumps, %ld short of memory",
            stress_counted(&starts), stress_counted(&stops), stress_counted(&runs), stress_counted(&busy),
            stress_counted(&spawned), stress_counted(&refused), stress_counted(&dropped), stress_counted(&cancelled),
            stress_counted(&dumps), stress_counted(&shortages));
}

int
main(int argc, char **argv)
{
    nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return stress_main(argc, argv, &(struct stress_program){"stress_start", run_round, describe, totals});
}
