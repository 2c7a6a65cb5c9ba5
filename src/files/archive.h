// Backup: reads files once and stores them as one snapshot at one place or at several at once.
//
// Unchanged files (same type, size, mtime, ctime and inode as in the snapshot compared with, and
// every blob present at every place) are not read. Metadata is always taken fresh. What cannot be
// read, or changes while it is read, is reported and never silently wrong.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/progress.h"
#include "core/time.h"
#include "files/filter.h"
#include "files/place_result.h"
#include "repository/lock.h"
#include "repository/snapshot.h"
#include "repository/writer.h"

namespace sevenfold::files {

struct ArchivePlace {
    std::string name;
    repository::Repository* repository = nullptr;  // with its index loaded
    const repository::Lock* lock = nullptr;
    std::optional<Id> parent;  // recorded in the snapshot
    size_t pack_target = 0;    // bytes; 0: as options.writer says
};

// A problem with one item of the source; the backup goes on.
struct ItemIssue {
    std::string path;
    Error error;
    bool saved = false;  // the item is in the snapshot all the same (it changed while it was read)
};

class BucketContents;  // files/bucket_contents.h

struct ArchiveOptions {
    std::vector<std::string> targets;  // absolute or relative to the working directory
    // Instead of the file system: this bucket, whose objects stand below the only target.
    const BucketContents* bucket = nullptr;
    const Exclude* exclude = nullptr;
    bool one_file_system = false;
    bool follow_targets = false;  // a target that is a symbolic link means what it leads to

    // Which tree files are compared with to find the unchanged ones, and where it lies.
    const repository::Repository* compare_repository = nullptr;
    std::optional<Id> compare_tree;
    bool force = false;  // read everything
    bool ignore_inode = false, ignore_ctime = false;
    bool with_atime = false;

    std::string hostname, username;  // empty: this machine's
    std::vector<std::string> tags;
    std::optional<Time> time;  // of the snapshot; now by default
    std::string program_version;

    unsigned workers = 0;  // threads that read, hash and compress; 0: one per processor, at most 8
    std::string resume_path;  // journal of finished files, for resuming; empty: none
    repository::WriterOptions writer;
    Progress* progress = nullptr;
    std::stop_token stop;  // on request what is finished is stored and Error{interrupted} thrown
    // Called from worker threads, one at a time.
    std::function<void(const ItemIssue&)> on_issue;
    bool dry_run = false;  // reads and compares, stores no snapshot (blobs are not stored either)
};

struct ArchiveResult {
    std::vector<PlaceResult> places;
    std::optional<Id> tree;               // of the whole, when every item was walked
    repository::SnapshotSummary summary;  // counts of files and bytes; per place: see stats
    uint64_t unreadable = 0;              // items left out
    uint64_t incomplete = 0;              // saved without all that belongs to them
    uint64_t changed_while_read = 0;      // items saved though they changed
    uint64_t files_read = 0;
};

// Throws what concerns the whole (no target exists, interrupted, a bug); a place's failure is in
// its result. Durable at each place whose state is saved.
ArchiveResult archive(const std::vector<ArchivePlace>& places, const ArchiveOptions& options);

}  // namespace sevenfold::files
