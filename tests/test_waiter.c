/* test_waiter.c - claims: exactly one for each park, and never of another; lists of waiters. */
#include "test.h"

#include "waiter.h"

#include <pthread.h>
#include <string.h>

struct race {
    struct parker parker;
    uint64_t ticket;
    _Atomic int ready, won;
};

static void *
claim_it(void *arg)
{
    struct race *r = arg;
    add_acq_rel(&r->ready, 1);
    while (load_acquire(&r->ready) < 4) sched_yield(); /* all at once */
    if (weft__park_claim(&r->parker, r->ticket)) add_relaxed(&r->won, 1);
    return NULL;
}

TEST(waiter, one_claim, "claim: of many who try for one park exactly one succeeds")
{
    for (int i = 0; i < (TEST_SMALL ? 100 : 1000); i++) {
        struct race r;
        pthread_t thread[4];
        memset(&r, 0, sizeof r);
        r.ticket = weft__park_arm(&r.parker, "test", false);
        for (int k = 0; k < 4; k++) CHECK_INT(pthread_create(&thread[k], NULL, claim_it, &r), 0);
        for (int k = 0; k < 4; k++) pthread_join(thread[k], NULL);
        CHECK_INT(load_relaxed(&r.won), 1); /* relaxed: after the joins */
    }
}

TEST(waiter, generations, "claim: the ticket of one park does not claim the next")
{
    struct parker p;
    memset(&p, 0, sizeof p);
    uint64_t first = weft__park_arm(&p, "first", true);
    CHECK(weft__park_claim(&p, first));
    CHECK(!weft__park_claim(&p, first));
    uint64_t second = weft__park_arm(&p, "second", true);
    CHECK(first != second);
    CHECK(!weft__park_claim(&p, first));
    CHECK(weft__park_claim(&p, second));
}

TEST(waiter, cancellable, "claim: a cancellation claims a cancellable park, and no other")
{
    struct parker p;
    memset(&p, 0, sizeof p);
    CHECK(!weft__park_claim_any(&p));
    (void)weft__park_arm(&p, "test", false);
    CHECK(!weft__park_claim_any(&p));
    (void)weft__park_arm(&p, "test", true);
    CHECK(weft__park_claim_any(&p));
    CHECK(!weft__park_claim_any(&p));
}

TEST(waiter, skips, "waiters: whoever lost its park is passed over, and the order is kept")
{
    enum { N = 6 };
    struct wait waits[N];
    struct waiter waiters[N];
    struct list list = {NULL, NULL};
    for (int i = 0; i < N; i++) {
        weft__wait_begin(&waits[i], NULL, "test", true);
        weft__wait_register(&waits[i], &waiters[i], &list, (uint32_t)i, NULL);
    }
    CHECK(weft__park_claim(waits[0].parker, waits[0].ticket));
    CHECK(weft__park_claim(waits[3].parker, waits[3].ticket));
    weft__wait_withdraw(&waiters[4], &list);
    weft__wait_withdraw(&waiters[4], &list); /* a second time: nothing */
    CHECK(weft__waiter_claim_first(&list) == &waiters[1]);
    CHECK(weft__waiter_claim_first(&list) == &waiters[2]);
    CHECK(weft__waiter_claim_first(&list) == &waiters[5]);
    CHECK(weft__waiter_claim_first(&list) == NULL);
    CHECK(weft__list_empty(&list));
}
