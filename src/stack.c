/*
 * stack.c - the pool of stacks.  [layer 1]
 *
 * A stack that nobody uses is in a worker's cache, or in the pool, in one list of its class:
 *
 *      WARM    was used, and put here since the last aging
 *      RESTED  was here already then
 *      OLD     has rested from one aging to the next: weft__stack_trim gives its memory back
 *      COLD    guarded, and without memory
 *      RAW     as it was mapped: without guard
 *
 * and stacks are taken from the first of these lists that has one.  Each list is last in, first out.  A guard is made
 * when its stack is first wanted, so a slab costs nothing until then.
 *
 * The lock guards the lists.  It is never held over a system call: stacks that are being guarded or trimmed are in no
 * list.
 * What moves between a cache and the pool moves in batches, so the lock is taken once for many stacks.
 */
#include "stack.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

#include <weft/error.h>

#include "bits.h"
#include "clock.h"
#include "hook.h"
#include "panic.h"
#include "stack_slab.h"

#if !defined(AT_MINSIGSTKSZ)
#define AT_MINSIGSTKSZ 51
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
    TRIM_BYTES = 8 << 20
};

static const int64_t age = 100 * 1000 * 1000; /* ns */

enum list { WARM, RESTED, OLD, COLD, RAW, LISTS };

static struct {
    weft__lock lock;
    /* lock must be held for these */
    struct stack *lists[STACK_CLASSES][LISTS];
    size_t mapped[STACK_CLASSES]; /* stacks, in and out of use */
    int64_t next_aging;           /* when WARM and RESTED move on; may be long past, if nobody trims */
    /* constant between weft__stack_init and weft__stack_fini */
    uint32_t default_class;
    /* anybody's */
    _Atomic uint32_t warned; /* a word: some processors exchange no bytes, and would need libatomic */
} pool;

/* ---- Sizes ---- */

size_t
weft__stack_size(const struct stack *s)
{
    return weft__slab_usable(s->size_class);
}

size_t
weft__stack_signal_frame(void)
{
#if defined(__aarch64__)
    const size_t least = 5 * 1024;
#else
    const size_t least = 2 * 1024;
#endif
    int saved = errno;
    size_t told = getauxval(AT_MINSIGSTKSZ); /* 0: the kernel does not say */
    errno = saved;
    return told > least ? told : least;
}

size_t
weft__stack_minimum(void)
{
    return 16 * 1024 + weft__stack_signal_frame();
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
push(enum list which, struct stack *first, struct stack *last)
{
    weft__acquire(&pool.lock);
    struct stack **list = &pool.lists[first->size_class][which];
    last->next = *list;
    *list = first;
    weft__unlock(&pool.lock);
}

/* Takes a chain of one list of the class, the warmest that has any, and says which; at most `fresh` if that is RAW. */
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

/* ---- Getting ---- */

/* Maps more stacks of the class; false: not even one. */
static bool
grow(uint32_t size_class)
{
    size_t count;
    struct stack *last;
    weft__acquire(&pool.lock);
    size_t have = pool.mapped[size_class];
    weft__unlock(&pool.lock);
    struct stack *first = weft__slab_map(size_class, have, &last, &count);
    if (!first) return false;
    push(RAW, first, last);
    weft__acquire(&pool.lock);
    pool.mapped[size_class] += count;
    weft__unlock(&pool.lock);
    return true;
}

/* Guards a chain from RAW; what cannot be guarded goes back there.  Returns what was guarded, perhaps nothing. */
static struct stack *
guard(struct stack *first, uint32_t *count)
{
    struct stack *good = NULL, *s = first;
    *count = 0;
    while (s && weft__slab_guard(s)) {
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
    push(RAW, s, last);
    errno = error;
    return good;
}

/* Says once why there are no more stacks: errno is that of the step that failed. */
static weft__cold void
warn(const char *step)
{
    int error = errno;
    if (swap_acq_rel(&pool.warned, 1)) return; /* nothing depends on it but the text */
    weft__warn(
        "no further stack, with %zu reserved: %s: %s.  The limits are vm.max_map_count (the mappings of a process; "
        "before Linux 6.13 a guarded stack takes two), vm.overcommit_memory and RLIMIT_AS",
        weft__slab_count(), step, strerror(error));
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
    if (which == RAW) chain = guard(chain, &count);
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
    if (weft__unlikely(size > weft__slab_usable(k))) k = weft__slab_class(size);
    else if (cache && cache->head) {
        struct stack *s = cache->head;
        cache->head = s->next;
        cache->count--;
        return s;
    }
    if (k == STACK_CLASSES || weft__hook_fail()) return NULL;
    int saved = errno;
    struct stack *s = get_from_pool(cache, k);
    errno = saved;
    return s;
}

/* ---- Putting ---- */

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
    push(WARM, first, last);
}

void
weft__stack_put(struct stack_cache *cache, struct stack *s)
{
    store_relaxed(&s->owner, NULL); /* relaxed: who is visiting meanwhile may see either */
    if (!cache || s->size_class != pool.default_class) {
        push(WARM, s, s);
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
    for (int k = 0; k < STACK_CLASSES; k++) {
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
    for (int k = 0; k < STACK_CLASSES; k++) {
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
    int64_t now = weft__clock_now();
    weft__acquire(&pool.lock);
    grow_older(now);
    for (uint32_t k = 0; k < STACK_CLASSES && !first; k++) {
        size_t most = TRIM_BYTES / weft__slab_reserved(k);
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
        weft__slab_clean(s);
        last = s;
    }
    errno = saved;
    push(COLD, first, last);
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

/* ---- Beginning and end ---- */

int
weft__stack_init(size_t default_size)
{
    uint32_t k = weft__slab_class(weft__stack_minimum());
    if (default_size < weft__stack_minimum() || default_size > weft__slab_reserved(STACK_CLASSES - 1))
        return WEFT_EINVAL;
    int code = weft__slab_probe();
    if (code) return code;
    while (weft__slab_reserved(k) < default_size) k++;
    pool.default_class = k;
    store_relaxed(&pool.warned, 0); /* relaxed: nobody uses stacks yet */
    return 0;
}

void
weft__stack_fini(void)
{
    weft__slab_unmap_all();
    memset(pool.lists, 0, sizeof pool.lists);
    memset(pool.mapped, 0, sizeof pool.mapped);
    pool.next_aging = 0;
}
