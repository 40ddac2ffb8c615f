/* test_task.c - spawning, options, states, values, waiting: what every task can do. */
#include <stddef.h>

#include "task_kit.h"

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

static void
count_drop(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

/* Returns the number that arg points to. */
static int
give_code(void *arg)
{
    return *(int *)arg;
}

static int
give_value(void *arg)
{
    return weft_return(arg);
}

static int
park_once(void *arg)
{
    (void)arg;
    return weft_park(NULL);
}

TASK_TEST(task, spawn_runs_once, "task: a spawned task runs exactly once, and join returns its code")
{
    _Atomic int runs = 0;
    weft_task *t = spawned(count, &runs);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(atomic_load(&runs), 1);
}

static int
spawn_unheld(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(weft_spawn(NULL, count, arg), 0);
        CHECK_INT(weft_async(NULL, count, arg), 0);
    }
    return 0;
}

TEST(task, no_handle, "task: without a handle a task runs all the same, before weft_run returns")
{
    _Atomic int runs = 0;
    CHECK_INT(run_on(test_workers(), spawn_unheld, &runs), 0);
    CHECK_INT(atomic_load(&runs), 2000);
}

TASK_TEST(task, spawn_refuses, "task: a spawn that fails says why, and leaves *out alone")
{
    weft_task *const mark = (weft_task *)(void *)&(char){0};
    weft_task *t = mark;
    weft_task_options odd = {.size = sizeof odd, .flags = 1u << 30};
    CHECK_INT(weft_spawn(&t, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_async(&t, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_spawn_with(&t, NULL, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_spawn_with(&t, nothing, NULL, &odd), WEFT_EINVAL);
    CHECK_INT(weft_spawn_copy(&t, NULL, "x", 1), WEFT_EINVAL);
    CHECK_INT(weft_task_new(&t, NULL, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_task_new(&t, nothing, NULL, &odd), WEFT_EINVAL);
    CHECK_INT(weft_task_new(NULL, nothing, NULL, NULL), WEFT_EINVAL);
    CHECK(t == mark);
}

TASK_TEST(task, options, "task: options may be absent, of size 0, or of full size")
{
    _Atomic int runs = 0, drops = 0;
    weft_task_options opt = {.size = 0, .name = "zero"};
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, count, &runs, NULL), 0);
    CHECK_STR(weft_task_name(t), "");
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_spawn_with(&t, count, &runs, &opt), 0);
    CHECK_STR(weft_task_name(t), "zero");
    CHECK_INT(weft_join(t), 0);
    opt = (weft_task_options){.size = sizeof opt, .name = "full", .drop = count_drop, .stack_size = 100000};
    opt.flags = WEFT_STICKY | WEFT_DAEMON;
    CHECK_INT(weft_spawn_with(&t, count, &runs, &opt), 0);
    CHECK_STR(weft_task_name(t), "full");
    CHECK(weft_task_issticky(t));
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(atomic_load(&runs), 3);
    CHECK_INT(atomic_load(&drops), 0);
}

static int
knows_itself(void *arg)
{
    weft_task **self = arg;
    *self = weft_current();
    CHECK_STR(weft_task_name(weft_current()), "narcissus");
    CHECK_INT(weft_task_state(weft_current()), WEFT_RUNNING);
    CHECK(weft_task_isstarted(weft_current()) && !weft_task_isdone(weft_current()));
    return 0;
}

TASK_TEST(task, current, "task: weft_current is the task that calls")
{
    weft_task_options opt = {.size = sizeof opt, .name = "narcissus"};
    weft_task *t = NULL, *seen = NULL, *me = weft_current();
    CHECK(me != NULL);
    CHECK_INT(weft_spawn_with(&t, knows_itself, &seen, &opt), 0);
    CHECK_INT(weft_wait(t), 0);
    CHECK(seen == t);
    CHECK(weft_current() == me);
    weft_task_release(t);
}

TEST(task, current_outside, "task: outside a task, there is none current, yield and return do nothing, park is refused")
{
    CHECK(weft_current() == NULL);
    weft_yield();
    CHECK_INT(weft_return(&(char){0}), 0);
    CHECK_INT(weft_park(NULL), WEFT_ENOTSUP);
}

/* Its argument is its own copy: aligned, equal to the original, and writable. */
static int
check_copy(void *arg)
{
    max_align_t *aligned = arg;
    unsigned char *bytes = arg;
    CHECK_INT((long long)((uintptr_t)arg % _Alignof(max_align_t)), 0);
    weft_yield();
    for (size_t i = 0; i < 65; i++) {
        if (bytes[i] != (unsigned char)(i * 7)) return WEFT_EINVAL;
    }
    memset(aligned, 0, sizeof *aligned);
    return 0;
}

static int
check_copy_64(void *arg)
{
    const unsigned char *bytes = arg;
    CHECK_INT((long long)((uintptr_t)arg % _Alignof(max_align_t)), 0);
    weft_yield();
    for (size_t i = 0; i < 64; i++) {
        if (bytes[i] != (unsigned char)(i * 7)) return WEFT_EINVAL;
    }
    return 0;
}

static int
check_copy_1(void *arg)
{
    weft_yield();
    return *(unsigned char *)arg == 42 ? 0 : WEFT_EINVAL;
}

static int
check_copy_large(void *arg)
{
    const unsigned char *bytes = arg;
    CHECK_INT((long long)((uintptr_t)arg % _Alignof(max_align_t)), 0);
    for (size_t i = 0; i < 1000000; i++) {
        if (bytes[i] != (unsigned char)(i * 7)) return WEFT_EINVAL;
    }
    return 0;
}

TASK_TEST(task, spawn_copy, "task: spawn_copy copies 0, 1, 64, 65 and a million bytes, aligned for any type")
{
    static unsigned char data[1000000];
    unsigned char one = 42;
    weft_task *t[5] = {NULL};
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 7);
    CHECK_INT(weft_spawn_copy(&t[0], nothing, NULL, 0), 0);
    CHECK_INT(weft_spawn_copy(&t[1], check_copy_1, &one, 1), 0);
    CHECK_INT(weft_spawn_copy(&t[2], check_copy_64, data, 64), 0);
    CHECK_INT(weft_spawn_copy(&t[3], check_copy, data, 65), 0);
    CHECK_INT(weft_spawn_copy(&t[4], check_copy_large, data, sizeof data), 0);
    one = 0;
    memset(data, 0, sizeof data);
    for (int i = 0; i < 5; i++) CHECK_INT(weft_join(t[i]), 0);
}

TASK_TEST(task, spawn_copy_many, "task: a thousand copies are alive at once, each its own")
{
    enum { N = 1000 };
    static weft_task *t[N];
    for (int i = 0; i < N; i++) CHECK_INT(weft_spawn_copy(&t[i], give_code, &(int){i}, sizeof(int)), 0);
    for (int i = 0; i < N; i++) CHECK_INT(weft_join(t[i]), i);
}

/* [S1] [S2] */
WORKER_TEST(task, states_completed, "task: a task is initialized, then running, then completed")
{
    weft_task *t = asynced(park_once, NULL);
    CHECK_INT(weft_task_state(t), WEFT_INITIALIZED);
    CHECK(!weft_task_isstarted(t) && !weft_task_isdone(t) && !weft_task_isfailed(t));
    weft_yield();
    CHECK_INT(weft_task_state(t), WEFT_RUNNING);
    CHECK(weft_task_isstarted(t) && !weft_task_isdone(t) && !weft_task_isfailed(t));
    CHECK_INT(weft_wait_until(t, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_task_error(t), 0);
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_task_state(t), WEFT_RUNNING);
    weft_yield();
    CHECK_INT(weft_task_state(t), WEFT_COMPLETED);
    CHECK(weft_task_isstarted(t) && weft_task_isdone(t) && !weft_task_isfailed(t));
    CHECK_INT(weft_task_error(t), 0);
    weft_task_release(t);
}

/* [S3] [S5] */
TASK_TEST(task, codes, "task: 0 and more complete with that code, anything negative fails with it")
{
    static int codes[] = {0, 1, INT32_MAX, -1, -77777, INT32_MIN, WEFT_ECANCELED, WEFT_ECHILD};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        bool fails = codes[i] < 0;
        weft_task *t = spawned(give_code, &codes[i]);
        CHECK_INT(weft_wait(t), fails ? WEFT_ECHILD : 0);
        CHECK_INT(weft_task_state(t), fails ? WEFT_FAILED : WEFT_COMPLETED);
        CHECK_INT(weft_task_isfailed(t), fails);
        CHECK(weft_task_isdone(t));
        CHECK_INT(weft_task_error(t), codes[i]);
        CHECK_INT(weft_join(t), codes[i]);
    }
}

TASK_TEST(task, values, "task: fetch gives what went to weft_return last, as often as it is asked")
{
    int a = 0, b = 0;
    void *v = &b;
    weft_task *t = spawned(give_value, &a);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(weft_fetch(t, &v), 0);
        CHECK(v == &a);
    }
    CHECK_INT(weft_fetch(t, NULL), 0);
    weft_task_release(t);
    t = spawned(nothing, NULL);
    CHECK_INT(weft_fetch(t, &v), 0);
    CHECK(v == NULL);
    weft_task_release(t);
}

static int
return_twice_and_fail(void *arg)
{
    weft_return(arg);
    weft_return(&(char){0});
    return WEFT_EPERM;
}

static int
return_twice(void *arg)
{
    weft_return(&(char){0});
    return weft_return(arg);
}

TASK_TEST(task, values_last, "task: the last value counts, and a fetch that fails stores nothing")
{
    int a = 0, b = 0;
    void *v = &b;
    weft_task *t = spawned(return_twice_and_fail, &a);
    CHECK_INT(weft_fetch(t, &v), WEFT_ECHILD);
    CHECK(v == &b);
    CHECK_INT(weft_join(t), WEFT_EPERM);
    t = spawned(return_twice, &a);
    CHECK_INT(weft_fetch(t, &v), 0);
    CHECK(v == &a);
    weft_task_release(t);
}

/* [S10] */
TASK_TEST(task, wait_on_oneself, "task: waiting for oneself is a deadlock, and does not release the handle")
{
    weft_task *me = weft_task_retain(weft_current());
    void *v = &v;
    CHECK_INT(weft_wait(me), WEFT_EDEADLK);
    CHECK_INT(weft_wait_until(me, WEFT_NOW), WEFT_EDEADLK);
    CHECK_INT(weft_fetch(me, &v), WEFT_EDEADLK);
    CHECK_INT(weft_join(me), WEFT_EDEADLK);
    CHECK(v == &v);
    CHECK_INT(weft_task_state(me), WEFT_RUNNING);
    weft_task_release(me);
}

/* [S8] [S9] */
TASK_TEST(task, wait_until, "task: a wait with a deadline gives up, never early, and leaves the task alone")
{
    weft_task *t = unscheduled(park_once, NULL, 0);
    void *v = &v;
    weft_time deadline = weft_in(2 * WEFT_MS);
    CHECK_INT(weft_wait_until(t, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_fetch_until(t, &v, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_join_until(t, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_wait_until(t, deadline), WEFT_ETIMEDOUT);
    CHECK(weft_now() >= deadline);
    CHECK_INT(weft_wait_until(t, deadline), WEFT_ETIMEDOUT);
    CHECK_INT(weft_join_until(t, deadline), WEFT_ETIMEDOUT);
    CHECK_INT(weft_fetch_until(t, &v, weft_in(WEFT_US)), WEFT_ETIMEDOUT);
    CHECK(v == &v);
    CHECK_INT(weft_task_state(t), WEFT_INITIALIZED);
    CHECK_INT(weft_schedule(t), 0);
    while (!weft_task_isstarted(t)) weft_yield();
    CHECK_INT(weft_wait_until(t, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_wait_until(t, WEFT_FOREVER), 0);
    CHECK_INT(weft_wait_until(t, deadline), 0);
    CHECK_INT(weft_fetch_until(t, &v, WEFT_NOW), 0);
    CHECK(v == NULL);
    CHECK_INT(weft_join_until(t, deadline), 0);
}

TASK_TEST(task, references, "task: a handle outlives its task, and a task its handles")
{
    _Atomic int runs = 0;
    weft_task *t = spawned(count, &runs);
    CHECK(weft_task_retain(t) == t);
    weft_task_release(t);
    CHECK_INT(weft_wait(t), 0);
    CHECK(weft_task_isdone(t));
    CHECK_INT(weft_join(t), 0);
    weft_task_release(NULL);
    for (int i = 0; i < 1000; i++) weft_task_release(spawned(count, &runs));
    until(&runs, 1001);
}

TASK_TEST(task, dropped_unscheduled, "task: a task that is released without having been scheduled is dropped once")
{
    _Atomic int runs = 0, drops = 0;
    weft_task_options opt = {.size = sizeof opt, .drop = count_drop};
    weft_task *t = NULL;
    CHECK_INT(weft_task_new(&t, nothing, &drops, &opt), 0);
    weft_task_retain(t);
    weft_task_release(t);
    CHECK_INT(atomic_load(&drops), 0);
    weft_task_release(t);
    CHECK_INT(atomic_load(&drops), 1);
    weft_task_release(unscheduled(count, &runs, 0));
    CHECK_INT(atomic_load(&runs), 0);
}

struct chain {
    int before, after;
};

static int
read_and_write(void *arg)
{
    struct chain *c = arg;
    weft_yield();
    c->after = c->before + 1;
    return 0;
}

TASK_TEST(task, ordering, "task: what came before the spawn is seen by the body, what the body did by who waited")
{
    for (int i = 0; i < scaled(10000); i++) {
        struct chain c = {.before = i};
        weft_task *t = spawned(read_and_write, &c);
        if (i % 2) {
            CHECK_INT(weft_join(t), 0);
        } else {
            while (!weft_task_isdone(t)) weft_yield();
            weft_task_release(t);
        }
        CHECK_INT(c.after, i + 1);
    }
}

TASK_TEST(task, sticky_flag, "task: async and WEFT_STICKY make sticky tasks, spawn does not")
{
    weft_task_options opt = {.size = sizeof opt, .flags = WEFT_STICKY};
    weft_task *t = spawned(nothing, NULL);
    CHECK(!weft_task_issticky(t));
    CHECK_INT(weft_join(t), 0);
    t = asynced(nothing, NULL);
    CHECK(weft_task_issticky(t));
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_spawn_with(&t, nothing, NULL, &opt), 0);
    CHECK(weft_task_issticky(t));
    CHECK_INT(weft_join(t), 0);
}

TASK_TEST(task, many_unstarted, "task: a million tasks may wait for their turn at once")
{
    _Atomic int runs = 0;
    int n = scaled(1000000);
    for (int i = 0; i < n; i++) {
        if (!CHECK_INT(weft_spawn(NULL, count, &runs), 0)) return;
    }
    until(&runs, n);
}

static int
take_turns(void *arg)
{
    for (int i = 0; i < 10; i++) weft_yield();
    return count(arg);
}

TASK_TEST(task, mixed_kinds, "task: sticky, migratable, daemon and late-scheduled tasks all end")
{
    enum { N = 400 };
    static weft_task *t[N];
    _Atomic int runs = 0;
    _Atomic int *where = &runs;
    for (int i = 0; i < N; i++) {
        if (i % 4 == 0) t[i] = spawned(take_turns, where);
        if (i % 4 == 1) t[i] = asynced(take_turns, where);
        if (i % 4 == 2) t[i] = unscheduled(take_turns, where, i % 8 == 2 ? WEFT_STICKY : 0);
        if (i % 4 == 3) t[i] = unscheduled(take_turns, where, WEFT_DAEMON);
    }
    for (int i = 0; i < N; i++) {
        if (i % 4 >= 2) CHECK_INT(weft_schedule(t[i]), 0);
    }
    for (int i = 0; i < N; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(atomic_load(&runs), N);
}

/* Four waiters for one task, while two others hand values to and fro on the same worker. */
struct queue {
    struct journal order;
    weft_task *target;
    weft_channel *there, *back;
    int rounds;
    _Atomic int arrived;
};

static int
wait_and_note(void *arg)
{
    struct queue *q = arg;
    char name = (char)('a' + atomic_fetch_add(&q->arrived, 1));
    CHECK_INT(weft_wait(q->target), 0);
    note(&q->order, name);
    return 0;
}

/* Every step is a hand-off; the last ends what is waited for. */
static int
hand_to_and_fro(void *arg)
{
    struct queue *q = arg;
    for (int i = 0; i < q->rounds; i++) {
        CHECK_INT(weft_channel_put(q->there, &i), 0);
        CHECK_INT(weft_channel_take(q->back, &i), 0);
    }
    CHECK_INT(weft_schedule(q->target), 0);
    return 0;
}

static int
hand_back(void *arg)
{
    struct queue *q = arg;
    int x = 0;
    weft_channel_each(q->there, x) CHECK_INT(weft_channel_put(q->back, &x), 0);
    return 0;
}

static void
wait_in_a_queue(unsigned flags, int rounds)
{
    struct queue q = {.rounds = rounds};
    weft_task *t[4] = {NULL};
    CHECK_INT(weft_channel_new(&q.there, sizeof(int), 0), 0);
    CHECK_INT(weft_channel_new(&q.back, sizeof(int), 0), 0);
    q.target = unscheduled(park_once, NULL, flags);
    CHECK_INT(weft_schedule(q.target), 0);
    while (!weft_task_isstarted(q.target)) weft_yield();
    for (int i = 0; i < 4; i++) {
        t[i] = unscheduled(wait_and_note, &q, flags);
        CHECK_INT(weft_schedule(t[i]), 0);
        until(&q.arrived, i + 1);
    }
    weft_task *back = spawned(hand_back, &q), *fro = spawned(hand_to_and_fro, &q);
    CHECK_INT(weft_join(fro), 0); /* parked, not yielding: a yield would come between two hand-offs */
    for (int i = 0; i < 4; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(weft_join(q.target), 0);
    weft_channel_close(q.there, 0);
    CHECK_INT(weft_join(back), 0);
    if (!CHECK_STR(q.order.text, "abcd")) test__note("flags %u, after %d rounds of hand-offs", flags, rounds);
    weft_channel_release(q.there);
    weft_channel_release(q.back);
}

static int
wait_in_queues(void *arg)
{
    for (int round = 0; round < 600; round++) wait_in_a_queue(*(unsigned *)arg, round % 40);
    return 0;
}

TEST(task, waiters_in_order, "task: on one worker, waiters of one task go on as they came, after many hand-offs too")
{
    CHECK_INT(run_on(1, wait_in_queues, &(unsigned){0}), 0);
}

TASK_TEST(task, sticky_waiters_in_order, "task: sticky waiters of one worker go on in the order in which they came")
{
    CHECK_INT(weft_join(asynced(wait_in_queues, &(unsigned){WEFT_STICKY})), 0);
}

/* A relay of tasks without handles: each starts the next, in the descriptor of the one before the last. */
struct relay {
    _Atomic int left, done;
};

static int
run_relay(void *arg)
{
    struct relay *c = arg;
    if (atomic_fetch_sub(&c->left, 1) > 1) return weft_spawn(NULL, run_relay, c);
    atomic_store(&c->done, 1);
    return 0;
}

static int
start_relays(void *arg)
{
    (void)arg;
    for (int i = TEST_SIM ? 3 : 300; i > 0; i--) {
        static struct relay c;
        atomic_store(&c.done, 0);
        atomic_store(&c.left, 4);
        CHECK_INT(weft_spawn(NULL, run_relay, &c), 0);
        spin_until(&c.done, 1);
    }
    return 0;
}

/* ThreadSanitizer sees it if the spawner writes to a descriptor that may be somebody else's. */
TEST(task, ended_elsewhere,
     "task: one without a handle may have ended elsewhere, and its descriptor be used again, before its spawn returns")
{
    CHECK_INT(run_on(2, start_relays, NULL), 0);
}
