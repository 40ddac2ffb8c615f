/* yield.c - tasks of one worker take turns.
 *
 * Julia: yield(), yield(t).  Sticky tasks of one worker go on in the order in which they came. */
#include <stdio.h>

#include <weft.h>

static int
three_turns(void *arg)
{
    for (int i = 1; i <= 3; i++) {
        printf("%s%d ", (const char *)arg, i);
        weft_yield();
    }
    return 0;
}

static int
say(void *arg)
{
    printf("%s ", (const char *)arg);
    return 0;
}

static int
turns(char *names[])
{
    weft_task *t[3];
    int code = 0;
    for (int i = 0; i < 3 && code == 0; i++) code = weft_async(&t[i], three_turns, names[i]);
    for (int i = 0; i < 3 && code == 0; i++) code = weft_join(t[i]);
    puts("");
    return code;
}

/* Runs first in front of second, which has been ready for longer. */
static int
out_of_turn(void)
{
    weft_task *first, *second;
    int code = weft_async(&second, say, "second");
    if (code == 0) code = weft_task_new(&first, say, "first", &(weft_task_options){.flags = WEFT_STICKY});
    if (code == 0) code = weft_yield_to(first);
    if (code < 0) return code;
    puts("caller");
    weft_task_release(first);
    return weft_join(second);
}

static int
root(void *arg)
{
    int code = turns(arg);
    return code < 0 ? code : out_of_turn();
}

int
main(void)
{
    char *names[] = {"a", "b", "c"};
    const weft_config one_worker = {.workers = 1};
    return weft_run(&one_worker, root, names) < 0;
}
