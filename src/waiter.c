/* waiter.c - the one way to wait.  [layer 3] */
#include "waiter.h"

#include "fence.h"
#include "tls.h"

#include <weft/timer.h>

#include <unistd.h>

/* The plain threads that are blocked. */
static struct {
    weft__lock lock;
    struct list waits; /* under the lock, as the next */
    uint64_t version;  /* counts the changes of the list */
} blocked;

void
weft__wait_begin(struct wait *w, struct context *c, const char *reason, bool cancellable)
{
    if (c) {
        w->parker = &c->parker;
        if (cancellable) weft__scope_park(c);
    } else {
        w->parker = &w->thread;
        w->thread.context = NULL;
        store_relaxed(&w->thread.word,
                      0); /* relaxed, as the next: the registration publishes it, under the object's lock */
        store_relaxed(&w->thread.futex, 0);
    }
    w->cancellable = cancellable;
    w->ticket = weft__park_arm(w->parker, reason, cancellable);
}

/* Takes the wake for the caller itself; false: somebody was faster, and the wake is on its way. */
static bool
interrupt_own(struct wait *w)
{
    if (!weft__park_claim(w->parker, w->ticket)) return false;
    if (w->parker->context && weft__watched()) weft__watch_resume(w->parker->context);
    w->parker->index = PARK_INTERRUPTED;
    return true;
}

bool
weft__wait_abandon(struct wait *w)
{
    return interrupt_own(w);
}

/* In a forked child there is nobody left to wake the thread. */
static int
wait_thread(struct wait *w, weft_time deadline)
{
    if (weft__forked() && interrupt_own(w)) return WEFT_ENOTSUP;
    w->deadline = deadline;
    w->id = (int)gettid();
    w->scope = w->cancellable ? weft__thread_scope() : NULL;
    if (w->scope) weft__scope_anchor(w->scope); /* a walk from outside comes to it */
    weft__acquire(&blocked.lock);
    weft__list_append(&blocked.waits, &w->blocked);
    blocked.version++;
    weft__unlock(&blocked.lock);
    /* A cancellation finds it in the list, or its flag is seen here: both take the lock. */
    bool cancelled = w->scope && weft__scope_cancelled(w->scope) && interrupt_own(w);
    bool woken = !cancelled && weft__park_thread(w->parker, w->ticket, deadline);
    weft__acquire(&blocked.lock);
    weft__list_remove(&blocked.waits, &w->blocked);
    blocked.version++;
    weft__unlock(&blocked.lock);
    if (cancelled) return WEFT_ECANCELED;
    if (woken) return w->parker->code;
    w->parker->index = PARK_INTERRUPTED;
    return WEFT_ETIMEDOUT;
}

int
weft__blocked_for_ever(uint64_t *version)
{
    int count = 0;
    uint64_t word;
    weft__acquire(&blocked.lock);
    for (struct list_node *n = blocked.waits.head; n; n = n->next) {
        const struct wait *w = weft__container(n, struct wait, blocked);
        count += w->deadline == WEFT_FOREVER && weft__park_look(&w->thread, &word) == PARK_BEGUN;
    }
    *version = blocked.version;
    weft__unlock(&blocked.lock);
    return count;
}

/* Does a cancellation of s reach what is in `inner`? */
static bool
reaches(const struct scope *s, const struct scope *inner)
{
    while (inner && inner != s) inner = weft__scope_shields(inner) ? NULL : inner->outer;
    return inner != NULL;
}

void
weft__blocked_cancel(const struct scope *s)
{
    enum { BATCH = 16 };
    struct parker *woken[BATCH];
    int n;
    do {
        n = 0;
        weft__acquire(&blocked.lock);
        for (struct list_node *node = blocked.waits.head; node && n < BATCH; node = node->next) {
            struct wait *w = weft__container(node, struct wait, blocked);
            if (!reaches(s, w->scope) || !weft__park_claim(w->parker, w->ticket)) continue;
            weft__park_interrupt(w->parker, WEFT_ECANCELED);
            woken[n++] = w->parker;
        }
        weft__unlock(&blocked.lock);
        for (int k = 0; k < n; k++) weft__park_wake(woken[k], true);
    } while (n == BATCH);
}

int
weft__blocked_threads(int first, struct blocked_thread *out, int most)
{
    enum { TRIES = 1000 };
    int tries = 0, count = 0;
    if (weft__forked()) return 0; /* the threads are gone, and their stacks with them */
    while (!weft__trylock(&blocked.lock)) {
        if (++tries == TRIES) return -1;
        weft__pause();
    }
    for (struct list_node *n = blocked.waits.head; n && count < most; n = n->next) {
        if (first-- > 0) continue;
        const struct wait *w = weft__container(n, struct wait, blocked);
        uint64_t word;
        /* relaxed: for people; the lock published them */
        out[count++] = (struct blocked_thread){w->id, load_relaxed(&w->thread.reason), load_relaxed(&w->thread.object),
                                               w->deadline, weft__park_look(&w->thread, &word) != PARK_BEGUN};
    }
    weft__unlock(&blocked.lock);
    return count;
}

/* Is there a reason not to park at all?  0: no, or somebody was faster, and the wake is on its way. */
static inline int
refuse(struct wait *w, const struct context *c, weft_time deadline)
{
    if (w->cancellable && weft__task_cancelled(c->task) && interrupt_own(w)) return WEFT_ECANCELED; /* L4 */
    if (deadline != WEFT_FOREVER && weft_now() >= deadline && interrupt_own(w)) return WEFT_ETIMEDOUT;
    return 0;
}

int
weft__wait_park(struct wait *w, weft_time deadline)
{
    struct context *c = w->parker->context;
    if (!c) return wait_thread(w, deadline);

    store_release(&c->task->waiting, true); /* weft_schedule refuses what it can see parked; weft_cancel looks for it */
    /* Between the first check and the arming a cancellation may have walked by without finding anybody: either its
     * walk sees the armed word, or this load sees its flag. */
    weft__fence_light(); /* L3: pairs with C3 [cancel] */
    int rc = refuse(w, c, deadline);
    if (rc == 0) {
        if (deadline != WEFT_FOREVER) weft__timer_add(&w->timer, deadline, w->parker, w->ticket);
        weft__suspend(c);
        if (deadline != WEFT_FOREVER) weft__timer_del(&w->timer);
        if (weft__watched()) weft__watch_resume(c);
        rc = c->parker.code;
    }
    store_relaxed(&c->task->waiting, false); /* relaxed: as above */
    return rc;
}

void
weft__waiter_wake_all(struct list *list)
{
    struct list_node *n;
    bool crowd = list->head != list->tail;
    while ((n = weft__list_pop(list))) {
        struct waiter *r = weft__container(n, struct waiter, node);
        weft__waiter_wake(r, r->code, crowd);
    }
}
