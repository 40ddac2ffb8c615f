/*
 * context_riscv64.S - the switch between contexts on riscv64, the ABI LP64D.  [layer 1]
 *
 *      void weft__context_leap(void **save, void *load, void *resume);
 *
 * is what weft__context_swap (context_riscv64.h) jumps to.  It saves the caller on its own stack, stores the stack
 * pointer in *save, takes the stack pointer load, and goes on at the address that is saved there.
 *
 *      in      a0 = save, a1 = load, a2 = resume: where the caller goes on when it is switched to again
 *      out     nothing; what was saved at load
 *      saved   s0-s11, resume, sp, fs0-fs11
 *      lost    all others but gp and tp, which nobody changes; FCSR stays as it is
 *
 *              |  frames of the caller         |
 *      +208    +-------------------------------+  <- sp of the caller
 *      +200    |  not used                     |
 *      +104    |  fs0 ... fs11                 |
 *              +-------------------------------+
 *      +96     |  resume                       |
 *      +88     |  s0                           |
 *      +16     |  s3 ... s11                   |
 *      +8      |  s2     (new context: entry)  |
 *      +0      |  s1     (new context: arg)    |
 *              +-------------------------------+  <- *save, load
 *
 * Jumps, not a call and a return, for what context_x86_64.S says about predicted returns: processors take a jump through
 * ra or t0 for one.  Through t2 it needs no landing pad either where there are such (Zicfilp): the target is a label that
 * no pointer leads to.  Nothing here says that the program may have shadow stacks (Zicfiss): one that switches stacks by
 * hand cannot.
 */
#include "context_riscv64.h"

        .text

        /* The caller's frame begins where the stack pointer is. */
        .globl  weft__context_leap
        .hidden weft__context_leap
        .type   weft__context_leap, @function
        .balign 64
weft__context_leap:
        .cfi_startproc
        .cfi_register ra, a2
        addi    sp, sp, -WEFT__FRAME_SIZE
        .cfi_def_cfa_offset WEFT__FRAME_SIZE
        sd      s1, WEFT__FRAME_S1(sp)
        .cfi_offset s1, WEFT__FRAME_S1 - WEFT__FRAME_SIZE
        sd      s2, WEFT__FRAME_S2(sp)
        .cfi_offset s2, WEFT__FRAME_S2 - WEFT__FRAME_SIZE
        sd      s3, WEFT__FRAME_S3(sp)
        .cfi_offset s3, WEFT__FRAME_S3 - WEFT__FRAME_SIZE
        sd      s4, WEFT__FRAME_S3 + 8(sp)
        .cfi_offset s4, WEFT__FRAME_S3 + 8 - WEFT__FRAME_SIZE
        sd      s5, WEFT__FRAME_S3 + 16(sp)
        .cfi_offset s5, WEFT__FRAME_S3 + 16 - WEFT__FRAME_SIZE
        sd      s6, WEFT__FRAME_S3 + 24(sp)
        .cfi_offset s6, WEFT__FRAME_S3 + 24 - WEFT__FRAME_SIZE
        sd      s7, WEFT__FRAME_S3 + 32(sp)
        .cfi_offset s7, WEFT__FRAME_S3 + 32 - WEFT__FRAME_SIZE
        sd      s8, WEFT__FRAME_S3 + 40(sp)
        .cfi_offset s8, WEFT__FRAME_S3 + 40 - WEFT__FRAME_SIZE
        sd      s9, WEFT__FRAME_S3 + 48(sp)
        .cfi_offset s9, WEFT__FRAME_S3 + 48 - WEFT__FRAME_SIZE
        sd      s10, WEFT__FRAME_S3 + 56(sp)
        .cfi_offset s10, WEFT__FRAME_S3 + 56 - WEFT__FRAME_SIZE
        sd      s11, WEFT__FRAME_S3 + 64(sp)
        .cfi_offset s11, WEFT__FRAME_S3 + 64 - WEFT__FRAME_SIZE
        sd      s0, WEFT__FRAME_S0(sp)
        .cfi_offset s0, WEFT__FRAME_S0 - WEFT__FRAME_SIZE
        sd      a2, WEFT__FRAME_PC(sp)
        .cfi_offset ra, WEFT__FRAME_PC - WEFT__FRAME_SIZE
        fsd     fs0, WEFT__FRAME_FS0(sp)
        .cfi_offset fs0, WEFT__FRAME_FS0 - WEFT__FRAME_SIZE
        fsd     fs1, WEFT__FRAME_FS0 + 8(sp)
        .cfi_offset fs1, WEFT__FRAME_FS0 + 8 - WEFT__FRAME_SIZE
        fsd     fs2, WEFT__FRAME_FS0 + 16(sp)
        .cfi_offset fs2, WEFT__FRAME_FS0 + 16 - WEFT__FRAME_SIZE
        fsd     fs3, WEFT__FRAME_FS0 + 24(sp)
        .cfi_offset fs3, WEFT__FRAME_FS0 + 24 - WEFT__FRAME_SIZE
        fsd     fs4, WEFT__FRAME_FS0 + 32(sp)
        .cfi_offset fs4, WEFT__FRAME_FS0 + 32 - WEFT__FRAME_SIZE
        fsd     fs5, WEFT__FRAME_FS0 + 40(sp)
        .cfi_offset fs5, WEFT__FRAME_FS0 + 40 - WEFT__FRAME_SIZE
        fsd     fs6, WEFT__FRAME_FS0 + 48(sp)
        .cfi_offset fs6, WEFT__FRAME_FS0 + 48 - WEFT__FRAME_SIZE
        fsd     fs7, WEFT__FRAME_FS0 + 56(sp)
        .cfi_offset fs7, WEFT__FRAME_FS0 + 56 - WEFT__FRAME_SIZE
        fsd     fs8, WEFT__FRAME_FS0 + 64(sp)
        .cfi_offset fs8, WEFT__FRAME_FS0 + 64 - WEFT__FRAME_SIZE
        fsd     fs9, WEFT__FRAME_FS0 + 72(sp)
        .cfi_offset fs9, WEFT__FRAME_FS0 + 72 - WEFT__FRAME_SIZE
        fsd     fs10, WEFT__FRAME_FS0 + 80(sp)
        .cfi_offset fs10, WEFT__FRAME_FS0 + 80 - WEFT__FRAME_SIZE
        fsd     fs11, WEFT__FRAME_FS0 + 88(sp)
        .cfi_offset fs11, WEFT__FRAME_FS0 + 88 - WEFT__FRAME_SIZE
        sd      sp, (a0)
        mv      sp, a1                  /* the same frame, of the other context */
        ld      t2, WEFT__FRAME_PC(sp)
        ld      s1, WEFT__FRAME_S1(sp)
        ld      s2, WEFT__FRAME_S2(sp)
        ld      s3, WEFT__FRAME_S3(sp)
        ld      s4, WEFT__FRAME_S3 + 8(sp)
        ld      s5, WEFT__FRAME_S3 + 16(sp)
        ld      s6, WEFT__FRAME_S3 + 24(sp)
        ld      s7, WEFT__FRAME_S3 + 32(sp)
        ld      s8, WEFT__FRAME_S3 + 40(sp)
        ld      s9, WEFT__FRAME_S3 + 48(sp)
        ld      s10, WEFT__FRAME_S3 + 56(sp)
        ld      s11, WEFT__FRAME_S3 + 64(sp)
        ld      s0, WEFT__FRAME_S0(sp)
        fld     fs0, WEFT__FRAME_FS0(sp)
        fld     fs1, WEFT__FRAME_FS0 + 8(sp)
        fld     fs2, WEFT__FRAME_FS0 + 16(sp)
        fld     fs3, WEFT__FRAME_FS0 + 24(sp)
        fld     fs4, WEFT__FRAME_FS0 + 32(sp)
        fld     fs5, WEFT__FRAME_FS0 + 40(sp)
        fld     fs6, WEFT__FRAME_FS0 + 48(sp)
        fld     fs7, WEFT__FRAME_FS0 + 56(sp)
        fld     fs8, WEFT__FRAME_FS0 + 64(sp)
        fld     fs9, WEFT__FRAME_FS0 + 72(sp)
        fld     fs10, WEFT__FRAME_FS0 + 80(sp)
        fld     fs11, WEFT__FRAME_FS0 + 88(sp)
        addi    sp, sp, WEFT__FRAME_SIZE
        .cfi_def_cfa_offset 0
        .cfi_restore s1
        .cfi_restore s2
        .cfi_restore s3
        .cfi_restore s4
        .cfi_restore s5
        .cfi_restore s6
        .cfi_restore s7
        .cfi_restore s8
        .cfi_restore s9
        .cfi_restore s10
        .cfi_restore s11
        .cfi_restore s0
        .cfi_register ra, t2
        .cfi_restore fs0
        .cfi_restore fs1
        .cfi_restore fs2
        .cfi_restore fs3
        .cfi_restore fs4
        .cfi_restore fs5
        .cfi_restore fs6
        .cfi_restore fs7
        .cfi_restore fs8
        .cfi_restore fs9
        .cfi_restore fs10
        .cfi_restore fs11
        jr      t2
        .cfi_endproc
        .size   weft__context_leap, . - weft__context_leap

/*
 *      void weft__context_start(void);
 *
 * is where a new context goes on for the first time: calls entry(arg), which does not return.
 *
 *      in      s2 = entry, s1 = arg, sp a multiple of 16, s0 = 0
 *
 * Nothing is above it: the return address is undefined, so unwinding ends here, also from within the switch to it.
 */
        .globl  weft__context_start
        .hidden weft__context_start
        .type   weft__context_start, @function
        .balign 16
        .cfi_startproc
        .cfi_undefined ra
        nop                             /* unwinders look before the address that they come back to */
weft__context_start:
        mv      a0, s1
        jalr    s2
        unimp
        .cfi_endproc
        .size   weft__context_start, . - weft__context_start

        .section .note.GNU-stack, "", @progbits
