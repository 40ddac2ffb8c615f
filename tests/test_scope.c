/* test_scope.c - scopes: who is a member, what closing waits for, and what it returns. */
#include "scope_kit.h"

#include <pthread.h>

/* [S51] */
TASK_TEST(scope, waits, "closing waits for every member")
{
    struct member m[3] = {MEMBER(.nap = 6 * WEFT_MS), MEMBER(.nap = 2 * WEFT_MS), MEMBER(.nap = 4 * WEFT_MS)};
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int k = 0; k < 3; k++) CHECK_INT(weft_spawn(NULL, nap, &m[k]), 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    for (int k = 0; k < 3; k++) CHECK_INT(m[k].ended, 1);
}

/* [S52] */
TASK_TEST(scope, empty, "closing a scope without members returns rc at once")
{
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK(weft_scope_current() == &s);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_scope_close(&s, 42), 42);
    CHECK(weft_scope_current() != &s);
}

static int
spawns_later(void *arg)
{
    struct member *m = arg;
    CHECK_INT(weft_sleep(3 * WEFT_MS), 0);
    return weft_spawn(NULL, nap, m);
}

/* [S53] */
TASK_TEST(scope, spawn_while_closing, "what a member spawns is a member too, also while the scope is being closed")
{
    struct member m = MEMBER(.nap = 5 * WEFT_MS);
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_scope_close(&s, weft_spawn(NULL, spawns_later, &m)), 0);
    CHECK_INT(m.ended, 1);
}

/* [S54] */
TASK_TEST(scope, nested_failure, "a failure cancels its scope; the one outside only if it is passed on")
{
    struct member outer = MEMBER(.nap = 10 * WEFT_MS), inner = MEMBER(.nap = LONG), fails = MEMBER(.code = WEFT_EBUSY);
    weft_scope o, s;
    weft_scope_open(&o, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &outer), 0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &inner), 0);
    CHECK_INT(weft_scope_close(&s, weft_spawn(NULL, nap, &fails)), WEFT_EBUSY);
    CHECK(inner.woken == WEFT_ECANCELED || !inner.ended); /* it may not have started */
    CHECK(!weft_scope_iscancelled(&o));
    CHECK_INT(weft_scope_close(&o, 0), 0);
    CHECK_INT(outer.woken, 0);
}

/* [S55] [S56] */
TASK_TEST(scope, failure, "a failure wakes siblings and body, and is what closing returns")
{
    struct member sibling = MEMBER(.nap = LONG), fails = MEMBER(.nap = WEFT_MS, .code = WEFT_EBUSY);
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &sibling), 0);
    begun(&sibling);
    CHECK_INT(weft_spawn(NULL, nap, &fails), 0);
    int rc = weft_sleep(LONG);
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK_INT(weft_scope_why(&s), WEFT_EBUSY);
    CHECK_INT(weft_scope_close(&s, rc), WEFT_EBUSY);
    CHECK_INT(sibling.woken, WEFT_ECANCELED);
}

/* [S57] */
TASK_TEST(scope, first_failure, "of two failures the first in time counts; the other is in its task")
{
    struct member first = MEMBER(.nap = WEFT_MS, .code = WEFT_EBUSY), second = MEMBER(.nap = LONG, .code = WEFT_EPERM);
    weft_task *t;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(&t, nap, &second), 0);
    begun(&second);
    CHECK_INT(weft_scope_close(&s, weft_spawn(NULL, nap, &first)), WEFT_EBUSY);
    CHECK_INT(weft_task_error(t), WEFT_EPERM);
    weft_task_release(t);
}

/* [S58] [S59] */
TASK_TEST(scope, body_error, "an error of the body cancels the members, and comes before what they return then")
{
    struct member m = MEMBER(.nap = LONG), late = MEMBER(.nap = LONG, .code = WEFT_EPERM);
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &m), 0);
    CHECK_INT(weft_spawn(NULL, nap, &late), 0);
    begun(&m);
    begun(&late);
    CHECK_INT(weft_scope_close(&s, WEFT_EINVAL), WEFT_EINVAL);
    CHECK_INT(m.woken, WEFT_ECANCELED);
    CHECK_INT(late.woken, WEFT_ECANCELED);
}

/* [S60] */
TASK_TEST(scope, member_cancelled, "a member that is cancelled is no failure")
{
    struct member m = MEMBER(.nap = LONG), sibling = MEMBER(.nap = 8 * WEFT_MS);
    weft_task *t;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(&t, nap, &m), 0);
    CHECK_INT(weft_spawn(NULL, nap, &sibling), 0);
    begun(&m);
    CHECK(weft_cancel(t));
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(m.woken, WEFT_ECANCELED);
    CHECK_INT(sibling.woken, 0);
    weft_task_release(t);
}

/* [S61] */
TASK_TEST(scope, supervise, "with WEFT_SUPERVISE a failure stays in its task")
{
    struct member sibling = MEMBER(.nap = 5 * WEFT_MS), fails = MEMBER(.code = WEFT_EBUSY);
    weft_task *t;
    weft_scope s;
    weft_scope_open(&s, WEFT_SUPERVISE, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &sibling), 0);
    CHECK_INT(weft_spawn(&t, nap, &fails), 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(sibling.woken, 0);
    CHECK_INT(weft_task_error(t), WEFT_EBUSY);
    weft_task_release(t);
}

/* [S62] */
TASK_TEST(scope, supervise_body, "with WEFT_SUPERVISE an error of the body still cancels")
{
    struct member m = MEMBER(.nap = LONG);
    weft_scope s;
    weft_scope_open(&s, WEFT_SUPERVISE, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &m), 0);
    begun(&m);
    CHECK_INT(weft_scope_close(&s, WEFT_EINVAL), WEFT_EINVAL);
    CHECK_INT(m.woken, WEFT_ECANCELED);
}

/* [S63] */
TASK_TEST(scope, race, "with WEFT_RACE the first that completes cancels the others")
{
    struct member m[3] = {MEMBER(.nap = LONG), MEMBER(.nap = 2 * WEFT_MS), MEMBER(.nap = LONG)};
    static const int order[] = {0, 2, 1};
    weft_scope s;
    weft_scope_open(&s, WEFT_RACE, WEFT_FOREVER);
    for (int k = 0; k < 3; k++) {
        CHECK_INT(weft_spawn(NULL, nap, &m[order[k]]), 0);
        begun(&m[order[k]]);
    }
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(m[0].woken, WEFT_ECANCELED);
    CHECK_INT(m[1].woken, 0);
    CHECK_INT(m[2].woken, WEFT_ECANCELED);
}

struct pair {
    struct member first, second;
};

/* Fails when the other has. */
static int
fails_second(void *arg)
{
    struct pair *p = arg;
    while (!p->first.ended) weft_yield();
    int rc = weft_sleep(WEFT_MS);
    atomic_store(&p->second.woken, rc);
    return p->second.code;
}

/* [S64] */
TASK_TEST(scope, race_lost, "with WEFT_RACE, if nobody completes, the first failure is what closing returns")
{
    struct pair p = {MEMBER(.nap = WEFT_MS, .code = WEFT_EBUSY), MEMBER(.code = WEFT_EPERM)};
    weft_scope s;
    weft_scope_open(&s, WEFT_RACE, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &p.first), 0);
    CHECK_INT(weft_spawn(NULL, fails_second, &p), 0);
    CHECK_INT(weft_scope_close(&s, 0), WEFT_EBUSY);
    CHECK_INT(p.second.woken, 0); /* the first failure cancelled nobody */
}

static int
race_inside(void *arg)
{
    struct member *m = arg;
    weft_scope s;
    weft_scope_open(&s, WEFT_RACE, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &m[0]), 0);
    CHECK_INT(weft_spawn(NULL, nap, &m[1]), 0);
    while (!m[0].ended) weft_yield();
    CHECK(weft_cancel(weft_current()));
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    return 0;
}

/* [S65] */
TASK_TEST(scope, race_and_cancelled, "a race that was won is won, also if the task is cancelled then")
{
    struct member m[2] = {MEMBER(.nap = 0), MEMBER(.nap = LONG)};
    weft_task *t = spawned(race_inside, m);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(m[1].woken == 1 ? WEFT_ECANCELED : m[1].woken, WEFT_ECANCELED); /* it may not even have started */
}

/* [S66] [S67] [S68] */
TASK_TEST(scope, reasons, "the first reason given to weft_scope_cancel is what closing returns")
{
    static const int reasons[] = {0, -ECONNRESET};
    for (int k = 0; k < 2; k++) {
        struct member m = MEMBER(.nap = LONG);
        weft_scope s;
        weft_scope_open(&s, 0, WEFT_FOREVER);
        CHECK_INT(weft_spawn(NULL, nap, &m), 0);
        begun(&m);
        weft_scope_cancel(&s, reasons[k]);
        weft_scope_cancel(&s, WEFT_EINVAL);
        CHECK_INT(weft_scope_why(&s), reasons[k]);
        int rc = weft_sleep(LONG);
        CHECK_INT(rc, WEFT_ECANCELED);
        CHECK_INT(weft_scope_close(&s, rc), reasons[k]);
        CHECK_INT(m.woken, WEFT_ECANCELED);
    }
}

/* [S69] [S70] */
TASK_TEST(scope, cancelled_early_or_late, "a cancelled scope refuses to spawn; one that nobody met is no error")
{
    struct member m = MEMBER(.nap = 0);
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_cancel(&s, 0);
    CHECK_INT(weft_spawn(NULL, nap, &m), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &m), 0);
    while (!m.ended) weft_yield();
    weft_scope_cancel(&s, 0);
    CHECK_INT(weft_scope_close(&s, 3), 3);
}

static int
two_scopes(void *arg)
{
    struct member *m = arg;
    weft_scope o, s;
    weft_scope_open(&o, 0, WEFT_FOREVER);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_cancel(&o, 0);
    weft_scope_cancel(&s, 0);
    int rc = weft_sleep(m->nap);
    rc = weft_scope_close(&s, rc);
    CHECK_INT(rc, WEFT_ECANCELED);
    return weft_scope_close(&o, rc);
}

/* [S71] [S72] */
TASK_TEST(scope, outermost_wins, "where an outer scope is cancelled as well, the inner one returns WEFT_ECANCELED")
{
    struct member m = MEMBER(.nap = LONG);
    CHECK_INT(two_scopes(&m), 0);
    CHECK_INT(weft_check(), 0);
}

/* [S73] [S74] [S75] */
TASK_TEST(scope, born_cancelled,
          "a scope that is opened inside of a cancelled one is cancelled; what is outside is not")
{
    struct member other = MEMBER(.nap = 6 * WEFT_MS);
    weft_scope root, o, s;
    weft_scope_open(&root, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &other), 0);
    weft_scope_open(&o, 0, WEFT_FOREVER);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_cancel(&o, 0);
    CHECK(weft_scope_iscancelled(&s));
    CHECK_INT(weft_scope_close(&s, 0), 0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK(weft_scope_iscancelled(&s));
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(weft_scope_close(&o, 0), 0);
    CHECK_INT(weft_check(), 0);
    CHECK_INT(weft_scope_close(&root, 0), 0);
    CHECK_INT(other.woken, 0);
}

/* [S76] [S77] [S85] */
TASK_TEST(scope, cleanup, "closing waits for members that clean up")
{
    struct member m = MEMBER(.nap = LONG, .cleanup = 10 * WEFT_MS);
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &m), 0);
    begun(&m);
    weft_scope_cancel(&s, 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(m.ended, 1);
}

/* [S78] */
TASK_TEST(scope, wide, "a scope with very many members is cancelled")
{
    int n = scaled(100000);
    struct member m = MEMBER(.nap = LONG);
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int rc = 0;
    for (int k = 0; k < n && rc == 0; k++) rc = weft_spawn(NULL, nap, &m);
    CHECK_INT(rc, 0);
    begun(&m);
    weft_scope_cancel(&s, 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(m.woken, WEFT_ECANCELED);
    CHECK_INT(m.ended, m.begun);
}

struct depth {
    int left;
    _Atomic bool *bottom;
};

static int
opens_deeper(void *arg)
{
    struct depth *d = arg, next = {d->left - 1, d->bottom};
    weft_scope s;
    if (d->left == 0) {
        *d->bottom = true;
        return weft_sleep(LONG);
    }
    weft_scope_open(&s, 0, WEFT_FOREVER);
    return weft_scope_close(&s, weft_spawn(NULL, opens_deeper, &next));
}

/* [S79] */
TASK_TEST(scope, deep, "a very deep nest of scopes is cancelled from outside")
{
    _Atomic bool bottom = false;
    struct depth d = {scaled(50000), &bottom};
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, opens_deeper, &d), 0);
    while (!bottom) weft_yield();
    weft_scope_cancel(&s, 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
}

static _Atomic int leaves;

static int
counting_tree(void *arg)
{
    int left = (int)(intptr_t)arg;
    if (left == 0) {
        atomic_fetch_add(&leaves, 1);
        return 0;
    }
    int rc = weft_spawn(NULL, counting_tree, (void *)(intptr_t)(left - 1));
    return rc < 0 ? rc : weft_spawn(NULL, counting_tree, (void *)(intptr_t)(left - 1));
}

/* [S80] [S90] */
TASK_TEST(scope, fork_tree, "closing waits for whatever members spawn, however many")
{
    int depth = TEST_SMALL ? 7 : 16;
    leaves = 0;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_scope_close(&s, counting_tree((void *)(intptr_t)depth)), 0);
    CHECK_INT(leaves, 1 << depth);
}

static int
fib(void *arg)
{
    long *n = arg;
    if (*n < 2) return 0;
    long x = *n - 1, y = *n - 2;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int rc = weft_spawn(NULL, fib, &x);
    (void)fib(&y);
    rc = weft_scope_close(&s, rc);
    *n = x + y;
    return rc;
}

TASK_TEST(scope, recursion, "a recursion with a scope for each call")
{
    long n = TEST_SMALL ? 10 : 22, expected = TEST_SMALL ? 55 : 17711;
    CHECK_INT(fib(&n), 0);
    CHECK_INT((int)n, (int)expected);
}

static int
joins_in_scope(void *arg)
{
    long *n = arg;
    if (*n < 2) return 0;
    long x = *n - 1, y = *n - 2;
    weft_task *t;
    int rc = weft_spawn(&t, joins_in_scope, &x);
    (void)joins_in_scope(&y);
    if (rc == 0) rc = weft_join(t);
    *n = x + y;
    return rc;
}

TASK_TEST(scope, recursion_inside, "a recursion of forks and joins inside of one scope, also where it is stolen")
{
    long n[4], expected = TEST_SMALL ? 55 : 17711;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int rc = 0;
    for (int k = 0; k < 4 && rc == 0; k++) {
        n[k] = TEST_SMALL ? 10 : 22;
        rc = weft_spawn(NULL, joins_in_scope, &n[k]);
    }
    CHECK_INT(weft_scope_close(&s, rc), 0);
    for (int k = 0; k < 4; k++) CHECK_INT((int)n[k], (int)expected);
}

static int
goes_through(void *arg)
{
    until(arg, 1);
    return 0;
}

/* [S88] [S89] */
TASK_TEST(scope, wait, "weft_scope_wait waits for the members, and leaves the scope open")
{
    _Atomic int gate = 0;
    struct member m = MEMBER(.nap = WEFT_MS);
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_scope_wait(&s), 0);
    CHECK_INT(weft_spawn(NULL, goes_through, (void *)&gate), 0);
    CHECK_INT(weft_scope_wait_until(&s, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_scope_wait_until(&s, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK(!weft_scope_iscancelled(&s));
    gate = 1;
    CHECK_INT(weft_scope_wait(&s), 0);
    CHECK_INT(weft_spawn(NULL, nap, &m), 0);
    CHECK_INT(weft_scope_wait(&s), 0);
    CHECK_INT(m.woken, 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
}

/* [S87] */
TASK_TEST(scope, spawn_and_cancel, "a spawn that races with a cancellation is refused, dropped, or run")
{
    int n = scaled(5000);
    for (int k = 0; k < n; k++) {
        enum { MANY = 4 };
        struct member m[MANY];
        int refused = 0;
        weft_scope s;
        weft_scope_open(&s, 0, WEFT_FOREVER);
        for (int i = 0; i < MANY; i++) {
            m[i] = MEMBER(.nap = 0);
            int rc = launch(NULL, nap, &m[i]);
            CHECK(rc == 0 || rc == WEFT_ECANCELED);
            if (rc < 0) refused++;
            if (i == k % MANY) weft_scope_cancel(&s, 0);
        }
        CHECK_INT(weft_scope_close(&s, 0), 0);
        for (int i = 0; i < MANY; i++) refused += m[i].ended + m[i].dropped;
        CHECK_INT(refused, MANY);
    }
}

static _Atomic int told;

static void
tell(const char *what)
{
    if (strstr(what, "scope")) atomic_fetch_add(&told, 1);
}

/* What goes wrong here is left in memory that stays. */
static weft_scope first, second;

static int
out_of_order(void *arg)
{
    (void)arg;
    weft_scope_open(&first, 0, WEFT_FOREVER);
    weft_scope_open(&second, 0, WEFT_FOREVER);
    CHECK_INT(weft_scope_close(&first, 0), WEFT_EINVAL);
    CHECK_INT(weft_scope_close(&second, 0), 0);
    return weft_scope_close(&first, 0);
}

static int
leaves_open(void *arg)
{
    (void)arg;
    weft_scope_open(&first, 0, WEFT_FOREVER);
    return 0;
}

static int
waits_for_forgetful(void *arg)
{
    weft_task *t = spawned(leaves_open, arg);
    return weft_join(t);
}

static int
spawns_too_late(void *arg)
{
    (void)arg;
    weft_scope_open(&first, 0, WEFT_FOREVER);
    CHECK_INT(weft_scope_close(&first, 0), 0);
    CHECK_INT(weft_scope_close(&first, 0), WEFT_EINVAL);
    CHECK_INT(weft_spawn_with(NULL, leaves_open, NULL, &(weft_task_options){.scope = &first}), WEFT_EINVAL);
    return 0;
}

static int
closes_other(void *arg)
{
    CHECK_INT(weft_scope_close(arg, 0), WEFT_EINVAL);
    return 0;
}

static int
closed_by_other(void *arg)
{
    (void)arg;
    weft_scope_open(&first, 0, WEFT_FOREVER);
    return weft_scope_close(&first, weft_spawn(NULL, closes_other, &first));
}

/* [S81] [S82] [S83] [S84] */
TEST(scope, misuse, "a scope that is closed out of order, by another, or never, or spawned into later, is reported")
{
    static const struct {
        weft_fn *fn;
        int times;
    } cases[] = {
        {out_of_order, 1}, {waits_for_forgetful, 1}, {leaves_open, 1}, {spawns_too_late, 2}, {closed_by_other, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        told = 0;
        CHECK_INT(weft_run(&(weft_config){.size = sizeof(weft_config), .on_misuse = tell}, cases[k].fn, NULL), 0);
        CHECK_INT(told, cases[k].times);
    }
}

/* ---- Plain threads ------------------------------------------------------------------------------------------------- */

static void *
cancels_late(void *arg)
{
    usleep(2000);
    weft_scope_cancel(arg, WEFT_EPERM);
    return NULL;
}

TEST(scope, plain_thread, "a plain thread opens scopes too: its members end, and it is woken where it is blocked")
{
    struct member m = MEMBER(.nap = LONG), n = MEMBER(.nap = WEFT_MS);
    weft_scope s;
    CHECK_INT(weft_start(NULL), 0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK(weft_scope_current() == &s);
    CHECK_INT(weft_scope_close(&s, weft_spawn(NULL, nap, &n)), 0);
    CHECK_INT(n.woken, 0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &m), 0);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, cancels_late, &s), 0);
    int rc = weft_sleep(LONG);
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK_INT(weft_check(), WEFT_ECANCELED);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(weft_scope_close(&s, rc), WEFT_EPERM);
    CHECK(m.woken == WEFT_ECANCELED || m.ended == 0);
    CHECK_INT(weft_check(), 0);
    CHECK_INT(weft_stop(), 0);
}

TEST(scope, plain_thread_nested, "a plain thread is woken in an inner scope when an outer one is cancelled")
{
    weft_scope outer, middle, inner;
    pthread_t thread;
    CHECK_INT(weft_start(NULL), 0);
    weft_scope_open(&outer, 0, WEFT_FOREVER);
    weft_scope_open(&middle, 0, WEFT_FOREVER);
    weft_scope_open(&inner, 0, WEFT_FOREVER);
    CHECK_INT(pthread_create(&thread, NULL, cancels_late, &outer), 0);
    int rc = weft_sleep(LONG);
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK_INT(pthread_join(thread, NULL), 0);
    rc = weft_scope_close(&middle, weft_scope_close(&inner, rc));
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&outer, rc), WEFT_EPERM);
    CHECK_INT(weft_stop(), 0);
}
