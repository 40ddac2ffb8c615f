/* error.c - the names and texts of codes.  [layer 7] */
#include <limits.h>
#include <string.h>

#include <weft/error.h>

/* glibc's two tables are constant, so that any thread may ask.  What other libraries have need not be: there, codes
 * that are not Weft's share one name and one text. */
#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 32)
#define SYSTEM_KNOWS 1
#endif
#endif

static const char *
system_name(int error)
{
#if defined(SYSTEM_KNOWS)
    return strerrorname_np(error);
#else
    (void)error;
    return NULL;
#endif
}

static const char *
system_text(int error)
{
#if defined(SYSTEM_KNOWS)
    return strerrordesc_np(error);
#else
    (void)error;
    return NULL;
#endif
}

const char *
weft_error_name(int code)
{
    if (code >= 0) return "0";
    switch (code) {
#define NAME(name, value, text)                                                                                        \
    case name:                                                                                                         \
        return #name;
        WEFT_ERRORS(NAME)
#undef NAME
    }
    const char *name = code == INT_MIN ? NULL : system_name(-code);
    return name ? name : "unknown";
}

const char *
weft_error_text(int code)
{
    if (code >= 0) return "success";
    switch (code) {
#define TEXT(name, value, text)                                                                                        \
    case name:                                                                                                         \
        return text;
        WEFT_ERRORS(TEXT)
#undef TEXT
    }
    const char *text = code == INT_MIN ? NULL : system_text(-code);
    return text ? text : "unknown error";
}
