/* stress_select.c - selects against each other, plain operations, deadlines, closes and stops, over a few channels.
 *
 * In each round: a runtime; a few channels of random capacities, an event that resets itself, and two events of which at every
 * instant one is set; and agents, tasks and plain threads, each with a random sequence of selects and plain operations.  A
 * select has up to eight cases, the same channel several times, takes and puts mixed; all of its puts offer one value.
 *
 * After all: each value that was put was taken exactly once, or is left in a channel; none was taken that was not put; the
 * length of each channel is what is in it.  A select that says that it was cancelled, timed out or had nothing to do had no
 * effect.  One that looks at the two events never finds neither.  The event that resets itself let through no more than were
 * notified. */
#include "stress_kit.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CHANNELS = 5, MOST_AGENTS = 12, MOST_THREADS = 4, MOST_STEPS = STRESS_TSAN ? 60 : 400, MOST_CASES = 8 };

/* What has become of a value. */
enum { PUT = 1, TAKEN = 2 };

static struct {
    weft_config cfg;
    int channels, agents, threads, steps;
    uint64_t random;
    size_t capacity[MOST_CHANNELS];
    weft_channel *channel[MOST_CHANNELS], *done;
    weft_event ticket, pair[2];
    atomic_bool stopping, over;
    atomic_long notified, passed;
    atomic_uchar value[MOST_AGENTS + MOST_THREADS][MOST_STEPS];
} current;

static atomic_long selects, executed, put_count, take_count, timeouts, cancelled, closed, looks;
static long stops;

struct agent {
    int number, step;
    uint64_t random;
};

/* Marks what happened to a value, which happens only once. */
static void
mark(uint64_t value, unsigned char what)
{
    int agent = (int)(value >> 32), step = (int)(value & 0xffffffff);
    if (agent >= MOST_AGENTS + MOST_THREADS || step >= MOST_STEPS)
        stress_die("a value came that nobody puts: %llx", (unsigned long long)value);
    if (what == TAKEN && stress_lose()) return;
    unsigned char before = atomic_fetch_or(&current.value[agent][step], what);
    if (before & what) stress_die("value %d of agent %d was %s twice", step, agent, what == PUT ? "put" : "taken");
    stress_count(what == PUT ? &put_count : &take_count, 1);
}

static uint64_t
own_value(const struct agent *a)
{
    return (uint64_t)a->number << 32 | (uint64_t)a->step;
}

static weft_time
some_deadline(uint64_t *random)
{
    switch (stress_dice(random, 4)) {
    case 0:
        return WEFT_NOW;
    case 1:
        return weft_in(stress_dice(random, 300000));
    case 2:
        return weft_in(stress_dice(random, 5000));
    default:
        return WEFT_FOREVER; /* until the round is over */
    }
}

/* A code that says that nothing was done.  false: the agent is to end. */
static bool
excused(int rc, weft_time deadline)
{
    if (rc == WEFT_ETIMEDOUT || (rc == WEFT_EAGAIN && deadline == WEFT_NOW)) {
        if (weft_now() < deadline) stress_die("a select timed out early");
        stress_count(&timeouts, 1);
        return true;
    }
    if (rc != WEFT_ECANCELED || !atomic_load(&current.stopping)) stress_die("a select gave %s", weft_error_name(rc));
    stress_count(&cancelled, 1);
    return false;
}

static weft_channel *
some_channel(uint64_t *random)
{
    return current.channel[stress_dice(random, current.channels)];
}

/* One select over random cases.  false: the agent is to end. */
static bool
select_some(struct agent *a)
{
    weft_case cases[MOST_CASES];
    uint64_t offered = own_value(a), got[MOST_CASES];
    size_t n = 1 + (size_t)stress_dice(&a->random, MOST_CASES - 1);
    for (size_t i = 0; i < n; i++) {
        got[i] = UINT64_MAX;
        int what = stress_dice(&a->random, 16);
        weft_channel *c = what == 15 ? NULL : some_channel(&a->random);
        if (what < 7) cases[i] = WEFT_TAKE(c, &got[i]);
        else if (what < 14) cases[i] = WEFT_PUT(c, &offered);
        else cases[i] = what == 14 ? WEFT_EVENT(&current.ticket) : WEFT_TAKE(NULL, &got[i]);
    }
    weft_time deadline = some_deadline(&a->random);
    if (deadline == WEFT_FOREVER) cases[n++] = WEFT_TAKE(current.done, NULL);
    int k = weft_select_until(cases, n, stress_dice(&a->random, 3) ? 0 : WEFT_BIASED, deadline);
    stress_count(&selects, 1);
    for (size_t i = 0; i < n; i++) {
        if ((int)i != k && cases[i].kind == WEFT_CASE_TAKE && cases[i].object != current.done && got[i] != UINT64_MAX)
            stress_die("case %zu was not executed, but its value was written", i);
    }
    if (k < 0) return excused(k, deadline);
    stress_count(&executed, 1);
    if (cases[k].object == current.done) return false;
    if (cases[k].kind == WEFT_CASE_EVENT) stress_count(&current.passed, 1);
    else if (cases[k].rc == WEFT_ECLOSED) stress_count(&closed, 1);
    else if (cases[k].rc == WEFT_ENOMEM && stress_failing()) return true;
    else if (cases[k].rc) stress_die("a case gave %s", weft_error_name(cases[k].rc));
    else if (cases[k].kind == WEFT_CASE_TAKE) mark(got[k], TAKEN);
    else mark(offered, PUT);
    return true;
}

/* One operation without a select. */
static bool
do_plain(struct agent *a)
{
    uint64_t value = own_value(a), got[4];
    size_t n = 0;
    weft_time deadline = weft_in(stress_dice(&a->random, 100000));
    weft_channel *c = some_channel(&a->random);
    int what = stress_dice(&a->random, 3);
    int rc = what == 0   ? weft_channel_put_until(c, &value, deadline)
             : what == 1 ? weft_channel_take_until(c, &got[0], deadline)
                         : weft_channel_take_n_until(c, got, 4, &n, deadline);
    if (rc == WEFT_ECLOSED || (rc == WEFT_ENOMEM && stress_failing())) return true;
    if (rc < 0) return excused(rc, deadline);
    if (what == 0) mark(value, PUT);
    else
        for (size_t i = 0; i < (what == 1 ? 1 : n); i++) mark(got[i], TAKEN);
    return true;
}

/* At every instant one of the two is set. */
static bool
look_at_pair(void)
{
    weft_case cases[] = {WEFT_EVENT(&current.pair[0]), WEFT_EVENT(&current.pair[1])};
    int k = weft_select_until(cases, 2, 0, WEFT_NOW);
    stress_count(&looks, 1);
    if (k == WEFT_EAGAIN) stress_die("a select over two events, of which one is always set, found neither");
    return k >= 0 || excused(k, WEFT_NOW);
}

static int
act(void *arg)
{
    struct agent a;
    memcpy(&a, arg, sizeof a);
    bool on = true;
    for (a.step = 0; on && a.step < current.steps && !atomic_load(&current.over); a.step++) {
        switch (stress_dice(&a.random, 8)) {
        case 0:
            on = look_at_pair();
            break;
        case 1:
        case 2:
            on = do_plain(&a);
            break;
        case 3:
            stress_count(&current.notified, 1);
            weft_event_notify(&current.ticket);
            break;
        default:
            on = select_some(&a);
        }
        if (a.step % 16 == 0) stress_moved();
    }
    return 0;
}

static void *
act_on_thread(void *arg)
{
    act(arg);
    return NULL;
}

/* Sets the one before it resets the other. */
static void *
alternate(void *arg)
{
    (void)arg;
    for (int k = 0; !atomic_load(&current.over); k = 1 - k) {
        weft_event_notify(&current.pair[1 - k]);
        weft_event_reset(&current.pair[k]);
        stress_give_turn();
    }
    return NULL;
}

static void
make_channels(uint64_t *random)
{
    static const size_t capacities[] = {0, 0, 0, 1, 1, 2, 7, WEFT_UNBOUNDED};
    for (int i = 0; i <= current.channels; i++) {
        weft_channel **c = i < current.channels ? &current.channel[i] : &current.done;
        size_t capacity = i < current.channels ? capacities[stress_dice(random, 8)] : 0;
        int rc;
        do rc = weft_channel_new(c, sizeof(uint64_t), capacity);
        while (stress_short(rc));
        if (rc) stress_die("weft_channel_new gave %s", weft_error_name(rc));
        if (i < current.channels) current.capacity[i] = capacity;
    }
}

static int
start_agents(weft_task **tasks, uint64_t *random)
{
    static const unsigned flags[] = {0, 0, 0, WEFT_STICKY, WEFT_INTERACTIVE};
    int n = 0;
    for (int i = 0; i < current.agents; i++) {
        struct agent a = {i, 0, stress_mix(current.random, (uint64_t)i)};
        int rc;
        if (stress_dice(random, 2)) {
            rc = weft_spawn_copy(&tasks[n], act, &a, sizeof a);
        } else {
            static struct agent kept[MOST_AGENTS];
            kept[i] = a;
            weft_task_options opt = {.size = sizeof opt, .name = "agent", .flags = flags[stress_dice(random, 5)]};
            rc = weft_spawn_with(&tasks[n], act, &kept[i], &opt);
        }
        if (rc && !stress_short(rc)) stress_die("a spawn gave %s", weft_error_name(rc));
        n += rc == 0;
    }
    return n;
}

/* Takes what is left, and looks at what has become of each value. */
static void
settle(void)
{
    for (int i = 0; i < current.channels; i++) {
        weft_channel *c = current.channel[i];
        size_t n = 0, length = weft_channel_len(c);
        for (uint64_t value; weft_channel_take_until(c, &value, WEFT_NOW) == 0; n++) mark(value, TAKEN);
        if (n != length) stress_die("channel %d had %zu values, and its length was %zu", i, n, length);
        weft_channel_release(c);
    }
    weft_channel_release(current.done);
    for (int a = 0; a < MOST_AGENTS + MOST_THREADS; a++) {
        for (int i = 0; i < current.steps; i++) {
            int what = atomic_load(&current.value[a][i]);
            if (what == PUT) stress_die("value %d of agent %d was put, and is lost", i, a);
            if (what == TAKEN)
                stress_die("value %d of agent %d was taken, though its put said that it was not put", i, a);
        }
    }
    if (stress_counted(&current.passed) > stress_counted(&current.notified))
        stress_die("%ld were let through by %ld notifications", stress_counted(&current.passed),
                   stress_counted(&current.notified));
}

static void
run_round(unsigned number, uint64_t random)
{
    weft_task *tasks[MOST_AGENTS];
    pthread_t threads[MOST_THREADS], alternator;
    static struct agent on_threads[MOST_THREADS];
    bool stop = stress_dice(&random, 3) == 0, close_some = stress_dice(&random, 3) == 0;
    (void)number;
    memset(&current, 0, sizeof current);
    current.ticket = (weft_event)WEFT_EVENT_AUTORESET_INIT;
    current.cfg = stress_config(&random);
    current.channels = 1 + stress_dice(&random, MOST_CHANNELS);
    current.agents = 1 + stress_dice(&random, MOST_AGENTS);
    current.threads = stress_dice(&random, MOST_THREADS + 1);
    current.steps = 1 + stress_dice(&random, MOST_STEPS);
    current.random = stress_mix(random, 9);
    weft_event_notify(&current.pair[0]);
    make_channels(&random);
    stress_start(&current.cfg);
    alternator = stress_thread(alternate, NULL);
    int n = start_agents(tasks, &random);
    for (int i = 0; i < current.threads; i++) {
        on_threads[i] = (struct agent){MOST_AGENTS + i, 0, stress_mix(current.random, (uint64_t)(100 + i))};
        threads[i] = stress_thread(act_on_thread, &on_threads[i]);
    }
    stress_pause(stress_dice(&random, 4000) * WEFT_US);
    for (int i = 0; close_some && i < current.channels; i++) {
        if (stress_dice(&random, 2)) weft_channel_close(current.channel[i], 0);
    }
    if (stop) {
        atomic_store(&current.stopping, true);
        stress_stop(true);
        stops++;
    }
    stress_pause(stress_dice(&random, 2000) * WEFT_US);
    atomic_store(&current.over, true);
    weft_channel_close(current.done, 0);
    for (int i = 0; i < current.threads; i++) stress_join_thread(threads[i]);
    stress_join_thread(alternator);
    for (int i = 0; i < n; i++) {
        int rc = weft_join(tasks[i]);
        if (rc && !(stop && rc == WEFT_ECANCELED) && !stress_short(rc))
            stress_die("an agent gave %s", weft_error_name(rc));
    }
    stress_stop(!stop);
    settle();
}

static void
describe(FILE *out)
{
    fprintf(out, "%d workers and %d; %d tasks, %d threads, %d steps each%s%s; capacities", current.cfg.workers,
            current.cfg.interactive, current.agents, current.threads, current.steps,
            atomic_load(&current.stopping) ? ", stopping" : "", atomic_load(&current.over) ? ", over" : "");
    for (int i = 0; i < current.channels; i++) fprintf(out, " %lld", (long long)current.capacity[i]);
    fprintf(out, "\n");
}

static void
totals(FILE *out)
{
    fprintf(
        out,
        "%ld selects, %ld executed a case; %ld puts, %ld takes, %ld looks; %ld timed out, %ld cancelled, %ld closed, "
        "%ld stops",
        stress_counted(&selects), stress_counted(&executed), stress_counted(&put_count), stress_counted(&take_count),
        stress_counted(&looks), stress_counted(&timeouts), stress_counted(&cancelled), stress_counted(&closed), stops);
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_select", run_round, describe, totals});
}
