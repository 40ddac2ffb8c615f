/* machine_kit.h - a made-up machine for a test: an environment that says nothing, and an empty tree of cgroups. */
#ifndef WEFT_TESTS_MACHINE_KIT_H
#define WEFT_TESTS_MACHINE_KIT_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "task_kit.h"

static const char *const machine_variables[] = {
    "WEFT_CGROUP_ROOT", "WEFT_CGROUP_SELF", "WEFT_NUM_THREADS", "WEFT_STACK_SIZE",  "WEFT_BIND",   "WEFT_VERBOSE",
    "HWLOC_SYNTHETIC",  "HWLOC_THISSYSTEM", "HWLOC_XMLFILE",    "HWLOC_COMPONENTS", "HWLOC_FSROOT"};
enum { MACHINE_VARIABLES = sizeof machine_variables / sizeof *machine_variables };

struct machine {
    char directory[64]; /* has self, and the tree of cgroups below root */
    char *environment[MACHINE_VARIABLES];
    cpu_set_t affinity;
};

/* Writes a file, given by its name below the machine's directory; makes the directories above it. */
static inline void
machine_write_bytes(const struct machine *m, const char *name, const void *bytes, size_t size)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", m->directory, name);
    for (char *slash = path + strlen(m->directory) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    if (!CHECK(file != NULL)) return;
    CHECK_INT(fwrite(bytes, 1, size, file), size);
    CHECK_INT(fclose(file), 0);
}

static inline void
machine_write(const struct machine *m, const char *name, const char *text)
{
    machine_write_bytes(m, name, text, strlen(text));
}

static inline int
machine_remove(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

/* Takes the tree of cgroups away. */
static inline void
machine_clear(const struct machine *m)
{
    char root[80];
    snprintf(root, sizeof root, "%s/root", m->directory);
    nftw(root, machine_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
machine_begin(struct machine *m)
{
    for (int i = 0; i < MACHINE_VARIABLES; i++) {
        const char *value = getenv(machine_variables[i]);
        m->environment[i] = value ? strdup(value) : NULL;
        unsetenv(machine_variables[i]);
    }
    CHECK_INT(sched_getaffinity(0, sizeof m->affinity, &m->affinity), 0);
    strcpy(m->directory, "/tmp/weft-machine-XXXXXX");
    CHECK(mkdtemp(m->directory) != NULL);
    char path[80];
    setenv("WEFT_CGROUP_ROOT", (snprintf(path, sizeof path, "%s/root", m->directory), path), 1);
    setenv("WEFT_CGROUP_SELF", (snprintf(path, sizeof path, "%s/self", m->directory), path), 1);
}

static inline void
machine_end(struct machine *m)
{
    nftw(m->directory, machine_remove, 16, FTW_DEPTH | FTW_PHYS);
    CHECK_INT(sched_setaffinity(0, sizeof m->affinity, &m->affinity), 0);
    for (int i = 0; i < MACHINE_VARIABLES; i++) {
        if (m->environment[i]) setenv(machine_variables[i], m->environment[i], 1);
        else unsetenv(machine_variables[i]);
        free(m->environment[i]);
    }
}

#endif
