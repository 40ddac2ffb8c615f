/* stack.h - stacks: reserved in slabs, guarded below, touched lazily, pooled.  [layer 1]
 *
 * A stack is `size` bytes at `low`, with a guard below.  Struct stack lives outside of the stack's memory, and as long
 * as the slab: until weft__stack_fini. */
#ifndef WEFT_SRC_STACK_H
#define WEFT_SRC_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomic.h"

struct stack {
    struct stack *next;  /* in a cache or a list of the pool */
    char *low;           /* lowest usable address; the guard ends here */
    uint16_t size_class; /* see weft__stack_size */
    uint16_t
        colour; /* bytes to leave unused at the top, so that stacks do not alias in the cache: 64 * n, below 2 KiB */
    uint32_t valgrind;     /* what Valgrind knows it by; 0: it does not */
    _Atomic(void *) owner; /* free for the stack's user, for example who runs on it; read by the overflow handler */
};

/* A worker's own warm stacks of the default class, last in first out.  Zeroed: empty.  Used by one thread at a time. */
struct stack_cache {
    struct stack *head;
    uint32_t count;
};

/* Usable bytes of s. */
size_t weft__stack_size(const struct stack *s);

/* Sets what the default class reserves, guard included (rounded up to a power of two that leaves at least the minimum),
 * and probes how guards can be made.  Not while another thread uses stacks.
 * 0, or WEFT_EINVAL (below the minimum, or more than 4 GiB), WEFT_ENOMEM. */
int weft__stack_init(size_t default_size);

/* The smallest stack that can be asked for: 16 KiB and what a signal frame needs. */
size_t weft__stack_minimum(void);

/* A stack of at least size usable bytes: of the default class if that is enough, from the cache if that has one (cache
 * may be NULL).  owner is NULL.  NULL: no memory, or the kernel's limit on mappings was met and there is no other way
 * to guard it; says so once, naming the limits (vm.max_map_count).  errno is kept. */
struct stack *weft__stack_get(struct stack_cache *cache, size_t size);

/* Gives s back: to the cache if it is of the default class, else to the pool; a full cache gives its coldest half to
 * the pool.  owner becomes NULL. */
void weft__stack_put(struct stack_cache *cache, struct stack *s);

/* Gives all of the cache to the pool: a worker ends, or goes to sleep for long. */
void weft__stack_cache_flush(struct stack_cache *cache);

/* Gives memory of stacks back to the kernel that lay unused in the pool for 100 to 200 ms (longer if nobody calls), a
 * bounded number at a time; false: nothing left to do now.  Called by idle workers.  Giving back and touching again
 * costs about 6 us, so whatever the pattern of use, a stack loses less than a ten-thousandth of the time by it. */
bool weft__stack_trim(void);

/* When weft__stack_trim will have something to do: a reading of the clock, perhaps in the past; INT64_MAX: never. */
int64_t weft__stack_trim_next(void);

/* Unmaps everything.  No stack may be in use, or in a cache. */
void weft__stack_fini(void);

/* Calls visit on every stack whose owner is not NULL at that moment, without stopping anybody: stacks may change hands
 * meanwhile, but they do not go away. */
void weft__stack_each(void (*visit)(struct stack *s, void *arg), void *arg);

/* The stack in whose guard the address lies, or NULL.  Async-signal-safe. */
struct stack *weft__stack_guarded(const void *address);

/* Overflow (stack_overflow.c).  Installs a SIGSEGV and SIGBUS handler, which hands addresses outside of guards to
 * whatever was installed before.  In a guard: describe(owner, text, size) writes what ran on the stack for the message
 * (task "x"), async-signal-safely; it is not called for a stack without owner.  Then the process dies by the signal.
 * 0 or a negative code. */
int weft__stack_watch(void (*describe)(void *owner, char *text, size_t size));

/* Takes the handler away, unless somebody has put another one above it. */
void weft__stack_unwatch(void);

/* Gives the calling thread an alternate stack to handle that on, unless it has one that is large enough: 0 or
 * WEFT_ENOMEM. weft__stack_signals_leave, on the same thread, takes it away. */
int weft__stack_signals_enter(void **memory);
void weft__stack_signals_leave(void *memory);

/* The bytes that the kernel may need on a stack to deliver a signal: the more, the more registers there are. */
size_t weft__stack_signal_frame(void);

#endif
