/* failure.c - why a task failed: the text and the backtrace of weft_fail, and how a failure is reported.  [layer 3] */
#include "failure.h"

#include "hook.h"
#include "panic.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 48, REPORT = 16 * 1024 };

struct failure {
    int frames;
    void *frame[FRAMES];
    char text[];
};

static struct {
    _Atomic(void (*)(weft_task *, int)) unhandled;
    _Atomic(void (*)(const char *)) misuse;
} handlers;

void
weft__failure_handlers(void (*on_unhandled)(weft_task *, int), void (*on_misuse)(const char *))
{
    store_relaxed(&handlers.unhandled, on_unhandled); /* relaxed: set before there are tasks */
    store_relaxed(&handlers.misuse, on_misuse);       /* as above */
}

void
weft__misuse(const char *what)
{
    void (*handler)(const char *) = load_relaxed(&handlers.misuse); /* relaxed: as above */
    if (!handler) weft__panic(what);
    handler(what);
}

/* The section that weft__task_call is alone in: where one task's frames end, although those of the task that waits for
 * it in place may follow on the same stack. */
extern const char __start_weft_call[] __attribute__((visibility("hidden")));
extern const char __stop_weft_call[] __attribute__((visibility("hidden")));

static int
capture(void **frame, int most)
{
    void *raw[FRAMES + 2];
    int n = backtrace(raw, most + 2 < FRAMES + 2 ? most + 2 : FRAMES + 2), kept = 0;
    for (int i = 2; i < n; i++) { /* without this function and weft_fail */
        const char *at = raw[i];
        if (at > __start_weft_call && at <= __stop_weft_call) break;
        frame[kept++] = raw[i];
    }
    return kept;
}

weft__noinline int
weft_fail(int code, const char *fmt, ...)
{
    weft_task *t = weft_current();
    if (code >= 0 || !t) return code;
    int saved = errno;
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, args);
    struct failure *f = length < 0 || weft__hook_fail() ? NULL : malloc(sizeof *f + (size_t)length + 1);
    if (f) {
        vsnprintf(f->text, (size_t)length + 1, fmt, again);
        f->frames = capture(f->frame, FRAMES);
    }
    va_end(again);
    va_end(args);
    free(t->failure);
    t->failure = f;
    or_acq_rel(&t->flags, TASK_LADEN); /* other bits may be set at the same time */
    errno = saved;
    return code;
}

const char *
weft_task_message(const weft_task *t)
{
    enum weft_state s = weft_task_state(t);
    return (s == WEFT_FAILED || s == WEFT_CANCELLED) && t->failure ? t->failure->text : NULL;
}

/* Appends to a report of fixed size: what does not fit is cut. */
struct report {
    size_t length;
    char text[REPORT];
};

static void __attribute__((format(printf, 2, 3))) append(struct report *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t room = sizeof r->text - r->length;
    int n = vsnprintf(r->text + r->length, room, fmt, args);
    va_end(args);
    if (n > 0) r->length += (size_t)n < room ? (size_t)n : room - 1;
}

static void
append_frame(struct report *r, int number, void *at)
{
    Dl_info info;
    bool found = dladdr(at, &info) != 0;
    const char *object = found && info.dli_fname ? info.dli_fname : "?";
    if (found && info.dli_sname) {
        append(r, " [%d] %s+0x%tx at %s\n", number, info.dli_sname, (char *)at - (char *)info.dli_saddr, object);
    } else {
        append(r, " [%d] %p at %s+0x%tx\n", number, at, object,
               found ? (char *)at - (char *)info.dli_fbase : (ptrdiff_t)0);
    }
}

/* The address of a function as data: C has no cast for it. */
static void *
address_of(weft_fn *fn)
{
    void *at;
    _Static_assert(sizeof at == sizeof fn, "code and data pointers alike");
    memcpy(&at, &fn, sizeof at);
    return at;
}

static void
compose(struct report *r, const weft_task *t, int code)
{
    const struct failure *f = t->failure;
    append(r, "Unhandled Task ERROR: ");
    if (f) append(r, "%s", f->text);
    else append(r, "%s: %s", weft_error_name(code), weft_error_text(code));
    append(r, "\nStacktrace:\n");
    if (f && f->frames > 0) {
        for (int i = 0; i < f->frames; i++) append_frame(r, i + 1, f->frame[i]);
    } else {
        append_frame(r, 1, address_of(t->fn));
    }
    if (t->name) append(r, " in task %s\n", t->name);
}

void
weft__failure_print(weft_task *t, int code)
{
    if (or_acq_rel(&t->flags, TASK_REPORTED) & TASK_REPORTED) return; /* whoever sets the flag prints */
    int saved = errno;
    struct report *r = malloc(sizeof *r);
    if (r) {
        r->length = 0;
        compose(r, t, code);
        ssize_t written = write(STDERR_FILENO, r->text, r->length);
        (void)written; /* stderr may be closed: there is nowhere else to say it */
        free(r);
    } else {
        weft__warn("a task failed with %s, and there is no memory to say more", weft_error_name(code));
    }
    errno = saved;
}

void
weft__failure_unhandled(weft_task *t)
{
    void (*handler)(weft_task *, int) = load_relaxed(&handlers.unhandled); /* relaxed: set before there are tasks */
    if (handler) handler(t, t->code);
    else weft__failure_print(t, t->code);
}
