/*
 * runtime.c - starting and stopping: threads, pools, and everything that is there once.  [layer 7]
 *
 * Threads are created before there is a scheduler, and wait at a gate: only when it is known how many there are do the
 * pools get their sizes, and the gate opens.  So nothing ever sees a worker that could not be created.
 *
 * Starting and stopping hold one mutex.  The state of the scheduler (lifecycle.c) goes from STOPPED to RUNNING under
 * it, when everything is in place, and back when every worker has left.
 */
#include "blocking.h"
#include "clock.h"
#include "config.h"
#include "deadlock.h"
#include "failure.h"
#include "fence.h"
#include "futex.h"
#include "hook.h"
#include "offload.h"
#include "panic.h"
#include "reactor.h"
#include "scheduler.h"
#include "shutdown.h"
#include "thread.h"
#include "topology.h"
#include "trace.h"
#include "waiter.h"

#include <weft/runtime.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum { GATE_CLOSED, GATE_OPEN, GATE_GONE };
enum { ROOT_STACK = 8 << 20 };

static struct {
    pthread_mutex_t mutex;
    _Atomic uint32_t gate;
    _Atomic bool forked; /* this is a child of the process in which the runtime was running */
    bool watches_fork;
    bool run;   /* weft_run owns the runtime */
    int wanted; /* workers that there is memory for */
    int bind;
    _Atomic int ordinary; /* workers, of this runtime or the last: asked for by any thread at any time, as the next */
    _Atomic int interactive;
    struct topology *topology;
} runtime = {.mutex = PTHREAD_MUTEX_INITIALIZER};

bool
weft__forked(void)
{
    return load_relaxed(&runtime.forked); /* relaxed: set where there is one thread */
}

static void
after_fork(void)
{
    if (load_relaxed(&weft__sched.state) == SCHED_STOPPED) return; /* relaxed: one thread */
    store_relaxed(&runtime.forked, true);                          /* relaxed: one thread */
    weft__worker_set(NULL);
}

/* What each thread sets up for itself, and takes down again. */
struct visit {
    void *signal_stack;
    void *binding;
    int slack;
};

static __attribute__((no_sanitize("address"))) void
died(void *arg)
{
    (void)arg;
    weft__panic("a task called pthread_exit, or its worker's thread was cancelled: a task ends only by returning");
}

/* Only where it can be undone: worker 0 of weft_run is the program's own thread. */
static void
bind(const struct worker *w, struct visit *v)
{
    int rc = weft__topology_save_binding(runtime.topology, &v->binding);
    if (rc == 0) rc = weft__topology_bind(runtime.topology, w->id);
    if (rc < 0) weft__warn("worker %d could not be bound to its core", w->id);
}

static void
work(struct worker *w)
{
    int saved = errno;
    struct visit v = {.slack = prctl(PR_GET_TIMERSLACK)};
    if (v.slack > 0) prctl(PR_SET_TIMERSLACK, 1); /* deadlines to the microsecond; the default is 50 us late */
    if (weft__stack_signals_enter(&v.signal_stack) < 0) {
        v.signal_stack = NULL;
        weft__warn("worker %d: no memory for a signal stack: an overflow of a task's stack will not be explained",
                   w->id);
    }
    if (runtime.bind == WEFT_BIND_CORES && w->id < weft__topology_places(runtime.topology)) bind(w, &v);
    errno = saved;
    weft__context_adopt(&w->base);
    weft__worker_set(w);
    pthread_cleanup_push(died, NULL);
    weft__worker_loop(w);
    pthread_cleanup_pop(0);
    weft__worker_set(NULL);
    weft__task_cache_flush(&w->tasks);
    weft__stack_cache_flush(&w->stacks);
    weft__context_forget(&w->base);
    if (v.binding) weft__topology_restore_binding(runtime.topology, v.binding);
    if (v.signal_stack) weft__stack_signals_leave(v.signal_stack);
    if (v.slack > 0) prctl(PR_SET_TIMERSLACK, v.slack);
}

static void *
thread_main(void *arg)
{
    struct worker *w = arg;
    uint32_t gate;
    while ((gate = load_acquire(&runtime.gate)) == GATE_CLOSED)
        weft__futex_wait(&runtime.gate, GATE_CLOSED, INT64_MAX); /* pairs with open_gate */
    if (gate == GATE_OPEN) work(w);
    return NULL;
}

static void
open_gate(uint32_t how)
{
    store_release(&runtime.gate, how); /* release: pairs with thread_main; what was set up is seen */
    weft__futex_wake(&runtime.gate, INT_MAX);
}

static void
free_worker(struct worker *w)
{
    if (!w) return;
    weft__sched_retire(w);
    weft__trace_retire(w);
    weft__deque_fini(&w->deque);
    weft__deque_fini(&w->fifo);
    free(w->victims);
    free(w->rings);
    free(w);
}

static struct worker *
new_worker(int id, bool alone, bool ordinary)
{
    struct worker *w =
        weft__hook_fail() ? NULL : aligned_alloc(WEFT_CACHE_LINE, weft__round_up(sizeof *w, WEFT_CACHE_LINE));
    if (!w) return NULL;
    memset(w, 0, sizeof *w);
    w->id = id;
    w->alone = alone;
    w->ordinary = ordinary;
    w->quick = ordinary && !weft__watched();
    w->tasks.stack_need = load_relaxed(&weft__sched.stack_need); /* relaxed: stored by this thread */
    w->tasks.home = (int16_t)id;
    weft__rng_seed(&w->rng, (uint64_t)id + 1);
    if (weft__deque_init(&w->deque, alone) && weft__deque_init(&w->fifo, alone)) return w;
    free_worker(w);
    return NULL;
}

static int
distance(const struct worker *a, const struct worker *b)
{
    int places = weft__topology_places(runtime.topology);
    if (runtime.bind != WEFT_BIND_CORES || a->id >= places || b->id >= places) return 0; /* anywhere: equally far */
    return weft__topology_distance(runtime.topology, a->id, b->id);
}

/* The other workers of the pool, in rings of equal distance. */
static bool
find_victims(struct worker *w)
{
    enum { FARTHEST = 3 };
    struct pool *p = w->pool;
    int n = 0, rings = 0;
    w->victims = weft__hook_fail() ? NULL : calloc((size_t)p->count, sizeof *w->victims);
    w->rings = calloc(FARTHEST + 2, sizeof *w->rings);
    if (!w->victims || !w->rings) return false;
    for (int d = 0; d <= FARTHEST; d++) {
        int before = n;
        for (int k = 0; k < p->count; k++) {
            if (p->workers[k] != w && distance(w, p->workers[k]) == d) w->victims[n++] = k;
        }
        if (n > before) w->rings[rings++] = n;
    }
    return true;
}

static void
make_pool(struct pool *p, struct worker **workers, int count)
{
    int cores = weft__topology_usable_cores(runtime.topology);
    int half = ((count < cores ? count : cores) + 1) / 2;
    memset(p, 0, sizeof *p);
    p->workers = workers;
    p->count = count;
    p->idle.most_searching = (uint32_t)half;
    store_relaxed(&p->idle.wakes_at, INT64_MAX); /* relaxed: published by the gate */
    for (int k = 0; k < count; k++) {
        workers[k]->pool = p;
        workers[k]->place = k;
    }
}

static bool
make_pools(int ordinary, int interactive)
{
    struct sched *s = &weft__sched;
    s->count = ordinary + interactive;
    make_pool(&s->pools[POOL_DEFAULT], s->workers, ordinary);
    make_pool(&s->pools[POOL_INTERACTIVE], s->workers + ordinary, interactive);
    for (int k = 0; k < s->count; k++) {
        if (!find_victims(s->workers[k])) return false;
    }
    return true;
}

static void
free_workers(void)
{
    for (int k = 0; k < runtime.wanted; k++) free_worker(weft__sched.workers[k]);
    free(weft__sched.workers);
    weft__sched.workers = NULL;
    weft__sched.count = 0;
    memset(weft__sched.pools, 0, sizeof weft__sched.pools);
}

static int
make_workers(const struct config *config)
{
    runtime.wanted = config->workers + config->interactive;
    weft__sched.workers = weft__hook_fail() ? NULL : calloc((size_t)runtime.wanted, sizeof *weft__sched.workers);
    if (!weft__sched.workers) {
        runtime.wanted = 0;
        return WEFT_ENOMEM;
    }
    for (int k = 0; k < runtime.wanted; k++) {
        bool alone = k < config->workers ? config->workers == 1 : config->interactive == 1;
        weft__sched.workers[k] = new_worker(k, alone, k < config->workers);
        if (!weft__sched.workers[k]) return WEFT_ENOMEM;
    }
    return 0;
}

/* Creates the threads of workers first.. and returns how many workers there are then. */
static int
create_threads(int first)
{
    for (int k = first; k < runtime.wanted; k++) {
        int error = weft__thread_create(&weft__sched.workers[k]->thread, thread_main, weft__sched.workers[k]);
        if (error == 0) continue;
        weft__warn("%d of %d workers: the thread of the next could not be created: %s", k, runtime.wanted,
                   strerror(error));
        return k;
    }
    return runtime.wanted;
}

static void
join_threads(int first, int end)
{
    for (int k = first; k < end; k++) pthread_join(weft__sched.workers[k]->thread, NULL);
}

/* For the report of an overflow; async-signal-safe. */
static void
describe(void *owner, char *text, size_t size)
{
    const struct context *c = owner;
    const char *name = c->task && c->task->name ? c->task->name : "without a name";
    const char *parts[] = {"task ", name};
    size_t n = 0;
    for (size_t i = 0; i < weft__countof(parts); i++) {
        for (const char *p = parts[i]; *p && n + 1 < size; p++) text[n++] = *p;
    }
    if (size > 0) text[n] = '\0';
}

/* Threads, pools, and the step to RUNNING.  first: 1 if the calling thread will be worker 0. */
static int
start_workers(const struct config *config, int first)
{
    int rc = make_workers(config);
    if (rc < 0) return rc;
    store_relaxed(&runtime.gate, GATE_CLOSED); /* relaxed: the creation of the threads publishes it */
    int n = create_threads(first), ordinary = n < config->workers ? n : config->workers;
    rc = n == 0 ? WEFT_EAGAIN : make_pools(ordinary, n - ordinary) ? 0 : WEFT_ENOMEM;
    if (rc < 0) {
        open_gate(GATE_GONE);
        join_threads(first, n);
        return rc;
    }
    weft__sched.oversubscribed = n > weft__topology_usable_cores(runtime.topology);
    store_relaxed(&weft__sched.root.cancelled, 0); /* relaxed: published by the state, as the next */
    store_relaxed(&weft__sched.root.doomed, false);
    store_relaxed(&weft__sched.root.clean, 0);
    store_relaxed(&weft__sched.root.seen, 0);
    store_relaxed(&weft__sched.root.deadline, WEFT_FOREVER);
    weft__shutdown_begin();
    store_relaxed(&runtime.ordinary, ordinary);
    store_relaxed(&runtime.interactive, n - ordinary);
    store_release(&weft__sched.state, SCHED_RUNNING); /* release: pairs with weft__runtime_need */
    open_gate(GATE_OPEN);
    return 0;
}

static int
start_locked(const weft_config *cfg, bool run)
{
    struct config config;
    if (weft__forked()) return WEFT_ENOTSUP;
    if (load_relaxed(&weft__sched.state) != SCHED_STOPPED) return WEFT_EBUSY; /* relaxed: under the mutex */
    int rc = weft__topology_load(&runtime.topology);
    if (rc < 0) return rc;
    rc = weft__config_resolve(cfg, runtime.topology, &config);
    if (rc == 0) rc = weft__stack_init(config.stack_size);
    if (rc == 0 && !runtime.watches_fork) {
        if (pthread_atfork(NULL, NULL, after_fork) != 0) rc = WEFT_ENOMEM;
        else runtime.watches_fork = true;
    }
    if (rc == 0) rc = weft__stack_watch(describe);
    if (rc < 0) {
        weft__topology_free(runtime.topology);
        return rc;
    }
    if (config.verbose) weft__config_print(&config, runtime.topology);
    weft__fence_init();
    weft__failure_handlers(config.on_unhandled, config.on_misuse);
    weft__deadlock_begin(config.deadlock);
    weft__blocking_begin(config.blocking);
    store_relaxed(&weft__sched.stack_need, (uint32_t)(config.stack_size / 4)); /* relaxed: published by the state */
    runtime.bind = config.bind;
    runtime.run = run;
    if (config.span) weft__span_start(config.burden);
    rc = start_workers(&config, run);
    if (rc < 0) {
        weft__span_stop();
        free_workers();
        weft__stack_unwatch();
        weft__topology_free(runtime.topology);
    }
    return rc;
}

/* Every worker has left, but for the caller perhaps. */
static void
finish_locked(int first)
{
    join_threads(first, weft__sched.count);
    weft__offload_stop();
    /* W2: pairs with V1 of scheduler.h.  A few instructions of threads that have pushed what has ended by now, or somebody
     * who looks around (debug.c) */
    while (load_seq_cst(&weft__sched.visitors) != 0) sched_yield();
    while (weft__shutdown_deliver()) continue; /* for plain threads that are blocked */
    weft__reactor_stop();
    weft__span_stop();
    free_workers();
    weft__trace_pause();
    weft__stack_unwatch();
    weft__stack_fini();
    weft__topology_free(runtime.topology);
    store_release(&weft__sched.state, SCHED_STOPPED); /* release: pairs with weft__runtime_need */
}

static int
start(const weft_config *cfg, bool run)
{
    if (weft__worker()) return WEFT_EBUSY; /* before the mutex: weft_stop may hold it until the caller has ended */
    if (weft__forked()) return WEFT_ENOTSUP;
    /* As for a worker; but who was abandoned may come when all is over.  acquire: pairs with finish_locked */
    if (weft__offload_current() && load_acquire(&weft__sched.state) != SCHED_STOPPED) return WEFT_EBUSY;
    pthread_mutex_lock(&runtime.mutex);
    int rc = start_locked(cfg, run);
    pthread_mutex_unlock(&runtime.mutex);
    return rc;
}

int
weft_start(const weft_config *cfg)
{
    return start(cfg, false);
}

int
weft__runtime_need(void)
{
    if (weft__forked()) return WEFT_ENOTSUP;
    if (weft__likely(load_acquire(&weft__sched.state) != SCHED_STOPPED))
        return 0; /* acquire: pairs with start_workers */
    int rc = weft_start(NULL);
    return rc == WEFT_EBUSY ? 0 : rc; /* another thread was faster */
}

int
weft_stop(void)
{
    if (weft__worker()) return WEFT_EBUSY;
    if (weft__forked()) return WEFT_ENOTSUP;
    if (weft__offload_current()) return WEFT_EBUSY; /* it may be what the task waits for that the stop waits for */
    pthread_mutex_lock(&runtime.mutex);
    int rc = load_relaxed(&weft__sched.state) == SCHED_STOPPED ? WEFT_ENOENT
             : runtime.run                                     ? WEFT_EBUSY
                                                               : 0; /* under the mutex */
    if (rc == 0) {
        store_seq_cst(&weft__sched.state, SCHED_CANCELLED); /* pairs with M2 of lifecycle.c */
        weft__sched_cancel_root();
        while (weft__sched_progress()) continue; /* there may be nothing left, and every worker asleep */
        weft__deadlock_bystander(1);
        finish_locked(0);
        weft__deadlock_bystander(-1);
    }
    pthread_mutex_unlock(&runtime.mutex);
    return rc;
}

struct root {
    weft_fn *fn;
    void *arg;
};

static int
root_main(void *arg)
{
    struct root *r = arg;
    int code = r->fn(r->arg);
    store_seq_cst(&weft__sched.state, SCHED_CLOSING); /* read by whoever finds nothing to do */
    return code;
}

/* The root task ends without having run: there was no stack for it. */
static void
root_dropped(void *arg)
{
    (void)arg;
    store_seq_cst(&weft__sched.state, SCHED_CLOSING); /* as in root_main */
}

int
weft_run(const weft_config *cfg, weft_fn *fn, void *arg)
{
    struct root root = {fn, arg};
    weft_task_options options = {.name = "root", .drop = root_dropped, .stack_size = ROOT_STACK};
    weft_task *t;
    if (!fn) return WEFT_EINVAL;
    if (weft__worker()) return WEFT_EBUSY;
    int rc = start(cfg, true);
    if (rc < 0) return rc;
    rc = weft_spawn_with(&t, root_main, &root, &options);
    if (rc == WEFT_ESHUTDOWN) rc = WEFT_ECANCELED; /* weft_shutdown was faster: as if it had come a moment later */
    if (rc < 0) store_seq_cst(&weft__sched.state, SCHED_CLOSING); /* nothing to run: the workers leave again */
    work(weft__sched.workers[0]);
    pthread_mutex_lock(&runtime.mutex);
    finish_locked(1);
    pthread_mutex_unlock(&runtime.mutex);
    if (rc < 0) return rc;
    rc = weft_task_error(t);
    weft_task_release(t);
    return rc;
}

int
weft_nworkers(void)
{
    int rc = weft__runtime_need();
    return rc < 0 ? rc : load_relaxed(&runtime.ordinary); /* relaxed: that it was needed has ordered it */
}

int
weft_ninteractive(void)
{
    int rc = weft__runtime_need();
    return rc < 0 ? rc : load_relaxed(&runtime.interactive); /* relaxed: as above */
}
