/* pgz.h - what the three files of pgz know of each other. */
#ifndef PGZ_H
#define PGZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct options {
    bool to_stdout, keep, force, quiet, verbose;
    const char *output; /* NULL: FILE.gz beside FILE */
    int level;          /* 1 .. 9 */
    int workers;        /* 0: one per usable core */
    size_t compressors; /* 0: one per worker */
    size_t block;       /* bytes, at least the 32 KiB that deflate looks back */
};

/* pgz.c: the command line, and what the terminal shows. */

/* Prints `pgz: ` and the text as one line to stderr, below no half-drawn progress bar. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The bar for one file of size bytes (0: unknown), shown on a terminal only.  One task at a time may call these. */
void progress_begin(const char *name, uint64_t size);
void progress_update(uint64_t done);
void progress_end(void);

/* files.c: inputs, outputs and signals.  What returns int returns 0, or -1 after a complaint. */

struct input {
    const char *name; /* as messages show it */
    int fd;
    struct stat st;
    bool from_stdin;
};

struct output {
    const char *name; /* as messages show it */
    int fd;
    char *path;      /* the final name; NULL: standard output */
    char *temporary; /* in the same directory; what is written until output_commit.  NULL: path is a device, or NULL */
    bool beside;     /* takes over the mode, owner and times of the input */
    bool force;      /* may replace what has the final name */
};

/* Makes SIGINT, SIGTERM and SIGHUP remove the temporary file before they end the program.  Called before any thread is
 * started: it blocks them everywhere else. */
int signals_catch(void);

int input_open(struct input *in, const char *name, const struct options *opt);
void input_close(struct input *in);

/* Opens where the output for in goes: standard output, a device, or a temporary file. */
int output_open(struct output *out, const struct input *in, const struct options *opt);

/* The output is complete: safe on disk, and under its final name, in one step.  Closes it. */
int output_commit(struct output *out, const struct input *in);

/* The output is not wanted: no trace of it stays.  Closes it. */
void output_discard(struct output *out);

/* pipeline.c: the compression. */

struct job {
    int in, out;
    const char *in_name, *out_name; /* for messages */
    uint64_t in_size;               /* bytes to expect; 0: unknown */
    int level;
    size_t block, compressors;    /* 0 compressors: one per worker */
    uint64_t bytes_in, bytes_out; /* the result */
};

/* Compresses all of job->in to job->out as one gzip member.  Called from a task.  Returns 0, or a negative code after a
 * complaint. */
int pipeline_run(struct job *job);

#endif
