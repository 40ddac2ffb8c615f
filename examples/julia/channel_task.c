/* channel_task.c - channels that come with their task.
 *
 * Julia: Channel(f; taskref) with f taking, and Channel{Char}(f, 1, spawn=true) with f putting. */
#include <stdio.h>

#include <weft.h>

static int
show_one(weft_channel *c, void *arg)
{
    (void)arg;
    const char *word;
    int code = weft_channel_take(c, &word);
    if (code == 0) printf("taken: %s\n", word);
    return code;
}

static int
put_letters(weft_channel *c, void *arg)
{
    int code = 0;
    for (const char *letter = arg; *letter && code == 0; letter++) code = weft_channel_put(c, letter);
    return code;
}

static int
root(void *arg)
{
    weft_channel *c;
    weft_task *t;
    const char *word = "Hello";
    char letter, text[32];
    size_t length = 0;

    int code = weft_channel_spawn(&c, sizeof word, 0, show_one, NULL, &t);
    if (code < 0) return code;
    printf("done: %d\n", weft_task_isdone(t));
    code = weft_channel_put(c, &word);
    if (code == 0) code = weft_wait(t);
    printf("done: %d\n", weft_task_isdone(t));
    weft_task_release(t);
    weft_channel_release(c);

    if (code == 0) code = weft_channel_spawn(&c, sizeof letter, 1, put_letters, arg, NULL);
    if (code < 0) return code;
    weft_channel_each(c, letter)
        if (length < sizeof text) text[length++] = letter;
    printf("collected: %.*s\n", (int)length, text);
    weft_channel_release(c);
    return 0;
}

int
main(void)
{
    char text[] = "hello world";
    return weft_run(NULL, root, text) < 0;
}
