#include "database/mariadb/server/last_lines.h"

#include <gtest/gtest.h>

namespace sevenfold::database::mariadb {
namespace {

TEST(LastLinesTest, TellErrorsWithoutTimes) {
    EXPECT_EQ(last_lines(""), "it said nothing");
    EXPECT_EQ(last_lines("a\n\nb\n  \nc", 2), "b | c");
    EXPECT_EQ(last_lines("2026-11-25  8:34:04 0 [ERROR] InnoDB: bad\x1b\n"
                         "2026-11-25  8:34:05 0 [Note] fine\n"
                         "[00] 2026-11-25 08:07:59 Failed to connect\n"),
              "[ERROR] InnoDB: bad\\x1b | Failed to connect");
}

}  // namespace
}  // namespace sevenfold::database::mariadb
