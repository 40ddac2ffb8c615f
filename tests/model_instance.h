/* model_instance.h - the instances of a model: what the explorer runs, one after the other. */
#ifndef WEFT_TESTS_MODEL_INSTANCE_H
#define WEFT_TESTS_MODEL_INSTANCE_H

#include "explore.h"

#include "fence.h"

struct instance {
    const char *title;
    void (*run)(void);
    bool symmetric; /* fences: as where the kernel has no membarrier */
};

/* The model's, ended by one without a title. */
static const struct instance instances[];

const char *
explore_title(int index)
{
    return instances[index].title;
}

int
main(void)
{
    const struct instance *i = &instances[explore_case];
    weft__fence_asymmetric = !i->symmetric;
    store_relaxed(&weft__fence_registered, !i->symmetric);
    i->run();
    return 0;
}

#endif
