#include "world.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "crypto/sha256.h"
#include "os/file.h"
#include "repository/snapshot.h"
#include "repository/walk.h"

namespace sevenfold::sim {

namespace fs = std::filesystem;
using repository::BlobType;
using repository::Node;
using repository::Repository;

std::vector<uint64_t> seeds(uint64_t usual_runs) {
    if (const char* one = std::getenv("SEVENFOLD_SIM_SEED")) return {std::stoull(one)};
    if (const char* runs = std::getenv("SEVENFOLD_SIM_RUNS")) usual_runs = std::stoull(runs);
    std::vector<uint64_t> out(usual_runs);
    for (uint64_t n = 0; n < usual_runs; ++n) out[n] = n + 1;
    return out;
}

Secret password() { return Secret("only for tests"); }

repository::CreateOptions create_options() {
    return {.chunker_polynomial = repository::parse_polynomial("3da3358b4dc173"),
            .key = {.kdf_time = std::chrono::milliseconds(0)}};
}

Source::Source(uint64_t seed) : path_(folder_ / "source"), random_(seed) {
    fs::create_directories(path_);
    for (int i = 0; i < 3; ++i) change();
}

void Source::change() {
    for (int i = 0; i < 4; ++i) {
        std::string dir = fmt::format("{}/d{}", path_, random_.below(3));
        fs::create_directories(dir);
        // Few different contents, so that sources and backups share some.
        Bytes body = storage::test_body(200 + random_.below(4) * 700, random_.below(40));
        std::ofstream(fmt::format("{}/f{}", dir, random_.below(6)), std::ios::binary)
            .write(reinterpret_cast<const char*>(body.data()),
                   static_cast<std::streamsize>(body.size()));
    }
    fs::remove(fmt::format("{}/d{}/f{}", path_, random_.below(3), random_.below(6)));
}

Content Source::content() const {
    Content out;
    for (const auto& entry : fs::recursive_directory_iterator(path_))
        out[entry.path().string().substr(path_.size())] =
            entry.is_regular_file() ? crypto::sha256(os::read_file(entry.path())) : Id{};
    return out;
}

Content restored(const Repository& repository, const Id& tree, const std::string& folder) {
    Content out;
    walk_paths(repository, find_subtree(repository, tree, folder), "",
               {.visit = [&](const std::string& path, const Node& node) {
                   Bytes content;
                   for (const Id& id : node.content)
                       append(content, repository.load_blob({BlobType::data, id}));
                   if (node.is_file() && content.size() != node.size)
                       throw Error(ErrorKind::corrupt, path + ": wrong length");
                   out[path] = node.is_file() ? crypto::sha256(content) : Id{};
                   return repository::Step::into;
               }});
    return out;
}

void expect_kept(const Repository& repository, const Promise& promise) {
    try {
        auto snapshot = load_snapshot(repository, promise.snapshot);
        EXPECT_EQ(restored(repository, snapshot.tree, promise.folder), promise.content);
    } catch (const Error& error) {
        ADD_FAILURE() << "a saved snapshot is lost: " << error.message();
    }
}

void expect_sound(Repository& repository) {
    auto report = check(repository, {.read_data = {.kind = repository::ReadData::Kind::all}});
    EXPECT_TRUE(report.ok());
    for (const auto& finding : report.findings)
        if (finding.severity == repository::Severity::error)
            ADD_FAILURE() << finding.object << ": " << finding.message;
}

files::ArchiveOptions backup_options(const Source& source, bool index_often) {
    files::ArchiveOptions options;
    options.targets = {source.path()};
    options.hostname = "host";
    options.workers = 1;
    options.writer.pack_target = 4000;
    if (index_often) options.writer.checkpoint_every = {};
    return options;
}

std::optional<Id> newest_tree(const Repository& repository) {
    auto all = load_snapshots(repository);
    return all.empty() ? std::nullopt : std::optional(all.back().tree);
}

}  // namespace sevenfold::sim
