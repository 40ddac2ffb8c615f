/* config.c - the configuration of a runtime: weft_config, then the environment, then defaults.  [layer 7] */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "bits.h"
#include "config.h"
#include "deadlock.h"
#include "panic.h"
#include "stack.h"
#include "topology.h"

#define KIB ((size_t)1024)

enum {
    WORKERS_MOST = 1024,
    CONFIG_SIZE_MOST = 4096,
    BLOCKING_DEFAULT = 64,
    BLOCKING_MOST = 4096,
    BURDEN_DEFAULT = 2000,
    BURDEN_MOST = 1000000000
};
static const size_t stack_default = 256 * KIB, stack_most = 1024 * 1024 * KIB;

/* Says that name has a value that cannot be used. */
static int
refuse(const char *name, const char *value, const char *allowed)
{
    weft__warn("%s is \"%.80s\"; allowed: %s", name, value, allowed);
    return WEFT_EINVAL;
}

static int
refuse_number(const char *name, int value, const char *allowed)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    return refuse(name, text, allowed);
}

static int
refuse_size(const char *name, size_t value, const char *allowed)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", value);
    return refuse(name, text, allowed);
}

/* What a caller's struct of size bytes holds of weft_config: its whole fields. */
static size_t
whole_fields(size_t size)
{
    static const size_t ends[] = {
#define END(field) offsetof(weft_config, field) + sizeof(((weft_config *)0)->field)
        END(size), END(workers), END(interactive), END(stack_size), END(bind), END(on_unhandled), END(on_misuse),
#undef END
    };
    size_t held = 0;
    for (size_t i = 0; i < weft__countof(ends); i++)
        if (ends[i] <= size) held = ends[i];
    return held;
}

/* Copies in to *c, zeroed where in is of an older library.  One of a newer library must use nothing that is new. */
static int
take_config(const weft_config *in, weft_config *c)
{
    *c = (weft_config){0};
    if (!in) return 0;
    size_t size = in->size ? in->size : sizeof *in;
    if (size < sizeof in->size || size > CONFIG_SIZE_MOST)
        return refuse_size("weft_config.size", size, "sizeof(weft_config), or 0");
    const unsigned char *bytes = (const unsigned char *)in;
    for (size_t i = sizeof *in; i < size; i++)
        if (bytes[i] != 0)
            return refuse_size("weft_config.size", size, "fields that this library does not know only if they are 0");
    memcpy(c, in, whole_fields(size));
    return 0;
}

static int
check_config(const weft_config *c)
{
    if (c->workers < 0 || c->workers > WORKERS_MOST)
        return refuse_number("weft_config.workers", c->workers, "1 to 1024, or 0: one per usable core");
    if (c->interactive < 0 || c->interactive > WORKERS_MOST)
        return refuse_number("weft_config.interactive", c->interactive, "0 to 1024");
    if (c->bind != WEFT_BIND_AUTO && c->bind != WEFT_BIND_NONE && c->bind != WEFT_BIND_CORES)
        return refuse_number("weft_config.bind", c->bind, "WEFT_BIND_AUTO, WEFT_BIND_NONE, WEFT_BIND_CORES");
    return 0;
}

/* Moves *text past the decimal digits there.  False: there are none, or the number is above most. */
static bool
take_number(const char **text, uint64_t most, uint64_t *number)
{
    const char *c = *text;
    *number = 0;
    for (; *c >= '0' && *c <= '9'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (*number > (most - digit) / 10) return false;
        *number = *number * 10 + digit;
    }
    bool some = c != *text;
    *text = c;
    return some;
}

/* Each of these parses one variable into the fields of env that it sets; false: not allowed. */

static bool
parse_threads(const char *text, struct config *env)
{
    uint64_t workers = 0, interactive = 0;
    bool automatic = strncmp(text, "auto", 4) == 0;
    if (automatic) text += 4;
    else if (!take_number(&text, WORKERS_MOST, &workers) || workers == 0) return false;
    if (*text == ',') {
        text++;
        if (!take_number(&text, WORKERS_MOST, &interactive)) return false;
    }
    if (*text != '\0' || workers + automatic + interactive > WORKERS_MOST) return false;
    env->workers = (int)workers;
    env->interactive = (int)interactive;
    return true;
}

static bool
parse_stack_size(const char *text, struct config *env)
{
    uint64_t number;
    if (!take_number(&text, stack_most, &number)) return false;
    const char *units = "KMG", *unit = *text ? strchr(units, *text) : NULL;
    if (unit) {
        text++;
        for (const char *u = units; u <= unit; u++) number *= 1024; /* at most 2^30 * 2^30 */
    }
    if (*text != '\0' || number < weft__stack_minimum() || number > stack_most) return false;
    env->stack_size = (size_t)number;
    return true;
}

static bool
parse_bind(const char *text, struct config *env)
{
    if (strcmp(text, "auto") == 0) env->bind = WEFT_BIND_AUTO;
    else if (strcmp(text, "none") == 0) env->bind = WEFT_BIND_NONE;
    else if (strcmp(text, "cores") == 0) env->bind = WEFT_BIND_CORES;
    else return false;
    return true;
}

static bool
parse_verbose(const char *text, struct config *env)
{
    env->verbose = strcmp(text, "1") == 0;
    return env->verbose || strcmp(text, "0") == 0;
}

static bool
parse_blocking(const char *text, struct config *env)
{
    uint64_t number;
    if (!take_number(&text, BLOCKING_MOST, &number) || *text != '\0' || number == 0) return false;
    env->blocking = (int)number;
    return true;
}

static bool
parse_span(const char *text, struct config *env)
{
    uint64_t number = BURDEN_DEFAULT;
    env->span = strcmp(text, "off") != 0;
    if (env->span && strcmp(text, "on") != 0 && (!take_number(&text, BURDEN_MOST, &number) || *text != '\0'))
        return false;
    env->burden = (int64_t)number;
    return true;
}

static bool
parse_deadlock(const char *text, struct config *env)
{
    if (strcmp(text, "report") == 0) env->deadlock = DEADLOCK_REPORT;
    else if (strcmp(text, "abort") == 0) env->deadlock = DEADLOCK_ABORT;
    else if (strcmp(text, "off") == 0) env->deadlock = DEADLOCK_OFF;
    else return false;
    return true;
}

/* The environment in *env, 0 where it does not say. */
static int
take_environment(struct config *env)
{
    char sizes[96];
    snprintf(sizes, sizeof sizes, "%zu to %zu bytes, also with a suffix K, M or G", weft__stack_minimum(), stack_most);
    const struct {
        const char *name;
        bool (*parse)(const char *text, struct config *env);
        const char *allowed;
    } variables[] = {
        {"WEFT_NUM_THREADS", parse_threads, "N, or N,M, or auto, or auto,M; N from 1, M from 0, together at most 1024"},
        {"WEFT_STACK_SIZE", parse_stack_size, sizes},
        {"WEFT_BIND", parse_bind, "auto, none, cores"},
        {"WEFT_VERBOSE", parse_verbose, "0, 1"},
        {"WEFT_BLOCKING_THREADS", parse_blocking, "1 to 4096"},
        {"WEFT_DEADLOCK", parse_deadlock, "report, abort, off"},
        {"WEFT_SPAN", parse_span, "off, on, or the burden in nanoseconds, at most 1000000000"},
    };
    *env = (struct config){0};
    for (size_t i = 0; i < weft__countof(variables); i++) {
        const char *value = getenv(variables[i].name);
        if (value && !variables[i].parse(value, env)) return refuse(variables[i].name, value, variables[i].allowed);
    }
    return 0;
}

static int
choose_workers(const weft_config *in, const struct config *env, int usable, struct config *c)
{
    c->interactive = in->interactive ? in->interactive : env->interactive;
    c->workers = in->workers ? in->workers : env->workers;
    int room = WORKERS_MOST - c->interactive;
    if (c->workers == 0) c->workers = usable <= room || room == 0 ? usable : room;
    if (c->workers <= room) return 0;
    return refuse_number("the number of workers, from weft_config and WEFT_NUM_THREADS,", c->workers + c->interactive,
                         "at most 1024, the interactive ones included");
}

static int
choose_stack_size(const weft_config *in, const struct config *env, struct config *c)
{
    char allowed[64];
    c->stack_size = in->stack_size ? in->stack_size : env->stack_size ? env->stack_size : stack_default;
    if (c->stack_size >= weft__stack_minimum() && c->stack_size <= stack_most) return 0;
    snprintf(allowed, sizeof allowed, "%zu to %zu, or 0: %zu", weft__stack_minimum(), stack_most, stack_default);
    return refuse_size("weft_config.stack_size", c->stack_size, allowed);
}

static int
choose_bind(const weft_config *in, const struct config *env, int usable, struct config *c)
{
    bool fits = c->workers + c->interactive <= usable;
    c->bind = in->bind ? in->bind : env->bind;
    if (c->bind == WEFT_BIND_AUTO) c->bind = fits ? WEFT_BIND_CORES : WEFT_BIND_NONE;
    if (c->bind == WEFT_BIND_NONE || fits) return 0;
    char allowed[96];
    snprintf(allowed, sizeof allowed, "none or auto, where there are %d workers and %d usable cores",
             c->workers + c->interactive, usable);
    return refuse(in->bind ? "weft_config.bind" : "WEFT_BIND", "cores", allowed);
}

int
weft__config_resolve(const weft_config *in, const struct topology *t, struct config *out)
{
    int saved_errno = errno, usable = weft__topology_usable_cores(t);
    weft_config given;
    struct config env;
    int rc = take_config(in, &given);
    if (rc == 0) rc = check_config(&given);
    if (rc == 0) rc = take_environment(&env);
    struct config c = {.on_unhandled = given.on_unhandled, .on_misuse = given.on_misuse};
    if (rc == 0) rc = choose_workers(&given, &env, usable, &c);
    if (rc == 0) rc = choose_stack_size(&given, &env, &c);
    if (rc == 0) rc = choose_bind(&given, &env, usable, &c);
    if (rc == 0) {
        c.verbose = env.verbose;
        c.deadlock = env.deadlock;
        c.span = env.span;
        c.burden = env.burden;
        c.blocking = env.blocking ? env.blocking : BLOCKING_DEFAULT;
        *out = c;
    }
    errno = saved_errno;
    return rc;
}

void
weft__config_print(const struct config *c, const struct topology *t)
{
    char machine[128];
    weft__topology_describe(t, machine, sizeof machine);
    int saved_errno = errno;
    weft__warn("%d workers and %d interactive workers, %s\n"
               "      stacks of %zu bytes\n"
               "      on %s",
               c->workers, c->interactive, c->bind == WEFT_BIND_CORES ? "bound to cores" : "not bound", c->stack_size,
               machine);
    errno = saved_errno;
}
