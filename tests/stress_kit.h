/* stress_kit.h - what the stress programs share: options, seeds, rounds, random numbers, and a watchdog that dumps.
 *
 *     PROGRAM [-t SECONDS] [-s SEED] [-r ROUND] [-p PATIENCE] [-x hang|lose]
 *       -t  for how long rounds are begun
 *       -s  the seed, which is printed first: it decides what every round does, but not how it falls
 *       -r  only this round of the seed, again and again
 *       -p  after how many seconds without any progress the watchdog ends the program
 *       -x  the program must fail: hang makes it wait for a wake that never comes, lose makes it lose what it guards
 *
 * A program is rounds.  Each is drawn from the seed and its number alone, checks what must hold, and says how far it
 * has come by stress_moved.  At the first violation the program says what, with seed and round, describes its state,
 * and aborts.  When nothing has moved for long, it also dumps the tasks and, with gdb, all backtraces.
 *
 * In hard builds WEFT_FAIL_EVERY=n makes every n-th allocation fail.  Then a call may return WEFT_ENOMEM, but nothing
 * that was accepted may be lost. */
#ifndef WEFT_STRESS_KIT_H
#define WEFT_STRESS_KIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <weft.h>

/* Sanitizers make things slow, and ThreadSanitizer can follow only a few thousand live tasks. */
#if defined(__SANITIZE_THREAD__)
#define STRESS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STRESS_TSAN 1
#endif
#endif
#if !defined(STRESS_TSAN)
#define STRESS_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#define STRESS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STRESS_ASAN 1
#endif
#endif

/* For lists of X(name, "text"): the names, and the texts. */
#define STRESS_NAME(name, text) name,
#define STRESS_TEXT(name, text) text,

struct stress_program {
    const char *name;
    void (*round)(unsigned number, uint64_t random);
    void (*describe)(FILE *out); /* what the round is and how far it is, from any thread at any time; may be NULL */
    void (*totals)(FILE *out);   /* what all rounds did, without a line break */
};

int stress_main(int argc, char **argv, const struct stress_program *program);

/* Before stress_main: rounds are begun until enough(SECONDS) is true, too.  Not with sanitizers, nor in a hard build. */
void stress_at_least(bool (*enough)(double seconds));

__attribute__((format(printf, 1, 2))) _Noreturn void stress_die(const char *format, ...);

/* Something has been done: the watchdog is content.  Rarely enough that the counter does not order what is tested. */
void stress_moved(void);

/* -x lose was given: true once, for whatever the program then loses. */
bool stress_lose(void);

/* Counters are relaxed: they are read for reports, or after joins. */
static inline void
stress_count(atomic_long *counter, long n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline long
stress_counted(const atomic_long *counter)
{
    return atomic_load_explicit((atomic_long *)counter, memory_order_relaxed);
}

/* A number that follows from `from` and number: SplitMix64. */
static inline uint64_t
stress_mix(uint64_t from, uint64_t number)
{
    uint64_t z = from + (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The next number below n of a sequence. */
static inline int
stress_dice(uint64_t *state, int n)
{
    *state = stress_mix(*state, 0);
    return (int)((*state >> 16) % (uint64_t)n);
}

/* For totals: how many rounds of each of n kinds there were. */
void stress_print_rounds(FILE *out, const char *const *texts, const long *rounds, int n);

/* Zeroed memory; dies if there is none. */
void *stress_alloc(size_t n, size_t size);

/* Blocks the calling thread, whatever runs on it. */
void stress_pause(int64_t ns);

/* Gives a turn to other tasks, or from a plain thread to other threads. */
void stress_give_turn(void);

/* 1, 2, 3, 16, or another small number of workers; on a few cores most of them are one too many.  Sometimes with an
 * interactive pool.  Failures that nobody looked at are not printed. */
weft_config stress_config(uint64_t *random);

/* Does WEFT_FAIL_EVERY make allocations fail?  And is rc what comes of that?  (WEFT_EAGAIN: not one thread.) */
bool stress_failing(void);
bool stress_short(int rc);

/* weft_start; again, with fewer workers, while memory is short.  Dies if that is not why it fails. */
void stress_start(const weft_config *cfg);

/* weft_stop; dies if that fails.  must_run false: the runtime may have been stopped. */
void stress_stop(bool must_run);

pthread_t stress_thread(void *(*fn)(void *), void *arg);
void stress_join_thread(pthread_t thread);

#endif
