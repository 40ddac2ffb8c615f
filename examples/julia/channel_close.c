/* channel_close.c - a closed channel takes nothing more, and gives what it has.
 *
 * Julia: put!, fetch and take! on a closed Channel; InvalidStateException is WEFT_ECLOSED. */
#include <stdio.h>

#include <weft.h>

static void
tell(const char *what, int code, int value)
{
    if (code < 0) printf("%s: %s\n", what, weft_error_text(code));
    else printf("%s: %d\n", what, value);
}

static int
root(void *arg)
{
    (void)arg;
    weft_channel *c;
    int v = 0, code = weft_channel_new(&c, sizeof v, 2);
    if (code < 0) return code;
    tell("put 1", weft_channel_put(c, &(int){1}), 1);
    weft_channel_close(c, 0);
    tell("put 2", weft_channel_put(c, &(int){2}), 2);
    code = weft_channel_fetch(c, &v);
    tell("fetch", code, v);
    code = weft_channel_fetch(c, &v);
    tell("fetch", code, v);
    code = weft_channel_take(c, &v);
    tell("take", code, v);
    code = weft_channel_take(c, &v);
    tell("take", code, v);
    weft_channel_release(c);
    return 0;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
