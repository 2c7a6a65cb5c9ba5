// Restore: makes a folder what a snapshot says, or a part of it.
//
// A repository is not trusted with anything outside the target: names that are not plain names are
// refused, every operation goes through descriptors of folders that were opened below the target
// without following a link, links are made but never walked through, device nodes are made only
// when root asks for them.
//
// What cannot be restored is reported by name and the rest goes on; only a full disk, a lost
// connection and an unusable target stop the whole. A restore that was stopped is continued by
// running it again: what is there and right is kept.
//
// Memory: three batches of at most 16384 entries and 131072 chunks (about 60 bytes a chunk and 600
// an entry: 3 × 18 MiB; one larger file is a batch of its own), and for reading at most
// (connections + workers + 2) parts of 4 MiB plus one blob, connections and workers at most 8.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/id.h"
#include "core/progress.h"
#include "files/filter.h"
#include "repository/node.h"
#include "repository/repository.h"

namespace sevenfold::files {

// What happens to a file that is there already. Folders are always shared.
enum class Overwrite {
    always,  // made right; parts that are right already are not written (every byte is compared)
    if_changed,  // the same, but equal size and mtime are taken as equal content
    if_newer,    // as always where the snapshot's file is newer, else left alone
    never,       // left alone
};

struct RestoreProblem {
    std::string path;  // inside the target
    Error error;
};

struct RestoreOptions {
    std::string target;  // made when it does not exist (mode 0700, as its missing parents)
    Id tree;             // whose entries the target shall hold: see repository::find_subtree
    // What the target itself shall be: owner, mode, times, attributes. Nothing: it is left as made.
    // Applied to a target that was new or empty, and where everything is overwritten.
    std::optional<repository::Node> folder;
    Select select;  // paths begin at `tree`
    Overwrite overwrite = Overwrite::always;
    // Entries of the target that the snapshot does not have are removed, in folders that are
    // restored and where `select` takes them. Never across mount points.
    bool delete_extra = false;
    bool sparse = true;         // zeros, 64 KiB and more, become holes
    bool verify = false;        // reads every restored file again and compares it with the snapshot
    bool dry_run = false;       // reads and counts, changes nothing
    bool device_nodes = false;  // make them (root only); otherwise they are left out with a note

    unsigned workers = 0;  // that decode and write; 0: one per processor, at most 8
    Progress* progress = nullptr;
    std::stop_token stop;  // on request Error{interrupted} is thrown soon
    // Called as they happen, one at a time, from any thread.
    std::function<void(const RestoreProblem&)> on_problem;
    std::function<void(const std::string& note)> on_note;  // left out on purpose: "x: a socket"
    // Each entry that delete_extra removes, or would on a dry run; a folder stands for its content.
    std::function<void(const std::string& path)> on_delete;
};

struct RestoreResult {
    uint64_t folders = 0;     // made or shared
    uint64_t files = 0;       // written, in whole or in part
    uint64_t unchanged = 0;   // files whose content was right already
    uint64_t hard_links = 0;  // further names of files
    uint64_t others = 0;      // symbolic links, fifos, devices
    uint64_t skipped = 0;     // left alone because of `overwrite`
    uint64_t left_out = 0;    // sockets; devices that were not asked for
    uint64_t deleted = 0;     // entries removed by delete_extra
    uint64_t verified = 0;    // files read again and found right
    uint64_t bytes = 0;       // content of restored files that was written (holes included)
    uint64_t bytes_kept = 0;  // content that was right already
    uint64_t problem_count = 0;
    std::vector<RestoreProblem> problems;  // the first 1000

    bool complete() const { return problem_count == 0; }
};

// Needs the repository's index loaded. Throws what stops the whole: see above, and
// Error{interrupted}. The content is as durable as the file system makes it by itself.
RestoreResult restore(const repository::Repository& repository, const RestoreOptions& options);

// True when a restore to `path` cannot change anything that exists.
bool target_is_empty_or_absent(const std::string& path);

}  // namespace sevenfold::files
