/*
 * model_select.c - selects: exactly one case is executed, its value arrives once, and a select that gives up has done nothing.
 *
 * sources: select.c channel.c event.c ring.c park.c futex.c clock.c
 * options: -t any
 *
 * All threads have deadlines, which may pass at any moment: whoever finds no partner gives up.  What was put must have been
 * taken, and what was not must not. */
#include "model_wait.h"

#include "channel.h"

#include <weft/event.h>
#include <weft/select.h>

enum { SOON = 1, NOTHING = -1 };

static weft_channel *a, *b;
static weft_event first, second;

/* What each thread found: a case or code, and what it got. */
static int result[3], got[3];

static void
make(size_t capacity)
{
    assert(weft_channel_new(&a, sizeof(int), capacity) == 0);
    assert(weft_channel_new(&b, sizeof(int), capacity) == 0);
    for (int k = 0; k < 3; k++) result[k] = got[k] = NOTHING;
}

static void
rendezvous(void)
{
    make(0);
}

static void
buffered(void)
{
    make(1);
}

static int
filled(weft_channel *c)
{
    return (int)weft_channel_len(c);
}

/* Nothing is left: no registration, and no count of one. */
static void
check_empty(weft_channel *c)
{
    assert(weft__list_empty(&c->takers) && weft__list_empty(&c->putters) && filled(c) == 0);
}

static void *
take_from_any(void *arg)
{
    weft_case cases[] = {WEFT_TAKE(a, &got[0]), WEFT_TAKE(b, &got[0])};
    result[0] = weft_select_until(cases, 2, 0, SOON);
    if (result[0] >= 0) assert(cases[result[0]].rc == 0);
    return arg;
}

static void *
put_first(void *arg)
{
    int value = 0;
    result[1] = weft_channel_put_until(a, &value, SOON);
    return arg;
}

static void *
put_second(void *arg)
{
    int value = 1;
    result[2] = weft_channel_put_until(b, &value, SOON);
    return arg;
}

static void *
try_put_second(void *arg)
{
    int value = 1;
    result[2] = weft_channel_put_until(b, &value, WEFT_NOW);
    return arg;
}

/* One of them met the select, or nobody did. */
static void
one_put(void)
{
    check_empty(a);
    check_empty(b);
    assert(got[0] == (result[0] >= 0 ? result[0] : NOTHING));
    for (int k = 0; k < 2; k++) assert((result[1 + k] == 0) == (result[0] == k));
    if (result[0] >= 0) explore_reached("the select takes");
    else explore_reached("the select gives up");
}

/* A value is taken, or left where it was put. */
static void
puts_are_there(void)
{
    assert(result[1] == 0 && result[2] == 0);
    assert(filled(a) == (result[0] != 0) && filled(b) == (result[0] != 1));
    assert(got[0] == (result[0] >= 0 ? result[0] : NOTHING));
}

static void *
put_to_any(void *arg)
{
    int value = 7;
    weft_case cases[] = {WEFT_PUT(b, &value), WEFT_PUT(a, &value)};
    result[0] = weft_select_until(cases, 2, 0, SOON);
    return arg;
}

static void *
take_first(void *arg)
{
    result[1] = weft_channel_take_until(a, &got[1], SOON);
    return arg;
}

static void *
try_take_second(void *arg)
{
    result[2] = weft_channel_take_until(b, &got[2], WEFT_NOW);
    return arg;
}

static void
one_take(void)
{
    check_empty(a);
    check_empty(b);
    assert((result[1] == 0) == (result[0] == 1) && (result[2] == 0) == (result[0] == 0));
    assert(got[1] == (result[0] == 1 ? 7 : NOTHING) && got[2] == (result[0] == 0 ? 7 : NOTHING));
}

/* Each puts into what the other takes from. */
static void
cross(int me, weft_channel *out, weft_channel *in)
{
    weft_case cases[] = {WEFT_PUT(out, &me), WEFT_TAKE(in, &got[me])};
    result[me] = weft_select_until(cases, 2, 0, SOON);
}

static void *
cross_there(void *arg)
{
    cross(0, a, b);
    return arg;
}

static void *
cross_back(void *arg)
{
    cross(1, b, a);
    return arg;
}

static void *
meet_first(void *arg)
{
    cross(0, a, a);
    return arg;
}

static void *
meet_second(void *arg)
{
    cross(1, a, a);
    return arg;
}

/* Both gave up, or one put what the other took. */
static void
met(void)
{
    check_empty(a);
    check_empty(b);
    if (result[0] < 0) {
        assert(result[1] < 0 && got[0] == NOTHING && got[1] == NOTHING);
        explore_reached("both give up");
        return;
    }
    explore_reached("two selects meet");
    assert(result[0] + result[1] == 1);
    int taker = result[0] == 1 ? 0 : 1;
    assert(got[taker] == 1 - taker && got[1 - taker] == NOTHING);
}

/* At every moment one of two events is set. */
static void
one_set(void)
{
    weft_event_notify(&first);
}

static void *
alternate(void *arg)
{
    weft_event_notify(&second);
    weft_event_reset(&first);
    return arg;
}

static void *
look(void *arg)
{
    weft_case cases[] = {WEFT_EVENT(&second), WEFT_EVENT(&first)};
    result[0] = weft_select_until(cases, 2, 0, WEFT_NOW);
    assert(result[0] >= 0);
    if (result[0] == 0) explore_reached("the second is set");
    return arg;
}

static void *
close_first(void *arg)
{
    weft_channel_close(a, WEFT_ECLOSED);
    return arg;
}

/* A close says so in the case; a value that was put before it is not passed over. */
static void *
take_or_closed(void *arg)
{
    weft_case cases[] = {WEFT_TAKE(a, &got[0]), WEFT_TAKE(b, &got[0])};
    result[0] = weft_select(cases, 2, 0);
    assert(result[0] >= 0);
    if (result[0] == 0) assert(cases[0].rc == WEFT_ECLOSED);
    else assert(cases[1].rc == 0 && got[0] == 1);
    return arg;
}

static void
close_or_put(void)
{
    assert((result[2] == 0) == (result[0] == 1));
    check_empty(a);
    check_empty(b);
}

/* Who parks with a take and a put on one channel, and meets a plain taker. */
static void
taken_from(void)
{
    check_empty(a);
    assert((result[0] == 0) == (result[1] == 0) && got[1] == (result[0] == 0 ? 0 : NOTHING));
    if (result[0] == 0) explore_reached("the plain taker has it");
}

/* An event or a value: whichever came, the other is still there. */
static void *
event_or_value(void *arg)
{
    weft_case cases[] = {WEFT_EVENT(&first), WEFT_TAKE(b, &got[0])};
    result[0] = weft_select(cases, 2, 0);
    assert(result[0] >= 0 && cases[result[0]].rc == 0);
    return arg;
}

static void *
notify_first(void *arg)
{
    weft_event_notify(&first);
    return arg;
}

static void
event_stays(void)
{
    assert(weft_event_isset(&first));
    assert((result[2] == 0) == (result[0] == 1));
    check_empty(b);
}

/* With a value, then closed, then without the value: at every moment there is something to be told. */
static void
one_value(void)
{
    int value = 5;
    make(1);
    assert(weft_channel_put(a, &value) == 0);
}

static void *
close_and_drain(void *arg)
{
    int value;
    weft_channel_close(a, WEFT_ECLOSED);
    result[1] = weft_channel_take_until(a, &value, WEFT_NOW);
    return arg;
}

static void *
look_once(void *arg)
{
    weft_case k = WEFT_TAKE(a, &got[0]);
    assert(weft_select_until(&k, 1, 0, WEFT_NOW) == 0);
    assert(k.rc == (got[0] == 5 ? 0 : WEFT_ECLOSED));
    if (k.rc) explore_reached("closed and drained");
    return arg;
}

/* The cheapest first: a mutant is found by one of them, mostly. */
static const struct scenario scenarios[] = {
    {"one of two events is always set", one_set, {look, alternate}, NULL},
    {"one case, a value or closed", one_value, {look_once, close_and_drain}, NULL},
    {"a select on one channel, and a taker", rendezvous, {meet_first, take_first}, taken_from},
    {"two selects on one channel", rendezvous, {meet_first, meet_second}, met},
    {"a take from any, buffers", buffered, {take_from_any, put_first, put_second}, puts_are_there},
    {"a close, and a put elsewhere", rendezvous, {take_or_closed, close_first, put_second}, close_or_put},
    {"selects across each other", rendezvous, {cross_there, cross_back}, met},
    {"a take from any, two putters", rendezvous, {take_from_any, put_first, try_put_second}, one_put},
    {"an event, and a put elsewhere", rendezvous, {event_or_value, notify_first, put_second}, event_stays},
    {"a put to any, two takers", rendezvous, {put_to_any, take_first, try_take_second}, one_take},
    {NULL, NULL, {NULL}, NULL},
};
