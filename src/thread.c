/* thread.c - the library's own threads.  [layer 1] */
#include "thread.h"

#include "bits.h"
#include "hook.h"

#include <errno.h>
#include <signal.h>

int
weft__thread_create(pthread_t *out, void *(*main)(void *), void *arg)
{
    sigset_t blocked, before;
    static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGPROF};
    if (weft__hook_fail()) return EAGAIN;
    sigfillset(&blocked);
    for (size_t i = 0; i < weft__countof(kept); i++) sigdelset(&blocked, kept[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int error = pthread_create(out, NULL, main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}
