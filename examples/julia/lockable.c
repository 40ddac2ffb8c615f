/* lockable.c - a value that is reached only by way of its lock.
 *
 * Julia: Base.Lockable, lock(f, l), l[].  In C: a struct of both, and one function that runs what is to be done with it. */
#include <stdio.h>

#include <weft.h>

struct list {
    int items[16], length;
};

struct locked_list {
    weft_mutex lock;
    struct list value; /* with lock */
};

static void
with_list(struct locked_list *l, void (*body)(struct list *value, void *arg), void *arg)
{
    weft_mutex_lock(&l->lock);
    body(&l->value, arg);
    weft_mutex_unlock(&l->lock);
}

static void
push(struct list *list, void *arg)
{
    if (list->length < 16) list->items[list->length++] = *(int *)arg;
}

static void
summary(struct list *list, void *arg)
{
    (void)arg;
    int sum = 0;
    for (int i = 0; i < list->length; i++) sum += list->items[i];
    printf("%d items, their sum is %d\n", list->length, sum);
}

static int
push_many(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++) with_list(ctx, push, &(int){(int)i});
    return 0;
}

static int
root(void *arg)
{
    int code = weft_for(0, 10, 1, push_many, arg);
    with_list(arg, summary, NULL);
    return code;
}

int
main(void)
{
    static struct locked_list l;
    return weft_run(NULL, root, &l) < 0;
}
