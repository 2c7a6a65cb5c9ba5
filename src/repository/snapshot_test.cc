#include "repository/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "storage/memory/memory_backend.h"

namespace sevenfold::repository {
namespace {

using storage::FileType;
using ::testing::HasSubstr;

const std::string kId1(64, '1'), kId2(64, '2'), kId3(64, '3');

std::unique_ptr<Repository> new_repository() {
    return Repository::create(std::make_unique<storage::MemoryBackend>(), Secret("x"),
                              {.key = {.kdf_time = std::chrono::milliseconds(0)}});
}

Snapshot snapshot_at(const char* time, std::string host = "web1",
                     std::vector<std::string> tags = {}) {
    Snapshot out;
    out.time = parse_rfc3339(time);
    out.tree = *Id::parse(kId1);
    out.paths = {"/srv/a", "/srv/b"};
    out.hostname = std::move(host);
    out.tags = std::move(tags);
    return out;
}

Error failure(const std::function<void()>& run) {
    try {
        run();
    } catch (const Error& error) {
        return error;
    }
    return Error(ErrorKind::internal, "no error");
}

TEST(Snapshot, HasResticsBytes) {
    // As restic 0.14 stores it for a user other than root, and as 0.17 does, with a summary.
    std::string old_form =
        R"({"time":"2026-11-22T23:59:12.214643178+05:45","parent":")" + kId2 + R"(","tree":")" +
        kId1 +
        R"(","paths":["/srv/\u003ca\u003e"],"hostname":"h","username":"u","uid":1000,"gid":33,)" +
        R"("excludes":["*.tmp"],"tags":["a","b"],"original":")" + kId3 + R"("})";
    std::string new_form =
        R"({"time":"2026-11-22T23:59:12Z","tree":")" + kId1 +
        R"(","paths":["/"],"hostname":"h","username":"root","program_version":"restic 0.17.0",)" +
        R"("summary":{"backup_start":"2026-11-22T23:59:12Z","backup_end":"2026-11-22T23:59:13.5Z",)" +
        R"("files_new":1,"files_changed":2,"files_unmodified":3,"dirs_new":4,"dirs_changed":5,)" +
        R"("dirs_unmodified":6,"data_blobs":7,"tree_blobs":8,"data_added":9,"data_added_packed":10,)" +
        R"("total_files_processed":11,"total_bytes_processed":12}})";
    for (const std::string& json : {old_form, new_form})
        EXPECT_EQ(encode_snapshot(decode_snapshot(as_bytes(json))), json);
    Snapshot snapshot = decode_snapshot(as_bytes(old_form));
    EXPECT_EQ(snapshot.paths.at(0), "/srv/<a>");
    EXPECT_TRUE(snapshot.has_tag("b"));
    EXPECT_FALSE(snapshot.has_tag("c"));
    EXPECT_EQ(decode_snapshot(as_bytes(new_form)).summary->total_bytes_processed, 12u);
    for (size_t n = 0; n < new_form.size(); ++n)
        EXPECT_THROW(decode_snapshot(as_bytes(new_form.substr(0, n))), Error) << n;
}

TEST(Snapshot, RefusesWithoutTimeOrTreeAndSkipsWhatRusticAdds) {
    std::string start = R"({"time":"2026-11-22T23:59:12Z")", tree = R"(,"tree":")" + kId1 + '"';
    EXPECT_NO_THROW(decode_snapshot(as_bytes(
        start + tree + R"(,"paths":null,"label":"","delete":{"After":"x"},"parents":[]})")));
    EXPECT_THROW(decode_snapshot(as_bytes(start + "}")), Error);
    EXPECT_THROW(decode_snapshot(as_bytes("{" + tree.substr(1) + "}")), Error);
    EXPECT_THROW(decode_snapshot(as_bytes(start + R"(,"tree":null})")), Error);
    EXPECT_THROW(decode_snapshot(as_bytes(start + tree + R"(,"paths":"/"})")), Error);
}

TEST(SnapshotFilter, MatchesAsResticDoes) {
    Snapshot snapshot = snapshot_at("2026-11-22T12:00:00Z", "web1", {"a", "b"});
    using Tags = std::vector<std::vector<std::string>>;
    auto tags = [&](Tags lists) { return SnapshotFilter{.tag_lists = lists}.matches(snapshot); };
    EXPECT_TRUE(SnapshotFilter{}.matches(snapshot));
    EXPECT_TRUE((SnapshotFilter{.hosts = {"web2", "web1"}}.matches(snapshot)));
    EXPECT_FALSE(SnapshotFilter{.hosts = {"web2"}}.matches(snapshot));
    EXPECT_TRUE(tags({{"a"}}));
    EXPECT_TRUE(tags({{"b", "a"}}));
    EXPECT_FALSE(tags({{"a", "c"}}));
    EXPECT_TRUE(tags({{"c"}, {"b"}}));
    EXPECT_FALSE(tags({{""}}));
    EXPECT_TRUE((SnapshotFilter{.tag_lists = {{""}}}.matches(snapshot_at("2026-11-22T12:00:00Z"))));
    EXPECT_TRUE((SnapshotFilter{.paths = {"/srv/b", "/srv/a"}}.matches(snapshot)));
    EXPECT_FALSE((SnapshotFilter{.paths = {"/srv/b", "/srv/c"}}.matches(snapshot)));
    EXPECT_FALSE((SnapshotFilter{.paths = {"/srv"}}.matches(snapshot)));
}

TEST(Snapshots, AreSavedListedAndFound) {
    auto repo = new_repository();
    EXPECT_EQ(failure([&] { find_snapshot(*repo, "latest", {}); }).kind(), ErrorKind::not_found);
    Snapshot middle = snapshot_at("2026-11-22T14:00:00+01:00", "web2"),
             newest = snapshot_at("2026-11-22T13:30:00Z", "web1", {"nightly"}),
             oldest = snapshot_at("2026-11-20T12:00:00Z");
    for (Snapshot* one : {&middle, &newest, &oldest}) save_snapshot(*repo, *one);

    std::vector<Snapshot> all = load_snapshots(*repo);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].id, oldest.id);
    EXPECT_EQ(all[1].id, middle.id);
    EXPECT_EQ(all[2].id, newest.id);

    EXPECT_EQ(find_snapshot(*repo, "latest", {}).snapshot.id, newest.id);
    EXPECT_EQ(find_snapshot(*repo, "latest", {.hosts = {"web2"}}).snapshot.id, middle.id);
    EXPECT_EQ(failure([&] { find_snapshot(*repo, "latest", {.hosts = {"db"}}); }).kind(),
              ErrorKind::not_found);
    EXPECT_EQ(find_snapshot(*repo, oldest.id.hex(), {.hosts = {"db"}}).snapshot.id, oldest.id);
    SnapshotSpec spec = find_snapshot(*repo, middle.id.hex().substr(0, 20) + ":/a//b/", {});
    EXPECT_EQ(spec.snapshot.id, middle.id);
    EXPECT_EQ(spec.subfolder, "a/b");
    EXPECT_EQ(find_snapshot(*repo, "latest:", {}).subfolder, "");

    Error missing = failure([&] { find_snapshot(*repo, "xyz", {}); });
    EXPECT_EQ(missing.kind(), ErrorKind::not_found);
    EXPECT_THAT(missing.hint(), HasSubstr("repo snapshots"));
    EXPECT_EQ(failure([&] { find_snapshot(*repo, kId1, {}); }).kind(), ErrorKind::not_found);
    EXPECT_EQ(failure([&] { find_snapshot(*repo, "", {}); }).kind(), ErrorKind::usage);
    EXPECT_EQ(failure([&] { find_snapshot(*repo, ":a", {}); }).kind(), ErrorKind::usage);
}

TEST(Snapshots, APrefixOfSeveralIsAmbiguous) {
    auto repo = new_repository();
    std::map<char, int> first_digits;
    char twice = 0;
    for (int i = 0; i < 17; ++i) {  // one more than there are digits
        Snapshot snapshot = snapshot_at("2026-11-22T12:00:00Z");
        save_snapshot(*repo, snapshot);
        if (++first_digits[snapshot.id.hex()[0]] == 2) twice = snapshot.id.hex()[0];
    }
    Error error = failure([&] { find_snapshot(*repo, std::string(1, twice), {}); });
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.hint(), HasSubstr("more digits"));
}

TEST(Snapshots, DamagedOnesAreNamedAndTheRestIsRead) {
    auto repo = new_repository();
    Snapshot good = snapshot_at("2026-11-22T12:00:00Z");
    save_snapshot(*repo, good);
    Id no_json = repo->save_unpacked(FileType::snapshot, as_bytes("{\"time\":1}"));
    Id garbage = *Id::parse(kId2);
    repo->backend().store({FileType::snapshot, garbage}, as_bytes("garbage"));

    Error error = failure([&] { load_snapshots(*repo); });
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    std::vector<Error> damaged;
    EXPECT_EQ(load_snapshots(*repo, &damaged).size(), 1u);
    ASSERT_EQ(damaged.size(), 2u);
    std::string messages = damaged[0].message() + '\n' + damaged[1].message();
    EXPECT_THAT(messages, HasSubstr(no_json.hex()));
    EXPECT_THAT(messages, HasSubstr(garbage.hex()));
    EXPECT_EQ(find_snapshot(*repo, "latest", {}).snapshot.id, good.id);
    EXPECT_EQ(failure([&] { find_snapshot(*repo, "latest", {.hosts = {"db"}}); }).kind(),
              ErrorKind::corrupt);
}

}  // namespace
}  // namespace sevenfold::repository
