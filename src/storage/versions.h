// What a place that keeps versions can do besides: look at what was there earlier, bring it back,
// and lock what is there against everybody for some time (S3's Object Lock).
//
// A version is a file as it was stored once, or a mark that it was deleted. Deleting adds such a
// mark, storing under the same name adds a version; only remove_version() takes anything away. A
// locked version cannot be removed before its time, not even by its owner (compliance), or only by
// whoever has a special right (governance).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "storage/backend.h"

namespace sevenfold::storage {

enum class RetentionMode { governance, compliance };
std::string_view name(RetentionMode mode);

struct RetentionRule {
    RetentionMode mode = RetentionMode::governance;
    std::chrono::seconds period{0};  // from the moment something is stored or found to be needed
};
// "compliance:30d", "governance:2w"; a day to ten years. Throws Error{config}.
RetentionRule parse_retention_rule(std::string_view text);

struct Retention {
    RetentionMode mode = RetentionMode::governance;
    Time until;
};

struct FileVersion {
    FileName name;
    std::string version;  // the place's own word for it
    Time stored;          // by the place's clock
    uint64_t size = 0;
    std::string digest;     // equal for versions with the same bytes; empty: not known
    bool deletion = false;  // a mark, not a file
    bool current = false;   // what is there now
};

// The methods are those of a backend: thread-safe, errors as backend.h has them.
class Versions {
  public:
    virtual ~Versions() = default;

    // Every version of the files of a type; those of one file together, the newest first. With
    // `pack_folder`, only packs whose id begins with that byte. All or an error.
    virtual void list_versions(FileType type, std::optional<uint8_t> pack_folder,
                               const std::function<void(const FileVersion&)>& each) = 0;
    // As Backend::load and load_all.
    virtual Bytes load_version(const FileVersion& version, uint64_t offset, size_t length) = 0;
    virtual Bytes load_whole_version(const FileVersion& version, uint64_t limit) = 0;
    // For good. Error{permission} while it is locked, and for whoever may not.
    virtual void remove_version(const FileVersion& version) = 0;
    // Stores a copy of it as the newest version, without the bytes coming here.
    virtual void bring_back(const FileVersion& version) = 0;

    // What this place is to be locked by; nothing: it is not.
    virtual std::optional<RetentionRule> retention_rule() const = 0;
    // Throws Error{config} unless the place keeps versions and knows locks. Asks only once.
    virtual void check_can_lock() = 0;
    virtual std::optional<Retention> retention(const FileVersion& version) = 0;
    // Locks until `until` what is locked for less than `at_least`, or not at all; never shortens,
    // and never turns compliance into governance. True when it did something.
    virtual bool retain(const FileVersion& version, const Time& at_least, const Time& until) = 0;
};

// All versions of a file at a time, the newest first; otherwise as Versions::list_versions.
void list_by_file(Versions& place, FileType type,
                  const std::function<void(std::vector<FileVersion>)>& each);

}  // namespace sevenfold::storage
