/* context_riscv64.h - the frame of a context on riscv64, and the jump into the switch.  [layer 1]
 *
 * The drawing of the frame is in context_riscv64.S. */
#ifndef WEFT_SRC_ARCH_CONTEXT_RISCV64_H
#define WEFT_SRC_ARCH_CONTEXT_RISCV64_H

#define WEFT__FRAME_S1 0
#define WEFT__FRAME_S2 8
#define WEFT__FRAME_S3 16
#define WEFT__FRAME_S0 88
#define WEFT__FRAME_PC 96
#define WEFT__FRAME_FS0 104
#define WEFT__FRAME_SIZE 208

#if !defined(__ASSEMBLER__)

#include <stddef.h>
#include <stdint.h>

struct weft__frame {
    void *arg;                /* s1 */
    void (*entry)(void *arg); /* s2 */
    void *s3_s11[9];
    void *s0;
    void (*pc)(void);
    uint64_t fs0_fs11[12];
    uint64_t unused; /* the stack pointer is a multiple of 16 */
};

_Static_assert(offsetof(struct weft__frame, arg) == WEFT__FRAME_S1, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, entry) == WEFT__FRAME_S2, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, s3_s11) == WEFT__FRAME_S3, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, s0) == WEFT__FRAME_S0, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, pc) == WEFT__FRAME_PC, "as in the assembly");
_Static_assert(offsetof(struct weft__frame, fs0_fs11) == WEFT__FRAME_FS0, "as in the assembly");
_Static_assert(sizeof(struct weft__frame) == WEFT__FRAME_SIZE, "as in the assembly");

/* Registers that exist only where the compiler was told so, and that no function preserves.  vl and vtype, which not all
 * compilers let one name, are unknown to them after any asm. */
#if defined(__riscv_vector)
#define WEFT__LOST_VECTOR                                                                                              \
    , "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",     \
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"
#else
#define WEFT__LOST_VECTOR
#endif

/* Saves the caller, its stack pointer in *save, and goes on where the context with the stack pointer load was saved.
 * To the compiler it is a call that loses what any call loses.  Why it jumps instead: context_riscv64.S. */
weft__uninstrumented static inline __attribute__((always_inline)) void
weft__context_swap(void **save, void *load)
{
    register void **a0 __asm__("a0") = save;
    register void *a1 __asm__("a1") = load;
    __asm__ volatile("lla a2, 1f\n\t"
                     "tail weft__context_leap\n"
                     "1:"
                     : "+r"(a0), "+r"(a1)
                     :
                     : "memory", "ra", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6",
                       "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "ft8", "ft9", "ft10", "ft11", "fa0",
                       "fa1", "fa2", "fa3", "fa4", "fa5", "fa6", "fa7" WEFT__LOST_VECTOR);
}

/* FCSR: the rounding mode, and below it the flags of what has happened. */
#define WEFT__FPENV_ABI UINT64_C(0)
#define WEFT__FPENV_CONTROL UINT64_C(0xe0)

static inline uint64_t
weft__fpenv_read(void)
{
    uint64_t fcsr;
    __asm__ volatile("frcsr %0" : "=r"(fcsr));
    return fcsr;
}

static inline void
weft__fpenv_write(uint64_t words)
{
    __asm__ volatile("fscsr %0" ::"r"(words));
}

#endif
#endif
