#include "repository/internal/go_quote.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "repository/internal/go_print.h"

namespace sevenfold::repository {
namespace {

std::string quote(std::string_view text) {
    std::string out;
    append_go_quoted(out, text);
    return out;
}

TEST(GoQuote, ExamplesOfGosOwnTests) {
    EXPECT_EQ(quote("\a\b\f\r\n\t\v"), R"(\a\b\f\r\n\t\v)");
    EXPECT_EQ(quote("\\"), R"(\\)");
    EXPECT_EQ(quote("abc\xff"
                    "def"),
              R"(abc\xffdef)");
    EXPECT_EQ(quote("\xe2\x98\xba"), "\xe2\x98\xba");
    EXPECT_EQ(quote("\xf4\x8f\xbf\xbf"), R"(\U0010ffff)");
    EXPECT_EQ(quote("\x04"), R"(\x04)");
    EXPECT_EQ(quote("!\xc2\xa0!\xe2\x80\x80!\xe3\x80\x80!"), R"(!\u00a0!\u2000!\u3000!)");
    EXPECT_EQ(quote("\x7f"), R"(\x7f)");
}

TEST(GoQuote, ExamplesOfRestic) {
    EXPECT_EQ(quote("it's `\"`"), R"(it's `\"`)");
    EXPECT_EQ(quote("\xc2\x80"), R"(\u0080)");
    EXPECT_EQ(quote("\xed\xa0\x80"), R"(\xed\xa0\x80)");  // a surrogate is no rune
    EXPECT_EQ(quote("\xc0\x80"), R"(\xc0\x80)");
    EXPECT_EQ(quote("\xe2\x82 cut"), R"(\xe2\x82 cut)");
    EXPECT_EQ(quote("\xef\xbf\xbd"), "\xef\xbf\xbd");          // U+FFFD itself is printable
    EXPECT_EQ(quote("\xf0\x9f\xab\x82"), "\xf0\x9f\xab\x82");  // of Unicode 13
    EXPECT_EQ(quote("\xf0\x9f\xab\xa0"), R"(\U0001fae0)");     // of Unicode 14
}

TEST(GoQuote, UnquotesWhatGoUnquotes) {
    EXPECT_EQ(go_unquote(R"(\a\b\f\n\r\t\v\\\")"), "\a\b\f\n\r\t\v\\\"");
    EXPECT_EQ(go_unquote(R"(\x41\101\u00e9\U0001f600)"), "AA\xc3\xa9\xf0\x9f\x98\x80");
    EXPECT_EQ(go_unquote(R"(\xff\377)"), "\xff\xff");
    EXPECT_EQ(go_unquote("it's"), "it's");
    EXPECT_EQ(go_unquote(R"(\000)"), std::string(1, '\0'));
    for (auto bad : {"\\", "\"", "\n", R"(\q)", R"(\')", R"(\x4)", R"(\xg0)", R"(\400)", R"(\12)",
                     R"(\128)", R"(\u12)", R"(\ud800)", R"(\U00110000)", R"(\U0000)", R"(\u 123)"})
        EXPECT_FALSE(go_unquote(bad)) << bad;
}

// The whole of Unicode, as compared with the names that restic 0.14 writes.
TEST(GoPrint, TableIsTheOneOfUnicode13) {
    uint64_t hash = 1469598103934665603u, count = 0;
    for (uint32_t rune = 0; rune < 0x110000; ++rune) {
        uint64_t printable = is_printable(rune) ? 1 : 0;
        count += printable;
        hash = (hash ^ printable) * 1099511628211u;  // FNV-1a
    }
    EXPECT_EQ(count, 143680u);
    EXPECT_EQ(hash, 0xf6e7809e505461b7u);
}

RC_GTEST_PROP(GoQuoteProperty, UnquoteIsTheInverse, (const std::string& text)) {
    RC_ASSERT(go_unquote(quote(text)) == text);
}

}  // namespace
}  // namespace sevenfold::repository
