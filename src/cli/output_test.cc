// Tables, progress, JSON, widths: everything that makes text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cli/json.h"
#include "cli/progress_display.h"
#include "cli/table.h"
#include "cli/utf8.h"

namespace sevenfold::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

class Output : public testing::Test {
  protected:
    static void SetUpTestSuite() { set_up_character_widths(); }
};

TEST_F(Output, JsonEscapesAndKeepsOrder) {
    JsonObject object;
    object.set("b", "q\"\\\n\t\x01\x7f").set("a", true).set("n", -3).set("u", UINT64_MAX);
    object.set("none", std::optional<int>()).set("d", 0.5).set("nan", 0.0 / 0.0);
    object.set("list", JsonArray::of(std::vector<std::string>{"x", "é"}));
    object.set("time", Time{0, 0, 0});
    EXPECT_EQ(object.text(),
              R"({"b":"q\"\\\n\t\u0001\u007f","a":true,"n":-3,"u":18446744073709551615,)"
              R"("d":0.5,"nan":null,"list":["x","é"],"time":"1970-01-01T00:00:00Z"})");
}

TEST_F(Output, JsonReplacesWhatIsNotUtf8) {
    EXPECT_EQ(JsonObject().set("k", "a\xff\xc3z").text(), "{\"k\":\"a\xEF\xBF\xBD\xEF\xBF\xBDz\"}");
}

RC_GTEST_PROP(Json, TextIsAlwaysValidUtf8OnOneLine, (std::string text)) {
    std::string json;
    append_json_text(json, text);
    RC_ASSERT(json.find('\n') == json.npos);
    for (std::string_view rest = json; !rest.empty();) {
        Utf8Step step = decode_utf8(rest);
        RC_ASSERT(step.valid);
        rest.remove_prefix(step.length);
    }
}

TEST_F(Output, Utf8RefusesOverlongSurrogatesAndTooHigh) {
    for (const char* bad : {"\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80",
                            "\xE2\x82", "\xF8\x88\x80\x80\x80"})
        EXPECT_FALSE(decode_utf8(bad).valid);
    EXPECT_EQ(decode_utf8("€").code, 0x20ACu);
    EXPECT_EQ(decode_utf8("😀").length, 4u);
}

TEST_F(Output, WidthCountsColumns) {
    EXPECT_EQ(display_width("abc"), 3u);
    EXPECT_EQ(display_width("é"), 1u);
    EXPECT_EQ(display_width("e\xCC\x81"), 1u);  // e and a combining accent
    EXPECT_EQ(display_width("日本"), 4u);
    EXPECT_EQ(display_width("\xff"), 1u);
}

TEST_F(Output, ShortenKeepsWithinTheColumns) {
    EXPECT_EQ(shorten("abcdef", 6), "abcdef");
    EXPECT_EQ(shorten("abcdef", 4), "abc…");
    EXPECT_EQ(shorten("日本語", 4), "日…");
    EXPECT_EQ(shorten("abc", 0), "");
    EXPECT_EQ(shorten_front("/a/long/path", 6), "…/path");
}

RC_GTEST_PROP(Shorten, NeverExceedsTheColumns, (std::string text, uint8_t columns)) {
    set_up_character_widths();
    RC_ASSERT(display_width(shorten(text, columns)) <= columns);
    RC_ASSERT(display_width(shorten_front(text, columns)) <= columns);
}

TEST_F(Output, TableAlignsAndMakesNamesHarmless) {
    Table table({{"name"}, {"size", Column::right}, {"note"}});
    table.row({"日本", "1", "x"});
    table.row({"b\x1b[31m", "1,000", ""});
    EXPECT_EQ(table.text(0, false),
              "name        size  note\n"
              "日本           1  x\n"
              "b\\x1b[31m  1,000");
}

TEST_F(Output, TableShrinksOnlyWhatMay) {
    Table table({{"name"}, {"path", Column::left, true}});
    table.row({"source-one", "/a/very/long/path/that/does/not/fit"});
    std::string text = table.text(30, false);
    EXPECT_THAT(text, HasSubstr("source-one  /a/very/long/path…"));
    // Never below eight columns, however narrow the terminal.
    EXPECT_THAT(table.text(5, false), HasSubstr("source-one  /a/very…"));
}

TEST_F(Output, TablePaintsOnlyWhenAsked) {
    Table table({{"state"}});
    table.row({Cell("good", Style::green)});
    EXPECT_THAT(table.text(0, false), Not(HasSubstr("\x1b")));
    EXPECT_THAT(table.text(0, true), HasSubstr("\x1b[32mgood\x1b[0m"));
}

ProgressSample half_done() {
    ProgressSample s;
    s.elapsed = 10s;
    s.items_total = 200;
    s.items_done = 100;
    s.bytes_total = 2u << 30;
    s.bytes_done = 1u << 30;
    s.totals_known = true;
    s.current = "/srv/uploads/video.mp4";
    return s;
}

TEST_F(Output, ProgressShowsPercentRateAndRemainingTime) {
    std::string line = render_progress("backup", half_done(), 100 << 20, 10, 200);
    EXPECT_EQ(line,
              "backup  50 %  100 of 200 items  1.000 GiB of 2.000 GiB  100.000 MiB/s  11 s left  "
              "/srv/uploads/video.mp4");
}

TEST_F(Output, ProgressInventsNothingBeforeTotalsAreKnown) {
    ProgressSample s = half_done();
    s.totals_known = false;
    std::string line = render_progress("backup", s, 100 << 20, 10, 200);
    EXPECT_THAT(line, Not(HasSubstr("%")));
    EXPECT_THAT(line, Not(HasSubstr("left")));
    EXPECT_THAT(line, HasSubstr("1.000 GiB"));
}

TEST_F(Output, ProgressIsNeverWiderThanTheTerminalNorHundredTooEarly) {
    ProgressSample s = half_done();
    s.current = "日本語/\x1b]0;title\x07 a long name that goes on and on";
    for (size_t width = 1; width < 150; ++width) {
        std::string line = render_progress("backup", s, 1e8, 10, width);
        EXPECT_LE(display_width(line), width);
        EXPECT_THAT(line, Not(HasSubstr("\x1b")));
    }
    s.bytes_done = s.bytes_total - 1;
    EXPECT_THAT(render_progress("x", s, 1, 1, 200), HasSubstr("99 %"));
}

TEST_F(Output, RateIsOfTheLastTenSeconds) {
    RateMeter meter;
    EXPECT_EQ(meter.per_second(), 0);
    for (int i = 0; i <= 100; ++i) meter.add(i * 1s, static_cast<uint64_t>(i) * 100);
    EXPECT_NEAR(meter.per_second(), 100, 1e-6);
    for (int i = 1; i <= 10; ++i) meter.add((100 + i) * 1s, 10000);
    EXPECT_NEAR(meter.per_second(), 0, 1e-6);
}

}  // namespace
}  // namespace sevenfold::cli
