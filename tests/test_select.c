/* test_select.c - a select: which case it executes, what becomes of the others, and what each kind of case does. */
#include "select_kit.h"

/* ---- What is ready ---- */

/* [S195] */
TASK_TEST(select, none_now, "with WEFT_NOW and nothing ready: WEFT_EAGAIN, and nothing has an effect")
{
    weft_channel *empty = channel_of(1), *full = full_channel(5), *rendezvous = channel_of(0);
    weft_event event = WEFT_EVENT_INIT;
    int64_t in = 7, out = 8;
    weft_case cases[] = {WEFT_TAKE(empty, &in), WEFT_PUT(full, &out), WEFT_TAKE(rendezvous, &in),
                         WEFT_PUT(rendezvous, &out), WEFT_EVENT(&event)};
    CHECK_INT(select_now(cases, 5), WEFT_EAGAIN);
    for (int i = 0; i < 5; i++) CHECK_INT(select_now(&cases[i], 1), WEFT_EAGAIN);
    CHECK_INT(in, 7);
    CHECK(weft_channel_isempty(empty));
    CHECK_INT(weft_channel_len(full), 1);
    CHECK_INT(weft_channel_len(rendezvous), 0);
    CHECK_INT(take(full), 5);
    weft_channel_release(empty);
    weft_channel_release(full);
    weft_channel_release(rendezvous);
}

/* [S196] */
STICKY_TEST(select, one_ready, "exactly the case that is ready is executed, wherever it stands")
{
    enum { N = 5 };
    weft_channel *c[N];
    for (int i = 0; i < N; i++) c[i] = channel_of(1);
    for (int ready = 0; ready < N; ready++) {
        int64_t got[N];
        weft_case cases[N];
        for (int i = 0; i < N; i++) {
            got[i] = -1;
            cases[i] = WEFT_TAKE(c[i], &got[i]);
        }
        CHECK_INT(put(c[ready], 40 + ready), 0);
        CHECK_INT(weft_select(cases, N, 0), ready);
        CHECK_INT(cases[ready].rc, 0);
        for (int i = 0; i < N; i++) CHECK_INT(got[i], i == ready ? 40 + ready : -1);
        for (int i = 0; i < N; i++) CHECK(weft_channel_isempty(c[i]));
    }
    for (int i = 0; i < N; i++) weft_channel_release(c[i]);
}

STICKY_TEST(select, put_ready, "a put is ready where there is room, and where a taker is parked")
{
    weft_channel *full = full_channel(1), *rendezvous = channel_of(0), *unbounded = channel_of(WEFT_UNBOUNDED);
    int64_t a = 10, b = 20, d = 30;
    weft_case cases[] = {WEFT_PUT(full, &a), WEFT_PUT(rendezvous, &b)};
    struct actor *t = taker(rendezvous);
    CHECK_INT(weft_select(cases, 2, 0), 1);
    CHECK_INT(cases[1].rc, 0);
    CHECK_INT(finish(t).value, 20);
    CHECK_INT(take(full), 1);
    CHECK_INT(weft_select(cases, 2, 0), 0);
    CHECK_INT(take(full), 10);
    weft_case third[] = {WEFT_PUT(rendezvous, &b), WEFT_PUT(unbounded, &d)};
    for (int i = 0; i < 20; i++) CHECK_INT(weft_select(third, 2, 0), 1); /* it grows */
    CHECK_INT(weft_channel_len(unbounded), 20);
    CHECK_INT(take(unbounded), 30);
    weft_channel_release(full);
    weft_channel_release(rendezvous);
    weft_channel_release(unbounded);
}

/* [S199] */
TASK_TEST(select, disabled, "a case without an object is never executed")
{
    weft_channel *c = channel_of(1);
    int64_t value = 3;
    weft_case cases[] = {WEFT_TAKE(NULL, &value), WEFT_PUT(NULL, &value), WEFT_DONE(NULL),
                         WEFT_EVENT(NULL),        WEFT_PUT(c, &value),    {0}};
    for (int i = 0; i < 100; i++) {
        CHECK_INT(weft_select(cases, 6, 0), 4);
        CHECK_INT(take(c), 3);
    }
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(select_now(cases, 6), WEFT_EAGAIN);
    weft_channel_release(c);
}

/* [S200] */
TASK_TEST(select, nothing_to_wait_for, "with no case, or disabled ones only, a select waits for its deadline")
{
    weft_case cases[] = {WEFT_TAKE(NULL, NULL), WEFT_PUT(NULL, NULL)};
    CHECK_INT(weft_select_until(cases, 2, 0, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_select_until(NULL, 0, 0, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_select_until(NULL, 0, 0, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_select_until(cases, 2, 0, weft_now() - 1), WEFT_ETIMEDOUT);
}

/* [S201] [S203] */
TASK_TEST(select, closed_take, "a take from a closed channel is ready: first with what is left, then with the code")
{
    weft_channel *quiet = channel_of(0), *c = channel_of(2), *other = closed_channel(0, WEFT_EPERM);
    int64_t value = -1;
    CHECK_INT(put(c, 1), 0);
    CHECK_INT(put(c, 2), 0);
    CHECK(weft_channel_close(c, 0));
    weft_case cases[] = {WEFT_TAKE(quiet, NULL), WEFT_TAKE(c, &value)};
    for (int i = 1; i <= 2; i++) {
        CHECK_INT(weft_select(cases, 2, 0), 1);
        CHECK_INT(cases[1].rc, 0);
        CHECK_INT(value, i);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(weft_select(cases, 2, 0), 1);
        CHECK_INT(cases[1].rc, WEFT_ECLOSED);
    }
    CHECK_INT(value, 2);
    weft_case one = WEFT_TAKE(other, &value);
    CHECK_INT(weft_select(&one, 1, 0), 0);
    CHECK_INT(one.rc, WEFT_EPERM);
    CHECK_INT(select_now(&one, 1), 0);
    CHECK_INT(one.rc, WEFT_EPERM);
    CHECK_INT(value, 2);
    weft_channel_release(quiet);
    weft_channel_release(c);
    weft_channel_release(other);
}

/* [S202] */
TASK_TEST(select, closed_put, "a put into a closed channel is ready with its code, and puts nothing")
{
    static const size_t capacities[] = {0, 1, WEFT_UNBOUNDED};
    int64_t value = 4;
    for (int i = 0; i < 3; i++) {
        weft_channel *quiet = channel_of(0), *c = closed_channel(capacities[i], 0);
        weft_case cases[] = {WEFT_PUT(quiet, &value), WEFT_PUT(c, &value)};
        CHECK_INT(weft_select(cases, 2, 0), 1);
        CHECK_INT(cases[1].rc, WEFT_ECLOSED);
        CHECK_INT(select_now(cases, 2), 1);
        CHECK_INT(weft_channel_len(c), 0);
        weft_channel_release(quiet);
        weft_channel_release(c);
    }
}

/* A channel may be closed with the very code that otherwise says that nothing was executed. */
TASK_TEST(select, closed_as_cancelled, "the code of a channel is told apart from that of the select")
{
    static const int codes[] = {WEFT_ECANCELED, WEFT_ETIMEDOUT, WEFT_EAGAIN};
    for (int i = 0; i < 3; i++) {
        weft_channel *c = closed_channel(0, codes[i]);
        weft_case k = WEFT_TAKE(c, NULL);
        CHECK_INT(weft_select(&k, 1, 0), 0);
        CHECK_INT(k.rc, codes[i]);
        weft_channel_release(c);
    }
}

STICKY_TEST(select, closed_while_parked, "a close wakes a parked select, with the code in the case")
{
    for (int side = 0; side < 2; side++) {
        weft_channel *quiet = channel_of(0), *c = channel_of(0);
        int64_t value = 9;
        weft_case cases[] = {WEFT_TAKE(quiet, &value), side ? WEFT_PUT(c, &value) : WEFT_TAKE(c, &value)};
        struct selector s;
        begin_select(&s, cases, 2, WEFT_FOREVER);
        CHECK(select_parked(&s));
        CHECK_INT(weft_channel_len(c), side);
        CHECK(weft_channel_close(c, WEFT_ETIMEDOUT));
        CHECK_INT(finish_select(&s), 1);
        CHECK_INT(s.cases[1].rc, WEFT_ETIMEDOUT);
        CHECK_INT(value, 9);
        CHECK_INT(weft_channel_len(c), 0);
        weft_channel_release(quiet);
        weft_channel_release(c);
    }
}

/* ---- Choice ---- */

/* [S198] */
TASK_TEST(select, biased, "with WEFT_BIASED the first that is ready is executed")
{
    enum { N = 4 };
    weft_channel *c[N];
    weft_case cases[N];
    for (int i = 0; i < N; i++) {
        c[i] = closed_channel(0, 0);
        cases[i] = WEFT_TAKE(c[i], NULL);
    }
    for (int i = 0; i < 1000; i++) {
        if (!CHECK_INT(weft_select(cases, N, WEFT_BIASED), 0)) break;
        if (!CHECK_INT(weft_select_until(cases, N, WEFT_BIASED, WEFT_NOW), 0)) break;
    }
    weft_channel *quiet = channel_of(0);
    cases[0] = WEFT_TAKE(NULL, NULL);
    cases[1] = WEFT_PUT(quiet, NULL);
    for (int i = 0; i < 1000; i++) {
        if (!CHECK_INT(weft_select(cases, N, WEFT_BIASED), 2)) break;
    }
    weft_channel_release(quiet);
    for (int i = 0; i < N; i++) weft_channel_release(c[i]);
}

/* Every subset of ready cases: each of them is chosen, and in equal shares.  The limits are six standard deviations. */
TASK_TEST(select, uniform, "every ready case is as likely, whichever the others are")
{
    enum { N = 4, ROUNDS = 4000 };
    weft_channel *quiet = channel_of(0), *c = closed_channel(0, 0);
    for (int set = 1; set < 1 << N; set++) {
        int counts[N] = {0}, ready = __builtin_popcount((unsigned)set), rounds = TEST_SIM ? 40 : ROUNDS;
        weft_case cases[N];
        for (int i = 0; i < N; i++) cases[i] = WEFT_TAKE(set >> i & 1 ? c : quiet, NULL);
        for (int i = 0; i < rounds; i++) {
            int k = weft_select(cases, N, 0);
            if (CHECK(k >= 0 && k < N)) counts[k]++;
        }
        double mean = (double)rounds / ready, variance = mean * (1 - 1.0 / ready);
        for (int i = 0; i < N; i++) {
            double off = counts[i] - (set >> i & 1 ? mean : 0);
            CHECK(off * off <= 36 * variance);
        }
    }
    weft_channel_release(quiet);
    weft_channel_release(c);
}

/* ---- The same channel in several cases ---- */

/* [S204] */
STICKY_TEST(select, not_itself, "a take and a put on one rendezvous do not meet each other: the select parks")
{
    weft_channel *c = channel_of(0);
    int64_t in = -1, out = 6;
    for (int order = 0; order < 2; order++) {
        weft_case t = WEFT_TAKE(c, &in), p = WEFT_PUT(c, &out);
        weft_case cases[] = {order ? t : p, order ? p : t};
        struct selector s;
        CHECK_INT(select_now(cases, 2), WEFT_EAGAIN);
        begin_select(&s, cases, 2, weft_in(5 * WEFT_MS));
        CHECK(select_parked(&s));
        CHECK_INT(finish_select(&s), WEFT_ETIMEDOUT);
        CHECK_INT(in, -1);
        CHECK_INT(weft_channel_len(c), 0);

        begin_select(&s, cases, 2, WEFT_FOREVER);
        CHECK_INT(take(c), 6);
        CHECK_INT(finish_select(&s), order);
        begin_select(&s, cases, 2, WEFT_FOREVER);
        CHECK_INT(put(c, 9), 0);
        CHECK_INT(finish_select(&s), 1 - order);
        CHECK_INT(in, 9);
        CHECK_INT(weft_channel_len(c), 0);
        in = -1;
    }
    weft_channel_release(c);
}

/* [S206] */
STICKY_TEST(select, twice_parked, "one put ends a parked select with two takes on a channel, by exactly one of them")
{
    weft_channel *c = channel_of(0);
    int count[2] = {0, 0};
    for (int i = 0; i < 200; i++) {
        int64_t got[2] = {-1, -1};
        weft_case cases[] = {WEFT_TAKE(c, &got[0]), WEFT_TAKE(c, &got[1])};
        struct selector s;
        begin_select(&s, cases, 2, WEFT_FOREVER);
        CHECK_INT(put(c, i), 0);
        CHECK_INT(weft_channel_put_until(c, &got[0], WEFT_NOW), WEFT_EAGAIN);
        int k = finish_select(&s);
        if (!CHECK(k == 0 || k == 1)) break;
        CHECK_INT(got[k], i);
        CHECK_INT(got[1 - k], -1);
        count[k]++;
    }
    CHECK(count[0] > 20);
    CHECK(count[1] > 20);
    weft_channel_release(c);
}

STICKY_TEST(select, twice_parked_biased, "with WEFT_BIASED, of two parked takes on one channel the first is executed")
{
    weft_channel *c = channel_of(0);
    for (int i = 0; i < 50; i++) {
        struct selector s = {.n = 2, .flags = WEFT_BIASED, .deadline = WEFT_FOREVER, .result = INT_MIN};
        s.cases[0] = s.cases[1] = WEFT_TAKE(c, NULL);
        s.task = asynced(select_once, &s);
        AWAIT(atomic_load(&s.step) == CALLING);
        CHECK_INT(put(c, i), 0);
        CHECK_INT(finish_select(&s), 0);
    }
    weft_channel_release(c);
}

/* [S207] */
TASK_TEST(select, twice_ready, "of two puts into a channel with room each is executed at times, and only one")
{
    weft_channel *c = channel_of(1);
    int64_t values[] = {0, 1};
    int count[2] = {0, 0};
    for (int i = 0; i < 200; i++) {
        weft_case cases[] = {WEFT_PUT(c, &values[0]), WEFT_PUT(c, &values[1])};
        int k = weft_select(cases, 2, 0);
        if (!CHECK(k == 0 || k == 1)) break;
        CHECK_INT(take(c), k);
        CHECK(weft_channel_isempty(c));
        count[k]++;
    }
    CHECK(count[0] > 20);
    CHECK(count[1] > 20);
    weft_channel_release(c);
}

/* ---- What a select leaves behind ---- */

/* [S216] */
STICKY_TEST(select, untouched, "the memory of a take that was not executed is not written")
{
    weft_channel *a = channel_of(1), *b = channel_of(1);
    int64_t got[2] = {71, 72};
    weft_case cases[] = {WEFT_TAKE(a, &got[0]), WEFT_TAKE(b, &got[1])};
    struct selector s;
    CHECK_INT(put(b, 1), 0);
    CHECK_INT(weft_select(cases, 2, 0), 1);
    CHECK_INT(got[0], 71);
    begin_select(&s, cases, 2, WEFT_FOREVER);
    CHECK_INT(put(b, 2), 0);
    CHECK_INT(put(a, 3), 0);
    CHECK_INT(finish_select(&s), 1);
    CHECK_INT(got[0], 71);
    CHECK_INT(got[1], 2);
    CHECK_INT(take(a), 3);
    weft_channel_release(a);
    weft_channel_release(b);
}

/* Each of n registrations in one queue is taken out of its middle or end when another case wins. */
STICKY_TEST(select, withdrawn, "the cases that lose leave their queues in order for those who stay")
{
    weft_channel *c = channel_of(0), *stop = channel_of(0);
    for (int gone = 0; gone < 3; gone++) {
        struct selector s[3];
        weft_channel *own[3];
        int64_t got[3] = {-1, -1, -1};
        for (int i = 0; i < 3; i++) {
            own[i] = channel_of(0);
            weft_case cases[] = {WEFT_TAKE(own[i], NULL), WEFT_TAKE(c, &got[i]), WEFT_TAKE(stop, NULL)};
            begin_select(&s[i], cases, 3, WEFT_FOREVER);
        }
        CHECK_INT(put(own[gone], 0), 0);
        CHECK_INT(finish_select(&s[gone]), 0);
        for (int i = 0, value = 1; i < 3; i++) {
            if (i == gone) continue;
            CHECK_INT(put(c, value), 0);
            CHECK_INT(finish_select(&s[i]), 1);
            CHECK_INT(got[i], value++);
        }
        int64_t value = 0;
        CHECK_INT(weft_channel_put_until(c, &value, WEFT_NOW), WEFT_EAGAIN);
        CHECK_INT(weft_channel_put_until(stop, &value, WEFT_NOW), WEFT_EAGAIN);
        for (int i = 0; i < 3; i++) weft_channel_release(own[i]);
    }
    weft_channel_release(c);
    weft_channel_release(stop);
}

STICKY_TEST(select, put_withdrawn, "a put that was not executed never appears, and is not counted any more")
{
    weft_channel *full = full_channel(1), *go = channel_of(0);
    int64_t out = 99;
    weft_case cases[] = {WEFT_PUT(full, &out), WEFT_TAKE(go, NULL)};
    struct selector s;
    begin_select(&s, cases, 2, WEFT_FOREVER);
    CHECK_INT(weft_channel_len(full), 2);
    CHECK_INT(put(go, 0), 0);
    CHECK_INT(finish_select(&s), 1);
    CHECK_INT(weft_channel_len(full), 1);
    begin_select(&s, cases, 2, weft_in(WEFT_MS));
    CHECK_INT(finish_select(&s), WEFT_ETIMEDOUT);
    CHECK_INT(weft_channel_len(full), 1);
    CHECK_INT(take(full), 1);
    CHECK_INT(try_take(full), WEFT_EAGAIN);
    weft_channel_release(full);
    weft_channel_release(go);
}

STICKY_TEST(select, watched, "who waits for a channel to have something is woken by a select that is parked to put")
{
    weft_channel *c = channel_of(0), *other = channel_of(0);
    int64_t out = 5;
    struct actor *w = waiter(c);
    weft_case cases[] = {WEFT_TAKE(other, NULL), WEFT_PUT(c, &out)};
    struct selector s;
    begin_select(&s, cases, 2, WEFT_FOREVER);
    CHECK_INT(finish(w).rc, 0);
    CHECK(weft_channel_isready(c));
    CHECK_INT(take(c), 5);
    CHECK_INT(finish_select(&s), 1);
    weft_channel_release(c);
    weft_channel_release(other);
}

/* [S218] */
STICKY_TEST(select, fifo, "a select is served in the order in which it came, among plain takers and putters")
{
    weft_channel *c = channel_of(0), *quiet = channel_of(0);
    int64_t got = -1, out = 30;
    struct actor *first = taker(c);
    weft_case take_case[] = {WEFT_TAKE(quiet, NULL), WEFT_TAKE(c, &got)};
    struct selector s;
    begin_select(&s, take_case, 2, WEFT_FOREVER);
    struct actor *last = taker(c);
    for (int i = 1; i <= 3; i++) CHECK_INT(put(c, i), 0);
    CHECK_INT(finish(first).value, 1);
    CHECK_INT(finish_select(&s), 1);
    CHECK_INT(got, 2);
    CHECK_INT(finish(last).value, 3);

    first = putter(c, 10);
    weft_case put_case[] = {WEFT_PUT(c, &out), WEFT_TAKE(quiet, NULL)};
    begin_select(&s, put_case, 2, WEFT_FOREVER);
    last = putter(c, 50);
    CHECK_INT(take(c), 10);
    CHECK_INT(take(c), 30);
    CHECK_INT(take(c), 50);
    CHECK_INT(finish(first).rc, 0);
    CHECK_INT(finish_select(&s), 0);
    CHECK_INT(finish(last).rc, 0);
    weft_channel_release(c);
    weft_channel_release(quiet);
}

STICKY_TEST(select, fifo_fetchers, "fetchers and selects stand in one queue")
{
    weft_channel *c = channel_of(1), *quiet = channel_of(0);
    int64_t got = -1;
    struct actor *f = fetcher(c);
    weft_case cases[] = {WEFT_TAKE(c, &got), WEFT_TAKE(quiet, NULL)};
    struct selector s;
    begin_select(&s, cases, 2, WEFT_FOREVER);
    struct actor *later = fetcher(c);
    CHECK_INT(put(c, 8), 0);
    CHECK_INT(finish(f).value, 8);
    CHECK_INT(finish_select(&s), 0);
    CHECK_INT(got, 8);
    CHECK(is_parked(later));
    CHECK_INT(put(c, 9), 0);
    CHECK_INT(finish(later).value, 9);
    CHECK_INT(take(c), 9);
    weft_channel_release(c);
    weft_channel_release(quiet);
}

/* ---- Batches ---- */

STICKY_TEST(select, against_batches, "a select takes from a parked batch, and puts into one that waits")
{
    weft_channel *c = channel_of(0), *quiet = channel_of(0);
    struct actor *t = taker(c);
    int64_t values[] = {1, 2, 3}, got = -1;
    size_t done = 0;
    weft_case cases[] = {WEFT_TAKE(quiet, NULL), WEFT_TAKE(c, &got)};
    struct selector s;
    begin_select(&s, cases, 2, WEFT_FOREVER);
    CHECK_INT(weft_channel_put_n_until(c, values, 3, &done, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(done, 2);
    CHECK_INT(finish(t).value, 1);
    CHECK_INT(finish_select(&s), 1);
    CHECK_INT(got, 2);
    weft_channel_release(c);
    weft_channel_release(quiet);
}
