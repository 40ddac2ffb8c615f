/* fault_kit.h - programs whose allocations and system calls fail on demand, and what is then looked at.
 *
 *     FAULT_SCENARIO(channel_new, F_ALL, "a channel is made, or there is no memory for it")
 *     {
 *         weft_channel *c;
 *         fault_arm();                                      from here on the chosen call fails
 *         if (fault_may(weft_channel_new(&c, 8, 4))) ...    0, or a code that this fault explains
 *     }
 *
 * A scenario runs again and again, with the first, second, ... call of one kind failing, once and for ever, until a run
 * had nothing left to fail.  After each run the faults are off, and nothing may be left of it: no thread, allocation,
 * mapping, descriptor, signal handler, affinity; and an ordinary program must run.  The scenario stops what it starts. */
#ifndef WEFT_TESTS_FAULT_KIT_H
#define WEFT_TESTS_FAULT_KIT_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft.h>

/* What can fail.  The calls of libweft.a and of these programs are caught, those of other libraries are not. */
enum fault_call {
    F_MALLOC = 1 << 0,
    F_CALLOC = 1 << 1,
    F_ALIGNED = 1 << 2,
    F_MMAP = 1 << 3,
    F_MUNMAP = 1 << 4,
    F_MPROTECT = 1 << 5,
    F_GUARD = 1 << 6,    /* madvise(MADV_GUARD_INSTALL) */
    F_NOHUGE = 1 << 7,   /* madvise(MADV_NOHUGEPAGE) */
    F_CLEAN = 1 << 8,    /* madvise(MADV_DONTNEED) */
    F_REGISTER = 1 << 9, /* membarrier: registration */
    F_BARRIER = 1 << 10, /* membarrier */
    F_FUTEX = 1 << 11,   /* futex: wait; clock_nanosleep */
    F_THREAD = 1 << 12,
    F_ATFORK = 1 << 13,
    F_SIGALTSTACK = 1 << 14,
    F_GETAFFINITY = 1 << 15,
    F_SETAFFINITY = 1 << 16,
    F_OPEN = 1 << 17,
    F_READ = 1 << 18,
    F_WRITE = 1 << 19,
    F_PRCTL = 1 << 20,
    F_HWLOC_INIT = 1 << 21,
    F_HWLOC_LOAD = 1 << 22,
    F_LIE = 1 << 23,         /* F_GUARD, from before the start on */
    F_DESCRIPTORS = 1 << 24, /* mmap of memory for descriptors */
    F_EPOLL = 1 << 25,       /* epoll_create1 */
    F_EPOLL_CTL = 1 << 26,
    F_EVENTFD = 1 << 27,
    F_PPOLL = 1 << 28,
    F_SOCKET = 1 << 29, /* recv, send */
    F_ALL = (1 << 23) - 1,
    F_MEMORY = F_MALLOC | F_CALLOC | F_ALIGNED | F_MMAP | F_MPROTECT | F_GUARD | F_NOHUGE
};

/* A kind of fault. */
struct fault {
    const char *name;
    unsigned calls; /* F_... */
    int error;      /* errno, or what pthread_create returns; 0: the call does nothing and says that it has */
    int code;       /* which negative code it may lead to; 0: none, everything must succeed */
    enum { BOTH, ONCE, FROM_THE_FIRST } modes; /* BOTH: once, and for ever; FROM_THE_FIRST: every call */
};

struct fault_scenario {
    const char *name, *sentence;
    void (*body)(void);
    unsigned calls; /* those that are tried */
    bool seeded;    /* it has a defect, which must be found */
    struct fault_scenario *next;
};

#define FAULT_SCENARIO(id, calls, text) FAULT_DEFINE(id, calls, text, false)
#define FAULT_SEEDED(id, calls, text) FAULT_DEFINE(id, calls, text, true)
#define FAULT_DEFINE(id, calls_, text, seeded_)                                                                        \
    static void id(void);                                                                                              \
    static struct fault_scenario id##_scenario = {#id, text, id, calls_, seeded_, NULL};                               \
    __attribute__((constructor)) static void id##_enlist(void)                                                         \
    {                                                                                                                  \
        fault_register(&id##_scenario);                                                                                \
    }                                                                                                                  \
    static void id(void)

void fault_register(struct fault_scenario *scenario);

/* Records a failure of the run unless ok; returns ok. */
#define FAULT_CHECK(...) fault_check((__VA_ARGS__) ? true : false, __FILE__, __LINE__, #__VA_ARGS__)
bool fault_check(bool ok, const char *file, int line, const char *what);

/* rc is 0 or more, or the code to which this run's fault may lead, and that has happened.  Returns whether rc >= 0. */
#define fault_may(...) fault_may_at((__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)
bool fault_may_at(int rc, const char *file, int line, const char *what);

/* From here on calls count, and the n-th fails; until the scenario's end, or fault_disarm. */
void fault_arm(void);
void fault_disarm(void);

/* The fault of this run. */
const struct fault *fault_current(void);
bool fault_for_ever(void);
int fault_nth(void);
/* How many calls have failed so far. */
int fault_count(void);
/* Whether text is in what this run has written to stderr. */
bool fault_said(const char *text);

/* weft_start with that many workers, unbound; true: it runs. */
bool fault_start(int workers, int interactive);

/* Has the calling task's stack a guard that cannot be read?  True on a plain thread. */
bool fault_guarded(void);

/* Starts, runs fn as a task, which must return 0 and arms the faults, and stops. */
void fault_on_task(int workers, int interactive, weft_fn *fn);

/* The same, with fn(arg) on the calling thread. */
void fault_on_thread(int workers, weft_fn *fn, void *arg);

/* Takes all free descriptors, so that the next spawn needs memory for more; gives them back. */
void fault_hoard(void);
void fault_unhoard(void);

/* For the loop in fault_main.c. */
void fault_prepare(const struct fault *fault, int nth, bool for_ever);
/* Whether anything is left of the run; records what. */
void fault_settled(void);
/* What the program looks like without Weft: fault_settled compares. */
void fault_baseline(void);
void fault_capture(int fd);

#endif
