/* wait_timeout.c - waits for a set of tasks with a timeout, then cancels the rest and waits until they are really gone.
 *
 * Eight numbers are to be factored.  Five fall at once; the others are products of two primes near 2^32.  When the time is
 * over, and enough answers are there, the rest is cancelled: that is a wish, which each task notices at its next
 * cancellation point.  Closing the scope waits until all of them have returned, so that nothing touches the jobs in this
 * frame any more.  Where nothing is to be done in between, a deadline for the scope would do:
 * weft_scope_open(&s, 0, weft_in(...)). */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

enum { JOBS = 8, ENOUGH = 5 };

struct job {
    uint64_t number, factor;
    atomic_int *answers;
    bool gone;
};

static int
factor(struct job *j)
{
    int code = 0;
    for (uint64_t d = 2; d <= UINT32_MAX && code == 0; d++) {
        if (j->number % d == 0) {
            j->factor = d;
            atomic_fetch_add(j->answers, 1);
            return 0;
        }
        if (d % 4096 == 0) code = weft_sleep(0); /* gives the others a turn, and notices a cancellation */
    }
    return code;
}

static int
work(void *arg)
{
    struct job *j = arg;
    int code = factor(j);
    j->gone = true; /* the last thing that it does */
    return code;
}

static int
answer(struct job *jobs)
{
    atomic_int answers = 0;
    weft_scope s;
    int code = 0;

    weft_scope_open(&s, 0, WEFT_FOREVER);
    for (int i = 0; i < JOBS && code == 0; i++) {
        jobs[i].answers = &answers;
        code = weft_spawn(NULL, work, &jobs[i]);
    }
    while (code == 0) {
        code = weft_scope_wait_until(&s, weft_in(100 * WEFT_MS));
        if (code == WEFT_ETIMEDOUT && atomic_load(&answers) < ENOUGH) code = 0; /* a slow day: once more */
        else break;
    }
    if (code == WEFT_ETIMEDOUT) {
        weft_scope_cancel(&s, 0); /* 0: that is no error, and closing will not call it one */
        code = 0;
    }
    return weft_scope_close(&s, code);
}

static int
root(void *arg)
{
    (void)arg;
    struct job jobs[JOBS] = {{.number = 1000000007 * UINT64_C(2)},
                             {.number = 4294967291 * UINT64_C(4294967279)},
                             {.number = 600851475143},
                             {.number = 4294967279 * UINT64_C(4294967231)},
                             {.number = 10007 * UINT64_C(1000003)},
                             {.number = 4294967231 * UINT64_C(4294967291)},
                             {.number = 65537 * UINT64_C(65537)},
                             {.number = 6700417 * UINT64_C(641)}};
    int code = answer(jobs), gone = 0;
    for (int i = 0; i < JOBS; i++) {
        if (jobs[i].factor) printf("%" PRIu64 " = %" PRIu64 " * ...\n", jobs[i].number, jobs[i].factor);
        else printf("%" PRIu64 ": no answer in time\n", jobs[i].number);
        gone += jobs[i].gone;
    }
    printf("still running: %d\n", JOBS - gone);
    return code;
}

int
main(void)
{
    return weft_run(NULL, root, NULL) < 0;
}
