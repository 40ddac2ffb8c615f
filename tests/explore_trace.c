/* explore_trace.c - the execution that failed, step by step, for people. */
#include "explore_core.h"
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEPS = 1 << 14, NAMES = 256, SYMBOLS = 1 << 12, PLACES = 1 << 10, TEXT = 256, COMMAND = 512 };

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

/* ---- Symbols: what nm says of this very program ---- */

static struct symbol {
    uintptr_t begin, end;
    char name[64];
} symbols[SYMBOLS];
static int symbols_used;

static FILE *
ask(const char *program)
{
    char command[COMMAND];
    snprintf(command, sizeof command, "%s /proc/%d/exe", program, (int)getpid());
    return popen(command, "r");
}

static void
read_symbols(void)
{
    char line[TEXT], kind;
    unsigned long begin, length;
    FILE *answer = ask("nm -S");
    while (answer && symbols_used < SYMBOLS && fgets(line, sizeof line, answer)) {
        struct symbol *s = &symbols[symbols_used];
        if (sscanf(line, "%lx %lx %c %63s", &begin, &length, &kind, s->name) != 4) continue;
        s->begin = begin;
        s->end = begin + length;
        symbols_used++;
    }
    if (answer) pclose(answer);
}

static void
offset_name(const char *name, size_t offset, char *text, size_t size)
{
    if (offset) snprintf(text, size, "%s + %zu", name, offset);
    else snprintf(text, size, "%s", name);
}

const char *
trace_name(uintptr_t address, char *text, size_t size)
{
    for (int i = names_used - 1; i >= 0; i--) {
        const struct name *n = &names[i];
        if (address < n->begin || address >= n->end) continue;
        offset_name(n->name, address - n->begin, text, size);
        return text;
    }
    if (shadow_block(address, text, size)) return text;
    snprintf(text, size, "%#lx", (unsigned long)address);
    if (!tracing) return text;
    if (symbols_used == 0) read_symbols();
    for (int i = 0; i < symbols_used; i++) {
        const struct symbol *s = &symbols[i];
        if (address < s->begin || address >= s->end) continue;
        offset_name(s->name, address - s->begin, text, size);
        break;
    }
    return text;
}

/* ---- Places: what addr2line says, asked once for each ---- */

static struct place {
    const void *pc;
    char text[128];
} places[PLACES];
static int places_used;

/* "function at directory/file:line" in fewer words. */
static void
shorten(const char *line, char *text, size_t size)
{
    const char *file = strrchr(line, '/'), *at = strstr(line, " at ");
    if (!at) return;
    file = file ? file + 1 : at + 4;
    snprintf(text, size, "%.*s (%.*s)", (int)(at - line), line, (int)strcspn(file, " \n"), file);
}

/* The function and line of a return address. */
const char *
trace_place(const void *pc)
{
    static char unknown[TEXT];
    char command[TEXT], line[TEXT];
    for (int i = 0; i < places_used; i++)
        if (places[i].pc == pc) return places[i].text;
    snprintf(unknown, sizeof unknown, "%p", pc);
    if (!tracing || places_used == PLACES) return unknown;
    struct place *p = &places[places_used++];
    p->pc = pc;
    snprintf(p->text, sizeof p->text, "%p", pc);
    snprintf(command, sizeof command, "addr2line -p -f -a %#lx -e", (unsigned long)pc - 1);
    FILE *answer = ask(command);
    if (answer && fgets(line, sizeof line, answer))
        shorten(strchr(line, ' ') ? strchr(line, ' ') + 1 : line, p->text, sizeof p->text);
    if (answer) pclose(answer);
    return p->text;
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
