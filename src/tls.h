/* tls.h - the one thread-local word: which worker this thread is.  [layer 1]
 *
 * A compiler may keep the address of a thread-local variable in a register over a call that moves the task to another
 * thread, and it may merge two calls of a function that it takes for pure.  So nothing but tls.c touches the variable,
 * behind a call that is neither inlined nor merged; tests/test_tls.c counts the calls in the compiled code. */
#ifndef WEFT_SRC_TLS_H
#define WEFT_SRC_TLS_H

struct worker;

/* The worker that the calling thread is, or NULL.  To be called again after anything that may switch contexts. */
struct worker *weft__worker(void);

/* Makes the calling thread the worker w; NULL: an ordinary thread again. */
void weft__worker_set(struct worker *w);

#endif
