/* channel_fetch.c - looking at the first value of a channel without removing it; taking all that is there at once.
 *
 * Julia: fetch(c), collect(c). */
#include <stdio.h>

#include <weft.h>

static int
root(void *arg)
{
    (void)arg;
    weft_channel *c;
    int first = 0, all[3];
    size_t got = 0;
    int code = weft_channel_new(&c, sizeof(int), 3);
    if (code < 0) return code;
    for (int i = 1; i <= 3 && code == 0; i++) code = weft_channel_put(c, &i);
    if (code == 0) code = weft_channel_fetch(c, &first);
    printf("fetch: %d\n", first);
    if (code == 0) code = weft_channel_take_n(c, all, 3, &got);
    for (size_t i = 0; i < got; i++) printf("taken: %d\n", all[i]);
    weft_channel_release(c);
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
