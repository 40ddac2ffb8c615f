/* test_inplace.c - a waiter runs its own unstarted child on its own stack, and nobody else's task ever. */
#include "task_kit.h"

/* Frames nearer than this are on one stack: the frames between a waiter and its child take less, and what is at
 * the top of a neighbouring stack is further away. */
enum { NEAR = 48 << 10 };

static bool
below(const char *caller, const char *callee)
{
    return (uintptr_t)callee < (uintptr_t)caller && (uintptr_t)caller - (uintptr_t)callee < NEAR;
}

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
where(void *arg)
{
    *(char **)arg = __builtin_frame_address(0);
    return 0;
}

static int
join_ten(void *arg)
{
    const int *order = arg;
    char *frames[10];
    weft_task *t[10];
    for (int i = 0; i < 10; i++) t[i] = spawned(where, &frames[i]);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(weft_join(t[order[i]]), 0);
        CHECK(below(__builtin_frame_address(0), frames[order[i]]));
    }
    return 0;
}

TEST(inplace, on_the_waiters_stack, "in place: on one worker, children run on their waiter's stack, in any order")
{
    static int forward[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, backward[] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
    static int mixed[] = {3, 9, 0, 8, 1, 7, 2, 6, 4, 5};
    CHECK_INT(run_on(1, join_ten, forward), 0);
    CHECK_INT(run_on(1, join_ten, backward), 0);
    CHECK_INT(run_on(1, join_ten, mixed), 0);
}

/* Strangers, which stand between a waiter and the task it waits for. */
struct strangers {
    weft_channel *gate;
    char *waiter;
    _Atomic int waited, ran;
};

static int
pass_gate(void *arg)
{
    struct strangers *s = arg;
    int x = 0;
    return weft_channel_take(s->gate, &x);
}

/* Opens the gate, and ends only after the waiter has gone on: on the waiter's stack it never could.  What starts after
 * that may be run in place when it is joined. */
static int
stranger(void *arg)
{
    struct strangers *s = arg;
    CHECK(atomic_load(&s->waited) || !below(s->waiter, __builtin_frame_address(0)));
    if (atomic_fetch_add(&s->ran, 1) == 0) CHECK_INT(weft_channel_put(s->gate, &(int){1}), 0);
    until(&s->waited, 1);
    return 0;
}

static int
wait_beside_strangers(void *arg)
{
    struct strangers s = {.waiter = __builtin_frame_address(0)};
    weft_task *t[20];
    CHECK_INT(weft_channel_new(&s.gate, sizeof(int), 0), 0);
    weft_task *target = spawned(pass_gate, &s);
    if (arg) {
        while (!weft_task_isstarted(target)) weft_yield();
    }
    for (int i = 0; i < 20; i++) t[i] = spawned(stranger, &s);
    CHECK_INT(weft_wait(target), 0);
    atomic_store(&s.waited, 1);
    CHECK_INT(weft_join(target), 0);
    for (int i = 0; i < 20; i++) CHECK_INT(weft_join(t[i]), 0);
    weft_channel_release(s.gate);
    return 0;
}

TEST(inplace, no_stranger, "in place: a stranger is never run on a waiter's stack")
{
    static int started = 1;
    CHECK_INT(run_on(1, wait_beside_strangers, NULL), 0);
    CHECK_INT(run_on(1, wait_beside_strangers, &started), 0);
    CHECK_INT(run_on(test_workers(), wait_beside_strangers, NULL), 0);
    CHECK_INT(run_on(test_workers(), wait_beside_strangers, &started), 0);
}

static int
put_to(void *arg)
{
    return weft_channel_put(arg, &(int){6});
}

static int
take_from(void *arg)
{
    int x = 0, rc = weft_channel_take(arg, &x);
    return rc < 0 ? rc : x;
}

static int
need_older_sibling(void *arg)
{
    weft_channel *c = NULL;
    CHECK_INT(weft_channel_new(&c, sizeof(int), 0), 0);
    for (int i = 0; i < 100; i++) {
        weft_task *older = spawned(put_to, c), *younger = spawned(take_from, c);
        CHECK_INT(weft_join(younger), 6);
        CHECK_INT(weft_join(older), 0);
        older = spawned(take_from, c);
        younger = spawned(put_to, c);
        CHECK_INT(weft_join(older), 6);
        CHECK_INT(weft_join(younger), 0);
    }
    weft_channel_release(c);
    return nothing(arg);
}

TEST(inplace, older_sibling, "in place: a child may park and need its older, or younger, sibling on the same worker")
{
    CHECK_INT(run_on(1, need_older_sibling, NULL), 0);
    CHECK_INT(run_on(test_workers(), need_older_sibling, NULL), 0);
}

/* Runs until its waiter has given up. */
static int
run_long(void *arg)
{
    until(arg, 1);
    return 9;
}

static int
give_up(void *arg)
{
    for (int i = 0; i < 20; i++) {
        _Atomic int given_up = 0;
        weft_task *t = spawned(run_long, (void *)&given_up);
        CHECK_INT(weft_wait_until(t, WEFT_NOW), WEFT_EAGAIN);
        CHECK_INT(weft_wait_until(t, weft_in(100 * WEFT_US)), WEFT_ETIMEDOUT);
        CHECK_INT(weft_join_until(t, weft_in(100 * WEFT_US)), WEFT_ETIMEDOUT);
        CHECK_INT(weft_fetch_until(t, NULL, weft_in(100 * WEFT_US)), WEFT_ETIMEDOUT);
        atomic_store(&given_up, 1);
        CHECK_INT(weft_join(t), 9);
    }
    return nothing(arg);
}

TEST(inplace, deadline, "in place: a waiter with a deadline leaves, though its unstarted child would run on")
{
    CHECK_INT(run_on(1, give_up, NULL), 0);
    CHECK_INT(run_on(test_workers(), give_up, NULL), 0);
}

struct identity {
    weft_task *parent;
    int value;
};

static int
be_oneself(void *arg)
{
    struct identity *i = arg;
    weft_task *me = weft_current();
    CHECK(me != i->parent);
    CHECK_STR(weft_task_name(me), "child");
    CHECK(weft_task_issticky(me));
    CHECK(!weft_task_issticky(i->parent));
    CHECK_INT(weft_task_state(me), WEFT_RUNNING);
    CHECK_INT(weft_task_state(i->parent), WEFT_RUNNING);
    weft_yield();
    CHECK(weft_current() == me);
    weft_return(&i->value);
    return weft_fail(-20, "the child's own %s", "words");
}

static int
be_a_parent(void *arg)
{
    struct identity i = {.parent = weft_current()};
    weft_task_options opt = {.size = sizeof opt, .name = "child", .flags = WEFT_STICKY};
    weft_task *t = NULL;
    weft_return(arg);
    CHECK_INT(weft_fail(-10, "the parent's own words"), -10);
    CHECK_INT(weft_spawn_with(&t, be_oneself, &i, &opt), 0);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK(weft_current() == i.parent);
    CHECK(!weft_task_issticky(weft_current()));
    CHECK_STR(weft_task_name(weft_current()), "parent");
    CHECK_STR(weft_task_message(t), "the child's own words");
    CHECK_INT(weft_task_error(weft_current()), 0);
    CHECK_INT(weft_join(t), -20);
    return -10;
}

TASK_TEST(inplace, identity, "in place: the child has its own identity, and the parent gets its own back")
{
    int value = 0;
    weft_task_options opt = {.size = sizeof opt, .name = "parent"};
    weft_task *t = NULL;
    for (int i = 0; i < 10; i++) {
        CHECK_INT(weft_spawn_with(&t, be_a_parent, &value, &opt), 0);
        CHECK_INT(weft_wait(t), WEFT_ECHILD);
        CHECK_STR(weft_task_message(t), "the parent's own words");
        CHECK_INT(weft_join(t), -10);
    }
}

static int
fail_at_once(void *arg)
{
    return weft_fail(*(int *)arg, "number %d", *(int *)arg);
}

static int
survive_failures(void *arg)
{
    void *v = &v;
    for (int code = -1; code > -50; code--) {
        weft_task *t = spawned(fail_at_once, &code);
        CHECK_INT(weft_fetch(t, &v), WEFT_ECHILD);
        CHECK_INT(weft_task_error(t), code);
        weft_task_release(t);
    }
    CHECK(v == &v);
    return weft_return(arg);
}

TASK_TEST(inplace, failing_child, "in place: a child that fails leaves its waiter as it was")
{
    void *v = NULL;
    weft_task *t = spawned(survive_failures, &v);
    CHECK_INT(weft_fetch(t, &v), 0);
    CHECK(v == &v);
    CHECK(weft_task_message(t) == NULL);
    weft_task_release(t);
}

/* The chain of a sticky and a migratable task on one stack is bound while either lives in it. */
static int
stay_across_parks(void *arg)
{
    int worker = weft_worker();
    for (int i = 0; i < 200; i++) {
        weft_yield();
        CHECK_INT(weft_worker(), worker);
    }
    return nothing(arg);
}

static int
wander(void *arg)
{
    for (int i = 0; i < 200; i++) weft_yield();
    return nothing(arg);
}

static int
join_migratable(void *arg)
{
    int worker = weft_worker();
    for (int i = 0; i < 20; i++) {
        CHECK_INT(weft_join(spawned(wander, NULL)), 0);
        CHECK_INT(weft_worker(), worker);
    }
    return nothing(arg);
}

static int
join_sticky(void *arg)
{
    for (int i = 0; i < 20; i++) CHECK_INT(weft_join(asynced(stay_across_parks, NULL)), 0);
    return nothing(arg);
}

TASK_TEST(inplace, sticky_chain, "in place: a sticky task stays on its worker above or below a migratable one")
{
    weft_task *t[12];
    for (int i = 0; i < 12; i++) {
        if (i % 2) t[i] = spawned(join_sticky, NULL);
        else t[i] = asynced(join_migratable, NULL);
    }
    for (int i = 0; i < 12; i++) CHECK_INT(weft_join(t[i]), 0);
}

/* Each level uses most of what it was promised, then spawns the next and joins it. */
struct level {
    size_t promise;
    int depth;
    weft_task_options opt;
};

static __attribute__((noinline)) int
use(volatile char *stack, size_t size)
{
    int sum = 0;
    for (size_t i = 0; i < size; i += 256) stack[i] = (char)(i >> 8);
    stack[size - 1] = 1;
    for (size_t i = 0; i < size; i += 256) sum += stack[i] == (char)(i >> 8);
    return sum == (int)((size + 255) / 256) ? 0 : WEFT_EINVAL;
}

static int
descend(void *arg)
{
    const struct level *l = arg;
    if (l->depth == 0) return 0;
    size_t most = l->promise - (16 << 10); /* the rest is for the calls below */
    char *stack = __builtin_alloca(most);
    int rc = use(stack, most);
    if (rc < 0) return rc;
    struct level next = *l;
    next.depth--;
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, descend, &next, &next.opt), 0);
    rc = weft_join(t);
    return rc < 0 ? rc : use(stack, most) < 0 ? WEFT_EINVAL : rc + 1;
}

static int
descend_all(void *arg)
{
    static const struct {
        size_t stack_size;
        int depth;
    } cases[] = {{0, 200}, {60 << 10, 200}, {150 << 10, 50}, {512 << 10, 30}, {3 << 20, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct level l = {cases[i].stack_size ? cases[i].stack_size : 64 << 10, cases[i].depth, {.size = 0}};
        l.opt.stack_size = cases[i].stack_size;
        weft_task *t = NULL;
        CHECK_INT(weft_spawn_with(&t, descend, &l, &l.opt), 0);
        CHECK_INT(weft_join(t), l.depth);
    }
    return nothing(arg);
}

TEST(inplace, promised_stack, "in place: every task has the stack that it was promised, two hundred levels deep")
{
    weft_config cfg = {.size = sizeof cfg, .workers = 1, .stack_size = 256 << 10};
    CHECK_INT(weft_run(&cfg, descend_all, NULL), 0);
    cfg.workers = test_workers();
    CHECK_INT(weft_run(&cfg, descend_all, NULL), 0);
}
