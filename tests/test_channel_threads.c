/* test_channel_threads.c - channels used by plain threads, and by tasks while the runtime stops. */
#include "test.h"

#include <pthread.h>

#include "channel_actor.h"

enum { MANY = TEST_SMALL ? 2000 : 20000 };

static void *
put_many(void *arg)
{
    for (int64_t i = 0; i < MANY; i++) CHECK_INT(put(arg, i), 0);
    return NULL;
}

static int
put_many_as_task(void *arg)
{
    put_many(arg);
    return 0;
}

static void *
take_many(void *arg)
{
    for (int64_t i = 0; i < MANY; i++)
        if (!CHECK_INT(take(arg), i)) break;
    return NULL;
}

static int
take_many_as_task(void *arg)
{
    take_many(arg);
    return 0;
}

static const size_t few_capacities[] = {0, 1, 16, WEFT_UNBOUNDED};

TEST(channel_threads, two_threads, "two plain threads pass values in order through a channel that no task ever sees")
{
    for (size_t i = 0; i < sizeof few_capacities / sizeof *few_capacities; i++) {
        weft_channel *c = channel_of(few_capacities[i]);
        pthread_t thread;
        if (!CHECK_INT(pthread_create(&thread, NULL, put_many, c), 0)) return;
        take_many(c);
        CHECK_INT(pthread_join(thread, NULL), 0);
        CHECK(weft_channel_isempty(c));
        weft_channel_release(c);
    }
    CHECK_INT(weft_worker(), -1);
}

TEST(channel_threads, thread_to_task, "plain threads and tasks pass values to each other in order")
{
    if (!CHECK_INT(weft_start(NULL), 0)) return;
    for (size_t i = 0; i < sizeof few_capacities / sizeof *few_capacities; i++) {
        weft_channel *c = channel_of(few_capacities[i]);
        weft_task *t;
        if (!CHECK_INT(weft_spawn(&t, take_many_as_task, c), 0)) return;
        put_many(c);
        joined(t, 0);
        if (!CHECK_INT(weft_spawn(&t, put_many_as_task, c), 0)) return;
        take_many(c);
        joined(t, 0);
        weft_channel_release(c);
    }
    CHECK_INT(weft_stop(), 0);
}

static void *
wait_closed(void *arg)
{
    CHECK_INT(weft_channel_wait(arg), WEFT_ENOENT);
    CHECK_INT(take(arg), WEFT_ENOENT);
    return NULL;
}

TEST(channel_threads, close_wakes_threads, "a close wakes plain threads that wait, with its code")
{
    weft_channel *c = channel_of(1);
    pthread_t threads[4];
    int started = 0;
    while (started < 4 && CHECK_INT(pthread_create(&threads[started], NULL, wait_closed, c), 0)) started++;
    sched_yield();
    CHECK(weft_channel_close(c, WEFT_ENOENT));
    while (started > 0) CHECK_INT(pthread_join(threads[--started], NULL), 0);
    weft_channel_release(c);
}

/* Cancellation, of which the stop of the runtime is the case that needs no scope. */

struct cancelled {
    weft_channel *empty, *full;
    enum verb verb;
    atomic_int *calling;
    int first, second;
    weft_channel *spawned;
    bool ran; /* what was spawned */
};

static int
run_spawned(weft_channel *c, void *arg)
{
    (void)c;
    *(bool *)arg = true;
    return 0;
}

static int
is_cancelled(void *arg)
{
    struct cancelled *k = arg;
    struct actor a = {.c = k->verb == PUT ? k->full : k->empty, .verb = k->verb};
    /* release: pairs with the load of the test, which stops the runtime after it. */
    atomic_fetch_add_explicit(k->calling, 1, memory_order_release);
    k->first = act_untimed(&a);
    a.c = k->verb == PUT ? k->empty : k->full; /* here the same call would find what it needs */
    k->second = act_untimed(&a);
    int rc = weft_channel_spawn(&k->spawned, 8, 1, run_spawned, &k->ran, NULL);
    CHECK(rc == WEFT_ECANCELED || rc == WEFT_ESHUTDOWN);
    return 0;
}

TEST(channel_threads, cancelled,
     "a call of a cancelled task has no effect, whether it is parked or could be served at once")
{
    enum { TASKS = 8 };
    weft_channel *empty = channel_of(1), *full = channel_of(1);
    atomic_int calling = 0;
    struct cancelled k[TASKS];
    weft_task *t[TASKS];
    CHECK_INT(put(full, 1), 0);
    if (!CHECK_INT(weft_start(NULL), 0)) return;
    for (int i = 0; i < TASKS; i++) {
        k[i] = (struct cancelled){.empty = empty, .full = full, .verb = (enum verb)(i % 4), .calling = &calling};
        if (!CHECK_INT(weft_spawn(&t[i], is_cancelled, &k[i]), 0)) return;
    }
    AWAIT(atomic_load_explicit(&calling, memory_order_acquire) == TASKS); /* pairs with is_cancelled */
    AWAIT(weft_channel_len(full) == 1 + TASKS / 4);
    CHECK_INT(weft_stop(), 0);
    for (int i = 0; i < TASKS; i++) {
        joined(t[i], 0);
        CHECK_INT(k[i].first, WEFT_ECANCELED);
        CHECK_INT(k[i].second, WEFT_ECANCELED);
        CHECK(k[i].spawned == NULL && !k[i].ran);
    }
    CHECK_INT(weft_channel_len(empty), 0);
    CHECK_INT(weft_channel_len(full), 1);
    CHECK_INT(take(full), 1);
    weft_channel_release(empty);
    weft_channel_release(full);
}
