/* channel_bind.c - channels that close when a task ends, and tasks that come with a channel.  [layer 5] */
#include "channel.h"
#include "hook.h"

#include <weft/task.h>

#include <stdlib.h>

static void
bound_ended(weft_task *t, void *arg)
{
    weft_channel *c = arg;
    int code = weft_task_error(t);
    weft__channel_close(c, code < 0 ? code : WEFT_ECLOSED, false);
    weft_channel_release(c);
}

int
weft_channel_bind(weft_channel *c, weft_task *t)
{
    weft_channel_retain(c);
    int rc = weft_ondone(t, bound_ended, c);
    if (rc < 0) weft_channel_release(c);
    return rc;
}

struct producer {
    weft_channel *channel;
    int (*fn)(weft_channel *c, void *arg);
    void *arg;
};

static void
producer_drop(void *arg)
{
    struct producer *p = arg;
    weft_channel_release(p->channel);
    free(p);
}

static int
producer_run(void *arg)
{
    struct producer *p = arg;
    int rc = p->fn(p->channel, p->arg);
    producer_drop(p);
    return rc;
}

/* Makes the task of weft_channel_spawn, bound and scheduled. */
static int
start_producer(weft_channel *c, struct producer *p, weft_task **task)
{
    weft_task *t;
    int rc = weft_task_new(&t, producer_run, p, &(weft_task_options){.drop = producer_drop});
    if (rc < 0) {
        producer_drop(p);
        return rc;
    }
    rc = weft_channel_bind(c, t);
    if (rc == 0) rc = weft_schedule(t);
    if (rc == 0 && task) *task = t;
    else weft_task_release(t); /* unscheduled, this drops p */
    return rc;
}

int
weft_channel_spawn(weft_channel **out, size_t elem_size, size_t capacity, int (*fn)(weft_channel *c, void *arg),
                   void *arg, weft_task **task)
{
    weft_channel *c;
    if (!out || !fn) return WEFT_EINVAL;
    struct producer *p = weft__hook_fail() ? NULL : malloc(sizeof *p);
    if (!p) return WEFT_ENOMEM;
    int rc = weft_channel_new(&c, elem_size, capacity);
    if (rc < 0) {
        free(p);
        return rc;
    }
    *p = (struct producer){c, fn, arg};
    weft_channel_retain(c); /* the producer's */
    rc = start_producer(c, p, task);
    if (rc < 0) weft_channel_release(c);
    else *out = c;
    return rc;
}
