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

/* Waits a little before the next look at a word that is locked, longer each time, as weft__lock_slow does. */
static inline void
weft__word_pause(int *pauses)
{
#if !defined(WEFT_MODEL) /* there one pause lasts until the word changes */
    enum { PAUSES_FIRST = 8, PAUSES_MOST = 512 };
    for (int i = 1; i < *pauses; i++) weft__pause();
    *pauses = *pauses ? 2 * *pauses : PAUSES_FIRST;
    if (*pauses > PAUSES_MOST) {
        sched_yield(); /* the holder may have lost its core */
        *pauses = PAUSES_FIRST;
    }
#else
    (void)pauses;
#endif
    weft__pause();
}

/* Locks the word and returns its state. */
static inline uint64_t
weft__word_lock(_Atomic uint64_t *word)
{
    for (int pauses = 0;; weft__word_pause(&pauses)) {
        uint64_t seen = load_relaxed(word); /* relaxed: the CAS decides */
        while (!(seen & WORD_LOCKED)) {
            /* acquire: pairs with weft__word_unlock, and with what changed the word without the lock */
            if (weft__likely(cas_acquire(word, &seen, seen | WORD_LOCKED))) return seen;
        }
    }
}

/* Unlocks the word, with a new state. */
static inline void
weft__word_unlock(_Atomic uint64_t *word, uint64_t state)
{
    store_release(word, state); /* pairs with weft__word_lock, and with who takes the state without the lock */
}

#endif
