/*
 * trace.c - a trace of what each worker does: its file, and who may write there.  [layer 4]
 *
 * A worker appends its events to a track of its own, as text, and when that is full, to the file, in one piece: nobody waits for
 * anybody else but for the length of one write, memory is bounded, and nothing is thrown away.  A lock per track lets
 * weft_trace_stop finish those of workers that run, or sleep.
 *
 *      worker                                    weft_trace_stop
 *      E1  lock the track                        S1  current = 0
 *      E2  current == 0: unlock, nothing         S2  for each track: lock it, end what is open, write it, unlock
 *      E3  current is another trace: begin anew  S3  the last event; close
 *      E4  the event; full: write
 *      E5  unlock
 *
 * Invariant.  After S2 no event of this trace comes to be in a track: E1 comes after the unlock, so E2 sees S1; or it came before
 * the lock, so S2 writes it.  A track of a worker that is not traced yet is made under the lock of the list, which S1 to S3
 * hold: it is in the list, or its maker sees S1.
 *
 * The file is an array of events.  An array that lacks its end is read nevertheless, by Perfetto and Chrome; so what there is of a
 * process that died is good.  Where the runtime stops, or writing has failed, the last event and the bracket are written behind what
 * is there in whole pieces; what comes later replaces them.  A piece that was not written whole is cut off again.
 *
 * Errors.  The first is kept for weft_trace_stop; from then on events are counted, not kept.
 *
 * fork.  The child has the descriptor, and the parent's offset with it: it forgets both.  exit() stops the trace.
 *
 * Order of locks: trace.lock, a track's lock, trace.file.lock.
 *
 * Rejected.  Events in binary, that a thread turns into text: names and addresses would have to be kept until then, and a thread that
 * falls behind has to throw events away.  A ring that keeps the last events: which are wanted is not known, and a file is large.
 */
#include "trace.h"

#include "clock.h"
#include "hook.h"
#include "panic.h"
#include "watch.h"

#include <weft/debug.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    pthread_mutex_t lock;
    int fd;
    int pid;
    bool regular;      /* what has been written can be replaced */
    bool ended;        /* the last event follows `size` */
    off_t size;        /* of what is there in whole pieces */
    _Atomic int error; /* errno of the first write that failed, or 0 */
};

static struct {
    pthread_mutex_t lock;     /* guards starting and stopping, and the list */
    struct list tracks;       /* of workers, old ones too */
    uint32_t count;           /* traces until today */
    bool watches;             /* fork and exit are seen */
    _Atomic uint32_t current; /* the trace that is being written, or 0 */
    _Atomic uint64_t dropped; /* events of this one that could not be kept, or not be written */
    struct file file;         /* of the current trace */
} trace = {.lock = PTHREAD_MUTEX_INITIALIZER, .file = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1}};

/* ---- The file ---------------------------------------------------------------------------------------------------------- */

/* 0, or errno. */
static int
write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno != EINTR) return errno;
        if (n <= 0) continue;
        text += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Takes away what follows the whole pieces.  Under the file's lock, as the next two. */
static int
cut(struct file *f)
{
    f->ended = false;
    if (!f->regular) return 0;
    return ftruncate(f->fd, f->size) < 0 || lseek(f->fd, f->size, SEEK_SET) < 0 ? errno : 0;
}

static int
append(struct file *f, const char *text, size_t size)
{
    int error = f->ended ? cut(f) : 0;
    if (error == 0) error = write_all(f->fd, text, size);
    if (error == 0) f->size += (off_t)size;
    else (void)cut(f);
    return error;
}

/* Makes the file whole; what is written next begins where it ends now. */
static void
end_file(struct file *f)
{
    char text[256];
    size_t n = weft__trace_last(text, sizeof text, f->pid, load_relaxed(&trace.dropped)); /* relaxed: nobody adds */
    int error = f->ended ? cut(f) : 0;
    if (error == 0) error = write_all(f->fd, text, n);
    f->ended = true;
    if (error != 0 && load_relaxed(&f->error) == 0) store_relaxed(&f->error, error); /* relaxed: under the lock */
}

/* Writes what k holds, whose lock the caller has. */
static weft__noinline void
flush(struct track *k)
{
    struct file *f = &trace.file;
    int saved = errno;
    pthread_mutex_lock(&f->lock);
    int error = load_relaxed(&f->error); /* relaxed: under the lock */
    if (error == 0 && k->used > 0) {
        error = append(f, k->text, k->used);
        store_relaxed(&f->error, error); /* relaxed: who reads it late has a few events more to count here */
    }
    if (error != 0) add_relaxed(&trace.dropped, k->events); /* relaxed: added up */
    pthread_mutex_unlock(&f->lock);
    k->used = 0;
    k->events = 0;
    errno = saved;
}

/* ---- Tracks ------------------------------------------------------------------------------------------------------------ */

/* A track for w; NULL: nothing is traced any more, or there is no memory. */
static weft__noinline struct track *
attach(struct worker *w)
{
    int saved = errno;
    pthread_mutex_lock(&trace.lock);
    bool traced = load_relaxed(&trace.current) != 0; /* relaxed: under the lock */
    struct track *k = traced && !weft__hook_fail() ? malloc(sizeof *k) : NULL;
    if (k) {
        memset(k, 0, offsetof(struct track, text));
        pthread_mutex_init(&k->lock, NULL);
        k->worker = w->id;
        weft__list_append(&trace.tracks, &k->node);
        w->track = k;
    } else if (traced) {
        add_relaxed(&trace.dropped, 1); /* relaxed: added up */
    }
    pthread_mutex_unlock(&trace.lock);
    errno = saved;
    return k;
}

struct track *
weft__trace_lock(struct worker *w)
{
    struct track *k = w->track ? w->track : attach(w);
    if (!k) return NULL;
    pthread_mutex_lock(&k->lock);                    /* E1 */
    uint32_t current = load_acquire(&trace.current); /* E2: acquire: pairs with start; of S1, the lock orders it */
    if (weft__unlikely(current != k->trace && current != 0)) { /* 0: S2 has still to write what is there */
        k->trace = current;
        weft__trace_open(k, trace.file.pid); /* E3 */
    }
    bool lost = current != 0 && load_relaxed(&trace.file.error) != 0; /* relaxed: see flush */
    if (lost) add_relaxed(&trace.dropped, 1);                         /* relaxed: added up */
    if (current != 0 && !lost) {
        (void)weft__trace_room(k);
        return k;
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

void
weft__trace_unlock(struct track *k)
{
    pthread_mutex_unlock(&k->lock);
}

bool
weft__trace_room(struct track *k)
{
    if (weft__likely(k->used <= TRACK_TEXT - TRACK_BATCH_MOST)) return false;
    int64_t since = weft__clock_now();
    flush(k);
    weft__trace_wrote(k, since);
    return true;
}

/* S2, and the same of a worker that goes away: what is open ends.  Under the list's lock. */
static void
finish(struct track *k)
{
    pthread_mutex_lock(&k->lock);
    if (k->trace != 0 && k->trace == trace.count) {
        weft__trace_close(k);
        flush(k);
    }
    k->trace = 0;
    pthread_mutex_unlock(&k->lock);
}

void
weft__trace_retire(struct worker *w)
{
    struct track *k = w->track;
    if (!k) return;
    pthread_mutex_lock(&trace.lock);
    if (load_relaxed(&trace.current) != 0) finish(k); /* relaxed: under the lock */
    weft__list_remove(&trace.tracks, &k->node);
    pthread_mutex_unlock(&trace.lock);
    pthread_mutex_destroy(&k->lock);
    free(k);
    w->track = NULL;
}

void
weft__trace_pause(void)
{
    int saved = errno;
    pthread_mutex_lock(&trace.lock);
    if (load_relaxed(&trace.current) != 0 && trace.file.regular) { /* relaxed: under the lock */
        pthread_mutex_lock(&trace.file.lock);
        end_file(&trace.file);
        pthread_mutex_unlock(&trace.file.lock);
    }
    pthread_mutex_unlock(&trace.lock);
    errno = saved;
}

/* ---- Start and stop ---------------------------------------------------------------------------------------------------- */

static void
at_exit(void)
{
    (void)weft_trace_stop();
}

/* The parent goes on writing; the child has one thread, which is no worker. */
static void
after_fork(void)
{
    pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    trace.lock = unlocked;
    trace.file.lock = unlocked;
    if (trace.file.fd >= 0) close(trace.file.fd);
    trace.file.fd = -1;
    store_relaxed(&trace.current, 0);         /* relaxed: one thread */
    trace.tracks = (struct list){NULL, NULL}; /* their workers are not there */
    weft__watch_set(WATCH_TRACE, false);
}

/* Under the list's lock, as the next. */
static int
watch(void)
{
    if (trace.watches) return 0;
    if (pthread_atfork(NULL, NULL, after_fork) != 0) return WEFT_ENOMEM;
    if (atexit(at_exit) != 0) return WEFT_ENOMEM; /* tried again, the other is there twice, which does no harm */
    trace.watches = true;
    return 0;
}

static int
start(const char *path)
{
    struct file *f = &trace.file;
    struct stat info;
    char text[256];
    if (load_relaxed(&trace.current) != 0) return WEFT_EBUSY; /* relaxed: under the lock */
    int rc = watch();
    if (rc < 0) return rc;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return -errno;
    f->fd = fd;
    f->pid = (int)getpid();
    f->regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    f->ended = false;
    f->size = 0;
    store_relaxed(&f->error,
                  append(f, text, weft__trace_first(text, sizeof text, f->pid))); /* relaxed: under the lock */
    store_relaxed(&trace.dropped, 0);                                             /* relaxed: as above */
    store_release(&trace.current, ++trace.count); /* release: pairs with E2: the file is seen */
    weft__watch_set(WATCH_TRACE, true);
    return 0;
}

int
weft_trace_start(const char *path)
{
    if (!path) return WEFT_EINVAL;
    int saved = errno;
    pthread_mutex_lock(&trace.lock);
    int rc = start(path);
    pthread_mutex_unlock(&trace.lock);
    errno = saved;
    return rc;
}

/* 0, or errno of what failed first. */
static int
stop(void)
{
    struct file *f = &trace.file;
    weft__watch_set(WATCH_TRACE, false);
    store_relaxed(&trace.current, 0); /* S1: relaxed: each track's lock orders it */
    for (struct list_node *n = trace.tracks.head; n; n = n->next)
        finish(weft__container(n, struct track, node)); /* S2 */
    pthread_mutex_lock(&f->lock);
    end_file(f);                         /* S3 */
    int error = load_relaxed(&f->error); /* relaxed: under the lock */
    if (close(f->fd) < 0 && error == 0) error = errno;
    f->fd = -1;
    pthread_mutex_unlock(&f->lock);
    return error;
}

int
weft_trace_stop(void)
{
    int saved = errno;
    pthread_mutex_lock(&trace.lock);
    bool traced = load_relaxed(&trace.current) != 0; /* relaxed: under the lock */
    int error = traced ? stop() : 0;
    uint64_t dropped = load_relaxed(&trace.dropped); /* relaxed: nobody adds any more */
    pthread_mutex_unlock(&trace.lock);
    if (traced && error == 0 && dropped > 0) error = ENOMEM;
    if (error != 0)
        weft__warn("the trace is not whole, %llu events are missing: %s", (unsigned long long)dropped, strerror(error));
    errno = saved;
    return traced ? -error : WEFT_ENOENT;
}
