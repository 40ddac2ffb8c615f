/* fault_tasks.c - making tasks, scheduling them and waiting for them, with faults. */
#include "fault_kit.h"

#include "stack.h"

enum { MANY = 700, PARKED = 150, KEPT = 48 * 1024 };

static _Atomic int runs, drops;

static int
count(void *arg)
{
    (void)arg;
    FAULT_CHECK(fault_guarded());
    atomic_fetch_add(&runs, 1);
    return 0;
}

static void
count_drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&drops, 1);
}

/* n tasks, of which some may not come to be; each of the others runs once, or says why not. */
static void
spawn_and_join(int n, const weft_task_options *opt)
{
    static weft_task *t[MANY];
    int completed = 0, before = atomic_load(&runs);
    for (int i = 0; i < n; i++) {
        t[i] = NULL;
        if (!fault_may(opt ? weft_spawn_with(&t[i], count, NULL, opt) : weft_spawn(&t[i], count, NULL)))
            FAULT_CHECK(t[i] == NULL);
    }
    for (int i = 0; i < n; i++) {
        if (t[i] && fault_may(weft_join(t[i]))) completed++;
    }
    FAULT_CHECK(atomic_load(&runs) - before == completed);
}

static int
spawn_in_task(void *arg)
{
    (void)arg;
    fault_arm();
    spawn_and_join(MANY, NULL);
    return 0;
}

FAULT_SCENARIO(spawn_grows, F_ALL, "spawn: on one worker, whose queues have to grow")
{
    fault_on_task(1, 0, spawn_in_task);
}

FAULT_SCENARIO(spawn_stolen, F_ALL, "spawn: on three workers, which steal from each other")
{
    fault_on_task(3, 0, spawn_in_task);
}

FAULT_SCENARIO(spawn_outside, F_ALL, "spawn: from a plain thread")
{
    if (!fault_start(2, 0)) return;
    fault_arm();
    spawn_and_join(MANY, NULL);
    FAULT_CHECK(weft_stop() == 0);
}

static int
spawn_after_hoard(void *arg)
{
    (void)arg;
    fault_hoard();
    fault_arm();
    spawn_and_join(200, NULL);
    fault_disarm();
    fault_unhoard();
    return 0;
}

FAULT_SCENARIO(spawn_descriptors, F_DESCRIPTORS, "spawn: when there is no descriptor left, and no memory for more")
{
    fault_on_task(1, 0, spawn_after_hoard);
}

static int
spawn_kinds(void *arg)
{
    static const weft_task_options kinds[] = {{.name = "sticky", .flags = WEFT_STICKY},
                                              {.name = "interactive", .flags = WEFT_INTERACTIVE},
                                              {.name = "both", .flags = WEFT_STICKY | WEFT_INTERACTIVE},
                                              {.flags = WEFT_DAEMON},
                                              {.name = "large", .stack_size = 300 * 1024},
                                              {.name = "fpenv", .flags = WEFT_FPENV}};
    (void)arg;
    fault_arm();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) spawn_and_join(8, &kinds[i]);
    return 0;
}

FAULT_SCENARIO(spawn_kinds_of_task, F_ALL, "spawn: sticky, interactive, daemon, with a large stack, with control words")
{
    fault_on_task(2, 1, spawn_kinds);
}

/* ---- Copies ---- */

static const size_t copy_sizes[] = {0, 64, 65, 100000};
enum { COPIES = sizeof copy_sizes / sizeof *copy_sizes };
static unsigned char source[100000];

static int
check_copy(void *arg)
{
    FAULT_CHECK(((unsigned char *)arg)[0] == 1 && ((unsigned char *)arg)[63] == 64);
    atomic_fetch_add(&runs, 1);
    return 0;
}

static void
copy_all(void)
{
    weft_task *t[4 * COPIES];
    int completed = 0, before = atomic_load(&runs);
    for (size_t i = 0; i < sizeof source; i++) source[i] = (unsigned char)(i + 1);
    for (int i = 0; i < 4 * COPIES; i++) {
        size_t size = copy_sizes[i % COPIES];
        t[i] = NULL;
        if (!fault_may(weft_spawn_copy(i < 2 * COPIES ? &t[i] : NULL, size ? check_copy : count, source, size)))
            FAULT_CHECK(t[i] == NULL);
    }
    for (int i = 0; i < 2 * COPIES; i++) {
        if (t[i] && fault_may(weft_join(t[i]))) completed++;
    }
    FAULT_CHECK(atomic_load(&runs) - before >= completed);
}

static int
copy_in_task(void *arg)
{
    (void)arg;
    fault_arm();
    copy_all();
    return 0;
}

FAULT_SCENARIO(spawn_copies, F_ALL, "spawn_copy: of all sizes, with handles and without")
{
    fault_on_task(2, 0, copy_in_task);
}

FAULT_SCENARIO(spawn_copies_outside, F_MEMORY, "spawn_copy: from a plain thread")
{
    if (!fault_start(2, 0)) return;
    fault_arm();
    copy_all();
    FAULT_CHECK(weft_stop() == 0);
}

/* ---- Bodies and drops ---- */

static int
drop_or_run(void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .name = "dropped", .drop = count_drop};
    weft_task *t[40];
    int made = 0, completed = 0;
    (void)arg;
    atomic_store(&runs, 0);
    atomic_store(&drops, 0);
    fault_arm();
    for (int i = 0; i < 40; i++) {
        t[i] = NULL;
        opt.flags = i % 2 ? WEFT_STICKY : 0;
        opt.stack_size = i % 4 < 2 ? 300 * 1024 : 0;
        made += fault_may(weft_spawn_with(&t[i], count, NULL, &opt));
    }
    for (int i = 0; i < 40; i++) {
        if (!t[i]) continue;
        int rc = weft_wait(t[i]);
        completed += rc == 0;
        if (rc < 0) FAULT_CHECK(rc == WEFT_ECHILD && !weft_task_isstarted(t[i]) && !fault_may(weft_task_error(t[i])));
        weft_task_release(t[i]);
    }
    FAULT_CHECK(atomic_load(&runs) == completed);
    FAULT_CHECK(atomic_load(&drops) == made - completed);
    return 0;
}

FAULT_SCENARIO(body_or_drop, F_ALL, "spawn: of each task that was made either the body or the drop function runs, once")
{
    fault_on_task(2, 0, drop_or_run);
}

/* Nobody asks for these: they run from their queues, or not at all. */
static int
spawn_and_forget(void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .drop = count_drop};
    int made = 0;
    (void)arg;
    atomic_store(&runs, 0);
    atomic_store(&drops, 0);
    fault_arm();
    for (int i = 0; i < MANY; i++) made += fault_may(weft_spawn_with(NULL, count, NULL, &opt));
    while (atomic_load(&runs) + atomic_load(&drops) < made) weft_yield();
    return 0;
}

FAULT_SCENARIO(spawn_forgotten, F_ALL, "spawn: without handles, more than fit into a queue: each runs, or is dropped")
{
    fault_on_task(1, 0, spawn_and_forget);
}

static int
unscheduled(void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .drop = count_drop};
    weft_task *t;
    (void)arg;
    atomic_store(&runs, 0);
    atomic_store(&drops, 0);
    fault_arm();
    for (int i = 0; i < 12; i++) {
        if (!fault_may(weft_task_new(&t, count, NULL, &opt))) continue;
        int r = atomic_load(&runs), d = atomic_load(&drops);
        if (i % 4 == 0) FAULT_CHECK(weft_schedule(t) == 0);
        if (i % 4 == 1) FAULT_CHECK(weft_schedule_value(t, &opt) == 0);
        if (i % 4 == 2) FAULT_CHECK(weft_schedule_error(t, WEFT_EPERM) == 0 && weft_task_error(t) == WEFT_EPERM);
        if (i % 4 < 2) (void)!weft_wait(t);
        weft_task_release(t);
        FAULT_CHECK(atomic_load(&runs) - r + atomic_load(&drops) - d == 1);
    }
    return 0;
}

FAULT_SCENARIO(task_new, F_ALL, "task_new: scheduled, failed unscheduled, given up: each runs or is dropped, once")
{
    fault_on_task(1, 0, unscheduled);
}

/* ---- Stacks ---- */

struct fib {
    int n, result;
};

static int
fib(void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .stack_size = KEPT - 8192};
    struct fib *f = arg, a = {f->n - 1, 0}, b = {f->n - 2, 0};
    weft_task *t;
    if (f->n < 2) {
        f->result = f->n;
        return 0;
    }
    int rc = weft_spawn_with(&t, fib, &a, &opt);
    if (rc < 0) return rc;
    int second = fib(&b), first = weft_join(t);
    f->result = a.result + b.result;
    return first < 0 ? first : second;
}

static int
fib_in_task(void *arg)
{
    struct fib f = {10, 0};
    (void)arg;
    fault_arm();
    if (fault_may(fib(&f))) FAULT_CHECK(f.result == 55);
    return 0;
}

FAULT_SCENARIO(recursion, F_ALL, "join: a recursion whose tasks need a stack each, on one worker")
{
    fault_on_task(1, 0, fib_in_task);
}

FAULT_SCENARIO(recursion_stolen, F_MEMORY, "join: the same on three workers")
{
    fault_on_task(3, 0, fib_in_task);
}

static weft_channel *gate;

static int
park_at_gate(void *arg)
{
    int rc = weft_channel_take(gate, NULL);
    (void)arg;
    FAULT_CHECK(fault_guarded());
    atomic_fetch_add(&runs, 1);
    return rc == WEFT_ECLOSED ? 0 : rc;
}

static int
park_many(void *arg)
{
    weft_task *t[PARKED];
    weft_task_options large = {.size = sizeof large, .stack_size = 300 * 1024};
    int made = 0, completed = 0;
    (void)arg;
    atomic_store(&runs, 0);
    FAULT_CHECK(weft_channel_new(&gate, 1, 0) == 0);
    fault_arm();
    for (int i = 0; i < PARKED; i++) {
        t[i] = NULL;
        made += fault_may(weft_spawn_with(&t[i], park_at_gate, NULL, i % 8 ? NULL : &large));
    }
    for (int i = 0; i < PARKED; i++) {
        while (t[i] && weft_task_state(t[i]) == WEFT_INITIALIZED) weft_yield();
    }
    weft_channel_close(gate, 0);
    for (int i = 0; i < PARKED; i++) {
        if (t[i] && fault_may(weft_join(t[i]))) completed++;
    }
    FAULT_CHECK(atomic_load(&runs) == completed);
    if (made > completed) FAULT_CHECK(fault_said("vm.max_map_count"));
    weft_channel_release(gate);
    return 0;
}

FAULT_SCENARIO(parked, F_ALL, "parked tasks: as many as there are stacks for; the others fail, and all goes on")
{
    fault_on_task(2, 0, park_many);
}

/* Stacks that lie unused are given back by idle workers, after some time. */
FAULT_SCENARIO(trim, F_CLEAN, "stacks: what cannot be given back to the kernel stays, and is used again")
{
    if (fault_nth() > 2 || !fault_start(1, 0)) return;
    fault_arm();
    spawn_and_join(20, NULL);
    for (int i = 0; i < 100 && weft__stack_trim_next() == INT64_MAX; i++) FAULT_CHECK(weft_sleep(WEFT_MS) == 0);
    for (int i = 0; i < 100 && weft__stack_trim_next() != INT64_MAX; i++) FAULT_CHECK(weft_sleep(5 * WEFT_MS) == 0);
    spawn_and_join(20, NULL);
    FAULT_CHECK(weft_stop() == 0);
}
