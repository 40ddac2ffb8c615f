/*
 * model_event.c - events: every waiter that must go on does, sees what the notifiers had done, and may free the event.
 *
 * sources: event.c park.c futex.c clock.c
 * options: -t any
 *
 * What a notifier does before it notifies is a plain store; who was let through reads it, and frees the event. */
#include "model_wait.h"

#include <weft/event.h>

static weft_event *event;
static int done[2];             /* plain: what each notifier did before */
static _Atomic int notified[2]; /* and that it has notified; orders nothing */
static _Atomic int work;        /* for a consumer that resets */
static int code;

static void
make(uint64_t word)
{
    event = calloc(1, sizeof *event);
    event->opaque[0] = word;
}

static void
ordinary(void)
{
    make(0);
}

static void
autoreset(void)
{
    make(8);
}

static void
notify(int k)
{
    done[k] = 1;
    weft_event_notify(event);
    store_relaxed(&notified[k], 1);
}

static void *
notify_first(void *arg)
{
    notify(0);
    return arg;
}

static void *
notify_second(void *arg)
{
    notify(1);
    return arg;
}

/* The only one who waits: it frees the event. */
static void *
wait_and_free(void *arg)
{
    assert(weft_event_wait(event) == 0);
    assert(done[0] == 1);
    free(event);
    return arg;
}

static void *
wait_for_event(void *arg)
{
    assert(weft_event_wait(event) == 0);
    assert(done[0] == 1);
    return arg;
}

static void
is_set(void)
{
    assert(weft_event_isset(event) && event->opaque[1] == 0);
}

/* Both have notified, but nothing says what they did before that, except for the event. */
static void *
consume_both(void *arg)
{
    if (!load_relaxed(&notified[0]) || !load_relaxed(&notified[1])) return arg;
    explore_reached("both have notified before the wait");
    assert(weft_event_wait_until(event, WEFT_NOW) == 0);
    assert(done[0] == 1 && done[1] == 1);
    return arg;
}

static void *
wait_limited(void *arg)
{
    code = weft_event_wait_until(event, 1);
    if (code == 0) assert(done[0] == 1);
    else explore_reached("a deadline passes");
    return arg;
}

static void
once_in_all(void)
{
    assert((code == 0) != weft_event_isset(event));
    assert(event->opaque[1] == 0);
}

static void
no_trace(void)
{
    assert(code == WEFT_ETIMEDOUT && event->opaque[0] == 0 && event->opaque[1] == 0);
}

static void
set_before(void)
{
    make(0);
    weft_event_notify(event);
}

static void *
produce(void *arg)
{
    store_relaxed(&work, 1);
    weft_event_notify(event);
    return arg;
}

/* The loop of a consumer: resets, looks, and waits if there is nothing. */
static void *
consume(void *arg)
{
    weft_event_reset(event);
    if (load_relaxed(&work) == 0) {
        explore_reached("a consumer has to wait");
        assert(weft_event_wait(event) == 0);
        assert(load_relaxed(&work) == 1);
    }
    return arg;
}

static const struct scenario scenarios[] = {
    {"a waiter frees it", ordinary, {wait_and_free, notify_first}, NULL},
    {"a waiter frees it, autoreset", autoreset, {wait_and_free, notify_first}, NULL},
    {"two notifiers at once", autoreset, {consume_both, notify_first, notify_second}, NULL},
    {"a deadline", ordinary, {wait_limited, notify_first}, is_set},
    {"a deadline, autoreset", autoreset, {wait_limited, notify_first}, once_in_all},
    {"nobody notifies", ordinary, {wait_limited}, no_trace},
    {"a reset", set_before, {consume, produce}, NULL},
    {"two waiters", ordinary, {wait_for_event, wait_for_event, notify_first}, is_set},
    {NULL, NULL, {NULL}, NULL},
};
