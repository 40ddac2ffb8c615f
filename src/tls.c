/* tls.c - the thread-local words: which worker this thread is, which blocking call it runs, or the scope that it is in.
 * [layer 1] */
#include "tls.h"

#include "bits.h"

#include <stddef.h>

/* initial-exec: one load, no call of the dynamic linker; libweft needs two words of the static TLS reserve.
 * used: assembly names it (tls.h), which link-time optimisation does not see. */
__attribute__((tls_model("initial-exec"), visibility("hidden"), used)) _Thread_local struct worker *weft__tls_worker;

/* Of a thread that runs nothing but such calls. */
__attribute__((tls_model("initial-exec"), visibility("hidden"))) _Thread_local struct offload *weft__tls_offload;

/* noinline alone does not keep compilers from merging two calls or from reading the variable at the caller: the empty
 * asm makes each call's result its own. */
weft__noinline struct worker *
weft__worker(void)
{
    struct worker *w = weft__tls_worker;
    __asm__ volatile("" : "+r"(w));
    return w;
}

weft__noinline uintptr_t
weft__thread_id(void)
{
    uintptr_t id = (uintptr_t)&weft__tls_worker;
    __asm__ volatile("" : "+r"(id));
    return id;
}

weft__noinline void
weft__worker_set(struct worker *w)
{
    __asm__ volatile("" : "+r"(w));
    weft__tls_worker = w;
}

weft__noinline struct offload *
weft__offload_current(void)
{
    struct offload *job = weft__tls_offload;
    __asm__ volatile("" : "+r"(job));
    return job;
}

weft__noinline void
weft__offload_set(struct offload *job)
{
    __asm__ volatile("" : "+r"(job));
    weft__tls_offload = job;
}

__attribute__((tls_model("initial-exec"), visibility("hidden"))) _Thread_local struct scope *weft__tls_scope;

weft__noinline struct scope *
weft__thread_scope(void)
{
    struct scope *s = weft__tls_scope;
    __asm__ volatile("" : "+r"(s));
    return s;
}

weft__noinline void
weft__thread_scope_set(struct scope *s)
{
    __asm__ volatile("" : "+r"(s));
    weft__tls_scope = s;
}
