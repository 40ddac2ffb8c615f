/* test_daemons.c - daemons do not keep weft_run from returning, however busy they are. */
#include "task_kit.h"

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
