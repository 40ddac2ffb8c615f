/* explore_trace.c - the execution that failed, step by step, for people. */
#include "explore_core.h"
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEPS = 1 << 14, NAMES = 256, TEXT = 256 };

static struct step {
    int thread, order;
    const char *what, *more;
    uintptr_t address;
    uint64_t value;
    void *pc;
} steps[STEPS];
static int steps_used;
bool tracing;

static struct name {
    uintptr_t begin, end;
    const char *name;
} names[NAMES];
static int names_used;

void
trace_begin(void)
{
    steps_used = 0;
    names_used = 0;
}

void
trace(const char *what, int order, uintptr_t address, uint64_t value, const char *more, void *pc)
{
    if (steps_used == STEPS) search_broken("the trace is too long");
    steps[steps_used++] = (struct step){me->id, order, what, more, address, value, pc};
}

void
explore_name(const void *object, size_t size, const char *name)
{
    if (names_used == NAMES) search_broken("too many names");
    names[names_used++] = (struct name){(uintptr_t)object, (uintptr_t)object + size, name};
}

/* What a program of the system says of this very program; the first line that `wanted` accepts. */
static bool
ask(const char *command, bool (*wanted)(const char *line, uintptr_t address, char *text, size_t size),
    uintptr_t address, char *text, size_t size)
{
    char line[TEXT];
    bool found = false;
    FILE *answer = popen(command, "r");
    if (!answer) return false;
    while (fgets(line, sizeof line, answer)) {
        line[strcspn(line, "\n")] = 0;
        if (!found) found = wanted(line, address, text, size);
    }
    pclose(answer);
    return found;
}

static bool
symbol_covers(const char *line, uintptr_t address, char *text, size_t size)
{
    unsigned long begin, length;
    char kind, symbol[TEXT];
    if (sscanf(line, "%lx %lx %c %255s", &begin, &length, &kind, symbol) != 4) return false;
    if (address < begin || address >= begin + length) return false;
    if (address == begin) snprintf(text, size, "%s", symbol);
    else snprintf(text, size, "%s + %lu", symbol, (unsigned long)(address - begin));
    return true;
}

const char *
trace_name(uintptr_t address, char *text, size_t size)
{
    char command[TEXT];
    for (int i = names_used - 1; i >= 0; i--) {
        const struct name *n = &names[i];
        if (address < n->begin || address >= n->end) continue;
        if (address == n->begin) snprintf(text, size, "%s", n->name);
        else snprintf(text, size, "%s + %zu", n->name, (size_t)(address - n->begin));
        return text;
    }
    if (shadow_block(address, text, size)) return text;
    snprintf(command, sizeof command, "nm -S /proc/%d/exe", (int)getpid());
    if (!tracing || !ask(command, symbol_covers, address, text, size))
        snprintf(text, size, "%#lx", (unsigned long)address);
    return text;
}

static bool
place_line(const char *line, uintptr_t address, char *text, size_t size)
{
    (void)address;
    const char *file = strrchr(line, '/');
    const char *at = strstr(line, " at ");
    if (!at) return false;
    snprintf(text, size, "%.*s (%s)", (int)(at - line), line, file ? file + 1 : at + 4);
    return true;
}

/* The function and line of a return address. */
const char *
trace_place(const void *pc)
{
    static char texts[4][TEXT];
    static int next;
    char *text = texts[next++ % 4], command[TEXT];
    snprintf(text, TEXT, "%p", pc);
    if (!tracing || !pc) return text;
    snprintf(command, sizeof command, "addr2line -p -f -e /proc/%d/exe %#lx", (int)getpid(), (unsigned long)pc - 1);
    ask(command, place_line, 0, text, TEXT);
    return text;
}

static const char *
order_name(int order)
{
    static const char *const known[] = {" relaxed", " consume", " acquire", " release", " acq_rel", " seq_cst"};
    return order >= 0 && order <= SEQ_CST ? known[order] : "";
}

void
trace_print(void)
{
    char name[TEXT], what[TEXT];
    for (int i = 0; i < steps_used; i++) {
        const struct step *s = &steps[i];
        snprintf(what, sizeof what, "%s%s", s->what, order_name(s->order));
        printf("  %*sT%d  %-18s ", 4 * s->thread, "", s->thread, what);
        if (s->address)
            printf("%s = %#llx%s", trace_name(s->address, name, sizeof name), (unsigned long long)s->value, s->more);
        else if (s->order < 0) printf("T%llu%s", (unsigned long long)s->value, s->more);
        printf("    %s\n", trace_place(s->pc));
    }
}
