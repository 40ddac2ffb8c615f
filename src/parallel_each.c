/*
 * parallel_each.c - weft_for_each: a body for each value that comes out of a channel, by some tasks at once.  [layer 6]
 *
 * Each consumer takes a value, runs the body, and takes the next; the caller is one of them.  The channel is what they
 * share, so a value goes to whoever is free first, and the loop is over for each when the channel is closed and drained.
 *
 * The first body that fails closes the channel with its code.  So the others find it closed, and so do those who put.
 * What is buffered then stays there: a consumer looks at the verdict before it takes.  A value that was taken is run.
 *
 * Where there is no memory for a consumer, those that there are take what it would have taken; the caller needs none, if
 * values are small.
 *
 * Checked.  tests/test_for_each.c.
 */
#include "parallel.h"

#include "channel.h"
#include "hook.h"
#include "scheduler.h"

#include <errno.h>
#include <stdlib.h>

enum { SMALL = 128, FEW = 16 };

struct loop {
    weft_channel *channel;
    int (*body)(void *value, void *ctx);
    void *ctx;
    size_t ntasks;
    struct verdict verdict;
};

/* Not inlined: its callers switch contexts, and compilers look up once where errno is. */
static weft__noinline weft_task **
allocate(size_t n)
{
    int saved = errno;
    weft_task **tasks = weft__hook_fail() ? NULL : calloc(n, sizeof *tasks);
    errno = saved;
    return tasks;
}

/* The first in time is the one that counts: all are of index 0. */
static void
fail(struct loop *loop, int code)
{
    weft__verdict_fail(&loop->verdict, 0, code);
    weft__channel_close(loop->channel, code, false);
}

static void
consume_into(struct loop *loop, void *value)
{
    while (!weft__verdict_reached(&loop->verdict, 0)) {
        int rc = weft_channel_take(loop->channel, value);
        if (rc == WEFT_ECLOSED) return;
        if (rc == 0) {
            rc = loop->body(value, loop->ctx);
            if (rc < 0) fail(loop, rc);
        } else if (!weft__verdict_reached(&loop->verdict, 0)) {
            weft__verdict_fail(&loop->verdict, 0, rc); /* what somebody else closed it with */
        }
    }
}

static int
consume(void *arg)
{
    struct loop *loop = arg;
    _Alignas(WEFT_CACHE_LINE) unsigned char small[SMALL];
    size_t size = weft__channel_elem_size(loop->channel);
    void *value = size > SMALL ? weft__parallel_block(size) : small;
    if (!value) return WEFT_ENOMEM;
    consume_into(loop, value);
    if (value != small) free(value);
    return 0;
}

static int
run_loop(void *arg)
{
    struct loop *loop = arg;
    weft_task *few[FEW], **tasks = few;
    size_t started = 0, others = loop->ntasks - 1;
    int ended = 0;
    if (others > FEW) tasks = allocate(others);
    for (; tasks && started < others; started++) {
        if (weft__helper_spawn(&tasks[started], consume, loop) < 0) break;
    }
    int rc = consume(loop);
    bool deserted = false;
    for (size_t k = 0; k < started; k++) {
        bool stackless;
        if (!deserted && weft__helper_deserted(tasks[k])) {
            deserted = true;
            for (size_t i = k; i < started; i++) (void)weft_cancel(tasks[i]);
        }
        ended += weft__join_always(tasks[k], &stackless) == 0;
    }
    if (tasks != few) free(tasks);
    if (rc < 0 && ended == 0) fail(loop, rc); /* nobody has drained it */
    return 0;
}

int
weft_for_each(weft_channel *c, size_t ntasks, int (*body)(void *value, void *ctx), void *ctx)
{
    if (!c || !body) return WEFT_EINVAL;
    int workers = weft_nworkers();
    if (workers < 0) return workers;
    struct loop loop = {.channel = c, .body = body, .ctx = ctx, .ntasks = ntasks ? ntasks : (size_t)workers};
    return weft__parallel_call(&loop.verdict, run_loop, &loop);
}
