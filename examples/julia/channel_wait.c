/* channel_wait.c - waiting until a channel has something, without taking it.
 *
 * Julia: wait(c). */
#include <stdio.h>

#include <weft.h>

static int
wait_for_it(void *arg)
{
    return weft_channel_wait(arg);
}

static int
root(void *arg)
{
    (void)arg;
    weft_channel *c;
    weft_task *t;
    int v = 0, code = weft_channel_new(&c, sizeof v, 1);
    if (code == 0) code = weft_spawn(&t, wait_for_it, c);
    if (code < 0) return code;
    printf("nothing there: done %d\n", weft_task_isdone(t));
    code = weft_channel_put(c, &(int){1});
    if (code == 0) code = weft_wait(t);
    printf("after the put: done %d\n", weft_task_isdone(t));
    if (code == 0) code = weft_channel_take(c, &v);
    printf("still there: %d\n", v);
    weft_task_release(t);
    weft_channel_release(c);
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
