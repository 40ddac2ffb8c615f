/* bits.h - small arithmetic and compiler attributes.  [layer 0] */
#ifndef WEFT_SRC_BITS_H
#define WEFT_SRC_BITS_H

#include <stddef.h>
#include <stdint.h>

#define weft__likely(x) __builtin_expect(!!(x), 1)
#define weft__unlikely(x) __builtin_expect(!!(x), 0)
#define weft__noinline __attribute__((noinline))
#define weft__cold __attribute__((noinline, cold))
#define weft__aligned(n) __attribute__((aligned(n)))
#define weft__countof(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of the given type that contains the member at p. */
#define weft__container(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

/* p, of which the compiler knows nothing any more: what a caller wrote there as another type is in memory, and is read as
 * ours. */
static inline void *
weft__opaque(const void *p)
{
    void *q = (void *)(uintptr_t)p;
    __asm__("" : "+r"(q) : : "memory");
    return q;
}

/* The smallest multiple of align, a power of two, that is not below n. */
static inline size_t
weft__round_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

#endif
