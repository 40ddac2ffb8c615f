/* config.h - the configuration of a runtime: weft_config, then the environment, then defaults.  [layer 7] */
#ifndef WEFT_SRC_CONFIG_H
#define WEFT_SRC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/runtime.h>

struct topology;

/* Everything is decided here; only callbacks that are NULL stand for what weft/runtime.h says. */
struct config {
    int workers;       /* at least 1; with the interactive ones at most 1024 */
    int interactive;   /* 0: there is no interactive pool */
    size_t stack_size; /* at least weft__stack_minimum(), at most 1 GiB */
    int bind;          /* WEFT_BIND_NONE or WEFT_BIND_CORES */
    bool verbose;
    int deadlock;   /* enum deadlock_policy */
    int blocking;   /* calls of weft_blocking at a time: at least 1 */
    bool span;      /* count work and span, */
    int64_t burden; /* with so many nanoseconds for each step to another worker */
    void (*on_unhandled)(weft_task *t, int code);
    void (*on_misuse)(const char *what);
};

/* Fills *out from in (NULL: nothing set) and the environment.  0, or WEFT_EINVAL: a value cannot be used; stderr says
 * which, and what is allowed; *out is untouched.  Values of the environment must be usable even where in beats them. */
int weft__config_resolve(const weft_config *in, const struct topology *t, struct config *out);

/* Writes c to stderr, in one write. */
void weft__config_print(const struct config *c, const struct topology *t);

#endif
