/* bind.c - a channel that is closed by the end of a task, and told of its failure.
 *
 * Julia: bind(c, task), first with a task that completes, then with one that fails. */
#include <stdio.h>

#include <weft.h>

static int
put_four(void *arg)
{
    int code = 0;
    for (int i = 1; i <= 4 && code == 0; i++) code = weft_channel_put(arg, &i);
    return code;
}

static int
put_one_and_fail(void *arg)
{
    int code = weft_channel_put(arg, &(int){1});
    return code < 0 ? code : weft_fail(WEFT_EINVAL, "foo");
}

/* A rendezvous and a task that is bound to it. */
static int
make_bound(weft_channel **c, weft_task **t, weft_fn *fn)
{
    int code = weft_channel_new(c, sizeof(int), 0);
    if (code == 0) code = weft_async(t, fn, *c);
    if (code == 0) code = weft_channel_bind(*c, *t);
    return code;
}

static int
root(void *arg)
{
    (void)arg;
    weft_channel *c;
    weft_task *t;
    int i = 0, code = make_bound(&c, &t, put_four);
    if (code < 0) return code;
    weft_channel_each(c, i) printf("i = %d\n", i);
    printf("open: %d\n", weft_channel_isopen(c));
    weft_task_release(t);
    weft_channel_release(c);

    code = make_bound(&c, &t, put_one_and_fail);
    if (code == 0) code = weft_channel_take(c, &i);
    if (code < 0) return code;
    printf("take: %d\n", i);
    code = weft_channel_put(c, &i); /* parks: nobody takes; then the task fails */
    printf("put: %s", weft_error_text(code));
    if (code == weft_task_error(t)) printf(": %s", weft_task_message(t));
    puts("");
    weft_task_release(t);
    weft_channel_release(c);
    return 0;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
