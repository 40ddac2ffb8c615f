/* worker.c - the loop of a worker on its own stack: look for something, run it, sleep.  [layer 4] */
#include "clock.h"
#include "reactor.h"
#include "scheduler.h"
#include "timerq.h"
#include "trace.h"

/* How long a worker looks around before it sleeps.  Waking a sleeper costs 40 to 60 us on a virtual machine: a search
 * that finds something within about that time was worth it. */
enum { SEARCH_NS = 50000, PAUSES_MOST = 64 };

/* How much longer if there is a hand-off that its own worker may be leaving lying. */
enum { WATCH_NS = 20000 };

/* One round: own queues, others' queues, hand-offs that their workers leave lying. */
static bool
look(struct worker *w, struct handoff_watch *watch, int64_t now, struct entry *out)
{
    bool again;
    do {
        again = false;
        *out = weft__sched_pick(w);
        if (out->item || weft__steal(w, out, &again)) return true;
    } while (again); /* each time round somebody else got something */
    return weft__steal_handoff(w, watch, now, out);
}

/* Looks for something to run for a bounded time, if not too many others do; false: sleep. */
static bool
search(struct worker *w, struct entry *out)
{
    struct handoff_watch watch = {.next = NULL};
    if (!weft__idle_search(w)) return false;
    weft__count(w, COUNT_SEARCHES);
    if (weft__traced()) weft__trace_idle(w, "search");
    int64_t now = weft__clock_now(), end = now + (w->alone || weft__sched.oversubscribed ? 0 : SEARCH_NS);
    for (int pauses = 1;; pauses = pauses < PAUSES_MOST ? 2 * pauses : pauses) {
        if (look(w, &watch, now, out)) {
            weft__idle_found(w);
            return true;
        }
        if (now >= end + (watch.next ? WATCH_NS : 0) || weft__sched_stopping()) return false;
        for (int i = 0; i < pauses; i++) weft__pause();
        now = weft__clock_now();
        if (weft__timers_next() <= now) weft__timers_poll();
        weft__reactor_poll();
    }
}

static void
sleep_counted(struct worker *w)
{
    if (weft__traced()) weft__trace_idle(w, "sleep"); /* before it counts as asleep: then it is in the trace */
    int64_t begin = weft__clock_now();
    store_relaxed(&w->asleep_since, begin); /* relaxed, as the next: for people */
    weft__idle_sleep(w);
    if (weft__traced()) weft__trace_idle(w, NULL);
    store_relaxed(&w->asleep_since, 0);
    weft__count(w, COUNT_SLEEPS);
    bump(&w->counts[COUNT_IDLE_NS], (uint64_t)(weft__clock_now() - begin));
    if (weft__spanned()) weft__span_awake(w);
}

void
weft__worker_loop(struct worker *w)
{
    struct entry e;
    if (weft__spanned()) weft__span_awake(w);
    while (!weft__sched_leaving()) {
        if (weft__timers_next() <= weft__clock_now()) weft__timers_poll();
        weft__reactor_poll();
        e = weft__sched_pick(w);
        bool found = e.item || search(w, &e);
        if (weft__traced()) weft__trace_idle(w, NULL);
        if (found) {
            weft__idle_found(w);
            weft__sched_run(w, e);
            continue;
        }
        if (weft__sched_progress()) continue;
        if (!weft__sched_stopping()) sleep_counted(w);
    }
    weft__idle_found(w);
}
