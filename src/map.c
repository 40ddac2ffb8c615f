/*
 * map.c - weft_map: a function on each element of an array, by a bounded number of tasks.  [layer 6]
 *
 * The input is cut into batches.  A mapper is a task that takes one batch after the other, until there are none.  The
 * k-th of those that are made at first begins with batch k, so each of them gets one; which batch it gets after that is
 * up to the order in which they come: `next` is a counter.
 *
 * With a function that says how many mappers there should be, that is called once before the first, and then whenever a
 * batch is taken, one call at a time.  It is the program's, and may park, so the counter is a token then: an element of
 * a channel of one place.  Who has taken it is alone, and the others stand in its queue, so those that have nothing to
 * do get the next batches in the order in which they ran out of work.
 *
 * Mappers are joined by the task that called.  A mapper that makes another one enlists it before its own end, so when
 * all that are in the list have been joined, and nothing has been added, there is no other.
 *
 * Failures are as in parallel_for.c, by the index of the batch.  Where there is no memory for a mapper, those that there
 * are do its work; only without a single one the call fails.  One that has no stack when it starts leaves its first batch
 * undone: that fails the call.
 *
 * Rejected.  A channel of elements, filled by the caller (Julia's): a switch for each element, and a caller that must run
 * whenever a mapper has finished.
 *
 * Checked.  tests/test_map.c.
 */
#include "parallel.h"

#include "channel.h"
#include "hook.h"
#include "scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAPPERS = 100 /* where their number is up to us */ };

struct mapper {
    struct mapper *older;
    struct map *map;
    weft_task *task;
    size_t first; /* its first batch; NONE: it takes one */
    bool begun;
};

static const size_t NONE = SIZE_MAX;

struct map {
    const char *in;
    char *out;
    size_t in_size, out_size;
    size_t n, batch, batches;
    int (*f)(const void *in, void *out, size_t count, void *ctx);
    void *ctx;
    size_t ntasks; /* at first */
    size_t (*ntasks_fn)(void *ctx);
    struct verdict verdict;
    _Atomic size_t next; /* batch that nobody has taken; with ntasks_fn: in the token */
    weft_channel *token;
    size_t made; /* mappers: who has the token */
    weft__lock lock;
    struct mapper *newest; /* under lock: not joined */
};

static int run_mapper(void *arg);

/* Not inlined: its callers switch contexts, and compilers look up once where errno is. */
static weft__noinline int
new_mapper(struct map *m, size_t first, struct mapper **out)
{
    int saved = errno;
    struct mapper *p = weft__hook_fail() ? NULL : malloc(sizeof *p);
    errno = saved;
    if (!p) return WEFT_ENOMEM;
    *p = (struct mapper){.map = m, .first = first};
    int rc = weft_task_new(&p->task, run_mapper, p, NULL);
    if (rc < 0) {
        free(p);
        return rc;
    }
    weft__helper(p->task);
    *out = p;
    return 0;
}

static struct mapper *
take_newest(struct map *m)
{
    weft__acquire(&m->lock);
    struct mapper *p = m->newest;
    if (p) m->newest = p->older;
    weft__unlock(&m->lock);
    return p;
}

/* With the token in hand: is there to be one more mapper? */
static void
grow(struct map *m)
{
    if (m->ntasks_fn(m->ctx) <= m->made) return;
    struct mapper *p;
    if (new_mapper(m, NONE, &p) < 0) return;
    m->made++;
    weft__acquire(&m->lock);
    p->older = m->newest;
    m->newest = p;
    weft__unlock(&m->lock);
    (void)weft_schedule(p->task); /* a task always can */
}

/* Takes a batch by its turn with the token, which goes on to the next, or is the end of the channel. */
static size_t
take_by_turn(struct map *m)
{
    size_t k, next;
    int rc = weft_channel_take(m->token, &k);
    if (rc < 0 || weft__verdict_reached(&m->verdict, k * m->batch)) {
        weft__channel_close(m->token, WEFT_ECLOSED, false);
        return NONE;
    }
    grow(m);
    next = k + 1;
    /* there is room: it only fails where the caller is cancelled, and so are all the others */
    if (next == m->batches || weft_channel_put_until(m->token, &next, WEFT_NOW) < 0)
        weft__channel_close(m->token, WEFT_ECLOSED, false);
    return k;
}

/* Takes a batch; NONE: there is none any more, or nothing more is to be begun. */
static size_t
take_batch(struct map *m)
{
    if (m->token) return take_by_turn(m);
    size_t k = add_relaxed(&m->next, 1); /* relaxed: a number; the input was there before the mappers */
    return k < m->batches ? k : NONE;
}

static void
run_batch(struct map *m, size_t k)
{
    size_t first = k * m->batch, count = m->n - first < m->batch ? m->n - first : m->batch;
    const char *in = m->in ? m->in + first * m->in_size : NULL;
    char *out = m->out ? m->out + first * m->out_size : NULL;
    int code = m->f(in, out, count, m->ctx);
    if (code < 0) weft__verdict_fail(&m->verdict, first, code);
}

static int
run_mapper(void *arg)
{
    struct mapper *p = arg;
    struct map *m = p->map;
    p->begun = true;
    size_t k = p->first != NONE ? p->first : take_batch(m);
    for (; k != NONE && !weft__verdict_reached(&m->verdict, k * m->batch); k = take_batch(m)) run_batch(m, k);
    return 0;
}

/* Makes up to `wanted` mappers and lets them run.  0, or why there is not one. */
static int
begin(struct map *m, size_t wanted)
{
    int rc = 0;
    size_t made = 0;
    for (; made < wanted; made++) {
        struct mapper *p;
        rc = new_mapper(m, m->token ? NONE : made, &p);
        if (rc < 0) break;
        p->older = m->newest;
        m->newest = p;
    }
    m->made = made;
    store_relaxed(&m->next, made); /* relaxed: the mappers are scheduled after it */
    struct mapper *older;
    for (struct mapper *p = m->newest; p; p = older) { /* these stay in the list; newer ones may come in front */
        older = p->older;
        (void)weft_schedule(p->task); /* a task always can */
    }
    return made > 0 ? 0 : rc;
}

/* Cancels p, and all that are in the list; who comes into it later is met when it is joined. */
static void
cancel_from(struct map *m, struct mapper *p)
{
    weft__acquire(&m->lock);
    struct mapper *next = m->newest;
    weft__unlock(&m->lock);
    for (; p; p = next, next = p ? p->older : NULL) (void)weft_cancel(p->task); /* only the caller takes any out */
}

/* Joins all mappers.  The code of one that never began, or 0. */
static int
end(struct map *m)
{
    int unbegun = 0;
    for (struct mapper *p; (p = take_newest(m)); free(p)) {
        bool stackless;
        if (weft__helper_deserted(p->task)) cancel_from(m, p);
        int code = weft__join_always(p->task, &stackless);
        if (p->begun) continue;
        unbegun = code;
        if (p->first != NONE) weft__verdict_fail(&m->verdict, p->first * m->batch, code);
    }
    return unbegun;
}

/* With a function: the token, and what the function says first. */
static int
begin_by_turn(struct map *m)
{
    size_t first = 0;
    int rc = weft_channel_new(&m->token, sizeof first, 1);
    if (rc < 0) return rc;
    rc = weft_channel_put(m->token, &first);
    if (rc < 0) return rc;
    m->ntasks = m->ntasks_fn(m->ctx);
    if (m->ntasks == 0) m->ntasks = 1;
    return 0;
}

static int
run_map(void *arg)
{
    struct map *m = arg;
    size_t left;
    if (m->batches == 0) return 0;
    int rc = m->ntasks_fn ? begin_by_turn(m) : 0;
    if (rc == 0) rc = begin(m, m->ntasks < m->batches ? m->ntasks : m->batches);
    if (rc == 0) rc = end(m);
    /* All that began have left the token behind only if they were stopped. */
    if (rc < 0 && (!m->token || m->made == 0 || weft_channel_take_until(m->token, &left, WEFT_NOW) == 0))
        weft__verdict_fail(&m->verdict, m->n, rc);
    weft_channel_release(m->token);
    return 0;
}

static int
read_options(struct map *m, const weft_map_options *in)
{
    weft_map_options o = {0};
    if (in) {
        size_t size = in->size ? in->size : sizeof *in;
        if (size > sizeof *in) return WEFT_EINVAL; /* made for a later library */
        memcpy(&o, in, size);
    }
    if (o.ntasks && o.ntasks_fn) return WEFT_EINVAL;
    m->ntasks = o.ntasks ? o.ntasks : MAPPERS;
    m->ntasks_fn = o.ntasks_fn;
    m->batch = o.batch ? o.batch : 1;
    return 0;
}

int
weft_map(const void *in, size_t in_size, void *out, size_t out_size, size_t n,
         int (*f)(const void *in, void *out, size_t count, void *ctx), void *ctx, const weft_map_options *opt)
{
    struct map m = {.in = in, .out = out, .in_size = in_size, .out_size = out_size, .n = n, .f = f, .ctx = ctx};
    size_t bytes;
    if (!f || (n > 0 && ((!in && in_size > 0) || (!out && out_size > 0)))) return WEFT_EINVAL;
    if (__builtin_mul_overflow(n, in_size > out_size ? in_size : out_size, &bytes) || bytes > PTRDIFF_MAX)
        return WEFT_EINVAL;
    int rc = read_options(&m, opt);
    if (rc < 0) return rc;
    if (n > 0) m.batches = (n - 1) / m.batch + 1;
    return weft__parallel_call(&m.verdict, run_map, &m);
}
