/* test_tls.c - the worker is looked up anew after a switch: the compiler keeps nothing of the call before. */
#include "test.h"

#include "tls.h"

#include <weft.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Not inlined: it looks up the worker itself. */
static __attribute__((noinline)) void
yield_elsewhere(void)
{
    weft_yield();
}

__attribute__((noinline, used)) bool
test_tls_same_worker(void)
{
    struct worker *before = weft__worker();
    yield_elsewhere();
    return weft__worker() == before;
}

TASK_TEST(tls, worker, "tls: a task has a worker, also after a yield")
{
    CHECK(weft__worker() != NULL);
    (void)test_tls_same_worker();
    CHECK(weft__worker() != NULL);
}

static void *
outside(void)
{
    return weft__worker();
}

TEST(tls, outside, "tls: a plain thread has none")
{
    CHECK(outside() == NULL);
}

TEST(tls, called_again, "tls: in the compiled code the look-up is called again after a switch")
{
    int calls = 0, lines = 0;
    char line[512], path[512], command[768];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1); /* $PPID's may be an emulator's */
    if (!CHECK(length > 0)) return;
    path[length] = '\0';
    snprintf(command, sizeof command,
             "objdump=${OBJDUMP:-objdump}; command -v $objdump >/dev/null && "
             "exec $objdump -d --disassemble=test_tls_same_worker '%s' 2>/dev/null",
             path);
    FILE *f = popen(command, "r");
    if (!CHECK(f != NULL)) return;
    for (; fgets(line, sizeof line, f); lines++) { /* by name, or through a register */
        calls += strstr(line, "call") && (strstr(line, "<weft__worker>") || strstr(line, "*%r") || strstr(line, "blr"));
        calls += (strstr(line, "bl\t") || strstr(line, "jal\t")) && strstr(line, "<weft__worker>");
    }
    pclose(f);
    if (lines > 10) CHECK_INT(calls, 2); /* fewer lines: no objdump here */
}
