/* model_members.c - members that end anywhere, and who closes their scope: it waits for the last, and nobody comes later.
 *
 * sources: scope.c members.c waiter.c park.c fence.c futex.c
 *
 * The scope is a block of malloc, freed as soon as it is closed; what members have written, without atomics, is read then.
 *
 * Instances:
 *   two        members end elsewhere, while the scope is closed                                      D1-D3 with A1-A3
 *   own        a member that the opener's context made ends elsewhere: the sum of own and others
 *   wait       the opener waits, and is interrupted as the last member ends; then it closes
 *   credit     a context that is a member makes one at the expense of its credit, which ends elsewhere, and departs */
#include "model_opener.h"

#include "model_instance.h"

static weft_scope *s;
static int results[2]; /* plain: what a member has done is seen by who has closed the scope */
static bool cancelled; /* the opener finds that when it is about to park */

/* ---- What is around: nothing is ever cancelled, linked, or timed ----------------------------------------------------- */

_Atomic uint64_t weft__cancel_epoch = 1;

void
weft__scope_lock(struct scope *scope)
{
    weft__acquire(&scope->lock);
    if (!scope->warm) scope->closer = NULL;
    scope->warm = true;
}

void
weft__scope_list(struct context *c)
{
    c->listed = weft__task_scope(c->task);
    store_relaxed(&c->listed_for, c->task); /* relaxed: its own */
}

void
weft__scope_unlist(struct context *c)
{
    c->listed = NULL;
}

void
weft__scope_unlink(struct scope *scope)
{
    (void)scope;
}

bool
weft__scope_cancelled(struct scope *scope)
{
    (void)scope;
    return false;
}

bool
weft__task_cancelled_slow(const weft_task *t, struct scope *s)
{
    (void)t, (void)s;
    return cancelled;
}

bool
weft__scope_reason(const struct scope *scope, int *reason, bool *late)
{
    (void)scope;
    *reason = 0;
    *late = false;
    return false;
}

/* ---- The threads ----------------------------------------------------------------------------------------------------- */

static void *
end_elsewhere(void *arg)
{
    *(int *)arg = 1;
    weft__scope_leave(weft__scope(s), NULL);
    return NULL;
}

static void
check_closed(int n)
{
    assert(close_scope(s, 7) == 7);
    for (int k = 0; k < n; k++) assert(results[k] == 1);
}

static void
two(void)
{
    pthread_t members[2];
    prepare_opener();
    s = open_scope(0);
    for (int k = 0; k < 2; k++) {
        weft__scope_enter(weft__scope(s), NULL);
        pthread_create(&members[k], NULL, end_elsewhere, &results[k]);
    }
    check_closed(2);
    for (int k = 0; k < 2; k++) pthread_join(members[k], NULL);
}

static void
own(void)
{
    pthread_t member;
    prepare_opener();
    s = open_scope(0);
    weft__scope_enter(weft__scope(s), &contexts[0]);
    assert(weft__scope(s)->own == 1);
    pthread_create(&member, NULL, end_elsewhere, &results[0]);
    check_closed(1);
    pthread_join(member, NULL);
}

static void
wait_interrupted(void)
{
    pthread_t member;
    prepare_opener();
    s = open_scope(0);
    weft__scope_enter(weft__scope(s), NULL);
    pthread_create(&member, NULL, end_elsewhere, &results[0]);
    cancelled = true;
    int rc = weft__scope_await(weft__scope(s), &contexts[0], "model", true, WEFT_FOREVER);
    cancelled = false;
    assert(rc == 0 || rc == WEFT_ECANCELED);
    if (rc == 0) explore_reached("a wait ends");
    else explore_reached("a wait is interrupted");
    check_closed(1);
    pthread_join(member, NULL);
}

static pthread_t forked;

/* The second context: a member that forks one, which is stolen. */
static void *
fork_and_depart(void *arg)
{
    struct context *c = &contexts[1];
    (void)arg;
    weft__scope_enter(weft__scope(s), c);
    pthread_create(&forked, NULL, end_elsewhere, &results[1]);
    weft__scope_enter(weft__scope(s), c); /* and one that it runs in place */
    weft__scope_leave(weft__scope(s), c);
    results[0] = 1;
    weft__scope_depart(weft__scope(s), c);
    return NULL;
}

static void
credit(void)
{
    pthread_t member;
    prepare_opener();
    s = open_scope(0);
    contexts[1].base = weft__scope(s);
    weft__scope_enter(weft__scope(s), NULL);
    pthread_create(&member, NULL, fork_and_depart, NULL);
    check_closed(2);
    pthread_join(member, NULL); /* and nobody has touched what was freed */
    pthread_join(forked, NULL);
}

static const struct instance instances[] = {
    {"two", two, true},       {"own", own, true},  {"wait", wait_interrupted, true},
    {"credit", credit, true}, {NULL, NULL, false},
};
