/* test_config.c - what a runtime is started with: weft_config beats the environment, which beats the defaults. */
#include <errno.h>

#include "config.h"
#include "machine_kit.h"
#include "stack.h"
#include "topology.h"

enum { KIB = 1024 };

/* The machine, and how many usable cores it has.  Everything below is relative to that. */
struct ground {
    struct machine machine;
    struct topology *topology;
    int usable;
};

static bool
ground_begin(struct ground *g)
{
    machine_begin(&g->machine);
    if (!CHECK_INT(weft__topology_load(&g->topology), 0)) return false;
    g->usable = weft__topology_usable_cores(g->topology);
    return true;
}

static void
ground_end(struct ground *g)
{
    weft__topology_free(g->topology);
    machine_end(&g->machine);
}

/* Resolves in, which must be usable. */
static struct config
resolved(const struct ground *g, const weft_config *in)
{
    struct config out = {0};
    errno = 77;
    CHECK_INT(weft__config_resolve(in, g->topology, &out), 0);
    CHECK_INT(errno, 77);
    return out;
}

/* Whether in is refused, in one message that has each of the texts in it, and nothing is stored. */
static bool
refused(const struct ground *g, const weft_config *in, const char *name, const char *value, const char *allowed)
{
    char said[4096];
    struct capture c;
    struct config out, untouched;
    memset(&out, 0x5a, sizeof out);
    memset(&untouched, 0x5a, sizeof untouched);
    if (!capture_begin(&c)) return false;
    int rc = weft__config_resolve(in, g->topology, &out);
    int messages = capture_end(&c, said, sizeof said, "weft: ");
    bool told = strstr(said, name) && strstr(said, value) && strstr(said, allowed);
    if (!told) test__note("it said: %s", said);
    return CHECK_INT(rc, WEFT_EINVAL) && CHECK_INT(messages, 1) && CHECK(told) &&
           CHECK(memcmp(&out, &untouched, sizeof out) == 0);
}

/* Each of the values, which bars separate, is refused for the variable. */
static void
check_variable(const struct ground *g, const char *name, const char *values, const char *allowed)
{
    char copy[512], *rest = copy;
    if (!CHECK(snprintf(copy, sizeof copy, "%s", values) < (int)sizeof copy)) return;
    for (char *value; (value = strsep(&rest, "|"));) {
        setenv(name, value, 1);
        if (!refused(g, NULL, name, value, allowed)) test__note("for %s=%s", name, value);
    }
    unsetenv(name);
}

TEST(config, defaults, "with nothing said there is a bound worker for each usable core, and stacks of 256 KiB")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    weft_config empty = {0};
    for (int i = 0; i < 2; i++) {
        struct config c = resolved(&g, i == 0 ? NULL : &empty);
        CHECK_INT(c.workers, g.usable);
        CHECK_INT(c.interactive, 0);
        CHECK_INT(c.stack_size, 256 * KIB);
        CHECK_INT(c.bind, WEFT_BIND_CORES);
        CHECK(!c.verbose && !c.on_unhandled && !c.on_misuse);
    }
    ground_end(&g);
}

static void
take_failure(weft_task *t, int code)
{
    (void)t, (void)code;
}

static void
take_misuse(const char *what)
{
    (void)what;
}

TEST(config, beats, "a field that is set beats the environment, which beats the default")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    setenv("WEFT_NUM_THREADS", "5,6", 1);
    setenv("WEFT_STACK_SIZE", "512K", 1);
    setenv("WEFT_BIND", "none", 1);
    setenv("WEFT_VERBOSE", "1", 1);
    struct config c = resolved(&g, NULL);
    CHECK_INT(c.workers, 5);
    CHECK_INT(c.interactive, 6);
    CHECK_INT(c.stack_size, 512 * KIB);
    CHECK_INT(c.bind, WEFT_BIND_NONE);
    CHECK(c.verbose);
    weft_config in = {.size = sizeof in, .workers = 7, .on_unhandled = take_failure, .on_misuse = take_misuse};
    c = resolved(&g, &in);
    CHECK_INT(c.workers, 7);
    CHECK_INT(c.interactive, 6);
    CHECK(c.on_unhandled == take_failure && c.on_misuse == take_misuse);
    setenv("WEFT_BIND", "cores", 1);
    in = (weft_config){.interactive = 9, .stack_size = 128 * KIB, .bind = WEFT_BIND_NONE};
    c = resolved(&g, &in);
    CHECK_INT(c.workers, 5);
    CHECK_INT(c.interactive, 9);
    CHECK_INT(c.stack_size, 128 * KIB);
    CHECK_INT(c.bind, WEFT_BIND_NONE);
    ground_end(&g);
}

TEST(config, threads, "WEFT_NUM_THREADS gives workers and interactive workers, and auto is one per usable core")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    const struct {
        const char *text;
        int workers, interactive;
    } cases[] = {{"1", 1, 0},           {"3", 3, 0},           {"1024", 1024, 0},       {"2,0", 2, 0},
                 {"1,1023", 1, 1023},   {"auto", g.usable, 0}, {"auto,3", g.usable, 3}, {"007,008", 7, 8},
                 {"auto,1023", 1, 1023}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("WEFT_NUM_THREADS", cases[i].text, 1);
        struct config c = resolved(&g, NULL);
        if (!CHECK_INT(c.workers, cases[i].workers)) test__note("for %s", cases[i].text);
        if (!CHECK_INT(c.interactive, cases[i].interactive)) test__note("for %s", cases[i].text);
    }
    ground_end(&g);
}

TEST(config, bad_threads, "a WEFT_NUM_THREADS that does not parse or is out of range is refused")
{
    const char *values = "|0|-1|+1| 1|1 |1,|,1|0,1|1,-1|1,2,|1,2,3|two|2x|1.5|0x2|AUTO|automatic|auto,|auto,x|"
                         "auto2|1025|1024,1|1,1024|auto,1024|99999999999999999999|1,99999999999999999999|"
                         "4294967297|18446744073709551617|1,18446744073709551617";
    struct ground g;
    if (!ground_begin(&g)) return;
    const char *allowed = "N from 1, M from 0, together at most 1024";
    check_variable(&g, "WEFT_NUM_THREADS", values, allowed);
    ground_end(&g);
}

TEST(config, stack_size, "WEFT_STACK_SIZE takes bytes, and the suffixes K, M and G")
{
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {{"65536", 65536},
                 {"65537", 65537},
                 {"64K", 64 * KIB},
                 {"2M", 2 * KIB * KIB},
                 {"1G", (size_t)KIB * KIB * KIB},
                 {"1024M", (size_t)KIB * KIB * KIB},
                 {"1048576K", (size_t)KIB * KIB * KIB}};
    struct ground g;
    if (!ground_begin(&g)) return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("WEFT_STACK_SIZE", cases[i].text, 1);
        if (!CHECK_INT(resolved(&g, NULL).stack_size, cases[i].size)) test__note("for %s", cases[i].text);
    }
    char least[32];
    snprintf(least, sizeof least, "%zu", weft__stack_minimum());
    setenv("WEFT_STACK_SIZE", least, 1);
    CHECK_INT(resolved(&g, NULL).stack_size, weft__stack_minimum());
    ground_end(&g);
}

TEST(config, bad_stack_size, "a WEFT_STACK_SIZE that does not parse or is out of range is refused")
{
    const char *values = "|K|-65536|64k|64KB|64 K|64T|64KK|0|1|1K|16383|2G|1025M|1073741825|1073741824G|"
                         "18446744073709617152|17179869184G|0x10000|big";
    char allowed[64], below[32];
    struct ground g;
    if (!ground_begin(&g)) return;
    snprintf(allowed, sizeof allowed, "%zu to 1073741824 bytes", weft__stack_minimum());
    check_variable(&g, "WEFT_STACK_SIZE", values, allowed);
    snprintf(below, sizeof below, "%zu", weft__stack_minimum() - 1);
    check_variable(&g, "WEFT_STACK_SIZE", below, allowed);
    ground_end(&g);
}

TEST(config, bad_words, "a WEFT_BIND or WEFT_VERBOSE that is none of the known words is refused")
{
    const char *binds = "|core|CORES|Auto|none |1|cores,none";
    const char *verboses = "|2|yes|true|01|1 |-1";
    struct ground g;
    if (!ground_begin(&g)) return;
    check_variable(&g, "WEFT_BIND", binds, "auto, none, cores");
    check_variable(&g, "WEFT_VERBOSE", verboses, "0, 1");
    ground_end(&g);
}

TEST(config, errno_kept, "errno stays what it was, even where nobody can read why a value was refused")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    struct config c = {0};
    weft_config bad = {.workers = -1};
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    close(STDERR_FILENO);
    errno = 77;
    int rc = weft__config_resolve(&bad, g.topology, &c), kept = errno;
    weft__config_print(&c, g.topology);
    int kept_by_print = errno;
    dup2(saved, STDERR_FILENO);
    close(saved);
    CHECK_INT(rc, WEFT_EINVAL);
    CHECK_INT(kept, 77);
    CHECK_INT(kept_by_print, 77);
    ground_end(&g);
}

TEST(config, beaten, "a value of the environment that cannot be used is refused even where a field beats it")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    weft_config in = {.workers = 2, .interactive = 1, .stack_size = 64 * KIB, .bind = WEFT_BIND_NONE};
    static const char *const names[] = {"WEFT_NUM_THREADS", "WEFT_STACK_SIZE", "WEFT_BIND"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv(names[i], "nonsense", 1);
        CHECK(refused(&g, &in, names[i], "nonsense", "allowed: "));
        unsetenv(names[i]);
    }
    ground_end(&g);
}

TEST(config, unknown_variables, "an unknown variable of the environment is none of the configuration's business")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    setenv("WEFT_NO_SUCH_VARIABLE", "nonsense", 1);
    CHECK_INT(resolved(&g, NULL).workers, g.usable);
    unsetenv("WEFT_NO_SUCH_VARIABLE");
    ground_end(&g);
}

TEST(config, bad_fields, "a field that is out of range is refused by its name")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    char least[32];
    snprintf(least, sizeof least, "%zu to 1073741824", weft__stack_minimum());
    CHECK(refused(&g, &(weft_config){.workers = -1}, "weft_config.workers", "-1", "1 to 1024"));
    CHECK(refused(&g, &(weft_config){.workers = 1025}, "weft_config.workers", "1025", "1 to 1024"));
    CHECK(refused(&g, &(weft_config){.workers = INT_MIN}, "weft_config.workers", "-2147483648", "1 to 1024"));
    CHECK(refused(&g, &(weft_config){.interactive = -1}, "weft_config.interactive", "-1", "0 to 1024"));
    CHECK(refused(&g, &(weft_config){.interactive = INT_MAX}, "weft_config.interactive", "2147483647", "0 to 1024"));
    CHECK(refused(&g, &(weft_config){.interactive = 1024}, "workers", "\"10", "at most 1024"));
    CHECK(refused(&g, &(weft_config){.workers = 1000, .interactive = 25}, "workers", "1025", "at most 1024"));
    CHECK(refused(&g, &(weft_config){.bind = 3}, "weft_config.bind", "3", "WEFT_BIND_CORES"));
    CHECK(refused(&g, &(weft_config){.bind = -1}, "weft_config.bind", "-1", "WEFT_BIND_CORES"));
    CHECK(refused(&g, &(weft_config){.stack_size = 1}, "weft_config.stack_size", "\"1\"", least));
    CHECK(refused(&g, &(weft_config){.stack_size = weft__stack_minimum() - 1}, "weft_config.stack_size", "", least));
    CHECK(refused(&g, &(weft_config){.stack_size = ((size_t)1 << 30) + 1}, "stack_size", "1073741825", least));
    CHECK(refused(&g, &(weft_config){.stack_size = SIZE_MAX}, "weft_config.stack_size", "18446744073709551615", least));
    setenv("WEFT_NUM_THREADS", "24,25", 1);
    CHECK(refused(&g, &(weft_config){.workers = 1000}, "WEFT_NUM_THREADS", "1025", "at most 1024"));
    ground_end(&g);
}

TEST(config, older, "of a struct from an older library only whole fields count, and the others are as if zero")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    weft_config in = {.workers = 2, .interactive = 3, .stack_size = 64 * KIB, .bind = 99, .on_misuse = take_misuse};
    in.size = offsetof(weft_config, bind);
    struct config c = resolved(&g, &in);
    CHECK_INT(c.workers, 2);
    CHECK_INT(c.interactive, 3);
    CHECK_INT(c.stack_size, 64 * KIB);
    CHECK(c.on_misuse == NULL);
    in.size = offsetof(weft_config, stack_size) + 3;
    c = resolved(&g, &in);
    CHECK_INT(c.interactive, 3);
    CHECK_INT(c.stack_size, 256 * KIB);
    in.size = sizeof in.size;
    CHECK_INT(resolved(&g, &in).workers, g.usable);
    in.size = sizeof in.size - 1;
    CHECK(refused(&g, &in, "weft_config.size", "7", "sizeof(weft_config)"));
    ground_end(&g);
}

TEST(config, newer, "a struct from a newer library is taken if nothing is set that this one does not know")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    struct {
        weft_config known;
        unsigned char unknown[24];
    } in = {.known = {.size = sizeof in, .workers = 2, .on_misuse = take_misuse}};
    struct config c = resolved(&g, &in.known);
    CHECK_INT(c.workers, 2);
    CHECK(c.on_misuse == take_misuse);
    for (size_t i = 0; i < sizeof in.unknown; i++) {
        in.unknown[i] = 1;
        CHECK(refused(&g, &in.known, "weft_config.size", "", "does not know"));
        in.unknown[i] = 0;
    }
    in.known.size = (size_t)1 << 40;
    CHECK(refused(&g, &in.known, "weft_config.size", "1099511627776", "sizeof(weft_config)"));
    ground_end(&g);
}

TEST(config, bind, "workers are bound unless there are more of them than usable cores, and cores insists")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    weft_config fits = {.workers = g.usable}, more = {.workers = g.usable + 1};
    weft_config with_interactive = {.workers = g.usable, .interactive = 1};
    CHECK_INT(resolved(&g, &fits).bind, WEFT_BIND_CORES);
    CHECK_INT(resolved(&g, &more).bind, WEFT_BIND_NONE);
    CHECK_INT(resolved(&g, &with_interactive).bind, WEFT_BIND_NONE);
    setenv("WEFT_BIND", "auto", 1);
    CHECK_INT(resolved(&g, &more).bind, WEFT_BIND_NONE);
    setenv("WEFT_BIND", "none", 1);
    CHECK_INT(resolved(&g, &fits).bind, WEFT_BIND_NONE);
    setenv("WEFT_BIND", "cores", 1);
    CHECK_INT(resolved(&g, &fits).bind, WEFT_BIND_CORES);
    CHECK(refused(&g, &more, "WEFT_BIND", "cores", "usable core"));
    CHECK(refused(&g, &with_interactive, "WEFT_BIND", "cores", "usable core"));
    unsetenv("WEFT_BIND");
    more.bind = WEFT_BIND_CORES;
    CHECK(refused(&g, &more, "weft_config.bind", "cores", "usable core"));
    fits.bind = WEFT_BIND_CORES;
    CHECK_INT(resolved(&g, &fits).bind, WEFT_BIND_CORES);
    ground_end(&g);
}

TEST(config, quota, "a quota of one and a half cores makes at most two workers")
{
    struct ground g;
    if (!ground_begin(&g)) return;
    machine_write(&g.machine, "self", "0::/job\n");
    machine_write(&g.machine, "root/job/cpu.max", "150000 100000\n");
    struct topology *limited = NULL;
    struct config c = {0};
    if (CHECK_INT(weft__topology_load(&limited), 0)) CHECK_INT(weft__config_resolve(NULL, limited, &c), 0);
    CHECK_INT(c.workers, g.usable < 2 ? g.usable : 2);
    weft__topology_free(limited);
    ground_end(&g);
}

TEST(config, print, "the configuration is printed in a few lines, by one write")
{
    char said[4096], expected[256];
    struct capture c;
    struct ground g;
    if (!ground_begin(&g)) return;
    struct config config = resolved(&g, &(weft_config){.workers = 3, .interactive = 2, .bind = WEFT_BIND_NONE});
    if (capture_begin(&c)) {
        errno = 77;
        weft__config_print(&config, g.topology);
        CHECK_INT(errno, 77);
        CHECK_INT(capture_end(&c, said, sizeof said, "weft: 3 workers and 2 interactive workers, not bound\n"), 1);
        char machine[128];
        weft__topology_describe(g.topology, machine, sizeof machine);
        snprintf(expected, sizeof expected,
                 "weft: 3 workers and 2 interactive workers, not bound\n"
                 "      stacks of 262144 bytes\n"
                 "      on %s\n",
                 machine);
        CHECK_STR(said, expected);
    }
    ground_end(&g);
}
