/* test_channel_bind.c - channels that are closed by the end of a task. */
#include "test.h"

#include "channel_actor.h"

/* A task that ends when it is told to: it takes from a gate, then returns code, with a text if that is negative. */
struct ender {
    weft_channel *gate;
    int code;
};

static int
end_when_told(void *arg)
{
    const struct ender *e = arg;
    CHECK_INT(take(e->gate), 0);
    return e->code < 0 ? weft_fail(e->code, "foo") : e->code;
}

static int
end_at_once(void *arg)
{
    return *(int *)arg;
}

static weft_task *
spawned(weft_fn *fn, void *arg)
{
    weft_task *t = NULL;
    if (!CHECK_INT(weft_spawn(&t, fn, arg), 0)) abort();
    return t;
}

/* [J21] [S181] */
TASK_TEST(channel_bind, completed, "a task that completes closes the channel bound to it")
{
    for (size_t capacity = 0; capacity <= 10; capacity += 10) {
        weft_channel *c = channel_of(capacity);
        struct ender e = {channel_of(0), 3};
        weft_task *t = spawned(end_when_told, &e);
        CHECK_INT(weft_channel_bind(c, t), 0);
        CHECK(weft_channel_isopen(c));
        CHECK_INT(put(e.gate, 0), 0);
        CHECK_INT(take(c), WEFT_ECLOSED);
        check_closed(c, WEFT_ECLOSED);
        joined(t, 3);
        weft_channel_release(c);
        weft_channel_release(e.gate);
    }
}

/* [J22] [S180] */
TASK_TEST(channel_bind, failed, "a task that fails closes the channel bound to it with its code")
{
    for (size_t capacity = 0; capacity <= 10; capacity += 10) {
        weft_channel *c = channel_of(capacity);
        struct ender e = {channel_of(0), -42};
        weft_task *t = spawned(end_when_told, &e);
        CHECK_INT(weft_channel_bind(c, t), 0);
        CHECK_INT(put(e.gate, 0), 0);
        CHECK_INT(take(c), -42);
        check_closed(c, -42);
        CHECK_INT(weft_wait(t), WEFT_ECHILD);
        CHECK_STR(weft_task_message(t), "foo");
        weft_task_release(t);
        weft_channel_release(c);
        weft_channel_release(e.gate);
    }
}

enum { CHANNELS = 5 };

struct many_channels {
    weft_channel *c[CHANNELS];
    struct ender end;
    bool takes;
};

static int
take_from_each_and_end(void *arg)
{
    struct many_channels *m = arg;
    for (int i = 0; m->takes && i < CHANNELS; i++) CHECK_INT(take(m->c[i]), 1);
    return end_when_told(&m->end);
}

static void
check_many_channels(size_t capacity)
{
    struct many_channels m = {.end = {channel_of(0), -42}, .takes = capacity > 0};
    for (int i = 0; i < CHANNELS; i++) m.c[i] = channel_of(capacity);
    weft_task *t = spawned(take_from_each_and_end, &m);
    for (int i = 0; i < CHANNELS; i++) CHECK_INT(weft_channel_bind(m.c[i], t), 0);
    for (int i = 0; m.takes && i < CHANNELS; i++) {
        CHECK_INT(put(m.c[i], 1), 0);
        CHECK_INT(put(m.c[i], 2), 0);
    }
    CHECK_INT(put(m.end.gate, 0), 0);
    joined(t, -42);
    for (int i = 0; i < CHANNELS; i++) {
        AWAIT(!weft_channel_isopen(m.c[i]));
        if (m.takes) CHECK_INT(take(m.c[i]), 2);
        check_closed(m.c[i], -42);
        weft_channel_release(m.c[i]);
    }
    weft_channel_release(m.end.gate);
}

/* [J23] [J24] [J25] [J26] [J28] */
TASK_TEST(channel_bind, many_rendezvous, "a task that fails closes all the rendezvous that are bound to it")
{
    check_many_channels(0);
}

/* [J23] [J24] [J25] [J26] [J27] [J29] */
TASK_TEST(channel_bind, many_buffered, "the same for buffered channels, whose values outlive the task")
{
    check_many_channels(10);
}

/* [J30] */
TASK_TEST(channel_bind, many_tasks, "the first of several tasks to end closes the channel that is bound to all of them")
{
    for (size_t capacity = 0; capacity <= 10; capacity += 10) {
        weft_channel *c = channel_of(capacity), *gate = channel_of(0);
        struct ender slow = {gate, 0};
        weft_task *t[5];
        int code = 0;
        for (int i = 0; i < 4; i++) {
            t[i] = spawned(end_when_told, &slow);
            CHECK_INT(weft_channel_bind(c, t[i]), 0);
        }
        t[4] = spawned(end_at_once, &code);
        CHECK_INT(weft_channel_bind(c, t[4]), 0);
        CHECK_INT(weft_channel_wait(c), WEFT_ECLOSED);
        check_closed(c, WEFT_ECLOSED);
        joined(t[4], 0);
        for (int i = 0; i < 4; i++) CHECK(!weft_task_isdone(t[i]));
        for (int i = 0; i < 4; i++) CHECK_INT(put(gate, 0), 0);
        for (int i = 0; i < 4; i++) joined(t[i], 0);
        weft_channel_release(c);
        weft_channel_release(gate);
    }
}

/* Tasks and channels that are all bound to each other. */
struct mesh {
    weft_channel *c1, *c2, *future;
};

static int
one_to_two(void *arg)
{
    const struct mesh *m = arg;
    CHECK_INT(take(m->c1), 1);
    CHECK_INT(put(m->c2, 2), 0);
    return 0;
}

/* [J31] */
TASK_TEST(channel_bind, mesh_of_one, "two channels of one task are closed when it has answered")
{
    for (size_t capacity = 0; capacity <= 10; capacity += 10) {
        struct mesh m = {channel_of(capacity), channel_of(capacity), NULL};
        weft_task *t = spawned(one_to_two, &m);
        CHECK_INT(weft_channel_bind(m.c1, t), 0);
        CHECK_INT(weft_channel_bind(m.c2, t), 0);
        CHECK_INT(put(m.c1, 1), 0);
        CHECK_INT(take(m.c2), 2);
        joined(t, 0);
        AWAIT(!weft_channel_isopen(m.c1) && !weft_channel_isopen(m.c2));
        check_closed(m.c1, WEFT_ECLOSED);
        check_closed(m.c2, WEFT_ECLOSED);
        weft_channel_release(m.c1);
        weft_channel_release(m.c2);
    }
}

static int
take_one_then_wait(void *arg)
{
    const struct mesh *m = arg;
    CHECK_INT(take(m->c1), 1);
    CHECK_INT(weft_channel_wait(m->future), 0);
    return 0;
}

static int
put_two_then_wait(void *arg)
{
    const struct mesh *m = arg;
    CHECK_INT(put(m->c2, 2), 0);
    CHECK_INT(weft_channel_wait(m->future), 0);
    return 0;
}

/* [J32] */
TASK_TEST(channel_bind, mesh_of_two,
          "two channels of two tasks are open while both wait, and closed when they have ended")
{
    struct mesh m = {channel_of(0), channel_of(0), channel_of(1)};
    weft_task *f = spawned(take_one_then_wait, &m), *g = spawned(put_two_then_wait, &m);
    CHECK_INT(weft_channel_bind(m.c1, f), 0);
    CHECK_INT(weft_channel_bind(m.c1, g), 0);
    CHECK_INT(weft_channel_bind(m.c2, f), 0);
    CHECK_INT(weft_channel_bind(m.c2, g), 0);
    CHECK_INT(put(m.c1, 1), 0);
    CHECK_INT(take(m.c2), 2);
    CHECK(weft_channel_isopen(m.c1) && weft_channel_isopen(m.c2));
    CHECK_INT(put(m.future, 1), 0);
    CHECK_INT(weft_channel_wait(m.c1), WEFT_ECLOSED);
    CHECK_INT(weft_channel_wait(m.c2), WEFT_ECLOSED);
    joined(f, 0);
    joined(g, 0);
    check_closed(m.c1, WEFT_ECLOSED);
    check_closed(m.c2, WEFT_ECLOSED);
    weft_channel_release(m.c1);
    weft_channel_release(m.c2);
    weft_channel_release(m.future);
}

static int
put_1_to_4(void *arg)
{
    for (int64_t i = 1; i <= 4; i++) CHECK_INT(put(arg, i), 0);
    return 0;
}

/* [J46] */
TASK_TEST(channel_bind, loop_ends, "a loop over a channel ends when the task that fills it has")
{
    weft_channel *c = channel_of(0);
    int64_t value, next = 1;
    weft_task *t = NULL;
    if (!CHECK_INT(weft_task_new(&t, put_1_to_4, c, NULL), 0)) return;
    CHECK_INT(weft_channel_bind(c, t), 0);
    CHECK_INT(weft_schedule(t), 0);
    weft_channel_each(c, value) CHECK_INT(value, next++);
    CHECK_INT(next, 5);
    CHECK(!weft_channel_isopen(c));
    joined(t, 0);
    weft_channel_release(c);
}

static int
put_hello(void *arg)
{
    for (const char *text = "hello"; *text; text++) CHECK_INT(weft_channel_put(arg, text), 0);
    return 0;
}

static void
check_hello(weft_channel *c)
{
    char got[16] = "";
    size_t n = 0;
    while (n < sizeof got - 1 && weft_channel_take(c, &got[n]) == 0) n++;
    got[n] = '\0';
    CHECK_STR(got, "hello");
}

/* [J55] */
TASK_TEST(channel_bind, bound_before_start, "a loop over a rendezvous ends well however the end of its task falls")
{
    for (int i = 0; i < 200; i++) {
        weft_channel *c;
        weft_task *t;
        if (!CHECK_INT(weft_channel_new(&c, 1, 0), 0)) return;
        if (!CHECK_INT(weft_task_new(&t, put_hello, c, NULL), 0)) return;
        CHECK_INT(weft_channel_bind(c, t), 0);
        CHECK_INT(weft_schedule(t), 0);
        check_hello(c);
        joined(t, 0);
        weft_channel_release(c);
    }
}

static int
put_one_and_fail(void *arg)
{
    CHECK_INT(put(arg, 1), 0);
    return weft_fail(-42, "foo");
}

/* [J47] */
TASK_TEST(channel_bind, put_after_failure,
          "putting to a channel whose task has failed returns the task's code; the task has the text")
{
    weft_channel *c = channel_of(0);
    weft_task *t = NULL;
    if (!CHECK_INT(weft_task_new(&t, put_one_and_fail, c, NULL), 0)) return;
    CHECK_INT(weft_channel_bind(c, t), 0);
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(take(c), 1);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(put(c, 1), -42);
    CHECK_STR(weft_task_message(t), "foo");
    weft_task_release(t);
    weft_channel_release(c);
}

/* [J72] [S182]  At once, and not by a task that runs later: so nobody can put to it any more. */
TASK_TEST(channel_bind, ended_already, "binding to a task that has ended closes the channel at once")
{
    int codes[] = {0, 5, -42};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        weft_channel *c = channel_of(1);
        weft_task *t = spawned(end_at_once, &codes[i]);
        CHECK_INT(put(c, 1), 0);
        CHECK_INT(weft_wait(t), codes[i] < 0 ? WEFT_ECHILD : 0);
        CHECK_INT(weft_channel_bind(c, t), 0);
        CHECK(!weft_channel_isopen(c));
        CHECK_INT(take(c), 1);
        check_closed(c, codes[i] < 0 ? codes[i] : WEFT_ECLOSED);
        joined(t, codes[i]);
        weft_channel_release(c);
    }
}

/* [J73] */
TASK_TEST(channel_bind, closed_already, "the end of a task leaves the code of a channel that was closed before")
{
    weft_channel *c = channel_of(0);
    struct ender e = {channel_of(0), -42};
    weft_task *t = spawned(end_when_told, &e);
    CHECK_INT(weft_channel_bind(c, t), 0);
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(put(e.gate, 0), 0);
    joined(t, -42);
    CHECK_INT(take(c), WEFT_ECLOSED);
    weft_channel_release(c);
    weft_channel_release(e.gate);
}

/* [J87] [S181] */
TASK_TEST(channel_bind, buffered_first, "what a task has put before it ended is taken before its end shows")
{
    for (int k = 0; k < 2; k++) {
        weft_channel *c = channel_of(4);
        struct ender e = {channel_of(0), k ? -42 : 0};
        weft_task *t = spawned(end_when_told, &e);
        CHECK_INT(weft_channel_bind(c, t), 0);
        for (int64_t i = 0; i < 3; i++) CHECK_INT(put(c, i), 0);
        CHECK_INT(put(e.gate, 0), 0);
        joined(t, e.code);
        for (int64_t i = 0; i < 3; i++) CHECK_INT(take(c), i);
        CHECK_INT(take(c), k ? -42 : WEFT_ECLOSED);
        weft_channel_release(c);
        weft_channel_release(e.gate);
    }
}

TASK_TEST(channel_bind, never_ran, "a task that fails without running closes its channel all the same")
{
    weft_channel *c = channel_of(0);
    weft_task *t = NULL;
    if (!CHECK_INT(weft_task_new(&t, put_1_to_4, c, NULL), 0)) return;
    CHECK_INT(weft_channel_bind(c, t), 0);
    CHECK_INT(weft_schedule_error(t, WEFT_ENOENT), 0);
    CHECK_INT(take(c), WEFT_ENOENT);
    joined(t, WEFT_ENOENT);
    weft_channel_release(c);
}

static int
do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

TASK_TEST(channel_bind, never_scheduled,
          "a channel that was bound to a task which was given up unscheduled has nothing to do with later tasks")
{
    weft_channel *c = channel_of(1);
    weft_task *t = NULL;
    if (!CHECK_INT(weft_task_new(&t, do_nothing, NULL, NULL), 0)) return;
    CHECK_INT(weft_channel_bind(c, t), 0);
    weft_task_release(t);
    bool open = weft_channel_isopen(c);
    for (int i = 0; i < 100; i++) {
        if (!CHECK_INT(weft_spawn(&t, do_nothing, NULL), 0)) return;
        joined(t, 0);
    }
    CHECK_INT(weft_channel_isopen(c), open);
    weft_channel_release(c);
}

TASK_TEST(channel_bind, no_handles, "a channel and a task that are bound need no handles to end well")
{
    for (int i = 0; i < 100; i++) {
        weft_channel *c = channel_of((size_t)i % 3), *gate = channel_of(0);
        struct ender e = {gate, 0};
        weft_task *t = spawned(end_when_told, &e);
        CHECK_INT(weft_channel_bind(c, t), 0);
        CHECK_INT(weft_channel_bind(c, t), 0);
        weft_channel_release(c);
        CHECK_INT(put(gate, 0), 0);
        joined(t, 0);
        weft_channel_release(gate);
    }
}

struct racer {
    weft_channel *c;
    atomic_int closed;
};

static int
take_until_closed(void *arg)
{
    struct racer *r = arg;
    int64_t value;
    weft_channel_each(r->c, value) CHECK(value < 3);
    /* the load comes after the join of this task */
    atomic_fetch_add_explicit(&r->closed, 1, memory_order_relaxed);
    return 0;
}

TASK_TEST(channel_bind, races, "a bind that races with the end of the task closes the channel in any case")
{
    for (int i = 0; i < 300; i++) {
        struct racer r = {.c = channel_of(1)};
        int code = 0;
        weft_task *consumer = spawned(take_until_closed, &r), *t = spawned(end_at_once, &code);
        CHECK_INT(weft_channel_bind(r.c, t), 0);
        joined(t, 0);
        joined(consumer, 0);
        CHECK_INT(atomic_load_explicit(&r.closed, memory_order_relaxed), 1);
        CHECK(!weft_channel_isopen(r.c));
        weft_channel_release(r.c);
    }
}
