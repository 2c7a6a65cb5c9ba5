// The archive of a database's log files (MariaDB's binlogs), wherever it lies: a spool folder, a
// place's repository, or several of them joined.
//
// An *incarnation* is an unbroken series of log files of one server: each file follows the one
// before it without a gap. RESET MASTER, a restored or another server, or a gap begin a new one, so
// that file names that repeat never collide. Its name starts with a number of four digits and sorts
// by age.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "repository/repository.h"
#include "repository/snapshot.h"

namespace sevenfold::database {

// One log file, from its first byte on: a prefix of the server's own file, byte for byte.
struct LogSegment {
    std::string incarnation;  // "0001-server17-20261125T071500Z"
    std::string name;         // "bin.000017"
    uint64_t size = 0;        // bytes that are there
    bool operator==(const LogSegment&) const = default;
};

// Immutable view; safe to read from several threads.
class LogArchive {
  public:
    virtual ~LogArchive() = default;
    // By incarnation, then by name.
    virtual const std::vector<LogSegment>& segments() const = 0;
    // Fills `out` from `offset`; returns how much there was (less only at the segment's end).
    // `number` is the place in segments(). Throws what reading throws.
    virtual size_t read(size_t number, uint64_t offset, MutableByteView out) const = 0;
};

// Of a folder with <incarnation>/<name>; as it is now.
std::unique_ptr<LogArchive> open_log_folder(const std::string& folder);
// Of a repository: these log snapshots together. Where two hold the same file, the longer one
// counts. The index was loaded after they were listed.
std::unique_ptr<LogArchive> open_log_snapshots(const repository::Repository& repository,
                                               const std::vector<repository::Snapshot>& snapshots);
// Several archives of the same database: of each file the longest copy.
std::unique_ptr<LogArchive> join_log_archives(std::vector<std::unique_ptr<LogArchive>> archives);

}  // namespace sevenfold::database
