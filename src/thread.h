/* thread.h - the library's own threads.  [layer 1] */
#ifndef WEFT_SRC_THREAD_H
#define WEFT_SRC_THREAD_H

#include <pthread.h>

/* Creates a thread with asynchronous signals blocked: they are the business of the program's threads.  0, or an errno. */
int weft__thread_create(pthread_t *out, void *(*main)(void *), void *arg);

#endif
