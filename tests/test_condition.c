/* test_condition.c - who is notified, with what, in which order, and that the mutex is the caller's again in every case. */
#include "lock_kit.h"

enum { CROWD = 4 };

struct scene {
    weft_mutex m;
    weft_condition c;
    struct journal journal;
    struct actor actors[CROWD];
};

static void *const success = (void *)"success";

/* Is m the caller's, once?  Unlocks it. */
static void
give_back(weft_mutex *m)
{
    CHECK(weft_mutex_islocked(m));
    CHECK_INT(weft_mutex_unlock(m), 0);
    CHECK_INT(weft_mutex_unlock(m), WEFT_EPERM);
}

static int
wait(struct actor *a)
{
    weft_mutex_lock(a->other);
    int rc = a->deadline == WEFT_FOREVER ? weft_condition_wait(a->object, a->other, &a->value)
                                         : weft_condition_wait_until(a->object, a->other, &a->value, a->deadline);
    noted(a);
    give_back(a->other);
    return rc;
}

static int
wait_first(struct actor *a)
{
    weft_mutex_lock(a->other);
    int rc = a->deadline == WEFT_FOREVER ? weft_condition_wait_first(a->object, a->other, &a->value)
                                         : weft_condition_wait_first_until(a->object, a->other, &a->value, a->deadline);
    noted(a);
    give_back(a->other);
    return rc;
}

static struct actor *
begin_wait(struct scene *s, int i, weft_time deadline)
{
    struct actor *a = &s->actors[i];
    *a = (struct actor){.call = wait,
                        .object = &s->c,
                        .other = &s->m,
                        .deadline = deadline,
                        .journal = &s->journal,
                        .name = (char)('1' + i)};
    begin(a);
    return a;
}

static void
gather(struct scene *s, int n)
{
    for (int i = 0; i < n; i++) (void)begin_wait(s, i, WEFT_FOREVER);
}

/* Notifies, as the owner of the mutex for that time. */
static int
notify(struct scene *s, void *value, unsigned flags)
{
    weft_mutex_lock(&s->m);
    int n = weft_condition_notify(&s->c, value, flags);
    CHECK_INT(weft_mutex_unlock(&s->m), 0);
    return n;
}

/* ---- Values and counts --------------------------------------------------------------------------------------------- */

/* [J89]  There is no show. */
WORKER_TEST(condition, value, "condition: the wait returns with the notifier's value, and the mutex locked")
{
    struct scene s = {0};
    gather(&s, 1);
    CHECK(!weft_mutex_islocked(&s.m));
    CHECK_INT(notify(&s, success, WEFT_ALL), 1);
    CHECK_INT(finish(&s.actors[0]), 0);
    CHECK_STR(s.actors[0].value, "success");
    CHECK(!weft_mutex_islocked(&s.m));
}

/* [J93] [S230] [S231] */
WORKER_TEST(condition, counts,
            "condition: one notification is for who has waited longest, and each says how many it ended")
{
    struct scene s = {0};
    gather(&s, 3);
    CHECK_INT(notify(&s, "x", WEFT_ONE), 1);
    CHECK_INT(finish(&s.actors[0]), 0);
    CHECK_STR(s.actors[0].value, "x");
    CHECK(!is_back(&s.actors[1]) && !is_back(&s.actors[2]));
    CHECK_INT(notify(&s, "y", WEFT_ALL), 2);
    for (int i = 1; i < 3; i++) {
        CHECK_INT(finish(&s.actors[i]), 0);
        CHECK_STR(s.actors[i].value, "y");
    }
    CHECK_STR(s.journal.text, "123");
    CHECK_INT(notify(&s, "z", WEFT_ALL), 0);
    CHECK_INT(notify(&s, "z", WEFT_ONE), 0);
    (void)begin_wait(&s, 3, weft_in(WEFT_MS)); /* they are not remembered */
    CHECK_INT(finish(&s.actors[3]), WEFT_ETIMEDOUT);
}

/* [J94] */
WORKER_TEST(condition, error, "condition: a notification with an error makes the waits return it")
{
    struct scene s = {0};
    gather(&s, 2);
    weft_mutex_lock(&s.m);
    CHECK_INT(weft_condition_notify_error(&s.c, 0, WEFT_ALL), WEFT_EINVAL);
    CHECK_INT(weft_condition_notify_error(&s.c, -1234, WEFT_ALL), 2);
    CHECK_INT(weft_mutex_unlock(&s.m), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(finish(&s.actors[i]), -1234);
        CHECK(s.actors[i].value == NULL);
    }
}

/* [J90] */
WORKER_TEST(condition, first, "condition: wait_first goes before those who wait already")
{
    struct scene s = {0};
    for (int i = 0; i < 4; i++) {
        s.actors[i] = (struct actor){.call = i == 2 ? wait_first : wait,
                                     .object = &s.c,
                                     .other = &s.m,
                                     .deadline = i < 2 ? WEFT_FOREVER : weft_in(60 * WEFT_S),
                                     .journal = &s.journal,
                                     .name = (char)('1' + i)};
        begin(&s.actors[i]);
    }
    CHECK_INT(notify(&s, NULL, WEFT_ONE), 1);
    CHECK_INT(finish(&s.actors[2]), 0);
    CHECK_INT(notify(&s, NULL, WEFT_ALL), 3);
    for (int i = 0; i < 4; i += i == 1 ? 2 : 1) CHECK_INT(finish(&s.actors[i]), 0);
    CHECK_STR(s.journal.text, "3124");
}

static int
wait_twice(struct actor *a)
{
    weft_mutex_lock(a->other);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(weft_condition_wait_first(a->object, a->other, NULL), 0);
        noted(a);
    }
    return weft_mutex_unlock(a->other);
}

/* [J95] [S231] */
WORKER_TEST(condition, once, "condition: who waits again is not notified twice by the same notification")
{
    struct scene s = {0};
    gather(&s, 2);
    struct actor again = {.call = wait_twice, .object = &s.c, .other = &s.m, .journal = &s.journal, .name = 'a'};
    begin(&again);
    CHECK_INT(notify(&s, NULL, WEFT_ALL), 3);
    for (int i = 0; i < 2; i++) CHECK_INT(finish(&s.actors[i]), 0);
    give_turns(3);
    CHECK_STR(s.journal.text, "a12");
    CHECK(!is_back(&again));
    CHECK_INT(notify(&s, NULL, WEFT_ALL), 1);
    CHECK_INT(finish(&again), 0);
}

WORKER_TEST(condition, no_stampede, "condition: those who are notified together do not wake to park again")
{
    struct scene s = {0};
    weft_stats before = {.size = sizeof before}, after = before;
    gather(&s, CROWD);
    weft_mutex_lock(&s.m);
    CHECK_INT(weft_condition_notify(&s.c, NULL, WEFT_ALL), CROWD);
    give_turns(3);
    for (int i = 0; i < CROWD; i++) CHECK(!is_back(&s.actors[i]));
    CHECK_INT(weft_stats_get(&before), 0);
    CHECK_INT(weft_mutex_unlock(&s.m), 0);
    for (int i = 0; i < CROWD; i++) until(&s.actors[i].step, 2);
    CHECK_INT(weft_stats_get(&after), 0);
    CHECK_INT(after.total.parked - before.total.parked, 0);
    for (int i = 0; i < CROWD; i++) CHECK_INT(finish(&s.actors[i]), 0);
    CHECK_STR(s.journal.text, "1234");
}

/* ---- The mutex ----------------------------------------------------------------------------------------------------- */

static int
misuse(struct actor *a)
{
    return weft_condition_wait(a->object, a->other, NULL);
}

static int
notify_by_mistake(struct actor *a)
{
    CHECK_INT(weft_condition_notify_error(a->object, -1, WEFT_ALL), WEFT_EPERM);
    CHECK_INT(weft_condition_notify(a->object, NULL, WEFT_ONE), WEFT_EPERM);
    return weft_condition_notify(a->object, NULL, WEFT_ALL);
}

/* [J92]  When nobody waits, a notification cannot know the mutex: 0. */
WORKER_TEST(condition, not_owner, "condition: a wait without the mutex, or a notification without it, is an error")
{
    struct scene s = {0};
    weft_mutex other = {{0}};
    struct actor waiter = {.call = misuse, .object = &s.c, .other = &s.m},
                 notifier = {.call = notify_by_mistake, .object = &s.c}, thread = notifier;
    CHECK_INT(weft_condition_wait(&s.c, &s.m, NULL), WEFT_EPERM);
    CHECK_INT(weft_condition_notify(&s.c, NULL, WEFT_ALL), 0);
    gather(&s, 1);
    CHECK_INT(weft_condition_notify(&s.c, NULL, WEFT_ALL), WEFT_EPERM);
    weft_mutex_lock(&s.m);
    begin(&waiter);
    CHECK_INT(finish(&waiter), WEFT_EPERM);
    begin(&notifier);
    CHECK_INT(finish(&notifier), WEFT_EPERM);
    begin_thread(&thread);
    CHECK_INT(finish_thread(&thread), WEFT_EPERM);
    CHECK_INT(weft_condition_notify(&s.c, NULL, 0), WEFT_EINVAL);
    CHECK_INT(weft_condition_notify(&s.c, NULL, WEFT_ONE | WEFT_ALL), WEFT_EINVAL);
    weft_mutex_lock(&other);
    CHECK_INT(weft_condition_wait(&s.c, &other, NULL), WEFT_EINVAL);
    CHECK_INT(weft_mutex_unlock(&other), 0);
    CHECK_INT(weft_condition_wait_until(&s.c, &s.m, NULL, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_condition_notify(&s.c, NULL, WEFT_ALL), 1);
    CHECK_INT(weft_mutex_unlock(&s.m), 0);
    CHECK_INT(finish(&s.actors[0]), 0);
    weft_mutex_lock(&other);
    CHECK_INT(weft_condition_wait_until(&s.c, &other, NULL, weft_in(1)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_mutex_unlock(&other), 0);
}

WORKER_TEST(condition, depth, "condition: a wait gives up every level of the mutex, and has them all again after it")
{
    struct scene s = {0};
    for (int i = 0; i < 3; i++) weft_mutex_lock(&s.m);
    CHECK_INT(weft_condition_wait_until(&s.c, &s.m, NULL, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    gather(&s, 1);
    CHECK(!is_back(&s.actors[0]));
    for (int i = 0; i < 2; i++) CHECK_INT(weft_mutex_unlock(&s.m), 0);
    give_turns(2);
    CHECK(weft_mutex_islocked(&s.m));
    CHECK_INT(weft_condition_notify(&s.c, NULL, WEFT_ALL), 0); /* it has not got as far as its wait */
    CHECK_INT(weft_mutex_unlock(&s.m), 0);
    give_turns(2);
    CHECK_INT(notify(&s, NULL, WEFT_ALL), 1);
    CHECK_INT(finish(&s.actors[0]), 0);
    CHECK_INT(weft_mutex_unlock(&s.m), WEFT_EPERM);
}

/* ---- Deadlines ----------------------------------------------------------------------------------------------------- */

/* [J91] [S228] */
WORKER_TEST(condition, deadline,
            "condition: a wait ends by its deadline, or by a notification before it, with the mutex locked")
{
    struct scene s = {0};
    struct actor *a = begin_wait(&s, 0, weft_in(WEFT_MS));
    CHECK_INT(finish(a), WEFT_ETIMEDOUT);
    CHECK_INT(notify(&s, NULL, WEFT_ALL), 0);
    a = begin_wait(&s, 1, weft_in(60 * WEFT_S));
    CHECK_INT(notify(&s, success, WEFT_ALL), 1);
    CHECK_INT(finish(a), 0);
    CHECK_STR(a->value, "success");
}

WORKER_TEST(condition, expired, "condition: one whose deadline has passed is not counted, and the next is notified")
{
    struct scene s = {0};
    (void)begin_wait(&s, 0, weft_in(WEFT_MS));
    (void)begin_wait(&s, 1, WEFT_FOREVER);
    weft_mutex_lock(&s.m);
    CHECK_INT(weft_sleep(4 * WEFT_MS), 0); /* the first has been claimed by then, and waits for the mutex */
    CHECK_INT(weft_condition_notify(&s.c, "y", WEFT_ONE), 1);
    CHECK_INT(weft_condition_notify(&s.c, "z", WEFT_ALL), 0);
    CHECK_INT(weft_mutex_unlock(&s.m), 0);
    CHECK_INT(finish(&s.actors[0]), WEFT_ETIMEDOUT);
    CHECK_INT(finish(&s.actors[1]), 0);
    CHECK_STR(s.actors[1].value, "y");
}

WORKER_TEST(condition, too_late, "condition: a deadline that passes after the notification changes nothing")
{
    struct scene s = {0};
    struct actor *a = begin_wait(&s, 0, weft_in(3 * WEFT_MS)), thread = *a;
    atomic_store(&thread.step, 0);
    thread.deadline = weft_in(WEFT_S / 20);
    begin_thread(&thread);
    int n = 0;
    for (;;) { /* until the thread waits too */
        weft_mutex_lock(&s.m);
        if (weft_now() >= thread.deadline) break;
        CHECK_INT(weft_mutex_unlock(&s.m), 0);
        CHECK_INT(weft_sleep(WEFT_MS), 0);
        weft_mutex_lock(&s.m);
        n += weft_condition_notify(&s.c, NULL, WEFT_ALL);
        if (n >= 1) break;
        CHECK_INT(weft_mutex_unlock(&s.m), 0);
    }
    CHECK_INT(weft_sleep(WEFT_S / 10), 0);
    CHECK_INT(weft_mutex_unlock(&s.m), 0);
    int timed = (finish(a) == WEFT_ETIMEDOUT) + (finish_thread(&thread) == WEFT_ETIMEDOUT);
    CHECK_INT(n + timed, 2);
}

struct table {
    weft_mutex m;
    weft_condition c;
    long tokens; /* notifications sent, not used up: under m */
    int rounds;
    _Atomic int busy;
    long notified, used, in_vain;
};

static int
consume(void *arg)
{
    struct table *t = arg;
    unsigned seed = test_seed();
    for (int i = 0; i < t->rounds; i++) {
        weft_mutex_lock(&t->m);
        int rc = weft_condition_wait_until(&t->c, &t->m, NULL, weft_in((int64_t)dice(&seed, 60) * WEFT_US));
        if (rc == 0) t->used++;
        else if (CHECK_INT(rc, WEFT_ETIMEDOUT)) t->in_vain++;
        give_back(&t->m);
    }
    atomic_fetch_sub(&t->busy, 1);
    return 0;
}

static void *
consume_on_thread(void *arg)
{
    consume(arg);
    return NULL;
}

TASK_TEST(condition, in_time, "condition: deadlines against notifications: as many waits end by one as were counted")
{
    enum { TASKS = 5, THREADS = 2 };
    struct table t = {.rounds = scaled(600), .busy = TASKS + THREADS};
    weft_task *tasks[TASKS];
    pthread_t threads[THREADS];
    unsigned seed = test_seed();
    for (int i = 0; i < TASKS; i++) tasks[i] = spawned(consume, &t);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&threads[i], NULL, consume_on_thread, &t), 0);
    while (atomic_load(&t.busy) > 0) {
        weft_mutex_lock(&t.m);
        t.notified += weft_condition_notify(&t.c, NULL, dice(&seed, 2) ? WEFT_ONE : WEFT_ALL);
        CHECK_INT(weft_mutex_unlock(&t.m), 0);
        CHECK_INT(weft_sleep((int64_t)dice(&seed, 30) * WEFT_US), 0);
    }
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(tasks[i]), 0);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(t.used, t.notified);
    CHECK_INT(t.used + t.in_vain, (long)t.rounds * (TASKS + THREADS));
}

/* ---- Threads, memory, the end -------------------------------------------------------------------------------------- */

struct relay {
    weft_mutex m;
    weft_condition c;
    int turn, rounds, players;
};

struct player {
    struct relay *relay;
    int number;
};

static int
play(void *arg)
{
    struct player *p = arg;
    struct relay *r = p->relay;
    weft_mutex_lock(&r->m);
    for (int i = 0; i < r->rounds; i++) {
        while (r->turn % r->players != p->number) CHECK_INT(weft_condition_wait(&r->c, &r->m, NULL), 0);
        r->turn++;
        CHECK(weft_condition_notify(&r->c, NULL, WEFT_ALL) >= 0);
    }
    CHECK_INT(weft_mutex_unlock(&r->m), 0);
    return 0;
}

static void *
play_on_thread(void *arg)
{
    play(arg);
    return NULL;
}

TEST(condition, relay, "condition: tasks and plain threads take turns by it")
{
    enum { TASKS = 2, THREADS = 2 };
    struct relay r = {.rounds = scaled(1000), .players = TASKS + THREADS};
    struct player players[TASKS + THREADS];
    weft_task *tasks[TASKS];
    pthread_t threads[THREADS];
    if (!CHECK_INT(weft_start(NULL), 0)) return;
    for (int i = 0; i < TASKS + THREADS; i++) players[i] = (struct player){&r, i};
    for (int i = 0; i < TASKS; i++) tasks[i] = spawned(play, &players[i]);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, play_on_thread, &players[TASKS + i]), 0);
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(tasks[i]), 0);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(r.turn, r.rounds * r.players);
    CHECK_INT(weft_stop(), 0);
}

TEST(condition, threads, "condition: two plain threads take turns by it without a runtime")
{
    struct relay r = {.rounds = scaled(1000), .players = 2};
    struct player players[] = {{&r, 0}, {&r, 1}};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, play_on_thread, &players[0]), 0);
    play(&players[1]);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(r.turn, r.rounds * r.players);
    CHECK_INT(weft_worker(), -1);
}

WORKER_TEST(condition, freed, "condition: its memory may go once everybody who waited has been notified")
{
    struct scene s = {0};
    weft_condition *c = calloc(1, sizeof *c);
    for (int i = 0; i < CROWD; i++) {
        s.actors[i] = (struct actor){
            .call = wait, .object = c, .other = &s.m, .deadline = i % 2 ? weft_in(60 * WEFT_S) : WEFT_FOREVER};
        begin(&s.actors[i]);
    }
    weft_mutex_lock(&s.m);
    CHECK_INT(weft_condition_notify(c, NULL, WEFT_ALL), CROWD);
    memset(c, 0xa5, sizeof *c);
    free(c);
    CHECK_INT(weft_mutex_unlock(&s.m), 0);
    for (int i = 0; i < CROWD; i++) CHECK_INT(finish(&s.actors[i]), 0);
}

struct end {
    weft_mutex m;
    weft_condition c;
    _Atomic int come;
    int wait, again, unlock;
};

static int
wait_for_the_end(void *arg)
{
    struct end *e = arg;
    weft_mutex_lock(&e->m);
    weft_mutex_lock(&e->m);
    atomic_store(&e->come, 1);
    e->wait = weft_condition_wait(&e->c, &e->m, NULL);
    e->again = weft_condition_wait(&e->c, &e->m, NULL);
    CHECK_INT(weft_mutex_unlock(&e->m), 0);
    e->unlock = weft_mutex_unlock(&e->m);
    return 0;
}

/* [S226] */
TEST(condition, cancelled, "condition: a cancelled wait has the mutex again")
{
    struct end e = {.wait = 1};
    run_doomed(wait_for_the_end, &e, &e.come);
    CHECK_INT(e.wait, WEFT_ECANCELED);
    CHECK_INT(e.again, WEFT_ECANCELED);
    CHECK_INT(e.unlock, 0);
    CHECK(!weft_mutex_islocked(&e.m));
}
