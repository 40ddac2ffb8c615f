/* hello.c - the smallest useful program: a task sends words through a channel, another prints them.
 *
 *     cc hello.c $(pkg-config --cflags --libs weft) && ./a.out */
#include <stdio.h>

#include <weft.h>

/* Runs as a task of its own.  It closes the channel whatever happens, so that nobody waits for more. */
static int
greet(void *arg)
{
    static const char *const words[] = {"hello,", "woven", "world"};
    weft_channel *c = arg;
    int code = 0;
    for (int i = 0; i < 3 && code == 0; i++) code = weft_channel_put(c, &words[i]);
    weft_channel_close(c, 0);
    return code;
}

static int
root(void *arg)
{
    (void)arg;
    weft_channel *c;
    weft_task *greeter;
    const char *word;
    int code = weft_channel_new(&c, sizeof word, 0); /* no buffer: each word is handed over */
    if (code < 0) return code;
    code = weft_spawn(&greeter, greet, c);
    if (code == 0) {
        weft_channel_each(c, word) printf("%s\n", word);
        code = weft_join(greeter);
    }
    weft_channel_release(c);
    return code;
}

int
main(void)
{
    int code = weft_run(NULL, root, NULL);
    if (code < 0) fprintf(stderr, "hello: %s\n", weft_error_text(code));
    return code < 0;
}
