/* lock.c - a lock that its owner may take again.
 *
 * Julia: ReentrantLock, lock(l) do ... end, @lock, trylock, islocked, unlock. */
#include <stdio.h>

#include <weft.h>

enum { TASKS = 8, TIMES = 1000 };

static weft_mutex lock;
static int count; /* with lock */

static void
increment(void)
{
    weft_mutex_lock(&lock);
    count++;
    weft_mutex_unlock(&lock);
}

static int
increment_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < TIMES; i++) increment();
    return 0;
}

/* The same with patience of one's own. */
static int
increment_when_free(void *arg)
{
    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        while (!weft_mutex_trylock(&lock)) weft_yield();
        count++;
        weft_mutex_unlock(&lock);
    }
    return 0;
}

static int
try_it(void *arg)
{
    (void)arg;
    printf("another task: trylock %d, unlock: %s\n", weft_mutex_trylock(&lock),
           weft_error_name(weft_mutex_unlock(&lock)));
    return 0;
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t[TASKS];
    int code = 0;
    for (int i = 0; i < TASKS && code == 0; i++) {
        code = weft_spawn(&t[i], i % 2 ? increment_when_free : increment_often, NULL);
    }
    for (int i = 0; i < TASKS && code == 0; i++) code = weft_join(t[i]);
    if (code < 0) return code;
    printf("count: %d\n", count);

    weft_mutex_lock(&lock);
    printf("the owner: locked %d, trylock %d\n", weft_mutex_islocked(&lock), weft_mutex_trylock(&lock));
    increment(); /* takes it a third time */
    code = weft_spawn(&t[0], try_it, NULL);
    if (code == 0) code = weft_join(t[0]);
    weft_mutex_unlock(&lock);
    printf("unlocked once: locked %d\n", weft_mutex_islocked(&lock));
    weft_mutex_unlock(&lock);
    printf("unlocked twice: locked %d\n", weft_mutex_islocked(&lock));
    printf("once more: %s\n", weft_error_name(weft_mutex_unlock(&lock)));
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
