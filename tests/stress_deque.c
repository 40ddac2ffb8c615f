/* stress_deque.c - the deque of a worker by itself: its owner against up to 15 thieves, every entry exactly once.
 *
 * In each round an owner pushes a few thousand entries of a pool of items, whose tickets go on with each use as those
 * of tasks do, and takes them back in every way that the scheduler has:
 *
 *      a deque of tasks      pop, pop_this, claims out of order, which leave stale entries that the item's next use
 *                            may lie beside; thieves claim what they steal
 *      a FIFO                take
 *      a deque of one alone  all of it, without thieves, against an array
 *
 * Each push has a number.  It is taken exactly once.  What is stolen is newer than all that this thief has stolen before; what
 * is popped is the newest that the owner has not taken, and everything above it has been claimed by the owner; what pop
 * leaves when it finds nothing is empty.  In between the deque grows, from 256 entries, or 2 in hard builds. */
#include "stress_kit.h"

#include "deque.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THIEVES = 15, MOST_ITEMS = 2048, PUSHES = 12000, IN_VAIN = 64 };
enum { QUEUED = 3, TAKEN = 4, PHASES = 256 }; /* a ticket is number * PHASES + phase */

#define KINDS(X) X(TASKS, "tasks") X(FIFO, "FIFO") X(ALONE, "alone")
enum kind { KINDS(STRESS_NAME) N_KINDS };
static const char *const kind_texts[] = {KINDS(STRESS_TEXT)};

struct item {
    struct runnable run;
    _Atomic bool free; /* taken: the owner may push it again */
};

static struct round {
    enum kind kind;
    int thieves, n_items, patience;
    struct deque d;
    struct item items[MOST_ITEMS];
    _Atomic int taken[PUSHES]; /* by number */
    _Atomic bool over;
    /* the owner's */
    uint64_t random;
    int pushed;
    int stack[PUSHES]; /* numbers that it has pushed and that may be in the deque, the newest last */
    int height;
    int least;                 /* number that it may still take */
    uint32_t index[PUSHES];    /* where it was put, by number */
    bool mine[PUSHES];         /* claimed out of order, by number */
    struct item *used[PUSHES]; /* what was pushed, by number */
} round_;

static long rounds[N_KINDS], pushes, pops, claims, takes, growths;
static atomic_long steals, losses, stale;

static int
number_of(struct entry e)
{
    return (int)(e.tag / PHASES);
}

/* The claim of a task: one CAS of its ticket. */
static bool
claim(struct item *i, int number)
{
    uint64_t tag = (uint64_t)number * PHASES + QUEUED;
    return cas_acq_rel(&i->run.ticket, &tag, tag - QUEUED + TAKEN); /* owner against thief, as weft__task_claim */
}

/* Somebody has got the push of this number. */
static void
got(struct item *i, int number, const char *who)
{
    struct round *r = &round_;
    if (number < 0 || number >= PUSHES) stress_die("%s got number %d, which was never pushed", who, number);
    if (stress_lose()) return;
    if (add_relaxed(&r->taken[number], 1) != 0) stress_die("%s got number %d, which was taken before", who, number);
    store_release(&i->free, true); /* pairs with the next push of the item */
}

static bool
is_stale(struct entry e)
{
    uint64_t ticket = load_relaxed(&e.item->ticket); /* relaxed: it only grows */
    if (ticket < e.tag) stress_die("entry %d was seen before its item's ticket", number_of(e));
    return true;
}

static void *
be_thief(void *arg)
{
    struct round *r = &round_;
    int last = -1, in_vain = 0;
    long n_stolen = 0, n_lost = 0, n_stale = 0;
    (void)arg;
    while (!load_acquire(&r->over)) { /* pairs with the end of the round */
        struct entry e;
        enum deque_result result = weft__deque_steal(&r->d, &e);
        n_lost += result == DEQUE_LOST;
        if (result != DEQUE_ITEM) {
            if (++in_vain > r->patience) sched_yield(); /* the owner may be waiting for this core */
            else weft__pause();
            continue;
        }
        in_vain = 0;
        int number = number_of(e);
        if (number <= last) stress_die("a thief stole number %d after %d", number, last);
        last = number;
        n_stolen++;
        struct item *i = weft__container(e.item, struct item, run);
        if (r->kind == FIFO || claim(i, number)) got(i, number, "a thief");
        else n_stale += is_stale(e);
    }
    stress_count(&steals, n_stolen);
    stress_count(&losses, n_lost);
    stress_count(&stale, n_stale);
    return NULL;
}

/* Pushes an item that is free; there may be none. */
static void
push(void)
{
    struct round *r = &round_;
    struct item *i = &r->items[stress_dice(&r->random, r->n_items)];
    if (r->pushed == PUSHES || !load_acquire(&i->free)) return; /* acquire: pairs with got */
    int number = r->pushed;
    uint64_t tag = (uint64_t)number * PHASES + QUEUED;
    r->index[number] = weft__deque_index(&r->d);
    struct deque_array *before = load_relaxed(&r->d.array); /* relaxed: the owner's */
    store_relaxed(&i->free, false);                         /* relaxed: only the owner looks until it is taken */
    store_relaxed(&i->run.ticket, tag);                     /* relaxed: the push publishes it */
    if (!weft__deque_push(&r->d, &i->run, tag)) {
        if (!stress_failing()) stress_die("the deque could not grow");
        store_relaxed(&i->run.ticket, tag - QUEUED + TAKEN); /* relaxed: nobody has seen it */
        store_relaxed(&i->free, true);                       /* relaxed: as above */
        return;
    }
    growths += load_relaxed(&r->d.array) != before; /* relaxed: the owner's */
    r->used[number] = i;
    r->stack[r->height++] = number;
    r->pushed++;
    pushes++;
}

/* The owner has popped this number: what it pushed after it is its own by now. */
static void
popped(int number)
{
    struct round *r = &round_;
    while (r->height > 0 && r->stack[r->height - 1] != number) {
        int above = r->stack[--r->height];
        if (!r->mine[above]) stress_die("number %d was popped, and %d lay above it", number, above);
    }
    if (r->height == 0) stress_die("number %d was popped, which the owner had taken", number);
    r->height--;
    struct item *i = r->used[number];
    uint64_t tag = (uint64_t)number * PHASES + QUEUED;
    uint64_t ticket = load_relaxed(&i->run.ticket); /* relaxed: nobody else may take it */
    if (ticket != tag) stress_die("number %d was popped with another ticket", number);
    store_relaxed(&i->run.ticket, tag - QUEUED + TAKEN); /* relaxed: a popper is alone with it */
    got(i, number, "the owner");
    pops++;
}

static bool
pop(void)
{
    struct round *r = &round_;
    struct entry e;
    if (weft__deque_pop(&r->d, &e)) {
        popped(number_of(e));
        return true;
    }
    if (weft__deque_size(&r->d) != 0) stress_die("pop found nothing, and left something");
    /* What was there went to thieves, or was claimed. */
    r->height = 0;
    return false;
}

/* What the owner does to join a child: pops it if it lies lowest, or claims it where it lies. */
static void
join(void)
{
    struct round *r = &round_;
    int depth = stress_dice(&r->random, stress_dice(&r->random, 3) ? 2 : 12);
    if (depth >= r->height) return;
    int number = r->stack[r->height - 1 - depth];
    struct item *i = r->used[number];
    uint64_t tag = (uint64_t)number * PHASES + QUEUED;
    struct entry e;
    if (load_relaxed(&i->run.ticket) != tag) return; /* relaxed: the claim decides */
    bool lowest = stress_dice(&r->random, 8);        /* a claim goes everywhere */
    if ((lowest && weft__deque_pop_this(&r->d, r->index[number])) ||
        (lowest && weft__deque_at_bottom(&r->d, r->index[number]) && weft__deque_pop(&r->d, &e))) {
        popped(number);
    } else if (claim(i, number)) {
        r->d.stale++;
        r->mine[number] = true;
        got(i, number, "a claim");
        claims++;
    }
}

static bool
take(void)
{
    struct round *r = &round_;
    struct entry e;
    if (!weft__deque_take(&r->d, &e)) {
        if (weft__deque_size(&r->d) != 0) stress_die("take found nothing, and left something");
        return false;
    }
    int number = number_of(e);
    if (number < r->least) stress_die("the owner took number %d after %d", number, r->least - 1);
    r->least = number + 1;
    got(weft__container(e.item, struct item, run), number, "a take");
    takes++;
    return true;
}

/* Alone the owner knows exactly what is there. */
static void
check_alone(void)
{
    struct round *r = &round_;
    int live = 0;
    for (int k = 0; k < r->pushed; k++) live += load_relaxed(&r->taken[k]) == 0; /* relaxed: one thread */
    int64_t size = weft__deque_size(&r->d);
    if (size < live) stress_die("%d entries are live, and %d are in the deque", live, (int)size);
    while (live > 0) {
        if (!pop()) stress_die("%d entries are live, and pop finds nothing", live);
        live--;
    }
    if (pop()) stress_die("pop finds more than there is");
}

/* A stretch of one mood: growing, shrinking, or both in turns, as in a recursion. */
static void
be_owner_for_a_while(void)
{
    struct round *r = &round_;
    static const int moods[][4] = {{8, 1, 1, 4}, {1, 8, 1, 4}, {4, 2, 2, 8}, {1, 1, 1, 1}, {3, 0, 4, 0}};
    const int *mood = moods[stress_dice(&r->random, sizeof moods / sizeof *moods)];
    for (int steps = stress_dice(&r->random, 200); steps >= 0 && r->pushed < PUSHES; steps--) {
        for (int k = stress_dice(&r->random, mood[0] + 1); k > 0; k--) push();
        for (int k = stress_dice(&r->random, mood[1] + 1); k > 0; k--) {
            if (r->kind == FIFO ? !take() : !pop()) break;
        }
        if (r->kind == FIFO) continue;
        for (int k = stress_dice(&r->random, mood[2] + 1); k > 0; k--) join();
        if (mood[3] && stress_dice(&r->random, 64 * mood[3]) == 0 && r->kind == ALONE) check_alone();
    }
    if (stress_dice(&r->random, 8) == 0) sched_yield();
}

static void
check_round(void)
{
    struct round *r = &round_;
    if (weft__deque_size(&r->d) != 0) stress_die("the deque is not empty in the end");
    for (int k = 0; k < r->pushed; k++) {
        int n = load_relaxed(&r->taken[k]); /* relaxed: after the joins */
        if (n != 1) stress_die("number %d was taken %d times", k, n);
    }
}

static void
run_round(unsigned number, uint64_t random)
{
    struct round *r = &round_;
    pthread_t thieves[MOST_THIEVES];
    (void)number;
    memset(r, 0, sizeof *r);
    r->random = random;
    r->kind = (enum kind)stress_dice(&r->random, N_KINDS);
    static const int crowds[] = {1, 1, 2, 3, MOST_THIEVES};
    r->thieves = r->kind == ALONE ? 0 : crowds[stress_dice(&r->random, sizeof crowds / sizeof *crowds)];
    r->patience = stress_dice(&r->random, IN_VAIN);
    r->n_items = 1 + stress_dice(&r->random, stress_dice(&r->random, 2) ? 16 : MOST_ITEMS);
    for (int k = 0; k < r->n_items; k++) store_relaxed(&r->items[k].free, true); /* relaxed: one thread yet */
    while (!weft__deque_init(&r->d, r->kind == ALONE)) {
        if (!stress_failing()) stress_die("no deque");
    }
    for (int k = 0; k < r->thieves; k++) thieves[k] = stress_thread(be_thief, NULL);
    while (r->pushed < PUSHES) be_owner_for_a_while();
    while (r->kind == FIFO ? take() : pop()) continue;
    store_release(&r->over, true); /* pairs with the thieves' look */
    for (int k = 0; k < r->thieves; k++) stress_join_thread(thieves[k]);
    check_round();
    weft__deque_fini(&r->d);
    rounds[r->kind]++;
}

static void
describe(FILE *out)
{
    const struct round *r = &round_;
    fprintf(out, "%s, %d thieves, %d items; %d pushed, top %lld, bottom %lld\n", kind_texts[r->kind], r->thieves,
            r->n_items, r->pushed, (long long)load_relaxed(&r->d.top), (long long)load_relaxed(&r->d.bottom));
}

static void
totals(FILE *out)
{
    stress_print_rounds(out, kind_texts, rounds, N_KINDS);
    fprintf(out, "; %ld pushed, %ld popped, %ld claimed, %ld taken, %ld stolen, %ld stale, %ld lost races, %ld growths",
            pushes, pops, claims, takes, stress_counted(&steals), stress_counted(&stale), stress_counted(&losses),
            growths);
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_deque", run_round, describe, totals});
}
