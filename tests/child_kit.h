/* child_kit.h - tests whose program ends, or is never the same again: they run in a child. */
#ifndef WEFT_TESTS_CHILD_KIT_H
#define WEFT_TESTS_CHILD_KIT_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "task_kit.h"

enum { CHILD_SECONDS = 60 };

/* The status that waitpid gives for a child that runs fn(arg) and exits with what it returns.  A child that hangs is killed. */
static inline int
child_status(int (*fn)(void *arg), void *arg)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
        alarm(CHILD_SECONDS);
        _exit(fn(arg));
    }
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return status;
}

#endif
