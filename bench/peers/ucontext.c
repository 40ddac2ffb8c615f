/* ucontext.c - the bare switch between two stacks, by the C library: it saves the signal mask as well. */
#include "../bench.h"

#include <ucontext.h>

enum { STACK = 64 << 10 };

static int
rounds(void)
{
    return bench_size(500000, 50000);
}

static ucontext_t home, away;
static uint64_t visits;

static void
visit(void)
{
    for (;;) {
        visits++;
        swapcontext(&away, &home);
    }
}

static void
switches(struct bench_sample *s)
{
    getcontext(&away);
    away.uc_stack.ss_sp = bench_alloc(1, STACK);
    away.uc_stack.ss_size = STACK;
    makecontext(&away, visit, 0);
    swapcontext(&home, &away);
    int64_t begun = bench_now();
    for (int i = 0; i < rounds(); i++) swapcontext(&home, &away);
    s->values[0] = bench_since(begun, 2.0 * rounds());
    bench_expect(visits, (uint64_t)rounds() + 1, "visits");
}

static const struct bench_host host = {"peer", bench_one_worker, bench_run_here};
static const struct bench_value values[] = {{"context", "ns", "switch"}};
static const struct bench_variant variants[] = {{"ucontext", BENCH_ONE, switches}};
static const struct bench_group groups[] = {BENCH_GROUP(values, variants, 0)};

int
main(int argc, char **argv)
{
    return bench_main(argc, argv, &host, groups, BENCH_COUNT(groups));
}
