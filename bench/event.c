/* event.c - what an event costs that is set, or that nobody waits for; and two tasks that call each other by events. */
#include "on_weft.h"
#include "threads.h"

#include <weft/event.h>

static int
calls(void)
{
    return bench_size(5000000, 500000);
}

/* ---- Weft ------------------------------------------------------------------------------------------------------- */

static void
wait_set(struct bench_sample *s)
{
    weft_event e = WEFT_EVENT_INIT;
    int n = calls(), wrong = 0;
    weft_event_notify(&e);
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) wrong += weft_event_wait(&e);
    s->values[0] = bench_since(begun, n);
    bench_expect((uint64_t)wrong, 0, "failed waits");
}

static void
notify_and_wait(struct bench_sample *s)
{
    weft_event e = WEFT_EVENT_AUTORESET_INIT;
    int n = calls(), wrong = 0;
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) {
        weft_event_notify(&e);
        wrong += weft_event_wait(&e);
    }
    s->values[0] = bench_since(begun, n);
    bench_expect((uint64_t)wrong, 0, "failed waits");
    bench_expect(weft_event_isset(&e), false, "set at the end");
}

struct court {
    weft_event side[2];
    int n, count;
};

static int
answer(void *arg)
{
    struct court *c = arg;
    for (int i = 0; i < c->n; i++) {
        ok(weft_event_wait(&c->side[1]), "weft_event_wait");
        c->count++;
        weft_event_notify(&c->side[0]);
    }
    return 0;
}

static void
pingpong(struct bench_sample *s)
{
    struct court c = {{WEFT_EVENT_AUTORESET_INIT, WEFT_EVENT_AUTORESET_INIT}, bench_size(300000, 30000), 0};
    weft_task *t = start(answer, &c);
    int64_t begun = bench_now();
    for (int i = 0; i < c.n; i++) {
        weft_event_notify(&c.side[1]);
        ok(weft_event_wait(&c.side[0]), "weft_event_wait");
    }
    s->values[0] = bench_since(begun, c.n);
    join(t);
    bench_expect((uint64_t)c.count, (uint64_t)c.n, "answers");
}

/* ---- The twins: a flag under a mutex ------------------------------------------------------------------------------ */

static void
wait_set_flag(struct bench_sample *s)
{
    struct turnstile t = TURNSTILE;
    int n = calls();
    uint64_t passed = 0;
    turnstile_open(&t);
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&t.mutex);
        while (!t.open) pthread_cond_wait(&t.changed, &t.mutex);
        passed++;
        pthread_mutex_unlock(&t.mutex);
    }
    s->values[0] = bench_since(begun, n);
    bench_expect(passed, (uint64_t)n, "waits");
}

static void
notify_and_wait_flag(struct bench_sample *s)
{
    struct turnstile t = TURNSTILE;
    int n = calls();
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) {
        turnstile_open(&t);
        turnstile_pass(&t);
    }
    s->values[0] = bench_since(begun, n);
    bench_expect(t.open, false, "open at the end");
}

struct threads_court {
    struct turnstile side[2];
    int n, count;
};

static void *
answer_thread(void *arg)
{
    struct threads_court *c = arg;
    for (int i = 0; i < c->n; i++) {
        turnstile_pass(&c->side[1]);
        c->count++;
        turnstile_open(&c->side[0]);
    }
    return NULL;
}

static void
pingpong_threads(struct bench_sample *s)
{
    struct threads_court c = {{TURNSTILE, TURNSTILE}, bench_size(5000, 1000), 0};
    pthread_t t = thread_start(answer_thread, &c, NULL);
    int64_t begun = bench_now();
    for (int i = 0; i < c.n; i++) {
        turnstile_open(&c.side[1]);
        turnstile_pass(&c.side[0]);
    }
    s->values[0] = bench_since(begun, c.n);
    pthread_join(t, NULL);
    bench_expect((uint64_t)c.count, (uint64_t)c.n, "answers");
}

static const struct bench_value set_values[] = {{"event-set", "ns", "wait"}};
static const struct bench_variant set_variants[] = {
    {"pthread", BENCH_TWIN, wait_set_flag},
    {"wait", BENCH_ONE_AND_ALL, wait_set},
};
static const struct bench_value notify_values[] = {{"event-notify", "ns", "notify and wait"}};
static const struct bench_variant notify_variants[] = {
    {"pthread", BENCH_TWIN, notify_and_wait_flag},
    {"notify+wait", BENCH_ONE_AND_ALL, notify_and_wait},
};
static const struct bench_value pingpong_values[] = {{"event-pingpong", "ns", "round trip"}};
static const struct bench_variant pingpong_variants[] = {
    {"pthread", BENCH_TWIN, pingpong_threads},
    {"autoreset", BENCH_ONE_AND_ALL, pingpong},
};
static const struct bench_group groups[] = {
    BENCH_GROUP(set_values, set_variants, 0),
    BENCH_GROUP(notify_values, notify_variants, 0),
    BENCH_GROUP(pingpong_values, pingpong_variants, 0),
};

BENCH_MAIN(groups)
