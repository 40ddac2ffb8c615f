/*
 * parallel_reduce.c - weft_reduce: one tree of combinations, whoever evaluates which part of it.  [layer 6]
 *
 * The range is cut into leaves of `grain` iterations, counted from its begin; grain 0 makes at most LEAVES of them,
 * from the length alone.  A node of n leaves combines its first n / 2 with the others.  So the tree, and every bit of
 * a floating-point result, depends on the range and the grain only.  How many workers there are decides who evaluates
 * which node:
 *
 *   - a node of at least `share` leaves forks, which makes about SHARES parts for each worker: thieves find large ones;
 *   - a smaller one forks where the worker is hungry, that is, if its deque holds nothing that a thief could take;
 *   - all others evaluate left, then right, then combine, as a plain recursion.
 *
 * Accumulators.  A node gets the place of its result, and needs one more on its way: for the right half, while the
 * left half's is already in place.  Up to SMALL bytes it is in the frame of the recursion.  Larger ones come from
 * `spare`, a block with one place for each level below the node: the left half is done with it when the right half
 * begins.  A right half that is forked may run at the same time, so it has a block of its own, which its node
 * allocates; if there is no memory, the node does not fork.  So only the block of the whole call can fail it.
 *
 * What a thief writes while it maps is never in a cache line that the victim writes: small accumulators are in the
 * thief's own frame and copied when they are complete, and blocks begin at a cache line.  Places are aligned to
 * BLOCK_ALIGN if the size of an accumulator is a multiple of that, and otherwise as for malloc, or as the size allows:
 * enough for any type of this size.
 *
 * Failures are as in parallel_for.c.  After one, results are not combined any more, and nobody reads them.
 *
 * Rejected.  Adding leaf after leaf to one accumulator wherever a worker has several in a row: the bits depend on the
 * thieves. A tree of all accumulators, allocated at once: at 100 KB each, 25 MB for a sum of 256 leaves that one
 * worker evaluates in 9.
 */
#include "parallel.h"

#include "bits.h"
#include "scheduler.h"

#include <stdlib.h>
#include <string.h>

enum {
    LEAVES = 256,     /* where the grain is up to us */
    SHARES = 8,       /* for each worker */
    SMALL = 128,      /* bytes of an accumulator that is kept in a frame */
    BLOCK_ALIGN = 64, /* of a block, in bytes, and of a small accumulator; a multiple of a cache line */
    PLACE_ALIGN = 16  /* of any place */
};

struct reduction {
    const weft_reduction *how;
    void *ctx;
    size_t begin, end;
    size_t grain;
    size_t stride; /* from one place of a block to the next, in bytes; 0: accumulators are small */
    size_t share;  /* leaves */
    struct verdict verdict;
    void *result;
};

/* The leaves first .. first + leaves - 1 of r, to be reduced to *acc.  spare: as many places as there are levels below;
 * NULL: accumulators are small. */
struct node {
    struct reduction *r;
    size_t first, leaves;
    unsigned char *acc, *spare;
};

static size_t
index_of(const struct reduction *r, size_t leaf)
{
    return r->begin + leaf * r->grain;
}

/* The most combinations on a way from the root to a leaf: log2, rounded up. */
static size_t
levels_of(size_t leaves)
{
    return leaves > 1 ? 64 - (size_t)__builtin_clzll((unsigned long long)leaves - 1) : 0;
}

/* Accumulators of a machine word are common enough to be spared the call. */
static inline void
copy(void *to, const void *from, size_t size)
{
    if (size == sizeof(uint64_t)) memcpy(to, from, sizeof(uint64_t));
    else memcpy(to, from, size);
}

/* A block of n places; NULL: no memory. */
static unsigned char *
block_new(const struct reduction *r, size_t n)
{
    size_t bytes;
    return __builtin_mul_overflow(r->stride, n, &bytes) ? NULL : weft__parallel_block(bytes);
}

static void
map_leaf(const struct node *n)
{
    struct reduction *r = n->r;
    size_t begin = index_of(r, n->first);
    size_t end = r->end - begin > r->grain ? begin + r->grain : r->end;
    copy(n->acc, r->how->identity, r->how->size);
    int code = r->how->map(begin, end, n->acc, r->ctx);
    if (weft__unlikely(code < 0)) weft__verdict_fail(&r->verdict, begin, code);
}

static void evaluate(const struct node *n);

static int
evaluate_left(void *arg)
{
    evaluate(arg);
    return 0;
}

/* A right half that was forked: a small accumulator goes out when it is complete. */
static int
evaluate_right(void *arg)
{
    struct node n = *(struct node *)arg;
    _Alignas(BLOCK_ALIGN) unsigned char small[SMALL];
    unsigned char *out = n.acc;
    if (!n.r->stride) n.acc = small;
    evaluate(&n);
    if (!n.r->stride) copy(out, small, n.r->how->size);
    return 0;
}

/* Evaluates both halves, perhaps at the same time.  False: there was no reason to fork, or no memory, and nothing was
 * done. *block is what right->acc is in, or NULL. */
static bool
fork_halves(struct node *left, struct node *right, unsigned char **block)
{
    struct reduction *r = left->r;
    if (left->leaves + right->leaves < r->share && !weft__sched_hungry()) return false;
    if (r->stride) {
        *block = block_new(r, 1 + levels_of(right->leaves));
        if (!*block) return false;
        right->acc = *block;
        right->spare = *block + r->stride;
    }
    weft__parallel_fork(&r->verdict, index_of(r, left->first), evaluate_left, left, evaluate_right, right);
    return true;
}

static void
evaluate(const struct node *n)
{
    struct reduction *r = n->r;
    if (weft__verdict_reached(&r->verdict, index_of(r, n->first))) return;
    if (n->leaves == 1) {
        map_leaf(n);
        return;
    }
    _Alignas(BLOCK_ALIGN) unsigned char small[SMALL];
    unsigned char *block = NULL;
    struct node left = {r, n->first, n->leaves / 2, n->acc, n->spare};
    struct node right = {r, n->first + left.leaves, n->leaves - left.leaves, small, NULL};
    if (r->stride) {
        right.acc = n->spare;
        right.spare = n->spare + r->stride;
    }
    if (!fork_halves(&left, &right, &block)) {
        evaluate(&left);
        evaluate(&right);
    }
    /* relaxed: a failure in a half was seen by that half, or its join has brought it */
    if (weft__likely(!load_relaxed(&r->verdict.failed))) r->how->combine(n->acc, right.acc, r->ctx);
    free(block);
}

/* The whole call. */
static int
evaluate_all(void *arg)
{
    struct node all = *(struct node *)arg;
    struct reduction *r = all.r;
    _Alignas(BLOCK_ALIGN) unsigned char small[SMALL];
    unsigned char *block = NULL;
    all.acc = small;
    if (r->stride) {
        block = block_new(r, 1 + levels_of(all.leaves));
        if (!block) {
            weft__verdict_fail(&r->verdict, r->begin, WEFT_ENOMEM);
            return 0;
        }
        all.acc = block;
        all.spare = block + r->stride;
    }
    evaluate(&all);
    if (!load_relaxed(&r->verdict.failed)) copy(r->result, all.acc, r->how->size); /* relaxed: all has been joined */
    free(block);
    return 0;
}

static int
copy_identity(void *arg)
{
    const struct node *all = arg;
    copy(all->r->result, all->r->how->identity, all->r->how->size);
    return 0;
}

/* The fewest leaves of a node that forks without being hungry; every node of two does if there are few in all. */
static size_t
choose_share(size_t leaves, size_t workers)
{
    if (workers == 1) return SIZE_MAX;
    size_t share = leaves / (workers * SHARES);
    return share < 2 ? 2 : share;
}

int
weft_reduce(size_t begin, size_t end, size_t grain, const weft_reduction *how, void *ctx, void *result)
{
    if (begin > end || !how || !result) return WEFT_EINVAL;
    if (how->size == 0 || !how->identity || !how->map || !how->combine) return WEFT_EINVAL;
    if (how->size > PTRDIFF_MAX) return WEFT_ENOMEM;
    int workers = weft_nworkers();
    if (workers < 0) return workers;
    size_t length = end - begin;
    if (grain == 0) grain = length > LEAVES ? (length - 1) / LEAVES + 1 : 1;
    size_t leaves = length > 0 ? (length - 1) / grain + 1 : 0;
    struct reduction r = {.how = how, .ctx = ctx, .begin = begin, .end = end, .grain = grain, .result = result};
    r.stride = how->size > SMALL ? weft__round_up(how->size, PLACE_ALIGN) : 0;
    r.share = choose_share(leaves, (size_t)workers);
    struct node all = {&r, 0, leaves, NULL, NULL};
    return weft__parallel_call(&r.verdict, leaves > 0 ? evaluate_all : copy_identity, &all);
}
