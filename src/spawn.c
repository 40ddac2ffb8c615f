/* spawn.c - making tasks and scheduling them.  [layer 4]
 *
 * A new task is a descriptor and an entry of the worker's deque: no stack, no lock, no allocation while the worker's
 * cache of descriptors lasts. */
#include "fork.h"

#include "failure.h"
#include "hook.h"
#include "members.h"

#include <stdlib.h>
#include <string.h>

enum { KNOWN_FLAGS = TASK_OPTIONS | WEFT_SAMEPOOL };

/* The scope, cache and worker of whoever makes a task. */
struct maker {
    struct worker *worker;   /* NULL: a plain thread */
    struct context *context; /* likewise */
    struct task_cache *cache;
    struct scope *scope;
};

static int
find_maker(struct maker *m)
{
    m->worker = weft__worker();
    struct context *c = m->worker ? m->worker->context : NULL;
    m->context = c;
    m->cache = m->worker ? &m->worker->tasks : NULL;
    m->scope = weft__scope_here(c);
    return m->worker ? 0 : weft__runtime_need();
}

/* Is s one of those that the caller is in: inner, or around it?  Then it is certainly open. */
static bool
is_around(const struct scope *inner, const struct scope *s)
{
    for (const struct scope *x = inner; x; x = x->outer) {
        if (x == s) return true;
    }
    weft__misuse("a task is spawned into a scope that the caller is not in, or that is closed");
    return false;
}

/* The scope that a task is to be a member of, and whether that is allowed. */
static int
find_scope(struct maker *m, const weft_task_options *o)
{
    struct scope *s = m->scope;
    if (o->scope && (o->flags & WEFT_DAEMON)) return WEFT_EINVAL; /* daemons live in the root scope */
    if (o->scope) s = weft__scope(o->scope);
    if (o->flags & WEFT_DAEMON) s = &weft__sched.root;
    if (s == m->scope) return weft__cancelled(m->context) ? WEFT_ECANCELED : 0;
    if (!is_around(m->scope, s)) return WEFT_EINVAL;
    m->scope = s;
    return weft__scope_cancelled(s) ? WEFT_ECANCELED : 0;
}

static int
check_options(const weft_task_options *in, weft_task_options *out)
{
    *out = (weft_task_options){0};
    if (!in) return 0;
    size_t size = in->size ? in->size : sizeof *in;
    if (size > sizeof *in)
        return WEFT_EINVAL; /* made for a later library: it may ask for what this one does not know */
    memcpy(out, in, size);
    if (out->flags & ~(unsigned)KNOWN_FLAGS) return WEFT_EINVAL;
    if (out->stack_size > STACK_NEED_MOST) return WEFT_EINVAL;
    return 0;
}

/* A descriptor in phase NEW with one reference. */
static int
make(struct maker *m, weft_task **out, weft_fn *fn, void *arg, const weft_task_options *options)
{
    weft_task_options o;
    int rc = check_options(options, &o);
    if (!fn) rc = WEFT_EINVAL;
    if (rc == 0) rc = find_maker(m);
    if (rc == 0) rc = find_scope(m, &o);
    if (rc < 0) return rc;
    weft_task *t = weft__task_get(m->cache);
    if (!t) return WEFT_ENOMEM;
    uint32_t need = o.stack_size ? (uint32_t)o.stack_size : load_relaxed(&weft__sched.stack_need);
    unsigned flags = (o.flags & TASK_OPTIONS) | (o.name || o.drop || o.stack_size ? TASK_LADEN : 0) |
                     (m->scope->flags & SCOPE_COUNTED ? TASK_MEMBER : 0) |
                     (m->scope->flags & SCOPE_DAEMON ? (unsigned)WEFT_DAEMON : 0);
    if ((o.flags & WEFT_SAMEPOOL) && m->worker && !m->worker->ordinary) flags |= WEFT_INTERACTIVE;
    if (weft__watched()) flags |= TASK_WATCHED;
    weft__task_init(t, fn, arg, m->scope, need, flags, 1, TASK_NOWHERE);
    t->name = o.name;
    t->drop = o.drop;
    weft__task_set_phase(t, PHASE_NEW);
    *out = t;
    return 0;
}

/* Counts t as made; false: a plain thread comes too late, the scheduler is stopping. */
static bool
count_in(struct worker *w, bool daemon)
{
    weft__sched_made(w, daemon); /* M1 of lifecycle.c */
    if (w) return true;
    weft__hook();
    if (weft__sched_has_workers(load_seq_cst(&weft__sched.state))) return true; /* M2 */
    weft__sched_ended(NULL, daemon);                                            /* M3 */
    while (weft__sched_progress()) continue; /* who summed up between M1 and M3 may be asleep by now */
    return false;
}

/* t becomes a member of its scope; where that has a limit, waits for room.  It is w's at first, and may be another
 * worker's afterwards. */
static int
enter_scope(struct worker **w, weft_task *t)
{
    struct context *c = *w ? (*w)->context : NULL;
    struct scope *s = weft__task_scope(t);
    if (!is_around(weft__scope_here(c), s)) return WEFT_EINVAL; /* a task that was made earlier */
    if (load_relaxed(&t->flags) & TASK_MEMBER) {                /* relaxed: constant */
        int rc = weft__scope_admit(s, c);
        if (rc < 0) return rc;
        *w = c ? c->worker : NULL;
    }
    weft__scope_enter(s, c);
    return 0;
}

/* t is not scheduled after all. */
static void
leave_scope(struct worker *w, weft_task *t)
{
    weft__scope_leave(weft__task_scope(t), w ? w->context : NULL);
    if (load_relaxed(&t->flags) & TASK_MEMBER) weft__scope_ended(weft__task_scope(t), NULL); /* relaxed: constant */
}

/* Schedules t: bound to home, unless that is NULL. */
static int
submit(struct worker *w, weft_task *t, struct worker *home)
{
    bool daemon = load_relaxed(&t->flags) & WEFT_DAEMON;                        /* relaxed: constant */
    if (!w && load_relaxed(&weft__sched.root.cancelled)) return WEFT_ESHUTDOWN; /* relaxed: M2 decides what is close */
    int rc = enter_scope(&w, t);
    if (rc < 0) return rc;
    weft__hook();
    if (!w) weft__sched_visit();
    bool counted = count_in(w, daemon);
    if (counted) {
        add_relaxed(&t->refs, 1); /* relaxed: the queue publishes it.  The run's reference */
        if (weft__watched()) weft__watch_spawn(t);
        weft__task_set_phase(t, PHASE_QUEUED);
        if (home) weft__sched_submit_to(w, t, home);
        else weft__sched_submit(w, t);
    } else leave_scope(w, t);
    if (!w) weft__sched_leave();
    return counted ? 0 : WEFT_ESHUTDOWN;
}

int
weft__spawn_submit(struct worker *w, weft_task *t)
{
    return submit(w, t, NULL);
}

int
weft__spawn_on(weft_task **out, weft_fn *fn, void *arg, int place)
{
    struct maker m;
    int rc = make(&m, out, fn, arg, &(weft_task_options){.flags = WEFT_STICKY});
    if (rc < 0) return rc;
    weft_task *t = *out;
    weft__helper(t);
    rc = submit(m.worker, t, weft__sched.pools[POOL_DEFAULT].workers[place]);
    if (rc < 0) weft_task_release(t);
    return rc;
}

/* Schedules t and gives out its handle, or drops that. */
static int
launch(struct maker *m, weft_task **out, weft_task *t)
{
    weft_task *before = out ? *out : NULL;
    if (out) *out = t; /* before t runs: the body may look at it */
    int rc = weft__spawn_submit(m->worker, t);
    if (rc == 0 && out) return 0;
    if (rc < 0) {
        t->drop = NULL; /* the call fails: arg is the caller's, and *out untouched */
        if (out) *out = before;
    }
    weft_task_release(t);
    return rc;
}

static weft__noinline int
spawn_slow(weft_task **out, weft_fn *fn, void *arg, const weft_task_options *options)
{
    struct maker m;
    weft_task *t;
    int rc = make(&m, &t, fn, arg, options);
    return rc < 0 ? rc : launch(&m, out, t);
}

static weft__noinline int
wake(struct pool *p)
{
    weft__idle_wake_slow(p);
    return 0;
}

int
weft_spawn(weft_task **out, weft_fn *fn, void *arg)
{
    struct worker *w = weft__worker_fast();
    struct context *c = weft__fork_context(w);
    if (weft__unlikely(!c || !fn || !weft__fork_ready(w))) return spawn_slow(out, fn, arg, NULL);
    weft__fork(w, c, fn, arg, out);
    return weft__fork_unseen(w) ? 0 : wake(w->pool);
}

int
weft_async(weft_task **out, weft_fn *fn, void *arg)
{
    return spawn_slow(out, fn, arg, &(weft_task_options){.flags = WEFT_STICKY});
}

int
weft_spawn_with(weft_task **out, weft_fn *fn, void *arg, const weft_task_options *opt)
{
    return spawn_slow(out, fn, arg, opt);
}

int
weft_spawn_copy(weft_task **out, weft_fn *fn, const void *data, size_t size)
{
    struct maker m;
    weft_task *t;
    if (!data && size > 0) return WEFT_EINVAL;
    int rc = make(&m, &t, fn, NULL, NULL);
    if (rc < 0) return rc;
    t->arg = t->data;
    if (size > (weft__watched() ? sizeof t->less : sizeof t->data)) {
        t->arg = weft__hook_fail() ? NULL : malloc(size);
        if (!t->arg) {
            weft_task_release(t);
            return WEFT_ENOMEM;
        }
        or_acq_rel(&t->flags, TASK_COPIED); /* published with the task */
    }
    if (size > 0) memcpy(t->arg, data, size);
    return launch(&m, out, t);
}

int
weft_task_new(weft_task **out, weft_fn *fn, void *arg, const weft_task_options *opt)
{
    struct maker m;
    return out ? make(&m, out, fn, arg, opt) : WEFT_EINVAL;
}
