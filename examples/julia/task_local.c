/* task_local.c - values that belong to a task.
 *
 * Julia: task_local_storage(key, value), task_local_storage(key), task_local_storage(body, key, value). */
#include <stdio.h>

#include <weft.h>

static weft_local user;

static void
tell(const char *where)
{
    const char *name = weft_local_get(user);
    printf("%s: %s\n", where, name ? name : "nobody");
}

static int
child(void *arg)
{
    (void)arg;
    tell("a child does not inherit it");
    return 0;
}

static int
body(void *arg)
{
    (void)arg;
    tell("inside");
    return 0;
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t;
    int code = weft_local_new(&user, NULL);
    if (code < 0) return code;
    tell("at first");
    code = weft_local_with(user, "alice", body, NULL);
    tell("outside");
    if (code == 0) code = weft_local_set(user, "bob");
    tell("set");
    if (code == 0) code = weft_local_with(user, "alice", body, NULL);
    tell("restored");
    if (code == 0) code = weft_spawn(&t, child, NULL);
    return code < 0 ? code : weft_join(t);
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
