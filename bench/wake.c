/* wake.c - how long it takes until another worker runs something: a new task, or one that was parked there.
 *
 * A sample is the median of many.  The pair that wakes lives on two workers, each of its tasks bound to its own, and is
 * left idle before each wake for some time: both workers sleep by then, unless the time is short. */
#include "on_weft.h"
#include "rest.h"
#include "threads.h"

#include <sys/prctl.h>

enum { SHORT_NS = 50000, LONG_NS = 2000000, MAX_WAKES = 2000 };

/* The longer the pause, the fewer the wakes. */
static int
wakes(int64_t pause)
{
    return pause == SHORT_NS ? bench_size(500, 100) : bench_size(60, 10);
}

/* ---- A new task, on another worker ------------------------------------------------------------------------------- */

static int
newcomer(void *arg)
{
    newcomer_starts(arg, weft_worker());
    return 0;
}

static void
spawn_newcomer(struct newcomer *n)
{
    n->task = start(newcomer, n);
}

static void
join_newcomer(struct newcomer *n)
{
    join(n->task);
}

static void
spawn_to_start(struct bench_sample *s)
{
    start_sample(s, weft_worker, spawn_newcomer, join_newcomer);
}

static void *
newcomer_thread(void *arg)
{
    newcomer_starts(arg, 0);
    return NULL;
}

static void
create_newcomer(struct newcomer *n)
{
    pthread_t *t = bench_alloc(1, sizeof *t);
    n->task = t;
    *t = thread_start(newcomer_thread, n, NULL);
}

static void
join_newcomer_thread(struct newcomer *n)
{
    pthread_join(*(pthread_t *)n->task, NULL);
    free(n->task);
}

static int
no_worker(void)
{
    return -1;
}

static void
create_to_start(struct bench_sample *s)
{
    start_sample(s, no_worker, create_newcomer, join_newcomer_thread);
}

/* ---- A parked one ------------------------------------------------------------------------------------------------ */

struct pair {
    int64_t pause;
    int n, done;
    int64_t sent; /* when the waker woke the sleeper: handed over by the wake */
    double ns[MAX_WAKES];
    weft_task *waker, *sleeper;
    int worker[2];
    struct turnstile wake, answer; /* the twin's */
};

static int
sleeper(void *arg)
{
    struct pair *p = arg;
    p->worker[1] = weft_worker();
    for (; p->done < p->n; p->done++) {
        ok(weft_park(NULL), "weft_park");
        p->ns[p->done] = (double)(bench_now() - p->sent);
        ok(weft_schedule(p->waker), "weft_schedule");
    }
    return 0;
}

static int
waker(void *arg)
{
    struct pair *p = arg;
    p->worker[0] = weft_worker();
    for (int i = 0; i < p->n; i++) {
        ok(weft_sleep(p->pause), "weft_sleep");
        p->sent = bench_now();
        ok(weft_schedule(p->sleeper), "weft_schedule");
        ok(weft_park(NULL), "weft_park");
    }
    return 0;
}

/* Runs on a worker that is not the waker's: what it starts with weft_async stays there. */
struct elsewhere {
    struct newcomer arrived;
    struct pair *pair;
};

static int
elsewhere(void *arg)
{
    struct elsewhere *e = arg;
    ok(weft_async(&e->pair->sleeper, sleeper, e->pair), "weft_async");
    return newcomer(&e->arrived);
}

static void
wake_pair(struct bench_sample *s, int64_t pause)
{
    struct pair *p = bench_alloc(1, sizeof *p);
    struct elsewhere e = {.pair = p};
    p->pause = pause;
    p->n = wakes(pause);
    weft_task *t = start(elsewhere, &e);
    newcomer_awaited(&e.arrived);
    while (!weft_task_isstarted(p->sleeper)) continue; /* without a yield: this task stays where it is */
    ok(weft_task_new(&p->waker, waker, p, &(weft_task_options){.flags = WEFT_STICKY}), "weft_task_new");
    weft_task *wakers_own = weft_task_retain(p->waker), *sleepers_own = weft_task_retain(p->sleeper);
    ok(weft_schedule(p->waker), "weft_schedule"); /* binds it to this worker */
    join(p->waker);
    join(p->sleeper);
    join(t);
    weft_task_release(wakers_own);
    weft_task_release(sleepers_own);
    if (p->worker[0] == p->worker[1]) bench_fail("wake: both tasks were on worker %d", p->worker[0]);
    bench_expect((uint64_t)p->done, (uint64_t)p->n, "wakes");
    s->values[0] = bench_median(p->ns, p->n);
    free(p);
}

static void *
sleeper_thread(void *arg)
{
    struct pair *p = arg;
    thread_bind(1);
    for (; p->done < p->n; p->done++) {
        turnstile_pass(&p->wake);
        p->ns[p->done] = (double)(bench_now() - p->sent);
        turnstile_open(&p->answer);
    }
    return NULL;
}

static void *
waker_thread(void *arg)
{
    struct pair *p = arg;
    thread_bind(0);
    for (int i = 0; i < p->n; i++) {
        struct timespec pause = {0, (long)p->pause};
        nanosleep(&pause, NULL);
        p->sent = bench_now();
        turnstile_open(&p->wake);
        turnstile_pass(&p->answer);
    }
    return NULL;
}

static void
wake_threads(struct bench_sample *s, int64_t pause)
{
    struct pair *p = bench_alloc(1, sizeof *p);
    *p = (struct pair){.pause = pause, .n = wakes(pause), .wake = TURNSTILE, .answer = TURNSTILE};
    prctl(PR_SET_TIMERSLACK, 1); /* as Weft's workers do, and they are bound: the pauses are as long, the ways as far */
    pthread_t one = thread_start(sleeper_thread, p, NULL), two = thread_start(waker_thread, p, NULL);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    bench_expect((uint64_t)p->done, (uint64_t)p->n, "wakes");
    s->values[0] = bench_median(p->ns, p->n);
    free(p);
}

static void
wake_short(struct bench_sample *s)
{
    wake_pair(s, SHORT_NS);
}

static void
wake_long(struct bench_sample *s)
{
    wake_pair(s, LONG_NS);
}

static void
wake_short_threads(struct bench_sample *s)
{
    wake_threads(s, SHORT_NS);
}

static void
wake_long_threads(struct bench_sample *s)
{
    wake_threads(s, LONG_NS);
}

static const struct bench_variant start_variants[] = {
    {"pthread_create", BENCH_TWIN, create_to_start},
    {"spawn", BENCH_SEVERAL, spawn_to_start},
};
static const struct bench_value short_values[] = {{"wake-50us", "ns", "wake"}};
static const struct bench_variant short_variants[] = {
    {"pthread", BENCH_TWIN, wake_short_threads},
    {"park+schedule", BENCH_SEVERAL, wake_short},
};
static const struct bench_value long_values[] = {{"wake-2ms", "ns", "wake"}};
static const struct bench_variant long_variants[] = {
    {"pthread", BENCH_TWIN, wake_long_threads},
    {"park+schedule", BENCH_SEVERAL, wake_long},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(start_values, start_variants, 0),
    BENCH_GROUP(short_values, short_variants, 0),
    BENCH_GROUP(long_values, long_variants, 0),
};

BENCH_MAIN(groups)
