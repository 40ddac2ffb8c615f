/* test_both.c - weft_both: both run, once each, and what is returned; deep recursions, bodies that park, cancellations, threads. */
#include <pthread.h>
#include <weft/scope.h>

#include "task_kit.h"

struct side {
    int code;
    _Atomic int runs;
};

static int
end_with(void *arg)
{
    struct side *s = arg;
    atomic_fetch_add(&s->runs, 1);
    if (s->code % 2) weft_yield();
    return s->code;
}

static void
check_codes(void)
{
    static const int codes[] = {0, 5, 4, WEFT_EPERM, WEFT_EBUSY};
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 5; k++) {
            struct side f = {.code = codes[i]}, g = {.code = codes[k]};
            CHECK_INT(weft_both(end_with, &f, end_with, &g), codes[i] < 0 ? codes[i] : codes[k]);
            CHECK_INT(f.runs, 1);
            CHECK_INT(g.runs, 1);
        }
    }
}

TASK_TEST(both, codes, "both: each runs once, and the first's code is returned if it failed, else the second's")
{
    for (int i = 0; i < 20; i++) check_codes();
}

static void *
check_on_thread(void *arg)
{
    (void)arg;
    check_codes();
    return NULL;
}

TEST(both, threads, "both: plain threads may call it, at the same time, and in a scope of their own")
{
    pthread_t threads[3];
    weft_scope s;
    CHECK_INT(weft_start(NULL), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(pthread_create(&threads[i], NULL, check_on_thread, NULL), 0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    check_codes(); /* failures are not the scope's */
    CHECK_INT(weft_scope_close(&s, 0), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(weft_stop(), 0);
}

TASK_TEST(both, arguments, "both: what cannot be is an error, and nothing runs")
{
    struct side s = {.code = 0};
    CHECK_INT(weft_both(NULL, NULL, end_with, &s), WEFT_EINVAL);
    CHECK_INT(weft_both(end_with, &s, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(s.runs, 0);
}

struct fib {
    int n;
    int64_t value;
    unsigned parks; /* one of so many; 0: none */
};

static int
fib(void *arg)
{
    struct fib *f = arg;
    if (f->parks && (unsigned)f->n % f->parks == 0) weft_yield();
    if (f->n < 2) {
        f->value = f->n;
        return 0;
    }
    struct fib a = {f->n - 1, 0, f->parks}, b = {f->n - 2, 0, f->parks};
    int rc = weft_both(fib, &a, fib, &b);
    f->value = a.value + b.value;
    return rc;
}

/* The same in scopes that count their members, where no fork is fast. */
static void
check_fib(unsigned flags, bool limited, unsigned parks)
{
    struct fib f = {limited || flags ? 12 : TEST_SMALL ? 14 : 20, -1, parks};
    int64_t a = 0, b = 1;
    weft_scope s;
    weft_scope_open(&s, flags, WEFT_FOREVER);
    if (limited) weft_scope_limit(&s, 1);
    CHECK_INT(weft_scope_close(&s, fib(&f)), 0);
    for (int i = 0; i < f.n; i++) {
        int64_t next = a + b;
        a = b;
        b = next;
    }
    CHECK_INT(f.value, a);
}

TASK_TEST(both, recursion, "both: a recursion is as its serial twin, in every kind of scope, whether it parks or not")
{
    for (unsigned parks = 0; parks < 10; parks += 3) {
        check_fib(0, false, parks);
        check_fib(WEFT_RACE, false, parks);
        check_fib(WEFT_KEEP, false, parks);
        check_fib(WEFT_SUPERVISE, true, parks);
        check_fib(WEFT_SHIELD, false, parks);
    }
}

/* Each side waits for the other: they must be able to run at the same time, or one after the other while both are parked. */
struct pair {
    weft_channel *to[2];
};

static int
first_talks(void *arg)
{
    struct pair *p = arg;
    int rc = 0;
    for (int i = 0; i < 10 && rc == 0; i++) {
        rc = weft_channel_put(p->to[0], NULL);
        if (rc == 0) rc = weft_channel_take(p->to[1], NULL);
    }
    return rc;
}

static int
second_talks(void *arg)
{
    struct pair *p = arg;
    int rc = 0;
    for (int i = 0; i < 10 && rc == 0; i++) {
        rc = weft_channel_take(p->to[0], NULL);
        if (rc == 0) rc = weft_channel_put(p->to[1], NULL);
    }
    return rc;
}

TASK_TEST(both, talk, "both: while the first parks the second runs: they may wait for each other")
{
    struct pair p;
    for (int i = 0; i < 2; i++) CHECK_INT(weft_channel_new(&p.to[i], 0, 0), 0);
    for (int i = 0; i < 20; i++) CHECK_INT(weft_both(first_talks, &p, second_talks, &p), 0);
    for (int i = 0; i < 2; i++) weft_channel_release(p.to[i]);
}

static int
cancel_scope(void *arg)
{
    weft_scope_cancel(arg, 0);
    return 0;
}

TASK_TEST(both, cancelled,
          "both: in a scope that is cancelled neither runs; if the first does it, the second has run or not")
{
    struct side g = {.code = 0};
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int rc = weft_both(cancel_scope, &s, end_with, &g);
    CHECK(rc == (g.runs ? 0 : WEFT_ECANCELED));
    if (weft_nworkers() == 1) CHECK_INT(g.runs, 0);
    int before = g.runs;
    CHECK_INT(weft_both(end_with, &g, end_with, &g), WEFT_ECANCELED);
    CHECK_INT(g.runs, before);
    CHECK_INT(weft_scope_close(&s, 0), 0);
}

/* The first returns; the second, which the caller has taken back or another worker runs, parks for ever. */
static int
park_for_ever(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return weft_sleep_until(WEFT_FOREVER);
}

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
fork_for_ever(void *arg)
{
    return weft_both(nothing, NULL, park_for_ever, arg);
}

TASK_TEST(both, caller_cancelled, "both: weft_cancel of the caller reaches the second, in every kind of scope")
{
    static const unsigned flags[] = {0, WEFT_RACE, WEFT_KEEP, WEFT_SUPERVISE};
    for (int i = 0; i < 40; i++) {
        _Atomic int parked = 0;
        weft_scope s;
        weft_task *t = NULL;
        weft_scope_open(&s, flags[i % 4], WEFT_FOREVER);
        CHECK_INT(weft_spawn(&t, fork_for_ever, (void *)&parked), 0);
        until(&parked, 1);
        CHECK(weft_cancel(t));
        CHECK_INT(weft_wait(t), WEFT_ECHILD);
        CHECK_INT(weft_task_error(t), WEFT_ECANCELED);
        weft_task_release(t);
        CHECK_INT(weft_scope_close(&s, 0), 0);
    }
}
