/* test_clock.c - the monotonic clock, and points in time. */
#include <weft.h>

#include "clock.h"
#include "test.h"

TEST(clock, forward, "the clock is above WEFT_NOW and never goes back")
{
    weft_time last = weft_now();
    CHECK(last > WEFT_NOW);
    for (int i = 0; i < 1000; i++) {
        weft_time now = weft_now();
        CHECK(now >= last);
        last = now;
    }
}

TEST(clock, in, "weft_in is as far from now as it was asked for")
{
    weft_time before = weft_now();
    weft_time soon = weft_in(5 * WEFT_S), at_once = weft_in(0), past = weft_in(-1);
    weft_time after = weft_now();
    CHECK(soon >= before + 5 * WEFT_S && soon <= after + 5 * WEFT_S);
    CHECK(at_once >= before && at_once <= after);
    CHECK(past <= after && past > WEFT_NOW);
}

TEST(clock, saturates, "weft_in saturates at both ends")
{
    CHECK_INT(weft_in(INT64_MAX), WEFT_FOREVER);
    CHECK_INT(weft_in(INT64_MIN), 1);
    CHECK_INT(weft__clock_add(INT64_MAX, 1), WEFT_FOREVER);
    CHECK_INT(weft__clock_add(INT64_MAX, INT64_MAX), WEFT_FOREVER);
    CHECK_INT(weft__clock_add(1, INT64_MIN), 1);
}

TEST(clock, marks, "a point in time that was computed is never mistaken for WEFT_NOW or WEFT_FOREVER")
{
    CHECK_INT(weft__clock_add(1000, -999), 1);
    CHECK_INT(weft__clock_add(1000, -1000), 1);
    CHECK_INT(weft__clock_add(1000, -1001), 1);
    CHECK_INT(weft__clock_add(1000, INT64_MAX - 1000), INT64_MAX - 1);
    CHECK_INT(weft__clock_add(1000, INT64_MAX - 1001), INT64_MAX - 1);
    CHECK_INT(weft__clock_add(1000, INT64_MAX - 1002), INT64_MAX - 2);
    CHECK_INT(weft__clock_add(1000, INT64_MAX - 999), WEFT_FOREVER);
}
