/* context.h - picks the instruction set's frame, jump into the switch, and floating-point control words.  [layer 1]
 *
 * Each arch/context_<isa>.h says, for C and for assembly:
 *   WEFT__FRAME_...       where the registers of a context that is switched away lie, from its saved stack pointer up
 * and for C:
 *   struct weft__frame    the same; pc, entry, arg are what a new context needs
 *   weft__context_swap    saves the caller, goes on elsewhere
 *   weft__fpenv_read, weft__fpenv_write   the floating-point control words, packed into 64 bits
 *   WEFT__FPENV_ABI       their value at the start of a process
 *   WEFT__FPENV_CONTROL   the bits of them that control; others report */
#ifndef WEFT_SRC_ARCH_CONTEXT_H
#define WEFT_SRC_ARCH_CONTEXT_H

#include "atomic.h"

/* For functions between whose first and last instruction the stack changes: the sanitizers keep their hands off. */
#if defined(WEFT_TSAN) || defined(WEFT_ASAN)
#if defined(__has_attribute) && __has_attribute(disable_sanitizer_instrumentation)
#define weft__uninstrumented                                                                                           \
    __attribute__((no_sanitize("address", "thread", "undefined"), disable_sanitizer_instrumentation))
#else
#define weft__uninstrumented __attribute__((no_sanitize("address", "thread", "undefined")))
#endif
#else
#define weft__uninstrumented
#endif

#if defined(__x86_64__) && defined(__LP64__)
#include "context_x86_64.h"
#elif defined(__aarch64__) && defined(__LP64__)
#include "context_aarch64.h"
#elif defined(__riscv) && __riscv_xlen == 64 && defined(__riscv_float_abi_double)
#include "context_riscv64.h"
#else
#error "Weft has no context switch for this processor and ABI: src/arch/context_<isa>.h and .S are what it needs"
#endif

#endif
