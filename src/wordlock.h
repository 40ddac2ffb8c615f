/* wordlock.h - a word whose lowest bit is a lock, and whose other bits are its object's state.  [layer 0]
 *
 * An object that is often used without anybody having to wait does it by one compare-and-swap of such a word; where that is
 * not enough, it locks the word.  While the lowest bit is set nobody but the holder changes the word: so every
 * compare-and-swap expects it clear.  Unlocking stores state and lock at once.  That store is the holder's last access to the
 * object: whoever sees the new state may free the object.  (A lock beside the state could not promise that: whoever sees the
 * state would still have to wait for the unlocking.)
 *
 * Held for a few loads and stores, as weft__lock. */
#ifndef WEFT_SRC_WORDLOCK_H
#define WEFT_SRC_WORDLOCK_H

#include "atomic.h"
#include "bits.h"

#include <sched.h>

enum { WORD_LOCKED = 1 };

/* One try; *seen is what the word was then. */
static inline bool
weft__word_trylock(_Atomic uint64_t *word, uint64_t *seen)
{
    *seen = load_relaxed(word); /* relaxed: the CAS decides */
    /* acquire: pairs with weft__word_unlock, and with what changed the word without the lock */
    return !(*seen & WORD_LOCKED) && cas_acquire(word, seen, *seen | WORD_LOCKED);
}

/* Locks the word and returns its state.  Backs off as weft__lock_slow does. */
static inline uint64_t
weft__word_lock(_Atomic uint64_t *word)
{
    enum { PAUSES_FIRST = 8, PAUSES_MOST = 512 };
    uint64_t seen;
    for (int pauses = PAUSES_FIRST; !weft__word_trylock(word, &seen); pauses *= 2) {
        if (pauses > PAUSES_MOST) {
            sched_yield(); /* the holder may have lost its core */
            pauses = PAUSES_FIRST;
        }
        for (int i = 0; i < pauses; i++) weft__pause();
    }
    return seen;
}

/* Unlocks the word, with a new state. */
static inline void
weft__word_unlock(_Atomic uint64_t *word, uint64_t state)
{
    store_release(word, state); /* pairs with weft__word_lock, and with who takes the state without the lock */
}

#endif
