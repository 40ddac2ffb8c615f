/* pipeline.c - a stream through tasks and channels: read, compress in parallel, write in order.
 *
 *                filled                    packed
 *      reader ------------> compressors ------------> writer
 *         ^                 (one per worker)             |
 *         +------------------- empty <-------------------+
 *
 * Blocks.   A fixed number of blocks goes round.  Who took a block from a channel owns it until it puts it into the
 *           next one.  Every channel has room for all of them, so that a put never parks: the reader waits for an empty
 *           block, and that bounds the memory, however slow the output is.
 * Order.    Compressors finish in any order.  A block has a number, and the writer sets aside what comes early: the
 *           numbers on the way differ by less than the number of blocks, so number % nblocks is a place of its own.
 * Format.   Each block is deflated by itself, with the 32 KiB before it as its dictionary, and ends on a byte (sync
 *           flush); the last one ends the stream.  So they can be joined, and who compressed which leaves no trace.
 * End.      The reader closes `filled` behind the last block: the compressors end.  The writer knows the last block.
 * Failure.  A task that fails closes every channel with its code; the others meet it in their next put or take, and
 *           return.  Only the task that failed first hand has given a text to weft_fail. */
#include "pgz.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>
#include <zlib.h>

enum {
    HISTORY = 32768,       /* how far deflate looks back */
    BLOCKS_PER_WORKER = 4, /* one in work, the rest on the way, so that nobody waits for the writer */
    SLACK = 64             /* what a sync flush may add to compressBound, generously */
};

struct block {
    size_t number; /* place in the file, from 0 */
    bool last;
    size_t history_len; /* 0 or HISTORY */
    size_t len;
    size_t packed_len, packed_size;
    uLong crc;              /* of data */
    unsigned char *history; /* history_len bytes: what the file has before data */
    unsigned char *data;    /* len bytes, room for job->block */
    unsigned char *packed;  /* packed_len bytes, room for packed_size */
};

struct pipeline {
    struct job *job;
    weft_channel *empty, *filled, *packed; /* of struct block * */
    size_t nblocks, ntasks, ncompressors;
    struct block *blocks;
    struct block **early;   /* the writer's: nblocks places for packed blocks that cannot be written yet */
    unsigned char *history; /* the reader's: the end of the block before */
    weft_task **tasks;      /* ncompressors + 2 of them, when all have been spawned */
};

/* --- input and output ------------------------------------------------------------------------------------------- */

static int
system_failed(const char *name)
{
    int error = errno;
    return weft_fail(-error, "%s: %s", name, strerror(error));
}

/* After a read or write that returned -1: is it worth another attempt?  Waits for fd if it is in non-blocking mode. */
static bool
try_again(int fd, short events)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        struct pollfd p = {.fd = fd, .events = events};
        return poll(&p, 1, -1) >= 0 || errno == EINTR;
    }
    return errno == EINTR;
}

/* Reads until buf is full or the input ends. */
static int
read_full(const struct job *job, unsigned char *buf, size_t size, size_t *len)
{
    for (*len = 0; *len < size;) {
        ssize_t n = read(job->in, buf + *len, size - *len);
        if (n == 0) return 0;
        if (n > 0) *len += (size_t)n;
        else if (!try_again(job->in, POLLIN)) return system_failed(job->in_name);
    }
    return 0;
}

static int
write_full(struct job *job, const unsigned char *buf, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(job->out, buf + done, len - done);
        if (n == 0) errno = EIO; /* accepts nothing and gives no reason */
        if (n > 0) done += (size_t)n;
        else if (n == 0 || !try_again(job->out, POLLOUT)) return system_failed(job->out_name);
    }
    job->bytes_out += len;
    return 0;
}

/* --- the stages ------------------------------------------------------------------------------------------------- */

/* Every stage ends with this: a failure takes the others along. */
static int
stage_ended(struct pipeline *p, int code)
{
    if (code < 0) {
        weft_channel_close(p->empty, code);
        weft_channel_close(p->filled, code);
        weft_channel_close(p->packed, code);
    }
    return code;
}

/* Fills b with the next bytes of the input, and what preceded them. */
static int
fill(struct pipeline *p, struct block *b, size_t number)
{
    int rc = read_full(p->job, b->data, p->job->block, &b->len);
    if (rc < 0) return rc;
    b->number = number;
    b->last = b->len < p->job->block;
    b->history_len = number == 0 ? 0 : HISTORY;
    memcpy(b->history, p->history, b->history_len);
    if (!b->last) memcpy(p->history, b->data + b->len - HISTORY, HISTORY);
    return 0;
}

static int
read_blocks(struct pipeline *p)
{
    bool last = false;
    for (size_t number = 0; !last; number++) {
        struct block *b;
        int rc = weft_channel_take(p->empty, &b);
        if (rc == 0) rc = fill(p, b, number);
        if (rc < 0) return rc;
        last = b->last; /* once it is put, the block is somebody else's */
        rc = weft_channel_put(p->filled, &b);
        if (rc < 0) return rc;
    }
    weft_channel_close(p->filled, 0);
    return 0;
}

static int
reader(void *arg)
{
    struct pipeline *p = arg;
    return stage_ended(p, read_blocks(p));
}

static int
zlib_failed(const struct pipeline *p, int rc)
{
    return weft_fail(rc == Z_MEM_ERROR ? WEFT_ENOMEM : WEFT_EINVAL, "%s: zlib: %s", p->job->in_name, zError(rc));
}

/* Makes room behind what has been packed so far.  Seldom called: what make_block allots is nearly always enough. */
static int
grow_packed(const struct pipeline *p, struct block *b)
{
    size_t size = b->packed_size + b->packed_size / 4 + SLACK;
    unsigned char *packed = realloc(b->packed, size);
    if (packed == NULL) return weft_fail(WEFT_ENOMEM, "%s: %s", p->job->in_name, strerror(ENOMEM));
    b->packed = packed;
    b->packed_size = size;
    return 0;
}

/* Deflates all of b, to an end on a byte. */
static int
deflate_all(const struct pipeline *p, z_stream *z, struct block *b)
{
    z->next_in = b->data;
    z->avail_in = (uInt)b->len;
    b->packed_len = 0;
    do {
        if (b->packed_len == b->packed_size) {
            int rc = grow_packed(p, b);
            if (rc < 0) return rc;
        }
        z->next_out = b->packed + b->packed_len;
        z->avail_out = (uInt)(b->packed_size - b->packed_len);
        int rc = deflate(z, b->last ? Z_FINISH : Z_SYNC_FLUSH);
        if (rc == Z_STREAM_ERROR) return zlib_failed(p, rc);
        b->packed_len = b->packed_size - z->avail_out;
    } while (z->avail_out == 0);
    return 0;
}

static int
compress_block(const struct pipeline *p, z_stream *z, struct block *b)
{
    int rc = deflateReset(z);
    if (rc == Z_OK && b->history_len > 0) rc = deflateSetDictionary(z, b->history, (uInt)b->history_len);
    if (rc != Z_OK) return zlib_failed(p, rc);
    b->crc = crc32(0, b->data, (uInt)b->len);
    return deflate_all(p, z, b);
}

static int
compress_blocks(struct pipeline *p)
{
    z_stream z = {0};
    int rc = deflateInit2(&z, p->job->level, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    if (rc != Z_OK) return zlib_failed(p, rc);
    struct block *b;
    weft_channel_each(p->filled, b) {
        rc = compress_block(p, &z, b);
        if (rc == 0) rc = weft_channel_put(p->packed, &b);
        if (rc < 0) break;
        weft_yield(); /* the next block takes milliseconds: the writer, just woken on this worker, goes first */
    }
    deflateEnd(&z);
    return rc;
}

static int
compressor(void *arg)
{
    struct pipeline *p = arg;
    return stage_ended(p, compress_blocks(p));
}

/* No name and no time: the same bytes for the same input. */
static int
write_header(struct pipeline *p)
{
    unsigned char extra = p->job->level == 9 ? 2 : p->job->level == 1 ? 4 : 0;
    const unsigned char header[10] = {0x1f, 0x8b, Z_DEFLATED, 0, 0, 0, 0, 0, extra, 3 /* Unix */};
    return write_full(p->job, header, sizeof(header));
}

static int
write_trailer(struct pipeline *p, uLong crc)
{
    unsigned char trailer[8];
    uint32_t words[2] = {(uint32_t)crc, (uint32_t)p->job->bytes_in};
    for (size_t i = 0; i < sizeof(trailer); i++) trailer[i] = (unsigned char)(words[i / 4] >> 8 * (i % 4));
    return write_full(p->job, trailer, sizeof(trailer));
}

/* Writes b and gives it back to the reader. */
static int
write_block(struct pipeline *p, struct block *b, uLong *crc)
{
    int rc = write_full(p->job, b->packed, b->packed_len);
    if (rc < 0) return rc;
    *crc = crc32_combine(*crc, b->crc, (z_off_t)b->len);
    p->job->bytes_in += b->len;
    progress_update(p->job->bytes_in);
    return weft_channel_put(p->empty, &b);
}

static int
write_blocks(struct pipeline *p)
{
    uLong crc = crc32(0, Z_NULL, 0);
    bool last = false;
    int rc = write_header(p);
    for (size_t next = 0; rc == 0 && !last;) {
        struct block *b;
        rc = weft_channel_take(p->packed, &b);
        if (rc < 0) return rc;
        p->early[b->number % p->nblocks] = b;
        while (rc == 0 && (b = p->early[next % p->nblocks]) != NULL) {
            p->early[next++ % p->nblocks] = NULL;
            last = b->last;
            rc = write_block(p, b, &crc);
        }
    }
    return rc < 0 ? rc : write_trailer(p, crc);
}

static int
writer(void *arg)
{
    struct pipeline *p = arg;
    return stage_ended(p, write_blocks(p));
}

/* --- putting it together ---------------------------------------------------------------------------------------- */

/* One compressor per worker, or as many as are asked for; fewer if the input is known to have fewer blocks. */
static size_t
count_compressors(const struct job *job)
{
    int workers = weft_nworkers();
    size_t n = job->compressors ? job->compressors : workers > 0 ? (size_t)workers : 1;
    uint64_t blocks = job->in_size / job->block + 1;
    return job->in_size > 0 && blocks < n ? (size_t)blocks : n;
}

static int
make_block(const struct pipeline *p, struct block *b)
{
    b->packed_size = compressBound((uLong)p->job->block) + SLACK;
    b->history = malloc(HISTORY);
    b->data = malloc(p->job->block);
    b->packed = malloc(b->packed_size);
    if (b->history == NULL || b->data == NULL || b->packed == NULL) return WEFT_ENOMEM;
    return weft_channel_put(p->empty, &b);
}

static int
make_channels(struct pipeline *p)
{
    int rc = weft_channel_new(&p->empty, sizeof(struct block *), p->nblocks);
    if (rc == 0) rc = weft_channel_new(&p->filled, sizeof(struct block *), p->nblocks);
    if (rc == 0) rc = weft_channel_new(&p->packed, sizeof(struct block *), p->nblocks);
    return rc;
}

static int
make(struct pipeline *p)
{
    p->ncompressors = count_compressors(p->job);
    p->nblocks = p->ncompressors * BLOCKS_PER_WORKER;
    p->blocks = calloc(p->nblocks, sizeof(*p->blocks));
    p->early = calloc(p->nblocks, sizeof(*p->early));
    p->tasks = calloc(p->ncompressors + 2, sizeof(*p->tasks));
    p->history = malloc(HISTORY);
    if (p->blocks == NULL || p->early == NULL || p->tasks == NULL || p->history == NULL) return WEFT_ENOMEM;
    int rc = make_channels(p);
    for (size_t i = 0; rc == 0 && i < p->nblocks; i++) rc = make_block(p, &p->blocks[i]);
    return rc;
}

static int
spawn_stage(struct pipeline *p, weft_fn *stage)
{
    int rc = weft_spawn(&p->tasks[p->ntasks], stage, p);
    if (rc == 0) p->ntasks++;
    return rc;
}

static int
start(struct pipeline *p)
{
    int rc = spawn_stage(p, reader);
    if (rc == 0) rc = spawn_stage(p, writer);
    for (size_t i = 0; rc == 0 && i < p->ncompressors; i++) rc = spawn_stage(p, compressor);
    return stage_ended(p, rc);
}

/* Waits for every task, and says why the first of them that knows has failed.  code is that of the start. */
static int
finish(struct pipeline *p, int code)
{
    const char *why = NULL;
    for (size_t i = 0; i < p->ntasks; i++) {
        if (weft_wait(p->tasks[i]) != WEFT_ECHILD) continue;
        if (why == NULL) {
            why = weft_task_message(p->tasks[i]);
            if (code == 0 || why != NULL) code = weft_task_error(p->tasks[i]);
        }
    }
    if (code < 0 && why != NULL) complain("%s", why);
    else if (code < 0) complain("%s: %s", p->job->in_name, strerror(-code));
    return code;
}

static void
destroy(struct pipeline *p)
{
    for (size_t i = 0; i < p->ntasks; i++) weft_task_release(p->tasks[i]);
    for (size_t i = 0; p->blocks != NULL && i < p->nblocks; i++) {
        free(p->blocks[i].history);
        free(p->blocks[i].data);
        free(p->blocks[i].packed);
    }
    weft_channel_release(p->empty);
    weft_channel_release(p->filled);
    weft_channel_release(p->packed);
    free(p->blocks);
    free(p->early);
    free(p->tasks);
    free(p->history);
}

int
pipeline_run(struct job *job)
{
    struct pipeline p = {.job = job};
    int rc = make(&p);
    if (rc == 0) rc = start(&p);
    rc = finish(&p, rc);
    destroy(&p);
    return rc;
}
