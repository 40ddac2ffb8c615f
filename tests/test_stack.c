/* test_stack.c - the pool of stacks, and what happens when one overflows, without a scheduler. */
#include "test.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <weft/error.h>

#include "bits.h"
#include "clock.h"
#include "context.h"
#include "stack.h"

enum { DEFAULT = 256 * 1024, GUARD_LEAST = 16 * 1024, GUARD_MOST = 64 * 1024 };

/* Whether a load from p would fault, without faulting. */
static bool
faults(const char *p)
{
    int ends[2];
    if (!CHECK(pipe(ends) == 0)) return false;
    bool refused = write(ends[1], p, 1) < 0 && errno == EFAULT;
    close(ends[0]);
    close(ends[1]);
    return refused;
}

/* Gets count stacks of the size into an array, which the caller frees; stops at the first failure. */
static struct stack **
get_many(struct stack_cache *cache, size_t size, size_t count)
{
    struct stack **stacks = calloc(count, sizeof *stacks);
    for (size_t i = 0; i < count; i++) {
        stacks[i] = weft__stack_get(cache, size);
        if (!CHECK(stacks[i] != NULL)) break;
    }
    return stacks;
}

static void
put_many(struct stack_cache *cache, struct stack **stacks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (stacks[i]) weft__stack_put(cache, stacks[i]);
    }
    free(stacks);
}

static int
by_address(const void *a, const void *b)
{
    const char *x = (*(struct stack *const *)a)->low, *y = (*(struct stack *const *)b)->low;
    return (x > y) - (x < y);
}

/* Sorts them; true if no two overlap, guards included. */
static bool
are_disjoint(struct stack **stacks, size_t count)
{
    qsort(stacks, count, sizeof *stacks, by_address);
    for (size_t i = 1; i < count; i++) {
        if (stacks[i]->low - GUARD_LEAST < stacks[i - 1]->low + weft__stack_size(stacks[i - 1])) return false;
    }
    return true;
}

TEST(stack, sizes, "the default is rounded up to a power of two, and sizes out of range are refused")
{
    CHECK_INT(weft__stack_init(0), WEFT_EINVAL);
    CHECK_INT(weft__stack_init(weft__stack_minimum() - 1), WEFT_EINVAL);
    CHECK_INT(weft__stack_init(SIZE_MAX), WEFT_EINVAL);
    CHECK(weft__stack_minimum() > 16 * 1024);
    const size_t asked[] = {weft__stack_minimum(), DEFAULT - 1, DEFAULT, DEFAULT + 1, (size_t)1 << 30};
    const size_t got[] = {0, DEFAULT, DEFAULT, 2 * DEFAULT, (size_t)1 << 30};
    for (size_t i = 0; i < weft__countof(asked); i++) {
        if (!CHECK_INT(weft__stack_init(asked[i]), 0)) continue;
        struct stack *s = weft__stack_get(NULL, 0);
        if (!CHECK(s != NULL)) continue;
        CHECK(weft__stack_size(s) >= weft__stack_minimum());
        if (got[i]) CHECK(weft__stack_size(s) >= got[i] - GUARD_MOST && weft__stack_size(s) <= got[i] - GUARD_LEAST);
        weft__stack_put(NULL, s);
        weft__stack_fini();
    }
}

TEST(stack, whole, "a stack of every size is zeroed and usable from its first byte to its last, with a guard below")
{
    CHECK_INT(weft__stack_init(weft__stack_minimum()), 0);
    for (size_t size = 0, usable = 0; size <= (size_t)64 << 20; size = usable + 1) {
        struct stack *s = weft__stack_get(NULL, size);
        if (!CHECK(s != NULL)) break;
        usable = weft__stack_size(s);
        CHECK(usable >= size);
        CHECK_INT((uintptr_t)(s->low + usable) % 4096, 0);
        CHECK(s->low[0] == 0 && s->low[usable - 1] == 0);
        s->low[0] = s->low[usable - 1] = 1;
        for (long i = 1; i <= GUARD_LEAST; i += i < 4096 ? 1023 : 4096) CHECK(faults(s->low - i));
        CHECK(faults(s->low - 1) && faults(s->low - GUARD_LEAST));
        weft__stack_put(NULL, s);
    }
    weft__stack_fini();
}

TEST(stack, too_large, "a stack larger than any size is refused, quietly")
{
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    errno = 4711;
    CHECK(weft__stack_get(NULL, SIZE_MAX) == NULL);
    CHECK(weft__stack_get(NULL, (size_t)1 << 33) == NULL);
    CHECK_INT(errno, 4711);
    weft__stack_fini();
}

static void
check_lifo(struct stack_cache *cache)
{
    enum { COUNT = 3 };
    struct stack *first[COUNT];
    for (int i = 0; i < COUNT; i++) {
        first[i] = weft__stack_get(cache, 0);
        if (!CHECK(first[i] != NULL)) return;
    }
    for (int i = 0; i < COUNT; i++) weft__stack_put(cache, first[i]);
    struct stack *again[COUNT];
    for (int i = 0; i < COUNT; i++) again[i] = weft__stack_get(cache, 0);
    for (int i = 0; i < COUNT; i++) CHECK(again[i] == first[COUNT - 1 - i]);
    for (int i = 0; i < COUNT; i++) weft__stack_put(cache, again[i]);
}

TEST(stack, lifo, "the stack that was put last is got first, from a cache and from the pool")
{
    struct stack_cache cache = {NULL, 0};
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    check_lifo(&cache);
    weft__stack_cache_flush(&cache);
    check_lifo(NULL);
    weft__stack_fini();
}

TEST(stack, owner, "a stack has no owner when it is got, and the owned ones are visited")
{
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    struct stack *s = weft__stack_get(NULL, 0);
    if (!CHECK(s != NULL)) return;
    CHECK(load_relaxed(&s->owner) == NULL); /* relaxed: one thread */
    store_relaxed(&s->owner, &s);
    weft__stack_put(NULL, s);
    CHECK(weft__stack_get(NULL, 0) == s);
    CHECK(load_relaxed(&s->owner) == NULL);
    weft__stack_put(NULL, s);
    weft__stack_fini();
}

static void
collect(struct stack *s, void *arg)
{
    struct stack ***end = arg;
    *(*end)++ = s;
}

TEST(stack, each, "every stack with an owner is visited once")
{
    enum { COUNT = 500, OWNED = COUNT / 2 };
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    struct stack **stacks = get_many(NULL, 0, COUNT), *visited[COUNT], **end = visited;
    for (size_t i = 0; i < OWNED; i++) store_relaxed(&stacks[2 * i]->owner, stacks); /* relaxed: one thread */
    weft__stack_each(collect, &end);
    CHECK_INT(end - visited, OWNED);
    CHECK(are_disjoint(visited, (size_t)(end - visited)));
    for (struct stack **p = visited; p < end; p++) CHECK(load_relaxed(&(*p)->owner) == stacks);
    put_many(NULL, stacks, COUNT);
    end = visited;
    weft__stack_each(collect, &end);
    CHECK_INT(end - visited, 0);
    weft__stack_fini();
}

TEST(stack, colours, "stacks that are used together have different colours, in steps of a cache line")
{
    enum { COLOURS = 32 };
    struct stack_cache cache = {NULL, 0};
    int seen[COLOURS] = {0};
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    struct stack **stacks = get_many(&cache, 0, COLOURS);
    for (int i = 0; i < COLOURS; i++) {
        CHECK(stacks[i]->colour % 64 == 0);
        if (CHECK(stacks[i]->colour < 2048)) seen[stacks[i]->colour / 64]++;
    }
    for (int i = 0; i < COLOURS; i++) CHECK_INT(seen[i], 1);
    put_many(&cache, stacks, COLOURS);
    weft__stack_cache_flush(&cache);
    weft__stack_fini();
}

TEST(stack, spill, "a cache holds a bounded number of stacks, and none is lost when it gives some to the pool")
{
    enum { COUNT = 500 };
    struct stack_cache cache = {NULL, 0};
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    struct stack **first = get_many(&cache, 0, COUNT);
    CHECK(are_disjoint(first, COUNT));
    struct stack **copy = calloc(COUNT, sizeof *copy);
    memcpy(copy, first, COUNT * sizeof *copy);
    put_many(&cache, copy, COUNT);
    CHECK(cache.count <= 64);
    struct stack **again = get_many(&cache, 0, COUNT);
    CHECK(are_disjoint(again, COUNT));
    for (size_t i = 0; i < COUNT; i++) {
        if (!CHECK(again[i] == first[i])) break; /* both are sorted */
    }
    put_many(&cache, again, COUNT);
    free(first);
    weft__stack_cache_flush(&cache);
    CHECK(cache.head == NULL);
    CHECK_INT(cache.count, 0);
    weft__stack_cache_flush(&cache);
    weft__stack_fini();
}

/* Waits for the pool to have nothing to give back any more: in the end it has not. */
static void
trim_all(void)
{
    for (int64_t next; (next = weft__stack_trim_next()) != INT64_MAX;) {
        int64_t wait = next - weft__clock_now();
        if (wait > 0) nanosleep(&(struct timespec){.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000}, NULL);
        while (weft__stack_trim()) continue;
    }
}

/* Whether the page at p is in memory. */
static bool
is_resident(char *p)
{
    unsigned char page = 0;
    uintptr_t low = (uintptr_t)p & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
    CHECK_INT(mincore((void *)low, 1, &page), 0);
    return page & 1;
}

TEST(stack, trim,
     "stacks that lie unused lose their memory and keep their guards; stacks in use and in caches keep both")
{
    enum { COUNT = 100, IN_USE = 10 };
    struct stack_cache cache = {NULL, 0};
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    struct stack **stacks = get_many(NULL, 0, COUNT);
    struct stack *cached = weft__stack_get(&cache, 0), *large = weft__stack_get(NULL, (size_t)32 << 20);
    if (!CHECK(cached && large)) return;
    size_t usable = weft__stack_size(cached);
    for (size_t i = 0; i < COUNT; i++) memset(stacks[i]->low, 1, usable);
    cached->low[usable - 1] = 1;
    large->low[0] = 1;
    weft__stack_put(&cache, cached);
    weft__stack_put(NULL, large);
    for (size_t i = IN_USE; i < COUNT; i++) weft__stack_put(NULL, stacks[i]);
    trim_all();
    CHECK(!weft__stack_trim());
    CHECK(cached->low[usable - 1] == 1);
    CHECK(!is_resident(large->low));
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(is_resident(stacks[i]->low) == (i < IN_USE));
        CHECK(is_resident(stacks[i]->low + usable - 1) == (i < IN_USE));
        CHECK(faults(stacks[i]->low - 1) && faults(stacks[i]->low - GUARD_LEAST));
        CHECK(stacks[i]->low[0] == (i < IN_USE));
    }
    for (size_t i = 0; i < IN_USE; i++) weft__stack_put(NULL, stacks[i]);
    free(stacks);
    weft__stack_cache_flush(&cache);
    weft__stack_fini();
}

TEST(stack, trim_waits, "a stack that was put a moment ago keeps its memory")
{
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    struct stack *s = weft__stack_get(NULL, 0);
    if (!CHECK(s != NULL)) return;
    weft__stack_put(NULL, s);
    trim_all();
    CHECK(weft__stack_get(NULL, 0) == s);
    s->low[0] = 1;
    weft__stack_put(NULL, s);
    CHECK(!weft__stack_trim()); /* however late this is, one call ages a stack once, and two agings are needed */
    CHECK(is_resident(s->low));
    CHECK(weft__stack_trim_next() != INT64_MAX);
    weft__stack_fini();
    CHECK(weft__stack_trim_next() == INT64_MAX);
}

TEST(stack, many, "70000 stacks can be reserved and guarded, and are got again")
{
    size_t count = TEST_ASAN ? 7000 : 70000; /* LeakSanitizer keeps a list of all */
    if (!test_kernel_marks_guards()) count = 7000;
    CHECK_INT(weft__stack_init(weft__stack_minimum()), 0);
    struct stack_cache cache = {NULL, 0};
    struct stack **stacks = get_many(&cache, 0, count);
    bool complete = stacks[count - 1] != NULL;
    if (CHECK(complete)) {
        CHECK(are_disjoint(stacks, count));
        for (size_t i = 0; i < count; i += 999) {
            CHECK(faults(stacks[i]->low - 1));
            CHECK(weft__stack_guarded(stacks[i]->low - 1) == stacks[i]);
        }
    }
    put_many(&cache, stacks, count);
    stacks = get_many(&cache, 0, count);
    put_many(&cache, stacks, count);
    weft__stack_cache_flush(&cache);
    weft__stack_fini();
}

TEST(stack, guarded, "an address is in a guard, or not")
{
    static char elsewhere;
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    CHECK(weft__stack_guarded(&elsewhere) == NULL);
    struct stack *s = weft__stack_get(NULL, 0), *large = weft__stack_get(NULL, (size_t)1 << 20);
    if (!CHECK(s && large)) return;
    CHECK(weft__stack_guarded(s->low - 1) == s);
    CHECK(weft__stack_guarded(s->low - GUARD_LEAST) == s);
    CHECK(weft__stack_guarded(s->low) == NULL);
    CHECK(weft__stack_guarded(s->low + weft__stack_size(s) - 1) == NULL);
    CHECK(weft__stack_guarded(s->low - GUARD_MOST - 1) != s);
    CHECK(weft__stack_guarded(large->low - 1) == large);
    CHECK(weft__stack_guarded(&elsewhere) == NULL);
    CHECK(weft__stack_guarded(NULL) == NULL);
    weft__stack_put(NULL, s);
    weft__stack_put(NULL, large);
    weft__stack_fini();
    CHECK(weft__stack_guarded(NULL) == NULL);
}

/* ---- Threads ---- */

struct user {
    pthread_t thread;
    int mistakes;
};

static void *
get_and_put(void *arg)
{
    struct user *user = arg;
    struct stack_cache cache = {NULL, 0};
    struct stack *held[100];
    for (unsigned round = 0; round < 200; round++) {
        size_t count = 1 + (round * 37) % weft__countof(held);
        for (size_t i = 0; i < count; i++) {
            held[i] = weft__stack_get(i % 7 == 6 ? NULL : &cache, i % 10 == 9 ? DEFAULT : 0);
            if (!held[i] || swap_acq_rel(&held[i]->owner, (void *)user)) user->mistakes++; /* for both */
        }
        for (size_t i = 0; i < count; i++) {
            if (!held[i]) continue;
            if (load_relaxed(&held[i]->owner) != user) user->mistakes++; /* relaxed: its own store */
            weft__stack_put(i % 5 == 4 ? NULL : &cache, held[i]);
        }
        if (round % 16 == 0) weft__stack_trim();
    }
    weft__stack_cache_flush(&cache);
    return NULL;
}

TEST(stack, threads, "no two threads are given the same stack")
{
    enum { THREADS = 4 };
    struct user users[THREADS] = {0};
    int started = 0;
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    while (started < THREADS && pthread_create(&users[started].thread, NULL, get_and_put, &users[started]) == 0)
        started++;
    CHECK_INT(started, THREADS);
    for (int i = 0; i < started; i++) {
        pthread_join(users[i].thread, NULL);
        CHECK_INT(users[i].mistakes, 0);
    }
    weft__stack_fini();
}

/* ---- Limits: in a child, which dies with a sentence if all is well ---- */

static _Noreturn void
die_well(void)
{
    fputs("all is well\n", stderr);
    abort();
}

static void
must(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "%s does not hold\n", what);
    _exit(1);
}

static rlim_t
address_space_used(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    must(f && fscanf(f, "%lu", &pages) == 1, "/proc/self/statm can be read");
    fclose(f);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* With room for some stacks only: they are got down to the last, then none; when the limit is gone it goes on. */
static void
run_out(void)
{
    struct stack *first = NULL;
    struct rlimit limit, before;
    size_t count = 0;
    must(weft__stack_init(DEFAULT) == 0, "init");
    getrlimit(RLIMIT_AS, &before);
    limit = before;
    limit.rlim_cur = address_space_used() + 40 * DEFAULT;
    setrlimit(RLIMIT_AS, &limit);
    errno = 4711;
    for (struct stack *s; (s = weft__stack_get(NULL, 0)); count++) {
        s->next = first;
        first = s;
    }
    must(errno == 4711, "errno is kept");
    must(count >= 20 && count <= 40, "most of the room serves for stacks");
    must(weft__stack_get(NULL, 0) == NULL, "there is none left");
    struct stack *last = first;
    first = first->next;
    weft__stack_put(NULL, last);
    must(weft__stack_get(NULL, 0) == last, "one that is put can be got");
    setrlimit(RLIMIT_AS, &before);
    must(weft__stack_get(NULL, 0) != NULL, "there are more");
    die_well();
}

/* An emulator may know nothing of it. */
static bool
limits_are_kept(void)
{
    struct rlimit limit, before;
    getrlimit(RLIMIT_AS, &before);
    limit = before;
    limit.rlim_cur = address_space_used() + (1 << 20);
    setrlimit(RLIMIT_AS, &limit);
    void *p = mmap(NULL, 4 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    setrlimit(RLIMIT_AS, &before);
    if (p != MAP_FAILED) munmap(p, 4 << 20);
    return p == MAP_FAILED;
}

TEST(stack, limit,
     "when memory cannot be mapped any more there is no stack, a message that names the limits, and it goes on later")
{
    if (TEST_ASAN || TEST_TSAN || !limits_are_kept()) return; /* no sanitizer lives with such a limit */
    CHECK(test_dies(run_out, "vm.max_map_count"));
    CHECK(test_dies(run_out, "all is well"));
}

/* ---- Overflow ---- */

static void
describe(void *owner, char *text, size_t size)
{
    snprintf(text, size, "task \"%s\"", (const char *)owner);
}

static void
watch(void)
{
    void *alternate;
    must(weft__stack_init(DEFAULT) == 0, "init");
    must(weft__stack_signals_enter(&alternate) == 0, "signals_enter");
    must(weft__stack_watch(describe) == 0, "watch");
}

static void
touch_guard(void)
{
    watch();
    struct stack *s = weft__stack_get(NULL, 0);
    must(s != NULL, "a stack");
    store_relaxed(&s->owner, (void *)"weaver"); /* relaxed: one thread */
    *(volatile char *)(s->low - 1) = 1;
}

TEST(stack, guard_hit, "who runs into the guard dies of it, with a message that says what to do")
{
    char text[256];
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    struct stack *s = weft__stack_get(NULL, 0);
    if (!CHECK(s != NULL)) return;
    snprintf(text, sizeof text,
             "weft: stack overflow: task \"weaver\" has used up its stack of %zu KiB; set stack_size in its "
             "options, or WEFT_STACK_SIZE for all, to more\n",
             weft__stack_size(s) / 1024);
    weft__stack_put(NULL, s);
    weft__stack_fini();
    CHECK(test_dies(touch_guard, text));
}

static void
touch_guard_of_nobody(void)
{
    watch();
    struct stack *s = weft__stack_get(NULL, (size_t)1 << 20);
    must(s != NULL, "a stack");
    *(volatile char *)(s->low - GUARD_LEAST) = 1;
}

TEST(stack, guard_hit_unowned, "also where nobody is known to use the stack")
{
    CHECK(test_dies(touch_guard_of_nobody, "weft: stack overflow: a task has used up its stack of "));
}

static struct machine_context base, deep;

static weft__noinline int
descend(int depth)
{
    volatile char frame[512];
    frame[0] = (char)depth;
    if (depth == INT_MAX) return 0;
    int below = descend(depth + 1);
    return below + frame[0];
}

static void
descend_for_ever(void *arg)
{
    (void)arg;
    weft__context_entered(&deep);
    must(descend(0) == 0, "never reached");
}

static void
overflow(void)
{
    watch();
    struct stack *s = weft__stack_get(NULL, 0);
    must(s != NULL, "a stack");
    store_relaxed(&s->owner, (void *)"diver"); /* relaxed: one thread */
    weft__context_adopt(&base);
    weft__context_make(&deep, s->low, weft__stack_size(s), s->colour, descend_for_ever, NULL);
    weft__context_switch(&base, &deep, false);
}

TEST(stack, overflow, "an endless recursion in a context is reported from the alternate stack")
{
    CHECK(test_dies(overflow, "weft: stack overflow: task \"diver\" has used up its stack"));
}

static char *page;
static volatile sig_atomic_t faults_seen;
static void *volatile fault_address;
static volatile uintptr_t handler_stack;

static void
allow_page(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    fault_address = info->si_addr;
    handler_stack = (uintptr_t)__builtin_frame_address(0);
    faults_seen = faults_seen + 1;
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void
allow_page_plainly(int signal)
{
    (void)signal;
    faults_seen = faults_seen + 1;
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void
check_chained(const struct sigaction *action)
{
    struct sigaction before, after;
    page = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!CHECK(page != MAP_FAILED)) return;
    faults_seen = 0;
    sigaction(SIGSEGV, action, &before);
    CHECK_INT(weft__stack_init(DEFAULT), 0);
    CHECK_INT(weft__stack_watch(describe), 0);
    CHECK_INT(weft__stack_watch(describe), 0);
    *(volatile char *)(page + 100) = 1;
    CHECK_INT(faults_seen, 1);
    weft__stack_unwatch();
    sigaction(SIGSEGV, &before, &after);
    CHECK(after.sa_handler == action->sa_handler);
    CHECK_INT(after.sa_flags & SA_SIGINFO, action->sa_flags & SA_SIGINFO);
    weft__stack_fini();
    munmap(page, 65536);
}

TEST(stack, chain, "faults elsewhere go to the handler that was there before, which is there again in the end")
{
    struct sigaction with_info = {.sa_sigaction = allow_page, .sa_flags = SA_SIGINFO};
    struct sigaction plain = {.sa_handler = allow_page_plainly};
    check_chained(&with_info);
    CHECK((char *)fault_address == page + 100);
    check_chained(&plain);
}

static void
fault_by_default(void)
{
    watch();
    char *volatile nowhere = (char *)16;
    *(volatile char *)nowhere = 1;
}

static void
be_sent_default(void)
{
    watch();
    raise(SIGSEGV);
}

static void
be_sent_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    signal(SIGBUS, SIG_IGN);
    watch();
    raise(SIGSEGV);
    raise(SIGBUS);
    die_well();
}

static void
fault_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    fault_by_default();
}

static void
say_and_return(int number)
{
    (void)number;
    fputs("said once\n", stderr);
}

static void
fault_reset(void)
{
    struct sigaction action = {.sa_handler = say_and_return, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGSEGV, &action, NULL);
    fault_by_default();
}

TEST(stack, chain_none, "where there was no handler, faults and signals do what they would have done")
{
    CHECK(test_dies(fault_by_default, ""));
    CHECK(test_dies(be_sent_default, ""));
    CHECK(test_dies(be_sent_ignored, "all is well"));
    CHECK(test_dies(fault_ignored, ""));
    CHECK(test_dies(fault_reset, "said once\n"));
}

static struct sigaction below;

static void
pass_down(int signal, siginfo_t *info, void *context)
{
    below.sa_sigaction(signal, info, context);
}

static void
stay_below(void)
{
    struct sigaction above = {.sa_sigaction = pass_down, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    watch();
    sigaction(SIGSEGV, &above, &below);
    weft__stack_unwatch();
    struct sigaction current;
    sigaction(SIGSEGV, NULL, &current);
    must(current.sa_sigaction == pass_down, "the topmost handler stays");
    touch_guard();
}

TEST(stack, below, "a handler above ours may go on calling it, and overflows are found again after another watch")
{
    CHECK(test_dies(stay_below, "weft: stack overflow: task \"weaver\""));
}

/* Faults on the thread, for allow_page: that must run on the alternate stack. */
static void
check_handled_on(const stack_t *alternate)
{
    handler_stack = 0;
    mprotect(page, 4096, PROT_NONE);
    *(volatile char *)page = 1;
    uintptr_t low = (uintptr_t)alternate->ss_sp;
    CHECK(handler_stack > low && handler_stack < low + alternate->ss_size);
}

static void *
change_alternate(void *arg)
{
    static char own[256 * 1024];
    stack_t before, inside, after, large = {.ss_sp = own, .ss_size = sizeof own};
    stack_t none = {.ss_flags = SS_DISABLE};
    void *memory;
    (void)arg;
    sigaltstack(&none, &before); /* a sanitizer may have given the thread one */
    CHECK_INT(weft__stack_signals_enter(&memory), 0);
    sigaltstack(NULL, &inside);
    CHECK(!(inside.ss_flags & SS_DISABLE));
    CHECK(inside.ss_size >= 16 * 1024 + weft__stack_signal_frame());
    CHECK(faults((char *)inside.ss_sp - 1));
    check_handled_on(&inside);
    weft__stack_signals_leave(memory);
    sigaltstack(NULL, &after);
    CHECK(after.ss_flags & SS_DISABLE);
    sigaltstack(&large, NULL);
    CHECK_INT(weft__stack_signals_enter(&memory), 0);
    sigaltstack(NULL, &inside);
    CHECK(inside.ss_sp == own);
    check_handled_on(&inside);
    weft__stack_signals_leave(memory);
    sigaltstack(NULL, &after);
    CHECK(after.ss_sp == own);
    sigaltstack(&before, NULL);
    return NULL;
}

TEST(stack, alternate,
     "a thread gets an alternate stack if it has none, keeps one that is large enough, and has in the end what it had")
{
    struct sigaction action = {.sa_sigaction = allow_page, .sa_flags = SA_SIGINFO}, before;
    pthread_t thread;
    page = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!CHECK(page != MAP_FAILED)) return;
    sigaction(SIGSEGV, &action, &before);
    CHECK_INT(weft__stack_watch(describe), 0);
    if (CHECK(pthread_create(&thread, NULL, change_alternate, NULL) == 0)) pthread_join(thread, NULL);
    weft__stack_unwatch();
    sigaction(SIGSEGV, &before, NULL);
    munmap(page, 65536);
}
