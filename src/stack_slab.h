/* stack_slab.h - where stacks come from: memory mapped in slabs, cut into stacks, guarded.  [layer 1]
 *
 * For stack.c, which pools what it gets here.  Everything may be called by any thread at any time, except as noted. */
#ifndef WEFT_SRC_STACK_SLAB_H
#define WEFT_SRC_STACK_SLAB_H

#include "stack.h"

/* GUARD: bytes of a guard.  Compilers that probe large frames (-fstack-clash-protection) count on 64 KiB on aarch64.
 * SMALLEST: the smallest class is 2^SMALLEST bytes. */
#if defined(__aarch64__)
enum { STACK_GUARD = 64 * 1024, STACK_SMALLEST = 17 };
#else
enum { STACK_GUARD = 16 * 1024, STACK_SMALLEST = 16 };
#endif
enum { STACK_LARGEST = 32, STACK_CLASSES = STACK_LARGEST - STACK_SMALLEST + 1 };

/* What a stack of the class takes, and how much of it can be used. */
static inline size_t
weft__slab_reserved(uint32_t size_class)
{
    return (size_t)1 << (size_class + STACK_SMALLEST);
}

static inline size_t
weft__slab_usable(uint32_t size_class)
{
    return weft__slab_reserved(size_class) - STACK_GUARD;
}

/* The class for size usable bytes; STACK_CLASSES: there is none. */
uint32_t weft__slab_class(size_t size);

/* Finds out how guards can be made: 0, or WEFT_ENOMEM.  Before anything else. */
int weft__slab_probe(void);

/* Maps stacks of the class, `have` of which there are already: a chain of them without guards, and its end.
 * NULL: not even one; errno says why. */
struct stack *weft__slab_map(uint32_t size_class, size_t have, struct stack **last, size_t *count);

/* Guards s; false: errno says why. */
bool weft__slab_guard(struct stack *s);

/* Gives the memory of s, which is not in use, back to the kernel. */
void weft__slab_clean(struct stack *s);

/* Stacks mapped so far. */
size_t weft__slab_count(void);

/* Unmaps all.  Nobody may hold a stack. */
void weft__slab_unmap_all(void);

#endif
