/* ring.h - elements of one size, first in, first out, in memory that can grow.  [layer 2] */
#ifndef WEFT_SRC_RING_H
#define WEFT_SRC_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ring {
    char *slots;
    size_t elem_size;
    size_t places; /* how many elements there is memory for */
    size_t first;  /* index of the oldest */
    size_t count;
};

/* Makes r hold at least `places` elements, places >= r->count; false: no memory, and r is as before. */
bool weft__ring_reserve(struct ring *r, size_t places);

/* Appends n elements, for which there is room; removes the n oldest, of which there are as many.  values NULL: drops them. */
void weft__ring_write(struct ring *r, const void *values, size_t n);
void weft__ring_read(struct ring *r, void *values, size_t n);

/* Copies one element; the common sizes as one move. */
static inline void
weft__ring_copy(void *to, const void *from, size_t size)
{
    if (size == sizeof(void *)) memcpy(to, from, sizeof(void *));
    else if (size == sizeof(int)) memcpy(to, from, sizeof(int));
    else if (size) memcpy(to, from, size);
}

/* The k-th of an array of elements; NULL if that is, or if elements have no size: then there is nothing to copy. */
static inline void *
weft__ring_element(const struct ring *r, const void *values, size_t k)
{
    return values && r->elem_size ? (char *)(uintptr_t)values + k * r->elem_size : NULL;
}

/* The index of the n-th element from the oldest; n <= places. */
static inline size_t
weft__ring_nth(const struct ring *r, size_t n)
{
    size_t i = r->first + n;
    return i >= r->places ? i - r->places : i;
}

static inline void *
weft__ring_oldest(const struct ring *r)
{
    return r->slots + r->first * r->elem_size;
}

static inline bool
weft__ring_has_room(const struct ring *r)
{
    return r->count < r->places;
}

/* The same as write and read of one. */
static inline void
weft__ring_put(struct ring *r, const void *value)
{
    weft__ring_copy(r->slots + weft__ring_nth(r, r->count) * r->elem_size, value, r->elem_size);
    r->count++;
}

static inline void
weft__ring_take(struct ring *r, void *value)
{
    if (value) weft__ring_copy(value, weft__ring_oldest(r), r->elem_size);
    r->first = weft__ring_nth(r, 1);
    r->count--;
}

#endif
