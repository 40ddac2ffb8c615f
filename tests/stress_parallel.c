/* stress_parallel.c - random nests of loops, reductions, scans, sorts and forks, compared with a sequential model.
 *
 * A round starts a runtime of random shape and some roots: ordinary tasks, interactive ones, plain threads.  Each evaluates a
 * tree that follows from a seed: a node is a loop of some kind over its children, with a random length and grain, or a scope of
 * some kind around one, or a scan or sort of its own; a leaf computes a number, and parks now and then.  Node by node is checked
 *
 *      that each child was visited exactly once if the call succeeded, and never twice;
 *      that no body runs any more when the call returns, whatever it returned;
 *      that a call which failed returned the code of the lowest index among the failures that happened;
 *      that a sort which failed has lost nothing;
 *
 * and at the end that the value of the tree is that of the model.  In some rounds leaves fail; in some a root is cancelled, by
 * its scope or by itself: then, and only then, WEFT_ECANCELED is a result too.
 *
 * stress_kit.h says how it is called. */
#include "stress_kit.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ROOTS = 3, MOST_CHILDREN = 12, DEPTH = STRESS_TSAN ? 3 : 5, BUDGET = STRESS_TSAN ? 60 : 400 };
enum { FIRST_CODE = -1000, CODES = 50 };

#define KINDS(X)                                                                                                       \
    X(FOR, "for")                                                                                                      \
    X(TILES, "for_2d")                                                                                                 \
    X(STATIC, "for_static")                                                                                            \
    X(REDUCE, "reduce")                                                                                                \
    X(MAP, "map") X(EACH, "for_each") X(BOTH, "both") X(SCOPE, "scope") X(SCAN, "scan") X(SORT, "sort")
#define NAME(name, text) name,
#define TEXT(name, text) text,
enum kind { KINDS(NAME) N_KINDS };
static const char *const kind_texts[] = {KINDS(TEXT)};

enum place { TASK, INTERACTIVE, THREAD, PLACES };
enum trouble { NONE, FAILING, SCOPE_CANCELLED, TASK_CANCELLED, TROUBLES };
static const char *const trouble_texts[] = {"in peace", "failing", "with a scope cancelled", "with a task cancelled"};

struct root {
    uint64_t seed, expected, value;
    enum place place;
    enum trouble trouble;
    int one_fails_of; /* leaves; 0: none fails */
    int code;
    weft_task *task;
    pthread_t thread;
    weft_scope scope;
    atomic_bool open, cancelled, may_close;
};

static struct root roots[MOST_ROOTS];
static int n_roots;
static weft_config cfg;
static long rounds[TROUBLES];
static atomic_long nodes[N_KINDS], leaves, failures, cancellations;

/* ---- What a node is: the same for both evaluations ------------------------------------------------------------------- */

struct node {
    struct root *root; /* NULL: the model */
    uint64_t seed;
    int depth, budget;
    enum kind kind;
    size_t n, cols, grain;
    unsigned flags; /* of a SCOPE */
    uint64_t *cells;
    atomic_uchar *visits;
    atomic_int inside;
    _Atomic uint64_t lowest; /* of the failures that happened: index << 32 | -code; UINT64_MAX: none */
    _Atomic uint64_t codes;  /* which they had: bits */
};

static void
node_init(struct node *d, struct root *root, uint64_t seed, int depth, int budget)
{
    static const unsigned flags[] = {0, WEFT_SUPERVISE, WEFT_RACE, WEFT_KEEP, WEFT_SHIELD, 0};
    uint64_t random = stress_mix(seed, 1);
    *d = (struct node){.root = root, .seed = seed, .depth = depth, .budget = budget, .lowest = UINT64_MAX};
    d->kind = (enum kind)stress_dice(&random, N_KINDS);
    d->n = stress_dice(&random, 12) ? 1 + (size_t)stress_dice(&random, budget < MOST_CHILDREN ? budget : MOST_CHILDREN)
                                    : 0;
    d->cols = d->n % 2 == 0 ? 2 : 1;
    if (d->kind == BOTH) d->n = 2;
    if (d->kind == SCOPE) d->n = 1;
    if (d->kind == SCAN) d->n *= 1 + (size_t)stress_dice(&random, 200);
    if (d->kind == SORT) d->n *= 1 + (size_t)stress_dice(&random, STRESS_TSAN ? 400 : 1500);
    d->grain = stress_dice(&random, 3) ? 1 + (size_t)stress_dice(&random, (int)d->n + 3) : 0;
    d->flags = flags[stress_dice(&random, sizeof flags / sizeof *flags)];
}

static uint64_t
fold(uint64_t sum, uint64_t value)
{
    return stress_mix(sum, value);
}

static uint64_t
fold_cells(const struct node *d)
{
    uint64_t sum = (uint64_t)d->kind;
    for (size_t i = 0; i < d->n; i++) sum = fold(sum, d->cells[i]);
    return sum;
}

static int evaluate(struct root *root, uint64_t seed, int depth, int budget, uint64_t *value);

/* ---- Leaves ------------------------------------------------------------------------------------------------------------ */

/* A root that is cancelled has shields inside, or leaves that wait for it to be. */
static bool
waits(const struct root *r)
{
    return (r->trouble == SCOPE_CANCELLED || r->trouble == TASK_CANCELLED) && r->seed % 2;
}

static int
park_a_little(const struct root *r, uint64_t *random)
{
    if (waits(r) && stress_dice(random, 100) == 0) return weft_sleep_until(WEFT_FOREVER);
    switch (stress_dice(random, 24)) {
    case 0:
    case 1:
        weft_yield();
        return 0;
    case 2:
        return weft_sleep(stress_dice(random, 40) * WEFT_US);
    case 3:
        return weft_check();
    default:
        return 0;
    }
}

static int
evaluate_leaf(struct root *root, uint64_t seed, uint64_t *value)
{
    uint64_t random = stress_mix(seed, 2);
    *value = stress_mix(seed, 3);
    if (!root) return 0;
    stress_count(&leaves, 1);
    int rc = park_a_little(root, &random);
    if (rc == 0 && root->one_fails_of && stress_dice(&random, root->one_fails_of) == 0)
        rc = weft_fail(FIRST_CODE - stress_dice(&random, CODES), "a leaf");
    if (stress_lose()) *value ^= 1;
    return rc;
}

/* ---- Bodies ------------------------------------------------------------------------------------------------------------ */

static void
note_failure(struct node *d, size_t index, int code)
{
    uint64_t mine = (uint64_t)index << 32 | (uint32_t)-code, seen = atomic_load(&d->lowest);
    while (mine < seen && !atomic_compare_exchange_weak(&d->lowest, &seen, mine)) continue;
    bool own = code <= FIRST_CODE && code > FIRST_CODE - CODES;
    atomic_fetch_or(&d->codes, own ? UINT64_C(1) << (FIRST_CODE - code) : UINT64_C(1) << 63);
    stress_count(&failures, 1);
}

/* The child at index, in the piece that begins at `piece`. */
static int
visit(struct node *d, size_t index, size_t piece)
{
    if (index >= d->n) stress_die("%s of %zu visits %zu", kind_texts[d->kind], d->n, index);
    if (atomic_fetch_add(&d->visits[index], 1)) stress_die("%s visits %zu twice", kind_texts[d->kind], index);
    atomic_fetch_add(&d->inside, 1);
    int share = d->n ? d->budget / (int)d->n : 0;
    int rc = evaluate(d->root, stress_mix(d->seed, 100 + index), d->depth - 1, share, &d->cells[index]);
    if (rc < 0) note_failure(d, piece, rc);
    atomic_fetch_sub(&d->inside, 1);
    return rc;
}

static int
visit_range(size_t begin, size_t end, void *ctx)
{
    int rc = 0;
    for (size_t i = begin; i < end && rc == 0; i++) rc = visit(ctx, i, begin);
    return rc;
}

static int
visit_tile(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    struct node *d = ctx;
    int rc = 0;
    for (size_t r = r0; r < r1; r++)
        for (size_t c = c0; c < c1 && rc == 0; c++) rc = visit(d, r * d->cols + c, r0 * d->cols + c0);
    return rc;
}

/* In order: what is combined out of order has another value. */
struct word {
    uint64_t value, power;
};

static struct word
word_of(uint64_t cell)
{
    return (struct word){cell, UINT64_C(0x9e3779b97f4a7c15)};
}

static void
append(void *into, const void *from, void *ctx)
{
    struct word a, b;
    (void)ctx;
    memcpy(&a, into, sizeof a);
    memcpy(&b, from, sizeof b);
    a = (struct word){a.value * b.power + b.value, a.power * b.power};
    memcpy(into, &a, sizeof a);
}

static int
visit_and_append(size_t begin, size_t end, void *acc, void *ctx)
{
    struct node *d = ctx;
    int rc = 0;
    for (size_t i = begin; i < end && rc == 0; i++) {
        rc = visit(d, i, begin);
        struct word w = word_of(d->cells[i]);
        append(acc, &w, NULL);
    }
    return rc;
}

static int
visit_elements(const void *in, void *out, size_t count, void *ctx)
{
    size_t first = *(const size_t *)in;
    (void)out;
    return visit_range(first, first + count, ctx);
}

static int
visit_value(void *value, void *ctx)
{
    return visit(ctx, *(size_t *)value, 0);
}

struct half {
    struct node *d;
    size_t index;
};

static int
visit_half(void *arg)
{
    const struct half *h = arg;
    return visit(h->d, h->index, h->index);
}

/* ---- Loops over children ----------------------------------------------------------------------------------------------- */

static int
run_reduce(struct node *d)
{
    static const struct word empty = {0, 1};
    const weft_reduction how = {sizeof empty, &empty, visit_and_append, append};
    struct word result = {1, 2}, serial = empty;
    int rc = weft_reduce(0, d->n, d->grain, &how, d, &result);
    for (size_t i = 0; i < d->n && rc == 0; i++) {
        struct word w = word_of(d->cells[i]);
        append(&serial, &w, NULL);
    }
    if (rc == 0 && (result.value != serial.value || result.power != serial.power)) stress_die("reduce: another value");
    if (rc < 0 && (result.value != 1 || result.power != 2)) stress_die("reduce failed, and has a result");
    return rc;
}

static int
run_map(struct node *d)
{
    size_t *in = stress_alloc(d->n, sizeof *in);
    for (size_t i = 0; i < d->n; i++) in[i] = i;
    int rc = weft_map(in, sizeof *in, NULL, 0, d->n, visit_elements, d,
                      &(weft_map_options){.ntasks = d->seed % 7, .batch = d->grain % 4});
    free(in);
    return rc;
}

static int
run_each(struct node *d)
{
    weft_channel *c;
    int rc = weft_channel_new(&c, sizeof(size_t), WEFT_UNBOUNDED);
    if (rc < 0) return rc;
    for (size_t i = 0; i < d->n && rc == 0; i++) rc = weft_channel_put(c, &i);
    weft_channel_close(c, 0);
    if (rc == 0) rc = weft_for_each(c, d->seed % 6, visit_value, d);
    weft_channel_release(c);
    return rc;
}

static int
run_scope(struct node *d)
{
    weft_scope s;
    weft_scope_open(&s, waits(d->root) ? d->flags & ~(unsigned)WEFT_SHIELD : d->flags, WEFT_FOREVER);
    if (d->seed % 3 == 0) weft_scope_limit(&s, 1 + d->seed % 2);
    int rc = visit(d, 0, 0), closed = weft_scope_close(&s, rc);
    if (closed != rc && !(rc == WEFT_ECANCELED && closed == 0))
        stress_die("a scope closed with %s gave %s", weft_error_name(rc), weft_error_name(closed));
    return rc;
}

static int
run_children(struct node *d)
{
    switch (d->kind) {
    case FOR:
        return weft_for(0, d->n, d->grain, visit_range, d);
    case TILES:
        return weft_for_2d(d->n / d->cols, d->cols, d->grain, visit_tile, d);
    case STATIC:
        return weft_for_static(0, d->n, visit_range, d);
    case REDUCE:
        return run_reduce(d);
    case MAP:
        return run_map(d);
    case EACH:
        return run_each(d);
    case BOTH:
        return weft_both(visit_half, &(struct half){d, 0}, visit_half, &(struct half){d, 1});
    default:
        return run_scope(d);
    }
}

static void
check_children(struct node *d, int rc)
{
    uint64_t lowest = atomic_load(&d->lowest), codes = atomic_load(&d->codes);
    const char *name = kind_texts[d->kind];
    if (atomic_load(&d->inside)) stress_die("%s: %d bodies run on", name, atomic_load(&d->inside));
    if (rc == 0) {
        if (codes) stress_die("%s succeeded, and a body failed", name);
        for (size_t i = 0; i < d->n; i++)
            if (!atomic_load(&d->visits[i])) stress_die("%s of %zu: %zu was left out", name, d->n, i);
        return;
    }
    if (rc == WEFT_ECANCELED && atomic_load(&d->root->cancelled)) return;
    if (stress_short(rc)) return;
    bool own = rc <= FIRST_CODE && rc > FIRST_CODE - CODES;
    if (d->kind == EACH && own && (codes & UINT64_C(1) << (FIRST_CODE - rc))) return; /* the first in time */
    if (lowest != UINT64_MAX && (int)(uint32_t)lowest == -rc) return;
    if (stress_failing() && codes >> 63) return; /* a lack of memory somewhere may hide what happened */
    stress_die("%s gave %s (%d); the lowest failure was %d, of the piece at %d", name, weft_error_name(rc), rc,
               -(int)(uint32_t)lowest, (int)(lowest >> 32));
}

/* ---- Scans and sorts ----------------------------------------------------------------------------------------------------- */

static void
append_and_park(void *into, const void *from, void *ctx)
{
    uint64_t random = *(const uint64_t *)from + (uintptr_t)ctx * 0;
    append(into, from, NULL);
    if (random % 64 == 0) weft_yield();
}

static int
run_scan(struct node *d, uint64_t *value)
{
    static const size_t sizes[] = {16, 24, 128, 136};
    size_t size = sizes[d->seed % 4];
    char *v = stress_alloc(d->n, size);
    struct word serial = {0, 1}, w;
    for (size_t i = 0; i < d->n; i++) {
        w = word_of(stress_mix(d->seed, i));
        memcpy(v + i * size, &w, sizeof w);
    }
    int rc = d->root ? weft_scan(v, v, d->n, size, append_and_park, d) : 0;
    for (size_t i = 0; i < d->n && rc == 0; i++) {
        w = word_of(stress_mix(d->seed, i));
        append(&serial, &w, NULL);
        memcpy(&w, v + i * size, sizeof w);
        if (d->root && w.value != serial.value)
            stress_die("scan of %zu elements of %zu bytes: %zu is wrong", d->n, size, i);
    }
    *value = serial.value;
    free(v);
    return rc;
}

struct record {
    uint32_t key, number;
};

static int
compare(const void *a, const void *b, void *ctx)
{
    struct record x, y;
    (void)ctx;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    if ((x.number ^ y.number) % 512 == 511) weft_yield();
    return (x.key > y.key) - (x.key < y.key);
}

static int
run_sort(struct node *d, uint64_t *value)
{
    static const size_t sizes[] = {8, 12, 16, 40};
    size_t size = sizes[d->seed % 4];
    uint32_t keys = d->seed % 5 ? 1u << 30 : 20;
    char *v = stress_alloc(d->n, size);
    uint64_t before = 0, after = 0, sum = 0;
    for (size_t i = 0; i < d->n; i++) {
        struct record r = {(uint32_t)(stress_mix(d->seed, i) >> 20) % keys, (uint32_t)i};
        memcpy(v + i * size, &r, sizeof r);
        before += stress_mix(r.key, r.number);
    }
    int rc = d->root ? weft_sort(v, d->n, size, compare, d) : 0;
    struct record last = {0, 0}, r;
    for (size_t i = 0; i < d->n; i++, last = r) {
        memcpy(&r, v + i * size, sizeof r);
        after += stress_mix(r.key, r.number);
        if (d->root && rc == 0 && i > 0 && (last.key > r.key || (last.key == r.key && last.number >= r.number)))
            stress_die("sort of %zu elements of %zu bytes: %zu is out of order", d->n, size, i);
    }
    if (before != after)
        stress_die("sort of %zu elements of %zu bytes, %s: some are lost", d->n, size, weft_error_name(rc));
    *value = before ^ sum;
    free(v);
    return rc;
}

/* ---- Trees --------------------------------------------------------------------------------------------------------------- */

static int
evaluate_children(struct node *d, uint64_t *value)
{
    int rc = 0;
    d->cells = stress_alloc(d->n, sizeof *d->cells);
    d->visits = stress_alloc(d->n, sizeof *d->visits);
    if (d->root) {
        rc = run_children(d);
        check_children(d, rc);
    } else {
        for (size_t i = 0; i < d->n; i++) (void)visit(d, i, i);
    }
    *value = fold_cells(d);
    free(d->cells);
    free((void *)d->visits);
    return rc;
}

static int
evaluate(struct root *root, uint64_t seed, int depth, int budget, uint64_t *value)
{
    if (depth == 0 || budget < 2) return evaluate_leaf(root, seed, value);
    struct node *d = stress_alloc(1, sizeof *d); /* not in a frame: nests are deep, and stacks small */
    node_init(d, root, seed, depth, budget);
    int rc = d->kind == SCAN ? run_scan(d, value) : d->kind == SORT ? run_sort(d, value) : evaluate_children(d, value);
    if (rc == WEFT_ECANCELED && root && !atomic_load(&root->cancelled))
        stress_die("%s was cancelled, and nobody did that", kind_texts[d->kind]);
    if (root) {
        stress_count(&nodes[d->kind], 1);
        stress_moved();
    }
    free(d);
    return rc;
}

static int
run_root(void *arg)
{
    struct root *r = arg;
    bool scoped =
        r->trouble == SCOPE_CANCELLED || r->place == THREAD; /* else its helpers are in no scope that it opened */
    if (scoped) weft_scope_open(&r->scope, 0, WEFT_FOREVER);
    atomic_store(&r->open, true);
    r->code = evaluate(r, r->seed, DEPTH, BUDGET, &r->value);
    while (!atomic_load(&r->may_close)) stress_give_turn();
    if (scoped) (void)!weft_scope_close(&r->scope, 0);
    return 0;
}

static void *
run_root_on_thread(void *arg)
{
    (void)run_root(arg);
    return NULL;
}

static void
start_root(struct root *r)
{
    int rc = WEFT_EAGAIN;
    weft_task_options opt = {
        .size = sizeof opt, .flags = r->place == INTERACTIVE ? WEFT_INTERACTIVE : 0, .stack_size = 128 << 10};
    if (r->place == THREAD) {
        r->thread = stress_thread(run_root_on_thread, r);
        return;
    }
    while (stress_short(rc = weft_spawn_with(&r->task, run_root, r, &opt))) stress_give_turn();
    if (rc) stress_die("a root cannot be spawned: %s", weft_error_name(rc));
}

static void
trouble_root(struct root *r, uint64_t *random)
{
    if (r->trouble == SCOPE_CANCELLED || r->trouble == TASK_CANCELLED) {
        stress_pause(stress_dice(random, 300) * WEFT_US);
        while (!atomic_load(&r->open) && !(r->task && weft_task_isdone(r->task))) stress_give_turn();
        atomic_store(&r->cancelled, true);
        if (r->trouble == TASK_CANCELLED && r->task) (void)weft_cancel(r->task);
        else if (atomic_load(&r->open)) weft_scope_cancel(&r->scope, stress_dice(random, 2) ? 0 : WEFT_EBUSY);
        stress_count(&cancellations, 1);
    }
    atomic_store(&r->may_close, true);
}

static void
join_root(struct root *r)
{
    if (r->place == THREAD) {
        stress_join_thread(r->thread);
    } else {
        int rc = weft_join(r->task);
        if (stress_short(rc)) return; /* no stack for it */
        if (rc && !(rc == WEFT_ECANCELED && r->trouble == TASK_CANCELLED))
            stress_die("a root gave %s", weft_error_name(rc));
    }
    if (r->code == 0 && r->value != r->expected) stress_die("a tree has another value than its model");
    if (r->code < 0 && r->trouble == NONE && !stress_short(r->code))
        stress_die("a tree gave %s", weft_error_name(r->code));
}

static void
run_round(unsigned number, uint64_t random)
{
    (void)number;
    cfg = stress_config(&random);
    cfg.stack_size = 512 << 10;
    n_roots = 1 + stress_dice(&random, MOST_ROOTS);
    memset(roots, 0, sizeof roots);
    stress_start(&cfg);
    for (int k = 0; k < n_roots; k++) {
        struct root *r = &roots[k];
        r->seed = stress_mix(random, (uint64_t)k);
        r->place = (enum place)stress_dice(&random, PLACES);
        r->trouble = (enum trouble)stress_dice(&random, TROUBLES);
        r->one_fails_of = r->trouble == FAILING ? 3 + stress_dice(&random, 100) : 0;
        (void)evaluate(NULL, r->seed, DEPTH, BUDGET, &r->expected);
        rounds[r->trouble]++;
        start_root(r);
    }
    for (int k = 0; k < n_roots; k++) trouble_root(&roots[k], &random);
    for (int k = 0; k < n_roots; k++) join_root(&roots[k]);
    stress_stop(true);
}

static void
describe(FILE *out)
{
    fprintf(out, "%d workers and %d; %d trees:", cfg.workers, cfg.interactive, n_roots);
    for (int k = 0; k < n_roots; k++)
        fprintf(out, " %s%s",
                roots[k].place == THREAD ? "a thread's "
                : roots[k].place         ? "interactive "
                                         : "",
                trouble_texts[roots[k].trouble]);
    fprintf(out, "\n");
}

static void
totals(FILE *out)
{
    fprintf(out, "trees:");
    for (int i = 0; i < TROUBLES; i++) fprintf(out, " %ld %s,", rounds[i], trouble_texts[i]);
    for (int i = 0; i < N_KINDS; i++) fprintf(out, " %ld %s,", stress_counted(&nodes[i]), kind_texts[i]);
    fprintf(out, " %ld leaves, %ld failures, %ld cancellations", stress_counted(&leaves), stress_counted(&failures),
            stress_counted(&cancellations));
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_parallel", run_round, describe, totals});
}
