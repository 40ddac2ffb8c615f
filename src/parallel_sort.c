/*
 * parallel_sort.c - weft_sort: a stable merge sort, in which sorts and merges are split for whoever has nothing.  [layer 6]
 *
 * A range of more than LEAF elements is two halves, sorted to the other of two places, and then merged back.  A half is
 * forked where it is one of about SHARES for each worker, so that thieves find large ones, and otherwise where the worker is
 * hungry.  A merge goes from the left in pieces of MERGE_PIECE results; before each piece it asks whether the worker is hungry,
 * and if so, forks the right half of what is left.  Where a piece ends in the two runs is found by bisection (rank):
 * Odeh, Green, Mwassi, Shmueli, Birk, "Merge Path - Parallel Merging Made Simple" (IPDPSW 2012).  Neither changes the
 * result: it is the only stable one.
 *
 * What is in a leaf, and how two runs are merged, are the parts that weft/sort.h makes for a type: branch-free fours, and
 * merges from both ends at once, as in Rust's driftsort (Bergdoll, Peters 2024).  Here they are made for the usual sizes, with
 * the caller's comparison behind a pointer.  Elements of another size are not moved about: their addresses are sorted, and
 * then each is moved to its place and, all together, back.
 *
 * Nothing is lost.  After a cancellation every part still moves its elements to where its parent expects them, without a
 * comparison more; so do parts that could not begin.  So the elements are at base when the call returns, in whatever order.
 * A comparison that contradicts itself costs the order, and no elements: merge_runs in weft/sort.h notices, and rank is
 * bounded by the lengths.
 *
 * Rejected.  Quicksort in place: not stable.  A merge in place: twice the moves, to save memory that is there nearly always.
 */
#include "parallel.h"

#include "bits.h"
#include "scheduler.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <weft/sort.h>

enum {
    LEAF = 2048,        /* elements that are sorted without asking anybody */
    MERGE_PIECE = 4096, /* results */
    SHARES = 8,         /* for each worker */
    SMALL = 1024        /* bytes of scratch that are kept in a frame */
};

struct sort {
    const weft_sort_parts *parts;
    void *ctx;
    size_t size;  /* of an element */
    size_t share; /* elements */
    struct verdict verdict;
};

/* A range to be sorted. */
struct range {
    struct sort *s;
    char *base, *scratch;
    size_t n;
    bool in_scratch; /* where the result goes */
    bool done;       /* read after the join */
};

/* Two runs to be merged. */
struct merge {
    struct sort *s;
    char *to;
    const char *a, *b;
    size_t na, nb;
    bool done;
};

/* Need nothing be compared any more? */
static inline bool
given_up(struct sort *s)
{
    return weft__unlikely(weft__verdict_reached(&s->verdict, 0));
}

static int
merge_runs(void *arg)
{
    struct merge *whole = arg, m = *whole;
    struct sort *s = m.s;
    while (m.na + m.nb > 0) {
        size_t left = m.na + m.nb;
        if (given_up(s)) {
            memcpy(m.to, m.a, m.na * s->size);
            memcpy(m.to + m.na * s->size, m.b, m.nb * s->size);
            break;
        }
        bool fork = left > MERGE_PIECE && weft__sched_hungry();
        size_t k = fork ? left / 2 : left < MERGE_PIECE ? left : MERGE_PIECE;
        size_t from_a = s->parts->rank(m.a, m.na, m.b, m.nb, k, s->ctx), from_b = k - from_a;
        struct merge first = {s, m.to, m.a, m.b, from_a, from_b, false};
        m.to += k * s->size;
        m.a += from_a * s->size;
        m.b += from_b * s->size;
        m.na -= from_a;
        m.nb -= from_b;
        if (!fork) {
            s->parts->merge(first.to, first.a, first.na, first.b, first.nb, s->ctx);
            continue;
        }
        weft__parallel_fork(&s->verdict, 0, merge_runs, &first, merge_runs, &m);
        if (!first.done) merge_runs(&first); /* cancelled before they could begin: moves the elements, as above */
        if (!m.done) merge_runs(&m);
        break;
    }
    whole->done = true;
    return 0;
}

static int
sort_range(void *arg)
{
    struct range *r = arg;
    struct sort *s = r->s;
    size_t half = r->n / 2;
    if (r->n <= LEAF) {
        if (!given_up(s)) s->parts->run(r->base, r->scratch, r->n, r->in_scratch, s->ctx);
        else if (r->in_scratch) memcpy(r->scratch, r->base, r->n * s->size);
        r->done = true;
        return 0;
    }
    struct range left = {s, r->base, r->scratch, half, !r->in_scratch, false};
    struct range right = {s, r->base + half * s->size, r->scratch + half * s->size, r->n - half, !r->in_scratch, false};
    if (r->n >= s->share || weft__sched_hungry())
        weft__parallel_fork(&s->verdict, 0, sort_range, &left, sort_range, &right);
    if (!left.done) sort_range(&left);
    if (!right.done) sort_range(&right);
    char *from = r->in_scratch ? r->base : r->scratch, *to = r->in_scratch ? r->scratch : r->base;
    struct merge m = {s, to, from, from + half * s->size, half, r->n - half, false};
    (void)merge_runs(&m);
    r->done = true;
    return 0;
}

int
weft_sort_by(void *base, size_t n, const weft_sort_parts *parts, void *ctx)
{
    size_t bytes;
    if (!parts || parts->size == 0 || !parts->run || !parts->merge || !parts->rank || (!base && n > 0))
        return WEFT_EINVAL;
    if (__builtin_mul_overflow(n, parts->size, &bytes) || bytes > PTRDIFF_MAX) return WEFT_EINVAL;
    int workers = weft_nworkers();
    if (workers < 0) return workers;
    struct sort s = {.parts = parts, .ctx = ctx, .size = parts->size};
    s.share = workers == 1 ? SIZE_MAX : n / ((size_t)workers * SHARES) + LEAF;
    _Alignas(WEFT_CACHE_LINE) char small[SMALL]; /* as a block is */
    char *scratch = bytes > SMALL ? weft__parallel_block(bytes) : small;
    if (!scratch) return WEFT_ENOMEM;
    struct range all = {&s, base, scratch, n, false, false};
    int code = weft__parallel_call(&s.verdict, sort_range, &all);
    if (scratch != small) free(scratch);
    return code;
}

/* ---- With the comparison behind a pointer ---------------------------------------------------------------------------- */

struct comparison {
    int (*compare)(const void *a, const void *b, void *ctx);
    void *ctx;
};

static inline bool
comes_before(const void *a, const void *b, void *ctx)
{
    const struct comparison *c = ctx;
    return c->compare(a, b, c->ctx) < 0;
}

/* Elements as bytes, which may be at any address and belong to objects of any type. */
#define BYTES(n)                                                                                                       \
    struct bytes##n {                                                                                                  \
        unsigned char b[n];                                                                                            \
    } __attribute__((may_alias))

BYTES(1);
BYTES(2);
BYTES(4);
BYTES(8);
BYTES(16);
BYTES(24);
BYTES(32);

#define WEFT_SORT_NAME sort_1
#define WEFT_SORT_TYPE struct bytes1
#define WEFT_SORT_LESS comes_before
#include <weft/sort.h>

#define WEFT_SORT_NAME sort_2
#define WEFT_SORT_TYPE struct bytes2
#define WEFT_SORT_LESS comes_before
#include <weft/sort.h>

#define WEFT_SORT_NAME sort_4
#define WEFT_SORT_TYPE struct bytes4
#define WEFT_SORT_LESS comes_before
#include <weft/sort.h>

#define WEFT_SORT_NAME sort_8
#define WEFT_SORT_TYPE struct bytes8
#define WEFT_SORT_LESS comes_before
#include <weft/sort.h>

#define WEFT_SORT_NAME sort_16
#define WEFT_SORT_TYPE struct bytes16
#define WEFT_SORT_LESS comes_before
#include <weft/sort.h>

#define WEFT_SORT_NAME sort_24
#define WEFT_SORT_TYPE struct bytes24
#define WEFT_SORT_LESS comes_before
#include <weft/sort.h>

#define WEFT_SORT_NAME sort_32
#define WEFT_SORT_TYPE struct bytes32
#define WEFT_SORT_LESS comes_before
#include <weft/sort.h>

#define WEFT_SORT_NAME sort_addresses
#define WEFT_SORT_TYPE const void *
#define WEFT_SORT_LESS(a, b, ctx) comes_before(*(a), *(b), ctx)
#include <weft/sort.h>

/* Moves the elements of some places. */
struct moves {
    const void *const *from; /* NULL: one after the other, from `all` */
    const char *all;
    char *to;
    size_t size;
};

static int
move(size_t begin, size_t end, void *ctx)
{
    const struct moves *m = ctx;
    if (!m->from) memcpy(m->to + begin * m->size, m->all + begin * m->size, (end - begin) * m->size);
    else
        for (size_t i = begin; i < end; i++) memcpy(m->to + i * m->size, m->from[i], m->size);
    return 0;
}

/* By their addresses.  base is as it was until all else is done. */
static int
sort_by_address(void *base, size_t n, size_t size, struct comparison *c)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX) return WEFT_EINVAL;
    if (n > PTRDIFF_MAX / sizeof(void *)) return WEFT_ENOMEM;
    const void **addresses = (const void **)weft__parallel_block(n * sizeof(void *));
    char *sorted = weft__parallel_block(bytes);
    int code = addresses && sorted ? 0 : WEFT_ENOMEM;
    if (code == 0) {
        for (size_t i = 0; i < n; i++) addresses[i] = (const char *)base + i * size;
        code = sort_addresses(addresses, n, c);
    }
    struct moves out = {addresses, NULL, sorted, size}, back = {NULL, sorted, base, size};
    if (code == 0) code = weft_for(0, n, 0, move, &out);
    if (code == 0) (void)move(0, n, &back); /* all or nothing */
    free(addresses);
    free(sorted);
    return code;
}

int
weft_sort(void *base, size_t n, size_t size, int (*compare)(const void *a, const void *b, void *ctx), void *ctx)
{
    struct comparison c = {compare, ctx};
    if (!compare || size == 0 || (!base && n > 0)) return WEFT_EINVAL;
    switch (n > 0 ? size : 1) {
    case 1:
        return sort_1(base, n, &c);
    case 2:
        return sort_2(base, n, &c);
    case 4:
        return sort_4(base, n, &c);
    case 8:
        return sort_8(base, n, &c);
    case 16:
        return sort_16(base, n, &c);
    case 24:
        return sort_24(base, n, &c);
    case 32:
        return sort_32(base, n, &c);
    default:
        return sort_by_address(base, n, size, &c);
    }
}
