/* inject.c - a queue that any thread may push to.  [layer 2] */
#include "inject.h"

#include "hook.h"

void
weft__inject_push(struct inject *q, struct runnable *r)
{
    struct runnable *old = load_relaxed(&q->top);
    do {
        r->link = old;
        weft__hook();
    } while (!cas_release(&q->top, &old, r)); /* release: pairs with the exchange in weft__inject_take */
    weft__fence();                            /* P2 of idle.c */
}

struct runlist
weft__inject_take(struct inject *q)
{
    struct runlist l = {NULL, NULL};
    if (weft__inject_empty(q)) return l;
    struct runnable *r = swap_acquire(&q->top, NULL); /* acquire: pairs with the push of each */
    l.tail = r;
    while (r) {
        struct runnable *older = r->link;
        r->link = l.head;
        l.head = r;
        r = older;
    }
    return l;
}
