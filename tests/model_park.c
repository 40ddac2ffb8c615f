/* model_park.c - parking: each park is ended by exactly one waker, and goes on only when it is saved.
 *
 * sources: park.c futex.c clock.c
 * options: -t any
 *
 * The parker thread plays a worker: it arms, saves the context, which is a plain variable here, and makes the park visible
 * as the successor does.  Whoever queues the context resumes it on the spot: it looks at what was saved and at what the
 * claimer wrote, both plain, and may park once more.  Wakers get the ticket as from a list of waiters; a canceller knows
 * nothing, and what the last park left behind is ordered before it by the parker's word alone. */
#include "explore.h"
#include "park.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { PARKS = 2 };

static struct context context;
static int parks;                       /* how often it parks in this case */
static _Atomic uint64_t tickets[PARKS]; /* of each park, once it has begun */

/* The context's own, plain. */
static int saved; /* the number of the park whose registers are saved */
static int resumed;

/* What the claimer writes, beside index and code: the park that it meant, or ANY. */
enum { ANY = -1 };
static int meant;

static void
arm(void)
{
    uint64_t ticket = weft__park_arm(&context.parker, "model", true);
    store_release(&tickets[resumed], ticket); /* as registering does, under the object's lock */
}

static void go_on(void);

/* The parker leaves its stack, or finds that it has been woken already, as weft__suspend does. */
static void
leave(void)
{
    if (weft__park_woken(&context.parker)) {
        explore_reached("a wake comes before the parker leaves");
        go_on();
        return;
    }
    saved = resumed + 1;
    weft__park_saved(&context);
}

static void
go_on(void)
{
    if (saved != resumed + 1) assert(weft__park_woken(&context.parker)); /* it never left */
    assert(context.parker.code == 7 && context.parker.index == 3 && (meant == resumed || meant == ANY));
    if (++resumed == parks) return;
    arm();
    leave();
}

void
weft__ready(struct context *c, bool crowd)
{
    (void)crowd;
    assert(c == &context && saved == resumed + 1);
    go_on();
}

static void *
parker(void *arg)
{
    (void)arg;
    arm();
    leave();
    return NULL;
}

static void
write_result(int park)
{
    context.parker.index = 3;
    context.parker.code = 7;
    meant = park;
}

static void
wake(int park, uint64_t ticket)
{
    if (!weft__park_claim(&context.parker, ticket)) {
        explore_reached("a waker comes too late");
        return;
    }
    write_result(park);
    weft__park_wake(&context.parker, false);
}

/* The ticket of the park of this number; 0: it is not registered yet. */
static uint64_t
find(const int *park)
{
    return load_acquire(&tickets[*park]); /* as under the object's lock */
}

static void *
waker(void *arg)
{
    uint64_t ticket = find(arg);
    if (ticket) wake(*(const int *)arg, ticket);
    return NULL;
}

/* Runs the context itself, if it is saved already: a direct switch. */
static void *
taker(void *arg)
{
    uint64_t ticket = find(arg);
    if (!ticket || !weft__park_claim(&context.parker, ticket)) return NULL;
    write_result(*(const int *)arg);
    if (weft__park_is_saved(&context.parker)) {
        explore_reached("a claimer goes on with the context itself");
        weft__ready(&context, false);
    } else {
        weft__park_wake(&context.parker, false);
    }
    return NULL;
}

static _Atomic uint64_t moved; /* the ticket under which somebody else has to wake it */

/* Claims the park, and leaves the wake to another, as a condition leaves it to the mutex. */
static void *
mover(void *arg)
{
    uint64_t ticket = find(arg);
    if (!ticket || !weft__park_claim(&context.parker, ticket)) return NULL;
    write_result(ANY);
    store_release(&moved, weft__park_move(&context.parker, "moved", NULL)); /* as registering does */
    return NULL;
}

static void *
last_waker(void *arg)
{
    uint64_t ticket = load_acquire(&moved); /* as under the object's lock */
    if (!ticket) return NULL;
    explore_reached("a park that was moved is ended");
    bool claimed = weft__park_claim(&context.parker, ticket);
    assert(claimed);
    write_result(*(const int *)arg);
    weft__park_wake(&context.parker, false);
    return NULL;
}

/* Cancels whatever park it finds, without having been told. */
static void *
canceller(void *arg)
{
    (void)arg;
    if (!weft__park_claim_any(&context.parker)) return NULL;
    explore_reached("a cancellation finds a park");
    write_result(ANY);
    weft__park_wake(&context.parker, false);
    return NULL;
}

/* A thread that blocks on an object.  Its parker is gone when it goes on; so the object must have forgotten it by then. */
static weft__lock lock;
static struct parker *blocked; /* under the lock */
static uint64_t blocked_ticket;
static weft_time blocked_until;
static int woken, timed_out;

static void
begin_to_block(void)
{
    blocked = malloc(sizeof *blocked);
    blocked->context = NULL;
    store_relaxed(&blocked->word, 0);
    store_relaxed(&blocked->futex, 0);
    blocked_ticket = weft__park_arm(blocked, "model", false);
}

static void *
blocker(void *arg)
{
    struct parker *p = arg;
    if (weft__park_thread(p, blocked_ticket, blocked_until)) {
        assert(p->code == 7);
        woken++;
    } else {
        weft__acquire(&lock);
        blocked = NULL;
        weft__unlock(&lock);
        timed_out++;
    }
    free(p);
    return NULL;
}

static void *
unblocker(void *arg)
{
    (void)arg;
    weft__acquire(&lock);
    struct parker *p = blocked;
    if (p && weft__park_claim_any(p)) assert(!"a park that is not to be cancelled");
    bool claimed = p && weft__park_claim(p, blocked_ticket);
    if (claimed) blocked = NULL;
    weft__unlock(&lock);
    if (p && !claimed) explore_reached("a deadline comes before the waker");
    if (!claimed) return NULL;
    p->code = 7;
    weft__park_wake(p, false);
    return NULL;
}

static int zero = 0;

static const struct scenario {
    const char *title;
    int parks;
    weft_time deadline;
    struct {
        void *(*run)(void *);
        int *arg;
    } threads[4];
} scenarios[] = {
    {"two wakers", 1, 0, {{parker, NULL}, {waker, &zero}, {waker, &zero}}},
    {"a late waker of the park before", 2, 0, {{parker, NULL}, {waker, &zero}, {waker, &zero}}},
    {"a claimer goes on by itself", 1, 0, {{parker, NULL}, {taker, &zero}, {waker, &zero}}},
    {"a move", 1, 0, {{parker, NULL}, {mover, &zero}, {last_waker, &zero}, {waker, &zero}}},
    {"a move, and a cancellation", 1, 0, {{parker, NULL}, {mover, &zero}, {last_waker, &zero}, {canceller, NULL}}},
    {"a cancellation", 1, 0, {{parker, NULL}, {waker, &zero}, {canceller, NULL}}},
    {"a cancellation of the next park", 2, 0, {{parker, NULL}, {waker, &zero}, {canceller, NULL}}},
    {"a thread", 0, WEFT_FOREVER, {{blocker, NULL}, {unblocker, NULL}}},
    {"a thread with a deadline", 0, 5000, {{blocker, NULL}, {unblocker, NULL}}},
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
    pthread_t threads[4];
    context.parker.context = &context;
    parks = s->parks;
    blocked_until = s->deadline;
    if (s->deadline) begin_to_block();
    explore_name(&context.parker.word, 8, "word");
    for (int k = 0; k < 4; k++)
        if (s->threads[k].run)
            pthread_create(&threads[k], NULL, s->threads[k].run,
                           s->threads[k].run == blocker ? (void *)blocked : s->threads[k].arg);
    for (int k = 0; k < 4; k++)
        if (s->threads[k].run) pthread_join(threads[k], NULL);
    /* Wakers that came before the park found nothing to wake. */
    for (int k = resumed; k < parks; k = resumed) {
        wake(k, load_relaxed(&moved) ? load_relaxed(&moved) : load_relaxed(&tickets[k]));
        assert(resumed > k);
    }
    if (!parks) assert(woken + timed_out == 1);
    return 0;
}
