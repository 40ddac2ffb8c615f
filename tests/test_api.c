/* test_api.c - the public names with their types, written down once more: programs are compiled against them.
 *
 * What stands here must not change: a function's type, a constant's value, a member's name.  Additions are free. */
#include <limits.h>
#include <string.h>

#include <weft.h>

#include "test.h"

#define IS(function, ...) _Static_assert(_Generic(&(function), __VA_ARGS__ : 1, default : 0), #function " has changed")

#define HAS(type, member, ...)                                                                                         \
    _Static_assert(_Generic(((type *)0)->member, __VA_ARGS__ : 1, default : 0), #type "." #member " has changed")

/* ---- Errors -------------------------------------------------------------------------------------------------------- */

IS(weft_error_name, const char *(*)(int));
IS(weft_error_text, const char *(*)(int));
IS(weft_fail, int (*)(int, const char *, ...));

/* ---- The runtime --------------------------------------------------------------------------------------------------- */

HAS(weft_config, size, size_t);
HAS(weft_config, workers, int);
HAS(weft_config, interactive, int);
HAS(weft_config, stack_size, size_t);
HAS(weft_config, bind, int);
HAS(weft_config, on_unhandled, void (*)(weft_task *, int));
HAS(weft_config, on_misuse, void (*)(const char *));
IS(weft_run, int (*)(const weft_config *, weft_fn *, void *));
IS(weft_start, int (*)(const weft_config *));
IS(weft_stop, int (*)(void));
IS(weft_nworkers, int (*)(void));
IS(weft_worker, int (*)(void));

/* ---- Tasks --------------------------------------------------------------------------------------------------------- */

HAS(weft_task_options, size, size_t);
HAS(weft_task_options, name, const char *);
HAS(weft_task_options, scope, weft_scope *);
HAS(weft_task_options, drop, void (*)(void *));
HAS(weft_task_options, stack_size, size_t);
HAS(weft_task_options, flags, unsigned);
IS(weft_spawn, int (*)(weft_task **, weft_fn *, void *));
IS(weft_async, int (*)(weft_task **, weft_fn *, void *));
IS(weft_spawn_with, int (*)(weft_task **, weft_fn *, void *, const weft_task_options *));
IS(weft_spawn_copy, int (*)(weft_task **, weft_fn *, const void *, size_t));
IS(weft_task_new, int (*)(weft_task **, weft_fn *, void *, const weft_task_options *));
IS(weft_schedule, int (*)(weft_task *));
IS(weft_schedule_value, int (*)(weft_task *, void *));
IS(weft_schedule_error, int (*)(weft_task *, int));
IS(weft_task_retain, weft_task *(*)(weft_task *));
IS(weft_task_release, void (*)(weft_task *));
IS(weft_wait, int (*)(weft_task *));
IS(weft_wait_until, int (*)(weft_task *, weft_time));
IS(weft_fetch, int (*)(weft_task *, void **));
IS(weft_fetch_until, int (*)(weft_task *, void **, weft_time));
IS(weft_join, int (*)(weft_task *));
IS(weft_join_until, int (*)(weft_task *, weft_time));
IS(weft_return, int (*)(void *));
IS(weft_waitany, int (*)(weft_task *const *, size_t));
IS(weft_waitany_until, int (*)(weft_task *const *, size_t, weft_time));
IS(weft_waitall, int (*)(weft_task *const *, size_t, unsigned));
IS(weft_waitall_until, int (*)(weft_task *const *, size_t, unsigned, weft_time));
IS(weft_yield, void (*)(void));
IS(weft_yield_to, int (*)(weft_task *));
IS(weft_switch_to, int (*)(weft_task *, void **));
IS(weft_park, int (*)(void **));
IS(weft_current, weft_task *(*)(void));
IS(weft_task_state, enum weft_state (*)(const weft_task *));
IS(weft_task_isstarted, bool (*)(const weft_task *));
IS(weft_task_isdone, bool (*)(const weft_task *));
IS(weft_task_isfailed, bool (*)(const weft_task *));
IS(weft_task_issticky, bool (*)(const weft_task *));
IS(weft_task_name, const char *(*)(const weft_task *));
IS(weft_task_error, int (*)(const weft_task *));
IS(weft_task_message, const char *(*)(const weft_task *));
IS(weft_errormonitor, weft_task *(*)(weft_task *));
IS(weft_ondone, int (*)(weft_task *, void (*)(weft_task *, void *), void *));
IS(weft_cancel, bool (*)(weft_task *));
IS(weft_check, int (*)(void));

/* ---- Scopes -------------------------------------------------------------------------------------------------------- */

IS(weft_scope_open, void (*)(weft_scope *, unsigned, weft_time));
IS(weft_scope_close, int (*)(weft_scope *, int));
IS(weft_scope_cancel, void (*)(weft_scope *, int));
IS(weft_scope_iscancelled, bool (*)(const weft_scope *));
IS(weft_scope_why, int (*)(const weft_scope *));
IS(weft_scope_deadline, void (*)(weft_scope *, weft_time));
IS(weft_scope_limit, void (*)(weft_scope *, size_t));
IS(weft_scope_wait, int (*)(weft_scope *));
IS(weft_scope_wait_until, int (*)(weft_scope *, weft_time));
IS(weft_scope_next, int (*)(weft_scope *, weft_task **));
IS(weft_scope_next_until, int (*)(weft_scope *, weft_task **, weft_time));
IS(weft_scope_current, weft_scope *(*)(void));
IS(weft_deadline, weft_time (*)(void));
IS(weft_oncancel_add, bool (*)(weft_oncancel *, void (*)(void *), void *));
IS(weft_oncancel_del, void (*)(weft_oncancel *));

/* ---- Channels and select ------------------------------------------------------------------------------------------- */

IS(weft_channel_new, int (*)(weft_channel **, size_t, size_t));
IS(weft_channel_spawn, int (*)(weft_channel **, size_t, size_t, int (*)(weft_channel *, void *), void *, weft_task **));
IS(weft_channel_retain, void (*)(weft_channel *));
IS(weft_channel_release, void (*)(weft_channel *));
IS(weft_channel_put, int (*)(weft_channel *, const void *));
IS(weft_channel_put_until, int (*)(weft_channel *, const void *, weft_time));
IS(weft_channel_take, int (*)(weft_channel *, void *));
IS(weft_channel_take_until, int (*)(weft_channel *, void *, weft_time));
IS(weft_channel_fetch, int (*)(weft_channel *, void *));
IS(weft_channel_fetch_until, int (*)(weft_channel *, void *, weft_time));
IS(weft_channel_wait, int (*)(weft_channel *));
IS(weft_channel_wait_until, int (*)(weft_channel *, weft_time));
IS(weft_channel_put_n, int (*)(weft_channel *, const void *, size_t, size_t *));
IS(weft_channel_put_n_until, int (*)(weft_channel *, const void *, size_t, size_t *, weft_time));
IS(weft_channel_take_n, int (*)(weft_channel *, void *, size_t, size_t *));
IS(weft_channel_take_n_until, int (*)(weft_channel *, void *, size_t, size_t *, weft_time));
IS(weft_channel_close, bool (*)(weft_channel *, int));
IS(weft_channel_bind, int (*)(weft_channel *, weft_task *));
IS(weft_channel_isopen, bool (*)(const weft_channel *));
IS(weft_channel_isready, bool (*)(const weft_channel *));
IS(weft_channel_isempty, bool (*)(const weft_channel *));
IS(weft_channel_isfull, bool (*)(const weft_channel *));
IS(weft_channel_len, size_t (*)(const weft_channel *));
IS(weft_channel_capacity, size_t (*)(const weft_channel *));
HAS(weft_case, rc, int);
IS(weft_select, int (*)(weft_case *, size_t, unsigned));
IS(weft_select_until, int (*)(weft_case *, size_t, unsigned, weft_time));

/* ---- Locks and signals --------------------------------------------------------------------------------------------- */

IS(weft_mutex_lock, void (*)(weft_mutex *));
IS(weft_mutex_lock_until, int (*)(weft_mutex *, weft_time));
IS(weft_mutex_trylock, bool (*)(weft_mutex *));
IS(weft_mutex_unlock, int (*)(weft_mutex *));
IS(weft_mutex_islocked, bool (*)(const weft_mutex *));
IS(weft_condition_wait, int (*)(weft_condition *, weft_mutex *, void **));
IS(weft_condition_wait_until, int (*)(weft_condition *, weft_mutex *, void **, weft_time));
IS(weft_condition_wait_first, int (*)(weft_condition *, weft_mutex *, void **));
IS(weft_condition_wait_first_until, int (*)(weft_condition *, weft_mutex *, void **, weft_time));
IS(weft_condition_notify, int (*)(weft_condition *, void *, unsigned));
IS(weft_condition_notify_error, int (*)(weft_condition *, int, unsigned));
IS(weft_event_notify, void (*)(weft_event *));
IS(weft_event_reset, void (*)(weft_event *));
IS(weft_event_wait, int (*)(weft_event *));
IS(weft_event_wait_until, int (*)(weft_event *, weft_time));
IS(weft_event_isset, bool (*)(const weft_event *));
IS(weft_semaphore_init, int (*)(weft_semaphore *, size_t));
IS(weft_semaphore_acquire, int (*)(weft_semaphore *, size_t));
IS(weft_semaphore_acquire_until, int (*)(weft_semaphore *, size_t, weft_time));
IS(weft_semaphore_release, int (*)(weft_semaphore *, size_t));
IS(weft_semaphore_resize, void (*)(weft_semaphore *, size_t));
IS(weft_barrier_init, int (*)(weft_barrier *, size_t));
IS(weft_barrier_wait, int (*)(weft_barrier *));
IS(weft_barrier_wait_until, int (*)(weft_barrier *, weft_time));
IS(weft_once, int (*)(weft_once_t *, weft_fn *, void *));
IS(weft_once_until, int (*)(weft_once_t *, weft_fn *, void *, weft_time));
IS(weft_local_new, int (*)(weft_local *, void (*)(void *)));
IS(weft_local_get, void *(*)(weft_local));
IS(weft_local_set, int (*)(weft_local, void *));
IS(weft_local_with, int (*)(weft_local, void *, weft_fn *, void *));

/* ---- Time, I/O, loops, questions --------------------------------------------------------------------------------- */

IS(weft_now, weft_time (*)(void));
IS(weft_in, weft_time (*)(int64_t));
IS(weft_sleep, int (*)(int64_t));
IS(weft_sleep_until, int (*)(weft_time));
IS(weft_ticker_init, int (*)(weft_ticker *, weft_time, int64_t, unsigned));
IS(weft_tick, int (*)(weft_ticker *));
IS(weft_tick_until, int (*)(weft_ticker *, weft_time));
IS(weft_timedwait, int (*)(bool (*)(void *), void *, int64_t, int64_t));
IS(weft_blocking, int (*)(weft_limiter *, weft_fn *, void *));
IS(weft_poll, int (*)(int, unsigned, weft_time));
IS(weft_read, ssize_t (*)(int, void *, size_t));
IS(weft_read_until, ssize_t (*)(int, void *, size_t, weft_time));
IS(weft_write, ssize_t (*)(int, const void *, size_t));
IS(weft_write_until, ssize_t (*)(int, const void *, size_t, weft_time));
IS(weft_accept, int (*)(int, struct sockaddr *, unsigned *));
IS(weft_connect, int (*)(int, const struct sockaddr *, unsigned));
IS(weft_process_wait, int (*)(pid_t, int *));
IS(weft_process_wait_until, int (*)(pid_t, int *, weft_time));
IS(weft_for, int (*)(size_t, size_t, size_t, weft_range_fn *, void *));
IS(weft_for_2d, int (*)(size_t, size_t, size_t, int (*)(size_t, size_t, size_t, size_t, void *), void *));
IS(weft_for_static, int (*)(size_t, size_t, weft_range_fn *, void *));
IS(weft_reduce, int (*)(size_t, size_t, size_t, const weft_reduction *, void *, void *));
IS(weft_scan, int (*)(void *, const void *, size_t, size_t, void (*)(void *, const void *, void *), void *));
IS(weft_sort, int (*)(void *, size_t, size_t, int (*)(const void *, const void *, void *), void *));
IS(weft_both, int (*)(weft_fn *, void *, weft_fn *, void *));
IS(weft_map, int (*)(const void *, size_t, void *, size_t, size_t, int (*)(const void *, void *, size_t, void *),
                     void *, const weft_map_options *));
HAS(weft_reduction, size, size_t);
HAS(weft_reduction, identity, const void *);
HAS(weft_reduction, map, int (*)(size_t, size_t, void *, void *));
HAS(weft_reduction, combine, void (*)(void *, const void *, void *));
HAS(weft_map_options, ntasks, size_t);
HAS(weft_map_options, batch, size_t);
IS(weft_dump, int (*)(int));
IS(weft_stats_get, int (*)(weft_stats *));

/* ---- Constants ----------------------------------------------------------------------------------------------------- */

TEST(api, constants, "api: constants have the values that programs were compiled with")
{
    static const struct {
        long long is, was;
    } constants[] = {
        {WEFT_EINVAL, -22},    {WEFT_ENOMEM, -12},     {WEFT_EAGAIN, -11},     {WEFT_EBUSY, -16},
        {WEFT_EPERM, -1},      {WEFT_EDEADLK, -35},    {WEFT_ECANCELED, -125}, {WEFT_ETIMEDOUT, -110},
        {WEFT_ECHILD, -10},    {WEFT_ECLOSED, -32},    {WEFT_ENOENT, -2},      {WEFT_EOVERFLOW, -75},
        {WEFT_ENOTSUP, -95},   {WEFT_ESHUTDOWN, -108}, {WEFT_STICKY, 1},       {WEFT_DAEMON, 2},
        {WEFT_INTERACTIVE, 4}, {WEFT_FPENV, 8},        {WEFT_SAMEPOOL, 16},    {WEFT_INITIALIZED, 0},
        {WEFT_RUNNING, 1},     {WEFT_COMPLETED, 2},    {WEFT_FAILED, 3},       {WEFT_CANCELLED, 4},
        {WEFT_SUPERVISE, 1},   {WEFT_RACE, 2},         {WEFT_SHIELD, 4},       {WEFT_KEEP, 8},
        {WEFT_FAILFAST, 1},    {WEFT_BIASED, 1},       {WEFT_ONE, 1},          {WEFT_ALL, 2},
        {WEFT_SKIP, 0},        {WEFT_BURST, 1},        {WEFT_DELAY, 2},        {WEFT_BIND_AUTO, 0},
        {WEFT_BIND_NONE, 1},   {WEFT_BIND_CORES, 2},   {WEFT_NOW, 0},          {WEFT_FOREVER, INT64_MAX},
        {WEFT_US, 1000},       {WEFT_MS, 1000000},     {WEFT_S, 1000000000},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) CHECK_INT(constants[i].is, constants[i].was);
    CHECK(WEFT_UNBOUNDED == SIZE_MAX);
}

/* Those of a program that zeroes what it does not initialise, and those that it initialises, are the same objects. */
TEST(api, zeroed, "api: objects are valid when zeroed, and the initialisers say nothing else")
{
    static weft_mutex m;
    static weft_condition c;
    static weft_event e, e_initialised = WEFT_EVENT_INIT;
    static weft_once_t o, o_initialised = WEFT_ONCE_INIT;
    weft_config defaults = WEFT_CONFIG_INIT;
    weft_mutex_lock(&m);
    CHECK_INT(weft_condition_notify(&c, NULL, WEFT_ALL), 0);
    CHECK_INT(weft_mutex_unlock(&m), 0);
    CHECK(memcmp(&e, &e_initialised, sizeof e) == 0);
    CHECK(memcmp(&o, &o_initialised, sizeof o) == 0);
    CHECK_INT(defaults.size, sizeof defaults);
    CHECK(!defaults.workers && !defaults.interactive && !defaults.stack_size && !defaults.bind);
    CHECK(!defaults.on_unhandled && !defaults.on_misuse);
}

static int
put_three(weft_channel *c, void *arg)
{
    int rc = 0;
    for (int i = 1; i <= 3 && rc == 0; i++) rc = weft_channel_put(c, &i);
    return rc < 0 ? rc : weft_return(arg);
}

TASK_TEST(api, cases, "api: cases name their objects, and are disabled without one; a loop takes to the end")
{
    weft_channel *c = NULL;
    weft_event set = WEFT_EVENT_INIT;
    int x = 0, sum = 0;
    CHECK_INT(weft_channel_spawn(&c, sizeof x, 0, put_three, &x, NULL), 0);
    weft_event_notify(&set);
    weft_case cases[] = {WEFT_TAKE((weft_channel *)NULL, &x), WEFT_PUT((weft_channel *)NULL, &x),
                         WEFT_DONE((weft_task *)NULL), WEFT_EVENT(&set)};
    CHECK_INT(weft_select(cases, 4, 0), 3);
    CHECK_INT(cases[3].rc, 0);
    weft_channel_each(c, x) sum += x;
    CHECK_INT(sum, 6);
    weft_channel_release(c);
}
