/* test_list.c - the list that waiters stand in. */
#include "list.h"
#include "test.h"

enum { NODES = 5 };

struct queue {
    struct list list;
    struct list_node node[NODES];
};

/* A queue of all its nodes, in order. */
static void
fill(struct queue *q)
{
    *q = (struct queue){.list = {NULL, NULL}};
    for (int i = 0; i < NODES; i++) weft__list_append(&q->list, &q->node[i]);
}

/* Whether the list holds the nodes with these digits, forwards and backwards, and says so of each node. */
static bool
holds(const struct queue *q, const char *digits)
{
    const struct list_node *n = q->list.head, *last = NULL;
    bool in[NODES] = {false};
    for (; *digits; digits++) {
        int i = *digits - '0';
        if (n != &q->node[i] || n->prev != last) return false;
        in[i] = true;
        last = n;
        n = n->next;
    }
    for (int i = 0; i < NODES; i++)
        if (weft__list_linked(&q->list, &q->node[i]) != in[i]) return false;
    return n == NULL && q->list.tail == last && weft__list_empty(&q->list) == !last;
}

/* [J228] */
TEST(list, fifo, "list: what is appended first is popped first; nothing is popped from an empty list")
{
    struct queue q;
    fill(&q);
    CHECK(holds(&q, "01234"));
    for (int i = 0; i < NODES; i++) CHECK(weft__list_pop(&q.list) == &q.node[i]);
    CHECK(holds(&q, ""));
    CHECK(weft__list_pop(&q.list) == NULL);
    weft__list_append(&q.list, &q.node[3]);
    CHECK(holds(&q, "3"));
}

/* [J228] Removing what is in no list is not asked for: weft__list_linked tells before. */
TEST(list, removes, "list: any node can be taken out, whether first, last, in the middle, or the only one")
{
    struct queue q;
    fill(&q);
    weft__list_remove(&q.list, &q.node[2]);
    CHECK(holds(&q, "0134"));
    weft__list_remove(&q.list, &q.node[0]);
    CHECK(holds(&q, "134"));
    weft__list_remove(&q.list, &q.node[4]);
    CHECK(holds(&q, "13"));
    weft__list_append(&q.list, &q.node[2]);
    CHECK(holds(&q, "132"));
    weft__list_remove(&q.list, &q.node[3]);
    weft__list_remove(&q.list, &q.node[1]);
    weft__list_remove(&q.list, &q.node[2]);
    CHECK(holds(&q, ""));
}
