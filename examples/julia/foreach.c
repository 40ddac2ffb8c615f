/* foreach.c - several tasks share what comes out of a channel.
 *
 * Julia: Threads.foreach(f, channel; ntasks=4). */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

enum { ITEMS = 20, TASKS = 4 };

struct work {
    weft_channel *c;
    atomic_int times[ITEMS];
};

static int
produce(weft_channel *c, void *arg)
{
    (void)arg;
    int code = 0;
    for (int i = 0; i < ITEMS && code == 0; i++) code = weft_channel_put(c, &i);
    return code;
}

static int
consume(void *arg)
{
    struct work *w = arg;
    int i;
    weft_channel_each(w->c, i) atomic_fetch_add(&w->times[i], 1);
    return 0;
}

static int
root(void *arg)
{
    struct work *w = arg;
    weft_task *t[TASKS];
    int once = 0, code = weft_channel_spawn(&w->c, sizeof(int), 0, produce, NULL, NULL);
    for (int k = 0; k < TASKS && code == 0; k++) code = weft_spawn(&t[k], consume, w);
    for (int k = 0; k < TASKS && code == 0; k++) code = weft_join(t[k]);
    for (int i = 0; i < ITEMS; i++) once += w->times[i] == 1;
    if (code == 0) printf("%d of %d items were taken exactly once\n", once, ITEMS);
    weft_channel_release(w->c);
    return code;
}

int
main(void)
{
    struct work w = {NULL, {0}};
    return weft_run(NULL, root, &w) < 0;
}
