/* stress_event.c - events and onces under tasks and threads: nothing is lost, nothing happens twice, memory is let go of.
 *
 * In each round one of
 *
 *      ping-pong    pairs call each other by two events that reset themselves, and count in a plain variable
 *      freed        pairs: one makes an event, waits for it, and frees it at once; the other notifies it
 *      handed out   producers add to a pile and notify one event; consumers, some with deadlines, wait for it and take all.
 *                   Whatever has been added is taken, though two notifies may have been one.  Or the runtime is stopped
 *                   meanwhile, and what was taken and what is left is what was added
 *      once         agents call functions that run once, in an order of their own; each sees what each of them did
 *
 * stress_kit.h says how it is called. */
#include "stress_kit.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_AGENTS = 32, TURNS = STRESS_TSAN ? 50 : 3000, ONCES = 16, FAILS = -1000 };

#define KINDS(X)                                                                                                       \
    X(PING_PONG, "ping-pong") X(FREED, "freed") X(HANDED_OUT, "handed out") X(STOPPED, "stopped") X(ONCE, "once")
#include "stress_crew.h"

static int producers;
static atomic_long exchanged, freed, handed, timeouts, cancelled;

static void
must(int rc, const char *what)
{
    if (rc) stress_die("%s gave %s", what, weft_error_name(rc));
}

/* ---- Ping-pong ------------------------------------------------------------------------------------------------------- */

static struct pair {
    weft_event turn[2];
    long count;                 /* plain: the events order it */
    _Atomic(weft_event *) made; /* FREED: to be notified */
} pairs[MOST_AGENTS / 2];

static void
ping_pong(struct agent *a)
{
    struct pair *p = &pairs[a->number / 2];
    int me = a->number % 2;
    for (long turn = 0; turn < TURNS; turn++) {
        must(weft_event_wait(&p->turn[me]), "weft_event_wait");
        if (p->count != 2 * turn + me) stress_die("pair %d: %ld in turn %ld", a->number / 2, p->count, 2 * turn + me);
        if (!stress_lose()) p->count++;
        weft_event_notify(&p->turn[!me]);
        stress_count(&a->calls, 1);
        if (turn % 64 == 0) stress_moved();
    }
    stress_count(&exchanged, TURNS);
}

/* ---- Freed ----------------------------------------------------------------------------------------------------------- */

static void
make_and_free(struct agent *a, struct pair *p)
{
    for (int turn = 0; turn < TURNS; turn++) {
        weft_event *e = stress_alloc(1, sizeof *e);
        if (stress_dice(&a->random, 2)) *e = (weft_event)WEFT_EVENT_AUTORESET_INIT;
        atomic_store_explicit(&p->made, e, memory_order_release);
        if (stress_dice(&a->random, 4) == 0) stress_give_turn();
        must(weft_event_wait(e), "weft_event_wait");
        memset(e, 0xff, sizeof *e); /* as whoever has the memory next */
        free(e);
        stress_count(&a->calls, 1);
        if (turn % 64 == 0) stress_moved();
    }
    stress_count(&freed, TURNS);
}

static void
make_or_notify(struct agent *a)
{
    struct pair *p = &pairs[a->number / 2];
    if (a->number % 2) {
        make_and_free(a, p);
        return;
    }
    for (int turn = 0; turn < TURNS;) {
        weft_event *e = atomic_exchange_explicit(&p->made, NULL, memory_order_acquire);
        if (!e) {
            stress_give_turn();
            continue;
        }
        weft_event_notify(e);
        turn++;
    }
}

/* ---- Handed out ------------------------------------------------------------------------------------------------------ */

static weft_event event;
static atomic_long pile, added, taken;
static atomic_bool all_through;

static void
produce(struct agent *a)
{
    for (int turn = 0; turn < TURNS; turn++) {
        int n = 1 + stress_dice(&a->random, 3);
        stress_count(&added, n);
        stress_count(&pile, n); /* relaxed: the event orders it */
        weft_event_notify(&event);
        stress_count(&a->calls, 1);
        if (stress_dice(&a->random, 8) == 0) stress_give_turn();
        if (turn % 64 == 0) stress_moved();
    }
}

static void
consume(struct agent *a)
{
    while (!atomic_load_explicit(&all_through, memory_order_relaxed)) {
        weft_time deadline = a->number == producers ? WEFT_FOREVER : agent_deadline(a);
        int rc = weft_event_wait_until(&event, deadline);
        stress_count(&a->calls, 1);
        if (rc == WEFT_ECANCELED && kind == STOPPED) {
            stress_count(&cancelled, 1);
            return;
        }
        if (agent_timed_out(rc, deadline)) {
            stress_count(&timeouts, 1);
            stress_give_turn();
            continue;
        }
        must(rc, "weft_event_wait_until");
        long n = atomic_exchange_explicit(&pile, 0, memory_order_relaxed);
        stress_count(&handed, n);
        stress_count(&taken, n - stress_lose());
    }
}

static void
check_pile(void)
{
    long left = stress_counted(&pile);
    if (stress_counted(&taken) + left != stress_counted(&added))
        stress_die("%ld were added, %ld taken, %ld are left", stress_counted(&added), stress_counted(&taken), left);
}

/* Every notify lets a consumer look at the pile after it: so in the end it is empty. */
static void
end_handing_out(void)
{
    for (int k = 0; k < producers; k++) agent_join(&agents[k], false);
    while (stress_counted(&pile) != 0) stress_pause(20 * WEFT_US);
    atomic_store_explicit(&all_through, true, memory_order_relaxed);
    for (int k = producers; k < n_agents; k++) {
        while (!agent_ended(&agents[k])) {
            weft_event_notify(&event);
            stress_pause(20 * WEFT_US);
        }
        agent_join(&agents[k], false);
    }
}

static void
hand_out(uint64_t *random)
{
    int places = kind == STOPPED ? AGENT_THREAD : AGENT_PLACES;
    event = (weft_event)WEFT_EVENT_AUTORESET_INIT;
    atomic_store(&pile, 0);
    atomic_store(&added, 0);
    atomic_store(&taken, 0);
    atomic_store(&all_through, false);
    producers = 1 + stress_dice(random, 4);
    crew_start(producers, produce, places, random);
    crew_start(1 + stress_dice(random, 8), consume, places, random);
    if (kind == STOPPED) {
        stress_pause(stress_dice(random, 2000) * WEFT_US);
        stress_stop(true);
        crew_join(true);
    } else {
        end_handing_out();
    }
    check_pile();
}

/* ---- Once ------------------------------------------------------------------------------------------------------------ */

static struct what {
    weft_once_t once;
    atomic_int calls;
    int result; /* plain: the once orders it */
    int64_t ns;
} whats[ONCES];

static int
do_once(void *arg)
{
    struct what *w = arg;
    if (atomic_fetch_add(&w->calls, 1) != 0) stress_die("a function ran twice");
    if (w->ns > 0) stress_pause(w->ns);
    else if (weft_current()) (void)weft_sleep(-w->ns);
    w->result = (int)(w - whats) % 3 ? 1 + (int)(w - whats) : FAILS - (int)(w - whats);
    return w->result;
}

static void
call_onces(struct agent *a)
{
    int first = stress_dice(&a->random, ONCES), step = 1 + 2 * stress_dice(&a->random, ONCES / 2);
    for (int k = 0; k < ONCES; k++) {
        struct what *w = &whats[(first + k * step) % ONCES];
        weft_time deadline = agent_deadline(a);
        int rc = weft_once_until(&w->once, do_once, w, deadline);
        stress_count(&a->calls, 1);
        if (agent_timed_out(rc, deadline)) {
            stress_count(&timeouts, 1);
            rc = weft_once(&w->once, do_once, w);
        }
        if (rc + stress_lose() != w->result) stress_die("once %d: code %d, not %d", (int)(w - whats), rc, w->result);
    }
}

static void
once(uint64_t *random)
{
    memset(whats, 0, sizeof whats);
    for (int k = 0; k < ONCES; k++) whats[k].ns = (stress_dice(random, 3) - 1) * stress_dice(random, 50) * WEFT_US;
    crew_start(2 + stress_dice(random, MOST_AGENTS - 2), call_onces, AGENT_PLACES, random);
    crew_join(false);
    for (int k = 0; k < ONCES; k++)
        if (atomic_load(&whats[k].calls) != 1) stress_die("once %d ran %d times", k, atomic_load(&whats[k].calls));
}

static void
in_pairs(void (*run)(struct agent *), uint64_t *random)
{
    int n = 1 + stress_dice(random, 6);
    for (int k = 0; k < n; k++) {
        pairs[k] = (struct pair){.turn = {WEFT_EVENT_AUTORESET_INIT, WEFT_EVENT_AUTORESET_INIT}};
        weft_event_notify(&pairs[k].turn[0]);
    }
    crew_start(2 * n, run, AGENT_PLACES, random);
    crew_join(false);
}

static void
run_round(unsigned number, uint64_t random)
{
    (void)number;
    crew_begin(&random);
    if (kind == PING_PONG) in_pairs(ping_pong, &random);
    else if (kind == FREED) in_pairs(make_or_notify, &random);
    else if (kind == ONCE) once(&random);
    else hand_out(&random);
    crew_end(kind != STOPPED);
}

static void
totals(FILE *out)
{
    stress_print_rounds(out, kind_texts, rounds, N_KINDS);
    fprintf(out, "; %ld exchanged, %ld freed, %ld handed out, %ld timed out, %ld cancelled", stress_counted(&exchanged),
            stress_counted(&freed), stress_counted(&handed), stress_counted(&timeouts), stress_counted(&cancelled));
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_event", run_round, crew_describe, totals});
}
