/*
 * timerq.c - deadlines: a hierarchical timing wheel.  [layer 3]
 *
 * Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP 1987), scheme 7, with a bitmap of the occupied
 * slots of each level.  Time counts in ticks of 2^13 ns (8.2 us).  LEVELS levels of 64 slots: a slot of level l covers
 * 64^l ticks.  A timer is kept at the highest level at which its tick and the wheel's current tick differ, so every
 * timer of a slot of level l is due in one stretch of 64^l ticks, and moves to a lower level when the wheel reaches
 * that stretch: at most LEVELS moves.
 *
 * A deadline is rounded up to a tick, so nothing fires early.
 *
 * Firing against deleting.  Both take the lock.  A timer that fires is taken out of the wheel, and its parker claimed,
 * under the lock; after it only the parker is touched, which lives until it is woken.  So when weft__timer_del has
 * returned, the timer may be gone.
 *
 * `next` is the time of the first occupied slot.  A new timer can only make it earlier, and one that is taken back only
 * later, if it was the last in its slot: then, and after a poll, all levels are looked at.  So while `next` is a time, a
 * deadline is pending: deadlock.c counts on that.  It is stored under the lock, and read without: too late a value is
 * excluded by the idle protocol's handshake (weft__timers_nearer), too early a value costs a poll.
 *
 * Rejected.  A heap: removal from a million pending timers costs ten cache misses, and an array may fail to grow.  A
 * pairing heap: one pop after a million pushes passes over all of them, under the lock.
 *
 * Checked.  tests/model_timer.c: a deadline against a wake, and two pollers.  tests/model_sentinel.c: that the sleep of
 * workers ends with the first.  tests/test_timerq.c, tests/stress_timer.c.
 */
#include "timerq.h"

#include "clock.h"
#include "scope.h"

#include <weft/error.h>

enum { LEVELS = 8, SLOT_BITS = 6, SLOTS = 1 << SLOT_BITS, TICK_BITS = 13, BATCH = 64 };

static struct {
    weft__lock lock;
    uint64_t tick;             /* everything due at or before it has fired */
    uint64_t occupied[LEVELS]; /* bit s: slots[level][s] is not empty */
    struct list slots[LEVELS][SLOTS];
    weft__aligned(WEFT_CACHE_LINE) _Atomic int64_t next;
    bool started;
} wheel = {.next = INT64_MAX};

static uint64_t
tick_of(int64_t when)
{
    uint64_t tick = ((uint64_t)when + (1u << TICK_BITS) - 1) >> TICK_BITS;
    uint64_t most = wheel.tick + (UINT64_C(1) << (LEVELS * SLOT_BITS)) - 1;
    return tick < most ? tick : most; /* 73 years: it is looked at again then */
}

static unsigned
level_of(uint64_t tick)
{
    uint64_t differing = (tick ^ wheel.tick) | (SLOTS - 1);
    unsigned level = (63u - (unsigned)__builtin_clzll(differing)) / SLOT_BITS;
    return level < LEVELS ? level : LEVELS - 1;
}

/* The tick at which the wheel has to look at t's slot. */
static uint64_t
insert(struct timer *t)
{
    uint64_t tick = tick_of(t->when);
    if (tick <= wheel.tick) tick = wheel.tick + 1; /* due: at the next step */
    unsigned level = level_of(tick);
    unsigned slot = (unsigned)(tick >> (level * SLOT_BITS)) % SLOTS;
    t->slot = (uint16_t)(level * SLOTS + slot);
    weft__list_append(&wheel.slots[level][slot], &t->node);
    wheel.occupied[level] |= UINT64_C(1) << slot;
    return tick >> (level * SLOT_BITS) << (level * SLOT_BITS);
}

/* The first tick at which a slot is due, and which; UINT64_MAX: none.  Of two that are due together the higher level:
 * what it holds may be due at that tick too. */
static uint64_t
first_slot(unsigned *level, unsigned *slot)
{
    uint64_t first = UINT64_MAX;
    for (unsigned l = 0; l < LEVELS; l++) {
        if (!wheel.occupied[l]) continue;
        uint64_t next = (wheel.tick >> (l * SLOT_BITS)) + 1;
        unsigned from = (unsigned)next % SLOTS; /* slots come round in the order after the current one */
        uint64_t bits = wheel.occupied[l];
        uint64_t turned = from ? (bits >> from) | (bits << (SLOTS - from)) : bits;
        unsigned ahead = (unsigned)__builtin_ctzll(turned);
        uint64_t due = (next + ahead) << (l * SLOT_BITS);
        if (due > first) continue;
        first = due;
        *level = l;
        *slot = (from + ahead) % SLOTS;
    }
    return first;
}

static int64_t
time_of(uint64_t tick)
{
    return tick > (uint64_t)(INT64_MAX >> TICK_BITS) ? INT64_MAX : (int64_t)(tick << TICK_BITS);
}

static void
publish_next(int64_t when)
{
    store_relaxed(&wheel.next, when); /* relaxed: the lock, and the fences of the idle protocol, order it */
}

int64_t
weft__timers_next(void)
{
    return load_relaxed(&wheel.next); /* relaxed: see the essay */
}

static uint64_t
current_tick(void)
{
    return (uint64_t)weft__clock_now() >> TICK_BITS;
}

/* When the next timer is due; INT64_MAX: as before. */
static int64_t
add(struct timer *t, int64_t when)
{
    t->when = when;
    t->pending = true;
    weft__acquire(&wheel.lock);
    if (!wheel.started) {
        wheel.started = true;
        wheel.tick = current_tick();
    }
    int64_t due = time_of(insert(t));
    bool nearer = due < weft__timers_next();
    if (nearer) publish_next(due);
    weft__unlock(&wheel.lock);
    return nearer ? due : INT64_MAX;
}

void
weft__timer_add(struct timer *t, int64_t when, struct parker *p, uint64_t ticket)
{
    t->parker = p;
    t->ticket = ticket;
    int64_t nearer = add(t, when);
    if (nearer != INT64_MAX) weft__timers_nearer(nearer);
}

int64_t
weft__timer_add_scope(struct timer *t, int64_t when, struct scope *s)
{
    t->parker = NULL;
    t->scope = s;
    return add(t, when);
}

/* Returns whether that was the last one in its slot. */
static bool
take_out(struct timer *t)
{
    unsigned level = t->slot / SLOTS, slot = t->slot % SLOTS;
    weft__list_remove(&wheel.slots[level][slot], &t->node);
    bool last = weft__list_empty(&wheel.slots[level][slot]);
    if (last) wheel.occupied[level] &= ~(UINT64_C(1) << slot);
    return last;
}

void
weft__timer_del(struct timer *t)
{
    weft__acquire(&wheel.lock);
    if (t->pending) {
        unsigned level, slot;
        t->pending = false;
        if (take_out(t)) publish_next(time_of(first_slot(&level, &slot)));
    }
    weft__unlock(&wheel.lock);
}

/* Who a timer is for: claimed, or pinned. */
struct due {
    struct parker *parker;
    struct scope *scope;
};

/* A timer that is due, out of the wheel. */
static struct due
fire(struct timer *t)
{
    t->pending = false;
    if (!t->parker) {
        weft__scope_pin(t->scope); /* who closes it deletes the timer first: not before this lock is released */
        return (struct due){NULL, t->scope};
    }
    return (struct due){weft__park_claim(t->parker, t->ticket) ? t->parker : NULL, NULL};
}

static void
notify(struct due due)
{
    if (due.scope) {
        weft__scope_expire(due.scope);
        return;
    }
    weft__park_interrupt(due.parker, WEFT_ETIMEDOUT);
    weft__park_wake(due.parker, true); /* in order: one that is alone must not overtake those of the last poll */
}

/* Goes on to the next occupied slot that is due by tick `now`; moves or fires one timer of it.  Nobody: moved, or
 * nothing left (then *done). */
static struct due
step(uint64_t now, bool *done)
{
    unsigned level, slot;
    uint64_t due = first_slot(&level, &slot);
    if (due > now) {
        if (wheel.tick < now) wheel.tick = now;
        *done = true;
        return (struct due){NULL, NULL};
    }
    wheel.tick = due - 1; /* right before the slot, until that is empty */
    struct timer *t = weft__container(wheel.slots[level][slot].head, struct timer, node);
    (void)take_out(t);
    if (tick_of(t->when) > due) {
        wheel.tick = due;
        insert(t);
        wheel.tick = due - 1;
        return (struct due){NULL, NULL};
    }
    return fire(t);
}

void
weft__timers_poll(void)
{
    uint64_t now = current_tick();
    bool done = false;
    while (!done) {
        struct due ready[BATCH];
        unsigned count = 0, level, slot;
        weft__acquire(&wheel.lock);
        for (unsigned steps = 0; steps < 4 * BATCH && count < BATCH && !done; steps++) {
            ready[count] = step(now, &done);
            if (ready[count].parker || ready[count].scope) count++;
        }
        publish_next(time_of(first_slot(&level, &slot)));
        weft__unlock(&wheel.lock);
        for (unsigned i = 0; i < count; i++) notify(ready[i]);
    }
}
