/* tree_model.h - random trees of tasks and scopes, and what becomes of them by the rules: a sequential model.
 *
 * A tree is tasks that open scopes, one in the other, and scopes whose members are tasks.  Every task opens its scopes,
 * spawns their members, and waits in the innermost for its orders: to end, or first to do something else.  When it ends, or
 * when its wait is interrupted, it closes its scopes from the inside out, each with what closing the one before gave, and
 * returns what is left.
 *
 * The model takes one order after the other, and each time goes through what follows from it until nothing more does: an
 * error cancels a scope, that interrupts tasks, they close scopes, and so on.  What follows is written down here from the
 * rules R4 to R26, on its own: nothing of the library is used.  Of several steps that are possible at a time it takes
 * any.  Hardly ever does the result depend on which: of two members that are interrupted at once and return errors, either
 * may be the first. */
#ifndef WEFT_TREE_MODEL_H
#define WEFT_TREE_MODEL_H

#include "stress_kit.h"

enum { TREE_TASKS = 14, TREE_SCOPES = 20, TREE_ORDERS = 80, TREE_NEST = 3, NOBODY = -1, TREE_ERROR = -3000 };

enum tree_order {
    ORDER_END,         /* the task leaves its wait with its code */
    ORDER_SPAWN,       /* it spawns `what`, a late task, into one of its scopes */
    ORDER_CANCEL,      /* it cancels scope `what`, which it is in, with `code` */
    ORDER_EXPIRE,      /* it moves the deadline of scope `what` to what has passed */
    ORDER_CANCEL_TASK, /* somebody cancels task `what` */
    N_TREE_ORDERS
};

struct tree_step {
    enum tree_order order;
    int task, what, code;
};

/* What does not change. */
struct tree_plan {
    int tasks, scopes;
    struct {
        int scope;    /* that it is a member of; NOBODY: it is the root */
        int first, n; /* its scopes, from the outside in */
        int code;     /* with which it ends, */
        int reaction; /* or goes on when it is interrupted */
        bool late;    /* it is spawned by an order */
    } task[TREE_TASKS];
    struct {
        int owner, outer; /* outer: NOBODY for the root's first */
        unsigned flags;
        bool swallow; /* its result is not passed on */
    } scope[TREE_SCOPES];
};

enum tree_phase { TREE_ABSENT, TREE_REFUSED, TREE_WAITING, TREE_CLOSING, TREE_ENDED };

/* What there is to be seen of it, and what the model needs beside. */
struct tree_state {
    struct {
        enum tree_phase phase;
        int progress;          /* how often it has said that it waits, or closes */
        int level;             /* CLOSING: how many of its scopes are open */
        bool closing;          /* the innermost has been told so */
        int rc;                /* what it would close with, or has returned */
        bool cancelled;        /* by weft_cancel */
        enum weft_state state; /* ENDED */
    } task[TREE_TASKS];
    struct {
        bool open, cancelled, late, interrupted, won;
        int reason, error, members;
        int result;
    } scope[TREE_SCOPES];
};

/* ---- Plans ----------------------------------------------------------------------------------------------------------- */

static inline int
tree_code(uint64_t *random, int n)
{
    return stress_dice(random, 2) ? stress_dice(random, 3) : TREE_ERROR - n;
}

static inline void
tree_add_scopes(struct tree_plan *p, int t, int n, uint64_t *random)
{
    static const unsigned flags[] = {0, 0, 0, WEFT_SUPERVISE, WEFT_SUPERVISE, WEFT_RACE, WEFT_SHIELD, WEFT_KEEP};
    p->task[t].first = p->scopes;
    for (; p->task[t].n < n && p->scopes < TREE_SCOPES; p->task[t].n++, p->scopes++) {
        int s = p->scopes;
        p->scope[s].owner = t;
        p->scope[s].outer = p->task[t].n ? s - 1 : p->task[t].scope;
        p->scope[s].flags =
            flags[stress_dice(random, 8)] | (stress_dice(random, 8) ? 0 : flags[stress_dice(random, 8)]);
        p->scope[s].swallow = stress_dice(random, 4) == 0;
    }
}

static inline void
tree_make(struct tree_plan *p, uint64_t *random)
{
    *p = (struct tree_plan){0};
    p->tasks = 1 + stress_dice(random, TREE_TASKS);
    for (int t = 0; t < p->tasks; t++) {
        p->task[t].scope = t ? stress_dice(random, p->scopes) : NOBODY;
        p->task[t].code = tree_code(random, t);
        p->task[t].reaction = stress_dice(random, 3) ? WEFT_ECANCELED : tree_code(random, TREE_TASKS + t);
        p->task[t].late = t && stress_dice(random, 5) == 0;
        tree_add_scopes(p, t, t ? stress_dice(random, TREE_NEST) : 1 + stress_dice(random, TREE_NEST), random);
    }
}

/* ---- What is cancelled ------------------------------------------------------------------------------------------------ */

/* Is scope s, by itself or from outside?  R6: a shield ends the look. */
static inline bool
tree_scope_cancelled(const struct tree_plan *p, const struct tree_state *m, int s)
{
    for (; s != NOBODY; s = p->scope[s].outer) {
        int owner = p->scope[s].owner;
        if (m->scope[s].cancelled) return true;
        if (p->scope[s].flags & WEFT_SHIELD) return false;
        if (s == p->task[owner].first && m->task[owner].cancelled) return true;
    }
    return false;
}

/* Is what is around scope s, so that it reaches s? */
static inline bool
tree_cancelled_outside(const struct tree_plan *p, const struct tree_state *m, int s)
{
    int owner = p->scope[s].owner;
    if (p->scope[s].flags & WEFT_SHIELD) return false;
    if (s == p->task[owner].first && m->task[owner].cancelled) return true;
    return tree_scope_cancelled(p, m, p->scope[s].outer);
}

/* Is task t, of whose scopes `level` are open? */
static inline bool
tree_task_cancelled(const struct tree_plan *p, const struct tree_state *m, int t, int level)
{
    if (level > 0) return tree_scope_cancelled(p, m, p->task[t].first + level - 1);
    return m->task[t].cancelled || tree_scope_cancelled(p, m, p->task[t].scope);
}

static inline void
tree_cancel(struct tree_state *m, int s, int reason, bool late)
{
    if (m->scope[s].cancelled) return;
    m->scope[s].cancelled = true;
    m->scope[s].reason = reason;
    m->scope[s].late = late;
}

/* ---- Steps ----------------------------------------------------------------------------------------------------------- */

static inline void
tree_start(const struct tree_plan *p, struct tree_state *m, int t)
{
    m->task[t].phase = TREE_WAITING;
    m->task[t].progress = 1;
    if (p->task[t].scope != NOBODY) m->scope[p->task[t].scope].members++;
    for (int s = p->task[t].first; s < p->task[t].first + p->task[t].n; s++) {
        m->scope[s].open = true;
        for (int k = 0; k < p->tasks; k++)
            if (p->task[k].scope == s && !p->task[k].late) tree_start(p, m, k);
    }
}

/* R4, R5, R23: what the end of t means for the scope that it is a member of. */
static inline void
tree_end(const struct tree_plan *p, struct tree_state *m, int t)
{
    int rc = m->task[t].rc, s = p->task[t].scope;
    bool cancelled = rc == WEFT_ECANCELED && tree_task_cancelled(p, m, t, 0);
    m->task[t].phase = TREE_ENDED;
    m->task[t].state = rc >= 0 ? WEFT_COMPLETED : cancelled ? WEFT_CANCELLED : WEFT_FAILED;
    if (s == NOBODY) return;
    m->scope[s].members--;
    if (cancelled) {
        m->scope[s].interrupted = true;
    } else if (rc < 0 && rc != WEFT_ECANCELED && !(p->scope[s].flags & WEFT_SUPERVISE)) {
        if (!m->scope[s].error) m->scope[s].error = rc;
        if (!(p->scope[s].flags & WEFT_RACE)) tree_cancel(m, s, rc, false);
    } else if (rc >= 0 && (p->scope[s].flags & WEFT_RACE)) {
        m->scope[s].won = true;
        tree_cancel(m, s, 0, false);
    }
}

/* R22. */
static inline int
tree_result(const struct tree_plan *p, const struct tree_state *m, int s, int rc)
{
    bool interrupted = m->scope[s].interrupted || rc == WEFT_ECANCELED;
    bool late = m->scope[s].cancelled && m->scope[s].late, cancelled = m->scope[s].cancelled && !late;
    if (m->scope[s].won) return 0;
    if (m->scope[s].error) return m->scope[s].error;
    if (cancelled && m->scope[s].reason < 0) return m->scope[s].reason;
    if (interrupted && tree_cancelled_outside(p, m, s)) return WEFT_ECANCELED;
    if (interrupted && late) return WEFT_ETIMEDOUT;
    return interrupted && cancelled ? 0 : rc;
}

/* Can anything follow for t? */
static inline bool
tree_ready(const struct tree_plan *p, const struct tree_state *m, int t)
{
    if (m->task[t].phase == TREE_WAITING) return tree_task_cancelled(p, m, t, p->task[t].n);
    if (m->task[t].phase != TREE_CLOSING) return false;
    int level = m->task[t].level;
    return level == 0 || !m->task[t].closing || m->scope[p->task[t].first + level - 1].members == 0;
}

static inline void
tree_leave_wait(const struct tree_plan *p, struct tree_state *m, int t, int rc)
{
    m->task[t].phase = TREE_CLOSING;
    m->task[t].level = p->task[t].n;
    m->task[t].closing = false;
    m->task[t].rc = rc;
}

static inline void
tree_go_on(const struct tree_plan *p, struct tree_state *m, int t)
{
    int level = m->task[t].level, s = p->task[t].first + level - 1, rc = m->task[t].rc;
    if (m->task[t].phase == TREE_WAITING) {
        tree_leave_wait(p, m, t, p->task[t].reaction);
    } else if (level == 0) {
        tree_end(p, m, t);
    } else if (!m->task[t].closing) { /* R21: (a) */
        m->task[t].closing = true;
        m->task[t].progress++;
        if (rc < 0 && rc != WEFT_ECANCELED && !m->scope[s].error) m->scope[s].error = rc;
        if (rc < 0) tree_cancel(m, s, rc == WEFT_ECANCELED ? 0 : rc, false);
    } else {
        rc = m->scope[s].result = tree_result(p, m, s, rc);
        m->scope[s].open = false;
        m->task[t].rc = p->scope[s].swallow ? 0 : rc;
        m->task[t].level--;
        m->task[t].closing = false;
    }
}

/* Everything that follows, in a random order. */
static inline void
tree_settle(const struct tree_plan *p, struct tree_state *m, uint64_t *random)
{
    for (;;) {
        int ready[TREE_TASKS], n = 0;
        for (int t = 0; t < p->tasks; t++)
            if (tree_ready(p, m, t)) ready[n++] = t;
        if (!n) return;
        tree_go_on(p, m, ready[n > 1 ? stress_dice(random, n) : 0]);
    }
}

static inline void
tree_obey(const struct tree_plan *p, struct tree_state *m, const struct tree_step *step, uint64_t *random)
{
    int t = step->task, what = step->what;
    switch (step->order) {
    case ORDER_END:
        tree_leave_wait(p, m, t, p->task[t].code);
        break;
    case ORDER_SPAWN: /* R20 */
        if (tree_scope_cancelled(p, m, p->task[what].scope)) m->task[what].phase = TREE_REFUSED;
        else tree_start(p, m, what);
        m->task[t].progress++;
        break;
    case ORDER_CANCEL:
        tree_cancel(m, what, step->code, false);
        m->task[t].progress++;
        break;
    case ORDER_EXPIRE:
        tree_cancel(m, what, WEFT_ETIMEDOUT, true);
        m->task[t].progress++;
        break;
    default: /* R10 */
        m->task[what].cancelled = m->task[what].cancelled || m->task[what].phase != TREE_ENDED;
    }
    tree_settle(p, m, random);
}

/* ---- Orders that make sense ------------------------------------------------------------------------------------------ */

/* Is task t inside of scope s? */
static inline bool
tree_inside(const struct tree_plan *p, int t, int s)
{
    int k = p->task[t].n ? p->task[t].first + p->task[t].n - 1 : p->task[t].scope;
    for (; k != NOBODY; k = p->scope[k].outer)
        if (k == s) return true;
    return false;
}

/* Draws an order for task t, as the tree is; false: this one makes no sense. */
static inline bool
tree_draw(const struct tree_plan *p, const struct tree_state *m, int t, struct tree_step *step, uint64_t *random)
{
    *step = (struct tree_step){(enum tree_order)stress_dice(random, N_TREE_ORDERS), t, 0, 0};
    enum tree_phase phase = m->task[t].phase;
    if (step->order == ORDER_CANCEL_TASK) {
        step->what = t;
        return phase >= TREE_WAITING;
    }
    if (phase != TREE_WAITING) return false;
    if (step->order == ORDER_SPAWN) {
        step->what = stress_dice(random, p->tasks);
        int s = p->task[step->what].scope;
        return p->task[step->what].late && m->task[step->what].phase == TREE_ABSENT && p->scope[s].owner == t;
    }
    step->what = stress_dice(random, p->scopes);
    step->code = step->order != ORDER_CANCEL || stress_dice(random, 2) ? 0 : TREE_ERROR - 2 * TREE_TASKS - step->what;
    return step->order == ORDER_END || tree_inside(p, t, step->what);
}

#endif
