/* test_error.c - the names and texts of codes. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <weft.h>

#include "test.h"

TEST(error, own, "each code of Weft's is negative, and has its name and its text")
{
#define CHECK_CODE(name, value, text)                                                                                  \
    CHECK(name < 0);                                                                                                   \
    CHECK_STR(weft_error_name(name), #name);                                                                           \
    CHECK_STR(weft_error_text(name), text);
    WEFT_ERRORS(CHECK_CODE)
#undef CHECK_CODE
}

TEST(error, distinct, "no two codes of Weft's are the same")
{
#define VALUE(name, value, text) name,
    static const int codes[] = {WEFT_ERRORS(VALUE)};
#undef VALUE
    size_t count = sizeof codes / sizeof *codes;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++) CHECK(codes[i] != codes[j]);
}

TEST(error, success, "0 and above are no error")
{
    CHECK_STR(weft_error_name(0), "0");
    CHECK_STR(weft_error_name(INT_MAX), "0");
    CHECK_STR(weft_error_text(0), "success");
    CHECK_STR(weft_error_text(7), "success");
}

TEST(error, system, "a code of the system's has the system's name and text, where the system tells")
{
#if defined(__GLIBC__)
    CHECK_STR(weft_error_name(-EACCES), "EACCES");
    CHECK_STR(weft_error_text(-EACCES), strerror(EACCES));
#else
    CHECK_STR(weft_error_name(-EACCES), "unknown");
    CHECK_STR(weft_error_text(-EACCES), "unknown error");
#endif
}

TEST(error, unknown, "a code that nobody knows is unknown")
{
    CHECK_STR(weft_error_name(-99999), "unknown");
    CHECK_STR(weft_error_text(-99999), "unknown error");
    CHECK_STR(weft_error_name(INT_MIN), "unknown");
    CHECK_STR(weft_error_text(INT_MIN), "unknown error");
}

static void *
ask_for_others(void *arg)
{
    (void)arg;
    for (int code = -1; code > -200; code--) {
        CHECK(*weft_error_name(code) != '\0');
        CHECK(*weft_error_text(code) != '\0');
    }
    return NULL;
}

TEST(error, threads, "a text stays what it is while other threads ask for other texts")
{
    const char *unknown = weft_error_text(-199), *range = weft_error_text(-ERANGE);
    char copy[64];
    snprintf(copy, sizeof copy, "%s", range);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        if (!CHECK_INT(pthread_create(&threads[i], NULL, ask_for_others, NULL), 0)) return;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK_STR(unknown, "unknown error");
    CHECK_STR(range, copy);
    CHECK(weft_error_text(-ERANGE) == range);
}
