/* cgroup.h - how much processor time the cgroups above the process leave it.  [layer 1] */
#ifndef WEFT_SRC_CGROUP_H
#define WEFT_SRC_CGROUP_H

/* ceil(quota / period) of the tightest CPU quota on the path from the process's own group to the root, at least 1;
 * INT_MAX: no limit; or WEFT_ENOMEM.
 * WEFT_CGROUP_ROOT and WEFT_CGROUP_SELF, unless empty, replace /sys/fs/cgroup and /proc/self/cgroup. */
int weft__cgroup_cores(void);

#endif
