/* ring.c - elements of one size, first in, first out.  [layer 2] */
#include "ring.h"

#include "hook.h"

#include <stdlib.h>

void
weft__ring_write(struct ring *r, const void *values, size_t n)
{
    size_t at = weft__ring_nth(r, r->count), straight = r->places - at < n ? r->places - at : n;
    if (r->elem_size && n > 0) {
        memcpy(r->slots + at * r->elem_size, values, straight * r->elem_size);
        if (n > straight) memcpy(r->slots, weft__ring_element(r, values, straight), (n - straight) * r->elem_size);
    }
    r->count += n;
}

void
weft__ring_read(struct ring *r, void *values, size_t n)
{
    size_t straight = r->places - r->first < n ? r->places - r->first : n;
    if (values && r->elem_size && n > 0) {
        memcpy(values, weft__ring_oldest(r), straight * r->elem_size);
        if (n > straight) memcpy(weft__ring_element(r, values, straight), r->slots, (n - straight) * r->elem_size);
    }
    r->first = weft__ring_nth(r, n);
    r->count -= n;
}

bool
weft__ring_reserve(struct ring *r, size_t places)
{
    size_t size, count = r->count;
    if (weft__hook_fail() || __builtin_mul_overflow(places, r->elem_size, &size)) return false;
    char *slots = malloc(size ? size : 1);
    if (!slots) return false;
    if (count > 0) weft__ring_read(r, slots, count);
    free(r->slots);
    *r = (struct ring){.slots = slots, .elem_size = r->elem_size, .places = places, .count = count};
    return true;
}
