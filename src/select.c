/*
 * select.c - executing exactly one of several operations, and waiting until that is possible.  [layer 5]
 *
 * Hazard.  Four.  Two wakers execute two cases of one select.  A select looks at its objects one after the other, and parks, or
 * says that none is ready, though at every instant one of them was.  Two selects that lock the same objects in different
 * orders wait for each other.  And a case that was not executed leaves something behind: a registration in a queue, or a
 * value that was handed to nobody.
 *
 *      select                                        waker of one case
 *      Q1  look at each case without a lock; if      W1  lock the object
 *          one seems ready, lock its object, try     W2  take the oldest registration out of the list
 *      Q2  lock all objects, in order                W3  claim its park; lost: back to W2
 *      Q3  is a case ready?  Execute one: Q5         W4  move the value; unlock
 *      Q4  arm; register with each object            W5  write index and code; wake
 *      Q5  and unlock it
 *      Q6  executed, or not to wait: return
 *      Q7  park
 *      Q8  for each object: lock, withdraw each
 *          registration that has not won; unlock
 *
 * Invariant.  Outside of its locks, a select that waits is registered with every object, and with none of them was there
 * anything to do when it was registered.
 *
 * Proof.  One case: all registrations have the ticket of one park, and a park is claimed once (park.c).  Who loses at W3 has
 * moved no value yet, and goes on to the next under the same lock: no grant is lost.
 *   One instant: at the end of Q2 all objects are locked, each stays so to its Q5, and nothing is looked at in Q3 that
 * could change meanwhile.  So if Q3 finds nothing, nothing was ready at that instant; and what becomes ready after Q5 finds the
 * registration.  (Whoever claims the park by one object while others are still locked does no harm: those are withdrawn from.)
 *   No deadlock: whoever holds the lock of one selectable object and wants that of another is a select in Q2.  (Everybody else
 * holds at most one: channels, events and the ends of tasks wake, call back and report after they have unlocked.  What is
 * locked below them - the heap, the timers' wheel, sleepers, the list of blocked threads, scopes - takes none of theirs.)
 * Selects take them in the order of the objects' addresses, an order of all objects of all kinds: in a circle of selects that
 * wait for each other, each would hold an object below the one that it wants, and the next one would hold that.
 *   Nothing is left: in Q8 the select gets the lock of each object.  A waker that took the registration out of the list has
 * lost at W3 before that, or else it has won; a registration that is still there is removed.  The object of the case that won
 * is not touched, except for other cases with it: it may be gone (an event that its waiter frees).
 *
 * Q1 is not needed, it is for speed: one lock for a select that need not wait, as for the operation itself.  That is allowed:
 * a case that was executed under its own lock was ready, whatever the others were.  The choice stays as even as in Q3: of n
 * cases that may be ready one is tried, each being as likely, and if it is not, Q3 chooses among the r that are; so each of
 * those has 1/n + (1 - r/n)/r = 1/r.  With WEFT_BIASED only the first is tried, for it alone has nobody before it.  Of a
 * single case, what Q1 sees not to be ready was not ready at a moment, and that is all that WEFT_NOW asks for.
 *
 * Choice.  All cases are looked at, and of the k that were ready so far the last is kept with probability 1/k: each is as
 * likely, with no array of random order.  (Go shuffles: a random number for each case, where here there is one for each
 * ready case but the first.)
 *
 * Itself.  A take and a put of one select on one rendezvous: in Q3 neither is registered, in Q4 nobody looks.  So it never
 * meets itself.  Registrations with the same object go into its list from a random one on, forwards or backwards, so that of
 * two with the same queue each is the first half of the time.
 *
 * Descriptors have no lock, and no place in the order: they are looked at in Q1, by poll(2), and Q3 goes by what that saw.  A task
 * registers with the reactor last, between Q5 and Q7: epoll reports a state, so nothing is missed, and no lock is held over a
 * system call.  Who is woken by one looks again; if somebody else was faster, all begins anew.
 *
 * Memory.  All that a select keeps is in the cases themselves: so there may be any number of them.  The order of locking is
 * sorted in place: by insertion, above FEW cases as a heap.
 *
 * Rejected.  Locking one object at a time throughout (crossbeam): no one instant.  Keeping the locks until the context is saved
 * (Go): here a wake may come before that (park.c).  A global lock for selects of several objects: plain operations would
 * have to take it, too.
 *
 * Checked.  tests/model_select.c, tests/test_select*.c, tests/stress_select.c.
 */
#include "channel_select.h"
#include "hook.h"
#include "reactor.h"
#include "scheduler.h"

#include <limits.h>

enum { FEW = 16, AGAIN = INT_MIN };

/* ---- What the kinds have in common ---- */

/* Channels are done here, without a table. */
static const struct select_kind *const kinds[] = {
    [WEFT_CASE_TAKE] = NULL,
    [WEFT_CASE_PUT] = NULL,
    [WEFT_CASE_DONE] = &weft__select_done,
    [WEFT_CASE_EVENT] = &weft__select_event,
    [WEFT_CASE_READABLE] = NULL, /* nothing to lock: see below */
    [WEFT_CASE_WRITABLE] = NULL,
};

static inline bool
is_valid(const weft_case *k)
{
    return (unsigned)k->kind - 1 < weft__countof(kinds) - 1;
}

static inline bool
is_channel(const weft_case *k)
{
    return weft__likely(k->kind <= WEFT_CASE_PUT);
}

static inline bool
is_descriptor(const weft_case *k)
{
    return weft__unlikely(k->kind >= WEFT_CASE_READABLE);
}

static inline enum select_look
look(weft_case *k)
{
    if (is_descriptor(k)) return (k->rc = weft__select_poll(k)) ? LOOK_YES : LOOK_NO;
    if (!is_channel(k)) return kinds[k->kind]->look(k);
    return k->kind == WEFT_CASE_TAKE ? weft__take_look(k) : weft__put_look(k);
}

static inline void
lock(const weft_case *k)
{
    weft__hook();
    if (is_channel(k)) weft__acquire(&((weft_channel *)k->object)->lock);
    else kinds[k->kind]->lock(k->object);
}

static inline void
unlock(const weft_case *k)
{
    if (is_channel(k)) weft__unlock(&((weft_channel *)k->object)->lock);
    else kinds[k->kind]->unlock(k->object);
}

static inline bool
is_ready(const weft_case *k)
{
    if (is_descriptor(k)) return k->rc != 0; /* as Q1 has seen it */
    if (!is_channel(k)) return kinds[k->kind]->ready(k);
    return k->kind == WEFT_CASE_TAKE ? weft__take_ready(k) : weft__put_ready(k);
}

static inline bool
execute(weft_case *k, struct list *ready)
{
    if (is_descriptor(k)) return true;
    if (!is_channel(k)) return kinds[k->kind]->execute(k, ready);
    return k->kind == WEFT_CASE_TAKE ? weft__take_execute(k, ready) : weft__put_execute(k, ready);
}

static inline void
enroll(weft_case *k, struct wait *w, uint32_t index, struct list *ready)
{
    if (!is_channel(k)) kinds[k->kind]->enroll(k, w, index, ready);
    else if (k->kind == WEFT_CASE_TAKE) weft__take_enroll(k, w, index);
    else weft__put_enroll(k, w, index, ready);
}

static inline void
withdraw(weft_case *k)
{
    if (!is_channel(k)) kinds[k->kind]->withdraw(k);
    else if (k->kind == WEFT_CASE_TAKE) weft__take_withdraw(k);
    else weft__put_withdraw(k);
}

static inline int
outcome(weft_case *k, int code)
{
    return is_channel(k) ? code : kinds[k->kind]->outcome(k, code);
}

/* ---- The select ---- */

struct select {
    weft_case *cases;
    size_t n, enabled; /* enabled: those with an object; in select_locked, how many are in order */
    size_t descriptors;
    int64_t pause; /* of a plain thread: until it looks at the descriptors again */
    bool biased;
    struct context *context;
};

/* A number below n. */
static uint32_t
draw(const struct select *s, uint32_t n)
{
    static _Atomic uint64_t threads;
    if (s->context) return weft__rng_below(&s->context->worker->rng, n);
    struct rng r;
    weft__rng_seed(&r, add_relaxed(&threads, 1)); /* relaxed: any number will do */
    return weft__rng_below(&r, n);
}

/* Of those that are ready, the found-th has just been found: is it to be the choice, so far? */
static inline bool
prefer(const struct select *s, uint32_t found)
{
    return found == 1 || (!s->biased && draw(s, found) == 0);
}

/* The j-th case in the order of locking. */
static inline weft_case **
place(const struct select *s, size_t j)
{
    return &weft__case_part(&s->cases[j])->ordered;
}

static inline weft_case *
ordered(const struct select *s, size_t j)
{
    return *place(s, j);
}

static inline uintptr_t
address(const weft_case *k)
{
    return (uintptr_t)k->object;
}

static inline void
sort_few(const struct select *s)
{
    for (size_t i = 1; i < s->enabled; i++) {
        weft_case *k = ordered(s, i);
        size_t j = i;
        for (; j > 0 && address(ordered(s, j - 1)) > address(k); j--) *place(s, j) = ordered(s, j - 1);
        *place(s, j) = k;
    }
}

/* Lets k sink from the i-th place of a heap of n, whose root is the last in order. */
static void
sift(const struct select *s, size_t i, size_t n, weft_case *k)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && address(ordered(s, child + 1)) > address(ordered(s, child))) child++;
        if (address(k) >= address(ordered(s, child))) break;
        *place(s, i) = ordered(s, child);
    }
    *place(s, i) = k;
}

static weft__noinline void
sort_many(struct select s)
{
    for (size_t i = s.enabled / 2; i-- > 0;) sift(&s, i, s.enabled, ordered(&s, i));
    for (size_t n = s.enabled; n-- > 1;) {
        weft_case *k = ordered(&s, n);
        *place(&s, n) = ordered(&s, 0);
        sift(&s, 0, n, k);
    }
}

static inline void
sort(struct select *s)
{
    s->enabled = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->cases[i].object && !is_descriptor(&s->cases[i])) *place(s, s->enabled++) = &s->cases[i];
    }
    if (weft__likely(s->enabled <= FEW)) sort_few(s);
    else sort_many(*s);
}

/* Where the cases with the object of the j-th in order end. */
static inline size_t
group_end(const struct select *s, size_t j)
{
    const void *object = ordered(s, j)->object;
    do j++;
    while (j < s->enabled && ordered(s, j)->object == object);
    return j;
}

/* Q3.  Of those that are ready, the one to execute; NULL: none is. */
static inline weft_case *
choose(const struct select *s)
{
    weft_case *choice = NULL;
    uint32_t found = 0;
    for (size_t i = 0; i < s->n && !(s->biased && found); i++) {
        weft_case *k = &s->cases[i];
        if (k->object && is_ready(k) && prefer(s, ++found)) choice = k;
    }
    return choice;
}

/* Q2.  Whether any of them is ready. */
static inline bool
lock_all(const struct select *s)
{
    const void *last = NULL;
    bool ready = false;
    for (size_t j = 0; j < s->enabled; j++) {
        const weft_case *k = ordered(s, j);
        if (k->object != last) lock(k);
        last = k->object;
        ready = ready || is_ready(k);
    }
    return ready;
}

/* Q5. */
static inline void
unlock_all(const struct select *s)
{
    for (size_t j = 0; j < s->enabled; j = group_end(s, j)) unlock(ordered(s, j));
}

/* Q4 for the cases from j to end, which have one object: in order, or from a random one on, forwards or backwards. */
static inline void
enroll_group(const struct select *s, size_t j, size_t end, struct wait *w, struct list *ready)
{
    uint32_t n = (uint32_t)(end - j), random = s->biased || n == 1 ? 0 : draw(s, 2 * n);
    for (uint32_t i = random / 2, left = n; left > 0; left--) {
        weft_case *k = ordered(s, j + i);
        enroll(k, w, (uint32_t)(k - s->cases), ready);
        if (random % 2) i = i ? i - 1 : n - 1;
        else i = i + 1 < n ? i + 1 : 0;
    }
}

/* Q4 and Q5. */
static inline void
enroll_all(const struct select *s, struct wait *w, struct list *ready)
{
    weft__wait_begin(w, s->context, "select", true);
    for (size_t j = 0, end; j < s->enabled; j = end) {
        end = group_end(s, j);
        enroll_group(s, j, end, w, ready);
        if (s->enabled > 1)
            store_relaxed(&w->parker->object, NULL); /* relaxed: for people: it waits for no one thing */
        unlock(ordered(s, j));
    }
}

/* Q8.  winner: NULL if there is none. */
static inline void
withdraw_all(const struct select *s, const weft_case *winner)
{
    for (size_t j = 0, end; j < s->enabled; j = end) {
        weft_case *first = ordered(s, j);
        end = group_end(s, j);
        if (first == winner && end == j + 1) continue;
        lock(first);
        for (size_t i = j; i < end; i++) {
            if (ordered(s, i) != winner) withdraw(ordered(s, i));
        }
        unlock(first);
    }
}

/* ---- Descriptors ---- */

/* Registers with the reactor, for all descriptors in order.  What it said to the last of them, *stopped; 0: that is none. */
static weft__noinline int
register_descriptors(const struct select *s, struct wait *w, size_t *stopped)
{
    int rc = 0;
    for (*stopped = 0; *stopped < s->n && rc == 0; *stopped += rc == 0) {
        weft_case *k = &s->cases[*stopped];
        if (!k->object || !is_descriptor(k)) continue;
        rc = weft__reactor_register(weft__select_fd(k), k->kind - WEFT_CASE_READABLE, w, weft__case_waiter(k),
                                    (uint32_t)*stopped);
    }
    return rc;
}

static weft__noinline void
withdraw_descriptors(const struct select *s, size_t end)
{
    for (size_t i = 0; i < end; i++) {
        weft_case *k = &s->cases[i];
        if (k->object && is_descriptor(k))
            weft__reactor_withdraw(weft__select_fd(k), k->kind - WEFT_CASE_READABLE, weft__case_waiter(k));
    }
}

/* Parks a task that waits for descriptors as well; it is registered with all objects.  The code of the wait; the index is in
 * the parker, or was set here. */
static weft__noinline int
park_with_descriptors(const struct select *s, struct wait *w, weft_time deadline, uint32_t *index)
{
    size_t stopped;
    int rc = register_descriptors(s, w, &stopped), code;
    if (rc != 0 && weft__wait_abandon(w)) {
        code = rc == REACTOR_READY ? 0 : rc;
        *index = rc == REACTOR_CLOSING ? PARK_INTERRUPTED : (uint32_t)stopped;
    } else {
        code = weft__wait_park(w, rc != 0 ? WEFT_FOREVER : deadline);
        *index = w->parker->index;
    }
    withdraw_descriptors(s, stopped);
    return code;
}

/* The descriptor that ended the park, with this code, is looked at again.  0: it is not ready, after all. */
static weft__noinline int
descriptor_outcome(weft_case *k, int code)
{
    return code < 0 ? code : weft__select_poll(k);
}

/* ---- Steps Q2 to Q8 ---- */

/* The caller did not have to wait. */
static inline void
spend(struct context *c, weft_time deadline)
{
    if (deadline != WEFT_NOW) weft__sched_spend(c, COST_CHANNEL);
}

/* Q7 to Q8, of the select that is registered everywhere but with the reactor. */
static inline int
park_registered(const struct select *s, struct wait *wait, weft_time deadline)
{
    uint32_t index;
    int code;
    if (weft__unlikely(s->descriptors && s->context)) {
        code = park_with_descriptors(s, wait, deadline, &index);
    } else {
        code = weft__wait_park(wait, deadline); /* Q7 */
        index = wait->parker->index;
    }
    weft_case *k = index == PARK_INTERRUPTED ? NULL : &s->cases[index];
    withdraw_all(s, k);
    if (!k) return code == REACTOR_CLOSING ? AGAIN : code;
    k->rc = is_descriptor(k) ? descriptor_outcome(k, code) : outcome(k, code);
    return is_descriptor(k) && k->rc == 0 ? AGAIN : (int)index;
}

/* Q2 to Q8.  AGAIN: nothing was done, and all is to begin anew. */
static weft__noinline int
select_locked(weft_case *cases, size_t n, size_t descriptors, bool biased, struct context *context, weft_time deadline)
{
    struct select s = {.cases = cases, .n = n, .descriptors = descriptors, .biased = biased, .context = context};
    struct wait wait;
    struct list ready = {NULL, NULL};
    weft_case *k = NULL;
    sort(&s);
    /* Each turn, but the last, takes somebody out of the way who cannot be woken any more. */
    if (lock_all(&s) || descriptors)
        while ((k = choose(&s)) && !execute(k, &ready)) continue;
    bool park = !k && deadline != WEFT_NOW;
    if (park) enroll_all(&s, &wait, &ready);
    else unlock_all(&s);
    if (!weft__list_empty(&ready)) weft__waiter_wake_all(&ready);
    if (park) return park_registered(&s, &wait, deadline);
    spend(context, deadline); /* Q6 */
    return k ? (int)(k - s.cases) : WEFT_EAGAIN;
}

/* Executes k if that is possible, under the lock of its object alone. */
static inline bool
execute_alone(weft_case *k)
{
    struct list ready = {NULL, NULL};
    if (is_descriptor(k)) return true;
    lock(k);
    bool executed = execute(k, &ready);
    unlock(k);
    if (!weft__list_empty(&ready)) weft__waiter_wake_all(&ready);
    return executed;
}

/* What a look at all of the cases has found. */
struct glance {
    size_t choice;              /* the one to try; n: none */
    size_t only;                /* the last that is enabled */
    enum select_look only_look; /* what was seen of it */
};

/* Q1, the look.  A negative code: the cases are not in order. */
static inline int
look_at_all(struct select *s, struct glance *g)
{
    uint32_t found = 0;
    s->enabled = s->descriptors = 0;
    for (size_t i = 0; i < s->n; i++) {
        weft_case *k = &s->cases[i];
        if (!k->object) continue;
        if (weft__unlikely(!is_valid(k))) return WEFT_EINVAL;
        if (weft__unlikely(k->kind == WEFT_CASE_DONE) && s->context && s->context->task == k->object)
            return WEFT_EDEADLK;
        g->only_look = look(k);
        g->only = i;
        s->descriptors += is_descriptor(k);
        if (g->only_look == LOOK_YES && (!s->biased || s->enabled == 0) && prefer(s, ++found)) g->choice = i;
        s->enabled++;
    }
    return 0;
}

/* A case without any other: what need not be done by way of the lock.  false: nothing, so far. */
static bool
select_single(const struct select *s, const struct glance *g, weft_time deadline, int *result)
{
    weft_case *k = &s->cases[g->only];
    if (deadline == WEFT_NOW && g->only_look == LOOK_NO) {
        *result = WEFT_EAGAIN;
        return true;
    }
    if (k->kind != WEFT_CASE_DONE || deadline != WEFT_FOREVER || !weft__run_child(k->object)) return false;
    k->rc = outcome(k, 0);
    *result = (int)g->only;
    return true;
}

/* A plain thread sleeps without the reactor: it looks at its descriptors now and then. */
static weft__noinline weft_time
next_look(struct select *s, weft_time deadline)
{
    enum { PAUSE_FIRST = 1000000, PAUSE_MOST = 32000000 };
    s->pause = s->pause == 0 ? PAUSE_FIRST : s->pause < PAUSE_MOST ? 2 * s->pause : s->pause;
    weft_time look = weft_in(s->pause);
    return deadline != WEFT_NOW && look < deadline ? look : deadline;
}

/* One turn: as weft_select_until, or AGAIN. */
static inline int
select_once(struct select *s, weft_time deadline)
{
    struct glance g = {.choice = s->n};
    int result = look_at_all(s, &g);
    if (weft__unlikely(result < 0)) return result;
    if (weft__cancelled(s->context)) return WEFT_ECANCELED;
    if (g.choice < s->n && execute_alone(&s->cases[g.choice])) {
        spend(s->context, deadline);
        return (int)g.choice;
    }
    if (s->enabled == 1 && select_single(s, &g, deadline, &result)) return result;
    if (weft__unlikely(s->descriptors && !s->context)) deadline = next_look(s, deadline);
    return select_locked(s->cases, s->n, s->descriptors, s->biased, s->context, deadline);
}

/* After a turn of a select with descriptors: must there be another? */
static weft__noinline bool
unfinished(const struct select *s, int result, weft_time deadline)
{
    if (result == AGAIN) weft_yield();
    return result == AGAIN || (result == WEFT_ETIMEDOUT && !s->context && weft_now() < deadline);
}

int
weft_select_until(weft_case *cases, size_t n, unsigned flags, weft_time deadline)
{
    struct select s = {.cases = weft__opaque(cases), .n = n, .biased = flags & WEFT_BIASED};
    int result;
    if ((!cases && n > 0) || n > INT_MAX || (flags & ~(unsigned)WEFT_BIASED)) return WEFT_EINVAL;
    s.context = weft__context_fast();
    do result = select_once(&s, deadline);
    while (weft__unlikely(s.descriptors) && unfinished(&s, result, deadline));
    return result;
}

int
weft_select(weft_case *cases, size_t n, unsigned flags)
{
    return weft_select_until(cases, n, flags, WEFT_FOREVER);
}
