/* cxx_exceptions.cc - C++ exceptions in tasks: each task has its own, and none leaves the task that threw it.
 *
 * A program of its own, since it is C++: prints a line for each failed check, and at the end "N passed, M failed". */
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft.h>

namespace {

int passed, failed;
bool holds; // the current test's checks, so far

void check_at(bool ok, int line, const char *what)
{
    if (ok) return;
    holds = false;
    std::printf("%s:%d: %s does not hold\n", __FILE__, line, what);
}
#define CHECK(...) check_at((__VA_ARGS__), __LINE__, #__VA_ARGS__)

int run_on(int workers, weft_fn *fn, void *arg)
{
    weft_config cfg = {};
    cfg.size = sizeof cfg;
    cfg.workers = workers;
    return weft_run(&cfg, fn, arg);
}

// [J149] Parks in the middle of handling an exception, and then throws that one on.
int rethrow_own(void *arg)
{
    int mine = *static_cast<int *>(arg), caught = 0;
    for (int round = 0; round < 50; round++) {
        try {
            try {
                throw std::runtime_error(std::to_string(mine * 1000 + round));
            } catch (const std::runtime_error &) {
                for (int i = 0; i < 1 + mine % 3; i++) weft_yield();
                if (round % 10 == 0 && weft_sleep(20 * WEFT_US) < 0) return -1;
                throw;
            }
        } catch (const std::runtime_error &e) {
            if (e.what() == std::to_string(mine * 1000 + round)) caught++;
        }
        if (std::current_exception()) return -1; // it has been handled
    }
    return caught == 50 ? 0 : -1;
}

int rethrow_many(void *)
{
    enum { N = 16 };
    int number[N];
    weft_task *t[N];
    for (int i = 0; i < N; i++) {
        number[i] = i;
        CHECK((i % 2 ? weft_spawn : weft_async)(&t[i], rethrow_own, &number[i]) == 0);
    }
    for (int i = 0; i < N; i++) CHECK(weft_join(t[i]) == 0);
    return 0;
}

void catch_blocks()
{
    for (int workers : {1, 2, 4}) CHECK(run_on(workers, rethrow_many, nullptr) == 0);
}

// Two tasks in two catch blocks, who take turns: each throws on what it has caught.
struct pair {
    weft_channel *c;
    std::atomic<int> right;
};

int catch_and_take(void *arg)
{
    auto p = static_cast<pair *>(arg);
    int x;
    try {
        throw 1;
    } catch (int) {
        if (weft_channel_take(p->c, &x) < 0) return -1; // the other one is in its catch block by now
        try {
            throw;
        } catch (int number) {
            p->right += number == 1;
        }
    }
    return 0;
}

int catch_and_put(void *arg)
{
    auto p = static_cast<pair *>(arg);
    int x = 0;
    try {
        throw 2L;
    } catch (long) {
        if (weft_channel_put(p->c, &x) < 0) return -1;
        weft_yield();
        try {
            throw;
        } catch (long number) {
            p->right += number == 2;
        }
    }
    return 0;
}

int take_turns(void *)
{
    for (int i = 0; i < 200; i++) {
        pair p = {nullptr, {0}};
        weft_task *a, *b;
        CHECK(weft_channel_new(&p.c, sizeof(int), 0) == 0);
        CHECK(weft_spawn(&a, catch_and_take, &p) == 0 && weft_spawn(&b, catch_and_put, &p) == 0);
        CHECK(weft_join(a) == 0 && weft_join(b) == 0);
        CHECK(p.right == 2);
        weft_channel_release(p.c);
    }
    return 0;
}

void turns()
{
    for (int workers : {1, 2}) CHECK(run_on(workers, take_turns, nullptr) == 0);
}

// [J150] Throws and handles an exception while it handles another one, and parks in between.
int handle_two(void *arg)
{
    int mine = *static_cast<int *>(arg), right = 0;
    for (int round = 0; round < 50; round++) {
        try {
            throw mine;
        } catch (int) {
            try {
                weft_yield();
                throw static_cast<long>(mine);
            } catch (long) {
                weft_yield();
                try {
                    throw;
                } catch (long inner) {
                    right += inner == mine;
                }
            }
            weft_yield();
            try {
                throw;
            } catch (int outer) {
                right += outer == mine;
            }
        }
    }
    return right == 100 ? 0 : -1;
}

int handle_many(void *)
{
    int number[8];
    weft_task *t[8];
    for (int i = 0; i < 8; i++) {
        number[i] = i;
        CHECK((i % 2 ? weft_spawn : weft_async)(&t[i], handle_two, &number[i]) == 0);
    }
    for (auto u : t) CHECK(weft_join(u) == 0);
    return 0;
}

void two_at_a_time()
{
    for (int workers : {1, 2, 4}) CHECK(run_on(workers, handle_many, nullptr) == 0);
}

// Parks while it is unwound.
struct yields_at_end {
    int *uncaught;
    ~yields_at_end()
    {
        for (int i = 0; i < 3; i++) weft_yield();
        *uncaught = std::uncaught_exceptions();
    }
};

int unwind(void *)
{
    for (int i = 0; i < 50; i++) {
        int during = -1;
        try {
            yields_at_end y = {&during};
            throw std::logic_error("unwound");
        } catch (const std::logic_error &) {
            if (during != 1 || std::uncaught_exceptions() != 0) return -1;
        }
    }
    return 0;
}

int unwind_many(void *)
{
    weft_task *t[8];
    for (auto &u : t) CHECK(weft_spawn(&u, unwind, nullptr) == 0);
    for (auto u : t) CHECK(weft_join(u) == 0);
    return 0;
}

void unwinding()
{
    for (int workers : {1, 2}) CHECK(run_on(workers, unwind_many, nullptr) == 0);
}

// A child that is run in place throws and catches in the middle of its parent's catch block.
int nested(void *arg)
{
    auto depth = reinterpret_cast<intptr_t>(arg);
    if (depth == 0) return 0;
    try {
        throw depth;
    } catch (intptr_t) {
        weft_task *t;
        if (weft_spawn(&t, nested, reinterpret_cast<void *>(depth - 1)) < 0 || weft_join(t) < 0) return -1;
        try {
            throw;
        } catch (intptr_t again) {
            return again == depth ? 0 : -1;
        }
    }
}

void in_place()
{
    for (int workers : {1, 2}) CHECK(run_on(workers, nested, reinterpret_cast<void *>(30)) == 0);
}

// ---- Past the entry: the process ends, as it does where an exception leaves a thread ----

int throw_out(void *)
{
    throw std::runtime_error("past the entry");
}

int spawn_and_catch(void *arg)
{
    weft_task *t;
    try {
        if (weft_spawn(&t, throw_out, nullptr) < 0) return 1;
        if (arg) weft_yield(); // it starts on a stack of its own
        return weft_join(t);
    } catch (...) {
        _exit(7); // it must not come here
    }
}

int wait_and_catch(void *)
{
    weft_task *t;
    try {
        if (weft_spawn(&t, throw_out, nullptr) < 0) return 1;
        return weft_wait(t);
    } catch (...) {
        _exit(7);
    }
}

// Runs fn in a child, which must die of SIGABRT after the C++ runtime has said why.
bool terminates(weft_fn *fn, void *arg)
{
    int ends[2], status = 0;
    if (pipe(ends) != 0) return false;
    std::fflush(nullptr);
    pid_t child = fork();
    if (child == 0) {
        rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDERR_FILENO);
        alarm(20); // SIGALRM is no SIGABRT
        _exit(run_on(1, fn, arg) < 0 ? 8 : 9);
    }
    close(ends[1]);
    char text[4096];
    size_t used = 0;
    for (ssize_t n; used < sizeof text - 1 && (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0;)
        used += static_cast<size_t>(n);
    text[used] = '\0';
    close(ends[0]);
    if (waitpid(child, &status, 0) != child) return false;
    bool ok = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && std::strstr(text, "past the entry");
    if (!ok) std::printf("status %x, stderr: %s\n", static_cast<unsigned>(status), text);
    return ok;
}

void past_the_entry()
{
    CHECK(terminates(throw_out, nullptr));
    CHECK(terminates(spawn_and_catch, &passed));
}

void past_the_entry_in_place()
{
    CHECK(terminates(spawn_and_catch, nullptr));
    CHECK(terminates(wait_and_catch, nullptr));
}

void test(const char *sentence, void (*body)())
{
    holds = true;
    body();
    if (!holds) std::printf("exceptions: %s: failed\n", sentence);
    (holds ? passed : failed)++;
}

} // namespace

int main()
{
    test("tasks that park in catch blocks throw on their own", catch_blocks);
    test("two tasks in two catch blocks throw on their own, whichever goes on first", turns);
    test("tasks that handle one exception within another, and park in both, keep both", two_at_a_time);
    test("a task that parks while it is unwound has its own count of exceptions in flight", unwinding);
    test("a child that is run in place in a catch block leaves what is handled there alone", in_place);
    test("one that leaves a task ends the process", past_the_entry);
    test("also where a task waits for it in place that would catch it", past_the_entry_in_place);
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
