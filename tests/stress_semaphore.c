/* stress_semaphore.c - semaphores and barriers under tasks and threads, with deadlines and stops.
 *
 * In each round one of
 *
 *      a semaphore    agents acquire some permits, with all kinds of deadlines, and release them; never more are held than
 *                     there are, and at the end all are back
 *      resized        the same while its size goes up and down; never more are held than the greatest size
 *      stopped        the same, and the runtime is stopped meanwhile
 *      a barrier      agents arrive, some with deadlines, which try again; nobody goes on before all have arrived, and
 *                     in each generation one is the last
 *
 * stress_kit.h says how it is called. */
#include "stress_kit.h"

enum { MOST_AGENTS = 32, TURNS = STRESS_TSAN ? 30 : 1500, MOST_PERMITS = 8 };

#define KINDS(X) X(SEMAPHORE, "a semaphore") X(RESIZED, "resized") X(STOPPED, "stopped") X(BARRIER, "a barrier")
#include "stress_crew.h"

static atomic_long acquired, timeouts, cancelled, refused, passed;

/* ---- A semaphore ----------------------------------------------------------------------------------------------------- */

static weft_semaphore semaphore;
static int permits;
static atomic_int held;
static long alone; /* plain: under all permits */

static void
describe(FILE *out)
{
    fprintf(out, "%d permits, %d held, %zu available; ", permits, atomic_load(&held),
            weft_semaphore_available(&semaphore));
    crew_describe(out);
}

static void
hold(struct agent *a, int n)
{
    int now = atomic_fetch_add_explicit(&held, n, memory_order_relaxed) + n;
    if (now > permits) stress_die("%d permits of %d are held", now, permits);
    if (n == permits) alone++;
    if (stress_dice(&a->random, 4) == 0) stress_give_turn();
    atomic_fetch_sub_explicit(&held, n, memory_order_relaxed);
    int rc = stress_lose() ? 0 : weft_semaphore_release(&semaphore, (size_t)n);
    if (rc) stress_die("a release gave %s", weft_error_name(rc));
    stress_count(&acquired, n);
}

/* false: the agent is cancelled. */
static bool
acquire_and_hold(struct agent *a)
{
    int n = 1 + stress_dice(&a->random, stress_dice(&a->random, 4) ? 1 : permits);
    weft_time deadline = agent_deadline(a);
    int rc = weft_semaphore_acquire_until(&semaphore, (size_t)n, deadline);
    stress_count(&a->calls, 1);
    if (rc == WEFT_ECANCELED && kind == STOPPED) {
        stress_count(&cancelled, 1);
        return false;
    }
    if (rc == 0) hold(a, n);
    else if (agent_timed_out(rc, deadline)) stress_count(&timeouts, 1);
    else if (rc == WEFT_EINVAL && kind == RESIZED) stress_count(&refused, 1);
    else stress_die("an acquire gave %s", weft_error_name(rc));
    return true;
}

static void
use_semaphore(struct agent *a)
{
    for (int turn = 0; turn < TURNS && acquire_and_hold(a); turn++) {
        if (turn % 64 == 0) stress_moved();
    }
}

/* Leaves it open. */
static void
resize(struct agent *a)
{
    for (int turn = 0; turn < TURNS / 10; turn++) {
        weft_semaphore_resize(&semaphore, (size_t)stress_dice(&a->random, permits + 1));
        stress_give_turn();
        stress_count(&a->calls, 1);
    }
    weft_semaphore_resize(&semaphore, (size_t)permits);
}

static void
check_semaphore(uint64_t *random)
{
    int places = kind == STOPPED ? AGENT_THREAD : AGENT_PLACES;
    permits = 1 + stress_dice(random, MOST_PERMITS);
    atomic_store(&held, 0);
    if (weft_semaphore_init(&semaphore, (size_t)permits)) stress_die("no semaphore");
    if (kind == RESIZED) crew_start(1, resize, places, random);
    crew_start(2 + stress_dice(random, 16), use_semaphore, places, random);
    if (kind == STOPPED) {
        stress_pause(stress_dice(random, 2000) * WEFT_US);
        stress_stop(true);
    }
    crew_join(kind == STOPPED);
    if (weft_semaphore_available(&semaphore) != (size_t)permits)
        stress_die("%zu permits of %d are back", weft_semaphore_available(&semaphore), permits);
    if (weft_semaphore_release(&semaphore, 1) != WEFT_EOVERFLOW) stress_die("a permit is held by nobody");
}

/* ---- A barrier ------------------------------------------------------------------------------------------------------- */

static weft_barrier barrier;
static long at[MOST_AGENTS]; /* the generation that each party has come to.  Plain: the barrier orders it */
static atomic_int serials, parties;

/* Arrives, and tries again when the deadline passes.  1 or 0. */
static int
arrive(struct agent *a)
{
    for (;;) {
        weft_time deadline = agent_deadline(a);
        int rc = weft_barrier_wait_until(&barrier, deadline);
        stress_count(&a->calls, 1);
        if (rc >= 0) return rc;
        if (!agent_timed_out(rc, deadline)) stress_die("a barrier gave %s", weft_error_name(rc));
        stress_count(&timeouts, 1);
        stress_give_turn();
    }
}

static void
pass_barrier(struct agent *a)
{
    int n = atomic_load(&parties);
    for (long turn = 1; turn <= TURNS; turn++) {
        at[a->number] = turn;
        atomic_fetch_add_explicit(&serials, arrive(a), memory_order_relaxed);
        for (int k = 0; k < n; k++)
            if (at[k] + stress_lose() != turn) stress_die("party %d is in turn %ld, not %ld", k, at[k], turn);
        (void)arrive(a); /* until everybody has looked */
        if (turn % 64 == 0) stress_moved();
    }
    stress_count(&passed, TURNS);
}

static void
check_barrier(uint64_t *random)
{
    int n = 1 + stress_dice(random, 8);
    atomic_store(&parties, n);
    atomic_store(&serials, 0);
    if (weft_barrier_init(&barrier, (size_t)n)) stress_die("no barrier");
    crew_start(n, pass_barrier, AGENT_PLACES, random);
    crew_join(false);
    if (atomic_load(&serials) != TURNS)
        stress_die("%d parties were the last, in %d turns", atomic_load(&serials), TURNS);
}

static void
run_round(unsigned number, uint64_t random)
{
    (void)number;
    crew_begin(&random);
    if (kind == BARRIER) check_barrier(&random);
    else check_semaphore(&random);
    crew_end(kind != STOPPED);
}

static void
totals(FILE *out)
{
    stress_print_rounds(out, kind_texts, rounds, N_KINDS);
    fprintf(out, "; %ld permits, %ld passed, %ld timed out, %ld cancelled, %ld refused", stress_counted(&acquired),
            stress_counted(&passed), stress_counted(&timeouts), stress_counted(&cancelled), stress_counted(&refused));
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_semaphore", run_round, describe, totals});
}
