/* test_mutex.c - who owns a mutex, who waits for it, in which order, and what misuse is told. */
#include "lock_kit.h"

#include "mutex.h"

#include <signal.h>
#include <sys/wait.h>

/* ---- Owners -------------------------------------------------------------------------------------------------------- */

/* [J113] */
static void
check_sequence(void)
{
    weft_mutex m = {{0}};
    CHECK(!weft_mutex_islocked(&m));
    CHECK_INT(weft_mutex_unlock(&m), WEFT_EPERM);
    weft_mutex_lock(&m);
    weft_mutex_lock(&m);
    CHECK(weft_mutex_trylock(&m));
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK(weft_mutex_islocked(&m));
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK(weft_mutex_islocked(&m));
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK(!weft_mutex_islocked(&m));
    CHECK_INT(weft_mutex_unlock(&m), WEFT_EPERM);
    CHECK(weft_mutex_trylock(&m));
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK_INT(weft_mutex_unlock(&m), WEFT_EPERM);
    CHECK_INT(weft_mutex_lock_until(&m, WEFT_NOW), 0);
    CHECK_INT(weft_mutex_lock_until(&m, WEFT_NOW), 0);
    CHECK_INT(weft_mutex_lock_until(&m, weft_in(-WEFT_S)), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK(!weft_mutex_islocked(&m));
}

/* [S220] */
TASK_TEST(mutex, sequence, "mutex: it is free after as many unlocks as locks, and one more is an error")
{
    check_sequence();
}

TEST(mutex, thread, "mutex: the same on a plain thread, without a runtime")
{
    check_sequence();
    CHECK_INT(weft_worker(), -1);
}

static int
lock(struct actor *a)
{
    if (a->deadline == WEFT_FOREVER) weft_mutex_lock(a->object);
    else {
        int rc = weft_mutex_lock_until(a->object, a->deadline);
        if (rc) return rc;
    }
    noted(a);
    return 0;
}

static int
lock_and_unlock(struct actor *a)
{
    int rc = lock(a);
    return rc ? rc : weft_mutex_unlock(a->object);
}

static int
try_twice(struct actor *a)
{
    int got = weft_mutex_trylock(a->object);
    return got + weft_mutex_trylock(a->object);
}

static int
unlock(struct actor *a)
{
    return weft_mutex_unlock(a->object);
}

static int
lock_and_try(struct actor *a)
{
    weft_mutex_lock(a->object);
    int got = weft_mutex_trylock(a->object);
    CHECK_INT(weft_mutex_unlock(a->object), 0);
    CHECK_INT(weft_mutex_unlock(a->object), 0);
    return got;
}

/* [J110] [J114] */
WORKER_TEST(mutex, waits, "mutex: another task waits until the owner has unlocked it as often as it had locked it")
{
    weft_mutex m = {{0}};
    struct actor trier = {.call = try_twice, .object = &m}, waiter = {.call = lock_and_try, .object = &m};
    CHECK(weft_mutex_trylock(&m));
    CHECK(weft_mutex_trylock(&m));
    begin(&trier);
    CHECK_INT(finish(&trier), 0);
    begin(&waiter);
    CHECK_INT(weft_mutex_unlock(&m), 0);
    give_turns(5);
    CHECK(!is_back(&waiter));
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK_INT(finish(&waiter), 1);
    CHECK(!weft_mutex_islocked(&m));
}

/* [J115] [J119] [S221] */
WORKER_TEST(mutex, not_owner, "mutex: an unlock by another task, or by a plain thread, is an error and changes nothing")
{
    weft_mutex m = {{0}};
    struct actor task = {.call = unlock, .object = &m}, thread = task;
    weft_mutex_lock(&m);
    begin(&task);
    CHECK_INT(finish(&task), WEFT_EPERM);
    begin_thread(&thread);
    CHECK_INT(finish_thread(&thread), WEFT_EPERM);
    CHECK(weft_mutex_islocked(&m));
    CHECK_INT(weft_mutex_unlock(&m), 0);
}

static int
in_place(void *arg)
{
    weft_mutex *m = arg;
    CHECK(!weft_mutex_trylock(m));
    CHECK_INT(weft_mutex_unlock(m), WEFT_EPERM);
    CHECK_INT(weft_mutex_lock_until(m, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    return 0;
}

TASK_TEST(mutex, in_place, "mutex: a task that runs in the place of who waits for it is another owner")
{
    weft_mutex m = {{0}};
    weft_mutex_lock(&m);
    CHECK_INT(weft_join(spawned(in_place, &m)), 0);
    CHECK_INT(weft_mutex_unlock(&m), 0);
}

struct wanderer {
    weft_mutex m;
    _Atomic int seen; /* workers, as bits */
    _Atomic bool stop;
};

static int
wander(void *arg)
{
    struct wanderer *w = arg;
    for (int i = 0; i < scaled(2000) && !atomic_load(&w->stop); i++) {
        weft_mutex_lock(&w->m);
        atomic_fetch_or(&w->seen, 1 << weft_worker() % 16);
        CHECK_INT(weft_sleep(0), 0);
        weft_yield();
        CHECK(!weft_mutex_trylock(&w->m) || weft_mutex_unlock(&w->m) == 0);
        CHECK_INT(weft_mutex_unlock(&w->m), 0);
    }
    return 0;
}

TASK_TEST(mutex, migrates, "mutex: a task keeps it while it yields, and goes on on other workers")
{
    enum { TASKS = 6 };
    struct wanderer w = {0};
    weft_task *t[TASKS];
    for (int i = 0; i < TASKS; i++) t[i] = spawned(wander, &w);
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK(!weft_mutex_islocked(&w.m));
}

static void
lock_too_often(void)
{
    weft_mutex m = {{0}};
    weft_mutex_lock(&m);
    weft__mutex(&m)->depth = UINT32_MAX;
    weft_mutex_lock(&m);
}

TEST(mutex, depth, "mutex: locking it 2^32 times over ends the process")
{
    CHECK(test_dies(lock_too_often, "weft_mutex_lock: locked 2^32 times without an unlock"));
}

static int
end_as_owner(struct actor *a)
{
    weft_mutex_lock(a->object);
    return 0;
}

/* A condition gives it up and takes it again: that is no second mutex. */
static int
end_properly(struct actor *a)
{
    weft_condition c = {{0}};
    weft_mutex_lock(a->object);
    weft_mutex_lock(a->object);
    CHECK_INT(weft_condition_wait_until(&c, a->object, NULL, weft_in(WEFT_US)), WEFT_ETIMEDOUT);
    CHECK(weft_mutex_trylock(a->object));
    for (int i = 0; i < 3; i++) CHECK_INT(weft_mutex_unlock(a->object), 0);
    return weft_mutex_unlock(a->object) == WEFT_EPERM ? 0 : WEFT_EINVAL;
}

/* [S225] */
WORKER_TEST(
    mutex, left_locked,
    "mutex: a task that ends as the owner leaves it locked, those who wait can give up, and debug builds say so")
{
#if defined(WEFT_DEBUG)
    enum { REPORTS = 1 };
#else
    enum { REPORTS = 0 };
#endif
    weft_mutex m = {{0}};
    struct actor proper = {.call = end_properly, .object = &m}, owner = {.call = end_as_owner, .object = &m};
    struct capture capture;
    char text[1024];
    if (!capture_begin(&capture)) return;
    begin(&proper);
    CHECK_INT(finish(&proper), 0);
    begin(&owner);
    CHECK_INT(finish(&owner), 0);
    CHECK_INT(capture_end(&capture, text, sizeof text, "weft: task"), REPORTS);
    CHECK(!REPORTS || strstr(text, "nobody will unlock: 1"));
    CHECK(weft_mutex_islocked(&m));
    CHECK_INT(weft_mutex_lock_until(&m, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_mutex_unlock(&m), WEFT_EPERM);
}

static int
lock_in_forked_child(void *arg)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        weft_mutex_lock(arg);
        _exit(0);
    }
    if (waitpid(child, &status, 0) == child && WIFSIGNALED(status)) raise(WTERMSIG(status));
    return 0;
}

static void
lock_after_fork(void)
{
    static weft_mutex m;
    if (weft_start(NULL)) return;
    m.opaque[0] = 8; /* somebody's */
    lock_in_forked_child(&m);
}

TEST(mutex, forked, "mutex: in a forked child nobody will unlock it: waiting for it ends the child")
{
    CHECK(test_dies(lock_after_fork,
                    "weft_mutex_lock: the owner is a thread of the process that this one was forked from"));
}

/* ---- Many ---------------------------------------------------------------------------------------------------------- */

struct counter {
    weft_mutex m;
    long count; /* under m, as the next */
    bool inside;
    int each;
    _Atomic long tried;
};

static int
count_locked(void *arg)
{
    struct counter *c = arg;
    for (int i = 0; i < c->each; i++) {
        weft_mutex_lock(&c->m);
        CHECK(weft_mutex_islocked(&c->m) && !c->inside);
        c->inside = true;
        c->count++;
        if (i % 64 == 0 && weft_current()) weft_yield();
        c->inside = false;
        CHECK_INT(weft_mutex_unlock(&c->m), 0);
    }
    return 0;
}

static void *
count_on_thread(void *arg)
{
    count_locked(arg);
    return NULL;
}

/* [J111] */
TASK_TEST(mutex, counts, "mutex: tasks and plain threads that count under it lose nothing")
{
    enum { TASKS = 8, THREADS = 2 };
    struct counter c = {.each = scaled(10000)};
    weft_task *t[TASKS];
    pthread_t threads[THREADS];
    for (int i = 0; i < TASKS; i++) t[i] = spawned(count_locked, &c);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&threads[i], NULL, count_on_thread, &c), 0);
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(t[i]), 0);
    while (weft_mutex_lock(&c.m),
           c.count < (long)c.each * (TASKS + THREADS)) { /* threads need this worker for hand-offs */
        CHECK_INT(weft_mutex_unlock(&c.m), 0);
        CHECK_INT(weft_sleep(WEFT_US * 100), 0);
    }
    CHECK_INT(weft_mutex_unlock(&c.m), 0);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(c.count, (long)c.each * (TASKS + THREADS));
    CHECK(!weft_mutex_islocked(&c.m));
}

static void
check_threads(void)
{
    enum { THREADS = 4 };
    struct counter c = {.each = scaled(10000)};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&threads[i], NULL, count_on_thread, &c), 0);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(c.count, (long)c.each * THREADS);
}

TEST(mutex, threads, "mutex: plain threads alone count under it, without a runtime")
{
    check_threads();
    CHECK_INT(weft_worker(), -1);
}

static int
storm(void *arg)
{
    struct counter *c = arg;
    for (int i = 0; i < c->each; i++) {
        atomic_fetch_add(&c->tried, 1);
        if (!weft_mutex_trylock(&c->m)) continue;
        c->count++;
        if (i % 16 == 0) weft_yield();
        CHECK_INT(weft_mutex_unlock(&c->m), 0);
    }
    return 0;
}

/* [J112] */
TASK_TEST(mutex, storm, "mutex: of many who try, each gets it or is told that it did not, and one at least gets it")
{
    enum { TASKS = 16 };
    struct counter c = {.each = scaled(1000)};
    weft_task *t[TASKS];
    for (int i = 0; i < TASKS; i++) t[i] = spawned(storm, &c);
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(atomic_load(&c.tried), (long)c.each * TASKS);
    CHECK(c.count >= 1 && c.count <= (long)c.each * TASKS);
    CHECK(!weft_mutex_islocked(&c.m));
}

/* ---- Order --------------------------------------------------------------------------------------------------------- */

enum { CROWD = 5 };

struct crowd {
    weft_mutex m;
    struct journal journal;
    struct actor actors[CROWD];
};

/* All wait, in the order of their names, for m, which the caller owns. */
static void
gather(struct crowd *c)
{
    for (int i = 0; i < CROWD; i++) {
        c->actors[i] = (struct actor){.call = lock_and_unlock,
                                      .object = &c->m,
                                      .deadline = WEFT_FOREVER,
                                      .journal = &c->journal,
                                      .name = (char)('1' + i)};
        begin(&c->actors[i]);
    }
}

static void
disperse(struct crowd *c)
{
    for (int i = 0; i < CROWD; i++) CHECK_INT(finish(&c->actors[i]), 0);
    CHECK(!weft_mutex_islocked(&c->m));
}

/* [S219] */
WORKER_TEST(mutex, fifo, "mutex: those who wait get it in the order in which they came")
{
    struct crowd c = {0};
    weft_mutex_lock(&c.m);
    gather(&c);
    CHECK_INT(weft_mutex_unlock(&c.m), 0);
    disperse(&c);
    CHECK_STR(c.journal.text, "12345");
}

/* [J120] */
WORKER_TEST(mutex, barging,
            "mutex: its owner may unlock and lock it before the woken one runs; then the others, in order")
{
    struct crowd c = {0};
    weft_mutex_lock(&c.m);
    gather(&c);
    CHECK_INT(weft_mutex_unlock(&c.m), 0);
    weft_mutex_lock(&c.m);
    note(&c.journal, 'b');
    give_turns(3); /* the first is woken in vain */
    CHECK_INT(weft_mutex_unlock(&c.m), 0);
    bool again = weft_mutex_trylock(&c.m); /* but not if the first has waited for so long by now that it was given it */
    if (again) {
        note(&c.journal, 'b');
        CHECK_INT(weft_mutex_unlock(&c.m), 0);
    }
    disperse(&c);
    CHECK_STR(c.journal.text, again ? "bb12345" : "b12345");
}

/* How often the owner can take it again before it has to wait for its turn. */
static int
barge(struct crowd *c, int most)
{
    int n = 0;
    for (; n < most; n++) {
        CHECK_INT(weft_mutex_unlock(&c->m), 0);
        if (!weft_mutex_trylock(&c->m)) break;
        give_turns(2);
    }
    return n;
}

WORKER_TEST(mutex, losses, "mutex: who was woken in vain too often gets it from the owner's hands")
{
    struct crowd c = {0};
    weft_mutex_lock(&c.m);
    gather(&c);
    int n = barge(&c, 100);
    CHECK(n >= 1 && n <= 16);
    weft_mutex_lock(&c.m);
    note(&c.journal, 'b');
    CHECK_INT(weft_mutex_unlock(&c.m), 0);
    disperse(&c);
    CHECK(strncmp(c.journal.text, "1", 1) == 0);
    CHECK_STR(strchr(c.journal.text, 'b'), "b"); /* it stood behind all of them */
}

WORKER_TEST(mutex, starving, "mutex: who has waited for a millisecond loses it once at most")
{
    struct crowd c = {0};
    weft_mutex_lock(&c.m);
    gather(&c);
    CHECK_INT(weft_sleep(2 * WEFT_MS), 0);
    CHECK_INT(barge(&c, 100), 1);
    disperse(&c);
    CHECK_STR(c.journal.text, "12345");
}

/* ---- Deadlines ----------------------------------------------------------------------------------------------------- */

WORKER_TEST(mutex, deadlines, "mutex: who gives up does not own it, and leaves the queue to the others")
{
    weft_mutex m = {{0}};
    struct journal j = {0};
    struct actor
        now = {.call = lock, .object = &m, .deadline = WEFT_NOW},
        past = {.call = lock, .object = &m, .deadline = 1},
        first = {.call = lock_and_unlock, .object = &m, .deadline = weft_in(WEFT_MS), .journal = &j, .name = '1'},
        second = {.call = lock_and_unlock, .object = &m, .deadline = WEFT_FOREVER, .journal = &j, .name = '2'},
        third = {.call = lock_and_unlock, .object = &m, .deadline = weft_in(60 * WEFT_S), .journal = &j, .name = '3'};
    weft_mutex_lock(&m);
    begin(&now);
    CHECK_INT(finish(&now), WEFT_EAGAIN);
    begin(&past);
    CHECK_INT(finish(&past), WEFT_ETIMEDOUT);
    first.deadline = weft_in(WEFT_MS);
    begin(&first);
    begin(&second);
    begin(&third);
    CHECK_INT(finish(&first), WEFT_ETIMEDOUT);
    CHECK(weft_mutex_islocked(&m));
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK_INT(finish(&second), 0);
    CHECK_INT(finish(&third), 0);
    CHECK_STR(j.text, "23");
    CHECK(!weft_mutex_islocked(&m));
}

WORKER_TEST(mutex, expired, "mutex: a wake that finds a deadline passed goes to the next who waits")
{
    weft_mutex m = {{0}};
    struct actor first = {.call = lock_and_unlock, .object = &m, .deadline = weft_in(WEFT_MS)},
                 second = {.call = lock_and_unlock, .object = &m, .deadline = WEFT_FOREVER};
    weft_mutex_lock(&m);
    begin(&first);
    begin(&second);
    while (weft_now() < first.deadline) continue; /* nobody else runs on this worker: the queue is as it was */
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK_INT(finish(&second), 0);
    int rc = finish(&first);
    CHECK(rc == WEFT_ETIMEDOUT || rc == 0);
    CHECK(!weft_mutex_islocked(&m));
}

struct duel {
    weft_mutex m;
    _Atomic int got;
    int rounds;
};

static int
take_in_time(void *arg)
{
    struct duel *d = arg;
    unsigned seed = test_seed() + (unsigned)weft_worker();
    for (int i = 0; i < d->rounds; i++) {
        int rc = weft_mutex_lock_until(&d->m, weft_in((int64_t)dice(&seed, 30) * WEFT_US));
        if (rc) CHECK_INT(rc, WEFT_ETIMEDOUT);
        else {
            atomic_fetch_add(&d->got, 1);
            if (dice(&seed, 2)) CHECK_INT(weft_sleep((int64_t)dice(&seed, 20) * WEFT_US), 0);
            CHECK_INT(weft_mutex_unlock(&d->m), 0);
        }
    }
    return 0;
}

/* [J121] */
TASK_TEST(mutex, in_time, "mutex: deadlines against unlocks: it is always somebody's, or free")
{
    enum { TASKS = 8 };
    struct duel d = {.rounds = scaled(1000)};
    weft_task *t[TASKS];
    for (int i = 0; i < TASKS; i++) t[i] = spawned(take_in_time, &d);
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK(weft_mutex_trylock(&d.m));
    CHECK_INT(weft_mutex_unlock(&d.m), 0);
    CHECK(atomic_load(&d.got) > 0);
}

/* ---- Cancellation -------------------------------------------------------------------------------------------------- */

struct end {
    weft_mutex m;
    _Atomic int come;
    int until, lock, again, unlock;
};

static int
lock_at_the_end(void *arg)
{
    struct end *e = arg;
    weft_mutex_lock(&e->m); /* not its own: whoever owns it has gone */
    e->lock = weft_mutex_unlock(&e->m);
    return 0;
}

static int
wait_for_the_end(void *arg)
{
    struct end *e = arg;
    weft_mutex other = {{0}};
    struct actor owner = {.call = lock, .object = &other, .deadline = WEFT_FOREVER};
    weft_mutex_lock(&e->m);
    begin(&owner);
    CHECK_INT(finish(&owner), 0);
    weft_task_options opt = {.size = sizeof opt, .flags = WEFT_DAEMON};
    weft_task *t;
    CHECK_INT(weft_spawn_with(&t, lock_at_the_end, e, &opt), 0);
    atomic_store(&e->come, 1);
    e->until = weft_mutex_lock_until(&other, WEFT_FOREVER);
    e->again = weft_mutex_lock_until(&e->m, WEFT_NOW);
    e->unlock = weft_mutex_unlock(&e->m);
    weft_task_release(t);
    return 0;
}

TEST(mutex, cancelled, "mutex: lock_until ends by a cancellation, lock does not, and unlocks work as ever")
{
    struct end e = {.lock = 1};
    run_doomed(wait_for_the_end, &e, &e.come);
    CHECK_INT(e.until, WEFT_ECANCELED);
    CHECK_INT(e.again, WEFT_ECANCELED);
    CHECK_INT(e.unlock, 0);
    CHECK(e.lock == 0 || e.lock == 1); /* 1: it was cancelled before it began */
    CHECK(!weft_mutex_islocked(&e.m));
}

/* ---- Memory -------------------------------------------------------------------------------------------------------- */

static int
lock_and_free(void *arg)
{
    weft_mutex *m = arg;
    weft_mutex_lock(m);
    CHECK_INT(weft_mutex_unlock(m), 0);
    memset(m, 0xa5, sizeof *m);
    free(m);
    return 0;
}

static void *
lock_and_free_on_thread(void *arg)
{
    lock_and_free(arg);
    return NULL;
}

TASK_TEST(mutex, freed, "mutex: its memory may go as soon as the last owner has unlocked it")
{
    for (int i = 0; i < scaled(4000); i++) {
        weft_mutex *m = calloc(1, sizeof *m);
        pthread_t thread;
        bool on_thread = i % 8 == 0;
        weft_task *t = NULL;
        weft_mutex_lock(m);
        if (on_thread) CHECK_INT(pthread_create(&thread, NULL, lock_and_free_on_thread, m), 0);
        else t = spawned(lock_and_free, m);
        for (int k = 0; k < i % 5; k++) weft_yield();
        CHECK_INT(weft_mutex_unlock(m), 0);
        if (on_thread) CHECK_INT(pthread_join(thread, NULL), 0);
        else CHECK_INT(weft_join(t), 0);
    }
}
