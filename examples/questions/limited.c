/* limited.c - a task for each request of an input that has no end in sight, and never more than eight at a time.
 *
 * The limit is the scope's: spawning waits while it is full, so the loop takes no more from the input than can be worked on,
 * and whoever produces the input is held up by the channel.  Memory stays bounded at both ends. */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

enum { LIMIT = 8, WAITING = 16, REQUESTS = 20000 };

static atomic_int now, most, primes;
static atomic_llong sum;

static bool
is_prime(int n)
{
    for (int d = 2; d <= n / d; d++)
        if (n % d == 0) return false;
    return n > 1;
}

static int
serve(void *arg)
{
    int request = *(int *)arg, at_once = atomic_fetch_add(&now, 1) + 1, known = atomic_load(&most);
    while (at_once > known && !atomic_compare_exchange_weak(&most, &known, at_once)) continue;
    weft_yield(); /* stands for a wait: the others come in meanwhile */
    if (is_prime(request)) {
        atomic_fetch_add(&primes, 1);
        atomic_fetch_add(&sum, request);
    }
    atomic_fetch_sub(&now, 1);
    return 0;
}

/* Where requests come from: how many there will be is nobody else's business. */
static int
listen(weft_channel *requests, void *arg)
{
    (void)arg;
    int code = 0;
    for (int i = 1; i <= REQUESTS && code == 0; i++) code = weft_channel_put(requests, &i);
    return code;
}

static int
serve_all(weft_channel *requests)
{
    weft_scope s;
    int request, code = 0;
    weft_scope_open(&s, 0, WEFT_FOREVER);
    weft_scope_limit(&s, LIMIT);
    while (code == 0 && (code = weft_channel_take(requests, &request)) == 0)
        code = weft_spawn_copy(NULL, serve, &request, sizeof request);
    return weft_scope_close(&s, code == WEFT_ECLOSED ? 0 : code); /* closed: that was the last one */
}

static int
root(void *arg)
{
    (void)arg;
    weft_channel *requests = NULL;
    weft_scope s;
    weft_scope_open(&s, 0, WEFT_FOREVER); /* of who serves and who listens: should one fail, both end */
    int code = weft_channel_spawn(&requests, sizeof(int), WAITING, listen, NULL, NULL);
    if (code == 0) code = serve_all(requests);
    code = weft_scope_close(&s, code);
    weft_channel_release(requests);
    if (code < 0) return code;
    printf("%d primes, which come to %lld\n", primes, sum);
    printf("more than %d at a time: %s\n", LIMIT, most > LIMIT ? "yes" : "no");
    return 0;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
