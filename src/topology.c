/*
 * topology.c - the places that workers are bound to, and how far they are apart.  [layer 1]
 *
 * hwloc is asked once, when the topology is loaded, and its tree is not kept: for each logical processor that may be
 * used, a place holds the processor's number, and which core, last cache and memory it belongs to.  As a place is one
 * processor, binding is sched_setaffinity, with hwloc or without.
 *
 * Places are in hwloc's logical order (neighbours share caches, then memory), first each core's first processor, then
 * each core's second one, and so on: the first w places are w cores, as near to each other as may be.
 *
 * A topology is flat where hwloc is missing or fails: each processor of the affinity is a core, and nothing is near.
 */
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !defined(WEFT_NO_HWLOC)
#include <hwloc.h>
#if HWLOC_API_VERSION < 0x00020000
#error "hwloc 2.0 or later is needed; WEFT_NO_HWLOC builds without it"
#endif
#endif

#include <weft/error.h>

#include "cgroup.h"
#include "hook.h"
#include "panic.h"
#include "topology.h"

enum { AFFINITY_FIRST = 1024, AFFINITY_MOST = 1 << 20 };

/* A set of processors, as the kernel takes it: size bytes. */
struct affinity {
    size_t size;
    cpu_set_t set[];
};

/* Ids are unique within their kind; 0: unknown, and shared with nobody. */
struct place {
    unsigned cpu;    /* as sched_setaffinity counts */
    unsigned thread; /* of the places of its core, which one this is */
    unsigned order;  /* hwloc's logical order */
    uintptr_t core, cache, memory;
};

struct topology {
    int usable;         /* see weft__topology_usable_cores */
    int machine_cores;  /* also those that the process may not use */
    int machine_nodes;  /* NUMA nodes; 0: unknown */
    bool here;          /* it is this system, and binding works */
    const char *source; /* for weft__topology_describe */
    int count;
    struct place places[];
};

static struct affinity *
affinity_new(size_t cpus)
{
    size_t size = CPU_ALLOC_SIZE(cpus);
    struct affinity *a = weft__hook_fail() ? NULL : calloc(1, sizeof *a + size);
    if (a) a->size = size;
    return a;
}

/* The calling thread's affinity in *out, to be freed.  0, or a negative code. */
static int
affinity_read(struct affinity **out)
{
    for (size_t cpus = AFFINITY_FIRST; cpus <= AFFINITY_MOST; cpus *= 2) {
        struct affinity *a = affinity_new(cpus);
        if (!a) return WEFT_ENOMEM;
        if (sched_getaffinity(0, a->size, a->set) == 0) {
            *out = a;
            return 0;
        }
        int error = errno;
        free(a);
        if (error != EINVAL) return -error; /* EINVAL: the kernel knows more processors than the set has room for */
    }
    return WEFT_EINVAL;
}

static struct topology *
topology_new(size_t places)
{
    return weft__hook_fail() ? NULL : calloc(1, sizeof(struct topology) + places * sizeof(struct place));
}

/* One place for each processor of the affinity; one that cannot be bound to, where that is not known. */
static int
load_flat(const struct affinity *affinity, const char *source, struct topology **out)
{
    int count = affinity ? CPU_COUNT_S(affinity->size, affinity->set) : 0;
    struct topology *t = topology_new(count > 0 ? (size_t)count : 1);
    if (!t) return WEFT_ENOMEM;
    t->here = count > 0;
    t->source = source;
    for (unsigned cpu = 0; t->count < count; cpu++) {
        if (!CPU_ISSET_S(cpu, affinity->size, affinity->set)) continue;
        struct place *p = &t->places[t->count++];
        p->cpu = cpu;
        p->core = (uintptr_t)t->count;
    }
    if (t->count == 0) t->places[t->count++].core = 1;
    t->machine_cores = t->count;
    *out = t;
    return 0;
}

#if !defined(WEFT_NO_HWLOC)

/* The processor's core, the outermost cache above it, the nearest level with memory; hwloc's objects serve as ids. */
static void
place_fill(struct place *p, hwloc_obj_t pu)
{
    p->cpu = pu->os_index;
    p->core = (uintptr_t)pu;
    for (hwloc_obj_t o = pu; o; o = o->parent) {
        if (o->type == HWLOC_OBJ_CORE) p->core = (uintptr_t)o;
        if (hwloc_obj_type_is_dcache(o->type)) p->cache = (uintptr_t)o;
        if (o->memory_arity > 0 && !p->memory) p->memory = (uintptr_t)o;
    }
}

static int
place_compare(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    if (p->thread != q->thread) return p->thread < q->thread ? -1 : 1;
    return p->order < q->order ? -1 : p->order > q->order;
}

static void
fill_places(struct topology *t, hwloc_topology_t hw, const struct affinity *affinity)
{
    struct place *last = NULL;
    for (hwloc_obj_t pu = NULL; (pu = hwloc_get_next_obj_by_type(hw, HWLOC_OBJ_PU, pu));) {
        if (t->here && !CPU_ISSET_S(pu->os_index, affinity->size, affinity->set)) continue;
        struct place *p = &t->places[t->count];
        place_fill(p, pu);
        p->order = (unsigned)t->count++;
        if (last && last->core == p->core) p->thread = last->thread + 1;
        last = p;
    }
    qsort(t->places, (size_t)t->count, sizeof *t->places, place_compare);
}

static int
load_from(hwloc_topology_t hw, const struct affinity *affinity, struct topology **out)
{
    int processors = hwloc_get_nbobjs_by_type(hw, HWLOC_OBJ_PU);
    int cores = hwloc_get_nbobjs_by_type(hw, HWLOC_OBJ_CORE);
    struct topology *t = topology_new(processors > 0 ? (size_t)processors : 0);
    if (!t) return WEFT_ENOMEM;
    t->here = hwloc_topology_is_thissystem(hw) != 0;
    t->source = t->here ? "hwloc " HWLOC_VERSION : "hwloc " HWLOC_VERSION ", not this machine: nothing is bound";
    t->machine_cores = cores > 0 ? cores : processors;
    t->machine_nodes = hwloc_get_nbobjs_by_type(hw, HWLOC_OBJ_NUMANODE);
    fill_places(t, hw, affinity);
    if (t->count > 0) {
        *out = t;
        return 0;
    }
    free(t);
    weft__warn("hwloc knows no processor of the thread's affinity: each of that counts as a core");
    return load_flat(affinity, "hwloc knows none of them", out);
}

/* Discovery does not move this thread from processor to processor, as hwloc otherwise might. */
static int
hwloc_start(hwloc_topology_t *hw)
{
    if (hwloc_topology_init(hw) != 0) return -1;
#if HWLOC_API_VERSION >= 0x00020500
    hwloc_topology_set_flags(*hw, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING);
#endif
    if (hwloc_topology_load(*hw) == 0) return 0;
    int error = errno;
    hwloc_topology_destroy(*hw);
    errno = error;
    return -1;
}

static int
load(const struct affinity *affinity, struct topology **out)
{
    hwloc_topology_t hw;
    if (hwloc_start(&hw) != 0) {
        weft__warn("hwloc cannot read the machine (%s): each processor of the thread's affinity counts as a core",
                   strerror(errno));
        return load_flat(affinity, "hwloc failed", out);
    }
    int rc = load_from(hw, affinity, out);
    hwloc_topology_destroy(hw);
    return rc;
}

#else

static int
load(const struct affinity *affinity, struct topology **out)
{
    return load_flat(affinity, "built without hwloc", out);
}

#endif

/* Distinct cores among the places. */
static int
count_cores(const struct topology *t)
{
    int cores = 0;
    while (cores < t->count && t->places[cores].thread == 0) cores++;
    return cores;
}

static int
load_with_quota(const struct affinity *affinity, struct topology **out)
{
    int quota = weft__cgroup_cores();
    if (quota < 0) return quota;
    int rc = load(affinity, out);
    if (rc != 0) return rc;
    int cores = count_cores(*out);
    (*out)->usable = cores < quota ? cores : quota;
    return 0;
}

int
weft__topology_load(struct topology **out)
{
    int saved_errno = errno;
    struct affinity *affinity = NULL;
    int rc = affinity_read(&affinity);
    if (rc != 0 && rc != WEFT_ENOMEM) {
        weft__warn("the thread's affinity cannot be read (%s): using one core", strerror(-rc));
        rc = load_flat(NULL, "the affinity is not known", out);
        if (rc == 0) (*out)->usable = 1;
    } else if (rc == 0) {
        rc = load_with_quota(affinity, out);
    }
    free(affinity);
    errno = saved_errno;
    return rc;
}

void
weft__topology_free(struct topology *t)
{
    free(t);
}

int
weft__topology_usable_cores(const struct topology *t)
{
    return t->usable;
}

int
weft__topology_places(const struct topology *t)
{
    return t->count;
}

int
weft__topology_bind(const struct topology *t, int k)
{
    weft__assert(k >= 0 && k < t->count);
    if (!t->here) return 0;
    int saved_errno = errno;
    unsigned cpu = t->places[k].cpu;
    struct affinity *a = affinity_new(cpu + (size_t)1);
    int rc = WEFT_ENOMEM;
    if (a) {
        CPU_SET_S(cpu, a->size, a->set);
        rc = sched_setaffinity(0, a->size, a->set) == 0 ? 0 : -errno;
    }
    free(a);
    errno = saved_errno;
    return rc;
}

int
weft__topology_save_binding(const struct topology *t, void **saved)
{
    *saved = NULL;
    if (!t->here) return 0;
    int saved_errno = errno;
    struct affinity *a = NULL;
    int rc = affinity_read(&a);
    *saved = a;
    errno = saved_errno;
    return rc;
}

void
weft__topology_restore_binding(const struct topology *t, void *saved)
{
    if (!saved) return;
    weft__assert(t->here);
    int saved_errno = errno;
    const struct affinity *a = saved;
    if (sched_setaffinity(0, a->size, a->set) != 0)
        weft__warn("the thread's former affinity cannot be restored: %s", strerror(errno));
    free(saved);
    errno = saved_errno;
}

int
weft__topology_distance(const struct topology *t, int a, int b)
{
    if (a < 0 || b < 0 || a >= t->count || b >= t->count) return 3;
    const struct place *p = &t->places[a], *q = &t->places[b];
    if (p->core == q->core) return 0;
    if (p->cache && p->cache == q->cache) return 1;
    return p->memory && p->memory == q->memory ? 2 : 3;
}

void
weft__topology_describe(const struct topology *t, char *text, size_t size)
{
    char nodes[32] = "";
    if (t->machine_nodes > 0)
        snprintf(nodes, sizeof nodes, ", %d NUMA node%s", t->machine_nodes, t->machine_nodes == 1 ? "" : "s");
    const char *plural = t->machine_cores == 1 ? "" : "s";
    snprintf(text, size, "%d core%s, %d usable%s (%s)", t->machine_cores, plural, t->usable, nodes, t->source);
}
