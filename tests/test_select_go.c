/* test_select_go.c - what Go's own tests of its channels and of select look at, re-created from what they verify. */
#include <malloc.h>
#include <stdlib.h>

#include "select_kit.h"

/* ---- doubleselect: two cases of one select never both happen ---- */

enum { SOURCES = 4 };

struct mux {
    weft_channel *from[SOURCES], *to;
    weft_channel *one;
    atomic_int *left;
    int64_t n;
};

static int
send_to_any(void *arg)
{
    struct mux *m = arg;
    for (int64_t i = 0; i < m->n; i++) {
        weft_case cases[SOURCES];
        for (int k = 0; k < SOURCES; k++) cases[k] = WEFT_PUT(m->from[k], &i);
        int k = weft_select(cases, SOURCES, 0);
        if (k < 0 || cases[k].rc) return WEFT_EINVAL;
    }
    for (int k = 0; k < SOURCES; k++) weft_channel_close(m->from[k], 0);
    return 0;
}

static int
forward(void *arg)
{
    struct mux *m = arg;
    int64_t v;
    weft_channel_each(m->one, v)
        if (put(m->to, v)) return WEFT_EINVAL;
    if (atomic_fetch_sub(m->left, 1) == 1) weft_channel_close(m->to, 0);
    return 0;
}

/* [S209] */
TASK_TEST(select_go, doubleselect, "a put offered to four channels at once arrives through exactly one of them")
{
    for (size_t capacity = 0; capacity < 2; capacity++) {
        atomic_int left = SOURCES;
        struct mux m = {.to = channel_of(capacity), .left = &left, .n = scaled(100000)}, forwarders[SOURCES];
        weft_task *t[SOURCES + 1];
        for (int k = 0; k < SOURCES; k++) m.from[k] = channel_of(capacity);
        for (int k = 0; k < SOURCES; k++) {
            forwarders[k] = m;
            forwarders[k].one = m.from[k];
            t[k] = spawned(forward, &forwarders[k]);
        }
        t[SOURCES] = spawned(send_to_any, &m);
        char *seen = calloc((size_t)m.n, 1);
        int64_t v, twice = 0, came = 0;
        weft_channel_each(m.to, v) {
            if (CHECK(seen && v >= 0 && v < m.n)) twice += seen[v]++;
            came++;
        }
        CHECK_INT(twice, 0);
        CHECK_INT(came, m.n);
        for (int k = 0; k <= SOURCES; k++) CHECK(joined(t[k], 0));
        free(seen);
        for (int k = 0; k < SOURCES; k++) weft_channel_release(m.from[k]);
        weft_channel_release(m.to);
    }
}

/* ---- fifo: who waits is served in order ---- */

struct link {
    weft_channel *c, *in, *out;
    int64_t expected;
};

static int
take_in_turn(void *arg)
{
    struct link *l = arg;
    if (take(l->in) < 0) return WEFT_EINVAL;
    if (take(l->c) != l->expected) return WEFT_EPERM;
    return put(l->out, 1);
}

TASK_TEST(select_go, fifo, "values come in order, buffered and not, also to a chain of tasks that take one each")
{
    enum { N = 10 };
    weft_channel *buffered = channel_of(N), *c = channel_of(0), *ends[N + 1];
    struct link links[N];
    weft_task *t[N];
    for (int i = 0; i < N; i++) CHECK_INT(put(buffered, i), 0);
    for (int i = 0; i < N; i++) CHECK_INT(take(buffered), i);
    for (int i = 0; i <= N; i++) ends[i] = channel_of(1);
    for (int i = 0; i < N; i++) {
        links[i] = (struct link){c, ends[i], ends[i + 1], i};
        t[i] = spawned(take_in_turn, &links[i]);
    }
    CHECK_INT(put(ends[0], 0), 0);
    for (int i = 0; i < N; i++) CHECK_INT(put(c, i), 0);
    CHECK_INT(take(ends[N]), 1);
    for (int i = 0; i < N; i++) CHECK(joined(t[i], 0));
    for (int i = 0; i <= N; i++) weft_channel_release(ends[i]);
    weft_channel_release(buffered);
    weft_channel_release(c);
}

/* ---- select3: what blocks, and what does not ---- */

/* Does a select of these cases have to wait?  Both with a look and with a park. */
static void
check_blocks(bool blocks, weft_case *cases, size_t n, const char *what)
{
    int now = select_now(cases, n), later = weft_select_until(cases, n, 0, weft_in(200 * WEFT_US));
    if (!CHECK(blocks ? now == WEFT_EAGAIN && later == WEFT_ETIMEDOUT : now >= 0 && later >= 0))
        test__note("%s: %d, %d", what, now, later);
}

static void
check_one(bool blocks, weft_case k, const char *what)
{
    weft_channel *quiet = channel_of(0);
    weft_case cases[] = {WEFT_TAKE(NULL, NULL), k, WEFT_TAKE(quiet, NULL)};
    check_blocks(blocks, &k, 1, what);
    check_blocks(blocks, cases, 3, what);
    weft_channel_release(quiet);
}

TASK_TEST(select_go, select3,
          "which cases have to wait: no channel, closed, full, empty, a taker or putter that is itself")
{
    int64_t v = 1;
    weft_channel *closed = closed_channel(0, 0), *closed_buffered = closed_channel(2, 0), *empty = channel_of(5),
                 *rendezvous = channel_of(0), *full = full_channel(1), *both = channel_of(5);
    for (int i = 0; i < 3; i++) CHECK_INT(put(both, i), 0);
    check_one(true, WEFT_TAKE(NULL, &v), "take, no channel");
    check_one(true, WEFT_PUT(NULL, &v), "put, no channel");
    check_blocks(true, NULL, 0, "no case");
    check_one(true, WEFT_TAKE(rendezvous, &v), "take from a rendezvous");
    check_one(true, WEFT_PUT(rendezvous, &v), "put to a rendezvous");
    check_one(true, WEFT_TAKE(empty, &v), "take from an empty one");
    check_one(true, WEFT_PUT(full, &v), "put to a full one");
    check_one(false, WEFT_TAKE(closed, &v), "take from a closed one");
    check_one(false, WEFT_PUT(closed, &v), "put to a closed one");
    check_one(false, WEFT_TAKE(closed_buffered, &v), "take from a closed one with a buffer");
    check_one(false, WEFT_PUT(closed_buffered, &v), "put to a closed one with a buffer");
    weft_case self[] = {WEFT_TAKE(rendezvous, &v), WEFT_PUT(rendezvous, &v)};
    check_blocks(true, self, 2, "a take and a put on one rendezvous");
    weft_case buffered[] = {WEFT_TAKE(both, &v), WEFT_PUT(both, &v)};
    check_blocks(false, buffered, 2, "a take and a put on one with a buffer");
    weft_channel *all[] = {closed, closed_buffered, empty, rendezvous, full, both};
    for (int i = 0; i < 6; i++) weft_channel_release(all[i]);
}

/* ---- select6: a case that loses is the last in its queue ---- */

/* [S211] */
STICKY_TEST(select_go, select6, "after the last in a queue has left it, because another case won, the queue works")
{
    weft_channel *c1 = channel_of(0), *c2 = channel_of(0);
    for (int i = 0; i < 10; i++) {
        struct actor *front = taker(c1);
        weft_case cases[] = {WEFT_TAKE(c1, NULL), WEFT_TAKE(c2, NULL)};
        struct selector s;
        begin_select(&s, cases, 2, WEFT_FOREVER);
        CHECK_INT(put(c2, 0), 0);
        CHECK_INT(finish_select(&s), 1);
        struct actor *behind = taker(c1);
        CHECK_INT(put(c1, 1), 0);
        CHECK_INT(put(c1, 2), 0);
        CHECK_INT(finish(front).value, 1);
        CHECK_INT(finish(behind).value, 2);
    }
    weft_channel_release(c1);
    weft_channel_release(c2);
}

/* ---- select7: every form of putting against every form of taking ---- */

enum form { PLAIN, SELECT, SELECT_TWO, SELECT_LOOP, TRY_LOOP, FORMS };

static int
one_way(enum form form, weft_channel *c, weft_channel *quiet, int64_t *value, bool puts)
{
    weft_case k = puts ? WEFT_PUT(c, value) : WEFT_TAKE(c, value);
    weft_case two[] = {WEFT_TAKE(quiet, NULL), k};
    int rc = 0;
    switch (form) {
    case PLAIN:
        return puts ? weft_channel_put(c, value) : weft_channel_take(c, value);
    case SELECT:
        rc = weft_select(&k, 1, 0);
        return rc < 0 ? rc : k.rc;
    case SELECT_TWO:
        rc = weft_select(two, 2, 0);
        break;
    case SELECT_LOOP:
        while ((rc = select_now(two, 2)) == WEFT_EAGAIN) weft_yield();
        break;
    default:
        while ((rc = puts ? weft_channel_put_until(c, value, WEFT_NOW) : weft_channel_take_until(c, value, WEFT_NOW)) ==
               WEFT_EAGAIN)
            weft_yield();
        return rc;
    }
    return rc == 1 ? two[1].rc : rc < 0 ? rc : WEFT_EINVAL;
}

struct direction {
    enum form form;
    weft_channel *c, *quiet;
    int64_t n;
};

static int
put_in_form(void *arg)
{
    struct direction *d = arg;
    for (int64_t i = 0; i < d->n; i++) {
        int rc = one_way(d->form, d->c, d->quiet, &i, true);
        if (rc < 0) return rc;
    }
    return 0;
}

/* [S217]  Two that both only try never meet on a rendezvous. */
TASK_TEST(select_go, select7, "values pass from every form of putting to every form of taking")
{
    weft_channel *quiet = channel_of(0);
    for (size_t capacity = 0; capacity <= 1; capacity++) {
        for (int from = PLAIN; from < FORMS; from++) {
            for (int to = PLAIN; to < FORMS; to++) {
                if (capacity == 0 && from >= SELECT_LOOP && to >= SELECT_LOOP) continue;
                struct direction d = {(enum form)from, channel_of(capacity), quiet, scaled(500)};
                weft_task *t = spawned(put_in_form, &d);
                for (int64_t i = 0, got = -1; i < d.n; i++) {
                    if (!CHECK_INT(one_way((enum form)to, d.c, quiet, &got, false), 0)) break;
                    if (!CHECK_INT(got, i)) break;
                }
                CHECK(joined(t, 0));
                weft_channel_release(d.c);
            }
        }
    }
    weft_channel_release(quiet);
}

/* ---- nonblock: trying, where something is ready and where nothing is ---- */

static void
check_size(size_t size)
{
    static unsigned char in[65536], out[65536];
    weft_channel *c, *rendezvous;
    CHECK_INT(weft_channel_new(&c, size, 1), 0);
    CHECK_INT(weft_channel_new(&rendezvous, size, 0), 0);
    for (size_t i = 0; i < size; i++) in[i] = (unsigned char)(i * 7 + size);
    memset(out, 0, sizeof out);
    weft_case taking[] = {WEFT_TAKE(rendezvous, out), WEFT_TAKE(c, out)};
    weft_case putting[] = {WEFT_PUT(rendezvous, in), WEFT_PUT(c, in)};
    CHECK_INT(select_now(taking, 2), WEFT_EAGAIN);
    CHECK_INT(select_now(putting, 1), WEFT_EAGAIN);
    CHECK_INT(select_now(putting, 2), 1);
    CHECK_INT(select_now(putting, 2), WEFT_EAGAIN);
    CHECK_INT(select_now(taking, 2), 1);
    CHECK_INT(select_now(taking, 2), WEFT_EAGAIN);
    CHECK(memcmp(in, out, size) == 0);
    weft_channel_release(c);
    weft_channel_release(rendezvous);
}

/* [S195] */
STICKY_TEST(select_go, nonblock, "selects that only try, with elements of all sizes")
{
    static const size_t sizes[] = {0, 1, 2, 3, 4, 8, 12, 16, 40, 4096, 65536};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) check_size(sizes[i]);
    weft_channel *c = channel_of(0);
    struct actor *t = taker(c);
    int64_t v = 3;
    weft_case k = WEFT_PUT(c, &v);
    CHECK_INT(select_now(&k, 1), 0);
    CHECK_INT(finish(t).value, 3);
    struct actor *p = putter(c, 4);
    k = WEFT_TAKE(c, &v);
    CHECK_INT(select_now(&k, 1), 0);
    CHECK_INT(v, 4);
    CHECK_INT(finish(p).rc, 0);
    weft_channel_release(c);
}

/* ---- Fairness ---- */

static int
put_until_closed(void *arg)
{
    while (put(arg, 0) == 0) continue;
    return 0;
}

/* [S197]  In Go the limits are ten standard deviations; here the fact's 40 and 60 %, of 10 000. */
TASK_TEST(select_go, fairness, "of two channels that are always ready each is taken from about half of the time")
{
    enum { ROUNDS = TEST_SIM ? 100 : 10000 };
    for (size_t capacity = 0; capacity <= 1; capacity++) {
        weft_channel *c[2] = {channel_of(capacity ? 1 : 0), closed_channel(0, 0)};
        if (capacity == 0) { /* both are always ready: closed */
            CHECK(weft_channel_close(c[0], 0));
        } else {
            weft_channel_release(c[1]);
            c[1] = channel_of(1);
        }
        int count[2] = {0, 0};
        for (int i = 0; i < ROUNDS; i++) {
            int64_t v = 0;
            for (int k = 0; k < 2 && capacity; k++) (void)!weft_channel_put_until(c[k], &v, WEFT_NOW);
            weft_case cases[] = {WEFT_TAKE(c[0], &v), WEFT_TAKE(c[1], &v)};
            int k = weft_select(cases, 2, 0);
            if (CHECK(k == 0 || k == 1)) count[k]++;
        }
        for (int k = 0; k < 2; k++) CHECK(TEST_SIM || (count[k] > ROUNDS * 2 / 5 && count[k] < ROUNDS * 3 / 5));
        for (int k = 0; k < 2; k++) weft_channel_release(c[k]);
    }
}

TASK_TEST(select_go, fairness_putters, "a taker of two channels, with a putter for each, starves neither")
{
    weft_channel *c[2] = {channel_of(0), channel_of(0)};
    weft_task *t[2];
    int count[2] = {0, 0};
    for (int k = 0; k < 2; k++) t[k] = spawned(put_until_closed, c[k]);
    while (count[0] < 100 || count[1] < 100) { /* for ever, if one is starved */
        weft_case cases[] = {WEFT_TAKE(c[0], NULL), WEFT_TAKE(c[1], NULL)};
        int k = weft_select(cases, 2, 0);
        if (!CHECK(k == 0 || k == 1)) break;
        count[k]++;
    }
    for (int k = 0; k < 2; k++) {
        weft_channel_close(c[k], 0);
        CHECK(joined(t[k], 0));
        weft_channel_release(c[k]);
    }
}

/* ---- Selects that exchange with their like ---- */

struct exchange {
    weft_channel *c;
    int64_t me, n;
    int from_me;
};

static int
exchange(void *arg)
{
    struct exchange *x = arg;
    for (int64_t i = 0; i < x->n; i++) {
        int64_t got = -1;
        weft_case t = WEFT_TAKE(x->c, &got), p = WEFT_PUT(x->c, &x->me);
        weft_case cases[] = {(i + x->me) % 2 ? t : p, (i + x->me) % 2 ? p : t};
        int k = weft_select(cases, 2, 0);
        if (k < 0) return k;
        x->from_me += got == x->me;
        if (cases[k].rc) return 0; /* closed */
    }
    weft_channel_close(x->c, 0); /* the other may be left alone */
    return 0;
}

/* [S205] */
TASK_TEST(select_go, selfselect,
          "two tasks that each put to or take from one channel exchange, and never meet themselves")
{
    for (size_t capacity = 0; capacity <= 10; capacity += 10) {
        weft_channel *c = channel_of(capacity);
        struct exchange x[2] = {{c, 0, scaled(20000), 0}, {c, 1, scaled(20000), 0}};
        weft_task *t[2] = {spawned(exchange, &x[0]), spawned(exchange, &x[1])};
        for (int i = 0; i < 2; i++) {
            CHECK(joined(t[i], 0));
            if (capacity == 0) CHECK_INT(x[i].from_me, 0);
        }
        weft_channel_release(c);
    }
}

/* ---- What is always ready is never missed ---- */

struct race {
    weft_channel *c[2];
    atomic_int *begun;
    int result;
};

static int
look_once(void *arg)
{
    struct race *r = arg;
    weft_case cases[] = {WEFT_TAKE(r->c[0], NULL), WEFT_TAKE(r->c[1], NULL)};
    atomic_store(r->begun, 1);
    r->result = select_now(cases, 2);
    return 0;
}

/* One channel gets a value, or is closed, before the other loses its own.
 * [S210] */
TASK_TEST(select_go, nonblock_race, "where at every instant one case is ready, WEFT_NOW never gives WEFT_EAGAIN")
{
    int missed = 0;
    for (int i = 0; i < scaled(20000); i++) {
        atomic_int begun = 0;
        struct race r = {{full_channel(1), channel_of(1)}, &begun, -1};
        int64_t v = 1;
        weft_task *t = spawned(look_once, &r);
        for (int spin = 0; i % 2 && weft_nworkers() > 1 && spin < 1000 && !atomic_load(&begun); spin++) continue;
        if (i % 4 < 2) (void)!put(r.c[1], 2);
        else weft_channel_close(r.c[1], 0);
        (void)!weft_channel_take_until(r.c[0], &v, WEFT_NOW);
        CHECK(joined(t, 0));
        missed += r.result < 0;
        weft_channel_release(r.c[0]);
        weft_channel_release(r.c[1]);
    }
    CHECK_INT(missed, 0);
}

/* ---- select2: a channel that stays quiet ---- */

static int
put_n_times(void *arg)
{
    struct direction *d = arg;
    for (int64_t i = 0; i < d->n; i++) {
        if (put(d->c, i)) return WEFT_EINVAL;
    }
    return 0;
}

static size_t
heap_in_use(void)
{
    return mallinfo2().uordblks;
}

/* [S212] */
STICKY_TEST(select_go, select2, "very many selects leave nothing at a channel on which nothing happens")
{
    weft_channel *quiet = channel_of(0);
    struct direction d = {PLAIN, channel_of(0), NULL, scaled(100000)};
    weft_task *t = asynced(put_n_times, &d);
    size_t before = heap_in_use();
    int64_t got = -1, v = 0;
    for (int64_t i = 0; i < d.n; i++) {
        weft_case cases[] = {WEFT_TAKE(d.c, &got), WEFT_TAKE(quiet, &got), WEFT_PUT(quiet, &v)};
        if (!CHECK_INT(weft_select(cases, 3, 0), 0) || !CHECK_INT(got, i)) break;
    }
    CHECK(heap_in_use() <= before + 4096);
    CHECK_INT(weft_channel_len(quiet), 0);
    CHECK_INT(weft_channel_put_until(quiet, &v, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_channel_take_until(quiet, &v, WEFT_NOW), WEFT_EAGAIN);
    CHECK(joined(t, 0));
    weft_channel_release(d.c);
    weft_channel_release(quiet);
}
