/* test_callbacks.c - callbacks that use the library a lot: on_unhandled, drop and ondone, wherever a task ends. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "task_kit.h"

/* Puts enough that a task would have to let others have a turn, several times.  An unbounded channel parks nobody. */
enum { PUTS = 400 };

static weft_channel *drain;
static _Atomic int drops, hooks, reports;

static void
put_many(void)
{
    for (int i = 0; i < PUTS; i++) CHECK_INT(weft_channel_put(drain, &i), 0);
}

static void
put_at_drop(void *arg)
{
    (void)arg;
    put_many();
    atomic_fetch_add(&drops, 1);
}

static void
put_at_end(weft_task *t, void *arg)
{
    CHECK(weft_task_isdone(t));
    CHECK(arg == &hooks);
    put_many();
    atomic_fetch_add(&hooks, 1);
}

static void
put_at_report(weft_task *t, int code)
{
    CHECK_INT(weft_task_state(t), WEFT_FAILED);
    CHECK(code < 0);
    put_many();
    atomic_fetch_add(&reports, 1);
}

static int
fail(void *arg)
{
    (void)arg;
    return WEFT_EPERM;
}

static int
succeed(void *arg)
{
    (void)arg;
    return 0;
}

/* Others that are ready all the time, and would be switched to. */
static _Atomic int quiet;

static int
be_ready(void *arg)
{
    (void)arg;
    for (int i = 1; !atomic_load(&quiet); i++) {
        if (i % 50) weft_yield();
        else CHECK_INT(weft_sleep(WEFT_US), 0);
    }
    return 0;
}

struct load {
    weft_fn *fn; /* makes `times` tasks that end in some way */
    int times;
};

/* Runs three of them beside three that are always ready. */
static int
run_load(void *arg)
{
    struct load *l = arg;
    weft_task *makers[3], *others[3];
    for (int i = 0; i < 3; i++) others[i] = spawned(be_ready, NULL);
    for (int i = 0; i < 3; i++) makers[i] = spawned(l->fn, &l->times);
    for (int i = 0; i < 3; i++) CHECK_INT(weft_join(makers[i]), 0);
    atomic_store(&quiet, 1);
    for (int i = 0; i < 3; i++) CHECK_INT(weft_join(others[i]), 0);
    return 0;
}

static void
expect(weft_fn *fn, int times, int dropped, int hooked, int reported)
{
    struct load l = {fn, times};
    weft_config cfg = {.size = sizeof cfg, .on_unhandled = put_at_report};
    atomic_store(&quiet, 0);
    atomic_store(&drops, 0);
    atomic_store(&hooks, 0);
    atomic_store(&reports, 0);
    if (!CHECK_INT(weft_channel_new(&drain, sizeof(int), WEFT_UNBOUNDED), 0)) return;
    CHECK_INT(weft_run(&cfg, run_load, &l), 0);
    CHECK_INT(atomic_load(&drops), 3 * dropped);
    CHECK_INT(atomic_load(&hooks), 3 * hooked);
    CHECK_INT(atomic_load(&reports), 3 * reported);
    CHECK_INT(weft_channel_len(drain), (long long)PUTS * 3 * (dropped + hooked + reported));
    weft_channel_release(drain);
}

static int
make_failing(void *arg)
{
    int times = *(int *)arg;
    for (int i = 0; i < times; i++) {
        CHECK_INT(weft_spawn(NULL, fail, NULL), 0);
        if (i % 16 == 0) weft_yield();
    }
    return 0;
}

TEST(callbacks, unhandled, "callbacks: on_unhandled may put as much as it likes, while others are ready")
{
    int n = scaled(2000);
    expect(make_failing, n, 0, 0, n);
}

static int
make_hooked(void *arg)
{
    int times = *(int *)arg;
    for (int i = 0; i < times; i++) {
        weft_task *t = spawned(i % 2 ? fail : succeed, NULL);
        CHECK_INT(weft_ondone(t, put_at_end, &hooks), 0);
        if (i % 3) weft_task_release(t);
        else weft_join(t);
    }
    return 0;
}

TEST(callbacks, ondone, "callbacks: an ondone callback may put as much as it likes, while others are ready")
{
    int n = scaled(2000);
    expect(make_hooked, n, 0, n, 0);
}

static int
make_dropped(void *arg)
{
    int times = *(int *)arg;
    weft_task_options opt = {.size = sizeof opt, .drop = put_at_drop};
    for (int i = 0; i < times; i++) {
        weft_task *t = NULL;
        CHECK_INT(weft_task_new(&t, succeed, NULL, &opt), 0);
        if (i % 2) CHECK_INT(weft_schedule_error(t, -99), 0);
        weft_task_release(t);
        if (i % 16 == 0) weft_yield();
    }
    return 0;
}

TEST(callbacks, drop, "callbacks: a drop function may put as much as it likes, while others are ready")
{
    int n = scaled(2000) / 2 * 2;
    expect(make_dropped, n, n, 0, n / 2);
}

/* Tasks for which there is no stack end in the middle of a switch: their makers park, and have begun to leave. */
static int
make_stackless(void *arg)
{
    int times = *(int *)arg;
    weft_task_options opt = {.size = sizeof opt, .drop = put_at_drop, .stack_size = 1u << 30};
    for (int i = 0; i < times; i++) {
        weft_task *t = NULL;
        CHECK_INT(weft_spawn_with(&t, succeed, NULL, &opt), 0);
        if (i % 2) CHECK_INT(weft_ondone(t, put_at_end, &hooks), 0);
        weft_task_release(t);
        if (i % 4 < 2) CHECK_INT(weft_sleep(WEFT_US), 0);
        else weft_yield();
    }
    return 0;
}

/* The address space that is in use now. */
static rlim_t
in_use(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return strtoul(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* An emulator may know nothing of limits. */
static bool
is_limited(void)
{
    void *p = mmap(NULL, (size_t)1 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return true;
    munmap(p, (size_t)1 << 30);
    return false;
}

TEST(callbacks, stackless, "callbacks: of a task for which there is no stack they may put as much as they like, too")
{
    if (TEST_ASAN || TEST_TSAN) return; /* these reserve more address space than any limit allows */
    struct rlimit before, limit;
    struct capture c;
    static char written[4096];
    int n = TEST_SIM ? 8 : 400;
    CHECK_INT(getrlimit(RLIMIT_AS, &before), 0);
    if (!capture_begin(&c)) return; /* the library says once that there is no stack */
    limit = (struct rlimit){in_use() + ((rlim_t)900 << 20), before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_AS, &limit), 0);
    if (is_limited()) expect(make_stackless, n, n, n / 2, n / 2);
    CHECK_INT(setrlimit(RLIMIT_AS, &before), 0);
    capture_end(&c, written, sizeof written, "");
}
