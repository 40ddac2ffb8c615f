/* select.h - what a select needs to know of each kind of case.  [layer 5]
 *
 * The essay is in select.c.  A kind of object becomes selectable by a struct select_kind beside its other functions; that of
 * channels is channel_select.h, inline. */
#ifndef WEFT_SRC_SELECT_H
#define WEFT_SRC_SELECT_H

#include "waiter.h"

#include <weft/select.h>

/* What select.c keeps in the opaque part of a case. */
struct select_part {
    struct waiter waiter;
    weft_case *ordered; /* some case: of the j-th part, the j-th in the order in which objects are locked */
};

_Static_assert(sizeof(struct select_part) == sizeof((weft_case){0}.opaque), "weft/select.h");

static inline struct select_part *
weft__case_part(weft_case *k)
{
    return (struct select_part *)(void *)k->opaque;
}

static inline struct waiter *
weft__case_waiter(weft_case *k)
{
    return &weft__case_part(k)->waiter;
}

/* What a look at a case without a lock finds out. */
enum select_look {
    LOOK_NO,     /* during the look there was a moment in which the case could not be executed */
    LOOK_HARDLY, /* it looks so, but that may be an error */
    LOOK_YES     /* it may well be that it can be executed */
};

struct select_kind {
    enum select_look (*look)(const weft_case *k);

    /* The object's lock.  Objects are told apart, and put in order, by their addresses. */
    void (*lock)(void *object);
    void (*unlock)(void *object);

    /* All of these under the lock. */
    bool (*ready)(const weft_case *k); /* can it be executed, for all one can see without a claim? */
    /* Executes it, and sets rc; whoever is claimed goes to ready.  false: it cannot be done; then whoever made it look as if it
     * could is not in the way any more. */
    bool (*execute)(weft_case *k, struct list *ready);
    void (*enroll)(weft_case *k, struct wait *w, uint32_t index, struct list *ready); /* registers; ready: as there */
    void (*withdraw)(weft_case *k); /* the registration, which may have left the list, but did not win */

    /* The registration won.  Makes rc of what the waker gave.  Not under the lock; the object may be gone. */
    int (*outcome)(weft_case *k, int code);
};

extern const struct select_kind weft__select_done;  /* task_select.c */
extern const struct select_kind weft__select_event; /* event.c */

static inline int
weft__select_fd(const weft_case *k)
{
    return (int)((intptr_t)k->object - 1);
}

/* Provided by io.c: what the descriptor of k is ready for; 0: nothing; negative: an error.  Keeps errno. */
int weft__select_poll(const weft_case *k);

#endif
