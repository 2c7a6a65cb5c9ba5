#include "database/mariadb/physical/mbstream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/crc32.h"
#include "core/error.h"
#include "core/random.h"
#include "os/child_process.h"
#include "os/file.h"
#include "storage/testing/contract.h"

namespace sevenfold::database::mariadb {
namespace {

// Rebuilds the files in memory, and checks what the header promises.
class Files : public MbstreamHandler {
  public:
    void begin(const std::string& path, bool replaces) override {
        EXPECT_TRUE(open.emplace(path, "").second);
        if (replaces) done.erase(path);
    }
    void data(const std::string& path, uint64_t offset, ByteView bytes) override {
        std::string& content = open.at(path);
        EXPECT_LE(offset, content.size());
        content.replace(offset, bytes.size(), as_text(bytes));
    }
    void end(const std::string& path) override {
        done[path] = open.at(path);
        open.erase(path);
    }
    void rename(const std::string& from, const std::string& to) override {
        auto node = done.extract(from);
        if (!node) return;
        done.erase(to);
        node.key() = to;
        done.insert(std::move(node));
    }
    void remove(const std::string& path) override { done.erase(path); }

    std::map<std::string, std::string> open, done;
};

std::string le(uint64_t value, size_t bytes) {
    std::string out;
    for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
}
std::string head(char type, const std::string& path, char flags = 0) {
    return std::string("XBSTCK01") + flags + type + le(path.size(), 4) + path;
}
std::string payload(const std::string& path, uint64_t offset, const std::string& bytes,
                    char flags = 0) {
    return head('P', path, flags) + le(bytes.size(), 8) + le(offset, 8) +
           le(crc32(as_bytes(bytes)), 4) + bytes;
}
std::string seek(const std::string& path, uint64_t to) { return head('S', path) + le(to, 8); }
std::string renamed(const std::string& from, const std::string& to) {
    return head('R', from) + le(to.size(), 4) + to;
}

std::map<std::string, std::string> parse(const std::string& stream, size_t step = SIZE_MAX) {
    Files files;
    MbstreamParser parser(files);
    for (size_t at = 0; at < stream.size(); at += std::min(step, stream.size() - at))
        parser.feed(as_bytes(stream).subspan(at, std::min(step, stream.size() - at)));
    parser.finish();
    return files.done;
}

ErrorKind kind_of(const std::string& stream) {
    try {
        parse(stream);
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::internal;
}

// Interleaved files, one empty, one with a seek, one renamed, one deleted.
std::string sample() {
    return payload("./a/t.ibd", 0, "0123456789") + payload("b", 0, "first ") +
           payload("a/t.ibd", 10, "abc") + head('E', "a/t.ibd") + head('E', "empty") +
           payload("b", 6, "second") + seek("b", 2) + payload("b", 2, "XX!") + head('E', "b") +
           payload("c", 0, "") + head('E', "c") + renamed("c", "d/c") + head('D', "empty") +
           payload("b", 0, "again", 2) + head('E', "b", 2);
}

TEST(MbstreamTest, FilesComeOutWhateverTheSplit) {
    const std::map<std::string, std::string> expected = {
        {"a/t.ibd", "0123456789abc"}, {"b", "again"}, {"d/c", ""}};
    for (size_t step :
         {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{13}, size_t{64}, SIZE_MAX})
        EXPECT_EQ(parse(sample(), step), expected) << step;
}

TEST(MbstreamTest, ASeekGoesBack) {
    EXPECT_EQ(parse(payload("b", 0, "first second") + seek("b", 2) + payload("b", 2, "XX") +
                    head('E', "b"))
                  .at("b"),
              "fiXXt second");
}

TEST(MbstreamTest, EveryCutAndEveryDamageIsNoticed) {
    const std::string whole = sample();
    // A cut between chunks with nothing open can only be seen by who counts the files: the tool's
    // own last words are checked for that.
    size_t unnoticed = 0;
    for (size_t cut = 1; cut < whole.size(); ++cut)
        if (kind_of(whole.substr(0, cut)) != ErrorKind::corrupt) ++unnoticed;
    EXPECT_LE(unnoticed, 4u);
    for (size_t at = 0; at < whole.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            std::string damaged = whole;
            damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
            try {
                // Paths have no checksum, so this may succeed; but never in another way.
                parse(damaged);
            } catch (const Error& error) {
                EXPECT_THAT(error.kind(),
                            ::testing::AnyOf(ErrorKind::corrupt, ErrorKind::unsupported));
            }
        }
}

TEST(MbstreamTest, RefusesWhatTheToolDoesNotWrite) {
    EXPECT_EQ(kind_of("garbage that is long enough"), ErrorKind::corrupt);
    EXPECT_EQ(kind_of(payload("f", 1, "x")), ErrorKind::corrupt);
    EXPECT_EQ(kind_of(payload("f", 0, "x")), ErrorKind::corrupt);  // no end
    EXPECT_EQ(kind_of(payload("f", 0, "x") + payload("f", 0, "y")), ErrorKind::corrupt);
    EXPECT_EQ(kind_of(payload("f", 0, "x") + seek("f", 2)), ErrorKind::corrupt);
    EXPECT_EQ(kind_of(payload("f", 0, "x") + renamed("f", "g")), ErrorKind::corrupt);
    EXPECT_EQ(kind_of(payload("f", 0, "x") + head('D', "f")), ErrorKind::corrupt);
    EXPECT_EQ(kind_of(head('Z', "f")), ErrorKind::unsupported);
    EXPECT_EQ(kind_of(head('E', "f", 1)), ErrorKind::unsupported);
    EXPECT_EQ(kind_of(head('P', "f") + le(uint64_t{1} << 40, 8) + le(0, 12)), ErrorKind::corrupt);
    EXPECT_EQ(kind_of("XBSTCK01" + std::string("\0P", 2) + le(0xFFFFFFFF, 4)), ErrorKind::corrupt);
    for (const char* path :
         {"/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "..", "", "./../x"})
        EXPECT_EQ(kind_of(head('E', path)), ErrorKind::corrupt) << path;
    EXPECT_EQ(kind_of(head('E', "f") + renamed("f", "../g")), ErrorKind::corrupt);
    EXPECT_EQ(kind_of(head('E', std::string("a\0b", 3))), ErrorKind::corrupt);
    EXPECT_EQ(kind_of(head('E', std::string(300, 'a'))), ErrorKind::corrupt);
    std::string many;
    for (int i = 0; i < 5000; ++i) many += payload(std::to_string(i), 0, "x");
    EXPECT_EQ(kind_of(many), ErrorKind::corrupt);
}

RC_GTEST_PROP(MbstreamProperty, RandomFilesInRandomPieces, (uint64_t seed)) {
    SplitMix64 random(seed);
    std::map<std::string, std::string> files, left;
    for (uint64_t i = random.below(6); i > 0; --i) {
        std::string content(random.below(300), 'x');
        for (char& c : content) c = static_cast<char>(random.next());
        files["d" + std::to_string(random.below(3)) + "/" + std::to_string(i)] = content;
    }
    left = files;
    std::string stream;
    while (!left.empty()) {
        auto at = std::next(left.begin(), static_cast<ptrdiff_t>(random.below(left.size())));
        size_t n = random.below(at->second.size() + 1);
        stream += payload(at->first, files[at->first].size() - at->second.size(),
                          at->second.substr(0, n));
        at->second.erase(0, n);
        if (!at->second.empty()) continue;
        stream += head('E', at->first);
        left.erase(at);
    }
    RC_ASSERT(parse(stream, 1 + random.below(50)) == files);
}

// The writer is MariaDB's own.
TEST(MbstreamTest, ReadsWhatMbstreamWrites) {
    storage::TestFolder folder;
    std::map<std::string, std::string> files = {
        {"a", "hello"}, {"empty", ""}, {"large", std::string(25 << 20, 'z')}};
    std::vector<std::string> argv = {"mbstream", "-C", folder / "", "-c"};
    for (const auto& [name, content] : files) {
        os::write_file_atomically(folder / name, as_bytes(content));
        argv.push_back(name);
    }
    os::CommandOutput output = os::run_command({.argv = argv});
    ASSERT_TRUE(output.status.ok()) << output.errors;
    EXPECT_EQ(parse(std::string(as_text(output.output)), 100'000), files);
}

}  // namespace
}  // namespace sevenfold::database::mariadb
