/*
 * cgroup.c - how much processor time the cgroups above the process leave it.  [layer 1]
 *
 * /proc/self/cgroup has a line `id:controllers:/group` for each hierarchy that the process is in.
 *
 *      hierarchy                     mounted at                       a group's quota
 *      v2: the line names no         root; beside v1 (hybrid)         cpu.max: "quota period", or "max period"
 *          controllers               root/unified
 *      v1: the line names `cpu`      root/cpu or root/controllers     cpu.cfs_quota_us (-1: none), cpu.cfs_period_us
 *
 * A quota binds everything below its group, so the tightest one between the process's group and the root counts.  The
 * walk goes by names: where a directory is missing, its ancestors still count.  That is right, too, in a container that
 * sees only its own part of a v1 hierarchy, mounted as the root, and is told the host's name of its group: no directory
 * of that name exists there, and the root that is seen holds the quota.
 *
 * What is missing or malformed sets no limit: the quota tunes how many workers there are, and decides nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/error.h>

#include "cgroup.h"
#include "hook.h"

enum { SELF_FIRST = 4096, SELF_MOST = 1 << 20, QUOTA_TEXT = 64 };

/* Reads the file's beginning into text, at most size - 1 bytes, and ends it.  Its length, or -1. */
static ssize_t
read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    size_t used = 0;
    ssize_t n = 1;
    while (n != 0 && used < size - 1) {
        n = read(fd, text + used, size - 1 - used);
        if (n > 0) used += (size_t)n;
        else if (n < 0 && errno != EINTR) break;
    }
    close(fd);
    text[used] = '\0';
    return n < 0 ? -1 : (ssize_t)used;
}

/* The whole file in *out, to be freed; NULL if it cannot be read.  0, or WEFT_ENOMEM. */
static int
read_whole(const char *path, char **out)
{
    *out = NULL;
    for (size_t size = SELF_FIRST; size <= SELF_MOST; size *= 2) {
        char *text = weft__hook_fail() ? NULL : malloc(size);
        if (!text) return WEFT_ENOMEM;
        ssize_t n = read_text(path, text, size);
        if (n >= 0 && (size_t)n < size - 1) {
            *out = text;
            return 0;
        }
        free(text);
        if (n < 0) return 0;
    }
    return 0;
}

/* The number at *text, which is moved past it and the blank that follows.  -1: none, or it is no positive int64_t. */
static int64_t
take_number(const char **text)
{
    char *end;
    errno = 0;
    int64_t n = strtoll(*text, &end, 10);
    if (end == *text || n <= 0 || errno != 0) return -1;
    if (*end != '\0' && *end != ' ' && *end != '\n') return -1;
    *text = *end ? end + 1 : end;
    return n;
}

static int
smaller(int a, int b)
{
    return a < b ? a : b;
}

static int
cores_of(int64_t quota, int64_t period)
{
    if (quota < 0 || period < 0) return INT_MAX;
    int64_t cores = quota / period + (quota % period != 0);
    return cores < INT_MAX ? (int)cores : INT_MAX;
}

/* The file's text; "" if it cannot be read or is too long to be what it should. */
static void
read_quota_file(const char *group, const char *name, char text[QUOTA_TEXT])
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", group, name);
    ssize_t n = read_text(path, text, QUOTA_TEXT);
    if (n < 0 || n == QUOTA_TEXT - 1) text[0] = '\0';
}

static int
quota_v2(const char *group)
{
    char text[QUOTA_TEXT];
    read_quota_file(group, "cpu.max", text);
    const char *rest = text;
    int64_t quota = take_number(&rest); /* "max" is none */
    int64_t period = take_number(&rest);
    return cores_of(quota, period);
}

static int
quota_v1(const char *group)
{
    char quota_text[QUOTA_TEXT], period_text[QUOTA_TEXT];
    read_quota_file(group, "cpu.cfs_quota_us", quota_text);
    read_quota_file(group, "cpu.cfs_period_us", period_text);
    const char *quota = quota_text, *period = period_text;
    return cores_of(take_number(&quota), take_number(&period));
}

/* The least quota of the group and of all above it, in the hierarchy mounted at root/mount.  A name that does not fit
 * is too long for the kernel as well, and has no quota; those above it count. */
static int
tightest(const char *root, const char *mount, const char *group, int (*quota)(const char *group))
{
    char path[PATH_MAX];
    int top = snprintf(path, sizeof path, "%s/%s", root, mount);
    if (top < 0 || (size_t)top >= sizeof path) return INT_MAX;
    strncat(path, group, sizeof path - (size_t)top - 1);
    for (int least = INT_MAX;;) {
        least = smaller(least, quota(path));
        char *slash = strrchr(path + top, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

/* Whether the list, "cpu,cpuacct", has the controller. */
static bool
has_controller(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *c = list; c; c = strchr(c, ',')) {
        c += *c == ',';
        if (strncmp(c, name, length) == 0 && (c[length] == ',' || c[length] == '\0')) return true;
    }
    return false;
}

/* Whether the group's name leads out of the tree that can be seen: it is outside of the cgroup namespace. */
static bool
outside(const char *group)
{
    for (const char *c = group; (c = strstr(c, "/..")); c += 3)
        if (c[3] == '/' || c[3] == '\0') return true;
    return false;
}

static bool
v2_at_root(const char *root)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/cgroup.controllers", root);
    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

/* What one line of /proc/self/cgroup limits the process to.  The line is taken apart. */
static int
line_cores(char *line, const char *root)
{
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group || group[1] != '/') return INT_MAX;
    controllers++;
    *group++ = '\0';
    if (outside(group)) group = "";
    if (controllers[0] == '\0') {
        int cores = tightest(root, "", group, quota_v2);
        return v2_at_root(root) ? cores : smaller(cores, tightest(root, "unified", group, quota_v2));
    }
    if (!has_controller(controllers, "cpu")) return INT_MAX;
    return smaller(tightest(root, "cpu", group, quota_v1), tightest(root, controllers, group, quota_v1));
}

/* The variable's value; otherwise, unless it is empty or not set. */
static const char *
setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

int
weft__cgroup_cores(void)
{
    int saved_errno = errno;
    const char *root = setting("WEFT_CGROUP_ROOT", "/sys/fs/cgroup");
    char *text, *rest;
    int least = read_whole(setting("WEFT_CGROUP_SELF", "/proc/self/cgroup"), &text);
    if (least == 0) {
        least = INT_MAX;
        for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
            least = smaller(least, line_cores(line, root));
        free(text);
    }
    errno = saved_errno;
    return least;
}
