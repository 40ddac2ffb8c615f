/* task_select.c - tasks as cases of a select: their ends are waited for.  [layer 5] */
#include "select.h"
#include "task.h"

static enum select_look
look(const weft_case *k)
{
    return weft__task_done(k->object) ? LOOK_YES : LOOK_NO;
}

static void
lock(void *object)
{
    weft_task *t = object;
    weft__acquire(&t->lock);
}

static void
unlock(void *object)
{
    weft_task *t = object;
    weft__unlock(&t->lock);
}

static bool
is_ready(const weft_case *k)
{
    return weft__task_done(k->object);
}

static int
outcome(weft_case *k, int code)
{
    (void)code;
    if (weft_task_state(k->object) == WEFT_COMPLETED) return 0;
    weft__task_observe(k->object);
    return WEFT_ECHILD;
}

static bool
execute(weft_case *k, struct list *ready)
{
    (void)ready;
    if (!weft__task_done(k->object)) return false;
    k->rc = outcome(k, 0);
    return true;
}

static void
enroll(weft_case *k, struct wait *w, uint32_t index, struct list *ready)
{
    weft_task *t = k->object;
    (void)ready;
    weft__wait_register(w, weft__case_waiter(k), &t->waiters, index, NULL);
}

static void
withdraw(weft_case *k)
{
    weft_task *t = k->object;
    weft__wait_withdraw(weft__case_waiter(k), &t->waiters);
}

const struct select_kind weft__select_done = {
    .look = look,
    .lock = lock,
    .unlock = unlock,
    .ready = is_ready,
    .execute = execute,
    .enroll = enroll,
    .withdraw = withdraw,
    .outcome = outcome,
};
