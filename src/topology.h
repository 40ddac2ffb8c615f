/* topology.h - the machine as hwloc sees it: usable cores, where to bind workers, how far they are apart.  [layer 1]
 *
 * The only place that knows hwloc.  Built without it (WEFT_NO_HWLOC), sched_getaffinity stands in.
 * A topology never changes: any thread may ask, for as long as it is not freed. */
#ifndef WEFT_SRC_TOPOLOGY_H
#define WEFT_SRC_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

struct topology;

/* Loads the topology.  0, or WEFT_ENOMEM.  Where hwloc fails, a flat machine made from the thread's affinity is used,
 * and a warning says so.  HWLOC_SYNTHETIC is respected: it is another machine, so nothing is bound to it, and the
 * affinity does not restrict it. */
int weft__topology_load(struct topology **out);
void weft__topology_free(struct topology *t);

/* min(the affinity of the thread that loaded, ceil(the tightest cgroup CPU quota on the path to the root), cores), at
 * least 1.  The root of the cgroup file systems is /sys/fs/cgroup, or what WEFT_CGROUP_ROOT says; the process's own
 * group comes from /proc/self/cgroup, or from the file WEFT_CGROUP_SELF names. */
int weft__topology_usable_cores(const struct topology *t);

/* Logical processors that the process may use; of these, workers 0, 1, ... get the k-th in an order that fills distinct
 * cores before second hyper-threads, and neighbours first.  At least as many as there are usable cores. */
int weft__topology_places(const struct topology *t);

/* Binds the calling thread to the place of worker k (k < places).  0, or a negative code. */
int weft__topology_bind(const struct topology *t, int k);

/* Remembers the calling thread's affinity in *saved; restores it to the calling thread, and frees saved.  0, or a
 * negative code, and *saved is NULL, which restores nothing. */
int weft__topology_save_binding(const struct topology *t, void **saved);
void weft__topology_restore_binding(const struct topology *t, void *saved);

/* How far the places of workers a and b are apart: 0 same core, 1 same L3 (last shared cache), 2 same NUMA node,
 * 3 same machine: nothing nearer is known, or one of them has no place. */
int weft__topology_distance(const struct topology *t, int a, int b);

/* A line for WEFT_VERBOSE, like "2 cores, 2 usable, 1 NUMA node (hwloc 2.9.0)".  Writes at most size bytes. */
void weft__topology_describe(const struct topology *t, char *text, size_t size);

#endif
