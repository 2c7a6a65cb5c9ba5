// What an interrupted backup had finished: a local journal of files with their nodes, so that the
// next run need not read them again. Only a hint: every blob is looked up in the index before it is
// believed.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "os/file.h"
#include "repository/node.h"

namespace sevenfold::files::internal {

class ResumeJournal {
  public:
    // Opens or makes the file at `path` and takes its lock; without a path, or when another process
    // has the lock, the journal is off: it finds and records nothing. Damaged ends are cut off.
    explicit ResumeJournal(const std::string& path);

    bool empty() const { return offsets_.empty(); }
    // The node recorded for a file's path, if any. Thread-safe.
    std::optional<repository::Node> find(const std::string& path);
    // Thread-safe. Written in batches; a lost tail costs only reading again.
    void record(const std::string& path, const repository::Node& node);
    void flush();
    // After a complete backup: nothing to resume.
    void remove();

  private:
    void load();
    void write_pending();

    std::string path_;
    os::UniqueFd fd_;
    std::mutex mutex_;
    std::unordered_map<uint64_t, uint64_t> offsets_;  // hash of path -> offset of its record
    Bytes pending_;
    uint64_t end_ = 0;
};

}  // namespace sevenfold::files::internal
