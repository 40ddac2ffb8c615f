/* model_claim.c - spawn, join and steal: each task runs exactly once, and each descriptor is freed exactly once.
 *
 * sources: join.c spawn.c task.c waiter.c park.c search.c deque.c futex.c clock.c
 *
 * One worker's context spawns children and joins them, in place where it can; thieves steal and run them; plain threads
 * wait for them.  The caches hold few descriptors, so those of joined children are used again while old entries of theirs
 * are still in the deque.  Of the scheduler there is only what runs a stolen task, as place.c does, and what waits for a
 * context to become ready. */
#include "explore.h"
#include "place.h"

#include <weft/error.h>
#include <weft/runtime.h>

#include <assert.h>
#include <pthread.h>

#include "model_scope.h"

enum { WORKERS = 2, DESCRIPTORS = 3, TASKS = 4 };

struct sched weft__sched;
bool weft__fence_asymmetric = true; /* nobody sleeps: the light fence of a push is not what is looked at here */

static struct worker workers[WORKERS];
static struct worker *pool_workers[WORKERS];
static struct context contexts[WORKERS];
static weft_task roots[WORKERS], descriptors[DESCRIPTORS];
static int victims[WORKERS][WORKERS - 1], rings[WORKERS][2];
static int ran[TASKS]; /* plain: two runs of one task would race */
static weft_task *handles[TASKS];

/* ---- What the scheduler would provide ---- */

struct worker *
weft__worker(void)
{
    return *explore_local();
}

struct task_cache *
weft__task_cache(void)
{
    struct worker *w = weft__worker();
    return w ? &w->tasks : NULL;
}

static _Atomic bool ready[WORKERS];

void
weft__ready(struct context *c, bool crowd)
{
    (void)crowd;
    store_release(&ready[c - contexts], true); /* as a queue does */
}

void
weft__suspend(struct context *c)
{
    if (weft__park_woken(&c->parker)) return;
    explore_reached("a join parks");
    weft__park_saved(c);
    while (!load_acquire(&ready[c - contexts])) weft__pause(); /* as a queue does */
    store_relaxed(&ready[c - contexts], false);                /* relaxed: nobody wakes who is not parked */
}

void
weft__sched_ended(struct worker *w, bool daemon)
{
    store_release(&w->ended[daemon], load_relaxed(&w->ended[daemon]) + 1); /* as lifecycle.c */
}

void
weft__sched_made(struct worker *w, bool daemon)
{
    bump(&w->made[daemon], 1); /* as lifecycle.c */
}

/* Where the quick way of weft_spawn is closed: the deque must grow. */
void
weft__sched_submit(struct worker *w, weft_task *t)
{
    explore_reached("a spawn makes the deque grow");
    store_relaxed(&t->home, (int16_t)w->id); /* as scheduler.c */
    weft__sched_push(w, t, weft__task_ticket(t));
}

bool
weft__forked(void)
{
    return false;
}

/* A claimed task, on a stack of its own: run_task of place.c. */
static void
run_stolen(struct worker *w, weft_task *t)
{
    struct context *c = w->context;
    weft_task *below = c->task;
    c->task = t;
    int code = weft__task_call(t);
    c->task = below;
    if (weft__place_end_alone(w, t, code, 1)) return;
    weft__task_end(t, code);
    weft__sched_ended(w, false);
}

/* ---- Threads ---- */

static int
body(void *arg)
{
    ++*(int *)arg;
    weft_return(arg);
    return 5;
}

static void
spawn(int k)
{
    explore_forget();
    assert(weft_spawn(&handles[k], body, &ran[k]) == 0);
}

static void
join(int k)
{
    explore_forget();
    assert(weft_join(handles[k]) == 5);
    assert(ran[k] == 1);
}

static bool
steal(struct worker *w)
{
    struct entry e;
    bool again = false;
    if (!weft__steal(w, &e, &again)) return again;
    explore_reached("a thief runs a child");
    run_stolen(w, weft__container(e.item, weft_task, run));
    return true;
}

static void *
thief(void *arg)
{
    *explore_local() = arg;
    steal(arg);
    return NULL;
}

/* The same, looking nowhere but into the owner's deque: fewer states. */
static void *
quick_thief(void *arg)
{
    struct entry e;
    *explore_local() = arg;
    if (weft__deque_steal(&workers[0].deque, &e) != DEQUE_ITEM) return NULL;
    weft_task *t = weft__container(e.item, weft_task, run);
    if (weft__task_claim(t, e.tag)) run_stolen(arg, t);
    else explore_reached("a thief drops a stale entry");
    return NULL;
}

/* A plain thread, with a handle of its own. */
static void *
fetcher(void *arg)
{
    weft_task *t = arg;
    void *value = NULL;
    *explore_local() = NULL;
    assert(weft_fetch(t, &value) == 0 && value == &ran[0]);
    weft_task_release(t);
    return NULL;
}

/* Looks at a task, and drops its handle before it has ended. */
static void *
looker(void *arg)
{
    *explore_local() = NULL;
    assert(weft_task_name(arg)[0] == 0);
    weft_task_release(arg);
    return NULL;
}

/* Makes a task with a name, which writes what looker reads. */
static void
spawn_named(int k)
{
    explore_forget();
    weft_task_options options = {.size = sizeof options, .name = "named"};
    assert(weft_spawn_with(&handles[k], body, &ran[k], &options) == 0);
}

/* Runs what is left in the deque, as a worker does that nobody waits on. */
static void
run_rest(void)
{
    struct entry e;
    explore_forget();
    while (weft__deque_pop(&workers[0].deque, &e)) {
        weft_task *t = weft__container(e.item, weft_task, run);
        weft__task_claim_owned(t, e.tag);
        run_stolen(&workers[0], t);
    }
}

static void
children_in_reverse(void)
{
    spawn(0);
    spawn(1);
    join(1);
    join(0);
}

static void
children_in_order(void)
{
    spawn(0);
    spawn(1);
    join(0);
    join(1);
}

/* The third child has the descriptor of the first, whose entry may still be there. */
static void
descriptor_again(void)
{
    spawn(0);
    spawn(1);
    join(0);
    spawn(2);
    join(1);
    join(2);
}

/* Nobody joins it: who drops the last reference frees it. */
static void
detached(void)
{
    spawn(0);
    weft_task_release(handles[0]);
}

/* A plain thread waits for it as well, and looks at it when it has ended. */
static void
shared(void)
{
    join(0);
    spawn(1);
    join(1);
}

static void
looked_at(void)
{
    join(0);
    spawn_named(1);
    join(1);
}

static void
looked_at_and_detached(void)
{
    weft_task_release(handles[0]);
    run_rest();
    spawn_named(1);
    join(1);
}

static const struct scenario {
    const char *title;
    void (*owner)(void);
    void *(*thief)(void *);
    int tasks;
    void *(*other)(void *); /* a plain thread that has a handle of the first task */
} scenarios[] = {
    {"children joined in reverse", children_in_reverse, thief, 2, NULL},
    {"children joined in order", children_in_order, quick_thief, 2, NULL},
    {"a descriptor used again", descriptor_again, quick_thief, 3, NULL},
    {"a detached task", detached, thief, 1, NULL},
    {"a task that is waited for twice", shared, NULL, 2, fetcher},
    {"a handle that is dropped early", looked_at, NULL, 2, looker},
    {"the same, and nobody joins it", looked_at_and_detached, NULL, 2, looker},
};

const char *
explore_title(int index)
{
    return index < (int)weft__countof(scenarios) ? scenarios[index].title : NULL;
}

static void
make_worker(int k)
{
    struct worker *w = &workers[k];
    pool_workers[k] = w;
    w->id = k;
    w->quick = true;
    w->pool = &weft__sched.pools[POOL_DEFAULT];
    w->context = &contexts[k];
    w->tasks.home = (int16_t)k;
    contexts[k].worker = w;
    contexts[k].task = &roots[k];
    contexts[k].budget = 1000;
    contexts[k].parker.context = &contexts[k];
    weft__task_scope_set(&roots[k], &weft__sched.root);
    store_relaxed(&weft__sched.root.clean,
                  load_relaxed(&weft__cancel_epoch)); /* nothing is cancelled: the fast paths */
    for (int i = 0, v = 0; v < WORKERS; v++)
        if (v != k) victims[k][i++] = v;
    w->victims = victims[k];
    w->rings = rings[k];
    assert(weft__deque_init(&w->deque, false) && weft__deque_init(&w->fifo, false));
}

/* Thieves look at the owner only: it is their whole ring. */
static void
make_workers(int count)
{
    for (int k = 0; k < count; k++) make_worker(k);
    for (int k = 1; k < count; k++) {
        victims[k][0] = 0;
        rings[k][0] = 1;
    }
    weft__sched.pools[POOL_DEFAULT].workers = pool_workers;
    weft__sched.pools[POOL_DEFAULT].count = count;
    for (int k = 0; k < DESCRIPTORS; k++) {
        store_relaxed(&descriptors[k].run.ticket, PHASE_FREE); /* relaxed: one thread */
        weft__task_recycle(&descriptors[k], &workers[0].tasks);
    }
}

/* Every task has run and ended, and every descriptor is free, once. */
static void
check(int tasks, int workers_used)
{
    uint64_t ended = 0;
    bool freed[DESCRIPTORS] = {false};
    uint32_t count = 0;
    for (int k = 0; k < tasks; k++) assert(ran[k] == 1);
    for (int k = 0; k < workers_used; k++) {
        ended += load_relaxed(&workers[k].ended[0]); /* relaxed: one thread is left */
        for (struct runnable *r = workers[k].tasks.head; r; r = r->link) {
            const weft_task *t = weft__container(r, weft_task, run);
            assert(!freed[t - descriptors] && weft__task_phase(weft__task_ticket(t)) == PHASE_FREE);
            freed[t - descriptors] = true;
            count++;
        }
    }
    for (; count < DESCRIPTORS; count++) { /* what a plain thread freed is in the shared list */
        const weft_task *t = weft__task_refill(NULL);
        assert(t >= descriptors && t < descriptors + DESCRIPTORS && !freed[t - descriptors]);
        freed[t - descriptors] = true;
    }
    assert(ended == (uint64_t)tasks && load_relaxed(&workers[0].made[0]) == ended); /* relaxed: as above */
}

int
main(void)
{
    const struct scenario *s = &scenarios[explore_case];
    pthread_t stealing, with_handle;
    int workers_used = s->thief ? 2 : 1;
    make_workers(workers_used);
    *explore_local() = &workers[0];
    if (s->other) {
        spawn(0);
        weft_task_retain(handles[0]);
        pthread_create(&with_handle, NULL, s->other, handles[0]);
    }
    if (s->thief) pthread_create(&stealing, NULL, s->thief, &workers[1]);
    s->owner();
    run_rest();
    if (s->thief) pthread_join(stealing, NULL);
    if (s->other) pthread_join(with_handle, NULL);
    check(s->tasks, workers_used);
    return 0;
}
