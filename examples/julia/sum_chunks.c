/* sum_chunks.c - a sum in parallel without a data race: a task for each chunk, whose results are added at the end.
 *
 * Julia: tasks = map(chunks) do chunk; Threads.@spawn sum(chunk); end; sum(fetch.(tasks)).  weft_reduce is that loop. */
#include <stdio.h>

#include <weft.h>

enum { N = 1000000, CHUNKS = 8 };

struct chunk {
    int64_t first, last, sum;
};

static int
sum_chunk(void *arg)
{
    struct chunk *c = arg;
    for (int64_t i = c->first; i <= c->last; i++) c->sum += i;
    return weft_return(c);
}

static int
by_tasks(int64_t *sum)
{
    struct chunk chunks[CHUNKS];
    weft_task *t[CHUNKS];
    int code = 0;
    for (int k = 0; k < CHUNKS && code == 0; k++) {
        chunks[k] = (struct chunk){(int64_t)N * k / CHUNKS + 1, (int64_t)N * (k + 1) / CHUNKS, 0};
        code = weft_spawn(&t[k], sum_chunk, &chunks[k]);
    }
    for (int k = 0; k < CHUNKS && code == 0; k++) {
        void *value;
        code = weft_fetch(t[k], &value);
        if (code == 0) *sum += ((struct chunk *)value)->sum;
        weft_task_release(t[k]);
    }
    return code;
}

static int
sum_range(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)ctx;
    for (size_t i = begin; i < end; i++) *(int64_t *)acc += (int64_t)i;
    return 0;
}

static void
add(void *into, const void *from, void *ctx)
{
    (void)ctx;
    *(int64_t *)into += *(const int64_t *)from;
}

static int
root(void *arg)
{
    (void)arg;
    static const int64_t zero = 0;
    const weft_reduction adding = {sizeof zero, &zero, sum_range, add};
    int64_t sum = 0, reduced;
    int code = by_tasks(&sum);
    if (code == 0) code = weft_reduce(1, N + 1, 0, &adding, NULL, &reduced);
    if (code == 0) printf("by tasks: %lld\nby weft_reduce: %lld\n", (long long)sum, (long long)reduced);
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
