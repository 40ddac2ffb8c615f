/* fiber.cpp - the benchmarks of forking, yielding, channels and parking on Boost.Fiber.
 *
 * On one worker its default scheduler, round_robin; on more, work_stealing: its threads look for work without ever
 * sleeping, for a push wakes nobody. */
#include "../bench.h"
#include "../proc.h"
#include "../work.h"

#include <atomic>
#include <boost/fiber/all.hpp>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace
{

namespace fibers = boost::fibers;
using boost::fibers::fiber;

enum { CAPACITY = 128, CROWD = 4, STACK = 16 << 10, TASKS = 100000, QUICK_TASKS = 20000 };

/* A new fiber.  Stacks from a pool where all fibers end on the thread that began them: the pool knows no locks. */
template <class Body>
fiber
start(Body &&body)
{
    static fibers::pooled_fixedsize_stack pool(STACK);
    if (bench.workers == 1) return fiber(std::allocator_arg, pool, std::forward<Body>(body));
    return fiber(std::allocator_arg, fibers::fixedsize_stack(STACK), std::forward<Body>(body));
}

/* ---- Forking ---------------------------------------------------------------------------------------------------- */

int
fib_fiber(void *arg)
{
    fib *f = static_cast<fib *>(arg);
    if (f->n < 2) {
        f->result = static_cast<uint64_t>(f->n);
        return 0;
    }
    fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
    fiber forked = start([&] { fib_fiber(&a); });
    fib_fiber(&b);
    forked.join();
    f->result = a.result + b.result;
    return 0;
}

void
fork_and_join(bench_sample *s)
{
    fib_sample_of(s, bench_size(20, 16), fib_fiber);
}

/* ---- Yielding --------------------------------------------------------------------------------------------------- */

void
yield(bench_sample *s)
{
    int yields = bench_size(1000000, 100000);
    uint64_t done = 0;
    auto give_way = [&] {
        for (int i = 0; i < yields; i++, done++) boost::this_fiber::yield();
    };
    int64_t begun = bench_now();
    fiber one = start(give_way), two = start(give_way);
    one.join();
    two.join();
    s->values[0] = bench_since(begun, 2.0 * yields);
    bench_expect(done, 2 * static_cast<uint64_t>(yields), "yields");
}

/* ---- Channels --------------------------------------------------------------------------------------------------- */

using unbuffered = fibers::unbuffered_channel<uint64_t>;
using buffered = fibers::buffered_channel<uint64_t>;

template <class Channel>
void
put(Channel &c, uint64_t value)
{
    if (c.push(value) != fibers::channel_op_status::success) bench_fail("channel: a put failed");
}

template <class Channel>
uint64_t
take(Channel &c)
{
    uint64_t value = 0;
    if (c.pop(value) != fibers::channel_op_status::success) bench_fail("channel: a take failed");
    return value;
}

/* putters put n values each, takers take until the channel is closed; with one of each in order. */
template <class Channel>
double
stream(Channel &c, int putters, int takers, uint64_t n)
{
    std::atomic<uint64_t> seen{0}, sum{0};
    std::vector<fiber> putting, taking;
    int64_t begun = bench_now();
    for (int i = 0; i < putters; i++)
        putting.push_back(start([&] {
            for (uint64_t k = 0; k < n; k++) put(c, k);
        }));
    for (int i = 0; i < takers; i++)
        taking.push_back(start([&] {
            uint64_t mine = 0, my_sum = 0, value;
            for (; c.pop(value) == fibers::channel_op_status::success; mine++) {
                if (putters == 1 && takers == 1) bench_expect(value, mine, "next value");
                my_sum += value;
            }
            seen += mine;
            sum += my_sum;
        }));
    for (fiber &f : putting) f.join();
    c.close();
    for (fiber &f : taking) f.join();
    uint64_t total = n * static_cast<uint64_t>(putters);
    double ns = bench_since(begun, static_cast<double>(total));
    bench_expect(seen, total, "values taken");
    bench_expect(sum, n * (n - 1) / 2 * static_cast<uint64_t>(putters), "their sum");
    return ns;
}

void
pingpong(bench_sample *s)
{
    uint64_t n = static_cast<uint64_t>(bench_size(50000, 10000));
    unbuffered there, back;
    fiber pong = start([&] {
        for (uint64_t i = 0; i < n; i++) put(back, take(there));
    });
    fiber ping = start([&] {
        for (uint64_t i = 0; i < n; i++) {
            put(there, i);
            bench_expect(take(back), i, "answer");
        }
    });
    int64_t begun = bench_now();
    ping.join();
    pong.join();
    s->values[0] = bench_since(begun, static_cast<double>(n));
}

void
stream_unbuffered(bench_sample *s)
{
    unbuffered c;
    s->values[0] = stream(c, 1, 1, static_cast<uint64_t>(bench_size(50000, 10000)));
}

void
stream_buffered(bench_sample *s)
{
    buffered c(CAPACITY);
    s->values[0] = stream(c, 1, 1, static_cast<uint64_t>(bench_size(300000, 50000)));
}

void
stream_crowd(bench_sample *s)
{
    buffered c(CAPACITY);
    s->values[0] = stream(c, CROWD, CROWD, static_cast<uint64_t>(bench_size(50000, 10000)));
}

/* ---- Very many that wait ---------------------------------------------------------------------------------------- */

struct gate {
    fibers::mutex mutex;
    fibers::condition_variable changed;
    bool open = false;
};

void
parked(bench_sample *s)
{
    size_t n = affordable(static_cast<size_t>(bench_size(TASKS, QUICK_TASKS)));
    std::vector<fiber> waiting(n);
    std::atomic<uint64_t> arrived{0}, left{0};
    double before = resident();
    int64_t begun = bench_now();
    std::unique_ptr<gate[]> gates(new gate[n]);
    for (size_t i = 0; i < n; i++)
        waiting[i] = start([&arrived, &left, g = &gates[i]] {
            arrived++;
            std::unique_lock<fibers::mutex> lock(g->mutex);
            g->changed.wait(lock, [g] { return g->open; });
            left++;
        });
    while (arrived < n) boost::this_fiber::yield();
    s->values[0] = bench_since(begun, static_cast<double>(n));
    s->values[2] = (resident() - before) / static_cast<double>(n);
    begun = bench_now();
    for (size_t i = 0; i < n; i++) {
        std::unique_lock<fibers::mutex> lock(gates[i].mutex);
        gates[i].open = true;
        gates[i].changed.notify_one();
    }
    for (fiber &f : waiting) f.join();
    s->values[1] = bench_since(begun, static_cast<double>(n));
    bench_expect(left, n, "released");
}

/* ---- What is measured ------------------------------------------------------------------------------------------- */

int
workers()
{
    const char *asked = std::getenv("BENCH_WORKERS");
    return asked ? std::atoi(asked) : static_cast<int>(std::thread::hardware_concurrency());
}

/* The process ends without waiting for the threads. */
void
run(int workers, void (*body)(void *), void *arg)
{
    static std::atomic<int> ready{0};
    if (workers > 1) {
        auto schedule = [workers] {
            fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(static_cast<uint32_t>(workers));
            ready++;
        };
        for (int i = 1; i < workers; i++)
            std::thread([schedule] {
                static fibers::mutex forever;
                static fibers::condition_variable never;
                schedule();
                std::unique_lock<fibers::mutex> lock(forever);
                never.wait(lock, [] { return false; });
            }).detach();
        schedule();
        while (ready < workers) std::this_thread::yield();
    }
    body(arg);
}

const bench_host host = {"peer", workers, run};

const bench_value yield_values[] = {{"yield", "ns", "yield"}};
const bench_value pingpong_values[] = {{"channel-pingpong", "ns", "round trip"}};
const bench_value unbuffered_values[] = {{"channel-stream", "ns", "value"}};
const bench_value buffered_values[] = {{"channel-buffered", "ns", "value"}};
const bench_value crowd_values[] = {{"channel-crowd", "ns", "value"}};
const bench_value parked_values[] = {
    {"parked-create", "ns", "task"}, {"parked-release", "ns", "task"}, {"parked-memory", "bytes", "task"}};

const bench_variant fib_variants[] = {{"boost-fiber", BENCH_ONE_AND_ALL, fork_and_join}};
const bench_variant yield_variants[] = {{"boost-yield", BENCH_ONE, yield}};
const bench_variant pingpong_variants[] = {{"boost-unbuffered", BENCH_ONE_AND_ALL, pingpong}};
const bench_variant unbuffered_variants[] = {{"boost-unbuffered", BENCH_ONE_AND_ALL, stream_unbuffered}};
const bench_variant buffered_variants[] = {{"boost-buffered", BENCH_ONE_AND_ALL, stream_buffered}};
const bench_variant crowd_variants[] = {{"boost-buffered", BENCH_ONE_AND_ALL, stream_crowd}};
const bench_variant parked_variants[] = {{"boost-condition", BENCH_ONE_AND_ALL, parked}};
const bench_group groups[] = {
    BENCH_GROUP(fib_values, fib_variants, 0),           BENCH_GROUP(yield_values, yield_variants, 0),
    BENCH_GROUP(pingpong_values, pingpong_variants, 0), BENCH_GROUP(unbuffered_values, unbuffered_variants, 0),
    BENCH_GROUP(buffered_values, buffered_variants, 0), BENCH_GROUP(crowd_values, crowd_variants, 0),
    BENCH_GROUP(parked_values, parked_variants, 1),
};

} // namespace

int
main(int argc, char **argv)
{
    return bench_main(argc, argv, &host, groups, BENCH_COUNT(groups));
}
