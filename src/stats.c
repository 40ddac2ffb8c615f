/* stats.c - seeing inside: weft_stats_get.  [layer 7]
 *
 * Each worker counts for itself, with plain stores.  Spawning and joining in place count what they count anyway, tasks made
 * and ended (lifecycle.c); how many ran in place follows from those that did not. */
#include "scheduler.h"

#include "clock.h"

#include <weft/debug.h>

#include <string.h>

static void
add_counts(weft_worker_stats *into, const _Atomic uint64_t *counts)
{
    uint64_t c[COUNTS];
    for (int k = 0; k < COUNTS; k++) c[k] = load_relaxed(&counts[k]); /* relaxed: for people, as all here */
    into->started += c[COUNT_STARTED];
    into->parked += c[COUNT_PARKED];
    into->stolen += c[COUNT_STOLEN];
    into->searches += c[COUNT_SEARCHES];
    into->sleeps += c[COUNT_SLEEPS];
    into->idle_ns += (int64_t)c[COUNT_IDLE_NS];
}

static void
add_tasks(weft_worker_stats *into, const _Atomic uint64_t *made, const _Atomic uint64_t *ended)
{
    for (int kind = 0; kind < 2; kind++) into->ended += load_acquire(&ended[kind]); /* acquire: ended before made */
    for (int kind = 0; kind < 2; kind++) into->spawned += load_acquire(&made[kind]);
}

static void
add_worker(weft_worker_stats *into, const struct worker *w)
{
    int64_t since = load_relaxed(&w->asleep_since); /* relaxed: for people */
    add_tasks(into, w->made, w->ended);
    add_counts(into, w->counts);
    if (since == 0) return;
    into->sleeps++;
    into->idle_ns += weft__clock_now() - since;
}

static void
count_context(struct stack *s, void *arg)
{
    (void)s;
    ++*(uint64_t *)arg;
}

static void
collect(weft_stats *s)
{
    uint64_t contexts = 0;
    bool running = weft__sched_enter();
    add_tasks(&s->total, weft__sched.made, weft__sched.ended);
    add_counts(&s->total, weft__sched.counts);
    if (running) {
        s->workers = weft__sched.count;
        for (int k = 0; k < s->workers; k++) {
            add_worker(&s->total, weft__sched.workers[k]);
            if (k >= s->room) continue;
            s->worker[k] = (weft_worker_stats){0};
            add_worker(&s->worker[k], weft__sched.workers[k]);
        }
        weft__stack_each(count_context, &contexts);
    }
    struct span_result r = weft__span_result(running);
    weft__sched_leave();
    s->work_ns = r.work;
    s->span_ns = r.span;
    s->burdened_ns = r.burdened;
    uint64_t on_stacks = s->total.started - contexts; /* that have ended: a context is there as long as its task */
    s->live = s->total.spawned > s->total.ended ? s->total.spawned - s->total.ended : 0;
    s->in_place = s->total.ended > on_stacks ? s->total.ended - on_stacks : 0;
}

int
weft_stats_get(weft_stats *s)
{
    if (!s) return WEFT_EINVAL;
    size_t size = s->size ? s->size : sizeof *s;
    if (size > sizeof *s || size < offsetof(weft_stats, total) || s->room < 0 || (s->room > 0 && !s->worker))
        return WEFT_EINVAL;
    weft_stats out = {.size = s->size, .worker = s->worker, .room = s->room};
    collect(&out);
    memcpy(s, &out, size);
    return 0;
}
