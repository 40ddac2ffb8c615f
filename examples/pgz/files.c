/* files.c - inputs and outputs: nothing half-written ever has the final name, whatever ends the program.
 *
 * An output is written to a temporary file in its own directory, brought to disk, and then renamed.  A failure removes
 * the temporary file; so does a signal.
 *
 * Signals.  Weft's workers block asynchronous signals, so a thread of its own waits for them.  It shares the name of
 *           the temporary file with the tasks; a mutex makes creating the file and noting its name, or renaming it and
 *           forgetting the name, one step.  No task parks while it holds the mutex. */
#include "pgz.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;  /* held for the fields below, and not released by a thread that ends the program */
    const char *input;     /* what is being compressed, for the message */
    const char *temporary; /* to be removed; NULL: none */
} current = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int
failed(const char *name)
{
    complain("%s: %s", name, strerror(errno));
    return -1;
}

static int
refuse(const char *name, const char *why)
{
    complain("%s: %s", name, why);
    return -1;
}

/* --- signals ---------------------------------------------------------------------------------------------------- */

/* Removes the temporary file and ends the program by the same signal, so that the caller sees why it ended. */
static void
end_by(int sig)
{
    pthread_mutex_lock(&current.lock);
    if (current.temporary != NULL) unlink(current.temporary);
    const char *name = current.input != NULL ? current.input : "stopped";
    dprintf(STDERR_FILENO, "%spgz: %s: %s\n", isatty(STDERR_FILENO) ? "\n" : "", name, strsignal(sig));

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    signal(sig, SIG_DFL);
    raise(sig);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    _exit(128 + sig);
}

static void *
wait_for_signals(void *arg)
{
    int sig;
    if (sigwait(arg, &sig) == 0) end_by(sig);
    return NULL;
}

int
signals_catch(void)
{
    static sigset_t caught;
    const int endings[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(&caught);
    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        struct sigaction was;
        if (sigaction(endings[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN) /* as nohup and `&` leave them */
            sigaddset(&caught, endings[i]);
    }
    signal(SIGPIPE, SIG_IGN); /* so that write() says EPIPE */
    signal(SIGXFSZ, SIG_IGN); /* so that write() says EFBIG */

    pthread_t thread;
    errno = pthread_sigmask(SIG_BLOCK, &caught, NULL);
    if (errno == 0) errno = pthread_create(&thread, NULL, wait_for_signals, &caught);
    if (errno != 0) return failed("signals");
    pthread_detach(thread);
    return 0;
}

/* --- inputs ----------------------------------------------------------------------------------------------------- */

static bool
ends_in_gz(const char *name)
{
    size_t len = strlen(name);
    return len > 3 && strcmp(name + len - 3, ".gz") == 0;
}

/* An input that is going to be replaced must be a plain file that is not compressed yet. */
static int
check_replaceable(const struct input *in, const struct options *opt)
{
    if (!S_ISREG(in->st.st_mode)) return refuse(in->name, "not a regular file; use -c or -o");
    if (ends_in_gz(in->name) && !opt->force)
        return refuse(in->name, "has the suffix .gz already; use -f to compress it again");
    return 0;
}

static void
working_on(const char *name)
{
    pthread_mutex_lock(&current.lock);
    current.input = name;
    pthread_mutex_unlock(&current.lock);
}

int
input_open(struct input *in, const char *name, const struct options *opt)
{
    bool from_stdin = strcmp(name, "-") == 0;
    bool replaced = !from_stdin && !opt->to_stdout && opt->output == NULL;
    *in = (struct input){.name = from_stdin ? "standard input" : name, .fd = STDIN_FILENO, .from_stdin = from_stdin};
    working_on(in->name);
    int flags = O_RDONLY | O_CLOEXEC;
    if (replaced) flags |= O_NONBLOCK; /* a pipe without a writer is refused below, not waited for */
    if (replaced && !opt->force) flags |= O_NOFOLLOW;
    if (!from_stdin) in->fd = open(name, flags);

    int rc = 0;
    if (in->fd < 0 || fstat(in->fd, &in->st) != 0) rc = failed(in->name);
    else if (S_ISDIR(in->st.st_mode)) rc = refuse(in->name, strerror(EISDIR));
    else if (replaced) rc = check_replaceable(in, opt);
    if (rc != 0) input_close(in);
    return rc;
}

void
input_close(struct input *in)
{
    working_on(NULL);
    if (in->fd >= 0 && !in->from_stdin) close(in->fd);
}

/* --- outputs ---------------------------------------------------------------------------------------------------- */

static bool
same_file(const struct stat *a, const struct stat *b)
{
    return S_ISREG(a->st_mode) && a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int
open_stdout(struct output *out, const struct input *in, const struct options *opt)
{
    struct stat st;
    out->name = "standard output";
    out->fd = STDOUT_FILENO;
    if (isatty(out->fd) && !opt->force) return refuse(out->name, "is a terminal; use -o FILE, or -f to write there");
    if (fstat(out->fd, &st) == 0 && same_file(&st, &in->st)) return refuse(in->name, "is the output, too");
    return 0;
}

/* Creates <directory of out->path>/.pgz.<process>.<number>, and notes its name for end_by. */
static int
open_temporary(struct output *out, mode_t mode)
{
    const char *slash = strrchr(out->path, '/');
    int dir_len = slash == NULL ? 0 : (int)(slash - out->path) + 1;
    size_t size = (size_t)dir_len + 64;
    out->temporary = malloc(size);
    if (out->temporary == NULL) return failed(out->name);

    pthread_mutex_lock(&current.lock);
    unsigned number = 0;
    do {
        snprintf(out->temporary, size, "%.*s.pgz.%ld.%u", dir_len, out->path, (long)getpid(), number);
        out->fd = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    } while (out->fd < 0 && errno == EEXIST && ++number < 1000);
    if (out->fd >= 0) current.temporary = out->temporary;
    pthread_mutex_unlock(&current.lock);
    return out->fd < 0 ? failed(out->name) : 0;
}

/* Opens a temporary file beside out->path; or, if -o names a device or a pipe, that itself. */
static int
open_path(struct output *out, const struct input *in)
{
    struct stat st;
    mode_t mode = out->beside ? in->st.st_mode & 0777 : 0666;
    if (stat(out->path, &st) != 0) return errno == ENOENT ? open_temporary(out, mode) : failed(out->name);
    if (S_ISDIR(st.st_mode)) return refuse(out->name, strerror(EISDIR));
    if (!S_ISREG(st.st_mode) && !out->beside) {
        out->fd = open(out->path, O_WRONLY | O_CLOEXEC);
        return out->fd < 0 ? failed(out->name) : 0;
    }
    if (same_file(&st, &in->st)) return refuse(in->name, "is the output, too");
    if (!out->force) return refuse(out->name, "exists already; use -f to replace it");
    return open_temporary(out, mode);
}

int
output_open(struct output *out, const struct input *in, const struct options *opt)
{
    *out = (struct output){.fd = -1, .force = opt->force};
    bool dash = opt->output != NULL && strcmp(opt->output, "-") == 0;
    if (opt->to_stdout || dash || (in->from_stdin && opt->output == NULL)) return open_stdout(out, in, opt);

    out->beside = opt->output == NULL;
    const char *base = out->beside ? in->name : opt->output;
    size_t size = strlen(base) + sizeof(".gz");
    out->path = malloc(size);
    if (out->path == NULL) return failed(base);
    snprintf(out->path, size, "%s%s", base, out->beside ? ".gz" : "");
    out->name = out->beside ? out->path : opt->output;
    int rc = open_path(out, in);
    if (rc != 0) output_discard(out);
    return rc;
}

/* The owner may not be ours to give.  That is no failure; nor is a file system that cannot keep the rest. */
static void
copy_attributes(const struct output *out, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    bool kept = fchown(out->fd, st->st_uid, st->st_gid) == 0 || errno == EPERM;
    kept = fchmod(out->fd, st->st_mode & 0777) == 0 && kept;
    kept = futimens(out->fd, times) == 0 && kept;
    if (!kept) complain("%s: warning: has not the owner, mode and times of the input", out->name);
}

/* Gives the temporary file its final name.  Without -f it replaces nothing, not even what appeared meanwhile: link()
 * sees to that, where the file system has links. */
static int
publish(struct output *out)
{
    int rc = -1;
    pthread_mutex_lock(&current.lock);
    bool no_links = out->force;
    if (!out->force) {
        rc = link(out->temporary, out->path);
        no_links = rc != 0 && (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS);
        if (rc == 0) unlink(out->temporary);
    }
    if (no_links) rc = rename(out->temporary, out->path);
    if (rc == 0) current.temporary = NULL;
    pthread_mutex_unlock(&current.lock);
    return rc;
}

/* A name is safe on disk when its directory is.  File systems that cannot do this say EINVAL. */
static int
sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    if (dir == NULL) return -1;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (fd < 0) return errno == EACCES ? 0 : -1; /* a directory that may be written to and not read */
    int rc = fsync(fd);
    if (rc != 0 && errno == EINVAL) rc = 0;
    close(fd);
    return rc;
}

static void
forget(struct output *out)
{
    free(out->temporary);
    free(out->path);
    *out = (struct output){.fd = -1};
}

int
output_commit(struct output *out, const struct input *in)
{
    if (out->beside) copy_attributes(out, &in->st);
    int rc = out->temporary != NULL ? fsync(out->fd) : 0;
    if (rc == 0 && out->fd != STDOUT_FILENO) {
        rc = close(out->fd);
        out->fd = -1;
    }
    if (rc == 0 && out->temporary != NULL) {
        rc = publish(out);
        if (rc == 0) rc = sync_directory(out->path);
    }
    if (rc != 0) {
        failed(out->name);
        output_discard(out);
        return -1;
    }
    forget(out);
    return 0;
}

void
output_discard(struct output *out)
{
    if (out->fd >= 0 && out->fd != STDOUT_FILENO) close(out->fd);
    pthread_mutex_lock(&current.lock);
    if (current.temporary != NULL) unlink(current.temporary);
    current.temporary = NULL;
    pthread_mutex_unlock(&current.lock);
    forget(out);
}
