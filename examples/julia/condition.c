/* condition.c - waiting for a notification that carries a value.
 *
 * Julia: Condition, wait(c), notify(c, value; all), notify(c, error; error=true).  A condition remembers nothing: only who
 * is waiting is woken. */
#include <stdio.h>

#include <weft.h>

enum { LISTENERS = 4 };

struct bell {
    weft_mutex lock;
    weft_condition rung, changed;
    int waiting, heard; /* with lock; whoever changes them notifies changed */
};

static int
listen(void *arg)
{
    struct bell *b = arg;
    void *value = NULL;
    weft_mutex_lock(&b->lock);
    b->waiting++;
    weft_condition_notify(&b->changed, NULL, WEFT_ALL);
    int code = weft_condition_wait(&b->rung, &b->lock, &value);
    b->heard++;
    if (code == 0) printf("listener %d heard \"%s\"\n", b->heard, (const char *)value);
    else printf("listener %d: %s\n", b->heard, weft_error_text(code));
    weft_condition_notify(&b->changed, NULL, WEFT_ALL);
    weft_mutex_unlock(&b->lock);
    return 0;
}

/* With the lock held. */
static int
until(struct bell *b, const int *count, int value)
{
    int code = 0;
    while (*count < value && code == 0) code = weft_condition_wait(&b->changed, &b->lock, NULL);
    return code;
}

static int
ring(struct bell *b)
{
    int code = until(b, &b->waiting, LISTENERS);
    if (code < 0) return code;
    printf("woken: %d\n", weft_condition_notify(&b->rung, "one", WEFT_ONE));
    code = until(b, &b->heard, 1);
    if (code < 0) return code;
    printf("woken: %d\n", weft_condition_notify(&b->rung, "one more", WEFT_ONE));
    code = until(b, &b->heard, 2);
    if (code < 0) return code;
    printf("woken: %d\n", weft_condition_notify_error(&b->rung, WEFT_EINVAL, WEFT_ALL));
    code = until(b, &b->heard, LISTENERS);
    if (code < 0) return code;
    printf("woken: %d\n", weft_condition_notify(&b->rung, "nobody", WEFT_ALL));
    return 0;
}

static int
root(void *arg)
{
    struct bell *b = arg;
    int code = 0;
    for (int i = 0; i < LISTENERS && code == 0; i++) code = weft_spawn(NULL, listen, b);
    weft_mutex_lock(&b->lock);
    if (code == 0) code = ring(b);
    weft_mutex_unlock(&b->lock);
    return code;
}

int
main(void)
{
    static struct bell b; /* zeroed: ready for use */
    return weft_run(NULL, root, &b) < 0;
}
