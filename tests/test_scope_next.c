/* test_scope_next.c - scopes that keep their members, scopes with a limit, spawns against cancellations, and when the memory is free. */
#include <stdlib.h>

#include "scope_kit.h"

static int
goes_through(void *arg)
{
    until(arg, 1);
    return 0;
}

/* [S91] [S92] [S93] */
TASK_TEST(scope_next, order, "members come in the order in which they end, and then WEFT_ENOENT")
{
    _Atomic int gates[3] = {0, 0, 0};
    weft_task *t[3], *next;
    weft_scope s;
    weft_scope_open(&s, WEFT_KEEP, WEFT_FOREVER);
    CHECK_INT(weft_scope_next(&s, &next), WEFT_ENOENT);
    for (int k = 0; k < 3; k++) CHECK_INT(weft_spawn(&t[k], goes_through, (void *)&gates[k]), 0);
    static const int order[] = {2, 0, 1};
    CHECK_INT(weft_scope_next_until(&s, &next, WEFT_NOW), WEFT_EAGAIN);
    for (int k = 0; k < 3; k++) {
        gates[order[k]] = 1;
        CHECK_INT(weft_scope_next(&s, &next), 0);
        CHECK(next == t[order[k]]);
        CHECK(weft_task_isdone(next));
        weft_task_release(next);
    }
    CHECK_INT(weft_scope_next(&s, &next), WEFT_ENOENT);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    for (int k = 0; k < 3; k++) weft_task_release(t[k]);
}

/* [S94] */
TASK_TEST(scope_next, first_two, "the first two of five, and the others are cancelled")
{
    struct member m[5];
    weft_task *next;
    weft_scope s;
    weft_scope_open(&s, WEFT_KEEP, WEFT_FOREVER);
    for (int k = 0; k < 5; k++) {
        m[k] = MEMBER(.nap = k == 1 || k == 3 ? WEFT_MS : LONG);
        CHECK_INT(weft_spawn(NULL, nap, &m[k]), 0);
        begun(&m[k]);
    }
    for (int k = 0; k < 2; k++) {
        CHECK_INT(weft_scope_next(&s, &next), 0);
        CHECK_INT(weft_task_state(next), WEFT_COMPLETED);
        weft_task_release(next);
    }
    weft_scope_cancel(&s, 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    for (int k = 0; k < 5; k++) CHECK_INT(m[k].woken, k == 1 || k == 3 ? 0 : WEFT_ECANCELED);
}

struct takers {
    weft_scope *s;
    _Atomic int got, ends;
};

static int
takes(void *arg)
{
    struct takers *k = arg;
    weft_task *t;
    int rc;
    while ((rc = weft_scope_next(k->s, &t)) == 0) {
        atomic_fetch_add(&k->got, 1);
        weft_task_release(t);
    }
    CHECK_INT(rc, WEFT_ENOENT);
    atomic_fetch_add(&k->ends, 1);
    return 0;
}

/* [S95] */
TASK_TEST(scope_next, several, "of several who take, each member goes to one")
{
    enum { MANY = 50 };
    struct member m = MEMBER(.nap = WEFT_MS);
    weft_scope outer, s;
    struct takers k = {.s = &s};
    weft_task *t[3];
    weft_scope_open(&outer, 0, WEFT_FOREVER);
    weft_scope_open(&s, WEFT_KEEP, WEFT_FOREVER);
    for (int i = 0; i < MANY; i++) CHECK_INT(weft_spawn(NULL, nap, &m), 0);
    for (int i = 0; i < 3; i++) {
        weft_task_options opt = {.size = sizeof opt, .scope = &outer};
        CHECK_INT(weft_spawn_with(&t[i], takes, &k, &opt), 0);
    }
    for (int i = 0; i < 3; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(weft_scope_close(&outer, 0), 0);
    CHECK_INT(k.got, MANY);
    CHECK_INT(k.ends, 3);
}

static int
takes_one(void *arg)
{
    struct takers *k = arg;
    weft_task *t;
    int rc = weft_scope_next(k->s, &t);
    if (rc == 0) {
        atomic_fetch_add(&k->got, 1);
        weft_task_release(t);
    }
    return rc;
}

/* [S96] */
TASK_TEST(scope_next, cancelled_taker, "a taker that is cancelled as a member ends loses nothing")
{
    int n = scaled(3000);
    for (int i = 0; i < n; i++) {
        struct member m = MEMBER(.nap = 0);
        weft_scope outer, s;
        struct takers k = {.s = &s};
        weft_task *t;
        weft_scope_open(&outer, WEFT_SUPERVISE, WEFT_FOREVER);
        weft_scope_open(&s, WEFT_KEEP, WEFT_FOREVER);
        weft_task_options opt = {.size = sizeof opt, .scope = &outer};
        CHECK_INT(weft_spawn_with(&t, takes_one, &k, &opt), 0);
        CHECK_INT(weft_spawn(NULL, nap, &m), 0);
        if (i % 2) weft_yield();
        weft_cancel(t);
        ended(t);
        weft_task_release(t);
        weft_task *left;
        int rc = weft_scope_next(&s, &left);
        CHECK_INT(rc, k.got ? WEFT_ENOENT : 0);
        if (rc == 0) weft_task_release(left);
        CHECK_INT(weft_scope_close(&s, 0), 0);
        CHECK_INT(weft_scope_close(&outer, 0), 0);
    }
}

/* [S97] [S98] */
TASK_TEST(scope_next, failed, "a member that failed comes as well; what nobody takes is released by closing")
{
    struct member fails = MEMBER(.code = WEFT_EBUSY), m = MEMBER(.nap = 3 * WEFT_MS);
    weft_task *t;
    weft_scope s;
    weft_scope_open(&s, WEFT_KEEP | WEFT_SUPERVISE, WEFT_FOREVER);
    CHECK_INT(weft_spawn(NULL, nap, &m), 0);
    CHECK_INT(weft_spawn(NULL, nap, &fails), 0);
    CHECK_INT(weft_scope_next(&s, &t), 0);
    CHECK_INT(weft_task_state(t), WEFT_FAILED);
    CHECK_INT(weft_task_error(t), WEFT_EBUSY);
    weft_task_release(t);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    CHECK_INT(weft_scope_next(&s, &t), WEFT_EINVAL);
    CHECK_INT(weft_scope_close(&s, 0), 0);
}

struct crowd {
    _Atomic int inside, most, ran;
};

static int
enters(void *arg)
{
    struct crowd *c = arg;
    int now = atomic_fetch_add(&c->inside, 1) + 1, most = c->most;
    while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now)) continue;
    int rc = weft_sleep(WEFT_MS);
    atomic_fetch_sub(&c->inside, 1);
    atomic_fetch_add(&c->ran, 1);
    return rc;
}

/* [S110] */
TASK_TEST(scope_limit, two, "with a limit of two never more than two members live, and all run")
{
    struct crowd c = {0};
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_limit(&s, 2);
    for (int k = 0; k < 10; k++) CHECK_INT(weft_spawn(NULL, enters, &c), 0);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(c.ran, 10);
    CHECK(c.most <= 2);
}

struct spawner {
    struct member *m;
    _Atomic int rc, begun;
    weft_scope *s;
};

static int
spawns_one(void *arg)
{
    struct spawner *p = arg;
    p->begun = 1;
    int rc = weft_spawn_with(NULL, nap, p->m, &(weft_task_options){.scope = p->s});
    atomic_store(&p->rc, rc);
    return rc;
}

/* [S111] [S112] */
TASK_TEST(scope_limit, waits, "who waits to spawn can be cancelled, and goes on when the limit is raised")
{
    struct member first = MEMBER(.nap = 200 * WEFT_MS), second = MEMBER(.nap = 0), third = MEMBER(.nap = 0);
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_limit(&s, 2);
    struct spawner p = {.m = &second, .rc = 1}, q = {.m = &third, .rc = 1};
    weft_task *t, *u;
    CHECK_INT(weft_spawn(NULL, nap, &first), 0);
    weft_task_options opt = {.size = sizeof opt};
    CHECK_INT(weft_spawn_with(&t, spawns_one, &p, &opt), 0); /* a member itself: the scope is full */
    until(&p.begun, 1);
    CHECK_INT(p.rc, 1);
    CHECK(weft_cancel(t));
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(p.rc, WEFT_ECANCELED);
    CHECK_INT(second.ended, 0);
    weft_task_release(t);
    CHECK_INT(weft_spawn_with(&u, spawns_one, &q, &opt), 0);
    until(&q.begun, 1);
    CHECK_INT(q.rc, 1);
    weft_scope_limit(&s, 3);
    CHECK_INT(weft_wait(u), 0);
    CHECK_INT(q.rc, 0);
    weft_task_release(u);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(third.ended, 1);
}

/* [S113] */
TASK_TEST(scope_limit, lowered, "a limit that is lowered cancels nobody")
{
    struct member m[3] = {MEMBER(.nap = 3 * WEFT_MS), MEMBER(.nap = 3 * WEFT_MS), MEMBER(.nap = 0)};
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_limit(&s, SIZE_MAX);
    CHECK_INT(weft_spawn(NULL, nap, &m[0]), 0);
    CHECK_INT(weft_spawn(NULL, nap, &m[1]), 0);
    weft_scope_limit(&s, 1);
    CHECK_INT(weft_spawn(NULL, nap, &m[2]), 0); /* waits for both */
    CHECK_INT(m[0].ended + m[1].ended, 2);
    CHECK_INT(weft_scope_close(&s, 0), 0);
    CHECK_INT(m[0].woken, 0);
}

/* [S114] */
TASK_TEST(scope_limit, failure, "a member that fails while another is waited for makes the spawn fail")
{
    struct member fails = MEMBER(.nap = 2 * WEFT_MS, .code = WEFT_EBUSY), m = MEMBER(.nap = 0);
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_limit(&s, 1);
    CHECK_INT(weft_spawn(NULL, nap, &fails), 0);
    int rc = launch(NULL, nap, &m);
    CHECK_INT(rc, WEFT_ECANCELED);
    CHECK_INT(weft_scope_close(&s, rc), WEFT_EBUSY);
    CHECK_INT(m.ended + m.dropped, 0);
}

/* ---- Spawning against a cancellation ------------------------------------------------------------------------------- */

static int
cancel_scope(void *arg)
{
    weft_scope_cancel(arg, 0);
    return 0;
}

/* [S87]  Who cancels is a member, so that the scope is open; it is not dropped, as nobody else cancels. */
TASK_TEST(scope_spawn, against_cancel,
          "a member cancels the scope while it is spawned into: each spawn is refused, dropped, or run")
{
    unsigned seed = test_seed();
    for (int round = scaled(5000); round > 0; round--) {
        enum { MOST = 12 };
        struct member m[MOST];
        int refused = 0, after = (int)dice(&seed, MOST), done = 0;
        weft_scope s;
        weft_scope_open(&s, 0, WEFT_FOREVER);
        for (int i = 0; i < MOST; i++) {
            m[i] = MEMBER(.nap = 0);
            if (i == after) CHECK_INT(weft_spawn(NULL, cancel_scope, &s), 0);
            if (i > after && dice(&seed, 4) == 0) weft_yield();
            int rc = launch(NULL, nap, &m[i]);
            CHECK(rc == 0 || (rc == WEFT_ECANCELED && i >= after));
            refused += rc < 0;
        }
        CHECK_INT(weft_scope_close(&s, 0), 0);
        for (int i = 0; i < MOST; i++) done += m[i].ended + m[i].dropped;
        CHECK_INT(refused + done, MOST);
    }
}

/* ---- Memory -------------------------------------------------------------------------------------------------------- */

static int
end_soon(void *arg)
{
    for (volatile unsigned spins = (unsigned)(uintptr_t)arg; spins > 0; spins--) continue;
    return 0;
}

/* [S86]  In every form in which the last member can be met: ended, running elsewhere, parked. */
TASK_TEST(scope_memory, freed, "a scope's memory is free as soon as its close has returned, however its members end")
{
    unsigned seed = test_seed();
    for (int i = scaled(20000); i > 0; i--) {
        weft_scope *s = malloc(sizeof *s);
        if (!CHECK(s)) return;
        unsigned flags = dice(&seed, 3) == 0 ? WEFT_KEEP | WEFT_SUPERVISE : dice(&seed, 2) ? WEFT_RACE : 0;
        weft_scope_open(s, flags, dice(&seed, 4) ? WEFT_FOREVER : weft_in(dice(&seed, 30) * WEFT_US));
        int rc = 0;
        for (unsigned n = dice(&seed, 4); n > 0 && rc == 0; n--)
            rc = weft_spawn(NULL, end_soon, (void *)(uintptr_t)dice(&seed, 300));
        for (unsigned n = dice(&seed, 3); n > 0; n--) weft_yield();
        if (dice(&seed, 8) == 0) weft_scope_cancel(s, 0);
        rc = weft_scope_close(s, rc);
        CHECK(rc == 0 || rc == WEFT_ETIMEDOUT);
        memset(s, 0xa5, sizeof *s); /* as whoever has the memory next */
        free(s);
    }
}
