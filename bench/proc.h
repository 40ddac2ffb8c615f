/* proc.h - how much memory there is, and how much of it the process has: as /proc says. */
#ifndef PROC_H
#define PROC_H

#include "bench.h"

enum { PROC_BYTES_EACH = 8 << 10 /* of memory to be there for each of many tasks, with a margin */ };

/* A value in kB of a file in /proc; 0: it is not there. */
static inline double
kilobytes(const char *path, const char *key)
{
    char line[256];
    double kb = 0;
    FILE *f = fopen(path, "r");
    if (!f) bench_fail("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) kb = atof(line + strlen(key));
    fclose(f);
    return kb;
}

/* What this process keeps in memory: its pages, and the tables for them. */
static inline double
resident(void)
{
    const char *status = "/proc/self/status";
    return (kilobytes(status, "VmRSS:") + kilobytes(status, "VmPTE:")) * 1024;
}

/* Bytes that there are without moving anything out of memory; without such a line, as many as anybody wants. */
static inline double
available(void)
{
    double kb = kilobytes("/proc/meminfo", "MemAvailable:");
    return kb > 0 ? kb * 1024 : 1e300;
}

/* As many as are asked for, or as there is memory for. */
static inline size_t
affordable(size_t n)
{
    double bytes = available();
    while ((double)n * PROC_BYTES_EACH > bytes && n > 1000) n /= 2;
    return n;
}

#endif
