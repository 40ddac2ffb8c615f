/* fault_descriptors.c - everything that makes a task, when there is no descriptor left, and no memory for more. */
#include "fault_bodies.h"

static int
count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&runs, 1);
    return 0;
}

/* Every one of them needs the first descriptor of a slab. */
static void
next(void)
{
    fault_hoard();
    atomic_store(&runs, 0);
    fault_arm();
}

/* A task that was made runs; else *out is untouched, and nothing runs. */
static void
check_made(int rc, weft_task *const *t)
{
    if (fault_may(rc)) rc = weft_join(*t);
    else FAULT_CHECK(*t == NULL);
    if (rc < 0) fault_may(rc);
    FAULT_CHECK(atomic_load(&runs) == (rc >= 0));
}

static void
make_tasks(void)
{
    weft_task_options opt = {.size = sizeof opt, .name = "named"};
    char data[100] = {0};
    weft_task *t = NULL;
    next();
    check_made(weft_spawn(&t, count, NULL), &t);
    t = NULL;
    next();
    check_made(weft_async(&t, count, NULL), &t);
    t = NULL;
    next();
    check_made(weft_spawn_with(&t, count, NULL, &opt), &t);
    t = NULL;
    next();
    check_made(weft_spawn_copy(&t, count, data, sizeof data), &t);
    t = NULL;
    next();
    if (!fault_may(weft_task_new(&t, count, NULL, NULL))) FAULT_CHECK(t == NULL);
    weft_task_release(t);
}

static void
make_others(void)
{
    weft_channel *c = NULL;
    long zero = 0, sum = -1;
    int x = 0;
    weft_reduction r = {.size = sizeof zero, .identity = &zero, .map = map, .combine = combine};
    next();
    if (fault_may(weft_channel_spawn(&c, sizeof x, 0, feed, NULL, NULL))) {
        if (fault_may(weft_channel_take(c, &x))) FAULT_CHECK(x == 5);
        weft_channel_release(c);
    } else {
        FAULT_CHECK(c == NULL);
    }
    next();
    FAULT_CHECK(weft_both(count, NULL, count, NULL) == 0 && atomic_load(&runs) == 2);
    next();
    FAULT_CHECK(atomic_load(&runs) == 0 && (fault_may(weft_for(0, 50, 1, piece, NULL)) ? atomic_load(&runs) == 50 : 1));
    next();
    if (fault_may(weft_reduce(0, 50, 1, &r, NULL, &sum))) FAULT_CHECK(sum == 50);
    else FAULT_CHECK(sum == -1);
}

static int
make_all(void *arg)
{
    make_tasks();
    make_others();
    fault_disarm();
    fault_unhoard();
    if (!arg) fault_arm();
    return 0;
}

FAULT_SCENARIO(descriptors_in_task, F_DESCRIPTORS,
               "every call that makes a task, in a task, when the last descriptor is in use")
{
    fault_on_task(1, 0, make_all);
}

FAULT_SCENARIO(descriptors_outside, F_DESCRIPTORS,
               "every call that makes a task, on a plain thread, when the last descriptor is in use")
{
    fault_on_thread(1, make_all, &runs);
}

FAULT_SCENARIO(descriptors_run, F_DESCRIPTORS,
               "run: without a descriptor for the root task it fails, and stops what it has started")
{
    weft_config cfg = {.size = sizeof cfg, .workers = 2, .bind = WEFT_BIND_NONE};
    next();
    if (fault_may(weft_run(&cfg, count, NULL))) FAULT_CHECK(atomic_load(&runs) == 1);
    else FAULT_CHECK(atomic_load(&runs) == 0);
    fault_disarm();
    fault_unhoard();
}
