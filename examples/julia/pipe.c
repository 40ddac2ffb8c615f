/* pipe.c - several tasks read from one channel and write to another.
 *
 * Julia: n instances of foo() between Channel(32) and Channel(32). */
#include <stdio.h>

#include <weft.h>

enum { FOOS = 3, ITEMS = 12 };

struct pipe {
    weft_channel *in, *out;
};

static int
foo(void *arg)
{
    const struct pipe *p = arg;
    int data, code = 0;
    weft_channel_each(p->in, data) {
        int result = data * data;
        code = weft_channel_put(p->out, &result);
        if (code < 0) break;
    }
    return code;
}

static int
root(void *arg)
{
    struct pipe *p = arg;
    int result, sum = 0, code = 0;
    for (int i = 0; i < FOOS && code == 0; i++) code = weft_async(NULL, foo, p);
    for (int i = 1; i <= ITEMS && code == 0; i++) code = weft_channel_put(p->in, &i);
    weft_channel_close(p->in, 0); /* the loops of the foos end once it is drained */
    for (int i = 1; i <= ITEMS && code == 0; i++) {
        code = weft_channel_take(p->out, &result);
        sum += result;
    }
    if (code == 0) printf("%d results, their sum is %d\n", ITEMS, sum);
    return code;
}

int
main(void)
{
    struct pipe p = {NULL, NULL};
    int code = weft_channel_new(&p.in, sizeof(int), 32);
    if (code == 0) code = weft_channel_new(&p.out, sizeof(int), 32);
    if (code == 0) code = weft_run(NULL, root, &p); /* returns when the foos have ended too */
    weft_channel_release(p.in);
    weft_channel_release(p.out);
    return code < 0;
}
