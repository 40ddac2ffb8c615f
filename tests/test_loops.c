/* test_loops.c - what all loops have in common: each kind, by a table, in scopes of every kind, cancelled in every way, from
 * tasks and plain threads, nested, with bodies that park or fail; what is a call's own, and leaves nothing behind. */
#include <pthread.h>
#include <stdlib.h>
#include <weft/scope.h>

#include "parallel_kit.h"

enum { N = 8, SORTED = 3000, SCANNED = 300 };

/* What bodies do, and what has become of them. */
struct probe {
    int (*act)(struct probe *p, size_t index);
    _Atomic int begun, inside, elsewhere; /* elsewhere: not on an ordinary worker */
    _Atomic size_t indices;               /* sum of those whose body ran */
    weft_channel *gate;
    weft_mutex mutex;
    int wanted, depth, kind;
};

static int
visit(struct probe *p, size_t index)
{
    atomic_fetch_add(&p->begun, 1);
    atomic_fetch_add(&p->inside, 1);
    if (weft_worker() < 0 || weft_worker() >= weft_nworkers()) atomic_fetch_add(&p->elsewhere, 1);
    int rc = p->act ? p->act(p, index) : 0;
    atomic_fetch_add(&p->indices, index);
    atomic_fetch_sub(&p->inside, 1);
    return rc;
}

static int
visit_range(size_t begin, size_t end, void *ctx)
{
    int rc = 0;
    for (size_t i = begin; i < end && rc >= 0; i++) rc = visit(ctx, i);
    return rc;
}

static int
visit_tile(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    int rc = 0;
    for (size_t r = r0; r < r1; r++)
        for (size_t c = c0; c < c1 && rc >= 0; c++) rc = visit(ctx, r * 2 + c);
    return rc;
}

static int
visit_map(size_t begin, size_t end, void *acc, void *ctx)
{
    for (size_t i = begin; i < end; i++) *(size_t *)acc += i;
    return visit_range(begin, end, ctx);
}

static void
add(void *into, const void *from, void *ctx)
{
    (void)ctx;
    *(size_t *)into += *(const size_t *)from;
}

static void
visit_and_add(void *into, const void *from, void *ctx)
{
    (void)visit(ctx, 0);
    add(into, from, NULL);
}

static int
visit_and_compare(const void *a, const void *b, void *ctx)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    (void)visit(ctx, 0);
    return (x > y) - (x < y);
}

static int
visit_element(const void *in, void *out, size_t count, void *ctx)
{
    (void)out, (void)count;
    return visit(ctx, *(const size_t *)in);
}

static int
visit_value(void *value, void *ctx)
{
    return visit(ctx, *(size_t *)value);
}

static int
visit_first(void *arg)
{
    return visit(arg, 0);
}

static int
visit_second(void *arg)
{
    return visit(arg, 1);
}

/* ---- The kinds.  Each runs its bodies over n indices (or elements), and returns what the call did; what a call that succeeded
 * has computed is checked here. */

static int
run_for(struct probe *p, size_t n)
{
    return weft_for(0, n, 1, visit_range, p);
}

static int
run_lazy(struct probe *p, size_t n)
{
    return weft_for(0, n, 0, visit_range, p);
}

static int
run_2d(struct probe *p, size_t n)
{
    return weft_for_2d(n / 2, 2, 1, visit_tile, p);
}

static int
run_static(struct probe *p, size_t n)
{
    return weft_for_static(0, n, visit_range, p);
}

static int
run_reduce(struct probe *p, size_t n)
{
    static const size_t none;
    const weft_reduction r = {sizeof none, &none, visit_map, add};
    size_t sum = SIZE_MAX;
    int rc = weft_reduce(0, n, 1, &r, p, &sum);
    CHECK(sum == (rc < 0 ? SIZE_MAX : n > 0 ? n * (n - 1) / 2 : 0));
    return rc;
}

static int
run_scan(struct probe *p, size_t n)
{
    size_t v[SCANNED] = {0}, last = n > 0 ? SCANNED : 0;
    for (size_t i = 0; i < last; i++) v[i] = i;
    int rc = weft_scan(v, v, last, sizeof *v, visit_and_add, p);
    bool right = true;
    for (size_t i = 0; i < last && rc == 0; i++) right = right && v[i] == i * (i + 1) / 2;
    CHECK(right);
    return rc;
}

/* Of the size of a number, or by address. */
static int
sort_elements(struct probe *p, size_t n, size_t size)
{
    size_t last = n > 0 ? SORTED : 0;
    char *v = calloc(SORTED, size);
    if (!v) return WEFT_ENOMEM;
    for (size_t i = 0; i < last; i++) memcpy(v + i * size, &(size_t){i * 7919 % SORTED}, sizeof i);
    int rc = weft_sort(v, last, size, visit_and_compare, p);
    bool right = true;
    for (size_t i = 0; i < last && rc == 0; i++) right = right && memcmp(v + i * size, &i, sizeof i) == 0;
    CHECK(right);
    free(v);
    return rc;
}

static int
run_sort(struct probe *p, size_t n)
{
    return sort_elements(p, n, sizeof(size_t));
}

static int
run_sort_large(struct probe *p, size_t n)
{
    return sort_elements(p, n, 5 * sizeof(size_t));
}

static size_t
three(void *ctx)
{
    (void)ctx;
    return 3;
}

static int
map_with(struct probe *p, size_t n, const weft_map_options *opt)
{
    size_t v[N] = {0, 1, 2, 3, 4, 5, 6, 7};
    return weft_map(v, sizeof *v, NULL, 0, n, visit_element, p, opt);
}

static int
run_map(struct probe *p, size_t n)
{
    return map_with(p, n, &(weft_map_options){.ntasks = 4});
}

static int
run_map_fn(struct probe *p, size_t n)
{
    return map_with(p, n, &(weft_map_options){.ntasks_fn = three});
}

static int
run_each(struct probe *p, size_t n)
{
    weft_channel *c;
    int rc = weft_channel_new(&c, sizeof n, N);
    if (rc < 0) return rc;
    for (size_t i = 0; i < n; i++) (void)!weft_channel_put(c, &i);
    weft_channel_close(c, 0);
    rc = weft_for_each(c, 3, visit_value, p);
    weft_channel_release(c);
    return rc;
}

static int
run_both(struct probe *p, size_t n)
{
    (void)n;
    return weft_both(visit_first, p, visit_second, p);
}

static const struct kind {
    const char *name;
    int (*run)(struct probe *p, size_t n);
    int together; /* bodies that are certainly inside if all park; 0: as many as there are workers, and at most N */
    bool indexed; /* its bodies have indices, and may fail */
    bool void_;   /* has no empty range */
    bool inside;  /* a caller on the interactive pool runs a part itself */
} kinds[] = {
    {"for", run_for, N, true, false, false},       {"for, lazily", run_lazy, 1, true, false, false},
    {"for_2d", run_2d, N, true, false, false},     {"for_static", run_static, 0, true, false, false},
    {"reduce", run_reduce, 1, true, false, false}, {"scan", run_scan, 1, false, false, false},
    {"sort", run_sort, 1, false, false, false},    {"sort by address", run_sort_large, 1, false, false, false},
    {"map", run_map, 4, true, false, false},       {"map with a function", run_map_fn, 3, true, false, false},
    {"for_each", run_each, 3, true, false, false}, {"both", run_both, 2, true, true, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static int
together(const struct kind *k)
{
    int workers = weft_nworkers();
    return k->together ? k->together : workers < N ? workers : N;
}

struct call {
    const struct kind *kind;
    struct probe probe;
    int code;
};

static int
run_call(void *arg)
{
    struct call *c = arg;
    c->code = c->kind->run(&c->probe, N);
    CHECK_INT(c->probe.inside, 0); /* when the call returns all is over */
    return c->code;
}

/* ---- Scopes ----------------------------------------------------------------------------------------------------------- */

static int
nap_a_little(struct probe *p, size_t index)
{
    (void)index;
    return atomic_load(&p->begun) <= N ? weft_sleep(20 * WEFT_US) : 0;
}

/* Runs the loop, and returns what no helper of it would. */
static int
complete(void *arg)
{
    struct call *c = arg;
    int rc = run_call(arg);
    return rc < 0 ? rc : weft_sleep(WEFT_MS) < 0 ? WEFT_ECANCELED : 4711 + 0 * c->code;
}

TASK_TEST(loops, in_a_race, "a loop inside of a race: its parts are no racers, only the task that called it wins")
{
    for (int k = 0; k < KINDS; k++) {
        struct call c = {.kind = &kinds[k], .probe = {.act = nap_a_little}};
        weft_scope s;
        weft_task *t = NULL;
        weft_scope_open(&s, WEFT_RACE, WEFT_FOREVER);
        CHECK_INT(weft_spawn(&t, complete, &c), 0);
        CHECK_INT(weft_scope_close(&s, 0), 0);
        if (!CHECK_INT(weft_join(t), 4711) || !CHECK_INT(c.code, 0)) test__note("%s", kinds[k].name);
    }
}

TASK_TEST(loops, members, "a loop inside of a scope that keeps its members adds none")
{
    for (int k = 0; k < KINDS; k++) {
        struct call c = {.kind = &kinds[k], .probe = {.act = nap_a_little}};
        weft_scope s;
        weft_task *t = NULL, *ended = NULL;
        weft_scope_open(&s, WEFT_KEEP, WEFT_FOREVER);
        CHECK_INT(weft_spawn(&t, run_call, &c), 0);
        CHECK_INT(weft_scope_next(&s, &ended), 0);
        if (!CHECK(ended == t)) test__note("%s", kinds[k].name);
        weft_task_release(ended);
        CHECK_INT(weft_scope_next(&s, &ended), WEFT_ENOENT);
        CHECK_INT(weft_scope_close(&s, 0), 0);
        CHECK_INT(weft_join(t), 0);
    }
}

TASK_TEST(loops, limited, "a loop inside of a scope that is full does not wait for room")
{
    for (int k = 0; k < KINDS; k++) {
        struct call c = {.kind = &kinds[k], .probe = {.act = nap_a_little}};
        weft_scope s;
        weft_scope_open(&s, 0, WEFT_FOREVER);
        weft_scope_limit(&s, 1);
        CHECK_INT(weft_spawn(NULL, run_call, &c), 0);
        CHECK_INT(weft_spawn(NULL, run_call, &c), 0);
        CHECK_INT(weft_scope_close(&s, 0), 0);
        if (!CHECK_INT(c.code, 0)) test__note("%s", kinds[k].name);
    }
}

static int
fail_at_three(struct probe *p, size_t index)
{
    if (p->wanted) until(&p->begun, p->wanted);
    return index == 3 || index == 1 ? WEFT_EPERM : 0;
}

TASK_TEST(loops, failure_is_the_callers, "a failure of a body is the caller's business: its scope is not cancelled")
{
    for (int k = 0; k < KINDS; k++) {
        struct call c = {.kind = &kinds[k], .probe = {.act = fail_at_three}};
        weft_scope s;
        weft_scope_open(&s, 0, WEFT_FOREVER);
        int rc = kinds[k].run(&c.probe, N);
        if (!CHECK_INT(rc, kinds[k].indexed ? WEFT_EPERM : 0)) test__note("%s", kinds[k].name);
        CHECK_INT(weft_check(), 0);
        CHECK_INT(weft_scope_close(&s, 0), 0);
    }
}

/* ---- Cancellation ----------------------------------------------------------------------------------------------------- */

static int
sleep_for_ever(struct probe *p, size_t index)
{
    (void)p, (void)index;
    return weft_sleep_until(WEFT_FOREVER);
}

/* A single worker looks up from a scan when it has done all of it. */
static bool
is_cancelled(const struct kind *k, int code)
{
    return code == WEFT_ECANCELED || (code == 0 && k->run == run_scan && weft_nworkers() == 1);
}

TASK_TEST(loops, caller_cancelled, "weft_cancel of a task that runs a loop reaches the bodies, wherever they park")
{
    for (int k = 0; k < KINDS; k++) {
        struct call c = {.kind = &kinds[k], .probe = {.act = sleep_for_ever}};
        weft_task *t = spawned(run_call, &c);
        until(&c.probe.begun, together(&kinds[k]));
        CHECK(weft_cancel(t));
        if (!CHECK(is_cancelled(&kinds[k], weft_join(t)))) test__note("%s", kinds[k].name);
        if (kinds[k].together > 1) CHECK_INT(c.probe.begun, kinds[k].together);
    }
}

TASK_TEST(loops, scope_cancelled, "a scope that is cancelled from outside ends the loops in it, and they say so")
{
    for (int k = 0; k < KINDS; k++) {
        struct call c = {.kind = &kinds[k], .probe = {.act = sleep_for_ever}};
        weft_scope s;
        weft_task *t = NULL;
        weft_scope_open(&s, 0, WEFT_FOREVER);
        CHECK_INT(weft_spawn(&t, run_call, &c), 0);
        until(&c.probe.begun, together(&kinds[k]));
        weft_scope_cancel(&s, WEFT_EBUSY);
        CHECK_INT(weft_scope_close(&s, 0), WEFT_EBUSY);
        if (!CHECK(is_cancelled(&kinds[k], weft_join(t)))) test__note("%s", kinds[k].name);
        CHECK_INT(c.probe.inside, 0);
    }
}

/* Long enough that it would never end. */
static int
compute_for_ever(struct probe *p, size_t index)
{
    (void)index;
    return weft_check() < 0 ? WEFT_ECANCELED : p->begun < 0;
}

static int
run_again_and_again(const struct kind *k, struct probe *p)
{
    int rc;
    do rc = k->run(p, N);
    while (rc >= 0);
    return rc;
}

TASK_TEST(loops, deadline, "a deadline around loops ends them, whether their bodies park or compute")
{
    for (int k = 0; k < KINDS; k++) {
        for (int computes = 0; computes < 2; computes++) {
            struct probe p = {.act = computes ? compute_for_ever : sleep_for_ever};
            weft_scope s;
            weft_scope_open(&s, 0, weft_in(WEFT_MS));
            int rc = run_again_and_again(&kinds[k], &p);
            if (!CHECK_INT(rc, WEFT_ECANCELED)) test__note("%s", kinds[k].name);
            CHECK_INT(p.inside, 0);
            CHECK_INT(weft_scope_close(&s, rc), WEFT_ETIMEDOUT);
        }
    }
}

TASK_TEST(loops, empty, "an empty range calls nothing, which is a success, but in a scope that is cancelled")
{
    for (int k = 0; k < KINDS; k++) {
        struct probe p = {.act = sleep_for_ever};
        weft_scope s;
        if (!kinds[k].void_) CHECK_INT(kinds[k].run(&p, 0), 0);
        weft_scope_open(&s, 0, WEFT_FOREVER);
        weft_scope_cancel(&s, 0);
        if (!CHECK_INT(kinds[k].run(&p, 0), WEFT_ECANCELED)) test__note("%s", kinds[k].name);
        CHECK_INT(weft_scope_close(&s, 0), 0);
        CHECK_INT(p.begun, 0);
    }
}

/* ---- Plain threads ---------------------------------------------------------------------------------------------------- */

struct thread {
    struct call call;
    weft_scope scope;
    _Atomic int opened;
    int closed;
};

static void *
call_in_scope(void *arg)
{
    struct thread *t = arg;
    weft_scope_open(&t->scope, 0, WEFT_FOREVER);
    atomic_store(&t->opened, 1);
    (void)run_call(&t->call);
    t->closed = weft_scope_close(&t->scope, 0);
    return NULL;
}

/* Goes on for a while where a cancellation does not reach it. */
static int
outlast(struct probe *p, size_t index)
{
    weft_scope shield;
    (void)index;
    if (atomic_load(&p->begun) > N) return 0; /* comparisons are many */
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    int rc = weft_scope_close(&shield, weft_sleep(3 * WEFT_MS));
    return rc < 0 ? rc : weft_check();
}

TEST(loops, thread_cancelled, "a plain thread in a scope that is cancelled comes back when the bodies are over")
{
    CHECK_INT(weft_start(NULL), 0);
    for (int k = 0; k < KINDS; k++) {
        if (kinds[k].inside) continue; /* its first body runs on the thread itself */
        pthread_t thread;
        static struct thread t;
        t = (struct thread){.call = {.kind = &kinds[k], .probe = {.act = outlast}}};
        CHECK_INT(pthread_create(&thread, NULL, call_in_scope, &t), 0);
        until(&t.call.probe.begun, 1);
        weft_scope_cancel(&t.scope, 0);
        CHECK_INT(pthread_join(thread, NULL), 0);
        if (!CHECK_INT(t.call.probe.inside, 0)) test__note("%s", kinds[k].name);
        CHECK(t.call.code == WEFT_ECANCELED || t.call.code == 0);
        CHECK_INT(t.closed, 0);
    }
    CHECK_INT(weft_stop(), 0);
}

TEST(loops, thread_failure, "a failure of a body does not cancel the scope of a plain thread")
{
    CHECK_INT(weft_start(NULL), 0);
    for (int k = 0; k < KINDS; k++) {
        static struct thread t;
        t = (struct thread){.call = {.kind = &kinds[k], .probe = {.act = fail_at_three}}};
        call_in_scope(&t);
        if (!CHECK_INT(t.call.code, kinds[k].indexed ? WEFT_EPERM : 0)) test__note("%s", kinds[k].name);
        CHECK_INT(t.closed, 0);
    }
    CHECK_INT(weft_stop(), 0);
}

/* Keeps the runtime from ending until threads have seen that it does. */
struct stopping {
    _Atomic int started, begun, may_end, wrong;
    struct call call;
};

static int
hold_up_stop(void *arg)
{
    struct stopping *s = arg;
    atomic_store(&s->started, 1);
    (void)!weft_sleep_until(WEFT_FOREVER);
    atomic_store(&s->begun, 1);
    until(&s->may_end, 1);
    return 0;
}

static void *
call_too_late(void *arg)
{
    struct stopping *s = arg;
    until(&s->begun, 1);
    for (int k = 0; k < KINDS; k++) {
        s->call = (struct call){.kind = &kinds[k]};
        if (run_call(&s->call) != WEFT_ESHUTDOWN || s->call.probe.begun != 0) atomic_fetch_add(&s->wrong, 1);
    }
    atomic_store(&s->may_end, 1);
    return NULL;
}

TEST(loops, too_late, "a plain thread that calls while the runtime stops is told so, and no body runs")
{
    static struct stopping s;
    pthread_t thread;
    s = (struct stopping){.wrong = 0};
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(hold_up_stop, &s);
    CHECK_INT(pthread_create(&thread, NULL, call_too_late, &s), 0);
    until(&s.started, 1);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(s.wrong, 0);
    CHECK_INT(weft_join(t), 0);
}

/* ---- Where bodies run ------------------------------------------------------------------------------------------------- */

static int
call_from_interactive(void *arg)
{
    struct call *c = arg;
    struct gathering g = {.wanted = weft_nworkers()};
    CHECK(weft_worker() >= weft_nworkers());
    for (int k = 0; k < KINDS; k++) {
        *c = (struct call){.kind = &kinds[k]};
        CHECK_INT(run_call(c), 0);
        if (!kinds[k].inside && !CHECK_INT(c->probe.elsewhere, 0)) test__note("%s", kinds[k].name);
        c->probe.act = fail_at_three;
        CHECK_INT(run_call(c), kinds[k].indexed ? WEFT_EPERM : 0);
    }
    CHECK_INT(weft_for(0, 1000, 0, gather, &g), 0); /* all of them */
    CHECK_INT(g.workers, g.wanted);
    return 0;
}

static int
enter_interactive(void *arg)
{
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, call_from_interactive, arg, &(weft_task_options){.flags = WEFT_INTERACTIVE}), 0);
    CHECK_INT(weft_join(t), 0);
    return 0;
}

TEST(loops, interactive, "called on the interactive pool, the bodies run on the ordinary workers, on all of them")
{
    for (int n = 1; n <= 4; n++) {
        struct call c;
        weft_config cfg = {.size = sizeof cfg, .workers = n, .interactive = 1 + n / 3};
        CHECK_INT(weft_run(&cfg, enter_interactive, &c), 0);
    }
}

/* ---- Bodies that park, and nests ---------------------------------------------------------------------------------------- */

static int
meet_and_lock(struct probe *p, size_t index)
{
    int begun = atomic_load(&p->begun);
    if (begun > 2 * N && index == 0) return 0; /* comparisons are many */
    weft_mutex_lock(&p->mutex);
    weft_yield();
    int rc = weft_channel_put(p->gate, &index);
    if (rc == 0) rc = weft_channel_take(p->gate, &index);
    if (weft_mutex_unlock(&p->mutex) < 0) CHECK(false);
    return rc < 0 ? rc : weft_sleep(10 * WEFT_US);
}

TASK_TEST(loops, bodies_park, "bodies may wait for locks, channels, and the time")
{
    for (int k = 0; k < KINDS; k++) {
        struct call c = {.kind = &kinds[k], .probe = {.act = meet_and_lock}};
        CHECK_INT(weft_channel_new(&c.probe.gate, sizeof(size_t), 1), 0);
        if (!CHECK_INT(run_call(&c), 0)) test__note("%s", kinds[k].name);
        if (kinds[k].indexed) CHECK_INT(c.probe.indices, kinds[k].void_ ? 1 : N * (N - 1) / 2);
        weft_channel_release(c.probe.gate);
    }
}

static int
nest(struct probe *p, size_t index)
{
    if (index != 2 && index != 1) return 0; /* comparisons and sums do not nest: they are index 0 */
    struct probe inner = {.act = p->depth > 1 ? nest : NULL, .depth = p->depth - 1, .kind = (p->kind * 7 + 5) % KINDS};
    weft_scope s;
    weft_scope_open(&s, p->kind % 2 ? WEFT_RACE : 0, WEFT_FOREVER);
    int rc = kinds[inner.kind].run(&inner, N);
    if (rc == 0 && inner.inside != 0) rc = WEFT_EPERM;
    return weft_scope_close(&s, rc);
}

TASK_TEST(loops, nested, "loops of each kind in loops of another, in scopes, to some depth")
{
    for (int k = 0; k < KINDS; k++) {
        struct call c = {.kind = &kinds[k], .probe = {.act = nest, .depth = TEST_SMALL ? 2 : 4, .kind = k}};
        if (!CHECK_INT(run_call(&c), 0)) test__note("%s", kinds[k].name);
    }
}

/* ---- What is left: nothing ---------------------------------------------------------------------------------------------- */

static weft_local counted;
static _Atomic int destroyed, made;

static void
destroy(void *value)
{
    (void)value;
    atomic_fetch_add(&destroyed, 1);
}

static int
fail_with_locals(struct probe *p, size_t index)
{
    if (!weft_local_get(counted) && weft_local_set(counted, p) == 0) atomic_fetch_add(&made, 1);
    if (atomic_load(&p->begun) <= N) weft_yield(); /* comparisons are many */
    if (index == 5) return weft_fail(WEFT_EPERM, "five");
    return p->kind && index == 6 ? weft_fail(WEFT_EBUSY, "six") : 0;
}

static int
run_with_locals(void *arg)
{
    (void)!run_call(arg);
    return 0;
}

TEST(loops, leftovers, "of calls that fail no task, reference, local or member is left")
{
    weft_stats stats = {.size = sizeof stats};
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_local_new(&counted, destroy), 0);
    atomic_store(&destroyed, 0);
    atomic_store(&made, 0);
    for (int round = 0; round < 2; round++) {
        for (int k = 0; k < KINDS; k++) {
            struct call c = {.kind = &kinds[k], .probe = {.act = fail_with_locals, .kind = round}};
            weft_task *t = spawned(run_with_locals, &c);
            CHECK_INT(weft_join(t), 0);
            if (!kinds[k].indexed || kinds[k].void_) CHECK_INT(c.code, 0);
            else CHECK(c.code == WEFT_EPERM || (round == 1 && c.code == WEFT_EBUSY));
        }
    }
    do { /* who joined the last may be here before that has been counted */
        sched_yield();
        CHECK_INT(weft_stats_get(&stats), 0);
    } while (stats.live > 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(destroyed, made);
    CHECK(made > 0);
}

/* ---- Types that ask for more than malloc gives ---------------------------------------------------------------------------- */

typedef struct wide {
    _Alignas(64) size_t number;
} wide;

static _Atomic int misaligned;

static void
look(const void *p)
{
    if ((uintptr_t)p % 64 != 0) atomic_fetch_add(&misaligned, 1);
}

static void
add_wide(void *into, const void *from, void *ctx)
{
    (void)ctx;
    look(into);
    look(from);
    ((wide *)into)->number += ((const wide *)from)->number;
}

static bool
less_wide(const wide *a, const wide *b)
{
    look(a);
    look(b);
    return a->number < b->number;
}

#define WEFT_SORT_NAME sort_wide
#define WEFT_SORT_TYPE wide
#define WEFT_SORT_LESS(a, b, ctx) less_wide(a, b)
#include <weft/sort.h>

static int
look_at_value(void *value, void *ctx)
{
    (void)ctx;
    look(value);
    return 0;
}

/* Frames are not the same twice: where they begin is not left to chance. */
static __attribute__((noinline)) void
align_with(size_t bytes)
{
    volatile char room[bytes + 1];
    wide v[16];
    weft_channel *c = NULL;
    room[0] = 0;
    (void)room;
    for (size_t i = 0; i < 16; i++) v[i].number = 15 - i;
    CHECK_INT(sort_wide(v, 9, NULL), 0);
    CHECK_INT(weft_scan(v, v, 16, sizeof *v, add_wide, NULL), 0);
    CHECK_INT(weft_channel_new(&c, sizeof *v, 4), 0);
    CHECK_INT(weft_channel_put(c, &v[0]), 0);
    weft_channel_close(c, 0);
    CHECK_INT(weft_for_each(c, 1, look_at_value, NULL), 0);
    weft_channel_release(c);
}

TASK_TEST(loops, alignment, "elements are where their type wants them, also on the way")
{
    atomic_store(&misaligned, 0);
    for (size_t bytes = 0; bytes < 64; bytes += 16) align_with(bytes);
    CHECK_INT(misaligned, 0);
}
