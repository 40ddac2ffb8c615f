/* list.h - an intrusive doubly linked list, for waiters: FIFO, and removal from the middle.  [layer 0]
 *
 * A node that is in no list is zeroed: weft__list_linked tells. */
#ifndef WEFT_SRC_LIST_H
#define WEFT_SRC_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next, *prev;
};

/* Valid when zeroed: empty. */
struct list {
    struct list_node *head, *tail;
};

static inline bool
weft__list_empty(const struct list *l)
{
    return l->head == NULL;
}

static inline bool
weft__list_linked(const struct list *l, const struct list_node *n)
{
    return n->prev || l->head == n;
}

static inline void
weft__list_append(struct list *l, struct list_node *n)
{
    n->next = NULL;
    n->prev = l->tail;
    if (l->tail) l->tail->next = n;
    else l->head = n;
    l->tail = n;
}

static inline void
weft__list_prepend(struct list *l, struct list_node *n)
{
    n->prev = NULL;
    n->next = l->head;
    if (l->head) l->head->prev = n;
    else l->tail = n;
    l->head = n;
}

static inline void
weft__list_remove(struct list *l, struct list_node *n)
{
    if (n->prev) n->prev->next = n->next;
    else l->head = n->next;
    if (n->next) n->next->prev = n->prev;
    else l->tail = n->prev;
    n->next = n->prev = NULL;
}

static inline struct list_node *
weft__list_pop(struct list *l)
{
    struct list_node *n = l->head;
    if (n) weft__list_remove(l, n);
    return n;
}

#endif
