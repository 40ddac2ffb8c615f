/* context_x86_64.h - the frame of a context on x86-64, and the jump into the switch.  [layer 1]
 *
 * The drawing of the frame is in context_x86_64.S. */
#ifndef WEFT_SRC_ARCH_CONTEXT_X86_64_H
#define WEFT_SRC_ARCH_CONTEXT_X86_64_H

#define WEFT__FRAME_R15 0
#define WEFT__FRAME_R14 8
#define WEFT__FRAME_R13 16
#define WEFT__FRAME_R12 24
#define WEFT__FRAME_RBX 32
#define WEFT__FRAME_RBP 40
#define WEFT__FRAME_RIP 48
#define WEFT__FRAME_RED_ZONE 56
#define WEFT__FRAME_SIZE 184

#if !defined(__ASSEMBLER__)

#include <stddef.h>
#include <stdint.h>

struct weft__frame {
    void *r15, *r14;
    void (*entry)(void *arg); /* r13 */
    void *arg;                /* r12 */
    void *rbx, *rbp;
    void (*pc)(void);
    unsigned char red_zone[128]; /* the compiler may keep variables of a leaf function below its stack pointer */
};

_Static_assert(offsetof(struct weft__frame, r15) == WEFT__FRAME_R15, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, r14) == WEFT__FRAME_R14, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, entry) == WEFT__FRAME_R13, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, arg) == WEFT__FRAME_R12, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, rbx) == WEFT__FRAME_RBX, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, rbp) == WEFT__FRAME_RBP, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, pc) == WEFT__FRAME_RIP, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, red_zone) == WEFT__FRAME_RED_ZONE, "as in the assembly");
_Static_assert(sizeof(struct weft__frame) == WEFT__FRAME_SIZE, "as in the assembly");

/* Registers that exist only where the compiler was told so, and that no function preserves. */
#if defined(__AVX512F__)
#define WEFT__LOST_AVX512                                                                                              \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",      \
        "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define WEFT__LOST_AVX512
#endif
#if defined(__APX_F__)
#define WEFT__LOST_APX                                                                                                 \
    , "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29", "r30", "r31"
#else
#define WEFT__LOST_APX
#endif

/* Saves the caller, its stack pointer in *save, and goes on where the context with the stack pointer load was saved.
 * To the compiler it is a call that loses what any call loses.  Why it jumps instead: context_x86_64.S. */
weft__uninstrumented static inline __attribute__((always_inline)) void
weft__context_swap(void **save, void *load)
{
    register void **rdi __asm__("rdi") = save;
    register void *rsi __asm__("rsi") = load;
    __asm__ volatile("leaq 1f(%%rip), %%rdx\n\t"
                     "jmp weft__context_leap\n"
                     "1:"
                     : "+r"(rdi), "+r"(rsi)
                     :
                     : "memory", "cc", "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3",
                       "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
                       "st(7)" WEFT__LOST_AVX512 WEFT__LOST_APX);
}

/* MXCSR, and above it the x87 control word. */
#define WEFT__FPENV_ABI (UINT64_C(0x037f) << 32 | 0x1f80)
#define WEFT__FPENV_CONTROL (UINT64_C(0xffff) << 32 | 0xffc0)

static inline uint64_t
weft__fpenv_read(void)
{
    uint32_t mxcsr;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    return (uint64_t)x87 << 32 | mxcsr;
}

static inline void
weft__fpenv_write(uint64_t words)
{
    uint32_t mxcsr = (uint32_t)words;
    uint16_t x87 = (uint16_t)(words >> 32);
    __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
    __asm__ volatile("fldcw %0" ::"m"(x87));
}

#endif
#endif
