/* stress_blocking.c - blocking calls against each other, cancellations, resizes and stops.
 *
 * In each round: a runtime; a limiter of a few tokens, which a thread resizes now and then; and tasks that call functions
 * through it or through the default limiter, some so that a stop abandons them.  In two thirds of the rounds the runtime is
 * stopped in the middle, and functions may run on for a while after that.
 *
 * The argument of each call is a parcel that must be opened at most once, and thrown away exactly once: by the caller, or by
 * the drop function if the call says that it was cancelled.  Functions that run at a time are counted against the largest size
 * that the limiter has had, and threads against all tokens; and in the end every token is back. */
#include "stress_kit.h"

#include <stdlib.h>
#include <string.h>

#include "offload.h"

enum { MOST_TASKS = STRESS_TSAN ? 20 : 60, MOST_TOKENS = 5, CODE = 1000, DEFAULT_TOKENS = 64 };

static struct {
    weft_config cfg;
    weft_limiter *limiter;
    int tasks, calls, tokens, most;
    bool resizes;
    uint64_t random;
    atomic_bool stopping, stopped;
    _Atomic int inside;
} current;

static _Atomic int parcels; /* not thrown away yet */
static atomic_long calls, plain, abandoned, refused, polled, shortages, timeouts;
static long stops;

struct parcel {
    int number, pause;
    bool limited, polls;
    _Atomic int opened, thrown;
};

static struct parcel *
new_parcel(uint64_t *random, int number)
{
    struct parcel *p = stress_alloc(1, sizeof *p);
    p->number = number;
    p->pause = stress_dice(random, 3) ? stress_dice(random, 100) * (int)WEFT_US : 0;
    p->limited = stress_dice(random, 4) != 0;
    p->polls = stress_dice(random, 3) == 0;
    atomic_fetch_add(&parcels, 1);
    return p;
}

static void
throw_away(void *arg)
{
    struct parcel *p = arg;
    if (atomic_fetch_add(&p->thrown, 1) != 0) stress_die("parcel %d was thrown away twice", p->number);
    if (stress_lose()) return;
    free(p);
    atomic_fetch_sub(&parcels, 1);
}

static int
open_parcel(void *arg)
{
    struct parcel *p = arg;
    if (atomic_fetch_add(&p->opened, 1) != 0 || atomic_load(&p->thrown))
        stress_die("parcel %d was opened twice", p->number);
    int inside = p->limited ? atomic_fetch_add(&current.inside, 1) + 1 : 0;
    if (inside > current.most) stress_die("%d functions run with %d tokens", inside, current.most);
    if (weft__offload_threads() > current.most + DEFAULT_TOKENS) stress_die("%d threads", weft__offload_threads());
    if (p->polls) {
        weft_time end = weft_in(p->pause);
        while (!weft_blocking_cancelled() && weft_now() < end) stress_give_turn();
        if (weft_blocking_cancelled()) {
            if (!atomic_load(&current.stopping)) stress_die("cancelled without a reason");
            stress_count(&polled, 1);
        }
    } else if (p->pause) {
        stress_pause(p->pause);
    }
    if (p->limited) atomic_fetch_sub(&current.inside, 1);
    return CODE + p->number;
}

/* A call that did not happen: why not? */
static void
excuse(int rc, const struct parcel *p, weft_time deadline)
{
    if (p && atomic_load(&p->opened)) stress_die("a call gave %s, but the parcel was opened", weft_error_name(rc));
    if (rc == WEFT_ECANCELED && atomic_load(&current.stopping)) {
        stress_count(&refused, 1);
    } else if (deadline != WEFT_FOREVER && (rc == WEFT_EAGAIN || rc == WEFT_ETIMEDOUT)) {
        stress_count(&timeouts, 1);
    } else if (stress_short(rc)) {
        stress_count(&shortages, 1);
    } else {
        stress_die("a call gave %s", weft_error_name(rc));
    }
}

static void
call_once(uint64_t *random, int number)
{
    struct parcel *p = new_parcel(random, number);
    weft_limiter *l = p->limited ? current.limiter : NULL;
    weft_time deadline = stress_dice(random, 5) ? WEFT_FOREVER : stress_dice(random, 2) ? WEFT_NOW : weft_in(100000);
    if (stress_dice(random, 2)) {
        int rc = weft_blocking_until(l, open_parcel, p, deadline);
        if (rc == CODE + number) stress_count(&plain, 1);
        else excuse(rc, p, deadline);
        if ((rc > 0) != (atomic_load(&p->opened) == 1)) stress_die("parcel %d was not opened", number);
        throw_away(p);
    } else {
        int rc = weft_blocking_abandon_until(l, open_parcel, p, throw_away, deadline);
        if (rc == WEFT_ECANCELED) {
            stress_count(&abandoned, 1);
            excuse(rc, NULL, deadline);
            return;
        }
        if (rc == CODE + number) stress_count(&plain, 1);
        else excuse(rc, p, deadline);
        throw_away(p);
    }
}

static int
call_often(void *arg)
{
    uint64_t random = stress_mix(current.random, (uint64_t)(uintptr_t)arg);
    for (int k = 0; k < current.calls; k++) {
        call_once(&random, (int)(uintptr_t)arg * 1000 + k);
        stress_count(&calls, 1);
        stress_moved();
    }
    return 0;
}

static void *
resize_often(void *arg)
{
    uint64_t random = current.random;
    (void)arg;
    while (!atomic_load(&current.stopped)) {
        weft_limiter_resize(current.limiter, (size_t)stress_dice(&random, current.most + 1));
        stress_pause(50 * WEFT_US);
    }
    weft_limiter_resize(current.limiter, (size_t)current.most);
    return NULL;
}

static int
start_tasks(uint64_t *random, weft_task **tasks)
{
    static const unsigned flags[] = {0, 0, WEFT_STICKY, WEFT_INTERACTIVE};
    int n = 0;
    for (int k = 0; k < current.tasks; k++) {
        weft_task_options opt = {.size = sizeof opt, .name = "caller", .flags = flags[stress_dice(random, 4)]};
        int rc = weft_spawn_with(&tasks[n], call_often, (void *)(uintptr_t)(k + 1), &opt);
        if (rc && !stress_short(rc)) stress_die("weft_spawn_with gave %s", weft_error_name(rc));
        n += rc == 0;
    }
    return n;
}

/* What was abandoned is over when its token is back. */
static void
settle(void)
{
    while (weft_limiter_available(current.limiter) < (size_t)current.most ||
           weft_limiter_available(NULL) < DEFAULT_TOKENS || atomic_load(&parcels) > 0) {
        if (atomic_load(&parcels) == 0) stress_moved();
        stress_pause(20 * WEFT_US);
    }
    if (atomic_load(&parcels) < 0) stress_die("parcels were thrown away that never were");
}

static void
run_round(unsigned number, uint64_t random)
{
    weft_task *tasks[MOST_TASKS];
    pthread_t resizer = 0;
    bool stop = stress_dice(&random, 3) != 0;
    (void)number;
    memset(&current, 0, sizeof current);
    current.cfg = stress_config(&random);
    current.tasks = 1 + stress_dice(&random, MOST_TASKS);
    current.calls = 1 + stress_dice(&random, 10);
    current.most = 1 + stress_dice(&random, MOST_TOKENS);
    current.resizes = stress_dice(&random, 3) == 0;
    current.random = stress_mix(random, 7);
    int rc;
    do rc = weft_limiter_new(&current.limiter, (size_t)current.most);
    while (stress_short(rc));
    stress_start(&current.cfg);
    int n = start_tasks(&random, tasks);
    if (current.resizes) resizer = stress_thread(resize_often, NULL);
    if (stop) {
        stress_pause(stress_dice(&random, 1000) * WEFT_US);
        atomic_store(&current.stopping, true);
        stress_stop(true);
        stops++;
    }
    for (int k = 0; k < n; k++) {
        rc = weft_join(tasks[k]);
        if (rc && !(stop && rc == WEFT_ECANCELED) && !stress_short(rc))
            stress_die("a caller gave %s", weft_error_name(rc));
    }
    atomic_store(&current.stopped, true);
    if (current.resizes) stress_join_thread(resizer);
    settle();
    stress_stop(!stop);
    weft_limiter_free(current.limiter);
}

static void
describe(FILE *out)
{
    fprintf(out, "%d workers and %d; %d tasks, %d calls each, %d tokens%s%s; %d parcels, %d inside, %d threads\n",
            current.cfg.workers, current.cfg.interactive, current.tasks, current.calls, current.most,
            current.resizes ? ", resized" : "", atomic_load(&current.stopping) ? ", stopping" : "",
            atomic_load(&parcels), atomic_load(&current.inside), weft__offload_threads());
}

static void
totals(FILE *out)
{
    fprintf(out,
            "%ld calls, %ld returned, %ld cancelled that could be abandoned, %ld others; %ld functions saw it, %ld "
            "timed out, "
            "%ld short of memory, %ld stops",
            stress_counted(&calls), stress_counted(&plain), stress_counted(&abandoned), stress_counted(&refused),
            stress_counted(&polled), stress_counted(&timeouts), stress_counted(&shortages), stops);
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_blocking", run_round, describe, totals});
}
