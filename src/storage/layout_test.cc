#include "storage/layout.h"

#include <gtest/gtest.h>

namespace sevenfold::storage {
namespace {

TEST(Layout, TemporaryNamesAreOursAndRestics) {
    const std::string id(64, 'a');
    for (const std::string suffix : {"-tmp-0123456789abcdef", "-tmp-7", "-tmp-4294967295",
                                     "-restic-temp-0123456789abcdef0123456789abcdef"}) {
        EXPECT_TRUE(is_temporary_name(FileType::pack, id + suffix)) << suffix;
        EXPECT_TRUE(is_temporary_name(FileType::config, "config" + suffix)) << suffix;
        EXPECT_FALSE(is_temporary_name(FileType::config, id + suffix)) << suffix;
        EXPECT_FALSE(is_temporary_name(FileType::key, "config" + suffix)) << suffix;
        EXPECT_FALSE(is_temporary_name(FileType::key, id.substr(1) + suffix)) << suffix;
        EXPECT_FALSE(is_temporary_name(FileType::key, id + suffix + "x")) << suffix;
        EXPECT_FALSE(is_temporary_name(FileType::key, "x" + id + suffix)) << suffix;
        EXPECT_FALSE(is_temporary_name(FileType::key, suffix)) << suffix;
    }
    for (const std::string suffix : {"", "-", "-tmp-", "-tmp-0123456789abcdeF", "-tmp-abc",
                                     "-restic-temp-", "-restic-temp-12", "-temp-1", ".tmp-1"})
        EXPECT_FALSE(is_temporary_name(FileType::pack, id + suffix)) << suffix;
}

TEST(Layout, PackFoldersAreTwoLowerHexDigits) {
    EXPECT_EQ(pack_folder("00"), 0);
    EXPECT_EQ(pack_folder("af"), 0xaf);
    for (const char* other : {"", "a", "AF", "aF", "0g", "000", "tmp"})
        EXPECT_FALSE(pack_folder(other)) << other;
}

TEST(Layout, EachFolderIsNewOnce) {
    StoredInto stored;
    FileName pack{FileType::pack, {}}, other_pack = pack;
    other_pack.id.bytes[0] = 255;
    for (const FileName& name : {pack, other_pack, FileName{FileType::config},
                                 FileName{FileType::lock}, FileName{FileType::index}}) {
        EXPECT_TRUE(stored.first_time(name)) << name.display();
        EXPECT_FALSE(stored.first_time(name)) << name.display();
    }
}

}  // namespace
}  // namespace sevenfold::storage
