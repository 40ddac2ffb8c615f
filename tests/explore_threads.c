/* explore_threads.c - the threads of a model: contexts in one thread of the system, and all that they may wait for.
 *
 * A thread is a stack of its own.  It runs until the next access that others could tell from its neighbours' (search_access
 * in explore_search.c); there another may go on instead.  Who blocks says on what; it is enabled when that is so. */
#include "explore.h"
#include "explore_core.h"
#include "explore_heap.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>

struct thread threads[THREADS];
int threads_used, threads_live;
struct thread *me;
int64_t virtual_now;
bool any_time;

static _Alignas(4096) char stacks[THREADS][STACK];
static ucontext_t starting;

void
thread_read(struct thread *t, uint64_t value)
{
    t->history = mix(t->history, value);
}

/* ---- Begin and end ---- */

static void
finish(void *result)
{
    me->result = result;
    me->blocked = FINISHED;
    threads_live--;
    search_yield();
    abort();
}

/* The bottom of every stack: waits here to be begun, once in each execution. */
static void
body(int id)
{
    struct thread *t = &threads[id];
    if (_setjmp(t->begin) == 0) setcontext(&starting);
    finish(me->run(me->arg));
}

static void
prepare(struct thread *t)
{
    static ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = stacks[t->id];
    context.uc_stack.ss_size = STACK;
    context.uc_link = NULL;
    makecontext(&context, (void (*)(void))body, 1, t->id);
    t->can_begin = true;
    swapcontext(&starting, &context);
}

static struct thread *
add(void *(*run)(void *), void *arg)
{
    if (threads_used == THREADS) search_broken("too many threads");
    struct thread *t = &threads[threads_used];
    t->id = threads_used++;
    threads_live++;
    t->blocked = NOT_BLOCKED;
    t->history = (uint64_t)t->id;
    t->cur.used = t->acq.used = t->rel.used = 0;
    memset(t->cur.clock, 0, sizeof t->cur.clock);
    memset(t->acq.clock, 0, sizeof t->acq.clock);
    memset(t->rel.clock, 0, sizeof t->rel.clock);
    memset(&t->causes, 0, sizeof t->causes);
    t->fenced = 0;
    t->seen_used = 0;
    t->holds = false;
    t->run = run;
    t->arg = arg;
    t->begun = false;
    t->local = NULL;
    t->expired = false;
    t->forgets = 0;
    if (!t->can_begin) prepare(t);
    return t;
}

void
threads_begin(void *(*first)(void *))
{
    threads_used = threads_live = 0;
    virtual_now = 1000;
    me = add(first, NULL);
    me->cur.clock[0] = 1;
}

int
explore_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
    (void)attributes;
    struct thread *t = add(run, arg);
    view_join(&t->cur, &me->cur);
    view_join(&t->acq, &me->cur);
    t->cur.clock[t->id] = 1;
    t->causes = me->causes;
    t->causes.any[me->id] = t->causes.ordered[me->id] = me->cur.clock[me->id];
    me->cur.clock[me->id]++;
    *out = (pthread_t)t->id;
    if (tracing) trace("starts a thread", -1, 0, (uint64_t)t->id, "", __builtin_return_address(0));
    return 0;
}

static void
block(enum blocked why, uintptr_t object, uint64_t value)
{
    me->blocked = why;
    me->object = object;
    me->value = value;
    search_yield();
    me->blocked = NOT_BLOCKED;
}

int
explore_pthread_join(pthread_t thread, void **result)
{
    struct thread *t = &threads[thread];
    if (t->blocked != FINISHED) block(ON_JOIN, (uintptr_t)thread, 0);
    view_join(&me->cur, &t->cur);
    view_join(&me->acq, &t->cur);
    for (int i = 0; i < threads_used; i++)
        if (i != me->id) me->causes.any[i] = me->causes.ordered[i] = t->cur.clock[i];
    if (result) *result = t->result;
    if (tracing) trace("joins a thread", -1, 0, (uint64_t)t->id, "", __builtin_return_address(0));
    return 0;
}

/* ---- What threads wait for ---- */

static bool
changed(const struct thread *t)
{
    for (int i = 0; i < t->seen_used; i++)
        if (t->seen[i] && memory.locations[i].count > t->seen[i]) return true;
    return false;
}

bool
thread_enabled(struct thread *t)
{
    switch (t->blocked) {
    case NOT_BLOCKED:
        return true;
    case ON_JOIN:
        return threads[t->object].blocked == FINISHED;
    case ON_FUTEX:
        return any_time && t->deadline != INT64_MAX;
    case ON_VALUE:
    case ON_MUTEX:
        return memory_latest(memory_locate(t->object, 4)) == t->value;
    case ON_PAUSE:
        return changed(t);
    case FINISHED:
        break;
    }
    return false;
}

bool
threads_pass_time(void)
{
    struct thread *first = NULL;
    for (int i = 0; i < threads_used; i++) {
        struct thread *t = &threads[i];
        bool waits = t->blocked == ON_FUTEX && t->deadline != INT64_MAX;
        bool tries = t->blocked == ON_PAUSE && t->expired;
        if ((waits || tries) && (!first || t->deadline < first->deadline)) first = t;
    }
    if (!first) return false;
    if (virtual_now < first->deadline) virtual_now = first->deadline;
    first->timed_out = true;
    first->blocked = NOT_BLOCKED;
    return true;
}

/* Messages older than `at` cannot be read any more. */
static void
skip_to(struct location *x, int at)
{
    while (me->cur.used <= x->index) me->cur.at[me->cur.used++] = 0;
    if (me->cur.at[x->index] < at) me->cur.at[x->index] = (int16_t)at;
}

void
weft__model_await(_Atomic uint32_t *word, uint32_t value)
{
    uintptr_t address = (uintptr_t)word;
    search_access(address, USE_UPDATE | USE_STRONG);
    struct location *x = memory_locate(address, 4);
    if (memory_latest(x) != value) block(ON_VALUE, address, value);
    skip_to(x, x->count - 1);
    me->holds = true;
}

void
weft__model_pause(void)
{
    search_sees(&pauses_seen);
    bool any = false;
    for (int i = 0; i < me->seen_used; i++) any |= me->seen[i] != 0;
    if (!any) return; /* the second pause in a row */
    if (!changed(me)) block(ON_PAUSE, 0, 0);
    for (int i = 0; i < me->seen_used; i++) {
        struct location *x = &memory.locations[i];
        if (me->seen[i] && x->count > me->seen[i]) skip_to(x, me->seen[i]);
    }
    me->seen_used = 0;
}

int
explore_sched_yield(void)
{
    weft__model_pause();
    return 0;
}

/* ---- Mutexes: a word that is 0 or 1 ---- */

int
explore_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attributes)
{
    (void)attributes;
    shadow_access((uintptr_t)m, sizeof(int), true, __builtin_return_address(0));
    *(int *)m = 0;
    return 0;
}

int
explore_pthread_mutex_destroy(pthread_mutex_t *m)
{
    shadow_access((uintptr_t)m, sizeof(int), true, __builtin_return_address(0));
    return 0;
}

int
explore_pthread_mutex_lock(pthread_mutex_t *m)
{
    uint64_t expected = 0;
    weft__model_await((_Atomic uint32_t *)(void *)m, 0);
    explore_cas((uintptr_t)m, 4, &expected, 1, ACQUIRE, RELAXED, __builtin_return_address(0));
    return 0;
}

int
explore_pthread_mutex_unlock(pthread_mutex_t *m)
{
    explore_store((uintptr_t)m, 4, 0, RELEASE, __builtin_return_address(0));
    return 0;
}

/* ---- The kernel ---- */

static long
futex_wait(uintptr_t word, uint32_t value, const struct timespec *limit, void *pc)
{
    search_access(word, USE_LOAD | USE_STRONG);
    struct location *x = memory_locate(word, 4);
    bool equal = memory_latest(x) == value;
    skip_to(x, x->count - 1); /* the kernel has seen it for the thread */
    thread_read(me, equal);
    if (tracing) trace(equal ? "futex wait" : "futex wait, refused", -1, word, value, "", pc);
    if (!equal) return -1;
    me->deadline = limit ? limit->tv_sec * INT64_C(1000000000) + limit->tv_nsec : INT64_MAX;
    me->timed_out = me->deadline <= virtual_now;
    if (me->timed_out) {
        me->expired = true;
        weft__model_pause(); /* a loop that tries again at once */
        me->expired = false;
    } else {
        block(ON_FUTEX, word, value);
    }
    if (any_time && me->timed_out && virtual_now < me->deadline) virtual_now = me->deadline;
    if (!me->timed_out) skip_to(x, x->count - 1); /* as its waker left it */
    thread_read(me, me->timed_out);
    if (tracing) trace(me->timed_out ? "futex wait timed out" : "futex wait ended", -1, word, value, "", pc);
    return me->timed_out ? -1 : 0;
}

static long
futex_wake(uintptr_t word, int count, void *pc)
{
    search_access(word, USE_UPDATE | USE_STRONG);
    int woken = 0;
    while (woken < count) {
        struct thread *waiting[THREADS];
        int n = 0;
        for (int i = 0; i < threads_used; i++)
            if (threads[i].blocked == ON_FUTEX && threads[i].object == word) waiting[n++] = &threads[i];
        if (n == 0) break;
        waiting[search_choose(n)]->blocked = NOT_BLOCKED;
        woken++;
    }
    thread_read(me, (uint64_t)woken);
    if (tracing) trace("futex wake", -1, word, (uint64_t)woken, " woken", pc);
    return woken;
}

/* Every other thread passes a full fence at some time before the call returns. */
static long
membarrier(int command, void *pc)
{
    enum { REGISTER_PRIVATE_EXPEDITED = 1 << 4 };
    if (command == REGISTER_PRIVATE_EXPEDITED) return 0;
    search_heavy();
    search_sees(&fences_seen);
    search_point();
    memory_fence(me->id, SEQ_CST);
    for (int i = 0; i < threads_used; i++) {
        if (i == me->id) continue;
        search_point();
        memory_fence(i, SEQ_CST);
        thread_read(me, 3);
        if (tracing) trace("membarrier: a fence for", -1, 0, (uint64_t)i, "", pc);
    }
    search_point();
    memory_fence(me->id, SEQ_CST);
    thread_read(me, 4);
    return 0;
}

void
explore_forget(void)
{
    me->history = mix((uint64_t)me->id, ++me->forgets);
}

void **
explore_local(void)
{
    return &me->local;
}

int
explore_gettid(void)
{
    return me->id;
}

/* Each thread has its own. */
int *
explore_errno_location(void)
{
    return &me->error;
}

long
explore_syscall(long number, ...)
{
    void *pc = __builtin_return_address(0);
    long a[4];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 4; i++) a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_membarrier) return membarrier((int)a[0], pc);
    if (number != SYS_futex) search_broken("a system call that the explorer does not know");
    int operation = (int)a[1] & ~FUTEX_PRIVATE_FLAG;
    if (operation == FUTEX_WAKE) return futex_wake((uintptr_t)a[0], (int)a[2], pc);
    if (operation != FUTEX_WAIT_BITSET) search_broken("a futex operation that the explorer does not know");
    return futex_wait((uintptr_t)a[0], (uint32_t)a[2], (const struct timespec *)a[3], pc);
}

int
explore_clock_gettime(clockid_t clock, struct timespec *out)
{
    (void)clock;
    thread_read(me, (uint64_t)virtual_now);
    *out = (struct timespec){.tv_sec = virtual_now / 1000000000, .tv_nsec = virtual_now % 1000000000};
    return 0;
}

/* ---- State ---- */

/* A thread that waits to join another will know all that the other knows. */
static bool
counts(const struct thread *t)
{
    return t->blocked != FINISHED && t->blocked != ON_JOIN;
}

static void
find_floor(struct view *floor)
{
    bool first = true;
    floor->used = 0;
    memset(floor->clock, 0, sizeof floor->clock);
    for (int i = 0; i < threads_used; i++) {
        const struct view *v = &threads[i].cur;
        if (!counts(&threads[i])) continue;
        if (first) {
            *floor = *v;
            first = false;
            continue;
        }
        if (floor->used > v->used) floor->used = v->used;
        for (int k = 0; k < floor->used; k++)
            if (floor->at[k] > v->at[k]) floor->at[k] = v->at[k];
        for (int k = 0; k < THREADS; k++)
            if (floor->clock[k] > v->clock[k]) floor->clock[k] = v->clock[k];
    }
}

static uint64_t
causes_hash(uint64_t h, const struct causes *c, const struct view *floor)
{
    for (int i = 0; check_buffering && i < threads_used; i++) {
        int any = c->any[i] - floor->clock[i], ordered = c->ordered[i] - floor->clock[i];
        int pending = c->pending[i] - floor->clock[i];
        if (any > 0) h = mix(h, (uint64_t)any << 8 | (uint64_t)i);
        if (ordered > 0) h = mix(h, (uint64_t)ordered << 24 | (uint64_t)i);
        if (pending > 0) h = mix(h, (uint64_t)pending << 40 | (uint64_t)i);
    }
    return h;
}

static uint64_t
location_hash(const struct location *x, const struct view *floor)
{
    int low = x->index < floor->used ? floor->at[x->index] : 0;
    uint64_t h = x->key;
    for (int at = low; at < x->count; at++) {
        const struct message *m = x->messages[at];
        uint64_t value = m->value;
        if (m->in_memory) memcpy(&value, (const void *)x->address, (size_t)x->size);
        h = causes_hash(mix(mix(h, value), view_hash(&m->view, floor)), &m->causes, floor);
    }
    for (int t = 0; mixed_seen && t < threads_used; t++) {
        int read = x->read_at[t] - floor->clock[t], written = x->written_at[t] - floor->clock[t];
        if (read > 0) h = mix(h, (uint64_t)read << 16 | (uint64_t)t);
        if (written > 0) h = mix(h, (uint64_t)written << 20 | (uint64_t)t);
    }
    return h;
}

static uint64_t
thread_hash(const struct thread *t, const struct view *floor)
{
    /* Of one that has finished nothing is left but what its joiner will learn. */
    if (t->blocked == FINISHED) return mix((uint64_t)(uintptr_t)t->result, view_hash(&t->cur, floor));
    uint64_t h = mix(t->history, (uint64_t)t->blocked);
    h = mix(h, t->blocked == ON_FUTEX ? (uint64_t)t->deadline : 0);
    h = mix(h, view_hash(&t->cur, floor));
    if (fences_seen) h = mix(mix(h, view_hash(&t->acq, floor)), view_hash(&t->rel, floor));
    h = causes_hash(h, &t->causes, floor);
    for (int i = 0; pauses_seen && i < t->seen_used; i++) {
        int above = t->seen[i] - (i < floor->used ? floor->at[i] : 0);
        if (t->seen[i]) h = mix(h, memory.locations[i].key + (uint64_t)(int64_t)above);
    }
    return h;
}

uint64_t
threads_hash(void)
{
    static struct view floor;
    find_floor(&floor);
    uint64_t h = mix((uint64_t)virtual_now, view_hash(&memory.sc, &floor));
    for (int i = 0; i < threads_used; i++) h = mix(h, thread_hash(&threads[i], &floor));
    uint64_t sum = 0;
    for (int i = 0; i < memory.locations_used; i++) sum += location_hash(&memory.locations[i], &floor);
    return mix(mix(h, sum), shadow_hash(&floor));
}
