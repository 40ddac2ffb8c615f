/* context_aarch64.h - the frame of a context on aarch64, and the jump into the switch.  [layer 1]
 *
 * The drawing of the frame is in context_aarch64.S. */
#ifndef WEFT_SRC_ARCH_CONTEXT_AARCH64_H
#define WEFT_SRC_ARCH_CONTEXT_AARCH64_H

#define WEFT__FRAME_X19 0
#define WEFT__FRAME_X21 16
#define WEFT__FRAME_X23 32
#define WEFT__FRAME_X25 48
#define WEFT__FRAME_X27 64
#define WEFT__FRAME_X29 80
#define WEFT__FRAME_PC 88
#define WEFT__FRAME_V8 96
#define WEFT__FRAME_V10 128
#define WEFT__FRAME_V12 160
#define WEFT__FRAME_V14 192
#define WEFT__FRAME_SIZE 224

#if !defined(__ASSEMBLER__)

#include <stddef.h>
#include <stdint.h>

struct weft__frame {
    void *arg;                /* x19 */
    void (*entry)(void *arg); /* x20 */
    void *x21_x28[8];
    void *x29;
    void (*pc)(void);
    uint64_t v8_v15[8][2];
};

_Static_assert(offsetof(struct weft__frame, arg) == WEFT__FRAME_X19, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, entry) == WEFT__FRAME_X19 + 8, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, x21_x28) == WEFT__FRAME_X21, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, x21_x28[2]) == WEFT__FRAME_X23, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, x21_x28[4]) == WEFT__FRAME_X25, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, x21_x28[6]) == WEFT__FRAME_X27, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, x29) == WEFT__FRAME_X29, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, pc) == WEFT__FRAME_PC, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, v8_v15) == WEFT__FRAME_V8, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, v8_v15[2]) == WEFT__FRAME_V10, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, v8_v15[4]) == WEFT__FRAME_V12, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, v8_v15[6]) == WEFT__FRAME_V14, "as in the assembly");
_Static_assert(sizeof(struct weft__frame) == WEFT__FRAME_SIZE, "as in the assembly");

/* Registers that exist only where the compiler was told so, and that no function preserves whole. */
#if defined(__ARM_FEATURE_SVE)
#define WEFT__LOST_SVE                                                                                                 \
    , "z8", "z9", "z10", "z11", "z12", "z13", "z14", "z15", "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8",      \
        "p9", "p10", "p11", "p12", "p13", "p14", "p15"
#else
#define WEFT__LOST_SVE
#endif

/* Saves the caller, its stack pointer in *save, and goes on where the context with the stack pointer load was saved.
 * To the compiler it is a call that loses what any call loses.  Why it jumps instead: context_aarch64.S.
 * hint 36 is `bti j`: the target of an indirect jump. */
weft__uninstrumented static inline __attribute__((always_inline)) void
weft__context_swap(void **save, void *load)
{
    register void **x0 __asm__("x0") = save;
    register void *x1 __asm__("x1") = load;
    __asm__ volatile("adr x2, 1f\n\t"
                     "b weft__context_leap\n"
                     "1:\thint 36"
                     : "+r"(x0), "+r"(x1)
                     :
                     : "memory", "cc", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17",
                       "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
                       "v31" WEFT__LOST_SVE);
}

/* FPCR. */
#define WEFT__FPENV_ABI UINT64_C(0)
#define WEFT__FPENV_CONTROL UINT64_C(0xffffffff)

static inline uint64_t
weft__fpenv_read(void)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
}

static inline void
weft__fpenv_write(uint64_t words)
{
    __asm__ volatile("msr fpcr, %0" ::"r"(words));
}

#endif
#endif
