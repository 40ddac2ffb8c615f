/* scope.h - scopes: a cancel flag, a deadline, a set of member tasks, and what happens when one of them fails.
 *
 *     weft_scope s;
 *     weft_scope_open(&s, 0, weft_in(2 * WEFT_S));
 *     for (int i = 0; i < n && rc == 0; i++) rc = weft_spawn(NULL, fetch, &page[i]);
 *     rc = weft_scope_close(&s, rc);             // all have ended; the first error, WEFT_ETIMEDOUT, or 0
 *
 * A scope is opened and closed by one task (or plain thread), the last opened first.  While it is open it is that task's
 * current scope: what the task spawns is a member of it, and so is what members spawn.  Closing waits for every member.
 * So what members refer to may live in the frame that opens and closes the scope.
 *
 * Cancelling is a level, not an event: a scope that is cancelled stays so.  Every call marked [C] that a task makes inside of
 * it returns WEFT_ECANCELED before it does anything, and one that is parked is woken and returns it; nothing happened
 * then.  Members that have not started do not run: their drop function does.  Spawning is refused.  A task cleans up and
 * returns; nothing is unwound.  Calls that are not marked [C] work as ever: unlock, notify, close, release, and
 * weft_scope_close itself.  A cancellation reaches all scopes that are opened inside, but for those with WEFT_SHIELD;
 * it never reaches outwards.
 *
 * Threads.   A scope is opened and closed by the same task.  weft_scope_cancel may be called by anybody for whom the scope is
 *            certainly open: its opener, its members, or who synchronises with them.
 * Ownership. The memory is the caller's, usually on its stack; it need not be initialised, and is free when weft_scope_close
 *            has returned.
 * Ordering.  What members did happens before weft_scope_close returns.
 * Errors.    A scope that is closed out of order, by another task, or never (its task returns), is reported to on_misuse. */
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <weft/base.h>

WEFT_BEGIN

struct weft_scope {
    uint64_t opaque[48];
};

enum {
    /* The default: the first member that fails cancels the scope, and its code is what weft_scope_close returns. */
    WEFT_SUPERVISE = 1, /* members may fail: the others go on.  A failure that nobody looks at goes to on_unhandled */
    WEFT_RACE = 2,      /* the first member that completes cancels the others */
    WEFT_SHIELD = 4,    /* what is cancelled outside is not seen inside.  Give it a deadline */
    WEFT_KEEP = 8       /* members that have ended are kept for weft_scope_next */
};

/* Opens s, as the caller's current scope.  deadline: when it is cancelled; WEFT_FOREVER: never.  Never parks.  An unknown flag
 * is misuse, and is left out. */
WEFT_API void weft_scope_open(weft_scope *s, unsigned flags, weft_time deadline);

/* Waits until every member has ended, whatever is cancelled, and closes s.  A negative rc, the result of the caller's own
 * work, cancels s first.  Runs members that have not started in place, where that is sound.  Returns, the first that holds:
 *   0               WEFT_RACE, and a member completed
 *   an error        the first in time, of a member (not with WEFT_SUPERVISE) or rc; WEFT_ECANCELED does not count
 *   the reason      given to weft_scope_cancel, if that is negative
 *   WEFT_ECANCELED  rc is that, or a member was cancelled, and so is what s was opened in (and s is no WEFT_SHIELD)
 *   WEFT_ETIMEDOUT  rc is WEFT_ECANCELED, or a member was cancelled, and the deadline of s had passed
 *   0               likewise, and s was cancelled with reason 0
 *   rc
 * So a deadline that passed, or a cancellation, that nobody met is no error.  WEFT_EINVAL, after on_misuse: s is not the
 * innermost scope that the caller has open; nothing was closed.  Parks; not a cancellation point. */
WEFT_API WEFT_MUSTUSE int weft_scope_close(weft_scope *s, int rc);

/* Cancels s.  reason 0: a wish to stop; negative: an error, which weft_scope_close will return; above 0 is misuse, and counts
 * as 0.  The first reason counts.  Never waits, never parks. */
WEFT_API void weft_scope_cancel(weft_scope *s, int reason);

/* Is s cancelled, by itself or from outside? */
WEFT_API bool weft_scope_iscancelled(const weft_scope *s);

/* Why s is cancelled: the reason given to weft_scope_cancel; a member's error; WEFT_ETIMEDOUT for a deadline;
 * WEFT_ECANCELED for a task's own cancellation.  The innermost scope that is cancelled by itself counts.  0 if s is not
 * cancelled, or the reason was 0. */
WEFT_API int weft_scope_why(const weft_scope *s);

/* Moves the deadline of s, from inside s.  A deadline that has passed cancels at once; what is cancelled stays so. */
WEFT_API void weft_scope_deadline(weft_scope *s, weft_time deadline);

/* The caller's current scope; the runtime's root scope if it is in no other. */
WEFT_API weft_scope *weft_scope_current(void);

/* The earliest deadline that the caller is under: of its scopes, out to the first WEFT_SHIELD.  WEFT_FOREVER: none;
 * WEFT_NOW: it is cancelled. */
WEFT_API weft_time weft_deadline(void);

/* At most n members at a time: spawning into s waits until there are fewer.  n may be changed; SIZE_MAX: no limit.  To be
 * called first before s has members: a scope that has some and never had a limit cannot get one (misuse).  Never parks.
 * Spawning is a cancellation point then; a member that spawns into its own full scope waits for others to end. */
WEFT_API void weft_scope_limit(weft_scope *s, size_t n);

/* Waits until s has no member.  Others may be spawned later.  To be called by who opened s.                        [C]
 *   WEFT_EINVAL     s is not the innermost scope that the caller has open
 *   WEFT_ECANCELED, WEFT_ETIMEDOUT, WEFT_EAGAIN   nothing was changed */
WEFT_API WEFT_MUSTUSE int weft_scope_wait(weft_scope *s);
WEFT_API WEFT_MUSTUSE int weft_scope_wait_until(weft_scope *s, weft_time deadline);

/* The next member that has ended, in the order in which they ended; waits for it.  s has WEFT_KEEP.  *t is a handle, to
 * be released.  Its opener may call it, and members, also several at a time: each member is given out once.         [C]
 *   WEFT_ENOENT     no member is left
 *   WEFT_EINVAL     s has no WEFT_KEEP, or t is NULL
 *   WEFT_ECANCELED, WEFT_ETIMEDOUT, WEFT_EAGAIN   nothing was taken */
WEFT_API WEFT_MUSTUSE int weft_scope_next(weft_scope *s, weft_task **t);
WEFT_API WEFT_MUSTUSE int weft_scope_next_until(weft_scope *s, weft_task **t, weft_time deadline);

/* Cancels t: t, the scopes it has open or opens later, and their members.  t notices it at its next call marked [C]; if it has
 * not started it never runs.  A task that runs another one in place, for which it waits, notices it when that has ended.
 * Never waits: to cancel and wait, call weft_wait next.  true: t had not ended, and this was the first such call. */
WEFT_API bool weft_cancel(weft_task *t);

/* Is the caller cancelled?  For loops that compute for long.  A clock is read only under a deadline.  Never parks, and lets
 * nobody else run: where others may need the worker, who cancels among them, weft_sleep(0) gives them a turn and checks. [C]
 *   0, or WEFT_ECANCELED */
WEFT_API WEFT_MUSTUSE int weft_check(void);

/* A function to be called when the caller's current scope is cancelled.  Valid when zeroed. */
typedef struct weft_oncancel {
    uint64_t opaque[8];
} weft_oncancel;

/* Has cb(arg) called once if the caller's current scope is cancelled before weft_oncancel_del: on the thread that cancels it,
 * or on one that is delivering another cancellation, while the caller runs on.  cb must not park, nor wait for whom it
 * interrupts.  Deleting o at the same time may come first: then cb is not called, though the scope is cancelled.  false: the
 * scope is cancelled already, cb is not called.  o must stay where it is until it is deleted; it
 * must be deleted before the scope is closed. */
WEFT_API bool weft_oncancel_add(weft_oncancel *o, void (*cb)(void *arg), void *arg);

/* When this returns cb is not running, and will not be called; but from inside of cb it does not wait. */
WEFT_API void weft_oncancel_del(weft_oncancel *o);

WEFT_END
#endif
