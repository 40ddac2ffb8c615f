/* queue_join.c - tasks that schedule more tasks: done when all are done.
 *
 * A small web is crawled from its first page: each page leads to others, and nobody knows beforehand how many there are.
 * What a member of a scope spawns is a member too, so closing the scope waits for all of them, however many generations.
 * The second way needs no task for each page: four workers share a queue, and a count of what is in it or being worked on;
 * who brings the count to 0 closes the queue. */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

enum { PAGES = 10000, LINKS = 3, WORKERS = 4 };

struct crawl {
    atomic_bool seen[PAGES];
    atomic_int pages;
    atomic_uint sum;     /* of the digests */
    weft_channel *queue; /* of ints, the second way */
    atomic_int unfinished;
};

static struct crawl crawl;

/* The web: where page leads to, and the digest of its text. */
static int
link_of(int page, int i)
{
    return (page * (2 * i + 3) + 7 * i + 1) % PAGES & ~1; /* odd pages are never reached */
}

static unsigned
digest(int page)
{
    unsigned d = (unsigned)page;
    for (int i = 0; i < 300; i++) d = d * 1664525 + 1013904223;
    return d;
}

static void
visit(int page)
{
    atomic_fetch_add(&crawl.pages, 1);
    atomic_fetch_add(&crawl.sum, digest(page));
}

static bool
is_new(int page)
{
    return !atomic_exchange(&crawl.seen[page], true);
}

/* A task for each page. */
static int
crawl_page(void *arg)
{
    int page = *(int *)arg, code = 0;
    visit(page);
    for (int i = 0; i < LINKS && code == 0; i++) {
        int next = link_of(page, i);
        if (is_new(next)) code = weft_spawn_copy(NULL, crawl_page, &next, sizeof next);
    }
    return code;
}

static int
by_scope(void)
{
    weft_scope s;
    int first = 0;
    is_new(first);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    int code = weft_spawn_copy(NULL, crawl_page, &first, sizeof first);
    return weft_scope_close(&s, code);
}

/* A queue of pages. */
static int
enqueue(int page)
{
    atomic_fetch_add(&crawl.unfinished, 1);
    return weft_channel_put(crawl.queue, &page);
}

static int
work(void *arg)
{
    (void)arg;
    int page, code = 0;
    weft_channel_each(crawl.queue, page) {
        visit(page);
        for (int i = 0; i < LINKS && code == 0; i++) {
            int next = link_of(page, i);
            if (is_new(next)) code = enqueue(next);
        }
        if (code < 0) return code;
        if (atomic_fetch_sub(&crawl.unfinished, 1) == 1) weft_channel_close(crawl.queue, 0);
    }
    return 0;
}

static int
by_queue(void)
{
    weft_scope s;
    is_new(0);
    int code = weft_channel_new(&crawl.queue, sizeof(int), WEFT_UNBOUNDED); /* bounded, all might wait to put */
    if (code < 0) return code;
    code = enqueue(0);
    weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int i = 0; i < WORKERS && code == 0; i++) code = weft_spawn(NULL, work, NULL);
    code = weft_scope_close(&s, code);
    weft_channel_release(crawl.queue);
    return code;
}

static void
show(const char *how)
{
    printf("%s: %d pages, digest %08x\n", how, crawl.pages, crawl.sum);
    for (int i = 0; i < PAGES; i++) crawl.seen[i] = false;
    crawl.pages = 0;
    crawl.sum = 0;
}

static int
root(void *arg)
{
    (void)arg;
    int code = by_scope();
    show("a task for each page");
    if (code == 0) code = by_queue();
    show("four workers and a queue");
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
