/* explore_memory.c - the memory model of the explorer: C11 atomics as views and messages.
 *
 * After Kang, Hur, Lahav, Vafeiadis and Dreyer, "A Promising Semantics for Relaxed-Memory Concurrency" (POPL 2017),
 * without promises, and with the release sequences of C++20.
 *
 *   - A location is a list of messages: values in modification order, each with a view.  A store appends one.
 *   - A thread has three views: cur, what it must respect; acq, what an acquire fence would add to that; rel, what it
 *     was at the last release fence.
 *   - A load may read any message that cur does not rule out.  acquire: the view of the message joins cur, else acq.
 *   - A store's message carries cur (release) or rel (relaxed): a relaxed store cuts the release sequence of an earlier
 *     release store, also one by the same thread.  A read-modify-write reads the last message, and its own carries the view
 *     of that as well: it continues the sequence.
 *   - A sequentially consistent fence is an acquire and a release fence, and joins cur and one view of all such fences.
 *     A sequentially consistent store enters its location into that view, a load respects it.
 *   - A failed compare-and-swap is a load; where it may read an older message that holds another value than
 *     expected, it may fail although the last message would let it succeed.
 *
 * What it leaves out: executions in which the modification order runs against every interleaving (a store that ends up
 * before one that somebody has already made, as in 2+2W), and load buffering (a load that sees what a later store of
 * its own thread caused).  Current compilers and processors give the second only for relaxed loads followed by stores
 * that do not depend on them.  With the option -b a store fails that a load could see in that way: one that came about
 * through a later write of the load's thread, and is not ordered after the load.  A compare-and-swap never fails without a
 * reason.
 *
 * Data races are found by the same views: a plain access is visible to those who have its thread's clock. */
#include "explore_core.h"

#include <stdlib.h>

struct memory memory;
bool check_buffering;

void
memory_begin(void)
{
    memory.locations_used = 0;
    memory.pool_used = 0;
    memory.sc.used = 0;
    memset(memory.sc.clock, 0, sizeof memory.sc.clock);
}

/* ---- Views ---- */

static void
view_grow(struct view *v, int used)
{
    if (used <= v->used) return;
    memset(v->at + v->used, 0, (size_t)(used - v->used) * sizeof v->at[0]);
    v->used = used;
}

static void
view_raise(struct view *v, const struct location *x, int at)
{
    view_grow(v, x->index + 1);
    if (v->at[x->index] < at) v->at[x->index] = (int16_t)at;
}

static void
join_locations(struct view *into, const struct view *from)
{
    view_grow(into, from->used);
    for (int i = 0; i < from->used; i++)
        if (into->at[i] < from->at[i]) into->at[i] = from->at[i];
}

void
view_join(struct view *into, const struct view *from)
{
    for (int i = 0; i < THREADS; i++)
        if (into->clock[i] < from->clock[i]) into->clock[i] = from->clock[i];
    join_locations(into, from);
}

static void
view_copy(struct view *to, const struct view *from)
{
    memcpy(to, from, offsetof(struct view, at) + (size_t)from->used * sizeof from->at[0]);
}

/* What the thread did in plain memory until now is covered by what it has released; what comes is not. */
static void
tick(struct thread *t)
{
    if (++t->cur.clock[t->id] == INT16_MAX) search_broken("an execution is too long");
}

/* ---- Locations ---- */

static uint64_t
peek(uintptr_t address, int size)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)address, (size_t)size);
    return value;
}

static struct message *
append(struct location *x)
{
    if (memory.pool_used == MESSAGES) search_broken("too many stores in one execution");
    if (x->count == x->room) {
        x->room = x->room ? 2 * x->room : 16;
        x->messages = realloc(x->messages, (size_t)x->room * sizeof x->messages[0]);
        if (!x->messages) search_broken("out of memory");
    }
    if (!memory.pool) memory.pool = calloc(MESSAGES, sizeof memory.pool[0]);
    if (!memory.pool) search_broken("out of memory");
    struct message *m = &memory.pool[memory.pool_used++];
    x->messages[x->count++] = m;
    m->in_memory = false;
    return m;
}

/* Takes the value of a plain write, which was not known before it was done. */
static struct message *
last(struct location *x)
{
    struct message *m = x->messages[x->count - 1];
    if (m->in_memory) m->value = peek(x->address, x->size);
    return m;
}

uint64_t
memory_latest(struct location *x)
{
    return last(x)->value;
}

static void
first_message(struct location *x)
{
    struct message *m = append(x);
    m->in_memory = true;
    m->writer = 0;
    m->view.used = 0;
    memset(m->view.clock, 0, sizeof m->view.clock);
    memset(&m->causes, 0, sizeof m->causes);
}

struct location *
memory_locate(uintptr_t address, int size)
{
    int made = 0;
    if (address < 4096) search_fail("an access through a null pointer");
    struct location *x = shadow_location(address, size, &made);
    if (!made) {
        last(x)->in_memory = false;
        return x;
    }
    x->address = address;
    x->size = size;
    x->index = (int)(x - memory.locations);
    x->count = 0;
    x->key = mix(0x5851F42D4C957F2D, address) | 1;
    memset(x->read_at, 0, sizeof x->read_at);
    memset(x->written_at, 0, sizeof x->written_at);
    memset(x->relaxed_at, 0, sizeof x->relaxed_at);
    first_message(x);
    last(x)->in_memory = false;
    return x;
}

void
memory_plain_write(struct location *x)
{
    struct message *m = last(x); /* whose value the memory still holds */
    if (!m->in_memory || m->writer != me->id) {
        m->in_memory = false;
        first_message(x);
        x->messages[x->count - 1]->writer = me->id;
    }
    view_raise(&me->cur, x, x->count - 1);
}

/* ---- What a thread does with a message ---- */

static void
raise(int16_t *into, const int16_t *from)
{
    for (int i = 0; i < THREADS; i++)
        if (into[i] < from[i]) into[i] = from[i];
}

static void
receive(struct thread *t, struct location *x, int at, int order)
{
    const struct message *m = x->messages[at];
    if (acquires(order)) view_join(&t->cur, &m->view);
    view_raise(&t->cur, x, at);
    view_join(&t->acq, &m->view);
    view_raise(&t->acq, x, at);
    if (check_buffering) {
        raise(t->causes.any, m->causes.any);
        raise(acquires(order) ? t->causes.ordered : t->causes.pending, m->causes.ordered);
        if (!acquires(order)) x->relaxed_at[t->id] = t->cur.clock[t->id];
    }
    while (t->seen_used <= x->index) t->seen[t->seen_used++] = 0;
    t->seen[x->index] = (int16_t)(at + 1);
}

/* A load that is not kept before the store, though the store came about through a later write of the load's thread: where
 * a store may overtake earlier loads, the load could see it. */
static void
check_loads(const struct thread *t, const struct location *x, int order)
{
    char name[128];
    for (int i = 0; i < threads_used; i++) {
        int read = x->relaxed_at[i], kept = t->causes.ordered[i];
        if (i == t->id || !read || x->written_at[i] >= read) continue; /* accesses of one object stay in order */
        if (releases(order) && kept < t->causes.pending[i]) kept = t->causes.pending[i];
        if (read <= t->causes.any[i] && read > kept)
            search_fail("a store of T%d to %s could be seen by a load of T%d that had a part in it", t->id,
                        trace_name(x->address, name, sizeof name), i);
    }
}

static void
send_causes(struct thread *t, struct message *m, int order)
{
    int now = t->cur.clock[t->id];
    t->causes.any[t->id] = (int16_t)now;
    t->causes.ordered[t->id] = releases(order) ? (int16_t)now : t->fenced;
    m->causes = t->causes;
    if (releases(order)) raise(m->causes.ordered, m->causes.pending);
}

static void
send(struct thread *t, struct location *x, uint64_t value, int order, const struct message *continued)
{
    struct message *m = append(x);
    int at = x->count - 1;
    if (check_buffering) check_loads(t, x, order);
    m->value = value;
    m->writer = t->id;
    if (check_buffering) send_causes(t, m, order);
    view_raise(&t->cur, x, at);
    view_raise(&t->acq, x, at);
    view_copy(&m->view, releases(order) ? &t->cur : &t->rel);
    view_raise(&m->view, x, at);
    if (continued) view_join(&m->view, &continued->view);
    if (order == SEQ_CST) view_raise(&memory.sc, x, at);
    memcpy((void *)x->address, &value, (size_t)x->size);
    x->written_at[t->id] = t->cur.clock[t->id];
    tick(t);
}

/* ---- Operations ---- */

static int found[MESSAGES];

uint64_t
explore_load(uintptr_t address, int size, int order, void *pc)
{
    search_access(address, USE_LOAD | (order == SEQ_CST ? USE_SC : 0));
    struct location *x = memory_locate(address, size);
    shadow_atomic(x, false, pc);
    int low = stamp(&me->cur, x);
    if (order == SEQ_CST && stamp(&memory.sc, x) > low) low = stamp(&memory.sc, x);
    int at = x->count - 1 - search_choose(x->count - low);
    uint64_t value = x->messages[at]->value;
    receive(me, x, at, order);
    x->read_at[me->id] = me->cur.clock[me->id];
    thread_read(me, value);
    if (tracing) trace("load", order, address, value, at < x->count - 1 ? " (old)" : "", pc);
    return value;
}

void
explore_store(uintptr_t address, int size, uint64_t value, int order, void *pc)
{
    search_access(address, USE_STORE | (order == SEQ_CST ? USE_SC : 0));
    struct location *x = memory_locate(address, size);
    shadow_atomic(x, true, pc);
    send(me, x, value, order, NULL);
    thread_read(me, 1);
    if (tracing) trace("store", order, address, value, "", pc);
}

/* A read-modify-write that reads the last message. */
static void
exchange(struct location *x, uint64_t value, int order)
{
    const struct message *m = last(x);
    receive(me, x, x->count - 1, order);
    x->read_at[me->id] = me->cur.clock[me->id];
    send(me, x, value, order, m);
}

static uint64_t
truncated(uint64_t value, int size)
{
    return size == 8 ? value : value & ((UINT64_C(1) << (8 * size)) - 1);
}

uint64_t
explore_rmw(uintptr_t address, int size, update *f, uint64_t operand, int order, const char *what, void *pc)
{
    search_access(address, USE_UPDATE | (order == SEQ_CST ? USE_SC : 0));
    struct location *x = memory_locate(address, size);
    shadow_atomic(x, true, pc);
    uint64_t old = last(x)->value, value = truncated(f(old, operand), size);
    exchange(x, value, order);
    thread_read(me, old);
    if (tracing) trace(what, order, address, value, "", pc);
    return old;
}

/* The messages that a failing compare-and-swap may read: the last one first, if it holds another value. */
static int
failing(struct location *x, uint64_t expected, int low)
{
    int n = 0;
    for (int at = x->count - 1; at >= low; at--)
        if (x->messages[at]->value != expected) found[n++] = at;
    return n;
}

bool
explore_cas(uintptr_t address, int size, uint64_t *expected, uint64_t value, int order, int failure, void *pc)
{
    search_access(address, USE_UPDATE | (order == SEQ_CST ? USE_SC : 0));
    struct location *x = memory_locate(address, size);
    uint64_t latest = last(x)->value;
    int low = stamp(&me->cur, x);
    if (failure == SEQ_CST && stamp(&memory.sc, x) > low) low = stamp(&memory.sc, x);
    int can_succeed = latest == *expected, n = failing(x, *expected, low);
    int pick = search_choose(n + can_succeed);
    shadow_atomic(x, can_succeed && pick == 0, pc);
    if (can_succeed && pick == 0) {
        exchange(x, truncated(value, size), order);
        thread_read(me, 0);
        if (tracing) trace("cas", order, address, value, ", as it was expected", pc);
        return true;
    }
    int at = found[pick - can_succeed];
    *expected = x->messages[at]->value;
    receive(me, x, at, failure);
    x->read_at[me->id] = me->cur.clock[me->id];
    thread_read(me, mix(*expected, 1));
    if (tracing) trace("cas", failure, address, *expected, at == x->count - 1 ? ", failed" : " (old), failed", pc);
    return false;
}

void
memory_fence(int thread, int order)
{
    struct thread *t = &threads[thread];
    if (acquires(order)) {
        view_join(&t->cur, &t->acq);
        raise(t->causes.ordered, t->causes.pending);
        t->fenced = t->cur.clock[t->id];
    }
    if (order == SEQ_CST) {
        join_locations(&t->cur, &memory.sc);
        join_locations(&memory.sc, &t->cur);
    }
    if (releases(order)) {
        view_copy(&t->rel, &t->cur);
        tick(t);
    }
    view_join(&t->acq, &t->cur);
}

void
explore_fence(int order, void *pc)
{
    search_sees(&fences_seen);
    if (order == SEQ_CST) search_point();
    memory_fence(me->id, order);
    thread_read(me, 2);
    if (tracing) trace("fence", order, 0, 0, "", pc);
}
