/* on_weft.h - runs the benchmarks' samples as the root task of a runtime with a given number of workers. */
#ifndef ON_WEFT_H
#define ON_WEFT_H

#include "bench.h"

#include <weft.h>

/* Ends the run if a call of Weft failed. */
static inline void
ok(int code, const char *what)
{
    if (code < 0) bench_fail("%s: %s", what, weft_error_text(code));
}

struct on_weft {
    int workers;
    void (*body)(void *arg);
    void *arg;
};

static inline int
on_weft_root(void *arg)
{
    struct on_weft *r = arg;
    bench_expect((uint64_t)weft_nworkers(), (uint64_t)r->workers, "workers");
    r->body(r->arg);
    return 0;
}

static inline void
on_weft_run(int workers, void (*body)(void *), void *arg)
{
    struct on_weft r = {workers, body, arg};
    ok(weft_run(&(weft_config){.workers = workers}, on_weft_root, &r), "weft_run");
}

static const struct bench_host on_weft = {"weft", weft_nworkers, on_weft_run};

/* Makes a task that nobody has to keep: its handle is for weft_join. */
static inline weft_task *
start(weft_fn *fn, void *arg)
{
    weft_task *t;
    ok(weft_spawn(&t, fn, arg), "weft_spawn");
    return t;
}

static inline void
join(weft_task *t)
{
    ok(weft_join(t), "weft_join");
}

#define BENCH_MAIN(groups)                                                                                             \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return bench_main(argc, argv, &on_weft, groups, BENCH_COUNT(groups));                                          \
    }

#endif
