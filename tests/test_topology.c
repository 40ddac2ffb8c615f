/* test_topology.c - usable cores, places, binding and distances, on this machine and on made-up ones. */
#include <errno.h>

#include "cgroup.h"
#include "machine_kit.h"
#include "topology.h"

/* ---- The cgroup quota ------------------------------------------------------------------------------------------ */

/* The cores of the quota when /proc/self/cgroup reads like self. */
static int
cores_in(const struct machine *m, const char *self)
{
    machine_write(m, "self", self);
    return weft__cgroup_cores();
}

TEST(cgroup, none, "there is no limit where there are no cgroups at all")
{
    struct machine m;
    machine_begin(&m);
    CHECK_INT(weft__cgroup_cores(), INT_MAX);
    CHECK_INT(cores_in(&m, "0::/a/b\n4:cpu,cpuacct:/a\n"), INT_MAX);
    machine_end(&m);
}

TEST(cgroup, v2, "a v2 quota is rounded up to whole cores, and max is no limit")
{
    static const struct {
        const char *text;
        int cores;
    } cases[] = {{"150000 100000\n", 2}, {"30000 100000\n", 1},     {"100000 100000\n", 1},
                 {"200000 100000\n", 2}, {"200001 100000\n", 3},    {"1 1000000\n", 1},
                 {"75000 50000", 2},     {"max 100000\n", INT_MAX}, {"9223372036854775807 1\n", INT_MAX}};
    struct machine m;
    machine_begin(&m);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        machine_write(&m, "root/job/cpu.max", cases[i].text);
        if (!CHECK_INT(cores_in(&m, "0::/job\n"), cases[i].cores)) test__note("for %s", cases[i].text);
    }
    machine_end(&m);
}

TEST(cgroup, ancestors, "the tightest group on the path to the root counts, the root included")
{
    struct machine m;
    machine_begin(&m);
    machine_write(&m, "root/a/b/c/cpu.max", "max 100000\n");
    machine_write(&m, "root/a/b/cpu.max", "250000 100000\n");
    machine_write(&m, "root/a/cpu.max", "700000 100000\n");
    machine_write(&m, "root/other/cpu.max", "100000 100000\n");
    CHECK_INT(cores_in(&m, "0::/a/b/c\n"), 3);
    CHECK_INT(cores_in(&m, "0::/a/b/c/\n"), 3);
    CHECK_INT(cores_in(&m, "0::/a\n"), 7);
    CHECK_INT(cores_in(&m, "0::/\n"), INT_MAX);
    machine_write(&m, "root/cpu.max", "200000 100000\n");
    CHECK_INT(cores_in(&m, "0::/a/b/c\n"), 2);
    CHECK_INT(cores_in(&m, "0::/\n"), 2);
    machine_end(&m);
}

TEST(cgroup, unseen, "a group that cannot be seen leaves its ancestors in force, and nothing above the root is read")
{
    struct machine m;
    machine_begin(&m);
    machine_write(&m, "cpu.max", "100000 100000\n");
    machine_write(&m, "root/cpu.max", "500000 100000\n");
    machine_write(&m, "root/a/cpu.max", "400000 100000\n");
    CHECK_INT(cores_in(&m, "0::/a/gone/deeper (deleted)\n"), 4);
    CHECK_INT(cores_in(&m, "0::/docker/0123456789abcdef\n"), 5);
    CHECK_INT(cores_in(&m, "0::/../..\n"), 5);
    CHECK_INT(cores_in(&m, "0::/../a\n"), 5);
    machine_write(&m, "root/a/..b/cpu.max", "300000 100000\n");
    CHECK_INT(cores_in(&m, "0::/a/..b\n"), 3);
    machine_end(&m);
}

TEST(cgroup, v1, "a v1 quota is read in the hierarchy of the cpu controller, under either of its names")
{
    struct machine m;
    machine_begin(&m);
    machine_write(&m, "root/cpu/job/cpu.cfs_quota_us", "150000\n");
    machine_write(&m, "root/cpu/job/cpu.cfs_period_us", "100000\n");
    CHECK_INT(cores_in(&m, "9:memory:/job\n4:cpu:/job\n"), 2);
    CHECK_INT(cores_in(&m, "4:cpuacct,cpu:/job\n"), 2);
    CHECK_INT(cores_in(&m, "4:cpu:/job/inner\n"), 2);
    CHECK_INT(cores_in(&m, "3:cpuset:/job\n2:cpuacct:/job\n1:name=cpu:/job\n"), INT_MAX);
    machine_write(&m, "root/cpu/job/cpu.cfs_quota_us", "-1\n");
    CHECK_INT(cores_in(&m, "4:cpu:/job\n"), INT_MAX);
    machine_write(&m, "root/cpu/cpu.cfs_quota_us", "30000\n");
    machine_write(&m, "root/cpu/cpu.cfs_period_us", "100000\n");
    CHECK_INT(cores_in(&m, "4:cpu:/job\n"), 1);
    machine_clear(&m);
    machine_write(&m, "root/cpu,cpuacct/job/cpu.cfs_quota_us", "300000\n");
    machine_write(&m, "root/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
    CHECK_INT(cores_in(&m, "4:cpu,cpuacct:/job\n"), 3);
    machine_end(&m);
}

TEST(cgroup, hybrid, "where v1 and v2 are mounted side by side the tighter quota of both counts")
{
    const char *self = "4:cpu:/v1\n0::/v2\n";
    struct machine m;
    machine_begin(&m);
    machine_write(&m, "root/cpu/v1/cpu.cfs_quota_us", "600000\n");
    machine_write(&m, "root/cpu/v1/cpu.cfs_period_us", "100000\n");
    machine_write(&m, "root/unified/v2/cgroup.procs", "1\n");
    CHECK_INT(cores_in(&m, self), 6);
    machine_write(&m, "root/unified/v2/cpu.max", "350000 100000\n");
    CHECK_INT(cores_in(&m, self), 4);
    machine_write(&m, "root/cpu/v1/cpu.cfs_quota_us", "200000\n");
    CHECK_INT(cores_in(&m, self), 2);
    machine_end(&m);
}

TEST(cgroup, unified_name, "a v2 group that is called unified is no mount point")
{
    struct machine m;
    machine_begin(&m);
    machine_write(&m, "root/cgroup.controllers", "cpu memory\n");
    machine_write(&m, "root/unified/cpu.max", "100000 100000\n");
    CHECK_INT(cores_in(&m, "0::/job\n"), INT_MAX);
    CHECK_INT(cores_in(&m, "0::/unified\n"), 1);
    machine_end(&m);
}

TEST(cgroup, colon, "a group's name may have colons and blanks in it")
{
    struct machine m;
    machine_begin(&m);
    machine_write(&m, "root/a:b c/cpu.max", "150000 100000\n");
    CHECK_INT(cores_in(&m, "0::/a:b c\n"), 2);
    machine_end(&m);
}

TEST(cgroup, malformed_quota, "a quota that does not parse sets no limit")
{
    char texts[] = "|\n| |abc|150000|150000\n|150000 |150000 0\n|0 100000\n|-1 100000\n|150000 -1\n|"
                   "150000,100000\n|150000 100000x\n|1.5 1\n|max\n|max max\n|"
                   "99999999999999999999999 100000\n|1 99999999999999999999999\n|0x10 0x10\n|"
                   "1 1                                                                              ";
    char *rest = texts;
    struct machine m;
    machine_begin(&m);
    for (char *text; (text = strsep(&rest, "|"));) {
        machine_write(&m, "root/job/cpu.max", text);
        if (!CHECK_INT(cores_in(&m, "0::/job\n"), INT_MAX)) test__note("for \"%s\"", text);
    }
    machine_write_bytes(&m, "root/job/cpu.max", "1\0 1", 4);
    CHECK_INT(cores_in(&m, "0::/job\n"), INT_MAX);
    machine_clear(&m);
    machine_write(&m, "root/job/cpu.max/file", "cpu.max is a directory");
    CHECK_INT(cores_in(&m, "0::/job\n"), INT_MAX);
    machine_write(&m, "root/cpu/job/cpu.cfs_quota_us", "100000\n");
    CHECK_INT(cores_in(&m, "4:cpu:/job\n"), INT_MAX);
    machine_end(&m);
}

TEST(cgroup, malformed_self, "lines that say no group are passed over, and the others count")
{
    char texts[] = "|\n\n|:|::|:::|0|0:|0::|0::job|4:cpu|4:cpu:|4:cpu:job|cpu:/job|/job";
    char *rest = texts;
    char both[64];
    struct machine m;
    machine_begin(&m);
    machine_write(&m, "root/job/cpu.max", "150000 100000\n");
    machine_write(&m, "root/cpu/job/cpu.cfs_quota_us", "150000\n");
    machine_write(&m, "root/cpu/job/cpu.cfs_period_us", "100000\n");
    for (char *text; (text = strsep(&rest, "|"));) {
        if (!CHECK_INT(cores_in(&m, text), INT_MAX)) test__note("for \"%s\"", text);
        snprintf(both, sizeof both, "%s\n0::/job", text);
        if (!CHECK_INT(cores_in(&m, both), 2)) test__note("for \"%s\"", both);
    }
    machine_end(&m);
}

TEST(cgroup, long_names, "a name longer than any path leaves its ancestors in force, and what follows it is read")
{
    size_t size = 3 * PATH_MAX;
    char *self = calloc(1, size + 64);
    struct machine m;
    machine_begin(&m);
    machine_write(&m, "root/a/cpu.max", "400000 100000\n");
    memset(self, 'x', size);
    memcpy(self, "0::/a/", 6);
    CHECK_INT(cores_in(&m, self), 4);
    for (size_t i = 6; i < size; i += 2) self[i] = '/';
    CHECK_INT(cores_in(&m, self), 4);
    strcpy(self + size, "\n4:cpu:/job\n");
    machine_write(&m, "root/cpu/job/cpu.cfs_quota_us", "150000\n");
    machine_write(&m, "root/cpu/job/cpu.cfs_period_us", "100000\n");
    CHECK_INT(cores_in(&m, self), 2);
    setenv("WEFT_CGROUP_ROOT", self, 1);
    CHECK_INT(weft__cgroup_cores(), INT_MAX);
    setenv("WEFT_CGROUP_SELF", "/dev/zero", 1);
    CHECK_INT(weft__cgroup_cores(), INT_MAX);
    free(self);
    machine_end(&m);
}

/* ---- Every machine --------------------------------------------------------------------------------------------- */

static struct topology *
loaded(void)
{
    struct topology *t = NULL;
    errno = 77;
    CHECK_INT(weft__topology_load(&t), 0);
    CHECK_INT(errno, 77);
    return t;
}

/* The one processor that the thread is bound to; -1: it is bound to several. */
static int
bound_to(void)
{
    cpu_set_t set;
    CHECK_INT(sched_getaffinity(0, sizeof set, &set), 0);
    if (CPU_COUNT(&set) != 1) return -1;
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &set)) cpu++;
    return (int)cpu;
}

static bool
affinity_is(const cpu_set_t *expected)
{
    cpu_set_t set;
    CHECK_INT(sched_getaffinity(0, sizeof set, &set), 0);
    return CPU_EQUAL(&set, expected) != 0;
}

/* Restricts the thread to the last processor of its affinity, which is returned. */
static int
restrict_to_last(const cpu_set_t *affinity)
{
    size_t last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, affinity)) last--;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(last, &only);
    CHECK_INT(sched_setaffinity(0, sizeof only, &only), 0);
    return (int)last;
}

/* Binds to each place in turn: each is another processor of the affinity. */
static void
check_binding(const struct machine *m, const struct topology *t)
{
    void *saved = NULL;
    cpu_set_t seen;
    CPU_ZERO(&seen);
    CHECK_INT(weft__topology_save_binding(t, &saved), 0);
    for (int k = 0; k < weft__topology_places(t); k++) {
        CHECK_INT(weft__topology_bind(t, k), 0);
        int cpu = bound_to();
        if (CHECK(cpu >= 0)) CPU_SET((size_t)cpu, &seen);
    }
    CHECK(CPU_EQUAL(&seen, &m->affinity));
    weft__topology_restore_binding(t, saved);
    CHECK(affinity_is(&m->affinity));
}

TEST(topology, here, "this machine has a place for each processor of the affinity, and at least one usable core")
{
    struct machine m;
    machine_begin(&m);
    struct topology *t = loaded();
    int places = weft__topology_places(t), usable = weft__topology_usable_cores(t);
    CHECK_INT(places, CPU_COUNT(&m.affinity));
    CHECK(usable >= 1 && usable <= places);
    for (int a = 0; a < places; a++)
        for (int b = 0; b < places; b++) {
            int distance = weft__topology_distance(t, a, b);
            CHECK_INT(weft__topology_distance(t, b, a), distance);
            CHECK(a == b ? distance == 0 : distance >= (a < usable && b < usable) && distance <= 3);
        }
    check_binding(&m, t);
    weft__topology_free(t);
    machine_end(&m);
}

TEST(topology, affinity, "a restricted affinity leaves one place and one usable core, and comes back after binding")
{
    struct machine m;
    machine_begin(&m);
    int cpu = restrict_to_last(&m.affinity);
    struct topology *t = loaded();
    CHECK_INT(weft__topology_places(t), 1);
    CHECK_INT(weft__topology_usable_cores(t), 1);
    CHECK_INT(sched_setaffinity(0, sizeof m.affinity, &m.affinity), 0);
    void *saved = NULL;
    CHECK_INT(weft__topology_save_binding(t, &saved), 0);
    CHECK_INT(weft__topology_bind(t, 0), 0);
    CHECK_INT(bound_to(), cpu);
    weft__topology_restore_binding(t, saved);
    CHECK(affinity_is(&m.affinity));
    weft__topology_free(t);
    machine_end(&m);
}

TEST(topology, quota_here, "a quota of less than a core leaves one usable core, and every place")
{
    struct machine m;
    machine_begin(&m);
    machine_write(&m, "self", "0::/job\n");
    machine_write(&m, "root/job/cpu.max", "30000 100000\n");
    struct topology *t = loaded();
    CHECK_INT(weft__topology_usable_cores(t), 1);
    CHECK_INT(weft__topology_places(t), CPU_COUNT(&m.affinity));
    weft__topology_free(t);
    machine_end(&m);
}

TEST(topology, no_place, "a worker without a place is as far away as the machine goes")
{
    struct machine m;
    machine_begin(&m);
    struct topology *t = loaded();
    int places = weft__topology_places(t);
    CHECK_INT(weft__topology_distance(t, 0, places), 3);
    CHECK_INT(weft__topology_distance(t, places + 5, 0), 3);
    CHECK_INT(weft__topology_distance(t, -1, 0), 3);
    weft__topology_free(t);
    machine_end(&m);
}

TEST(topology, describe, "the description fits into what room there is")
{
    char text[128], cut[8] = "1234567";
    struct machine m;
    machine_begin(&m);
    struct topology *t = loaded();
    weft__topology_describe(t, text, sizeof text);
    CHECK(strstr(text, " usable") != NULL);
    CHECK(strlen(text) < sizeof text - 1);
    weft__topology_describe(t, cut, 5);
    CHECK_INT(strlen(cut), 4);
    CHECK(strncmp(cut, text, 4) == 0);
    CHECK_STR(cut + 5, "67");
    weft__topology_free(t);
    machine_end(&m);
}

/* ---- Machines that hwloc makes up ------------------------------------------------------------------------------ */

#if !defined(WEFT_NO_HWLOC)

static struct topology *
synthetic(const char *machine)
{
    setenv("HWLOC_SYNTHETIC", machine, 1);
    return loaded();
}

TEST(topology, threads, "places are distinct cores first, near ones together, and then their second threads")
{
    struct machine m;
    machine_begin(&m);
    struct topology *t = synthetic("numanode:2 l3:2 core:2 pu:2");
    CHECK_INT(weft__topology_usable_cores(t), 8);
    CHECK_INT(weft__topology_places(t), 16);
    for (int a = 0; a < 16; a++)
        for (int b = 0; b < 16; b++) {
            int p = a % 8, q = b % 8, expected = p == q ? 0 : p / 2 == q / 2 ? 1 : p / 4 == q / 4 ? 2 : 3;
            if (!CHECK_INT(weft__topology_distance(t, a, b), expected)) test__note("between %d and %d", a, b);
        }
    weft__topology_free(t);
    machine_end(&m);
}

TEST(topology, caches, "the outermost cache is what makes neighbours; without one, the memory does")
{
    struct machine m;
    machine_begin(&m);
    struct topology *t = synthetic("package:2 l2:2 core:2 pu:1");
    CHECK_INT(weft__topology_distance(t, 0, 1), 1);
    CHECK_INT(weft__topology_distance(t, 0, 2), 2);
    weft__topology_free(t);
    t = synthetic("l3:1 l2:2 core:2 pu:1");
    CHECK_INT(weft__topology_distance(t, 0, 2), 1);
    weft__topology_free(t);
    t = synthetic("numanode:2 pu:2");
    CHECK_INT(weft__topology_usable_cores(t), 4);
    CHECK_INT(weft__topology_distance(t, 0, 1), 2);
    CHECK_INT(weft__topology_distance(t, 1, 2), 3);
    weft__topology_free(t);
    t = synthetic("[numanode] package:2 [numanode] core:2 pu:1");
    CHECK_INT(weft__topology_distance(t, 0, 1), 2);
    CHECK_INT(weft__topology_distance(t, 1, 2), 3);
    weft__topology_free(t);
    machine_end(&m);
}

TEST(topology, not_here, "a synthetic machine is not restricted by the affinity, and nothing is bound to it")
{
    struct machine m;
    machine_begin(&m);
    int cpu = restrict_to_last(&m.affinity);
    struct topology *t = synthetic("core:8 pu:1");
    CHECK_INT(weft__topology_usable_cores(t), 8);
    CHECK_INT(sched_setaffinity(0, sizeof m.affinity, &m.affinity), 0);
    void *saved = &m;
    CHECK_INT(weft__topology_save_binding(t, &saved), 0);
    CHECK_INT(weft__topology_bind(t, 0), 0);
    CHECK(affinity_is(&m.affinity));
    restrict_to_last(&m.affinity);
    weft__topology_restore_binding(t, saved);
    CHECK_INT(bound_to(), cpu);
    weft__topology_free(t);
    machine_end(&m);
}

TEST(topology, quota, "the quota restricts a synthetic machine, rounded up, and leaves its places")
{
    struct machine m;
    machine_begin(&m);
    machine_write(&m, "self", "4:cpu,cpuacct:/outer/inner\n0::/job\n");
    machine_write(&m, "root/unified/job/cpu.max", "150000 100000\n");
    struct topology *t = synthetic("core:8 pu:2");
    CHECK_INT(weft__topology_usable_cores(t), 2);
    CHECK_INT(weft__topology_places(t), 16);
    weft__topology_free(t);
    machine_write(&m, "root/cpu/outer/cpu.cfs_quota_us", "30000\n");
    machine_write(&m, "root/cpu/outer/cpu.cfs_period_us", "100000\n");
    t = synthetic("core:8 pu:2");
    CHECK_INT(weft__topology_usable_cores(t), 1);
    weft__topology_free(t);
    machine_end(&m);
}

TEST(topology, says_so, "the description counts cores and NUMA nodes, and says where the machine comes from")
{
    char text[128];
    struct machine m;
    machine_begin(&m);
    struct topology *t = synthetic("numanode:2 core:2 pu:2");
    weft__topology_describe(t, text, sizeof text);
    CHECK(strncmp(text, "4 cores, 4 usable, 2 NUMA nodes (hwloc ", 39) == 0);
    CHECK(strstr(text, "not this machine") != NULL);
    weft__topology_free(t);
    t = synthetic("core:1 pu:2");
    weft__topology_describe(t, text, sizeof text);
    CHECK(strncmp(text, "1 core, 1 usable, 1 NUMA node (hwloc ", 37) == 0);
    weft__topology_free(t);
    machine_end(&m);
}

/* Loads a topology that must turn out flat, with a warning that has text in it. */
static void
check_flat(const struct machine *m, const char *text)
{
    char said[4096];
    struct capture c;
    struct topology *t = NULL;
    if (!capture_begin(&c)) return;
    int rc = weft__topology_load(&t);
    CHECK_INT(capture_end(&c, said, sizeof said, "weft: "), 1);
    if (!CHECK(strstr(said, text) != NULL)) test__note("it said: %s", said);
    if (!CHECK_INT(rc, 0)) return;
    int count = CPU_COUNT(&m->affinity);
    CHECK_INT(weft__topology_places(t), count);
    CHECK_INT(weft__topology_usable_cores(t), count);
    CHECK_INT(weft__topology_distance(t, 0, 0), 0);
    if (count > 1) CHECK_INT(weft__topology_distance(t, 0, 1), 3);
    check_binding(m, t);
    weft__topology_free(t);
}

TEST(topology, hwloc_fails, "where hwloc fails a warning says so, and the affinity is the machine")
{
    struct machine m;
    machine_begin(&m);
    setenv("HWLOC_COMPONENTS", "stop", 1);
    check_flat(&m, "hwloc cannot read the machine");
    machine_end(&m);
}

TEST(topology, hwloc_misses, "where hwloc knows no processor of the affinity it is as if hwloc had failed")
{
    struct machine m;
    machine_begin(&m);
    setenv("HWLOC_SYNTHETIC", "pu:2(indexes=5000,5001)", 1);
    setenv("HWLOC_THISSYSTEM", "1", 1);
    check_flat(&m, "hwloc knows no processor");
    machine_end(&m);
}

#endif
