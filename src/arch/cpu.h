/* cpu.h - what differs between processors and fits in a line: pause, prefetch.  [layer 0] */
#ifndef WEFT_SRC_ARCH_CPU_H
#define WEFT_SRC_ARCH_CPU_H

#define WEFT_CACHE_LINE 64

/* Tells the core that this is a spin loop. */
static inline void
weft__pause(void)
{
#if defined(__x86_64__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* yield does nothing on most cores; isb waits about as long as x86's pause */
#elif defined(__riscv)
    __asm__ volatile(".insn i 0x0F, 0, x0, x0, 0x010"); /* pause (Zihintpause), a hint elsewhere */
#endif
}

#endif
