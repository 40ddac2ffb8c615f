/* test_local.c - task-local storage. */
#include "signal_kit.h"

static _Atomic int destroyed;

static void
count_destroyed(void *value)
{
    (void)value;
    atomic_fetch_add(&destroyed, 1);
}

static weft_local
key_of(void (*destroy)(void *))
{
    weft_local key;
    atomic_store(&destroyed, 0);
    CHECK_INT(weft_local_new(&key, destroy), 0);
    return key;
}

static int values[8];

TEST(local, no_key, "a zeroed key is none")
{
    weft_local none = {0, NULL};
    CHECK_INT(weft_local_new(NULL, NULL), WEFT_EINVAL);
    CHECK(weft_local_get(none) == NULL);
    CHECK_INT(weft_local_set(none, values), WEFT_EINVAL);
    CHECK_INT(weft_local_set(none, NULL), WEFT_EINVAL);
    CHECK_INT(weft_local_with(none, values, NULL, NULL), WEFT_EINVAL);
}

static void
check_set_and_get(void)
{
    weft_local a = key_of(NULL), b = key_of(NULL);
    CHECK(weft_local_get(a) == NULL);
    CHECK_INT(weft_local_set(a, NULL), 0);
    CHECK_INT(weft_local_set(a, &values[0]), 0);
    CHECK_INT(weft_local_set(b, &values[1]), 0);
    CHECK(weft_local_get(a) == &values[0]);
    CHECK(weft_local_get(b) == &values[1]);
    CHECK_INT(weft_local_set(a, &values[2]), 0);
    CHECK(weft_local_get(a) == &values[2]);
    CHECK_INT(weft_local_set(a, NULL), 0);
    CHECK(weft_local_get(a) == NULL);
    CHECK(weft_local_get(b) == &values[1]);
    CHECK_INT(weft_local_set(b, NULL), 0);
}

/* [J163]  A key without a value is NULL, not an error. */
TASK_TEST(local, set_and_get, "a task gets what it has set under a key, and NULL where it has set nothing")
{
    check_set_and_get();
}

TEST(local, thread, "a plain thread has values, too")
{
    check_set_and_get();
}

struct inheritance {
    weft_local key;
    void *seen;
};

static int
look_and_set(void *arg)
{
    struct inheritance *i = arg;
    i->seen = weft_local_get(i->key);
    return weft_local_set(i->key, &values[7]);
}

/* [J163] [J153] */
TASK_TEST(local, not_inherited, "a child does not see its parent's value, nor the parent the child's, also in place")
{
    struct inheritance i = {key_of(NULL), values};
    CHECK_INT(weft_local_set(i.key, &values[1]), 0);
    CHECK_INT(weft_join(spawned(look_and_set, &i)), 0); /* in place, if nobody is faster */
    CHECK(i.seen == NULL);
    CHECK(weft_local_get(i.key) == &values[1]);
    i.seen = values;
    CHECK_INT(weft_join(asynced(look_and_set, &i)), 0);
    CHECK(i.seen == NULL);
    CHECK(weft_local_get(i.key) == &values[1]);
}

static int
look(void *arg)
{
    struct inheritance *i = arg;
    i->seen = weft_local_get(i->key);
    weft_yield();
    if (weft_local_get(i->key) != i->seen) return -1;
    return -5;
}

static int
look_and_change(void *arg)
{
    struct inheritance *i = arg;
    weft_local others[10];
    for (int k = 0; k < 10; k++) { /* the table grows meanwhile */
        others[k] = key_of(NULL);
        CHECK_INT(weft_local_set(others[k], values), 0);
    }
    return look_and_set(arg) < 0 ? -1 : i->seen ? 0 : 1;
}

/* [J163] */
TASK_TEST(local, with, "weft_local_with sets a value for a body and puts back what was there, or nothing")
{
    struct inheritance i = {key_of(NULL), NULL};
    CHECK_INT(weft_local_with(i.key, &values[1], look, &i), -5);
    CHECK(i.seen == &values[1]);
    CHECK(weft_local_get(i.key) == NULL);
    CHECK_INT(weft_local_set(i.key, &values[2]), 0);
    CHECK_INT(weft_local_with(i.key, &values[3], look_and_change, &i), 0);
    CHECK(i.seen == &values[3]);
    CHECK(weft_local_get(i.key) == &values[2]);
    CHECK_INT(weft_local_with(i.key, NULL, look_and_change, &i), 1);
    CHECK(weft_local_get(i.key) == &values[2]);
    CHECK_INT(weft_local_with(i.key, NULL, NULL, &i), WEFT_EINVAL);
}

enum { KEYS = 100 };

static int
set_many(void *arg)
{
    weft_local *keys = arg;
    int wrong = 0;
    for (int k = 0; k < KEYS; k++) wrong += weft_local_set(keys[k], &keys[k]) != 0;
    weft_yield();
    for (int k = 0; k < KEYS; k++) wrong += weft_local_get(keys[k]) != &keys[k];
    for (int k = 0; k < KEYS; k += 2) wrong += weft_local_set(keys[k], NULL) != 0;
    for (int k = 0; k < KEYS; k++) wrong += weft_local_get(keys[k]) != (k % 2 ? &keys[k] : NULL);
    return wrong ? -1 : 0;
}

TASK_TEST(local, many, "a task may have many values; those that are there at its end are destroyed, and no others")
{
    weft_local keys[KEYS];
    for (int k = 0; k < KEYS; k++) keys[k] = key_of(k % 4 == 3 ? NULL : count_destroyed);
    CHECK_INT(weft_join(spawned(set_many, keys)), 0);
    CHECK_INT(atomic_load(&destroyed), KEYS / 4);
}

static void
free_value(void *value)
{
    *(int *)value = 1;
    atomic_fetch_add(&destroyed, 1);
}

struct ending {
    weft_local key;
    int value; /* plain: the end of the task orders it */
};

static int
set_and_end(void *arg)
{
    struct ending *e = arg;
    return weft_local_set(e->key, &e->value);
}

TASK_TEST(local, before_done, "values are destroyed before anybody sees the task as done")
{
    for (int i = 0; i < scaled(2000); i++) {
        struct ending e = {key_of(free_value), 0};
        weft_task *t = i % 2 ? spawned(set_and_end, &e) : asynced(set_and_end, &e);
        if (i % 3) weft_yield();
        CHECK_INT(weft_join(t), 0);
        CHECK_INT(e.value, 1);
    }
}

static weft_local own, other;
static _Atomic int rounds;
static void *seen_own, *seen_other;
static weft_task *seen_task;

static void
look_at_others(void *value)
{
    (void)value;
    seen_task = weft_current();
    seen_own = weft_local_get(own);
    seen_other = weft_local_get(other);
}

static int
set_two(void *arg)
{
    *(weft_task **)arg = weft_current();
    return weft_local_set(own, &values[0]) + weft_local_set(other, &values[1]);
}

TASK_TEST(local, in_destroy, "values are destroyed in their task, which still has those that are to come")
{
    weft_task *task = NULL, *t;
    own = key_of(look_at_others);
    other = key_of(NULL);
    seen_task = NULL;
    CHECK_INT(weft_local_set(own, &values[5]), 0); /* not the child's */
    t = spawned(set_two, &task);
    CHECK_INT(weft_join(t), 0);
    CHECK(seen_task == task);
    CHECK(seen_own == NULL);
    CHECK(seen_other == &values[1] || seen_other == NULL); /* in any order */
    CHECK(weft_local_get(own) == &values[5]);
    CHECK_INT(weft_local_set(own, NULL), 0);
}

static void
set_again(void *value)
{
    atomic_fetch_add(&rounds, 1);
    CHECK_INT(weft_local_set(own, value), 0);
}

static void
set_many_again(void *value)
{
    set_again(value);
    for (int i = 0; i < 8; i++) CHECK_INT(weft_local_set(key_of(count_destroyed), value), 0); /* the table moves */
}

static int
set_own(void *arg)
{
    return weft_local_set(own, arg);
}

TASK_TEST(local, set_in_destroy, "a destroy function that sets its value again is called again, a few times")
{
    own = key_of(set_again);
    atomic_store(&rounds, 0);
    CHECK_INT(weft_join(spawned(set_own, values)), 0);
    CHECK_INT(atomic_load(&rounds), 4);
    own = key_of(set_many_again);
    atomic_store(&rounds, 0);
    CHECK_INT(weft_join(spawned(set_own, values)), 0);
    CHECK(atomic_load(&rounds) >= 4);
    CHECK(atomic_load(&destroyed) > 0);
}

static void *
set_own_on_thread(void *arg)
{
    CHECK_INT(weft_local_set(own, arg), 0);
    CHECK(weft_local_get(own) == arg);
    return NULL;
}

TEST(local, thread_ends, "a thread's values are its own, and are destroyed when it ends")
{
    pthread_t t;
    own = key_of(count_destroyed);
    CHECK_INT(weft_local_set(own, &values[1]), 0);
    for (int i = 1; i <= 3; i++) {
        if (!CHECK_INT(pthread_create(&t, NULL, set_own_on_thread, &values[2]), 0)) return;
        pthread_join(t, NULL);
        CHECK_INT(atomic_load(&destroyed), i);
    }
    CHECK(weft_local_get(own) == &values[1]);
    CHECK_INT(weft_local_set(own, NULL), 0);
}

static void
drop(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static int
set_own_value(void *arg)
{
    (void)arg;
    return weft_local_set(own, values);
}

TASK_TEST(local, with_drop,
          "a task with a drop function may have values; the drop function is for tasks that do not run")
{
    _Atomic int dropped = 0;
    weft_task_options opt = {.size = sizeof opt, .name = "named", .drop = drop};
    weft_task *t = NULL;
    own = key_of(count_destroyed);
    CHECK_INT(weft_spawn_with(&t, set_own_value, &dropped, &opt), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(atomic_load(&dropped), 0);
    CHECK_INT(atomic_load(&destroyed), 1);
    CHECK_INT(weft_task_new(&t, set_own_value, &dropped, &opt), 0);
    weft_task_release(t);
    CHECK_INT(atomic_load(&dropped), 1);
    CHECK_INT(atomic_load(&destroyed), 1);
}

static int
migrate(void *arg)
{
    weft_local key = *(weft_local *)arg;
    int mine, wrong = weft_local_set(key, &mine) != 0;
    for (int i = 0; i < scaled(100); i++) {
        if (i % 8 == 0) (void)weft_sleep(WEFT_US);
        else weft_yield();
        wrong += weft_local_get(key) != &mine;
    }
    return wrong ? -1 : 0;
}

TASK_TEST(local, migrates, "a task keeps its values on whatever worker it goes on")
{
    enum { TASKS = 20 };
    weft_local key = key_of(count_destroyed);
    weft_task *t[TASKS];
    for (int i = 0; i < TASKS; i++) t[i] = spawned(migrate, &key);
    for (int i = 0; i < TASKS; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(atomic_load(&destroyed), TASKS);
}

static int
set_and_fail(void *arg)
{
    (void)arg;
    (void)weft_local_set(own, values);
    return weft_fail(-77, "with a value");
}

TASK_TEST(local, failed, "the values of a task that fails are destroyed, too")
{
    own = key_of(count_destroyed);
    weft_task *t = spawned(set_and_fail, NULL);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_STR(weft_task_message(t), "with a value");
    CHECK_INT(weft_join(t), -77);
    CHECK_INT(atomic_load(&destroyed), 1);
}
