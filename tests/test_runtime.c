/* test_runtime.c - starting, stopping, and what weft_run waits for; plain threads; many tasks. */
#include <pthread.h>

#include "task_kit.h"

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
give_code(void *arg)
{
    return *(int *)arg;
}

static int
count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

TEST(runtime, run_code, "run: it returns the code of the root task")
{
    static int codes[] = {0, 7, INT32_MAX, -5, WEFT_ECANCELED, INT32_MIN};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        CHECK_INT(weft_run(NULL, give_code, &codes[i]), codes[i]);
    }
}

TEST(runtime, run_refuses, "run: a root task that is no function is refused")
{
    CHECK_INT(weft_run(NULL, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_stop(), WEFT_ENOENT);
}

struct tree {
    _Atomic int *nodes;
    int depth;
};

/* A tree of tasks that nobody waits for, some of them parked for a while. */
static int
grow(void *arg)
{
    struct tree *t = arg;
    atomic_fetch_add(t->nodes, 1);
    if (t->depth == 0) return 0;
    struct tree child = {t->nodes, t->depth - 1};
    CHECK_INT(weft_spawn_copy(NULL, grow, &child, sizeof child), 0);
    if (t->depth % 3 == 0) CHECK_INT(weft_sleep(50 * WEFT_US), 0);
    CHECK_INT(weft_spawn_copy(NULL, grow, &child, sizeof child), 0);
    return 0;
}

TEST(runtime, run_waits, "run: it returns when every task has ended, whoever started it")
{
    _Atomic int nodes = 0;
    struct tree t = {&nodes, TEST_SMALL ? 6 : 11};
    CHECK_INT(weft_run(NULL, grow, &t), 0);
    CHECK_INT(atomic_load(&nodes), (2 << t.depth) - 1);
}

/* A service that is a daemon, and a client that goes on when the root task has returned. */
struct service {
    weft_channel *questions, *answers;
    _Atomic int answered, ended;
    weft_task *daemon;
};

static int
serve(void *arg)
{
    struct service *s = arg;
    int x = 0, rc;
    while ((rc = weft_channel_take(s->questions, &x)) == 0) {
        x++;
        rc = weft_channel_put(s->answers, &x);
        if (rc < 0) break;
    }
    for (int i = 0; i < 10; i++) weft_yield();
    atomic_store(&s->ended, 1);
    return rc;
}

static int
ask(void *arg)
{
    struct service *s = arg;
    for (int i = 0; i < 100; i++) {
        int x = i;
        CHECK_INT(weft_channel_put(s->questions, &x), 0);
        CHECK_INT(weft_channel_take(s->answers, &x), 0);
        CHECK_INT(x, i + 1);
        atomic_fetch_add(&s->answered, 1);
    }
    return 0;
}

static int
start_service(void *arg)
{
    struct service *s = arg;
    weft_task_options opt = {.size = sizeof opt, .name = "service", .flags = WEFT_DAEMON};
    CHECK_INT(weft_spawn_with(&s->daemon, serve, s, &opt), 0);
    CHECK_INT(weft_spawn(NULL, ask, s), 0);
    return 0;
}

TEST(runtime, daemons, "run: daemons serve until the last other task has ended, then are cancelled and awaited")
{
    struct service s = {.answered = 0};
    CHECK_INT(weft_channel_new(&s.questions, sizeof(int), 0), 0);
    CHECK_INT(weft_channel_new(&s.answers, sizeof(int), 0), 0);
    CHECK_INT(weft_run(NULL, start_service, &s), 0);
    CHECK_INT(atomic_load(&s.answered), 100);
    CHECK_INT(atomic_load(&s.ended), 1);
    CHECK_INT(weft_task_state(s.daemon), WEFT_CANCELLED);
    CHECK_INT(weft_task_error(s.daemon), WEFT_ECANCELED);
    weft_task_release(s.daemon);
    weft_channel_release(s.questions);
    weft_channel_release(s.answers);
}

static int
start_inside(void *arg)
{
    CHECK_INT(weft_run(NULL, nothing, NULL), WEFT_EBUSY);
    CHECK_INT(weft_start(NULL), WEFT_EBUSY);
    CHECK_INT(weft_stop(), WEFT_EBUSY);
    return arg ? WEFT_EINVAL : 0;
}

static void *
start_outside(void *arg)
{
    CHECK_INT(weft_run(NULL, nothing, NULL), WEFT_EBUSY);
    CHECK_INT(weft_start(NULL), WEFT_EBUSY);
    CHECK_INT(weft_stop(), WEFT_EBUSY);
    return arg;
}

static int
start_beside(void *arg)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, start_outside, NULL), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    return arg ? WEFT_EINVAL : 0;
}

TEST(runtime, nested, "run: a second start is refused, and so is a stop of what weft_run started")
{
    CHECK_INT(weft_run(NULL, start_inside, NULL), 0);
    CHECK_INT(weft_run(NULL, start_beside, NULL), 0);
    CHECK_INT(weft_start(NULL), 0);
    CHECK_INT(weft_start(NULL), WEFT_EBUSY);
    CHECK_INT(weft_run(NULL, nothing, NULL), WEFT_EBUSY);
    CHECK_INT(weft_join(spawned(start_inside, NULL)), 0);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_stop(), WEFT_ENOENT);
}

TEST(runtime, restart, "start: it can be started and stopped a hundred times")
{
    int rounds = TEST_SMALL ? 20 : 100;
    for (int i = 0; i < rounds; i++) {
        _Atomic int runs = 0;
        weft_task *t[10];
        CHECK_INT(weft_start(NULL), 0);
        for (int k = 0; k < 10; k++) t[k] = k % 2 ? spawned(count, &runs) : asynced(count, &runs);
        for (int k = 0; k < i % 11; k++) CHECK_INT(weft_join(t[k]), 0);
        CHECK(atomic_load(&runs) >= i % 11);
        CHECK_INT(weft_stop(), 0);
        for (int k = i % 11; k < 10; k++) weft_task_release(t[k]);
    }
}

TEST(runtime, rerun, "run: it can be called a hundred times, with one worker and with several")
{
    int rounds = TEST_SMALL ? 20 : 100;
    for (int i = 0; i < rounds; i++) {
        _Atomic int nodes = 0;
        struct tree t = {&nodes, 3};
        CHECK_INT(run_on(i % 2 ? 1 : test_workers(), grow, &t), 0);
        CHECK_INT(atomic_load(&nodes), 15);
    }
}

TEST(runtime, self_start, "start: the first call that needs the runtime starts it")
{
    _Atomic int runs = 0;
    CHECK_INT(weft_worker(), -1);
    CHECK_INT(weft_stop(), WEFT_ENOENT);
    CHECK_INT(weft_join(spawned(count, &runs)), 0);
    CHECK_INT(atomic_load(&runs), 1);
    CHECK_INT(weft_start(NULL), WEFT_EBUSY);
    CHECK_INT(weft_worker(), -1);
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_nworkers(), test_workers());
    CHECK_INT(weft_stop(), 0);
    CHECK_INT(weft_join(asynced(count, &runs)), 0);
    CHECK_INT(weft_stop(), 0);
}

/* What one plain thread does: all of it concerns tasks of its own. */
static void *
use_tasks(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    _Atomic int runs = 0;
    int expected = 0;
    for (int i = 0; i < scaled(1000); i++) {
        weft_task *t[8];
        for (int k = 0; k < 8; k++) t[k] = k % 3 ? spawned(count, &runs) : asynced(count, &runs);
        expected += 8;
        CHECK(weft_current() == NULL);
        CHECK_INT(weft_worker(), -1);
        for (int left = 8; left > 0; left--) {
            unsigned pick = dice(&seed, (unsigned)left);
            if (left % 2) CHECK_INT(weft_wait(t[pick]), 0);
            CHECK_INT(weft_join(t[pick]), 0);
            t[pick] = t[left - 1];
        }
        CHECK_INT(atomic_load(&runs), expected);
    }
    return NULL;
}

static void
use_from_threads(void)
{
    pthread_t threads[8];
    unsigned seeds[8];
    for (int i = 0; i < 8; i++) {
        seeds[i] = test_seed() + (unsigned)i;
        CHECK_INT(pthread_create(&threads[i], NULL, use_tasks, &seeds[i]), 0);
    }
    for (int i = 0; i < 8; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
}

TEST(runtime, threads, "runtime: eight plain threads spawn, wait and join")
{
    CHECK_INT(weft_start(NULL), 0);
    use_from_threads();
    CHECK_INT(weft_stop(), 0);
}

TEST(runtime, threads_start, "runtime: eight plain threads start it at the same time, once")
{
    for (int i = 0; i < 5; i++) {
        use_from_threads();
        CHECK_INT(weft_stop(), 0);
        CHECK_INT(weft_stop(), WEFT_ENOENT);
    }
}

static void *
ask_for_workers(void *arg)
{
    while (!atomic_load((_Atomic bool *)arg)) CHECK(weft_nworkers() >= 1);
    return NULL;
}

TEST(runtime, asked_while_stopping, "runtime: whoever asks for the number of workers while it stops gets one")
{
    _Atomic bool over = false;
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, ask_for_workers, &over), 0);
    for (int stops = 0; stops < scaled(200);) {
        int rc = weft_stop();
        CHECK(rc == 0 || rc == WEFT_ENOENT);
        stops += rc == 0;
    }
    atomic_store(&over, true);
    CHECK_INT(pthread_join(thread, NULL), 0);
    (void)weft_stop();
}

static int
know_worker(void *arg)
{
    int workers = *(int *)arg, mine = weft_worker();
    CHECK_INT(weft_nworkers(), workers);
    CHECK(mine >= 0 && mine < workers);
    return 0;
}

TEST(runtime, workers, "runtime: there are as many workers as were asked for, and tasks know theirs")
{
    for (int workers = 1; workers <= 5; workers++) {
        weft_config cfg = {.size = sizeof cfg, .workers = workers};
        CHECK_INT(weft_start(&cfg), 0);
        CHECK_INT(weft_nworkers(), workers);
        CHECK_INT(weft_worker(), -1);
        for (int i = 0; i < 100; i++) CHECK_INT(weft_join(spawned(know_worker, &workers)), 0);
        CHECK_INT(weft_stop(), 0);
        CHECK_INT(run_on(workers, know_worker, &workers), 0);
    }
}

/* Its worker never changes, whatever it parks in. */
static int
stay(void *arg)
{
    weft_channel *c = arg;
    int home = weft_worker();
    for (int i = 0; i < 20; i++) {
        weft_yield();
        CHECK_INT(weft_worker(), home);
        CHECK_INT(weft_sleep(WEFT_US), 0);
        CHECK_INT(weft_worker(), home);
        CHECK_INT(weft_channel_put(c, &i), 0);
        CHECK_INT(weft_worker(), home);
        CHECK_INT(weft_join(spawned(nothing, NULL)), 0);
        CHECK_INT(weft_worker(), home);
        CHECK_INT(weft_channel_take(c, NULL), 0);
        CHECK_INT(weft_worker(), home);
    }
    return 0;
}

static int
turn(void *arg)
{
    weft_channel *c = arg;
    int x = 0;
    weft_channel_each(c, x) CHECK_INT(weft_channel_put(c, &x), 0);
    return 0;
}

TASK_TEST(runtime, sticky_stays, "runtime: a sticky task stays on its worker across parks")
{
    enum { N = 20 };
    weft_task *t[N], *turner;
    weft_channel *c = NULL;
    CHECK_INT(weft_channel_new(&c, sizeof(int), N), 0);
    turner = spawned(turn, c);
    for (int i = 0; i < N; i++) t[i] = asynced(stay, c);
    for (int i = 0; i < N; i++) CHECK_INT(weft_join(t[i]), 0);
    weft_channel_close(c, 0);
    CHECK_INT(weft_join(turner), 0);
    weft_channel_release(c);
}

TEST(runtime, many_from_thread, "runtime: a plain thread spawns a hundred thousand tasks")
{
    enum { N = 100000 };
    static weft_task *t[N];
    _Atomic int runs = 0;
    int n = scaled(N);
    CHECK_INT(weft_start(NULL), 0);
    for (int i = 0; i < n; i++) {
        CHECK_INT(weft_spawn(&t[i], count, &runs), 0);
        if (!t[i]) return;
    }
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(atomic_load(&runs), n);
    CHECK_INT(weft_stop(), 0);
}

static int
park_and_count(void *arg)
{
    int rc = weft_park(NULL);
    return rc < 0 ? rc : count(arg);
}

TEST(runtime, many_parked,
     "runtime: a hundred thousand tasks are parked at once, or as many as older kernels allow, and all go on")
{
    enum { N = 100000 };
    static weft_task *t[N];
    weft_config cfg = {.size = sizeof cfg, .stack_size = 64 << 10};
    _Atomic int runs = 0;
    int n = test_kernel_marks_guards() ? scaled(N) : scaled(N / 5);
    CHECK_INT(weft_start(&cfg), 0);
    for (int i = 0; i < n; i++) {
        CHECK_INT(weft_spawn(&t[i], park_and_count, &runs), 0);
        if (!t[i]) return;
    }
    for (int i = 0; i < n; i++) {
        while (!weft_task_isstarted(t[i])) sched_yield();
    }
    CHECK_INT(atomic_load(&runs), 0);
    for (int i = 0; i < n; i++) CHECK_INT(weft_schedule(t[i]), 0);
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(atomic_load(&runs), n);
    CHECK_INT(weft_stop(), 0);
}
