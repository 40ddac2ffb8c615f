/* blocking.c - calls that would block their worker: limiters, and who gives back the token.  [layer 5]
 *
 * A token is given back by the thread that ran the function, when that has returned (and drop, if the call was abandoned), before
 * the caller goes on; by the caller if the function never began.  So there is one place for each: call_over, and refused.
 *
 * A call that can be abandoned may outlive its caller, and holds a reference to its limiter. */
#include "blocking.h"

#include "hook.h"
#include "offload.h"
#include "scheduler.h"

#include <weft/io.h>
#include <weft/semaphore.h>

#include <stdlib.h>

struct weft_limiter {
    weft_semaphore tokens;
    _Atomic int users; /* its maker, and calls that may be abandoned */
};

struct call {
    struct offload offload;
    weft_limiter *limiter;
};

/* Zeroed, it is shut; but nobody is there to use it until the runtime has started. */
static weft_limiter by_default = {.users = 1};

void
weft__blocking_begin(int most)
{
    weft_semaphore_resize(&by_default.tokens, (size_t)most); /* calls that were abandoned may still hold some */
}

int
weft_limiter_new(weft_limiter **out, size_t calls)
{
    if (!out) return WEFT_EINVAL;
    weft_limiter *l = weft__hook_fail() ? NULL : calloc(1, sizeof *l);
    if (!l) return WEFT_ENOMEM;
    int rc = weft_semaphore_init(&l->tokens, calls);
    store_relaxed(&l->users, 1); /* relaxed: nobody else has it yet */
    if (rc < 0) free(l);
    else *out = l;
    return rc;
}

static void
unref(weft_limiter *l)
{
    if (sub_acq_rel(&l->users, 1) == 1) free(l);
}

void
weft_limiter_free(weft_limiter *l)
{
    if (l) unref(l);
}

void
weft_limiter_resize(weft_limiter *l, size_t calls)
{
    weft_semaphore_resize(l ? &l->tokens : &by_default.tokens, calls);
}

size_t
weft_limiter_available(const weft_limiter *l)
{
    return weft_semaphore_available(l ? &l->tokens : &by_default.tokens);
}

/* Waits for a token.  Who is given one at the moment of a cancellation does not begin any more: the function that held it may
 * have ended just because of that. */
static int
take_token(weft_limiter *l, const struct context *c, weft_time deadline)
{
    int rc = weft_semaphore_acquire_until(&l->tokens, 1, deadline);
    if (rc < 0 || !weft__cancelled(c)) return rc;
    (void)weft_semaphore_release(&l->tokens, 1);
    return WEFT_ECANCELED;
}

static void
give_back(weft_limiter *l, bool counted)
{
    (void)weft_semaphore_release(&l->tokens, 1); /* it was acquired */
    if (counted) unref(l);
}

static void
call_over(struct offload *job)
{
    const struct call *call = weft__container(job, struct call, offload);
    give_back(call->limiter, job->abandonable);
}

int
weft_blocking_until(weft_limiter *l, weft_fn *fn, void *arg, weft_time deadline)
{
    struct context *c = weft__context_current();
    if (!fn) return WEFT_EINVAL;
    if (weft__cancelled(c)) return WEFT_ECANCELED;
    if (!c) return fn(arg);
    struct call call = {.offload = {.fn = fn, .arg = arg, .over = call_over}, .limiter = l ? l : &by_default};
    int rc = take_token(call.limiter, c, deadline);
    if (rc < 0) return rc;
    if (weft__offload(&call.offload, c, &rc) == OFFLOAD_REFUSED) give_back(call.limiter, false);
    return rc;
}

int
weft_blocking(weft_limiter *l, weft_fn *fn, void *arg)
{
    return weft_blocking_until(l, fn, arg, WEFT_FOREVER);
}

/* A token, and then the call.  *abandoned: drop is the thread's business. */
static int
abandonable(weft_limiter *l, struct offload job, struct context *c, weft_time deadline, bool *abandoned)
{
    int rc = take_token(l, c, deadline);
    if (rc < 0) return rc;
    struct call *call = weft__hook_fail() ? NULL : malloc(sizeof *call);
    if (!call) {
        give_back(l, false);
        return WEFT_ENOMEM;
    }
    *call = (struct call){job, l};
    add_relaxed(&l->users, 1); /* relaxed: the caller's reference is there as long as this call */
    enum offload_end end = weft__offload(&call->offload, c, &rc);
    if (end == OFFLOAD_REFUSED) give_back(l, true);
    *abandoned = end == OFFLOAD_ABANDONED;
    return rc;
}

int
weft_blocking_abandon_until(weft_limiter *l, weft_fn *fn, void *arg, void (*drop)(void *arg), weft_time deadline)
{
    struct context *c = weft__context_current();
    bool abandoned = false;
    int rc = WEFT_ECANCELED;
    if (!fn) return WEFT_EINVAL;
    struct offload job = {.fn = fn, .arg = arg, .over = call_over, .abandonable = true, .drop = drop};
    if (!weft__cancelled(c)) rc = c ? abandonable(l ? l : &by_default, job, c, deadline, &abandoned) : fn(arg);
    if (rc == WEFT_ECANCELED && !abandoned && drop) drop(arg);
    return rc;
}

int
weft_blocking_abandon(weft_limiter *l, weft_fn *fn, void *arg, void (*drop)(void *arg))
{
    return weft_blocking_abandon_until(l, fn, arg, drop, WEFT_FOREVER);
}

bool
weft_blocking_cancelled(void)
{
    struct offload *job = weft__offload_current();
    if (!job) return weft__cancelled(weft__context_current());
    return !weft__forked() && weft__offload_cancelled(job);
}
