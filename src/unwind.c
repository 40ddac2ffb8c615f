/*
 * unwind.c - the return addresses on the stack of a context that is switched away.  [layer 1]
 *
 * Compilers keep no frame pointers, but describe every frame in .eh_frame: DWARF call frame information, by which
 * exceptions and debuggers go from a frame to its caller.  This is an interpreter of it, which differs from libgcc's in what it
 * must survive.  A dump stops nobody (debug.c): the context that is looked at may be woken and run while its stack is
 * being read, and then registers and return addresses are garbage.  libgcc's unwinder would follow them anywhere.
 *
 * Safe, because every read of the stack is checked against its bounds, every code address is looked up before anything is made
 * of it, and each frame must lie above the last.  What is read besides is constant: the tables of loaded modules, found by
 * _dl_find_object, which takes no lock (glibc 2.35; with an older C library there is only the innermost address).
 *
 * Understood: what gcc and clang write for code.  Anything else ends the backtrace.
 *
 * Checked.  tests/test_unwind.c.
 */
#include "unwind.h"

#include "context.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
#define FIND_OBJECT 1
#else
#define FIND_OBJECT 0
#endif

enum { REGISTERS = WEFT__UNWIND_REGISTERS, DEPTH = 4 };

/* How a register of the caller is found. */
enum how {
    KEPT,       /* it is what it was */
    UNDEFINED,  /* lost; as a return address: there is no caller */
    AT_OFFSET,  /* in memory, at CFA + value */
    IS_OFFSET,  /* CFA + value */
    IN,         /* in register `value` */
    AT_FORMULA, /* in memory, where the expression at `value` says */
    IS_FORMULA  /* what the expression says */
};

struct row {
    uint8_t how[REGISTERS + 1]; /* the last one is the CFA: the stack pointer of the caller */
    bool flipped;               /* aarch64: the return address is signed */
    uint8_t cfa_register;
    int64_t value[REGISTERS + 1];
};

struct cursor {
    uintptr_t reg[REGISTERS];
    uint64_t known; /* bit r: reg[r] holds something */
    uintptr_t pc, low, high;
};

/* What a common information entry (CIE) says, and a frame description entry (FDE) adds. */
struct description {
    const uint8_t *initial, *initial_end, *program, *end;
    uint64_t code_align;
    int64_t data_align;
    uintptr_t begin;
    uint8_t encoding, return_register;
    bool augmented, signal;
    bool pass; /* take no notice of it where the return address is said to be lost */
};

/* ---- Reading tables ---- */

static uint64_t
take(const uint8_t **at, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t) * (*at)++ << (8 * i);
    return v;
}

static int64_t
take_signed(const uint8_t **at, int bytes)
{
    int unused = 64 - 8 * bytes;
    return (int64_t)(take(at, bytes) << unused) >> unused;
}

static uint64_t
take_uleb(const uint8_t **at)
{
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift < 64) v |= (uint64_t)(byte & 127) << shift;
        if (!(byte & 128)) return v;
    }
}

static int64_t
take_sleb(const uint8_t **at)
{
    uint64_t v = 0;
    for (unsigned shift = 0;;) {
        uint8_t byte = *(*at)++;
        if (shift < 64) v |= (uint64_t)(byte & 127) << shift;
        shift += 7;
        if (byte & 128) continue;
        if ((byte & 64) && shift < 64) v |= ~(uint64_t)0 << shift;
        return (int64_t)v;
    }
}

/* A pointer in one of the encodings of .eh_frame; false: one that compilers do not use for code. */
static bool
take_pointer(const uint8_t **at, uint8_t encoding, uintptr_t *out)
{
    enum { ABSOLUTE = 0x00, RELATIVE = 0x10, SIGNED = 0x08 };
    static const uint8_t bytes[8] = {8, 0, 2, 4, 8};
    uintptr_t base = (uintptr_t)*at;
    int size = bytes[encoding & 7];
    if (size == 0 || ((encoding & 0xf0) != RELATIVE && (encoding & 0xf0) != ABSOLUTE)) return false;
    uint64_t v = encoding & SIGNED ? (uint64_t)take_signed(at, size) : take(at, size);
    *out = v + ((encoding & 0xf0) == RELATIVE ? base : 0);
    return true;
}

#if FIND_OBJECT
/* In .eh_frame_hdr, a sorted table of functions' beginnings and FDEs, both relative to it: the last that begins at or
 * before pc. */
static const uint8_t *
search_table(const uint8_t *header, uintptr_t pc)
{
    enum { VERSION = 1, SDATA4_HEADER = 0x3b };
    struct pair {
        int32_t begin, fde;
    };
    uintptr_t frames, count;
    const uint8_t *at = header + 4;
    if (header[0] != VERSION || header[3] != SDATA4_HEADER) return NULL;
    if (!take_pointer(&at, header[1], &frames) || !take_pointer(&at, header[2], &count)) return NULL;
    const struct pair *table = (const struct pair *)(const void *)at;
    uintptr_t first = 0, end = count;
    while (end - first > 1) {
        uintptr_t middle = first + (end - first) / 2;
        if ((uintptr_t)header + (uintptr_t)table[middle].begin <= pc) first = middle;
        else end = middle;
    }
    if (count == 0 || (uintptr_t)header + (uintptr_t)table[first].begin > pc) return NULL;
    return header + table[first].fde;
}
#endif

static const uint8_t *
find_fde(uintptr_t pc)
{
#if FIND_OBJECT
    struct dl_find_object object;
    if (_dl_find_object((void *)pc, &object) == 0 && object.dlfo_eh_frame)
        return search_table(object.dlfo_eh_frame, pc);
#else
    (void)pc;
#endif
    return NULL;
}

bool
weft__module_of(uintptr_t pc, struct module *m)
{
#if FIND_OBJECT
    struct dl_find_object object;
    if (_dl_find_object((void *)pc, &object) != 0 || !object.dlfo_link_map) return false;
    *m = (struct module){object.dlfo_link_map->l_name, object.dlfo_link_map->l_addr};
    return true;
#else
    (void)pc;
    (void)m;
    return false;
#endif
}

static bool
read_cie(const uint8_t *cie, struct description *d)
{
    const uint8_t *at = cie;
    uint64_t length = take(&at, 4);
    if (length == 0 || length >= 0xfffffff0) return false; /* the end, or 64-bit DWARF */
    d->initial_end = at + length;
    if (take(&at, 4) != 0) return false; /* not a CIE */
    uint8_t version = *at++;
    const char *augmentation = (const char *)at;
    while (*at++) continue;
    d->code_align = take_uleb(&at);
    d->data_align = take_sleb(&at);
    d->return_register = (uint8_t)(version == 1 ? *at++ : take_uleb(&at));
    d->augmented = *augmentation == 'z';
    uint64_t size = d->augmented ? take_uleb(&at) : 0;
    d->initial = at + size;
    if (*augmentation && !d->augmented) return false;
    for (const char *a = augmentation + d->augmented; *a; a++) {
        uintptr_t personality;
        if (*a == 'R') d->encoding = *at++;
        else if (*a == 'S') d->signal = true;
        else if (*a == 'L') at++;
        else if (*a == 'P') {
            uint8_t encoding = *at++ & 0x7f; /* without: indirect */
            if (!take_pointer(&at, encoding, &personality)) return false;
        } else if (*a != 'B') return false; /* B: which key signs return addresses */
    }
    return d->return_register < REGISTERS;
}

/* The description of the function that pc is in. */
static bool
describe(uintptr_t pc, struct description *d)
{
    const uint8_t *at = find_fde(pc);
    uintptr_t size;
    *d = (struct description){.encoding = 0};
    if (!at) return false;
    uint64_t length = take(&at, 4);
    if (length == 0 || length >= 0xfffffff0) return false;
    d->end = at + length;
    const uint8_t *here = at;
    if (!read_cie(here - take(&at, 4), d)) return false;
    if (!take_pointer(&at, d->encoding, &d->begin) || !take_pointer(&at, d->encoding & 0x0f, &size)) return false;
    if (pc - d->begin >= size) return false; /* between functions */
    if (d->augmented) {
        uint64_t skip = take_uleb(&at);
        at += skip;
    }
    d->program = at;
    return true;
}

/* ---- The rules at an address ---- */

static void
set(struct row *row, uint64_t reg, enum how how, int64_t value)
{
    if (reg >= REGISTERS) return; /* vector registers: nobody asks for them */
    row->how[reg] = (uint8_t)how;
    row->value[reg] = value;
}

static bool
set_cfa(struct row *row, uint64_t reg, int64_t offset)
{
    row->how[REGISTERS] = IS_OFFSET;
    row->cfa_register = (uint8_t)reg;
    row->value[REGISTERS] = offset;
    return reg < REGISTERS;
}

static void
set_formula(struct row *row, uint64_t reg, enum how how, const uint8_t **at)
{
    if (reg <= REGISTERS) {
        row->how[reg] = (uint8_t)how;
        row->value[reg] = (int64_t)(uintptr_t)*at;
    }
    uint64_t length = take_uleb(at);
    *at += length;
}

/* The instructions that say how registers are found; false: another one. */
static bool
apply_rule(const struct description *d, struct row *row, const struct row *first, uint8_t op, const uint8_t **at)
{
    uint64_t reg = op == 0x0e || op == 0x13 || op == 0x0f || op == 0x2d ? 0 : take_uleb(at);
    switch (op) {
    case 0x05: /* offset_extended */
        set(row, reg, AT_OFFSET, (int64_t)take_uleb(at) * d->data_align);
        return true;
    case 0x06: /* restore_extended */
        if (reg < REGISTERS) set(row, reg, (enum how)first->how[reg], first->value[reg]);
        return true;
    case 0x07: /* undefined */
        if (reg != d->return_register || !d->pass) set(row, reg, UNDEFINED, 0);
        return true;
    case 0x08: /* same_value */
        set(row, reg, KEPT, 0);
        return true;
    case 0x09: /* register */
        set(row, reg, IN, (int64_t)take_uleb(at));
        return true;
    case 0x0c: /* def_cfa */
        return set_cfa(row, reg, (int64_t)take_uleb(at));
    case 0x0d: /* def_cfa_register */
        return set_cfa(row, reg, row->value[REGISTERS]);
    case 0x0e: /* def_cfa_offset */
        return set_cfa(row, row->cfa_register, (int64_t)take_uleb(at));
    case 0x0f: /* def_cfa_expression */
        set_formula(row, REGISTERS, IS_FORMULA, at);
        return true;
    case 0x10: /* expression */
        set_formula(row, reg < REGISTERS ? reg : REGISTERS + 1, AT_FORMULA, at);
        return true;
    case 0x11: /* offset_extended_sf */
        set(row, reg, AT_OFFSET, take_sleb(at) * d->data_align);
        return true;
    case 0x12: /* def_cfa_sf */
        return set_cfa(row, reg, take_sleb(at) * d->data_align);
    case 0x13: /* def_cfa_offset_sf */
        return set_cfa(row, row->cfa_register, take_sleb(at) * d->data_align);
    case 0x14: /* val_offset */
        set(row, reg, IS_OFFSET, (int64_t)take_uleb(at) * d->data_align);
        return true;
    case 0x16: /* val_expression */
        set_formula(row, reg < REGISTERS ? reg : REGISTERS + 1, IS_FORMULA, at);
        return true;
    case 0x2d: /* AARCH64_negate_ra_state */
        row->flipped = !row->flipped;
        return true;
    case 0x2e: /* GNU_args_size */
        return true;
    default:
        return false;
    }
}

/* Runs a program up to pc.  first: the row that restores go back to. */
static bool
run(const struct description *d, const uint8_t *at, const uint8_t *end, uintptr_t pc, struct row *row,
    const struct row *first)
{
    struct row saved[DEPTH];
    int depth = 0;
    uintptr_t here = d->begin;
    while (at < end && here <= pc) {
        uint8_t byte = *at++, low = byte & 0x3f;
        if (byte >> 6 == 1) here += low * d->code_align; /* advance_loc */
        else if (byte >> 6 == 2) set(row, low, AT_OFFSET, (int64_t)take_uleb(&at) * d->data_align);
        else if (byte >> 6 == 3) {
            if (low < REGISTERS) set(row, low, (enum how)first->how[low], first->value[low]);
        } else if (byte == 0x00) continue; /* nop */
        else if (byte == 0x01) {           /* set_loc */
            if (!take_pointer(&at, d->encoding, &here)) return false;
        } else if (byte >= 0x02 && byte <= 0x04)
            here += take(&at, 1 << (byte - 2)) * d->code_align; /* advance_loc1.. */
        else if (byte == 0x0a) {                                /* remember_state */
            if (depth == DEPTH) return false;
            saved[depth++] = *row;
        } else if (byte == 0x0b) { /* restore_state */
            if (depth == 0) return false;
            *row = saved[--depth];
        } else if (!apply_rule(d, row, first, byte, &at)) return false;
    }
    return true;
}

/* ---- Going to the caller ---- */

/* A word of the stack, which its owner may be writing. */
static weft__uninstrumented bool
read_stack(const struct cursor *c, uintptr_t address, uintptr_t *out)
{
    if (address % sizeof *out != 0 || address < c->low || address > c->high - sizeof *out) return false;
    *out = *(const volatile uintptr_t *)address;
    return true;
}

static bool
read_register(const struct cursor *c, uint64_t r, uintptr_t *out)
{
    if (r >= REGISTERS || !(c->known >> r & 1)) return false;
    *out = c->reg[r];
    return true;
}

/* An expression, as compilers write them for frames that are aligned, and for signal frames.  cfa: what it starts with. */
static bool
evaluate(const struct cursor *c, const uint8_t *at, const uintptr_t *cfa, uintptr_t *out)
{
    enum { MOST = 8 };
    uintptr_t stack[MOST + 1], v;
    int n = 0;
    uint64_t length = take_uleb(&at);
    if (cfa) stack[n++] = *cfa;
    for (const uint8_t *end = at + length; at < end;) {
        uint8_t op = *at++;
        if (n == MOST) return false;
        if (op >= 0x70 && op <= 0x8f) { /* breg */
            if (!read_register(c, op - 0x70u, &v)) return false;
            stack[n++] = v + (uintptr_t)take_sleb(&at);
        } else if (op >= 0x30 && op <= 0x4f) stack[n++] = op - 0x30u; /* lit */
        else if (op == 0x08) stack[n++] = take(&at, 1);               /* const1u */
        else if (op == 0x06 && n > 0) {                               /* deref */
            if (!read_stack(c, stack[n - 1], &stack[n - 1])) return false;
        } else if (op == 0x23 && n > 0) stack[n - 1] += take_uleb(&at); /* plus_uconst */
        else if (op == 0x22 && n > 1) {
            n--;
            stack[n - 1] += stack[n];
        } /* plus */
        else if (op == 0x1c && n > 1) {
            n--;
            stack[n - 1] -= stack[n];
        } /* minus */
        else if (op == 0x1a && n > 1) {
            n--;
            stack[n - 1] &= stack[n];
        } /* and */
        else
            return false;
    }
    if (n > 0) *out = stack[n - 1];
    return n > 0;
}

static bool
find_cfa(const struct cursor *c, const struct row *row, uintptr_t *cfa)
{
    if (row->how[REGISTERS] == IS_FORMULA)
        return evaluate(c, (const uint8_t *)(uintptr_t)row->value[REGISTERS], NULL, cfa);
    if (row->how[REGISTERS] != IS_OFFSET || !read_register(c, row->cfa_register, cfa)) return false;
    *cfa += (uintptr_t)row->value[REGISTERS];
    return true;
}

/* Register r of the caller; false: lost. */
static bool
find_register(const struct cursor *c, const struct row *row, unsigned r, uintptr_t cfa, uintptr_t *out)
{
    uintptr_t where = cfa + (uintptr_t)row->value[r];
    const uint8_t *formula = (const uint8_t *)(uintptr_t)row->value[r];
    switch ((enum how)row->how[r]) {
    case KEPT:
        return read_register(c, r, out);
    case UNDEFINED:
        return false;
    case AT_OFFSET:
        return read_stack(c, where, out);
    case IS_OFFSET:
        *out = where;
        return true;
    case IN:
        return read_register(c, (uint64_t)row->value[r], out);
    case AT_FORMULA:
        return evaluate(c, formula, &cfa, &where) && read_stack(c, where, out);
    case IS_FORMULA:
        return evaluate(c, formula, &cfa, out);
    }
    return false;
}

/* Makes c its caller; false: there is none, or it cannot be found.  called: c->pc is what a call returns to, so the call is
 * before it, and may be the last instruction of its function. */
static bool
step(const struct unwind *u, struct cursor *c, bool *called)
{
    struct description d;
    struct row first = {.cfa_register = 0}, row;
    uintptr_t pc = c->pc - *called, cfa, next;
    if (!describe(pc, &d)) return false;
    d.pass = pc >= (uintptr_t)u->pass && pc < (uintptr_t)u->pass_end;
    if (!run(&d, d.initial, d.initial_end, UINTPTR_MAX, &first, &first)) return false;
    row = first;
    if (!run(&d, d.program, d.end, pc, &row, &first) || !find_cfa(c, &row, &cfa)) return false;
    if (cfa <= c->reg[WEFT__UNWIND_SP] || cfa > c->high) return false; /* up, and never round in circles */
    if (!find_register(c, &row, d.return_register, cfa, &next)) return false;
    struct cursor caller = {.low = c->low, .high = c->high, .pc = row.flipped ? weft__unwind_unsigned(next) : next};
    for (unsigned r = 0; r < REGISTERS; r++) {
        if (find_register(c, &row, r, cfa, &caller.reg[r])) caller.known |= UINT64_C(1) << r;
    }
    caller.reg[WEFT__UNWIND_SP] = cfa;
    caller.known |= UINT64_C(1) << WEFT__UNWIND_SP;
    *c = caller;
    *called = !d.signal;
    return c->pc != 0;
}

int
weft__unwind(const struct unwind *u, const void *sp, uintptr_t *pcs, int most)
{
    struct cursor c = {.low = (uintptr_t)u->low, .high = (uintptr_t)u->high};
    uintptr_t frame = (uintptr_t)sp;
    bool called = false;
    int n = 0;
    if (frame % sizeof(uintptr_t) != 0 || frame < c.low || frame + sizeof(struct weft__frame) > c.high) return 0;
    for (unsigned r = 0; r < REGISTERS; r++) {
        int at = weft__unwind_saved(r);
        if (at >= 0 && read_stack(&c, frame + (unsigned)at, &c.reg[r])) c.known |= UINT64_C(1) << r;
    }
    c.reg[WEFT__UNWIND_SP] = frame + sizeof(struct weft__frame);
    c.known |= UINT64_C(1) << WEFT__UNWIND_SP;
    if (!read_stack(&c, frame + offsetof(struct weft__frame, pc), &c.pc)) return 0;
    while (n < most) {
        pcs[n++] = c.pc;
        if (!step(u, &c, &called)) break;
    }
    return n;
}
