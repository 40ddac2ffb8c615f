/* sim.h - runs a program of many threads on one thread, in an order that a seed decides.
 *
 * Threads are contexts with stacks of their own.  The running one keeps its turn for a number of points (sim_seam.h: every
 * atomic operation is one), until it blocks, or until it says that it spins.  Who is next, the plan says:
 *
 *      walk    anybody who is ready, each with the same probability; a turn lasts a geometrically distributed number
 *              of points, so that every point is as likely to be followed by a switch
 *      stall   the same, but now and then the thread whose turn is over loses its core for long: it is not asked for up to
 *              some thousand points
 *      pct     whoever has the highest priority.  Priorities are random at first, and the running thread falls below all
 *              others at a few random points: Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees
 *              of Finding Bugs" (ASPLOS 2010).  A thread that spins falls as well, and one that has been ready for long
 *              rises, so that whoever is waited for comes to run
 *
 * Time is counted, not measured: each point takes a few nanoseconds, and when everybody waits it goes on to the next
 * deadline.  When everybody waits and there is no deadline, that is a deadlock. */
#ifndef WEFT_TESTS_SIM_H
#define WEFT_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_strategy { SIM_WALK, SIM_STALL, SIM_PCT };

/* What a seed says. */
struct sim_plan {
    uint64_t seed;
    enum sim_strategy strategy;
    uint32_t mean;     /* walk, stall: points of a turn */
    uint32_t stalls;   /* stall: one of so many turns ends with one, */
    uint32_t longest;  /* of so many points at most */
    uint32_t changes;  /* pct: how often a priority changes, */
    uint32_t length;   /* in so many points from the start */
    uint32_t patience; /* pct: points after which a thread that is ready rises above all others */
    uint32_t tick;     /* nanoseconds that a point takes */
    uint32_t jumps;    /* one of so many turns begins only when the next deadline has passed; 0: none */
    uint32_t spurious; /* one of so many waits returns for no reason; 0: none */
    int cores;         /* what the machine seems to have */
    int workers;       /* for WEFT_NUM_THREADS */
};

struct sim_plan sim_plan_of(uint64_t seed);
void sim_plan_text(const struct sim_plan *plan, char *text, size_t size);

struct sim_totals {
    uint64_t trace; /* a hash of who ran when */
    uint64_t points, turns;
    int64_t time;
    int threads; /* that body left behind, running or blocked */
};

/* Reserves the stacks of threads; before the first sim_run, in the parent of all. */
void sim_prepare(void);

/* Runs body(arg) as thread 0, once in a process.  Where that comes to nothing (a deadlock, say) it prints why, and where
 * each thread is, and ends the process with SIM_STUCK. */
enum { SIM_STUCK = 3 };
void sim_run(const struct sim_plan *plan, void (*body)(void *arg), void *arg, struct sim_totals *totals);

/* The rest is for sim_wrap.c and sim_weft.c: what threads do. */

enum sim_wait { SIM_FUTEX, SIM_MUTEX, SIM_CONDITION, SIM_JOIN, SIM_SLEEP };

struct worker;

struct sim_thread {
    void *sp; /* while others run */
    char *low;
    int id;
    enum { SIM_FREE, SIM_READY, SIM_BLOCKED, SIM_ENDED } state;
    int64_t priority; /* pct: the highest runs */
    uint64_t stalled; /* stall: until this point */
    uint64_t since;   /* pct: the point at which it began to be ready, or ran last */
    void *(*start)(void *arg);
    void *arg, *value; /* value: what start returned */
    bool detached;
    uint64_t ran;   /* points since it last spun, */
    unsigned spins; /* and how often in a row it has done little else */
    /* while it is blocked: */
    enum sim_wait why;
    const void *on;
    uint32_t expected; /* SIM_FUTEX: the value with which it went to sleep */
    int64_t deadline;  /* INT64_MAX: none */
    bool expired;      /* the deadline was what ended it */
    /* what belongs to a thread of the system: */
    struct worker *worker;
    struct offload *offload;
    struct scope *scope;
    int error_number;
    uint64_t fpenv;
};

/* The running thread; NULL outside of sim_run: then nothing is simulated. */
struct sim_thread *sim_self(void);

const struct sim_plan *sim_plan(void);
int64_t sim_now(void);
void sim_pass(int64_t ns);

/* True once in n, at random; n 0: never. */
bool sim_chance(uint32_t n);

/* Calls visit on each thread that has not ended. */
void sim_each(void (*visit)(const struct sim_thread *t, void *arg), void *arg);

/* NULL: no more threads. */
struct sim_thread *sim_create(void *(*start)(void *arg), void *arg);
struct sim_thread *sim_find(int id);
void sim_release(struct sim_thread *t); /* has ended, and nobody asks for its value any more */

/* Blocks the running thread; false: the deadline came first. */
bool sim_block(enum sim_wait why, const void *on, uint32_t expected, int64_t deadline);

/* Wakes up to count threads that wait for it, in a random order, and returns how many. */
int sim_wake(enum sim_wait why, const void *on, int count);

/* The running thread waits for another without saying which: it can well do without its turn. */
void sim_yield(int64_t ns);

/* It has spun for something, and got it. */
void sim_progress(void);

/* Prints what went wrong and where all threads are, and ends the process. */
_Noreturn void sim_stuck(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* sim_weft.c: what must hold when every thread is blocked.  NULL, or what does not, in words. */
const char *sim_weft_check(void);
void sim_weft_print(void);

/* sim_report.c */
void sim_report_here(void);
void sim_report_thread(const struct sim_thread *t, bool running);
void sim_report_crashes(void);

#endif
