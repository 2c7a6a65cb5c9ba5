#include "files/testing/archive_fixture.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "crypto/sha256.h"
#include "os/file.h"
#include "repository/check.h"
#include "repository/walk.h"

namespace sevenfold::files::testing {

namespace fs = std::filesystem;
using repository::BlobType;
using repository::Node;
using repository::NodeType;
using repository::Repository;
using repository::testing::MemoryRepo;

namespace {

struct stat stat_of(const std::string& path) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) throw errno_error("stat " + path);
    return st;
}

std::string describe(const Node& node, const Bytes& content) {
    std::string out =
        fmt::format("{} {:o} {} {}.{:09}", name(node.type), repository::permission_bits(node.mode),
                    node.uid, node.mtime.seconds, node.mtime.nanoseconds);
    if (node.is_file())
        out += fmt::format(" {} {}", node.size, crypto::sha256(content).short_hex());
    return out + " " + node.link_target;
}

}  // namespace

Listing on_disk(const std::string& root) {
    Listing out;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        struct stat st = stat_of(entry.path());
        if (S_ISSOCK(st.st_mode)) continue;
        Node node;
        node.type = repository::node_type(st.st_mode);
        node.mode = repository::go_mode(st.st_mode);
        node.uid = st.st_uid;
        node.mtime = {st.st_mtim.tv_sec, static_cast<int32_t>(st.st_mtim.tv_nsec)};
        Bytes content;
        if (node.is_file()) content = os::read_file(entry.path());
        node.size = content.size();
        if (node.type == NodeType::symlink) node.link_target = fs::read_symlink(entry.path());
        out[entry.path().string().substr(root.size() + 1)] = describe(node, content);
    }
    return out;
}

Bytes content_of(const Repository& repository, const Node& node) {
    Bytes content;
    for (const Id& id : node.content) append(content, repository.load_blob({BlobType::data, id}));
    return content;
}

Listing in_snapshot(const Repository& repository, const Id& tree, const std::string& folder) {
    Listing out;
    walk_paths(repository, find_subtree(repository, tree, folder), "",
               {.visit = [&](const std::string& path, const Node& node) {
                   Bytes content;
                   if (node.is_file()) content = content_of(repository, node);
                   EXPECT_TRUE(!node.is_file() || content.size() == node.size) << path;
                   out[path.substr(1)] = describe(node, content);
                   return repository::Step::into;
               }});
    return out;
}

Node find_node(const Repository& repository, const Id& tree, const std::string& path) {
    std::string parent = fs::path(path).parent_path();
    for (const Node& node : repository.load_tree(find_subtree(repository, tree, parent)))
        if (node.name == fs::path(path).filename()) return node;
    throw Error(ErrorKind::not_found, path);
}

ArchiveOptions in_step() {
    return {.workers = 1,
            .writer = {.pack_target = 100'000, .compression = repository::Compression::off}};
}

ArchiveTest::ArchiveTest() { fs::create_directory(source_); }

void ArchiveTest::write(const std::string& name, ByteView content) {
    std::string path = source_ + "/" + name;
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()),
               static_cast<std::streamsize>(content.size()));
}

void ArchiveTest::write(const std::string& name, size_t size, uint64_t seed) {
    write(name, storage::test_body(size, seed));
}

ArchiveResult ArchiveTest::run(ArchiveOptions options, bool compare) {
    a_ = repo_a_.open(), b_ = repo_b_.open();
    if (options.targets.empty()) options.targets = {source_};
    if (options.hostname.empty()) options.hostname = "host";
    if (compare && last_) {
        options.compare_repository = a_.get();
        options.compare_tree = last_;
    }
    options.on_issue = [&](const ItemIssue& issue) { issues_.push_back(issue); };
    issues_.clear();
    ArchiveResult result = archive({{"a", a_.get()}, {"b", b_.get()}}, options);
    if (result.tree && !options.dry_run) last_ = result.tree;
    return result;
}

void ArchiveTest::expect_saved(const ArchiveResult& result) {
    for (const PlaceResult& place : result.places) {
        EXPECT_EQ(place.state, PlaceResult::State::saved)
            << (place.error ? place.error->message() : "");
        EXPECT_EQ(place.snapshot.tree, result.tree);
    }
    for (MemoryRepo* repo : {&repo_a_, &repo_b_}) {
        auto opened = repo->open();
        EXPECT_EQ(in_snapshot(*opened, *result.tree, source_), on_disk(source_));
        auto report = check(*opened, {.read_data = {repository::ReadData::Kind::all}});
        // Warnings are fine: an interrupted run may leave packs that no index lists.
        for (const auto& finding : report.findings)
            if (finding.severity == repository::Severity::error)
                ADD_FAILURE() << finding.object << ": " << finding.message;
    }
}

}  // namespace sevenfold::files::testing
