/* sim_wrap.c - what the library and the tests call of the system's, and of the library itself, in the simulator.
 *
 * The linker's --wrap has every call of f come to __wrap_f.  Outside of sim_run it goes on to __real_f. */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fence.h"
#include "futex.h"

enum { CALL_NS = 30, YIELD_NS = 1000 };
#define NS INT64_C(1000000000)
#define EPOCH INT64_C(1700000000000000000) /* the real-time clock, when the monotonic one is 0 */

extern long sim_left;
void sim_turn(void);

/* A call that others may come before. */
static void
point(void)
{
    if (--sim_left < 0) sim_turn();
}

/* ---- Threads ---- */

int __real_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
int __real_pthread_join(pthread_t thread, void **value);
int __wrap_pthread_join(pthread_t thread, void **value);
int __real_pthread_detach(pthread_t thread);
int __wrap_pthread_detach(pthread_t thread);
pthread_t __real_pthread_self(void);
pthread_t __wrap_pthread_self(void);
int __real_pthread_sigmask(int how, const sigset_t *set, sigset_t *before);
int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *before);

int
__wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    if (!sim_self()) return __real_pthread_create(out, attr, start, arg);
    struct sim_thread *t = sim_create(start, arg);
    if (!t) return EAGAIN;
    *out = (pthread_t)t->id;
    point();
    return 0;
}

pthread_t
__wrap_pthread_self(void)
{
    return sim_self() ? (pthread_t)sim_self()->id : __real_pthread_self();
}

int
__wrap_pthread_join(pthread_t thread, void **value)
{
    if (!sim_self()) return __real_pthread_join(thread, value);
    struct sim_thread *t = sim_find((int)thread);
    if (!t || t->detached) return ESRCH;
    while (t->state != SIM_ENDED) sim_block(SIM_JOIN, t, 0, INT64_MAX);
    if (value) *value = t->value;
    sim_release(t);
    return 0;
}

int
__wrap_pthread_detach(pthread_t thread)
{
    if (!sim_self()) return __real_pthread_detach(thread);
    struct sim_thread *t = sim_find((int)thread);
    if (!t || t->detached) return ESRCH;
    t->detached = true;
    if (t->state == SIM_ENDED) sim_release(t);
    return 0;
}

/* Signals reach the one thread of the system. */
int
__wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
    if (!sim_self()) return __real_pthread_sigmask(how, set, before);
    if (before) sigemptyset(before);
    return 0;
}

/* ---- Mutexes and conditions.  The first word of a mutex: its holder's id + 1, or 0 as in PTHREAD_MUTEX_INITIALIZER.
 * A condition is its address ---- */

int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __real_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);
int __real_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __real_pthread_cond_signal(pthread_cond_t *c);
int __wrap_pthread_cond_signal(pthread_cond_t *c);
int __real_pthread_cond_broadcast(pthread_cond_t *c);
int __wrap_pthread_cond_broadcast(pthread_cond_t *c);

static int *
holder(pthread_mutex_t *m)
{
    return (int *)(void *)m;
}

int
__wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
    struct sim_thread *t = sim_self();
    if (!t) return __real_pthread_mutex_lock(m);
    point();
    if (*holder(m) == t->id + 1) return EDEADLK;
    while (*holder(m) != 0) sim_block(SIM_MUTEX, m, 0, INT64_MAX);
    *holder(m) = t->id + 1;
    return 0;
}

int
__wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
    if (!sim_self()) return __real_pthread_mutex_unlock(m);
    *holder(m) = 0;
    sim_wake(SIM_MUTEX, m, 1);
    point();
    return 0;
}

int
__wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    if (!sim_self()) return __real_pthread_cond_wait(c, m);
    *holder(m) = 0;
    sim_wake(SIM_MUTEX, m, 1);
    if (!sim_chance(sim_plan()->spurious)) sim_block(SIM_CONDITION, c, 0, INT64_MAX);
    return __wrap_pthread_mutex_lock(m);
}

int
__wrap_pthread_cond_signal(pthread_cond_t *c)
{
    if (!sim_self()) return __real_pthread_cond_signal(c);
    sim_wake(SIM_CONDITION, c, 1);
    return 0;
}

int
__wrap_pthread_cond_broadcast(pthread_cond_t *c)
{
    if (!sim_self()) return __real_pthread_cond_broadcast(c);
    sim_wake(SIM_CONDITION, c, INT_MAX);
    return 0;
}

/* ---- Barriers ---- */

int __real_pthread_barrier_init(pthread_barrier_t *b, const pthread_barrierattr_t *attr, unsigned count);
int __wrap_pthread_barrier_init(pthread_barrier_t *b, const pthread_barrierattr_t *attr, unsigned count);
int __real_pthread_barrier_wait(pthread_barrier_t *b);
int __wrap_pthread_barrier_wait(pthread_barrier_t *b);
int __real_pthread_barrier_destroy(pthread_barrier_t *b);
int __wrap_pthread_barrier_destroy(pthread_barrier_t *b);

/* What is kept in a pthread_barrier_t. */
struct barrier {
    unsigned count, arrived, round;
};

_Static_assert(sizeof(struct barrier) <= sizeof(pthread_barrier_t), "it fits in");

int
__wrap_pthread_barrier_init(pthread_barrier_t *b, const pthread_barrierattr_t *attr, unsigned count)
{
    if (!sim_self()) return __real_pthread_barrier_init(b, attr, count);
    *(struct barrier *)(void *)b = (struct barrier){.count = count};
    return 0;
}

int
__wrap_pthread_barrier_wait(pthread_barrier_t *b)
{
    struct barrier *mine = (struct barrier *)(void *)b;
    if (!sim_self()) return __real_pthread_barrier_wait(b);
    unsigned round = mine->round;
    if (++mine->arrived == mine->count) {
        mine->arrived = 0;
        mine->round++;
        sim_wake(SIM_CONDITION, b, INT_MAX);
        return PTHREAD_BARRIER_SERIAL_THREAD;
    }
    while (mine->round == round) sim_block(SIM_CONDITION, b, 0, INT64_MAX);
    return 0;
}

int
__wrap_pthread_barrier_destroy(pthread_barrier_t *b)
{
    return sim_self() ? 0 : __real_pthread_barrier_destroy(b);
}

/* ---- Time ---- */

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
time_t __real_time(time_t *out);
time_t __wrap_time(time_t *out);
int __real_nanosleep(const struct timespec *length, struct timespec *left);
int __wrap_nanosleep(const struct timespec *length, struct timespec *left);
int __real_clock_nanosleep(clockid_t clock, int flags, const struct timespec *when, struct timespec *left);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *when, struct timespec *left);
unsigned __real_sleep(unsigned seconds);
unsigned __wrap_sleep(unsigned seconds);
int __real_usleep(useconds_t us);
int __wrap_usleep(useconds_t us);

static int64_t
offset(clockid_t clock)
{
    return clock == CLOCK_REALTIME ? EPOCH : 0;
}

int
__wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    if (!sim_self()) return __real_clock_gettime(clock, out);
    sim_pass(CALL_NS);
    int64_t now = sim_now() + offset(clock);
    *out = (struct timespec){.tv_sec = now / NS, .tv_nsec = now % NS};
    return 0;
}

time_t
__wrap_time(time_t *out)
{
    if (!sim_self()) return __real_time(out);
    sim_pass(CALL_NS);
    time_t now = (sim_now() + EPOCH) / NS;
    if (out) *out = now;
    return now;
}

static void
sleep_until(int64_t when)
{
    while (sim_now() < when) sim_block(SIM_SLEEP, NULL, 0, when);
}

static int64_t
nanoseconds(const struct timespec *t)
{
    return t->tv_sec * NS + t->tv_nsec;
}

int
__wrap_nanosleep(const struct timespec *length, struct timespec *left)
{
    if (!sim_self()) return __real_nanosleep(length, left);
    sleep_until(sim_now() + nanoseconds(length));
    return 0;
}

int
__wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *when, struct timespec *left)
{
    if (!sim_self()) return __real_clock_nanosleep(clock, flags, when, left);
    sleep_until(flags & TIMER_ABSTIME ? nanoseconds(when) - offset(clock) : sim_now() + nanoseconds(when));
    return 0;
}

unsigned
__wrap_sleep(unsigned seconds)
{
    if (!sim_self()) return __real_sleep(seconds);
    sleep_until(sim_now() + seconds * NS);
    return 0;
}

int
__wrap_usleep(useconds_t us)
{
    if (!sim_self()) return __real_usleep(us);
    sleep_until(sim_now() + us * INT64_C(1000));
    return 0;
}

/* ---- Cores ---- */

int __real_sched_yield(void);
int __wrap_sched_yield(void);
int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __real_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);
int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);

int
__wrap_sched_yield(void)
{
    if (!sim_self()) return __real_sched_yield();
    sim_yield(YIELD_NS);
    return 0;
}

/* There is nothing to bind. */
int
__wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
    return sim_self() ? 0 : __real_sched_setaffinity(pid, size, set);
}

int
__wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    if (!sim_self()) return __real_sched_getaffinity(pid, size, set);
    memset(set, 0, size);
    for (int i = 0; i < sim_plan()->cores; i++) CPU_SET_S((size_t)i, size, set);
    return 0;
}

/* ---- Descriptors ---- */

ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size);

/* Whoever writes is another simulated thread. */
ssize_t
__wrap_read(int fd, void *bytes, size_t size)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int flags = fcntl(fd, F_GETFL);
    while (sim_self() && flags >= 0 && !(flags & O_NONBLOCK) && poll(&ready, 1, 0) == 0) sim_yield(YIELD_NS);
    return __real_read(fd, bytes, size);
}

/* ---- Seams of the library: what it asks of the machine ---- */

uintptr_t __real_weft__thread_id(void);
uintptr_t __wrap_weft__thread_id(void);
void __wrap_weft__hook(void);
void __wrap_weft__lock_slow(weft__lock *l);
void __wrap_weft__futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline);
void __wrap_weft__futex_wake(_Atomic uint32_t *word, int count);
void __wrap_weft__fence_init(void);
void __wrap_weft__fence_heavy(void);

uintptr_t
__wrap_weft__thread_id(void)
{
    struct sim_thread *t = sim_self();
    return t ? (uintptr_t)t : __real_weft__thread_id();
}

void
__wrap_weft__hook(void)
{
    if (sim_self()) point();
}

/* The holder needs a turn. */
void
__wrap_weft__lock_slow(weft__lock *l)
{
    do sim_yield(YIELD_NS);
    while (!weft__trylock(l));
    sim_progress();
}

/* As the kernel does: compares, and sleeps, in one step. */
void
__wrap_weft__futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
    point();
    if (atomic_load_explicit(word, memory_order_seq_cst) != value || sim_now() >= deadline) return;
    if (sim_chance(sim_plan()->spurious)) return;
    sim_block(SIM_FUTEX, word, value, deadline);
}

void
__wrap_weft__futex_wake(_Atomic uint32_t *word, int count)
{
    point();
    sim_wake(SIM_FUTEX, word, count);
}

/* Memory is sequentially consistent. */
void
__wrap_weft__fence_init(void)
{
    weft__fence_asymmetric = true;
}

void
__wrap_weft__fence_heavy(void)
{
    point();
}
