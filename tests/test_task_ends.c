/* test_task_ends.c - the ends of tasks: what each of those who wait for one is told, and what remains of it. */
#include <stdlib.h>

#include "scope_kit.h"

/* One that waits for a task, and keeps what it is told. */
struct watch {
    weft_task *target;
    weft_time deadline;
    int rc;
    void *value;
    _Atomic int begun;
    weft_task *task;
};

static int
fetch_it(void *arg)
{
    struct watch *w = arg;
    atomic_store(&w->begun, 1);
    w->rc = weft_fetch_until(w->target, &w->value, w->deadline);
    return 0;
}

/* Begins a watch on the worker of the body of a WORKER_TEST; returns when it has parked, or knows. */
static void
begin_watch(struct watch *w, weft_task *target, weft_time deadline)
{
    *w = (struct watch){.target = target, .deadline = deadline, .rc = 1};
    w->task = asynced(fetch_it, w);
    until(&w->begun, 1);
}

static int
finish_watch(struct watch *w)
{
    CHECK_INT(weft_join(w->task), 0);
    return w->rc;
}

static int
park_then_return(void *arg)
{
    int rc = weft_park(NULL);
    return rc < 0 ? rc : weft_return(arg);
}

/* [S4] [S6] */
WORKER_TEST(task_ends, fetched_by_all,
            "a task's value, or that it failed, is told to everybody, before and after, and again")
{
    static int object;
    for (int fails = 0; fails < 2; fails++) {
        weft_task *t = asynced(park_then_return, &object);
        struct watch w[3];
        begin_watch(&w[0], t, WEFT_FOREVER);
        begin_watch(&w[1], t, weft_in(LONG));
        CHECK_INT(fails ? weft_schedule_error(t, WEFT_EPERM) : weft_schedule(t), 0);
        while (!weft_task_isdone(t)) weft_yield();
        begin_watch(&w[2], t, WEFT_FOREVER);
        for (int i = 0; i < 3; i++) {
            CHECK_INT(finish_watch(&w[i]), fails ? WEFT_ECHILD : 0);
            CHECK(w[i].value == (fails ? NULL : &object));
        }
        for (int i = 0; i < 3; i++) {
            void *value = NULL;
            CHECK_INT(weft_fetch(t, &value), fails ? WEFT_ECHILD : 0);
            CHECK(value == (fails ? NULL : &object));
        }
        CHECK_INT(weft_join(t), fails ? WEFT_EPERM : 0);
    }
}

/* [S11] */
WORKER_TEST(task_ends, deadlines, "of those who wait for a task only they give up whose deadlines come before its end")
{
    static int object;
    weft_task *t = asynced(park_then_return, &object);
    struct watch w[4];
    begin_watch(&w[0], t, weft_in(LONG));
    begin_watch(&w[1], t, weft_in(3 * WEFT_MS));
    begin_watch(&w[2], t, weft_in(WEFT_MS));
    begin_watch(&w[3], t, WEFT_FOREVER);
    CHECK_INT(finish_watch(&w[2]), WEFT_ETIMEDOUT);
    CHECK_INT(finish_watch(&w[1]), WEFT_ETIMEDOUT);
    CHECK(!weft_task_isdone(w[0].task) && !weft_task_isdone(w[3].task) && !weft_task_isdone(t));
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(finish_watch(&w[0]), 0);
    CHECK_INT(finish_watch(&w[3]), 0);
    CHECK(w[0].value == &object && w[1].value == NULL && w[2].value == NULL && w[3].value == &object);
    CHECK_INT(weft_join(t), 0);
}

/* How many different pointers there are; sorts them. */
static int
by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

static int
different(uintptr_t *p, int n)
{
    int count = n > 0;
    qsort(p, (size_t)n, sizeof *p, by_address);
    for (int i = 1; i < n; i++) count += p[i] != p[i - 1];
    return count;
}

struct released {
    weft_event go;
    _Atomic int begun, ended;
};

static int
wait_to_go(void *arg)
{
    struct released *r = arg;
    atomic_store(&r->begun, 1);
    int rc = weft_event_wait(&r->go);
    atomic_store(&r->ended, rc == 0 ? 1 : 2);
    return rc;
}

/* More descriptors than this many workers keep at hand, and fewer than tasks. */
enum { SEQUENCE = TEST_SIM ? 1500 : TEST_SMALL ? 5000 : 100000, AT_HAND = SEQUENCE / 2 };

static uintptr_t seen[SEQUENCE];

static int
release_running(void *arg)
{
    int n = SEQUENCE / 4;
    (void)arg;
    for (int i = 0; i < n; i++) {
        struct released r = {.go = WEFT_EVENT_INIT};
        weft_task *t = spawned(wait_to_go, &r);
        seen[i] = (uintptr_t)t;
        until(&r.begun, 1);
        weft_task_release(t);
        weft_event_notify(&r.go);
        until(&r.ended, 1);
        CHECK_INT(r.ended, 1);
    }
    CHECK(different(seen, n) < n / 2 + 50);
    return 0;
}

/* [S14] */
TEST(task_ends, released,
     "a task whose last handle is released while it runs goes on to its end, and its memory is used again")
{
    CHECK_INT(run_on(1, release_running, NULL), 0);
}

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
one_after_the_other(void *arg)
{
    (void)arg;
    for (int i = 0; i < SEQUENCE; i++) {
        weft_task *t = i % 3 ? spawned(nothing, NULL) : asynced(nothing, NULL);
        seen[i] = (uintptr_t)t;
        if (i % 5 == 0) weft_yield(); /* else it runs in place */
        CHECK_INT(weft_wait(t), 0);
        weft_task_release(t);
    }
    CHECK(different(seen, SEQUENCE) < AT_HAND);
    return 0;
}

/* [S24]  A task's memory is its descriptor, and a stack, of which there are never many. */
TEST(task_ends, no_growth, "100 000 tasks that are waited for one after the other use the same memory again and again")
{
    CHECK_INT(run_on(2, one_after_the_other, NULL), 0);
}

static int
keep_frame(void *arg)
{
    *(uintptr_t *)arg = (uintptr_t)__builtin_frame_address(0);
    weft_yield();
    return 7;
}

static int
keep_handles(void *arg)
{
    enum { N = 64 };
    weft_task *t[N];
    (void)arg;
    for (int i = 0; i < N; i++) {
        t[i] = asynced(keep_frame, &seen[i]);
        while (!weft_task_isdone(t[i])) weft_yield();
    }
    CHECK(different(seen, N) <= 4);
    for (int i = 0; i < N; i++) {
        CHECK_INT(weft_task_state(t[i]), WEFT_COMPLETED);
        CHECK_INT(weft_join(t[i]), 7);
    }
    return 0;
}

/* [S15] */
TEST(task_ends, stacks_go_first, "a task that has ended has given its stack to others, whoever keeps a handle")
{
    CHECK_INT(run_on(1, keep_handles, NULL), 0);
}

/* Each waits for the next; the last is parked. */
struct link {
    weft_task *next;
    _Atomic int *reached;
};

static int
wait_for_next(void *arg)
{
    struct link *l = arg;
    atomic_fetch_add(l->reached, 1);
    if (!l->next) return weft_park(NULL);
    return weft_wait(l->next);
}

/* Schedules the first of them first, or last. */
static void
wait_in_a_chain(bool first_first)
{
    enum { MOST = 10000 };
    static struct link links[MOST];
    static weft_task *t[MOST];
    _Atomic int reached = 0;
    int n = scaled(MOST);
    for (int i = n - 1; i >= 0; i--) {
        links[i] = (struct link){i < n - 1 ? t[i + 1] : NULL, &reached};
        t[i] = unscheduled(wait_for_next, &links[i], i % 7 ? 0 : WEFT_STICKY);
    }
    for (int i = 0; i < n; i++) CHECK_INT(weft_schedule(t[first_first ? i : n - 1 - i]), 0);
    until(&reached, n);
    for (int i = 0; i < n; i++) CHECK(!weft_task_isdone(t[i]));
    CHECK_INT(weft_schedule(t[n - 1]), 0);
    CHECK_INT(weft_wait(t[0]), 0);
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(t[i]), 0);
}

/* [S25] */
TASK_TEST(task_ends, chain, "ten thousand tasks that each wait for the next all end when the last does")
{
    wait_in_a_chain(true);
    wait_in_a_chain(false);
}
