/* test_debug.c - weft_dump: what it says of tasks, workers, queues and threads, from wherever it is called. */
#include "task_kit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { TEXT = 1 << 20 };

/* What was written to fd, from its beginning; the caller frees it. */
static char *
contents(int fd)
{
    char *text = calloc(1, TEXT);
    if (CHECK(text != NULL)) CHECK(pread(fd, text, TEXT - 1, 0) >= 0);
    return text;
}

/* A dump; the caller frees it. */
static char *
dumped(void)
{
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK_INT(weft_dump(fd), 0);
    char *text = contents(fd);
    close(fd);
    return text;
}

/* Does a line of text have all of these, in this order?  NULL ends them. */
static bool
has(const char *text, const char *const *parts)
{
    for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        const char *at = line;
        int k = 0;
        while (parts[k] && (at = strstr(at, parts[k])) && at < end) at += strlen(parts[k++]);
        if (!parts[k]) return true;
    }
    return false;
}

static bool
says(const char *text, const char *const *parts)
{
    if (has(text, parts)) return true;
    test__note("no line with \"%s\", \"%s\" ... in:\n%s", parts[0], parts[1] ? parts[1] : "", text);
    return false;
}
#define SAYS(text, ...) CHECK(says((text), (const char *const[]){__VA_ARGS__, NULL}))

/* A task with a name and flags. */
static weft_task *
named(const char *name, weft_fn *fn, void *arg, unsigned flags)
{
    weft_task_options opt = {.size = sizeof opt, .name = name, .flags = flags};
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, fn, arg, &opt), 0);
    return t;
}

/* Dumps until the line is there: a task may have begun, and not have parked yet. */
static void
until_says(const char *const *parts)
{
    for (int tries = 0;; tries++) {
        char *text = dumped();
        bool found = has(text, parts);
        if (!found && tries >= 5000) CHECK(says(text, parts));
        free(text);
        if (found || tries >= 5000) return;
        CHECK_INT(weft_sleep(WEFT_MS), 0);
    }
}
#define UNTIL_SAYS(...) until_says((const char *const[]){__VA_ARGS__, NULL})

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
park(void *arg)
{
    (void)arg;
    return weft_park(NULL);
}

static int
take(void *arg)
{
    return weft_channel_take(arg, NULL);
}

static int
sleep_long(void *arg)
{
    (void)arg;
    return weft_sleep(3600 * WEFT_S);
}

static int
wait_for(void *arg)
{
    return weft_wait(arg);
}

TEST(debug, parked, "dump: a parked task is shown with its name, its flags, and what it waits for")
{
    weft_channel *c = NULL;
    char awaited[64];
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_channel_new(&c, sizeof(int), 0), 0);
    weft_task *parked = named("parker", park, NULL, 0);
    UNTIL_SAYS("\"parker\"", ": parked in park", "last on worker");
    weft_task *waits = named("waiter", wait_for, parked, WEFT_DAEMON);
    weft_task *takes = named("taker", take, c, WEFT_STICKY);
    weft_task *sleeps = named("sleeper", sleep_long, NULL, 0);
    snprintf(awaited, sizeof awaited, "task 0x%zx \"parker\"", (size_t)parked);
    UNTIL_SAYS("\"waiter\"", ": parked in task: ", awaited, ", daemon");
    UNTIL_SAYS("\"taker\"", ": parked in channel take at 0x", ", sticky");
    UNTIL_SAYS("\"sleeper\"", ": parked in sleep;");
    char *text = dumped();
    SAYS(text, "weft: dump of process ", ": the runtime is running");
    SAYS(text, "3 tasks and 1 daemons have not ended");
    SAYS(text, "timers: the next in ", " ms");
    SAYS(text, "worker 0", "; next 0, deque 0, fifo 0, sticky 0, inbox 0; ", " dispatches");
    SAYS(text, "pool of workers: ", " asleep, ", " searching; inject 0");
    free(text);
    CHECK_INT(weft_stop(), 0);
    weft_task_release(parked);
    weft_task_release(waits);
    weft_task_release(takes);
    weft_task_release(sleeps);
    weft_channel_release(c);
}

/* The innermost of three tasks that run in place of each other. */
static int
innermost(void *arg)
{
    (void)arg;
    char *text = dumped(), self[64];
    snprintf(self, sizeof self, "task 0x%zx", (size_t)weft_current());
    SAYS(text, self, ": running on worker ");
    SAYS(text, "    waits for it in place: task 0x", "\"outermost\"");
    SAYS(text, "(which dumps): runs ", self);
    free(text);
    return weft_park(NULL);
}

static int
middle(void *arg)
{
    return weft_join(*(weft_task **)arg = spawned(innermost, NULL));
}

static int
outermost(void *arg)
{
    return weft_join(spawned(middle, arg));
}

TEST(debug, in_place, "dump: of tasks that run in the place of each other, each is shown")
{
    weft_config cfg = {.size = sizeof cfg, .workers = 1};
    weft_task *inner = NULL;
    CHECK_INT(weft_start(&cfg), 0);
    weft_task *t = named("outermost", outermost, &inner, 0);
    UNTIL_SAYS("task 0x", ": parked in park; saved at 0x", "; last on worker 0");
    char *text = dumped(), below[64], *at;
    snprintf(below, sizeof below, "task 0x%zx: parked in park", (size_t)inner);
    at = strstr(text, below);
    if (CHECK(at != NULL)) { /* and below it its two waiters, the nearest first */
        const char *first = strstr(at, "\n    waits for it in place: task 0x");
        const char *second = first ? strstr(first + 1, "\n    waits for it in place: task 0x") : NULL;
        CHECK(second && strstr(second, "\"outermost\"") != NULL && strstr(at, "\"outermost\"") > second);
    }
    free(text);
    CHECK_INT(weft_schedule(inner), 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(weft_stop(), 0);
}

static _Atomic int go;

static int
hold_worker(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    spin_until(&go, 1);
    return 0;
}

TEST(debug, unstarted, "dump: tasks that have not started are counted, and the first of them shown")
{
    enum { N = 100 };
    weft_config cfg = {.size = sizeof cfg, .workers = 1};
    weft_task *t[N];
    _Atomic int begun = 0;
    int shown = 0;
    atomic_store(&go, 0);
    CHECK_INT(weft_start(&cfg), 0);
    weft_task *holder = spawned(hold_worker, &begun);
    spin_until(&begun, 1);
    weft_task *fresh = unscheduled(nothing, NULL, WEFT_STICKY);
    char *text = dumped();
    SAYS(text, "task 0x", ": not scheduled, body 0x", ", sticky");
    free(text);
    for (int i = 0; i < N; i++) t[i] = i % 2 ? spawned(nothing, NULL) : asynced(nothing, NULL);
    text = dumped();
    SAYS(text, "100 tasks are queued and have not started, 1 are not scheduled", "; named are the first 64 of those");
    SAYS(text, "worker 0: runs ", ", inbox 50;");
    SAYS(text, "pool of workers: 0 asleep, 0 searching; inject 50");
    for (char *at = text; (at = strstr(at, ": queued")); at++) shown++;
    CHECK(shown >= 63 && shown <= 64); /* one may be the task that is not scheduled */
    free(text);
    atomic_store(&go, 1);
    for (int i = 0; i < N; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(weft_join(holder), 0);
    weft_task_release(fresh);
    CHECK_INT(weft_stop(), 0);
}

/* With two tasks in the worker's own deque. */
static int
dump_with_deque(void *arg)
{
    weft_task *first = spawned(nothing, NULL), *second = spawned(nothing, NULL);
    char *text = dumped();
    (void)arg;
    SAYS(text, "(which dumps): runs task 0x", "; next 0, deque 2, fifo 0, sticky 0, inbox 0;");
    SAYS(text, "task 0x", ": queued by worker 0, body 0x");
    free(text);
    return weft_join(second) + weft_join(first);
}

TEST(debug, deque, "dump: what lies in the deque of a worker is counted there")
{
    CHECK_INT(run_on(1, dump_with_deque, NULL), 0);
}

TEST(debug, idle, "dump: without a runtime it says so, and shows the tasks that wait for one")
{
    char *text = dumped();
    SAYS(text, ": the runtime is not running");
    CHECK(strstr(text, "worker") == NULL);
    free(text);
}

static void *
join_from_thread(void *arg)
{
    CHECK_INT(weft_join(arg), WEFT_ECANCELED);
    return NULL;
}

struct locked {
    weft_mutex m;
    weft_condition c;
    weft_rwlock l;
    _Atomic int owned;
};

static int
own(void *arg)
{
    struct locked *x = arg;
    CHECK_INT(weft_rwlock_wrlock(&x->l), 0);
    weft_mutex_lock(&x->m);
    atomic_store(&x->owned, 1);
    (void)weft_park(NULL);
    return weft_mutex_unlock(&x->m) + weft_rwlock_wrunlock(&x->l);
}

static int
lock(void *arg)
{
    struct locked *x = arg;
    weft_mutex_lock(&x->m);
    return weft_mutex_unlock(&x->m);
}

static int
wait_notified(void *arg)
{
    static weft_mutex own_mutex;
    struct locked *x = arg;
    weft_mutex_lock(&own_mutex);
    int rc = weft_condition_wait(&x->c, &own_mutex, NULL);
    CHECK_INT(weft_mutex_unlock(&own_mutex), 0);
    return rc;
}

static int
read_locked(void *arg)
{
    struct locked *x = arg;
    return weft_rwlock_rdlock(&x->l) + weft_rwlock_rdunlock(&x->l);
}

static int
write_locked(void *arg)
{
    struct locked *x = arg;
    return weft_rwlock_wrlock(&x->l) + weft_rwlock_wrunlock(&x->l);
}

TEST(debug, locks, "dump: who waits for a mutex is shown with who owns it, and others with what they wait for")
{
    struct locked x = {0};
    char held[64];
    CHECK_INT(weft_start(NULL), 0);
    weft_task *owner = named("owner", own, &x, 0);
    until(&x.owned, 1);
    weft_task *t[] = {named("locker", lock, &x, 0), named("sleeper", wait_notified, &x, 0),
                      named("reader", read_locked, &x, 0), named("writer", write_locked, &x, 0)};
    snprintf(held, sizeof held, ", held by task 0x%zx \"owner\"", (size_t)owner);
    UNTIL_SAYS("\"locker\"", ": parked in mutex lock at 0x", held);
    UNTIL_SAYS("\"sleeper\"", ": parked in condition wait at 0x");
    UNTIL_SAYS("\"reader\"", ": parked in rwlock read at 0x", held);
    UNTIL_SAYS("\"writer\"", ": parked in rwlock write at 0x", held);
    CHECK_INT(weft_schedule(owner), 0);
    CHECK_INT(weft_join(owner), 0);
    for (int i = 0; i < 4; i++) {
        if (i != 1) CHECK_INT(weft_wait(t[i]), 0);
    }
    CHECK_INT(weft_rwlock_rdlock(&x.l), 0);
    CHECK_INT(weft_rwlock_rdlock(&x.l), 0);
    weft_task *late = named("late", write_locked, &x, 0);
    UNTIL_SAYS("\"late\"", ": parked in rwlock write at 0x", ", held by 2 readers");
    CHECK_INT(weft_rwlock_rdunlock(&x.l) + weft_rwlock_rdunlock(&x.l), 0);
    CHECK_INT(weft_join(late), 0);
    CHECK_INT(weft_stop(), 0);
    for (int i = 0; i < 4; i++) weft_task_release(t[i]);
}

static void *
take_until_from_thread(void *arg)
{
    CHECK_INT(weft_channel_take_until(arg, NULL, weft_in(3600 * WEFT_S)), WEFT_ECLOSED);
    return NULL;
}

TEST(debug, threads, "dump: a plain thread that is blocked in Weft is shown with what it waits for")
{
    pthread_t joiner, taker;
    weft_channel *c = NULL;
    char awaited[64];
    CHECK_INT(weft_channel_new(&c, 0, 0), 0);
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = spawned(park, NULL);
    CHECK_INT(pthread_create(&joiner, NULL, join_from_thread, t), 0);
    CHECK_INT(pthread_create(&taker, NULL, take_until_from_thread, c), 0);
    snprintf(awaited, sizeof awaited, "blocked in task: task 0x%zx", (size_t)t);
    UNTIL_SAYS("thread ", awaited);
    UNTIL_SAYS("thread ", ": blocked in channel take at 0x", ", for 3599");
    CHECK(weft_channel_close(c, 0));
    CHECK_INT(pthread_join(taker, NULL), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(pthread_join(joiner, NULL), 0);
    char *text = dumped();
    CHECK(strstr(text, "thread ") == NULL);
    free(text);
    weft_channel_release(c);
}

TEST(debug, descriptors, "dump: a descriptor that cannot be written to is an error, a full pipe is waited for")
{
    int ends[2];
    CHECK_INT(weft_dump(-1), WEFT_EINVAL);
    int closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
    errno = 77;
    CHECK_INT(weft_dump(closed), WEFT_EINVAL);
    CHECK_INT(errno, 77);
    close(closed);
    CHECK_INT(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    char block[4096] = "";
    while (write(ends[1], block, sizeof block) > 0) continue;
    CHECK_INT(weft_dump(ends[1]), WEFT_EAGAIN);
    close(ends[0]);
    close(ends[1]);
}

static int handler_fd;
static _Atomic int handled;

static void
dump_in_handler(int signal)
{
    (void)signal;
    CHECK_INT(weft_dump(handler_fd), 0);
    atomic_fetch_add(&handled, 1);
}

static int
raise_here(void *arg)
{
    (void)arg;
    return raise(SIGTRAP); /* one that workers do not block */
}

TEST(debug, handler, "dump: from a signal handler on a worker, and on a plain thread")
{
    struct sigaction action = {.sa_handler = dump_in_handler, .sa_flags = SA_ONSTACK}, before;
    handler_fd = memfd_create("dump", MFD_CLOEXEC);
    atomic_store(&handled, 0);
    sigaction(SIGTRAP, &action, &before);
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = named("raiser", raise_here, NULL, 0);
    CHECK_INT(weft_join(t), 0);
    CHECK_INT(raise(SIGTRAP), 0);
    CHECK_INT(atomic_load(&handled), 2);
    CHECK_INT(weft_stop(), 0);
    sigaction(SIGTRAP, &before, NULL);
    char *text = contents(handler_fd);
    SAYS(text, "\"raiser\"", ": running on worker ");
    free(text);
    close(handler_fd);
}

/* A name that is not there any more, and one that is no text. */
TEST(debug, names, "dump: a name that has gone is left out, one that cannot be printed is masked, a long one cut")
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char longest[200], shown[80] = "";
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    weft_task_options gone = {.name = page},
                      odd = {.name = "a\n\x1b\xff"
                                     "b"},
                      long_one = {.name = longest};
    weft_task *t[3];
    strcpy(page, "gone");
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_task_new(&t[0], nothing, NULL, &gone), 0);
    CHECK_INT(weft_task_new(&t[1], nothing, NULL, &odd), 0);
    CHECK_INT(weft_task_new(&t[2], nothing, NULL, &long_one), 0);
    munmap(page, 4096);
    char *text = dumped();
    SAYS(text, "task 0x", " \"\": not scheduled");
    SAYS(text, "task 0x", " \"a???b\": not scheduled");
    shown[0] = '"';
    memset(shown + 1, 'x', 64);
    shown[65] = '"';
    SAYS(text, "task 0x", shown);
    free(text);
    for (int i = 0; i < 3; i++) weft_task_release(t[i]);
    CHECK_INT(weft_stop(), 0);
}

static _Atomic int over;

static void *
dump_again_and_again(void *arg)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    while (!atomic_load(&over)) {
        CHECK_INT(weft_dump(null), 0);
        atomic_fetch_add((_Atomic int *)arg, 1);
    }
    close(null);
    return NULL;
}

/* A tree of tasks, which may be cancelled in the middle of it. */
static int
tree(void *arg)
{
    uintptr_t depth = (uintptr_t)arg;
    weft_task *t[2] = {NULL, NULL};
    int rc = 0;
    if (depth == 0) return weft_sleep(1);
    for (int i = 0; i < 2 && rc == 0; i++) rc = weft_spawn(&t[i], tree, (void *)(depth - 1));
    for (int i = 0; i < 2; i++) {
        if (t[i] && rc == 0) rc = weft_wait(t[i]);
        weft_task_release(t[i]);
    }
    return rc == 0 ? 0 : WEFT_ECANCELED;
}

TEST(debug, storm, "dump: while tasks come and go, and the runtime is started and stopped, it hurts nobody")
{
    pthread_t thread;
    _Atomic int dumps = 0;
    atomic_store(&over, 0);
    CHECK_INT(pthread_create(&thread, NULL, dump_again_and_again, &dumps), 0);
    for (int i = 0; i < 40 || atomic_load(&dumps) < 100; i++) {
        CHECK_INT(weft_start(NULL), 0);
        weft_task *t[8];
        for (int k = 0; k < 8; k++) t[k] = spawned(tree, (void *)(uintptr_t)(k % 4));
        for (int k = 0; k < 4; k++) CHECK_INT(weft_join(t[k]), 0);
        CHECK_INT(weft_stop(), 0);
        for (int k = 4; k < 8; k++) weft_task_release(t[k]);
    }
    atomic_store(&over, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
}

TEST(debug, forked, "dump: works in a forked child")
{
    CHECK_INT(weft_start(NULL), 0);
    weft_task *t = named("left behind", park, NULL, 0);
    UNTIL_SAYS("\"left behind\"", ": parked in park");
    int fd = memfd_create("dump", MFD_CLOEXEC), status = 0;
    pid_t child = TEST_TSAN ? 0 : fork();
    if (child == 0 && !TEST_TSAN) _exit(weft_dump(fd) == 0 ? 0 : 1);
    if (child > 0) {
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK_INT(status, 0);
        char *text = contents(fd);
        SAYS(text, "in the parent of this process");
        SAYS(text, "\"left behind\"", ": parked in park");
        free(text);
    }
    close(fd);
    CHECK_INT(weft_stop(), 0);
    weft_task_release(t);
}
