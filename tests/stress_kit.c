/* stress_kit.c - what the stress programs share: options, seeds, rounds, random numbers, and a watchdog that dumps. */
#include "stress_kit.h"

#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static struct {
    const struct stress_program *program;
    uint64_t seed;
    _Atomic unsigned round;
    double seconds;
    bool (*enough)(double seconds); /* NULL: it always is */
    long only;                      /* round; -1: all */
    int patience;
    bool hang;
    atomic_bool lose;
    atomic_bool dying;
    atomic_long moves;
} kit = {.seconds = 10, .only = -1, .patience = STRESS_TSAN ? 60 : 30};

void
stress_moved(void)
{
    stress_count(&kit.moves, 1);
}

bool
stress_lose(void)
{
    /* relaxed first: what is tested must not be ordered by this */
    return atomic_load_explicit(&kit.lose, memory_order_relaxed) && atomic_exchange(&kit.lose, false);
}

/* ---- The last words ------------------------------------------------------------------------------------------------ */

/* The first to die speaks; the others wait for its abort. */
static void
begin_to_die(void)
{
    while (atomic_exchange(&kit.dying, true)) pause();
}

static void
say_where(void)
{
    unsigned round = atomic_load(&kit.round);
    const char *every = getenv("WEFT_FAIL_EVERY");
    if (!kit.program) return;
    fprintf(stderr, "seed %" PRIu64 ", round %u%s%s (repeat it: %s -s %" PRIu64 " -r %u)\n", kit.seed, round,
            every ? ", WEFT_FAIL_EVERY=" : "", every ? every : "", kit.program->name, kit.seed, round);
    if (kit.program->describe) kit.program->describe(stderr);
}

void
stress_die(const char *format, ...)
{
    va_list args;
    begin_to_die();
    fprintf(stderr, "%s: ", kit.program ? kit.program->name : "stress"); /* NULL: in the simulator */
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    weft_dump(STDERR_FILENO);
    say_where();
    abort();
}

static void
print_backtraces(void)
{
    char command[200];
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    snprintf(command, sizeof command,
             "command -v gdb >/dev/null && gdb -p %d -batch -nx -ex 'thread apply all backtrace 20' 1>&2 2>/dev/null",
             (int)getpid());
    if (system(command) != 0) fprintf(stderr, "(no gdb, no backtraces)\n");
}

/* ---- The watchdog: a plain thread that uses nothing of what is tested until the end -------------------------------- */

static void *
watch(void *arg)
{
    long last = -1;
    (void)arg;
    for (int still = 0; still < kit.patience; still++) {
        sleep(1);
        if (stress_counted(&kit.moves) != last) still = 0;
        last = stress_counted(&kit.moves);
    }
    begin_to_die();
    fprintf(stderr, "%s: nothing has moved for %d s\n", kit.program->name, kit.patience);
    weft_dump(STDERR_FILENO);
    print_backtraces();
    say_where(); /* last: it may ask for a lock that somebody holds */
    abort();
}

static int
park_for_ever(void *arg)
{
    (void)arg;
    return weft_park(NULL);
}

static void
hang(void)
{
    weft_task_options opt = {.size = sizeof opt, .name = "told to hang"};
    weft_task *t;
    int rc = weft_spawn_with(&t, park_for_ever, NULL, &opt);
    if (rc == 0) rc = weft_join(t);
    stress_die("told to hang, it did not: %s", weft_error_name(rc));
}

/* ---- Small things -------------------------------------------------------------------------------------------------- */

void *
stress_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p) stress_die("no memory");
    return p;
}

void
stress_print_rounds(FILE *out, const char *const *texts, const long *rounds, int n)
{
    for (int i = 0; i < n; i++) fprintf(out, "%s%s %ld", i ? "; " : "", texts[i], rounds[i]);
}

void
stress_pause(int64_t ns)
{
    nanosleep(&(struct timespec){.tv_sec = ns / WEFT_S, .tv_nsec = ns % WEFT_S}, NULL);
}

void
stress_give_turn(void)
{
    weft_yield();
    if (!weft_current()) sched_yield();
}

static void
ignore_failure(weft_task *t, int code)
{
    (void)t;
    (void)code;
}

weft_config
stress_config(uint64_t *random)
{
    static const int workers[] = {1, 2, 3, 16, 2, 4, 5, 6};
    return (weft_config){
        .size = sizeof(weft_config),
        .workers = workers[stress_dice(random, sizeof workers / sizeof *workers)],
        .interactive = stress_dice(random, 3) ? 0 : 1 + stress_dice(random, 2),
        .stack_size = stress_dice(random, 2) ? 128 << 10 : 256 << 10,
        .on_unhandled = ignore_failure,
    };
}

bool
stress_failing(void)
{
    static atomic_int every = -1;
    int n = atomic_load_explicit(&every, memory_order_relaxed);
    if (n < 0) {
        const char *text = getenv("WEFT_FAIL_EVERY");
        n = text && atoi(text) > 0;
        atomic_store_explicit(&every, n, memory_order_relaxed);
    }
    return n;
}

bool
stress_short(int rc)
{
    return (rc == WEFT_ENOMEM || rc == WEFT_EAGAIN) && stress_failing();
}

void
stress_start(const weft_config *cfg)
{
    weft_config less = *cfg;
    int rc;
    while (stress_short(rc = weft_start(&less))) { /* what fails regularly may allow few workers only */
        less.workers = (less.workers + 1) / 2;
        if (less.workers == 1) less.interactive = 0;
    }
    if (rc) stress_die("weft_start gave %s", weft_error_name(rc));
}

void
stress_stop(bool must_run)
{
    int rc = weft_stop();
    if (rc && (rc != WEFT_ENOENT || must_run)) stress_die("weft_stop gave %s", weft_error_name(rc));
}

pthread_t
stress_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, fn, arg);
    if (error) stress_die("no thread: %s", strerror(error));
    return thread;
}

void
stress_join_thread(pthread_t thread)
{
    int error = pthread_join(thread, NULL);
    if (error) stress_die("a thread cannot be joined: %s", strerror(error));
}

void
stress_at_least(bool (*enough)(double seconds))
{
#if STRESS_TSAN || defined(STRESS_ASAN) || defined(WEFT_HARD)
    (void)enough;
#else
    kit.enough = enough;
#endif
}

/* ---- Rounds -------------------------------------------------------------------------------------------------------- */

static bool
parse(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "t:s:r:p:x:")) != -1;) {
        switch (option) {
        case 't':
            kit.seconds = strtod(optarg, NULL);
            break;
        case 's':
            kit.seed = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            kit.only = strtol(optarg, NULL, 0);
            break;
        case 'p':
            kit.patience = (int)strtol(optarg, NULL, 0);
            break;
        case 'x':
            if (strcmp(optarg, "hang") == 0) kit.hang = true;
            else if (strcmp(optarg, "lose") == 0) atomic_store(&kit.lose, true);
            else return false;
            break;
        default:
            return false;
        }
    }
    return optind == argc && kit.patience > 0;
}

static double
seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
stress_main(int argc, char **argv, const struct stress_program *program)
{
    kit.program = program;
    kit.seed = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
    if (!parse(argc, argv)) {
        fprintf(stderr, "usage: %s [-t SECONDS] [-s SEED] [-r ROUND] [-p PATIENCE] [-x hang|lose]\n", argv[0]);
        return 2;
    }
    printf("%s: seed %" PRIu64 "\n", program->name, kit.seed);
    fflush(stdout);
    if (pthread_detach(stress_thread(watch, NULL)) != 0) stress_die("no watchdog");
    unsigned rounds = 0, slowest = 0;
    double end = seconds_now() + kit.seconds, longest = 0;
    do {
        double begin = seconds_now();
        unsigned number = kit.only >= 0 ? (unsigned)kit.only : rounds;
        atomic_store(&kit.round, number);
        program->round(number, stress_mix(kit.seed, number));
        stress_moved();
        rounds++;
        if (seconds_now() - begin > longest) {
            longest = seconds_now() - begin;
            slowest = number;
        }
        if (kit.hang) hang();
    } while (seconds_now() < end || (kit.enough && !kit.enough(kit.seconds)));
    printf("%s: %u rounds, ", program->name, rounds);
    program->totals(stdout);
    printf("; the longest was round %u, %.2f s\n", slowest, longest);
    return 0;
}
