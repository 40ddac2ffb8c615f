/* fault_seeded.c - scenarios with a defect each, which must be reported: `faults -x`. */
#include "fault_kit.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Allocations that are looked at nowhere else must not be optimised away. */
static void *volatile block;

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

FAULT_SEEDED(leaks_block, F_CALLOC | F_MALLOC, "a block is not freed where a later step fails")
{
    weft_channel *c;
    fault_arm();
    block = malloc(100);
    if (weft_channel_new(&c, 1, 1) < 0) return;
    weft_channel_release(c);
    free(block);
}

FAULT_SEEDED(frees_twice, F_CALLOC, "a block is freed twice where a later step fails")
{
    weft_channel *c;
    block = malloc(100);
    fault_arm();
    int rc = weft_channel_new(&c, 1, 1);
    if (rc < 0) free(block);
    else weft_channel_release(c);
    free(block);
}

FAULT_SEEDED(leaks_mapping, F_MALLOC, "a mapping is not unmapped where a later step fails")
{
    fault_arm();
    void *m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0), *p = block = malloc(1);
    if (!p) return;
    free(p);
    munmap(m, 4096);
}

FAULT_SEEDED(loses_handle, F_CALLOC, "a handle is not released where a later step fails")
{
    weft_task *t;
    if (!fault_start(1, 0)) return;
    FAULT_CHECK(weft_task_new(&t, nothing, NULL, NULL) == 0);
    fault_arm();
    weft_channel *c;
    if (weft_channel_new(&c, 1, 1) == 0) {
        weft_channel_release(c);
        weft_task_release(t);
    }
    FAULT_CHECK(weft_stop() == 0);
}

FAULT_SEEDED(ignores_error, F_CALLOC, "an error is ignored, and what was not made is used")
{
    weft_channel *c = NULL;
    fault_arm();
    (void)!weft_channel_new(&c, 1, 1);
    weft_channel_release(c);
    FAULT_CHECK(weft_channel_capacity(c) == 1 || true);
}

FAULT_SEEDED(wrong_code, F_CALLOC, "a call fails with a code that does not fit the fault")
{
    weft_channel *c = NULL;
    fault_arm();
    int rc = weft_channel_new(&c, 1, 1);
    fault_may(rc < 0 ? WEFT_EINVAL : 0);
    weft_channel_release(c);
}

FAULT_SEEDED(fails_for_nothing, F_CALLOC, "a call fails though nothing did")
{
    fault_arm();
    fault_may(WEFT_ENOMEM);
}

FAULT_SEEDED(hangs, F_MALLOC, "who waits for what was never made hangs")
{
    _Atomic bool done = false;
    fault_arm();
    void *p = block = malloc(1);
    if (p) atomic_store(&done, true);
    free(p);
    while (!atomic_load(&done)) sched_yield();
}

FAULT_SEEDED(keeps_running, F_MALLOC, "the runtime is not stopped where a later step fails")
{
    if (!fault_start(1, 0)) return;
    fault_arm();
    void *p = block = malloc(1);
    if (!p) return;
    free(p);
    FAULT_CHECK(weft_stop() == 0);
}

static void *
linger(void *arg)
{
    while (!atomic_load((_Atomic bool *)arg)) sched_yield();
    return NULL;
}

FAULT_SEEDED(forgets_thread, F_MALLOC, "a thread goes on where a later step fails")
{
    static _Atomic bool done;
    pthread_t thread;
    atomic_store(&done, false);
    FAULT_CHECK(pthread_create(&thread, NULL, linger, (void *)&done) == 0);
    fault_arm();
    void *p = block = malloc(1);
    if (!p) return;
    free(p);
    atomic_store(&done, true);
    FAULT_CHECK(pthread_join(thread, NULL) == 0);
}

static void
handle(int number)
{
    (void)number;
}

FAULT_SEEDED(leaves_handler, F_MALLOC, "a signal handler stays where a later step fails")
{
    signal(SIGSEGV, handle);
    fault_arm();
    void *p = block = malloc(1);
    if (!p) return;
    free(p);
    signal(SIGSEGV, SIG_DFL);
}

FAULT_SEEDED(leaves_affinity, F_MALLOC, "the affinity stays changed where a later step fails")
{
    cpu_set_t before, one;
    sched_getaffinity(0, sizeof before, &before);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
    }
    sched_setaffinity(0, sizeof one, &one);
    fault_arm();
    void *p = block = malloc(1);
    bool alone = CPU_EQUAL(&before, &one); /* then there is no defect to be seen */
    if (!p && !FAULT_CHECK(!alone)) return;
    if (!p) return;
    free(p);
    sched_setaffinity(0, sizeof before, &before);
}
