// Plain mirrors: a folder kept the same as another one, on this machine or a host, by rsync.
//
// A run has three parts that the caller puts together: plan() looks and changes nothing; judge()
// says whether what it would do looks like an accident; apply() does it. What apply() removes or
// overwrites moves to `.sevenfold-removed/<stamp>` at the target, and stays until expire(). An
// apply() that ends early, however it ends, leaves whole files only, old or new; the next one goes
// on.
//
// No name ever reaches a shell: rsync sends paths over its own protocol (-s). Not for several
// threads at once.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/progress.h"
#include "core/time.h"

namespace sevenfold::mirror {

inline constexpr std::string_view kRemovedFolder = ".sevenfold-removed";

struct Change {
    enum class Kind { add, change, attributes, remove } kind = Kind::add;
    bool folder = false;
    uint64_t bytes = 0;  // of the source's file
    std::string path;    // relative to both ends; any bytes
};

// What a run would do. "Files" are all entries but folders.
struct Plan {
    uint64_t source_files = 0, source_bytes = 0;
    uint64_t added = 0, changed = 0, attributes = 0, removed = 0;  // files
    uint64_t removed_folders = 0;
    uint64_t bytes_to_copy = 0;
    bool marker_found = false;
    std::vector<Change> examples;  // the first removed and changed files, at most kMostExamples

    static constexpr size_t kMostExamples = 20;
    uint64_t target_files() const { return source_files - added + removed; }
    bool is_empty() const { return added + changed + attributes + removed + removed_folders == 0; }
    bool content_differs() const { return added + changed + removed != 0; }
    void count(Change change);
};

struct Limits {
    unsigned max_change_percent = 20;
    uint64_t allow_changes = 20, min_files = 1;
    // Files that may be removed or changed.
    uint64_t allowed(const Plan& plan) const;
};

// What is known from before; nothing where it is the first run.
struct Former {
    uint64_t files = 0;  // at the target, after the last run
};

// Why the plan looks like an accident, as sentences without full stop; none: it may be done.
std::vector<std::string> judge(const Plan& plan, const Limits& limits,
                               const std::optional<Former>& former, bool marker_wanted);

// "2026-11-27T100000Z": the name of a dated folder, which every file system takes.
std::string stamp_of(const Time& time);
std::optional<Time> parse_stamp(std::string_view text);

struct MirrorOptions {
    std::string from, to;  // folders; "sftp:user@host:/folder" for one of them
    std::vector<std::string> ssh_options, exclude;
    std::string marker;
    bool one_file_system = false, attributes = true;
    bool checksum = false;     // compare content, not size and time
    std::string empty_folder;  // an empty folder of ours; made when it is missing
    std::stop_token stop;
};

struct Outcome {
    uint64_t files_copied = 0, bytes_copied = 0, removed = 0;  // entries
    std::vector<std::string> warnings;                         // files vanished meanwhile
    std::optional<Error> partial;  // some items could not be read or written; nothing removed
};

class Mirror {
  public:
    // Throws Error{config} for ends that cannot be.
    explicit Mirror(MirrorOptions options);

    using OnChange = std::function<void(const Change&)>;
    // Changes nothing. `each` gets every change; may be null. Throws unsupported without rsync at
    // either end, not_found without the source, network, permission, interrupted.
    // With `by_content` both sides are read.
    Plan plan(const OnChange& each, bool by_content);
    // Throws as plan(), no_space for a full target, and refused when there turned out to be more to
    // remove than `most_removed` entries. What it did before stays done.
    Outcome apply(const std::string& stamp, uint64_t most_removed, Progress* progress);
    // Dated folders at the target, oldest first.
    std::vector<std::string> removed_stamps();
    // Removes dated folders for good.
    void expire(const std::vector<std::string>& stamps);

  private:
    std::vector<std::string> arguments(bool by_content) const;
    void throw_for(int code, const std::string& how, const std::string& errors) const;

    MirrorOptions options_;
    std::string from_, to_;                // as rsync takes them, with a slash at the end
    std::vector<std::string> connection_;  // rsync's arguments for ssh
};

}  // namespace sevenfold::mirror
