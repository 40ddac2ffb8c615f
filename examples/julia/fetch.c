/* fetch.c - the value of a task.
 *
 * Julia: fetch(t), any number of times; a task that failed has no value. */
#include <stdio.h>

#include <weft.h>

static int
sum_to(void *arg)
{
    int *n = arg, sum = 0;
    for (int i = 1; i <= *n; i++) sum += i;
    *n = sum;
    return weft_return(n);
}

static int
fail(void *arg)
{
    return weft_fail(WEFT_EINVAL, "no sum of %d", *(int *)arg);
}

static int
root(void *arg)
{
    weft_task *t, *failing;
    void *value;
    int code = weft_spawn(&t, sum_to, arg);
    if (code == 0) code = weft_fetch(t, &value);
    if (code < 0) return code;
    printf("fetch: %d\n", *(int *)value);
    code = weft_fetch(t, &value);
    printf("and again: %d\n", *(int *)value);
    weft_task_release(t);

    if (code == 0) code = weft_spawn(&failing, fail, arg);
    if (code < 0) return code;
    code = weft_fetch(failing, &value);
    printf("fetch: %s: %s\n", weft_error_text(code), weft_task_message(failing));
    weft_task_release(failing);
    return 0;
}

int
main(void)
{
    int n = 1000;
    return weft_run(NULL, root, &n) < 0;
}
