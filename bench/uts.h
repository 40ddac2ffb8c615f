/* uts.h - the unbalanced trees that Weft and its peers search alike; and plain code that does so: the twin.
 *
 * Unbalanced Tree Search: Olivier, Huan, Liu, Prins, Dinan, Sadayappan, Tseng, LCPC 2006.  A node is a state of 160 bits.
 * From that follow how many children it has, and theirs: the state of child i is SHA-1(state of the parent, i).  So a
 * tree is what its parameters say, wherever it is searched, and nobody knows how large a part of it is before it has
 * been searched.  All that a node needs is kept as five words, so there are no bytes to be turned around. */
#ifndef UTS_H
#define UTS_H

#include "bench.h"

#include <math.h>

enum {
    UTS_MOST = 100, /* children of a node; below the root of a binomial tree, which has as many as it says */
    SHA1_WORDS = 5
};

struct uts_tree {
    double b0;     /* the expected number of children; binomial: that of the root, */
    double q;      /* binomial: with this probability a node has m children, else none; 0: a geometric tree */
    int m, limit;  /* geometric: at this depth there are no more children */
    uint32_t seed; /* of the root */
    uint32_t nodes, leaves, deepest; /* what is to be found */
};

/* T1 and T3 are trees that were published, with these counts.  The quick ones are of the same kinds; their counts come
 * from a program that shares no code with this one. */
static const struct uts_tree uts_t1 = {4, 0, 0, 10, 19, 4130071, 3305118, 10};
static const struct uts_tree uts_t1_quick = {4, 0, 0, 7, 19, 63914, 51124, 7};
static const struct uts_tree uts_t3 = {2000, 0.124875, 8, 0, 42, 4112897, 3599034, 1572};
static const struct uts_tree uts_t3_quick = {120, 0.124875, 8, 0, 31, 93505, 81831, 237};

/* The tree of this run; and where its search is, and what it has found below each node. */
static struct uts_tree uts_tree;

struct uts_node {
    uint32_t state[SHA1_WORDS];
    uint32_t depth;
    uint32_t nodes, leaves, deepest;
};

/* ---- SHA-1 of a message of at most 13 words ------------------------------------------------------------------------- */

static inline uint32_t
sha1_rotate(uint32_t x, int bits)
{
    return x << bits | x >> (32 - bits);
}

#define SHA1_CHOOSE(b, c, d) (d ^ (b & (c ^ d)))
#define SHA1_PARITY(b, c, d) (b ^ c ^ d)
#define SHA1_MAJORITY(b, c, d) ((b & c) | (d & (b | c)))

/* Word i of the schedule, of which the last 16 are kept. */
#define SHA1_WORD(i)                                                                                                   \
    ((i) < 16                                                                                                          \
         ? w[(i) % 16]                                                                                                 \
         : (w[(i) % 16] = sha1_rotate(w[((i) + 13) % 16] ^ w[((i) + 8) % 16] ^ w[((i) + 2) % 16] ^ w[(i) % 16], 1)))
#define SHA1_ROUND(function, constant, a, b, c, d, e, i)                                                               \
    e += sha1_rotate(a, 5) + function(b, c, d) + constant + SHA1_WORD(i);                                              \
    b = sha1_rotate(b, 30);

/* After five rounds the variables are back where they were.  All are written out: the schedule stays in registers. */
#define SHA1_5(function, constant, i)                                                                                  \
    SHA1_ROUND(function, constant, a, b, c, d, e, i)                                                                   \
    SHA1_ROUND(function, constant, e, a, b, c, d, (i) + 1)                                                             \
    SHA1_ROUND(function, constant, d, e, a, b, c, (i) + 2)                                                             \
    SHA1_ROUND(function, constant, c, d, e, a, b, (i) + 3)                                                             \
    SHA1_ROUND(function, constant, b, c, d, e, a, (i) + 4)
#define SHA1_20(function, constant, i)                                                                                 \
    SHA1_5(function, constant, i)                                                                                      \
    SHA1_5(function, constant, (i) + 5)                                                                                \
    SHA1_5(function, constant, (i) + 10)                                                                               \
    SHA1_5(function, constant, (i) + 15)

/* One copy in each program: the twin and the others run the same instructions. */
__attribute__((noinline)) static void
sha1(const uint32_t *message, int words, uint32_t hash[SHA1_WORDS])
{
    static const uint32_t start[SHA1_WORDS] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint32_t w[16] = {0}, a = start[0], b = start[1], c = start[2], d = start[3], e = start[4];
    for (int i = 0; i < words; i++) w[i] = message[i];
    w[words] = 0x80000000;
    w[15] = (uint32_t)words * 32;
    SHA1_20(SHA1_CHOOSE, 0x5a827999, 0)
    SHA1_20(SHA1_PARITY, 0x6ed9eba1, 20)
    SHA1_20(SHA1_MAJORITY, 0x8f1bbcdc, 40)
    SHA1_20(SHA1_PARITY, 0xca62c1d6, 60)
    hash[0] = start[0] + a;
    hash[1] = start[1] + b;
    hash[2] = start[2] + c;
    hash[3] = start[3] + d;
    hash[4] = start[4] + e;
}

/* ---- The tree ------------------------------------------------------------------------------------------------------ */

static inline void
uts_root(struct uts_node *n)
{
    uint32_t message[SHA1_WORDS] = {0, 0, 0, 0, uts_tree.seed};
    n->depth = 0;
    sha1(message, SHA1_WORDS, n->state);
}

static inline void
uts_child(const struct uts_node *n, int i, struct uts_node *child)
{
    uint32_t message[SHA1_WORDS + 1];
    memcpy(message, n->state, sizeof n->state);
    message[SHA1_WORDS] = (uint32_t)i;
    child->depth = n->depth + 1;
    sha1(message, SHA1_WORDS + 1, child->state);
}

/* How many children n has. */
__attribute__((noinline)) static int
uts_count(const struct uts_node *n)
{
    double uniform = (n->state[SHA1_WORDS - 1] & 0x7fffffff) / 2147483648.0;
    if (uts_tree.q > 0) return n->depth == 0 ? (int)uts_tree.b0 : uniform < uts_tree.q ? uts_tree.m : 0;
    double expected = n->depth < (uint32_t)uts_tree.limit ? uts_tree.b0 : 0;
    int count = (int)(log(1 - uniform) / log(1 - 1 / (1 + expected)));
    return count < UTS_MOST ? count : UTS_MOST;
}

/* Room for some of a type: in the frame of the caller, for all but the root of a binomial tree.  uts_leave gives it back. */
#define UTS_ROOM(count, type)                                                                                          \
    ((type *)((count) > UTS_MOST ? bench_alloc((size_t)(count), sizeof(type))                                          \
                                 : __builtin_alloca((size_t)(count) * sizeof(type))))

static inline void
uts_leave(int count, void *room)
{
    if (count > UTS_MOST) free(room);
}

/* n has no children. */
static inline int
uts_leaf(struct uts_node *n)
{
    n->nodes = n->leaves = 1;
    n->deepest = n->depth;
    return 0;
}

/* n has been searched, and so have its children. */
static inline void
uts_found(struct uts_node *n, const struct uts_node *children, int count)
{
    n->nodes = 1;
    n->leaves = 0;
    n->deepest = n->depth;
    for (int i = 0; i < count; i++) {
        n->nodes += children[i].nodes;
        n->leaves += children[i].leaves;
        if (n->deepest < children[i].deepest) n->deepest = children[i].deepest;
    }
}

__attribute__((noinline, unused)) static int
uts_serial(void *arg)
{
    struct uts_node *n = (struct uts_node *)arg;
    int count = uts_count(n);
    if (count == 0) return uts_leaf(n);
    struct uts_node *children = UTS_ROOM(count, struct uts_node);
    for (int i = 0; i < count; i++) {
        uts_child(n, i, &children[i]);
        if (uts_serial(&children[i]) < 0) return -1;
    }
    uts_found(n, children, count);
    uts_leave(count, children);
    return 0;
}

/* ---- Samples ------------------------------------------------------------------------------------------------------- */

static inline void
uts_sample(struct bench_sample *s, const struct uts_tree *tree, const struct uts_tree *quick, int (*fn)(void *))
{
    struct uts_node root;
    for (int warm = 1; warm >= 0; warm--) {
        uts_tree = warm || bench.quick ? *quick : *tree;
        uts_root(&root);
        int64_t begun = bench_now();
        if (fn(&root) < 0) bench_fail("the search failed");
        s->values[0] = bench_since(begun, uts_tree.nodes);
        bench_expect(root.nodes, uts_tree.nodes, "nodes");
        bench_expect(root.leaves, uts_tree.leaves, "leaves");
        bench_expect(root.deepest, uts_tree.deepest, "depth");
    }
}

static inline void
uts_t1_sample(struct bench_sample *s, int (*fn)(void *))
{
    uts_sample(s, &uts_t1, &uts_t1_quick, fn);
}

static inline void
uts_t3_sample(struct bench_sample *s, int (*fn)(void *))
{
    uts_sample(s, &uts_t3, &uts_t3_quick, fn);
}

static const struct bench_value uts_t1_values[] = {{"uts-t1", "ns", "node"}};
static const struct bench_value uts_t3_values[] = {{"uts-t3", "ns", "node"}};

#endif
