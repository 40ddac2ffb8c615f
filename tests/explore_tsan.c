/* explore_tsan.c - what the compilers call for each access where they instrument for ThreadSanitizer. */
#include "explore_core.h"
#include "explore_heap.h"

#define HERE __builtin_return_address(0)

static uint64_t
take(uint64_t old, uint64_t operand)
{
    (void)old;
    return operand;
}

static uint64_t
add(uint64_t old, uint64_t operand)
{
    return old + operand;
}

static uint64_t
sub(uint64_t old, uint64_t operand)
{
    return old - operand;
}

static uint64_t or (uint64_t old, uint64_t operand)
{
    return old | operand;
}

static uint64_t and (uint64_t old, uint64_t operand)
{
    return old & operand;
}

static uint64_t xor (uint64_t old, uint64_t operand) { return old ^ operand; }

    static uint64_t nand(uint64_t old, uint64_t operand)
{
    return ~(old & operand);
}

#define UPDATE(bits, type, name, function)                                                                             \
    type __tsan_atomic##bits##_##name(volatile type *p, type v, int order)                                             \
    {                                                                                                                  \
        return (type)explore_rmw((uintptr_t)p, sizeof *p, function, v, order, #name, HERE);                            \
    }

#define ATOMIC(bits, type)                                                                                             \
    type __tsan_atomic##bits##_load(const volatile type *p, int order)                                                 \
    {                                                                                                                  \
        return (type)explore_load((uintptr_t)p, sizeof *p, order, HERE);                                               \
    }                                                                                                                  \
    void __tsan_atomic##bits##_store(volatile type *p, type v, int order)                                              \
    {                                                                                                                  \
        explore_store((uintptr_t)p, sizeof *p, v, order, HERE);                                                        \
    }                                                                                                                  \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *old, type v, int order, int failure)     \
    {                                                                                                                  \
        uint64_t expected = *old;                                                                                      \
        bool done = explore_cas((uintptr_t)p, sizeof *p, &expected, v, order, failure, HERE);                          \
        if (!done) *old = (type)expected;                                                                              \
        return done;                                                                                                   \
    }                                                                                                                  \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *p, type *old, type v, int order, int failure)       \
    {                                                                                                                  \
        return __tsan_atomic##bits##_compare_exchange_strong(p, old, v, order, failure);                               \
    }                                                                                                                  \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type old, type v, int order, int failure)        \
    {                                                                                                                  \
        uint64_t expected = old;                                                                                       \
        explore_cas((uintptr_t)p, sizeof *p, &expected, v, order, failure, HERE);                                      \
        return (type)expected;                                                                                         \
    }                                                                                                                  \
    UPDATE(bits, type, exchange, take)                                                                                 \
    UPDATE(bits, type, fetch_add, add)                                                                                 \
    UPDATE(bits, type, fetch_sub, sub)                                                                                 \
    UPDATE(bits, type, fetch_or, or)                                                                                   \
    UPDATE(bits, type, fetch_and, and)                                                                                 \
    UPDATE(bits, type, fetch_xor, xor)                                                                                 \
    UPDATE(bits, type, fetch_nand, nand)

ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void
__tsan_atomic_thread_fence(int order)
{
    explore_fence(order, HERE);
}

/* An order to the compiler, which has kept to it. */
void
__tsan_atomic_signal_fence(int order)
{
    (void)order;
}

#define PLAIN(name, size, write)                                                                                       \
    void name(void *p)                                                                                                 \
    {                                                                                                                  \
        shadow_access((uintptr_t)p, size, write, HERE);                                                                \
    }

PLAIN(__tsan_read1, 1, false)
PLAIN(__tsan_read2, 2, false)
PLAIN(__tsan_read4, 4, false)
PLAIN(__tsan_read8, 8, false)
PLAIN(__tsan_read16, 16, false)
PLAIN(__tsan_write1, 1, true)
PLAIN(__tsan_write2, 2, true)
PLAIN(__tsan_write4, 4, true)
PLAIN(__tsan_write8, 8, true)
PLAIN(__tsan_write16, 16, true)
PLAIN(__tsan_unaligned_read2, 2, false)
PLAIN(__tsan_unaligned_read4, 4, false)
PLAIN(__tsan_unaligned_read8, 8, false)
PLAIN(__tsan_unaligned_read16, 16, false)
PLAIN(__tsan_unaligned_write2, 2, true)
PLAIN(__tsan_unaligned_write4, 4, true)
PLAIN(__tsan_unaligned_write8, 8, true)
PLAIN(__tsan_unaligned_write16, 16, true)

void
__tsan_read_range(void *p, size_t size)
{
    shadow_access((uintptr_t)p, size, false, HERE);
}

void
__tsan_write_range(void *p, size_t size)
{
    shadow_access((uintptr_t)p, size, true, HERE);
}

void
__tsan_init(void)
{
}

void
__tsan_func_entry(void *caller)
{
    (void)caller;
}

void
__tsan_func_exit(void)
{
}

void *
explore_memcpy(void *to, const void *from, size_t size)
{
    shadow_access((uintptr_t)from, size, false, HERE);
    shadow_access((uintptr_t)to, size, true, HERE);
    return memcpy(to, from, size);
}

void *
explore_memmove(void *to, const void *from, size_t size)
{
    shadow_access((uintptr_t)from, size, false, HERE);
    shadow_access((uintptr_t)to, size, true, HERE);
    return memmove(to, from, size);
}

void *
explore_memset(void *to, int byte, size_t size)
{
    shadow_access((uintptr_t)to, size, true, HERE);
    return memset(to, byte, size);
}
