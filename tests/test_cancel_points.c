/* test_cancel_points.c - every cancellation point, in a cancelled scope: it says so before it does anything, whether it could be
 * done at once, or is only tried, or has come too late. */
#include <fcntl.h>
#include <unistd.h>

#include "scope_kit.h"

/* Objects with which every call below could be done at once, and a few that would have to wait. */
struct world {
    weft_channel *full, *room;
    weft_task *ended, *parked;
    weft_mutex free, mine;
    weft_rwlock lock;
    weft_condition condition;
    weft_event set, resets;
    weft_semaphore permits;
    weft_barrier of_one;
    weft_ticker due;
    weft_limiter *limiter;
    weft_scope *scope;
    int pipe[2];
    _Atomic int calls; /* of functions that must not be called */
    int64_t value;     /* that must not be written */
    int64_t sorted[2]; /* that must not be sorted */
};

static int
called(void *arg)
{
    atomic_fetch_add(&((struct world *)arg)->calls, 1);
    return 0;
}

static bool
test_called(void *arg)
{
    called(arg);
    return true;
}

static int
called_with_range(size_t begin, size_t end, void *ctx)
{
    (void)begin, (void)end;
    return called(ctx);
}

static int
called_with_tile(size_t r0, size_t r1, size_t c0, size_t c1, void *ctx)
{
    (void)r0, (void)r1, (void)c0, (void)c1;
    return called(ctx);
}

static int
called_to_compare(const void *a, const void *b, void *ctx)
{
    (void)a, (void)b;
    return called(ctx);
}

static int
called_to_map(size_t begin, size_t end, void *acc, void *ctx)
{
    (void)begin, (void)end, (void)acc;
    return called(ctx);
}

static void
combine(void *into, const void *from, void *ctx)
{
    (void)into, (void)from, (void)ctx;
}

static int
called_with_elements(const void *in, void *out, size_t count, void *ctx)
{
    (void)in, (void)out, (void)count;
    return called(ctx);
}

static int
called_with_value(void *value, void *ctx)
{
    (void)value;
    return called(ctx);
}

/* The calls: those that have a deadline with that, the others as they are. */
#define POINTS(X)                                                                                                      \
    X(wait, weft_wait_until(w->ended, d))                                                                              \
    X(fetch, weft_fetch_until(w->ended, &out, d))                                                                      \
    X(join, weft_join_until(w->ended, d))                                                                              \
    X(waitany, weft_waitany_until(&w->ended, 1, d))                                                                    \
    X(waitall, weft_waitall_until(&w->ended, 1, 0, d))                                                                 \
    X(failfast, weft_waitall_until(&w->ended, 1, WEFT_FAILFAST, d))                                                    \
    X(wait_parked, weft_wait_until(w->parked, d))                                                                      \
    X(check, weft_check())                                                                                             \
    X(spawn, weft_spawn(NULL, called, w))                                                                              \
    X(async, weft_async(NULL, called, w))                                                                              \
    X(spawn_with, weft_spawn_with(NULL, called, w, NULL))                                                              \
    X(spawn_copy, weft_spawn_copy(NULL, called, &w, sizeof w))                                                         \
    X(scope_wait, weft_scope_wait_until(w->scope, d))                                                                  \
    X(scope_next, weft_scope_next_until(w->scope, &t, d))                                                              \
    X(put, weft_channel_put_until(w->room, &v, d))                                                                     \
    X(put_full, weft_channel_put_until(w->full, &v, d))                                                                \
    X(take, weft_channel_take_until(w->full, &w->value, d))                                                            \
    X(take_empty, weft_channel_take_until(w->room, &w->value, d))                                                      \
    X(fetch_from, weft_channel_fetch_until(w->full, &w->value, d))                                                     \
    X(wait_for, weft_channel_wait_until(w->full, d))                                                                   \
    X(put_n, weft_channel_put_n_until(w->room, &v, 1, NULL, d))                                                        \
    X(take_n, weft_channel_take_n_until(w->full, &w->value, 1, NULL, d))                                               \
    X(select, select_until(w, d))                                                                                      \
    X(select_none, weft_select_until(NULL, 0, 0, d))                                                                   \
    X(lock, weft_mutex_lock_until(&w->free, d))                                                                        \
    X(lock_again, weft_mutex_lock_until(&w->mine, d))                                                                  \
    X(rdlock, weft_rwlock_rdlock_until(&w->lock, d))                                                                   \
    X(wrlock, weft_rwlock_wrlock_until(&w->lock, d))                                                                   \
    X(condition, weft_condition_wait_until(&w->condition, &w->mine, NULL, d))                                          \
    X(condition_first, weft_condition_wait_first_until(&w->condition, &w->mine, NULL, d))                              \
    X(event, weft_event_wait_until(&w->set, d))                                                                        \
    X(event_resets, weft_event_wait_until(&w->resets, d))                                                              \
    X(semaphore, weft_semaphore_acquire_until(&w->permits, 1, d))                                                      \
    X(semaphore_none, weft_semaphore_acquire_until(&w->permits, 0, d))                                                 \
    X(semaphore_with, weft_semaphore_with(&w->permits, 1, called, w))                                                  \
    X(barrier, weft_barrier_wait_until(&w->of_one, d))                                                                 \
    X(sleep, weft_sleep(0))                                                                                            \
    X(sleep_until, weft_sleep_until(d))                                                                                \
    X(tick, weft_tick_until(&w->due, d))                                                                               \
    X(timedwait, weft_timedwait(test_called, w, 0, WEFT_MS))                                                           \
    X(blocking, weft_blocking_until(w->limiter, called, w, d))                                                         \
    X(both, weft_both(called, w, called, w))                                                                           \
    X(loop, weft_for(0, 1, 0, called_with_range, w))                                                                   \
    X(loop_static, weft_for_static(0, 1, called_with_range, w))                                                        \
    X(loop_2d, weft_for_2d(1, 1, 0, called_with_tile, w))                                                              \
    X(scan, weft_scan(&w->value, &v, 1, sizeof v, combine, w))                                                         \
    X(sort, weft_sort(w->sorted, 2, sizeof v, called_to_compare, w))                                                   \
    X(accept, weft_accept_until(w->pipe[0], NULL, NULL, d))                                                            \
    X(process, weft_process_wait_until(getpid(), &status, d))                                                          \
    X(readable, descriptor_until(w, d))                                                                                \
    X(reduce, weft_reduce(0, 1, 0, &sum, w, &v))                                                                       \
    X(map, weft_map(&v, sizeof v, &w->value, sizeof v, 1, called_with_elements, w, NULL))                              \
    X(each, weft_for_each(w->full, 1, called_with_value, w))                                                           \
    X(poll, weft_poll(w->pipe[0], WEFT_IN, d))                                                                         \
    X(read, (int)weft_read_until(w->pipe[0], &w->value, 1, d))                                                         \
    X(write, (int)weft_write_until(w->pipe[1], &v, 1, d))

static int
descriptor_until(struct world *w, weft_time d)
{
    weft_case cases[] = {WEFT_READABLE(w->pipe[0]), WEFT_WRITABLE(w->pipe[1])};
    return weft_select_until(cases, 2, 0, d);
}

static int
select_until(struct world *w, weft_time d)
{
    int64_t v = 1;
    weft_case cases[] = {WEFT_TAKE(w->full, &w->value), WEFT_PUT(w->room, &v), WEFT_DONE(w->ended),
                         WEFT_EVENT(&w->set)};
    return weft_select_until(cases, 4, 0, d);
}

static const int64_t zero;
static const weft_reduction sum = {sizeof zero, &zero, called_to_map, combine};

#define POINT(id, call)                                                                                                \
    static int point_##id(struct world *w, weft_time d)                                                                \
    {                                                                                                                  \
        int64_t v = 1;                                                                                                 \
        void *out = NULL;                                                                                              \
        weft_task *t = NULL;                                                                                           \
        int status = -1;                                                                                               \
        int rc = call;                                                                                                 \
        CHECK(out == NULL && t == NULL && v == 1 && status == -1);                                                     \
        (void)w, (void)d;                                                                                              \
        return rc;                                                                                                     \
    }

POINTS(POINT)

static const struct {
    const char *name;
    int (*call)(struct world *w, weft_time deadline);
} points[] = {
#define ENTRY(id, call) {#id, point_##id},
    POINTS(ENTRY)};

static int
park(void *arg)
{
    atomic_store((_Atomic int *)arg, 1);
    return weft_park(NULL);
}

static void
make_world(struct world *w, _Atomic int *parked)
{
    int64_t seven = 7;
    memset(w, 0, sizeof *w);
    w->value = 4711;
    w->sorted[0] = 2;
    w->sorted[1] = 1;
    CHECK_INT(weft_channel_new(&w->full, sizeof seven, 1), 0);
    CHECK_INT(weft_channel_new(&w->room, sizeof seven, 1), 0);
    CHECK_INT(weft_channel_put(w->full, &seven), 0);
    w->ended = spawned(called, w);
    CHECK_INT(weft_wait(w->ended), 0);
    atomic_store(&w->calls, 0);
    w->parked = spawned(park, (void *)parked);
    until(parked, 1);
    weft_event_notify(&w->set);
    w->resets = (weft_event)WEFT_EVENT_AUTORESET_INIT;
    weft_event_notify(&w->resets);
    CHECK_INT(weft_semaphore_init(&w->permits, 1), 0);
    CHECK_INT(weft_barrier_init(&w->of_one, 1), 0);
    CHECK_INT(weft_ticker_init(&w->due, WEFT_NOW, 1000 * WEFT_S, WEFT_SKIP), 0);
    CHECK_INT(weft_limiter_new(&w->limiter, 1), 0);
    CHECK_INT(pipe2(w->pipe, O_NONBLOCK | O_CLOEXEC), 0);
    CHECK_INT(write(w->pipe[1], "x", 1), 1);
    weft_mutex_lock(&w->mine);
}

/* Nothing has happened: all that could be done can be done now. */
static void
check_world(struct world *w)
{
    int64_t got = 0;
    char byte = 0;
    CHECK_INT(atomic_load(&w->calls), 0);
    CHECK_INT(w->value, 4711);
    CHECK(w->sorted[0] == 2 && w->sorted[1] == 1);
    CHECK(!weft_mutex_islocked(&w->free));
    CHECK_INT(weft_mutex_unlock(&w->mine), 0);
    CHECK(!weft_mutex_islocked(&w->mine));
    CHECK(weft_rwlock_trywrlock(&w->lock));
    CHECK_INT(weft_rwlock_wrunlock(&w->lock), 0);
    CHECK_INT(weft_channel_len(w->room), 0);
    CHECK_INT(weft_channel_take_until(w->full, &got, WEFT_NOW), 0);
    CHECK_INT(got, 7);
    CHECK(weft_channel_isopen(w->full));
    CHECK(weft_event_isset(&w->set));
    CHECK_INT(weft_event_wait_until(&w->resets, WEFT_NOW), 0);
    CHECK_INT(weft_semaphore_available(&w->permits), 1);
    CHECK_INT(weft_barrier_wait_until(&w->of_one, WEFT_NOW), 1);
    CHECK_INT(weft_tick_until(&w->due, WEFT_NOW), 0);
    CHECK_INT(weft_limiter_available(w->limiter), 1);
    CHECK_INT(read(w->pipe[0], &byte, 1), 1);
    CHECK_INT(byte, 'x');
    CHECK_INT(read(w->pipe[0], &byte, 1), -1); /* nobody has written */
}

static void
end_world(struct world *w)
{
    CHECK_INT(weft_join(w->ended), 0);
    CHECK_INT(weft_schedule(w->parked), 0);
    CHECK_INT(weft_join(w->parked), 0);
    weft_channel_release(w->full);
    weft_channel_release(w->room);
    weft_limiter_free(w->limiter);
    close(w->pipe[0]);
    close(w->pipe[1]);
}

static void
call_all(void)
{
    static const weft_time deadlines[] = {WEFT_NOW, 1, WEFT_FOREVER};
    static struct world w;
    _Atomic int parked = 0;
    weft_scope s;
    make_world(&w, &parked);
    weft_scope_open(&s, WEFT_KEEP, WEFT_FOREVER);
    w.scope = &s;
    weft_scope_cancel(&s, 0);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        for (int k = 0; k < 3; k++) {
            int rc = points[i].call(&w, deadlines[k]);
            if (!CHECK_INT(rc, WEFT_ECANCELED)) test__note("%s, deadline %d", points[i].name, k);
        }
    }
    CHECK_INT(weft_scope_close(&s, WEFT_ECANCELED), 0);
    check_world(&w);
    end_world(&w);
}

/* [S37] [S41] */
TASK_TEST(cancel_points, task, "every cancellation point of a cancelled task says so, and nothing has happened")
{
    call_all();
}

/* What cannot be is that before anything else, cancelled or not. */
#define ERRORS(X)                                                                                                      \
    X(weft_wait(me), WEFT_EDEADLK)                                                                                     \
    X(weft_fetch(me, NULL), WEFT_EDEADLK)                                                                              \
    X(weft_join(me), WEFT_EDEADLK)                                                                                     \
    X(weft_waitany(&me, 1), WEFT_EDEADLK)                                                                              \
    X(weft_waitall(&me, 1, 0), WEFT_EDEADLK)                                                                           \
    X(weft_waitany(NULL, 1), WEFT_EINVAL)                                                                              \
    X(weft_waitall(NULL, 1, 0), WEFT_EINVAL)                                                                           \
    X(weft_waitall(&me, 1, 8), WEFT_EINVAL)                                                                            \
    X(weft_spawn(NULL, NULL, NULL), WEFT_EINVAL)                                                                       \
    X(weft_channel_fetch(rendezvous, &v), WEFT_ENOTSUP)                                                                \
    X(weft_select(NULL, 1, 0), WEFT_EINVAL)                                                                            \
    X(weft_select(NULL, 0, 99), WEFT_EINVAL)                                                                           \
    X(weft_scope_next(&s, NULL), WEFT_EINVAL)                                                                          \
    X(weft_scope_next(&s, &t), WEFT_EINVAL)                                                                            \
    X(weft_condition_wait(&c, &m, NULL), WEFT_EPERM)                                                                   \
    X(weft_semaphore_acquire(&permits, 2), WEFT_EINVAL)                                                                \
    X(weft_semaphore_with(&permits, 1, NULL, NULL), WEFT_EINVAL)                                                       \
    X(weft_barrier_wait(&no_parties), WEFT_EINVAL)                                                                     \
    X(weft_tick(&no_ticker), WEFT_EINVAL)                                                                              \
    X(weft_timedwait(test_called, NULL, 0, 1), WEFT_EINVAL)                                                            \
    X(weft_timedwait(NULL, NULL, 0, WEFT_MS), WEFT_EINVAL)                                                             \
    X(weft_blocking(NULL, NULL, NULL), WEFT_EINVAL)                                                                    \
    X(weft_both(NULL, NULL, called, NULL), WEFT_EINVAL)                                                                \
    X(weft_for(1, 0, 0, called_with_range, NULL), WEFT_EINVAL)                                                         \
    X(weft_for_static(0, 1, NULL, NULL), WEFT_EINVAL)                                                                  \
    X(weft_for_each(NULL, 1, called_with_value, NULL), WEFT_EINVAL)                                                    \
    X(weft_poll(0, 0, WEFT_NOW), WEFT_EINVAL)                                                                          \
    X(weft_process_wait(0, NULL), WEFT_EINVAL)

TASK_TEST(cancel_points, errors, "what is an error in any case is that error also for a cancelled task")
{
    weft_task *me = weft_current(), *t = NULL;
    weft_channel *rendezvous = NULL;
    weft_mutex m = {{0}};
    weft_condition c = {{0}};
    weft_semaphore permits;
    weft_barrier no_parties = {{0}};
    weft_ticker no_ticker = {{0}};
    int64_t v = 0;
    weft_scope s;
    CHECK_INT(weft_channel_new(&rendezvous, sizeof v, 0), 0);
    CHECK_INT(weft_semaphore_init(&permits, 1), 0);
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        weft_scope_open(&s, 0, WEFT_FOREVER);
        if (cancelled) weft_scope_cancel(&s, 0);
#define EXPECT(call, code) CHECK_INT(call, code);
        ERRORS(EXPECT)
        CHECK_INT(weft_scope_close(&s, cancelled ? WEFT_ECANCELED : 0), 0);
    }
    weft_channel_release(rendezvous);
}

TEST(cancel_points, thread, "the same for a plain thread, in a scope that it has opened")
{
    CHECK_INT(weft_start(NULL), 0);
    call_all();
    CHECK_INT(weft_stop(), 0);
}
