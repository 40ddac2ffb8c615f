/* explore_core.h - what the parts of the explorer share.  Models include explore.h. */
#ifndef WEFT_TESTS_EXPLORE_CORE_H
#define WEFT_TESTS_EXPLORE_CORE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { THREADS = 8, LOCATIONS = 256, MESSAGES = 8192, STACK = 64 * 1024 };

/* The orders, with the values that the compilers pass. */
enum order { RELAXED, CONSUME, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST };

static inline bool
acquires(int order)
{
    return order == CONSUME || order == ACQUIRE || order >= ACQ_REL;
}

static inline bool
releases(int order)
{
    return order >= RELEASE;
}

/* ---- The memory model: explore_memory.c ---- */

/* What a thread knows, or a message tells: of each location the oldest message that may still be read, and of each
 * thread how far its plain accesses are visible.  Entries from `used` on are 0. */
struct view {
    int16_t clock[THREADS];
    int used;
    int16_t at[LOCATIONS];
};

/* For the option -b: of each thread, up to where its steps have had a part in this one's, by any way; up to where its loads
 * are ordered before this one's stores; and up to where they will be after an acquire fence, or before a release store. */
struct causes {
    int16_t any[THREADS], ordered[THREADS], pending[THREADS];
};

struct message {
    uint64_t value;
    int writer;
    bool in_memory; /* written by a plain access: its value is what the memory holds */
    struct view view;
    struct causes causes; /* of whoever wrote it */
};

/* An atomic object: its messages in modification order. */
struct location {
    uintptr_t address;
    int size, index, count, room;
    struct message **messages;
    uint64_t key;                                  /* for hashes */
    int16_t read_at[THREADS], written_at[THREADS]; /* the last atomic access of each thread: against plain ones */
    int16_t relaxed_at[THREADS];                   /* the last relaxed load */
};

struct memory {
    struct location locations[LOCATIONS];
    int locations_used;
    struct message *pool;
    int pool_used;
    struct view sc; /* what sequentially consistent fences and accesses have made common */
};

extern struct memory memory;

void memory_begin(void);
struct location *memory_locate(uintptr_t address, int size);
uint64_t memory_latest(struct location *x);
void memory_plain_write(struct location *x); /* a plain write over an atomic object */
void view_join(struct view *into, const struct view *from);
void memory_fence(int thread, int order);

uint64_t explore_load(uintptr_t address, int size, int order, void *pc);
void explore_store(uintptr_t address, int size, uint64_t value, int order, void *pc);
typedef uint64_t update(uint64_t old, uint64_t operand);
uint64_t explore_rmw(uintptr_t address, int size, update *f, uint64_t operand, int order, const char *what, void *pc);
bool explore_cas(uintptr_t address, int size, uint64_t *expected, uint64_t value, int order, int failure, void *pc);
void explore_fence(int order, void *pc);

/* ---- Plain memory: explore_shadow.c ---- */

void shadow_begin(void); /* all memory as it was at the start */
void shadow_first(void); /* once: remembers that */
void shadow_access(uintptr_t address, size_t size, bool write, void *pc);
void shadow_atomic(struct location *x, bool write, void *pc);             /* checks it against plain accesses */
struct location *shadow_location(uintptr_t address, int size, int *made); /* the index of the location there, or -1 */
uint64_t shadow_hash(const struct view *floor);
const char *shadow_block(uintptr_t address, char *text, size_t size); /* its name, if it is in a block of the heap */

/* ---- Threads: explore_threads.c ---- */

enum blocked { NOT_BLOCKED, ON_JOIN, ON_FUTEX, ON_VALUE, ON_MUTEX, ON_PAUSE, FINISHED };

struct thread {
    int id;
    enum blocked blocked;
    uintptr_t object; /* what it waits for: thread, word */
    int size;
    uint64_t value;   /* ON_VALUE: until the word is that */
    int64_t deadline; /* ON_FUTEX */
    bool timed_out;
    bool expired;     /* ON_PAUSE, in a wait whose deadline had passed before it began */
    uint64_t history; /* a hash of everything that it has read */
    struct view cur, acq, rel;
    struct causes causes;
    int16_t fenced;          /* its loads up to here stay before all that follows */
    int16_t seen[LOCATIONS]; /* 1 + what it has read of each location since it last paused, 0: nothing; */
    int seen_used;
    bool holds; /* its next access follows at once: nobody else comes between */
    void *(*run)(void *);
    void *arg, *result;
    int error;   /* errno */
    void *local; /* explore_local */
    unsigned forgets;
    jmp_buf at, begin;
    bool begun, can_begin;
};

extern struct thread threads[THREADS];
extern int threads_used, threads_live;
extern struct thread *me;
extern int64_t virtual_now;
extern bool any_time;
extern bool check_buffering;

void threads_begin(void *(*first)(void *));
bool thread_enabled(struct thread *t);
bool threads_pass_time(void); /* all are blocked: lets the nearest deadline pass; false: there is none */
uint64_t threads_hash(void);
void thread_read(struct thread *t, uint64_t value); /* into its history */

/* ---- Choices: explore_search.c ---- */

enum use { USE_LOAD = 1, USE_STORE = 2, USE_UPDATE = 4, USE_STRONG = 8, USE_SC = 16 };

/* A scheduling point before an access to address; none if nobody can tell. */
void search_access(uintptr_t address, int use);
void search_point(void);
void search_heavy(void); /* a fence for other threads is coming */

/* What belongs to the state only where it can matter: what was read since the last pause; what fences would add; when
 * atomic objects were accessed, against plain accesses.  search_sees: from now on it does. */
extern bool pauses_seen, fences_seen, mixed_seen;
void search_sees(bool *what);
/* Called by a thread that cannot go on. */
void search_yield(void);
int search_choose(int options);
_Noreturn void search_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void search_broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Traces: explore_trace.c ---- */

extern bool tracing;
void trace(const char *what, int order, uintptr_t address, uint64_t value, const char *more, void *pc);
void trace_print(void);
void trace_begin(void);
const char *trace_name(uintptr_t address, char *text, size_t size);
const char *trace_place(const void *pc);

static inline uint64_t
mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9FB21C651E98DF25u;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return h ^ (h >> 29);
}

static inline int
stamp(const struct view *v, const struct location *x)
{
    return x->index < v->used ? v->at[x->index] : 0;
}

/* What is above the floor of a view: all else is known to everybody, and tells nothing. */
static inline uint64_t
view_hash(const struct view *v, const struct view *floor)
{
    uint64_t h = 0;
    for (int i = 0; i < v->used; i++) {
        int above = v->at[i] - (i < floor->used ? floor->at[i] : 0);
        if (above > 0) h += memory.locations[i].key * (uint64_t)above;
    }
    for (int i = 0; i < THREADS; i++) {
        int above = v->clock[i] - floor->clock[i];
        if (above > 0) h += mix(77, (uint64_t)i) * (uint64_t)above;
    }
    return mix(h, 1);
}

#endif
