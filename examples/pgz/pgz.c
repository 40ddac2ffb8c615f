/* pgz.c - a parallel gzip: the command line, and what the terminal shows.
 *
 * pipeline.c is where the tasks and channels are; files.c looks after the files and signals. */
#include "pgz.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <weft.h>

static const char help[] =
    "usage: pgz [options] [FILE...]\n"
    "Compresses each FILE to FILE.gz, in parallel, and removes FILE; without FILE, or if it is -,\n"
    "compresses standard input to standard output.  gunzip reads the result.\n"
    "\n"
    "  -c, --stdout         write to standard output, keep FILE\n"
    "  -o, --output=OUTPUT  write to OUTPUT, keep FILE\n"
    "  -k, --keep           keep FILE\n"
    "  -f, --force          replace existing outputs\n"
    "  -1 ... -9            fast ... small (default -6)\n"
    "  -b, --block=SIZE     compress in blocks of SIZE bytes; suffix K or M (default 128K, at least 32K)\n"
    "  -p, --workers=N      compress on N cores (default: all)\n"
    "  -j, --tasks=N        compress in N tasks (default: one for each core)\n"
    "  -q, --quiet          no progress bar\n"
    "  -v, --verbose        say what each file came to\n"
    "  -h, --help           this text\n";

enum {
    EXIT_USAGE = 2,
    MAX_WORKERS = 1024,
    BLOCK_DEFAULT = 128 << 10,
    BLOCK_MIN = 32 << 10,
    BLOCK_MAX = 64 << 20,
};

/* --- what the terminal shows ------------------------------------------------------------------------------------ */

static struct {
    bool wanted; /* stderr is a terminal, and no -q */
    bool utf8;
    bool drawn;
    const char *name;
    uint64_t size; /* 0: unknown */
    weft_time began, drawn_at;
} bar;

static void
bar_setup(bool quiet)
{
    setlocale(LC_CTYPE, "");
    bar.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    bar.wanted = !quiet && isatty(STDERR_FILENO);
}

static int
terminal_columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

static double
seconds_since(weft_time t)
{
    return (double)(weft_now() - t) / (double)WEFT_S;
}

/* Writes cells character cells, the given part of them full: to an eighth where the terminal can. */
static void
draw_cells(FILE *to, int cells, double part)
{
    static const char *const eighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
    int full = (int)(part * cells * 8);
    for (int i = 0; i < cells; i++, full -= 8) {
        int fill = full < 0 ? 0 : full > 8 ? 8 : full;
        fputs(bar.utf8 ? eighths[fill] : fill >= 4 ? "#" : " ", to);
    }
}

static void
draw(FILE *to, uint64_t done)
{
    double rate = (double)done / (seconds_since(bar.began) + 1e-9);
    fprintf(to, "\r\033[K%.24s ", bar.name);
    if (bar.size > 0) {
        double part = done < bar.size ? (double)done / (double)bar.size : 1;
        int left = (int)((double)bar.size * (1 - part) / rate + 0.5);
        int cells = terminal_columns() - 64;
        fprintf(to, "%3.0f%% [", 100 * part);
        draw_cells(to, cells < 8 ? 8 : cells > 50 ? 50 : cells, part);
        fprintf(to, "] %.1f MB/s, %d:%02d left", rate / 1e6, left / 60, left % 60);
    } else {
        fprintf(to, "%.1f MB, %.1f MB/s", (double)done / 1e6, rate / 1e6);
    }
}

void
progress_begin(const char *name, uint64_t size)
{
    bar.name = name;
    bar.size = size;
    bar.began = bar.drawn_at = weft_now();
}

void
progress_update(uint64_t done)
{
    if (!bar.wanted || weft_now() - bar.drawn_at < 100 * WEFT_MS) return;
    bar.drawn_at = weft_now();
    bar.drawn = true;
    draw(stderr, done);
    fflush(stderr);
}

void
progress_end(void)
{
    if (bar.drawn) fputs("\r\033[K", stderr);
    bar.drawn = false;
}

void
complain(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    progress_end();
    fputs("pgz: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

static void
summarize(const struct job *job)
{
    double seconds = seconds_since(bar.began);
    double saved = job->bytes_in == 0 ? 0 : 1 - (double)job->bytes_out / (double)job->bytes_in;
    fprintf(stderr, "%s: %.1f MB -> %.1f MB (%.1f%% saved) in %.2f s, %.1f MB/s, %d workers\n", job->in_name,
            (double)job->bytes_in / 1e6, (double)job->bytes_out / 1e6, 100 * saved, seconds,
            (double)job->bytes_in / 1e6 / (seconds + 1e-9), weft_nworkers());
}

/* --- one file after the other ----------------------------------------------------------------------------------- */

struct run {
    struct options opt;
    char **names;
    int count;
};

static int
compress_to(struct output *out, const struct input *in, const struct options *opt)
{
    struct job job = {
        .in = in->fd,
        .out = out->fd,
        .in_name = in->name,
        .out_name = out->name,
        .in_size = S_ISREG(in->st.st_mode) ? (uint64_t)in->st.st_size : 0,
        .level = opt->level,
        .block = opt->block,
        .compressors = opt->compressors,
    };
    progress_begin(in->name, job.in_size);
    int rc = pipeline_run(&job);
    progress_end();
    if (rc < 0) {
        output_discard(out);
        return rc;
    }
    rc = output_commit(out, in);
    if (rc == 0 && opt->verbose) summarize(&job);
    return rc;
}

static int
compress_file(const struct options *opt, const char *name)
{
    struct input in;
    if (input_open(&in, name, opt) != 0) return -1;
    struct output out;
    int rc = output_open(&out, &in, opt);
    bool replaces = rc == 0 && out.beside && !opt->keep;
    if (rc == 0) rc = compress_to(&out, &in, opt);
    if (rc == 0 && replaces && unlink(name) != 0) {
        complain("%s: %s", name, strerror(errno));
        rc = -1;
    }
    input_close(&in);
    return rc;
}

/* The root task.  A file that fails does not keep the others from being compressed. */
static int
compress_files(void *arg)
{
    struct run *run = arg;
    int status = EXIT_SUCCESS;
    for (int i = 0; i < run->count; i++)
        if (compress_file(&run->opt, run->names[i]) != 0) status = EXIT_FAILURE;
    return status;
}

/* --- the command line ------------------------------------------------------------------------------------------- */

static void
usage_error(const char *option, const char *value, const char *wanted)
{
    complain("%s %s: %s", option, value, wanted);
    exit(EXIT_USAGE);
}

/* A whole number, with suffix K or M if that is allowed, from min to max. */
static size_t
parse_number(const char *option, const char *text, bool suffix, size_t min, size_t max, const char *wanted)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    unsigned long unit = 1;
    if (suffix && (*end == 'K' || *end == 'k')) unit = 1UL << 10;
    else if (suffix && (*end == 'M' || *end == 'm')) unit = 1UL << 20;
    end += unit > 1;
    bool digits = text[0] >= '0' && text[0] <= '9';
    if (!digits || *end != '\0' || errno != 0 || n > max / unit || n * unit < min) usage_error(option, text, wanted);
    return n * unit;
}

static void
parse_option(struct options *opt, int c)
{
    switch (c) {
    case 'c':
        opt->to_stdout = true;
        break;
    case 'o':
        opt->output = optarg;
        break;
    case 'k':
        opt->keep = true;
        break;
    case 'f':
        opt->force = true;
        break;
    case 'q':
        opt->quiet = true;
        break;
    case 'v':
        opt->verbose = true;
        break;
    case 'b':
        opt->block = parse_number("-b", optarg, true, BLOCK_MIN, BLOCK_MAX, "must be 32K to 64M");
        break;
    case 'p':
        opt->workers = (int)parse_number("-p", optarg, false, 1, MAX_WORKERS, "must be 1 to 1024");
        break;
    case 'j':
        opt->compressors = (size_t)parse_number("-j", optarg, false, 1, MAX_WORKERS, "must be 1 to 1024");
        break;
    case 'h':
        fputs(help, stdout);
        exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    case '?':
        fputs("try pgz --help\n", stderr);
        exit(EXIT_USAGE);
    default:
        opt->level = c - '0';
    }
}

static void
parse_command_line(struct run *run, int argc, char **argv)
{
    static const struct option names[] = {
        {"stdout", no_argument, NULL, 'c'},
        {"output", required_argument, NULL, 'o'},
        {"keep", no_argument, NULL, 'k'},
        {"force", no_argument, NULL, 'f'},
        {"fast", no_argument, NULL, '1'},
        {"best", no_argument, NULL, '9'},
        {"block", required_argument, NULL, 'b'},
        {"workers", required_argument, NULL, 'p'},
        {"tasks", required_argument, NULL, 'j'},
        {"quiet", no_argument, NULL, 'q'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "co:kf123456789b:p:j:qvh", names, NULL)) != -1;)
        parse_option(&run->opt, c);
    run->names = argv + optind;
    run->count = argc - optind;
    if (run->opt.output != NULL && run->opt.to_stdout) usage_error("-o", run->opt.output, "not together with -c");
    if (run->opt.output != NULL && run->count > 1) usage_error("-o", run->opt.output, "takes one FILE only");
    if (run->count == 0) {
        static char *standard_input[] = {"-"};
        run->names = standard_input;
        run->count = 1;
    }
}

/* A file that is opened must not become descriptor 0, 1 or 2 because the caller closed that one: messages would end up
 * in it.  Opened the wrong way round, 0 and 1 still report EBADF when they are used. */
static bool
occupy_standard_descriptors(void)
{
    const int modes[] = {O_WRONLY, O_RDONLY, O_WRONLY};
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd) return false;
    return true;
}

int
main(int argc, char **argv)
{
    struct run run = {.opt = {.level = 6, .block = BLOCK_DEFAULT}};
    if (!occupy_standard_descriptors()) return EXIT_FAILURE;
    parse_command_line(&run, argc, argv);
    bar_setup(run.opt.quiet);
    if (signals_catch() != 0) return EXIT_FAILURE;

    weft_config cfg = {.size = sizeof(cfg), .workers = run.opt.workers};
    int status = weft_run(&cfg, compress_files, &run);
    if (status < 0) {
        complain("cannot start the workers: %s", weft_error_text(status));
        return EXIT_FAILURE;
    }
    return status;
}
