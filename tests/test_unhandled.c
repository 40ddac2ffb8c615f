/* test_unhandled.c - how failures are told: weft_fail, errormonitor, on_unhandled, ondone. */
#include <pthread.h>
#include <stdio.h>

#include "task_kit.h"

static int
succeed(void *arg)
{
    (void)arg;
    return 0;
}

static int
fail_plainly(void *arg)
{
    (void)arg;
    return WEFT_EPERM;
}

static int
fail_with_text(void *arg)
{
    (void)arg;
    return weft_fail(WEFT_EINVAL, "row %d: too %s", 7, "short");
}

static int
count(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 0;
}

/* What on_unhandled saw.  It may be called on several workers at once. */
static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int unhandled, last_code;
static char last_message[64], last_name[64]; /* last_lock */

static void
on_unhandled(weft_task *t, int code)
{
    const char *message = weft_task_message(t);
    pthread_mutex_lock(&last_lock);
    snprintf(last_message, sizeof last_message, "%s", message ? message : "(none)");
    snprintf(last_name, sizeof last_name, "%s", weft_task_name(t));
    pthread_mutex_unlock(&last_lock);
    atomic_store(&last_code, code);
    atomic_fetch_add(&unhandled, 1);
}

/* Runs fn and returns how many failures were reported meanwhile. */
static int
reports_of(weft_fn *fn)
{
    weft_config cfg = {.size = sizeof cfg, .on_unhandled = on_unhandled};
    atomic_store(&unhandled, 0);
    CHECK_INT(weft_run(&cfg, fn, NULL), 0);
    return atomic_load(&unhandled);
}

static int
record_twice(void *arg)
{
    (void)arg;
    CHECK_INT(weft_fail(WEFT_EPERM, "first"), WEFT_EPERM);
    CHECK_INT(weft_fail(3, "no failure"), 3);
    CHECK_INT(weft_fail(0, "no failure"), 0);
    weft_yield();
    return weft_fail(-4242, "last %s", "words");
}

static int
record_and_succeed(void *arg)
{
    (void)arg;
    (void)weft_fail(WEFT_EPERM, "almost");
    return 0;
}

TASK_TEST(fail, text, "fail: the last text that a task gave to weft_fail is its message")
{
    weft_task *t = spawned(record_twice, NULL);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_task_error(t), -4242);
    CHECK_STR(weft_task_message(t), "last words");
    CHECK_STR(weft_task_message(t), "last words");
    weft_task_release(t);
}

TASK_TEST(fail, no_text, "fail: there is no message without weft_fail, before the end, or when the task completed")
{
    weft_task *t = unscheduled(fail_plainly, NULL, 0);
    CHECK(weft_task_message(t) == NULL);
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK(weft_task_message(t) == NULL);
    CHECK_INT(weft_join(t), WEFT_EPERM);
    t = spawned(record_and_succeed, NULL);
    CHECK_INT(weft_wait(t), 0);
    CHECK(weft_task_message(t) == NULL);
    CHECK_INT(weft_join(t), 0);
}

TEST(fail, outside, "fail: outside a task the code comes back and nothing is recorded")
{
    CHECK_INT(weft_fail(WEFT_EINVAL, "%d", 1), WEFT_EINVAL);
    CHECK_INT(weft_fail(12, "%d", 1), 12);
}

static int
fail_at_length(void *arg)
{
    (void)arg;
    char long_text[5001];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    return weft_fail(WEFT_EINVAL, "%s", long_text);
}

TASK_TEST(fail, long_text, "fail: a very long text keeps its beginning")
{
    weft_task *t = spawned(fail_at_length, NULL);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    if (CHECK(weft_task_message(t) != NULL)) CHECK(strspn(weft_task_message(t), "x") >= 100);
    weft_task_release(t);
}

static int
fail_with_number(void *arg)
{
    int number = *(int *)arg;
    for (int i = 0; i < number % 5; i++) weft_yield();
    return weft_fail(-1000 - number, "number %d", number);
}

TASK_TEST(fail, many, "fail: every task has a message of its own")
{
    enum { N = 300 };
    static weft_task *t[N];
    char expected[32];
    for (int i = 0; i < N; i++) CHECK_INT(weft_spawn_copy(&t[i], fail_with_number, &(int){i}, sizeof(int)), 0);
    for (int i = N - 1; i >= 0; i--) {
        CHECK_INT(weft_wait(t[i]), WEFT_ECHILD);
        snprintf(expected, sizeof expected, "number %d", i);
        CHECK_STR(weft_task_message(t[i]), expected);
        CHECK_INT(weft_join(t[i]), -1000 - i);
    }
}

static const char monitored[] = "Unhandled Task ERROR: row 7: too short\nStacktrace:\n [1] ";
static char written[1 << 16];

/* Runs fn in a runtime of its own, and returns how often what an errormonitor writes was written. */
static int
written_by(weft_fn *fn)
{
    struct capture c;
    if (!capture_begin(&c)) return -1;
    int code = weft_run(NULL, fn, NULL);
    int begun = capture_end(&c, written, sizeof written, monitored);
    CHECK_INT(code, 0);
    return begun;
}

static int
monitor_before(void *arg)
{
    (void)arg;
    weft_task *t = unscheduled(fail_with_text, NULL, 0);
    CHECK(weft_errormonitor(t) == t);
    CHECK(weft_errormonitor(t) == t);
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK(weft_errormonitor(t) == t);
    weft_task_release(t);
    return 0;
}

/* [J181] */
TEST(errormonitor, format, "errormonitor: a failure is written once, as one write, with its text and its stack")
{
    CHECK_INT(written_by(monitor_before), 1);
    CHECK(strstr(written, monitored) == written);
    CHECK(strstr(written + 1, "Unhandled") == NULL);
    CHECK(written[strlen(written) - 1] == '\n');
}

static int
monitor_after(void *arg)
{
    (void)arg;
    weft_task *t = spawned(fail_with_text, NULL);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK(weft_errormonitor(t) == t);
    weft_task_release(t);
    return 0;
}

/* [J182] */
TEST(errormonitor, already_failed, "errormonitor: a task that has failed already is written too")
{
    CHECK_INT(written_by(monitor_after), 1);
}

static int
monitor_success(void *arg)
{
    (void)arg;
    weft_task *t = unscheduled(record_and_succeed, NULL, 0);
    CHECK(weft_errormonitor(t) == t);
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_wait(t), 0);
    CHECK(weft_errormonitor(t) == t);
    weft_task_release(t);
    return 0;
}

/* [J182] */
TEST(errormonitor, success, "errormonitor: success is silent")
{
    CHECK_INT(written_by(monitor_success), 0);
    CHECK_STR(written, "");
}

static int
fail_because_of_child(void *arg)
{
    (void)arg;
    weft_task *t = spawned(fail_with_text, NULL);
    int code = weft_wait(weft_errormonitor(t));
    if (code < 0) code = weft_fail(code, "outer, since %s", weft_task_message(t));
    weft_task_release(t);
    return code;
}

static int
monitor_nested(void *arg)
{
    (void)arg;
    weft_task *t = spawned(fail_because_of_child, NULL);
    CHECK_INT(weft_wait(weft_errormonitor(t)), WEFT_ECHILD);
    CHECK_INT(weft_join(t), WEFT_ECHILD);
    return 0;
}

/* [J152] Julia writes both failures in the outer one's report. */
TEST(errormonitor, nested,
     "errormonitor: a failure because of another task's is written, and the other too, with both stacks")
{
    CHECK_INT(written_by(monitor_nested), 1);
    char *inner = strstr(written, "Unhandled Task ERROR: row 7: too short\nStacktrace:\n");
    char *outer = strstr(written, "Unhandled Task ERROR: outer, since row 7: too short\nStacktrace:\n");
    CHECK(inner != NULL && outer != NULL);
}

static int
monitor_without_text(void *arg)
{
    (void)arg;
    weft_task *t = spawned(fail_plainly, NULL);
    CHECK_INT(weft_wait(weft_errormonitor(t)), WEFT_ECHILD);
    weft_task_release(t);
    return 0;
}

TEST(errormonitor, no_text, "errormonitor: a failure without a text is written with the text of its code")
{
    CHECK_INT(written_by(monitor_without_text), 0);
    CHECK(strstr(written, "Unhandled Task ERROR: ") == written);
    CHECK(strstr(written, weft_error_text(WEFT_EPERM)) != NULL);
    CHECK(strstr(written, "\nStacktrace:\n") != NULL);
}

static int
leave_monitored(void *arg)
{
    (void)arg;
    weft_task *t = spawned(fail_with_text, NULL);
    weft_task_release(weft_errormonitor(t));
    return 0;
}

static int
monitor_named(void *arg)
{
    (void)arg;
    weft_task_options opt = {.size = sizeof opt, .name = "penelope"};
    weft_task *t = NULL;
    CHECK_INT(weft_task_new(&t, fail_plainly, NULL, &opt), 0);
    CHECK(weft_errormonitor(t) == t);
    CHECK_INT(weft_schedule(t), 0);
    while (!weft_task_isdone(t)) weft_yield();
    weft_task_release(t);
    return 0;
}

/* [S20] */
TEST(errormonitor, named, "errormonitor: it names the task and its code, once, and nobody else reports them")
{
    struct capture c;
    if (!capture_begin(&c)) return;
    int reports = reports_of(monitor_named);
    CHECK_INT(capture_end(&c, written, sizeof written, "Unhandled Task ERROR: WEFT_EPERM"), 1);
    CHECK_INT(reports, 0);
    CHECK(strstr(written, " in task penelope\n") != NULL);
    CHECK(strstr(written + 1, "Unhandled") == NULL);
}

/* [S20] */
TEST(errormonitor, instead, "errormonitor: what it wrote is not reported to on_unhandled as well")
{
    struct capture c;
    if (!capture_begin(&c)) return;
    int reports = reports_of(leave_monitored);
    CHECK_INT(capture_end(&c, written, sizeof written, monitored), 1);
    CHECK_INT(reports, 0);
}

static int
leave_failing(void *arg)
{
    (void)arg;
    weft_task_options opt = {.size = sizeof opt, .name = "orphan"};
    CHECK_INT(weft_spawn_with(NULL, fail_with_text, NULL, &opt), 0);
    return 0;
}

/* [S21] */
TEST(unhandled, once, "unhandled: a failure that nobody looked at is reported once, with code, text and name")
{
    CHECK_INT(reports_of(leave_failing), 1);
    CHECK_INT(atomic_load(&last_code), WEFT_EINVAL);
    CHECK_STR(last_message, "row 7: too short");
    CHECK_STR(last_name, "orphan");
}

TEST(unhandled, default_report, "unhandled: without a callback the report is written like an errormonitor's")
{
    CHECK_INT(written_by(leave_failing), 1);
    CHECK(strstr(written + 1, "Unhandled") == NULL);
}

static int
release_unseen(void *arg)
{
    (void)arg;
    weft_task *t = spawned(fail_plainly, NULL);
    while (!weft_task_isdone(t)) weft_yield();
    CHECK(weft_task_isfailed(t));
    CHECK_INT(weft_task_state(t), WEFT_FAILED);
    CHECK_INT(atomic_load(&unhandled), 0);
    weft_task_release(t);
    return 0;
}

/* [S21] */
TEST(unhandled, at_release, "unhandled: a failure is reported when its last handle goes, not before")
{
    CHECK_INT(reports_of(release_unseen), 1);
    CHECK_INT(atomic_load(&last_code), WEFT_EPERM);
    CHECK_STR(last_message, "(none)");
}

static int
release_early(void *arg)
{
    (void)arg;
    weft_task *t = unscheduled(fail_plainly, NULL, 0);
    CHECK_INT(weft_schedule(t), 0);
    weft_task_release(t);
    t = unscheduled(succeed, NULL, 0);
    CHECK_INT(weft_schedule_error(t, -99), 0);
    weft_task_release(t);
    return 0;
}

TEST(unhandled, injected, "unhandled: an error scheduled into a new task is reported like one that it returned")
{
    CHECK_INT(reports_of(release_early), 2);
}

static void
count_ondone(weft_task *t, void *arg)
{
    (void)t;
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static int
look_at_all(void *arg)
{
    (void)arg;
    static _Atomic int seen;
    void *v = NULL;
    weft_task *t = spawned(fail_plainly, NULL);
    CHECK_INT(weft_join(t), WEFT_EPERM);
    t = spawned(fail_plainly, NULL);
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    weft_task_release(t);
    t = spawned(fail_plainly, NULL);
    CHECK_INT(weft_fetch(t, &v), WEFT_ECHILD);
    weft_task_release(t);
    t = spawned(fail_plainly, NULL);
    while (!weft_task_isdone(t)) weft_yield();
    CHECK_INT(weft_task_error(t), WEFT_EPERM);
    weft_task_release(t);
    t = spawned(fail_plainly, NULL);
    CHECK_INT(weft_ondone(t, count_ondone, &seen), 0);
    weft_task_release(t);
    CHECK_INT(weft_spawn(NULL, succeed, NULL), 0);
    return 0;
}

/* [S22] */
TEST(unhandled, looked_at, "unhandled: nothing is reported of success, or of a failure that somebody looked at")
{
    CHECK_INT(reports_of(look_at_all), 0);
}

static int
sleep_long(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return weft_sleep(1000 * WEFT_S);
}

static int
leave_cancelled(void *arg)
{
    (void)arg;
    _Atomic int begun = 0;
    weft_task *t = unscheduled(sleep_long, (void *)&begun, 0);
    CHECK(weft_cancel(t));
    CHECK_INT(weft_schedule(t), 0);
    while (!weft_task_isdone(t)) weft_yield();
    CHECK_INT(begun, 0);
    weft_task_release(t);
    t = unscheduled(sleep_long, (void *)&begun, 0);
    CHECK_INT(weft_schedule(t), 0);
    until(&begun, 1);
    CHECK(weft_cancel(t));
    while (!weft_task_isdone(t)) weft_yield();
    CHECK_INT(weft_task_state(t), WEFT_CANCELLED);
    weft_task_release(t);
    return 0;
}

/* [S23] */
TEST(unhandled, cancelled, "unhandled: nothing is reported of tasks that were cancelled, started or not")
{
    CHECK_INT(reports_of(leave_cancelled), 0);
}

static int
leave_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(weft_spawn(NULL, i % 2 ? fail_plainly : fail_with_text, NULL), 0);
        if (i % 10 == 0) weft_yield();
    }
    return 0;
}

TEST(unhandled, many, "unhandled: a thousand failures are a thousand reports")
{
    CHECK_INT(reports_of(leave_many), 1000);
}

enum { KEPT = 100 };

static weft_task *kept[KEPT];
static _Atomic int reported, stored;

static void
keep_task(weft_task *t, int code)
{
    CHECK_INT(code, WEFT_EPERM);
    int i = atomic_fetch_add(&reported, 1);
    if (CHECK(i < KEPT)) kept[i] = weft_task_retain(t);
    atomic_fetch_add(&stored, 1);
}

static int
leave_to_keeper(void *arg)
{
    (void)arg;
    for (int i = 0; i < KEPT; i++) {
        weft_task *t = spawned(fail_plainly, NULL);
        while (i % 2 && !weft_task_isdone(t)) weft_yield();
        weft_task_release(t);
    }
    until(&stored, KEPT);
    return 0;
}

TEST(unhandled, kept, "unhandled: a task that the handler retains, and somebody releases later, is reported once")
{
    weft_config cfg = {.size = sizeof cfg, .on_unhandled = keep_task};
    atomic_store(&reported, 0);
    atomic_store(&stored, 0);
    CHECK_INT(weft_start(&cfg), 0);
    CHECK_INT(weft_join(spawned(leave_to_keeper, NULL)), 0);
    for (int i = 0; i < KEPT / 2; i++) weft_task_release(kept[i]);
    CHECK_INT(weft_stop(), 0);
    for (int i = KEPT / 2; i < KEPT; i++) {
        CHECK_INT(weft_task_state(kept[i]), WEFT_FAILED);
        weft_task_release(kept[i]);
    }
    CHECK_INT(atomic_load(&reported), KEPT);
}

TEST(unhandled, root, "unhandled: the root task's own failure is returned by weft_run, not reported")
{
    weft_config cfg = {.size = sizeof cfg, .on_unhandled = on_unhandled};
    atomic_store(&unhandled, 0);
    CHECK_INT(weft_run(&cfg, fail_with_text, NULL), WEFT_EINVAL);
    CHECK_INT(atomic_load(&unhandled), 0);
}

struct entry {
    struct journal *journal;
    char what;
    weft_task *expected;
};

static void
note_ondone(weft_task *t, void *arg)
{
    struct entry *e = arg;
    CHECK(t == e->expected);
    CHECK(weft_task_isdone(t));
    note(e->journal, e->what);
}

/* [S17] [S19] */
TASK_TEST(ondone, order, "ondone: callbacks run once each, in the order in which they were added")
{
    static struct entry entries[26];
    struct journal j = {.length = 0};
    weft_task *t = unscheduled(succeed, NULL, 0);
    for (int i = 0; i < 26; i++) {
        entries[i] = (struct entry){.journal = &j, .what = (char)('a' + i), .expected = t};
        CHECK_INT(weft_ondone(t, note_ondone, &entries[i]), 0);
    }
    CHECK_INT(atomic_load(&j.length), 0);
    CHECK_INT(weft_schedule(t), 0);
    CHECK_INT(weft_wait(t), 0);
    until(&j.length, 26);
    CHECK_STR(j.text, "abcdefghijklmnopqrstuvwxyz");
    weft_task_release(t);
}

static void
note_thread(weft_task *t, void *arg)
{
    (void)t;
    *(weft_task **)arg = weft_current();
}

/* [S18] */
TASK_TEST(ondone, ended, "ondone: for a task that has ended, the callback is called at once by the caller")
{
    weft_task *t = spawned(fail_plainly, NULL), *caller = NULL;
    CHECK_INT(weft_wait(t), WEFT_ECHILD);
    CHECK_INT(weft_ondone(t, note_thread, &caller), 0);
    CHECK(caller == weft_current());
    weft_task_release(t);
}

static void
spawn_more(weft_task *t, void *arg)
{
    CHECK(weft_task_isdone(t));
    CHECK(weft_worker() >= 0);
    CHECK_INT(weft_spawn(NULL, count, arg), 0);
}

TASK_TEST(ondone, spawns, "ondone: a callback runs on a worker and may spawn")
{
    _Atomic int runs = 0;
    for (int i = 0; i < 100; i++) {
        weft_task *t = unscheduled(succeed, NULL, i % 2 ? WEFT_STICKY : 0);
        CHECK_INT(weft_ondone(t, spawn_more, &runs), 0);
        CHECK_INT(weft_schedule(t), 0);
        weft_task_release(t);
    }
    until(&runs, 100);
}

/* [J144] [S17] */
TASK_TEST(ondone, million, "ondone: of a million spawned tasks, each with a hook, every hook is called once")
{
    static _Atomic int hooks;
    int n = scaled(1000000);
    atomic_store(&hooks, 0);
    for (int i = 0; i < n; i++) {
        weft_task *t = spawned(succeed, NULL);
        CHECK_INT(weft_ondone(t, count_ondone, &hooks), 0);
        weft_task_release(t);
    }
    until(&hooks, n);
    CHECK_INT(atomic_load(&hooks), n);
}
