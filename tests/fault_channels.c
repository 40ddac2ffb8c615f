/* fault_channels.c - channels, with faults. */
#include "fault_kit.h"

enum { VALUES = 3000 };

static const size_t capacities[] = {0, 1, 7, 5000, WEFT_UNBOUNDED};
enum { CAPACITIES = sizeof capacities / sizeof *capacities };

FAULT_SCENARIO(channel_new, F_MEMORY, "channel_new: of every capacity, without a runtime")
{
    fault_arm();
    for (int i = 0; i < CAPACITIES; i++) {
        weft_channel *const mark = (weft_channel *)(void *)&i, *c = mark;
        if (fault_may(weft_channel_new(&c, 24, capacities[i]))) weft_channel_release(c);
        else FAULT_CHECK(c == mark);
    }
}

/* Takes what was put, and looks that it is 0, 1, 2, ... */
static void
drain(weft_channel *c, int n)
{
    int x = 0;
    for (int i = 0; i < n; i++) FAULT_CHECK(weft_channel_take_until(c, &x, WEFT_NOW) == 0 && x == i);
    FAULT_CHECK(weft_channel_take_until(c, &x, WEFT_NOW) == WEFT_EAGAIN);
    FAULT_CHECK(weft_channel_isempty(c));
}

static int
grow(void *arg)
{
    weft_channel *c;
    int put = 0;
    (void)arg;
    if (!FAULT_CHECK(weft_channel_new(&c, sizeof(int), WEFT_UNBOUNDED) == 0)) return 0;
    fault_arm();
    for (int i = 0; i < VALUES; i++) put += fault_may(weft_channel_put(c, &put));
    FAULT_CHECK(weft_channel_len(c) == (size_t)put);
    drain(c, put);
    weft_channel_release(c);
    return 0;
}

FAULT_SCENARIO(channel_grows, F_MEMORY, "put: an unbounded channel grows, or refuses a value and keeps the others")
{
    fault_on_task(1, 0, grow);
}

static int
grow_in_batches(void *arg)
{
    static int values[VALUES];
    weft_channel *c;
    size_t put = 0, done;
    (void)arg;
    for (int i = 0; i < VALUES; i++) values[i] = i;
    if (!FAULT_CHECK(weft_channel_new(&c, sizeof(int), WEFT_UNBOUNDED) == 0)) return 0;
    fault_arm();
    for (int tries = 0; put < VALUES && tries < 100; tries++) {
        size_t n = VALUES - put < 700 ? VALUES - put : 700;
        bool all = fault_may(weft_channel_put_n(c, values + put, n, &done));
        FAULT_CHECK(all ? done == n : done < n);
        put += done;
    }
    FAULT_CHECK(put == VALUES || fault_for_ever());
    drain(c, (int)put);
    weft_channel_release(c);
    return 0;
}

FAULT_SCENARIO(channel_grows_by_batches, F_MEMORY, "put_n: an unbounded channel says how far it came")
{
    fault_on_task(1, 0, grow_in_batches);
}

/* ---- Tasks and channels ---- */

static int
feed(weft_channel *c, void *arg)
{
    int rc = 0;
    for (int i = 0; i < 50 && rc == 0; i++) rc = weft_channel_put(c, &i);
    return rc < 0 ? rc : *(int *)arg;
}

static int
spawn_channels(void *arg)
{
    static int code = WEFT_EPERM;
    (void)arg;
    fault_arm();
    for (int i = 0; i < 3 * CAPACITIES; i++) {
        weft_channel *const mark = (weft_channel *)(void *)&i, *c = mark;
        weft_task *t = NULL;
        int x, got = 0, rc;
        if (!fault_may(weft_channel_spawn(&c, sizeof x, capacities[i % CAPACITIES], feed, &code, i % 2 ? &t : NULL))) {
            FAULT_CHECK(c == mark && t == NULL);
            continue;
        }
        while ((rc = weft_channel_take(c, &x)) == 0) FAULT_CHECK(x == got++);
        FAULT_CHECK(!weft_channel_isopen(c));
        if (rc != WEFT_EPERM) fault_may(rc); /* there was no stack for the task, or no memory for a value */
        else FAULT_CHECK(got == 50);
        if (t && (rc = weft_join(t)) != WEFT_EPERM) fault_may(rc);
        weft_channel_release(c);
    }
    return 0;
}

FAULT_SCENARIO(channel_spawn, F_ALL, "channel_spawn: the channel gives what its task puts, and is closed with its code")
{
    fault_on_task(2, 0, spawn_channels);
}

static int
wait_for_start(void *arg)
{
    return weft_channel_wait(arg) == WEFT_ECLOSED ? 0 : 1;
}

static int
bind_channels(void *arg)
{
    weft_channel *start, *c[6] = {NULL};
    bool bound[6] = {false};
    weft_task *t = NULL;
    (void)arg;
    FAULT_CHECK(weft_channel_new(&start, 1, 0) == 0);
    for (int i = 0; i < 6; i++) FAULT_CHECK(weft_channel_new(&c[i], sizeof(int), capacities[i % CAPACITIES]) == 0);
    fault_arm();
    fault_may(weft_spawn(&t, wait_for_start, start));
    for (int i = 0; t && i < 6; i++) bound[i] = fault_may(weft_channel_bind(c[i], t));
    weft_channel_close(start, 0);
    if (t) (void)!weft_wait(t);
    for (int i = 0; i < 6; i++) {
        if (bound[i]) FAULT_CHECK(weft_channel_wait(c[i]) < 0);
        FAULT_CHECK(weft_channel_isopen(c[i]) == !bound[i]);
        weft_channel_release(c[i]);
    }
    if (t) fault_may(weft_join(t));
    weft_channel_release(start);
    return 0;
}

FAULT_SCENARIO(channel_bind, F_ALL, "bind: a channel that was bound is closed by the end of its task, and no other is")
{
    fault_on_task(2, 0, bind_channels);
}

/* ---- Many on one channel ---- */

struct crowd {
    weft_channel *c;
    _Atomic long sum;
    _Atomic int put, got;
};

static int
put_some(void *arg)
{
    struct crowd *w = arg;
    for (int i = 1; i <= 20; i++) {
        if (!fault_may(weft_channel_put(w->c, &i))) return 0;
        atomic_fetch_add(&w->sum, i);
        atomic_fetch_add(&w->put, 1);
    }
    return 0;
}

static int
take_all(void *arg)
{
    struct crowd *w = arg;
    int x;
    weft_channel_each(w->c, x) {
        atomic_fetch_sub(&w->sum, x);
        atomic_fetch_add(&w->got, 1);
    }
    return 0;
}

/* The driver takes what is left, so that putters without takers end too. */
static void
crowd(size_t capacity)
{
    struct crowd w = {.sum = 0};
    weft_task *putters[12], *takers[6];
    if (!fault_may(weft_channel_new(&w.c, sizeof(int), capacity))) return;
    for (int i = 0; i < 6; i++) {
        takers[i] = NULL;
        fault_may(weft_spawn(&takers[i], take_all, &w));
    }
    for (int i = 0; i < 12; i++) {
        putters[i] = NULL;
        fault_may(weft_spawn(&putters[i], put_some, &w));
    }
    for (int i = 0; i < 12; i++) {
        int x;
        while (putters[i] && !weft_task_isdone(putters[i])) {
            if (weft_channel_take_until(w.c, &x, weft_in(20 * WEFT_US)) < 0) continue;
            atomic_fetch_sub(&w.sum, x);
            atomic_fetch_add(&w.got, 1);
        }
        if (putters[i]) fault_may(weft_join(putters[i]));
    }
    weft_channel_close(w.c, 0);
    for (int i = 0; i < 6; i++) {
        if (takers[i]) fault_may(weft_join(takers[i]));
    }
    take_all(&w);
    FAULT_CHECK(atomic_load(&w.put) == atomic_load(&w.got) && atomic_load(&w.sum) == 0);
    weft_channel_release(w.c);
}

static int
crowds(void *arg)
{
    (void)arg;
    fault_arm();
    for (int i = 0; i < CAPACITIES; i++) crowd(capacities[i]);
    return 0;
}

FAULT_SCENARIO(channel_crowd, F_ALL, "channels: each value that was put is taken, once, whoever of a crowd fails")
{
    fault_on_task(2, 0, crowds);
}

FAULT_SCENARIO(channel_outside, F_ALL, "channels: the same with a plain thread in the middle of it")
{
    fault_on_thread(2, crowds, NULL);
}
