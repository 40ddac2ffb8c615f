/* stress_spawn.c - random trees of tasks, started, waited for and woken in every way; runtimes start and stop.
 *
 * Round after round: a runtime of a random number of workers, and random trees in it, grown by a root task or by
 * plain threads.  Each node starts its children in some way (spawned, sticky, copied, scheduled later, yielded to, with
 * a stack size), lets some of them park until they are woken, by itself or by a helper task, lets some of them go, and
 * reaps the others in random order: joined, fetched, waited for with deadlines that pass as the child ends, or polled.
 *
 * What a tree looks like and what its nodes return follows from the seed alone, so every result is known.  In rounds
 * that are stopped half-way, or where memory is short, each task that was accepted must have run, or been dropped,
 * once.  stress_kit.h says how it is called. */
#include "stress_kit.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CHILDREN = 24, MAX_THREADS = 4, CODE_BITS = 0x3fffffff, MAX_DEPTH = STRESS_TSAN ? 5 : 8 };

#define MODES(X) X(RUN, "weft_run") X(START, "weft_start") X(SELF, "started by itself") X(STOP, "stopped half-way")
enum mode { MODES(STRESS_NAME) N_MODES };
static const char *const mode_texts[] = {MODES(STRESS_TEXT)};

/* What a task is given.  The rest of a node follows from these. */
struct node {
    uint64_t seed;
    int depth;
    bool parks, freed; /* freed: on the heap, and the task's */
};

static struct round {
    enum mode mode;
    weft_config cfg;
    int threads, depth;
    uint64_t seed;
    atomic_bool stopping;
    atomic_long accepted, ran, ended, dropped, hooked, hooks_called;
} current;

static atomic_long nodes, timeouts, wakes, cancellations, drops, shortages;
static long rounds[N_MODES];

static void
describe(FILE *out)
{
    const struct round *r = &current;
    fprintf(out, "%s, %d workers and %d, %d threads, depth %d%s\n", mode_texts[r->mode], r->cfg.workers,
            r->cfg.interactive, r->threads, r->depth, atomic_load(&current.stopping) ? ", stopping" : "");
    fprintf(out, "accepted %ld, ran %ld, ended %ld, dropped %ld\n", stress_counted(&r->accepted),
            stress_counted(&r->ran), stress_counted(&r->ended), stress_counted(&r->dropped));
}

static void
count(atomic_long *counter)
{
    stress_count(counter, 1);
}

/* The shape of the tree. */

static int
children_of(const struct node *n)
{
    uint64_t r = stress_mix(n->seed, 1000);
    if (n->depth == 0) return 0;
    return r % 50 == 0 ? MAX_CHILDREN : (int)((r >> 8) % 5);
}

static struct node
child_of(const struct node *n, int i)
{
    uint64_t s = stress_mix(n->seed, (uint64_t)i);
    return (struct node){.seed = s, .depth = n->depth - 1, .parks = stress_mix(s, 1) % 5 == 0};
}

/* A child that is let go; its result reaches nobody. */
static bool
let_go(const struct node *child)
{
    return !child->parks && stress_mix(child->seed, 2) % 7 == 0;
}

static uint64_t
value_of(const struct node *n)
{
    uint64_t sum = n->seed & 0xffff;
    for (int i = 0; i < children_of(n); i++) {
        struct node child = child_of(n, i);
        if (!let_go(&child)) sum += value_of(&child);
    }
    return sum;
}

static long
size_of(const struct node *n)
{
    long size = 1;
    for (int i = 0; i < children_of(n); i++) {
        struct node child = child_of(n, i);
        size += size_of(&child);
    }
    return size;
}

/* A code that only a stop explains, or a lack of memory.  What the caller then returns. */
static int
interrupted(int rc, const char *where)
{
    if (stress_short(rc)) {
        count(&shortages);
        return WEFT_ENOMEM;
    }
    bool expected = rc == WEFT_ECANCELED || rc == WEFT_ESHUTDOWN;
    if (!expected || !atomic_load(&current.stopping)) stress_die("%s gave %s", where, weft_error_name(rc));
    count(&cancellations);
    return WEFT_ECANCELED;
}

/* May tasks end that have not run? */
static bool
may_drop(void)
{
    return current.mode == STOP || stress_failing();
}

static void *
key_of(uint64_t node_seed)
{
    return (void *)(uintptr_t)(stress_mix(node_seed, 3) | 1);
}

static int grow(const struct node *n);

static int
body(void *arg)
{
    struct node n = *(struct node *)arg;
    if (n.freed) free(arg);
    count(&current.ran);
    if (!let_go(&n) && stress_lose()) {
        count(&current.ended);
        return 0;
    }
    void *key = NULL;
    int rc = n.parks ? weft_park(&key) : 0;
    if (rc < 0) rc = interrupted(rc, "weft_park");
    else if (n.parks && key != key_of(n.seed)) stress_die("a parked task was woken with another's value");
    else rc = grow(&n);
    count(&nodes);
    stress_moved();
    count(&current.ended);
    if (rc < 0) return rc;
    uint64_t value = value_of(&n);
    weft_return((void *)(uintptr_t)value);
    return (int)(value & CODE_BITS);
}

static void
drop(void *arg)
{
    free(arg);
    count(&current.dropped);
    count(&drops);
    stress_moved();
}

static void
note_end(weft_task *t, void *arg)
{
    if (!weft_task_isdone(t)) stress_die("a hook was called before the end");
    count(arg);
}

/* Wakes a task that is parked, or about to be. */
static void
wake(weft_task *t, uint64_t node_seed)
{
    for (;;) {
        int rc = weft_schedule_value(t, key_of(node_seed));
        if (rc == 0) break;
        if (rc != WEFT_EBUSY && rc != WEFT_ESHUTDOWN) stress_die("weft_schedule_value gave %s", weft_error_name(rc));
        bool over = rc == WEFT_ESHUTDOWN || weft_task_isdone(t);
        if (over && atomic_load(&current.stopping)) return; /* asked last: no effect of a stop is older */
        if (over && stress_short(weft_task_error(t))) return;
        if (over) stress_die("a task has ended that nobody had woken");
        stress_give_turn();
    }
    count(&wakes);
}

/* A task that wakes another. */
struct waker {
    weft_task *target;
    uint64_t seed;
};

static void
drop_waker(void *arg)
{
    struct waker *w = arg;
    weft_task_release(w->target);
    free(w);
}

static int
wake_as_task(void *arg)
{
    struct waker *w = arg;
    wake(w->target, w->seed);
    drop_waker(w);
    return 0;
}

static void
wake_by_task(weft_task *t, uint64_t node_seed, unsigned flags)
{
    struct waker *w = stress_alloc(1, sizeof *w);
    *w = (struct waker){weft_task_retain(t), node_seed};
    weft_task_options opt = {.size = sizeof opt, .name = "waker", .drop = drop_waker, .flags = flags};
    weft_task *waker;
    int rc = weft_spawn_with(stress_failing() ? &waker : NULL, wake_as_task, w, &opt);
    if (rc == 0 && !stress_failing()) return;
    bool made = rc == 0;
    if (!made) {
        drop_waker(w);
    } else {
        if ((rc = weft_wait(waker)) == WEFT_ECHILD) rc = weft_task_error(waker); /* ended without a stack */
        weft_task_release(waker);
    }
    if (rc < 0 && interrupted(rc, "a waker") == WEFT_ENOMEM) wake(t, node_seed);
}

/* Starts a task for the node in a way that r decides.  A negative code: none was started. */
static int
start(const struct node *n, weft_task **out, uint64_t *r)
{
    int rc, way = stress_dice(r, 9);
    bool later = stress_dice(r, 4) == 0, copied = way == 0 && !may_drop(); /* a copy has no drop function */
    weft_task_options opt = {.size = sizeof opt, .name = "node", .drop = drop};
    struct node *own = copied ? NULL : stress_alloc(1, sizeof *own);
    if (own) *own = *n;
    if (own) own->freed = true;
    if (way == 1 || way == 2) opt.flags |= WEFT_STICKY;
    if (way == 3) opt.flags |= WEFT_FPENV;
    if (way == 4) opt.stack_size = 20000 + (size_t)stress_dice(r, 300000);
    if (way == 5) opt.flags |= WEFT_INTERACTIVE;
    count(&current.accepted); /* before it runs */
    if (copied) rc = weft_spawn_copy(out, body, n, sizeof *n);
    else rc = later ? weft_task_new(out, body, own, &opt) : weft_spawn_with(out, body, own, &opt);
    if (rc < 0) {
        stress_count(&current.accepted, -1);
        free(own);
        return rc;
    }
    if (copied || !later) return 0;
    rc = stress_dice(r, 2) ? weft_schedule(*out) : weft_yield_to(*out);
    if (rc == 0) return 0;
    if (!atomic_load(&current.stopping)) stress_die("a new task could not be scheduled: %s", weft_error_name(rc));
    weft_task_release(*out); /* it was made: what it was given is dropped, now or already */
    return WEFT_ESHUTDOWN;
}

/* Waits for t, in a way that r decides, and gives up the handle.  WEFT_ECANCELED: the caller, or t, was cancelled. */
static int
reap(weft_task *t, uint64_t expected, uint64_t *r)
{
    void *value = NULL;
    int rc, code = (int)(expected & CODE_BITS), way = stress_dice(r, 6);
    if (way == 0 && !may_drop()) {
        rc = weft_join(t);
        if (rc != code) stress_die("weft_join gave %d instead of %d", rc, code);
        return 0;
    }
    if (way == 1) {
        while (!weft_task_isdone(t)) stress_give_turn();
        rc = weft_task_isfailed(t) ? WEFT_ECHILD : 0;
    } else if (way == 2) {
        rc = weft_fetch(t, &value);
        if (rc == 0 && (uintptr_t)value != expected) stress_die("weft_fetch gave another value");
    } else if (way <= 4) {
        do {
            rc = weft_wait_until(t, stress_dice(r, 8) ? weft_in(stress_dice(r, 3000)) : WEFT_NOW);
            if (rc == WEFT_ETIMEDOUT || rc == WEFT_EAGAIN) count(&timeouts);
            if (rc == WEFT_EAGAIN) stress_give_turn();
        } while (rc == WEFT_ETIMEDOUT || rc == WEFT_EAGAIN);
    } else {
        rc = weft_wait(t);
    }
    if (rc == 0 && weft_task_error(t) != code) stress_die("a task gave %d instead of %d", weft_task_error(t), code);
    if (rc == WEFT_ECHILD && (rc = weft_task_error(t)) >= 0)
        stress_die("a task in state %d has %d", weft_task_state(t), rc);
    if (rc < 0) rc = interrupted(rc, "waiting");
    weft_task_release(t);
    return rc;
}

/* Starts the children of n, wakes those that park, and reaps those that were not let go. */
static int
grow(const struct node *n)
{
    weft_task *t[MAX_CHILDREN];
    struct node kept[MAX_CHILDREN];
    uint64_t r = stress_mix(n->seed, 5);
    int kids = 0, result = 0, total = children_of(n);
    for (int i = 0; i < total && result == 0; i++) {
        struct node child = child_of(n, i);
        weft_task *handle = NULL;
        int rc = start(&child, &handle, &r);
        if (rc < 0) {
            result = interrupted(rc, "starting a task");
            break;
        }
        if (stress_dice(&r, 10) == 0) {
            count(&current.hooked);
            rc = weft_ondone(handle, note_end, &current.hooks_called);
            if (stress_short(rc)) stress_count(&current.hooked, -1);
            else if (rc < 0) stress_die("weft_ondone gave %s", weft_error_name(rc));
        }
        if (let_go(&child)) {
            weft_task_release(handle);
        } else {
            t[kids] = handle;
            kept[kids++] = child;
        }
        if (stress_dice(&r, 10) == 0) stress_give_turn();
        if (stress_dice(&r, 40) == 0 && weft_sleep(stress_dice(&r, 50000)) < 0)
            result = interrupted(WEFT_ECANCELED, "sleeping");
    }
    for (int i = 0; i < kids; i++) {
        if (!kept[i].parks) continue;
        if (stress_dice(&r, 3) == 0) wake(t[i], kept[i].seed);
        else wake_by_task(t[i], kept[i].seed, stress_dice(&r, 2) ? WEFT_STICKY : 0);
    }
    while (kids > 0) {
        int pick = stress_dice(&r, kids);
        int rc = reap(t[pick], value_of(&kept[pick]), &r);
        if (rc < 0) result = rc;
        t[pick] = t[--kids];
        kept[pick] = kept[kids];
    }
    return result;
}

static struct node
root_of(int i)
{
    return (struct node){.seed = stress_mix(current.seed, (uint64_t)i + 10), .depth = current.depth};
}

static int
grow_root(void *arg)
{
    struct node n = root_of(0);
    (void)arg;
    return grow(&n);
}

static void *
grow_in_thread(void *arg)
{
    grow((const struct node *)arg);
    stress_moved();
    return NULL;
}

/* What must hold when a round is over and all of its tasks have ended. */
static void
check_round(long expected)
{
    struct round *r = &current;
    long accepted = atomic_load(&r->accepted), ran = atomic_load(&r->ran), ended = atomic_load(&r->ended);
    if (ran != ended) stress_die("%ld tasks began and %ld ended", ran, ended);
    if (accepted != ran + atomic_load(&r->dropped))
        stress_die("the accepted tasks are not those that ran or were dropped");
    if (!may_drop() && ran != expected) stress_die("%ld tasks ran instead of %ld", ran, expected);
    if (atomic_load(&r->hooks_called) > atomic_load(&r->hooked)) stress_die("a hook was called twice");
    if (r->mode != STOP && atomic_load(&r->hooks_called) != atomic_load(&r->hooked))
        stress_die("a hook was not called");
}

/* Trees from plain threads.  Stopped half-way, or when all that was let go has ended. */
static long
run_threads(const weft_config *cfg, uint64_t *r)
{
    struct node roots[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    long expected = 0;
    if (current.mode != SELF) stress_start(cfg);
    for (int i = 0; i < current.threads; i++) {
        roots[i] = root_of(i);
        expected += size_of(&roots[i]) - 1; /* the root is no task */
        threads[i] = stress_thread(grow_in_thread, &roots[i]);
    }
    if (current.mode == STOP) {
        stress_pause(stress_dice(r, 2000000));
        atomic_store(&current.stopping, true);
        stress_stop(true);
    }
    for (int i = 0; i < current.threads; i++) stress_join_thread(threads[i]);
    while (current.mode != STOP &&
           stress_counted(&current.ended) + stress_counted(&current.dropped) < stress_counted(&current.accepted))
        stress_pause(100000);
    stress_stop(current.mode == START);
    return expected;
}

static void
run_round(unsigned number, uint64_t r)
{
    struct round *c = &current;
    (void)number;
    memset(c, 0, sizeof *c);
    c->seed = stress_mix(r, 1);
    c->mode = (enum mode)stress_dice(&r, N_MODES);
    if (c->mode == SELF && stress_failing()) c->mode = START; /* its failures would be printed */
    c->cfg = stress_config(&r);
    c->threads = 1 + stress_dice(&r, MAX_THREADS);
    c->depth = 2 + stress_dice(&r, MAX_DEPTH - 1);
    long expected;
    if (c->mode == RUN) {
        struct node root = root_of(0);
        expected = size_of(&root) - 1;
        int rc = weft_run(&c->cfg, grow_root, NULL);
        if (rc != 0 && !stress_short(rc)) stress_die("weft_run gave %s", weft_error_name(rc));
    } else {
        expected = run_threads(&c->cfg, &r);
    }
    check_round(expected);
    rounds[c->mode]++;
}

static void
totals(FILE *out)
{
    stress_print_rounds(out, mode_texts, rounds, N_MODES);
    fprintf(out, "; %ld nodes, %ld timeouts, %ld wakes, %ld cancelled, %ld dropped, %ld short of memory",
            stress_counted(&nodes), stress_counted(&timeouts), stress_counted(&wakes), stress_counted(&cancellations),
            stress_counted(&drops), stress_counted(&shortages));
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_spawn", run_round, describe, totals});
}
