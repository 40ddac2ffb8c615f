/* foreach.c - several tasks share what comes out of a channel.
 *
 * Julia: Threads.foreach(f, channel; ntasks=4). */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

enum { ITEMS = 20, TASKS = 4 };

static int
produce(weft_channel *c, void *arg)
{
    (void)arg;
    int code = 0;
    for (int i = 0; i < ITEMS && code == 0; i++) code = weft_channel_put(c, &i);
    return code;
}

static int
consume(void *value, void *ctx)
{
    atomic_int *times = ctx;
    atomic_fetch_add(&times[*(int *)value], 1);
    return 0;
}

static int
root(void *arg)
{
    atomic_int *times = arg;
    weft_channel *c;
    int once = 0, code = weft_channel_spawn(&c, sizeof(int), 0, produce, NULL, NULL);
    if (code < 0) return code;
    code = weft_for_each(c, TASKS, consume, times);
    for (int i = 0; i < ITEMS; i++) once += times[i] == 1;
    printf("%d of %d items were taken exactly once\n", once, ITEMS);
    weft_channel_release(c);
    return code;
}

int
main(void)
{
    static atomic_int times[ITEMS];
    return weft_run(NULL, root, times) < 0;
}
