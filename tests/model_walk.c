/* model_walk.c - a task that waits in scopes, or closes one, against who cancels one of them.
 *
 * sources: scope.c cancel.c members.c waiter.c park.c fence.c futex.c
 *
 * Scopes are blocks of malloc, freed when they are closed: a walk that comes late is seen.
 *
 * Instances:
 *   parks      in the scope that is cancelled: the walk finds the park, or it finds the flag         L1-L4, C1-C4
 *   listed     the same where it has waited before, in the same scope: L1 is long past
 *   nested     in a scope inside of that: the walk comes there through the list of children
 *   shield     in a shield, having waited around it, in the scope that is cancelled: it leaves that list before it is armed, and
 *              is woken by what it waits for, and by nothing else
 *   task       the task itself is cancelled
 *   closes     it closes a scope inside of the one that is cancelled, which is found, and pinned, or not
 *   stays      two others ask whether it is cancelled: who was told so once is told so again */
#include "model_opener.h"

#include "model_instance.h"

enum { NEST = 2 };

static weft_scope *scopes[NEST]; /* from the outside in */

/* ---- Waiting --------------------------------------------------------------------------------------------------------- */

static struct {
    weft__lock lock;
    bool permit;
    struct list waiters;
} semaphore;

/* Waits for the permit; without the check at entry, which has been. */
static int
acquire(void)
{
    struct context *c = &contexts[0];
    struct wait wait;
    struct waiter waiter;
    weft__scope_park(c);
    weft__acquire(&semaphore.lock);
    if (semaphore.permit) {
        semaphore.permit = false;
        weft__unlock(&semaphore.lock);
        return 0;
    }
    weft__wait_begin(&wait, c, "model", true);
    weft__wait_register(&wait, &waiter, &semaphore.waiters, 0, NULL);
    weft__unlock(&semaphore.lock);
    return weft__wait_park(&wait, WEFT_FOREVER);
}

static void
release(void)
{
    weft__acquire(&semaphore.lock);
    struct waiter *w = weft__waiter_claim_first(&semaphore.waiters);
    if (!w) semaphore.permit = true;
    weft__unlock(&semaphore.lock);
    if (w) weft__waiter_wake(w, 0, false);
}

/* ---- The threads ----------------------------------------------------------------------------------------------------- */

static struct story {
    int nest;          /* so many scopes are open, */
    bool shielded;     /* of which the inner is a shield */
    bool listed;       /* it has waited before: in the inner, in the outer if that is a shield */
    bool cancels_task; /* not the outer scope, but it */
    bool closes;       /* the inner, without any wait */
} story;

static int result;

static void *
go_on(void *arg)
{
    (void)arg;
    be_opener();
    result = story.closes ? close_scope(scopes[1], 0) : acquire();
    return NULL;
}

static void *
cancel(void *arg)
{
    if (story.cancels_task) assert(weft_cancel(&model_tasks[0]));
    else assert(weft__scope_cancel(weft__scope(arg), 0, false));
    if (story.shielded) release();
    return NULL;
}

static void
tell(struct story told)
{
    pthread_t waiter, canceller;
    story = told;
    prepare_opener();
    scopes[0] = open_scope(0);
    if (story.listed && story.shielded) weft__scope_park(&contexts[0]);
    if (story.nest > 1) scopes[1] = open_scope(story.shielded ? WEFT_SHIELD : 0);
    if (story.listed && !story.shielded) weft__scope_park(&contexts[0]);
    assert(!weft__cancelled(&contexts[0])); /* which the scopes remember */
    pthread_create(&waiter, NULL, go_on, NULL);
    pthread_create(&canceller, NULL, cancel, scopes[0]);
    pthread_join(waiter, NULL);
    pthread_join(canceller, NULL);
    assert(result == (story.shielded || story.closes ? 0 : WEFT_ECANCELED));
    if (story.nest > 1 && !story.closes) (void)close_scope(scopes[1], 0);
    (void)close_scope(scopes[0], 0);
}

static void
parks(void)
{
    tell((struct story){.nest = 1});
}

static void
listed(void)
{
    tell((struct story){.nest = 1, .listed = true});
}

static void
nested(void)
{
    tell((struct story){.nest = 2});
}

static void
shield(void)
{
    tell((struct story){.nest = 2, .shielded = true, .listed = true});
}

static void
task(void)
{
    tell((struct story){.nest = 1, .cancels_task = true, .listed = true});
}

static void
closes(void)
{
    tell((struct story){.nest = 2, .closes = true, .listed = true});
}

static void *
ask(void *arg)
{
    (void)weft__scope_cancelled(arg);
    return NULL;
}

static void *
ask_twice(void *arg)
{
    if (weft__scope_cancelled(arg)) assert(weft__scope_cancelled(arg));
    return NULL;
}

static void
stays(void)
{
    pthread_t others[2];
    prepare_opener();
    scopes[0] = open_scope(0);
    struct scope *s = weft__scope(scopes[0]);
    pthread_create(&others[0], NULL, ask, s);
    pthread_create(&others[1], NULL, ask_twice, s);
    (void)weft__scope_cancel(s, 0, false);
    pthread_join(others[0], NULL);
    pthread_join(others[1], NULL);
    (void)close_scope(scopes[0], 0);
}

static const struct instance instances[] = {
    {"parks", parks, false},  {"listed", listed, false}, {"listed, symmetric fences", listed, true},
    {"nested", nested, true}, {"shield", shield, true},  {"task", task, true},
    {"closes", closes, true}, {"stays", stays, true},    {NULL, NULL, false},
};
