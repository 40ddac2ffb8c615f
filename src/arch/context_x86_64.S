/*
 * context_x86_64.S - the switch between contexts on x86-64, System V ABI.  [layer 1]
 *
 *      void weft__context_leap(void **save, void *load, void *resume);
 *
 * is what weft__context_swap (context_x86_64.h) jumps to.  It saves the caller on its own stack, stores the stack
 * pointer in *save, takes the stack pointer load, and goes on at the address that is saved there.
 *
 *      in      rdi = save, rsi = load, rdx = resume: where the caller goes on when it is switched to again
 *      out     nothing; what was saved at load
 *      saved   rbx rbp r12 r13 r14 r15, resume, rsp
 *      lost    all others; MXCSR and the x87 control word stay as they are
 *
 *              |  frames of the caller         |
 *      +184    +-------------------------------+  <- rsp of the caller
 *              |  red zone, not touched        |
 *      +56     +-------------------------------+
 *      +48     |  resume                       |
 *      +40     |  rbp                          |
 *      +32     |  rbx                          |
 *      +24     |  r12    (new context: arg)    |
 *      +16     |  r13    (new context: entry)  |
 *      +8      |  r14                          |
 *      +0      |  r15                          |
 *              +-------------------------------+  <- *save, load
 *
 * Jumps, not a call and a return.  The processor predicts each return from a stack of its own, one entry for each call.
 * With jumps in and out, the calls and the returns around the switch stay in pairs, whichever contexts they belong to.
 * Measured on an EPYC of 2024, ns a switch:
 *
 *                               bare, two contexts      in a function two calls deep, 16 contexts
 *      called, left by a jump           2.5                     18.6    the entry stays: all later returns go wrong
 *      called, left by a return         7.3                      3.0    wrong if the places of the calls differ
 *      jumps in and out                 1.5                      3.6
 *
 * Shadow stacks (SHSTK) hold what the returns of one stack need: a program that switches stacks by hand cannot have
 * them, so this file is marked for indirect branch tracking (IBT) only.  notrack: the target is a label that no pointer
 * leads to.
 */
#include "context_x86_64.h"

        .text

        /* The caller's frame begins where the stack pointer is: nothing was pushed to come here. */
        .globl  weft__context_leap
        .hidden weft__context_leap
        .type   weft__context_leap, @function
        .balign 64
weft__context_leap:
        .cfi_startproc
        .cfi_def_cfa rsp, 0
        .cfi_register rip, rdx
        leaq    -(WEFT__FRAME_SIZE - WEFT__FRAME_RED_ZONE)(%rsp), %rsp
        .cfi_adjust_cfa_offset WEFT__FRAME_SIZE - WEFT__FRAME_RED_ZONE
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        .cfi_offset rip, WEFT__FRAME_RIP - WEFT__FRAME_SIZE
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_offset rbp, WEFT__FRAME_RBP - WEFT__FRAME_SIZE
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_offset rbx, WEFT__FRAME_RBX - WEFT__FRAME_SIZE
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_offset r12, WEFT__FRAME_R12 - WEFT__FRAME_SIZE
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_offset r13, WEFT__FRAME_R13 - WEFT__FRAME_SIZE
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_offset r14, WEFT__FRAME_R14 - WEFT__FRAME_SIZE
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_offset r15, WEFT__FRAME_R15 - WEFT__FRAME_SIZE
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp              /* the same frame, of the other context */
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rdx
        leaq    WEFT__FRAME_SIZE - WEFT__FRAME_RED_ZONE(%rsp), %rsp
        .cfi_adjust_cfa_offset WEFT__FRAME_RED_ZONE - WEFT__FRAME_SIZE
        notrack jmpq *%rdx
        .cfi_endproc
        .size   weft__context_leap, . - weft__context_leap

/*
 *      void weft__context_start(void);
 *
 * is where a new context goes on for the first time: calls entry(arg), which does not return.
 *
 *      in      r13 = entry, r12 = arg, rsp a multiple of 16, rbp = 0
 *
 * Nothing is above it: the return address is undefined, so unwinding ends here, also from within the switch to it.
 */
        .globl  weft__context_start
        .hidden weft__context_start
        .type   weft__context_start, @function
        .balign 16
        .cfi_startproc
        .cfi_def_cfa rsp, 0
        .cfi_undefined rip
        nop                             /* unwinders look before the address that they come back to */
weft__context_start:
        endbr64
        movq    %r12, %rdi
        callq   *%r13
        ud2
        .cfi_endproc
        .size   weft__context_start, . - weft__context_start

        .section .note.gnu.property, "a", @note
        .balign 8
        .long   4                       /* size of the name */
        .long   16                      /* size of what follows it */
        .long   5                       /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000002              /* GNU_PROPERTY_X86_FEATURE_1_AND */
        .long   4
        .long   1                       /* IBT */
        .long   0

        .section .note.GNU-stack, "", @progbits
