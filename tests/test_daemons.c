/* test_daemons.c - daemons, and when weft_run returns.  Each with one worker too. */
#include <stdio.h>

#include "scope_kit.h"

/* Number of workers: one, and as usual. */
enum { COUNTS = 2 };
static const int worker_counts[COUNTS] = {1, 0};

static int
launch_daemon(weft_task **out, weft_fn *fn, struct member *m)
{
    weft_task_options opt = {.size = sizeof opt, .drop = drop_member, .flags = WEFT_DAEMON};
    return weft_spawn_with(out, fn, m, &opt);
}

struct pair {
    weft_channel *there, *back;
    _Atomic int started, rounds, ended;
};

static int
serve(void *arg)
{
    struct pair *p = arg;
    int rc, x = 0;
    atomic_fetch_add(&p->started, 1);
    while ((rc = weft_channel_put(p->there, &x)) == 0 && (rc = weft_channel_take(p->back, &x)) == 0) {
        atomic_fetch_add(&p->rounds, 1);
    }
    CHECK_INT(rc, WEFT_ECANCELED);
    atomic_fetch_add(&p->ended, 1);
    return rc;
}

static int
answer(void *arg)
{
    struct pair *p = arg;
    int rc, x = 0;
    atomic_fetch_add(&p->started, 1);
    while ((rc = weft_channel_take(p->there, &x)) == 0 && (rc = weft_channel_put(p->back, &x)) == 0) continue;
    CHECK_INT(rc, WEFT_ECANCELED);
    atomic_fetch_add(&p->ended, 1);
    return rc;
}

static int
spin(void *arg)
{
    struct pair *p = arg;
    atomic_fetch_add(&p->started, 1);
    while (weft_sleep(0) == 0) atomic_fetch_add(&p->rounds, 1);
    atomic_fetch_add(&p->ended, 1);
    return WEFT_ECANCELED;
}

static int
leave_them(void *arg)
{
    struct pair *p = arg;
    weft_task_options daemon = {.size = sizeof daemon, .flags = WEFT_DAEMON};
    CHECK_INT(weft_spawn_with(NULL, serve, p, &daemon), 0);
    CHECK_INT(weft_spawn_with(NULL, answer, p, &daemon), 0);
    CHECK_INT(weft_spawn_with(NULL, spin, p, &daemon), 0);
    until(&p->started, 3); /* one that has not started would not run at all */
    until(&p->rounds, 100);
    return 5;
}

TEST(daemons, busy, "daemons: weft_run returns although they never leave a worker idle, and awaits them")
{
    static const int capacities[] = {0, 1};
    for (int i = 0; i < 20; i++) {
        struct pair p = {.rounds = 0};
        CHECK_INT(weft_channel_new(&p.there, sizeof(int), (size_t)capacities[i % 2]), 0);
        CHECK_INT(weft_channel_new(&p.back, sizeof(int), (size_t)capacities[i % 2]), 0);
        CHECK_INT(weft_run(NULL, leave_them, &p), 5);
        CHECK_INT(atomic_load(&p.ended), 3);
        weft_channel_release(p.there);
        weft_channel_release(p.back);
    }
}

static int
start_in_a_task(void *arg)
{
    _Atomic int *running = arg;
    atomic_store(running, 1);
    CHECK_INT(weft_sleep_until(WEFT_FOREVER), WEFT_ECANCELED);
    CHECK_INT(weft_start(NULL), WEFT_EBUSY); /* while the stop waits for this task */
    return WEFT_ECANCELED;
}

TEST(daemons, start_during_stop, "start: a task that calls it while the runtime stops is refused, and the stop goes on")
{
    _Atomic int running = 0;
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_spawn(NULL, start_in_a_task, &running), 0);
    until(&running, 1);
    CHECK_INT(weft_stop(), 0);
}

/* Leaves two daemons that nap, one of which takes its time to clean up. */
static int
leave_naps(void *arg)
{
    struct member *m = arg;
    for (int k = 0; k < 2; k++) {
        CHECK_INT(launch_daemon(NULL, nap, &m[k]), 0);
        begun(&m[k]);
    }
    return 0;
}

/* [S155] [S156] [S168] */
TEST(daemons, only_daemons,
     "daemons: when only they are left they are cancelled, and their cleanup is awaited, however long")
{
    for (int i = 0; i < COUNTS; i++) {
        struct member m[2] = {MEMBER(.nap = LONG), MEMBER(.nap = LONG, .cleanup = 10 * WEFT_MS)};
        CHECK_INT(run_on(worker_counts[i], leave_naps, m), 0);
        for (int k = 0; k < 2; k++) {
            CHECK_INT(m[k].woken, WEFT_ECANCELED);
            CHECK_INT(m[k].ended, 1);
        }
    }
}

static _Atomic int refusal; /* of what a cleanup spawns */

static int
spawn_at_the_end(void *arg)
{
    weft_task *t = NULL;
    int rc = nap(arg);
    atomic_store(&refusal, launch_daemon(&t, nap, arg));
    CHECK(t == NULL);
    return rc;
}

static int
leave_spawner(void *arg)
{
    CHECK_INT(launch_daemon(NULL, spawn_at_the_end, arg), 0);
    begun(arg);
    return 0;
}

/* [S157] [S168] */
TEST(daemons, refused, "daemons: one that cleans up can start no others any more")
{
    for (int i = 0; i < COUNTS; i++) {
        struct member m = MEMBER(.nap = LONG, .cleanup = WEFT_MS);
        atomic_store(&refusal, 0);
        CHECK_INT(run_on(worker_counts[i], leave_spawner, &m), 0);
        CHECK_INT(refusal, WEFT_ECANCELED);
        CHECK_INT(m.begun, 1);
        CHECK_INT(m.ended, 1);
        CHECK_INT(m.dropped, 0);
    }
}

static int
leave_member(void *arg)
{
    struct member *m = arg;
    CHECK_INT(weft_spawn(NULL, nap, &m[0]), 0);
    CHECK_INT(launch_daemon(NULL, nap, &m[1]), 0);
    begun(&m[1]);
    return WEFT_EPERM;
}

/* [S158] [S163] [S168] */
TEST(daemons, members, "run: what is no daemon is waited for, not cancelled; then the root task's error is returned")
{
    for (int i = 0; i < COUNTS; i++) {
        struct member m[2] = {MEMBER(.nap = 10 * WEFT_MS), MEMBER(.nap = LONG, .cleanup = WEFT_MS)};
        CHECK_INT(run_on(worker_counts[i], leave_member, m), WEFT_EPERM);
        CHECK_INT(m[0].woken, 0);
        CHECK_INT(m[1].woken, WEFT_ECANCELED);
        CHECK(m[0].ended == 1 && m[1].ended == 1);
    }
}

static int
spawn_daemon_and_nap(void *arg)
{
    struct member *m = arg;
    CHECK_INT(launch_daemon(NULL, nap, &m[1]), 0);
    begun(&m[1]);
    return nap(&m[0]);
}

static int
cancel_around(void *arg)
{
    struct member *m = arg;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, spawn_daemon_and_nap, m), 0);
    begun(&m[0]);
    weft_scope_cancel(&s, 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(m[0].woken, WEFT_ECANCELED);
    for (int k = 0; k < 10; k++) weft_yield();
    CHECK_INT(m[1].woken, 1);
    return 0;
}

/* [S159] [S168] */
TEST(daemons, outlives, "daemons: one lives on when the scope is cancelled from which it was spawned, and its spawner")
{
    for (int i = 0; i < COUNTS; i++) {
        struct member m[2] = {MEMBER(.nap = LONG), MEMBER(.nap = LONG)};
        CHECK_INT(run_on(worker_counts[i], cancel_around, m), 0);
        CHECK_INT(m[1].woken, WEFT_ECANCELED); /* at the end */
        CHECK_INT(m[1].ended, 1);
    }
}

/* Members of a daemon's scope, and of the scope of one of those, made in every way. */
enum { KEPT = 6 };

static int
nap_inside(void *arg)
{
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    return weft_scope_close(&s, weft_spawn(NULL, nap, arg));
}

static int
copied_nap(void *arg)
{
    return nap(*(struct member **)arg);
}

static int
keep_members(void *arg)
{
    struct member *m = arg, *last = &m[KEPT - 1];
    weft_task_options keeps = {.size = sizeof keeps, .drop = drop_member};
    weft_task *t = NULL;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &m[0]), 0);
    CHECK_INT(weft_async(NULL, nap, &m[1]), 0);
    CHECK_INT(weft_spawn_with(NULL, nap, &m[2], &keeps), 0);
    CHECK_INT(weft_spawn(NULL, nap_inside, &m[3]), 0);
    CHECK_INT(weft_spawn_copy(NULL, copied_nap, &(struct member *){&m[4]}, sizeof(struct member *)), 0);
    CHECK_INT(weft_task_new(&t, nap, last, NULL), 0);
    CHECK_INT(weft_schedule(t), 0);
    weft_task_release(t);
    return weft_scope_close(&s, 0);
}

static int
leave_keeper(void *arg)
{
    struct member *m = arg;
    CHECK_INT(launch_daemon(NULL, keep_members, m), 0);
    for (int k = 0; k < KEPT; k++) begun(&m[k]);
    return 0;
}

/* [S160] [S168] */
TEST(daemons, own_members, "daemons: what they spawn into a scope of their own is not waited for, but ends with them")
{
    for (int i = 0; i < COUNTS; i++) {
        struct member m[KEPT];
        for (int k = 0; k < KEPT; k++) m[k] = MEMBER(.nap = LONG);
        CHECK_INT(run_on(worker_counts[i], leave_keeper, m), 0);
        for (int k = 0; k < KEPT; k++) {
            CHECK_INT(m[k].woken, WEFT_ECANCELED);
            CHECK_INT(m[k].ended, 1);
        }
    }
}

static int
count_one(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

/* Forks and joins in a scope of its own: the counts of daemons and others have to come out even. */
static int
fork_in_scope(void *arg)
{
    enum { CHILDREN = 20 };
    for (int round = 0; round < 10; round++) {
        weft_task *t[CHILDREN];
        weft_scope s;
        weft_scope_open(&s, round % 2 ? WEFT_SUPERVISE : 0, WEFT_FOREVER);
        for (int k = 0; k < CHILDREN; k++) CHECK_INT(weft_spawn(&t[k], count_one, arg), 0);
        for (int k = CHILDREN; k-- > 0;) {
            if (k % 3) CHECK_INT(weft_join(t[k]), 0);
            else weft_task_release(t[k]);
        }
        CHECK_INT(weft_both(count_one, arg, count_one, arg), 0);
        CHECK_INT(weft_scope_close(&s, 0), 0);
    }
    return 0;
}

static int
leave_forkers(void *arg)
{
    weft_task_options daemon = {.size = sizeof daemon, .flags = WEFT_DAEMON};
    weft_task *t[2];
    for (int k = 0; k < 2; k++) CHECK_INT(weft_spawn_with(&t[k], fork_in_scope, arg, &daemon), 0);
    for (int k = 0; k < 2; k++) CHECK_INT(weft_join(t[k]), 0);
    return 0;
}

TEST(daemons, forks, "daemons: one forks and joins in its scopes like any other task, and weft_run returns")
{
    for (int i = 0; i < COUNTS; i++) {
        _Atomic int n = 0;
        CHECK_INT(run_on(worker_counts[i], leave_forkers, (void *)&n), 0);
        CHECK_INT(n, 2 * 10 * 22);
    }
}

static struct {
    _Atomic int count, code;
} unhandled;

static void
note_unhandled(weft_task *t, int code)
{
    (void)t;
    atomic_fetch_add(&unhandled.count, 1);
    atomic_store(&unhandled.code, code);
}

static int
fail_at_once(void *arg)
{
    (void)arg;
    return WEFT_EPERM;
}

static int
leave_failing(void *arg)
{
    struct member *m = arg;
    CHECK_INT(launch_daemon(NULL, nap, m), 0);
    begun(m);
    CHECK_INT(launch_daemon(NULL, fail_at_once, m), 0);
    until(&unhandled.count, 1);
    for (int k = 0; k < 10; k++) weft_yield();
    CHECK_INT(m->woken, 1);
    return 0;
}

/* [S161] [S168] */
TEST(daemons, fails, "daemons: the failure of one is reported, and the others go on")
{
    for (int i = 0; i < COUNTS; i++) {
        weft_config cfg = {.size = sizeof cfg, .workers = worker_counts[i], .on_unhandled = note_unhandled};
        struct member m = MEMBER(.nap = LONG);
        atomic_store(&unhandled.count, 0);
        CHECK_INT(weft_run(&cfg, leave_failing, &m), 0);
        CHECK_INT(unhandled.count, 1);
        CHECK_INT(unhandled.code, WEFT_EPERM);
        CHECK_INT(m.ended, 1);
    }
}

static void
count_end(weft_task *t, void *arg)
{
    (void)t;
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static int
cancel_daemon(void *arg)
{
    struct member *m = arg;
    weft_task *t = NULL;
    CHECK_INT(launch_daemon(&t, nap, m), 0);
    CHECK_INT(weft_ondone(t, count_end, (void *)&m->dropped), 0);
    begun(m);
    CHECK(weft_cancel(t));
    CHECK(!weft_cancel(t));
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
    CHECK(!weft_cancel(t));
    weft_task_release(t);
    return 0;
}

/* [S162] [S168] */
TEST(daemons, cancelled_once, "daemons: one that is cancelled by name ends, once")
{
    for (int i = 0; i < COUNTS; i++) {
        struct member m = MEMBER(.nap = LONG, .cleanup = WEFT_MS);
        CHECK_INT(run_on(worker_counts[i], cancel_daemon, &m), 0);
        CHECK_INT(m.ended, 1);
        CHECK_INT(m.dropped, 1); /* counted when it ended */
    }
}

static int
run_again(void *arg)
{
    CHECK_INT(weft_run(NULL, fail_at_once, NULL), WEFT_EBUSY);
    return leave_naps(arg);
}

/* The number of threads of this process; 0 where that is not known, and in the simulator, whose are not real. */
static int
count_threads(void)
{
    char line[128];
    int n = 0;
    FILE *f = TEST_SIM ? NULL : fopen("/proc/self/status", "re");
    if (!f) return 0;
    while (fgets(line, sizeof line, f) && sscanf(line, "Threads: %d", &n) != 1) continue;
    fclose(f);
    return n;
}

/* [S166] [S167] [S168] */
TEST(daemons, twice, "run: a task cannot call it; but a thread can again and again, and finds nothing of before")
{
    int before = count_threads();
    for (int i = 0; i < COUNTS; i++) {
        for (int round = 0; round < 2; round++) {
            struct member m[2] = {MEMBER(.nap = LONG), MEMBER(.nap = LONG)};
            CHECK_INT(run_on(worker_counts[i], run_again, m), 0);
            CHECK(m[0].ended == 1 && m[1].ended == 1);
        }
    }
    while (count_threads() > before) sched_yield(); /* one that was joined is still counted for a moment */
}
