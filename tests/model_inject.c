/* model_inject.c - a queue that any thread may push to: nothing is lost, doubled or overtaken by its own pusher's next.
 *
 * sources: inject.c */
#include "explore.h"
#include "inject.h"

#include <assert.h>
#include <pthread.h>

enum { PUSHERS = 2, EACH = 2, PUSHED = PUSHERS * EACH };

static struct inject queue;
static struct item {
    struct runnable run;
    int content; /* plain: written by the pusher, read by the taker */
} items[PUSHED];
static int taken[PUSHED], count; /* in the order in which they came out */

static void *
pusher(void *arg)
{
    struct item *first = arg;
    for (int k = 0; k < EACH; k++) {
        first[k].content = 1 + (int)(&first[k] - items);
        weft__inject_push(&queue, &first[k].run);
    }
    return NULL;
}

static void
take(void)
{
    struct runlist l = weft__inject_take(&queue);
    struct runnable *r;
    if (l.head && l.head != l.tail) explore_reached("several are taken at once");
    while ((r = weft__runlist_pop(&l))) {
        struct item *i = weft__container(r, struct item, run);
        assert(i->content == 1 + (int)(i - items) && count < PUSHED);
        taken[count++] = (int)(i - items);
    }
}

int
main(void)
{
    pthread_t threads[PUSHERS];
    for (int k = 0; k < PUSHERS; k++) pthread_create(&threads[k], NULL, pusher, &items[k * EACH]);
    take();
    take();
    if (count > 0 && count < PUSHED) explore_reached("some come before, and some after");
    for (int k = 0; k < PUSHERS; k++) pthread_join(threads[k], NULL);
    take();
    assert(count == PUSHED && weft__inject_empty(&queue));
    int next[PUSHERS] = {0};
    for (int k = 0; k < PUSHED; k++) assert(taken[k] % EACH == next[taken[k] / EACH]++);
    return 0;
}
