#include "sql/mariadb.h"

#include <gtest/gtest.h>

namespace sevenfold::sql {
namespace {

TEST(QuoteTest, NamesAndTexts) {
    EXPECT_EQ(quote_name("a`b"), "`a``b`");
    EXPECT_EQ(quote_name("shop", "t"), "`shop`.`t`");
    EXPECT_EQ(quote_text(std::string_view("a'b\\c\0d\n", 8)), "'a\\'b\\\\c\\0d\\n'");
    EXPECT_EQ(quote_hex(as_bytes("\x01\xff")), "X'01ff'");
}

TEST(MariadbConnectionTest, NoServerIsANetworkErrorWithAHint) {
    try {
        MariadbConnection connection({.socket = "/nonexistent/socket", .user = "x"});
        FAIL() << "connected";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::network);
        EXPECT_NE(error.message().find("/nonexistent/socket"), std::string::npos);
        EXPECT_FALSE(error.hint().empty());
    }
}

}  // namespace
}  // namespace sevenfold::sql
