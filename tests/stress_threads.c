/* stress_threads.c - plain threads against workers: both spawn, wait, wake, put and take, and no message is lost.
 *
 * In each round a runtime, some services, and actors: plain threads and tasks (ordinary, sticky, interactive).
 *
 *      a service   is a task that parks for messages; in between it computes, sleeps or yields.  It gets values, errors and
 *                  yields (weft_schedule_value, weft_schedule_error, weft_yield_to) from all actors at once.  Each that
 *                  was accepted arrives once.
 *      a request   is a message with an address: a channel on the caller's stack, into which the service puts the answer
 *      a job       is a task that several threads and tasks wait for, in all ways; all get its value.  A sticky one stays
 *                  on its worker, an interactive one in its pool.
 *      a pipe      is a channel from actors to actors
 *
 * In the end what was sent is what has arrived, and every callback has been called once. */
#include "stress_kit.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SERVICES = 6, MOST_THREADS = 5, MOST_TASKS = 12, SLOTS = 8, PIPES = 2 };
enum { MOST_JOBS = 1000, ERROR = -777 };

static struct round {
    uint64_t random;
    weft_config cfg;
    int services, threads, tasks, steps;
} current;

static atomic_long sent, errors, nudges, refused, requests, switches, jobs, waits, timeouts, piped, shortages;

static bool
moves(int code, atomic_long *counter)
{
    if (code == 0) stress_count(counter, 1);
    return code == 0;
}

/* Memory was short; dies if that is not the reason. */
static void
must_be_short(int rc, const char *what)
{
    if (!stress_short(rc)) stress_die("%s gave %s", what, weft_error_name(rc));
    stress_count(&shortages, 1);
}

/* ---- Services -------------------------------------------------------------------------------------------------------- */

struct message {
    int number;            /* of a request: it is answered by twice that */
    weft_channel *address; /* where the answer is put, */
    weft_task *from;       /* or the parked task that it is scheduled to; both NULL: no request */
};

static struct service {
    weft_task *task;
    int number;
    atomic_bool begun;
    atomic_long values, errors, nudges; /* that were accepted from actors */
    long got_values, got_errors, got_nudges;
} services[MOST_SERVICES];

static struct message last_message; /* tells a service to end */

static void
be_busy(uint64_t *random)
{
    switch (stress_dice(random, 6)) {
    case 0:
        weft_yield();
        break;
    case 1:
        if (stress_dice(random, 8) == 0 && weft_sleep(stress_dice(random, 100000)))
            stress_die("a service was cancelled");
        break;
    default:
        break;
    }
}

static void send(weft_task *t, void *value);

/* m may be gone when the answer is on its way. */
static void
answer(const struct message *m)
{
    int value = 2 * m->number;
    if (m->from) {
        weft_task *t = weft_task_retain(m->from);
        send(t, (void *)(uintptr_t)value);
        weft_task_release(t);
        return;
    }
    int rc = weft_channel_put(m->address, &value);
    if (rc) stress_die("an answer gave %s", weft_error_name(rc));
}

static int
serve(void *arg)
{
    struct service *s = arg;
    uint64_t random = stress_mix(current.random, 100 + (uint64_t)s->number);
    atomic_store_explicit(&s->begun, true, memory_order_relaxed);
    for (;;) {
        void *value = NULL;
        int rc = weft_park(&value);
        stress_moved();
        if (value == &last_message) return 0;
        if (rc == ERROR) s->got_errors++;
        else if (rc) stress_die("a service's park gave %s", weft_error_name(rc));
        else if (!value) s->got_nudges++;
        else if (!stress_lose()) s->got_values++;
        struct message *m = rc ? NULL : value;
        if (m && (m->address || m->from)) answer(m);
        be_busy(&random);
    }
}

/* Starts all of them: where memory is short, one may be accepted, and end without a stack. */
static void
start_services(uint64_t *random)
{
    static const unsigned flags[] = {0, 0, WEFT_STICKY, WEFT_INTERACTIVE};
    for (int k = 0; k < current.services; k++) {
        struct service *s = &services[k];
        weft_task_options opt = {.size = sizeof opt, .name = "service", .flags = flags[stress_dice(random, 4)]};
        memset(s, 0, sizeof *s);
        s->number = k;
        while (!s->task) {
            int rc = weft_spawn_with(&s->task, serve, s, &opt);
            if (rc) must_be_short(rc, "weft_spawn_with");
            while (s->task && stress_failing() && !atomic_load(&s->begun) && !weft_task_isdone(s->task))
                stress_give_turn();
            if (!s->task || !stress_failing() || atomic_load(&s->begun)) continue;
            weft_task_release(s->task);
            s->task = NULL;
        }
    }
}

/* Sends until it is accepted. */
static void
send(weft_task *t, void *value)
{
    int rc, tries = 0;
    while ((rc = weft_schedule_value(t, value)) == WEFT_EBUSY) {
        stress_count(&refused, 1);
        if (++tries % 16) stress_give_turn();
        else if (!weft_current()) stress_pause(20 * WEFT_US);
        else if (weft_sleep(20 * WEFT_US)) stress_die("a sender was cancelled");
    }
    if (rc) stress_die("weft_schedule_value gave %s", weft_error_name(rc));
}

static void
end_services(void)
{
    for (int k = 0; k < current.services; k++) {
        struct service *s = &services[k];
        send(s->task, &last_message);
        int rc = weft_join(s->task);
        if (rc) stress_die("a service gave %s", weft_error_name(rc));
        if (s->got_values != stress_counted(&s->values) || s->got_errors != stress_counted(&s->errors) ||
            s->got_nudges != stress_counted(&s->nudges))
            stress_die("of %ld values, %ld errors and %ld yields service %d got %ld, %ld and %ld",
                       stress_counted(&s->values), stress_counted(&s->errors), stress_counted(&s->nudges), k,
                       s->got_values, s->got_errors, s->got_nudges);
    }
}

static void
disturb(uint64_t *random)
{
    static struct message plain;
    struct service *s = &services[stress_dice(random, current.services)];
    int rc;
    switch (stress_dice(random, 4)) {
    case 0:
        rc = weft_schedule_error(s->task, ERROR);
        if (moves(rc, &s->errors)) stress_count(&errors, 1);
        break;
    case 1:
        rc = weft_yield_to(s->task);
        if (moves(rc, &s->nudges)) stress_count(&nudges, 1);
        break;
    default:
        rc = weft_schedule_value(s->task, &plain);
        if (moves(rc, &s->values)) stress_count(&sent, 1);
    }
    if (rc == WEFT_EBUSY) stress_count(&refused, 1);
    else if (rc) stress_die("waking a service gave %s", weft_error_name(rc));
}

/* A task's request by a direct switch.  A service that runs, or is bound to another worker, refuses it. */
static void
request_by_switch(struct service *s, struct message *m)
{
    void *value = m;
    m->from = weft_current();
    int rc = weft_switch_to(s->task, &value);
    if (rc == WEFT_EBUSY) {
        stress_count(&refused, 1);
        return;
    }
    if (rc || (uintptr_t)value != (uintptr_t)(2 * m->number))
        stress_die("request %d was answered by %d, %s", m->number, (int)(uintptr_t)value, weft_error_name(rc));
    stress_count(&s->values, 1);
    stress_count(&switches, 1);
}

static void
request(uint64_t *random)
{
    struct service *s = &services[stress_dice(random, current.services)];
    struct message m = {.number = stress_dice(random, 1000000)};
    if (weft_current() && stress_dice(random, 2)) {
        request_by_switch(s, &m);
        return;
    }
    int answered = -1, rc = weft_channel_new(&m.address, sizeof(int), (size_t)stress_dice(random, 2));
    if (rc) {
        must_be_short(rc, "weft_channel_new");
        return;
    }
    send(s->task, &m);
    stress_count(&s->values, 1);
    do
        rc = weft_channel_take_until(m.address, &answered,
                                     stress_dice(random, 2) ? WEFT_FOREVER : weft_in(stress_dice(random, 100000)));
    while (rc == WEFT_ETIMEDOUT);
    if (rc || answered != 2 * m.number)
        stress_die("request %d was answered by %d, %s", m.number, answered, weft_error_name(rc));
    weft_channel_release(m.address);
    stress_count(&requests, 1);
}

/* ---- Jobs ------------------------------------------------------------------------------------------------------------- */

struct job {
    uint64_t random;
    unsigned flags;
    atomic_int accepted, ran, ended, dropped;
    atomic_int calls; /* of its callback, less those that were asked for */
};

static struct job *all_jobs;
static atomic_int made_jobs;

/* Where actors find jobs of others. */
static struct {
    pthread_mutex_t lock; /* nobody parks who holds it */
    weft_task *task;      /* a reference */
    struct job *job;
} slots[SLOTS];

static int
do_job(void *arg)
{
    struct job *j = arg;
    uint64_t random = j->random;
    int first = weft_worker();
    bool interactive = current.cfg.interactive > 0 && (j->flags & WEFT_INTERACTIVE);
    /* Sticky to a worker of whoever made it; short of memory, a pool may have no worker. */
    bool placed = !(j->flags & WEFT_STICKY) && !stress_failing();
    atomic_fetch_add_explicit(&j->ran, 1, memory_order_relaxed);
    for (int k = stress_dice(&random, 12); k > 0; k--) {
        if (stress_dice(&random, 4)) weft_yield();
        else if (weft_sleep(stress_dice(&random, 20000))) stress_die("a job was cancelled");
        int worker = weft_worker();
        if ((j->flags & WEFT_STICKY) && worker != first)
            stress_die("a sticky task went from worker %d to %d", first, worker);
        if (placed && interactive != (worker >= weft_nworkers()))
            stress_die("a task of the other pool runs on worker %d", worker);
    }
    stress_moved();
    atomic_fetch_add_explicit(&j->ended, 1, memory_order_relaxed);
    return weft_return(j);
}

static void
drop_job(void *arg)
{
    struct job *j = arg;
    if (!stress_failing()) stress_die("a job was dropped");
    atomic_fetch_add_explicit(&j->dropped, 1, memory_order_relaxed);
    stress_moved();
}

static void
note_end(weft_task *t, void *arg)
{
    struct job *j = arg;
    if (!weft_task_isdone(t)) stress_die("a callback was called before the end");
    atomic_fetch_add_explicit(&j->calls, 1, memory_order_relaxed);
}

/* Replaces what is in a slot. */
static void
fill(int slot, weft_task *t, struct job *j)
{
    pthread_mutex_lock(&slots[slot].lock);
    weft_task *before = slots[slot].task;
    slots[slot].task = t;
    slots[slot].job = j;
    pthread_mutex_unlock(&slots[slot].lock);
    weft_task_release(before);
}

static void
make_job(uint64_t *random)
{
    static const unsigned flags[] = {0, 0, WEFT_STICKY, WEFT_INTERACTIVE, WEFT_FPENV};
    int number = atomic_fetch_add_explicit(&made_jobs, 1, memory_order_relaxed);
    if (number >= MOST_JOBS) return;
    struct job *j = &all_jobs[number];
    j->random = stress_mix(*random, 11);
    j->flags = flags[stress_dice(random, sizeof flags / sizeof *flags)];
    weft_task_options opt = {.size = sizeof opt, .name = "job", .drop = drop_job, .flags = j->flags};
    weft_task *t;
    atomic_store(&j->accepted, 1);
    int rc = weft_spawn_with(&t, do_job, j, &opt);
    if (rc) {
        atomic_store(&j->accepted, 0);
        must_be_short(rc, "starting a job");
        return;
    }
    stress_count(&jobs, 1);
    if (stress_dice(random, 2)) {
        atomic_fetch_sub_explicit(&j->calls, 1, memory_order_relaxed);
        rc = weft_ondone(t, note_end, j);
        if (rc) must_be_short(rc, "weft_ondone");
        if (rc) atomic_fetch_add_explicit(&j->calls, 1, memory_order_relaxed);
    }
    fill(stress_dice(random, SLOTS), t, j);
}

/* A job has ended, as the caller was told. */
static void
check_job(weft_task *t, const struct job *j, int rc, const void *value)
{
    if (!weft_task_isdone(t)) stress_die("a wait ended before its task");
    if (rc) must_be_short(rc == WEFT_ECHILD ? weft_task_error(t) : rc, "waiting for a job");
    else if (value && value != j) stress_die("a job gave another's value");
    else if (atomic_load_explicit(&j->ended, memory_order_relaxed) != 1) stress_die("a job ended, and did not");
    stress_count(&waits, 1);
}

static void
wait_for_job(uint64_t *random)
{
    int slot = stress_dice(random, SLOTS), rc;
    void *value = NULL;
    pthread_mutex_lock(&slots[slot].lock);
    struct job *j = slots[slot].job;
    weft_task *t = slots[slot].task ? weft_task_retain(slots[slot].task) : NULL;
    pthread_mutex_unlock(&slots[slot].lock);
    if (!t) return;
    switch (stress_dice(random, 4)) {
    case 0:
        rc = weft_wait(t);
        break;
    case 1:
        rc = weft_fetch(t, &value);
        break;
    case 2:
        while (!weft_task_isdone(t)) stress_give_turn();
        rc = weft_task_error(t);
        break;
    default:
        while ((rc = weft_fetch_until(t, &value, weft_in(stress_dice(random, 30000)))) == WEFT_ETIMEDOUT)
            stress_count(&timeouts, 1);
    }
    check_job(t, j, rc, value);
    weft_task_release(t);
}

static bool
all_jobs_ended(void)
{
    int n = atomic_load(&made_jobs);
    for (int k = 0; k < n && k < MOST_JOBS; k++) {
        struct job *j = &all_jobs[k];
        if (atomic_load(&j->ended) + atomic_load(&j->dropped) < atomic_load(&j->accepted)) return false;
    }
    return true;
}

/* Each job ran once, or could not, and its callback was called as often as it was asked for. */
static void
check_jobs(void)
{
    for (int k = 0; k < SLOTS; k++) fill(k, NULL, NULL);
    int n = atomic_load(&made_jobs);
    for (int k = 0; k < n && k < MOST_JOBS; k++) {
        const struct job *j = &all_jobs[k];
        int ran = atomic_load((atomic_int *)&j->ran), calls = atomic_load((atomic_int *)&j->calls);
        int times = ran + atomic_load((atomic_int *)&j->dropped);
        if (times != atomic_load((atomic_int *)&j->accepted))
            stress_die("job %d ran, or was dropped, %d times", k, times);
        if (ran != atomic_load((atomic_int *)&j->ended)) stress_die("job %d ran %d times, and did not end", k, ran);
        if (calls != 0) stress_die("a callback of job %d was called %d times too often", k, calls);
    }
}

/* ---- Pipes ------------------------------------------------------------------------------------------------------------ */

static struct {
    weft_channel *c;
    atomic_long put, taken, put_sum, taken_sum;
} pipes[PIPES];

static void
make_pipes(uint64_t *random)
{
    for (int k = 0; k < PIPES; k++) {
        int rc;
        memset(&pipes[k], 0, sizeof pipes[k]);
        do rc = weft_channel_new(&pipes[k].c, sizeof(int), (size_t)stress_dice(random, 5));
        while (stress_short(rc));
        if (rc) stress_die("weft_channel_new gave %s", weft_error_name(rc));
    }
}

static void
use_pipe(uint64_t *random)
{
    int k = stress_dice(random, PIPES), value = stress_dice(random, 1000);
    bool puts = stress_dice(random, 2);
    weft_time deadline = stress_dice(random, 2) ? weft_in(stress_dice(random, 100000)) : WEFT_NOW;
    int rc = puts ? weft_channel_put_until(pipes[k].c, &value, deadline)
                  : weft_channel_take_until(pipes[k].c, &value, deadline);
    if (rc == WEFT_ETIMEDOUT || (rc == WEFT_EAGAIN && deadline == WEFT_NOW)) {
        stress_count(&timeouts, 1);
        return;
    }
    if (rc) stress_die("a pipe gave %s", weft_error_name(rc));
    stress_count(puts ? &pipes[k].put : &pipes[k].taken, 1);
    stress_count(puts ? &pipes[k].put_sum : &pipes[k].taken_sum, value);
    stress_count(&piped, 1);
}

static void
check_pipes(void)
{
    for (int k = 0; k < PIPES; k++) {
        long left = 0, sum = 0;
        for (int value; weft_channel_take_until(pipes[k].c, &value, WEFT_NOW) == 0; left++) sum += value;
        weft_channel_release(pipes[k].c);
        if (stress_counted(&pipes[k].put) != stress_counted(&pipes[k].taken) + left ||
            stress_counted(&pipes[k].put_sum) != stress_counted(&pipes[k].taken_sum) + sum)
            stress_die("%ld were put, %ld taken, %ld are left; or their values differ", stress_counted(&pipes[k].put),
                       stress_counted(&pipes[k].taken), left);
    }
}

/* ---- Actors and rounds ------------------------------------------------------------------------------------------------ */

static int
act(void *arg)
{
    static void (*const deeds[])(uint64_t *) = {disturb,  disturb,      disturb,  request,
                                                make_job, wait_for_job, use_pipe, use_pipe};
    uint64_t random = stress_mix(current.random, (uint64_t)(uintptr_t)arg);
    for (int k = current.steps; k > 0; k--) {
        deeds[stress_dice(&random, sizeof deeds / sizeof *deeds)](&random);
        stress_moved();
    }
    return 0;
}

static void *
act_on_thread(void *arg)
{
    act(arg);
    return NULL;
}

static void
choose_round(uint64_t random)
{
    current.random = random;
    current.cfg = stress_config(&random);
    current.services = 1 + stress_dice(&random, MOST_SERVICES);
    current.threads = 1 + stress_dice(&random, MOST_THREADS);
    current.tasks = stress_dice(&random, MOST_TASKS + 1);
    current.steps = 1 + stress_dice(&random, STRESS_TSAN ? 60 : 300);
    all_jobs = stress_alloc(MOST_JOBS, sizeof *all_jobs);
    atomic_store(&made_jobs, 0);
    make_pipes(&random);
}

static void
run_round(unsigned number, uint64_t random)
{
    static const unsigned flags[] = {0, 0, WEFT_STICKY, WEFT_INTERACTIVE};
    pthread_t threads[MOST_THREADS];
    weft_task *tasks[MOST_TASKS] = {NULL};
    (void)number;
    choose_round(random);
    stress_start(&current.cfg);
    start_services(&random);
    for (int k = 0; k < current.tasks; k++) {
        weft_task_options opt = {.size = sizeof opt, .name = "actor", .flags = flags[k % 4]};
        int rc = weft_spawn_with(&tasks[k], act, (void *)(uintptr_t)(k + MOST_THREADS), &opt);
        if (rc) must_be_short(rc, "weft_spawn_with");
    }
    for (int k = 0; k < current.threads; k++) threads[k] = stress_thread(act_on_thread, (void *)(uintptr_t)k);
    for (int k = 0; k < current.threads; k++) stress_join_thread(threads[k]);
    for (int k = 0; k < current.tasks; k++) {
        int rc = tasks[k] ? weft_join(tasks[k]) : 0;
        if (rc) must_be_short(rc, "an actor");
    }
    end_services();
    while (!all_jobs_ended()) stress_pause(50 * WEFT_US); /* the stop would cancel what still runs */
    stress_stop(true);
    check_jobs();
    check_pipes();
    stress_stop(false); /* a look into a pipe may have started it again */
    free(all_jobs);
}

static void
describe(FILE *out)
{
    fprintf(out, "%d workers and %d, %d services, %d threads, %d tasks, %d steps, %d jobs\n", current.cfg.workers,
            current.cfg.interactive, current.services, current.threads, current.tasks, current.steps,
            atomic_load(&made_jobs));
    for (int k = 0; k < current.services; k++)
        fprintf(out, "  service %d: sent %ld values, %ld errors, %ld yields; got %ld, %ld, %ld\n", k,
                stress_counted(&services[k].values), stress_counted(&services[k].errors),
                stress_counted(&services[k].nudges), services[k].got_values, services[k].got_errors,
                services[k].got_nudges);
}

static void
totals(FILE *out)
{
    fprintf(out,
            "%ld values, %ld errors, %ld yields, %ld refused, %ld requests, %ld by a switch, %ld jobs, %ld waits, %ld "
            "timeouts, %ld piped, %ld short of memory",
            stress_counted(&sent), stress_counted(&errors), stress_counted(&nudges), stress_counted(&refused),
            stress_counted(&requests), stress_counted(&switches), stress_counted(&jobs), stress_counted(&waits),
            stress_counted(&timeouts), stress_counted(&piped), stress_counted(&shortages));
}

int
main(int argc, char **argv)
{
    for (int k = 0; k < SLOTS; k++) pthread_mutex_init(&slots[k].lock, NULL);
    return stress_main(argc, argv, &(struct stress_program){"stress_threads", run_round, describe, totals});
}
