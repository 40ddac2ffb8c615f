/*
 * stack.c - the pool of stacks.  [layer 1]
 *
 * A slab is one mapping, cut into stacks of one size class, a power of two: guard below, the usable part above it.
 *
 *      slab   |guard| usable  <- top|guard| usable  <- top|guard| ...
 *
 * Slabs are reserved (MAP_NORESERVE), never accounted or touched before use, and kept until the end.  The first one of a class
 * is 16 MiB, later ones as large as all before them together, up to 256 MiB: a million stacks are a thousand mappings.  Where
 * so much is refused, half is asked for, down to a single stack.
 *
 * Guards.  MADV_GUARD_INSTALL (Linux 6.13) marks pages in the page tables and splits no mapping.  Where the kernel has it not,
 * or refuses (locked memory), mprotect: two mappings more per stack, so vm.max_map_count ends it near 32 000 stacks.  A stack
 * is handed out guarded or not at all.  A guard is made when its stack is first wanted, so a slab costs nothing until then.
 *
 * Lists.  A stack that nobody uses is in a worker's cache, or in the pool, in one list of its class:
 *
 *      WARM    was used, and put here since the last aging
 *      RESTED  was here already then
 *      OLD     has rested from one aging to the next: weft__stack_trim gives its memory back
 *      COLD    guarded, and without memory
 *      RAW     as the slab was mapped: without guard
 *
 * and stacks are taken from the first of these lists that has one.  Each list is last in, first out.
 *
 * The lock guards the lists.  It is never held over a system call: stacks that are being guarded or trimmed are in no list.
 * Slabs are published in a list that only grows, for the overflow handler, which can take no lock.
 *
 * Rejected.  A mapping for each stack: two mappings and 6.5 us each.  Guards for many stacks at once by process_madvise: 150 ns
 * instead of 180.  MADV_FREE instead of MADV_DONTNEED: cheaper to touch again, but the memory counts as used until the kernel
 * is short of it, so nobody sees that it was given back.
 */
#include "stack.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <weft/error.h>

#include "bits.h"
#include "clock.h"
#include "hook.h"
#include "panic.h"

#if defined(WEFT_ASAN)
#include <sanitizer/lsan_interface.h>
#endif

#if !defined(MADV_GUARD_INSTALL)
#define MADV_GUARD_INSTALL 102
#endif
#if !defined(AT_MINSIGSTKSZ)
#define AT_MINSIGSTKSZ 51
#endif

/* GUARD: bytes of a guard.  Compilers that probe large frames (-fstack-clash-protection) count on 64 KiB on aarch64.
 * SMALLEST: the smallest class is 2^SMALLEST bytes.  SIGNAL_FRAME: where the kernel does not say. */
#if defined(__aarch64__)
enum { GUARD = 64 * 1024, SMALLEST = 17, SIGNAL_FRAME = 5 * 1024 };
#else
enum { GUARD = 16 * 1024, SMALLEST = 16, SIGNAL_FRAME = 2 * 1024 };
#endif

enum {
#if defined(WEFT_HARD)
    CACHE = 4,
    BATCH = 2,
    FRESH = 2,
    TRIM = 2,
#else
    CACHE = 64, /* stacks that a worker keeps, */
    BATCH = 32, /* that move between it and the pool at a time, */
    FRESH = 8,  /* that are guarded at a time, */
    TRIM = 32,  /* that are trimmed at a time: no more than this many, or */
#endif
    TRIM_BYTES = 8 << 20,
    SLAB_LEAST = 16 << 20, /* bytes */
    SLAB_MOST = 256 << 20,
    SLAB_STACKS = 1024,
    COLOURS = 32, /* of 64 bytes each: that leaves half a page below for the first frames */
    LARGEST = 32, /* 2^32 bytes */
    CLASSES = LARGEST - SMALLEST + 1
};

static const int64_t age = 100 * 1000 * 1000; /* ns */

enum list { WARM, RESTED, OLD, COLD, RAW, LISTS };

struct slab {
    struct slab *older;
    char *base;
    size_t bytes;
    uint32_t size_class, count;
    struct stack stacks[];
};

static struct {
    weft__lock lock;
    /* lock must be held for these */
    struct stack *lists[CLASSES][LISTS];
    size_t stacks[CLASSES]; /* mapped, in and out of use */
    int64_t next_aging;     /* when WARM and RESTED move on; may be long past, if nobody trims */
    /* constant between weft__stack_init and weft__stack_fini */
    uint32_t default_class;
    bool markers; /* there is MADV_GUARD_INSTALL */
    /* written under the lock, read everywhere */
    _Atomic(struct slab *) slabs;
    _Atomic bool warned;
} pool;

/* ---- Sizes ---- */

static size_t
reserved(uint32_t size_class)
{
    return (size_t)1 << (size_class + SMALLEST);
}

static size_t
usable(uint32_t size_class)
{
    return reserved(size_class) - GUARD;
}

size_t
weft__stack_size(const struct stack *s)
{
    return usable(s->size_class);
}

size_t
weft__stack_signal_frame(void)
{
    int saved = errno;
    size_t told = getauxval(AT_MINSIGSTKSZ);
    errno = saved;
    return told > SIGNAL_FRAME ? told : SIGNAL_FRAME;
}

size_t
weft__stack_minimum(void)
{
    return 16 * 1024 + weft__stack_signal_frame();
}

/* The class for size usable bytes; CLASSES: there is none. */
static uint32_t
class_for(size_t size)
{
    uint32_t k = 0;
    while (k < CLASSES && usable(k) < size) k++;
    return k;
}

/* ---- System calls, which hard builds make fail ---- */

static bool
denied(void)
{
    if (!weft__hook_fail()) return false;
    errno = ENOMEM;
    return true;
}

static char *
map(size_t bytes)
{
    if (denied()) return NULL;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static bool
advise(char *p, size_t bytes, int advice)
{
    return !denied() && madvise(p, bytes, advice) == 0;
}

/* Makes the GUARD bytes at p inaccessible; false: errno says why. */
static bool
guard(char *p)
{
    if (pool.markers && advise(p, GUARD, MADV_GUARD_INSTALL)) return true;
    return !denied() && mprotect(p, GUARD, PROT_NONE) == 0;
}

/* Says once why there are no more stacks: errno is that of the step that failed. */
static weft__cold void
warn(const char *step)
{
    if (swap_acq_rel(&pool.warned, true)) return; /* nothing depends on it but the text */
    int error = errno;
    size_t count = 0;
    for (struct slab *slab = load_acquire(&pool.slabs); slab; slab = slab->older) /* acquire: pairs with publish */
        count += slab->count;
    weft__warn(
        "no further stack, with %zu reserved: %s: %s.  The limits are vm.max_map_count (the mappings of a process; "
        "before Linux 6.13 a guarded stack takes two), vm.overcommit_memory and RLIMIT_AS",
        count, step, strerror(error));
}

/* ---- Lists ---- */

/* Takes a chain of up to most stacks from a list. */
static struct stack *
pop(struct stack **list, uint32_t most, uint32_t *count)
{
    struct stack *first = *list, *last = NULL, *s = first;
    for (*count = 0; s && *count < most; s = s->next, ++*count) last = s;
    *list = s;
    if (last) last->next = NULL;
    return first;
}

static void
push(uint32_t size_class, enum list which, struct stack *first, struct stack *last)
{
    weft__acquire(&pool.lock);
    struct stack **list = &pool.lists[size_class][which];
    last->next = *list;
    *list = first;
    weft__unlock(&pool.lock);
}

/* Takes a chain of one list of the class, the warmest that has any; *which says which.  At most `fresh` if that is RAW. */
static struct stack *
take(uint32_t size_class, uint32_t most, uint32_t fresh, enum list *which, uint32_t *count)
{
    struct stack *first = NULL;
    *count = 0;
    weft__acquire(&pool.lock);
    for (int i = WARM; i < LISTS && !first; i++) {
        *which = (enum list)i;
        first = pop(&pool.lists[size_class][i], i == RAW ? fresh : most, count);
    }
    weft__unlock(&pool.lock);
    return first;
}

/* ---- Slabs ---- */

static void
cut(struct slab *slab)
{
    size_t size = reserved(slab->size_class);
    for (uint32_t i = 0; i < slab->count; i++) {
        struct stack *s = &slab->stacks[i];
        s->next = i + 1 < slab->count ? s + 1 : NULL;
        s->low = slab->base + i * size + GUARD;
        s->size_class = slab->size_class;
        s->colour = i % COLOURS * 64;
        store_relaxed(&s->owner, NULL); /* relaxed: published with the slab */
#if defined(WEFT_ASAN)
        __lsan_register_root_region(s->low, usable(s->size_class));
#endif
    }
}

static void
publish(struct slab *slab)
{
    weft__acquire(&pool.lock);
    struct stack **raw = &pool.lists[slab->size_class][RAW];
    slab->stacks[slab->count - 1].next = *raw;
    *raw = slab->stacks;
    pool.stacks[slab->size_class] += slab->count;
    slab->older = load_relaxed(&pool.slabs); /* relaxed: under the lock */
    store_release(&pool.slabs, slab);        /* pairs with all who walk the slabs */
    weft__unlock(&pool.lock);
}

static struct slab *
map_slab(uint32_t size_class, uint32_t count)
{
    struct slab *slab = denied() ? NULL : malloc(sizeof *slab + count * sizeof slab->stacks[0]);
    if (!slab) return NULL;
    *slab = (struct slab){.bytes = count * reserved(size_class), .size_class = size_class, .count = count};
    slab->base = map(slab->bytes);
    /* One huge page under a stack would cost what 500 stacks do.  EINVAL: the kernel has none. */
    if (slab->base && (advise(slab->base, slab->bytes, MADV_NOHUGEPAGE) || errno == EINVAL)) return slab;
    int error = errno;
    if (slab->base) munmap(slab->base, slab->bytes);
    free(slab);
    errno = error;
    return NULL;
}

/* Maps more stacks of the class; false: not even one. */
static bool
grow(uint32_t size_class)
{
    weft__acquire(&pool.lock);
    size_t bytes = pool.stacks[size_class] * reserved(size_class);
    weft__unlock(&pool.lock);
    bytes = bytes < SLAB_LEAST ? SLAB_LEAST : bytes > SLAB_MOST ? SLAB_MOST : bytes;
    size_t count = bytes / reserved(size_class);
    count = count < 1 ? 1 : count > SLAB_STACKS ? SLAB_STACKS : count;
    for (; count > 0; count /= 2) {
        struct slab *slab = map_slab(size_class, (uint32_t)count);
        if (!slab) continue;
        cut(slab);
        publish(slab);
        return true;
    }
    return false;
}

/* ---- Getting and putting ---- */

/* Guards a chain from RAW; what cannot be guarded goes back there.  Returns what was guarded, perhaps nothing. */
static struct stack *
guard_chain(struct stack *first, uint32_t *count)
{
    struct stack *good = NULL, *s = first;
    *count = 0;
    while (s && guard(s->low - GUARD)) {
        struct stack *next = s->next;
        s->next = good;
        good = s;
        s = next;
        ++*count;
    }
    if (!s) return good;
    int error = errno;
    struct stack *last = s;
    while (last->next) last = last->next;
    push(s->size_class, RAW, s, last);
    errno = error;
    return good;
}

/* Gets a stack from the pool, and more for the cache. */
static weft__noinline struct stack *
get_from_pool(struct stack_cache *cache, uint32_t size_class)
{
    struct stack *chain;
    uint32_t count;
    enum list which;
    bool alone = !cache || size_class != pool.default_class;
    while (!(chain = take(size_class, alone ? 1 : BATCH, alone ? 1 : FRESH, &which, &count))) {
        if (grow(size_class)) continue;
        warn("no memory can be reserved");
        return NULL;
    }
    if (which == RAW) chain = guard_chain(chain, &count);
    if (!chain) {
        warn("a stack cannot be guarded");
        return NULL;
    }
    if (!alone) {
        cache->head = chain->next;
        cache->count = count - 1;
    }
    return chain;
}

struct stack *
weft__stack_get(struct stack_cache *cache, size_t size)
{
    uint32_t k = pool.default_class;
    if (weft__unlikely(size > usable(k))) k = class_for(size);
    else if (cache && cache->head) {
        struct stack *s = cache->head;
        cache->head = s->next;
        cache->count--;
        return s;
    }
    if (k == CLASSES) return NULL;
    int saved = errno;
    struct stack *s = get_from_pool(cache, k);
    errno = saved;
    return s;
}

/* Gives the coldest stacks of the cache, all but `keep`, to the pool. */
static void
spill(struct stack_cache *cache, uint32_t keep)
{
    struct stack **end = &cache->head;
    for (uint32_t i = 0; i < keep; i++) end = &(*end)->next;
    struct stack *first = *end, *last = first;
    if (!first) return;
    while (last->next) last = last->next;
    *end = NULL;
    cache->count = keep;
    push(first->size_class, WARM, first, last);
}

void
weft__stack_put(struct stack_cache *cache, struct stack *s)
{
    store_relaxed(&s->owner, NULL); /* relaxed: who is visiting meanwhile may see either */
    if (!cache || s->size_class != pool.default_class) {
        push(s->size_class, WARM, s, s);
        return;
    }
    if (cache->count >= CACHE) spill(cache, CACHE - BATCH);
    s->next = cache->head;
    cache->head = s;
    cache->count++;
}

void
weft__stack_cache_flush(struct stack_cache *cache)
{
    spill(cache, 0);
}

/* ---- Giving memory back ---- */

/* OLD that is not yet trimmed holds up its class: the others only rest the longer. */
static void
grow_older(int64_t now)
{
    if (now < pool.next_aging) return;
    pool.next_aging = now + age;
    for (int k = 0; k < CLASSES; k++) {
        struct stack **lists = pool.lists[k];
        if (lists[OLD]) continue;
        lists[OLD] = lists[RESTED];
        lists[RESTED] = lists[WARM];
        lists[WARM] = NULL;
    }
}

static bool
any(enum list which)
{
    for (int k = 0; k < CLASSES; k++) {
        if (pool.lists[k][which]) return true;
    }
    return false;
}

/* Some old stacks, all of one class. */
static struct stack *
take_old(bool *more)
{
    struct stack *first = NULL;
    uint32_t count;
    weft__acquire(&pool.lock);
    grow_older(weft__clock_now());
    for (uint32_t k = 0; k < CLASSES && !first; k++) {
        size_t most = TRIM_BYTES / reserved(k);
        first = pop(&pool.lists[k][OLD], most > TRIM ? TRIM : most > 0 ? (uint32_t)most : 1, &count);
    }
    *more = any(OLD);
    weft__unlock(&pool.lock);
    return first;
}

bool
weft__stack_trim(void)
{
    bool more;
    struct stack *first = take_old(&more), *last = first;
    if (!first) return false;
    int saved = errno;
    for (struct stack *s = first; s; s = s->next) {
        advise(s->low, usable(s->size_class), MADV_DONTNEED); /* fails in locked memory, which stays */
        last = s;
    }
    errno = saved;
    push(first->size_class, COLD, first, last);
    return more;
}

int64_t
weft__stack_trim_next(void)
{
    weft__acquire(&pool.lock);
    int64_t next = any(OLD) ? 1 : any(RESTED) || any(WARM) ? pool.next_aging : INT64_MAX;
    weft__unlock(&pool.lock);
    return next;
}

/* ---- All stacks ---- */

void
weft__stack_each(void (*visit)(struct stack *s, void *arg), void *arg)
{
    for (struct slab *slab = load_acquire(&pool.slabs); slab; slab = slab->older) { /* acquire: pairs with publish */
        for (uint32_t i = 0; i < slab->count; i++) {
            if (load_relaxed(&slab->stacks[i].owner)) visit(&slab->stacks[i], arg); /* relaxed: visit looks itself */
        }
    }
}

/* What overruns the top of a stack hits the guard of the next one, and is taken for an overflow of that one. */
struct stack *
weft__stack_guarded(const void *address)
{
    for (struct slab *slab = load_acquire(&pool.slabs); slab; slab = slab->older) { /* acquire: pairs with publish */
        size_t offset = (uintptr_t)address - (uintptr_t)slab->base;
        if (offset >= slab->bytes) continue;
        size_t size = reserved(slab->size_class);
        return offset % size < GUARD ? &slab->stacks[offset / size] : NULL;
    }
    return NULL;
}

/* ---- Beginning and end ---- */

/* Whether MADV_GUARD_INSTALL does what it says: emulators are known to accept advice that they do not know.  A system call
 * that reads the guard tells, without a signal. */
static int
probe_markers(bool *markers)
{
    char *p = map(GUARD);
    if (!p) return WEFT_ENOMEM;
    *markers = advise(p, GUARD, MADV_GUARD_INSTALL) && access(p, F_OK) != 0 && errno == EFAULT;
    munmap(p, GUARD);
    return 0;
}

int
weft__stack_init(size_t default_size)
{
    if (default_size < weft__stack_minimum() || default_size > reserved(CLASSES - 1)) return WEFT_EINVAL;
    int saved = errno;
    int code = probe_markers(&pool.markers);
    errno = saved;
    if (code) return code;
    uint32_t k = class_for(weft__stack_minimum());
    while (reserved(k) < default_size) k++;
    pool.default_class = k;
    store_relaxed(&pool.warned, false); /* relaxed: nobody uses stacks yet */
    return 0;
}

static void
unmap_slab(struct slab *slab)
{
#if defined(WEFT_ASAN)
    for (uint32_t i = 0; i < slab->count; i++)
        __lsan_unregister_root_region(slab->stacks[i].low, usable(slab->size_class));
#endif
    munmap(slab->base, slab->bytes);
    free(slab);
}

void
weft__stack_fini(void)
{
    int saved = errno;
    struct slab *slab = load_relaxed(&pool.slabs); /* relaxed: nobody uses stacks any more */
    store_relaxed(&pool.slabs, NULL);
    memset(pool.lists, 0, sizeof pool.lists);
    memset(pool.stacks, 0, sizeof pool.stacks);
    pool.next_aging = 0;
    while (slab) {
        struct slab *older = slab->older;
        unmap_slab(slab);
        slab = older;
    }
    errno = saved;
}
