/* context.h - stacks that can be switched to: a saved stack pointer, and the switch.  [layer 1]
 *
 * weft__context_switch saves the callee-saved registers and the stack pointer of the caller, and goes on in the other
 * context, as if its own call of weft__context_switch had returned.  It knows nothing of tasks and schedulers.
 *
 * Anything that names the running thread (TLS, errno, the worker) must be read again after it returns.
 *
 * Floating-point control words belong to the thread, except around weft__context_switch_fpenv: what a context changed
 * in them stays in force for whoever runs next on the thread.  Builds with WEFT_DEBUG stop at a switch that would let
 * that happen.
 *
 * Exceptions.  Where the C++ runtime is linked (not: loaded later by dlopen), each context has its own caught and
 * uncaught exceptions. */
#ifndef WEFT_SRC_CONTEXT_H
#define WEFT_SRC_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/context.h"
#include "atomic.h"
#include "bits.h"

struct machine_context {
    void *sp;    /* where the registers are saved (struct weft__frame); meaningless while the context runs */
    void *low;   /* lowest usable address of the stack; NULL for a thread's own stack */
    size_t size; /* usable bytes above low */
#if defined(WEFT_TSAN)
    void *fiber; /* what ThreadSanitizer knows it by; NULL: it has not run */
#endif
#if defined(WEFT_ASAN)
    void *fake_stack;      /* AddressSanitizer's, while switched away */
    const void *stack_low; /* the same as low and size, */
    size_t stack_size;     /* for a thread's own stack too */
#endif
};

typedef void weft__context_entry(void *arg);

/* Makes c a context on the size bytes of stack at low, which runs entry(arg) when it is first switched to.  entry calls
 * weft__context_entered first, and must not return: it leaves by weft__context_switch with dead true.  top_used bytes
 * at the top are left alone (a multiple of 16). */
void weft__context_make(struct machine_context *c, void *low, size_t size, size_t top_used, weft__context_entry *entry,
                        void *arg);

/* Makes c stand for the calling thread's own stack, so that contexts can switch back to it.  The floating-point control
 * words that the thread has at this moment are those that contexts without words of their own find; every thread that
 * adopts must have the same, which threads inherit from their creator. */
void weft__context_adopt(struct machine_context *c);

/* Saves the caller in from and goes on in to.  dead: from is never switched to again. */
static inline void weft__context_switch(struct machine_context *from, struct machine_context *to, bool dead);

/* The same, for a from that has floating-point control words of its own (MXCSR and x87, or FPCR): they are saved and
 * come back with it, and to finds those of weft__context_adopt, or its own if it left by this function too. */
void weft__context_switch_fpenv(struct machine_context *from, struct machine_context *to, bool dead);

/* The first thing that entry does: tells the sanitizers that the switch is over, and the C++ runtime that nothing is
 * thrown. */
void weft__context_entered(struct machine_context *c);

/* Frees what the sanitizers keep for c, which does not run; its stack may then be reused or unmapped. */
void weft__context_forget(struct machine_context *c);

/* What the C++ runtime keeps for each thread: the stack of caught exceptions, and how many are in flight. */
struct weft__cxx_globals {
    void *caught;
    unsigned uncaught;
};
__attribute__((weak, visibility("default"))) extern struct weft__cxx_globals *__cxa_get_globals(void);

/* The switch in builds with a sanitizer. */
void weft__context_switch_told(struct machine_context *from, struct machine_context *to, bool dead);

/* Stops if the control words are not those of weft__context_adopt. */
void weft__context_check_fpenv(void);

static inline void
weft__context_switch(struct machine_context *from, struct machine_context *to, bool dead)
{
#if defined(WEFT_DEBUG)
    weft__context_check_fpenv();
#endif
#if defined(WEFT_TSAN) || defined(WEFT_ASAN)
    weft__context_switch_told(from, to, dead);
#else
    (void)dead;
    if (weft__unlikely(__cxa_get_globals)) {
        struct weft__cxx_globals saved = *__cxa_get_globals();
        weft__context_swap(&from->sp, to->sp);
        *__cxa_get_globals() = saved; /* those of the thread that runs it by now */
    } else {
        weft__context_swap(&from->sp, to->sp);
    }
#endif
}

#endif
