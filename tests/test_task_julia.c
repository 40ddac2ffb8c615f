/* test_task_julia.c - what Julia promises of tasks and no other test says: docs/julia-facts-tasks.md. */
#include "task_kit.h"

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
give_code(void *arg)
{
    return *(int *)arg;
}

/* [J123] [J129] */
WORKER_TEST(julia, new_task, "julia: a new task is neither started nor done; scheduled and yielded to, it is both")
{
    static int good = 0, bad = -1;
    weft_task *t = unscheduled(give_code, &good, WEFT_STICKY);
    weft_task *u = unscheduled(give_code, &bad, WEFT_STICKY);
    CHECK_INT(weft_task_state(t), WEFT_INITIALIZED);
    CHECK(!weft_task_isstarted(t) && !weft_task_isdone(t) && !weft_task_isfailed(t));
    weft_yield();
    CHECK(!weft_task_isstarted(t));
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_schedule(u), 0);
    CHECK(!weft_task_isstarted(t) && !weft_task_isstarted(u));
    weft_yield();
    CHECK(weft_task_isstarted(t) && weft_task_isdone(t) && !weft_task_isfailed(t));
    CHECK(weft_task_isstarted(u) && weft_task_isdone(u) && weft_task_isfailed(u));
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_join(u), -1);
}

/* [J131] [S10] */
TASK_TEST(julia, wait_current, "julia: a task cannot wait for itself")
{
    CHECK_INT(weft_wait(weft_current()), WEFT_EDEADLK);
}

/* [J135] [S7] */
TASK_TEST(julia, wait_twice, "julia: a finished task may be waited for again")
{
    weft_task *t = spawned(nothing, NULL);
    for (int i = 0; i < 5; i++) CHECK_INT(weft_wait(t), 0);
    CHECK_INT(weft_join(t), 0);
}

/* [J136] [S7] */
TASK_TEST(julia, wait_failed, "julia: waiting for a task that fails says so, before and after the end")
{
    static int code = -7;
    weft_task *t = spawned(give_code, &code);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK(weft_task_isfailed(t));
    CHECK_INT(weft_task_error(t), -7);
    weft_task_release(t);
}

struct place {
    int worker;
    bool sticky;
};

static int
where_am_i(void *arg)
{
    struct place *p = arg;
    *p = (struct place){weft_worker(), weft_task_issticky(weft_current())};
    return 0;
}

static int
start_sticky_child(void *arg)
{
    struct place here, child;
    where_am_i(&here);
    weft_task *t = asynced(where_am_i, &child);
    CHECK(!weft_task_issticky(weft_current()));
    CHECK_INT(weft_join(t), 0);
    CHECK(!here.sticky);
    CHECK(child.sticky);
    CHECK_INT(child.worker, here.worker);
    CHECK(!weft_task_issticky(weft_current()));
    return nothing(arg);
}

/* [J137], but for the parent's stickiness, which async leaves alone */
TASK_TEST(julia, async_same_worker, "julia: a task that is started with async runs on the worker of its parent")
{
    weft_task *t[50];
    for (int i = 0; i < 50; i++) t[i] = spawned(start_sticky_child, NULL);
    for (int i = 0; i < 50; i++) CHECK_INT(weft_join(t[i]), 0);
}

/* Plain memory: a data race, and a wrong sum, if two of one worker's sticky tasks ran at once. */
struct slot {
    int increments;
};

static int
increment(void *arg)
{
    struct slot *s = arg;
    for (int i = 0; i < 100; i++) {
        int old = s->increments;
        for (volatile int k = 0; k < 20; k++) continue;
        s->increments = old + 1;
        weft_yield();
    }
    return 0;
}

static int
increment_twice(void *arg)
{
    weft_task *t = asynced(increment, arg);
    increment(arg);
    return weft_join(t);
}

static int
increment_in_two_levels(void *arg)
{
    (void)arg;
    struct slot s = {0};
    weft_task *a = asynced(increment_twice, &s), *b = asynced(increment_twice, &s);
    CHECK_INT(weft_join(a), 0);
    CHECK_INT(weft_join(b), 0);
    CHECK_INT(s.increments, 400);
    return 0;
}

/* [J138] */
TASK_TEST(julia, never_parallel, "julia: sticky tasks of one worker never run at the same time")
{
    weft_task *t[20];
    for (int i = 0; i < 20; i++) CHECK_INT(weft_spawn(&t[i], increment_in_two_levels, NULL), 0);
    for (int i = 0; i < 20; i++) CHECK_INT(weft_join(t[i]), 0);
}

static int
pfib(void *arg)
{
    int n = *(int *)arg;
    if (n <= 1) return n;
    weft_task *t = NULL;
    int rc = weft_spawn_copy(&t, pfib, &(int){n - 2}, sizeof n);
    if (rc < 0) return rc;
    int a = pfib(&(int){n - 1});
    int b = weft_join(t);
    return a < 0 ? a : b < 0 ? b : a + b;
}

/* [J139] */
TASK_TEST(julia, pfib, "julia: pfib(20) is 6765")
{
    CHECK_INT(pfib(&(int){20}), 6765);
}

static int
fib_of_two(void *arg)
{
    int n = *(int *)arg;
    if (n <= 1) return n;
    weft_task *a = NULL, *b = NULL;
    CHECK_INT(weft_spawn_copy(&a, fib_of_two, &(int){n - 2}, sizeof n), 0);
    CHECK_INT(weft_spawn_copy(&b, fib_of_two, &(int){n - 1}, sizeof n), 0);
    int x = weft_join(a);
    return x + weft_join(b);
}

/* [J140] weft_run is the outer synchronisation. */
TEST(julia, fib34666, "julia: fib(25) with two tasks per call is 75025")
{
    int n = TEST_SMALL ? 15 : 25;
    CHECK_INT(weft_run(NULL, fib_of_two, &n), n == 15 ? 610 : 75025);
}

/* Halves n in a task of its own and in the caller; returns how many calls there were. */
static int
spawn_many(void *arg)
{
    int n = *(int *)arg;
    if (n <= 2) return 1;
    weft_task *t = NULL;
    int half = n / 2;
    CHECK_INT(weft_spawn_copy(&t, spawn_many, &half, sizeof half), 0);
    int mine = spawn_many(&half);
    return 1 + mine + weft_join(t);
}

static int
calls_of(int n)
{
    return n <= 2 ? 1 : 1 + 2 * calls_of(n / 2);
}

/* [J141] */
TASK_TEST(julia, spawn_many, "julia: 20 000, 200 000 and 2 000 000 tasks that spawn and wait all end")
{
    static const int sizes[] = {20000, 200000, 2000000};
    for (int i = 0; i < 3; i++) {
        int n = scaled(sizes[i]);
        CHECK_INT(spawn_many(&n), calls_of(n));
    }
}

struct loop_variable {
    int *i;
    int seen;
};

static int
see_variable(void *arg)
{
    struct loop_variable *v = arg;
    v->seen = *v->i;
    return 0;
}

/* [J145] */
WORKER_TEST(julia, interpolation, "julia: spawn_copy keeps the loop variable of its turn, a pointer sees the last")
{
    weft_task *copies[6], *pointers[6];
    struct loop_variable shared[6];
    int i;
    for (i = 1; i <= 5; i++) {
        shared[i] = (struct loop_variable){.i = &i};
        CHECK_INT(weft_spawn_copy(&copies[i], give_code, &i, sizeof i), 0);
        pointers[i] = asynced(see_variable, &shared[i]);
    }
    for (int k = 1; k <= 5; k++) {
        CHECK_INT(weft_join(copies[k]), k);
        CHECK_INT(weft_join(pointers[k]), 0);
        CHECK_INT(shared[k].seen, 6);
    }
}

static int
take_from(void *arg)
{
    int x = 0;
    return weft_channel_take(arg, &x);
}

/* [J148] */
TASK_TEST(julia, error_through_channel, "julia: an error that comes out of a channel fails the task that it reaches")
{
    weft_channel *c = NULL;
    CHECK_INT(weft_channel_new(&c, sizeof(int), 0), 0);
    weft_task *t = spawned(take_from, c);
    CHECK(weft_channel_close(c, -555));
    void *v = &v;
    CHECK_INT(weft_fetch(t, &v), WEFT_ECHILD);
    CHECK(v == &v);
    CHECK(weft_task_isdone(t) && weft_task_isfailed(t));
    CHECK_INT(weft_join(t), -555);
    weft_channel_release(c);
}

struct writer {
    struct journal *journal;
    char what;
    int times;
};

static int
write_in_turn(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < w->times; i++) {
        note(w->journal, (char)(w->what + i));
        weft_yield();
    }
    return 0;
}

/* [J155] */
WORKER_TEST(julia, round_robin, "julia: sticky tasks run in the order of their start, and yield round robin")
{
    struct journal j = {.length = 0};
    struct writer w[] = {{&j, 'a', 3}, {&j, 'k', 3}, {&j, 'A', 3}, {&j, 'K', 1}};
    weft_task *t[4];
    for (int i = 0; i < 4; i++) t[i] = asynced(write_in_turn, &w[i]);
    CHECK_INT(atomic_load(&j.length), 0);
    for (int i = 0; i < 3; i++) weft_yield();
    CHECK_STR(j.text, "akAKblBcmC");
    for (int i = 0; i < 4; i++) CHECK_INT(weft_join(t[i]), 0);
}

struct waiter {
    struct journal *journal;
    char what;
    weft_task *target;
};

static int
wait_and_write(void *arg)
{
    struct waiter *w = arg;
    CHECK_INT(weft_wait(w->target), 0);
    note(w->journal, w->what);
    return 0;
}

static int
park(void *arg)
{
    (void)arg;
    return weft_park(NULL);
}

/* Five tasks wait, one after the other, for one that is parked. */
static void
wait_in_order(int (*start)(weft_task **, weft_fn *, void *))
{
    struct journal j = {.length = 0};
    struct waiter w[5];
    weft_task *t[5], *target = NULL;
    CHECK_INT(start(&target, park, NULL), 0);
    weft_yield();
    for (int i = 0; i < 5; i++) {
        w[i] = (struct waiter){&j, (char)('1' + i), target};
        CHECK_INT(start(&t[i], wait_and_write, &w[i]), 0);
        weft_yield();
    }
    CHECK_STR(j.text, "");
    CHECK_INT(weft_schedule(target), 0);
    while (atomic_load(&j.length) < 5) weft_yield();
    CHECK_STR(j.text, "12345");
    for (int i = 0; i < 5; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(weft_join(target), 0);
}

/* [J160] */
WORKER_TEST(julia, waiters_in_order, "julia: those who wait for one task go on in the order in which they came")
{
    wait_in_order(weft_async);
}

static int
wait_in_order_migratable(void *arg)
{
    wait_in_order(weft_spawn);
    return nothing(arg);
}

/* [J160] */
TEST(julia, migratable_waiters_in_order, "julia: so do migratable tasks, on a single worker")
{
    CHECK_INT(run_on(1, wait_in_order_migratable, NULL), 0);
}

static int
return_an_error_object(void *arg)
{
    return weft_return(arg);
}

/* [J161] */
TASK_TEST(julia, error_as_value, "julia: a task whose value is an error has completed")
{
    static int error = WEFT_EINVAL;
    void *v = NULL;
    weft_task *t = spawned(return_an_error_object, &error);
    CHECK_INT(weft_fetch(t, &v), 0);
    CHECK(v == &error);
    CHECK(!weft_task_isfailed(t));
    weft_task_release(t);
}

/* [J162] */
TASK_TEST(julia, any_error, "julia: a task may fail with a code that is not Weft's")
{
    static int code = -123456;
    weft_task *t = spawned(give_code, &code);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_task_error(t), -123456);
    weft_task_release(t);
}

static int
write_here(void *arg)
{
    CHECK_INT(weft_worker(), 0);
    note(arg, 'x');
    return 0;
}

static int
spawn_ten(void *arg)
{
    for (int i = 0; i < 10; i++) CHECK_INT(weft_spawn(NULL, write_here, arg), 0);
    return 0;
}

/* [J164], but for the order, which is not promised */
TEST(julia, one_worker, "julia: with one worker, migratable tasks run on that")
{
    struct journal j = {.length = 0};
    CHECK_INT(run_on(1, spawn_ten, &j), 0);
    CHECK_STR(j.text, "xxxxxxxxxx");
}

static int
empty_range(size_t begin, size_t end, void *ctx)
{
    (void)ctx;
    return begin < end ? 0 : -1;
}

/* [J142] In Julia it is about @threads.  The pauses let workers go to sleep, so that they must be woken again. */
TASK_TEST(julia, empty_loops, "julia: 100 000 loops over 1024 empty iterations all end")
{
    int bad = 0;
    for (int i = scaled(100000); i > 0; i--) {
        bad += weft_for(0, 1024, 0, empty_range, NULL) != 0;
        if (i % 1000 == 0) bad += weft_sleep(100 * WEFT_US) != 0;
    }
    CHECK_INT(bad, 0);
}

static int
want_no_value(void *arg)
{
    void *value = NULL;
    int code = weft_park(&value);
    (void)arg;
    if (code == 0 && value) return weft_fail(WEFT_EINVAL, "resumed with %d", *(int *)value);
    return code;
}

/* [J146] What C's compiler does not refuse: a task that is resumed with what it cannot use. */
WORKER_TEST(julia, unusable_value, "julia: a task that is resumed with a value that it cannot use fails, once")
{
    int x = 1;
    weft_task *t = asynced(want_no_value, NULL), *u = asynced(want_no_value, NULL);
    weft_yield();
    CHECK_INT(weft_schedule_value(t, &x), 0);
    CHECK_INT(weft_schedule_value(t, &x), WEFT_EBUSY);
    CHECK_INT(weft_schedule(u), 0);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_STR(weft_task_message(t), "resumed with 1");
    CHECK_INT(weft_schedule_value(t, &x), WEFT_EBUSY);
    CHECK_INT(weft_join(t), WEFT_EINVAL);
    CHECK_INT(weft_join(u), 0);
}

/* A tree of tasks with random numbers: each has a generator of its own, split from its parent's. */
struct branch {
    uint64_t seed, sum;
    int depth;
    bool alone; /* grows by calls, not by tasks */
};

static uint64_t
random_next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

static int
grow(void *arg)
{
    struct branch *b = arg;
    weft_task *t[2];
    int code = 0;
    b->sum = random_next(&b->seed);
    if (b->depth == 0) return 0;
    struct branch children[2];
    for (int i = 0; i < 2; i++) {
        children[i] = (struct branch){random_next(&b->seed), 0, b->depth - 1, b->alone};
        if (b->alone) code += grow(&children[i]);
        else code += weft_spawn(&t[i], grow, &children[i]);
        if (!b->alone && b->seed % 4 == 0) weft_yield();
    }
    for (int i = 0; i < 2 && !b->alone && code == 0; i++) code += weft_join(t[i]);
    b->sum += 31 * children[0].sum + 37 * children[1].sum + random_next(&b->seed);
    return code;
}

/* [J227] Julia splits the generator of a task by itself; in C it is part of the argument. */
TASK_TEST(julia, random_tree, "julia: a tree of tasks gives the same random numbers on every run")
{
    struct branch alone = {.seed = test_seed(), .depth = TEST_SMALL ? 5 : 10, .alone = true};
    struct branch first = alone;
    CHECK_INT(grow(&alone), 0);
    for (int i = 0; i < 20; i++) {
        struct branch b = first;
        b.alone = false;
        CHECK_INT(weft_join(spawned(grow, &b)), 0);
        CHECK(b.sum == alone.sum);
    }
}
