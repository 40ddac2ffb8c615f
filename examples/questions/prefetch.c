/* prefetch.c - the next batch is fetched from disk while the current one is computed, in bounded memory.
 *
 * Two channels carry the same few buffers round and round: the reader takes an empty one, fills it from the file, and puts it
 * among the full ones; the main task computes with it and gives it back.  The reader is ahead by as many batches as there
 * are buffers and never by more, however slow the computation is.  Reading blocks, so weft_blocking does it: on a thread of
 * a pool, and no worker waits for the disk. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <weft.h>

enum { BUFFERS = 3, BATCH = 64 * 1024, LINES = 200000 };

struct batch {
    int fd;
    off_t at;
    ssize_t length;
    char bytes[BATCH];
};

struct stream {
    FILE *file;
    weft_channel *empty; /* of struct batch *, and so is the channel of the full ones */
};

/* On a thread of the pool: blocks as long as it likes. */
static int
fill(void *arg)
{
    struct batch *b = arg;
    b->length = pread(b->fd, b->bytes, BATCH, b->at);
    return b->length < 0 ? -errno : 0;
}

static int
read_ahead(weft_channel *full, void *arg)
{
    const struct stream *s = arg;
    struct batch *b;
    off_t at = 0;
    int code;
    while ((code = weft_channel_take(s->empty, &b)) == 0) {
        b->fd = fileno(s->file);
        b->at = at;
        code = weft_blocking(NULL, fill, b);
        if (code < 0) return weft_fail(code, "reading at %lld", (long long)at);
        if (b->length == 0) return 0; /* the channel is bound to this task: it is closed now */
        at += b->length;
        code = weft_channel_put(full, &b);
        if (code < 0) return code;
    }
    return code;
}

/* The computation: lines, words, and a sum of the numbers in a stretch of text that may begin and end anywhere. */
struct totals {
    long long lines, words, sum, number;
    int in_word;
};

static void
compute(struct totals *t, const struct batch *b)
{
    for (ssize_t i = 0; i < b->length; i++) {
        unsigned char c = (unsigned char)b->bytes[i];
        if (c == '\n') t->lines++;
        if (isdigit(c)) {
            t->number = 10 * t->number + (c - '0');
        } else {
            t->sum += t->number;
            t->number = 0;
        }
        if (!isspace(c) && !t->in_word) t->words++;
        t->in_word = !isspace(c);
    }
}

static int
consume(weft_channel *full, weft_channel *empty, struct totals *t)
{
    struct batch *b;
    int code;
    while ((code = weft_channel_take(full, &b)) == 0) {
        compute(t, b);
        code = weft_channel_put(empty, &b);
        if (code < 0) return code;
    }
    return code == WEFT_ECLOSED ? 0 : code; /* closed: that was the last batch */
}

static int
root(void *arg)
{
    static struct batch buffers[BUFFERS]; /* all the memory there is for batches */
    struct stream *s = arg;
    struct totals t = {0, 0, 0, 0, 0};
    weft_channel *full = NULL;
    weft_scope scope;

    int code = weft_channel_new(&s->empty, sizeof(struct batch *), BUFFERS);
    for (int i = 0; i < BUFFERS && code == 0; i++) code = weft_channel_put(s->empty, &(struct batch *){&buffers[i]});

    weft_scope_open(&scope, 0, WEFT_FOREVER); /* whichever of the two fails ends the other, and closing says why */
    if (code == 0) code = weft_channel_spawn(&full, sizeof(struct batch *), BUFFERS, read_ahead, s, NULL);
    if (code == 0) code = consume(full, s->empty, &t);
    code = weft_scope_close(&scope, code);
    weft_channel_release(full);
    weft_channel_release(s->empty);
    if (code == 0) printf("%lld lines, %lld words, the numbers come to %lld\n", t.lines, t.words, t.sum);
    return code;
}

int
main(void)
{
    struct stream s = {tmpfile(), NULL};
    if (!s.file) return 1;
    for (int i = 1; i <= LINES; i++) fprintf(s.file, "line %d of the file\n", i);
    if (fflush(s.file) != 0) return 1;
    int code = weft_run(NULL, root, &s);
    fclose(s.file);
    return code < 0;
}
