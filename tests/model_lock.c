/* model_lock.c - the lock that is held for nanoseconds: one holder at a time, and each sees what the last one did.
 *
 * sources: */
#include "atomic.h"
#include "explore.h"

#include <assert.h>
#include <pthread.h>

enum { THREADS = 3 };

static weft__lock lock;
static int entered, tried; /* plain, under the lock */

static void *
taker(void *arg)
{
    (void)arg;
    for (int k = 0; k < 2; k++) {
        weft__acquire(&lock);
        entered++;
        weft__unlock(&lock);
    }
    return NULL;
}

static void *
trier(void *arg)
{
    (void)arg;
    if (!weft__trylock(&lock)) {
        explore_reached("the lock is taken");
        return NULL;
    }
    explore_reached("the lock is free");
    tried++;
    entered++;
    weft__unlock(&lock);
    return NULL;
}

int
main(void)
{
    pthread_t threads[THREADS];
    for (int k = 0; k < THREADS; k++) pthread_create(&threads[k], NULL, k < 2 ? taker : trier, NULL);
    for (int k = 0; k < THREADS; k++) pthread_join(threads[k], NULL);
    assert(entered == 4 + tried);
    return 0;
}
