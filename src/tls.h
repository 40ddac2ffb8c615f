/* tls.h - the thread-local words: which worker this thread is, or which blocking call it runs.  [layer 1]
 *
 * A compiler may keep the address of a thread-local variable in a register over a call that moves the task to another
 * thread, and it may merge two calls of a function that it takes for pure.  So nothing but tls.c touches the variable,
 * behind a call that is neither inlined nor merged, or in assembly; tests/test_tls.c counts the calls in the compiled
 * code. */
#ifndef WEFT_SRC_TLS_H
#define WEFT_SRC_TLS_H

#include <stdint.h>

struct offload;
struct worker;

/* The worker that the calling thread is, or NULL.  To be called again after anything that may switch contexts. */
struct worker *weft__worker(void);

/* The same without a call, for the few functions that are called for every task.  The asm is volatile and clobbers memory:
 * it is neither merged with another one nor moved over a call, and the address never leaves it. */
static inline struct worker *
weft__worker_fast(void)
{
#if defined(__x86_64__) && defined(__ELF__) && !defined(WEFT_MODEL)
    struct worker *w;
    __asm__ volatile("movq weft__tls_worker@gottpoff(%%rip), %0\n\t"
                     "movq %%fs:(%0), %0"
                     : "=r"(w)
                     :
                     : "memory");
    return w;
#else
    return weft__worker();
#endif
}

/* A number for the calling thread, other than that of any other which lives, and no address of anything else: a multiple of
 * 8, never 0.  For a plain thread: what a task calls may go on on another. */
uintptr_t weft__thread_id(void);

struct scope;

/* The scope that the calling thread, no worker, has opened last; NULL: none. */
struct scope *weft__thread_scope(void);
void weft__thread_scope_set(struct scope *s);

/* Makes the calling thread the worker w; NULL: an ordinary thread again. */
void weft__worker_set(struct worker *w);

/* The blocking call (offload.h) whose function runs on the calling thread, or NULL; and the setting of it. */
struct offload *weft__offload_current(void);
void weft__offload_set(struct offload *job);

#endif
