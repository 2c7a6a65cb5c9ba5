#include "database/mariadb/stream/mirror.h"

#include <gtest/gtest.h>

#include "database/testing/running_receiver.h"
#include "os/file.h"
#include "storage/testing/contract.h"

namespace sevenfold::database::mariadb {
namespace {

using namespace std::chrono_literals;

const std::string kIncarnation = "0001-server1-20260101T000000Z";
const std::string kFile = "bin.000001";

TEST(Mirror, WhatIsCutOffLocallyIsVoidAtTheTargetToo) {
    storage::TestFolder folder;
    crypto::CipherKey key = crypto::CipherKey::generate();
    os::make_dirs(folder / ("spool/" + kIncarnation));
    std::string local = folder / ("spool/" + kIncarnation + "/" + kFile);
    auto at = [](uint64_t offset) { return LogPosition{kIncarnation, kFile, offset}; };
    auto store = open_part_folder(folder / "second");
    auto size = [&] {
        auto archive = open_sealed_spool(*store, key);
        return archive->segments().empty() ? 0 : archive->segments()[0].size;
    };
    MirrorOptions options{.spool = folder / "spool", .name = "second", .connect = [&] {
                              return open_folder_target(folder / "second", key);
                          }};
    os::write_file_atomically(local, Bytes(1000, 'a'));
    {
        Mirror mirror(options);
        mirror.request(at(1000));
        ASSERT_TRUE(mirror.wait(at(1000), 10s));
        EXPECT_EQ(size(), 1000u);
        os::write_file_atomically(local, Bytes(700, 'a'));
        mirror.rewind(at(700));
        EXPECT_FALSE(mirror.wait(at(701), 0s));
        EXPECT_TRUE(eventually([&] { return size() == 700; }));
        os::write_file_atomically(local, Bytes(800, 'a'));
        mirror.request(at(800));
        ASSERT_TRUE(mirror.wait(at(800), 10s));
        EXPECT_EQ(size(), 800u);
    }
    // Another run: what came since the cut is not cut again.
    options.copied = at(800);
    os::write_file_atomically(local, Bytes(900, 'a'));
    Mirror mirror(options);
    mirror.request(at(900));
    ASSERT_TRUE(mirror.wait(at(900), 10s));
    EXPECT_EQ(size(), 900u);
}

}  // namespace
}  // namespace sevenfold::database::mariadb
