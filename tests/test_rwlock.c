/* test_rwlock.c - many readers or one writer, first come, first served. */
#include "lock_kit.h"

static int
read_lock(struct actor *a)
{
    int rc =
        a->deadline == WEFT_FOREVER ? weft_rwlock_rdlock(a->object) : weft_rwlock_rdlock_until(a->object, a->deadline);
    if (rc == 0) noted(a);
    return rc;
}

static int
write_lock(struct actor *a)
{
    int rc =
        a->deadline == WEFT_FOREVER ? weft_rwlock_wrlock(a->object) : weft_rwlock_wrlock_until(a->object, a->deadline);
    if (rc == 0) noted(a);
    return rc;
}

static int
read_and_leave(struct actor *a)
{
    int rc = read_lock(a);
    return rc ? rc : weft_rwlock_rdunlock(a->object);
}

static int
write_and_leave(struct actor *a)
{
    int rc = write_lock(a);
    return rc ? rc : weft_rwlock_wrunlock(a->object);
}

static int
unlock_both(struct actor *a)
{
    CHECK_INT(weft_rwlock_rdunlock(a->object), WEFT_EPERM);
    return weft_rwlock_wrunlock(a->object);
}

static int
try_both(struct actor *a)
{
    int got = 0;
    if (weft_rwlock_tryrdlock(a->object)) {
        got = 1;
        CHECK_INT(weft_rwlock_rdunlock(a->object), 0);
    }
    if (weft_rwlock_trywrlock(a->object)) {
        got += 2;
        CHECK_INT(weft_rwlock_wrunlock(a->object), 0);
    }
    return got;
}

/* What another task can have at once: 1 reading, 2 writing. */
static int
others_can(weft_rwlock *l)
{
    struct actor a = {.call = try_both, .object = l};
    begin(&a);
    return finish(&a);
}

WORKER_TEST(rwlock, shared, "rwlock: readers share it, a writer has it alone")
{
    weft_rwlock l = {{0}};
    CHECK_INT(others_can(&l), 3);
    CHECK_INT(weft_rwlock_rdlock(&l), 0);
    CHECK_INT(others_can(&l), 1);
    CHECK(weft_rwlock_tryrdlock(&l));
    CHECK_INT(weft_rwlock_rdlock_until(&l, WEFT_NOW), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(others_can(&l), 1);
        CHECK_INT(weft_rwlock_rdunlock(&l), 0);
    }
    CHECK_INT(others_can(&l), 3);
    CHECK_INT(weft_rwlock_wrlock(&l), 0);
    CHECK_INT(others_can(&l), 0);
    CHECK_INT(weft_rwlock_wrunlock(&l), 0);
    CHECK_INT(others_can(&l), 3);
}

static void
check_misuse(void)
{
    weft_rwlock l = {{0}};
    CHECK_INT(weft_rwlock_rdunlock(&l), WEFT_EPERM);
    CHECK_INT(weft_rwlock_wrunlock(&l), WEFT_EPERM);
    CHECK_INT(weft_rwlock_rdlock(&l), 0);
    CHECK_INT(weft_rwlock_wrunlock(&l), WEFT_EPERM);
    CHECK(!weft_rwlock_trywrlock(&l));
    CHECK_INT(weft_rwlock_wrlock_until(&l, WEFT_NOW), WEFT_EAGAIN);
    CHECK_INT(weft_rwlock_wrlock_until(&l, weft_in(WEFT_MS)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_rwlock_rdunlock(&l), 0);
    CHECK_INT(weft_rwlock_wrlock(&l), 0);
    CHECK_INT(weft_rwlock_rdunlock(&l), WEFT_EPERM);
    CHECK_INT(weft_rwlock_wrlock(&l), WEFT_EDEADLK);
    CHECK_INT(weft_rwlock_rdlock(&l), WEFT_EDEADLK);
    CHECK_INT(weft_rwlock_wrlock_until(&l, WEFT_NOW), WEFT_EDEADLK);
    CHECK_INT(weft_rwlock_rdlock_until(&l, WEFT_FOREVER), WEFT_EDEADLK);
    CHECK(!weft_rwlock_tryrdlock(&l) && !weft_rwlock_trywrlock(&l));
    CHECK_INT(weft_rwlock_wrunlock(&l), 0);
    CHECK_INT(weft_rwlock_wrunlock(&l), WEFT_EPERM);
    CHECK_INT(weft_rwlock_rdunlock(&l), WEFT_EPERM);
}

TASK_TEST(rwlock, misuse, "rwlock: who gives back what it does not have is told, and so is a writer that locks again")
{
    check_misuse();
}

TEST(rwlock, misuse_thread, "rwlock: the same on a plain thread, without a runtime")
{
    check_misuse();
    CHECK_INT(weft_worker(), -1);
}

WORKER_TEST(rwlock, not_writer, "rwlock: another task, or a thread, cannot give back what a writer has")
{
    weft_rwlock l = {{0}};
    struct actor task = {.call = unlock_both, .object = &l}, thread = task;
    CHECK_INT(weft_rwlock_wrlock(&l), 0);
    begin(&task);
    CHECK_INT(finish(&task), WEFT_EPERM);
    begin_thread(&thread);
    CHECK_INT(finish_thread(&thread), WEFT_EPERM);
    CHECK_INT(weft_rwlock_wrunlock(&l), 0);
}

/* ---- Order --------------------------------------------------------------------------------------------------------- */

enum { CROWD = 6 };

struct crowd {
    weft_rwlock l;
    struct journal journal;
    struct actor actors[CROWD];
};

static _Atomic int door; /* 0: whoever reads stays inside */

static int
read_and_stay(struct actor *a)
{
    int rc = read_lock(a);
    if (rc) return rc;
    until(&door, 1);
    return weft_rwlock_rdunlock(a->object);
}

/* Begins one that writes (w), reads (r), or reads until the door is open (s). */
static struct actor *
enter(struct crowd *c, int i, char what, weft_time deadline)
{
    c->actors[i] = (struct actor){.call = what == 'w'   ? write_and_leave
                                          : what == 'r' ? read_and_leave
                                                        : read_and_stay,
                                  .object = &c->l,
                                  .deadline = deadline,
                                  .journal = &c->journal,
                                  .name = (char)('1' + i)};
    begin(&c->actors[i]);
    return &c->actors[i];
}

WORKER_TEST(rwlock, turns,
            "rwlock: a writer that waits keeps readers out, and after it all go in up to the next writer")
{
    struct crowd c = {0};
    atomic_store(&door, 0);
    CHECK_INT(weft_rwlock_rdlock(&c.l), 0);
    enter(&c, 0, 'w', WEFT_FOREVER);
    CHECK_INT(others_can(&c.l), 0);
    enter(&c, 1, 's', WEFT_FOREVER);
    enter(&c, 2, 's', WEFT_FOREVER);
    enter(&c, 3, 'w', WEFT_FOREVER);
    enter(&c, 4, 'r', WEFT_FOREVER);
    CHECK_STR(c.journal.text, "");
    CHECK_INT(weft_rwlock_rdunlock(&c.l), 0);
    CHECK_INT(finish(&c.actors[0]), 0);
    give_turns(5);
    CHECK_STR(c.journal.text, "123");
    CHECK_INT(others_can(&c.l), 0);
    atomic_store(&door, 1);
    for (int i = 1; i < 5; i++) CHECK_INT(finish(&c.actors[i]), 0);
    CHECK_STR(c.journal.text, "12345");
    CHECK_INT(others_can(&c.l), 3);
}

WORKER_TEST(rwlock, no_barging,
            "rwlock: it is handed over: whoever comes between the unlock and the turn of the next waits")
{
    struct crowd c = {0};
    CHECK_INT(weft_rwlock_wrlock(&c.l), 0);
    enter(&c, 0, 'w', WEFT_FOREVER);
    enter(&c, 1, 'r', WEFT_FOREVER);
    CHECK_INT(weft_rwlock_wrunlock(&c.l), 0);
    CHECK(!weft_rwlock_trywrlock(&c.l));
    CHECK(!weft_rwlock_tryrdlock(&c.l));
    for (int i = 0; i < 2; i++) CHECK_INT(finish(&c.actors[i]), 0);
    CHECK_STR(c.journal.text, "12");
    CHECK_INT(others_can(&c.l), 3);
}

WORKER_TEST(rwlock, gives_up, "rwlock: a writer that gives up lets in the readers that waited behind it")
{
    struct crowd c = {0};
    atomic_store(&door, 0);
    CHECK_INT(weft_rwlock_rdlock(&c.l), 0);
    enter(&c, 0, 'w', weft_in(WEFT_MS));
    enter(&c, 1, 's', WEFT_FOREVER);
    enter(&c, 2, 's', weft_in(60 * WEFT_S));
    CHECK_INT(finish(&c.actors[0]), WEFT_ETIMEDOUT);
    until(&c.journal.length, 2); /* in any order: the deadline may have passed before the last one came */
    CHECK(strchr(c.journal.text, '2') && strchr(c.journal.text, '3'));
    atomic_store(&door, 1);
    for (int i = 1; i < 3; i++) CHECK_INT(finish(&c.actors[i]), 0);
    CHECK_INT(weft_rwlock_rdunlock(&c.l), 0);
    CHECK_INT(others_can(&c.l), 3);
}

WORKER_TEST(rwlock, deadlines, "rwlock: who gives up has nothing, and the others get their turns")
{
    struct crowd c = {0};
    CHECK_INT(weft_rwlock_wrlock(&c.l), 0);
    enter(&c, 0, 'r', WEFT_NOW);
    CHECK_INT(finish(&c.actors[0]), WEFT_EAGAIN);
    enter(&c, 1, 'r', weft_in(WEFT_MS));
    enter(&c, 2, 'w', weft_in(WEFT_MS));
    enter(&c, 3, 'r', weft_in(60 * WEFT_S));
    CHECK_INT(finish(&c.actors[1]), WEFT_ETIMEDOUT);
    CHECK_INT(finish(&c.actors[2]), WEFT_ETIMEDOUT);
    CHECK_INT(weft_rwlock_wrunlock(&c.l), 0);
    CHECK_INT(finish(&c.actors[3]), 0);
    CHECK_STR(c.journal.text, "4");
    CHECK_INT(others_can(&c.l), 3);
}

/* ---- Many ---------------------------------------------------------------------------------------------------------- */

struct book {
    weft_rwlock l;
    long lines[2]; /* equal whenever nobody writes */
    _Atomic int readers, wrong, timeouts, written;
    int rounds;
};

static void
read_book(struct book *b)
{
    atomic_fetch_add(&b->readers, 1);
    if (b->lines[0] != b->lines[1]) atomic_fetch_add(&b->wrong, 1);
    if (weft_current()) weft_yield();
    if (b->lines[0] != b->lines[1]) atomic_fetch_add(&b->wrong, 1);
    atomic_fetch_sub(&b->readers, 1);
}

static void
write_book(struct book *b)
{
    if (atomic_load(&b->readers)) atomic_fetch_add(&b->wrong, 1);
    b->lines[0]++;
    if (weft_current()) weft_yield();
    b->lines[1]++;
    atomic_fetch_add(&b->written, 1);
}

static int
use_book(void *arg)
{
    struct book *b = arg;
    unsigned seed = test_seed() + (unsigned)(uintptr_t)&seed / 64;
    for (int i = 0; i < b->rounds; i++) {
        weft_time deadline = dice(&seed, 3) ? WEFT_FOREVER : weft_in((int64_t)dice(&seed, 40) * WEFT_US);
        bool writes = dice(&seed, 4) == 0;
        int rc = writes ? weft_rwlock_wrlock_until(&b->l, deadline) : weft_rwlock_rdlock_until(&b->l, deadline);
        if (rc) {
            CHECK_INT(rc, WEFT_ETIMEDOUT);
            atomic_fetch_add(&b->timeouts, 1);
        } else if (writes) {
            write_book(b);
            CHECK_INT(weft_rwlock_wrunlock(&b->l), 0);
        } else {
            read_book(b);
            CHECK_INT(weft_rwlock_rdunlock(&b->l), 0);
        }
    }
    return 0;
}

static void *
use_book_on_thread(void *arg)
{
    use_book(arg);
    return NULL;
}

TEST(rwlock, book, "rwlock: what tasks and threads read under it is whole, with deadlines and all")
{
    enum { TASKS = 6, THREADS = 2 };
    struct book b = {.rounds = scaled(2000)};
    weft_task *tasks[TASKS];
    pthread_t threads[THREADS];
    if (!CHECK_INT(weft_start(NULL), 0)) return;
    for (int i = 0; i < TASKS; i++) tasks[i] = spawned(use_book, &b);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&threads[i], NULL, use_book_on_thread, &b), 0);
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(tasks[i]), 0);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(atomic_load(&b.wrong), 0);
    CHECK_INT(b.lines[0], atomic_load(&b.written));
    CHECK_INT(b.lines[1], atomic_load(&b.written));
    CHECK(weft_rwlock_trywrlock(&b.l));
    CHECK_INT(weft_rwlock_wrunlock(&b.l), 0);
    CHECK_INT(weft_stop(), 0);
}

struct end {
    weft_rwlock l;
    _Atomic int come;
    int read, write, again, unlock;
};

static int
wait_for_the_end(void *arg)
{
    struct end *e = arg;
    CHECK_INT(weft_rwlock_rdlock(&e->l), 0);
    atomic_store(&e->come, 1);
    e->write = weft_rwlock_wrlock_until(&e->l, WEFT_FOREVER);
    e->read = weft_rwlock_rdlock_until(&e->l, WEFT_FOREVER);
    e->again = weft_rwlock_rdlock(&e->l);
    e->unlock = weft_rwlock_rdunlock(&e->l) + weft_rwlock_rdunlock(&e->l);
    return 0;
}

TEST(rwlock, cancelled, "rwlock: the forms with deadlines end by a cancellation, the others do not")
{
    struct end e = {.write = 1};
    run_doomed(wait_for_the_end, &e, &e.come);
    CHECK_INT(e.write, WEFT_ECANCELED);
    CHECK_INT(e.read, WEFT_ECANCELED);
    CHECK_INT(e.again, 0);
    CHECK_INT(e.unlock, 0);
}
