/* explore.h - exhaustive models: how one is written, and the little that it may ask of the explorer.
 *
 * A model is an ordinary C11 program, tests/model_*.c: a main that starts a few plain pthreads, calls the real sources
 * of src/ in them, and asserts what must hold.  It runs as it is, by chance; `tools/model` links it with the explorer
 * instead of the system, and then it runs in every way in which the C11 memory model lets it run.
 *
 *     /_* model_deque.c - what it shows.
 *      *
 *      * sources: deque.c          the files of src/ that the model is about: compiled unchanged
 *      * options: -t any           of the explorer, see below; may be left out *_/
 *     #include "deque.h"
 *     #include "explore.h"
 *
 *     #include <assert.h>
 *     #include <pthread.h>
 *
 *     static void *thief(void *arg) { ... }
 *     int main(void) { init; pthread_create; push; pop; pthread_join; assert; }
 *
 * Keep it tiny: the number of states grows with the product of the lengths of the threads.  What main does before the
 * first pthread_create and after the last pthread_join costs nothing.  main may be one of the threads; when it returns, it
 * ends the execution, whatever the others wait for.
 *
 * What fails: an assert or abort; a data race of plain accesses, an access to freed memory or outside of any block of
 * malloc; all threads blocked (a lost wake-up, a deadlock); a situation that explore_reached names and that is never reached.
 *
 * Functions of src/ that no source of the model defines, and the model neither, may stay undefined: calling one fails.
 *
 * What a model may call: pthread_create, pthread_join, pthread_mutex_lock and _unlock; malloc, calloc, aligned_alloc,
 * free; memcpy, memset, memmove; futex and membarrier through src/futex.c and src/fence.c; clock_gettime, sched_yield.
 * Anything else of the C library is called as it is, unseen: do not print, or keep state in it.
 *   - time is virtual: it stands still until every thread is blocked, and then goes on to the nearest deadline of a
 *     futex wait.  With `-t any` a wait with a deadline may time out at any moment.
 *   - sched_yield and weft__pause: the thread goes on when something that it read since it last paused has changed.
 *   - weft__acquire blocks while the lock is taken.
 * Threads must be a function of what they read: no addresses of the C library's, no static variables outside the model.
 *
 * The explorer: explore_search.c (choices, visited states), explore_memory.c (the memory model), explore_shadow.c (plain
 * accesses), explore_threads.c (threads, futexes, time), explore_tsan.c (how instrumented code gets there).
 * tests/mutants.txt lists what must be found when the sources are made wrong. */
#ifndef WEFT_TESTS_EXPLORE_H
#define WEFT_TESTS_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(WEFT_MODEL)

struct explore_situation {
    const char *text;
    unsigned long hits;
};

void explore_hit(struct explore_situation *s);
void explore_outcome(unsigned value);
void explore_expect(unsigned long long set);
void explore_expect_failure(const char *text);
extern int explore_case;
void explore_name(const void *object, size_t size, const char *name);
void **explore_local(void);
void explore_forget(void);

/* Says that this place must be reached in some execution: a model that never gets to what it is about proves nothing. */
#define explore_reached(text)                                                                                          \
    do {                                                                                                               \
        static struct explore_situation here_ __attribute__((section("model_reached"), used)) = {(text), 0};           \
        explore_hit(&here_);                                                                                           \
    } while (0)

#else

#define explore_reached(text) ((void)0)
#define explore_outcome(value) ((void)(value))
#define explore_expect(set) ((void)(set))
#define explore_expect_failure(text) ((void)(text))
enum { explore_case = 0 };

static inline void **
explore_local(void)
{
    static _Thread_local void *local;
    return &local;
}
#define explore_name(object, size, name) ((void)0)
#define explore_forget() ((void)0)

#endif

const char *explore_title(int index);

/* explore_outcome: a possible result of the program, below 64; explore_expect: the set of all that there must be, as bits.
 * explore_expect_failure: the exploration must fail, with this text.  A model that defines
 * `const char *explore_title(int index)` has cases: it is run for each of them, with explore_case the index.  NULL: no more.
 * explore_local: a pointer of the calling thread's own; thread-local variables are shared by all threads of a model.
 * explore_forget: what the calling thread does next depends on nothing but what is in memory, and how often it has called
 * this: no local variable holds what it has read.  States that differ only in how they were reached are one then.
 * explore_name: in traces, `object` is called `name`; globals are found by themselves. */

#endif
