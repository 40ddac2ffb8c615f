/* closure.c - a task with an argument: what Julia's closures carry is copied into the task.
 *
 * Julia: Task(() -> mytask(7)), @task mytask(7). */
#include <stdio.h>

#include <weft.h>

struct call {
    const char *greeting;
    int number;
};

static int
mytask(void *arg)
{
    const struct call *call = arg;
    printf("%s %d\n", call->greeting, call->number);
    return 0;
}

static int
start(weft_task **t)
{
    struct call call = {"mytask", 7};
    return weft_spawn_copy(t, mytask, &call, sizeof call); /* call may end now: the task has its own */
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t;
    int code = start(&t);
    return code < 0 ? code : weft_join(t);
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
