/* channel_states.c - the questions that a channel answers.
 *
 * Julia: isopen, isready, isempty, isfull; of a buffered channel, of a rendezvous, and of one whose task has ended. */
#include <stdio.h>

#include <weft.h>

static void
tell(const char *when, const weft_channel *c)
{
    printf("%-24s open %d, ready %d, empty %d, full %d\n", when, weft_channel_isopen(c), weft_channel_isready(c),
           weft_channel_isempty(c), weft_channel_isfull(c));
}

static int
put_one(weft_channel *c, void *arg)
{
    return weft_channel_put(c, arg);
}

static int
buffered(int *v)
{
    weft_channel *c;
    int code = weft_channel_new(&c, sizeof *v, 1);
    if (code < 0) return code;
    tell("capacity 1", c);
    code = weft_channel_put(c, v);
    tell("after a put", c);
    weft_channel_close(c, 0);
    tell("closed", c);
    weft_channel_release(c);
    return code;
}

static int
rendezvous(int *v)
{
    weft_channel *c;
    int code = weft_channel_new(&c, sizeof *v, 0);
    if (code < 0) return code;
    tell("a rendezvous", c);
    weft_channel_release(c);

    code = weft_channel_spawn(&c, sizeof *v, 0, put_one, v, NULL);
    if (code == 0) code = weft_channel_wait(c);
    if (code < 0) return code;
    tell("a putter waits", c);
    code = weft_channel_take(c, v);
    weft_channel_release(c);
    return code;
}

static int
ended(int *v)
{
    weft_channel *c;
    weft_task *t;
    int code = weft_channel_spawn(&c, sizeof *v, 1, put_one, v, &t);
    if (code == 0) code = weft_join(t);
    if (code < 0) return code;
    tell("its task has ended", c);
    code = weft_channel_take(c, v);
    tell("after a take", c);
    weft_channel_release(c);
    return code;
}

static int
root(void *arg)
{
    int code = buffered(arg);
    if (code == 0) code = rendezvous(arg);
    if (code == 0) code = ended(arg);
    return code;
}

int
main(void)
{
    int v = 1;
    return weft_run(NULL, root, &v) < 0;
}
