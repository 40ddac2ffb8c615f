/*
 * offload.c - threads for calls that would block a worker.  [layer 4]
 *
 * A task that calls a function which blocks its thread (a read of a file, getaddrinfo, a library's own lock) would keep its worker
 * from everything else.  So a thread of this pool runs the function, and the task parks.
 *
 * Threads are created when a call finds none idle, and end after IDLE_NS without one.  The pool has no limit of its own: who
 * calls has a token of some limiter (blocking.c), and the tokens bound the threads.
 *
 *      caller (task)                                  thread
 *      C1  lock; the idle thread that was busy last;  T1  wait for a job, IDLE_NS at most
 *          unlock                                     T2  fn
 *      C2  none: create one                           T3  claim the caller's park, if it could have left
 *      C3  arm the park; give the job to the thread   T4  lock; the oldest queued job is the next, or among the idle;
 *      C4  no thread to be had: lock; arm the park;       unlock
 *          queue the job; unlock                      T5  over: gives the token back
 *      C5  park                                       T6  wake the caller
 *
 * Threads are not more than tokens.  Of the threads that are not idle each has a job whose token has not been given back:
 * T4 comes before T5.  Who comes to C1 has a token; if that finds nobody idle, there are at most as many threads as
 * other tokens.
 *
 * No job is left behind.  A job is queued only under the lock, while nobody is idle, and there is a thread; which then comes to
 * T4 under the lock after that, and takes it.  A thread that is being created counts as one; where that fails, and it was
 * the last, C2 refuses whatever had been queued in the meantime.  Before it ends for lack of work a thread takes itself
 * out of the idle ones, under the lock; if somebody was faster, a job is on its way to it.
 *
 * Cancellation.  A park for a job that has a thread cannot be cancelled: the caller's memory is in use until fn has
 * returned.  A park for one in the queue can; T4 claims it, and moves it (park.c) to one that cannot, under the queue's lock.  An
 * abandonable job is in memory of its own, and its park can be cancelled at any time.  Whether the caller has left, and
 * whether fn had begun before that, are agreed on under the job's lock; the thread looks at the caller's parker and task
 * only under that lock, while the caller has not left.  T3 decides: if the thread's claim succeeds, the caller returns the
 * code, and drop is not called; else the caller was cancelled, and the thread calls drop.
 *
 * Stop.  When every task has ended, every thread is idle (T4 comes before T6), but for those that run what was abandoned:
 * these are disowned, and end by themselves.
 *
 * Deadlocks (deadlock.c).  A thread that runs a job is a thread that may do anything.  An idle one counts as a bystander from when
 * it has woken its caller, T6, until it is chosen, C1.
 *
 * Rejected.  A queue of jobs that threads wait on: each call would be a lock, and a wake of whoever is in the kernel's queue first,
 * who is the coldest.  Threads that spin before they sleep: on two cores they take the time of the worker that is about to
 * send.
 *
 * Checked.  tests/test_blocking.c, tests/fault_blocking.c, tests/stress_blocking.c.
 */
#include "offload.h"

#include "clock.h"
#include "deadlock.h"
#include "futex.h"
#include "hook.h"
#include "scheduler.h"
#include "thread.h"

#include <stdlib.h>

#if defined(WEFT_HARD)
static const int64_t idle_ns = 10000000;
#else
static const int64_t idle_ns = 5000000000;
#endif

enum { NOTHING = 0, JOB = 1, QUIT = 2 }; /* what a thread was given */

struct offload_thread {
    struct list_node node;  /* under the lock: of pool.idle, busy or ended */
    bool idle;              /* under the lock, as the next two */
    bool counted;           /* as a bystander */
    bool disowned;          /* nobody joins it */
    _Atomic uint32_t given; /* a futex */
    struct offload *job;    /* given JOB */
    pthread_t thread;
};

static struct {
    weft__lock lock;
    int threads;      /* under the lock, as all: idle, busy, and being created */
    struct list idle; /* the last has been idle for the shortest time */
    struct list busy;
    struct list ended; /* to be joined */
    struct list queue; /* struct waiter of jobs for which there was no thread */
} pool;

static inline struct offload_thread *
thread_of(struct list_node *n)
{
    return weft__container(n, struct offload_thread, node);
}

static inline struct offload *
job_of(struct waiter *r)
{
    return weft__container(r, struct offload, waiter);
}

/* Takes t out of the idle threads.  Under the lock. */
static void
take(struct offload_thread *t)
{
    weft__list_remove(&pool.idle, &t->node);
    if (t->counted) weft__deadlock_bystander(-1);
    t->idle = t->counted = false;
}

/* C1, under the lock. */
static struct offload_thread *
take_idle(void)
{
    if (!pool.idle.tail) return NULL;
    struct offload_thread *t = thread_of(pool.idle.tail);
    take(t);
    weft__list_append(&pool.busy, &t->node);
    return t;
}

static void
give(struct offload_thread *t, struct offload *job, uint32_t what)
{
    t->job = job;
    store_release(&t->given, what); /* release: pairs with T1 */
    weft__futex_wake(&t->given, 1);
}

/* The oldest queued job whose caller can still be told, for a thread to begin with.  Under the lock. */
static struct offload *
take_queued(void)
{
    struct list_node *n;
    while ((n = weft__list_pop(&pool.queue))) {
        struct waiter *r = weft__container(n, struct waiter, node);
        struct offload *job = job_of(r);
        if (job->abandonable) {
            weft__acquire(&job->lock);
            uint64_t word;
            bool here = !job->left && weft__park_look(r->parker, &word) != PARK_CLAIMED;
            if (here) job->begun = true;
            weft__unlock(&job->lock);
            if (here) return job;
        } else if (weft__park_claim(r->parker, r->ticket)) {
            job->begun = true;
            r->ticket = weft__park_move(r->parker, "blocking call", NULL);
            return job;
        }
    }
    return NULL;
}

/* T4.  The next job; NULL: t is idle, or disowned. */
static struct offload *
settle(struct offload_thread *t, bool *disowned)
{
    weft__acquire(&pool.lock);
    *disowned = t->disowned;
    struct offload *next = t->disowned ? NULL : take_queued();
    if (!next && !t->disowned) {
        weft__list_remove(&pool.busy, &t->node);
        weft__list_append(&pool.idle, &t->node);
        t->idle = true;
    }
    weft__unlock(&pool.lock);
    return next;
}

static void
unref(struct offload *job)
{
    if (sub_acq_rel(&job->users, 1) == 1) free(job);
}

/* T3 of a job that can be abandoned: does the caller still wait?  Then it does until it is woken. */
static bool
still_waits(struct offload *job)
{
    weft__acquire(&job->lock);
    bool claimed = !job->left && weft__park_claim(job->waiter.parker, job->waiter.ticket);
    job->left = !claimed;
    weft__unlock(&job->lock);
    return claimed;
}

/* T2 to T6; returns the next job. */
static struct offload *
run(struct offload_thread *t, struct offload *job, bool *disowned)
{
    bool waits = true, abandonable = job->abandonable;
    /* The function that the thread has just run may have ended because of what cancels this one, too. */
    bool refused = job->queued && weft__offload_cancelled(job);
    weft__offload_set(job);
    int code = refused ? WEFT_ECANCELED : job->fn(job->arg);
    weft__hook();
    if (abandonable) waits = still_waits(job); /* T3 */
    if (!waits && job->drop) job->drop(job->arg);
    weft__offload_set(NULL);
    struct offload *next = settle(t, disowned); /* T4 */
    weft__hook();
    if (refused && waits) job->begun = false; /* the caller sees to the token */
    else job->over(job);                      /* T5 */
    if (waits) {
        if (abandonable) sub_acq_rel(&job->users, 1); /* the caller's is left, until it has been woken */
        else (void)weft__park_claim(job->waiter.parker, job->waiter.ticket); /* nothing else can claim it */
        weft__waiter_wake(&job->waiter, code, false);                        /* T6 */
    } else {
        unref(job);
    }
    return next;
}

/* t has nothing else to do than to wait for a job, if it has none. */
static void
count(struct offload_thread *t)
{
    weft__acquire(&pool.lock);
    if (t->idle) {
        t->counted = true;
        weft__deadlock_bystander(1);
    }
    weft__unlock(&pool.lock);
}

static void
join_all(struct list *threads)
{
    for (struct list_node *n; (n = weft__list_pop(threads));) {
        pthread_join(thread_of(n)->thread, NULL);
        free(thread_of(n));
    }
}

/* t has had no work for long.  False: there is some on its way. */
static bool
retire(struct offload_thread *t)
{
    struct list ended = {NULL, NULL};
    weft__acquire(&pool.lock);
    bool idle = t->idle;
    if (idle) {
        take(t);
        pool.threads--;
        ended = pool.ended;
        pool.ended = (struct list){&t->node, &t->node};
    }
    weft__unlock(&pool.lock);
    join_all(&ended); /* these are in their last instructions: so there is never more than one that nobody has joined */
    return idle;
}

/* T1.  The job that t was given; NULL: it is to end. */
static struct offload *
await(struct offload_thread *t)
{
    int64_t end = weft__clock_add(weft__clock_now(), idle_ns);
    for (;;) {
        uint32_t given = load_acquire(&t->given); /* acquire: pairs with give */
        if (given != NOTHING) {
            store_relaxed(&t->given, NOTHING); /* relaxed: nobody else has t */
            return given == JOB ? t->job : NULL;
        }
        if (weft__clock_now() >= end) {
            if (retire(t)) return NULL;
            end = INT64_MAX;
        }
        weft__futex_wait(&t->given, NOTHING, end);
    }
}

static void *
thread_main(void *arg)
{
    struct offload_thread *t = arg;
    struct offload *job;
    void *signals = NULL;
    bool disowned = false;
    (void)weft__stack_signals_enter(&signals); /* without it, an overflow is not explained */
    while (!disowned && (job = await(t))) {
        while (job) job = run(t, job, &disowned);
        if (!disowned) count(t);
    }
    if (signals) weft__stack_signals_leave(signals);
    if (disowned) free(t);
    return NULL;
}

/* C2.  NULL: *rc says why. */
static struct offload_thread *
create(int *rc)
{
    struct offload_thread *t = weft__hook_fail() ? NULL : calloc(1, sizeof *t);
    *rc = WEFT_ENOMEM;
    if (!t) return NULL;
    *rc = WEFT_EAGAIN;
    if (weft__thread_create(&t->thread, thread_main, t) != 0) {
        free(t);
        return NULL;
    }
    weft__acquire(&pool.lock);
    weft__list_append(&pool.busy, &t->node);
    weft__unlock(&pool.lock);
    return t;
}

/* A thread could not be created.  If there is none at all, nobody will ever come to the queue. */
static void
give_up(int rc)
{
    struct list refused = {NULL, NULL};
    struct list_node *n;
    weft__acquire(&pool.lock);
    pool.threads--;
    while (pool.threads == 0 && (n = weft__list_pop(&pool.queue))) {
        struct waiter *r = weft__container(n, struct waiter, node);
        if (!weft__park_claim(r->parker, r->ticket))
            continue; /* cancelled: it comes for the lock, and is alive until then */
        r->code = rc;
        weft__list_append(&refused, n);
    }
    weft__unlock(&pool.lock);
    weft__waiter_wake_all(&refused);
}

/* C1 and C2. */
static struct offload_thread *
hire(int *rc)
{
    weft__acquire(&pool.lock);
    struct offload_thread *t = take_idle();
    if (!t) pool.threads++;
    weft__unlock(&pool.lock);
    if (t) return t;
    t = create(rc);
    if (!t) give_up(*rc);
    return t;
}

/* C3 */
static void
begin(struct offload *job, struct context *c, struct wait *wait, struct offload_thread *t)
{
    weft__wait_begin(wait, c, "blocking call", job->abandonable);
    job->waiter = (struct waiter){.parker = wait->parker, .ticket = wait->ticket};
    job->begun = true;
    give(t, job, JOB);
}

/* C4.  False: there is no thread at all. */
static bool
enqueue(struct offload *job, struct context *c, struct wait *wait)
{
    weft__acquire(&pool.lock);
    struct offload_thread *t = take_idle();
    bool some = pool.threads > 0;
    if (!t && some) {
        weft__wait_begin(wait, c, "thread for a blocking call", true);
        weft__wait_register(wait, &job->waiter, &pool.queue, 0, NULL);
        job->queued = true;
    }
    weft__unlock(&pool.lock);
    if (t) begin(job, c, wait, t);
    return some;
}

/* The caller was cancelled.  Returns whether fn had begun. */
static bool
leave(struct offload *job)
{
    weft__acquire(&pool.lock);
    weft__wait_withdraw(&job->waiter, &pool.queue);
    weft__unlock(&pool.lock);
    weft__acquire(&job->lock);
    job->left = true;
    bool begun = job->begun;
    weft__unlock(&job->lock);
    while (load_acquire(&job->looking)) weft_yield(); /* acquire: pairs with weft__offload_cancelled */
    return begun;
}

enum offload_end
weft__offload(struct offload *job, struct context *c, int *code)
{
    struct wait wait;
    enum offload_end end = OFFLOAD_REFUSED;
    job->task = c->task;
    store_relaxed(&job->users, 2); /* relaxed: giving it publishes it */
    struct offload_thread *t = hire(code);
    if (t) begin(job, c, &wait, t);
    if (t || enqueue(job, c, &wait)) {
        *code = weft__wait_park(&wait, WEFT_FOREVER); /* C5 */
        if (weft__wait_interrupted(&wait)) end = leave(job) ? OFFLOAD_ABANDONED : OFFLOAD_REFUSED;
        else end = job->begun ? OFFLOAD_RETURNED : OFFLOAD_REFUSED;
    }
    if (end == OFFLOAD_ABANDONED) unref(job);
    else if (job->abandonable) free(job); /* the thread is through with it, or never had it */
    return end;
}

bool
weft__offload_cancelled(struct offload *job)
{
    if (!job->abandonable) return weft__task_cancelled(job->task);
    weft__acquire(&job->lock);
    bool left = job->left;
    if (!left) store_relaxed(&job->looking, true); /* relaxed: the lock publishes it */
    weft__unlock(&job->lock);
    if (left) return true;
    bool cancelled =
        weft__task_cancelled(job->task); /* not under the lock: it may find that a deadline has passed, and cancel */
    store_release(&job->looking, false); /* pairs with leave */
    return cancelled;
}

void
weft__offload_stop(void)
{
    struct list leaving, idle = {NULL, NULL};
    weft__acquire(&pool.lock);
    while (pool.idle.head) {
        struct offload_thread *t = thread_of(pool.idle.head);
        take(t);
        weft__list_append(&idle, &t->node);
    }
    for (struct list_node *n; (n = weft__list_pop(&pool.busy));) {
        thread_of(n)->disowned = true;
        pthread_detach(thread_of(n)->thread);
    }
    leaving = pool.ended;
    pool.ended = (struct list){NULL, NULL};
    pool.threads = 0;
    weft__unlock(&pool.lock);
    for (struct list_node *n = idle.head; n; n = n->next) give(thread_of(n), NULL, QUIT);
    join_all(&idle);
    join_all(&leaving);
}

int
weft__offload_threads(void)
{
    weft__acquire(&pool.lock);
    int n = pool.threads;
    weft__unlock(&pool.lock);
    return n;
}
