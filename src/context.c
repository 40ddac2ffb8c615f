/* context.c - makes contexts, and tells the sanitizers and the C++ runtime when one is switched to.  [layer 1] */
#include "context.h"

#include <pthread.h>
#include <string.h>

#include "panic.h"

#if defined(WEFT_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if defined(WEFT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

void weft__context_start(void) __attribute__((visibility("hidden")));

/* The control words of contexts that have none of their own.  Every thread that adopts writes the same. */
static _Atomic uint64_t fpenv_common = WEFT__FPENV_ABI;

void
weft__context_make(struct machine_context *c, void *low, size_t size, size_t top_used, weft__context_entry *entry,
                   void *arg)
{
    uintptr_t top = ((uintptr_t)low + size - top_used) & ~(uintptr_t)15;
    weft__assert(top_used % 16 == 0 && top_used < size && top - (uintptr_t)low > sizeof(struct weft__frame));
    struct weft__frame *frame = (struct weft__frame *)(top - sizeof *frame);
    memset(frame, 0, sizeof *frame); /* a frame pointer of 0 ends the chain of those who walk it */
    frame->pc = weft__context_start;
    frame->entry = entry;
    frame->arg = arg;
    *c = (struct machine_context){.sp = frame, .low = low, .size = size};
#if defined(WEFT_ASAN)
    c->stack_low = low;
    c->stack_size = size;
#endif
}

#if defined(WEFT_ASAN)
static void
adopt_stack(struct machine_context *c)
{
    pthread_attr_t attr;
    void *low;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attr) != 0) return;
    if (pthread_attr_getstack(&attr, &low, &size) == 0) {
        c->stack_low = low;
        c->stack_size = size;
    }
    pthread_attr_destroy(&attr);
}
#endif

void
weft__context_adopt(struct machine_context *c)
{
    *c = (struct machine_context){.sp = NULL};
    store_relaxed(&fpenv_common, weft__fpenv_read()); /* relaxed: every writer writes the same */
#if defined(WEFT_TSAN)
    c->fiber = __tsan_get_current_fiber();
#endif
#if defined(WEFT_ASAN)
    adopt_stack(c);
#endif
}

#if defined(WEFT_TSAN) || defined(WEFT_ASAN)
/* Nothing may be instrumented, and no function called, between telling a sanitizer and the switch itself.  TSan: fibres
 * are dear, so a context has one only from its first run on; what comes before a switch of fibres happens before what
 * comes after it, as on one thread.  ASan: a context that is dead has its fake stack destroyed. */
weft__noinline weft__uninstrumented void
weft__context_switch_told(struct machine_context *from, struct machine_context *to, bool dead)
{
    struct weft__cxx_globals saved = {NULL, 0};
    if (__cxa_get_globals) saved = *__cxa_get_globals();
#if defined(WEFT_ASAN)
    __sanitizer_start_switch_fiber(dead ? NULL : &from->fake_stack, to->stack_low, to->stack_size);
#else
    (void)dead;
#endif
#if defined(WEFT_TSAN)
    if (!to->fiber) to->fiber = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    weft__context_swap(&from->sp, to->sp);
#if defined(WEFT_ASAN)
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
    if (__cxa_get_globals) *__cxa_get_globals() = saved;
}
#endif

void
weft__context_switch_fpenv(struct machine_context *from, struct machine_context *to, bool dead)
{
    uint64_t words = weft__fpenv_read();
    weft__fpenv_write(load_relaxed(&fpenv_common)); /* relaxed: every writer writes the same */
    weft__context_switch(from, to, dead);
    weft__fpenv_write(words);
}

void
weft__context_check_fpenv(void)
{
    uint64_t common = load_relaxed(&fpenv_common); /* relaxed: every writer writes the same */
    weft__check(((weft__fpenv_read() ^ common) & WEFT__FPENV_CONTROL) == 0,
                "a task changed the floating-point control words and leaves its thread: spawn it with WEFT_FPENV");
}

void
weft__context_entered(struct machine_context *c)
{
    (void)c;
#if defined(WEFT_ASAN)
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
    if (__cxa_get_globals) *__cxa_get_globals() = (struct weft__cxx_globals){NULL, 0};
}

void
weft__context_forget(struct machine_context *c)
{
#if defined(WEFT_TSAN)
    if (c->low && c->fiber) __tsan_destroy_fiber(c->fiber); /* a thread's own fibre goes with the thread */
    c->fiber = NULL;
#endif
#if defined(WEFT_ASAN)
    /* What the last frames left poisoned would trip whoever uses the stack next. */
    if (c->low) __asan_unpoison_memory_region(c->low, c->size);
#endif
    c->sp = NULL;
}
