/* model_waitset.c - one waiter and the tasks of a set: the right end wakes it, once, and nobody touches what it leaves.
 *
 * sources: waitset.c task.c waiter.c park.c futex.c
 *
 * A context waits for two tasks, and then, with the same frames, for what is left of them, while two threads end the tasks
 * and a third may pass the deadline.
 *
 * Instances:
 *   any       for any of them; then for all
 *   all       for all of them, however they end
 *   failfast  the first fails, and the second ends only after the waiter has gone on
 *   twice     for any of a set in which one of them is twice
 *   deadline  for all, with a deadline, and both are ended by one thread */
#include "model_context.h"

#include <weft/error.h>

#include <pthread.h>

#include "model_scope.h"

enum { DEADLINE = 1000 };

bool weft__fence_asymmetric = true; /* there is no cancellation here */

static struct worker worker;
static weft_task tasks[2];

/* ---- What the scheduler and the wheel would provide ---- */

struct worker *
weft__worker(void)
{
    return *explore_local();
}

bool
weft__run_child(weft_task *t)
{
    (void)t;
    return false; /* they have started */
}

bool
weft__forked(void)
{
    return false;
}

weft_time
weft_now(void)
{
    return 1;
}

static struct {
    weft__lock lock;
    struct parker *parker; /* under lock; NULL: nothing is pending */
    uint64_t ticket;
} wheel;

void
weft__timer_add(struct timer *t, int64_t when, struct parker *p, uint64_t ticket)
{
    (void)t;
    assert(when == DEADLINE);
    weft__acquire(&wheel.lock);
    wheel.parker = p;
    wheel.ticket = ticket;
    weft__unlock(&wheel.lock);
}

void
weft__timer_del(struct timer *t)
{
    (void)t;
    weft__acquire(&wheel.lock);
    wheel.parker = NULL;
    weft__unlock(&wheel.lock);
}

/* As weft__timers_poll. */
static void *
pass_deadline(void *arg)
{
    (void)arg;
    weft__acquire(&wheel.lock);
    struct parker *p = wheel.parker;
    wheel.parker = NULL;
    bool won = p && weft__park_claim(p, wheel.ticket);
    weft__unlock(&wheel.lock);
    if (!won) return NULL;
    p->index = PARK_INTERRUPTED;
    p->code = WEFT_ETIMEDOUT;
    weft__park_wake(p, true);
    return NULL;
}

/* ---- Threads ---- */

static int results[2]; /* plain: what a task has done is seen by who is told of its end */

static void *
end(void *arg)
{
    weft_task *t = arg;
    int code = t->code;
    results[t - tasks] = 1;
    weft__task_finish(t, code < 0 ? PHASE_FAILED : PHASE_COMPLETED, code);
    return NULL;
}

static void
check(int k)
{
    assert(weft_task_isdone(&tasks[k]));
    assert(results[k] == 1);
}

static void *
end_both(void *arg)
{
    (void)arg;
    for (int k = 0; k < 2; k++) end(&tasks[k]);
    return NULL;
}

static void
prepare(int first, int second)
{
    *explore_local() = &worker;
    worker.context = &contexts[0];
    model_contexts(&weft__sched.root);
    contexts[0].worker = &worker;
    contexts[0].budget = BUDGET;
    for (int k = 0; k < 2; k++) {
        tasks[k].code = k ? second : first;
        store_relaxed(&tasks[k].run.ticket, PHASE_GENERATION | PHASE_RUNNING); /* relaxed: before the threads */
    }
}

static void
begin(pthread_t thread[2], int first, int second)
{
    prepare(first, second);
    for (int k = 0; k < 2; k++) pthread_create(&thread[k], NULL, end, &tasks[k]);
}

static void
finish(pthread_t thread[2])
{
    for (int k = 0; k < 2; k++) {
        check(k);
        pthread_join(thread[k], NULL);
        assert(weft__list_empty(&tasks[k].waiters));
    }
}

static void
any(void)
{
    weft_task *set[2] = {&tasks[0], &tasks[1]};
    pthread_t thread[2];
    begin(thread, 0, 0);
    int k = weft_waitany(set, 2);
    assert(k == 0 || k == 1);
    if (k == 1) explore_reached("the second ends first");
    check(k);
    assert(weft_waitall(set, 2, WEFT_FAILFAST) == 0);
    finish(thread);
}

static void
all(void)
{
    weft_task *set[2] = {&tasks[0], &tasks[1]};
    pthread_t thread[2];
    begin(thread, 0, WEFT_EPERM);
    assert(weft_waitall(set, 2, 0) == WEFT_ECHILD);
    finish(thread);
}

static void
failfast(void)
{
    weft_task *set[2] = {&tasks[0], &tasks[1]};
    pthread_t thread;
    prepare(WEFT_EPERM, 0);
    pthread_create(&thread, NULL, end, &tasks[0]);
    assert(weft_waitall(set, 2, WEFT_FAILFAST) == WEFT_ECHILD);
    check(0);
    assert(!weft_task_isdone(&tasks[1]));
    end(&tasks[1]);
    assert(weft_waitall(set, 2, 0) == WEFT_ECHILD);
    pthread_join(thread, NULL);
    for (int k = 0; k < 2; k++) assert(weft__list_empty(&tasks[k].waiters));
}

static void
twice(void)
{
    weft_task *set[3] = {&tasks[0], &tasks[1], &tasks[0]};
    pthread_t thread[2];
    begin(thread, 0, 0);
    int k = weft_waitany(set, 3);
    assert(k >= 0 && k < 3);
    check(k % 2);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < 2; i++) assert(weft__list_empty(&tasks[i].waiters));
}

static void
deadline(void)
{
    weft_task *set[2] = {&tasks[0], &tasks[1]};
    pthread_t ender, timer;
    prepare(0, 0);
    pthread_create(&ender, NULL, end_both, NULL);
    pthread_create(&timer, NULL, pass_deadline, NULL);
    int rc = weft_waitall_until(set, 2, 0, DEADLINE);
    if (rc == WEFT_ETIMEDOUT) explore_reached("the deadline passes");
    else assert(rc == 0);
    for (int k = 0; k < 2 && rc == 0; k++) check(k);
    pthread_join(ender, NULL);
    pthread_join(timer, NULL);
    for (int k = 0; k < 2; k++) assert(weft__list_empty(&tasks[k].waiters));
}

static const struct instance {
    const char *title;
    void (*run)(void);
} instances[] = {{"failfast", failfast}, {"all", all}, {"twice", twice}, {"deadline", deadline}, {"any", any}};

const char *
explore_title(int index)
{
    return index < (int)weft__countof(instances) ? instances[index].title : NULL;
}

int
main(void)
{
    instances[explore_case].run();
    return 0;
}
