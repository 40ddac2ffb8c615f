/* semaphore.c - no more than two at a time.
 *
 * Julia: Semaphore(2), Base.acquire(s) do ... end, @acquire, release. */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

enum { TASKS = 100, PERMITS = 2 };

struct room {
    weft_semaphore door;
    atomic_int inside, most, visits;
};

static int
foo(void *arg)
{
    struct room *r = arg;
    int inside = atomic_fetch_add(&r->inside, 1) + 1, most = atomic_load(&r->most);
    while (inside > most && !atomic_compare_exchange_weak(&r->most, &most, inside)) {
    }
    weft_yield();
    atomic_fetch_add(&r->visits, 1);
    atomic_fetch_sub(&r->inside, 1);
    return 0;
}

/* Half of them in one step, with a function for what is done inside; half in two. */
static int
visit(void *arg)
{
    struct room *r = arg;
    return weft_semaphore_with(&r->door, 1, foo, r);
}

static int
visit_by_hand(void *arg)
{
    struct room *r = arg;
    int code = weft_semaphore_acquire(&r->door, 1);
    if (code < 0) return code;
    code = foo(r);
    weft_semaphore_release(&r->door, 1);
    return code;
}

static int
root(void *arg)
{
    struct room *r = arg;
    weft_task *t[TASKS];
    int code = weft_semaphore_init(&r->door, PERMITS);
    for (int i = 0; i < TASKS && code == 0; i++) code = weft_spawn(&t[i], i % 2 ? visit : visit_by_hand, r);
    for (int i = 0; i < TASKS && code == 0; i++) code = weft_join(t[i]);
    printf("%d visits, never more than %d: %s\n", r->visits, PERMITS, r->most <= PERMITS ? "yes" : "no");
    printf("one release too many: %s\n", weft_error_name(weft_semaphore_release(&r->door, 1)));
    return code;
}

int
main(void)
{
    static struct room r;
    return weft_run(NULL, root, &r) < 0;
}
