/* stress_tree.c - random trees of tasks and scopes, compared with a sequential model (tree_model.h).  [S260]
 *
 * In each round some drivers, tasks or plain threads, run one tree after the other, of up to 14 tasks and 20 scopes: with
 * WEFT_SUPERVISE, WEFT_RACE, WEFT_SHIELD and WEFT_KEEP, errors, results that are passed on or not, members that are spawned
 * late, cancellations of scopes and of tasks, and deadlines that pass.
 *
 *      obedient   the driver gives orders, one at a time, to tasks that wait, and goes on when all has come about that
 *                 follows from it by the model.  In the end every task has run as often, ended in the same state with the
 *                 same code, and every scope has been closed with the same result as in the model; where that depends on the
 *                 order of what happens at the same time, as in one order of it
 *      hasty      tasks have orders of their own, which they carry out when they start, and the driver lets all end and
 *                 cancels tasks meanwhile.  In the end every task that was accepted has run or was dropped, once, and the
 *                 result of every scope is one that the rules allow, given what became of its members
 *
 * Counts trees: `make stress` has to come to 100 000.  stress_kit.h says how it is called. */
#include "stress_agent.h"
#include "tree_model.h"

#include <stdlib.h>

enum { MOST_DRIVERS = 6, TREES = STRESS_TSAN ? 4 : 250, TRIES = 2000, PATIENCE = 20 /* s */ };

static weft_config cfg;
static struct agent drivers[MOST_DRIVERS];
static int n_drivers;
static atomic_long obedient, hasty, tasks, orders, repeated, dropped, refused;

static void
describe(FILE *out)
{
    fprintf(out, "%d workers and %d\n", cfg.workers, cfg.interactive);
    agents_describe(out, drivers, n_drivers, NULL);
}

/* A tree that is run. */
struct run {
    struct tree_plan plan;
    struct actor {
        struct run *run;
        weft_event told; /* there is an order */
        struct tree_step step;
        _Atomic(weft_task *) task; /* NULL: it has not been spawned */
        atomic_int progress, ran, dropped;
        int accepted; /* the code of its spawn; 1: there was none */
        int code;     /* that it returned */
        bool hasty;   /* it carries out step before it waits */
    } actors[TREE_TASKS];
    weft_scope scopes[TREE_SCOPES];
    int given[TREE_SCOPES], results[TREE_SCOPES];
};

/* ---- Tasks ----------------------------------------------------------------------------------------------------------- */

static int act(void *arg);

static void
not_acted(void *arg)
{
    atomic_fetch_add(&((struct actor *)arg)->dropped, 1);
}

static void
spawn_actor(struct run *r, int t, weft_scope *scope)
{
    weft_task_options options = {.size = sizeof options, .name = "actor", .drop = not_acted, .scope = scope};
    struct actor *a = &r->actors[t];
    weft_task *task;
    a->accepted = weft_spawn_with(&task, act, a, &options);
    if (a->accepted == 0) atomic_store(&a->task, task);
}

/* Carries out an order; true: it is to end. */
static bool
obey(struct run *r, const struct tree_step *step)
{
    weft_scope *s = step->what < 0 ? NULL : &r->scopes[step->what];
    switch (step->order) {
    case ORDER_SPAWN:
        if (step->what != NOBODY) spawn_actor(r, step->what, &r->scopes[r->plan.task[step->what].scope]);
        return false;
    case ORDER_CANCEL:
        weft_scope_cancel(s, step->code);
        return false;
    case ORDER_EXPIRE:
        weft_scope_deadline(s, weft_in(step->code));
        while (!weft_scope_iscancelled(s)) weft_yield();
        return false;
    default:
        return true;
    }
}

/* Says that it waits, and waits for orders: what it is to close with. */
static int
wait_for_orders(struct actor *a, int t)
{
    struct run *r = a->run;
    for (;;) {
        atomic_fetch_add(&a->progress, 1);
        if (weft_event_wait(&a->told)) return r->plan.task[t].reaction;
        if (a->hasty || obey(r, &a->step)) return r->plan.task[t].code;
    }
}

static int
act(void *arg)
{
    struct actor *a = arg;
    struct run *r = a->run;
    const struct tree_plan *p = &r->plan;
    int t = (int)(a - r->actors), first = p->task[t].first, n = p->task[t].n;
    atomic_fetch_add(&a->ran, 1);
    for (int s = first; s < first + n; s++) {
        weft_scope_open(&r->scopes[s], p->scope[s].flags, WEFT_FOREVER);
        for (int k = 0; k < p->tasks; k++)
            if (p->task[k].scope == s && !p->task[k].late) spawn_actor(r, k, NULL);
    }
    int rc = p->task[t].code;
    if (!a->hasty || !obey(r, &a->step)) rc = wait_for_orders(a, t);
    for (int s = first + n; s-- > first;) {
        atomic_fetch_add(&a->progress, 1);
        r->given[s] = rc;
        rc = r->results[s] = weft_scope_close(&r->scopes[s], rc);
        if (p->scope[s].swallow) rc = 0;
    }
    return a->code = rc;
}

/* ---- What comes out -------------------------------------------------------------------------------------------------- */

static void
print_tree(const struct run *r, const struct tree_state *m, const struct tree_step *steps, int n)
{
    static const char *const names[] = {"end", "spawn", "cancel", "expire", "cancel task"};
    const struct tree_plan *p = &r->plan;
    for (int t = 0; t < p->tasks; t++) {
        fprintf(
            stderr,
            "task %d in scope %d%s: code %d, reaction %d; ran %d, dropped %d, progress %d, accepted %d, returned %d", t,
            p->task[t].scope, p->task[t].late ? ", late" : "", p->task[t].code, p->task[t].reaction, r->actors[t].ran,
            r->actors[t].dropped, r->actors[t].progress, r->actors[t].accepted, r->actors[t].code);
        if (m)
            fprintf(stderr, "; by the model phase %d, progress %d, %d", m->task[t].phase, m->task[t].progress,
                    m->task[t].rc);
        fprintf(stderr, "\n");
        for (int s = p->task[t].first; s < p->task[t].first + p->task[t].n; s++)
            fprintf(stderr, "  scope %d in %d: flags %u%s; closed with %d, result %d, by the model %d\n", s,
                    p->scope[s].outer, p->scope[s].flags, p->scope[s].swallow ? ", swallows" : "", r->given[s],
                    r->results[s], m ? m->scope[s].result : 0);
    }
    for (int k = 0; k < n; k++)
        fprintf(stderr, "order %d: task %d, %s %d, %d\n", k, steps[k].task, names[steps[k].order], steps[k].what,
                steps[k].code);
}

/* What differs from the model; NULL: nothing. */
static const char *
difference(struct run *r, const struct tree_state *m)
{
    for (int t = 0; t < r->plan.tasks; t++) {
        struct actor *a = &r->actors[t];
        weft_task *task = atomic_load(&a->task);
        int ended = m->task[t].phase == TREE_ENDED;
        int accepted = ended ? 0 : m->task[t].phase == TREE_REFUSED ? WEFT_ECANCELED : 1;
        if (a->accepted != accepted) return "a spawn";
        if (a->ran != ended || a->dropped) return "how often a task ran";
        if (a->progress != m->task[t].progress) return "how far a task has come";
        if (!ended) continue;
        if (weft_task_state(task) != m->task[t].state) return "how a task ended";
        if (a->code != m->task[t].rc || weft_task_error(task) != m->task[t].rc) return "what a task returned";
        for (int s = r->plan.task[t].first; s < r->plan.task[t].first + r->plan.task[t].n; s++)
            if (r->results[s] != m->scope[s].result) return "the result of a scope";
    }
    return NULL;
}

/* Compares with what the model says; where there are several orders of what happens at the same time, with others. */
static void
compare(struct run *r, const struct tree_state *seen, const struct tree_step *steps, int n, uint64_t *random)
{
    const char *what = difference(r, seen);
    for (int k = 0; what && k < TRIES; k++) {
        struct tree_state m = {0};
        tree_start(&r->plan, &m, 0);
        for (int i = 0; i < n; i++) tree_obey(&r->plan, &m, &steps[i], random);
        what = difference(r, &m);
        if (k == 0) stress_count(&repeated, 1);
    }
    if (!what) return;
    what = difference(r, seen);
    print_tree(r, seen, steps, n);
    stress_die("not by the rules: %s", what);
}

/* ---- Obedient trees -------------------------------------------------------------------------------------------------- */

/* Has task t come as far as in the model? */
static bool
has_come(const struct run *r, const struct tree_state *m, int t)
{
    const struct actor *a = &r->actors[t];
    if (atomic_load(&a->progress) < m->task[t].progress) return false;
    return m->task[t].phase != TREE_ENDED || weft_task_isdone(atomic_load(&a->task));
}

/* Waits until all has come about. */
static void
follow(const struct run *r, const struct tree_state *m, const struct tree_step *steps, int n)
{
    weft_time end = weft_in(PATIENCE * WEFT_S);
    for (int t = 0; t < r->plan.tasks; t++) {
        while (!has_come(r, m, t)) {
            stress_give_turn();
            if (weft_now() < end) continue;
            print_tree(r, m, steps, n);
            stress_die("task %d does not come as far as it should by the rules", t);
        }
    }
}

static void
give_order(struct run *r, const struct tree_state *m, struct tree_step *step, uint64_t *random)
{
    struct actor *a = &r->actors[step->task];
    if (step->order == ORDER_CANCEL_TASK) {
        bool first = m->task[step->task].phase != TREE_ENDED && !m->task[step->task].cancelled;
        if (weft_cancel(atomic_load(&a->task)) != first) stress_die("weft_cancel gave %d, not %d", !first, first);
    } else {
        /* Later only if it can be seen that it has passed. */
        if (step->order == ORDER_EXPIRE && !tree_scope_cancelled(&r->plan, m, step->what))
            step->code = stress_dice(random, 20) * (int)WEFT_US;
        a->step = *step;
        weft_event_notify(&a->told);
    }
}

/* Draws the next order; when there have been enough of them, one that ends somebody. */
static void
draw_order(const struct run *r, const struct tree_state *m, struct tree_step *step, bool enough, uint64_t *random)
{
    for (int tries = 0; !enough && tries < 40; tries++)
        if (tree_draw(&r->plan, m, stress_dice(random, r->plan.tasks), step, random)) return;
    do {
        *step = (struct tree_step){ORDER_END, stress_dice(random, r->plan.tasks), 0, 0};
    } while (m->task[step->task].phase != TREE_WAITING);
}

static void
run_obedient(struct run *r, uint64_t *random)
{
    struct tree_step steps[TREE_ORDERS] = {0};
    struct tree_state m = {0};
    int n = 0, enough = stress_dice(random, 2 * r->plan.tasks + 1);
    tree_start(&r->plan, &m, 0);
    spawn_actor(r, 0, NULL);
    for (follow(r, &m, steps, 0); m.task[0].phase != TREE_ENDED; n++) {
        if (n == TREE_ORDERS) stress_die("a tree does not end");
        draw_order(r, &m, &steps[n], n >= enough, random);
        give_order(r, &m, &steps[n], random);
        tree_obey(&r->plan, &m, &steps[n], random);
        follow(r, &m, steps, n + 1);
    }
    if (stress_lose()) r->results[0]--;
    compare(r, &m, steps, n, random);
    stress_count(&orders, n);
    stress_count(&obedient, 1);
}

/* ---- Hasty trees ----------------------------------------------------------------------------------------------------- */

/* Orders that the tasks carry out by themselves. */
static void
draw_orders(struct run *r, uint64_t *random)
{
    struct tree_state m = {0};
    for (int t = 0; t < r->plan.tasks; t++) {
        struct tree_step *step = &r->actors[t].step;
        bool drawn = false;
        r->actors[t].hasty = true;
        m.task[t].phase = TREE_WAITING; /* the others are absent: late ones can be spawned */
        for (int tries = 0; !drawn && tries < 5; tries++)
            drawn = tree_draw(&r->plan, &m, t, step, random) && step->order != ORDER_CANCEL_TASK;
        m.task[t].phase = TREE_ABSENT;
        if (!drawn) *step = (struct tree_step){ORDER_SPAWN, t, NOBODY, 0};
        if (step->order == ORDER_EXPIRE) step->code = stress_dice(random, 30) * (int)WEFT_US;
    }
}

static bool
was_ordered(const struct run *r, enum tree_order order, int s, int code)
{
    for (int t = 0; t < r->plan.tasks; t++) {
        const struct actor *a = &r->actors[t];
        if (!a->ran || a->step.order != order || a->step.what != s) continue;
        if (order == ORDER_EXPIRE || a->step.code == code) return true;
    }
    return false;
}

/* Do the rules allow that scope s was closed with this result, given what became of its members? */
static bool
is_legal(struct run *r, int s)
{
    unsigned flags = r->plan.scope[s].flags;
    int given = r->given[s], result = r->results[s];
    bool interrupted = given == WEFT_ECANCELED, failed = given < 0 && given != WEFT_ECANCELED, won = false;
    bool first = failed && result == given;
    for (int t = 0; t < r->plan.tasks; t++) {
        if (r->plan.task[t].scope != s || r->actors[t].accepted) continue;
        const weft_task *task = atomic_load(&r->actors[t].task);
        enum weft_state state = weft_task_state(task);
        interrupted = interrupted || state == WEFT_CANCELLED;
        won = won || (state == WEFT_COMPLETED && (flags & WEFT_RACE));
        if (state != WEFT_FAILED || (flags & WEFT_SUPERVISE)) continue;
        failed = true;
        first = first || weft_task_error(task) == result;
    }
    if (won) return result == 0;
    if (failed) return first;
    if (result < 0 && was_ordered(r, ORDER_CANCEL, s, result)) return true;
    if (result == given && given != WEFT_ECANCELED) return true;
    if (!interrupted) return false;
    if (result == WEFT_ECANCELED) return !(flags & WEFT_SHIELD);
    if (result == WEFT_ETIMEDOUT) return was_ordered(r, ORDER_EXPIRE, s, 0);
    return result == 0 && was_ordered(r, ORDER_CANCEL, s, 0);
}

static void
check_hasty(struct run *r)
{
    for (int t = 0; t < r->plan.tasks; t++) {
        struct actor *a = &r->actors[t];
        const weft_task *task = atomic_load(&a->task);
        const char *what = NULL;
        if (a->ran + a->dropped != (a->accepted == 0)) what = "how often a task ran or was dropped";
        else if (a->accepted < 0 && a->accepted != WEFT_ECANCELED && !stress_short(a->accepted)) what = "a spawn";
        stress_count(&refused, a->accepted < 0);
        stress_count(&dropped, a->dropped);
        if (!what && !a->accepted) {
            int code = a->ran ? a->code : WEFT_ECANCELED;
            enum weft_state due = code >= 0 ? WEFT_COMPLETED : code == WEFT_ECANCELED ? WEFT_CANCELLED : WEFT_FAILED;
            bool missed = a->dropped && stress_short(weft_task_error(task));
            if (!missed && (weft_task_state(task) != due || weft_task_error(task) != code)) what = "how a task ended";
        }
        for (int s = r->plan.task[t].first; a->ran && s < r->plan.task[t].first + r->plan.task[t].n; s++)
            if (!is_legal(r, s)) what = "the result of a scope";
        if (!what) continue;
        print_tree(r, NULL, NULL, 0);
        stress_die("task %d is not by the rules: %s; its state is %d, its code %d", t, what,
                   task ? (int)weft_task_state(task) : -1, task ? weft_task_error(task) : 0);
    }
}

static void
run_hasty(struct run *r, uint64_t *random)
{
    draw_orders(r, random);
    spawn_actor(r, 0, NULL);
    weft_task *root = atomic_load(&r->actors[0].task);
    for (int n = r->plan.tasks, k = stress_dice(random, n), left = n; left > 0; left--, k = (k + 1) % n) {
        struct actor *a = &r->actors[k];
        weft_task *task = atomic_load(&a->task);
        if (task && stress_dice(random, 4) == 0) (void)weft_cancel(task);
        if (stress_dice(random, 3) == 0) stress_give_turn();
        weft_event_notify(&a->told);
    }
    while (root && !weft_task_isdone(root)) stress_give_turn();
    if (stress_lose()) atomic_fetch_add(&r->actors[0].ran, 1);
    check_hasty(r);
    stress_count(&hasty, 1);
}

/* ---- A round --------------------------------------------------------------------------------------------------------- */

static void
run_tree(uint64_t *random)
{
    struct run *r = stress_alloc(1, sizeof *r);
    tree_make(&r->plan, random);
    for (int t = 0; t < r->plan.tasks; t++) {
        r->actors[t].run = r;
        r->actors[t].accepted = 1;
        r->actors[t].told = (weft_event)WEFT_EVENT_AUTORESET_INIT;
    }
    if (stress_failing() || stress_dice(random, 5) == 0) run_hasty(r, random); /* the model always has memory */
    else run_obedient(r, random);
    for (int t = 0; t < r->plan.tasks; t++) weft_task_release(atomic_load(&r->actors[t].task));
    stress_count(&tasks, r->plan.tasks);
    free(r);
}

static void
drive(struct agent *a)
{
    for (int k = 0; k < TREES; k++) {
        run_tree(&a->random);
        stress_count(&a->calls, 1);
        if (k % 16 == 0) stress_moved();
    }
}

static void
run_round(unsigned number, uint64_t random)
{
    (void)number;
    cfg = stress_config(&random);
    n_drivers = 0;
    stress_start(&cfg);
    int n = 1 + stress_dice(&random, MOST_DRIVERS);
    for (int k = 0; k < n; k++, n_drivers++) agent_start(&drivers[k], k, drive, AGENT_PLACES, &random);
    for (int k = 0; k < n; k++) agent_join(&drivers[k], false);
    stress_stop(true);
}

static void
totals(FILE *out)
{
    long exact = stress_counted(&obedient), free_run = stress_counted(&hasty);
    fprintf(
        out,
        "%ld trees: %ld obedient, %ld of them compared more than once, %ld hasty; %ld tasks, %ld orders; %ld dropped, "
        "%ld refused",
        exact + free_run, exact, stress_counted(&repeated), free_run, stress_counted(&tasks), stress_counted(&orders),
        stress_counted(&dropped), stress_counted(&refused));
}

/* 100 000 in ten seconds, however busy the machine is. */
static bool
enough(double seconds)
{
    return (double)(stress_counted(&obedient) + stress_counted(&hasty)) >= 10000 * seconds;
}

int
main(int argc, char **argv)
{
    stress_at_least(enough);
    return stress_main(argc, argv, &(struct stress_program){"stress_tree", run_round, describe, totals});
}
