/* test_trace.c - weft_trace_start: that the file is JSON, what is in it, and what happens where it cannot be written. */
#include "child_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { DEEPEST = 4096, WORKERS_MOST = 64, KINDS_MOST = 64 };

/* ---- Reading a trace ---------------------------------------------------------------------------------------------------- */

/* One event: its members, as they stand in the file. */
struct event {
    char phase[4], name[96], category[16], id[32], end[32], in[32], error[32];
    long long tid, code;
    double ts;
};

/* What happened to the slices of one name. */
struct kind {
    char name[96];
    int begun, completed, failed, parked;
};

struct trace {
    int events, arrows, unmatched, deepest, steals, dropped;
    bool sound;
    struct kind kinds[KINDS_MOST];
    int count;
};

static void
space(const char **p)
{
    while (**p == ' ' || **p == '\n') (*p)++;
}

/* Reads a string; stores what fits, its escapes as they are. */
static bool
string(const char **p, char *into, size_t size)
{
    size_t n = 0;
    if (*(*p)++ != '"') return false;
    for (; **p != '"'; (*p)++) {
        int escaped = **p == '\\';
        if ((unsigned char)**p < ' ') return false;
        if (escaped && !strchr("\"\\/bfnrt", (*p)[1])) return false;
        for (int k = 0; k <= escaped; k++) {
            if (into && n + 1 < size) into[n++] = (*p)[k];
        }
        *p += escaped;
    }
    if (into) into[n] = '\0';
    (*p)++;
    return true;
}

/* Reads a member of an event, or of its args, which may have the same names. */
static bool
member(const char **p, struct event *e)
{
    static const struct {
        const char *key;
        size_t offset, size;
    } texts[] = {
#define TEXT_MEMBER(key, field) {key, offsetof(struct event, field), sizeof(((struct event *)0)->field)}
        TEXT_MEMBER("ph", phase), TEXT_MEMBER("name", name), TEXT_MEMBER("cat", category), TEXT_MEMBER("id", id),
        TEXT_MEMBER("end", end),  TEXT_MEMBER("in", in),     TEXT_MEMBER("error", error),
    };
    char key[32], *end;
    if (!string(p, key, sizeof key)) return false;
    space(p);
    if (*(*p)++ != ':') return false;
    space(p);
    if (**p == '"') {
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            if (strcmp(key, texts[k].key) == 0) return string(p, (char *)e + texts[k].offset, texts[k].size);
        }
        return string(p, NULL, 0);
    }
    if (!strchr("-0123456789", **p)) return false;
    double number = strtod(*p, &end);
    if (end == *p) return false;
    *p = end;
    if (strcmp(key, "tid") == 0) e->tid = (long long)number;
    if (strcmp(key, "ts") == 0) e->ts = number;
    if (strcmp(key, "code") == 0 || strcmp(key, "dropped") == 0) e->code = (long long)number;
    return true;
}

/* Reads an event.  The name of what is in args is not the event's. */
static bool
object(const char **p, struct event *e)
{
    struct event args = {.tid = 0};
    if (*(*p)++ != '{') return false;
    for (space(p); **p != '}'; space(p)) {
        if (strncmp(*p, "\"args\":", 7) == 0) {
            *p += 7;
            if (!object(p, &args)) return false;
            memcpy(e->end, args.end, sizeof e->end);
            memcpy(e->in, args.in, sizeof e->in);
            memcpy(e->error, args.error, sizeof e->error);
            e->code = args.code;
        } else if (!member(p, e)) {
            return false;
        }
        space(p);
        if (**p == ',') (*p)++;
        else if (**p != '}') return false;
    }
    (*p)++;
    return true;
}

static struct kind *
kind(struct trace *t, const char *name)
{
    for (int k = 0; k < t->count; k++) {
        if (strcmp(t->kinds[k].name, name) == 0) return &t->kinds[k];
    }
    if (!CHECK(t->count < KINDS_MOST)) return &t->kinds[0];
    strcpy(t->kinds[t->count].name, name);
    return &t->kinds[t->count++];
}

/* The slices that are open, on each track. */
struct stacks {
    int depth[WORKERS_MOST];
    double now[WORKERS_MOST];
    short kinds[WORKERS_MOST][DEEPEST];
};

/* A slice begins or ends; false: that does not fit. */
static bool
slice(struct trace *t, struct stacks *s, const struct event *e)
{
    if (e->tid < 0 || e->tid >= WORKERS_MOST || e->ts < s->now[e->tid]) return false;
    int *depth = &s->depth[e->tid];
    s->now[e->tid] = e->ts;
    if (*e->phase == 'B') {
        struct kind *k = kind(t, e->name);
        if (*depth == DEEPEST) return false;
        s->kinds[e->tid][(*depth)++] = (short)(k - t->kinds);
        if (*depth > t->deepest) t->deepest = *depth;
        k->begun++;
    } else if (*e->phase == 'E') {
        if (*depth == 0) return false;
        struct kind *k = &t->kinds[s->kinds[e->tid][--*depth]];
        if (strcmp(e->end, "completed") == 0) k->completed++;
        if (strcmp(e->end, "failed") == 0) k->failed++;
        if (strcmp(e->end, "parked") == 0) k->parked++;
    }
    return true;
}

/* Where arrows begin, to be found where they end: sorted. */
struct ends {
    char (*begins)[48], (*ends)[48];
    int begun, ended, room;
};

static int
compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void
arrow(struct ends *a, const struct event *e)
{
    if (a->begun == a->room || a->ended == a->room) {
        a->room = 2 * a->room + 64;
        a->begins = realloc(a->begins, (size_t)a->room * sizeof *a->begins);
        a->ends = realloc(a->ends, (size_t)a->room * sizeof *a->ends);
    }
    char *to = *e->phase == 's' ? a->begins[a->begun++] : a->ends[a->ended++];
    snprintf(to, sizeof *a->begins, "%s %s", e->category, e->id);
}

/* How many arrows end that have not begun, or end twice. */
static int
unmatched(struct ends *a)
{
    int i = 0, bad = 0;
    if (a->begun > 0) qsort(a->begins, (size_t)a->begun, sizeof *a->begins, compare);
    if (a->ended > 0) qsort(a->ends, (size_t)a->ended, sizeof *a->ends, compare);
    for (int k = 0; k < a->ended; k++) {
        while (i < a->begun && strcmp(a->begins[i], a->ends[k]) < 0) i++;
        if (i < a->begun && strcmp(a->begins[i], a->ends[k]) == 0) i++;
        else bad++;
    }
    return bad;
}

static bool
events(const char **p, struct trace *t, struct stacks *s, struct ends *arrows)
{
    if (*(*p)++ != '[') return false;
    for (;;) {
        struct event e = {.tid = -1};
        space(p);
        if (!object(p, &e) || !slice(t, s, &e)) return false;
        t->events++;
        if (*e.phase == 's' || *e.phase == 'f') arrow(arrows, &e);
        if (*e.phase == 'i' && strcmp(e.name, "steal") == 0) t->steals++;
        if (*e.phase == 'i' && strcmp(e.name, "end of the trace") == 0) t->dropped = (int)e.code;
        space(p);
        if (**p != ',') break;
        (*p)++;
    }
    if (*(*p)++ != ']') return false;
    space(p);
    return **p == '\0';
}

/* A file in memory, and its path. */
struct target {
    int fd;
    char path[32];
};

static struct target
target(void)
{
    struct target f = {.fd = memfd_create("trace", MFD_CLOEXEC)};
    CHECK(f.fd >= 0);
    snprintf(f.path, sizeof f.path, "/proc/self/fd/%d", f.fd);
    return f;
}

/* What is in the file, which must be whole: each slice has an end, unless something is missing. */
static struct trace
parsed(const struct target *f)
{
    struct trace t = {.dropped = -1};
    off_t size = lseek(f->fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    struct stacks *s = calloc(1, sizeof *s);
    struct ends arrows = {NULL, NULL, 0, 0, 0};
    if (CHECK(text && s) && CHECK(pread(f->fd, text, (size_t)size, 0) == size)) {
        const char *p = text;
        t.sound = CHECK(events(&p, &t, s, &arrows));
        if (!t.sound) test__note("after %d events, at: %.200s", t.events, p - (p - text > 100 ? 100 : p - text));
        for (int k = 0; k < WORKERS_MOST; k++) CHECK(s->depth[k] == 0 || t.dropped > 0);
    }
    t.arrows = arrows.ended;
    t.unmatched = unmatched(&arrows);
    free(arrows.begins);
    free(arrows.ends);
    free(text);
    free(s);
    return t;
}

static struct trace
taken(struct target *f)
{
    struct trace t = parsed(f);
    close(f->fd);
    return t;
}

/* ---- Programs ----------------------------------------------------------------------------------------------------------- */

static weft_task *
named(const char *name, weft_fn *fn, void *arg)
{
    weft_task_options opt = {.size = sizeof opt, .name = name};
    weft_task *t = NULL;
    CHECK_INT(weft_spawn_with(&t, fn, arg, &opt), 0);
    return t;
}

static int
nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int
fail(void *arg)
{
    (void)arg;
    return WEFT_EOVERFLOW;
}

static int
yield(void *arg)
{
    (void)arg;
    weft_yield();
    return 0;
}

enum { CHILDREN = 20 };

static int
family(void *arg)
{
    weft_task *t[CHILDREN];
    (void)arg;
    for (int i = 0; i < CHILDREN; i++) t[i] = named("child", i % 2 ? nothing : yield, NULL);
    for (int i = 0; i < CHILDREN; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(weft_join(named("failing", fail, NULL)), WEFT_EOVERFLOW);
    return 0;
}

static int
traced_family(void *path)
{
    CHECK_INT(weft_trace_start(path), 0);
    family(NULL);
    return weft_trace_stop();
}

TEST(trace, family, "trace: each task has its slices, that end with how it ended; what is spawned has arrows")
{
    for (int workers = 1; workers <= 2; workers++) {
        struct target f = target();
        CHECK_INT(run_on(workers, traced_family, f.path), 0);
        struct trace t = taken(&f);
        CHECK_INT(kind(&t, "child")->completed, CHILDREN);
        CHECK(kind(&t, "child")->begun >= CHILDREN);
        CHECK_INT(kind(&t, "failing")->failed, 1);
        CHECK_INT(kind(&t, "failing")->completed, 0);
        CHECK(kind(&t, "root")->begun >= 1);
        CHECK_INT(kind(&t, "root")->completed, 0); /* it has ended the trace */
        CHECK(t.arrows >= CHILDREN + 1);
        CHECK_INT(t.unmatched, 0);
        CHECK_INT(t.dropped, 0);
    }
}

static int
put_all(void *arg)
{
    (void)arg;
    meet_often(CHILDREN);
    return 0;
}

TEST(trace, parks,
     "trace: a task that waits has a slice up to there, which says for what, and one from where it goes on")
{
    struct target f = target();
    CHECK_INT(weft_trace_start(f.path), 0);
    CHECK_INT(run_on(1, put_all, NULL), 0);
    CHECK_INT(weft_trace_stop(), 0);
    struct trace t = taken(&f);
    struct kind *taker = kind(&t, "taker"), *root = kind(&t, "root");
    CHECK_INT(taker->completed, 1);
    CHECK_INT(root->completed, 1);
    CHECK(taker->parked + root->parked >= CHILDREN);
    CHECK_INT(taker->begun, taker->parked + 1); /* nobody interrupts it */
    CHECK(t.arrows >= CHILDREN);                /* of wakes */
    CHECK_INT(t.unmatched, 0);
}

/* The innermost yields, and all below it with it. */
static int
deep(void *arg)
{
    int *left = arg;
    if (--*left > 0) return weft_join(named("deep", deep, arg));
    weft_yield();
    return 0;
}

TEST(trace, deep,
     "trace: of many tasks that run in place of each other, and yield, the innermost are shown again, and all ends")
{
    enum { DEPTH = 40 };
    int left = DEPTH;
    struct target f = target();
    CHECK_INT(weft_trace_start(f.path), 0);
    CHECK_INT(run_on(1, deep, &left), 0);
    CHECK_INT(weft_trace_stop(), 0);
    struct trace t = taken(&f);
    CHECK_INT(kind(&t, "deep")->completed, DEPTH - 1);
    CHECK_INT(kind(&t, "root")->completed, 1);
    CHECK_INT(t.deepest, DEPTH);
    /* all at first, as many as are shown again when it goes on, and those below them as they come up */
    CHECK_INT(kind(&t, "deep")->begun + kind(&t, "root")->begun, 2 * DEPTH);
}

static int
await(void *event)
{
    return weft_event_wait(event);
}

/* What has begun before the trace did: a task that waits, and some that have not started. */
static int
begin_late(void *arg)
{
    weft_task *early[CHILDREN];
    weft_event e = WEFT_EVENT_INIT;
    struct target *f = arg;
    weft_task *waiter = named("waiter", await, &e);
    weft_yield();
    for (int i = 0; i < CHILDREN; i++) early[i] = spawned(i % 2 ? nothing : yield, NULL);
    CHECK_INT(weft_trace_start(f->path), 0);
    weft_event_notify(&e);
    for (int i = CHILDREN; i-- > 0;) CHECK_INT(weft_join(early[i]), 0);
    CHECK_INT(weft_join(waiter), 0);
    CHECK_INT(weft_join(named("late", nothing, NULL)), 0);
    CHECK_INT(weft_trace_stop(), 0);
    return 0;
}

TEST(trace, late, "trace: one that begins in the middle shows what was there from where it next goes on, and is sound")
{
    struct target f = target();
    CHECK_INT(run_on(1, begin_late, &f), 0);
    struct trace t = taken(&f);
    CHECK_INT(kind(&t, "waiter")->completed, 1);
    CHECK_INT(kind(&t, "late")->completed, 1);
    CHECK(kind(&t, "root")->begun >= 1);
}

TEST(trace, runs, "trace: it spans runs of the runtime, and the file is whole after each")
{
    struct target f = target();
    CHECK_INT(weft_trace_start(f.path), 0);
    for (int runs = 1; runs <= 2; runs++) {
        CHECK_INT(run_on(2, family, NULL), 0);
        struct trace t = parsed(&f);
        CHECK_INT(kind(&t, "child")->completed, runs * CHILDREN);
        CHECK_INT(kind(&t, "root")->completed, runs);
        CHECK_INT(t.unmatched, 0);
    }
    CHECK_INT(weft_trace_stop(), 0);
    CHECK_INT(run_on(2, family, NULL), 0); /* not traced */
    struct trace t = taken(&f);
    CHECK_INT(kind(&t, "child")->completed, 2 * CHILDREN);
    CHECK_INT(t.dropped, 0);
}

static int
many(void *arg)
{
    int n = *(int *)arg;
    for (int i = 0; i < n; i++) CHECK_INT(weft_join(named("one of many", nothing, NULL)), 0);
    return 0;
}

TEST(trace, many, "trace: what does not fit into a buffer is written while tasks run, and nothing is missing")
{
    int n = scaled(3000) > 300 || TEST_SIM ? scaled(3000) : 300;
    struct target f = target();
    CHECK_INT(weft_trace_start(f.path), 0);
    CHECK_INT(run_on(2, many, &n), 0);
    CHECK_INT(weft_trace_stop(), 0);
    struct trace t = taken(&f);
    CHECK_INT(kind(&t, "one of many")->completed, n);
    CHECK(kind(&t, "write the trace")->begun >= (n >= 300 ? 1 : 0));
    CHECK_INT(t.unmatched, 0);
}

static _Atomic int stolen;

static int
mark_stolen(void *arg)
{
    (void)arg;
    atomic_store(&stolen, 1);
    return 0;
}

static int
lose(void *arg)
{
    (void)arg;
    weft_task *t = named("stolen", mark_stolen, NULL);
    spin_until(&stolen, 1); /* the worker is busy: only a thief can run it */
    return weft_join(t);
}

TEST(trace, steal, "trace: a worker that steals says so, within its search")
{
    struct target f = target();
    atomic_store(&stolen, 0);
    CHECK_INT(weft_trace_start(f.path), 0);
    CHECK_INT(run_on(2, lose, NULL), 0);
    CHECK_INT(weft_trace_stop(), 0);
    struct trace t = taken(&f);
    CHECK(t.steals >= 1);
    CHECK(kind(&t, "search")->begun >= 1);
    CHECK_INT(kind(&t, "stolen")->completed, 1);
    CHECK_INT(t.unmatched, 0);
}

TEST(trace, sleep, "trace: a worker that sleeps has a slice for it, which ends with the trace")
{
    weft_config cfg = {.size = sizeof cfg, .workers = 1};
    weft_stats s = {.size = sizeof s};
    struct target f = target();
    CHECK_INT(weft_trace_start(f.path), 0);
    CHECK_INT(weft_stats_get(&s), 0);
    uint64_t before = s.total.sleeps;
    CHECK_INT(weft_start(&cfg), 0);
    while (weft_stats_get(&s) == 0 && s.total.sleeps == before) sched_yield();
    CHECK_INT(weft_trace_stop(), 0);
    CHECK_INT(weft_stop(), 0);
    struct trace t = taken(&f);
    CHECK(kind(&t, "sleep")->begun >= 1);
}

static int
strange(void *arg)
{
    static const char *const names[] = {"\"quoted\\\"", "line\nend\t\x01", "caf\xc3\xa9 \xe2\x86\x92 \xf0\x9f\xa7\xb5",
                                        "\xff\xc3", "\xc0\x80 \xed\xa0\x80 \xf5\x80\x80\x80"};
    static char longest[200];
    (void)arg;
    memset(longest, 'x', sizeof longest - 1);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) CHECK_INT(weft_join(named(names[k], nothing, NULL)), 0);
    return weft_join(named(longest, nothing, NULL));
}

TEST(trace, names, "trace: names may be anything, of UTF-8 or not")
{
    struct target f = target();
    char sixty_four[65] = "";
    memset(sixty_four, 'x', 64);
    CHECK_INT(weft_trace_start(f.path), 0);
    CHECK_INT(run_on(1, strange, NULL), 0);
    CHECK_INT(weft_trace_stop(), 0);
    struct trace t = taken(&f);
    CHECK_INT(kind(&t, "\\\"quoted\\\\\\\"")->completed, 1);
    CHECK_INT(kind(&t, "line?end??")->completed, 1);
    CHECK_INT(kind(&t, "caf\xc3\xa9 \xe2\x86\x92 \xf0\x9f\xa7\xb5")->completed, 1);
    CHECK_INT(kind(&t, "??")->completed, 1);
    CHECK_INT(kind(&t, "?? ??? ????")->completed, 1);
    CHECK_INT(kind(&t, sixty_four)->completed, 1);
}

/* ---- Starting and stopping ---------------------------------------------------------------------------------------------- */

TEST(trace, twice, "trace: there is one at a time, and what has not begun cannot be stopped")
{
    struct target f = target(), g = target();
    CHECK_INT(weft_trace_start(NULL), WEFT_EINVAL);
    CHECK_INT(weft_trace_stop(), WEFT_ENOENT);
    CHECK_INT(weft_trace_start(f.path), 0);
    CHECK_INT(weft_trace_start(g.path), WEFT_EBUSY);
    CHECK_INT(weft_trace_stop(), 0);
    CHECK_INT(weft_trace_stop(), WEFT_ENOENT);
    CHECK_INT(weft_trace_start("/proc/self/there is no such file"), -ENOENT);
    CHECK_INT(weft_trace_stop(), WEFT_ENOENT);
    CHECK_INT(taken(&f).dropped, 0);
    close(g.fd);
}

static _Atomic int over;

static int
busy(void *arg)
{
    while (!atomic_load(&over)) {
        weft_task *t = spawned(arg ? busy : yield, NULL);
        weft_yield();
        CHECK_INT(weft_join(t), 0);
    }
    return 0;
}

TEST(trace, under_load, "trace: it begins and ends while tasks run, wait, and are stolen, again and again")
{
    weft_task *t[4];
    weft_config cfg = {.size = sizeof cfg, .workers = 2};
    atomic_store(&over, 0);
    CHECK_INT(weft_start(&cfg), 0);
    for (int i = 0; i < 4; i++) t[i] = spawned(busy, i % 2 ? &over : NULL);
    for (int i = 0; i < (TEST_SIM ? 2 : 5); i++) {
        struct target f = target();
        CHECK_INT(weft_trace_start(f.path), 0);
        CHECK_INT(weft_join(named("outside", nothing, NULL)), 0);
        if (i % 2) CHECK_INT(weft_sleep(WEFT_MS / 4), 0);
        CHECK_INT(weft_trace_stop(), 0);
        struct trace trace = taken(&f);
        CHECK_INT(kind(&trace, "outside")->completed, 1);
    }
    atomic_store(&over, 1);
    for (int i = 0; i < 4; i++) CHECK_INT(weft_join(t[i]), 0);
    CHECK_INT(weft_stop(), 0);
}

TEST(trace, full, "trace: where the disk is full, the end says so, and how much is missing")
{
    struct capture c;
    char text[4096];
    if (!capture_begin(&c)) return;
    CHECK_INT(weft_trace_start("/dev/full"), 0);
    int rc = run_on(2, family, NULL);
    int stopped = weft_trace_stop(), again = weft_trace_stop();
    int begun = capture_end(&c, text, sizeof text, "weft: the trace is not whole, ");
    CHECK_INT(rc, 0);
    CHECK_INT(stopped, -ENOSPC);
    CHECK_INT(again, WEFT_ENOENT);
    CHECK_INT(begun, 1);
    int missing = atoi(text + strlen("weft: the trace is not whole, "));
    CHECK(missing >= 4 * CHILDREN); /* spawned, begun, its arrow, ended */
}

/* The file may not become longer than that: a write is cut short, and the next fails. */
static int
outgrow(void *arg)
{
    struct rlimit limit = {100000, 100000};
    int n = 1000;
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || weft_trace_start(arg) != 0) return 1;
    if (run_on(1, many, &n) != 0) return 2;
    return weft_trace_stop() == -EFBIG ? 0 : 3;
}

TEST(trace, outgrows, "trace: where the disk fills up meanwhile, what was written in whole pieces stays, and is sound")
{
    if (TEST_TSAN) return;
    struct capture c;
    char text[4096];
    struct target f = target();
    if (!capture_begin(&c)) return;
    int status = child_status(outgrow, f.path);
    int begun = capture_end(&c, text, sizeof text, "weft: the trace is not whole, ");
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    CHECK_INT(begun, 1);
    struct trace t = parsed(&f);
    close(f.fd);
    CHECK(kind(&t, "one of many")->completed >= 50);
    CHECK(kind(&t, "one of many")->completed < 1000);
    CHECK(t.dropped >= 4 * (1000 - kind(&t, "one of many")->completed) - 4);
    CHECK_INT(atoi(text + strlen("weft: the trace is not whole, ")), t.dropped);
}

/* ---- Processes ---------------------------------------------------------------------------------------------------------- */

static int
forked_child(void *arg)
{
    bool good = weft_trace_stop() == WEFT_ENOENT && weft_trace_start(arg) == 0 && weft_run(NULL, nothing, NULL) == 0 &&
                weft_trace_stop() == 0;
    return good ? 0 : 1;
}

TEST(trace, fork, "trace: a child has none, and may begin its own; the parent's goes on")
{
    if (TEST_TSAN) return;
    struct target f = target(), g = target();
    CHECK_INT(weft_trace_start(f.path), 0);
    int status = child_status(forked_child, g.path);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_INT(run_on(1, family, NULL), 0);
    CHECK_INT(weft_trace_stop(), 0);
    struct trace mine = taken(&f), its = taken(&g);
    CHECK_INT(kind(&mine, "child")->completed, CHILDREN);
    CHECK_INT(kind(&its, "root")->completed, 1);
}

static int
leave_early(void *arg)
{
    if (weft_trace_start(arg) != 0 || weft_start(NULL) != 0 || weft_join(named("early", nothing, NULL)) != 0) return 1;
    exit(0);
}

TEST(trace, leaves, "trace: exit() ends it, also while the runtime runs")
{
    if (TEST_TSAN) return;
    struct target f = target();
    int status = child_status(leave_early, f.path);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    struct trace t = taken(&f);
    CHECK_INT(kind(&t, "early")->completed, 1);
}
