/* threads.h - plain threads for the twins: starting them, and the two things that they wait on. */
#ifndef THREADS_H
#define THREADS_H

#include "bench.h"

#include <pthread.h>
#include <sched.h>

static inline pthread_t
thread_start(void *(*fn)(void *), void *arg, const pthread_attr_t *attr)
{
    pthread_t t;
    int error = pthread_create(&t, attr, fn, arg);
    if (error) bench_fail("pthread_create: %s", strerror(error));
    return t;
}

/* Binds the calling thread, and those that it starts, to one of the cores that it may use: counted from 0, round and
 * round. */
static inline void
thread_bind(int number)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0) bench_fail("sched_getaffinity: %s", strerror(errno));
    size_t core = 0;
    for (number %= CPU_COUNT(&allowed); !CPU_ISSET(core, &allowed) || number-- > 0;) core++;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    if (sched_setaffinity(0, sizeof one, &one) < 0) bench_fail("sched_setaffinity: %s", strerror(errno));
}

/* What a thread parks on: opened once for each time that it is passed. */
struct turnstile {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
};

#define TURNSTILE                                                                                                      \
    {                                                                                                                  \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false                                                     \
    }

static inline void
turnstile_pass(struct turnstile *t)
{
    pthread_mutex_lock(&t->mutex);
    while (!t->open) pthread_cond_wait(&t->changed, &t->mutex);
    t->open = false;
    pthread_mutex_unlock(&t->mutex);
}

static inline void
turnstile_open(struct turnstile *t)
{
    pthread_mutex_lock(&t->mutex);
    t->open = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}

/* First in, first out, up to a capacity: a ring under a mutex, and a condition for each side. */
struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t not_full, not_empty;
    uint64_t *ring;
    size_t capacity, first, count;
    bool closed;
};

static inline void
queue_init(struct queue *q, size_t capacity)
{
    *q = (struct queue){.mutex = PTHREAD_MUTEX_INITIALIZER, .capacity = capacity};
    pthread_cond_init(&q->not_full, NULL);
    pthread_cond_init(&q->not_empty, NULL);
    q->ring = bench_alloc(capacity, sizeof *q->ring);
}

static inline void
queue_put_n(struct queue *q, const uint64_t *values, size_t n)
{
    pthread_mutex_lock(&q->mutex);
    while (n > 0) {
        while (q->count == q->capacity) pthread_cond_wait(&q->not_full, &q->mutex);
        for (; n > 0 && q->count < q->capacity; n--) q->ring[(q->first + q->count++) % q->capacity] = *values++;
        pthread_cond_signal(&q->not_empty);
    }
    pthread_mutex_unlock(&q->mutex);
}

/* At least one and at most max; 0 when the queue is closed and empty. */
static inline size_t
queue_take_n(struct queue *q, uint64_t *values, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&q->mutex);
    while (q->count == 0 && !q->closed) pthread_cond_wait(&q->not_empty, &q->mutex);
    for (; n < max && q->count > 0; n++, q->count--) {
        values[n] = q->ring[q->first];
        q->first = (q->first + 1) % q->capacity;
    }
    pthread_cond_signal(&q->not_full);
    pthread_mutex_unlock(&q->mutex);
    return n;
}

/* One, from a queue that is not closed. */
static inline uint64_t
queue_take(struct queue *q)
{
    uint64_t value = 0;
    if (queue_take_n(q, &value, 1) != 1) bench_fail("a queue was closed too early");
    return value;
}

static inline void
queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->closed = true;
    pthread_cond_broadcast(&q->not_empty);
    pthread_mutex_unlock(&q->mutex);
}

#endif
