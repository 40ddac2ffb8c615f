/* sort.h - a parallel sort of one type, with a comparison that the compiler can inline.
 *
 *     #define WEFT_SORT_NAME sort_keys
 *     #define WEFT_SORT_TYPE uint64_t
 *     #define WEFT_SORT_LESS(a, b, ctx) (*(a) < *(b))
 *     #include <weft/sort.h>
 *
 * defines `static int sort_keys(uint64_t *base, size_t n, void *ctx)`, which does what weft_sort does, and returns what that
 * returns.  LESS is an expression: whether *a must come before *b; ctx is what sort_keys was given.  The header may be included
 * any number of times, with another name each; the three macros are undefined afterwards.  Without them it only declares what
 * such sorts are made of.
 *
 * The parts of a sort: weft_sort_by calls them from several tasks at the same time, each with places of its own. */
#ifndef WEFT_SORT_H
#define WEFT_SORT_H

#include <weft/base.h>

WEFT_BEGIN

typedef struct weft_sort_parts {
    size_t size; /* of an element */
    /* Sorts the n elements at base; leaves them there, or at scratch, which has room for as many: as in_scratch says. */
    void (*run)(void *base, void *scratch, size_t n, bool in_scratch, void *ctx);
    /* Merges two sorted runs to `to`; of equals those of a come first. */
    void (*merge)(void *to, const void *a, size_t na, const void *b, size_t nb, void *ctx);
    /* How many of the first k elements of such a merge come from a. */
    size_t (*rank)(const void *a, size_t na, const void *b, size_t nb, size_t k, void *ctx);
} weft_sort_parts;

/* As weft_sort, with the parts of one type.                                                                      [C]
 * Codes as for weft_sort; WEFT_EINVAL also if a part is missing. */
WEFT_API WEFT_MUSTUSE int weft_sort_by(void *base, size_t n, const weft_sort_parts *parts, void *ctx);

/* b if second is 1, a if it is 0, without a branch: what comes next is as good as random, and a compiler may not know. */
static inline const void *
weft_sort__choose(const void *a, const void *b, size_t second)
{
    uintptr_t mask = (uintptr_t)0 - second;
#ifdef __GNUC__
    __asm__("" : "+r"(mask));
#endif
    return (const void *)((uintptr_t)a ^ (((uintptr_t)a ^ (uintptr_t)b) & mask));
}

WEFT_END
#endif

#if defined(WEFT_SORT_NAME) && defined(WEFT_SORT_TYPE) && defined(WEFT_SORT_LESS)

#define WEFT_SORT__PASTE(a, b) a##b
#define WEFT_SORT__NAME(a, b) WEFT_SORT__PASTE(a, b)
#define WEFT_SORT__(name) WEFT_SORT__NAME(WEFT_SORT_NAME, __##name)

typedef WEFT_SORT_TYPE WEFT_SORT__(type);

static inline bool
WEFT_SORT__(less)(const WEFT_SORT__(type) * a, const WEFT_SORT__(type) * b, void *ctx)
{
    (void)ctx;
    return WEFT_SORT_LESS(a, b, ctx);
}

/* Merges without a look at both ends at once: whatever the comparison says, each element comes once. */
static inline void
WEFT_SORT__(merge_plainly)(WEFT_SORT__(type) * to, const WEFT_SORT__(type) * a, const WEFT_SORT__(type) * a_end,
                           const WEFT_SORT__(type) * b, const WEFT_SORT__(type) * b_end, void *ctx)
{
    while (a < a_end && b < b_end) *to++ = WEFT_SORT__(less)(b, a, ctx) ? *b++ : *a++;
    while (a < a_end) *to++ = *a++;
    while (b < b_end) *to++ = *b++;
}

/* From both ends at once: two chains of comparisons that do not wait for each other, without branches.  The shorter run
 * bounds how far that goes without a look at the ends. */
static inline void
WEFT_SORT__(merge_runs)(WEFT_SORT__(type) * to, const WEFT_SORT__(type) * a, size_t na, const WEFT_SORT__(type) * b,
                        size_t nb, void *ctx)
{
    const WEFT_SORT__(type) *low_a = a, *low_b = b, *high_a = a + na, *high_b = b + nb;
    WEFT_SORT__(type) *low = to, *high = to + na + nb;
    while (low_a < high_a && low_b < high_b) {
        size_t left_a = (size_t)(high_a - low_a), left_b = (size_t)(high_b - low_b);
        size_t steps = left_a < left_b ? left_a : left_b;
        for (size_t i = 0; i < steps; i++) {
            size_t second = WEFT_SORT__(less)(low_b, low_a, ctx);
            *low++ = *(const WEFT_SORT__(type) *)weft_sort__choose(low_a, low_b, second);
            low_b += second;
            low_a += 1 - second;
            size_t first = WEFT_SORT__(less)(high_b - 1, high_a - 1, ctx);
            *--high = ((const WEFT_SORT__(type) *)weft_sort__choose(high_b, high_a, first))[-1];
            high_a -= first;
            high_b -= 1 - first;
        }
        if (low_a > high_a || low_b > high_b) { /* it contradicts itself */
            WEFT_SORT__(merge_plainly)(to, a, a + na, b, b + nb, ctx);
            return;
        }
    }
    while (low_a < high_a) *low++ = *low_a++;
    while (low_b < high_b) *low++ = *low_b++;
}

static void
WEFT_SORT__(merge)(void *to, const void *a, size_t na, const void *b, size_t nb, void *ctx)
{
    const WEFT_SORT__(type) *x = (const WEFT_SORT__(type) *)a, *y = (const WEFT_SORT__(type) *)b;
    WEFT_SORT__(type) *out = (WEFT_SORT__(type) *)to;
    if (na == 0 || nb == 0 || !WEFT_SORT__(less)(y, x + na - 1, ctx)) { /* in order as they are */
        for (size_t i = 0; i < na; i++) out[i] = x[i];
        for (size_t i = 0; i < nb; i++) out[na + i] = y[i];
    } else {
        WEFT_SORT__(merge_runs)(out, x, na, y, nb, ctx);
    }
}

static size_t
WEFT_SORT__(rank)(const void *a, size_t na, const void *b, size_t nb, size_t k, void *ctx)
{
    const WEFT_SORT__(type) *x = (const WEFT_SORT__(type) *)a, *y = (const WEFT_SORT__(type) *)b;
    size_t least = k > nb ? k - nb : 0, most = k < na ? k : na;
    while (least < most) {
        size_t i = least + (most - least) / 2;
        if (WEFT_SORT__(less)(y + (k - i - 1), x + i, ctx)) most = i;
        else least = i + 1;
    }
    return least;
}

/* Four elements by five comparisons without branches; to may be v. */
static inline void
WEFT_SORT__(four)(WEFT_SORT__(type) * to, const WEFT_SORT__(type) * v, void *ctx)
{
    bool c1 = WEFT_SORT__(less)(v + 1, v, ctx), c2 = WEFT_SORT__(less)(v + 3, v + 2, ctx);
    const WEFT_SORT__(type) *a = v + c1, *b = v + !c1, *c = v + 2 + c2, *d = v + 2 + !c2;
    bool c3 = WEFT_SORT__(less)(c, a, ctx), c4 = WEFT_SORT__(less)(d, b, ctx);
    const WEFT_SORT__(type) *left = c3 ? a : c4 ? c : b, *right = c4 ? d : c3 ? b : c;
    bool c5 = WEFT_SORT__(less)(right, left, ctx);
    WEFT_SORT__(type) least = c3 ? *c : *a, low = c5 ? *right : *left, high = c5 ? *left : *right, most = c4 ? *b : *d;
    to[0] = least;
    to[1] = low;
    to[2] = high;
    to[3] = most;
}

/* At most four, one by one. */
static inline void
WEFT_SORT__(few)(WEFT_SORT__(type) * to, const WEFT_SORT__(type) * v, size_t n, void *ctx)
{
    for (size_t i = 0; i < n; i++) {
        WEFT_SORT__(type) x = v[i];
        size_t k = i;
        for (; k > 0 && WEFT_SORT__(less)(&x, &to[k - 1], ctx); k--) to[k] = to[k - 1];
        to[k] = x;
    }
}

/* Fours, then runs of twice the length in each pass, from one place to the other. */
static void
WEFT_SORT__(run)(void *base, void *scratch, size_t n, bool in_scratch, void *ctx)
{
    WEFT_SORT__(type) *v = (WEFT_SORT__(type) *)base, *from = v, *to = (WEFT_SORT__(type) *)scratch;
    bool odd = false;
    for (size_t width = 4; width < n; width *= 2) odd = !odd;
    if (odd != in_scratch) {
        from = to;
        to = v;
    }
    for (size_t i = 0; i < n; i += 4) {
        if (n - i >= 4) WEFT_SORT__(four)(from + i, v + i, ctx);
        else WEFT_SORT__(few)(from + i, v + i, n - i, ctx);
    }
    for (size_t width = 4; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t na = n - i < width ? n - i : width, nb = n - i - na < width ? n - i - na : width;
            if (width < 32) WEFT_SORT__(merge_runs)(to + i, from + i, na, from + i + na, nb, ctx);
            else WEFT_SORT__(merge)(to + i, from + i, na, from + i + na, nb, ctx);
        }
        WEFT_SORT__(type) *last = from;
        from = to;
        to = last;
    }
}

WEFT_MUSTUSE static inline int
WEFT_SORT_NAME(WEFT_SORT__(type) * base, size_t n, void *ctx)
{
    static const weft_sort_parts parts = {sizeof(WEFT_SORT__(type)), WEFT_SORT__(run), WEFT_SORT__(merge),
                                          WEFT_SORT__(rank)};
    return weft_sort_by(base, n, &parts, ctx);
}

#undef WEFT_SORT__
#undef WEFT_SORT__NAME
#undef WEFT_SORT__PASTE
#undef WEFT_SORT_NAME
#undef WEFT_SORT_TYPE
#undef WEFT_SORT_LESS
#endif
