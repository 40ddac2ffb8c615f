/* test_semaphore.c - semaphores: how many are inside, who is next, and that no permit is lost or made. */
#include "signal_kit.h"

static int
acquire(struct caller *c)
{
    return weft_semaphore_acquire_until(c->object, c->n, c->deadline);
}

static struct caller
acquirer(weft_semaphore *s, size_t n, struct journal *j, char name)
{
    return (struct caller){.call = acquire, .object = s, .n = n, .deadline = WEFT_FOREVER, .journal = j, .name = name};
}

static int
try_acquire(weft_semaphore *s, size_t n)
{
    return weft_semaphore_acquire_until(s, n, WEFT_NOW);
}

static weft_semaphore
semaphore_of(size_t permits)
{
    weft_semaphore s;
    CHECK_INT(weft_semaphore_init(&s, permits), 0);
    return s;
}

/* [J107] */
TEST(semaphore, no_permits, "a semaphore of no permits, or of too many, is an invalid argument")
{
    weft_semaphore s;
    memset(&s, 0x5a, sizeof s);
    weft_semaphore before = s;
    CHECK_INT(weft_semaphore_init(&s, 0), WEFT_EINVAL);
    CHECK_INT(weft_semaphore_init(&s, (size_t)WEFT_SEMAPHORE_MAX + 1), WEFT_EINVAL);
    CHECK_INT(weft_semaphore_init(&s, SIZE_MAX), WEFT_EINVAL);
    CHECK(memcmp(&s, &before, sizeof s) == 0);
    CHECK_INT(weft_semaphore_init(&s, WEFT_SEMAPHORE_MAX), 0);
    CHECK_INT(try_acquire(&s, WEFT_SEMAPHORE_MAX), 0);
    CHECK_INT(weft_semaphore_available(&s), 0);
    CHECK_INT(weft_semaphore_release(&s, WEFT_SEMAPHORE_MAX), 0);
}

TEST(semaphore, counts, "acquire and release count, several permits at a time")
{
    weft_semaphore s = semaphore_of(5);
    CHECK_INT(weft_semaphore_acquire(&s, 2), 0);
    CHECK_INT(weft_semaphore_available(&s), 3);
    CHECK_INT(try_acquire(&s, 4), WEFT_EAGAIN);
    CHECK_INT(try_acquire(&s, 3), 0);
    CHECK_INT(try_acquire(&s, 1), WEFT_EAGAIN);
    CHECK_INT(weft_semaphore_acquire_until(&s, 1, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_semaphore_release(&s, 5), 0);
    CHECK_INT(weft_semaphore_available(&s), 5);
    CHECK_INT(weft_semaphore_acquire(&s, 0), 0);
    CHECK_INT(weft_semaphore_release(&s, 0), 0);
    CHECK_INT(weft_semaphore_available(&s), 5);
}

TEST(semaphore, too_many, "more permits than the size are an invalid argument")
{
    weft_semaphore s = semaphore_of(3);
    CHECK_INT(weft_semaphore_acquire(&s, 4), WEFT_EINVAL);
    CHECK_INT(try_acquire(&s, SIZE_MAX), WEFT_EINVAL);
    CHECK_INT(weft_semaphore_available(&s), 3);
}

/* [J106] [S238] */
TEST(semaphore, release_without_acquire, "a release without an acquire is an error, and changes nothing")
{
    weft_semaphore s = semaphore_of(2);
    CHECK_INT(weft_semaphore_release(&s, 1), WEFT_EOVERFLOW);
    CHECK_INT(weft_semaphore_acquire(&s, 1), 0);
    CHECK_INT(weft_semaphore_release(&s, 2), WEFT_EOVERFLOW);
    CHECK_INT(weft_semaphore_release(&s, SIZE_MAX), WEFT_EOVERFLOW);
    CHECK_INT(weft_semaphore_available(&s), 1);
    CHECK_INT(weft_semaphore_release(&s, 1), 0);
    CHECK_INT(weft_semaphore_release(&s, 1), WEFT_EOVERFLOW);
    CHECK_INT(weft_semaphore_available(&s), 2);
}

/* Many tasks, few permits. */
struct crowd {
    weft_semaphore s;
    int most; /* permits */
    _Atomic int inside, wrong, through;
};

static int
be_inside(void *arg)
{
    struct crowd *c = arg;
    int n = atomic_fetch_add(&c->inside, 1) + 1;
    if (n > c->most) atomic_fetch_add(&c->wrong, 1);
    if (weft_sleep(10 * WEFT_US)) atomic_fetch_add(&c->wrong, 1);
    if (atomic_fetch_sub(&c->inside, 1) < 1) atomic_fetch_add(&c->wrong, 1);
    atomic_fetch_add(&c->through, 1);
    return 3;
}

static int
enter_and_leave(void *arg)
{
    struct crowd *c = arg;
    if (weft_semaphore_acquire(&c->s, 1)) atomic_fetch_add(&c->wrong, 1);
    (void)be_inside(c);
    if (weft_semaphore_release(&c->s, 1)) atomic_fetch_add(&c->wrong, 1);
    return 0;
}

static int
enter_with(void *arg)
{
    struct crowd *c = arg;
    if (weft_semaphore_with(&c->s, 1, be_inside, c) != 3) atomic_fetch_add(&c->wrong, 1);
    return 0;
}

static void
check_crowd(weft_fn *body)
{
    enum { TASKS = 100 };
    struct crowd c = {.most = 2};
    weft_task *tasks[TASKS];
    int n = TEST_SIM ? 10 : TASKS;
    CHECK_INT(weft_semaphore_init(&c.s, 2), 0);
    for (int i = 0; i < n; i++) tasks[i] = spawned(body, &c);
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(tasks[i]), 0);
    CHECK_INT(atomic_load(&c.wrong), 0);
    CHECK_INT(atomic_load(&c.through), n);
    CHECK_INT(atomic_load(&c.inside), 0);
    CHECK_INT(weft_semaphore_available(&c.s), 2);
}

/* [J103] */
TASK_TEST(semaphore, crowd, "of a hundred tasks never more than two are inside, and all permits are back at the end")
{
    check_crowd(enter_and_leave);
}

/* [J104] [J105] */
TASK_TEST(semaphore, with, "weft_semaphore_with does the same around a body, whose code it returns")
{
    check_crowd(enter_with);
}

static int
fail_inside(void *arg)
{
    CHECK_INT(weft_semaphore_available(arg), 0);
    return -77;
}

/* [J109] */
TEST(semaphore, with_failure, "a body that fails gives its permit back, and its code is returned")
{
    weft_semaphore s = semaphore_of(1);
    CHECK_INT(weft_semaphore_with(&s, 1, fail_inside, &s), -77);
    CHECK_INT(weft_semaphore_available(&s), 1);
    CHECK_INT(weft_semaphore_with(&s, 2, fail_inside, &s), WEFT_EINVAL); /* the body does not run */
    CHECK_INT(weft_semaphore_with(&s, 1, NULL, NULL), WEFT_EINVAL);
}

/* [J108] [S237]  Different on purpose: in Julia the holder gets it back before the waiters. */
WORKER_TEST(semaphore, nobody_overtakes, "who releases and acquires again is behind those who wait")
{
    weft_semaphore s = semaphore_of(1);
    struct journal j = {.length = 0};
    struct caller c[3];
    CHECK_INT(weft_semaphore_acquire(&s, 1), 0);
    for (int i = 0; i < 3; i++) {
        c[i] = acquirer(&s, 1, &j, (char)('1' + i));
        begin_call(&c[i]);
    }
    CHECK_INT(weft_semaphore_release(&s, 1), 0);
    CHECK_INT(try_acquire(&s, 1), WEFT_EAGAIN); /* the permit is the oldest waiter's already */
    for (int i = 0; i < 3; i++) {
        CHECK_INT(end_call(&c[i]), 0);
        if (i < 2) CHECK(parked(&c[i + 1]));
        CHECK_INT(weft_semaphore_release(&s, 1), 0);
    }
    CHECK_INT(weft_semaphore_acquire(&s, 1), 0);
    CHECK_STR(j.text, "123");
}

/* [S234] */
WORKER_TEST(semaphore, many_before_few, "a request for many is not overtaken by those for few")
{
    weft_semaphore s = semaphore_of(3);
    struct journal j = {.length = 0};
    struct caller big = acquirer(&s, 3, &j, 'B'), a = acquirer(&s, 1, &j, 'a'), b = acquirer(&s, 1, &j, 'b');
    CHECK_INT(weft_semaphore_acquire(&s, 2), 0);
    begin_call(&big);
    begin_call(&a); /* there is one for it, but it came later */
    begin_call(&b);
    CHECK(parked(&big) && parked(&a) && parked(&b));
    CHECK_INT(try_acquire(&s, 1), WEFT_EAGAIN);
    CHECK_INT(weft_semaphore_release(&s, 1), 0);
    give_turns();
    CHECK(parked(&big) && parked(&a));
    CHECK_INT(weft_semaphore_release(&s, 1), 0);
    CHECK_INT(end_call(&big), 0);
    CHECK(parked(&a) && parked(&b));
    CHECK_INT(weft_semaphore_release(&s, 3), 0);
    CHECK_INT(end_call(&a), 0);
    CHECK_INT(end_call(&b), 0);
    CHECK_STR(j.text, "Bab");
    CHECK_INT(weft_semaphore_available(&s), 1);
}

WORKER_TEST(semaphore, gives_up, "who gives up lets those behind him have what is there")
{
    weft_semaphore s = semaphore_of(3);
    struct caller big = acquirer(&s, 3, NULL, 'B'), a = acquirer(&s, 1, NULL, 'a'), b = acquirer(&s, 1, NULL, 'b');
    CHECK_INT(weft_semaphore_acquire(&s, 1), 0);
    big.deadline = weft_in(2 * WEFT_MS);
    begin_call(&big);
    begin_call(&a);
    begin_call(&b);
    CHECK_INT(end_call(&big), WEFT_ETIMEDOUT);
    CHECK_INT(end_call(&a), 0);
    CHECK_INT(end_call(&b), 0);
    CHECK_INT(weft_semaphore_available(&s), 0);
    CHECK_INT(weft_semaphore_release(&s, 3), 0);
    CHECK_INT(weft_semaphore_available(&s), 3);
}

WORKER_TEST(semaphore, grows, "growing lets waiters through")
{
    weft_semaphore s = semaphore_of(1);
    struct caller a = acquirer(&s, 1, NULL, 'a'), b = acquirer(&s, 1, NULL, 'b');
    CHECK_INT(weft_semaphore_acquire(&s, 1), 0);
    begin_call(&a);
    begin_call(&b);
    weft_semaphore_resize(&s, 3);
    CHECK_INT(end_call(&a), 0);
    CHECK_INT(end_call(&b), 0);
    CHECK_INT(weft_semaphore_available(&s), 0);
    CHECK_INT(weft_semaphore_release(&s, 3), 0);
    CHECK_INT(weft_semaphore_available(&s), 3);
}

/* [S236] */
WORKER_TEST(semaphore, shrinks, "shrinking lets holders drain, and then gives out as many as there are")
{
    weft_semaphore s = semaphore_of(3);
    struct caller a = acquirer(&s, 1, NULL, 'a');
    CHECK_INT(weft_semaphore_acquire(&s, 3), 0);
    weft_semaphore_resize(&s, 1);
    CHECK_INT(weft_semaphore_available(&s), 0);
    begin_call(&a);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(weft_semaphore_release(&s, 1), 0);
        give_turns();
        CHECK(parked(&a));
    }
    CHECK_INT(weft_semaphore_release(&s, 1), 0);
    CHECK_INT(end_call(&a), 0);
    CHECK_INT(weft_semaphore_release(&s, 1), 0);
    CHECK_INT(weft_semaphore_release(&s, 1), WEFT_EOVERFLOW);
    CHECK_INT(weft_semaphore_available(&s), 1);
}

WORKER_TEST(semaphore, shrinks_below, "waiters that ask for more than the new size are refused")
{
    weft_semaphore s = semaphore_of(3);
    struct caller big = acquirer(&s, 3, NULL, 'B'), a = acquirer(&s, 2, NULL, 'a');
    CHECK_INT(weft_semaphore_acquire(&s, 2), 0);
    begin_call(&big);
    begin_call(&a);
    weft_semaphore_resize(&s, 2);
    CHECK_INT(end_call(&big), WEFT_EINVAL);
    CHECK(parked(&a));
    CHECK_INT(weft_semaphore_release(&s, 2), 0);
    CHECK_INT(end_call(&a), 0);
}

WORKER_TEST(semaphore, zeroed, "a zeroed semaphore is shut until it gets a size")
{
    weft_semaphore s = {{0, 0, 0}};
    struct caller a = acquirer(&s, 2, NULL, 'a');
    CHECK_INT(try_acquire(&s, 1), WEFT_EAGAIN);
    CHECK_INT(weft_semaphore_release(&s, 1), WEFT_EOVERFLOW);
    begin_call(&a);
    CHECK(parked(&a));
    weft_semaphore_resize(&s, 2);
    CHECK_INT(end_call(&a), 0);
    weft_semaphore_resize(&s, 0); /* shut again */
    begin_call(&a);
    CHECK_INT(weft_semaphore_release(&s, 2), 0);
    give_turns();
    CHECK(parked(&a));
    weft_semaphore_resize(&s, 2);
    CHECK_INT(end_call(&a), 0);
}

static int
acquire_task(void *arg)
{
    struct caller *c = arg;
    c->rc = c->call(c);
    return 0;
}

TASK_TEST(semaphore, deadline_or_release, "of a deadline and a release at the same time exactly one has happened")
{
    int wrong = 0;
    for (int i = 0; i < scaled(4000); i++) {
        weft_semaphore s = semaphore_of(1);
        struct caller c = acquirer(&s, 1, NULL, 'a');
        wrong += try_acquire(&s, 1) != 0;
        c.deadline = weft_in(i % 40 * WEFT_US);
        weft_task *t = spawned(acquire_task, &c);
        for (weft_time end = weft_now() + i % 37 * WEFT_US; weft_now() < end;) weft_yield();
        wrong += weft_semaphore_release(&s, 1) != 0;
        wrong += weft_join(t) != 0 || (c.rc != 0 && c.rc != WEFT_ETIMEDOUT);
        wrong += weft_semaphore_available(&s) != (c.rc != 0);
    }
    CHECK_INT(wrong, 0);
}

struct shared {
    weft_semaphore s;
    int rounds;
    long plain; /* the semaphore orders it */
};

static int
add(void *arg)
{
    struct shared *s = arg;
    int wrong = 0;
    for (int i = 0; i < s->rounds; i++) {
        wrong += weft_semaphore_acquire(&s->s, 1) != 0;
        s->plain++;
        wrong += weft_semaphore_release(&s->s, 1) != 0;
    }
    return wrong ? WEFT_EINVAL : 0;
}

static void *
add_on_thread(void *arg)
{
    return add(arg) ? arg : NULL;
}

TASK_TEST(semaphore, exclusion, "a semaphore of one excludes tasks and threads from each other")
{
    enum { TASKS = 4, THREADS = 2 };
    struct shared s = {semaphore_of(1), scaled(5000), 0};
    weft_task *tasks[TASKS];
    pthread_t threads[THREADS];
    void *wrong;
    for (int i = 0; i < THREADS; i++) {
        if (!CHECK_INT(pthread_create(&threads[i], NULL, add_on_thread, &s), 0)) abort();
    }
    for (int i = 0; i < TASKS; i++) tasks[i] = spawned(add, &s);
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(tasks[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &wrong);
        CHECK(wrong == NULL);
    }
    CHECK_INT(s.plain, (TASKS + THREADS) * s.rounds);
    CHECK_INT(weft_semaphore_available(&s.s), 1);
}

static int
release_one(void *arg)
{
    return weft_semaphore_release(arg, 1);
}

TASK_TEST(semaphore, freed_by_the_acquirer, "who has got its permit may free the semaphore at once")
{
    for (int i = 0; i < scaled(20000); i++) {
        weft_semaphore *s = malloc(sizeof *s);
        if (!CHECK(s) || !CHECK_INT(weft_semaphore_init(s, 1), 0)) return;
        CHECK_INT(weft_semaphore_acquire(s, 1), 0);
        weft_task *t = spawned(release_one, s);
        if (i % 2) weft_yield();
        CHECK_INT(weft_semaphore_acquire(s, 1), 0);
        memset(s, 0xff, sizeof *s); /* as whoever has the memory next */
        free(s);
        CHECK_INT(weft_join(t), 0);
    }
}

struct stopped {
    weft_semaphore shut, open;
    _Atomic int waiting;
    int rc, again;
};

static int
acquire_until_stopped(void *arg)
{
    struct stopped *s = arg;
    atomic_store(&s->waiting, 1);
    s->rc = weft_semaphore_acquire(&s->shut, 1);
    s->again = weft_semaphore_acquire(&s->open, 1);
    return 0;
}

TEST(semaphore, cancelled, "a cancelled task stops waiting, and gets no permit any more")
{
    struct stopped s = {.open = semaphore_of(1)};
    stop_while_waiting(acquire_until_stopped, &s, &s.waiting);
    CHECK_INT(s.rc, WEFT_ECANCELED);
    CHECK_INT(s.again, WEFT_ECANCELED);
    CHECK_INT(weft_semaphore_available(&s.open), 1);
    weft_semaphore_resize(&s.shut, 1); /* the waiter has left no trace */
    CHECK_INT(try_acquire(&s.shut, 1), 0);
}

static int
acquire_for_ever(void *arg)
{
    weft_semaphore s = {{0, 0, 0}};
    (void)arg;
    return weft_semaphore_acquire(&s, 1);
}

TEST(semaphore, reason, "a task that waits for permits says so in the report of a deadlock")
{
    CHECK(reported_stuck(acquire_for_ever, "parked in semaphore acquire"));
}
