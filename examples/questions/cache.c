/* cache.c - a cache that a daemon refreshes in the background.
 *
 * A price list is read from a file, and tasks look things up in it.  The daemon looks every few milliseconds whether the
 * file has changed, and replaces the list under a lock for readers and writers.  WEFT_DAEMON: it belongs to no scope of
 * the program's, does not keep weft_run from returning, and is then cancelled and awaited: it can put its things in order. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weft.h>

enum { PRICES = 100, VERSIONS = 4, READERS = 3 };

struct list {
    int version, price[PRICES];
};

struct cache {
    char path[64];
    weft_rwlock lock; /* the list */
    struct list list;
    struct list *spare; /* the daemon's own */
    weft_event filled;  /* there is a list */
    bool daemon_gone;
};

/* ---- The file: these block, and run on threads of the pool. */

static int
read_list(void *arg)
{
    struct cache *c = arg;
    FILE *f = fopen(c->path, "r");
    if (!f) return -errno;
    int n = fscanf(f, "%d", &c->spare->version) == 1;
    for (int i = 0; i < PRICES && n > 0; i++) n += fscanf(f, "%d", &c->spare->price[i]) == 1;
    fclose(f);
    return n == PRICES + 1 ? 0 : WEFT_EINVAL;
}

struct edition {
    struct cache *cache;
    int version;
};

static int
write_list(void *arg)
{
    const struct edition *e = arg;
    char draft[80];
    snprintf(draft, sizeof draft, "%s.new", e->cache->path);
    FILE *f = fopen(draft, "w");
    if (!f) return -errno;
    fprintf(f, "%d\n", e->version);
    for (int i = 0; i < PRICES; i++) fprintf(f, "%d\n", 1000 * e->version + i);
    if (fclose(f) != 0) return -errno;
    return rename(draft, e->cache->path) == 0 ? 0 : -errno; /* readers see the old file or the new one */
}

/* ---- The daemon. */

static int
keep_fresh(struct cache *c)
{
    weft_ticker often;
    int code = weft_ticker_init(&often, WEFT_NOW, 2 * WEFT_MS, WEFT_DELAY);
    while (code == 0 && (code = weft_tick(&often)) == 0 && (code = weft_blocking(NULL, read_list, c)) == 0) {
        weft_rwlock_wrlock(&c->lock);
        c->list = *c->spare;
        weft_rwlock_wrunlock(&c->lock);
        weft_event_notify(&c->filled);
    }
    return code; /* WEFT_ECANCELED: the program is over */
}

static int
refresh(void *arg)
{
    struct cache *c = arg;
    c->spare = malloc(sizeof *c->spare);
    int code = c->spare ? keep_fresh(c) : WEFT_ENOMEM;
    free(c->spare);
    c->daemon_gone = true;
    return code;
}

/* ---- Who uses the cache. */

/* The version of a price, or -1 if two prices are of different versions. */
static int
look_up(struct cache *c, int i, int j)
{
    weft_rwlock_rdlock(&c->lock);
    int version = c->list.price[i] / 1000;
    if (version != c->list.price[j] / 1000 || version != c->list.version) version = -1;
    weft_rwlock_rdunlock(&c->lock);
    return version;
}

static int
read_prices(void *arg)
{
    struct cache *c = arg;
    int code, version = 0;
    for (int i = 0; version < VERSIONS; i++) {
        int found = look_up(c, i % PRICES, i * 7 % PRICES);
        if (found < version) return weft_fail(WEFT_EINVAL, "version %d after %d", found, version);
        version = found;
        if ((code = weft_sleep(0)) < 0) return code;
    }
    return 0;
}

static bool
has_arrived(void *arg)
{
    const struct edition *e = arg;
    return look_up(e->cache, 0, PRICES - 1) == e->version;
}

static int
publish(struct cache *c, int version)
{
    struct edition e = {c, version};
    int code = weft_blocking(NULL, write_list, &e);
    if (code == 0) code = weft_timedwait(has_arrived, &e, 10 * WEFT_S, WEFT_MS);
    printf("version %d is %s\n", version, code == 0 ? "in the cache" : weft_error_text(code));
    return code;
}

static int
root(void *arg)
{
    struct cache *c = arg;
    struct edition first = {c, 1};
    weft_scope s;
    int code = weft_blocking(NULL, write_list, &first);
    if (code == 0) code = weft_spawn_with(NULL, refresh, c, &(weft_task_options){.flags = WEFT_DAEMON});
    if (code == 0) code = weft_event_wait_until(&c->filled, weft_in(10 * WEFT_S));
    if (code < 0) return code;

    weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int i = 0; i < READERS && code == 0; i++) code = weft_spawn(NULL, read_prices, c);
    for (int version = 2; version <= VERSIONS && code == 0; version++) code = publish(c, version);
    code = weft_scope_close(&s, code);
    printf("the readers saw whole lists, none older than the one before: %s\n", code == 0 ? "yes" : "no");
    return code;
}

int
main(void)
{
    static struct cache c;
    snprintf(c.path, sizeof c.path, "/tmp/weft-cache-XXXXXX");
    int fd = mkstemp(c.path);
    if (fd < 0) return 1;
    close(fd);
    int code = weft_run(NULL, root, &c);
    unlink(c.path);
    printf("the daemon has ended: %s\n", c.daemon_gone ? "yes" : "no");
    return code < 0;
}
