/* test_pools.c - the ordinary workers and the interactive ones: who runs where, and who can tell. */
#include <pthread.h>
#include <stdlib.h>

#include "task_kit.h"

struct place {
    int worker; /* where it ran */
    int depth;  /* how many there are below it, */
    unsigned flags;
    bool interactive, sticky; /* what it is said to be */
};

static bool
on_interactive(int worker)
{
    return worker >= weft_nworkers();
}

static int
look(void *arg)
{
    struct place *p = arg;
    p->worker = weft_worker();
    p->interactive = weft_task_isinteractive(weft_current());
    p->sticky = weft_task_issticky(weft_current());
    return 0;
}

static int
look_with(unsigned flags, struct place *p)
{
    weft_task_options opt = {.flags = flags};
    weft_task *t = NULL;
    int rc = weft_spawn_with(&t, look, p, &opt);
    return rc < 0 ? rc : weft_join(t);
}

/* Is every task made here with these flags where it should be? */
static void
check_places(unsigned flags, bool interactive)
{
    for (int i = 0; i < 20; i++) {
        struct place p = {.worker = -1};
        CHECK_INT(look_with(flags | (i % 2 ? WEFT_STICKY : 0), &p), 0);
        CHECK(p.worker >= 0 && p.worker < weft_nworkers() + weft_ninteractive());
        CHECK_INT(on_interactive(p.worker), interactive && weft_ninteractive() > 0);
        CHECK_INT(p.interactive, interactive);
        CHECK_INT(p.sticky, i % 2);
    }
}

/* [J213] */
TASK_TEST(pools, root, "pools: the root task is on an ordinary worker, and there is at least one")
{
    CHECK(weft_worker() >= 0 && weft_worker() < weft_nworkers());
    CHECK(!on_interactive(weft_worker()));
    CHECK(!weft_task_isinteractive(weft_current()));
    CHECK(weft_nworkers() >= 1);
    CHECK(weft_ninteractive() >= 0);
}

TASK_TEST(pools, without, "pools: where there is no interactive pool, its tasks are on the ordinary workers")
{
    if (weft_ninteractive() > 0) return;
    check_places(WEFT_INTERACTIVE, true);
    check_places(WEFT_SAMEPOOL, false);
    check_places(0, false);
}

static int
same_pool(void *arg)
{
    struct place *p = arg, below = {.depth = p->depth - 1};
    look(p);
    CHECK_INT(p->interactive, weft_ninteractive() > 0 && on_interactive(p->worker));
    if (p->depth == 0) return 0;
    weft_task_options opt = {.flags = WEFT_SAMEPOOL};
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, same_pool, &below, &opt), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(on_interactive(below.worker), on_interactive(p->worker));
    return 0;
}

static int
from_interactive(void *arg)
{
    (void)arg;
    CHECK(on_interactive(weft_worker()));
    check_places(WEFT_SAMEPOOL, true);
    for (int i = 0; i < 20; i++) { /* what says nothing is for the ordinary workers */
        struct place p = {.worker = -1};
        CHECK_INT(look_with(0, &p), 0);
        CHECK(!on_interactive(p.worker));
        CHECK_INT(weft_join(spawned(look, &p)), 0);
        CHECK(!on_interactive(p.worker));
    }
    return 0;
}

static int
all_places(void *arg)
{
    const weft_config *cfg = arg;
    CHECK_INT(weft_nworkers(), cfg->workers);
    CHECK_INT(weft_ninteractive(), cfg->interactive);
    check_places(0, false);
    check_places(WEFT_INTERACTIVE, true);
    check_places(WEFT_SAMEPOOL, false);
    struct place p = {.depth = 3};
    CHECK_INT(same_pool(&p), 0);
    for (int i = 0; i < 2; i++) { /* the flags may come from a variable */
        static const unsigned flags[] = {0, WEFT_INTERACTIVE};
        weft_task_options opt = {.flags = flags[i]};
        struct place q = {.depth = 3};
        weft_task *t = NULL;
        CHECK_INT(weft_spawn_with(&t, same_pool, &q, &opt), 0);
        CHECK_INT(weft_join(t), 0);
        CHECK_INT(on_interactive(q.worker), i);
    }
    weft_task_options opt = {.flags = WEFT_INTERACTIVE};
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, from_interactive, NULL, &opt), 0);
    CHECK_INT(weft_join(t), 0);
    opt.flags = 1u << 20;
    CHECK_INT(weft_spawn_with(&t, look, NULL, &opt), WEFT_EINVAL);
    return 0;
}

/* [J214] [J215] */
TEST(pools, two, "pools: tasks are on the pool that they are made for, and WEFT_SAMEPOOL keeps it at every depth")
{
    for (int n = 1; n <= 3; n += 2) {
        weft_config cfg = {.size = sizeof cfg, .workers = n, .interactive = n == 1 ? 1 : 2};
        CHECK_INT(weft_run(&cfg, all_places, &cfg), 0);
    }
}

static int
loop_body(size_t begin, size_t end, void *ctx)
{
    (void)begin, (void)end;
    if (on_interactive(weft_worker())) atomic_fetch_add((_Atomic int *)ctx, 1);
    return 0;
}

static int
loop_on_interactive(void *arg)
{
    CHECK_INT(weft_for_static(0, 1000, loop_body, arg), 0);
    return 0;
}

static int
start_loop(void *arg)
{
    weft_task_options opt = {.flags = WEFT_INTERACTIVE};
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, loop_on_interactive, arg, &opt), 0);
    CHECK_INT(weft_join(t), 0);
    return 0;
}

/* [J214] */
TEST(pools, static_loop, "pools: a static loop that was begun on the interactive pool runs on the ordinary workers")
{
    _Atomic int strays = 0;
    weft_config cfg = {.size = sizeof cfg, .workers = 2, .interactive = 1};
    CHECK_INT(weft_run(&cfg, start_loop, &strays), 0);
    CHECK_INT(strays, 0);
}

/* [J215] [J224] */
TEST(pools, environment, "pools: WEFT_NUM_THREADS=N,M makes N ordinary workers and M interactive ones")
{
    const char *set = getenv("WEFT_NUM_THREADS");
    char before[32] = "";
    if (set) strncpy(before, set, sizeof before - 1);
    setenv("WEFT_NUM_THREADS", "1,1", 1);
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_nworkers(), 1);
    CHECK_INT(weft_ninteractive(), 1);
    struct place p = {.worker = -1};
    weft_task_options opt = {.flags = WEFT_INTERACTIVE};
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, look, &p, &opt), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(p.worker, 1); /* numbers go on after the ordinary workers */
    opt.flags = WEFT_SAMEPOOL;
    CHECK_INT(weft_spawn_with(&t, look, &p, &opt), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(p.worker, 0);
    CHECK_INT(weft_stop(), 0);
    if (set) setenv("WEFT_NUM_THREADS", before, 1);
    else unsetenv("WEFT_NUM_THREADS");
}
