/* yieldto.c - symmetric coroutines: nobody calls and nobody returns, each switches to the other and gives it a value.
 *
 * Julia: yieldto(t, value). */
#include <stdio.h>

#include <weft.h>

/* Answers each number with its square, and NULL with its end. */
static int
squares(void *arg)
{
    weft_task *partner = arg;
    int answer = 0;
    void *value = &answer;
    int code = weft_switch_to(partner, &value); /* ready; from here on value is what we are given */
    while (code == 0 && value) {
        answer = *(int *)value * *(int *)value;
        value = &answer;
        code = weft_switch_to(partner, &value);
    }
    if (code == 0) code = weft_schedule(partner); /* who ends switches to nobody */
    return code;
}

static int
root(void *arg)
{
    (void)arg;
    weft_task *t;
    void *value = NULL;
    int code = weft_task_new(&t, squares, weft_current(), NULL);
    if (code == 0) code = weft_switch_to(t, &value);
    for (int i = 1; i <= 3 && code == 0; i++) {
        value = &i;
        code = weft_switch_to(t, &value);
        if (code == 0) printf("%d -> %d\n", i, *(int *)value);
    }
    value = NULL;
    if (code == 0) code = weft_switch_to(t, &value);
    if (code == 0) code = weft_join(t);
    printf("ended: %s\n", weft_error_name(code));
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
