/* fcontext.cpp - the bare switch between two stacks, by Boost.Context. */
#include "../bench.h"

#include <boost/context/detail/fcontext.hpp>

namespace
{

using namespace boost::context::detail;

enum { STACK = 64 << 10 };

uint64_t visits;

void
visit(transfer_t from)
{
    for (;;) {
        visits++;
        from = jump_fcontext(from.fctx, nullptr);
    }
}

void
switches(bench_sample *s)
{
    int n = bench_size(10000000, 1000000);
    char *low = static_cast<char *>(bench_alloc(1, STACK));
    fcontext_t away = jump_fcontext(make_fcontext(low + STACK, STACK, visit), nullptr).fctx;
    int64_t begun = bench_now();
    for (int i = 0; i < n; i++) away = jump_fcontext(away, nullptr).fctx;
    s->values[0] = bench_since(begun, 2.0 * n);
    bench_expect(visits, static_cast<uint64_t>(n) + 1, "visits");
}

const bench_host host = {"peer", bench_one_worker, bench_run_here};
const bench_value values[] = {{"context", "ns", "switch"}};
const bench_variant variants[] = {{"boost-fcontext", BENCH_ONE, switches}};
const bench_group groups[] = {BENCH_GROUP(values, variants, 0)};

} // namespace

int
main(int argc, char **argv)
{
    return bench_main(argc, argv, &host, groups, BENCH_COUNT(groups));
}
