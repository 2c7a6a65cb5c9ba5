#include "files/filter.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "os/file.h"

namespace sevenfold::files {
namespace {

// Cache Directory Tagging Specification (bford.info/cachedir).
constexpr const char* kCacheTag = "CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55";
constexpr uint64_t kPatternFileLimit = 64 << 20;

bool is_special_variable(char c) {
    return std::string_view("*#$@!?-0123456789").find(c) != std::string_view::npos;
}
bool is_name_character(char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string environment(std::string_view name) {
    if (name == "$") return "$";
    const char* value = std::getenv(std::string(name).c_str());
    return value ? value : "";
}

// The variable after a dollar sign and how many bytes its mention takes. No name with a size is bad
// syntax, which disappears; no name and no size leaves the dollar (Go's os.Expand).
struct Mention {
    std::string_view name;
    size_t size;
};
Mention mentioned(std::string_view rest) {
    if (rest.starts_with('{')) {
        size_t close = rest.find('}');
        if (close == rest.npos) return {{}, 1};
        return {rest.substr(1, close - 1), close + 1};
    }
    if (is_special_variable(rest[0])) return {rest.substr(0, 1), 1};
    size_t size = 0;
    while (size < rest.size() && is_name_character(rest[size])) ++size;
    return {rest.substr(0, size), size};
}

std::string expand(std::string_view line) {
    std::string out;
    while (!line.empty()) {
        if (line[0] != '$' || line.size() == 1) {
            out += line[0];
            line.remove_prefix(1);
            continue;
        }
        Mention mention = mentioned(line.substr(1));
        if (!mention.name.empty())
            out += environment(mention.name);
        else if (mention.size == 0)
            out += '$';
        line.remove_prefix(1 + mention.size);
    }
    return out;
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n\v\f";
    size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
    text.remove_prefix(begin);
    return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

std::vector<std::string> with_files(std::vector<std::string> patterns,
                                    const std::vector<std::string>& files) {
    for (const std::string& file : files)
        for (std::string& pattern : read_pattern_file(file)) patterns.push_back(std::move(pattern));
    return patterns;
}

}  // namespace

std::vector<std::string> read_pattern_file(const std::string& path) {
    Bytes content = os::read_file(path, kPatternFileLimit);
    std::string_view rest = as_text(content);
    if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
    std::vector<std::string> out;
    while (!rest.empty()) {
        size_t end = std::min(rest.find('\n'), rest.size());
        std::string_view line = trim(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (!line.empty() && !line.starts_with('#')) out.push_back(expand(line));
    }
    return out;
}

bool FolderTags::excludes(std::string_view entry_name) const {
    return std::ranges::any_of(present_, [&](const std::string& tag) { return tag != entry_name; });
}

Exclude::Exclude(const ExcludeOptions& options) : larger_than_(options.larger_than) {
    std::vector<std::string> sensitive = with_files(options.patterns, options.pattern_files);
    std::vector<std::string> insensitive =
        with_files(options.insensitive, options.insensitive_files);
    sensitive_ = PatternList(sensitive);
    insensitive_ = PatternList(insensitive, Case::insensitive);
    texts_ = std::move(sensitive);
    texts_.insert(texts_.end(), insensitive.begin(), insensitive.end());
    std::vector<std::string> tags = options.if_present;
    if (options.caches) tags.push_back(kCacheTag);
    for (const std::string& text : tags) {
        size_t colon = std::min(text.find(':'), text.size());
        Tag tag{text.substr(0, colon), text.substr(std::min(colon + 1, text.size()))};
        if (tag.name.empty() || tag.name.find('/') != tag.name.npos)
            throw Error(
                ErrorKind::usage, fmt::format("exclude-if-present \"{}\": no file name", text),
                "Give the name of a file, or NAME:HEADER with the bytes it must start with.");
        tags_.push_back(std::move(tag));
    }
}

bool Exclude::tag_is_present(const Tag& tag, int dirfd, const std::string& folder,
                             const std::function<void(const Error&)>& warn) const {
    std::string path = folder + "/" + tag.name;
    struct stat st {};
    if (::fstatat(dirfd, tag.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) warn(errno_error("stat " + path));
        return false;
    }
    if (tag.header.empty()) return true;
    // O_NONBLOCK: a fifo of that name must not hang the backup.
    os::UniqueFd fd(::openat(dirfd, tag.name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid()) {
        warn(errno_error("open " + path));
        return false;
    }
    try {
        Bytes start(tag.header.size());
        size_t got = os::pread_all(fd.get(), start, 0, path);
        if (as_text(ByteView(start).first(got)) == tag.header) return true;
        warn(Error(ErrorKind::io, path + ": does not start with the header of an exclusion tag"));
    } catch (const Error& error) {
        warn(error);
    }
    return false;
}

FolderTags Exclude::tags_in(int dirfd, const std::string& folder,
                            const std::function<void(const Error&)>& warn) const {
    FolderTags out;
    for (const Tag& tag : tags_)
        if (tag_is_present(tag, dirfd, folder, warn)) out.present_.push_back(tag.name);
    return out;
}

Select::Select(const SelectOptions& o)
    : include_(with_files(o.include, o.include_files)),
      insensitive_include_(o.insensitive_include, Case::insensitive),
      exclude_(with_files(o.exclude, o.exclude_files)),
      insensitive_exclude_(o.insensitive_exclude, Case::insensitive) {
    has_includes_ = !include_.empty() || !insensitive_include_.empty();
    has_excludes_ = !exclude_.empty() || !insensitive_exclude_.empty();
}

Select::Choice Select::choose(std::string_view path) const {
    Choice choice;
    if (has_includes_) {
        PatternList::Match sensitive = include_.match(path);
        PatternList::Match insensitive = insensitive_include_.match(path);
        choice.take = sensitive.matched || insensitive.matched;
        choice.enter = sensitive.child_may_match || insensitive.child_may_match;
    }
    if (has_excludes_ && (exclude_.matches(path) || insensitive_exclude_.matches(path)))
        choice = {.take = false, .enter = false};
    return choice;
}

}  // namespace sevenfold::files
