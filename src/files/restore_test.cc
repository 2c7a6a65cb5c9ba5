#include "files/restore.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "core/random.h"
#include "crypto/sha256.h"
#include "os/child_process.h"
#include "os/file.h"
#include "os/metadata.h"
#include "os/sparse.h"
#include "repository/snapshot.h"
#include "repository/testing/restic_repo.h"
#include "repository/writer.h"
#include "storage/local/local_backend.h"
#include "storage/memory/memory_backend.h"

namespace sevenfold::files {
namespace {

namespace fs = std::filesystem;
using repository::BlobType;
using repository::Node;
using repository::NodeType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TempDir {
  public:
    TempDir() {
        std::string pattern = ::testing::TempDir() + "restore-XXXXXX";
        if (!::mkdtemp(pattern.data())) throw errno_error("mkdtemp");
        path_ = pattern;
    }
    ~TempDir() { fs::remove_all(path_); }
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

  private:
    std::string path_;
};

std::string content_of(const std::string& path) {
    Bytes content = os::read_file(path);
    return std::string(as_text(content));
}

std::string noise(size_t size, uint64_t seed = 1) {
    SplitMix64 random(seed);
    std::string out(size, 0);
    for (char& c : out) c = static_cast<char>(random.next());
    return out;
}

struct stat stat_of(const std::string& path) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) throw errno_error("stat " + path);
    return st;
}

// A repository in memory, filled by hand: also with what no backup would write.
class RestoreTest : public ::testing::Test {
  protected:
    RestoreTest() {
        auto backend = std::make_unique<storage::MemoryBackend>();
        memory_ = backend.get();
        repository_ = repository::Repository::create(
            std::move(backend), Secret("x"), {.key = {.kdf_time = std::chrono::milliseconds(0)}});
        repository_->load_index();
        writer_.emplace(std::vector<repository::WriterPlace>{{"here", repository_.get(), nullptr}},
                        repository::WriterOptions{.pack_target = 1 << 20});
        worker_.emplace(*writer_);
    }

    static Node node(std::string name, NodeType type, uint32_t mode) {
        Node n;
        n.name = std::move(name);
        n.type = type;
        n.mode = mode;
        n.mtime = {1600000000, 123456789};
        n.atime = n.ctime = n.mtime;
        n.uid = ::geteuid();
        n.gid = ::getegid();
        n.links = 1;
        return n;
    }
    Node file(std::string name, std::string_view text, size_t chunk = 100000) {
        Node n = node(std::move(name), NodeType::file, 0644);
        n.size = text.size();
        for (size_t at = 0; at < text.size(); at += chunk)
            n.content.push_back(worker_->add(BlobType::data, as_bytes(text.substr(at, chunk))));
        return n;
    }
    Node link(std::string name, std::string target) {
        Node n = node(std::move(name), NodeType::symlink, 0777 | 1U << 27);
        n.link_target = std::move(target);
        return n;
    }
    Id tree(std::vector<Node> nodes) {
        std::ranges::sort(nodes, {}, &Node::name);
        return worker_->add(BlobType::tree, repository::encode_tree(nodes));
    }
    Node folder(std::string name, std::vector<Node> nodes, uint32_t mode = 0755) {
        Node n = node(std::move(name), NodeType::dir, mode | 1U << 31);
        n.subtree = tree(std::move(nodes));
        return n;
    }
    void finish() {
        if (!writer_) return;
        worker_.reset();
        writer_->finish();
        writer_.reset();
    }
    RestoreResult restore(const Id& root, RestoreOptions options = {}) {
        finish();
        options.target = target_;
        options.tree = root;
        return files::restore(*repository_, options);
    }
    static void expect_clean(const RestoreResult& result) {
        for (const RestoreProblem& p : result.problems)
            ADD_FAILURE() << p.path << ": " << p.error.message();
    }

    TempDir dir_;
    std::string target_ = dir_ / "target";
    storage::MemoryBackend* memory_ = nullptr;
    std::unique_ptr<repository::Repository> repository_;
    std::optional<repository::BlobWriter> writer_;
    std::optional<repository::BlobWriter::Worker> worker_;
};

TEST_F(RestoreTest, BringsBackContentAndMetadata) {
    std::string big = noise(1 << 20);
    Node secret = file("secret", "s");
    secret.mode = 0400 | 1U << 23;  // setuid
    secret.extended_attributes = {{"user.colour", to_bytes("blue")}};
    Id root = tree({folder("a",
                           {file("big", big), file("empty", ""), secret,
                            folder("deep", {file("x", "x")}, 0500)},
                           0750),
                    link("link", "a/big"), file("na\nme\xff", "odd"),
                    node("pipe", NodeType::fifo, 0640 | 1U << 25)});
    RestoreResult result = restore(root, {.verify = true});
    expect_clean(result);
    EXPECT_EQ(content_of(target_ + "/a/big"), big);
    EXPECT_EQ(content_of(target_ + "/a/empty"), "");
    EXPECT_EQ(content_of(target_ + "/na\nme\xff"), "odd");
    EXPECT_EQ(content_of(target_ + "/a/deep/x"), "x");
    EXPECT_EQ(fs::read_symlink(target_ + "/link"), "a/big");
    EXPECT_EQ(stat_of(target_ + "/a").st_mode, 0750U | S_IFDIR);
    EXPECT_EQ(stat_of(target_ + "/a/deep").st_mode, 0500U | S_IFDIR);
    EXPECT_EQ(stat_of(target_ + "/a/secret").st_mode, 0400U | S_ISUID | S_IFREG);
    EXPECT_EQ(stat_of(target_ + "/pipe").st_mode, 0640U | S_IFIFO);
    for (const char* name :
         {"/a", "/a/big", "/a/empty", "/link", "/pipe", "/a/deep", "/a/deep/x"}) {
        EXPECT_EQ(stat_of(target_ + name).st_mtim.tv_sec, 1600000000) << name;
        EXPECT_EQ(stat_of(target_ + name).st_mtim.tv_nsec, 123456789) << name;
    }
    std::vector<Error> problems;
    EXPECT_EQ(os::read_xattrs(AT_FDCWD, (target_ + "/a/secret").c_str(), problems),
              (std::vector<os::Xattr>{{"user.colour", to_bytes("blue")}}));
    EXPECT_EQ(result.files, 5U);
    EXPECT_EQ(result.verified, 5U);
    EXPECT_EQ(result.folders, 2U);
    EXPECT_EQ(result.others, 2U);
    EXPECT_EQ(result.bytes, big.size() + 5);
}

TEST_F(RestoreTest, SecondRunKeepsWhatIsRight) {
    std::string big = noise(1 << 20);
    Id root = tree({file("big", big), file("small", "small"), file("short", "12345")});
    expect_clean(restore(root));
    std::string damaged = big;
    damaged[500000] ^= 1;
    os::pwrite_all(os::open_file(target_ + "/big", O_WRONLY).get(), as_bytes(damaged), 0, "big");
    fs::resize_file(target_ + "/short", 9);
    ino_t inode = stat_of(target_ + "/big").st_ino;
    RestoreResult result = restore(root);
    expect_clean(result);
    EXPECT_EQ(content_of(target_ + "/big"), big);
    EXPECT_EQ(content_of(target_ + "/short"), "12345");
    EXPECT_EQ(stat_of(target_ + "/big").st_ino, inode);
    EXPECT_EQ(stat_of(target_ + "/big").st_mtim.tv_sec, 1600000000);
    EXPECT_EQ(result.unchanged, 1U);
    EXPECT_EQ(result.files, 2U);
    EXPECT_EQ(result.bytes, 100000U);  // the one damaged chunk
}

TEST_F(RestoreTest, OverwriteDecidesByTheRules) {
    Id root = tree({file("f", "right")});
    auto run = [&](Overwrite overwrite, std::string_view there, int64_t mtime) {
        fs::create_directories(target_);
        os::write_file_atomically(target_ + "/f", as_bytes(there));
        timespec times[2] = {{mtime, 123456789}, {mtime, 123456789}};
        ::utimensat(AT_FDCWD, (target_ + "/f").c_str(), times, 0);
        RestoreResult result = restore(root, {.overwrite = overwrite});
        expect_clean(result);
        return content_of(target_ + "/f");
    };
    EXPECT_EQ(run(Overwrite::never, "wrong", 1), "wrong");
    EXPECT_EQ(run(Overwrite::if_newer, "wrong", 1600000001), "wrong");
    EXPECT_EQ(run(Overwrite::if_newer, "wrong", 1599999999), "right");
    EXPECT_EQ(run(Overwrite::if_changed, "wrong", 1600000000), "wrong");
    EXPECT_EQ(run(Overwrite::if_changed, "wrong", 1600000001), "right");
    EXPECT_EQ(run(Overwrite::if_changed, "wrong longer", 1600000000), "right");
    EXPECT_EQ(run(Overwrite::always, "wrong", 1600000000), "right");
}

TEST_F(RestoreTest, OverwriteNeverLeavesFoldersAsTheyAre) {
    Id root = tree({folder("a", {file("f", "right")})});
    for (auto [mode, left] : {std::pair{Overwrite::never, true}, {Overwrite::always, false}}) {
        fs::create_directories(target_ + "/a");
        fs::permissions(target_ + "/a", fs::perms(0711));
        expect_clean(restore(root, {.overwrite = mode}));
        EXPECT_EQ(content_of(target_ + "/a/f"), "right");
        EXPECT_EQ(fs::status(target_ + "/a").permissions() == fs::perms(0711), left);
    }
}

TEST_F(RestoreTest, DryRunChangesNothing) {
    Id root = tree({folder("a", {file("f", "right")}), file("g", "g"), link("l", "x")});
    RestoreResult result = restore(root, {.dry_run = true});
    expect_clean(result);
    EXPECT_FALSE(os::path_exists(target_));
    EXPECT_EQ(result.files, 2U);
    EXPECT_EQ(result.folders, 1U);
    fs::create_directories(target_ + "/a");
    os::write_file_atomically(target_ + "/g", as_bytes("h"));
    os::write_file_atomically(target_ + "/extra", as_bytes("h"));
    result = restore(root, {.delete_extra = true, .dry_run = true});
    EXPECT_EQ(result.files, 2U);
    EXPECT_EQ(result.deleted, 1U);
    EXPECT_EQ(content_of(target_ + "/g"), "h");
    EXPECT_TRUE(os::path_exists(target_ + "/extra"));
    EXPECT_FALSE(os::path_exists(target_ + "/a/f"));
}

TEST_F(RestoreTest, DeleteExtraTakesOnlyWhatTheSnapshotLacks) {
    Id root = tree({folder("a", {file("f", "f")}), folder("b", {})});
    fs::create_directories(target_ + "/a/old/deep");
    fs::create_directories(dir_ / "elsewhere");
    os::write_file_atomically(dir_ / "elsewhere/kept", as_bytes("kept"));
    os::write_file_atomically(target_ + "/a/old/deep/file", as_bytes("x"));
    os::write_file_atomically(target_ + "/a/keep.log", as_bytes("x"));
    fs::create_symlink(dir_ / "elsewhere", target_ + "/a/link");
    RestoreResult result = restore(
        root, {.select = Select(SelectOptions{.exclude = {"*.log"}}), .delete_extra = true});
    expect_clean(result);
    EXPECT_EQ(result.deleted, 4U);
    EXPECT_FALSE(os::path_exists(target_ + "/a/old"));
    EXPECT_FALSE(os::path_exists(target_ + "/a/link"));
    EXPECT_TRUE(os::path_exists(target_ + "/a/keep.log"));
    EXPECT_TRUE(os::path_exists(dir_ / "elsewhere/kept"));
}

TEST_F(RestoreTest, IncludeMakesOnlyTheFoldersItNeeds) {
    Id root = tree({folder("a", {file("x.txt", "1"), file("y.jpg", "2")}, 0711),
                    folder("b", {file("y.jpg", "2")}), file("z.txt", "3")});
    RestoreResult result =
        restore(root, {.select = Select(SelectOptions{.include = {"/a/*.txt", "/b/no*"}})});
    expect_clean(result);
    EXPECT_TRUE(os::path_exists(target_ + "/a/x.txt"));
    EXPECT_FALSE(os::path_exists(target_ + "/a/y.jpg"));
    EXPECT_FALSE(os::path_exists(target_ + "/b"));
    EXPECT_FALSE(os::path_exists(target_ + "/z.txt"));
    EXPECT_EQ(stat_of(target_ + "/a").st_mode & 07777, 0711U);
    EXPECT_EQ(result.folders, 1U);
}

TEST_F(RestoreTest, ZerosBecomeHoles) {
    std::string zeros(4 << 20, '\0');
    std::string mixed = noise(300000) + zeros + noise(100000, 2) + std::string(1 << 20, '\0');
    Id root = tree({file("zeros", zeros, 512 << 10), file("mixed", mixed, 1 << 20),
                    file("one", std::string(512 << 10, '\0'), 1 << 20)});
    expect_clean(restore(root, {.verify = true}));
    EXPECT_EQ(content_of(target_ + "/zeros"), zeros);
    EXPECT_EQ(content_of(target_ + "/mixed"), mixed);
    EXPECT_EQ(content_of(target_ + "/one").size(), size_t{512} << 10);
    EXPECT_EQ(stat_of(target_ + "/zeros").st_blocks, 0);
    EXPECT_EQ(stat_of(target_ + "/one").st_blocks, 0);
    EXPECT_LT(stat_of(target_ + "/mixed").st_blocks * 512, 700000);
    // In a file that held data before, too.
    os::pwrite_all(os::open_file(target_ + "/zeros", O_WRONLY).get(), as_bytes(noise(4 << 20)), 0,
                   "z");
    expect_clean(restore(root));
    EXPECT_EQ(content_of(target_ + "/zeros"), zeros);
    fs::remove_all(target_);
    expect_clean(restore(root, {.sparse = false}));
    EXPECT_GE(stat_of(target_ + "/zeros").st_blocks * 512, 4 << 20);
}

TEST_F(RestoreTest, HardLinksAreOneFile) {
    auto named = [&](const char* name) {
        Node n = file(name, "shared");
        n.inode = 7;
        n.device_id = 3;
        n.links = 3;
        return n;
    };
    Node stranger = file("other", "not the same content");
    stranger.inode = 7;
    stranger.device_id = 3;
    stranger.links = 3;
    Id root = tree({named("a"), folder("d", {named("b"), named("c")}), stranger});
    for (int run = 0; run < 2; ++run) {
        RestoreResult result = restore(root);
        expect_clean(result);
        EXPECT_EQ(result.hard_links, 2U);
        struct stat st = stat_of(target_ + "/a");
        EXPECT_EQ(st.st_nlink, 3U);
        EXPECT_EQ(stat_of(target_ + "/d/b").st_ino, st.st_ino);
        EXPECT_EQ(stat_of(target_ + "/d/c").st_ino, st.st_ino);
        EXPECT_EQ(content_of(target_ + "/other"), "not the same content");
        EXPECT_EQ(st.st_mtim.tv_sec, 1600000000);
    }
}

TEST_F(RestoreTest, NeverWritesThroughAHardLinkThatIsNotInTheSnapshot) {
    Id root = tree({file("f", "new")});
    fs::create_directories(target_);
    os::write_file_atomically(dir_ / "outside", as_bytes("old"));
    fs::create_hard_link(dir_ / "outside", target_ + "/f");
    expect_clean(restore(root));
    EXPECT_EQ(content_of(target_ + "/f"), "new");
    EXPECT_EQ(content_of(dir_ / "outside"), "old");
}

TEST_F(RestoreTest, OtherKindsInTheWayAreReplacedNotFollowed) {
    Id root = tree({file("file", "f"), folder("folder", {file("inside", "i")}), link("link", "x"),
                    file("was-empty-folder", "f"), file("was-full-folder", "f")});
    fs::create_directories(dir_ / "outside");
    os::write_file_atomically(dir_ / "victim", as_bytes("victim"));
    fs::create_directories(target_ + "/was-empty-folder");
    fs::create_directories(target_ + "/was-full-folder/full");
    fs::create_symlink(dir_ / "victim", target_ + "/file");
    fs::create_symlink(dir_ / "outside", target_ + "/folder");
    os::write_file_atomically(target_ + "/link", as_bytes("a file"));
    RestoreResult result = restore(root);
    ASSERT_THAT(result.problems, SizeIs(1));
    EXPECT_EQ(result.problems[0].path, "was-full-folder");
    EXPECT_EQ(content_of(dir_ / "victim"), "victim");
    EXPECT_TRUE(fs::is_empty(dir_ / "outside"));
    EXPECT_EQ(content_of(target_ + "/file"), "f");
    EXPECT_EQ(content_of(target_ + "/folder/inside"), "i");
    EXPECT_EQ(fs::read_symlink(target_ + "/link"), "x");
    expect_clean(restore(root, {.delete_extra = true}));
    EXPECT_EQ(content_of(target_ + "/was-full-folder"), "f");
}

TEST_F(RestoreTest, HostileNamesStayOut) {
    std::vector<Node> nodes;
    for (const char* name : {"..", ".", "/abs", "a/b", "../up", ""}) {
        nodes.push_back(file(name, "evil"));
    }
    Node up = folder("../up-folder", {file("x", "evil")});
    nodes.push_back(up);
    nodes.push_back(file("good", "good"));
    nodes.push_back(node("device", NodeType::chardev, 0666 | 1U << 26 | 1U << 21));
    nodes.push_back(node("socket", NodeType::socket, 0666 | 1U << 24));
    std::vector<std::string> notes;
    Id root = tree(nodes);
    RestoreResult result =
        restore(root, {.on_note = [&](const std::string& n) { notes.push_back(n); }});
    EXPECT_EQ(result.problem_count, 7U);
    for (const RestoreProblem& p : result.problems) EXPECT_EQ(p.error.kind(), ErrorKind::refused);
    EXPECT_EQ(result.left_out, 2U);
    EXPECT_THAT(notes, SizeIs(2));
    std::vector<std::string> present;
    for (const auto& e : fs::recursive_directory_iterator(dir_ / ""))
        present.push_back(e.path().filename());
    std::ranges::sort(present);
    EXPECT_THAT(present, ElementsAre("good", "target"));
}

TEST_F(RestoreTest, ALinkAndAFolderOfOneNameAreRefused) {
    // By hand, for the encoder CHECKs the order: first a link out, then "files below it".
    fs::create_directories(dir_ / "outside");
    Bytes json = to_bytes("{\"nodes\":[");
    repository::encode_node(json, link("x", dir_ / "outside"));
    append(json, as_bytes(","));
    repository::encode_node(json, folder("x", {file("evil", "evil")}));
    append(json, as_bytes("]}\n"));
    Id root = worker_->add(BlobType::tree, json);
    RestoreResult result = restore(root);
    EXPECT_FALSE(result.complete());
    EXPECT_TRUE(fs::is_empty(dir_ / "outside"));
    EXPECT_TRUE(fs::is_empty(target_));
}

TEST_F(RestoreTest, ALinkWhereAFolderIsExpectedIsRefusedWhenNothingMayBeOverwritten) {
    fs::create_directories(dir_ / "outside");
    fs::create_directories(target_);
    fs::create_symlink(dir_ / "outside", target_ + "/d");
    Id root = tree({folder("d", {file("f", "content")}), folder("e", {file("f", "content")})});
    RestoreResult result = restore(root, {.overwrite = Overwrite::never});
    ASSERT_EQ(result.problem_count, 1U);
    EXPECT_EQ(result.problems[0].path, "d");
    EXPECT_TRUE(fs::is_empty(dir_ / "outside"));
    EXPECT_EQ(content_of(target_ + "/e/f"), "content");
}

TEST_F(RestoreTest, DamageCostsOnlyWhatItHits) {
    std::string big = noise(3 << 20);
    Id root =
        tree({file("big", big), file("small", noise(1000, 9)), folder("d", {file("x", "x")})});
    finish();
    // One byte in the chunk at 1 MB of the big file.
    Id chunk = crypto::sha256(as_bytes(std::string_view(big).substr(1000000, 100000)));
    auto found = repository_->index().find({BlobType::data, chunk});
    ASSERT_TRUE(found);
    auto files = memory_->files();
    files[{storage::FileType::pack, found->pack}][found->blob.offset + 100] ^= 1;
    memory_->set_files(files);
    RestoreResult result = restore(root);
    ASSERT_EQ(result.problem_count, 1U);
    EXPECT_EQ(result.problems[0].path, "big");
    EXPECT_THAT(result.problems[0].error.message(), HasSubstr("bytes 1000000 to 1100000"));
    std::string got = content_of(target_ + "/big");
    ASSERT_EQ(got.size(), big.size());
    EXPECT_EQ(got.substr(0, 1000000), big.substr(0, 1000000));
    EXPECT_EQ(got.substr(1100000), big.substr(1100000));
    EXPECT_EQ(content_of(target_ + "/d/x"), "x");
    EXPECT_EQ(content_of(target_ + "/small"), noise(1000, 9));
    // Not taken for whole later.
    EXPECT_NE(stat_of(target_ + "/big").st_mtim.tv_sec, 1600000000);
}

TEST_F(RestoreTest, MissingTreeAndPackAreReportedByName) {
    Node lost = folder("lost", {file("x", "unseen")});
    lost.subtree = Id{{1, 2, 3}};
    Node gone = file("gone", "gone");
    gone.content[0] = Id{{9}};
    Node two_gone = file("two", "two");
    two_gone.content = {Id{{9}}, Id{{8}}};
    Id root = tree({lost, file("here", "here"), gone, two_gone});
    RestoreResult result = restore(root);
    std::vector<std::string> paths;
    for (const RestoreProblem& p : result.problems) paths.push_back(p.path);
    EXPECT_THAT(paths, ::testing::UnorderedElementsAre("lost", "gone", "two"));
    EXPECT_EQ(content_of(target_ + "/here"), "here");
    EXPECT_TRUE(fs::is_directory(target_ + "/lost"));
}

TEST_F(RestoreTest, ManySmallFilesShareChunksAndBatches) {
    std::vector<Node> folders;
    for (int d = 0; d < 200; ++d) {
        std::vector<Node> files;
        for (int f = 0; f < 100; ++f) {
            int n = (d * 100 + f) % 5000;
            files.push_back(file("f" + std::to_string(f), "content " + std::to_string(n)));
        }
        folders.push_back(folder("d" + std::to_string(d), files));
    }
    Progress progress;
    RestoreResult result = restore(tree(folders), {.progress = &progress});
    expect_clean(result);
    EXPECT_EQ(result.files, 20000U);
    for (int d : {0, 57, 199})
        for (int f = 0; f < 100; ++f)
            EXPECT_EQ(content_of(target_ + "/d" + std::to_string(d) + "/f" + std::to_string(f)),
                      "content " + std::to_string((d * 100 + f) % 5000));
    EXPECT_EQ(progress.items_total, 20200U);
    EXPECT_EQ(progress.items_done, 20200U);
    EXPECT_EQ(progress.bytes_done, progress.bytes_total);
    EXPECT_TRUE(progress.totals_known);
}

TEST_F(RestoreTest, StopsOnRequest) {
    Id root = tree({file("a", "a"), file("b", "b")});
    std::stop_source stop;
    stop.request_stop();
    try {
        restore(root, {.stop = stop.get_token()});
        FAIL() << "went on";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::interrupted);
    }
}

// What the real restic saved comes back the same: everything that lstat, the content and the
// attributes tell.
std::string description(const std::string& path) {
    struct stat st = stat_of(path);
    std::string out =
        fmt::format("{:o} {}:{} {} {}.{} rdev {} links {}", st.st_mode, st.st_uid, st.st_gid,
                    S_ISDIR(st.st_mode) ? 0 : st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                    st.st_rdev, S_ISDIR(st.st_mode) ? 0 : st.st_nlink);
    std::vector<Error> problems;
    std::map<std::string, std::string> attributes;
    for (const os::Xattr& x : os::read_xattrs(AT_FDCWD, path.c_str(), problems))
        attributes[x.name] = as_text(x.value);
    for (const auto& [name, value] : attributes) out += " " + name + "=" + value;
    if (S_ISLNK(st.st_mode)) out += " -> " + fs::read_symlink(path).string();
    if (S_ISREG(st.st_mode)) out += " " + crypto::sha256(os::read_file(path)).hex();
    return out;
}

std::map<std::string, std::string> describe(const std::string& root) {
    std::map<std::string, std::string> out{{"", description(root)}};
    for (const auto& entry : fs::recursive_directory_iterator(root))
        out[entry.path().lexically_relative(root)] = description(entry.path());
    return out;
}

TEST(RestoreFromRestic, BringsEverythingBack) {
    repository::testing::ResticRepo repo;
    std::string source = repo.beside("source"), target = repo.beside("target");
    fs::create_directories(source + "/dir/inner");
    os::write_file_atomically(source + "/big", as_bytes(noise(5 << 20)), 0640);
    os::write_file_atomically(source + "/dir/text", as_bytes(std::string(70000, 'a')), 0444);
    os::write_file_atomically(source + "/dir/empty", {}, 0600);
    os::write_file_atomically(source + "/dir/odd\xff\n<&>\"\\", as_bytes("odd"), 04711);
    fs::create_hard_link(source + "/big", source + "/dir/inner/again");
    fs::create_symlink("../big", source + "/dir/link");
    fs::create_symlink("/etc", source + "/dir/absolute");
    ASSERT_EQ(::mkfifo((source + "/pipe").c_str(), 0620), 0);
    os::set_xattr(AT_FDCWD, (source + "/big").c_str(), "user.a", as_bytes("1"));
    os::set_xattr(AT_FDCWD, (source + "/dir").c_str(), "user.b", as_bytes("2"));
    ASSERT_EQ(::chmod((source + "/dir").c_str(), 02751), 0);
    bool root = ::geteuid() == 0;
    if (root) {
        ASSERT_EQ(::lchown((source + "/dir/link").c_str(), 1234, 2345), 0);
        ASSERT_EQ(::chown((source + "/dir/text").c_str(), 1234, 2345), 0);
        ASSERT_EQ(::mknod((source + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
    }
    timespec times[2] = {{1111111111, 1}, {1234567890, 987654321}};
    for (const char* name : {"/dir/link", "/dir/text", "/dir/inner", "/dir", ""})
        ASSERT_EQ(::utimensat(AT_FDCWD, (source + name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
    repo.restic_ok({"backup", source});

    auto repository = repo.open();
    repository->load_index();
    repository::SnapshotSpec found = repository::find_snapshot(*repository, "latest", {});
    RestoreOptions options{
        .target = target,
        .tree = repository::find_subtree(*repository, found.snapshot.tree, os::parent_dir(source)),
        .verify = true,
        .device_nodes = root};
    for (int run = 0; run < 2; ++run) {
        RestoreResult result = restore(*repository, options);
        for (const RestoreProblem& p : result.problems)
            ADD_FAILURE() << p.path << ": " << p.error.message();
        EXPECT_EQ(describe(target + "/source"), describe(source));
        EXPECT_EQ(result.unchanged, run == 0 ? 0U : 4U);
    }
}

}  // namespace
}  // namespace sevenfold::files
