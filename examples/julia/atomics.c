/* atomics.c - counting from many tasks at once.
 *
 * Julia: Threads.Atomic, atomic_add!, @atomic.  C11 has them itself. */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

static int
count(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++) atomic_fetch_add((atomic_int *)ctx, 1);
    return 0;
}

static int
root(void *arg)
{
    atomic_int *acc = arg;
    int code = weft_for(0, 1000, 1, count, acc);
    printf("%d\n", atomic_load(acc));
    return code;
}

int
main(void)
{
    atomic_int acc = 0;
    return weft_run(NULL, root, &acc) < 0;
}
