/*
 * stack_overflow.c - what happens when a stack overflows: a message that says what to do, and the signal.  [layer 1]
 *
 * A handler of SIGSEGV and SIGBUS on an alternate stack, which every worker has.  It looks at the address of the fault
 * only: if it is in the guard of one of the pool's stacks, the stack's user overflowed it.  It prints a message,
 * restores the default action and returns, so that the instruction faults again and the process dies there, with the
 * core dump that it would have had.  Any other fault goes to whatever handled it before.  It allocates nothing, takes
 * no lock and never switches.
 *
 * A handler that was installed later and knows about ours may call it for as long as the process lives; so ours is only
 * taken away when it is the topmost, and what it hands on to is kept.
 */
#include "stack.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <weft/error.h>

#include "bits.h"
#include "hook.h"

/* The alternate stack is for handlers below ours too, which may want to print a backtrace. */
enum { ALTERNATE_ROOM = 64 * 1024, ALTERNATE_LEAST = 16 * 1024 };

typedef void describer(void *owner, char *text, size_t size);

static struct watched {
    int signal;
    bool installed;            /* we are in the chain of handlers, perhaps below others */
    struct sigaction previous; /* constant while installed */
} watched[] = {{.signal = SIGSEGV}, {.signal = SIGBUS}};

static _Atomic(describer *) describe_owner;

/* ---- The message ---- */

struct message {
    char text[512];
    size_t used;
};

static void
add_text(struct message *m, const char *text)
{
    while (*text && m->used < sizeof m->text) m->text[m->used++] = *text++;
}

static void
add_number(struct message *m, size_t n)
{
    char digits[24], *p = digits + sizeof digits;
    *--p = '\0';
    do *--p = (char)('0' + n % 10);
    while (n /= 10);
    add_text(m, p);
}

static void
report(struct stack *s)
{
    struct message m = {.used = 0};
    char who[256] = "";
    describer *describe = load_acquire(&describe_owner); /* acquire: pairs with weft__stack_watch */
    void *owner = load_acquire(&s->owner);               /* acquire: pairs with whoever set it, if on another thread */
    if (describe && owner) describe(owner, who, sizeof who);
    who[sizeof who - 1] = '\0';
    add_text(&m, "weft: stack overflow: ");
    add_text(&m, who[0] ? who : "a task");
    add_text(&m, " has used up its stack of ");
    add_number(&m, weft__stack_size(s) / 1024);
    add_text(&m, " KiB; set stack_size in its options, or WEFT_STACK_SIZE for all, to more\n");
    for (size_t done = 0; done < m.used;) {
        ssize_t n = write(STDERR_FILENO, m.text + done, m.used - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        done += (size_t)n;
    }
}

/* ---- The handler ---- */

static void
set_default(int signal)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
}

/* As the kernel would have: the previous mask was made ours when we were installed. */
static void
hand_on(const struct watched *w, siginfo_t *info, void *context)
{
    const struct sigaction *previous = &w->previous;
    bool fault = info->si_code > 0; /* not sent by a process */
    if (!(previous->sa_flags & SA_SIGINFO) && previous->sa_handler == SIG_IGN && !fault) return;
    if (!(previous->sa_flags & SA_SIGINFO) && (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN)) {
        set_default(w->signal);
        if (!fault) raise(w->signal); /* arrives when the handler returns; a fault happens again by itself */
        return;
    }
    if (previous->sa_flags & (int)SA_RESETHAND) set_default(w->signal);
    if (previous->sa_flags & SA_SIGINFO) previous->sa_sigaction(w->signal, info, context);
    else previous->sa_handler(w->signal);
}

static void
on_fault(int signal, siginfo_t *info, void *context)
{
    int saved = errno;
    struct stack *s = info->si_code > 0 ? weft__stack_guarded(info->si_addr) : NULL;
    if (s) {
        report(s);
        set_default(signal);
    } else {
        errno = saved;
        hand_on(&watched[signal == SIGBUS], info, context);
    }
    errno = saved;
}

/* ---- Installing it ---- */

static bool
is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_fault;
}

static int
install(struct watched *w)
{
    if (w->installed) return 0;
    /* `previous` is there before the first fault can want it. */
    if (sigaction(w->signal, NULL, &w->previous) != 0) return -errno;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_mask = w->previous.sa_mask};
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | (w->previous.sa_flags & (SA_RESTART | SA_NODEFER));
    if (sigaction(w->signal, &action, NULL) != 0) return -errno;
    w->installed = true;
    return 0;
}

static void
remove_topmost(struct watched *w)
{
    struct sigaction current;
    if (!w->installed || sigaction(w->signal, NULL, &current) != 0 || !is_ours(&current)) return;
    if (sigaction(w->signal, &w->previous, NULL) == 0) w->installed = false;
}

int
weft__stack_watch(void (*describe)(void *owner, char *text, size_t size))
{
    int saved = errno, code = 0;
    store_release(&describe_owner, describe); /* pairs with report */
    for (size_t i = 0; i < weft__countof(watched) && !code; i++) code = install(&watched[i]);
    if (code) weft__stack_unwatch();
    errno = saved;
    return code;
}

void
weft__stack_unwatch(void)
{
    int saved = errno;
    for (size_t i = 0; i < weft__countof(watched); i++) remove_topmost(&watched[i]);
    store_release(&describe_owner, NULL); /* pairs with report */
    errno = saved;
}

/* ---- The alternate stack: a guard, the stack, and on top of it what there was before ---- */

struct alternate {
    char *base;
    size_t bytes;
    stack_t previous;
};

static struct alternate *
make_alternate(size_t room)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), top = weft__round_up(sizeof(struct alternate), 64);
    size_t bytes = page + weft__round_up(room + top, page);
    if (weft__hook_fail()) return NULL;
    char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (base == MAP_FAILED) return NULL;
    struct alternate *a = (struct alternate *)(void *)(base + bytes - top);
    *a = (struct alternate){.base = base, .bytes = bytes};
    stack_t stack = {.ss_sp = base + page, .ss_size = bytes - page - top};
    if (!weft__hook_fail() && mprotect(base, page, PROT_NONE) == 0 && sigaltstack(&stack, &a->previous) == 0) return a;
    munmap(base, bytes);
    return NULL;
}

int
weft__stack_signals_enter(void **memory)
{
    int saved = errno;
    stack_t current;
    size_t frame = weft__stack_signal_frame();
    *memory = NULL;
    bool enough = sigaltstack(NULL, &current) == 0 && !(current.ss_flags & SS_DISABLE) &&
                  current.ss_size >= ALTERNATE_LEAST + frame;
    if (!enough) *memory = make_alternate(ALTERNATE_ROOM + frame);
    errno = saved;
    return enough || *memory ? 0 : WEFT_ENOMEM;
}

void
weft__stack_signals_leave(void *memory)
{
    struct alternate *a = memory;
    if (!a) return;
    int saved = errno;
    stack_t current = {.ss_sp = a->base + 1};
    (void)sigaltstack(NULL, &current);
    /* Somebody may have put another in place meanwhile: then that stays. */
    bool ours = (char *)current.ss_sp > a->base && (char *)current.ss_sp < a->base + a->bytes;
    if (!ours || sigaltstack(&a->previous, NULL) == 0) munmap(a->base, a->bytes); /* never while signals may use it */
    errno = saved;
}
