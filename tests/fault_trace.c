/* fault_trace.c - traces, with faults: no file, no room in it, no memory for what has not been written. */
#include "fault_kit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { F_TRACE = F_MALLOC | F_OPEN | F_WRITE | F_ATFORK, TASKS = 400 };

static int file;
static _Atomic int runs;

static int
step(void *arg)
{
    (void)arg;
    weft_yield();
    atomic_fetch_add(&runs, 1);
    return 0;
}

/* The fault's own code, or 0. */
static bool
explained(int rc)
{
    return rc == 0 || (fault_count() > 0 && rc == -fault_current()->error);
}

/* May it have been something else that failed, a stack or a queue? */
static bool
others(void)
{
    return fault_current()->calls & ~(unsigned)F_TRACE;
}

static bool
went_well(int rc)
{
    return others() ? fault_may(rc) : FAULT_CHECK(rc == 0);
}

/* Is the file an array, as far as its ends go? */
static bool
whole(void)
{
    char text[2];
    off_t size = lseek(file, 0, SEEK_END);
    return size > 4 && pread(file, text, 2, 0) == 2 && memcmp(text, "[\n", 2) == 0 &&
           pread(file, text, 2, size - 2) == 2 && memcmp(text, "]\n", 2) == 0;
}

/* A trace of tasks, which do what they do whether or not it can be written; whoever ends it is told. */
static int
traced(void *arg)
{
    char path[32];
    int ended = 0;
    (void)arg;
    atomic_store(&runs, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    fault_arm();
    int rc = weft_trace_start(path);
    FAULT_CHECK(explained(rc));
    for (int i = 0; i < TASKS; i++) {
        weft_task *t = NULL;
        if (went_well(weft_spawn(&t, step, NULL)) && went_well(weft_join(t))) ended++;
    }
    int stopped = weft_trace_stop();
    fault_disarm();
    FAULT_CHECK(atomic_load(&runs) == ended);
    if (rc < 0) FAULT_CHECK(stopped == WEFT_ENOENT);
    else FAULT_CHECK(explained(stopped) && (stopped < 0 || fault_count() == 0 || others()));
    if (rc == 0 && stopped == 0) FAULT_CHECK(whole() && !fault_said("the trace is not whole"));
    if (rc == 0 && stopped < 0 && fault_current()->calls != F_WRITE)
        FAULT_CHECK(whole() && fault_said("the trace is not whole"));
    FAULT_CHECK(weft_trace_stop() == WEFT_ENOENT);
    return 0;
}

FAULT_SCENARIO(trace, F_TRACE, "trace: tasks run as ever, and whoever stops the trace is told what is missing")
{
    file = memfd_create("trace", MFD_CLOEXEC);
    if (!FAULT_CHECK(file >= 0)) return;
    fault_on_task(2, 0, traced);
    close(file);
}
