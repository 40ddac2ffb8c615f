/* valgrind.h - tells Valgrind which memory serves as stacks.  [layer 0]
 *
 * Valgrind takes a far move of the stack pointer for a switch to another stack, and a near one for a frame that comes or
 * goes, whose memory it then gives up: stacks that lie close together must be known to it.  A request is a sequence of
 * instructions that does nothing, unless Valgrind runs it; the sequences and the numbers are its stable interface.  They
 * are written out here, because a library must work with it however it was built, also where its headers were missing. */
#ifndef WEFT_SRC_ARCH_VALGRIND_H
#define WEFT_SRC_ARCH_VALGRIND_H

#include <stdint.h>

enum { WEFT__VALGRIND_RUNNING = 0x1001, WEFT__VALGRIND_STACK_REGISTER = 0x1501, WEFT__VALGRIND_STACK_DEREGISTER };

/* Valgrind's answer; 0 without it, or where it does not exist. */
static inline uint64_t
weft__valgrind(uint64_t request, uint64_t first, uint64_t second)
{
    volatile uint64_t arguments[6] = {request, first, second, 0, 0, 0};
    uint64_t answer = 0;
#if defined(__x86_64__)
    __asm__ volatile("rolq $3, %%rdi\n\t"
                     "rolq $13, %%rdi\n\t"
                     "rolq $61, %%rdi\n\t"
                     "rolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(arguments)
                     : "cc", "memory");
#elif defined(__aarch64__)
    register uint64_t x3 __asm__("x3") = 0;
    register volatile uint64_t *x4 __asm__("x4") = arguments;
    __asm__ volatile("ror x12, x12, #3\n\t"
                     "ror x12, x12, #13\n\t"
                     "ror x12, x12, #51\n\t"
                     "ror x12, x12, #61\n\t"
                     "orr x10, x10, x10"
                     : "+r"(x3)
                     : "r"(x4)
                     : "cc", "memory");
    answer = x3;
#else
    (void)arguments;
#endif
    return answer;
}

/* Says that the bytes from low up to high are a stack: what to forget it by later, never 0; 0 without Valgrind. */
static inline uint32_t
weft__valgrind_remember(const char *low, const char *high)
{
    if (!weft__valgrind(WEFT__VALGRIND_RUNNING, 0, 0)) return 0;
    return (uint32_t)weft__valgrind(WEFT__VALGRIND_STACK_REGISTER, (uintptr_t)low, (uintptr_t)high - 1) + 1;
}

static inline void
weft__valgrind_forget(uint32_t stack)
{
    if (stack) (void)weft__valgrind(WEFT__VALGRIND_STACK_DEREGISTER, stack - 1, 0);
}

#endif
