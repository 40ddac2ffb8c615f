/* search.c - looking for work at other workers.  [layer 4]
 *
 * Victims are tried in a random order within a ring of equal distance, the nearest ring first.  From a victim the
 * oldest entry is taken: the largest piece of a recursion, and the one its owner needs last. */
#include "scheduler.h"

#include "hook.h"
#include "timerq.h"
#include "trace.h"

enum { GRACE_NS = 5000 }; /* how long a hand-off may wait for its own worker before a searcher takes it */

/* Steals until something live comes out, or the queue is empty. */
static bool
steal_from(struct deque *d, struct entry *out, bool *again)
{
    for (;;) {
        switch (weft__deque_steal(d, out)) {
        case DEQUE_EMPTY:
            return false;
        case DEQUE_LOST:
            *again = true;
            return false;
        case DEQUE_ITEM:
            if (out->tag == 0) return true;
            if (weft__task_claim(weft__container(out->item, weft_task, run), out->tag)) return true;
        }
    }
}

bool
weft__steal(struct worker *w, struct entry *out, bool *again)
{
    struct worker **workers = w->pool->workers;
    int begin = 0;
    for (const int *ring = w->rings; *ring != 0; begin = *ring++) {
        int size = *ring - begin;
        int first = (int)weft__rng_below(&w->rng, (uint32_t)size);
        for (int k = 0; k < size; k++) {
            struct worker *v = workers[w->victims[begin + (first + k) % size]];
            if (steal_from(&v->deque, out, again) || steal_from(&v->fifo, out, again)) {
                weft__count(w, COUNT_STOLEN);
                if (weft__traced()) weft__trace_steal(w, v);
                return true;
            }
        }
    }
    return false;
}

bool
weft__work_visible(struct worker *w)
{
    struct pool *p = w->pool;
    if (!weft__inject_empty(&p->inject) || !weft__inject_empty(&w->inbox)) return true;
    for (int k = 0; k < p->count; k++) {
        if (weft__deque_size(&p->workers[k]->deque) || weft__deque_size(&p->workers[k]->fifo)) return true;
    }
    return false;
}

bool
weft__steal_handoff(struct worker *w, struct handoff_watch *watch, int64_t now, struct entry *out)
{
    struct worker **workers = w->pool->workers;
    if (watch->next) {
        struct worker *v = workers[watch->victim];
        struct context *c = load_relaxed(&v->next); /* relaxed: the CAS decides */
        /* relaxed: a hint; a worker that dispatches takes its `next` first */
        if (c == watch->next && load_relaxed(&v->dispatches) == watch->dispatches) {
            if (now - watch->since < GRACE_NS) return false;
            watch->next = NULL;
            if (!cas_acquire(&v->next, &c, NULL)) return false; /* acquire: pairs with the hand-off */
            *out = (struct entry){&c->run, 0};
            weft__count(w, COUNT_STOLEN);
            if (weft__traced()) weft__trace_steal(w, v);
            return true;
        }
        watch->next = NULL;
    }
    for (int k = 0; k < w->pool->count; k++) {
        struct worker *v = workers[k];
        struct context *c = v == w ? NULL : load_relaxed(&v->next); /* relaxed: compared, not read */
        if (!c) continue;
        *watch = (struct handoff_watch){c, load_relaxed(&v->dispatches), k, now}; /* relaxed: a hint */
        return false;
    }
    return false;
}
