// What all threads of one archive run share.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <unordered_map>

#include "core/log.h"
#include "files/archive.h"
#include "files/internal/resume_journal.h"
#include "files/internal/stat_node.h"
#include "files/internal/task_pool.h"
#include "os/user_names.h"

namespace sevenfold::files::internal {

// Used by one thread at a time.
struct WorkerState {
    explicit WorkerState(repository::BlobWriter& writer) : store(writer) {}
    repository::BlobWriter::Worker store;
    Bytes buffer;  // of the file being read: at most one chunk and one read step
};

struct Counters {
    std::atomic<uint64_t> files_new{0}, files_changed{0}, files_unmodified{0};
    std::atomic<uint64_t> dirs_new{0}, dirs_changed{0}, dirs_unmodified{0};
    std::atomic<uint64_t> files{0}, bytes{0}, files_read{0};
    std::atomic<uint64_t> unreadable{0}, incomplete{0}, changed_while_read{0};
};

struct Run {
    Run(const ArchiveOptions& o, repository::BlobWriter& w, const repository::ChunkerTables& t)
        : options(o), writer(w), chunker(t), journal(o.resume_path) {}

    const ArchiveOptions& options;
    repository::BlobWriter& writer;
    const repository::ChunkerTables& chunker;
    ResumeJournal journal;
    TaskPool pool;
    os::UserNames names;
    Counters counters;
    std::vector<std::unique_ptr<WorkerState>> workers;
    std::optional<Id> root_tree;
    std::atomic<bool> no_place_left{false};

    // The content of inodes with several names, so that each is read once.
    struct InodeKey {
        uint64_t device, inode;
        auto operator<=>(const InodeKey&) const = default;
    };
    std::mutex links_mutex;
    std::map<InodeKey, repository::Node> links;

    std::mutex issue_mutex;
    void issue(const std::string& path, const Error& error, bool saved) {
        ++(saved ? counters.changed_while_read : counters.unreadable);
        if (options.progress) ++options.progress->errors;
        std::lock_guard lock(issue_mutex);
        if (options.on_issue) options.on_issue({path, error, saved});
    }
    // Saved, but not with all that belongs to it. Of thousands the first few are enough.
    void incomplete(const std::string& path, const Error& error) {
        ++counters.incomplete;
        if (options.progress) ++options.progress->errors;
        constexpr unsigned kMostSaid = 5;
        std::lock_guard lock(issue_mutex);
        if (options.on_issue && incomplete_said++ < kMostSaid)
            options.on_issue({path, error, true});
    }
    unsigned incomplete_said = 0;
    void warn(const std::string& path, const Error& error) {
        log_warning("{}: {}", path, error.message());
    }
    // Between steps. Throws Error{interrupted} when the caller wants to stop, or when every place
    // has failed: reading on would be for nobody.
    void check_going_on() {
        if (options.stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
        if (writer.any_active()) return;
        no_place_left = true;
        throw Error(ErrorKind::interrupted, "no place is left");
    }
    bool has_content(const repository::Node& node) const {
        for (const Id& id : node.content)
            if (!writer.has({repository::BlobType::data, id})) return false;
        return true;
    }
};

}  // namespace sevenfold::files::internal
