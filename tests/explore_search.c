/* explore_search.c - every choice of the explorer: which thread goes next, which message a load reads.
 *
 * Depth first.  An execution is the list of its choices; the next one repeats all but the last that has an alternative
 * left.  It stops early where it comes to a state that has been visited: a hash of what each thread has read, of the views,
 * of the messages that somebody may still read, and of plain memory and who has accessed it.  Threads are functions of
 * what they read, so equal states have equal futures.
 *
 * Not every access is a point where another thread may go on.  What nobody else could tell needs none:
 *
 *   - an access to an object that no other thread ever accesses while there are several;
 *   - a load of an object that only the thread itself writes, or nobody: it reads its own, whenever it is done;
 *   - a store (not sequentially consistent) to an object that only the thread itself writes: others may read what was
 *     there before as long as they like, so that an early store allows all that a late one does.  Not where a thread
 *     waits for the latest value in memory, and not where there are heavy fences, which others put between two steps
 *     of the thread.
 *
 * Who accesses what is learnt on the way.  When something turns out to be used by more than was thought, everything that
 * was explored under the old belief is thrown away. */
#include "explore_core.h"
#include "explore.h"
#include "explore_heap.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DEPTH = 4096, POINTS = 1 << 16, HABITS = 1 << 12, TEXT = 1024, OUTCOMES = 64 };
enum end { ENDED = 1, VISITED, FAILED, RELEARN };
enum { EXIT_FAILED = 1, EXIT_BROKEN = 2, EXIT_UNREACHED = 3 };

static struct choice {
    uint16_t options, pick;
} trail[DEPTH];
static int trail_used, depth, enabled_before, points;
static jmp_buf home;
static char failure[TEXT];

/* ---- Visited states ---- */

static uint64_t *visited;
static size_t visited_room, visited_used;

static void
visited_grow(void)
{
    size_t old_room = visited_room;
    uint64_t *old = visited;
    visited_room = old_room ? 2 * old_room : 1 << 16;
    visited = calloc(visited_room, sizeof *visited);
    if (!visited) search_broken("out of memory");
    for (size_t i = 0; i < old_room; i++) {
        if (!old[i]) continue;
        size_t k = old[i] & (visited_room - 1);
        while (visited[k]) k = (k + 1) & (visited_room - 1);
        visited[k] = old[i];
    }
    free(old);
}

/* Has this state been visited?  It has from now on. */
static bool
visit(uint64_t state)
{
    if (2 * (visited_used + 1) > visited_room) visited_grow();
    if (state == 0) state = 1;
    size_t k = state & (visited_room - 1);
    for (; visited[k]; k = (k + 1) & (visited_room - 1))
        if (visited[k] == state) return true;
    visited[k] = state;
    visited_used++;
    return false;
}

static void
forget_visited(void)
{
    if (visited) memset(visited, 0, visited_room * sizeof *visited);
    visited_used = 0;
}

/* ---- Ends ---- */

static _Noreturn void
leave(enum end how)
{
    _longjmp(home, (int)how);
}

void
search_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(failure, sizeof failure, format, args);
    va_end(args);
    leave(FAILED);
}

void
search_broken(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "explorer: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(EXIT_BROKEN);
}

void
explore_abort(void)
{
    search_fail("abort, in %s", trace_place(__builtin_return_address(0)));
}

void
explore_assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
    search_fail("%s:%u: %s: it does not hold that %s", file, line, function, what);
}

/* Functions that no source of the model provides are at address 0. */
static void
crash(int number)
{
    if (!me) search_broken("signal %d", number);
    search_fail("signal %d: a wild pointer, or a call of a function that the model does not provide", number);
}

static void
catch_crashes(void)
{
    static char stack[64 * 1024];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_handler = crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
}

/* In the place of src/panic.c. */
_Noreturn void
weft__panic(const char *what)
{
    search_fail("panic: %s", what);
}

_Noreturn void
weft__lock_slow(void *lock)
{
    (void)lock;
    search_broken("a lock that was free is taken"); /* weft__acquire has waited until it was free */
}

/* ---- Choices ---- */

int
search_choose(int options)
{
    if (options == 1) return 0;
    if (options <= 0 || options > UINT16_MAX) search_broken("a choice of %d", options);
    if (depth == DEPTH) search_fail("an execution does not end");
    if (depth == trail_used) trail[trail_used++] = (struct choice){(uint16_t)options, 0};
    if (trail[depth].options != options) search_broken("the model does not do the same again");
    return trail[depth++].pick;
}

static bool
next_trail(void)
{
    while (trail_used > 0 && trail[trail_used - 1].pick + 1 == trail[trail_used - 1].options) trail_used--;
    if (trail_used == 0) return false;
    trail[trail_used - 1].pick++;
    return true;
}

static void
go_to(struct thread *t)
{
    if (t->blocked == ON_FUTEX) t->timed_out = true;
    if (t == me) return;
    struct thread *old = me;
    me = t;
    if (_setjmp(old->at) != 0) return;
    if (t->begun) _longjmp(t->at, 1);
    t->begun = true;
    _longjmp(t->begin, 1);
}

/* Goes on with one of the threads that can. */
static void
schedule(void)
{
    struct thread *enabled[THREADS];
    int n = 0;
    thread_read(me, 5); /* it has come this far */
    if (++points == POINTS) search_fail("an execution does not end");
    do {
        if (thread_enabled(me)) enabled[n++] = me;
        for (int i = 0; i < threads_used; i++)
            if (&threads[i] != me && thread_enabled(&threads[i])) enabled[n++] = &threads[i];
    } while (n == 0 && threads_live > 0 && threads_pass_time());
    if (n == 0 && threads_live == 0) leave(ENDED);
    if (n == 0) search_fail("every thread is blocked");
    if ((n > 1 || enabled_before > 1) && depth == trail_used && !tracing && visit(threads_hash())) leave(VISITED);
    enabled_before = n;
    go_to(enabled[search_choose(n)]);
}

void
search_point(void)
{
    if (threads_live > 1) schedule();
}

void
search_yield(void)
{
    schedule();
}

/* ---- Who uses what ---- */

enum { NOBODY = -1, SEVERAL = -2 };

struct habit {
    uintptr_t address;
    int user, writer;
    bool strong;
};

static struct habit habits[HABITS];
static bool heavy_seen;
bool pauses_seen, fences_seen, mixed_seen;

static struct habit *
habit_of(uintptr_t address)
{
    unsigned i = (unsigned)(mix(3, address) % HABITS);
    for (int tries = 0; tries < HABITS; tries++, i = (i + 1) % HABITS) {
        if (habits[i].address == address) return &habits[i];
        if (habits[i].address) continue;
        habits[i] = (struct habit){address, NOBODY, NOBODY, false};
        return &habits[i];
    }
    search_broken("too many objects");
}

/* `who` becomes one who does it too; true: others were thought not to. */
static bool
joins(int *known)
{
    int before = *known;
    if (before == me->id || before == SEVERAL) return false;
    *known = before == NOBODY ? me->id : SEVERAL;
    return before != NOBODY;
}

static bool
nobody_can_tell(const struct habit *h, int use)
{
    bool mine = h->user == me->id, written_by_me = h->writer == me->id || h->writer == NOBODY;
    if (use & USE_STRONG) return false;
    if (mine) return true;
    if (use & (USE_UPDATE | USE_SC)) return false;
    if (use & USE_LOAD) return written_by_me;
    return written_by_me && !h->strong && !heavy_seen;
}

void
search_access(uintptr_t address, int use)
{
    bool holds = me->holds;
    me->holds = false;
    if (threads_live <= 1) return;
    struct habit *h = habit_of(address);
    bool news = joins(&h->user);
    if (use & (USE_STORE | USE_UPDATE)) {
        news |= h->writer == NOBODY && h->user == SEVERAL; /* others load it, and took it for constant */
        news |= joins(&h->writer);
    }
    if ((use & USE_STRONG) && !h->strong) {
        h->strong = true;
        news = true;
    }
    if (news) leave(RELEARN);
    if (!holds && !nobody_can_tell(h, use)) schedule();
}

void
search_heavy(void)
{
    search_sees(&heavy_seen);
}

void
search_sees(bool *what)
{
    if (*what || threads_live <= 1) return;
    *what = true;
    leave(RELEARN);
}

/* ---- What must be reached, and what may come out ---- */

extern struct explore_situation __start_model_reached[] __attribute__((weak));
extern struct explore_situation __stop_model_reached[] __attribute__((weak));
static uint64_t outcomes, expected; /* sets */
static const char *expected_failure;

void
explore_hit(struct explore_situation *s)
{
    s->hits++;
}

void
explore_outcome(unsigned value)
{
    if (value >= 64) search_broken("an outcome is below 64");
    outcomes |= UINT64_C(1) << value;
}

void
explore_expect(unsigned long long set)
{
    expected = set;
}

void
explore_expect_failure(const char *text)
{
    expected_failure = text;
}

static int
unreached(void)
{
    int n = 0;
    for (struct explore_situation *s = __start_model_reached; s != __stop_model_reached; s++) {
        if (s->hits) continue;
        printf("never reached: %s\n", s->text);
        n++;
    }
    return n;
}

/* ---- The exploration ---- */

int model_main(void);

static void *
first_thread(void *arg)
{
    (void)arg;
    int status = model_main();
    if (status != 0) search_fail("main returned %d", status);
    leave(ENDED); /* as a process does: other threads may sleep for ever */
}

static enum end
run(void)
{
    depth = enabled_before = points = 0;
    memory_begin();
    shadow_begin();
    trace_begin();
    threads_begin(first_thread);
    volatile int how = _setjmp(home);
    if (how == 0) {
        me->begun = true;
        _longjmp(me->begin, 1);
    }
    me = NULL;
    return (enum end)how;
}

struct totals {
    unsigned long executions, ended;
};

static void
forget_everything(void)
{
    forget_visited();
    memset(habits, 0, sizeof habits);
    heavy_seen = pauses_seen = fences_seen = mixed_seen = false;
    trail_used = 0;
    outcomes = expected = 0;
    expected_failure = NULL;
}

/* The execution that failed once more, for people. */
static void
show_failure(unsigned long executions)
{
    trail_used = depth;
    tracing = true;
    enum end how = run();
    trace_print();
    if (how != FAILED) search_broken("the failure did not happen again");
    printf("%s\nexecution %lu; run it again for the same trace\n", failure, executions);
    tracing = false;
}

/* Everything; false: something failed. */
static bool
explore(struct totals *totals, unsigned long most)
{
    forget_everything();
    for (;;) {
        if (++totals->executions > most) search_broken("more than %lu executions", most);
        enum end how = run();
        totals->ended += how == ENDED;
        if (how == FAILED) return false;
        if (how == RELEARN) {
            forget_visited();
            trail_used = 0;
            outcomes = 0;
        } else if (!next_trail()) {
            return true;
        }
    }
}

static double
seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const char *explore_title(int index) __attribute__((weak));
int explore_case;
static bool first_only; /* the first failure is enough, and needs no trace */
static int only_case = -1;

/* Explores the model, or one of its cases: is all as it should be? */
static bool
check(unsigned long most)
{
    struct totals totals = {0, 0};
    double begin = seconds();
    bool held = explore(&totals, most), good = held && outcomes == expected;
    if (!held && expected_failure) good = strstr(failure, expected_failure);
    else if (!held && first_only) printf("%s\n", failure); /* a mutant: that it fails is all that is wanted */
    else if (!held) show_failure(totals.executions);
    if (held && expected_failure) good = false;
    if (held && outcomes != expected)
        printf("the outcomes are %#llx, not %#llx\n", (unsigned long long)outcomes, (unsigned long long)expected);
    printf("%lu executions, %lu to the end, %zu states, %.2f s%s\n", totals.executions, totals.ended, visited_used,
           seconds() - begin, good ? "" : ", FAILED");
    return good;
}

static bool
check_cases(unsigned long most)
{
    int passed = 0, failed = 0;
    const char *title;
    for (explore_case = only_case < 0 ? 0 : only_case; (title = explore_title(explore_case)); explore_case++) {
        printf("%s: ", title);
        if (check(most)) passed++;
        else failed++;
        if ((failed && first_only) || only_case >= 0) break;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0;
}

int
main(int count, char **arguments)
{
    unsigned long most = 20000000;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "-t") == 0 && i + 1 < count && strcmp(arguments[++i], "any") == 0) any_time = true;
        else if (strcmp(arguments[i], "-n") == 0 && i + 1 < count) most = strtoul(arguments[++i], NULL, 10);
        else if (strcmp(arguments[i], "-c") == 0 && i + 1 < count) only_case = atoi(arguments[++i]);
        else if (strcmp(arguments[i], "-1") == 0) first_only = true;
        else if (strcmp(arguments[i], "-b") == 0) check_buffering = true;
        else {
            fprintf(stderr, "usage: %s [-1] [-b] [-c case] [-t any] [-n most-executions]\n", arguments[0]);
            return EXIT_BROKEN;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    catch_crashes();
    shadow_first();
    if (explore_title) {
        if (!check_cases(most)) return EXIT_FAILED;
    } else if (!check(most)) {
        return EXIT_FAILED;
    }
    return only_case < 0 && unreached() ? EXIT_UNREACHED : 0;
}
