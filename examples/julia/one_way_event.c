/* one_way_event.c - an object to wait for, made of nothing but weft_park, weft_schedule and an atomic.
 *
 * Julia: OneWayEvent, the manual's pattern of low-level synchronization.  One task waits, one notifies, once.
 *
 * Who schedules a task must know that it is parked here, or about to be: that is what the state says.  WAITING is set by
 * the waiter on its way to weft_park, with nothing in between that could park; only who turns WAITING into NOTIFYING
 * schedules it.  The wake-up may come before the park: weft_park then returns at once. */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

enum { EMPTY, WAITING, NOTIFYING };

struct one_way_event {
    atomic_int state;
    weft_task *waiter; /* written before WAITING is set, read after it was seen */
};

static int
event_wait(struct one_way_event *ev)
{
    int expected = EMPTY;
    ev->waiter = weft_current();
    if (atomic_compare_exchange_strong(&ev->state, &expected, WAITING)) return weft_park(NULL);
    return 0;
}

static int
event_notify(struct one_way_event *ev)
{
    return atomic_exchange(&ev->state, NOTIFYING) == WAITING ? weft_schedule(ev->waiter) : 0;
}

static int
waiter(void *arg)
{
    int code = event_wait(arg);
    if (code == 0) puts("done");
    return code;
}

static int
root(void *arg)
{
    weft_task *t;
    int code = weft_spawn(&t, waiter, arg);
    if (code < 0) return code;
    puts("notifying...");
    code = event_notify(arg);
    return code < 0 ? code : weft_join(t);
}

int
main(void)
{
    struct one_way_event ev = {EMPTY, NULL};
    return weft_run(NULL, root, &ev) < 0;
}
