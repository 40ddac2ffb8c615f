/* test_context.c - the switch between contexts, without a scheduler: what it keeps, where it ends. */
#include "test.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/valgrind.h"
#include "bits.h"
#include "context.h"

enum { STACK = 256 * 1024 };

/* A context with a stack of its own, and the thread that it switches back to. */
struct fixture {
    struct machine_context thread, context;
    char *stack;
    uint32_t valgrind;
    void (*body)(struct fixture *f);
    uint64_t seen;
};

static void
go(struct fixture *f)
{
    weft__context_switch(&f->thread, &f->context, false);
}

static void
come_back(struct fixture *f)
{
    weft__context_switch(&f->context, &f->thread, false);
}

static void
enter(void *arg)
{
    struct fixture *f = arg;
    weft__context_entered(&f->context);
    f->body(f);
    weft__context_switch(&f->context, &f->thread, true);
}

static bool
open_fixture(struct fixture *f, void (*body)(struct fixture *f))
{
    memset(f, 0, sizeof *f);
    f->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!CHECK(f->stack != MAP_FAILED)) return false;
    f->valgrind = weft__valgrind_remember(f->stack, f->stack + STACK);
    f->body = body;
    weft__context_adopt(&f->thread);
    weft__context_make(&f->context, f->stack, STACK, 0, enter, f);
    return true;
}

static void
close_fixture(struct fixture *f)
{
    weft__context_forget(&f->context);
    weft__context_forget(&f->thread);
    weft__valgrind_forget(f->valgrind);
    munmap(f->stack, STACK);
}

static void
note_argument(struct fixture *f)
{
    f->seen = (uintptr_t)f;
}

TEST(context, argument, "a new context runs its entry with its argument")
{
    struct fixture f;
    if (!open_fixture(&f, note_argument)) return;
    go(&f);
    CHECK_INT(f.seen, (uintptr_t)&f);
    close_fixture(&f);
}

static void
note_stack(struct fixture *f)
{
    /* Stores that fault at an address that is no multiple of 16, whatever the compiler thinks of the stack. */
    _Alignas(16) char slot[16];
#if defined(__x86_64__)
    __asm__ volatile("movaps %%xmm0, %0" : "=m"(slot));
#elif defined(__aarch64__)
    __asm__ volatile("str q0, [sp, #-16]" ::: "memory");
#elif defined(__riscv)
    uintptr_t sp; /* no instruction minds */
    __asm__ volatile("mv %0, sp" : "=r"(sp));
    CHECK_INT(sp % 16, 0);
#endif
    f->seen = (uintptr_t)__builtin_frame_address(0);
    CHECK_INT((uintptr_t)slot % 16, 0);
}

TEST(context, alignment, "the stack pointer is aligned at the entry, whatever part of the top is in use")
{
    for (size_t used = 0; used <= 160; used += 16) {
        struct fixture f;
        if (!open_fixture(&f, note_stack)) return;
        memset(f.stack + STACK - 160, 0x5a, 160);
        weft__context_make(&f.context, f.stack, STACK, used, enter, &f);
        go(&f);
        CHECK(f.seen > (uintptr_t)f.stack && f.seen <= (uintptr_t)f.stack + STACK - used);
        for (size_t i = 0; i < used; i++) {
            if (!CHECK(f.stack[STACK - 1 - i] == 0x5a)) break;
        }
        close_fixture(&f);
    }
}

/* Calls fn(f) with a sentinel in every register that a function keeps; returns a bit for each that was lost. */
static uint64_t
sentinels_lost(void (*fn)(struct fixture *f), struct fixture *f)
{
    uint64_t lost = 0;
#if defined(__x86_64__)
    __asm__ volatile("subq $128, %%rsp\n\t" /* the red zone */
                     "pushq %%rbp\n\t"
                     "pushq %%rbp\n\t"
                     "movq $0x11111111, %%rbx\n\t"
                     "movq $0x22222222, %%rbp\n\t"
                     "movq $0x33333333, %%r12\n\t"
                     "movq $0x44444444, %%r13\n\t"
                     "movq $0x55555555, %%r14\n\t"
                     "movq $0x66666666, %%r15\n\t"
                     "movq %%rsp, %%rax\n\t"
                     "andq $-16, %%rsp\n\t"
                     "pushq %%rax\n\t"
                     "pushq %%rax\n\t"
                     "callq *%%rcx\n\t"
                     "popq %%rax\n\t"
                     "popq %%rsp\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "cmpq $0x11111111, %%rbx\n\t je 1f\n\t orq $1, %%rax\n\t"
                     "1: cmpq $0x22222222, %%rbp\n\t je 1f\n\t orq $2, %%rax\n\t"
                     "1: cmpq $0x33333333, %%r12\n\t je 1f\n\t orq $4, %%rax\n\t"
                     "1: cmpq $0x44444444, %%r13\n\t je 1f\n\t orq $8, %%rax\n\t"
                     "1: cmpq $0x55555555, %%r14\n\t je 1f\n\t orq $16, %%rax\n\t"
                     "1: cmpq $0x66666666, %%r15\n\t je 1f\n\t orq $32, %%rax\n\t"
                     "1: popq %%rbp\n\t"
                     "popq %%rbp\n\t"
                     "subq $-128, %%rsp"
                     : "=&a"(lost), "+D"(f), "+c"(fn)
                     :
                     : "memory", "cc", "rbx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15");
#elif defined(__aarch64__)
    uint64_t out[20];
    register void (*x9)(struct fixture *) __asm__("x9") = fn;
    register struct fixture *x0 __asm__("x0") = f;
    register uint64_t *x10 __asm__("x10") = out;
    __asm__ volatile("stp x29, x19, [sp, #-32]!\n\t"
                     "str x10, [sp, #16]\n\t"
                     "mov x19, #19\n\t mov x20, #20\n\t mov x21, #21\n\t mov x22, #22\n\t mov x23, #23\n\t"
                     "mov x24, #24\n\t mov x25, #25\n\t mov x26, #26\n\t mov x27, #27\n\t mov x28, #28\n\t"
                     "mov x29, #29\n\t"
                     "fmov d8, #8.0\n\t fmov d9, #9.0\n\t fmov d10, #10.0\n\t fmov d11, #11.0\n\t"
                     "fmov d12, #12.0\n\t fmov d13, #13.0\n\t fmov d14, #14.0\n\t fmov d15, #15.0\n\t"
                     "blr x9\n\t"
                     "ldr x10, [sp, #16]\n\t"
                     "fcvtzu x11, d8\n\t fcvtzu x12, d9\n\t stp x11, x12, [x10, #88]\n\t"
                     "fcvtzu x11, d10\n\t fcvtzu x12, d11\n\t stp x11, x12, [x10, #104]\n\t"
                     "fcvtzu x11, d12\n\t fcvtzu x12, d13\n\t stp x11, x12, [x10, #120]\n\t"
                     "fcvtzu x11, d14\n\t fcvtzu x12, d15\n\t stp x11, x12, [x10, #136]\n\t"
                     "stp x19, x20, [x10]\n\t stp x21, x22, [x10, #16]\n\t stp x23, x24, [x10, #32]\n\t"
                     "stp x25, x26, [x10, #48]\n\t stp x27, x28, [x10, #64]\n\t str x29, [x10, #80]\n\t"
                     "ldp x29, x19, [sp], #32"
                     : "+r"(x9), "+r"(x0), "+r"(x10)
                     :
                     : "memory", "cc", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x11", "x12", "x13", "x14",
                       "x15", "x16", "x17", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "v0",
                       "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
                       "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
                       "v30", "v31");
    for (unsigned i = 0; i < 11; i++) lost |= (uint64_t)(out[i] != 19 + i) << i;
    for (unsigned i = 0; i < 8; i++) lost |= (uint64_t)(out[11 + i] != 8 + i) << (11 + i);
#elif defined(__riscv)
    uint64_t out[24];
    register void (*t0)(struct fixture *) __asm__("t0") = fn;
    register struct fixture *a0 __asm__("a0") = f;
    register uint64_t *a1 __asm__("a1") = out;
    __asm__ volatile("addi sp, sp, -32\n\t sd s0, 0(sp)\n\t sd s1, 8(sp)\n\t sd a1, 16(sp)\n\t"
                     "li s0, 100\n\t li s1, 101\n\t li s2, 102\n\t li s3, 103\n\t li s4, 104\n\t li s5, 105\n\t"
                     "li s6, 106\n\t li s7, 107\n\t li s8, 108\n\t li s9, 109\n\t li s10, 110\n\t li s11, 111\n\t"
                     "fmv.d.x fs0, s0\n\t fmv.d.x fs1, s1\n\t fmv.d.x fs2, s2\n\t fmv.d.x fs3, s3\n\t"
                     "fmv.d.x fs4, s4\n\t fmv.d.x fs5, s5\n\t fmv.d.x fs6, s6\n\t fmv.d.x fs7, s7\n\t"
                     "fmv.d.x fs8, s8\n\t fmv.d.x fs9, s9\n\t fmv.d.x fs10, s10\n\t fmv.d.x fs11, s11\n\t"
                     "jalr t0\n\t"
                     "ld a1, 16(sp)\n\t"
                     "sd s0, 0(a1)\n\t sd s1, 8(a1)\n\t sd s2, 16(a1)\n\t sd s3, 24(a1)\n\t sd s4, 32(a1)\n\t"
                     "sd s5, 40(a1)\n\t sd s6, 48(a1)\n\t sd s7, 56(a1)\n\t sd s8, 64(a1)\n\t sd s9, 72(a1)\n\t"
                     "sd s10, 80(a1)\n\t sd s11, 88(a1)\n\t"
                     "fsd fs0, 96(a1)\n\t fsd fs1, 104(a1)\n\t fsd fs2, 112(a1)\n\t fsd fs3, 120(a1)\n\t"
                     "fsd fs4, 128(a1)\n\t fsd fs5, 136(a1)\n\t fsd fs6, 144(a1)\n\t fsd fs7, 152(a1)\n\t"
                     "fsd fs8, 160(a1)\n\t fsd fs9, 168(a1)\n\t fsd fs10, 176(a1)\n\t fsd fs11, 184(a1)\n\t"
                     "ld s0, 0(sp)\n\t ld s1, 8(sp)\n\t addi sp, sp, 32"
                     : "+r"(t0), "+r"(a0), "+r"(a1)
                     :
                     : "memory", "ra", "a2", "a3", "a4", "a5", "a6", "a7", "t1", "t2", "t3", "t4", "t5", "t6", "s2",
                       "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "ft0", "ft1", "ft2", "ft3", "ft4", "ft5",
                       "ft6", "ft7", "ft8", "ft9", "ft10", "ft11", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5", "fa6",
                       "fa7", "fs0", "fs1", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11");
    for (unsigned i = 0; i < 24; i++) lost |= (uint64_t)(out[i] != 100 + i % 12) << i;
#endif
    return lost;
}

/* Loses the first of them, so that a sentinel is seen to be lost. */
void lose_one(struct fixture *f);
__asm__(".text\n"
        ".globl lose_one\n"
        ".hidden lose_one\n"
        "lose_one:\n"
#if defined(__x86_64__)
        "endbr64\n"
        "xorl %ebx, %ebx\n"
#elif defined(__aarch64__)
        "hint 34\n" /* bti c */
        "mov x19, #0\n"
#elif defined(__riscv)
        "li s0, 0\n"
#endif
        "ret");

static void
overwrite_all(void)
{
#if defined(__x86_64__)
    __asm__ volatile("xorl %%ebx, %%ebx\n\t"
                     "xorl %%r12d, %%r12d\n\t"
                     "xorl %%r13d, %%r13d\n\t"
                     "xorl %%r14d, %%r14d\n\t"
                     "xorl %%r15d, %%r15d"
                     :
                     :
                     : "cc", "rbx", "r12", "r13", "r14", "r15");
#elif defined(__aarch64__)
    __asm__ volatile("mov x20, #0\n\t mov x21, #0\n\t mov x22, #0\n\t mov x23, #0\n\t mov x24, #0\n\t"
                     "mov x25, #0\n\t mov x26, #0\n\t mov x27, #0\n\t mov x28, #0\n\t"
                     "fmov d8, xzr\n\t fmov d9, xzr\n\t fmov d10, xzr\n\t fmov d11, xzr\n\t"
                     "fmov d12, xzr\n\t fmov d13, xzr\n\t fmov d14, xzr\n\t fmov d15, xzr"
                     :
                     :
                     : "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "v8", "v9", "v10", "v11", "v12",
                       "v13", "v14", "v15");
#elif defined(__riscv)
    __asm__ volatile("li s1, 0\n\t li s2, 0\n\t li s3, 0\n\t li s4, 0\n\t li s5, 0\n\t li s6, 0\n\t"
                     "li s7, 0\n\t li s8, 0\n\t li s9, 0\n\t li s10, 0\n\t li s11, 0\n\t"
                     "fmv.d.x fs0, zero\n\t fmv.d.x fs1, zero\n\t fmv.d.x fs2, zero\n\t fmv.d.x fs3, zero\n\t"
                     "fmv.d.x fs4, zero\n\t fmv.d.x fs5, zero\n\t fmv.d.x fs6, zero\n\t fmv.d.x fs7, zero\n\t"
                     "fmv.d.x fs8, zero\n\t fmv.d.x fs9, zero\n\t fmv.d.x fs10, zero\n\t fmv.d.x fs11, zero"
                     :
                     :
                     : "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "fs0", "fs1", "fs2", "fs3",
                       "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11");
#endif
}

/* Goes to and fro, from the midst of sentinels: each side finds its own again. */
static void
switch_among_sentinels(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        f->seen |= sentinels_lost(come_back, f);
        overwrite_all();
    }
}

TEST(context, sentinels, "every callee-saved register comes back as it was, on both sides of a switch")
{
    struct fixture f;
    if (!open_fixture(&f, switch_among_sentinels)) return;
    for (int i = 0; i < 4; i++) CHECK_INT(sentinels_lost(go, &f), 0);
    CHECK_INT(f.seen, 0);
    CHECK_INT(sentinels_lost(lose_one, &f), 1);
    close_fixture(&f);
}

static void
count_up(struct fixture *f)
{
    for (;;) {
        f->seen++;
        come_back(f);
    }
}

TEST(context, million, "a million switches between two contexts, each goes on where it was")
{
    struct fixture f;
    if (!open_fixture(&f, count_up)) return;
    uint64_t wrong = 0;
    for (uint64_t i = 1; i <= 500000; i++) {
        go(&f);
        wrong += f.seen != i;
    }
    CHECK_INT(f.seen, 500000);
    CHECK_INT(wrong, 0);
    close_fixture(&f);
}

/* A chain of contexts that each go on to the next, so that a switch leaves for somewhere else than it came from. */
enum { RING = 16, ROUNDS = 1000 };

struct ring {
    struct machine_context thread, contexts[RING];
    int turns[RING];
};

struct ring_seat {
    struct ring *ring;
    int index;
};

static void
pass_on(void *arg)
{
    struct ring_seat *seat = arg;
    struct ring *ring = seat->ring;
    int i = seat->index;
    weft__context_entered(&ring->contexts[i]);
    for (int local = 1;; local++) {
        ring->turns[i] = local;
        bool last = i == RING - 1 && local == ROUNDS;
        struct machine_context *next = last ? &ring->thread : &ring->contexts[(i + 1) % RING];
        weft__context_switch(&ring->contexts[i], next, false);
    }
}

TEST(context, ring, "contexts in a ring go on with their own variables")
{
    static struct ring ring;
    struct ring_seat seats[RING];
    uint32_t known[RING];
    char *stacks = mmap(NULL, (size_t)RING * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!CHECK(stacks != MAP_FAILED)) return;
    weft__context_adopt(&ring.thread);
    for (int i = 0; i < RING; i++) {
        seats[i] = (struct ring_seat){&ring, i};
        known[i] = weft__valgrind_remember(stacks + (size_t)i * STACK, stacks + (size_t)(i + 1) * STACK);
        weft__context_make(&ring.contexts[i], stacks + (size_t)i * STACK, STACK, (size_t)i * 64, pass_on, &seats[i]);
    }
    weft__context_switch(&ring.thread, &ring.contexts[0], false);
    for (int i = 0; i < RING; i++) {
        CHECK_INT(ring.turns[i], ROUNDS);
        weft__context_forget(&ring.contexts[i]);
        weft__valgrind_forget(known[i]);
    }
    munmap(stacks, (size_t)RING * STACK);
}

void weft__context_start(void) __attribute__((visibility("hidden")));

static void *frames[64];
static int frame_count;

static weft__noinline void
take_backtrace(struct fixture *f)
{
    frame_count = backtrace(frames, (int)weft__countof(frames));
    f->seen = 1;
}

static bool
in_start(const void *address)
{
    uintptr_t offset = (uintptr_t)address - (uintptr_t)weft__context_start;
    return offset < 64;
}

static void
check_ends_at_start(int deepest)
{
    CHECK(frame_count >= 2);
    CHECK(frame_count <= deepest);
    CHECK(in_start(frames[frame_count - 1]));
    for (int i = 0; i + 1 < frame_count; i++) CHECK(!in_start(frames[i]));
}

TEST(context, backtrace, "the backtrace of a context ends at its start, whatever lies above that")
{
    struct fixture f;
    if (!open_fixture(&f, take_backtrace)) return;
    uintptr_t *top = (uintptr_t *)(void *)(f.stack + STACK);
    for (int i = 1; i <= 16; i++) top[-i] = (uintptr_t)go + 8; /* like the return addresses of callers */
    weft__context_make(&f.context, f.stack, STACK, 16 * sizeof *top, enter, &f);
    go(&f);
    CHECK_INT(f.seen, 1);
    check_ends_at_start(4);
    close_fixture(&f);
}

static void
switch_and_take_backtrace(struct fixture *f)
{
    come_back(f);
    take_backtrace(f);
    come_back(f);
    take_backtrace(f);
}

TEST(context, backtrace_later, "also when it has been switched away from and back to")
{
    struct fixture f;
    if (!open_fixture(&f, switch_and_take_backtrace)) return;
    for (int i = 0; i < 3; i++) go(&f);
    CHECK_INT(f.seen, 1);
    check_ends_at_start(6);
    close_fixture(&f);
}

/* How results are rounded, as the processor has it in its control words. */
#if defined(__x86_64__)
enum rounding { NEAREST, DOWN, UP, TO_ZERO };
#elif defined(__riscv)
enum rounding { NEAREST, TO_ZERO, DOWN, UP };
#else
enum rounding { NEAREST, UP, DOWN, TO_ZERO };
#endif

static void
set_rounding(enum rounding rounding)
{
    uint64_t words = weft__fpenv_read(), bits = rounding;
#if defined(__x86_64__)
    words = (words & ~(UINT64_C(3) << 13 | UINT64_C(3) << 42)) | bits << 13 | bits << 42;
#elif defined(__riscv)
    words = (words & ~(UINT64_C(7) << 5)) | bits << 5;
#else
    words = (words & ~(UINT64_C(3) << 22)) | bits << 22;
#endif
    weft__fpenv_write(words);
}

/* What rounding makes of sums that lie next to 1 and -1.  All are volatile, so that they are summed up at run time. */
static volatile double one = 1, minus_one = -1, tiny = 1e-30, sums[3];

static weft__noinline enum rounding
get_rounding(void)
{
    sums[0] = one + tiny;
    sums[1] = minus_one - tiny;
    sums[2] = one - tiny;
    return sums[0] > 1 ? UP : sums[1] < -1 ? DOWN : sums[2] < 1 ? TO_ZERO : NEAREST;
}

#if defined(__x86_64__)
static volatile long double long_one = 1, long_minus_one = -1, long_tiny = 1e-30L, long_sums[3];
#endif

/* On x86-64 this has a control word of its own. */
static weft__noinline enum rounding
get_long_rounding(void)
{
#if defined(__x86_64__)
    long_sums[0] = long_one + long_tiny;
    long_sums[1] = long_minus_one - long_tiny;
    long_sums[2] = long_one - long_tiny;
    return long_sums[0] > 1 ? UP : long_sums[1] < -1 ? DOWN : long_sums[2] < 1 ? TO_ZERO : NEAREST;
#else
    return get_rounding();
#endif
}

static void
check_rounding(enum rounding expected)
{
    CHECK_INT(get_rounding(), expected);
    CHECK_INT(get_long_rounding(), expected);
}

static void
round_up_and_switch(struct fixture *f)
{
    check_rounding(NEAREST);
    set_rounding(UP);
    weft__context_switch_fpenv(&f->context, &f->thread, false);
    check_rounding(UP);
    f->seen = 1;
    set_rounding(TO_ZERO);
    weft__context_switch_fpenv(&f->context, &f->thread, true);
}

TEST(context, fpenv, "floating-point control words belong to a context that asks for it")
{
    struct fixture f;
    set_rounding(NEAREST);
    if (!open_fixture(&f, round_up_and_switch)) return;
    go(&f);
    check_rounding(NEAREST);
    set_rounding(DOWN);
    weft__context_switch_fpenv(&f.thread, &f.context, false);
    check_rounding(DOWN);
    CHECK_INT(f.seen, 1);
    set_rounding(NEAREST);
    close_fixture(&f);
}

static void
expect_up(struct fixture *f)
{
    check_rounding(UP);
    f->seen = 1;
}

TEST(context, fpenv_common, "other contexts find the control words of the thread that was adopted")
{
    struct fixture f;
    set_rounding(UP);
    if (!open_fixture(&f, expect_up)) return;
    set_rounding(DOWN);
    weft__context_switch_fpenv(&f.thread, &f.context, false);
    check_rounding(DOWN);
    CHECK_INT(f.seen, 1);
    set_rounding(NEAREST);
    weft__context_adopt(&f.thread);
    close_fixture(&f);
}

#if defined(WEFT_DEBUG)
static void
leave_with_changed_words(struct fixture *f)
{
    set_rounding(UP);
    come_back(f);
}

static void
run_changed_words(void)
{
    struct fixture f;
    if (open_fixture(&f, leave_with_changed_words)) go(&f);
}

TEST(context, fpenv_unasked, "a debug build stops a context that leaves with changed control words and did not ask")
{
    CHECK(test_dies(run_changed_words, "WEFT_FPENV"));
}
#endif

static volatile uintptr_t signal_stack;
static volatile sig_atomic_t signals;

static void
on_signal(int number)
{
    (void)number;
    signal_stack = (uintptr_t)__builtin_frame_address(0);
    signals = signals + 1;
}

static void
raise_in_context(struct fixture *f)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 100; i++) {
        raise(SIGUSR1);
        sum += i;
        come_back(f);
    }
    f->seen = sum;
}

TEST(context, signals, "a signal is handled on the context's stack, and the context goes on")
{
    struct fixture f;
    struct sigaction action = {.sa_handler = on_signal}, before;
    if (!open_fixture(&f, raise_in_context)) return;
    signals = 0;
    sigaction(SIGUSR1, &action, &before);
    for (int i = 1; i <= 100; i++) {
        go(&f);
        CHECK_INT(signals, i);
        CHECK(signal_stack > (uintptr_t)f.stack && signal_stack < (uintptr_t)f.stack + STACK);
    }
    go(&f);
    CHECK_INT(f.seen, 99 * 100 / 2);
    sigaction(SIGUSR1, &before, NULL);
    close_fixture(&f);
}

static void *
go_elsewhere(void *arg)
{
    struct fixture *f = arg;
    weft__context_adopt(&f->thread);
    go(f);
    weft__context_forget(&f->thread);
    return NULL;
}

TEST(context, migration, "a context goes on on other threads than the one that it began on")
{
    enum { THREADS = 8 };
    struct fixture f;
    if (!open_fixture(&f, count_up)) return;
    go(&f);
    for (uint64_t i = 2; i <= THREADS; i++) {
        pthread_t thread;
        if (!CHECK(pthread_create(&thread, NULL, go_elsewhere, &f) == 0)) break;
        pthread_join(thread, NULL);
        CHECK_INT(f.seen, i);
    }
    weft__context_adopt(&f.thread);
    go(&f);
    CHECK_INT(f.seen, THREADS + 1);
    close_fixture(&f);
}

TEST(context, reuse, "a stack serves one context after the other")
{
    struct fixture f;
    if (!open_fixture(&f, note_argument)) return;
    for (int i = 0; i < 1000; i++) {
        f.seen = 0;
        weft__context_forget(&f.context);
        weft__context_make(&f.context, f.stack, STACK, (size_t)(i % 32) * 64, enter, &f);
        go(&f);
        if (!CHECK_INT(f.seen, (uintptr_t)&f)) break;
    }
    close_fixture(&f);
}
