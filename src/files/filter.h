// What a backup leaves out and a restore takes: restic's options of the same names.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "files/pattern.h"

namespace sevenfold::files {

// Patterns from a file: one a line, white space around them trimmed, empty lines and those that
// start with # skipped, $NAME and ${NAME} replaced by environment variables, $$ by a dollar sign.
// Throws errno_error.
std::vector<std::string> read_pattern_file(const std::string& path);

struct ExcludeOptions {
    std::vector<std::string> patterns;           // --exclude
    std::vector<std::string> insensitive;        // --iexclude
    std::vector<std::string> pattern_files;      // --exclude-file
    std::vector<std::string> insensitive_files;  // --iexclude-file
    std::vector<std::string> if_present;         // --exclude-if-present NAME[:HEADER]
    bool caches = false;                         // --exclude-caches
    std::optional<uint64_t> larger_than;         // --exclude-larger-than
};

// Which tag files a folder holds; their presence excludes everything else in it.
class FolderTags {
  public:
    bool excludes(std::string_view entry_name) const;
    bool empty() const { return present_.empty(); }

  private:
    friend class Exclude;
    std::vector<std::string> present_;
};

// The excludes of one backup. Immutable: any number of threads may ask.
class Exclude {
  public:
    Exclude() = default;
    // Throws Error{usage} for a malformed pattern or tag, errno_error for a file of patterns.
    explicit Exclude(const ExcludeOptions& options);

    // By the entry's absolute path, before it is looked at. A folder that is excluded is not
    // entered; nothing below it can come back, also not by a pattern with "!".
    bool by_path(std::string_view absolute_path) const {
        return (!sensitive_.empty() && sensitive_.matches(absolute_path)) ||
               (!insensitive_.empty() && insensitive_.matches(absolute_path));
    }
    // By size; folders never.
    bool by_stat(const struct stat& st) const {
        return larger_than_ && !S_ISDIR(st.st_mode) &&
               static_cast<uint64_t>(st.st_size) > *larger_than_;
    }
    // The tags in an opened folder, asked once per folder. A tag file that cannot be read or has
    // another header does not count; that is told through `warn`. Costs nothing without tags.
    FolderTags tags_in(int dirfd, const std::string& folder,
                       const std::function<void(const Error&)>& warn) const;
    bool has_tags() const { return !tags_.empty(); }
    // All patterns, for the snapshot's record.
    const std::vector<std::string>& pattern_texts() const { return texts_; }

  private:
    struct Tag {
        std::string name, header;
    };
    bool tag_is_present(const Tag& tag, int dirfd, const std::string& folder,
                        const std::function<void(const Error&)>& warn) const;

    PatternList sensitive_, insensitive_;
    std::vector<Tag> tags_;
    std::optional<uint64_t> larger_than_;
    std::vector<std::string> texts_;
};

struct SelectOptions {
    std::vector<std::string> include, insensitive_include, include_files;
    std::vector<std::string> exclude, insensitive_exclude, exclude_files;
};

// What a restore takes: everything that an include matches (everything, when there are none) and
// no exclude. Paths are those inside the snapshot, with a leading slash.
class Select {
  public:
    Select() = default;
    explicit Select(const SelectOptions& options);  // throws as Exclude

    struct Choice {
        bool take = true;   // restore this entry
        bool enter = true;  // if it is a folder: look into it
    };
    Choice choose(std::string_view path) const;
    bool takes_all() const { return !has_includes_ && !has_excludes_; }

  private:
    PatternList include_, insensitive_include_, exclude_, insensitive_exclude_;
    bool has_includes_ = false, has_excludes_ = false;
};

}  // namespace sevenfold::files
