/* cpu.h - what differs between processors and fits in a line: pause, the return address.  [layer 0] */
#ifndef WEFT_SRC_ARCH_CPU_H
#define WEFT_SRC_ARCH_CPU_H

#define WEFT_CACHE_LINE 64

/* What assemblers call the register that holds a function's return address. */
#if defined(__x86_64__)
#define WEFT_RETURN_ADDRESS "rip"
#elif defined(__aarch64__)
#define WEFT_RETURN_ADDRESS "x30"
#elif defined(__riscv)
#define WEFT_RETURN_ADDRESS "ra"
#endif

#if defined(WEFT_MODEL)
void weft__model_pause(void); /* the explorer's (tests/explore.h): lets others go on */
#endif

/* Tells the core that this is a spin loop. */
static inline void
weft__pause(void)
{
#if defined(WEFT_MODEL)
    weft__model_pause();
#elif defined(__x86_64__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* yield does nothing on most cores; isb waits about as long as x86's pause */
#elif defined(__riscv)
    __asm__ volatile(".insn i 0x0F, 0, x0, x0, 0x010"); /* pause (Zihintpause), a hint elsewhere */
#endif
}

#endif
