/* explore_shadow.c - plain memory under the explorer: data races, the heap, and putting everything back.
 *
 * Memory is looked at in granules of 8 bytes.  Each has one cell, or one for each byte if something smaller than the
 * whole has been accessed: who wrote it last and when, and when each thread has read it since.  "When" is the clock of
 * the thread; the access is visible to those whose view has reached that. */
#include "explore_core.h"
#include "explore_heap.h"

#include <stdio.h>
#include <stdlib.h>

enum { TABLE = 1 << 16, GRANULES = 1 << 14, HEAP = 1 << 19, BLOCKS = 64, ALIGNMENT = 64 };

struct cell {
    int16_t read_at[THREADS];
    int16_t written_at;
    int16_t writer;
};

struct granule {
    uintptr_t base;
    unsigned slot; /* in the table */
    bool split, freed;
    uint8_t touched;     /* a bit for each byte that was accessed plainly */
    int16_t location[8]; /* an atomic object at this offset: its index + 1 */
    struct cell cells[8];
    void *last_write, *last_read; /* for messages: code */
};

static struct granule granules[GRANULES];
static int granules_used;
static int16_t table[TABLE]; /* index + 1 */

struct block {
    uintptr_t begin, end;
    bool freed;
};

static _Alignas(4096) char heap[THREADS][HEAP];
static struct block blocks[THREADS][BLOCKS];
static int blocks_used[THREADS];
static size_t heap_used[THREADS];

/* ---- Granules ---- */

static unsigned
slot_of(uintptr_t base)
{
    return (unsigned)(((base >> 3) * 0x9E3779B97F4A7C15u) >> 48) % TABLE;
}

static struct block *
find_block(uintptr_t address)
{
    if (address < (uintptr_t)heap || address >= (uintptr_t)heap + sizeof heap) return NULL;
    int t = (int)((address - (uintptr_t)heap) / HEAP);
    for (int i = 0; i < blocks_used[t]; i++)
        if (address >= blocks[t][i].begin && address < blocks[t][i].end) return &blocks[t][i];
    return NULL;
}

/* Is this no memory that may be touched? */
static void
check_heap(uintptr_t address, void *pc)
{
    if (address < 4096) search_fail("an access through a null pointer, in %s", trace_place(pc));
    if (address < (uintptr_t)heap || address >= (uintptr_t)heap + sizeof heap) return;
    const struct block *b = find_block(address);
    if (!b) search_fail("an access outside of any block, in %s", trace_place(pc));
    if (b->freed) search_fail("an access to freed memory, in %s", trace_place(pc));
}

static struct granule *
granule_at(uintptr_t base)
{
    unsigned i = slot_of(base);
    for (; table[i]; i = (i + 1) % TABLE)
        if (granules[table[i] - 1].base == base) return &granules[table[i] - 1];
    if (granules_used == GRANULES) search_broken("too much memory is touched");
    struct granule *g = &granules[granules_used++];
    table[i] = (int16_t)granules_used;
    memset(g, 0, sizeof *g);
    g->base = base;
    g->slot = i;
    return g;
}

/* ---- Races ---- */

static _Noreturn void
race(struct granule *g, uintptr_t address, const char *what, void *pc, const char *other, int thread, void *other_pc)
{
    char name[128];
    (void)g;
    search_fail("a data race at %s: T%d %s it in %s, and nothing orders that after T%d's %s%s%s",
                trace_name(address, name, sizeof name), me->id, what, trace_place(pc), thread, other,
                other_pc ? " in " : "", other_pc ? trace_place(other_pc) : "");
}

/* May the thread see what thread `who` did at its time `when`? */
static inline bool
sees(int who, int when)
{
    return me->cur.clock[who] >= when || who == me->id;
}

static void
check_cell(struct granule *g, struct cell *c, uintptr_t address, bool write, void *pc)
{
    if (c->written_at && !sees(c->writer, c->written_at))
        race(g, address, write ? "writes" : "reads", pc, "write", c->writer, g->last_write);
    if (!write) {
        c->read_at[me->id] = me->cur.clock[me->id];
        return;
    }
    for (int t = 0; t < threads_used; t++) {
        if (c->read_at[t] && !sees(t, c->read_at[t])) race(g, address, "writes", pc, "read", t, g->last_read);
        c->read_at[t] = 0;
    }
    c->written_at = me->cur.clock[me->id];
    c->writer = (int16_t)me->id;
}

/* A plain access to bytes that are, or were, an atomic object. */
static void
check_location(struct granule *g, struct location *x, bool write, void *pc)
{
    search_sees(&mixed_seen);
    for (int t = 0; t < threads_used; t++) {
        if (x->written_at[t] && !sees(t, x->written_at[t]))
            race(g, x->address, write ? "writes" : "reads", pc, "atomic store", t, NULL);
        if (write && x->read_at[t] && !sees(t, x->read_at[t]))
            race(g, x->address, "writes", pc, "atomic load", t, NULL);
    }
    if (write) memory_plain_write(x);
}

static void
split(struct granule *g)
{
    if (g->split) return;
    g->split = true;
    for (int i = 1; i < 8; i++) g->cells[i] = g->cells[0];
}

static void
access_part(uintptr_t base, unsigned from, unsigned to, bool write, void *pc)
{
    struct granule *g = granule_at(base);
    if (!g->touched) check_heap(base + from, pc);
    if (g->freed) search_fail("an access to freed memory, in %s", trace_place(pc));
    if (from != 0 || to != 8) split(g);
    if (g->split)
        for (unsigned i = from; i < to; i++) check_cell(g, &g->cells[i], base + i, write, pc);
    else check_cell(g, &g->cells[0], base, write, pc);
    for (unsigned i = 0; i < to; i++) {
        if (!g->location[i]) continue;
        struct location *x = &memory.locations[g->location[i] - 1];
        if (i + (unsigned)x->size > from) check_location(g, x, write, pc);
    }
    uint8_t bytes = (uint8_t)(((1u << (to - from)) - 1) << from);
    if (tracing) *(write ? &g->last_write : &g->last_read) = pc;
    /* What is overwritten counts as read too: compilers do not announce a read before a write of the same.  But not what
     * has never been written: on a stack that is anything. */
    if (!write || (g->touched & bytes) == bytes) {
        uint64_t content = 0;
        memcpy(&content, (const void *)(base + from), to - from);
        thread_read(me, content);
    }
    g->touched |= bytes;
}

void
shadow_access(uintptr_t address, size_t size, bool write, void *pc)
{
    uintptr_t end = address + size;
    if (!me) return; /* explore_title */
    for (uintptr_t a = address; a < end;) {
        uintptr_t base = a & ~(uintptr_t)7, stop = base + 8 < end ? base + 8 : end;
        access_part(base, (unsigned)(a - base), (unsigned)(stop - base), write, pc);
        a = stop;
    }
}

void
shadow_atomic(struct location *x, bool write, void *pc)
{
    struct granule *g = granule_at(x->address & ~(uintptr_t)7);
    if (g->freed) search_fail("an access to freed memory, in %s", trace_place(pc));
    if (!x->count || (!x->written_at[me->id] && !x->read_at[me->id])) check_heap(x->address, pc);
    if (!g->touched) return;
    for (unsigned i = 0; i < 8; i++) {
        const struct cell *c = &g->cells[g->split ? i : 0];
        uintptr_t at = g->base + i;
        if (at < x->address || at >= x->address + (uintptr_t)x->size) continue;
        if (c->written_at && !sees(c->writer, c->written_at))
            race(g, x->address, write ? "stores" : "loads", pc, "plain write", c->writer, g->last_write);
        for (int t = 0; write && t < threads_used; t++)
            if (c->read_at[t] && !sees(t, c->read_at[t]))
                race(g, x->address, "stores", pc, "plain read", t, g->last_read);
    }
}

struct location *
shadow_location(uintptr_t address, int size, int *made)
{
    struct granule *g = granule_at(address & ~(uintptr_t)7);
    unsigned offset = address & 7;
    if (g->location[offset]) {
        struct location *x = &memory.locations[g->location[offset] - 1];
        if (x->size != size) search_broken("an atomic object is accessed with two sizes");
        return x;
    }
    if (memory.locations_used == LOCATIONS) search_broken("too many atomic objects");
    g->location[offset] = (int16_t)++memory.locations_used;
    *made = 1;
    return &memory.locations[memory.locations_used - 1];
}

/* ---- The heap ---- */

void *
explore_aligned_alloc(size_t alignment, size_t size)
{
    int t = me->id;
    size_t begin = (heap_used[t] + 16 + alignment - 1) / alignment * alignment;
    if (begin + size > HEAP || blocks_used[t] == BLOCKS) search_broken("the heap is full");
    heap_used[t] = begin + size;
    uintptr_t p = (uintptr_t)&heap[t][begin];
    blocks[t][blocks_used[t]++] = (struct block){p, p + size, false};
    return (void *)p;
}

void *
explore_malloc(size_t size)
{
    return explore_aligned_alloc(ALIGNMENT, size);
}

/* A block has never been used before, so it is zero. */
void *
explore_calloc(size_t n, size_t size)
{
    return explore_aligned_alloc(ALIGNMENT, n * size);
}

void
explore_free(void *p)
{
    if (!p) return;
    struct block *b = find_block((uintptr_t)p);
    if (!b || b->begin != (uintptr_t)p) search_fail("free of what is no block");
    if (b->freed) search_fail("a block is freed twice");
    void *pc = __builtin_return_address(0);
    for (uintptr_t a = b->begin & ~(uintptr_t)7; a < b->end; a += 8) {
        struct granule *g = NULL;
        for (unsigned i = slot_of(a); table[i] && !g; i = (i + 1) % TABLE)
            if (granules[table[i] - 1].base == a) g = &granules[table[i] - 1];
        if (!g) continue;
        access_part(a, 0, 8, true, pc);
        g->freed = true;
    }
    b->freed = true;
}

const char *
shadow_block(uintptr_t address, char *text, size_t size)
{
    const struct block *b = find_block(address);
    if (!b) return NULL;
    int t = (int)((b->begin - (uintptr_t)heap) / HEAP);
    snprintf(text, size, "T%d's block %d + %zu", t, (int)(b - blocks[t]), (size_t)(address - b->begin));
    return text;
}

/* ---- State ---- */

static uint64_t
cell_hash(const struct cell *c, const struct view *floor)
{
    uint64_t h = 0;
    int above = c->written_at - floor->clock[c->writer];
    if (c->written_at && above > 0) h = mix((uint64_t)above, (uint64_t)c->writer);
    for (int t = 0; t < threads_used; t++) {
        above = c->read_at[t] - floor->clock[t];
        if (above > 0) h = mix(h, (uint64_t)above << 8 | (uint64_t)t);
    }
    return h;
}

uint64_t
shadow_hash(const struct view *floor)
{
    uint64_t sum = 0;
    for (int i = 0; i < granules_used; i++) {
        const struct granule *g = &granules[i];
        if (!g->touched) continue;
        uint64_t content = *(const uint64_t *)g->base, h = mix(g->base, g->freed);
        for (unsigned k = 0; k < 8; k++)
            if (!(g->touched >> k & 1)) content &= ~(UINT64_C(255) << (8 * k));
        h = mix(h, content);
        for (unsigned k = 0; k < (g->split ? 8 : 1); k++) h = mix(h, cell_hash(&g->cells[k], floor));
        sum += h;
    }
    return sum;
}

/* The static data of the model and its sources, put into sections of their own by tools/model. */
extern char __start_model_data[] __attribute__((weak)), __stop_model_data[] __attribute__((weak));
extern char __start_model_bss[] __attribute__((weak)), __stop_model_bss[] __attribute__((weak));
static char *data_kept, *bss_kept;

static char *
keep(const char *begin, const char *end)
{
    size_t size = (size_t)(end - begin);
    char *kept = malloc(size + 1);
    if (!kept) search_broken("out of memory");
    memcpy(kept, begin, size);
    return kept;
}

void
shadow_first(void)
{
    data_kept = keep(__start_model_data, __stop_model_data);
    bss_kept = keep(__start_model_bss, __stop_model_bss);
}

void
shadow_begin(void)
{
    for (int i = 0; i < granules_used; i++) {
        const struct granule *g = &granules[i];
        if (g->base >= (uintptr_t)heap && g->base < (uintptr_t)heap + sizeof heap) *(uint64_t *)g->base = 0;
        table[g->slot] = 0;
    }
    granules_used = 0;
    memset(blocks_used, 0, sizeof blocks_used);
    memset(heap_used, 0, sizeof heap_used);
    memcpy(__start_model_data, data_kept, (size_t)(__stop_model_data - __start_model_data));
    memcpy(__start_model_bss, bss_kept, (size_t)(__stop_model_bss - __start_model_bss));
}
