#include "mirror/mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mirror/rsync.h"

namespace sevenfold::mirror {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A target of `target` files, of which some are removed or changed.
Plan plan_of(uint64_t target, uint64_t removed, uint64_t changed = 0) {
    Plan plan;
    plan.source_files = target - removed;
    for (uint64_t i = 0; i < removed; ++i) plan.count({Change::Kind::remove, false, 0, "r"});
    for (uint64_t i = 0; i < changed; ++i) plan.count({Change::Kind::change, false, 7, "c"});
    return plan;
}

TEST(Judge, LetsThroughWhatIsBelowTheFraction) {
    EXPECT_THAT(judge(plan_of(1000, 150, 50), {}, Former{1000}, false), IsEmpty());
    EXPECT_THAT(judge(plan_of(1000, 150, 51), {}, Former{1000}, false),
                ElementsAre(HasSubstr("remove 150 and overwrite 51 of 1,000 files")));
}

TEST(Judge, LetsSmallMirrorsChange) {
    EXPECT_THAT(judge(plan_of(21, 20), {}, Former{21}, false), IsEmpty());
    EXPECT_THAT(judge(plan_of(22, 21), {}, Former{22}, false), ElementsAre(HasSubstr("remove 21")));
    EXPECT_THAT(judge(plan_of(22, 21), {.max_change_percent = 100}, Former{22}, false), IsEmpty());
    EXPECT_THAT(
        judge(plan_of(3, 1), {.max_change_percent = 0, .allow_changes = 0}, Former{3}, false),
        ElementsAre(HasSubstr("more than 0")));
}

TEST(Judge, StopsAtAnEmptySource) {
    EXPECT_THAT(judge(plan_of(5, 5), {}, Former{5}, false), ElementsAre(HasSubstr("min_files")));
    EXPECT_THAT(judge(plan_of(5, 5), {.min_files = 0}, Former{5}, false), IsEmpty());
}

TEST(Judge, StopsAtAForeignOrVanishedTarget) {
    EXPECT_THAT(judge(plan_of(5, 1), {}, std::nullopt, false), ElementsAre(HasSubstr("never run")));
    Plan anew;
    anew.source_files = 9;
    for (int i = 0; i < 9; ++i) anew.count({Change::Kind::add, false, 1, "a"});
    EXPECT_THAT(judge(anew, {}, std::nullopt, false), IsEmpty());
    EXPECT_THAT(judge(anew, {}, Former{9}, false), ElementsAre(HasSubstr("target is empty")));
}

TEST(Judge, WantsTheMarker) {
    Plan plan = plan_of(5, 0);
    EXPECT_THAT(judge(plan, {}, Former{5}, true), ElementsAre(HasSubstr("marker")));
    plan.marker_found = true;
    EXPECT_THAT(judge(plan, {}, Former{5}, true), IsEmpty());
}

TEST(Plan, KeepsFewExamples) {
    Plan plan = plan_of(1000, 500);
    EXPECT_EQ(plan.examples.size(), Plan::kMostExamples);
    EXPECT_EQ(plan.removed, 500U);
}

TEST(Stamp, IsReadBack) {
    Time time{1'795'773'600, 5, 3600};
    EXPECT_EQ(stamp_of(time), "2026-11-27T100000Z");
    ASSERT_TRUE(parse_stamp(stamp_of(time)));
    EXPECT_EQ(parse_stamp(stamp_of(time))->seconds, time.seconds);
    for (const char* wrong : {"", "2026-11-27", "2026-11-27T10:00:00Z", "2026-02-30T100000Z",
                              "2026-11-27T100000Zx", "../../../etc/passwdd"})
        EXPECT_FALSE(parse_stamp(wrong)) << wrong;
}

TEST(Item, Understands) {
    struct Row {
        const char* line;
        Item::Kind kind;
        bool folder;
        uint64_t bytes;
        std::string path;
    };
    using Kind = Item::Kind;
    for (const Row& row :
         std::initializer_list<Row>{{"item:>f+++++++++:12:a b", Kind::add, false, 12, "a b"},
                                    {"item:<f.st......:3:x:y", Kind::change, false, 3, "x:y"},
                                    {"item:>fc........:3:x", Kind::change, false, 3, "x"},
                                    {"item:.f          :3:x", Kind::same, false, 3, "x"},
                                    {"item:hf          :3:x", Kind::same, false, 3, "x"},
                                    {"item:.f...p.....:3:x", Kind::attributes, false, 3, "x"},
                                    {"item:.d..t......:4096:d/", Kind::attributes, true, 4096, "d"},
                                    {"item:cLc.T......:4:link", Kind::change, false, 4, "link"},
                                    {"item:*deleting  :0:gone/", Kind::remove, true, 0, "gone"},
                                    {"item:*deleting  :0:new\\#012line\\#134#012", Kind::remove,
                                     false, 0, "new\nline\\#012"},
                                    {"item:>f+++++++++:1:\\#37", Kind::add, false, 1, "\\#37"}}) {
        auto item = parse_item(row.line);
        ASSERT_TRUE(item) << row.line;
        EXPECT_EQ(item->kind, row.kind) << row.line;
        EXPECT_EQ(item->folder, row.folder) << row.line;
        EXPECT_EQ(item->bytes, row.bytes) << row.line;
        EXPECT_EQ(item->path, row.path) << row.line;
    }
}

TEST(Item, LeavesOtherLinesAlone) {
    for (const char* line : {"", "item:", "item:>f", "item:>f+++++++++:", "item:>f+++++++++:x:y",
                             "item:>f+++++++++:1:", "skipping non-regular file \"item:x\"",
                             "item:*strange   :0:x", "item:>f+++++++++:99999999999999999999:x"})
        EXPECT_FALSE(parse_item(line)) << line;
}

TEST(RemoteShell, IsQuotedAsRsyncReadsIt) {
    EXPECT_EQ(remote_shell({"ssh", "-i", "/a b/it's", ""}), "'ssh' '-i' '/a b/it''s' ''");
}

}  // namespace
}  // namespace sevenfold::mirror
