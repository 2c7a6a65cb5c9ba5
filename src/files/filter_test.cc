#include "files/filter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "core/parallel.h"
#include "core/random.h"
#include "os/child_process.h"
#include "os/file.h"

namespace sevenfold::files {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class TempDir {
  public:
    TempDir() {
        std::string pattern = ::testing::TempDir() + "filter-XXXXXX";
        if (!::mkdtemp(pattern.data())) throw errno_error("mkdtemp");
        path_ = pattern;
    }
    ~TempDir() { fs::remove_all(path_); }
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

void write(const std::string& path, std::string_view text) {
    fs::create_directories(fs::path(path).parent_path());
    os::write_file_atomically(path, as_bytes(text));
}

TEST(Glob, MatchesAsGoDoes) {
    auto match = [](const char* pattern, const char* text) { return Glob(pattern).matches(text); };
    EXPECT_TRUE(match("abc", "abc"));
    EXPECT_FALSE(match("abc", "abcd"));
    EXPECT_TRUE(match("*", ""));
    EXPECT_TRUE(match("*c", "abc"));
    EXPECT_FALSE(match("*c", "abcd"));
    EXPECT_TRUE(match("a*b?c*x", "abxbbxdbxebxczzx"));
    EXPECT_FALSE(match("a*b?c*x", "abxbbxdbxebxczzy"));
    EXPECT_TRUE(match("ab[c-e]", "abd"));
    EXPECT_FALSE(match("ab[e-c]", "abd"));
    EXPECT_FALSE(match("ab[^c-e]", "abd"));
    EXPECT_TRUE(match("ab[^c]", "abd"));
    EXPECT_FALSE(match("ab[^c]", "ab"));
    EXPECT_TRUE(match("a\\*b", "a*b"));
    EXPECT_FALSE(match("a\\*b", "axb"));
    EXPECT_TRUE(match("a?b", "a☺b"));
    EXPECT_FALSE(match("a??b", "a☺b"));
    EXPECT_TRUE(match("a[^a]b", "a☺b"));
    EXPECT_TRUE(match("[a-ζ]*", "α"));
    EXPECT_TRUE(match("a?b",
                      "a\xff"
                      "b"));
    EXPECT_TRUE(match("[\\]a]", "]"));
    EXPECT_TRUE(match("[\\-x]", "-"));
    EXPECT_TRUE(match("[x\\-]", "-"));
    EXPECT_TRUE(match("*x", "xxx"));
    EXPECT_FALSE(match("[!a]", "b"));
}

TEST(Glob, RefusesMalformedPatterns) {
    for (const char* bad : {"[", "[^", "[^bc", "a[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]",
                            "a\\", "[a-", "[\\", "[\xff]"})
        EXPECT_THROW(Glob{bad}, Error) << bad;
}

TEST(PatternList, NamesTheMalformedPattern) {
    std::vector<std::string> patterns{"*.o", "/a/[b"};
    try {
        PatternList list(patterns);
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage);
        EXPECT_THAT(error.message(), ::testing::HasSubstr("/a/[b"));
    }
}

TEST(PatternList, SaysWhereMatchesMayLie) {
    auto child = [](const char* pattern, const char* path) {
        std::vector<std::string> patterns{pattern};
        return PatternList(patterns).match(path).child_may_match;
    };
    EXPECT_TRUE(child("/home/user/file", "/home"));
    EXPECT_TRUE(child("/home/user/file", "/home/user"));
    EXPECT_FALSE(child("/home/user/file", "/etc"));
    EXPECT_FALSE(child("/home/user/file", "/home/other"));
    EXPECT_TRUE(child("/home/**/x", "/home/a/b/c"));
    EXPECT_FALSE(child("/home/**/x", "/etc"));
    EXPECT_TRUE(child("*.c", "/any/where"));
    EXPECT_TRUE(child("/a", "/a/b/c"));
    EXPECT_TRUE(child("/", "/a"));
    EXPECT_TRUE(child("/[uc]*/x", "/usr"));
    EXPECT_FALSE(child("/[uc]*/x", "/var"));
}

TEST(PatternList, ManyAnyFoldersEnd) {
    std::string pattern, path;
    for (int i = 0; i < 20; ++i) pattern += "/**/a";
    for (int i = 0; i < 60; ++i) path += "/a";
    // Trying every way to share 60 folders out would take years.
    std::vector<std::string> patterns{pattern + "/b"};
    patterns.push_back(patterns[0].substr(1));
    EXPECT_FALSE(PatternList(patterns).matches(path));
    EXPECT_TRUE(PatternList(patterns).matches(path + "/b"));
}

// What `**` means, without any cleverness.
bool matches_by_trying(std::span<const std::string> parts, std::span<const std::string> path) {
    if (parts.empty()) return true;
    if (parts[0] == "**") {
        for (size_t skip = 0; skip <= path.size(); ++skip)
            if (matches_by_trying(parts.subspan(1), path.subspan(skip))) return true;
        return false;
    }
    return !path.empty() && (parts[0] == "*" || parts[0] == path[0]) &&
           matches_by_trying(parts.subspan(1), path.subspan(1));
}

TEST(PatternList, MatchesAsTryingEverythingDoes) {
    SplitMix64 random(1);
    auto pick = [&](const std::vector<std::string>& from, uint64_t most) {
        std::vector<std::string> out(random.below(most) + 1);
        for (std::string& each : out) each = from[random.below(from.size())];
        return out;
    };
    auto join = [](const std::vector<std::string>& components) {
        std::string out;
        for (const std::string& component : components) out += "/" + component;
        return out;
    };
    size_t matched = 0;
    for (int i = 0; i < 20'000; ++i) {
        auto parts = pick({"**", "**", "*", "a", "b"}, 7), path = pick({"a", "b", "c"}, 7);
        bool anchored = random.below(2) == 0;
        std::vector<std::string> patterns{join(parts).substr(anchored ? 0 : 1)};
        bool expected = matches_by_trying(parts, path);
        for (size_t from = 1; !anchored && from < path.size(); ++from)
            expected |= matches_by_trying(parts, std::span(path).subspan(from));
        ASSERT_EQ(PatternList(patterns).matches(join(path)), expected)
            << patterns[0] << " on " << join(path);
        matched += expected;
    }
    EXPECT_GT(matched, 5000u);
    EXPECT_LT(matched, 15'000u);
}

TEST(PatternList, LowersUnicode) { EXPECT_EQ(to_lower("ÄÖ-ABC-É\xff"), "äö-abc-é\xff"); }

TEST(PatternFile, IsReadAsResticReadsIt) {
    TempDir dir;
    ::setenv("FILTER_TEST", "value", 1);
    write(dir / "p",
          "\xEF\xBB\xBF# comment\n\n  *.o  \r\n\t#no\n/x/$FILTER_TEST/a\n${FILTER_TEST}b\n"
          "$$HOME\n$FILTER_UNSET_/c\na$\n$/d\n${}e");
    EXPECT_THAT(read_pattern_file(dir / "p"),
                ElementsAre("*.o", "/x/value/a", "valueb", "$HOME", "/c", "a$", "$/d", "e"));
    EXPECT_THROW(read_pattern_file(dir / "missing"), Error);
}

TEST(Exclude, BySizeLeavesFoldersAlone) {
    Exclude exclude(ExcludeOptions{.larger_than = 10});
    struct stat st {};
    st.st_mode = S_IFREG;
    st.st_size = 10;
    EXPECT_FALSE(exclude.by_stat(st));
    st.st_size = 11;
    EXPECT_TRUE(exclude.by_stat(st));
    st.st_mode = S_IFDIR;
    EXPECT_FALSE(exclude.by_stat(st));
}

TEST(Select, IncludesAndExcludesTogether) {
    Select select(SelectOptions{.include = {"/a/*.txt", "/b"}, .exclude = {"secret*"}});
    EXPECT_FALSE(select.choose("/a").take);
    EXPECT_TRUE(select.choose("/a").enter);
    EXPECT_TRUE(select.choose("/a/x.txt").take);
    EXPECT_FALSE(select.choose("/a/x.jpg").take);
    EXPECT_FALSE(select.choose("/a/secret.txt").take);
    EXPECT_TRUE(select.choose("/b/deep/file").take);
    EXPECT_FALSE(select.choose("/c").enter);
    EXPECT_TRUE(Select().takes_all());
}

// Against the real restic: what it says it would save of one tree, for each set of options.
struct Case {
    ExcludeOptions options;
    std::vector<std::string> arguments;
};

class AgainstRestic : public ::testing::Test {
  protected:
    AgainstRestic() : root_(dir_ / "src") {
        for (const char* path : {"top.txt",
                                 "top.TXT",
                                 "a/x.txt",
                                 "a/y.c",
                                 "a/b/x.txt",
                                 "a/b/c/deep.txt",
                                 "a/b/c/y.c",
                                 "b/x.txt",
                                 "b/a/b/z.o",
                                 "b/a/q/z.o",
                                 "cache/data",
                                 "cache/sub/data",
                                 "tagged/keep",
                                 "tagged/sub/inner",
                                 "half/data",
                                 "we ird/[x].txt",
                                 "we ird/star*",
                                 "we ird/back\\slash",
                                 "Ärger/Über.TXT",
                                 "ärger/x",
                                 "node_modules/m/index.js",
                                 "app/node_modules/n.js",
                                 ".hidden/file",
                                 ".dot",
                                 "x/x/x/x",
                                 "foo/bar",
                                 "foo/foo",
                                 "foobar",
                                 "!bang",
                                 "#hash",
                                 "b/ab",
                                 "b/abc",
                                 "b/axc",
                                 "empty/.keep",
                                 "size/big"})
            write(root_ + "/" + path, "1234");
        write(root_ + "/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\nmore");
        write(root_ + "/half/CACHEDIR.TAG", "Signature: nothing");
        write(root_ + "/tagged/.nobackup", "header and more");
        write(root_ + "/size/big", std::string(5000, 'x'));
    }

    Case patterns(std::vector<std::string> list) {
        Case c{{.patterns = list}, {}};
        for (const std::string& p : list) c.arguments.push_back("--exclude=" + p);
        return c;
    }
    Case insensitive(std::vector<std::string> list) {
        Case c{{.insensitive = list}, {}};
        for (const std::string& p : list) c.arguments.push_back("--iexclude=" + p);
        return c;
    }

    std::vector<Case> cases() {
        std::vector<Case> out;
        for (const char* p : {"*.txt",
                              "x.txt",
                              "a",
                              "a/b",
                              "/a",
                              "b/a/b",
                              "x/x",
                              "a/*/c",
                              "a/**/c",
                              "**/b",
                              "b/**",
                              "**",
                              "*",
                              "foo",
                              "foo*",
                              "foo/",
                              "./foo",
                              "foo/../b",
                              "?",
                              "a?c",
                              "[ab]",
                              "[^a]*.txt",
                              "\\[x\\].txt",
                              "star\\*",
                              "back\\\\slash",
                              "node_modules/*",
                              "**/node_modules/**",
                              ".*",
                              "*.TXT",
                              "a//b",
                              "!bang",
                              "\\!bang",
                              "#hash",
                              "a/**/**/deep.txt",
                              "**/x/**/x",
                              "b/a[bc]",
                              "ab?"})
            out.push_back(patterns({p}));
        for (const char* p : {"", "/*", "/**", "/a", "/a/*.txt", "/**/*.txt", "/a/**/deep.txt",
                              "/*/x.txt", "/b/a/?/z.o", "/", "/../"})
            out.push_back(patterns({root_ + p}));
        out.push_back(patterns({"/"}));
        out.push_back(patterns({"/src/a"}));
        out.push_back(patterns({"*.txt", "!x.txt"}));
        out.push_back(patterns({"!x.txt", "*.txt"}));
        out.push_back(patterns({"*", "!" + root_, "!a", "!x.txt"}));
        out.push_back(patterns({root_ + "/a/*", "!" + root_ + "/a/b"}));
        out.push_back(patterns({"*.c", "", "*.o"}));
        out.push_back(insensitive({"*.txt"}));
        out.push_back(insensitive({"ÄRGER"}));
        out.push_back(insensitive({"TOP.*", "!top.txt"}));
        out.push_back({{.caches = true}, {"--exclude-caches"}});
        out.push_back({{.if_present = {".nobackup"}}, {"--exclude-if-present=.nobackup"}});
        out.push_back(
            {{.if_present = {".nobackup:header"}}, {"--exclude-if-present=.nobackup:header"}});
        out.push_back(
            {{.if_present = {".nobackup:other"}}, {"--exclude-if-present=.nobackup:other"}});
        out.push_back({{.larger_than = 4096}, {"--exclude-larger-than=4096"}});
        write(dir_ / "patterns", "# all\n*.txt\n\n  $FILTER_ROOT/b \n");
        out.push_back(
            {{.pattern_files = {dir_ / "patterns"}}, {"--exclude-file=" + (dir_ / "patterns")}});
        return out;
    }

    void walk(const Exclude& exclude, const std::string& folder, std::set<std::string>& out) {
        os::UniqueFd fd = os::open_file(folder, O_RDONLY | O_DIRECTORY);
        FolderTags tags = exclude.tags_in(fd.get(), folder, [](const Error&) {});
        for (const auto& entry : fs::directory_iterator(folder)) {
            std::string path = entry.path();
            struct stat st {};
            if (::lstat(path.c_str(), &st) != 0) throw errno_error("stat");
            if (exclude.by_path(path) || tags.excludes(entry.path().filename().string()) ||
                exclude.by_stat(st))
                continue;
            out.insert(path);
            if (entry.is_directory()) walk(exclude, path, out);
        }
    }
    std::set<std::string> ours(const Case& c) {
        Exclude exclude(c.options);
        std::set<std::string> out;
        if (!exclude.by_path(root_)) walk(exclude, root_, out);
        return out;
    }

    os::CommandOutput restic(std::vector<std::string> arguments) {
        std::vector<std::string> argv{"restic", "-r", dir_ / "repo", "--no-cache", "-vv", "--json"};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        return os::run_command(
            {.argv = argv, .environment = {{"RESTIC_PASSWORD", "x"}, {"FILTER_ROOT", root_}}});
    }
    std::set<std::string> theirs(const Case& c) {
        std::vector<std::string> arguments{"backup", "--dry-run", "--force", root_};
        arguments.insert(arguments.end(), c.arguments.begin(), c.arguments.end());
        os::CommandOutput result = restic(arguments);
        std::set<std::string> out;
        std::string_view text = as_text(result.output);
        constexpr std::string_view kKey = "\"action\":\"new\",\"item\":\"";
        for (size_t at = 0; (at = text.find(kKey, at)) != text.npos;) {
            at += kKey.size();
            std::string item;
            for (; text[at] != '"'; ++at) {
                if (text[at] == '\\') ++at;
                item += text[at];
            }
            if (item.ends_with('/')) item.pop_back();
            if (item.starts_with(root_ + "/")) out.insert(item);
        }
        return out;
    }

    TempDir dir_;
    std::string root_;
};

TEST_F(AgainstRestic, SavesTheSameFiles) {
    ::setenv("FILTER_ROOT", root_.c_str(), 1);
    ASSERT_TRUE(restic({"init"}).status.ok()) << "restic must be installed";
    std::vector<Case> all = cases();
    std::vector<std::set<std::string>> expected(all.size());
    parallel_for(all.size(), 2, [&](size_t i) { expected[i] = theirs(all[i]); });
    size_t everything = ours(Case{}).size(), less = 0;
    for (size_t i = 0; i < all.size(); ++i) {
        std::set<std::string> got = ours(all[i]);
        std::string missing, extra;
        for (const std::string& p : expected[i])
            if (!got.contains(p)) missing += "\n  not saved by us: " + p;
        for (const std::string& p : got)
            if (!expected[i].contains(p)) extra += "\n  not saved by restic: " + p;
        EXPECT_EQ(missing + extra, "") << ::testing::PrintToString(all[i].arguments);
        less += got.size() < everything;
    }
    EXPECT_GT(less, all.size() / 2);
}

}  // namespace
}  // namespace sevenfold::files
