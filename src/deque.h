/* deque.h - the work-stealing deque of a worker: the owner pushes and pops below, thieves steal above.  [layer 2]
 *
 * The essay is in deque.c. */
#ifndef WEFT_SRC_DEQUE_H
#define WEFT_SRC_DEQUE_H

#include "runnable.h"

/* Two words, read torn at worst by a thief that then fails (deque.c, "Slots"). */
struct deque_slot {
    _Atomic(struct runnable *) item;
    _Atomic uint64_t tag;
};

struct deque_array {
    int64_t mask;
    struct deque_array *older; /* retired, freed with the deque */
    struct deque_slot slots[];
};

struct deque {
    weft__aligned(WEFT_CACHE_LINE) _Atomic int64_t top;    /* next to steal; only grows */
    weft__aligned(WEFT_CACHE_LINE) _Atomic int64_t bottom; /* next to push; the owner's */
    _Atomic(struct deque_array *) array;
    int64_t room;  /* the owner's: bottom may grow to here without another look at top */
    int64_t stale; /* the owner's: at most so many stale entries are left; a hint */
    bool alone;    /* the owner's: there are no thieves, so no fences */
};

enum deque_result { DEQUE_EMPTY, DEQUE_LOST, DEQUE_ITEM };

/* Makes an empty deque; false: no memory.  alone: nobody will ever steal from it. */
bool weft__deque_init(struct deque *d, bool alone);
void weft__deque_fini(struct deque *d);

/* Owner: removes the lowest entry that is not stale, and drops stale ones on the way and right above it.  false: none. */
bool weft__deque_pop(struct deque *d, struct entry *out);

/* Owner of a deque from which nobody pops below: removes the oldest entry (stale or not).  false: none. */
bool weft__deque_take(struct deque *d, struct entry *out);

/* Anybody: removes the oldest entry (stale or not).  LOST: somebody else was faster, there may be more. */
enum deque_result weft__deque_steal(struct deque *d, struct entry *out);

/* The slow parts of what follows: makes room for an entry at index b; O3 to O6 where t is not below what is wanted. */
bool weft__deque_make_room(struct deque *d, int64_t b);
bool weft__deque_pop_last(struct deque *d, int64_t t, int64_t end, int64_t wanted);

static inline struct entry
weft__deque_read(const struct deque_array *a, int64_t i)
{
    const struct deque_slot *s = &a->slots[i & a->mask];
    /* relaxed: ordered by bottom (push) and validated by top (T5) */
    return (struct entry){load_relaxed(&s->item), load_relaxed(&s->tag)};
}

static inline void
weft__deque_write(struct deque_array *a, int64_t i, struct entry e)
{
    struct deque_slot *s = &a->slots[i & a->mask];
    store_relaxed(&s->item, e.item); /* relaxed: published by the release of bottom or of array */
    store_relaxed(&s->tag, e.tag);   /* as above */
}

static inline bool
weft__deque_stale(struct entry e)
{
    /* relaxed: only the owner makes entries stale that it has not popped yet; for thieves' claims the CAS decides */
    return load_relaxed(&e.item->ticket) != e.tag;
}

/* Owner: is there certainly room for another entry? */
static inline bool
weft__deque_has_room(const struct deque *d)
{
    return load_relaxed(&d->bottom) < d->room; /* relaxed: only the owner stores it */
}

/* Owner: appends below, where there is room.  *index receives the lower bits of the index, before anybody can see the entry:
 * a thief may have run the item, and freed it, by the time this returns. */
static inline void
weft__deque_append(struct deque *d, struct runnable *item, uint64_t tag, uint32_t *index)
{
    int64_t b = load_relaxed(&d->bottom); /* relaxed: only the owner stores it */
    *index = (uint32_t)b;
    weft__deque_write(load_relaxed(&d->array), b, (struct entry){item, tag}); /* relaxed: the owner's own store */
    store_release(&d->bottom, b + 1);                                         /* release: pairs with T3 */
}

/* Owner: the same, and makes room.  false: the deque is full and cannot grow; nothing was pushed. */
static inline bool
weft__deque_push(struct deque *d, struct runnable *item, uint64_t tag)
{
    uint32_t index;
    if (weft__unlikely(!weft__deque_has_room(d)) && !weft__deque_make_room(d, load_relaxed(&d->bottom))) return false;
    weft__deque_append(d, item, tag, &index);
    return true;
}

/* O1 to O6 for i, the index of the lowest entry, which is live and has no stale one above it. */
static inline bool
weft__deque_pop_at(struct deque *d, int64_t i)
{
    store_release(&d->bottom, i); /* O1: release, see "Slots" */
    if (d->alone) return true;
    weft__fence();                     /* O2: pairs with T2 [deque] */
    int64_t t = load_relaxed(&d->top); /* O3: relaxed, O2 orders it */
    return weft__likely(t < i) || weft__deque_pop_last(d, t, i + 1, i);
}

/* Owner: removes the entry at index (its lower bits), which is live, if it is the lowest and no stale one is above it.
 * false: use the others. */
static inline bool
weft__deque_pop_this(struct deque *d, uint32_t index)
{
    int64_t i = load_relaxed(&d->bottom) - 1; /* relaxed: only the owner stores it */
    if ((uint32_t)i != index) return false;
    if (weft__unlikely(d->stale > 0) && i > load_relaxed(&d->top) &&         /* relaxed: a lower bound will do */
        weft__deque_stale(weft__deque_read(load_relaxed(&d->array), i - 1))) /* relaxed: the owner's own store */
        return false;
    return weft__deque_pop_at(d, i);
}

/* Owner: as weft__deque_pop, quick where there are no stale entries. */
static inline bool
weft__deque_pop_lowest(struct deque *d, struct entry *out)
{
    int64_t i = load_relaxed(&d->bottom) - 1;    /* relaxed: only the owner stores it */
    if (i < load_relaxed(&d->top)) return false; /* relaxed: a lower bound will do */
    if (weft__unlikely(d->stale > 0)) return weft__deque_pop(d, out);
    *out = weft__deque_read(load_relaxed(&d->array), i); /* relaxed: the owner's own store */
    return weft__deque_pop_at(d, i);
}

/* Owner: may the entry at index be the lowest? */
static inline bool
weft__deque_at_bottom(const struct deque *d, uint32_t index)
{
    return (uint32_t)load_relaxed(&d->bottom) - 1 == index; /* relaxed: the owner's own store */
}

/* Owner: the index of the next push. */
static inline uint32_t
weft__deque_index(const struct deque *d)
{
    return (uint32_t)load_relaxed(&d->bottom); /* relaxed: the owner's own store */
}

/* Anybody: a guess at the number of entries. */
static inline int64_t
weft__deque_size(const struct deque *d)
{
    int64_t n = load_relaxed(&d->bottom) - load_relaxed(&d->top); /* hints; steal and pop decide */
    return n > 0 ? n : 0;
}

#endif
