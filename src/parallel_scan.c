/*
 * parallel_scan.c - weft_scan: running combinations, from the left, with a second pass only over what was stolen.  [layer 6]
 *
 * A span is scanned from its left, one combination for each element, as a plain loop would.  Now and then it is asked whether
 * the worker is hungry.  If so, what is left is halved, and the right half is offered to thieves.  The left half goes on from
 * what is there.  The right half goes on from the left one if that is done when it begins, as it is where nobody has stolen it;
 * else it begins anew, as if nothing were before it, and when both are done, the last value of the left half is combined into
 * each of its elements, in parallel.  So there is a second combination only for what was stolen, and one worker does as much as
 * a loop: the idea of Roch, Traore, Bernard, "On-line Adaptive Parallel Prefix Computation" (Euro-Par 2006), with the repair
 * after each join, not at the end.
 *
 * Where the spans begin depends on who was hungry when.  For an operation that is associative that makes no difference; for
 * one that nearly is, as a floating-point addition, the result may differ in the last bits from run to run.
 *
 * Failures are as in parallel_for.c; only a cancellation and a lack of memory for large elements can be any.
 *
 * Rejected.  Two passes over fixed blocks: twice the work, so two workers gain nothing.
 */
#include "parallel.h"

#include "scheduler.h"

#include <stdlib.h>
#include <string.h>

enum {
    LEAST = 64, /* elements between two questions */
    SMALL = 128 /* bytes of an element for which a frame has room, aligned as a block: for any type of such a size */
};

struct scan {
    char *out;
    const char *in;
    size_t size;
    void (*op)(void *into, const void *from, void *ctx);
    void *ctx;
    size_t grain;
    struct verdict verdict;
};

struct span {
    struct scan *s;
    size_t begin, end;
    bool goes_on; /* from out[begin - 1] */
};

/* Combines one after the other of from into what begins as a copy of *carry, and stores each at to.  size is a constant
 * where it is a usual one. */
static inline __attribute__((always_inline)) void
run(const struct scan *s, char *to, const char *from, size_t n, const char *carry, char *value, size_t size)
{
    void (*op)(void *, const void *, void *) = s->op;
    void *ctx = s->ctx;
    memcpy(value, carry, size);
    for (size_t i = 0; i < n; i++, to += size, from += size) {
        op(value, from, ctx);
        memcpy(to, value, size);
    }
}

/* The same, but each time anew from *carry. */
static inline __attribute__((always_inline)) void
rerun(const struct scan *s, char *to, size_t n, const char *carry, char *value, size_t size)
{
    void (*op)(void *, const void *, void *) = s->op;
    void *ctx = s->ctx;
    for (size_t i = 0; i < n; i++, to += size) {
        memcpy(value, carry, size);
        op(value, to, ctx);
        memcpy(to, value, size);
    }
}

/* Room for an element: in the frame, or allocated; NULL: no memory. */
static char *
room(const struct scan *s, char *small)
{
    return s->size <= SMALL ? small : weft__parallel_block(s->size);
}

/* Scans begin .. end - 1.  False: no memory. */
static bool
scan_piece(struct scan *s, size_t begin, size_t end, bool goes_on)
{
    _Alignas(WEFT_CACHE_LINE) char small[SMALL];
    char *value = room(s, small), *to = s->out + begin * s->size;
    const char *from = s->in + begin * s->size, *carry = to - (goes_on ? s->size : 0);
    if (!value) return false;
    if (!goes_on) {
        memmove(to, from, s->size);
        to += s->size;
        from += s->size;
        begin++;
    }
    switch (s->size) {
    case 4:
        run(s, to, from, end - begin, carry, value, 4);
        break;
    case 8:
        run(s, to, from, end - begin, carry, value, 8);
        break;
    case 16:
        run(s, to, from, end - begin, carry, value, 16);
        break;
    default:
        run(s, to, from, end - begin, carry, value, s->size);
    }
    if (value != small) free(value);
    return true;
}

struct repair {
    struct scan *s;
    size_t from; /* what is before it is combined into each */
};

static int
repair_piece(size_t begin, size_t end, void *ctx)
{
    struct repair *r = ctx;
    struct scan *s = r->s;
    _Alignas(WEFT_CACHE_LINE) char small[SMALL];
    char *value = room(s, small), *to = s->out + begin * s->size;
    const char *carry = s->out + (r->from - 1) * s->size;
    if (!value) return WEFT_ENOMEM;
    switch (s->size) {
    case 4:
        rerun(s, to, end - begin, carry, value, 4);
        break;
    case 8:
        rerun(s, to, end - begin, carry, value, 8);
        break;
    case 16:
        rerun(s, to, end - begin, carry, value, 16);
        break;
    default:
        rerun(s, to, end - begin, carry, value, s->size);
    }
    if (value != small) free(value);
    return 0;
}

static int scan_span(void *arg);

struct halves {
    struct span left, right;
    _Atomic bool left_done;
};

static int
scan_left(void *arg)
{
    struct halves *h = arg;
    int code = scan_span(&h->left);
    store_release(&h->left_done, true); /* release: pairs with scan_right: the last value is there */
    return code;
}

static int
scan_right(void *arg)
{
    struct halves *h = arg;
    h->right.goes_on = load_acquire(&h->left_done); /* acquire: as above */
    return scan_span(&h->right);
}

/* Scans both halves of p, perhaps at the same time, and repairs the second if it began before the first was done. */
static void
fork_halves(const struct span *p)
{
    struct scan *s = p->s;
    size_t middle = p->begin + (p->end - p->begin) / 2;
    struct halves h = {.left = {s, p->begin, middle, p->goes_on}, .right = {s, middle, p->end, false}};
    struct repair r = {s, middle};
    weft__parallel_fork(&s->verdict, p->begin, scan_left, &h, scan_right, &h);
    if (h.right.goes_on || weft__verdict_reached(&s->verdict, middle)) return;
    int code = weft_for(middle, p->end, 0, repair_piece, &r);
    if (weft__unlikely(code < 0)) weft__verdict_fail(&s->verdict, middle, code);
}

static int
scan_span(void *arg)
{
    struct span p = *(struct span *)arg;
    struct scan *s = p.s;
    while (p.begin < p.end) {
        size_t left = p.end - p.begin, end = left < s->grain ? p.end : p.begin + s->grain;
        if (weft__verdict_reached(&s->verdict, p.begin)) break;
        if (left > 2 * s->grain && weft__sched_hungry()) {
            fork_halves(&p);
            break;
        }
        if (!scan_piece(s, p.begin, end, p.goes_on)) weft__verdict_fail(&s->verdict, p.begin, WEFT_ENOMEM);
        p.begin = end;
        p.goes_on = true;
    }
    return 0;
}

int
weft_scan(void *out, const void *in, size_t n, size_t size, void (*op)(void *into, const void *from, void *ctx),
          void *ctx)
{
    size_t bytes;
    if (!op || size == 0 || (n > 0 && (!out || !in))) return WEFT_EINVAL;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX) return WEFT_EINVAL;
    int workers = weft_nworkers();
    if (workers < 0) return workers;
    struct scan s = {.out = out, .in = in, .size = size, .op = op, .ctx = ctx};
    s.grain = weft__parallel_grain(n, (size_t)workers);
    if (s.grain < LEAST) s.grain = LEAST;
    struct span all = {&s, 0, n, false};
    return weft__parallel_call(&s.verdict, scan_span, &all);
}
