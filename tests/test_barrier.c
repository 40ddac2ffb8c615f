/* test_barrier.c - barriers: nobody goes on too early, and exactly one is told that it was the last. */
#include "signal_kit.h"

static int
arrive(struct caller *c)
{
    int rc = weft_barrier_wait_until(c->object, c->deadline);
    return rc;
}

static struct caller
party(weft_barrier *b, struct journal *j, char name)
{
    return (struct caller){.call = arrive, .object = b, .deadline = WEFT_FOREVER, .journal = j, .name = name};
}

static weft_barrier
barrier_of(size_t parties)
{
    weft_barrier b;
    CHECK_INT(weft_barrier_init(&b, parties), 0);
    return b;
}

TEST(barrier, no_parties, "a barrier needs parties")
{
    weft_barrier b = {{0, 0, 0, 0}};
    CHECK_INT(weft_barrier_wait(&b), WEFT_EINVAL);
    CHECK_INT(weft_barrier_wait_until(&b, WEFT_NOW), WEFT_EINVAL);
    CHECK_INT(weft_barrier_init(&b, 0), WEFT_EINVAL);
    CHECK_INT(weft_barrier_init(&b, SIZE_MAX), WEFT_EINVAL);
}

TEST(barrier, alone, "a party of one is always the last")
{
    weft_barrier b = barrier_of(1);
    for (int i = 0; i < 3; i++) CHECK_INT(weft_barrier_wait(&b), 1);
    CHECK_INT(weft_barrier_wait_until(&b, WEFT_NOW), 1);
}

WORKER_TEST(barrier, last_goes_first, "the last party does not wait and gets 1; the others follow in order, with 0")
{
    weft_barrier b = barrier_of(4);
    struct journal j = {.length = 0};
    struct caller c[3];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) {
            c[i] = party(&b, &j, (char)('1' + i));
            begin_call(&c[i]);
        }
        give_turns();
        for (int i = 0; i < 3; i++) CHECK(parked(&c[i]));
        CHECK_INT(weft_barrier_wait(&b), 1);
        note(&j, '!');
        for (int i = 0; i < 3; i++) CHECK_INT(end_call(&c[i]), 0);
    }
    CHECK_STR(j.text, "!123!123!123");
}

WORKER_TEST(barrier, try, "who is not to wait passes only as the last")
{
    weft_barrier b = barrier_of(2);
    struct caller c = party(&b, NULL, 'a');
    CHECK_INT(weft_barrier_wait_until(&b, WEFT_NOW), WEFT_EAGAIN);
    begin_call(&c);
    CHECK(parked(&c));
    CHECK_INT(weft_barrier_wait_until(&b, WEFT_NOW), 1);
    CHECK_INT(end_call(&c), 0);
}

WORKER_TEST(barrier, gives_up, "who gives up has not arrived: the others wait for somebody else")
{
    weft_barrier b = barrier_of(3);
    struct caller a = party(&b, NULL, 'a'), late = party(&b, NULL, 'l'), c = party(&b, NULL, 'c');
    begin_call(&a);
    late.deadline = weft_in(2 * WEFT_MS);
    begin_call(&late);
    CHECK_INT(end_call(&late), WEFT_ETIMEDOUT);
    begin_call(&c);
    give_turns();
    CHECK(parked(&a) && parked(&c));
    CHECK_INT(weft_barrier_wait(&b), 1);
    CHECK_INT(end_call(&a), 0);
    CHECK_INT(end_call(&c), 0);
}

/* Parties that go through many generations together, and look that nobody is ahead. */
struct generations {
    weft_barrier b;
    int rounds, parties;
    _Atomic int serials, wrong;
    int *at; /* of each party: the round that it has come to.  Plain: the barrier orders it */
};

struct member {
    struct generations *g;
    int number;
};

static int
go_through(void *arg)
{
    struct member *m = arg;
    struct generations *g = m->g;
    for (int round = 1; round <= g->rounds; round++) {
        g->at[m->number] = round;
        int rc = weft_barrier_wait(&g->b);
        if (rc < 0) atomic_fetch_add(&g->wrong, 1);
        if (rc == 1) atomic_fetch_add(&g->serials, 1);
        for (int k = 0; k < g->parties; k++)
            if (g->at[k] != round) atomic_fetch_add(&g->wrong, 1);
        if (weft_barrier_wait(&g->b) < 0) atomic_fetch_add(&g->wrong, 1); /* until everybody has looked */
    }
    return 0;
}

static void *
go_through_on_thread(void *arg)
{
    go_through(arg);
    return NULL;
}

static void
check_generations(int tasks, int threads, int rounds)
{
    enum { MOST = 16 };
    int at[MOST] = {0};
    struct generations g = {.rounds = rounds, .parties = tasks + threads, .at = at};
    struct member members[MOST];
    weft_task *t[MOST];
    pthread_t p[MOST];
    CHECK_INT(weft_barrier_init(&g.b, (size_t)g.parties), 0);
    for (int k = 0; k < g.parties; k++) {
        members[k] = (struct member){&g, k};
        if (k < tasks) t[k] = spawned(go_through, &members[k]);
        else if (!CHECK_INT(pthread_create(&p[k], NULL, go_through_on_thread, &members[k]), 0)) abort();
    }
    for (int k = 0; k < tasks; k++) CHECK_INT(weft_join(t[k]), 0);
    for (int k = tasks; k < g.parties; k++) pthread_join(p[k], NULL);
    CHECK_INT(atomic_load(&g.wrong), 0);
    CHECK_INT(atomic_load(&g.serials), rounds);
}

TASK_TEST(barrier, generations, "in every generation all parties are there before one goes on, and one is the last")
{
    check_generations(2, 0, scaled(20000));
    check_generations(8, 0, scaled(5000));
    check_generations(16, 0, scaled(2000));
}

TASK_TEST(barrier, threads, "tasks and threads are parties of one barrier")
{
    check_generations(3, 3, scaled(500));
}

static int
arrive_task(void *arg)
{
    struct caller *c = arg;
    c->rc = c->call(c);
    return 0;
}

TASK_TEST(barrier, deadline_or_last, "of a deadline and the last party at the same time one was first, for everybody")
{
    int wrong = 0;
    for (int i = 0; i < scaled(3000); i++) {
        weft_barrier b = barrier_of(2);
        struct caller c = party(&b, NULL, 'a');
        c.deadline = weft_in(i % 40 * WEFT_US);
        weft_task *t = spawned(arrive_task, &c);
        for (weft_time end = weft_now() + i % 37 * WEFT_US; weft_now() < end;) weft_yield();
        int rc = weft_barrier_wait_until(&b, WEFT_NOW);
        wrong += weft_join(t) != 0;
        wrong += !(rc == 1 && c.rc == 0) && !(rc == WEFT_EAGAIN && c.rc == WEFT_ETIMEDOUT);
        if (rc == WEFT_EAGAIN) wrong += weft_barrier_wait_until(&b, WEFT_NOW) != WEFT_EAGAIN; /* nobody is in it */
    }
    CHECK_INT(wrong, 0);
}

struct stopped {
    weft_barrier b;
    _Atomic int waiting;
    int rc;
};

static int
arrive_until_stopped(void *arg)
{
    struct stopped *s = arg;
    atomic_store(&s->waiting, 1);
    s->rc = weft_barrier_wait(&s->b);
    return 0;
}

TEST(barrier, cancelled, "a cancelled party stops waiting, and has not arrived")
{
    struct stopped s = {.b = barrier_of(2)};
    stop_while_waiting(arrive_until_stopped, &s, &s.waiting);
    CHECK_INT(s.rc, WEFT_ECANCELED);
    CHECK_INT(weft_barrier_wait_until(&s.b, WEFT_NOW), WEFT_EAGAIN);
}

static int
arrive_for_ever(void *arg)
{
    weft_barrier b = barrier_of(2);
    (void)arg;
    return weft_barrier_wait(&b);
}

TEST(barrier, reason, "a task that waits for other parties says so in the report of a deadlock")
{
    CHECK(reported_stuck(arrive_for_ever, "parked in barrier wait"));
}
