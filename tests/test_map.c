/* test_map.c - weft_map: every element once, in order, by as many tasks as were asked for, and how it fails. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "task_kit.h"

enum { MOST = 400 };

/* What the calls of a map have seen. */
struct record {
    weft_task *tasks[MOST]; /* the task that made each call; each is alive as long as the map */
    size_t counts[MOST];    /* and how many elements it got */
    _Atomic int calls, inside, most_inside;
    int wanted; /* tasks that there must have been before a call ends; 0: never mind */
};

static int
distinct(const struct record *r)
{
    int n = 0, calls = atomic_load(&r->calls);
    for (int i = 0; i < calls; i++) {
        int k = 0;
        while (k < i && r->tasks[k] != r->tasks[i]) k++;
        n += k == i;
    }
    return n;
}

static int
square(const void *in, void *out, size_t count, void *ctx)
{
    struct record *r = ctx;
    const int *x = in;
    long *y = out;
    int now = atomic_fetch_add(&r->inside, 1) + 1, call = atomic_fetch_add(&r->calls, 1);
    for (int most = r->most_inside; now > most && !atomic_compare_exchange_weak(&r->most_inside, &most, now);) continue;
    if (CHECK(call < MOST)) {
        r->tasks[call] = weft_current();
        r->counts[call] = count;
    }
    until(&r->calls, r->wanted);
    weft_yield();
    for (size_t i = 0; i < count; i++) y[i] = (long)x[i] * x[i];
    atomic_fetch_sub(&r->inside, 1);
    return 0;
}

/* Maps 0 .. n - 1, and checks the results. */
static void
map_squares(struct record *r, int n, const weft_map_options *opt)
{
    int x[MOST] = {0};
    long y[MOST];
    for (int i = 0; i < n; i++) {
        x[i] = i - 3;
        y[i] = -1;
    }
    CHECK_INT(weft_map(x, sizeof *x, y, sizeof *y, (size_t)n, square, r, opt), 0);
    bool right = true;
    for (int i = 0; i < n; i++) right = right && y[i] == (long)(i - 3) * (i - 3);
    CHECK(right);
    CHECK_INT(r->inside, 0);
}

/* [J183] */
TASK_TEST(map, ten, "map: ten elements are ten tasks at the same time")
{
    struct record r = {.wanted = 10};
    map_squares(&r, 10, NULL);
    CHECK_INT(r.calls, 10);
    CHECK_INT(distinct(&r), 10);
    CHECK_INT(r.most_inside, 10);
}

/* [J184] */
TASK_TEST(map, five_tasks, "map: twenty elements and five tasks are five tasks, and never more at the same time")
{
    struct record r = {.wanted = 5};
    map_squares(&r, 20, &(weft_map_options){.ntasks = 5});
    CHECK_INT(r.calls, 20);
    CHECK_INT(distinct(&r), 5);
    CHECK_INT(r.most_inside, 5);
}

/* [J185] */
TASK_TEST(map, hundred_tasks, "map: two hundred elements are a hundred tasks, if nothing else is asked for")
{
    struct record r = {.wanted = 100};
    map_squares(&r, 200, NULL);
    CHECK_INT(r.calls, 200);
    CHECK_INT(distinct(&r), 100);
    CHECK_INT(r.most_inside, 100);
}

TASK_TEST(map, each_task_works, "map: every task has a part, however short the calls are")
{
    for (int ntasks = 1; ntasks <= 20; ntasks++) {
        struct record r = {.wanted = 0};
        map_squares(&r, 20, &(weft_map_options){.ntasks = (size_t)ntasks});
        CHECK_INT(distinct(&r), ntasks);
    }
}

/* One task more with every 25 calls; each new one must come to work before the next is made. */
struct growing {
    _Atomic(weft_task *) seen[16];
    _Atomic int asked, overlapping, inside, tasks, calls;
};

static size_t
grow(void *ctx)
{
    struct growing *g = ctx;
    if (atomic_fetch_add(&g->inside, 1) > 0) atomic_fetch_add(&g->overlapping, 1);
    weft_yield();
    atomic_fetch_sub(&g->inside, 1);
    return (size_t)atomic_fetch_add(&g->asked, 1) / 25;
}

static int
square_growing(const void *in, void *out, size_t count, void *ctx)
{
    struct growing *g = ctx;
    int x = *(const int *)in;
    (void)count;
    atomic_fetch_add(&g->calls, 1);
    for (int i = 0; i < 16; i++) {
        weft_task *other = NULL;
        if (atomic_compare_exchange_strong(&g->seen[i], &other, weft_current())) atomic_fetch_add(&g->tasks, 1);
        if (!other || other == weft_current()) break;
    }
    until(&g->tasks, x / 25); /* those that are idle stand in a queue, so the newest has its turn in time */
    *(int *)out = x * x;
    return 0;
}

/* [J186] */
TASK_TEST(map, grows,
          "map: a function is asked before each call, one at a time, and there is a task more when it says so")
{
    enum { N = 200 };
    struct growing g = {.asked = 0};
    int x[N], y[N];
    for (int i = 0; i < N; i++) x[i] = i;
    CHECK_INT(weft_map(x, sizeof *x, y, sizeof *y, N, square_growing, &g, &(weft_map_options){.ntasks_fn = grow}), 0);
    for (int i = 0; i < N; i++) CHECK_INT(y[i], i * i);
    CHECK_INT(g.asked, N + 1);
    CHECK_INT(g.overlapping, 0);
    CHECK_INT(g.tasks, 7); /* the eighth is made with the last element, which is taken by then */
    CHECK_INT(g.calls, N);
}

static size_t
always_three(void *ctx)
{
    (void)ctx;
    return 3;
}

TASK_TEST(map, function_with_batches, "map: a function and batches go together")
{
    for (int n = 0; n <= 30; n += 5) {
        struct record r = {.wanted = n == 0 ? 0 : n <= 4 ? 1 : n <= 8 ? 2 : 3};
        map_squares(&r, n, &(weft_map_options){.ntasks_fn = always_three, .batch = 4});
        CHECK_INT(r.calls, (n + 3) / 4);
        CHECK(r.most_inside <= 3);
        if (n > 8) CHECK_INT(distinct(&r), 3);
    }
}

/* [J187] */
TASK_TEST(map, batches, "map: 22 elements in batches of five are five calls")
{
    struct record r = {.wanted = 5};
    map_squares(&r, 22, &(weft_map_options){.ntasks = 5, .batch = 5});
    CHECK_INT(r.calls, 5);
    CHECK_INT(distinct(&r), 5);
    int fives = 0, twos = 0;
    for (int i = 0; i < 5; i++) {
        fives += r.counts[i] == 5;
        twos += r.counts[i] == 2;
    }
    CHECK_INT(fives, 4);
    CHECK_INT(twos, 1);
}

static int
identity(const void *in, void *out, size_t count, void *ctx)
{
    (void)ctx;
    memcpy(out, in, count * sizeof(unsigned));
    return 0;
}

/* [J188] */
TASK_TEST(map, batch_identity, "map: the identity of a hundred random numbers, in batches")
{
    unsigned x[100], y[100], state = test_seed();
    for (int i = 0; i < 100; i++) x[i] = dice(&state, 1u << 20);
    CHECK_INT(weft_map(x, sizeof *x, y, sizeof *y, 100, identity, NULL, &(weft_map_options){.ntasks = 5, .batch = 5}),
              0);
    CHECK_INT(memcmp(x, y, sizeof x), 0);
}

TASK_TEST(map, sizes, "map: every number of elements, tasks and elements in a batch")
{
    for (int n = 0; n <= 12; n++) {
        for (size_t ntasks = 0; ntasks <= 6; ntasks += 3) {
            for (size_t batch = 0; batch <= 5; batch++) {
                struct record r = {.wanted = 0};
                map_squares(&r, n,
                            &(weft_map_options){.size = sizeof(weft_map_options), .ntasks = ntasks, .batch = batch});
                int size = batch ? (int)batch : 1;
                CHECK_INT(r.calls, (n + size - 1) / size);
            }
        }
    }
}

struct pair {
    int key;
    char name[12];
};

static int
name(const void *in, void *out, size_t count, void *ctx)
{
    const int *key = in;
    struct pair *p = out;
    (void)count, (void)ctx;
    p->key = *key;
    snprintf(p->name, sizeof p->name, "<%d>", *key);
    return 0;
}

static int
upper(const void *in, void *out, size_t count, void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < count; i++) {
        char c = ((const char *)in)[i];
        ((char *)out)[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return 0;
}

static int
both_sums(const void *in, void *out, size_t count, void *ctx)
{
    const int *p = in;
    (void)count, (void)ctx;
    *(int *)out = p[0] + 10 * p[1];
    return 0;
}

/* [J189] [J191] [J195]  Shapes are the caller's: a matrix is n elements; several inputs are one of structures. */
TASK_TEST(map, shapes, "map: a matrix, structures, strings in place, two inputs in one, and nothing at all")
{
    int matrix[2][2] = {{1, 2}, {3, 4}}, pairs[3][2] = {{1, 2}, {3, 4}, {5, 6}}, sums[3];
    struct pair named[2][2];
    CHECK_INT(weft_map(matrix, sizeof(int), named, sizeof(struct pair), 4, name, NULL, NULL), 0);
    CHECK_INT(named[1][0].key, 3);
    CHECK_STR(named[0][1].name, "<2>");
    CHECK_STR(named[1][1].name, "<4>");
    char text[] = "in place";
    CHECK_INT(weft_map(text, 1, text, 1, strlen(text), upper, NULL, &(weft_map_options){.batch = 3}), 0);
    CHECK_STR(text, "IN PLACE");
    CHECK_INT(weft_map(pairs, sizeof *pairs, sums, sizeof *sums, 3, both_sums, NULL, NULL), 0);
    CHECK_INT(sums[0], 21);
    CHECK_INT(sums[2], 65);
    CHECK_INT(weft_map(NULL, 1, NULL, 1, 0, upper, NULL, NULL), 0);
}

static int
count_call(const void *in, void *out, size_t count, void *ctx)
{
    CHECK(in == NULL && out == NULL);
    atomic_fetch_add((_Atomic int *)ctx, (int)count);
    return 0;
}

/* [J192] [J193]  A batch of 0 is the default here; what has a sign in Julia has none in C. */
TASK_TEST(map, arguments, "map: what cannot be is an error, and nothing is called; elements may have no size")
{
    int x[3] = {0};
    _Atomic int calls = 0;
    CHECK_INT(weft_map(x, sizeof *x, x, sizeof *x, 3, NULL, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_map(x, sizeof *x, x, sizeof *x, 0, NULL, NULL, NULL), WEFT_EINVAL);
    CHECK_INT(weft_map(NULL, sizeof *x, x, sizeof *x, 3, count_call, &calls, NULL), WEFT_EINVAL);
    CHECK_INT(weft_map(x, sizeof *x, NULL, sizeof *x, 3, count_call, &calls, NULL), WEFT_EINVAL);
    weft_map_options both = {.ntasks = 2, .ntasks_fn = always_three}, later = {.size = sizeof later + 1};
    CHECK_INT(weft_map(x, sizeof *x, x, sizeof *x, 3, count_call, &calls, &both), WEFT_EINVAL);
    CHECK_INT(weft_map(x, sizeof *x, x, sizeof *x, 3, count_call, &calls, &later), WEFT_EINVAL);
    CHECK_INT(weft_map(x, SIZE_MAX / 2, x, 1, 3, count_call, &calls, NULL), WEFT_EINVAL);
    CHECK_INT(weft_map(x, 1, x, (size_t)PTRDIFF_MAX / 3 + 1, 3, count_call, &calls, NULL), WEFT_EINVAL);
    CHECK_INT(weft_map(x, 4, x, 4, SIZE_MAX, count_call, &calls, NULL), WEFT_EINVAL);
    CHECK_INT(calls, 0);
    CHECK_INT(weft_map(NULL, 0, NULL, 0, 50, count_call, &calls, NULL), 0);
    CHECK_INT(calls, 50);
    CHECK_INT(weft_map(NULL, 0, NULL, 0, SIZE_MAX, count_call, &calls, &(weft_map_options){.batch = SIZE_MAX}), 0);
    CHECK_INT(calls, 49);                                                               /* one call of so many: -1 */
    weft_map_options early = {.size = offsetof(weft_map_options, batch), .batch = 100}; /* of a library that had none */
    CHECK_INT(weft_map(NULL, 0, NULL, 0, 50, count_call, &calls, &early), 0);
    CHECK_INT(calls, 99);
}

/* Fails at `at`, when all that come before it in their tasks have begun. */
struct failing {
    int at, second;
    _Atomic int calls, begun;
};

static int
fail_at(const void *in, void *out, size_t count, void *ctx)
{
    struct failing *f = ctx;
    int x = *(const int *)in;
    (void)out, (void)count;
    atomic_fetch_add(&f->calls, 1);
    if (x != f->at && x != f->second) return 0;
    atomic_fetch_add(&f->begun, 1);
    until(&f->begun, f->second == f->at ? 1 : 2);
    return weft_fail(-1000 - x, "element %d", x);
}

static int
run_failing(void *arg)
{
    int x[20], y[20];
    for (int i = 0; i < 20; i++) x[i] = i;
    return weft_map(x, sizeof *x, y, sizeof *y, 20, fail_at, arg, &(weft_map_options){.ntasks = 20});
}

/* [J194]  Of two failures that happen the one of the lower index counts, with its text. */
TASK_TEST(map, fails, "map: the first failure by index is returned, with its code and its text")
{
    for (int i = 0; i < scaled(200); i++) {
        struct failing f = {.at = 5, .second = i % 2 ? 5 : 11};
        weft_task *t = spawned(run_failing, &f);
        CHECK_INT(weft_wait(t), WEFT_ECHILD);
        CHECK_INT(weft_task_error(t), -1005);
        CHECK_STR(weft_task_message(t), "element 5");
        weft_task_release(t);
    }
}

TASK_TEST(map, stops, "map: after a failure nothing more is begun")
{
    int x[MOST], y[MOST];
    for (int i = 0; i < MOST; i++) x[i] = i;
    struct failing f = {.at = 7, .second = 7};
    CHECK_INT(weft_map(x, sizeof *x, y, sizeof *y, MOST, fail_at, &f, &(weft_map_options){.ntasks = 1}), -1007);
    CHECK_INT(f.calls, 8); /* one task: it takes them in order */
}

static size_t
always_one(void *ctx)
{
    (void)ctx;
    return 0; /* which is taken for 1 */
}

TASK_TEST(map, stops_growing, "map: after a failure nothing more is begun, with a function as well")
{
    int x[50], y[50];
    for (int i = 0; i < 50; i++) x[i] = i;
    struct failing f = {.at = 7, .second = 7};
    CHECK_INT(weft_map(x, sizeof *x, y, sizeof *y, 50, fail_at, &f, &(weft_map_options){.ntasks_fn = always_one}),
              -1007);
    CHECK_INT(f.calls, 8);
    struct failing g = {.at = 3, .second = 3};
    CHECK_INT(weft_map(x, sizeof *x, y, sizeof *y, 50, fail_at, &g, &(weft_map_options){.ntasks_fn = always_three}),
              -1003);
    CHECK(g.calls <= 50);
}

/* The input of a channel: it is collected first. */
static int
negate(const void *in, void *out, size_t count, void *ctx)
{
    (void)count, (void)ctx;
    *(int *)out = -*(const int *)in;
    return 0;
}

/* [J190] */
TASK_TEST(map, of_a_channel, "map: what a closed channel holds, taken in one batch, keeps its order")
{
    weft_channel *c;
    int x[32], y[32];
    size_t n = 0;
    if (!CHECK_INT(weft_channel_new(&c, sizeof(int), 32), 0)) return;
    for (int i = 1; i <= 10; i++) CHECK_INT(weft_channel_put(c, &i), 0);
    weft_channel_close(c, 0);
    CHECK_INT(weft_channel_take_n(c, x, 32, &n), 0);
    CHECK_INT(weft_map(x, sizeof *x, y, sizeof *y, n, negate, NULL, NULL), 0);
    CHECK_INT(n, 10);
    for (int i = 0; i < 10; i++) CHECK_INT(y[i], -i - 1);
    weft_channel_release(c);
}

static int
map_inside(const void *in, void *out, size_t count, void *ctx)
{
    struct record r = {.wanted = 0};
    (void)in, (void)count, (void)ctx;
    map_squares(&r, 20, &(weft_map_options){.ntasks = 4});
    *(int *)out = r.calls;
    return 0;
}

TASK_TEST(map, nested, "map: a map in a map")
{
    int x[10] = {0}, y[10];
    CHECK_INT(weft_map(x, sizeof *x, y, sizeof *y, 10, map_inside, NULL, NULL), 0);
    for (int i = 0; i < 10; i++) CHECK_INT(y[i], 20);
}

TEST(map, thread, "map: a plain thread may call it")
{
    struct record r = {.wanted = 5};
    map_squares(&r, 20, &(weft_map_options){.ntasks = 5});
    CHECK_INT(distinct(&r), 5);
    struct record g = {.wanted = 0};
    map_squares(&g, 20, &(weft_map_options){.ntasks_fn = always_three});
    CHECK_INT(g.calls, 20);
    CHECK_INT(weft_stop(), 0);
}

static int
sleep_long(const void *in, void *out, size_t count, void *ctx)
{
    (void)in, (void)out, (void)count;
    atomic_fetch_add((_Atomic int *)ctx, 1);
    return weft_sleep_until(WEFT_FOREVER);
}

struct cancelled {
    _Atomic int begun;
    size_t (*fn)(void *);
};

static int
map_for_ever(void *arg)
{
    struct cancelled *c = arg;
    int x[40] = {0};
    weft_map_options opt = {.ntasks = c->fn ? 0 : 3, .ntasks_fn = c->fn};
    return weft_map(x, sizeof *x, x, sizeof *x, 40, sleep_long, c, &opt);
}

TEST(map, cancelled, "map: it ends when the runtime stops")
{
    for (int k = 0; k < 2; k++) {
        struct cancelled c = {.fn = k ? always_three : NULL};
        CHECK_INT(weft_start(NULL), 0);
        weft_task *t = spawned(map_for_ever, &c);
        until(&c.begun, 3);
        CHECK_INT(weft_stop(), 0);
        CHECK_INT(weft_join(t), WEFT_ECANCELED);
        CHECK_INT(c.begun, 3);
    }
}
