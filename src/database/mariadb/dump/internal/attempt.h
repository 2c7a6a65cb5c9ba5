// One attempt at a dump: its files, and the rows of all tables read by several sessions.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "database/mariadb/dump/dump.h"
#include "database/mariadb/dump/snapshot_sessions.h"

namespace sevenfold::database::mariadb {

// Somebody changed a definition while the dump was reading: all of it has to be done again.
class ChangedMeanwhile : public Error {
  public:
    explicit ChangedMeanwhile(const std::string& what,
                              std::string hint = "Run it again when no migration is running.")
        : Error(ErrorKind::timeout, what + " during the dump", std::move(hint)) {}
};
// Whether an error means that: something that was there is gone, changed, or being changed.
bool is_change(const sql::ServerError& error);
// Rethrows what a server said of a table: as ChangedMeanwhile where that is so.
[[noreturn]] void throw_for_table(const sql::ServerError& error, const TableInfo& table);

// The files of an attempt in the tree; thread-safe.
class BaseFiles {
  public:
    explicit BaseFiles(repository::TreeWriter& tree) : tree_(tree) {}
    std::unique_ptr<repository::TreeWriter::File> create(const std::string& path);
    void add(const std::string& path, ByteView content);
    void remove_all();

  private:
    repository::TreeWriter& tree_;
    std::mutex mutex_;
    std::set<std::string> paths_;
};

struct ReadRequest {
    const DumpOptions& options;
    BaseFiles& files;
    const std::vector<TableInfo>& tables;
    std::vector<TableContent>& contents;  // gets files, rows and checksums
};
// Tables without transactions are read first, side by side with the others, and unlocked then.
void read_all_rows(const ReadRequest& request, SnapshotSessions& snapshot);

}  // namespace sevenfold::database::mariadb
