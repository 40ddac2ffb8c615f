/* producer.c - a function that returns many times: a task that puts what it makes into a channel.
 *
 * Julia: Channel(f), take!.  Between two puts the producer is parked and the consumer runs. */
#include <stdio.h>

#include <weft.h>

/* Channels carry elements of one type: what would be Any is said here. */
struct item {
    const char *word; /* or, if NULL, */
    int number;
};

static int
producer(weft_channel *c, void *arg)
{
    (void)arg;
    struct item it = {.word = "start"};
    int code = weft_channel_put(c, &it);
    for (int n = 1; n <= 4 && code == 0; n++) {
        it = (struct item){.number = 2 * n};
        code = weft_channel_put(c, &it);
    }
    it = (struct item){.word = "stop"};
    return code < 0 ? code : weft_channel_put(c, &it);
}

static int
root(void *arg)
{
    (void)arg;
    weft_channel *c;
    struct item it;
    int code = weft_channel_spawn(&c, sizeof it, 0, producer, NULL, NULL);
    for (int i = 0; i < 6 && code == 0; i++) {
        code = weft_channel_take(c, &it);
        if (code < 0) break;
        if (it.word) printf("take: \"%s\"\n", it.word);
        else printf("take: %d\n", it.number);
    }
    if (code < 0) return code;
    printf("after the last: %s\n", weft_error_text(weft_channel_take(c, NULL)));
    weft_channel_release(c);
    return 0;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
