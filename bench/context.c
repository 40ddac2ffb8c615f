/* context.c - the bare switch between two stacks, without tasks: the machine's part of every park and every wake.
 *
 * It is inside of the library, so this program links the static one. */
#include "bench.h"
#include "threads.h"

#include "context.h"

enum { STACK = 64 << 10 };

static int
rounds(void)
{
    return bench_size(10000000, 1000000);
}

static struct machine_context home, away;
static uint64_t visits;

static void
visit(void *arg)
{
    (void)arg;
    weft__context_entered(&away);
    for (;;) {
        visits++;
        weft__context_switch(&away, &home, false);
    }
}

/* There and back: two switches. */
static void
switches(struct bench_sample *s)
{
    weft__context_adopt(&home);
    weft__context_make(&away, bench_alloc(1, STACK), STACK, 0, visit, NULL);
    weft__context_switch(&home, &away, false);
    int64_t begun = bench_now();
    for (int i = 0; i < rounds(); i++) weft__context_switch(&home, &away, false);
    s->values[0] = bench_since(begun, 2.0 * rounds());
    bench_expect(visits, (uint64_t)rounds() + 1, "visits");
}

/* What is least: a call and a return are two changes of place as well. */
static void
called(void)
{
    visits++;
}

static void (*volatile callee)(void) = called;

static void
calls(struct bench_sample *s)
{
    int64_t begun = bench_now();
    for (int i = 0; i < rounds(); i++) callee();
    s->values[0] = bench_since(begun, 2.0 * rounds());
    bench_expect(visits, (uint64_t)rounds(), "calls");
}

/* Two threads on one core that hand a turn to each other. */
static struct turnstile there = TURNSTILE, back = TURNSTILE;

static int
thread_rounds(void)
{
    return bench_size(20000, 2000);
}

static void *
visit_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < thread_rounds(); i++) {
        turnstile_pass(&there);
        visits++;
        turnstile_open(&back);
    }
    return NULL;
}

static void
thread_switches(struct bench_sample *s)
{
    thread_bind(0);
    pthread_t t = thread_start(visit_thread, NULL, NULL);
    int64_t begun = bench_now();
    for (int i = 0; i < thread_rounds(); i++) {
        turnstile_open(&there);
        turnstile_pass(&back);
    }
    s->values[0] = bench_since(begun, 2.0 * thread_rounds());
    pthread_join(t, NULL);
    bench_expect(visits, (uint64_t)thread_rounds(), "visits");
}

static const struct bench_host host = {"weft", bench_one_worker, bench_run_here};
static const struct bench_value values[] = {{"context", "ns", "switch"}};
static const struct bench_variant variants[] = {
    {"call+return", BENCH_TWIN, calls},
    {"pthread", BENCH_TWIN, thread_switches},
    {"switch", BENCH_ONE, switches},
};
static const struct bench_group groups[] = {BENCH_GROUP(values, variants, 0)};

int
main(int argc, char **argv)
{
    return bench_main(argc, argv, &host, groups, BENCH_COUNT(groups));
}
