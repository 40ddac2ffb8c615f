/* trace_events.c - a trace's events, as text: the Trace Event Format of Chrome, which Perfetto reads.  [layer 4]
 *
 * A track of a worker is a sequence of slices, each with a beginning ("B") and an end ("E"); what begins last ends first.
 * While a worker runs a context, there is a slice for each task of its chain, the outermost below, but at most CHAIN of
 * them: the innermost ones.  All of them end where the context is left, and begin again where it goes on, perhaps on another
 * track.  So a switch costs the same however deep tasks run in place; where the last of the slices ends and tasks are left,
 * these get theirs.  Whatever was missed because it happened before the trace began is made up for in the same way.
 *
 * Arrows ("s" to "f") lead from the slice in which a task is spawned to the one in which it begins, and from the slice in
 * which a context is woken to the one in which it goes on. */
#include "trace.h"

#include "clock.h"

#include <weft/error.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CHAIN = 16, NAME = 64, PARK_BITS = 4 /* of a parker's word, that say more than which park it is */ };

/* ---- Text -------------------------------------------------------------------------------------------------------------- */

static void
put(struct track *k, const char *text)
{
    size_t n = strlen(text);
    memcpy(k->text + k->used, text, n);
    k->used += (uint32_t)n;
}

static void
put_char(struct track *k, char c)
{
    k->text[k->used++] = c;
}

static void
put_digits(struct track *k, uint64_t n, unsigned base, int least)
{
    char digits[24], *p = digits + sizeof digits;
    *--p = '\0';
    do *--p = "0123456789abcdef"[n % base];
    while ((n /= base) || digits + sizeof digits - 1 - p < least);
    put(k, p);
}

static void
put_number(struct track *k, int64_t n)
{
    if (n < 0) put_char(k, '-');
    put_digits(k, n < 0 ? 0 - (uint64_t)n : (uint64_t)n, 10, 1);
}

static void
put_hex(struct track *k, uint64_t n)
{
    put(k, "\"0x");
    put_digits(k, n, 16, 1);
    put_char(k, '"');
}

/* The length of the well-formed character of UTF-8 at s, which ends with a zero; 0: it is none. */
static int
character(const unsigned char *s)
{
    int n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0; /* too long; half of a pair */
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0; /* too long; beyond the last */
    return n;
}

/* A string in quotes; of one that is long, what fits into NAME bytes. */
static void
put_string(struct track *k, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    put_char(k, '"');
    for (int n, used = 0; *s; s += n, used += n) {
        n = character(s);
        if (used + n > NAME) break;
        if (*s == '"' || *s == '\\') put_char(k, '\\');
        if (n == 0 || *s < ' ') put_char(k, '?');
        else {
            memcpy(k->text + k->used, s, (size_t)n);
            k->used += (uint32_t)n;
        }
        if (n == 0) n = 1;
    }
    put_char(k, '"');
}

/* Microseconds, with three places. */
static void
put_time(struct track *k, int64_t ns)
{
    put_digits(k, (uint64_t)ns / 1000, 10, 1);
    put_char(k, '.');
    put_digits(k, (uint64_t)ns % 1000, 10, 3);
}

/* ---- Events ------------------------------------------------------------------------------------------------------------ */

/* What every event begins with. */
static void
head(struct track *k, char phase, int64_t now)
{
    put(k, "{\"ph\":\"");
    put_char(k, phase);
    memcpy(k->text + k->used, k->head, k->head_used);
    k->used += k->head_used;
    put_time(k, now);
}

static void
tail(struct track *k)
{
    put(k, "},\n");
    k->events++;
}

static void
begin(struct track *k, int64_t now, const char *name)
{
    head(k, 'B', now);
    put(k, ",\"name\":");
    put_string(k, name);
    tail(k);
    k->open++;
}

static void
end_plain(struct track *k, int64_t now)
{
    head(k, 'E', now);
    tail(k);
    k->open--;
}

/* An end of an arrow: 's' or 'f'. */
static void
arrow(struct track *k, char phase, int64_t now, const char *kind, uint64_t id)
{
    head(k, phase, now);
    if (phase == 'f') put(k, ",\"bp\":\"e\"");
    put(k, ",\"cat\":\"");
    put(k, kind);
    put(k, "\",\"name\":\"");
    put(k, kind);
    put(k, "\",\"id\":");
    put_hex(k, id);
    tail(k);
}

/* How many tasks had the descriptor before. */
static uint64_t
generation(const weft_task *t)
{
    return weft__task_ticket(t) / PHASE_GENERATION;
}

/* A number for an arrow to the address: others that lead there at the same time have another count. */
static uint64_t
arrow_id(const void *address, uint64_t count)
{
    enum { ALIGNED = 4, COUNT = 20 };
    return (uint64_t)(uintptr_t)address >> ALIGNED << COUNT | (count & ((1u << COUNT) - 1));
}

static void
find_body(struct track_body *b, weft_fn *fn)
{
    Dl_info info;
    int saved = errno;
    void *address = (void *)(uintptr_t)fn;
    b->fn = fn;
    if (!dladdr(address, &info) || !info.dli_fname) {
        snprintf(b->name, sizeof b->name, "body 0x%zx", (size_t)(uintptr_t)fn);
    } else if (info.dli_sname && info.dli_saddr == address) {
        snprintf(b->name, sizeof b->name, "%s", info.dli_sname);
    } else { /* as addr2line wants it: -e file 0x... */
        const char *slash = strrchr(info.dli_fname, '/');
        snprintf(b->name, sizeof b->name, "%.40s+0x%zx", slash ? slash + 1 : info.dli_fname,
                 (size_t)((char *)address - (char *)info.dli_fbase));
    }
    errno = saved;
}

/* What a task without a name is called. */
static const char *
body_name(struct track *k, weft_fn *fn)
{
    struct track_body *b = &k->bodies[((uintptr_t)fn >> 4) % TRACK_BODIES];
    if (b->fn != fn) find_body(b, fn);
    return b->name;
}

/* t's slice begins. */
static void
begin_task(struct track *k, int64_t now, const weft_task *t)
{
    head(k, 'B', now);
    put(k, ",\"name\":");
    put_string(k, t->name ? t->name : body_name(k, t->fn));
    put(k, ",\"args\":{\"task\":\"0x");
    put_digits(k, (uintptr_t)t, 16, 1);
    put_char(k, '.');
    put_digits(k, generation(t), 10, 1);
    put(k, "\"}");
    tail(k);
    k->open++;
}

/* Has t, which runs in place, slices?  Only if its end will be seen. */
static bool
is_shown(const weft_task *t)
{
    return load_relaxed(&t->flags) & TASK_WATCHED; /* relaxed: constant */
}

/* The slices of t, a context's innermost task, and of what waits below it begin. */
static void
begin_chain(struct track *k, int64_t now, const weft_task *t)
{
    const weft_task *chain[CHAIN];
    int n = 0;
    for (; t && n < CHAIN; t = weft__task_below(t)) {
        if (weft__task_outermost(t) || is_shown(t)) chain[n++] = t;
    }
    while (n > 0) begin_task(k, now, chain[--n]);
}

/* Ends what is open, however much: it is later then, perhaps. */
static int64_t
end_all(struct track *k, int64_t now)
{
    while (k->open > 0) {
        if (weft__trace_room(k)) now = weft__clock_now();
        end_plain(k, now);
    }
    return now;
}

/* The innermost slice ends, and this is why. */
static void
begin_end(struct track *k, int64_t now)
{
    head(k, 'E', now);
    put(k, ",\"args\":{\"end\":");
}

static void
end_end(struct track *k)
{
    put_char(k, '}');
    tail(k);
    k->open--;
}

/* How many tasks and contexts w has in its queues. */
static void
count_queued(struct track *k, int64_t now, struct worker *w)
{
    int64_t n = weft__deque_size(&w->deque) + weft__deque_size(&w->fifo);
    if (n == k->queued) return;
    k->queued = n;
    head(k, 'C', now);
    put(k, ",\"name\":\"queued on worker ");
    put_number(k, k->worker);
    put(k, "\",\"args\":{\"tasks\":");
    put_number(k, n);
    put_char(k, '}');
    tail(k);
}

/* What c runs, if the track does not show it yet: the trace has begun meanwhile. */
static void
catch_up(struct track *k, int64_t now, const struct context *c)
{
    if (k->open == 0 && c) begin_chain(k, now, c->task);
}

/* ---- A track, and a file ----------------------------------------------------------------------------------------------- */

void
weft__trace_open(struct track *k, int pid)
{
    int n = snprintf(k->head, sizeof k->head, "\",\"pid\":%d,\"tid\":%d,\"ts\":", pid, k->worker + 1);
    k->head_used = (uint32_t)n;
    k->used = 0;
    k->open = 0;
    k->parks = NULL;
    k->queued = -1;
    k->events = 0;
    head(k, 'M', weft__clock_now());
    put(k, ",\"name\":\"thread_name\",\"args\":{\"name\":\"worker ");
    put_number(k, k->worker);
    put(k, "\"}");
    tail(k);
}

void
weft__trace_close(struct track *k)
{
    if (k->open > 0) (void)end_all(k, weft__clock_now());
}

void
weft__trace_wrote(struct track *k, int64_t since)
{
    begin(k, since, "write the trace");
    end_plain(k, weft__clock_now());
}

size_t
weft__trace_first(char *text, size_t size, int pid)
{
    int n = snprintf(
        text, size,
        "[\n{\"ph\":\"M\",\"pid\":%d,\"tid\":0,\"ts\":0,\"name\":\"process_name\",\"args\":{\"name\":\"Weft\"}},\n",
        pid);
    return (size_t)n;
}

size_t
weft__trace_last(char *text, size_t size, int pid, uint64_t dropped)
{
    int64_t now = weft__clock_now();
    int n = snprintf(text, size,
                     "{\"ph\":\"i\",\"s\":\"g\",\"pid\":%d,\"tid\":0,\"ts\":%lld.%03d,\"name\":\"end of the trace\","
                     "\"args\":{\"dropped\":%llu}}\n]\n",
                     pid, (long long)(now / 1000), (int)(now % 1000), (unsigned long long)dropped);
    return (size_t)n;
}

/* ---- What happened ----------------------------------------------------------------------------------------------------- */

weft__noinline void
weft__trace_spawn(weft_task *t)
{
    struct worker *w = weft__worker();
    struct track *k = w ? weft__trace_lock(w) : NULL;
    if (!k) return;
    int64_t now = weft__clock_now();
    catch_up(k, now, w->context);
    arrow(k, 's', now, "spawn", arrow_id(t, generation(t)));
    or_acq_rel(&t->flags, TASK_TRACED); /* published with the task */
    weft__trace_unlock(k);
}

weft__noinline void
weft__trace_begin(struct context *c, const weft_task *t)
{
    struct track *k = weft__trace_lock(c->worker);
    if (!k) return;
    int64_t now = weft__clock_now();
    bool outermost = c->task == t; /* what runs in place is that only when it has begun */
    if (outermost) count_queued(k, now, c->worker);
    else catch_up(k, now, c);
    if (outermost || is_shown(t)) {
        begin_task(k, now, t);
        bool led = load_relaxed(&t->flags) & TASK_TRACED; /* relaxed: constant by now */
        if (led) arrow(k, 'f', now, "spawn", arrow_id(t, generation(t)));
    }
    weft__trace_unlock(k);
}

weft__noinline void
weft__trace_end(struct context *c, const weft_task *t, int code)
{
    struct track *k = weft__trace_lock(c->worker);
    if (!k) return;
    if (k->open > 0 && (c->task == t || is_shown(t))) {
        unsigned phase = weft__task_outcome(t, code);
        begin_end(k, weft__clock_now());
        put(k, phase == PHASE_COMPLETED ? "\"completed\"" : phase == PHASE_FAILED ? "\"failed\"" : "\"cancelled\"");
        if (code != 0) {
            put(k, ",\"code\":");
            put_number(k, code);
        }
        if (code < 0) {
            put(k, ",\"error\":");
            put_string(k, weft_error_name(code));
        }
        end_end(k);
    }
    weft__trace_unlock(k);
}

weft__noinline void
weft__trace_back(struct context *c, const weft_task *outer)
{
    struct track *k = weft__trace_lock(c->worker);
    if (!k) return;
    if (k->open == 0 && outer) begin_chain(k, weft__clock_now(), outer);
    weft__trace_unlock(k);
}

weft__noinline void
weft__trace_arm(struct context *c)
{
    struct track *k = weft__trace_lock(c->worker);
    c->woken = 0;
    if (!k) return;
    k->parks = load_relaxed(&c->parker.reason); /* relaxed: its own */
    catch_up(k, weft__clock_now(), c);
    weft__trace_unlock(k);
}

weft__noinline void
weft__trace_leave(struct context *c)
{
    struct track *k = weft__trace_lock(c->worker);
    if (!k) return;
    int64_t now = weft__clock_now();
    if (k->open > 0) {
        begin_end(k, now);
        if (k->parks) {
            const void *object = load_relaxed(&c->parker.object); /* relaxed: its own, but for a move: for people */
            put(k, "\"parked\",\"in\":");
            put_string(k, k->parks);
            if (object) {
                put(k, ",\"at\":");
                put_hex(k, (uintptr_t)object);
            }
        } else {
            put(k, "\"yielded\"");
        }
        end_end(k);
        (void)end_all(k, now);
    }
    k->parks = NULL;
    weft__trace_unlock(k);
}

weft__noinline void
weft__trace_resume(struct context *c)
{
    struct track *k = weft__trace_lock(c->worker);
    uint64_t woken = c->woken;
    c->woken = 0;
    if (!k) return;
    int64_t now = weft__clock_now();
    k->parks = NULL;
    if (k->open == 0) {
        count_queued(k, now, c->worker);
        begin_chain(k, now, c->task);
    }
    if (woken) arrow(k, 'f', now, "wake", woken);
    weft__trace_unlock(k);
}

weft__noinline void
weft__trace_wake(struct parker *p)
{
    struct worker *w = weft__worker();
    struct track *k = w && p->context ? weft__trace_lock(w) : NULL;
    if (!k) return;
    int64_t now = weft__clock_now();
    if (k->open > 0) { /* else the scheduler wakes it: there is nothing where the arrow could begin */
        uint64_t word;
        (void)weft__park_look(p, &word);
        p->context->woken = arrow_id(p->context, word >> PARK_BITS);
        arrow(k, 's', now, "wake", p->context->woken);
    }
    weft__trace_unlock(k);
}

weft__noinline void
weft__trace_idle(struct worker *w, const char *what)
{
    struct track *k = weft__trace_lock(w);
    if (!k) return;
    int64_t now = end_all(k, weft__clock_now());
    if (what) begin(k, now, what);
    weft__trace_unlock(k);
}

weft__noinline void
weft__trace_steal(struct worker *w, const struct worker *from)
{
    struct track *k = weft__trace_lock(w);
    if (!k) return;
    head(k, 'i', weft__clock_now());
    put(k, ",\"s\":\"t\",\"name\":\"steal\",\"args\":{\"from worker\":");
    put_number(k, from->id);
    put_char(k, '}');
    tail(k);
    weft__trace_unlock(k);
}
