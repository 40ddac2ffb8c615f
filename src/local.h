/* local.h - what local.c offers to the files beside it.  [layer 5] */
#ifndef WEFT_SRC_LOCAL_H
#define WEFT_SRC_LOCAL_H

#include <weft/local.h>

/* Makes room for a value of the caller: weft_local_set does not fail then.  WEFT_EINVAL, WEFT_ENOMEM as for that. */
int weft__local_reserve(weft_local key);

#endif
