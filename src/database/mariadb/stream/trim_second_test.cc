#include "database/mariadb/stream/trim_second.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "database/mariadb/stream/second_spool.h"
#include "os/file.h"
#include "repository/testing/memory_repo.h"
#include "storage/testing/contract.h"

namespace sevenfold::database::mariadb {
namespace {

const std::string kIncarnation = "0002-server1-20260101T000000Z";

struct TrimSecond : testing::Test {
    storage::TestFolder folder;
    std::string spool = folder / "spool";
    crypto::CipherKey key = crypto::CipherKey::generate();
    repository::testing::MemoryRepo one, two;
    std::unique_ptr<repository::Repository> first = one.open(), second = two.open();
    Sealer sealer{
        {.spool = spool, .database = "main", .host = "h", .user = "u", .places = {"one", "two"}}};
    std::unique_ptr<PartStore> store = open_part_folder(folder / "second");

    // Into both spools.
    LogPosition receive(const std::string& file, size_t size) {
        Bytes bytes(size, 'x');
        os::make_dirs(spool + "/" + kIncarnation);
        os::write_file_atomically(spool + "/" + kIncarnation + "/" + file, bytes);
        auto target = open_folder_target(folder / "second", key);
        target->append(kIncarnation, file, 0, bytes);
        target->sync();
        return {kIncarnation, file, size};
    }
    void seal(const char* place, const LogPosition& until) {
        auto& repository = std::string(place) == "one" ? first : second;
        EXPECT_FALSE(sealer.seal({{place, repository.get()}}, until)[0].error);
    }
    std::set<std::string> files() {
        std::set<std::string> out;
        for (const auto& part : store->list()) out.insert(parse_part_name(part.name)->file);
        return out;
    }
    size_t trim() { return trim_second_spool(*store, key, spool, sealer); }
};

TEST_F(TrimSecond, OnlyWhatEveryPlaceHasInFull) {
    LogPosition begin = receive("bin.000001", 1000);
    for (const char* file : {"bin.000002", "bin.000003"}) receive(file, 1000);
    LogPosition end = receive("bin.000004", 1000);
    EXPECT_EQ(trim(), 0u);
    seal("one", end);
    EXPECT_EQ(trim(), 0u);  // the other place was never sealed
    begin.offset = 900;
    seal("two", begin);
    EXPECT_EQ(trim(), 0u);  // it has not all of it
    seal("two", end);
    EXPECT_EQ(trim(), 2u);
    EXPECT_EQ(files(), (std::set<std::string>{"bin.000003", "bin.000004"}));
}

TEST_F(TrimSecond, WhatOnlyTheSecondSpoolHasStays) {
    receive("bin.000001", 1000);
    LogPosition end = receive("bin.000002", 1000);
    end.offset = 600;
    seal("one", end);
    seal("two", end);
    // The machine is lost; another one begins with an empty spool.
    std::filesystem::remove_all(spool);
    EXPECT_EQ(trim(), 1u);
    EXPECT_EQ(files(), std::set<std::string>{"bin.000002"});
}

}  // namespace
}  // namespace sevenfold::database::mariadb
