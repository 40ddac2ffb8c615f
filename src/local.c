/* local.c - task-local storage.  [layer 5]
 *
 * The values of a task are a small hash table, by the numbers of keys, with the keys' destroy functions beside them; so a
 * key is nothing but its number, which is never used again, and that function.
 *
 * A descriptor has no room for one more pointer, and tasks without values must pay nothing.  So the table takes the place of the
 * drop function, which is for tasks that never run, in those that do; TASK_LOCALS says that it is there.  Tasks with flags do
 * not end on the fast path.  The table is touched by its own task only.
 *
 * Plain threads keep theirs under one pthread key. */
#include "local.h"

#include "hook.h"
#include "scheduler.h"

#include <weft/local.h>

#include <pthread.h>
#include <stdlib.h>

enum { FIRST_PLACES = 4, ROUNDS = 4 };

struct value {
    weft_local key; /* id 0: the place is free; it stays taken when the value is taken away */
    void *value;
};

struct locals {
    uint32_t places; /* a power of two */
    uint32_t taken;
    struct value values[];
};

static _Atomic uint64_t keys; /* how many there are */

static struct {
    pthread_once_t once;
    pthread_key_t key;
    int error;
} threads = {.once = PTHREAD_ONCE_INIT};

int
weft_local_new(weft_local *key, void (*destroy)(void *value))
{
    if (!key) return WEFT_EINVAL;
    *key = (weft_local){add_relaxed(&keys, 1) + 1, destroy}; /* relaxed: only its uniqueness counts */
    return 0;
}

/* The place of the key; NULL: it has none.  There is always a free place to stop at. */
static struct value *
find(struct locals *l, uint64_t id)
{
    for (uint64_t k = id;; k++) {
        struct value *v = &l->values[k & (l->places - 1)];
        if (v->key.id == id) return v;
        if (v->key.id == 0) return NULL;
    }
}

/* Takes a free place for a key that has none. */
static struct value *
insert(struct locals *l, weft_local key)
{
    for (uint64_t k = key.id;; k++) {
        struct value *v = &l->values[k & (l->places - 1)];
        if (v->key.id != 0) continue;
        v->key = key;
        l->taken++;
        return v;
    }
}

/* The same values in a table with room for one more; l NULL: none.  NULL: no memory. */
static struct locals *
grow(const struct locals *l)
{
    uint32_t places = l ? 2 * l->places : FIRST_PLACES;
    struct locals *grown = weft__hook_fail() ? NULL : calloc(1, sizeof *grown + places * sizeof grown->values[0]);
    if (!grown) return NULL;
    grown->places = places;
    for (uint32_t k = 0; l && k < l->places; k++) {
        if (l->values[k].key.id) insert(grown, l->values[k].key)->value = l->values[k].value;
    }
    return grown;
}

static void end_thread(void *arg);

static void
make_thread_key(void)
{
    threads.error = pthread_key_create(&threads.key, end_thread);
}

/* The running task; NULL: a plain thread. */
static weft_task *
owner(void)
{
    struct context *c = weft__context_current();
    return c ? c->task : NULL;
}

/* The table of t, or of the calling thread; NULL: there is none. */
static struct locals *
table_of(const weft_task *t)
{
    if (t) return load_relaxed(&t->flags) & TASK_LOCALS ? t->locals : NULL; /* relaxed: the task's own */
    (void)pthread_once(&threads.once, make_thread_key);
    return threads.error ? NULL : pthread_getspecific(threads.key);
}

/* false: no memory. */
static bool
set_table(weft_task *t, struct locals *l)
{
    if (!t) return !threads.error && pthread_setspecific(threads.key, l) == 0;
    t->locals = l;
    /* other bits are set by others; read by the task's end */
    if (!(load_relaxed(&t->flags) & TASK_LOCALS)) or_acq_rel(&t->flags, TASK_LOCALS | TASK_LADEN);
    return true;
}

/* The key's place in the table of t, or of the calling thread; makes one.  NULL: no memory. */
static struct value *
reserve(weft_task *t, weft_local key)
{
    struct locals *l = table_of(t), *grown;
    struct value *v = l ? find(l, key.id) : NULL;
    if (v) return v;
    if (!l || 4 * (l->taken + 1) > 3 * l->places) {
        grown = grow(l);
        if (!grown || !set_table(t, grown)) {
            free(grown);
            return NULL;
        }
        free(l);
        l = grown;
    }
    return insert(l, key);
}

/* Calls the destroy functions of what is there; false: nothing was.  They may set values, and the table may move. */
static bool
destroy_values(const weft_task *t)
{
    struct locals *l;
    bool any = false;
    for (uint32_t k = 0; (l = table_of(t)) && k < l->places; k++) {
        struct value v = l->values[k];
        if (!v.value) continue;
        l->values[k].value = NULL;
        any = true;
        if (v.key.destroy) v.key.destroy(v.value);
    }
    return any;
}

static void
end_values(weft_task *t)
{
    for (int round = 0; round < ROUNDS && destroy_values(t); round++) continue;
}

static void
end_thread(void *arg)
{
    if (pthread_setspecific(threads.key, arg) == 0) end_values(NULL); /* the destroy functions may ask for values */
    free(table_of(NULL));
    (void)pthread_setspecific(threads.key, NULL); /* it has a place already */
}

/* A task that ran in place ends on the context of the one that waited for it. */
void
weft__locals_end(weft_task *t)
{
    struct context *c = weft__context_current();
    weft_task *outer = c->task;
    c->task = t;
    end_values(t);
    c->task = outer;
    free(t->locals);
    t->locals = NULL;
}

int
weft__local_reserve(weft_local key)
{
    if (key.id == 0) return WEFT_EINVAL;
    return reserve(owner(), key) ? 0 : WEFT_ENOMEM;
}

void *
weft_local_get(weft_local key)
{
    struct locals *l = table_of(owner());
    struct value *v = l && key.id ? find(l, key.id) : NULL;
    return v ? v->value : NULL;
}

int
weft_local_set(weft_local key, void *value)
{
    weft_task *t = owner();
    struct locals *l = table_of(t);
    if (key.id == 0) return WEFT_EINVAL;
    struct value *v = value ? reserve(t, key) : l ? find(l, key.id) : NULL;
    if (v) v->value = value;
    return v || !value ? 0 : WEFT_ENOMEM;
}

int
weft_local_with(weft_local key, void *value, weft_fn *body, void *arg)
{
    if (!body) return WEFT_EINVAL;
    int rc = weft__local_reserve(key);
    if (rc < 0) return rc;
    void *before = weft_local_get(key);
    (void)weft_local_set(key, value); /* there is a place for it, as for the next */
    rc = body(arg);
    (void)weft_local_set(key, before);
    return rc;
}
