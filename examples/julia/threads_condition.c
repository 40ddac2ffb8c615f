/* threads_condition.c - waiting until something that a lock guards has become true.
 *
 * Julia: Threads.Condition, in the pattern lock; while not ready wait; unlock, as a queue between tasks. */
#include <stdio.h>

#include <weft.h>

enum { ITEMS = 100, CONSUMERS = 3 };

struct stack {
    weft_mutex lock;
    weft_condition changed;
    int items[ITEMS], depth; /* with lock */
    bool closed;             /* with lock */
};

static void
produce(struct stack *s)
{
    for (int i = 1; i <= ITEMS; i++) {
        weft_mutex_lock(&s->lock);
        s->items[s->depth++] = i;
        weft_condition_notify(&s->changed, NULL, WEFT_ONE);
        weft_mutex_unlock(&s->lock);
    }
    weft_mutex_lock(&s->lock);
    s->closed = true;
    weft_condition_notify(&s->changed, NULL, WEFT_ALL);
    weft_mutex_unlock(&s->lock);
}

static int
consume(void *arg)
{
    struct stack *s = arg;
    int sum = 0, code = 0;
    weft_mutex_lock(&s->lock);
    for (;;) {
        /* while, not if: between the notification and our turn somebody else may have taken it */
        while (s->depth == 0 && !s->closed && code == 0) code = weft_condition_wait(&s->changed, &s->lock, NULL);
        if (s->depth == 0 || code < 0) break;
        sum += s->items[--s->depth];
    }
    weft_mutex_unlock(&s->lock);
    return code < 0 ? code : sum;
}

static int
root(void *arg)
{
    weft_task *t[CONSUMERS];
    int sum = 0, code = 0;
    for (int i = 0; i < CONSUMERS && code == 0; i++) code = weft_spawn(&t[i], consume, arg);
    if (code < 0) return code;
    produce(arg);
    for (int i = 0; i < CONSUMERS && code >= 0; i++) {
        code = weft_join(t[i]);
        sum += code;
    }
    printf("consumed: %d\n", sum);
    return code;
}

int
main(void)
{
    static struct stack s;
    return weft_run(NULL, root, &s) < 0;
}
