/* forkjoin.h - the Fibonacci numbers by weft_spawn and weft_join: what other ways to fork are compared with. */
#ifndef FORKJOIN_H
#define FORKJOIN_H

#include "on_weft.h"
#include "work.h"

static int
by_spawn(void *arg)
{
    struct fib *f = arg;
    if (f->n < 2) {
        f->result = (uint64_t)f->n;
        return 0;
    }
    struct fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
    weft_task *t;
    if (weft_spawn(&t, by_spawn, &a) < 0) return -1;
    int code = by_spawn(&b);
    if (weft_join(t) < 0 || code < 0) return -1;
    f->result = a.result + b.result;
    return 0;
}

static void
spawn_and_join(struct bench_sample *s)
{
    fib_sample(s, by_spawn);
}

#endif
