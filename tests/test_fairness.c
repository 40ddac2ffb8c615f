/* test_fairness.c - nobody starves: whatever the others do, who is ready gets a turn.
 *
 * A storm is a set of tasks that keep a worker busy with everything but computing.  They end when a victim, which was
 * ready all the time, has run.  On a single worker the turns of the storm are counted, and the victim must have come
 * within LIMIT of them; how fast several workers are depends on the machine, so there it goes on until it has. */
#include "task_kit.h"

enum { LIMIT = 1000000 };

struct storm {
    _Atomic int ran, turns, ready;
    bool counted;
    weft_task *master, *partner;
    weft_channel *there, *back;
    unsigned flags;
};

static int
victim(void *arg)
{
    struct storm *s = arg;
    atomic_store(&s->ran, 1);
    return 0;
}

/* One more turn of the storm, unless the victim has run, or has starved. */
static bool
rages(struct storm *s)
{
    if (atomic_load(&s->ran)) return false;
    if (!atomic_load(&s->ready) || !s->counted) return true;
    return atomic_fetch_add(&s->turns, 1) < LIMIT;
}

static weft_task *
start(weft_fn *fn, struct storm *s, unsigned flags)
{
    weft_task *t = unscheduled(fn, s, flags);
    CHECK_INT(weft_schedule(t), 0);
    return t;
}

/* Runs the scenario on one worker, where turns are counted, and on as many as the tests run with. */
static void
endure(weft_fn *scenario, unsigned flags)
{
    struct storm s = {.counted = true, .ready = 1, .flags = flags};
    CHECK_INT(run_on(1, scenario, &s), 0);
    CHECK(atomic_load(&s.ran));
    CHECK(atomic_load(&s.turns) < LIMIT);
    s = (struct storm){.ready = 1, .flags = flags};
    CHECK_INT(run_on(test_workers(), scenario, &s), 0);
    CHECK(atomic_load(&s.ran));
}

static int
yielding(void *arg)
{
    while (rages(arg)) weft_yield();
    return 0;
}

static int
sleeping_for_nothing(void *arg)
{
    while (rages(arg)) CHECK_INT(weft_sleep(0), 0);
    return 0;
}

/* The flags of scenarios: which of storm and victim is sticky, and whether the victim comes last. */
enum { STICKY_STORM = 1, STICKY_VICTIM = 2, LATE_VICTIM = 4, ALL_FLAGS = 8 };

static int
against_four(struct storm *s, weft_fn *storm)
{
    unsigned of_storm = s->flags & STICKY_STORM ? WEFT_STICKY : 0;
    unsigned of_victim = s->flags & STICKY_VICTIM ? WEFT_STICKY : 0;
    weft_task *t[4], *v = NULL;
    if (!(s->flags & LATE_VICTIM)) v = start(victim, s, of_victim);
    for (int i = 0; i < 4; i++) t[i] = start(storm, s, of_storm);
    if (s->flags & LATE_VICTIM) v = start(victim, s, of_victim);
    for (int i = 0; i < 4; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(weft_join(v), 0);
    return 0;
}

static int
against_yields(void *arg)
{
    return against_four(arg, yielding);
}

static int
against_sleeps(void *arg)
{
    return against_four(arg, sleeping_for_nothing);
}

TEST(fairness, yields, "fairness: a storm of yields starves nobody, sticky or migratable, older or younger")
{
    for (unsigned flags = 0; flags < ALL_FLAGS; flags++) endure(against_yields, flags);
}

TEST(fairness, sleeps, "fairness: a storm of sleeps of no length starves nobody")
{
    for (unsigned flags = 0; flags < ALL_FLAGS; flags++) endure(against_sleeps, flags);
}

static int
ping(void *arg)
{
    struct storm *s = arg;
    int x = 0;
    while (rages(s)) {
        CHECK_INT(weft_channel_put(s->there, &x), 0);
        CHECK_INT(weft_channel_take(s->back, &x), 0);
    }
    weft_channel_close(s->there, 0);
    return 0;
}

static int
pong(void *arg)
{
    struct storm *s = arg;
    int x = 0;
    weft_channel_each(s->there, x) CHECK_INT(weft_channel_put(s->back, &x), 0);
    return 0;
}

static int
produce(void *arg)
{
    struct storm *s = arg;
    while (rages(s)) CHECK_INT(weft_channel_put(s->there, &(int){1}), 0);
    weft_channel_close(s->there, 0);
    return 0;
}

static int
consume(void *arg)
{
    struct storm *s = arg;
    int x = 0;
    weft_channel_each(s->there, x) continue;
    return 0;
}

/* Two tasks keep each other going through channels. */
static int
against_pair(struct storm *s, weft_fn *first, weft_fn *second, size_t capacity)
{
    unsigned of_storm = s->flags & STICKY_STORM ? WEFT_STICKY : 0;
    unsigned of_victim = s->flags & STICKY_VICTIM ? WEFT_STICKY : 0;
    CHECK_INT(weft_channel_new(&s->there, sizeof(int), capacity), 0);
    CHECK_INT(weft_channel_new(&s->back, sizeof(int), capacity), 0);
    weft_task *v = NULL;
    if (!(s->flags & LATE_VICTIM)) v = start(victim, s, of_victim);
    weft_task *a = start(first, s, of_storm), *b = start(second, s, of_storm);
    if (s->flags & LATE_VICTIM) v = start(victim, s, of_victim);
    CHECK_INT(weft_join(a), 0);
    CHECK_INT(weft_join(b), 0);
    CHECK_INT(weft_join(v), 0);
    weft_channel_release(s->there);
    weft_channel_release(s->back);
    return 0;
}

static int
against_rendezvous(void *arg)
{
    return against_pair(arg, ping, pong, 0);
}

static int
against_buffered_ping_pong(void *arg)
{
    return against_pair(arg, ping, pong, 1);
}

static int
against_stream(void *arg)
{
    return against_pair(arg, produce, consume, 16);
}

TEST(fairness, ping_pong, "fairness: two tasks that wake each other through channels starve nobody")
{
    for (unsigned flags = 0; flags < ALL_FLAGS; flags++) {
        endure(against_rendezvous, flags);
        endure(against_buffered_ping_pong, flags);
    }
}

TEST(fairness, stream, "fairness: a producer and a consumer whose channel is always ready starve nobody")
{
    for (unsigned flags = 0; flags < ALL_FLAGS; flags++) endure(against_stream, flags);
}

static int
waking(void *arg)
{
    struct storm *s = arg;
    while (rages(s)) {
        CHECK_INT(weft_schedule(s->partner), 0);
        CHECK_INT(weft_park(NULL), 0);
    }
    CHECK_INT(weft_schedule_error(s->partner, WEFT_ENOENT), 0);
    return 0;
}

static int
waking_back(void *arg)
{
    struct storm *s = arg;
    while (weft_park(NULL) == 0) CHECK_INT(weft_schedule(s->master), 0);
    return 0;
}

static int
switching(void *arg)
{
    struct storm *s = arg;
    while (rages(s)) CHECK_INT(weft_switch_to(s->partner, NULL), 0);
    CHECK_INT(weft_schedule_error(s->partner, WEFT_ENOENT), 0);
    return 0;
}

static int
switching_back(void *arg)
{
    struct storm *s = arg;
    int rc = weft_park(NULL);
    while (rc == 0) rc = weft_switch_to(s->master, NULL);
    return 0;
}

static int
yielding_to(void *arg)
{
    struct storm *s = arg;
    while (rages(s)) CHECK_INT(weft_yield_to(s->partner), 0);
    CHECK_INT(weft_schedule_error(s->partner, WEFT_ENOENT), 0);
    return 0;
}

static int
parking(void *arg)
{
    while (weft_park(NULL) == 0) continue;
    return arg ? 0 : WEFT_EINVAL;
}

/* Two sticky tasks resume each other directly. */
static int
against_partners(struct storm *s, weft_fn *first, weft_fn *second)
{
    unsigned of_victim = s->flags & STICKY_VICTIM ? WEFT_STICKY : 0;
    weft_task *v = NULL;
    s->master = unscheduled(first, s, WEFT_STICKY);
    s->partner = unscheduled(second, s, WEFT_STICKY);
    if (!(s->flags & LATE_VICTIM)) v = start(victim, s, of_victim);
    CHECK_INT(weft_schedule(s->partner), 0);
    CHECK_INT(weft_schedule(s->master), 0);
    if (s->flags & LATE_VICTIM) v = start(victim, s, of_victim);
    CHECK_INT(weft_join(weft_task_retain(s->master)), 0);
    CHECK_INT(weft_join(weft_task_retain(s->partner)), 0);
    CHECK_INT(weft_join(v), 0);
    weft_task_release(s->master);
    weft_task_release(s->partner);
    return 0;
}

static int
against_wakes(void *arg)
{
    return against_partners(arg, waking, waking_back);
}

static int
against_switches(void *arg)
{
    return against_partners(arg, switching, switching_back);
}

static int
against_yields_to(void *arg)
{
    return against_partners(arg, yielding_to, parking);
}

TEST(fairness, wakes, "fairness: two tasks that schedule each other and park starve nobody")
{
    for (unsigned flags = 0; flags < ALL_FLAGS; flags += STICKY_VICTIM) endure(against_wakes, flags);
}

TEST(fairness, switches, "fairness: two tasks that switch to each other starve nobody")
{
    for (unsigned flags = 0; flags < ALL_FLAGS; flags += STICKY_VICTIM) endure(against_switches, flags);
}

TEST(fairness, yields_to, "fairness: a task that yields to another for ever starves nobody")
{
    for (unsigned flags = 0; flags < ALL_FLAGS; flags += STICKY_VICTIM) endure(against_yields_to, flags);
}

/* Every task of this storm starts its successor and ends: there is always one that is younger than the victim. */
static int
succession(void *arg)
{
    struct storm *s = arg;
    if (!rages(s)) CHECK_INT(weft_schedule(s->master), 0);
    else if (s->flags & STICKY_STORM) CHECK_INT(weft_async(NULL, succession, s), 0);
    else CHECK_INT(weft_spawn(NULL, succession, s), 0);
    return 0;
}

static int
against_succession(void *arg)
{
    struct storm *s = arg;
    unsigned of_victim = s->flags & STICKY_VICTIM ? WEFT_STICKY : 0;
    weft_task *v = NULL;
    s->master = weft_current();
    if (!(s->flags & LATE_VICTIM)) v = start(victim, s, of_victim);
    succession(s);
    if (s->flags & LATE_VICTIM) v = start(victim, s, of_victim);
    CHECK_INT(weft_park(NULL), 0);
    return weft_join(v);
}

TEST(fairness, old_against_new, "fairness: an old task gets its turn though there is always a younger one")
{
    for (unsigned flags = 0; flags < ALL_FLAGS; flags++) endure(against_succession, flags);
}
