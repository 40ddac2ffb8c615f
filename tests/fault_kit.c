/* fault_kit.c - calls that fail on demand: what stands behind -Wl,--wrap, and the accounts that must balance.
 *
 * The linker turns malloc into __wrap_malloc in every object of the program, libweft.a included, but not in shared
 * libraries.  What is allocated and mapped is kept in a table until it is given back. */
#include "fault_kit.h"

#include <fcntl.h>
#include <hwloc.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "scheduler.h"
#include "stack_slab.h"

#if !defined(MADV_GUARD_INSTALL)
#define MADV_GUARD_INSTALL 102
#endif

/* ---- Which call fails ---- */

static struct {
    _Atomic bool armed;
    struct fault fault;
    int nth;
    bool for_ever;
    _Atomic int calls, failed;
} now;

void
fault_prepare(const struct fault *fault, int nth, bool for_ever)
{
    now.fault = *fault;
    now.nth = nth;
    now.for_ever = for_ever;
    atomic_store(&now.calls, 0);
    atomic_store(&now.failed, 0);
}

void
fault_arm(void)
{
    atomic_store(&now.armed, true);
}

void
fault_disarm(void)
{
    atomic_store(&now.armed, false);
}

const struct fault *
fault_current(void)
{
    return &now.fault;
}

bool
fault_for_ever(void)
{
    return now.for_ever;
}

int
fault_nth(void)
{
    return now.nth;
}

int
fault_count(void)
{
    return atomic_load(&now.failed);
}

/* Does this call fail?  Then errno says so. */
static bool
due(unsigned call)
{
    if (!atomic_load(&now.armed) || !(now.fault.calls & call)) return false;
    int n = atomic_fetch_add(&now.calls, 1) + 1;
    if (now.for_ever ? n < now.nth : n != now.nth) return false;
    atomic_fetch_add(&now.failed, 1);
    errno = now.fault.error;
    return true;
}

/* ---- Accounts ---- */

enum { SLOTS = 1 << 15 };
enum what { NOTHING, GONE, BLOCK, STACKS, DESCRIPTORS };

static struct {
    pthread_mutex_t mutex;
    struct {
        enum what what;
        const void *address;
        size_t size;
    } slots[SLOTS]; /* open addressing */
} table = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static size_t
place_of(const void *address)
{
    return (size_t)(((uintptr_t)address >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 49) % SLOTS;
}

static void
enter(enum what what, const void *address, size_t size)
{
    if (!address) return;
    pthread_mutex_lock(&table.mutex);
    for (size_t i = place_of(address), k = 0; k < SLOTS; k++, i = (i + 1) % SLOTS) {
        if (table.slots[i].what > GONE) continue;
        table.slots[i].what = what;
        table.slots[i].address = address;
        table.slots[i].size = size;
        break;
    }
    pthread_mutex_unlock(&table.mutex);
}

/* Takes what is at address out; false: it is not there, or has another size. */
static bool
leave(const void *address, size_t size)
{
    bool found = false;
    pthread_mutex_lock(&table.mutex);
    for (size_t i = place_of(address), k = 0; k < SLOTS && table.slots[i].what != NOTHING; k++, i = (i + 1) % SLOTS) {
        if (table.slots[i].what == GONE || table.slots[i].address != address) continue;
        found = size == 0 || table.slots[i].size == size;
        table.slots[i].what = GONE;
        break;
    }
    pthread_mutex_unlock(&table.mutex);
    return found;
}

/* How many of that sort there are, and how many bytes. */
static size_t
held(enum what what, size_t *bytes)
{
    size_t count = 0;
    *bytes = 0;
    pthread_mutex_lock(&table.mutex);
    for (size_t i = 0; i < SLOTS; i++) {
        if (table.slots[i].what != what) continue;
        count++;
        *bytes += table.slots[i].size;
    }
    pthread_mutex_unlock(&table.mutex);
    return count;
}

/* Of what one run has left behind the next is not accused.  Descriptors stay: they are never unmapped. */
static void
forget(void)
{
    enum { MOST = 4096 };
    static const void *address[MOST];
    static size_t size[MOST];
    size_t n = 0;
    pthread_mutex_lock(&table.mutex);
    for (size_t i = 0; i < SLOTS; i++) {
        if (table.slots[i].what == DESCRIPTORS && n < MOST) {
            address[n] = table.slots[i].address;
            size[n++] = table.slots[i].size;
        }
        table.slots[i].what = NOTHING;
    }
    pthread_mutex_unlock(&table.mutex);
    for (size_t i = 0; i < n; i++) enter(DESCRIPTORS, address[i], size[i]);
}

/* ---- The calls ---- */

#define WRAP(type, name, ...)                                                                                          \
    type __real_##name(__VA_ARGS__);                                                                                   \
    type __wrap_##name(__VA_ARGS__);                                                                                   \
    type __wrap_##name(__VA_ARGS__)

WRAP(void *, malloc, size_t size)
{
    if (due(F_MALLOC)) return NULL;
    void *p = __real_malloc(size);
    enter(BLOCK, p, size);
    return p;
}

WRAP(void *, calloc, size_t n, size_t size)
{
    if (due(F_CALLOC)) return NULL;
    void *p = __real_calloc(n, size);
    enter(BLOCK, p, n * size);
    return p;
}

WRAP(void *, aligned_alloc, size_t alignment, size_t size)
{
    if (due(F_ALIGNED)) return NULL;
    void *p = __real_aligned_alloc(alignment, size);
    enter(BLOCK, p, size);
    return p;
}

WRAP(void, free, void *p)
{
    if (p && !leave(p, 0)) fault_check(false, __FILE__, __LINE__, "free: the block was allocated, and not freed yet");
    else __real_free(p);
}

WRAP(void *, mmap, void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (due(flags & MAP_STACK ? F_MMAP : F_MMAP | F_DESCRIPTORS)) return MAP_FAILED;
    void *p = __real_mmap(address, size, protection, flags, fd, offset);
    if (p != MAP_FAILED) enter(flags & MAP_STACK ? STACKS : DESCRIPTORS, p, size);
    return p;
}

/* One that fails leaves its mapping behind for good: that is not held against anybody. */
WRAP(int, munmap, void *address, size_t size)
{
    if (!leave(address, size)) fault_check(false, __FILE__, __LINE__, "munmap: of a whole mapping that is there");
    return due(F_MUNMAP) ? -1 : __real_munmap(address, size);
}

WRAP(int, mprotect, void *address, size_t size, int protection)
{
    return due(F_MPROTECT) ? -1 : __real_mprotect(address, size, protection);
}

WRAP(int, madvise, void *address, size_t size, int advice)
{
    unsigned call = advice == MADV_GUARD_INSTALL ? F_GUARD | F_LIE : advice == MADV_NOHUGEPAGE ? F_NOHUGE : F_CLEAN;
    if (due(call)) return now.fault.error ? -1 : 0;
    return __real_madvise(address, size, advice);
}

/* Weft calls the kernel by number for membarrier and futex; both take six arguments at the most. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long
__wrap_syscall(long number, ...)
{
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_membarrier && a[0] == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED && due(F_REGISTER)) return -1;
    if (number == SYS_membarrier && a[0] == MEMBARRIER_CMD_PRIVATE_EXPEDITED && due(F_BARRIER)) return -1;
    if (number == SYS_futex) FAULT_CHECK(!(a[1] & FUTEX_CLOCK_REALTIME));
    if (number == SYS_futex && ((int)a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && due(F_FUTEX)) return -1;
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static _Atomic int threads; /* that were created, and not joined */

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    if (due(F_THREAD)) return now.fault.error;
    int error = __real_pthread_create(thread, attr, fn, arg);
    if (error == 0) atomic_fetch_add(&threads, 1);
    return error;
}

WRAP(int, pthread_join, pthread_t thread, void **value)
{
    atomic_fetch_sub(&threads, 1);
    return __real_pthread_join(thread, value);
}

WRAP(int, pthread_atfork, void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    return due(F_ATFORK) ? now.fault.error : __real_pthread_atfork(prepare, parent, child);
}

WRAP(int, sigaltstack, const stack_t *stack, stack_t *old)
{
    return due(F_SIGALTSTACK) ? -1 : __real_sigaltstack(stack, old);
}

WRAP(int, sched_getaffinity, pid_t pid, size_t size, cpu_set_t *set)
{
    return due(F_GETAFFINITY) ? -1 : __real_sched_getaffinity(pid, size, set);
}

WRAP(int, sched_setaffinity, pid_t pid, size_t size, const cpu_set_t *set)
{
    return due(F_SETAFFINITY) ? -1 : __real_sched_setaffinity(pid, size, set);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int
__wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    return due(F_OPEN) ? -1 : __real_open(path, flags, mode);
}

WRAP(ssize_t, read, int fd, void *bytes, size_t size)
{
    return due(F_READ) ? -1 : __real_read(fd, bytes, size);
}

WRAP(ssize_t, write, int fd, const void *bytes, size_t size)
{
    return due(F_WRITE) ? -1 : __real_write(fd, bytes, size);
}

WRAP(int, epoll_create1, int flags)
{
    return due(F_EPOLL) ? -1 : __real_epoll_create1(flags);
}

WRAP(int, epoll_ctl, int epoll, int op, int fd, struct epoll_event *event)
{
    return due(F_EPOLL_CTL) ? -1 : __real_epoll_ctl(epoll, op, fd, event);
}

WRAP(int, eventfd, unsigned count, int flags)
{
    return due(F_EVENTFD) ? -1 : __real_eventfd(count, flags);
}

WRAP(int, ppoll, struct pollfd *on, nfds_t n, const struct timespec *limit, const sigset_t *mask)
{
    return due(F_PPOLL) ? -1 : __real_ppoll(on, n, limit, mask);
}

WRAP(ssize_t, recv, int fd, void *bytes, size_t size, int flags)
{
    return due(F_SOCKET) ? -1 : __real_recv(fd, bytes, size, flags);
}

WRAP(ssize_t, send, int fd, const void *bytes, size_t size, int flags)
{
    return due(F_SOCKET) ? -1 : __real_send(fd, bytes, size, flags);
}

static _Atomic bool slack_refused; /* in this run */

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);
int
__wrap_prctl(int option, ...)
{
    va_list args;
    va_start(args, option);
    unsigned long value = va_arg(args, unsigned long);
    va_end(args);
    if (!due(F_PRCTL)) return __real_prctl(option, value);
    if (option == PR_SET_TIMERSLACK) atomic_store(&slack_refused, true);
    return -1;
}

/* Deadlines do not depend on what people take for the time of day. */
WRAP(int, clock_gettime, clockid_t clock, struct timespec *time)
{
    FAULT_CHECK(clock == CLOCK_MONOTONIC);
    return __real_clock_gettime(clock, time);
}

WRAP(int, clock_nanosleep, clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
    FAULT_CHECK(clock == CLOCK_MONOTONIC && flags == TIMER_ABSTIME);
    if (due(F_FUTEX)) return now.fault.error;
    return __real_clock_nanosleep(clock, flags, time, left);
}

WRAP(int, hwloc_topology_init, hwloc_topology_t *t)
{
    return due(F_HWLOC_INIT) ? -1 : __real_hwloc_topology_init(t);
}

WRAP(int, hwloc_topology_load, hwloc_topology_t t)
{
    return due(F_HWLOC_LOAD) ? -1 : __real_hwloc_topology_load(t);
}

/* ---- What is left ---- */

static int capture = -1;

void
fault_capture(int fd)
{
    capture = fd;
}

bool
fault_said(const char *text)
{
    static char said[64 * 1024];
    ssize_t n = pread(capture, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    return strstr(said, text) != NULL;
}

bool
fault_guarded(void)
{
    const struct context *c = weft__context_current();
    if (!c) return true;
    const char *low = c->stack->low; /* the kernel says which address it cannot read, without a signal */
    return access(low - 1, F_OK) != 0 && errno == EFAULT && access(low - STACK_GUARD, F_OK) != 0 && errno == EFAULT;
}

/* What belongs to the process and its main thread. */
struct surroundings {
    struct sigaction segv, bus;
    stack_t alternate;
    cpu_set_t affinity;
    sigset_t mask;
    int slack, files; /* descriptors of the system */
};

static void
look_around(struct surroundings *s)
{
    memset(s, 0, sizeof *s);
    sigaction(SIGSEGV, NULL, &s->segv);
    sigaction(SIGBUS, NULL, &s->bus);
    sigaltstack(NULL, &s->alternate);
    sched_getaffinity(0, sizeof s->affinity, &s->affinity);
    pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
    s->slack = prctl(PR_GET_TIMERSLACK, 0);
    for (int fd = 0; fd < 64; fd++) s->files += fcntl(fd, F_GETFD) >= 0;
}

static struct surroundings before;

void
fault_baseline(void)
{
    memset(table.slots, 0, sizeof table.slots);
    look_around(&before);
}

/* A thread that has been joined may be seen a little longer. */
static bool
one_thread(void)
{
    for (int i = 0; i < 20000; i++) {
        int count = 0;
        FILE *f = fopen("/proc/self/stat", "r"); /* field 20; the second one is the name, (faults) */
        if (f &&
            fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d", &count) != 1)
            count = 0;
        if (f) fclose(f);
        if (count == 1) return true;
        sched_yield();
    }
    return false;
}

static weft_task *hoard[1024 * 1024];
static size_t hoarded;

/* Without a further mapping. */
void
fault_hoard(void)
{
    static const struct fault no_memory = {.name = "", .calls = F_MMAP, .error = ENOMEM};
    struct fault saved = now.fault;
    int nth = now.nth, calls = atomic_load(&now.calls), failed = atomic_load(&now.failed);
    bool for_ever = now.for_ever;
    fault_prepare(&no_memory, 1, true);
    fault_arm();
    for (weft_task *t; hoarded < sizeof hoard / sizeof *hoard && (t = weft__task_get(weft__task_cache()));)
        hoard[hoarded++] = t;
    fault_disarm();
    fault_prepare(&saved, nth, for_ever);
    atomic_store(&now.calls, calls);
    atomic_store(&now.failed, failed);
}

void
fault_unhoard(void)
{
    while (hoarded > 0) weft__task_recycle(hoard[--hoarded], NULL);
}

/* Every descriptor that was carved, or will be of what is mapped, is free: all of them can be had. */
static void
check_descriptors(void)
{
    size_t bytes, slabs = held(DESCRIPTORS, &bytes);
    size_t expected = slabs > 0 ? slabs * (bytes / slabs / sizeof *hoard[0]) : 0;
    fault_hoard();
    if (hoarded != expected) {
        char text[128];
        snprintf(text, sizeof text, "that all %zu descriptors are free, not %zu,", expected, hoarded);
        fault_check(false, __FILE__, __LINE__, text);
    }
    fault_unhoard();
}

/* Is there a mapping at address? */
static bool
mapped(void *address)
{
    unsigned char there;
    return mincore((void *)((uintptr_t)address & ~(uintptr_t)4095), 1, &there) == 0;
}

/* What cannot be put back because the call that does it fails may stay; the next run is not accused of it. */
static void
check_surroundings(void)
{
    struct surroundings after;
    unsigned calls = now.fault.calls;
    bool failed = fault_count() > 0;
    look_around(&after);
    FAULT_CHECK(before.files == after.files);
    FAULT_CHECK(before.segv.sa_handler == after.segv.sa_handler && before.bus.sa_handler == after.bus.sa_handler);
    FAULT_CHECK(memcmp(&before.mask, &after.mask, sizeof before.mask) == 0);
    if (after.alternate.ss_flags != before.alternate.ss_flags) {
        FAULT_CHECK(failed && (calls & F_SIGALTSTACK) && mapped(after.alternate.ss_sp));
        sigaltstack(&before.alternate, NULL);
    }
    if (!CPU_EQUAL(&before.affinity, &after.affinity)) {
        FAULT_CHECK(failed && (calls & F_SETAFFINITY) && fault_said("affinity cannot be restored"));
        sched_setaffinity(0, sizeof before.affinity, &before.affinity);
    }
    if (before.slack != after.slack) {
        FAULT_CHECK(atomic_exchange(&slack_refused, false));
        prctl(PR_SET_TIMERSLACK, (unsigned long)before.slack);
    }
}

void
fault_settled(void)
{
    size_t bytes;
    bool kept = fault_count() > 0 && (now.fault.calls & F_SIGALTSTACK); /* see check_surroundings */
    fault_disarm();
    FAULT_CHECK(weft_stop() == WEFT_ENOENT);
    FAULT_CHECK(weft_worker() == -1 && weft_current() == NULL);
    FAULT_CHECK(atomic_exchange(&threads, 0) == 0);
    FAULT_CHECK(one_thread());
    FAULT_CHECK(held(BLOCK, &bytes) == 0);
    FAULT_CHECK(held(STACKS, &bytes) == 0 || (kept && bytes < 1 << 20)); /* no slab */
    check_descriptors();
    forget();
    check_surroundings();
}
