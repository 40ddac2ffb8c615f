/* async_condition.c - a thread that is none of Weft's wakes a task.
 *
 * Julia: AsyncCondition, which C code triggers by uv_async_send.  An event that resets itself, and weft_event_notify from
 * any thread; triggers that come before the task runs again are one. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

struct source {
    weft_event triggered;
    atomic_int sent;
};

static void *
plain_thread(void *arg)
{
    struct source *s = arg;
    for (int i = 1; i <= 10; i++) {
        atomic_store(&s->sent, i);
        weft_event_notify(&s->triggered);
    }
    return NULL;
}

static int
root(void *arg)
{
    struct source *s = arg;
    pthread_t thread;
    int seen = 0, code = -pthread_create(&thread, NULL, plain_thread, s);
    if (code < 0) return code;
    while (seen < 10 && code == 0) {
        code = weft_event_wait(&s->triggered); /* parks the task, not the worker */
        seen = atomic_load(&s->sent);
    }
    printf("seen: %d\n", seen);
    pthread_join(thread, NULL);
    return code;
}

int
main(void)
{
    static struct source s = {.triggered = WEFT_EVENT_AUTORESET_INIT};
    return weft_run(NULL, root, &s) < 0;
}
