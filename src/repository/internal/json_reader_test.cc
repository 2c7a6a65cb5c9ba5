#include "repository/internal/json_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "repository/internal/utf8.h"

namespace sevenfold::repository {
namespace {

JsonReader reader(std::string_view text) { return JsonReader(as_bytes(text), "test"); }

void read_whole(std::string_view text) {
    JsonReader json = reader(text);
    json.skip();
    json.end();
}

std::string read_string(std::string_view text) {
    JsonReader json = reader(text);
    std::string out(json.string());
    json.end();
    return out;
}

TEST(JsonReader, WalksObjectsAndArrays) {
    JsonReader json = reader(R"( { "a" : [ 1 , [] , {} ] , "b":{"c":null}, "d":true,"e":-5 } )");
    std::vector<std::string> keys;
    std::vector<uint64_t> numbers;
    json.begin_object();
    while (json.next_key()) {
        keys.emplace_back(json.key());
        if (json.key() == "a") {
            json.begin_array();
            ASSERT_TRUE(json.next_element());
            numbers.push_back(json.u64());
            ASSERT_TRUE(json.next_element());
            json.begin_array();
            EXPECT_FALSE(json.next_element());
            ASSERT_TRUE(json.next_element());
            json.begin_object();
            EXPECT_FALSE(json.next_key());
            EXPECT_FALSE(json.next_element());
        } else if (json.key() == "b") {
            EXPECT_EQ(json.raw(), R"({"c":null})");
        } else if (json.key() == "d") {
            EXPECT_TRUE(json.boolean());
        } else {
            EXPECT_EQ(json.i64(), -5);
        }
    }
    json.end();
    EXPECT_THAT(keys, testing::ElementsAre("a", "b", "d", "e"));
    EXPECT_THAT(numbers, testing::ElementsAre(1));
}

TEST(JsonReader, StringsWithEveryEscape) {
    EXPECT_EQ(read_string(R"("plain text longer than sixteen bytes")"),
              "plain text longer than sixteen bytes");
    EXPECT_EQ(read_string(R"("\"\\\/\b\f\n\r\t")"), "\"\\/\b\f\n\r\t");
    EXPECT_EQ(read_string(R"("\u0041\u00e9\u20AC")"), "A\xc3\xa9\xe2\x82\xac");
    EXPECT_EQ(read_string(R"("\ud83d\ude00!")"), "\xf0\x9f\x98\x80!");
    EXPECT_EQ(read_string(R"("\u0000")"), std::string(1, '\0'));
    EXPECT_EQ(read_string("\"\xc3\xa9 \xf0\x9f\x98\x80\""), "\xc3\xa9 \xf0\x9f\x98\x80");
    EXPECT_EQ(read_string("\"\xc3\xa9\\n\xc3\xa9\""), "\xc3\xa9\n\xc3\xa9");
    // Lone surrogates, alone, doubled and before an ordinary escape.
    EXPECT_EQ(read_string(R"("\ud83d")"), "\xef\xbf\xbd");
    EXPECT_EQ(read_string(R"("\ude00x")"), "\xef\xbf\xbdx");
    EXPECT_EQ(read_string(R"("\ud83d\u0041")"),
              "\xef\xbf\xbd"
              "A");
    EXPECT_EQ(read_string(R"("\ud83d\ud83d\ude00")"), "\xef\xbf\xbd\xf0\x9f\x98\x80");
}

TEST(JsonReader, TellsWhetherAStringWasPlain) {
    JsonReader json = reader(R"({"k\n":"plain","k":"a\nb"})");
    json.begin_object();
    ASSERT_TRUE(json.next_key());
    EXPECT_EQ(json.key(), "k\n");
    json.string();
    EXPECT_TRUE(json.string_was_plain());
    ASSERT_TRUE(json.next_key());
    json.string();
    EXPECT_FALSE(json.string_was_plain());
}

TEST(JsonReader, NumbersAreExact) {
    EXPECT_EQ(reader("0").u64(), 0u);
    EXPECT_EQ(reader("18446744073709551615").u64(), UINT64_MAX);
    EXPECT_EQ(reader("9223372036854775807").i64(), INT64_MAX);
    EXPECT_EQ(reader("-9223372036854775808").i64(), INT64_MIN);
    EXPECT_EQ(reader("4294967295").u32(), UINT32_MAX);
    for (auto bad : {"18446744073709551616", "99999999999999999999", "100000000000000000000", "-1",
                     "01", "1.0", "1e3", "\"1\"", "", "null"})
        EXPECT_THROW(reader(bad).u64(), Error) << bad;
    for (auto bad : {"9223372036854775808", "-9223372036854775809", "-", "--1", "-01", "1.5"})
        EXPECT_THROW(reader(bad).i64(), Error) << bad;
    EXPECT_THROW(reader("4294967296").u32(), Error);
}

TEST(JsonReader, AcceptsValidJson) {
    for (auto good : {"{}", "[]", "[[],[]]", "0", "-0", "-1.5e+10", "1E5", "\"\"", "true", "false",
                      "null", " [ 1 , 2 ] ", R"({"a":{"b":[{}]}})"})
        EXPECT_NO_THROW(read_whole(good)) << good;
}

TEST(JsonReader, RejectsInvalidJson) {
    for (auto bad : {"",
                     " ",
                     "{",
                     "[",
                     "}",
                     "]",
                     "{]",
                     "[}",
                     "[1,]",
                     "[,1]",
                     "[1 2]",
                     "{,}",
                     "{\"a\":1,}",
                     "{\"a\"}",
                     "{\"a\":}",
                     "{\"a\" 1}",
                     "{a:1}",
                     "{1:1}",
                     "nul",
                     "nulll",
                     "truee",
                     "tru",
                     "01",
                     "1.",
                     ".5",
                     "1e",
                     "1e+",
                     "-",
                     "+1",
                     "NaN",
                     "\"",
                     "\"a",
                     "\"\\",
                     "\"\\x\"",
                     "\"\\u12\"",
                     "\"\\u12g4\"",
                     "\"\\u\x10\x11\x12\x13\"",
                     "\"a\nb\"",
                     "\"\x01\"",
                     "\"\xff\"",
                     "\"\xc3\"",
                     "\"\xed\xa0\x80\"",
                     "\"\xc0\x80\"",
                     "\"\xf5\x80\x80\x80\"",
                     "\"\\n\xff\"",
                     "1 1",
                     "{} {}",
                     "[] x",
                     "/**/1",
                     "'a'"})
        EXPECT_THROW(read_whole(bad), Error) << bad;
}

TEST(JsonReader, EveryTruncationIsAnError) {
    std::string text =
        R"({"a":[1,-2.5e3,"x\u00e9\ud83d\ude00 and more than sixteen"],"b":{"c":null,"d":true}})";
    EXPECT_NO_THROW(read_whole(text));
    for (size_t n = 0; n < text.size(); ++n)
        EXPECT_THROW(read_whole(std::string_view(text).substr(0, n)), Error) << n;
}

TEST(JsonReader, LimitsDepth) {
    auto nested = [](unsigned n) { return std::string(n, '[') + std::string(n, ']'); };
    EXPECT_NO_THROW(read_whole(nested(JsonReader::kMaxDepth)));
    EXPECT_THROW(read_whole(nested(JsonReader::kMaxDepth + 1)), Error);
    EXPECT_THROW(read_whole(std::string(1'000'000, '[')), Error);
    std::string many = "[";
    for (int i = 0; i < 1000; ++i) many += "[{}],";
    EXPECT_NO_THROW(read_whole(many + "1]"));
}

TEST(JsonReader, ReadsIdsTimesAndBase64) {
    std::string hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";
    EXPECT_EQ(reader('"' + hex + '"').id().hex(), hex);
    for (std::string bad : {hex.substr(1), hex + "0", "g" + hex.substr(1), "F" + hex.substr(1)})
        EXPECT_THROW(reader('"' + bad + '"').id(), Error) << bad;
    EXPECT_EQ(to_rfc3339(reader("\"2024-02-29T12:00:00.5+01:00\"").time()),
              "2024-02-29T12:00:00.5+01:00");
    EXPECT_THROW(reader("\"yesterday\"").time(), Error);
    EXPECT_EQ(reader("\"Zm9v\"").base64(), to_bytes("foo"));
    EXPECT_TRUE(reader("null").base64().empty());
    EXPECT_THROW(reader("\"Zm9\"").base64(), Error);
}

TEST(JsonReader, ErrorsNameTheObjectAndThePlace) {
    try {
        read_whole("[1,x]");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::corrupt);
        EXPECT_EQ(error.message(), "test: invalid JSON at byte 3");
    }
}

TEST(Utf8, DecodesAsGoDoes) {
    EXPECT_EQ(first_rune("\xf4\x8f\xbf\xbf").value, 0x10ffffu);
    EXPECT_EQ(first_rune("\xe2\x82").size, 1u);
    for (auto bad : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                     "\xf4\x90\x80\x80", "\xe2\x82", "\xff", "12345678\xc3"})
        EXPECT_FALSE(is_valid_utf8(bad)) << bad;
    EXPECT_TRUE(is_valid_utf8("12345678 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 12345678"));
    std::string out;
    append_utf8(out, 0xd800);
    append_utf8(out, 0x7ff);
    EXPECT_EQ(out, "\xef\xbf\xbd\xdf\xbf");
}

}  // namespace
}  // namespace sevenfold::repository
