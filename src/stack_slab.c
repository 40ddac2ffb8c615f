/*
 * stack_slab.c - where stacks come from: memory mapped in slabs, cut into stacks, guarded.  [layer 1]
 *
 * A slab is one mapping, cut into stacks of one size class, a power of two: guard below, the usable part above it.
 *
 *      slab   |guard| usable  <- top|guard| usable  <- top|guard| ...
 *
 * Slabs are reserved (MAP_NORESERVE), not touched, and kept until the end.  The first one of a class is 16 MiB, later
 * ones as large as all before them together, up to 256 MiB: a million stacks are a thousand slabs, which the kernel
 * merges into fewer mappings.  Where so much is refused, half is asked for, down to a single stack.
 *
 * Guards.  MADV_GUARD_INSTALL (Linux 6.13) marks pages in the page tables and splits no mapping.  Where the kernel has
 * it not, or refuses (locked memory), mprotect: two mappings more per stack, so vm.max_map_count ends it near 32 000
 * stacks.  A stack is handed out guarded or not at all.
 *
 * Published.  The list of slabs only grows, and a slab in it does not change, so that the overflow handler and visitors
 * walk it without a lock.
 *
 * Rejected.  A mapping for each stack: two mappings and 6.5 us each.  Guards for many stacks at once by
 * process_madvise: 150 ns instead of 180.  MADV_FREE instead of MADV_DONTNEED: cheaper to touch again, but the memory
 * counts as used until the kernel is short of it, so nobody sees that it was given back.
 */
#include "stack_slab.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <weft/error.h>

#include "arch/valgrind.h"
#include "hook.h"

#if defined(WEFT_ASAN)
#include <sanitizer/lsan_interface.h>
#endif

#if !defined(MADV_GUARD_INSTALL)
#define MADV_GUARD_INSTALL 102
#endif

enum {
    SLAB_LEAST = 16 << 20, /* bytes */
    SLAB_MOST = 256 << 20,
    SLAB_STACKS = 1024,
    COLOURS = 32 /* of 64 bytes each: that leaves half a page below for the first frames */
};

struct slab {
    struct slab *older;
    char *base;
    size_t bytes;
    uint32_t size_class, count;
    struct stack stacks[];
};

static _Atomic(struct slab *) slabs;

/* There is MADV_GUARD_INSTALL.  Constant once stacks are in use. */
static bool markers;

uint32_t
weft__slab_class(size_t size)
{
    uint32_t k = 0;
    while (k < STACK_CLASSES && weft__slab_usable(k) < size) k++;
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

/* ---- Guards and memory ---- */

/* Does MADV_GUARD_INSTALL do what it says?  Emulators are known to accept advice that they do not know.  A system call
 * that writes to the guard tells, without a signal; the kernel itself must do it, not the C library, nor Valgrind, which
 * reads what a path or a set of signals is before the kernel does. */
int
weft__slab_probe(void)
{
    int saved = errno;
    char *p = map(STACK_GUARD);
    if (p) {
        markers = advise(p, STACK_GUARD, MADV_GUARD_INSTALL) &&
                  syscall(SYS_clock_gettime, (long)CLOCK_MONOTONIC, p) != 0 && errno == EFAULT;
        munmap(p, STACK_GUARD);
    }
    errno = saved;
    return p ? 0 : WEFT_ENOMEM;
}

static bool
guard(char *p)
{
    if (markers && advise(p, STACK_GUARD, MADV_GUARD_INSTALL)) return true;
    return !denied() && mprotect(p, STACK_GUARD, PROT_NONE) == 0;
}

bool
weft__slab_guard(struct stack *s)
{
    if (!guard(s->low - STACK_GUARD)) return false;
    if (!s->valgrind) s->valgrind = weft__valgrind_remember(s->low, s->low + weft__slab_usable(s->size_class));
    return true;
}

void
weft__slab_clean(struct stack *s)
{
    advise(s->low, weft__slab_usable(s->size_class), MADV_DONTNEED); /* fails in locked memory, which stays */
}

/* ---- Slabs ---- */

static void
cut(struct slab *slab)
{
    size_t size = weft__slab_reserved(slab->size_class);
    for (uint32_t i = 0; i < slab->count; i++) {
        struct stack *s = &slab->stacks[i];
        s->next = i + 1 < slab->count ? s + 1 : NULL;
        s->low = slab->base + i * size + STACK_GUARD;
        s->size_class = (uint16_t)slab->size_class;
        s->colour = (uint16_t)(i % COLOURS * 64);
        s->valgrind = 0;
        store_relaxed(&s->owner, NULL); /* relaxed: published with the slab */
#if defined(WEFT_ASAN)
        __lsan_register_root_region(s->low, weft__slab_usable(s->size_class)); /* not the guards: they cannot be read */
#endif
    }
}

static void
publish(struct slab *slab)
{
    slab->older = load_relaxed(&slabs); /* relaxed: the CAS decides; what it points to was published by a release */
    while (!cas_acq_rel(&slabs, &slab->older, slab)) continue; /* release: pairs with all who walk the slabs */
}

static struct slab *
map_slab(uint32_t size_class, uint32_t count)
{
    struct slab *slab = denied() ? NULL : malloc(sizeof *slab + count * sizeof slab->stacks[0]);
    if (!slab) return NULL;
    *slab = (struct slab){.size_class = size_class, .count = count};
    slab->bytes = count * weft__slab_reserved(size_class);
    slab->base = map(slab->bytes);
    /* One huge page under a stack would cost what 500 stacks do.  EINVAL: the kernel has none. */
    if (slab->base && (advise(slab->base, slab->bytes, MADV_NOHUGEPAGE) || errno == EINVAL)) return slab;
    int error = errno;
    if (slab->base) munmap(slab->base, slab->bytes);
    free(slab);
    errno = error;
    return NULL;
}

struct stack *
weft__slab_map(uint32_t size_class, size_t have, struct stack **last, size_t *count)
{
    size_t bytes = have * weft__slab_reserved(size_class);
    bytes = bytes < SLAB_LEAST ? SLAB_LEAST : bytes > SLAB_MOST ? SLAB_MOST : bytes;
    size_t n = bytes / weft__slab_reserved(size_class);
    n = n < 1 ? 1 : n > SLAB_STACKS ? SLAB_STACKS : n;
    for (; n > 0; n /= 2) {
        struct slab *slab = map_slab(size_class, (uint32_t)n);
        if (!slab) continue;
        cut(slab);
        publish(slab);
        *last = &slab->stacks[n - 1];
        *count = n;
        return slab->stacks;
    }
    return NULL;
}

size_t
weft__slab_count(void)
{
    size_t count = 0;
    for (struct slab *slab = load_acquire(&slabs); slab; slab = slab->older) /* acquire: pairs with publish */
        count += slab->count;
    return count;
}

static void
unmap(struct slab *slab)
{
    for (uint32_t i = 0; i < slab->count; i++) weft__valgrind_forget(slab->stacks[i].valgrind);
#if defined(WEFT_ASAN)
    for (uint32_t i = 0; i < slab->count; i++)
        __lsan_unregister_root_region(slab->stacks[i].low, weft__slab_usable(slab->size_class));
#endif
    munmap(slab->base, slab->bytes);
    free(slab);
}

void
weft__slab_unmap_all(void)
{
    int saved = errno;
    struct slab *slab = swap_acq_rel(&slabs, NULL); /* acquire: pairs with publish */
    while (slab) {
        struct slab *older = slab->older;
        unmap(slab);
        slab = older;
    }
    errno = saved;
}

/* ---- Walking them ---- */

void
weft__stack_each(void (*visit)(struct stack *s, void *arg), void *arg)
{
    for (struct slab *slab = load_acquire(&slabs); slab; slab = slab->older) { /* acquire: pairs with publish */
        for (uint32_t i = 0; i < slab->count; i++) {
            if (load_relaxed(&slab->stacks[i].owner)) visit(&slab->stacks[i], arg); /* relaxed: visit looks itself */
        }
    }
}

/* What overruns the top of a stack hits the guard of the next one, and is taken for an overflow of that one. */
struct stack *
weft__stack_guarded(const void *address)
{
    for (struct slab *slab = load_acquire(&slabs); slab; slab = slab->older) { /* acquire: pairs with publish */
        size_t offset = (uintptr_t)address - (uintptr_t)slab->base;
        if (offset >= slab->bytes) continue;
        size_t size = weft__slab_reserved(slab->size_class);
        return offset % size < STACK_GUARD ? &slab->stacks[offset / size] : NULL;
    }
    return NULL;
}
