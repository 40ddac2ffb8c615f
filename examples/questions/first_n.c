/* first_n.c - the first three results of twelve, whichever they are; the other tasks are not needed any more.
 *
 * Twelve tasks look for a number whose hash, with the task's own prefix, begins with many zero bits: 10 for the first task,
 * 32 for the last, which may have to look at thousands of millions.  A scope with WEFT_KEEP gives out its members in the
 * order in which they end. */
#include <stdio.h>

#include <weft.h>

enum { TASKS = 12, WANTED = 3, EASIEST = 10, STEP = 2 };

struct search {
    uint32_t prefix, found;
};

static uint32_t
hash(uint32_t prefix, uint32_t number)
{
    uint64_t h = ((uint64_t)prefix << 32 | number) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(h >> 32);
}

static bool
is_good(uint32_t prefix, uint32_t number)
{
    return hash(prefix, number) >> (32 - EASIEST - STEP * prefix) == 0;
}

static int
search(void *arg)
{
    struct search *s = arg;
    for (uint32_t number = 0;; number++) {
        if (is_good(s->prefix, number)) {
            s->found = number;
            return weft_return(s);
        }
        if (number % 1024 != 1023) continue;
        int code = weft_sleep(0); /* gives the others a turn; is it over? */
        if (code < 0) return code;
    }
}

/* Waits for one more member of the scope, and looks at what it found. */
static int
take_next(weft_scope *scope, bool *right)
{
    weft_task *t;
    void *value;
    int code = weft_scope_next(scope, &t);
    if (code < 0) return code;
    code = weft_fetch(t, &value);
    if (code == 0) {
        const struct search *s = value;
        *right = is_good(s->prefix, s->found);
    }
    weft_task_release(t);
    return code;
}

static int
root(void *arg)
{
    struct search *searches = arg;
    weft_scope scope;
    int code = 0;

    weft_scope_open(&scope, WEFT_KEEP, WEFT_FOREVER);
    for (uint32_t i = 0; i < TASKS && code == 0; i++) {
        searches[i].prefix = i;
        code = weft_spawn(NULL, search, &searches[i]);
    }
    for (int n = 1; n <= WANTED && code == 0; n++) {
        bool right = false;
        code = take_next(&scope, &right);
        printf("result %d: %s\n", n, right ? "right" : "wrong");
    }
    weft_scope_cancel(&scope, 0); /* the others */
    code = weft_scope_close(&scope, code);
    printf("closed: %s\n", code == 0 ? "all have ended" : weft_error_text(code));
    return code;
}

int
main(void)
{
    static struct search searches[TASKS];
    return weft_run(NULL, root, searches) < 0;
}
