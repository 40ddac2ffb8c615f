/* start_aarch64.S - the start of a test program that is all guarded by branch target identification.
 *
 * The start files of many systems are not marked for BTI, and the linker then leaves the whole program unguarded.  With
 * this instead of them, -nostartfiles, -mno-outline-atomics and -Wl,-z,force-bti, every indirect jump into Weft and its
 * tests that does not arrive at a bti is an illegal instruction, on processors and emulators that know BTI. */
        .text
        .globl  _start
        .type   _start, %function
_start:
        hint    34                      /* bti c */
        mov     x29, #0
        mov     x30, #0
        mov     x5, x0                  /* what the dynamic linker wants to have called at the end */
        ldr     x1, [sp]                /* argc */
        add     x2, sp, #8              /* argv */
        mov     x6, sp
        adrp    x0, :got:main
        ldr     x0, [x0, :got_lo12:main]
        mov     x3, #0
        mov     x4, #0
        bl      __libc_start_main
        brk     #1
        .size   _start, . - _start

        /* By it the C library knows who registers handlers: here, the program itself. */
        .section .data.rel.ro, "aw"
        .globl  __dso_handle
        .hidden __dso_handle
        .balign 8
__dso_handle:
        .xword  0

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
