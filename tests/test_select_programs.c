/* test_select_programs.c - Go's test programs that are networks of goroutines, re-created: prime sieves, power series by
 * demand, a chain of very many tasks.
 *
 * Their tasks never end by themselves.  They are daemons here: the end of the runtime cancels them, wherever they are parked; what
 * they made is freed after that. */
#include <stdlib.h>

#include "select_kit.h"

/* ---- Networks ---- */

/* Everything that a network has made; more is added at the front, by any task. */
struct block {
    struct block *next;
    weft_channel *channel;
    _Alignas(16) char data[];
};

static _Atomic(struct block *) blocks;

static struct block *
new_block(size_t size)
{
    struct block *b = calloc(1, sizeof *b + size);
    if (!b) abort();
    b->next = atomic_load(&blocks);
    while (!atomic_compare_exchange_weak(&blocks, &b->next, b)) continue;
    return b;
}

static weft_channel *
wire_of(size_t elem_size, size_t capacity)
{
    struct block *b = new_block(0);
    if (weft_channel_new(&b->channel, elem_size, capacity)) abort();
    return b->channel;
}

static weft_channel *
wire(size_t capacity)
{
    return wire_of(sizeof(int64_t), capacity);
}

/* Go's go statement: the arguments are copied. */
static void
go(weft_fn *fn, const void *args, size_t size)
{
    weft_task_options opt = {.size = sizeof opt, .flags = WEFT_DAEMON};
    struct block *b = new_block(size);
    memcpy(b->data, args, size);
    int rc = weft_spawn_with(NULL, fn, b->data, &opt);
    CHECK(rc == 0 || rc == WEFT_ECANCELED || rc == WEFT_ESHUTDOWN); /* others may still build when all ends */
}

static void
free_blocks(void)
{
    for (struct block *b = atomic_exchange(&blocks, NULL), *next; b; b = next) {
        next = b->next;
        weft_channel_release(b->channel);
        free(b);
    }
}

/* A test whose body is the root task of a network. */
#define NETWORK_TEST(suite, id, sentence)                                                                              \
    static int suite##_##id##_network(void *unused);                                                                   \
    TEST(suite, id, sentence)                                                                                          \
    {                                                                                                                  \
        CHECK_INT(weft_run(NULL, suite##_##id##_network, NULL), 0);                                                    \
        free_blocks();                                                                                                 \
    }                                                                                                                  \
    static int suite##_##id##_network(void *unused)

/* ---- goroutines: a chain ---- */

struct hop {
    weft_channel *from, *to;
};

static int
pass_on(void *arg)
{
    struct hop *h = arg;
    int64_t v = take(h->from);
    return v < 0 ? 0 : put(h->to, v + 1);
}

NETWORK_TEST(select_programs, goroutines, "one value goes through a chain of 10 000 tasks")
{
    int n = TEST_TSAN ? 1000 : TEST_SIM ? 30 : 10000;
    struct hop h = {wire(0), wire(0)};
    weft_channel *first = h.from;
    (void)unused;
    for (int i = 0; i < n; i++) {
        go(pass_on, &h, sizeof h);
        h = (struct hop){h.to, wire(0)};
    }
    CHECK_INT(put(first, 0), 0);
    CHECK_INT(take(h.from), n);
    return 0;
}

/* ---- sieve1: a filter for each prime ---- */

static int
count_up(void *arg)
{
    weft_channel *c = *(weft_channel **)arg;
    for (int64_t i = 2;; i++) {
        if (put(c, i)) return 0;
    }
}

struct filter {
    weft_channel *in, *out;
    int64_t prime;
};

static int
filter(void *arg)
{
    struct filter *f = arg;
    int64_t v;
    weft_channel_each(f->in, v) {
        if (v % f->prime && put(f->out, v)) break;
    }
    return 0;
}

static bool
is_prime(int64_t n)
{
    for (int64_t d = 2; d * d <= n; d++) {
        if (n % d == 0) return false;
    }
    return n > 1;
}

static int64_t
next_prime(int64_t n)
{
    do n++;
    while (!is_prime(n));
    return n;
}

/* [S193] */
NETWORK_TEST(select_programs, sieve1, "a sieve of a task for each prime gives the first 1000 primes")
{
    int primes = TEST_SIM ? 15 : TEST_SMALL ? 100 : TEST_ASAN ? 300 : 1000;
    weft_channel *c = wire(0);
    (void)unused;
    go(count_up, &c, sizeof(weft_channel *));
    for (int64_t i = 0, expected = 2; i < primes; i++, expected = next_prime(expected)) {
        struct filter f = {c, wire(0), take(c)};
        if (!CHECK_INT(f.prime, expected)) break;
        go(filter, &f, sizeof f);
        c = f.out;
    }
    return 0;
}

/* ---- sieve2: the composites are merged, by a heap of channels whose next value is known ---- */

static int
odds(void *arg)
{
    weft_channel *c = *(weft_channel **)arg;
    for (int64_t i = 5;; i += 2) {
        if (put(c, i)) return 0;
    }
}

struct multiples {
    weft_channel *out;
    int64_t prime;
};

static int
multiples(void *arg)
{
    struct multiples *m = arg;
    for (int64_t v = m->prime * m->prime;; v += 2 * m->prime) {
        if (put(m->out, v)) return 0;
    }
}

struct peeked {
    int64_t head;
    weft_channel *c;
};

enum { MOST_PRIMES = 400 };

struct heap {
    struct peeked at[MOST_PRIMES];
    size_t n;
};

static void
heap_push(struct heap *h, struct peeked p)
{
    size_t i = h->n++;
    for (; i > 0 && h->at[(i - 1) / 2].head > p.head; i = (i - 1) / 2) h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = p;
}

static struct peeked
heap_pop(struct heap *h)
{
    struct peeked top = h->at[0], last = h->at[--h->n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && h->at[child + 1].head < h->at[child].head) child++;
        if (last.head <= h->at[child].head) break;
        h->at[i] = h->at[child];
    }
    h->at[i] = last;
    return top;
}

struct proxy {
    weft_channel *in, *out;
};

/* Putting into in never parks for long: what out does not take yet is kept, in a ring that grows. */
static int
send_proxy(void *arg)
{
    struct proxy *p = arg;
    size_t places = 16, head = 0, tail = 0;
    int64_t *ring = calloc(places, sizeof *ring), in = 0;
    while (ring) {
        int64_t *oldest = &ring[head % places];
        weft_case cases[] = {WEFT_TAKE(p->in, &in), WEFT_PUT(head < tail ? p->out : NULL, oldest)};
        int k = weft_select(cases, 2, 0);
        if (k < 0 || cases[k].rc) break;
        if (k == 1) {
            head++;
            continue;
        }
        if (tail - head == places) {
            int64_t *more = calloc(2 * places, sizeof *more);
            if (!more) break;
            for (size_t i = head; i < tail; i++) more[i - head] = ring[i % places];
            free(ring);
            ring = more;
            tail -= head;
            head = 0;
            places *= 2;
        }
        ring[tail++ % places] = in;
    }
    free(ring);
    return 0;
}

struct sieve {
    weft_channel *composites, *primes, *to_primes, *candidates, *out;
};

/* Merges the multiples of all primes that come, in order. */
static int
merge(void *arg)
{
    struct sieve *s = arg;
    struct heap *h = calloc(1, sizeof *h);
    int64_t prime;
    while (h && h->n + 1 < MOST_PRIMES && (prime = take(s->primes)) > 0) {
        struct multiples m = {wire(50), prime};
        go(multiples, &m, sizeof m);
        int64_t head = take(m.out); /* the square of the prime: everything below it comes first */
        while (h->n && h->at[0].head < head) {
            struct peeked p = heap_pop(h);
            if (put(s->composites, p.head)) goto out;
            p.head = take(p.c);
            if (p.head < 0) goto out;
            heap_push(h, p);
        }
        if (put(s->composites, head)) goto out; /* else the next prime would never come */
        head = take(m.out);
        if (head < 0) goto out;
        heap_push(h, (struct peeked){head, m.out});
    }
out:
    free(h);
    return 0;
}

static int
sift_candidates(void *arg)
{
    struct sieve *s = arg;
    int64_t p = take(s->candidates);
    if (put(s->to_primes, 3)) return 0;
    for (;;) {
        int64_t c = take(s->composites);
        if (c < 0) return 0;
        while (p < c) {
            if (put(s->to_primes, p) || put(s->out, p)) return 0;
            p = take(s->candidates);
        }
        if (p == c) p = take(s->candidates); /* c comes again if it has several factors; then p is above it */
        if (p < 0) return 0;
    }
}

/* [S193] */
NETWORK_TEST(select_programs, sieve2, "a sieve that merges composites from a heap of channels gives the primes")
{
    struct sieve s = {wire(50), wire(10), wire(10), wire(50), wire(10)};
    struct proxy p = {s.to_primes, s.primes};
    (void)unused;
    CHECK_INT(put(s.out, 2), 0);
    CHECK_INT(put(s.out, 3), 0);
    go(odds, &s.candidates, sizeof(weft_channel *));
    go(merge, &s, sizeof s);
    go(sift_candidates, &s, sizeof s);
    go(send_proxy, &p, sizeof p);
    for (int64_t i = 0, expected = 2; i < (TEST_SIM ? 12 : 100); i++, expected = next_prime(expected)) {
        if (!CHECK_INT(take(s.out), expected)) break;
    }
    return 0;
}

/* ---- powser1: power series, whose terms are computed when they are asked for ---- */

struct rat {
    int64_t num, den;
};

static int64_t
gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a < 0 ? -a : a;
}

static struct rat
ratio(int64_t num, int64_t den)
{
    int64_t g = gcd(num, den);
    return den < 0 ? (struct rat){-num / g, -den / g} : (struct rat){num / g, den / g};
}

static struct rat
rat_add(struct rat a, struct rat b)
{
    int64_t g = gcd(a.den, b.den);
    return ratio(a.num * (b.den / g) + b.num * (a.den / g), a.den * (b.den / g));
}

static struct rat
rat_mul(struct rat a, struct rat b)
{
    int64_t g = gcd(a.num, b.den), h = gcd(b.num, a.den);
    if (a.num == 0 || b.num == 0) return (struct rat){0, 1};
    return ratio((a.num / g) * (b.num / h), (a.den / h) * (b.den / g));
}

/* A series: a request on req is answered by the next coefficient on dat. */
struct series {
    weft_channel *req, *dat;
};

static struct series
series(void)
{
    return (struct series){wire(0), wire_of(sizeof(struct rat), 0)};
}

/* false: all is over.  So are the others. */
static bool
asked(struct series z)
{
    return take(z.req) >= 0;
}

static bool
answer(struct series z, struct rat r)
{
    return weft_channel_put(z.dat, &r) == 0;
}

static bool
give(struct series z, struct rat r)
{
    return asked(z) && answer(z, r);
}

static bool
get(struct series u, struct rat *r)
{
    return put(u.req, 1) == 0 && weft_channel_take(u.dat, r) == 0;
}

/* The next of both: requests and answers in whatever order they can be made.  What has been served is disabled. */
static bool
get2(struct series u, struct series v, struct rat r[2])
{
    struct series in[2] = {u, v};
    weft_channel *req[2] = {u.req, v.req}, *dat[2] = {NULL, NULL};
    int64_t one = 1;
    for (int left = 4; left > 0; left--) {
        weft_case cases[] = {WEFT_PUT(req[0], &one), WEFT_PUT(req[1], &one), WEFT_TAKE(dat[0], &r[0]),
                             WEFT_TAKE(dat[1], &r[1])};
        int k = weft_select(cases, 4, 0);
        if (k < 0 || cases[k].rc) return false;
        if (k < 2) {
            dat[k] = in[k].dat;
            req[k] = NULL;
        } else {
            dat[k - 2] = NULL;
        }
    }
    return true;
}

/* Arguments of all that makes series: from u and v, to z (and y). */
struct network {
    struct series u, v, z, y;
    struct rat c;
    int n;
    weft_channel *wait;
};

static struct series
begin_network(weft_fn *fn, struct network n)
{
    n.z = series();
    go(fn, &n, sizeof n);
    return n.z;
}

/* Both outputs give all that u gives.  z is ahead, until wait says that y has come as far: then either may be asked next.  The terms
 * that one is behind are kept in tasks of this function. */
static int
split_step(void *arg)
{
    struct network n = *(struct network *)arg;
    struct series out[2] = {n.z, n.y};
    weft_case cases[] = {WEFT_TAKE(out[0].req, NULL), WEFT_TAKE(n.wait, NULL)};
    weft_case either[] = {WEFT_TAKE(out[0].req, NULL), WEFT_TAKE(out[1].req, NULL)};
    int k = weft_select(cases, 2, 0), which = 0;
    bool both = k == 1;
    if (both) which = weft_select(either, 2, 0);
    if (k < 0 || which < 0) return 0;
    if (which == 1) {
        struct series first = out[0];
        out[0] = out[1];
        out[1] = first;
    }
    struct network next = n;
    struct rat dat;
    if (put(n.u.req, 1)) return 0;
    next.wait = wire(0);
    next.z = out[0];
    next.y = out[1];
    go(split_step, &next, sizeof next);
    if (weft_channel_take(n.u.dat, &dat) || !answer(out[0], dat)) return 0;
    if (!both && take(n.wait) < 0) return 0;
    if (!asked(out[1]) || !answer(out[1], dat)) return 0;
    return put(next.wait, 0) < 0;
}

static void
split(struct series u, struct series out[2])
{
    out[0] = series();
    out[1] = series();
    struct network n = {.u = u, .z = out[0], .y = out[1], .wait = wire(0)};
    go(split_step, &n, sizeof n);
    CHECK(put(n.wait, 0) <= 0); /* cancelled at the end */
}

static int
rep(void *arg)
{
    struct network *n = arg;
    while (give(n->z, n->c)) continue;
    return 0;
}

static int
add(void *arg)
{
    struct network *n = arg;
    struct rat r[2];
    while (asked(n->z) && get2(n->u, n->v, r) && answer(n->z, rat_add(r[0], r[1]))) continue;
    return 0;
}

/* c times u. */
static int
scale(void *arg)
{
    struct network *n = arg;
    struct rat r;
    while (asked(n->z) && get(n->u, &r) && answer(n->z, rat_mul(n->c, r))) continue;
    return 0;
}

static int
diff(void *arg)
{
    struct network *n = arg;
    struct rat r;
    if (!asked(n->z) || !get(n->u, &r)) return 0;
    for (int64_t i = 1; get(n->u, &r) && answer(n->z, rat_mul(ratio(i, 1), r)) && asked(n->z); i++) continue;
    return 0;
}

static int
integ(void *arg)
{
    struct network *n = arg;
    struct rat r;
    if (!give(n->z, n->c)) return 0;
    for (int64_t i = 1; asked(n->z) && get(n->u, &r) && answer(n->z, rat_mul(ratio(1, i), r)); i++) continue;
    return 0;
}

static struct series
added(struct series u, struct series v)
{
    return begin_network(add, (struct network){.u = u, .v = v});
}

static struct series
scaled_by(struct rat c, struct series u)
{
    return begin_network(scale, (struct network){.c = c, .u = u});
}

/* u = a + x U, v = b + x V:  u v = a b + x (a V + b U + x U V). */
static int
multiply(void *arg)
{
    struct network *n = arg;
    struct rat r[2];
    struct series uu[2], vv[2];
    if (!asked(n->z) || !get2(n->u, n->v, r) || !answer(n->z, rat_mul(r[0], r[1]))) return 0;
    split(n->u, uu);
    split(n->v, vv);
    struct series w = added(scaled_by(r[0], vv[0]), scaled_by(r[1], uu[0]));
    struct rat term;
    if (!asked(n->z) || !get(w, &term) || !answer(n->z, term)) return 0;
    struct network rest = {.u = w, .v = begin_network(multiply, (struct network){.u = uu[1], .v = vv[1]}), .z = n->z};
    return add(&rest);
}

static struct series
multiplied(struct series u, struct series v)
{
    return begin_network(multiply, (struct network){.u = u, .v = v});
}

/* u at c x^n. */
static int
substitute(void *arg)
{
    struct network *n = arg;
    struct rat r, c = {1, 1};
    while (asked(n->z) && get(n->u, &r) && answer(n->z, rat_mul(r, c))) {
        c = rat_mul(c, n->c);
        for (int i = 1; i < n->n; i++) {
            if (!give(n->z, (struct rat){0, 1})) return 0;
        }
    }
    return 0;
}

/* exp u = z with z' = z u', and 1 as the constant term: what it gives it needs itself. */
static struct series
exponential(struct series u)
{
    struct network i = {.u = series(), .z = series(), .c = {1, 1}};
    struct series z[2];
    go(integ, &i, sizeof i);
    split(i.z, z);
    struct network m = {.u = z[0], .v = begin_network(diff, (struct network){.u = u}), .z = i.u};
    go(multiply, &m, sizeof m);
    return z[1];
}

static struct series
all(int64_t c)
{
    return begin_network(rep, (struct network){.c = {c, 1}});
}

static void
check_terms(struct series u, const struct rat *expected, int n)
{
    for (int i = 0; i < n; i++) {
        struct rat r = {0, 0};
        CHECK(get(u, &r));
        if (!CHECK_INT(r.num, expected[i].num) || !CHECK_INT(r.den, expected[i].den)) return;
    }
}

enum { TERMS = 10 };

static void
check_linear(struct series u, int64_t first, int64_t step, int n)
{
    struct rat r[TERMS];
    for (int i = 0; i < TERMS; i++) r[i] = (struct rat){first + i * step, 1};
    check_terms(u, r, n);
}

/* [S194] */
NETWORK_TEST(select_programs, powser1, "power series computed by demand, with cases disabled as they are served")
{
    static const struct rat exp_ones[TERMS] = {{1, 1},    {1, 1},      {3, 2},        {13, 6},       {73, 24},
                                               {167, 40}, {4051, 720}, {37633, 5040}, {43817, 4480}, {4596553, 362880}};
    int n = TEST_SIM ? 4 : TERMS;
    struct rat r[TERMS] = {{0, 1}};
    (void)unused;
    check_linear(all(1), 1, 0, n);
    check_linear(added(all(1), all(1)), 2, 0, n);
    check_linear(added(all(1), all(2)), 3, 0, n);
    check_linear(begin_network(diff, (struct network){.u = all(1)}), 1, 1, n);
    for (int i = 1; i < TERMS; i++) r[i] = (struct rat){1, i};
    check_terms(begin_network(integ, (struct network){.u = all(1), .c = {0, 1}}), r, n);
    check_linear(scaled_by((struct rat){-1, 1}, all(2)), -2, 0, n);
    check_linear(added(all(1), scaled_by((struct rat){-1, 1}, all(2))), -1, 0, n);
    check_linear(multiplied(all(1), all(1)), 1, 1, n);
    check_terms(exponential(all(1)), exp_ones, n);
    for (int i = 0; i < TERMS; i++) r[i] = i % 2 ? (struct rat){i % 4 == 1 ? 1 : -1, i} : (struct rat){0, 1};
    struct series even = begin_network(substitute, (struct network){.u = all(1), .c = {-1, 1}, .n = 2});
    check_terms(begin_network(integ, (struct network){.u = even, .c = {0, 1}}), r, n);
    return 0;
}
