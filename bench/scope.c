/* scope.c - what scopes cost: forking and joining through one, asking whether it is cancelled, cancelling a crowd. */
#include "forkjoin.h"

#include <stdatomic.h>
#include <weft/event.h>
#include <weft/scope.h>

/* ---- Fork and join through a scope: the Fibonacci numbers, without a cut-off ---------------------------------------- */

static int
by_scope(void *arg)
{
    struct fib *f = arg;
    if (f->n < 2) {
        f->result = (uint64_t)f->n;
        return 0;
    }
    struct fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int code = weft_spawn(NULL, by_scope, &a);
    if (code == 0) code = by_scope(&b);
    if (weft_scope_close(&s, code) < 0) return -1;
    f->result = a.result + b.result;
    return 0;
}

static void
scope_and_close(struct bench_sample *s)
{
    fib_sample(s, by_scope);
}

/* ---- A look at a scope that is not cancelled ------------------------------------------------------------------------- */

static int
checks(void)
{
    return bench_size(20000000, 2000000);
}

/* In a task, two scopes below the root. */
static int
check_often(void *arg)
{
    struct bench_sample *sample = arg;
    int n = checks(), cancelled = 0;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) cancelled += weft_check();
    sample->values[0] = bench_since(begun, n);
    bench_expect((uint64_t)cancelled, 0, "checks that found a cancellation");
    return weft_scope_close(&s, 0);
}

static void
check(struct bench_sample *sample)
{
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    ok(weft_spawn(NULL, check_often, sample), "weft_spawn");
    ok(weft_scope_close(&s, 0), "weft_scope_close");
}

__attribute__((noinline)) static int
look(const _Atomic int *flag)
{
    return atomic_load_explicit(flag, memory_order_acquire);
}

static void
check_flag(struct bench_sample *s)
{
    _Atomic int flag = 0;
    int n = checks(), cancelled = 0;
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) cancelled += look(&flag);
    s->values[0] = bench_since(begun, n);
    bench_expect((uint64_t)cancelled, 0, "checks that found a cancellation");
}

/* ---- A hundred thousand that wait are cancelled, and have ended ------------------------------------------------------ */

static _Atomic int64_t arrived, cancelled;

static int
crowd(void)
{
    return bench_size(100000, 10000);
}

static int
wait_for_ever(void *arg)
{
    atomic_fetch_add_explicit(&arrived, 1, memory_order_relaxed);
    int code = weft_event_wait(arg);
    if (code == WEFT_ECANCELED) atomic_fetch_add_explicit(&cancelled, 1, memory_order_relaxed);
    return code;
}

/* Tasks that wait for one event, in a scope; end() lets them go on, and they are waited for. */
static void
let_go(struct bench_sample *sample, void (*end)(weft_scope *s, weft_event *e), int64_t expected)
{
    int n = crowd();
    weft_event never = WEFT_EVENT_INIT;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int i = 0; i < n; i++) ok(weft_spawn(NULL, wait_for_ever, &never), "weft_spawn");
    while (atomic_load_explicit(&arrived, memory_order_relaxed) < n) weft_yield();
    for (int i = 0; i < 10 * weft_nworkers(); i++) weft_yield(); /* the last ones wait, too */
    int64_t begun = bench_now();
    end(&s, &never);
    ok(weft_scope_close(&s, 0), "weft_scope_close");
    sample->values[0] = (double)(bench_now() - begun) / 1e6;
    bench_expect((uint64_t)cancelled, (uint64_t)expected, "cancelled");
}

static void
end_by_cancel(weft_scope *s, weft_event *e)
{
    (void)e;
    weft_scope_cancel(s, 0);
}

static void
end_by_notify(weft_scope *s, weft_event *e)
{
    (void)s;
    weft_event_notify(e);
}

static void
cancel_all(struct bench_sample *s)
{
    let_go(s, end_by_cancel, crowd());
}

static void
notify_all(struct bench_sample *s)
{
    let_go(s, end_by_notify, 0);
}

static const struct bench_value fork_values[] = {{"scope-fork", "ns", "fork"}};
static const struct bench_variant fork_variants[] = {
    {"serial", BENCH_TWIN, fib_twin},
    {"scope", BENCH_ONE_AND_ALL, scope_and_close},
    {"spawn+join", BENCH_ONE_AND_ALL, spawn_and_join},
};
static const struct bench_value check_values[] = {{"scope-check", "ns", "check"}};
static const struct bench_variant check_variants[] = {
    {"flag", BENCH_TWIN, check_flag},
    {"weft_check", BENCH_ONE_AND_ALL, check},
};
static const struct bench_value cancel_values[] = {{"scope-cancel", "ms", "crowd"}};
static const struct bench_variant cancel_variants[] = {
    {"cancel", BENCH_ONE_AND_ALL, cancel_all},
    {"event", BENCH_ONE_AND_ALL, notify_all},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(fork_values, fork_variants, 0),
    BENCH_GROUP(check_values, check_variants, 0),
    BENCH_GROUP(cancel_values, cancel_variants, 0),
};

BENCH_MAIN(groups)
