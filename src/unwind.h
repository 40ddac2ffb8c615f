/* unwind.h - the return addresses on the stack of a context that is switched away.  [layer 1]
 *
 * The essay is in unwind.c.  Everything is async-signal-safe. */
#ifndef WEFT_SRC_UNWIND_H
#define WEFT_SRC_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

/* Where to look: only memory from low to high is read as stack.  Code from pass to pass_end may say that it has no caller,
 * and is passed over nevertheless: exceptions stop where a task begins, backtraces go on to the task below. */
struct unwind {
    const void *low, *high;
    const char *pass, *pass_end;
};

/* The addresses at which the frames above sp, a saved stack pointer (struct machine_context), go on: the innermost
 * first, at most `most` of them.  The context may be running meanwhile: then they are anything, or none. */
int weft__unwind(const struct unwind *u, const void *sp, uintptr_t *pcs, int most);

/* What a code address belongs to: the program ("" as its name) or a shared object, and the difference between its
 * addresses in memory and in the file. */
struct module {
    const char *name;
    uintptr_t bias;
};
bool weft__module_of(uintptr_t pc, struct module *m);

#endif
