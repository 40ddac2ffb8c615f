/* blocking.c - the round trip of a blocking call that does nothing, beside one between two threads by futexes. */
#include "on_weft.h"
#include "threads.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static uint64_t
calls(void)
{
    return (uint64_t)bench_size(50000, 3000);
}

static int
add_one(void *arg)
{
    ++*(uint64_t *)arg;
    return 0;
}

static void
blocking(struct bench_sample *s)
{
    uint64_t n = calls(), count = 0;
    ok(weft_blocking(NULL, add_one, &count), "weft_blocking"); /* there is a thread then */
    int64_t begun = bench_now();
    for (uint64_t i = 0; i < n; i++) ok(weft_blocking(NULL, add_one, &count), "weft_blocking");
    s->values[0] = bench_since(begun, (double)n);
    bench_expect(count, n + 1, "calls");
}

/* Two words, each of which one thread waits for until the other has raised it. */
struct words {
    _Atomic uint32_t asked, answered;
    uint32_t n;
    uint64_t count;
};

static void
futex(_Atomic uint32_t *word, int what, uint32_t value)
{
    syscall(SYS_futex, word, what | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void
raise_word(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store(word, value);
    futex(word, FUTEX_WAKE, 1);
}

static void
await_word(_Atomic uint32_t *word, uint32_t value)
{
    for (uint32_t seen; (seen = atomic_load(word)) != value;) futex(word, FUTEX_WAIT, seen);
}

static void *
answer(void *arg)
{
    struct words *w = arg;
    for (uint32_t i = 1; i <= w->n; i++) {
        await_word(&w->asked, i);
        w->count++;
        raise_word(&w->answered, i);
    }
    return NULL;
}

static void
two_threads(struct bench_sample *s)
{
    struct words w = {.n = (uint32_t)calls() + 1};
    pthread_t t = thread_start(answer, &w, NULL);
    raise_word(&w.asked, 1);
    await_word(&w.answered, 1);
    int64_t begun = bench_now();
    for (uint32_t i = 2; i <= w.n; i++) {
        raise_word(&w.asked, i);
        await_word(&w.answered, i);
    }
    s->values[0] = bench_since(begun, (double)(w.n - 1));
    pthread_join(t, NULL);
    bench_expect(w.count, w.n, "calls");
}

static const struct bench_value round_trip[] = {{"blocking", "ns", "call"}};
static const struct bench_variant variants[] = {
    {"futex", BENCH_TWIN, two_threads},
    {"weft_blocking", BENCH_ONE_AND_ALL, blocking},
};
static const struct bench_group groups[] = {BENCH_GROUP(round_trip, variants, 0)};

BENCH_MAIN(groups)
