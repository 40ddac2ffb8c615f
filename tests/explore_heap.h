/* explore_heap.h - what the explorer puts in the place of the C library's functions; tools/model renames the calls. */
#ifndef WEFT_TESTS_EXPLORE_HEAP_H
#define WEFT_TESTS_EXPLORE_HEAP_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

void *explore_malloc(size_t size);
void *explore_calloc(size_t n, size_t size);
void *explore_aligned_alloc(size_t alignment, size_t size);
void explore_free(void *p);

void *explore_memcpy(void *to, const void *from, size_t size);
void *explore_memmove(void *to, const void *from, size_t size);
void *explore_memset(void *to, int byte, size_t size);

int explore_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);
int explore_pthread_join(pthread_t thread, void **result);
int explore_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attributes);
int explore_pthread_mutex_destroy(pthread_mutex_t *m);
int explore_pthread_mutex_lock(pthread_mutex_t *m);
int explore_pthread_mutex_unlock(pthread_mutex_t *m);
int explore_sched_yield(void);
int explore_clock_gettime(clockid_t clock, struct timespec *out);
long explore_syscall(long number, ...);
int *explore_errno_location(void);
int explore_gettid(void);
_Noreturn void explore_abort(void);
_Noreturn void explore_assert_fail(const char *what, const char *file, unsigned line, const char *function);

/* Of src/atomic.h under WEFT_MODEL: blocks until the word's latest value is `value`. */
void weft__model_await(_Atomic uint32_t *word, uint32_t value);
void weft__model_pause(void);

/* Of src/panic.c. */
_Noreturn void weft__panic(const char *what);
_Noreturn void weft__lock_slow(void *lock);

#endif
