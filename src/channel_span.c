/*
 * channel_span.c - what channels order, for counting the span.  [layer 5]
 *
 * Two edges, whether somebody parks or not (span.c):
 *
 *   - who takes a value is after who put it;
 *   - where there are k places, the n-th put is after the take that was the (n - k)-th: it made the room.
 *
 * So there is a queue of marks for the values in the ring, and one for the free places; putting takes a mark from the one, and
 * adds to the other.  A pipeline whose second stage is slow holds up the first one by as much as it would with a core for each
 * stage, although on one worker they never meet.  In an unbounded channel a put waits for nobody: only values have marks.
 *
 * A parked putter or taker stands still where it parked; who meets it moves its marks.  Of a rendezvous both are after both:
 * who came last here, who came first when it is woken.
 *
 * The queues are made at the first operation while counting, for values and places that were there before begin at 0; and made
 * anew if they do not fit what is in the ring, from a time when nothing was counted.  Without memory there are no edges. */
#include "channel_span.h"

#include "hook.h"
#include "scheduler.h"

#include <stdlib.h>

struct channel_marks {
    struct ring values, places; /* of struct mark */
    uint64_t run;               /* which run of the scheduler it was */
};

static const struct mark zero;

static bool
bounded(const weft_channel *c)
{
    return c->capacity != WEFT_UNBOUNDED;
}

static void
fill(struct ring *r, size_t n)
{
    r->first = 0;
    for (r->count = 0; r->count < n;) weft__ring_put(r, &zero);
}

static struct channel_marks *
make(void)
{
    struct channel_marks *m = weft__hook_fail() ? NULL : calloc(1, sizeof *m);
    if (m) m->values.elem_size = m->places.elem_size = sizeof(struct mark);
    return m;
}

/* The marks of c, whose ring had count values before the operation; NULL: no memory. */
static struct channel_marks *
marks_of(weft_channel *c, size_t count)
{
    struct channel_marks *m = c->marks ? c->marks : (c->marks = make());
    size_t places = c->ring.places;
    if (!m) return NULL;
    if (m->run == weft__span_run() && m->values.count == count && m->values.places >= places) return m;
    bool stale = m->run != weft__span_run() || m->values.count != count;
    if (stale) m->values.count = 0;
    if (!weft__ring_reserve(&m->values, places)) return NULL;
    if (stale) fill(&m->values, count);
    if (bounded(c) && stale) {
        m->places.count = 0;
        if (!weft__ring_reserve(&m->places, places)) return NULL;
        fill(&m->places, places - count);
    }
    m->run = weft__span_run();
    return m;
}

/* A mark from the queue. */
static struct mark
pop(struct ring *r)
{
    struct mark m = zero;
    if (r->count > 0) weft__ring_take(r, &m);
    return m;
}

static void
push(struct ring *r, struct mark m)
{
    if (weft__ring_has_room(r)) weft__ring_put(r, &m);
}

void
weft__channel_span_put(weft_channel *c, size_t n)
{
    struct channel_marks *m = marks_of(c, c->ring.count - n);
    for (; m && n > 0; n--) {
        if (bounded(c)) weft__span_after(pop(&m->places));
        push(&m->values, weft__span_here());
    }
}

void
weft__channel_span_take(weft_channel *c, size_t n)
{
    struct channel_marks *m = marks_of(c, c->ring.count + n);
    for (; m && n > 0; n--) {
        weft__span_after(pop(&m->values));
        if (bounded(c)) push(&m->places, weft__span_here());
    }
}

void
weft__channel_span_look(weft_channel *c)
{
    struct channel_marks *m = marks_of(c, c->ring.count);
    struct mark oldest;
    if (!m || m->values.count == 0) return;
    weft__ring_copy(&oldest, weft__ring_oldest(&m->values), sizeof oldest);
    weft__span_after(oldest);
}

void
weft__channel_span_give(weft_channel *c, const struct waiter *w)
{
    struct channel_marks *m = c->capacity > 0 && bounded(c) ? marks_of(c, c->ring.count) : NULL;
    if (c->capacity == 0) weft__span_met(w->parker);
    if (!m) return;
    weft__span_after(pop(&m->places));
    push(&m->places, weft__span_later(weft__span_parked(w->parker), weft__span_here()));
}

void
weft__channel_span_admit(weft_channel *c, const struct waiter *w)
{
    struct channel_marks *m = marks_of(c, c->ring.count - 1);
    if (m) push(&m->values, weft__span_later(weft__span_parked(w->parker), pop(&m->places)));
}

void
weft__channel_span_free(weft_channel *c)
{
    if (!c->marks) return;
    free(c->marks->values.slots);
    free(c->marks->places.slots);
    free(c->marks);
}
