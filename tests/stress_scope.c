/* stress_scope.c - members that come and go while their scope is cancelled, closed, and its memory used again.
 *
 * In each round, again and again, one of
 *
 *      grown      members open scopes and spawn members, also into the outermost scope, while that is cancelled, by another
 *                 task or its deadline, or closed.  A spawn that is accepted runs or is dropped, one that is refused is
 *                 neither; none is refused before the scope is cancelled, nor accepted after; and all waits for what
 *                 never comes end
 *      reused     scopes with a few small members, and deadlines that come at about the time at which they are closed.
 *                 Their memory is freed, or written over, as soon as they are: whoever comes late is seen
 *      kept       members that are spawned below a limit are handed out as they end, each once; or some of them, the rest is
 *                 released by closing.  The scope may be cancelled meanwhile
 *
 * stress_kit.h says how it is called. */
#include "stress_parks.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_AGENTS = 10, DEPTH = 4, MOST_CHILDREN = 3, MOST_MEMBERS = 4, RING = 4, REASON = -2000 };
enum { MOST_KEPT = 24, MOST_TAKERS = 3 };
enum { TURNS = STRESS_TSAN ? 8 : 150, POISON = 0xa5 };

#define KINDS(X) X(GROWN, "grown") X(REUSED, "reused") X(KEPT, "kept")
#include "stress_crew.h"

static atomic_long accepted, refused, dropped, reused, timeouts, handed, left;

static void
must_be(int rc, int code, const char *what)
{
    if (rc == code || stress_short(rc)) return;
    if (rc == WEFT_ECANCELED && stress_failing()) return; /* a member failed, for lack of memory */
    stress_die("%s gave %s (%d), not %s (%d)", what, weft_error_name(rc), rc, weft_error_name(code), code);
}

/* ---- Grown ----------------------------------------------------------------------------------------------------------- */

enum end { CLOSED, CANCELLED, LATE, N_ENDS };

struct tree {
    weft_scope scope;
    enum end end;
    int reason;
    weft_event gone;
    atomic_bool begun;             /* who cancels it */
    atomic_bool planted;           /* the scope is open */
    atomic_bool before, after;     /* it may be cancelled; it certainly is */
    atomic_long accepted, refused; /* spawns */
    atomic_long ran, dropped;
};

struct branch {
    struct tree *tree;
    uint64_t random;
    int depth;
    bool sheltered;
};

static int grow(void *arg);

static void
wither(void *arg)
{
    struct branch *b = arg;
    stress_count(&b->tree->dropped, 1);
    free(b);
}

/* Spawns a branch; in: NULL, or the tree's own scope. */
static void
sprout(struct tree *t, uint64_t *random, int depth, bool sheltered, weft_scope *in)
{
    weft_task_options options = {.size = sizeof options, .drop = wither, .scope = in};
    struct branch *b = stress_alloc(1, sizeof *b);
    *b = (struct branch){t, stress_mix(*random, 5), depth, sheltered && !in};
    *random = b->random;
    bool after = atomic_load(&t->after) && !b->sheltered;
    int rc = weft_spawn_with(NULL, grow, b, &options);
    if (rc == 0 && after) stress_die("a spawn was accepted after its scope had been cancelled");
    if (rc == WEFT_ECANCELED && !atomic_load(&t->before) && !stress_failing())
        stress_die("a spawn was refused, and nothing was cancelled");
    if (rc) free(b);
    else stress_count(&t->accepted, 1);
    if (rc == WEFT_ECANCELED) stress_count(&t->refused, 1);
    else must_be(rc, 0, "weft_spawn_with");
}

static int
grow(void *arg)
{
    struct branch b = *(struct branch *)arg;
    struct tree *t = b.tree;
    static const unsigned flags[] = {0, WEFT_SUPERVISE, WEFT_KEEP, WEFT_SHIELD};
    int scoped = stress_dice(&b.random, 6), rc = 0;
    weft_scope s;
    free(arg);
    stress_count(&t->ran, 1);
    if (scoped < 4) weft_scope_open(&s, flags[scoped], WEFT_FOREVER);
    bool sheltered = b.sheltered || scoped == 3;
    for (int n = b.depth ? stress_dice(&b.random, MOST_CHILDREN + 1) : 0; n > 0; n--)
        sprout(t, &b.random, b.depth - 1, sheltered, stress_dice(&b.random, 4) ? NULL : &t->scope);
    if (t->end != CLOSED && !sheltered && stress_dice(&b.random, 2)) {
        rc = park_somehow(&b.random);
        must_be(rc, WEFT_ECANCELED, "a wait for what never comes");
    }
    if (scoped < 4) {
        rc = weft_scope_close(&s, rc);
        if (rc && rc != WEFT_ECANCELED) must_be(rc, 0, "closing a branch");
    }
    return rc;
}

static int
fell(void *arg)
{
    struct tree *t = arg;
    uint64_t random = stress_mix((uint64_t)-t->reason, 3);
    atomic_store_explicit(&t->begun, true, memory_order_relaxed);
    while (!atomic_load_explicit(&t->planted, memory_order_acquire)) stress_give_turn();
    dawdle(&random);
    if (stress_dice(&random, 2)) (void)weft_sleep(stress_dice(&random, 60) * WEFT_US);
    atomic_store(&t->before, true);
    weft_scope_cancel(&t->scope, t->reason);
    atomic_store(&t->after, true);
    weft_event_notify(&t->gone);
    return 0;
}

static int
wait_until_felled(struct tree *t, uint64_t *random)
{
    weft_scope shield;
    int rc = park_somehow(random);
    must_be(rc, WEFT_ECANCELED, "a wait for what never comes");
    if (t->end == CANCELLED) {
        weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
        must_be(weft_event_wait(&t->gone), 0, "a wait in a shield");
        must_be(weft_scope_close(&shield, 0), 0, "closing a shield");
    }
    atomic_store(&t->after, true);
    sprout(t, random, 0, false, NULL);
    return rc;
}

static void
count_branches(struct tree *t)
{
    long in = stress_counted(&t->accepted), ran = stress_counted(&t->ran), out = stress_counted(&t->dropped);
    if (in != ran + out + stress_lose())
        stress_die("%ld branches were accepted, %ld ran, %ld were dropped", in, ran, out);
    if (t->end == CLOSED && out && !stress_failing()) stress_die("%ld branches were dropped for no reason", out);
    stress_count(&accepted, in);
    stress_count(&refused, stress_counted(&t->refused));
    stress_count(&dropped, out);
}

static void
grow_tree(struct agent *a)
{
    static const weft_task_options options = {.size = sizeof options, .name = "fells"};
    struct tree *t = stress_alloc(1, sizeof *t);
    weft_task *feller = NULL;
    t->end = (enum end)stress_dice(&a->random, N_ENDS);
    t->reason = REASON - stress_dice(&a->random, 1000);
    bool late = t->end == LATE;
    atomic_store(&t->before, late);
    if (t->end == CANCELLED) feller = agent_spawn_body(fell, t, &options, &t->begun); /* no member */
    weft_time deadline = late ? weft_in(stress_dice(&a->random, 100) * WEFT_US) : WEFT_FOREVER;
    weft_scope_open(&t->scope, stress_dice(&a->random, 2) ? WEFT_SUPERVISE : 0, deadline);
    atomic_store_explicit(&t->planted, true, memory_order_release);
    for (int n = 1 + stress_dice(&a->random, MOST_CHILDREN); n > 0; n--)
        sprout(t, &a->random, stress_dice(&a->random, DEPTH + 1), false, NULL);
    int rc = t->end == CLOSED ? 0 : wait_until_felled(t, &a->random);
    rc = weft_scope_close(&t->scope, rc);
    must_be(rc, t->end == CLOSED ? 0 : late ? WEFT_ETIMEDOUT : t->reason, "closing a tree");
    if (feller) (void)weft_join(feller);
    count_branches(t);
    free(t);
}

/* ---- Reused ---------------------------------------------------------------------------------------------------------- */

struct brief {
    atomic_int ended, dropped, interrupted;
};

static int
be_brief(void *arg)
{
    struct brief *b = arg;
    int rc = 0;
    uint64_t random = (uint64_t)(uintptr_t)weft_current();
    int what = stress_dice(&random, 4);
    if (what == 0) weft_yield();
    if (what == 1) rc = weft_sleep(stress_dice(&random, 20) * WEFT_US);
    for (int n = what == 2 ? 100 : 0; n > 0 && rc == 0; n--) rc = weft_check();
    if (rc) atomic_fetch_add(&b->interrupted, 1);
    atomic_fetch_add(&b->ended, 1);
    return rc;
}

static void
not_brief(void *arg)
{
    struct brief *b = arg;
    atomic_fetch_add(&b->dropped, 1);
}

static void
ring_bell(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* Opens s, closes it, and checks what came of its members. */
static void
use_scope(weft_scope *s, uint64_t *random)
{
    static const weft_task_options options = {.size = sizeof options, .drop = not_brief};
    struct brief b = {0};
    weft_oncancel bell;
    atomic_int rings = 0;
    bool late = stress_dice(random, 2), belled = stress_dice(random, 3) == 0;
    int members = 0, rc = 0;
    weft_scope_open(s, 0, late ? weft_in(stress_dice(random, 40) * WEFT_US) : WEFT_FOREVER);
    if (belled) (void)weft_oncancel_add(&bell, ring_bell, &rings);
    for (int n = stress_dice(random, MOST_MEMBERS + 1); n > 0; n--) {
        rc = weft_spawn_with(NULL, be_brief, &b, &options);
        members += rc == 0;
        if (!(rc == WEFT_ECANCELED && late)) must_be(rc, 0, "weft_spawn_with");
    }
    for (int n = stress_dice(random, 4) ? 0 : 10; n > 0; n--) {
        weft_scope_deadline(s, weft_in(stress_dice(random, 40) * WEFT_US));
        late = true;
    }
    rc = stress_dice(random, 4) ? 0 : weft_sleep(stress_dice(random, 30) * WEFT_US);
    if (belled) weft_oncancel_del(&bell);
    int before = atomic_load(&rings), interrupted = rc != 0;
    if (rc && !(rc == WEFT_ECANCELED && late)) must_be(rc, 0, "weft_sleep");
    rc = weft_scope_close(s, rc);
    int ended = atomic_load(&b.ended), thrown = atomic_load(&b.dropped) + stress_lose();
    interrupted += thrown + atomic_load(&b.interrupted);
    if (ended + thrown != members) stress_die("%d members: %d ended, %d were dropped", members, ended, thrown);
    if (before != atomic_load(&rings) || before > 1) stress_die("a callback was called %d times", atomic_load(&rings));
    must_be(rc, interrupted && late ? WEFT_ETIMEDOUT : 0, "closing a scope");
    stress_count(&timeouts, rc == WEFT_ETIMEDOUT);
}

static void
poison(weft_scope *s)
{
    memset((void *)s, POISON, sizeof *s);
}

/* Has nobody written there since? */
static void
check_poison(const weft_scope *s)
{
    const unsigned char *byte = (const unsigned char *)s;
    for (size_t k = 0; k < sizeof *s; k++)
        if (byte[k] != POISON) stress_die("byte %zu of a scope was written after it had been closed", k);
}

static void
reuse(struct agent *a, weft_scope *ring)
{
    if (stress_dice(&a->random, 2)) {
        weft_scope *s = stress_alloc(1, sizeof *s);
        use_scope(s, &a->random);
        memset((void *)s, 0xff, sizeof *s);
        free(s);
    } else {
        weft_scope *s = &ring[stress_dice(&a->random, RING)];
        check_poison(s);
        use_scope(s, &a->random);
        poison(s);
    }
    stress_count(&reused, 1);
}

/* ---- Kept ------------------------------------------------------------------------------------------------------------ */

struct keeper {
    weft_scope scope;
    uint64_t random;
    atomic_int live, given, running;
    atomic_bool begun, planted; /* who takes; the scope is open */
    atomic_bool through;        /* nobody is spawned any more */
    int limit, members;
    bool cancelled;
};

static int
be_kept(void *arg)
{
    struct keeper *k = arg;
    int live = atomic_fetch_add(&k->live, 1) + 1;
    uint64_t random = (uint64_t)(uintptr_t)weft_current();
    if (live > k->limit) stress_die("%d members live, the limit is %d", live, k->limit);
    dawdle(&random);
    for (int n = stress_dice(&random, 4); n > 0; n--) stress_give_turn();
    atomic_fetch_sub(&k->live, 1);
    return 0;
}

/* Takes members until there are no more, or takes only some. */
static int
take_kept(void *arg)
{
    struct keeper *k = arg;
    uint64_t random = stress_mix(k->random, (uint64_t)atomic_fetch_add(&k->running, 1));
    int most = stress_dice(&random, 3) ? -1 : stress_dice(&random, 10);
    atomic_store(&k->begun, true);
    while (!atomic_load_explicit(&k->planted, memory_order_acquire)) stress_give_turn();
    for (weft_task *t; most != 0;) {
        bool through = atomic_load(&k->through);
        weft_time deadline = stress_dice(&random, 3) ? WEFT_FOREVER : weft_in(stress_dice(&random, 50) * WEFT_US);
        int rc = weft_scope_next_until(&k->scope, &t, deadline);
        if (rc == WEFT_ENOENT && through) break;
        if (rc == WEFT_ENOENT || rc == WEFT_ETIMEDOUT) {
            stress_give_turn();
            continue;
        }
        must_be(rc, 0, "weft_scope_next_until");
        if (!weft_task_isdone(t)) stress_die("a member was handed out that has not ended");
        weft_task_release(t);
        atomic_fetch_add(&k->given, 1);
        most -= most > 0;
    }
    return 0;
}

static void
spawn_kept(struct agent *a, struct keeper *k)
{
    int cancel = stress_dice(&a->random, 4) ? -1 : stress_dice(&a->random, MOST_KEPT);
    for (int n = stress_dice(&a->random, MOST_KEPT); n > 0; n--) {
        if (n == cancel) {
            k->cancelled = true;
            weft_scope_cancel(&k->scope, 0);
        }
        int rc = weft_spawn(NULL, be_kept, k);
        if (rc == WEFT_ECANCELED && k->cancelled) break;
        must_be(rc, 0, "weft_spawn");
        k->members += rc == 0;
    }
}

/* The opener takes what is left. */
static void
drain(struct keeper *k)
{
    weft_task *t;
    int rc;
    while ((rc = weft_scope_next(&k->scope, &t)) == 0) {
        weft_task_release(t);
        atomic_fetch_add(&k->given, 1);
    }
    must_be(rc, k->cancelled ? WEFT_ECANCELED : WEFT_ENOENT, "weft_scope_next");
}

static void
keep(struct agent *a)
{
    static const weft_task_options options = {.size = sizeof options, .name = "takes"};
    struct keeper *k = stress_alloc(1, sizeof *k);
    weft_task *takers[MOST_TAKERS];
    int n = stress_dice(&a->random, MOST_TAKERS + 1);
    *k = (struct keeper){.random = a->random, .limit = 1 + stress_dice(&a->random, 4)};
    for (int i = 0; i < n; i++) { /* no members */
        takers[i] = agent_spawn_body(take_kept, k, &options, &k->begun);
        atomic_store(&k->begun, false);
    }
    weft_scope_open(&k->scope, WEFT_KEEP | WEFT_SUPERVISE, WEFT_FOREVER);
    weft_scope_limit(&k->scope, (size_t)k->limit);
    atomic_store_explicit(&k->planted, true, memory_order_release);
    spawn_kept(a, k);
    atomic_store(&k->through, true);
    bool drained = stress_dice(&a->random, 2);
    if (drained) drain(k);
    weft_scope shield; /* joining is not cancelled */
    weft_scope_open(&shield, WEFT_SHIELD, WEFT_FOREVER);
    for (int i = 0; i < n; i++) must_be(weft_join(takers[i]), 0, "weft_join");
    must_be(weft_scope_close(&shield, 0), 0, "closing a shield");
    must_be(weft_scope_close(&k->scope, 0), 0, "closing a scope");
    int given = atomic_load(&k->given) + stress_lose();
    if (given > k->members || (drained && !k->cancelled && given != k->members))
        stress_die("%d members, %d were handed out", k->members, given);
    if (atomic_load(&k->live)) stress_die("%d members live after closing", atomic_load(&k->live));
    stress_count(&handed, given);
    stress_count(&left, k->members - given);
    free(k);
}

/* ---- A round --------------------------------------------------------------------------------------------------------- */

static void
take_turns(struct agent *a)
{
    weft_scope ring[RING];
    for (int k = 0; k < RING; k++) poison(&ring[k]);
    for (int turn = 0; turn < TURNS; turn++) {
        if (kind == GROWN) grow_tree(a);
        else if (kind == KEPT) keep(a);
        else
            for (int k = 0; k < 8; k++) reuse(a, ring);
        stress_count(&a->calls, 1);
        if (turn % 16 == 0) stress_moved();
    }
    for (int k = 0; k < RING; k++) check_poison(&ring[k]);
}

static void
run_round(unsigned number, uint64_t random)
{
    (void)number;
    crew_begin(&random);
    parks_prepare();
    crew_start(1 + stress_dice(&random, MOST_AGENTS), take_turns, AGENT_PLACES, &random);
    crew_join(false);
    crew_end(true);
}

static void
totals(FILE *out)
{
    stress_print_rounds(out, kind_texts, rounds, N_KINDS);
    fprintf(out,
            "; %ld branches accepted, %ld refused, %ld dropped; %ld scopes reused, %ld late; %ld members handed out, "
            "%ld left",
            stress_counted(&accepted), stress_counted(&refused), stress_counted(&dropped), stress_counted(&reused),
            stress_counted(&timeouts), stress_counted(&handed), stress_counted(&left));
}

int
main(int argc, char **argv)
{
    return stress_main(argc, argv, &(struct stress_program){"stress_scope", run_round, crew_describe, totals});
}
