/* test_limits.c - where the address space or its mappings end, and kernels that refuse calls. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "child_kit.h"

enum { GUARD_INSTALL = 102 /* MADV_GUARD_INSTALL */ };

/* Something that needs workers, stacks and timers: 81. */
static int
forks(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    weft_task *t[3];
    if (depth == 0) return weft_sleep(10 * WEFT_US) < 0 ? -1 : 1;
    int sum = 0;
    for (int i = 0; i < 3; i++)
        t[i] = i == 2 ? asynced(forks, (void *)(depth - 1)) : spawned(forks, (void *)(depth - 1));
    for (int i = 0; i < 3; i++) sum += weft_join(t[i]);
    return sum;
}

/* From now on the kernel refuses this call where its argument has that value (any, if argument is -1), for all threads. */
static bool
forbid(unsigned call, int argument, unsigned value)
{
    unsigned at = argument < 0 ? 0 : (unsigned)(offsetof(struct seccomp_data, args) + 8 * (size_t)argument);
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at), /* little endian: the low half */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, argument < 0 ? call : value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}

static weft_channel *gate;
static _Atomic int failed;

static void
count_failed(weft_task *t, int code)
{
    (void)t;
    if (code == WEFT_ENOMEM) atomic_fetch_add(&failed, 1);
}

static int
park_at_gate(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return weft_channel_take(gate, NULL) == WEFT_ECLOSED ? 0 : 1;
}

/* Parks n tasks, as far as there are stacks for them.  Returns how many there were not for, or the line of what went wrong, negated;
 * everything that could park has gone on, and a runtime that is started again works. */
static int
park_up_to_the_limit(int n)
{
    static _Atomic int parked;
    weft_config cfg = {.size = sizeof cfg, .workers = 2, .stack_size = 64 * 1024, .on_unhandled = count_failed};
    if (weft_channel_new(&gate, 1, 0) < 0 || weft_start(&cfg) < 0) return -__LINE__;
    for (int i = 0; i < n; i++) {
        int rc = weft_spawn(NULL, park_at_gate, (void *)&parked);
        if (rc == WEFT_ENOMEM) atomic_fetch_add(&failed, 1);
        else if (rc < 0) return -__LINE__;
    }
    while (atomic_load(&parked) + atomic_load(&failed) < n) sched_yield();
    weft_channel_close(gate, 0);
    if (weft_stop() < 0) return -__LINE__;
    if (atomic_load(&parked) + atomic_load(&failed) != n) return -__LINE__;
    weft_channel_release(gate);
    return run_on(2, forks, (void *)4) == 81 ? atomic_load(&failed) : -__LINE__;
}

enum { LINE_OF_FAILURE = 64 };

/* A child's exit status: 0 if some tasks did not get a stack and all else went well; 2 if all got one. */
static int
verdict(int short_of)
{
    return short_of > 0 ? 0 : short_of == 0 ? 2 : LINE_OF_FAILURE - short_of % 64;
}

static int
within_address_space(void *arg)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (!f || fscanf(f, "%lu", &pages) != 1) return 1;
    fclose(f);
    struct rlimit limit = {.rlim_cur = pages * 4096 + (300 << 20), .rlim_max = RLIM_INFINITY};
    dup2(*(int *)arg, STDERR_FILENO);
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 1;
    if (mmap(NULL, 400 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
        return 3; /* an emulator */
    return verdict(park_up_to_the_limit(20000));
}

static int
within_mappings(void *arg)
{
    FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
    int most = 0;
    if (!f || fscanf(f, "%d", &most) != 1) return 1;
    fclose(f);
    dup2(*(int *)arg, STDERR_FILENO);
    if (most > 80000 || !forbid(SYS_madvise, 2, GUARD_INSTALL)) return 3;
    return verdict(park_up_to_the_limit(most / 2 + 1000));
}

/* Runs fn in a child: some tasks must not get a stack, for reasons that it says.  3: it cannot be tried here. */
static void
check_limit(int (*fn)(void *arg))
{
    char text[4096];
    int ends[2];
    if (TEST_TSAN || TEST_ASAN) return; /* they need the address space, and the mappings, themselves */
    CHECK_INT(pipe(ends), 0);
    int status = child_status(fn, &ends[1]);
    close(ends[1]);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    text[n > 0 ? n : 0] = '\0';
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3) return;
    CHECK_INT(status, 0);
    CHECK(strstr(text, "vm.max_map_count") && strstr(text, "RLIMIT_AS"));
}

TEST(limits, address_space, "limits: where the address space is used up tasks fail with a message, the others go on")
{
    check_limit(within_address_space);
}

TEST(limits, mappings, "limits: the same where guards use up the mappings of the process")
{
    check_limit(within_mappings);
}

/* ---- Filters ---- */

static int
run_without_membarrier(void *arg)
{
    (void)arg;
    if (!forbid(SYS_membarrier, -1, 0)) return 3;
    return run_on(4, forks, (void *)4) == 81 ? 0 : 1;
}

TEST(limits, no_membarrier, "seccomp: without membarrier(2) everything works, for a dearer fence")
{
    if (TEST_TSAN) return; /* forks */
    int status = child_status(run_without_membarrier, NULL);
    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3));
}

/* Says what is expected where filters cannot be installed at all. */
static void
forbid_membarrier_late(void)
{
    if (weft_start(&(weft_config){.workers = 2}) < 0) return;
    if (!forbid(SYS_membarrier, -1, 0)) {
        fputs("install seccomp filters before Weft starts\n", stderr);
        abort();
    }
    (void)weft_stop(); /* wakes everybody, which takes a heavy fence */
}

TEST(limits, late_filter,
     "seccomp: a filter that takes membarrier(2) away from a running runtime ends the process with a message")
{
    CHECK(test_dies(forbid_membarrier_late, "install seccomp filters before Weft starts"));
}
