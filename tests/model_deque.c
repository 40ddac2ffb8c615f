/* model_deque.c - the deque: everything that is pushed is taken exactly once, and its taker sees it whole.
 *
 * sources: deque.c
 * options: -b
 *
 * The smallest deque holds two entries, so a third makes it grow.  An entry is live while its runnable's ticket is its
 * tag; whoever takes an entry claims it by changing the ticket, as tasks are claimed. */
#include "deque.h"
#include "explore.h"

#include <assert.h>
#include <pthread.h>

enum { ITEMS = 5, TAG = 7 };

static struct item {
    struct runnable run;
    uint32_t index;
    int content; /* plain: written by the pusher, read by the taker */
    int taken;   /* plain: two takers would race for it */
} items[ITEMS];

static struct deque deque;

static void
push(int i)
{
    store_relaxed(&items[i].run.ticket, TAG); /* relaxed: the push publishes it */
    items[i].content = i;
    items[i].index = weft__deque_index(&deque);
    assert(weft__deque_push(&deque, &items[i].run, TAG));
    explore_forget();
}

static void
got(struct entry e)
{
    struct item *i = weft__container(e.item, struct item, run);
    assert(e.tag == TAG && i->content == (int)(i - items));
    i->taken++;
}

/* As a thief starts a task: by CAS, against a claim out of order. */
static bool
claim(struct runnable *r)
{
    uint64_t expected = TAG;
    return cas_acq_rel(&r->ticket, &expected, TAG + 1);
}

static void
steal(void)
{
    struct entry e;
    enum deque_result result = weft__deque_steal(&deque, &e);
    if (result == DEQUE_LOST) explore_reached("a thief loses a race");
    if (result == DEQUE_EMPTY) explore_reached("a thief finds nothing");
    if (result != DEQUE_ITEM) return;
    if (claim(e.item)) {
        explore_reached("a thief gets something");
        got(e);
    } else {
        explore_reached("a thief gets a stale entry");
    }
}

static bool
pop_by(bool (*pop_entry)(struct deque *d, struct entry *out))
{
    struct entry e;
    explore_forget();
    if (!pop_entry(&deque, &e)) return false;
    store_relaxed(&e.item->ticket, TAG + 1); /* relaxed: the popper is alone with it */
    got(e);
    return true;
}

static bool
pop(void)
{
    return pop_by(weft__deque_pop);
}

/* Claims what is the owner's, wherever it is in the deque; the entry stays behind. */
static bool
claim_out_of_order(int i)
{
    if (!claim(&items[i].run)) return false;
    deque.stale++;
    return true;
}

/* As a joiner does (join.c): from the bottom, or out of order. */
static void
join(int i)
{
    struct runnable *r = &items[i].run;
    struct entry e = {r, TAG};
    explore_forget();
    if (weft__deque_pop_this(&deque, items[i].index) ||
        (weft__deque_at_bottom(&deque, items[i].index) && weft__deque_pop(&deque, &e))) {
        store_relaxed(&r->ticket, TAG + 1); /* relaxed: as above */
    } else if (!claim_out_of_order(i)) {
        explore_reached("a join finds the item stolen");
        return;
    }
    assert(e.item == r);
    got(e);
}

static void *
thief(void *arg)
{
    for (int n = *(const int *)arg; n > 0; n--) {
        steal();
        explore_forget();
    }
    return NULL;
}

/* Two entries, two thieves: nobody takes what another takes. */
static void
two_thieves(void)
{
    push(0);
    push(1);
    pop_by(weft__deque_pop_lowest);
    pop();
}

/* The third push copies to a larger array, under the eyes of a thief; or finds room where that has stolen. */
static void
growth(void)
{
    push(0);
    push(1);
    push(2);
    push(3);
    pop();
    pop();
}

/* The children of a recursion, joined in the reverse order of their pushes. */
static void
reverse(void)
{
    push(0);
    push(1);
    join(1);
    join(0);
}

/* The slot of an entry that was stolen is used again. */
static void
reuse(void)
{
    push(0);
    push(1);
    pop();
    push(2);
    push(3);
    pop();
    pop();
}

/* Joined in the order of the pushes: all but the last are claimed out of order, and their entries dropped in bulk. */
static void
stale(void)
{
    push(0);
    push(1);
    push(2);
    join(0);
    join(1);
    join(2);
}

/* One that was claimed while it was the lowest. */
static void
stale_below(void)
{
    push(0);
    push(1);
    if (claim_out_of_order(1)) got((struct entry){&items[1].run, TAG});
    pop();
    pop();
}

/* The oldest first, as from a queue. */
static void
take(void)
{
    struct entry e;
    push(0);
    push(1);
    if (weft__deque_take(&deque, &e)) got(e);
    push(2);
    explore_forget();
    while (weft__deque_take(&deque, &e)) {
        got(e);
        explore_forget();
    }
}

static const struct scenario {
    const char *title;
    void (*owner)(void);
    int pushed, steals[2];
} scenarios[] = {
    {"two thieves", two_thieves, 2, {1, 1}}, {"children joined in reverse", reverse, 2, {1, 1}},
    {"growth", growth, 4, {2, 0}},           {"a slot used again", reuse, 4, {3, 0}},
    {"stale entries", stale, 3, {2, 0}},     {"a stale entry at the bottom", stale_below, 2, {2, 0}},
    {"oldest first", take, 3, {2, 0}},
};

const char *
explore_title(int index)
{
    return index < (int)weft__countof(scenarios) ? scenarios[index].title : NULL;
}

int
main(void)
{
    const struct scenario *s = &scenarios[explore_case];
    pthread_t threads[2];
    assert(weft__deque_init(&deque, false));
    explore_name(&deque.top, 8, "top");
    explore_name(&deque.bottom, 8, "bottom");
    explore_name(&deque.array, 8, "array");
    for (int k = 0; k < 2; k++)
        if (s->steals[k]) pthread_create(&threads[k], NULL, thief, (void *)(uintptr_t)&s->steals[k]);
    s->owner();
    for (int k = 0; k < 2; k++)
        if (s->steals[k]) pthread_join(threads[k], NULL);
    while (pop()) continue;
    for (int i = 0; i < s->pushed; i++) assert(items[i].taken == 1);
    weft__deque_fini(&deque);
    return 0;
}
