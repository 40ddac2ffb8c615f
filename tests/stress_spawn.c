/* stress_spawn.c - random trees of tasks, started, waited for and woken in every way; runtimes start and stop.
 *
 *     stress_spawn [-t SECONDS] [-s SEED]
 *
 * Round after round: a runtime of a random number of workers, and random trees in it, grown by a root task or by
 * plain threads.  Each node starts its children in some way (spawned, sticky, copied, scheduled later, yielded to, with
 * a stack size), lets some of them park until they are woken, by itself or by a helper task, lets some of them go, and
 * reaps the others in random order: joined, fetched, waited for with deadlines that pass as the child ends, or polled.
 *
 * What a tree looks like and what its nodes return follows from the seed alone, so every result is known.  In rounds
 * that are stopped half-way, each task that was accepted must have run, or been dropped, once.  The seed, which is
 * printed first, decides what is called, but not how it falls.
 *
 * Ends with 0 and a line of totals; aborts at the first violation, or if nothing has moved for 20 s. */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weft.h>

enum { MAX_CHILDREN = 24, MAX_THREADS = 4, PATIENCE = 20, CODE_BITS = 0x3fffffff };

/* ThreadSanitizer can follow a few thousand live tasks. */
#if defined(__SANITIZE_THREAD__)
enum { MAX_DEPTH = 5 };
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
enum { MAX_DEPTH = 5 };
#else
enum { MAX_DEPTH = 8 };
#endif
#else
enum { MAX_DEPTH = 8 };
#endif

#define MODES(X) X(RUN, "weft_run") X(START, "weft_start") X(SELF, "started by itself") X(STOP, "stopped half-way")
#define NAME(name, text) name,
#define TEXT(name, text) text,
enum mode { MODES(NAME) N_MODES };
static const char *const mode_texts[] = {MODES(TEXT)};

/* What a task is given.  The rest of a node follows from these. */
struct node {
    uint64_t seed;
    int depth;
    bool parks, freed; /* freed: on the heap, and the task's */
};

static struct round {
    unsigned number;
    enum mode mode;
    int workers, threads, depth;
    uint64_t seed;
    atomic_bool stopping;
    atomic_long accepted, ran, ended, dropped, hooked, hooks_called;
} current;

static uint64_t seed;
static atomic_long progress, nodes, timeouts, wakes, cancellations, drops;
static long rounds[N_MODES];

__attribute__((format(printf, 1, 2))) _Noreturn static void
die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("stress_spawn: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nseed %" PRIu64 ", round %u: %s, %d workers, %d threads, depth %d%s\n", seed, current.number,
            mode_texts[current.mode], current.workers, current.threads, current.depth,
            atomic_load(&current.stopping) ? ", stopping" : "");
    fprintf(stderr, "accepted %ld, ran %ld, ended %ld, dropped %ld\n", atomic_load(&current.accepted),
            atomic_load(&current.ran), atomic_load(&current.ended), atomic_load(&current.dropped));
    abort();
}

static void
count(atomic_long *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* A number that follows from seed and number: SplitMix64. */
static uint64_t
mix(uint64_t from, uint64_t number)
{
    uint64_t z = from + (number + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The next number below n of a sequence. */
static unsigned
dice(uint64_t *state, unsigned n)
{
    *state = mix(*state, 0);
    return (unsigned)((*state >> 16) % n);
}

/* The shape of the tree. */

static int
children_of(const struct node *n)
{
    uint64_t r = mix(n->seed, 1000);
    if (n->depth == 0) return 0;
    return r % 50 == 0 ? MAX_CHILDREN : (int)((r >> 8) % 5);
}

static struct node
child_of(const struct node *n, int i)
{
    uint64_t s = mix(n->seed, (uint64_t)i);
    return (struct node){.seed = s, .depth = n->depth - 1, .parks = mix(s, 1) % 5 == 0};
}

/* A child that is let go; its result reaches nobody. */
static bool
let_go(const struct node *child)
{
    return !child->parks && mix(child->seed, 2) % 7 == 0;
}

static uint64_t
value_of(const struct node *n)
{
    uint64_t sum = n->seed & 0xffff;
    for (int i = 0; i < children_of(n); i++) {
        struct node child = child_of(n, i);
        if (!let_go(&child)) sum += value_of(&child);
    }
    return sum;
}

static long
size_of(const struct node *n)
{
    long size = 1;
    for (int i = 0; i < children_of(n); i++) {
        struct node child = child_of(n, i);
        size += size_of(&child);
    }
    return size;
}

/* A code that only a stop explains. */
static int
interrupted(int rc, const char *where)
{
    bool expected = rc == WEFT_ECANCELED || rc == WEFT_ESHUTDOWN;
    if (!expected || !atomic_load(&current.stopping)) die("%s gave %s", where, weft_error_name(rc));
    count(&cancellations);
    return WEFT_ECANCELED;
}

static void
give_turn(void)
{
    weft_yield();
    if (!weft_current()) sched_yield();
}

static void *
key_of(uint64_t node_seed)
{
    return (void *)(uintptr_t)(mix(node_seed, 3) | 1);
}

static int grow(const struct node *n);

static int
body(void *arg)
{
    struct node n = *(struct node *)arg;
    if (n.freed) free(arg);
    count(&current.ran);
    void *key = NULL;
    int rc = n.parks ? weft_park(&key) : 0;
    if (rc < 0) rc = interrupted(rc, "weft_park");
    else if (n.parks && key != key_of(n.seed)) die("a parked task was woken with another's value");
    else rc = grow(&n);
    count(&nodes);
    count(&progress);
    count(&current.ended);
    if (rc < 0) return rc;
    uint64_t value = value_of(&n);
    weft_return((void *)(uintptr_t)value);
    return (int)(value & CODE_BITS);
}

static void
drop(void *arg)
{
    free(arg);
    count(&current.dropped);
    count(&drops);
    count(&progress);
}

static void
note_end(weft_task *t, void *arg)
{
    if (!weft_task_isdone(t)) die("a hook was called before the end");
    count(arg);
}

/* Wakes a task that is parked, or about to be. */
static void
wake(weft_task *t, uint64_t node_seed)
{
    for (;;) {
        int rc = weft_schedule_value(t, key_of(node_seed));
        if (rc == 0) break;
        if (rc != WEFT_EBUSY && rc != WEFT_ESHUTDOWN) die("weft_schedule_value gave %s", weft_error_name(rc));
        bool over = rc == WEFT_ESHUTDOWN || weft_task_isdone(t);
        if (over && atomic_load(&current.stopping)) return; /* asked last: no effect of a stop is older */
        if (over) die("a task has ended that nobody had woken");
        give_turn();
    }
    count(&wakes);
}

/* A task that wakes another. */
struct waker {
    weft_task *target;
    uint64_t seed;
};

static void
drop_waker(void *arg)
{
    struct waker *w = arg;
    weft_task_release(w->target);
    free(w);
}

static int
wake_as_task(void *arg)
{
    struct waker *w = arg;
    wake(w->target, w->seed);
    drop_waker(w);
    return 0;
}

static void *
allocated(size_t size)
{
    void *p = malloc(size);
    if (!p) die("no memory");
    return p;
}

static void
wake_by_task(weft_task *t, uint64_t node_seed, unsigned flags)
{
    struct waker *w = allocated(sizeof *w);
    *w = (struct waker){weft_task_retain(t), node_seed};
    weft_task_options opt = {.size = sizeof opt, .name = "waker", .drop = drop_waker, .flags = flags};
    int rc = weft_spawn_with(NULL, wake_as_task, w, &opt);
    if (rc == 0) return;
    interrupted(rc, "starting a waker");
    drop_waker(w);
}

/* Starts a task for the node in a way that r decides.  A negative code: none was started. */
static int
start(const struct node *n, weft_task **out, uint64_t *r)
{
    unsigned way = dice(r, 8);
    if (way == 0 && current.mode != STOP) return weft_spawn_copy(out, body, n, sizeof *n); /* has no drop function */
    struct node *own = allocated(sizeof *own);
    *own = *n;
    own->freed = true;
    weft_task_options opt = {.size = sizeof opt, .name = "node", .drop = drop};
    if (way <= 2) opt.flags |= WEFT_STICKY;
    if (way == 3) opt.flags |= WEFT_FPENV;
    if (way == 4) opt.stack_size = 20000 + dice(r, 300000);
    bool later = dice(r, 4) == 0;
    int rc = later ? weft_task_new(out, body, own, &opt) : weft_spawn_with(out, body, own, &opt);
    if (rc < 0) {
        free(own);
        return rc;
    }
    if (!later) return 0;
    rc = dice(r, 2) ? weft_schedule(*out) : weft_yield_to(*out);
    if (rc == 0) return 0;
    if (!atomic_load(&current.stopping)) die("a new task could not be scheduled: %s", weft_error_name(rc));
    count(&current.accepted); /* it was made: what it was given is dropped, now or already */
    weft_task_release(*out);
    return WEFT_ESHUTDOWN;
}

/* Waits for t, in a way that r decides, and gives up the handle.  WEFT_ECANCELED: the caller, or t, was cancelled. */
static int
reap(weft_task *t, uint64_t expected, uint64_t *r)
{
    void *value = NULL;
    int rc, code = (int)(expected & CODE_BITS), way = (int)dice(r, 6);
    if (way == 0 && current.mode != STOP) {
        rc = weft_join(t);
        if (rc != code) die("weft_join gave %d instead of %d", rc, code);
        return 0;
    }
    if (way == 1) {
        while (!weft_task_isdone(t)) give_turn();
        rc = weft_task_isfailed(t) ? WEFT_ECHILD : 0;
    } else if (way == 2) {
        rc = weft_fetch(t, &value);
        if (rc == 0 && (uintptr_t)value != expected) die("weft_fetch gave another value");
    } else if (way <= 4) {
        do {
            rc = weft_wait_until(t, dice(r, 8) ? weft_in(dice(r, 3000)) : WEFT_NOW);
            if (rc == WEFT_ETIMEDOUT || rc == WEFT_EAGAIN) count(&timeouts);
            if (rc == WEFT_EAGAIN) give_turn();
        } while (rc == WEFT_ETIMEDOUT || rc == WEFT_EAGAIN);
    } else {
        rc = weft_wait(t);
    }
    if (rc == 0 && weft_task_error(t) != code) die("a task gave %d instead of %d", weft_task_error(t), code);
    if (rc == WEFT_ECHILD && (rc = weft_task_error(t)) >= 0) die("a task in state %d has %d", weft_task_state(t), rc);
    if (rc < 0) rc = interrupted(rc, "waiting");
    weft_task_release(t);
    return rc;
}

/* Starts the children of n, wakes those that park, and reaps those that were not let go. */
static int
grow(const struct node *n)
{
    weft_task *t[MAX_CHILDREN];
    struct node kept[MAX_CHILDREN];
    uint64_t r = mix(n->seed, 5);
    int kids = 0, result = 0, total = children_of(n);
    for (int i = 0; i < total && result == 0; i++) {
        struct node child = child_of(n, i);
        weft_task *handle = NULL;
        int rc = start(&child, &handle, &r);
        if (rc < 0) {
            result = interrupted(rc, "starting a task");
            break;
        }
        count(&current.accepted);
        if (dice(&r, 10) == 0) {
            count(&current.hooked);
            if (weft_ondone(handle, note_end, &current.hooks_called) < 0) die("weft_ondone failed");
        }
        if (let_go(&child)) {
            weft_task_release(handle);
        } else {
            t[kids] = handle;
            kept[kids++] = child;
        }
        if (dice(&r, 10) == 0) give_turn();
        if (dice(&r, 40) == 0 && weft_sleep(dice(&r, 50000)) < 0) result = interrupted(WEFT_ECANCELED, "sleeping");
    }
    for (int i = 0; i < kids; i++) {
        if (!kept[i].parks) continue;
        if (dice(&r, 3) == 0) wake(t[i], kept[i].seed);
        else wake_by_task(t[i], kept[i].seed, dice(&r, 2) ? WEFT_STICKY : 0);
    }
    while (kids > 0) {
        int pick = (int)dice(&r, (unsigned)kids);
        int rc = reap(t[pick], value_of(&kept[pick]), &r);
        if (rc < 0) result = rc;
        t[pick] = t[--kids];
        kept[pick] = kept[kids];
    }
    return result;
}

static struct node
root_of(int i)
{
    return (struct node){.seed = mix(current.seed, (uint64_t)i + 10), .depth = current.depth};
}

static int
grow_root(void *arg)
{
    struct node n = root_of(0);
    (void)arg;
    return grow(&n);
}

static void *
grow_in_thread(void *arg)
{
    grow((const struct node *)arg);
    count(&progress);
    return NULL;
}

/* What must hold when a round is over and all of its tasks have ended. */
static void
check_round(long expected)
{
    struct round *r = &current;
    long accepted = atomic_load(&r->accepted), ran = atomic_load(&r->ran), ended = atomic_load(&r->ended);
    if (ran != ended) die("%ld tasks began and %ld ended", ran, ended);
    if (accepted != ran + atomic_load(&r->dropped)) die("the accepted tasks are not those that ran or were dropped");
    if (r->mode != STOP && ran != expected) die("%ld tasks ran instead of %ld", ran, expected);
    if (atomic_load(&r->hooks_called) > atomic_load(&r->hooked)) die("a hook was called twice");
    if (r->mode != STOP && atomic_load(&r->hooks_called) != atomic_load(&r->hooked)) die("a hook was not called");
}

static void
pause_for(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* Trees from plain threads.  Stopped half-way, or when all that was let go has ended. */
static long
run_threads(const weft_config *cfg, uint64_t *r)
{
    struct node roots[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    long expected = 0;
    if (current.mode != SELF && weft_start(cfg) != 0) die("weft_start failed");
    for (int i = 0; i < current.threads; i++) {
        roots[i] = root_of(i);
        expected += size_of(&roots[i]) - 1; /* the root is no task */
        if (pthread_create(&threads[i], NULL, grow_in_thread, &roots[i]) != 0) die("no thread");
    }
    if (current.mode == STOP) {
        pause_for(dice(r, 2000000));
        atomic_store(&current.stopping, true);
        int rc = weft_stop();
        if (rc != 0) die("weft_stop gave %s", weft_error_name(rc));
    }
    for (int i = 0; i < current.threads; i++) pthread_join(threads[i], NULL);
    while (current.mode != STOP && atomic_load(&current.ended) < expected) pause_for(100000);
    int rc = weft_stop();
    if (rc != 0 && (rc != WEFT_ENOENT || current.mode == START)) die("the last weft_stop gave %s", weft_error_name(rc));
    return expected;
}

static void
run_round(unsigned number)
{
    uint64_t r = mix(seed, number);
    struct round *c = &current;
    memset(c, 0, sizeof *c);
    c->number = number;
    c->seed = mix(r, 1);
    c->mode = (enum mode)dice(&r, N_MODES);
    c->workers = 1 + (int)dice(&r, 6);
    c->threads = 1 + (int)dice(&r, MAX_THREADS);
    c->depth = 2 + (int)dice(&r, MAX_DEPTH - 1);
    weft_config cfg = {.size = sizeof cfg, .workers = c->workers, .stack_size = dice(&r, 2) ? 128 << 10 : 256 << 10};
    long expected;
    if (c->mode == RUN) {
        struct node root = root_of(0);
        expected = size_of(&root) - 1;
        int rc = weft_run(&cfg, grow_root, NULL);
        if (rc != 0) die("weft_run gave %s", weft_error_name(rc));
    } else {
        expected = run_threads(&cfg, &r);
    }
    check_round(expected);
    rounds[c->mode]++;
}

static void *
watch(void *arg)
{
    long last = -1;
    (void)arg;
    for (int still = 0; still < PATIENCE;) {
        sleep(1);
        long now = atomic_load(&progress);
        still = now == last ? still + 1 : 0;
        last = now;
    }
    die("nothing has moved for %d s", PATIENCE);
}

int
main(int argc, char **argv)
{
    long seconds = 10;
    seed = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
    for (int option; (option = getopt(argc, argv, "t:s:")) != -1;) {
        if (option == 't') seconds = strtol(optarg, NULL, 10);
        else if (option == 's') seed = strtoull(optarg, NULL, 10);
        else return 2;
    }
    printf("stress_spawn: seed %" PRIu64 "\n", seed);
    fflush(stdout);
    pthread_t watchdog;
    if (pthread_create(&watchdog, NULL, watch, NULL) != 0) die("no thread");
    time_t end = time(NULL) + seconds;
    unsigned number = 0;
    do run_round(number++);
    while (time(NULL) < end);
    printf("stress_spawn: %u rounds (", number);
    for (int i = 0; i < N_MODES; i++) printf("%s%s %ld", i ? ", " : "", mode_texts[i], rounds[i]);
    printf("), %ld nodes, %ld timeouts, %ld wakes, %ld cancellations, %ld dropped\n", atomic_load(&nodes),
           atomic_load(&timeouts), atomic_load(&wakes), atomic_load(&cancellations), atomic_load(&drops));
    return 0;
}
