// The local copy of a server's binlog: <folder>/<incarnation>/<file>, each a prefix of the server's
// own file, byte for byte. It is also a LogArchive: see open_log_folder.
//
// What counts as received is what a whole transaction ends with. After a crash of the machine or of
// this process the constructor cuts the newest file back to there; checksums tell what is whole.
//
// One thread writes. The files may be read by others at any time. One process owns a spool: it
// holds a lock on <folder>/lock.
#pragma once

#include <optional>
#include <string>

#include "core/bytes.h"
#include "database/mariadb/stream/position.h"
#include "database/mariadb/stream/transaction_tracker.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {

class Spool {
  public:
    // Makes the folder when it is missing. Error{locked} when another process has it.
    explicit Spool(std::string folder);
    Spool(const Spool&) = delete;
    Spool& operator=(const Spool&) = delete;

    const std::string& folder() const { return folder_; }
    // Where the last whole transaction, or event outside of one, ended when this was opened; and
    // what is known of the file up to there. Nothing in an empty spool.
    struct Tail {
        LogPosition position;
        TransactionTracker tracker;
        Bytes description;  // the file's format description; empty: it does not have one yet
        uint64_t cut = 0;   // bytes after it that were dropped
    };
    const std::optional<Tail>& tail() const { return tail_; }
    // The highest number of an incarnation so far; 0: none.
    unsigned last_incarnation() const { return last_incarnation_; }

    // What is written from now on belongs to this file, which is made unless it exists. The file
    // before is synced first, so that no file is ever newer than a hole before it.
    void open(const std::string& incarnation, const std::string& file);
    // At the end of the open file, from its first byte (the magic number) on. In memory or at the
    // system until sync(). Error{no_space} and others: nothing after durable() counts.
    void append(ByteView bytes);
    // Drops everything after `offset`, which is not durable for anybody yet.
    void truncate(uint64_t offset);
    // Everything appended is on disk when it returns.
    void sync();
    // Hands everything appended to the system, so that others can read it.
    void flush();

    const LogPosition& end() const { return end_; }  // of what was appended
    // Whether the open file has exactly these bytes there.
    bool matches(uint64_t offset, ByteView bytes);
    uint64_t size_of(const std::string& incarnation, const std::string& file) const;

  private:
    void recover();
    std::optional<Tail> scan(const std::string& incarnation, const std::string& file) const;
    std::string path(const LogPosition& position) const;

    std::string folder_;
    os::UniqueFd lock_, fd_;
    std::optional<Tail> tail_;
    unsigned last_incarnation_ = 0;
    LogPosition end_;
    Bytes buffer_;  // the last bytes before end_
    bool dirty_ = false;
};

// Files of an incarnation, and incarnations, as the server wrote them. Missing folders are empty.
std::vector<std::string> spool_incarnations(const std::string& folder);
std::vector<std::string> spool_files(const std::string& folder, const std::string& incarnation);

}  // namespace sevenfold::database::mariadb
