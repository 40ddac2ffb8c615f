/* iterate.c - a loop over a channel ends when the channel is closed, here by the end of the task that is bound to it.
 *
 * Julia: for x in Channel(producer). */
#include <stdio.h>

#include <weft.h>

static int
even_numbers(weft_channel *c, void *arg)
{
    int count = *(int *)arg, code = 0;
    for (int n = 1; n <= count && code == 0; n++) code = weft_channel_put(c, &(int){2 * n});
    return code;
}

static int
root(void *arg)
{
    weft_channel *c;
    int x, code = weft_channel_spawn(&c, sizeof x, 0, even_numbers, arg, NULL);
    if (code < 0) return code;
    weft_channel_each(c, x) printf("%d\n", x);
    puts("no more");
    weft_channel_release(c);
    return 0;
}

int
main(void)
{
    int count = 4;
    return weft_run(NULL, root, &count) < 0;
}
