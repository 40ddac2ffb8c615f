/*
 * context_aarch64.S - the switch between contexts on aarch64, AAPCS64.  [layer 1]
 *
 *      void weft__context_leap(void **save, void *load, void *resume);
 *
 * is what weft__context_swap (context_aarch64.h) jumps to.  It saves the caller on its own stack, stores the stack
 * pointer in *save, takes the stack pointer load, and goes on at the address that is saved there.
 *
 *      in      x0 = save, x1 = load, x2 = resume: where the caller goes on when it is switched to again
 *      out     nothing; what was saved at load
 *      saved   x19-x29, resume, sp, v8-v15
 *      lost    all others but x18, the platform's; FPCR stays as it is
 *
 *              |  frames of the caller         |
 *      +224    +-------------------------------+  <- sp of the caller
 *              |  v8 ... v15, 16 bytes each    |
 *      +96     +-------------------------------+
 *      +88     |  resume                       |
 *      +80     |  x29                          |
 *              |  x21 ... x28                  |
 *      +8      |  x20    (new context: entry)  |
 *      +0      |  x19    (new context: arg)    |
 *              +-------------------------------+  <- *save, load
 *
 * The ABI keeps the lower halves of v8-v15 only.  They are saved whole, which takes no more instructions: the compiler
 * cannot be told that half of a register is lost, and if it took all of it for lost, every function that contains a
 * switch would save d8-d15 once more, on its fast path too.
 *
 * Jumps, not a call and a return, for what context_x86_64.S says about predicted returns.  The jump goes through x16 to
 * a `bti j` (weft__context_swap) or a `bti jc` (weft__context_start), so it passes branch target identification; this
 * file is marked for that, and not for guarded control stacks (GCS), which a program that switches stacks by hand
 * cannot have.
 */
#include "context_aarch64.h"

        .text

        /* The caller's frame begins where the stack pointer is. */
        .globl  weft__context_leap
        .hidden weft__context_leap
        .type   weft__context_leap, %function
        .balign 64
weft__context_leap:
        .cfi_startproc
        .cfi_register x30, x2
        sub     sp, sp, #WEFT__FRAME_SIZE
        .cfi_def_cfa_offset WEFT__FRAME_SIZE
        stp     x19, x20, [sp, #WEFT__FRAME_X19]
        .cfi_offset x19, WEFT__FRAME_X19 - WEFT__FRAME_SIZE
        .cfi_offset x20, WEFT__FRAME_X19 + 8 - WEFT__FRAME_SIZE
        stp     x21, x22, [sp, #WEFT__FRAME_X21]
        .cfi_offset x21, WEFT__FRAME_X21 - WEFT__FRAME_SIZE
        .cfi_offset x22, WEFT__FRAME_X21 + 8 - WEFT__FRAME_SIZE
        stp     x23, x24, [sp, #WEFT__FRAME_X23]
        .cfi_offset x23, WEFT__FRAME_X23 - WEFT__FRAME_SIZE
        .cfi_offset x24, WEFT__FRAME_X23 + 8 - WEFT__FRAME_SIZE
        stp     x25, x26, [sp, #WEFT__FRAME_X25]
        .cfi_offset x25, WEFT__FRAME_X25 - WEFT__FRAME_SIZE
        .cfi_offset x26, WEFT__FRAME_X25 + 8 - WEFT__FRAME_SIZE
        stp     x27, x28, [sp, #WEFT__FRAME_X27]
        .cfi_offset x27, WEFT__FRAME_X27 - WEFT__FRAME_SIZE
        .cfi_offset x28, WEFT__FRAME_X27 + 8 - WEFT__FRAME_SIZE
        stp     x29, x2, [sp, #WEFT__FRAME_X29]
        .cfi_offset x29, WEFT__FRAME_X29 - WEFT__FRAME_SIZE
        .cfi_offset x30, WEFT__FRAME_PC - WEFT__FRAME_SIZE
        stp     q8, q9, [sp, #WEFT__FRAME_V8]
        .cfi_offset 72, WEFT__FRAME_V8 - WEFT__FRAME_SIZE
        .cfi_offset 73, WEFT__FRAME_V8 + 16 - WEFT__FRAME_SIZE
        stp     q10, q11, [sp, #WEFT__FRAME_V10]
        .cfi_offset 74, WEFT__FRAME_V10 - WEFT__FRAME_SIZE
        .cfi_offset 75, WEFT__FRAME_V10 + 16 - WEFT__FRAME_SIZE
        stp     q12, q13, [sp, #WEFT__FRAME_V12]
        .cfi_offset 76, WEFT__FRAME_V12 - WEFT__FRAME_SIZE
        .cfi_offset 77, WEFT__FRAME_V12 + 16 - WEFT__FRAME_SIZE
        stp     q14, q15, [sp, #WEFT__FRAME_V14]
        .cfi_offset 78, WEFT__FRAME_V14 - WEFT__FRAME_SIZE
        .cfi_offset 79, WEFT__FRAME_V14 + 16 - WEFT__FRAME_SIZE
        mov     x3, sp
        str     x3, [x0]
        mov     sp, x1                  /* the same frame, of the other context */
        ldp     x19, x20, [sp, #WEFT__FRAME_X19]
        ldp     x21, x22, [sp, #WEFT__FRAME_X21]
        ldp     x23, x24, [sp, #WEFT__FRAME_X23]
        ldp     x25, x26, [sp, #WEFT__FRAME_X25]
        ldp     x27, x28, [sp, #WEFT__FRAME_X27]
        ldp     x29, x16, [sp, #WEFT__FRAME_X29]
        ldp     q8, q9, [sp, #WEFT__FRAME_V8]
        ldp     q10, q11, [sp, #WEFT__FRAME_V10]
        ldp     q12, q13, [sp, #WEFT__FRAME_V12]
        ldp     q14, q15, [sp, #WEFT__FRAME_V14]
        add     sp, sp, #WEFT__FRAME_SIZE
        .cfi_def_cfa_offset 0
        .cfi_restore x19
        .cfi_restore x20
        .cfi_restore x21
        .cfi_restore x22
        .cfi_restore x23
        .cfi_restore x24
        .cfi_restore x25
        .cfi_restore x26
        .cfi_restore x27
        .cfi_restore x28
        .cfi_restore x29
        .cfi_register x30, x16
        .cfi_restore 72
        .cfi_restore 73
        .cfi_restore 74
        .cfi_restore 75
        .cfi_restore 76
        .cfi_restore 77
        .cfi_restore 78
        .cfi_restore 79
        br      x16
        .cfi_endproc
        .size   weft__context_leap, . - weft__context_leap

/*
 *      void weft__context_start(void);
 *
 * is where a new context goes on for the first time: calls entry(arg), which does not return.
 *
 *      in      x20 = entry, x19 = arg, sp a multiple of 16, x29 = 0
 *
 * Nothing is above it: the return address is undefined, so unwinding ends here, also from within the switch to it.
 */
        .globl  weft__context_start
        .hidden weft__context_start
        .type   weft__context_start, %function
        .balign 16
        .cfi_startproc
        .cfi_undefined x30
        nop                             /* unwinders look before the address that they come back to */
weft__context_start:
        hint    38                      /* bti jc */
        mov     x0, x19
        blr     x20
        brk     #1
        .cfi_endproc
        .size   weft__context_start, . - weft__context_start

        .section .note.gnu.property, "a", %note
        .balign 8
        .word   4                       /* size of the name */
        .word   16                      /* size of what follows it */
        .word   5                       /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .word   0xc0000000              /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
        .word   4
        .word   1                       /* BTI */
        .word   0

        .section .note.GNU-stack, "", %progbits
