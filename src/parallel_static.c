/*
 * parallel_static.c - weft_for_static: one chunk of a range for each worker, on that worker.  [layer 6]
 *
 * Chunk k is a sticky task that is put into the inbox of worker k, and the caller waits for all of them.  Nothing is
 * locked and no worker is reserved: the caller, and a chunk that parks, leave their workers to whatever else is ready
 * there.  So loops may be nested, and several may run at once; their chunks for one worker are served in turn.
 *
 * The caller's own worker has a chunk like the others.  It is not run in place: the caller may migrate while it waits, and
 * a chunk may not.
 *
 * Failures are as in parallel_for.c.
 *
 * Checked.  tests/test_for_static.c.
 */
#include "parallel.h"

#include "hook.h"
#include "scheduler.h"

#include <errno.h>
#include <stdlib.h>

enum { FEW = 16 };

struct loop;

struct chunk {
    struct loop *loop;
    size_t begin, end;
    weft_task *task;
    bool begun;
};

struct loop {
    weft_range_fn *body;
    void *ctx;
    size_t begin, end;
    bool deserted; /* the chunks have been cancelled with the caller */
    struct verdict verdict;
};

static int
run_chunk(void *arg)
{
    struct chunk *k = arg;
    struct loop *loop = k->loop;
    k->begun = true;
    if (weft__verdict_reached(&loop->verdict, k->begin)) return 0;
    int code = loop->body(k->begin, k->end, loop->ctx);
    if (code < 0) weft__verdict_fail(&loop->verdict, k->begin, code);
    return 0;
}

/* Joins the last of n chunks. */
static void
join_chunk(struct chunk *chunks, size_t n)
{
    struct chunk *k = &chunks[n - 1];
    bool stackless;
    if (!k->loop->deserted && weft__helper_deserted(k->task)) {
        k->loop->deserted = true;
        while (n > 0) (void)weft_cancel(chunks[--n].task);
    }
    int code = weft__join_always(k->task, &stackless);
    if (!k->begun) weft__verdict_fail(&k->loop->verdict, k->begin, code);
}

/* The first `rest` chunks have one iteration more than the others. */
static void
run_chunks(struct loop *loop, struct chunk *chunks, size_t n)
{
    size_t length = loop->end - loop->begin, share = length / n, rest = length % n, begin = loop->begin, started = 0;
    for (; started < n && begin < loop->end; started++) {
        struct chunk *k = &chunks[started];
        *k = (struct chunk){.loop = loop, .begin = begin, .end = begin + share + (started < rest)};
        begin = k->end;
        int rc = weft__spawn_on(&k->task, run_chunk, k, (int)started);
        if (rc == 0) continue;
        weft__verdict_fail(&loop->verdict, k->begin, rc);
        break;
    }
    for (; started > 0; started--) join_chunk(chunks, started);
}

/* Not inlined: its caller switches contexts, and compilers look up once where errno is. */
static weft__noinline struct chunk *
new_chunks(size_t n)
{
    int saved = errno;
    struct chunk *chunks = weft__hook_fail() ? NULL : calloc(n, sizeof *chunks);
    errno = saved;
    return chunks;
}

static int
run_loop(void *arg)
{
    struct loop *loop = arg;
    struct chunk few[FEW], *chunks = few;
    size_t n = (size_t)weft__sched.pools[POOL_DEFAULT].count;
    if (n > FEW) chunks = new_chunks(n);
    if (chunks) run_chunks(loop, chunks, n);
    else weft__verdict_fail(&loop->verdict, loop->begin, WEFT_ENOMEM);
    if (chunks != few) free(chunks);
    return 0;
}

int
weft_for_static(size_t begin, size_t end, weft_range_fn *body, void *ctx)
{
    if (!body || begin > end) return WEFT_EINVAL;
    struct loop loop = {.body = body, .ctx = ctx, .begin = begin, .end = end};
    return weft__parallel_call(&loop.verdict, run_loop, &loop);
}
