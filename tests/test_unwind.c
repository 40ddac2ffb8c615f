/* test_unwind.c - the backtrace of a context that is switched away: right if it stays, harmless if it does not. */
#include "task_kit.h"

#include <errno.h>
#include <stdlib.h>

#include "park.h"
#include "stack.h"
#include "task.h"
#include "unwind.h"

/* Each of these is alone in a section, so that an address in it can be told. */
#define IN_SECTION(name)                                                                                               \
    extern const char __start_##name[], __stop_##name[];                                                               \
    static __attribute__((noinline, section(#name))) int

#define WITHIN(name, pc) ((pc) > (uintptr_t)__start_##name && (pc) <= (uintptr_t)__stop_##name)

static _Atomic int frames_kept; /* keeps compilers from turning calls into jumps */

IN_SECTION(unwind_inner) inner(void *unused)
{
    (void)unused;
    int rc = weft_park(NULL);
    atomic_fetch_add(&frames_kept, 1);
    return rc;
}

/* A frame whose size is not known before it runs: the compiler keeps a frame pointer. */
IN_SECTION(unwind_sized) sized(int n)
{
    volatile char room[n];
    room[0] = room[n - 1] = 1;
    int rc = inner(NULL);
    return rc + room[0] - room[n - 1];
}

/* A frame that is aligned beyond what the ABI promises: the stack pointer of the caller is kept in memory. */
IN_SECTION(unwind_aligned) aligned(int n)
{
    _Alignas(256) volatile char line[256];
    line[0] = line[255] = 1;
    int rc = sized(n);
    return rc + line[0] - line[255];
}

IN_SECTION(unwind_outer) outer(void *arg)
{
    int rc = aligned((int)(uintptr_t)arg);
    atomic_fetch_add(&frames_kept, 1);
    return rc;
}

extern const char __start_weft_call[], __stop_weft_call[];

struct search {
    const weft_task *task;
    int frames;
    uintptr_t pcs[64];
};

static void
trace(struct stack *s, void *arg)
{
    struct search *search = arg;
    struct context *c = load_acquire(&s->owner); /* acquire: pairs with weft__place_new */
    uint64_t word;
    /* the look has acquired what the parked task's worker wrote */
    if (!c || weft__park_look(&c->parker, &word) != PARK_SAVED || c->task != search->task) return;
    const struct unwind bounds = {s->low, c, __start_weft_call, __stop_weft_call};
    search->frames = weft__unwind(&bounds, c->machine.sp, search->pcs, 64);
}

TEST(unwind, parked, "unwind: the frames of a parked task, from the switch to its beginning, whatever their kind")
{
    enum { INNER, SIZED, ALIGNED, OUTER, KINDS };
    CHECK_INT(weft_start(NULL), 0);
    for (uintptr_t room = 1; room < 3000; room = 3 * room + 7) {
        weft_task *t = spawned(outer, (void *)room);
        struct search found = {.task = t};
        while (found.frames == 0) {
            weft__stack_each(trace, &found);
            sched_yield();
        }
        int at = 0, kind = INNER;
        for (; at < found.frames && kind < KINDS; at++) {
            uintptr_t pc = found.pcs[at];
            if (kind == INNER     ? WITHIN(unwind_inner, pc)
                : kind == SIZED   ? WITHIN(unwind_sized, pc)
                : kind == ALIGNED ? WITHIN(unwind_aligned, pc)
                                  : WITHIN(unwind_outer, pc))
                kind++;
            else CHECK_INT(kind, INNER); /* one follows the other without a frame between */
        }
        CHECK_INT(kind, KINDS);
        CHECK(found.frames - at >= 1 && found.frames - at <= 6); /* the scheduler's own, and then the end */
        CHECK_INT(weft_schedule(t), 0);
        CHECK_INT(weft_join(t), 0);
    }
    CHECK_INT(weft_stop(), 0);
}

/* Stacks full of anything: addresses of code, of the stack itself, small numbers. */
TEST(unwind, garbage, "unwind: a stack that is not what it seems gives some addresses or none, and no harm")
{
    enum { WORDS = 512, FRAMES = 64 };
    static uintptr_t stack[WORDS + 2];
    uintptr_t pcs[FRAMES + 1];
    const uintptr_t code[] = {(uintptr_t)inner,      (uintptr_t)sized,     (uintptr_t)aligned, (uintptr_t)outer,
                              (uintptr_t)weft_start, (uintptr_t)weft_park, (uintptr_t)malloc,  (uintptr_t)qsort};
    unsigned seed = test_seed();
    int longest = 0;
    pcs[FRAMES] = 77;
    for (int round = 0; round < scaled(200000); round++) {
        for (int i = 0; i < WORDS; i++) {
            switch (dice(&seed, 4)) {
            case 0:
            case 1:
                stack[i] = code[dice(&seed, 8)] + dice(&seed, 200);
                break;
            case 2:
                stack[i] = (uintptr_t)&stack[dice(&seed, WORDS + 1)] + (dice(&seed, 8) == 0);
                break;
            default:
                stack[i] = dice(&seed, 1 << 20) << dice(&seed, 30);
            }
        }
        const uintptr_t *sp = &stack[dice(&seed, WORDS)];
        const struct unwind bounds = {stack, &stack[WORDS], __start_weft_call, __stop_weft_call};
        int n = weft__unwind(&bounds, (const char *)sp + (dice(&seed, 16) == 0), pcs, FRAMES);
        if (n > longest) longest = n;
        if (!CHECK(n >= 0 && n <= FRAMES && pcs[FRAMES] == 77)) return;
    }
    CHECK(longest > 2); /* some of it was followed */
}

TEST(unwind, modules, "unwind: an address is attributed to its module, relative to where that was loaded")
{
    struct module program, library, nowhere;
    if (!CHECK(weft__module_of((uintptr_t)outer, &program))) return;
    CHECK_STR(program.name, "");
    CHECK((uintptr_t)outer > program.bias);
    CHECK(weft__module_of((uintptr_t)program_invocation_name, &nowhere) == false);
    /* through a pointer: &malloc may be a stub of the program */
    void *(*volatile found)(size_t) = malloc;
    CHECK(weft__module_of((uintptr_t)found, &library));
    CHECK(library.name != NULL);
}
